/* Cursors over memtables and runs, and the merge of several into one order, in both directions. */
#pragma once

#include "kernel/cache.h"
#include "kernel/memtable.h"
#include "kernel/run.h"

/* Set in the commit of entries of a transaction's overlay: newer than all that is committed. */
#define COMMIT_OVERLAY ((uint64_t)1 << 63)

struct source {
    struct entry entry; /* the current one, if is_valid */
    uint64_t head;      /* key_head of it */
    bool is_valid;
    bool is_overlay;

    /* A memtable ... */
    const struct memtable *table;
    memtable_node node;

    /* ... or runs that do not overlap, in order of keys. */
    const struct run *runs; /* all slots */
    const uint16_t *slots;
    uint32_t slot_count, slot;
    uint32_t block, index;
    const uint8_t *bytes;      /* of the current block, NULL if none */
    struct cache_frame *frame; /* pinned, if `bytes` are the cache's */
    uint8_t *scratch; /* scratch_blocks of them: more than one means read ahead, no cache */
    uint32_t scratch_blocks;
    uint32_t ahead_first, ahead_count; /* blocks of the current run in scratch */
    uint64_t ahead_offset;             /* of the first in the file */
    char *key_bytes;                   /* KERNEL_KEY_BYTES_MAX */
};

struct merge {
    struct disk *disk;
    struct cache *cache;
    struct source *sources;
    uint32_t source_count;
    struct source *current; /* NULL at the end */
    bool is_backward;
};

/* The run that the current entry of a source lies in, which must not be a memtable. */
const struct run *source_run(const struct source *source);

/* Gives back pinned frames; the sources are empty then. */
void merge_release(struct merge *merge);

/* Forward: the first entry at or behind (key, commit). Backward: the last one before it. `from_end`
 * with backward: the last of all. */
MUST_USE enum err merge_seek(struct merge *merge, struct slice key, uint64_t commit, bool from_end);
MUST_USE enum err merge_next(struct merge *merge);
