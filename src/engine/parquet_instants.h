/* Where a Parquet footer says of timestamps in nanoseconds that they are instants, or local times:
 * one bit of each, TimestampType.isAdjustedToUTC, a byte of the compact protocol.
 *
 * The engine's reader takes an instant of nanoseconds for one of microseconds, and its writer has
 * no such type. So it is shown files in which they are local times, which have all digits: the byte
 * is another one as a footer passes by, in both directions. (parquet.thrift of Apache Parquet.) */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"

struct parquet_instants {
    const size_t *offsets; /* of those bytes in the footer, ascending */
    size_t count;
};

/* Those of columns that say `is_utc`, at any depth; with `field_count` > 0 of these field ids, each
 * of which must be there once and say so. ERR_CORRUPT: it is not so, or not to be understood.
 * ERR_NOMEM. */
MUST_USE enum err parquet_instants_find(struct slice footer, bool is_utc, const int32_t *field_ids,
                                        size_t field_count, struct arena *arena,
                                        struct parquet_instants *ret_instants);

/* What such a byte becomes to say it. */
uint8_t parquet_instant_byte(uint8_t byte, bool is_utc);
