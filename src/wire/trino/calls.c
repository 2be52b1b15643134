/* Calls: by the table functions.def, and forms of them that are no list of arguments. */
#include "base/mem.h"
#include "sql/scan.h"
#include "wire/trino/trino_int.h"

#define ARGUMENTS_MAX 9u

static const struct function {
    const char *name;
    unsigned fewest, most;
    const char *text;
} functions[] = {
#define FUNCTION(name, fewest, most, text) {name, fewest, most, text},
#include "wire/trino/functions.def"
#undef FUNCTION
};

static enum err word_of(const struct trino_rewrite *r, struct trino_range argument,
                        struct slice *ret_word, struct errinfo *info)
{
    const struct token *token = trino__at(r, argument.from);
    if (argument.to != argument.from + 1 || token->kind != TOKEN_STRING) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                           "units and formats of dates must be constant texts");
    }
    return token_string(token, r->arena, ret_word, info);
}

static enum err put_unit(struct trino_rewrite *r, struct trino_range argument, struct errinfo *info)
{
    static const char *const units[] = {"millisecond", "second",  "minute", "hour", "day",
                                        "week",        "quarter", "month",  "year"};
    struct slice unit;
    TRY(word_of(r, argument, &unit, info));
    for (size_t i = 0; i < ARRAY_COUNT(units); i++) {
        if (slice_equal_fold(unit, slice_of(units[i]))) {
            buf_append_str(&r->out, units[i]);
            return ERR_OK;
        }
    }
    return errinfo_set(info, ERR_INVALID, "22023", "\"%.*s\" is no unit of time", SLICE_ARGS(unit));
}

/* MySQL's format, as Trino's date_format has it, as strftime's. */
static enum err put_format(struct trino_rewrite *r, struct trino_range argument,
                           struct errinfo *info)
{
    static const struct {
        char from;
        const char *to;
    } parts[] = {{'x', "%G"},  {'v', "%V"},       {'i', "%M"},         {'s', "%S"},  {'M', "%B"},
                 {'e', "%-d"}, {'k', "%-H"},      {'l', "%-I"},        {'c', "%-m"}, {'W', "%A"},
                 {'h', "%I"},  {'T', "%H:%M:%S"}, {'r', "%I:%M:%S %p"}};
    struct slice format;
    struct buf text CLEANUP(buf_fini) = {0};
    TRY(word_of(r, argument, &format, info));
    for (size_t i = 0; i < format.len; i++) {
        char c = format.ptr[i];
        if (c != '%' || i + 1 == format.len) {
            buf_append_char(&text, c);
            continue;
        }
        c = format.ptr[++i];
        const char *to = NULL;
        for (size_t p = 0; p < ARRAY_COUNT(parts) && to == NULL; p++) {
            to = parts[p].from == c ? parts[p].to : NULL;
        }
        if (to == NULL && strchr("abdfHIjmpSYy%", c) == NULL) {
            return errinfo_set(info, ERR_UNSUPPORTED, NULL, "\"%%%c\" in a format of dates", c);
        }
        if (to != NULL) {
            buf_append_str(&text, to);
        } else {
            buf_append_char(&text, '%');
            buf_append_char(&text, c);
        }
    }
    sql_quote_string(&r->out, buf_slice(&text));
    return ERR_OK;
}

/* Where the body of the lambda that begins at `from` begins, or 0: x -> body, (x, y) -> body. */
static size_t lambda_body(const struct trino_rewrite *r, size_t from, size_t to)
{
    const struct token *token = trino__at(r, from);
    bool is_list = trino__is_op(r, from, "(");
    if (!is_list && token->kind != TOKEN_WORD && token->kind != TOKEN_QUOTED) {
        return 0;
    }
    size_t arrow = is_list ? trino__behind(r, from, to) : from + 1;
    return arrow < to && trino__is_op(r, arrow, "->") ? arrow + 1 : 0;
}

/* As `lambda x, y:`, which the engine's own arrow is not for several names. */
bool trino__put_lambda(struct trino_rewrite *r, size_t *i, size_t to)
{
    size_t body = lambda_body(r, *i, to);
    bool is_list = trino__is_op(r, *i, "(");
    if (body == 0) {
        return false;
    }
    trino__space(r);
    buf_append_str(&r->out, "lambda");
    for (size_t name = *i + is_list; name < body - 1 - is_list; name++) {
        bool is_comma = trino__is_op(r, name, ",");
        buf_append_str(&r->out, is_comma ? "" : " ");
        trino__mark(r, trino__at(r, name)->offset);
        buf_append_slice(&r->out, trino__at(r, name)->text);
    }
    buf_append_str(&r->out, ": ");
    *i = body;
    return true;
}

static enum err put_argument(struct trino_rewrite *r, struct trino_range argument, unsigned depth,
                             bool is_alone, struct errinfo *info)
{
    size_t words = argument.to - argument.from;
    bool is_lambda = lambda_body(r, argument.from, argument.to) > 0;
    bool is_wrapped = words > 1 && !is_alone && !is_lambda;
    buf_append_str(&r->out, is_wrapped ? "(" : "");
    TRY(trino__emit(r, argument.from, argument.to, depth + 1, info));
    buf_append_str(&r->out, is_wrapped ? ")" : "");
    return ERR_OK;
}

/* A call that is told by a template. */
struct call {
    const struct function *function;
    struct trino_range arguments[ARGUMENTS_MAX];
    unsigned count;
    bool is_distinct;          /* f(DISTINCT x) */
    struct trino_range behind; /* FILTER (...), OVER ... */
};

/* Where a lambda, or one of so many names, is wanted. */
static enum err no_lambda(const struct call *call, bool is_lambda, struct errinfo *info)
{
    return is_lambda
               ? errinfo_set(info, ERR_INVALID, "07001",
                             "the lambda of %s has too many or too few names", call->function->name)
               : errinfo_set(info, ERR_INVALID, "42883", "no form of \"%s\" takes these arguments",
                             call->function->name);
}

/* Name `index` of the lambda that is an argument. */
static enum err put_lambda_name(struct trino_rewrite *r, const struct call *call,
                                struct trino_range argument, size_t index, struct errinfo *info)
{
    size_t body = lambda_body(r, argument.from, argument.to);
    bool is_list = trino__is_op(r, argument.from, "(");
    size_t name = argument.from + is_list + 2 * index;
    if (body == 0 || name >= body - 1 - is_list) {
        return no_lambda(call, body > 0, info);
    }
    trino__mark(r, trino__at(r, name)->offset);
    buf_append_slice(&r->out, trino__at(r, name)->text);
    return ERR_OK;
}

/* The body of the lambda that is an argument and has so many names. */
static enum err put_lambda_body(struct trino_rewrite *r, const struct call *call,
                                struct trino_range argument, size_t names, unsigned depth,
                                struct errinfo *info)
{
    size_t body = lambda_body(r, argument.from, argument.to);
    bool is_list = trino__is_op(r, argument.from, "(");
    size_t has = body == 0 ? 0 : (body - 1 - argument.from - is_list) / 2 + !is_list;
    if (has != names) {
        return no_lambda(call, body > 0, info);
    }
    buf_append_char(&r->out, '(');
    TRY(trino__emit(r, body, argument.to, depth + 1, info));
    buf_append_char(&r->out, ')');
    return ERR_OK;
}

/* A normal form of Unicode, which is a word. */
static enum err put_normal_form(struct trino_rewrite *r, struct trino_range argument,
                                struct errinfo *info)
{
    static const char *const forms[] = {"NFC", "NFD", "NFKC", "NFKD"};
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        if (argument.to == argument.from + 1 && trino__is_word(r, argument.from, forms[i])) {
            buf_printf(&r->out, "'%s'", forms[i]);
            return ERR_OK;
        }
    }
    return errinfo_set(info, ERR_SYNTAX, NULL, "a normal form is one of NFC, NFD, NFKC, NFKD");
}

static enum err put_all(struct trino_rewrite *r, const struct trino_range *arguments,
                        unsigned count, const char *between, unsigned depth, struct errinfo *info)
{
    for (unsigned i = 0; i < count; i++) {
        buf_append_str(&r->out, i == 0 ? "" : between);
        TRY(put_argument(r, arguments[i], depth, between[0] == ',', info));
    }
    return ERR_OK;
}

/* What stands for `$` and the letter at `c`; *c is its last letter then. */
static enum err put_letter(struct trino_rewrite *r, const struct call *call, const char **c,
                           unsigned depth, struct errinfo *info)
{
    const struct trino_range *arguments = call->arguments;
    char letter = **c;
    if (letter == '$') {
        buf_append_char(&r->out, '$');
        return ERR_OK;
    }
    if (letter == '*' || letter == '|') {
        return put_all(r, arguments, call->count, letter == '*' ? ", " : " || ", depth, info);
    }
    if (letter == 'D') {
        buf_append_str(&r->out, call->is_distinct ? "DISTINCT " : "");
        return ERR_OK;
    }
    if (letter == 'W') {
        return trino__emit(r, call->behind.from, call->behind.to, depth + 1, info);
    }
    struct trino_range argument = arguments[*++*c - '1'];
    switch (letter) {
    case 'U':
        return put_unit(r, argument, info);
    case 'F':
        return put_format(r, argument, info);
    case 'N':
        return put_normal_form(r, argument, info);
    case 'L':
        return put_lambda_name(r, call, argument, (size_t)(*++*c - '1'), info);
    default: /* B */
        return put_lambda_body(r, call, argument, (size_t)(*++*c - '0'), depth, info);
    }
}

static enum err put_template(struct trino_rewrite *r, const struct call *call, unsigned depth,
                             struct errinfo *info)
{
    const char *text = call->function->text;
    trino__space(r);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c != '$') {
            buf_append_char(&r->out, *c);
            continue;
        }
        c++;
        if (*c >= '1' && *c <= '9') {
            bool is_alone = c - text > 1 && (c[-2] == '(' || c[-2] == '[') &&
                            (c[1] == ')' || c[1] == ']' || c[1] == ',');
            TRY(put_argument(r, call->arguments[*c - '1'], depth, is_alone, info));
        } else {
            TRY(put_letter(r, call, &c, depth, info));
        }
    }
    return ERR_OK;
}

/* Behind FILTER (...) and OVER (...) or OVER name, from `end`. */
static size_t behind_suffix(const struct trino_rewrite *r, size_t end, size_t to)
{
    if (trino__is_word(r, end, "filter") && trino__is_op(r, end + 1, "(")) {
        end = trino__behind(r, end + 1, to);
    }
    if (trino__is_word(r, end, "over")) {
        end = trino__is_op(r, end + 1, "(") ? trino__behind(r, end + 1, to) : end + 2;
    }
    return end < to ? end : to;
}

/* f(x) IGNORE NULLS is f(x IGNORE NULLS); RESPECT NULLS says what is so without it. */
static enum err put_nulls(struct trino_rewrite *r, size_t *i, size_t to, unsigned depth,
                          bool *ret_done, struct errinfo *info)
{
    size_t end = trino__behind(r, *i + 1, to);
    bool ignores = trino__is_word(r, end, "ignore");
    *ret_done =
        (ignores || trino__is_word(r, end, "respect")) && trino__is_word(r, end + 1, "nulls");
    if (!*ret_done) {
        return ERR_OK;
    }
    trino__copy(r, *i);
    buf_append_char(&r->out, '(');
    TRY(trino__emit(r, *i + 2, end - 1, depth + 1, info));
    buf_append_str(&r->out, ignores ? " IGNORE NULLS)" : ")");
    *i = end + 2;
    return ERR_OK;
}

/* listagg(x, ',') WITHIN GROUP (ORDER BY y) */
static enum err put_listagg(struct trino_rewrite *r, size_t *i, size_t to, unsigned depth,
                            bool *ret_done, struct errinfo *info)
{
    size_t end = trino__behind(r, *i + 1, to);
    *ret_done = trino__is_word(r, *i, "listagg") && trino__is_word(r, end, "within") &&
                trino__is_word(r, end + 1, "group") && trino__is_op(r, end + 2, "(");
    if (!*ret_done) {
        return ERR_OK;
    }
    size_t group = trino__behind(r, end + 2, to);
    bool has_separator = trino__comma(r, *i + 2, end - 1) < end - 1;
    trino__space(r);
    trino__mark(r, trino__at(r, *i)->offset);
    buf_append_str(&r->out, "string_agg(");
    TRY(trino__emit(r, *i + 2, end - 1, depth + 1, info));
    buf_append_str(&r->out, has_separator ? " " : ", '' ");
    TRY(trino__emit(r, end + 3, group - 1, depth + 1, info));
    buf_append_char(&r->out, ')');
    *i = group;
    return ERR_OK;
}

/* A call whose name is at `i`. */
static enum err put_call(struct trino_rewrite *r, size_t *i, size_t to, unsigned depth,
                         bool *ret_done, struct errinfo *info)
{
    struct call call = {0};
    size_t end = trino__behind(r, *i + 1, to);
    size_t from = *i + 2;
    bool is_known = false;
    for (size_t f = 0; f < ARRAY_COUNT(functions); f++) {
        is_known = is_known || token_is(trino__at(r, *i), functions[f].name);
    }
    *ret_done = false;
    if (!is_known || end < *i + 3 || !trino__is_op(r, end - 1, ")") ||
        (*i > 0 && trino__is_op(r, *i - 1, "."))) {
        return ERR_OK;
    }
    call.is_distinct = trino__is_word(r, from, "distinct");
    while (from < end - 1) {
        size_t comma = trino__comma(r, from, end - 1);
        if (call.count == ARGUMENTS_MAX) {
            return ERR_OK;
        }
        call.arguments[call.count++] = (struct trino_range){from, comma};
        from = comma + 1;
    }
    for (size_t f = 0; f < ARRAY_COUNT(functions); f++) {
        const struct function *function = &functions[f];
        if (token_is(trino__at(r, *i), function->name) && call.count >= function->fewest &&
            call.count <= function->most) {
            bool takes_distinct = strstr(function->text, "$D") != NULL;
            call.function = function;
            call.is_distinct = call.is_distinct && takes_distinct;
            call.arguments[0].from += call.is_distinct;
            call.behind = (struct trino_range){end, end};
            if (strstr(function->text, "$W") != NULL) {
                call.behind.to = behind_suffix(r, end, to);
            }
            trino__mark(r, trino__at(r, *i)->offset);
            *ret_done = true;
            *i = call.behind.to;
            unsigned name = r->names[*i]; /* of the whole: not where each of its ends is written */
            r->names[*i] = 0;
            enum err err = put_template(r, &call, depth, info);
            r->names[*i] = name;
            return err;
        }
    }
    return ERR_OK;
}

/* CAST(x AS json) makes JSON of a value; a text is one, too. */
static enum err put_json_cast(struct trino_rewrite *r, size_t *i, size_t to, unsigned depth,
                              bool *ret_done, struct errinfo *info)
{
    size_t end = trino__behind(r, *i + 1, to);
    bool is_cast = trino__is_word(r, *i, "cast") || trino__is_word(r, *i, "try_cast");
    *ret_done = is_cast && end > *i + 5 && trino__is_word(r, end - 2, "json") &&
                trino__is_word(r, end - 3, "as");
    if (!*ret_done) {
        return ERR_OK;
    }
    trino__space(r);
    trino__mark(r, trino__at(r, *i)->offset);
    buf_append_str(&r->out, "to_json(");
    TRY(trino__emit(r, *i + 2, end - 3, depth + 1, info));
    buf_append_char(&r->out, ')');
    *i = end;
    return ERR_OK;
}

/* CAST(x AS integer) rounds a half up, CAST(x AS varchar) writes 1.0E10. */
static enum err put_cast(struct trino_rewrite *r, size_t *i, size_t to, unsigned depth,
                         bool *ret_done, struct errinfo *info)
{
    static const char *const whole[] = {"tinyint", "smallint", "integer", "int", "bigint"};
    size_t end = trino__behind(r, *i + 1, to);
    size_t as = *i + 2;
    while (as < end && !trino__is_word(r, as, "as")) { /* none of a query inside parentheses */
        as = trino__is_op(r, as, "(") || trino__is_op(r, as, "[") ? trino__behind(r, as, end)
                                                                  : as + 1;
    }
    bool is_text = trino__is_word(r, as + 1, "varchar");
    bool is_whole = false;
    for (size_t w = 0; w < ARRAY_COUNT(whole); w++) {
        is_whole = is_whole || trino__is_word(r, as + 1, whole[w]);
    }
    bool is_cast = trino__is_word(r, *i, "cast") || trino__is_word(r, *i, "try_cast");
    *ret_done = is_cast && as + 1 < end && as > *i + 2 &&
                ((is_whole && as + 3 == end) ||
                 (is_text && (as + 3 == end || trino__is_op(r, as + 2, "("))));
    if (!*ret_done) {
        return ERR_OK;
    }
    trino__copy(r, *i);
    buf_append_str(&r->out, is_text ? "(trino_text(" : "(trino_round(");
    TRY(trino__emit(r, *i + 2, as, depth + 1, info));
    buf_append_char(&r->out, ')');
    TRY(trino__emit(r, as, end - 1, depth + 1, info));
    buf_append_char(&r->out, ')');
    *i = end;
    return ERR_OK;
}

/* extract(field FROM x), whose fields have names and numbers of their own. */
static enum err put_extract(struct trino_rewrite *r, size_t *i, size_t to, unsigned depth,
                            bool *ret_done, struct errinfo *info)
{
    static const struct {
        const char *from;
        const char *to;
    } fields[] = {{"dow", "isodow"},      {"day_of_week", "isodow"},   {"day_of_month", "day"},
                  {"day_of_year", "doy"}, {"year_of_week", "isoyear"}, {"yow", "isoyear"}};
    size_t end = trino__behind(r, *i + 1, to);
    *ret_done = false;
    if (!trino__is_word(r, *i, "extract") || !trino__is_word(r, *i + 3, "from") || end < *i + 6) {
        return ERR_OK;
    }
    for (size_t f = 0; f < ARRAY_COUNT(fields); f++) {
        if (trino__is_word(r, *i + 2, fields[f].from)) {
            trino__copy(r, *i);
            buf_printf(&r->out, "(%s FROM", fields[f].to);
            TRY(trino__emit(r, *i + 4, end - 1, depth + 1, info));
            buf_append_char(&r->out, ')');
            *i = end;
            *ret_done = true;
            return ERR_OK;
        }
    }
    return ERR_OK;
}

/* A path of SQL/JSON ('lax $.a') means something else to the engine's functions of these names. */
static enum err check_json_path(struct trino_rewrite *r, size_t *i, size_t to, unsigned depth,
                                bool *ret_done, struct errinfo *info)
{
    size_t end = trino__behind(r, *i + 1, to);
    size_t path = trino__comma(r, *i + 2, end - 1) + 1;
    bool is_one = trino__is_word(r, *i, "json_value") || trino__is_word(r, *i, "json_exists");
    struct slice text;
    (void)depth;
    *ret_done = false;
    if (!is_one || path >= end || trino__at(r, path)->kind != TOKEN_STRING) {
        return ERR_OK;
    }
    TRY(token_string(trino__at(r, path), r->arena, &text, info));
    text = slice_trim(text);
    if (slice_starts_with_fold(text, SLICE("lax")) ||
        slice_starts_with_fold(text, SLICE("strict"))) {
        return errinfo_set(info, ERR_UNSUPPORTED, "42883",
                           "function \"%.*s\" does not exist for paths of SQL/JSON",
                           SLICE_ARGS(trino__at(r, *i)->text));
    }
    return ERR_OK;
}

/* UNNEST(a, b) AS t(x, y): the engine takes one list there, and any number behind SELECT. */
static enum err put_unnest(struct trino_rewrite *r, size_t *i, size_t to, unsigned depth,
                           bool *ret_done, struct errinfo *info)
{
    size_t end = trino__behind(r, *i + 1, to);
    size_t from = *i + 2;
    bool is_ordered = trino__is_word(r, end, "with") && trino__is_word(r, end + 1, "ordinality");
    *ret_done = trino__is_word(r, *i, "unnest") && trino__comma(r, from, end - 1) < end - 1;
    if (!*ret_done) {
        return ERR_OK;
    }
    trino__space(r);
    trino__mark(r, trino__at(r, *i)->offset);
    buf_append_str(&r->out, "(SELECT ");
    for (size_t argument = from; argument < end - 1;) {
        size_t comma = trino__comma(r, argument, end - 1);
        buf_append_str(&r->out, argument == from ? "unnest(" : ", unnest(");
        TRY(trino__emit(r, argument, comma, depth + 1, info));
        buf_append_char(&r->out, ')');
        argument = comma + 1;
    }
    const char *separator = ", unnest(range(1, 1 + greatest(";
    for (size_t argument = from; is_ordered && argument < end - 1;) {
        size_t comma = trino__comma(r, argument, end - 1);
        buf_append_str(&r->out, separator);
        buf_append_str(&r->out, "coalesce(len(");
        TRY(trino__emit(r, argument, comma, depth + 1, info));
        buf_append_str(&r->out, "), 0)");
        separator = ", ";
        argument = comma + 1;
    }
    buf_append_str(&r->out, is_ordered ? "))))" : ")");
    *i = is_ordered ? end + 2 : end;
    return ERR_OK;
}

enum err trino__put_call(struct trino_rewrite *r, size_t *i, size_t to, unsigned depth,
                         bool *ret_done, struct errinfo *info)
{
    static enum err (*const forms[])(struct trino_rewrite * r, size_t * i, size_t to,
                                     unsigned depth, bool *ret_done, struct errinfo *info) = {
        check_json_path, put_extract, put_listagg, put_nulls,
        put_json_cast,   put_cast,    put_unnest,  put_call};
    *ret_done = false;
    for (size_t f = 0; f < ARRAY_COUNT(forms) && !*ret_done; f++) {
        TRY(forms[f](r, i, to, depth, ret_done, info));
    }
    return ERR_OK;
}
