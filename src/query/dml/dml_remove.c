/* Rows that go: their files are written again without them (copy on write), or delete files say
 * which they are (merge on read: Parquet position deletes in version 2, vectors in version 3).
 * A data file of which no row is left goes as a whole, whatever the mode, and is not read. */
#include "query/dml/dml_change_int.h"

#include <stdlib.h>

#include "iceberg/delete_write.h"

enum err dml_plan_files(struct dml *dml, const struct iceberg_expression *filter,
                        struct iceberg_scan_plan *ret_plan, struct errinfo *info)
{
    const struct lake_table *table = dml->relation->lake;
    struct iceberg_scan_options options = {
        .io = &dml->io,
        .metadata = dml->metadata,
        .snapshot = table->snapshot,
        .schema = dml->write.schema,
        .filter = filter,
        .want_metrics = filter != NULL || lake_write_has_variant(dml->write.schema),
        .thread_count = 1};
    return iceberg_scan_plan(&options, dml->query->arena, ret_plan, info);
}

/* ---- the touched files ---- */

struct touched {
    struct slice path;
    const struct iceberg_positions *dead;
    const struct iceberg_scan_file *file; /* NULL: the table has none of that name */
};

static int compare_touched(const void *a, const void *b)
{
    return slice_compare(((const struct touched *)a)->path, ((const struct touched *)b)->path);
}

static enum err find_touched(struct dml *dml, const struct lake_subset *subset,
                             const struct iceberg_scan_plan *plan, struct touched **ret_touched,
                             struct errinfo *info)
{
    struct touched *all = arena_calloc(dml->query->arena, subset->count + 1, sizeof(*all));
    if (all == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < subset->count; i++) {
        all[i] = (struct touched){subset->paths[i], subset->dead[i], NULL};
    }
    qsort(all, subset->count, sizeof(*all), compare_touched);
    for (size_t i = 0; i < plan->file_count; i++) {
        struct touched key = {.path = plan->files[i].file.path};
        struct touched *found = bsearch(&key, all, subset->count, sizeof(*all), compare_touched);
        if (found != NULL) {
            found->file = &plan->files[i];
        }
    }
    for (size_t i = 0; i < subset->count; i++) {
        if (all[i].file == NULL) {
            return errinfo_set(info, ERR_BUSY, "40001",
                               "a row of \"%.*s\" is in a file that is none of the table",
                               SLICE_ARGS(dml->name));
        }
    }
    *ret_touched = all;
    return ERR_OK;
}

/* No row is left. A file that has other deletes may have fewer rows than it counts: it is read. */
static bool is_whole(const struct touched *touched)
{
    return touched->file->delete_count == 0 && touched->file->equality_delete_count == 0 &&
           iceberg_positions_count(touched->dead) == (uint64_t)touched->file->file.record_count;
}

/* ---- merge on read ---- */

/* Where a file's other rows could not be written as they are, the table's mode does not count. */
static bool is_lossless(const struct dml *dml, const struct touched *touched, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!lake_write_is_lossless(dml->write.schema, &touched[i].file->file)) {
            return false;
        }
    }
    return true;
}

static bool merges_on_read(const struct dml *dml)
{
    char property[64];
    (void)snprintf(property, sizeof(property), "write.%s.mode", dml->reads_rows);
    return dml->metadata->format_version > 1 &&
           slice_equal_fold(iceberg_metadata_property(dml->metadata, property),
                            SLICE("merge-on-read"));
}

static enum err create(struct dml *dml, struct slice location, struct slice bytes,
                       struct errinfo *info)
{
    TRY(query_check_cancelled(dml->query, info));
    dml->delete_locations[dml->delete_location_count++] = location;
    return dml->output.create(dml->output.context, location, bytes, info);
}

static struct iceberg_file delete_file(const struct touched *touched, struct slice location)
{
    const struct iceberg_file *data = &touched->file->file;
    return (struct iceberg_file){.content = ICEBERG_POSITION_DELETES,
                                 .format = ICEBERG_PARQUET,
                                 .path = location,
                                 .spec_id = data->spec_id,
                                 .partition = data->partition,
                                 .partition_count = data->partition_count,
                                 .sequence_number = ICEBERG_NO_ID,
                                 .file_sequence_number = ICEBERG_NO_ID,
                                 .sort_order_id = ICEBERG_NO_ID,
                                 .first_row_id = ICEBERG_NO_ID,
                                 .referenced_data_file = data->path,
                                 .content_offset = ICEBERG_NO_ID,
                                 .content_size_bytes = ICEBERG_NO_ID};
}

static enum err write_positions(struct dml *dml, const struct touched *touched, size_t index,
                                struct errinfo *info)
{
    struct arena *arena = dml->query->arena;
    struct buf bytes CLEANUP(buf_fini) = {0};
    char *path = arena_printf(arena, "%.*s/%05zu-%s-deletes.parquet", (int)dml->data_folder.len,
                              dml->data_folder.ptr, index, dml->query->id);
    if (path == NULL) {
        return errinfo_nomem(info);
    }
    struct iceberg_file file = delete_file(touched, slice_of(path));
    TRY(iceberg_position_deletes_write(touched->dead, &file, arena, &bytes, info));
    dml->deletes[dml->delete_count++] = file;
    return create(dml, file.path, buf_slice(&bytes), info);
}

/* All vectors of a statement are in one file. */
static enum err write_vectors(struct dml *dml, const struct touched *touched, size_t count,
                              struct errinfo *info)
{
    struct arena *arena = dml->query->arena;
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct puffin_writer writer CLEANUP(puffin_writer_fini) = {0};
    char *path = arena_printf(arena, "%.*s/00000-%s-deletes.puffin", (int)dml->data_folder.len,
                              dml->data_folder.ptr, dml->query->id);
    if (path == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        struct iceberg_file *file = &dml->deletes[dml->delete_count++];
        *file = delete_file(&touched[i], slice_of(path));
        file->format = ICEBERG_PUFFIN;
        TRY(puffin_writer_add_vector(&writer, touched[i].dead, file, &bytes, info));
        dml->replaced[i] = touched[i].path;
    }
    dml->replaced_count = count;
    TRY(puffin_writer_finish(&writer, &bytes, info));
    for (size_t i = 0; i < count; i++) {
        dml->deletes[i].size_bytes = (int64_t)bytes.len;
    }
    return create(dml, slice_of(path), buf_slice(&bytes), info);
}

static enum err add_deleted(struct dml *dml, struct lake_rows *rows,
                            const struct iceberg_scan_plan *plan, struct errinfo *info)
{
    const struct lake_source *source;
    TRY(lake_table_source(dml->relation->lake, dml->query->arena, &source, info));
    return lake_rows_add_deleted(rows, dml->query->session->warehouse->engine, source, plan, info);
}

static enum err write_deletes(struct dml *dml, const struct touched *touched, size_t count,
                              struct errinfo *info)
{
    struct arena *arena = dml->query->arena;
    dml->deletes = arena_calloc(arena, count + 1, sizeof(*dml->deletes));
    dml->replaced = arena_calloc(arena, count + 1, sizeof(*dml->replaced));
    dml->delete_locations = arena_calloc(arena, count + 1, sizeof(*dml->delete_locations));
    if (dml->deletes == NULL || dml->replaced == NULL || dml->delete_locations == NULL) {
        return errinfo_nomem(info);
    }
    if (dml->metadata->format_version > 2) {
        return write_vectors(dml, touched, count, info);
    }
    for (size_t i = 0; i < count; i++) {
        TRY(write_positions(dml, &touched[i], i, info));
    }
    return ERR_OK;
}

/* A vector is of all rows of its file that are gone. */
static enum err mark(struct dml *dml, struct lake_rows *rows, const struct iceberg_scan_plan *plan,
                     const struct touched *touched, size_t count, struct errinfo *info)
{
    TRY(dml->metadata->format_version > 2 ? add_deleted(dml, rows, plan, info) : ERR_OK);
    return write_deletes(dml, touched, count, info);
}

enum err dml_write_deletes_anew(struct dml *dml, struct lake_rows *rows,
                                const struct iceberg_scan_plan *plan, struct errinfo *info)
{
    struct lake_subset subset;
    struct touched *touched;
    size_t kept = 0;
    TRY(add_deleted(dml, rows, plan, info));
    TRY(lake_rows_subset(rows, dml->query->arena, &subset, info));
    TRY(find_touched(dml, &subset, plan, &touched, info));
    for (size_t i = 0; i < subset.count; i++) {
        if (iceberg_positions_count(touched[i].dead) >
            0) { /* its delete files may tell of others */
            touched[kept++] = touched[i];
        }
    }
    return kept == 0 ? ERR_OK : write_deletes(dml, touched, kept, info);
}

/* ---- all of them ---- */

static enum err rewrite_later(struct dml *dml, const struct touched *touched, size_t count,
                              struct errinfo *info)
{
    struct arena *arena = dml->query->arena;
    struct lake_subset *rest = arena_calloc(arena, 1, sizeof(*rest));
    struct slice *paths = arena_calloc(arena, count + 1, sizeof(*paths));
    const struct iceberg_positions **dead =
        arena_calloc(arena, count + 1, sizeof(struct iceberg_positions *));
    if (rest == NULL || paths == NULL || dead == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        paths[i] = touched[i].path;
        dead[i] = touched[i].dead;
    }
    *rest = (struct lake_subset){paths, dead, count};
    dml->subset = rest;
    return ERR_OK;
}

enum err dml_remove(struct dml *dml, struct lake_rows *rows, struct errinfo *info)
{
    struct iceberg_scan_plan plan;
    struct lake_subset subset;
    struct touched *touched;
    size_t kept = 0;
    TRY(lake_rows_subset(rows, dml->query->arena, &subset, info));
    if (subset.count == 0) {
        return ERR_OK;
    }
    struct slice *removed = arena_calloc(dml->query->arena, subset.count + 1, sizeof(*removed));
    TRY(removed == NULL ? errinfo_nomem(info) : dml_plan_files(dml, NULL, &plan, info));
    TRY(find_touched(dml, &subset, &plan, &touched, info));
    bool is_marked = merges_on_read(dml) || !is_lossless(dml, touched, subset.count);
    for (size_t i = 0; i < subset.count; i++) {
        bool goes = is_whole(&touched[i]);
        if (goes || !is_marked) {
            removed[dml->removed_count++] = touched[i].path;
        }
        if (!goes) {
            touched[kept++] = touched[i];
        }
    }
    dml->removed = removed;
    if (kept == 0) {
        return ERR_OK;
    }
    return is_marked ? mark(dml, rows, &plan, touched, kept, info)
                     : rewrite_later(dml, touched, kept, info);
}

/* ---- the commit ---- */

enum err dml_commit_rows(struct dml *dml, struct errinfo *info)
{
    size_t data = dml->added_count;
    size_t count = data + dml->delete_count;
    struct iceberg_file *all = arena_calloc(dml->query->arena, count + 1, sizeof(*all));
    if (all == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        all[i] = i < data ? dml->added[i] : dml->deletes[i - data];
    }
    dml->added = all;
    dml->added_count = count;
    bool removes = dml->removed_count > 0 || dml->delete_count > 0;
    if (count == 0 && !removes) {
        return ERR_OK;
    }
    return dml_commit(dml, !removes ? "append" : data == 0 ? "delete" : "overwrite", false, info);
}

enum err dml_tag(struct dml *dml, uint64_t rows, struct errinfo *info)
{
    struct query *query = dml->query;
    const char *zero = strcmp(query->tag, "INSERT") == 0 ? " 0" : ""; /* an object id, once */
    char *tag = arena_printf(query->arena, "%s%s %llu", query->tag, zero, (unsigned long long)rows);
    query->tag = tag == NULL ? query->tag : tag;
    query->rows_out = 0; /* none were given out */
    return tag == NULL ? errinfo_nomem(info) : ERR_OK;
}
