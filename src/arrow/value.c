#include "arrow/value.h"

#include <math.h>

#include "arrow/arrow_int.h"
#include "base/json.h"

/* Deeper nesting than any engine type has; a bound on the C stack. */
enum {
    DEPTH_MAX = 256
};

bool arrow_is_valid(const struct ArrowSchema *schema, const struct ArrowArray *array, int64_t row)
{
    if (strcmp(schema->format, "n") == 0) {
        return false;
    }
    if (array->null_count == 0 || array->n_buffers < 1 || array->buffers[0] == NULL) {
        return true;
    }
    return arrow__bit(array->buffers[0], array->offset + row);
}

bool arrow_is_numeric(const struct ArrowSchema *schema)
{
    struct arrow_type type;
    if (schema->dictionary != NULL || arrow__type(schema, &type, NULL) != ERR_OK) {
        return false;
    }
    return type.kind == ARROW_INT || type.kind == ARROW_FLOAT || type.kind == ARROW_DECIMAL;
}

static void print_hex(struct slice bytes, struct buf *out)
{
    static const char digits[] = "0123456789abcdef";
    buf_append_str(out, "\\x");
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char byte = (unsigned char)bytes.ptr[i];
        buf_append_char(out, digits[byte >> 4]);
        buf_append_char(out, digits[byte & 15]);
    }
}

/* A string inside a nested value is quoted where it could be taken for something else. */
static bool needs_quotes(struct slice text)
{
    if (text.len == 0 || slice_equal_fold(text, SLICE("NULL")) ||
        slice_trim(text).len != text.len) {
        return true;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (strchr("[](){},'\"=:\\", text.ptr[i]) != NULL) { /* also NUL */
            return true;
        }
    }
    return false;
}

static void print_quoted(struct slice text, struct buf *out)
{
    buf_append_char(out, '\'');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\'' || text.ptr[i] == '\\') {
            buf_append_char(out, '\\');
        }
        buf_append_char(out, text.ptr[i]);
    }
    buf_append_char(out, '\'');
}

static void print_number(const struct arrow_type *type, const struct ArrowArray *array,
                         int64_t index, struct buf *out)
{
    if (type->kind == ARROW_DECIMAL) {
        arrow__print_decimal(type, array, index, out);
    } else if (type->kind == ARROW_INT) {
        int64_t value = arrow__int(type, array->buffers[1], index);
        if (type->is_signed) {
            buf_printf(out, "%lld", (long long)value);
        } else {
            buf_printf(out, "%llu", (unsigned long long)value);
        }
    } else if (type->width_bits == 64) {
        arrow__print_double(((const double *)array->buffers[1])[index], out);
    } else if (type->width_bits == 32) {
        arrow__print_float(((const float *)array->buffers[1])[index], out);
    } else {
        arrow__print_float((float)arrow__half(((const uint16_t *)array->buffers[1])[index]), out);
    }
}

/* One recursion for both texts: as SQL or as JSON. */
struct printer {
    bool is_json;
    struct buf *out;
    struct errinfo *info;
};

static enum err print_cell(const struct printer *printer, const struct ArrowSchema *schema,
                           const struct ArrowArray *array, int64_t row, unsigned depth);

static enum err print_range(const struct printer *printer, const struct ArrowSchema *schema,
                            const struct ArrowArray *array, int64_t start, int64_t end,
                            unsigned depth)
{
    buf_append_char(printer->out, '[');
    for (int64_t i = start; i < end; i++) {
        buf_append_str(printer->out, i == start ? "" : printer->is_json ? "," : ", ");
        TRY(print_cell(printer, schema, array, i, depth));
    }
    buf_append_char(printer->out, ']');
    return ERR_OK;
}

static enum err print_struct(const struct printer *printer, const struct ArrowSchema *schema,
                             const struct ArrowArray *array, int64_t index, unsigned depth)
{
    buf_append_char(printer->out, '{');
    for (int64_t i = 0; i < schema->n_children; i++) {
        const char *name = schema->children[i]->name == NULL ? "" : schema->children[i]->name;
        if (printer->is_json) {
            buf_append_str(printer->out, i == 0 ? "" : ",");
            json_write_string(printer->out, slice_of(name));
            buf_append_char(printer->out, ':');
        } else {
            buf_append_str(printer->out, i == 0 ? "" : ", ");
            print_quoted(slice_of(name), printer->out);
            buf_append_str(printer->out, ": ");
        }
        TRY(print_cell(printer, schema->children[i], array->children[i], index, depth));
    }
    buf_append_char(printer->out, '}');
    return ERR_OK;
}

/* SQL: {k=v}. JSON: an object if the keys are strings, else [[k,v], ...], which loses nothing. */
static enum err print_map(const struct printer *printer, const struct ArrowSchema *schema,
                          const struct ArrowArray *array, int64_t start, int64_t end,
                          unsigned depth)
{
    const struct ArrowSchema *key = schema->children[0]->children[0];
    const struct ArrowSchema *value = schema->children[0]->children[1];
    const struct ArrowArray *entries = array->children[0];
    bool has_text_keys =
        key->dictionary == NULL && (key->format[0] == 'u' || key->format[0] == 'U');
    bool is_pairs = printer->is_json && !has_text_keys;
    buf_append_char(printer->out, is_pairs ? '[' : '{');
    for (int64_t i = start; i < end; i++) {
        int64_t at = entries->offset + i;
        buf_append_str(printer->out, i == start ? "" : printer->is_json ? "," : ", ");
        buf_append_str(printer->out, is_pairs ? "[" : "");
        TRY(print_cell(printer, key, entries->children[0], at, depth));
        buf_append_str(printer->out, is_pairs ? "," : printer->is_json ? ":" : "=");
        TRY(print_cell(printer, value, entries->children[1], at, depth));
        buf_append_str(printer->out, is_pairs ? "]" : "");
    }
    buf_append_char(printer->out, is_pairs ? ']' : '}');
    return ERR_OK;
}

/* The cell of the child that its type names. */
static enum err print_union(const struct printer *printer, const struct arrow_type *type,
                            const struct ArrowSchema *schema, const struct ArrowArray *array,
                            int64_t index, unsigned depth)
{
    int8_t child = ((const int8_t *)array->buffers[0])[index];
    int64_t row = type->is_large ? ((const int32_t *)array->buffers[1])[index] : index;
    if (child < 0 || child >= type->size || row < 0 || row >= array->children[child]->length) {
        return errinfo_set(printer->info, ERR_CORRUPT, NULL,
                           "a union points outside of its values");
    }
    return print_cell(printer, schema->children[child], array->children[child], row, depth);
}

static enum err print_nested(const struct printer *printer, const struct arrow_type *type,
                             const struct ArrowSchema *schema, const struct ArrowArray *array,
                             int64_t index, unsigned depth)
{
    if (depth >= DEPTH_MAX) {
        return errinfo_set(printer->info, ERR_LIMIT, NULL,
                           "a value is nested deeper than %d levels", DEPTH_MAX);
    }
    if (type->kind == ARROW_STRUCT) {
        return print_struct(printer, schema, array, index, depth + 1);
    }
    if (type->kind == ARROW_UNION) {
        return print_union(printer, type, schema, array, index, depth + 1);
    }
    int64_t start;
    int64_t end;
    arrow__range(type, array, index, &start, &end);
    if (type->kind == ARROW_MAP) {
        return print_map(printer, schema, array, start, end, depth + 1);
    }
    return print_range(printer, schema->children[0], array->children[0], start, end, depth + 1);
}

static void print_text(const struct printer *printer, struct slice text, unsigned depth)
{
    if (printer->is_json) {
        json_write_string(printer->out, text);
    } else if (depth > 0 && needs_quotes(text)) {
        print_quoted(text, printer->out);
    } else {
        buf_append_slice(printer->out, text);
    }
}

static bool is_finite(const struct arrow_type *type, const struct ArrowArray *array, int64_t index)
{
    if (type->kind != ARROW_FLOAT) {
        return true;
    }
    double value = type->width_bits == 64 ? ((const double *)array->buffers[1])[index]
                   : type->width_bits == 32
                       ? (double)((const float *)array->buffers[1])[index]
                       : arrow__half(((const uint16_t *)array->buffers[1])[index]);
    return isfinite(value);
}

static enum err print_cell(const struct printer *printer, const struct ArrowSchema *schema,
                           const struct ArrowArray *array, int64_t row, unsigned depth)
{
    struct buf *out = printer->out;
    if (!arrow_is_valid(schema, array, row)) {
        buf_append_str(out, printer->is_json ? "null" : "NULL");
        return ERR_OK;
    }
    int64_t index = array->offset + row;
    if (schema->dictionary != NULL) {
        int64_t at;
        TRY(arrow__dictionary_row(schema, array, index, &at, printer->info));
        return print_cell(printer, schema->dictionary, array->dictionary, at, depth);
    }
    struct arrow_type type;
    TRY(arrow__type(schema, &type, printer->info));
    const char *quote = printer->is_json ? "\"" : "";
    switch (type.kind) {
    case ARROW_NULL:
        break; /* never valid */
    case ARROW_BOOL:
        buf_append_str(out, arrow__bit(array->buffers[1], index) ? "true" : "false");
        break;
    case ARROW_INT:
    case ARROW_FLOAT:
    case ARROW_DECIMAL:
        quote = is_finite(&type, array, index) ? "" : quote;
        buf_append_str(out, quote);
        print_number(&type, array, index, out);
        buf_append_str(out, quote);
        break;
    case ARROW_UTF8:
        print_text(printer, arrow__bytes(&type, array, index), depth);
        break;
    case ARROW_BINARY:
    case ARROW_FIXED_BINARY:
        /* In JSON the backslash of \x needs its escape. */
        buf_append_str(out, printer->is_json ? "\"\\" : "");
        print_hex(arrow__bytes(&type, array, index), out);
        buf_append_str(out, quote);
        break;
    case ARROW_DATE:
    case ARROW_TIME:
    case ARROW_TIMESTAMP:
    case ARROW_DURATION:
    case ARROW_INTERVAL:
        buf_append_str(out, quote);
        arrow__print_temporal(&type, array, index, out);
        buf_append_str(out, quote);
        break;
    case ARROW_LIST:
    case ARROW_FIXED_LIST:
    case ARROW_STRUCT:
    case ARROW_MAP:
    case ARROW_UNION:
        return print_nested(printer, &type, schema, array, index, depth);
    }
    return ERR_OK;
}

enum err arrow_print(const struct ArrowSchema *schema, const struct ArrowArray *array, int64_t row,
                     struct buf *out, struct errinfo *info)
{
    const struct printer printer = {.is_json = false, .out = out, .info = info};
    TRY(print_cell(&printer, schema, array, row, 0));
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

enum err arrow_print_json(const struct ArrowSchema *schema, const struct ArrowArray *array,
                          int64_t row, struct buf *out, struct errinfo *info)
{
    const struct printer printer = {.is_json = true, .out = out, .info = info};
    TRY(print_cell(&printer, schema, array, row, 0));
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}
