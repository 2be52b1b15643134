/* The life of a query, and the sessions it lives in. Knows no wire format.
 *
 *     RECEIVED > PARSED > RESOLVED > SECURED > PLANNED > ADMITTED > RUNNING > STREAMING > DONE
 *                          \__________ any of them ___________/  > FAILED | CANCELLED
 *
 * A warehouse is shared by all threads. A session belongs to one person and is used by one thread
 * at a time; query_cancel and query_progress may be called from any thread. */
#pragma once

#include "arrow/arrow.h"
#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "config/config.h"
#include "identity/identity.h"

struct buf;
struct warehouse;
struct session;
struct query;

struct warehouse_options {
    const struct config *config; /* outlives the warehouse */
    bool create_if_missing;
    const char *engine_module; /* NULL = beside the program */
    bool is_server;            /* of many people: the engine runs in hosts unless forbidden */
    /* A program that can be a host (engine/host/host.h), which forces hosts; NULL = this one. */
    const char *engine_host;
};

/* Opens store, audit trail and engine of the folder in `config`. */
MUST_USE enum err warehouse_open(const struct warehouse_options *options,
                                 struct warehouse **ret_warehouse, struct errinfo *info);
void warehouse_close(struct warehouse *warehouse); /* after all sessions */
DEFINE_CLEANUP(struct warehouse, warehouse_cleanup, warehouse_close)
const char *warehouse_folder(const struct warehouse *warehouse);

/* ---- the audit trail of a warehouse that need not open ---- */

struct audit_report;
struct audit_anchor;

/* Checks the trail, and holds it against what the store remembers of it. A trail without a store is
 * checked alone: `ret_anchor` has seq 0 then. ERR only when it cannot be read. */
MUST_USE enum err warehouse_verify_trail(const struct config *config,
                                         struct audit_report *ret_report,
                                         struct audit_anchor *ret_anchor, struct errinfo *info);

struct trail_loss {
    bool is_accepted;  /* false: nothing was missing, nothing was done */
    uint64_t anchored; /* the last record that the store remembered */
    uint64_t kept;     /* records that are left, and go on */
    char aside[4096];  /* where a damaged trail was put; empty = nowhere */
};

/* As the owner: takes the trail for what it is, records that, and lets the warehouse open again.
 * ERR_CORRUPT, ERR_IO ...: done in part; can be done again. */
MUST_USE enum err warehouse_accept_trail_loss(const struct config *config,
                                              struct trail_loss *ret_loss, struct errinfo *info);

/* The OS user of this process, or with `as` (not empty) that person, acted for by the OS user, who
 * must own the warehouse. The login is audited. */
MUST_USE enum err warehouse_login_local(struct warehouse *warehouse, struct slice as,
                                        struct identity **ret_identity, struct errinfo *info);

/* ---- for who watches ---- */

struct metrics;
/* Counters of all that the warehouse does; those that others keep are of the last sample. */
struct metrics *warehouse_metrics(struct warehouse *warehouse);
void warehouse_sample(struct warehouse *warehouse);
/* ERR with the reason, in one line, if statements could not be run now: the trail cannot be
 * written, or no engine host comes up. Any thread. */
MUST_USE enum err warehouse_check(struct warehouse *warehouse, struct errinfo *info);

MUST_USE enum err session_open(struct warehouse *warehouse, struct identity *who,
                               struct session **ret_session, struct errinfo *info);
void session_close(struct session *session); /* after its query; rolls back */
DEFINE_CLEANUP(struct session, session_cleanup, session_close)
/* Another session of the same person with the same settings and default schema: a second query can
 * be open in it. */
MUST_USE enum err session_fork(const struct session *session, struct session **ret_session,
                               struct errinfo *info);
/* The same, with a transaction and temporary tables of its own: the two may be used at once. */
MUST_USE enum err session_fork_apart(const struct session *session, struct session **ret_session,
                                     struct errinfo *info);
/* ---- transaction blocks, which a session shares with its forks ----
 *
 * BEGIN, COMMIT, ROLLBACK, SAVEPOINT ... are statements like others, and audited. These are for a
 * protocol that knows that there is nothing to audit. */

/* Opens a block, as BEGIN does. */
MUST_USE enum err session_begin(struct session *session, struct errinfo *info);
/* There is something to commit: what COMMIT and ROLLBACK do has to be audited. */
bool session_has_changes(const struct session *session);
/* Ends the block: a commit keeps what was done to temporary tables, and nothing else. */
void session_end(struct session *session, bool is_commit);
void session_drop_temps(struct session *session); /* all temporary tables */

enum session_savepoint {
    SESSION_SAVEPOINT_SET,
    SESSION_SAVEPOINT_RELEASE,
    SESSION_SAVEPOINT_ROLLBACK,
};
MUST_USE enum err session_use_savepoint(struct session *session, enum session_savepoint which,
                                        struct slice name, struct errinfo *info);

/* The person, good until the session's next statement: the store may have changed by then. */
const struct identity *session_identity(const struct session *session);
const struct config *session_config(const struct session *session);
/* Where names without one are looked for (USE); until its next statement. */
struct slice session_catalog(const struct session *session);
struct slice session_schema(const struct session *session);

/* What its statements are counted under. */
enum session_protocol {
    SESSION_EMBEDDED,
    SESSION_POSTGRES,
    SESSION_HTTP,
    SESSION_TRINO,
    SESSION_FLIGHT,
    SESSION_LIBRARY, /* a program that embeds the warehouse */
};
void session_set_protocol(struct session *session, enum session_protocol protocol);

/* What each statement checks first: that the person may still ask. A sign-in that can be renewed
 * is, and roles are those of now; with a query open it is only checked. ERR_DENIED (28000): it has
 * expired, the user is gone, the key was taken back: the session is over for good. ERR_BUSY: the
 * provider that would renew it does not answer. */
MUST_USE enum err session_check(struct session *session, struct errinfo *info);
bool session_is_over(const struct session *session);

/* What a parameter is where the statement does not say: in `SELECT $1`. */
enum query_parameter_kind {
    QUERY_PARAMETER_TEXT,
    QUERY_PARAMETER_INTEGER,
    QUERY_PARAMETER_REAL,
    QUERY_PARAMETER_BOOLEAN,
};

struct query_parameter {
    bool is_null;
    struct slice text; /* the engine converts to the type it needs */
    enum query_parameter_kind kind;
};

/* Runs one statement up to the point where its first row can be pulled: audited, admitted, started.
 * DDL and the like are done when this returns. Errors carry a position in `statement`.
 * One open query per session. */
MUST_USE enum err query_open(struct session *session, struct slice statement,
                             const struct query_parameter *parameters, size_t parameter_count,
                             struct query **ret_query, struct errinfo *info);

struct query_column {
    struct slice name;
    struct slice type; /* the engine's name of it: "BIGINT", "DECIMAL(9,2)", "VARCHAR[]" */
};

/* What a statement of the kind that takes parameters would need and give, without running it:
 * columns, and for each parameter the type that it is converted to; empty where any would do, a
 * column of such a type is "UNKNOWN". Lives in `arena`. No query may be open. */
MUST_USE enum err session_describe(struct session *session, struct slice statement,
                                   struct arena *arena, struct query_column **ret_columns,
                                   size_t *ret_column_count, struct slice **ret_parameter_types,
                                   size_t *ret_parameter_count, struct errinfo *info);

/* False: the statement has no result set, only a tag (and notices). */
bool query_has_rows(const struct query *query);
const char *query_tag(const struct query *query);    /* "SELECT", "CREATE TABLE", ... */
const char *query_notice(const struct query *query); /* one line for people, or "" */
struct slice query_id(const struct query *query);
size_t query_column_count(const struct query *query);
struct query_column query_column(const struct query *query, size_t index); /* until the end */
MUST_USE enum err query_schema(struct query *query, struct ArrowSchema *ret_schema,
                               struct errinfo *info);
/* Its client takes rows of a batch that it has: not idle (query.idle_timeout). */
void query_touch(struct query *query);
/* At the end ret_batch->release is NULL (and the end is audited). */
MUST_USE enum err query_next(struct query *query, struct ArrowArray *ret_batch,
                             struct errinfo *info);
/* ---- rows in: COPY t FROM STDIN, for protocols that have a stream of them ----
 *
 * query_open has planned it and found it a place; then query_push_begin, query_push for each batch,
 * query_push_end: nothing is in the table before. After an error, or to give up, query_close. */

bool query_takes_rows(const struct query *query);
size_t query_target_count(const struct query *query);
/* In the order in which values come. */
struct query_column query_target(const struct query *query, size_t index);
/* The schema, which is the query's from then on (also after an error), is of a struct: first a
 * number "line", an int64 that errors give back; then a column for each target, of its own type, or
 * of texts ("u") that the engine converts. */
MUST_USE enum err query_push_begin(struct query *query, struct ArrowSchema *schema,
                                   struct errinfo *info);
/* The batch likewise. Waits for room; with NULL only says whether all is well so far. */
MUST_USE enum err query_push(struct query *query, struct ArrowArray *batch, struct errinfo *info);
/* Waits until all is written; the tag is then "COPY n". */
MUST_USE enum err query_push_end(struct query *query, struct errinfo *info);
void query_push_fail(struct query *query, const struct errinfo *why); /* the data are no good */
/* The text that could not be converted (its start); false: it failed on something else. */
bool query_bad_value(const struct query *query, uint64_t *ret_line, size_t *ret_target,
                     struct slice *ret_value);

void query_cancel(struct query *query);
double query_progress(struct query *query);     /* percent, or -1 */
uint64_t query_rows(const struct query *query); /* given out so far */

/* Closing before the end counts as CANCELLED. */
void query_close(struct query *query);
DEFINE_CLEANUP(struct query, query_cleanup, query_close)

/* Cancels whatever the session is doing, also while query_open has not returned yet: for Ctrl-C.
 * Any thread, async-signal-unsafe. */
void session_cancel(struct session *session);

/* As session_cancel, and for what would come next: until session_resume, or the session's end,
 * every statement fails as cancelled. For clients that are gone, since a cancel between two calls
 * would be lost. Any thread. */
void session_stop(struct session *session);
void session_resume(struct session *session);

/* Progress of whatever the session runs now: percent, or -1. Any thread. */
double session_progress(struct session *session);

/* ---- for the shell ---- */

enum completion_kind {
    COMPLETE_RELATION,
    COMPLETE_COLUMN,
    COMPLETE_SCHEMA,
    COMPLETE_FUNCTION,
    COMPLETE_KEYWORD
};

struct completion {
    enum completion_kind kind;
    struct slice text;
};

/* Names visible to the person and keywords that start with `prefix` (fold case), sorted. */
MUST_USE enum err session_complete(struct session *session, struct slice prefix,
                                   struct arena *arena, struct completion **ret_items,
                                   size_t *ret_count, struct errinfo *info);

/* ---- policies as files ---- */

enum policy_action {
    POLICY_VALIDATE,
    POLICY_PLAN,
    POLICY_APPLY
};
/* Validates a YAML policy file against the catalog; PLAN appends the differences that APPLY
 * would make ("+ GRANT ...", "- GRANT ..."), APPLY makes them in one transaction and audits it. */
MUST_USE enum err session_policy_file(struct session *session, const char *path,
                                      enum policy_action action, struct buf *ret_report,
                                      size_t *ret_changes, struct errinfo *info);
