/* A kernel in a folder, shared by threads: the lock that the kernel itself does not have, group
 * commit, and errors that people read. */
#pragma once

#include "base/base.h"
#include "base/err.h"
#include "kernel/kernel.h"

struct store;

/* The path's folder is created if it does not exist. `options` NULL: the defaults, and LZ4 from
 * level 2 down; codecs are those of io/codec.h, and has_hardware_crc is set by what the processor
 * has. */
MUST_USE enum err store_open(const char *path, const struct kernel_options *options,
                             struct store **ret_store, struct errinfo *error);

/* Waits for what is pending. NULL is allowed. All transactions must be gone. */
void store_close(struct store *store);

/* For reads and writes of a transaction that no other thread uses: kernel_get, kernel_put,
 * kernel_scan_next ... need no lock. */
MUST_USE enum err store_begin(struct store *store, enum kernel_isolation isolation,
                              struct kernel_txn **ret_txn, struct errinfo *error);
MUST_USE enum err store_begin_at(struct store *store, uint64_t commit, struct kernel_txn **ret_txn,
                                 struct errinfo *error);

/* Ends the transaction. With `is_durable` returns when the commit survives a power cut; threads
 * that wait at the same time share one sync. ERR_BUSY: run the transaction again. */
MUST_USE enum err store_commit(struct store *store, struct kernel_txn *txn, bool is_durable,
                               uint64_t *ret_commit, struct errinfo *error);
void store_rollback(struct store *store, struct kernel_txn *txn);

MUST_USE enum err store_sync(struct store *store, struct errinfo *error);

/* Flushes and compacts until nothing is left to do. */
MUST_USE enum err store_settle(struct store *store, struct errinfo *error);
MUST_USE enum err store_verify(struct store *store, struct errinfo *error);
/* A store in another folder that is as this one is now: everything is flushed, and runs are linked
 * or copied. Into the same folder again only what is new is copied, but it must not be open. */
MUST_USE enum err store_backup(struct store *store, const char *path, struct errinfo *error);
void store_set_watermark(struct store *store, uint64_t commit);
void store_get_stats(struct store *store, struct kernel_stats *ret_stats);

/* Sets `error` for an outcome of the kernel, with the file that broke. */
enum err store_report(const struct store *store, enum err result, struct errinfo *error);
