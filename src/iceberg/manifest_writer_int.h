/* Writes Avro containers, manifests and manifest lists for tests, benches and corpora: every codec,
 * both forms of maps, any schema. Not part of the library, which writes nothing. */
#pragma once

#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include "base/buf.h"
#include "iceberg/manifest.h"

#define WRITER_SYNC "0123456789abcdef"
#define WRITER_NULL INT64_MIN /* of a member of a made_entry: write null */

static inline void put_long(struct buf *out, int64_t value)
{
    uint64_t bits = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
    for (; bits > 0x7f; bits >>= 7) {
        buf_append_char(out, (char)(bits | 0x80));
    }
    buf_append_char(out, (char)bits);
}

static inline void put_bytes(struct buf *out, struct slice bytes)
{
    put_long(out, (int64_t)bytes.len);
    buf_append_slice(out, bytes);
}

static inline void put_text(struct buf *out, const char *text)
{
    put_bytes(out, slice_of(text));
}

/* A value of a union of null and something, null first. */
static inline void put_optional_long(struct buf *out, int64_t value)
{
    put_long(out, value == WRITER_NULL ? 0 : 1);
    if (value != WRITER_NULL) {
        put_long(out, value);
    }
}

static inline void put_optional_text(struct buf *out, const char *text)
{
    put_long(out, text == NULL ? 0 : 1);
    if (text != NULL) {
        put_text(out, text);
    }
}

/* `metadata`: pairs of key and value, then NULL. */
static inline void put_header(struct buf *out, const char *schema, const char *codec,
                              const char *const *metadata)
{
    size_t count = 0;
    while (metadata != NULL && metadata[count] != NULL) {
        count++;
    }
    buf_append(out, "Obj\x01", 4);
    put_long(out, (int64_t)(2 + count / 2));
    put_text(out, "avro.schema");
    put_text(out, schema);
    put_text(out, "avro.codec");
    put_text(out, codec);
    for (size_t i = 0; i < count; i++) {
        put_text(out, metadata[i]);
    }
    put_long(out, 0);
    buf_append_str(out, WRITER_SYNC);
}

static inline void pack_deflate(struct slice block, struct buf *out)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)block.ptr, .avail_in = (uInt)block.len};
    ASSERT(deflateInit2(&stream, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    size_t room = deflateBound(&stream, block.len);
    stream.next_out = (Bytef *)buf_reserve(out, room);
    stream.avail_out = (uInt)room;
    ASSERT(stream.next_out != NULL && deflate(&stream, Z_FINISH) == Z_STREAM_END);
    out->len += room - stream.avail_out;
    (void)deflateEnd(&stream);
}

static inline void pack_snappy(struct slice block, struct buf *out)
{
    size_t room = snappy_max_compressed_length(block.len);
    char *at = buf_reserve(out, room);
    ASSERT(at != NULL && snappy_compress(block.ptr, block.len, at, &room) == SNAPPY_OK);
    out->len += room;
    uint32_t crc = (uint32_t)crc32_z(0, (const Bytef *)block.ptr, block.len);
    for (unsigned shift = 32; shift > 0; shift -= 8) {
        buf_append_char(out, (char)(crc >> (shift - 8)));
    }
}

static inline void put_block(struct buf *out, int64_t records, struct slice block,
                             const char *codec)
{
    struct buf packed CLEANUP(buf_fini) = {0};
    if (strcmp(codec, "deflate") == 0) {
        pack_deflate(block, &packed);
    } else if (strcmp(codec, "snappy") == 0) {
        pack_snappy(block, &packed);
    } else if (strcmp(codec, "zstandard") == 0) {
        size_t room = ZSTD_compressBound(block.len);
        char *at = buf_reserve(&packed, room);
        ASSERT(at != NULL);
        packed.len = ZSTD_compress(at, room, block.ptr, block.len, 3);
        ASSERT(!ZSTD_isError(packed.len));
    } else {
        buf_append_slice(&packed, block);
    }
    put_long(out, records);
    put_bytes(out, buf_slice(&packed));
    buf_append_str(out, WRITER_SYNC);
}

/* ---- manifests ---- */

#define WRITER_OPTIONAL(name, id, type)                                                            \
    "{\"name\":\"" name "\",\"type\":[\"null\"," type "],\"default\":null,\"field-id\":" #id "}"
#define WRITER_REQUIRED(name, id, type)                                                            \
    "{\"name\":\"" name "\",\"type\":" type ",\"field-id\":" #id "}"
#define WRITER_MAP(name, id, key, value, type)                                                     \
    WRITER_OPTIONAL(name, id,                                                                      \
                    "{\"type\":\"array\",\"logicalType\":\"map\",\"items\":{\"type\":\"record\","  \
                    "\"name\":\"k" #key "\",\"fields\":[" WRITER_REQUIRED(                         \
                        "key", key, "\"int\"") "," WRITER_REQUIRED("value", value, type) "]}}")

/* A manifest's schema of v2 and v3; `partition` is the text of the tuple's fields. */
#define WRITER_SCHEMA(partition)                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                         \
    "{\"type\":\"record\",\"name\":\"manifest_entry\",\"fields\":[" WRITER_REQUIRED(                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                     \
        "status", 0, "\"int\"") "," WRITER_OPTIONAL("snapshot_id", 1,                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                    \
                                                    "\"long\"") "," WRITER_OPTIONAL("sequence_"                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          \
                                                                                    "number",                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                            \
                                                                                    3, "\"long\"") "," WRITER_OPTIONAL("file_sequence_number",                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                           \
                                                                                                                       4, "\"long\"") ","                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                \
                                                                                                                                      "{\"name\":\"data_file\",\"field-id\":2,\"type\":{\"type\":\"record\",\"name\":\"r2\","                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                            \
                                                                                                                                      "\"fields\":[" WRITER_REQUIRED("content", 134, "\"int\"") "," WRITER_REQUIRED("file_path", 100, "\"string\"") "," WRITER_REQUIRED("file_format", 101, "\"string\"") ","                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                            \
                                                                                                                                                                                                                                                                                                          "{\"name\":\"partition\",\"field-id\":102,\"type\":{\"type\":\"record\",\"name\":\"r102\","                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                    \
                                                                                                                                                                                                                                                                                                          "\"fields\":[" partition "]}}," WRITER_REQUIRED("record_count", 103, "\"long\"") "," WRITER_REQUIRED("file_size_in_bytes",                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                     \
                                                                                                                                                                                                                                                                                                                                                                                                               104,                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                      \
                                                                                                                                                                                                                                                                                                                                                                                                               "\"long\"") "," WRITER_MAP("column_sizes", 108, 117,                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                      \
                                                                                                                                                                                                                                                                                                                                                                                                                                          118, "\"long\"") "," WRITER_MAP("value_counts", 109,                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                           \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                          119, 120, "\"long\"") "," WRITER_MAP("null_value_counts", 110, 121, 122, "\"long\"") "," WRITER_MAP("nan_value_counts", 137, 138, 139, "\"long\"") "," WRITER_MAP("lower_bounds", 125, 126, 127, "\"bytes\"") "," WRITER_MAP("upper_bounds",                                                                                                                                                                                                                                                                                                   \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                       128,                                                                                                                                                                                                                                                                                                              \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                       129,                                                                                                                                                                                                                                                                                                              \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                       130,                                                                                                                                                                                                                                                                                                              \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                       "\"bytes\"") "," WRITER_OPTIONAL("key_metadata",                                                                                                                                                                                                                                                                  \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        131,                                                                                                                                                                                                                                                                             \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        "\"bytes\"") "," WRITER_OPTIONAL("split_offsets",                                                                                                                                                                                                                                \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                         132,                                                                                                                                                                                                                                            \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                         "{\"type\":\"array\",\"items\":\"long\","                                                                                                                                                                                                       \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                         "\"element-id\":133}") "," WRITER_OPTIONAL("equality_ids",                                                                                                                                                                                      \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                    135,                                                                                                                                                                                                 \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                    "{\"type\":\"array\",\"items\":\"int\","                                                                                                                                                             \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                    "\"element-id\":136}") "," WRITER_OPTIONAL("sort_order_id",                                                                                                                                          \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                               140,                                                                                                                                                      \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                               "\"int\"") "," WRITER_OPTIONAL("first_row_id",                                                                                                            \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                              142,                                                                                                                       \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                              "\"long\"") "," WRITER_OPTIONAL("referenced_data_file",                                                                    \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                              143,                                                                                       \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                              "\"string\"") "," WRITER_OPTIONAL("content_offset",                                        \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                144,                                                     \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                "\"long\"") "," WRITER_OPTIONAL("content_size_in_bytes", \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                145,                     \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                "\"long\"") "]}}]}"

struct made_entry {
    int64_t status;
    int64_t snapshot_id;
    int64_t sequence_number;
    int64_t file_sequence_number;
    int64_t content;
    const char *path;
    const char *format;
    struct slice partition; /* the tuple's bytes */
    int64_t record_count;
    int64_t size_bytes;
    int32_t columns; /* with statistics: ids 1 and up; 0 = the maps are null */
    const char *key_metadata;
    int64_t splits; /* how many; 0 = null */
    int32_t equality_id;
    int64_t sort_order_id;
    int64_t first_row_id;
    const char *referenced;
    int64_t content_offset;
    int64_t content_size_bytes;
};

/* An added Parquet file of ten rows that inherits everything. */
static inline struct made_entry made_entry(const char *path)
{
    return (struct made_entry){.status = ICEBERG_ADDED,
                               .snapshot_id = WRITER_NULL,
                               .sequence_number = WRITER_NULL,
                               .file_sequence_number = WRITER_NULL,
                               .path = path,
                               .format = "PARQUET",
                               .record_count = 10,
                               .size_bytes = 1000,
                               .sort_order_id = WRITER_NULL,
                               .first_row_id = WRITER_NULL,
                               .content_offset = WRITER_NULL,
                               .content_size_bytes = WRITER_NULL};
}

/* Columns 1 to `columns`: numbers are `base` + column, bounds eight bytes of it. */
static inline void put_maps(struct buf *out, int32_t columns)
{
    for (int64_t map = 0; map < 6; map++) {
        put_long(out, columns > 0);
        if (columns == 0) {
            continue;
        }
        put_long(out, columns);
        for (int64_t id = 1; id <= columns; id++) {
            int64_t value = 100 * map + id;
            put_long(out, id);
            if (map < 4) {
                put_long(out, value);
            } else {
                put_bytes(out, (struct slice){(const char *)&value, sizeof(value)});
            }
        }
        put_long(out, 0);
    }
}

static inline void put_entry(struct buf *out, const struct made_entry *entry)
{
    put_long(out, entry->status);
    put_optional_long(out, entry->snapshot_id);
    put_optional_long(out, entry->sequence_number);
    put_optional_long(out, entry->file_sequence_number);
    put_long(out, entry->content);
    put_text(out, entry->path);
    put_text(out, entry->format);
    buf_append_slice(out, entry->partition);
    put_long(out, entry->record_count);
    put_long(out, entry->size_bytes);
    put_maps(out, entry->columns);
    put_optional_text(out, entry->key_metadata);
    put_long(out, entry->splits > 0);
    for (int64_t i = -1; entry->splits > 0 && i <= entry->splits; i++) {
        put_long(out, i < 0 ? entry->splits : i == entry->splits ? 0 : 4 + 1000 * i);
    }
    put_long(out, entry->equality_id > 0);
    if (entry->equality_id > 0) {
        put_long(out, 1);
        put_long(out, entry->equality_id);
        put_long(out, 0);
    }
    put_optional_long(out, entry->sort_order_id);
    put_optional_long(out, entry->first_row_id);
    put_optional_text(out, entry->referenced);
    put_optional_long(out, entry->content_offset);
    put_optional_long(out, entry->content_size_bytes);
}
