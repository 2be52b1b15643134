/* Shared by the files of this module. */
#pragma once

#include "engine/scan.h"
#include "lake/scan.h"

/* Opens a file that metadata names, where the table's files may be; one that lies elsewhere and
 * that the planner's `run` named (NULL = there is none), with what that lends. */
struct storage_object;
MUST_USE enum err lake__open(const struct lake_source *source, void *run, struct slice location,
                             struct storage_object **ret_object, struct errinfo *info);

/* What is wrong with a file of metadata is told with the table that it is of. */
MUST_USE static inline enum err lake__named(const struct lake_source *source, enum err err,
                                            struct errinfo *info)
{
    if (err == ERR_CORRUPT && info != NULL && info->detail[0] == '\0') {
        errinfo_detail(info, "In the metadata of \"%.*s\".", SLICE_ARGS(source->from.name));
    }
    return err;
}

/* ERR_CORRUPT where a file is not as long as its manifest says. */
static inline enum err lake__check_size(const struct lake_source *source, uint64_t size_bytes,
                                        uint64_t claimed_bytes, struct errinfo *info)
{
    return size_bytes == claimed_bytes
               ? ERR_OK
               : errinfo_set(info, ERR_CORRUPT, NULL,
                             "a file of \"%.*s\" has %llu bytes, its manifest says %llu",
                             SLICE_ARGS(source->from.name), (unsigned long long)size_bytes,
                             (unsigned long long)claimed_bytes);
}

/* ---- types and values as the engine writes them (type.c, value.c) ---- */

/* Appends a constant expression of the value: CAST('..' AS type), or NULL. */
void lake__value_print(const struct iceberg_type *type, const struct iceberg_value *value,
                       struct buf *out);
/* A constant that the engine printed (engine/scan.h) as a value of the field's type; false when it
 * is none that could be told exactly. `ret_value` may view `text`. */
bool lake__value_parse(const struct iceberg_type *type, struct slice text, struct arena *arena,
                       struct iceberg_value *ret_value);

/* ---- predicates (predicate.c) ---- */

/* All that can be said of `all` against the schema; NULL in ret_filter = nothing. */
MUST_USE enum err lake__predicates(const struct engine_predicate *const *all, size_t count,
                                   const struct iceberg_schema *schema, struct arena *arena,
                                   const struct iceberg_expression **ret_filter,
                                   struct errinfo *info);

/* ---- scans that somebody else plans (planned.c) ---- */

/* There is a planner, and its answers can say all of this snapshot: not of version 3, whose rows
 * tell a sequence number, nor where there may be equality deletes. */
bool lake__is_planned_elsewhere(const struct lake_origin *from);
/* The plan for a filter (unbound). ERR_CORRUPT, ERR_UNSUPPORTED for an answer that cannot be told
 * exactly. */
MUST_USE enum err lake__planned(const struct lake_source *source, void *run,
                                const struct iceberg_expression *filter, struct arena *arena,
                                struct iceberg_scan_plan *ret_plan, struct errinfo *info);
/* Its two halves, for tests. */
void lake__planned_request(const struct lake_origin *from, const struct iceberg_expression *bound,
                           struct buf *out);
MUST_USE enum err lake__planned_read(const struct lake_source *source,
                                     const struct lake_plan_page *pages, size_t page_count,
                                     struct arena *arena, struct iceberg_scan_plan *ret_plan,
                                     struct errinfo *info);

/* ---- shapes (shape.c) ---- */

/* Columns of a scan: what of the schema can be read, then "__moat_e<id>" for each of `ids`. */
MUST_USE enum err lake__columns(const struct lake_source *table, bool with_schema,
                                const int32_t *ids, size_t id_count, struct arena *arena,
                                struct engine_scan_spec *spec, struct errinfo *info);
MUST_USE enum err lake__names(const struct iceberg_name_mapping *mapping, struct arena *arena,
                              const struct engine_scan_name **ret_names, size_t *ret_count,
                              struct errinfo *info);
/* What all rows of the columns are between, over the files that `options` leave (range.c). */
MUST_USE enum err lake__ranges(const struct iceberg_scan_options *options,
                               const struct engine_scan_column *columns, size_t column_count,
                               struct arena *arena, const struct engine_scan_range **ret_ranges,
                               struct errinfo *info);

/* The union of all specs' fields: what _partition is. */
struct lake_partition {
    const struct iceberg_partition_field *const *fields;
    const struct iceberg_type *types;
    size_t field_count;
    struct slice type; /* the engine's; empty = the table has no partitions */
};
MUST_USE enum err lake__partition(const struct lake_source *table, struct arena *arena,
                                  struct lake_partition *ret_partition, struct errinfo *info);
/* False for a transform that is not known. */
bool lake__partition_type(const struct lake_source *table,
                          const struct iceberg_partition_field *field,
                          struct iceberg_type *ret_type);
/* All ids that some set of equality deletes compares. */
MUST_USE enum err lake__equality_ids(const struct lake_source *table, struct arena *arena,
                                     int32_t **ret_ids, size_t *ret_count, struct errinfo *info);

/* ---- what is begun before it is asked for (ahead.c) ---- */

#define LAKE_AHEAD_MAX 4 /* at once */

struct lake_ahead;
/* Part of what it is about. Either is called once: `run` by a thread, or `drop` (may be NULL) when
 * it was closed before. */
struct lake_ahead_job {
    struct lake_ahead_job *next;
    void (*run)(void *context, struct lake_ahead_job *job);
    void (*drop)(void *context, struct lake_ahead_job *job);
};
MUST_USE enum err lake__ahead_open(void *context, struct lake_ahead **ret_ahead,
                                   struct errinfo *info);
/* Waits for what runs; the rest is not begun. */
void lake__ahead_close(struct lake_ahead *ahead);
/* Any thread; a job is added once. */
void lake__ahead_add(struct lake_ahead *ahead, struct lake_ahead_job *job);

/* ---- writing (write_sql.c, write_order.c, write_options.c) ---- */

struct lake_write;
struct iceberg_field;
bool lake__write_is_partitioned(const struct lake_write *write);
/* Whether there is a geometry or a geography in it, at any depth. */
bool lake__write_has_geo(const struct iceberg_type *type);
/* lake_type_print, as files have the type: shapes are the engine's GEOMETRY. */
MUST_USE enum err lake__type_print_stored(const struct iceberg_type *type, struct slice column,
                                          struct buf *out, struct errinfo *info);
/* Appends the column of row r that has the id. */
void lake__write_source(const struct lake_write *write, int32_t id, struct buf *out);
/* Appends what a transform makes of it: values that are equal and follow each other as those do. */
void lake__write_transform(const struct iceberg_transform *transform,
                           const struct iceberg_type *type, const char *source, struct buf *out);
/* Whether rows come in an order, which is by partition first. */
bool lake__write_is_sorted(const struct lake_write *write);
/* Whether VARIANTs are shredded. */
bool lake__write_is_shredded(const struct lake_write *write);
/* Of a schema's root: whether anything in it is of timestamptz_ns. */
bool lake__write_has_instants(const struct iceberg_type *type);
/* Whether files are written by moat_files (engine/duckdb/files.cpp), rows by partition. */
bool lake__write_is_ours(const struct lake_write *write);
/* How many rows make a file of the size that the table wants, about. */
uint64_t lake__write_file_rows(const struct lake_write *write);
/* Appends "name: id", with those inside of it. */
void lake__write_field_id(struct slice name, const struct iceberg_field *field, struct buf *out);
/* Appends the options of COPY, in parentheses. */
void lake__write_options(const struct lake_write *write, struct buf *out);
/* A bound of a field out of the text of it; `ret_bound` stays as it is where it is none. */
struct iceberg_metrics_want;
MUST_USE enum err lake__write_bound(const struct iceberg_field *field,
                                    struct iceberg_metrics_want want, struct slice text,
                                    bool is_upper, struct arena *arena, struct slice *ret_bound,
                                    struct errinfo *info);
/* Appends the columns that print_curve reads; nothing without a curve. */
void lake__write_ranks(const struct lake_write *write, struct buf *out);
/* Around the rows: sorts them as the table has it, or appends nothing. */
void lake__write_order_before(const struct lake_write *write, struct buf *out);
void lake__write_order_after(const struct lake_write *write, struct buf *out);

/* ---- names to numbers (map.c): 0, 1, 2 ... in order of arrival; texts are kept by view ---- */

struct lake_map {
    struct slice *keys;
    size_t count;
    size_t capacity;
    uint32_t *slots; /* number + 1; 0 = free */
    size_t slot_count;
};
void lake__map_fini(struct lake_map *map);
/* ERR_NOMEM only. `ret_is_new` may be NULL. */
MUST_USE enum err lake__map_add(struct lake_map *map, struct slice key, size_t *ret_number,
                                bool *ret_is_new);
bool lake__map_find(const struct lake_map *map, struct slice key, size_t *ret_number);

/* ---- deleted positions (deletes.c) ---- */

/* Positions of the files of a plan, read at the first question; `run` is the planner's, or NULL. */
struct lake_deletes;
MUST_USE enum err lake__deletes_open(struct engine *engine, const struct lake_source *source,
                                     void *run, struct lake_deletes **ret_deletes,
                                     struct errinfo *info);
void lake__deletes_close(struct lake_deletes *deletes);
DEFINE_CLEANUP(struct lake_deletes, lake__deletes_cleanup, lake__deletes_close)
/* A data file of the scan and the delete files that a plan gives it; paths must outlive this. */
MUST_USE enum err lake__deletes_add(struct lake_deletes *deletes, size_t object, struct slice path,
                                    const struct iceberg_scan_plan *plan,
                                    const struct iceberg_scan_file *file, struct errinfo *info);
/* Whether any were added for the file. */
bool lake__deletes_has(const struct lake_deletes *deletes, size_t object);
/* Any thread. */
MUST_USE enum err lake__deletes_find(struct lake_deletes *deletes, size_t object, int64_t first,
                                     size_t count, uint32_t *ret_offsets, size_t *ret_dead_count,
                                     struct errinfo *info);
/* All of a file that has any, added to `into`. */
MUST_USE enum err lake__deletes_copy(struct lake_deletes *deletes, size_t object,
                                     struct iceberg_positions *into, struct errinfo *info);
uint64_t lake__deletes_bytes(struct lake_deletes *deletes);
