/* Division, whose meaning differs: a / b is trino_divide(a, b), a % b is trino_modulo(a, b). So
 * does that of a date and an interval: a + INTERVAL '1' DAY is trino_add(a, INTERVAL '1' DAY).
 *
 * The operators bind from the left, as * does, so what stands to the left of one is all of its
 * chain so far: where that began in what has been written is kept for each level of parentheses,
 * and the call is put there. To the right is one operand. */
#include "base/mem.h"
#include "wire/trino/trino_int.h"

#define MOVED_BYTES_MAX (256u << 20) /* a tenth of a second */

static bool is_any(const struct trino_rewrite *r, size_t i, const char *const *words, size_t count)
{
    for (size_t w = 0; w < count; w++) {
        if (trino__is_word(r, i, words[w])) {
            return true;
        }
    }
    return false;
}

/* Words between expressions; others are operands or belong to one (OVER, FILTER, AT TIME ZONE). */
static bool is_boundary(const struct trino_rewrite *r, size_t i)
{
    static const char *const words[] = {
        "select",  "distinct", "all",    "from",   "where", "and",       "or",     "not",
        "between", "in",       "like",   "escape", "is",    "when",      "then",   "else",
        "on",      "by",       "having", "limit",  "as",    "union",     "except", "intersect",
        "join",    "values",   "using",  "order",  "group", "partition", "offset", "fetch",
        "set",     "end",      "asc",    "desc",   "nulls", "rows",      "range",  "window"};
    return trino__at(r, i)->kind == TOKEN_WORD && is_any(r, i, words, ARRAY_COUNT(words)) &&
           (i == 0 || !trino__is_op(r, i - 1, ".")) && !trino__is_name(r, i);
}

static bool opens(const struct trino_rewrite *r, size_t i)
{
    return trino__is_op(r, i, "(") || trino__is_op(r, i, "[") || trino__is_word(r, i, "case");
}

static bool closes(const struct trino_rewrite *r, size_t i)
{
    return trino__is_op(r, i, ")") || trino__is_op(r, i, "]") || trino__is_word(r, i, "end");
}

static bool is_sign(const struct trino_rewrite *r, size_t i)
{
    return trino__is_op(r, i, "+") || trino__is_op(r, i, "-");
}

/* Behind INTERVAL [-] 'text' unit [TO unit], or `i`. */
static size_t interval_end(const struct trino_rewrite *r, size_t i)
{
    size_t text = i + 1 + is_sign(r, i + 1);
    if (!trino__is_word(r, i, "interval") || trino__at(r, text)->kind != TOKEN_STRING) {
        return i;
    }
    return text + 2 + (trino__is_word(r, text + 2, "to") ? 2 : 0);
}

void trino__chain_cut(struct trino_chain *chain)
{
    chain->start[chain->depth] = SIZE_MAX;
    chain->sum[chain->depth] = SIZE_MAX;
    chain->has_interval[chain->depth] = false;
}

enum err trino__chain_note(struct trino_rewrite *r, struct trino_chain *chain, size_t i,
                           struct errinfo *info)
{
    size_t *start = &chain->start[chain->depth];
    size_t *sum = &chain->sum[chain->depth];
    if (closes(r, i)) {
        chain->depth -= chain->depth > 0;
        return ERR_OK;
    }
    bool goes_on = trino__is_op(r, i, "*") || trino__is_op(r, i, ".") || trino__is_op(r, i, "/") ||
                   trino__is_op(r, i, "%");
    if (opens(r, i)) {
        if (chain->depth + 1 == TRINO_CHAIN_DEPTH) {
            return errinfo_set(info, ERR_LIMIT, "54001", "the statement is nested too deeply");
        }
        *start = *start == SIZE_MAX ? r->out.len : *start;
        *sum = *sum == SIZE_MAX ? r->out.len : *sum;
        chain->depth++;
        trino__chain_cut(chain);
    } else if (is_sign(r, i)) {
        *start = SIZE_MAX;
        *sum = *sum == SIZE_MAX ? r->out.len : *sum;
    } else if (is_boundary(r, i) || (trino__at(r, i)->kind == TOKEN_OPERATOR && !goes_on)) {
        trino__chain_cut(chain);
    } else if (!goes_on) {
        *start = *start == SIZE_MAX ? r->out.len : *start;
        *sum = *sum == SIZE_MAX ? r->out.len : *sum;
        chain->has_interval[chain->depth] |= interval_end(r, i) > i;
    }
    return ERR_OK;
}

static size_t behind_case(const struct trino_rewrite *r, size_t from, size_t to)
{
    int depth = 0;
    for (size_t i = from; i < to; i++) {
        depth += trino__is_word(r, i, "case") - trino__is_word(r, i, "end");
        if (depth == 0) {
            return i + 1;
        }
    }
    return to;
}

/* One operand: signs, then a value with its parentheses, subscripts, fields and OVER (...). */
static size_t operand_end(const struct trino_rewrite *r, size_t from, size_t to)
{
    static const char *const more[] = {"over", "filter", "within", "at", "ignore", "respect"};
    size_t i = from;
    while (i < to && (trino__is_op(r, i, "-") || trino__is_op(r, i, "+"))) {
        i++;
    }
    bool has_value = false;
    while (i < to && !is_boundary(r, i)) {
        enum token_kind kind = trino__at(r, i)->kind;
        bool is_group = trino__is_op(r, i, "(") || trino__is_op(r, i, "[");
        if (is_group) {
            i = trino__behind(r, i, to);
        } else if (!has_value && interval_end(r, i) > i) {
            i = interval_end(r, i);
        } else if (kind == TOKEN_OPERATOR && trino__is_op(r, i, ".")) {
            i += 2;
        } else if (kind == TOKEN_OPERATOR) {
            break;
        } else if (is_any(r, i, more, ARRAY_COUNT(more))) {
            i += 2; /* OVER w, WITHIN GROUP, AT TIME; the rest is a group or a value */
            i -= trino__is_op(r, i - 1, "(");
        } else if (has_value &&
                   !(kind == TOKEN_STRING && trino__at(r, i - 1)->kind == TOKEN_WORD)) {
            break; /* an alias */
        } else {
            i = trino__is_word(r, i, "case") ? behind_case(r, i, to) : i + 1;
        }
        has_value = true;
    }
    return i < to ? i : to;
}

static bool is_of_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '\'' || c == '"';
}

/* Puts text into what has been written. */
static void insert(struct trino_rewrite *r, size_t at, const char *text)
{
    size_t len = strlen(text);
    size_t moved = r->out.len - at;
    r->moved_bytes += moved + r->move_count;
    buf_append_str(&r->out, text);
    if (buf_failed(&r->out)) {
        return;
    }
    memmove(r->out.ptr + at + len, r->out.ptr + at, moved);
    memcpy(r->out.ptr + at, text, len);
    for (size_t i = r->move_count; i > 0 && r->moves[i - 1].to >= at; i--) {
        r->moves[i - 1].to += len;
    }
}

/* From `start` in what has been written to `end` as a call of `function`, whose second argument is
 * behind the operator at `*i`. */
static enum err put_binary(struct trino_rewrite *r, size_t start, const char *function, size_t *i,
                           size_t end, unsigned depth, struct errinfo *info)
{
    if (r->moved_bytes > MOVED_BYTES_MAX) {
        return errinfo_set(info, ERR_LIMIT, "54000", "the statement has too many divisions");
    }
    while (start < r->out.len && r->out.ptr[start] == ' ') {
        start++;
    }
    if (start > 0 && is_of_word(r->out.ptr[start - 1])) {
        insert(r, start, " ");
        start++;
    }
    insert(r, start, function);
    buf_append_str(&r->out, ", ");
    unsigned name = r->names[end]; /* of the whole, which may end here too */
    r->names[end] = 0;
    enum err err = trino__emit(r, *i + 1, end, depth + 1, info);
    r->names[end] = name;
    buf_append_char(&r->out, ')');
    *i = end;
    return err;
}

enum err trino__put_division(struct trino_rewrite *r, const struct trino_chain *chain, size_t *i,
                             size_t to, unsigned depth, bool *ret_done, struct errinfo *info)
{
    size_t start = chain->start[chain->depth];
    bool is_division = trino__is_op(r, *i, "/");
    *ret_done = false;
    if ((!is_division && !trino__is_op(r, *i, "%")) || start == SIZE_MAX) {
        return ERR_OK;
    }
    size_t end = operand_end(r, *i + 1, to);
    if (end == *i + 1 || buf_failed(&r->out)) {
        return ERR_OK;
    }
    *ret_done = true;
    return put_binary(r, start, is_division ? "trino_divide(" : "trino_modulo(", i, end, depth,
                      info);
}

/* One term of a sum: operands with * / % between them. */
static size_t term_end(const struct trino_rewrite *r, size_t from, size_t to,
                       bool *ret_has_interval)
{
    size_t i = from;
    *ret_has_interval = false;
    for (;;) {
        size_t end = operand_end(r, i, to);
        *ret_has_interval = *ret_has_interval || interval_end(r, i) > i;
        bool goes_on =
            trino__is_op(r, end, "*") || trino__is_op(r, end, "/") || trino__is_op(r, end, "%");
        if (end == i || !goes_on || end + 1 >= to) {
            return end;
        }
        i = end + 1;
    }
}

/* Whether the sign at `i` stands between two values. */
static bool is_between(const struct trino_rewrite *r, size_t i)
{
    return i > 0 && !is_boundary(r, i - 1) &&
           (trino__at(r, i - 1)->kind != TOKEN_OPERATOR || closes(r, i - 1));
}

enum err trino__put_sum(struct trino_rewrite *r, struct trino_chain *chain, size_t *i, size_t to,
                        unsigned depth, bool *ret_done, struct errinfo *info)
{
    size_t sum = chain->sum[chain->depth];
    bool is_plus = trino__is_op(r, *i, "+");
    bool has_interval;
    *ret_done = false;
    if (!is_sign(r, *i) || sum == SIZE_MAX || !is_between(r, *i)) {
        return ERR_OK;
    }
    size_t end = term_end(r, *i + 1, to, &has_interval);
    if (end == *i + 1 || buf_failed(&r->out) ||
        (!has_interval && !chain->has_interval[chain->depth])) {
        return ERR_OK;
    }
    chain->has_interval[chain->depth] = true; /* to its left and right is one operand now */
    chain->start[chain->depth] = sum;
    *ret_done = true;
    return put_binary(r, sum, is_plus ? "trino_add(" : "trino_subtract(", i, end, depth, info);
}
