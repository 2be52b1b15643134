/* Time. Wall clock for records that people read, monotonic for durations and deadlines. */
#pragma once

#include <pthread.h>

#include "base/base.h"

int64_t clock_wall_us(void); /* microseconds since 1970-01-01T00:00:00Z */
int64_t clock_mono_us(void); /* microseconds, arbitrary origin */

/* The same clocks as they stood at the kernel's last tick, up to 10 ms ago and never ahead: a fifth
 * of the cost. For what people read, not for durations, nor for what must end at a time. */
int64_t clock_wall_coarse_us(void);
int64_t clock_mono_coarse_us(void);

/* Until `changed` is signalled (perhaps: look at what was waited for), or until clock_mono_us() is
 * `until_us`: then false. Whoever sets the wall clock moves no wait. With the lock held. */
bool clock_wait(pthread_cond_t *changed, pthread_mutex_t *lock, int64_t until_us);

#define CLOCK_TEXT_BYTES 32

/* "2026-11-21T04:05:06.123456Z" into `out`; returns out. */
char *clock_format_utc(int64_t wall_us, char out[CLOCK_TEXT_BYTES]);
