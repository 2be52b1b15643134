#include "sql/statement_int.h"

#include "base/buf.h"

#define LIST_ITEMS_MAX 10000

enum err cursor_next(struct cursor *c)
{
    c->end = c->token.offset + c->token.text.len;
    return scanner_next(&c->scanner, &c->token, c->info);
}

enum err cursor_expected(struct cursor *c, const char *what)
{
    if (c->token.kind == TOKEN_END) {
        (void)errinfo_set(c->info, ERR_SYNTAX, NULL, "the statement ends early: expected %s", what);
        errinfo_position(c->info, c->end + 1);
    } else if (c->is_secret || c->token.kind == TOKEN_STRING) { /* it may be a password */
        (void)errinfo_set(c->info, ERR_SYNTAX, NULL, "syntax error%s: expected %s",
                          c->token.kind == TOKEN_STRING ? " at a string" : "", what);
        errinfo_position(c->info, c->token.offset + 1);
    } else {
        (void)errinfo_set(c->info, ERR_SYNTAX, NULL, "syntax error at \"%.*s\": expected %s",
                          SLICE_ARGS(c->token.text), what);
        errinfo_position(c->info, c->token.offset + 1);
    }
    return ERR_SYNTAX;
}

enum err cursor_accept(struct cursor *c, const char *word, bool *ret_taken)
{
    *ret_taken = token_is(&c->token, word);
    return *ret_taken ? cursor_next(c) : ERR_OK;
}

enum err cursor_accept_operator(struct cursor *c, const char *text, bool *ret_taken)
{
    *ret_taken = token_is_operator(&c->token, text);
    return *ret_taken ? cursor_next(c) : ERR_OK;
}

enum err cursor_expect(struct cursor *c, const char *word)
{
    return token_is(&c->token, word) ? cursor_next(c) : cursor_expected(c, word);
}

enum err cursor_expect_operator(struct cursor *c, const char *text)
{
    return token_is_operator(&c->token, text) ? cursor_next(c) : cursor_expected(c, text);
}

enum err cursor_expect_end(struct cursor *c)
{
    return c->token.kind == TOKEN_END ? ERR_OK : cursor_expected(c, "the end of the statement");
}

enum err cursor_identifier(struct cursor *c, const char *what, struct slice *ret_name)
{
    if (c->token.kind != TOKEN_WORD && c->token.kind != TOKEN_QUOTED) {
        return cursor_expected(c, what);
    }
    if (c->token.kind == TOKEN_QUOTED && c->token.text.ptr[0] != '"') {
        (void)errinfo_set(c->info, ERR_UNSUPPORTED, NULL, "a name here has no Unicode escapes");
        errinfo_position(c->info, c->token.offset + 1);
        errinfo_hint(c->info, "Write the characters themselves between double quotes.");
        return ERR_UNSUPPORTED;
    }
    if (!token_identifier(&c->token, c->arena, ret_name)) {
        return errinfo_nomem(c->info);
    }
    if (ret_name->len == 0) {
        return cursor_expected(c, what);
    }
    return cursor_next(c);
}

static enum err read_parts(struct cursor *c, struct slice *parts, size_t part_max,
                           size_t *ret_count)
{
    size_t count = 0;
    bool has_dot = true;
    while (has_dot) {
        if (count == part_max) {
            return cursor_expected(c, part_max == 3 ? "a name of at most three parts"
                                                    : "a name of at most four parts");
        }
        TRY(cursor_identifier(c, "a name", &parts[count]));
        count++;
        TRY(cursor_accept_operator(c, ".", &has_dot));
    }
    *ret_count = count;
    return ERR_OK;
}

static struct sql_name name_of(const struct slice *parts, size_t count)
{
    struct sql_name name = {{"", 0}, {"", 0}, parts[count - 1]};
    if (count >= 2) {
        name.schema = parts[count - 2];
    }
    if (count == 3) {
        name.catalog = parts[0];
    }
    return name;
}

enum err cursor_name(struct cursor *c, struct sql_name *ret_name)
{
    struct slice parts[3];
    size_t count;
    TRY(read_parts(c, parts, ARRAY_COUNT(parts), &count));
    *ret_name = name_of(parts, count);
    return ERR_OK;
}

enum err cursor_column(struct cursor *c, struct sql_name *ret_table, struct slice *ret_column)
{
    struct slice parts[4];
    size_t count;
    TRY(read_parts(c, parts, ARRAY_COUNT(parts), &count));
    if (count < 2) {
        return cursor_expected(c, "a column as table.column");
    }
    *ret_table = name_of(parts, count - 1);
    *ret_column = parts[count - 1];
    return ERR_OK;
}

enum err cursor_schema(struct cursor *c, struct sql_name *ret_name)
{
    struct sql_name name;
    TRY(cursor_name(c, &name));
    if (name.catalog.len > 0) {
        (void)errinfo_set(c->info, ERR_SYNTAX, "42601", "a schema's name has at most two parts");
        errinfo_hint(c->info,
                     "A namespace of several levels is one quoted name: %.*s.\"%.*s.%.*s\".",
                     SLICE_ARGS(name.catalog), SLICE_ARGS(name.schema), SLICE_ARGS(name.name));
        errinfo_position(c->info, c->token.offset + 1);
        return ERR_SYNTAX;
    }
    *ret_name = (struct sql_name){name.schema, {"", 0}, name.name};
    return ERR_OK;
}

enum err cursor_string(struct cursor *c, const char *what, struct slice *ret_value)
{
    if (c->token.kind != TOKEN_STRING) {
        return cursor_expected(c, what);
    }
    enum err err = token_string(&c->token, c->arena, ret_value, c->info);
    if (err != ERR_OK) {
        errinfo_position(c->info, c->token.offset + 1);
        return err;
    }
    return cursor_next(c);
}

enum err cursor_literal(struct cursor *c, struct slice *ret_literal)
{
    if (c->token.kind == TOKEN_STRING) {
        struct slice value;
        TRY(cursor_string(c, "a constant", &value));
        struct buf quoted CLEANUP(buf_fini) = {0};
        sql_quote_string(&quoted, value);
        return !buf_failed(&quoted) && arena_slice(c->arena, buf_slice(&quoted), ret_literal)
                   ? ERR_OK
                   : errinfo_nomem(c->info);
    }
    size_t start = c->token.offset;
    bool has_sign = token_is_operator(&c->token, "-");
    if (has_sign) {
        TRY(cursor_next(c));
    }
    bool is_word = !has_sign && (token_is(&c->token, "true") || token_is(&c->token, "false") ||
                                 token_is(&c->token, "null"));
    if (c->token.kind != TOKEN_NUMBER && !is_word) {
        return cursor_expected(c, "a constant: 'text', a number, true, false or null");
    }
    TRY(cursor_next(c));
    *ret_literal = (struct slice){c->scanner.text.ptr + start, c->end - start};
    return ERR_OK;
}

enum err cursor_if_exists(struct cursor *c, bool with_not, bool *ret_given)
{
    TRY(cursor_accept(c, "if", ret_given));
    if (*ret_given && with_not) {
        TRY(cursor_expect(c, "NOT"));
    }
    return *ret_given ? cursor_expect(c, "EXISTS") : ERR_OK;
}

enum err cursor_rest(struct cursor *c, const char *what, struct slice *ret_text)
{
    size_t start = c->token.offset;
    if (c->token.kind == TOKEN_END) {
        return cursor_expected(c, what);
    }
    while (c->token.kind != TOKEN_END) {
        if (c->token.kind == TOKEN_SEMICOLON) {
            return cursor_expected(c, "the end of the statement");
        }
        TRY(cursor_next(c));
    }
    *ret_text = (struct slice){c->scanner.text.ptr + start, c->end - start};
    return ERR_OK;
}

enum err cursor_expression(struct cursor *c, const char *const *stops, size_t stop_count,
                           bool until_comma, struct slice *ret_text)
{
    size_t start = c->token.offset;
    size_t depth = 0;
    bool is_distinct = false; /* IS DISTINCT FROM is no FROM */
    size_t cases = 0;         /* the WHEN and THEN of CASE are none of MERGE */
    while (c->token.kind != TOKEN_END) {
        bool opens = token_is_operator(&c->token, "(") || token_is_operator(&c->token, "[") ||
                     token_is_operator(&c->token, "{");
        bool closes = token_is_operator(&c->token, ")") || token_is_operator(&c->token, "]") ||
                      token_is_operator(&c->token, "}");
        bool is_case = false;
        for (size_t i = 0; i < stop_count; i++) {
            is_case = is_case || strcmp(stops[i], "when") == 0 || strcmp(stops[i], "then") == 0;
        }
        cases += is_case && token_is(&c->token, "case");
        bool stop = depth == 0 && (closes || (until_comma && token_is_operator(&c->token, ",")));
        for (size_t i = 0; depth == 0 && i < stop_count; i++) {
            stop = stop || (cases == 0 && token_is(&c->token, stops[i]) &&
                            !(is_distinct && token_is(&c->token, "from")));
        }
        if (stop || c->token.kind == TOKEN_SEMICOLON) {
            break;
        }
        cases -= cases > 0 && token_is(&c->token, "end");
        is_distinct = token_is(&c->token, "distinct");
        depth += opens;
        depth -= closes;
        TRY(cursor_next(c));
    }
    if (c->end <= start) {
        return cursor_expected(c, "an expression");
    }
    if (depth > 0) {
        return cursor_expected(c, "a closing bracket");
    }
    *ret_text = (struct slice){c->scanner.text.ptr + start, c->end - start};
    return ERR_OK;
}

/* Grows an arena array of `size`-byte items so that one more fits; true on success. */
static bool grow(struct cursor *c, void **items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) {
        return true;
    }
    size_t wider = *capacity == 0 ? 8 : *capacity * 2;
    void *grown = arena_calloc(c->arena, wider, size);
    if (grown == NULL) {
        return false;
    }
    if (count > 0) {
        memcpy(grown, *items, count * size);
    }
    *items = grown;
    *capacity = wider;
    return true;
}

enum err cursor_name_list(struct cursor *c, const struct slice **ret_names, size_t *ret_count)
{
    void *names = NULL;
    size_t count = 0;
    size_t capacity = 0;
    bool has_more = true;
    TRY(cursor_expect_operator(c, "("));
    while (has_more) {
        if (count == LIST_ITEMS_MAX) {
            return errinfo_set(c->info, ERR_LIMIT, NULL, "a list may have %d names",
                               LIST_ITEMS_MAX);
        }
        if (!grow(c, &names, count, &capacity, sizeof(struct slice))) {
            return errinfo_nomem(c->info);
        }
        TRY(cursor_identifier(c, "a column", &((struct slice *)names)[count]));
        count++;
        TRY(cursor_accept_operator(c, ",", &has_more));
    }
    TRY(cursor_expect_operator(c, ")"));
    *ret_names = names;
    *ret_count = count;
    return ERR_OK;
}

enum err cursor_options(struct cursor *c, const struct relation_option **ret_options,
                        size_t *ret_count)
{
    void *options = NULL;
    size_t count = 0;
    size_t capacity = 0;
    bool has_more = true;
    bool ignored;
    TRY(cursor_expect_operator(c, "("));
    while (has_more) {
        if (count == LIST_ITEMS_MAX) {
            return errinfo_set(c->info, ERR_LIMIT, NULL, "a list may have %d options",
                               LIST_ITEMS_MAX);
        }
        if (!grow(c, &options, count, &capacity, sizeof(struct relation_option))) {
            return errinfo_nomem(c->info);
        }
        struct relation_option *option = &((struct relation_option *)options)[count];
        TRY(c->token.kind == TOKEN_STRING ? cursor_string(c, "an option", &option->name)
                                          : cursor_identifier(c, "an option", &option->name));
        TRY(cursor_accept_operator(c, "=", &ignored));
        if (c->token.kind == TOKEN_WORD && !token_is(&c->token, "true") &&
            !token_is(&c->token, "false") && !token_is(&c->token, "null")) {
            /* FORMAT parquet: a bare word is a text */
            struct buf quoted CLEANUP(buf_fini) = {0};
            sql_quote_string(&quoted, c->token.text);
            if (buf_failed(&quoted) || !arena_slice(c->arena, buf_slice(&quoted), &option->value)) {
                return errinfo_nomem(c->info);
            }
            TRY(cursor_next(c));
        } else {
            TRY(cursor_literal(c, &option->value));
        }
        count++;
        TRY(cursor_accept_operator(c, ",", &has_more));
    }
    TRY(cursor_expect_operator(c, ")"));
    *ret_options = options;
    *ret_count = count;
    return ERR_OK;
}
