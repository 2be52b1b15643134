/* Theta sketches of distinct values: blobs "apache-datasketches-theta-v1" of Puffin files.
 *
 * A sketch keeps the least hashes it has seen, so it tells how many different values there were
 * within about 1.6 %, and sketches of parts of a table can be joined by whoever reads them. Values
 * are hashed as Iceberg's single-value serialization has them; empty ones do not count, as in the
 * library of that name. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

struct iceberg_sketch;
MUST_USE enum err iceberg_sketch_open(struct iceberg_sketch **ret_sketch, struct errinfo *info);
void iceberg_sketch_close(struct iceberg_sketch *sketch);
DEFINE_CLEANUP(struct iceberg_sketch, iceberg_sketch_cleanup, iceberg_sketch_close)

void iceberg_sketch_add(struct iceberg_sketch *sketch, struct slice value);
/* Exact up to 4,096. */
uint64_t iceberg_sketch_estimate(struct iceberg_sketch *sketch);
/* Appends it in compact, ordered form. ERR_NOMEM. */
MUST_USE enum err iceberg_sketch_write(struct iceberg_sketch *sketch, struct buf *out,
                                       struct errinfo *info);
