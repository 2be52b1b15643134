/* Places of compressed blocks as bytes: refused, or every block lies within the file, one behind
 * the other. */
#include "base/fuzz.h"
#include "kernel/places.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4 + PLACES_GROUP_BYTES) {
        return 0;
    }
    uint32_t groups = (uint32_t)((size - 4) / PLACES_GROUP_BYTES);
    uint32_t least = (groups - 1) * PLACES_GROUP_BLOCKS;
    uint32_t count = least + 1 + load_u16(data) % PLACES_GROUP_BLOCKS;
    ASSERT(places_bytes(count) <= size - 4);
    uint64_t offset = 0, end = 0;
    uint32_t len = 0;
    places_find(data + 4, count - 1, &offset, &len);
    if (!places_are_sound(data + 4, count, offset + len)) {
        return 0;
    }
    for (uint32_t block = 0; block < count; block++) {
        places_find(data + 4, block, &offset, &len);
        ASSERT(offset == end && len >= PLACE_UNIT_BYTES && len <= 4096);
        end = offset + len;
    }
    ASSERT(!places_are_sound(data + 4, count, end + PLACE_UNIT_BYTES));
    return 0;
}
