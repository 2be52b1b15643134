/* Where the column chunks of a Parquet file lie, out of its footer: Thrift's compact protocol, of
 * which only what places chunks is looked at. For reading ahead (duckdb/readahead.cpp): whoever
 * takes a footer for more than a hint asks the engine's own reader. */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"

struct parquet_chunk {
    uint64_t offset;
    uint64_t len;
};

/* Group after group as they lie in the file, each with all columns (leaves, in schema order). */
struct parquet_layout {
    const struct parquet_chunk *chunks;
    size_t group_count;
    size_t column_count;
};

/* How long the footer is that ends a file with these last bytes (8 at least are looked at); 0: they
 * end none that can be read. */
uint64_t parquet_footer_len(struct slice tail);

/* ERR_CORRUPT: not to be understood, chunks outside of the file's `size_bytes`, groups that are not
 * one behind the other. ERR_NOMEM. */
MUST_USE enum err parquet_layout_read(struct slice footer, uint64_t size_bytes, struct arena *arena,
                                      struct parquet_layout *ret_layout);
