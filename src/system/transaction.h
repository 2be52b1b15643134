/* Changes of several statements that come into force together, or not at all.
 *
 * An overlay is a store of its own, in memory: a copy of the warehouse's, with changes that nobody
 * else sees. Reads and writes of tables, views, schemas and grants take it in the place of the
 * store. Each change is kept as what was asked for; whenever the store has changed (_refresh) the
 * copy is made anew and the changes are made again, with the rights that the person has *now*:
 * so what an admin takes away is gone at the next statement, in a transaction too. Committing makes
 * them once more, in the store, in one transaction of it.
 *
 * A change that finds its object other than it found it the first time is ERR_BUSY (40001): whoever
 * commits first wins. Nothing waits, and an open overlay holds no lock.
 * An overlay is used by one thread at a time; system_close ends it. */
#pragma once

#include "system/system.h"

/* Of overlays at once in a process: each is as large as the store. */
#define SYSTEM_OVERLAYS_MAX 256
/* Of changes in one overlay. */
#define SYSTEM_CHANGES_MAX 10000

/* ERR_LIMIT (53400) above SYSTEM_OVERLAYS_MAX. The store must outlive it. */
MUST_USE enum err system_overlay_open(struct system *store, struct system **ret_overlay,
                                      struct errinfo *info);
/* Whatever fails here leaves an overlay that can only be rolled back or closed. */
MUST_USE enum err system_overlay_refresh(struct system *overlay, const struct identity *who,
                                         struct errinfo *info);
/* How many changes there are: a mark to go back to. */
size_t system_overlay_changes(const struct system *overlay);
/* Takes back all but the first `count` changes. */
MUST_USE enum err system_overlay_rollback(struct system *overlay, const struct identity *who,
                                          size_t count, struct errinfo *info);
/* All or nothing. Afterwards the overlay can only be closed. */
MUST_USE enum err system_overlay_commit(struct system *overlay, const struct identity *who,
                                        struct errinfo *info);
/* ERR_UNSUPPORTED (0A000) for what no transaction can hold: users, roles, keys, catalogs. */
bool system_is_overlay(const struct system *system);

/* ---- what only lately became part of the store ---- */

/* To another schema, in which the person may create. */
MUST_USE enum err system_relation_move(struct system *, const struct identity *who,
                                       const struct sql_name *name, struct slice schema,
                                       struct errinfo *info);
/* `column` empty: of the relation. An empty comment takes it away. */
MUST_USE enum err system_comment_set(struct system *, const struct identity *who,
                                     const struct sql_name *name, enum relation_kind kind,
                                     struct slice column, struct slice comment,
                                     struct errinfo *info);

struct system_comment {
    struct slice uuid; /* of the relation */
    uint32_t column_id;
    struct slice comment;
};

/* Of all columns that have one. Does not look at grants. */
MUST_USE enum err system_column_comments(struct system *, const struct identity *who,
                                         struct arena *arena, struct system_comment **ret_comments,
                                         size_t *ret_count, struct errinfo *info);

/* The present name of a relation of the store. ERR_NOT_FOUND (42P01). Does not look at grants. */
MUST_USE enum err system_relation_name(struct system *, const struct identity *who,
                                       struct slice uuid, struct arena *arena,
                                       struct sql_name *ret_name, struct errinfo *info);
