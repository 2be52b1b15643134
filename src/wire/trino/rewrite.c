/* A query in Trino's dialect as one in ours, token by token: functions by the table functions.def,
 * literals and types that are written differently, and the tables of `system` and
 * information_schema. What is not known goes through as it is: the engine's parser, the list of
 * functions and the policy see what comes out of it, whoever wrote it.
 *
 * Why tokens: a grammar of Trino would be a second one that could disagree with what runs. */
#include "base/json.h"
#include "base/mem.h"
#include "sql/scan.h"
#include "wire/trino/trino_int.h"

#define DEPTH_MAX 200u
#define TOKENS_MAX 200000u
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

static const struct table {
    const char *schema;
    const char *name;
    const char *query;
} tables[] = {
#define TABLE(schema, name, query) {schema, name, query},
#include "wire/trino/tables.def"
#undef TABLE
};

const char *trino_table(struct slice schema, struct slice name, bool is_information)
{
    for (size_t i = 0; i < ARRAY_COUNT(tables); i++) {
        bool is_of = strcmp(tables[i].schema, "information_schema") == 0;
        if (is_of == is_information && slice_equal_fold(schema, slice_of(tables[i].schema)) &&
            slice_equal_fold(name, slice_of(tables[i].name))) {
            return tables[i].query;
        }
    }
    return NULL;
}

enum err trino_tokens_read(struct slice text, struct arena *arena, struct trino_tokens *ret_tokens,
                           struct errinfo *info)
{
    struct scanner scanner;
    struct token token;
    size_t count = 0;
    scanner_init(&scanner, text);
    do {
        TRY(scanner_next(&scanner, &token, info));
        count++;
    } while (token.kind != TOKEN_END);
    if (count > TOKENS_MAX) {
        return errinfo_set(info, ERR_LIMIT, "54000", "the statement has more than %u words",
                           TOKENS_MAX);
    }
    struct token *all = arena_calloc(arena, count, sizeof(*all));
    if (all == NULL) {
        return errinfo_nomem(info);
    }
    scanner_init(&scanner, text);
    for (size_t i = 0; i < count; i++) {
        TRY(scanner_next(&scanner, &all[i], info));
    }
    *ret_tokens = (struct trino_tokens){all, count - 1};
    return ERR_OK;
}

/* ---- the tokens ---- */

struct range {
    size_t from, to;
};

static const struct token *at(const struct trino_rewrite *r, size_t i)
{
    static const struct token none = {.kind = TOKEN_END};
    return i < r->tokens.count ? &r->tokens.all[i] : &none;
}

static bool is_op(const struct trino_rewrite *r, size_t i, const char *text)
{
    return at(r, i)->kind == TOKEN_OPERATOR && token_is_operator(at(r, i), text);
}

static bool is_word(const struct trino_rewrite *r, size_t i, const char *word)
{
    return token_is(at(r, i), word);
}

/* The token behind the ")" that belongs to the "(" at `open`, or `end`. */
static size_t behind(const struct trino_rewrite *r, size_t open, size_t end)
{
    int depth = 0;
    for (size_t i = open; i < end; i++) {
        bool opens = is_op(r, i, "(") || is_op(r, i, "[") || is_op(r, i, "{");
        bool closes = is_op(r, i, ")") || is_op(r, i, "]") || is_op(r, i, "}");
        depth += (int)opens - (int)closes;
        if (closes && depth == 0) {
            return i + 1;
        }
    }
    return end;
}

/* The first comma from `from` on outside of all parentheses, or `end`. */
static size_t next_comma(const struct trino_rewrite *r, size_t from, size_t end)
{
    size_t i = from;
    while (i < end && !is_op(r, i, ",")) {
        bool opens = is_op(r, i, "(") || is_op(r, i, "[") || is_op(r, i, "{");
        i = opens ? behind(r, i, end) : i + 1;
    }
    return i < end ? i : end;
}

/* ---- writing ---- */

static void space(struct trino_rewrite *r)
{
    char last = r->out.len == 0 ? ' ' : r->out.ptr[r->out.len - 1];
    if (last != ' ' && last != '(') {
        buf_append_char(&r->out, ' ');
    }
}

static void mark(struct trino_rewrite *r, size_t offset)
{
    if (r->move_count < r->tokens.count) { /* more only from arguments that are written twice */
        r->moves[r->move_count++] = (struct trino_move){r->out.len, offset};
    }
}

/* With the white space that was before it, or one space where something was put in between. */
static void copy(struct trino_rewrite *r, size_t i)
{
    const struct token *token = at(r, i);
    bool is_glued = i > 0 && at(r, i - 1)->offset + at(r, i - 1)->text.len == token->offset;
    if (!is_glued) {
        space(r);
    }
    mark(r, token->offset);
    buf_append_slice(&r->out, token->text);
}

static enum err emit(struct trino_rewrite *r, size_t from, size_t to, unsigned depth,
                     struct errinfo *info);

/* ---- functions ---- */

static enum err word_of(const struct trino_rewrite *r, struct range argument,
                        struct slice *ret_word, struct errinfo *info)
{
    const struct token *token = at(r, argument.from);
    if (argument.to != argument.from + 1 || token->kind != TOKEN_STRING) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                           "units and formats of dates must be constant texts");
    }
    return token_string(token, r->arena, ret_word, info);
}

static enum err put_unit(struct trino_rewrite *r, struct range argument, struct errinfo *info)
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
static enum err put_format(struct trino_rewrite *r, struct range argument, struct errinfo *info)
{
    static const struct {
        char from;
        const char *to;
    } parts[] = {{'i', "%M"},  {'s', "%S"},       {'M', "%B"},         {'e', "%-d"},
                 {'k', "%-H"}, {'l', "%-I"},      {'c', "%-m"},        {'W', "%A"},
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
        if (to == NULL && strchr("abdfHIjmpSYy%v", c) == NULL) {
            return errinfo_set(info, ERR_UNSUPPORTED, NULL, "\"%%%c\" in a format of dates", c);
        }
        if (to != NULL) {
            buf_append_str(&text, to);
        } else {
            buf_append_char(&text, '%');
            buf_append_char(&text, c == 'v' ? 'V' : c);
        }
    }
    sql_quote_string(&r->out, buf_slice(&text));
    return ERR_OK;
}

static enum err put_argument(struct trino_rewrite *r, struct range argument, unsigned depth,
                             bool is_alone, struct errinfo *info)
{
    size_t words = argument.to - argument.from;
    bool is_lambda = false;
    for (size_t i = argument.from; i < argument.to; i++) {
        is_lambda = is_lambda || is_op(r, i, "->");
    }
    bool is_wrapped = words > 1 && !is_alone && !is_lambda;
    buf_append_str(&r->out, is_wrapped ? "(" : "");
    TRY(emit(r, argument.from, argument.to, depth + 1, info));
    buf_append_str(&r->out, is_wrapped ? ")" : "");
    return ERR_OK;
}

static enum err put_all(struct trino_rewrite *r, const struct range *arguments, unsigned count,
                        const char *between, unsigned depth, struct errinfo *info)
{
    for (unsigned i = 0; i < count; i++) {
        buf_append_str(&r->out, i == 0 ? "" : between);
        TRY(put_argument(r, arguments[i], depth, between[0] == ',', info));
    }
    return ERR_OK;
}

static enum err put_template(struct trino_rewrite *r, const char *text,
                             const struct range *arguments, unsigned count, unsigned depth,
                             struct errinfo *info)
{
    space(r);
    for (const char *c = text; *c != '\0'; c++) {
        if (*c != '$') {
            buf_append_char(&r->out, *c);
            continue;
        }
        c++;
        if (*c == '*') {
            TRY(put_all(r, arguments, count, ", ", depth, info));
        } else if (*c == '|') {
            TRY(put_all(r, arguments, count, " || ", depth, info));
        } else if (*c == 'U') {
            TRY(put_unit(r, arguments[*++c - '1'], info));
        } else if (*c == 'F') {
            TRY(put_format(r, arguments[*++c - '1'], info));
        } else {
            TRY(put_argument(r, arguments[*c - '1'], depth, false, info));
        }
    }
    return ERR_OK;
}

/* A call whose name is at `i`. */
static enum err put_call(struct trino_rewrite *r, size_t *i, size_t to, unsigned depth,
                         bool *ret_done, struct errinfo *info)
{
    struct range arguments[ARGUMENTS_MAX];
    unsigned count = 0;
    size_t end = behind(r, *i + 1, to);
    size_t from = *i + 2;
    bool is_known = false;
    for (size_t f = 0; f < ARRAY_COUNT(functions); f++) {
        is_known = is_known || token_is(at(r, *i), functions[f].name);
    }
    *ret_done = false;
    if (!is_known || end < *i + 3 || !is_op(r, end - 1, ")") || (*i > 0 && is_op(r, *i - 1, "."))) {
        return ERR_OK;
    }
    while (from < end - 1) {
        size_t comma = next_comma(r, from, end - 1);
        if (count == ARGUMENTS_MAX) {
            return ERR_OK;
        }
        arguments[count++] = (struct range){from, comma};
        from = comma + 1;
    }
    for (size_t f = 0; f < ARRAY_COUNT(functions); f++) {
        const struct function *function = &functions[f];
        if (token_is(at(r, *i), function->name) && count >= function->fewest &&
            count <= function->most) {
            mark(r, at(r, *i)->offset);
            *ret_done = true;
            *i = end;
            return put_template(r, function->text, arguments, count, depth, info);
        }
    }
    return ERR_OK;
}

/* ---- literals and types ---- */

static bool has_zone(struct slice text)
{
    if (text.len < 12) { /* a date alone */
        return false;
    }
    for (size_t i = 11; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '+' || c == '-' || (c >= 'A' && c <= 'Z' && c != 'T')) {
            return true;
        }
    }
    return false;
}

/* Ours takes an offset without the space before it. */
static void put_zoned(struct trino_rewrite *r, struct slice text)
{
    struct buf glued CLEANUP(buf_fini) = {0};
    for (size_t i = 0; i < text.len; i++) {
        bool is_before = text.ptr[i] == ' ' && i + 1 < text.len &&
                         (text.ptr[i + 1] == '+' || text.ptr[i + 1] == '-');
        buf_append(&glued, text.ptr + i, is_before ? 0 : 1);
    }
    sql_quote_string(&r->out, buf_slice(&glued));
    r->out.failed = r->out.failed || buf_failed(&glued);
}

/* DECIMAL '1.50' has the digits that are written; ours would have three behind the point. */
static bool is_number(struct slice text)
{
    size_t digits = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        digits += c >= '0' && c <= '9';
        if (!((c >= '0' && c <= '9') || c == '.' || (i == 0 && (c == '-' || c == '+')))) {
            return false;
        }
    }
    return digits > 0;
}

/* X'00ff': bytes. The scanner has it as one text. */
static bool put_bytes(struct trino_rewrite *r, size_t *i)
{
    struct slice text = at(r, *i)->text;
    if (at(r, *i)->kind != TOKEN_STRING || !slice_starts_with_fold(text, SLICE("x'"))) {
        return false;
    }
    space(r);
    mark(r, at(r, *i)->offset);
    buf_append_str(&r->out, "unhex(");
    buf_append(&r->out, text.ptr + 1, text.len - 1);
    buf_append_char(&r->out, ')');
    (*i)++;
    return true;
}

static enum err put_literal(struct trino_rewrite *r, size_t *i, bool *ret_done,
                            struct errinfo *info)
{
    const struct token *word = at(r, *i);
    const struct token *string = at(r, *i + 1);
    struct slice text;
    *ret_done = false;
    if (string->kind != TOKEN_STRING || string->text.ptr[0] != '\'') {
        return ERR_OK;
    }
    TRY(token_string(string, r->arena, &text, info));
    if (token_is(word, "decimal") && is_number(text)) {
        space(r);
        mark(r, word->offset);
        buf_append_char(&r->out, '(');
        buf_append_slice(&r->out, text);
        buf_append_char(&r->out, ')');
    } else if (token_is(word, "timestamp") && has_zone(text)) {
        space(r);
        mark(r, word->offset);
        buf_append_str(&r->out, "TIMESTAMPTZ ");
        put_zoned(r, text);
    } else {
        return ERR_OK;
    }
    *i += 2;
    *ret_done = true;
    return ERR_OK;
}

/* timestamp(3), time(6) with time zone. */
static bool put_time_type(struct trino_rewrite *r, size_t *i)
{
    bool is_timestamp = is_word(r, *i, "timestamp");
    uint64_t digits = 6;
    size_t next = *i + 1;
    if (!is_timestamp && !is_word(r, *i, "time")) {
        return false;
    }
    bool has_digits = is_op(r, next, "(") && at(r, next + 1)->kind == TOKEN_NUMBER &&
                      is_op(r, next + 2, ")") && slice_to_u64(at(r, next + 1)->text, &digits);
    next += has_digits ? 3 : 0;
    bool with_zone =
        is_word(r, next, "with") && is_word(r, next + 1, "time") && is_word(r, next + 2, "zone");
    if (!has_digits && !with_zone) {
        return false;
    }
    space(r);
    mark(r, at(r, *i)->offset);
    const char *plain = digits == 0   ? "TIMESTAMP_S"
                        : digits <= 3 ? "TIMESTAMP_MS"
                        : digits <= 6 ? "TIMESTAMP"
                                      : "TIMESTAMP_NS";
    buf_append_str(&r->out, is_timestamp ? (with_zone ? "TIMESTAMPTZ" : plain)
                                         : (with_zone ? "TIMETZ" : "TIME"));
    *i = next + (with_zone ? 3 : 0);
    return true;
}

/* array(bigint), a type; ARRAY[...] and ARRAY(SELECT ...) go through. */
static enum err put_array_type(struct trino_rewrite *r, size_t *i, size_t to, unsigned depth,
                               bool *ret_done, struct errinfo *info)
{
    bool is_query =
        is_word(r, *i + 2, "select") || is_word(r, *i + 2, "with") || is_word(r, *i + 2, "values");
    *ret_done = is_word(r, *i, "array") && is_op(r, *i + 1, "(") && !is_query;
    if (!*ret_done) {
        return ERR_OK;
    }
    size_t end = behind(r, *i + 1, to);
    space(r);
    TRY(emit(r, *i + 2, end - 1, depth + 1, info));
    buf_append_str(&r->out, "[]");
    *i = end;
    return ERR_OK;
}

/* ---- tables ---- */

static enum err name_at(const struct trino_rewrite *r, size_t i, struct slice *ret_name,
                        struct errinfo *info)
{
    const struct token *token = at(r, i);
    *ret_name = (struct slice){"", 0};
    if (token->kind != TOKEN_WORD && token->kind != TOKEN_QUOTED) {
        return ERR_OK;
    }
    return token_identifier(token, r->arena, ret_name) ? ERR_OK : errinfo_nomem(info);
}

static void put_query(struct trino_rewrite *r, const char *query, struct slice catalog)
{
    buf_append_str(&r->out, " (");
    for (const char *c = query; *c != '\0'; c++) {
        if (c[0] == '%' && c[1] == 'c') {
            sql_quote_string(&r->out, catalog);
            c++;
        } else {
            buf_append_char(&r->out, *c);
        }
    }
    buf_append_char(&r->out, ')');
}

/* Whether a name or AS that follows a table is its alias. */
static bool is_alias(const struct trino_rewrite *r, size_t i)
{
    static const char *const words[] = {
        "where",     "group",  "order",  "limit",  "offset",  "fetch",      "join",  "inner",
        "left",      "right",  "full",   "cross",  "natural", "on",         "using", "union",
        "intersect", "except", "having", "window", "for",     "tablesample"};
    const struct token *token = at(r, i);
    for (size_t w = 0; w < ARRAY_COUNT(words); w++) {
        if (token_is(token, words[w])) {
            return false;
        }
    }
    return token->kind == TOKEN_WORD || token->kind == TOKEN_QUOTED;
}

/* [catalog.]information_schema.name and system.schema.name, behind FROM, JOIN or a comma. */
static enum err put_table(struct trino_rewrite *r, size_t *i, bool *ret_done, struct errinfo *info)
{
    struct slice names[3];
    size_t count = 0;
    size_t next = *i;
    *ret_done = false;
    bool is_place = *i > 0 && (is_word(r, *i - 1, "from") || is_word(r, *i - 1, "join") ||
                               is_op(r, *i - 1, ","));
    if (!is_place) {
        return ERR_OK;
    }
    do {
        TRY(name_at(r, next, &names[count], info));
        if (names[count++].len == 0) {
            return ERR_OK;
        }
        next += 2;
    } while (count < 3 && is_op(r, next - 1, "."));
    next--;
    struct slice catalog = count == 3 ? names[0] : r->catalog;
    struct slice schema = count < 2 ? SLICE("") : names[count - 2];
    bool is_information = slice_equal_fold(schema, SLICE("information_schema"));
    bool is_system = slice_equal_fold(catalog, SLICE("system"));
    const char *query =
        is_information || is_system ? trino_table(schema, names[count - 1], is_information) : NULL;
    if (query == NULL) {
        return ERR_OK;
    }
    mark(r, at(r, *i)->offset);
    put_query(r, query, catalog);
    if (!is_alias(r, next)) {
        buf_append_str(&r->out, " AS ");
        sql_quote_name(&r->out, names[count - 1]);
    }
    *i = next;
    *ret_done = true;
    return ERR_OK;
}

/* ---- clauses ---- */

/* VALUES 1, 2: rows of one column need no parentheses there. */
static enum err put_values(struct trino_rewrite *r, size_t *i, size_t to, unsigned depth,
                           struct errinfo *info)
{
    static const char *const ends[] = {"order", "limit",     "offset", "fetch",
                                       "union", "intersect", "except"};
    copy(r, (*i)++);
    size_t end = *i;
    while (end < to) {
        bool is_end = false;
        for (size_t w = 0; w < ARRAY_COUNT(ends); w++) {
            is_end = is_end || is_word(r, end, ends[w]);
        }
        if (is_end || is_op(r, end, ")")) {
            break;
        }
        end = is_op(r, end, "(") ? behind(r, end, to) : end + 1;
    }
    for (size_t from = *i; from < end;) {
        size_t comma = next_comma(r, from, end);
        bool is_row = is_op(r, from, "(") && behind(r, from, comma) == comma;
        buf_append_str(&r->out, from == *i ? "" : ",");
        buf_append_str(&r->out, is_row ? "" : " (");
        TRY(emit(r, from, comma, depth + 1, info));
        buf_append_str(&r->out, is_row ? "" : ")");
        from = comma + 1;
    }
    *i = end;
    return ERR_OK;
}

/* OFFSET n [ROWS] before LIMIT m or FETCH FIRST m ROWS ONLY: ours comes behind them. */
static enum err put_offset(struct trino_rewrite *r, size_t *i, unsigned depth, struct errinfo *info)
{
    struct range offset = {0, 0};
    size_t next = *i;
    if (is_word(r, next, "offset")) {
        offset = (struct range){next + 1, next + 2};
        next += 2;
        next += is_word(r, next, "row") || is_word(r, next, "rows");
    }
    if (is_word(r, next, "limit")) {
        copy(r, next);
        copy(r, next + 1);
        next += 2;
    } else if (is_word(r, next, "fetch")) {
        bool has_count = at(r, next + 2)->kind == TOKEN_NUMBER || is_op(r, next + 2, "?");
        space(r);
        buf_append_str(&r->out, "LIMIT ");
        size_t rows = next + 2 + has_count;
        if (is_word(r, rows + 1, "with")) {
            return errinfo_set(info, ERR_UNSUPPORTED, NULL, "FETCH FIRST ... WITH TIES");
        }
        if (has_count) {
            TRY(emit(r, next + 2, next + 3, depth + 1, info));
        } else {
            buf_append_char(&r->out, '1');
        }
        next = rows + 2;
    }
    if (offset.to > 0) {
        buf_append_str(&r->out, " OFFSET ");
        TRY(emit(r, offset.from, offset.to, depth + 1, info));
    }
    *i = next;
    return ERR_OK;
}

static void put_parameter(struct trino_rewrite *r, size_t i)
{
    if (r->keeps_parameters || at(r, i)->text.ptr[0] != '?') {
        copy(r, i);
        return;
    }
    space(r);
    mark(r, at(r, i)->offset);
    buf_append_char(&r->out, '(');
    buf_append_slice(&r->out, r->values[r->ordinals[i]]);
    buf_append_char(&r->out, ')');
}

static enum err emit_one(struct trino_rewrite *r, size_t *i, size_t to, unsigned depth,
                         struct errinfo *info)
{
    const struct token *token = at(r, *i);
    bool is_done = false;
    if (token->kind == TOKEN_PARAMETER) {
        put_parameter(r, (*i)++);
        return ERR_OK;
    }
    if (put_bytes(r, i)) {
        return ERR_OK;
    }
    if (token->kind == TOKEN_WORD || token->kind == TOKEN_QUOTED) {
        TRY(put_table(r, i, &is_done, info));
    }
    if (token->kind == TOKEN_WORD && !is_done) {
        TRY(put_literal(r, i, &is_done, info));
        is_done = is_done || put_time_type(r, i);
        if (!is_done) {
            TRY(put_array_type(r, i, to, depth, &is_done, info));
        }
        if (!is_done && is_op(r, *i + 1, "(")) {
            TRY(put_call(r, i, to, depth, &is_done, info));
        }
        if (!is_done && token_is(token, "values")) {
            return put_values(r, i, to, depth, info);
        }
        bool is_offset = token_is(token, "offset") && at(r, *i + 1)->kind == TOKEN_NUMBER;
        bool is_fetch =
            token_is(token, "fetch") && (is_word(r, *i + 1, "first") || is_word(r, *i + 1, "next"));
        if (!is_done && (is_offset || is_fetch)) {
            return put_offset(r, i, depth, info);
        }
    }
    if (!is_done) {
        copy(r, (*i)++);
    }
    return ERR_OK;
}

static enum err emit(struct trino_rewrite *r, size_t from, size_t to, unsigned depth,
                     struct errinfo *info)
{
    if (depth > DEPTH_MAX) {
        return errinfo_set(info, ERR_LIMIT, "54001", "the statement is nested too deeply");
    }
    for (size_t i = from; i < to;) {
        TRY(emit_one(r, &i, to, depth, info));
        if (r->out.len > 16 * r->text.len + 65536) { /* arguments written twice, in each other */
            return errinfo_set(info, ERR_LIMIT, "54000", "the statement is too long");
        }
    }
    return ERR_OK;
}

/* Which of the values each "?" is: arguments may come out in another order, or twice. */
static enum err count_parameters(struct trino_rewrite *r, struct errinfo *info)
{
    size_t count = 0;
    r->ordinals = arena_calloc(r->arena, r->tokens.count + 1, sizeof(*r->ordinals));
    if (r->ordinals == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < r->tokens.count; i++) {
        if (at(r, i)->kind == TOKEN_PARAMETER && at(r, i)->text.ptr[0] == '?') {
            r->ordinals[i] = count++;
        }
    }
    return r->keeps_parameters || count == r->value_count
               ? ERR_OK
               : errinfo_set(info, ERR_INVALID, "07001",
                             "incorrect number of parameters: expected %zu but found %zu", count,
                             r->value_count);
}

enum err trino_rewrite(struct trino_rewrite *rewrite, struct errinfo *info)
{
    rewrite->moves =
        arena_calloc(rewrite->arena, rewrite->tokens.count + 1, sizeof(*rewrite->moves));
    if (rewrite->moves == NULL) {
        return errinfo_nomem(info);
    }
    TRY(count_parameters(rewrite, info));
    TRY(emit(rewrite, 0, rewrite->tokens.count, 0, info));
    return buf_failed(&rewrite->out) ? errinfo_nomem(info) : ERR_OK;
}
