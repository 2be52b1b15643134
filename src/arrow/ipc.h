/* Arrow IPC streaming format: schema and record batch messages (Arrow columnar format, "IPC
 * Streaming Format"; metadata flatbuffers written by hand). */
#pragma once

#include "arrow/arrow.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"

/* Appends the schema message of a struct-typed schema (one child a column).
 * ERR_UNSUPPORTED naming the column for a type the format or this writer does not have. */
MUST_USE enum err ipc_write_schema(const struct ArrowSchema *schema, struct buf *out,
                                   struct errinfo *info);
/* Appends one record batch of that schema. */
MUST_USE enum err ipc_write_batch(const struct ArrowSchema *schema, const struct ArrowArray *batch,
                                  struct buf *out, struct errinfo *info);

/* How the buffers of bodies are compressed (Message.fbs, BodyCompression). */
struct ipc_codec {
    uint8_t number; /* CompressionType: 0 LZ4 frames, 1 Zstandard */
    size_t (*bound)(size_t len);
    /* How long it became; 0: it cannot be compressed, or not now. `room`: at least the bound. */
    size_t (*compress)(char *to, size_t room, struct slice from);
};

/* The same without a copy: calls `fn` for each message (dictionaries, then the batch). `metadata`
 * is the message with its prefix of 8 bytes, the body follows in pieces, which are views of the
 * batch or good until `fn` returns. `codec` NULL: as it is. */
typedef enum err (*ipc_message_fn)(void *context, struct slice metadata, const struct slice *body,
                                   size_t body_count, uint64_t body_len, struct errinfo *info);
MUST_USE enum err ipc_batch_messages(const struct ArrowSchema *schema,
                                     const struct ArrowArray *batch, const struct ipc_codec *codec,
                                     ipc_message_fn fn, void *context, struct errinfo *info);
#define IPC_PREFIX_BYTES 8 /* of a message: a mark, and the length of its metadata */
void ipc_write_end(struct buf *out);
