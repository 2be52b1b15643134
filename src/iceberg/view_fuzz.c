/* Goal: no bytes make the view reader crash; the current version and its schema exist. */
#include "base/fuzz.h"
#include "iceberg/metadata.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "fuzz", 256u << 20);
    struct slice bytes = {(const char *)data, size};
    struct iceberg_view view;
    struct errinfo info;
    if (arena != NULL && iceberg_view_parse(bytes, arena, &view, &info) == ERR_OK) {
        const struct iceberg_view_version *version = iceberg_view_current(&view);
        ASSERT(version != NULL && iceberg_view_schema(&view, version->schema_id) != NULL);
    }
    return 0;
}
