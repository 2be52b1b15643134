/* The program's own log: one line an event, to stderr, `time level module message key=value`.
 * Never rows, tokens, keys or statement text. A function logs or returns an error, never both. */
#pragma once

#include "base/base.h"

enum log_level {
    LOG_DEBUG,
    LOG_INFO,
    LOG_WARN,
    LOG_ERROR,
    LOG_OFF
};

/* Default LOG_WARN. Atomic: any thread. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
bool log_level_parse(struct slice text, enum log_level *ret_level);

PRINTF_LIKE(3, 4)
void log_write(enum log_level level, const char *module, const char *format, ...);

#define log_debug(module, ...) log_write(LOG_DEBUG, (module), __VA_ARGS__)
#define log_info(module, ...) log_write(LOG_INFO, (module), __VA_ARGS__)
#define log_warn(module, ...) log_write(LOG_WARN, (module), __VA_ARGS__)
#define log_error(module, ...) log_write(LOG_ERROR, (module), __VA_ARGS__)
