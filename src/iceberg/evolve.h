/* Changes of a table's shape: schema, partition spec, sort order, properties (spec "Schema
 * Evolution", "Partition Evolution").
 *
 * A change is opened on the metadata as it was loaded, told what to do step by step, and printed as
 * the updates and requirements that a catalog commits (write.h). Columns are found by name, exactly
 * and then folding ASCII case when one only fits, and changed by id: ids are never given twice, and
 * none is given back. Whatever readers of rows that are there could not follow is refused:
 * ERR_INVALID, or ERR_UNSUPPORTED where a newer format version could. After an error the change is
 * in no state to be printed. One thread; everything lives in the arena of the change, which what is
 * given must outlive. */
#pragma once

#include "base/buf.h"
#include "iceberg/metadata.h"

struct iceberg_evolution;

MUST_USE enum err iceberg_evolve_open(const struct iceberg_metadata *metadata, struct arena *arena,
                                      struct iceberg_evolution **ret_evolution,
                                      struct errinfo *info);
/* Requirements and updates, JSON arrays; empty `ret_updates`: nothing was changed. */
MUST_USE enum err iceberg_evolve_print(struct iceberg_evolution *e, struct slice *ret_requirements,
                                       struct slice *ret_updates, struct errinfo *info);

/* ---- columns ---- */

/* A column by its names from the top. A list or map in between is passed through: its element or
 * its value is meant, which "element" and "value" may also say. */
struct iceberg_path {
    const struct slice *parts;
    size_t count;
};

struct iceberg_position {
    enum {
        ICEBERG_AT_END,
        ICEBERG_FIRST,
        ICEBERG_AFTER
    } at;
    struct slice after; /* a field of the same struct */
};

/* NULL: there is none. */
const struct iceberg_field *iceberg_evolve_find(const struct iceberg_evolution *e,
                                                struct iceberg_path path);
/* The schema as it is by now. */
const struct iceberg_schema *iceberg_evolve_schema(const struct iceberg_evolution *e);
uint32_t iceberg_evolve_version(const struct iceberg_evolution *e);

/* `field` has all but its ids and its name, which is the path's last part. A required one needs a
 * default, unless the table has no snapshot. ERR_EXISTS (42701). */
MUST_USE enum err iceberg_evolve_add(struct iceberg_evolution *e, struct iceberg_path path,
                                     const struct iceberg_field *field,
                                     struct iceberg_position position, struct errinfo *info);
/* ERR_INVALID for the last column, and for one that the spec, the order or the identifier names. */
MUST_USE enum err iceberg_evolve_drop(struct iceberg_evolution *e, struct iceberg_path path,
                                      struct errinfo *info);
/* Properties that name the column are renamed with it. ERR_EXISTS (42701) for a name that a field
 * beside it has, in whatever case: SQL could not tell them apart. */
MUST_USE enum err iceberg_evolve_rename(struct iceberg_evolution *e, struct iceberg_path path,
                                        struct slice name, struct errinfo *info);
/* Widening as the spec permits it. */
MUST_USE enum err iceberg_evolve_type(struct iceberg_evolution *e, struct iceberg_path path,
                                      const struct iceberg_type *type, struct errinfo *info);
/* To make a column required, the caller knows that no live row has a null in it (`is_proven`): then
 * the commit also requires that no branch has moved. */
MUST_USE enum err iceberg_evolve_required(struct iceberg_evolution *e, struct iceberg_path path,
                                          bool is_required, bool is_proven, struct errinfo *info);
MUST_USE enum err iceberg_evolve_doc(struct iceberg_evolution *e, struct iceberg_path path,
                                     struct slice doc, struct errinfo *info);
/* What rows that are written from now on have; NULL = null. v3. */
MUST_USE enum err iceberg_evolve_default(struct iceberg_evolution *e, struct iceberg_path path,
                                         const struct iceberg_value *value, struct errinfo *info);
MUST_USE enum err iceberg_evolve_move(struct iceberg_evolution *e, struct iceberg_path path,
                                      struct iceberg_position position, struct errinfo *info);
/* None: the table has no identifier. */
MUST_USE enum err iceberg_evolve_identify(struct iceberg_evolution *e,
                                          const struct iceberg_path *paths, size_t count,
                                          struct errinfo *info);

/* Another schema altogether (REPLACE TABLE), without identifier, partitions and order. `root` is
 * changed: fields that are called as one of now keep its id, so that what hangs on it goes on. */
MUST_USE enum err iceberg_evolve_replace(struct iceberg_evolution *e, struct iceberg_type *root,
                                         struct errinfo *info);

/* ---- partitions and order ---- */

/* `transform` as the spec writes it ("bucket[16]"); `name` empty: by column and transform. */
MUST_USE enum err iceberg_evolve_partition_add(struct iceberg_evolution *e,
                                               struct iceberg_path path, struct slice transform,
                                               struct slice name, struct errinfo *info);
MUST_USE enum err iceberg_evolve_partition_drop(struct iceberg_evolution *e,
                                                struct iceberg_path path, struct slice transform,
                                                struct errinfo *info);
MUST_USE enum err iceberg_evolve_partition_drop_named(struct iceberg_evolution *e,
                                                      struct slice name, struct errinfo *info);

struct iceberg_sort_want {
    struct iceberg_path path;
    struct slice transform;
    bool is_descending;
    bool is_nulls_last;
};
/* None: unordered. */
MUST_USE enum err iceberg_evolve_order(struct iceberg_evolution *e,
                                       const struct iceberg_sort_want *wants, size_t count,
                                       struct errinfo *info);
/* What iceberg_evolve_order made of it, in the evolution's arena. */
void iceberg_evolve_sorts(const struct iceberg_evolution *e,
                          const struct iceberg_sort_field **ret_fields, size_t *ret_count);

/* ---- the table ---- */

/* Upwards only. */
MUST_USE enum err iceberg_evolve_upgrade(struct iceberg_evolution *e, uint32_t version,
                                         struct errinfo *info);
/* `value` with ptr NULL removes it. ERR_INVALID for names that are no properties but members of
 * the metadata. */
MUST_USE enum err iceberg_evolve_property(struct iceberg_evolution *e, struct slice key,
                                          struct slice value, struct errinfo *info);
