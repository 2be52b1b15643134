/* Opening a table: what of it can be read, and what its delete files ask for. */
#include "lake/table.h"

#include <stdlib.h>

#include "base/mem.h"
#include "identity/identity.h"
#include "lake/lake_int.h"

#define EQUALITY_SETS_MAX 64
#define EQUALITY_FILES_MAX 1000000

/* ---- where files may lie ---- */

static bool has_parent_step(struct slice path)
{
    struct slice step = SLICE("/..");
    for (size_t at = 0; at + step.len <= path.len; at++) {
        if (memcmp(path.ptr + at, step.ptr, step.len) == 0 &&
            (at + step.len == path.len || path.ptr[at + step.len] == '/')) {
            return true;
        }
    }
    return false;
}

enum err lake_table_locate(const struct lake_table *table, struct slice location,
                           struct slice *ret_path, struct errinfo *info)
{
    struct slice path;
    TRY(catalog_iceberg_path(location, &path, info));
    for (size_t i = 0; i < table->folder_count && !has_parent_step(path); i++) {
        struct slice folder = table->folders[i];
        if (slice_starts_with(path, folder) && path.len > folder.len &&
            path.ptr[folder.len] == '/') {
            *ret_path = path;
            return ERR_OK;
        }
    }
    (void)errinfo_set(info, ERR_DENIED, NULL,
                      "table \"%.*s\" names a file outside of its catalog's folders",
                      SLICE_ARGS(table->name.name));
    errinfo_hint(info, "The catalog's owner may allow more folders where it is attached.");
    return ERR_DENIED;
}

static enum err read_all(void *context, struct slice location, uint64_t size_hint,
                         uint64_t bytes_max, struct buf *ret_bytes, struct errinfo *info)
{
    const struct lake_reader *reader = context;
    struct iceberg_io io = catalog_iceberg_io(reader->who);
    struct slice path;
    TRY(lake_table_locate(reader->table, location, &path, info));
    return io.read_all(io.context, path, size_hint, bytes_max, ret_bytes, info);
}

static enum err read_range(void *context, struct slice location, uint64_t offset, size_t len,
                           void *ret_bytes, struct errinfo *info)
{
    const struct lake_reader *reader = context;
    struct iceberg_io io = catalog_iceberg_io(reader->who);
    struct slice path;
    TRY(lake_table_locate(reader->table, location, &path, info));
    return io.read_range(io.context, path, offset, len, ret_bytes, info);
}

static enum err size_of(void *context, struct slice location, uint64_t *ret_size_bytes,
                        struct errinfo *info)
{
    const struct lake_reader *reader = context;
    struct iceberg_io io = catalog_iceberg_io(reader->who);
    struct slice path;
    TRY(lake_table_locate(reader->table, location, &path, info));
    return io.size(io.context, path, ret_size_bytes, info);
}

struct iceberg_io lake_reader_io(struct lake_reader *reader)
{
    return (struct iceberg_io){
        .context = reader, .read_all = read_all, .read_range = read_range, .size = size_of};
}

/* ---- deletes ---- */

struct gatherer {
    struct lake_table *table;
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
            iceberg_schema_find_id(g->table->schema, ids[i], &parent);
        if (field == NULL) {
            field = iceberg_metadata_field(&g->table->metadata, ids[i]);
            const struct iceberg_metadata *metadata = &g->table->metadata;
            for (size_t s = 0; s < metadata->schema_count; s++) {
                if (iceberg_schema_find_id(&metadata->schemas[s], ids[i], &parent) != NULL) {
                    break;
                }
            }
        }
        if (field == NULL) {
            return errinfo_set(g->info, ERR_CORRUPT, NULL,
                               "a delete file of \"%.*s\" compares field %d, which no schema has",
                               SLICE_ARGS(g->table->name.name), ids[i]);
        }
        if (parent != NULL) {
            return errinfo_set(g->info, ERR_UNSUPPORTED, NULL,
                               "a delete file of \"%.*s\" compares the nested field \"%.*s\"",
                               SLICE_ARGS(g->table->name.name), SLICE_ARGS(field->name));
        }
    }
    return ERR_OK;
}

static enum err find_set(struct gatherer *g, const int32_t *ids, size_t count, bool is_global,
                         size_t *ret_index)
{
    struct lake_table *table = g->table;
    int32_t *sorted = arena_calloc(g->arena, count, sizeof(*sorted));
    if (sorted == NULL) {
        return errinfo_nomem(g->info);
    }
    memcpy(sorted, ids, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), compare_ids);
    for (size_t i = 0; i < table->equality_count; i++) {
        if (g->sets[i].field_count == count && g->sets[i].is_global == is_global &&
            memcmp(g->sets[i].field_ids, sorted, count * sizeof(*sorted)) == 0) {
            *ret_index = i;
            return ERR_OK;
        }
    }
    TRY(check_equality_ids(g, sorted, count));
    if (table->equality_count == EQUALITY_SETS_MAX) {
        return errinfo_set(g->info, ERR_LIMIT, NULL,
                           "the deletes of \"%.*s\" compare more than %d sets of columns",
                           SLICE_ARGS(table->name.name), EQUALITY_SETS_MAX);
    }
    *ret_index = table->equality_count++;
    g->sets[*ret_index] =
        (struct lake_equality){.field_ids = sorted, .field_count = count, .is_global = is_global};
    return ERR_OK;
}

static enum err add_equality(struct gatherer *g, const struct iceberg_file *file)
{
    size_t index;
    const struct iceberg_spec *spec = iceberg_metadata_spec(&g->table->metadata, file->spec_id);
    ASSERT(spec != NULL);
    TRY(find_set(g, file->equality_ids, file->equality_id_count, spec->field_count == 0, &index));
    struct lake_equality *set = &g->sets[index];
    if (set->file_count == EQUALITY_FILES_MAX) {
        return errinfo_set(g->info, ERR_LIMIT, NULL, "\"%.*s\" has too many delete files",
                           SLICE_ARGS(g->table->name.name));
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
    TRY(iceberg_manifest_open(buf_slice(&bytes), manifest, &g->table->metadata, &want, &reader,
                              g->info));
    for (;;) {
        TRY(iceberg_manifest_next(reader, &file, g->info));
        if (file == NULL) {
            return ERR_OK;
        }
        if (file->content == ICEBERG_EQUALITY_DELETES) {
            TRY(add_equality(g, file));
        } else {
            g->table->has_position_deletes = true;
        }
    }
}

static enum err gather(struct lake_table *table, const struct identity *who, struct arena *arena,
                       struct errinfo *info)
{
    struct arena *scratch CLEANUP(arena_cleanup) = arena_new(NULL, "manifests", 0);
    struct lake_reader reader = {.table = table, .who = who};
    struct iceberg_io io = lake_reader_io(&reader);
    struct gatherer g = {.table = table, .arena = arena, .info = info};
    struct iceberg_manifest *manifests;
    size_t count;
    g.sets = arena_calloc(arena, EQUALITY_SETS_MAX, sizeof(*g.sets));
    if (scratch == NULL || g.sets == NULL) {
        return errinfo_nomem(info);
    }
    table->equality = g.sets;
    TRY(iceberg_manifests_load(&io, &table->metadata, table->snapshot, scratch, &manifests, &count,
                               info));
    for (size_t i = 0; i < count; i++) {
        bool has_living = manifests[i].added_files != 0 || manifests[i].existing_files != 0;
        if (manifests[i].is_deletes && has_living) {
            TRY(gather_manifest(&g, &io, &manifests[i]));
        }
    }
    return ERR_OK;
}

/* ---- opening ---- */

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

static enum err check_names(const struct lake_table *table, struct errinfo *info)
{
    for (size_t i = 0; i < table->schema->root.field_count; i++) {
        struct slice name = table->schema->root.fields[i].name;
        if (slice_starts_with_fold(name, SLICE("__moat_"))) {
            return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                               "column \"%.*s\" of \"%.*s\" has a name that is Moat's own",
                               SLICE_ARGS(name), SLICE_ARGS(table->name.name));
        }
    }
    return ERR_OK;
}

enum err lake_table_open(const struct identity *who, const struct catalog_iceberg_table *loaded,
                         const struct iceberg_snapshot *snapshot,
                         const struct iceberg_schema *schema, const struct slice *folders,
                         size_t folder_count, struct arena *arena, struct lake_table **ret_table,
                         struct errinfo *info)
{
    ASSERT(who != NULL);
    struct lake_table *table = arena_calloc(arena, 1, sizeof(*table));
    if (table == NULL) {
        return errinfo_nomem(info);
    }
    table->name = loaded->name;
    table->metadata = loaded->metadata;
    table->snapshot = snapshot;
    table->schema = schema;
    table->folders = folders;
    table->folder_count = folder_count;
    table->row_count = rows_of(snapshot);
    TRY(check_names(table, info));
    struct slice mapping =
        iceberg_metadata_property(&table->metadata, "schema.name-mapping.default");
    if (mapping.len > 0) {
        TRY(iceberg_name_mapping_parse(mapping, arena, &table->mapping, info));
    }
    if (snapshot != NULL) {
        TRY(gather(table, who, arena, info));
    }
    *ret_table = table;
    return ERR_OK;
}

enum err lake_table_columns(const struct lake_table *table, struct arena *arena,
                            struct relation_column **ret_columns, size_t *ret_count,
                            struct errinfo *info)
{
    const struct iceberg_type *root = &table->schema->root;
    struct relation_column *columns = arena_calloc(arena, root->field_count + 1, sizeof(*columns));
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < root->field_count; i++) {
        struct buf type CLEANUP(buf_fini) = {0};
        TRY(lake__type_print(&root->fields[i].type, root->fields[i].name, &type, info));
        columns[i].id = (uint32_t)root->fields[i].id;
        columns[i].name = columns[i].source = root->fields[i].name;
        if (buf_failed(&type) || !arena_slice(arena, buf_slice(&type), &columns[i].type)) {
            return errinfo_nomem(info);
        }
    }
    *ret_columns = columns;
    *ret_count = root->field_count;
    return ERR_OK;
}
