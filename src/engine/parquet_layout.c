/* Footers: FileMetaData of parquet.thrift. Field numbers are those of the format's specification;
 * all others are passed over by their type. */
#include "engine/parquet_layout.h"

#include "base/checked.h"
#include "engine/thrift_int.h"

#define CHUNK_BYTES_MIN 7u /* of a column chunk that says where it is */
#define TAIL_BYTES 8u
#define MAGIC "PAR1"

/* ---- what places chunks ---- */

/* ColumnMetaData: 7 total_compressed_size, 9 data_page_offset, 11 dictionary_page_offset. */
static void take_meta(struct thrift_reader *in, struct parquet_chunk *ret_chunk)
{
    struct thrift_field field = {0};
    int64_t len = -1, data = -1, dictionary = -1;
    while (thrift__field(in, &field)) {
        int64_t *wanted = field.type != THRIFT_I64 ? NULL
                          : field.id == 7          ? &len
                          : field.id == 9          ? &data
                          : field.id == 11         ? &dictionary
                                                   : NULL;
        if (wanted != NULL) {
            *wanted = thrift__int(in);
        } else {
            thrift__skip(in, field.type, THRIFT_DEPTH_MAX);
        }
    }
    /* Some writers say 0 where there is no dictionary. */
    int64_t offset = dictionary > 0 && dictionary < data ? dictionary : data;
    in->is_bad = in->is_bad || offset < 0 || len < 0;
    *ret_chunk = (struct parquet_chunk){(uint64_t)offset, (uint64_t)len};
}

/* ColumnChunk: 1 file_path (another file: not ours), 3 meta_data. */
static void take_chunk(struct thrift_reader *in, struct parquet_chunk *ret_chunk)
{
    struct thrift_field field = {0};
    bool is_placed = false;
    while (thrift__field(in, &field)) {
        if (field.id == 3 && field.type == THRIFT_STRUCT) {
            take_meta(in, ret_chunk);
            is_placed = true;
        } else {
            in->is_bad = in->is_bad || field.id == 1;
            thrift__skip(in, field.type, THRIFT_DEPTH_MAX);
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
static void take_group(struct thrift_reader *in, struct filling *fill)
{
    struct thrift_field field = {0};
    size_t before = fill->count;
    while (thrift__field(in, &field)) {
        unsigned type;
        if (field.id != 1 || field.type != THRIFT_LIST) {
            thrift__skip(in, field.type, THRIFT_DEPTH_MAX);
            continue;
        }
        size_t columns = thrift__list(in, &type);
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
    struct thrift_reader in = {begin, begin + footer.len, false};
    struct filling fill = {.room = footer.len / CHUNK_BYTES_MIN + 1};
    struct thrift_field field = {0};
    size_t groups = 0;
    fill.chunks = arena_calloc(arena, fill.room, sizeof(*fill.chunks));
    if (fill.chunks == NULL) {
        return ERR_NOMEM;
    }
    while (thrift__field(&in, &field)) { /* FileMetaData: 4 row_groups */
        unsigned type;
        if (field.id != 4 || field.type != THRIFT_LIST) {
            thrift__skip(&in, field.type, THRIFT_DEPTH_MAX);
            continue;
        }
        size_t count = thrift__list(&in, &type);
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
