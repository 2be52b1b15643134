/* What a client is asked for at the door. */
#include "base/clock.h"
#include "identity/guard.h"
#include "query/login/login_int.h"

enum err warehouse_login_offer(struct warehouse *warehouse, const struct login_hello *hello,
                               struct slice address, struct slice client,
                               struct login_offer *ret_offer, struct errinfo *info)
{
    struct errinfo local;
    struct login_setup *setup CLEANUP(login_setup_cleanup) = NULL;
    info = info != NULL ? info : &local;
    TRY(login_setup_take(warehouse, &setup, info));
    enum err err = identity_chain_offer(login_setup_chain(setup), hello, ret_offer, info);
    if (err == ERR_DENIED || err == ERR_INVALID) {
        struct login_refusal refusal = {.user = hello->user,
                                        .client = client,
                                        .reason = slice_of(info->message),
                                        .sqlstate = info->sqlstate};
        struct errinfo trail;
        enum err told = login_check_tries(warehouse, address, address, &refusal, &trail);
        if (told == ERR_OK) {
            login_guard_blame(warehouse->guard, address, address, clock_mono_us());
            told = login_audit_refusal(warehouse, &refusal, &trail);
        }
        return told == ERR_OK ? err : (*info = trail, told);
    }
    return err;
}

enum err warehouse_login_discovery(struct warehouse *warehouse, struct buf *ret_answer,
                                   struct errinfo *info)
{
    struct login_setup *setup CLEANUP(login_setup_cleanup) = NULL;
    TRY(login_setup_take(warehouse, &setup, info));
    const struct config *config = login_setup_config(setup);
    oauthbearer_failure(slice_of(config_text(config, CONFIG_OIDC_ISSUER)),
                        slice_of(config_text(config, CONFIG_OIDC_SCOPE)), ret_answer);
    return buf_failed(ret_answer) ? errinfo_nomem(info) : ERR_OK;
}

enum err warehouse_browser_address(struct warehouse *warehouse,
                                   const struct identity_browser *browser,
                                   struct secret *ret_address, struct errinfo *info)
{
    struct login_setup *setup CLEANUP(login_setup_cleanup) = NULL;
    TRY(login_setup_take(warehouse, &setup, info));
    return identity_browser_address(login_setup_chain(setup), browser, ret_address, info);
}

enum err warehouse_browser_token(struct warehouse *warehouse,
                                 const struct identity_browser *browser, struct slice code,
                                 struct slice issuer, struct secret *ret_token,
                                 struct errinfo *info)
{
    struct login_setup *setup CLEANUP(login_setup_cleanup) = NULL;
    TRY(login_setup_take(warehouse, &setup, info));
    return identity_browser_token(login_setup_chain(setup), browser, code, issuer, ret_token, info);
}
