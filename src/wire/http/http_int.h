/* One request as bytes: http_request.c reads it with llhttp, http.c answers it. */
#pragma once

#include "base/arena.h"
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

/* Reads one request from the start of `input`. No state: a request is read again when more of it is
 * there, which its limits bound. */
enum http_outcome http_request_parse(struct slice input, const struct http_limits *limits,
                                     struct http_parsed *ret_parsed);

const char *http_status_text(unsigned status);
