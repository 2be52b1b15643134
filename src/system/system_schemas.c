/* Schemas: names for groups of relations, and who may make relations in them. */
#include "system/change_int.h"

/* Schemas that concern the actor: ?1 their id, ?2 admin, ?3 "public", ?4 a name or NULL for all. */
#define SQL_SCHEMAS                                                                                \
    "WITH RECURSIVE seen (id) AS (VALUES (?1), (?3) UNION"                                         \
    " SELECT m.role FROM membership m JOIN seen ON m.member = seen.id)"                            \
    " SELECT s.id, s.owner, s.name, p.name FROM schema s JOIN principal p ON p.id = s.owner"       \
    " WHERE (?4 IS NULL OR s.name = ?4) AND (?2 OR s.owner = ?1"                                   \
    " OR s.name = '" SQL_SCHEMA_DEFAULT "'"                                                        \
    " OR EXISTS (SELECT 1 FROM access_grant g WHERE g.object = s.name AND g.privileges = 2"        \
    "  AND g.effect = 'allow' AND g.grantee IN seen)"                                              \
    " OR EXISTS (SELECT 1 FROM relation r WHERE r.schema = s.id AND (r.owner = ?1"                 \
    "  OR EXISTS (SELECT 1 FROM access_grant g WHERE g.object = r.uuid AND g.privileges = 1"       \
    "   AND g.effect = 'allow' AND g.grantee IN seen)))) ORDER BY s.name"

enum err system__need_schema(struct system *system, const struct actor *actor, struct slice name,
                             struct arena *arena, struct schema_row *ret_schema,
                             struct errinfo *info)
{
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    bool has_row = false;
    TRY(system__open_cursor(
        system, SQL_SCHEMAS,
        VALUES(INT(actor->id), INT(actor->is_admin), INT(SYSTEM_PUBLIC_ID), TEXT(name)), &cursor,
        info));
    TRY(system__next(&cursor, &has_row, info));
    if (!has_row) {
        (void)errinfo_set(info, ERR_NOT_FOUND, "3F000", "schema \"%.*s\" does not exist",
                          SLICE_ARGS(name));
        if (actor->is_admin) {
            system__suggest(system, "SELECT name FROM schema", NO_VALUES, name, info);
        }
        return ERR_NOT_FOUND;
    }
    ret_schema->id = system__int(&cursor, 0);
    ret_schema->owner_id = system__int(&cursor, 1);
    return system__text(&cursor, 2, arena, &ret_schema->name, info);
}

enum err system__schema_create(struct system *system, const struct actor *actor,
                               struct change *change, struct errinfo *info)
{
    struct slice name = change->name.name;
    bool exists = false;
    int64_t ignored;
    TRY(system__need_admin(actor, "create schemas", info));
    TRY(system__check_name(name, "schema", info));
    if (slice_equal_fold(name, SLICE(SQL_SCHEMA_SYSTEM)) ||
        slice_equal_fold(name, SLICE(SQL_SCHEMA_INFORMATION)) ||
        slice_equal_fold(name, SLICE(SQL_SCHEMA_PG))) {
        return errinfo_set(info, ERR_INVALID, "42939", "the name \"%.*s\" is reserved",
                           SLICE_ARGS(name));
    }
    TRY(system__number(system, "SELECT id FROM schema WHERE name = ?1", VALUES(TEXT(name)), &exists,
                       &ignored, info));
    if (exists && change->if_exists) {
        return ERR_OK;
    }
    if (exists) {
        return errinfo_set(info, ERR_EXISTS, "42P06", "schema \"%.*s\" already exists",
                           SLICE_ARGS(name));
    }
    return system__run(system, "INSERT INTO schema (name, owner) VALUES (?1, ?2)",
                       VALUES(TEXT(name), INT(actor->id)), info);
}

enum err system_schema_create(struct system *system, const struct identity *who, struct slice name,
                              bool if_not_exists, struct errinfo *info)
{
    struct change change = {
        .kind = CHANGE_SCHEMA_CREATE, .name = {.name = name}, .if_exists = if_not_exists};
    return system__change(system, who, &change, info);
}

static enum err drop_relations(struct system *system, const struct schema_row *schema,
                               struct errinfo *info)
{
    TRY(system__run(system,
                    "DELETE FROM access_grant WHERE object IN"
                    " (SELECT uuid FROM relation WHERE schema = ?1)",
                    VALUES(INT(schema->id)), info));
    return system__run(system, "DELETE FROM relation WHERE schema = ?1", VALUES(INT(schema->id)),
                       info);
}

enum err system__schema_drop(struct system *system, const struct actor *actor,
                             struct change *change, struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "drop", 0);
    struct schema_row schema;
    bool found = false;
    int64_t count = 0;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    enum err err = system__need_schema(system, actor, change->name.name, arena, &schema, info);
    if (err == ERR_NOT_FOUND && change->if_exists) {
        return ERR_OK;
    }
    TRY(err);
    if (!actor->is_admin && schema.owner_id != actor->id) {
        return errinfo_set(info, ERR_DENIED, NULL, "only the owner of schema \"%.*s\" may drop it",
                           SLICE_ARGS(schema.name));
    }
    if (slice_equal_fold(schema.name, SLICE(SQL_SCHEMA_DEFAULT))) {
        return errinfo_set(info, ERR_INVALID, "42939",
                           "schema \"" SQL_SCHEMA_DEFAULT "\" cannot be dropped");
    }
    TRY(system__number(system, "SELECT count(*) FROM relation WHERE schema = ?1",
                       VALUES(INT(schema.id)), &found, &count, info));
    if (count > 0 && !change->cascade) {
        (void)errinfo_set(info, ERR_INVALID, "2BP01",
                          "schema \"%.*s\" cannot be dropped: it holds %lld table%s or view%s",
                          SLICE_ARGS(schema.name), (long long)count, count == 1 ? "" : "s",
                          count == 1 ? "" : "s");
        errinfo_hint(info, "DROP SCHEMA ... CASCADE drops them too.");
        return ERR_INVALID;
    }
    TRY(system__drop_readers(system, actor, 0, schema.id, schema.name, change->cascade,
                             &change->count, info));
    TRY(drop_relations(system, &schema, info));
    TRY(system__run(system, "DELETE FROM access_grant WHERE object = ?1 AND privileges = 2",
                    VALUES(TEXT(schema.name)), info));
    return system__run(system, "DELETE FROM schema WHERE id = ?1", VALUES(INT(schema.id)), info);
}

enum err system_schema_drop(struct system *system, const struct identity *who, struct slice name,
                            bool if_exists, bool cascade, struct errinfo *info)
{
    struct change change = {.kind = CHANGE_SCHEMA_DROP,
                            .name = {.name = name},
                            .if_exists = if_exists,
                            .cascade = cascade};
    return system__change(system, who, &change, info);
}

static enum err load(struct system *system, const struct identity *who, struct arena *arena,
                     struct system_schema **ret_schemas, size_t *ret_count, struct errinfo *info)
{
    struct actor actor;
    struct system_schema *schemas = NULL;
    size_t count = 0, capacity = 0;
    TRY(system__actor(system, who, &actor, info));
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    struct value all = {.kind = VALUE_NULL};
    TRY(system__open_cursor(system, SQL_SCHEMAS,
                            VALUES(INT(actor.id), INT(actor.is_admin), INT(SYSTEM_PUBLIC_ID), all),
                            &cursor, info));
    for (bool has_row = false;;) {
        TRY(system__next(&cursor, &has_row, info));
        if (!has_row) {
            break;
        }
        schemas = system__push(arena, schemas, count, &capacity, sizeof(*schemas));
        if (schemas == NULL) {
            return errinfo_nomem(info);
        }
        TRY(system__text(&cursor, 2, arena, &schemas[count].name, info));
        TRY(system__text(&cursor, 3, arena, &schemas[count].owner, info));
        count++;
    }
    *ret_schemas = schemas;
    *ret_count = count;
    return ERR_OK;
}

enum err system_schemas(struct system *system, const struct identity *who, struct arena *arena,
                        struct system_schema **ret_schemas, size_t *ret_count, struct errinfo *info)
{
    TRY(system__read_begin(system, info));
    enum err err = load(system, who, arena, ret_schemas, ret_count, info);
    system__read_end(system);
    return err;
}
