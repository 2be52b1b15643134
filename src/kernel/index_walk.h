/* A walk: blocks whose separators are counted in *cells* of so many codes from the walk's first
 * code, each by five bits from the one before. Ten times smaller than a fence and three times
 * smaller than a line with corrections.
 *
 * A separator in cells exists only where two keys that follow each other lie in different cells,
 * and a block may be no wider than `low` + 31 cells. So the writer of a run ends a block, whenever
 * it is full, behind the last key that can be followed by a separator: about half a key earlier
 * than it would (walker_leave).
 *
 *     a group of 64 blocks: u16 cells of its first separator, 5 bits for each block behind it */
#pragma once

#include "kernel/bytes.h"

#define WALK_GROUP_BLOCKS 64u
#define WALK_GROUP_BYTES 42u
#define WALK_SLACK_BYTES 8u /* behind the last group: read, not used */
#define WALK_BLOCKS_MIN 24u /* shorter ones are not worth a segment */
#define WALK_LEAVE_MAX 16u  /* keys left to the next block */
#define WALK_LOW_MAX 255u
#define WALK_RESTART UINT8_MAX /* in walker.deltas: a walk begins here */

static inline uint64_t walk_bytes(uint32_t block_count)
{
    return (uint64_t)WALK_GROUP_BYTES * ((block_count + WALK_GROUP_BLOCKS - 1) / WALK_GROUP_BLOCKS);
}

/* ---- Reading */

struct walk {
    uint64_t cell; /* codes, at least 1 */
    uint32_t low;  /* cells that every block has */
    uint32_t pace; /* cells of a group, on average; at least 1 */
};

/* The block (of `count`) for a code that lies `distance` above the walk's first. */
uint32_t walk_find(const struct walk *walk, const uint8_t *groups, uint32_t count,
                   uint64_t distance);

/* ---- Writing: decided block by block, as the run is written */

struct walk_start {
    uint64_t cell;
    uint32_t first_block, low;
};

struct walker {
    uint64_t mean, spread; /* of the widths of blocks in codes; the spread is the mean deviation */
    uint32_t width_count;
    uint64_t base; /* first code of the walk that is open */
    uint32_t at;   /* cells of the last block that was begun */
    uint32_t block_count;
    bool is_tied;     /* the last block begins with the code that the one before ends with */
    int32_t patience; /* at 0 blocks are not cut short any more: these keys have no use for it */
    uint64_t mean_at_start;
    uint32_t start_count;
    struct walk_start *starts; /* caller's, for as many blocks as there may be */
    uint8_t *deltas;           /* likewise */
};

void walker_reset(struct walker *walker);

/* The next block begins with `first`; the one before it ended with `last`. */
void walker_begin(struct walker *walker, uint64_t last, uint64_t first);

/* The block that was begun last with `first` is full. `tail`: codes of some of its last keys and of
 * the key behind it. Returns how many of those keys the next block is to have. */
uint32_t walker_leave(struct walker *walker, const uint64_t *tail, uint32_t tail_count);

/* What is known of the widths of blocks, before walker_begin. */
void walker_note(struct walker *walker, uint64_t width);

/* The groups of the blocks from walk `start` on, `count` of them (walk_bytes). */
void walker_write(const struct walker *walker, const struct walk_start *start, uint32_t count,
                  uint8_t *ret_groups, uint32_t *ret_pace);
