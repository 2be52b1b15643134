/* A document's bytes as text: plain, or gzip with any number of members (RFC 1952). */
#include "iceberg/json_int.h"

#include <zlib.h>

#include "base/buf.h"
#include "base/mem.h"

#define CHUNK_BYTES (256u * 1024)

static void *zlib_alloc(UNUSED void *context, unsigned count, unsigned size)
{
    return mem_calloc(count, size);
}

static void zlib_free(UNUSED void *context, void *address)
{
    mem_free(address);
}

static enum err inflate_all(z_stream *stream, struct buf *out, struct errinfo *info)
{
    for (;;) {
        char *room = buf_reserve(out, CHUNK_BYTES);
        if (room == NULL) {
            return out->len + CHUNK_BYTES > ICEBERG__DOCUMENT_BYTES_MAX
                       ? errinfo_set(info, ERR_LIMIT, NULL,
                                     "a metadata document unpacks to more than %u bytes",
                                     ICEBERG__DOCUMENT_BYTES_MAX)
                       : errinfo_nomem(info);
        }
        stream->next_out = (Bytef *)room;
        stream->avail_out = CHUNK_BYTES;
        int code = inflate(stream, Z_NO_FLUSH);
        size_t got = CHUNK_BYTES - stream->avail_out;
        out->len += got;
        if (code == Z_MEM_ERROR) {
            return errinfo_nomem(info);
        }
        if (code == Z_STREAM_END) {
            if (stream->avail_in == 0) {
                return ERR_OK;
            }
            (void)inflateReset(stream); /* another member follows */
        } else if (code != Z_OK || (got == 0 && stream->avail_in == 0)) {
            return errinfo_set(info, ERR_CORRUPT, NULL, "a gzip document is cut or damaged: %s",
                               stream->msg == NULL ? "it ends too soon" : stream->msg);
        }
    }
}

static enum err gunzip(struct slice bytes, struct buf *out, struct errinfo *info)
{
    z_stream stream = {.zalloc = zlib_alloc, .zfree = zlib_free};
    if (bytes.len > ICEBERG__DOCUMENT_BYTES_MAX) {
        return errinfo_set(info, ERR_LIMIT, NULL, "a metadata document has more than %u bytes",
                           ICEBERG__DOCUMENT_BYTES_MAX);
    }
    if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) {
        return errinfo_nomem(info);
    }
    stream.next_in = (z_const Bytef *)(uintptr_t)bytes.ptr;
    stream.avail_in = (uInt)bytes.len;
    enum err err = inflate_all(&stream, out, info);
    (void)inflateEnd(&stream);
    return err;
}

enum err iceberg__document_text(struct slice bytes, struct arena *arena, struct slice *ret_text,
                                struct errinfo *info)
{
    struct buf unpacked CLEANUP(buf_fini) = {.bytes_max = ICEBERG__DOCUMENT_BYTES_MAX};
    bool is_gzip = bytes.len >= 2 && (uint8_t)bytes.ptr[0] == 0x1F && (uint8_t)bytes.ptr[1] == 0x8B;
    if (is_gzip) {
        TRY(gunzip(bytes, &unpacked, info));
        bytes = buf_slice(&unpacked);
    }
    if (bytes.len > ICEBERG__DOCUMENT_BYTES_MAX) {
        return errinfo_set(info, ERR_LIMIT, NULL, "a metadata document has more than %u bytes",
                           ICEBERG__DOCUMENT_BYTES_MAX);
    }
    return arena_slice(arena, bytes, ret_text) ? ERR_OK : errinfo_nomem(info);
}
