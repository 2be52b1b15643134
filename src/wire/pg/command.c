/* What a statement is, for the protocol: those that PostgreSQL's clients send and Moat's own
 * grammar does not have are taken apart here, by tokens; all others are the query module's. */
#include "wire/pg/command.h"

#include "sql/scan.h"
#include "sql/statement.h"
#include "wire/pg/pg_int.h"

struct words {
    struct scanner scanner;
    struct token token; /* the one that is looked at */
    struct slice text;
    struct arena *arena;
    struct errinfo *info;
};

static enum err step(struct words *words)
{
    return scanner_next(&words->scanner, &words->token, words->info);
}

static bool is_at_end(const struct words *words)
{
    return words->token.kind == TOKEN_END || words->token.kind == TOKEN_SEMICOLON;
}

/* Steps over the word if it is there. */
static enum err accept(struct words *words, const char *word, bool *ret_is_there)
{
    *ret_is_there = token_is(&words->token, word);
    return *ret_is_there ? step(words) : ERR_OK;
}

static enum err skip_word(struct words *words, const char *word)
{
    bool is_there;
    return accept(words, word, &is_there);
}

static enum err expected(struct words *words, const char *what)
{
    enum err err;
    if (is_at_end(words)) {
        err = errinfo_set(words->info, ERR_SYNTAX, "42601",
                          "syntax error at end of input: expected %s", what);
    } else {
        err = errinfo_set(words->info, ERR_SYNTAX, "42601",
                          "syntax error at or near \"%.*s\": expected %s",
                          SLICE_ARGS(words->token.text), what);
    }
    errinfo_position(words->info, words->token.offset + 1);
    return err;
}

static enum err take_name(struct words *words, struct slice *ret_name)
{
    if (words->token.kind != TOKEN_WORD && words->token.kind != TOKEN_QUOTED) {
        return expected(words, "a name");
    }
    if (!token_identifier(&words->token, words->arena, ret_name)) {
        return errinfo_nomem(words->info);
    }
    if (words->token.kind == TOKEN_WORD) { /* folds to lower case, as in PostgreSQL */
        char *folded = arena_slicedup(words->arena, *ret_name);
        if (folded == NULL) {
            return errinfo_nomem(words->info);
        }
        for (size_t i = 0; i < ret_name->len; i++) {
            folded[i] =
                folded[i] >= 'A' && folded[i] <= 'Z' ? (char)(folded[i] - 'A' + 'a') : folded[i];
        }
        ret_name->ptr = folded;
    }
    return step(words);
}

static enum err need_end(struct words *words)
{
    return is_at_end(words) ? ERR_OK : expected(words, "the end of the statement");
}

static struct slice rest_of(const struct words *words)
{
    size_t at = words->token.offset;
    return slice_trim((struct slice){words->text.ptr + at, words->text.len - at});
}

/* ---- transactions ---- */

static enum err isolation_level(struct words *words)
{
    static const char *const levels[] = {"read", "committed", "uncommitted", "repeatable",
                                         "serializable"};
    bool is_known = false;
    bool is_there;
    TRY(skip_word(words, "level"));
    bool is_repeatable = token_is(&words->token, "repeatable");
    for (size_t i = 0; i < ARRAY_COUNT(levels); i++) {
        TRY(accept(words, levels[i], &is_there));
        is_known = is_known || is_there;
    }
    TRY(is_repeatable ? skip_word(words, "read") : ERR_OK);
    return is_known ? ERR_OK : expected(words, "an isolation level");
}

/* ISOLATION LEVEL ..., READ ONLY, READ WRITE, [NOT] DEFERRABLE. */
static enum err transaction_modes(struct words *words, struct pg_command *command)
{
    while (!is_at_end(words)) {
        bool is_there;
        bool is_not;
        TRY(accept(words, "isolation", &is_there));
        if (is_there) {
            TRY(isolation_level(words));
            continue;
        }
        TRY(accept(words, "read", &is_there));
        if (is_there) {
            bool is_only = token_is(&words->token, "only");
            if (!is_only && !token_is(&words->token, "write")) {
                return expected(words, "ONLY or WRITE");
            }
            command->read_only = is_only ? 1 : -1;
            TRY(step(words));
            continue;
        }
        TRY(accept(words, "not", &is_not));
        TRY(accept(words, "deferrable", &is_there));
        if (is_there) {
            command->deferrable = is_not ? -1 : 1;
        } else if (!is_not && token_is_operator(&words->token, ",")) {
            TRY(step(words));
        } else {
            return expected(words, "a transaction mode");
        }
    }
    return ERR_OK;
}

static enum err parse_begin(struct words *words, struct pg_command *command)
{
    command->kind = COMMAND_BEGIN;
    TRY(skip_word(words, "work"));
    TRY(skip_word(words, "transaction"));
    return transaction_modes(words, command);
}

/* COMMIT, ROLLBACK [TO], and what may follow. */
static enum err parse_end(struct words *words, struct pg_command *command, bool is_rollback)
{
    bool is_there;
    command->kind = is_rollback ? COMMAND_ROLLBACK : COMMAND_COMMIT;
    TRY(skip_word(words, "work"));
    TRY(skip_word(words, "transaction"));
    TRY(accept(words, "to", &is_there));
    if (is_there && is_rollback) {
        command->kind = COMMAND_ROLLBACK_TO;
        TRY(skip_word(words, "savepoint"));
        TRY(take_name(words, &command->name));
        return need_end(words);
    }
    TRY(accept(words, "and", &is_there));
    if (is_there) {
        bool is_no;
        TRY(accept(words, "no", &is_no));
        command->is_chained = !is_no;
        TRY(skip_word(words, "chain"));
    }
    return need_end(words);
}

static enum err parse_savepoint(struct words *words, struct pg_command *command)
{
    TRY(skip_word(words, "savepoint"));
    TRY(take_name(words, &command->name));
    return need_end(words);
}

/* ---- settings ---- */

static enum err literal(struct words *words, struct slice *ret_value)
{
    if (words->token.kind == TOKEN_STRING) {
        return token_string(&words->token, words->arena, ret_value, words->info);
    }
    if (words->token.kind == TOKEN_QUOTED &&
        !token_identifier(&words->token, words->arena, ret_value)) {
        return errinfo_nomem(words->info);
    }
    if (words->token.kind != TOKEN_QUOTED) {
        *ret_value = words->token.text;
    }
    return ERR_OK;
}

/* One literal is its value; a list stays as it is written. */
static enum err parse_value(struct words *words, struct pg_command *command)
{
    if (is_at_end(words)) {
        return expected(words, "a value");
    }
    struct slice all = rest_of(words);
    command->is_default = token_is(&words->token, "default");
    TRY(literal(words, &command->value));
    TRY(step(words));
    if (!is_at_end(words)) {
        command->value = all;
        while (!is_at_end(words)) {
            TRY(step(words));
        }
    }
    return ERR_OK;
}

/* TO or =, where they may be left out. */
static enum err skip_mark(struct words *words)
{
    bool is_there;
    TRY(accept(words, "to", &is_there));
    return token_is_operator(&words->token, "=") ? step(words) : ERR_OK;
}

static enum err parse_person(struct words *words, struct pg_command *command)
{
    bool is_default;
    TRY(skip_mark(words));
    TRY(accept(words, "default", &is_default));
    command->kind = COMMAND_KEEP;
    if (is_default) {
        return need_end(words);
    }
    (void)errinfo_set(words->info, ERR_DENIED, NULL, "a session is the person's who signed in");
    errinfo_hint(words->info, "Sign in as the other person.");
    return ERR_DENIED;
}

static enum err parse_session_word(struct words *words, struct pg_command *command, bool *ret_done)
{
    bool is_there;
    *ret_done = true;
    TRY(accept(words, "characteristics", &is_there));
    if (is_there) {
        command->kind = COMMAND_SET_TRANSACTION;
        TRY(skip_word(words, "as"));
        TRY(skip_word(words, "transaction"));
        command->is_characteristics = true;
        return transaction_modes(words, command);
    }
    TRY(accept(words, "authorization", &is_there));
    *ret_done = is_there;
    return is_there ? parse_person(words, command) : ERR_OK;
}

/* A session has all the roles of its person, and goes on having them. */
static enum err parse_role(struct words *words, struct pg_command *command)
{
    bool is_none;
    TRY(skip_mark(words));
    TRY(accept(words, "none", &is_none));
    if (!is_none) {
        TRY(accept(words, "default", &is_none));
    }
    command->kind = COMMAND_KEEP;
    if (is_none) {
        return need_end(words);
    }
    (void)errinfo_set(words->info, ERR_UNSUPPORTED, NULL,
                      "a session has all the roles of its person: there is no SET ROLE");
    errinfo_hint(words->info, "SHOW ROLES lists them; sign in as somebody who has fewer.");
    return ERR_UNSUPPORTED;
}

static enum err parse_set(struct words *words, struct pg_command *command)
{
    bool is_there;
    bool is_done = false;
    command->kind = COMMAND_SET;
    TRY(accept(words, "session", &is_there));
    if (is_there) {
        TRY(parse_session_word(words, command, &is_done));
        if (is_done) {
            return ERR_OK;
        }
    }
    TRY(accept(words, "local", &command->is_local));
    TRY(accept(words, "role", &is_there));
    if (is_there) {
        return parse_role(words, command);
    }
    TRY(accept(words, "session_authorization", &is_there));
    if (is_there) {
        return parse_person(words, command);
    }
    if (command->is_local) {
        TRY(skip_word(words, "session"));
        TRY(accept(words, "authorization", &is_there));
        if (is_there) {
            return parse_person(words, command);
        }
    }
    TRY(accept(words, "transaction", &is_there));
    if (is_there) {
        command->kind = COMMAND_SET_TRANSACTION;
        return transaction_modes(words, command);
    }
    TRY(accept(words, "time", &is_there));
    if (is_there) {
        TRY(skip_word(words, "zone"));
        command->name = SLICE("TimeZone");
        return parse_value(words, command);
    }
    TRY(accept(words, "names", &is_there));
    if (is_there) {
        command->name = SLICE("client_encoding");
        return parse_value(words, command);
    }
    struct slice name;
    struct token first = words->token;
    TRY(take_name(words, &name));
    if (pg__setting_find(name) < 0 || token_is_operator(&words->token, ".")) {
        words->token = first;
        command->kind = COMMAND_STATEMENT;
        return ERR_OK;
    }
    command->name = name;
    TRY(accept(words, "to", &is_there));
    if (!is_there) {
        if (!token_is_operator(&words->token, "=")) {
            return expected(words, "TO or =");
        }
        TRY(step(words));
    }
    return parse_value(words, command);
}

static enum err parse_reset(struct words *words, struct pg_command *command)
{
    bool is_there;
    TRY(accept(words, "all", &is_there));
    if (is_there) {
        command->kind = COMMAND_RESET_ALL;
        return need_end(words);
    }
    bool is_role;
    TRY(accept(words, "role", &is_role));
    TRY(accept(words, "session", &is_there));
    if (is_role || is_there) { /* as they have always been */
        TRY(skip_word(words, "authorization"));
        command->kind = COMMAND_KEEP;
        command->is_default = true;
        return need_end(words);
    }
    TRY(accept(words, "time", &is_there));
    if (is_there) {
        TRY(skip_word(words, "zone"));
        command->name = SLICE("TimeZone");
    } else {
        TRY(take_name(words, &command->name));
    }
    bool is_ours = pg__setting_find(command->name) >= 0 && is_at_end(words);
    command->kind = is_ours ? COMMAND_RESET : COMMAND_STATEMENT;
    return ERR_OK;
}

static enum err parse_show(struct words *words, struct pg_command *command)
{
    bool is_there;
    TRY(accept(words, "time", &is_there));
    if (is_there) {
        TRY(skip_word(words, "zone"));
        command->kind = COMMAND_SHOW;
        command->name = SLICE("TimeZone");
        return need_end(words);
    }
    TRY(accept(words, "transaction", &is_there));
    if (is_there) {
        TRY(skip_word(words, "isolation"));
        TRY(skip_word(words, "level"));
        command->kind = COMMAND_SHOW;
        command->name = SLICE("transaction_isolation");
        return need_end(words);
    }
    struct slice name = words->token.text;
    TRY(is_at_end(words) ? ERR_OK : step(words));
    command->kind =
        is_at_end(words) && pg__setting_find(name) >= 0 ? COMMAND_SHOW : COMMAND_STATEMENT;
    command->name = name;
    return ERR_OK;
}

/* ---- cursors ---- */

static enum err parse_declare(struct words *words, struct pg_command *command)
{
    bool is_there;
    command->kind = COMMAND_DECLARE;
    TRY(take_name(words, &command->name));
    for (;;) {
        bool is_no;
        TRY(accept(words, "no", &is_no));
        TRY(accept(words, "scroll", &is_there));
        command->is_scroll = command->is_scroll || (is_there && !is_no);
        if (is_there) {
            continue;
        }
        if (token_is(&words->token, "binary") || token_is(&words->token, "insensitive") ||
            token_is(&words->token, "asensitive")) {
            command->is_binary = command->is_binary || token_is(&words->token, "binary");
            TRY(step(words));
            continue;
        }
        break;
    }
    TRY(accept(words, "cursor", &is_there));
    if (!is_there) {
        return expected(words, "CURSOR");
    }
    bool is_without;
    TRY(accept(words, "without", &is_without));
    TRY(accept(words, "with", &command->is_held));
    TRY(skip_word(words, "hold"));
    TRY(accept(words, "for", &is_there));
    if (!is_there) {
        return expected(words, "FOR");
    }
    command->text = rest_of(words);
    command->value = words->text;
    return ERR_OK;
}

static enum err only_forward(struct words *words)
{
    (void)errinfo_set(words->info, ERR_UNSUPPORTED, "55000",
                      "cursors go forward only: FETCH NEXT, FORWARD n, n or ALL");
    errinfo_position(words->info, words->token.offset + 1);
    return ERR_UNSUPPORTED;
}

/* FETCH [NEXT | FORWARD [n | ALL] | n | ALL] [FROM | IN] name. */
static enum err parse_fetch(struct words *words, struct pg_command *command, bool is_move)
{
    static const char *const backward[] = {"prior",    "first",    "last",
                                           "absolute", "relative", "backward"};
    bool is_there;
    command->kind = is_move ? COMMAND_MOVE : COMMAND_FETCH;
    command->count = 1;
    for (size_t i = 0; i < ARRAY_COUNT(backward); i++) {
        if (token_is(&words->token, backward[i])) {
            return only_forward(words);
        }
    }
    TRY(skip_word(words, "next"));
    TRY(skip_word(words, "forward"));
    TRY(accept(words, "all", &is_there));
    if (is_there) {
        command->count = UINT64_MAX;
    } else if (words->token.kind == TOKEN_NUMBER) {
        if (!slice_to_u64(words->token.text, &command->count)) {
            return expected(words, "a count");
        }
        TRY(step(words));
    } else if (token_is_operator(&words->token, "-")) {
        return only_forward(words);
    }
    TRY(accept(words, "from", &is_there));
    if (!is_there) {
        TRY(skip_word(words, "in"));
    }
    TRY(take_name(words, &command->name));
    return need_end(words);
}

static enum err parse_close(struct words *words, struct pg_command *command)
{
    bool is_there;
    command->kind = COMMAND_CLOSE;
    TRY(accept(words, "all", &is_there));
    if (!is_there) {
        TRY(take_name(words, &command->name));
    }
    return need_end(words);
}

static enum err parse_deallocate(struct words *words, struct pg_command *command)
{
    bool is_there;
    command->kind = COMMAND_DEALLOCATE;
    TRY(skip_word(words, "prepare"));
    TRY(accept(words, "all", &is_there));
    if (!is_there) {
        TRY(take_name(words, &command->name));
    }
    return need_end(words);
}

static enum err parse_discard(struct words *words, struct pg_command *command)
{
    command->kind = COMMAND_DISCARD;
    TRY(take_name(words, &command->name));
    return need_end(words);
}

/* ---- constants ---- */

/* What drivers ask of the server itself, in the words that they use. */
static const struct pg_constant constants[] = {
    {"select pg_advisory_unlock_all ( )", "pg_advisory_unlock_all", "", PG_VOID, 4},
    {"select pg_catalog . version ( )", "version", NULL, PG_TEXT, -1},
    {"select version ( )", "version", NULL, PG_TEXT, -1},
    {"select pg_backend_pid ( )", "pg_backend_pid", "#pid", PG_INT4, 4},
    {"select pg_catalog . current_schema ( )", "current_schema", "#schema", PG_NAME, 64},
};

static enum err find_constant(struct words *words, struct pg_command *command)
{
    struct buf plain CLEANUP(buf_fini) = {0};
    struct scanner scanner;
    struct token token;
    scanner_init(&scanner, words->text);
    for (size_t i = 0; i < 12; i++) { /* longer than any of them */
        TRY(scanner_next(&scanner, &token, words->info));
        if (token.kind == TOKEN_END || token.kind == TOKEN_SEMICOLON) {
            break;
        }
        if (token.kind == TOKEN_OPERATOR) { /* "()" is one token */
            for (size_t j = 0; j < token.text.len; j++) {
                buf_append_char(&plain, ' ');
                buf_append_char(&plain, token.text.ptr[j]);
            }
            continue;
        }
        buf_append_str(&plain, plain.len > 0 ? " " : "");
        buf_append_slice(&plain, token.text);
    }
    for (size_t i = 0; i < ARRAY_COUNT(constants); i++) {
        if (slice_equal_fold(buf_slice(&plain), slice_of(constants[i].statement))) {
            command->kind = COMMAND_CONSTANT;
            command->constant = &constants[i];
        }
    }
    return buf_failed(&plain) ? errinfo_nomem(words->info) : ERR_OK;
}

/* ---- all others ---- */

static void classify(const struct statement *statement, struct pg_command *command)
{
    switch (statement->kind) {
    case STATEMENT_QUERY:
        command->is_select = true;
        __attribute__((fallthrough));
    case STATEMENT_EXPLAIN:
    case STATEMENT_DESCRIBE:
    case STATEMENT_SHOW:
    case STATEMENT_CHECK_ACCESS:
        command->has_rows = true;
        command->is_transactional = true;
        break;
    case STATEMENT_EXECUTE:
        command->has_rows = true;
        command->is_session = true;
        command->is_transactional = true;
        break;
    case STATEMENT_SET:
    case STATEMENT_USE:
    case STATEMENT_PREPARE:
    case STATEMENT_DEALLOCATE:
        command->is_session = true;
        command->is_transactional = true;
        break;
    case STATEMENT_TRANSACTION: /* refused by its own words */
    case STATEMENT_REFUSED:
        command->is_transactional = true;
        break;
    case STATEMENT_INSERT:
    case STATEMENT_UPDATE:
    case STATEMENT_MERGE:
    case STATEMENT_DELETE:
        command->has_rows = statement->returning.len > 0;
        command->takes_values = true;
        __attribute__((fallthrough));
    case STATEMENT_COPY_IN:
    case STATEMENT_CREATE_TABLE:
    case STATEMENT_CREATE_TEMP:
    case STATEMENT_CREATE_MANAGED:
    case STATEMENT_TRUNCATE:
    case STATEMENT_CREATE_VIEW:
    case STATEMENT_CREATE_SCHEMA:
    case STATEMENT_DROP:
    case STATEMENT_ALTER_TABLE:
    case STATEMENT_COMMENT:
    case STATEMENT_GRANT:
    case STATEMENT_REVOKE:
        command->is_transactional = true;
        command->is_change = true;
        break;
    case STATEMENT_ALTER_SCHEMA:
    case STATEMENT_ATTACH:
    case STATEMENT_DETACH:
    case STATEMENT_CREATE_PRINCIPAL:
    case STATEMENT_ALTER_USER:
    case STATEMENT_ALTER_LIMITS:
    case STATEMENT_REVOKE_API_KEY:
    case STATEMENT_GRANT_ROLE:
    case STATEMENT_COPY:
        break;
    case STATEMENT_CALL:
        command->has_rows = true;
        break;
    case STATEMENT_CREATE_API_KEY:
        command->has_rows = command->makes_key = true;
        break;
    }
}

static enum err parse_statement(struct words *words, struct pg_command *command)
{
    struct statement statement;
    command->kind = COMMAND_STATEMENT;
    TRY(statement_parse(words->text, words->arena, &statement, words->info));
    command->text = words->text;
    classify(&statement, command);
    return ERR_OK;
}

static enum err parse_known(struct words *words, struct pg_command *command, bool *ret_is_known)
{
    static const struct {
        const char *word;
        enum err (*parse)(struct words *, struct pg_command *);
        enum pg_command_kind kind;
    } simple[] = {
        {"begin", parse_begin, COMMAND_BEGIN},
        {"start", parse_begin, COMMAND_BEGIN},
        {"savepoint", parse_savepoint, COMMAND_SAVEPOINT},
        {"release", parse_savepoint, COMMAND_RELEASE},
        {"set", parse_set, COMMAND_SET},
        {"reset", parse_reset, COMMAND_RESET},
        {"show", parse_show, COMMAND_SHOW},
        {"declare", parse_declare, COMMAND_DECLARE},
        {"close", parse_close, COMMAND_CLOSE},
        {"deallocate", parse_deallocate, COMMAND_DEALLOCATE},
        {"discard", parse_discard, COMMAND_DISCARD},
    };
    const struct token first = words->token;
    *ret_is_known = true;
    TRY(step(words));
    for (size_t i = 0; i < ARRAY_COUNT(simple); i++) {
        if (token_is(&first, simple[i].word)) {
            command->kind = simple[i].kind;
            return simple[i].parse(words, command);
        }
    }
    if (token_is(&first, "commit") || token_is(&first, "end")) {
        return parse_end(words, command, false);
    }
    if (token_is(&first, "rollback") || token_is(&first, "abort")) {
        return parse_end(words, command, true);
    }
    if (token_is(&first, "fetch") || token_is(&first, "move")) {
        return parse_fetch(words, command, token_is(&first, "move"));
    }
    if (token_is(&first, "unlisten")) {
        command->kind = COMMAND_UNLISTEN;
        return ERR_OK;
    }
    if (token_is(&first, "copy")) {
        return pg__copy_parse(words->text, words->arena, command, words->info);
    }
    if (token_is(&first, "select")) {
        return find_constant(words, command);
    }
    *ret_is_known = false;
    return ERR_OK;
}

enum err pg__command_parse(struct slice text, struct arena *arena, struct pg_command *ret_command,
                           struct errinfo *info)
{
    struct words words = {.text = text, .arena = arena, .info = info};
    struct pg_command command = {.kind = COMMAND_STATEMENT, .text = text};
    bool is_known;
    scanner_init(&words.scanner, text);
    TRY(step(&words));
    if (is_at_end(&words)) {
        *ret_command = (struct pg_command){.kind = COMMAND_EMPTY, .text = text};
        return ERR_OK;
    }
    TRY(parse_known(&words, &command, &is_known));
    if (!is_known || command.kind == COMMAND_STATEMENT) {
        command = (struct pg_command){.text = text};
        TRY(parse_statement(&words, &command));
    }
    *ret_command = command;
    return ERR_OK;
}
