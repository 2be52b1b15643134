/* From rows to data files: the statement by which the engine writes them, and what it says of the
 * files it wrote, as the Iceberg library wants to know it. */
#pragma once

#include "arrow/arrow.h"
#include "base/buf.h"
#include "iceberg/write.h"

/* How the rows of a query become files of a table; plain data. */
struct lake_write {
    const struct iceberg_metadata *metadata;
    const struct iceberg_schema *schema;
    const struct iceberg_spec *spec;
    struct slice name; /* of the table, for messages */
    /* v3: behind the kept columns come _row_id and _last_updated_sequence_number. */
    bool keeps_lineage;
    const struct iceberg_sort_order *order; /* NULL: the table's; it has an id of none of them */
    const int32_t *curve_ids;               /* instead: columns of a z-order curve */
    size_t curve_count;                     /* at most LAKE_WRITE_CURVE_MAX */
};
#define LAKE_WRITE_CURVE_MAX 8u

/* ERR_UNSUPPORTED names what of the table cannot be written: a type, a property, a transform. */
MUST_USE enum err lake_write_check(const struct lake_write *write, struct errinfo *info);

/* Whether the field has values in files: one of type unknown has none. */
bool lake_write_keeps(const struct iceberg_field *field);

/* Whether the file's rows can be written again as they are. The engine tells no null of a variant
 * from the value null, and writes the value: only of a file whose metrics say that it has no null
 * nothing is lost. The file has its metrics (iceberg_scan_options.want_metrics). */
bool lake_write_is_lossless(const struct iceberg_schema *schema, const struct iceberg_file *file);
/* Whether there is a column for which that can be false. */
bool lake_write_has_variant(const struct iceberg_schema *schema);

/* A constant as SQL writes it, without quotes, as a value of exactly this type; false when it is
 * none. */
bool lake_value_parse(const struct iceberg_type *type, struct slice text, struct arena *arena,
                      struct iceberg_value *ret_value);
/* Appends what a row that gives none has: a literal, or NULL. */
void lake_write_default(const struct iceberg_field *field, struct buf *out);

/* Appends COPY (<rows>) TO '<folder>' ...: `rows` gives the kept columns by name, in order and
 * types. File i goes to sink i of the folder (engine_grant_uri_folder). */
MUST_USE enum err lake_write_sql(const struct lake_write *write, struct slice rows,
                                 struct slice folder, struct buf *out, struct errinfo *info);

/* The order that rows of files are in; NULL: none, or one that cannot be computed. */
const struct iceberg_sort_order *lake_write_order(const struct lake_write *write);

/* A file that the engine has written. */
struct lake_written {
    size_t sink;                     /* its number */
    struct iceberg_file file;        /* all but the path */
    struct iceberg_metrics *metrics; /* the file's own */
};

/* Appends what a batch of the COPY's result says, in `arena`; files without rows are left out.
 * ERR_INVALID (23502) names a required column that has a NULL. */
struct lake_written_list {
    struct lake_written *files;
    size_t count, capacity;
};
MUST_USE enum err lake_write_read(const struct lake_write *write, const struct ArrowSchema *schema,
                                  const struct ArrowArray *batch, struct arena *arena,
                                  struct lake_written_list *list, struct errinfo *info);
/* Of columns with NaN the engine tells neither how many nor bounds of the others: reads these
 * columns of the files once more, which have their paths by now. A file that cannot be read stays
 * without. ERR_NOMEM, ERR_CANCELLED, ERR_TIMEOUT. */
struct engine;
struct identity;
MUST_USE enum err lake_write_count_nans(const struct lake_write *write, struct engine *engine,
                                        const struct identity *who, const struct iceberg_io *io,
                                        struct lake_written_list *list, struct arena *arena,
                                        struct errinfo *info);
/* When all files of a statement are known: which say that they are sorted. */
void lake_write_note_order(const struct lake_write *write, struct lake_written_list *list);
