/* Goal: no bytes make the reader of manifest lists crash, hang or hand out what it did not
 * check. */
#include "base/fuzz.h"
#include "iceberg/manifest_writer_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct iceberg_metadata *metadata = writer_metadata();
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "fuzz", 256u << 20);
    struct iceberg_manifest *manifests;
    size_t count;
    struct errinfo info;
    errinfo_init(&info);
    if (arena == NULL ||
        iceberg_manifest_list_parse((struct slice){(const char *)data, size}, metadata, arena,
                                    &manifests, &count, &info) != ERR_OK) {
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        const struct iceberg_manifest *one = &manifests[i];
        const struct iceberg_spec *spec = iceberg_metadata_spec(metadata, one->spec_id);
        ASSERT(spec != NULL && one->path.len > 0 && one->length_bytes >= 0);
        ASSERT(one->partition_count == 0 || one->partition_count == spec->field_count);
        ASSERT(one->sequence_number >= 0 && one->added_files >= ICEBERG_NO_ID);
    }
    return 0;
}
