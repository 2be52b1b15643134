/* Statements: GetFlightInfo starts one, and DoGet takes its rows. */
#include "base/clock.h"
#include "wire/flight/flight_int.h"

bool flight__is_query(struct slice name)
{
    return slice_equal(name, SLICE("CommandStatementQuery")) ||
           slice_equal(name, SLICE("CommandPreparedStatementQuery"));
}

static enum err read_statement(struct flight_call *call, struct slice body,
                               struct flight_statement *ret_statement)
{
    *ret_statement = (struct flight_statement){.text = SLICE("")};
    struct proto_want wants[] = {{1, &ret_statement->text, NULL, NULL},
                                 {2, &ret_statement->transaction, NULL, NULL}};
    return proto_read(body, wants, ARRAY_COUNT(wants))
               ? ERR_OK
               : flight__wrong(&call->info, "the statement is no message of Flight SQL");
}

static enum err find_prepared(struct flight_call *call, struct slice body,
                              struct flight_prepared **ret_prepared)
{
    struct slice handle = {"", 0};
    struct proto_want wants[] = {{1, &handle, NULL, NULL}};
    *ret_prepared = proto_read(body, wants, ARRAY_COUNT(wants))
                        ? flight__prepared_find(call->session, handle)
                        : NULL;
    return *ret_prepared != NULL ? ERR_OK
                                 : errinfo_set(&call->info, ERR_NOT_FOUND, "26000",
                                               "there is no such prepared statement");
}

/* With its set of parameters `row`. */
static struct flight_statement statement_of(const struct flight_session *session,
                                            const struct flight_prepared *prepared, size_t row)
{
    struct slice transaction = {(const char *)session->transaction.bytes, FLIGHT_ID_BYTES};
    return (struct flight_statement){
        .text = slice_of(prepared->statement),
        .transaction = prepared->has_transaction ? transaction : SLICE(""),
        .parameters = prepared->row_count == 0
                          ? NULL
                          : prepared->parameters + row * prepared->parameter_count,
        .parameter_count = prepared->row_count == 0 ? 0 : prepared->parameter_count,
    };
}

static enum err open_prepared(struct flight_call *call, const struct flight_prepared *prepared,
                              struct flight_run **ret_run)
{
    if (prepared->row_count > 1) {
        (void)errinfo_set(&call->info, ERR_UNSUPPORTED, NULL,
                          "a query is run with one set of parameters, and %zu are bound",
                          prepared->row_count);
        errinfo_hint(&call->info, "Bind one after the other.");
        return ERR_UNSUPPORTED;
    }
    struct flight_statement statement = statement_of(call->session, prepared, 0);
    return flight__run_open(call, &statement, ret_run);
}

static enum err open_run(struct flight_call *call, const struct flight_command *command,
                         struct flight_run **ret_run)
{
    if (slice_equal(command->name, SLICE("CommandStatementQuery"))) {
        struct flight_statement statement;
        TRY(read_statement(call, command->body, &statement));
        return flight__run_open(call, &statement, ret_run);
    }
    struct flight_prepared *prepared;
    TRY(find_prepared(call, command->body, &prepared));
    enum err err = open_prepared(call, prepared, ret_run);
    flight__prepared_unref(call->session, prepared);
    return err;
}

enum err flight__query_info(struct flight_call *call, const struct flight_command *command,
                            struct slice descriptor, struct buf *out)
{
    struct flight_run *run CLEANUP(flight_run_cleanup) = NULL;
    struct buf ticket CLEANUP(buf_fini) = {0};
    TRY(open_run(call, command, &run));
    struct slice id = {(const char *)run->id.bytes, sizeof(run->id.bytes)};
    bool has_rows = run->schema.release != NULL;
    enum err err = flight__ticket_put(call->session, FLIGHT_TICKET_RUN, id, &ticket, &call->info);
    if (err == ERR_OK) {
        struct flight_info info = {
            .schema = has_rows ? &run->schema : NULL,
            .descriptor = descriptor,
            .ticket = buf_slice(&ticket),
            .expires_wall_us = flight__run_hold(run),
            .rows = run->changed_rows,
        };
        err = flight__info_put(&info, out, &call->info);
    }
    if (err != ERR_OK) {
        flight__run_forget(run);
        return err;
    }
    call->given = TAKE(run);
    return ERR_OK;
}

enum err flight__query_schema(struct flight_call *call, const struct flight_command *command,
                              struct buf *out)
{
    struct flight_statement statement;
    struct flight_prepared *prepared = NULL;
    if (slice_equal(command->name, SLICE("CommandStatementQuery"))) {
        TRY(read_statement(call, command->body, &statement));
    } else {
        TRY(find_prepared(call, command->body, &prepared));
        statement = statement_of(call->session, prepared, 0);
    }
    enum err err = flight__describe(call, &statement, out, NULL);
    if (prepared != NULL) {
        flight__prepared_unref(call->session, prepared);
    }
    return err;
}

static void on_gone(void *context)
{
    flight__run_stop(context);
}

static enum err send_rows(struct flight_call *call, struct flight_run *run)
{
    const struct ArrowSchema *schema = run->schema.release == NULL ? NULL : &run->schema;
    TRY(flight__send_schema(call, schema));
    for (;;) {
        struct ArrowArray batch;
        TRY(flight__run_next(run, &batch, &call->info));
        if (batch.release == NULL) {
            return ERR_OK;
        }
        enum err err = flight__send_batch(call, schema, &batch);
        batch.release(&batch);
        TRY(err);
        flight__run_touch(run);
    }
}

enum err flight__get_run(struct flight_call *call, struct slice id)
{
    struct flight_id key;
    if (id.len != sizeof(key.bytes)) {
        return errinfo_set(&call->info, ERR_NOT_FOUND, "02000", "there is no such ticket");
    }
    memcpy(key.bytes, id.ptr, sizeof(key.bytes));
    struct flight_run *run CLEANUP(flight_run_cleanup) =
        flight__run_find(call->session, &key, true);
    if (run == NULL) {
        (void)errinfo_set(
            &call->info, ERR_NOT_FOUND, "02000",
            "the ticket's rows are not there: read before, or cancelled, or too late");
        errinfo_hint(&call->info, "A ticket is for one DoGet, within its expiration.");
        return ERR_NOT_FOUND;
    }
    grpc_on_cancel(call->grpc, on_gone, run);
    enum err err = flight__run_check(run, &call->info);
    err = err != ERR_OK ? err : send_rows(call, run);
    grpc_on_cancel(call->grpc, NULL, NULL);
    flight__run_forget(run);
    return err;
}

/* ---- changes ---- */

static enum err run_change(struct flight_call *call, const struct flight_statement *statement,
                           int64_t *rows)
{
    struct flight_run *run CLEANUP(flight_run_cleanup) = NULL;
    TRY(flight__run_open(call, statement, &run));
    grpc_on_cancel(call->grpc, on_gone, run);
    enum err err = ERR_OK;
    uint64_t given = 0;
    while (err == ERR_OK) {
        struct ArrowArray batch;
        err = flight__run_next(run, &batch, &call->info);
        if (err != ERR_OK || batch.release == NULL) {
            break;
        }
        given += (uint64_t)batch.length;
        batch.release(&batch);
    }
    bool has_rows = run->schema.release != NULL;
    /* Not -1 for what changes no rows: Arrow's JDBC driver takes that for a query, and asks for its
     * rows, so that it runs twice. */
    *rows += has_rows ? (int64_t)given : run->changed_rows > 0 ? run->changed_rows : 0;
    grpc_on_cancel(call->grpc, NULL, NULL);
    flight__run_forget(run);
    return err;
}

enum err flight__update(struct flight_call *call, const struct flight_command *command,
                        int64_t *ret_rows)
{
    *ret_rows = 0;
    if (slice_equal(command->name, SLICE("CommandStatementUpdate"))) {
        struct flight_statement statement;
        TRY(read_statement(call, command->body, &statement));
        return run_change(call, &statement, ret_rows);
    }
    struct flight_prepared *prepared;
    TRY(find_prepared(call, command->body, &prepared));
    size_t count = prepared->arena == NULL ? 1 : prepared->row_count;
    enum err err = ERR_OK;
    for (size_t i = 0; i < count && err == ERR_OK; i++) {
        struct flight_statement statement = statement_of(call->session, prepared, i);
        err = run_change(call, &statement, ret_rows);
    }
    flight__prepared_unref(call->session, prepared);
    return err;
}
