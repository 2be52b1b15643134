/* The extended protocol: Parse, Bind, Describe, Execute, Close. */
#include "base/mem.h"
#include "sql/scan.h"
#include "wire/pg/pg_int.h"

#define PARAMETERS_MAX 65535u

/* ---- statements ---- */

struct pg_statement *pg__statement_find(struct pg_connection *connection, struct slice name)
{
    struct pg_statement *statement = connection->statements;
    while (statement != NULL && !slice_equal(statement->name, name)) {
        statement = statement->next;
    }
    return statement;
}

void pg__statement_unref(struct pg_statement *statement)
{
    if (statement != NULL && --statement->references == 0) {
        arena_free(statement->arena);
    }
}

void pg__statement_drop(struct pg_connection *connection, struct pg_statement *statement)
{
    struct pg_statement **link = &connection->statements;
    while (*link != statement) {
        link = &(*link)->next;
    }
    *link = statement->next;
    connection->statement_count--;
    pg__statement_unref(statement);
}

static enum err need_statement(struct pg_connection *connection, struct slice name,
                               struct pg_statement **ret_statement, struct errinfo *info)
{
    *ret_statement = pg__statement_find(connection, name);
    if (*ret_statement != NULL) {
        return ERR_OK;
    }
    return name.len == 0
               ? errinfo_set(info, ERR_NOT_FOUND, "26000",
                             "unnamed prepared statement does not exist")
               : errinfo_set(info, ERR_NOT_FOUND, "26000",
                             "prepared statement \"%.*s\" does not exist", SLICE_ARGS(name));
}

static enum err malformed(char type, struct errinfo *info)
{
    return errinfo_set(info, ERR_INVALID, "08P01", "invalid message format of type %c", type);
}

/* ---- Parse ---- */

/* The one statement of the text, or an empty slice. */
static enum err only_statement(struct slice text, struct slice *ret_statement, struct errinfo *info)
{
    struct slice rest = text;
    struct slice second;
    TRY(sql_split(&rest, ret_statement, NULL, info));
    TRY(sql_split(&rest, &second, NULL, info));
    return second.len == 0 ? ERR_OK
                           : errinfo_set(info, ERR_SYNTAX, "42601",
                                         "cannot insert multiple commands into a prepared "
                                         "statement");
}

static bool is_number_operator(const struct token *token)
{
    return token->kind == TOKEN_OPERATOR && token->text.len == 1 &&
           strchr("+-*/%^", token->text.ptr[0]) != NULL;
}

static bool is_number_function(const struct token *token)
{
    static const char *const names[] = {"generate_series", "abs", "sqrt", "power", "mod"};
    bool is_one = false;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        is_one = is_one || token_is(token, names[i]);
    }
    return is_one;
}

/* Marks each parameter that stands beside an operator of arithmetic, or in a function of
 * numbers: PostgreSQL takes a text for a number there, the engine does not. */
static enum err find_numbers(struct slice text, bool *numbers, size_t count, bool *ret_has_any,
                             struct errinfo *info)
{
    struct token before[2] = {0};
    struct token token = {0};
    struct scanner scanner;
    size_t depth = 0;
    size_t function_depth = 0; /* 0: in none */
    scanner_init(&scanner, text);
    do {
        before[0] = before[1];
        before[1] = token;
        TRY(scanner_next(&scanner, &token, info));
        bool is_inside = function_depth > 0; /* what was before this token */
        if (token_is_operator(&token, "(")) {
            depth++;
            function_depth =
                function_depth == 0 && is_number_function(&before[1]) ? depth : function_depth;
        } else if (token_is_operator(&token, ")") && depth > 0) {
            function_depth = function_depth == depth ? 0 : function_depth;
            depth--;
        }
        uint64_t number = 0;
        const struct token *parameter = &before[1];
        bool is_one =
            parameter->kind == TOKEN_PARAMETER &&
            (is_number_operator(&before[0]) || is_number_operator(&token) || is_inside) &&
            slice_to_u64((struct slice){parameter->text.ptr + 1, parameter->text.len - 1}, &number);
        *ret_has_any = *ret_has_any || is_one;
        if (is_one && number > 0 && number <= count) {
            numbers[number - 1] = true;
        }
    } while (token.kind != TOKEN_END);
    return ERR_OK;
}

static enum err fill_statement(struct pg_connection *connection, struct pg_statement *statement,
                               struct slice name, struct slice text, struct pg_reader *reader,
                               struct errinfo *info)
{
    struct arena *arena = statement->arena;
    size_t bytes_max = config_bytes(connection->server->config, CONFIG_SQL_STATEMENT_BYTES_MAX);
    struct slice only;
    statement->declared_count = pg__read16(reader);
    statement->declared = arena_calloc(arena, statement->declared_count + 1, sizeof(uint32_t));
    if (statement->declared == NULL || !arena_slice(arena, name, &statement->name) ||
        !arena_slice(arena, text, &statement->text)) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < statement->declared_count; i++) {
        statement->declared[i] = pg__read32(reader);
    }
    if (reader->failed || reader->rest.len > 0) {
        return malformed('P', info);
    }
    TRY(sql_check_text(statement->text, bytes_max, info));
    TRY(only_statement(statement->text, &only, info));
    TRY(pg__own_types(only, arena, &only, info));
    statement->run_text = only;
    TRY(find_numbers(only, NULL, 0, &statement->has_arithmetic, info));
    TRY(pg__command_parse(only, arena, &statement->command, info));
    return pg__check_transaction(connection, &statement->command, info);
}

static enum err run_parse(struct pg_connection *connection, struct slice body, struct errinfo *info)
{
    struct pg_reader reader = {.rest = body};
    struct slice name = pg__read_text(&reader);
    struct slice text = pg__read_text(&reader);
    struct pg_statement *old = pg__statement_find(connection, name);
    if (reader.failed) {
        return malformed('P', info);
    }
    if (old != NULL && name.len > 0) {
        return errinfo_set(info, ERR_EXISTS, "42P05", "prepared statement \"%.*s\" already exists",
                           SLICE_ARGS(name));
    }
    if (old != NULL) {
        pg__statement_drop(connection, old);
    }
    if (connection->statement_count >= STATEMENTS_MAX) {
        return errinfo_set(info, ERR_LIMIT, "53400",
                           "a connection has at most %d prepared statements", STATEMENTS_MAX);
    }
    struct arena *arena = arena_new(NULL, "statement", 0);
    struct pg_statement *statement =
        arena == NULL ? NULL : arena_calloc(arena, 1, sizeof(*statement));
    if (statement == NULL) {
        arena_free(arena);
        return errinfo_nomem(info);
    }
    statement->arena = arena;
    statement->references = 1;
    enum err err = fill_statement(connection, statement, name, text, &reader, info);
    if (err != ERR_OK) {
        pg__statement_unref(statement);
        return err;
    }
    statement->next = connection->statements;
    connection->statements = statement;
    connection->statement_count++;
    connection->parsed = statement;
    return ERR_OK;
}

/* ---- what a statement needs and gives ---- */

/* "$2" becomes CAST($2 AS type) where `types` has one. */
static enum err cast_parameters(struct pg_statement *statement, const char *const *types,
                                size_t count, struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    struct scanner scanner;
    struct token token;
    struct slice from = statement->run_text;
    size_t copied = 0;
    scanner_init(&scanner, from);
    for (;;) {
        uint64_t number;
        TRY(scanner_next(&scanner, &token, info));
        if (token.kind == TOKEN_END) {
            break;
        }
        if (token.kind != TOKEN_PARAMETER ||
            !slice_to_u64((struct slice){token.text.ptr + 1, token.text.len - 1}, &number) ||
            number == 0 || number > count || types[number - 1] == NULL) {
            continue;
        }
        buf_append(&text, from.ptr + copied, token.offset - copied);
        buf_printf(&text, "CAST($%llu AS %s)", (unsigned long long)number, types[number - 1]);
        copied = token.offset + token.text.len;
    }
    buf_append(&text, from.ptr + copied, from.len - copied);
    if (buf_failed(&text) ||
        !arena_slice(statement->arena, buf_slice(&text), &statement->run_text)) {
        return errinfo_nomem(info);
    }
    return pg__command_parse(statement->run_text, statement->arena, &statement->command, info);
}

static bool can_be_described(const struct pg_command *command)
{
    return command->kind == COMMAND_STATEMENT && (command->is_select || command->takes_values);
}

struct description {
    struct query_column *columns;
    size_t column_count;
    struct slice *types;
    size_t type_count;
};

static enum err ask(struct pg_connection *connection, struct pg_statement *statement,
                    struct description *ret_description, struct errinfo *info)
{
    int slot;
    struct description *d = ret_description;
    TRY(pg__session_take(connection, false, &slot, info));
    struct session *session = connection->sessions[slot].session;
    enum err err = pg__active(connection, session, info);
    if (err == ERR_OK) {
        err = session_describe(session, statement->run_text, statement->arena, &d->columns,
                               &d->column_count, &d->types, &d->type_count, info);
        pg__inactive(connection);
    }
    pg__session_give(connection, slot);
    return err;
}

/* Numbers and truth keep their kind where the statement gives none; other types need a cast. */
static enum query_parameter_kind kind_of(uint32_t oid)
{
    switch (oid) {
    case PG_INT2:
    case PG_INT4:
    case PG_INT8:
    case PG_OID:
        return QUERY_PARAMETER_INTEGER;
    case PG_FLOAT4:
    case PG_FLOAT8:
        return QUERY_PARAMETER_REAL;
    case PG_BOOL:
        return QUERY_PARAMETER_BOOLEAN;
    default:
        return QUERY_PARAMETER_TEXT;
    }
}

static uint32_t declared_of(const struct pg_statement *statement, size_t index)
{
    return index < statement->declared_count ? statement->declared[index] : 0;
}

static bool is_declared(const struct pg_statement *statement, size_t index)
{
    uint32_t declared = declared_of(statement, index);
    return declared != 0 && declared != PG_UNKNOWN;
}

/* Of numeric the name without digits: the cast takes those of the value. */
static const char *cast_type(uint32_t oid)
{
    switch (oid) {
    case PG_NUMERIC:
        return "NUMERIC";
    case 1231:
        return "NUMERIC[]";
    default:
        return pg_engine_type(oid);
    }
}

static bool is_number(uint32_t oid)
{
    return oid == PG_NUMERIC ||
           (kind_of(oid) != QUERY_PARAMETER_TEXT && kind_of(oid) != QUERY_PARAMETER_BOOLEAN);
}

/* The type that a parameter must be cast to, so that what is told of the statement stays true with
 * any value; NULL: none. What a client declared counts where nothing else gives a type, and for
 * numbers and truth, whose kind the values keep (kind_of). Else it is what the engine inferred. */
static const char *cast_of(const struct pg_statement *statement, size_t index, struct slice found)
{
    uint32_t declared = declared_of(statement, index);
    uint32_t inferred = found.len == 0 ? 0 : pg_type_of(found).oid;
    if (is_declared(statement, index)) {
        bool has_kinds =
            kind_of(declared) != QUERY_PARAMETER_TEXT && kind_of(inferred) != QUERY_PARAMETER_TEXT;
        bool is_numeric = declared == PG_NUMERIC && is_number(inferred);
        bool is_other = inferred == 0 || ((has_kinds || is_numeric) && declared != inferred);
        const char *type = is_other ? cast_type(declared) : NULL;
        return inferred == 0 && type == NULL ? "VARCHAR" : type; /* inet and the like are texts */
    }
    return kind_of(inferred) == QUERY_PARAMETER_TEXT ? NULL : pg_engine_type(inferred);
}

static bool is_about_types(const struct errinfo *info)
{
    return strcmp(info->sqlstate, "42725") == 0 || strcmp(info->sqlstate, "42883") == 0 ||
           strcmp(info->sqlstate, "42804") == 0;
}

/* Those that neither the client nor the engine gives a type are texts, as with PostgreSQL, but for
 * those in the place of a number, which are integers; and all are integers where texts make no
 * sense (sum($1)). */
static enum err cast_with(struct pg_connection *connection, struct pg_statement *statement,
                          const char **types, struct description *description, struct errinfo *info)
{
    const struct errinfo first = *info; /* why it could not be described without; or none */
    const struct description before = *description;
    const struct slice text = statement->run_text;
    bool *is_open = arena_calloc(statement->arena, before.type_count + 1, sizeof(*is_open));
    bool *numbers = arena_calloc(statement->arena, before.type_count + 1, sizeof(*numbers));
    bool has_open = false;
    bool has_numbers = false;
    if (is_open == NULL || numbers == NULL) {
        return errinfo_nomem(info);
    }
    TRY(find_numbers(text, numbers, before.type_count, &has_numbers, info));
    for (size_t i = 0; i < before.type_count; i++) {
        is_open[i] = before.types[i].len == 0 && !is_declared(statement, i);
        has_open = has_open || is_open[i];
    }
    for (int guess = 0; guess < (has_open ? 2 : 1); guess++) {
        for (size_t i = 0; i < before.type_count; i++) {
            const char *open = guess == 1 || numbers[i] ? "INTEGER" : "VARCHAR";
            types[i] = is_open[i] ? open : types[i];
        }
        statement->run_text = text;
        TRY(cast_parameters(statement, types, before.type_count, info));
        enum err err = ask(connection, statement, description, info);
        if (err == ERR_OK || !has_open || !is_about_types(info)) {
            return err;
        }
    }
    *info = first;
    if (first.code != ERR_OK) {
        return first.code;
    }
    *description = before; /* what is wrong with it is said when it runs */
    statement->run_text = text;
    return pg__command_parse(text, statement->arena, &statement->command, info);
}

static enum err cast_untyped(struct pg_connection *connection, struct pg_statement *statement,
                             struct description *description, struct errinfo *info)
{
    const char **types =
        arena_calloc(statement->arena, description->type_count + 1, sizeof(*types));
    bool has_any = false;
    bool is_new = false; /* not what was just described */
    if (types == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < description->type_count; i++) {
        types[i] = cast_of(statement, i, description->types[i]);
        has_any = has_any || types[i] != NULL;
        is_new = is_new || description->types[i].len == 0 ||
                 (types[i] != NULL && is_declared(statement, i));
    }
    if (is_new) {
        return cast_with(connection, statement, types, description, info);
    }
    return has_any ? cast_parameters(statement, types, description->type_count, info) : ERR_OK;
}

static enum err keep_columns(struct pg_statement *statement, const struct query_column *columns,
                             size_t count, struct errinfo *info)
{
    statement->columns = arena_calloc(statement->arena, count + 1, sizeof(*statement->columns));
    if (statement->columns == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        statement->columns[i] = (struct pg_column){columns[i].name, pg_type_of(columns[i].type)};
    }
    statement->column_count = count;
    statement->has_columns = true;
    return ERR_OK;
}

static enum err keep_description(struct pg_statement *statement,
                                 const struct description *description, struct errinfo *info)
{
    size_t count = description->type_count;
    statement->parameters = arena_calloc(statement->arena, count + 1, sizeof(uint32_t));
    if (statement->parameters == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        statement->parameters[i] = is_declared(statement, i)
                                       ? declared_of(statement, i)
                                       : pg_type_of(description->types[i]).oid;
    }
    statement->parameter_count = count;
    return statement->command.has_rows
               ? keep_columns(statement, description->columns, description->column_count, info)
               : ERR_OK;
}

/* Of a statement that has no sense as long as its parameters have no types (of functions in FROM):
 * as many as it names, and nothing known of them. */
static enum err open_parameters(struct pg_statement *statement, struct description *ret_description,
                                struct errinfo *info)
{
    struct scanner scanner;
    struct token token;
    struct errinfo ignored;
    uint64_t count = 0;
    scanner_init(&scanner, statement->run_text);
    do {
        uint64_t number = 0;
        if (scanner_next(&scanner, &token, &ignored) != ERR_OK) {
            break; /* it has been scanned before */
        }
        bool is_one = token.kind == TOKEN_PARAMETER &&
                      slice_to_u64((struct slice){token.text.ptr + 1, token.text.len - 1}, &number);
        count = is_one && number > count && number <= PARAMETERS_MAX ? number : count;
    } while (token.kind != TOKEN_END);
    struct slice *types = arena_calloc(statement->arena, count + 1, sizeof(*types));
    if (types == NULL) {
        return errinfo_nomem(info);
    }
    *ret_description = (struct description){.types = types, .type_count = count};
    return ERR_OK;
}

static enum err describe_select(struct pg_connection *connection, struct pg_statement *statement,
                                struct errinfo *info)
{
    struct description d = {0};
    errinfo_init(info);
    enum err err = ask(connection, statement, &d, info);
    if (statement->command.takes_values) { /* each has the type of the column that it is for */
        TRY(err);
        return keep_description(statement, &d, info);
    }
    bool is_open = err != ERR_OK && is_about_types(info);
    TRY(is_open ? open_parameters(statement, &d, info) : err);
    if (is_open && d.type_count == 0) {
        return err;
    }
    TRY(cast_untyped(connection, statement, &d, info));
    return keep_description(statement, &d, info);
}

/* Of CREATE API KEY (query/run/run_keys.c), which is run once only. */
static enum err describe_key(struct pg_statement *statement, struct errinfo *info)
{
    static const struct query_column columns[] = {
        {{"name", 4}, {"VARCHAR", 7}},
        {{"user", 4}, {"VARCHAR", 7}},
        {{"key", 3}, {"VARCHAR", 7}},
        {{"expires_at", 10}, {"TIMESTAMP WITH TIME ZONE", 24}},
    };
    return keep_columns(statement, columns, ARRAY_COUNT(columns), info);
}

/* SHOW and its like have rows that only running them tells: they are run, and read by nobody. */
static enum err describe_other(struct pg_connection *connection, struct pg_statement *statement,
                               struct errinfo *info)
{
    const struct pg_command *command = &statement->command;
    bool has_rows = (command->kind == COMMAND_STATEMENT && command->has_rows) ||
                    command->kind == COMMAND_SHOW || command->kind == COMMAND_CONSTANT ||
                    command->kind == COMMAND_FETCH;
    struct pg_portal *portal;
    if (!has_rows) {
        return ERR_OK;
    }
    if (command->makes_key) {
        return describe_key(statement, info);
    }
    TRY(pg__portal_new(connection, SLICE(""), &portal, info));
    portal->command = *command;
    enum err err = pg__portal_open(connection, portal, info);
    if (err == ERR_OK && portal->has_rows) {
        size_t count = portal->column_count;
        statement->columns = arena_calloc(statement->arena, count + 1, sizeof(struct pg_column));
        err = statement->columns == NULL ? errinfo_nomem(info) : ERR_OK;
        for (size_t i = 0; err == ERR_OK && i < count; i++) {
            statement->columns[i].type = portal->columns[i].type;
            err =
                arena_slice(statement->arena, portal->columns[i].name, &statement->columns[i].name)
                    ? ERR_OK
                    : errinfo_nomem(info);
        }
        statement->column_count = count;
        statement->has_columns = true;
    }
    pg__portal_close(connection, portal);
    return err;
}

static enum err describe(struct pg_connection *connection, struct pg_statement *statement,
                         struct errinfo *info)
{
    if (statement->is_described) {
        return ERR_OK;
    }
    TRY(can_be_described(&statement->command) ? describe_select(connection, statement, info)
                                              : describe_other(connection, statement, info));
    statement->is_described = true;
    return ERR_OK;
}

/* A client that waits for the answer wants to know whether the statement is good before it goes
 * on: some could not undo what they send next. For others it is planned when it is needed. */
enum err pg__parse_answer(struct pg_connection *connection, bool is_awaited, struct errinfo *info)
{
    struct pg_statement *statement = connection->parsed;
    connection->parsed = NULL;
    if (statement == NULL) {
        return ERR_OK;
    }
    connection->error_text = statement->run_text;
    bool is_planned = is_awaited && can_be_described(&statement->command);
    enum err err = is_planned ? describe(connection, statement, info) : ERR_OK;
    if (err != ERR_OK) {
        pg__error(connection, info, connection->error_text, 0);
        pg__statement_drop(connection, statement);
        return err;
    }
    pg__write_empty(&connection->out, '1');
    return ERR_OK;
}

/* ---- Bind ---- */

/* Must the types be known before values can be read? */
static bool needs_description(const struct pg_statement *statement, size_t index, uint16_t format,
                              struct slice bytes)
{
    uint32_t declared = declared_of(statement, index);
    bool may_be_other =
        bytes.len > 0 && (bytes.ptr[0] == '{' || memchr(bytes.ptr, '\\', bytes.len) != NULL);
    if (declared == 0 || declared == PG_UNKNOWN) {
        return format == 1 || may_be_other || statement->has_arithmetic;
    }
    return statement->command.is_select && kind_of(declared) == QUERY_PARAMETER_TEXT &&
           declared != PG_TEXT && declared != PG_VARCHAR;
}

static enum err read_value(struct pg_connection *connection, struct pg_portal *portal, size_t index,
                           uint16_t format, struct pg_reader *reader, struct errinfo *info)
{
    struct pg_statement *statement = portal->statement;
    struct query_parameter *value = &portal->values[index];
    struct buf text CLEANUP(buf_fini) = {0};
    uint32_t len = pg__read32(reader);
    if (len == UINT32_MAX) {
        value->is_null = true;
        return ERR_OK;
    }
    struct slice bytes = pg__read_bytes(reader, len);
    if (reader->failed) {
        return malformed('B', info);
    }
    if (can_be_described(&statement->command) &&
        needs_description(statement, index, format, bytes)) {
        TRY(describe(connection, statement, info));
    }
    uint32_t oid = statement->is_described && index < statement->parameter_count
                       ? statement->parameters[index]
                       : declared_of(statement, index);
    enum err err =
        pg_decode(oid, format == 1 ? PG_FORMAT_BINARY : PG_FORMAT_TEXT, bytes, &text, info);
    if (err != ERR_OK) {
        errinfo_detail(info, "It is parameter $%zu of the statement.", index + 1);
        return err;
    }
    value->kind = kind_of(oid);
    return arena_slice(portal->arena, buf_slice(&text), &value->text) ? ERR_OK
                                                                      : errinfo_nomem(info);
}

static enum err read_formats(struct pg_reader *reader, struct arena *arena, uint16_t **ret_formats,
                             size_t *ret_count, struct errinfo *info)
{
    size_t count = pg__read16(reader);
    uint16_t *formats = arena_calloc(arena, count + 1, sizeof(*formats));
    if (formats == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        formats[i] = pg__read16(reader);
        if (formats[i] > 1) {
            return errinfo_set(info, ERR_INVALID, "08P01", "unsupported format code: %u",
                               formats[i]);
        }
    }
    *ret_formats = formats;
    *ret_count = count;
    return reader->failed ? malformed('B', info) : ERR_OK;
}

static enum err fill_portal(struct pg_connection *connection, struct pg_portal *portal,
                            struct pg_reader *reader, struct errinfo *info)
{
    uint16_t *formats;
    size_t format_count;
    TRY(read_formats(reader, portal->arena, &formats, &format_count, info));
    size_t count = pg__read16(reader);
    if (format_count > 1 && format_count != count) {
        return errinfo_set(info, ERR_INVALID, "08P01",
                           "bind message has %zu parameter formats but %zu parameters",
                           format_count, count);
    }
    portal->values = arena_calloc(portal->arena, count + 1, sizeof(*portal->values));
    if (portal->values == NULL) {
        return errinfo_nomem(info);
    }
    portal->value_count = count;
    for (size_t i = 0; i < count; i++) {
        uint16_t format = format_count == 0 ? 0 : formats[format_count == 1 ? 0 : i];
        TRY(read_value(connection, portal, i, format, reader, info));
    }
    TRY(read_formats(reader, portal->arena, &portal->formats, &portal->format_count, info));
    portal->all_format = portal->format_count > 0 ? portal->formats[0] : 0;
    if (reader->rest.len > 0) {
        return malformed('B', info);
    }
    portal->command = portal->statement->command; /* after its parameters may have been cast */
    return pg__check_transaction(connection, &portal->command, info);
}

static enum err run_bind(struct pg_connection *connection, struct slice body, struct errinfo *info)
{
    struct pg_reader reader = {.rest = body};
    struct slice name = pg__read_text(&reader);
    struct slice statement_name = pg__read_text(&reader);
    struct pg_statement *statement;
    struct pg_portal *portal = pg__portal_find(connection, name);
    if (reader.failed) {
        return malformed('B', info);
    }
    TRY(need_statement(connection, statement_name, &statement, info));
    connection->error_text = statement->run_text;
    if (portal != NULL && name.len > 0) {
        return errinfo_set(info, ERR_EXISTS, "42P03", "cursor \"%.*s\" already exists",
                           SLICE_ARGS(name));
    }
    if (portal != NULL) {
        pg__portal_close(connection, portal);
    }
    TRY(pg__portal_new(connection, name, &portal, info));
    statement->references++;
    portal->statement = statement;
    enum err err = fill_portal(connection, portal, &reader, info);
    if (err != ERR_OK) {
        pg__portal_close(connection, portal);
        return err;
    }
    pg__write_empty(&connection->out, '2');
    return ERR_OK;
}

/* ---- Describe, Execute, Close ---- */

static enum err need_portal(struct pg_connection *connection, struct slice name,
                            struct pg_portal **ret_portal, struct errinfo *info)
{
    *ret_portal = pg__portal_find(connection, name);
    return *ret_portal != NULL ? ERR_OK
                               : errinfo_set(info, ERR_NOT_FOUND, "34000",
                                             "portal \"%.*s\" does not exist", SLICE_ARGS(name));
}

static enum err describe_statement(struct pg_connection *connection, struct slice name,
                                   struct errinfo *info)
{
    struct pg_statement *statement;
    struct buf *out = &connection->out;
    TRY(need_statement(connection, name, &statement, info));
    connection->error_text = statement->run_text;
    TRY(pg__check_transaction(connection, &statement->command, info));
    TRY(describe(connection, statement, info));
    size_t begun = pg__begin(out, 't');
    pg_put16(out, (uint16_t)statement->parameter_count);
    for (size_t i = 0; i < statement->parameter_count; i++) {
        pg_put32(out, statement->parameters[i]);
    }
    pg__end(out, begun);
    if (statement->has_columns) {
        pg__write_columns(connection, statement->columns, statement->column_count, NULL);
    } else {
        pg__write_empty(out, 'n');
    }
    return ERR_OK;
}

/* Opens what gives rows: only that tells their types. Nothing of it is read yet. */
static enum err describe_portal(struct pg_connection *connection, struct slice name,
                                struct errinfo *info)
{
    struct pg_portal *portal;
    TRY(need_portal(connection, name, &portal, info));
    connection->error_text = portal->command.text;
    TRY(pg__check_transaction(connection, &portal->command, info));
    bool is_rowless = portal->command.kind == COMMAND_STATEMENT && !portal->command.has_rows;
    bool is_later = portal->command.kind == COMMAND_DECLARE ||
                    portal->command.kind == COMMAND_COPY_OUT ||
                    portal->command.kind == COMMAND_COPY_IN;
    if (!is_rowless && !is_later && !portal->is_cursor) {
        TRY(pg__portal_open(connection, portal, info));
    }
    pg__portal_describe(connection, portal);
    return ERR_OK;
}

static enum err run_describe(struct pg_connection *connection, struct slice body,
                             struct errinfo *info)
{
    struct pg_reader reader = {.rest = body};
    char what = (char)pg__read8(&reader);
    struct slice name = pg__read_text(&reader);
    if (reader.failed || reader.rest.len > 0 || (what != 'S' && what != 'P')) {
        return malformed('D', info);
    }
    return what == 'S' ? describe_statement(connection, name, info)
                       : describe_portal(connection, name, info);
}

static enum err run_execute(struct pg_connection *connection, struct slice body,
                            struct errinfo *info)
{
    struct pg_reader reader = {.rest = body};
    struct slice name = pg__read_text(&reader);
    int32_t rows_max = (int32_t)pg__read32(&reader);
    struct pg_portal *portal;
    if (reader.failed || reader.rest.len > 0) {
        return malformed('E', info);
    }
    TRY(need_portal(connection, name, &portal, info));
    connection->error_text = portal->command.text;
    TRY(pg__check_transaction(connection, &portal->command, info));
    return pg__run(connection, portal, rows_max <= 0 ? 0 : (uint64_t)rows_max, info);
}

static enum err run_close(struct pg_connection *connection, struct slice body, struct errinfo *info)
{
    struct pg_reader reader = {.rest = body};
    char what = (char)pg__read8(&reader);
    struct slice name = pg__read_text(&reader);
    if (reader.failed || reader.rest.len > 0 || (what != 'S' && what != 'P')) {
        return malformed('C', info);
    }
    struct pg_statement *statement = what == 'S' ? pg__statement_find(connection, name) : NULL;
    struct pg_portal *portal = what == 'P' ? pg__portal_find(connection, name) : NULL;
    if (statement != NULL) {
        pg__statement_drop(connection, statement);
    }
    if (portal != NULL) {
        pg__portal_close(connection, portal);
    }
    pg__write_empty(&connection->out, '3');
    return ERR_OK;
}

enum err pg__extended(struct pg_connection *connection, char type, struct slice body,
                      struct errinfo *info)
{
    connection->error_text = (struct slice){"", 0};
    switch (type) {
    case 'P':
        return run_parse(connection, body, info);
    case 'B':
        return run_bind(connection, body, info);
    case 'D':
        return run_describe(connection, body, info);
    case 'E':
        return run_execute(connection, body, info);
    case 'C':
        return run_close(connection, body, info);
    default:
        return malformed(type, info);
    }
}
