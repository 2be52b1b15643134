/* Loading a table's metadata, and lookups in it. */
#include "iceberg/metadata.h"

#include "iceberg/json_int.h"

enum err iceberg_metadata_load(const struct iceberg_io *io, struct slice location,
                               struct arena *arena, struct iceberg_metadata *ret_metadata,
                               struct errinfo *info)
{
    struct buf bytes CLEANUP(buf_fini) = {0};
    TRY(io->read_all(io->context, location, 0, ICEBERG__DOCUMENT_BYTES_MAX, &bytes, info));
    return iceberg_metadata_parse(buf_slice(&bytes), arena, ret_metadata, info);
}

const struct iceberg_schema *iceberg_metadata_schema(const struct iceberg_metadata *metadata,
                                                     int32_t id)
{
    for (size_t i = 0; i < metadata->schema_count; i++) {
        if (metadata->schemas[i].id == id) {
            return &metadata->schemas[i];
        }
    }
    return NULL;
}

const struct iceberg_schema *iceberg_metadata_current_schema(const struct iceberg_metadata *m)
{
    return iceberg_metadata_schema(m, m->current_schema_id);
}

const struct iceberg_field *iceberg_metadata_field(const struct iceberg_metadata *metadata,
                                                   int32_t field_id)
{
    const struct iceberg_schema *current = iceberg_metadata_current_schema(metadata);
    const struct iceberg_field *field =
        current == NULL ? NULL : iceberg_schema_find_id(current, field_id, NULL);
    for (size_t i = metadata->schema_count; field == NULL && i > 0; i--) {
        field = iceberg_schema_find_id(&metadata->schemas[i - 1], field_id, NULL);
    }
    return field;
}

const struct iceberg_spec *iceberg_metadata_spec(const struct iceberg_metadata *metadata,
                                                 int32_t id)
{
    for (size_t i = 0; i < metadata->spec_count; i++) {
        if (metadata->specs[i].id == id) {
            return &metadata->specs[i];
        }
    }
    return NULL;
}

const struct iceberg_snapshot *iceberg_metadata_snapshot(const struct iceberg_metadata *metadata,
                                                         int64_t id)
{
    size_t low = 0;
    size_t high = metadata->snapshot_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct iceberg_snapshot *snapshot =
            &metadata->snapshots[metadata->snapshots_by_id[middle]];
        if (snapshot->id == id) {
            return snapshot;
        }
        if (snapshot->id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

const struct iceberg_ref *iceberg_metadata_ref(const struct iceberg_metadata *metadata,
                                               struct slice name)
{
    size_t low = 0;
    size_t high = metadata->ref_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = slice_compare(metadata->refs[middle].name, name);
        if (order == 0) {
            return &metadata->refs[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

struct slice iceberg_metadata_property(const struct iceberg_metadata *metadata, const char *key)
{
    struct slice name = slice_of(key);
    for (size_t i = metadata->property_count; i > 0; i--) {
        if (slice_equal(metadata->properties[i - 1].key, name)) {
            return metadata->properties[i - 1].value;
        }
    }
    return (struct slice){0};
}

const struct iceberg_schema *iceberg_snapshot_schema(const struct iceberg_metadata *metadata,
                                                     const struct iceberg_snapshot *snapshot)
{
    const struct iceberg_schema *schema =
        snapshot->schema_id == ICEBERG_NO_ID
            ? NULL
            : iceberg_metadata_schema(metadata, snapshot->schema_id);
    return schema != NULL ? schema : iceberg_metadata_current_schema(metadata);
}

const struct iceberg_schema *iceberg_ref_schema(const struct iceberg_metadata *metadata,
                                                const struct iceberg_ref *ref)
{
    const struct iceberg_snapshot *snapshot =
        ref->is_tag ? iceberg_metadata_snapshot(metadata, ref->snapshot_id) : NULL;
    return snapshot == NULL ? iceberg_metadata_current_schema(metadata)
                            : iceberg_snapshot_schema(metadata, snapshot);
}

const struct iceberg_snapshot *iceberg_metadata_find_wap(const struct iceberg_metadata *metadata,
                                                         struct slice wap_id, size_t after)
{
    for (size_t i = 0; i < metadata->snapshot_count; i++) {
        const struct iceberg_snapshot *snapshot = &metadata->snapshots[i];
        for (size_t p = 0; p < snapshot->summary_count; p++) {
            if (slice_equal(snapshot->summary[p].key, SLICE(ICEBERG_WAP_ID)) &&
                slice_equal(snapshot->summary[p].value, wap_id) && after-- == 0) {
                return snapshot;
            }
        }
    }
    return NULL;
}
