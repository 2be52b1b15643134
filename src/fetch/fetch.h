/* Requests over HTTP to other systems: identity providers, catalogs, object stores.
 *
 * A pool holds connections for one person and one system, so that a connection never carries the
 * requests of two: who has another identity opens another pool. HTTP/1.1 and 2, TLS verified,
 * nothing taken from the environment (proxies, .netrc, cookies), every wait bounded. Blocks the
 * calling thread; a pool may be used by any number of threads at once.
 *
 * Messages never repeat an address, a header or a body: only what the pool calls its peer, and
 * why. What is sent and what comes back is wiped where this module held it. */
#pragma once

#include "base/base.h"
#include "base/err.h"
#include "base/secret.h"

enum fetch_plain {
    FETCH_TLS_ONLY,
    FETCH_PLAIN_LOOPBACK, /* http:// to 127.0.0.0/8, [::1] and localhost */
    FETCH_PLAIN_ANYWHERE, /* a configuration that says so must warn of it */
};

/* Texts are copied. */
struct fetch_options {
    struct slice peer;       /* for messages: `the identity provider`, `catalog "lake"` */
    struct slice user_agent; /* empty = "moat" */
    struct slice ca_file;    /* empty = the system's authorities */
    struct slice proxy;      /* empty = none: "http://host:port", "socks5h://host:port" */
    enum fetch_plain plain;
    bool is_http1;            /* never HTTP/2 */
    unsigned connections_max; /* of one fetch_send_all; 0 = 8 */
};

struct fetch_pool;

/* Counted; ERR_NOMEM. A pool that nothing refers to any more closes its connections. */
MUST_USE enum err fetch_pool_new(const struct fetch_options *options, struct fetch_pool **ret_pool,
                                 struct errinfo *info);
struct fetch_pool *fetch_pool_ref(struct fetch_pool *pool);
void fetch_pool_unref(struct fetch_pool *pool);
DEFINE_CLEANUP(struct fetch_pool, fetch_pool_cleanup, fetch_pool_unref)

/* https, or http where `plain` allows it; with a host, without user and fragment. */
MUST_USE bool fetch_url_is_allowed(struct slice url, enum fetch_plain plain);
/* The same scheme, host and port (that of the scheme where none is written). */
MUST_USE bool fetch_url_is_same_origin(struct slice a, struct slice b);

/* ---- requests ---- */

struct fetch_header {
    struct slice name;
    struct slice value;
};

/* Bytes of a successful (2xx) answer as they come; false ends the transfer with ERR_CANCELLED.
 * `at` is the offset in the body: it is 0 again where a redirection was followed. */
typedef bool (*fetch_sink_cb)(void *context, uint64_t at, struct slice bytes);
/* Asked about twenty times a second while a request waits; true ends it with ERR_CANCELLED. */
typedef bool (*fetch_cancel_cb)(void *context);

struct fetch_request {
    struct slice method; /* empty = GET */
    struct slice url;
    const struct fetch_header *headers;
    size_t header_count;
    struct slice body;      /* `ptr` NULL = none */
    int64_t connect_ms;     /* 0 = 5 s, and never more than `timeout_ms` */
    int64_t timeout_ms;     /* of the whole; must be set */
    int64_t stall_ms;       /* without a byte; 0 = no such limit. Whole seconds, at least one */
    size_t body_bytes_max;  /* of the answer; a longer one is ERR_LIMIT */
    unsigned redirects_max; /* followed: GET and HEAD, to the same origin only */
    bool is_once;           /* on a connection of its own: nothing sends it again behind our back */
    bool accept_coded;      /* a compressed answer is asked for, and taken apart */
    fetch_sink_cb sink;     /* NULL = into the answer; other answers than 2xx always go there */
    void *sink_context;
    fetch_cancel_cb is_cancelled; /* NULL = never */
    void *cancel_context;
};

struct fetch_answer {
    enum err err; /* of this request; ERR_OK with any status */
    long status;  /* 0 = none came */
    /* Some of the request may have reached the peer: then only what may be done twice may be sent
     * again. */
    bool was_sent;
    struct secret body; /* NULL while nothing came */
    struct secret head; /* header lines of the last answer: fetch_answer_header */
    char why[160];      /* when `err` is set: what fetch_report says */
};

/* Sends one request. Where this is ERR_OK there is an answer, of whatever status. ERR_TIMEOUT,
 * ERR_CANCELLED, ERR_LIMIT, ERR_DENIED (an address that is not asked,
 * a certificate that is not trusted), ERR_INVALID (a header with
 * a line end), ERR_IO (no answer), ERR_NOMEM. After an error `ret_answer` is set all the same, to
 * be asked for `was_sent`. Always fetch_answer_fini. */
MUST_USE enum err fetch_send(struct fetch_pool *pool, const struct fetch_request *request,
                             struct fetch_answer *ret_answer, struct errinfo *info);

/* Sends all of them side by side, over one connection where the peer speaks HTTP/2. ERR_OK however
 * they ended, which each answer says; ERR_NOMEM before anything was sent. */
MUST_USE enum err fetch_send_all(struct fetch_pool *pool, const struct fetch_request *requests,
                                 size_t count, struct fetch_answer *ret_answers,
                                 struct errinfo *info);

/* Fills `info` from an answer that has an error, which it returns. */
enum err fetch_report(const struct fetch_pool *pool, const struct fetch_answer *answer,
                      struct errinfo *info);

void fetch_answer_fini(struct fetch_answer *answer); /* accepts a zeroed one */

/* The value of the first such header; names fold case. A view of `answer`. */
MUST_USE bool fetch_answer_header(const struct fetch_answer *answer, struct slice name,
                                  struct slice *ret_value);
/* "Sun, 06 Nov 1994 08:49:37 GMT" and what else RFC 9110 has, in us since 1970. */
MUST_USE bool fetch_date(struct slice text, int64_t *ret_wall_us);
/* What "Retry-After" asks for, in seconds or as a date; -1 = nothing that can be read. */
int64_t fetch_answer_retry_after_ms(const struct fetch_answer *answer);

/* How long to wait before trying for the `attempt`-th time again (from 1): exponential from
 * `base_ms` to `cap_ms` with full jitter, but never less than the peer asked for. -1 when the peer
 * asked for more than `patience_ms`. */
int64_t fetch_backoff_ms(unsigned attempt, int64_t base_ms, int64_t cap_ms, int64_t retry_after_ms,
                         int64_t patience_ms);

/* ---- forms ---- */

struct fetch_field {
    const char *name;
    struct slice value;
};
/* application/x-www-form-urlencoded, "a=b&c=d"; a pair whose value is empty is left out. */
MUST_USE bool fetch_form(const struct fetch_field *fields, size_t field_count,
                         struct secret *ret_form);
