/* pg_cancel_backend(pid) and pg_terminate_backend(pid).
 *
 * The engine can stop nobody, and must not be able to. So a SELECT whose one column is a call of
 * these is run in two parts: first for the numbers, as any other statement, then for what becomes
 * of each, whose answers are the rows. That takes the calls that are written in practice: of a
 * number, a parameter, or one of each row of pg_stat_activity. */
#include "base/json.h"
#include "query/run/run_int.h"
#include "sql/scan.h"

#define SIGNALS_MAX 100000u

static const struct {
    const char *name;
    enum client_signal signal;
} functions[] = {{"pg_cancel_backend", CLIENT_CANCEL}, {"pg_terminate_backend", CLIENT_TERMINATE}};

struct call {
    size_t function;
    struct slice argument;
    struct slice rest; /* behind the closing bracket */
    struct slice name; /* of the column */
    bool has_name;     /* it is written in `rest` */
};

struct reader {
    struct scanner scanner;
    struct token token;
    struct slice text;
};

static bool step(struct reader *reader)
{
    return scanner_next(&reader->scanner, &reader->token, NULL) == ERR_OK &&
           reader->token.kind != TOKEN_END;
}

static bool is_bracket(const struct token *token, char bracket)
{
    return token->kind == TOKEN_OPERATOR && token->text.len == 1 && token->text.ptr[0] == bracket;
}

static bool find_function(const struct token *token, size_t *ret_function)
{
    for (size_t i = 0; i < ARRAY_COUNT(functions); i++) {
        if (token_is(token, functions[i].name)) {
            *ret_function = i;
            return true;
        }
    }
    return false;
}

/* From the opening bracket to its end; a comma between would be a second argument. */
static bool read_argument(struct reader *reader, struct call *call, bool *ret_has_two)
{
    size_t from = reader->token.offset + 1;
    unsigned depth = 1;
    *ret_has_two = false;
    while (depth > 0) {
        if (!step(reader)) {
            return false;
        }
        bool opens = is_bracket(&reader->token, '(') || is_bracket(&reader->token, '[');
        bool closes = is_bracket(&reader->token, ')') || is_bracket(&reader->token, ']');
        *ret_has_two = *ret_has_two || (depth == 1 && is_bracket(&reader->token, ','));
        depth = depth + (opens ? 1 : 0) - (closes ? 1 : 0);
    }
    size_t to = reader->token.offset;
    call->argument = slice_trim((struct slice){reader->text.ptr + from, to - from});
    call->rest = (struct slice){reader->text.ptr + to + 1, reader->text.len - to - 1};
    return true;
}

/* What may stand behind the call: nothing, a name, or the rest of a query. */
static bool read_rest(struct reader *reader, struct arena *arena, struct call *call)
{
    static const char *const clauses[] = {"from",  "where",  "group", "having", "order",
                                          "limit", "offset", "fetch", "union"};
    call->name = slice_of(functions[call->function].name);
    if (!step(reader) || reader->token.kind == TOKEN_SEMICOLON) {
        return true;
    }
    for (size_t i = 0; i < ARRAY_COUNT(clauses); i++) {
        if (token_is(&reader->token, clauses[i])) {
            return true;
        }
    }
    if (token_is(&reader->token, "as") && !step(reader)) {
        return false;
    }
    call->has_name = true;
    bool is_name = reader->token.kind == TOKEN_WORD || reader->token.kind == TOKEN_QUOTED;
    return is_name && token_identifier(&reader->token, arena, &call->name) &&
           (!step(reader) || !is_bracket(&reader->token, ','));
}

static enum err not_so(const struct call *call, struct errinfo *info)
{
    const char *name = functions[call->function].name;
    (void)errinfo_set(info, ERR_UNSUPPORTED, NULL, "\"%s\" can only be the one column of a SELECT",
                      name);
    errinfo_hint(info, "SELECT %s(pid) FROM pg_stat_activity WHERE ...; it takes a number only.",
                 name);
    return ERR_UNSUPPORTED;
}

/* True if the statement is such a call, or tries to be: then an error says what is wrong. */
static bool parse(struct slice text, struct arena *arena, struct call *ret_call, enum err *ret_err,
                  struct errinfo *info)
{
    struct reader reader = {.text = text};
    struct call call = {0};
    bool has_two = false;
    *ret_err = ERR_OK;
    scanner_init(&reader.scanner, text);
    if (!step(&reader) || !token_is(&reader.token, "select") || !step(&reader)) {
        return false;
    }
    if (token_is(&reader.token, "pg_catalog") && (!step(&reader) || !step(&reader))) {
        return false;
    }
    if (!find_function(&reader.token, &call.function) || !step(&reader) ||
        !is_bracket(&reader.token, '(')) {
        return false;
    }
    if (!read_argument(&reader, &call, &has_two) || has_two || call.argument.len == 0 ||
        !read_rest(&reader, arena, &call)) {
        *ret_err = not_so(&call, info);
    }
    *ret_call = call;
    return true;
}

/* The numbers, by the same statement. */
static enum err rewrite(const struct call *call, struct arena *arena, struct slice *ret_text,
                        struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    /* A line of its own: it may end in a comment. */
    buf_printf(&text, "SELECT CAST((%.*s\n) AS INTEGER)", SLICE_ARGS(call->argument));
    if (!call->has_name) {
        buf_append_str(&text, " AS ");
        sql_quote_name(&text, call->name);
    }
    buf_append_slice(&text, call->rest);
    return !buf_failed(&text) && arena_slice(arena, buf_slice(&text), ret_text)
               ? ERR_OK
               : errinfo_nomem(info);
}

/* ---- doing it ---- */

/* Who stopped whom is in the trail by itself: the statement need not name them. */
static enum err audit(struct query *query, const struct call *call, int64_t id, struct slice user,
                      struct errinfo *info)
{
    char *what = arena_printf(query->arena, "SELECT %s(%lld) -- session of \"%.*s\"",
                              functions[call->function].name, (long long)id, SLICE_ARGS(user));
    if (what == NULL) {
        return errinfo_nomem(info);
    }
    struct audit_record record = {.kind = AUDIT_ADMIN,
                                  .query_id = slice_of(query->id),
                                  .who = query->session->who,
                                  .statement = slice_of(what),
                                  .command =
                                      call->function == 0 ? SLICE("CANCEL") : SLICE("TERMINATE")};
    return audit_write(query->session->warehouse->audit, &record, info);
}

static void print_answer(const struct call *call, const char *answer, struct buf *lines)
{
    buf_append_char(lines, '{');
    json_write_string(lines, call->name);
    buf_printf(lines, ":%s}\n", answer);
}

static enum err signal_one(struct query *query, const struct call *call, int64_t id,
                           struct buf *lines, struct errinfo *info)
{
    struct clients *clients = &query->session->warehouse->clients;
    struct slice user;
    bool is_done;
    TRY(clients_signal(clients, query->session->who, id, functions[call->function].signal,
                       query->arena, &is_done, &user, info));
    if (is_done && !slice_equal(user, identity_subject(query->session->who))) {
        TRY(audit(query, call, id, user, info));
    }
    print_answer(call, is_done ? "true" : "false", lines);
    return ERR_OK;
}

static enum err signal_batch(struct query *query, const struct call *call,
                             const struct ArrowArray *batch, struct buf *lines,
                             struct errinfo *info)
{
    const struct ArrowArray *column = batch->children[0];
    const uint8_t *valid = column->buffers[0];
    const int32_t *ids = column->buffers[1];
    for (int64_t i = 0; i < batch->length; i++) {
        int64_t at = column->offset + i;
        bool is_null = valid != NULL && (valid[at / 8] >> (at % 8) & 1) == 0;
        if (is_null) {
            print_answer(call, "null", lines);
        } else {
            TRY(signal_one(query, call, ids[at], lines, info));
        }
    }
    return ERR_OK;
}

static enum err signal_all(struct query *query, const struct call *call, struct query *numbers,
                           struct buf *lines, struct errinfo *info)
{
    enum err err = ERR_OK;
    /* A UNION behind the call may have made another type of it. */
    if (query_column_count(numbers) != 1 ||
        !slice_equal(query_column(numbers, 0).type, SLICE("INTEGER"))) {
        return not_so(call, info);
    }
    while (err == ERR_OK) {
        struct ArrowArray batch = {0};
        TRY(query_next(numbers, &batch, info));
        if (batch.release == NULL) {
            break;
        }
        if (query_rows(numbers) > SIGNALS_MAX) {
            err = errinfo_set(info, ERR_LIMIT, "54000", "at most %u numbers at once", SIGNALS_MAX);
        } else {
            err = signal_batch(query, call, &batch, lines, info);
        }
        batch.release(&batch);
    }
    return err;
}

static enum err run(struct query *query, const struct call *call,
                    const struct query_parameter *parameters, size_t parameter_count,
                    struct errinfo *info)
{
    struct session *other CLEANUP(session_cleanup) = NULL;
    struct query *numbers CLEANUP(query_cleanup) = NULL;
    struct buf lines CLEANUP(buf_fini) = {0};
    struct slice text;
    TRY(rewrite(call, query->arena, &text, info));
    TRY(session_fork(query->session, &other, info));
    enum err err = query_open(other, text, parameters, parameter_count, &numbers, info);
    if (err != ERR_OK) {
        errinfo_position(info, 0); /* it would be of our text */
        return err;
    }
    TRY(signal_all(query, call, numbers, &lines, info));
    if (buf_failed(&lines)) {
        return errinfo_nomem(info);
    }
    struct relation_column column = {1, call->name, call->name, SLICE("BOOLEAN")};
    return query_run_rows(query, &column, 1, buf_slice(&lines), info);
}

enum err run_signal(struct query *query, const struct query_parameter *parameters,
                    size_t parameter_count, bool *ret_is_one, struct errinfo *info)
{
    struct call call;
    enum err err;
    *ret_is_one = parse(query->statement, query->arena, &call, &err, info);
    if (!*ret_is_one) {
        return ERR_OK;
    }
    TRY(err);
    return run(query, &call, parameters, parameter_count, info);
}

enum err signal_describe(struct slice statement, struct arena *arena, struct slice *ret_numbers,
                         struct slice *ret_name, bool *ret_is_one, struct errinfo *info)
{
    struct call call;
    enum err err;
    *ret_is_one = parse(statement, arena, &call, &err, info);
    if (!*ret_is_one) {
        return ERR_OK;
    }
    TRY(err);
    *ret_name = call.name;
    return rewrite(&call, arena, ret_numbers, info);
}
