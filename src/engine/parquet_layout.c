/* Footers: FileMetaData of parquet.thrift in the compact protocol. Field numbers are those of the
 * format's specification; all others are passed over by their type. */
#include "engine/parquet_layout.h"

#include "base/checked.h"

#define DEPTH_MAX 32
#define CHUNK_BYTES_MIN 7u /* of a column chunk that says where it is */
#define TAIL_BYTES 8u
#define MAGIC "PAR1"

enum thrift_type {
    THRIFT_STOP = 0,
    THRIFT_TRUE = 1,
    THRIFT_FALSE = 2,
    THRIFT_I8 = 3,
    THRIFT_I16 = 4,
    THRIFT_I32 = 5,
    THRIFT_I64 = 6,
    THRIFT_DOUBLE = 7,
    THRIFT_BINARY = 8,
    THRIFT_LIST = 9,
    THRIFT_SET = 10,
    THRIFT_MAP = 11,
    THRIFT_STRUCT = 12
};

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool is_bad;
};

struct field {
    int32_t id;
    unsigned type;
};

static size_t left(const struct reader *in)
{
    return (size_t)(in->end - in->at);
}

static void take(struct reader *in, uint64_t len)
{
    if (len > left(in)) {
        in->is_bad = true;
        in->at = in->end;
    } else {
        in->at += len;
    }
}

static unsigned take_byte(struct reader *in)
{
    unsigned byte = left(in) > 0 ? *in->at : 0;
    take(in, 1);
    return byte;
}

static uint64_t take_varint(struct reader *in)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        unsigned byte = take_byte(in);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            return value;
        }
    }
    in->is_bad = true;
    return 0;
}

static int64_t take_int(struct reader *in)
{
    uint64_t value = take_varint(in);
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

/* The next field of a struct; false at its end. `field` is the one before, at first {0}. */
static bool take_field(struct reader *in, struct field *field)
{
    unsigned head = take_byte(in);
    field->type = head & 0x0f;
    if (in->is_bad || field->type == THRIFT_STOP) {
        return false;
    }
    if (head >> 4 != 0) {
        field->id = (int32_t)((uint32_t)field->id + (head >> 4));
    } else {
        field->id = (int32_t)take_int(in);
    }
    return !in->is_bad;
}

/* How many elements follow; each takes a byte at least. */
static size_t take_list(struct reader *in, unsigned *ret_type)
{
    unsigned head = take_byte(in);
    uint64_t count = head >> 4;
    *ret_type = head & 0x0f;
    if (count == 15) {
        count = take_varint(in);
    }
    if (count > left(in)) {
        in->is_bad = true;
        return 0;
    }
    return (size_t)count;
}

static void skip(struct reader *in, unsigned type, bool is_element, unsigned depth);

static void skip_elements(struct reader *in, size_t count, unsigned type, unsigned depth)
{
    for (size_t i = 0; i < count && !in->is_bad; i++) {
        skip(in, type, true, depth);
    }
}

static void skip_map(struct reader *in, unsigned depth)
{
    uint64_t count = take_varint(in);
    unsigned types = count == 0 ? 0 : take_byte(in);
    if (count > left(in)) {
        in->is_bad = true;
    }
    for (uint64_t i = 0; i < count && !in->is_bad; i++) {
        skip(in, types >> 4, true, depth);
        skip(in, types & 0x0f, true, depth);
    }
}

static void skip(struct reader *in, unsigned type, bool is_element, unsigned depth)
{
    struct field field = {0};
    unsigned element;
    size_t count;
    if (depth == 0) {
        in->is_bad = true;
        return;
    }
    switch (type) {
    case THRIFT_TRUE:
    case THRIFT_FALSE:
        take(in, is_element ? 1 : 0);
        break;
    case THRIFT_I8:
        take(in, 1);
        break;
    case THRIFT_I16:
    case THRIFT_I32:
    case THRIFT_I64:
        (void)take_varint(in);
        break;
    case THRIFT_DOUBLE:
        take(in, 8);
        break;
    case THRIFT_BINARY:
        take(in, take_varint(in));
        break;
    case THRIFT_LIST:
    case THRIFT_SET:
        count = take_list(in, &element);
        skip_elements(in, count, element, depth - 1);
        break;
    case THRIFT_MAP:
        skip_map(in, depth - 1);
        break;
    case THRIFT_STRUCT:
        while (take_field(in, &field)) {
            skip(in, field.type, false, depth - 1);
        }
        break;
    default: /* a number from the file */
        in->is_bad = true;
        break;
    }
}

/* ---- what places chunks ---- */

/* ColumnMetaData: 7 total_compressed_size, 9 data_page_offset, 11 dictionary_page_offset. */
static void take_meta(struct reader *in, struct parquet_chunk *ret_chunk)
{
    struct field field = {0};
    int64_t len = -1, data = -1, dictionary = -1;
    while (take_field(in, &field)) {
        int64_t *wanted = field.type != THRIFT_I64 ? NULL
                          : field.id == 7          ? &len
                          : field.id == 9          ? &data
                          : field.id == 11         ? &dictionary
                                                   : NULL;
        if (wanted != NULL) {
            *wanted = take_int(in);
        } else {
            skip(in, field.type, false, DEPTH_MAX);
        }
    }
    /* Some writers say 0 where there is no dictionary. */
    int64_t offset = dictionary > 0 && dictionary < data ? dictionary : data;
    in->is_bad = in->is_bad || offset < 0 || len < 0;
    *ret_chunk = (struct parquet_chunk){(uint64_t)offset, (uint64_t)len};
}

/* ColumnChunk: 1 file_path (another file: not ours), 3 meta_data. */
static void take_chunk(struct reader *in, struct parquet_chunk *ret_chunk)
{
    struct field field = {0};
    bool is_placed = false;
    while (take_field(in, &field)) {
        if (field.id == 3 && field.type == THRIFT_STRUCT) {
            take_meta(in, ret_chunk);
            is_placed = true;
        } else {
            in->is_bad = in->is_bad || field.id == 1;
            skip(in, field.type, false, DEPTH_MAX);
        }
    }
    in->is_bad = in->is_bad || !is_placed;
}

struct filling {
    struct parquet_chunk *chunks;
    size_t room;
    size_t count;
    size_t column_count;
};

/* RowGroup: 1 columns. */
static void take_group(struct reader *in, struct filling *fill)
{
    struct field field = {0};
    size_t before = fill->count;
    while (take_field(in, &field)) {
        unsigned type;
        if (field.id != 1 || field.type != THRIFT_LIST) {
            skip(in, field.type, false, DEPTH_MAX);
            continue;
        }
        size_t columns = take_list(in, &type);
        in->is_bad = in->is_bad || type != THRIFT_STRUCT || columns > fill->room - fill->count;
        for (size_t i = 0; i < columns && !in->is_bad; i++) {
            take_chunk(in, &fill->chunks[fill->count++]);
        }
    }
    size_t columns = fill->count - before;
    fill->column_count = before == 0 ? columns : fill->column_count;
    in->is_bad = in->is_bad || columns == 0 || columns != fill->column_count;
}

/* All of a group before all of the next, and inside of the file. */
static bool is_in_order(const struct filling *fill, uint64_t size_bytes)
{
    uint64_t group_end = 0;
    for (size_t first = 0; first < fill->count; first += fill->column_count) {
        uint64_t before = group_end;
        for (size_t i = first; i < first + fill->column_count; i++) {
            const struct parquet_chunk *chunk = &fill->chunks[i];
            uint64_t end;
            if (!checked_add(chunk->offset, chunk->len, &end) || end > size_bytes ||
                chunk->offset < before) {
                return false;
            }
            group_end = end > group_end ? end : group_end;
        }
    }
    return true;
}

uint64_t parquet_footer_len(struct slice tail)
{
    if (tail.len < TAIL_BYTES || memcmp(tail.ptr + tail.len - 4, MAGIC, 4) != 0) {
        return 0;
    }
    const uint8_t *at = (const uint8_t *)tail.ptr + tail.len - TAIL_BYTES;
    return (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24;
}

enum err parquet_layout_read(struct slice footer, uint64_t size_bytes, struct arena *arena,
                             struct parquet_layout *ret_layout)
{
    const uint8_t *begin = (const uint8_t *)footer.ptr;
    struct reader in = {begin, begin + footer.len, false};
    struct filling fill = {.room = footer.len / CHUNK_BYTES_MIN + 1};
    struct field field = {0};
    size_t groups = 0;
    fill.chunks = arena_calloc(arena, fill.room, sizeof(*fill.chunks));
    if (fill.chunks == NULL) {
        return ERR_NOMEM;
    }
    while (take_field(&in, &field)) { /* FileMetaData: 4 row_groups */
        unsigned type;
        if (field.id != 4 || field.type != THRIFT_LIST) {
            skip(&in, field.type, false, DEPTH_MAX);
            continue;
        }
        size_t count = take_list(&in, &type);
        in.is_bad = in.is_bad || (count > 0 && type != THRIFT_STRUCT) || groups > 0;
        for (size_t i = 0; i < count && !in.is_bad; i++) {
            take_group(&in, &fill);
        }
        groups = count;
    }
    if (in.is_bad || !is_in_order(&fill, size_bytes)) {
        return ERR_CORRUPT;
    }
    *ret_layout = (struct parquet_layout){fill.chunks, groups, fill.column_count};
    return ERR_OK;
}
