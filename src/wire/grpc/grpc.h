/* gRPC over HTTP/2: calls to methods, messages both ways, a status at the end.
 *
 * One connection carries many calls. Bytes are nghttp2's; each call has a thread of its own while
 * its method runs, so a method may wait for rows, for its client, or for messages to be taken. */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"
#include "wire/loop/loop.h"

struct grpc_server;
struct grpc_call;

/* "Status codes and their use in gRPC". */
enum grpc_status {
    GRPC_OK = 0,
    GRPC_CANCELLED = 1,
    GRPC_UNKNOWN = 2,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_NOT_FOUND = 5,
    GRPC_ALREADY_EXISTS = 6,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_FAILED_PRECONDITION = 9,
    GRPC_ABORTED = 10,
    GRPC_OUT_OF_RANGE = 11,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_DATA_LOSS = 15,
    GRPC_UNAUTHENTICATED = 16,
};

struct grpc_options {
    bool is_tls_required;
    size_t message_bytes_max;   /* of one that a client sends */
    unsigned threads_max;       /* calls at work at once; one more is refused. Half of them may be
                               * on connections where nobody has signed in */
    int64_t message_timeout_ms; /* without a byte of a call moving, either way */
    void (*close_state)(void *state); /* of what methods keep with a connection */
};

MUST_USE enum err grpc_server_open(const struct grpc_options *options,
                                   struct grpc_server **ret_server, struct errinfo *info);
void grpc_server_close(struct grpc_server *server); /* after the loop */

/* Answers with grpc_finish, once, before it returns. */
typedef void (*grpc_method_fn)(void *context, struct grpc_call *call);
/* `path` is a literal: "/package.Service/Method". Before the loop runs. */
MUST_USE enum err grpc_method(struct grpc_server *server, const char *path, grpc_method_fn fn,
                              void *context, struct errinfo *info);

/* Its context is a grpc_server. */
extern const struct loop_protocol grpc_protocol;

/* ---- in a method, on the call's thread ---- */

/* A field of the request's metadata, the first of that name (lower case). Good until the end. */
bool grpc_field(const struct grpc_call *call, struct slice name, struct slice *ret_value);
bool grpc_field_at(const struct grpc_call *call, struct slice name, size_t index,
                   struct slice *ret_value);
struct connection *grpc_connection(const struct grpc_call *call);
/* What methods keep with the connection: under its lock. Closed with it. */
void grpc_state_lock(struct grpc_call *call);
void grpc_state_unlock(struct grpc_call *call);
void *grpc_state(const struct grpc_call *call);
void grpc_set_state(struct grpc_call *call, void *state);
/* Somebody has signed in: the loop's login timeout no longer counts. */
void grpc_signed_in(struct grpc_call *call);

/* The next message into `message`, which is emptied first. At the end of what the client sends,
 * `ret_is_end`. ERR_CANCELLED (57014): the call is over, by its client; ERR_TIMEOUT: by its
 * deadline, or nothing came for too long; ERR_LIMIT: a longer message than is taken; ERR_INVALID:
 * no message. */
MUST_USE enum err grpc_read(struct grpc_call *call, struct buf *message, bool *ret_is_end,
                            struct errinfo *info);
/* A field of the answer's metadata: before anything is written. Copied. */
void grpc_header(struct grpc_call *call, const char *name, struct slice value);
/* A field behind the last message. Copied. */
void grpc_trailer(struct grpc_call *call, const char *name, struct slice value);
/* Likewise, of any text: what is not printable goes as %XX, as in grpc-message. */
void grpc_trailer_text(struct grpc_call *call, const char *name, struct slice text);
/* Room for a message's length at the start of a buffer; then the message is appended to it. */
void grpc_begin_message(struct buf *out);
/* Takes the buffer, which is empty afterwards. Waits until the client has taken enough of what was
 * written before. ERR_CANCELLED as above; ERR_NOMEM. */
MUST_USE enum err grpc_write(struct grpc_call *call, struct buf *message, struct errinfo *info);
void grpc_finish(struct grpc_call *call, enum grpc_status status, struct slice message);

/* Calls `cancel` when the call is over before its time, and again from time to time until the
 * method returns or sets another; at once if it is over already. Any thread; it must not wait, nor
 * call back. NULL: nothing. */
void grpc_on_cancel(struct grpc_call *call, void (*cancel)(void *context), void *context);
bool grpc_is_cancelled(struct grpc_call *call, bool *ret_is_late);
