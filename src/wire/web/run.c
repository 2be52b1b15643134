/* One statement with a session of its own, listed among the warehouse's clients while it is. */
#include <pthread.h>

#include "base/mem.h"
#include "query/clients.h"
#include "sql/scan.h"
#include "wire/web/web_int.h"

struct web_run {
    struct web_run *next, *previous; /* under the server's lock */
    struct web_server *server;
    struct client *client;
    struct session *session;
    struct query *query;
    struct ArrowSchema schema;
    struct identity *who;
    const char *protocol;
    struct web_login *login;
    pthread_mutex_t lock; /* of the two below: others stop it while it is being closed */
    bool is_stopped;
    enum {
        STOPPED_BY_CLIENT,
        STOPPED_BY_OTHERS,
        STOPPED_IDLE,
    } why;
    struct session *active; /* what a stop cancels */
};

static void stop(struct web_run *run, int why)
{
    pthread_mutex_lock(&run->lock);
    run->why = run->is_stopped ? run->why : (unsigned)why;
    run->is_stopped = true;
    if (run->active != NULL) {
        session_stop(run->active);
    }
    pthread_mutex_unlock(&run->lock);
}

void web_run_stop(struct web_run *run)
{
    stop(run, STOPPED_BY_CLIENT);
}

bool web__run_is_stopped(struct web_run *run)
{
    pthread_mutex_lock(&run->lock);
    bool is = run->is_stopped;
    pthread_mutex_unlock(&run->lock);
    return is;
}

void web__runs_stop_of(struct web_server *server, const struct web_login *login)
{
    for (struct web_run *run = server->runs; run != NULL; run = run->next) {
        if (run->login == login) {
            web_run_stop(run);
        }
    }
}

static void list(struct web_run *run)
{
    struct web_server *server = run->server;
    pthread_mutex_lock(&server->lock);
    run->next = server->runs;
    if (run->next != NULL) {
        run->next->previous = run;
    }
    server->runs = run;
    pthread_mutex_unlock(&server->lock);
}

static void unlist(struct web_run *run)
{
    struct web_server *server = run->server;
    pthread_mutex_lock(&server->lock);
    *(run->previous == NULL ? &server->runs : &run->previous->next) = run->next;
    if (run->next != NULL) {
        run->next->previous = run->previous;
    }
    pthread_mutex_unlock(&server->lock);
}

/* A cancelled statement is all that there is: nothing would come behind it. */
static void on_cancel(void *context)
{
    stop(context, STOPPED_BY_CLIENT);
}

static void on_terminate(void *context, enum client_end why)
{
    stop(context, why == CLIENT_END_IDLE ? STOPPED_IDLE : STOPPED_BY_OTHERS);
}

struct identity *web__run_who(const struct web_run *run)
{
    return run->who;
}

const char *web__run_protocol(const struct web_run *run)
{
    return run->protocol;
}

struct web_login *web__run_login(const struct web_run *run)
{
    return run->login;
}

struct session *web_run_session(struct web_run *run)
{
    return run->session;
}

struct query *web_run_query(struct web_run *run)
{
    return run->query;
}

const struct ArrowSchema *web_run_schema(const struct web_run *run)
{
    return run->schema.release == NULL ? NULL : &run->schema;
}

/* ---- opening ---- */

static enum err change(struct web_run *run, const struct buf *statement, struct errinfo *info)
{
    struct query *query;
    if (buf_failed(statement)) {
        return errinfo_nomem(info);
    }
    enum err err = query_open(run->session, buf_slice(statement), NULL, 0, &query, info);
    if (err == ERR_OK) {
        query_close(query);
    }
    errinfo_position(info, 0); /* not of what they sent */
    return err;
}

static enum err apply(struct web_run *run, const struct web_run_spec *spec, struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    bool is_default = slice_equal_fold(spec->catalog, SLICE("moat")) &&
                      (spec->schema.len == 0 || slice_equal_fold(spec->schema, SLICE("main")));
    if ((spec->catalog.len > 0 || spec->schema.len > 0) && !is_default) {
        buf_append_str(&text, "USE ");
        if (spec->catalog.len > 0) {
            sql_quote_name(&text, spec->catalog);
        }
        buf_append_str(&text, spec->catalog.len > 0 && spec->schema.len > 0 ? "." : "");
        if (spec->schema.len > 0) {
            sql_quote_name(&text, spec->schema);
        }
        TRY(change(run, &text, info));
    }
    for (size_t i = 0; i < spec->setting_count; i++) {
        buf_reset(&text);
        buf_append_str(&text, "SET ");
        buf_append_slice(&text, spec->settings[i].name);
        buf_append_str(&text, " = ");
        sql_quote_string(&text, spec->settings[i].value);
        TRY(change(run, &text, info));
    }
    return ERR_OK;
}

enum err web_run_open(struct web_server *server, const struct web_run_spec *spec,
                      struct web_run **ret_run, struct errinfo *info)
{
    struct web_run *run CLEANUP(web_run_cleanup) = mem_calloc(1, sizeof(*run));
    if (run == NULL) {
        return errinfo_nomem(info);
    }
    pthread_mutex_init(&run->lock, NULL);
    run->server = server;
    run->login = web__login_ref(spec->login);
    list(run);
    run->who = identity_ref(spec->who);
    run->protocol = spec->visitor.protocol;
    struct client_spec client = {
        .protocol = spec->visitor.protocol,
        .who = spec->who,
        .address = spec->address,
        .application = spec->visitor.application,
        .context = run,
        .cancel = on_cancel,
        .terminate = on_terminate,
    };
    TRY(client_open(server->warehouse, &client, &run->client, info));
    client_set_state(run->client, CLIENT_ACTIVE);
    TRY(session_open(server->warehouse, spec->who, &run->session, info));
    session_set_client(run->session, run->client);
    session_set_protocol(run->session, spec->protocol);
    pthread_mutex_lock(&run->lock);
    run->active = run->session;
    pthread_mutex_unlock(&run->lock);
    TRY(apply(run, spec, info));
    *ret_run = TAKE(run);
    return ERR_OK;
}

void web_run_close(struct web_run *run)
{
    if (run == NULL) {
        return;
    }
    unlist(run);
    pthread_mutex_lock(&run->lock);
    run->active = NULL;
    pthread_mutex_unlock(&run->lock);
    if (run->schema.release != NULL) {
        run->schema.release(&run->schema);
    }
    query_close(run->query);
    session_close(run->session);
    client_close(run->client);
    identity_unref(run->who);
    web__login_unref(run->login);
    pthread_mutex_destroy(&run->lock);
    mem_free(run);
}

/* ---- running ---- */

enum err web__run_check(struct web_run *run, struct errinfo *info)
{
    if (!web__run_is_stopped(run)) {
        return ERR_OK;
    }
    switch (run->why) {
    case STOPPED_IDLE:
        return errinfo_set(info, ERR_CANCELLED, "25P03",
                           "the query is ended: it took no rows, and another waits for its place");
    case STOPPED_BY_OTHERS:
        return errinfo_set(info, ERR_CANCELLED, "57P01",
                           "terminating connection due to administrator command");
    case STOPPED_BY_CLIENT:
        break;
    }
    return errinfo_set(info, ERR_CANCELLED, "57014", "the query was cancelled");
}

enum err web_run_start(struct web_run *run, struct slice statement,
                       const struct query_parameter *parameters, size_t parameter_count,
                       struct errinfo *info)
{
    ASSERT(run->query == NULL);
    TRY(web__run_check(run, info));
    enum err err =
        query_open(run->session, statement, parameters, parameter_count, &run->query, info);
    if (err == ERR_CANCELLED) {
        return web__run_check(run, info) == ERR_OK ? err : ERR_CANCELLED;
    }
    TRY(err);
    return query_has_rows(run->query) ? query_schema(run->query, &run->schema, info) : ERR_OK;
}

enum err web_run_next(struct web_run *run, struct ArrowArray *ret_batch, struct errinfo *info)
{
    TRY(web__run_check(run, info));
    enum err err;
    for (;;) {
        err = query_next(run->query, ret_batch, info);
        if (err != ERR_OK || ret_batch->release == NULL || ret_batch->length > 0) {
            break;
        }
        ret_batch->release(ret_batch); /* one without rows */
    }
    if (err == ERR_CANCELLED) {
        return web__run_check(run, info) == ERR_OK ? err : ERR_CANCELLED;
    }
    return err;
}
