/* One thread that cancels statements past their deadline. It is started by the first statement
 * that has one. */
#include "query/admission/watchdog_int.h"

#include "base/clock.h"
#include "base/mem.h"
#include "query/query_int.h"

#define WATCHDOG_QUERIES_MAX 1024

struct watchdog {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool is_started;
    bool is_stopping;
    struct query *queries[WATCHDOG_QUERIES_MAX];
    size_t query_count;
};

enum err watchdog_new(struct watchdog **ret_watchdog, struct errinfo *info)
{
    struct watchdog *watchdog = mem_calloc(1, sizeof(*watchdog));
    if (watchdog == NULL) {
        return errinfo_nomem(info);
    }
    pthread_cond_init(&watchdog->changed, NULL);
    pthread_mutex_init(&watchdog->lock, NULL);
    *ret_watchdog = watchdog;
    return ERR_OK;
}

static int64_t cancel_overdue(struct watchdog *watchdog)
{
    int64_t now = clock_mono_us();
    int64_t nearest = INT64_MAX;
    for (size_t i = 0; i < watchdog->query_count; i++) {
        struct query *query = watchdog->queries[i];
        if (query->deadline_us > now) {
            nearest = query->deadline_us < nearest ? query->deadline_us : nearest;
        } else if (!atomic_exchange(&query->is_timed_out, true)) {
            query_cancel(query);
        }
    }
    return nearest;
}

static void *watch(void *context)
{
    struct watchdog *watchdog = context;
    pthread_mutex_lock(&watchdog->lock);
    while (!watchdog->is_stopping) {
        int64_t nearest = cancel_overdue(watchdog);
        if (nearest == INT64_MAX) {
            pthread_cond_wait(&watchdog->changed, &watchdog->lock);
        } else {
            (void)clock_wait(&watchdog->changed, &watchdog->lock, nearest);
        }
    }
    pthread_mutex_unlock(&watchdog->lock);
    return NULL;
}

void watchdog_free(struct watchdog *watchdog)
{
    if (watchdog == NULL) {
        return;
    }
    ASSERT(watchdog->query_count == 0);
    if (watchdog->is_started) {
        pthread_mutex_lock(&watchdog->lock);
        watchdog->is_stopping = true;
        pthread_cond_broadcast(&watchdog->changed);
        pthread_mutex_unlock(&watchdog->lock);
        pthread_join(watchdog->thread, NULL);
    }
    pthread_cond_destroy(&watchdog->changed);
    pthread_mutex_destroy(&watchdog->lock);
    mem_free(watchdog);
}

void watchdog_add(struct watchdog *watchdog, struct query *query)
{
    if (query->deadline_us == 0) {
        return;
    }
    pthread_mutex_lock(&watchdog->lock);
    if (!watchdog->is_started) {
        watchdog->is_started = pthread_create(&watchdog->thread, NULL, watch, watchdog) == 0;
    }
    /* Beyond the table, or without a thread, the deadline still holds between batches
     * (query_check_cancelled looks at the clock). */
    if (watchdog->query_count < WATCHDOG_QUERIES_MAX) {
        watchdog->queries[watchdog->query_count++] = query;
    }
    pthread_cond_broadcast(&watchdog->changed);
    pthread_mutex_unlock(&watchdog->lock);
}

void watchdog_remove(struct watchdog *watchdog, struct query *query)
{
    if (query->deadline_us == 0) {
        return;
    }
    pthread_mutex_lock(&watchdog->lock);
    for (size_t i = 0; i < watchdog->query_count; i++) {
        if (watchdog->queries[i] == query) {
            watchdog->queries[i] = watchdog->queries[--watchdog->query_count];
            break;
        }
    }
    pthread_mutex_unlock(&watchdog->lock);
}
