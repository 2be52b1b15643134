/* An Iceberg table at one snapshot, as somebody loaded it, and the shape SQL gives it.
 *
 * Plain data in the arena it was opened into; never changed, so any thread may read it. Whoever
 * holds it decided before that the person may know of it. */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "catalog/iceberg.h"
#include "sql/relation.h"

struct identity;

/* Equality delete files that compare the same columns in the same reach: one join of the scan. */
struct lake_equality {
    const int32_t *field_ids; /* ascending */
    size_t field_count;
    bool is_global; /* of an unpartitioned spec: applies to every partition */
    const struct iceberg_file *files;
    size_t file_count;
};

struct lake_table {
    struct catalog_iceberg_name name;
    struct iceberg_metadata metadata;
    const struct iceberg_snapshot *snapshot; /* NULL = no rows */
    const struct iceberg_schema *schema;     /* rows are read with it */
    /* Folders that files may lie in: metadata is written by others, and must not make this program
     * read what the catalog's owner did not mean. Absolute, without a slash at the end. */
    const struct slice *folders;
    size_t folder_count;
    struct iceberg_name_mapping mapping;
    bool has_position_deletes; /* or deletion vectors */
    const struct lake_equality *equality;
    size_t equality_count;
    int64_t row_count; /* by the snapshot's summary; -1 = unknown */
};

/* `loaded` stays in its arena, which must outlive the table. With a snapshot, its list of
 * manifests and its delete manifests are read as `who`. ERR_UNSUPPORTED names what of the table
 * cannot be read (encryption; a column that SQL has no type for). */
MUST_USE enum err lake_table_open(const struct identity *who,
                                  const struct catalog_iceberg_table *loaded,
                                  const struct iceberg_snapshot *snapshot,
                                  const struct iceberg_schema *schema, const struct slice *folders,
                                  size_t folder_count, struct arena *arena,
                                  struct lake_table **ret_table, struct errinfo *info);

/* Columns as SQL shows them: id is the field id, source the name. */
MUST_USE enum err lake_table_columns(const struct lake_table *table, struct arena *arena,
                                     struct relation_column **ret_columns, size_t *ret_count,
                                     struct errinfo *info);

/* Reads only what lies in the table's folders, as `who`; both must outlive it. */
struct lake_reader {
    const struct lake_table *table;
    const struct identity *who;
};
struct iceberg_io lake_reader_io(struct lake_reader *reader);
/* ERR_DENIED for a location outside of the table's folders. `ret_path` as storage takes it. */
MUST_USE enum err lake_table_locate(const struct lake_table *table, struct slice location,
                                    struct slice *ret_path, struct errinfo *info);
