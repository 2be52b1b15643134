#include "wire/loop/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "wire/loop/loop_int.h"

#define TICK_MS 250
#define ACCEPTS_A_TURN 16 /* so that those who are in get their turn too */
#define CUT_US 5000000    /* after the drain's deadline */

static void stop_listening(struct loop *loop, bool is_all)
{
    for (struct listener *l = loop->listeners; l != NULL; l = l->next) {
        if (l->fd >= 0 && (is_all || !l->options.serves_drain)) {
            (void)uv_poll_stop(&l->poll);
            uv_close((uv_handle_t *)&l->poll, NULL);
            (void)close(l->fd);
            l->fd = -1;
        }
    }
}

static void close_handles(struct loop *loop)
{
    if (uv_is_closing((uv_handle_t *)&loop->async)) {
        return;
    }
    uv_close((uv_handle_t *)&loop->async, NULL);
    uv_close((uv_handle_t *)&loop->timer, NULL);
    for (struct signal_watch *s = loop->signals; s != NULL; s = s->next) {
        uv_close((uv_handle_t *)&s->handle, NULL);
    }
}

static void begin_stop(struct loop *loop, int64_t drain_ms)
{
    atomic_store(&loop->is_stopping, true);
    loop->stop_at_us = clock_mono_us() + drain_ms * 1000;
    stop_listening(loop, false);
    for (struct connection *c = loop->first; c != NULL; c = c->next) {
        if (!c->listener->options.serves_drain) {
            connection__shut(c);
        }
    }
}

/* The last drained connection is gone: now those go who only watched. */
static void call_last(struct loop *loop)
{
    if (loop->is_last_call) {
        return;
    }
    for (struct connection *c = loop->first; c != NULL; c = c->next) {
        if (!c->listener->options.serves_drain) {
            return;
        }
    }
    loop->is_last_call = true;
    stop_listening(loop, true);
    for (struct connection *c = loop->first; c != NULL; c = c->next) {
        connection__say(c, FAREWELL_SHUTDOWN);
    }
}

static void cancel_all(struct loop *loop)
{
    loop->is_cancelled = true;
    for (struct connection *c = loop->first; c != NULL; c = c->next) {
        pthread_mutex_lock(&c->lock);
        if (connection__is_busy(c)) {
            c->listener->options.protocol->cancel(c->state);
        }
        pthread_mutex_unlock(&c->lock);
    }
}

static void go_on_stopping(struct loop *loop, int64_t now_us)
{
    call_last(loop);
    if (loop->first == NULL) {
        close_handles(loop);
        return;
    }
    if (now_us >= loop->stop_at_us && !loop->is_cancelled) {
        log_warn("loop", "%llu connections are still busy: cancelling what they do",
                 (unsigned long long)atomic_load(&loop->connection_count));
        cancel_all(loop);
    }
    if (now_us >= loop->stop_at_us + CUT_US) {
        for (struct connection *c = loop->first; c != NULL; c = c->next) {
            connection__cut(c);
        }
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct loop *loop = timer->data;
    int64_t now_us = clock_mono_us();
    for (struct connection *c = loop->first; c != NULL; c = c->next) {
        connection__tick(c, now_us);
    }
    if (atomic_load(&loop->is_stopping)) {
        go_on_stopping(loop, now_us);
    }
}

/* One by one: who is queued again meanwhile has another place in the list by then. */
static struct connection *take_attention(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    struct connection *connection = loop->attention;
    if (connection != NULL) {
        loop->attention = connection->attention_next;
        connection->is_queued = false;
    }
    pthread_mutex_unlock(&loop->lock);
    return connection;
}

static void on_async(uv_async_t *async)
{
    struct loop *loop = async->data;
    for (struct connection *c; (c = take_attention(loop)) != NULL;) {
        connection__attend(c);
    }
    pthread_mutex_lock(&loop->lock);
    int64_t stop_ms = loop->stop_wanted_ms;
    loop->stop_wanted_ms = -1;
    pthread_mutex_unlock(&loop->lock);
    if (stop_ms >= 0 && !atomic_load(&loop->is_stopping)) {
        begin_stop(loop, stop_ms);
    }
    if (atomic_load(&loop->is_stopping)) {
        go_on_stopping(loop, clock_mono_us());
    }
}

static enum err uv_failed(int status, const char *what, struct errinfo *info)
{
    return errinfo_set(info, ERR_IO, NULL, "%s: %s", what, uv_strerror(status));
}

static enum err open_handles(struct loop *loop, struct errinfo *info)
{
    int status = uv_async_init(&loop->uv, &loop->async, on_async);
    loop->async.data = loop;
    if (status != 0) {
        return uv_failed(status, "the event loop cannot be woken", info);
    }
    (void)uv_timer_init(&loop->uv, &loop->timer); /* cannot fail */
    loop->timer.data = loop;
    (void)uv_timer_start(&loop->timer, on_tick, TICK_MS, TICK_MS);
    return ERR_OK;
}

enum err loop_open(const struct loop_options *options, struct loop **ret_loop, struct errinfo *info)
{
    struct loop *loop = mem_calloc(1, sizeof(*loop));
    if (loop == NULL) {
        return errinfo_nomem(info);
    }
    int status = uv_loop_init(&loop->uv);
    if (status != 0) {
        mem_free(loop);
        return uv_failed(status, "the event loop cannot start", info);
    }
    pthread_mutex_init(&loop->lock, NULL);
    loop->stop_wanted_ms = -1;
    loop->input_bytes_max = options->input_bytes_max;
    loop->scratch = mem_alloc(READ_BYTES);
    enum err err = loop->scratch == NULL ? errinfo_nomem(info) : open_handles(loop, info);
    if (err == ERR_OK) {
        err = workers__open(&loop->workers, options->thread_count_max, info);
    }
    if (err != ERR_OK) {
        loop_close(loop);
        return err;
    }
    *ret_loop = loop;
    return ERR_OK;
}

void loop_close(struct loop *loop)
{
    if (loop == NULL) {
        return;
    }
    ASSERT(loop->first == NULL);
    stop_listening(loop, true);
    if (loop->async.data != NULL) {
        close_handles(loop);
    }
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT); /* the closing of handles */
    int status = uv_loop_close(&loop->uv);
    ASSERT(status == 0);
    if (loop->workers.count_max > 0) {
        workers__close(&loop->workers);
    }
    while (loop->listeners != NULL) {
        struct listener *listener = loop->listeners;
        loop->listeners = listener->next;
        mem_free(listener);
    }
    while (loop->signals != NULL) {
        struct signal_watch *watch = loop->signals;
        loop->signals = watch->next;
        mem_free(watch);
    }
    tls__context_unref(loop->tls);
    pthread_mutex_destroy(&loop->lock);
    mem_free(loop->scratch);
    mem_free(loop);
}

/* ---- listening ---- */

static void on_connection(uv_poll_t *handle, int status, UNUSED int events)
{
    struct listener *listener = handle->data;
    for (int i = 0; status == 0 && i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage from;
        socklen_t len = sizeof(from);
        int fd =
            accept4(listener->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            connection__accept(listener, fd, &from);
        } else if (errno == EMFILE || errno == ENFILE) {
            log_error("loop", "no more files can be open: a connection waits");
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

static enum err bind_socket(struct listener *listener, uint16_t *ret_port, struct errinfo *info)
{
    const struct loop_listener *options = &listener->options;
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(options->port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(options->port)};
    bool is_4 = inet_pton(AF_INET, options->address, &in.sin_addr) == 1;
    if (!is_4 && inet_pton(AF_INET6, options->address, &in6.sin6_addr) != 1) {
        return errinfo_set(info, ERR_INVALID, "22023", "\"%s\" is not an IP address",
                           options->address);
    }
    const struct sockaddr *address = is_4 ? (const void *)&in : (const void *)&in6;
    socklen_t len = is_4 ? sizeof(in) : sizeof(in6);
    int on = 1;
    listener->fd = socket(is_4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0) {
        return errinfo_set(info, ERR_IO, NULL, "no socket: %s", uv_strerror(-errno));
    }
    (void)setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (!is_4) {
        (void)setsockopt(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    }
    if (bind(listener->fd, address, len) != 0 || listen(listener->fd, 1024) != 0) {
        return errinfo_set(info, ERR_IO, NULL, "cannot listen on \"%s\" port %u: %s",
                           options->address, options->port, uv_strerror(-errno));
    }
    struct sockaddr_storage bound;
    len = sizeof(bound);
    if (getsockname(listener->fd, (struct sockaddr *)&bound, &len) == 0 && ret_port != NULL) {
        *ret_port = ntohs(is_4 ? ((const struct sockaddr_in *)(const void *)&bound)->sin_port
                               : ((const struct sockaddr_in6 *)(const void *)&bound)->sin6_port);
    }
    return ERR_OK;
}

enum err loop_listen(struct loop *loop, const struct loop_listener *options, uint16_t *ret_port,
                     struct errinfo *info)
{
    struct listener *listener = mem_calloc(1, sizeof(*listener));
    if (listener == NULL) {
        return errinfo_nomem(info);
    }
    listener->loop = loop;
    listener->options = *options;
    enum err err = bind_socket(listener, ret_port, info);
    int status = err == ERR_OK ? uv_poll_init(&loop->uv, &listener->poll, listener->fd) : 0;
    if (err == ERR_OK && status != 0) {
        err = uv_failed(status, "the socket cannot be watched", info);
    }
    if (err != ERR_OK) {
        if (listener->fd > 0) {
            (void)close(listener->fd);
        }
        mem_free(listener);
        return err;
    }
    listener->poll.data = listener;
    (void)uv_poll_start(&listener->poll, UV_READABLE, on_connection);
    listener->next = loop->listeners;
    loop->listeners = listener;
    return ERR_OK;
}

enum err loop_set_tls(struct loop *loop, const struct loop_tls_files *files, struct errinfo *info)
{
    struct tls_context *fresh;
    TRY(tls__context_new(files, &fresh, info));
    pthread_mutex_lock(&loop->lock);
    struct tls_context *old = loop->tls;
    loop->tls = fresh;
    pthread_mutex_unlock(&loop->lock);
    tls__context_unref(old);
    return ERR_OK;
}

/* ---- running ---- */

static void on_signal(uv_signal_t *handle, int number)
{
    struct signal_watch *watch = handle->data;
    watch->fn(watch->context, number);
}

enum err loop_on_signal(struct loop *loop, int signal_number, loop_signal_fn fn, void *context,
                        struct errinfo *info)
{
    struct signal_watch *watch = mem_calloc(1, sizeof(*watch));
    if (watch == NULL) {
        return errinfo_nomem(info);
    }
    watch->fn = fn;
    watch->context = context;
    int status = uv_signal_init(&loop->uv, &watch->handle);
    if (status != 0) {
        mem_free(watch);
        return uv_failed(status, "signals cannot be watched", info);
    }
    watch->handle.data = watch;
    watch->next = loop->signals;
    loop->signals = watch;
    status = uv_signal_start(&watch->handle, on_signal, signal_number);
    return status == 0 ? ERR_OK : uv_failed(status, "a signal cannot be watched", info);
}

void loop_run(struct loop *loop)
{
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *loop, int64_t drain_ms)
{
    pthread_mutex_lock(&loop->lock);
    loop->stop_wanted_ms = drain_ms;
    pthread_mutex_unlock(&loop->lock);
    (void)uv_async_send(&loop->async);
}

struct loop_counts loop_count(struct loop *loop)
{
    pthread_mutex_lock(&loop->workers.lock);
    uint64_t threads = loop->workers.count;
    pthread_mutex_unlock(&loop->workers.lock);
    return (struct loop_counts){
        .connections = atomic_load(&loop->connection_count),
        .accepted = atomic_load(&loop->accepted),
        .refused = atomic_load(&loop->refused),
        .timeouts = atomic_load(&loop->timeouts),
        .threads = threads,
    };
}

uint64_t loop_count_protocol(const struct loop *loop, const struct loop_protocol *protocol)
{
    uint64_t count = 0;
    for (const struct listener *l = loop->listeners; l != NULL; l = l->next) {
        count += l->options.protocol == protocol ? atomic_load(&l->connection_count) : 0;
    }
    return count;
}
