/* Sums over the live files of a snapshot. */
#include "iceberg/inspect.h"

#include "iceberg/inspect_int.h"

#define TARGET_BYTES_DEFAULT (UINT64_C(512) << 20) /* write.target-file-size-bytes */

uint64_t iceberg__small_bytes(const struct iceberg_metadata *metadata)
{
    uint64_t target = TARGET_BYTES_DEFAULT;
    struct slice text = iceberg_metadata_property(metadata, "write.target-file-size-bytes");
    if (!slice_to_u64(text, &target) || target == 0) {
        target = TARGET_BYTES_DEFAULT;
    }
    return target / 4;
}

static uint64_t at_least_zero(int64_t value)
{
    return value < 0 ? 0 : (uint64_t)value;
}

static void add_data_file(const struct iceberg_file *file, struct iceberg_totals *totals)
{
    uint64_t bytes = at_least_zero(file->size_bytes);
    totals->data_bytes_least = totals->data_files == 0 || bytes < totals->data_bytes_least
                                   ? bytes
                                   : totals->data_bytes_least;
    totals->data_bytes_most = bytes > totals->data_bytes_most ? bytes : totals->data_bytes_most;
    totals->data_files++;
    totals->data_rows += at_least_zero(file->record_count);
    totals->data_bytes += bytes;
    totals->small_files += bytes < totals->small_bytes ? 1 : 0;
}

void iceberg__totals_add_file(const struct iceberg_file *file, struct iceberg_totals *totals)
{
    uint64_t rows = at_least_zero(file->record_count);
    if (file->status == ICEBERG_DELETED) {
        return;
    }
    switch (file->content) {
    case ICEBERG_DATA:
        add_data_file(file, totals);
        return;
    case ICEBERG_POSITION_DELETES:
        if (file->format == ICEBERG_PUFFIN) {
            totals->vectors++;
            totals->vector_rows += rows;
            totals->delete_bytes += at_least_zero(file->content_size_bytes);
            return;
        }
        totals->position_files++;
        totals->position_rows += rows;
        break;
    case ICEBERG_EQUALITY_DELETES:
        totals->equality_files++;
        totals->equality_rows += rows;
        break;
    }
    totals->delete_bytes += at_least_zero(file->size_bytes);
}

static enum err add_manifest(const struct iceberg_io *io, const struct iceberg_metadata *metadata,
                             const struct iceberg_manifest *manifest, struct iceberg_totals *totals,
                             struct errinfo *info)
{
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct iceberg_manifest_reader *reader CLEANUP(iceberg_manifest_cleanup) = NULL;
    const struct iceberg_manifest_want want = {0};
    const struct iceberg_file *file = NULL;
    TRY(io->read_all(io->context, manifest->path, at_least_zero(manifest->length_bytes), 0, &bytes,
                     info));
    TRY(iceberg_manifest_open(buf_slice(&bytes), manifest, metadata, &want, &reader, info));
    for (;;) {
        TRY(iceberg_manifest_next(reader, &file, info));
        if (file == NULL) {
            return ERR_OK;
        }
        iceberg__totals_add_file(file, totals);
    }
}

enum err iceberg_inspect(const struct iceberg_io *io, const struct iceberg_metadata *metadata,
                         const struct iceberg_snapshot *snapshot, struct iceberg_totals *ret_totals,
                         struct errinfo *info)
{
    struct iceberg_manifest *manifests = NULL;
    size_t count = 0;
    struct iceberg_totals totals = {.small_bytes = iceberg__small_bytes(metadata)};
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "inspect", 0);
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(iceberg_manifests_load(io, metadata, snapshot, arena, &manifests, &count, info));
    for (size_t i = 0; i < count; i++) {
        totals.manifests++;
        totals.delete_manifests += manifests[i].is_deletes ? 1 : 0;
        totals.manifest_bytes += at_least_zero(manifests[i].length_bytes);
        TRY(add_manifest(io, metadata, &manifests[i], &totals, info));
    }
    *ret_totals = totals;
    return ERR_OK;
}
