#include "base/cancellation.h"

#include <time.h>

#include "base/clock.h"

#define LOOK_MS 50

static _Thread_local const struct cancellation *here;

const struct cancellation *cancellation_enter(const struct cancellation *cancellation)
{
    const struct cancellation *before = here;
    here = cancellation;
    return before;
}

const struct cancellation *cancellation_here(void)
{
    return here;
}

bool cancellation_is_set(const struct cancellation *cancellation)
{
    return cancellation != NULL && cancellation->is_cancelled(cancellation->context);
}

bool cancellation_sleep_ms(const struct cancellation *cancellation, int64_t ms)
{
    int64_t end_us = clock_mono_us() + ms * 1000;
    for (int64_t left_us = ms * 1000; left_us > 0; left_us = end_us - clock_mono_us()) {
        if (cancellation_is_set(cancellation)) {
            return false;
        }
        int64_t part_us = left_us < LOOK_MS * 1000 ? left_us : LOOK_MS * 1000;
        struct timespec pause = {part_us / 1000000, part_us % 1000000 * 1000};
        (void)nanosleep(&pause, NULL);
    }
    return !cancellation_is_set(cancellation);
}
