/* What a statement comes to: what Trino keeps with its clients (prepared statements, properties,
 * catalog and schema) is said in the head of the answer; the rest runs. */
#include "base/json.h"
#include "sql/scan.h"
#include "wire/trino/trino_int.h"

#define WORD_BYTES_MAX 100 /* of a token that an error names */

struct reader {
    const struct trino_request *request;
    struct slice text;
    struct trino_tokens tokens;
    size_t at;
    struct arena *arena;
    struct trino_plan *plan;
    struct errinfo *info;
};

static const struct token *next(const struct reader *reader)
{
    static const struct token none = {.kind = TOKEN_END};
    return reader->at < reader->tokens.count ? &reader->tokens.all[reader->at] : &none;
}

static bool take(struct reader *reader, const char *word)
{
    bool is = token_is(next(reader), word);
    reader->at += is;
    return is;
}

static enum err wrong(struct reader *reader)
{
    (void)errinfo_set(reader->info, ERR_SYNTAX, "42601", "syntax error at or near \"%.*s\"",
                      SLICE_ARGS(next(reader)->text));
    errinfo_position(reader->info, next(reader)->offset + 1);
    return ERR_SYNTAX;
}

static enum err end(struct reader *reader)
{
    return next(reader)->kind == TOKEN_END ? ERR_OK : wrong(reader);
}

/* The text from the next token on. */
static struct slice rest(const struct reader *reader)
{
    size_t offset = next(reader)->kind == TOKEN_END ? reader->text.len : next(reader)->offset;
    return slice_trim((struct slice){reader->text.ptr + offset, reader->text.len - offset});
}

static enum err take_name(struct reader *reader, struct slice *ret_name)
{
    const struct token *token = next(reader);
    if (token->kind != TOKEN_WORD && token->kind != TOKEN_QUOTED) {
        return wrong(reader);
    }
    reader->at++;
    return token_identifier(token, reader->arena, ret_name) ? ERR_OK : errinfo_nomem(reader->info);
}

static void add_header(struct trino_plan *plan, const char *name, struct slice value)
{
    ASSERT(plan->header_count < TRINO_HEADERS_MAX);
    plan->headers[plan->header_count++] = (struct trino_pair){slice_of(name), value};
}

/* "name=encoded" */
static enum err add_pair(struct reader *reader, const char *header, struct slice name,
                         struct slice value)
{
    struct buf pair CLEANUP(buf_fini) = {0};
    struct slice kept;
    trino_encode(&pair, name);
    buf_append_char(&pair, '=');
    trino_encode(&pair, value);
    if (buf_failed(&pair) || !arena_slice(reader->arena, buf_slice(&pair), &kept)) {
        return errinfo_nomem(reader->info);
    }
    add_header(reader->plan, header, kept);
    return ERR_OK;
}

static enum err find_prepared(struct reader *reader, struct slice name, struct slice *ret_text)
{
    for (size_t i = 0; i < reader->request->prepared_count; i++) {
        if (slice_equal(reader->request->prepared[i].name, name)) {
            *ret_text = reader->request->prepared[i].value;
            return ERR_OK;
        }
    }
    return errinfo_set(reader->info, ERR_NOT_FOUND, "26000",
                       "prepared statement not found: \"%.*s\"", SLICE_ARGS(name));
}

/* ---- what runs ---- */

static bool is_at(const struct trino_tokens *tokens, size_t i, const char *word)
{
    return i < tokens->count && token_is(&tokens->all[i], word);
}

static bool is_create_table(const struct trino_tokens *tokens)
{
    size_t at = is_at(tokens, 1, "or") && is_at(tokens, 2, "replace") ? 3 : 1;
    return is_at(tokens, 0, "create") && is_at(tokens, at, "table");
}

/* CREATE TABLE ... AS query WITH [NO] DATA: true if it has none. */
static bool cut_no_data(struct trino_tokens *tokens)
{
    size_t count = tokens->count;
    if (!is_create_table(tokens) || count < 6 || !is_at(tokens, count - 1, "data")) {
        return false;
    }
    bool has_none = is_at(tokens, count - 2, "no") && is_at(tokens, count - 3, "with");
    tokens->count -= has_none ? 3 : is_at(tokens, count - 2, "with") ? 2 : 0;
    return has_none;
}

/* ALTER TABLE a.b.c RENAME TO a.b.d: ours takes the name alone, as it cannot move elsewhere. */
static enum err unqualify_target(struct trino_tokens *tokens, struct arena *arena,
                                 struct errinfo *info)
{
    size_t source = is_at(tokens, 2, "if") ? 4 : 2;
    size_t to = source;
    while (to < tokens->count && !(is_at(tokens, to, "rename") && is_at(tokens, to + 1, "to"))) {
        to++;
    }
    bool is_rename = is_at(tokens, 0, "alter") && to + 3 < tokens->count && to > source &&
                     tokens->count - (to + 2) == to - source;
    if (!is_rename) {
        return ERR_OK;
    }
    size_t more = to - source - 1; /* words of what qualifies it */
    for (size_t i = 0; i < more; i++) {
        if (!slice_equal_fold(tokens->all[source + i].text, tokens->all[to + 2 + i].text)) {
            return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                               "a table is not renamed into another schema");
        }
    }
    struct token *all = arena_calloc(arena, tokens->count + 1, sizeof(*all));
    if (all == NULL) {
        return errinfo_nomem(info);
    }
    memcpy(all, tokens->all, (to + 2) * sizeof(*all));
    memcpy(all + to + 2, tokens->all + to + 2 + more,
           (tokens->count - to - 2 - more) * sizeof(*all));
    *tokens = (struct trino_tokens){all, tokens->count - more};
    return ERR_OK;
}

static enum err plan_text(const struct trino_request *request, struct slice text,
                          const struct slice *values, size_t value_count, bool keeps_parameters,
                          struct arena *arena, struct trino_plan *plan, struct errinfo *info)
{
    bool is_show;
    struct trino_rewrite rewrite = {
        .text = text,
        .catalog = request->catalog.len > 0 ? request->catalog : SLICE("moat"),
        .values = values,
        .value_count = value_count,
        .keeps_parameters = keeps_parameters,
        .properties = SIZE_MAX,
        .arena = arena,
    };
    plan->origin = text;
    TRY(trino_tokens_read(text, arena, &rewrite.tokens, info));
    TRY(trino_show(request, &rewrite.tokens, arena, &is_show, &plan->text, info));
    if (is_show) {
        return ERR_OK;
    }
    bool is_empty = cut_no_data(&rewrite.tokens);
    TRY(unqualify_target(&rewrite.tokens, arena, info));
    if (is_create_table(&rewrite.tokens)) {
        plan->update_type = "CREATE TABLE"; /* also of one that is filled by a query */
        rewrite.properties = trino__find_properties(&rewrite, 2);
    }
    enum err err = trino_rewrite(&rewrite, info);
    buf_append_str(&rewrite.out, is_empty ? " LIMIT 0" : "");
    if (err == ERR_OK && !arena_slice(arena, buf_slice(&rewrite.out), &plan->text)) {
        err = errinfo_nomem(info);
    }
    plan->is_values = rewrite.tokens.count > 0 && token_is(&rewrite.tokens.all[0], "values");
    plan->moves = rewrite.moves;
    plan->move_count = rewrite.move_count;
    buf_fini(&rewrite.out);
    return err;
}

size_t trino_plan_position(const struct trino_plan *plan, size_t position)
{
    size_t from = SIZE_MAX;
    for (size_t i = 0; i < plan->move_count && plan->moves[i].to < position; i++) {
        const struct trino_move *move = &plan->moves[i];
        from = move->from + (move->is_copy ? position - 1 - move->to : 0);
    }
    return position == 0 || from > plan->origin.len ? 0 : from + 1;
}

/* The token of the origin that is there, or none. */
static struct slice token_at(struct slice origin, size_t position)
{
    struct scanner scanner;
    struct token token;
    scanner_init(&scanner, origin);
    while (scanner_next(&scanner, &token, NULL) == ERR_OK && token.kind != TOKEN_END) {
        if (token.offset + token.text.len >= position) {
            return token.text;
        }
    }
    return (struct slice){"", 0};
}

void trino_plan_error(const struct trino_plan *plan, struct errinfo *info)
{
    static const char near[] = "syntax error at or near \"";
    static const char end[] = "syntax error at end of input";
    bool is_near = strncmp(info->message, near, sizeof(near) - 1) == 0;
    info->position = trino_plan_position(plan, info->position);
    if (info->position == 0 || (!is_near && strcmp(info->message, end) != 0)) {
        return;
    }
    struct slice word = token_at(plan->origin, info->position);
    int len = word.len < WORD_BYTES_MAX ? (int)word.len : WORD_BYTES_MAX;
    while (len > 0 && (size_t)len < word.len && ((unsigned char)word.ptr[len] & 0xC0) == 0x80) {
        len--; /* not within a character */
    }
    if (word.len == 0) {
        (void)snprintf(info->message, sizeof(info->message), "%s", end);
    } else {
        (void)snprintf(info->message, sizeof(info->message), "%s%.*s\"", near, len, word.ptr);
    }
}

/* ---- prepared statements ---- */

static enum err plan_prepare(struct reader *reader)
{
    struct slice name;
    struct trino_plan ignored = {.update_type = NULL};
    TRY(take_name(reader, &name));
    if (!take(reader, "from") || next(reader)->kind == TOKEN_END) {
        return wrong(reader);
    }
    struct slice text = rest(reader);
    TRY(plan_text(reader->request, text, NULL, 0, true, reader->arena, &ignored, reader->info));
    reader->plan->update_type = "PREPARE";
    return add_pair(reader, "X-Trino-Added-Prepare", name, text);
}

static enum err plan_deallocate(struct reader *reader)
{
    struct slice name, text;
    struct buf encoded CLEANUP(buf_fini) = {0};
    (void)take(reader, "prepare");
    TRY(take_name(reader, &name));
    TRY(end(reader));
    TRY(find_prepared(reader, name, &text));
    trino_encode(&encoded, name);
    if (buf_failed(&encoded) || !arena_slice(reader->arena, buf_slice(&encoded), &name)) {
        return errinfo_nomem(reader->info);
    }
    reader->plan->update_type = "DEALLOCATE";
    add_header(reader->plan, "X-Trino-Deallocated-Prepare", name);
    return ERR_OK;
}

/* Expressions between commas, each as one in our dialect. */
static enum err read_values(struct reader *reader, struct slice **ret_values, size_t *ret_count)
{
    size_t from = reader->at;
    int depth = 0;
    *ret_values = arena_calloc(reader->arena, reader->tokens.count + 1, sizeof(**ret_values));
    if (*ret_values == NULL) {
        return errinfo_nomem(reader->info);
    }
    for (;; reader->at++) {
        const struct token *token = next(reader);
        bool opens = token_is_operator(token, "(") || token_is_operator(token, "[");
        bool closes = token_is_operator(token, ")") || token_is_operator(token, "]");
        depth += (int)opens - (int)closes;
        bool is_end = token->kind == TOKEN_END;
        if (depth < 0 || (!is_end && !(depth == 0 && token_is_operator(token, ",")))) {
            if (depth < 0) {
                return wrong(reader);
            }
            continue;
        }
        if (reader->at == from || depth != 0) {
            return wrong(reader);
        }
        struct trino_plan value = {.update_type = NULL};
        size_t begin = reader->tokens.all[from].offset;
        size_t stop = is_end ? reader->text.len : token->offset;
        TRY(plan_text(reader->request,
                      slice_trim((struct slice){reader->text.ptr + begin, stop - begin}), NULL, 0,
                      false, reader->arena, &value, reader->info));
        (*ret_values)[(*ret_count)++] = value.text;
        from = reader->at + 1;
        if (is_end) {
            return ERR_OK;
        }
    }
}

static enum err plan_statement(const struct trino_request *request, struct slice text,
                               const struct slice *values, size_t value_count, unsigned depth,
                               struct arena *arena, struct trino_plan *plan, struct errinfo *info);

static enum err plan_execute(struct reader *reader, unsigned depth)
{
    struct slice text;
    struct slice *values = NULL;
    size_t value_count = 0;
    if (take(reader, "immediate")) {
        if (next(reader)->kind != TOKEN_STRING) {
            return wrong(reader);
        }
        TRY(token_string(next(reader), reader->arena, &text, reader->info));
        reader->at++;
    } else {
        struct slice name;
        TRY(take_name(reader, &name));
        TRY(find_prepared(reader, name, &text));
    }
    if (take(reader, "using")) {
        TRY(read_values(reader, &values, &value_count));
    } else {
        TRY(end(reader));
    }
    return plan_statement(reader->request, text, values, value_count, depth + 1, reader->arena,
                          reader->plan, reader->info);
}

static enum err plan_described(struct reader *reader, bool is_input)
{
    struct slice name, text;
    struct trino_plan inner = {.update_type = NULL};
    TRY(take_name(reader, &name));
    TRY(end(reader));
    TRY(find_prepared(reader, name, &text));
    reader->plan->origin = text;
    TRY(plan_text(reader->request, text, NULL, 0, true, reader->arena, &inner, reader->info));
    reader->plan->moves = inner.moves;
    reader->plan->move_count = inner.move_count;
    reader->plan->describes = inner.text;
    reader->plan->is_input = is_input;
    return ERR_OK;
}

/* ---- the session ---- */

static enum err take_property(struct reader *reader, struct slice *ret_name)
{
    TRY(take_name(reader, ret_name));
    if (token_is_operator(next(reader), ".")) {
        struct slice property;
        reader->at++;
        TRY(take_name(reader, &property));
        char *both =
            arena_printf(reader->arena, "%.*s.%.*s", SLICE_ARGS(*ret_name), SLICE_ARGS(property));
        if (both == NULL) {
            return errinfo_nomem(reader->info);
        }
        *ret_name = slice_of(both);
    }
    return ERR_OK;
}

static enum err plan_set_session(struct reader *reader)
{
    struct slice name, value;
    struct web_setting setting;
    bool is_setting;
    if (token_is(next(reader), "authorization")) {
        return errinfo_set(reader->info, ERR_DENIED, "42501",
                           "a session is the person's who signed in");
    }
    TRY(take_property(reader, &name));
    if (!token_is_operator(next(reader), "=")) {
        return wrong(reader);
    }
    reader->at++;
    value = rest(reader);
    if (next(reader)->kind == TOKEN_STRING) {
        TRY(token_string(next(reader), reader->arena, &value, reader->info));
    }
    if (next(reader)->kind == TOKEN_END || reader->at + 1 != reader->tokens.count) {
        return wrong(reader);
    }
    struct trino_pair property = {name, value};
    TRY(trino_property(&property, &is_setting, &setting, reader->info));
    reader->plan->update_type = "SET SESSION";
    return add_pair(reader, "X-Trino-Set-Session", name, value);
}

static enum err plan_reset_session(struct reader *reader)
{
    struct slice name;
    if (take(reader, "authorization")) {
        TRY(end(reader));
        reader->plan->update_type = "RESET SESSION AUTHORIZATION";
        add_header(reader->plan, "X-Trino-Reset-Authorization-User", SLICE("true"));
        return ERR_OK;
    }
    TRY(take_property(reader, &name));
    TRY(end(reader));
    struct trino_pair property = {name, SLICE("")};
    struct web_setting setting;
    bool is_setting;
    TRY(trino_property(&property, &is_setting, &setting, reader->info));
    reader->plan->update_type = "RESET SESSION";
    add_header(reader->plan, "X-Trino-Clear-Session", name);
    return ERR_OK;
}

static enum err plan_use(struct reader *reader)
{
    struct slice names[2] = {SLICE(""), SLICE("")};
    TRY(take_name(reader, &names[1]));
    if (token_is_operator(next(reader), ".")) {
        reader->at++;
        names[0] = names[1];
        TRY(take_name(reader, &names[1]));
    }
    TRY(end(reader));
    struct buf use CLEANUP(buf_fini) = {0};
    buf_append_str(&use, "USE ");
    struct slice catalog = names[0].len > 0 ? names[0] : reader->request->catalog;
    if (catalog.len > 0) {
        sql_quote_name(&use, catalog);
        buf_append_char(&use, '.');
    }
    sql_quote_name(&use, names[1]);
    if (buf_failed(&use) || !arena_slice(reader->arena, buf_slice(&use), &reader->plan->text)) {
        return errinfo_nomem(reader->info);
    }
    reader->plan->update_type = "USE";
    if (names[0].len > 0) {
        add_header(reader->plan, "X-Trino-Set-Catalog", names[0]);
    }
    add_header(reader->plan, "X-Trino-Set-Schema", names[1]);
    return ERR_OK;
}

/* Roles are all of the person's, always: what would change that is refused. */
static enum err plan_set(struct reader *reader, bool *ret_is_known)
{
    *ret_is_known = true;
    if (take(reader, "session")) {
        return plan_set_session(reader);
    }
    if (take(reader, "role")) {
        if (!take(reader, "all")) {
            return errinfo_set(reader->info, ERR_UNSUPPORTED, NULL,
                               "a person has all of their roles: SET ROLE ALL");
        }
        reader->plan->update_type = "SET ROLE";
        add_header(reader->plan, "X-Trino-Set-Role", SLICE("system=ALL"));
        return end(reader);
    }
    if (take(reader, "time") && take(reader, "zone")) {
        struct slice zone = rest(reader);
        if (next(reader)->kind == TOKEN_STRING) {
            TRY(token_string(next(reader), reader->arena, &zone, reader->info));
        }
        reader->plan->update_type = "SET TIME ZONE";
        return add_pair(reader, "X-Trino-Set-Session", SLICE("time_zone_id"), zone);
    }
    if (take(reader, "path")) {
        reader->plan->update_type = "SET PATH";
        add_header(reader->plan, "X-Trino-Set-Path", rest(reader));
        return ERR_OK;
    }
    *ret_is_known = false;
    return ERR_OK;
}

/* ---- transactions ---- */

/* A transaction is what a client calls its statements: each sees its own snapshot, and what changes
 * something cannot be in one. */
static enum err plan_transaction(struct reader *reader, bool *ret_is_known)
{
    struct trino_plan *plan = reader->plan;
    *ret_is_known = true;
    if (take(reader, "start") && take(reader, "transaction")) {
        if (reader->request->transaction.len > 0) {
            return errinfo_set(reader->info, ERR_INVALID, "25001",
                               "nested transactions are not supported");
        }
        plan->update_type = "START TRANSACTION";
        add_header(plan, "X-Trino-Started-Transaction-Id", SLICE("read-only"));
        return ERR_OK;
    }
    const char *word = take(reader, "commit")     ? "COMMIT"
                       : take(reader, "rollback") ? "ROLLBACK"
                                                  : NULL;
    if (word == NULL) {
        *ret_is_known = false;
        return ERR_OK;
    }
    (void)take(reader, "work");
    TRY(end(reader));
    if (reader->request->transaction.len == 0) {
        return errinfo_set(reader->info, ERR_INVALID, "25P01", "there is no transaction");
    }
    plan->update_type = word;
    add_header(plan, "X-Trino-Clear-Transaction-Id", SLICE("true"));
    return ERR_OK;
}

static bool only_reads(const struct reader *reader)
{
    static const char *const words[] = {"select", "with",    "values",   "table",
                                        "show",   "explain", "describe", "desc"};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (token_is(next(reader), words[i])) {
            return true;
        }
    }
    return token_is_operator(next(reader), "(");
}

/* One of EXPLAIN's options; there is one form of a plan, and VALIDATE. */
static enum err take_explain_option(struct reader *reader, bool *is_validate)
{
    static const char *const refused[] = {"io", "json", "graphviz"};
    const struct token *option = next(reader);
    if (!take(reader, "type") && !take(reader, "format")) {
        return wrong(reader);
    }
    const struct token *value = next(reader);
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
        if (token_is(value, refused[i])) {
            (void)errinfo_set(reader->info, ERR_UNSUPPORTED, NULL, "EXPLAIN (%.*s %.*s)",
                              SLICE_ARGS(option->text), SLICE_ARGS(value->text));
            errinfo_hint(reader->info, "EXPLAIN and EXPLAIN ANALYZE give lines of text.");
            errinfo_position(reader->info, value->offset + 1);
            return ERR_UNSUPPORTED;
        }
    }
    *is_validate = *is_validate || token_is(value, "validate");
    bool is_known = take(reader, "logical") || take(reader, "distributed") ||
                    take(reader, "validate") || take(reader, "text");
    return is_known ? ERR_OK : wrong(reader);
}

/* (TYPE LOGICAL, FORMAT TEXT) */
static enum err take_explain_options(struct reader *reader, bool *ret_is_validate)
{
    size_t at = reader->at + 1;
    bool is_there =
        token_is_operator(next(reader), "(") && at < reader->tokens.count &&
        (token_is(&reader->tokens.all[at], "type") || token_is(&reader->tokens.all[at], "format"));
    *ret_is_validate = false;
    while (is_there) {
        reader->at++;
        TRY(take_explain_option(reader, ret_is_validate));
        is_there = token_is_operator(next(reader), ",");
        if (!is_there && !token_is_operator(next(reader), ")")) {
            return wrong(reader);
        }
        reader->at += !is_there;
    }
    return ERR_OK;
}

static enum err plan_explain(struct reader *reader, const struct slice *values, size_t value_count)
{
    bool is_validate = false;
    bool is_analyze = take(reader, "analyze");
    (void)take(reader, "verbose");
    TRY(take_explain_options(reader, &is_validate));
    if (is_validate && !only_reads(reader)) {
        return errinfo_set(reader->info, ERR_UNSUPPORTED, NULL,
                           "EXPLAIN (TYPE VALIDATE) of a statement that is no query");
    }
    reader->plan->is_explain = !is_validate;
    struct trino_plan inner = {.update_type = NULL};
    enum err err = plan_text(reader->request, rest(reader), values, value_count, false,
                             reader->arena, &inner, reader->info);
    size_t before = (size_t)(rest(reader).ptr - reader->text.ptr);
    if (err != ERR_OK) {
        bool has_place = reader->info != NULL && reader->info->position > 0;
        errinfo_position(reader->info, has_place ? reader->info->position + before : 0);
        return err;
    }
    struct buf whole CLEANUP(buf_fini) = {0};
    buf_append_str(&whole, is_validate  ? "SELECT count(*) = 0 AS \"Valid\" FROM (SELECT 1 FROM ("
                           : is_analyze ? "EXPLAIN ANALYZE "
                                        : "EXPLAIN ");
    for (size_t i = 0; i < inner.move_count; i++) {
        inner.moves[i].to += whole.len;
        inner.moves[i].from += before;
    }
    reader->plan->moves = inner.moves;
    reader->plan->move_count = inner.move_count;
    buf_append_slice(&whole, inner.text);
    buf_append_str(&whole, is_validate ? "\n) LIMIT 0)" : "");
    return !buf_failed(&whole) && arena_slice(reader->arena, buf_slice(&whole), &reader->plan->text)
               ? ERR_OK
               : errinfo_nomem(reader->info);
}

static enum err plan_statement(const struct trino_request *request, struct slice text,
                               const struct slice *values, size_t value_count, unsigned depth,
                               struct arena *arena, struct trino_plan *plan, struct errinfo *info)
{
    struct reader reader = {
        .request = request, .text = text, .arena = arena, .plan = plan, .info = info};
    bool is_known = true;
    plan->origin = text;
    if (depth > 4) {
        return errinfo_set(info, ERR_LIMIT, "54001", "the statement is nested too deeply");
    }
    TRY(trino_tokens_read(text, arena, &reader.tokens, info));
    if (take(&reader, "prepare")) {
        return plan_prepare(&reader);
    }
    if (take(&reader, "deallocate")) {
        return plan_deallocate(&reader);
    }
    if (take(&reader, "execute")) {
        return plan_execute(&reader, depth);
    }
    if (take(&reader, "use")) {
        return plan_use(&reader);
    }
    if (take(&reader, "set")) {
        TRY(plan_set(&reader, &is_known));
        if (is_known) {
            return ERR_OK;
        }
    }
    reader.at = 0;
    TRY(plan_transaction(&reader, &is_known));
    if (is_known) {
        return ERR_OK;
    }
    reader.at = 0;
    if (take(&reader, "reset") && take(&reader, "session")) {
        return plan_reset_session(&reader);
    }
    reader.at = 0;
    if (take(&reader, "describe") && (take(&reader, "input") || take(&reader, "output"))) {
        return plan_described(&reader, token_is(&reader.tokens.all[1], "input"));
    }
    reader.at = 0;
    if (request->transaction.len > 0 && !only_reads(&reader)) {
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL, "a transaction of this protocol only reads");
        errinfo_hint(info, "Run what changes something outside of it: autocommit.");
        return ERR_UNSUPPORTED;
    }
    if (take(&reader, "explain")) {
        return plan_explain(&reader, values, value_count);
    }
    return plan_text(request, text, values, value_count, false, arena, plan, info);
}

enum err trino_plan(const struct trino_request *request, struct slice statement,
                    struct arena *arena, struct trino_plan *ret_plan, struct errinfo *info)
{
    struct slice text = statement;
    struct slice more;
    *ret_plan = (struct trino_plan){.update_type = NULL};
    TRY(sql_check_text(text, text.len, info));
    TRY(sql_split(&text, &statement, NULL, info));
    TRY(sql_split(&text, &more, NULL, info));
    if (statement.len == 0 || more.len > 0) {
        return errinfo_set(info, ERR_SYNTAX, "42601", "a request is one statement");
    }
    return plan_statement(request, statement, NULL, 0, 0, arena, ret_plan, info);
}
