/* People's sessions. */
#include <errno.h>

#include "base/arena.h"
#include "base/mem.h"
#include "embed/embed_int.h"
#include "identity/provider.h"
#include "query/clients.h"
#include "query/login.h"

/* ---- what others may do to it (query/clients.h) ---- */

static void cancel_runs(struct moat_session *session)
{
    for (struct embed_run *run = session->runs; run != NULL; run = run->next) {
        session_cancel(run->on);
    }
}

static void cancel(void *context)
{
    moat_cancel(context);
}

static void terminate(void *context, UNUSED enum client_end why)
{
    struct moat_session *session = context;
    (void)pthread_mutex_lock(&session->lock);
    session->is_terminated = true;
    cancel_runs(session);
    pthread_mutex_unlock(&session->lock);
}

void moat_cancel(struct moat_session *session)
{
    (void)pthread_mutex_lock(&session->lock);
    cancel_runs(session);
    pthread_mutex_unlock(&session->lock);
}

/* ---- life ---- */

static enum err init_locks(struct moat_session *session, struct errinfo *info)
{
    pthread_mutexattr_t recursive;
    if (pthread_mutexattr_init(&recursive) != 0) {
        return errinfo_nomem(info);
    }
    (void)pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    (void)pthread_mutex_init(&session->turn, &recursive);
    (void)pthread_mutexattr_destroy(&recursive);
    (void)pthread_mutex_init(&session->lock, NULL);
    return ERR_OK;
}

static enum err open_parts(struct moat_session *session, struct identity *who, struct errinfo *info)
{
    struct warehouse *warehouse = session->database->warehouse;
    session->who = identity_ref(who);
    session->user = mem_slicedup(identity_subject(who));
    if (session->user == NULL) {
        return errinfo_nomem(info);
    }
    const struct client_spec spec = {.protocol = "embedded",
                                     .who = who,
                                     .application = slice_of(program_invocation_short_name),
                                     .context = session,
                                     .cancel = cancel,
                                     .terminate = terminate};
    TRY(client_open(warehouse, &spec, &session->client, info));
    TRY(session_open(warehouse, who, &session->main, info));
    session_set_client(session->main, session->client);
    session_set_protocol(session->main, SESSION_LIBRARY);
    return ERR_OK;
}

enum err embed__session_open(struct moat_database *database, struct identity *who,
                             struct moat_session **ret_session, struct errinfo *info)
{
    struct moat_session *session = mem_calloc(1, sizeof(*session));
    enum err err = session == NULL ? errinfo_nomem(info) : init_locks(session, info);
    if (err != ERR_OK) {
        mem_free(session);
        return err;
    }
    embed__database_ref(database);
    session->database = database;
    session->references = 1;
    err = open_parts(session, who, info);
    if (err != ERR_OK) {
        embed__session_unref(session);
        return err;
    }
    *ret_session = session;
    return ERR_OK;
}

void embed__session_ref(struct moat_session *session)
{
    atomic_fetch_add(&session->references, 1);
}

void embed__session_unref(struct moat_session *session)
{
    if (atomic_fetch_sub(&session->references, 1) > 1) {
        return;
    }
    session_close(session->main);
    client_close(session->client);
    if (session->who != NULL) {
        identity_unref(session->who);
    }
    pthread_mutex_destroy(&session->turn);
    pthread_mutex_destroy(&session->lock);
    moat_close(session->database);
    mem_free(session->user);
    mem_free(session);
}

void moat_session_close(struct moat_session *session)
{
    if (session == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&session->lock);
    session->is_closed = true;
    pthread_mutex_unlock(&session->lock);
    embed__session_unref(session);
}

const char *moat_session_user(const struct moat_session *session)
{
    return session->user;
}

enum err embed__session_check(struct moat_session *session, struct errinfo *info)
{
    (void)pthread_mutex_lock(&session->lock);
    bool is_closed = session->is_closed;
    bool is_terminated = session->is_terminated;
    pthread_mutex_unlock(&session->lock);
    if (is_closed) {
        return errinfo_set(info, ERR_INVALID, "08003", "the session is closed");
    }
    return is_terminated ? errinfo_set(info, ERR_CANCELLED, "57P01",
                                       "the session was ended by somebody who may")
                         : ERR_OK;
}

/* ---- signing in ---- */

/* The session is of `who`, who is let go of, if `err` says that they are known. */
static enum moat_status finish(enum err err, struct moat_database *database, struct identity *who,
                               struct moat_session **ret_session, struct errinfo *info,
                               struct moat_error *error)
{
    struct moat_session *session;
    if (err == ERR_OK) {
        err = embed__session_open(database, who, &session, info);
        identity_unref(who);
    }
    if (err == ERR_OK) {
        *ret_session = session;
    }
    return embed__status(err, info, error);
}

enum moat_status moat_sign_in_local(struct moat_database *database, const char *as,
                                    struct moat_session **ret_session, struct moat_error *error)
{
    struct errinfo info;
    struct identity *who = NULL;
    errinfo_init(&info);
    enum err err = warehouse_login_local(database->warehouse, slice_of(as), &who, &info);
    return finish(err, database, who, ret_session, &info, error);
}

static enum err sign_in_password(struct moat_database *database, const char *user,
                                 const char *password, struct identity **ret_who,
                                 struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "login", 0);
    struct slice os_user;
    if (user == NULL || user[0] == '\0' || password == NULL) {
        return errinfo_set(info, ERR_INVALID, "22023", "a sign-in needs a user and a password");
    }
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(identity_os_user(arena, &os_user, info));
    const char *client = arena_printf(arena, "embedded, run by \"%.*s\"", SLICE_ARGS(os_user));
    if (client == NULL) {
        return errinfo_nomem(info);
    }
    const struct credential credential = {.kind = CREDENTIAL_PASSWORD,
                                          .user = slice_of(user),
                                          .secret = slice_of(password),
                                          .address = SLICE("127.0.0.1")};
    return warehouse_login_credential(database->warehouse, &credential, slice_of(client), ret_who,
                                      info);
}

enum moat_status moat_sign_in_password(struct moat_database *database, const char *user,
                                       const char *password, struct moat_session **ret_session,
                                       struct moat_error *error)
{
    struct errinfo info;
    struct identity *who = NULL;
    errinfo_init(&info);
    enum err err = sign_in_password(database, user, password, &who, &info);
    return finish(err, database, who, ret_session, &info, error);
}

enum moat_status moat_sign_in_token(struct moat_database *database, const char *token,
                                    const char *refresh, struct moat_session **ret_session,
                                    struct moat_error *error)
{
    struct errinfo info;
    struct identity *who = NULL;
    errinfo_init(&info);
    enum err err = token == NULL || token[0] == '\0'
                       ? errinfo_set(&info, ERR_INVALID, "22023", "a sign-in needs a token")
                       : warehouse_login_token(database->warehouse, slice_of(token),
                                               slice_of(refresh), &who, &info);
    return finish(err, database, who, ret_session, &info, error);
}

enum moat_status moat_session_again(struct moat_session *session, struct moat_session **ret_session,
                                    struct moat_error *error)
{
    struct errinfo info;
    errinfo_init(&info);
    TURN(session);
    enum err err = embed__session_check(session, &info);
    struct identity *who = err == ERR_OK ? identity_ref(session->who) : NULL;
    return finish(err, session->database, who, ret_session, &info, error);
}

/* ---- blocks ---- */

static enum moat_status run_words(struct moat_session *session, const char *sql,
                                  struct moat_error *error)
{
    struct errinfo info;
    errinfo_init(&info);
    TURN(session);
    return embed__status(embed__run_text(session, sql, &info), &info, error);
}

enum moat_status moat_begin(struct moat_session *session, struct moat_error *error)
{
    return run_words(session, "BEGIN", error);
}

enum moat_status moat_commit(struct moat_session *session, struct moat_error *error)
{
    return run_words(session, "COMMIT", error);
}

enum moat_status moat_rollback(struct moat_session *session, struct moat_error *error)
{
    return run_words(session, "ROLLBACK", error);
}
