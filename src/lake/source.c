/* Opening a table: what of it can be read, and what its delete files ask for. */
#include "lake/source.h"

#include <stdlib.h>

#include "lake/lake_int.h"
#include "storage/remote.h"
#include "storage/storage.h"

#define EQUALITY_SETS_MAX 64
#define EQUALITY_FILES_MAX 1000000

/* ---- deletes ---- */

struct gatherer {
    struct lake_source *source;
    struct arena *arena;
    struct lake_equality *sets;
    size_t capacities[EQUALITY_SETS_MAX];
    struct errinfo *info;
};

static int compare_ids(const void *a, const void *b)
{
    int32_t left = *(const int32_t *)a;
    int32_t right = *(const int32_t *)b;
    return (left > right) - (left < right);
}

/* Only whole columns: a nested field could be compared too, and no writer does. */
static enum err check_equality_ids(struct gatherer *g, const int32_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct iceberg_field *parent = NULL;
        const struct iceberg_field *field =
            iceberg_schema_find_id(g->source->from.schema, ids[i], &parent);
        if (field == NULL) {
            field = iceberg_metadata_field(g->source->from.metadata, ids[i]);
            const struct iceberg_metadata *metadata = g->source->from.metadata;
            for (size_t s = 0; s < metadata->schema_count; s++) {
                if (iceberg_schema_find_id(&metadata->schemas[s], ids[i], &parent) != NULL) {
                    break;
                }
            }
        }
        if (field == NULL) {
            return errinfo_set(g->info, ERR_CORRUPT, NULL,
                               "a delete file of \"%.*s\" compares field %d, which no schema has",
                               SLICE_ARGS(g->source->from.name), ids[i]);
        }
        if (parent != NULL) {
            return errinfo_set(g->info, ERR_UNSUPPORTED, NULL,
                               "a delete file of \"%.*s\" compares the nested field \"%.*s\"",
                               SLICE_ARGS(g->source->from.name), SLICE_ARGS(field->name));
        }
    }
    return ERR_OK;
}

static enum err find_set(struct gatherer *g, const int32_t *ids, size_t count, bool is_global,
                         size_t *ret_index)
{
    struct lake_source *source = g->source;
    int32_t *sorted = arena_calloc(g->arena, count, sizeof(*sorted));
    if (sorted == NULL) {
        return errinfo_nomem(g->info);
    }
    memcpy(sorted, ids, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), compare_ids);
    for (size_t i = 0; i < source->equality_count; i++) {
        if (g->sets[i].field_count == count && g->sets[i].is_global == is_global &&
            memcmp(g->sets[i].field_ids, sorted, count * sizeof(*sorted)) == 0) {
            *ret_index = i;
            return ERR_OK;
        }
    }
    TRY(check_equality_ids(g, sorted, count));
    if (source->equality_count == EQUALITY_SETS_MAX) {
        return errinfo_set(g->info, ERR_LIMIT, NULL,
                           "the deletes of \"%.*s\" compare more than %d sets of columns",
                           SLICE_ARGS(source->from.name), EQUALITY_SETS_MAX);
    }
    *ret_index = source->equality_count++;
    g->sets[*ret_index] =
        (struct lake_equality){.field_ids = sorted, .field_count = count, .is_global = is_global};
    return ERR_OK;
}

static enum err add_equality(struct gatherer *g, const struct iceberg_file *file)
{
    size_t index;
    const struct iceberg_spec *spec =
        iceberg_metadata_spec(g->source->from.metadata, file->spec_id);
    ASSERT(spec != NULL);
    TRY(find_set(g, file->equality_ids, file->equality_id_count, spec->field_count == 0, &index));
    struct lake_equality *set = &g->sets[index];
    if (set->file_count == EQUALITY_FILES_MAX) {
        return errinfo_set(g->info, ERR_LIMIT, NULL, "\"%.*s\" has too many delete files",
                           SLICE_ARGS(g->source->from.name));
    }
    if (set->file_count == g->capacities[index]) {
        size_t capacity = set->file_count == 0 ? 8 : set->file_count * 2;
        struct iceberg_file *grown = arena_calloc(g->arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(g->info);
        }
        if (set->file_count > 0) {
            memcpy(grown, set->files, set->file_count * sizeof(*grown));
        }
        set->files = grown;
        g->capacities[index] = capacity;
    }
    struct iceberg_file *slot = (struct iceberg_file *)(uintptr_t)&set->files[set->file_count++];
    return iceberg_file_copy(file, g->arena, slot) ? ERR_OK : errinfo_nomem(g->info);
}

static enum err gather_manifest(struct gatherer *g, const struct iceberg_io *io,
                                const struct iceberg_manifest *manifest)
{
    static const struct iceberg_manifest_want want = {.all_metrics = false};
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct iceberg_manifest_reader *reader CLEANUP(iceberg_manifest_cleanup) = NULL;
    const struct iceberg_file *file;
    TRY(io->read_all(io->context, manifest->path, (uint64_t)manifest->length_bytes, 0, &bytes,
                     g->info));
    TRY(iceberg_manifest_open(buf_slice(&bytes), manifest, g->source->from.metadata, &want, &reader,
                              g->info));
    for (;;) {
        TRY(iceberg_manifest_next(reader, &file, g->info));
        if (file == NULL) {
            return ERR_OK;
        }
        if (file->content == ICEBERG_EQUALITY_DELETES) {
            TRY(add_equality(g, file));
        } else {
            g->source->has_position_deletes = true;
        }
    }
}

static enum err gather(struct lake_source *source, struct arena *arena, struct errinfo *info)
{
    struct arena *scratch CLEANUP(arena_cleanup) = arena_new(NULL, "manifests", 0);
    const struct iceberg_io *io = &source->from.io;
    struct gatherer g = {.source = source, .arena = arena, .info = info};
    struct iceberg_manifest *manifests;
    size_t count;
    g.sets = arena_calloc(arena, EQUALITY_SETS_MAX, sizeof(*g.sets));
    if (scratch == NULL || g.sets == NULL) {
        return errinfo_nomem(info);
    }
    source->equality = g.sets;
    TRY(iceberg_manifests_load(io, source->from.metadata, source->from.snapshot, scratch,
                               &manifests, &count, info));
    for (size_t i = 0; i < count; i++) {
        bool has_living = manifests[i].added_files != 0 || manifests[i].existing_files != 0;
        if (manifests[i].is_deletes && has_living) {
            TRY(gather_manifest(&g, io, &manifests[i]));
        }
    }
    return ERR_OK;
}

/* ---- opening ---- */

enum err lake__open(const struct lake_source *source, void *run, struct slice location,
                    struct storage_object **ret_object, struct errinfo *info)
{
    const struct lake_origin *from = &source->from;
    bool is_outside = false;
    struct slice path;
    if (run != NULL && storage_is_remote(location)) {
        return from->planner->open_object(run, location, ret_object, info);
    }
    if (from->grant != NULL) { /* nothing of this machine: metadata is another system's word */
        struct slice any_version = {NULL, 0};
        return storage_grant_open(from->grant, from->who, location, any_version, ret_object, info);
    }
    if (from->open_remote != NULL && storage_is_remote(location)) {
        return from->open_remote(from->context, location, ret_object, info);
    }
    TRY(from->locate(from->context, location, &path, info));
    enum err err = storage_open_within(from->who, path, from->folders, from->folder_count,
                                       ret_object, &is_outside, info);
    if (is_outside) {
        (void)errinfo_set(info, ERR_DENIED, NULL,
                          "\"%.*s\" names a file outside of the folder of its catalog",
                          SLICE_ARGS(from->name));
        errinfo_hint(info,
                     "If the table is to reach there, ATTACH OR REPLACE ... (ALLOW 'folder').");
    }
    return err;
}

static int64_t rows_of(const struct iceberg_snapshot *snapshot)
{
    int64_t rows;
    for (size_t i = 0; snapshot != NULL && i < snapshot->summary_count; i++) {
        if (slice_equal(snapshot->summary[i].key, SLICE("total-records")) &&
            slice_to_i64(snapshot->summary[i].value, &rows) && rows >= 0) {
            return rows;
        }
    }
    return snapshot == NULL ? 0 : -1;
}

static enum err check_names(const struct lake_source *source, struct errinfo *info)
{
    const struct iceberg_type *root = &source->from.schema->root;
    for (size_t i = 0; i < root->field_count; i++) {
        if (slice_starts_with_fold(root->fields[i].name, SLICE("__moat_"))) {
            return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                               "column \"%.*s\" of \"%.*s\" has a name that is Moat's own",
                               SLICE_ARGS(root->fields[i].name), SLICE_ARGS(source->from.name));
        }
    }
    return ERR_OK;
}

enum err lake_source_open(const struct lake_origin *from, struct arena *arena,
                          struct lake_source **ret_source, struct errinfo *info)
{
    ASSERT(from->who != NULL);
    struct lake_source *source = arena_calloc(arena, 1, sizeof(*source));
    if (source == NULL) {
        return errinfo_nomem(info);
    }
    source->from = *from;
    source->row_count = rows_of(from->snapshot);
    TRY(check_names(source, info));
    struct slice mapping = iceberg_metadata_property(from->metadata, "schema.name-mapping.default");
    if (mapping.len > 0) {
        TRY(iceberg_name_mapping_parse(mapping, arena, &source->mapping, info));
    }
    source->is_planned_elsewhere = lake__is_planned_elsewhere(from);
    source->has_position_deletes = source->is_planned_elsewhere;
    if (from->snapshot != NULL && !source->is_planned_elsewhere) {
        TRY(lake__named(source, gather(source, arena, info), info));
    }
    *ret_source = source;
    return ERR_OK;
}
