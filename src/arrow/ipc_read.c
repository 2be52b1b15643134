/* Messages, one after the other: which they are, and whose memory they get. */
#include "arrow/ipc_read.h"

#include "arrow/ipc_int.h"
#include "arrow/ipc_read_int.h"
#include "base/mem.h"

enum err ipc__wrong(struct errinfo *info, const char *what)
{
    return errinfo_set(info, ERR_INVALID, "22023", "not an Arrow stream: %s", what);
}

enum err ipc_reader_new(struct ipc_reader **ret_reader, struct errinfo *info)
{
    struct ipc_reader *reader = mem_calloc(1, sizeof(*reader));
    if (reader == NULL) {
        return errinfo_nomem(info);
    }
    reader->arena = arena_new(NULL, "arrow schema", 0);
    if (reader->arena == NULL) {
        mem_free(reader);
        return errinfo_nomem(info);
    }
    *ret_reader = reader;
    return ERR_OK;
}

void ipc_reader_free(struct ipc_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    for (struct ipc_dictionary *d = reader->dictionaries; d != NULL; d = d->next) {
        ipc__arrays_unref(d->values);
    }
    arena_free(reader->arena);
    mem_free(reader);
}

const struct ArrowSchema *ipc_reader_schema(const struct ipc_reader *reader)
{
    return reader->schema;
}

static void release_batch(struct ArrowArray *batch)
{
    batch->release = NULL;
    ipc__arrays_unref(batch->private_data);
}

static enum err read_dictionary(struct ipc_reader *reader, const struct flat_view *header,
                                struct slice body, struct errinfo *info)
{
    uint64_t id, is_delta;
    struct flat_view batch;
    if (!flat_view_number(header, 0, 8, 0, &id) || !flat_view_table(header, 1, &batch) ||
        batch.at == 0 || !flat_view_number(header, 2, 1, 0, &is_delta)) {
        return ipc__wrong(info, "a dictionary is not as it must be");
    }
    if (is_delta != 0) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL, "dictionaries in parts are not taken");
    }
    for (struct ipc_dictionary *d = reader->dictionaries; d != NULL; d = d->next) {
        if (d->id != (int64_t)id) {
            continue;
        }
        struct ipc_arrays *values;
        TRY(ipc__read_batch(reader, &batch, body, d, &values, info));
        ipc__arrays_unref(d->values);
        d->values = values;
    }
    return ERR_OK;
}

static enum err read_batch(struct ipc_reader *reader, const struct flat_view *header,
                           struct slice body, struct ArrowArray *ret_batch, struct errinfo *info)
{
    struct ipc_arrays *arrays;
    TRY(ipc__read_batch(reader, header, body, NULL, &arrays, info));
    *ret_batch = *arrays->array;
    ret_batch->private_data = arrays;
    ret_batch->release = release_batch;
    return ERR_OK;
}

enum err ipc_body_bytes(struct slice metadata, uint64_t *ret_bytes, struct errinfo *info)
{
    struct flat_view message;
    if (!flat_view_root(metadata, &message) || !flat_view_number(&message, 3, 8, 0, ret_bytes) ||
        *ret_bytes > INT64_MAX) {
        return ipc__wrong(info, "a message is not as it must be");
    }
    return ERR_OK;
}

enum err ipc_reader_feed(struct ipc_reader *reader, struct slice metadata, struct slice body,
                         struct ArrowArray *ret_batch, struct errinfo *info)
{
    struct flat_view message, header;
    uint64_t kind, version;
    ret_batch->release = NULL;
    if (!flat_view_root(metadata, &message) || !flat_view_number(&message, 0, 2, 0, &version) ||
        !flat_view_number(&message, 1, 1, 0, &kind) || !flat_view_table(&message, 2, &header) ||
        header.at == 0) {
        return ipc__wrong(info, "a message is not as it must be");
    }
    if (version < 3 || version > 4) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                           "only versions 4 and 5 of Arrow's messages are taken");
    }
    if ((kind == HEADER_SCHEMA) != (reader->schema == NULL)) {
        return ipc__wrong(info, "it begins with a schema, and has one");
    }
    switch (kind) {
    case HEADER_SCHEMA:
        return ipc__read_schema(reader, &header, info);
    case HEADER_DICTIONARY:
        return read_dictionary(reader, &header, body, info);
    case HEADER_BATCH:
        return read_batch(reader, &header, body, ret_batch, info);
    default:
        return ipc__wrong(info, "a message is none of schema, dictionary and batch");
    }
}
