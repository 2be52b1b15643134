/* Signing in from outside with a whole credential: the chain of providers, limits on tries, the
 * store's word on accounts, the audit trail.
 *
 * A refusal says one thing whatever was wrong. Where passwords go to a server elsewhere it also
 * takes one time: a local password that is wrong would be known in a millisecond. */
#include <time.h>

#include "base/clock.h"
#include "identity/guard.h"
#include "identity/provider.h"
#include "query/login/login_int.h"
#include "system/credentials.h"

/* ---- one login ---- */

struct attempt {
    struct warehouse *warehouse;
    struct login_setup *setup;
    const struct credential *credential;
    struct slice client;
    int64_t started_us;
    struct refusal refusal;
};

static enum err audit_refusal(const struct attempt *attempt, const char *sqlstate,
                              struct errinfo *info)
{
    struct login_refusal refusal = {.user = slice_of(attempt->refusal.claimed_user),
                                    .client = attempt->client,
                                    .provider = slice_of(attempt->refusal.provider),
                                    .reason = slice_of(attempt->refusal.reason),
                                    .sqlstate = sqlstate};
    return login_audit_refusal(attempt->warehouse, &refusal, info);
}

/* Until a refusal has taken the time that all take. */
static void wait_out(const struct attempt *attempt)
{
    const struct config *config = login_setup_config(attempt->setup);
    int64_t least_us = config_duration_ms(config, CONFIG_LOGIN_REFUSAL_TIME) * 1000;
    int64_t left_us = attempt->started_us + least_us - clock_mono_us();
    if (left_us > 0 && identity_chain_asks_elsewhere(login_setup_chain(attempt->setup))) {
        struct timespec time = {left_us / 1000000, left_us % 1000000 * 1000};
        (void)nanosleep(&time, NULL); /* a signal cuts it short, for all alike */
    }
}

/* A token without a name counts for the address alone. */
static struct slice account_of_attempt(const struct credential *credential)
{
    return credential->user.len > 0 ? credential->user : credential->address;
}

/* What the store says of somebody that a provider knows is for the trail too. */
static enum err sign_in(struct attempt *attempt, const struct login *login,
                        struct identity **ret_identity, struct errinfo *info)
{
    enum err err = system_sign_in(attempt->warehouse->system, login, attempt->client, SLICE(""),
                                  ret_identity, info);
    if (err == ERR_DENIED) {
        struct refusal *refusal = &attempt->refusal;
        (void)snprintf(refusal->reason, sizeof(refusal->reason), "%.255s", info->message);
        (void)snprintf(refusal->claimed_user, sizeof(refusal->claimed_user), "%.*s",
                       SLICE_ARGS(login->subject));
        refusal->provider = "";
        bool is_password = attempt->credential->kind == CREDENTIAL_PASSWORD;
        (void)errinfo_set(info, ERR_DENIED, is_password ? "28P01" : "28000",
                          "authentication failed");
    }
    return err;
}

static enum err try_login(struct attempt *attempt, struct identity **ret_identity,
                          struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "login", 0);
    struct login login CLEANUP(login_fini) = {0};
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(identity_chain_login(login_setup_chain(attempt->setup), attempt->credential, arena, &login,
                             &attempt->refusal, info));
    return sign_in(attempt, &login, ret_identity, info);
}

enum err warehouse_login_credential(struct warehouse *warehouse,
                                    const struct credential *credential, struct slice client,
                                    struct identity **ret_identity, struct errinfo *info)
{
    struct errinfo local;
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    struct login_setup *setup CLEANUP(login_setup_cleanup) = NULL;
    struct login_refusal early = {.user = credential->user, .client = client};
    struct attempt attempt = {.warehouse = warehouse,
                              .credential = credential,
                              .client = login_cut(client),
                              .refusal = {.provider = ""}};
    info = info != NULL ? info : &local;
    TRY(login_setup_take(warehouse, &setup, info));
    attempt.setup = setup;
    TRY(login_begin_try(warehouse, credential->address, account_of_attempt(credential), &early,
                        info));
    attempt.started_us = clock_mono_us();
    enum err err = try_login(&attempt, &who, info);
    login_guard_leave(warehouse->guard, credential->address, account_of_attempt(credential),
                      err == ERR_OK, clock_mono_us());
    if (err != ERR_OK) {
        struct errinfo trail;
        enum err audited = audit_refusal(&attempt, info->sqlstate, &trail);
        wait_out(&attempt);
        return audited == ERR_OK ? err : (*info = trail, audited);
    }
    TRY(warehouse_audit_login(warehouse, who, info));
    *ret_identity = TAKE(who);
    return ERR_OK;
}

enum err warehouse_login_token(struct warehouse *warehouse, struct slice access,
                               struct slice refresh, struct identity **ret_identity,
                               struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "login", 0);
    struct login_setup *setup CLEANUP(login_setup_cleanup) = NULL;
    struct slice os_user;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(login_setup_take(warehouse, &setup, info));
    if (!identity_chain_takes_tokens(login_setup_chain(setup))) {
        (void)errinfo_set(info, ERR_INVALID, "22023", "this warehouse knows nobody by a token");
        errinfo_hint(info, "Set login.providers to oidc, and the keys oidc.issuer and "
                           "oidc.audience.");
        return ERR_INVALID;
    }
    TRY(identity_os_user(arena, &os_user, info));
    const char *client = arena_printf(arena, "embedded, run by \"%.*s\"", SLICE_ARGS(os_user));
    const struct credential credential = {.kind = CREDENTIAL_TOKEN,
                                          .secret = access,
                                          .refresh = refresh,
                                          .address = SLICE("127.0.0.1")};
    if (client == NULL) {
        return errinfo_nomem(info);
    }
    enum err err =
        warehouse_login_credential(warehouse, &credential, slice_of(client), ret_identity, info);
    if (err == ERR_DENIED && info != NULL && info->hint[0] == '\0') {
        errinfo_hint(info, "Why is in the audit trail: moat_system.audit, as its owner.");
    }
    return err;
}
