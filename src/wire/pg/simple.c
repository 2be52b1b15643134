/* The simple protocol: a text with any number of statements, rows as text.
 *
 * The statements of one message are one implicit transaction. What a rollback could not undo may
 * therefore only come last, where nothing after it can fail. */
#include "sql/scan.h"
#include "wire/pg/copy_in.h"
#include "wire/pg/pg_int.h"

#define MESSAGE_STATEMENTS_MAX 10000

struct pg_script {
    struct slice text;
    struct arena *arena;
    struct pg_command *commands;
    struct slice *statements;
    size_t count;
    size_t capacity;
    bool is_block;             /* its statements are one transaction, which nobody began */
    size_t next;               /* statement to run */
    struct slice at;           /* what an error is about */
    struct pg_portal *copying; /* its data are awaited */
};

static enum err grow(struct pg_script *script, struct errinfo *info)
{
    if (script->count < script->capacity) {
        return ERR_OK;
    }
    if (script->count >= MESSAGE_STATEMENTS_MAX) {
        return errinfo_set(info, ERR_LIMIT, "54000", "a message has at most %d statements",
                           MESSAGE_STATEMENTS_MAX);
    }
    size_t capacity = script->capacity == 0 ? 4 : script->capacity * 4;
    struct pg_command *commands = arena_calloc(script->arena, capacity, sizeof(*commands));
    struct slice *statements = arena_calloc(script->arena, capacity, sizeof(*statements));
    if (commands == NULL || statements == NULL) {
        return errinfo_nomem(info);
    }
    if (script->count > 0) {
        memcpy(commands, script->commands, script->count * sizeof(*commands));
        memcpy(statements, script->statements, script->count * sizeof(*statements));
    }
    script->commands = commands;
    script->statements = statements;
    script->capacity = capacity;
    return ERR_OK;
}

/* All of it is taken apart before any of it runs. `ret_at`: what an error is about. */
static enum err parse_script(struct pg_script *script, struct slice *ret_at, struct errinfo *info)
{
    struct slice rest = script->text;
    *ret_at = script->text;
    for (;;) {
        struct slice statement;
        TRY(sql_split(&rest, &statement, NULL, info));
        if (statement.len == 0) {
            return ERR_OK;
        }
        *ret_at = statement;
        TRY(grow(script, info));
        TRY(pg__own_types(statement, script->arena, &statement, info));
        TRY(pg__command_parse(statement, script->arena, &script->commands[script->count], info));
        script->statements[script->count++] = statement;
        *ret_at = script->text;
    }
}

static enum err check_order(const struct pg_connection *connection, const struct pg_script *script,
                            size_t index, struct errinfo *info)
{
    const struct pg_command *command = &script->commands[index];
    bool can_undo = command->is_transactional && (!command->is_change || script->is_block);
    if (connection->status != 'I' || command->kind != COMMAND_STATEMENT || can_undo ||
        index + 1 == script->count) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_INVALID, "25001",
                      "the statement cannot be followed by others in one message");
    errinfo_hint(info, "What it changes could not be rolled back if one of them failed: send it "
                       "last, or by itself.");
    return ERR_INVALID;
}

/* Changes before the last statement of a message are undone if a later one fails. Where the message
 * begins and ends transactions itself, these say how far. */
static enum err begin_block(struct pg_connection *connection, struct pg_script *script,
                            struct errinfo *info)
{
    bool has_changes = false;
    bool has_blocks = false;
    for (size_t i = 0; i < script->count; i++) {
        enum pg_command_kind kind = script->commands[i].kind;
        has_changes = has_changes || (script->commands[i].is_change && i + 1 < script->count);
        has_blocks = has_blocks || kind == COMMAND_BEGIN || kind == COMMAND_COMMIT ||
                     kind == COMMAND_ROLLBACK || kind == COMMAND_SAVEPOINT;
    }
    script->is_block = connection->status == 'I' && has_changes && !has_blocks;
    struct session *session;
    TRY(script->is_block ? pg__session_main(connection, &session, info) : ERR_OK);
    return script->is_block ? session_begin(session, info) : ERR_OK;
}

static enum err run_one(struct pg_connection *connection, struct pg_script *script, size_t index,
                        struct errinfo *info)
{
    struct pg_portal *portal;
    const struct pg_command *command = &script->commands[index];
    TRY(pg__check_transaction(connection, command, info));
    TRY(check_order(connection, script, index, info));
    TRY(pg__portal_new(connection, (struct slice){"", 0}, &portal, info));
    portal->command = *command;
    enum err err = ERR_OK;
    if (command->kind != COMMAND_STATEMENT || command->is_transactional) {
        bool is_deferred = command->kind == COMMAND_COPY_OUT || command->kind == COMMAND_COPY_IN ||
                           command->kind == COMMAND_DECLARE;
        err = is_deferred ? ERR_OK : pg__portal_open(connection, portal, info);
        if (err == ERR_OK && portal->has_rows) {
            pg__portal_describe(connection, portal);
        }
    }
    if (err == ERR_OK) {
        err = pg__run(connection, portal, 0, info);
    }
    if (connection->copy_in != NULL) {
        script->copying = portal;
        return err;
    }
    pg__portal_close(connection, portal);
    return err;
}

/* Characters before `part` in `text`; SIZE_MAX if it is not in it. */
static size_t characters_before(struct slice text, struct slice part)
{
    if (part.ptr < text.ptr || part.ptr > text.ptr + text.len) {
        return SIZE_MAX;
    }
    size_t count = 0;
    for (const char *at = text.ptr; at < part.ptr; at++) {
        count += ((unsigned char)*at & 0xC0) != 0x80;
    }
    return count;
}

static void fail(struct pg_connection *connection, struct slice text, struct slice at,
                 const struct errinfo *info)
{
    size_t offset = characters_before(text, at);
    struct slice located = offset == SIZE_MAX ? (struct slice){"", 0} : at;
    pg__error(connection, info, located, offset);
}

static void end_message(struct pg_connection *connection)
{
    if (connection->phase == PHASE_ENDED) {
        return;
    }
    if (connection->status == 'I') {
        pg__portal_end_transaction(connection, true);
    }
    pg__write_ready(&connection->out, connection->status);
    pg__flush(connection);
}

void pg__script_free(struct pg_connection *connection)
{
    struct pg_script *script = TAKE(connection->script);
    if (script != NULL) {
        arena_free(script->arena);
    }
}

/* From script->next on, unless something has failed: to the end of the message, or up to a COPY
 * that awaits its data. */
static void run_on(struct pg_connection *connection, struct pg_script *script, enum err err,
                   struct errinfo *info)
{
    while (err == ERR_OK && script->next < script->count && !connection->is_broken) {
        size_t i = script->next++;
        const struct pg_command *command = &script->commands[i];
        script->at = command->text.len > 0 ? command->text : script->statements[i];
        errinfo_init(info);
        err = run_one(connection, script, i, info);
        if (connection->copy_in != NULL) {
            return;
        }
    }
    if (script->is_block) {
        struct errinfo second;
        enum err end = pg__end_block(connection, err == ERR_OK, &second);
        *info = err == ERR_OK && end != ERR_OK ? second : *info;
        err = err == ERR_OK ? end : err;
    }
    if (err != ERR_OK) {
        fail(connection, script->text, script->at, info);
    }
    pg__script_free(connection);
    end_message(connection);
}

void pg__simple_copied(struct pg_connection *connection, enum err err, struct errinfo *info)
{
    struct pg_script *script = connection->script;
    pg__portal_close(connection, TAKE(script->copying));
    script->at = (struct slice){"", 0}; /* an error is about the data */
    run_on(connection, script, err, info);
}

static enum err begin_script(struct pg_connection *connection, struct pg_script *script,
                             struct errinfo *info)
{
    size_t bytes_max = config_bytes(connection->server->config, CONFIG_SQL_STATEMENT_BYTES_MAX);
    TRY(sql_check_text(script->text, bytes_max, info));
    TRY(parse_script(script, &script->at, info));
    if (script->count == 0) {
        pg__write_empty(&connection->out, 'I');
    }
    return begin_block(connection, script, info);
}

/* The text is kept with what is made of it: a COPY in it awaits other messages. */
static struct pg_script *new_script(struct slice text)
{
    struct arena *arena = arena_new(NULL, "message", 0);
    struct pg_script *script = arena == NULL ? NULL : arena_calloc(arena, 1, sizeof(*script));
    if (script == NULL || !arena_slice(arena, text, &script->text)) {
        arena_free(arena);
        return NULL;
    }
    script->arena = arena;
    script->at = script->text;
    return script;
}

void pg__simple_query(struct pg_connection *connection, struct slice body)
{
    struct pg_reader reader = {.rest = body};
    struct errinfo info;
    errinfo_init(&info);
    struct slice text = pg__read_text(&reader);
    if (reader.failed || reader.rest.len > 0) {
        (void)pg__protocol_violation(&info, "invalid string in message");
        pg__fatal(connection, &info);
        return;
    }
    struct pg_portal *portal = pg__portal_find(connection, (struct slice){"", 0});
    struct pg_statement *statement = pg__statement_find(connection, (struct slice){"", 0});
    if (portal != NULL) {
        pg__portal_close(connection, portal);
    }
    if (statement != NULL) {
        pg__statement_drop(connection, statement);
    }
    connection->script = new_script(text);
    if (connection->script == NULL) {
        (void)errinfo_nomem(&info);
        fail(connection, text, text, &info);
        end_message(connection);
        return;
    }
    enum err err = begin_script(connection, connection->script, &info);
    run_on(connection, connection->script, err, &info);
}
