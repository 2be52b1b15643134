/* Waits that end by a signal or by their time. */
#include "base/clock.h"
#include "base/test.h"

struct waited {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_there;
};

static void *come(void *context)
{
    struct waited *waited = context;
    pthread_mutex_lock(&waited->lock);
    waited->is_there = true;
    pthread_cond_signal(&waited->changed);
    pthread_mutex_unlock(&waited->lock);
    return NULL;
}

TEST(clock, waits_until_a_time_or_a_signal)
{
    struct waited waited = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
    pthread_t thread;
    int64_t until_us = clock_mono_us() + 20000;
    pthread_mutex_lock(&waited.lock);
    while (clock_wait(&waited.changed, &waited.lock, until_us)) {
    }
    assert_true(clock_mono_us() >= until_us);
    assert_false(
        clock_wait(&waited.changed, &waited.lock, clock_mono_us() - 1)); /* it was before */
    assert_false(clock_wait(&waited.changed, &waited.lock, -1));
    assert_int_equal(0, pthread_create(&thread, NULL, come, &waited));
    while (!waited.is_there) {
        assert_true(clock_wait(&waited.changed, &waited.lock, clock_mono_us() + 60000000));
    }
    pthread_mutex_unlock(&waited.lock);
    assert_int_equal(0, pthread_join(thread, NULL));
}
