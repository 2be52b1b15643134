/* Shapes inside the query module: a warehouse, a session, one query and its plan. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/hash.h"
#include "catalog/catalog.h"
#include "engine/engine.h"
#include "observe/audit.h"
#include "policy/policy.h"
#include "query/clients_int.h"
#include "query/query.h"
#include "query/resolve_int.h"
#include "query/state_int.h"
#include "sql/ast.h"
#include "sql/statement.h"
#include "sql/travel.h"
#include "storage/storage.h"
#include "system/system.h"

struct admission;
struct login_guard;
struct login_setup;
struct plan_cache;

struct warehouse {
    const struct config *config;
    char *folder;
    struct system *system;
    struct audit *audit;
    struct engine_hosts *hosts; /* NULL: the engine runs in this process */
    struct engine *engine;
    struct admission *admission;
    struct plan_cache *cache;
    struct watchdog *watchdog;
    struct login_guard *guard;
    struct clients clients;
    pthread_mutex_t setup_lock;
    struct login_setup *setup; /* under it: providers; NULL until somebody signs in from outside */
    struct iceberg_manifest_cache *manifests; /* of attached catalogs, decompressed */
    /* Stands for the grant in physical SQL, replaced at each run. Nobody outside knows it. */
    char uri_prefix[48];
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
    bool is_over;            /* the person may not ask on: sign-in ended, user gone */
    uint64_t system_version; /* of the store when `who` was last looked up in it */
    struct config *config;   /* the session's own copy: SET */
    struct engine_session *engine;
    struct client *client; /* NULL: not of a server */
    char *default_catalog; /* of names without one, with the schema: USE */
    char *default_schema;
    struct prepared *prepared;
    struct resolve_memo *memo; /* while a statement is planned, in its arena */
    struct arena *memo_arena;
    struct query *query; /* the open one, or NULL; under lock for readers on other threads */
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
    enum leak_class leak;
    const char *leak_what;  /* in words, of the statement itself; NULL = not the person's to know */
    struct slice leak_name; /* and the name after it, or empty */
    struct sql_ast *ast;    /* for carets; lives in arena */
    struct sql_travel travel; /* positions in `ast` to those in the statement */
    uint64_t key;
    uint64_t system_version;
};

void plan_unref(struct plan *plan);
DEFINE_CLEANUP(struct plan, plan_cleanup, plan_unref)

/* Parses, resolves, secures and plans `text` for the session's person; moves `query` through the
 * states on the way when it is not NULL. */
MUST_USE enum err plan_build(struct session *session, struct query *query, struct slice text,
                             struct plan **ret_plan, struct errinfo *info);

/* One table of rows that Moat made: columns and JSON lines, as a plan of its own. */
MUST_USE enum err plan_rows(struct session *session, const struct relation_column *columns,
                            size_t column_count, struct slice json_lines, struct plan **ret_plan,
                            struct errinfo *info);

/* ---- access: the objects of a plan behind one engine grant ---- */

struct access;

/* With one writable sink when `sink_path` is given. */
MUST_USE enum err access_open(struct warehouse *warehouse, const struct identity *who,
                              const struct plan *plan, const char *sink_path,
                              struct access **ret_access, struct errinfo *info);
/* As above for loose objects, of which the person may see all. */
MUST_USE enum err access_open_objects(struct warehouse *warehouse, const struct identity *who,
                                      const struct relation_object *const *objects,
                                      size_t object_count, struct access **ret_access,
                                      struct errinfo *info);
void access_close(struct access *access);
DEFINE_CLEANUP(struct access, access_cleanup, access_close)
/* Physical SQL with the plan's placeholder replaced by the living grant. */
MUST_USE enum err access_bind(const struct access *access, struct slice physical_sql,
                              struct buf *ret_sql);
uint64_t access_bytes_read(const struct access *access, size_t object_first, size_t object_count);
/* For EXPLAIN: the files of each lake whose files nobody has asked for yet. */
MUST_USE enum err access_plan_lakes(struct access *access, struct errinfo *info);
struct lake_scan_counts access_lake_work(const struct access *access, size_t lake);
void access_sink_uri(const struct access *access, struct buf *ret_uri);
MUST_USE enum err access_sink_finish(struct access *access, struct errinfo *info);
/* The placeholder URI of object `index`, as catalog_source_sql wants it. */
struct access_uri_context {
    const struct warehouse *warehouse;
    const struct relation *relation;
    size_t object_first;
};
void access_placeholder_uri(void *context, size_t index, struct buf *out);

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
    bool is_admitted;
    bool has_rows;
    struct plan *plan;
    struct access *access;
    struct engine_query *engine;
    atomic_bool is_cancelled;
    atomic_bool is_timed_out;
    int64_t deadline_us; /* monotonic; 0 = none */
    uint64_t rows_out;
    uint64_t bytes_out;
    uint64_t rows_max;
    uint64_t bytes_max;
    char sqlstate[6];
};

/* Takes a built plan through ADMITTED and RUNNING. */
MUST_USE enum err query_run(struct query *query, struct plan *plan,
                            const struct engine_parameter *parameters, size_t parameter_count,
                            struct errinfo *info);

/* Runs SELECT text of Moat's own making (SHOW and the like) as the session's person. */
MUST_USE enum err query_run_text(struct query *query, struct slice text, struct errinfo *info);

/* Runs rows that Moat made as the result. */
MUST_USE enum err query_run_rows(struct query *query, const struct relation_column *columns,
                                 size_t column_count, struct slice json_lines,
                                 struct errinfo *info);

/* ERR_CANCELLED or ERR_TIMEOUT if somebody asked for it. */
MUST_USE enum err query_check_cancelled(struct query *query, struct errinfo *info);

/* If `info` is the engine's complaint about a file that is not what its table was registered as, it
 * is replaced by which file and what of it (for who may administer the table), and true. */
bool files_explain(struct query *query, struct errinfo *info);
/* Names the files in the engine's words, where the person may know them, and shortens those. */
void files_polish(const struct query *query, struct errinfo *info);

/* What may be told about a failure where a policy applies. */
void query_clean_error(const struct query *query, bool is_bind_error, struct errinfo *info);

/* Appends settings as JSON lines: all, or `only` one; as the session's person may see them. */
void session_print_settings(const struct session *session, const enum config_key *only,
                            struct buf *lines);
void session_drop_prepared(struct session *session, struct slice name);

/* ---- admission, cache, watchdog ---- */

MUST_USE enum err admission_new(const struct config *config, struct admission **ret_admission,
                                struct errinfo *info);
void admission_free(struct admission *admission);
/* Waits for a place; fails with ERR_BUSY (53300, 53400) or as query_check_cancelled says. */
MUST_USE enum err admission_enter(struct admission *admission, struct query *query,
                                  struct errinfo *info);
void admission_leave(struct admission *admission, struct query *query);
void admission_wake(struct admission *admission); /* a waiter may have been cancelled */

MUST_USE enum err plan_cache_new(struct plan_cache **ret_cache, struct errinfo *info);
void plan_cache_free(struct plan_cache *cache);
struct plan *plan_cache_get(struct plan_cache *cache, uint64_t key, struct slice text,
                            uint64_t system_version, const struct identity *who);
void plan_cache_put(struct plan_cache *cache, struct plan *plan, struct slice text);

MUST_USE enum err watchdog_new(struct watchdog **ret_watchdog, struct errinfo *info);
void watchdog_free(struct watchdog *watchdog);
void watchdog_add(struct watchdog *watchdog, struct query *query);
void watchdog_remove(struct watchdog *watchdog, struct query *query);
