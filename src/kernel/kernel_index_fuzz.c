/* The index of a run as bytes: it is refused, or every key gets a block that the run has. */
#include "base/fuzz.h"
#include "base/mem.h"
#include "kernel/index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *bytes = mem_alloc(size + 1);
    if (bytes == NULL) {
        return 0;
    }
    memcpy(bytes, data, size);
    struct index_view view;
    if (index_open(bytes, size, &view)) {
        for (size_t i = 0; i < size && i < 256; i++) {
            struct slice key = {(const char *)data + i, size - i < 40 ? size - i : 40};
            uint32_t block = index_find(&view, key, i);
            ASSERT(block < view.block_count);
            (void)index_goes_on(&view, key, block);
        }
    }
    mem_free(bytes);
    return 0;
}
