/* Executing one command: transactions, settings and cursors here, all others through a portal. */
#include "base/mem.h"
#include "sql/scan.h"
#include "wire/pg/copy_in.h"
#include "wire/pg/pg_int.h"

enum err pg__check_transaction(const struct pg_connection *connection,
                               const struct pg_command *command, struct errinfo *info)
{
    bool may_end = command->kind == COMMAND_COMMIT || command->kind == COMMAND_ROLLBACK ||
                   command->kind == COMMAND_ROLLBACK_TO || command->kind == COMMAND_EMPTY;
    if (connection->status == 'E' && !may_end) {
        return errinfo_set(info, ERR_INVALID, "25P02",
                           "current transaction is aborted, commands ignored until end of "
                           "transaction block");
    }
    return ERR_OK;
}

void pg__fail_transaction(struct pg_connection *connection)
{
    if (connection->status != 'I') {
        connection->status = 'E';
        pg__portal_end_transaction(connection, false);
    }
}

/* ---- transactions ---- */

static void warn(struct pg_connection *connection, const char *sqlstate, const char *message)
{
    pg__write_notice(&connection->out, "WARNING", sqlstate, message);
}

static enum err set_mode(struct pg_connection *connection, const struct pg_command *command,
                         const char *name, signed char mode, struct errinfo *info)
{
    char full[64];
    struct slice value = mode > 0 ? SLICE("on") : SLICE("off");
    (void)snprintf(full, sizeof(full), "%s%s", command->is_characteristics ? "default_" : "", name);
    return mode == 0 ? ERR_OK
                     : pg__setting_set(connection, pg__setting_find(slice_of(full)), &value,
                                       !command->is_characteristics, info);
}

/* What BEGIN and SET TRANSACTION say of a transaction. */
static enum err set_modes(struct pg_connection *connection, const struct pg_command *command,
                          struct errinfo *info)
{
    TRY(set_mode(connection, command, "transaction_read_only", command->read_only, info));
    return set_mode(connection, command, "transaction_deferrable", command->deferrable, info);
}

static enum err run_set_transaction(struct pg_connection *connection,
                                    const struct pg_command *command, struct errinfo *info)
{
    if (!command->is_characteristics && connection->status == 'I') {
        warn(connection, "25P01", "SET TRANSACTION can only be used in transaction blocks");
    } else {
        TRY(set_modes(connection, command, info));
    }
    pg__write_tag(&connection->out, "SET");
    return ERR_OK;
}

static enum err run_begin(struct pg_connection *connection, const struct pg_command *command,
                          struct errinfo *info)
{
    struct session *session;
    TRY(pg__session_main(connection, &session, info));
    TRY(session_begin(session, info));
    if (connection->status == 'T') {
        warn(connection, "25001", "there is already a transaction in progress");
    }
    connection->status = 'T';
    TRY(set_modes(connection, command, info));
    bool is_start = slice_starts_with_fold(command->text, SLICE("start"));
    pg__write_tag(&connection->out, is_start ? "START TRANSACTION" : "BEGIN");
    return ERR_OK;
}

enum err pg__end_block(struct pg_connection *connection, bool is_commit, struct errinfo *info)
{
    if (connection->sessions == NULL || connection->sessions[0].session == NULL) {
        return ERR_OK;
    }
    struct session *session = connection->sessions[0].session;
    enum err err = ERR_OK;
    if (session_has_changes(session)) { /* else there is nothing to say in the audit trail */
        err = pg__session_run(connection, is_commit ? SLICE("COMMIT") : SLICE("ROLLBACK"), info);
    }
    session_end(session, is_commit);
    return err;
}

static enum err run_end(struct pg_connection *connection, const struct pg_command *command,
                        struct errinfo *info)
{
    bool is_commit = command->kind == COMMAND_COMMIT && connection->status != 'E';
    if (connection->status == 'I') {
        warn(connection, "25P01", "there is no transaction in progress");
    }
    connection->status = 'I'; /* before settings go back, so that they are not saved again */
    pg__portal_end_transaction(connection, is_commit);
    enum err err = pg__end_block(connection, is_commit, info);
    pg__setting_end(connection, is_commit && err == ERR_OK);
    TRY(err);
    if (command->is_chained) {
        struct session *session;
        TRY(pg__session_main(connection, &session, info));
        TRY(session_begin(session, info));
        connection->status = 'T';
    }
    pg__write_tag(&connection->out, is_commit ? "COMMIT" : "ROLLBACK");
    return ERR_OK;
}

static enum err run_savepoint(struct pg_connection *connection, const struct pg_command *command,
                              struct errinfo *info)
{
    static const char *const tags[] = {[SESSION_SAVEPOINT_SET] = "SAVEPOINT",
                                       [SESSION_SAVEPOINT_RELEASE] = "RELEASE",
                                       [SESSION_SAVEPOINT_ROLLBACK] = "ROLLBACK"};
    enum session_savepoint which = command->kind == COMMAND_SAVEPOINT ? SESSION_SAVEPOINT_SET
                                   : command->kind == COMMAND_RELEASE ? SESSION_SAVEPOINT_RELEASE
                                                                      : SESSION_SAVEPOINT_ROLLBACK;
    struct session *session;
    TRY(pg__session_main(connection, &session, info));
    TRY(session_use_savepoint(session, which, command->name, info));
    if (which == SESSION_SAVEPOINT_ROLLBACK) {
        connection->status = 'T';
    }
    pg__write_tag(&connection->out, tags[which]);
    return ERR_OK;
}

/* ---- settings ---- */

static enum err run_set(struct pg_connection *connection, const struct pg_command *command,
                        struct errinfo *info)
{
    int setting = pg__setting_find(command->name);
    bool is_default = command->is_default || command->kind == COMMAND_RESET;
    if (command->is_local && connection->status == 'I') {
        warn(connection, "25P01", "SET LOCAL can only be used in transaction blocks");
    } else {
        TRY(pg__setting_set(connection, setting, is_default ? NULL : &command->value,
                            command->is_local, info));
    }
    pg__write_tag(&connection->out, command->kind == COMMAND_RESET ? "RESET" : "SET");
    return ERR_OK;
}

static enum err reset_all(struct pg_connection *connection, struct errinfo *info)
{
    TRY(pg__session_run(connection, SLICE("RESET ALL"), info));
    return pg__setting_reset_all(connection, info);
}

static void drop_statements(struct pg_connection *connection)
{
    while (connection->statements != NULL) {
        pg__statement_drop(connection, connection->statements);
    }
}

static enum err run_deallocate(struct pg_connection *connection, const struct pg_command *command,
                               struct errinfo *info)
{
    struct pg_statement *statement =
        command->name.len == 0 ? NULL : pg__statement_find(connection, command->name);
    if (statement != NULL) {
        pg__statement_drop(connection, statement);
    } else {
        if (command->name.len == 0) {
            drop_statements(connection);
        }
        TRY(pg__session_run(connection, command->text, info));
    }
    pg__write_tag(&connection->out, command->name.len == 0 ? "DEALLOCATE ALL" : "DEALLOCATE");
    return ERR_OK;
}

static void drop_temps(struct pg_connection *connection)
{
    if (connection->sessions != NULL && connection->sessions[0].session != NULL) {
        session_drop_temps(connection->sessions[0].session);
    }
}

static enum err run_discard(struct pg_connection *connection, const struct pg_command *command,
                            struct errinfo *info)
{
    bool is_all = slice_equal_fold(command->name, SLICE("all"));
    if (is_all && connection->status != 'I') {
        return errinfo_set(info, ERR_INVALID, "25001",
                           "DISCARD ALL cannot run inside a transaction block");
    }
    if (is_all) {
        pg__portal_end_transaction(connection, false);
        drop_statements(connection);
        TRY(pg__session_run(connection, SLICE("DEALLOCATE ALL"), info));
        drop_temps(connection);
        TRY(reset_all(connection, info));
    }
    if (slice_equal_fold(command->name, SLICE("temp"))) {
        drop_temps(connection);
    }
    char tag[32];
    (void)snprintf(tag, sizeof(tag), "DISCARD %s", is_all ? "ALL" : "PLANS");
    pg__write_tag(&connection->out, tag);
    return ERR_OK;
}

/* ---- cursors ---- */

static enum err run_declare(struct pg_connection *connection, const struct pg_command *command,
                            struct errinfo *info)
{
    struct pg_portal *cursor;
    struct pg_command query;
    if (connection->status == 'I' && !command->is_held) {
        return errinfo_set(info, ERR_INVALID, "25P01",
                           "DECLARE CURSOR can only be used in transaction blocks");
    }
    if (command->is_scroll) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL, "cursors go forward only: no SCROLL");
    }
    if (pg__portal_find(connection, command->name) != NULL) {
        return errinfo_set(info, ERR_EXISTS, "42P03", "cursor \"%.*s\" already exists",
                           SLICE_ARGS(command->name));
    }
    TRY(pg__portal_new(connection, command->name, &cursor, info));
    cursor->is_cursor = true;
    cursor->is_held = command->is_held;
    cursor->all_format = command->is_binary;
    cursor->command = (struct pg_command){.kind = COMMAND_DECLARE};
    enum err err = arena_slice(cursor->arena, command->text, &cursor->command.text) &&
                           arena_slice(cursor->arena, command->value, &cursor->command.value)
                       ? pg__command_parse(cursor->command.text, cursor->arena, &query, info)
                       : errinfo_nomem(info);
    if (err == ERR_OK && (query.kind != COMMAND_STATEMENT || !query.is_select)) {
        err = errinfo_set(info, ERR_SYNTAX, "42601", "a cursor is FOR a SELECT");
    }
    if (err == ERR_OK) {
        err = pg__portal_open(connection, cursor, info);
    }
    if (err != ERR_OK) {
        pg__portal_close(connection, cursor);
        return err;
    }
    pg__write_tag(&connection->out, "DECLARE CURSOR");
    return ERR_OK;
}

static enum err find_cursor(struct pg_connection *connection, struct slice name,
                            struct pg_portal **ret_cursor, struct errinfo *info)
{
    *ret_cursor = pg__portal_find(connection, name);
    return *ret_cursor != NULL && name.len > 0
               ? ERR_OK
               : errinfo_set(info, ERR_NOT_FOUND, "34000", "cursor \"%.*s\" does not exist",
                             SLICE_ARGS(name));
}

/* Rows go in the formats that the FETCH was bound with. */
static void set_format(struct pg_encoder *encoder, enum pg_format format)
{
    encoder->format = format;
    if (encoder->owned != NULL) {
        set_format(encoder->owned, format);
    }
}

static enum err skip_rows(struct pg_connection *connection, struct pg_portal *cursor,
                          uint64_t count, struct errinfo *info)
{
    cursor->row_count = 0;
    while (cursor->row_count < count) {
        TRY(pg__portal_pull(connection, cursor, info));
        if (cursor->batch.release == NULL) {
            break;
        }
        uint64_t here = (uint64_t)(cursor->batch.length - cursor->batch_row);
        uint64_t want = count - cursor->row_count;
        uint64_t some = here < want ? here : want;
        cursor->batch_row += (int64_t)some;
        cursor->row_count += some;
    }
    return ERR_OK;
}

static enum err run_fetch(struct pg_connection *connection, const struct pg_portal *portal,
                          struct errinfo *info)
{
    const struct pg_command *command = &portal->command;
    struct pg_portal *cursor;
    bool is_done;
    char tag[48];
    bool is_fetch = command->kind == COMMAND_FETCH;
    TRY(find_cursor(connection, command->name, &cursor, info));
    TRY(pg__portal_open(connection, cursor, info)); /* one of the protocol may only be bound */
    bool is_bound = portal->statement != NULL;
    for (size_t i = 0; is_bound && cursor->encoders != NULL && i < cursor->column_count; i++) {
        uint16_t format = portal->format_count > 1 && i < portal->format_count ? portal->formats[i]
                                                                               : portal->all_format;
        set_format(&cursor->encoders[i], format == 1 ? PG_FORMAT_BINARY : PG_FORMAT_TEXT);
    }
    cursor->row_count = 0;
    if (!is_fetch) {
        TRY(skip_rows(connection, cursor, command->count, info));
    } else if (command->count > 0) {
        uint64_t rows_max = command->count == UINT64_MAX ? 0 : command->count;
        TRY(pg__portal_send(connection, cursor, rows_max, &is_done, info));
    }
    (void)snprintf(tag, sizeof(tag), "%s %llu", is_fetch ? "FETCH" : "MOVE",
                   (unsigned long long)cursor->row_count);
    pg__write_tag(&connection->out, tag);
    return ERR_OK;
}

static enum err run_close(struct pg_connection *connection, const struct pg_command *command,
                          struct errinfo *info)
{
    struct pg_portal *cursor;
    if (command->name.len > 0) {
        TRY(find_cursor(connection, command->name, &cursor, info));
        pg__portal_close(connection, cursor);
    } else {
        struct pg_portal *next;
        for (cursor = connection->portals; cursor != NULL; cursor = next) {
            next = cursor->next;
            if (cursor->is_cursor) {
                pg__portal_close(connection, cursor);
            }
        }
    }
    pg__write_tag(&connection->out, command->name.len > 0 ? "CLOSE CURSOR" : "CLOSE CURSOR ALL");
    return ERR_OK;
}

/* ---- statements ---- */

static enum err check_statement(const struct pg_connection *connection,
                                const struct pg_command *command, struct errinfo *info)
{
    if (command->is_transactional) {
        return ERR_OK;
    }
    int read_only = pg__setting_find(SLICE("transaction_read_only"));
    if (strcmp(pg__setting_value(connection, read_only), "on") == 0) {
        return errinfo_set(info, ERR_INVALID, "25006",
                           "the statement cannot run in a read-only transaction");
    }
    if (connection->status == 'I') {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_INVALID, "25001",
                      "the statement cannot run inside a transaction block");
    errinfo_hint(info, "What it changes could not be rolled back: run it outside of BEGIN ... "
                       "COMMIT (autocommit).");
    return ERR_INVALID;
}

static enum err run_statement(struct pg_connection *connection, struct pg_portal *portal,
                              uint64_t rows_max, struct errinfo *info)
{
    bool is_done = true;
    const struct pg_command *command = &portal->command;
    if (command->kind == COMMAND_STATEMENT) {
        TRY(check_statement(connection, command, info));
    }
    TRY(pg__portal_open(connection, portal, info));
    const char *name = portal->query == NULL ? "SHOW" : query_tag(portal->query);
    if (command->kind == COMMAND_COPY_OUT) {
        TRY(pg__copy_out(connection, portal, info));
        name = "COPY";
    } else if (portal->has_rows) {
        TRY(pg__portal_send(connection, portal, rows_max, &is_done, info));
    }
    if (!is_done) {
        pg__write_empty(&connection->out, 's');
        return ERR_OK;
    }
    bool is_counted = command->kind == COMMAND_COPY_OUT || command->is_select ||
                      command->kind == COMMAND_CONSTANT || strcmp(name, "EXECUTE") == 0;
    if (is_counted) {
        bool is_copy = command->kind == COMMAND_COPY_OUT;
        pg__write_count_tag(&connection->out, is_copy ? "COPY " : "SELECT ", portal->row_count);
    } else {
        pg__write_tag(&connection->out, name);
    }
    if (portal->query != NULL) { /* what it holds is for others now */
        pg__portal_stop(connection, portal);
    }
    return ERR_OK;
}

static enum err run_command(struct pg_connection *connection, struct pg_portal *portal,
                            uint64_t rows_max, struct errinfo *info)
{
    const struct pg_command *command = &portal->command;
    switch (command->kind) {
    case COMMAND_EMPTY:
        pg__write_empty(&connection->out, 'I');
        return ERR_OK;
    case COMMAND_BEGIN:
        return run_begin(connection, command, info);
    case COMMAND_COMMIT:
    case COMMAND_ROLLBACK:
        return run_end(connection, command, info);
    case COMMAND_SAVEPOINT:
    case COMMAND_RELEASE:
    case COMMAND_ROLLBACK_TO:
        return run_savepoint(connection, command, info);
    case COMMAND_SET:
    case COMMAND_RESET:
        return run_set(connection, command, info);
    case COMMAND_RESET_ALL:
        TRY(reset_all(connection, info));
        pg__write_tag(&connection->out, "RESET");
        return ERR_OK;
    case COMMAND_SET_TRANSACTION:
        return run_set_transaction(connection, command, info);
    case COMMAND_KEEP:
        pg__write_tag(&connection->out, command->is_default ? "RESET" : "SET");
        return ERR_OK;
    case COMMAND_DECLARE:
        return run_declare(connection, command, info);
    case COMMAND_FETCH:
    case COMMAND_MOVE:
        return run_fetch(connection, portal, info);
    case COMMAND_CLOSE:
        return run_close(connection, command, info);
    case COMMAND_DEALLOCATE:
        return run_deallocate(connection, command, info);
    case COMMAND_DISCARD:
        return run_discard(connection, command, info);
    case COMMAND_UNLISTEN:
        pg__write_tag(&connection->out, "UNLISTEN");
        return ERR_OK;
    case COMMAND_COPY_IN:
        return pg__copy_in(connection, portal, info);
    case COMMAND_STATEMENT:
    case COMMAND_SHOW:
    case COMMAND_COPY_OUT:
    case COMMAND_CONSTANT:
        return run_statement(connection, portal, rows_max, info);
    }
    ASSERT(false);
    return ERR_INTERNAL;
}

/* Who asks is looked at again when a query is opened. */
static bool is_checked_later(const struct pg_portal *portal)
{
    enum pg_command_kind kind = portal->command.kind;
    return kind == COMMAND_STATEMENT || kind == COMMAND_COPY_OUT || kind == COMMAND_COPY_IN ||
           kind == COMMAND_DECLARE || kind == COMMAND_EMPTY;
}

enum err pg__run(struct pg_connection *connection, struct pg_portal *portal, uint64_t rows_max,
                 struct errinfo *info)
{
    if (portal->has_run || !is_checked_later(portal)) {
        TRY(pg__session_check(connection, info));
    }
    portal->has_run = true;
    portal->is_running = true; /* not to be closed under its own feet */
    enum err err = run_command(connection, portal, rows_max, info);
    portal->is_running = false;
    return err;
}
