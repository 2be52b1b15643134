/* One request as bytes: http_request.c reads it with llhttp, http.c answers it. */
#pragma once

#include <pthread.h>
#include <zlib.h>

#include "base/buf.h"
#include "wire/http/http.h"

#define HTTP_FIELDS_MAX 100

struct http_field {
    struct slice name;
    struct slice value; /* without the spaces around it */
};

struct http_request {
    struct slice method;
    struct slice path;
    struct slice query;
    struct http_field fields[HTTP_FIELDS_MAX];
    size_t field_count;
    struct slice body;
    bool is_chunked;  /* the body came in chunks: `body` is empty unless they were joined */
    bool is_old;      /* HTTP/1.0: no chunks in the answer */
    bool keeps_alive; /* the connection may go on after it */
    bool wants_continue;
};

struct http_limits {
    size_t head_bytes_max;
    size_t body_bytes_max;
};

enum http_outcome {
    HTTP_WHOLE,   /* `request` is one; `used` bytes were its */
    HTTP_PARTIAL, /* more bytes are needed; head_is_whole if only the body's */
    HTTP_WRONG,   /* `status` says why; nothing behind it can be understood */
};

struct http_parsed {
    struct http_request request; /* views of the input */
    size_t used;
    unsigned status;
    const char *reason;
    size_t need; /* PARTIAL: bytes that must be there before it can be whole */
    bool head_is_whole;
};

/* Of a body in chunks, with all that is around them: it is read again from its first byte each time
 * more of it is there, so it may not be long. */
#define HTTP_CHUNKED_BYTES_MAX 1048576u

/* Reads one request from the start of `input`. No state: a request is read again when more of it is
 * there, which its limits bound. A body in chunks is joined in `chunks` (NULL: only
 * measured), of which the request's body is then a view. */
enum http_outcome http_request_parse(struct slice input, const struct http_limits *limits,
                                     struct buf *chunks, struct http_parsed *ret_parsed);

const char *http_status_text(unsigned status);

/* Whether a list of codings (RFC 9110, 12.5.3) takes gzip: named, or by "*", and not with q=0. */
bool http_takes_gzip(struct slice accept_encoding);

/* ---- a connection, and one request on it ---- */

struct http_connection {
    struct http_server *server;
    struct connection *connection;
    int64_t since_us; /* of the first byte of the request that is coming; 0 = none is */
    bool is_ready;
    bool has_continued;                 /* the client was told to send the body */
    void *state;                        /* a route's */
    const struct http_upgrade *upgrade; /* NULL: HTTP is spoken */
    void *upgraded;
    pthread_mutex_t cancel_lock;
    bool is_cancelled;
    void (*cancel)(void *context); /* NULL: nothing runs that could be */
    void *cancel_context;
};

enum http_phase {
    HTTP_PHASE_NONE,
    HTTP_PHASE_PARTS,
    HTTP_PHASE_DONE,
};

struct http_exchange {
    struct http_connection *on;
    const struct http_request *request;
    enum http_phase phase;
    bool is_head; /* HEAD: all but the body */
    bool is_last; /* the connection ends with it */
    bool wants_gzip;
    bool is_gzip; /* `zip` is open */
    z_stream zip;
    struct buf headers;
};

void http__exchange_fini(struct http_exchange *exchange);
/* A status with a line of text. */
void http__say(struct http_exchange *exchange, unsigned status, const char *reason);
/* The head of an answer up to its last own field. `headers` may be NULL. */
void http__put_head(struct buf *out, unsigned status, const char *content_type, bool is_last,
                    const struct buf *headers);
