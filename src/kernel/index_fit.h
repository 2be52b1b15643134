/* One segment of the learned index: a line from block to code, and two bytes a block that bring it
 * into the gap between the last code of one block and the first code of the next. */
#pragma once

#include "kernel/bytes.h"

#define INDEX_FRACTION_BITS_MAX 20u
#define INDEX_SEGMENT_BLOCKS_MAX 1024u /* bounds the time to fit one */

#define INDEX_SEGMENT_BYTES 24u

struct index_segment {
    uint32_t first_block;
    uint8_t kind;     /* enum index_segment_kind */
    uint8_t fraction; /* bits of `slope` behind the point */
    uint8_t cell;     /* a correction counts in 2^cell codes */
    uint8_t low;      /* of a walk */
    uint64_t slope;   /* codes a block */
    uint32_t data;    /* where its corrections or groups begin, or what fences share */
    uint32_t pace;    /* of a walk; of fences: how many bytes they share */
};

enum index_segment_kind {
    INDEX_LINE = 0,
    INDEX_FENCES = 1,    /* slope: the first fence << 32 | how many */
    INDEX_WALK = 2,      /* slope: codes a cell (index_walk.h) */
    INDEX_FENCES_ON = 3, /* as INDEX_FENCES, and its first block has one too: its first code begins
                            in the block before */
};

static inline struct index_segment index_segment_at(const uint8_t *segments, uint32_t index)
{
    const uint8_t *at = segments + (uint64_t)INDEX_SEGMENT_BYTES * index;
    return (struct index_segment){.first_block = load_u32(at),
                                  .kind = at[4],
                                  .fraction = at[5],
                                  .cell = at[6],
                                  .low = at[7],
                                  .slope = load_u64(at + 8),
                                  .data = load_u32(at + 16),
                                  .pace = load_u32(at + 20)};
}

static inline void index_segment_store(uint8_t *segments, uint32_t index,
                                       const struct index_segment *segment)
{
    uint8_t *at = segments + (uint64_t)INDEX_SEGMENT_BYTES * index;
    store_u32(at, segment->first_block);
    at[4] = segment->kind;
    at[5] = segment->fraction;
    at[6] = segment->cell;
    at[7] = segment->low;
    store_u64(at + 8, segment->slope);
    store_u32(at + 16, segment->data);
    store_u32(at + 20, segment->pace);
}

/* How far the line has risen at block `block` of the segment. */
static inline uint64_t index_segment_rise(const struct index_segment *segment, uint32_t block)
{
    return (uint64_t)(((unsigned __int128)block * segment->slope) >> segment->fraction);
}

/* The separator before block `block` (from 1), relative to the segment's first code: all codes of
 * the block are at or above it and all codes before are below. */
static inline uint64_t index_segment_separator(const struct index_segment *segment, uint32_t block,
                                               int16_t correction)
{
    return index_segment_rise(segment, block) + ((uint64_t)(int64_t)correction << segment->cell);
}

/* The block (of `count`) for a code that lies `distance` above the segment's first. */
uint32_t index_segment_find(const struct index_segment *segment, const int16_t *corrections,
                            uint32_t count, uint64_t distance);

/* Sets `ret_segment` (all but first_block) and the corrections for as many of the `count` blocks as
 * one line can serve, and returns how many that are, at least one. Codes of a block lie between its
 * first and its last, inclusive; those of two blocks do not touch. */
uint32_t index_fit(const uint64_t *first_codes, const uint64_t *last_codes, uint32_t count,
                   struct index_segment *ret_segment, int16_t *ret_corrections);
