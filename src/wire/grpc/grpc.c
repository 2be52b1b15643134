/* The server, and its connections as the loop sees them.
 *
 * `work` only reads: it never waits for room while a call's thread could, since what a client says
 * of cancelling and of windows must be read to let others go on. */
#include "wire/grpc/grpc.h"

#include "base/mem.h"
#include "wire/grpc/grpc_int.h"

#define INPUT_BYTES_MAX 65536u

enum err grpc_server_open(const struct grpc_options *options, struct grpc_server **ret_server,
                          struct errinfo *info)
{
    struct grpc_server *server = mem_calloc(1, sizeof(*server));
    if (server == NULL) {
        return errinfo_nomem(info);
    }
    server->options = *options;
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->wanted, NULL);
    pthread_cond_init(&server->tick, NULL);
    pthread_cond_init(&server->gone, NULL);
    enum err err = grpc__threads_open(server, info);
    err = err != ERR_OK ? err : grpc__callbacks(server, info);
    if (err != ERR_OK) {
        grpc_server_close(server);
        return err;
    }
    *ret_server = server;
    return ERR_OK;
}

void grpc_server_close(struct grpc_server *server)
{
    if (server == NULL) {
        return;
    }
    grpc__threads_close(server);
    while (server->methods != NULL) {
        struct grpc_method_entry *entry = server->methods;
        server->methods = entry->next;
        mem_free(entry);
    }
    nghttp2_session_callbacks_del(server->callbacks);
    nghttp2_option_del(server->nghttp2_options);
    pthread_cond_destroy(&server->wanted);
    pthread_cond_destroy(&server->tick);
    pthread_cond_destroy(&server->gone);
    pthread_mutex_destroy(&server->lock);
    mem_free(server);
}

enum err grpc_method(struct grpc_server *server, const char *path, grpc_method_fn fn, void *context,
                     struct errinfo *info)
{
    struct grpc_method_entry *entry = mem_alloc(sizeof(*entry));
    if (entry == NULL) {
        return errinfo_nomem(info);
    }
    *entry = (struct grpc_method_entry){server->methods, path, fn, context};
    server->methods = entry;
    return ERR_OK;
}

/* ---- the protocol ---- */

static void free_connection(struct grpc_connection *on)
{
    nghttp2_session_del(on->session);
    if (on->state != NULL) {
        on->server->options.close_state(on->state);
    }
    buf_fini(&on->out);
    pthread_cond_destroy(&on->changed);
    pthread_mutex_destroy(&on->lock);
    pthread_mutex_destroy(&on->state_lock);
    mem_free(on);
}

static enum err on_open(void *context, struct connection *connection, void **ret_state,
                        struct errinfo *info)
{
    struct grpc_connection *on = mem_calloc(1, sizeof(*on));
    if (on == NULL) {
        return errinfo_nomem(info);
    }
    on->server = context;
    on->wire = connection;
    pthread_mutex_init(&on->lock, NULL);
    pthread_mutex_init(&on->state_lock, NULL);
    pthread_cond_init(&on->changed, NULL);
    enum err err = grpc__session_open(on, info);
    if (err != ERR_OK) {
        free_connection(on);
        return err;
    }
    *ret_state = on;
    return ERR_OK;
}

static size_t on_need(void *state, struct slice input)
{
    (void)state;
    (void)input;
    return 1;
}

static bool on_is_busy(void *state)
{
    struct grpc_connection *on = state;
    return atomic_load(&on->call_count) > 0;
}

static size_t on_work(void *state, struct slice input)
{
    struct grpc_connection *on = state;
    pthread_mutex_lock(&on->lock);
    ssize_t read = nghttp2_session_mem_recv(on->session, (const uint8_t *)input.ptr, input.len);
    bool is_over = read < 0 || (size_t)read < input.len;
    grpc__flush(on, false);
    is_over = is_over || on->is_broken ||
              (!nghttp2_session_want_read(on->session) && !nghttp2_session_want_write(on->session));
    pthread_mutex_unlock(&on->lock);
    if (is_over) {
        connection_finish(on->wire);
    }
    return input.len;
}

static void on_cancel(void *state)
{
    struct grpc_connection *on = state;
    pthread_mutex_lock(&on->lock);
    for (struct grpc_call *call = on->calls; call != NULL; call = call->next) {
        if (!call->is_end_out) { /* else its client may have all of it: who sends knows */
            grpc__call_end(call, GRPC_END_CLIENT);
        }
    }
    pthread_mutex_unlock(&on->lock);
}

/* GOAWAY: what has not begun was not done, and may be asked elsewhere. */
static void on_farewell(void *state, enum loop_farewell why)
{
    struct grpc_connection *on = state;
    bool is_wrong = why != FAREWELL_SHUTDOWN && why != FAREWELL_IDLE_TIMEOUT;
    on_cancel(state);
    pthread_mutex_lock(&on->lock);
    (void)nghttp2_session_terminate_session(on->session, is_wrong ? NGHTTP2_ENHANCE_YOUR_CALM
                                                                  : NGHTTP2_NO_ERROR);
    grpc__flush(on, false);
    pthread_mutex_unlock(&on->lock);
}

/* The socket is closed: threads that wait for it, or for what comes from it, go on and end. */
static void on_close(void *state)
{
    struct grpc_connection *on = state;
    pthread_mutex_lock(&on->lock);
    on->is_broken = true;
    while (on->calls != NULL) {
        struct grpc_call *next;
        for (struct grpc_call *call = on->calls; call != NULL; call = next) {
            next = call->next;
            call->is_closed = true;
            if (!call->is_end_out) {
                grpc__call_end(call, GRPC_END_CLIENT);
            }
            (void)nghttp2_session_set_stream_user_data(on->session, call->stream_id, NULL);
            grpc__call_settle(call);
        }
        if (on->calls != NULL) {
            pthread_cond_wait(&on->changed, &on->lock);
        }
    }
    while (on->thread_count > 0 || on->is_sending) {
        pthread_cond_wait(&on->changed, &on->lock);
    }
    pthread_mutex_unlock(&on->lock);
    free_connection(on);
}

static void on_refuse(enum loop_farewell why, struct buf *out)
{
    (void)why;
    (void)out; /* gRPC's clients take a closed connection for a server that is not available */
}

const struct loop_protocol grpc_protocol = {
    .name = "grpc",
    .alpn = "h2",
    .input_bytes_max = INPUT_BYTES_MAX,
    .open = on_open,
    .need = on_need,
    .work = on_work,
    .is_busy = on_is_busy,
    .farewell = on_farewell,
    .cancel = on_cancel,
    .close = on_close,
    .refuse = on_refuse,
};
