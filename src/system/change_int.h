/* Changes that a transaction can hold, and what views read. Functions with two underscores want the
 * mutex held and a transaction open, unless they say otherwise. */
#pragma once

#include "base/hash.h"
#include "system/system_int.h"

/* ---- changes that a transaction can hold (system_change.c) ---- */

enum change_kind {
    CHANGE_SCHEMA_CREATE,
    CHANGE_SCHEMA_DROP,
    CHANGE_CREATE,
    CHANGE_DROP,
    CHANGE_RENAME,
    CHANGE_MOVE,
    CHANGE_COMMENT,
    CHANGE_RENAME_COLUMN,
    CHANGE_REFRESH,
    CHANGE_GRANT,
    CHANGE_REVOKE,
};

/* One write, as asked for. What a kind has no use for is empty. */
struct change {
    enum change_kind kind;
    struct sql_name name; /* of the relation; of schemas only `name` */
    bool if_exists, cascade;
    enum relation_kind relation_kind;
    enum system_create_mode mode;
    struct system_relation relation; /* CREATE; REFRESH: its columns */
    struct slice column;
    struct slice text;          /* the new name, schema or comment */
    struct grant grant;         /* GRANT; of REVOKE: what is looked for */
    char uuid[UUID_TEXT_BYTES]; /* of what CREATE makes: the same each time it is done */
    /* results */
    bool is_created;
    uint64_t id;
    size_t count;
};

/* Makes the change in a transaction of its own; in an overlay it is kept as well. */
MUST_USE enum err system__change(struct system *system, const struct identity *who,
                                 struct change *change, struct errinfo *info);
void system__log_free(struct change_log *log); /* takes NULL */
/* Not so of an overlay, but while a change is made in it. */
bool system__may_write(const struct system *system);

/* One function a kind. */
typedef enum err system__change_fn(struct system *system, const struct actor *actor,
                                   struct change *change, struct errinfo *info);
system__change_fn system__schema_create, system__schema_drop, system__create, system__drop,
    system__rename, system__move, system__comment, system__rename_column, system__refresh,
    system__grant, system__revoke;

/* ---- what views read (system_views.c) ---- */

MUST_USE enum err system__store_sources(struct system *system, int64_t relation_id,
                                        const struct relation *relation, struct errinfo *info);
MUST_USE enum err system__load_sources(struct system *system, int64_t relation_id,
                                       struct arena *arena,
                                       const struct relation_source **ret_sources,
                                       size_t *ret_count, struct errinfo *info);
/* Drops the views that read, directly or through others, relation `id`, or any of schema
 * `schema_id` (0: none). Without `cascade` there may be none. */
MUST_USE enum err system__drop_readers(struct system *system, const struct actor *actor,
                                       int64_t relation_id, int64_t schema_id, struct slice what,
                                       bool cascade, size_t *ret_count, struct errinfo *info);
MUST_USE enum err system__check_may_create(struct system *system, const struct actor *actor,
                                           const struct schema_row *schema, struct errinfo *info);
