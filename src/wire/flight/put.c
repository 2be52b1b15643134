/* DoPut: statements that change, and values for prepared ones. */
#include "wire/flight/flight_int.h"

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

static enum err drain(struct flight_call *call, struct buf *message)
{
    bool is_end = false;
    while (!is_end) {
        struct flight_data data;
        TRY(read_data(call, message, &data, &is_end));
    }
    return ERR_OK;
}

static enum err do_put(struct flight_call *call)
{
    struct buf message CLEANUP(buf_fini) = {0};
    struct flight_data data;
    struct flight_command command;
    struct slice any = {"", 0}, copy;
    bool is_end;
    int64_t rows;
    TRY(read_data(call, &message, &data, &is_end));
    struct proto_want wants[] = {{2, &any, NULL, NULL}};
    if (is_end || !proto_read(data.descriptor, wants, ARRAY_COUNT(wants))) {
        return flight__wrong(&call->info, "the first message has no descriptor");
    }
    if (!arena_slice(call->arena, any, &copy)) {
        return errinfo_nomem(&call->info);
    }
    TRY(flight__command_read(copy, &command, &call->info));
    TRY(drain(call, &message));
    TRY(flight__update(call, &command, &rows));
    return reply_count(call, rows);
}

void flight__do_put(void *context, struct grpc_call *grpc)
{
    struct flight_call call;
    enum err err = flight__begin(&call, context, grpc);
    err = err != ERR_OK ? err : do_put(&call);
    flight__finish(&call, err);
    flight__end(&call);
}
