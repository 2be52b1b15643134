/* Layout of the store: what it is, how it is made, and how an older one becomes today's.
 *
 * One entry of `layouts` takes a store from version i to i + 1; a new store starts at 0. All steps
 * and the first rows are one transaction, so that a store is either whole or still empty.
 * Names fold ASCII case (NOCASE), as SQL identifiers do. Ids that others may remember (users,
 * roles, relations, grants) are AUTOINCREMENT: never used again. */
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "system/system_int.h"

/* Grants name their object by text: relations that Moat makes itself have no row here. Columns of
 * grants are not tied to relation_column either: a grant on a column that went stays what it was,
 * and policy refuses what it cannot apply. */
static const char *const layouts[SYSTEM_LAYOUT] = {
    "CREATE TABLE principal ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " name TEXT NOT NULL COLLATE NOCASE UNIQUE,"
    " is_role INTEGER NOT NULL CHECK (is_role IN (0, 1)),"
    " verifier TEXT NOT NULL DEFAULT '',"
    " created_wall_us INTEGER NOT NULL) STRICT;"

    "CREATE TABLE warehouse ("
    " id INTEGER PRIMARY KEY CHECK (id = 1),"
    " uuid TEXT NOT NULL,"
    " mask_key BLOB NOT NULL CHECK (length(mask_key) = 32),"
    " owner INTEGER NOT NULL REFERENCES principal ON DELETE RESTRICT,"
    " version INTEGER NOT NULL,"
    " created_wall_us INTEGER NOT NULL) STRICT;"

    "CREATE TABLE attribute ("
    " principal INTEGER NOT NULL REFERENCES principal ON DELETE CASCADE,"
    " name TEXT NOT NULL COLLATE NOCASE,"
    " value TEXT NOT NULL,"
    " PRIMARY KEY (principal, name)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE membership ("
    " member INTEGER NOT NULL REFERENCES principal ON DELETE CASCADE,"
    " role INTEGER NOT NULL REFERENCES principal ON DELETE CASCADE,"
    " PRIMARY KEY (member, role),"
    " CHECK (member <> role)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX membership_role ON membership (role);"

    "CREATE TABLE schema ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " name TEXT NOT NULL COLLATE NOCASE UNIQUE,"
    " owner INTEGER NOT NULL REFERENCES principal ON DELETE RESTRICT) STRICT;"
    "CREATE INDEX schema_owner ON schema (owner);"

    "CREATE TABLE relation ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " uuid TEXT NOT NULL UNIQUE,"
    " schema INTEGER NOT NULL REFERENCES schema ON DELETE RESTRICT,"
    " name TEXT NOT NULL COLLATE NOCASE,"
    " owner INTEGER NOT NULL REFERENCES principal ON DELETE RESTRICT,"
    " kind TEXT NOT NULL CHECK (kind IN ('table', 'view')),"
    " format TEXT CHECK (format IN ('parquet', 'csv', 'json')),"
    " location TEXT NOT NULL,"
    " comment TEXT NOT NULL,"
    " view_sql TEXT NOT NULL,"
    " is_definer INTEGER NOT NULL CHECK (is_definer IN (0, 1)),"
    " version INTEGER NOT NULL,"
    " next_column_id INTEGER NOT NULL CHECK (next_column_id >= 1),"
    " UNIQUE (schema, name),"
    " CHECK ((kind = 'table') = (format IS NOT NULL))) STRICT;"
    "CREATE INDEX relation_owner ON relation (owner);"

    "CREATE TABLE relation_column ("
    " relation INTEGER NOT NULL REFERENCES relation ON DELETE CASCADE,"
    " ordinal INTEGER NOT NULL,"
    " id INTEGER NOT NULL CHECK (id >= 1),"
    " name TEXT NOT NULL COLLATE NOCASE,"
    " source TEXT NOT NULL,"
    " type TEXT NOT NULL,"
    " PRIMARY KEY (relation, ordinal),"
    " UNIQUE (relation, id),"
    " UNIQUE (relation, name)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE relation_option ("
    " relation INTEGER NOT NULL REFERENCES relation ON DELETE CASCADE,"
    " ordinal INTEGER NOT NULL,"
    " name TEXT NOT NULL,"
    " value TEXT NOT NULL,"
    " PRIMARY KEY (relation, ordinal)) STRICT, WITHOUT ROWID;"

    /* privileges: 1 SELECT, 2 CREATE; exactly one of them in a row. */
    "CREATE TABLE access_grant ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " effect TEXT NOT NULL CHECK (effect IN ('allow', 'deny')),"
    " privileges INTEGER NOT NULL CHECK (privileges IN (1, 2)),"
    " grantee INTEGER NOT NULL REFERENCES principal ON DELETE CASCADE,"
    " object TEXT NOT NULL COLLATE NOCASE,"
    " all_columns INTEGER NOT NULL CHECK (all_columns IN (0, 1)),"
    " row_filter TEXT NOT NULL,"
    " grantor TEXT NOT NULL,"
    " created_wall_us INTEGER NOT NULL) STRICT;"
    "CREATE INDEX access_grant_object ON access_grant (object);"
    "CREATE INDEX access_grant_grantee ON access_grant (grantee);"

    "CREATE TABLE grant_column ("
    " grant_id INTEGER NOT NULL REFERENCES access_grant ON DELETE CASCADE,"
    " column_id INTEGER NOT NULL,"
    " PRIMARY KEY (grant_id, column_id)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE grant_mask ("
    " grant_id INTEGER NOT NULL REFERENCES access_grant ON DELETE CASCADE,"
    " column_id INTEGER NOT NULL,"
    " expression TEXT NOT NULL,"
    " PRIMARY KEY (grant_id, column_id)) STRICT, WITHOUT ROWID;",

    "CREATE TABLE attached_catalog ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " name TEXT NOT NULL COLLATE NOCASE UNIQUE,"
    " type TEXT NOT NULL,"
    " location TEXT NOT NULL,"
    " owner INTEGER NOT NULL REFERENCES principal ON DELETE RESTRICT) STRICT;"
    "CREATE INDEX attached_catalog_owner ON attached_catalog (owner);"

    "CREATE TABLE attached_option ("
    " catalog INTEGER NOT NULL REFERENCES attached_catalog ON DELETE CASCADE,"
    " ordinal INTEGER NOT NULL,"
    " name TEXT NOT NULL,"
    " value TEXT NOT NULL,"
    " PRIMARY KEY (catalog, ordinal)) STRICT, WITHOUT ROWID;",

    /* seq 0: nothing is anchored yet. synced_seq: up to where a power loss cannot take it back. */
    "CREATE TABLE audit_anchor ("
    " id INTEGER PRIMARY KEY CHECK (id = 1),"
    " trail TEXT NOT NULL,"
    " seq INTEGER NOT NULL CHECK (seq >= 0),"
    " hash TEXT NOT NULL,"
    " wall_us INTEGER NOT NULL,"
    " synced_seq INTEGER NOT NULL) STRICT;"
    "INSERT INTO audit_anchor VALUES (1, '', 0, '', 0, 0);",

    /* Of a key that was taken back, that it was: the name may be given again, the prefix not. */
    "CREATE TABLE api_key ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " principal INTEGER NOT NULL REFERENCES principal ON DELETE CASCADE,"
    " name TEXT NOT NULL COLLATE NOCASE,"
    " prefix TEXT NOT NULL UNIQUE,"
    " hash BLOB NOT NULL CHECK (length(hash) = 32),"
    " created_by TEXT NOT NULL,"
    " created_wall_us INTEGER NOT NULL,"
    " expires_wall_us INTEGER NOT NULL,"
    " revoked_by TEXT NOT NULL DEFAULT '',"
    " revoked_wall_us INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE UNIQUE INDEX api_key_name ON api_key (principal, name) WHERE revoked_wall_us = 0;",
    /* What the query module calls them; a number each. */
    "CREATE TABLE principal_limit ("
    " principal INTEGER NOT NULL REFERENCES principal ON DELETE CASCADE,"
    " name TEXT NOT NULL,"
    " value INTEGER NOT NULL CHECK (value >= 0),"
    " PRIMARY KEY (principal, name)) STRICT, WITHOUT ROWID;",

    /* What the text of a view reads, by identity: ids and the names that the text uses; and the
     * schema of names without one, which is not where the view is when it was moved. */
    "ALTER TABLE relation ADD COLUMN view_schema TEXT NOT NULL DEFAULT '';"
    "CREATE TABLE view_source ("
    " relation INTEGER NOT NULL REFERENCES relation ON DELETE CASCADE,"
    " ordinal INTEGER NOT NULL,"
    " catalog TEXT NOT NULL,"
    " schema TEXT NOT NULL,"
    " name TEXT NOT NULL,"
    " uuid TEXT NOT NULL,"
    " PRIMARY KEY (relation, ordinal)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX view_source_uuid ON view_source (uuid);"

    "CREATE TABLE view_source_column ("
    " relation INTEGER NOT NULL,"
    " ordinal INTEGER NOT NULL,"
    " id INTEGER NOT NULL,"
    " name TEXT NOT NULL,"
    " PRIMARY KEY (relation, ordinal, id),"
    " FOREIGN KEY (relation, ordinal) REFERENCES view_source ON DELETE CASCADE)"
    " STRICT, WITHOUT ROWID;"

    "CREATE TABLE column_comment ("
    " relation INTEGER NOT NULL REFERENCES relation ON DELETE CASCADE,"
    " column_id INTEGER NOT NULL,"
    " comment TEXT NOT NULL,"
    " PRIMARY KEY (relation, column_id)) STRICT, WITHOUT ROWID;",

    /* Rights to write: 4 INSERT, 8 UPDATE, 16 DELETE, any of them in a row without columns, rows
     * and masks. A CHECK cannot be changed, and dropping a table deletes what refers to it: so all
     * three are made anew. Ids that were given stay given. */
    "CREATE TABLE new_grant ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " effect TEXT NOT NULL CHECK (effect IN ('allow', 'deny')),"
    " privileges INTEGER NOT NULL CHECK (privileges IN (1, 2) OR"
    "  (privileges BETWEEN 4 AND 28 AND privileges % 4 = 0 AND all_columns = 1"
    "   AND row_filter = '')),"
    " grantee INTEGER NOT NULL REFERENCES principal ON DELETE CASCADE,"
    " object TEXT NOT NULL COLLATE NOCASE,"
    " all_columns INTEGER NOT NULL CHECK (all_columns IN (0, 1)),"
    " row_filter TEXT NOT NULL,"
    " grantor TEXT NOT NULL,"
    " created_wall_us INTEGER NOT NULL) STRICT;"
    "INSERT INTO new_grant SELECT id, effect, privileges, grantee, object, all_columns, row_filter,"
    " grantor, created_wall_us FROM access_grant;"
    "DELETE FROM sqlite_sequence WHERE name = 'new_grant';"
    "INSERT INTO sqlite_sequence (name, seq)"
    " SELECT 'new_grant', seq FROM sqlite_sequence WHERE name = 'access_grant';"

    "CREATE TABLE new_column ("
    " grant_id INTEGER NOT NULL REFERENCES new_grant ON DELETE CASCADE,"
    " column_id INTEGER NOT NULL,"
    " PRIMARY KEY (grant_id, column_id)) STRICT, WITHOUT ROWID;"
    "INSERT INTO new_column SELECT grant_id, column_id FROM grant_column;"

    "CREATE TABLE new_mask ("
    " grant_id INTEGER NOT NULL REFERENCES new_grant ON DELETE CASCADE,"
    " column_id INTEGER NOT NULL,"
    " expression TEXT NOT NULL,"
    " PRIMARY KEY (grant_id, column_id)) STRICT, WITHOUT ROWID;"
    "INSERT INTO new_mask SELECT grant_id, column_id, expression FROM grant_mask;"

    "DROP TABLE grant_mask;"
    "DROP TABLE grant_column;"
    "DROP TABLE access_grant;"
    "ALTER TABLE new_grant RENAME TO access_grant;"
    "ALTER TABLE new_column RENAME TO grant_column;"
    "ALTER TABLE new_mask RENAME TO grant_mask;"
    "CREATE INDEX access_grant_object ON access_grant (object);"
    "CREATE INDEX access_grant_grantee ON access_grant (grantee);",
};

static enum err pragma_number(struct system *system, const char *sql, int64_t *ret_number,
                              struct errinfo *info)
{
    bool found = false;
    TRY(system__number(system, sql, NO_VALUES, &found, ret_number, info));
    return found ? ERR_OK : system__error(SQLITE_CORRUPT, "read", info);
}

/* The layout's version; 0 for a file that nothing was ever written to. */
static enum err read_layout(struct system *system, int64_t *ret_layout, struct errinfo *info)
{
    int64_t application, layout, objects;
    TRY(pragma_number(system, "PRAGMA application_id", &application, info));
    TRY(pragma_number(system, "PRAGMA user_version", &layout, info));
    TRY(pragma_number(system, "SELECT count(*) FROM sqlite_schema", &objects, info));
    if (application == 0 && layout == 0 && objects == 0) {
        *ret_layout = 0;
        return ERR_OK;
    }
    if (application != SYSTEM_APPLICATION_ID || layout < 1) {
        (void)errinfo_set(info, ERR_CORRUPT, NULL,
                          "\"" SYSTEM_FILE "\" is not the store of a warehouse");
        errinfo_hint(info, "Choose another folder with --warehouse.");
        return ERR_CORRUPT;
    }
    if (layout > SYSTEM_LAYOUT) {
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                          "this warehouse was made by a newer Moat (layout %lld, this one reads "
                          "up to %d)",
                          (long long)layout, SYSTEM_LAYOUT);
        errinfo_hint(info, "Use that version, or a later one.");
        return ERR_UNSUPPORTED;
    }
    *ret_layout = layout;
    return ERR_OK;
}

static enum err insert_warehouse(struct system *system, struct slice os_user,
                                 const uint8_t *mask_key, struct errinfo *info)
{
    char uuid[UUID_TEXT_BYTES];
    int64_t now_us = clock_wall_us();
    if (uuid_new(uuid) != ERR_OK) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "there are no random numbers");
    }
    TRY(system__run(system,
                    "INSERT INTO principal (id, name, is_role, created_wall_us) VALUES"
                    " (?1, '" SYSTEM_PUBLIC "', 1, ?3), (?2, '" SYSTEM_ROLE_ADMIN "', 1, ?3)",
                    VALUES(INT(SYSTEM_PUBLIC_ID), INT(SYSTEM_ADMIN_ID), INT(now_us)), info));
    TRY(system__run(system,
                    "INSERT INTO principal (name, is_role, created_wall_us) VALUES (?1, 0, ?2)",
                    VALUES(TEXT(os_user), INT(now_us)), info));
    int64_t owner = sqlite3_last_insert_rowid(system->db);
    TRY(system__run(system,
                    "INSERT INTO schema (name, owner) VALUES ('" SQL_SCHEMA_DEFAULT "', ?1)",
                    VALUES(INT(owner)), info));
    struct slice key = {(const char *)mask_key, SYSTEM_MASK_KEY_BYTES};
    return system__run(system,
                       "INSERT INTO warehouse (id, uuid, mask_key, owner, version,"
                       " created_wall_us) VALUES (1, ?1, ?2, ?3, 1, ?4)",
                       VALUES(TEXT(slice_of(uuid)), BLOB(key), INT(owner), INT(now_us)), info);
}

static enum err check_owner_name(struct slice os_user, struct errinfo *info)
{
    if (!identity_name_is_valid(os_user) || slice_equal_fold(os_user, SLICE(SYSTEM_PUBLIC)) ||
        slice_equal_fold(os_user, SLICE(SYSTEM_ROLE_ADMIN))) {
        return errinfo_set(info, ERR_INVALID, "42602",
                           "the name of the OS user cannot own a warehouse");
    }
    return ERR_OK;
}

/* Inside a write transaction: another process may have been faster, so look again. */
static enum err bring_up(struct system *system, struct slice os_user, struct errinfo *info)
{
    int64_t layout;
    TRY(read_layout(system, &layout, info));
    for (int64_t i = layout; i < SYSTEM_LAYOUT; i++) {
        int code = sqlite3_exec(system->db, layouts[i], NULL, NULL, NULL);
        if (code != SQLITE_OK) {
            return system__error(code, "make", info);
        }
    }
    if (layout == 0) {
        uint8_t mask_key[SYSTEM_MASK_KEY_BYTES];
        TRY(check_owner_name(os_user, info));
        if (random_bytes(mask_key, sizeof(mask_key)) != ERR_OK) {
            return errinfo_set(info, ERR_INTERNAL, NULL, "there are no random numbers");
        }
        enum err err = insert_warehouse(system, os_user, mask_key, info);
        mem_wipe(mask_key, sizeof(mask_key));
        TRY(err);
    }
    char header[96];
    (void)snprintf(header, sizeof(header), "PRAGMA application_id = %d; PRAGMA user_version = %d",
                   SYSTEM_APPLICATION_ID, SYSTEM_LAYOUT);
    int code = sqlite3_exec(system->db, header, NULL, NULL, NULL);
    system->is_written = true;
    return code == SQLITE_OK ? ERR_OK : system__error(code, "make", info);
}

/* A WAL: readers never wait for a writer nor it for them, and a commit is one sync. The mode is
 * kept in the file. Two processes that set it at once are told "busy" without waiting. */
static enum err set_wal(struct system *system, struct errinfo *info)
{
    int64_t deadline_us = clock_mono_us() + SYSTEM_BUSY_TIMEOUT_MS * 1000;
    for (;;) {
        struct cursor cursor CLEANUP(system__close_cursor) = {0};
        bool has_row = false;
        enum err err =
            system__open_cursor(system, "PRAGMA journal_mode = WAL", NO_VALUES, &cursor, info);
        if (err == ERR_OK) {
            err = system__next(&cursor, &has_row, info);
        }
        if (err == ERR_OK && has_row && slice_equal(system__view(&cursor, 0), SLICE("wal"))) {
            return ERR_OK;
        }
        if (err == ERR_OK) {
            return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                               "the file system of the warehouse does not let processes share "
                               "memory, which its store needs");
        }
        if (err != ERR_BUSY || clock_mono_us() > deadline_us) {
            return err;
        }
        (void)sqlite3_sleep(5);
    }
}

enum err system__prepare(struct system *system, struct slice os_user, bool create,
                         struct errinfo *info)
{
    int64_t layout;
    TRY(system__run(system, "BEGIN", NO_VALUES, info)); /* one state of the file */
    enum err err = read_layout(system, &layout, info);
    system__rollback(system);
    TRY(err);
    if (layout == 0 && !create) {
        return ERR_NOT_FOUND; /* the caller says of what */
    }
    TRY(set_wal(system, info));
    if (layout == SYSTEM_LAYOUT) {
        return ERR_OK;
    }
    TRY(system__run(system, "BEGIN IMMEDIATE", NO_VALUES, info));
    err = bring_up(system, os_user, info);
    if (err == ERR_OK) {
        err = system__run(system, "COMMIT", NO_VALUES, info);
    }
    system__rollback(system);
    return err;
}
