/* Signing in from outside with a whole credential: the chain of providers, limits on tries, the
 * store's word on accounts, the audit trail.
 *
 * A refusal says one thing whatever was wrong. Where passwords go to a server elsewhere it also
 * takes one time: a local password that is wrong would be known in a millisecond. */
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "identity/guard.h"
#include "identity/provider.h"
#include "query/query_int.h"
#include "system/credentials.h"

#define SECRET_FILE_BYTES_MAX 4096u
#define CLIENT_BYTES_MAX 256u

/* ---- the providers, by the configuration ---- */

static enum err find_verifier(void *context, struct slice user, struct arena *arena,
                              struct slice *ret_verifier, struct errinfo *info)
{
    return system_password_verifier(context, user, arena, ret_verifier, info);
}

static enum err find_key(void *context, struct slice prefix, struct arena *arena, bool *ret_found,
                         struct stored_key *ret_key, struct errinfo *info)
{
    return system_api_key_find(context, prefix, arena, ret_found, ret_key, info);
}

static struct slice text_of(const struct config *config, enum config_key key)
{
    return slice_of(config_text(config, key));
}

static enum login_account account_of(const struct config *config)
{
    struct slice word = text_of(config, CONFIG_OIDC_ACCOUNT);
    return slice_equal(word, SLICE("required")) ? LOGIN_ACCOUNT_REQUIRED
           : slice_equal(word, SLICE("linked")) ? LOGIN_ACCOUNT_LINKED
                                                : LOGIN_ACCOUNT_SEPARATE;
}

static struct oidc_options oidc_options_of(const struct config *config)
{
    const char *ca_file = config_text(config, CONFIG_OIDC_CA_FILE);
    return (struct oidc_options){
        .issuer = text_of(config, CONFIG_OIDC_ISSUER),
        .audience = text_of(config, CONFIG_OIDC_AUDIENCE),
        .client_id = text_of(config, CONFIG_OIDC_CLIENT_ID),
        .client_secret_in_body =
            slice_equal(text_of(config, CONFIG_OIDC_CLIENT_AUTHENTICATION), SLICE("post")),
        .algorithms = text_of(config, CONFIG_OIDC_ALGORITHMS),
        .authorized_parties = text_of(config, CONFIG_OIDC_AUTHORIZED_PARTIES),
        .required_claims = text_of(config, CONFIG_OIDC_REQUIRED_CLAIMS),
        .subject_claim = text_of(config, CONFIG_OIDC_SUBJECT_CLAIM),
        .subject_rule = text_of(config, CONFIG_OIDC_SUBJECT_RULE),
        .name_claim = text_of(config, CONFIG_OIDC_NAME_CLAIM),
        .roles_claims = text_of(config, CONFIG_OIDC_ROLES_CLAIM),
        .role_prefix = text_of(config, CONFIG_OIDC_ROLE_PREFIX),
        .role_map = text_of(config, CONFIG_OIDC_ROLE_MAP),
        .roles_allowed = text_of(config, CONFIG_OIDC_ROLES_ALLOWED),
        .attributes = text_of(config, CONFIG_OIDC_ATTRIBUTES),
        .account = account_of(config),
        .skew_ms = config_duration_ms(config, CONFIG_OIDC_SKEW),
        .keys_age_max_ms = config_duration_ms(config, CONFIG_OIDC_KEYS_AGE),
        .keys_stale_max_ms = config_duration_ms(config, CONFIG_OIDC_KEYS_STALE),
        .keys_refresh_min_ms = config_duration_ms(config, CONFIG_OIDC_KEYS_PAUSE),
        .refresh_before_ms = config_duration_ms(config, CONFIG_OIDC_REFRESH_BEFORE),
        .timeout_ms = config_duration_ms(config, CONFIG_OIDC_TIMEOUT),
        .ca_file = ca_file[0] == '\0' ? NULL : ca_file,
        .insecure_loopback = config_bool(config, CONFIG_OIDC_INSECURE_LOOPBACK),
        .password_grant = config_bool(config, CONFIG_OIDC_PASSWORD_GRANT),
        .client_credentials = config_bool(config, CONFIG_OIDC_CLIENT_CREDENTIALS),
        .exchange_audience = text_of(config, CONFIG_OIDC_EXCHANGE_AUDIENCE),
        .scope = text_of(config, CONFIG_OIDC_SCOPE),
    };
}

/* A file that others can read is no secret. */
static enum err read_client_secret(const struct config *config, struct arena *arena,
                                   struct slice *ret_secret, struct errinfo *info)
{
    const char *path = config_text(config, CONFIG_OIDC_CLIENT_SECRET_FILE);
    struct stat status;
    *ret_secret = SLICE("");
    if (path[0] == '\0') {
        return ERR_OK;
    }
    bool is_private = path[0] == '/' && stat(path, &status) == 0 && S_ISREG(status.st_mode) &&
                      (status.st_mode & 077) == 0 && status.st_uid == geteuid();
    if (!is_private) {
        (void)errinfo_set(info, ERR_DENIED, NULL,
                          "the file of \"oidc.client_secret_file\" cannot be used");
        errinfo_hint(info, "Give its absolute path; it must belong to this server's user and be "
                           "closed to all others (mode 0600).");
        return ERR_DENIED;
    }
    TRY(io_read_file(arena, path, SECRET_FILE_BYTES_MAX, ret_secret, info));
    *ret_secret = slice_trim(*ret_secret);
    return ERR_OK;
}

static enum err open_chain(struct warehouse *warehouse, struct errinfo *info)
{
    const struct config *config = warehouse->config;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "providers", 0);
    struct slice secret;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    struct identity_chain_options options = {
        .providers = text_of(config, CONFIG_LOGIN_PROVIDERS),
        .store = {warehouse->system, find_verifier, find_key},
        .oidc = oidc_options_of(config),
        .certificate_rules = text_of(config, CONFIG_CERTIFICATE_RULES),
    };
    TRY(read_client_secret(config, arena, &secret, info));
    options.oidc.client_secret = secret;
    enum err err = identity_chain_open(&options, &warehouse->chain, info);
    if (secret.len > 0) {
        mem_wipe((void *)(uintptr_t)secret.ptr, secret.len);
    }
    return err;
}

enum err warehouse_open_login(struct warehouse *warehouse, struct errinfo *info)
{
    pthread_mutex_lock(&warehouse->chain_lock);
    enum err err = warehouse->chain != NULL ? ERR_OK : open_chain(warehouse, info);
    pthread_mutex_unlock(&warehouse->chain_lock);
    return err;
}

/* ---- one login ---- */

struct attempt {
    struct warehouse *warehouse;
    const struct credential *credential;
    struct slice client;
    int64_t started_us;
    struct refusal refusal;
};

static struct slice cut(struct slice text)
{
    size_t len = text.len < CLIENT_BYTES_MAX ? text.len : CLIENT_BYTES_MAX;
    while (len < text.len && len > 0 && ((unsigned char)text.ptr[len] & 0xC0) == 0x80) {
        len--; /* not inside a character */
    }
    return (struct slice){text.ptr, len};
}

static enum err audit_refusal(const struct attempt *attempt, const char *sqlstate,
                              struct errinfo *info)
{
    char id[UUID_TEXT_BYTES];
    TRY(uuid_new(id));
    struct audit_record record = {.kind = AUDIT_LOGIN,
                                  .is_lazy = true,
                                  .query_id = slice_of(id),
                                  .claimed_user = slice_of(attempt->refusal.claimed_user),
                                  .claimed_client = attempt->client,
                                  .reason = slice_of(attempt->refusal.reason),
                                  .refused_by = slice_of(attempt->refusal.provider),
                                  .command = SLICE("LOGIN"),
                                  .state = SLICE("FAILED"),
                                  .sqlstate = slice_of(sqlstate)};
    return audit_write(attempt->warehouse->audit, &record, info);
}

/* Until a refusal has taken the time that all take. */
static void wait_out(const struct attempt *attempt)
{
    const struct warehouse *warehouse = attempt->warehouse;
    int64_t least_us = config_duration_ms(warehouse->config, CONFIG_LOGIN_REFUSAL_TIME) * 1000;
    int64_t left_us = attempt->started_us + least_us - clock_mono_us();
    if (left_us > 0 && identity_chain_asks_elsewhere(warehouse->chain)) {
        struct timespec time = {left_us / 1000000, left_us % 1000000 * 1000};
        (void)nanosleep(&time, NULL); /* a signal cuts it short, for all alike */
    }
}

/* A token without a name counts for the address alone. */
static struct slice account_of_attempt(const struct credential *credential)
{
    return credential->user.len > 0 ? credential->user : credential->address;
}

static enum err check_tries(struct attempt *attempt, struct errinfo *info)
{
    int64_t wait_us;
    if (login_guard_enter(attempt->warehouse->guard, attempt->credential->address,
                          account_of_attempt(attempt->credential), attempt->started_us, &wait_us)) {
        return ERR_OK;
    }
    struct refusal *refusal = &attempt->refusal;
    (void)snprintf(refusal->reason, sizeof(refusal->reason), "too many tries");
    if (identity_name_is_valid(attempt->credential->user)) {
        (void)snprintf(refusal->claimed_user, sizeof(refusal->claimed_user), "%.*s",
                       SLICE_ARGS(attempt->credential->user));
    }
    TRY(audit_refusal(attempt, "53300", info));
    (void)errinfo_set(info, ERR_BUSY, "53300", "too many tries to sign in");
    errinfo_hint(info, "Try again in %lld seconds.", (long long)((wait_us + 999999) / 1000000));
    return ERR_BUSY;
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
    TRY(identity_chain_login(attempt->warehouse->chain, attempt->credential, arena, &login,
                             &attempt->refusal, info));
    return sign_in(attempt, &login, ret_identity, info);
}

enum err warehouse_login_credential(struct warehouse *warehouse,
                                    const struct credential *credential, struct slice client,
                                    struct identity **ret_identity, struct errinfo *info)
{
    struct errinfo local;
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    struct attempt attempt = {.warehouse = warehouse,
                              .credential = credential,
                              .client = cut(client),
                              .started_us = clock_mono_us(),
                              .refusal = {.provider = ""}};
    info = info != NULL ? info : &local;
    TRY(warehouse_open_login(warehouse, info));
    TRY(check_tries(&attempt, info));
    enum err err = try_login(&attempt, &who, info);
    if (err != ERR_OK) {
        struct errinfo trail;
        enum err audited = audit_refusal(&attempt, info->sqlstate, &trail);
        wait_out(&attempt);
        return audited == ERR_OK ? err : (*info = trail, audited);
    }
    TRY(warehouse_audit_login(warehouse, who, info));
    login_guard_succeeded(warehouse->guard, credential->address, account_of_attempt(credential),
                          clock_mono_us());
    *ret_identity = TAKE(who);
    return ERR_OK;
}
