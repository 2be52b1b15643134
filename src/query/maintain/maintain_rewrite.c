/* rewrite_manifests: the same files, named by fewer manifests. */
#include "query/maintain/maintain_int.h"

#include "base/clock.h"
#include "iceberg/write.h"

#define BYTES_DEFAULT (INT64_C(8) << 20) /* commit.manifest.target-size-bytes */

struct rewrite {
    struct iceberg_snapshot_written written;
    int64_t rewritten, added;
};

static void undo(void *context, struct ddl *ddl)
{
    struct rewrite *rewrite = context;
    struct errinfo ignored;
    for (size_t i = 0; i < rewrite->written.location_count; i++) {
        enum err err =
            ddl->output.remove(ddl->output.context, rewrite->written.locations[i], &ignored);
        (void)err; /* an orphan: nothing names it */
    }
    rewrite->written = (struct iceberg_snapshot_written){0};
}

static enum err write_snapshot(struct rewrite *rewrite, struct ddl *ddl, struct errinfo *info)
{
    const struct iceberg_property summary[] = {
        {SLICE("moat.query-id"), slice_of(ddl->query->id)},
        {SLICE("engine-name"), SLICE("moat")},
        {SLICE("engine-version"), SLICE(MOAT_VERSION)},
    };
    int64_t bytes = BYTES_DEFAULT;
    int64_t now_ms = clock_wall_us() / 1000;
    int64_t last_ms = ddl->metadata->last_updated_ms;
    struct slice said =
        iceberg_metadata_property(ddl->metadata, "commit.manifest.target-size-bytes");
    bool is_said = slice_to_i64(said, &bytes) && bytes > 0;
    struct iceberg_snapshot_change change = {
        .io = &ddl->io,
        .output = &ddl->output,
        .metadata = ddl->metadata,
        .operation = "replace",
        .now_ms = now_ms > last_ms ? now_ms : last_ms,
        .summary = summary,
        .summary_count = ARRAY_COUNT(summary),
        .merged_bytes = is_said ? bytes : BYTES_DEFAULT,
    };
    TRY(iceberg_snapshot_new_id(ddl->metadata, &change.snapshot_id, info));
    ddl->audit.snapshot_after = change.snapshot_id;
    return iceberg_snapshot_write(&change, ddl->query->arena, &rewrite->written, info);
}

static enum err build(void *context, struct ddl *ddl, UNUSED struct arena *arena,
                      struct slice *ret_requirements, struct slice *ret_updates,
                      struct errinfo *info)
{
    struct rewrite *rewrite = context;
    ddl->audit.snapshot_before = ddl->metadata->current_snapshot_id;
    if (ddl->metadata->current_snapshot_id == ICEBERG_NO_ID) {
        return ERR_OK;
    }
    enum err err = write_snapshot(rewrite, ddl, info);
    rewrite->rewritten = (int64_t)rewrite->written.merged_count;
    rewrite->added = (int64_t)rewrite->written.location_count - 1; /* and the list */
    if (err != ERR_OK || rewrite->rewritten == 0) {
        rewrite->added = 0;
        undo(rewrite, ddl);
        return err;
    }
    *ret_requirements = rewrite->written.requirements;
    *ret_updates = rewrite->written.updates;
    return ERR_OK;
}

enum err maintain_rewrite_manifests(struct maintain *call, struct errinfo *info)
{
    struct rewrite rewrite = {0};
    struct ddl_change change = {
        .operation = "rewrite-manifests", .build = build, .undo = undo, .context = &rewrite};
    TRY(maintain_commit(call, &change, info));
    maintain_number(call, "rewritten_manifests", rewrite.rewritten);
    maintain_number(call, "added_manifests", rewrite.added);
    maintain_end_line(call);
    return ERR_OK;
}
