/* Goal: no bytes make the reader of Puffin files crash or hand out blobs outside of the file.
 * Method: the last byte of the input says whether the rest is a file, the JSON of a footer, or an
 * LZ4 frame of it; the latter two get a tail that fits. */
#include "base/fuzz.h"
#include "iceberg/deletes.h"

static void wrap(struct slice payload, bool is_compressed, struct buf *out)
{
    buf_append(out, "PFA1PFA1", 8);
    buf_append_slice(out, payload);
    for (unsigned shift = 0; shift < 32; shift += 8) {
        buf_append_char(out, (char)(payload.len >> shift));
    }
    buf_append(out, is_compressed ? "\1\0\0\0PFA1" : "\0\0\0\0PFA1", 8);
    ASSERT(!buf_failed(out));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "fuzz", 256u << 20);
    struct buf wrapped CLEANUP(buf_fini) = {0};
    struct puffin_footer footer;
    uint64_t needed;
    struct errinfo info;
    errinfo_init(&info);
    if (size == 0 || size > 1u << 20) {
        return 0;
    }
    struct slice file = {(const char *)data, size - 1};
    uint8_t options = data[size - 1];
    if ((options & 1) != 0) {
        wrap(file, (options & 2) != 0, &wrapped);
        file = buf_slice(&wrapped);
    }
    if (arena == NULL ||
        puffin_footer_parse(file, file.len, arena, &footer, &needed, &info) != ERR_OK) {
        return 0;
    }
    for (size_t i = 0; i < footer.blob_count; i++) {
        const struct puffin_blob *blob = &footer.blobs[i];
        struct buf content CLEANUP(buf_fini) = {0};
        ASSERT(blob->offset >= 4 && blob->offset <= file.len &&
               blob->length_bytes <= file.len - blob->offset);
        enum err err = puffin_blob_read(
            blob, (struct slice){file.ptr + blob->offset, (size_t)blob->length_bytes}, &content,
            &info);
        ASSERT(err != ERR_OK || blob->codec.len > 0 || content.len == blob->length_bytes);
    }
    return 0;
}
