/* The query channel: one query at a time, its batches into the shared slots.
 *
 * When a batch was sent, the next is made without being asked for: that is the one that the broker
 * wants next, and it then lies ready. No more than one, since its slot must be free. */
#include <poll.h>

#include "base/mem.h"
#include "engine/host/arrow_wire.h"
#include "engine/host/serve_int.h"

struct running {
    struct server *server;
    struct engine_query *query;
    struct served_grants grants;
    struct ArrowSchema schema;
    struct wire_batch *batch;
    uint64_t wanted; /* batches that the broker has asked for */
    uint64_t sent;
    bool is_done; /* the end or an error was sent */
};

static void put_counters(const struct running *running, struct buf *out)
{
    wire_put_u64(out, serve__grants_opened(&running->grants));
}

static void send_or_end(struct channel *channel, uint32_t kind, struct slice body)
{
    if (channel_send(channel, kind, body) != ERR_OK) {
        serve__end();
    }
}

static enum err open_query(struct running *running, struct wire *in, uint64_t number,
                           struct buf *out, struct errinfo *info)
{
    struct server *server = running->server;
    engine_session_set_memory(server->main, wire_u64(in));
    TRY(serve__grants_open(server, in, &running->grants, info));
    struct engine_parameter *parameters;
    size_t parameter_count;
    host_take_parameters(in, running->grants.arena, &parameters, &parameter_count);
    struct slice text = wire_copy(in, running->grants.arena);
    if (!wire_is_done(in)) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "the engine host got a damaged request");
    }
    char *sql = arena_slicedup(running->grants.arena, text);
    if (sql == NULL) {
        return errinfo_nomem(info);
    }
    serve__grants_bind(&running->grants, sql, text.len);
    TRY(engine_query_open(server->main, server->who, (struct slice){sql, text.len}, parameters,
                          parameter_count, &running->query, info));
    TRY(engine_query_schema(running->query, &running->schema, info));
    size_t count = engine_query_column_count(running->query);
    struct engine_column *columns =
        arena_calloc(running->grants.arena, count + 1, sizeof(*columns));
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        columns[i] = engine_query_column(running->query, i);
    }
    host_put_columns(out, columns, count);
    TRY(wire_put_schema(out, &running->schema, info));
    pthread_mutex_lock(&server->cancel_lock);
    server->running = running->query;
    server->running_number = number;
    pthread_mutex_unlock(&server->cancel_lock);
    return ERR_OK;
}

static void close_query(struct running *running)
{
    struct server *server = running->server;
    pthread_mutex_lock(&server->cancel_lock);
    server->running = NULL;
    ((struct host_shared *)server->memory)->progress_millipercent = UINT64_MAX;
    pthread_mutex_unlock(&server->cancel_lock);
    engine_query_close(running->query);
    running->query = NULL;
    if (running->schema.release != NULL) {
        running->schema.release(&running->schema);
        running->schema.release = NULL;
    }
    serve__grants_close(&running->grants);
}

static void serve_open(struct running *running, struct wire *in)
{
    struct buf out CLEANUP(buf_fini) = {0};
    struct errinfo info;
    errinfo_init(&info);
    if (running->query != NULL) {
        serve__end();
    }
    serve__begin(running->server, running->server->main, wire_u64(in));
    uint64_t number = wire_u64(in);
    running->wanted = running->sent = 0;
    running->is_done = false;
    enum err err = open_query(running, in, number, &out, &info);
    if (err == ERR_OK && buf_failed(&out)) {
        err = errinfo_nomem(&info);
    }
    if (err != ERR_OK) {
        close_query(running);
    }
    serve__reply(&running->server->query, err, &info, buf_slice(&out));
}

/* ---- batches ---- */

/* Too long for its slot: all through the socket. */
static enum err send_through_socket(struct running *running, struct buf *head, struct errinfo *info)
{
    const struct wire_batch *batch = running->batch;
    if (batch->data_bytes > HOST_BATCH_BYTES_MAX) {
        enum err err = errinfo_set(info, ERR_LIMIT, NULL, "a row of the result is too long");
        errinfo_hint(info, "Ask for less than %zu MiB at once.", HOST_BATCH_BYTES_MAX >> 20);
        return err;
    }
    char *data = mem_alloc(batch->data_bytes);
    if (data == NULL) {
        return errinfo_nomem(info);
    }
    wire_batch_copy(batch, data);
    struct slice parts[] = {
        buf_slice(head), buf_slice(&batch->description), {data, batch->data_bytes}};
    if (channel_send_parts(&running->server->query, MESSAGE_BATCH, parts, 3) != ERR_OK) {
        serve__end();
    }
    mem_free(data);
    return ERR_OK;
}

static enum err send_batch(struct running *running, const struct ArrowArray *array,
                           struct errinfo *info)
{
    struct server *server = running->server;
    struct wire_batch *batch = running->batch;
    struct buf head CLEANUP(buf_fini) = {0};
    TRY(wire_batch_of(&running->schema, array, batch, info));
    bool is_in_slot = batch->data_bytes <= HOST_SLOT_BYTES && !server->hello.is_slotless;
    wire_put_u8(&head, is_in_slot);
    wire_put_u64(&head, batch->data_bytes);
    wire_put_u64(&head, batch->description.len);
    if (buf_failed(&head)) {
        return errinfo_nomem(info);
    }
    if (!is_in_slot) {
        return send_through_socket(running, &head, info);
    }
    wire_batch_copy(batch, host_slot(server->memory, running->sent % HOST_SLOTS));
    struct slice parts[] = {buf_slice(&head), buf_slice(&batch->description)};
    if (channel_send_parts(&server->query, MESSAGE_BATCH, parts, 2) != ERR_OK) {
        serve__end();
    }
    return ERR_OK;
}

static void send_end(struct running *running, enum err err, const struct errinfo *info)
{
    struct buf out CLEANUP(buf_fini) = {0};
    put_counters(running, &out);
    if (err != ERR_OK) {
        wire_put_errinfo(&out, info);
    }
    running->is_done = true;
    if (buf_failed(&out)) {
        serve__end();
    }
    send_or_end(&running->server->query, err == ERR_OK ? MESSAGE_END : MESSAGE_FAILED,
                buf_slice(&out));
}

static void make_batch(struct running *running)
{
    struct errinfo info;
    errinfo_init(&info);
    struct ArrowArray array = {0};
    enum err err = engine_query_next(running->query, &array, &info);
    if (err == ERR_OK && array.release == NULL) {
        send_end(running, ERR_OK, NULL);
        return;
    }
    if (err == ERR_OK) {
        err = send_batch(running, &array, &info);
        array.release(&array);
        running->sent++;
    }
    if (err != ERR_OK) {
        send_end(running, err, &info);
    }
}

/* ---- the channel ---- */

static bool has_message(const struct channel *channel)
{
    struct pollfd waiting = {.fd = channel->fd, .events = POLLIN};
    return channel->begin < channel->end || poll(&waiting, 1, 0) != 0;
}

static void serve_message(struct running *running, uint32_t kind, struct slice body)
{
    struct wire in = wire_of(body);
    switch (kind) {
    case MESSAGE_OPEN:
        serve_open(running, &in);
        break;
    case MESSAGE_NEXT:
        if (running->query == NULL) {
            serve__end();
        }
        serve__begin(running->server, running->server->main, wire_u64(&in));
        running->wanted++;
        break;
    case MESSAGE_CLOSE: {
        struct buf out CLEANUP(buf_fini) = {0};
        put_counters(running, &out);
        close_query(running);
        send_or_end(&running->server->query, MESSAGE_CLOSED, buf_slice(&out));
        break;
    }
    default: /* a number from the socket */
        serve__end();
    }
}

void *serve__queries(void *context)
{
    struct wire_batch batch = {0};
    struct running running = {.server = context, .batch = &batch};
    struct channel *channel = &running.server->query;
    struct buf body = {0};
    for (;;) {
        bool may_make = running.query != NULL && !running.is_done && running.wanted > 0 &&
                        running.sent <= running.wanted;
        if (may_make && !has_message(channel)) {
            make_batch(&running);
            continue;
        }
        struct frame frame;
        if (channel_receive(channel, HOST_REQUEST_BYTES_MAX, &frame, &body) != ERR_OK) {
            serve__end();
        }
        serve_message(&running, frame.kind, buf_slice(&body));
        if (body.capacity > 1u << 20) {
            buf_fini(&body);
            body = (struct buf){0};
        }
    }
    return NULL;
}
