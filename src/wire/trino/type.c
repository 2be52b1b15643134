/* Types by Trino's names and signatures, and values as its JSON has them. */
#include "arrow/value.h"
#include "base/json.h"
#include "wire/trino/trino_int.h"

#define DEPTH_MAX 64u
#define VARCHAR_LENGTH 2147483647u /* of one without a length, in a signature */

static const struct trino_type varchar = {.kind = TRINO_QUOTED, .name = "varchar"};

static const struct {
    const char *engine;
    struct trino_type type;
} scalars[] = {
    {"BOOLEAN", {.name = "boolean"}},
    {"TINYINT", {.name = "tinyint"}},
    {"SMALLINT", {.name = "smallint"}},
    {"INTEGER", {.name = "integer"}},
    {"BIGINT", {.name = "bigint"}},
    {"UTINYINT", {.name = "smallint"}},
    {"USMALLINT", {.name = "integer"}},
    {"UINTEGER", {.name = "bigint"}},
    {"UBIGINT", {TRINO_QUOTED, "decimal", 20, 0, 2, NULL, NULL, 0}},
    {"HUGEINT", {.kind = TRINO_WIDE, .name = "bigint"}}, /* what a sum of integers is */
    {"UHUGEINT", {TRINO_QUOTED, "decimal", 38, 0, 2, NULL, NULL, 0}},
    {"FLOAT", {.name = "real"}},
    {"DOUBLE", {.name = "double"}},
    {"BLOB", {.kind = TRINO_BINARY, .name = "varbinary"}},
    {"DATE", {.kind = TRINO_QUOTED, .name = "date"}},
    {"TIME", {TRINO_TIME, "time", 6, 0, 1, NULL, NULL, 0}},
    {"TIME WITH TIME ZONE", {TRINO_TIME, "time", 6, 0, 1, NULL, NULL, 0}},
    {"TIMESTAMP", {TRINO_TIME, "timestamp", 6, 0, 1, NULL, NULL, 0}},
    {"TIMESTAMP_S", {TRINO_TIME, "timestamp", 0, 0, 1, NULL, NULL, 0}},
    {"TIMESTAMP_MS", {TRINO_TIME, "timestamp", 3, 0, 1, NULL, NULL, 0}},
    {"TIMESTAMP_NS", {TRINO_TIME, "timestamp", 9, 0, 1, NULL, NULL, 0}},
    {"TIMESTAMP WITH TIME ZONE",
     {TRINO_INSTANT, "timestamp with time zone", 6, 0, 1, NULL, NULL, 0}},
    {"TIMESTAMPTZ_NS", {TRINO_INSTANT, "timestamp with time zone", 9, 0, 1, NULL, NULL, 0}},
    {"UUID", {.kind = TRINO_QUOTED, .name = "uuid"}},
    {"JSON", {.kind = TRINO_QUOTED, .name = "json"}},
};

/* ---- the engine's names ---- */

struct reader {
    struct slice rest;
    struct arena *arena;
    bool is_parametric;
    struct errinfo *info;
};

static enum err read_type(struct slice text, struct reader *reader, unsigned depth,
                          struct trino_type *ret_type);

/* Where the part of a list ends: at a comma outside of parentheses and quotes. */
static size_t part_len(struct slice text)
{
    int depth = 0;
    char quote = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (quote != 0) {
            quote = c == quote ? 0 : quote; /* a doubled one opens again */
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '(' || c == '[') {
            depth++;
        } else if (c == ')' || c == ']') {
            depth--;
        } else if (c == ',' && depth == 0) {
            return i;
        }
    }
    return text.len;
}

static size_t part_count(struct slice text)
{
    size_t count = 0;
    while (text.len > 0) {
        size_t len = part_len(text);
        size_t used = len < text.len ? len + 1 : len;
        text = (struct slice){text.ptr + used, text.len - used};
        count++;
    }
    return count;
}

static bool is_scalar(struct slice text)
{
    for (size_t i = 0; i < ARRAY_COUNT(scalars); i++) {
        if (slice_equal(text, slice_of(scalars[i].engine))) {
            return true;
        }
    }
    return false;
}

/* Of a row without names: the type alone. */
static bool is_type_alone(struct slice part)
{
    int depth = 0;
    for (size_t i = 0; i < part.len; i++) {
        depth += (part.ptr[i] == '(') - (part.ptr[i] == ')');
        if (part.ptr[i] == ' ' && depth == 0) {
            return is_scalar(part);
        }
    }
    return true;
}

/* `name type` or `"na""me" type`. */
static enum err split_field(struct slice part, struct reader *reader, struct slice *ret_name,
                            struct slice *ret_type)
{
    size_t at = 0;
    if (part.len > 0 && part.ptr[0] != '"' && is_type_alone(part)) {
        *ret_name = SLICE("");
        *ret_type = part;
        return ERR_OK;
    }
    if (part.len > 0 && part.ptr[0] == '"') {
        char *name = arena_alloc(reader->arena, part.len + 1);
        size_t len = 0;
        if (name == NULL) {
            return errinfo_nomem(reader->info);
        }
        for (at = 1; at < part.len; at++) {
            if (part.ptr[at] == '"' && (at + 1 >= part.len || part.ptr[++at] != '"')) {
                break;
            }
            name[len++] = part.ptr[at];
        }
        *ret_name = (struct slice){name, len};
    } else {
        while (at < part.len && part.ptr[at] != ' ') {
            at++;
        }
        *ret_name = (struct slice){part.ptr, at};
    }
    *ret_type = slice_trim((struct slice){part.ptr + at, part.len - at});
    return ERR_OK;
}

static enum err read_parts(struct slice parts, bool is_row, struct reader *reader, unsigned depth,
                           struct trino_type *ret_type)
{
    size_t count = part_count(parts);
    struct trino_type *children = arena_calloc(reader->arena, count + 1, sizeof(*children));
    struct slice *names = arena_calloc(reader->arena, count + 1, sizeof(*names));
    if (children == NULL || names == NULL) {
        return errinfo_nomem(reader->info);
    }
    for (size_t i = 0; i < count; i++) {
        size_t len = part_len(parts);
        struct slice part = slice_trim((struct slice){parts.ptr, len});
        if (is_row) {
            TRY(split_field(part, reader, &names[i], &part));
        }
        TRY(read_type(part, reader, depth + 1, &children[i]));
        size_t used = len < parts.len ? len + 1 : len;
        parts = (struct slice){parts.ptr + used, parts.len - used};
    }
    *ret_type = (struct trino_type){.kind = is_row ? TRINO_ROW : TRINO_MAP,
                                    .name = is_row ? "row" : "map",
                                    .children = children,
                                    .names = names,
                                    .child_count = count};
    return ERR_OK;
}

static enum err read_list(struct slice element, struct reader *reader, unsigned depth,
                          struct trino_type *ret_type)
{
    struct trino_type *child = arena_calloc(reader->arena, 1, sizeof(*child));
    if (child == NULL) {
        return errinfo_nomem(reader->info);
    }
    TRY(read_type(element, reader, depth + 1, child));
    *ret_type = (struct trino_type){
        .kind = TRINO_ARRAY, .name = "array", .children = child, .child_count = 1};
    return ERR_OK;
}

static bool read_decimal(struct slice text, struct trino_type *ret_type)
{
    struct slice inner = {text.ptr + 8, text.len - 9};
    size_t comma = part_len(inner);
    uint64_t precision, scale = 0;
    bool is_right =
        slice_to_u64((struct slice){inner.ptr, comma}, &precision) &&
        (comma == inner.len ||
         slice_to_u64((struct slice){inner.ptr + comma + 1, inner.len - comma - 1}, &scale));
    *ret_type = (struct trino_type){.kind = TRINO_QUOTED,
                                    .name = "decimal",
                                    .precision = (unsigned)precision,
                                    .scale = (unsigned)scale,
                                    .parameter_count = 2};
    return is_right && precision <= 38;
}

static enum err read_type(struct slice text, struct reader *reader, unsigned depth,
                          struct trino_type *ret_type)
{
    *ret_type = varchar;
    if (depth > DEPTH_MAX || text.len == 0) {
        return ERR_OK;
    }
    if (text.ptr[text.len - 1] == ']') {
        size_t at = text.len - 1;
        while (at > 0 && text.ptr[at] != '[') {
            at--;
        }
        return read_list((struct slice){text.ptr, at}, reader, depth, ret_type);
    }
    if (text.ptr[text.len - 1] == ')') {
        if (slice_starts_with(text, SLICE("STRUCT("))) {
            return read_parts((struct slice){text.ptr + 7, text.len - 8}, true, reader, depth,
                              ret_type);
        }
        struct slice inner = {text.ptr + 4, text.len < 5 ? 0 : text.len - 5};
        if (slice_starts_with(text, SLICE("MAP(")) && part_count(inner) == 2) {
            return read_parts(inner, false, reader, depth, ret_type);
        }
        if (slice_starts_with(text, SLICE("DECIMAL(")) && !read_decimal(text, ret_type)) {
            *ret_type = varchar;
        }
        return ERR_OK;
    }
    for (size_t i = 0; i < ARRAY_COUNT(scalars); i++) {
        if (slice_equal(text, slice_of(scalars[i].engine))) {
            *ret_type = scalars[i].type;
            break;
        }
    }
    bool is_time = ret_type->kind == TRINO_TIME || ret_type->kind == TRINO_INSTANT;
    if (is_time && !reader->is_parametric) {
        ret_type->precision = 3;
        ret_type->parameter_count = 0;
    }
    return ERR_OK;
}

enum err trino_type_parse(struct slice engine_type, bool is_parametric, struct arena *arena,
                          struct trino_type *ret_type, struct errinfo *info)
{
    struct reader reader = {.arena = arena, .is_parametric = is_parametric, .info = info};
    return read_type(engine_type, &reader, 0, ret_type);
}

/* ---- names and signatures ---- */

static bool is_plain_name(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool is_digit = c >= '0' && c <= '9';
        if (!((c >= 'a' && c <= 'z') || c == '_' || (is_digit && i > 0))) {
            return false;
        }
    }
    return name.len > 0;
}

static void print_field_name(struct slice name, struct buf *out)
{
    if (is_plain_name(name)) {
        buf_append_slice(out, name);
        return;
    }
    buf_append_char(out, '"');
    for (size_t i = 0; i < name.len; i++) {
        buf_append_str(out, name.ptr[i] == '"' ? "\"" : "");
        buf_append_char(out, name.ptr[i]);
    }
    buf_append_char(out, '"');
}

/* Trino writes decimal(9,2) in texts and decimal(9, 2) of a column. */
static void print_type(const struct trino_type *type, const char *comma, struct buf *out)
{
    static const char zone[] = "timestamp with time zone";
    if (strcmp(type->name, zone) == 0 && type->parameter_count > 0) {
        buf_printf(out, "timestamp(%u) with time zone", type->precision);
        return;
    }
    buf_append_str(out, type->name);
    if (type->parameter_count == 2) {
        buf_printf(out, "(%u%s%u)", type->precision, comma, type->scale);
    } else if (type->parameter_count == 1) {
        buf_printf(out, "(%u)", type->precision);
    }
    for (size_t i = 0; i < type->child_count; i++) {
        buf_append_str(out, i == 0 ? "(" : ", ");
        if (type->kind == TRINO_ROW && type->names[i].len > 0) {
            print_field_name(type->names[i], out);
            buf_append_char(out, ' ');
        }
        print_type(&type->children[i], comma, out);
    }
    buf_append_str(out, type->child_count > 0 ? ")" : "");
}

void trino_type_print(const struct trino_type *type, struct buf *out)
{
    print_type(type, ",", out);
}

static void print_signature(const struct trino_type *type, struct buf *out)
{
    unsigned parameters[] = {type->precision, type->scale};
    unsigned count = type->parameter_count;
    if (strcmp(type->name, "varchar") == 0) {
        parameters[0] = VARCHAR_LENGTH;
        count = 1;
    }
    buf_printf(out, "{\"rawType\":\"%s\",\"arguments\":[", type->name);
    for (unsigned i = 0; i < count; i++) {
        buf_printf(out, "%s{\"kind\":\"LONG\",\"value\":%u}", i == 0 ? "" : ",", parameters[i]);
    }
    for (size_t i = 0; i < type->child_count; i++) {
        buf_append_str(out, i == 0 ? "" : ",");
        if (type->kind == TRINO_ROW) {
            buf_append_str(out, "{\"kind\":\"NAMED_TYPE\",\"value\":{");
            if (type->names[i].len > 0) {
                buf_append_str(out, "\"fieldName\":{\"name\":");
                json_write_string(out, type->names[i]);
                buf_append_str(out, "},");
            }
            buf_append_str(out, "\"typeSignature\":");
            print_signature(&type->children[i], out);
            buf_append_str(out, "}}");
        } else {
            buf_append_str(out, "{\"kind\":\"TYPE\",\"value\":");
            print_signature(&type->children[i], out);
            buf_append_char(out, '}');
        }
    }
    buf_append_str(out, "]}");
}

void trino_column_print(struct slice name, const struct trino_type *type, struct buf *out)
{
    struct buf text CLEANUP(buf_fini) = {0};
    print_type(type, ", ", &text);
    buf_append_str(out, "{\"name\":");
    json_write_string(out, name);
    buf_append_str(out, ",\"type\":");
    json_write_string(out, buf_slice(&text));
    buf_append_str(out, ",\"typeSignature\":");
    print_signature(type, out);
    buf_append_char(out, '}');
    out->failed = out->failed || buf_failed(&text);
}

/* ---- values ---- */

/* "\x..", as arrow_print has it, in base64. */
static void print_base64(struct slice hex, struct buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t count = hex.len < 2 ? 0 : (hex.len - 2) / 2;
    buf_append_char(out, '"');
    for (size_t i = 0; i < count; i += 3) {
        uint32_t group = 0;
        for (size_t j = 0; j < 3; j++) {
            uint32_t byte = 0;
            for (size_t k = 0; k < 2 && i + j < count; k++) {
                char c = hex.ptr[2 + 2 * (i + j) + k];
                byte = byte * 16 + (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
            }
            group = group << 8 | byte;
        }
        for (unsigned j = 0; j < 4; j++) {
            bool is_padding = i + j > count;
            buf_append_char(out, is_padding ? '=' : digits[group >> (18 - 6 * j) & 63]);
        }
    }
    buf_append_char(out, '"');
}

/* "...12:00:01.5+00" with as many digits behind the point as its type says. */
static void print_time(const struct trino_type *type, struct slice text, struct buf *out)
{
    if (type->kind == TRINO_INSTANT && slice_ends_with(text, SLICE("+00"))) {
        text.len -= 3;
    }
    size_t point = slice_find(text, SLICE("."));
    size_t whole = point == SIZE_MAX ? text.len : point;
    size_t digits = point == SIZE_MAX ? 0 : text.len - point - 1;
    buf_append_char(out, '"');
    buf_append(out, text.ptr, whole);
    for (unsigned i = 0; i < type->precision; i++) {
        buf_append_str(out, i == 0 ? "." : "");
        buf_append_char(out, i < digits ? text.ptr[point + 1 + i] : '0');
    }
    buf_append_str(out, type->kind == TRINO_INSTANT ? " UTC\"" : "\"");
}

static bool list_range(const struct ArrowSchema *schema, const struct ArrowArray *array,
                       int64_t row, int64_t *ret_start, int64_t *ret_end)
{
    int64_t at = array->offset + row;
    const char *format = schema->format;
    if (strcmp(format, "+l") == 0 || strcmp(format, "+m") == 0) {
        const int32_t *offsets = array->buffers[1];
        *ret_start = offsets[at];
        *ret_end = offsets[at + 1];
        return true;
    }
    if (strcmp(format, "+L") == 0) {
        const int64_t *offsets = array->buffers[1];
        *ret_start = offsets[at];
        *ret_end = offsets[at + 1];
        return true;
    }
    uint64_t size;
    if (slice_starts_with(slice_of(format), SLICE("+w:")) &&
        slice_to_u64(slice_of(format + 3), &size)) {
        *ret_start = at * (int64_t)size;
        *ret_end = *ret_start + (int64_t)size;
        return true;
    }
    return false;
}

static enum err print_list(const struct trino_type *type, const struct ArrowSchema *schema,
                           const struct ArrowArray *array, int64_t row, struct buf *scratch,
                           struct buf *out, struct errinfo *info)
{
    int64_t start, end;
    if (!list_range(schema, array, row, &start, &end)) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL, "lists of Arrow format %s are not sent",
                           schema->format);
    }
    buf_append_char(out, '[');
    for (int64_t i = start; i < end; i++) {
        buf_append_str(out, i == start ? "" : ",");
        TRY(trino_cell_print(&type->children[0], schema->children[0], array->children[0], i,
                             scratch, out, info));
    }
    buf_append_char(out, ']');
    return ERR_OK;
}

/* An object, whose keys are texts whatever their type is. */
static enum err print_map(const struct trino_type *type, const struct ArrowSchema *schema,
                          const struct ArrowArray *array, int64_t row, struct buf *scratch,
                          struct buf *out, struct errinfo *info)
{
    int64_t start, end;
    const struct ArrowArray *entries = array->children[0];
    const struct ArrowSchema *entry = schema->children[0];
    struct buf key CLEANUP(buf_fini) = {0};
    if (!list_range(schema, array, row, &start, &end)) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL, "maps of Arrow format %s are not sent",
                           schema->format);
    }
    buf_append_char(out, '{');
    for (int64_t i = start; i < end; i++) {
        int64_t at = entries->offset + i;
        buf_reset(&key);
        buf_append_str(out, i == start ? "" : ",");
        TRY(trino_cell_print(&type->children[0], entry->children[0], entries->children[0], at,
                             scratch, &key, info));
        if (key.len > 0 && key.ptr[0] == '"') {
            buf_append_slice(out, buf_slice(&key));
        } else {
            json_write_string(out, buf_slice(&key));
        }
        buf_append_char(out, ':');
        TRY(trino_cell_print(&type->children[1], entry->children[1], entries->children[1], at,
                             scratch, out, info));
    }
    buf_append_char(out, '}');
    return ERR_OK;
}

static enum err print_row(const struct trino_type *type, const struct ArrowSchema *schema,
                          const struct ArrowArray *array, int64_t row, struct buf *scratch,
                          struct buf *out, struct errinfo *info)
{
    for (size_t i = 0; i < type->child_count; i++) {
        buf_append_char(out, i == 0 ? '[' : ',');
        TRY(trino_cell_print(&type->children[i], schema->children[i], array->children[i],
                             array->offset + row, scratch, out, info));
    }
    buf_append_str(out, type->child_count == 0 ? "[]" : "]");
    return ERR_OK;
}

/* Trino's sums are bigint, and one that is too large an error. */
static enum err print_bigint(struct slice digits, struct buf *out, struct errinfo *info)
{
    int64_t value;
    if (!slice_to_i64(digits, &value)) {
        (void)errinfo_set(info, ERR_INVALID, "22003", "bigint overflow: %.*s", SLICE_ARGS(digits));
        errinfo_hint(info, "CAST it AS decimal(38, 0).");
        return ERR_INVALID;
    }
    buf_append_slice(out, digits);
    return ERR_OK;
}

enum err trino_cell_print(const struct trino_type *type, const struct ArrowSchema *schema,
                          const struct ArrowArray *array, int64_t row, struct buf *scratch,
                          struct buf *out, struct errinfo *info)
{
    if (!arrow_is_valid(schema, array, row)) {
        buf_append_str(out, "null");
        return ERR_OK;
    }
    switch (type->kind) {
    case TRINO_PLAIN:
        return arrow_print_json(schema, array, row, out, info);
    case TRINO_ARRAY:
        return print_list(type, schema, array, row, scratch, out, info);
    case TRINO_MAP:
        return print_map(type, schema, array, row, scratch, out, info);
    case TRINO_ROW:
        return print_row(type, schema, array, row, scratch, out, info);
    case TRINO_QUOTED:
    case TRINO_BINARY:
    case TRINO_TIME:
    case TRINO_INSTANT:
    case TRINO_WIDE:
        break;
    }
    buf_reset(scratch);
    TRY(arrow_print(schema, array, row, scratch, info));
    if (type->kind == TRINO_WIDE) {
        return print_bigint(buf_slice(scratch), out, info);
    }
    if (type->kind == TRINO_QUOTED) {
        json_write_string(out, buf_slice(scratch));
    } else if (type->kind == TRINO_BINARY) {
        print_base64(buf_slice(scratch), out);
    } else {
        print_time(type, buf_slice(scratch), out);
    }
    return ERR_OK;
}
