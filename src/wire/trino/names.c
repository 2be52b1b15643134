/* Names of columns that a query does not name: Trino calls the n-th "_col" and n, from 0. */
#include "wire/trino/trino_int.h"

static bool is_any(const struct trino_rewrite *r, size_t i, const char *const *words, size_t count)
{
    for (size_t w = 0; w < count; w++) {
        if (trino__is_word(r, i, words[w])) {
            return true;
        }
    }
    return false;
}

/* Words that stand for a value or end an expression: neither a column's name nor an alias. */
static bool is_value_word(const struct trino_rewrite *r, size_t i)
{
    static const char *const words[] = {"true",
                                        "false",
                                        "null",
                                        "end",
                                        "current_date",
                                        "current_time",
                                        "localtime",
                                        "current_user",
                                        "current_path",
                                        "current_timestamp",
                                        "localtimestamp",
                                        "current_role",
                                        "current_catalog",
                                        "current_schema"};
    return is_any(r, i, words, ARRAY_COUNT(words));
}

static bool is_name(const struct trino_rewrite *r, size_t i)
{
    const struct token *token = trino__at(r, i);
    return token->kind == TOKEN_QUOTED || (token->kind == TOKEN_WORD && !is_value_word(r, i));
}

/* Whether an expression can end at this token, so that a name behind it is an alias. */
static bool ends_operand(const struct trino_rewrite *r, size_t i)
{
    static const char *const words[] = {"and",     "or",   "not",  "is",     "in",   "like",
                                        "between", "from", "over", "zone",   "case", "when",
                                        "then",    "else", "as",   "escape", "to",   "interval"};
    const struct token *token = trino__at(r, i);
    switch (token->kind) {
    case TOKEN_OPERATOR:
        return trino__is_op(r, i, ")") || trino__is_op(r, i, "]");
    case TOKEN_WORD:
        return !is_any(r, i, words, ARRAY_COUNT(words));
    case TOKEN_NUMBER:
    case TOKEN_STRING:
    case TOKEN_QUOTED:
    case TOKEN_PARAMETER:
        return true;
    case TOKEN_SEMICOLON:
    case TOKEN_END:
        break;
    }
    return false;
}

/* INTERVAL '1' DAY: the unit is no alias. */
static bool is_unit(const struct trino_rewrite *r, size_t i)
{
    return i >= 2 && trino__at(r, i - 1)->kind == TOKEN_STRING &&
           (trino__is_word(r, i - 2, "interval") ||
            (i >= 3 && trino__is_word(r, i - 3, "interval")));
}

/* a, a.b, "a".b.c */
static bool is_path(const struct trino_rewrite *r, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if ((i - from) % 2 == 0 ? !is_name(r, i) : !trino__is_op(r, i, ".")) {
            return false;
        }
    }
    return (to - from) % 2 == 1;
}

static bool is_star(const struct trino_rewrite *r, size_t from, size_t to)
{
    return trino__is_op(r, to - 1, "*") && (to - from == 1 || trino__is_op(r, to - 2, "."));
}

static bool is_named(const struct trino_rewrite *r, size_t from, size_t to)
{
    if (is_path(r, from, to)) {
        return true;
    }
    if (to - from < 2 || !is_name(r, to - 1)) {
        return false;
    }
    const struct token *before = trino__at(r, to - 2);
    if (before->kind == TOKEN_NUMBER &&
        before->offset + before->text.len == trino__at(r, to - 1)->offset) {
        return false; /* 0x1F */
    }
    return trino__is_word(r, to - 2, "as") || (ends_operand(r, to - 2) && !is_unit(r, to - 1));
}

/* Where the list that begins at `from` ends. */
static size_t list_end(const struct trino_rewrite *r, size_t from, size_t to)
{
    static const char *const words[] = {"from",      "where",  "group",  "having",
                                        "order",     "limit",  "union",  "fetch",
                                        "intersect", "except", "window", "offset"};
    size_t i = from;
    while (i < to && !trino__is_op(r, i, ")") && !trino__is_op(r, i, ";")) {
        bool is_distinct = trino__is_word(r, i, "from") && i > from + 1 &&
                           trino__is_word(r, i - 1, "distinct"); /* IS DISTINCT FROM */
        bool is_within =
            trino__is_word(r, i, "group") && i > from && trino__is_word(r, i - 1, "within");
        if (is_any(r, i, words, ARRAY_COUNT(words)) && !is_distinct && !is_within &&
            !trino__is_op(r, i - 1, ".") && !trino__is_name(r, i)) {
            break;
        }
        bool opens = trino__is_op(r, i, "(") || trino__is_op(r, i, "[");
        i = opens ? trino__behind(r, i, to) : i + 1;
    }
    return i;
}

/* Trino makes no table or view of columns without names: those of the first list outside of all
 * parentheses, unless they are given in front of AS. */
static bool must_name(const struct trino_rewrite *r, size_t select)
{
    size_t i = 1;
    if (!trino__is_word(r, 0, "create")) {
        return false;
    }
    while (i < select && !trino__is_word(r, i, "as") && !trino__is_op(r, i, "(")) {
        i++;
    }
    return !trino__is_op(r, i, "(");
}

static enum err name_list(struct trino_rewrite *r, size_t select, bool is_checked,
                          struct errinfo *info)
{
    size_t from = select + 1;
    from += trino__is_word(r, from, "distinct") || trino__is_word(r, from, "all");
    size_t end = list_end(r, from, r->tokens.count);
    bool is_counted = true; /* no star before: its number is known */
    for (size_t ordinal = 0; from < end; ordinal++) {
        size_t comma = trino__comma(r, from, end);
        if (comma == from) {
            break; /* an error that the parser tells of */
        }
        if (is_star(r, from, comma)) {
            is_counted = false;
        } else if (!is_named(r, from, comma) && is_checked) {
            return errinfo_set(info, ERR_INVALID, "42611",
                               "column name not specified at position %zu", ordinal + 1);
        } else if (!is_named(r, from, comma)) {
            r->names[comma] = (unsigned)(is_counted ? ordinal : r->tokens.count + comma) + 1;
        }
        from = comma + 1;
    }
    return ERR_OK;
}

enum err trino__name_columns(struct trino_rewrite *r, struct errinfo *info)
{
    bool has_outer = false; /* a list outside of all parentheses */
    int depth = 0;
    r->names = arena_calloc(r->arena, r->tokens.count + 1, sizeof(*r->names));
    if (r->names == NULL) {
        return errinfo_nomem(info);
    }
    /* of these SELECT is a right, not a query */
    bool is_grant = trino__is_word(r, 0, "grant") || trino__is_word(r, 0, "revoke") ||
                    trino__is_word(r, 0, "deny");
    for (size_t i = 0; i < r->tokens.count && !is_grant; i++) {
        depth += trino__is_op(r, i, "(") - trino__is_op(r, i, ")");
        if (trino__is_word(r, i, "select") && (i == 0 || !trino__is_op(r, i - 1, "."))) {
            bool is_first = depth == 0 && !has_outer;
            has_outer = has_outer || is_first;
            TRY(name_list(r, i, is_first && must_name(r, i), info));
        }
    }
    return ERR_OK;
}

/* What stands for a number that was not known: that of the column in the result. */
bool trino_is_column(struct slice name)
{
    uint64_t number;
    return slice_starts_with(name, SLICE("_col")) &&
           slice_to_u64((struct slice){name.ptr + 4, name.len - 4}, &number);
}
