/* One statement, from the call that starts it to the end of its rows, which other calls take. */
#include "base/clock.h"
#include "base/mem.h"
#include "query/clients.h"
#include "sql/scan.h"
#include "sql/statement.h"
#include "wire/flight/flight_int.h"

#define HELD_US (INT64_C(60) * 1000000) /* until somebody comes for its rows */

static enum err check_stopped(struct flight_run *run, struct errinfo *info)
{
    pthread_mutex_lock(&run->stop_lock);
    bool is_stopped = run->is_stopped;
    pthread_mutex_unlock(&run->stop_lock);
    return is_stopped ? errinfo_set(info, ERR_CANCELLED, "57014", "the query was cancelled")
                      : ERR_OK;
}

void flight__run_stop(struct flight_run *run)
{
    pthread_mutex_lock(&run->stop_lock);
    run->is_stopped = true;
    if (run->active != NULL) {
        (run->is_opening ? session_stop : session_cancel)(run->active);
    }
    pthread_mutex_unlock(&run->stop_lock);
}

static void be_inactive(struct flight_run *run)
{
    pthread_mutex_lock(&run->stop_lock);
    run->active = NULL;
    pthread_mutex_unlock(&run->stop_lock);
}

/* A stop that comes before the query is there must not be lost, and must not be of what the session
 * runs next. */
static enum err open_query(struct flight_run *run, struct slice text,
                           const struct query_parameter *parameters, size_t parameter_count,
                           struct errinfo *info)
{
    pthread_mutex_lock(&run->stop_lock);
    bool is_stopped = run->is_stopped;
    run->active = run->session;
    run->is_opening = true;
    pthread_mutex_unlock(&run->stop_lock);
    enum err err =
        is_stopped ? check_stopped(run, info)
                   : query_open(run->session, text, parameters, parameter_count, &run->query, info);
    pthread_mutex_lock(&run->stop_lock);
    run->is_opening = false;
    session_resume(run->session);
    pthread_mutex_unlock(&run->stop_lock);
    return err;
}

/* The right to call `query` for it. */
static enum err enter(struct flight_run *run, struct errinfo *info)
{
    TRY(check_stopped(run, info));
    return run->is_apart ? ERR_OK : flight__turn_take(run->on, run, info);
}

static void leave(struct flight_run *run)
{
    if (!run->is_apart) {
        flight__turn_give(run->on);
    }
}

/* ---- the list ---- */

static enum err add(struct flight_session *session, struct flight_run *run, struct errinfo *info)
{
    pthread_mutex_lock(&session->lock);
    bool is_full = session->run_count >= FLIGHT_RUNS_MAX;
    bool is_over = session->is_over;
    if (!is_full && !is_over) {
        run->next = session->runs;
        if (run->next != NULL) {
            run->next->previous = run;
        }
        session->runs = run;
        session->run_count++;
        run->is_listed = true;
        run->refs++;
    }
    pthread_mutex_unlock(&session->lock);
    if (is_over) {
        return errinfo_set(info, ERR_DENIED, "28000", "the session is over");
    }
    if (is_full) {
        (void)errinfo_set(info, ERR_LIMIT, "53400", "a session has at most %d statements open",
                          FLIGHT_RUNS_MAX);
        errinfo_hint(info, "Read some to their end, or cancel them.");
        return ERR_LIMIT;
    }
    return ERR_OK;
}

void flight__run_forget(struct flight_run *run)
{
    struct flight_session *session = run->on;
    pthread_mutex_lock(&session->lock);
    bool was_listed = run->is_listed;
    if (was_listed) {
        *(run->previous == NULL ? &session->runs : &run->previous->next) = run->next;
        if (run->next != NULL) {
            run->next->previous = run->previous;
        }
        session->run_count--;
        run->is_listed = false;
    }
    pthread_mutex_unlock(&session->lock);
    if (was_listed) {
        flight__run_unref(run);
    }
}

static void close_run(struct flight_run *run)
{
    struct flight_session *session = run->on;
    if (run->schema.release != NULL) {
        run->schema.release(&run->schema);
    }
    be_inactive(run);
    if (!run->is_apart) { /* whatever was stopped: its end must be told */
        pthread_mutex_lock(&session->lock);
        while (session->is_turn_taken) {
            pthread_cond_wait(&session->changed, &session->lock);
        }
        session->is_turn_taken = true;
        session->main_run = session->main_run == run ? NULL : session->main_run;
        pthread_mutex_unlock(&session->lock);
    }
    query_close(run->query);
    if (!run->is_main) {
        session_close(run->session);
    }
    leave(run);
    arena_free(run->arena);
    pthread_mutex_lock(&session->lock);
    if (session->run_count == 0) {
        client_set_state(session->client, CLIENT_IDLE);
    }
    pthread_mutex_unlock(&session->lock);
    pthread_mutex_destroy(&run->stop_lock);
    mem_free(run);
    flight__session_unref(session);
}

void flight__run_unref(struct flight_run *run)
{
    if (run == NULL) {
        return;
    }
    pthread_mutex_lock(&run->on->lock);
    bool is_last = --run->refs == 0;
    pthread_mutex_unlock(&run->on->lock);
    if (is_last) {
        close_run(run);
    }
}

struct flight_run *flight__run_find(struct flight_session *session, const struct flight_id *id,
                                    bool take)
{
    pthread_mutex_lock(&session->lock);
    struct flight_run *run = session->runs;
    while (run != NULL && memcmp(run->id.bytes, id->bytes, sizeof(id->bytes)) != 0) {
        run = run->next;
    }
    if (run != NULL && take && run->is_taken) {
        run = NULL;
    }
    if (run != NULL) {
        run->is_taken = run->is_taken || take;
        run->refs++;
    }
    pthread_mutex_unlock(&session->lock);
    return run;
}

int64_t flight__run_hold(struct flight_run *run)
{
    pthread_mutex_lock(&run->on->lock);
    run->expires_us = clock_mono_us() + HELD_US;
    pthread_mutex_unlock(&run->on->lock);
    return clock_wall_us() + HELD_US;
}

/* An error in a transaction leaves nothing of it. */
static enum err note_failure(struct flight_run *run, enum err err)
{
    if (err != ERR_OK && !run->is_apart) {
        pthread_mutex_lock(&run->on->lock);
        run->on->has_failed = run->on->has_transaction;
        pthread_mutex_unlock(&run->on->lock);
    }
    return err;
}

/* ---- opening ---- */

static struct flight_run *new_run(struct flight_session *session)
{
    struct flight_run *run = mem_calloc(1, sizeof(*run));
    if (run == NULL) {
        return NULL;
    }
    run->refs = 1;
    run->on = session;
    run->is_apart = true;
    run->changed_rows = -1;
    run->expires_us = INT64_MAX; /* while a call is at it */
    pthread_mutex_init(&run->stop_lock, NULL);
    flight__session_ref(session);
    return run;
}

static bool is_read_only(enum statement_kind kind)
{
    return kind == STATEMENT_QUERY || kind == STATEMENT_EXPLAIN || kind == STATEMENT_DESCRIBE ||
           kind == STATEMENT_SHOW || kind == STATEMENT_CHECK_ACCESS;
}

static enum err classify(struct flight_call *call, struct slice *text,
                         enum statement_kind *ret_kind)
{
    struct slice rest = *text, more;
    struct statement statement;
    TRY(sql_check_text(rest, rest.len, &call->info));
    TRY(sql_split(&rest, text, NULL, &call->info));
    TRY(sql_split(&rest, &more, NULL, &call->info));
    if (text->len == 0 || more.len > 0) {
        return errinfo_set(&call->info, ERR_SYNTAX, "42601", "a call is of one statement");
    }
    TRY(statement_parse(*text, call->arena, &statement, &call->info));
    if (statement.kind == STATEMENT_TRANSACTION) {
        (void)errinfo_set(&call->info, ERR_UNSUPPORTED, NULL,
                          "transactions begin and end by BeginTransaction and EndTransaction");
        errinfo_hint(&call->info, "Turn autocommit off in the driver.");
        return ERR_UNSUPPORTED;
    }
    *ret_kind = statement.kind;
    return ERR_OK;
}

static enum err open_apart(struct flight_run *run, struct errinfo *info)
{
    TRY(flight__apart(run->on, &run->session, info));
    session_set_client(run->session, run->on->client);
    return ERR_OK;
}

/* With the turn. */
static enum err open_beside(struct flight_run *run, bool is_read, struct errinfo *info)
{
    struct flight_session *session = run->on;
    TRY(flight__main(session, info));
    if (is_read) {
        return session_fork(session->main, &run->session, info);
    }
    if (session->main_run != NULL) {
        (void)errinfo_set(info, ERR_BUSY, "55006",
                          "the session cannot be changed while rows of its last change are read");
        errinfo_hint(info, "Read them to their end, or cancel that statement, first.");
        return ERR_BUSY;
    }
    run->session = session->main;
    run->is_main = true;
    session->main_run = run;
    return ERR_OK;
}

int64_t flight__tag_rows(const char *tag)
{
    struct slice text = slice_of(tag);
    size_t at = text.len;
    while (at > 0 && text.ptr[at - 1] >= '0' && text.ptr[at - 1] <= '9') {
        at--;
    }
    int64_t rows;
    bool has = at > 0 && at < text.len && text.ptr[at - 1] == ' ' &&
               slice_to_i64((struct slice){text.ptr + at, text.len - at}, &rows);
    return has ? rows : -1;
}

/* The call's own memory is gone with it, and the query goes on. */
static enum err copy_statement(struct flight_run *run, const struct flight_statement *statement,
                               struct slice *text, struct query_parameter **ret_parameters)
{
    size_t count = statement->parameter_count;
    run->arena = arena_new(NULL, "flight statement", 0);
    if (run->arena == NULL || !arena_slice(run->arena, *text, text)) {
        return ERR_NOMEM;
    }
    struct query_parameter *parameters = arena_calloc(run->arena, count + 1, sizeof(*parameters));
    for (size_t i = 0; i < count && parameters != NULL; i++) {
        parameters[i] = statement->parameters[i];
        if (!arena_slice(run->arena, parameters[i].text, &parameters[i].text)) {
            return ERR_NOMEM;
        }
    }
    *ret_parameters = parameters;
    return parameters == NULL ? ERR_NOMEM : ERR_OK;
}

static enum err start(struct flight_run *run, const struct flight_statement *statement,
                      struct slice text, struct errinfo *info)
{
    struct query_parameter *parameters;
    if (copy_statement(run, statement, &text, &parameters) != ERR_OK) {
        return errinfo_nomem(info);
    }
    TRY(open_query(run, text, parameters, statement->parameter_count, info));
    if (query_has_rows(run->query)) {
        return query_schema(run->query, &run->schema, info);
    }
    run->changed_rows = flight__tag_rows(query_tag(run->query));
    return ERR_OK;
}

/* For who shows it to people: once a call, however many sets of parameters it runs. */
static void tell(struct flight_call *call, const struct flight_run *run)
{
    if (!call->is_told) {
        call->is_told = true;
        grpc_trailer_text(call->grpc, "moat-tag", slice_of(query_tag(run->query)));
        if (query_notice(run->query)[0] != '\0') {
            grpc_trailer_text(call->grpc, "moat-notice", slice_of(query_notice(run->query)));
        }
    }
}

static void on_gone(void *context)
{
    flight__run_stop(context);
}

/* With the turn, when it has no more rows: the session may be changed again, whoever still holds
 * the run. */
static void release_main(struct flight_run *run)
{
    query_close(TAKE(run->query));
    be_inactive(run);
    run->on->main_run = NULL;
}

/* What was changed is seen by what runs apart from now on. */
static enum err finish_change(struct flight_run *run, enum statement_kind kind,
                              struct errinfo *info)
{
    struct flight_session *session = run->on;
    bool makes_temps = kind == STATEMENT_CREATE_TEMP;
    pthread_mutex_lock(&session->lock);
    session->has_temps = session->has_temps || makes_temps;
    pthread_mutex_unlock(&session->lock);
    if (!run->schema.release) {
        release_main(run);
    }
    bool changes_session = kind == STATEMENT_SET || kind == STATEMENT_USE;
    return changes_session ? flight__template_renew(session, info) : ERR_OK;
}

enum err flight__run_open(struct flight_call *call, const struct flight_statement *statement,
                          struct flight_run **ret_run)
{
    struct flight_session *session = call->session;
    struct slice text = statement->text;
    enum statement_kind kind;
    TRY(classify(call, &text, &kind));
    TRY(flight__transaction_check(session, statement->transaction, &call->info));
    struct flight_run *run CLEANUP(flight_run_cleanup) = new_run(session);
    if (run == NULL || !flight__id_new(&run->id)) {
        return errinfo_nomem(&call->info);
    }
    bool is_read = is_read_only(kind);
    bool has_transaction = statement->transaction.len > 0;
    pthread_mutex_lock(&session->lock);
    run->is_apart = is_read && !has_transaction && !session->has_temps;
    bool is_outside = session->has_transaction && !has_transaction;
    pthread_mutex_unlock(&session->lock);
    if (is_outside && !is_read) {
        return errinfo_set(
            &call->info, ERR_INVALID, "25001",
            "the session has a transaction open, and the statement does not name it");
    }
    TRY(add(session, run, &call->info));
    grpc_on_cancel(call->grpc, on_gone, run);
    enum err err = enter(run, &call->info);
    if (err == ERR_OK) {
        client_set_state(session->client, CLIENT_ACTIVE);
        err = run->is_apart ? open_apart(run, &call->info) : open_beside(run, is_read, &call->info);
        err = err != ERR_OK ? err : start(run, statement, text, &call->info);
        if (err == ERR_OK) {
            tell(call, run);
        }
        err = err != ERR_OK || is_read ? err : finish_change(run, kind, &call->info);
        leave(run);
    }
    grpc_on_cancel(call->grpc, NULL, NULL);
    if (note_failure(run, err) != ERR_OK) {
        flight__run_forget(run);
        return err;
    }
    *ret_run = TAKE(run);
    return ERR_OK;
}

/* ---- rows ---- */

enum err flight__run_next(struct flight_run *run, struct ArrowArray *ret_batch,
                          struct errinfo *info)
{
    ret_batch->release = NULL;
    if (run->schema.release == NULL) {
        return ERR_OK;
    }
    for (;;) {
        TRY(enter(run, info));
        enum err err = run->query == NULL ? ERR_OK : query_next(run->query, ret_batch, info);
        bool is_over = ret_batch->release == NULL; /* with an error, or the last row */
        if (is_over && run->is_main && run->query != NULL) {
            release_main(run);
        }
        leave(run);
        if (is_over && err != ERR_OK) {
            flight__run_stop(run); /* who asks for more after an error is not told of an end */
        }
        TRY(note_failure(run, err));
        if (is_over || ret_batch->length > 0) {
            return ERR_OK;
        }
        ret_batch->release(ret_batch); /* one without rows */
    }
}

enum err flight__run_check(struct flight_run *run, struct errinfo *info)
{
    TRY(enter(run, info));
    enum err err = session_check(run->session, info);
    leave(run);
    return err;
}

void flight__run_touch(struct flight_run *run)
{
    query_touch(run->query);
}
