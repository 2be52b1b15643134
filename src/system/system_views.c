/* What views read, by identity, and what becomes of them when it is dropped; comments on columns.
 *
 * The readers of a table are known by its uuid, so that a rename changes nothing. Whoever drops it
 * learns of readers only what they may know of: others are counted. */
#include "system/change_int.h"

#define SOURCES_MAX 2000u /* as many tables as a statement may read */

enum err system__store_sources(struct system *system, int64_t relation_id,
                               const struct relation *relation, struct errinfo *info)
{
    TRY(system__run(system, "DELETE FROM view_source WHERE relation = ?1", VALUES(INT(relation_id)),
                    info));
    if (relation->source_count > SOURCES_MAX) {
        return errinfo_set(info, ERR_LIMIT, NULL, "a view reads at most %u tables", SOURCES_MAX);
    }
    for (size_t i = 0; i < relation->source_count; i++) {
        const struct relation_source *source = &relation->sources[i];
        TRY(system__run(system,
                        "INSERT INTO view_source (relation, ordinal, catalog, schema, name, uuid)"
                        " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                        VALUES(INT(relation_id), INT(i), TEXT(source->name.catalog),
                               TEXT(source->name.schema), TEXT(source->name.name),
                               TEXT(source->uuid)),
                        info));
        for (size_t c = 0; c < source->column_count; c++) {
            TRY(system__run(system,
                            "INSERT INTO view_source_column (relation, ordinal, id, name)"
                            " VALUES (?1, ?2, ?3, ?4)",
                            VALUES(INT(relation_id), INT(i), INT(source->columns[c].id),
                                   TEXT(source->columns[c].name)),
                            info));
        }
    }
    return ERR_OK;
}

static enum err load_source_columns(struct system *system, int64_t relation_id, size_t ordinal,
                                    struct arena *arena, struct relation_source *source,
                                    struct errinfo *info)
{
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    struct row_list list = {.item_bytes = sizeof(struct relation_column)};
    void *item;
    TRY(system__open_cursor(system,
                            "SELECT id, name FROM view_source_column"
                            " WHERE relation = ?1 AND ordinal = ?2 ORDER BY id",
                            VALUES(INT(relation_id), INT(ordinal)), &cursor, info));
    for (;;) {
        TRY(system__next_item(&cursor, arena, &list, &item, info));
        struct relation_column *column = item;
        if (column == NULL) {
            break;
        }
        column->id = (uint32_t)system__int(&cursor, 0);
        TRY(system__text(&cursor, 1, arena, &column->name, info));
    }
    source->columns = list.items;
    source->column_count = list.count;
    return ERR_OK;
}

enum err system__load_sources(struct system *system, int64_t relation_id, struct arena *arena,
                              const struct relation_source **ret_sources, size_t *ret_count,
                              struct errinfo *info)
{
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    struct row_list list = {.item_bytes = sizeof(struct relation_source)};
    void *item;
    TRY(system__open_cursor(system,
                            "SELECT catalog, schema, name, uuid FROM view_source"
                            " WHERE relation = ?1 ORDER BY ordinal",
                            VALUES(INT(relation_id)), &cursor, info));
    for (;;) {
        TRY(system__next_item(&cursor, arena, &list, &item, info));
        struct relation_source *source = item;
        if (source == NULL) {
            break;
        }
        TRY(system__text(&cursor, 0, arena, &source->name.catalog, info));
        TRY(system__text(&cursor, 1, arena, &source->name.schema, info));
        TRY(system__text(&cursor, 2, arena, &source->name.name, info));
        TRY(system__text(&cursor, 3, arena, &source->uuid, info));
        TRY(load_source_columns(system, relation_id, list.count - 1, arena, source, info));
    }
    *ret_sources = list.items;
    *ret_count = list.count;
    return ERR_OK;
}

/* ---- readers of what is dropped ---- */

struct reader {
    int64_t id;
    bool is_own; /* the actor may drop it */
    struct slice uuid;
    struct slice name;
};

/* ?1 a relation, ?2 a schema, ?3 the actor, ?4 admin. Not what goes with the schema itself. */
static enum err load_readers(struct system *system, const struct actor *actor, int64_t relation_id,
                             int64_t schema_id, struct arena *arena, struct reader **ret_readers,
                             size_t *ret_count, struct errinfo *info)
{
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    struct row_list list = {.item_bytes = sizeof(struct reader)};
    void *item;
    TRY(system__open_cursor(
        system,
        "WITH RECURSIVE gone (id, uuid) AS ("
        " SELECT id, uuid FROM relation WHERE id = ?1 OR schema = ?2 UNION"
        " SELECT r.id, r.uuid FROM gone JOIN view_source v ON v.uuid = gone.uuid"
        " JOIN relation r ON r.id = v.relation)"
        " SELECT r.id, ?4 OR r.owner = ?3, r.uuid, r.name FROM gone"
        " JOIN relation r ON r.id = gone.id WHERE r.id <> ?1 AND r.schema <> ?2 ORDER BY r.id",
        VALUES(INT(relation_id), INT(schema_id), INT(actor->id), INT(actor->is_admin)), &cursor,
        info));
    for (;;) {
        TRY(system__next_item(&cursor, arena, &list, &item, info));
        struct reader *reader = item;
        if (reader == NULL) {
            break;
        }
        reader->id = system__int(&cursor, 0);
        reader->is_own = system__int(&cursor, 1) != 0;
        TRY(system__text(&cursor, 2, arena, &reader->uuid, info));
        TRY(system__text(&cursor, 3, arena, &reader->name, info));
    }
    *ret_readers = list.items;
    *ret_count = list.count;
    return ERR_OK;
}

/* Names those that the actor may know of, counts the others. */
static enum err describe_readers(struct system *system, const struct actor *actor,
                                 const struct reader *readers, size_t count, struct errinfo *info)
{
    char names[160] = "";
    size_t hidden = 0;
    for (size_t i = 0; i < count; i++) {
        bool knows = readers[i].is_own;
        if (!knows) {
            TRY(system__knows(system, actor, readers[i].uuid, &knows, info));
        }
        size_t len = strlen(names);
        if (!knows) {
            hidden++;
        } else if (len + readers[i].name.len + 5 < sizeof(names)) {
            (void)snprintf(names + len, sizeof(names) - len, "%s\"%.*s\"", len == 0 ? "" : ", ",
                           SLICE_ARGS(readers[i].name));
        }
    }
    errinfo_detail(info, "It is read by %zu view%s: %s%s%s.", count, count == 1 ? "" : "s", names,
                   names[0] != '\0' && hidden > 0 ? ", and " : "",
                   hidden > 0 ? "some of which you may not know" : "");
    return ERR_OK;
}

enum err system__drop_readers(struct system *system, const struct actor *actor, int64_t relation_id,
                              int64_t schema_id, struct slice what, bool cascade, size_t *ret_count,
                              struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "readers", 0);
    struct reader *readers;
    size_t count;
    bool all_own = true;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(load_readers(system, actor, relation_id, schema_id, arena, &readers, &count, info));
    *ret_count = count;
    if (count == 0) {
        return ERR_OK;
    }
    for (size_t i = 0; i < count; i++) {
        all_own = all_own && readers[i].is_own;
    }
    if (!cascade || !all_own) {
        enum err err = cascade ? ERR_DENIED : ERR_INVALID;
        (void)errinfo_set(info, err, cascade ? NULL : "2BP01",
                          "\"%.*s\" cannot be dropped: views read it%s", SLICE_ARGS(what),
                          cascade ? " that are not yours to drop" : "");
        TRY(describe_readers(system, actor, readers, count, info));
        errinfo_hint(info, "%s",
                     cascade ? "Ask their owners, or an administrator."
                             : "DROP ... CASCADE drops them too.");
        return err;
    }
    for (size_t i = 0; i < count; i++) {
        TRY(system__run(system, "DELETE FROM access_grant WHERE object = ?1",
                        VALUES(TEXT(readers[i].uuid)), info));
        TRY(system__run(system, "DELETE FROM relation WHERE id = ?1", VALUES(INT(readers[i].id)),
                        info));
    }
    return ERR_OK;
}

/* ---- comments ---- */

static enum err comment_column(struct system *system, const struct relation_row *relation,
                               const struct change *change, struct errinfo *info)
{
    bool found = false;
    int64_t id = 0;
    TRY(system__number(system, "SELECT id FROM relation_column WHERE relation = ?1 AND name = ?2",
                       VALUES(INT(relation->id), TEXT(change->column)), &found, &id, info));
    if (!found) {
        (void)errinfo_set(info, ERR_NOT_FOUND, "42703",
                          "column \"%.*s\" of \"%.*s\" does not exist", SLICE_ARGS(change->column),
                          SLICE_ARGS(relation->name));
        system__suggest(system, "SELECT name FROM relation_column WHERE relation = ?1",
                        VALUES(INT(relation->id)), change->column, info);
        return ERR_NOT_FOUND;
    }
    TRY(system__run(system, "DELETE FROM column_comment WHERE relation = ?1 AND column_id = ?2",
                    VALUES(INT(relation->id), INT(id)), info));
    return change->text.len == 0
               ? ERR_OK
               : system__run(system,
                             "INSERT INTO column_comment (relation, column_id, comment)"
                             " VALUES (?1, ?2, ?3)",
                             VALUES(INT(relation->id), INT(id), TEXT(change->text)), info);
}

enum err system__comment(struct system *system, const struct actor *actor, struct change *change,
                         struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "comment", 0);
    struct relation_row relation;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(system__need_own_relation(system, actor, &change->name, arena, &relation, info));
    if (change->column.len > 0) {
        return comment_column(system, &relation, change, info);
    }
    if (relation.is_view != (change->relation_kind == RELATION_VIEW)) {
        return errinfo_set(info, ERR_INVALID, "42809", "\"%.*s\" is a %s",
                           SLICE_ARGS(relation.name), relation.is_view ? "view" : "table");
    }
    return system__run(system, "UPDATE relation SET comment = ?2 WHERE id = ?1",
                       VALUES(INT(relation.id), TEXT(change->text)), info);
}

enum err system_comment_set(struct system *system, const struct identity *who,
                            const struct sql_name *name, enum relation_kind kind,
                            struct slice column, struct slice comment, struct errinfo *info)
{
    struct change change = {.kind = CHANGE_COMMENT,
                            .name = *name,
                            .relation_kind = kind,
                            .column = column,
                            .text = comment};
    return system__change(system, who, &change, info);
}

static enum err load_comments(struct system *system, struct arena *arena,
                              struct system_comment **ret_comments, size_t *ret_count,
                              struct errinfo *info)
{
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    struct system_comment *comments = NULL;
    size_t count = 0, capacity = 0;
    TRY(system__open_cursor(system,
                            "SELECT r.uuid, c.column_id, c.comment FROM column_comment c"
                            " JOIN relation r ON r.id = c.relation ORDER BY r.uuid",
                            NO_VALUES, &cursor, info));
    for (bool has_row = false;;) {
        TRY(system__next(&cursor, &has_row, info));
        if (!has_row) {
            break;
        }
        comments = system__push(arena, comments, count, &capacity, sizeof(*comments));
        if (comments == NULL) {
            return errinfo_nomem(info);
        }
        struct system_comment *comment = &comments[count++];
        *comment = (struct system_comment){.column_id = (uint32_t)system__int(&cursor, 1)};
        TRY(system__text(&cursor, 0, arena, &comment->uuid, info));
        TRY(system__text(&cursor, 2, arena, &comment->comment, info));
    }
    *ret_comments = comments;
    *ret_count = count;
    return ERR_OK;
}

enum err system_column_comments(struct system *system, const struct identity *who,
                                struct arena *arena, struct system_comment **ret_comments,
                                size_t *ret_count, struct errinfo *info)
{
    ASSERT(who != NULL);
    TRY(system__read_begin(system, info));
    enum err err = load_comments(system, arena, ret_comments, ret_count, info);
    system__read_end(system);
    return err;
}

/* ---- names ---- */

static enum err load_name(struct system *system, struct slice uuid, struct arena *arena,
                          struct sql_name *ret_name, struct errinfo *info)
{
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    struct sql_name name = {.catalog = SLICE(SQL_CATALOG_DEFAULT)};
    bool has_row = false;
    TRY(system__open_cursor(system,
                            "SELECT s.name, r.name FROM relation r JOIN schema s ON s.id = r.schema"
                            " WHERE r.uuid = ?1",
                            VALUES(TEXT(uuid)), &cursor, info));
    TRY(system__next(&cursor, &has_row, info));
    if (!has_row) {
        return errinfo_set(info, ERR_NOT_FOUND, "42P01", "the table was dropped");
    }
    TRY(system__text(&cursor, 0, arena, &name.schema, info));
    TRY(system__text(&cursor, 1, arena, &name.name, info));
    *ret_name = name;
    return ERR_OK;
}

enum err system_relation_name(struct system *system, const struct identity *who, struct slice uuid,
                              struct arena *arena, struct sql_name *ret_name, struct errinfo *info)
{
    ASSERT(who != NULL);
    TRY(system__read_begin(system, info));
    enum err err = load_name(system, uuid, arena, ret_name, info);
    system__read_end(system);
    return err;
}
