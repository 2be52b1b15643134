/* CALL moat.procedure(...): one function a procedure, found by the table in maintain_call.c. */
#pragma once

#include "iceberg/reach.h"
#include "query/ddl/ddl_int.h"

#define MAINTAIN_PARAMETERS_MAX 8

struct dml;

enum maintain_type {
    MAINTAIN_TEXT,
    MAINTAIN_INTEGER,
    MAINTAIN_BOOLEAN,
    MAINTAIN_TIME, /* UTC; milliseconds since 1970 */
};

struct maintain_value {
    bool is_given; /* and not null */
    struct slice text;
    int64_t number; /* INTEGER, TIME */
    bool is_true;
};

/* One call; lives on its stack. */
struct maintain {
    struct query *query;
    struct ddl ddl;                                        /* of those that have a table */
    struct maintain_value values[MAINTAIN_PARAMETERS_MAX]; /* in the procedure's order */
    bool is_dry_run;
    struct buf lines; /* the result: JSON lines */
    const struct statement *statement;
};

typedef enum err (*maintain_fn)(struct maintain *call, struct errinfo *info);

/* A member of the line that is being written; the first begins it. */
void maintain_number(struct maintain *call, const char *name, int64_t value);
void maintain_id(struct maintain *call, const char *name, int64_t id); /* ICEBERG_NO_ID: null */
void maintain_text(struct maintain *call, const char *name, struct slice text);
void maintain_end_line(struct maintain *call);

/* 'catalog.namespace.table' */
MUST_USE enum err maintain_name(const struct maintain *call, struct slice text,
                                struct sql_name *ret_name, struct errinfo *info);

/* Commits, unless it is a dry run: then only what would be committed is made, and thrown away. */
MUST_USE enum err maintain_commit(struct maintain *call, const struct ddl_change *change,
                                  struct errinfo *info);

/* ERR_INVALID (40001): what was read is not what is there. */
enum err maintain_changed(const struct ddl *ddl, struct errinfo *info);
/* The same, if others did more than append since a snapshot: what was deleted might be in files
 * that are rewritten. */
MUST_USE enum err maintain_check_appended(const struct ddl *ddl, int64_t snapshot_id,
                                          struct errinfo *info);

/* ---- maintain_snapshot.c ---- */

/* Writes what becomes a snapshot of the table as it is now, under a new id, with the query and the
 * engine in its summary before what the change says itself; fills in all that follows from the
 * table. What is written of one that fails is removed. */
struct iceberg_snapshot_change;
struct iceberg_snapshot_written;
MUST_USE enum err maintain_snapshot_write(struct ddl *ddl, struct iceberg_snapshot_change *change,
                                          struct iceberg_snapshot_written *written,
                                          struct errinfo *info);
/* Removes what was written; what cannot be removed is an orphan. */
void maintain_snapshot_undo(struct ddl *ddl, struct iceberg_snapshot_written *written);

/* ---- maintain_ref.c ---- */

MUST_USE enum err maintain_rollback_to_snapshot(struct maintain *call, struct errinfo *info);
MUST_USE enum err maintain_rollback_to_timestamp(struct maintain *call, struct errinfo *info);
MUST_USE enum err maintain_set_current_snapshot(struct maintain *call, struct errinfo *info);
MUST_USE enum err maintain_fast_forward(struct maintain *call, struct errinfo *info);
MUST_USE enum err maintain_register_table(struct maintain *call, struct errinfo *info);

/* ---- maintain_pick.c ---- */

MUST_USE enum err maintain_cherrypick_snapshot(struct maintain *call, struct errinfo *info);
MUST_USE enum err maintain_publish_changes(struct maintain *call, struct errinfo *info);

/* ---- maintain_expire.c ---- */

MUST_USE enum err maintain_expire_snapshots(struct maintain *call, struct errinfo *info);

/* ---- maintain_orphans.c ---- */

MUST_USE enum err maintain_remove_orphan_files(struct maintain *call, struct errinfo *info);

/* ---- maintain_others.c ---- */

/* By its text, without ".." in it. */
bool maintain_is_inside(struct slice path, struct slice folder);
struct slice maintain_without_slash(struct slice path);
/* Adds what other tables of the catalog refer to, whose folder is in `folder`, around it or the
 * same; and all their documents. ERR_INVALID (55000), naming none, if one cannot be read. */
MUST_USE enum err maintain_add_others(struct ddl *ddl, struct slice folder,
                                      struct iceberg_names *names, struct errinfo *info);

/* ---- maintain_purge.c ---- */

/* DROP TABLE ... PURGE: forgets the name, then removes the files of the table. */
MUST_USE enum err maintain_purge(struct query *query, const struct statement *statement,
                                 struct errinfo *info);

/* ---- maintain_data.c ---- */

MUST_USE enum err maintain_rewrite_data_files(struct maintain *call, struct errinfo *info);

/* ---- maintain_order.c ---- */

/* Sets what `dml->write` sorts by. */
MUST_USE enum err maintain_read_order(struct maintain *call, struct dml *dml,
                                      const struct maintain_value *strategy,
                                      const struct maintain_value *order, struct errinfo *info);

/* ---- maintain_rewrite.c ---- */

MUST_USE enum err maintain_rewrite_manifests(struct maintain *call, struct errinfo *info);

/* ---- maintain_statistics.c ---- */

MUST_USE enum err maintain_compute_statistics(struct maintain *call, struct errinfo *info);

/* ---- maintain_advise.c ---- */

MUST_USE enum err maintain_advise(struct maintain *call, struct errinfo *info);

/* ---- maintain_migrate.c ---- */

MUST_USE enum err maintain_migrate_format(struct maintain *call, struct errinfo *info);

/* ---- maintain_deletes.c ---- */

struct maintain_deletes { /* files, vectors each counting as one */
    int64_t rewritten, added;
    int64_t rewritten_bytes, added_bytes;
};
/* `as_vectors`: the table is of version 3, or would be if this was no dry run. */
MUST_USE enum err maintain_move_deletes(struct maintain *call, bool is_all, bool as_vectors,
                                        struct maintain_deletes *ret_deletes, struct errinfo *info);

MUST_USE enum err maintain_rewrite_position_deletes(struct maintain *call, struct errinfo *info);
