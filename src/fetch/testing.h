/* For tests: a peer on the loopback address that answers as a test tells it to, well or badly. */
#pragma once

#include "base/buf.h"
#include "base/base.h"

struct fetch_peer;

/* One request as it came. Views last as long as the call. */
struct fetch_peer_request {
    struct slice method;
    struct slice target; /* path and query */
    struct slice head;   /* header lines */
    struct slice body;
    unsigned connection; /* from 1, in the order they were accepted */
};

/* How to answer; all zero is "200 OK" with an empty body. */
struct fetch_peer_reply {
    unsigned status;    /* 0 = 200 */
    struct buf headers; /* lines with CRLF; freed by the peer */
    struct buf body;    /* freed by the peer */
    int64_t delay_ms;   /* before the first byte */
    int64_t pause_ms;   /* between pieces of `piece_bytes` of the body */
    size_t piece_bytes; /* 0 = all at once */
    size_t cut_bytes;   /* of the body: fewer than promised, then the connection ends; 0 = none */
    bool has_no_answer; /* the connection ends instead */
    bool is_hanging;    /* nothing, until the peer is closed */
    bool has_no_length; /* the body ends with the connection */
    bool is_garbage;    /* the body alone, without a status line */
};

/* Called by one thread for each connection: guard what is shared. */
typedef void (*fetch_peer_cb)(void *context, const struct fetch_peer_request *request,
                              struct fetch_peer_reply *reply);

/* `ret_url` is "http://127.0.0.1:port". */
struct fetch_peer *fetch_peer_open(fetch_peer_cb answer, void *context, char ret_url[64]);
unsigned fetch_peer_connection_count(struct fetch_peer *peer);
void fetch_peer_close(struct fetch_peer *peer); /* ends all connections and waits for them */

/* The value of a header of a request; empty when there is none. */
struct slice fetch_peer_header(const struct fetch_peer_request *request, const char *name);
