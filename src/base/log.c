#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"

static _Atomic int threshold = LOG_WARN;

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn",
    [LOG_ERROR] = "error", [LOG_OFF] = "off",
};

void log_set_level(enum log_level level)
{
    atomic_store(&threshold, (int)level);
}

enum log_level log_get_level(void)
{
    return (enum log_level)atomic_load(&threshold);
}

bool log_level_parse(struct slice text, enum log_level *ret_level)
{
    for (size_t i = 0; i < ARRAY_COUNT(level_names); i++) {
        if (slice_equal_fold(text, slice_of(level_names[i]))) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_write(enum log_level level, const char *module, const char *format, ...)
{
    ASSERT(level < LOG_OFF);
    if (level < log_get_level()) {
        return;
    }
    char line[1024];
    char when[CLOCK_TEXT_BYTES];
    int head = snprintf(line, sizeof(line), "%s %s %s ", clock_format_utc(clock_wall_us(), when),
                        level_names[level], module);
    if (head < 0 || (size_t)head >= sizeof(line)) {
        return;
    }
    va_list args;
    va_start(args, format);
    int body = vsnprintf(line + head, sizeof(line) - (size_t)head, format, args);
    va_end(args);
    size_t len = body < 0 ? (size_t)head : (size_t)head + (size_t)body;
    if (len > sizeof(line) - 2) {
        len = sizeof(line) - 2;
    }
    line[len] = '\n'; /* one write, so that lines of threads never mix */
    ssize_t ignored = write(STDERR_FILENO, line, len + 1);
    (void)ignored;
}
