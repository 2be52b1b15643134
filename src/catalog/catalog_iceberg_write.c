/* Changes to an iceberg_local catalog, each in one transaction; those of an iceberg_rest one are
 * asked for (catalog_iceberg_rest_write.c). */
#include "catalog/catalog_iceberg_int.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "identity/identity.h"
#include "system/system.h"

enum err iceberg_catalog__may_write(const struct catalog_iceberg *catalog,
                                    const struct identity *who, struct errinfo *info)
{
    if (catalog->kind != CATALOG_ICEBERG_LOCAL && !catalog_iceberg_is_remote(catalog)) {
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL, "catalog \"%.*s\" is read-only",
                          SLICE_ARGS(catalog->name));
        errinfo_detail(info, "Catalogs of type %s are only read.",
                       catalog_iceberg_kind_name(catalog->kind));
        return ERR_UNSUPPORTED;
    }
    if (!identity_is_owner(who) && !identity_has_role(who, SLICE(SYSTEM_ROLE_ADMIN))) {
        return errinfo_set(info, ERR_DENIED, NULL,
                           "only the owner and members of \"" SYSTEM_ROLE_ADMIN
                           "\" may change catalog \"%.*s\"",
                           SLICE_ARGS(catalog->name));
    }
    return ERR_OK;
}

/* Commits, or rolls back after an error; the first error is the one that counts. */
static enum err finish(const struct catalog_iceberg *catalog, struct iceberg_db *db, enum err err,
                       struct errinfo *info)
{
    if (err == ERR_OK) {
        err = iceberg_db__run(catalog, db, "COMMIT", NULL, 0, info);
    }
    iceberg_db__close(db); /* rolls back what is still open */
    return err;
}

/* ---- the file ---- */

/* Column for column as PyIceberg's SqlCatalog and JdbcCatalog's layout V1 create them. */
static const char *const layout[] = {
    "CREATE TABLE iceberg_tables (catalog_name VARCHAR(255) NOT NULL, table_namespace "
    "VARCHAR(255) NOT NULL, table_name VARCHAR(255) NOT NULL, metadata_location VARCHAR(1000), "
    "previous_metadata_location VARCHAR(1000), iceberg_type VARCHAR(5), PRIMARY KEY "
    "(catalog_name, table_namespace, table_name))",
    "CREATE TABLE iceberg_namespace_properties (catalog_name VARCHAR(255) NOT NULL, namespace "
    "VARCHAR(255) NOT NULL, property_key VARCHAR(255) NOT NULL, property_value VARCHAR(1000) NOT "
    "NULL, PRIMARY KEY (catalog_name, namespace, property_key))",
};

static enum err write_layout(const struct catalog_iceberg *catalog, const char *path,
                             struct errinfo *info)
{
    struct iceberg_db db CLEANUP(iceberg_db__close) = {0};
    int code = sqlite3_open_v2(path, &db.db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) {
        return iceberg_db__error(catalog, code, "create", info);
    }
    TRY(iceberg_db__run(catalog, &db, "BEGIN IMMEDIATE", NULL, 0, info));
    for (size_t i = 0; i < ARRAY_COUNT(layout); i++) {
        TRY(iceberg_db__run(catalog, &db, layout[i], NULL, 0, info));
    }
    return finish(catalog, &db, ERR_OK, info);
}

enum err catalog_iceberg_create(const struct catalog_iceberg *catalog, const struct identity *who,
                                struct errinfo *info)
{
    ASSERT(catalog->kind == CATALOG_ICEBERG_LOCAL);
    TRY(iceberg_catalog__may_write(catalog, who, info));
    char *path CLEANUP(mem_free_cleanup) = mem_slicedup(catalog->location);
    if (path == NULL) {
        return errinfo_nomem(info);
    }
    /* Exclusively, so that nothing of another's is ever taken for a new file. */
    int fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        int why = errno;
        enum err err = why == EEXIST ? ERR_EXISTS : why == EACCES ? ERR_DENIED : ERR_IO;
        const char *slash = strrchr(path, '/');
        char text[128];
        (void)errinfo_set(info, err, NULL, "cannot create the catalog file \"%s\": %s",
                          slash == NULL ? path : slash + 1, strerror_r(why, text, sizeof(text)));
        if (why == ENOENT) {
            errinfo_hint(info, "The folder that it is to lie in is not there: make it first.");
        }
        return err;
    }
    io_close(fd);
    enum err err = write_layout(catalog, path, info);
    if (err != ERR_OK) {
        (void)unlink(path);
    }
    return err;
}

/* ---- namespaces ---- */

static enum err put_property(const struct catalog_iceberg *catalog, struct iceberg_db *db,
                             struct slice ns, struct slice key, struct slice value,
                             struct errinfo *info)
{
    struct slice texts[] = {db->catalog_name, ns, key, value};
    if (value.ptr == NULL) {
        return iceberg_db__run(catalog, db,
                               "DELETE FROM iceberg_namespace_properties WHERE catalog_name = ?1 "
                               "AND namespace = ?2 AND property_key = ?3",
                               texts, 3, info);
    }
    return iceberg_db__run(catalog, db,
                           "INSERT OR REPLACE INTO iceberg_namespace_properties (catalog_name, "
                           "namespace, property_key, property_value) VALUES (?1, ?2, ?3, ?4)",
                           texts, 4, info);
}

static enum err check_properties(const struct iceberg_property *properties, size_t count,
                                 struct errinfo *info)
{
    for (size_t i = 0; i < count; i++) {
        if (properties[i].key.len == 0 || properties[i].key.len > 255 ||
            properties[i].value.len > 1000 || !slice_is_utf8(properties[i].key, NULL) ||
            !slice_is_utf8(properties[i].value, NULL)) {
            return errinfo_set(info, ERR_INVALID, "22023",
                               "a namespace property has a name of 1 to 255 bytes and a value of "
                               "up to 1000, both UTF-8");
        }
    }
    return ERR_OK;
}

static enum err create_namespace(const struct catalog_iceberg *catalog, struct iceberg_db *db,
                                 struct slice ns, const struct iceberg_property *properties,
                                 size_t property_count, struct errinfo *info)
{
    bool exists = false;
    TRY(iceberg_db__namespace_exists(catalog, db, ns, &exists, info));
    if (exists) {
        return errinfo_set(info, ERR_EXISTS, "42P06",
                           "namespace \"%.*s\" exists already in catalog \"%.*s\"", SLICE_ARGS(ns),
                           SLICE_ARGS(catalog->name));
    }
    if (property_count == 0) {
        return put_property(catalog, db, ns, SLICE("exists"), SLICE("true"), info);
    }
    for (size_t i = 0; i < property_count; i++) {
        TRY(put_property(catalog, db, ns, properties[i].key, properties[i].value, info));
    }
    return ERR_OK;
}

enum err catalog_iceberg_create_namespace(const struct catalog_iceberg *catalog,
                                          const struct identity *who, struct slice ns,
                                          const struct iceberg_property *properties,
                                          size_t property_count, struct errinfo *info)
{
    struct iceberg_db db CLEANUP(iceberg_db__close) = {0};
    TRY(iceberg_catalog__may_write(catalog, who, info));
    if (catalog_iceberg_is_remote(catalog)) {
        return iceberg_rest__create_namespace(catalog, who, ns, properties, property_count, info);
    }
    TRY(iceberg_catalog__check_name(ns, true, info));
    TRY(check_properties(properties, property_count, info));
    TRY(iceberg_db__open(catalog, true, &db, info));
    enum err err = create_namespace(catalog, &db, ns, properties, property_count, info);
    return finish(catalog, &db, err, info);
}

static enum err drop_namespace(const struct catalog_iceberg *catalog, struct iceberg_db *db,
                               struct slice ns, struct errinfo *info)
{
    bool exists = false;
    bool is_used = false;
    struct slice texts[] = {db->catalog_name, ns};
    TRY(iceberg_db__namespace_exists(catalog, db, ns, &exists, info));
    if (!exists) {
        return iceberg_catalog__no_namespace(catalog, ns, info);
    }
    TRY(iceberg_db__has(catalog, db,
                        "SELECT 1 FROM iceberg_tables WHERE catalog_name = ?1 AND "
                        "(table_namespace = ?2 OR substr(table_namespace, 1, length(?2) + 1) = ?2 "
                        "|| '.') UNION ALL SELECT 1 FROM iceberg_namespace_properties WHERE "
                        "catalog_name = ?1 AND substr(namespace, 1, length(?2) + 1) = ?2 || '.' "
                        "LIMIT 1",
                        texts, 2, &is_used, info));
    if (is_used) {
        (void)errinfo_set(info, ERR_INVALID, "2BP01", "namespace \"%.*s\" is not empty",
                          SLICE_ARGS(ns));
        errinfo_hint(info, "Drop its tables, views and namespaces first.");
        return ERR_INVALID;
    }
    return iceberg_db__run(catalog, db,
                           "DELETE FROM iceberg_namespace_properties WHERE catalog_name = ?1 AND "
                           "namespace = ?2",
                           texts, 2, info);
}

enum err catalog_iceberg_drop_namespace(const struct catalog_iceberg *catalog,
                                        const struct identity *who, struct slice ns,
                                        struct errinfo *info)
{
    struct iceberg_db db CLEANUP(iceberg_db__close) = {0};
    TRY(iceberg_catalog__may_write(catalog, who, info));
    if (catalog_iceberg_is_remote(catalog)) {
        return iceberg_rest__drop_namespace(catalog, who, ns, info);
    }
    TRY(iceberg_db__open(catalog, true, &db, info));
    return finish(catalog, &db, drop_namespace(catalog, &db, ns, info), info);
}

static enum err set_properties(const struct catalog_iceberg *catalog, struct iceberg_db *db,
                               struct slice ns, const struct iceberg_property *properties,
                               size_t property_count, struct errinfo *info)
{
    bool exists = false;
    bool is_left = false;
    struct slice texts[] = {db->catalog_name, ns};
    TRY(iceberg_db__namespace_exists(catalog, db, ns, &exists, info));
    if (!exists) {
        return iceberg_catalog__no_namespace(catalog, ns, info);
    }
    for (size_t i = 0; i < property_count; i++) {
        TRY(put_property(catalog, db, ns, properties[i].key, properties[i].value, info));
    }
    /* A namespace lives by its rows: the last property gone must not drop it. */
    TRY(iceberg_db__has(catalog, db,
                        "SELECT 1 FROM iceberg_namespace_properties WHERE catalog_name = ?1 AND "
                        "namespace = ?2",
                        texts, 2, &is_left, info));
    return is_left ? ERR_OK : put_property(catalog, db, ns, SLICE("exists"), SLICE("true"), info);
}

enum err catalog_iceberg_set_properties(const struct catalog_iceberg *catalog,
                                        const struct identity *who, struct slice ns,
                                        const struct iceberg_property *properties,
                                        size_t property_count, struct errinfo *info)
{
    struct iceberg_db db CLEANUP(iceberg_db__close) = {0};
    TRY(iceberg_catalog__may_write(catalog, who, info));
    if (catalog_iceberg_is_remote(catalog)) {
        return iceberg_rest__set_properties(catalog, who, ns, properties, property_count, info);
    }
    TRY(check_properties(properties, property_count, info));
    TRY(iceberg_db__open(catalog, true, &db, info));
    enum err err = set_properties(catalog, &db, ns, properties, property_count, info);
    return finish(catalog, &db, err, info);
}

/* ---- tables and views ---- */

static enum err check_metadata(const struct catalog_iceberg *catalog, const struct identity *who,
                               bool is_view, struct slice location, struct errinfo *info)
{
    struct iceberg_io io;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "register", 0);
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct iceberg_metadata metadata;
    struct iceberg_view view;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(catalog_iceberg_io_of(catalog, who, NULL, arena, &io, info));
    TRY(io.read_all(io.context, location, 0, 0, &bytes, info));
    return is_view ? iceberg_view_parse(buf_slice(&bytes), arena, &view, info)
                   : iceberg_metadata_parse(buf_slice(&bytes), arena, &metadata, info);
}

static enum err check_free(const struct catalog_iceberg *catalog, struct iceberg_db *db,
                           struct slice ns, struct slice name, struct errinfo *info)
{
    bool exists = false;
    struct slice texts[] = {db->catalog_name, ns, name};
    TRY(iceberg_db__has(catalog, db,
                        "SELECT 1 FROM iceberg_tables WHERE catalog_name = ?1 AND "
                        "table_namespace = ?2 AND table_name = ?3",
                        texts, 3, &exists, info));
    return exists ? errinfo_set(info, ERR_EXISTS, "42P07",
                                "\"%.*s\" exists already in namespace \"%.*s\"", SLICE_ARGS(name),
                                SLICE_ARGS(ns))
                  : ERR_OK;
}

enum err iceberg_local__insert(const struct catalog_iceberg *catalog, struct iceberg_db *db,
                               const struct catalog_iceberg_name *row, struct errinfo *info)
{
    bool exists = false;
    struct slice texts[] = {db->catalog_name, row->ns, row->name, row->metadata_location,
                            row->is_view ? SLICE("VIEW") : SLICE("TABLE")};
    TRY(iceberg_db__namespace_exists(catalog, db, row->ns, &exists, info));
    if (!exists) {
        return iceberg_catalog__no_namespace(catalog, row->ns, info);
    }
    TRY(check_free(catalog, db, row->ns, row->name, info));
    if (!db->has_views && row->is_view) {
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                          "catalog \"%.*s\" is of layout version 0, which has no views",
                          SLICE_ARGS(catalog->name));
        errinfo_hint(info, "PyIceberg's option schema_version = v1 changes the layout.");
        return ERR_UNSUPPORTED;
    }
    return iceberg_db__run(catalog, db,
                           db->has_views ? "INSERT INTO iceberg_tables (catalog_name, "
                                           "table_namespace, table_name, metadata_location, "
                                           "previous_metadata_location, iceberg_type) VALUES (?1, "
                                           "?2, ?3, ?4, NULL, ?5)"
                                         : "INSERT INTO iceberg_tables (catalog_name, "
                                           "table_namespace, table_name, metadata_location, "
                                           "previous_metadata_location) VALUES (?1, ?2, ?3, ?4, "
                                           "NULL)",
                           texts, db->has_views ? 5 : 4, info);
}

enum err catalog_iceberg_register(const struct catalog_iceberg *catalog, const struct identity *who,
                                  struct slice ns, struct slice name, bool is_view,
                                  struct slice metadata_location, struct errinfo *info)
{
    struct iceberg_db db CLEANUP(iceberg_db__close) = {0};
    struct catalog_iceberg_name row = {
        .ns = ns, .name = name, .is_view = is_view, .metadata_location = metadata_location};
    TRY(iceberg_catalog__may_write(catalog, who, info));
    if (catalog_iceberg_is_remote(catalog)) {
        return iceberg_rest__register(catalog, who, ns, name, is_view, metadata_location, info);
    }
    TRY(iceberg_catalog__check_name(name, false, info));
    TRY(check_metadata(catalog, who, is_view, metadata_location, info));
    TRY(iceberg_db__open(catalog, true, &db, info));
    return finish(catalog, &db, iceberg_local__insert(catalog, &db, &row, info), info);
}

enum err catalog_iceberg_purge(const struct catalog_iceberg *catalog, const struct identity *who,
                               struct slice ns, struct slice name, struct errinfo *info)
{
    TRY(iceberg_catalog__may_write(catalog, who, info));
    if (catalog_iceberg_is_remote(catalog)) {
        return iceberg_rest__drop(catalog, who, ns, name, false, true, info);
    }
    (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                      "catalog \"%.*s\" does not delete the files of tables",
                      SLICE_ARGS(catalog->name));
    errinfo_hint(info, "DROP TABLE without PURGE forgets the name and leaves the files.");
    return ERR_UNSUPPORTED;
}

/* The rows of a kind: layout version 0 has tables only. */
#define OF_TABLES "(iceberg_type = 'TABLE' OR iceberg_type IS NULL)"
#define OF_VIEWS "iceberg_type = 'VIEW'"
#define OF_NAME "catalog_name = ?1 AND table_namespace = ?2 AND table_name = ?3"

/* Runs the form of a change that fits the layout; ERR_NOT_FOUND if it found nothing to change. */
static enum err change_name(const struct catalog_iceberg *catalog, struct iceberg_db *db,
                            const struct catalog_iceberg_name *row, const char *const *forms,
                            const struct slice *texts, size_t text_count, struct errinfo *info)
{
    if (db->has_views || !row->is_view) {
        const char *sql = forms[!db->has_views ? 0 : row->is_view ? 1 : 2];
        TRY(iceberg_db__run(catalog, db, sql, texts, text_count, info));
        if (sqlite3_changes(db->db) > 0) {
            return ERR_OK;
        }
    }
    return errinfo_set(info, ERR_NOT_FOUND, "42P01", "%s \"%.*s\" does not exist",
                       row->is_view ? "view" : "table", SLICE_ARGS(row->name));
}

static enum err delete_name(const struct catalog_iceberg *catalog, struct iceberg_db *db,
                            const struct catalog_iceberg_name *row, struct errinfo *info)
{
    static const char *const forms[] = {
        "DELETE FROM iceberg_tables WHERE " OF_NAME,
        "DELETE FROM iceberg_tables WHERE " OF_NAME " AND " OF_VIEWS,
        "DELETE FROM iceberg_tables WHERE " OF_NAME " AND " OF_TABLES,
    };
    struct slice texts[] = {db->catalog_name, row->ns, row->name};
    return change_name(catalog, db, row, forms, texts, ARRAY_COUNT(texts), info);
}

enum err catalog_iceberg_unregister(const struct catalog_iceberg *catalog,
                                    const struct identity *who, struct slice ns, struct slice name,
                                    bool is_view, struct errinfo *info)
{
    struct iceberg_db db CLEANUP(iceberg_db__close) = {0};
    struct catalog_iceberg_name row = {.ns = ns, .name = name, .is_view = is_view};
    TRY(iceberg_catalog__may_write(catalog, who, info));
    if (catalog->block != NULL) {
        return iceberg_block__name(catalog, who, ns, name, is_view, NULL, info);
    }
    if (catalog_iceberg_is_remote(catalog)) {
        return iceberg_rest__drop(catalog, who, ns, name, is_view, false, info);
    }
    TRY(iceberg_db__open(catalog, true, &db, info));
    return finish(catalog, &db, delete_name(catalog, &db, &row, info), info);
}

static enum err rename_name(const struct catalog_iceberg *catalog, struct iceberg_db *db,
                            const struct catalog_iceberg_name *row, struct slice new_name,
                            struct errinfo *info)
{
    static const char *const forms[] = {
        "UPDATE iceberg_tables SET table_name = ?4 WHERE " OF_NAME,
        "UPDATE iceberg_tables SET table_name = ?4 WHERE " OF_NAME " AND " OF_VIEWS,
        "UPDATE iceberg_tables SET table_name = ?4 WHERE " OF_NAME " AND " OF_TABLES,
    };
    struct slice texts[] = {db->catalog_name, row->ns, row->name, new_name};
    TRY(check_free(catalog, db, row->ns, new_name, info));
    return change_name(catalog, db, row, forms, texts, ARRAY_COUNT(texts), info);
}

enum err catalog_iceberg_rename(const struct catalog_iceberg *catalog, const struct identity *who,
                                struct slice ns, struct slice name, bool is_view,
                                struct slice new_name, struct errinfo *info)
{
    struct iceberg_db db CLEANUP(iceberg_db__close) = {0};
    struct catalog_iceberg_name row = {.ns = ns, .name = name, .is_view = is_view};
    TRY(iceberg_catalog__may_write(catalog, who, info));
    if (catalog->block != NULL) {
        TRY(iceberg_catalog__check_name(new_name, false, info));
        return iceberg_block__name(catalog, who, ns, name, is_view, &new_name, info);
    }
    if (catalog_iceberg_is_remote(catalog)) {
        return iceberg_rest__rename(catalog, who, ns, name, is_view, new_name, info);
    }
    TRY(iceberg_catalog__check_name(new_name, false, info));
    TRY(iceberg_db__open(catalog, true, &db, info));
    return finish(catalog, &db, rename_name(catalog, &db, &row, new_name, info), info);
}
