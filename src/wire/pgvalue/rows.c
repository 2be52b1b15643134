/* Rows of a batch, whole: what most cells are is written by hand into room that was made once a
 * row; whatever else goes through pg_encode, whose bytes these are (`rows_are_what_cells_say`).
 *
 * By rows and not by columns, since a message is one row: columns first would write each byte
 * twice. */
#include "base/digits.h"
#include "wire/pgvalue/pgvalue_int.h"

#define NUMERIC_NEGATIVE 0x4000u
#define NUMERIC_BYTES_MAX 32u /* of a value of 64 bits: 8, and 2 for each of 10 groups */
#define SCALE_MAX 16          /* more need more than 64 bits on the way */

enum way {
    WAY_ENCODE, /* pg_encode */
    WAY_BYTES,
    WAY_BOOL,
    WAY_16,
    WAY_32,
    WAY_64,
    WAY_DATE,
    WAY_TIMESTAMP,
    WAY_NUMERIC,
    WAY_TEXT_32,
    WAY_TEXT_64,
    WAY_TEXT_DATE,
    WAY_TEXT_NUMERIC,
};

static const uint64_t powers[] = {1,
                                  10,
                                  100,
                                  1000,
                                  10000,
                                  100000,
                                  1000000,
                                  10000000,
                                  100000000,
                                  1000000000,
                                  10000000000,
                                  100000000000,
                                  1000000000000,
                                  10000000000000,
                                  100000000000000,
                                  1000000000000000,
                                  10000000000000000};

static enum way text_way(const struct pg_encoder *encoder)
{
    switch ((enum column_kind)encoder->kind) {
    case COLUMN_BYTES:
        return encoder->type.oid == PG_BYTEA || encoder->type.oid == PG_VARBIT ? WAY_ENCODE
                                                                               : WAY_BYTES;
    case COLUMN_I32:
        return WAY_TEXT_32;
    case COLUMN_I64:
        return WAY_TEXT_64;
    case COLUMN_DATE:
        return WAY_TEXT_DATE;
    case COLUMN_DECIMAL:
        return encoder->scale >= 0 && encoder->scale <= SCALE_MAX ? WAY_TEXT_NUMERIC : WAY_ENCODE;
    case COLUMN_OTHER:
    case COLUMN_BOOL:
    case COLUMN_I8:
    case COLUMN_U8:
    case COLUMN_I16:
    case COLUMN_U16:
    case COLUMN_U32:
    case COLUMN_U64:
    case COLUMN_FLOAT:
    case COLUMN_DOUBLE:
    case COLUMN_TIME:
    case COLUMN_TIMESTAMP:
    case COLUMN_INTERVAL:
    case COLUMN_LIST:
    case COLUMN_FIXED_LIST:
    case COLUMN_NULL:
        break;
    }
    return WAY_ENCODE;
}

static enum way binary_way(const struct pg_encoder *encoder)
{
    uint32_t oid = encoder->type.oid;
    switch ((enum column_kind)encoder->kind) {
    case COLUMN_BYTES:
        return oid == PG_UUID || oid == PG_VARBIT ? WAY_ENCODE : WAY_BYTES;
    case COLUMN_BOOL:
        return oid == PG_BOOL ? WAY_BOOL : WAY_ENCODE;
    case COLUMN_I16:
        return oid == PG_INT2 ? WAY_16 : WAY_ENCODE;
    case COLUMN_I32:
        return oid == PG_INT4 ? WAY_32 : WAY_ENCODE;
    case COLUMN_I64:
        return oid == PG_INT8 ? WAY_64 : WAY_ENCODE;
    case COLUMN_FLOAT:
        return oid == PG_FLOAT4 ? WAY_32 : WAY_ENCODE;
    case COLUMN_DOUBLE:
        return oid == PG_FLOAT8 ? WAY_64 : WAY_ENCODE;
    case COLUMN_DATE:
        return oid == PG_DATE ? WAY_DATE : WAY_ENCODE;
    case COLUMN_TIMESTAMP:
        return oid == PG_TIMESTAMP || oid == PG_TIMESTAMPTZ ? WAY_TIMESTAMP : WAY_ENCODE;
    case COLUMN_DECIMAL:
        return oid == PG_NUMERIC && encoder->scale >= 0 && encoder->scale <= SCALE_MAX ? WAY_NUMERIC
                                                                                       : WAY_ENCODE;
    case COLUMN_OTHER:
    case COLUMN_I8:
    case COLUMN_U8:
    case COLUMN_U16:
    case COLUMN_U32:
    case COLUMN_U64:
    case COLUMN_TIME:
    case COLUMN_INTERVAL:
    case COLUMN_LIST:
    case COLUMN_FIXED_LIST:
    case COLUMN_NULL:
        break;
    }
    return WAY_ENCODE;
}

static const size_t bytes_max_of[] = {
    [WAY_ENCODE] = 0,
    [WAY_BYTES] = 0,
    [WAY_BOOL] = 1,
    [WAY_16] = 2,
    [WAY_32] = 4,
    [WAY_64] = 8,
    [WAY_DATE] = 4,
    [WAY_TIMESTAMP] = 8,
    [WAY_NUMERIC] = NUMERIC_BYTES_MAX,
    [WAY_TEXT_32] = 1 + DIGITS_ROOM,
    [WAY_TEXT_64] = 1 + DIGITS_ROOM,
    [WAY_TEXT_DATE] = PG_DAYS_BYTES_MAX,
    [WAY_TEXT_NUMERIC] = 1 + DIGITS_DECIMAL_ROOM,
};

void pg_rows_take(struct pg_row_column *columns, const struct pg_encoder *encoders, size_t count,
                  const struct ArrowArray *batch)
{
    for (size_t i = 0; i < count; i++) {
        const struct pg_encoder *encoder = &encoders[i];
        const struct ArrowArray *array = batch->children[i];
        enum way way =
            encoder->format == PG_FORMAT_BINARY ? binary_way(encoder) : text_way(encoder);
        bool has_nulls = array->null_count != 0 && array->n_buffers > 0;
        columns[i] = (struct pg_row_column){
            .encoder = encoder,
            .array = array,
            .validity = has_nulls ? array->buffers[0] : NULL,
            .values = way == WAY_ENCODE ? NULL : array->buffers[way == WAY_BYTES ? 2 : 1],
            .offsets = way == WAY_BYTES ? array->buffers[1] : NULL,
            .way = (int)way,
            .bytes_max = bytes_max_of[way],
        };
    }
}

/* ---- cells, into room that is there ---- */

static char *put_16(char *at, uint16_t value)
{
    value = __builtin_bswap16(value);
    memcpy(at, &value, sizeof(value));
    return at + sizeof(value);
}

static char *put_32(char *at, uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(at, &value, sizeof(value));
    return at + sizeof(value);
}

static char *put_64(char *at, uint64_t value)
{
    value = __builtin_bswap64(value);
    memcpy(at, &value, sizeof(value));
    return at + sizeof(value);
}

/* False: it has more than 64 bits. */
static bool small_decimal(const struct pg_row_column *column, int64_t i, uint64_t *ret_magnitude,
                          bool *ret_is_negative)
{
    int64_t words[2]; /* of this machine's order: the lower first */
    memcpy(words, (const char *)column->values + i * 16, sizeof(words));
    *ret_is_negative = words[1] < 0;
    *ret_magnitude = words[0] < 0 ? 0 - (uint64_t)words[0] : (uint64_t)words[0];
    return words[1] == (words[0] < 0 ? -1 : 0);
}

/* As pg__put_numeric. */
static char *put_numeric(char *at, uint64_t magnitude, bool is_negative, int32_t scale)
{
    uint16_t groups[12];
    int fraction_groups = (scale + 3) / 4;
    uint64_t whole = magnitude / powers[scale];
    uint64_t fraction = (magnitude - whole * powers[scale]) * powers[fraction_groups * 4 - scale];
    int first = (int)ARRAY_COUNT(groups);
    for (int i = 0; i < fraction_groups; i++) {
        groups[--first] = (uint16_t)(fraction % 10000);
        fraction /= 10000;
    }
    for (; whole > 0; whole /= 10000) {
        groups[--first] = (uint16_t)(whole % 10000);
    }
    int end = (int)ARRAY_COUNT(groups);
    int point = end - fraction_groups;
    while (end > first && groups[end - 1] == 0) {
        end--;
    }
    while (first < end && groups[first] == 0) {
        first++;
    }
    at = put_16(at, (uint16_t)(end - first));
    at = put_16(at, first == end ? 0 : (uint16_t)(int16_t)(point - first - 1));
    at = put_16(at, is_negative ? NUMERIC_NEGATIVE : 0);
    at = put_16(at, (uint16_t)scale);
    for (int i = first; i < end; i++) {
        at = put_16(at, groups[i]);
    }
    return at;
}

static char *put_text_numeric(char *at, uint64_t magnitude, bool is_negative, int32_t scale)
{
    if (is_negative) {
        *at++ = '-';
    }
    return digits_put_decimal(at, magnitude, (unsigned)scale);
}

static int64_t timestamp_of(const struct pg_encoder *encoder, int64_t value)
{
    int64_t us;
    if (value == INT64_MAX || value == -INT64_MAX) {
        return value > 0 ? INT64_MAX : INT64_MIN;
    }
    return __builtin_sub_overflow(pg__us_of(value, encoder->unit), SECONDS_TO_2000 * 1000000, &us)
               ? INT64_MIN
               : us;
}

/* What needs no more than the column's `bytes_max`; NULL: this cell must go through pg_encode. */
static char *put_small(const struct pg_row_column *column, int64_t i, char *at)
{
    const void *values = column->values;
    int32_t scale = column->encoder->scale;
    uint64_t magnitude;
    bool is_negative;
    switch ((enum way)column->way) {
    case WAY_BOOL:
        *at = (char)(((const uint8_t *)values)[i / 8] >> (i % 8) & 1);
        return at + 1;
    case WAY_16:
        return put_16(at, ((const uint16_t *)values)[i]);
    case WAY_32:
        return put_32(at, ((const uint32_t *)values)[i]);
    case WAY_64:
        return put_64(at, ((const uint64_t *)values)[i]);
    case WAY_DATE: {
        int32_t day = ((const int32_t *)values)[i];
        bool is_infinite = day == DAY_INFINITE || day == -DAY_INFINITE;
        return put_32(at, !is_infinite ? (uint32_t)day - DAYS_TO_2000
                          : day > 0    ? INT32_MAX
                                       : (uint32_t)INT32_MIN);
    }
    case WAY_TIMESTAMP:
        return put_64(at, (uint64_t)timestamp_of(column->encoder, ((const int64_t *)values)[i]));
    case WAY_NUMERIC:
        return small_decimal(column, i, &magnitude, &is_negative)
                   ? put_numeric(at, magnitude, is_negative, scale)
                   : NULL;
    case WAY_TEXT_32:
        return digits_put_signed_fast(at, ((const int32_t *)values)[i]);
    case WAY_TEXT_64:
        return digits_put_signed_fast(at, ((const int64_t *)values)[i]);
    case WAY_TEXT_DATE: {
        int32_t day = ((const int32_t *)values)[i];
        char *end = pg__put_days(day, at, &is_negative);
        return is_negative || day == DAY_INFINITE || day == -DAY_INFINITE ? NULL : end;
    }
    case WAY_TEXT_NUMERIC:
        return small_decimal(column, i, &magnitude, &is_negative)
                   ? put_text_numeric(at, magnitude, is_negative, scale)
                   : NULL;
    case WAY_ENCODE:
    case WAY_BYTES:
        break;
    }
    return NULL;
}

/* ---- rows ---- */

/* A cell of any size, with its length. */
static enum err encode_cell(const struct pg_row_column *column, int64_t row, struct buf *out,
                            struct errinfo *info)
{
    size_t length_at = out->len;
    if (pg_cell_is_null(column->encoder, column->array, row)) {
        pg_put32(out, UINT32_MAX);
        return ERR_OK;
    }
    pg_put32(out, 0);
    TRY(pg_encode(column->encoder, column->array, row, out, info));
    if (!buf_failed(out)) {
        (void)put_32(out->ptr + length_at, (uint32_t)(out->len - length_at - 4));
    }
    return ERR_OK;
}

/* Bytes of the row's texts, and of a cell of each other column. */
static size_t row_bytes_max(const struct pg_row_column *columns, size_t count, int64_t row)
{
    size_t bytes = 0;
    for (size_t c = 0; c < count; c++) {
        const struct pg_row_column *column = &columns[c];
        bytes += 4 + column->bytes_max;
        if (column->way == WAY_BYTES) {
            int64_t i = column->array->offset + row;
            ASSERT(column->offsets[i] >= 0 && column->offsets[i + 1] >= column->offsets[i]);
            bytes += (size_t)(column->offsets[i + 1] - column->offsets[i]);
        }
    }
    return bytes;
}

static bool is_null(const struct pg_row_column *column, int64_t i)
{
    return column->validity != NULL && (column->validity[i / 8] >> (i % 8) & 1) == 0;
}

/* One cell at out's end, where there is room for it; false: it must be encoded. */
static bool put_cell(const struct pg_row_column *column, int64_t row, struct buf *out)
{
    char *at = out->ptr + out->len;
    int64_t i = column->array->offset + row;
    if (column->way == WAY_ENCODE) {
        return false;
    }
    if (is_null(column, i)) {
        (void)put_32(at, UINT32_MAX);
        out->len += 4;
        return true;
    }
    if (column->way == WAY_BYTES) {
        size_t len = (size_t)(column->offsets[i + 1] - column->offsets[i]);
        at = put_32(at, (uint32_t)len);
        if (len > 0) {
            memcpy(at, (const char *)column->values + column->offsets[i], len);
        }
        out->len += 4 + len;
        return true;
    }
    char *end = put_small(column, i, at + 4);
    if (end == NULL) {
        return false;
    }
    (void)put_32(at, (uint32_t)(end - at - 4));
    out->len += (size_t)(end - at);
    return true;
}

static enum err write_row(const struct pg_row_column *columns, size_t count, char type, int64_t row,
                          struct buf *out, struct errinfo *info)
{
    size_t begun = out->len;
    char *at = buf_reserve(out, 7 + row_bytes_max(columns, count, row));
    if (at == NULL) {
        return errinfo_nomem(info);
    }
    *at = type;
    (void)put_16(at + 5, (uint16_t)count);
    out->len += 7;
    for (size_t c = 0; c < count; c++) {
        if (put_cell(&columns[c], row, out)) {
            continue;
        }
        TRY(encode_cell(&columns[c], row, out, info));
        /* It may have taken the room of those that follow. */
        if (buf_reserve(out, row_bytes_max(columns + c + 1, count - c - 1, row)) == NULL) {
            return errinfo_nomem(info);
        }
    }
    (void)put_32(out->ptr + begun + 1, (uint32_t)(out->len - begun - 1));
    out->ptr[out->len] = '\0';
    return ERR_OK;
}

enum err pg_rows_write(const struct pg_row_column *columns, size_t count, char type, int64_t *row,
                       int64_t row_end, size_t bytes_stop, struct buf *out, struct errinfo *info)
{
    for (; *row < row_end && out->len < bytes_stop; (*row)++) {
        TRY(write_row(columns, count, type, *row, out, info));
    }
    return ERR_OK;
}
