/* DoAction: prepared statements, transactions, cancelling, options of the session. */
#include "base/hash.h"
#include "wire/flight/flight_int.h"
#include "wire/flight/option.h"

/* ---- transactions ---- */

static enum err begin_transaction(struct flight_call *call, struct slice request, struct buf *out)
{
    struct flight_session *session = call->session;
    struct flight_id id;
    (void)request;
    if (!flight__id_new(&id)) {
        return errinfo_set(&call->info, ERR_INTERNAL, NULL, "there is no randomness");
    }
    TRY(flight__turn_take(session, NULL, &call->info));
    enum err err = flight__main(session, &call->info);
    if (err == ERR_OK && session->has_transaction) {
        err = errinfo_set(&call->info, ERR_INVALID, "25001",
                          "the session has a transaction open: it has one at a time");
        errinfo_hint(&call->info, "End it, or sign in once more for another session.");
    }
    err = err != ERR_OK ? err : session_check(session->main, &call->info);
    err = err != ERR_OK ? err : session_begin(session->main, &call->info);
    if (err == ERR_OK) {
        pthread_mutex_lock(&session->lock);
        session->transaction = id;
        session->has_transaction = true;
        session->has_failed = false;
        pthread_mutex_unlock(&session->lock);
        proto_put_bytes(out, 1, (struct slice){(const char *)id.bytes, sizeof(id.bytes)});
    }
    flight__turn_give(session);
    return err;
}

static enum err end_block(struct flight_call *call, bool is_commit)
{
    struct session *main = call->session->main;
    struct query *query;
    if (call->session->main_run != NULL) {
        return errinfo_set(&call->info, ERR_BUSY, "55006",
                           "rows of the transaction's last change are still read");
    }
    TRY(session_check(main, &call->info));
    bool has_failed = is_commit && call->session->has_failed;
    is_commit = is_commit && !has_failed;
    if (session_has_changes(main)) {
        TRY(query_open(main, is_commit ? SLICE("COMMIT") : SLICE("ROLLBACK"), NULL, 0, &query,
                       &call->info));
        query_close(query);
    } else {
        session_end(main, is_commit);
    }
    return has_failed ? errinfo_set(&call->info, ERR_BUSY, "40001",
                                    "a statement of the transaction failed: it is rolled back")
                      : ERR_OK;
}

static enum err end_transaction(struct flight_call *call, struct slice request, struct buf *out)
{
    struct flight_session *session = call->session;
    struct slice id = {"", 0};
    uint64_t action = 0;
    struct proto_want wants[] = {{1, &id, NULL, NULL}, {2, NULL, &action, NULL}};
    (void)out;
    if (!proto_read(request, wants, ARRAY_COUNT(wants)) || action < 1 || action > 2) {
        return flight__wrong(&call->info, "the request is no message of Flight SQL");
    }
    TRY(flight__turn_take(session, NULL, &call->info));
    enum err err = id.len == 0 ? errinfo_set(&call->info, ERR_NOT_FOUND, "25P01",
                                             "there is no such transaction")
                               : flight__transaction_check(session, id, &call->info);
    if (err == ERR_OK) {
        err = end_block(call, action == 1);
        pthread_mutex_lock(&session->lock);
        session->has_transaction = err == ERR_BUSY && strcmp(call->info.sqlstate, "55006") == 0;
        pthread_mutex_unlock(&session->lock);
    }
    flight__turn_give(session);
    return err;
}

/* A savepoint's id is the transaction's with a name behind it. */
static enum err use_savepoint(struct flight_call *call, struct slice transaction,
                              enum session_savepoint which, struct slice name)
{
    struct flight_session *session = call->session;
    TRY(flight__turn_take(session, NULL, &call->info));
    enum err err =
        transaction.len == 0
            ? errinfo_set(&call->info, ERR_NOT_FOUND, "25P01", "there is no such transaction")
            : flight__transaction_check(session, transaction, &call->info);
    err = err != ERR_OK ? err : session_check(session->main, &call->info);
    err = err != ERR_OK ? err : session_use_savepoint(session->main, which, name, &call->info);
    flight__turn_give(session);
    return err;
}

static enum err begin_savepoint(struct flight_call *call, struct slice request, struct buf *out)
{
    struct slice transaction = {"", 0}, name = {"", 0};
    struct proto_want wants[] = {{1, &transaction, NULL, NULL}, {2, &name, NULL, NULL}};
    if (!proto_read(request, wants, ARRAY_COUNT(wants)) || name.len == 0) {
        return flight__wrong(&call->info, "the request is no message of Flight SQL");
    }
    TRY(use_savepoint(call, transaction, SESSION_SAVEPOINT_SET, name));
    proto_put_head(out, 1, transaction.len + name.len);
    buf_append_slice(out, transaction);
    buf_append_slice(out, name);
    return ERR_OK;
}

static enum err end_savepoint(struct flight_call *call, struct slice request, struct buf *out)
{
    struct slice id = {"", 0};
    uint64_t action = 0;
    struct proto_want wants[] = {{1, &id, NULL, NULL}, {2, NULL, &action, NULL}};
    (void)out;
    if (!proto_read(request, wants, ARRAY_COUNT(wants)) || action < 1 || action > 2 ||
        id.len <= FLIGHT_ID_BYTES) {
        return flight__wrong(&call->info, "the request is no message of Flight SQL");
    }
    return use_savepoint(call, (struct slice){id.ptr, FLIGHT_ID_BYTES},
                         action == 1 ? SESSION_SAVEPOINT_RELEASE : SESSION_SAVEPOINT_ROLLBACK,
                         (struct slice){id.ptr + FLIGHT_ID_BYTES, id.len - FLIGHT_ID_BYTES});
}

/* ---- cancelling ---- */

enum {
    CANCEL_CANCELLED = 1,
    CANCEL_NOT_CANCELLABLE = 3
};

/* The run of a ticket of a FlightInfo, if there is one. */
static enum err cancel_info(struct flight_call *call, struct slice info, uint64_t *ret_status)
{
    struct slice endpoint = {"", 0}, outer = {"", 0}, ticket = {"", 0}, what;
    enum flight_ticket_kind kind;
    struct flight_id id;
    struct proto_want in_info[] = {{3, &endpoint, NULL, NULL}};
    struct proto_want in_endpoint[] = {{1, &outer, NULL, NULL}};
    struct proto_want in_ticket[] = {{1, &ticket, NULL, NULL}};
    if (!proto_read(info, in_info, 1) || !proto_read(endpoint, in_endpoint, 1) ||
        !proto_read(outer, in_ticket, 1)) {
        return flight__wrong(&call->info, "the request has no FlightInfo");
    }
    TRY(flight__ticket_read(call->session, ticket, &kind, &what, &call->info));
    *ret_status = CANCEL_NOT_CANCELLABLE;
    if (kind != FLIGHT_TICKET_RUN || what.len != sizeof(id.bytes)) {
        return ERR_OK;
    }
    memcpy(id.bytes, what.ptr, sizeof(id.bytes));
    struct flight_run *run CLEANUP(flight_run_cleanup) =
        flight__run_find(call->session, &id, false);
    if (run != NULL) {
        flight__run_stop(run);
        flight__run_forget(run);
        *ret_status = CANCEL_CANCELLED;
    }
    return ERR_OK;
}

static enum err cancel(struct flight_call *call, struct slice request, struct buf *out)
{
    struct slice info = {"", 0};
    uint64_t status;
    struct proto_want wants[] = {{1, &info, NULL, NULL}};
    if (!proto_read(request, wants, ARRAY_COUNT(wants))) {
        return flight__wrong(&call->info, "the request is no message of Flight");
    }
    TRY(cancel_info(call, info, &status));
    proto_put_varint(out, 1, status);
    return ERR_OK;
}

/* ---- the table ---- */

static enum err close_session(struct flight_call *call, struct slice request, struct buf *out)
{
    (void)request;
    flight__session_end(call->session);
    proto_put_varint(out, 1, 1); /* CLOSED */
    return ERR_OK;
}

static enum err unprepare(struct flight_call *call, struct slice request, struct buf *out)
{
    (void)out;
    return flight__unprepare(call, request);
}

static const struct action {
    const char *name;
    const char *description;
    enum err (*fn)(struct flight_call *call, struct slice request, struct buf *out);
    const char *answer; /* in an Any of that name; NULL: as it is; "": none */
} actions[] = {
    {"CreatePreparedStatement", "Prepares a statement.", flight__prepare,
     "ActionCreatePreparedStatementResult"},
    {"ClosePreparedStatement", "Forgets a prepared statement.", unprepare, ""},
    {"BeginTransaction", "Begins the session's transaction.", begin_transaction,
     "ActionBeginTransactionResult"},
    {"EndTransaction", "Commits or rolls back.", end_transaction, ""},
    {"BeginSavepoint", "Sets a savepoint.", begin_savepoint, "ActionBeginSavepointResult"},
    {"EndSavepoint", "Releases a savepoint, or goes back to it.", end_savepoint, ""},
    {"CancelQuery", "Stops a statement.", cancel, "ActionCancelQueryResult"},
    {"CancelFlightInfo", "Stops a statement.", cancel, NULL},
    {"SetSessionOptions", "Sets options of the session.", flight__set_options, NULL},
    {"GetSessionOptions", "Says the session's options.", flight__get_options, NULL},
    {"CloseSession", "Ends the session and its token.", close_session, NULL},
};

/* Requests of Flight SQL come in an Any, those of Flight as they are. */
static enum err read_request(struct flight_call *call, const struct action *action,
                             struct slice body, struct slice *ret_request)
{
    struct flight_command command;
    *ret_request = body;
    if (action->answer == NULL) {
        return ERR_OK;
    }
    TRY(flight__command_read(body, &command, &call->info));
    *ret_request = command.body;
    return ERR_OK;
}

static enum err run_action(struct flight_call *call, const struct action *action, struct slice body)
{
    struct buf answer CLEANUP(buf_fini) = {0};
    struct buf any CLEANUP(buf_fini) = {0};
    struct buf out CLEANUP(buf_fini) = {0};
    struct buf url CLEANUP(buf_fini) = {0};
    struct slice request;
    TRY(read_request(call, action, body, &request));
    TRY(action->fn(call, request, &answer));
    if (action->answer != NULL && action->answer[0] == '\0') {
        return ERR_OK;
    }
    if (action->answer != NULL) {
        buf_printf(&url, "type.googleapis.com/arrow.flight.protocol.sql.%s", action->answer);
        proto_put_bytes(&any, 1, buf_slice(&url));
        proto_put_bytes(&any, 2, buf_slice(&answer));
    }
    proto_put_bytes(&out, 1, buf_slice(action->answer == NULL ? &answer : &any));
    if (buf_failed(&answer) || buf_failed(&any) || buf_failed(&out)) {
        return errinfo_nomem(&call->info);
    }
    return flight__reply(call, &out);
}

static enum err do_action(struct flight_call *call)
{
    struct buf message CLEANUP(buf_fini) = {0};
    struct slice type = {"", 0}, body = {"", 0};
    TRY(flight__read_one(call, &message));
    struct proto_want wants[] = {{1, &type, NULL, NULL}, {2, &body, NULL, NULL}};
    if (!proto_read(buf_slice(&message), wants, ARRAY_COUNT(wants))) {
        return flight__wrong(&call->info, "the request is no action");
    }
    for (size_t i = 0; i < ARRAY_COUNT(actions); i++) {
        if (slice_equal(type, slice_of(actions[i].name))) {
            return run_action(call, &actions[i], body);
        }
    }
    return errinfo_set(&call->info, ERR_UNSUPPORTED, NULL, "the action \"%.*s\" is not there",
                       SLICE_ARGS(type));
}

void flight__do_action(void *context, struct grpc_call *grpc)
{
    struct flight_call call;
    enum err err = flight__begin(&call, context, grpc);
    err = err != ERR_OK ? err : do_action(&call);
    flight__finish(&call, err);
    flight__end(&call);
}

void flight__list_actions(void *context, struct grpc_call *grpc)
{
    struct flight_call call;
    enum err err = flight__begin(&call, context, grpc);
    for (size_t i = 0; i < ARRAY_COUNT(actions) && err == ERR_OK; i++) {
        struct buf out CLEANUP(buf_fini) = {0};
        proto_put_bytes(&out, 1, slice_of(actions[i].name));
        proto_put_bytes(&out, 2, slice_of(actions[i].description));
        err = flight__reply(&call, &out);
    }
    flight__finish(&call, err);
    flight__end(&call);
}
