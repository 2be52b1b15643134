/* The first word decides; each family has its file. */
#include "sql/statement.h"

#include "base/buf.h"
#include "sql/statement_int.h"

static enum err parse_explain(struct cursor *c, struct statement *s)
{
    bool taken;
    s->kind = STATEMENT_EXPLAIN;
    s->tag = "EXPLAIN";
    TRY(cursor_accept(c, "analyze", &s->is_analyze));
    struct cursor before = *c; /* EXPLAIN (SELECT ...) is a query, EXPLAIN (PHYSICAL) an option */
    TRY(cursor_accept_operator(c, "(", &taken));
    if (taken && (token_is(&c->token, "physical") || token_is(&c->token, "analyze"))) {
        s->is_physical = token_is(&c->token, "physical");
        s->is_analyze = s->is_analyze || !s->is_physical;
        TRY(cursor_next(c));
        TRY(cursor_expect_operator(c, ")"));
    } else {
        *c = before;
    }
    return cursor_rest(c, "a query", &s->query);
}

static enum err parse_setting_name(struct cursor *c, struct slice *ret_name)
{
    size_t start = c->token.offset;
    bool has_dot = true;
    struct slice ignored;
    while (has_dot) {
        TRY(cursor_identifier(c, "a setting", &ignored));
        TRY(cursor_accept_operator(c, ".", &has_dot));
    }
    *ret_name = (struct slice){c->scanner.text.ptr + start, c->end - start};
    return ERR_OK;
}

static enum err parse_set(struct cursor *c, struct statement *s)
{
    bool taken;
    s->kind = STATEMENT_SET;
    s->tag = "SET";
    TRY(cursor_accept(c, "session", &taken));
    TRY(parse_setting_name(c, &s->setting));
    TRY(cursor_accept(c, "to", &taken));
    if (!taken) {
        TRY(cursor_expect_operator(c, "="));
    }
    if (c->token.kind == TOKEN_STRING) {
        TRY(cursor_string(c, "a value", &s->value));
    } else {
        TRY(cursor_rest(c, "a value", &s->value));
    }
    return cursor_expect_end(c);
}

static enum err parse_reset(struct cursor *c, struct statement *s)
{
    s->kind = STATEMENT_SET;
    s->tag = "RESET";
    s->is_reset = true;
    bool is_all;
    TRY(cursor_accept(c, "all", &is_all));
    TRY(is_all ? ERR_OK : parse_setting_name(c, &s->setting));
    return cursor_expect_end(c);
}

static enum err parse_use(struct cursor *c, struct statement *s)
{
    s->kind = STATEMENT_USE;
    s->tag = "USE";
    TRY(cursor_name(c, &s->name));
    return cursor_expect_end(c);
}

static enum err parse_prepare(struct cursor *c, struct statement *s)
{
    s->kind = STATEMENT_PREPARE;
    s->tag = "PREPARE";
    TRY(cursor_identifier(c, "a name", &s->prepared));
    TRY(cursor_expect(c, "AS"));
    return cursor_rest(c, "a query", &s->query);
}

static enum err parse_execute(struct cursor *c, struct statement *s)
{
    struct buf arguments CLEANUP(buf_fini) = {0};
    bool has_more;
    s->kind = STATEMENT_EXECUTE;
    s->tag = "EXECUTE";
    TRY(cursor_identifier(c, "a name", &s->prepared));
    TRY(cursor_accept_operator(c, "(", &has_more));
    bool has_list = has_more;
    if (has_list && token_is_operator(&c->token, ")")) {
        has_more = false;
    }
    while (has_more) {
        struct slice literal;
        TRY(cursor_literal(c, &literal));
        buf_append(&arguments, &literal, sizeof(literal));
        s->argument_count++;
        TRY(cursor_accept_operator(c, ",", &has_more));
    }
    if (has_list) {
        TRY(cursor_expect_operator(c, ")"));
    }
    struct slice *kept = arena_calloc(c->arena, s->argument_count + 1, sizeof(*kept));
    if (buf_failed(&arguments) || kept == NULL) {
        return errinfo_nomem(c->info);
    }
    if (arguments.len > 0) {
        memcpy(kept, arguments.ptr, arguments.len);
    }
    s->arguments = kept;
    return cursor_expect_end(c);
}

static enum err parse_deallocate(struct cursor *c, struct statement *s)
{
    bool taken;
    s->kind = STATEMENT_DEALLOCATE;
    s->tag = "DEALLOCATE";
    TRY(cursor_accept(c, "prepare", &taken));
    TRY(cursor_accept(c, "all", &taken));
    TRY(taken ? ERR_OK : cursor_identifier(c, "a name", &s->prepared));
    return cursor_expect_end(c);
}

/* COPY t [(a, ...)] FROM STDIN ...: what the data look like is for who has them. */
static enum err parse_copy_table(struct cursor *c, struct statement *s)
{
    bool taken;
    TRY(cursor_name(c, &s->name));
    if (token_is_operator(&c->token, "(")) {
        TRY(cursor_name_list(c, &s->columns, &s->column_count));
    }
    TRY(cursor_accept(c, "from", &taken));
    if (!taken) {
        enum err err = cursor_expected(c, "a query in parentheses behind COPY");
        errinfo_hint(c->info, "COPY (SELECT * FROM %.*s) TO 'file' copies a table.",
                     SLICE_ARGS(s->name.name));
        return err;
    }
    s->kind = STATEMENT_COPY_IN;
    if (!token_is(&c->token, "stdin")) {
        s->kind = STATEMENT_REFUSED;
        s->refused_word = "COPY FROM";
        return ERR_OK;
    }
    while (c->token.kind != TOKEN_END && c->token.kind != TOKEN_SEMICOLON) {
        TRY(cursor_next(c));
    }
    return cursor_expect_end(c);
}

static enum err parse_copy(struct cursor *c, struct statement *s)
{
    bool taken;
    s->kind = STATEMENT_COPY;
    s->tag = "COPY";
    TRY(cursor_accept_operator(c, "(", &taken));
    if (!taken) {
        return parse_copy_table(c, s);
    }
    TRY(cursor_expression(c, NULL, 0, false, &s->query));
    TRY(cursor_expect_operator(c, ")"));
    TRY(cursor_expect(c, "TO"));
    TRY(cursor_string(c, "a file in single quotes", &s->copy_target));
    TRY(cursor_accept(c, "with", &taken));
    if (token_is_operator(&c->token, "(")) {
        TRY(cursor_options(c, &s->options, &s->option_count));
    }
    return cursor_expect_end(c);
}

static enum err parse_query(struct cursor *c, struct statement *s)
{
    s->kind = STATEMENT_QUERY;
    s->tag = "SELECT";
    return cursor_rest(c, "a query", &s->query); /* unterminated tokens show now */
}

static const struct {
    const char *word;
    enum err (*parse)(struct cursor *c, struct statement *s);
    bool keeps_word; /* the parser wants to see the first word itself */
} first_words[] = {
    {"select", parse_query, true},
    {"with", parse_query, true},
    {"values", parse_query, true},
    {"from", parse_query, true},
    {"table", parse_query, true},
    {"pivot", parse_query, true},
    {"unpivot", parse_query, true},
    {"summarize", parse_query, true},
    {"explain", parse_explain, false},
    {"describe", parse_describe, false},
    {"desc", parse_describe, false},
    {"create", parse_create, false},
    {"attach", parse_attach, false},
    {"detach", parse_detach, false},
    {"drop", parse_drop, false},
    {"alter", parse_alter, false},
    {"grant", parse_grant, false},
    {"deny", parse_deny, false},
    {"revoke", parse_revoke, false},
    {"show", parse_show, false},
    {"check", parse_check, false},
    {"set", parse_set, false},
    {"reset", parse_reset, false},
    {"use", parse_use, false},
    {"prepare", parse_prepare, false},
    {"execute", parse_execute, false},
    {"deallocate", parse_deallocate, false},
    {"copy", parse_copy, false},
    {"comment", parse_comment, false},
    {"call", parse_call, false},
    {"insert", parse_insert, false},
    {"update", parse_update, false},
    {"delete", parse_delete, false},
    {"merge", parse_merge, false},
    {"truncate", parse_truncate, false},
    {"begin", parse_transaction, true},
    {"start", parse_transaction, true},
    {"commit", parse_transaction, true},
    {"end", parse_transaction, true},
    {"rollback", parse_transaction, true},
    {"abort", parse_transaction, true},
    {"savepoint", parse_transaction, true},
    {"release", parse_transaction, true},
};

static const char *const refused_words[] = {
    "INSTALL",    "LOAD",    "PRAGMA",  "EXPORT",  "IMPORT",   "VACUUM",  "ANALYZE",
    "CHECKPOINT", "FORCE",   "LISTEN",  "NOTIFY",  "LOCK",     "DO",      "DECLARE",
    "FETCH",      "CLUSTER", "REINDEX", "DISCARD", "SECURITY", "REFRESH", "KILL",
};

static enum err unknown_word(struct cursor *c)
{
    unsigned best = 3;
    const char *nearest = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(first_words); i++) {
        unsigned distance =
            slice_edit_distance(c->token.text, slice_of(first_words[i].word), best - 1);
        if (distance < best) {
            best = distance;
            nearest = first_words[i].word;
        }
    }
    enum err err = cursor_expected(c, "a statement");
    if (c->token.text.len > 0 && c->token.text.ptr[0] == '\\') {
        errinfo_hint(c->info, "Backslash commands are the shell's, which `moat` alone opens; SHOW "
                              "TABLES, DESCRIBE name and SHOW GRANTS say the same in SQL.");
    } else if (nearest != NULL) {
        char upper[16] = "";
        for (size_t i = 0; nearest[i] != '\0' && i + 1 < sizeof(upper); i++) {
            upper[i] = (char)(nearest[i] - 'a' + 'A');
        }
        errinfo_hint(c->info, "Did you mean %s?", upper);
    }
    return err;
}

static bool find_word(const struct token *token, const char *const *words, size_t count,
                      const char **ret_word)
{
    for (size_t i = 0; i < count; i++) {
        if (token_is(token, words[i])) {
            *ret_word = words[i];
            return true;
        }
    }
    return false;
}

static enum err parse_first(struct cursor *c, struct statement *s)
{
    if (token_is_operator(&c->token, "(")) {
        return parse_query(c, s);
    }
    for (size_t i = 0; i < ARRAY_COUNT(first_words); i++) {
        if (token_is(&c->token, first_words[i].word)) {
            TRY(first_words[i].keeps_word ? ERR_OK : cursor_next(c));
            return first_words[i].parse(c, s);
        }
    }
    if (find_word(&c->token, refused_words, ARRAY_COUNT(refused_words), &s->refused_word)) {
        s->kind = STATEMENT_REFUSED;
        s->tag = s->refused_word;
        return ERR_OK;
    }
    return unknown_word(c);
}

enum err statement_parse(struct slice text, struct arena *arena, struct statement *ret_statement,
                         struct errinfo *info)
{
    struct statement statement = {.text = text, .tag = ""};
    struct cursor cursor = {.arena = arena, .info = info};
    scanner_init(&cursor.scanner, text);
    TRY(scanner_next(&cursor.scanner, &cursor.token, info));
    TRY(parse_first(&cursor, &statement));
    *ret_statement = statement;
    return ERR_OK;
}
