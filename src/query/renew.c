/* Who asks, as the store has them now. Their roles and attributes decide what a statement shows, so
 * what sign-in said is good only until the store changes. */
#include "query/query_int.h"

enum err session_renew(struct session *session, struct errinfo *info)
{
    struct system *system = session->warehouse->system;
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    uint64_t version;
    ASSERT(session->query == NULL);
    TRY(system_version(system, &version, info));
    if (version == session->system_version) {
        return ERR_OK;
    }
    TRY(system_renew(system, session->who, &who, info));
    if (identity_fingerprint(who) != identity_fingerprint(session->who)) {
        identity_unref(session->who);
        session->who = TAKE(who);
    }
    session->system_version = version;
    return ERR_OK;
}
