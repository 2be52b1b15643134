/* Statements that write tables of attached catalogs: from a secured SELECT to a commit. */
#pragma once

#include "catalog/iceberg_commit.h"
#include "lake/write.h"
#include "query/lake/lake_int.h"
#include "query/plan/plan_int.h"
#include "query/run/run_lake_int.h"

#define DML_ORPHANS_NAMED 8 /* of the objects that a failure leaves behind */

struct dml_file;
struct lake_rows;

/* One statement's writing of one table; lives on its stack, all it points to in query->arena. */
struct dml {
    struct query *query;
    const struct attached *attached;
    struct catalog_iceberg catalog; /* asked in the name of this statement */
    struct slice ns, name;          /* as the catalog has them */
    struct slice uuid;
    const struct relation *relation;            /* NULL: the table is being made */
    struct policy_effective effective;          /* of the person, on it */
    bool is_partial;                            /* some of it is hidden from them */
    struct plan_target target;                  /* what a SELECT calls it, and where its rows are */
    struct slice kept_file, kept_pos, kept_row; /* what the SELECT gives these as */
    const struct iceberg_metadata *metadata;    /* as it was loaded */
    struct slice branch;                        /* that the statement changes; empty = main */
    int64_t head_id; /* the branch's snapshot then; ICEBERG_NO_ID = none */
    struct iceberg_io io;
    struct iceberg_output output;
    struct lake_write write;
    struct slice creation; /* updates that make the table: a JSON array; empty = it is there */
    struct slice required; /* what they require of the table that is there; empty = none is */
    const struct lake_subset *subset; /* of the table that is read for rewriting; NULL: none */
    struct access *rewriting;         /* its access */
    const char
        *reads_rows; /* delete, update, merge: which properties say how; NULL: it only adds */
    /* What the rows of it satisfy that the statement has read; NULL: nobody noted it. */
    const struct iceberg_expression *condition;
    const struct slice *removed; /* data files that the commit takes away */
    size_t removed_count;
    struct iceberg_file *deletes; /* delete files that it brings */
    size_t delete_count;
    struct slice *replaced; /* data files whose vectors are written anew */
    size_t replaced_count;
    struct slice *delete_locations; /* objects that were made for them */
    size_t delete_location_count;
    struct slice data_folder;
    pthread_mutex_t lock; /* of `files` */
    pthread_mutex_t finishing;
    struct dml_file **files;
    size_t file_count;
    struct lake_written_list written;
    struct iceberg_file *added; /* `written`, with their paths */
    size_t added_count;
    uint64_t rows;
    struct audit_write audit;
    bool is_committed;
    bool is_unknown; /* whether it was committed: then nothing may be removed */
    struct errinfo *info;
    size_t orphan_count; /* new objects that could not be removed */
    struct slice orphans[DML_ORPHANS_NAMED];
};

/* ---- dml.c: rows to files ---- */

/* The bits of PRIVILEGE_WRITE that the statement needs. */
unsigned dml_rights(const struct statement *statement);
/* The columns of a table of a lake that the person sees, for who has the rights. Errors as of
 * dml_open. */
MUST_USE enum err dml_columns(struct session *session, const struct sql_name *name, unsigned needed,
                              struct arena *arena, const struct relation_column **ret_columns,
                              size_t *ret_count, struct errinfo *info);

/* The table of a lake whose shape or files a statement changes, for who administers it and sees all
 * of it: ERR_NOT_FOUND (42P01), ERR_DENIED. */
struct resolved;
MUST_USE enum err dml_find(struct session *session, const struct sql_name *name,
                           struct arena *arena, struct resolved *ret_resolved,
                           struct errinfo *info);

/* Finds the table that a statement changes, for who has the rights `needed`; `replaces_all`: and
 * sees all of it. ERR_NOT_FOUND (42P01), ERR_DENIED, ERR_UNSUPPORTED. */
MUST_USE enum err dml_open(struct query *query, const struct sql_name *name, unsigned needed,
                           bool replaces_all, struct dml *dml, struct errinfo *info);
/* The same for a table that is not there yet, in a catalog of `attached`. */
MUST_USE enum err dml_open_new(struct query *query, const struct attached *attached,
                               const struct sql_name *name, struct dml *dml, struct errinfo *info);
/* Sets `metadata`, and what is written by it. */
MUST_USE enum err dml_use(struct dml *dml, const struct iceberg_metadata *metadata,
                          struct errinfo *info);
/* Plans `select`, which gives the table's kept columns in order, as the person, and runs it into
 * new data files: `added`, `rows`. */
MUST_USE enum err dml_write(struct dml *dml, struct slice select, struct errinfo *info);
/* The same without a word to the person's rights, for rows of `subset` that are written again:
 * after a statement that was secured. */
MUST_USE enum err dml_rewrite(struct dml *dml, struct slice select, struct errinfo *info);
/* The rows of a plan of ours likewise. */
MUST_USE enum err dml_rewrite_plan(struct dml *dml, const struct plan *plan, struct errinfo *info);
/* ERR_BUSY (40001) unless the plan reads the table as `metadata` has it. */
MUST_USE enum err dml_check_plan(const struct dml *dml, const struct plan *plan,
                                 struct errinfo *info);
/* Removes what was not committed. */
void dml_close(struct dml *dml);

/* ---- dml_partial.c ---- */

/* "catalog"."namespace"."table", of the branch that is changed: for texts of ours. */
void dml_print_stored(const struct dml *dml, struct buf *out);
/* Whether field `index` of the table is not there for the person. */
bool dml_is_hidden(const struct dml *dml, size_t index);

/* ---- dml_commit.c ---- */

/* Makes a snapshot of `added` the head of the table, or of a table that it makes. */
MUST_USE enum err dml_commit(struct dml *dml, const char *operation, bool removes_all,
                             struct errinfo *info);

/* The same, with the operation that it comes to; nothing where nothing changes. */
MUST_USE enum err dml_commit_rows(struct dml *dml, struct errinfo *info);

/* dml_conflict.c: what was read of the table by a plan of this statement, whose access is open. */
MUST_USE enum err dml_note_reads(struct dml *dml, const struct access *access,
                                 const struct plan *plan, struct errinfo *info);
/* ERR_BUSY (40001) unless what the statement has read is still so in the table of `now`, at the
 * snapshot `head_id` of its branch, as far as the table's isolation level asks for it. */
MUST_USE enum err dml_check_reads(const struct dml *dml, const struct iceberg_metadata *now,
                                  int64_t head_id, bool removes_all, struct errinfo *info);

/* dml_schema.c: ERR_BUSY (40001) when `added` lacks what the schema of now demands of all rows. */
MUST_USE enum err dml_check_schema(const struct dml *dml, const struct iceberg_metadata *now,
                                   struct errinfo *info);

/* A table that is made without rows. */
MUST_USE enum err dml_commit_creation(struct dml *dml, struct errinfo *info);

/* ---- dml_orphan.c ---- */

/* Removes a new object that nothing names. What cannot be removed is told at the end. */
void dml_discard(struct dml *dml, struct slice location);
void dml_tell_orphans(struct dml *dml);

/* ---- dml_create.c ---- */

MUST_USE enum err dml_create(struct query *query, const struct statement *statement,
                             struct errinfo *info);

/* ---- dml_type.c ---- */

/* run_declared_types, with types that only tables of a lake have (geometry, geography) as they are
 * written, at any depth. */
MUST_USE enum err dml_declared_types(struct query *query, const struct statement *statement,
                                     struct engine_column **ret_columns, size_t *ret_count,
                                     struct errinfo *info);

/* ---- dml_insert.c ---- */

/* The columns of a query, by binding it; errors point into the statement. */
MUST_USE enum err dml_describe(struct query *query, struct slice text,
                               struct engine_column **ret_columns, size_t *ret_count,
                               struct errinfo *info);
/* SELECT CAST(v.c1 AS type) AS "name" ... FROM (query) AS v (c1 ...); `from`: which column of the
 * query a column of the table gets, SIZE_MAX = its default. */
MUST_USE enum err dml_print_select(const struct dml *dml, struct slice text, size_t given,
                                   const size_t *from, struct buf *out, struct errinfo *info);
/* dml_open, whose errors point at the statement's name. */
MUST_USE enum err dml_open_at(struct query *query, const struct statement *statement,
                              struct dml *dml, struct errinfo *info);

/* ---- of what is no temporary table ---- */

typedef enum err (*dml_change_fn)(struct dml *dml, const struct statement *statement,
                                  struct errinfo *info);
/* Opens the table, runs, closes, and opens what RETURNING gives. */
MUST_USE enum err dml_run_change(struct query *query, const struct statement *statement,
                                 dml_change_fn run, struct errinfo *info);
/* "UPDATE 5". */
MUST_USE enum err dml_tag(struct dml *dml, uint64_t rows, struct errinfo *info);
/* SELECT the kept columns FROM the table: what a rewriting keeps. */
MUST_USE enum err dml_print_survivors(const struct dml *dml, struct buf *out, struct errinfo *info);
/* The data files of the table as it was loaded that may have rows of the filter (NULL: all), with
 * their metrics and deletes. */
struct iceberg_expression;
struct iceberg_scan_plan;
MUST_USE enum err dml_plan_files(struct dml *dml, const struct iceberg_expression *filter,
                                 struct iceberg_scan_plan *ret_plan, struct errinfo *info);
/* The rows that go: their files are written again without them, or delete files say so, as the
 * table's properties have it. */
MUST_USE enum err dml_remove(struct dml *dml, struct lake_rows *rows, struct errinfo *info);

/* " FROM t AS a, using": of a SELECT that has the statement's names in view. */
void dml_print_from(const struct statement *statement, struct buf *out);
MUST_USE enum err dml_delete(struct query *query, const struct statement *statement,
                             struct errinfo *info);
MUST_USE enum err dml_update(struct query *query, const struct statement *statement,
                             struct errinfo *info);
MUST_USE enum err dml_merge(struct query *query, const struct statement *statement,
                            struct errinfo *info);
MUST_USE enum err dml_insert(struct query *query, const struct statement *statement,
                             struct errinfo *info);
MUST_USE enum err dml_truncate(struct query *query, const struct statement *statement,
                               struct errinfo *info);
