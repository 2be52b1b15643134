/* The audit trail's anchor: how far the trail is known to have come, kept apart from the trail.
 *
 * One row, moved forward only. It is written after what it names is on disk, so whatever a crash
 * takes of it, the trail reaches further. That is why most of these commits need no sync of their
 * own: one that a power loss undoes leaves an older anchor, which is as true. So that it is never
 * much older, every SYSTEM_ANCHOR_SYNC_RECORDS th record the commit is synced.
 * It does not raise the store's version: nothing that a statement depends on has changed. */
#include "base/clock.h"
#include "system/system_int.h"

static enum err read_anchor(struct system *system, struct system_anchor *ret_anchor,
                            uint64_t *ret_synced_seq, struct errinfo *info)
{
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    bool has_row = false;
    TRY(system__open_cursor(system,
                            "SELECT trail, seq, hash, wall_us, synced_seq FROM audit_anchor",
                            NO_VALUES, &cursor, info));
    TRY(system__next(&cursor, &has_row, info));
    if (!has_row) {
        return system__error(SQLITE_CORRUPT, "read", info);
    }
    struct slice trail = system__view(&cursor, 0);
    struct slice hash = system__view(&cursor, 2);
    int64_t seq = system__int(&cursor, 1);
    if (trail.len >= SYSTEM_ANCHOR_TEXT_BYTES || hash.len >= SYSTEM_ANCHOR_TEXT_BYTES || seq < 0) {
        return system__error(SQLITE_CORRUPT, "read", info);
    }
    struct system_anchor anchor = {.seq = (uint64_t)seq, .wall_us = system__int(&cursor, 3)};
    memcpy(anchor.trail, trail.ptr, trail.len);
    memcpy(anchor.hash, hash.ptr, hash.len);
    *ret_anchor = anchor;
    *ret_synced_seq = (uint64_t)system__int(&cursor, 4);
    return ERR_OK;
}

enum err system_anchor(struct system *system, struct system_anchor *ret_anchor,
                       struct errinfo *info)
{
    uint64_t synced_seq;
    TRY(system__read_begin(system, info));
    enum err err = read_anchor(system, ret_anchor, &synced_seq, info);
    system__read_end(system);
    return err;
}

static enum err write_anchor(struct system *system, const struct system_anchor *anchor,
                             uint64_t synced_seq, struct errinfo *info)
{
    return system__run(system,
                       "UPDATE audit_anchor SET trail = ?1, seq = ?2, hash = ?3, wall_us = ?4,"
                       " synced_seq = ?5 WHERE seq = 0 OR (trail = ?1 AND seq < ?2)",
                       VALUES(TEXT(slice_of(anchor->trail)), INT(anchor->seq),
                              TEXT(slice_of(anchor->hash)), INT(clock_wall_us()), INT(synced_seq)),
                       info);
}

static enum err advance(struct system *system, const struct system_anchor *anchor,
                        struct errinfo *info)
{
    struct system_anchor before;
    uint64_t synced_seq;
    TRY(read_anchor(system, &before, &synced_seq, info));
    if (before.seq > 0 && strcmp(before.trail, anchor->trail) != 0) {
        return errinfo_set(info, ERR_CORRUPT, NULL,
                           "the warehouse's store is anchored to another audit trail");
    }
    if (before.seq >= anchor->seq) {
        return ERR_OK; /* of another process, which was faster */
    }
    bool is_synced = before.seq == 0 || anchor->seq - synced_seq >= SYSTEM_ANCHOR_SYNC_RECORDS;
    TRY(system__set_synced(system, is_synced, info));
    /* No waiting for another writer: there is a next time. */
    (void)sqlite3_busy_timeout(system->db, 0);
    enum err err = write_anchor(system, anchor, is_synced ? anchor->seq : synced_seq, info);
    (void)sqlite3_busy_timeout(system->db, SYSTEM_BUSY_TIMEOUT_MS);
    return err;
}

enum err system_anchor_advance(struct system *system, const struct system_anchor *anchor,
                               struct errinfo *info)
{
    ASSERT(anchor->seq > 0);
    ASSERT(pthread_mutex_lock(&system->mutex) == 0);
    system__rollback(system); /* of a rollback that failed */
    enum err err = advance(system, anchor, info);
    ASSERT(pthread_mutex_unlock(&system->mutex) == 0);
    return err;
}

enum err system_anchor_replace(struct system *system, const struct identity *who,
                               const struct system_anchor *anchor, struct errinfo *info)
{
    struct actor actor;
    TRY(system__write_begin(system, who, &actor, info));
    enum err err = ERR_OK;
    if (!actor.is_owner) {
        err = errinfo_set(info, ERR_DENIED, NULL,
                          "only the owner of the warehouse may accept a loss of its audit trail");
    } else {
        err =
            system__run(system, "UPDATE audit_anchor SET seq = 0, synced_seq = 0", NO_VALUES, info);
    }
    if (err == ERR_OK) {
        err = write_anchor(system, anchor, anchor->seq, info);
    }
    return system__write_end(system, err, info);
}
