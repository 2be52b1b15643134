/* Attached catalogs and their tables as the planner knows them.
 *
 * A table of a lake is loaded anew for each statement, as the person; what policy decides by is
 * its UUID and its field ids, which no rename changes. */
#pragma once

#include "base/arena.h"
#include "catalog/iceberg.h"
#include "lake/scan.h"
#include "query/query_int.h"

/* ---- attached catalogs (attached.c) ---- */

struct attached {
    struct catalog_iceberg catalog;
    struct slice owner;
    bool creates;          /* ATTACH is to make the catalog's file */
    enum rest_lends lends; /* REST: as it was found when it was attached */
};

#define ATTACHED_LENDS "LENDS" /* the option of a kept catalog that `lends` stands in */

/* What the literal of an option says, as a text. ERR_INVALID (22023). */
MUST_USE enum err attached_text(const struct relation_option *option, struct arena *arena,
                                struct slice *ret_text, struct errinfo *info);
/* What ATTACH says, checked: type, options, location. ERR_INVALID (22023) with "did you mean". */
MUST_USE enum err attached_read(struct session *session, const struct system_catalog *kept,
                                struct arena *arena, struct attached *ret_attached,
                                struct errinfo *info);
/* All, for an identity that asks; whether it may know of one is the resolver's question. */
MUST_USE enum err attached_all(struct session *session, const struct identity *who,
                               struct arena *arena, struct attached **ret_attached,
                               size_t *ret_count, struct errinfo *info);
/* NULL if there is none of that name. */
MUST_USE enum err attached_find(struct session *session, const struct identity *who,
                                struct slice name, struct arena *arena,
                                const struct attached **ret_attached, struct errinfo *info);

/* ---- tables (lake_table.c) ---- */

/* The uuid of what has none: nothing can be granted on it. */
#define LAKE_NO_IDENTITY "(none)"

/* Which version of a table. */
struct lake_travel {
    enum {
        TRAVEL_NOW,
        TRAVEL_SNAPSHOT,
        TRAVEL_REF,
        TRAVEL_TIME
    } kind;
    int64_t value;    /* snapshot id; milliseconds since 1970 */
    struct slice ref; /* branch or tag */
};

/* They tell bounds, counts and paths of all rows: for those who see all of the table. */
enum lake_metadata_kind {
    LAKE_SNAPSHOTS,
    LAKE_HISTORY,
    LAKE_REFS,
    LAKE_METADATA_LOG_ENTRIES,
    LAKE_STATISTICS,
    LAKE_PROPERTIES,
    LAKE_MANIFESTS,
    LAKE_ALL_MANIFESTS,
    LAKE_ENTRIES,
    LAKE_ALL_ENTRIES,
    LAKE_FILES,
    LAKE_DATA_FILES,
    LAKE_DELETE_FILES,
    LAKE_ALL_FILES,
    LAKE_ALL_DATA_FILES,
    LAKE_ALL_DELETE_FILES,
    LAKE_PARTITIONS,
    LAKE_METADATA_COUNT
};

struct lake_table {
    const struct attached *attached;
    const struct identity *who; /* as whom it was loaded; held by the plan or longer */
    struct catalog_iceberg_table loaded;
    struct lake_travel travel;               /* what chose the snapshot */
    const struct iceberg_snapshot *snapshot; /* NULL: a table without any */
    const struct iceberg_schema *schema;
    bool wants_history;   /* how it was loaded */
    struct iceberg_io io; /* reads as `who`, inside the catalog's folders only */
};

/* A loaded table or view, before its version is chosen. */
struct lake_open {
    struct lake_table table;
    struct lake_travel travel; /* as asked, or as the name says ("t$branch_x") */
    bool is_metadata;          /* "t$files" */
    enum lake_metadata_kind metadata;
};

/* Begins what lake_open will ask a catalog elsewhere. */
void lake_open_ahead(const struct attached *attached, const struct identity *who, struct slice ns,
                     struct slice name, const struct lake_travel *travel);
/* Loads as `who`. ERR_NOT_FOUND (42P01). Whether `who` may know of it is not decided here, and
 * neither may they read an error of this before it is. `travel` NULL: now. */
MUST_USE enum err lake_open(const struct attached *attached, const struct identity *who,
                            struct slice ns, struct slice name, const struct lake_travel *travel,
                            struct arena *arena, struct lake_open *ret_open, struct errinfo *info);
/* What policy is asked about first: the table as it is now; for a metadata table, which tells of
 * all columns that ever were, with all of them. */
MUST_USE enum err lake_now(const struct lake_open *open, struct arena *arena,
                           struct relation *ret_relation, struct errinfo *info);
/* The version asked for. ERR_NOT_FOUND for one that is gone or never was, saying what there is. */
MUST_USE enum err lake_version(const struct lake_open *open, struct arena *arena,
                               struct relation *ret_relation, struct errinfo *info);
/* Begins what lake_is_current will ask. */
void lake_check_ahead(struct session *session, const struct relation *relation);
/* The metadata that the plan was made with is still what the catalog gives `who`. */
bool lake_is_current(struct session *session, const struct relation *relation);

/* Begins to ask catalogs elsewhere for what is about to be resolved, side by side: session->ahead
 * holds it. Nothing is said of what goes wrong; resolving says it. */
struct resolve_name {
    struct sql_name name;
    struct lake_travel travel;
};
void resolve_ahead(struct session *session, const struct identity *who,
                   const struct resolve_name *names, size_t count, struct arena *arena);

/* Which snapshot is read and what was asked for; nothing for relations that are of no lake. */
MUST_USE enum err lake_fill_audit(const struct relation *relation, struct arena *arena,
                                  struct audit_table *out, struct errinfo *info);

MUST_USE enum err lake_type_text(const struct iceberg_type *type, struct slice column,
                                 struct arena *arena, struct slice *ret_text, struct errinfo *info);
/* As above, or Iceberg's own name of a type that the engine has not. */
MUST_USE enum err lake_type_name(const struct iceberg_type *type, struct arena *arena,
                                 struct slice *ret_text, struct errinfo *info);
MUST_USE enum err lake_choose_version(struct lake_table *table, const struct lake_travel *travel,
                                      struct errinfo *info);

/* ---- the catalog's own policy (lake_restrict.c) ---- */

/* Leaves of what ours shows what the table's catalog allows too; refuses what is not understood.
 * Nothing for relations that are of no lake. */
MUST_USE enum err lake_restrict(const struct relation *relation, struct arena *arena,
                                struct policy_effective *effective, struct errinfo *info);

/* ---- reports (lake_report.c) ---- */

/* Of what a statement read, whose access is still open, to catalogs that want to know. */
struct query;
void lake_report_scans(const struct query *query);

/* ---- metadata tables (lake_metadata.c) ---- */

/* "snapshots", "files" and their like, folding case. */
bool lake_metadata_find(struct slice name, enum lake_metadata_kind *ret_kind);
/* Columns as Iceberg documents them, and rows: one object of JSON lines. `now` is what lake_now
 * gave of the table; it may be what `ret_relation` points to. */
MUST_USE enum err lake_metadata_load(const struct lake_open *open, const struct relation *now,
                                     struct arena *arena, struct relation *ret_relation,
                                     struct errinfo *info);
/* JSON has no bytes: columns with BLOBs in them are read as texts with escapes, and cast. */
bool lake_metadata_is_text(const struct relation *relation, const struct relation_column *column);
/* The relation as its JSON lines are read; any other relation is given back as it is. */
MUST_USE enum err lake_metadata_source(const struct relation *relation, struct arena *arena,
                                       struct relation *ret_source, struct errinfo *info);

/* ---- EXPLAIN (lake_explain.c) ---- */

/* False where counts, or the engine's tree over a table's scans, would tell of rows or columns that
 * are not the person's. */
bool lake_may_explain(const struct plan *plan);
/* Appends what planning of each table's files came to, a line each; nothing unless
 * lake_may_explain. `access` has been asked for its files, or `has_run`. */
void lake_explain(const struct plan *plan, const struct access *access, bool has_run,
                  struct buf *out);

/* ---- scans (lake_source.c) ---- */

/* What the table is read from: its list of manifests and its delete manifests are looked at. */
MUST_USE enum err lake_table_source(const struct lake_table *table, struct arena *arena,
                                    const struct lake_source **ret_source, struct errinfo *info);
