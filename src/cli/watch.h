/* One thread that watches a running statement: Ctrl-C and the progress bar. Internal.
 *
 * session_cancel is not async-signal-safe, so SIGINT is blocked in every thread and taken by this
 * one with sigtimedwait; its timeout is also the clock of the progress bar. */
#pragma once

#include "base/base.h"
#include "base/err.h"

struct watch;

/* What runs. Any thread calls these, between watch_begin and watch_end. */
struct watched {
    void *context; /* NULL: nothing runs */
    void (*cancel)(void *context);
    double (*progress)(void *context); /* percent, or below 0 */
};

/* Before any other thread is made: they inherit the blocked signal. `is_shell`: Ctrl-C with no
 * statement running is ignored; otherwise it ends the program with 130, as does a second one. */
MUST_USE enum err watch_start(bool is_shell, bool has_bar, struct watch **ret_watch,
                              struct errinfo *info);
void watch_stop(struct watch *watch); /* NULL is allowed */
void watch_begin(struct watch *watch, const struct watched *what);
/* Erases the bar and shows none until the next statement: rows are about to be printed. */
void watch_quiet(struct watch *watch);
void watch_end(struct watch *watch);

/* The bar's text, without erasing: "[#####     ]  50 %, 3 s, about 3 s left". */
#define WATCH_TEXT_BYTES 96
void watch_text(double percent, int64_t elapsed_us, char ret_text[WATCH_TEXT_BYTES]);
