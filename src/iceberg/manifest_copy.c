/* Files that outlive their manifest. */
#include "iceberg/manifest.h"

static bool copy_slice(struct arena *arena, struct slice from, struct slice *ret_copy)
{
    *ret_copy = from;
    return from.ptr == NULL || arena_slice(arena, from, ret_copy);
}

static bool copy_array(struct arena *arena, const void *from, size_t count, size_t item_bytes,
                       void **ret_copy)
{
    *ret_copy = NULL;
    if (count == 0) {
        return true;
    }
    *ret_copy = arena_calloc(arena, count, item_bytes);
    if (*ret_copy == NULL) {
        return false;
    }
    memcpy(*ret_copy, from, count * item_bytes);
    return true;
}

static bool copy_partition(const struct iceberg_file *file, struct arena *arena,
                           struct iceberg_file *out)
{
    void *copy;
    if (!copy_array(arena, file->partition, file->partition_count, sizeof(*file->partition),
                    &copy)) {
        return false;
    }
    struct iceberg_value *values = copy;
    for (size_t i = 0; i < file->partition_count; i++) {
        if (!copy_slice(arena, file->partition[i].bytes, &values[i].bytes)) {
            return false;
        }
    }
    out->partition = values;
    return true;
}

static bool copy_metrics(const struct iceberg_file *file, struct arena *arena,
                         struct iceberg_file *out)
{
    void *copy;
    if (!copy_array(arena, file->metrics, file->metrics_count, sizeof(*file->metrics), &copy)) {
        return false;
    }
    struct iceberg_metrics *metrics = copy;
    for (size_t i = 0; i < file->metrics_count; i++) {
        if (!copy_slice(arena, file->metrics[i].lower, &metrics[i].lower) ||
            !copy_slice(arena, file->metrics[i].upper, &metrics[i].upper)) {
            return false;
        }
    }
    out->metrics = metrics;
    return true;
}

bool iceberg_file_copy(const struct iceberg_file *file, struct arena *arena,
                       struct iceberg_file *ret_file)
{
    struct iceberg_file out = *file;
    void *splits;
    void *ids;
    if (!copy_slice(arena, file->path, &out.path) ||
        !copy_slice(arena, file->referenced_data_file, &out.referenced_data_file) ||
        !copy_slice(arena, file->key_metadata, &out.key_metadata) ||
        !copy_array(arena, file->split_offsets, file->split_offset_count,
                    sizeof(*file->split_offsets), &splits) ||
        !copy_array(arena, file->equality_ids, file->equality_id_count, sizeof(*file->equality_ids),
                    &ids) ||
        !copy_partition(file, arena, &out) || !copy_metrics(file, arena, &out)) {
        return false;
    }
    out.split_offsets = splits;
    out.equality_ids = ids;
    *ret_file = out;
    return true;
}
