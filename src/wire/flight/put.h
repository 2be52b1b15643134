/* What a client puts: batches of a stream, and where they go. Internal. */
#pragma once

#include "wire/flight/flight_int.h"

struct ipc_reader;

struct flight_stream {
    struct ipc_reader *reader;
    bool is_end;
};

/* May take the batch: then its `release` is NULL. */
typedef enum err (*flight_batch_fn)(void *context, const struct ArrowSchema *schema,
                                    struct ArrowArray *batch);
/* Calls `fn` for each batch up to the end of the stream. */
MUST_USE enum err flight__read_batches(struct flight_call *call, struct flight_stream *stream,
                                       flight_batch_fn fn, void *context);

/* ---- bind.c: rows as parameters ---- */

struct flight_binding {
    struct flight_call *call;
    struct arena *arena;
    struct query_parameter *parameters; /* row after row */
    size_t count, capacity;
    size_t row_count;
    struct buf cell;
};
MUST_USE enum err flight__binding_init(struct flight_binding *binding);
void flight__binding_fini(struct flight_binding *binding);
MUST_USE enum err flight__bind_batch(struct flight_binding *binding,
                                     const struct ArrowSchema *schema,
                                     const struct ArrowArray *batch);
/* To the statement; what was bound to it before is gone. */
MUST_USE enum err flight__bind(struct flight_binding *binding, struct slice handle,
                               size_t parameter_count);

bool flight__is_binary(const struct ArrowSchema *schema);
/* The engine's text of bytes, \xAB each, in the place of one \x before all, from `start` on. */
MUST_USE bool flight__print_bytes(struct buf *text, size_t start);

/* ---- ingest.c: CommandStatementIngest ---- */

MUST_USE enum err flight__ingest(struct flight_call *call, struct flight_stream *stream,
                                 struct slice body, int64_t *ret_rows);
