/* Shared by the files that make the rows of metadata tables. */
#pragma once

#include "base/buf.h"
#include "query/lake/lake_int.h"

struct lake_metadata_column {
    const char *name;
    const char *type; /* NULL: depends on the table */
};

/* Rows as JSON lines; an absent member is NULL. */
void lake_row_begin(struct buf *out);
void lake_row_end(struct buf *out);
void lake_put_text(struct buf *out, const char *name, struct slice text);
void lake_put_number(struct buf *out, const char *name, int64_t value);
void lake_put_known(struct buf *out, const char *name, int64_t value); /* not ICEBERG_NO_ID */
void lake_put_time(struct buf *out, const char *name, int64_t timestamp_ms);

/* The type of a column that depends on the table; empty: the table has no such column. */
MUST_USE enum err lake_metadata_type(const struct lake_table *table, const char *column,
                                     struct arena *arena, struct slice *ret_type,
                                     struct errinfo *info);

/* ---- rows made of manifests (lake_metadata_files.c) ---- */

enum err lake_rows_files(const struct lake_table *, struct arena *, struct buf *, struct errinfo *);
enum err lake_rows_data_files(const struct lake_table *, struct arena *, struct buf *,
                              struct errinfo *);
enum err lake_rows_delete_files(const struct lake_table *, struct arena *, struct buf *,
                                struct errinfo *);
enum err lake_rows_all_files(const struct lake_table *, struct arena *, struct buf *,
                             struct errinfo *);
enum err lake_rows_all_data_files(const struct lake_table *, struct arena *, struct buf *,
                                  struct errinfo *);
enum err lake_rows_all_delete_files(const struct lake_table *, struct arena *, struct buf *,
                                    struct errinfo *);
enum err lake_rows_entries(const struct lake_table *, struct arena *, struct buf *,
                           struct errinfo *);
enum err lake_rows_all_entries(const struct lake_table *, struct arena *, struct buf *,
                               struct errinfo *);
enum err lake_rows_manifests(const struct lake_table *, struct arena *, struct buf *,
                             struct errinfo *);
enum err lake_rows_all_manifests(const struct lake_table *, struct arena *, struct buf *,
                                 struct errinfo *);
enum err lake_rows_partitions(const struct lake_table *, struct arena *, struct buf *,
                              struct errinfo *);
