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

const struct token *trino__at(const struct trino_rewrite *r, size_t i)
{
    static const struct token none = {.kind = TOKEN_END};
    return i < r->tokens.count ? &r->tokens.all[i] : &none;
}

bool trino__is_op(const struct trino_rewrite *r, size_t i, const char *text)
{
    const struct token *token = trino__at(r, i);
    return token->kind == TOKEN_OPERATOR && token_is_operator(token, text);
}

bool trino__is_word(const struct trino_rewrite *r, size_t i, const char *word)
{
    return token_is(trino__at(r, i), word);
}

size_t trino__behind(const struct trino_rewrite *r, size_t open, size_t end)
{
    int depth = 0;
    for (size_t i = open; i < end; i++) {
        bool opens = trino__is_op(r, i, "(") || trino__is_op(r, i, "[") || trino__is_op(r, i, "{");
        bool closes = trino__is_op(r, i, ")") || trino__is_op(r, i, "]") || trino__is_op(r, i, "}");
        depth += (int)opens - (int)closes;
        if (closes && depth == 0) {
            return i + 1;
        }
    }
    return end;
}

size_t trino__comma(const struct trino_rewrite *r, size_t from, size_t end)
{
    size_t i = from;
    while (i < end && !trino__is_op(r, i, ",")) {
        bool opens = trino__is_op(r, i, "(") || trino__is_op(r, i, "[") || trino__is_op(r, i, "{");
        i = opens ? trino__behind(r, i, end) : i + 1;
    }
    return i < end ? i : end;
}

/* ---- writing ---- */

void trino__space(struct trino_rewrite *r)
{
    char last = r->out.len == 0 ? ' ' : r->out.ptr[r->out.len - 1];
    if (last != ' ' && last != '(') {
        buf_append_char(&r->out, ' ');
    }
}

static void mark(struct trino_rewrite *r, size_t offset, bool is_copy)
{
    if (r->move_count < 2 * r->tokens.count) { /* more only from what is written twice */
        r->moves[r->move_count++] = (struct trino_move){r->out.len, offset, is_copy};
    }
}

void trino__mark(struct trino_rewrite *r, size_t offset)
{
    mark(r, offset, false);
}

/* With the white space that was before it, or one space where something was put in between. */
void trino__copy(struct trino_rewrite *r, size_t i)
{
    const struct token *token = trino__at(r, i);
    const char *quote = trino__is_name(r, i) ? "\"" : "";
    bool is_glued =
        i > 0 && trino__at(r, i - 1)->offset + trino__at(r, i - 1)->text.len == token->offset;
    if (!is_glued) {
        trino__space(r);
    }
    buf_append_str(&r->out, quote);
    mark(r, token->offset, true);
    buf_append_slice(&r->out, token->text);
    buf_append_str(&r->out, quote);
    bool is_last = i + 1 >= r->tokens.count;
    mark(r, is_last ? r->text.len : trino__at(r, i + 1)->offset, false);
}

/* ---- types ---- */

/* timestamp(3), time(6) with time zone. */
static bool put_time_type(struct trino_rewrite *r, size_t *i)
{
    bool is_timestamp = trino__is_word(r, *i, "timestamp");
    uint64_t digits = 6;
    size_t next = *i + 1;
    if (!is_timestamp && !trino__is_word(r, *i, "time")) {
        return false;
    }
    bool has_digits = trino__is_op(r, next, "(") && trino__at(r, next + 1)->kind == TOKEN_NUMBER &&
                      trino__is_op(r, next + 2, ")") &&
                      slice_to_u64(trino__at(r, next + 1)->text, &digits);
    next += has_digits ? 3 : 0;
    bool with_zone = trino__is_word(r, next, "with") && trino__is_word(r, next + 1, "time") &&
                     trino__is_word(r, next + 2, "zone");
    if (!has_digits && !with_zone) {
        return false;
    }
    trino__space(r);
    trino__mark(r, trino__at(r, *i)->offset);
    const char *plain = digits == 0   ? "TIMESTAMP_S"
                        : digits <= 3 ? "TIMESTAMP_MS"
                        : digits <= 6 ? "TIMESTAMP"
                                      : "TIMESTAMP_NS";
    const char *zoned = digits <= 6 ? "TIMESTAMPTZ" : "TIMESTAMPTZ_NS";
    buf_append_str(&r->out,
                   is_timestamp ? (with_zone ? zoned : plain) : (with_zone ? "TIMETZ" : "TIME"));
    *i = next + (with_zone ? 3 : 0);
    return true;
}

/* array(bigint), a type; ARRAY[...] and ARRAY(SELECT ...) go through. */
static enum err put_array_type(struct trino_rewrite *r, size_t *i, size_t to, unsigned depth,
                               bool *ret_done, struct errinfo *info)
{
    bool is_query = trino__is_word(r, *i + 2, "select") || trino__is_word(r, *i + 2, "with") ||
                    trino__is_word(r, *i + 2, "values");
    *ret_done = trino__is_word(r, *i, "array") && trino__is_op(r, *i + 1, "(") && !is_query;
    if (!*ret_done) {
        return ERR_OK;
    }
    size_t end = trino__behind(r, *i + 1, to);
    trino__space(r);
    TRY(trino__emit(r, *i + 2, end - 1, depth + 1, info));
    buf_append_str(&r->out, "[]");
    *i = end;
    return ERR_OK;
}

/* ---- tables ---- */

static enum err name_at(const struct trino_rewrite *r, size_t i, struct slice *ret_name,
                        struct errinfo *info)
{
    const struct token *token = trino__at(r, i);
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
    const struct token *token = trino__at(r, i);
    for (size_t w = 0; w < ARRAY_COUNT(words); w++) {
        if (token_is(token, words[w])) {
            return false;
        }
    }
    return token->kind == TOKEN_WORD || token->kind == TOKEN_QUOTED;
}

/* "t$partitions" with the columns that Trino's connector for Iceberg has, by which its dialect for
 * SQLAlchemy tells Iceberg from Hive. In `data` is what else is known of a partition. A table
 * without partitions has no "partition", and so this is an error, as with Trino's Hive. */
static void put_partitions(struct trino_rewrite *r, size_t from, size_t to)
{
    buf_append_str(
        &r->out, " (SELECT \"partition\", record_count, CAST(file_count AS BIGINT) AS file_count, "
                 "total_data_file_size_in_bytes AS total_size, struct_pack(spec_id := spec_id, "
                 "position_delete_record_count := position_delete_record_count, "
                 "position_delete_file_count := position_delete_file_count, "
                 "equality_delete_record_count := equality_delete_record_count, "
                 "equality_delete_file_count := equality_delete_file_count, last_updated_at := "
                 "last_updated_at, last_updated_snapshot_id := last_updated_snapshot_id) AS "
                 "data FROM");
    for (size_t i = from; i < to; i++) {
        trino__copy(r, i);
    }
    buf_append_char(&r->out, ')');
}

/* [catalog.]information_schema.name and system.schema.name, behind FROM, JOIN or a comma. */
static enum err put_table(struct trino_rewrite *r, size_t *i, bool *ret_done, struct errinfo *info)
{
    struct slice names[3];
    size_t count = 0;
    size_t next = *i;
    *ret_done = false;
    bool is_place = *i > 0 && (trino__is_word(r, *i - 1, "from") ||
                               trino__is_word(r, *i - 1, "join") || trino__is_op(r, *i - 1, ","));
    if (!is_place) {
        return ERR_OK;
    }
    do {
        TRY(name_at(r, next, &names[count], info));
        if (names[count++].len == 0) {
            return ERR_OK;
        }
        next += 2;
    } while (count < 3 && trino__is_op(r, next - 1, "."));
    next--;
    struct slice catalog = count == 3 ? names[0] : r->catalog;
    struct slice schema = count < 2 ? SLICE("") : names[count - 2];
    bool is_information = slice_equal_fold(schema, SLICE("information_schema"));
    bool is_system = slice_equal_fold(catalog, SLICE("system"));
    const char *query =
        is_information || is_system ? trino_table(schema, names[count - 1], is_information) : NULL;
    bool is_partitions = slice_ends_with(names[count - 1], SLICE("$partitions")) &&
                         trino__at(r, next - 1)->kind == TOKEN_QUOTED &&
                         !trino__is_word(r, next, "for"); /* of another time */
    if (query == NULL && !is_partitions) {
        return ERR_OK;
    }
    trino__mark(r, trino__at(r, *i)->offset);
    if (is_partitions) {
        put_partitions(r, *i, next);
    } else {
        put_query(r, query, catalog);
    }
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
    trino__copy(r, (*i)++);
    size_t end = *i;
    while (end < to) {
        bool is_end = false;
        for (size_t w = 0; w < ARRAY_COUNT(ends); w++) {
            is_end = is_end || trino__is_word(r, end, ends[w]);
        }
        if (is_end || trino__is_op(r, end, ")")) {
            break;
        }
        end = trino__is_op(r, end, "(") ? trino__behind(r, end, to) : end + 1;
    }
    for (size_t from = *i; from < end;) {
        size_t comma = trino__comma(r, from, end);
        bool is_row = trino__is_op(r, from, "(") && trino__behind(r, from, comma) == comma;
        buf_append_str(&r->out, from == *i ? "" : ",");
        buf_append_str(&r->out, is_row ? "" : " (");
        TRY(trino__emit(r, from, comma, depth + 1, info));
        buf_append_str(&r->out, is_row ? "" : ")");
        from = comma + 1;
    }
    *i = end;
    return ERR_OK;
}

/* OFFSET n [ROWS] before LIMIT m or FETCH FIRST m ROWS ONLY: ours comes behind them. */
static enum err put_offset(struct trino_rewrite *r, size_t *i, unsigned depth, struct errinfo *info)
{
    struct trino_range offset = {0, 0};
    size_t next = *i;
    if (trino__is_word(r, next, "offset")) {
        offset = (struct trino_range){next + 1, next + 2};
        next += 2;
        next += trino__is_word(r, next, "row") || trino__is_word(r, next, "rows");
    }
    if (trino__is_word(r, next, "limit")) {
        trino__copy(r, next);
        trino__copy(r, next + 1);
        next += 2;
    } else if (trino__is_word(r, next, "fetch")) {
        bool has_count =
            trino__at(r, next + 2)->kind == TOKEN_NUMBER || trino__is_op(r, next + 2, "?");
        trino__space(r);
        buf_append_str(&r->out, "LIMIT ");
        size_t rows = next + 2 + has_count;
        if (trino__is_word(r, rows + 1, "with")) {
            return errinfo_set(info, ERR_UNSUPPORTED, NULL, "FETCH FIRST ... WITH TIES");
        }
        if (has_count) {
            TRY(trino__emit(r, next + 2, next + 3, depth + 1, info));
        } else {
            buf_append_char(&r->out, '1');
        }
        next = rows + 2;
    }
    if (offset.to > 0) {
        buf_append_str(&r->out, " OFFSET ");
        TRY(trino__emit(r, offset.from, offset.to, depth + 1, info));
    }
    *i = next;
    return ERR_OK;
}

static void put_parameter(struct trino_rewrite *r, size_t i)
{
    if (r->keeps_parameters || trino__at(r, i)->text.ptr[0] != '?') {
        trino__copy(r, i);
        return;
    }
    trino__space(r);
    trino__mark(r, trino__at(r, i)->offset);
    buf_append_char(&r->out, '(');
    buf_append_slice(&r->out, r->values[r->ordinals[i]]);
    buf_append_char(&r->out, ')');
}

static enum err emit_one(struct trino_rewrite *r, size_t *i, size_t to, unsigned depth,
                         struct errinfo *info)
{
    const struct token *token = trino__at(r, *i);
    bool is_done = false;
    if (*i == r->properties) {
        return trino__put_properties(r, i, info);
    }
    if (token->kind == TOKEN_PARAMETER) {
        put_parameter(r, (*i)++);
        return ERR_OK;
    }
    TRY(trino__put_literal(r, i, &is_done, info));
    if (is_done) {
        return ERR_OK;
    }
    if (token->kind == TOKEN_WORD || token->kind == TOKEN_QUOTED) {
        TRY(put_table(r, i, &is_done, info));
    }
    if (token->kind == TOKEN_WORD && !is_done) {
        is_done = put_time_type(r, i);
        if (!is_done) {
            TRY(put_array_type(r, i, to, depth, &is_done, info));
        }
        if (!is_done && trino__is_op(r, *i + 1, "(")) {
            TRY(trino__put_call(r, i, to, depth, &is_done, info));
        }
        if (!is_done && token_is(token, "at") && trino__is_word(r, *i + 1, "time") &&
            trino__is_word(r, *i + 2, "zone")) { /* what has no zone is in the session's */
            buf_append_str(&r->out, "::TIMESTAMPTZ");
        }
        if (!is_done && token_is(token, "values")) {
            return put_values(r, i, to, depth, info);
        }
        bool is_offset = token_is(token, "offset") && trino__at(r, *i + 1)->kind == TOKEN_NUMBER;
        bool is_fetch = token_is(token, "fetch") &&
                        (trino__is_word(r, *i + 1, "first") || trino__is_word(r, *i + 1, "next"));
        if (!is_done && (is_offset || is_fetch)) {
            return put_offset(r, i, depth, info);
        }
    }
    if (!is_done) {
        trino__copy(r, (*i)++);
    }
    return ERR_OK;
}

static void put_name(struct trino_rewrite *r, size_t i)
{
    if (r->names[i] != 0) {
        buf_printf(&r->out, " AS _col%u", r->names[i] - 1);
    }
}

enum err trino__emit(struct trino_rewrite *r, size_t from, size_t to, unsigned depth,
                     struct errinfo *info)
{
    struct trino_chain chain = {.start = {SIZE_MAX}, .sum = {SIZE_MAX}};
    if (depth > DEPTH_MAX) {
        return errinfo_set(info, ERR_LIMIT, "54001", "the statement is nested too deeply");
    }
    for (size_t i = from; i < to;) {
        bool is_done;
        TRY(trino__put_division(r, &chain, &i, to, depth, &is_done, info));
        if (!is_done) {
            TRY(trino__put_sum(r, &chain, &i, to, depth, &is_done, info));
        }
        bool is_lambda = !is_done && trino__put_lambda(r, &i, to);
        if (is_lambda) {
            trino__chain_cut(&chain); /* its body begins */
        } else if (!is_done) {
            TRY(trino__chain_note(r, &chain, i, info));
            TRY(emit_one(r, &i, to, depth, info));
        }
        put_name(r, i);
        if (r->out.len > 16 * r->text.len + 65536) { /* arguments written twice, in each other */
            return errinfo_set(info, ERR_LIMIT, "54000", "the statement is too long");
        }
    }
    return ERR_OK;
}

/* What is behind a group is looked for from its front: no token is passed more often than it is
 * deep. */
static enum err check_depth(const struct trino_rewrite *r, struct errinfo *info)
{
    unsigned depth = 0;
    for (size_t i = 0; i < r->tokens.count; i++) {
        bool opens = trino__is_op(r, i, "(") || trino__is_op(r, i, "[") || trino__is_op(r, i, "{");
        bool closes = trino__is_op(r, i, ")") || trino__is_op(r, i, "]") || trino__is_op(r, i, "}");
        depth += opens;
        depth -= closes && depth > 0;
        if (depth > DEPTH_MAX) {
            return errinfo_set(info, ERR_LIMIT, "54001", "the statement is nested too deeply");
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
        if (trino__at(r, i)->kind == TOKEN_PARAMETER && trino__at(r, i)->text.ptr[0] == '?') {
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
        arena_calloc(rewrite->arena, 2 * rewrite->tokens.count + 1, sizeof(*rewrite->moves));
    if (rewrite->moves == NULL) {
        return errinfo_nomem(info);
    }
    TRY(check_depth(rewrite, info));
    TRY(count_parameters(rewrite, info));
    TRY(trino__name_columns(rewrite, info));
    TRY(trino__emit(rewrite, 0, rewrite->tokens.count, 0, info));
    return buf_failed(&rewrite->out) ? errinfo_nomem(info) : ERR_OK;
}
