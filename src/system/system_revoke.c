/* REVOKE: whole grants, or columns taken out of wider ones, exactly.
 *
 * A grant of all columns becomes a grant of the others that exist now: columns that come later
 * are then not granted, which is the safe side. A DENY of all columns is not narrowed this way,
 * since columns that come later would then be open: it is refused. */
#include "system/change_int.h"

struct revocation {
    struct grant_object object;
    int64_t grantee_id;
    enum grant_effect effect;
    bool all_columns;
    const uint32_t *column_ids;
    size_t column_count;
    size_t count; /* grants changed or gone */
};

struct old_grant {
    int64_t id;
    bool all_columns;
};

static enum err load(struct system *system, const struct revocation *revocation,
                     struct arena *arena, struct old_grant **ret_grants, size_t *ret_count,
                     struct errinfo *info)
{
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    struct old_grant *grants = NULL;
    size_t count = 0, capacity = 0;
    TRY(system__open_cursor(system,
                            "SELECT id, all_columns FROM access_grant WHERE object = ?1"
                            " AND grantee = ?2 AND effect = ?3 AND privileges = ?4 ORDER BY id",
                            VALUES(TEXT(revocation->object.uuid), INT(revocation->grantee_id),
                                   TEXT(system__effect_text(revocation->effect)),
                                   INT(revocation->object.privileges & ~(unsigned)PRIVILEGE_WRITE)),
                            &cursor, info));
    for (bool has_row = false;;) {
        TRY(system__next(&cursor, &has_row, info));
        if (!has_row) {
            break;
        }
        grants = system__push(arena, grants, count, &capacity, sizeof(*grants));
        if (grants == NULL) {
            return errinfo_nomem(info);
        }
        grants[count++] = (struct old_grant){system__int(&cursor, 0), system__int(&cursor, 1) != 0};
    }
    *ret_grants = grants;
    *ret_count = count;
    return ERR_OK;
}

static enum err list_columns(struct system *system, const struct revocation *revocation,
                             int64_t grant_id, struct errinfo *info)
{
    if (revocation->effect == GRANT_DENY) {
        (void)errinfo_set(info, ERR_INVALID, "0LP01",
                          "columns cannot be taken out of a DENY of all columns");
        errinfo_hint(info, "Revoke the DENY, then DENY the columns that shall stay hidden.");
        return ERR_INVALID;
    }
    if (!revocation->object.is_registered) {
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                          "columns cannot be taken out of a grant on a system table");
        errinfo_hint(info, "Revoke the grant, then grant the columns that shall stay.");
        return ERR_UNSUPPORTED;
    }
    TRY(system__run(system,
                    "INSERT INTO grant_column (grant_id, column_id)"
                    " SELECT ?1, id FROM relation_column WHERE relation = ?2",
                    VALUES(INT(grant_id), INT(revocation->object.relation.id)), info));
    return system__run(system, "UPDATE access_grant SET all_columns = 0 WHERE id = ?1",
                       VALUES(INT(grant_id)), info);
}

/* True if the grant gives any of the columns. */
static enum err gives(struct system *system, const struct revocation *revocation,
                      const struct old_grant *grant, bool *ret_gives, struct errinfo *info)
{
    bool found = false;
    int64_t ignored;
    for (size_t i = 0; !found && i < revocation->column_count; i++) {
        struct value column = INT(revocation->column_ids[i]);
        if (!grant->all_columns) {
            TRY(system__number(system,
                               "SELECT 1 FROM grant_column WHERE grant_id = ?1 AND column_id = ?2",
                               VALUES(INT(grant->id), column), &found, &ignored, info));
        } else if (revocation->object.is_registered) {
            TRY(system__number(
                system, "SELECT 1 FROM relation_column WHERE relation = ?1 AND id = ?2",
                VALUES(INT(revocation->object.relation.id), column), &found, &ignored, info));
        } else {
            found = true; /* all columns of a relation that is not here: list_columns refuses */
        }
    }
    *ret_gives = found;
    return ERR_OK;
}

static enum err take_columns(struct system *system, struct revocation *revocation,
                             const struct old_grant *grant, struct errinfo *info)
{
    bool found = false;
    int64_t ignored;
    TRY(gives(system, revocation, grant, &found, info));
    if (!found) {
        return ERR_OK;
    }
    revocation->count++;
    if (grant->all_columns) {
        TRY(list_columns(system, revocation, grant->id, info));
    }
    for (size_t i = 0; i < revocation->column_count; i++) {
        struct value column = INT(revocation->column_ids[i]);
        TRY(system__run(system, "DELETE FROM grant_column WHERE grant_id = ?1 AND column_id = ?2",
                        VALUES(INT(grant->id), column), info));
        TRY(system__run(system, "DELETE FROM grant_mask WHERE grant_id = ?1 AND column_id = ?2",
                        VALUES(INT(grant->id), column), info));
    }
    TRY(system__number(system, "SELECT 1 FROM grant_column WHERE grant_id = ?1 LIMIT 1",
                       VALUES(INT(grant->id)), &found, &ignored, info));
    return found ? ERR_OK
                 : system__run(system, "DELETE FROM access_grant WHERE id = ?1",
                               VALUES(INT(grant->id)), info);
}

/* Rights to write have no parts: they go out of whichever grants have them. */
static enum err revoke_writes(struct system *system, struct revocation *revocation,
                              struct errinfo *info)
{
    unsigned writes = revocation->object.privileges & PRIVILEGE_WRITE;
    if (writes == 0) {
        return ERR_OK;
    }
    if (!revocation->all_columns) {
        return errinfo_set(info, ERR_INVALID, "0LP01",
                           "columns belong to SELECT on a table or view");
    }
    const struct value object = TEXT(revocation->object.uuid);
    const struct value effect = TEXT(system__effect_text(revocation->effect));
    TRY(system__run(system,
                    "DELETE FROM access_grant WHERE object = ?1 AND grantee = ?2 AND effect = ?3"
                    " AND privileges >= 4 AND privileges & ~?4 = 0",
                    VALUES(object, INT(revocation->grantee_id), effect, INT(writes)), info));
    revocation->count += (size_t)sqlite3_changes(system->db);
    TRY(system__run(system,
                    "UPDATE access_grant SET privileges = privileges & ~?4 WHERE object = ?1"
                    " AND grantee = ?2 AND effect = ?3 AND privileges >= 4"
                    " AND privileges & ?4 <> 0",
                    VALUES(object, INT(revocation->grantee_id), effect, INT(writes)), info));
    revocation->count += (size_t)sqlite3_changes(system->db);
    return ERR_OK;
}

static enum err revoke(struct system *system, struct revocation *revocation, struct arena *arena,
                       struct errinfo *info)
{
    struct old_grant *grants;
    size_t count;
    TRY(revoke_writes(system, revocation, info));
    TRY(load(system, revocation, arena, &grants, &count, info));
    for (size_t i = 0; i < count; i++) {
        if (revocation->all_columns) {
            TRY(system__run(system, "DELETE FROM access_grant WHERE id = ?1",
                            VALUES(INT(grants[i].id)), info));
            revocation->count++;
        } else {
            TRY(take_columns(system, revocation, &grants[i], info));
        }
    }
    return ERR_OK;
}

enum err system__revoke(struct system *system, const struct actor *actor, struct change *change,
                        struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "revoke", 0);
    const struct grant *wanted = &change->grant;
    struct principal person;
    struct revocation revocation = {.effect = wanted->effect,
                                    .all_columns = wanted->all_columns,
                                    .column_ids = wanted->column_ids,
                                    .column_count = wanted->column_count};
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(system__grant_object(system, actor, wanted->object_uuid, wanted->privileges, arena,
                             &revocation.object, info));
    TRY(system__grantee(system, actor, wanted->grantee_kind, wanted->grantee, arena, &person,
                        info));
    revocation.grantee_id = person.id;
    TRY(revoke(system, &revocation, arena, info));
    change->count = revocation.count;
    return ERR_OK;
}

enum err system_grant_revoke(struct system *system, const struct identity *who,
                             enum grant_effect effect, unsigned privileges,
                             enum grantee_kind grantee_kind, struct slice grantee,
                             struct slice object_uuid, bool all_columns, const uint32_t *column_ids,
                             size_t column_count, size_t *ret_count, struct errinfo *info)
{
    struct change change = {.kind = CHANGE_REVOKE,
                            .grant = {.effect = effect,
                                      .privileges = privileges,
                                      .grantee_kind = grantee_kind,
                                      .grantee = grantee,
                                      .object_uuid = object_uuid,
                                      .all_columns = all_columns,
                                      .column_ids = column_ids,
                                      .column_count = column_count}};
    TRY(system__change(system, who, &change, info));
    *ret_count = change.count;
    return ERR_OK;
}
