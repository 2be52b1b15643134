/* One segment of the learned index: a line in integers that gives each code its block exactly. */
#pragma once

#include "kernel/bytes.h"

/* Parts of a block: heights are counted in these. */
#define INDEX_UNIT_BITS 24u
#define INDEX_HEIGHT_BITS 8u /* of `height`, which is in 256ths of a block */

struct index_segment {
    uint32_t first_block;
    uint8_t shift;  /* a distance is moved so that the segment's longest one fills 64 bits */
    uint8_t height; /* where in the first block the line starts */
    uint64_t slope; /* units a distance that was moved, times 2^64 */
};

static inline struct index_segment index_segment_at(const uint8_t *segments, uint32_t index)
{
    const uint8_t *at = segments + 16ull * index;
    return (struct index_segment){.first_block = load_u32(at),
                                  .shift = at[4],
                                  .height = at[5],
                                  .slope = load_u64(at + 8)};
}

static inline void index_segment_store(uint8_t *segments, uint32_t index,
                                       const struct index_segment *segment)
{
    uint8_t *at = segments + 16ull * index;
    memset(at, 0, 16);
    store_u32(at, segment->first_block);
    at[4] = segment->shift;
    at[5] = segment->height;
    store_u64(at + 8, segment->slope);
}

/* The block for a code that lies `distance` above the segment's first; at most `last_block`. */
static inline uint32_t index_segment_predict(const struct index_segment *segment,
                                             uint64_t distance, uint32_t last_block)
{
    if (distance > UINT64_MAX >> segment->shift) {
        return last_block;
    }
    unsigned __int128 product = (unsigned __int128)(distance << segment->shift) * segment->slope;
    uint64_t units = (uint64_t)(product >> 64) +
                     ((uint64_t)segment->height << (INDEX_UNIT_BITS - INDEX_HEIGHT_BITS));
    uint64_t block = segment->first_block + (units >> INDEX_UNIT_BITS);
    return block < last_block ? (uint32_t)block : last_block;
}

/* Sets `ret_segment` (all but first_block) for as many of the `count` blocks as one line can serve,
 * and returns how many that are, at least one. Codes of a block lie between its first and its last,
 * inclusive; those of two blocks do not touch. */
uint32_t index_fit(const uint64_t *first_codes, const uint64_t *last_codes, uint32_t count,
                   struct index_segment *ret_segment);
