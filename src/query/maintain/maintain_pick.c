/* cherrypick_snapshot: what a snapshot appended, appended once more to the table as it is now.
 * publish_changes: the same of what was staged under a name. */
#include "query/maintain/maintain_int.h"

#include "base/clock.h"
#include "iceberg/write.h"

struct pick {
    struct maintain *call;
    bool is_staged; /* the source is named by its wap.id */
    int64_t source_id;
    const struct iceberg_snapshot *source;
    struct iceberg_file *files;
    size_t file_count, file_capacity;
    struct iceberg_snapshot_written written;
    int64_t after;
};

static struct slice summary_of(const struct iceberg_snapshot *snapshot, const char *key)
{
    for (size_t i = 0; i < snapshot->summary_count; i++) {
        if (slice_equal(snapshot->summary[i].key, slice_of(key))) {
            return snapshot->summary[i].value;
        }
    }
    return (struct slice){"", 0};
}

/* Picked twice, rows would be there twice. */
static enum err check_new(const struct pick *pick, const struct ddl *ddl, struct errinfo *info)
{
    const struct iceberg_metadata *metadata = ddl->metadata;
    struct slice wap = summary_of(pick->source, "wap.id");
    size_t steps = metadata->snapshot_count;
    for (const struct iceberg_snapshot *at =
             iceberg_metadata_snapshot(metadata, metadata->current_snapshot_id);
         at != NULL && steps-- > 0; at = iceberg_metadata_snapshot(metadata, at->parent_id)) {
        int64_t from;
        bool is_from =
            slice_to_i64(summary_of(at, "source-snapshot-id"), &from) && from == pick->source->id;
        bool is_wap = wap.len > 0 && (slice_equal(summary_of(at, "wap.id"), wap) ||
                                      slice_equal(summary_of(at, "published-wap-id"), wap));
        if (at->id == pick->source->id || is_from || is_wap) {
            return errinfo_set(info, ERR_INVALID, "22023",
                               "snapshot %lld is in table \"%.*s\" already",
                               (long long)pick->source->id, SLICE_ARGS(ddl->name));
        }
    }
    return ERR_OK;
}

static enum err add_file(struct pick *pick, const struct iceberg_file *file, struct arena *arena,
                         struct errinfo *info)
{
    if (pick->file_count == pick->file_capacity) {
        size_t capacity = pick->file_capacity == 0 ? 64 : pick->file_capacity * 2;
        struct iceberg_file *grown = arena_calloc(arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(info);
        }
        if (pick->file_count > 0) {
            memcpy(grown, pick->files, pick->file_count * sizeof(*grown));
        }
        pick->files = grown;
        pick->file_capacity = capacity;
    }
    struct iceberg_file *own = &pick->files[pick->file_count];
    if (!iceberg_file_copy(file, arena, own)) {
        return errinfo_nomem(info);
    }
    own->first_row_id = ICEBERG_NO_ID; /* its rows are new ones here */
    pick->file_count++;
    return ERR_OK;
}

static enum err read_manifest(struct pick *pick, const struct ddl *ddl,
                              const struct iceberg_manifest *manifest, struct arena *arena,
                              struct errinfo *info)
{
    static const struct iceberg_manifest_want all = {.all_metrics = true};
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct iceberg_manifest_reader *reader CLEANUP(iceberg_manifest_cleanup) = NULL;
    const struct iceberg_file *file = NULL;
    TRY(ddl->io.read_all(ddl->io.context, manifest->path, (uint64_t)manifest->length_bytes, 0,
                         &bytes, info));
    TRY(iceberg_manifest_open(buf_slice(&bytes), manifest, ddl->metadata, &all, &reader, info));
    do {
        TRY(iceberg_manifest_next(reader, &file, info));
        if (file != NULL && file->status == ICEBERG_ADDED &&
            file->snapshot_id == pick->source->id) {
            TRY(add_file(pick, file, arena, info));
        }
    } while (file != NULL);
    return ERR_OK;
}

static enum err collect(struct pick *pick, const struct ddl *ddl, struct arena *arena,
                        struct errinfo *info)
{
    struct iceberg_manifest *manifests = NULL;
    size_t count = 0;
    pick->file_count = pick->file_capacity = 0;
    TRY(iceberg_manifests_load(&ddl->io, ddl->metadata, pick->source, arena, &manifests, &count,
                               info));
    for (size_t i = 0; i < count; i++) {
        if (manifests[i].added_snapshot_id == pick->source->id && manifests[i].added_files != 0) {
            TRY(read_manifest(pick, ddl, &manifests[i], arena, info));
        }
    }
    return ERR_OK;
}

static enum err append(struct pick *pick, struct ddl *ddl, struct arena *arena,
                       struct slice *ret_requirements, struct slice *ret_updates,
                       struct errinfo *info)
{
    char *source = arena_printf(arena, "%lld", (long long)pick->source->id);
    struct slice wap = summary_of(pick->source, "wap.id");
    if (source == NULL) {
        return errinfo_nomem(info);
    }
    const struct iceberg_property summary[] = {
        {SLICE("source-snapshot-id"), slice_of(source)},
        {SLICE("published-wap-id"), wap},
    };
    struct iceberg_snapshot_change change = {
        .operation = "append",
        .added = pick->files,
        .added_count = pick->file_count,
        .summary = summary,
        .summary_count = ARRAY_COUNT(summary) - (wap.len == 0),
    };
    TRY(maintain_snapshot_write(ddl, &change, &pick->written, info));
    pick->after = change.snapshot_id;
    *ret_requirements = pick->written.requirements;
    *ret_updates = pick->written.updates;
    return ERR_OK;
}

static void undo(void *context, struct ddl *ddl)
{
    struct pick *pick = context;
    maintain_snapshot_undo(ddl, &pick->written);
}

static enum err forward(const struct pick *pick, const struct ddl *ddl, struct arena *arena,
                        struct slice *ret_requirements, struct slice *ret_updates,
                        struct errinfo *info)
{
    struct buf requirements CLEANUP(buf_fini) = {0};
    struct buf updates CLEANUP(buf_fini) = {0};
    ddl_print_uuid(ddl, &requirements);
    ddl_print_ref_requirement(SLICE("main"), ddl->metadata->current_snapshot_id, &requirements);
    buf_append_char(&requirements, ']');
    buf_append_char(&updates, '[');
    ddl_print_set_ref(SLICE("main"), pick->source->id,
                      iceberg_metadata_ref(ddl->metadata, SLICE("main")), &updates);
    buf_append_char(&updates, ']');
    return !buf_failed(&requirements) && !buf_failed(&updates) &&
                   arena_slice(arena, buf_slice(&requirements), ret_requirements) &&
                   arena_slice(arena, buf_slice(&updates), ret_updates)
               ? ERR_OK
               : errinfo_nomem(info);
}

static enum err find_staged(struct pick *pick, const struct ddl *ddl, struct errinfo *info)
{
    struct slice name = pick->call->values[1].text;
    pick->source = iceberg_metadata_find_wap(ddl->metadata, name, 0);
    if (pick->source == NULL) {
        return errinfo_set(info, ERR_NOT_FOUND, "42704",
                           "nothing is staged as \"%.*s\" in table \"%.*s\"", SLICE_ARGS(name),
                           SLICE_ARGS(ddl->name));
    }
    if (iceberg_metadata_find_wap(ddl->metadata, name, 1) != NULL) {
        (void)errinfo_set(info, ERR_INVALID, "22023",
                          "several snapshots of table \"%.*s\" are staged as \"%.*s\"",
                          SLICE_ARGS(ddl->name), SLICE_ARGS(name));
        errinfo_hint(info, "CALL moat.cherrypick_snapshot takes one of them by its id.");
        return ERR_INVALID;
    }
    return ERR_OK;
}

static enum err build(void *context, struct ddl *ddl, struct arena *arena,
                      struct slice *ret_requirements, struct slice *ret_updates,
                      struct errinfo *info)
{
    struct pick *pick = context;
    TRY(pick->is_staged ? find_staged(pick, ddl, info)
                        : iceberg_travel_to_id(ddl->metadata, pick->call->values[1].number,
                                               &pick->source, info));
    pick->source_id = pick->source->id;
    TRY(check_new(pick, ddl, info));
    ddl->audit.snapshot_before = ddl->metadata->current_snapshot_id;
    if (pick->source->parent_id == ddl->metadata->current_snapshot_id) {
        pick->after = ddl->audit.snapshot_after = pick->source->id;
        return forward(pick, ddl, arena, ret_requirements, ret_updates, info);
    }
    if (!slice_equal(pick->source->operation, SLICE("append"))) {
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                          "snapshot %lld cannot be picked: it did more than append rows",
                          (long long)pick->source->id);
        errinfo_hint(info, "What was done to the table before it was not done to this one; only a "
                           "snapshot made of the current one could be taken over.");
        return ERR_UNSUPPORTED;
    }
    TRY(collect(pick, ddl, arena, info));
    enum err err = append(pick, ddl, arena, ret_requirements, ret_updates, info);
    if (err != ERR_OK) {
        undo(pick, ddl);
    }
    ddl->audit.snapshot_after = pick->after;
    ddl->audit.files = pick->file_count;
    return err;
}

static enum err publish(struct pick *pick, struct errinfo *info)
{
    struct maintain *call = pick->call;
    struct ddl_change change = {
        .operation = "cherrypick", .build = build, .undo = undo, .context = pick};
    TRY(maintain_commit(call, &change, info));
    maintain_id(call, "source_snapshot_id", pick->source_id);
    maintain_id(call, "current_snapshot_id", pick->after);
    maintain_end_line(call);
    return ERR_OK;
}

enum err maintain_cherrypick_snapshot(struct maintain *call, struct errinfo *info)
{
    struct pick pick = {.call = call};
    return publish(&pick, info);
}

enum err maintain_publish_changes(struct maintain *call, struct errinfo *info)
{
    struct pick pick = {.call = call, .is_staged = true};
    return publish(&pick, info);
}
