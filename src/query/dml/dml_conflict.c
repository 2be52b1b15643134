/* Whether a statement's commit is still right after others have committed to the table
 * (write.{delete,update,merge}.isolation-level).
 *
 * `serializable`: all that the statement has read must still be so. It has read the rows of those
 * files that may hold rows of its condition, which is what the engine chose files by. So the files
 * that this condition chooses are compared, as the table was and is: the same files, each with
 * the same deletes. A new file that no row of which can satisfy it has told the statement nothing.
 * (The specification's "conflict detection filter", with deletes and removed files besides.)
 *
 * `snapshot`: only the files that the statement changes must be as they were, so that nobody's
 * change of a row is lost.
 *
 * What was read of other tables counts at neither level: a commit is of one table. */
#include "query/dml/dml_int.h"

#include <stdlib.h>

#include "iceberg/scan.h"

static const struct iceberg_expression always = {.op = ICEBERG_TRUE};

enum err dml_note_reads(struct dml *dml, const struct access *access, const struct plan *plan,
                        struct errinfo *info)
{
    const struct iceberg_expression *read;
    if (dml->metadata == NULL) { /* a table that is not there yet */
        return ERR_OK;
    }
    TRY(access_condition(access, plan, dml->metadata->uuid, dml->query->arena, &read, info));
    if (dml->condition != NULL) {
        read = iceberg_expression_or(dml->condition, read, dml->query->arena);
    }
    dml->condition = read;
    return read == NULL ? errinfo_nomem(info) : ERR_OK;
}

/* ---- the files of a snapshot ---- */

struct files {
    struct iceberg_scan_plan plan;
    const struct iceberg_scan_file **by_path;
};

static int compare_paths(const void *a, const void *b)
{
    const struct iceberg_scan_file *const *left = a;
    const struct iceberg_scan_file *const *right = b;
    return slice_compare((*left)->file.path, (*right)->file.path);
}

static enum err list_files(const struct dml *dml, const struct iceberg_metadata *metadata,
                           const struct iceberg_snapshot *snapshot,
                           const struct iceberg_expression *filter, struct arena *arena,
                           struct files *ret, struct errinfo *info)
{
    struct iceberg_scan_options options = {.io = &dml->io,
                                           .metadata = metadata,
                                           .snapshot = snapshot,
                                           .schema = dml->write.schema,
                                           .filter = filter,
                                           .thread_count = 1};
    TRY(iceberg_scan_plan(&options, arena, &ret->plan, info));
    ret->by_path = arena_calloc(arena, ret->plan.file_count + 1, sizeof(*ret->by_path));
    if (ret->by_path == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < ret->plan.file_count; i++) {
        ret->by_path[i] = &ret->plan.files[i];
    }
    qsort(ret->by_path, ret->plan.file_count, sizeof(*ret->by_path), compare_paths);
    return ERR_OK;
}

static const struct iceberg_scan_file *find_file(const struct files *files, struct slice path)
{
    struct iceberg_scan_file key = {.file = {.path = path}};
    const struct iceberg_scan_file *wanted = &key;
    const struct iceberg_scan_file **found = bsearch(
        &wanted, files->by_path, files->plan.file_count, sizeof(*files->by_path), compare_paths);
    return found == NULL ? NULL : *found;
}

/* ---- a file, then and now ---- */

static bool has_delete(const struct files *files, const uint32_t *indices, size_t count,
                       const struct iceberg_file *wanted)
{
    for (size_t i = 0; i < count; i++) {
        const struct iceberg_file *own = &files->plan.deletes[indices[i]].file;
        if (slice_equal(own->path, wanted->path) && own->content_offset == wanted->content_offset) {
            return true;
        }
    }
    return false;
}

static bool has_deletes(const struct files *files, const uint32_t *indices, size_t count,
                        const struct files *others, const uint32_t *other_indices,
                        size_t other_count)
{
    bool is_same = count == other_count;
    for (size_t i = 0; is_same && i < other_count; i++) {
        is_same = has_delete(files, indices, count, &others->plan.deletes[other_indices[i]].file);
    }
    return is_same;
}

static bool is_same(const struct files *then, const struct iceberg_scan_file *before,
                    const struct files *now, const struct iceberg_scan_file *after)
{
    return before != NULL && after != NULL && slice_equal(before->file.path, after->file.path) &&
           has_deletes(then, before->deletes, before->delete_count, now, after->deletes,
                       after->delete_count) &&
           has_deletes(then, before->equality_deletes, before->equality_delete_count, now,
                       after->equality_deletes, after->equality_delete_count);
}

static bool are_same(const struct files *then, const struct files *now)
{
    bool all = then->plan.file_count == now->plan.file_count;
    for (size_t i = 0; all && i < then->plan.file_count; i++) {
        all = is_same(then, then->by_path[i], now, now->by_path[i]);
    }
    return all;
}

static bool is_path_same(const struct files *then, const struct files *now, struct slice path)
{
    return is_same(then, find_file(then, path), now, find_file(now, path));
}

/* Those that the statement takes away, and those whose rows it marks. */
static bool are_changed_same(const struct dml *dml, const struct files *then,
                             const struct files *now)
{
    bool all = true;
    for (size_t i = 0; all && i < dml->removed_count; i++) {
        all = is_path_same(then, now, dml->removed[i]);
    }
    for (size_t i = 0; all && i < dml->delete_count; i++) {
        all = is_path_same(then, now, dml->deletes[i].referenced_data_file);
    }
    return all;
}

/* ---- all of it ---- */

static bool is_snapshot_level(const struct dml *dml)
{
    char property[64];
    (void)snprintf(property, sizeof(property), "write.%s.isolation-level", dml->reads_rows);
    return slice_equal_fold(iceberg_metadata_property(dml->metadata, property), SLICE("snapshot"));
}

static bool is_appended(const struct dml *dml, const struct iceberg_metadata *now, int64_t head_id)
{
    while (head_id != dml->head_id) {
        const struct iceberg_snapshot *snapshot = iceberg_metadata_snapshot(now, head_id);
        if (snapshot == NULL || !slice_equal(snapshot->operation, SLICE("append"))) {
            return false;
        }
        head_id = snapshot->parent_id;
    }
    return true;
}

/* Somebody has expired the snapshot and removed its manifests. */
static bool is_gone(enum err err)
{
    return err == ERR_NOT_FOUND || err == ERR_IO || err == ERR_CORRUPT;
}

static enum err compare(const struct dml *dml, const struct iceberg_metadata *now, int64_t head_id,
                        bool *ret_is_right, struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(dml->query->arena, "conflicts", 0);
    bool is_snapshot = is_snapshot_level(dml);
    /* Who does not see all of the table has more read for them than what they see. */
    const struct iceberg_expression *filter =
        is_snapshot || dml->is_partial || dml->condition == NULL ? &always : dml->condition;
    struct files before = {0};
    struct files after = {0};
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    enum err err =
        list_files(dml, dml->metadata, iceberg_metadata_snapshot(dml->metadata, dml->head_id),
                   filter, arena, &before, info);
    if (is_gone(err)) {
        *ret_is_right = false;
        return ERR_OK;
    }
    TRY(err);
    TRY(list_files(dml, now, iceberg_metadata_snapshot(now, head_id), filter, arena, &after, info));
    *ret_is_right =
        is_snapshot ? are_changed_same(dml, &before, &after) : are_same(&before, &after);
    return ERR_OK;
}

enum err dml_check_reads(const struct dml *dml, const struct iceberg_metadata *now, int64_t head_id,
                         bool removes_all, struct errinfo *info)
{
    bool is_right = dml->reads_rows == NULL || head_id == dml->head_id;
    if (!is_right && removes_all) { /* no list of files says what goes */
        is_right = is_snapshot_level(dml) && is_appended(dml, now, head_id);
    } else if (!is_right && is_snapshot_level(dml) && is_appended(dml, now, head_id)) {
        is_right = true; /* no file that was there has changed */
    } else if (!is_right) {
        TRY(compare(dml, now, head_id, &is_right, info));
    }
    if (!is_right) {
        (void)errinfo_set(info, ERR_BUSY, "40001",
                          "somebody else has changed table \"%.*s\" since its rows were read",
                          SLICE_ARGS(dml->name));
        errinfo_hint(info, "Run the statement again.");
    }
    return is_right ? ERR_OK : ERR_BUSY;
}
