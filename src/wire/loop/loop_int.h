/* Shapes inside the loop: the loop, a listener, a connection, the workers. */
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "wire/loop/loop.h"

#define READ_BYTES 65536u           /* in one turn of a connection */
#define OUT_BYTES_MAX (256u * 1024) /* unsent, before a writer waits */
#define LINGER_US 5000000           /* for last words to be sent */
#define HOT_US 2000 /* a client that answers this fast is waited for by the worker itself */

struct tls;
struct tls_context;

/* Why a worker is wanted. */
enum job {
    JOB_NONE,
    JOB_WORK,
    JOB_CLOSE,
};

struct listener {
    struct listener *next;
    struct loop *loop;
    struct loop_listener options;
    int fd;
    uv_poll_t poll;
    atomic_uint connection_count; /* written by the loop's thread */
    unsigned login_count;
};

struct connection {
    struct loop *loop;
    struct listener *listener;
    void *state; /* the protocol's */
    uv_poll_t poll;
    int fd;
    /* Loop's thread only. */
    struct connection *next, *previous; /* of all, oldest first */
    int events;                         /* polled now */
    int64_t accepted_us;                /* logins are timed from here: bytes buy no time */
    bool is_closing, is_closed;         /* handle and socket */
    bool is_open_still;                 /* the socket, which a worker has its hands on */
    bool is_counted_login;

    pthread_mutex_t lock; /* for all that follows */
    struct buf in;        /* plain bytes, not yet with a worker */
    struct buf out;       /* wire bytes, from out_sent on unsent */
    size_t out_sent;
    struct tls *tls; /* NULL: plain */
    size_t in_need;  /* what protocol->need said of `in` */
    enum job job;    /* wanted or running */
    enum loop_farewell farewell;
    bool is_ready;
    bool is_first_byte_seen;
    bool is_finishing;      /* nothing more is read; close when all is sent */
    bool is_dead;           /* the socket broke, or is closed */
    bool is_queued;         /* for the loop's attention */
    bool is_paused;         /* not read: enough is there */
    bool is_hot;            /* the last bytes came soon after the answer before */
    bool is_adopted;        /* read by its worker, not by the loop */
    int64_t since_us;       /* of the last byte either way */
    pthread_cond_t drained; /* there is room in `out`, or it is dead */
    int64_t idle_since_us;
    int64_t cut_at_us; /* 0: not */
    struct connection *attention_next;
    struct connection *job_next;
    char peer[INET6_ADDRSTRLEN + 16];
    uint8_t address_len; /* of peer, without the port */
};

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a job came, or the end */
    pthread_cond_t gone;    /* a thread ended */
    struct connection *first, *last;
    unsigned count, idle_count, count_max;
    bool is_ending;
};

struct signal_watch {
    struct signal_watch *next;
    uv_signal_t handle;
    loop_signal_fn fn;
    void *context;
};

struct loop {
    uv_loop_t uv;
    uv_async_t async;
    uv_timer_t timer;
    struct listener *listeners;
    struct signal_watch *signals;
    struct connection *first, *last;
    char *scratch; /* READ_BYTES */
    struct workers workers;
    uint64_t input_bytes_max;
    atomic_ullong input_bytes;
    atomic_ullong connection_count, accepted, refused, timeouts;
    /* Loop's thread. */
    atomic_bool is_stopping; /* written by the loop's thread */
    bool is_cancelled;
    bool is_last_call; /* stopping, and all that is left serves the drain */
    int64_t stop_at_us;

    pthread_mutex_t lock; /* for all that follows */
    struct connection *attention;
    int64_t stop_wanted_ms; /* -1: not */
    struct tls_context *tls;
};

/* ---- connection.c ---- */

void connection__accept(struct listener *listener, int fd, const struct sockaddr_storage *from);
void connection__on_poll(uv_poll_t *handle, int status, int events);
/* What another thread wants of it: writing, closing, reading again. */
void connection__attend(struct connection *connection);
/* Timeouts and the drain. */
void connection__tick(struct connection *connection, int64_t now_us);
void connection__say(struct connection *connection, enum loop_farewell why);
/* FAREWELL_SHUTDOWN, unless something goes on beside `work`: then the next tick asks again. */
void connection__shut(struct connection *connection);
/* With the lock held: `work` runs, or something beside it. */
bool connection__is_busy(const struct connection *connection);
/* Closes the socket now; the rest follows when no worker is in it. */
void connection__cut(struct connection *connection);
/* With the lock held: the worker that has it waits for more bytes by itself. Not `is_hot` after it:
 * none came for a while, or the other end is gone. `scratch`: READ_BYTES. */
void connection__wait(struct connection *connection, char *scratch);
/* Queues it for the loop's thread and wakes that. With the lock held or not. */
void connection__call_loop(struct connection *connection);
void connection__free(struct connection *connection);

/* ---- worker.c ---- */

MUST_USE enum err workers__open(struct workers *workers, unsigned count_max, struct errinfo *info);
void workers__close(struct workers *workers);
/* Is nobody waiting for a thread? */
bool workers__are_free(struct workers *workers);
/* A connection whose `job` was just set. */
void workers__submit(struct workers *workers, struct connection *connection);

/* ---- tls.c ---- */

MUST_USE enum err tls__context_new(const struct loop_tls_files *files,
                                   struct tls_context **ret_context, struct errinfo *info);
struct tls_context *tls__context_ref(struct tls_context *context);
void tls__context_unref(struct tls_context *context);
/* `alpn`: the one protocol name that is agreed to; needed from the client if `must_agree`. */
MUST_USE enum err tls__new(struct tls_context *context, const char *alpn, bool must_agree,
                           struct tls **ret_tls, struct errinfo *info);
void tls__free(struct tls *tls);
/* Wire bytes in; plain bytes are appended to `plain`, wire bytes to be sent to `wire`. False: the
 * connection is over (`wire` may hold an alert). */
MUST_USE bool tls__feed(struct tls *tls, struct slice bytes, struct buf *plain, struct buf *wire);
MUST_USE bool tls__write(struct tls *tls, struct slice plain, struct buf *wire);
void tls__finish(struct tls *tls, struct buf *wire); /* close_notify */
const char *tls__alpn(struct tls *tls);
MUST_USE enum err tls__certificate(struct tls *tls, struct slice *ret_der, struct errinfo *info);
size_t tls__endpoint(struct tls *tls, uint8_t ret_hash[CONNECTION_ENDPOINT_BYTES_MAX]);
