/* Footers of files that anybody may have written. What is accepted lies in the file. */
#include "base/fuzz.h"
#include "engine/parquet_layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "fuzz", 0);
    struct slice bytes = {(const char *)data, size};
    struct parquet_layout layout;
    uint64_t file_bytes = (uint64_t)1 << 32;
    (void)parquet_footer_len(bytes);
    if (arena != NULL && parquet_layout_read(bytes, file_bytes, arena, &layout) == ERR_OK) {
        for (size_t i = 0; i < layout.group_count * layout.column_count; i++) {
            ASSERT(layout.chunks[i].offset + layout.chunks[i].len <= file_bytes);
        }
    }
    return 0;
}
