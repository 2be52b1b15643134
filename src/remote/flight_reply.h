/* What a Flight server answers, taken apart: bytes of anybody. Internal. */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "remote/remote.h"

#define FLIGHT_PREFIX_BYTES 5u /* of a message of gRPC: a mark, and its length */
#define FLIGHT_ENDPOINTS_MAX 10000u

/* How long the message behind this prefix is. ERR_UNSUPPORTED: compressed, or no gRPC. */
MUST_USE enum err flight_frame(const char prefix[FLIGHT_PREFIX_BYTES], uint64_t *ret_len,
                               struct errinfo *info);
void flight_frame_put(struct buf *out, struct slice message);

struct flight_endpoint {
    struct slice ticket;
    bool is_elsewhere; /* only at another server */
};
/* FlightInfo: its endpoints are in the arena, their tickets views of the message. */
MUST_USE enum err flight_info(struct slice message, const struct remote_address *address,
                              struct arena *arena, struct flight_endpoint **ret_endpoints,
                              size_t *ret_count, struct errinfo *info);
/* FlightData: views. Both empty: it holds none of an Arrow stream. */
MUST_USE enum err flight_data(struct slice message, struct slice *ret_header,
                              struct slice *ret_body, struct errinfo *info);
/* Of an answer to an action: what it holds, out of its Any if it is in one. */
MUST_USE enum err flight_result(struct slice message, bool is_any, struct slice *ret_body,
                                struct errinfo *info);

/* "%xx" decoded; anything else stays. */
void flight_decode(struct slice text, struct buf *out);
/* A status that is not OK as the error that the server meant: Moat's parts of it where there is an
 * SQLSTATE (""), else by its number. `statement_len` bounds the position. */
enum err flight_error(int status, const char *sqlstate, struct slice text, size_t statement_len,
                      struct errinfo *info);

/* How a statement is sent, by its first words. */
enum flight_way {
    FLIGHT_QUERY,  /* may have rows */
    FLIGHT_UPDATE, /* changes, and has none */
    FLIGHT_BEGIN,
    FLIGHT_COMMIT,
    FLIGHT_ROLLBACK,
};
enum flight_way flight_way_of(struct slice statement, struct slice *ret_word);
