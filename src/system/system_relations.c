/* Registered tables and views. */
#include "system/change_int.h"

#define OPTIONS_MAX 256u

static struct slice schema_of(const struct sql_name *name)
{
    return name->schema.len > 0 ? name->schema : SLICE(SQL_SCHEMA_DEFAULT);
}

static bool is_our_catalog(const struct sql_name *name)
{
    return name->catalog.len == 0 || slice_equal_fold(name->catalog, SLICE(SQL_CATALOG_DEFAULT));
}

/* ---- find ---- */

#define SQL_RELATION_ROW                                                                           \
    "SELECT r.id, r.owner, r.uuid, r.name, r.kind = 'view', r.is_definer, r.next_column_id"        \
    " FROM relation r "

static enum err read_row(struct cursor *cursor, struct arena *arena, bool *ret_found,
                         struct relation_row *ret_relation, struct errinfo *info)
{
    bool has_row = false;
    TRY(system__next(cursor, &has_row, info));
    if (has_row) {
        struct relation_row row = {.id = system__int(cursor, 0),
                                   .owner_id = system__int(cursor, 1),
                                   .is_view = system__int(cursor, 4) != 0,
                                   .is_definer = system__int(cursor, 5) != 0,
                                   .next_column_id = (uint32_t)system__int(cursor, 6)};
        TRY(system__text(cursor, 2, arena, &row.uuid, info));
        TRY(system__text(cursor, 3, arena, &row.name, info));
        *ret_relation = row;
    }
    *ret_found = has_row;
    return ERR_OK;
}

enum err system__find_relation(struct system *system, struct slice schema, struct slice name,
                               struct arena *arena, bool *ret_found,
                               struct relation_row *ret_relation, struct errinfo *info)
{
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    TRY(system__open_cursor(system,
                            SQL_RELATION_ROW "JOIN schema s ON s.id = r.schema"
                                             " WHERE s.name = ?1 AND r.name = ?2",
                            VALUES(TEXT(schema), TEXT(name)), &cursor, info));
    return read_row(&cursor, arena, ret_found, ret_relation, info);
}

enum err system__find_relation_uuid(struct system *system, struct slice uuid, struct arena *arena,
                                    bool *ret_found, struct relation_row *ret_relation,
                                    struct errinfo *info)
{
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    TRY(system__open_cursor(system, SQL_RELATION_ROW "WHERE r.uuid = ?1", VALUES(TEXT(uuid)),
                            &cursor, info));
    return read_row(&cursor, arena, ret_found, ret_relation, info);
}

enum err system__knows(struct system *system, const struct actor *actor, struct slice uuid,
                       bool *ret_knows, struct errinfo *info)
{
    bool found = false;
    int64_t knows = 0;
    TRY(system__number(system,
                       "WITH RECURSIVE seen (id) AS (VALUES (?1), (?2) UNION"
                       " SELECT m.role FROM membership m JOIN seen ON m.member = seen.id)"
                       " SELECT EXISTS (SELECT 1 FROM access_grant WHERE object = ?3"
                       "  AND privileges = 1 AND effect = 'allow' AND grantee IN seen)"
                       " AND NOT EXISTS (SELECT 1 FROM access_grant WHERE object = ?3"
                       "  AND privileges = 1 AND effect = 'deny' AND all_columns = 1"
                       "  AND row_filter = '' AND grantee IN seen)",
                       VALUES(INT(actor->id), INT(SYSTEM_PUBLIC_ID), TEXT(uuid)), &found, &knows,
                       info));
    *ret_knows = found && knows != 0;
    return ERR_OK;
}

enum err system__no_relation(struct system *system, const struct actor *actor,
                             const struct sql_name *name, struct errinfo *info)
{
    struct slice schema = schema_of(name);
    (void)errinfo_set(info, ERR_NOT_FOUND, "42P01", "table \"%.*s.%.*s\" does not exist",
                      SLICE_ARGS(schema), SLICE_ARGS(name->name));
    system__suggest(system,
                    "SELECT r.name FROM relation r JOIN schema s ON s.id = r.schema"
                    " WHERE s.name = ?1 AND (?2 OR r.owner = ?3)",
                    VALUES(TEXT(schema), INT(actor->is_admin), INT(actor->id)), name->name, info);
    return ERR_NOT_FOUND;
}

enum err system__need_own_relation(struct system *system, const struct actor *actor,
                                   const struct sql_name *name, struct arena *arena,
                                   struct relation_row *ret_relation, struct errinfo *info)
{
    struct relation_row relation;
    bool found = false;
    if (is_our_catalog(name)) {
        TRY(system__find_relation(system, schema_of(name), name->name, arena, &found, &relation,
                                  info));
    }
    if (found && (actor->is_admin || relation.owner_id == actor->id)) {
        *ret_relation = relation;
        return ERR_OK;
    }
    bool knows = false;
    if (found) {
        TRY(system__knows(system, actor, relation.uuid, &knows, info));
    }
    if (!knows) {
        return system__no_relation(system, actor, name, info);
    }
    return errinfo_set(info, ERR_DENIED, NULL, "only the owner of \"%.*s\" may do that",
                       SLICE_ARGS(relation.name));
}

/* ---- create ---- */

static const char *format_text(enum relation_format format)
{
    switch (format) {
    case FORMAT_PARQUET:
        return "parquet";
    case FORMAT_CSV:
        return "csv";
    case FORMAT_JSON:
        return "json";
    }
    return NULL;
}

static enum err check_relation(const struct system_relation *wanted, struct errinfo *info)
{
    const struct relation *relation = &wanted->relation;
    bool is_view = relation->kind == RELATION_VIEW;
    ASSERT(is_view || relation->kind == RELATION_TABLE);
    TRY(system__check_name(relation->name.name, is_view ? "view" : "table", info));
    if (!is_our_catalog(&relation->name)) {
        return errinfo_set(info, ERR_NOT_FOUND, "3D000", "catalog \"%.*s\" does not exist",
                           SLICE_ARGS(relation->name.catalog));
    }
    if ((is_view ? relation->view_sql : wanted->location).len == 0 ||
        (!is_view && format_text(relation->format) == NULL)) {
        return errinfo_set(info, ERR_INVALID, NULL, "\"%.*s\" has no %s",
                           SLICE_ARGS(relation->name.name), is_view ? "query" : "location");
    }
    if (relation->option_count > OPTIONS_MAX) {
        return errinfo_set(info, ERR_LIMIT, NULL, "a table has at most %u options", OPTIONS_MAX);
    }
    return system__check_columns(relation->columns, relation->column_count, info);
}

enum err system__check_may_create(struct system *system, const struct actor *actor,
                                  const struct schema_row *schema, struct errinfo *info)
{
    bool found = false;
    int64_t may = 0;
    if (actor->is_admin || schema->owner_id == actor->id) {
        return ERR_OK;
    }
    TRY(system__number(system,
                       "WITH RECURSIVE seen (id) AS (VALUES (?1), (?2) UNION"
                       " SELECT m.role FROM membership m JOIN seen ON m.member = seen.id)"
                       " SELECT count(*) > 0 AND min(effect) = 'allow' AND max(effect) = 'allow'"
                       " FROM access_grant WHERE object = ?3 AND privileges = 2"
                       " AND grantee IN seen",
                       VALUES(INT(actor->id), INT(SYSTEM_PUBLIC_ID), TEXT(schema->name)), &found,
                       &may, info));
    if (found && may != 0) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_DENIED, NULL, "you may not create in schema \"%.*s\"",
                      SLICE_ARGS(schema->name));
    errinfo_hint(info, "Its owner can: GRANT CREATE ON SCHEMA ...");
    return ERR_DENIED;
}

/* Whether the actor may put `wanted` in the place of `old`. */
static enum err check_may_replace(struct system *system, const struct actor *actor,
                                  const struct relation_row *old,
                                  const struct system_relation *wanted, struct errinfo *info)
{
    bool is_view = wanted->relation.kind == RELATION_VIEW;
    bool is_owner = old->owner_id == actor->id;
    if (!is_owner && !actor->is_admin) {
        bool knows = false;
        TRY(system__knows(system, actor, old->uuid, &knows, info));
        return knows
                   ? errinfo_set(info, ERR_DENIED, NULL,
                                 "only the owner of \"%.*s\" may replace it", SLICE_ARGS(old->name))
                   : errinfo_set(info, ERR_EXISTS, "42P07", "\"%.*s\" already exists",
                                 SLICE_ARGS(old->name));
    }
    if (old->is_view != is_view) {
        (void)errinfo_set(info, ERR_INVALID, "42809", "\"%.*s\" is a %s", SLICE_ARGS(old->name),
                          old->is_view ? "view" : "table");
        errinfo_hint(info, "DROP %s it first; its grants go with it.",
                     old->is_view ? "VIEW" : "TABLE");
        return ERR_INVALID;
    }
    if (!is_owner && !actor->is_owner && (old->is_definer || wanted->relation.is_definer)) {
        /* Its body runs with the rights of its owner: it would be theirs to borrow. */
        (void)errinfo_set(info, ERR_DENIED, NULL,
                          "\"%.*s\" runs as its owner: only they may replace it",
                          SLICE_ARGS(old->name));
        errinfo_hint(info, "Drop it and create one of your own.");
        return ERR_DENIED;
    }
    return ERR_OK;
}

static enum err store_options(struct system *system, int64_t relation_id,
                              const struct relation *relation, struct errinfo *info)
{
    TRY(system__run(system, "DELETE FROM relation_option WHERE relation = ?1",
                    VALUES(INT(relation_id)), info));
    for (size_t i = 0; i < relation->option_count; i++) {
        TRY(system__run(system,
                        "INSERT INTO relation_option (relation, ordinal, name, value)"
                        " VALUES (?1, ?2, ?3, ?4)",
                        VALUES(INT(relation_id), INT(i), TEXT(relation->options[i].name),
                               TEXT(relation->options[i].value)),
                        info));
    }
    return ERR_OK;
}

/* Fills in all of the definition; the row is there. */
static enum err store_definition(struct system *system, const struct relation_row *row,
                                 const struct system_relation *wanted, struct arena *arena,
                                 struct errinfo *info)
{
    const struct relation *relation = &wanted->relation;
    bool is_view = relation->kind == RELATION_VIEW;
    struct value format = {.kind = VALUE_NULL};
    if (!is_view) {
        format = TEXT(slice_of(format_text(relation->format)));
    }
    TRY(system__run(system,
                    "UPDATE relation SET format = ?2, location = ?3, view_sql = ?4,"
                    " is_definer = ?5, view_schema = ?6 WHERE id = ?1",
                    VALUES(INT(row->id), format, TEXT(is_view ? SLICE("") : wanted->location),
                           TEXT(is_view ? relation->view_sql : SLICE("")),
                           INT(is_view && relation->is_definer),
                           TEXT(is_view ? schema_of(&relation->name) : SLICE(""))),
                    info));
    TRY(store_options(system, row->id, relation, info));
    TRY(system__store_sources(system, row->id, relation, info));
    return system__store_columns(system, row, relation->columns, relation->column_count, false,
                                 arena, info);
}

static enum err insert(struct system *system, const struct actor *actor,
                       const struct schema_row *schema, const struct change *change,
                       struct arena *arena, struct errinfo *info)
{
    const struct system_relation *wanted = &change->relation;
    bool is_view = wanted->relation.kind == RELATION_VIEW;
    struct value format = {.kind = VALUE_NULL};
    if (!is_view) {
        format = TEXT(slice_of(format_text(wanted->relation.format)));
    }
    TRY(system__run(system,
                    "INSERT INTO relation (uuid, schema, name, owner, kind, format, location,"
                    " comment, view_sql, is_definer, version, next_column_id)"
                    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, '', ?7, '', 0, 0, 1)",
                    VALUES(TEXT(slice_of(change->uuid)), INT(schema->id),
                           TEXT(wanted->relation.name.name), INT(actor->id),
                           TEXT(is_view ? SLICE("view") : SLICE("table")), format,
                           TEXT(wanted->comment)),
                    info));
    struct relation_row row = {.id = sqlite3_last_insert_rowid(system->db), .next_column_id = 1};
    return store_definition(system, &row, wanted, arena, info);
}

enum err system__create(struct system *system, const struct actor *actor, struct change *change,
                        struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "create", 0);
    const struct system_relation *wanted = &change->relation;
    const struct sql_name *name = &wanted->relation.name;
    struct schema_row schema;
    struct relation_row old;
    bool exists = false;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(system__need_schema(system, actor, schema_of(name), arena, &schema, info));
    TRY(system__check_may_create(system, actor, &schema, info));
    TRY(system__find_relation(system, schema.name, name->name, arena, &exists, &old, info));
    change->is_created = !exists || change->mode == SYSTEM_CREATE_OR_REPLACE;
    if (!exists) {
        return insert(system, actor, &schema, change, arena, info);
    }
    switch (change->mode) {
    case SYSTEM_CREATE:
        (void)errinfo_set(info, ERR_EXISTS, "42P07", "\"%.*s\" already exists",
                          SLICE_ARGS(old.name));
        errinfo_hint(info, "CREATE OR REPLACE replaces it and keeps its grants.");
        return ERR_EXISTS;
    case SYSTEM_CREATE_IF_NOT_EXISTS:
        return ERR_OK;
    case SYSTEM_CREATE_OR_REPLACE:
        TRY(check_may_replace(system, actor, &old, wanted, info));
        return store_definition(system, &old, wanted, arena, info);
    }
    return errinfo_set(info, ERR_INTERNAL, NULL, "unknown way to create");
}

enum err system_relation_create(struct system *system, const struct identity *who,
                                const struct system_relation *relation,
                                enum system_create_mode mode, bool *ret_created,
                                struct errinfo *info)
{
    struct change change = {.kind = CHANGE_CREATE,
                            .name = relation->relation.name,
                            .relation = *relation,
                            .mode = mode};
    TRY(check_relation(relation, info));
    if (uuid_new(change.uuid) != ERR_OK) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "there are no random numbers");
    }
    TRY(system__change(system, who, &change, info));
    *ret_created = change.is_created;
    return ERR_OK;
}

/* ---- drop, rename ---- */

enum err system__drop(struct system *system, const struct actor *actor, struct change *change,
                      struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "drop", 0);
    struct relation_row relation;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    enum err err = system__need_own_relation(system, actor, &change->name, arena, &relation, info);
    if (err == ERR_NOT_FOUND && change->if_exists) {
        return ERR_OK;
    }
    TRY(err);
    if (relation.is_view != (change->relation_kind == RELATION_VIEW)) {
        (void)errinfo_set(info, ERR_INVALID, "42809", "\"%.*s\" is a %s", SLICE_ARGS(relation.name),
                          relation.is_view ? "view" : "table");
        errinfo_hint(info, "Write DROP %s.", relation.is_view ? "VIEW" : "TABLE");
        return ERR_INVALID;
    }
    TRY(system__drop_readers(system, actor, relation.id, 0, relation.name, change->cascade,
                             &change->count, info));
    TRY(system__run(system, "DELETE FROM access_grant WHERE object = ?1",
                    VALUES(TEXT(relation.uuid)), info));
    return system__run(system, "DELETE FROM relation WHERE id = ?1", VALUES(INT(relation.id)),
                       info);
}

enum err system_relation_drop(struct system *system, const struct identity *who,
                              const struct sql_name *name, enum relation_kind kind, bool if_exists,
                              bool cascade, struct errinfo *info)
{
    struct change change = {.kind = CHANGE_DROP,
                            .name = *name,
                            .relation_kind = kind,
                            .if_exists = if_exists,
                            .cascade = cascade};
    return system__change(system, who, &change, info);
}

enum err system__rename(struct system *system, const struct actor *actor, struct change *change,
                        struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "rename", 0);
    struct relation_row relation, other;
    bool exists = false;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(system__need_own_relation(system, actor, &change->name, arena, &relation, info));
    TRY(system__check_name(change->text, relation.is_view ? "view" : "table", info));
    TRY(system__find_relation(system, schema_of(&change->name), change->text, arena, &exists,
                              &other, info));
    if (exists && other.id != relation.id) {
        return errinfo_set(info, ERR_EXISTS, "42P07", "\"%.*s\" already exists",
                           SLICE_ARGS(other.name));
    }
    return system__run(system, "UPDATE relation SET name = ?2, version = ?3 WHERE id = ?1",
                       VALUES(INT(relation.id), TEXT(change->text), INT(system->next_version)),
                       info);
}

enum err system_relation_rename(struct system *system, const struct identity *who,
                                const struct sql_name *name, struct slice new_name,
                                struct errinfo *info)
{
    struct change change = {.kind = CHANGE_RENAME, .name = *name, .text = new_name};
    return system__change(system, who, &change, info);
}

enum err system__move(struct system *system, const struct actor *actor, struct change *change,
                      struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "move", 0);
    struct relation_row relation, other;
    struct schema_row schema;
    bool exists = false;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(system__need_own_relation(system, actor, &change->name, arena, &relation, info));
    TRY(system__need_schema(system, actor, change->text, arena, &schema, info));
    TRY(system__check_may_create(system, actor, &schema, info));
    TRY(system__find_relation(system, schema.name, relation.name, arena, &exists, &other, info));
    if (exists && other.id != relation.id) {
        return errinfo_set(info, ERR_EXISTS, "42P07", "\"%.*s\" already exists in schema \"%.*s\"",
                           SLICE_ARGS(other.name), SLICE_ARGS(schema.name));
    }
    return system__run(system, "UPDATE relation SET schema = ?2, version = ?3 WHERE id = ?1",
                       VALUES(INT(relation.id), INT(schema.id), INT(system->next_version)), info);
}

enum err system_relation_move(struct system *system, const struct identity *who,
                              const struct sql_name *name, struct slice schema,
                              struct errinfo *info)
{
    struct change change = {.kind = CHANGE_MOVE, .name = *name, .text = schema};
    return system__change(system, who, &change, info);
}

/* ---- load ---- */

#define SQL_RELATION                                                                               \
    "SELECT r.id, s.name, r.name, r.uuid, p.name, r.version, r.kind, r.format, r.location,"        \
    " r.comment, r.view_sql, r.is_definer, r.view_schema FROM relation r JOIN schema s ON s.id = " \
    "r.schema"                                                                                     \
    " JOIN principal p ON p.id = r.owner "

enum err system__load_options(struct system *system, const char *sql, int64_t id,
                              struct arena *arena, const struct relation_option **ret_options,
                              size_t *ret_count, struct errinfo *info)
{
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    struct relation_option *options = NULL;
    size_t count = 0, capacity = 0;
    TRY(system__open_cursor(system, sql, VALUES(INT(id)), &cursor, info));
    for (bool has_row = false;;) {
        TRY(system__next(&cursor, &has_row, info));
        if (!has_row) {
            break;
        }
        options = system__push(arena, options, count, &capacity, sizeof(*options));
        if (options == NULL) {
            return errinfo_nomem(info);
        }
        TRY(system__text(&cursor, 0, arena, &options[count].name, info));
        TRY(system__text(&cursor, 1, arena, &options[count].value, info));
        count++;
    }
    *ret_options = options;
    *ret_count = count;
    return ERR_OK;
}

static enum relation_format format_of(struct slice text)
{
    return slice_equal(text, SLICE("csv"))    ? FORMAT_CSV
           : slice_equal(text, SLICE("json")) ? FORMAT_JSON
                                              : FORMAT_PARQUET; /* the column's CHECK */
}

static enum err read_relation(const struct cursor *cursor, struct arena *arena,
                              struct system_relation *ret_relation, struct errinfo *info)
{
    struct system_relation out = {0};
    struct relation *relation = &out.relation;
    struct relation_column *columns;
    int64_t id = system__int(cursor, 0);
    relation->name.catalog = SLICE(SQL_CATALOG_DEFAULT);
    TRY(system__text(cursor, 1, arena, &relation->name.schema, info));
    TRY(system__text(cursor, 2, arena, &relation->name.name, info));
    TRY(system__text(cursor, 3, arena, &relation->uuid, info));
    TRY(system__text(cursor, 4, arena, &relation->owner, info));
    relation->version = (uint64_t)system__int(cursor, 5);
    relation->kind =
        slice_equal(system__view(cursor, 6), SLICE("view")) ? RELATION_VIEW : RELATION_TABLE;
    relation->format = format_of(system__view(cursor, 7));
    TRY(system__text(cursor, 8, arena, &out.location, info));
    TRY(system__text(cursor, 9, arena, &out.comment, info));
    TRY(system__text(cursor, 10, arena, &relation->view_sql, info));
    relation->is_definer = system__int(cursor, 11) != 0;
    TRY(system__text(cursor, 12, arena, &relation->view_schema, info));
    TRY(system__load_columns(cursor->system, id, arena, &columns, &relation->column_count, info));
    relation->columns = columns;
    if (relation->kind == RELATION_VIEW) {
        TRY(system__load_sources(cursor->system, id, arena, &relation->sources,
                                 &relation->source_count, info));
    }
    TRY(system__load_options(cursor->system,
                             "SELECT name, value FROM relation_option WHERE relation = ?1"
                             " ORDER BY ordinal",
                             id, arena, &relation->options, &relation->option_count, info));
    *ret_relation = out;
    return ERR_OK;
}

static enum err load_one(struct system *system, const struct identity *who,
                         const struct sql_name *name, struct arena *arena,
                         struct system_relation *ret_relation, struct errinfo *info)
{
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    bool has_row = false;
    if (is_our_catalog(name)) {
        TRY(system__open_cursor(system, SQL_RELATION "WHERE s.name = ?1 AND r.name = ?2",
                                VALUES(TEXT(schema_of(name)), TEXT(name->name)), &cursor, info));
        TRY(system__next(&cursor, &has_row, info));
    }
    if (!has_row) {
        struct actor actor;
        TRY(system__actor(system, who, &actor, info));
        return system__no_relation(system, &actor, name, info);
    }
    return read_relation(&cursor, arena, ret_relation, info);
}

enum err system_relation_load(struct system *system, const struct identity *who,
                              const struct sql_name *name, struct arena *arena,
                              struct system_relation *ret_relation, struct errinfo *info)
{
    ASSERT(who != NULL);
    TRY(system__read_begin(system, info));
    enum err err = load_one(system, who, name, arena, ret_relation, info);
    system__read_end(system);
    return err;
}

static enum err load_all(struct system *system, struct arena *arena,
                         struct system_relation **ret_relations, size_t *ret_count,
                         struct errinfo *info)
{
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    struct system_relation *relations = NULL;
    size_t count = 0, capacity = 0;
    TRY(system__open_cursor(system, SQL_RELATION "ORDER BY s.name, r.name", NO_VALUES, &cursor,
                            info));
    for (bool has_row = false;;) {
        TRY(system__next(&cursor, &has_row, info));
        if (!has_row) {
            break;
        }
        relations = system__push(arena, relations, count, &capacity, sizeof(*relations));
        if (relations == NULL) {
            return errinfo_nomem(info);
        }
        TRY(read_relation(&cursor, arena, &relations[count++], info));
    }
    *ret_relations = relations;
    *ret_count = count;
    return ERR_OK;
}

enum err system_relations(struct system *system, const struct identity *who, struct arena *arena,
                          struct system_relation **ret_relations, size_t *ret_count,
                          struct errinfo *info)
{
    ASSERT(who != NULL);
    TRY(system__read_begin(system, info));
    enum err err = load_all(system, arena, ret_relations, ret_count, info);
    system__read_end(system);
    return err;
}
