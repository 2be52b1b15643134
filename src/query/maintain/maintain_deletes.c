/* rewrite_position_delete_files: deletes by position of version 2 as one file for each data file,
 * of version 3 as vectors; those that are of no data file any more go.
 *
 * A delete file may be of many data files, so whatever is of one that is rewritten is rewritten
 * too, with all data files that it is of. */
#include "query/maintain/maintain_int.h"

#include <stdlib.h>

#include "base/clock.h"
#include "iceberg/scan.h"
#include "query/dml/dml_change_int.h"

enum {
    TABLE,
    REWRITE_ALL
};

struct known { /* a delete file of the plan */
    struct slice path;
    int64_t offset;
    size_t number;
};

struct thinning {
    struct maintain *call;
    struct dml *dml;
    bool is_all;
    bool as_vectors; /* the form of version 3, which the table has or is about to have */
    int64_t snapshot_id;
    struct iceberg_scan_plan plan;
    struct known *known;    /* its deletes by name */
    bool *is_chosen;        /* by number of the plan's deletes: it is written anew */
    bool *is_touched;       /* by number of the plan's files */
    struct slice *removed;  /* paths of delete files that go */
    struct slice *dangling; /* data files that are gone and have a vector */
    size_t removed_count, removed_capacity, dangling_count, dangling_capacity;
    size_t rewritten;
    int64_t rewritten_bytes, added_bytes;
    struct iceberg_snapshot_written written;
    struct errinfo *info;
};

/* ---- what is rewritten ---- */

static bool is_parquet(const struct thinning *t, uint32_t number)
{
    return t->plan.deletes[number].file.format == ICEBERG_PARQUET;
}

/* A file whose deletes are in several files, in one of other data files too, or not in the form
 * that the table's version has. */
static bool is_due(const struct thinning *t, const struct iceberg_scan_file *file)
{
    size_t parquet = 0;
    bool is_shared = false;
    for (size_t i = 0; i < file->delete_count; i++) {
        bool is_file = is_parquet(t, file->deletes[i]);
        parquet += is_file;
        is_shared =
            is_shared ||
            (is_file && t->plan.deletes[file->deletes[i]].file.referenced_data_file.ptr == NULL);
    }
    return parquet > 1 || is_shared || (parquet > 0 && (t->as_vectors || t->is_all));
}

/* True: something was chosen that was not before. */
static bool choose_file(struct thinning *t, size_t number)
{
    const struct iceberg_scan_file *file = &t->plan.files[number];
    bool is_new = !t->is_touched[number];
    t->is_touched[number] = true;
    for (size_t i = 0; i < file->delete_count; i++) {
        if (is_parquet(t, file->deletes[i]) && !t->is_chosen[file->deletes[i]]) {
            t->is_chosen[file->deletes[i]] = true;
            is_new = true;
        }
    }
    return is_new;
}

static bool has_chosen(const struct thinning *t, const struct iceberg_scan_file *file)
{
    for (size_t i = 0; i < file->delete_count; i++) {
        if (t->is_chosen[file->deletes[i]]) {
            return true;
        }
    }
    return false;
}

static enum err choose(struct thinning *t)
{
    struct arena *arena = t->call->query->arena;
    t->is_chosen = arena_calloc(arena, t->plan.delete_count + 1, sizeof(*t->is_chosen));
    t->is_touched = arena_calloc(arena, t->plan.file_count + 1, sizeof(*t->is_touched));
    if (t->is_chosen == NULL || t->is_touched == NULL) {
        return errinfo_nomem(t->info);
    }
    for (size_t i = 0; i < t->plan.file_count; i++) {
        if (is_due(t, &t->plan.files[i])) {
            (void)choose_file(t, i);
        }
    }
    for (bool has_more = true; has_more;) {
        has_more = false;
        for (size_t i = 0; i < t->plan.file_count; i++) {
            if (has_chosen(t, &t->plan.files[i])) {
                has_more = choose_file(t, i) || has_more;
            }
        }
        TRY(query_check_cancelled(t->call->query, t->info));
    }
    return ERR_OK;
}

/* ---- what goes ---- */

static enum err add_path(struct thinning *t, struct slice **paths, size_t *count, size_t *capacity,
                         struct slice path)
{
    struct arena *arena = t->call->query->arena;
    if (*count == *capacity) {
        size_t wanted = *capacity == 0 ? 64 : *capacity * 2;
        struct slice *grown = arena_calloc(arena, wanted, sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(t->info);
        }
        if (*count > 0) {
            memcpy(grown, *paths, *count * sizeof(*grown));
        }
        *paths = grown;
        *capacity = wanted;
    }
    if (!arena_slice(arena, path, &(*paths)[*count])) {
        return errinfo_nomem(t->info);
    }
    *count += 1;
    return ERR_OK;
}

static int compare_known(const void *a, const void *b)
{
    const struct known *left = a;
    const struct known *right = b;
    int order = slice_compare(left->path, right->path);
    return order != 0 ? order : (left->offset > right->offset) - (left->offset < right->offset);
}

/* Vectors share paths. */
static struct known name_of(const struct iceberg_file *file, size_t number)
{
    return (struct known){file->path, file->format == ICEBERG_PUFFIN ? file->content_offset : 0,
                          number};
}

static enum err index_deletes(struct thinning *t)
{
    size_t count = t->plan.delete_count;
    t->known = arena_calloc(t->call->query->arena, count + 1, sizeof(*t->known));
    if (t->known == NULL) {
        return errinfo_nomem(t->info);
    }
    for (size_t i = 0; i < count; i++) {
        t->known[i] = name_of(&t->plan.deletes[i].file, i);
    }
    qsort(t->known, count, sizeof(*t->known), compare_known);
    return ERR_OK;
}

/* The plan's number of a delete file; SIZE_MAX: it is of no data file. */
static size_t find_delete(const struct thinning *t, const struct iceberg_file *file)
{
    struct known key = name_of(file, 0);
    const struct known *found =
        bsearch(&key, t->known, t->plan.delete_count, sizeof(*t->known), compare_known);
    return found == NULL ? SIZE_MAX : found->number;
}

static enum err take_entry(struct thinning *t, const struct iceberg_file *file)
{
    size_t number = find_delete(t, file);
    bool goes = number == SIZE_MAX || t->is_chosen[number];
    if (file->content != ICEBERG_POSITION_DELETES || !goes) {
        return ERR_OK;
    }
    t->rewritten++;
    t->rewritten_bytes +=
        file->format == ICEBERG_PUFFIN ? file->content_size_bytes : file->size_bytes;
    return file->format == ICEBERG_PUFFIN
               ? add_path(t, &t->dangling, &t->dangling_count, &t->dangling_capacity,
                          file->referenced_data_file)
               : add_path(t, &t->removed, &t->removed_count, &t->removed_capacity, file->path);
}

static enum err read_manifest(struct thinning *t, const struct iceberg_manifest *manifest)
{
    static const struct iceberg_manifest_want nothing = {0};
    const struct dml *dml = t->dml;
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct iceberg_manifest_reader *reader CLEANUP(iceberg_manifest_cleanup) = NULL;
    const struct iceberg_file *file = NULL;
    TRY(dml->io.read_all(dml->io.context, manifest->path, (uint64_t)manifest->length_bytes, 0,
                         &bytes, t->info));
    TRY(iceberg_manifest_open(buf_slice(&bytes), manifest, dml->metadata, &nothing, &reader,
                              t->info));
    do {
        TRY(iceberg_manifest_next(reader, &file, t->info));
        TRY(file != NULL ? take_entry(t, file) : ERR_OK);
    } while (file != NULL);
    return ERR_OK;
}

static enum err find_removed(struct thinning *t)
{
    struct dml *dml = t->dml;
    struct iceberg_manifest *manifests = NULL;
    size_t count = 0;
    const struct iceberg_snapshot *snapshot =
        iceberg_metadata_snapshot(dml->metadata, t->snapshot_id);
    TRY(index_deletes(t));
    TRY(iceberg_manifests_load(&dml->io, dml->metadata, snapshot, t->call->query->arena, &manifests,
                               &count, t->info));
    for (size_t i = 0; i < count; i++) {
        TRY(manifests[i].is_deletes ? read_manifest(t, &manifests[i]) : ERR_OK);
    }
    return ERR_OK;
}

/* ---- writing ---- */

static enum err write_anew(struct thinning *t)
{
    struct lake_rows *rows CLEANUP(lake_rows_cleanup) = NULL;
    TRY(lake_rows_open(&rows, t->info));
    for (size_t i = 0; i < t->plan.file_count; i++) {
        if (t->is_touched[i]) {
            TRY(lake_rows_touch(rows, t->plan.files[i].file.path, t->info));
        }
    }
    TRY(dml_write_deletes_anew(t->dml, rows, &t->plan, t->info));
    for (size_t i = 0; i < t->dml->delete_count; i++) {
        const struct iceberg_file *file = &t->dml->deletes[i];
        t->added_bytes +=
            file->format == ICEBERG_PUFFIN ? file->content_size_bytes : file->size_bytes;
    }
    return ERR_OK;
}

/* ---- the commit ---- */

static void undo(void *context, struct ddl *ddl)
{
    struct thinning *t = context;
    maintain_snapshot_undo(ddl, &t->written);
}

static enum err build(void *context, struct ddl *ddl, UNUSED struct arena *arena,
                      struct slice *ret_requirements, struct slice *ret_updates,
                      struct errinfo *info)
{
    struct thinning *t = context;
    struct iceberg_snapshot_change change = {
        .operation = "replace",
        .added = t->dml->deletes,
        .added_count = t->dml->delete_count,
        .replaced = t->dangling,
        .replaced_count = t->dangling_count,
        .removed_deletes = t->removed,
        .removed_delete_count = t->removed_count,
    };
    TRY(maintain_check_appended(ddl, t->snapshot_id, info));
    ddl->audit.files = t->dml->delete_count;
    TRY(maintain_snapshot_write(ddl, &change, &t->written, info));
    *ret_requirements = t->written.requirements;
    *ret_updates = t->written.updates;
    return ERR_OK;
}

static enum err commit(struct thinning *t)
{
    struct ddl_change change = {
        .operation = "rewrite-position-deletes", .build = build, .undo = undo, .context = t};
    bool is_changed;
    TRY(write_anew(t));
    enum err err = ddl_commit(&t->call->ddl, &change, &is_changed, t->info);
    t->dml->is_committed = err == ERR_OK;
    t->dml->is_unknown = t->call->ddl.is_unknown;
    return err;
}

static enum err run(struct thinning *t)
{
    const struct ddl *ddl = &t->call->ddl;
    const struct sql_name name = {ddl->catalog.name, ddl->ns, ddl->name};
    TRY(dml_open(t->call->query, &name, PRIVILEGE_WRITE, true, t->dml, t->info));
    t->snapshot_id = t->dml->metadata->current_snapshot_id;
    if (t->snapshot_id == ICEBERG_NO_ID) {
        return ERR_OK;
    }
    TRY(dml_plan_files(t->dml, NULL, &t->plan, t->info));
    TRY(choose(t));
    TRY(find_removed(t));
    return t->rewritten == 0 || t->call->is_dry_run ? ERR_OK : commit(t);
}

enum err maintain_move_deletes(struct maintain *call, bool is_all, bool as_vectors,
                               struct maintain_deletes *ret_deletes, struct errinfo *info)
{
    struct thinning t = {.call = call, .is_all = is_all, .as_vectors = as_vectors, .info = info};
    t.dml = arena_calloc(call->query->arena, 1, sizeof(*t.dml));
    if (t.dml == NULL) {
        return errinfo_nomem(info);
    }
    enum err err = run(&t);
    dml_close(t.dml);
    TRY(err);
    *ret_deletes = (struct maintain_deletes){(int64_t)t.rewritten, (int64_t)t.dml->delete_count,
                                             t.rewritten_bytes, t.added_bytes};
    return ERR_OK;
}

enum err maintain_rewrite_position_deletes(struct maintain *call, struct errinfo *info)
{
    struct maintain_deletes done;
    bool as_vectors = call->ddl.metadata->format_version > 2;
    TRY(maintain_move_deletes(call, call->values[REWRITE_ALL].is_true, as_vectors, &done, info));
    maintain_number(call, "rewritten_delete_files", done.rewritten);
    maintain_number(call, "added_delete_files", done.added);
    maintain_number(call, "rewritten_bytes", done.rewritten_bytes);
    maintain_number(call, "added_bytes", done.added_bytes);
    maintain_end_line(call);
    return ERR_OK;
}
