/* A block of a run as bytes: it is refused, or every entry can be read and sought within it. */
#include "base/fuzz.h"
#include "kernel/block.h"
#include "kernel/kernel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t block[BLOCK_BYTES] = {0};
    memcpy(block, data, size < BLOCK_BYTES ? size : BLOCK_BYTES);
    if (!block_is_sound(block)) {
        return 0;
    }
    char key[KERNEL_KEY_BYTES_MAX];
    uint32_t count = block_entry_count(block);
    for (uint32_t i = 0; i < count; i++) {
        struct entry entry, again;
        block_at(block, i, key, &entry);
        uint32_t found = block_seek(block, entry.key, entry.commit);
        ASSERT(found <= count);
        ASSERT(block_is_key(block, i, entry.key, &again));
        ASSERT(again.value.len == entry.value.len && again.commit == entry.commit);
    }
    (void)block_seek(block, (struct slice){(const char *)data, size < 64 ? size : 64}, 1);
    return 0;
}
