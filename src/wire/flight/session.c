/* Sessions: what one person's calls share. A session lives as long as its token is used, or as the
 * connection that it was made on.
 *
 * A session of `query` is for one thread at a time, with its forks. Queries run apart, in sessions
 * of their own with the same settings, so that many can run at once; only what changes the session,
 * and what must see its transaction or temporary tables, takes turns. */

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "query/clients.h"
#include "wire/flight/flight_int.h"

#define WAIT_TURN_US 20000

static void stop_all(struct flight_session *session)
{
    pthread_mutex_lock(&session->lock);
    for (struct flight_run *run = session->runs; run != NULL; run = run->next) {
        flight__run_stop(run);
    }
    pthread_mutex_unlock(&session->lock);
}

static void on_cancel(void *context)
{
    stop_all(context);
}

static void on_terminate(void *context, enum client_end why)
{
    struct flight_session *session = context;
    if (why != CLIENT_END_IDLE) { /* else only its runs: they take no rows */
        pthread_mutex_lock(&session->lock);
        session->is_over = true;
        pthread_mutex_unlock(&session->lock);
    }
    stop_all(session);
}

static bool are_same(const struct identity *a, const struct identity *b)
{
    return slice_equal(identity_subject(a), identity_subject(b)) &&
           slice_equal(identity_provider(a), identity_provider(b));
}

/* With the server's lock held. */
static enum err check_count(const struct flight_server *server, const struct identity *who,
                            struct errinfo *info)
{
    unsigned own = 0;
    for (const struct flight_session *s = server->sessions; s != NULL; s = s->next) {
        own += are_same(s->who, who);
    }
    if (own < FLIGHT_SESSIONS_OF_ONE_MAX && server->session_count < FLIGHT_SESSIONS_MAX) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_BUSY, "53300", "there are too many sessions");
    errinfo_hint(info, "Close some (CloseSession), or wait until they end of themselves.");
    return ERR_BUSY;
}

static void list(struct flight_session *session)
{
    struct flight_server *server = session->server;
    session->next = server->sessions;
    if (session->next != NULL) {
        session->next->previous = session;
    }
    server->sessions = session;
    server->session_count++;
    session->is_listed = true;
}

static void unlist(struct flight_session *session)
{
    struct flight_server *server = session->server;
    *(session->previous == NULL ? &server->sessions : &session->previous->next) = session->next;
    if (session->next != NULL) {
        session->next->previous = session->previous;
    }
    server->session_count--;
    session->is_listed = false;
}

enum err flight__session_new(struct flight_server *server, struct identity *who,
                             struct slice address, struct slice application,
                             const uint8_t *token_hash, struct flight_session **ret_session,
                             struct errinfo *info)
{
    struct flight_session *session = mem_calloc(1, sizeof(*session));
    if (session == NULL) {
        return errinfo_nomem(info);
    }
    session->server = server;
    session->refs = 2; /* the list's, and the caller's */
    session->used_us = clock_mono_us();
    session->who = identity_ref(who);
    if (token_hash != NULL) {
        session->has_token = true;
        memcpy(session->token_hash, token_hash, sizeof(session->token_hash));
    }
    pthread_mutex_init(&session->lock, NULL);
    pthread_cond_init(&session->changed, NULL);
    pthread_mutex_lock(&server->lock);
    enum err err = check_count(server, who, info);
    if (err == ERR_OK) {
        list(session);
    }
    pthread_mutex_unlock(&server->lock);
    if (err != ERR_OK) {
        session->refs = 1;
        flight__session_unref(session);
        return err;
    }
    struct client_spec client = {
        .protocol = "flight",
        .who = who,
        .address = address,
        .application = application,
        .context = session,
        .cancel = on_cancel,
        .terminate = on_terminate,
    };
    struct client *opened = NULL;
    err = client_open(server->warehouse, &client, &opened, info);
    if (err != ERR_OK) {
        flight__session_end(session);
        flight__session_unref(session);
        return err;
    }
    session->client = opened;
    *ret_session = session;
    return ERR_OK;
}

static void close_session(struct flight_session *session)
{
    ASSERT(session->runs == NULL);
    flight__prepared_close_all(session);
    session_close(session->template);
    session_close(session->main);
    client_close(session->client);
    identity_unref(session->who);
    pthread_cond_destroy(&session->changed);
    pthread_mutex_destroy(&session->lock);
    mem_free(session);
}

void flight__session_ref(struct flight_session *session)
{
    pthread_mutex_lock(&session->server->lock);
    session->refs++;
    pthread_mutex_unlock(&session->server->lock);
}

void flight__session_unref(struct flight_session *session)
{
    if (session == NULL) {
        return;
    }
    struct flight_server *server = session->server;
    pthread_mutex_lock(&server->lock);
    bool is_last = --session->refs == 0;
    session->used_us = clock_mono_us();
    pthread_mutex_unlock(&server->lock);
    if (is_last) {
        close_session(session);
    }
}

void flight__session_end(struct flight_session *session)
{
    pthread_mutex_lock(&session->server->lock);
    bool was_listed = session->is_listed;
    if (was_listed) {
        unlist(session);
    }
    pthread_mutex_unlock(&session->server->lock);
    pthread_mutex_lock(&session->lock);
    session->is_over = true;
    pthread_cond_broadcast(&session->changed);
    pthread_mutex_unlock(&session->lock);
    stop_all(session);
    for (;;) {
        pthread_mutex_lock(&session->lock);
        struct flight_run *run = session->runs;
        if (run != NULL) {
            run->refs++;
        }
        pthread_mutex_unlock(&session->lock);
        if (run == NULL) {
            break;
        }
        flight__run_forget(run);
        flight__run_unref(run);
    }
    if (was_listed) {
        flight__session_unref(session);
    }
}

struct flight_session *flight__session_by_token(struct flight_server *server,
                                                const uint8_t token_hash[32])
{
    struct flight_session *found = NULL;
    pthread_mutex_lock(&server->lock);
    for (struct flight_session *s = server->sessions; s != NULL && found == NULL; s = s->next) {
        if (s->has_token && hash_equal(s->token_hash, token_hash, sizeof(s->token_hash))) {
            found = s;
            found->refs++;
        }
    }
    pthread_mutex_unlock(&server->lock);
    if (found == NULL) {
        return NULL;
    }
    pthread_mutex_lock(&found->lock);
    bool is_over = found->is_over;
    pthread_mutex_unlock(&found->lock);
    if (is_over) {
        flight__session_end(found);
        flight__session_unref(found);
        return NULL;
    }
    return found;
}

/* ---- turns ---- */

static bool is_given_up(struct flight_session *session, struct flight_run *run)
{
    bool is_stopped = session->is_over;
    if (run != NULL) {
        pthread_mutex_lock(&run->stop_lock);
        is_stopped = is_stopped || run->is_stopped;
        pthread_mutex_unlock(&run->stop_lock);
    }
    return is_stopped;
}

enum err flight__turn_take(struct flight_session *session, struct flight_run *run,
                           struct errinfo *info)
{
    enum err err = ERR_OK;
    pthread_mutex_lock(&session->lock);
    while (session->is_turn_taken && err == ERR_OK) {
        (void)clock_wait(&session->changed, &session->lock, clock_mono_us() + WAIT_TURN_US);
        if (is_given_up(session, run)) {
            err = errinfo_set(info, ERR_CANCELLED, "57014", "the query was cancelled");
        }
    }
    session->is_turn_taken = session->is_turn_taken || err == ERR_OK;
    pthread_mutex_unlock(&session->lock);
    return err;
}

void flight__turn_give(struct flight_session *session)
{
    pthread_mutex_lock(&session->lock);
    ASSERT(session->is_turn_taken);
    session->is_turn_taken = false;
    pthread_cond_broadcast(&session->changed);
    pthread_mutex_unlock(&session->lock);
}

enum err flight__template_renew(struct flight_session *session, struct errinfo *info)
{
    struct session *fresh;
    TRY(session_fork_apart(session->main, &fresh, info));
    pthread_mutex_lock(&session->lock);
    struct session *old = session->template;
    session->template = fresh;
    pthread_mutex_unlock(&session->lock);
    session_close(old);
    return ERR_OK;
}

enum err flight__main(struct flight_session *session, struct errinfo *info)
{
    if (session->main == NULL) {
        struct session *fresh;
        TRY(session_open(session->server->warehouse, session->who, &fresh, info));
        session_set_client(fresh, session->client);
        session_set_protocol(fresh, SESSION_FLIGHT);
        session->main = fresh;
    }
    return session->template != NULL ? ERR_OK : flight__template_renew(session, info);
}

enum err flight__main_run(struct flight_session *session, struct slice statement,
                          struct errinfo *info)
{
    TRY(flight__turn_take(session, NULL, info));
    struct query *query = NULL;
    enum err err = flight__main(session, info);
    if (err == ERR_OK && session->main_run != NULL) {
        err = errinfo_set(info, ERR_BUSY, "55006",
                          "the session cannot be changed while rows of its last change are read");
    }
    err = err != ERR_OK ? err : query_open(session->main, statement, NULL, 0, &query, info);
    query_close(query);
    errinfo_position(info, 0); /* not of what they sent */
    err = err != ERR_OK ? err : flight__template_renew(session, info);
    flight__turn_give(session);
    return err;
}

enum err flight__apart(struct flight_session *session, struct session **ret_session,
                       struct errinfo *info)
{
    pthread_mutex_lock(&session->lock);
    bool has_template = session->template != NULL;
    pthread_mutex_unlock(&session->lock);
    if (!has_template) {
        TRY(flight__turn_take(session, NULL, info));
        enum err err = flight__main(session, info);
        flight__turn_give(session);
        TRY(err);
    }
    pthread_mutex_lock(&session->lock);
    enum err err = session_fork_apart(session->template, ret_session, info);
    pthread_mutex_unlock(&session->lock);
    return err;
}

enum err flight__transaction_check(struct flight_session *session, struct slice id,
                                   struct errinfo *info)
{
    pthread_mutex_lock(&session->lock);
    bool has = session->has_transaction;
    bool is_it = has && id.len == FLIGHT_ID_BYTES &&
                 hash_equal(id.ptr, session->transaction.bytes, FLIGHT_ID_BYTES);
    pthread_mutex_unlock(&session->lock);
    return id.len == 0 || is_it
               ? ERR_OK
               : errinfo_set(info, ERR_NOT_FOUND, "25P01", "there is no such transaction");
}

/* ---- time ---- */

static struct flight_run *find_expired_run(struct flight_session *session, int64_t now_us)
{
    pthread_mutex_lock(&session->lock);
    struct flight_run *run = session->runs;
    while (run != NULL && (run->is_taken || run->expires_us > now_us)) {
        run = run->next;
    }
    if (run != NULL) {
        run->refs++;
    }
    pthread_mutex_unlock(&session->lock);
    return run;
}

static void mind_session(struct flight_session *session, int64_t now_us, bool is_expired)
{
    for (struct flight_run *run; (run = find_expired_run(session, now_us)) != NULL;) {
        flight__run_stop(run);
        flight__run_forget(run);
        flight__run_unref(run);
    }
    if (is_expired) {
        flight__session_end(session);
    }
}

/* One after the other, each with a reference: the list may change meanwhile. */
void flight__sessions_mind(struct flight_server *server, int64_t now_us)
{
    pthread_mutex_lock(&server->lock);
    struct flight_session *session = server->sessions;
    if (session != NULL) {
        session->refs++;
    }
    pthread_mutex_unlock(&server->lock);
    while (session != NULL) {
        pthread_mutex_lock(&server->lock);
        bool is_idle = session->refs == 2 && session->has_token; /* the list's and this one */
        bool is_expired =
            server->is_closing || (is_idle && now_us - session->used_us > server->session_us);
        pthread_mutex_unlock(&server->lock);
        mind_session(session, now_us, is_expired);
        pthread_mutex_lock(&server->lock);
        struct flight_session *next = session->is_listed ? session->next : NULL;
        if (next != NULL) {
            next->refs++;
        }
        int64_t used_us = session->used_us;
        bool is_last = --session->refs == 0;
        session->used_us = is_last ? 0 : used_us;
        pthread_mutex_unlock(&server->lock);
        if (is_last) {
            close_session(session);
        }
        session = next;
    }
}
