/* Values of partition transforms (spec "Partition Transforms", Appendix B).
 *
 * Integer transforms are computed in 128 bits and then cut to the width of the partition value, as
 * the reference implementation's arithmetic does: truncate[10] of the least int is not a smaller
 * number but a huge one. Projection knows (project_number.c). */
#include "iceberg/transform_int.h"

#include "iceberg/calendar_int.h"

#define US_PER_DAY INT64_C(86400000000)
#define US_PER_HOUR INT64_C(3600000000)

/* ---- bucket ---- */

static uint32_t rotate(uint32_t value, unsigned bits)
{
    return (value << bits) | (value >> (32 - bits));
}

static uint32_t mix(uint32_t block)
{
    return rotate(block * 0xcc9e2d51u, 15) * 0x1b873593u;
}

/* MurmurHash3 x86 32-bit, seed 0 (public domain, Austin Appleby). */
static uint32_t murmur3(const uint8_t *bytes, size_t len)
{
    uint32_t hash = 0;
    size_t at = 0;
    for (; at + 4 <= len; at += 4) {
        uint32_t block = (uint32_t)bytes[at] | (uint32_t)bytes[at + 1] << 8 |
                         (uint32_t)bytes[at + 2] << 16 | (uint32_t)bytes[at + 3] << 24;
        hash = rotate(hash ^ mix(block), 13) * 5 + 0xe6546b64u;
    }
    uint32_t tail = 0;
    for (size_t i = len; i > at; i--) {
        tail = tail << 8 | bytes[i - 1];
    }
    if (len > at) {
        hash ^= mix(tail);
    }
    hash ^= (uint32_t)len;
    hash = (hash ^ (hash >> 16)) * 0x85ebca6bu;
    hash = (hash ^ (hash >> 13)) * 0xc2b2ae35u;
    return hash ^ (hash >> 16);
}

static uint32_t hash_long(int64_t value)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)((uint64_t)value >> (8 * i));
    }
    return murmur3(bytes, sizeof(bytes));
}

/* The fewest big-endian bytes in two's complement. */
static uint32_t hash_decimal(iceberg_int128 value)
{
    uint8_t bytes[16];
    size_t at = sizeof(bytes);
    do {
        bytes[--at] = (uint8_t)value;
        value >>= 8;
    } while (at > 0 && value != ((bytes[at] & 0x80) != 0 ? -1 : 0));
    return murmur3(bytes + at, sizeof(bytes) - at);
}

/* doubleToLongBits: one NaN, one zero. */
static uint32_t hash_double(double value)
{
    int64_t bits = 0;
    if (value != value) {
        bits = 0x7ff8000000000000;
    } else if (value < 0 || value > 0) {
        memcpy(&bits, &value, sizeof(bits));
    }
    return hash_long(bits);
}

int32_t iceberg_bucket_hash(const struct iceberg_value *value)
{
    ASSERT(!value->is_null);
    switch (value->type) {
    case ICEBERG_BOOLEAN:
        return (int32_t)hash_long(value->boolean);
    case ICEBERG_INT:
    case ICEBERG_LONG:
    case ICEBERG_DATE:
    case ICEBERG_TIME:
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
        return (int32_t)hash_long(value->integer);
    case ICEBERG_TIMESTAMP_NS:
    case ICEBERG_TIMESTAMPTZ_NS:
        return (int32_t)hash_long(floor_div(value->integer, 1000));
    case ICEBERG_FLOAT:
    case ICEBERG_DOUBLE:
        return (int32_t)hash_double(value->real);
    case ICEBERG_DECIMAL:
        return (int32_t)hash_decimal(value->decimal);
    case ICEBERG_STRING:
    case ICEBERG_UUID:
    case ICEBERG_FIXED:
    case ICEBERG_BINARY:
        return (int32_t)murmur3((const uint8_t *)value->bytes.ptr, value->bytes.len);
    case ICEBERG_UNKNOWN:
    case ICEBERG_VARIANT:
    case ICEBERG_GEOMETRY:
    case ICEBERG_GEOGRAPHY:
    case ICEBERG_STRUCT:
    case ICEBERG_LIST:
    case ICEBERG_MAP:
        break;
    }
    assert_failed("a type that is hashed", __FILE__, __LINE__);
}

/* ---- truncate and time ---- */

size_t iceberg__code_points(struct slice text, size_t count_max, size_t *ret_len)
{
    size_t count = 0;
    size_t at = 0;
    while (at < text.len && count < count_max) {
        at++;
        while (at < text.len && ((uint8_t)text.ptr[at] & 0xc0) == 0x80) {
            at++;
        }
        count++;
    }
    *ret_len = at;
    return count;
}

static int64_t months_of(int64_t days)
{
    struct calendar_date date = calendar_date_of(days);
    return (date.year - 1970) * 12 + (int64_t)date.month - 1;
}

static int64_t us_of(enum iceberg_type_id type, int64_t value)
{
    return type == ICEBERG_TIMESTAMP_NS || type == ICEBERG_TIMESTAMPTZ_NS ? floor_div(value, 1000)
                                                                          : value;
}

static int64_t days_of(enum iceberg_type_id type, int64_t value)
{
    return type == ICEBERG_DATE ? value : floor_div(us_of(type, value), US_PER_DAY);
}

static iceberg_int128 truncate_number(iceberg_int128 value, uint32_t width)
{
    iceberg_int128 rest = value % width;
    return value - (rest < 0 ? rest + width : rest);
}

iceberg_int128 iceberg__transform_number(const struct iceberg_transform *transform,
                                         enum iceberg_type_id source, iceberg_int128 value)
{
    switch (transform->kind) {
    case TRANSFORM_TRUNCATE:
        return truncate_number(value, transform->width);
    case TRANSFORM_YEAR:
        return floor_div(months_of(days_of(source, (int64_t)value)), 12);
    case TRANSFORM_MONTH:
        return months_of(days_of(source, (int64_t)value));
    case TRANSFORM_DAY:
        return days_of(source, (int64_t)value);
    case TRANSFORM_HOUR:
        return floor_div(us_of(source, (int64_t)value), US_PER_HOUR);
    case TRANSFORM_IDENTITY:
    case TRANSFORM_BUCKET:
    case TRANSFORM_VOID:
    case TRANSFORM_OTHER:
        break;
    }
    assert_failed("a transform of numbers", __FILE__, __LINE__);
}

static struct iceberg_value apply_truncate(const struct iceberg_transform *transform,
                                           const struct iceberg_value *value)
{
    struct iceberg_value result = *value;
    if (value->type == ICEBERG_STRING) {
        (void)iceberg__code_points(value->bytes, transform->width, &result.bytes.len);
    } else if (value->type == ICEBERG_BINARY) {
        result.bytes.len =
            value->bytes.len < transform->width ? value->bytes.len : transform->width;
    } else if (value->type == ICEBERG_DECIMAL) {
        result.decimal = iceberg__transform_number(transform, value->type, value->decimal);
    } else {
        iceberg_int128 number = iceberg__transform_number(transform, value->type, value->integer);
        result.integer = value->type == ICEBERG_INT ? (int64_t)(int32_t)number : (int64_t)number;
    }
    return result;
}

enum err iceberg_transform_apply(const struct iceberg_transform *transform,
                                 const struct iceberg_type *source,
                                 const struct iceberg_value *value, struct arena *arena,
                                 struct iceberg_value *ret_value)
{
    struct iceberg_type type;
    enum err err = iceberg_transform_result(transform, source, &type, NULL);
    ASSERT(err == ERR_OK);
    struct iceberg_value result = {
        .type = type.id, .is_null = true, .precision = type.precision, .scale = type.scale};
    if (!value->is_null) {
        switch (transform->kind) {
        case TRANSFORM_IDENTITY:
            result = *value;
            break;
        case TRANSFORM_BUCKET:
            result.is_null = false;
            result.integer = (iceberg_bucket_hash(value) & INT32_MAX) % (int64_t)transform->width;
            break;
        case TRANSFORM_TRUNCATE:
            result = apply_truncate(transform, value);
            break;
        case TRANSFORM_YEAR:
        case TRANSFORM_MONTH:
        case TRANSFORM_DAY:
        case TRANSFORM_HOUR:
            result.is_null = false;
            result.integer =
                (int32_t)iceberg__transform_number(transform, value->type, value->integer);
            break;
        case TRANSFORM_VOID:
        case TRANSFORM_OTHER: /* not computable: null is what no writer of ours ever writes */
            break;
        }
    }
    if (!result.is_null && result.bytes.len > 0 &&
        !arena_slice(arena, result.bytes, &result.bytes)) {
        return ERR_NOMEM;
    }
    *ret_value = result;
    return ERR_OK;
}

/* ---- text ---- */

void iceberg_transform_print_value(const struct iceberg_transform *transform,
                                   const struct iceberg_value *value, struct buf *out)
{
    if (value->is_null) {
        buf_append_str(out, "null");
        return;
    }
    int64_t number = value->integer;
    switch (transform->kind) {
    case TRANSFORM_YEAR:
        buf_printf(out, "%04lld", (long long)(1970 + number));
        return;
    case TRANSFORM_MONTH:
        buf_printf(out, "%04lld-%02lld", (long long)(1970 + floor_div(number, 12)),
                   (long long)(floor_mod(number, 12) + 1));
        return;
    case TRANSFORM_DAY:
        iceberg__print_date(number, out);
        return;
    case TRANSFORM_HOUR:
        iceberg__print_date(floor_div(number, 24), out);
        buf_printf(out, "-%02lld", (long long)floor_mod(number, 24));
        return;
    case TRANSFORM_IDENTITY:
    case TRANSFORM_BUCKET:
    case TRANSFORM_TRUNCATE:
    case TRANSFORM_VOID:
    case TRANSFORM_OTHER:
        iceberg_value_print(value, out);
        return;
    }
}
