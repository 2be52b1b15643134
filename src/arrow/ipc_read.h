/* Arrow IPC messages of anybody, read: a schema, then dictionaries and batches of it. Nothing is
 * believed: lengths, offsets, indices and UTF-8 are checked before a batch is given out. */
#pragma once

#include "arrow/arrow.h"
#include "base/base.h"
#include "base/err.h"

struct ipc_reader;

MUST_USE enum err ipc_reader_new(struct ipc_reader **ret_reader, struct errinfo *info);
/* Batches that came from it stay; their schema does not. */
void ipc_reader_free(struct ipc_reader *reader);
DEFINE_CLEANUP(struct ipc_reader, ipc_reader_cleanup, ipc_reader_free)

/* One message: its metadata (a flatbuffer, without the prefix of a stream) and its body. The first
 * must be a schema. `ret_batch->release` is NULL unless it was a record batch; the batch is the
 * caller's. ERR_INVALID (22023): wrong in some way; ERR_UNSUPPORTED: compressed bodies, types that
 * this module has not; ERR_LIMIT: nested too deep, too many columns. */
MUST_USE enum err ipc_reader_feed(struct ipc_reader *reader, struct slice metadata,
                                  struct slice body, struct ArrowArray *ret_batch,
                                  struct errinfo *info);
/* How long the body behind this metadata is. ERR_INVALID (22023): it does not say. */
MUST_USE enum err ipc_body_bytes(struct slice metadata, uint64_t *ret_bytes, struct errinfo *info);
/* NULL before it has come. As long as the reader. */
const struct ArrowSchema *ipc_reader_schema(const struct ipc_reader *reader);
