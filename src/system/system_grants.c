/* Grants and denies: kept exactly, in the order of their ids. What they mean, policy says. */
#include "base/clock.h"
#include "system/change_int.h"

struct slice system__effect_text(enum grant_effect effect)
{
    switch (effect) {
    case GRANT_ALLOW:
        return SLICE("allow");
    case GRANT_DENY:
        return SLICE("deny");
    }
    ASSERT(false);
}

/* ---- the object and the grantee ---- */

/* Of a relation that Moat makes, or of a table in an attached catalog. */
static bool is_uuid(struct slice text)
{
    bool is_uuid = text.len == 36;
    for (size_t i = 0; is_uuid && i < text.len; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        is_uuid =
            is_dash ? text.ptr[i] == '-' : memchr("0123456789abcdef", text.ptr[i], 16) != NULL;
    }
    return is_uuid;
}

static enum err no_object(struct errinfo *info)
{
    return errinfo_set(info, ERR_NOT_FOUND, "42704",
                       "the table, view or schema to grant on does not exist");
}

static enum err pick_privileges(unsigned asked, unsigned has, const char *what,
                                struct grant_object *object, struct errinfo *info)
{
    asked = asked == PRIVILEGE_ALL ? has : asked;
    if (asked == 0 || (asked & ~has) != 0) {
        (void)errinfo_set(info, ERR_INVALID, "0LP01", "that privilege does not exist on a %s",
                          what);
        errinfo_hint(info, "SELECT is granted on tables and views, CREATE on schemas; INSERT, "
                           "UPDATE and DELETE on tables of attached catalogs.");
        return ERR_INVALID;
    }
    object->privileges = asked;
    return ERR_OK;
}

static enum err use_relation(struct system *system, const struct actor *actor, unsigned privileges,
                             struct grant_object *object, struct errinfo *info)
{
    if (!actor->is_admin && object->relation.owner_id != actor->id) {
        bool knows = false;
        TRY(system__knows(system, actor, object->relation.uuid, &knows, info));
        return knows ? errinfo_set(info, ERR_DENIED, NULL,
                                   "only the owner of \"%.*s\" may change grants on it",
                                   SLICE_ARGS(object->relation.name))
                     : no_object(info);
    }
    object->is_registered = true;
    object->uuid = object->relation.uuid;
    return pick_privileges(privileges, PRIVILEGE_SELECT, "table or view", object, info);
}

enum err system__grant_object(struct system *system, const struct actor *actor,
                              struct slice object_uuid, unsigned privileges, struct arena *arena,
                              struct grant_object *ret_object, struct errinfo *info)
{
    struct grant_object object = {0};
    struct schema_row schema;
    bool found = false;
    TRY(system__find_relation_uuid(system, object_uuid, arena, &found, &object.relation, info));
    if (found) {
        TRY(use_relation(system, actor, privileges, &object, info));
        *ret_object = object;
        return ERR_OK;
    }
    enum err err = system__need_schema(system, actor, object_uuid, arena, &schema, info);
    if (err == ERR_OK) {
        if (!actor->is_admin && schema.owner_id != actor->id) {
            return errinfo_set(info, ERR_DENIED, NULL,
                               "only the owner of schema \"%.*s\" may change grants on it",
                               SLICE_ARGS(schema.name));
        }
        object.uuid = schema.name;
        TRY(pick_privileges(privileges, PRIVILEGE_CREATE, "schema", &object, info));
    } else if (err != ERR_NOT_FOUND) {
        return err;
    } else if (!actor->is_admin || !is_uuid(object_uuid) ||
               (privileges & (PRIVILEGE_SELECT | PRIVILEGE_WRITE)) == 0) {
        return no_object(info);
    } else { /* a relation that only its catalog knows */
        object.uuid = object_uuid;
        TRY(pick_privileges(privileges, PRIVILEGE_SELECT | PRIVILEGE_WRITE, "table", &object,
                            info));
    }
    *ret_object = object;
    return ERR_OK;
}

enum err system__grantee(struct system *system, const struct actor *actor, enum grantee_kind kind,
                         struct slice name, struct arena *arena, struct principal *ret_grantee,
                         struct errinfo *info)
{
    return system__need_principal(system, actor, name, kind == GRANTEE_ROLE ? WANT_ROLE : WANT_USER,
                                  arena, ret_grantee, info);
}

/* ---- add ---- */

static bool lists_column(const struct grant *grant, uint32_t id)
{
    for (size_t i = 0; i < grant->column_count; i++) {
        if (grant->column_ids[i] == id) {
            return true;
        }
    }
    return grant->all_columns;
}

static enum err check_shape(const struct grant *grant, const struct grant_object *object,
                            struct errinfo *info)
{
    if ((object->privileges & PRIVILEGE_SELECT) == 0 &&
        (!grant->all_columns || grant->rows.len > 0 || grant->mask_count > 0)) {
        return errinfo_set(info, ERR_INVALID, "0LP01",
                           "columns, rows and masks belong to SELECT on a table or view");
    }
    if (!grant->all_columns && grant->column_count == 0) {
        return errinfo_set(info, ERR_INVALID, "0LP01", "a grant has at least one column");
    }
    if (grant->effect == GRANT_DENY && grant->mask_count > 0) {
        return errinfo_set(info, ERR_INVALID, "0LP01", "a DENY has no masks");
    }
    if (grant->effect == GRANT_DENY && (object->privileges & PRIVILEGE_WRITE) != 0 &&
        (!grant->all_columns ||
         grant->rows.len > 0)) { /* it would read as a DENY of writing them */
        (void)errinfo_set(info, ERR_INVALID, "0LP01",
                          "columns and rows belong to a DENY of SELECT alone");
        errinfo_hint(info, "DENY writing in a statement of its own.");
        return ERR_INVALID;
    }
    for (size_t i = 0; i < grant->mask_count; i++) {
        if (grant->masks[i].expression.len == 0 ||
            !lists_column(grant, grant->masks[i].column_id)) {
            return errinfo_set(info, ERR_INVALID, "0LP01",
                               "a mask is empty or of a column that is not granted");
        }
    }
    return ERR_OK;
}

static enum err check_column(struct system *system, const struct grant_object *object,
                             uint32_t column_id, struct errinfo *info)
{
    bool found = true;
    int64_t ignored;
    if (object->is_registered) {
        TRY(system__number(system, "SELECT 1 FROM relation_column WHERE relation = ?1 AND id = ?2",
                           VALUES(INT(object->relation.id), INT(column_id)), &found, &ignored,
                           info));
    }
    return found ? ERR_OK
                 : errinfo_set(info, ERR_NOT_FOUND, "42703",
                               "a column of the grant on \"%.*s\" does not exist",
                               SLICE_ARGS(object->relation.name));
}

static enum err insert_parts(struct system *system, int64_t id, const struct grant *grant,
                             const struct grant_object *object, struct errinfo *info)
{
    for (size_t i = 0; !grant->all_columns && i < grant->column_count; i++) {
        TRY(check_column(system, object, grant->column_ids[i], info));
        TRY(system__run(system,
                        "INSERT INTO grant_column (grant_id, column_id) VALUES (?1, ?2)"
                        " ON CONFLICT DO NOTHING",
                        VALUES(INT(id), INT(grant->column_ids[i])), info));
    }
    for (size_t i = 0; i < grant->mask_count; i++) {
        TRY(check_column(system, object, grant->masks[i].column_id, info));
        TRY(system__run(
            system,
            "INSERT INTO grant_mask (grant_id, column_id, expression)"
            " VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            VALUES(INT(id), INT(grant->masks[i].column_id), TEXT(grant->masks[i].expression)),
            info));
        if (sqlite3_changes(system->db) == 0) {
            return errinfo_set(info, ERR_INVALID, "42701", "a column has two masks in one grant");
        }
    }
    return ERR_OK;
}

static enum err insert(struct system *system, const struct actor *actor, const struct grant *grant,
                       const struct grant_object *object, const struct principal *grantee,
                       unsigned privileges, int64_t *ret_id, struct errinfo *info)
{
    bool has_parts = privileges == PRIVILEGE_SELECT;
    TRY(system__run(system,
                    "INSERT INTO access_grant (effect, privileges, grantee, object, all_columns,"
                    " row_filter, grantor, created_wall_us)"
                    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                    VALUES(TEXT(system__effect_text(grant->effect)), INT(privileges),
                           INT(grantee->id), TEXT(object->uuid),
                           INT(!has_parts || grant->all_columns),
                           TEXT(has_parts ? grant->rows : SLICE("")),
                           TEXT(identity_subject(actor->who)), INT(clock_wall_us())),
                    info));
    *ret_id = sqlite3_last_insert_rowid(system->db);
    return has_parts ? insert_parts(system, *ret_id, grant, object, info) : ERR_OK;
}

enum err system__grant(struct system *system, const struct actor *actor, struct change *change,
                       struct errinfo *info)
{
    const struct grant *grant = &change->grant;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "grant", 0);
    struct grant_object object;
    struct principal grantee;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(system__grant_object(system, actor, grant->object_uuid, grant->privileges, arena, &object,
                             info));
    TRY(check_shape(grant, &object, info));
    TRY(system__grantee(system, actor, grant->grantee_kind, grant->grantee, arena, &grantee, info));
    unsigned first = object.privileges & (PRIVILEGE_SELECT | PRIVILEGE_CREATE);
    unsigned writes = object.privileges & PRIVILEGE_WRITE;
    int64_t id = 0, other = 0;
    TRY(insert(system, actor, grant, &object, &grantee, first != 0 ? first : writes, &id, info));
    TRY(first == 0 || writes == 0
            ? ERR_OK
            : insert(system, actor, grant, &object, &grantee, writes, &other, info));
    change->id = (uint64_t)id;
    return ERR_OK;
}

enum err system_grant_add(struct system *system, const struct identity *who,
                          const struct grant *grant, uint64_t *ret_id, struct errinfo *info)
{
    struct change change = {.kind = CHANGE_GRANT, .grant = *grant};
    TRY(system__change(system, who, &change, info));
    *ret_id = change.id;
    return ERR_OK;
}

/* ---- read ---- */

/* Three passes over the grants of one object, or of all: rows, columns, masks, each by id. */
static const struct {
    const char *rows;
    const char *columns;
    const char *masks;
} statements[] = {
#define SQL_GRANTS(where)                                                                          \
    {                                                                                              \
        "SELECT g.id, g.effect, g.privileges, p.is_role, p.name, g.object, g.all_columns,"         \
        " g.row_filter, g.grantor, g.created_wall_us"                                              \
        " FROM access_grant g JOIN principal p ON p.id = g.grantee " where " ORDER BY g.id",       \
            "SELECT c.grant_id, c.column_id FROM access_grant g"                                   \
            " JOIN grant_column c ON c.grant_id = g.id " where                                     \
            " ORDER BY c.grant_id, c.column_id",                                                   \
            "SELECT m.grant_id, m.column_id, m.expression FROM access_grant g"                     \
            " JOIN grant_mask m ON m.grant_id = g.id " where " ORDER BY m.grant_id, m.column_id"   \
    }
    SQL_GRANTS(""),
    SQL_GRANTS("WHERE g.object = ?1"),
#undef SQL_GRANTS
};

static enum err read_rows(struct cursor *cursor, struct arena *arena, struct grant **ret_grants,
                          size_t *ret_count, struct errinfo *info)
{
    struct grant *grants = NULL;
    size_t count = 0, capacity = 0;
    for (bool has_row = false;;) {
        TRY(system__next(cursor, &has_row, info));
        if (!has_row) {
            break;
        }
        grants = system__push(arena, grants, count, &capacity, sizeof(*grants));
        if (grants == NULL) {
            return errinfo_nomem(info);
        }
        struct grant *grant = &grants[count++];
        *grant = (struct grant){
            .id = (uint64_t)system__int(cursor, 0),
            /* What is not an allow denies. */
            .effect = slice_equal(system__view(cursor, 1), system__effect_text(GRANT_ALLOW))
                          ? GRANT_ALLOW
                          : GRANT_DENY,
            .privileges = (unsigned)system__int(cursor, 2),
            .grantee_kind = system__int(cursor, 3) != 0 ? GRANTEE_ROLE : GRANTEE_USER,
            .all_columns = system__int(cursor, 6) != 0,
            .created_wall_us = system__int(cursor, 9),
        };
        TRY(system__text(cursor, 4, arena, &grant->grantee, info));
        TRY(system__text(cursor, 5, arena, &grant->object_uuid, info));
        TRY(system__text(cursor, 7, arena, &grant->rows, info));
        TRY(system__text(cursor, 8, arena, &grant->grantor, info));
    }
    *ret_grants = grants;
    *ret_count = count;
    return ERR_OK;
}

/* The grant of this id, at or behind `at`: parts come in the order of grants. */
static enum err seek(const struct grant *grants, size_t count, uint64_t id, size_t *at,
                     struct errinfo *info)
{
    while (*at < count && grants[*at].id < id) {
        (*at)++;
    }
    return *at < count && grants[*at].id == id ? ERR_OK
                                               : system__error(SQLITE_CORRUPT, "read", info);
}

static enum err read_columns(struct cursor *cursor, struct grant *grants, size_t count,
                             struct arena *arena, struct errinfo *info)
{
    uint32_t *ids = NULL;
    size_t id_count = 0, capacity = 0, at = 0;
    for (bool has_row = false;;) {
        TRY(system__next(cursor, &has_row, info));
        if (!has_row) {
            break;
        }
        TRY(seek(grants, count, (uint64_t)system__int(cursor, 0), &at, info));
        ids = system__push(arena, ids, id_count, &capacity, sizeof(*ids));
        if (ids == NULL) {
            return errinfo_nomem(info);
        }
        ids[id_count++] = (uint32_t)system__int(cursor, 1);
        grants[at].column_count++;
    }
    for (size_t i = 0, first = 0; i < count; first += grants[i++].column_count) {
        grants[i].column_ids = ids == NULL ? NULL : ids + first;
    }
    return ERR_OK;
}

static enum err read_masks(struct cursor *cursor, struct grant *grants, size_t count,
                           struct arena *arena, struct errinfo *info)
{
    struct grant_mask *masks = NULL;
    size_t mask_count = 0, capacity = 0, at = 0;
    for (bool has_row = false;;) {
        TRY(system__next(cursor, &has_row, info));
        if (!has_row) {
            break;
        }
        TRY(seek(grants, count, (uint64_t)system__int(cursor, 0), &at, info));
        masks = system__push(arena, masks, mask_count, &capacity, sizeof(*masks));
        if (masks == NULL) {
            return errinfo_nomem(info);
        }
        masks[mask_count].column_id = (uint32_t)system__int(cursor, 1);
        TRY(system__text(cursor, 2, arena, &masks[mask_count++].expression, info));
        grants[at].mask_count++;
    }
    for (size_t i = 0, first = 0; i < count; first += grants[i++].mask_count) {
        grants[i].masks = masks == NULL ? NULL : masks + first;
    }
    return ERR_OK;
}

static enum err load(struct system *system, struct slice object_uuid, struct arena *arena,
                     struct grant **ret_grants, size_t *ret_count, struct errinfo *info)
{
    bool of_one = object_uuid.len > 0;
    const struct value object = TEXT(object_uuid);
    struct cursor rows CLEANUP(system__close_cursor) = {0};
    struct cursor columns CLEANUP(system__close_cursor) = {0};
    struct cursor masks CLEANUP(system__close_cursor) = {0};
    struct grant *grants;
    size_t count;
    TRY(system__open_cursor(system, statements[of_one].rows, &object, of_one, &rows, info));
    TRY(read_rows(&rows, arena, &grants, &count, info));
    if (count > 0) {
        TRY(system__open_cursor(system, statements[of_one].columns, &object, of_one, &columns,
                                info));
        TRY(read_columns(&columns, grants, count, arena, info));
        TRY(system__open_cursor(system, statements[of_one].masks, &object, of_one, &masks, info));
        TRY(read_masks(&masks, grants, count, arena, info));
    }
    *ret_grants = grants;
    *ret_count = count;
    return ERR_OK;
}

enum err system_grants(struct system *system, const struct identity *who, struct slice object_uuid,
                       struct arena *arena, struct grant **ret_grants, size_t *ret_count,
                       struct errinfo *info)
{
    ASSERT(who != NULL);
    TRY(system__read_begin(system, info));
    enum err err = load(system, object_uuid, arena, ret_grants, ret_count, info);
    system__read_end(system);
    return err;
}

/* ---- drop, replace ---- */

static enum err drop(struct system *system, const struct actor *actor, uint64_t id,
                     struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "drop", 0);
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    struct grant_object object;
    struct slice uuid;
    bool has_row = false;
    enum err err = ERR_NOT_FOUND;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    if (id <= INT64_MAX) {
        TRY(system__open_cursor(system, "SELECT object, privileges FROM access_grant WHERE id = ?1",
                                VALUES(INT(id)), &cursor, info));
        TRY(system__next(&cursor, &has_row, info));
    }
    if (has_row) {
        TRY(system__text(&cursor, 0, arena, &uuid, info));
        err = system__grant_object(system, actor, uuid, (unsigned)system__int(&cursor, 1), arena,
                                   &object, info);
    }
    if (err == ERR_NOT_FOUND) {
        return errinfo_set(info, ERR_NOT_FOUND, "42704", "grant %llu does not exist",
                           (unsigned long long)id);
    }
    TRY(err);
    return system__run(system, "DELETE FROM access_grant WHERE id = ?1", VALUES(INT(id)), info);
}

enum err system_grant_drop(struct system *system, const struct identity *who, uint64_t id,
                           struct errinfo *info)
{
    struct actor actor;
    TRY(system__write_begin(system, who, &actor, info));
    enum err err = drop(system, &actor, id, info);
    return system__write_end(system, err, info);
}

static bool same_parts(const struct grant *a, const struct grant *b)
{
    bool same = a->column_count == b->column_count && a->mask_count == b->mask_count &&
                (a->column_count == 0 || memcmp(a->column_ids, b->column_ids,
                                                a->column_count * sizeof(*a->column_ids)) == 0);
    for (size_t i = 0; same && i < a->mask_count; i++) {
        same = a->masks[i].column_id == b->masks[i].column_id &&
               slice_equal(a->masks[i].expression, b->masks[i].expression);
    }
    return same;
}

static bool same_grants(const struct grant *a, const struct grant *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (a[i].effect != b[i].effect || a[i].privileges != b[i].privileges ||
            !slice_equal(a[i].grantee, b[i].grantee) ||
            !slice_equal(a[i].object_uuid, b[i].object_uuid) ||
            a[i].all_columns != b[i].all_columns || !slice_equal(a[i].rows, b[i].rows) ||
            !same_parts(&a[i], &b[i])) {
            return false;
        }
    }
    return true;
}

/* `ret_is_same`: what is stored now says what was stored before, so nothing need be committed. */
static enum err replace(struct system *system, const struct actor *actor,
                        const struct grant *grants, size_t count, bool *ret_is_same,
                        struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "grants", 0);
    struct grant *before, *after;
    size_t before_count, after_count;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(system__need_admin(actor, "replace all grants", info));
    TRY(load(system, SLICE(""), arena, &before, &before_count, info));
    TRY(system__run(system, "DELETE FROM access_grant", NO_VALUES, info));
    for (size_t i = 0; i < count; i++) {
        struct change change = {.kind = CHANGE_GRANT, .grant = grants[i]};
        enum err err = system__grant(system, actor, &change, info);
        if (err != ERR_OK) {
            errinfo_detail(info, "It is grant %zu of %zu.", i + 1, count);
            return err;
        }
    }
    TRY(load(system, SLICE(""), arena, &after, &after_count, info));
    *ret_is_same = before_count == after_count && same_grants(before, after, after_count);
    return ERR_OK;
}

enum err system_grants_replace(struct system *system, const struct identity *who,
                               const struct grant *grants, size_t count, struct errinfo *info)
{
    struct actor actor;
    bool is_same = false;
    TRY(system__write_begin(system, who, &actor, info));
    enum err err = replace(system, &actor, grants, count, &is_same, info);
    if (err == ERR_OK && is_same) {
        system__read_end(system); /* rolls back: ids and the version stay as they were */
        return ERR_OK;
    }
    return system__write_end(system, err, info);
}
