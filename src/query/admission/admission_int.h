/* Admission: who may run now, with how much memory. The rule is fair_int.h; here are threads. */
#pragma once

#include "base/arena.h"
#include "query/admission/fair_int.h"
#include "query/query_int.h"

/* What a session's statements count for, as the store has it at `version`. One block with all that
 * it points to: thousands of sessions may be open that do nothing. */
struct session_limits {
    struct fair_asker asker;
    uint64_t version;
    uint64_t fingerprint; /* of the person's roles */
};
/* Good until the session's next statement. */
MUST_USE enum err session_limits(struct session *session, const struct fair_asker **ret_asker,
                                 struct errinfo *info);
void session_limits_free(struct session_limits *limits);

/* `memory_bytes_max`: of all engines together; 0 = one engine that has its own limit. */
MUST_USE enum err admission_new(const struct config *config, uint64_t memory_bytes_max,
                                uint64_t ask_bytes_max, struct admission **ret_admission,
                                struct errinfo *info);
void admission_free(struct admission *admission);

/* Before anything is done for a statement. ERR_BUSY (53400) if its person is too fast;
 * `ret_is_first`: of a row of such refusals, which are worth one record. */
MUST_USE enum err admission_check_rate(struct session *session, bool *ret_is_first,
                                       struct errinfo *info);

/* Waits for a place; fails with ERR_BUSY (53300, 53400) or as query_check_cancelled says. Then
 * query->ticket is one, and query->memory_bytes what it was granted. */
MUST_USE enum err admission_enter(struct admission *admission, struct query *query,
                                  struct errinfo *info);
void admission_leave(struct admission *admission, struct query *query);
/* Whether a place of `placed`, which may be any query in the list of clients, is one that `waiting`
 * waits for. */
bool admission_blocks(struct admission *admission, const struct query *placed,
                      const struct query *waiting);
/* One that waits for a place waits no longer: its place in the queue is free at once, and its
 * thread wakes and says why (query_check_cancelled, of which the reason is set before). One that
 * runs stays. With the session's lock held. */
void admission_drop(struct admission *admission, struct query *query);

struct fair_limits admission_server_limits(const struct admission *admission);
struct fair_counts admission_count(struct admission *admission, struct slice key);

struct admission_counts {
    uint64_t refused_queue; /* a queue was full */
    uint64_t refused_wait;  /* waited too long */
    uint64_t refused_rate;
    uint64_t refused_memory;
};
struct admission_counts admission_refused(struct admission *admission);
