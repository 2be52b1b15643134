/* The providers that the configuration names: made at the start, and anew when it is loaded again.
 * Counted, since logins that are under way end with those that they began with. */
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "query/login/login_int.h"
#include "system/credentials.h"

#define SECRET_FILE_BYTES_MAX 4096u

struct login_setup {
    atomic_uint references;
    struct config *config; /* a copy: what it was made by */
    struct identity_chain *chain;
};

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

static enum err open_chain(struct warehouse *warehouse, const struct config *config,
                           struct identity_chain **ret_chain, struct errinfo *info)
{
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
        .ask = text_of(config, CONFIG_LOGIN_ASK),
    };
    TRY(read_client_secret(config, arena, &secret, info));
    options.oidc.client_secret = secret;
    enum err err = identity_chain_open(&options, ret_chain, info);
    if (secret.len > 0) {
        mem_wipe((void *)(uintptr_t)secret.ptr, secret.len);
    }
    return err;
}

static enum err check_browser(const struct config *config, const struct identity_chain *chain,
                              struct errinfo *info)
{
    struct slice url = text_of(config, CONFIG_LOGIN_BROWSER_URL);
    if (url.len == 0) {
        return ERR_OK;
    }
    bool allows_loopback = config_bool(config, CONFIG_LOGIN_INSECURE_LOOPBACK);
    return identity_browser_check(chain, url, allows_loopback, info);
}

/* ---- life ---- */

void login_setup_unref(struct login_setup *setup)
{
    if (setup != NULL && atomic_fetch_sub(&setup->references, 1) == 1) {
        identity_chain_close(setup->chain);
        config_free(setup->config);
        mem_free(setup);
    }
}

static enum err setup_new(struct warehouse *warehouse, const struct config *config,
                          struct login_setup **ret_setup, struct errinfo *info)
{
    struct login_setup *setup CLEANUP(login_setup_cleanup) = mem_calloc(1, sizeof(*setup));
    if (setup == NULL) {
        return errinfo_nomem(info);
    }
    atomic_init(&setup->references, 1);
    TRY(config_copy(config, &setup->config, info));
    TRY(open_chain(warehouse, setup->config, &setup->chain, info));
    TRY(check_browser(setup->config, setup->chain, info));
    *ret_setup = TAKE(setup);
    return ERR_OK;
}

enum err login_setup_take(struct warehouse *warehouse, struct login_setup **ret_setup,
                          struct errinfo *info)
{
    pthread_mutex_lock(&warehouse->setup_lock);
    enum err err = warehouse->setup != NULL
                       ? ERR_OK
                       : setup_new(warehouse, warehouse->config, &warehouse->setup, info);
    if (err == ERR_OK) {
        atomic_fetch_add(&warehouse->setup->references, 1);
        *ret_setup = warehouse->setup;
    }
    pthread_mutex_unlock(&warehouse->setup_lock);
    return err;
}

struct identity_chain *login_setup_chain(const struct login_setup *setup)
{
    return setup->chain;
}

const struct config *login_setup_config(const struct login_setup *setup)
{
    return setup->config;
}

enum err warehouse_open_login(struct warehouse *warehouse, struct errinfo *info)
{
    struct login_setup *setup CLEANUP(login_setup_cleanup) = NULL;
    return login_setup_take(warehouse, &setup, info);
}

enum err warehouse_reload_login(struct warehouse *warehouse, const struct config *config,
                                struct errinfo *info)
{
    struct login_setup *fresh;
    TRY(setup_new(warehouse, config, &fresh, info));
    pthread_mutex_lock(&warehouse->setup_lock);
    struct login_setup *old = warehouse->setup;
    warehouse->setup = fresh;
    pthread_mutex_unlock(&warehouse->setup_lock);
    login_setup_unref(old);
    return ERR_OK;
}
