/* What evolve*.c share. */
#pragma once

#include "iceberg/evolve.h"
#include "iceberg/write.h"

struct evolve_property {
    struct slice key;
    struct slice value; /* ptr NULL: removed */
};

struct iceberg_evolution {
    const struct iceberg_metadata *metadata;
    struct arena *arena;
    uint32_t version;
    struct iceberg_schema schema; /* fields at all depths are this change's own */
    int32_t last_column_id;
    struct iceberg_partition_field *fields; /* of the spec */
    size_t field_count;
    int32_t last_partition_id;
    const struct iceberg_sort_field *sorts;
    size_t sort_count;
    struct evolve_property *properties;
    size_t property_count, property_capacity;
    bool changes_schema, changes_spec, changes_order;
    bool pins_refs; /* no branch may have moved */
};

/* Field and where it is; ERR_NOT_FOUND (42703). */
struct evolve_place {
    struct iceberg_field *field;
    struct iceberg_type *parent; /* the struct (list, map) that holds it */
    size_t index;
    bool is_in_map_key;
    bool is_repeated;        /* inside of a list or map */
    bool has_optional_above; /* a struct above it may be null */
};
bool evolve__find(const struct iceberg_evolution *e, struct iceberg_path path,
                  struct evolve_place *ret_place);
MUST_USE enum err evolve__need(const struct iceberg_evolution *e, struct iceberg_path path,
                               struct evolve_place *ret_place, struct errinfo *info);
/* Whether `field`, or one inside of it, has this id. */
bool evolve__holds(const struct iceberg_field *field, int32_t id);
/* "a.b" in the arena; NULL without memory. */
const char *evolve__text(const struct iceberg_evolution *e, struct iceberg_path path);
MUST_USE enum err evolve__put(struct iceberg_evolution *e, struct slice key, struct slice value,
                              struct errinfo *info);
