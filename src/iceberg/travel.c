/* Which snapshot a reader asks for: by id, by time, by name. A miss says what is there instead. */
#include "iceberg/metadata.h"

#include "iceberg/calendar_int.h"

#define NAMES_MAX 8 /* said in a hint */

static void print_time(int64_t timestamp_ms, struct buf *out)
{
    int64_t seconds = floor_div(timestamp_ms, 1000);
    struct buf text CLEANUP(buf_fini) = {0};
    int64_t micros = (seconds % 86400) * 1000000 + floor_mod(timestamp_ms, 1000) * 1000;
    iceberg__print_date(floor_div(seconds, 86400), out);
    micros = micros < 0 ? micros + INT64_C(86400000000) : micros;
    iceberg__print_time(micros, 1000000, &text);
    buf_printf(out, " %.12s UTC", buf_cstr(&text));
}

/* The snapshot whose time is nearest; NULL in a table without any. */
static const struct iceberg_snapshot *nearest(const struct iceberg_metadata *metadata,
                                              int64_t timestamp_ms)
{
    const struct iceberg_snapshot *best = NULL;
    uint64_t best_distance = 0;
    for (size_t i = 0; i < metadata->snapshot_count; i++) {
        const struct iceberg_snapshot *snapshot = &metadata->snapshots[i];
        uint64_t distance = snapshot->timestamp_ms > timestamp_ms
                                ? (uint64_t)snapshot->timestamp_ms - (uint64_t)timestamp_ms
                                : (uint64_t)timestamp_ms - (uint64_t)snapshot->timestamp_ms;
        if (best == NULL || distance < best_distance) {
            best = snapshot;
            best_distance = distance;
        }
    }
    return best;
}

static void hint_snapshot(const struct iceberg_snapshot *snapshot, const char *what,
                          struct errinfo *info)
{
    struct buf time CLEANUP(buf_fini) = {0};
    if (snapshot == NULL) {
        errinfo_hint(info, "The table has no snapshots yet.");
        return;
    }
    print_time(snapshot->timestamp_ms, &time);
    errinfo_hint(info, "%s snapshot is %lld of %s.", what, (long long)snapshot->id,
                 buf_cstr(&time));
}

/* When an expired snapshot was current, as far as what is left tells: the snapshot log, a living
 * child, or that ids are all there is. */
static bool expired_time(const struct iceberg_metadata *metadata, int64_t snapshot_id,
                         int64_t *ret_timestamp_ms)
{
    for (size_t i = 0; i < metadata->snapshot_log_count; i++) {
        if (metadata->snapshot_log[i].snapshot_id == snapshot_id) {
            *ret_timestamp_ms = metadata->snapshot_log[i].timestamp_ms;
            return true;
        }
    }
    for (size_t i = 0; i < metadata->snapshot_count; i++) {
        if (metadata->snapshots[i].parent_id == snapshot_id) {
            *ret_timestamp_ms = metadata->snapshots[i].timestamp_ms;
            return true;
        }
    }
    return false;
}

static const struct iceberg_snapshot *oldest(const struct iceberg_metadata *metadata)
{
    return nearest(metadata, INT64_MIN);
}

enum err iceberg_travel_to_id(const struct iceberg_metadata *metadata, int64_t snapshot_id,
                              const struct iceberg_snapshot **ret_snapshot, struct errinfo *info)
{
    const struct iceberg_snapshot *snapshot = iceberg_metadata_snapshot(metadata, snapshot_id);
    if (snapshot != NULL) {
        *ret_snapshot = snapshot;
        return ERR_OK;
    }
    int64_t timestamp_ms;
    if (expired_time(metadata, snapshot_id, &timestamp_ms)) {
        (void)errinfo_set(info, ERR_NOT_FOUND, "02000", "snapshot %lld has expired",
                          (long long)snapshot_id);
        hint_snapshot(nearest(metadata, timestamp_ms), "The nearest living", info);
    } else {
        (void)errinfo_set(info, ERR_NOT_FOUND, "02000", "snapshot %lld does not exist",
                          (long long)snapshot_id);
        hint_snapshot(iceberg_metadata_snapshot(metadata, metadata->current_snapshot_id),
                      "The current", info);
    }
    return ERR_NOT_FOUND;
}

enum err iceberg_travel_to_time(const struct iceberg_metadata *metadata, int64_t timestamp_ms,
                                const struct iceberg_snapshot **ret_snapshot, struct errinfo *info)
{
    const struct iceberg_log_entry *found = NULL;
    struct buf time CLEANUP(buf_fini) = {0};
    /* The last entry counts: clocks of two writers may disagree, the order of commits does not. */
    for (size_t i = 0; i < metadata->snapshot_log_count; i++) {
        if (metadata->snapshot_log[i].timestamp_ms <= timestamp_ms) {
            found = &metadata->snapshot_log[i];
        }
    }
    print_time(timestamp_ms, &time);
    if (found == NULL) {
        (void)errinfo_set(info, ERR_NOT_FOUND, "02000",
                          metadata->snapshot_log_count == 0
                              ? "the table keeps no history that reaches %s"
                              : "the table had no snapshot at %s, or it has expired",
                          buf_cstr(&time));
        hint_snapshot(oldest(metadata), "The oldest living", info);
        return ERR_NOT_FOUND;
    }
    const struct iceberg_snapshot *snapshot =
        iceberg_metadata_snapshot(metadata, found->snapshot_id);
    if (snapshot == NULL) {
        (void)errinfo_set(info, ERR_NOT_FOUND, "02000",
                          "snapshot %lld, which was current at %s, has expired",
                          (long long)found->snapshot_id, buf_cstr(&time));
        hint_snapshot(nearest(metadata, timestamp_ms), "The nearest living", info);
        return ERR_NOT_FOUND;
    }
    *ret_snapshot = snapshot;
    return ERR_OK;
}

static void hint_refs(const struct iceberg_metadata *metadata, struct slice wanted,
                      struct errinfo *info)
{
    const struct iceberg_ref *closest = NULL;
    unsigned best = 4;
    struct buf names CLEANUP(buf_fini) = {0};
    for (size_t i = 0; i < metadata->ref_count; i++) {
        unsigned distance = slice_edit_distance(wanted, metadata->refs[i].name, 3);
        if (distance < best) {
            best = distance;
            closest = &metadata->refs[i];
        }
        if (i < NAMES_MAX) {
            buf_printf(&names, "%s\"%.*s\"", i == 0 ? "" : ", ",
                       SLICE_ARGS(metadata->refs[i].name));
        }
    }
    if (closest != NULL) {
        errinfo_hint(info, "Did you mean \"%.*s\"?", SLICE_ARGS(closest->name));
    } else if (metadata->ref_count > 0) {
        errinfo_hint(info, "Branches and tags are %s%s.", buf_cstr(&names),
                     metadata->ref_count > NAMES_MAX ? " and more" : "");
    } else {
        errinfo_hint(info, "The table has no snapshots yet.");
    }
}

enum err iceberg_travel_to_ref(const struct iceberg_metadata *metadata, struct slice name,
                               const struct iceberg_snapshot **ret_snapshot, struct errinfo *info)
{
    const struct iceberg_ref *ref = iceberg_metadata_ref(metadata, name);
    const struct iceberg_snapshot *snapshot =
        ref == NULL ? NULL : iceberg_metadata_snapshot(metadata, ref->snapshot_id);
    if (snapshot == NULL) {
        (void)errinfo_set(info, ERR_NOT_FOUND, "42704", "branch or tag \"%.*s\" does not exist",
                          SLICE_ARGS(name));
        hint_refs(metadata, name, info);
        return ERR_NOT_FOUND;
    }
    *ret_snapshot = snapshot;
    return ERR_OK;
}
