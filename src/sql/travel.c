/* Time travel: FOR ... AS OF and t@name to AT (...); pg_catalog before types and operators. */
#include "sql/travel.h"

#include "base/buf.h"
#include "sql/relation.h"
#include "sql/scan.h"

struct rewriter {
    struct scanner scanner;
    struct token token;  /* the current one */
    struct token before; /* the one before it */
    size_t copied;       /* old text up to here is in `out` */
    struct buf out;
    struct sql_edit *edits;
    size_t edit_count;
    size_t edit_capacity;
    struct arena *arena;
    struct errinfo *info;
};

static size_t end_of(const struct token *token)
{
    return token->offset + token->text.len;
}

static enum err next(struct rewriter *r)
{
    r->before = r->token;
    return scanner_next(&r->scanner, &r->token, r->info);
}

/* Notes that what is appended from now on stands for the old text at `old`. */
static enum err mark(struct rewriter *r, size_t replaced, size_t old)
{
    if (r->edit_count == r->edit_capacity) {
        size_t capacity = r->edit_capacity == 0 ? 8 : r->edit_capacity * 2;
        struct sql_edit *grown = arena_calloc(r->arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(r->info);
        }
        if (r->edit_count > 0) {
            memcpy(grown, r->edits, r->edit_count * sizeof(*grown));
        }
        r->edits = grown;
        r->edit_capacity = capacity;
    }
    r->edits[r->edit_count++] = (struct sql_edit){r->out.len, replaced, old};
    return ERR_OK;
}

static void copy_until(struct rewriter *r, size_t end)
{
    buf_append(&r->out, r->scanner.text.ptr + r->copied, end - r->copied);
    r->copied = end;
}

/* Words that may stand behind a table and are no alias of it. */
static bool is_clause(const struct token *token)
{
    static const char *const words[] = {
        "where",   "join",        "left",    "right",   "inner",     "full",       "cross",
        "natural", "on",          "using",   "group",   "order",     "having",     "limit",
        "offset",  "union",       "except",  "minus",   "window",    "select",     "qualify",
        "sample",  "tablesample", "asof",    "anti",    "semi",      "fetch",      "for",
        "at",      "pivot",       "unpivot", "lateral", "intersect", "positional", "returning",
        "set",     "when",        "into",    "from",    "and"};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (token_is(token, words[i])) {
            return true;
        }
    }
    return false;
}

static bool is_name(const struct token *token)
{
    return token->kind == TOKEN_WORD || token->kind == TOKEN_QUOTED;
}

/* Steps over "AS a (x, y)" behind the version: the engine wants the alias before it. Empty if there
 * is none. */
static enum err skip_alias(struct rewriter *r, struct slice *ret_alias)
{
    size_t from = r->token.offset;
    size_t to = from;
    if (token_is(&r->token, "as")) {
        TRY(next(r));
    }
    if (is_name(&r->token) && !is_clause(&r->token)) {
        to = end_of(&r->token);
        TRY(next(r));
    }
    if (to > from && token_is_operator(&r->token, "(")) {
        while (r->token.kind != TOKEN_END && !token_is_operator(&r->token, ")")) {
            TRY(next(r));
        }
        if (r->token.kind != TOKEN_END) {
            to = end_of(&r->token);
            TRY(next(r));
        }
    }
    *ret_alias = (struct slice){r->scanner.text.ptr + from, to - from};
    return ERR_OK;
}

/* Puts "alias AT (unit => value)" in the place of the old text [from, alias or end). `value` is
 * marked as standing for the old text at `value_from`. */
static enum err put_at(struct rewriter *r, size_t from, const char *at, struct slice value,
                       size_t value_from, size_t end)
{
    struct slice alias;
    TRY(skip_alias(r, &alias));
    size_t alias_from = (size_t)(alias.ptr - r->scanner.text.ptr);
    copy_until(r, from);
    bool is_apart = from > 0 && (unsigned char)r->scanner.text.ptr[from - 1] <= ' ';
    buf_append_str(&r->out, is_apart ? "" : " ");
    if (alias.len > 0) {
        TRY(mark(r, 0, alias_from));
        buf_append_slice(&r->out, alias);
        buf_append_str(&r->out, " ");
        end = alias_from + alias.len;
    }
    TRY(mark(r, strlen(at), from));
    buf_append_str(&r->out, at);
    TRY(mark(r, 0, value_from));
    buf_append_slice(&r->out, value);
    TRY(mark(r, 1, end));
    buf_append_str(&r->out, ")");
    r->copied = end;
    return mark(r, 0, end);
}

static enum err no_value(struct rewriter *r)
{
    (void)errinfo_set(r->info, ERR_SYNTAX, NULL,
                      "syntax error: AS OF wants a literal, a parameter or (an expression)");
    errinfo_position(r->info, r->token.offset + 1);
    return ERR_SYNTAX;
}

/* Steps over x of AS OF x; `ret_end` is where it ends. */
static enum err skip_value(struct rewriter *r, size_t *ret_end)
{
    unsigned depth = 0;
    if (r->token.kind == TOKEN_WORD) { /* TIMESTAMP '2024-01-01', CURRENT_TIMESTAMP */
        *ret_end = end_of(&r->token);
        TRY(next(r));
        if (r->token.kind == TOKEN_STRING) {
            *ret_end = end_of(&r->token);
            return next(r);
        }
        if (!token_is_operator(&r->token, "(")) {
            return ERR_OK;
        }
    }
    if (token_is_operator(&r->token, "-")) {
        TRY(next(r));
    }
    do {
        bool is_value = r->token.kind == TOKEN_STRING || r->token.kind == TOKEN_NUMBER ||
                        r->token.kind == TOKEN_PARAMETER;
        depth += token_is_operator(&r->token, "(") ? 1 : 0;
        if (r->token.kind == TOKEN_END || (depth == 0 && !is_value)) {
            return no_value(r);
        }
        depth -= token_is_operator(&r->token, ")") ? 1 : 0;
        *ret_end = end_of(&r->token);
        TRY(next(r));
    } while (depth > 0);
    return ERR_OK;
}

/* The current token is FOR: rewrites if AS OF follows, else steps over what was looked at. */
static enum err rewrite_for(struct rewriter *r)
{
    static const struct {
        const char *word;
        const char *at;
    } units[] = {{"version", "AT (VERSION => "},
                 {"system_version", "AT (VERSION => "},
                 {"timestamp", "AT (TIMESTAMP => "},
                 {"system_time", "AT (TIMESTAMP => "}};
    const char *at = NULL;
    size_t from = r->token.offset;
    TRY(next(r));
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        at = token_is(&r->token, units[i].word) ? units[i].at : at;
    }
    if (at == NULL) {
        return ERR_OK;
    }
    TRY(next(r));
    if (!token_is(&r->token, "as")) {
        return ERR_OK;
    }
    TRY(next(r));
    if (!token_is(&r->token, "of")) {
        return ERR_OK;
    }
    TRY(next(r));
    size_t value_from = r->token.offset;
    size_t end = value_from;
    TRY(skip_value(r, &end));
    struct slice value = {r->scanner.text.ptr + value_from, end - value_from};
    return put_at(r, from, at, value, value_from, end);
}

/* The current token is "@" right behind a name. */
static enum err rewrite_at(struct rewriter *r)
{
    struct token at = r->token;
    TRY(next(r));
    if (!is_name(&r->token) || r->token.offset != end_of(&at)) {
        return ERR_OK;
    }
    struct slice name;
    struct buf text CLEANUP(buf_fini) = {0};
    if (!token_identifier(&r->token, r->arena, &name)) {
        return errinfo_nomem(r->info);
    }
    sql_quote_string(&text, name);
    if (buf_failed(&text)) {
        return errinfo_nomem(r->info);
    }
    size_t name_from = r->token.offset;
    size_t end = end_of(&r->token);
    TRY(next(r));
    return put_at(r, at.offset, "AT (VERSION => ", buf_slice(&text), name_from, end);
}

/* PostgreSQL's tools write pg_catalog before every type and operator; the engine's parser takes it
 * before some types only, and takes an operator's schema for its name. The current token is a word
 * behind "::", AS or OPERATOR( : leaves "pg_catalog." out, if that is what it is. */
static enum err leave_out_schema(struct rewriter *r)
{
    struct token word = r->token;
    struct slice name;
    TRY(next(r));
    if (!token_is_operator(&r->token, ".")) {
        return ERR_OK;
    }
    if (!token_identifier(&word, r->arena, &name)) {
        return errinfo_nomem(r->info);
    }
    if (!slice_equal_fold(name, SLICE(SQL_SCHEMA_PG))) {
        return ERR_OK;
    }
    copy_until(r, word.offset);
    r->copied = end_of(&r->token);
    TRY(next(r));
    return mark(r, 0, r->copied);
}

/* The current token is OPERATOR: steps into its parentheses. */
static enum err rewrite_operator(struct rewriter *r)
{
    TRY(next(r));
    if (!token_is_operator(&r->token, "(")) {
        return ERR_OK;
    }
    TRY(next(r));
    return is_name(&r->token) ? leave_out_schema(r) : ERR_OK;
}

static enum err rewrite(struct rewriter *r)
{
    TRY(next(r));
    while (r->token.kind != TOKEN_END) {
        if (token_is(&r->token, "for")) {
            TRY(rewrite_for(r));
        } else if (token_is_operator(&r->token, "@") && is_name(&r->before) &&
                   r->token.offset == end_of(&r->before)) {
            TRY(rewrite_at(r));
        } else if (token_is(&r->token, "operator")) {
            TRY(rewrite_operator(r));
        } else if (is_name(&r->token) &&
                   (token_is_operator(&r->before, "::") || token_is(&r->before, "as"))) {
            TRY(leave_out_schema(r));
        } else {
            TRY(next(r));
        }
    }
    return ERR_OK;
}

enum err sql_travel_rewrite(struct slice text, struct arena *arena, struct sql_travel *ret_travel,
                            struct errinfo *info)
{
    struct rewriter r = {.arena = arena, .info = info};
    struct sql_travel travel = {.text = text};
    scanner_init(&r.scanner, text);
    buf_init(&r.out);
    enum err err = rewrite(&r);
    if (err == ERR_OK && r.edit_count > 0) {
        copy_until(&r, text.len);
        travel.edits = r.edits;
        travel.edit_count = r.edit_count;
        if (buf_failed(&r.out) || !arena_slice(arena, buf_slice(&r.out), &travel.text)) {
            err = errinfo_nomem(info);
        }
    }
    buf_fini(&r.out);
    TRY(err);
    *ret_travel = travel;
    return ERR_OK;
}

size_t sql_travel_position(const struct sql_travel *travel, size_t position)
{
    size_t at = position;
    for (size_t i = 0; position > 0 && i < travel->edit_count; i++) {
        const struct sql_edit *edit = &travel->edits[i];
        if (edit->at > position - 1) {
            break;
        }
        at = position - 1 < edit->at + edit->replaced ? edit->old + 1
                                                      : edit->old + (position - edit->at);
    }
    return at;
}
