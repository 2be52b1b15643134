#include "wire/pg/copy_batch.h"

#include "base/mem.h"

#define BATCH_BYTES ((size_t)1 << 20) /* so that it goes to an engine host in one piece */
#define DAYS_TO_2000 10957            /* from 1970-01-01 */
#define US_TO_2000 INT64_C(946684800000000)
#define US_LEAST (INT64_C(-9223372022400) * 1000000) /* -290308-12-22: the engine's first */

/* ---- columns ---- */

static const struct {
    const char *engine;
    enum copy_way way;
    const char *format;
    size_t size;
    int64_t least, most;
} ways[] = {
    {"BOOLEAN", WAY_BOOL, "b", 1, 0, 0},
    {"TINYINT", WAY_INTEGER, "c", 1, INT8_MIN, INT8_MAX},
    {"SMALLINT", WAY_INTEGER, "s", 2, INT16_MIN, INT16_MAX},
    {"INTEGER", WAY_INTEGER, "i", 4, INT32_MIN, INT32_MAX},
    {"BIGINT", WAY_INTEGER, "l", 8, INT64_MIN, INT64_MAX},
    {"UTINYINT", WAY_INTEGER, "C", 1, 0, UINT8_MAX},
    {"USMALLINT", WAY_INTEGER, "S", 2, 0, UINT16_MAX},
    {"UINTEGER", WAY_INTEGER, "I", 4, 0, UINT32_MAX},
    {"FLOAT", WAY_FLOAT, "f", 4, 0, 0},
    {"DOUBLE", WAY_FLOAT, "g", 8, 0, 0},
    {"DATE", WAY_DATE, "tdD", 4, 0, 0},
    {"TIMESTAMP", WAY_TIMESTAMP, "tsu:", 8, 0, 0},
    {"TIMESTAMP WITH TIME ZONE", WAY_TIMESTAMP, "tsu:UTC", 8, 0, 0},
};

static void choose_way(struct copy_column *column, bool is_binary)
{
    column->way = WAY_TEXT;
    column->format = "u";
    column->type = pg_type_of(column->engine_type);
    for (size_t i = 0; i < ARRAY_COUNT(ways); i++) {
        bool is_one = slice_equal(column->engine_type, slice_of(ways[i].engine)) &&
                      (is_binary || ways[i].way < WAY_DATE);
        if (is_one) {
            column->way = ways[i].way;
            column->format = ways[i].format;
            column->size = ways[i].size;
            column->least = ways[i].least;
            column->most = ways[i].most;
        }
    }
}

enum err copy_batch_init(struct copy_batch *batch, const struct query *query, bool is_binary,
                         struct arena *arena, struct errinfo *info)
{
    size_t count = query_target_count(query);
    *batch = (struct copy_batch){.is_binary = is_binary};
    batch->columns = arena_calloc(arena, count + 1, sizeof(*batch->columns));
    if (batch->columns == NULL) {
        return errinfo_nomem(info);
    }
    batch->column_count = count + 1;
    batch->columns[0] = (struct copy_column){.name = SLICE("line"), .engine_type = SLICE("BIGINT")};
    choose_way(&batch->columns[0], is_binary);
    for (size_t i = 0; i < count; i++) {
        struct query_column target = query_target(query, i);
        batch->columns[i + 1].name = target.name;
        batch->columns[i + 1].engine_type = target.type;
        choose_way(&batch->columns[i + 1], is_binary);
    }
    return ERR_OK;
}

void copy_batch_fini(struct copy_batch *batch)
{
    for (size_t i = 0; i < batch->column_count; i++) {
        buf_fini(&batch->columns[i].validity);
        buf_fini(&batch->columns[i].values);
        buf_fini(&batch->columns[i].texts);
    }
    batch->column_count = 0;
}

/* ---- errors ---- */

static bool is_number(struct slice text)
{
    size_t digits = 0;
    for (size_t i = 0; i < text.len; i++) {
        bool is_digit = text.ptr[i] >= '0' && text.ptr[i] <= '9';
        digits += is_digit;
        if (!is_digit && strchr("+-. ", text.ptr[i]) == NULL) {
            return false;
        }
    }
    return digits > 0;
}

enum err copy_bad_text(const struct copy_column *column, struct slice text, struct errinfo *info)
{
    uint32_t oid = column->type.oid;
    bool is_time = oid == PG_DATE || oid == PG_TIME || oid == PG_TIMESTAMP ||
                   oid == PG_TIMESTAMPTZ || oid == PG_INTERVAL;
    const char *name = pg_type_title(oid);
    text.len = text.len > 400 ? 400 : text.len; /* errinfo cuts at a character */
    if (oid == PG_NUMERIC && is_number(text)) {
        return errinfo_set(info, ERR_INVALID, "22003", "numeric field overflow");
    }
    if (column->type.element_oid != 0) {
        return errinfo_set(info, ERR_INVALID, "22P02", "malformed array literal: \"%.*s\"",
                           SLICE_ARGS(text));
    }
    struct slice own = name != NULL ? slice_of(name) : column->engine_type;
    return errinfo_set(info, ERR_INVALID, is_time ? "22007" : "22P02",
                       "invalid input syntax for type %.*s: \"%.*s\"", SLICE_ARGS(own),
                       SLICE_ARGS(text));
}

static enum err bad_binary(struct errinfo *info)
{
    return errinfo_set(info, ERR_INVALID, "22P03", "incorrect binary data format");
}

/* ---- values ---- */

static void put(struct copy_column *column, const void *value)
{
    buf_append(&column->values, value, column->size);
}

static enum err add_bool(struct copy_column *column, int64_t row, bool is_binary,
                         struct slice value, struct errinfo *info)
{
    bool is_true = false;
    if (is_binary && value.len != 1) {
        return bad_binary(info);
    }
    if (is_binary) {
        is_true = value.ptr[0] != 0;
    } else {
        TRY(pg_read_bool(value, &is_true, info));
    }
    if (row % 8 == 0) {
        buf_append_char(&column->values, 0);
    }
    if (is_true && !buf_failed(&column->values)) {
        column->values.ptr[row / 8] |= (char)(1 << row % 8);
    }
    return ERR_OK;
}

static uint64_t get(struct slice bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        value = value << 8 | (unsigned char)bytes.ptr[i];
    }
    return value;
}

/* Of `len` bytes with a sign. */
static int64_t get_signed(struct slice bytes)
{
    uint64_t value = get(bytes);
    return bytes.len == 2 ? (int16_t)value : bytes.len == 4 ? (int32_t)value : (int64_t)value;
}

static enum err add_integer(struct copy_column *column, bool is_binary, struct slice value,
                            struct errinfo *info)
{
    int64_t number = 0;
    if (is_binary && value.len != (size_t)column->type.size) {
        return bad_binary(info);
    }
    if (is_binary) {
        number = get_signed(value);
    } else {
        TRY(pg_read_integer(column->type.oid, value, &number, info));
    }
    if (number < column->least || number > column->most) {
        char text[24];
        (void)snprintf(text, sizeof(text), "%lld", (long long)number);
        return pg_out_of_range(column->type.oid, is_binary ? slice_of(text) : value, info);
    }
    put(column, &number); /* its low bytes come first on all machines that this runs on */
    return ERR_OK;
}

static enum err add_float(struct copy_column *column, bool is_binary, struct slice value,
                          struct errinfo *info)
{
    double number = 0;
    if (is_binary) {
        uint64_t bits = get(value);
        uint32_t bits32 = (uint32_t)bits;
        if (value.len != column->size) {
            return bad_binary(info);
        }
        put(column, column->size == 4 ? (const void *)&bits32 : &bits);
        return ERR_OK;
    }
    TRY(pg_read_float(column->type.oid, value, &number, info));
    float single = (float)number;
    put(column, column->size == 4 ? (const void *)&single : &number);
    return ERR_OK;
}

static enum err add_date(struct copy_column *column, struct slice value, struct errinfo *info)
{
    if (value.len != 4) {
        return bad_binary(info);
    }
    int32_t days = (int32_t)get(value);
    int32_t own = days > 0 ? INT32_MAX : -INT32_MAX; /* the infinite ones of the engine */
    bool is_infinite = days == INT32_MAX || days == INT32_MIN;
    bool is_over = !is_infinite && __builtin_add_overflow(days, DAYS_TO_2000, &own);
    if (is_over || (!is_infinite && (own == INT32_MAX || own <= -INT32_MAX))) {
        return errinfo_set(info, ERR_INVALID, "22008", "date out of range");
    }
    put(column, &own);
    return ERR_OK;
}

static enum err add_timestamp(struct copy_column *column, struct slice value, struct errinfo *info)
{
    if (value.len != 8) {
        return bad_binary(info);
    }
    int64_t us = (int64_t)get(value);
    int64_t own = us > 0 ? INT64_MAX : -INT64_MAX;
    bool is_infinite = us == INT64_MAX || us == INT64_MIN;
    bool is_over = !is_infinite && __builtin_add_overflow(us, US_TO_2000, &own);
    if (is_over || (!is_infinite && (own == INT64_MAX || own < US_LEAST))) {
        return errinfo_set(info, ERR_INVALID, "22008", "timestamp out of range");
    }
    put(column, &own);
    return ERR_OK;
}

/* What pgvalue says of a parameter, said of a value of COPY. */
static enum err say_decoding(const struct copy_column *column, bool is_binary, struct slice value,
                             enum err err, struct errinfo *info)
{
    if (err != ERR_INVALID || info == NULL) {
        return err;
    }
    if (is_binary) {
        return strcmp(info->sqlstate, "22P03") == 0 ? bad_binary(info) : err;
    }
    bool is_element = column->type.element_oid != 0 && strstr(info->message, "malformed") == NULL;
    return strcmp(info->sqlstate, "22P02") == 0 && !is_element ? copy_bad_text(column, value, info)
                                                               : err;
}

static bool ends_in_bc(struct slice text)
{
    return text.len > 3 &&
           slice_equal_fold((struct slice){text.ptr + text.len - 3, 3}, SLICE(" BC"));
}

/* In the engine's spelling, where that differs from PostgreSQL's: "04:05" for "+04:05", and
 * "0044-03-15 (BC)" for "0044-03-15 BC". */
static void append_plain(struct copy_column *column, struct slice value)
{
    uint32_t oid = column->type.oid;
    bool is_day = oid == PG_DATE || oid == PG_TIMESTAMP || oid == PG_TIMESTAMPTZ;
    if (oid == PG_INTERVAL) {
        for (size_t i = 0; i < value.len; i++) {
            buf_append(&column->texts, value.ptr + i, value.ptr[i] != '+');
        }
        return;
    }
    bool is_bc = is_day && ends_in_bc(value);
    buf_append(&column->texts, value.ptr, is_bc ? value.len - 3 : value.len);
    buf_append_str(&column->texts, is_bc ? " (BC)" : "");
}

static enum err add_text(struct copy_column *column, bool is_binary, struct slice value,
                         struct errinfo *info)
{
    bool is_plain = !is_binary && column->type.element_oid == 0 && column->type.oid != PG_BYTEA;
    if (is_plain) { /* the reader has looked at its bytes */
        append_plain(column, value);
    } else {
        enum pg_format format = is_binary ? PG_FORMAT_BINARY : PG_FORMAT_TEXT;
        enum err err = pg_decode(column->type.oid, format, value, &column->texts, info);
        if (err != ERR_OK) {
            return say_decoding(column, is_binary, value, err, info);
        }
    }
    if (column->texts.len > INT32_MAX) {
        return errinfo_set(info, ERR_LIMIT, "54000", "a row of COPY is too long");
    }
    return ERR_OK;
}

static enum err add_value(struct copy_column *column, int64_t row, bool is_binary,
                          struct slice value, struct errinfo *info)
{
    switch (column->way) {
    case WAY_TEXT:
        return add_text(column, is_binary, value, info);
    case WAY_BOOL:
        return add_bool(column, row, is_binary, value, info);
    case WAY_INTEGER:
        return add_integer(column, is_binary, value, info);
    case WAY_FLOAT:
        return add_float(column, is_binary, value, info);
    case WAY_DATE:
        return add_date(column, value, info);
    case WAY_TIMESTAMP:
        return add_timestamp(column, value, info);
    }
    ASSERT(false);
    return ERR_INTERNAL;
}

/* ---- rows ---- */

/* All before were values: the bits are made with the first NULL. */
static void add_null(struct copy_column *column, int64_t row)
{
    static const int64_t zero = 0;
    struct buf *bits = &column->validity;
    while (bits->len <= (size_t)row / 8 && !buf_failed(bits)) {
        buf_append_char(bits, (char)(unsigned char)0xFF);
    }
    if (!buf_failed(bits)) {
        bits->ptr[row / 8] &= (char)~(1 << row % 8);
    }
    column->null_count++;
    if (column->way == WAY_BOOL && row % 8 == 0) {
        buf_append_char(&column->values, 0);
    } else if (column->way != WAY_TEXT && column->way != WAY_BOOL) {
        put(column, &zero);
    }
}

/* Texts begin at zero, and each says where it ends. */
static void end_cell(struct copy_column *column)
{
    int32_t end = (int32_t)column->texts.len;
    if (column->way == WAY_TEXT) {
        buf_append(&column->values, &end, sizeof(end));
    }
}

static bool has_failed(const struct copy_column *column)
{
    return buf_failed(&column->validity) || buf_failed(&column->values) ||
           buf_failed(&column->texts);
}

static enum err add_cell(struct copy_column *column, int64_t row, bool is_binary,
                         const struct copy_cell *cell, size_t *byte_count, struct errinfo *info)
{
    static const int32_t zero = 0;
    size_t before = column->values.len + column->texts.len;
    if (column->way == WAY_TEXT && row == 0) {
        buf_append(&column->values, &zero, sizeof(zero));
    }
    if (cell->is_null) {
        add_null(column, row);
    } else {
        TRY(add_value(column, row, is_binary, cell->value, info));
    }
    end_cell(column);
    *byte_count += column->values.len + column->texts.len - before;
    return has_failed(column) ? errinfo_nomem(info) : ERR_OK;
}

enum err copy_batch_add(struct copy_batch *batch, uint64_t line, const struct copy_cell *cells,
                        size_t *ret_column, struct errinfo *info)
{
    buf_append(&batch->columns[0].values, &line, sizeof(line));
    if (has_failed(&batch->columns[0])) {
        return errinfo_nomem(info);
    }
    batch->byte_count += sizeof(line);
    for (size_t i = 1; i < batch->column_count; i++) {
        enum err err = add_cell(&batch->columns[i], batch->row_count, batch->is_binary,
                                &cells[i - 1], &batch->byte_count, info);
        if (err != ERR_OK) {
            *ret_column = i - 1;
            return err;
        }
    }
    batch->row_count++;
    return ERR_OK;
}

bool copy_batch_is_full(const struct copy_batch *batch)
{
    return batch->byte_count >= BATCH_BYTES;
}

/* ---- as Arrow ---- */

/* All of a batch or a schema in one piece, behind its parent's `private_data`. */
struct sent_column {
    struct ArrowArray array;
    const void *buffers[3];
    struct buf validity, values, texts;
};

static void release_child(struct ArrowArray *array)
{
    array->release = NULL; /* its memory goes with the parent's */
}

static void release_batch(struct ArrowArray *array)
{
    struct sent_column *columns = array->private_data;
    for (int64_t i = 0; i < array->n_children; i++) {
        buf_fini(&columns[i].validity);
        buf_fini(&columns[i].values);
        buf_fini(&columns[i].texts);
    }
    array->release = NULL;
    mem_free(array->buffers);
    mem_free(array->children);
    mem_free(columns);
}

static void send_column(struct copy_column *column, int64_t row_count, struct sent_column *sent)
{
    size_t validity_len = ((size_t)row_count + 7) / 8;
    while (column->null_count > 0 && column->validity.len < validity_len) {
        buf_append_char(&column->validity, (char)(unsigned char)0xFF);
    }
    sent->validity = column->validity;
    sent->values = column->values;
    sent->texts = column->texts;
    sent->buffers[0] = column->null_count > 0 ? sent->validity.ptr : NULL;
    sent->buffers[1] = sent->values.ptr;
    sent->buffers[2] = sent->texts.ptr != NULL ? sent->texts.ptr : "";
    sent->array = (struct ArrowArray){.length = row_count,
                                      .null_count = column->null_count,
                                      .n_buffers = column->way == WAY_TEXT ? 3 : 2,
                                      .buffers = sent->buffers,
                                      .release = release_child};
    column->null_count = 0;
    buf_init(&column->validity);
    buf_init(&column->values);
    buf_init(&column->texts);
}

enum err copy_batch_take(struct copy_batch *batch, struct ArrowArray *ret_batch,
                         struct errinfo *info)
{
    size_t count = batch->column_count;
    struct sent_column *sent = mem_calloc(count, sizeof(*sent));
    struct ArrowArray **links = mem_calloc(count, sizeof(struct ArrowArray *));
    const void **buffers = mem_calloc(1, sizeof(void *));
    bool is_failed = sent == NULL || links == NULL || buffers == NULL;
    for (size_t i = 0; i < count && !is_failed; i++) {
        send_column(&batch->columns[i], batch->row_count, &sent[i]);
        links[i] = &sent[i].array;
    }
    struct ArrowArray made = {.length = batch->row_count,
                              .n_buffers = 1,
                              .n_children = (int64_t)count,
                              .buffers = buffers,
                              .children = links,
                              .release = release_batch,
                              .private_data = sent};
    for (size_t i = 0; i < count && !is_failed; i++) {
        if (buf_failed(&sent[i].validity)) {
            release_batch(&made);
            return errinfo_nomem(info);
        }
    }
    if (is_failed) {
        mem_free(sent);
        mem_free(links);
        mem_free(buffers);
        return errinfo_nomem(info);
    }
    batch->row_count = 0;
    batch->byte_count = 0;
    *ret_batch = made;
    return ERR_OK;
}

static void release_field(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static void release_schema(struct ArrowSchema *schema)
{
    schema->release = NULL;
    mem_free(schema->children);
    mem_free(schema->private_data);
}

enum err copy_batch_schema(const struct copy_batch *batch, struct ArrowSchema *ret_schema,
                           struct errinfo *info)
{
    size_t count = batch->column_count;
    struct ArrowSchema *fields = mem_calloc(count, sizeof(*fields));
    struct ArrowSchema **links = mem_calloc(count, sizeof(struct ArrowSchema *));
    if (fields == NULL || links == NULL) {
        mem_free(fields);
        mem_free(links);
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        fields[i] = (struct ArrowSchema){.format = batch->columns[i].format,
                                         .name = "", /* by place */
                                         .flags = ARROW_FLAG_NULLABLE,
                                         .release = release_field};
        links[i] = &fields[i];
    }
    *ret_schema = (struct ArrowSchema){.format = "+s",
                                       .name = "",
                                       .n_children = (int64_t)count,
                                       .children = links,
                                       .release = release_schema,
                                       .private_data = fields};
    return ERR_OK;
}
