/* Single values as JSON (spec Appendix D) and as text for people. */
#include "iceberg/value_int.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/hash.h"
#include "base/json.h"
#include "iceberg/calendar_int.h"

#define MICROS 1000000
#define NANOS 1000000000

/* ---- reading ---- */

static bool parse_integer(const struct json *node, int64_t least, int64_t most, int64_t *ret_value)
{
    int64_t value;
    if (!json_to_i64(node, &value) || value < least || value > most) {
        return false;
    }
    *ret_value = value;
    return true;
}

static bool parse_real(const struct json *node, bool is_single, double *ret_value)
{
    static const struct {
        struct slice name;
        double value;
    } words[] = {{{"NaN", 3}, (double)NAN},
                 {{"Infinity", 8}, (double)INFINITY},
                 {{"-Infinity", 9}, (double)-INFINITY}};
    char digits[400];
    if (node->type == JSON_STRING) { /* JSON has no such numbers; writers quote them */
        for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
            if (slice_equal(node->text, words[i].name)) {
                *ret_value = words[i].value;
                return true;
            }
        }
        return false;
    }
    if (node->type != JSON_NUMBER || node->text.len >= sizeof(digits)) {
        return false;
    }
    memcpy(digits, node->text.ptr, node->text.len);
    digits[node->text.len] = '\0';
    double value = is_single ? (double)strtof(digits, NULL) : strtod(digits, NULL);
    if (isinf(value)) {
        return false;
    }
    *ret_value = value;
    return true;
}

/* "14.20", "-3", "1.42E+1": the digits behind the point less the exponent are the scale. */
static bool parse_decimal(struct slice text, uint32_t precision, uint32_t scale,
                          iceberg_int128 *ret_value)
{
    iceberg_int128 value = 0;
    int64_t written_scale = 0;
    int64_t exponent = 0;
    size_t digits = 0;
    size_t at = text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+') ? 1 : 0;
    bool is_negative = at == 1 && text.ptr[0] == '-';
    bool has_point = false;
    for (; at < text.len && text.ptr[at] != 'e' && text.ptr[at] != 'E'; at++) {
        char c = text.ptr[at];
        if (c == '.' && !has_point) {
            has_point = true;
            continue;
        }
        if (c < '0' || c > '9' || !checked_mul(value, (iceberg_int128)10, &value) ||
            !checked_add(value, (iceberg_int128)(c - '0'), &value)) {
            return false;
        }
        digits++;
        written_scale += has_point ? 1 : 0;
    }
    if (at < text.len) {
        at += at + 1 < text.len && text.ptr[at + 1] == '+' ? 2 : 1;
        struct slice rest = {text.ptr + at, text.len - at};
        if (!slice_to_i64(rest, &exponent) || exponent < -100 || exponent > 100) {
            return false;
        }
    }
    if (digits == 0 || written_scale - exponent != (int64_t)scale) {
        return false;
    }
    *ret_value = is_negative ? -value : value;
    return iceberg__decimal_fits(value, precision);
}

static enum err parse_hex(struct slice text, struct arena *arena, struct slice *ret_bytes,
                          bool *ret_ok)
{
    uint8_t *bytes = arena_alloc(arena, text.len / 2 + 1);
    if (bytes == NULL) {
        return ERR_NOMEM;
    }
    *ret_ok = text.len % 2 == 0 && hash_unhex(text, bytes);
    *ret_bytes = (struct slice){(const char *)bytes, text.len / 2};
    return ERR_OK;
}

static enum err parse_uuid(struct slice text, struct arena *arena, struct slice *ret_bytes,
                           bool *ret_ok)
{
    char digits[32];
    size_t len = 0;
    *ret_ok = false;
    if (text.len != 36) {
        return ERR_OK;
    }
    for (size_t i = 0; i < text.len; i++) {
        bool is_dash_place = i == 8 || i == 13 || i == 18 || i == 23;
        if (is_dash_place != (text.ptr[i] == '-')) {
            return ERR_OK;
        }
        if (!is_dash_place) {
            digits[len++] = text.ptr[i];
        }
    }
    return parse_hex((struct slice){digits, len}, arena, ret_bytes, ret_ok);
}

static enum err parse_bytes(const struct iceberg_type *type, struct slice text, struct arena *arena,
                            struct slice *ret_bytes, bool *ret_ok)
{
    if (type->id == ICEBERG_UUID) {
        return parse_uuid(text, arena, ret_bytes, ret_ok);
    }
    if (type->id == ICEBERG_STRING) {
        *ret_ok = slice_is_utf8(text, NULL);
        return arena_slice(arena, text, ret_bytes) ? ERR_OK : ERR_NOMEM;
    }
    TRY(parse_hex(text, arena, ret_bytes, ret_ok));
    *ret_ok = *ret_ok && (type->id != ICEBERG_FIXED || ret_bytes->len == type->length);
    return ERR_OK;
}

/* ERR_NOMEM, or ERR_OK with whether the node is a value of the type. */
static enum err parse_value(const struct iceberg_type *type, const struct json *node,
                            struct arena *arena, struct iceberg_value *value, bool *ret_ok)
{
    bool is_text = node->type == JSON_STRING;
    struct slice text = node->text;
    bool is_nano = type->id == ICEBERG_TIMESTAMP_NS || type->id == ICEBERG_TIMESTAMPTZ_NS;
    bool has_zone = type->id == ICEBERG_TIMESTAMPTZ || type->id == ICEBERG_TIMESTAMPTZ_NS;
    switch (type->id) {
    case ICEBERG_BOOLEAN:
        value->boolean = node->boolean;
        *ret_ok = node->type == JSON_BOOL;
        return ERR_OK;
    case ICEBERG_INT:
        *ret_ok = parse_integer(node, INT32_MIN, INT32_MAX, &value->integer);
        return ERR_OK;
    case ICEBERG_LONG:
        *ret_ok = parse_integer(node, INT64_MIN, INT64_MAX, &value->integer);
        return ERR_OK;
    case ICEBERG_FLOAT:
    case ICEBERG_DOUBLE:
        *ret_ok = parse_real(node, type->id == ICEBERG_FLOAT, &value->real);
        return ERR_OK;
    case ICEBERG_DECIMAL:
        *ret_ok = is_text && parse_decimal(text, type->precision, type->scale, &value->decimal);
        return ERR_OK;
    case ICEBERG_DATE:
        *ret_ok = is_text && iceberg__parse_date(text, &value->integer) &&
                  value->integer >= INT32_MIN && value->integer <= INT32_MAX;
        return ERR_OK;
    case ICEBERG_TIME:
        *ret_ok = is_text && iceberg__parse_time(text, MICROS, &value->integer);
        return ERR_OK;
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
    case ICEBERG_TIMESTAMP_NS:
    case ICEBERG_TIMESTAMPTZ_NS:
        *ret_ok = is_text && iceberg__parse_timestamp(text, is_nano ? NANOS : MICROS, has_zone,
                                                      &value->integer);
        return ERR_OK;
    case ICEBERG_STRING:
    case ICEBERG_UUID:
    case ICEBERG_FIXED:
    case ICEBERG_BINARY:
        *ret_ok = false;
        return is_text ? parse_bytes(type, text, arena, &value->bytes, ret_ok) : ERR_OK;
    case ICEBERG_STRUCT: /* its fields' own defaults fill it (spec "Default values") */
        *ret_ok = node->type == JSON_OBJECT && node->count == 0;
        return ERR_OK;
    case ICEBERG_UNKNOWN:
    case ICEBERG_VARIANT:
    case ICEBERG_GEOMETRY:
    case ICEBERG_GEOGRAPHY:
    case ICEBERG_LIST:
    case ICEBERG_MAP:
        break;
    }
    *ret_ok = false;
    return ERR_OK;
}

enum err iceberg_value_parse(const struct iceberg_type *type, const struct json *node,
                             struct arena *arena, struct iceberg_value *ret_value,
                             struct errinfo *info)
{
    struct iceberg_value value = {
        .type = type->id, .precision = type->precision, .scale = type->scale};
    bool is_ok = true;
    if (json_is_null(node)) {
        value.is_null = true;
        *ret_value = value;
        return ERR_OK;
    }
    bool has_form =
        type->id < ICEBERG_VARIANT ? type->id != ICEBERG_UNKNOWN : type->id == ICEBERG_STRUCT;
    if (has_form && parse_value(type, node, arena, &value, &is_ok) != ERR_OK) {
        return errinfo_nomem(info);
    }
    if (has_form && is_ok) {
        *ret_value = value;
        return ERR_OK;
    }
    struct buf text CLEANUP(buf_fini) = {0};
    iceberg_type_print(type, &text);
    return has_form ? errinfo_set(info, ERR_CORRUPT, NULL, "not a JSON value of type %.200s",
                                  buf_cstr(&text))
                    : errinfo_set(info, ERR_UNSUPPORTED, NULL,
                                  "values of type %.200s in JSON are not read", buf_cstr(&text));
}

/* ---- writing ---- */

/* The shortest digits that read back as the same number. */
static void write_real(double value, bool is_single, struct buf *out)
{
    char digits[40];
    if (isnan(value) || isinf(value)) {
        buf_append_str(out, isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity");
        return;
    }
    int precision_max = is_single ? 9 : 17;
    for (int precision = 1; precision <= precision_max; precision++) {
        (void)snprintf(digits, sizeof(digits), "%.*g", precision, value);
        if (is_single ? strtof(digits, NULL) == (float)value : strtod(digits, NULL) == value) {
            break;
        }
    }
    buf_append_str(out, digits);
    if (strpbrk(digits, ".e") == NULL) {
        buf_append_str(out, ".0"); /* or a reader takes it for a whole number */
    }
}

static void write_decimal(iceberg_int128 value, uint32_t scale, struct buf *out)
{
    char digits[48];
    size_t at = sizeof(digits);
    __extension__ unsigned __int128 rest =
        value < 0 ? -(unsigned __int128)value : (unsigned __int128)value;
    uint32_t written = 0;
    do {
        if (written == scale && scale > 0) {
            digits[--at] = '.';
        }
        digits[--at] = (char)('0' + (int)(rest % 10));
        rest /= 10;
        written++;
    } while (rest != 0 || written <= scale);
    if (value < 0) {
        digits[--at] = '-';
    }
    buf_append(out, digits + at, sizeof(digits) - at);
}

static void write_hex(struct slice bytes, struct buf *out)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t byte = (uint8_t)bytes.ptr[i];
        buf_append_char(out, hex[byte >> 4]);
        buf_append_char(out, hex[byte & 15]);
    }
}

static void write_uuid(struct slice bytes, struct buf *out)
{
    for (size_t i = 0; i < bytes.len; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            buf_append_char(out, '-');
        }
        write_hex((struct slice){bytes.ptr + i, 1}, out);
    }
}

/* What is the same in both texts; false for what is not. */
static bool write_common(const struct iceberg_value *value, struct buf *out)
{
    switch (value->type) {
    case ICEBERG_BOOLEAN:
        buf_append_str(out, value->boolean ? "true" : "false");
        return true;
    case ICEBERG_INT:
    case ICEBERG_LONG:
        buf_printf(out, "%lld", (long long)value->integer);
        return true;
    case ICEBERG_FLOAT:
    case ICEBERG_DOUBLE:
        write_real(value->real, value->type == ICEBERG_FLOAT, out);
        return true;
    case ICEBERG_DECIMAL:
        write_decimal(value->decimal, value->scale, out);
        return true;
    case ICEBERG_DATE:
        iceberg__print_date(value->integer, out);
        return true;
    case ICEBERG_TIME:
        iceberg__print_time(value->integer, MICROS, out);
        return true;
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
        iceberg__print_timestamp(value->integer, MICROS, value->type == ICEBERG_TIMESTAMPTZ, out);
        return true;
    case ICEBERG_TIMESTAMP_NS:
    case ICEBERG_TIMESTAMPTZ_NS:
        iceberg__print_timestamp(value->integer, NANOS, value->type == ICEBERG_TIMESTAMPTZ_NS, out);
        return true;
    case ICEBERG_UUID:
        write_uuid(value->bytes, out);
        return true;
    case ICEBERG_STRUCT:
        buf_append_str(out, "{}");
        return true;
    case ICEBERG_STRING:
    case ICEBERG_FIXED:
    case ICEBERG_BINARY:
    case ICEBERG_VARIANT:
    case ICEBERG_GEOMETRY:
    case ICEBERG_GEOGRAPHY:
    case ICEBERG_UNKNOWN:
    case ICEBERG_LIST:
    case ICEBERG_MAP:
        break;
    }
    return false;
}

static bool is_quoted(const struct iceberg_value *value)
{
    bool is_real = value->type == ICEBERG_FLOAT || value->type == ICEBERG_DOUBLE;
    return (is_real && (isnan(value->real) || isinf(value->real))) ||
           (value->type >= ICEBERG_DECIMAL && value->type < ICEBERG_STRUCT);
}

void iceberg_value_write(const struct iceberg_value *value, struct buf *out)
{
    if (value->is_null) {
        buf_append_str(out, "null");
        return;
    }
    if (value->type == ICEBERG_STRING) {
        json_write_string(out, value->bytes);
        return;
    }
    const char *quote = is_quoted(value) ? "\"" : "";
    buf_append_str(out, quote);
    if (!write_common(value, out)) {
        write_hex(value->bytes, out);
    }
    buf_append_str(out, quote);
}

void iceberg_value_print(const struct iceberg_value *value, struct buf *out)
{
    if (value->is_null) {
        buf_append_str(out, "null");
    } else if (value->type == ICEBERG_STRING) {
        buf_append_slice(out, value->bytes);
    } else if (!write_common(value, out)) {
        buf_append_str(out, "0x");
        write_hex(value->bytes, out);
    }
}
