/* Single values: the binary form, order, conversion, copies. */
#include "iceberg/value_int.h"

#include <math.h>

#include "base/checked.h"

#define DAY_MICROS INT64_C(86400000000)
#define DAY_NANOS INT64_C(86400000000000)
#define DECIMAL_BYTES_MAX 16

iceberg_int128 iceberg__power_of_ten(uint32_t exponent)
{
    ASSERT(exponent <= 38);
    iceberg_int128 power = 1;
    for (uint32_t i = 0; i < exponent; i++) {
        power *= 10;
    }
    return power;
}

bool iceberg__decimal_fits(iceberg_int128 value, uint32_t precision)
{
    iceberg_int128 limit = iceberg__power_of_ten(precision);
    return value > -limit && value < limit;
}

/* ---- binary form ---- */

static uint64_t read_little_endian(struct slice bytes)
{
    uint64_t value = 0;
    for (size_t i = bytes.len; i > 0; i--) {
        value = value << 8 | (uint8_t)bytes.ptr[i - 1];
    }
    return value;
}

static int64_t read_integer(struct slice bytes)
{
    uint64_t bits = read_little_endian(bytes);
    return bytes.len == 4 ? (int64_t)(int32_t)(uint32_t)bits : (int64_t)bits;
}

static double read_real(struct slice bytes)
{
    uint64_t bits = read_little_endian(bytes);
    double value;
    float single;
    uint32_t half = (uint32_t)bits;
    if (bytes.len == 4) {
        memcpy(&single, &half, sizeof(single));
        return (double)single;
    }
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static bool read_decimal(struct slice bytes, const struct iceberg_type *type,
                         iceberg_int128 *ret_value)
{
    if (bytes.len < 1 || bytes.len > DECIMAL_BYTES_MAX) {
        return false;
    }
    __extension__ unsigned __int128 bits = (int8_t)bytes.ptr[0] < 0 ? ~(unsigned __int128)0 : 0;
    for (size_t i = 0; i < bytes.len; i++) {
        bits = bits << 8 | (uint8_t)bytes.ptr[i];
    }
    iceberg_int128 value = (iceberg_int128)bits;
    if (!iceberg__decimal_fits(value, type->precision)) {
        return false;
    }
    *ret_value = value;
    return true;
}

/* A date's bytes of a column that has become a timestamp since (spec "Schema Evolution"). */
static bool read_timestamp(struct slice bytes, int64_t day_units, int64_t *ret_value)
{
    int64_t value = read_integer(bytes);
    if (bytes.len == 4 && !checked_mul(value, day_units, &value)) {
        return false;
    }
    *ret_value = value;
    return true;
}

static bool decode(const struct iceberg_type *type, struct slice bytes, struct iceberg_value *value)
{
    switch (type->id) {
    case ICEBERG_BOOLEAN:
        value->boolean = bytes.len == 1 && bytes.ptr[0] != 0;
        return bytes.len == 1;
    case ICEBERG_INT:
    case ICEBERG_DATE:
        value->integer = bytes.len == 4 ? read_integer(bytes) : 0;
        return bytes.len == 4;
    case ICEBERG_LONG:
        value->integer = bytes.len == 4 || bytes.len == 8 ? read_integer(bytes) : 0;
        return bytes.len == 4 || bytes.len == 8;
    case ICEBERG_TIME: /* 24:00:00 is a time to some engines */
        value->integer = bytes.len == 8 ? read_integer(bytes) : -1;
        return value->integer >= 0 && value->integer <= DAY_MICROS;
    case ICEBERG_TIMESTAMPTZ:
    case ICEBERG_TIMESTAMPTZ_NS:
        value->integer = bytes.len == 8 ? read_integer(bytes) : 0;
        return bytes.len == 8;
    case ICEBERG_TIMESTAMP:
        return (bytes.len == 4 || bytes.len == 8) &&
               read_timestamp(bytes, DAY_MICROS, &value->integer);
    case ICEBERG_TIMESTAMP_NS:
        return (bytes.len == 4 || bytes.len == 8) &&
               read_timestamp(bytes, DAY_NANOS, &value->integer);
    case ICEBERG_FLOAT:
        value->real = bytes.len == 4 ? read_real(bytes) : 0;
        return bytes.len == 4;
    case ICEBERG_DOUBLE:
        value->real = bytes.len == 4 || bytes.len == 8 ? read_real(bytes) : 0;
        return bytes.len == 4 || bytes.len == 8;
    case ICEBERG_DECIMAL:
        value->precision = type->precision;
        value->scale = type->scale;
        return read_decimal(bytes, type, &value->decimal);
    case ICEBERG_STRING:
        value->bytes = bytes;
        return slice_is_utf8(bytes, NULL);
    case ICEBERG_UUID:
        value->bytes = bytes;
        return bytes.len == 16;
    case ICEBERG_FIXED: /* bounds may be cut short */
        value->bytes = bytes;
        return bytes.len <= type->length;
    case ICEBERG_BINARY:
    case ICEBERG_VARIANT:
    case ICEBERG_GEOMETRY:
    case ICEBERG_GEOGRAPHY:
        value->bytes = bytes;
        return true;
    case ICEBERG_UNKNOWN:
    case ICEBERG_STRUCT:
    case ICEBERG_LIST:
    case ICEBERG_MAP:
        return false;
    }
    return false;
}

enum err iceberg_value_decode(const struct iceberg_type *type, struct slice bytes,
                              struct iceberg_value *ret_value, struct errinfo *info)
{
    struct iceberg_value value = {.type = type->id};
    if (!decode(type, bytes, &value)) {
        struct buf text CLEANUP(buf_fini) = {0};
        iceberg_type_print(type, &text);
        return errinfo_set(info, ERR_CORRUPT, NULL, "%zu bytes are no value of type %.200s",
                           bytes.len, buf_cstr(&text));
    }
    *ret_value = value;
    return ERR_OK;
}

static void write_little_endian(uint64_t bits, size_t len, struct buf *out)
{
    for (size_t i = 0; i < len; i++) {
        buf_append_char(out, (char)(uint8_t)(bits >> (8 * i)));
    }
}

/* Two's complement, big-endian, no byte more than the sign needs. */
static void write_decimal(iceberg_int128 value, struct buf *out)
{
    size_t len = 1;
    while (len < DECIMAL_BYTES_MAX &&
           (value >> (8 * len - 1)) != (value < 0 ? (iceberg_int128)-1 : 0)) {
        len++;
    }
    for (size_t i = len; i > 0; i--) {
        buf_append_char(out, (char)(uint8_t)(value >> (8 * (i - 1))));
    }
}

void iceberg_value_encode(const struct iceberg_value *value, struct buf *out)
{
    float single = (float)value->real;
    uint32_t single_bits;
    uint64_t double_bits;
    ASSERT(!value->is_null && value->type < ICEBERG_STRUCT && value->type != ICEBERG_UNKNOWN);
    switch (value->type) {
    case ICEBERG_BOOLEAN:
        buf_append_char(out, value->boolean ? 1 : 0);
        break;
    case ICEBERG_INT:
    case ICEBERG_DATE:
        write_little_endian((uint64_t)value->integer, 4, out);
        break;
    case ICEBERG_LONG:
    case ICEBERG_TIME:
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
    case ICEBERG_TIMESTAMP_NS:
    case ICEBERG_TIMESTAMPTZ_NS:
        write_little_endian((uint64_t)value->integer, 8, out);
        break;
    case ICEBERG_FLOAT:
        memcpy(&single_bits, &single, sizeof(single_bits));
        write_little_endian(single_bits, 4, out);
        break;
    case ICEBERG_DOUBLE:
        memcpy(&double_bits, &value->real, sizeof(double_bits));
        write_little_endian(double_bits, 8, out);
        break;
    case ICEBERG_DECIMAL:
        write_decimal(value->decimal, out);
        break;
    case ICEBERG_STRING:
    case ICEBERG_UUID:
    case ICEBERG_FIXED:
    case ICEBERG_BINARY:
    case ICEBERG_VARIANT:
    case ICEBERG_GEOMETRY:
    case ICEBERG_GEOGRAPHY:
        buf_append_slice(out, value->bytes);
        break;
    case ICEBERG_UNKNOWN:
    case ICEBERG_STRUCT:
    case ICEBERG_LIST:
    case ICEBERG_MAP:
        break;
    }
}

/* ---- order ---- */

static int compare_real(double a, double b)
{
    if (isnan(a) || isnan(b)) {
        return (isnan(a) ? 1 : 0) - (isnan(b) ? 1 : 0);
    }
    if (a == 0 && b == 0) {
        return (signbit(a) ? 0 : 1) - (signbit(b) ? 0 : 1);
    }
    return (a > b) - (a < b);
}

int iceberg_value_compare(const struct iceberg_value *a, const struct iceberg_value *b)
{
    ASSERT(a->type == b->type && !a->is_null && !b->is_null);
    switch (a->type) {
    case ICEBERG_BOOLEAN:
        return (int)a->boolean - (int)b->boolean;
    case ICEBERG_INT:
    case ICEBERG_LONG:
    case ICEBERG_DATE:
    case ICEBERG_TIME:
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
    case ICEBERG_TIMESTAMP_NS:
    case ICEBERG_TIMESTAMPTZ_NS:
        return (a->integer > b->integer) - (a->integer < b->integer);
    case ICEBERG_FLOAT:
    case ICEBERG_DOUBLE:
        return compare_real(a->real, b->real);
    case ICEBERG_DECIMAL:
        ASSERT(a->scale == b->scale);
        return (a->decimal > b->decimal) - (a->decimal < b->decimal);
    case ICEBERG_STRING:
    case ICEBERG_UUID:
    case ICEBERG_FIXED:
    case ICEBERG_BINARY:
    case ICEBERG_VARIANT:
    case ICEBERG_GEOMETRY:
    case ICEBERG_GEOGRAPHY:
        return slice_compare(a->bytes, b->bytes);
    case ICEBERG_UNKNOWN:
    case ICEBERG_STRUCT:
    case ICEBERG_LIST:
    case ICEBERG_MAP:
        break;
    }
    return 0;
}

/* ---- conversion ---- */

static bool is_exact_integer(double real, int64_t *ret_integer)
{
    /* 2^63 itself is a double, and one too many. */
    if (!(real >= -0x1p63 && real < 0x1p63) || (real == 0 && signbit(real)) ||
        real != floor(real)) {
        return false;
    }
    *ret_integer = (int64_t)real;
    return true;
}

/* Any number as an unscaled integer and a scale. */
static bool as_decimal(const struct iceberg_value *value, iceberg_int128 *ret_unscaled,
                       uint32_t *ret_scale)
{
    int64_t integer = value->integer;
    if (value->type == ICEBERG_DECIMAL) {
        *ret_unscaled = value->decimal;
        *ret_scale = value->scale;
        return true;
    }
    bool is_real = value->type == ICEBERG_FLOAT || value->type == ICEBERG_DOUBLE;
    if (is_real && !is_exact_integer(value->real, &integer)) {
        return false;
    }
    *ret_unscaled = integer;
    *ret_scale = 0;
    return is_real || value->type == ICEBERG_INT || value->type == ICEBERG_LONG;
}

static bool convert_to_decimal(const struct iceberg_value *value, const struct iceberg_type *type,
                               struct iceberg_value *to)
{
    iceberg_int128 unscaled = 0;
    uint32_t scale = 0;
    if (!as_decimal(value, &unscaled, &scale)) {
        return false;
    }
    for (; scale > type->scale; scale--) {
        if (unscaled % 10 != 0) {
            return false;
        }
        unscaled /= 10;
    }
    for (; scale < type->scale; scale++) {
        if (!checked_mul(unscaled, (iceberg_int128)10, &unscaled)) {
            return false;
        }
    }
    to->decimal = unscaled;
    to->precision = type->precision;
    to->scale = type->scale;
    return iceberg__decimal_fits(unscaled, type->precision);
}

static bool convert_to_integer(const struct iceberg_value *value, int64_t least, int64_t most,
                               struct iceberg_value *to)
{
    struct iceberg_type whole = {.id = ICEBERG_DECIMAL, .precision = 38, .scale = 0};
    if (!convert_to_decimal(value, &whole, to) || to->decimal < least || to->decimal > most) {
        return false;
    }
    to->integer = (int64_t)to->decimal;
    to->decimal = 0;
    to->precision = 0;
    return true;
}

static bool convert_to_real(const struct iceberg_value *value, bool is_single,
                            struct iceberg_value *to)
{
    int64_t most = is_single ? INT64_C(1) << 24 : INT64_C(1) << 53;
    if (value->type == ICEBERG_FLOAT || value->type == ICEBERG_DOUBLE) {
        to->real = is_single ? (double)(float)value->real : value->real;
        return isnan(value->real) || to->real == value->real;
    }
    if (!convert_to_integer(value, -most, most, to)) {
        return false;
    }
    to->real = (double)to->integer;
    to->integer = 0;
    return true;
}

/* Units of a day in `type`, 0 for what is no point in time without (`has_zone`: with) a zone. */
static int64_t day_units(enum iceberg_type_id type, bool has_zone)
{
    if (type == ICEBERG_DATE) {
        return has_zone ? 0 : 1;
    }
    if (type == (has_zone ? ICEBERG_TIMESTAMPTZ : ICEBERG_TIMESTAMP)) {
        return DAY_MICROS;
    }
    return type == (has_zone ? ICEBERG_TIMESTAMPTZ_NS : ICEBERG_TIMESTAMP_NS) ? DAY_NANOS : 0;
}

static bool convert_to_time(const struct iceberg_value *value, const struct iceberg_type *type,
                            struct iceberg_value *to)
{
    bool has_zone = type->id == ICEBERG_TIMESTAMPTZ || type->id == ICEBERG_TIMESTAMPTZ_NS;
    int64_t from_units = day_units(value->type, has_zone);
    int64_t to_units = day_units(type->id, has_zone);
    if (from_units == 0 || to_units == 0) {
        return false;
    }
    if (to_units >= from_units) {
        return checked_mul(value->integer, to_units / from_units, &to->integer) &&
               (type->id != ICEBERG_DATE || (to->integer >= INT32_MIN && to->integer <= INT32_MAX));
    }
    to->integer = value->integer / (from_units / to_units);
    return value->integer % (from_units / to_units) == 0;
}

static bool convert_bytes(const struct iceberg_value *value, const struct iceberg_type *type,
                          struct iceberg_value *to)
{
    bool is_raw = value->type == ICEBERG_FIXED || value->type == ICEBERG_BINARY;
    to->bytes = value->bytes;
    if (type->id == ICEBERG_FIXED) {
        return is_raw && value->bytes.len == type->length;
    }
    return type->id == ICEBERG_BINARY ? is_raw : value->type == type->id;
}

static bool convert(const struct iceberg_value *value, const struct iceberg_type *type,
                    struct iceberg_value *to)
{
    switch (type->id) {
    case ICEBERG_BOOLEAN:
        to->boolean = value->boolean;
        return value->type == ICEBERG_BOOLEAN;
    case ICEBERG_INT:
        return convert_to_integer(value, INT32_MIN, INT32_MAX, to);
    case ICEBERG_LONG:
        return convert_to_integer(value, INT64_MIN, INT64_MAX, to);
    case ICEBERG_FLOAT:
        return convert_to_real(value, true, to);
    case ICEBERG_DOUBLE:
        return convert_to_real(value, false, to);
    case ICEBERG_DECIMAL:
        return convert_to_decimal(value, type, to);
    case ICEBERG_TIME:
        to->integer = value->integer;
        return value->type == ICEBERG_TIME;
    case ICEBERG_DATE:
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
    case ICEBERG_TIMESTAMP_NS:
    case ICEBERG_TIMESTAMPTZ_NS:
        return convert_to_time(value, type, to);
    case ICEBERG_STRING:
    case ICEBERG_UUID:
    case ICEBERG_FIXED:
    case ICEBERG_BINARY:
    case ICEBERG_VARIANT:
    case ICEBERG_GEOMETRY:
    case ICEBERG_GEOGRAPHY:
        return convert_bytes(value, type, to);
    case ICEBERG_UNKNOWN:
    case ICEBERG_STRUCT:
    case ICEBERG_LIST:
    case ICEBERG_MAP:
        return false;
    }
    return false;
}

bool iceberg_value_convert(const struct iceberg_value *value, const struct iceberg_type *type,
                           struct iceberg_value *ret_value)
{
    struct iceberg_value to = {.type = type->id};
    if (value->is_null) {
        to.is_null = true;
        to.precision = type->precision;
        to.scale = type->scale;
    } else if (!convert(value, type, &to)) {
        return false;
    }
    *ret_value = to;
    return true;
}

bool iceberg_value_copy(const struct iceberg_value *value, struct arena *arena,
                        struct iceberg_value *ret_value)
{
    struct iceberg_value copy = *value;
    if (value->bytes.ptr != NULL && !arena_slice(arena, value->bytes, &copy.bytes)) {
        return false;
    }
    *ret_value = copy;
    return true;
}
