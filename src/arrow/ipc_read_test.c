#include "arrow/ipc_read.h"

#include "arrow/ipc.h"
#include "arrow/sample.h"
#include "arrow/value.h"
#include "base/mem.h"
#include "base/sweep.h"
#include "base/test.h"

/* Messages as this module writes them, taken apart. */
struct stream {
    struct buf heads[8];
    struct buf bodies[8];
    size_t count;
};

static enum err keep(void *context, struct slice metadata, const struct slice *body,
                     size_t body_count, uint64_t body_len, struct errinfo *info)
{
    struct stream *stream = context;
    struct buf *head = &stream->heads[stream->count];
    struct buf *whole = &stream->bodies[stream->count++];
    ASSERT(stream->count <= 8);
    buf_append(head, metadata.ptr + IPC_PREFIX_BYTES, metadata.len - IPC_PREFIX_BYTES);
    for (size_t i = 0; i < body_count; i++) {
        buf_append_slice(whole, body[i]);
    }
    ASSERT(whole->len == body_len);
    return buf_failed(head) || buf_failed(whole) ? errinfo_nomem(info) : ERR_OK;
}

static void write_sample(struct sample *sample, struct stream *stream)
{
    struct buf schema CLEANUP(buf_fini) = {0};
    sample_init(sample);
    CHECK_OK(ipc_write_schema(sample->schema, &schema, NULL));
    struct slice text = buf_slice(&schema);
    CHECK_OK(keep(stream, text, NULL, 0, 0, NULL));
    CHECK_OK(ipc_batch_messages(sample->schema, sample->batch, NULL, keep, stream, NULL));
}

static void stream_fini(struct stream *stream)
{
    for (size_t i = 0; i < stream->count; i++) {
        buf_fini(&stream->heads[i]);
        buf_fini(&stream->bodies[i]);
    }
}

/* All of it; the last batch is the caller's. */
static enum err read_stream(const struct stream *stream, struct ipc_reader *reader,
                            struct ArrowArray *ret_batch, struct errinfo *info)
{
    ret_batch->release = NULL;
    for (size_t i = 0; i < stream->count; i++) {
        TRY(ipc_reader_feed(reader, buf_slice(&stream->heads[i]), buf_slice(&stream->bodies[i]),
                            ret_batch, info));
    }
    return ERR_OK;
}

static void check_same(const struct ArrowSchema *schema, const struct ArrowArray *batch,
                       const struct sample *sample)
{
    CHECK(schema->n_children == sample->schema->n_children);
    for (int64_t c = 0; c < schema->n_children; c++) {
        CHECK(strcmp(schema->children[c]->name, sample->schema->children[c]->name) == 0);
        CHECK(strcmp(schema->children[c]->format, sample->schema->children[c]->format) == 0);
        for (int64_t row = 0; row < SAMPLE_ROWS; row++) {
            struct buf ours CLEANUP(buf_fini) = {0};
            struct buf theirs CLEANUP(buf_fini) = {0};
            CHECK_OK(arrow_print(schema->children[c], batch->children[c], row, &ours, NULL));
            CHECK_OK(arrow_print(sample->schema->children[c], sample->batch->children[c], row,
                                 &theirs, NULL));
            CHECK(slice_equal(buf_slice(&ours), buf_slice(&theirs)));
        }
    }
}

TEST(ipc_read, what_is_written_is_read)
{
    // Goal: every type comes back, cell by cell, whichever allocation fails on the way.
    struct sample sample;
    struct stream stream CLEANUP(stream_fini) = {.count = 0};
    write_sample(&sample, &stream);
    SWEEP_ALLOC(fault)
    {
        struct ipc_reader *reader CLEANUP(ipc_reader_cleanup) = NULL;
        struct ArrowArray batch;
        struct errinfo info;
        errinfo_init(&info);
        enum err err = ipc_reader_new(&reader, &info);
        err = err != ERR_OK ? err : read_stream(&stream, reader, &batch, &info);
        if (err != ERR_OK) {
            CHECK_ERR(ERR_NOMEM, err);
            continue;
        }
        fault_disarm();
        CHECK(batch.release != NULL && batch.length == SAMPLE_ROWS);
        check_same(ipc_reader_schema(reader), &batch, &sample);
        batch.release(&batch);
    }
}

TEST(ipc_read, changed_bytes_are_refused_or_harmless)
{
    // Goal: no byte of a message is believed. Method: each byte of each message becomes four
    // others; what is still read must be printable. Sanitizers see what goes astray.
    struct sample sample;
    struct stream stream CLEANUP(stream_fini) = {.count = 0};
    static const unsigned char values[] = {0x00, 0x7F, 0x80, 0xFF};
    size_t refused = 0, read = 0;
    write_sample(&sample, &stream);
    for (size_t i = 0; i < 2 * stream.count; i++) {
        struct buf *buf = i % 2 == 0 ? &stream.heads[i / 2] : &stream.bodies[i / 2];
        for (size_t at = 0; at < buf->len; at += i / 2 == 0 ? 3 : 1) {
            char before = buf->ptr[at];
            buf->ptr[at] = (char)values[at % ARRAY_COUNT(values)];
            struct ipc_reader *reader CLEANUP(ipc_reader_cleanup) = NULL;
            struct ArrowArray batch;
            CHECK_OK(ipc_reader_new(&reader, NULL));
            if (read_stream(&stream, reader, &batch, NULL) != ERR_OK) {
                refused++;
            } else if (batch.release != NULL) {
                const struct ArrowSchema *schema = ipc_reader_schema(reader);
                for (int64_t c = 0; c < schema->n_children; c++) {
                    for (int64_t row = 0; row < batch.length && row < 8; row++) {
                        struct buf text CLEANUP(buf_fini) = {0};
                        enum err ignored =
                            arrow_print(schema->children[c], batch.children[c], row, &text, NULL);
                        (void)ignored;
                    }
                }
                read++;
                batch.release(&batch);
            }
            buf->ptr[at] = before;
        }
    }
    CHECK(refused > 100 && read > 100);
}

TEST(ipc_read, dictionaries_take_the_place_of_others)
{
    // Goal: a batch keeps the dictionary that it came with, whatever comes later. Method: the
    // messages again on the same reader, with all allocations failing in turn; the first batch is
    // looked at last.
    struct sample sample;
    struct stream stream CLEANUP(stream_fini) = {.count = 0};
    write_sample(&sample, &stream);
    CHECK(stream.count > 2);
    SWEEP_ALLOC(fault)
    {
        struct ipc_reader *reader CLEANUP(ipc_reader_cleanup) = NULL;
        struct ArrowArray first = {.release = NULL}, second = {.release = NULL};
        struct errinfo info;
        errinfo_init(&info);
        enum err err = ipc_reader_new(&reader, &info);
        err = err != ERR_OK ? err : read_stream(&stream, reader, &first, &info);
        for (size_t i = 1; err == ERR_OK && i < stream.count; i++) {
            err = ipc_reader_feed(reader, buf_slice(&stream.heads[i]), buf_slice(&stream.bodies[i]),
                                  &second, &info);
        }
        fault_disarm();
        if (second.release != NULL) {
            second.release(&second);
        }
        if (first.release != NULL) {
            check_same(ipc_reader_schema(reader), &first, &sample);
            first.release(&first);
        }
        CHECK(err == ERR_OK || fault.fired);
    }
}
