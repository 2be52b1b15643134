/* How often somebody may try a password: per account and per address, in a table of fixed size.
 *
 * Each try is a drop in two leaky buckets, taken back if it was right: tries side by side cannot
 * get past, a locked-out person waits seconds and not hours, and a stranger who tries cannot lock
 * anybody out for longer. Unknown names count like known ones. Any thread. */
#pragma once

#include "base/base.h"
#include "base/err.h"

struct login_guard;

struct login_guard_options {
    unsigned account_tries_max; /* wrong ones in a row, then one each window / max */
    unsigned address_tries_max;
    int64_t window_us;
};

MUST_USE enum err login_guard_new(const struct login_guard_options *options,
                                  struct login_guard **ret_guard, struct errinfo *info);
void login_guard_free(struct login_guard *guard);
DEFINE_CLEANUP(struct login_guard, login_guard_cleanup, login_guard_free)

/* Counts a try. False: too many; it is not counted, and may be made after `ret_wait_us`. Of those
 * that were too many at one account or address, one a second is news: the rest need not be told. */
MUST_USE bool login_guard_enter(struct login_guard *guard, struct slice address,
                                struct slice account, int64_t now_us, int64_t *ret_wait_us,
                                bool *ret_is_news);
/* It was right: taken back, and the account's earlier ones are forgotten. */
void login_guard_succeeded(struct login_guard *guard, struct slice address, struct slice account,
                           int64_t now_us);
