#include "lake/schema.h"

#include "base/json.h"
#include "iceberg/write.h"
#include "sql/scan.h"

#define DEPTH_MAX 32

/* ---- types ---- */

struct parser {
    struct scanner scanner;
    struct token token;
    struct slice whole, column;
    uint32_t format_version;
    struct arena *arena;
    struct errinfo *info;
};

static enum err no_type(const struct parser *p)
{
    (void)errinfo_set(p->info, ERR_UNSUPPORTED, NULL,
                      "a table of a lake cannot keep column \"%.*s\" of type %.*s",
                      SLICE_ARGS(p->column), SLICE_ARGS(p->whole));
    errinfo_hint(p->info, "Cast it to a type that Iceberg has, or select its parts.");
    return ERR_UNSUPPORTED;
}

static enum err no_type_yet(const struct parser *p)
{
    (void)errinfo_set(p->info, ERR_UNSUPPORTED, NULL,
                      "a table of format version %u cannot keep column \"%.*s\" of type %.*s",
                      p->format_version, SLICE_ARGS(p->column), SLICE_ARGS(p->whole));
    errinfo_hint(p->info, "Version 3 can: CREATE TABLE ... WITH (format_version = 3), or ALTER "
                          "TABLE ... SET ('format-version' = '3') first.");
    return ERR_UNSUPPORTED;
}

static enum err step(struct parser *p)
{
    return scanner_next(&p->scanner, &p->token, p->info);
}

static enum err take(struct parser *p, const char *operator_text)
{
    return token_is_operator(&p->token, operator_text) ? step(p) : no_type(p);
}

static enum err take_number(struct parser *p, uint32_t *ret_number)
{
    uint64_t number;
    if (p->token.kind != TOKEN_NUMBER || !slice_to_u64(p->token.text, &number) ||
        number > INT32_MAX) {
        return no_type(p);
    }
    *ret_number = (uint32_t)number;
    return step(p);
}

static enum err parse_type(struct parser *p, unsigned depth, struct iceberg_type *ret_type);

/* DECIMAL(18,3) */
static enum err parse_decimal(struct parser *p, struct iceberg_type *out)
{
    *out = (struct iceberg_type){.id = ICEBERG_DECIMAL, .precision = 18, .scale = 3};
    if (!token_is_operator(&p->token, "(")) {
        return ERR_OK;
    }
    TRY(step(p));
    TRY(take_number(p, &out->precision));
    TRY(take(p, ","));
    TRY(take_number(p, &out->scale));
    return take(p, ")");
}

static enum err parse_struct(struct parser *p, unsigned depth, struct iceberg_type *out)
{
    struct buf fields CLEANUP(buf_fini) = {0};
    bool has_more = true;
    TRY(take(p, "("));
    while (has_more) {
        struct iceberg_field field = {0};
        if ((p->token.kind != TOKEN_WORD && p->token.kind != TOKEN_QUOTED) ||
            !token_identifier(&p->token, p->arena, &field.name)) {
            return no_type(p);
        }
        TRY(step(p));
        TRY(parse_type(p, depth + 1, &field.type));
        buf_append(&fields, &field, sizeof(field));
        has_more = token_is_operator(&p->token, ",");
        TRY(has_more ? step(p) : ERR_OK);
    }
    TRY(take(p, ")"));
    struct iceberg_field *kept = arena_alloc(p->arena, fields.len + 1);
    if (kept == NULL || buf_failed(&fields)) {
        return errinfo_nomem(p->info);
    }
    memcpy(kept, fields.ptr, fields.len);
    *out = (struct iceberg_type){
        .id = ICEBERG_STRUCT, .fields = kept, .field_count = fields.len / sizeof(*kept)};
    return ERR_OK;
}

static enum err parse_map(struct parser *p, unsigned depth, struct iceberg_type *out)
{
    struct iceberg_field *fields = arena_calloc(p->arena, 2, sizeof(*fields));
    if (fields == NULL) {
        return errinfo_nomem(p->info);
    }
    fields[0] = (struct iceberg_field){.name = SLICE("key"), .is_required = true};
    fields[1] = (struct iceberg_field){.name = SLICE("value")};
    TRY(take(p, "("));
    TRY(parse_type(p, depth + 1, &fields[0].type));
    TRY(take(p, ","));
    TRY(parse_type(p, depth + 1, &fields[1].type));
    *out = (struct iceberg_type){.id = ICEBERG_MAP, .fields = fields, .field_count = 2};
    return take(p, ")");
}

static const struct {
    const char *word;
    enum iceberg_type_id id;
} words[] = {
    {"boolean", ICEBERG_BOOLEAN},
    {"tinyint", ICEBERG_INT},
    {"smallint", ICEBERG_INT},
    {"integer", ICEBERG_INT},
    {"utinyint", ICEBERG_INT},
    {"usmallint", ICEBERG_INT},
    {"bigint", ICEBERG_LONG},
    {"uinteger", ICEBERG_LONG},
    {"float", ICEBERG_FLOAT},
    {"double", ICEBERG_DOUBLE},
    {"date", ICEBERG_DATE},
    {"time", ICEBERG_TIME},
    {"timestamp_s", ICEBERG_TIMESTAMP},
    {"timestamp_ms", ICEBERG_TIMESTAMP},
    {"timestamp_ns", ICEBERG_TIMESTAMP_NS},
    {"timestamptz_ns", ICEBERG_TIMESTAMPTZ_NS},
    {"varchar", ICEBERG_STRING},
    {"json", ICEBERG_STRING},
    {"uuid", ICEBERG_UUID},
    {"blob", ICEBERG_BINARY},
    {"variant", ICEBERG_VARIANT},
};

/* What a reference system is called: the type's text has no quotes. */
static bool is_system(struct slice name)
{
    bool is_name = name.len > 0;
    for (size_t i = 0; i < name.len; i++) {
        is_name = is_name && name.ptr[i] > ' ' && strchr("\"\\'(),<>", name.ptr[i]) == NULL;
    }
    return is_name;
}

/* How edges of a geography run between two points; the first is the default. */
static const char *const algorithms[] = {"spherical", "vincenty", "thomas", "andoyer", "karney"};

static enum err set_algorithm(const struct parser *p, struct slice name, struct iceberg_type *out)
{
    const char *near = NULL;
    unsigned least = 3;
    for (size_t i = 0; i < ARRAY_COUNT(algorithms); i++) {
        struct slice known = slice_of(algorithms[i]);
        unsigned distance = slice_edit_distance(name, known, least);
        if (distance == 0) {
            out->algorithm = i == 0 ? (struct slice){0} : known;
            return ERR_OK;
        }
        near = distance < least ? algorithms[i] : near;
        least = distance < least ? distance : least;
    }
    (void)errinfo_set(p->info, ERR_INVALID, "22023",
                      "column \"%.*s\" of type GEOGRAPHY has edges by an algorithm that is not "
                      "known: \"%.*s\"",
                      SLICE_ARGS(p->column), SLICE_ARGS(name));
    if (near != NULL) {
        errinfo_hint(p->info, "Did you mean \"%s\"?", near);
    } else {
        errinfo_hint(p->info, "There are spherical, vincenty, thomas, andoyer and karney.");
    }
    return ERR_INVALID;
}

static enum err no_geo(const struct parser *p)
{
    (void)no_type(p);
    errinfo_hint(p->info, "There are GEOMETRY('EPSG:3857') and GEOGRAPHY('OGC:CRS84', 'karney'); "
                          "both texts may be left out.");
    return ERR_UNSUPPORTED;
}

static enum err take_string(struct parser *p, struct slice *ret_text)
{
    if (p->token.kind != TOKEN_STRING ||
        token_string(&p->token, p->arena, ret_text, NULL) != ERR_OK) {
        return no_geo(p);
    }
    return step(p);
}

/* GEOMETRY ['(' 'crs' ')'], GEOGRAPHY ['(' 'crs' [, 'algorithm'] ')'] */
static enum err parse_geo(struct parser *p, enum iceberg_type_id id, struct iceberg_type *out)
{
    struct slice system;
    struct slice algorithm;
    *out = (struct iceberg_type){.id = id};
    if (p->format_version < 3) {
        return no_type_yet(p);
    }
    TRY(step(p));
    if (!token_is_operator(&p->token, "(")) {
        return ERR_OK;
    }
    TRY(step(p));
    TRY(take_string(p, &system));
    if (!is_system(system)) {
        return no_geo(p);
    }
    out->crs = slice_equal_fold(system, SLICE("OGC:CRS84")) ? (struct slice){0} : system;
    if (id == ICEBERG_GEOGRAPHY && token_is_operator(&p->token, ",")) {
        TRY(step(p));
        TRY(take_string(p, &algorithm));
        TRY(set_algorithm(p, algorithm, out));
    }
    return token_is_operator(&p->token, ")") ? step(p) : no_geo(p);
}

static enum err parse_word(struct parser *p, struct iceberg_type *out)
{
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (token_is(&p->token, words[i].word)) {
            *out = (struct iceberg_type){.id = words[i].id};
            bool is_new = words[i].id == ICEBERG_TIMESTAMP_NS ||
                          words[i].id == ICEBERG_TIMESTAMPTZ_NS || words[i].id == ICEBERG_VARIANT;
            return is_new && p->format_version < 3 ? no_type_yet(p) : step(p);
        }
    }
    if (p->token.kind == TOKEN_QUOTED && slice_equal(p->token.text, SLICE("\"NULL\""))) {
        *out = (struct iceberg_type){.id = ICEBERG_STRING};
        return step(p);
    }
    return no_type(p);
}

/* TIMESTAMP [WITH TIME ZONE] */
static enum err parse_timestamp(struct parser *p, struct iceberg_type *out)
{
    *out = (struct iceberg_type){.id = ICEBERG_TIMESTAMP};
    TRY(step(p));
    if (!token_is(&p->token, "with")) {
        return ERR_OK;
    }
    out->id = ICEBERG_TIMESTAMPTZ;
    TRY(step(p));
    TRY(token_is(&p->token, "time") ? step(p) : no_type(p));
    return token_is(&p->token, "zone") ? step(p) : no_type(p);
}

static enum err parse_base(struct parser *p, unsigned depth, struct iceberg_type *out)
{
    bool is_huge = token_is(&p->token, "hugeint");
    if (is_huge || token_is(&p->token, "ubigint")) {
        *out = (struct iceberg_type){.id = ICEBERG_DECIMAL, .precision = is_huge ? 38 : 20};
        return step(p);
    }
    if (token_is(&p->token, "decimal")) {
        TRY(step(p));
        return parse_decimal(p, out);
    }
    if (token_is(&p->token, "timestamp")) {
        return parse_timestamp(p, out);
    }
    if (token_is(&p->token, "struct")) {
        TRY(step(p));
        return parse_struct(p, depth, out);
    }
    if (token_is(&p->token, "map")) {
        TRY(step(p));
        return parse_map(p, depth, out);
    }
    if (token_is(&p->token, "enum")) { /* its values are texts */
        *out = (struct iceberg_type){.id = ICEBERG_STRING};
        TRY(step(p));
        while (p->token.kind != TOKEN_END && !token_is_operator(&p->token, ")")) {
            TRY(step(p));
        }
        return take(p, ")");
    }
    if (token_is(&p->token, "geometry")) {
        return parse_geo(p, ICEBERG_GEOMETRY, out);
    }
    if (token_is(&p->token, "geography")) {
        return parse_geo(p, ICEBERG_GEOGRAPHY, out);
    }
    return parse_word(p, out);
}

static enum err parse_type(struct parser *p, unsigned depth, struct iceberg_type *ret_type)
{
    struct iceberg_type type = {0};
    if (depth > DEPTH_MAX) {
        return no_type(p);
    }
    TRY(parse_base(p, depth, &type));
    while (token_is_operator(&p->token, "[")) {
        struct iceberg_field *element = arena_calloc(p->arena, 1, sizeof(*element));
        if (element == NULL) {
            return errinfo_nomem(p->info);
        }
        TRY(step(p));
        TRY(p->token.kind == TOKEN_NUMBER ? step(p) : ERR_OK); /* of an array: its length */
        TRY(take(p, "]"));
        *element = (struct iceberg_field){.name = SLICE("element"), .type = type};
        type = (struct iceberg_type){.id = ICEBERG_LIST, .fields = element, .field_count = 1};
    }
    *ret_type = type;
    return ERR_OK;
}

enum err lake_type_parse(struct slice text, struct slice column, uint32_t format_version,
                         struct arena *arena, struct iceberg_type *ret_type, struct errinfo *info)
{
    struct parser p = {.whole = text,
                       .column = column,
                       .format_version = format_version,
                       .arena = arena,
                       .info = info};
    scanner_init(&p.scanner, text);
    TRY(step(&p));
    TRY(parse_type(&p, 0, ret_type));
    return p.token.kind == TOKEN_END ? ERR_OK : no_type(&p);
}

void lake_schema_number(struct iceberg_type *root, int32_t *last)
{
    struct iceberg_field *fields = (struct iceberg_field *)(uintptr_t)root->fields;
    for (size_t i = 0; i < root->field_count; i++) {
        fields[i].id = ++*last;
    }
    for (size_t i = 0; i < root->field_count; i++) {
        lake_schema_number(&fields[i].type, last);
    }
}

/* ---- a new table ---- */

void lake_creation_print(const struct lake_creation *creation, struct buf *out)
{
    buf_append_str(out, "[{\"action\":\"assign-uuid\",\"uuid\":");
    json_write_string(out, creation->uuid);
    buf_printf(out, "},{\"action\":\"upgrade-format-version\",\"format-version\":%u},",
               creation->format_version);
    buf_append_str(out, "{\"action\":\"set-location\",\"location\":");
    json_write_string(out, creation->location);
    buf_append_str(out, "},{\"action\":\"add-schema\",\"schema\":");
    iceberg_schema_write(creation->schema, out);
    buf_append_str(out, "},{\"action\":\"set-current-schema\",\"schema-id\":-1},"
                        "{\"action\":\"add-spec\",\"spec\":");
    buf_printf(out, "{\"spec-id\":%d,\"fields\":", creation->spec->id);
    iceberg_spec_write_fields(creation->spec, out);
    buf_append_str(out, "}},{\"action\":\"set-default-spec\",\"spec-id\":-1},"
                        "{\"action\":\"add-sort-order\",\"sort-order\":{\"order-id\":");
    buf_append_str(out, creation->sort_count > 0 ? "1,\"fields\":" : "0,\"fields\":");
    iceberg_sort_write_fields(creation->sorts, creation->sort_count, out);
    buf_append_str(out, "}},{\"action\":\"set-default-sort-order\",\"sort-order-id\":-1},"
                        "{\"action\":\"set-properties\",\"updates\":{");
    for (size_t i = 0; i < creation->property_count; i++) {
        buf_append_str(out, i == 0 ? "" : ",");
        json_write_string(out, creation->properties[i].key);
        buf_append_char(out, ':');
        json_write_string(out, creation->properties[i].value);
    }
    buf_append_str(out, "}}]");
}
