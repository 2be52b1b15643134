/* One request by libcurl: what comes is kept until it is read. Internal.
 *
 * From the thread that asks; remote_cancel from another wakes it. Nothing is taken from the
 * environment, no redirection is followed, and where the address says TLS, the certificate must
 * name the host. */
#pragma once

#include <curl/curl.h>

#include "base/buf.h"
#include "remote/remote_int.h"

#define TRANSFER_MESSAGE_BYTES_MAX (1ull << 30) /* that has to be whole before it is read */

struct transfer {
    struct remote *remote; /* a cancel of it ends this */
    const char *agent;     /* NULL: "moat" */
    bool is_deaf;          /* to cancels: what tidies up behind one */
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    struct buf body; /* of the request */
    struct buf in;   /* what came and was not taken, from `in_at` on */
    size_t in_at;
    int64_t deadline_us; /* monotonic; 0: none */
    void (*on_header)(void *context, struct slice line);
    void *context;
    bool is_sent; /* the handle is with the multi */
    bool is_done;
    CURLcode code;
};

/* How requests of a remote begin: its `easy` handle, which is reset. */
struct transfer_sign_in {
    const char *user;   /* NULL: a token */
    const char *secret; /* NULL: nothing is said */
};

/* `headers`, `body` and `on_header` are set by the caller. `version`: one of CURL_HTTP_VERSION. */
MUST_USE enum err transfer_begin(struct transfer *transfer, const char *url, long version,
                                 const struct transfer_sign_in *sign_in, struct errinfo *info);
MUST_USE bool transfer_add_header(struct transfer *transfer, const char *line);
/* Goes on until more has come, or the end. ERR_CANCELLED, ERR_TIMEOUT; ERR_IO: see `broken`. */
MUST_USE enum err transfer_pump(struct transfer *transfer, struct errinfo *info);
/* Until that much is unread, or the end. ERR_LIMIT: more than a message may have. */
MUST_USE enum err transfer_want(struct transfer *transfer, uint64_t bytes, struct errinfo *info);
/* A view, good until the next pump. */
struct slice transfer_unread(const struct transfer *transfer);
void transfer_take(struct transfer *transfer, size_t bytes);
long transfer_status(const struct transfer *transfer);
/* What is not over is cut: over HTTP/2 the stream is reset. */
void transfer_cut(struct transfer *transfer);
void transfer_fini(struct transfer *transfer); /* the easy handle stays the caller's */
