/* SQLite, as this module uses it: statements cached by the address of their literal text, values
 * only ever bound, transactions that hold the mutex. */
#include "base/checked.h"
#include "system/change_int.h"

/* ---- results ---- */

static enum err simple_error(enum err err, const char *sqlstate, const char *verb, const char *why,
                             struct errinfo *info)
{
    return errinfo_set(info, err, sqlstate,
                       "cannot %s the warehouse's store \"" SYSTEM_FILE "\": %s", verb, why);
}

enum err system__error(int code, const char *verb, struct errinfo *info)
{
    const char *why = sqlite3_errstr(code); /* fixed texts: no data, no paths */
    if (code == SQLITE_IOERR_NOMEM) {
        return errinfo_nomem(info);
    }
    switch (code & 0xFF) {
    case SQLITE_NOMEM:
        return errinfo_nomem(info);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        (void)simple_error(ERR_BUSY, "55P03", verb, "another process holds it", info);
        errinfo_hint(info, "Try again; one write at a time is possible.");
        return ERR_BUSY;
    case SQLITE_FULL:
        (void)simple_error(ERR_IO, "53100", verb, "the disk is full", info);
        errinfo_hint(info, "Free some space; the store is as it was before.");
        return ERR_IO;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_PROTOCOL:
    case SQLITE_NOLFS:
        return simple_error(ERR_IO, NULL, verb, why, info);
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
        return simple_error(ERR_DENIED, NULL, verb, why, info);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        (void)simple_error(ERR_CORRUPT, NULL, verb, why, info);
        errinfo_hint(info, "Restore the warehouse's folder from a backup.");
        return ERR_CORRUPT;
    case SQLITE_TOOBIG:
        return simple_error(ERR_LIMIT, "54000", verb, "a text is too long", info);
    default: /* codes are SQLite's, not an enum of ours */
        return simple_error(ERR_INTERNAL, NULL, verb, why, info);
    }
}

/* ---- statements ---- */

static enum err find_statement(struct system *system, const char *sql, sqlite3_stmt **ret_stmt,
                               struct errinfo *info)
{
    size_t slot = ((uintptr_t)sql >> 3) % SYSTEM_STATEMENTS_MAX;
    for (size_t probes = 0; system->statements[slot].sql != sql; probes++) {
        ASSERT(probes < SYSTEM_STATEMENTS_MAX / 2);
        if (system->statements[slot].sql == NULL) {
            sqlite3_stmt *stmt = NULL;
            int code =
                sqlite3_prepare_v3(system->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
            if (code != SQLITE_OK) {
                return system__error(code, "read", info);
            }
            system->statements[slot] = (struct system_statement){sql, stmt};
            break;
        }
        slot = (slot + 1) % SYSTEM_STATEMENTS_MAX;
    }
    *ret_stmt = system->statements[slot].stmt;
    return ERR_OK;
}

static int bind_value(sqlite3_stmt *stmt, int at, const struct value *value)
{
    const char *bytes = value->bytes.len == 0 ? "" : value->bytes.ptr;
    switch (value->kind) {
    case VALUE_NULL:
        return sqlite3_bind_null(stmt, at);
    case VALUE_INT:
        return sqlite3_bind_int64(stmt, at, value->integer);
    case VALUE_TEXT:
        return sqlite3_bind_text64(stmt, at, bytes, value->bytes.len, SQLITE_STATIC, SQLITE_UTF8);
    case VALUE_BLOB:
        return sqlite3_bind_blob64(stmt, at, bytes, value->bytes.len, SQLITE_STATIC);
    }
    return SQLITE_MISUSE;
}

enum err system__open_cursor(struct system *system, const char *sql, const struct value *values,
                             size_t value_count, struct cursor *ret_cursor, struct errinfo *info)
{
    sqlite3_stmt *stmt = NULL;
    TRY(find_statement(system, sql, &stmt, info));
    ASSERT(!sqlite3_stmt_busy(stmt)); /* no statement is used inside a loop over itself */
    ASSERT(sqlite3_bind_parameter_count(stmt) == (int)value_count);
    for (size_t i = 0; i < value_count; i++) {
        int code = bind_value(stmt, (int)i + 1, &values[i]);
        if (code != SQLITE_OK) {
            (void)sqlite3_clear_bindings(stmt);
            return system__error(code, "read", info);
        }
    }
    *ret_cursor = (struct cursor){system, stmt};
    return ERR_OK;
}

enum err system__next(struct cursor *cursor, bool *ret_has_row, struct errinfo *info)
{
    int code = sqlite3_step(cursor->stmt);
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        return system__error(code, sqlite3_stmt_readonly(cursor->stmt) ? "read" : "write", info);
    }
    *ret_has_row = code == SQLITE_ROW;
    return ERR_OK;
}

void system__close_cursor(struct cursor *cursor)
{
    if (cursor->stmt != NULL) {
        (void)sqlite3_reset(cursor->stmt); /* repeats the error that the step has told */
        (void)sqlite3_clear_bindings(cursor->stmt);
        cursor->stmt = NULL;
    }
}

enum err system__run(struct system *system, const char *sql, const struct value *values,
                     size_t value_count, struct errinfo *info)
{
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    bool has_row = false;
    TRY(system__open_cursor(system, sql, values, value_count, &cursor, info));
    TRY(system__next(&cursor, &has_row, info));
    ASSERT(!has_row);
    return ERR_OK;
}

enum err system__number(struct system *system, const char *sql, const struct value *values,
                        size_t value_count, bool *ret_found, int64_t *ret_number,
                        struct errinfo *info)
{
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    TRY(system__open_cursor(system, sql, values, value_count, &cursor, info));
    bool has_row = false;
    TRY(system__next(&cursor, &has_row, info));
    if (has_row) {
        *ret_number = system__int(&cursor, 0);
    }
    *ret_found = has_row;
    return ERR_OK;
}

int64_t system__int(const struct cursor *cursor, int column)
{
    return sqlite3_column_int64(cursor->stmt, column);
}

struct slice system__view(const struct cursor *cursor, int column)
{
    /* As a blob: texts are stored as UTF-8, so nothing is converted and nothing can fail. */
    const void *bytes = sqlite3_column_blob(cursor->stmt, column);
    int len = sqlite3_column_bytes(cursor->stmt, column);
    return (struct slice){bytes == NULL ? "" : bytes, bytes == NULL || len < 0 ? 0 : (size_t)len};
}

enum err system__text(const struct cursor *cursor, int column, struct arena *arena,
                      struct slice *ret_text, struct errinfo *info)
{
    return arena_slice(arena, system__view(cursor, column), ret_text) ? ERR_OK
                                                                      : errinfo_nomem(info);
}

void *system__push(struct arena *arena, void *items, size_t count, size_t *capacity,
                   size_t item_bytes)
{
    if (items != NULL && count < *capacity) {
        return items;
    }
    size_t larger = 8;
    if (count > 0 && !checked_mul(count, (size_t)2, &larger)) {
        return NULL;
    }
    void *moved = arena_calloc(arena, larger, item_bytes);
    if (moved != NULL && count > 0) {
        memcpy(moved, items, count * item_bytes);
    }
    if (moved != NULL) {
        *capacity = larger;
    }
    return moved;
}

enum err system__next_item(struct cursor *cursor, struct arena *arena, struct row_list *list,
                           void **ret_item, struct errinfo *info)
{
    bool has_row;
    TRY(system__next(cursor, &has_row, info));
    if (!has_row) {
        *ret_item = NULL;
        return ERR_OK;
    }
    void *items = system__push(arena, list->items, list->count, &list->capacity, list->item_bytes);
    if (items == NULL) {
        return errinfo_nomem(info);
    }
    list->items = items;
    *ret_item = (char *)items + list->count++ * list->item_bytes;
    return ERR_OK;
}

enum err system__texts(struct cursor *cursor, struct arena *arena, struct slice **ret_texts,
                       size_t *ret_count, struct errinfo *info)
{
    struct slice *texts = NULL;
    size_t count = 0, capacity = 0;
    for (bool has_row = false;;) {
        TRY(system__next(cursor, &has_row, info));
        if (!has_row) {
            break;
        }
        texts = system__push(arena, texts, count, &capacity, sizeof(*texts));
        if (texts == NULL) {
            return errinfo_nomem(info);
        }
        TRY(system__text(cursor, 0, arena, &texts[count++], info));
    }
    *ret_texts = texts;
    *ret_count = count;
    return ERR_OK;
}

/* ---- transactions ---- */

void system__rollback(struct system *system)
{
    if (!sqlite3_get_autocommit(system->db)) {
        enum err err = system__run(system, "ROLLBACK", NO_VALUES, NULL);
        (void)err; /* an error here has ended the transaction as well */
    }
}

/* Pragmas of this kind act when they are prepared, so this one is not cached. */
enum err system__set_synced(struct system *system, bool is_synced, struct errinfo *info)
{
    if (system->is_unsynced == !is_synced) {
        return ERR_OK;
    }
    const char *sql = is_synced ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL";
    int code = sqlite3_exec(system->db, sql, NULL, NULL, NULL);
    if (code != SQLITE_OK) {
        return system__error(code, "write", info);
    }
    system->is_unsynced = !is_synced;
    return ERR_OK;
}

static enum err begin(struct system *system, const char *sql, struct errinfo *info)
{
    ASSERT(pthread_mutex_lock(&system->mutex) == 0);
    if (system->db == NULL) { /* an overlay that could not be made again */
        ASSERT(pthread_mutex_unlock(&system->mutex) == 0);
        return errinfo_set(info, ERR_BUSY, "25P02", "the transaction has failed: roll it back");
    }
    system__rollback(system); /* of a rollback that failed */
    enum err err = system__set_synced(system, true, info);
    if (err == ERR_OK) {
        err = system__run(system, sql, NO_VALUES, info);
    }
    if (err != ERR_OK) {
        ASSERT(pthread_mutex_unlock(&system->mutex) == 0);
    }
    return err;
}

static void end(struct system *system)
{
    ASSERT(pthread_mutex_unlock(&system->mutex) == 0);
}

enum err system__read_begin(struct system *system, struct errinfo *info)
{
    return begin(system, "BEGIN", info);
}

void system__read_end(struct system *system)
{
    system__rollback(system);
    end(system);
}

static enum err open_write(struct system *system, const struct identity *who,
                           struct actor *ret_actor, struct errinfo *info)
{
    bool found = false;
    int64_t version;
    TRY(system__number(system, "SELECT version FROM warehouse", NO_VALUES, &found, &version, info));
    if (!found) {
        return system__error(SQLITE_CORRUPT, "read", info);
    }
    system->next_version = (uint64_t)version + 1;
    system->changes_before = sqlite3_total_changes64(system->db);
    TRY(system__actor(system, who, ret_actor, info));
    if (ret_actor->id == 0) {
        return errinfo_set(info, ERR_DENIED, NULL, "\"%.*s\" is not a user of this warehouse",
                           SLICE_ARGS(identity_subject(who)));
    }
    return ERR_OK;
}

enum err system__write_begin(struct system *system, const struct identity *who,
                             struct actor *ret_actor, struct errinfo *info)
{
    if (!system__may_write(system)) {
        (void)errinfo_set(info, ERR_UNSUPPORTED, "25001",
                          "the statement cannot run inside a transaction block");
        errinfo_hint(info, "Users, roles, keys and attached catalogs are changed outside of BEGIN "
                           "... COMMIT (autocommit).");
        return ERR_UNSUPPORTED;
    }
    /* IMMEDIATE: the lock that writing needs is taken, or waited for, before anything is read. */
    TRY(begin(system, "BEGIN IMMEDIATE", info));
    enum err err = open_write(system, who, ret_actor, info);
    if (err != ERR_OK) {
        system__read_end(system);
    }
    return err;
}

static enum err commit(struct system *system, struct errinfo *info)
{
    if (sqlite3_total_changes64(system->db) == system->changes_before) {
        return system__run(system, "COMMIT", NO_VALUES, info); /* IF NOT EXISTS and the like */
    }
    system->is_written = true;
    TRY(system__run(system, "UPDATE warehouse SET version = ?1", VALUES(INT(system->next_version)),
                    info));
    TRY(system__run(system, "COMMIT", NO_VALUES, info));
    system->version = system->next_version;
    return ERR_OK;
}

enum err system__write_end(struct system *system, enum err err, struct errinfo *info)
{
    if (err == ERR_OK) {
        err = commit(system, info);
    }
    system__read_end(system);
    return err;
}
