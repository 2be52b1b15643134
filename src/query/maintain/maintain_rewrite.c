/* rewrite_manifests: the same files, named by fewer manifests. */
#include "query/maintain/maintain_int.h"

#include "iceberg/write.h"

#define BYTES_DEFAULT (INT64_C(8) << 20) /* commit.manifest.target-size-bytes */

struct rewrite {
    struct iceberg_snapshot_written written;
    int64_t rewritten, added;
};

static void undo(void *context, struct ddl *ddl)
{
    struct rewrite *rewrite = context;
    maintain_snapshot_undo(ddl, &rewrite->written);
}

static enum err build(void *context, struct ddl *ddl, UNUSED struct arena *arena,
                      struct slice *ret_requirements, struct slice *ret_updates,
                      struct errinfo *info)
{
    struct rewrite *rewrite = context;
    int64_t bytes = BYTES_DEFAULT;
    struct slice said =
        iceberg_metadata_property(ddl->metadata, "commit.manifest.target-size-bytes");
    bool is_said = slice_to_i64(said, &bytes) && bytes > 0;
    struct iceberg_snapshot_change change = {
        .operation = "replace",
        .merged_bytes = is_said ? bytes : BYTES_DEFAULT,
    };
    ddl->audit.snapshot_before = ddl->metadata->current_snapshot_id;
    rewrite->rewritten = rewrite->added = 0;
    if (ddl->metadata->current_snapshot_id == ICEBERG_NO_ID) {
        return ERR_OK;
    }
    TRY(maintain_snapshot_write(ddl, &change, &rewrite->written, info));
    if (rewrite->written.merged_count == 0) {
        undo(rewrite, ddl);
        return ERR_OK;
    }
    rewrite->rewritten = (int64_t)rewrite->written.merged_count;
    rewrite->added = (int64_t)rewrite->written.location_count - 1; /* and the list */
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
