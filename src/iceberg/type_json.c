/* Schemas in JSON (spec Appendix C): read into an arena, and written. */
#include "iceberg/type.h"

#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "iceberg/json_int.h"

static enum err read_type(const struct json_reader *reader, const struct json_place *place,
                          const struct json *node, unsigned depth, struct iceberg_type *ret_type);

static bool is_added_in_v3(enum iceberg_type_id id)
{
    return id == ICEBERG_UNKNOWN || id == ICEBERG_TIMESTAMP_NS || id == ICEBERG_TIMESTAMPTZ_NS ||
           id == ICEBERG_VARIANT || id == ICEBERG_GEOMETRY || id == ICEBERG_GEOGRAPHY;
}

static enum err read_plain_type(const struct json_reader *reader, const struct json_place *place,
                                const struct json *node, struct iceberg_type *ret_type)
{
    struct slice text;
    struct errinfo inner;
    struct iceberg_type type = {.id = ICEBERG_UNKNOWN};
    TRY(iceberg__json_keep(reader, node->text, &text));
    errinfo_init(&inner);
    enum err err = iceberg_type_parse_text(text, &type, &inner);
    if (err == ERR_UNSUPPORTED) {
        return iceberg__json_unsupported(reader, place, "cannot be read: %s", inner.message);
    }
    if (err != ERR_OK) {
        return iceberg__json_bad(reader, place, "is no type: %s", inner.message);
    }
    if (is_added_in_v3(type.id) && reader->format_version < 3) {
        return iceberg__json_bad(reader, place,
                                 "has type \"%.*s\", which tables of format version %u lack",
                                 SLICE_ARGS(text), reader->format_version);
    }
    *ret_type = type;
    return ERR_OK;
}

/* ---- fields ---- */

static enum err read_default(const struct json_reader *reader, const struct json_place *place,
                             const struct json *object, const char *name,
                             const struct iceberg_type *type,
                             const struct iceberg_value **ret_value)
{
    const struct json *node = json_get(object, name);
    if (json_is_null(node)) {
        *ret_value = NULL;
        return ERR_OK;
    }
    struct json_place member = JSON_MEMBER(place, name);
    if (type->id == ICEBERG_UNKNOWN || type->id == ICEBERG_VARIANT ||
        type->id == ICEBERG_GEOMETRY || type->id == ICEBERG_GEOGRAPHY) {
        return iceberg__json_bad(reader, &member, "must be null for this type");
    }
    struct iceberg_value *value = arena_calloc(reader->arena, 1, sizeof(*value));
    if (value == NULL) {
        return errinfo_nomem(reader->info);
    }
    struct errinfo inner;
    errinfo_init(&inner);
    enum err err = iceberg_value_parse(type, node, reader->arena, value, &inner);
    if (err == ERR_NOMEM) {
        return errinfo_nomem(reader->info);
    }
    if (err == ERR_UNSUPPORTED) {
        return iceberg__json_unsupported(reader, &member, "cannot be used: %s", inner.message);
    }
    if (err != ERR_OK) {
        return iceberg__json_bad(reader, &member, "is no value of its type: %s", inner.message);
    }
    *ret_value = value;
    return ERR_OK;
}

static enum err read_field_id(const struct json_reader *reader, const struct json_place *place,
                              const struct json *object, const char *name, int32_t *ret_id)
{
    int64_t id = 0;
    TRY(iceberg__json_long(reader, place, object, name, 0, ICEBERG__FIELD_ID_MAX, &id));
    *ret_id = (int32_t)id;
    return ERR_OK;
}

static enum err read_field(const struct json_reader *reader, const struct json_place *place,
                           const struct json *node, unsigned depth, struct iceberg_field *ret_field)
{
    struct iceberg_field field = {0};
    struct json_place type_place = JSON_MEMBER(place, "type");
    TRY(iceberg__json_object(reader, place, node));
    TRY(read_field_id(reader, place, node, "id", &field.id));
    TRY(iceberg__json_text(reader, place, node, "name", &field.name));
    TRY(iceberg__json_bool(reader, place, node, "required", &field.is_required));
    TRY(iceberg__json_text_or_empty(reader, place, node, "doc", &field.doc));
    TRY(read_type(reader, &type_place, json_get(node, "type"), depth, &field.type));
    if (!slice_is_utf8(field.name, NULL)) {
        return iceberg__json_bad(reader, place, "has a name that is not UTF-8");
    }
    if (field.type.id == ICEBERG_UNKNOWN && field.is_required) {
        return iceberg__json_bad(reader, place, "is required but of type unknown, always null");
    }
    TRY(read_default(reader, place, node, "initial-default", &field.type, &field.initial_default));
    TRY(read_default(reader, place, node, "write-default", &field.type, &field.write_default));
    *ret_field = field;
    return ERR_OK;
}

static int compare_names(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

static enum err check_names(const struct json_reader *reader, const struct json_place *place,
                            const struct iceberg_field *fields, size_t count)
{
    if (count < 2) {
        return ERR_OK;
    }
    struct slice *names CLEANUP(mem_free_cleanup) = mem_calloc(count, sizeof(*names));
    if (names == NULL) {
        return errinfo_nomem(reader->info);
    }
    for (size_t i = 0; i < count; i++) {
        names[i] = fields[i].name;
    }
    qsort(names, count, sizeof(*names), compare_names);
    for (size_t i = 1; i < count; i++) {
        if (slice_equal(names[i - 1], names[i])) {
            return iceberg__json_bad(reader, place, "has two fields named \"%.*s\"",
                                     SLICE_ARGS(names[i]));
        }
    }
    return ERR_OK;
}

static enum err read_struct(const struct json_reader *reader, const struct json_place *place,
                            const struct json *node, unsigned depth, struct iceberg_type *ret_type)
{
    const struct json *array = NULL;
    TRY(iceberg__json_array_required(reader, place, node, "fields", &array));
    struct iceberg_field *fields =
        arena_calloc(reader->arena, (size_t)array->count + 1, sizeof(*fields));
    if (fields == NULL) {
        return errinfo_nomem(reader->info);
    }
    struct json_place list = JSON_MEMBER(place, "fields");
    size_t count = 0;
    for (const struct json *item = array->first; item != NULL; item = item->next) {
        struct json_place at = JSON_INDEX(&list, count);
        TRY(read_field(reader, &at, item, depth + 1, &fields[count++]));
    }
    TRY(check_names(reader, &list, fields, count));
    *ret_type = (struct iceberg_type){.id = ICEBERG_STRUCT, .fields = fields, .field_count = count};
    return ERR_OK;
}

static enum err read_list(const struct json_reader *reader, const struct json_place *place,
                          const struct json *node, unsigned depth, struct iceberg_type *ret_type)
{
    struct iceberg_field *element = arena_calloc(reader->arena, 1, sizeof(*element));
    if (element == NULL) {
        return errinfo_nomem(reader->info);
    }
    struct json_place inner = JSON_MEMBER(place, "element");
    element->name = SLICE("element");
    TRY(read_field_id(reader, place, node, "element-id", &element->id));
    TRY(iceberg__json_bool(reader, place, node, "element-required", &element->is_required));
    TRY(read_type(reader, &inner, json_get(node, "element"), depth + 1, &element->type));
    *ret_type = (struct iceberg_type){.id = ICEBERG_LIST, .fields = element, .field_count = 1};
    return ERR_OK;
}

static enum err read_map(const struct json_reader *reader, const struct json_place *place,
                         const struct json *node, unsigned depth, struct iceberg_type *ret_type)
{
    struct iceberg_field *pair = arena_calloc(reader->arena, 2, sizeof(*pair));
    if (pair == NULL) {
        return errinfo_nomem(reader->info);
    }
    struct json_place key = JSON_MEMBER(place, "key");
    struct json_place value = JSON_MEMBER(place, "value");
    pair[0] = (struct iceberg_field){.name = SLICE("key"), .is_required = true};
    pair[1].name = SLICE("value");
    TRY(read_field_id(reader, place, node, "key-id", &pair[0].id));
    TRY(read_field_id(reader, place, node, "value-id", &pair[1].id));
    TRY(iceberg__json_bool(reader, place, node, "value-required", &pair[1].is_required));
    TRY(read_type(reader, &key, json_get(node, "key"), depth + 1, &pair[0].type));
    TRY(read_type(reader, &value, json_get(node, "value"), depth + 1, &pair[1].type));
    *ret_type = (struct iceberg_type){.id = ICEBERG_MAP, .fields = pair, .field_count = 2};
    return ERR_OK;
}

static enum err read_type(const struct json_reader *reader, const struct json_place *place,
                          const struct json *node, unsigned depth, struct iceberg_type *ret_type)
{
    if (depth > ICEBERG_DEPTH_MAX) {
        return errinfo_set(reader->info, ERR_LIMIT, NULL,
                           "a schema nests types deeper than %d levels", ICEBERG_DEPTH_MAX);
    }
    if (json_is_null(node)) {
        return iceberg__json_bad(reader, place, "is missing");
    }
    if (node->type == JSON_STRING) {
        return read_plain_type(reader, place, node, ret_type);
    }
    struct slice kind;
    TRY(iceberg__json_object(reader, place, node));
    TRY(iceberg__json_text(reader, place, node, "type", &kind));
    if (slice_equal(kind, SLICE("struct"))) {
        return read_struct(reader, place, node, depth, ret_type);
    }
    if (slice_equal(kind, SLICE("list"))) {
        return read_list(reader, place, node, depth, ret_type);
    }
    if (slice_equal(kind, SLICE("map"))) {
        return read_map(reader, place, node, depth, ret_type);
    }
    return iceberg__json_unsupported(reader, place, "is of type \"%.*s\", which is not known",
                                     SLICE_ARGS(kind));
}

/* ---- schemas ---- */

static size_t count_fields(const struct iceberg_type *type)
{
    size_t count = type->field_count;
    for (size_t i = 0; i < type->field_count; i++) {
        count += count_fields(&type->fields[i].type);
    }
    return count;
}

static size_t collect_ids(const struct iceberg_type *type, int32_t *ids, size_t at)
{
    for (size_t i = 0; i < type->field_count; i++) {
        ids[at++] = type->fields[i].id;
        at = collect_ids(&type->fields[i].type, ids, at);
    }
    return at;
}

static int compare_ids(const void *a, const void *b)
{
    int32_t left = *(const int32_t *)a;
    int32_t right = *(const int32_t *)b;
    return (left > right) - (left < right);
}

/* Ids are what columns are found by: one that is there twice would give the wrong rows. */
static enum err check_ids(const struct json_reader *reader, const struct json_place *place,
                          const struct iceberg_schema *schema)
{
    size_t count = count_fields(&schema->root);
    int32_t *ids CLEANUP(mem_free_cleanup) = mem_calloc(count + 1, sizeof(*ids));
    if (ids == NULL) {
        return errinfo_nomem(reader->info);
    }
    (void)collect_ids(&schema->root, ids, 0);
    qsort(ids, count, sizeof(*ids), compare_ids);
    for (size_t i = 1; i < count; i++) {
        if (ids[i - 1] == ids[i]) {
            return iceberg__json_bad(reader, place, "has two fields with id %d", ids[i]);
        }
    }
    for (size_t i = 0; i < schema->identifier_count; i++) {
        if (bsearch(&schema->identifier_ids[i], ids, count, sizeof(*ids), compare_ids) == NULL) {
            return iceberg__json_bad(reader, place,
                                     "names identifier field %d, which is not a field",
                                     schema->identifier_ids[i]);
        }
    }
    return ERR_OK;
}

enum err iceberg__schema_read(const struct json_reader *reader, const struct json_place *place,
                              const struct json *node, struct iceberg_schema *ret_schema)
{
    struct iceberg_schema schema = {0};
    TRY(iceberg__json_object(reader, place, node));
    struct slice kind;
    TRY(iceberg__json_text_or_empty(reader, place, node, "type", &kind));
    if (kind.len > 0 && !slice_equal(kind, SLICE("struct"))) {
        return iceberg__json_bad(reader, place, "is a schema of type \"%.*s\", not a struct",
                                 SLICE_ARGS(kind));
    }
    TRY(iceberg__json_int_or(reader, place, node, "schema-id", 0, 0, &schema.id));
    TRY(iceberg__json_ids(reader, place, node, "identifier-field-ids", &schema.identifier_ids,
                          &schema.identifier_count));
    TRY(read_struct(reader, place, node, 0, &schema.root));
    TRY(check_ids(reader, place, &schema));
    *ret_schema = schema;
    return ERR_OK;
}

enum err iceberg__schemas_read(const struct json_reader *reader, const struct json_place *place,
                               const struct json *array, struct iceberg_schema **ret_schemas,
                               size_t *ret_count)
{
    struct iceberg_schema *schemas =
        arena_calloc(reader->arena, (size_t)array->count + 1, sizeof(*schemas));
    if (schemas == NULL) {
        return errinfo_nomem(reader->info);
    }
    struct json_place list = JSON_MEMBER(place, "schemas");
    size_t count = 0;
    for (const struct json *node = array->first; node != NULL; node = node->next) {
        struct json_place item = JSON_INDEX(&list, count);
        TRY(iceberg__schema_read(reader, &item, node, &schemas[count]));
        for (size_t i = 0; i < count; i++) {
            if (schemas[i].id == schemas[count].id) {
                return iceberg__json_bad(reader, &item, "has schema id %d, as another has",
                                         schemas[i].id);
            }
        }
        count++;
    }
    *ret_schemas = schemas;
    *ret_count = count;
    return ERR_OK;
}

enum err iceberg_schema_parse(const struct json *node, uint32_t format_version, const char *path,
                              struct arena *arena, struct iceberg_schema *ret_schema,
                              struct errinfo *info)
{
    struct json_reader reader = {.arena = arena, .format_version = format_version, .info = info};
    struct json_place root = JSON_ROOT(path);
    return iceberg__schema_read(&reader, &root, node, ret_schema);
}

/* ---- writing ---- */

static void write_type(const struct iceberg_type *type, struct buf *out);

static void write_default(const char *name, const struct iceberg_value *value, struct buf *out)
{
    if (value != NULL) {
        buf_printf(out, ",\"%s\":", name);
        iceberg_value_write(value, out);
    }
}

static void write_field(const struct iceberg_field *field, struct buf *out)
{
    buf_printf(out, "{\"id\":%d,\"name\":", field->id);
    json_write_string(out, field->name);
    buf_printf(out, ",\"required\":%s,\"type\":", field->is_required ? "true" : "false");
    write_type(&field->type, out);
    if (field->doc.len > 0) {
        buf_append_str(out, ",\"doc\":");
        json_write_string(out, field->doc);
    }
    write_default("initial-default", field->initial_default, out);
    write_default("write-default", field->write_default, out);
    buf_append_char(out, '}');
}

static void write_fields(const struct iceberg_type *type, struct buf *out)
{
    buf_append_str(out, "\"fields\":[");
    for (size_t i = 0; i < type->field_count; i++) {
        if (i > 0) {
            buf_append_char(out, ',');
        }
        write_field(&type->fields[i], out);
    }
    buf_append_char(out, ']');
}

static void write_type(const struct iceberg_type *type, struct buf *out)
{
    const struct iceberg_field *fields = type->fields;
    if (type->id == ICEBERG_STRUCT) {
        buf_append_str(out, "{\"type\":\"struct\",");
        write_fields(type, out);
        buf_append_char(out, '}');
    } else if (type->id == ICEBERG_LIST) {
        buf_printf(out, "{\"type\":\"list\",\"element-id\":%d,\"element\":", fields[0].id);
        write_type(&fields[0].type, out);
        buf_printf(out, ",\"element-required\":%s}", fields[0].is_required ? "true" : "false");
    } else if (type->id == ICEBERG_MAP) {
        buf_printf(out, "{\"type\":\"map\",\"key-id\":%d,\"key\":", fields[0].id);
        write_type(&fields[0].type, out);
        buf_printf(out, ",\"value-id\":%d,\"value\":", fields[1].id);
        write_type(&fields[1].type, out);
        buf_printf(out, ",\"value-required\":%s}", fields[1].is_required ? "true" : "false");
    } else {
        struct buf text CLEANUP(buf_fini) = {0};
        iceberg_type_print(type, &text);
        out->failed = out->failed || buf_failed(&text);
        json_write_string(out, buf_slice(&text));
    }
}

void iceberg_schema_write(const struct iceberg_schema *schema, struct buf *out)
{
    buf_printf(out, "{\"type\":\"struct\",\"schema-id\":%d", schema->id);
    if (schema->identifier_count > 0) {
        buf_append_str(out, ",\"identifier-field-ids\":[");
        for (size_t i = 0; i < schema->identifier_count; i++) {
            buf_printf(out, i > 0 ? ",%d" : "%d", schema->identifier_ids[i]);
        }
        buf_append_char(out, ']');
    }
    buf_append_char(out, ',');
    write_fields(&schema->root, out);
    buf_append_char(out, '}');
}
