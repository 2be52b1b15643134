/* Of this module's files: a server, a connection, a call. */
#pragma once

#include <nghttp2/nghttp2.h>
#include <pthread.h>
#include <stdatomic.h>

#include "wire/grpc/grpc.h"

enum {
    GRPC_PREFIX_BYTES = 5,            /* of a message: compressed or not, length */
    GRPC_STREAMS_MAX = 100,           /* calls of one connection */
    GRPC_STREAMS_MAX_STRANGER = 16,   /* before anybody has signed in */
    GRPC_FIELDS_MAX = 64,             /* of a request's metadata */
    GRPC_FIELD_BYTES_MAX = 64 * 1024, /* all of them */
    GRPC_WINDOW_BYTES = 1 << 20,      /* that a call may send ahead of its reader */
    GRPC_CONNECTION_WINDOW_BYTES = 4 << 20,
    GRPC_OUT_BYTES_MAX = 1 << 20, /* of a call, unsent, before its writer waits */
    GRPC_SEND_BYTES = 256 * 1024, /* in one turn */
};

struct grpc_method_entry {
    struct grpc_method_entry *next;
    const char *path;
    grpc_method_fn fn;
    void *context;
};

struct grpc_server {
    struct grpc_options options;
    struct grpc_method_entry *methods;
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *nghttp2_options;
    pthread_attr_t thread_attributes;
    pthread_mutex_t lock;           /* for all that follows; after a connection's */
    pthread_cond_t wanted;          /* a call waits for a thread, or the end */
    pthread_cond_t tick;            /* the minder's */
    pthread_cond_t gone;            /* a thread has ended */
    struct grpc_call *first, *last; /* wait for a thread */
    unsigned waiting_count;
    unsigned thread_count, idle_count;
    unsigned stranger_count;  /* calls that have a thread, of nobody in particular */
    struct grpc_call *minded; /* have a thread */
    pthread_t minder;
    bool has_minder;
    bool is_closing;
};

struct grpc_part {
    struct grpc_part *next;
    struct buf bytes;
    size_t sent;
};

struct grpc_text {
    struct grpc_text *next;
    struct slice name, value;
};

enum grpc_end {
    GRPC_END_NONE,
    GRPC_END_CLIENT, /* it has reset the stream, or is gone */
    GRPC_END_DEADLINE,
};

struct grpc_connection {
    struct grpc_server *server;
    struct connection *wire;
    atomic_uint call_count; /* streams that are open, and threads: not idle */
    void *state;            /* of methods, under state_lock */
    pthread_mutex_t state_lock;
    pthread_mutex_t lock; /* for all that follows; never held across a call of the loop's */
    pthread_cond_t changed;
    nghttp2_session *session;
    struct grpc_call *calls;
    struct buf out;        /* what is being sent; the sender's alone while is_sending */
    unsigned thread_count; /* methods at work */
    bool is_sending;
    bool is_sender_wanted; /* a call's thread is to send: the reader must not wait */
    bool is_broken;
    bool is_signed_in;
};

struct grpc_call {
    struct grpc_call *next, *previous;               /* of the connection */
    struct grpc_call *queue_next;                    /* waits for a thread; the server's lock */
    struct grpc_call *minded_next, *minded_previous; /* the server's lock */
    struct grpc_connection *on;
    const struct grpc_method_entry *method;
    int32_t stream_id;
    /* The request's; not written to once the call is dispatched. */
    struct buf field_bytes;
    struct grpc_field {
        size_t name_at, name_len, value_at, value_len;
    } fields[GRPC_FIELDS_MAX];
    size_t field_count;
    int64_t deadline_us; /* 0: none */
    bool is_refused;     /* its fields are too many, or too long */
    bool is_dispatched;
    /* Under the connection's lock. */
    bool has_thread;
    bool is_stranger; /* nobody had signed in when it came; the server's lock */
    bool is_closed;   /* the stream is gone */
    bool is_in_ended;
    bool is_begun;    /* the answer's head was submitted */
    bool is_finished; /* the status is known */
    bool is_end_out;  /* the end of the answer is with who sends */
    bool is_sent;     /* and has been written: that its client leaves is no end before its time */
    struct buf in;
    size_t in_at;
    size_t unconsumed; /* of the windows */
    struct grpc_part *out_first, *out_last;
    size_t out_bytes;
    struct grpc_text *headers, *trailers;
    enum grpc_status status;
    char *status_text; /* percent-encoded */
    /* Under cancel_lock, the innermost. */
    pthread_mutex_t cancel_lock;
    enum grpc_end end;
    void (*cancel)(void *context);
    void *cancel_context;
};

/* ---- grpc_session.c: HTTP/2. With the connection's lock held. ---- */

MUST_USE enum err grpc__callbacks(struct grpc_server *server, struct errinfo *info);
MUST_USE enum err grpc__session_open(struct grpc_connection *on, struct errinfo *info);
/* Sends what there is; gives the lock up while it does. `may_wait` false: the thread that reads. */
void grpc__flush(struct grpc_connection *on, bool may_wait);
void grpc__submit_head(struct grpc_call *call);
/* The answer is its status. */
void grpc__submit_status(struct grpc_call *call);
void grpc__resume(struct grpc_call *call);
void grpc__consume(struct grpc_call *call);
/* Its client takes nothing: what is left is not sent. */
void grpc__give_up(struct grpc_call *call);

/* ---- grpc_call.c ---- */

struct grpc_call *grpc__call_new(struct grpc_connection *on, int32_t stream_id);
/* The head is there: the method gets a thread, or the call its status. */
void grpc__call_dispatch(struct grpc_call *call);
void grpc__call_end(struct grpc_call *call, enum grpc_end end);
/* Frees it if nobody has it any more. */
void grpc__call_settle(struct grpc_call *call);
void grpc__finish_locked(struct grpc_call *call, enum grpc_status status, struct slice message);

/* ---- grpc_threads.c ---- */

/* False: there are as many as there may be. */
MUST_USE bool grpc__threads_submit(struct grpc_server *server, struct grpc_call *call);
MUST_USE enum err grpc__threads_open(struct grpc_server *server, struct errinfo *info);
void grpc__threads_close(struct grpc_server *server);
/* On a thread: the method, and what must follow it. */
void grpc__call_run(struct grpc_call *call);
