/* An Arrow stream of anybody: each message with its prefix, as files hold them. Whatever the bytes,
 * what is given out can be printed, cell by cell, and written again. */
#include "arrow/ipc.h"
#include "arrow/ipc_read.h"
#include "arrow/value.h"
#include "base/fuzz.h"

#define ROWS_MAX 1000

static void use(const struct ArrowSchema *schema, const struct ArrowArray *batch)
{
    struct buf text CLEANUP(buf_fini) = {.bytes_max = 1 << 24};
    struct errinfo info;
    for (int64_t c = 0; c < schema->n_children; c++) {
        for (int64_t row = 0; row < batch->length && row < ROWS_MAX; row++) {
            buf_reset(&text);
            enum err ignored =
                arrow_print(schema->children[c], batch->children[c], row, &text, &info);
            (void)ignored;
        }
    }
    if (batch->length < ROWS_MAX) {
        buf_reset(&text);
        enum err ignored = ipc_write_batch(schema, batch, &text, &info);
        (void)ignored;
    }
}

/* The next message of `rest`: prefix, metadata, body by the length that the metadata must say. */
static bool next_message(struct slice *rest, struct slice *ret_metadata, struct slice *ret_body)
{
    uint32_t lengths[2];
    if (rest->len < 12) {
        return false;
    }
    memcpy(lengths, rest->ptr, sizeof(lengths)); /* of metadata, of the body */
    struct slice left = {rest->ptr + 8, rest->len - 8};
    size_t metadata = lengths[0] < left.len ? lengths[0] : left.len;
    *ret_metadata = (struct slice){left.ptr, metadata};
    size_t body = lengths[1] < left.len - metadata ? lengths[1] : left.len - metadata;
    *ret_body = (struct slice){left.ptr + metadata, body};
    *rest = (struct slice){left.ptr + metadata + body, left.len - metadata - body};
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ipc_reader *reader CLEANUP(ipc_reader_cleanup) = NULL;
    struct slice rest = {(const char *)data, size}, metadata, body;
    struct errinfo info;
    if (ipc_reader_new(&reader, &info) != ERR_OK) {
        return 0;
    }
    while (next_message(&rest, &metadata, &body)) {
        struct ArrowArray batch;
        if (ipc_reader_feed(reader, metadata, body, &batch, &info) != ERR_OK) {
            break;
        }
        if (batch.release != NULL) {
            use(ipc_reader_schema(reader), &batch);
            batch.release(&batch);
        }
    }
    return 0;
}
