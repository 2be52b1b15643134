/* Changes that a transaction can hold, and the overlay that holds them (transaction.h).
 *
 * A change is kept as what was asked for, not as the rows that it wrote: made again it looks its
 * rights up again, and whatever has happened since to the object it is about is noticed. Rejected:
 * one SQLite transaction left open (its lock would stop everybody's writes, the audit trail's
 * anchor among them), changesets of rows (they would carry rights that were taken away since). */
#include <stdatomic.h>

#include "base/checked.h"
#include "base/mem.h"
#include "system/change_int.h"

/* The object as a change found it. */
struct seen {
    bool is_looked_at; /* false: the change is about none that the store has */
    bool exists;
    bool is_touched; /* by an earlier change: its version is not the store's */
    struct slice uuid;
    int64_t version;
};

struct recorded {
    struct change change;
    struct seen seen;
};

struct change_log {
    struct arena *arena;
    struct recorded *items;
    size_t count;
    size_t capacity;
    uint64_t store_version; /* that the copy is of */
    bool is_applying;
    bool is_broken; /* the copy is not what the changes make of the store */
};

static atomic_uint overlay_count;

void system__log_free(struct change_log *log)
{
    if (log != NULL) {
        arena_free(log->arena);
        mem_free(log);
        atomic_fetch_sub(&overlay_count, 1);
    }
}

bool system__may_write(const struct system *system)
{
    return system->log == NULL || system->log->is_applying;
}

bool system_is_overlay(const struct system *system)
{
    return system->log != NULL;
}

/* ---- a copy of a change ---- */

static enum err copy_array(struct arena *arena, const void *from, size_t count, size_t item_bytes,
                           void *ret_copy, struct errinfo *info)
{
    void *copy = arena_calloc(arena, count + 1, item_bytes);
    if (copy == NULL) {
        return errinfo_nomem(info);
    }
    if (count > 0) {
        memcpy(copy, from, count * item_bytes);
    }
    memcpy(ret_copy, &copy, sizeof(copy));
    return ERR_OK;
}

static bool copy_slices(struct arena *arena, struct slice *const *slices, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!arena_slice(arena, *slices[i], slices[i])) {
            return false;
        }
    }
    return true;
}

static enum err copy_name(struct arena *arena, struct sql_name *name, struct errinfo *info)
{
    struct slice *const slices[] = {&name->catalog, &name->schema, &name->name};
    return copy_slices(arena, slices, ARRAY_COUNT(slices)) ? ERR_OK : errinfo_nomem(info);
}

static enum err copy_columns(struct arena *arena, const struct relation_column **columns,
                             size_t count, struct errinfo *info)
{
    struct relation_column *copy;
    TRY(copy_array(arena, *columns, count, sizeof(*copy), &copy, info));
    for (size_t i = 0; i < count; i++) {
        struct slice *const slices[] = {&copy[i].name, &copy[i].source, &copy[i].type};
        if (!copy_slices(arena, slices, ARRAY_COUNT(slices))) {
            return errinfo_nomem(info);
        }
    }
    *columns = copy;
    return ERR_OK;
}

static enum err copy_relation(struct arena *arena, struct system_relation *wanted,
                              struct errinfo *info)
{
    struct relation *relation = &wanted->relation;
    struct relation_option *options;
    struct relation_source *sources;
    struct slice *const slices[] = {&wanted->location, &wanted->comment, &relation->view_sql};
    if (!copy_slices(arena, slices, ARRAY_COUNT(slices))) {
        return errinfo_nomem(info);
    }
    TRY(copy_name(arena, &relation->name, info));
    TRY(copy_columns(arena, &relation->columns, relation->column_count, info));
    TRY(copy_array(arena, relation->options, relation->option_count, sizeof(*options), &options,
                   info));
    for (size_t i = 0; i < relation->option_count; i++) {
        struct slice *const texts[] = {&options[i].name, &options[i].value};
        if (!copy_slices(arena, texts, ARRAY_COUNT(texts))) {
            return errinfo_nomem(info);
        }
    }
    relation->options = options;
    TRY(copy_array(arena, relation->sources, relation->source_count, sizeof(*sources), &sources,
                   info));
    for (size_t i = 0; i < relation->source_count; i++) {
        if (!arena_slice(arena, sources[i].uuid, &sources[i].uuid)) {
            return errinfo_nomem(info);
        }
        TRY(copy_name(arena, &sources[i].name, info));
        TRY(copy_columns(arena, &sources[i].columns, sources[i].column_count, info));
    }
    relation->sources = sources;
    return ERR_OK;
}

static enum err copy_grant(struct arena *arena, struct grant *grant, struct errinfo *info)
{
    uint32_t *ids;
    struct grant_mask *masks;
    struct slice *const slices[] = {&grant->grantee, &grant->object_uuid, &grant->rows,
                                    &grant->grantor};
    if (!copy_slices(arena, slices, ARRAY_COUNT(slices))) {
        return errinfo_nomem(info);
    }
    TRY(copy_array(arena, grant->column_ids, grant->column_count, sizeof(*ids), &ids, info));
    TRY(copy_array(arena, grant->masks, grant->mask_count, sizeof(*masks), &masks, info));
    for (size_t i = 0; i < grant->mask_count; i++) {
        if (!arena_slice(arena, masks[i].expression, &masks[i].expression)) {
            return errinfo_nomem(info);
        }
    }
    grant->column_ids = ids;
    grant->masks = masks;
    return ERR_OK;
}

static enum err copy_change(struct arena *arena, struct change *change, struct errinfo *info)
{
    struct slice *const slices[] = {&change->column, &change->text};
    if (!copy_slices(arena, slices, ARRAY_COUNT(slices))) {
        return errinfo_nomem(info);
    }
    TRY(copy_name(arena, &change->name, info));
    TRY(copy_relation(arena, &change->relation, info));
    return copy_grant(arena, &change->grant, info);
}

/* ---- making one ---- */

static enum err apply(struct system *system, const struct actor *actor, struct change *change,
                      struct errinfo *info)
{
    static system__change_fn *const functions[] = {
        [CHANGE_SCHEMA_CREATE] = system__schema_create,
        [CHANGE_SCHEMA_DROP] = system__schema_drop,
        [CHANGE_CREATE] = system__create,
        [CHANGE_DROP] = system__drop,
        [CHANGE_RENAME] = system__rename,
        [CHANGE_MOVE] = system__move,
        [CHANGE_COMMENT] = system__comment,
        [CHANGE_RENAME_COLUMN] = system__rename_column,
        [CHANGE_REFRESH] = system__refresh,
        [CHANGE_GRANT] = system__grant,
        [CHANGE_REVOKE] = system__revoke,
    };
    return functions[change->kind](system, actor, change, info);
}

/* Whether the transaction has made or changed this object before. */
static bool is_touched(const struct change_log *log, size_t before, struct slice uuid)
{
    for (size_t i = 0; i < before; i++) {
        const struct recorded *item = &log->items[i];
        if ((item->seen.exists && slice_equal(item->seen.uuid, uuid)) ||
            (item->change.kind == CHANGE_CREATE &&
             slice_equal(slice_of(item->change.uuid), uuid))) {
            return true;
        }
    }
    return false;
}

/* The object of a change as it is in `system` now. */
static enum err look(struct system *system, const struct change *change, struct arena *arena,
                     struct seen *ret_seen, struct errinfo *info)
{
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    struct seen seen = {.is_looked_at = true};
    bool is_grant = change->kind == CHANGE_GRANT || change->kind == CHANGE_REVOKE;
    if (change->kind == CHANGE_SCHEMA_CREATE || change->kind == CHANGE_SCHEMA_DROP) {
        *ret_seen = (struct seen){0};
        return ERR_OK;
    }
    if (is_grant) {
        TRY(system__open_cursor(system, "SELECT uuid, version FROM relation WHERE uuid = ?1",
                                VALUES(TEXT(change->grant.object_uuid)), &cursor, info));
    } else {
        bool has_schema = change->name.schema.len > 0;
        TRY(system__open_cursor(
            system,
            "SELECT r.uuid, r.version FROM relation r JOIN schema s ON s.id = r.schema"
            " WHERE s.name = ?1 AND r.name = ?2",
            VALUES(TEXT(has_schema ? change->name.schema : SLICE(SQL_SCHEMA_DEFAULT)),
                   TEXT(change->name.name)),
            &cursor, info));
    }
    TRY(system__next(&cursor, &seen.exists, info));
    if (seen.exists) {
        TRY(system__text(&cursor, 0, arena, &seen.uuid, info));
        seen.version = system__int(&cursor, 1);
    }
    *ret_seen = seen;
    return ERR_OK;
}

static enum err conflict(const struct change *change, struct errinfo *info)
{
    struct slice name = change->name.name.len > 0 ? change->name.name : SLICE("a table");
    (void)errinfo_set(info, ERR_BUSY, "40001",
                      "could not serialize access: somebody else changed \"%.*s\"",
                      SLICE_ARGS(name));
    errinfo_hint(info, "Roll the transaction back and do it again.");
    return ERR_BUSY;
}

/* What would be said of a statement is not to the point at a commit: what was true when it ran is
 * so no more. Lost rights are said as they are, and what has nothing to do with the change. */
static enum err explain(enum err err, const struct change *change, struct errinfo *info)
{
    bool is_own = err == ERR_NOMEM || err == ERR_IO || err == ERR_CORRUPT || err == ERR_DENIED ||
                  err == ERR_BUSY || err == ERR_INTERNAL || err == ERR_LIMIT;
    return err == ERR_OK || is_own ? err : conflict(change, info);
}

static enum err apply_again(struct system *system, const struct actor *actor, struct recorded *item,
                            struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "change", 0);
    struct seen now;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    const struct seen *then = &item->seen;
    TRY(look(system, &item->change, arena, &now, info));
    bool is_same = now.exists == then->exists;
    if (is_same && now.exists) {
        is_same =
            slice_equal(now.uuid, then->uuid) && (then->is_touched || now.version == then->version);
    }
    if (then->is_looked_at && !is_same) {
        return conflict(&item->change, info);
    }
    return explain(apply(system, actor, &item->change, info), &item->change, info);
}

static enum err change_overlay(struct system *system, const struct actor *actor,
                               struct change *change, struct errinfo *info)
{
    struct change_log *log = system->log;
    struct recorded item = {.change = *change};
    if (log->is_broken) {
        return conflict(change, info);
    }
    if (log->count == SYSTEM_CHANGES_MAX) {
        return errinfo_set(info, ERR_LIMIT, NULL, "a transaction makes at most %d changes",
                           SYSTEM_CHANGES_MAX);
    }
    struct recorded *items =
        system__push(log->arena, log->items, log->count, &log->capacity, sizeof(*items));
    if (items == NULL) {
        return errinfo_nomem(info);
    }
    log->items = items;
    TRY(look(system, change, log->arena, &item.seen, info));
    item.seen.is_touched = item.seen.exists && is_touched(log, log->count, item.seen.uuid);
    TRY(copy_change(log->arena, &item.change, info));
    TRY(apply(system, actor, change, info));
    log->items[log->count++] = item;
    return ERR_OK;
}

enum err system__change(struct system *system, const struct identity *who, struct change *change,
                        struct errinfo *info)
{
    struct actor actor;
    struct change_log *log = system->log;
    size_t before = log == NULL ? 0 : log->count;
    if (log != NULL) {
        log->is_applying = true;
    }
    enum err err = system__write_begin(system, who, &actor, info);
    if (err == ERR_OK) {
        err = log == NULL ? apply(system, &actor, change, info)
                          : change_overlay(system, &actor, change, info);
        err = system__write_end(system, err, info);
    }
    if (log != NULL) {
        log->is_applying = false;
        log->count = err == ERR_OK ? log->count : before;
    }
    return err;
}

/* ---- overlays ---- */

static enum err backup(struct system *overlay, struct errinfo *info)
{
    struct system *store = overlay->store;
    ASSERT(pthread_mutex_lock(&store->mutex) == 0);
    system__rollback(store);
    sqlite3_backup *backup = sqlite3_backup_init(overlay->db, "main", store->db, "main");
    int code = backup == NULL ? sqlite3_errcode(overlay->db) : sqlite3_backup_step(backup, -1);
    int end = backup == NULL ? SQLITE_OK : sqlite3_backup_finish(backup);
    ASSERT(pthread_mutex_unlock(&store->mutex) == 0);
    return code == SQLITE_DONE ? ERR_OK
                               : system__error(code == SQLITE_OK ? end : code, "copy", info);
}

/* The store as it is now, with nothing of the overlay's left: in a new connection, since statements
 * over the old would have to be made again where memory may be short. */
static enum err copy_store(struct system *overlay, struct errinfo *info)
{
    uint64_t version;
    TRY(system_version(overlay->store, &version, info)); /* the copy may be newer, never older */
    system__disconnect(overlay);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY |
                SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(":memory:", &overlay->db, flags, NULL);
    if (code != SQLITE_OK) {
        return system__error(code, "copy", info);
    }
    TRY(system__configure(overlay, info));
    TRY(backup(overlay, info));
    TRY(system__warm(overlay, info));
    overlay->log->store_version = version;
    return ERR_OK;
}

/* All in one transaction of `system`: the overlay's copy, or the store. */
static enum err make_changes(struct system *system, struct change_log *log,
                             const struct identity *who, size_t count, struct errinfo *info)
{
    struct actor actor;
    TRY(system__write_begin(system, who, &actor, info));
    enum err err = ERR_OK;
    for (size_t i = 0; err == ERR_OK && i < count; i++) {
        err = apply_again(system, &actor, &log->items[i], info);
    }
    return system__write_end(system, err, info);
}

static enum err rebuild(struct system *overlay, const struct identity *who, size_t count,
                        struct errinfo *info)
{
    struct change_log *log = overlay->log;
    log->is_broken = true;
    log->is_applying = true;
    enum err err = copy_store(overlay, info);
    if (err == ERR_OK && count > 0) {
        err = make_changes(overlay, log, who, count, info);
    }
    log->is_applying = false;
    TRY(err);
    log->count = count;
    log->is_broken = false;
    return ERR_OK;
}

enum err system_overlay_open(struct system *store, struct system **ret_overlay,
                             struct errinfo *info)
{
    struct system *overlay CLEANUP(system_cleanup) = NULL;
    ASSERT(store->log == NULL);
    TRY(system__new(&overlay, info));
    overlay->log = mem_calloc(1, sizeof(*overlay->log));
    if (overlay->log == NULL) {
        return errinfo_nomem(info);
    }
    if (atomic_fetch_add(&overlay_count, 1) >= SYSTEM_OVERLAYS_MAX) {
        (void)errinfo_set(info, ERR_LIMIT, "53400", "more than %d transactions hold changes",
                          SYSTEM_OVERLAYS_MAX);
        errinfo_hint(info, "Try again when some have ended.");
        return ERR_LIMIT;
    }
    overlay->log->arena = arena_new(NULL, "changes", (size_t)256 << 20);
    if (overlay->log->arena == NULL) {
        return errinfo_nomem(info);
    }
    overlay->store = store;
    TRY(copy_store(overlay, info));
    TRY(system__load_warehouse(overlay, info));
    *ret_overlay = TAKE(overlay);
    return ERR_OK;
}

size_t system_overlay_changes(const struct system *overlay)
{
    return overlay->log->count;
}

enum err system_overlay_refresh(struct system *overlay, const struct identity *who,
                                struct errinfo *info)
{
    uint64_t version;
    struct change_log *log = overlay->log;
    TRY(system_version(overlay->store, &version, info));
    return version == log->store_version && !log->is_broken
               ? ERR_OK
               : rebuild(overlay, who, log->count, info);
}

enum err system_overlay_rollback(struct system *overlay, const struct identity *who, size_t count,
                                 struct errinfo *info)
{
    ASSERT(count <= overlay->log->count); /* which stays, if this fails: marks beyond it are used */
    return rebuild(overlay, who, count, info);
}

enum err system_overlay_commit(struct system *overlay, const struct identity *who,
                               struct errinfo *info)
{
    struct change_log *log = overlay->log;
    return log->count == 0 ? ERR_OK : make_changes(overlay->store, log, who, log->count, info);
}
