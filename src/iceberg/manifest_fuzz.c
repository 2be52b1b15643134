/* Goal: no bytes make the manifest reader crash, hang or hand out what it did not check. Method: a
 * table with a spec of every type; the last byte of the input says what is asked for. What is read
 * with all statistics must be what is read with one column's. */
#include "base/fuzz.h"
#include "iceberg/manifest_writer_int.h"

static void check_file(const struct iceberg_file *file, bool is_deletes)
{
    struct iceberg_file copy;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "fuzz", 0);
    struct buf text CLEANUP(buf_fini) = {0};
    ASSERT(file->path.len > 0 && file->record_count >= 0 && file->size_bytes >= 0);
    ASSERT((file->content != ICEBERG_DATA) == is_deletes);
    ASSERT(file->status != ICEBERG_EXISTING || file->sequence_number >= 0);
    for (size_t i = 1; i < file->metrics_count; i++) {
        ASSERT(file->metrics[i - 1].field_id < file->metrics[i].field_id);
    }
    for (size_t i = 0; i < file->partition_count; i++) {
        if (!file->partition[i].is_null) {
            iceberg_value_print(&file->partition[i], &text);
        }
    }
    ASSERT(arena != NULL && iceberg_file_copy(file, arena, &copy));
    ASSERT(slice_equal(copy.path, file->path) && copy.metrics_count == file->metrics_count);
}

/* Reads all entries; how many, and whether the end was reached. */
static bool read_all(struct slice bytes, const struct iceberg_manifest *manifest,
                     const struct iceberg_manifest_want *want, uint64_t *ret_count)
{
    struct iceberg_manifest_reader *reader CLEANUP(iceberg_manifest_cleanup) = NULL;
    const struct iceberg_file *file = NULL;
    struct errinfo info;
    errinfo_init(&info);
    *ret_count = 0;
    if (iceberg_manifest_open(bytes, manifest, writer_metadata(), want, &reader, &info) != ERR_OK) {
        return false;
    }
    for (;; ++*ret_count) {
        if (iceberg_manifest_next(reader, &file, &info) != ERR_OK) {
            return false;
        }
        if (file == NULL) {
            return true;
        }
        check_file(file, manifest->is_deletes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int32_t ids[] = {1, 3};
    if (size == 0) {
        return 0;
    }
    uint8_t options = data[size - 1];
    struct iceberg_manifest manifest = {.spec_id = options & 3,
                                        .is_deletes = (options & 4) != 0,
                                        .sequence_number = (options & 8) != 0 ? 5 : 0,
                                        .first_row_id = (options & 16) != 0 ? 100 : ICEBERG_NO_ID};
    struct iceberg_manifest_want all = {.all_metrics = true,
                                        .deleted_entries = (options & 32) != 0};
    struct iceberg_manifest_want few = {
        .metric_ids = ids, .metric_count = 2, .deleted_entries = (options & 32) != 0};
    struct slice bytes = {(const char *)data, size - 1};
    uint64_t all_count, few_count;
    bool is_whole = read_all(bytes, &manifest, &all, &all_count);
    ASSERT(read_all(bytes, &manifest, &few, &few_count) == is_whole && all_count == few_count);
    return 0;
}
