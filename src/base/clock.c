#include "base/clock.h"

#include <errno.h>
#include <time.h>

static int64_t read_us(clockid_t id)
{
    struct timespec now;
    int failed = clock_gettime(id, &now);
    ASSERT(failed == 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_wall_us(void)
{
    return read_us(CLOCK_REALTIME);
}

int64_t clock_mono_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

int64_t clock_wall_coarse_us(void)
{
    return read_us(CLOCK_REALTIME_COARSE);
}

int64_t clock_mono_coarse_us(void)
{
    return read_us(CLOCK_MONOTONIC_COARSE);
}

static char *put_digits(char *at, unsigned value, int digits, char end)
{
    for (int i = digits - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
    at[digits] = end;
    return at + digits + 1;
}

bool clock_wait(pthread_cond_t *changed, pthread_mutex_t *lock, int64_t until_us)
{
    until_us = until_us < 0 ? 0 : until_us;
    struct timespec until = {until_us / 1000000, until_us % 1000000 * 1000};
    int status = pthread_cond_clockwait(changed, lock, CLOCK_MONOTONIC, &until);
    ASSERT(status == 0 || status == ETIMEDOUT);
    return status == 0;
}

char *clock_format_utc(int64_t wall_us, char out[CLOCK_TEXT_BYTES])
{
    time_t seconds = (time_t)(wall_us / 1000000);
    int64_t micros = wall_us % 1000000;
    if (micros < 0) {
        micros += 1000000;
        seconds--;
    }
    struct tm utc;
    if (gmtime_r(&seconds, &utc) == NULL || utc.tm_year > 8099 || utc.tm_year < -1900) {
        (void)snprintf(out, CLOCK_TEXT_BYTES, "out-of-range");
        return out;
    }
    /* By hand: the audit trail has two of these for each statement. */
    char *at = put_digits(out, (unsigned)(utc.tm_year + 1900), 4, '-');
    at = put_digits(at, (unsigned)utc.tm_mon + 1, 2, '-');
    at = put_digits(at, (unsigned)utc.tm_mday, 2, 'T');
    at = put_digits(at, (unsigned)utc.tm_hour, 2, ':');
    at = put_digits(at, (unsigned)utc.tm_min, 2, ':');
    at = put_digits(at, (unsigned)utc.tm_sec, 2, '.');
    at = put_digits(at, (unsigned)micros, 6, 'Z');
    *at = '\0';
    return out;
}
