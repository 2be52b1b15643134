/* Cells of Arrow columns as text and binary. What a column is, is settled once a query; a cell then
 * costs one switch. */
#include <math.h>

#include "arrow/value.h"
#include "base/mem.h"
#include "wire/pgvalue/pgvalue_int.h"

static const struct {
    const char *format;
    enum column_kind kind;
    int64_t unit; /* parts of a second */
} formats[] = {
    {"n", COLUMN_NULL, 0},
    {"b", COLUMN_BOOL, 0},
    {"c", COLUMN_I8, 0},
    {"C", COLUMN_U8, 0},
    {"s", COLUMN_I16, 0},
    {"S", COLUMN_U16, 0},
    {"i", COLUMN_I32, 0},
    {"I", COLUMN_U32, 0},
    {"l", COLUMN_I64, 0},
    {"L", COLUMN_U64, 0},
    {"f", COLUMN_FLOAT, 0},
    {"g", COLUMN_DOUBLE, 0},
    {"u", COLUMN_BYTES, 0},
    {"z", COLUMN_BYTES, 0},
    {"tdD", COLUMN_DATE, 0},
    {"ttu", COLUMN_TIME, 1000000},
    {"ttn", COLUMN_TIME, 1000000000},
    {"tin", COLUMN_INTERVAL, 0},
    {"+l", COLUMN_LIST, 0},
};

static const char *column_name(const struct ArrowSchema *schema)
{
    return schema->name == NULL ? "" : schema->name;
}

static void find_kind(struct pg_encoder *encoder)
{
    const char *format = encoder->schema->format;
    encoder->kind = COLUMN_OTHER;
    if (encoder->schema->dictionary != NULL) {
        return;
    }
    for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
        if (strcmp(format, formats[i].format) == 0) {
            encoder->kind = (int)formats[i].kind;
            encoder->unit = formats[i].unit;
        }
    }
    static const char units[] = "s\1m\1u\1n";
    if (strncmp(format, "ts", 2) == 0 && format[2] != '\0' && format[3] == ':') {
        const char *unit = strchr(units, format[2]);
        static const int64_t parts[] = {1, 0, 1000, 0, 1000000, 0, 1000000000};
        encoder->kind = COLUMN_TIMESTAMP;
        encoder->unit = unit == NULL ? 1000000 : parts[unit - units];
    } else if (strncmp(format, "+w:", 3) == 0) {
        encoder->kind = COLUMN_FIXED_LIST;
        encoder->size = (int32_t)strtol(format + 3, NULL, 10);
    } else if (strncmp(format, "d:", 2) == 0) {
        const char *comma = strchr(format, ',');
        const char *width = comma == NULL ? NULL : strchr(comma + 1, ',');
        bool is_128 = comma != NULL && (width == NULL || strcmp(width, ",128") == 0);
        encoder->kind = is_128 ? COLUMN_DECIMAL : COLUMN_OTHER;
        encoder->scale = is_128 ? (int32_t)strtol(comma + 1, NULL, 10) : 0;
    }
}

static bool kind_fits(uint32_t oid, enum column_kind kind)
{
    switch (oid) {
    case PG_BOOL:
        return kind == COLUMN_BOOL;
    case PG_INT2:
    case PG_INT4:
    case PG_INT8:
    case PG_OID:
        return kind >= COLUMN_I8 && kind <= COLUMN_I64;
    case PG_FLOAT4:
        return kind == COLUMN_FLOAT;
    case PG_FLOAT8:
        return kind == COLUMN_DOUBLE;
    case PG_NUMERIC:
        return kind == COLUMN_DECIMAL || (kind >= COLUMN_I8 && kind <= COLUMN_U64);
    case PG_BYTEA:
    case PG_UUID:
    case PG_VARBIT:
        return kind == COLUMN_BYTES;
    case PG_DATE:
        return kind == COLUMN_DATE;
    case PG_TIME:
        return kind == COLUMN_TIME;
    case PG_TIMESTAMP:
    case PG_TIMESTAMPTZ:
        return kind == COLUMN_TIMESTAMP;
    case PG_INTERVAL:
        return kind == COLUMN_INTERVAL;
    default: /* text of whatever it is */
        return true;
    }
}

static enum err init_element(struct pg_encoder *encoder, struct errinfo *info)
{
    struct pg_type type = {.oid = encoder->type.element_oid,
                           .typmod = encoder->type.typmod,
                           .size = pg__type_row(encoder->type.element_oid)->size};
    encoder->owned = mem_calloc(1, sizeof(*encoder->owned));
    if (encoder->owned == NULL) {
        return errinfo_nomem(info);
    }
    encoder->element = encoder->owned;
    return pg_encoder_init(encoder->owned, encoder->schema->children[0], type, encoder->format,
                           info);
}

enum err pg_encoder_init(struct pg_encoder *encoder, const struct ArrowSchema *schema,
                         struct pg_type type, enum pg_format format, struct errinfo *info)
{
    *encoder = (struct pg_encoder){.type = type, .format = format, .schema = schema};
    find_kind(encoder);
    bool is_list = encoder->kind == COLUMN_LIST || encoder->kind == COLUMN_FIXED_LIST;
    if (type.element_oid != 0 ? !is_list || schema->n_children != 1
                              : encoder->kind != COLUMN_NULL &&
                                    !kind_fits(type.oid, (enum column_kind)encoder->kind)) {
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                          "column \"%s\" has a type that cannot be sent (Arrow format \"%s\")",
                          column_name(schema), schema->format);
        errinfo_hint(info, "Cast it to VARCHAR.");
        return ERR_UNSUPPORTED;
    }
    if (type.element_oid != 0) {
        enum err err = init_element(encoder, info);
        if (err != ERR_OK) {
            pg_encoder_fini(encoder);
        }
        return err;
    }
    return ERR_OK;
}

void pg_encoder_fini(struct pg_encoder *encoder)
{
    if (encoder->owned != NULL) {
        pg_encoder_fini(encoder->owned);
        mem_free(encoder->owned);
        encoder->owned = NULL;
    }
}

bool pg_cell_is_null(const struct pg_encoder *encoder, const struct ArrowArray *column, int64_t row)
{
    if (column->null_count == 0 && encoder->kind != COLUMN_NULL) {
        return false;
    }
    return !arrow_is_valid(encoder->schema, column, row);
}

/* ---- access ---- */

static int64_t int_at(const struct pg_encoder *encoder, const void *values, int64_t i)
{
    switch ((enum column_kind)encoder->kind) {
    case COLUMN_I8:
        return ((const int8_t *)values)[i];
    case COLUMN_U8:
        return ((const uint8_t *)values)[i];
    case COLUMN_I16:
        return ((const int16_t *)values)[i];
    case COLUMN_U16:
        return ((const uint16_t *)values)[i];
    case COLUMN_I32:
    case COLUMN_DATE:
        return ((const int32_t *)values)[i];
    case COLUMN_U32:
        return ((const uint32_t *)values)[i];
    case COLUMN_I64:
    case COLUMN_U64: /* the caller's to cast back */
    case COLUMN_TIME:
    case COLUMN_TIMESTAMP:
        return ((const int64_t *)values)[i];
    case COLUMN_OTHER:
    case COLUMN_BOOL:
    case COLUMN_FLOAT:
    case COLUMN_DOUBLE:
    case COLUMN_DECIMAL:
    case COLUMN_BYTES:
    case COLUMN_INTERVAL:
    case COLUMN_LIST:
    case COLUMN_FIXED_LIST:
    case COLUMN_NULL:
        break;
    }
    ASSERT(false);
    return 0;
}

static struct slice bytes_at(const struct ArrowArray *column, int64_t i)
{
    const int32_t *offsets = column->buffers[1];
    const char *bytes = column->buffers[2];
    ASSERT(offsets[i] >= 0 && offsets[i + 1] >= offsets[i]);
    size_t len = (size_t)(offsets[i + 1] - offsets[i]);
    return (struct slice){len == 0 ? "" : bytes + offsets[i], len};
}

static void put_bytes(const struct ArrowArray *column, int64_t i, struct buf *out)
{
    struct slice bytes = bytes_at(column, i);
    pg_put(out, bytes.ptr, bytes.len);
}

/* The engine's bits: first how many of the first byte are none, which are its high ones. */
static size_t bit_count(struct slice bytes)
{
    size_t padding = bytes.len == 0 ? 0 : (unsigned char)bytes.ptr[0];
    return bytes.len < 2 || padding > 7 ? 0 : (bytes.len - 1) * 8 - padding;
}

static bool is_bit_set(struct slice bytes, size_t index)
{
    size_t at = index + (unsigned char)bytes.ptr[0];
    return ((unsigned char)bytes.ptr[1 + at / 8] >> (7 - at % 8) & 1) != 0;
}

static void print_bits(struct slice bytes, struct buf *out)
{
    size_t count = bit_count(bytes);
    for (size_t i = 0; i < count; i++) {
        buf_append_char(out, is_bit_set(bytes, i) ? '1' : '0');
    }
}

/* PostgreSQL's begin in the high bit of the first byte. */
static void put_bits(struct slice bytes, struct buf *out)
{
    size_t count = bit_count(bytes);
    pg_put32(out, (uint32_t)count);
    for (size_t i = 0; i < count; i += 8) {
        unsigned byte = 0;
        for (size_t j = i; j < count && j < i + 8; j++) {
            byte |= (unsigned)is_bit_set(bytes, j) << (7 - j % 8);
        }
        buf_append_char(out, (char)byte);
    }
}

static unsigned __int128 number_at(const struct pg_encoder *encoder,
                                   const struct ArrowArray *column, int64_t i,
                                   bool *ret_is_negative)
{
    __int128 value;
    if (encoder->kind == COLUMN_DECIMAL) {
        memcpy(&value, (const char *)column->buffers[1] + i * 16, sizeof(value));
    } else if (encoder->kind == COLUMN_U64) {
        value = ((const uint64_t *)column->buffers[1])[i];
    } else {
        value = int_at(encoder, column->buffers[1], i);
    }
    *ret_is_negative = value < 0;
    return value < 0 ? 0 - (unsigned __int128)value : (unsigned __int128)value;
}

static struct pg_interval interval_at(const struct ArrowArray *column, int64_t i)
{
    struct {
        int32_t months;
        int32_t days;
        int64_t nanos;
    } raw;
    memcpy(&raw, (const char *)column->buffers[1] + i * 16, sizeof(raw));
    return (struct pg_interval){raw.months, raw.days, raw.nanos / 1000};
}

static bool bit_at(const struct ArrowArray *column, int64_t i)
{
    return (((const uint8_t *)column->buffers[1])[i / 8] >> (i % 8) & 1) != 0;
}

/* ---- text ---- */

static void print_moment(const struct pg_encoder *encoder, int64_t value, struct buf *out)
{
    bool is_date = encoder->kind == COLUMN_DATE;
    int64_t limit = is_date ? DAY_INFINITE : INT64_MAX;
    int64_t at = is_date                             ? value
                 : value == limit || value == -limit ? value
                                                     : pg__us_of(value, encoder->unit);
    if (value == limit || value == -limit) {
        buf_append_str(out, value > 0 ? "infinity" : "-infinity");
    } else if (is_date) {
        pg__print_date(at, out);
    } else {
        pg__print_timestamp(at, encoder->type.oid == PG_TIMESTAMPTZ, out);
    }
}

static bool needs_quotes(struct slice text)
{
    if (text.len == 0 || slice_equal_fold(text, SLICE("NULL"))) {
        return true;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (memchr("\"\\{}, \t\n\r\v\f", text.ptr[i], 11) != NULL) {
            return true;
        }
    }
    return false;
}

static void append_element(struct slice text, struct buf *out)
{
    if (!needs_quotes(text)) {
        buf_append_slice(out, text);
        return;
    }
    buf_append_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\') {
            buf_append_char(out, '\\');
        }
        buf_append_char(out, text.ptr[i]);
    }
    buf_append_char(out, '"');
}

static void range_at(const struct pg_encoder *encoder, const struct ArrowArray *column, int64_t i,
                     int64_t *ret_start, int64_t *ret_end)
{
    if (encoder->kind == COLUMN_FIXED_LIST) {
        *ret_start = i * encoder->size;
        *ret_end = *ret_start + encoder->size;
        return;
    }
    const int32_t *offsets = column->buffers[1];
    *ret_start = offsets[i];
    *ret_end = offsets[i + 1];
}

static enum err print_array(const struct pg_encoder *encoder, const struct ArrowArray *column,
                            int64_t i, struct buf *out, struct errinfo *info)
{
    const struct ArrowArray *child = column->children[0];
    struct buf text CLEANUP(buf_fini) = {0};
    int64_t start, end;
    range_at(encoder, column, i, &start, &end);
    buf_append_char(out, '{');
    for (int64_t row = start; row < end; row++) {
        buf_append_str(out, row == start ? "" : ",");
        if (pg_cell_is_null(encoder->element, child, row)) {
            buf_append_str(out, "NULL");
            continue;
        }
        buf_reset(&text);
        TRY(pg_encode(encoder->element, child, row, &text, info));
        append_element(buf_slice(&text), out);
    }
    buf_append_char(out, '}');
    return ERR_OK;
}

static enum err encode_text(const struct pg_encoder *encoder, const struct ArrowArray *column,
                            int64_t row, struct buf *out, struct errinfo *info)
{
    int64_t i = column->offset + row;
    bool is_negative;
    switch ((enum column_kind)encoder->kind) {
    case COLUMN_BOOL:
        buf_append_char(out, bit_at(column, i) ? 't' : 'f');
        break;
    case COLUMN_I8:
    case COLUMN_U8:
    case COLUMN_I16:
    case COLUMN_U16:
    case COLUMN_I32:
    case COLUMN_U32:
    case COLUMN_I64:
        pg__print_int(int_at(encoder, column->buffers[1], i), out);
        break;
    case COLUMN_FLOAT:
        pg__print_double((double)((const float *)column->buffers[1])[i], true, out);
        break;
    case COLUMN_DOUBLE:
        pg__print_double(((const double *)column->buffers[1])[i], false, out);
        break;
    case COLUMN_U64:
    case COLUMN_DECIMAL: {
        unsigned __int128 magnitude = number_at(encoder, column, i, &is_negative);
        pg__print_decimal(magnitude, is_negative, encoder->scale, out);
        break;
    }
    case COLUMN_BYTES:
        if (encoder->type.oid == PG_BYTEA) {
            pg__print_hex(bytes_at(column, i), out);
        } else if (encoder->type.oid == PG_VARBIT) {
            print_bits(bytes_at(column, i), out);
        } else {
            put_bytes(column, i, out);
        }
        break;
    case COLUMN_DATE:
    case COLUMN_TIMESTAMP:
        print_moment(encoder, int_at(encoder, column->buffers[1], i), out);
        break;
    case COLUMN_TIME:
        pg__print_time(pg__us_of(int_at(encoder, column->buffers[1], i), encoder->unit), out);
        break;
    case COLUMN_INTERVAL: {
        struct pg_interval interval = interval_at(column, i);
        pg__print_interval(&interval, out);
        break;
    }
    case COLUMN_LIST:
    case COLUMN_FIXED_LIST:
        return encoder->element != NULL ? print_array(encoder, column, i, out, info)
                                        : arrow_print(encoder->schema, column, row, out, info);
    case COLUMN_OTHER:
        return arrow_print(encoder->schema, column, row, out, info);
    case COLUMN_NULL:
        ASSERT(false);
    }
    return ERR_OK;
}

/* ---- binary ---- */

static void put_moment(const struct pg_encoder *encoder, int64_t value, struct buf *out)
{
    if (encoder->kind == COLUMN_DATE) {
        uint32_t days = value == DAY_INFINITE    ? INT32_MAX
                        : value == -DAY_INFINITE ? (uint32_t)INT32_MIN
                                                 : (uint32_t)(int32_t)(value - DAYS_TO_2000);
        pg_put32(out, days);
        return;
    }
    int64_t us;
    if (value == INT64_MAX || value == -INT64_MAX) {
        us = value > 0 ? INT64_MAX : INT64_MIN;
    } else if (__builtin_sub_overflow(pg__us_of(value, encoder->unit), SECONDS_TO_2000 * 1000000,
                                      &us)) {
        us = INT64_MIN;
    }
    pg_put64(out, (uint64_t)us);
}

static enum err put_array(const struct pg_encoder *encoder, const struct ArrowArray *column,
                          int64_t i, struct buf *out, struct errinfo *info)
{
    const struct ArrowArray *child = column->children[0];
    int64_t start, end;
    bool has_null = false;
    range_at(encoder, column, i, &start, &end);
    for (int64_t row = start; row < end; row++) {
        has_null = has_null || pg_cell_is_null(encoder->element, child, row);
    }
    pg_put32(out, end > start ? 1 : 0); /* dimensions */
    pg_put32(out, has_null);
    pg_put32(out, encoder->type.element_oid);
    if (end > start) {
        pg_put32(out, (uint32_t)(end - start));
        pg_put32(out, 1); /* lower bound */
    }
    for (int64_t row = start; row < end; row++) {
        if (pg_cell_is_null(encoder->element, child, row)) {
            pg_put32(out, UINT32_MAX);
            continue;
        }
        size_t length_at = out->len;
        pg_put32(out, 0);
        TRY(pg_encode(encoder->element, child, row, out, info));
        if (buf_failed(out)) {
            return errinfo_nomem(info);
        }
        uint32_t len = __builtin_bswap32((uint32_t)(out->len - length_at - 4));
        memcpy(out->ptr + length_at, &len, sizeof(len));
    }
    return ERR_OK;
}

static void put_integer(uint32_t oid, int64_t value, struct buf *out)
{
    if (oid == PG_INT2) {
        pg_put16(out, (uint16_t)value);
    } else if (oid == PG_INT8) {
        pg_put64(out, (uint64_t)value);
    } else {
        pg_put32(out, (uint32_t)value);
    }
}

static enum err put_uuid(const struct pg_encoder *encoder, struct slice text, struct buf *out,
                         struct errinfo *info)
{
    uint8_t bytes[16];
    if (!pg__parse_uuid(text, bytes)) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "column \"%s\" holds a text that is no UUID",
                           column_name(encoder->schema));
    }
    buf_append(out, bytes, sizeof(bytes));
    return ERR_OK;
}

static enum err encode_binary(const struct pg_encoder *encoder, const struct ArrowArray *column,
                              int64_t row, struct buf *out, struct errinfo *info)
{
    int64_t i = column->offset + row;
    const void *values = column->n_buffers > 1 ? column->buffers[1] : NULL;
    uint32_t oid = encoder->type.oid;
    if (encoder->element != NULL) {
        return put_array(encoder, column, i, out, info);
    }
    switch (oid) {
    case PG_BOOL:
        buf_append_char(out, bit_at(column, i) ? 1 : 0);
        break;
    case PG_INT2:
    case PG_INT4:
    case PG_INT8:
    case PG_OID:
        put_integer(oid, int_at(encoder, values, i), out);
        break;
    case PG_FLOAT4: {
        uint32_t bits;
        memcpy(&bits, (const float *)values + i, sizeof(bits));
        pg_put32(out, bits);
        break;
    }
    case PG_FLOAT8: {
        uint64_t bits;
        memcpy(&bits, (const double *)values + i, sizeof(bits));
        pg_put64(out, bits);
        break;
    }
    case PG_NUMERIC: {
        bool is_negative;
        unsigned __int128 magnitude = number_at(encoder, column, i, &is_negative);
        pg__put_numeric(magnitude, is_negative, encoder->scale, out);
        break;
    }
    case PG_DATE:
    case PG_TIMESTAMP:
    case PG_TIMESTAMPTZ:
        put_moment(encoder, int_at(encoder, values, i), out);
        break;
    case PG_TIME:
        pg_put64(out, (uint64_t)pg__us_of(int_at(encoder, values, i), encoder->unit));
        break;
    case PG_INTERVAL: {
        struct pg_interval interval = interval_at(column, i);
        pg_put64(out, (uint64_t)interval.us);
        pg_put32(out, (uint32_t)interval.days);
        pg_put32(out, (uint32_t)interval.months);
        break;
    }
    case PG_UUID:
        return put_uuid(encoder, bytes_at(column, i), out, info);
    case PG_BYTEA:
        put_bytes(column, i, out);
        break;
    case PG_VARBIT:
        put_bits(bytes_at(column, i), out);
        break;
    default: /* text and its kin are the same in both formats */
        return encode_text(encoder, column, row, out, info);
    }
    return ERR_OK;
}

enum err pg_encode(const struct pg_encoder *encoder, const struct ArrowArray *column, int64_t row,
                   struct buf *out, struct errinfo *info)
{
    return encoder->format == PG_FORMAT_TEXT ? encode_text(encoder, column, row, out, info)
                                             : encode_binary(encoder, column, row, out, info);
}
