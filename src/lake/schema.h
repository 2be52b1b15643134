/* New tables: types of the engine as types of Iceberg, and the updates that make a table. */
#pragma once

#include "base/buf.h"
#include "iceberg/metadata.h"

/* A type as the engine prints it ("STRUCT(a INTEGER, b VARCHAR[])") as Iceberg's; ids of nested
 * fields are 0 until lake_schema_number. In `arena`. ERR_UNSUPPORTED names `column` and the type:
 * one without a counterpart, or one that tables of `format_version` lack. */
MUST_USE enum err lake_type_parse(struct slice text, struct slice column, uint32_t format_version,
                                  struct arena *arena, struct iceberg_type *ret_type,
                                  struct errinfo *info);

/* Gives ids to all fields, from *last + 1, those of a struct before those inside of them; *last is
 * the highest then. Fields must be writable: of lake_type_parse, or the caller's own. */
void lake_schema_number(struct iceberg_type *root, int32_t *last);

/* A new table. */
struct lake_creation {
    uint32_t format_version;
    struct slice uuid;
    struct slice location;
    const struct iceberg_schema *schema;
    const struct iceberg_spec *spec;
    const struct iceberg_sort_field *sorts;
    size_t sort_count;
    const struct iceberg_property *properties;
    size_t property_count;
};
/* Appends its updates, a JSON array. */
void lake_creation_print(const struct lake_creation *creation, struct buf *out);
