/* How the library reads: a table of functions of whoever embeds it. The library never opens a
 * file itself and never sees a credential. */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"

struct iceberg_io {
    void *context;
    /* Appends the whole object at `location` (as written in metadata); `size_hint` is its length
     * as some manifest says, 0 = unknown. ERR_NOT_FOUND, ERR_IO, ERR_DENIED, ERR_LIMIT past
     * bytes_max (0 = no limit). Callable by several threads at once. */
    enum err (*read_all)(void *context, struct slice location, uint64_t size_hint,
                         uint64_t bytes_max, struct buf *ret_bytes, struct errinfo *info);
    /* Exactly `len` bytes at `offset`: footers, deletion vectors. */
    enum err (*read_range)(void *context, struct slice location, uint64_t offset, size_t len,
                           void *ret_bytes, struct errinfo *info);
    /* Size in bytes; ERR_NOT_FOUND. For validation. */
    enum err (*size)(void *context, struct slice location, uint64_t *ret_size_bytes,
                     struct errinfo *info);
};

/* Local paths ("/a/b", "file:/a/b", "file:///a/b") through base/io.h: for tools and tests; a
 * server gives its own with credentials. */
struct iceberg_io iceberg_io_local(void);
