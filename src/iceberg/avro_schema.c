/* The writer's schema of an Avro file. */
#include "base/json.h"
#include "iceberg/avro_int.h"

#define FIELDS_MAX 10000

struct named {
    struct slice name;
    const struct avro_schema *schema; /* NULL while it is being read */
    struct named *next;
};

struct parser {
    struct arena *arena;
    struct named *named;
    unsigned depth;
    struct errinfo *info;
};

static enum err parse(struct parser *p, const struct json *node, struct avro_schema *out);

static enum err bad(struct parser *p, const char *what)
{
    return errinfo_set(p->info, ERR_CORRUPT, NULL, "the schema of an Avro file %s", what);
}

static int32_t id_of(const struct json *node, const char *key)
{
    int64_t id;
    const struct json *value = json_get(node, key);
    return value != NULL && json_to_i64(value, &id) && id >= 0 && id <= INT32_MAX ? (int32_t)id
                                                                                  : -1;
}

static bool keep(struct parser *p, struct slice text, struct slice *ret_text)
{
    return arena_slice(p->arena, text, ret_text);
}

/* Names compare without their namespace: within one file writers do not reuse them. */
static struct slice short_name(struct slice name)
{
    for (size_t i = name.len; i > 0; i--) {
        if (name.ptr[i - 1] == '.') {
            return (struct slice){name.ptr + i, name.len - i};
        }
    }
    return name;
}

/* What a value takes, and how large the tree is when a named type counts wherever it is used: a few
 * lines of a schema can stand for 2^60 fields, which no reader may walk. */
static enum err measure(struct parser *p, struct avro_schema *out)
{
    uint64_t nodes = 1;
    int64_t bytes = 0;
    for (size_t i = 0; i < out->field_count; i++) {
        const struct avro_schema *field = out->fields[i].schema;
        nodes += field->node_count;
        bytes = field->constant_bytes < 0 || bytes < 0 ? -1 : bytes + field->constant_bytes;
    }
    if (nodes > AVRO_NODES_MAX) {
        return errinfo_set(p->info, ERR_LIMIT, NULL, "an Avro schema has more than %d types",
                           AVRO_NODES_MAX);
    }
    out->node_count = (uint32_t)nodes;
    out->constant_bytes = out->kind == AVRO_NULL      ? 0
                          : out->kind == AVRO_BOOLEAN ? 1
                          : out->kind == AVRO_FLOAT   ? 4
                          : out->kind == AVRO_DOUBLE  ? 8
                          : out->kind == AVRO_FIXED   ? (int64_t)out->size
                          : out->kind == AVRO_RECORD  ? bytes
                                                      : -1;
    return ERR_OK;
}

static enum err parse_reference(struct parser *p, struct slice name, struct avro_schema *out)
{
    static const struct {
        const char *name;
        enum avro_kind kind;
    } kinds[] = {{"null", AVRO_NULL},   {"boolean", AVRO_BOOLEAN}, {"int", AVRO_INT},
                 {"long", AVRO_LONG},   {"float", AVRO_FLOAT},     {"double", AVRO_DOUBLE},
                 {"bytes", AVRO_BYTES}, {"string", AVRO_STRING}};
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (slice_equal(name, slice_of(kinds[i].name))) {
            *out = (struct avro_schema){.kind = kinds[i].kind, .element_id = -1, .key_id = -1};
            return ERR_OK;
        }
    }
    for (const struct named *named = p->named; named != NULL; named = named->next) {
        if (slice_equal(named->name, short_name(name))) {
            if (named->schema == NULL) {
                return errinfo_set(p->info, ERR_UNSUPPORTED, NULL,
                                   "Avro type \"%.*s\" refers to itself", SLICE_ARGS(name));
            }
            *out = *named->schema;
            return ERR_OK;
        }
    }
    return errinfo_set(p->info, ERR_CORRUPT, NULL, "Avro type \"%.*s\" is not known",
                       SLICE_ARGS(name));
}

static enum err add_name(struct parser *p, const struct json *node, struct avro_schema *out,
                         struct named **ret_named)
{
    struct named *named = arena_calloc(p->arena, 1, sizeof(*named));
    if (named == NULL || !keep(p, json_get_text(node, "name"), &out->name)) {
        return errinfo_nomem(p->info);
    }
    if (out->name.len == 0) {
        return bad(p, "has a type without a name");
    }
    named->name = short_name(out->name);
    named->next = p->named;
    p->named = named;
    *ret_named = named;
    return ERR_OK;
}

static enum err parse_fields(struct parser *p, const struct json *fields, bool is_union,
                             struct avro_schema *out)
{
    if (fields == NULL || fields->type != JSON_ARRAY) {
        return bad(p, "has a record without fields");
    }
    if (fields->count > FIELDS_MAX) {
        return errinfo_set(p->info, ERR_LIMIT, NULL, "an Avro record has more than %d fields",
                           FIELDS_MAX);
    }
    struct avro_field *parsed = arena_calloc(p->arena, fields->count + 1, sizeof(*parsed));
    struct avro_schema *schemas = arena_calloc(p->arena, fields->count + 1, sizeof(*schemas));
    if (parsed == NULL || schemas == NULL) {
        return errinfo_nomem(p->info);
    }
    size_t count = 0;
    for (const struct json *field = fields->first; field != NULL; field = field->next, count++) {
        const struct json *type = is_union ? field : json_get(field, "type");
        if (type == NULL) {
            return bad(p, "has a field without a type");
        }
        parsed[count] = (struct avro_field){.id = is_union ? -1 : id_of(field, "field-id"),
                                            .schema = &schemas[count]};
        if (!is_union && !keep(p, json_get_text(field, "name"), &parsed[count].name)) {
            return errinfo_nomem(p->info);
        }
        TRY(parse(p, type, &schemas[count]));
    }
    out->fields = parsed;
    out->field_count = count;
    return ERR_OK;
}

static enum err parse_item(struct parser *p, const struct json *item, struct avro_schema *out)
{
    struct avro_field *field = arena_calloc(p->arena, 1, sizeof(*field));
    struct avro_schema *schema = arena_calloc(p->arena, 1, sizeof(*schema));
    if (field == NULL || schema == NULL) {
        return errinfo_nomem(p->info);
    }
    if (item == NULL) {
        return bad(p, "has a list without a type of its items");
    }
    TRY(parse(p, item, schema));
    *field = (struct avro_field){.id = out->element_id, .schema = schema};
    out->fields = field;
    out->field_count = 1;
    return ERR_OK;
}

static enum err parse_size(struct parser *p, const struct json *node, struct avro_schema *out)
{
    uint64_t size;
    if (!json_to_u64(json_get(node, "size"), &size) || size > AVRO_BLOCK_BYTES_MAX) {
        return bad(p, "has a fixed type without a size");
    }
    out->size = (uint32_t)size;
    return ERR_OK;
}

/* `ret_named` is to be completed with the finished schema. */
static enum err parse_named(struct parser *p, const struct json *node, struct slice type,
                            struct avro_schema *out, struct named **ret_named)
{
    TRY(add_name(p, node, out, ret_named));
    if (slice_equal(type, SLICE("fixed"))) {
        out->kind = AVRO_FIXED;
        TRY(parse_size(p, node, out));
    } else if (slice_equal(type, SLICE("enum"))) {
        out->kind = AVRO_ENUM;
    } else {
        out->kind = AVRO_RECORD;
        TRY(parse_fields(p, json_get(node, "fields"), false, out));
    }
    return ERR_OK;
}

static enum err parse_attributes(struct parser *p, const struct json *node, struct avro_schema *out)
{
    int64_t number;
    struct slice logical_type = json_get_text(node, "logicalType");
    if (logical_type.len > 0 && !keep(p, logical_type, &out->logical_type)) {
        return errinfo_nomem(p->info);
    }
    if (json_to_i64(json_get(node, "precision"), &number) && number > 0 && number <= 38) {
        out->precision = (uint32_t)number;
    }
    if (json_to_i64(json_get(node, "scale"), &number) && number >= 0 && number <= 38) {
        out->scale = (uint32_t)number;
    }
    out->is_adjusted_to_utc = json_get_bool(node, "adjust-to-utc", out->is_adjusted_to_utc);
    return ERR_OK;
}

static enum err parse_object(struct parser *p, const struct json *node, struct avro_schema *out)
{
    const struct json *type = json_get(node, "type");
    struct slice name = json_get_text(node, "type");
    struct named *named = NULL;
    *out = (struct avro_schema){.element_id = -1, .key_id = -1};
    if (type == NULL) {
        return bad(p, "has a type that says not what it is");
    }
    if (slice_equal(name, SLICE("record")) || slice_equal(name, SLICE("fixed")) ||
        slice_equal(name, SLICE("enum"))) {
        TRY(parse_named(p, node, name, out, &named));
    } else if (slice_equal(name, SLICE("array"))) {
        out->kind = AVRO_ARRAY;
        out->element_id = id_of(node, "element-id");
        TRY(parse_item(p, json_get(node, "items"), out));
    } else if (slice_equal(name, SLICE("map"))) {
        out->kind = AVRO_MAP;
        out->element_id = id_of(node, "value-id");
        out->key_id = id_of(node, "key-id");
        TRY(parse_item(p, json_get(node, "values"), out));
    } else {
        TRY(parse(p, type, out));
    }
    TRY(parse_attributes(p, node, out));
    TRY(measure(p, out));
    if (named != NULL) {
        struct avro_schema *kept = arena_alloc(p->arena, sizeof(*kept));
        if (kept == NULL) {
            return errinfo_nomem(p->info);
        }
        *kept = *out;
        named->schema = kept;
    }
    return ERR_OK;
}

static enum err parse(struct parser *p, const struct json *node, struct avro_schema *out)
{
    if (p->depth == AVRO_DEPTH_MAX) {
        return errinfo_set(p->info, ERR_LIMIT, NULL, "an Avro schema is nested deeper than %d",
                           AVRO_DEPTH_MAX);
    }
    enum err err = ERR_OK;
    p->depth++;
    switch (node->type) {
    case JSON_STRING:
        err = parse_reference(p, node->text, out);
        break;
    case JSON_ARRAY:
        *out = (struct avro_schema){.kind = AVRO_UNION, .element_id = -1, .key_id = -1};
        err =
            node->count == 0 ? bad(p, "has a union of nothing") : parse_fields(p, node, true, out);
        break;
    case JSON_OBJECT:
        err = parse_object(p, node, out);
        break;
    case JSON_NULL:
    case JSON_BOOL:
    case JSON_NUMBER:
        err = bad(p, "has a type that is none");
    }
    p->depth--;
    return err == ERR_OK ? measure(p, out) : err;
}

enum err avro__schema_parse(struct slice text, struct arena *arena,
                            const struct avro_schema **ret_schema, struct errinfo *info)
{
    struct arena *scratch CLEANUP(arena_cleanup) = arena_new(NULL, "avro schema", 0);
    struct avro_schema *schema = arena_calloc(arena, 1, sizeof(*schema));
    if (scratch == NULL || schema == NULL) {
        return errinfo_nomem(info);
    }
    struct json *root;
    struct json_limits limits = {.depth_max = 4 * AVRO_DEPTH_MAX, .nodes_max = 1000000};
    enum err err = json_parse(scratch, text, &limits, &root, info);
    if (err == ERR_INVALID) {
        return errinfo_set(info, ERR_CORRUPT, NULL, "the schema of an Avro file is no JSON");
    }
    TRY(err);
    struct parser parser = {.arena = arena, .info = info};
    TRY(parse(&parser, root, schema));
    *ret_schema = schema;
    return ERR_OK;
}
