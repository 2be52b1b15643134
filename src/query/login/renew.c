/* Who asks, as the store and their provider have them now. Their roles and attributes decide what a
 * statement shows, so what sign-in said is good only until the store changes or the token ends. */
#include "base/clock.h"
#include "identity/provider.h"
#include "query/query_int.h"
#include "system/credentials.h"

/* A renewal may bring other roles and attributes, never another person. */
static enum err sign_in_again(struct session *session, struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "refresh", 0);
    struct identity *old = session->who;
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    struct login login CLEANUP(login_fini) = {0};
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(identity_refresh(old, arena, &login, info));
    login.provider = identity_provider(old);
    TRY(system_sign_in(session->warehouse->system, &login, identity_client(old),
                       identity_session_id(old), &who, info));
    if (!slice_equal(identity_subject(who), identity_subject(old)) ||
        identity_principal(who) != identity_principal(old)) {
        (void)errinfo_set(info, ERR_DENIED, "28000", "the session's person has another name now");
        errinfo_hint(info, "Connect anew, and sign in again.");
        return ERR_DENIED;
    }
    identity_unref(session->who);
    session->who = TAKE(who);
    return ERR_OK;
}

static enum err check_expiry(const struct session *session, int64_t now_us, struct errinfo *info)
{
    if (!identity_is_expired(session->who, now_us)) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_DENIED, "28000", "the session's sign-in has expired");
    errinfo_hint(info, "Connect anew, and sign in again.");
    return ERR_DENIED;
}

/* Nobody asks on with a sign-in that has expired; one that can be renewed is, before it does. */
static enum err check_sign_in(struct session *session, struct errinfo *info)
{
    int64_t now_us = clock_wall_us();
    if (identity_wants_refresh(session->who, now_us)) {
        enum err err = sign_in_again(session, info);
        bool can_wait = err == ERR_BUSY && !identity_is_expired(session->who, now_us);
        if (err != ERR_OK && !can_wait) {
            return err;
        }
        now_us = clock_wall_us();
    }
    return check_expiry(session, now_us, info);
}

/* Looks the session's person up again if the store has changed: a role or an attribute that was
 * taken away, or a user that was dropped, is so at the next statement. What is open goes on as who
 * began it. */
static enum err renew(struct session *session, struct errinfo *info)
{
    struct system *system = session->warehouse->system;
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    uint64_t version;
    TRY(system_version(system, &version, info));
    if (version == session->system_version) {
        return ERR_OK;
    }
    TRY(system_renew(system, session->who, &who, info));
    if (session->query != NULL) {
        return ERR_OK;
    }
    if (identity_fingerprint(who) != identity_fingerprint(session->who)) {
        identity_unref(session->who);
        session->who = TAKE(who);
    }
    session->system_version = version;
    return ERR_OK;
}

enum err session_check(struct session *session, struct errinfo *info)
{
    enum err err = session->query == NULL ? check_sign_in(session, info)
                                          : check_expiry(session, clock_wall_us(), info);
    if (err == ERR_OK) {
        err = renew(session, info);
    }
    session->is_over = session->is_over || err == ERR_DENIED;
    return err;
}

bool session_is_over(const struct session *session)
{
    return session->is_over;
}
