/* Prepared statements: a text, what it would give and need, and what is bound to it. The text is
 * planned anew each time, as the person is then, and is in the plan cache like any other. */
#include "arrow/ipc.h"
#include "base/mem.h"
#include "sql/scan.h"
#include "sql/statement.h"
#include "wire/flight/flight_int.h"

static void free_prepared(struct flight_prepared *prepared)
{
    arena_free(prepared->arena);
    mem_free(prepared->statement);
    mem_free(prepared);
}

struct flight_prepared *flight__prepared_find(struct flight_session *session, struct slice handle)
{
    struct flight_prepared *found = NULL;
    pthread_mutex_lock(&session->lock);
    for (struct flight_prepared *p = session->prepared; p != NULL && found == NULL; p = p->next) {
        if (handle.len == FLIGHT_ID_BYTES && memcmp(p->id.bytes, handle.ptr, handle.len) == 0) {
            found = p;
            p->refs++;
        }
    }
    pthread_mutex_unlock(&session->lock);
    return found;
}

void flight__prepared_unref(struct flight_session *session, struct flight_prepared *prepared)
{
    pthread_mutex_lock(&session->lock);
    bool is_last = --prepared->refs == 0;
    pthread_mutex_unlock(&session->lock);
    if (is_last) {
        free_prepared(prepared);
    }
}

void flight__prepared_close_all(struct flight_session *session)
{
    while (session->prepared != NULL) {
        struct flight_prepared *prepared = session->prepared;
        session->prepared = prepared->next;
        free_prepared(prepared);
    }
}

/* ---- what a statement would give ---- */

static enum err put_schema(struct flight_call *call, const struct query_column *columns,
                           size_t count, struct buf *out)
{
    struct ArrowSchema *schema;
    TRY(flight__schema_of(call->arena, columns, count, &schema, &call->info));
    return ipc_write_schema(schema, out, &call->info);
}

/* "1", "2" ...: parameters have no names. */
static enum err put_parameters(struct flight_call *call, const struct slice *types, size_t count,
                               struct buf *out)
{
    struct query_column *columns = arena_calloc(call->arena, count + 1, sizeof(*columns));
    if (columns == NULL) {
        return errinfo_nomem(&call->info);
    }
    for (size_t i = 0; i < count; i++) {
        char *name = arena_printf(call->arena, "%zu", i + 1);
        if (name == NULL) {
            return errinfo_nomem(&call->info);
        }
        bool is_known = types[i].len > 0 && !slice_equal(types[i], SLICE("UNKNOWN"));
        columns[i] = (struct query_column){slice_of(name), is_known ? types[i] : SLICE("VARCHAR")};
    }
    return put_schema(call, columns, count, out);
}

static enum err describe_in(struct flight_call *call, struct session *session, struct slice text,
                            struct buf *schema, struct buf *parameters)
{
    struct query_column *columns;
    struct slice *types;
    size_t count, type_count;
    TRY(session_describe(session, text, call->arena, &columns, &count, &types, &type_count,
                         &call->info));
    TRY(put_schema(call, columns, count, schema));
    return parameters == NULL ? ERR_OK : put_parameters(call, types, type_count, parameters);
}

static bool can_describe(enum statement_kind kind)
{
    return kind == STATEMENT_QUERY || kind == STATEMENT_INSERT || kind == STATEMENT_UPDATE ||
           kind == STATEMENT_DELETE;
}

enum err flight__describe(struct flight_call *call, const struct flight_statement *statement,
                          struct buf *schema, struct buf *parameters)
{
    struct flight_session *session = call->session;
    struct statement parsed;
    TRY(flight__transaction_check(session, statement->transaction, &call->info));
    TRY(statement_parse(statement->text, call->arena, &parsed, &call->info));
    if (!can_describe(parsed.kind)) {
        TRY(put_schema(call, NULL, 0, schema));
        return parameters == NULL ? ERR_OK : put_schema(call, NULL, 0, parameters);
    }
    pthread_mutex_lock(&session->lock);
    bool is_apart = statement->transaction.len == 0 && !session->has_temps;
    pthread_mutex_unlock(&session->lock);
    struct session *own CLEANUP(session_cleanup) = NULL;
    if (is_apart) {
        TRY(flight__apart(session, &own, &call->info));
        return describe_in(call, own, parsed.text, schema, parameters);
    }
    TRY(flight__turn_take(session, NULL, &call->info));
    enum err err = flight__main(session, &call->info);
    err = err != ERR_OK ? err : session_fork(session->main, &own, &call->info);
    err = err != ERR_OK ? err : describe_in(call, own, parsed.text, schema, parameters);
    session_close(TAKE(own));
    flight__turn_give(session);
    return err;
}

/* ? as $1, $2 ...: statements that Moat takes apart itself know numbers only. Where both are, the
 * text stays as it is, and is refused. */
enum err flight__number_parameters(struct arena *arena, struct slice *text, struct errinfo *info)
{
    struct buf out CLEANUP(buf_fini) = {0};
    struct scanner scanner;
    struct token token;
    size_t done = 0, count = 0;
    scanner_init(&scanner, *text);
    for (;;) {
        TRY(scanner_next(&scanner, &token, info));
        if (token.kind == TOKEN_END) {
            break;
        }
        if (token.kind == TOKEN_PARAMETER && token.text.ptr[0] != '?') {
            return ERR_OK;
        }
        if (token.kind == TOKEN_PARAMETER) {
            buf_append(&out, text->ptr + done, token.offset - done);
            buf_printf(&out, "$%zu", ++count);
            done = token.offset + token.text.len;
        }
    }
    buf_append(&out, text->ptr + done, text->len - done);
    return count == 0                                                       ? ERR_OK
           : !buf_failed(&out) && arena_slice(arena, buf_slice(&out), text) ? ERR_OK
                                                                            : errinfo_nomem(info);
}

/* ---- the actions ---- */

static enum err keep(struct flight_call *call, const struct flight_statement *statement,
                     struct flight_id *ret_id)
{
    struct flight_session *session = call->session;
    struct flight_prepared *prepared = mem_calloc(1, sizeof(*prepared));
    if (prepared == NULL) {
        return errinfo_nomem(&call->info);
    }
    prepared->refs = 1;
    prepared->has_transaction = statement->transaction.len > 0;
    prepared->statement = mem_slicedup(statement->text);
    if (prepared->statement == NULL || !flight__id_new(&prepared->id)) {
        free_prepared(prepared);
        return errinfo_nomem(&call->info);
    }
    *ret_id = prepared->id;
    pthread_mutex_lock(&session->lock);
    bool is_full = session->prepared_count >= FLIGHT_PREPARED_MAX;
    if (!is_full) {
        prepared->next = session->prepared;
        session->prepared = prepared;
        session->prepared_count++;
    }
    pthread_mutex_unlock(&session->lock);
    if (is_full) {
        free_prepared(prepared);
        (void)errinfo_set(&call->info, ERR_LIMIT, "53400",
                          "a session has at most %d prepared statements", FLIGHT_PREPARED_MAX);
        errinfo_hint(&call->info, "Close some.");
        return ERR_LIMIT;
    }
    return ERR_OK;
}

enum err flight__prepare(struct flight_call *call, struct slice request, struct buf *out)
{
    struct flight_statement statement = {.text = SLICE("")};
    struct flight_id id;
    struct buf schema CLEANUP(buf_fini) = {0};
    struct buf parameters CLEANUP(buf_fini) = {0};
    struct proto_want wants[] = {{1, &statement.text, NULL, NULL},
                                 {2, &statement.transaction, NULL, NULL}};
    if (!proto_read(request, wants, ARRAY_COUNT(wants))) {
        return flight__wrong(&call->info, "the request is no message of Flight SQL");
    }
    TRY(flight__number_parameters(call->arena, &statement.text, &call->info));
    TRY(flight__describe(call, &statement, &schema, &parameters));
    TRY(keep(call, &statement, &id));
    proto_put_bytes(out, 1, (struct slice){(const char *)id.bytes, sizeof(id.bytes)});
    proto_put_bytes(out, 2, buf_slice(&schema));
    proto_put_bytes(out, 3, buf_slice(&parameters));
    return buf_failed(out) ? errinfo_nomem(&call->info) : ERR_OK;
}

enum err flight__unprepare(struct flight_call *call, struct slice request)
{
    struct flight_session *session = call->session;
    struct slice handle = {"", 0};
    struct proto_want wants[] = {{1, &handle, NULL, NULL}};
    if (!proto_read(request, wants, ARRAY_COUNT(wants))) {
        return flight__wrong(&call->info, "the request is no message of Flight SQL");
    }
    struct flight_prepared *found = flight__prepared_find(session, handle);
    if (found == NULL) {
        return errinfo_set(&call->info, ERR_NOT_FOUND, "26000",
                           "there is no such prepared statement");
    }
    bool was_listed = false;
    pthread_mutex_lock(&session->lock);
    for (struct flight_prepared **at = &session->prepared; *at != NULL && !was_listed;) {
        if (*at == found) {
            *at = found->next;
            session->prepared_count--;
            was_listed = true;
        } else {
            at = &(*at)->next;
        }
    }
    pthread_mutex_unlock(&session->lock);
    if (was_listed) {
        flight__prepared_unref(session, found);
    }
    flight__prepared_unref(session, found);
    return ERR_OK;
}
