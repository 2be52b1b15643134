/* Who runs next: places, memory, queues and rates as numbers. No clock, no lock, no thread: time is
 * an argument, so that the rule below is tested as it is written.
 *
 * The rule. A statement counts for the server, for its person and for each role of theirs that has
 * limits; where one of these is full it waits, in the order of its person. Of all people whose
 * first statement could run, next is who has the fewest running; of those, who has waited longest
 * since they last had a place. So a thousand statements of one person delay another's first no
 * longer than until a place becomes free, and nobody who waits is passed for ever.
 *
 * Memory. Half of it is dealt in equal shares, one for each place; of the other half a statement
 * gets a quarter of what is left, more only if it asks. So whoever gets a place gets a share at
 * least, and the sum never passes the whole. Of what a role or a person may have, likewise no more
 * than a quarter of what is left above the share. If who is next asks for more than is there, all
 * others wait too: what becomes free is theirs, else small ones could keep a big one out for ever.
 */
#pragma once

#include "base/base.h"
#include "base/err.h"

#define FAIR_ROLES_MAX 64 /* of one statement, that have limits */

struct fair_limits {
    uint64_t concurrent_max; /* 0 = no limit, as for memory and rate */
    uint64_t queued_max;     /* UINT64_MAX = no limit */
    uint64_t memory_bytes_max;
    uint64_t rate_per_minute;
    uint64_t burst; /* statements at once, before the rate counts; 0 = as many as a minute has */
};

/* Whom a statement counts for. */
struct fair_party {
    struct slice key; /* of people and roles apart, both being in one list */
    struct fair_limits limits;
};

struct fair_asker {
    struct fair_party person;
    const struct fair_party *roles;
    size_t role_count;     /* FAIR_ROLES_MAX at most */
    uint64_t memory_bytes; /* 0 = what the rule gives */
    void *context;         /* the caller's, of the ticket */
};

struct fair;
struct fair_ticket;

struct fair_options {
    struct fair_limits server;
    uint64_t ask_bytes_max; /* most that a statement may ask for; 0 = no limit */
};

MUST_USE enum err fair_new(const struct fair_options *options, struct fair **ret_fair);
void fair_free(struct fair *fair);

/* Whose limit it was. */
enum fair_level {
    FAIR_SERVER,
    FAIR_ROLE,
    FAIR_PERSON
};

struct fair_refusal {
    enum fair_level level;
    struct slice key;      /* of the role or person; the asker's */
    uint64_t count;        /* that wait there */
    int64_t wait_us;       /* how long this one would have; 0 = nothing is known yet */
    uint64_t memory_limit; /* not 0: it asks for more than it can ever have */
};

/* True if a statement of the person may start now, else how long not. `ret_is_first` (if refused):
 * they were not refused since one was let through. */
MUST_USE bool fair_rate(struct fair *fair, const struct fair_party *person, int64_t now_us,
                        int64_t *ret_wait_us, bool *ret_is_first);

/* Into the queue. ERR_BUSY with `ret_refusal`; ERR_NOMEM. */
MUST_USE enum err fair_ask(struct fair *fair, const struct fair_asker *asker, int64_t now_us,
                           struct fair_ticket **ret_ticket, struct fair_refusal *ret_refusal);
/* Gives a place to who is next, and their ticket; NULL when there is nobody or no place. Until it
 * says NULL, after each fair_ask and fair_leave. */
struct fair_ticket *fair_next(struct fair *fair, int64_t now_us);
bool fair_has_place(const struct fair_ticket *ticket);
void *fair_context(const struct fair_ticket *ticket);
uint64_t fair_memory(const struct fair_ticket *ticket); /* granted; 0 = the server has no limit */
/* How long it would still wait; 0 = nothing is known yet. */
int64_t fair_estimate(const struct fair *fair, const struct fair_ticket *ticket, int64_t now_us);
/* Whether `waiting` would be nearer to a place without `placed`: each limit that holds it up is
 * also filled by that. */
bool fair_blocks(const struct fair *fair, const struct fair_ticket *placed,
                 const struct fair_ticket *waiting);
/* Out, from a place or from the queue; frees the ticket. */
void fair_leave(struct fair *fair, struct fair_ticket *ticket, int64_t now_us);

struct fair_counts {
    uint64_t running;
    uint64_t queued;
    uint64_t memory_bytes; /* granted */
};
/* Of a person or role; of all with an empty key. */
struct fair_counts fair_count(const struct fair *fair, struct slice key);
