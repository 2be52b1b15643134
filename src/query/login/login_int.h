/* Signing in from outside: what its files share. */
#pragma once

#include "identity/provider.h"
#include "query/login.h"
#include "query/query_int.h"

struct login_setup;

/* The providers as they are now, made if that is not done; a reference. */
MUST_USE enum err login_setup_take(struct warehouse *warehouse, struct login_setup **ret_setup,
                                   struct errinfo *info);
void login_setup_unref(struct login_setup *setup);
DEFINE_CLEANUP(struct login_setup, login_setup_cleanup, login_setup_unref)
struct identity_chain *login_setup_chain(const struct login_setup *setup);
const struct config *login_setup_config(const struct login_setup *setup);

/* What a client says of itself: so much of it as is kept, and not half a character. */
struct slice login_cut(struct slice text);

/* Why somebody was not let in, for the trail. */
struct login_refusal {
    struct slice user;   /* as claimed; shown only if it is a name */
    struct slice client; /* address and program */
    struct slice provider;
    struct slice reason;
    const char *sqlstate;
};
MUST_USE enum err login_audit_refusal(struct warehouse *warehouse,
                                      const struct login_refusal *refusal, struct errinfo *info);
/* For what comes before a try. ERR_BUSY (53300): too many were wrong; audited, but of a flood only
 * so much. */
MUST_USE enum err login_check_tries(struct warehouse *warehouse, struct slice address,
                                    struct slice account, const struct login_refusal *who,
                                    struct errinfo *info);
/* Counts a try, which login_guard_leave ends; waits for others under way. ERR_BUSY as above. */
MUST_USE enum err login_begin_try(struct warehouse *warehouse, struct slice address,
                                  struct slice account, const struct login_refusal *who,
                                  struct errinfo *info);
