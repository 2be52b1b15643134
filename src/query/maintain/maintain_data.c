/* rewrite_data_files: small files written again as few large ones, in the name of the table and not
 * of the person's rights: who may not see a row must not lose it by this. */
#include "query/maintain/maintain_int.h"

#include "base/clock.h"
#include "base/hash.h"
#include "iceberg/deletes.h"
#include "iceberg/scan.h"
#include "query/dml/dml_change_int.h"
#include "sql/scan.h"

#define TARGET_BYTES_DEFAULT (INT64_C(512) << 20) /* write.target-file-size-bytes */
#define INPUT_FILES_DEFAULT 5

enum {
    TABLE,
    REWRITE_ALL,
    MIN_INPUT_FILES,
    WHERE,
    STRATEGY,
    SORT_ORDER,
    DELETE_FILES
};

struct small_file {
    struct slice path;
    uint64_t group; /* hash of spec and partition */
    int64_t bytes;
    bool is_due; /* whatever else is in its partition */
};

struct packing {
    struct maintain *call;
    struct dml *dml;
    int64_t snapshot_id; /* that is rewritten */
    bool is_all;         /* every file */
    struct small_file *files;
    size_t file_count;
    struct slice *paths; /* those that are rewritten */
    size_t path_count;
    int64_t bytes;
    struct iceberg_snapshot_written written;
    struct errinfo *info;
};

/* ---- which files ---- */

static uint64_t group_of(const struct iceberg_file *file, struct errinfo *info, enum err *ret_err)
{
    struct buf text CLEANUP(buf_fini) = {0};
    buf_printf(&text, "%d", file->spec_id);
    for (size_t i = 0; i < file->partition_count; i++) {
        buf_append_char(&text, file->partition[i].is_null ? '-' : '=');
        if (!file->partition[i].is_null) {
            iceberg_value_write(&file->partition[i], &text);
        }
    }
    *ret_err = buf_failed(&text) ? errinfo_nomem(info) : ERR_OK;
    return hash_xx64(buf_slice(&text), 0);
}

static int compare_groups(const void *a, const void *b)
{
    const struct small_file *left = a;
    const struct small_file *right = b;
    return left->group != right->group ? (left->group > right->group ? 1 : -1)
                                       : slice_compare(left->path, right->path);
}

/* Of each partition, if it has enough of them. */
static enum err choose_groups(struct packing *p, int64_t least)
{
    p->paths = arena_calloc(p->call->query->arena, p->file_count + 1, sizeof(*p->paths));
    if (p->paths == NULL) {
        return errinfo_nomem(p->info);
    }
    if (p->file_count > 1) {
        qsort(p->files, p->file_count, sizeof(*p->files), compare_groups);
    }
    for (size_t first = 0, end; first < p->file_count; first = end) {
        end = first;
        while (end < p->file_count && p->files[end].group == p->files[first].group) {
            end++;
        }
        for (size_t i = first; i < end; i++) {
            if (p->files[i].is_due || (int64_t)(end - first) >= least) {
                p->paths[p->path_count++] = p->files[i].path;
                p->bytes += p->files[i].bytes;
            }
        }
    }
    return ERR_OK;
}

static enum err read_filter(const struct packing *p, const struct iceberg_expression **ret_filter)
{
    const struct maintain_value *where = &p->call->values[WHERE];
    *ret_filter = NULL;
    if (where->is_given) {
        *ret_filter = dml_file_filter(p->dml, where->text);
    }
    if (where->is_given && *ret_filter == NULL) {
        (void)errinfo_set(p->info, ERR_UNSUPPORTED, NULL,
                          "\"where\" of moat.rewrite_data_files is no comparison of columns with "
                          "constants");
        errinfo_hint(p->info, "It chooses files, by their partitions and bounds: column = | < | <= "
                              "| > | >= constant, BETWEEN, IS [NOT] NULL, with AND between.");
        return ERR_UNSUPPORTED;
    }
    return ERR_OK;
}

static enum err take_candidates(struct packing *p, const struct iceberg_scan_plan *plan,
                                int64_t bytes_most)
{
    const struct maintain_value *deletes = &p->call->values[DELETE_FILES];
    bool is_every = p->call->values[REWRITE_ALL].is_true;
    p->files = arena_calloc(p->call->query->arena, plan->file_count + 1, sizeof(*p->files));
    if (p->files == NULL) {
        return errinfo_nomem(p->info);
    }
    for (size_t i = 0; i < plan->file_count; i++) {
        const struct iceberg_scan_file *planned = &plan->files[i];
        size_t count = planned->delete_count + planned->equality_delete_count;
        bool is_due = is_every || (deletes->is_given && (int64_t)count >= deletes->number);
        if (!lake_write_is_lossless(p->dml->write.schema, &planned->file)) {
            p->is_all = false; /* it stays as it is */
        } else if (is_due || planned->file.size_bytes < bytes_most) {
            struct small_file *own = &p->files[p->file_count++];
            enum err err;
            *own = (struct small_file){.path = planned->file.path,
                                       .group = group_of(&planned->file, p->info, &err),
                                       .bytes = planned->file.size_bytes,
                                       .is_due = is_due};
            TRY(err);
        }
    }
    return ERR_OK;
}

static enum err choose_files(struct packing *p)
{
    const struct ddl *ddl = &p->call->ddl;
    const struct maintain_value *values = p->call->values;
    int64_t target = TARGET_BYTES_DEFAULT;
    const struct iceberg_expression *filter;
    struct iceberg_scan_plan plan;
    struct slice said = iceberg_metadata_property(ddl->metadata, "write.target-file-size-bytes");
    bool is_said = slice_to_i64(said, &target) && target > 0;
    target = is_said ? target : TARGET_BYTES_DEFAULT;
    int64_t least =
        values[MIN_INPUT_FILES].is_given ? values[MIN_INPUT_FILES].number : INPUT_FILES_DEFAULT;
    if (least < 2) {
        return errinfo_set(p->info, ERR_INVALID, "22023", "\"min_input_files\" is 2 or more");
    }
    if (values[DELETE_FILES].is_given && values[DELETE_FILES].number < 1) {
        return errinfo_set(p->info, ERR_INVALID, "22023", "\"delete_file_threshold\" is 1 or more");
    }
    p->is_all = values[REWRITE_ALL].is_true && !values[WHERE].is_given;
    TRY(read_filter(p, &filter));
    TRY(maintain_read_order(p->call, p->dml, &values[STRATEGY], &values[SORT_ORDER], p->info));
    if (p->snapshot_id == ICEBERG_NO_ID) {
        return ERR_OK;
    }
    TRY(dml_plan_files(p->dml, filter, &plan, p->info));
    TRY(take_candidates(p, &plan, target / 4 * 3));
    return choose_groups(p, least);
}

/* ---- writing ---- */

static enum err print_rows(const struct dml *dml, struct buf *out, struct errinfo *info)
{
    const struct iceberg_type *root = &dml->write.schema->root;
    bool is_first = true;
    buf_append_str(out, "SELECT ");
    for (size_t i = 0; i < root->field_count; i++) {
        if (lake_write_keeps(&root->fields[i])) {
            buf_append_str(out, is_first ? "" : ", ");
            sql_quote_name(out, root->fields[i].name);
            is_first = false;
        }
    }
    buf_append_str(out, dml->write.keeps_lineage ? ", _row_id, _last_updated_sequence_number" : "");
    const struct sql_name name = {dml->catalog.name, dml->ns, dml->name};
    buf_append_str(out, " FROM ");
    sql_print_name(out, &name);
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

static enum err rewrite(struct packing *p)
{
    struct arena *arena = p->call->query->arena;
    struct buf text CLEANUP(buf_fini) = {0};
    struct iceberg_positions *none CLEANUP(iceberg_positions_cleanup) = NULL;
    struct lake_subset *subset = arena_calloc(arena, 1, sizeof(*subset));
    const struct iceberg_positions **dead =
        arena_calloc(arena, p->path_count + 1, sizeof(struct iceberg_positions *));
    if (subset == NULL || dead == NULL) {
        return errinfo_nomem(p->info);
    }
    TRY(iceberg_positions_open(&none, p->info));
    for (size_t i = 0; i < p->path_count; i++) {
        dead[i] = none; /* no row goes but those that are gone */
    }
    *subset = (struct lake_subset){p->paths, dead, p->path_count};
    p->dml->write.keeps_lineage = p->dml->metadata->format_version > 2;
    p->dml->subset = subset;
    TRY(print_rows(p->dml, &text, p->info));
    return dml_rewrite(p->dml, buf_slice(&text), p->info);
}

/* ---- the commit ---- */

static void undo(void *context, struct ddl *ddl)
{
    struct packing *p = context;
    maintain_snapshot_undo(ddl, &p->written);
}

static enum err build(void *context, struct ddl *ddl, UNUSED struct arena *arena,
                      struct slice *ret_requirements, struct slice *ret_updates,
                      struct errinfo *info)
{
    struct packing *p = context;
    struct iceberg_snapshot_change change = {
        .operation = "replace",
        .added = p->dml->added,
        .added_count = p->dml->added_count,
        .removed = p->is_all ? NULL : p->paths,
        .removed_count = p->is_all ? 0 : p->path_count,
        .removes_all = p->is_all,
    };
    if (p->is_all && ddl->metadata->current_snapshot_id != p->snapshot_id) {
        return maintain_changed(ddl, info); /* all of them means all */
    }
    TRY(maintain_check_appended(ddl, p->snapshot_id, info));
    ddl->audit.files = p->dml->added_count;
    ddl->audit.rows = p->dml->rows;
    TRY(maintain_snapshot_write(ddl, &change, &p->written, info));
    *ret_requirements = p->written.requirements;
    *ret_updates = p->written.updates;
    return ERR_OK;
}

static enum err commit(struct packing *p)
{
    struct ddl_change change = {
        .operation = "rewrite-data-files", .build = build, .undo = undo, .context = p};
    bool is_changed;
    TRY(rewrite(p));
    enum err err = ddl_commit(&p->call->ddl, &change, &is_changed, p->info);
    p->dml->is_committed = err == ERR_OK;
    p->dml->is_unknown = p->call->ddl.is_unknown;
    return err;
}

static enum err pack(struct packing *p)
{
    const struct ddl *ddl = &p->call->ddl;
    const struct sql_name name = {ddl->catalog.name, ddl->ns, ddl->name};
    TRY(dml_open(p->call->query, &name, PRIVILEGE_WRITE, true, p->dml, p->info));
    p->snapshot_id = ddl->metadata->current_snapshot_id;
    if (p->dml->metadata->current_snapshot_id != p->snapshot_id) {
        return errinfo_set(p->info, ERR_BUSY, "40001",
                           "somebody else has changed table \"%.*s\" since it was read",
                           SLICE_ARGS(ddl->name));
    }
    TRY(choose_files(p));
    return p->path_count == 0 || p->call->is_dry_run ? ERR_OK : commit(p);
}

enum err maintain_rewrite_data_files(struct maintain *call, struct errinfo *info)
{
    struct packing p = {.call = call, .info = info};
    p.dml = arena_calloc(call->query->arena, 1, sizeof(*p.dml));
    if (p.dml == NULL) {
        return errinfo_nomem(info);
    }
    enum err err = pack(&p);
    dml_close(p.dml);
    TRY(err);
    maintain_number(call, "rewritten_data_files", (int64_t)p.path_count);
    maintain_number(call, "added_data_files", (int64_t)p.dml->added_count);
    maintain_number(call, "rewritten_bytes", p.bytes);
    maintain_end_line(call);
    return ERR_OK;
}
