/* Snapshots, references to them, the two logs, statistics files. */
#include "iceberg/metadata_int.h"

#include <stdlib.h>

#include "base/json.h"

static enum err read_summary(const struct json_reader *reader, const struct json_place *place,
                             const struct json *node, struct iceberg_snapshot *snapshot)
{
    TRY(iceberg__json_properties(reader, place, node, "summary", &snapshot->summary,
                                 &snapshot->summary_count));
    for (size_t i = 0; i < snapshot->summary_count; i++) {
        if (slice_equal(snapshot->summary[i].key, SLICE("operation"))) {
            snapshot->operation = snapshot->summary[i].value;
        }
    }
    return ERR_OK;
}

/* A list's location; or, in v1, the manifests themselves. */
static enum err read_manifests(const struct json_reader *reader, const struct json_place *place,
                               const struct json *node, struct iceberg_snapshot *snapshot)
{
    TRY(iceberg__json_text_or_empty(reader, place, node, "manifest-list",
                                    &snapshot->manifest_list));
    if (snapshot->manifest_list.len > 0) {
        return ERR_OK;
    }
    if (json_is_null(json_get(node, "manifests"))) {
        return iceberg__json_bad(reader, place, "names no manifest list");
    }
    return iceberg__json_texts(reader, place, node, "manifests", &snapshot->manifests,
                               &snapshot->manifest_count);
}

static enum err read_snapshot(const struct json_reader *reader, const struct json_place *place,
                              const struct json *node, struct iceberg_snapshot *snapshot)
{
    TRY(iceberg__json_object(reader, place, node));
    /* Writers should choose positive ids; some chose others. */
    TRY(iceberg__json_long(reader, place, node, "snapshot-id", INT64_MIN, INT64_MAX,
                           &snapshot->id));
    if (snapshot->id == ICEBERG_NO_ID) {
        return iceberg__json_bad(reader, place, "has snapshot id -1, which means none");
    }
    TRY(iceberg__json_long_or(reader, place, node, "parent-snapshot-id", INT64_MIN, INT64_MAX,
                              ICEBERG_NO_ID, &snapshot->parent_id));
    TRY(iceberg__json_long_or(reader, place, node, "sequence-number", 0, INT64_MAX, 0,
                              &snapshot->sequence_number));
    TRY(iceberg__json_long(reader, place, node, "timestamp-ms", INT64_MIN, INT64_MAX,
                           &snapshot->timestamp_ms));
    TRY(iceberg__json_int_or(reader, place, node, "schema-id", 0, ICEBERG_NO_ID,
                             &snapshot->schema_id));
    TRY(read_summary(reader, place, node, snapshot));
    TRY(read_manifests(reader, place, node, snapshot));
    TRY(iceberg__json_long_or(reader, place, node, "first-row-id", 0, INT64_MAX, ICEBERG_NO_ID,
                              &snapshot->first_row_id));
    TRY(iceberg__json_long_or(reader, place, node, "added-rows", 0, INT64_MAX, ICEBERG_NO_ID,
                              &snapshot->added_rows));
    return iceberg__json_text_or_empty(reader, place, node, "key-id", &snapshot->key_id);
}

static int compare_snapshots(const void *a, const void *b, void *context)
{
    const struct iceberg_snapshot *snapshots = context;
    int64_t left = snapshots[*(const uint32_t *)a].id;
    int64_t right = snapshots[*(const uint32_t *)b].id;
    return (left > right) - (left < right);
}

static enum err index_snapshots(const struct json_reader *reader, const struct json_place *list,
                                struct iceberg_metadata *metadata)
{
    size_t count = metadata->snapshot_count;
    uint32_t *order = arena_calloc(reader->arena, count + 1, sizeof(*order));
    if (order == NULL) {
        return errinfo_nomem(reader->info);
    }
    for (size_t i = 0; i < count; i++) {
        order[i] = (uint32_t)i;
    }
    qsort_r(order, count, sizeof(*order), compare_snapshots,
            (void *)(uintptr_t)metadata->snapshots);
    for (size_t i = 1; i < count; i++) {
        if (metadata->snapshots[order[i - 1]].id == metadata->snapshots[order[i]].id) {
            return iceberg__json_bad(reader, list, "has two snapshots with id %lld",
                                     (long long)metadata->snapshots[order[i]].id);
        }
    }
    metadata->snapshots_by_id = order;
    return ERR_OK;
}

enum err iceberg__snapshots_read(const struct json_reader *reader, const struct json_place *place,
                                 const struct json *root, struct iceberg_metadata *metadata)
{
    const struct json *array = NULL;
    TRY(iceberg__json_array(reader, place, root, "snapshots", &array));
    size_t listed = array == NULL ? 0 : array->count;
    struct iceberg_snapshot *snapshots =
        arena_calloc(reader->arena, listed + 1, sizeof(*snapshots));
    if (snapshots == NULL) {
        return errinfo_nomem(reader->info);
    }
    struct json_place list = JSON_MEMBER(place, "snapshots");
    const struct json *node = array == NULL ? NULL : array->first;
    for (size_t i = 0; i < listed; i++, node = node->next) {
        struct json_place item = JSON_INDEX(&list, i);
        TRY(read_snapshot(reader, &item, node, &snapshots[i]));
        if (snapshots[i].sequence_number > metadata->last_sequence_number) {
            return iceberg__json_bad(
                reader, &item, "has sequence number %lld, above the table's last, %lld",
                (long long)snapshots[i].sequence_number, (long long)metadata->last_sequence_number);
        }
    }
    metadata->snapshots = snapshots;
    metadata->snapshot_count = listed;
    TRY(index_snapshots(reader, &list, metadata));
    TRY(iceberg__json_long_or(reader, place, root, "current-snapshot-id", INT64_MIN, INT64_MAX,
                              ICEBERG_NO_ID, &metadata->current_snapshot_id));
    if (metadata->current_snapshot_id != ICEBERG_NO_ID &&
        iceberg_metadata_snapshot(metadata, metadata->current_snapshot_id) == NULL) {
        struct json_place member = JSON_MEMBER(place, "current-snapshot-id");
        return iceberg__json_bad(reader, &member, "is %lld, but there is no such snapshot",
                                 (long long)metadata->current_snapshot_id);
    }
    return ERR_OK;
}

/* ---- references ---- */

static enum err read_ref(const struct json_reader *reader, const struct json_place *place,
                         const struct json *node, const struct iceberg_metadata *metadata,
                         struct iceberg_ref *ref)
{
    struct slice type;
    TRY(iceberg__json_object(reader, place, node));
    TRY(iceberg__json_keep(reader, node->key, &ref->name));
    TRY(iceberg__json_long(reader, place, node, "snapshot-id", INT64_MIN, INT64_MAX,
                           &ref->snapshot_id));
    TRY(iceberg__json_text(reader, place, node, "type", &type));
    ref->is_tag = slice_equal_fold(type, SLICE("tag"));
    if (!ref->is_tag && !slice_equal_fold(type, SLICE("branch"))) {
        return iceberg__json_bad(reader, place, "is of type \"%.*s\", neither branch nor tag",
                                 SLICE_ARGS(type));
    }
    TRY(iceberg__json_long_or(reader, place, node, "min-snapshots-to-keep", 1, INT32_MAX,
                              ICEBERG_NO_ID, &ref->min_snapshots_to_keep));
    TRY(iceberg__json_long_or(reader, place, node, "max-snapshot-age-ms", 1, INT64_MAX,
                              ICEBERG_NO_ID, &ref->max_snapshot_age_ms));
    TRY(iceberg__json_long_or(reader, place, node, "max-ref-age-ms", 1, INT64_MAX, ICEBERG_NO_ID,
                              &ref->max_ref_age_ms));
    if (iceberg_metadata_snapshot(metadata, ref->snapshot_id) == NULL) {
        return iceberg__json_bad(reader, place, "refers to snapshot %lld, which does not exist",
                                 (long long)ref->snapshot_id);
    }
    return ERR_OK;
}

static int compare_refs(const void *a, const void *b)
{
    return slice_compare(((const struct iceberg_ref *)a)->name,
                         ((const struct iceberg_ref *)b)->name);
}

static enum err check_refs(const struct json_reader *reader, const struct json_place *place,
                           const struct iceberg_metadata *metadata)
{
    for (size_t i = 1; i < metadata->ref_count; i++) {
        if (slice_equal(metadata->refs[i - 1].name, metadata->refs[i].name)) {
            return iceberg__json_bad(reader, place, "has the member \"%.*s\" twice",
                                     SLICE_ARGS(metadata->refs[i].name));
        }
    }
    const struct iceberg_ref *branch = iceberg_metadata_ref(metadata, SLICE("main"));
    if (branch != NULL &&
        (branch->is_tag || branch->snapshot_id != metadata->current_snapshot_id)) {
        return iceberg__json_bad(
            reader, place, "has a \"main\" that is not a branch at the current snapshot, %lld",
            (long long)metadata->current_snapshot_id);
    }
    return ERR_OK;
}

enum err iceberg__refs_read(const struct json_reader *reader, const struct json_place *place,
                            const struct json *root, struct iceberg_metadata *metadata)
{
    const struct json *map = json_get(root, "refs");
    struct json_place list = JSON_MEMBER(place, "refs");
    if (!json_is_null(map) && map->type != JSON_OBJECT) {
        return iceberg__json_bad(reader, &list, "is not an object");
    }
    size_t listed = json_is_null(map) ? 0 : map->count;
    struct iceberg_ref *refs = arena_calloc(reader->arena, listed + 1, sizeof(*refs));
    if (refs == NULL) {
        return errinfo_nomem(reader->info);
    }
    size_t count = 0;
    bool has_main = false;
    const struct json *node = listed == 0 ? NULL : map->first;
    for (; node != NULL; node = node->next) {
        struct json_place item = {.up = &list, .name = node->key};
        TRY(read_ref(reader, &item, node, metadata, &refs[count]));
        has_main = has_main || slice_equal(refs[count].name, SLICE("main"));
        count++;
    }
    if (!has_main && metadata->current_snapshot_id != ICEBERG_NO_ID) {
        refs[count++] = (struct iceberg_ref){
            .name = SLICE("main"),
            .snapshot_id = metadata->current_snapshot_id,
            .min_snapshots_to_keep = ICEBERG_NO_ID,
            .max_snapshot_age_ms = ICEBERG_NO_ID,
            .max_ref_age_ms = ICEBERG_NO_ID,
        };
    }
    qsort(refs, count, sizeof(*refs), compare_refs);
    metadata->refs = refs;
    metadata->ref_count = count;
    return check_refs(reader, &list, metadata);
}

/* ---- logs ---- */

static enum err read_log(const struct json_reader *reader, const struct json_place *place,
                         const struct json *root, const char *name, bool is_metadata,
                         const struct iceberg_log_entry **ret_entries, size_t *ret_count)
{
    const struct json *array = NULL;
    TRY(iceberg__json_array(reader, place, root, name, &array));
    size_t listed = array == NULL ? 0 : array->count;
    struct iceberg_log_entry *entries = arena_calloc(reader->arena, listed + 1, sizeof(*entries));
    if (entries == NULL) {
        return errinfo_nomem(reader->info);
    }
    struct json_place list = JSON_MEMBER(place, name);
    const struct json *node = array == NULL ? NULL : array->first;
    for (size_t i = 0; i < listed; i++, node = node->next) {
        struct json_place item = JSON_INDEX(&list, i);
        struct iceberg_log_entry *entry = &entries[i];
        TRY(iceberg__json_object(reader, &item, node));
        TRY(iceberg__json_long(reader, &item, node, "timestamp-ms", INT64_MIN, INT64_MAX,
                               &entry->timestamp_ms));
        entry->snapshot_id = ICEBERG_NO_ID;
        if (is_metadata) {
            TRY(iceberg__json_text(reader, &item, node, "metadata-file", &entry->file));
        } else {
            TRY(iceberg__json_long(reader, &item, node, "snapshot-id", INT64_MIN, INT64_MAX,
                                   &entry->snapshot_id));
        }
    }
    *ret_entries = entries;
    *ret_count = listed;
    return ERR_OK;
}

enum err iceberg__logs_read(const struct json_reader *reader, const struct json_place *place,
                            const struct json *root, struct iceberg_metadata *metadata)
{
    TRY(read_log(reader, place, root, "snapshot-log", false, &metadata->snapshot_log,
                 &metadata->snapshot_log_count));
    return read_log(reader, place, root, "metadata-log", true, &metadata->metadata_log,
                    &metadata->metadata_log_count);
}

/* ---- statistics ---- */

static enum err read_blobs(const struct json_reader *reader, const struct json_place *place,
                           const struct json *node, struct iceberg_statistics *statistics)
{
    const struct json *array = NULL;
    TRY(iceberg__json_array_required(reader, place, node, "blob-metadata", &array));
    struct iceberg_statistics_blob *blobs =
        arena_calloc(reader->arena, (size_t)array->count + 1, sizeof(*blobs));
    if (blobs == NULL) {
        return errinfo_nomem(reader->info);
    }
    struct json_place list = JSON_MEMBER(place, "blob-metadata");
    size_t count = 0;
    for (const struct json *item = array->first; item != NULL; item = item->next) {
        struct json_place at = JSON_INDEX(&list, count);
        struct iceberg_statistics_blob *blob = &blobs[count++];
        TRY(iceberg__json_object(reader, &at, item));
        TRY(iceberg__json_text(reader, &at, item, "type", &blob->type));
        TRY(iceberg__json_long(reader, &at, item, "snapshot-id", INT64_MIN, INT64_MAX,
                               &blob->snapshot_id));
        TRY(iceberg__json_long(reader, &at, item, "sequence-number", ICEBERG_NO_ID, INT64_MAX,
                               &blob->sequence_number));
        TRY(iceberg__json_ids(reader, &at, item, "fields", &blob->field_ids, &blob->field_count));
        TRY(iceberg__json_properties(reader, &at, item, "properties", &blob->properties,
                                     &blob->property_count));
    }
    statistics->blobs = blobs;
    statistics->blob_count = count;
    return ERR_OK;
}

static enum err read_statistics(const struct json_reader *reader, const struct json_place *place,
                                const struct json *root, const char *name, bool is_partition,
                                const struct iceberg_statistics **ret_files, size_t *ret_count)
{
    const struct json *array = NULL;
    TRY(iceberg__json_array(reader, place, root, name, &array));
    size_t listed = array == NULL ? 0 : array->count;
    struct iceberg_statistics *files = arena_calloc(reader->arena, listed + 1, sizeof(*files));
    if (files == NULL) {
        return errinfo_nomem(reader->info);
    }
    struct json_place list = JSON_MEMBER(place, name);
    const struct json *node = array == NULL ? NULL : array->first;
    for (size_t i = 0; i < listed; i++, node = node->next) {
        struct json_place item = JSON_INDEX(&list, i);
        struct iceberg_statistics *file = &files[i];
        TRY(iceberg__json_object(reader, &item, node));
        TRY(iceberg__json_long(reader, &item, node, "snapshot-id", INT64_MIN, INT64_MAX,
                               &file->snapshot_id));
        TRY(iceberg__json_text(reader, &item, node, "statistics-path", &file->path));
        TRY(iceberg__json_long(reader, &item, node, "file-size-in-bytes", 0, INT64_MAX,
                               &file->size_bytes));
        file->footer_size_bytes = ICEBERG_NO_ID;
        if (!is_partition) {
            TRY(iceberg__json_long(reader, &item, node, "file-footer-size-in-bytes", 0, INT64_MAX,
                                   &file->footer_size_bytes));
            TRY(iceberg__json_text_or_empty(reader, &item, node, "key-metadata",
                                            &file->key_metadata));
            TRY(read_blobs(reader, &item, node, file));
        }
    }
    *ret_files = files;
    *ret_count = listed;
    return ERR_OK;
}

enum err iceberg__statistics_read(const struct json_reader *reader, const struct json_place *place,
                                  const struct json *root, struct iceberg_metadata *metadata)
{
    TRY(read_statistics(reader, place, root, "statistics", false, &metadata->statistics,
                        &metadata->statistics_count));
    return read_statistics(reader, place, root, "partition-statistics", true,
                           &metadata->partition_statistics, &metadata->partition_statistics_count);
}
