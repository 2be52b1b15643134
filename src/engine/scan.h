/* Scans of many Parquet files as one relation, columns matched by field id at every depth.
 *
 * The engine's own read_parquet matches nested fields by name and files without ids not at all,
 * and opens each listed file even when it is pruned. So the module has a table function of its
 * own, `moat_scan('moat://<grant>/<scan>')`, over the engine's Parquet reader: what to read is
 * described here, one spec for each scan of the grant ("s0", "s1" ...); which files are read is
 * asked for when the engine knows what it will filter by. Deleted positions are dropped inside the
 * reader. What is called a SQL literal here is a constant expression: CAST('5' AS INTEGER),
 * {'a': CAST('x' AS VARCHAR), 'b': NULL}. */
#pragma once

#include "base/base.h"
#include "base/err.h"

struct engine_grant;
struct errinfo;

/* A column, a struct's field, a list's element or a map's key and value. */
struct engine_scan_column {
    int32_t field_id;
    struct slice name;
    struct slice type;                         /* the engine's type text of the whole column */
    struct slice value;                        /* SQL literal of files that lack it; empty = NULL */
    const struct engine_scan_column *children; /* struct: fields; list: element; map: key, value */
    size_t child_count;
};

/* Names of files that carry no field ids, to ids (a name mapping); parallel to columns' shape. */
struct engine_scan_name {
    struct slice name;
    int32_t field_id; /* -1 = none */
    const struct engine_scan_name *children;
    size_t child_count;
};

/* Virtual columns that the reader can give beside the declared ones, by these fixed names:
 *   "_file" VARCHAR, "_pos" BIGINT, "_spec_id" INTEGER, "_partition" (type given in the spec),
 *   "_row_id" BIGINT, "_last_updated_sequence_number" BIGINT, and for equality deletes
 *   "__moat_sequence" BIGINT (sequence_number of the file), "__moat_group" INTEGER (its group).
 * They are no part of `SELECT *`. A declared column of the same name wins. */
struct engine_scan_file {
    /* The scan's own numbering, apart from the grant's objects: files are known only when files()
     * has been asked, long after the grant was opened. The module serves them under
     * moat://<grant>/<scan>/<object>, reads them through engine_scan_spec.read, and takes size and
     * etag from here. One number always means one file, in every answer of files(). */
    size_t object;
    uint64_t size_bytes;
    struct slice etag;
    int64_t record_count; /* -1 = unknown */
    int64_t first_row_id; /* -1 = none: _row_id is NULL unless the file stores it */
    int64_t sequence_number;
    int32_t spec_id;
    int32_t group;          /* of equality deletes: what "__moat_group" shows */
    struct slice path;      /* shown as _file */
    struct slice partition; /* SQL literal of the partition struct; empty = NULL */
    /* Columns whose value is the same in all of the file and not stored in it (identity partition
     * columns of imported files): field ids and SQL literals. */
    const int32_t *constant_ids;
    const struct slice *constant_values;
    size_t constant_count;
    bool has_deletes; /* dead() must be asked */
};

enum engine_predicate_kind {
    PREDICATE_AND,
    PREDICATE_OR,
    PREDICATE_IS_NULL,
    PREDICATE_NOT_NULL,
    PREDICATE_EQUAL,
    PREDICATE_NOT_EQUAL,
    PREDICATE_LESS,
    PREDICATE_LESS_EQUAL,
    PREDICATE_GREATER,
    PREDICATE_GREATER_EQUAL,
    PREDICATE_IN,
    PREDICATE_STARTS_WITH,
};

/* A constant as text, exact: "42", "1.50", "2024-01-31", "2024-01-31 05:00:00.000001" (UTC for
 * zoned timestamps), "true", "nan", "-inf", uuid text; text as it is; bytes raw. */
struct engine_predicate {
    enum engine_predicate_kind kind;
    int32_t field_id; /* leaves: of the column or the struct field inside it */
    const struct slice *values;
    size_t value_count;
    const struct engine_predicate *const *children; /* AND, OR */
    size_t child_count;
};

/* Asked by the engine while it plans (then the answer decides which files are opened) and again
 * when a join or a top-n has learnt more (`is_dynamic`; `all` then has what it had before, and
 * more). The first question may be a dynamic one: a plan that needs no estimate asks nothing. What
 * a predicate cannot express is left out, so it is a necessary condition of every row wanted, never
 * the whole one. `ret_files` live as long as the grant. Calls are serialised per scan. */
typedef enum err (*engine_scan_files_fn)(void *context, const struct engine_predicate *const *all,
                                         size_t predicate_count, bool is_dynamic,
                                         const struct engine_scan_file **ret_files,
                                         size_t *ret_count, struct errinfo *info);

/* Exactly `len` bytes of the file with this `object` number, as engine_read_fn. Many threads. */
typedef enum err (*engine_scan_read_fn)(void *context, size_t object, uint64_t offset,
                                        void *ret_bytes, size_t len, struct errinfo *info);

/* Parts of a file that will be read soon, as far as it can be told. Never waits; whatever is not
 * fetched ahead is read when it is asked for. */
struct engine_scan_extent {
    uint64_t offset;
    uint64_t len;
};
typedef void (*engine_scan_advise_fn)(void *context, size_t object,
                                      const struct engine_scan_extent *extents, size_t count);

/* Which of the rows at positions first .. first + count - 1 of `file` are deleted, as offsets from
 * `first`, ascending: there is room for `count`. Many threads at once. */
typedef enum err (*engine_scan_dead_fn)(void *context, const struct engine_scan_file *file,
                                        int64_t first, size_t count, uint32_t *ret_offsets,
                                        size_t *ret_dead_count, struct errinfo *info);

/* What all values of one column are between, in the files that some conditions leave: the number
 * that stands for a value (of integers themselves, of DATE its days, of TIME and timestamps their
 * units since midnight or 1970 UTC, of DECIMAL its digits without the point). Both are inclusive
 * and need not occur. Nothing is told of floats, whose bounds leave NaN out, nor of text. */
struct engine_scan_range {
    bool has_bounds; /* false: nothing is known of the values */
    bool has_nulls;  /* false: there are none */
    int64_t lower;
    int64_t upper;
};

/* One range for each of the spec's columns, over the files that files() gives for `all`. The engine
 * plans by them and holds each file that it opens against them: a value outside, or a NULL that
 * should not be, is ERR_CORRUPT and not another row. They live as long as the grant. Calls are
 * serialised with files(). */
typedef enum err (*engine_scan_ranges_fn)(void *context, const struct engine_predicate *const *all,
                                          size_t predicate_count,
                                          const struct engine_scan_range **ret_ranges,
                                          struct errinfo *info);

struct engine_scan_spec {
    const struct engine_scan_column *columns;
    size_t column_count;
    const struct engine_scan_name *names; /* used for files without any field id */
    size_t name_count;
    int32_t field_id_max;        /* the greatest that the table ever gave a field; 0 = unknown */
    struct slice partition_type; /* type text of _partition; empty = none */
    int64_t row_count_estimate;  /* -1 = unknown; before files() is asked */
    bool has_hidden;             /* as engine_object.has_hidden, for all files */
    engine_scan_files_fn files;
    engine_scan_ranges_fn ranges; /* NULL: nothing is told; not asked where rows are hidden */
    engine_scan_read_fn read;
    engine_scan_dead_fn dead;     /* NULL: no file has deletes */
    engine_scan_advise_fn advise; /* NULL: nothing is gained by reading ahead */
    void *context;                /* outlives the grant */
};
