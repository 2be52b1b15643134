/* Blocks of remote objects in memory, then on disk. Knows neither people nor credentials: whoever
 * asks has shown before that the object is theirs to read (s3_object.c). */
#pragma once

#include "storage/remote.h"

struct storage_cache;

struct storage_cache_options {
    uint64_t memory_bytes;
    uint64_t disk_bytes;
    struct slice folder;
    size_t block_bytes;
};
MUST_USE enum err storage__cache_open(const struct storage_cache_options *options,
                                      struct storage_cache **ret_cache, struct errinfo *info);
void storage__cache_close(struct storage_cache *cache);
DEFINE_CLEANUP(struct storage_cache, storage__cache_cleanup, storage__cache_close)

/* Within the object. Blocks that are not there are read from the store, each by one thread at a
 * time; the others wait for it, and ask themselves if it fails. */
MUST_USE enum err storage__cache_read(struct storage_cache *cache,
                                      const struct storage_object *object, uint64_t offset,
                                      void *ret_bytes, size_t len, struct errinfo *info);

/* The same for what is nowhere yet, without waiting for anybody. ERR_LIMIT: it would take more than
 * a quarter of the memory. */
MUST_USE enum err storage__cache_fill(struct storage_cache *cache,
                                      const struct storage_object *object, uint64_t offset,
                                      uint64_t len);

/* Any block of it is nowhere. */
bool storage__cache_is_missing(struct storage_cache *cache, const struct storage_object *object,
                               uint64_t offset, uint64_t len);

/* Adds to `counts`. */
void storage__cache_count(struct storage_cache *cache, struct storage_counts *counts);

/* ---- the part on disk (cache_disk.c) ---- */

#define DISK_NONE (-1)

struct storage_disk;
MUST_USE enum err storage__disk_open(struct slice folder, uint64_t bytes, size_t block_bytes,
                                     struct storage_disk **ret_disk, struct errinfo *info);
void storage__disk_close(struct storage_disk *disk);
int64_t storage__disk_slots(const struct storage_disk *disk);
int storage__disk_fd(const struct storage_disk *disk); /* tests damage it */
/* `name` is what the block is; it reads back only under the same one. False: not written, or not
 * what was written. */
MUST_USE bool storage__disk_write(struct storage_disk *disk, int64_t slot, struct slice name,
                                  struct slice bytes);
MUST_USE bool storage__disk_read(struct storage_disk *disk, int64_t slot, struct slice name,
                                 char *ret_bytes, size_t len);
struct storage_disk *storage__cache_disk(struct storage_cache *cache);
