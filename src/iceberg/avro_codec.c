/* Block codecs of Avro files. */
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include "iceberg/avro_int.h"

#define CHUNK_BYTES (256u * 1024)

/* Python's writers cut a zlib stream to [2:-1], which leaves three bytes of its checksum. */
#define DEFLATE_TAIL_BYTES_MAX 4

enum err avro__codec_find(struct slice name, enum avro_codec *ret_codec, struct errinfo *info)
{
    static const struct {
        const char *name;
        enum avro_codec codec;
    } codecs[] = {{"", AVRO_CODEC_NULL},
                  {"null", AVRO_CODEC_NULL},
                  {"deflate", AVRO_CODEC_DEFLATE},
                  {"snappy", AVRO_CODEC_SNAPPY},
                  {"zstandard", AVRO_CODEC_ZSTANDARD}};
    for (size_t i = 0; i < ARRAY_COUNT(codecs); i++) {
        if (slice_equal(name, slice_of(codecs[i].name))) {
            *ret_codec = codecs[i].codec;
            return ERR_OK;
        }
    }
    (void)errinfo_set(info, ERR_UNSUPPORTED, NULL, "Avro codec \"%.*s\" is not supported",
                      SLICE_ARGS(name));
    errinfo_hint(info, "Write the table's metadata with write.avro.compression-codec = 'gzip', "
                       "'snappy', 'zstd' or 'uncompressed'.");
    return ERR_UNSUPPORTED;
}

static enum err broken(const char *codec, struct errinfo *info)
{
    return errinfo_set(info, ERR_CORRUPT, NULL, "a %s block of an Avro file is damaged", codec);
}

static enum err too_large(struct errinfo *info)
{
    return errinfo_set(info, ERR_LIMIT, NULL, "a block of an Avro file is larger than %u MiB",
                       AVRO_BLOCK_BYTES_MAX / (1024 * 1024));
}

/* Room for another chunk behind what is there. */
static enum err need_room(struct buf *out, char **ret_room, struct errinfo *info)
{
    if (out->len >= AVRO_BLOCK_BYTES_MAX) {
        return too_large(info);
    }
    *ret_room = buf_reserve(out, CHUNK_BYTES);
    return *ret_room == NULL ? errinfo_nomem(info) : ERR_OK;
}

static enum err inflate_block(struct slice block, struct buf *out, struct errinfo *info)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)block.ptr, .avail_in = (uInt)block.len};
    if (inflateInit2(&stream, -15) != Z_OK) {
        return errinfo_nomem(info);
    }
    enum err err = ERR_OK;
    int code = Z_OK;
    while (err == ERR_OK && code != Z_STREAM_END) {
        char *room;
        err = need_room(out, &room, info);
        if (err != ERR_OK) {
            break;
        }
        stream.next_out = (Bytef *)room;
        stream.avail_out = CHUNK_BYTES;
        code = inflate(&stream, Z_NO_FLUSH);
        out->len += CHUNK_BYTES - stream.avail_out;
        if (code == Z_MEM_ERROR) {
            err = errinfo_nomem(info);
        } else if (code != Z_STREAM_END && (code != Z_OK || stream.avail_out != 0)) {
            err = broken("deflate", info);
        }
    }
    if (err == ERR_OK && stream.avail_in > DEFLATE_TAIL_BYTES_MAX) {
        err = broken("deflate", info);
    }
    (void)inflateEnd(&stream);
    return err;
}

static enum err unsnap_block(struct slice block, struct buf *out, struct errinfo *info)
{
    size_t len;
    if (block.len < 4) {
        return broken("snappy", info);
    }
    size_t packed = block.len - 4; /* then CRC-32 of the content, big-endian */
    if (snappy_uncompressed_length(block.ptr, packed, &len) != SNAPPY_OK) {
        return broken("snappy", info);
    }
    if (len > AVRO_BLOCK_BYTES_MAX) {
        return too_large(info);
    }
    char *room = buf_reserve(out, len + 1);
    if (room == NULL) {
        return errinfo_nomem(info);
    }
    if (snappy_uncompress(block.ptr, packed, room, &len) != SNAPPY_OK) {
        return broken("snappy", info);
    }
    const uint8_t *tail = (const uint8_t *)block.ptr + packed;
    uint32_t crc = (uint32_t)tail[0] << 24 | (uint32_t)tail[1] << 16 | (uint32_t)tail[2] << 8 |
                   (uint32_t)tail[3];
    if (crc32_z(0, (const Bytef *)room, len) != crc) {
        return broken("snappy", info);
    }
    out->len += len;
    return ERR_OK;
}

static enum err unzstd_block(struct slice block, struct buf *out, struct errinfo *info)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (context == NULL) {
        return errinfo_nomem(info);
    }
    ZSTD_inBuffer in = {block.ptr, block.len, 0};
    enum err err = ERR_OK;
    size_t left = 1;
    while (err == ERR_OK && (in.pos < in.size || left != 0)) {
        char *room;
        err = need_room(out, &room, info);
        if (err != ERR_OK) {
            break;
        }
        ZSTD_outBuffer chunk = {room, CHUNK_BYTES, 0};
        size_t before = in.pos;
        left = ZSTD_decompressStream(context, &chunk, &in);
        out->len += chunk.pos;
        bool is_stuck = in.pos == before && chunk.pos == 0;
        if (ZSTD_isError(left) || is_stuck) {
            err = broken("zstandard", info);
        }
    }
    (void)ZSTD_freeDCtx(context);
    return err;
}

enum err avro__decompress(enum avro_codec codec, struct slice block, struct buf *out,
                          struct errinfo *info)
{
    buf_reset(out);
    switch (codec) {
    case AVRO_CODEC_NULL:
        break;
    case AVRO_CODEC_DEFLATE:
        return inflate_block(block, out, info);
    case AVRO_CODEC_SNAPPY:
        return unsnap_block(block, out, info);
    case AVRO_CODEC_ZSTANDARD:
        return unzstd_block(block, out, info);
    }
    return errinfo_set(info, ERR_INTERNAL, NULL, "no Avro codec to undo");
}
