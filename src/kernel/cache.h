/* Blocks of runs in memory, shared by all readers without locks.
 *
 * A block may lie in any of eight frames of its set. A reader pins a frame by adding to its state
 * and then looks whether it is still the block it wanted; whoever brings a block in takes a frame
 * that nobody pins, by one compare-and-swap from "no pins". If all eight are pinned the caller uses
 * memory of its own. Second chance (a mark that each hit sets) chooses the victim. */
#pragma once

#include "kernel/disk.h"
#include "kernel/block.h"

struct cache_frame {
    uint64_t tag;   /* run and block, 0 = empty */
    uint32_t state; /* pins, and the bits below */
    uint32_t unused;
};

struct cache {
    struct cache_frame *frames;
    uint8_t *blocks;
    uint64_t set_count;
};

struct run;

uint64_t cache_memory_bytes(uint64_t cache_bytes);
void cache_init(struct cache *cache, void *memory, uint64_t cache_bytes);

/* A checked block: in a frame that stays pinned until cache_unpin, or (frame NULL) in `scratch`
 * (BLOCK_BYTES). `is_hit` (may be NULL). Any thread. */
MUST_USE enum err cache_get(struct cache *cache, struct disk *disk, const struct run *run,
                            uint32_t block, uint8_t *scratch, struct cache_frame **ret_frame,
                            const uint8_t **ret_bytes, bool *ret_is_hit);
void cache_unpin(struct cache_frame *frame);
