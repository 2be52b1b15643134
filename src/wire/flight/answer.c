/* What goes back: statuses, FlightInfo, and batches as they come from the engine. */
#include "arrow/ipc.h"
#include "wire/flight/flight_int.h"

#define BODY_BYTES_MAX (4u << 20) /* of a message: drivers have limits, and rows are to flow */

enum grpc_status flight__status(const struct errinfo *info)
{
    bool is_sign_in = strncmp(info->sqlstate, "28", 2) == 0;
    switch (info->code) {
    case ERR_OK:
        return GRPC_OK;
    case ERR_DENIED:
        return is_sign_in ? GRPC_UNAUTHENTICATED : GRPC_PERMISSION_DENIED;
    case ERR_NOT_FOUND:
        return GRPC_NOT_FOUND;
    case ERR_EXISTS:
        return GRPC_ALREADY_EXISTS;
    case ERR_CANCELLED:
        return GRPC_CANCELLED;
    case ERR_TIMEOUT:
        return GRPC_DEADLINE_EXCEEDED;
    case ERR_LIMIT:
    case ERR_NOMEM:
        return GRPC_RESOURCE_EXHAUSTED;
    case ERR_BUSY:
        return strcmp(info->sqlstate, "40001") == 0   ? GRPC_ABORTED
               : strcmp(info->sqlstate, "55006") == 0 ? GRPC_FAILED_PRECONDITION
               : strcmp(info->sqlstate, "53300") == 0 ? GRPC_RESOURCE_EXHAUSTED
                                                      : GRPC_UNAVAILABLE;
    case ERR_UNSUPPORTED:
        return GRPC_UNIMPLEMENTED;
    case ERR_CORRUPT:
        return GRPC_DATA_LOSS;
    case ERR_IO:
        return GRPC_UNAVAILABLE;
    case ERR_INTERNAL:
        return GRPC_INTERNAL;
    case ERR_INVALID:
    case ERR_SYNTAX:
    case ERR_ENGINE:
        break;
    }
    return GRPC_INVALID_ARGUMENT;
}

static void print_error(struct buf *out, const struct errinfo *info)
{
    buf_printf(out, "%s [%s]", info->message, info->sqlstate);
    if (info->position != 0) {
        buf_printf(out, " at byte %zu", info->position);
    }
    if (info->detail[0] != '\0') {
        buf_printf(out, "\nDETAIL: %s", info->detail);
    }
    if (info->hint[0] != '\0') {
        buf_printf(out, "\nHINT: %s", info->hint);
    }
}

void flight__finish(struct flight_call *call, enum err err)
{
    struct buf text CLEANUP(buf_fini) = {0};
    bool is_late;
    if (err == ERR_OK) {
        grpc_finish(call->grpc, GRPC_OK, SLICE(""));
        return;
    }
    print_error(&text, &call->info);
    grpc_trailer(call->grpc, "moat-sqlstate", slice_of(call->info.sqlstate));
    (void)grpc_is_cancelled(call->grpc, &is_late);
    enum grpc_status status = is_late ? GRPC_DEADLINE_EXCEEDED : flight__status(&call->info);
    grpc_finish(call->grpc, status, buf_slice(&text));
}

enum err flight__reply(struct flight_call *call, const struct buf *message)
{
    struct buf out CLEANUP(buf_fini) = {0};
    grpc_begin_message(&out);
    buf_append_slice(&out, buf_slice(message));
    return grpc_write(call->grpc, &out, &call->info);
}

enum err flight__info_put(const struct flight_info *given, struct buf *out, struct errinfo *info)
{
    struct buf schema CLEANUP(buf_fini) = {0};
    struct buf endpoint CLEANUP(buf_fini) = {0};
    struct buf ticket CLEANUP(buf_fini) = {0};
    struct buf when CLEANUP(buf_fini) = {0};
    static const struct ArrowSchema none = {.format = "+s", .name = ""};
    TRY(ipc_write_schema(given->schema == NULL ? &none : given->schema, &schema, info));
    proto_put_bytes(out, 1, buf_slice(&schema));
    proto_put_bytes(out, 2, given->descriptor);
    if (given->ticket.len > 0) {
        proto_put_bytes(&ticket, 1, given->ticket);
        proto_put_bytes(&endpoint, 1, buf_slice(&ticket));
        if (given->expires_wall_us > 0) {
            proto_put_varint(&when, 1, (uint64_t)(given->expires_wall_us / 1000000));
            proto_put_varint(&when, 2, (uint64_t)(given->expires_wall_us % 1000000 * 1000));
            proto_put_bytes(&endpoint, 3, buf_slice(&when));
        }
        proto_put_bytes(out, 3, buf_slice(&endpoint));
    }
    proto_put_varint(out, 4, (uint64_t)given->rows);
    proto_put_varint(out, 5, UINT64_MAX); /* bytes: not known */
    bool has_failed = buf_failed(&schema) || buf_failed(&endpoint) || buf_failed(&ticket) ||
                      buf_failed(&when) || buf_failed(out);
    return has_failed ? errinfo_nomem(info) : ERR_OK;
}

/* ---- FlightData ---- */

struct sending {
    struct flight_call *call;
    bool may_be_cut;
    bool is_too_long;
};

static enum err send_message(void *context, struct slice metadata, const struct slice *body,
                             size_t body_count, uint64_t body_len, struct errinfo *info)
{
    struct sending *sending = context;
    struct buf out CLEANUP(buf_fini) = {0};
    if (sending->may_be_cut && body_len > BODY_BYTES_MAX) {
        sending->is_too_long = true;
        return ERR_LIMIT;
    }
    if (buf_reserve(&out, metadata.len + body_len + 64) == NULL) {
        return errinfo_nomem(info);
    }
    grpc_begin_message(&out);
    proto_put_bytes(
        &out, 2, (struct slice){metadata.ptr + IPC_PREFIX_BYTES, metadata.len - IPC_PREFIX_BYTES});
    proto_put_head(&out, 1000, body_len);
    for (size_t i = 0; i < body_count; i++) {
        buf_append_slice(&out, body[i]);
    }
    return grpc_write(sending->call->grpc, &out, info);
}

enum err flight__send_schema(struct flight_call *call, const struct ArrowSchema *schema)
{
    struct buf message CLEANUP(buf_fini) = {0};
    struct buf out CLEANUP(buf_fini) = {0};
    static const struct ArrowSchema none = {.format = "+s", .name = ""};
    const struct ipc_codec *codec; /* what is no codec is refused before anything is sent */
    TRY(flight__codec(call, &codec));
    TRY(ipc_write_schema(schema == NULL ? &none : schema, &message, &call->info));
    grpc_begin_message(&out);
    proto_put_bytes(&out, 2,
                    (struct slice){message.ptr + IPC_PREFIX_BYTES, message.len - IPC_PREFIX_BYTES});
    return grpc_write(call->grpc, &out, &call->info);
}

enum err flight__send_batch(struct flight_call *call, const struct ArrowSchema *schema,
                            const struct ArrowArray *batch)
{
    const struct ipc_codec *codec;
    TRY(flight__codec(call, &codec));
    struct ArrowArray part = *batch;
    int64_t rows_max = batch->length;
    for (int64_t row = 0; row < batch->length;) {
        int64_t left = batch->length - row;
        part.offset = batch->offset + row;
        part.length = left < rows_max ? left : rows_max;
        struct sending sending = {.call = call, .may_be_cut = part.length > 1};
        enum err err =
            ipc_batch_messages(schema, &part, codec, send_message, &sending, &call->info);
        if (sending.is_too_long) {
            rows_max = (part.length + 1) / 2;
            continue;
        }
        TRY(err);
        row += part.length;
    }
    return ERR_OK;
}
