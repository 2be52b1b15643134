/* A deterministic, transactional, ordered key-value store: log, memtables, immutable runs with
 * learned indexes, many versions of a key by commit number.
 *
 * The store is a pure function of its options, the calls made and what kernel_io answers: it has no
 * globals, threads, clock, randomness or heap. All memory is one block given at open.
 *
 * Threads: one *writer* at a time calls kernel_open, kernel_close, kernel_begin, kernel_commit,
 * kernel_rollback, kernel_work, kernel_sync_start/_finish and the calls that change a transaction.
 * Any number of threads may read (kernel_get, kernel_scan_*) at the same time as the writer, each
 * through a transaction of its own. kernel_sync_run and kernel_work_run may run beside all of
 * them. */
#pragma once

#include "base/base.h"
#include "base/err.h"
#include "kernel/kernel_io.h"

/* All else is hidden in the shared library. */
#pragma GCC visibility push(default)

#define KERNEL_KEY_BYTES_MAX 1024u
#define KERNEL_VALUE_BYTES_MAX (1u << 20)
#define KERNEL_LEVELS 8u

struct kernel;
struct kernel_txn;
struct kernel_scan;

/* A way to make blocks smaller; the kernel has none of its own. The same bytes must always give the
 * same bytes. `decompress` may be called by any number of threads at once. */
struct kernel_codec {
    uint8_t id; /* kept in runs: from 1, and never to mean another one */
    void *ctx;
    /* Bytes written to `ret_bytes`, or 0 if they are more than `bytes_max`. */
    size_t (*compress)(void *ctx, const void *bytes, size_t len, void *ret_bytes, size_t bytes_max);
    /* Likewise, and 0 for what is not sound: bytes may be damaged. */
    size_t (*decompress)(void *ctx, const void *bytes, size_t len, void *ret_bytes,
                         size_t bytes_max);
};

/* Zero means the default. */
struct kernel_options {
    uint64_t memtable_bytes;      /* 32 MiB: of each memtable; there are `memtables` of them */
    uint64_t memtables;           /* 3, at least 2 */
    uint64_t cache_bytes;         /* 64 MiB: blocks of runs */
    uint64_t table_bytes;         /* 64 MiB: filters and indexes of runs */
    uint64_t run_bytes;           /* 32 MiB: a run of a compaction is cut there */
    uint64_t runs_max;            /* 4096 */
    uint64_t txns_max;            /* 16: open transactions */
    uint64_t txn_bytes;           /* 2 MiB: what one transaction may write */
    uint64_t reads_bytes;         /* 4 MiB: what serializable transactions that are over have read,
                                     while others run beside them; if it is too little, more of
                                     those are refused */
    uint64_t value_bytes_max;     /* 1 MiB, at least 1 KiB: of one value; two buffers of it a
                                     transaction, one a job */
    uint64_t wal_buffer_bytes;    /* 4 MiB: log not yet handed to the disk; there are two */
    uint64_t wal_segment_bytes;   /* 64 MiB */
    uint64_t level_base_bytes;    /* 128 MiB: of level 1; each further one is 8 times as large */
    uint64_t level0_runs;         /* 4: as many are merged into level 1 */
    uint64_t filter_bits_per_key; /* 12 */
    const struct kernel_codec *codecs; /* those that runs may use; must outlive the kernel */
    uint32_t codec_count;
    uint8_t level_codecs[KERNEL_LEVELS]; /* id for new runs of each level; 0 = none */
    bool has_hardware_crc;               /* the processor has the CRC32C instruction */
    bool is_work_apart; /* commits do no upkeep: the caller does it, by kernel_work_start */
};

/* What broke, for the host to report. The name is empty if there is no file. */
enum kernel_fault_kind {
    KERNEL_FAULT_NONE = 0,
    KERNEL_FAULT_IO,       /* the disk answered with an error */
    KERNEL_FAULT_CHECKSUM, /* bytes are not what was written there */
    KERNEL_FAULT_FORMAT,   /* the checksum is right and the content is not */
    KERNEL_FAULT_MISSING,  /* a file or a part of the log that must be there is not */
};

struct kernel_fault {
    enum kernel_fault_kind kind;
    char name[KERNEL_NAME_BYTES];
    uint64_t offset;
};

/* Bytes of memory that a kernel with these options needs; 0 if the options are out of bounds. From
 * `ret_cached` (an offset; may be NULL) to their end lies what is read from everywhere: filters,
 * indexes, cached blocks. */
uint64_t kernel_memory_bytes(const struct kernel_options *options, uint64_t *ret_cached);

/* Opens or creates the store in the folder behind `io` and recovers it. `memory` (16-byte aligned,
 * kernel_memory_bytes of it) belongs to the kernel until kernel_close; `io` is copied.
 * ERR_INVALID: options. ERR_CORRUPT, ERR_IO: `ret_fault` (may be NULL) says where; nothing was
 * changed on disk that a later open would miss. ERR_LIMIT: does not fit these options.
 * ERR_UNSUPPORTED: a run needs a codec that is not among them. */
MUST_USE enum err kernel_open(const struct kernel_options *options, const struct kernel_io *io,
                              void *memory, struct kernel **ret_kernel,
                              struct kernel_fault *ret_fault);

/* Writes and syncs what is pending (errors are dropped: call kernel_sync before if they matter) and
 * closes all files. NULL is allowed. All transactions must be gone. */
void kernel_close(struct kernel *kernel);

/* After ERR_IO or ERR_CORRUPT. */
void kernel_last_fault(const struct kernel *kernel, struct kernel_fault *ret_fault);

/* ---- Transactions */

enum kernel_isolation {
    KERNEL_READ_ONLY,    /* sees what is durable at one moment; never refused */
    KERNEL_SNAPSHOT,     /* first committer wins */
    KERNEL_SERIALIZABLE, /* and no cycle of dependencies among those that are serializable */
};

/* ERR_BUSY: txns_max are open. ERR_IO: the kernel has stopped. What a writing transaction reads may
 * not be durable yet: it must not be shown to anybody before its commit is. What a serializable one
 * has read holds only once it has committed, even if it wrote nothing. */
MUST_USE enum err kernel_begin(struct kernel *kernel, enum kernel_isolation isolation,
                               struct kernel_txn **ret_txn);

/* Reads as of an older commit; read only. ERR_NOT_FOUND: below the watermark or not yet made. */
MUST_USE enum err kernel_begin_at(struct kernel *kernel, uint64_t commit,
                                  struct kernel_txn **ret_txn);

/* The value is valid until the next call on the transaction. ERR_NOT_FOUND, ERR_IO, ERR_CORRUPT. */
MUST_USE enum err kernel_get(struct kernel_txn *txn, struct slice key, struct slice *ret_value);

/* Many keys, which must be in order: blocks that several of them lie in are looked up once. Calls
 * back for each key in turn, with a value that is valid until it returns; it may not call the
 * kernel. ERR_INVALID: not in order, and nothing was called; ERR_IO, ERR_CORRUPT. */
typedef void (*kernel_multi_get_cb)(void *ctx, uint32_t index, bool is_found, struct slice value);
MUST_USE enum err kernel_multi_get(struct kernel_txn *txn, const struct slice *keys, uint32_t count,
                                   kernel_multi_get_cb each, void *ctx);

/* Into the transaction's own overlay. ERR_LIMIT: longer than the bounds above, or txn_bytes are
 * used up; the transaction is as it was. */
MUST_USE enum err kernel_put(struct kernel_txn *txn, struct slice key, struct slice value);
MUST_USE enum err kernel_delete(struct kernel_txn *txn, struct slice key);

/* A point that kernel_rollback_to can return to, any number of times. */
uint64_t kernel_savepoint(const struct kernel_txn *txn);
void kernel_rollback_to(struct kernel_txn *txn, uint64_t savepoint);

/* Ends the transaction, whatever it returns. ERR_OK: it has `ret_commit` as its number (that of its
 * snapshot if it wrote nothing) and others see it; it is durable once kernel_durable() reaches that
 * number. ERR_BUSY: another transaction won, run it again. ERR_LIMIT: the memtables are full and
 * none can be flushed now; the transaction stays open, to be committed again when the sync job is
 * over or, with `is_work_apart`, a work job. ERR_IO: the kernel has stopped. */
MUST_USE enum err kernel_commit(struct kernel_txn *txn, uint64_t *ret_commit);
void kernel_rollback(struct kernel_txn *txn);

uint64_t kernel_txn_snapshot(const struct kernel_txn *txn);

/* ---- Scans */

struct kernel_range {
    struct slice from; /* the lowest key, inclusive */
    struct slice to;   /* exclusive; empty = to the end */
    bool is_backward;
    /* NULL: all pairs. Called inside of kernel_scan_next, before anything is copied; false = this
     * pair is passed over. Neither callback may call the kernel. */
    bool (*wants)(void *ctx, struct slice key, struct slice value);
    /* NULL: the whole value. Writes what is wanted of it (`value_bytes_max` at most) and
     * returns how much that is. */
    size_t (*project)(void *ctx, struct slice key, struct slice value, char *ret_value);
    void *ctx;
};

/* One scan a transaction. It sees what the transaction wrote before kernel_scan_open. The slices of
 * `range` must live as long as the scan. ERR_BUSY: there is one already. */
MUST_USE enum err kernel_scan_open(struct kernel_txn *txn, const struct kernel_range *range,
                                   struct kernel_scan **ret_scan);

/* The next pair, valid until the next call on this transaction; ERR_NOT_FOUND at the end. */
MUST_USE enum err kernel_scan_next(struct kernel_scan *scan, struct slice *ret_key,
                                   struct slice *ret_value);
void kernel_scan_close(struct kernel_scan *scan);

/* ---- Durability and upkeep */

struct kernel_sync_job {
    const struct kernel *kernel;
    kernel_file file;
    const void *bytes;
    uint64_t offset, len;
    uint64_t commit_last;
    enum err result;
    bool is_sync;
};

/* Group commit in three steps, so that others commit while the disk is busy: take what is pending
 * (false: nothing to do or a job is under way), write and sync it, make it known. */
bool kernel_sync_start(struct kernel *kernel, struct kernel_sync_job *ret_job);
void kernel_sync_run(struct kernel_sync_job *job);
MUST_USE enum err kernel_sync_finish(struct kernel *kernel, const struct kernel_sync_job *job);

/* All three. ERR_IO: the kernel has stopped; open it again. */
MUST_USE enum err kernel_sync(struct kernel *kernel);

/* Flushes and compacts, at most about `bytes_max` bytes of input; false in `ret_is_more` when there
 * is nothing left. Commits do as much as keeps up with them; this is for idle time. */
MUST_USE enum err kernel_work(struct kernel *kernel, uint64_t bytes_max, bool *ret_is_more);

/* Upkeep in three steps, so that others commit while it reads, writes and syncs: take a piece of
 * it, do it, make it known. While a job is under way kernel_work, kernel_flush and kernel_close
 * must not be called. */
struct kernel_work_job {
    struct kernel *kernel;
    uint32_t kind;
    uint64_t bytes;
    kernel_file file;
    uint64_t number;
    bool is_done;
    enum err result;
};

/* `bytes_max` 0: only what commits owe; else up to about as many bytes of input, even if nothing
 * is owed. False: nothing to do, or a job is under way, or the kernel has stopped or has not the
 * option `is_work_apart`. */
bool kernel_work_start(struct kernel *kernel, uint64_t bytes_max, struct kernel_work_job *ret_job);
void kernel_work_run(struct kernel_work_job *job);
MUST_USE enum err kernel_work_finish(struct kernel *kernel, const struct kernel_work_job *job);

/* True if kernel_work_start with 0 would give a job. */
bool kernel_work_is_owed(const struct kernel *kernel);

/* Bytes of input that are owed now: who lets this grow without end will have commits that must
 * wait. */
uint64_t kernel_work_debt(const struct kernel *kernel);

/* Freezes the memtable and flushes all of them; the watermark outlives an opening from here on. */
MUST_USE enum err kernel_flush(struct kernel *kernel);

/* Compactions may drop versions that no snapshot at or above `commit` sees. Never falls. */
void kernel_set_watermark(struct kernel *kernel, uint64_t commit);

uint64_t kernel_committed(const struct kernel *kernel);
uint64_t kernel_durable(const struct kernel *kernel);

/* Calls back with the name of each file that makes up what is flushed: the runs, then the manifest,
 * then the segment of the log that comes next, which a copy has empty. Files but the last two never
 * change while they are listed. For a backup, after kernel_flush and before anything else. */
void kernel_each_file(const struct kernel *kernel, void (*each)(void *ctx, const char *name),
                      void *ctx);

/* Reads every byte of every run and checks it. ERR_CORRUPT with kernel_last_fault. */
MUST_USE enum err kernel_verify(struct kernel *kernel);

struct kernel_stats {
    uint64_t committed, durable, watermark;
    uint64_t memtable_entries, runs, run_blocks, run_entries, value_bytes; /* of those kept apart */
    uint64_t block_bytes; /* that the blocks take, compressed or not */
    uint64_t level_runs[KERNEL_LEVELS], level_blocks[KERNEL_LEVELS];
    uint64_t filter_bytes, index_bytes, index_segments, index_fences;
    uint64_t flushes, compactions, syncs;
    uint64_t moves;     /* runs that compaction had to take only to another level, at a time */
    uint64_t first_won; /* commits refused as another wrote one of their keys */
    uint64_t structures_refused; /* serializable ones, for what they or others have read */
    uint64_t stale_commits;   /* serializable ones that passed though something read has changed */
    uint64_t reads_forgotten; /* transactions over whose reads `reads_bytes` had no room for */
    uint64_t wal_bytes, run_bytes_written, user_bytes;
    uint64_t cache_hits, cache_misses, filter_negatives, filter_false_positives;
};
void kernel_get_stats(const struct kernel *kernel, struct kernel_stats *ret_stats);

#pragma GCC visibility pop
