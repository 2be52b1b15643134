/* One thread accepts, one serves each connection; reads are blocking and end when the peer closes
 * the sockets. It lives in the library because tests of other modules use it too; nothing else
 * refers to it, so no program holds it. */
#include "fetch/testing.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/sweep.h"
#include "fetch/fetch_int.h"

#define CONNECTIONS_MAX 1024u
#define HEAD_BYTES_MAX 65536u

struct served {
    struct fetch_peer *peer;
    pthread_t thread;
    unsigned number;
    int fd;
};

struct fetch_peer {
    fetch_peer_cb answer;
    void *context;
    int listener;
    pthread_t thread;
    pthread_mutex_t lock;
    _Atomic bool is_closing;
    struct served connections[CONNECTIONS_MAX]; /* under `lock` until closing */
    unsigned connection_count;
};

static void pause_ms(struct fetch_peer *peer, int64_t ms)
{
    for (int64_t done = 0; done < ms && !atomic_load(&peer->is_closing); done += 5) {
        int64_t step = ms - done < 5 ? ms - done : 5;
        struct timespec pause = {0, step * 1000000};
        (void)nanosleep(&pause, NULL);
    }
}

static bool send_all(int fd, struct slice bytes)
{
    for (size_t at = 0; at < bytes.len;) {
        ssize_t sent = send(fd, bytes.ptr + at, bytes.len - at, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        at += (size_t)sent;
    }
    return true;
}

static bool read_more(int fd, struct buf *in)
{
    char *room = buf_reserve(in, 16384);
    ssize_t got = room == NULL ? -1 : recv(fd, room, 16384, 0);
    if (got <= 0) {
        return false;
    }
    in->len += (size_t)got;
    return true;
}

/* One whole request in `in`; its length. 0 = the connection ended. */
static size_t read_request(int fd, struct buf *in, struct fetch_peer_request *ret_request)
{
    size_t head_end;
    while ((head_end = slice_find(buf_slice(in), SLICE("\r\n\r\n"))) == SIZE_MAX) {
        if (in->len > HEAD_BYTES_MAX || !read_more(fd, in)) {
            return 0;
        }
    }
    struct slice value;
    uint64_t length = 0;
    if (fetch__find_header((struct slice){in->ptr, head_end}, SLICE("content-length"), &value) &&
        !slice_to_u64(value, &length)) {
        return 0;
    }
    while (in->len < head_end + 4 + length) {
        if (!read_more(fd, in)) {
            return 0;
        }
    }
    const char *space = memchr(in->ptr, ' ', head_end);
    const char *second = space == NULL ? NULL : memchr(space + 1, ' ', head_end);
    ASSERT(second != NULL);
    ret_request->method = (struct slice){in->ptr, (size_t)(space - in->ptr)};
    ret_request->target = (struct slice){space + 1, (size_t)(second - space - 1)};
    ret_request->head = (struct slice){in->ptr, head_end};
    ret_request->body = (struct slice){in->ptr + head_end + 4, length};
    return head_end + 4 + length;
}

static bool send_body(struct served *served, const struct fetch_peer_reply *reply)
{
    struct slice body = buf_slice(&reply->body);
    body.len = reply->cut_bytes > 0 && reply->cut_bytes < body.len ? reply->cut_bytes : body.len;
    size_t piece = reply->piece_bytes > 0 ? reply->piece_bytes : body.len;
    for (size_t at = 0; at < body.len; at += piece) {
        size_t len = body.len - at < piece ? body.len - at : piece;
        if (!send_all(served->fd, (struct slice){body.ptr + at, len})) {
            return false;
        }
        pause_ms(served->peer, reply->pause_ms);
    }
    return reply->cut_bytes == 0;
}

/* True if the connection may go on. */
static bool send_reply(struct served *served, const struct fetch_peer_request *request,
                       const struct fetch_peer_reply *reply)
{
    struct buf head CLEANUP(buf_fini) = {0};
    pause_ms(served->peer, reply->is_hanging ? INT64_MAX : reply->delay_ms);
    if (reply->has_no_answer || atomic_load(&served->peer->is_closing)) {
        return false;
    }
    if (reply->is_garbage) {
        (void)send_body(served, reply);
        return false;
    }
    buf_printf(&head, "HTTP/1.1 %u Status\r\n", reply->status > 0 ? reply->status : 200);
    buf_append_slice(&head, buf_slice(&reply->headers));
    if (!reply->has_no_length && reply->status != 304) {
        buf_printf(&head, "Content-Length: %zu\r\n", reply->body.len);
    }
    buf_append_str(&head, "\r\n");
    if (buf_failed(&head) || !send_all(served->fd, buf_slice(&head))) {
        return false;
    }
    return slice_equal(request->method, SLICE("HEAD")) ||
           (send_body(served, reply) && !reply->has_no_length);
}

static void *serve(void *context)
{
    struct served *served = context;
    fault_spare_thread();
    struct buf in CLEANUP(buf_fini) = {0};
    for (bool is_open = true; is_open;) {
        struct fetch_peer_request request = {.connection = served->number};
        struct fetch_peer_reply reply = {0};
        size_t len = read_request(served->fd, &in, &request);
        is_open = len > 0;
        if (is_open) {
            served->peer->answer(served->peer->context, &request, &reply);
            is_open = send_reply(served, &request, &reply);
            memmove(in.ptr, in.ptr + len, in.len - len);
            in.len -= len;
        }
        buf_fini(&reply.headers);
        buf_fini(&reply.body);
    }
    shutdown(served->fd, SHUT_RDWR); /* closed with the peer, so that its number is not reused */
    return NULL;
}

static void *accept_all(void *context)
{
    struct fetch_peer *peer = context;
    while (!atomic_load(&peer->is_closing)) {
        int fd = accept(peer->listener, NULL, NULL);
        if (fd < 0) {
            continue;
        }
        int on = 1; /* head and body go out as they are written */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        pthread_mutex_lock(&peer->lock);
        ASSERT(peer->connection_count < CONNECTIONS_MAX);
        struct served *served = &peer->connections[peer->connection_count++];
        *served = (struct served){.peer = peer, .number = peer->connection_count, .fd = fd};
        ASSERT(pthread_create(&served->thread, NULL, serve, served) == 0);
        pthread_mutex_unlock(&peer->lock);
    }
    return NULL;
}

struct fetch_peer *fetch_peer_open(fetch_peer_cb answer, void *context, char ret_url[64])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    struct fetch_peer *peer = mem_calloc(1, sizeof(*peer));
    ASSERT(peer != NULL);
    peer->answer = answer;
    peer->context = context;
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT(bind(peer->listener, (struct sockaddr *)&address, sizeof(address)) == 0);
    ASSERT(listen(peer->listener, 128) == 0);
    ASSERT(getsockname(peer->listener, (struct sockaddr *)&address, &len) == 0);
    pthread_mutex_init(&peer->lock, NULL);
    (void)snprintf(ret_url, 64, "http://127.0.0.1:%u", ntohs(address.sin_port));
    ASSERT(pthread_create(&peer->thread, NULL, accept_all, peer) == 0);
    return peer;
}

unsigned fetch_peer_connection_count(struct fetch_peer *peer)
{
    pthread_mutex_lock(&peer->lock);
    unsigned count = peer->connection_count;
    pthread_mutex_unlock(&peer->lock);
    return count;
}

void fetch_peer_close(struct fetch_peer *peer)
{
    if (peer == NULL) {
        return;
    }
    atomic_store(&peer->is_closing, true);
    shutdown(peer->listener, SHUT_RDWR);
    ASSERT(pthread_join(peer->thread, NULL) == 0);
    close(peer->listener);
    for (unsigned i = 0; i < peer->connection_count; i++) {
        shutdown(peer->connections[i].fd, SHUT_RDWR);
        ASSERT(pthread_join(peer->connections[i].thread, NULL) == 0);
        close(peer->connections[i].fd);
    }
    pthread_mutex_destroy(&peer->lock);
    mem_free(peer);
}

struct slice fetch_peer_header(const struct fetch_peer_request *request, const char *name)
{
    struct slice value;
    return fetch__find_header(request->head, slice_of(name), &value) ? value : (struct slice){0};
}
