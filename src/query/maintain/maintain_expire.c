/* expire_snapshots: which snapshots the references' retention does not keep, by the spec's rules;
 * they are forgotten by a commit, and then what only they had is removed. Whoever dies between the
 * two leaves orphans. */
#include "query/maintain/maintain_int.h"

#include "base/clock.h"
#include "base/json.h"
#include "iceberg/reach.h"

#define AGE_MS_DEFAULT (INT64_C(5) * 24 * 3600 * 1000) /* history.expire.max-snapshot-age-ms */

enum {
    TABLE,
    OLDER_THAN,
    RETAIN_LAST
};

struct expiry {
    struct maintain *call;
    int64_t now_ms;
    int64_t older_than_ms; /* of those whose reference does not say */
    int64_t retain_last;
    int64_t ref_age_ms; /* ICEBERG_NO_ID = for ever */
    bool *is_kept;      /* of each snapshot */
    int64_t *expired;
    size_t expired_count;
    size_t removed_refs;
};

static int64_t property(const struct iceberg_metadata *metadata, const char *name,
                        int64_t otherwise)
{
    int64_t value;
    return slice_to_i64(iceberg_metadata_property(metadata, name), &value) && value >= 0
               ? value
               : otherwise;
}

static enum err read_policy(struct expiry *e, const struct iceberg_metadata *metadata,
                            struct errinfo *info)
{
    const struct maintain_value *values = e->call->values;
    int64_t age_ms = property(metadata, "history.expire.max-snapshot-age-ms", AGE_MS_DEFAULT);
    e->now_ms = clock_wall_us() / 1000;
    e->older_than_ms = values[OLDER_THAN].is_given ? values[OLDER_THAN].number
                       : age_ms > e->now_ms        ? 0
                                                   : e->now_ms - age_ms;
    e->retain_last = values[RETAIN_LAST].is_given
                         ? values[RETAIN_LAST].number
                         : property(metadata, "history.expire.min-snapshots-to-keep", 1);
    e->ref_age_ms = property(metadata, "history.expire.max-ref-age-ms", ICEBERG_NO_ID);
    if (slice_equal_fold(iceberg_metadata_property(metadata, "gc.enabled"), SLICE("false"))) {
        (void)errinfo_set(info, ERR_INVALID, "55000",
                          "snapshots of table \"%.*s\" cannot be expired: its property gc.enabled "
                          "is false",
                          SLICE_ARGS(e->call->ddl.name));
        errinfo_hint(info, "Other tables may share its files.");
        return ERR_INVALID;
    }
    return e->retain_last >= 1
               ? ERR_OK
               : errinfo_set(info, ERR_INVALID, "22023", "\"retain_last\" is 1 or more");
}

static size_t index_of(const struct iceberg_metadata *metadata, int64_t id)
{
    const struct iceberg_snapshot *snapshot = iceberg_metadata_snapshot(metadata, id);
    return snapshot == NULL ? SIZE_MAX : (size_t)(snapshot - metadata->snapshots);
}

static void keep_branch(struct expiry *e, const struct iceberg_metadata *metadata,
                        const struct iceberg_ref *ref)
{
    int64_t least =
        ref->min_snapshots_to_keep != ICEBERG_NO_ID ? ref->min_snapshots_to_keep : e->retain_last;
    int64_t since_ms = ref->max_snapshot_age_ms != ICEBERG_NO_ID
                           ? e->now_ms - ref->max_snapshot_age_ms
                           : e->older_than_ms;
    size_t at = index_of(metadata, ref->snapshot_id);
    for (int64_t count = 0; at != SIZE_MAX && count <= (int64_t)metadata->snapshot_count; count++) {
        const struct iceberg_snapshot *snapshot = &metadata->snapshots[at];
        if (count >= least && snapshot->timestamp_ms < since_ms) {
            return;
        }
        e->is_kept[at] = true;
        at = index_of(metadata, snapshot->parent_id);
    }
}

static bool is_outdated(const struct expiry *e, const struct iceberg_metadata *metadata,
                        const struct iceberg_ref *ref)
{
    int64_t age_ms = ref->max_ref_age_ms != ICEBERG_NO_ID ? ref->max_ref_age_ms : e->ref_age_ms;
    const struct iceberg_snapshot *head = iceberg_metadata_snapshot(metadata, ref->snapshot_id);
    return !slice_equal(ref->name, SLICE("main")) && age_ms != ICEBERG_NO_ID && head != NULL &&
           e->now_ms - head->timestamp_ms > age_ms;
}

/* All that some reference has in its line, expired or not: what is in none is judged by age. */
static void mark_line(const struct iceberg_metadata *metadata, int64_t id, bool *is_in_line)
{
    for (size_t at = index_of(metadata, id); at != SIZE_MAX && !is_in_line[at];
         at = index_of(metadata, metadata->snapshots[at].parent_id)) {
        is_in_line[at] = true;
    }
}

static enum err choose(struct expiry *e, const struct iceberg_metadata *metadata,
                       struct arena *arena, struct buf *updates, struct errinfo *info)
{
    size_t count = metadata->snapshot_count;
    bool *is_in_line = arena_calloc(arena, count + 1, sizeof(*is_in_line));
    e->is_kept = arena_calloc(arena, count + 1, sizeof(*e->is_kept));
    e->expired = arena_calloc(e->call->query->arena, count + 1, sizeof(*e->expired));
    e->expired_count = e->removed_refs = 0;
    if (is_in_line == NULL || e->is_kept == NULL || e->expired == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < metadata->ref_count; i++) {
        const struct iceberg_ref *ref = &metadata->refs[i];
        if (is_outdated(e, metadata, ref)) {
            e->removed_refs++;
            buf_append_str(updates, updates->len == 0 ? "[" : ",");
            buf_append_str(updates, "{\"action\":\"remove-snapshot-ref\",\"ref-name\":");
            json_write_string(updates, ref->name);
            buf_append_char(updates, '}');
            continue;
        }
        mark_line(metadata, ref->snapshot_id, is_in_line);
        size_t head = index_of(metadata, ref->snapshot_id);
        if (!ref->is_tag) {
            keep_branch(e, metadata, ref);
        }
        if (head != SIZE_MAX) { /* whatever the numbers say */
            e->is_kept[head] = true;
        }
    }
    for (size_t i = 0; i < count; i++) {
        bool is_staged = !is_in_line[i] && metadata->snapshots[i].timestamp_ms >= e->older_than_ms;
        if (!e->is_kept[i] && !is_staged) {
            e->expired[e->expired_count++] = metadata->snapshots[i].id;
        }
    }
    return ERR_OK;
}

static void print_snapshots(const struct expiry *e, struct buf *updates)
{
    for (size_t i = 0; i < e->expired_count; i++) {
        if (i == 0) {
            buf_append_str(updates, updates->len == 0 ? "[" : ",");
            buf_append_str(updates, "{\"action\":\"remove-snapshots\",\"snapshot-ids\":[");
        }
        buf_printf(updates, i == 0 ? "%lld" : ",%lld", (long long)e->expired[i]);
    }
    buf_append_str(updates, e->expired_count > 0 ? "]}" : "");
    buf_append_str(updates, updates->len > 0 ? "]" : "");
}

static enum err build(void *context, struct ddl *ddl, struct arena *arena,
                      struct slice *ret_requirements, struct slice *ret_updates,
                      struct errinfo *info)
{
    struct expiry *e = context;
    struct buf requirements CLEANUP(buf_fini) = {0};
    struct buf updates CLEANUP(buf_fini) = {0};
    TRY(read_policy(e, ddl->metadata, info));
    TRY(choose(e, ddl->metadata, arena, &updates, info));
    print_snapshots(e, &updates);
    ddl_print_uuid(ddl, &requirements);
    for (size_t i = 0; i < ddl->metadata->ref_count; i++) { /* nobody may have moved one back */
        ddl_print_ref_requirement(ddl->metadata->refs[i].name, ddl->metadata->refs[i].snapshot_id,
                                  &requirements);
    }
    buf_append_char(&requirements, ']');
    return !buf_failed(&requirements) && !buf_failed(&updates) &&
                   arena_slice(arena, buf_slice(&requirements), ret_requirements) &&
                   arena_slice(arena, buf_slice(&updates), ret_updates)
               ? ERR_OK
               : errinfo_nomem(info);
}

/* What was there before the commit against what is there now: whoever committed since keeps his. */
static enum err find_garbage(struct expiry *e, struct iceberg_garbage *garbage,
                             struct errinfo *info)
{
    struct ddl *ddl = &e->call->ddl;
    struct arena *arena = e->call->query->arena;
    if (e->expired_count == 0) {
        *garbage = (struct iceberg_garbage){0};
        return ERR_OK;
    }
    if (e->call->is_dry_run) {
        return iceberg_garbage_find(&ddl->io, ddl->metadata, ddl->metadata, e->expired,
                                    e->expired_count, arena, garbage, info);
    }
    const struct iceberg_metadata *before = ddl->metadata;
    struct arena *old UNUSED CLEANUP(arena_cleanup) = TAKE(ddl->loaded);
    TRY(ddl_reload(ddl, info));
    return iceberg_garbage_find(&ddl->io, before, ddl->metadata, NULL, 0, arena, garbage, info);
}

/* Whoever may write one table's metadata must not have another's files removed by it. */
static bool is_own(const struct ddl *ddl, struct slice location)
{
    struct slice path, folder;
    struct errinfo ignored;
    return catalog_iceberg_path(location, &path, &ignored) == ERR_OK &&
           catalog_iceberg_path(ddl->metadata->location, &folder, &ignored) == ERR_OK &&
           maintain_is_inside(path, folder);
}

static enum err remove_all(struct expiry *e, const struct iceberg_garbage *garbage, int64_t *counts,
                           int64_t *ret_failed, struct errinfo *info)
{
    const struct iceberg_output *output = &e->call->ddl.output;
    for (size_t i = 0; i < garbage->count; i++) {
        struct errinfo ignored;
        query_note_step(e->call->query, i, garbage->count);
        enum err err = is_own(&e->call->ddl, garbage->objects[i].path) ? ERR_OK : ERR_DENIED;
        if (err == ERR_OK && !e->call->is_dry_run) {
            TRY(query_check_cancelled(e->call->query, info));
            err = output->remove(output->context, garbage->objects[i].path, &ignored);
        }
        counts[garbage->objects[i].kind] += err == ERR_OK;
        *ret_failed += err != ERR_OK; /* an orphan: nothing names it */
    }
    return ERR_OK;
}

enum err maintain_expire_snapshots(struct maintain *call, struct errinfo *info)
{
    struct expiry e = {.call = call};
    struct ddl_change change = {.operation = "expire-snapshots", .build = build, .context = &e};
    struct iceberg_garbage garbage = {0};
    int64_t counts[ICEBERG_OBJECT_COUNT] = {0};
    int64_t failed = 0;
    TRY(maintain_commit(call, &change, info));
    TRY(find_garbage(&e, &garbage, info));
    TRY(remove_all(&e, &garbage, counts, &failed, info));
    maintain_number(call, "expired_snapshots", (int64_t)e.expired_count);
    maintain_number(call, "removed_refs", (int64_t)e.removed_refs);
    maintain_number(call, "deleted_data_files", counts[ICEBERG_OBJECT_DATA]);
    maintain_number(call, "deleted_delete_files", counts[ICEBERG_OBJECT_DELETES]);
    maintain_number(call, "deleted_manifests", counts[ICEBERG_OBJECT_MANIFEST]);
    maintain_number(call, "deleted_manifest_lists", counts[ICEBERG_OBJECT_LIST]);
    maintain_number(call, "deleted_statistics_files", counts[ICEBERG_OBJECT_STATISTICS]);
    maintain_number(call, "not_deleted_files", failed);
    maintain_end_line(call);
    return ERR_OK;
}
