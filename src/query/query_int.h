/* Shapes inside the query module: a warehouse, a session, one query and its plan. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/cancellation.h"
#include "catalog/catalog.h"
#include "engine/engine.h"
#include "observe/audit.h"
#include "observe/metrics.h"
#include "policy/policy.h"
#include "query/plan/access_int.h"
#include "query/admission/clients_int.h"
#include "query/query.h"
#include "query/plan/resolve_int.h"
#include "query/state_int.h"
#include "query/temp/temp_int.h"
#include "query/workspace_int.h"
#include "sql/ast.h"
#include "sql/statement.h"
#include "sql/travel.h"
#include "storage/storage.h"
#include "system/system.h"
#include "system/transaction.h"

struct admission;
struct copy_in; /* run_copy_in.c */
struct fair_ticket;
struct login_guard;
struct login_setup;
struct plan_cache;
struct session_limits;

struct warehouse {
    const struct config *config;
    char *folder;
    struct system *system;
    struct audit *audit;
    struct metrics *metrics;
    atomic_uint session_count;
    int64_t started_wall_us;
    struct engine_hosts *hosts; /* NULL: the engine runs in this process */
    struct engine *engine;
    struct spill *spill; /* where it spills; NULL: nowhere */
    struct admission *admission;
    struct plan_cache *cache;
    struct watchdog *watchdog;
    struct login_guard *guard;
    struct clients clients;
    pthread_mutex_t setup_lock;
    struct login_setup *setup; /* under it: providers; NULL until somebody signs in from outside */
    struct iceberg_manifest_cache *manifests; /* of attached catalogs, decompressed */
    struct storage_remote *_Atomic stores;    /* NULL until a catalog of one is used */
    struct rest *_Atomic rest;                /* NULL until one of its catalogs is */
    char uri_prefix[48]; /* stands for the grant in physical SQL; nobody outside knows it */
    struct sql_limits limits;
};

/* A login that succeeded. */
MUST_USE enum err warehouse_audit_login(struct warehouse *warehouse, const struct identity *who,
                                        struct errinfo *info);

struct prepared {
    struct prepared *next;
    char *name;
    char *text;
};

struct session {
    struct warehouse *warehouse;
    struct identity *who;
    struct identity *printed; /* whom `audit_who` is about; held */
    struct buf audit_who;     /* what records say of them */
    enum session_protocol protocol;
    bool is_over;            /* the person may not ask on: sign-in ended, user gone */
    uint64_t system_version; /* of the store when `who` was last looked up in it */
    struct config *config;   /* the session's own copy: SET */
    struct engine_session *engine;
    struct client *client; /* NULL: not of a server */
    char *default_catalog; /* of names without one, with the schema: USE */
    char *default_schema;
    struct session_limits *limits; /* NULL until its first statement */
    struct prepared *prepared;
    struct workspace *workspace; /* shared with forks */
    struct resolve_memo *memo;   /* while a statement is planned, in its arena */
    struct arena *memo_arena;
    const struct plan_target *target; /* while a statement's changed rows are asked for; or NULL */
    struct slice raw_uuid; /* while rows of this table are planned to be written again; or empty */
    const struct plan_staged *staged;    /* while staged rows are counted under a table's filter */
    const struct resolve_wanted *wanted; /* what the statement can be about; NULL: anything */
    struct rest_ahead *ahead;            /* tables on their way while names are resolved; or NULL */
    struct query *query; /* the open one, or NULL; under lock for readers on other threads */
    atomic_bool is_stopped;
    pthread_mutex_t lock;
};

/* ---- the plan: immutable once built, shared through the cache ---- */

/* A table of a lake in a plan: its scans are "s<first>" and on. */
struct plan_lake {
    const struct lake_source *source;
    size_t scan_first;
};

struct plan_table {
    struct relation *relation;
    struct sql_name pattern_name; /* to list again */
    const struct identity *who;   /* as whom it was loaded (held by the plan) */
    size_t object_first;          /* its objects in plan->objects */
    size_t object_count;
    size_t scan; /* tables of a lake: their number in plan->lakes */
    struct audit_table audit;
    bool is_mentioned_before; /* shares its objects, whose bytes count at the first mention */
    bool is_bound;
    bool is_narrowed; /* some of its columns are absent for the person */
};

struct plan {
    atomic_int references;
    struct arena *arena;
    struct slice physical_sql; /* URIs start with warehouse->uri_prefix */
    struct plan_table *tables;
    size_t table_count;
    const struct relation_object **objects;
    size_t object_count;
    struct plan_lake *lakes; /* one for each version of a table and person */
    size_t lake_count;
    size_t scan_count;            /* of all lakes */
    struct identity **identities; /* held: the caller and definers */
    size_t identity_count;
    bool is_bound;   /* some hidden value could be at stake */
    bool is_partial; /* columns of a text file are withheld, and its errors quote whole lines */
    bool has_barrier;
    bool is_cacheable;
    bool reads_nothing; /* no table, view, file or row of Moat's own: nobody is shown any data */
    bool is_constant;   /* and it gives the same rows each time */
    _Atomic(struct constant *) constant; /* these rows, once the engine has said them */
    enum leak_class leak;
    const char *leak_what;  /* in words, of the statement itself; NULL = not the person's to know */
    struct slice leak_name; /* and the name after it, or empty */
    struct sql_ast *ast;    /* for carets; lives in arena */
    struct temp_set *temps; /* held: temporary tables that it may read */
    const struct plan_node *root; /* the statement; NULL for rows that Moat made */
    struct sql_travel travel;     /* positions in `ast` to those in the statement */
    uint64_t key;
    uint64_t system_version;
    /* Of one that was put into the cache: */
    struct slice audit_statement;
    uint64_t fingerprint;
    const char *tag; /* NULL: its text is no statement by itself */
};

void plan_unref(struct plan *plan);
DEFINE_CLEANUP(struct plan, plan_cleanup, plan_unref)

/* ---- constant.c: rows of a statement that gives the same each time ---- */

struct constant;
void constant_free(struct constant *constant);
DEFINE_CLEANUP(struct constant, constant_cleanup, constant_free)
/* Pulls what the query's engine gives; its plan keeps that if it is small, else it is in
 * query->pulled, to be given out first. */
MUST_USE enum err constant_keep(struct query *query, struct errinfo *info);
size_t constant_column_count(const struct constant *constant);
struct query_column constant_column(const struct constant *constant, size_t index);
/* Of a plan that has a constant: views, which hold the plan until they are released. */
void constant_batch(struct plan *plan, struct ArrowArray *ret_batch);
void constant_schema(struct plan *plan, struct ArrowSchema *ret_schema);

/* Parses, resolves, secures and plans `text` as the person; moves `query` (may be NULL) along. */
MUST_USE enum err plan_build(struct session *session, struct query *query, struct slice text,
                             struct plan **ret_plan, struct errinfo *info);

/* A plan of this text in the cache that is as good as new, held; or NULL. */
struct plan *plan_find(struct session *session, struct slice text, uint64_t system_version);
/* Takes the query through SECURED and PLANNED with a plan that was found. */
MUST_USE enum err plan_take(struct query *query, struct plan *plan, struct errinfo *info);

/* One table of rows that Moat made: columns and JSON lines, as a plan of its own. */
MUST_USE enum err plan_rows(struct session *session, const struct relation_column *columns,
                            size_t column_count, struct slice json_lines, struct plan **ret_plan,
                            struct errinfo *info);

/* ---- one query ---- */

struct query {
    struct session *session;
    struct arena *arena;
    char id[UUID_TEXT_BYTES];
    enum query_state state;
    int64_t entered_us[QUERY_STATE_COUNT]; /* monotonic; 0 = never */
    struct slice statement;                /* as sent */
    struct slice audit_statement;          /* redacted */
    uint64_t fingerprint;
    struct running running; /* its part of the list of clients */
    const char *tag;
    char notice[256];
    bool is_admin; /* audited as administration */
    bool is_start_audited;
    bool is_ending; /* of a transaction block: its failure is none of the block */
    bool has_rows;
    struct fair_ticket *ticket; /* its place; NULL: none */
    uint64_t memory_bytes;      /* granted with it; 0 = no limit of its own */
    struct plan *plan;
    struct access *access;
    struct plan *returning; /* of its rows, if those are not the plan's; with their access */
    struct access *returning_access;
    struct engine_query *engine;
    struct ArrowArray pulled; /* already, but not given out */
    bool takes_constant;      /* SELECT by itself: what wraps one (COPY, EXPLAIN) runs it */
    bool is_answered;         /* from the plan's constant: the record of its end is its only one */
    bool is_given;            /* that constant, by query_next */
    const struct audit_write *write; /* of one that writes a table of a lake; in the arena */
    struct copy_in *copy_in;         /* of one that takes rows; set under the session's lock */
    const char *marker;    /* of errors that Moat raises itself, and tells in its own words */
    bool may_change_temps; /* which are `temps_before` again if it fails */
    struct temp_set *temps_before; /* held */
    atomic_bool is_cancelled;
    atomic_bool is_timed_out;
    int64_t deadline_us;              /* monotonic; 0 = none */
    struct cancellation cancellation; /* of the threads that work for it, by these */
    _Atomic uint64_t step,
        step_count; /* of work that no engine does; a count of 0: there is none */
    uint64_t rows_out;
    uint64_t bytes_out;
    uint64_t rows_max, bytes_max;
    char sqlstate[6];
};

/* Takes a built plan through ADMITTED and RUNNING. */
MUST_USE enum err query_run(struct query *query, struct plan *plan,
                            const struct engine_parameter *parameters, size_t parameter_count,
                            struct errinfo *info);

/* Runs SELECT text of Moat's own making (SHOW and the like) as the session's person. */
MUST_USE enum err query_run_text(struct query *query, struct slice text, struct errinfo *info);

MUST_USE enum err query_run_rows(struct query *query, const struct relation_column *columns,
                                 size_t column_count, struct slice json_lines,
                                 struct errinfo *info);
/* The engine's next batch, counted against the query's limits. */
MUST_USE enum err query_pull(struct query *query, struct ArrowArray *ret_batch,
                             struct errinfo *info);

/* Runs `sql`, which is bound and names nothing of the person's own, as the query's engine query:
 * what a cancel then stops. Without a message that tells more than they may know. */
MUST_USE enum err query_engine_open(struct query *query, struct slice sql, struct errinfo *info);
void query_engine_close(struct query *query); /* if it has one */

/* ERR_CANCELLED or ERR_TIMEOUT if somebody asked for it. */
MUST_USE enum err query_check_cancelled(struct query *query, struct errinfo *info);
/* Of work that takes `count` steps, `step` are done: who asks for the query's progress is told. */
void query_note_step(struct query *query, uint64_t step, uint64_t count);
/* percent, or -1; the session's lock is held */
double query_percent(struct query *query);
/* With the session's lock held. */
void query_cancel_locked(struct query *query);
void query_explain_principal(const struct query *query, struct errinfo *info); /* is not there */
/* What may be told about a failure where a policy applies. */
void query_clean_error(const struct query *query, bool is_bind_error, struct errinfo *info);

/* Appends settings as JSON lines: all, or `only` one; as the session's person may see them. */
void session_print_settings(const struct session *session, const enum config_key *only,
                            struct buf *lines);
void session_drop_prepared(struct session *session, struct slice name);

/* ---- cache (admission: admission_int.h, watchdog: watchdog_int.h) ---- */

MUST_USE enum err plan_cache_new(struct plan_cache **ret_cache, struct errinfo *info);
void plan_cache_free(struct plan_cache *cache);
struct plan *plan_cache_get(struct plan_cache *cache, uint64_t key, struct slice text,
                            uint64_t system_version, const struct identity *who);
void plan_cache_put(struct plan_cache *cache, struct plan *plan, struct slice text);
