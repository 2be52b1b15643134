/* Attached catalogs: names for catalogs that others keep, and how to reach them. */
#include "system/system_int.h"

#define CATALOGS_MAX 1000

static bool is_reserved(struct slice name)
{
    static const char *const reserved[] = {
        SQL_CATALOG_DEFAULT,    SQL_SCHEMA_DEFAULT, SQL_SCHEMA_SYSTEM,
        SQL_SCHEMA_INFORMATION, "system",           "temp"};
    for (size_t i = 0; i < ARRAY_COUNT(reserved); i++) {
        if (slice_equal_fold(name, slice_of(reserved[i]))) {
            return true;
        }
    }
    return false;
}

static enum err store_options(struct system *system, int64_t id,
                              const struct system_catalog *catalog, struct errinfo *info)
{
    for (size_t i = 0; i < catalog->option_count; i++) {
        TRY(system__run(system,
                        "INSERT INTO attached_option (catalog, ordinal, name, value)"
                        " VALUES (?1, ?2, ?3, ?4)",
                        VALUES(INT(id), INT(i), TEXT(catalog->options[i].name),
                               TEXT(catalog->options[i].value)),
                        info));
    }
    return ERR_OK;
}

static enum err attach(struct system *system, const struct actor *actor,
                       const struct system_catalog *catalog, enum system_create_mode mode,
                       struct errinfo *info)
{
    bool exists = false;
    int64_t id = 0;
    TRY(system__need_admin(actor, "attach catalogs", info));
    TRY(system__check_name(catalog->name, "catalog", info));
    if (is_reserved(catalog->name)) {
        return errinfo_set(info, ERR_INVALID, "42939", "the name \"%.*s\" is reserved",
                           SLICE_ARGS(catalog->name));
    }
    TRY(system__number(system, "SELECT id FROM attached_catalog WHERE name = ?1",
                       VALUES(TEXT(catalog->name)), &exists, &id, info));
    if (exists && mode == SYSTEM_CREATE_IF_NOT_EXISTS) {
        return ERR_OK;
    }
    if (exists && mode == SYSTEM_CREATE) {
        (void)errinfo_set(info, ERR_EXISTS, "42P04", "catalog \"%.*s\" is attached already",
                          SLICE_ARGS(catalog->name));
        errinfo_hint(info, "ATTACH OR REPLACE points it elsewhere; DETACH forgets it.");
        return ERR_EXISTS;
    }
    TRY(system__run(system, "DELETE FROM attached_catalog WHERE name = ?1",
                    VALUES(TEXT(catalog->name)), info));
    TRY(system__run(
        system,
        "INSERT INTO attached_catalog (name, type, location, owner)"
        " VALUES (?1, ?2, ?3, ?4)",
        VALUES(TEXT(catalog->name), TEXT(catalog->type), TEXT(catalog->location), INT(actor->id)),
        info));
    return store_options(system, sqlite3_last_insert_rowid(system->db), catalog, info);
}

enum err system_catalog_attach(struct system *system, const struct identity *who,
                               const struct system_catalog *catalog, enum system_create_mode mode,
                               struct errinfo *info)
{
    struct actor actor;
    TRY(system__write_begin(system, who, &actor, info));
    enum err err = attach(system, &actor, catalog, mode, info);
    return system__write_end(system, err, info);
}

static enum err no_catalog(struct system *system, struct slice name, struct errinfo *info)
{
    (void)errinfo_set(info, ERR_NOT_FOUND, "3D000", "catalog \"%.*s\" does not exist",
                      SLICE_ARGS(name));
    system__suggest(system, "SELECT name FROM attached_catalog", NO_VALUES, name, info);
    return ERR_NOT_FOUND;
}

static enum err detach(struct system *system, const struct actor *actor, struct slice name,
                       bool if_exists, struct errinfo *info)
{
    bool exists = false;
    int64_t id;
    TRY(system__need_admin(actor, "detach catalogs", info));
    TRY(system__number(system, "SELECT id FROM attached_catalog WHERE name = ?1",
                       VALUES(TEXT(name)), &exists, &id, info));
    if (!exists) {
        return if_exists ? ERR_OK : no_catalog(system, name, info);
    }
    return system__run(system, "DELETE FROM attached_catalog WHERE id = ?1", VALUES(INT(id)), info);
}

enum err system_catalog_detach(struct system *system, const struct identity *who, struct slice name,
                               bool if_exists, struct errinfo *info)
{
    struct actor actor;
    TRY(system__write_begin(system, who, &actor, info));
    enum err err = detach(system, &actor, name, if_exists, info);
    return system__write_end(system, err, info);
}

static enum err load(struct system *system, struct arena *arena,
                     struct system_catalog **ret_catalogs, size_t *ret_count, struct errinfo *info)
{
    struct system_catalog *catalogs = NULL;
    int64_t ids[CATALOGS_MAX];
    size_t count = 0, capacity = 0;
    {
        struct cursor cursor CLEANUP(system__close_cursor) = {0};
        TRY(system__open_cursor(system,
                                "SELECT c.id, c.name, c.type, c.location, p.name"
                                " FROM attached_catalog c JOIN principal p ON p.id = c.owner"
                                " ORDER BY c.name",
                                NO_VALUES, &cursor, info));
        for (bool has_row = false; count < CATALOGS_MAX;) {
            TRY(system__next(&cursor, &has_row, info));
            if (!has_row) {
                break;
            }
            catalogs = system__push(arena, catalogs, count, &capacity, sizeof(*catalogs));
            if (catalogs == NULL) {
                return errinfo_nomem(info);
            }
            catalogs[count] = (struct system_catalog){0};
            ids[count] = system__int(&cursor, 0);
            TRY(system__text(&cursor, 1, arena, &catalogs[count].name, info));
            TRY(system__text(&cursor, 2, arena, &catalogs[count].type, info));
            TRY(system__text(&cursor, 3, arena, &catalogs[count].location, info));
            TRY(system__text(&cursor, 4, arena, &catalogs[count].owner, info));
            count++;
        }
    }
    for (size_t i = 0; i < count; i++) {
        TRY(system__load_options(system,
                                 "SELECT name, value FROM attached_option WHERE catalog = ?1"
                                 " ORDER BY ordinal",
                                 ids[i], arena, &catalogs[i].options, &catalogs[i].option_count,
                                 info));
    }
    *ret_catalogs = catalogs;
    *ret_count = count;
    return ERR_OK;
}

enum err system_catalogs(struct system *system, const struct identity *who, struct arena *arena,
                         struct system_catalog **ret_catalogs, size_t *ret_count,
                         struct errinfo *info)
{
    ASSERT(who != NULL);
    TRY(system__read_begin(system, info));
    enum err err = load(system, arena, ret_catalogs, ret_count, info);
    system__read_end(system);
    return err;
}
