/* How often somebody may try a password: per account and per address, in a table of fixed size.
 *
 * Each try is a drop in two leaky buckets, taken back if it was right: a locked-out person waits
 * seconds and not hours, and a stranger who tries cannot lock anybody out for longer. While a try
 * is under way nobody knows which it is, so its drop counts, and who finds a bucket full only for
 * such drops waits for one of them to end: tries side by side get no more wrong ones than tries in
 * a row, and right ones are never refused for being many. Unknown names count like known ones.
 * Any thread. */
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

/* What an answer that is not "may" comes with. */
struct login_guard_refusal {
    int64_t wait_us; /* until there is room, if nobody else tries */
    bool is_news;    /* of those refused at one account or address, one a second: the rest need not
                      * be told */
};

enum login_guard_answer {
    LOGIN_GUARD_MAY,  /* counted; login_guard_leave ends it */
    LOGIN_GUARD_LINE, /* there may be room once one that is under way has ended */
    LOGIN_GUARD_FULL  /* too many were wrong */
};

/* A try is to begin. */
MUST_USE enum login_guard_answer login_guard_try(struct login_guard *guard, struct slice address,
                                                 struct slice account, int64_t now_us,
                                                 struct login_guard_refusal *ret_refusal);
/* The same, and stands in line, for half a minute at most. False: it is not counted. */
MUST_USE bool login_guard_enter(struct login_guard *guard, struct slice address,
                                struct slice account, struct login_guard_refusal *ret_refusal);
/* A try that was let in has ended. If it was right it is taken back, and of the account all wrong
 * ones are forgotten. */
void login_guard_leave(struct login_guard *guard, struct slice address, struct slice account,
                       bool is_right, int64_t now_us);

/* Whether there is room beside the wrong ones. For what comes before a try. */
MUST_USE bool login_guard_look(struct login_guard *guard, struct slice address,
                               struct slice account, int64_t now_us,
                               struct login_guard_refusal *ret_refusal);
/* Counts what was no try, but is no better than a wrong one. */
void login_guard_blame(struct login_guard *guard, struct slice address, struct slice account,
                       int64_t now_us);
