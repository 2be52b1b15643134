/* Goal: no bytes make the metadata parser crash, hang or hand out what it did not check. Method:
 * what it accepts is walked and its schemas are written and read again. */
#include "base/fuzz.h"
#include "base/json.h"
#include "iceberg/metadata.h"

static void walk_schema(const struct iceberg_metadata *metadata,
                        const struct iceberg_schema *schema, struct arena *arena)
{
    struct buf text CLEANUP(buf_fini) = {0};
    struct json *node;
    struct iceberg_schema again;
    iceberg_schema_write(schema, &text);
    ASSERT(!buf_failed(&text));
    ASSERT(json_parse(arena, buf_slice(&text), NULL, &node, NULL) == ERR_OK);
    ASSERT(iceberg_schema_parse(node, metadata->format_version, "$", arena, &again, NULL) ==
           ERR_OK);
    ASSERT(iceberg_type_equal(&schema->root, &again.root));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "fuzz", 256u << 20);
    struct slice bytes = {(const char *)data, size};
    struct iceberg_metadata metadata;
    const struct iceberg_snapshot *snapshot = NULL;
    struct errinfo info;
    errinfo_init(&info);
    if (arena == NULL || iceberg_metadata_parse(bytes, arena, &metadata, &info) != ERR_OK) {
        return 0;
    }
    ASSERT(iceberg_metadata_current_schema(&metadata) != NULL);
    ASSERT(iceberg_metadata_spec(&metadata, metadata.default_spec_id) != NULL);
    for (size_t i = 0; i < metadata.schema_count; i++) {
        walk_schema(&metadata, &metadata.schemas[i], arena);
    }
    for (size_t i = 0; i < metadata.snapshot_count; i++) {
        const struct iceberg_snapshot *one = &metadata.snapshots[i];
        ASSERT(iceberg_metadata_snapshot(&metadata, one->id) == one);
        ASSERT(iceberg_snapshot_schema(&metadata, one) != NULL);
        ASSERT(iceberg_travel_to_time(&metadata, one->timestamp_ms, &snapshot, &info) !=
               ERR_INTERNAL);
        ASSERT(iceberg_travel_to_id(&metadata, one->parent_id, &snapshot, &info) != ERR_INTERNAL);
    }
    for (size_t i = 0; i < metadata.ref_count; i++) {
        ASSERT(iceberg_travel_to_ref(&metadata, metadata.refs[i].name, &snapshot, &info) == ERR_OK);
        ASSERT(snapshot->id == metadata.refs[i].snapshot_id);
    }
    ASSERT(iceberg_travel_to_ref(&metadata, SLICE("nain"), &snapshot, &info) != ERR_INTERNAL);
    return 0;
}
