/* Rows, whole: what most cells are is written by hand; whatever else goes through
 * trino_cell_print, whose bytes these are (`rows_are_what_cells_say`). How a column is written is
 * found once a query, where its values are once a batch. */
#include "base/calendar.h"
#include "base/json.h"
#include "wire/trino/trino_int.h"

#define SCALE_MAX 18u
#define CELL_BYTES_MAX (3 + DIGITS_DECIMAL_ROOM) /* of one that is no text */
#define SHORT_BYTES_MAX 48
_Static_assert(SHORT_BYTES_MAX + 2 <= CELL_BYTES_MAX, "a short text with its quotes");
#define US_PER_DAY INT64_C(86400000000)

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

/* ---- texts ---- */

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

static int64_t offset_at(const struct trino_column *column, int64_t i)
{
    return column->way == WAY_TEXT_32 ? ((const int32_t *)column->offsets)[i]
                                      : ((const int64_t *)column->offsets)[i];
}

/* Where the batch's texts end, if all of them go as they are; else 0. */
static int64_t plain_end(const struct trino_column *column)
{
    const struct ArrowArray *array = column->array;
    const char *bytes = column->values;
    int64_t end = array->length == 0 || column->offsets == NULL
                      ? 0
                      : offset_at(column, array->offset + array->length);
    int64_t at = end == 0 ? 0 : offset_at(column, array->offset);
    uint64_t word, special = 0;
    for (; at + 8 <= end && special == 0; at += 8) {
        memcpy(&word, bytes + at, 8);
        special = special_bytes(word);
    }
    for (; at < end && special == 0; at++) {
        special = special_bytes(EACH(' ') ^ ((unsigned char)bytes[at] ^ ' '));
    }
    return special == 0 ? end : 0;
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
        column->plain_end = is_text ? plain_end(column) : 0;
    }
}

/* ---- cells ---- */

/* The end of what is written while a row is, by value: it lives in registers. */
struct pen {
    char *at, *end; /* there is room between them; NULL: no memory, and the buffer says so */
};

static struct pen pen_of(struct buf *out)
{
    if (out->failed || out->capacity == 0) {
        return (struct pen){NULL, NULL};
    }
    bool is_bounded = out->bytes_max != 0 && out->bytes_max < out->capacity - 1;
    char *end = out->ptr + (is_bounded ? out->bytes_max : out->capacity - 1);
    return (struct pen){out->ptr + out->len, end};
}

/* What it wrote is the buffer's. */
static void put_down(struct pen pen, struct buf *out)
{
    if (pen.at != NULL) {
        out->len = (size_t)(pen.at - out->ptr);
    }
}

static struct pen grown(struct pen pen, struct buf *out, size_t len)
{
    put_down(pen, out);
    return buf_reserve(out, len) == NULL ? (struct pen){NULL, NULL} : pen_of(out);
}

static inline struct pen with_room(struct pen pen, struct buf *out, size_t len)
{
    return (size_t)(pen.end - pen.at) >= len ? pen : grown(pen, out, len);
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
    if (len < 8 && len >= 4) {
        uint32_t first, last;
        memcpy(&first, text, 4);
        memcpy(&last, text + len - 4, 4);
        special |= special_bytes((uint64_t)last << 32 | first);
        memcpy(at, &first, 4);
        memcpy(at + len - 4, &last, 4);
    }
    for (size_t i = 0; len < 4 && i < len; i++) {
        special |= special_bytes(EACH(' ') ^ ((unsigned char)text[i] ^ ' '));
        at[i] = text[i];
    }
    at[len] = '"';
    return special == 0 ? at + len + 1 : NULL;
}

static struct pen put_escaped(struct pen pen, struct buf *out, struct slice text)
{
    put_down(pen, out);
    json_write_string(out, text);
    return pen_of(out);
}

static inline struct pen put_text(struct pen pen, struct buf *out, struct slice text)
{
    pen = with_room(pen, out, text.len + 2);
    if (pen.at == NULL) {
        return pen;
    }
    char *end = put_plain_text(pen.at, text.ptr, text.len);
    return end == NULL ? put_escaped(pen, out, text) : (struct pen){end, pen.end};
}

static char *put_timestamp(char *at, const struct trino_type *type, int64_t us)
{
    int64_t day = floor_div(us, US_PER_DAY);
    if (!calendar_is_plain(day) || type->precision > 6) {
        return NULL;
    }
    uint64_t rest = (uint64_t)(us - day * US_PER_DAY);
    *at++ = '"';
    at = calendar_put(at, day);
    *at++ = ' ';
    at = digits_put_pair(at, rest / 3600000000);
    *at++ = ':';
    at = digits_put_pair(at, rest / 60000000 % 60);
    *at++ = ':';
    at = digits_put_pair(at, rest / 1000000 % 60);
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
    *at++ = '"';
    if (value < 0) {
        *at++ = '-';
    }
    at = digits_put_decimal(at, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, scale);
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
    if (!calendar_is_plain(day)) {
        return NULL;
    }
    *at++ = '"';
    at = calendar_put(at, day);
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
        return digits_put_signed_fast(at, ((const int8_t *)values)[i]);
    case WAY_I16:
        return digits_put_signed_fast(at, ((const int16_t *)values)[i]);
    case WAY_I32:
        return digits_put_signed_fast(at, ((const int32_t *)values)[i]);
    case WAY_I64:
        return digits_put_signed_fast(at, ((const int64_t *)values)[i]);
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

/* Short ones of a batch where all are plain are written by their longest form: how long each is
 * cannot be foretold, and a processor that guesses wrongly loses more than the bytes cost. */
static inline struct pen put_text_at(struct pen pen, struct buf *out,
                                     const struct trino_column *column, int64_t i)
{
    int64_t from = offset_at(column, i);
    int64_t to = offset_at(column, i + 1);
    ASSERT(from >= 0 && to >= from);
    size_t len = (size_t)(to - from);
    if (len > SHORT_BYTES_MAX || from + SHORT_BYTES_MAX > column->plain_end) {
        const char *text = len == 0 ? "" : (const char *)column->values + from;
        return put_text(pen, out, (struct slice){text, len});
    }
    *pen.at = '"';
    memcpy(pen.at + 1, (const char *)column->values + from, SHORT_BYTES_MAX);
    pen.at[1 + len] = '"';
    pen.at += len + 2;
    return pen;
}

/* False: it goes the slow way. There is room for CELL_BYTES_MAX. */
static inline bool put_cell(const struct trino_column *column, int64_t row, struct pen *pen,
                            struct buf *out)
{
    int64_t i = column->array->offset + row;
    if (column->way == WAY_SLOW) {
        return false;
    }
    if (is_null(column, i)) {
        memcpy(pen->at, "null", 4);
        pen->at += 4;
        return true;
    }
    if (column->way == WAY_TEXT_32 || column->way == WAY_TEXT_64) {
        *pen = put_text_at(*pen, out, column, i);
        return true;
    }
    char *end = put_small(column, i, pen->at);
    pen->at = end == NULL ? pen->at : end;
    return end != NULL;
}

enum err trino_row_print(const struct trino_column *columns, size_t count, int64_t row,
                         struct buf *scratch, struct buf *out, struct errinfo *info)
{
    struct pen pen = pen_of(out);
    for (size_t c = 0; c < count; c++) {
        pen = with_room(pen, out, 1 + CELL_BYTES_MAX);
        if (pen.at == NULL) {
            return errinfo_nomem(info);
        }
        *pen.at++ = c == 0 ? '[' : ',';
        if (!put_cell(&columns[c], row, &pen, out)) {
            put_down(pen, out);
            TRY(trino_cell_print(columns[c].type, columns[c].schema, columns[c].array, row, scratch,
                                 out, info));
            pen = pen_of(out);
        }
    }
    put_down(pen, out);
    buf_append_str(out, count == 0 ? "[]" : "]");
    return ERR_OK;
}
