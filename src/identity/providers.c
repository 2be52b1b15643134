/* The providers that need no network: passwords and API keys of the store, certificates. All
 * their people have accounts in the warehouse. */
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "identity/certificate_int.h"
#include "identity/jose_int.h"
#include "identity/provider_int.h"

struct local {
    struct identity_store store;
    struct identity_clock clock;
    char nobody[SCRAM_VERIFIER_BYTES]; /* password: a verifier that nothing fits */
    struct arena *arena;               /* certificate: the rules */
    struct slice rules;
};

static void close_local(void *self)
{
    struct local *local = self;
    if (local != NULL) {
        arena_free(local->arena);
        mem_wipe(local, sizeof(*local));
        mem_free(local);
    }
}

static void close_local_cleanup(struct local **local)
{
    close_local(*local);
}

static enum err open_local(const struct identity_chain_options *options, struct local **ret_local,
                           struct errinfo *info)
{
    struct local *local = mem_calloc(1, sizeof(*local));
    if (local == NULL) {
        return errinfo_nomem(info);
    }
    local->store = options->store;
    local->clock = *provider__clock(options->clock);
    *ret_local = local;
    return ERR_OK;
}

/* ---- passwords ---- */

/* A key or a token by its form: somebody who has a password may show those as well. */
static bool is_of_others(struct slice secret)
{
    struct api_key key;
    bool is_key = api_key_parse(secret, &key);
    if (is_key) {
        mem_wipe(&key, sizeof(key));
    }
    return is_key || jwt_is_like(secret);
}

/* As much work for a user who is not, or has no password, as for one who has; a password is hashed
 * in any case. Who has no password here may be known to another provider: not ours. */
static enum err check_password(void *self, const struct credential *credential, struct arena *arena,
                               struct login *ret_login, enum provider_answer *ret_answer,
                               struct refusal *refusal, struct errinfo *info)
{
    struct local *local = self;
    struct slice verifier;
    *ret_answer = PROVIDER_NOT_MINE;
    if (credential->kind != CREDENTIAL_PASSWORD || credential->user.len == 0) {
        return ERR_OK;
    }
    TRY(local->store.find_verifier(local->store.context, credential->user, arena, &verifier, info));
    bool is_known = verifier.len > 0;
    bool is_right =
        scram_verifier_check(is_known ? verifier : slice_of(local->nobody), credential->secret);
    if (!is_known || (!is_right && is_of_others(credential->secret))) {
        return ERR_OK;
    }
    if (!is_right) {
        *ret_answer = provider__wrong(refusal, "the password is wrong");
        return ERR_OK;
    }
    *ret_login = (struct login){.provider = SLICE("password"),
                                .subject = credential->user,
                                .account = LOGIN_ACCOUNT_REQUIRED,
                                .may_be_owner = true,
                                .is_user_settled = true};
    *ret_answer = PROVIDER_OK;
    return ERR_OK;
}

static const struct provider_methods password_methods = {"password", check_password, close_local};

enum err password_provider_open(const struct identity_chain_options *options,
                                struct provider *ret_provider, struct errinfo *info)
{
    struct local *local CLEANUP(close_local_cleanup) = NULL;
    uint8_t random[24];
    char password[2 * sizeof(random) + 1];
    TRY(open_local(options, &local, info));
    if (random_bytes(random, sizeof(random)) != ERR_OK) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "there are no random numbers");
    }
    hash_hex(random, sizeof(random), password);
    enum err err =
        scram_verifier_new(slice_of(password), SCRAM_ITERATIONS_DEFAULT, local->nobody, info);
    mem_wipe(random, sizeof(random));
    mem_wipe(password, sizeof(password));
    TRY(err);
    *ret_provider = (struct provider){&password_methods, TAKE(local)};
    return ERR_OK;
}

/* ---- API keys ---- */

static void wipe_key(struct api_key *key)
{
    mem_wipe(key, sizeof(*key));
}

/* A key with the right check is ours; whether there is one of that prefix shows in nothing but an
 * index look-up. */
static enum err check_key(void *self, const struct credential *credential, struct arena *arena,
                          struct login *ret_login, enum provider_answer *ret_answer,
                          struct refusal *refusal, struct errinfo *info)
{
    struct local *local = self;
    struct api_key key CLEANUP(wipe_key) = {0};
    struct stored_key stored = {0};
    bool is_found = false;
    *ret_answer = PROVIDER_NOT_MINE;
    if ((credential->kind != CREDENTIAL_PASSWORD && credential->kind != CREDENTIAL_TOKEN) ||
        !api_key_parse(credential->secret, &key)) {
        return ERR_OK;
    }
    TRY(local->store.find_key(local->store.context, slice_of(key.prefix), arena, &is_found, &stored,
                              info));
    bool is_right = hash_equal(key.hash, stored.hash, sizeof(key.hash)) && is_found;
    int64_t now_us = local->clock.wall_us(local->clock.context);
    if (!is_right) {
        *ret_answer = provider__wrong(refusal, "there is no such API key as %s", key.prefix);
    } else if (stored.is_revoked) {
        *ret_answer = provider__wrong(refusal, "the API key %s is revoked", key.prefix);
    } else if (stored.expires_wall_us != 0 && now_us >= stored.expires_wall_us) {
        *ret_answer = provider__wrong(refusal, "the API key %s has expired", key.prefix);
    } else {
        const char *prefix = arena_strdup(arena, key.prefix);
        if (prefix == NULL) {
            return errinfo_nomem(info);
        }
        *ret_login = (struct login){.provider = SLICE("apikey"),
                                    .subject = stored.user,
                                    .principal = stored.principal,
                                    .expires_wall_us = stored.expires_wall_us,
                                    .account = LOGIN_ACCOUNT_REQUIRED,
                                    .may_be_owner = true,
                                    .api_key = slice_of(prefix)};
        *ret_answer = PROVIDER_OK;
    }
    return ERR_OK;
}

static const struct provider_methods key_methods = {"apikey", check_key, close_local};

enum err api_key_provider_open(const struct identity_chain_options *options,
                               struct provider *ret_provider, struct errinfo *info)
{
    struct local *local = NULL;
    TRY(open_local(options, &local, info));
    *ret_provider = (struct provider){&key_methods, local};
    return ERR_OK;
}

/* ---- certificates ---- */

static enum err check_certificate(void *self, const struct credential *credential,
                                  struct arena *arena, struct login *ret_login,
                                  enum provider_answer *ret_answer, struct refusal *refusal,
                                  struct errinfo *info)
{
    struct local *local = self;
    struct certificate_names *names = arena_calloc(arena, 1, sizeof(*names));
    struct slice user;
    bool is_found = false;
    bool is_exact = false;
    if (names == NULL) {
        return errinfo_nomem(info);
    }
    *ret_answer = PROVIDER_NOT_MINE;
    if (credential->kind != CREDENTIAL_CERTIFICATE) {
        return ERR_OK;
    }
    enum err err = certificate_read(credential->certificate, arena, names, info);
    if (err == ERR_INVALID) {
        *ret_answer = provider__wrong(refusal, "%s", info->message);
        return ERR_OK;
    }
    TRY(err);
    TRY(certificate_map(names, local->rules, arena, &is_found, &user, &is_exact, info));
    if (local->clock.wall_us(local->clock.context) >= names->expires_wall_us) {
        *ret_answer = provider__wrong(refusal, "the certificate has expired");
    } else if (!is_found || !identity_name_is_valid(user)) {
        *ret_answer = provider__wrong(refusal, "no rule is for the certificate");
    } else {
        *ret_login = (struct login){.provider = SLICE("certificate"),
                                    .subject = user,
                                    .expires_wall_us = names->expires_wall_us,
                                    .account = LOGIN_ACCOUNT_REQUIRED,
                                    .may_be_owner = is_exact};
        *ret_answer = PROVIDER_OK;
    }
    return ERR_OK;
}

static const struct provider_methods certificate_methods = {"certificate", check_certificate,
                                                            close_local};

enum err certificate_provider_open(const struct identity_chain_options *options,
                                   struct provider *ret_provider, struct errinfo *info)
{
    struct local *local CLEANUP(close_local_cleanup) = NULL;
    if (options->certificate_rules.len == 0) {
        (void)errinfo_set(info, ERR_INVALID, "22023", "\"certificate.rules\" is not set");
        errinfo_hint(info, "They say whose a certificate is: \"email:*@example.com => {1}\".");
        return ERR_INVALID;
    }
    TRY(certificate_check_rules(options->certificate_rules, info));
    TRY(open_local(options, &local, info));
    local->arena = arena_new(NULL, "certificate rules", 0);
    if (local->arena == NULL ||
        !arena_slice(local->arena, options->certificate_rules, &local->rules)) {
        return errinfo_nomem(info);
    }
    *ret_provider = (struct provider){&certificate_methods, TAKE(local)};
    return ERR_OK;
}
