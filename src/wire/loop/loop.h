/* One event loop for all protocols: sockets, TLS, timeouts, workers. Knows no protocol.
 *
 * A connection is a state machine fed with bytes. The loop's one thread accepts, reads, decrypts
 * and writes, and never waits for anything but events. What a protocol does with a message runs on
 * a worker thread, at most one at a time for a connection; what it writes is sent from there as far
 * as the socket takes it, and it waits when too much is unsent: so a slow reader holds up only its
 * own query. Buffers exist only while there are bytes in them. */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"

struct loop;
struct connection;

enum loop_farewell {
    FAREWELL_NONE,
    FAREWELL_FULL,          /* the listener has as many connections as it may */
    FAREWELL_LOGIN_TIMEOUT, /* connection_ready did not come in time */
    FAREWELL_IDLE_TIMEOUT,
    FAREWELL_MESSAGE_TIMEOUT, /* the rest of a message did not come */
    FAREWELL_IDLE_QUERY,      /* see connection_end */
    FAREWELL_SHUTDOWN,
    FAREWELL_NO_MEMORY,
};

/* What the loop asks of a protocol. `open` and `need` run on the loop's thread and may not block;
 * `work`, `farewell` and `close` on a worker's; never two of them at once for one connection. */
struct loop_protocol {
    const char *name;
    const char *alpn;       /* name for TLS without asking first; NULL: not allowed */
    bool is_alpn_optional;  /* TLS without asking first may also come without a name */
    size_t input_bytes_max; /* most that is read ahead of `work` */
    enum err (*open)(void *context, struct connection *connection, void **ret_state,
                     struct errinfo *info);
    /* Bytes that must be there before `work` can do anything; 1 when it is to see any. */
    size_t (*need)(void *state, struct slice input);
    /* Does what whole messages at the start of `input` ask for; gives the bytes consumed. */
    size_t (*work)(void *state, struct slice input);
    /* Something goes on beside `work`, on threads of the protocol's own, which may write: such a
     * connection is neither idle nor drained, and `cancel` stops that too. NULL: nothing does. Any
     * thread; it takes no lock. */
    bool (*is_busy)(void *state);
    /* Last words before the connection is closed. */
    void (*farewell)(void *state, enum loop_farewell why);
    /* Stops what `work` does now. Any thread. */
    void (*cancel)(void *state);
    void (*close)(void *state);
    /* Last words to one that was never opened. */
    void (*refuse)(enum loop_farewell why, struct buf *out);
};

struct loop_options {
    unsigned thread_count_max; /* workers */
    uint64_t input_bytes_max;  /* that all connections together may have unread; 0 = no limit */
};

struct loop_listener {
    const struct loop_protocol *protocol;
    void *context;       /* for protocol->open; outlives the loop */
    const char *address; /* a numeric address */
    uint16_t port;       /* 0: any, see loop_listen */
    unsigned connections_max;
    unsigned logins_max; /* of these, how many may not be ready yet; the oldest gives way */
    int64_t login_timeout_ms;
    int64_t idle_timeout_ms;    /* 0 = never */
    int64_t message_timeout_ms; /* for the rest of a message, and for unsent bytes to move */
    bool serves_drain; /* also while the others drain, which it does not hold up: for who watches */
};

MUST_USE enum err loop_open(const struct loop_options *options, struct loop **ret_loop,
                            struct errinfo *info);
/* After loop_run has returned. */
void loop_close(struct loop *loop);
DEFINE_CLEANUP(struct loop, loop_cleanup, loop_close)

/* Before loop_run. `ret_port` (may be NULL) is the one that was bound. */
MUST_USE enum err loop_listen(struct loop *loop, const struct loop_listener *listener,
                              uint16_t *ret_port, struct errinfo *info);

/* Certificates for all listeners, PEM files. `client_ca` NULL: clients show none; else they must
 * show one that it has signed, or, if that is optional, such a one or none. The old ones stand if
 * this fails. Any thread; connections made from then on use them. */
struct loop_tls_files {
    const char *certificate;
    const char *key;
    const char *client_ca;
    bool client_is_optional;
};
MUST_USE enum err loop_set_tls(struct loop *loop, const struct loop_tls_files *files,
                               struct errinfo *info);

/* Serves until loop_stop has been called and all connections are gone. */
void loop_run(struct loop *loop);

/* Stops accepting; idle connections are told and closed, busy ones after what they do now, or
 * cancelled at the deadline and, 5 seconds after it, cut. Any thread. */
void loop_stop(struct loop *loop, int64_t drain_ms);

/* Calls `fn` on the loop's thread when the process gets `signal_number`. Before loop_run. */
typedef void (*loop_signal_fn)(void *context, int signal_number);
MUST_USE enum err loop_on_signal(struct loop *loop, int signal_number, loop_signal_fn fn,
                                 void *context, struct errinfo *info);

struct loop_counts {
    uint64_t connections; /* open now */
    uint64_t accepted;    /* ever */
    uint64_t refused;
    uint64_t timeouts;
    uint64_t threads;
};
struct loop_counts loop_count(struct loop *loop); /* any thread */
/* Connections of this protocol now. Any thread. */
uint64_t loop_count_protocol(const struct loop *loop, const struct loop_protocol *protocol);

/* ---- for protocols: from `work`, `farewell` or `close`, or while `is_busy` ---- */

/* Sends, or waits until enough is sent that the rest fits the buffer. ERR_IO when the other end is
 * gone; the connection is then closed by the loop. */
MUST_USE enum err connection_write(struct connection *connection, struct slice bytes);

/* False: connection_write would wait now. Only one thread at a time may write. */
bool connection_has_room(struct connection *connection);

/* Waits until connection_write would not wait with 128 KiB, or the time is over: false. For who has
 * something else to look at meanwhile. Counts as a writer. */
MUST_USE bool connection_wait_room(struct connection *connection, int64_t wait_ms);

/* No more is read; closed when all is sent. */
void connection_finish(struct connection *connection);

/* The login is done: from now on the idle timeout counts, not the login's. */
void connection_ready(struct connection *connection);

/* Sends `answer` and speaks TLS from the next byte on. ERR_INVALID if bytes after the request came
 * with it: they were not protected, and the one who sent them need not be the client. `unread`:
 * what `work` has of them. */
bool connection_can_tls(const struct connection *connection);
MUST_USE enum err connection_start_tls(struct connection *connection, struct slice unread,
                                       struct slice answer, struct errinfo *info);
bool connection_is_tls(const struct connection *connection);
/* Name that ALPN chose, "" if none. */
const char *connection_alpn(struct connection *connection);

#define CONNECTION_ENDPOINT_BYTES_MAX 64
/* "tls-server-end-point" (RFC 5929): hash of the certificate shown; 0 bytes without TLS. */
size_t connection_endpoint(struct connection *connection,
                           uint8_t ret_hash[CONNECTION_ENDPOINT_BYTES_MAX]);

/* The certificate (DER) that the client has shown, verified by `client_ca`; empty: none. Good as
 * long as the connection. ERR_NOMEM. */
MUST_USE enum err connection_certificate(struct connection *connection, struct slice *ret_der,
                                         struct errinfo *info);

/* Its end, as loop_stop brings it: what it does now is over first, or cut 5 seconds later. Any
 * thread, as long as the protocol's `close` has not returned. */
void connection_end(struct connection *connection, enum loop_farewell why);

/* "203.0.113.7:5511"; and without the port. Good as long as the connection. */
const char *connection_peer(const struct connection *connection);
struct slice connection_address(const struct connection *connection);
