/* HTTP/1.1 over the loop: requests to routes, and what routes answer.
 *
 * A server is a list of routes, each with a function that gets a whole request and answers it: at
 * once (http_reply), or in parts of which nobody knows the length yet (http_begin, http_write,
 * http_end), which wait for a client that is slow to read. It knows nothing of what routes do.
 * Thread rule: routes are added before the loop runs; their functions run on the loop's workers,
 * one at a time for a connection. */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"
#include "wire/loop/loop.h"

struct http_server;
struct http_exchange; /* one request and its answer, while a route's function runs */

struct http_options {
    size_t head_bytes_max;      /* request line and fields; 0 = 16 KiB */
    size_t body_bytes_max;      /* 0 = no bodies */
    int64_t request_timeout_ms; /* from its first byte to its last; 0 = 10 s */
    bool is_tls_required;       /* in the clear nothing is answered but that (400) */
    bool routes_sign_in; /* the login is over when a route calls http_signed_in, not before */
    void (*close_state)(void *state); /* of http_set_state; NULL: there is none */
};

MUST_USE enum err http_server_open(const struct http_options *options,
                                   struct http_server **ret_server, struct errinfo *info);
/* After the loop. */
void http_server_close(struct http_server *server);
DEFINE_CLEANUP(struct http_server, http_server_cleanup, http_server_close)

typedef void (*http_route_fn)(void *context, struct http_exchange *exchange);
/* `method` and `path` are literals; GET answers HEAD too. A path that ends in "/" stands for all
 * that begins with it and has no route of its own. */
MUST_USE enum err http_route(struct http_server *server, const char *method, const char *path,
                             http_route_fn fn, void *context, struct errinfo *info);

/* A listener's context is the server. */
extern const struct loop_protocol http_protocol;

/* ---- for routes: all slices live as long as the exchange ---- */

struct slice http_method(const struct http_exchange *exchange);
struct slice http_path(const struct http_exchange *exchange);
struct slice http_query(const struct http_exchange *exchange); /* behind "?", as it came */
struct slice http_body(const struct http_exchange *exchange);
/* The first field of this name (folds case); false if there is none. */
bool http_field(const struct http_exchange *exchange, struct slice name, struct slice *ret_value);
struct connection *http_connection(const struct http_exchange *exchange);
bool http_is_last(const struct http_exchange *exchange); /* the connection ends with it */
bool http_is_head(const struct http_exchange *exchange);
/* The n-th of the fields of this name; false when there are no more. */
bool http_field_at(const struct http_exchange *exchange, struct slice name, size_t index,
                   struct slice *ret_value);

/* What a route keeps with the connection, NULL at first: `close_state` gets it at the end. */
void *http_state(const struct http_exchange *exchange);
void http_set_state(struct http_exchange *exchange, void *state);
/* The client is somebody: from now on the idle timeout counts, not the login's. */
void http_signed_in(struct http_exchange *exchange);
/* Called, from any thread, when the client is gone or the server stops, until the route's function
 * has returned or `cancel` is NULL; it must not wait, nor call back. At once if that was before. */
void http_on_cancel(struct http_exchange *exchange, void (*cancel)(void *context), void *context);

/* A field of the answer's head; before that begins. What could end the line is left out. */
void http_header(struct http_exchange *exchange, const char *name, struct slice value);
/* The connection ends with this answer. */
void http_last(struct http_exchange *exchange);
/* The body goes in gzip if the client takes it. Before the answer begins. */
void http_compress(struct http_exchange *exchange);

/* The whole answer. Once an exchange, instead of the three below. */
void http_reply(struct http_exchange *exchange, unsigned status, const char *content_type,
                struct slice body);
/* Likewise, of a body in parts: long ones are not copied to be put together. */
void http_reply_parts(struct http_exchange *exchange, unsigned status, const char *content_type,
                      const struct slice *parts, size_t part_count);
/* ERR_IO when the client is gone: then stop. */
MUST_USE enum err http_begin(struct http_exchange *exchange, unsigned status,
                             const char *content_type);
MUST_USE enum err http_write(struct http_exchange *exchange, struct slice part);
MUST_USE enum err http_end(struct http_exchange *exchange);
/* What speaks another protocol on the connection from then on. As of loop_protocol, which says what
 * each is for; `close` comes once, whatever happens. */
struct http_upgrade {
    size_t (*need)(void *context, struct slice input);
    size_t (*work)(void *context, struct slice input);
    bool (*is_busy)(void *context);
    void (*farewell)(void *context, enum loop_farewell why);
    void (*cancel)(void *context);
    void (*close)(void *context);
};
/* The whole answer: 101, after which all bytes are the upgrade's. `context` is the connection's
 * from here on, also when the client is gone. */
void http_switch(struct http_exchange *exchange, const char *protocol,
                 const struct http_upgrade *upgrade, void *context);
/* Instead of http_end: what was sent is not all. The client sees it by the end that is missing. */
void http_abort(struct http_exchange *exchange);
