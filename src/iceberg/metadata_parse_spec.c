/* Partition specs and sort orders. */
#include "iceberg/metadata_int.h"

#include "base/json.h"

#define PARTITION_FIELD_ID_FIRST 1000
#define SPEC_ID_INITIAL 0

/* "source-id", or "source-ids" of a transform of several arguments (v3). */
static enum err read_sources(const struct json_reader *reader, const struct json_place *place,
                             const struct json *node, const int32_t **ret_ids, size_t *ret_count)
{
    const int32_t *ids = NULL;
    size_t count = 0;
    TRY(iceberg__json_ids(reader, place, node, "source-ids", &ids, &count));
    if (count == 0) {
        int32_t *id = arena_calloc(reader->arena, 1, sizeof(*id));
        if (id == NULL) {
            return errinfo_nomem(reader->info);
        }
        TRY(iceberg__json_int(reader, place, node, "source-id", 0, id));
        ids = id;
        count = 1;
    }
    *ret_ids = ids;
    *ret_count = count;
    return ERR_OK;
}

static enum err read_transform(const struct json_reader *reader, const struct json_place *place,
                               const struct json *node, size_t source_count,
                               struct iceberg_transform *ret_transform)
{
    struct slice text;
    struct errinfo inner;
    struct json_place member = JSON_MEMBER(place, "transform");
    TRY(iceberg__json_text(reader, place, node, "transform", &text));
    errinfo_init(&inner);
    if (iceberg_transform_parse(text, ret_transform, &inner) != ERR_OK) {
        return iceberg__json_bad(reader, &member, "is no transform: %s", inner.message);
    }
    if (source_count > 1) {
        /* No known transform takes several columns: by its name alone it would be another one. */
        ret_transform->kind = TRANSFORM_OTHER;
    }
    return ERR_OK;
}

static enum err read_partition_field(const struct json_reader *reader,
                                     const struct json_place *place, const struct json *node,
                                     int32_t id_if_none, struct iceberg_partition_field *ret_field)
{
    struct iceberg_partition_field field = {0};
    bool is_old = reader->format_version == 1;
    TRY(iceberg__json_object(reader, place, node));
    TRY(iceberg__json_text(reader, place, node, "name", &field.name));
    TRY(read_sources(reader, place, node, &field.source_ids, &field.source_count));
    TRY(read_transform(reader, place, node, field.source_count, &field.transform));
    if (is_old) {
        TRY(iceberg__json_int_or(reader, place, node, "field-id", 0, id_if_none, &field.field_id));
    } else {
        TRY(iceberg__json_int(reader, place, node, "field-id", 0, &field.field_id));
    }
    *ret_field = field;
    return ERR_OK;
}

static enum err read_spec_fields(const struct json_reader *reader, const struct json_place *place,
                                 const struct json *array, struct iceberg_spec *spec)
{
    struct iceberg_partition_field *fields =
        arena_calloc(reader->arena, (size_t)array->count + 1, sizeof(*fields));
    if (fields == NULL) {
        return errinfo_nomem(reader->info);
    }
    size_t count = 0;
    size_t with_id = 0;
    for (const struct json *node = array->first; node != NULL; node = node->next) {
        struct json_place item = JSON_INDEX(place, count);
        int32_t id_if_none = PARTITION_FIELD_ID_FIRST + (int32_t)count;
        TRY(read_partition_field(reader, &item, node, id_if_none, &fields[count]));
        with_id += json_is_null(json_get(node, "field-id")) ? 0 : 1;
        for (size_t i = 0; i < count; i++) {
            if (fields[i].field_id == fields[count].field_id) {
                return iceberg__json_bad(reader, &item, "has field id %d, as another field has",
                                         fields[i].field_id);
            }
        }
        count++;
    }
    if (with_id != 0 && with_id != count) {
        return iceberg__json_bad(reader, place, "gives ids to %zu of %zu fields", with_id, count);
    }
    spec->fields = fields;
    spec->field_count = count;
    return ERR_OK;
}

static enum err read_spec(const struct json_reader *reader, const struct json_place *place,
                          const struct json *node, struct iceberg_spec *spec)
{
    const struct json *fields = NULL;
    struct json_place member = JSON_MEMBER(place, "fields");
    TRY(iceberg__json_object(reader, place, node));
    TRY(iceberg__json_int(reader, place, node, "spec-id", 0, &spec->id));
    TRY(iceberg__json_array_required(reader, place, node, "fields", &fields));
    return read_spec_fields(reader, &member, fields, spec);
}

static enum err read_old_spec(const struct json_reader *reader, const struct json_place *place,
                              const struct json *root, struct iceberg_metadata *metadata)
{
    const struct json *fields = NULL;
    struct json_place member = JSON_MEMBER(place, "partition-spec");
    struct iceberg_spec *spec = arena_calloc(reader->arena, 1, sizeof(*spec));
    if (spec == NULL) {
        return errinfo_nomem(reader->info);
    }
    TRY(iceberg__json_array_required(reader, place, root, "partition-spec", &fields));
    spec->id = SPEC_ID_INITIAL;
    TRY(read_spec_fields(reader, &member, fields, spec));
    metadata->specs = spec;
    metadata->spec_count = 1;
    metadata->default_spec_id = SPEC_ID_INITIAL;
    return ERR_OK;
}

static enum err read_spec_list(const struct json_reader *reader, const struct json_place *place,
                               const struct json *array, struct iceberg_metadata *metadata)
{
    struct iceberg_spec *specs =
        arena_calloc(reader->arena, (size_t)array->count + 1, sizeof(*specs));
    if (specs == NULL) {
        return errinfo_nomem(reader->info);
    }
    struct json_place list = JSON_MEMBER(place, "partition-specs");
    size_t count = 0;
    for (const struct json *node = array->first; node != NULL; node = node->next) {
        struct json_place item = JSON_INDEX(&list, count);
        TRY(read_spec(reader, &item, node, &specs[count]));
        for (size_t i = 0; i < count; i++) {
            if (specs[i].id == specs[count].id) {
                return iceberg__json_bad(reader, &item, "has spec id %d, as another has",
                                         specs[i].id);
            }
        }
        count++;
    }
    metadata->specs = specs;
    metadata->spec_count = count;
    return ERR_OK;
}

enum err iceberg__specs_read(const struct json_reader *reader, const struct json_place *place,
                             const struct json *root, struct iceberg_metadata *metadata)
{
    const struct json *array = NULL;
    bool is_old = reader->format_version == 1;
    TRY(iceberg__json_array(reader, place, root, "partition-specs", &array));
    if (array == NULL && is_old) {
        TRY(read_old_spec(reader, place, root, metadata));
    } else {
        TRY(iceberg__json_array_required(reader, place, root, "partition-specs", &array));
        TRY(iceberg__json_int(reader, place, root, "default-spec-id", 0,
                              &metadata->default_spec_id));
        TRY(read_spec_list(reader, place, array, metadata));
    }
    if (iceberg_metadata_spec(metadata, metadata->default_spec_id) == NULL) {
        struct json_place member = JSON_MEMBER(place, "default-spec-id");
        return iceberg__json_bad(reader, &member, "is %d, but no partition spec has that id",
                                 metadata->default_spec_id);
    }
    int32_t most = PARTITION_FIELD_ID_FIRST - 1;
    for (size_t i = 0; i < metadata->spec_count; i++) {
        for (size_t k = 0; k < metadata->specs[i].field_count; k++) {
            int32_t id = metadata->specs[i].fields[k].field_id;
            most = id > most ? id : most;
        }
    }
    if (is_old) {
        return iceberg__json_int_or(reader, place, root, "last-partition-id", 0, most,
                                    &metadata->last_partition_id);
    }
    return iceberg__json_int(reader, place, root, "last-partition-id", 0,
                             &metadata->last_partition_id);
}

/* ---- sort orders ---- */

static enum err read_choice(const struct json_reader *reader, const struct json_place *place,
                            const struct json *node, const char *name, const char *no,
                            const char *yes, bool *ret_value)
{
    struct slice text;
    TRY(iceberg__json_text(reader, place, node, name, &text));
    bool is_yes = slice_equal_fold(text, slice_of(yes));
    if (!is_yes && !slice_equal_fold(text, slice_of(no))) {
        struct json_place member = JSON_MEMBER(place, name);
        return iceberg__json_bad(reader, &member, "is neither \"%s\" nor \"%s\"", no, yes);
    }
    *ret_value = is_yes;
    return ERR_OK;
}

static enum err read_sort_order(const struct json_reader *reader, const struct json_place *place,
                                const struct json *node, struct iceberg_sort_order *order)
{
    const struct json *array = NULL;
    TRY(iceberg__json_object(reader, place, node));
    TRY(iceberg__json_int(reader, place, node, "order-id", 0, &order->id));
    TRY(iceberg__json_array_required(reader, place, node, "fields", &array));
    struct iceberg_sort_field *fields =
        arena_calloc(reader->arena, (size_t)array->count + 1, sizeof(*fields));
    if (fields == NULL) {
        return errinfo_nomem(reader->info);
    }
    struct json_place list = JSON_MEMBER(place, "fields");
    size_t count = 0;
    for (const struct json *item = array->first; item != NULL; item = item->next) {
        struct json_place at = JSON_INDEX(&list, count);
        struct iceberg_sort_field *field = &fields[count++];
        TRY(iceberg__json_object(reader, &at, item));
        TRY(read_sources(reader, &at, item, &field->source_ids, &field->source_count));
        TRY(read_transform(reader, &at, item, field->source_count, &field->transform));
        TRY(read_choice(reader, &at, item, "direction", "asc", "desc", &field->is_descending));
        TRY(read_choice(reader, &at, item, "null-order", "nulls-first", "nulls-last",
                        &field->is_nulls_last));
    }
    order->fields = fields;
    order->field_count = count;
    return ERR_OK;
}

enum err iceberg__sort_orders_read(const struct json_reader *reader, const struct json_place *place,
                                   const struct json *root, struct iceberg_metadata *metadata)
{
    const struct json *array = NULL;
    TRY(iceberg__json_array(reader, place, root, "sort-orders", &array));
    size_t listed = array == NULL ? 0 : array->count;
    struct iceberg_sort_order *orders = arena_calloc(reader->arena, listed + 1, sizeof(*orders));
    if (orders == NULL) {
        return errinfo_nomem(reader->info);
    }
    metadata->sort_orders = orders;
    metadata->sort_order_count = 1;
    if (array == NULL && reader->format_version == 1) {
        return ERR_OK; /* one, the unsorted: id 0 and no fields */
    }
    TRY(iceberg__json_array_required(reader, place, root, "sort-orders", &array));
    TRY(iceberg__json_int(reader, place, root, "default-sort-order-id", 0,
                          &metadata->default_sort_order_id));
    struct json_place list = JSON_MEMBER(place, "sort-orders");
    size_t count = 0;
    for (const struct json *node = array->first; node != NULL; node = node->next) {
        struct json_place item = JSON_INDEX(&list, count);
        TRY(read_sort_order(reader, &item, node, &orders[count++]));
    }
    metadata->sort_order_count = count;
    return ERR_OK;
}
