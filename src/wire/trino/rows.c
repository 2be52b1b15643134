/* Rows, whole: what most cells are is written by hand; whatever else goes through
 * trino_cell_print, whose bytes these are (`rows_are_what_cells_say`). How a column is written is
 * found once a query, where its values are once a batch. */
#include "base/digits.h"
#include "base/json.h"
#include "wire/trino/trino_int.h"

#define SCALE_MAX 18u
#define CELL_BYTES_MAX 48u /* of one that is no text */
#define US_PER_DAY INT64_C(86400000000)
#define DAY_FIRST (-719162) /* 0001-01-01 */
#define DAY_LAST 2932896    /* 9999-12-31 */

enum way {
    WAY_SLOW,
    WAY_BOOL,
    WAY_I8,
    WAY_I16,
    WAY_I32,
    WAY_I64,
    WAY_DATE,
    WAY_TIMESTAMP,
    WAY_DECIMAL_32,
    WAY_DECIMAL_64,
    WAY_DECIMAL_128,
    WAY_TEXT_32, /* by the width of offsets */
    WAY_TEXT_64,
};

static enum way plain_way(const char *format)
{
    static const struct {
        char format;
        enum way way;
    } ways[] = {{'b', WAY_BOOL}, {'c', WAY_I8}, {'s', WAY_I16}, {'i', WAY_I32}, {'l', WAY_I64}};
    for (size_t i = 0; format[0] != '\0' && format[1] == '\0' && i < ARRAY_COUNT(ways); i++) {
        if (ways[i].format == format[0]) {
            return ways[i].way;
        }
    }
    return WAY_SLOW;
}

/* "d:9,2", or with a width behind it: "d:9,2,32" */
static enum way decimal_way(const char *format)
{
    const char *comma = strchr(format, ',');
    const char *width = comma == NULL ? NULL : strchr(comma + 1, ',');
    return width == NULL || strcmp(width, ",128") == 0 ? WAY_DECIMAL_128
           : strcmp(width, ",64") == 0                 ? WAY_DECIMAL_64
           : strcmp(width, ",32") == 0                 ? WAY_DECIMAL_32
                                                       : WAY_SLOW;
}

static enum way quoted_way(const struct trino_type *type, const char *format)
{
    if (strcmp(format, "u") == 0) {
        return WAY_TEXT_32;
    }
    if (strcmp(format, "U") == 0) {
        return WAY_TEXT_64;
    }
    if (strcmp(format, "tdD") == 0) {
        return WAY_DATE;
    }
    bool is_decimal = strncmp(format, "d:", 2) == 0 && strcmp(type->name, "decimal") == 0 &&
                      type->scale <= SCALE_MAX;
    return is_decimal ? decimal_way(format) : WAY_SLOW;
}

static enum way way_of(const struct trino_type *type, const struct ArrowSchema *schema)
{
    const char *format = schema->format;
    if (schema->dictionary != NULL) {
        return WAY_SLOW;
    }
    switch (type->kind) {
    case TRINO_PLAIN:
        return plain_way(format);
    case TRINO_QUOTED:
        return quoted_way(type, format);
    case TRINO_TIME:
        return strcmp(format, "tsu:") == 0 ? WAY_TIMESTAMP : WAY_SLOW;
    case TRINO_INSTANT:
        return strcmp(format, "tsu:UTC") == 0 ? WAY_TIMESTAMP : WAY_SLOW;
    case TRINO_BINARY:
    case TRINO_ARRAY:
    case TRINO_MAP:
    case TRINO_ROW:
    case TRINO_WIDE:
        break;
    }
    return WAY_SLOW;
}

void trino_columns_begin(struct trino_column *columns, const struct trino_type *types,
                         const struct ArrowSchema *schema)
{
    for (int64_t i = 0; i < schema->n_children; i++) {
        columns[i] = (struct trino_column){.type = &types[i],
                                           .schema = schema->children[i],
                                           .way = (int)way_of(&types[i], schema->children[i])};
    }
}

void trino_columns_take(struct trino_column *columns, const struct ArrowArray *batch)
{
    for (int64_t i = 0; i < batch->n_children; i++) {
        struct trino_column *column = &columns[i];
        const struct ArrowArray *array = batch->children[i];
        enum way way = (enum way)column->way;
        bool is_text = way == WAY_TEXT_32 || way == WAY_TEXT_64;
        column->array = array;
        column->validity = way != WAY_SLOW && array->null_count != 0 && array->n_buffers > 0
                               ? array->buffers[0]
                               : NULL;
        column->offsets = is_text ? array->buffers[1] : NULL;
        column->values = way == WAY_SLOW ? NULL : array->buffers[is_text ? 2 : 1];
    }
}

/* ---- cells ---- */

static char *room(struct buf *out, size_t len)
{
    bool has_room = out->capacity - out->len > len && out->bytes_max == 0 && !out->failed;
    return has_room ? out->ptr + out->len : buf_reserve(out, len);
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

/* A byte among eight that is not as it is in JSON: beyond ASCII, a control, a quote, a backslash.
 * Each subtraction marks bytes that are less than what is taken away (Warren, Hacker's Delight,
 * 6-1); what a borrow marks wrongly is only looked at in vain. */
static uint64_t special_bytes(uint64_t word)
{
    uint64_t quote = word ^ EACH('"');
    uint64_t backslash = word ^ EACH('\\');
    return (word | (word - EACH(0x20)) | (quote - EACH(1)) | (backslash - EACH(1))) & EACH(0x80);
}

/* "text", if it goes as it is; NULL: it does not. There is room for it and its quotes. */
static char *put_plain_text(char *at, const char *text, size_t len)
{
    uint64_t word, special = 0;
    *at++ = '"';
    for (size_t i = 0; i + 8 <= len; i += 8) {
        memcpy(&word, text + i, 8);
        special |= special_bytes(word);
        memcpy(at + i, &word, 8);
    }
    if (len >= 8) { /* the last eight, some of them again */
        memcpy(&word, text + len - 8, 8);
        special |= special_bytes(word);
        memcpy(at + len - 8, &word, 8);
    }
    for (size_t i = 0; len < 8 && i < len; i++) {
        special |= special_bytes(EACH(' ') ^ ((unsigned char)text[i] ^ ' '));
        at[i] = text[i];
    }
    at[len] = '"';
    return special == 0 ? at + len + 1 : NULL;
}

static void put_text(struct slice text, struct buf *out)
{
    char *at = room(out, text.len + 2);
    if (at == NULL) {
        return;
    }
    char *end = put_plain_text(at, text.ptr, text.len);
    if (end == NULL) {
        json_write_string(out, text);
    } else {
        out->len += (size_t)(end - at);
    }
}

/* Days since 1970 as year, month and day (Hinnant, chrono-compatible low-level date algorithms). */
static char *put_day(char *at, int64_t day)
{
    uint64_t z = (uint64_t)(day + 719468); /* of a year that begins in March */
    uint64_t era = z / 146097;
    uint64_t of_era = z % 146097;
    uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    uint64_t shifted = (5 * of_year + 2) / 153;
    uint64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
    at = digits_put(at, year + era * 400 + (month <= 2), 4);
    *at++ = '-';
    at = digits_put(at, month, 2);
    *at++ = '-';
    return digits_put(at, of_year - (153 * shifted + 2) / 5 + 1, 2);
}

static bool has_four_digits(int64_t day)
{
    return day >= DAY_FIRST && day <= DAY_LAST;
}

static char *put_timestamp(char *at, const struct trino_type *type, int64_t us)
{
    int64_t day = us / US_PER_DAY - (us % US_PER_DAY < 0);
    if (!has_four_digits(day) || type->precision > 6) {
        return NULL;
    }
    uint64_t rest = (uint64_t)(us - day * US_PER_DAY);
    *at++ = '"';
    at = put_day(at, day);
    *at++ = ' ';
    at = digits_put(at, rest / 3600000000, 2);
    *at++ = ':';
    at = digits_put(at, rest / 60000000 % 60, 2);
    *at++ = ':';
    at = digits_put(at, rest / 1000000 % 60, 2);
    if (type->precision > 0) {
        *at++ = '.';
        (void)digits_put(at, rest % 1000000, 6);
        at += type->precision;
    }
    if (type->kind == TRINO_INSTANT) {
        memcpy(at, " UTC", 4);
        at += 4;
    }
    *at++ = '"';
    return at;
}

static char *put_decimal(char *at, int64_t value, unsigned scale)
{
    static const uint64_t powers[SCALE_MAX + 1] = {
        1,
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
        10000000000000000,
        100000000000000000,
        1000000000000000000,
    };
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    uint64_t whole = magnitude / powers[scale];
    *at++ = '"';
    if (value < 0) {
        *at++ = '-';
    }
    at = digits_put(at, whole, 1);
    if (scale > 0) {
        *at++ = '.';
        at = digits_put(at, magnitude - whole * powers[scale], scale);
    }
    *at++ = '"';
    return at;
}

/* NULL: it has more than 64 bits. */
static char *put_wide_decimal(char *at, const void *values, int64_t i, unsigned scale)
{
    int64_t words[2]; /* the lower first */
    memcpy(words, (const char *)values + i * 16, sizeof(words));
    return words[1] == (words[0] < 0 ? -1 : 0) ? put_decimal(at, words[0], scale) : NULL;
}

static char *put_bool(char *at, bool is_true)
{
    memcpy(at, is_true ? "true " : "false", 5);
    return at + (is_true ? 4 : 5);
}

static char *put_date(char *at, int32_t day)
{
    if (!has_four_digits(day)) {
        return NULL;
    }
    *at++ = '"';
    at = put_day(at, day);
    *at++ = '"';
    return at;
}

/* CELL_BYTES_MAX at most; NULL: it goes the slow way. */
static char *put_small(const struct trino_column *column, int64_t i, char *at)
{
    const void *values = column->values;
    switch ((enum way)column->way) {
    case WAY_BOOL:
        return put_bool(at, (((const uint8_t *)values)[i / 8] >> (i % 8) & 1) != 0);
    case WAY_I8:
        return digits_put_signed(at, ((const int8_t *)values)[i]);
    case WAY_I16:
        return digits_put_signed(at, ((const int16_t *)values)[i]);
    case WAY_I32:
        return digits_put_signed(at, ((const int32_t *)values)[i]);
    case WAY_I64:
        return digits_put_signed(at, ((const int64_t *)values)[i]);
    case WAY_DATE:
        return put_date(at, ((const int32_t *)values)[i]);
    case WAY_TIMESTAMP:
        return put_timestamp(at, column->type, ((const int64_t *)values)[i]);
    case WAY_DECIMAL_32:
        return put_decimal(at, ((const int32_t *)values)[i], column->type->scale);
    case WAY_DECIMAL_64:
        return put_decimal(at, ((const int64_t *)values)[i], column->type->scale);
    case WAY_DECIMAL_128:
        return put_wide_decimal(at, values, i, column->type->scale);
    case WAY_SLOW:
    case WAY_TEXT_32:
    case WAY_TEXT_64:
        break;
    }
    return NULL;
}

static bool is_null(const struct trino_column *column, int64_t i)
{
    return column->validity != NULL && (column->validity[i / 8] >> (i % 8) & 1) == 0;
}

/* False: it goes the slow way. */
static bool put_cell(const struct trino_column *column, int64_t row, struct buf *out)
{
    int64_t i = column->array->offset + row;
    if (column->way == WAY_SLOW) {
        return false;
    }
    if (is_null(column, i)) {
        buf_append_str(out, "null");
        return true;
    }
    if (column->way == WAY_TEXT_32 || column->way == WAY_TEXT_64) {
        const int32_t *small = column->offsets;
        const int64_t *large = column->offsets;
        bool is_small = column->way == WAY_TEXT_32;
        int64_t from = is_small ? small[i] : large[i];
        int64_t to = is_small ? small[i + 1] : large[i + 1];
        ASSERT(from >= 0 && to >= from);
        const char *text = to == from ? "" : (const char *)column->values + from;
        put_text((struct slice){text, (size_t)(to - from)}, out);
        return true;
    }
    char *at = room(out, CELL_BYTES_MAX);
    char *end = at == NULL ? NULL : put_small(column, i, at);
    out->len += end == NULL ? 0 : (size_t)(end - at);
    return at == NULL || end != NULL;
}

enum err trino_row_print(const struct trino_column *columns, size_t count, int64_t row,
                         struct buf *scratch, struct buf *out, struct errinfo *info)
{
    for (size_t c = 0; c < count; c++) {
        buf_append_char(out, c == 0 ? '[' : ',');
        if (!put_cell(&columns[c], row, out)) {
            TRY(trino_cell_print(columns[c].type, columns[c].schema, columns[c].array, row, scratch,
                                 out, info));
        }
    }
    buf_append_str(out, count == 0 ? "[]" : "]");
    return ERR_OK;
}
