/* Goal: no plan of a catalog makes its reader crash or hang; what it takes refers to nothing that
 * is not there. The first byte says where the delete files end. */
#include "base/fuzz.h"
#include "lake/lake_int.h"

static const char metadata_text[] =
    "{\"format-version\":2,\"table-uuid\":\"9c12d441-03fe-4693-9a96-a0705ddf69c1\","
    "\"location\":\"/t\",\"last-sequence-number\":1,\"last-updated-ms\":1,\"last-column-id\":3,"
    "\"current-schema-id\":0,\"schemas\":[{\"type\":\"struct\",\"schema-id\":0,\"fields\":["
    "{\"id\":1,\"name\":\"i\",\"required\":false,\"type\":\"long\"},"
    "{\"id\":2,\"name\":\"d\",\"required\":false,\"type\":\"date\"},"
    "{\"id\":3,\"name\":\"s\",\"required\":false,\"type\":\"string\"}]}],"
    "\"default-spec-id\":1,\"partition-specs\":[{\"spec-id\":0,\"fields\":[]},{\"spec-id\":1,"
    "\"fields\":[{\"source-id\":2,\"field-id\":1000,\"name\":\"d_day\",\"transform\":\"day\"},"
    "{\"source-id\":3,\"field-id\":1001,\"name\":\"s\",\"transform\":\"identity\"}]}],"
    "\"last-partition-id\":1001,\"default-sort-order-id\":0,"
    "\"sort-orders\":[{\"order-id\":0,\"fields\":[]}]}";

static void check(const struct iceberg_metadata *metadata, const struct iceberg_scan_plan *plan)
{
    for (size_t i = 0; i < plan->file_count; i++) {
        const struct iceberg_scan_file *file = &plan->files[i];
        const struct iceberg_spec *spec = iceberg_metadata_spec(metadata, file->file.spec_id);
        ASSERT(spec != NULL && file->file.partition_count == spec->field_count);
        ASSERT(file->file.path.len > 0 && file->file.size_bytes >= 0);
        for (size_t d = 0; d < file->delete_count; d++) {
            ASSERT(file->deletes[d] < plan->delete_count);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "fuzz", 256u << 20);
    struct iceberg_metadata metadata;
    struct iceberg_scan_plan plan;
    struct errinfo info;
    if (arena == NULL || size < 2) {
        return 0;
    }
    errinfo_init(&info);
    ASSERT(iceberg_metadata_parse(slice_of(metadata_text), arena, &metadata, &info) == ERR_OK);
    struct lake_source source = {.from = {.name = SLICE("t"),
                                          .metadata = &metadata,
                                          .schema = iceberg_metadata_current_schema(&metadata)}};
    size_t len = size - 1;
    size_t first = (size_t)data[0] * 4 < len ? (size_t)data[0] * 4 : len;
    const char *text = (const char *)data + 1;
    const struct lake_plan_page page = {{text, first}, {text + first, len - first}};
    enum err err = lake__planned_read(&source, &page, 1, arena, &plan, &info);
    if (err == ERR_OK) {
        check(&metadata, &plan);
    }
    ASSERT(err == ERR_OK || info.message[0] != '\0');
    return 0;
}
