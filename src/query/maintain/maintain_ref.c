/* What moves a branch and writes no file. */
#include "query/maintain/maintain_int.h"

#include "query/plan/policy_int.h"

struct move {
    struct maintain *call;
    struct slice branch;
    /* Where it goes, by what the table is now. */
    enum err (*choose)(const struct move *move, const struct ddl *ddl, int64_t *ret_id,
                       struct errinfo *info);
    int64_t before, after;
};

static bool is_ancestor(const struct iceberg_metadata *metadata, int64_t of, int64_t wanted)
{
    size_t steps = metadata->snapshot_count; /* a foreign table's parents may go in a ring */
    for (const struct iceberg_snapshot *at = iceberg_metadata_snapshot(metadata, of);
         at != NULL && steps-- > 0; at = iceberg_metadata_snapshot(metadata, at->parent_id)) {
        if (at->id == wanted) {
            return true;
        }
    }
    return false;
}

static int64_t head_of(const struct iceberg_metadata *metadata, struct slice branch)
{
    const struct iceberg_ref *ref = iceberg_metadata_ref(metadata, branch);
    return ref == NULL ? ICEBERG_NO_ID : ref->snapshot_id;
}

static enum err build(void *context, struct ddl *ddl, struct arena *arena,
                      struct slice *ret_requirements, struct slice *ret_updates,
                      struct errinfo *info)
{
    struct move *move = context;
    struct buf requirements CLEANUP(buf_fini) = {0};
    struct buf updates CLEANUP(buf_fini) = {0};
    move->before = head_of(ddl->metadata, move->branch);
    TRY(move->choose(move, ddl, &move->after, info));
    if (move->after == move->before) {
        return ERR_OK;
    }
    ddl_print_uuid(ddl, &requirements);
    ddl_print_ref_requirement(move->branch, move->before, &requirements);
    buf_append_char(&requirements, ']');
    buf_append_char(&updates, '[');
    ddl_print_set_ref(move->branch, move->after, iceberg_metadata_ref(ddl->metadata, move->branch),
                      &updates);
    buf_append_char(&updates, ']');
    ddl->audit.snapshot_before = move->before;
    ddl->audit.snapshot_after = move->after;
    return !buf_failed(&requirements) && !buf_failed(&updates) &&
                   arena_slice(arena, buf_slice(&requirements), ret_requirements) &&
                   arena_slice(arena, buf_slice(&updates), ret_updates)
               ? ERR_OK
               : errinfo_nomem(info);
}

static enum err move_main(struct maintain *call, struct move *move, const char *operation,
                          struct errinfo *info)
{
    struct ddl_change change = {.operation = operation, .build = build, .context = move};
    move->call = call;
    move->branch = SLICE("main");
    TRY(maintain_commit(call, &change, info));
    maintain_id(call, "previous_snapshot_id", move->before);
    maintain_id(call, "current_snapshot_id", move->after);
    maintain_end_line(call);
    return ERR_OK;
}

/* ---- rollback ---- */

static enum err choose_ancestor(const struct move *move, const struct ddl *ddl, int64_t *ret_id,
                                struct errinfo *info)
{
    const struct iceberg_snapshot *snapshot;
    TRY(iceberg_travel_to_id(ddl->metadata, move->call->values[1].number, &snapshot, info));
    *ret_id = snapshot->id;
    if (is_ancestor(ddl->metadata, move->before, snapshot->id)) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_INVALID, "22023", "snapshot %lld is no ancestor of the current one",
                      (long long)snapshot->id);
    errinfo_hint(info, "moat.set_current_snapshot takes any snapshot.");
    return ERR_INVALID;
}

enum err maintain_rollback_to_snapshot(struct maintain *call, struct errinfo *info)
{
    struct move move = {.choose = choose_ancestor};
    return move_main(call, &move, "rollback", info);
}

/* The newest ancestor that was made before the time. */
static enum err choose_before(const struct move *move, const struct ddl *ddl, int64_t *ret_id,
                              struct errinfo *info)
{
    const struct iceberg_metadata *metadata = ddl->metadata;
    size_t steps = metadata->snapshot_count;
    const struct iceberg_snapshot *at = iceberg_metadata_snapshot(metadata, move->before);
    while (at != NULL && at->timestamp_ms >= move->call->values[1].number && steps-- > 0) {
        at = iceberg_metadata_snapshot(metadata, at->parent_id);
    }
    if (at == NULL) {
        return errinfo_set(info, ERR_NOT_FOUND, "22023",
                           "table \"%.*s\" has no snapshot from before that time any more",
                           SLICE_ARGS(ddl->name));
    }
    *ret_id = at->id;
    return ERR_OK;
}

enum err maintain_rollback_to_timestamp(struct maintain *call, struct errinfo *info)
{
    struct move move = {.choose = choose_before};
    return move_main(call, &move, "rollback", info);
}

/* ---- any snapshot ---- */

static enum err choose_any(const struct move *move, const struct ddl *ddl, int64_t *ret_id,
                           struct errinfo *info)
{
    const struct iceberg_snapshot *snapshot;
    const struct maintain_value *values = move->call->values;
    TRY(values[1].is_given ? iceberg_travel_to_id(ddl->metadata, values[1].number, &snapshot, info)
                           : iceberg_travel_to_ref(ddl->metadata, values[2].text, &snapshot, info));
    *ret_id = snapshot->id;
    return ERR_OK;
}

enum err maintain_set_current_snapshot(struct maintain *call, struct errinfo *info)
{
    struct move move = {.choose = choose_any};
    if (call->values[1].is_given == call->values[2].is_given) {
        return errinfo_set(info, ERR_INVALID, "22023",
                           "moat.set_current_snapshot takes one of \"snapshot_id\" and \"ref\"");
    }
    return move_main(call, &move, "set-current-snapshot", info);
}

/* ---- fast forward ---- */

static enum err choose_ref(const struct move *move, const struct ddl *ddl, int64_t *ret_id,
                           struct errinfo *info)
{
    const struct iceberg_snapshot *snapshot;
    const struct iceberg_ref *ref = iceberg_metadata_ref(ddl->metadata, move->branch);
    if (ref != NULL && ref->is_tag) {
        return errinfo_set(info, ERR_INVALID, "42809", "\"%.*s\" is a tag, which never moves",
                           SLICE_ARGS(move->branch));
    }
    TRY(iceberg_travel_to_ref(ddl->metadata, move->call->values[2].text, &snapshot, info));
    *ret_id = snapshot->id;
    if (ref == NULL || is_ancestor(ddl->metadata, snapshot->id, move->before)) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_INVALID, "22023",
                      "branch \"%.*s\" cannot be moved forward to \"%.*s\": it has snapshots that "
                      "the other has not",
                      SLICE_ARGS(move->branch), SLICE_ARGS(move->call->values[2].text));
    errinfo_hint(info, "moat.cherrypick_snapshot takes over single snapshots.");
    return ERR_INVALID;
}

enum err maintain_fast_forward(struct maintain *call, struct errinfo *info)
{
    struct move move = {.call = call, .branch = call->values[1].text, .choose = choose_ref};
    struct ddl_change change = {.operation = "fast-forward", .build = build, .context = &move};
    TRY(maintain_commit(call, &change, info));
    maintain_text(call, "branch", move.branch);
    maintain_id(call, "previous_ref", move.before);
    maintain_id(call, "updated_ref", move.after);
    maintain_end_line(call);
    return ERR_OK;
}

/* ---- register ---- */

enum err maintain_register_table(struct maintain *call, struct errinfo *info)
{
    const struct attached *attached;
    struct query *query = call->query;
    struct sql_name name;
    struct slice location;
    struct iceberg_io io;
    struct iceberg_metadata metadata;
    TRY(maintain_name(call, call->values[0].text, &name, info));
    TRY(run_lake_target(query, &name, &attached, info));
    if (attached == NULL) {
        (void)errinfo_set(info, ERR_NOT_FOUND, "3F000",
                          "\"%.*s\" is in no attached catalog that you administer",
                          SLICE_ARGS(call->values[0].text));
        errinfo_hint(info, "Write catalog.namespace.table.");
        return ERR_NOT_FOUND;
    }
    TRY(session_refuse_in_block(query->session, info));
    const struct catalog_iceberg *catalog = &attached->catalog;
    struct slice ns = name.schema.len > 0 ? name.schema : slice_of(query->session->default_schema);
    TRY(catalog_iceberg_locate(query->session->who, call->values[1].text, query->arena, &location,
                               info));
    TRY(catalog_iceberg_io_of(catalog, query->session->who, NULL, query->arena, &io, info));
    TRY(iceberg_metadata_load(&io, location, query->arena, &metadata, info));
    TRY(call->is_dry_run ? ERR_OK
                         : catalog_iceberg_register(catalog, query->session->who, ns, name.name,
                                                    false, location, info));
    int64_t rows = ICEBERG_NO_ID;
    const struct iceberg_snapshot *snapshot =
        iceberg_metadata_snapshot(&metadata, metadata.current_snapshot_id);
    for (size_t i = 0; snapshot != NULL && i < snapshot->summary_count; i++) {
        if (slice_equal(snapshot->summary[i].key, SLICE("total-records"))) {
            (void)slice_to_i64(snapshot->summary[i].value, &rows);
        }
    }
    maintain_id(call, "current_snapshot_id", metadata.current_snapshot_id);
    maintain_id(call, "total_records_count", snapshot == NULL ? 0 : rows);
    maintain_end_line(call);
    return ERR_OK;
}
