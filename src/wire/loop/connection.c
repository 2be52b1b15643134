/* One connection: its socket, its buffers, and whose turn it is.
 *
 * The loop's thread reads ahead while a worker works, up to a bound, so that a pipeline never waits
 * for a hand-over. A worker sends by itself as long as nothing is unsent; the loop takes over when
 * the socket is full. Everything that both touch is under the connection's lock. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "wire/loop/loop_int.h"

#define AHEAD_BYTES_MAX (4 * READ_BYTES) /* read while a worker is busy */
#define TLS_HANDSHAKE_RECORD 0x16
#define WAIT_MS 10 /* for a hot client */

static void close_socket(struct connection *connection);
static void finalise(struct connection *connection);

/* ---- sending ---- */

/* With the lock held: as much as the socket takes. */
static void send_some(struct connection *connection)
{
    struct buf *out = &connection->out;
    while (!connection->is_dead && connection->out_sent < out->len) {
        ssize_t sent = send(connection->fd, out->ptr + connection->out_sent,
                            out->len - connection->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            connection->out_sent += (size_t)sent;
            connection->since_us = clock_mono_us();
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            break;
        } else if (errno != EINTR) {
            connection->is_dead = true;
        }
    }
    if (connection->is_dead || connection->out_sent == out->len) {
        buf_fini(out);
        connection->out_sent = 0;
    } else if (connection->out_sent > READ_BYTES) {
        memmove(out->ptr, out->ptr + connection->out_sent, out->len - connection->out_sent);
        out->len -= connection->out_sent;
        connection->out_sent = 0;
    }
}

/* With the lock held and nothing unsent: what the socket takes, without a copy. */
static size_t send_directly(struct connection *connection, struct slice bytes)
{
    for (;;) {
        ssize_t sent = send(connection->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            return (size_t)sent;
        }
        if (errno != EINTR) {
            connection->is_dead = errno != EAGAIN && errno != EWOULDBLOCK;
            return 0;
        }
    }
}

static size_t unsent(const struct connection *connection)
{
    return connection->out.len - connection->out_sent;
}

/* With the lock held. */
static bool append_out(struct connection *connection, struct slice bytes)
{
    if (connection->tls != NULL) {
        return tls__write(connection->tls, bytes, &connection->out) &&
               !buf_failed(&connection->out);
    }
    buf_append_slice(&connection->out, bytes);
    return !buf_failed(&connection->out);
}

enum err connection_write(struct connection *connection, struct slice bytes)
{
    enum err err = ERR_OK;
    pthread_mutex_lock(&connection->lock);
    while (bytes.len > 0 && err == ERR_OK) {
        size_t len = bytes.len < READ_BYTES ? bytes.len : READ_BYTES;
        while (!connection->is_dead && unsent(connection) >= OUT_BYTES_MAX) {
            pthread_cond_wait(&connection->drained, &connection->lock);
        }
        bool was_empty = unsent(connection) == 0;
        if (was_empty && connection->tls == NULL && !connection->is_dead) {
            connection->since_us = clock_mono_us(); /* it starts to wait now, if it must */
            size_t sent = send_directly(connection, bytes);
            bytes.ptr += sent;
            bytes.len -= sent;
            len = bytes.len < READ_BYTES ? bytes.len : READ_BYTES;
        }
        if (!connection->is_dead && !append_out(connection, (struct slice){bytes.ptr, len})) {
            connection->is_dead = true;
        }
        if (was_empty && connection->tls != NULL) {
            connection->since_us = clock_mono_us();
            send_some(connection);
        }
        if (connection->is_dead) {
            connection__call_loop(connection);
            err = ERR_IO;
        } else if (was_empty && unsent(connection) > 0) {
            connection__call_loop(connection); /* to be told when there is room */
        }
        bytes.ptr += len;
        bytes.len -= len;
    }
    pthread_mutex_unlock(&connection->lock);
    return err;
}

bool connection_has_room(struct connection *connection)
{
    pthread_mutex_lock(&connection->lock);
    bool has = connection->is_dead || unsent(connection) == 0;
    pthread_mutex_unlock(&connection->lock);
    return has;
}

bool connection_wait_room(struct connection *connection, int64_t wait_ms)
{
    int64_t until_us = clock_mono_us() + wait_ms * 1000;
    pthread_mutex_lock(&connection->lock);
    while (!connection->is_dead && unsent(connection) >= OUT_BYTES_MAX / 2 &&
           clock_wait(&connection->drained, &connection->lock, until_us)) {
    }
    bool has = connection->is_dead || unsent(connection) < OUT_BYTES_MAX / 2;
    pthread_mutex_unlock(&connection->lock);
    return has;
}

bool connection__is_busy(const struct connection *connection)
{
    const struct loop_protocol *protocol = connection->listener->options.protocol;
    bool is_working = connection->job == JOB_WORK;
    return connection->state != NULL &&
           (is_working || (connection->job == JOB_NONE && protocol->is_busy != NULL &&
                           protocol->is_busy(connection->state)));
}

void connection_finish(struct connection *connection)
{
    pthread_mutex_lock(&connection->lock);
    if (!connection->is_finishing && connection->tls != NULL && !connection->is_dead) {
        tls__finish(connection->tls, &connection->out);
        send_some(connection);
    }
    connection->is_finishing = true;
    connection__call_loop(connection);
    pthread_mutex_unlock(&connection->lock);
}

void connection_ready(struct connection *connection)
{
    pthread_mutex_lock(&connection->lock);
    connection->is_ready = true;
    connection__call_loop(connection);
    pthread_mutex_unlock(&connection->lock);
}

/* ---- TLS ---- */

static struct tls_context *current_tls(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    struct tls_context *context = loop->tls == NULL ? NULL : tls__context_ref(loop->tls);
    pthread_mutex_unlock(&loop->lock);
    return context;
}

bool connection_can_tls(const struct connection *connection)
{
    struct loop *loop = connection->loop;
    pthread_mutex_lock(&loop->lock);
    bool can = loop->tls != NULL;
    pthread_mutex_unlock(&loop->lock);
    return can;
}

/* With the lock held. */
static enum err start_tls(struct connection *connection, bool is_direct, struct errinfo *info)
{
    struct tls_context *context = current_tls(connection->loop);
    if (context == NULL) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL, "this server has no TLS certificate");
    }
    const struct loop_protocol *protocol = connection->listener->options.protocol;
    bool must_agree = is_direct && !protocol->is_alpn_optional;
    enum err err = tls__new(context, protocol->alpn, must_agree, &connection->tls, info);
    tls__context_unref(context);
    return err;
}

enum err connection_start_tls(struct connection *connection, struct slice unread,
                              struct slice answer, struct errinfo *info)
{
    pthread_mutex_lock(&connection->lock);
    enum err err = ERR_OK;
    if (unread.len > 0 || connection->in.len > 0 || connection->tls != NULL) {
        err = errinfo_set(info, ERR_INVALID, "08P01",
                          "unencrypted data was received after the request for encryption");
    } else if (append_out(connection, answer)) {
        send_some(connection);
        err = start_tls(connection, false, info);
    } else {
        err = errinfo_nomem(info);
    }
    pthread_mutex_unlock(&connection->lock);
    return err;
}

bool connection_is_tls(const struct connection *connection)
{
    return connection->tls != NULL;
}

const char *connection_alpn(struct connection *connection)
{
    pthread_mutex_lock(&connection->lock);
    const char *name = connection->tls == NULL ? "" : tls__alpn(connection->tls);
    pthread_mutex_unlock(&connection->lock);
    return name;
}

size_t connection_endpoint(struct connection *connection,
                           uint8_t ret_hash[CONNECTION_ENDPOINT_BYTES_MAX])
{
    pthread_mutex_lock(&connection->lock);
    size_t len = connection->tls == NULL ? 0 : tls__endpoint(connection->tls, ret_hash);
    pthread_mutex_unlock(&connection->lock);
    return len;
}

enum err connection_certificate(struct connection *connection, struct slice *ret_der,
                                struct errinfo *info)
{
    enum err err = ERR_OK;
    *ret_der = (struct slice){"", 0};
    pthread_mutex_lock(&connection->lock);
    if (connection->tls != NULL) {
        err = tls__certificate(connection->tls, ret_der, info);
    }
    pthread_mutex_unlock(&connection->lock);
    return err;
}

const char *connection_peer(const struct connection *connection)
{
    return connection->peer;
}

struct slice connection_address(const struct connection *connection)
{
    return (struct slice){connection->peer, connection->address_len};
}

/* ---- the loop's thread ---- */

void connection__call_loop(struct connection *connection)
{
    struct loop *loop = connection->loop;
    pthread_mutex_lock(&loop->lock);
    bool was_queued = connection->is_queued;
    if (!was_queued) {
        connection->is_queued = true;
        connection->attention_next = loop->attention;
        loop->attention = connection;
    }
    pthread_mutex_unlock(&loop->lock);
    if (!was_queued) {
        (void)uv_async_send(&loop->async);
    }
}

/* With the lock held. */
static void want_job(struct connection *connection, enum job job)
{
    ASSERT(connection->job == JOB_NONE);
    connection->job = job;
    workers__submit(&connection->loop->workers, connection);
}

void connection__say(struct connection *connection, enum loop_farewell why)
{
    pthread_mutex_lock(&connection->lock);
    if (connection->farewell == FAREWELL_NONE && !connection->is_dead &&
        !connection->is_finishing && connection->state != NULL) {
        connection->farewell = why;
        if (connection->job == JOB_NONE) {
            want_job(connection, JOB_WORK);
        }
    }
    pthread_mutex_unlock(&connection->lock);
}

void connection__shut(struct connection *connection)
{
    pthread_mutex_lock(&connection->lock);
    bool goes_on = connection->job == JOB_NONE && connection__is_busy(connection);
    pthread_mutex_unlock(&connection->lock);
    if (!goes_on) {
        connection__say(connection, FAREWELL_SHUTDOWN);
    }
}

void connection_end(struct connection *connection, enum loop_farewell why)
{
    pthread_mutex_lock(&connection->lock);
    connection->cut_at_us = clock_mono_us() + LINGER_US;
    pthread_mutex_unlock(&connection->lock);
    connection__say(connection, why);
}

/* With the lock held: what to wait for, and whether the end has come. */
static bool settle(struct connection *connection)
{
    if (connection->is_dead ||
        (connection->is_finishing && unsent(connection) == 0 && connection->job == JOB_NONE)) {
        return false;
    }
    if (connection->is_ready && connection->is_counted_login) {
        connection->is_counted_login = false;
        connection->listener->login_count--;
    }
    bool is_working = connection->job != JOB_NONE;
    connection->is_paused =
        connection->is_finishing || (connection->in.len >= AHEAD_BYTES_MAX &&
                                     (is_working || connection->in.len >= connection->in_need));
    bool is_read = !connection->is_paused && !connection->is_adopted;
    int events =
        UV_DISCONNECT | (is_read ? UV_READABLE : 0) | (unsent(connection) > 0 ? UV_WRITABLE : 0);
    if (events != connection->events) {
        connection->events = events;
        (void)uv_poll_start(&connection->poll, events, connection__on_poll);
    }
    if (unsent(connection) < OUT_BYTES_MAX / 2) {
        pthread_cond_signal(&connection->drained);
    }
    return true;
}

void connection__cut(struct connection *connection)
{
    pthread_mutex_lock(&connection->lock);
    connection->is_dead = true;
    pthread_cond_signal(&connection->drained);
    if (connection__is_busy(connection)) {
        connection->listener->options.protocol->cancel(connection->state);
    }
    pthread_mutex_unlock(&connection->lock);
    close_socket(connection);
}

void connection__attend(struct connection *connection)
{
    pthread_mutex_lock(&connection->lock);
    bool goes_on = settle(connection);
    pthread_mutex_unlock(&connection->lock);
    if (!goes_on) {
        connection__cut(connection);
        finalise(connection);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    pthread_mutex_lock(&connection->lock);
    connection->is_open_still = connection->is_adopted;
    (void)(connection->is_adopted ? shutdown(connection->fd, SHUT_RDWR) : close(connection->fd));
    pthread_mutex_unlock(&connection->lock);
    connection->is_closed = true;
    finalise(connection);
}

static void close_socket(struct connection *connection)
{
    if (!connection->is_closing) {
        connection->is_closing = true;
        (void)uv_poll_stop(&connection->poll);
        uv_close((uv_handle_t *)&connection->poll, on_closed);
    }
}

/* Once the socket is closed and no worker is in it, the protocol's part is closed by a worker, and
 * then all is freed. */
static void finalise(struct connection *connection)
{
    if (!connection->is_closed) {
        return;
    }
    pthread_mutex_lock(&connection->lock);
    bool is_free = connection->job == JOB_NONE && connection->state == NULL;
    if (connection->job == JOB_NONE && connection->state != NULL) {
        want_job(connection, JOB_CLOSE);
    }
    pthread_mutex_lock(&connection->loop->lock);
    is_free = is_free && !connection->is_queued;
    pthread_mutex_unlock(&connection->loop->lock);
    pthread_mutex_unlock(&connection->lock);
    if (is_free) {
        connection__free(connection);
    }
}

void connection__free(struct connection *connection)
{
    struct loop *loop = connection->loop;
    *(connection->previous == NULL ? &loop->first : &connection->previous->next) = connection->next;
    *(connection->next == NULL ? &loop->last : &connection->next->previous) = connection->previous;
    connection->listener->connection_count--;
    connection->listener->login_count -= connection->is_counted_login;
    atomic_fetch_sub(&loop->connection_count, 1);
    atomic_fetch_sub(&loop->input_bytes, connection->in.len);
    if (connection->is_open_still) {
        (void)close(connection->fd);
    }
    buf_fini(&connection->in);
    buf_fini(&connection->out);
    tls__free(connection->tls);
    pthread_cond_destroy(&connection->drained);
    pthread_mutex_destroy(&connection->lock);
    mem_free(connection);
}

/* ---- receiving ---- */

/* With the lock held: plain bytes into `in`. False: the connection is over. */
static bool take_bytes(struct connection *connection, struct slice bytes)
{
    const struct loop_protocol *protocol = connection->listener->options.protocol;
    if (!connection->is_first_byte_seen) {
        connection->is_first_byte_seen = true;
        if (bytes.ptr[0] == TLS_HANDSHAKE_RECORD && protocol->alpn != NULL &&
            start_tls(connection, true, NULL) != ERR_OK) {
            return false;
        }
    }
    size_t before = connection->in.len;
    bool goes_on = true;
    if (connection->tls != NULL) {
        goes_on = tls__feed(connection->tls, bytes, &connection->in, &connection->out);
        send_some(connection);
    } else {
        buf_append_slice(&connection->in, bytes);
    }
    atomic_fetch_add(&connection->loop->input_bytes, connection->in.len - before);
    return goes_on && !connection->is_dead && !buf_failed(&connection->in);
}

/* With the lock held. */
static void wake_worker(struct connection *connection)
{
    const struct loop_protocol *protocol = connection->listener->options.protocol;
    struct loop *loop = connection->loop;
    if (loop->input_bytes_max != 0 && atomic_load(&loop->input_bytes) > loop->input_bytes_max &&
        connection->in.len > READ_BYTES && connection->farewell == FAREWELL_NONE) {
        connection->farewell = FAREWELL_NO_MEMORY; /* to one of those who hold it */
    }
    if (connection->job != JOB_NONE || connection->state == NULL) {
        return;
    }
    if (connection->in.len >= connection->in_need && connection->in.len > 0) {
        connection->in_need = protocol->need(connection->state, buf_slice(&connection->in));
    }
    if (connection->farewell != FAREWELL_NONE ||
        (connection->in.len > 0 && connection->in.len >= connection->in_need)) {
        want_job(connection, JOB_WORK);
    }
}

/* READ_BYTES at most; below 0: minus errno. */
static ssize_t read_some(const struct connection *connection, char *scratch, int flags)
{
    ssize_t got = recv(connection->fd, scratch, READ_BYTES, flags);
    return got < 0 ? -errno : got;
}

/* With the lock held: what was read. False: it is over. */
static bool take_read(struct connection *connection, const char *scratch, ssize_t got)
{
    if (got < 0) {
        return got == -EAGAIN || got == -EWOULDBLOCK || got == -EINTR;
    }
    if (got == 0) {
        return false;
    }
    connection->since_us = clock_mono_us();
    return take_bytes(connection, (struct slice){scratch, (size_t)got});
}

static bool receive(struct connection *connection)
{
    bool goes_on = true;
    pthread_mutex_lock(&connection->lock);
    if (!connection->is_adopted) { /* else it was still watched for what is not ours */
        char *scratch = connection->loop->scratch;
        goes_on = take_read(connection, scratch, read_some(connection, scratch, MSG_DONTWAIT));
        connection->is_hot = connection->since_us - connection->idle_since_us < HOT_US;
        if (goes_on) {
            wake_worker(connection);
        }
    }
    pthread_mutex_unlock(&connection->lock);
    return goes_on;
}

/* A client that asks again as soon as it has its answer would cost two hand-overs a message, from
 * the loop to a worker and back; so its worker waits for it as a thread of its own would: in recv,
 * which the socket lets take WAIT_MS. Nobody else reads meanwhile, so it needs no lock. */
void connection__wait(struct connection *connection, char *scratch)
{
    size_t before = connection->in.len;
    connection->is_adopted = true;
    pthread_mutex_unlock(&connection->lock);
    ssize_t got = read_some(connection, scratch, 0);
    pthread_mutex_lock(&connection->lock);
    if (!connection->is_dead && !take_read(connection, scratch, got)) {
        connection->is_dead = true;
        connection__call_loop(connection);
    }
    connection->is_hot = connection->in.len > before;
}

void connection__on_poll(uv_poll_t *handle, int status, int events)
{
    struct connection *connection = handle->data;
    bool goes_on = status == 0;
    if (goes_on && (events & UV_WRITABLE) != 0) {
        pthread_mutex_lock(&connection->lock);
        send_some(connection);
        pthread_mutex_unlock(&connection->lock);
    }
    if (goes_on && (events & UV_READABLE) != 0) {
        goes_on = receive(connection);
    } else if (goes_on && (events & UV_DISCONNECT) != 0) {
        goes_on = false;
    }
    if (!goes_on) {
        connection__cut(connection);
        return;
    }
    connection__attend(connection);
}

/* ---- accepting ---- */

static void print_peer(struct connection *connection, const struct sockaddr_storage *from)
{
    char host[INET6_ADDRSTRLEN] = "";
    uint16_t port = 0;
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)from;
        (void)inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
        port = ntohs(in->sin_port);
    } else if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)from;
        (void)inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
        port = ntohs(in6->sin6_port);
    }
    (void)snprintf(connection->peer, sizeof(connection->peer), "%s:%u", host, port);
    connection->address_len = (uint8_t)strlen(host);
}

static void refuse(struct listener *listener, int fd, enum loop_farewell why)
{
    struct buf out CLEANUP(buf_fini) = {0};
    listener->options.protocol->refuse(why, &out);
    (void)send(fd, buf_cstr(&out), out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)shutdown(fd, SHUT_WR);
    (void)close(fd);
    atomic_fetch_add(&listener->loop->refused, 1);
}

/* Slots for logins go round: whoever has taken longest gives way. */
static void make_room(struct listener *listener)
{
    if (listener->login_count < listener->options.logins_max) {
        return;
    }
    for (struct connection *c = listener->loop->first; c != NULL; c = c->next) {
        if (c->listener == listener && c->is_counted_login && !c->is_closing) {
            c->is_counted_login = false;
            listener->login_count--;
            atomic_fetch_add(&listener->loop->timeouts, 1);
            connection__say(c, FAREWELL_LOGIN_TIMEOUT);
            return;
        }
    }
}

static bool open_connection(struct connection *connection)
{
    const struct loop_listener *options = &connection->listener->options;
    struct errinfo info;
    int on = 1;
    struct timeval wait = {.tv_usec = WAIT_MS * 1000};
    (void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(connection->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    if (uv_poll_init(&connection->loop->uv, &connection->poll, connection->fd) != 0) {
        return false;
    }
    /* Each call says whether it may wait; only a worker's does, and not without a limit. */
    int flags = fcntl(connection->fd, F_GETFL);
    if (setsockopt(connection->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) == 0 &&
        flags >= 0) {
        (void)fcntl(connection->fd, F_SETFL, flags & ~O_NONBLOCK);
    }
    connection->poll.data = connection;
    if (options->protocol->open(options->context, connection, &connection->state, &info) !=
        ERR_OK) {
        connection->state = NULL;
        log_warn("loop", "a connection from %s is refused: %s", connection->peer, info.message);
        connection__cut(connection);
    } else {
        connection__attend(connection);
    }
    return true;
}

void connection__accept(struct listener *listener, int fd, const struct sockaddr_storage *from)
{
    struct loop *loop = listener->loop;
    if (listener->connection_count >= listener->options.connections_max) {
        refuse(listener, fd, FAREWELL_FULL);
        return;
    }
    make_room(listener);
    struct connection *connection = mem_calloc(1, sizeof(*connection));
    if (connection == NULL) {
        refuse(listener, fd, FAREWELL_NO_MEMORY);
        return;
    }
    connection->loop = loop;
    connection->listener = listener;
    connection->fd = fd;
    connection->accepted_us = clock_mono_us();
    connection->since_us = connection->accepted_us;
    connection->idle_since_us = connection->accepted_us;
    connection->in_need = 1;
    pthread_mutex_init(&connection->lock, NULL);
    pthread_cond_init(&connection->drained, NULL);
    print_peer(connection, from);
    connection->previous = loop->last;
    *(loop->last == NULL ? &loop->first : &loop->last->next) = connection;
    loop->last = connection;
    listener->connection_count++;
    listener->login_count++;
    connection->is_counted_login = true;
    atomic_fetch_add(&loop->connection_count, 1);
    atomic_fetch_add(&loop->accepted, 1);
    if (!open_connection(connection)) {
        (void)close(fd);
        connection__free(connection);
    }
}

/* ---- time ---- */

/* With the lock held: what is overdue, if anything. */
static enum loop_farewell overdue(const struct connection *connection, int64_t now_us)
{
    const struct loop_listener *options = &connection->listener->options;
    if (!connection->is_ready) {
        return now_us - connection->accepted_us > options->login_timeout_ms * 1000
                   ? FAREWELL_LOGIN_TIMEOUT
                   : FAREWELL_NONE;
    }
    if (connection->job != JOB_NONE || connection__is_busy(connection)) {
        return FAREWELL_NONE;
    }
    int64_t idle_us =
        now_us - (connection->idle_since_us > connection->since_us ? connection->idle_since_us
                                                                   : connection->since_us);
    if (connection->in.len > 0 && idle_us > options->message_timeout_ms * 1000) {
        return FAREWELL_MESSAGE_TIMEOUT;
    }
    return options->idle_timeout_ms != 0 && idle_us > options->idle_timeout_ms * 1000
               ? FAREWELL_IDLE_TIMEOUT
               : FAREWELL_NONE;
}

void connection__tick(struct connection *connection, int64_t now_us)
{
    const struct loop_listener *options = &connection->listener->options;
    if (connection->is_closing) {
        return;
    }
    pthread_mutex_lock(&connection->lock);
    enum loop_farewell why = overdue(connection, now_us);
    int64_t quiet_us = now_us - connection->since_us;
    bool is_stalled =
        (unsent(connection) > 0 && quiet_us > options->message_timeout_ms * 1000) ||
        (connection->is_finishing && quiet_us > LINGER_US) ||
        (connection->cut_at_us != 0 && now_us > connection->cut_at_us) ||
        (why == FAREWELL_LOGIN_TIMEOUT &&
         now_us - connection->accepted_us > options->login_timeout_ms * 1000 + LINGER_US);
    pthread_mutex_unlock(&connection->lock);
    if (is_stalled) {
        connection__cut(connection);
    } else if (why != FAREWELL_NONE) {
        atomic_fetch_add(&connection->loop->timeouts, 1);
        connection__say(connection, why);
    } else if (atomic_load(&connection->loop->is_stopping) && !options->serves_drain) {
        connection__shut(connection);
    }
}
