/* The JDBC-catalog layout in SQLite, as PyIceberg and Iceberg's JdbcCatalog write it. Version 0
 * has no column iceberg_type: every row is a table then. A row of type NULL is a table too.
 *
 * The file is opened anew for each call and nothing of it is kept: it belongs to other programs
 * as well. Its schema is not trusted: no triggers, no views, no functions from it. */
#include "catalog/catalog_iceberg_int.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/mem.h"

#define BUSY_TIMEOUT_MS 5000
#define NAMES_TOLD_MAX 16 /* of the catalogs of a file, in a message */

/* ---- connections ---- */

static struct slice base_name(struct slice path)
{
    for (size_t i = path.len; i > 0; i--) {
        if (path.ptr[i - 1] == '/') {
            return (struct slice){path.ptr + i, path.len - i};
        }
    }
    return path;
}

enum err iceberg_db__error(const struct catalog_iceberg *catalog, int code, const char *verb,
                           struct errinfo *info)
{
    struct slice file = base_name(catalog->location);
    const char *why = sqlite3_errstr(code); /* fixed texts: no data, no paths */
    int primary = code & 0xFF;
    if (primary == SQLITE_NOMEM || code == SQLITE_IOERR_NOMEM) {
        return errinfo_nomem(info);
    }
    enum err err = primary == SQLITE_BUSY || primary == SQLITE_LOCKED      ? ERR_BUSY
                   : primary == SQLITE_NOTADB || primary == SQLITE_CORRUPT ? ERR_CORRUPT
                   : primary == SQLITE_PERM || primary == SQLITE_READONLY  ? ERR_DENIED
                   : primary == SQLITE_TOOBIG                              ? ERR_LIMIT
                   : primary == SQLITE_CONSTRAINT                          ? ERR_EXISTS
                                                                           : ERR_IO;
    (void)errinfo_set(info, err, NULL, "cannot %s the catalog file \"%.*s\": %s", verb,
                      SLICE_ARGS(file), why);
    if (err == ERR_BUSY) {
        errinfo_hint(info, "Another program writes to it; try again.");
    }
    return err;
}

void iceberg_db__close(struct iceberg_db *db)
{
    if (db->db != NULL) {
        (void)sqlite3_close_v2(db->db);
        db->db = NULL;
    }
}

void iceberg_db__finalize(sqlite3_stmt **stmt)
{
    (void)sqlite3_finalize(*stmt); /* repeats the error that the step has told */
    *stmt = NULL;
}

enum err iceberg_db__prepare(const struct catalog_iceberg *catalog, struct iceberg_db *db,
                             const char *sql, const struct slice *texts, size_t text_count,
                             sqlite3_stmt **ret_stmt, struct errinfo *info)
{
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(db->db, sql, -1, &stmt, NULL);
    for (size_t i = 0; code == SQLITE_OK && i < text_count; i++) {
        code = texts[i].ptr == NULL ? sqlite3_bind_null(stmt, (int)i + 1)
                                    : sqlite3_bind_text64(stmt, (int)i + 1, texts[i].ptr,
                                                          texts[i].len, SQLITE_STATIC, SQLITE_UTF8);
    }
    if (code != SQLITE_OK) {
        (void)sqlite3_finalize(stmt);
        return iceberg_db__error(catalog, code, "read", info);
    }
    *ret_stmt = stmt;
    return ERR_OK;
}

enum err iceberg_db__run(const struct catalog_iceberg *catalog, struct iceberg_db *db,
                         const char *sql, const struct slice *texts, size_t text_count,
                         struct errinfo *info)
{
    sqlite3_stmt *stmt CLEANUP(iceberg_db__finalize) = NULL;
    int code;
    TRY(iceberg_db__prepare(catalog, db, sql, texts, text_count, &stmt, info));
    do {
        code = sqlite3_step(stmt);
    } while (code == SQLITE_ROW);
    return code == SQLITE_DONE ? ERR_OK : iceberg_db__error(catalog, code, "write", info);
}

enum err iceberg_db__has(const struct catalog_iceberg *catalog, struct iceberg_db *db,
                         const char *sql, const struct slice *texts, size_t text_count,
                         bool *ret_has, struct errinfo *info)
{
    sqlite3_stmt *stmt CLEANUP(iceberg_db__finalize) = NULL;
    TRY(iceberg_db__prepare(catalog, db, sql, texts, text_count, &stmt, info));
    int code = sqlite3_step(stmt);
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        return iceberg_db__error(catalog, code, "read", info);
    }
    *ret_has = code == SQLITE_ROW;
    return ERR_OK;
}

static struct slice column_text(sqlite3_stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return (struct slice){text, text == NULL ? 0 : (size_t)sqlite3_column_bytes(stmt, column)};
}

static enum err check_layout(const struct catalog_iceberg *catalog, struct iceberg_db *db,
                             struct errinfo *info)
{
    bool has_tables = false;
    bool has_namespaces = false;
    TRY(iceberg_db__has(catalog, db,
                        "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = "
                        "'iceberg_tables'",
                        NULL, 0, &has_tables, info));
    TRY(iceberg_db__has(catalog, db,
                        "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = "
                        "'iceberg_namespace_properties'",
                        NULL, 0, &has_namespaces, info));
    if (!has_tables || !has_namespaces) {
        (void)errinfo_set(info, ERR_CORRUPT, NULL,
                          "\"%.*s\" is not an Iceberg catalog: it lacks the table \"%s\"",
                          SLICE_ARGS(base_name(catalog->location)),
                          has_tables ? "iceberg_namespace_properties" : "iceberg_tables");
        errinfo_hint(info, "It must be a SQLite file that PyIceberg's SqlCatalog, Iceberg's "
                           "JdbcCatalog or this program made.");
        return ERR_CORRUPT;
    }
    return iceberg_db__has(catalog, db,
                           "SELECT 1 FROM pragma_table_info('iceberg_tables') WHERE name = "
                           "'iceberg_type'",
                           NULL, 0, &db->has_views, info);
}

/* The catalogs of the file: how many, the first one's name in `db`, and all for a message. */
static enum err list_catalogs(const struct catalog_iceberg *catalog, struct iceberg_db *db,
                              struct buf *ret_names, size_t *ret_count, struct errinfo *info)
{
    sqlite3_stmt *stmt CLEANUP(iceberg_db__finalize) = NULL;
    size_t count = 0;
    int code;
    TRY(iceberg_db__prepare(catalog, db,
                            "SELECT catalog_name FROM iceberg_tables UNION SELECT catalog_name "
                            "FROM iceberg_namespace_properties ORDER BY 1",
                            NULL, 0, &stmt, info));
    while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct slice text = column_text(stmt, 0);
        if (text.len >= sizeof(db->name)) {
            return errinfo_set(info, ERR_LIMIT, NULL, "a catalog's name in the file is too long");
        }
        if (count++ == 0) {
            memcpy(db->name, text.len == 0 ? "" : text.ptr, text.len);
            db->catalog_name = (struct slice){db->name, text.len};
        }
        if (count <= NAMES_TOLD_MAX) {
            buf_printf(ret_names, "%s\"%.*s\"", count == 1 ? "" : ", ", SLICE_ARGS(text));
        }
    }
    if (code != SQLITE_DONE) {
        return iceberg_db__error(catalog, code, "read", info);
    }
    buf_append_str(ret_names, count > NAMES_TOLD_MAX ? " ..." : "");
    *ret_count = count;
    return buf_failed(ret_names) ? errinfo_nomem(info) : ERR_OK;
}

/* One file may hold several catalogs, told apart by a name that people seldom know. */
static enum err find_catalog_name(const struct catalog_iceberg *catalog, struct iceberg_db *db,
                                  struct errinfo *info)
{
    struct buf names CLEANUP(buf_fini) = {0};
    size_t count = 0;
    if (catalog->catalog_name.len > 0) {
        db->catalog_name = catalog->catalog_name;
        return ERR_OK;
    }
    TRY(list_catalogs(catalog, db, &names, &count, info));
    if (count > 1) {
        (void)errinfo_set(info, ERR_INVALID, "22023", "the file \"%.*s\" holds %zu catalogs: %s",
                          SLICE_ARGS(base_name(catalog->location)), count, buf_cstr(&names));
        errinfo_hint(info, "Say which one: ATTACH ... (TYPE iceberg_local, CATALOG_NAME '...').");
        return ERR_INVALID;
    }
    if (count == 0) {
        db->catalog_name = catalog->name;
    }
    return ERR_OK;
}

enum err iceberg_local__check(const struct catalog_iceberg *catalog, struct errinfo *info)
{
    struct iceberg_db db CLEANUP(iceberg_db__close) = {0};
    struct buf names CLEANUP(buf_fini) = {0};
    size_t count = 0;
    bool is_there = catalog->catalog_name.len == 0;
    TRY(iceberg_db__open(catalog, false, &db, info));
    if (!is_there) {
        TRY(iceberg_db__has(catalog, &db,
                            "SELECT 1 FROM iceberg_tables WHERE catalog_name = ?1 UNION ALL SELECT "
                            "1 FROM iceberg_namespace_properties WHERE catalog_name = ?1",
                            &catalog->catalog_name, 1, &is_there, info));
    }
    if (is_there) {
        return ERR_OK;
    }
    TRY(list_catalogs(catalog, &db, &names, &count, info));
    if (count == 0) {
        return ERR_OK; /* it will be the first one */
    }
    (void)errinfo_set(info, ERR_NOT_FOUND, "3D000", "the file \"%.*s\" holds no catalog \"%.*s\"",
                      SLICE_ARGS(base_name(catalog->location)), SLICE_ARGS(catalog->catalog_name));
    errinfo_hint(info, "It holds %s.", buf_cstr(&names));
    return ERR_NOT_FOUND;
}

static enum err configure(const struct catalog_iceberg *catalog, sqlite3 *db, struct errinfo *info)
{
    int was = 0;
    int code = sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS);
    static const int off[] = {SQLITE_DBCONFIG_ENABLE_TRIGGER, SQLITE_DBCONFIG_ENABLE_VIEW,
                              SQLITE_DBCONFIG_TRUSTED_SCHEMA};
    for (size_t i = 0; code == SQLITE_OK && i < ARRAY_COUNT(off); i++) {
        code = sqlite3_db_config(db, off[i], 0, &was);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, &was);
    }
    return code == SQLITE_OK ? ERR_OK : iceberg_db__error(catalog, code, "open", info);
}

static enum err open_file(const struct catalog_iceberg *catalog, const char *path, int flags,
                          struct iceberg_db *db, struct errinfo *info)
{
    int code = sqlite3_open_v2(path, &db->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    return code == SQLITE_OK ? configure(catalog, db->db, info)
                             : iceberg_db__error(catalog, code, "open", info);
}

/* What is read until the file is closed is of one moment. */
static int begin_reading(struct iceberg_db *db)
{
    int code = sqlite3_exec(db->db, "BEGIN; SELECT 1 FROM sqlite_schema", NULL, NULL, NULL);
    return code == SQLITE_OK ? code : sqlite3_extended_errcode(db->db);
}

/* A program that died in the middle of a commit left its journal, or its log: before anybody reads,
 * somebody who may write must undo what that says. SQLite does so as it begins to read. */
static bool wants_writer(int code)
{
    return code == SQLITE_READONLY_ROLLBACK || code == SQLITE_READONLY_RECOVERY ||
           code == SQLITE_READONLY_CANTINIT;
}

static enum err open_reader(const struct catalog_iceberg *catalog, const char *path,
                            struct iceberg_db *db, struct errinfo *info)
{
    TRY(open_file(catalog, path, SQLITE_OPEN_READONLY, db, info));
    int code = begin_reading(db);
    if (wants_writer(code)) {
        iceberg_db__close(db);
        TRY(open_file(catalog, path, SQLITE_OPEN_READWRITE, db, info));
        code = begin_reading(db);
    }
    if (code == SQLITE_OK) {
        return ERR_OK;
    }
    enum err err = iceberg_db__error(catalog, code, "read", info);
    if (wants_writer(code)) {
        errinfo_hint(info, "A program that wrote to it has died; who may write to the file mends "
                           "it by reading it.");
    }
    return err;
}

static enum err open_writer(const struct catalog_iceberg *catalog, const char *path,
                            struct iceberg_db *db, struct errinfo *info)
{
    TRY(open_file(catalog, path, SQLITE_OPEN_READWRITE, db, info));
    return iceberg_db__run(catalog, db, "BEGIN IMMEDIATE", NULL, 0, info);
}

enum err iceberg_db__open(const struct catalog_iceberg *catalog, bool is_writer,
                          struct iceberg_db *ret_db, struct errinfo *info)
{
    struct stat found;
    char *path CLEANUP(mem_free_cleanup) = mem_slicedup(catalog->location);
    if (path == NULL) {
        return errinfo_nomem(info);
    }
    if (stat(path, &found) != 0 || !S_ISREG(found.st_mode)) {
        (void)errinfo_set(info, ERR_NOT_FOUND, "58P01", "there is no catalog file \"%.*s\"",
                          SLICE_ARGS(base_name(catalog->location)));
        errinfo_hint(info, "ATTACH ... (TYPE iceberg_local, CREATE true) makes an empty one.");
        return ERR_NOT_FOUND;
    }
    *ret_db = (struct iceberg_db){0};
    enum err err = is_writer ? open_writer(catalog, path, ret_db, info)
                             : open_reader(catalog, path, ret_db, info);
    if (err == ERR_OK) {
        err = check_layout(catalog, ret_db, info);
    }
    if (err == ERR_OK) {
        err = find_catalog_name(catalog, ret_db, info);
    }
    if (err != ERR_OK) {
        iceberg_db__close(ret_db);
    }
    return err;
}

/* ---- reading ---- */

static enum err add_row(sqlite3_stmt *stmt, struct iceberg_name_list *list, struct errinfo *info)
{
    struct catalog_iceberg_name row = {.is_view = sqlite3_column_int(stmt, 3) != 0};
    if (!arena_slice(list->arena, column_text(stmt, 0), &row.ns) ||
        !arena_slice(list->arena, column_text(stmt, 1), &row.name) ||
        !arena_slice(list->arena, column_text(stmt, 2), &row.metadata_location)) {
        return errinfo_nomem(info);
    }
    return iceberg_catalog__add(list, &row, info);
}

static enum err read_rows(const struct catalog_iceberg *catalog, const char *sql_v1,
                          const char *sql_v0, const struct slice *name,
                          struct iceberg_name_list *list, struct errinfo *info)
{
    struct iceberg_db db CLEANUP(iceberg_db__close) = {0};
    sqlite3_stmt *stmt CLEANUP(iceberg_db__finalize) = NULL;
    TRY(iceberg_db__open(catalog, false, &db, info));
    struct slice texts[] = {db.catalog_name, name == NULL ? db.catalog_name : *name};
    TRY(iceberg_db__prepare(catalog, &db, db.has_views ? sql_v1 : sql_v0, texts,
                            name == NULL ? 1 : 2, &stmt, info));
    int code;
    while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
        TRY(add_row(stmt, list, info));
    }
    return code == SQLITE_DONE ? ERR_OK : iceberg_db__error(catalog, code, "read", info);
}

enum err iceberg_local__names(const struct catalog_iceberg *catalog, struct slice name,
                              struct iceberg_name_list *list, struct errinfo *info)
{
    /* Rows of a type that is neither are of a newer layout: not shown rather than misread. */
    return read_rows(catalog,
                     "SELECT table_namespace, table_name, metadata_location, iceberg_type IS "
                     "'VIEW' FROM iceberg_tables WHERE catalog_name = ?1 AND (?2 = '' OR "
                     "table_name = ?2 COLLATE NOCASE) AND (iceberg_type IS NULL OR iceberg_type "
                     "IN ('TABLE', 'VIEW'))",
                     "SELECT table_namespace, table_name, metadata_location, 0 FROM "
                     "iceberg_tables WHERE catalog_name = ?1 AND (?2 = '' OR table_name = ?2 "
                     "COLLATE NOCASE)",
                     &name, list, info);
}

enum err iceberg_local__namespaces(const struct catalog_iceberg *catalog,
                                   struct iceberg_name_list *list, struct errinfo *info)
{
    static const char *const sql = "SELECT table_namespace, '', '', 0 FROM iceberg_tables WHERE "
                                   "catalog_name = ?1 UNION SELECT namespace, '', '', 0 FROM "
                                   "iceberg_namespace_properties WHERE catalog_name = ?1";
    return read_rows(catalog, sql, sql, NULL, list, info);
}

enum err iceberg_db__namespace_exists(const struct catalog_iceberg *catalog, struct iceberg_db *db,
                                      struct slice ns, bool *ret_exists, struct errinfo *info)
{
    struct slice texts[] = {db->catalog_name, ns};
    return iceberg_db__has(catalog, db,
                           "SELECT 1 FROM (SELECT table_namespace AS ns FROM iceberg_tables WHERE "
                           "catalog_name = ?1 UNION ALL SELECT namespace FROM "
                           "iceberg_namespace_properties WHERE catalog_name = ?1) WHERE ns = ?2 "
                           "OR substr(ns, 1, length(?2) + 1) = ?2 || '.' LIMIT 1",
                           texts, ARRAY_COUNT(texts), ret_exists, info);
}

enum err iceberg_local__properties(const struct catalog_iceberg *catalog, struct slice ns,
                                   struct arena *arena, struct iceberg_property **ret_properties,
                                   size_t *ret_count, struct errinfo *info)
{
    struct iceberg_db db CLEANUP(iceberg_db__close) = {0};
    sqlite3_stmt *stmt CLEANUP(iceberg_db__finalize) = NULL;
    bool exists = false;
    TRY(iceberg_db__open(catalog, false, &db, info));
    TRY(iceberg_db__namespace_exists(catalog, &db, ns, &exists, info));
    if (!exists) {
        return iceberg_catalog__no_namespace(catalog, ns, info);
    }
    struct slice texts[] = {db.catalog_name, ns};
    TRY(iceberg_db__prepare(catalog, &db,
                            "SELECT property_key, property_value FROM "
                            "iceberg_namespace_properties WHERE catalog_name = ?1 AND namespace = "
                            "?2 ORDER BY 1",
                            texts, ARRAY_COUNT(texts), &stmt, info));
    struct iceberg_property *properties = NULL;
    size_t count = 0;
    size_t capacity = 0;
    int code;
    while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
        if (count == capacity) {
            capacity = capacity == 0 ? 8 : capacity * 2;
            struct iceberg_property *grown = arena_calloc(arena, capacity, sizeof(*grown));
            if (grown == NULL) {
                return errinfo_nomem(info);
            }
            memcpy(grown, properties == NULL ? grown : properties, count * sizeof(*grown));
            properties = grown;
        }
        if (!arena_slice(arena, column_text(stmt, 0), &properties[count].key) ||
            !arena_slice(arena, column_text(stmt, 1), &properties[count].value)) {
            return errinfo_nomem(info);
        }
        count++;
    }
    if (code != SQLITE_DONE) {
        return iceberg_db__error(catalog, code, "read", info);
    }
    *ret_properties = properties;
    *ret_count = count;
    return ERR_OK;
}
