/* Rows as segments of the spooling protocol: JSON, compressed if the client takes that, in base64.
 *
 * All segments are inline. One that lies elsewhere would be a result that outlives its query, for
 * whoever has its address. */
#include <lz4.h>
#include <openssl/evp.h>
#include <zstd.h>

#include "base/mem.h"
#include "wire/trino/trino_int.h"

#define ZSTD_LEVEL 1          /* what is streamed is to be sent, not to be small */
#define BYTES_FEWEST 8192u    /* below that a segment is sent as it is */
#define BYTES_MOST (1u << 30) /* of one, as the libraries count in int */

static size_t compress_zstd(char *to, size_t room, struct slice from)
{
    size_t len = ZSTD_compress(to, room, from.ptr, from.len, ZSTD_LEVEL);
    return ZSTD_isError(len) != 0 ? 0 : len;
}

static size_t compress_lz4(char *to, size_t room, struct slice from)
{
    int len = LZ4_compress_default(from.ptr, to, (int)from.len, (int)room);
    return len < 0 ? 0 : (size_t)len;
}

static size_t bound_lz4(size_t len)
{
    return (size_t)LZ4_compressBound((int)len);
}

struct trino_encoding {
    const char *name;
    size_t (*bound)(size_t len); /* NULL: as it is */
    size_t (*compress)(char *to, size_t room, struct slice from);
};

static const struct trino_encoding encodings[] = {
    {"json+zstd", ZSTD_compressBound, compress_zstd},
    {"json+lz4", bound_lz4, compress_lz4},
    {"json", NULL, NULL},
};

const struct trino_encoding *trino_encoding_of(struct slice wanted)
{
    while (wanted.len > 0) {
        const char *comma = memchr(wanted.ptr, ',', wanted.len);
        size_t len = comma == NULL ? wanted.len : (size_t)(comma - wanted.ptr);
        struct slice name = slice_trim((struct slice){wanted.ptr, len});
        for (size_t i = 0; i < ARRAY_COUNT(encodings); i++) {
            if (slice_equal_fold(name, slice_of(encodings[i].name))) {
                return &encodings[i];
            }
        }
        size_t used = comma == NULL ? len : len + 1;
        wanted = (struct slice){wanted.ptr + used, wanted.len - used};
    }
    return NULL;
}

static void put_base64(struct buf *out, struct slice bytes)
{
    size_t room = (bytes.len + 2) / 3 * 4;
    char *text = mem_alloc(room + 1);
    if (text == NULL) {
        out->failed = true;
        return;
    }
    int len =
        EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)bytes.ptr, (int)bytes.len);
    buf_append(out, text, (size_t)len);
    mem_free(text);
}

void trino_data_print(const struct trino_encoding *encoding, struct slice rows, uint64_t row_offset,
                      uint64_t row_count, struct buf *out)
{
    struct buf plain CLEANUP(buf_fini) = {0};
    char *packed = NULL;
    size_t len = 0;
    buf_append_char(&plain, '[');
    buf_append_slice(&plain, rows);
    buf_append_char(&plain, ']');
    if (buf_failed(&plain) || plain.len > BYTES_MOST) {
        out->failed = true;
        return;
    }
    if (encoding->compress != NULL && plain.len >= BYTES_FEWEST) {
        size_t room = encoding->bound(plain.len);
        packed = mem_alloc(room);
        len = packed == NULL ? 0 : encoding->compress(packed, room, buf_slice(&plain));
        if (len == 0) {
            mem_free(packed);
            out->failed = true;
            return;
        }
    }
    bool is_packed = packed != NULL;
    buf_printf(out,
               "{\"encoding\":\"%s\",\"metadata\":{},\"segments\":[{\"type\":\"inline\","
               "\"metadata\":{\"rowOffset\":%llu,\"rowsCount\":%llu,\"segmentSize\":%zu",
               encoding->name, (unsigned long long)row_offset, (unsigned long long)row_count,
               is_packed ? len : plain.len);
    if (is_packed) {
        buf_printf(out, ",\"uncompressedSize\":%zu", plain.len);
    }
    buf_append_str(out, "},\"data\":\"");
    put_base64(out, is_packed ? (struct slice){packed, len} : buf_slice(&plain));
    buf_append_str(out, "\"}]}");
    mem_free(packed);
}
