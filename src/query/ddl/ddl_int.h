/* Statements that change what a table of a lake is: its shape, its references, its snapshots. */
#pragma once

#include "catalog/iceberg_commit.h"
#include "iceberg/evolve.h"
#include "query/lake/lake_int.h"
#include "query/run/run_lake_int.h"

/* One statement's change of one table; lives on its stack. */
struct ddl {
    struct query *query;
    const struct attached *attached;
    struct catalog_iceberg catalog; /* asked in the name of this statement, for all snapshots */
    struct slice ns, name, uuid;    /* as the catalog has them */
    const struct iceberg_metadata *metadata; /* as it was loaded last */
    struct slice location;                   /* of its document */
    struct arena *loaded;                    /* what both live in */
    struct iceberg_io io;
    struct iceberg_output output;
    struct audit_write audit;
    bool is_unknown; /* whether it was committed: then nothing may be removed */
};

/* Finds the table, for who may write it, and loads it. Errors as of dml_find. */
MUST_USE enum err ddl_open(struct query *query, const struct sql_name *name, struct ddl *ddl,
                           struct errinfo *info);
MUST_USE enum err ddl_reload(struct ddl *ddl, struct errinfo *info);
void ddl_close(struct ddl *ddl);

/* Says what to commit, against ddl->metadata; lives in `arena`. No updates: nothing is to be done.
 * What it creates it removes again when it fails. */
struct ddl_change {
    const char *operation; /* for the audit */
    enum err (*build)(void *context, struct ddl *ddl, struct arena *arena,
                      struct slice *ret_requirements, struct slice *ret_updates,
                      struct errinfo *info);
    /* The last build lost, surely: removes what it created. NULL: it creates nothing. */
    void (*undo)(void *context, struct ddl *ddl);
    void *context;
};
/* Commits; against what the table is then if somebody else is first, a bounded number of times.
 * ERR_IO (40003) when nobody knows whether it was done: then nothing may be removed. */
MUST_USE enum err ddl_commit(struct ddl *ddl, const struct ddl_change *change, bool *ret_is_changed,
                             struct errinfo *info);

/* ---- words ---- */

/* "bucket[16]" for bucket(16, a); ERR_INVALID (22023). */
MUST_USE enum err ddl_transform(const struct statement_transform *item, struct arena *arena,
                                struct slice *ret_text, struct errinfo *info);
/* The parts of a dotted name: one, if the schema has a column that is called so. */
MUST_USE enum err ddl_path(const struct iceberg_schema *schema, struct slice dotted,
                           struct arena *arena, struct iceberg_path *ret_path,
                           struct errinfo *info);
/* What a literal says, as a text. */
MUST_USE enum err ddl_literal(struct slice literal, struct arena *arena, struct slice *ret_text,
                              struct errinfo *info);
MUST_USE enum err ddl_sorts(const struct iceberg_schema *schema, const struct statement_sort *sorts,
                            size_t count, struct arena *arena, struct iceberg_sort_want **ret_wants,
                            struct errinfo *info);

/* ---- changes of references, printed (ddl_ref.c) ---- */

/* Appends one requirement and one update, each after a comma if there is one before. */
MUST_USE enum err ddl_print_ref(const struct ddl *ddl, const struct statement_alter *alter,
                                struct buf *requirements, struct buf *updates,
                                struct errinfo *info);
/* [{"type":"assert-table-uuid",...} */
void ddl_print_uuid(const struct ddl *ddl, struct buf *out);
/* ,{"type":"assert-ref-snapshot-id",...}; `id` ICEBERG_NO_ID: it is not there. */
void ddl_print_ref_requirement(struct slice name, int64_t id, struct buf *out);
/* {"action":"set-snapshot-ref",...} with what `kept` (may be NULL) says of retention. */
void ddl_print_set_ref(struct slice name, int64_t snapshot_id, const struct iceberg_ref *kept,
                       struct buf *out);

/* ---- statements ---- */

MUST_USE enum err ddl_alter(struct query *query, const struct statement *statement,
                            struct errinfo *info);
MUST_USE enum err ddl_comment(struct query *query, const struct statement *statement,
                              struct errinfo *info);
MUST_USE enum err ddl_create_view(struct query *query, const struct statement *statement,
                                  const struct attached *attached, struct errinfo *info);
/* `ret_is_view` false: the name is of no view, and nothing was done. */
MUST_USE enum err ddl_comment_view(struct query *query, const struct statement *statement,
                                   const struct attached *attached, bool *ret_is_view,
                                   struct errinfo *info);
/* CREATE TABLE, appended, so that it makes such a table again. */
MUST_USE enum err ddl_print_create(const struct relation *relation, struct arena *arena,
                                   struct buf *out, struct errinfo *info);
/* The attached catalog that a name is in, whoever asks; NULL: none. */
MUST_USE enum err ddl_target(struct query *query, const struct sql_name *name,
                             const struct attached **ret_attached, struct errinfo *info);
/* That all files of all branches say that the field has no nulls. */
MUST_USE enum err ddl_has_no_nulls(const struct ddl *ddl, int32_t field_id, bool *ret_is_proven,
                                   struct errinfo *info);
