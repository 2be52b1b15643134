/* Writes Avro containers for tests, benches and corpora: every codec, any schema. Not part of the
 * library, which writes nothing. */
#pragma once

#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include "base/buf.h"

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
