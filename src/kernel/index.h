/* The learned index of a run: from a key to the one block that can hold it, without the keys.
 *
 * 1. A key becomes a number, its *code*, by the alphabet of the run: which bytes occur at which
 *    position. Positions are digits of a mixed radix, so what all keys share costs nothing, and
 *    decimal or hexadecimal text is as even as the number it spells. Codes sort as keys do, for
 *    keys that are not in the run too (those count as the next code that could be).
 * 2. Codes are cut into segments. Each gives, for each of its blocks, a *separator* that lies
 *    between the last code of one block and the first of the next: exact for every key of the run,
 *    so a lookup reads one block, whether it hits or not. (Lines alone, as in the PGM-index or
 *    RadixSpline, give a range of positions; over blocks that is two reads. See
 *    docs/decisions/005 for what was measured.) Three kinds:
 *    - a *walk* (index_walk.h): where the writer ends blocks so that five bits and a half do;
 *    - a *line* from block to code, and for each block a correction of two bytes to it;
 *    - *fences*, where one code spans several blocks: the first key of each, as in a block index,
 *      without what all of the segment share; their next eight bytes lie side by side, to be
 *      searched as numbers.
 * 3. Codes that none of them serves for long cost a segment a block, which is found by binary
 *    search over numbers: the worst case.
 *
 * Lines are found in one pass by a cone of slopes (as in FITing-tree). All arithmetic is in
 * integers: the same index on every machine. */
#pragma once

#include "kernel/bytes.h"
#include "kernel/index_walk.h"

#define INDEX_POSITIONS 32u
#define INDEX_TABLES_MAX 4u

/* ---- The alphabet: what is known of a run's keys before it is written */

struct alphabet {
    uint64_t symbols[INDEX_POSITIONS][4]; /* a bit for each byte that occurs there */
    uint32_t ends;                        /* bit n: some key has n bytes */
};

void alphabet_add(struct alphabet *alphabet, struct slice key);
void alphabet_join(struct alphabet *alphabet, const struct alphabet *other);

/* ---- Codes */

struct index_step {
    uint64_t weight;
    uint8_t low, high; /* symbols lie between, inclusive */
    uint8_t is_table;  /* not all of them occur: ranks are in a table */
    uint8_t has_end;   /* some key ends here: digit 0 */
    uint8_t table;
    uint8_t unused[3];
};

struct index_coder {
    uint32_t step_count, table_count;
    const struct index_step *steps;
    const uint8_t *tables; /* 256 each: symbols below a byte */
};

uint64_t index_code(const struct index_coder *coder, struct slice key);

/* ---- Lookup */

struct index_view {
    struct index_coder coder;
    uint32_t block_count, segment_count, fence_count;
    const uint64_t *codes;   /* of the first key of each segment */
    const uint8_t *segments; /* INDEX_SEGMENT_BYTES each */
    const uint8_t *data;     /* corrections of lines, groups of walks, shared starts of fences */
    uint64_t data_len;
    const uint64_t *fence_heads;
    const uint32_t *fence_ends;
    const uint8_t *fences; /* each: u64 commit, the key behind what is shared */
};

/* Views `bytes` (8-byte aligned), which must stay. False: not an index that can be used safely. */
MUST_USE bool index_open(const uint8_t *bytes, uint64_t len, struct index_view *ret_view);

/* The block that holds the first entry at or behind (key, commit), or the one before it if that
 * entry is the first of its block. */
uint32_t index_find(const struct index_view *view, struct slice key, uint64_t commit);

/* True if versions of `key` may go on in the block behind `block`, which index_find gave for it. */
bool index_goes_on(const struct index_view *view, struct slice key, uint32_t block);

/* ---- Building */

struct index_builder {
    struct index_coder coder;
    struct index_step steps[INDEX_POSITIONS];
    uint8_t tables[INDEX_TABLES_MAX][256];
    uint64_t *first_codes, *last_codes; /* of each block */
    uint32_t block_count, blocks_max;
    uint32_t *fence_ends;
    uint8_t *fences; /* u64 commit, key */
    uint32_t fence_count, fence_bytes, fence_bytes_max;
    struct walker walker;
    bool is_begun; /* the walker knows of the block that comes next */
};

/* `memory`: index_builder_bytes() of it, 8-byte aligned, stays the caller's. */
uint64_t index_builder_bytes(uint32_t blocks_max, uint32_t fence_bytes_max);
void index_builder_init(struct index_builder *builder, void *memory, uint32_t blocks_max,
                        uint32_t fence_bytes_max);
void index_builder_reset(struct index_builder *builder, const struct alphabet *alphabet);

/* True if there is room for one more block whatever its keys. */
bool index_builder_has_room(const struct index_builder *builder);

/* Asked when a block is full: how many of its last keys the next block is to have, so that its end
 * can be written in few bits. The block begins with `first`; `tail` are some of its last keys and
 * the one behind it, 2 to WALK_LEAVE_MAX + 1. Blocks are served that were not asked about, too. */
uint32_t index_builder_leave(struct index_builder *builder, struct slice first,
                             const struct slice *tail, uint32_t tail_count);

void index_builder_add(struct index_builder *builder, struct slice first_key, uint64_t first_commit,
                       struct slice last_key);

/* The most bytes that index_builder_finish writes. */
uint64_t index_builder_size_max(const struct index_builder *builder);

/* Writes the index to `ret_bytes` (8-byte aligned) and returns its length, a multiple of 8. */
uint64_t index_builder_finish(const struct index_builder *builder, uint8_t *ret_bytes);
