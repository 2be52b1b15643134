/* From files to a snapshot: written against the table as it was loaded; if somebody else commits
 * first, against what it is then, a bounded number of times. A commit whose outcome is not known is
 * looked for by the snapshot's id, never done again blindly. */
#include "query/dml/dml_int.h"

#include "base/clock.h"
#include "catalog/rest/report.h"
#include "query/dml/commit_retry.h"

#define MANIFEST_BYTES_DEFAULT (INT64_C(8) << 20) /* commit.manifest.target-size-bytes */
#define MANIFESTS_MERGED_DEFAULT 100              /* commit.manifest.min-count-to-merge */

struct attempt {
    struct dml *dml;
    const char *operation;
    bool removes_all;
    struct slice wap_id; /* empty: it is published at once */
    int64_t snapshot_id;
    const struct iceberg_metadata *metadata; /* what it is made against */
    struct iceberg_snapshot_written written;
    struct slice requirements, updates;
    struct arena *loaded; /* what `metadata` lives in since it was loaded again */
    int64_t now_ms;
};

/* ---- one attempt ---- */

static struct slice requirements_of(const struct dml *dml)
{
    return dml->required.len > 0 ? dml->required : SLICE("[{\"type\":\"assert-create\"}]");
}

/* Both arrays as one. */
static enum err join(struct arena *arena, struct slice a, struct slice b, struct slice *ret_all,
                     struct errinfo *info)
{
    char *text =
        arena_printf(arena, "%.*s,%.*s", (int)(a.len - 1), a.ptr, (int)(b.len - 1), b.ptr + 1);
    if (text == NULL) {
        return errinfo_nomem(info);
    }
    *ret_all = slice_of(text);
    return ERR_OK;
}

static int64_t property_or(const struct iceberg_metadata *metadata, const char *key,
                           int64_t otherwise)
{
    int64_t value;
    return slice_to_i64(iceberg_metadata_property(metadata, key), &value) && value > 0 ? value
                                                                                       : otherwise;
}

/* So that a table of many appends does not get as many manifests. */
static void set_merging(struct iceberg_snapshot_change *change)
{
    const struct iceberg_metadata *metadata = change->metadata;
    if (slice_equal_fold(iceberg_metadata_property(metadata, "commit.manifest-merge.enabled"),
                         SLICE("false"))) {
        return;
    }
    change->merged_bytes =
        property_or(metadata, "commit.manifest.target-size-bytes", MANIFEST_BYTES_DEFAULT);
    change->merged_least = (size_t)property_or(metadata, "commit.manifest.min-count-to-merge",
                                               MANIFESTS_MERGED_DEFAULT);
}

static enum err write_attempt(struct attempt *a, struct arena *arena, struct errinfo *info)
{
    struct dml *dml = a->dml;
    const struct iceberg_property summary[] = {
        {SLICE("moat.query-id"), slice_of(dml->query->id)},
        {SLICE("engine-name"), SLICE("moat")},
        {SLICE("engine-version"), SLICE(MOAT_VERSION)},
        {SLICE(ICEBERG_WAP_ID), a->wap_id},
    };
    struct iceberg_snapshot_change change = {
        .io = &dml->io,
        .output = &dml->output,
        .metadata = a->metadata,
        .operation = a->operation,
        .branch = dml->branch,
        .snapshot_id = a->snapshot_id,
        .now_ms = a->now_ms,
        .added = dml->added,
        .added_count = dml->added_count,
        .removed = dml->removed,
        .removed_count = dml->removed_count,
        .replaced = dml->replaced,
        .replaced_count = dml->replaced_count,
        .removes_all = a->removes_all,
        .is_staged = a->wap_id.len > 0,
        .summary = summary,
        .summary_count = ARRAY_COUNT(summary) - (a->wap_id.len == 0),
    };
    set_merging(&change);
    TRY(iceberg_snapshot_write(&change, arena, &a->written, info));
    a->requirements = a->written.requirements;
    a->updates = a->written.updates;
    if (dml->creation.len > 0) {
        a->requirements = requirements_of(dml);
        TRY(join(arena, dml->creation, a->written.updates, &a->updates, info));
    }
    return ERR_OK;
}

static enum err try_commit(struct attempt *a, struct arena *arena, struct errinfo *info)
{
    struct dml *dml = a->dml;
    struct slice location;
    struct catalog_iceberg_change change = {.ns = dml->ns,
                                            .name = dml->name,
                                            .requirements = a->requirements,
                                            .updates = a->updates,
                                            .creates =
                                                dml->creation.len > 0 && dml->required.len == 0,
                                            .now_ms = a->now_ms};
    return catalog_iceberg_commit(&dml->catalog, dml->query->session->who, &change, arena,
                                  &location, &dml->is_unknown, info);
}

static void remove_attempt(const struct attempt *a)
{
    for (size_t i = 0; i < a->written.location_count; i++) {
        dml_discard(a->dml, a->written.locations[i]);
    }
}

static enum err load_again(struct attempt *a, struct arena *arena,
                           struct iceberg_metadata **ret_metadata, struct errinfo *info)
{
    struct dml *dml = a->dml;
    struct catalog_iceberg_table *table = arena_calloc(arena, 1, sizeof(*table));
    struct catalog_iceberg catalog = dml->catalog;
    if (table == NULL) {
        return errinfo_nomem(info);
    }
    catalog.wants_history = true; /* others may have committed on top of what is looked for */
    TRY(catalog_iceberg_load(&catalog, dml->query->session->who, dml->ns, dml->name, arena, table,
                             info));
    if (!slice_equal(table->metadata.uuid, a->metadata->uuid)) {
        return errinfo_set(info, ERR_BUSY, "40001",
                           "table \"%.*s\" was replaced by another one meanwhile",
                           SLICE_ARGS(dml->name));
    }
    *ret_metadata = &table->metadata;
    return ERR_OK;
}

struct searched {
    struct attempt *attempt;
    struct arena *arena;
};

/* The snapshot is in the table; of a table that was to be made without one: it is there, by its
 * uuid. What was said of the failure stays said otherwise. */
static bool is_there(void *context)
{
    const struct searched *searched = context;
    const struct attempt *a = searched->attempt;
    struct iceberg_metadata *now;
    struct errinfo ignored;
    return load_again(searched->attempt, searched->arena, &now, &ignored) == ERR_OK &&
           (a->operation == NULL || iceberg_metadata_snapshot(now, a->snapshot_id) != NULL);
}

static bool was_committed(struct attempt *a, struct arena *arena)
{
    struct searched searched = {a, arena};
    return commit_was_made(a->dml->query, is_there, &searched);
}

static enum err unknown(const struct dml *dml, struct errinfo *info)
{
    return commit_is_unknown(dml->name,
                             "Look for this query's id as \"moat.query-id\" in the table's "
                             "snapshots before it is tried again.",
                             info);
}

/* ---- all attempts ---- */

static enum err attempt_once(struct attempt *a, struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(a->dml->query->arena, "commit", 0);
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    enum err err = write_attempt(a, arena, info);
    if (err == ERR_OK) {
        err = try_commit(a, arena, info);
    }
    if (err != ERR_OK && a->dml->is_unknown) {
        if (!was_committed(a, arena)) {
            return unknown(a->dml, info);
        }
        a->dml->is_unknown = false;
        err = ERR_OK;
    }
    if (err != ERR_OK) {
        remove_attempt(a);
    }
    return err;
}

static enum err take_newer(struct attempt *a, struct errinfo *info)
{
    struct iceberg_metadata *now;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(a->dml->query->arena, "table", 0);
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(load_again(a, arena, &now, info));
    a->metadata = now;
    arena_free(a->loaded);
    a->loaded = TAKE(arena);
    return ERR_OK;
}

/* A catalog that does not answer is busy too: that is not for us to wait out. */
static bool may_try_again(enum err err, const struct dml *dml, const struct errinfo *info)
{
    bool is_conflict = err == ERR_BUSY && info != NULL && strcmp(info->sqlstate, "40001") == 0;
    return is_conflict && !dml->is_unknown && dml->creation.len == 0;
}

/* The snapshot of the branch that is changed, as the table is now. */
static int64_t head_of(const struct attempt *a)
{
    const struct iceberg_ref *ref = iceberg_metadata_ref(a->metadata, a->dml->branch);
    return a->dml->branch.len == 0 ? a->metadata->current_snapshot_id
           : ref == NULL           ? ICEBERG_NO_ID
                                   : ref->snapshot_id;
}

/* ---- write, audit, publish ---- */

/* Of main alone: a branch is no less a stage. Two under one name could not be told apart. */
static enum err find_stage(struct attempt *a, struct errinfo *info)
{
    const struct dml *dml = a->dml;
    const char *id = config_text(dml->query->session->config, CONFIG_LAKE_WAP_ID);
    bool is_staged = id[0] != '\0' && dml->branch.len == 0 && dml->creation.len == 0 &&
                     slice_equal_fold(iceberg_metadata_property(a->metadata, "write.wap.enabled"),
                                      SLICE("true"));
    a->wap_id = is_staged ? slice_of(id) : (struct slice){"", 0};
    if (is_staged && iceberg_metadata_find_wap(a->metadata, a->wap_id, 0) != NULL) {
        (void)errinfo_set(info, ERR_EXISTS, "42710",
                          "something is staged as \"%s\" in table \"%.*s\" already", id,
                          SLICE_ARGS(dml->name));
        errinfo_hint(info, "SET lake.wap_id to another name, or CALL moat.publish_changes first "
                           "and then SET it.");
        return ERR_EXISTS;
    }
    return ERR_OK;
}

static void tell_stage(const struct attempt *a)
{
    struct query *query = a->dml->query;
    if (a->wap_id.len > 0) {
        (void)snprintf(query->notice, sizeof(query->notice),
                       "staged as snapshot %lld: CALL moat.publish_changes('%.*s', '%.*s') makes "
                       "it true",
                       (long long)a->snapshot_id, SLICE_ARGS(a->dml->audit.name),
                       SLICE_ARGS(a->wap_id));
    }
}

static void note_audit(struct attempt *a)
{
    struct dml *dml = a->dml;
    dml->is_committed = true;
    dml->audit.operation = slice_of(a->operation);
    dml->audit.snapshot_before = a->written.parent_id;
    dml->audit.snapshot_after = a->snapshot_id;
    dml->audit.files = dml->added_count;
    dml->audit.rows = dml->rows;
}

/* In a block nothing is committed yet. */
static void tell_catalog(const struct attempt *a, int64_t begun_us, int retry)
{
    const struct dml *dml = a->dml;
    if (dml->catalog.block != NULL) {
        return;
    }
    struct rest_commit_report report = {
        .snapshot_id = a->snapshot_id,
        .sequence_number = a->metadata->last_sequence_number + 1,
        .operation = slice_of(a->operation),
        .attempts = (uint64_t)retry + 1,
        .duration_us = clock_mono_us() - begun_us,
        .removed_data_files = dml->removed_count,
    };
    for (size_t i = 0; i < dml->added_count; i++) {
        const struct iceberg_file *file = &dml->added[i];
        bool is_data = file->content == ICEBERG_DATA;
        report.added_data_files += is_data ? 1 : 0;
        report.added_delete_files += is_data ? 0 : 1;
        report.added_rows += is_data ? (uint64_t)file->record_count : 0;
        report.added_bytes += (uint64_t)file->size_bytes;
    }
    const struct catalog_iceberg_name name = {.ns = dml->ns, .name = dml->name};
    catalog_iceberg_report_commit(&dml->catalog, dml->query->session->who, &name, &report);
}

enum err dml_commit_creation(struct dml *dml, struct errinfo *info)
{
    struct attempt a = {.dml = dml,
                        .metadata = dml->metadata,
                        .requirements = requirements_of(dml),
                        .updates = dml->creation,
                        .now_ms = clock_wall_us() / 1000};
    enum err err = try_commit(&a, dml->query->arena, info);
    if (err != ERR_OK && dml->is_unknown) {
        if (dml->required.len > 0 || !was_committed(&a, dml->query->arena)) {
            return unknown(dml, info); /* another table of that name has another uuid */
        }
        dml->is_unknown = false;
        err = ERR_OK;
    }
    if (err == ERR_OK) {
        dml->is_committed = true;
        dml->audit.operation = dml->required.len > 0 ? SLICE("replace") : SLICE("create");
    }
    return err;
}

enum err dml_commit(struct dml *dml, const char *operation, bool removes_all, struct errinfo *info)
{
    struct attempt a = {
        .dml = dml, .operation = operation, .removes_all = removes_all, .metadata = dml->metadata};
    int retries = commit_retries(dml->metadata);
    int64_t begun_us = clock_mono_us();
    TRY(iceberg_snapshot_new_id(dml->metadata, &a.snapshot_id, info));
    for (int retry = 0;; retry++) {
        int64_t now_ms = clock_wall_us() / 1000;
        a.now_ms = now_ms > a.metadata->last_updated_ms ? now_ms : a.metadata->last_updated_ms;
        TRY(query_check_cancelled(dml->query, info));
        TRY(find_stage(&a, info));
        enum err err = attempt_once(&a, info);
        if (err == ERR_OK) {
            note_audit(&a);
            tell_stage(&a);
            tell_catalog(&a, begun_us, retry);
            return ERR_OK;
        }
        if (!may_try_again(err, dml, info) || retry >= retries) {
            return err;
        }
        TRY(commit_wait(dml->query, retry, info));
        TRY(take_newer(&a, info));
        TRY(dml_check_reads(dml, a.metadata, head_of(&a), removes_all, info));
        TRY(dml_check_schema(dml, a.metadata, info));
    }
}
