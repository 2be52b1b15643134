/* PostgreSQL's texts as Arrow: numbers, truth, dates, times and bytes as what they are, all else as
 * text, so that each format prints them as if they had come from the engine. */
#include <math.h>
#include <stdlib.h>

#include "base/calendar.h"
#include "base/checked.h"
#include "base/mem.h"
#include "remote/remote_int.h"

/* Numbers of types, which never change (pg_type.dat). */
enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_FLOAT4 = 700,
    OID_FLOAT8 = 701,
    OID_DATE = 1082,
    OID_TIME = 1083,
    OID_TIMESTAMP = 1114,
    OID_TIMESTAMPTZ = 1184,
    OID_NUMERIC = 1700,
};

#define FORMAT_BYTES 16
#define DECIMAL_DIGITS_MAX 38

enum kind {
    KIND_TEXT,
    KIND_BYTES,
    KIND_BOOL,
    KIND_INT,   /* of `width` bytes */
    KIND_FLOAT, /* likewise */
    KIND_DECIMAL,
    KIND_DATE,
    KIND_TIME,
    KIND_TIMESTAMP,
    KIND_TIMESTAMPTZ,
};

struct column {
    enum kind kind;
    unsigned width;
    unsigned scale;
    char format[FORMAT_BYTES];
    char *name;
    struct ArrowSchema schema;
    struct buf validity; /* a byte each; bits when they are taken */
    struct buf values;   /* of texts: their ends */
    struct buf bytes;
    int64_t null_count;
};

struct remote_columns {
    struct column *columns;
    size_t count;
    struct ArrowSchema schema;
    struct ArrowSchema **children;
    size_t bytes;
};

/* ---- types ---- */

static void set_type(struct column *column, enum kind kind, unsigned width, const char *format)
{
    column->kind = kind;
    column->width = width;
    (void)snprintf(column->format, sizeof(column->format), "%s", format);
}

/* numeric(p,s): ((p << 16) | s) + 4. Without a modifier it may have any number of digits. */
static void set_numeric(struct column *column, int32_t modifier)
{
    unsigned precision = modifier < 4 ? 0 : (unsigned)(modifier - 4) >> 16;
    unsigned scale = modifier < 4 ? 0 : (unsigned)(modifier - 4) & 0x7FF;
    if (precision == 0 || precision > DECIMAL_DIGITS_MAX || scale > precision) {
        set_type(column, KIND_TEXT, 0, "u");
        return;
    }
    set_type(column, KIND_DECIMAL, 16, "");
    (void)snprintf(column->format, sizeof(column->format), "d:%u,%u", precision, scale);
    column->scale = scale;
}

static void find_type(struct column *column, uint32_t type, int32_t modifier)
{
    static const struct {
        uint32_t type;
        enum kind kind;
        unsigned width;
        const char *format;
    } types[] = {
        {OID_BOOL, KIND_BOOL, 1, "b"},
        {OID_BYTEA, KIND_BYTES, 0, "z"},
        {OID_INT2, KIND_INT, 2, "s"},
        {OID_INT4, KIND_INT, 4, "i"},
        {OID_INT8, KIND_INT, 8, "l"},
        {OID_FLOAT4, KIND_FLOAT, 4, "f"},
        {OID_FLOAT8, KIND_FLOAT, 8, "g"},
        {OID_DATE, KIND_DATE, 4, "tdD"},
        {OID_TIME, KIND_TIME, 8, "ttu"},
        {OID_TIMESTAMP, KIND_TIMESTAMP, 8, "tsu:"},
        {OID_TIMESTAMPTZ, KIND_TIMESTAMPTZ, 8, "tsu:UTC"},
    };
    set_type(column, KIND_TEXT, 0, "u");
    if (type == OID_NUMERIC) {
        set_numeric(column, modifier);
    }
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        if (types[i].type == type) {
            set_type(column, types[i].kind, types[i].width, types[i].format);
        }
    }
}

/* ---- life ---- */

enum err remote__columns_new(size_t count, struct remote_columns **ret_columns,
                             struct errinfo *info)
{
    struct remote_columns *columns = mem_calloc(1, sizeof(*columns));
    if (columns != NULL) {
        columns->columns = mem_calloc(count + 1, sizeof(*columns->columns));
        columns->children = mem_calloc(count + 1, sizeof(struct ArrowSchema *));
        columns->count = count;
    }
    if (columns == NULL || columns->columns == NULL || columns->children == NULL) {
        remote__columns_free(columns);
        return errinfo_nomem(info);
    }
    *ret_columns = columns;
    return ERR_OK;
}

void remote__columns_free(struct remote_columns *columns)
{
    if (columns == NULL) {
        return;
    }
    for (size_t i = 0; columns->columns != NULL && i < columns->count; i++) {
        struct column *column = &columns->columns[i];
        buf_fini(&column->validity);
        buf_fini(&column->values);
        buf_fini(&column->bytes);
        mem_free(column->name);
    }
    mem_free(columns->columns);
    mem_free(columns->children);
    mem_free(columns);
}

enum err remote__column_set(struct remote_columns *columns, size_t index, struct slice name,
                            uint32_t type, int32_t modifier, struct errinfo *info)
{
    struct column *column = &columns->columns[index];
    ASSERT(index < columns->count && column->name == NULL);
    column->name = mem_slicedup(name);
    find_type(column, type, modifier);
    return column->name == NULL ? errinfo_nomem(info) : ERR_OK;
}

/* Nothing to free: the columns own it. */
static void release_schema(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

enum err remote__columns_schema(struct remote_columns *columns,
                                const struct ArrowSchema **ret_schema, struct errinfo *info)
{
    for (size_t i = 0; i < columns->count; i++) {
        struct column *column = &columns->columns[i];
        if (column->name == NULL) {
            return errinfo_set(info, ERR_INTERNAL, NULL, "a column is not described");
        }
        column->schema = (struct ArrowSchema){.format = column->format,
                                              .name = column->name,
                                              .flags = ARROW_FLAG_NULLABLE,
                                              .release = release_schema};
        columns->children[i] = &column->schema;
    }
    columns->schema = (struct ArrowSchema){.format = "+s",
                                           .name = "",
                                           .n_children = (int64_t)columns->count,
                                           .children = columns->children,
                                           .release = release_schema};
    *ret_schema = &columns->schema;
    return ERR_OK;
}

/* ---- values ---- */

static bool read_int(struct slice text, int64_t *ret_value)
{
    uint64_t number;
    bool is_negative = slice_starts_with(text, SLICE("-"));
    struct slice digits = is_negative ? (struct slice){text.ptr + 1, text.len - 1} : text;
    if (!slice_to_u64(digits, &number) || number > (uint64_t)INT64_MAX + is_negative) {
        return false;
    }
    *ret_value = is_negative ? (int64_t)(0 - number) : (int64_t)number;
    return true;
}

static bool read_float(struct slice text, double *ret_value)
{
    char copy[64];
    char *end;
    if (text.len == 0 || text.len >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    *ret_value = strtod(copy, &end); /* also "NaN" and "Infinity" */
    return *end == '\0';
}

static bool read_decimal(struct slice text, unsigned scale, __int128 *ret_value)
{
    __int128 value = 0;
    bool is_negative = slice_starts_with(text, SLICE("-"));
    unsigned fraction = 0, digits = 0;
    bool has_point = false;
    for (size_t i = is_negative; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '.' && !has_point) {
            has_point = true;
            continue;
        }
        if (c < '0' || c > '9' || ++digits > DECIMAL_DIGITS_MAX + 1) {
            return false;
        }
        value = value * 10 + (c - '0');
        fraction += has_point;
    }
    for (; fraction < scale; fraction++) {
        if (++digits > DECIMAL_DIGITS_MAX + 1) {
            return false;
        }
        value *= 10;
    }
    *ret_value = is_negative ? -value : value;
    return digits > 0 && fraction == scale;
}

/* Digits up to something else. */
static bool take_number(struct slice *rest, int64_t *ret_value)
{
    size_t len = 0;
    uint64_t number;
    while (len < rest->len && rest->ptr[len] >= '0' && rest->ptr[len] <= '9') {
        len++;
    }
    if (!slice_to_u64((struct slice){rest->ptr, len}, &number) || number > INT32_MAX) {
        return false;
    }
    *rest = (struct slice){rest->ptr + len, rest->len - len};
    *ret_value = (int64_t)number;
    return true;
}

static bool take_char(struct slice *rest, char c)
{
    if (rest->len == 0 || rest->ptr[0] != c) {
        return false;
    }
    *rest = (struct slice){rest->ptr + 1, rest->len - 1};
    return true;
}

/* "2024-02-29"; what is before our era ends in " BC", behind the time if there is one. */
static bool take_date(struct slice *rest, int64_t *ret_days)
{
    int64_t year, month, day;
    bool is_before = rest->len > 3 && memcmp(rest->ptr + rest->len - 3, " BC", 3) == 0;
    rest->len -= is_before ? 3 : 0;
    if (!take_number(rest, &year) || !take_char(rest, '-') || !take_number(rest, &month) ||
        !take_char(rest, '-') || !take_number(rest, &day) || month < 1 || month > 12 || day < 1 ||
        day > 31) {
        return false;
    }
    *ret_days = calendar_day(is_before ? 1 - year : year, month, day);
    return true;
}

/* "13:04:05.006" in microseconds. */
static bool take_time(struct slice *rest, int64_t *ret_us)
{
    int64_t hours, minutes, seconds;
    if (!take_number(rest, &hours) || !take_char(rest, ':') || !take_number(rest, &minutes) ||
        !take_char(rest, ':') || !take_number(rest, &seconds) || hours > 24 || minutes > 59 ||
        seconds > 60) {
        return false;
    }
    *ret_us = ((hours * 60 + minutes) * 60 + seconds) * 1000000;
    if (take_char(rest, '.')) {
        int64_t unit = 100000;
        for (; rest->len > 0 && rest->ptr[0] >= '0' && rest->ptr[0] <= '9'; unit /= 10) {
            *ret_us += (rest->ptr[0] - '0') * unit;
            *rest = (struct slice){rest->ptr + 1, rest->len - 1};
        }
    }
    return true;
}

/* "+05:30" in microseconds; the server says "+00". */
static bool take_zone(struct slice *rest, int64_t *ret_us)
{
    int64_t hours, minutes = 0;
    bool is_west = rest->len > 0 && rest->ptr[0] == '-';
    if ((!take_char(rest, '+') && !take_char(rest, '-')) || !take_number(rest, &hours) ||
        (take_char(rest, ':') && !take_number(rest, &minutes)) || hours > 24 || minutes > 59) {
        return false;
    }
    *ret_us = (is_west ? -1 : 1) * (hours * 60 + minutes) * 60000000;
    return true;
}

/* -1, 1: infinitely long ago, hence; 0: neither. */
static int infinity_of(struct slice text)
{
    return slice_equal(text, SLICE("infinity")) - slice_equal(text, SLICE("-infinity"));
}

static bool read_instant(const struct column *column, struct slice text, int64_t *ret_us)
{
    int64_t days, us, zone_us = 0;
    int infinity = infinity_of(text);
    if (infinity != 0) {
        *ret_us = infinity * INT64_MAX;
        return true;
    }
    if (!take_date(&text, &days) || !take_char(&text, ' ') || !take_time(&text, &us) ||
        (column->kind == KIND_TIMESTAMPTZ && !take_zone(&text, &zone_us)) || text.len > 0) {
        return false;
    }
    int64_t of_days;
    return checked_mul(days, INT64_C(86400000000), &of_days) &&
           checked_add(of_days, us - zone_us, ret_us);
}

static bool read_days(struct slice text, int64_t *ret_days)
{
    int infinity = infinity_of(text);
    if (infinity != 0) {
        *ret_days = infinity * (int64_t)INT32_MAX;
        return true;
    }
    return take_date(&text, ret_days) && text.len == 0 && *ret_days >= INT32_MIN &&
           *ret_days <= INT32_MAX;
}

/* "\x00ff" */
static bool add_bytes(struct buf *out, struct slice text)
{
    if (!slice_starts_with(text, SLICE("\\x")) || text.len % 2 != 0) {
        return false;
    }
    size_t len = text.len / 2 - 1;
    char *room = buf_reserve(out, len + 1);
    if (room == NULL) {
        return true; /* the buffer says so */
    }
    for (size_t i = 0; i < len; i++) {
        unsigned byte = 0;
        for (size_t half = 0; half < 2; half++) {
            char c = text.ptr[2 + 2 * i + half];
            unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                             : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                                    : 16;
            if (digit == 16) {
                return false;
            }
            byte = byte * 16 + digit;
        }
        room[i] = (char)byte;
    }
    out->len += len;
    return true;
}

static bool add_number(struct column *column, struct slice text)
{
    int64_t number = 0;
    double real = 0;
    float single;
    __int128 decimal = 0;
    switch (column->kind) {
    case KIND_BOOL:
        number = slice_equal(text, SLICE("t"));
        buf_append(&column->values, &number, 1);
        return number == 1 || slice_equal(text, SLICE("f"));
    case KIND_INT: {
        bool is_read = read_int(text, &number);
        buf_append(&column->values, &number, column->width); /* little endian */
        int64_t limit =
            column->width == 8 ? INT64_MAX : (INT64_C(1) << (column->width * 8 - 1)) - 1;
        return is_read && number <= limit && number >= -limit - 1;
    }
    case KIND_FLOAT: {
        bool is_read = read_float(text, &real);
        single = (float)real;
        buf_append(&column->values, column->width == 4 ? (void *)&single : &real, column->width);
        return is_read;
    }
    case KIND_DECIMAL: {
        bool is_read = read_decimal(text, column->scale, &decimal);
        buf_append(&column->values, &decimal, sizeof(decimal));
        return is_read;
    }
    case KIND_DATE: {
        bool is_read = read_days(text, &number);
        buf_append(&column->values, &number, 4);
        return is_read;
    }
    case KIND_TIME: {
        bool is_read = take_time(&text, &number) && text.len == 0;
        buf_append(&column->values, &number, sizeof(number));
        return is_read;
    }
    case KIND_TIMESTAMP:
    case KIND_TIMESTAMPTZ: {
        bool is_read = read_instant(column, text, &number);
        buf_append(&column->values, &number, sizeof(number));
        return is_read;
    }
    case KIND_TEXT:
    case KIND_BYTES:
        break;
    }
    ASSERT(false);
    return false;
}

enum err remote__cell(struct remote_columns *columns, size_t index, struct slice text,
                      struct errinfo *info)
{
    struct column *column = &columns->columns[index];
    bool is_null = text.ptr == NULL;
    bool has_bytes = column->kind == KIND_TEXT || column->kind == KIND_BYTES;
    bool is_right = true;
    ASSERT(index < columns->count);
    buf_append_char(&column->validity, is_null ? 0 : 1);
    column->null_count += is_null;
    if (has_bytes) {
        if (!is_null && column->kind == KIND_TEXT) {
            is_right = slice_is_utf8(text, NULL);
            buf_append_slice(&column->bytes, text);
        } else if (!is_null) {
            is_right = add_bytes(&column->bytes, text);
        }
        if (column->bytes.len > INT32_MAX) {
            return errinfo_set(info, ERR_LIMIT, NULL, "a batch of rows is larger than 2 GiB");
        }
        int32_t end = (int32_t)column->bytes.len;
        buf_append(&column->values, &end, sizeof(end));
    } else if (is_null) {
        static const char nothing[16];
        buf_append(&column->values, nothing, column->width);
    } else {
        is_right = add_number(column, text);
    }
    columns->bytes += text.len + 8;
    if (!is_right) {
        return errinfo_set(info, ERR_INVALID, "22P02", "column \"%s\" has a value that is none",
                           column->name);
    }
    return buf_failed(&column->bytes) || buf_failed(&column->values) ||
                   buf_failed(&column->validity)
               ? errinfo_nomem(info)
               : ERR_OK;
}

size_t remote__columns_bytes(const struct remote_columns *columns)
{
    return columns->bytes;
}

/* ---- batches ---- */

struct batch {
    size_t count;
    struct ArrowArray **links;
    struct ArrowArray *arrays;
    const void *(*buffers)[3];
    void **owned; /* three a column */
    const void *no_buffer[1];
};

static void release_child(struct ArrowArray *array)
{
    array->release = NULL;
}

static void release_batch(struct ArrowArray *array)
{
    struct batch *batch = array->private_data;
    for (size_t i = 0; batch->owned != NULL && i < batch->count * 3; i++) {
        mem_free(batch->owned[i]);
    }
    mem_free(batch->links);
    mem_free(batch->arrays);
    mem_free(batch->buffers);
    mem_free(batch->owned);
    mem_free(batch);
    array->release = NULL;
}

/* A bit each, of a byte each. */
static char *bits_of(const struct buf *bytes)
{
    char *bits = mem_calloc(bytes->len / 8 + 1, 1);
    for (size_t i = 0; bits != NULL && i < bytes->len; i++) {
        bits[i / 8] = (char)(bits[i / 8] | (bytes->ptr[i] != 0 ? 1 << (i % 8) : 0));
    }
    return bits;
}

/* Texts begin at 0 and go on where the one before ended. */
static char *offsets_of(const struct buf *ends)
{
    char *offsets = mem_calloc(1, ends->len + sizeof(int32_t));
    if (offsets != NULL && ends->len > 0) {
        memcpy(offsets + sizeof(int32_t), ends->ptr, ends->len);
    }
    return offsets;
}

static bool take_column(struct column *column, int64_t row_count, struct ArrowArray *array,
                        const void **buffers, void **owned)
{
    bool has_bytes = column->kind == KIND_TEXT || column->kind == KIND_BYTES;
    buf_append_char(&column->values, 0); /* so that there is something to take */
    buf_append_char(&column->bytes, 0);
    column->values.len--;
    column->bytes.len--;
    owned[0] = bits_of(&column->validity);
    owned[1] = has_bytes                   ? offsets_of(&column->values)
               : column->kind == KIND_BOOL ? bits_of(&column->values)
                                           : buf_take(&column->values);
    owned[2] = buf_take(&column->bytes);
    for (size_t i = 0; i < 3; i++) {
        buffers[i] = owned[i];
    }
    *array = (struct ArrowArray){.length = row_count,
                                 .null_count = column->null_count,
                                 .n_buffers = has_bytes ? 3 : 2,
                                 .buffers = buffers,
                                 .release = release_child};
    buf_reset(&column->validity);
    buf_reset(&column->values);
    column->null_count = 0;
    return owned[0] != NULL && owned[1] != NULL && owned[2] != NULL;
}

enum err remote__columns_take(struct remote_columns *columns, int64_t row_count,
                              struct ArrowArray *ret_batch, struct errinfo *info)
{
    size_t count = columns->count;
    struct batch *batch = mem_calloc(1, sizeof(*batch));
    if (batch == NULL) {
        return errinfo_nomem(info);
    }
    batch->count = count;
    batch->links = mem_calloc(count + 1, sizeof(struct ArrowArray *));
    batch->arrays = mem_calloc(count + 1, sizeof(struct ArrowArray));
    batch->buffers = mem_calloc(count + 1, sizeof(*batch->buffers));
    batch->owned = mem_calloc(count * 3 + 1, sizeof(void *));
    struct ArrowArray array = {.length = row_count,
                               .n_buffers = 1,
                               .n_children = (int64_t)count,
                               .buffers = batch->no_buffer,
                               .children = batch->links,
                               .release = release_batch,
                               .private_data = batch};
    bool has_all = batch->links != NULL && batch->arrays != NULL && batch->buffers != NULL &&
                   batch->owned != NULL;
    for (size_t i = 0; has_all && i < count; i++) {
        batch->links[i] = &batch->arrays[i];
        has_all = take_column(&columns->columns[i], row_count, &batch->arrays[i], batch->buffers[i],
                              batch->owned + 3 * i);
    }
    columns->bytes = 0;
    if (!has_all) {
        release_batch(&array);
        return errinfo_nomem(info);
    }
    *ret_batch = array;
    return ERR_OK;
}
