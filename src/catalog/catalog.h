/* Catalogs: names to relations, loaded as an identity.
 *
 * One interface, several implementations; this is the first two: `files` (registered globs of
 * Parquet, CSV and JSON; views) and the system tables. Loading does not decide visibility: the
 * planner asks policy for every loaded relation, in one place (query/plan/resolve.c). */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "identity/identity.h"
#include "sql/relation.h"
#include "storage/storage.h"
#include "system/system.h"

/* Completes a name: catalog and schema from the defaults. ERR_NOT_FOUND (3D000) for a catalog that
 * does not exist. Names fold case; the result has canonical case where known. */
MUST_USE enum err catalog_qualify(const struct sql_name *written, struct slice default_schema,
                                  struct arena *arena, struct sql_name *ret_name,
                                  struct errinfo *info);

/* Loads a registered table (with its objects listed and stat'ed now) or view as `who`.
 * `with_objects` false skips the listing. ERR_NOT_FOUND (42P01). */
MUST_USE enum err catalog_load(struct system *system, const struct identity *who,
                               const struct sql_name *name, bool with_objects, struct arena *arena,
                               struct relation *ret_relation, struct errinfo *info);

/* A file or glob named directly by the owner: format from `format` or the extension (.parquet,
 * .csv, .tsv, .json, .jsonl, .ndjson, each also .gz or .zst for text), objects listed, no columns
 * yet. ERR_DENIED unless `who` owns the warehouse and acts for themself in embedded mode. */
MUST_USE enum err catalog_load_path(const struct identity *who, struct slice pattern,
                                    const enum relation_format *format,
                                    const struct relation_option *options, size_t option_count,
                                    struct arena *arena, struct relation *ret_relation,
                                    struct errinfo *info);

/* Options a format takes in OPTIONS (...), checked and normalised: unknown ones are refused with
 * the nearest right name (22023). Only options that cannot name another file or change the
 * engine. */
MUST_USE enum err catalog_check_options(enum relation_format format,
                                        const struct relation_option *options, size_t count,
                                        struct errinfo *info);

/* Appends the engine's table function call over object URIs:
 * read_parquet(['moat://..', ...]) / read_csv([...], columns = {...}, ...) / read_json(...).
 * `uri` appends the URI of object `index`. With columns known, types are pinned. */
struct buf;
typedef void (*catalog_uri_fn)(void *context, size_t index, struct buf *out);
MUST_USE enum err catalog_source_sql(const struct relation *relation, catalog_uri_fn uri,
                                     void *context, struct buf *out, struct errinfo *info);

/* ---- system tables: information_schema.*, moat_system.* ---- */

/* What a person may see, gathered by the planner through policy. */
struct catalog_visible {
    const struct relation *relation;
    const struct relation_column *const *columns; /* visible ones */
    size_t column_count;
    bool is_bound;
    unsigned writes; /* which of PRIVILEGE_WRITE the person has */
};

/* A namespace of an attached catalog; `name.name` is empty. */
struct catalog_namespace {
    struct sql_name name;
    struct slice owner;
};

/* Who is connected and what they run, as far as a person may see it. */
struct catalog_client {
    uint32_t id;
    struct slice user;
    struct slice provider;
    struct slice protocol;
    struct slice address;
    struct slice application;
    struct slice state;
    int64_t connected_wall_us;
    int64_t state_wall_us;
    bool is_self;
};

struct catalog_running {
    uint32_t client_id; /* 0 = not of a server */
    struct slice user;
    struct slice query_id;
    struct slice state;
    struct slice command;
    struct slice statement;
    int64_t started_wall_us;
    uint64_t rows_out;
    double progress; /* percent; below 0: not known */
};

struct catalog_activity {
    const struct catalog_client *clients; /* newest first */
    size_t client_count;
    const struct catalog_running *running; /* newest first */
    size_t running_count;
    uint32_t self_id; /* the client that asks; 0 = none */
};

struct catalog_cursor {
    struct slice name;
    struct slice statement;
    bool is_holdable;
    bool is_binary;
    int64_t created_wall_us;
};

struct catalog_system_input {
    struct system *system;
    const struct identity *who;
    const struct catalog_visible *visible; /* registered relations this person may see */
    size_t visible_count;
    const struct catalog_namespace *namespaces; /* of attached catalogs, that they may know of */
    size_t namespace_count;
    const struct slice *audit_paths; /* files of the audit trail */
    size_t audit_path_count;
    const struct slice *settings_json; /* rows of moat_system.settings as JSON lines */
    struct slice default_catalog;      /* of names without one: pg_catalog's database */
    struct slice default_schema;
    struct slice only_catalog;    /* information_schema of this one alone; empty: of all */
    const struct relation *temps; /* the temporary tables of the session that asks */
    size_t temp_count;
    /* Asked only by who needs it; NULL: nobody is connected. */
    enum err (*list_activity)(void *context, const struct identity *who, struct arena *arena,
                              struct catalog_activity *ret_activity, struct errinfo *info);
    /* Of the session that asks; NULL: none. */
    enum err (*list_cursors)(void *context, struct arena *arena,
                             struct catalog_cursor **ret_cursors, size_t *ret_count,
                             struct errinfo *info);
    /* Of the session that asks: what its protocol keeps, as JSON lines. NULL: nothing. */
    void (*print_settings)(void *context, struct buf *out);
    void *activity_context;  /* of these */
    struct pg_model **model; /* made by the first of pg_catalog that needs it, for the others */
};

/* True if schema.name is a system relation. `ret_needs_grant`: readable only with a grant (audit,
 * queries of others, users, grants ...); otherwise everybody may read it and it holds only what the
 * person may see. */
bool catalog_system_find(const struct sql_name *name, bool *ret_needs_grant);

/* One of PostgreSQL's that never has rows here: loaded with whatever input. */
bool catalog_system_is_empty(const struct sql_name *name);

/* Names of all system relations, for completion and SHOW: NULL past the end. */
const struct sql_name *catalog_system_at(size_t index);

/* The number that PostgreSQL's clients know something by: `kind` is "regclass", "regtype",
 * "regproc", "regrole" or "regnamespace", `text` its name as in a cast, or the number.
 * `input` NULL: only what is the same for everybody. ERR_NOT_FOUND. */
MUST_USE enum err catalog_pg_number(const char *kind, struct slice text,
                                    const struct catalog_system_input *input, struct arena *arena,
                                    uint32_t *ret_oid, struct errinfo *info);

/* Shape (columns, uuid, kind) and, if `input` is given, rows of a system relation. */
MUST_USE enum err catalog_system_load(const struct sql_name *name,
                                      const struct catalog_system_input *input, struct arena *arena,
                                      struct relation *ret_relation, struct errinfo *info);
