/* Goal: no bytes make the name mapping reader crash, and what it accepts is unambiguous. */
#include "base/fuzz.h"
#include "iceberg/metadata.h"

static void walk(const struct iceberg_name_mapping *mapping, unsigned depth)
{
    ASSERT(depth <= ICEBERG_DEPTH_MAX);
    for (size_t i = 0; i < mapping->field_count; i++) {
        const struct iceberg_mapped_field *field = &mapping->fields[i];
        ASSERT(field->field_id >= ICEBERG_NO_ID);
        for (size_t k = 0; k < field->name_count && i > 0; k++) {
            const struct iceberg_mapped_field *before = &mapping->fields[i - 1];
            for (size_t j = 0; j < before->name_count; j++) {
                ASSERT(!slice_equal(field->names[k], before->names[j]));
            }
        }
        walk(&field->children, depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "fuzz", 64u << 20);
    struct slice bytes = {(const char *)data, size};
    struct iceberg_name_mapping mapping;
    struct errinfo info;
    if (arena != NULL && iceberg_name_mapping_parse(bytes, arena, &mapping, &info) == ERR_OK) {
        walk(&mapping, 0);
    }
    return 0;
}
