/* DoPut: statements that change, and values for prepared ones. */
#include "wire/flight/put.h"

#include "arrow/ipc_read.h"

/* FlightData of a client, views of its message. */
struct flight_data {
    struct slice descriptor, header, body;
};

static enum err read_data(struct flight_call *call, struct buf *message, struct flight_data *ret,
                          bool *ret_is_end)
{
    *ret = (struct flight_data){{"", 0}, {"", 0}, {"", 0}};
    TRY(grpc_read(call->grpc, message, ret_is_end, &call->info));
    struct proto_want wants[] = {{1, &ret->descriptor, NULL, NULL},
                                 {2, &ret->header, NULL, NULL},
                                 {1000, &ret->body, NULL, NULL}};
    return *ret_is_end || proto_read(buf_slice(message), wants, ARRAY_COUNT(wants))
               ? ERR_OK
               : flight__wrong(&call->info, "what was put is no FlightData");
}

static enum err reply_count(struct flight_call *call, int64_t rows)
{
    struct buf result CLEANUP(buf_fini) = {0};
    struct buf out CLEANUP(buf_fini) = {0};
    proto_put_varint(&result, 1, (uint64_t)rows);
    proto_put_bytes(&out, 1, buf_slice(&result));
    return flight__reply(call, &out);
}

enum err flight__read_batches(struct flight_call *call, struct flight_stream *stream,
                              flight_batch_fn fn, void *context)
{
    struct buf message CLEANUP(buf_fini) = {0};
    while (!stream->is_end) {
        struct flight_data data;
        struct ArrowArray batch = {.release = NULL};
        TRY(read_data(call, &message, &data, &stream->is_end));
        if (stream->is_end || data.header.len == 0) {
            continue; /* metadata of an application alone */
        }
        TRY(ipc_reader_feed(stream->reader, data.header, data.body, &batch, &call->info));
        if (batch.release == NULL) {
            continue;
        }
        enum err err = fn(context, ipc_reader_schema(stream->reader), &batch);
        if (batch.release != NULL) {
            batch.release(&batch);
        }
        TRY(err);
    }
    return ERR_OK;
}

/* ---- values for a prepared statement ---- */

static enum err bind_batch(void *context, const struct ArrowSchema *schema,
                           struct ArrowArray *batch)
{
    return flight__bind_batch(context, schema, batch);
}

/* All rows of the stream, in the place of what was bound before. */
static enum err bind(struct flight_call *call, struct flight_stream *stream, struct slice body)
{
    struct slice handle = {"", 0};
    struct proto_want wants[] = {{1, &handle, NULL, NULL}};
    struct flight_binding binding CLEANUP(flight__binding_fini) = {.call = call};
    if (!proto_read(body, wants, ARRAY_COUNT(wants))) {
        return flight__wrong(&call->info, "the command is no message of Flight SQL");
    }
    TRY(flight__binding_init(&binding));
    TRY(flight__read_batches(call, stream, bind_batch, &binding));
    const struct ArrowSchema *schema = ipc_reader_schema(stream->reader);
    return schema == NULL || schema->n_children == 0
               ? ERR_OK
               : flight__bind(&binding, handle, (size_t)schema->n_children);
}

static enum err drop_batch(void *context, const struct ArrowSchema *schema,
                           struct ArrowArray *batch)
{
    (void)context;
    (void)schema;
    (void)batch;
    return ERR_OK;
}

static enum err put(struct flight_call *call, struct flight_stream *stream,
                    const struct flight_command *command)
{
    int64_t rows = 0;
    struct buf none CLEANUP(buf_fini) = {0};
    if (slice_equal(command->name, SLICE("CommandPreparedStatementQuery"))) {
        struct slice handle = {"", 0};
        struct proto_want wants[] = {{1, &handle, NULL, NULL}};
        TRY(bind(call, stream, command->body));
        if (!proto_read(command->body, wants, ARRAY_COUNT(wants))) {
            return flight__wrong(&call->info, "the command is no message of Flight SQL");
        }
        struct buf result CLEANUP(buf_fini) = {0};
        proto_put_bytes(&result, 1, handle);
        proto_put_bytes(&none, 1, buf_slice(&result));
        return flight__reply(call, &none);
    }
    if (slice_equal(command->name, SLICE("CommandPreparedStatementUpdate"))) {
        TRY(bind(call, stream, command->body));
        TRY(flight__update(call, command, &rows));
    } else if (slice_equal(command->name, SLICE("CommandStatementUpdate"))) {
        TRY(flight__read_batches(call, stream, drop_batch, NULL));
        TRY(flight__update(call, command, &rows));
    } else if (slice_equal(command->name, SLICE("CommandStatementIngest"))) {
        TRY(flight__ingest(call, stream, command->body, &rows));
    } else {
        return errinfo_set(&call->info, ERR_UNSUPPORTED, NULL, "the command \"%.*s\" is not there",
                           SLICE_ARGS(command->name));
    }
    return reply_count(call, rows);
}

static void stream_fini(struct flight_stream *stream)
{
    ipc_reader_free(stream->reader);
}

static enum err do_put(struct flight_call *call)
{
    struct buf message CLEANUP(buf_fini) = {0};
    struct flight_stream stream CLEANUP(stream_fini) = {.reader = NULL};
    struct ArrowArray batch;
    struct flight_data data;
    struct flight_command command;
    struct slice any = {"", 0}, copy;
    TRY(ipc_reader_new(&stream.reader, &call->info));
    TRY(read_data(call, &message, &data, &stream.is_end));
    struct proto_want wants[] = {{2, &any, NULL, NULL}};
    if (stream.is_end || !proto_read(data.descriptor, wants, ARRAY_COUNT(wants))) {
        return flight__wrong(&call->info, "the first message has no descriptor");
    }
    if (!arena_slice(call->arena, any, &copy)) {
        return errinfo_nomem(&call->info);
    }
    TRY(flight__command_read(copy, &command, &call->info));
    if (data.header.len > 0) {
        TRY(ipc_reader_feed(stream.reader, data.header, data.body, &batch, &call->info));
        ASSERT(batch.release == NULL); /* the first is a schema */
    }
    return put(call, &stream, &command);
}

void flight__do_put(void *context, struct grpc_call *grpc)
{
    struct flight_call call;
    enum err err = flight__begin(&call, context, grpc);
    err = err != ERR_OK ? err : do_put(&call);
    flight__finish(&call, err);
    flight__end(&call);
}
