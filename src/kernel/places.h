/* Where the blocks of a compressed run lie: after each other, each in a whole number of units of 16
 * bytes. For groups of 64 blocks: u32 units before the first, then for each block u8 units less 1.
 *
 *     a block of 256 units: as it is; of fewer: u16 len, `len` compressed bytes, zeros */
#pragma once

#include "kernel/bytes.h"

#define PLACE_UNIT_BYTES 16u
#define PLACES_GROUP_BLOCKS 64u
#define PLACES_GROUP_BYTES (4u + PLACES_GROUP_BLOCKS)

static inline uint64_t places_bytes(uint32_t block_count)
{
    uint64_t groups = (block_count + PLACES_GROUP_BLOCKS - 1) / PLACES_GROUP_BLOCKS;
    return groups * PLACES_GROUP_BYTES;
}

void places_find(const uint8_t *places, uint32_t block, uint64_t *ret_offset, uint32_t *ret_len);

/* True if the blocks are one behind the other and end at `blocks_bytes`. */
MUST_USE bool places_are_sound(const uint8_t *places, uint32_t block_count, uint64_t blocks_bytes);

/* From the units less 1 of each block. */
void places_write(const uint8_t *units, uint32_t block_count, uint8_t *ret_places);
