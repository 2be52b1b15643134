#include "kernel/places.h"

void places_find(const uint8_t *places, uint32_t block, uint64_t *ret_offset, uint32_t *ret_len)
{
    ASSERT(places != NULL);
    ASSERT(ret_offset != NULL && ret_len != NULL);
    const uint8_t *group = places + (uint64_t)PLACES_GROUP_BYTES * (block / PLACES_GROUP_BLOCKS);
    uint32_t behind = block % PLACES_GROUP_BLOCKS;
    const uint8_t *units = group + 4;
    uint64_t before = (uint64_t)load_u32(group) + behind;
    for (uint32_t i = 0; i < behind; i++) {
        before += units[i];
    }
    *ret_offset = before * PLACE_UNIT_BYTES;
    *ret_len = (units[behind] + 1u) * PLACE_UNIT_BYTES;
}

bool places_are_sound(const uint8_t *places, uint32_t block_count, uint64_t blocks_bytes)
{
    ASSERT(places != NULL);
    ASSERT(block_count > 0);
    uint64_t end = 0;
    for (uint32_t block = 0; block < block_count; block++) {
        const uint8_t *group =
            places + (uint64_t)PLACES_GROUP_BYTES * (block / PLACES_GROUP_BLOCKS);
        uint32_t behind = block % PLACES_GROUP_BLOCKS;
        if (behind == 0 && load_u32(group) != end) {
            return false;
        }
        end += group[4 + behind] + 1u;
    }
    return end * PLACE_UNIT_BYTES == blocks_bytes;
}

void places_write(const uint8_t *units, uint32_t block_count, uint8_t *ret_places)
{
    ASSERT(block_count > 0);
    ASSERT(units != NULL);
    uint32_t end = 0;
    memset(ret_places, 0, places_bytes(block_count));
    for (uint32_t block = 0; block < block_count; block++) {
        uint8_t *group = ret_places + (uint64_t)PLACES_GROUP_BYTES * (block / PLACES_GROUP_BLOCKS);
        if (block % PLACES_GROUP_BLOCKS == 0) {
            store_u32(group, end);
        }
        group[4 + block % PLACES_GROUP_BLOCKS] = units[block];
        end += units[block] + 1u;
    }
}
