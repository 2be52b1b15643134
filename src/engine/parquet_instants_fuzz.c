/* Footers of files that anybody may have written. What is found lies in the footer, and changing it
 * leaves a footer in which nothing of the kind is left. */
#include "base/fuzz.h"
#include "engine/parquet_instants.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "fuzz", 0);
    struct parquet_instants found;
    static const int32_t ids[] = {1, 2};
    struct slice footer = {(const char *)data, size};
    if (arena == NULL) {
        return 0;
    }
    if (parquet_instants_find(footer, false, ids, ARRAY_COUNT(ids), arena, &found) == ERR_OK) {
        ASSERT(found.count == ARRAY_COUNT(ids));
    }
    if (parquet_instants_find(footer, true, NULL, 0, arena, &found) != ERR_OK) {
        return 0;
    }
    uint8_t *changed = arena_alloc(arena, size + 1);
    if (changed == NULL) {
        return 0;
    }
    memcpy(changed, data, size);
    for (size_t i = 0; i < found.count; i++) {
        ASSERT(found.offsets[i] < size && (i == 0 || found.offsets[i - 1] < found.offsets[i]));
        changed[found.offsets[i]] = parquet_instant_byte(changed[found.offsets[i]], false);
    }
    footer.ptr = (const char *)changed;
    enum err err = parquet_instants_find(footer, true, NULL, 0, arena, &found);
    ASSERT(err == ERR_NOMEM || (err == ERR_OK && found.count == 0));
    return 0;
}
