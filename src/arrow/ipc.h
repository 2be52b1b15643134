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
void ipc_write_end(struct buf *out);
