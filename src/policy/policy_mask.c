/* Masks as people write them, expanded to expressions of the engine.
 *
 * A built-in is one call that is the whole mask. sha256 is the warehouse's keyed hash whatever its
 * argument is: a mask that silently became the engine's plain sha256 could be undone with a
 * dictionary. Truncation of TIMESTAMP WITH TIME ZONE is done in UTC: in the session's time zone, a
 * reader who moves the zone could find the hour that truncation to a day hides. */
#include "policy/policy_int.h"
#include "sql/scan.h"

#define KEEP_DEFAULT 4

enum text_mask {
    TEXT_HASH,
    TEXT_REDACT,
    TEXT_SHOW_FIRST,
    TEXT_SHOW_LAST
};

static const struct {
    const char *name;
    const char *function;
    const char *usage;
} text_masks[] = {
    [TEXT_HASH] = {"sha256", "__moat_hash", "sha256(column)"},
    [TEXT_REDACT] = {"redact", "__moat_redact", "redact(column) or redact(column, 4)"},
    [TEXT_SHOW_FIRST] = {"show_first", "__moat_show_first", "show_first(column, 3)"},
    [TEXT_SHOW_LAST] = {"show_last", "__moat_show_last", "show_last(column, 3)"},
};

static const char *const part_names[] = {
    [MASK_NULL] = "null", [MASK_YEAR] = "year", [MASK_MONTH] = "month", [MASK_DAY] = "day"};

/* A mask of the shape name(argument, ...). */
struct call {
    const struct token *name;
    const struct token *arguments; /* between the parentheses */
    size_t count;
    size_t comma; /* index of the only comma at depth 0, or `count` */
    size_t comma_count;
};

enum err policy__tokens(struct slice text, struct arena *arena, struct token **ret_tokens,
                        size_t *ret_count, struct errinfo *info)
{
    struct scanner scanner;
    struct token token;
    struct token *tokens = NULL;
    size_t count = 0;
    size_t capacity = 0;
    scanner_init(&scanner, text);
    for (;;) {
        TRY(scanner_next(&scanner, &token, info));
        if (token.kind == TOKEN_END) {
            break;
        }
        if (count == capacity) {
            capacity = capacity == 0 ? 16 : capacity * 2;
            struct token *grown = arena_calloc(arena, capacity, sizeof(*grown));
            if (grown == NULL) {
                return errinfo_nomem(info);
            }
            if (count > 0) {
                memcpy(grown, tokens, count * sizeof(*grown));
            }
            tokens = grown;
        }
        tokens[count++] = token;
    }
    *ret_tokens = tokens;
    *ret_count = count;
    return ERR_OK;
}

/* True if the tokens are one call and nothing else. */
static bool find_call(const struct token *tokens, size_t count, struct call *ret_call)
{
    if (count < 3 || tokens[0].kind != TOKEN_WORD || !token_is_operator(&tokens[1], "(") ||
        !token_is_operator(&tokens[count - 1], ")")) {
        return false;
    }
    struct call call = {.name = &tokens[0], .arguments = &tokens[2], .count = count - 3};
    size_t depth = 0;
    call.comma = call.count;
    for (size_t i = 0; i < call.count; i++) {
        const struct token *token = &call.arguments[i];
        if (token_is_operator(token, "(") || token_is_operator(token, "[") ||
            token_is_operator(token, "{")) {
            depth++;
        } else if (token_is_operator(token, ")") || token_is_operator(token, "]") ||
                   token_is_operator(token, "}")) {
            if (depth == 0) {
                return false; /* the first call ends before the text does */
            }
            depth--;
        } else if (depth == 0 && token_is_operator(token, ",")) {
            call.comma = call.comma_count == 0 ? i : call.comma;
            call.comma_count++;
        }
    }
    *ret_call = call;
    return depth == 0;
}

static bool is_identifier(const struct token *token)
{
    return token->kind == TOKEN_WORD || token->kind == TOKEN_QUOTED;
}

/* The first argument: a column's name quoted, or an expression in parentheses. */
static enum err print_subject(const struct call *call, struct arena *arena, struct buf *out,
                              struct errinfo *info)
{
    const struct token *first = &call->arguments[0];
    const struct token *last = &call->arguments[call->comma - 1];
    if (call->comma == 1 && is_identifier(first)) {
        struct slice name;
        if (!token_identifier(first, arena, &name)) {
            return errinfo_nomem(info);
        }
        sql_quote_name(out, name);
        return ERR_OK;
    }
    buf_append_char(out, '(');
    buf_append(out, first->text.ptr, (size_t)(last->text.ptr + last->text.len - first->text.ptr));
    buf_append_char(out, ')');
    return ERR_OK;
}

static enum err wrong_type(const char *mask, const char *gives,
                           const struct relation_column *column, struct errinfo *info)
{
    (void)errinfo_set(info, ERR_INVALID, "22023", "mask \"%s\" %s, column \"%.*s\" is %.*s", mask,
                      gives, SLICE_ARGS(column->name), SLICE_ARGS(column->type));
    errinfo_hint(info, "Use null, a constant, or an expression that gives %.*s.",
                 SLICE_ARGS(column->type));
    return ERR_INVALID;
}

static enum err wrong_call(enum text_mask mask, struct errinfo *info)
{
    (void)errinfo_set(info, ERR_INVALID, "22023", "mask \"%s\" has wrong arguments",
                      text_masks[mask].name);
    errinfo_hint(info, "Write %s.", text_masks[mask].usage);
    return ERR_INVALID;
}

/* How many characters stay: the second argument. */
static enum err read_kept(const struct call *call, enum text_mask mask, uint64_t *ret_kept,
                          struct errinfo *info)
{
    bool is_given = call->comma_count > 0;
    if (!is_given && mask == TEXT_REDACT) {
        *ret_kept = KEEP_DEFAULT;
        return ERR_OK;
    }
    if (!is_given || call->comma_count > 1 || call->count != call->comma + 2 ||
        call->arguments[call->comma + 1].kind != TOKEN_NUMBER ||
        !slice_to_u64(call->arguments[call->comma + 1].text, ret_kept) || *ret_kept > INT32_MAX) {
        return wrong_call(mask, info);
    }
    return ERR_OK;
}

static enum err expand_text(const struct call *call, enum text_mask mask,
                            const struct relation_column *column, struct arena *arena,
                            struct buf *out, struct errinfo *info)
{
    uint64_t kept = 0;
    if (call->comma == 0 || (mask == TEXT_HASH && call->comma_count > 0)) {
        return wrong_call(mask, info);
    }
    if (mask != TEXT_HASH) {
        TRY(read_kept(call, mask, &kept, info));
    }
    if (!slice_equal_fold(column->type, SLICE("VARCHAR"))) {
        return wrong_type(text_masks[mask].name, "gives VARCHAR", column, info);
    }
    buf_printf(out, "%s(", text_masks[mask].function);
    buf_append_str(out, mask == TEXT_HASH ? "CAST(" : "");
    TRY(print_subject(call, arena, out, info));
    if (mask == TEXT_HASH) {
        buf_append_str(out, " AS VARCHAR))");
    } else {
        buf_printf(out, ", %llu)", (unsigned long long)kept);
    }
    return ERR_OK;
}

bool policy__mask_plain(enum mask_part part, const struct relation_column *column, struct buf *out)
{
    bool is_zoned = slice_equal_fold(column->type, SLICE("TIMESTAMP WITH TIME ZONE")) ||
                    slice_equal_fold(column->type, SLICE("TIMESTAMPTZ_NS"));
    if (part == MASK_NULL) {
        buf_append_str(out, "CAST(NULL AS ");
    } else if (slice_equal_fold(column->type, SLICE("DATE")) ||
               slice_starts_with_fold(column->type, SLICE("TIMESTAMP"))) {
        buf_append_str(out, is_zoned ? "CAST(timezone('UTC', " : "CAST(");
        buf_printf(out, "date_trunc('%s', ", part_names[part]);
        buf_append_str(out, is_zoned ? "timezone('UTC', " : "");
        sql_quote_name(out, column->name);
        buf_append_str(out, is_zoned ? "))) AS " : ") AS ");
    } else {
        return false;
    }
    buf_append_slice(out, relation_column_sql_type(column));
    buf_append_char(out, ')');
    return true;
}

/* year(c), month(c), day(c) of the masked column itself; of another they are the engine's. */
static bool is_truncation(const struct call *call, enum mask_part part,
                          const struct relation_column *column, struct arena *arena)
{
    struct slice name;
    return token_is(call->name, part_names[part]) && call->count == 1 &&
           is_identifier(&call->arguments[0]) &&
           token_identifier(&call->arguments[0], arena, &name) &&
           slice_equal_fold(name, column->name);
}

static enum err expand_call(const struct call *call, const struct relation_column *column,
                            struct arena *arena, struct buf *out, struct errinfo *info)
{
    for (size_t i = 0; i < ARRAY_COUNT(text_masks); i++) {
        if (token_is(call->name, text_masks[i].name)) {
            return expand_text(call, (enum text_mask)i, column, arena, out, info);
        }
    }
    for (enum mask_part part = MASK_YEAR; part <= MASK_DAY; part++) {
        if (is_truncation(call, part, column, arena) && !policy__mask_plain(part, column, out)) {
            return wrong_type(part_names[part], "truncates dates and timestamps", column, info);
        }
    }
    return ERR_OK;
}

enum err policy_mask_expand(struct slice mask, const struct relation_column *column,
                            struct arena *arena, struct slice *ret_expression, struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    struct token *tokens;
    struct call call;
    size_t count;
    TRY(policy__tokens(mask, arena, &tokens, &count, info));
    if (count == 1 && token_is(&tokens[0], "null")) {
        (void)policy__mask_plain(MASK_NULL, column, &text);
    } else if (find_call(tokens, count, &call)) {
        TRY(expand_call(&call, column, arena, &text, info));
    }
    if (text.len == 0 && !buf_failed(&text)) {
        *ret_expression = mask;
        return ERR_OK;
    }
    if (buf_failed(&text) || !arena_slice(arena, buf_slice(&text), ret_expression)) {
        return errinfo_nomem(info);
    }
    return ERR_OK;
}
