/* Snapshots that a call commits. */
#include "query/maintain/maintain_int.h"

#include "base/clock.h"
#include "iceberg/write.h"

#define SUMMARY_MAX 8u

void maintain_snapshot_undo(struct ddl *ddl, struct iceberg_snapshot_written *written)
{
    struct errinfo ignored;
    for (size_t i = 0; i < written->location_count; i++) {
        enum err err = ddl->output.remove(ddl->output.context, written->locations[i], &ignored);
        (void)err; /* an orphan: nothing names it */
    }
    *written = (struct iceberg_snapshot_written){0};
}

enum err maintain_snapshot_write(struct ddl *ddl, struct iceberg_snapshot_change *change,
                                 struct iceberg_snapshot_written *written, struct errinfo *info)
{
    struct iceberg_property summary[SUMMARY_MAX] = {
        {SLICE("moat.query-id"), slice_of(ddl->query->id)},
        {SLICE("engine-name"), SLICE("moat")},
        {SLICE("engine-version"), SLICE(MOAT_VERSION)},
    };
    size_t count = 3;
    int64_t now_ms = clock_wall_us() / 1000;
    int64_t last_ms = ddl->metadata->last_updated_ms;
    ASSERT(change->summary_count <= SUMMARY_MAX - count);
    for (size_t i = 0; i < change->summary_count; i++) {
        summary[count++] = change->summary[i];
    }
    change->io = &ddl->io;
    change->output = &ddl->output;
    change->metadata = ddl->metadata;
    change->now_ms = now_ms > last_ms ? now_ms : last_ms;
    change->summary = summary;
    change->summary_count = count;
    ddl->audit.snapshot_before = ddl->metadata->current_snapshot_id;
    TRY(iceberg_snapshot_new_id(ddl->metadata, &change->snapshot_id, info));
    ddl->audit.snapshot_after = change->snapshot_id;
    enum err err = iceberg_snapshot_write(change, ddl->query->arena, written, info);
    change->summary = NULL;
    change->summary_count = 0;
    if (err != ERR_OK) {
        maintain_snapshot_undo(ddl, written);
    }
    return err;
}
