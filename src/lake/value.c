/* Values between Iceberg and the engine's text, exact in both directions. */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/calendar.h"
#include "lake/lake_int.h"
#include "sql/scan.h"

#define NUMBER_BYTES_MAX 400 /* the longest double in plain digits */

/* ---- printing ---- */

static void print_bytes(struct slice bytes, struct buf *out)
{
    static const char digits[] = "0123456789ABCDEF";
    buf_append_char(out, '\'');
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t byte = (uint8_t)bytes.ptr[i];
        buf_append_str(out, "\\x");
        buf_append_char(out, digits[byte >> 4]);
        buf_append_char(out, digits[byte & 15]);
    }
    buf_append_char(out, '\'');
}

static void print_real(double value, bool is_single, struct buf *out)
{
    if (isnan(value)) {
        buf_append_str(out, "'nan'");
    } else if (isinf(value)) {
        buf_append_str(out, value < 0 ? "'-inf'" : "'inf'");
    } else {
        buf_printf(out, "'%.*g'", is_single ? FLT_DECIMAL_DIG : DBL_DECIMAL_DIG, value);
    }
}

/* Years before 1 as the engine writes them. */
static void print_date(int64_t days, struct buf *out)
{
    struct calendar_date date = calendar_date_of(days);
    bool is_before_christ = date.year <= 0;
    buf_printf(out, "%04lld-%02u-%02u%s", (long long)(is_before_christ ? 1 - date.year : date.year),
               date.month, date.day, is_before_christ ? " (BC)" : "");
}

static void print_time(int64_t of_day, int64_t units_per_second, struct buf *out)
{
    int64_t second = of_day / units_per_second;
    buf_printf(out, "%02lld:%02lld:%02lld.%0*lld", (long long)(second / 3600),
               (long long)(second / 60 % 60), (long long)(second % 60),
               units_per_second == 1000000 ? 6 : 9, (long long)(of_day % units_per_second));
}

static void print_timestamp(int64_t value, int64_t units_per_second, bool has_zone, struct buf *out)
{
    int64_t day_units = units_per_second * 86400;
    int64_t days = floor_div(value, day_units);
    struct buf date CLEANUP(buf_fini) = {0};
    struct slice era = SLICE(" (BC)");
    print_date(days, &date);
    out->failed = out->failed || buf_failed(&date);
    struct slice text = buf_slice(&date);
    bool is_before_christ = slice_ends_with(text, era);
    text.len -= is_before_christ ? era.len : 0;
    buf_append_char(out, '\'');
    buf_append_slice(out, text);
    buf_append_char(out, ' ');
    print_time(value - days * day_units, units_per_second, out);
    buf_append_slice(out, is_before_christ ? era : SLICE(""));
    buf_append_str(out, has_zone ? "+00'" : "'");
}

static void print_text(const struct iceberg_value *value, struct buf *out)
{
    switch (value->type) {
    case ICEBERG_BOOLEAN:
        buf_append_str(out, value->boolean ? "'true'" : "'false'");
        return;
    case ICEBERG_INT:
    case ICEBERG_LONG:
        buf_printf(out, "'%lld'", (long long)value->integer);
        return;
    case ICEBERG_FLOAT:
    case ICEBERG_DOUBLE:
        print_real(value->real, value->type == ICEBERG_FLOAT, out);
        return;
    case ICEBERG_DATE:
        buf_append_char(out, '\'');
        print_date(value->integer, out);
        buf_append_char(out, '\'');
        return;
    case ICEBERG_TIME:
        buf_append_char(out, '\'');
        print_time(value->integer, 1000000, out);
        buf_append_char(out, '\'');
        return;
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
        print_timestamp(value->integer, 1000000, value->type == ICEBERG_TIMESTAMPTZ, out);
        return;
    case ICEBERG_TIMESTAMP_NS:
    case ICEBERG_TIMESTAMPTZ_NS:
        print_timestamp(value->integer, 1000000000, value->type == ICEBERG_TIMESTAMPTZ_NS, out);
        return;
    case ICEBERG_DECIMAL:
    case ICEBERG_UUID: {
        struct buf text CLEANUP(buf_fini) = {0};
        iceberg_value_print(value, &text);
        sql_quote_string(out, buf_slice(&text));
        out->failed = out->failed || buf_failed(&text);
        return;
    }
    case ICEBERG_STRING:
        sql_quote_string(out, value->bytes);
        return;
    case ICEBERG_FIXED:
    case ICEBERG_BINARY:
        print_bytes(value->bytes, out);
        return;
    case ICEBERG_UNKNOWN:
    case ICEBERG_VARIANT:
    case ICEBERG_GEOMETRY:
    case ICEBERG_GEOGRAPHY:
    case ICEBERG_STRUCT:
    case ICEBERG_LIST:
    case ICEBERG_MAP:
        break;
    }
    buf_append_str(out, "NULL");
}

void lake__value_print(const struct iceberg_type *type, const struct iceberg_value *value,
                       struct buf *out)
{
    struct buf name CLEANUP(buf_fini) = {0};
    bool is_nested = type->id == ICEBERG_STRUCT || type->id == ICEBERG_LIST ||
                     type->id == ICEBERG_MAP || type->id == ICEBERG_VARIANT;
    if (value == NULL || value->is_null || is_nested ||
        lake_type_print(type, SLICE(""), &name, NULL) != ERR_OK) {
        buf_append_str(out, "NULL");
        return;
    }
    buf_append_str(out, "CAST(");
    print_text(value, out);
    buf_printf(out, " AS %s)", buf_cstr(&name));
    out->failed = out->failed || buf_failed(&name);
}

/* ---- parsing ---- */

/* As the type's own number: 0.1 is another one as FLOAT than as DOUBLE. */
static bool parse_real(struct slice text, struct iceberg_value *out)
{
    char number[NUMBER_BYTES_MAX];
    char *end;
    if (text.len == 0 || text.len >= sizeof(number)) {
        return false;
    }
    memcpy(number, text.ptr, text.len);
    number[text.len] = '\0';
    out->real = out->type == ICEBERG_FLOAT ? (double)strtof(number, &end) : strtod(number, &end);
    return end == number + text.len;
}

static bool parse_decimal(struct slice text, struct iceberg_value *out)
{
    bool is_negative = text.len > 0 && text.ptr[0] == '-';
    uint32_t digits = 0;
    bool has_point = false;
    for (size_t i = is_negative ? 1 : 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '.' && !has_point) {
            has_point = true;
            continue;
        }
        if (c < '0' || c > '9' || digits == 38) {
            return false;
        }
        out->decimal = out->decimal * 10 + (c - '0');
        digits++;
        out->scale += has_point ? 1 : 0;
    }
    out->decimal = is_negative ? -out->decimal : out->decimal;
    out->precision = digits;
    return digits > 0;
}

/* `count` digits at `*at`, then `behind` (0 = whatever). */
static bool take_digits(struct slice text, size_t *at, size_t count, char behind,
                        int64_t *ret_number)
{
    int64_t number = 0;
    for (size_t i = 0; i < count; i++, (*at)++) {
        if (*at >= text.len || text.ptr[*at] < '0' || text.ptr[*at] > '9') {
            return false;
        }
        number = number * 10 + (text.ptr[*at] - '0');
    }
    *ret_number = number;
    if (behind != 0) {
        if (*at >= text.len || text.ptr[*at] != behind) {
            return false;
        }
        (*at)++;
    }
    return true;
}

/* YYYY-MM-DD with four digits: other years are rare, and then nothing is pruned. */
static bool parse_date(struct slice text, size_t *at, int64_t *ret_days)
{
    int64_t year, month, day;
    if (!take_digits(text, at, 4, '-', &year) || !take_digits(text, at, 2, '-', &month) ||
        !take_digits(text, at, 2, 0, &day) || month < 1 || month > 12 || day < 1 || day > 31) {
        return false;
    }
    *ret_days = calendar_day(year, month, day);
    return true;
}

/* HH:MM:SS[.fraction] in units of 1 / units_per_second. */
static bool parse_time(struct slice text, size_t *at, int64_t units_per_second, int64_t *ret_units)
{
    int64_t hour, minute, second, fraction = 0;
    if (!take_digits(text, at, 2, ':', &hour) || !take_digits(text, at, 2, ':', &minute) ||
        !take_digits(text, at, 2, 0, &second) || hour > 24 || minute > 59 || second > 59) {
        return false;
    }
    if (*at < text.len && text.ptr[*at] == '.') {
        int64_t unit = units_per_second;
        for ((*at)++; *at < text.len && text.ptr[*at] >= '0' && text.ptr[*at] <= '9'; (*at)++) {
            unit /= 10;
            if (unit == 0) {
                return false;
            }
            fraction += (text.ptr[*at] - '0') * unit;
        }
    }
    *ret_units = ((hour * 60 + minute) * 60 + second) * units_per_second + fraction;
    return true;
}

static bool parse_timestamp(struct slice text, int64_t units_per_second, int64_t *ret_value)
{
    size_t at = 0;
    int64_t days, units, whole;
    if (!parse_date(text, &at, &days) || at >= text.len ||
        (text.ptr[at] != ' ' && text.ptr[at] != 'T')) {
        return false;
    }
    at++;
    if (!parse_time(text, &at, units_per_second, &units)) {
        return false;
    }
    struct slice rest = {text.ptr + at, text.len - at};
    bool is_end = rest.len == 0 || slice_equal(rest, SLICE("+00")) ||
                  slice_equal(rest, SLICE("Z")) || slice_equal(rest, SLICE("+00:00"));
    return is_end && !__builtin_mul_overflow(days, units_per_second * 86400, &whole) &&
           !__builtin_add_overflow(whole, units, ret_value);
}

static bool parse_uuid(struct slice text, struct arena *arena, struct iceberg_value *out)
{
    uint8_t *bytes = arena_alloc(arena, 16);
    size_t digits = 0;
    if (bytes == NULL || text.len != 36) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = (char)(text.ptr[i] | 0x20);
        unsigned value = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                                : 16;
        if (text.ptr[i] == '-') {
            continue;
        }
        if (value == 16 || digits == 32) {
            return false;
        }
        bytes[digits / 2] = (uint8_t)(digits % 2 == 0 ? value << 4 : bytes[digits / 2] | value);
        digits++;
    }
    out->bytes = (struct slice){(const char *)bytes, 16};
    return digits == 32;
}

bool lake__value_parse(const struct iceberg_type *type, struct slice text, struct arena *arena,
                       struct iceberg_value *ret_value)
{
    struct iceberg_value value = {.type = type->id};
    size_t at = 0;
    bool is_parsed = false;
    switch (type->id) {
    case ICEBERG_BOOLEAN:
        value.boolean = slice_equal(text, SLICE("true"));
        is_parsed = value.boolean || slice_equal(text, SLICE("false"));
        break;
    case ICEBERG_INT:
    case ICEBERG_LONG:
        value.type = ICEBERG_LONG; /* binding narrows it, or says what is out of range */
        is_parsed = slice_to_i64(text, &value.integer);
        break;
    case ICEBERG_FLOAT:
    case ICEBERG_DOUBLE:
        is_parsed = parse_real(text, &value);
        break;
    case ICEBERG_DECIMAL:
        is_parsed = parse_decimal(text, &value);
        break;
    case ICEBERG_DATE:
        is_parsed = parse_date(text, &at, &value.integer) && at == text.len;
        break;
    case ICEBERG_TIME:
        is_parsed = parse_time(text, &at, 1000000, &value.integer) && at == text.len;
        break;
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
        is_parsed = parse_timestamp(text, 1000000, &value.integer);
        break;
    case ICEBERG_TIMESTAMP_NS:
    case ICEBERG_TIMESTAMPTZ_NS:
        is_parsed = parse_timestamp(text, 1000000000, &value.integer);
        break;
    case ICEBERG_STRING:
    case ICEBERG_FIXED:
    case ICEBERG_BINARY:
        value.bytes = text;
        is_parsed = type->id != ICEBERG_FIXED || text.len == type->length;
        break;
    case ICEBERG_UUID:
        is_parsed = parse_uuid(text, arena, &value);
        break;
    case ICEBERG_UNKNOWN:
    case ICEBERG_VARIANT:
    case ICEBERG_GEOMETRY:
    case ICEBERG_GEOGRAPHY:
    case ICEBERG_STRUCT:
    case ICEBERG_LIST:
    case ICEBERG_MAP:
        break;
    }
    if (is_parsed) {
        *ret_value = value;
    }
    return is_parsed;
}
