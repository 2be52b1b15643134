/* Types and schemas: print, compare, promote, look up. */
#include "iceberg/type.h"

static const char *const type_names[] = {
    [ICEBERG_UNKNOWN] = "unknown",
    [ICEBERG_BOOLEAN] = "boolean",
    [ICEBERG_INT] = "int",
    [ICEBERG_LONG] = "long",
    [ICEBERG_FLOAT] = "float",
    [ICEBERG_DOUBLE] = "double",
    [ICEBERG_DECIMAL] = "decimal",
    [ICEBERG_DATE] = "date",
    [ICEBERG_TIME] = "time",
    [ICEBERG_TIMESTAMP] = "timestamp",
    [ICEBERG_TIMESTAMPTZ] = "timestamptz",
    [ICEBERG_TIMESTAMP_NS] = "timestamp_ns",
    [ICEBERG_TIMESTAMPTZ_NS] = "timestamptz_ns",
    [ICEBERG_STRING] = "string",
    [ICEBERG_UUID] = "uuid",
    [ICEBERG_FIXED] = "fixed",
    [ICEBERG_BINARY] = "binary",
    [ICEBERG_VARIANT] = "variant",
    [ICEBERG_GEOMETRY] = "geometry",
    [ICEBERG_GEOGRAPHY] = "geography",
    [ICEBERG_STRUCT] = "struct",
    [ICEBERG_LIST] = "list",
    [ICEBERG_MAP] = "map",
};

/* ---- text ---- */

static void print_fields(const struct iceberg_type *type, struct buf *out)
{
    for (size_t i = 0; i < type->field_count; i++) {
        const struct iceberg_field *field = &type->fields[i];
        if (i > 0) {
            buf_append_str(out, ", ");
        }
        if (type->id == ICEBERG_STRUCT) {
            buf_printf(out, "%d: %.*s: %s ", field->id, SLICE_ARGS(field->name),
                       field->is_required ? "required" : "optional");
        }
        iceberg_type_print(&field->type, out);
    }
}

/* Depth is bounded: only parsed types exist, and parsing stops at ICEBERG_DEPTH_MAX. */
void iceberg_type_print(const struct iceberg_type *type, struct buf *out)
{
    buf_append_str(out, type_names[type->id]);
    if (type->id == ICEBERG_DECIMAL) {
        buf_printf(out, "(%u, %u)", type->precision, type->scale);
    } else if (type->id == ICEBERG_FIXED) {
        buf_printf(out, "[%u]", type->length);
    } else if (type->id == ICEBERG_GEOMETRY && type->crs.len > 0) {
        buf_append_char(out, '(');
        buf_append_slice(out, type->crs);
        buf_append_char(out, ')');
    } else if (type->id == ICEBERG_GEOGRAPHY && (type->crs.len > 0 || type->algorithm.len > 0)) {
        buf_append_char(out, '(');
        buf_append_slice(out, type->crs.len > 0 ? type->crs : SLICE("OGC:CRS84"));
        if (type->algorithm.len > 0) {
            buf_append_str(out, ", ");
            buf_append_slice(out, type->algorithm);
        }
        buf_append_char(out, ')');
    } else if (type->id >= ICEBERG_STRUCT) {
        buf_append_char(out, '<');
        print_fields(type, out);
        buf_append_char(out, '>');
    }
}

/* "name (1, 2)" with white space anywhere around the numbers. */
static bool parse_numbers(struct slice text, char open, char close, size_t count,
                          uint32_t *ret_numbers)
{
    text = slice_trim(text);
    if (text.len < 2 || text.ptr[0] != open || text.ptr[text.len - 1] != close) {
        return false;
    }
    struct slice rest = {text.ptr + 1, text.len - 2};
    for (size_t i = 0; i < count; i++) {
        size_t comma = slice_find(rest, SLICE(","));
        bool is_last = i + 1 == count;
        if (is_last != (comma == SIZE_MAX)) {
            return false;
        }
        uint64_t number = 0;
        struct slice digits = {rest.ptr, is_last ? rest.len : comma};
        if (!slice_to_u64(slice_trim(digits), &number) || number > INT32_MAX) {
            return false;
        }
        ret_numbers[i] = (uint32_t)number;
        if (!is_last) {
            rest = (struct slice){rest.ptr + comma + 1, rest.len - comma - 1};
        }
    }
    return true;
}

static bool is_algorithm(struct slice text)
{
    static const char *const known[] = {"spherical", "vincenty", "thomas", "andoyer", "karney"};
    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        if (slice_equal_fold(text, slice_of(known[i]))) {
            return true;
        }
    }
    return false;
}

/* PyIceberg writes them, the specification does not. */
static struct slice without_quotes(struct slice text)
{
    bool is_quoted = text.len >= 2 && (text.ptr[0] == '\'' || text.ptr[0] == '"') &&
                     text.ptr[text.len - 1] == text.ptr[0];
    return is_quoted ? (struct slice){text.ptr + 1, text.len - 2} : text;
}

/* "(crs)" or "(crs, algorithm)", or nothing. */
static bool parse_geo(struct slice text, struct iceberg_type *type)
{
    text = slice_trim(text);
    if (text.len == 0) {
        return true;
    }
    if (text.len < 2 || text.ptr[0] != '(' || text.ptr[text.len - 1] != ')') {
        return false;
    }
    struct slice crs = slice_trim((struct slice){text.ptr + 1, text.len - 2});
    size_t comma = type->id == ICEBERG_GEOGRAPHY ? slice_find(crs, SLICE(",")) : SIZE_MAX;
    if (comma != SIZE_MAX) {
        type->algorithm =
            without_quotes(slice_trim((struct slice){crs.ptr + comma + 1, crs.len - comma - 1}));
        crs = slice_trim((struct slice){crs.ptr, comma});
        if (!is_algorithm(type->algorithm)) {
            return false;
        }
        if (slice_equal_fold(type->algorithm, SLICE("spherical"))) {
            type->algorithm = (struct slice){0};
        }
    }
    crs = without_quotes(crs);
    if (crs.len == 0 || slice_find(crs, SLICE(")")) != SIZE_MAX) {
        return false;
    }
    type->crs = slice_equal_fold(crs, SLICE("OGC:CRS84")) ? (struct slice){0} : crs;
    return true;
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c >= '0' && c <= '9');
}

static bool parse_parameters(struct slice rest, struct iceberg_type *type)
{
    uint32_t numbers[2] = {0};
    if (type->id == ICEBERG_DECIMAL) {
        if (!parse_numbers(rest, '(', ')', 2, numbers) || numbers[0] < 1 || numbers[0] > 38 ||
            numbers[1] > numbers[0]) {
            return false;
        }
        type->precision = numbers[0];
        type->scale = numbers[1];
        return true;
    }
    if (type->id == ICEBERG_FIXED) {
        if (!parse_numbers(rest, '[', ']', 1, numbers)) {
            return false;
        }
        type->length = numbers[0];
        return true;
    }
    if (type->id == ICEBERG_GEOMETRY || type->id == ICEBERG_GEOGRAPHY) {
        return parse_geo(rest, type);
    }
    return rest.len == 0;
}

enum err iceberg_type_parse_text(struct slice text, struct iceberg_type *ret_type,
                                 struct errinfo *info)
{
    size_t len = 0;
    while (len < text.len && is_name_byte(text.ptr[len])) {
        len++;
    }
    struct slice name = {text.ptr, len};
    struct slice rest = {text.len == 0 ? "" : text.ptr + len, text.len - len};
    for (int id = ICEBERG_UNKNOWN; id < ICEBERG_STRUCT; id++) {
        if (!slice_equal_fold(name, slice_of(type_names[id]))) {
            continue;
        }
        struct iceberg_type type = {.id = (enum iceberg_type_id)id};
        if (!parse_parameters(rest, &type)) {
            return errinfo_set(info, ERR_CORRUPT, NULL, "type \"%.*s\" has wrong parameters",
                               SLICE_ARGS(text));
        }
        *ret_type = type;
        return ERR_OK;
    }
    return errinfo_set(info, ERR_UNSUPPORTED, NULL, "type \"%.*s\" is not known", SLICE_ARGS(text));
}

/* ---- equality and promotion ---- */

bool iceberg_type_equal(const struct iceberg_type *a, const struct iceberg_type *b)
{
    if (a->id != b->id || a->precision != b->precision || a->scale != b->scale ||
        a->length != b->length || !slice_equal_fold(a->crs, b->crs) ||
        !slice_equal_fold(a->algorithm, b->algorithm) || a->field_count != b->field_count) {
        return false;
    }
    for (size_t i = 0; i < a->field_count; i++) {
        const struct iceberg_field *left = &a->fields[i];
        const struct iceberg_field *right = &b->fields[i];
        if (left->id != right->id || left->is_required != right->is_required ||
            !slice_equal(left->name, right->name) ||
            !iceberg_type_equal(&left->type, &right->type)) {
            return false;
        }
    }
    return true;
}

bool iceberg_type_can_promote(const struct iceberg_type *from, const struct iceberg_type *to,
                              uint32_t format_version)
{
    if (from->id == ICEBERG_DECIMAL && to->id == ICEBERG_DECIMAL) {
        return from->scale == to->scale && from->precision <= to->precision;
    }
    if (from->id >= ICEBERG_STRUCT || to->id >= ICEBERG_STRUCT) {
        return from->id == to->id || (from->id == ICEBERG_UNKNOWN && format_version >= 3);
    }
    if (iceberg_type_equal(from, to)) {
        return true;
    }
    if (from->id == ICEBERG_INT) {
        return to->id == ICEBERG_LONG;
    }
    if (from->id == ICEBERG_FLOAT) {
        return to->id == ICEBERG_DOUBLE;
    }
    if (format_version < 3) {
        return false;
    }
    return from->id == ICEBERG_UNKNOWN ||
           (from->id == ICEBERG_DATE &&
            (to->id == ICEBERG_TIMESTAMP || to->id == ICEBERG_TIMESTAMP_NS));
}

/* ---- lookups ---- */

static const struct iceberg_field *find_id(const struct iceberg_type *type, int32_t id,
                                           const struct iceberg_field *parent,
                                           const struct iceberg_field **ret_parent)
{
    for (size_t i = 0; i < type->field_count; i++) {
        const struct iceberg_field *field = &type->fields[i];
        if (field->id == id) {
            if (ret_parent != NULL) {
                *ret_parent = parent;
            }
            return field;
        }
        const struct iceberg_field *inner = find_id(&field->type, id, field, ret_parent);
        if (inner != NULL) {
            return inner;
        }
    }
    return NULL;
}

const struct iceberg_field *iceberg_schema_find_id(const struct iceberg_schema *schema, int32_t id,
                                                   const struct iceberg_field **ret_parent)
{
    return find_id(&schema->root, id, NULL, ret_parent);
}

/* A field's own name may hold dots: "a.b" is looked for as such before a's child b. */
static const struct iceberg_field *find_name(const struct iceberg_type *type, struct slice name)
{
    for (size_t i = 0; i < type->field_count; i++) {
        if (slice_equal(type->fields[i].name, name)) {
            return &type->fields[i];
        }
    }
    for (size_t i = 0; i < type->field_count; i++) {
        const struct iceberg_field *field = &type->fields[i];
        if (name.len <= field->name.len || name.ptr[field->name.len] != '.' ||
            !slice_starts_with(name, field->name)) {
            continue;
        }
        size_t skip = field->name.len + 1;
        const struct iceberg_field *inner =
            find_name(&field->type, (struct slice){name.ptr + skip, name.len - skip});
        if (inner != NULL) {
            return inner;
        }
    }
    return NULL;
}

const struct iceberg_field *iceberg_schema_find_name(const struct iceberg_schema *schema,
                                                     struct slice name)
{
    return find_name(&schema->root, name);
}

static int32_t id_max(const struct iceberg_type *type)
{
    int32_t most = 0;
    for (size_t i = 0; i < type->field_count; i++) {
        int32_t inner = id_max(&type->fields[i].type);
        most = type->fields[i].id > most ? type->fields[i].id : most;
        most = inner > most ? inner : most;
    }
    return most;
}

int32_t iceberg_schema_id_max(const struct iceberg_schema *schema)
{
    return id_max(&schema->root);
}
