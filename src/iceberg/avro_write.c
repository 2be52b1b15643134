#include "iceberg/avro_write.h"

#include <zlib.h>
#include <zstd.h>

#include "base/hash.h"

#define BLOCK_BYTES (64u * 1024) /* as other writers cut */

void avro_write_long(struct buf *out, int64_t value)
{
    uint64_t bits = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
    for (; bits > 0x7f; bits >>= 7) {
        buf_append_char(out, (char)(bits | 0x80));
    }
    buf_append_char(out, (char)bits);
}

void avro_write_bytes(struct buf *out, struct slice bytes)
{
    avro_write_long(out, (int64_t)bytes.len);
    buf_append_slice(out, bytes);
}

static void write_little(struct buf *out, uint64_t bits, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        buf_append_char(out, (char)(bits >> (8 * i)));
    }
}

void avro_write_float(struct buf *out, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    write_little(out, bits, 4);
}

void avro_write_double(struct buf *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    write_little(out, bits, 8);
}

/* ---- codecs ---- */

static enum err deflate_block(struct slice block, struct buf *out, struct errinfo *info)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)block.ptr, .avail_in = (uInt)block.len};
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
        return errinfo_nomem(info);
    }
    uLong bound = deflateBound(&stream, (uLong)block.len);
    char *room = buf_reserve(out, bound);
    if (room == NULL) {
        (void)deflateEnd(&stream);
        return errinfo_nomem(info);
    }
    stream.next_out = (Bytef *)room;
    stream.avail_out = (uInt)bound;
    int code = deflate(&stream, Z_FINISH);
    (void)deflateEnd(&stream);
    ASSERT(code == Z_STREAM_END); /* there is room for the worst */
    out->len += stream.total_out;
    return ERR_OK;
}

static enum err zstd_block(struct slice block, struct buf *out, struct errinfo *info)
{
    size_t bound = ZSTD_compressBound(block.len);
    char *room = buf_reserve(out, bound);
    if (room == NULL) {
        return errinfo_nomem(info);
    }
    size_t len = ZSTD_compress(room, bound, block.ptr, block.len, ZSTD_CLEVEL_DEFAULT);
    if (ZSTD_isError(len)) {
        return errinfo_nomem(info);
    }
    out->len += len;
    return ERR_OK;
}

static enum err flush(struct avro_output *output, struct errinfo *info)
{
    struct buf packed CLEANUP(buf_fini) = {0};
    struct slice block = buf_slice(&output->block);
    if (output->record_count == 0) {
        return ERR_OK;
    }
    switch (output->codec) {
    case AVRO_OUTPUT_NULL:
        break;
    case AVRO_OUTPUT_DEFLATE:
        TRY(deflate_block(block, &packed, info));
        block = buf_slice(&packed);
        break;
    case AVRO_OUTPUT_ZSTANDARD:
        TRY(zstd_block(block, &packed, info));
        block = buf_slice(&packed);
        break;
    }
    avro_write_long(output->out, (int64_t)output->record_count);
    avro_write_bytes(output->out, block);
    buf_append(output->out, output->sync, sizeof(output->sync));
    buf_reset(&output->block);
    output->record_count = 0;
    return buf_failed(output->out) ? errinfo_nomem(info) : ERR_OK;
}

/* ---- the file ---- */

static struct slice codec_name(enum avro_output_codec codec)
{
    static const char *const names[] = {[AVRO_OUTPUT_NULL] = "null",
                                        [AVRO_OUTPUT_DEFLATE] = "deflate",
                                        [AVRO_OUTPUT_ZSTANDARD] = "zstandard"};
    return slice_of(names[codec]);
}

static void write_pair(struct buf *out, const char *key, struct slice value)
{
    avro_write_bytes(out, slice_of(key));
    avro_write_bytes(out, value);
}

enum err avro_output_open(struct avro_output *output, struct buf *out, struct slice schema,
                          const struct avro_pair *metadata, size_t metadata_count,
                          enum avro_output_codec codec, struct errinfo *info)
{
    *output = (struct avro_output){.out = out, .codec = codec};
    if (random_bytes(output->sync, sizeof(output->sync)) != ERR_OK) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "there are no random numbers");
    }
    buf_append(out, "Obj\x01", 4);
    avro_write_long(out, (int64_t)(metadata_count + 2));
    write_pair(out, "avro.schema", schema);
    write_pair(out, "avro.codec", codec_name(codec));
    for (size_t i = 0; i < metadata_count; i++) {
        write_pair(out, metadata[i].key, metadata[i].value);
    }
    avro_write_long(out, 0);
    buf_append(out, output->sync, sizeof(output->sync));
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

enum err avro_output_next(struct avro_output *output, struct errinfo *info)
{
    if (buf_failed(&output->block)) {
        return errinfo_nomem(info);
    }
    output->record_count++;
    return output->block.len >= BLOCK_BYTES ? flush(output, info) : ERR_OK;
}

enum err avro_output_end(struct avro_output *output, struct errinfo *info)
{
    return flush(output, info);
}

void avro_output_fini(struct avro_output *output)
{
    buf_fini(&output->block);
}
