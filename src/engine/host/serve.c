/* A host: this program executed again with nothing but a socket. Its main thread serves the
 * control channel, one thread the query channel, one the urgent one.
 *
 * Two sessions of the engine, so that a statement can be parsed while another's rows are made.
 * Whatever goes wrong with a channel ends the process: the broker starts another. */
#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/host/host.h"
#include "engine/host/serve_int.h"

void serve__end(void)
{
    _exit(0);
}

void serve__reply(struct channel *channel, enum err err, const struct errinfo *info,
                  struct slice body)
{
    struct buf failure CLEANUP(buf_fini) = {0};
    if (err != ERR_OK) {
        wire_put_errinfo(&failure, info);
        body = buf_slice(&failure);
    }
    if (buf_failed(&failure) ||
        channel_send(channel, err == ERR_OK ? MESSAGE_DONE : MESSAGE_FAILED, body) != ERR_OK) {
        serve__end();
    }
}

/* ---- cancelling ---- */

/* A cancel of this epoch or one before was for an earlier request. */
void serve__begin(struct server *server, struct engine_session *session, uint64_t epoch)
{
    pthread_mutex_lock(&server->cancel_lock);
    *(session == server->side ? &server->side_epoch : &server->main_epoch) = epoch;
    if (server->cancelled_epoch > epoch) {
        engine_session_cancel(session);
    } else {
        engine_session_ready(session);
    }
    pthread_mutex_unlock(&server->cancel_lock);
}

static void cancel(struct server *server, uint64_t epoch)
{
    if (epoch > server->cancelled_epoch) {
        server->cancelled_epoch = epoch;
    }
    if (epoch > server->side_epoch) {
        engine_session_cancel(server->side);
    }
    if (epoch > server->main_epoch) {
        engine_session_cancel(server->main);
    }
}

static void note_progress(struct server *server)
{
    struct host_shared *shared = server->memory;
    double percent = server->running == NULL ? -1 : engine_query_progress(server->running);
    shared->progress_millipercent =
        percent < 0 || percent > 100 ? UINT64_MAX : (uint64_t)(percent * 1000);
}

static void *serve_urgent(void *context)
{
    struct server *server = context;
    struct buf body = {0};
    for (;;) {
        struct frame frame;
        if (channel_receive(&server->urgent, 64, &frame, &body) != ERR_OK) {
            serve__end();
        }
        struct wire in = wire_of(buf_slice(&body));
        uint64_t number = wire_u64(&in);
        pthread_mutex_lock(&server->cancel_lock);
        if (frame.kind == MESSAGE_CANCEL) {
            cancel(server, number);
        } else if (frame.kind == MESSAGE_PROGRESS) {
            note_progress(server);
        } else if (server->running != NULL && server->running_number == number) {
            engine_query_cancel(server->running);
        }
        pthread_mutex_unlock(&server->cancel_lock);
    }
    return NULL;
}

/* ---- the control channel ---- */

static enum err describe(struct server *server, struct slice sql, struct buf *out,
                         struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "describe", 0);
    struct engine_column *columns;
    size_t count;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(engine_describe(server->side, server->who, sql, arena, &columns, &count, info));
    host_put_columns(out, columns, count);
    return ERR_OK;
}

static enum err describe_parameters(struct server *server, struct slice sql, struct buf *out,
                                    struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "parameters", 0);
    struct slice *types;
    size_t count;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(engine_describe_parameters(server->side, server->who, sql, arena, &types, &count, info));
    struct engine_column *columns = arena_calloc(arena, count + 1, sizeof(*columns));
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        columns[i].type = types[i];
    }
    host_put_columns(out, columns, count);
    return ERR_OK;
}

static enum err answer_bound(struct server *server, uint32_t kind, bool is_analyze,
                             struct slice sql, struct buf *out, struct errinfo *info)
{
    switch (kind) {
    case MESSAGE_DESCRIBE:
        return describe(server, sql, out, info);
    case MESSAGE_PARAMETERS:
        return describe_parameters(server, sql, out, info);
    default: /* explain */
        return engine_explain(server->side, server->who, sql, is_analyze, out, info);
    }
}

static enum err serve_bound(struct server *server, uint32_t kind, struct wire *in, struct buf *out,
                            struct errinfo *info)
{
    struct served_grants grants = {0};
    bool is_analyze = wire_bool(in);
    engine_session_set_memory(server->side, wire_u64(in));
    enum err err = serve__grants_open(server, in, &grants, info);
    if (err == ERR_OK) {
        struct slice text = wire_slice(in);
        struct buf sql CLEANUP(buf_fini) = {0};
        buf_append_slice(&sql, text);
        if (buf_failed(&sql)) {
            err = errinfo_nomem(info);
        } else {
            serve__grants_bind(&grants, sql.ptr, sql.len);
            err = answer_bound(server, kind, is_analyze, buf_slice(&sql), out, info);
        }
    }
    serve__grants_close(&grants);
    return err;
}

static void serve_request(struct server *server, uint32_t kind, struct slice body)
{
    struct buf out CLEANUP(buf_fini) = {0};
    struct errinfo info;
    errinfo_init(&info);
    struct wire in = wire_of(body);
    enum err err = ERR_OK;
    serve__begin(server, server->side, wire_u64(&in));
    switch (kind) {
    case MESSAGE_PARSE:
        err = engine_parse(server->side, wire_slice(&in), &out, &info);
        break;
    case MESSAGE_DEPARSE:
        err = engine_deparse(server->side, wire_slice(&in), &out, &info);
        break;
    case MESSAGE_FUNCTIONS:
        err = engine_functions(server->side, &out, &info);
        break;
    case MESSAGE_DESCRIBE:
    case MESSAGE_PARAMETERS:
    case MESSAGE_EXPLAIN:
        err = serve_bound(server, kind, &in, &out, &info);
        break;
    default: /* a number from the socket */
        serve__end();
    }
    if (err == ERR_OK && buf_failed(&out)) {
        err = errinfo_nomem(&info);
    }
    serve__reply(&server->control, err, &info, buf_slice(&out));
}

/* ---- start ---- */

static void take_descriptors(struct server *server)
{
    channel_init(&server->query, channel_take_fd(&server->control), false);
    channel_init(&server->urgent, channel_take_fd(&server->control), false);
    int memory = channel_take_fd(&server->control);
    size_t bytes = host_memory_bytes(server->hello.lane_count);
    server->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    if (server->memory == MAP_FAILED) {
        serve__end();
    }
    (void)close(memory);
    for (size_t i = 0; i < server->hello.lane_count; i++) {
        channel_init(&server->lanes[i].channel, channel_take_fd(&server->control), true);
        server->lanes[i].buffer = host_lane_buffer(server->memory, i);
        if (server->lanes[i].channel.fd < 0) {
            serve__end();
        }
    }
    server->control.takes_fds = false;
}

static enum err open_engine(struct server *server, struct errinfo *info)
{
    struct engine_spill spill = serve__spill;
    struct engine_mask mask = serve__mask;
    spill.context = mask.context = server;
    struct engine_options options = {
        .memory_bytes_max = server->hello.memory_bytes_max,
        .thread_count = server->hello.thread_count,
        .temp_bytes_max = server->hello.temp_bytes_max,
        .spill = server->hello.temp_bytes_max > 0 ? &spill : NULL,
        .mask = &mask,
    };
    struct identity_spec nobody = {.subject = SLICE("host"), .provider = SLICE("host")};
    TRY(identity_new(&nobody, &server->who, info));
    TRY(engine_open(&options, &server->engine, info));
    TRY(engine_session_open(server->engine, server->who, &server->side, info));
    return engine_session_open(server->engine, server->who, &server->main, info);
}

static enum err start(struct server *server, struct errinfo *info)
{
    pthread_t thread;
    /* Of all threads, which are made from here on: a host computes, the server answers. */
    (void)setpriority(PRIO_PROCESS, 0, (int)server->hello.niceness);
    TRY(open_engine(server, info));
    if (pthread_create(&thread, NULL, serve_urgent, server) != 0 ||
        pthread_create(&thread, NULL, serve__queries, server) != 0) {
        return errinfo_set(info, ERR_NOMEM, NULL, "an engine host cannot start its threads");
    }
    return confine__late(&server->hello, info);
}

void serve__start(struct server *server)
{
    struct buf body CLEANUP(buf_fini) = {0};
    struct frame frame;
    struct errinfo info;
    errinfo_init(&info);
    confine__early();
    pthread_mutex_init(&server->cancel_lock, NULL);
    pthread_mutex_init(&server->lane_lock, NULL);
    pthread_cond_init(&server->lane_free, NULL);
    channel_init(&server->control, HOST_FD, true);
    if (channel_receive(&server->control, 4096, &frame, &body) != ERR_OK ||
        frame.kind != MESSAGE_HELLO) {
        serve__end();
    }
    struct wire in = wire_of(buf_slice(&body));
    if (!host_take_hello(&in, &server->hello)) {
        serve__end();
    }
    take_descriptors(server);
    enum err err = start(server, &info);
    serve__reply(&server->control, err, &info,
                 err == ERR_OK ? slice_of(engine_version(server->engine)) : SLICE(""));
    if (err != ERR_OK) {
        serve__end();
    }
}

bool engine_host_is_asked(int argc, char *const *argv)
{
    return argc == 2 && strcmp(argv[1], HOST_ARGUMENT) == 0;
}

int engine_host_main(void)
{
    static struct server server;
    struct buf body = {0};
    serve__start(&server);
    for (;;) {
        struct frame frame;
        if (channel_receive(&server.control, HOST_REQUEST_BYTES_MAX, &frame, &body) != ERR_OK) {
            serve__end();
        }
        serve_request(&server, frame.kind, buf_slice(&body));
        if (body.capacity > 1u << 20) {
            buf_fini(&body);
            body = (struct buf){0};
        }
    }
}
