/* The world of the kernel: a clock and one flat folder of files. Nothing else reaches it.
 *
 * Calls block and answer with an outcome; there is no callback, because whoever wants overlap gives
 * the kernel's jobs (kernel_sync_start and its kin) to a thread of its own, and a call that returns
 * is the completion. The real implementation is src/io, the simulated one src/sim.
 *
 * Threads: `read` and `ticks` may be called from any thread at any time, the others by whoever
 * holds the kernel's write side or runs one of its jobs. */
#pragma once

#include "base/base.h"
#include "base/err.h"

typedef uint32_t kernel_file;

/* With the NUL. Names are the kernel's own: letters, digits, '-' and '.'. */
#define KERNEL_NAME_BYTES 32

struct kernel_io {
    void *ctx;

    /* Nanoseconds from an arbitrary origin; never runs backwards. For statistics only: no decision
     * of the kernel depends on it. */
    uint64_t (*ticks)(void *ctx);

    /* Opens for reading and writing. ERR_NOT_FOUND without `is_create` if there is no such file;
     * with it, an existing file is emptied. */
    enum err (*open)(void *ctx, const char *name, bool is_create, kernel_file *ret_file);
    void (*close)(void *ctx, kernel_file file);
    enum err (*size)(void *ctx, kernel_file file, uint64_t *ret_bytes);

    /* May do less than asked (`ret_len` < len): the kernel asks again for the rest. A read of 0
     * bytes is the end of the file. ERR_IO; ERR_LIMIT for a full disk. */
    enum err (*read)(void *ctx, kernel_file file, uint64_t offset, void *ret_bytes, size_t len,
                     size_t *ret_len);
    enum err (*write)(void *ctx, kernel_file file, uint64_t offset, const void *bytes, size_t len,
                      size_t *ret_len);

    /* The file has at least so many bytes, zeros where none were written. */
    enum err (*reserve)(void *ctx, kernel_file file, uint64_t bytes);

    /* What was written to the file before survives a power cut. After an error nothing is known,
     * and the kernel never asks twice. */
    enum err (*sync)(void *ctx, kernel_file file);

    /* Replaces `to` at once. Names survive a power cut after sync_folder. */
    enum err (*rename)(void *ctx, const char *from, const char *to);
    enum err (*remove)(void *ctx, const char *name);
    enum err (*sync_folder)(void *ctx);

    /* Calls back once for each file, in any order. */
    enum err (*list)(void *ctx, void (*each)(void *each_ctx, const char *name), void *each_ctx);
};
