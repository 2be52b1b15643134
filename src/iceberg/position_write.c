/* Position delete files: Parquet with two columns, written by hand. The path is the same in all
 * rows (one data file), a dictionary of one; the positions are plain numbers, packed with zstd. No
 * rows go through the engine, their order is certain, and the bounds are exact.
 *
 * Parquet's metadata is Thrift's compact protocol, of which this needs structs, lists, strings and
 * integers. */
#include "iceberg/delete_write.h"

#include <zstd.h>

#include "base/mem.h"

#define MAGIC "PAR1"
#define ROWS_PAGE ((size_t)131072)
#define FIELD_PATH 2147483546 /* the specification's ids of the two columns */
#define FIELD_POS 2147483545

/* Parquet's numbers of things. */
enum {
    TYPE_INT64 = 2,
    TYPE_BYTES = 6,
    ENCODING_PLAIN = 0,
    ENCODING_RLE = 3,
    ENCODING_RLE_DICTIONARY = 8,
    CODEC_ZSTD = 6,
    PAGE_DATA = 0,
    PAGE_DICTIONARY = 2,
};

/* Thrift's numbers of types. */
enum {
    THRIFT_I32 = 5,
    THRIFT_I64 = 6,
    THRIFT_BYTES = 8,
    THRIFT_LIST = 9,
    THRIFT_STRUCT = 12,
};

/* ---- Thrift ---- */

struct thrift {
    struct buf *out;
    int last; /* number of the field before, in this struct */
};

static void put_varint(struct buf *out, uint64_t value)
{
    while (value >= 0x80) {
        buf_append_char(out, (char)(value | 0x80));
        value >>= 7;
    }
    buf_append_char(out, (char)value);
}

static void put_zigzag(struct buf *out, int64_t value)
{
    put_varint(out, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

static void put_field(struct thrift *t, int id, int type)
{
    ASSERT(id > t->last && id - t->last < 16);
    buf_append_char(t->out, (char)((id - t->last) << 4 | type));
    t->last = id;
}

static void put_int(struct thrift *t, int id, int type, int64_t value)
{
    put_field(t, id, type);
    put_zigzag(t->out, value);
}

static void put_bytes(struct buf *out, struct slice bytes)
{
    put_varint(out, bytes.len);
    buf_append_slice(out, bytes);
}

static void put_text(struct thrift *t, int id, struct slice bytes)
{
    put_field(t, id, THRIFT_BYTES);
    put_bytes(t->out, bytes);
}

static void put_list(struct thrift *t, int id, int type, unsigned count)
{
    ASSERT(count < 15);
    put_field(t, id, THRIFT_LIST);
    buf_append_char(t->out, (char)(count << 4 | (unsigned)type));
}

static struct thrift begin_struct(struct buf *out)
{
    return (struct thrift){out, 0};
}

static struct thrift put_struct(struct thrift *t, int id)
{
    put_field(t, id, THRIFT_STRUCT);
    return begin_struct(t->out);
}

static void end_struct(struct thrift *t)
{
    buf_append_char(t->out, 0);
}

/* ---- pages ---- */

struct column {
    struct slice name;
    int type, encoding;
    int32_t field_id;
    struct buf lower, upper; /* of the statistics, as Parquet has them */
    uint64_t begin;          /* in the file: of the first page that has rows */
    uint64_t dictionary;     /* 0 = none */
    uint64_t packed_bytes, plain_bytes;
};

static void column_fini(struct column *column)
{
    buf_fini(&column->lower);
    buf_fini(&column->upper);
}

/* One page, packed, with its header. */
static enum err put_page(struct column *column, int kind, size_t count, struct slice plain,
                         struct buf *out, struct errinfo *info)
{
    size_t room = ZSTD_compressBound(plain.len);
    char *packed CLEANUP(mem_free_cleanup) = mem_alloc(room);
    if (packed == NULL) {
        return errinfo_nomem(info);
    }
    size_t len = ZSTD_compress(packed, room, plain.ptr, plain.len, 1);
    if (ZSTD_isError(len)) {
        return errinfo_nomem(info);
    }
    size_t begin = out->len;
    struct thrift page = begin_struct(out);
    put_int(&page, 1, THRIFT_I32, kind);
    put_int(&page, 2, THRIFT_I32, (int64_t)plain.len);
    put_int(&page, 3, THRIFT_I32, (int64_t)len);
    struct thrift header = put_struct(&page, kind == PAGE_DATA ? 5 : 7);
    put_int(&header, 1, THRIFT_I32, (int64_t)count);
    put_int(&header, 2, THRIFT_I32, kind == PAGE_DATA ? column->encoding : ENCODING_PLAIN);
    if (kind == PAGE_DATA) { /* there are no levels, but they have an encoding */
        put_int(&header, 3, THRIFT_I32, ENCODING_RLE);
        put_int(&header, 4, THRIFT_I32, ENCODING_RLE);
    }
    end_struct(&header);
    end_struct(&page);
    column->plain_bytes += out->len - begin + plain.len;
    buf_append(out, packed, len);
    column->packed_bytes += out->len - begin;
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

static void put_u32(struct buf *out, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        buf_append_char(out, (char)(value >> (8 * i) & 0xFF));
    }
}

static void put_u64(struct buf *out, uint64_t value)
{
    put_u32(out, (uint32_t)value);
    put_u32(out, (uint32_t)(value >> 32));
}

/* A dictionary of the path, and one run of its index. */
static enum err put_paths(struct column *column, struct slice path, uint64_t count, struct buf *out,
                          struct errinfo *info)
{
    struct buf plain CLEANUP(buf_fini) = {0};
    put_u32(&plain, (uint32_t)path.len);
    buf_append_slice(&plain, path);
    if (buf_failed(&plain)) {
        return errinfo_nomem(info);
    }
    column->dictionary = out->len;
    TRY(put_page(column, PAGE_DICTIONARY, 1, buf_slice(&plain), out, info));
    buf_reset(&plain);
    buf_append_char(&plain, 1); /* bits of an index */
    put_varint(&plain, count << 1);
    buf_append_char(&plain, 0);
    if (buf_failed(&plain)) {
        return errinfo_nomem(info);
    }
    column->begin = out->len;
    return put_page(column, PAGE_DATA, (size_t)count, buf_slice(&plain), out, info);
}

static enum err put_positions(struct column *column, const struct iceberg_positions *positions,
                              struct buf *out, struct errinfo *info)
{
    struct buf plain CLEANUP(buf_fini) = {0};
    uint64_t *rows CLEANUP(mem_free_cleanup) = mem_alloc(ROWS_PAGE * sizeof(*rows));
    uint64_t last = 0;
    if (rows == NULL) {
        return errinfo_nomem(info);
    }
    column->begin = out->len;
    for (uint64_t at = 0;; at = last + 1) {
        size_t count = iceberg_positions_copy(positions, at, rows, ROWS_PAGE);
        if (count == 0) {
            put_u64(&column->upper, last);
            return ERR_OK;
        }
        if (column->lower.len == 0) {
            put_u64(&column->lower, rows[0]);
        }
        last = rows[count - 1];
        buf_reset(&plain);
        for (size_t i = 0; i < count; i++) {
            put_u64(&plain, rows[i]);
        }
        if (buf_failed(&plain)) {
            return errinfo_nomem(info);
        }
        TRY(put_page(column, PAGE_DATA, count, buf_slice(&plain), out, info));
    }
}

/* ---- the footer ---- */

static void put_schema(struct thrift *file, const struct column *columns, size_t count)
{
    put_list(file, 2, THRIFT_STRUCT, (unsigned)count + 1);
    struct thrift root = begin_struct(file->out);
    put_text(&root, 4, SLICE("table"));
    put_int(&root, 5, THRIFT_I32, (int64_t)count);
    end_struct(&root);
    for (size_t i = 0; i < count; i++) {
        struct thrift element = begin_struct(file->out);
        put_int(&element, 1, THRIFT_I32, columns[i].type);
        put_int(&element, 3, THRIFT_I32, 0); /* required */
        put_text(&element, 4, columns[i].name);
        if (columns[i].type == TYPE_BYTES) {
            put_int(&element, 6, THRIFT_I32, 0); /* UTF8, and the same in newer words */
        }
        put_int(&element, 9, THRIFT_I32, columns[i].field_id);
        if (columns[i].type == TYPE_BYTES) {
            struct thrift logical = put_struct(&element, 10);
            struct thrift string = put_struct(&logical, 1);
            end_struct(&string);
            end_struct(&logical);
        }
        end_struct(&element);
    }
}

static void put_column(struct buf *out, const struct column *column, uint64_t rows)
{
    struct thrift chunk = begin_struct(out);
    put_int(&chunk, 2, THRIFT_I64, 0);
    struct thrift meta = put_struct(&chunk, 3);
    put_int(&meta, 1, THRIFT_I32, column->type);
    put_list(&meta, 2, THRIFT_I32, 2);
    put_zigzag(out, ENCODING_PLAIN);
    put_zigzag(out, column->dictionary > 0 ? ENCODING_RLE_DICTIONARY : ENCODING_RLE);
    put_list(&meta, 3, THRIFT_BYTES, 1);
    put_bytes(out, column->name);
    put_int(&meta, 4, THRIFT_I32, CODEC_ZSTD);
    put_int(&meta, 5, THRIFT_I64, (int64_t)rows);
    put_int(&meta, 6, THRIFT_I64, (int64_t)column->plain_bytes);
    put_int(&meta, 7, THRIFT_I64, (int64_t)column->packed_bytes);
    put_int(&meta, 9, THRIFT_I64, (int64_t)column->begin);
    if (column->dictionary > 0) {
        put_int(&meta, 11, THRIFT_I64, (int64_t)column->dictionary);
    }
    struct thrift statistics = put_struct(&meta, 12);
    put_int(&statistics, 3, THRIFT_I64, 0); /* NULLs */
    put_text(&statistics, 5, buf_slice(&column->upper));
    put_text(&statistics, 6, buf_slice(&column->lower));
    end_struct(&statistics);
    end_struct(&meta);
    end_struct(&chunk);
}

static enum err put_footer(const struct column *columns, size_t count, uint64_t rows,
                           struct buf *out, struct errinfo *info)
{
    size_t begin = out->len;
    uint64_t plain = 0;
    uint64_t packed = 0;
    struct thrift file = begin_struct(out);
    put_int(&file, 1, THRIFT_I32, 1);
    put_schema(&file, columns, count);
    put_int(&file, 3, THRIFT_I64, (int64_t)rows);
    put_list(&file, 4, THRIFT_STRUCT, 1);
    struct thrift group = begin_struct(out);
    put_list(&group, 1, THRIFT_STRUCT, (unsigned)count);
    for (size_t i = 0; i < count; i++) {
        put_column(out, &columns[i], rows);
        plain += columns[i].plain_bytes;
        packed += columns[i].packed_bytes;
    }
    put_int(&group, 2, THRIFT_I64, (int64_t)plain);
    put_int(&group, 3, THRIFT_I64, (int64_t)rows);
    put_int(&group, 6, THRIFT_I64, (int64_t)packed);
    end_struct(&group);
    put_text(&file, 6, SLICE("moat version " MOAT_VERSION));
    end_struct(&file);
    put_u32(out, (uint32_t)(out->len - begin));
    buf_append_str(out, MAGIC);
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

/* ---- the file ---- */

static enum err put_metrics(const struct column *columns, uint64_t rows, struct iceberg_file *file,
                            struct arena *arena, struct errinfo *info)
{
    struct iceberg_metrics *metrics = arena_calloc(arena, 2, sizeof(*metrics));
    if (metrics == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < 2; i++) { /* ascending: the position's id is the smaller one */
        const struct column *column = &columns[1 - i];
        metrics[i] = (struct iceberg_metrics){.field_id = column->field_id,
                                              .size_bytes = (int64_t)column->packed_bytes,
                                              .value_count = (int64_t)rows,
                                              .null_count = 0,
                                              .nan_count = ICEBERG_NO_ID};
        if (!arena_slice(arena, buf_slice(&column->lower), &metrics[i].lower) ||
            !arena_slice(arena, buf_slice(&column->upper), &metrics[i].upper)) {
            return errinfo_nomem(info);
        }
    }
    file->metrics = metrics;
    file->metrics_count = 2;
    return ERR_OK;
}

static enum err put_file(struct column *columns, const struct iceberg_positions *positions,
                         struct iceberg_file *file, struct arena *arena, struct buf *out,
                         struct errinfo *info)
{
    uint64_t rows = iceberg_positions_count(positions);
    struct slice path = file->referenced_data_file;
    buf_append_str(out, MAGIC);
    buf_append_slice(&columns[0].lower, path);
    buf_append_slice(&columns[0].upper, path);
    TRY(put_paths(&columns[0], path, rows, out, info));
    TRY(put_positions(&columns[1], positions, out, info));
    if (buf_failed(&columns[0].lower) || buf_failed(&columns[0].upper) ||
        buf_failed(&columns[1].lower) || buf_failed(&columns[1].upper)) {
        return errinfo_nomem(info);
    }
    TRY(put_footer(columns, 2, rows, out, info));
    TRY(put_metrics(columns, rows, file, arena, info));
    file->record_count = (int64_t)rows;
    file->size_bytes = (int64_t)out->len;
    return ERR_OK;
}

enum err iceberg_position_deletes_write(const struct iceberg_positions *positions,
                                        struct iceberg_file *file, struct arena *arena,
                                        struct buf *out, struct errinfo *info)
{
    struct column columns[] = {{.name = SLICE("file_path"),
                                .type = TYPE_BYTES,
                                .encoding = ENCODING_RLE_DICTIONARY,
                                .field_id = FIELD_PATH},
                               {.name = SLICE("pos"),
                                .type = TYPE_INT64,
                                .encoding = ENCODING_PLAIN,
                                .field_id = FIELD_POS}};
    uint64_t rows = iceberg_positions_count(positions);
    ASSERT(rows > 0 && out->len == 0);
    if (rows > INT32_MAX) {
        return errinfo_set(info, ERR_LIMIT, NULL,
                           "%llu deleted rows of one file are more than a delete file takes",
                           (unsigned long long)rows);
    }
    enum err err = put_file(columns, positions, file, arena, out, info);
    column_fini(&columns[0]);
    column_fini(&columns[1]);
    return err;
}
