/* The provider: whose a token is, and tokens for who has a password or is a client. */
#include "base/clock.h"
#include "base/mem.h"
#include "identity/oidc_int.h"

#define CLIENT_MARK "client:" /* before the user's name: it is a client's id */

/* ---- life ---- */

int64_t oidc__wall_us(const struct oidc *oidc)
{
    return oidc->clock.wall_us(oidc->clock.context);
}

int64_t oidc__mono_us(const struct oidc *oidc)
{
    return oidc->clock.mono_us(oidc->clock.context);
}

struct oidc *oidc__ref(struct oidc *oidc)
{
    unsigned before = atomic_fetch_add_explicit(&oidc->references, 1, memory_order_relaxed);
    ASSERT(before > 0);
    return oidc;
}

void oidc__unref(struct oidc *oidc)
{
    if (oidc == NULL || atomic_fetch_sub_explicit(&oidc->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    jwks_unref(oidc->keys.jwks);
    oidc__document_fini(&oidc->document);
    secret_fini(&oidc->client_secret);
    pthread_cond_destroy(&oidc->changed);
    pthread_mutex_destroy(&oidc->lock);
    arena_free(oidc->arena);
    mem_free(oidc);
}

static void close_oidc(void *self)
{
    oidc__unref(self);
}

static enum err missing(struct errinfo *info, const char *key, const char *what)
{
    (void)errinfo_set(info, ERR_INVALID, "22023", "\"%s\" is not set", key);
    errinfo_hint(info, "%s", what);
    return ERR_INVALID;
}

static enum err check_options(const struct oidc_options *options, struct errinfo *info)
{
    struct slice list = options->audience;
    struct slice item;
    if (options->issuer.len == 0) {
        return missing(info, "oidc.issuer", "It is the address that the tokens' iss claim has.");
    }
    if (!fetch_url_is_allowed(options->issuer, oidc__plain(options))) {
        (void)errinfo_set(info, ERR_INVALID, "22023",
                          "\"oidc.issuer\" must be an https:// address");
        errinfo_hint(info, "For a provider on this machine that is under development, set "
                           "\"oidc.insecure_loopback\".");
        return ERR_INVALID;
    }
    if (!list_next(&list, ',', &item)) {
        return missing(info, "oidc.audience",
                       "Without it tokens meant for other services would open this one.");
    }
    bool needs_client = options->password_grant || options->exchange_audience.len > 0;
    if (needs_client && options->client_id.len == 0) {
        return missing(info, "oidc.client_id",
                       "Passwords and exchanges are asked for as this client.");
    }
    if (options->client_secret.len > 0 && options->client_id.len == 0) {
        return missing(info, "oidc.client_id", "There is a secret of it.");
    }
    return claims_check_options(options, info);
}

static bool copy_options(struct oidc *oidc, const struct oidc_options *options)
{
    struct oidc_options *to = &oidc->options;
    *to = *options;
    to->client_secret = SLICE("");
    struct slice *texts[] = {&to->issuer,        &to->audience,           &to->client_id,
                             &to->algorithms,    &to->authorized_parties, &to->required_claims,
                             &to->subject_claim, &to->subject_rule,       &to->name_claim,
                             &to->roles_claims,  &to->role_prefix,        &to->role_map,
                             &to->roles_allowed, &to->attributes,         &to->exchange_audience,
                             &to->scope};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        if (!arena_slice(oidc->arena, *texts[i], texts[i])) {
            return false;
        }
    }
    to->ca_file = options->ca_file == NULL ? NULL : arena_strdup(oidc->arena, options->ca_file);
    return (options->ca_file == NULL) == (to->ca_file == NULL) &&
           secret_copy(options->client_secret, &oidc->client_secret);
}

DEFINE_CLEANUP(struct oidc, oidc_cleanup, oidc__unref)

static enum err authenticate(void *self, const struct credential *credential, struct arena *arena,
                             struct login *ret_login, enum provider_answer *ret_answer,
                             struct refusal *refusal, struct errinfo *info);

static const struct provider_methods methods = {OIDC_PROVIDER_NAME, authenticate, close_oidc};

enum err oidc_provider_open(const struct identity_chain_options *options,
                            struct provider *ret_provider, struct errinfo *info)
{
    TRY(check_options(&options->oidc, info));
    struct oidc *oidc CLEANUP(oidc_cleanup) = mem_calloc(1, sizeof(*oidc));
    if (oidc == NULL) {
        return errinfo_nomem(info);
    }
    atomic_init(&oidc->references, 1);
    pthread_mutex_init(&oidc->lock, NULL);
    pthread_cond_init(&oidc->changed, NULL);
    oidc->arena = arena_new(NULL, "oidc", 0);
    if (oidc->arena == NULL || !copy_options(oidc, &options->oidc)) {
        return errinfo_nomem(info);
    }
    TRY(jose_algorithms(oidc->options.algorithms, &oidc->algorithms, info));
    if (oidc->algorithms == 0) {
        return missing(info, "oidc.algorithms", "At least one is needed.");
    }
    oidc->clock = *provider__clock(options->clock);
    *ret_provider = (struct provider){&methods, TAKE(oidc)};
    return ERR_OK;
}

/* ---- sign in ---- */

/* Who a genuine token is, with the credential that keeps it. */
static enum err finish(struct oidc *oidc, const struct oidc_sign_in *sign_in, struct arena *arena,
                       struct login *ret_login, struct errinfo *info)
{
    struct oidc_token token;
    struct login login;
    TRY(oidc_verify(oidc, sign_in->access, arena, &token, info));
    TRY(oidc_login_of(oidc, &token, arena, &login, info));
    TRY(identity_credential_new(oidc, sign_in, &token, &login.credential, info));
    *ret_login = login;
    return ERR_OK;
}

/* Only to know whom to ask: nothing is believed yet. */
static bool is_our_issuers(const struct oidc *oidc, struct slice token, struct arena *arena)
{
    struct jwt jwt;
    return jwt_parse(token, arena, &jwt, NULL) == ERR_OK &&
           slice_equal(json_get_text(jwt.claims, "iss"), oidc->options.issuer);
}

/* A password, sent to the issuer (off unless configured); `client:ID`, a client's own secret. */
static enum err ask_for_token(struct oidc *oidc, const struct credential *credential,
                              bool is_client, struct arena *arena, struct login *ret_login,
                              struct errinfo *info)
{
    struct oidc_grant_response response CLEANUP(oidc_grant_response_fini) = {0};
    struct slice user = credential->user;
    size_t mark = is_client ? strlen(CLIENT_MARK) : 0;
    struct oidc_grant_request request = {.grant =
                                             is_client ? OIDC_CLIENT_CREDENTIALS : OIDC_PASSWORD,
                                         .user = {user.ptr + mark, user.len - mark},
                                         .password = credential->secret};
    TRY(oidc_request_grant(oidc, &request, &response, info));
    struct oidc_sign_in sign_in = {.access = secret_slice(&response.access),
                                   .refresh = secret_slice(&response.refresh)};
    if (is_client) {
        sign_in.client = request.user;
        sign_in.client_secret = request.password;
    }
    TRY(finish(oidc, &sign_in, arena, ret_login, info));
    ret_login->is_user_settled = true;
    return ERR_OK;
}

/* A token, or, where it was genuine once, one that its holder's refresh token gives: whoever comes
 * back on another day. */
static enum err take_token(struct oidc *oidc, const struct credential *credential,
                           struct arena *arena, struct login *ret_login, struct errinfo *info)
{
    struct errinfo local;
    struct oidc_grant_response response CLEANUP(oidc_grant_response_fini) = {0};
    const struct oidc_sign_in given = {.access = credential->secret,
                                       .refresh = credential->refresh};
    info = info != NULL ? info : &local;
    enum err err = finish(oidc, &given, arena, ret_login, info);
    bool is_over = err == ERR_DENIED && strcmp(info->message, IDENTITY_TOKEN_EXPIRED) == 0;
    if (!is_over || credential->refresh.len == 0) {
        return err;
    }
    const struct oidc_grant_request request = {.grant = OIDC_REFRESH, .token = credential->refresh};
    TRY(oidc_request_grant(oidc, &request, &response, info));
    const struct oidc_sign_in renewed = {.access = secret_slice(&response.access),
                                         .refresh = response.refresh.len > 0
                                                        ? secret_slice(&response.refresh)
                                                        : credential->refresh};
    return finish(oidc, &renewed, arena, ret_login, info);
}

static enum provider_answer answer_of(enum err err, struct refusal *refusal,
                                      const struct errinfo *info)
{
    return err == ERR_OK ? PROVIDER_OK : provider__wrong(refusal, "%s", info->message);
}

static enum err authenticate(void *self, const struct credential *credential, struct arena *arena,
                             struct login *ret_login, enum provider_answer *ret_answer,
                             struct refusal *refusal, struct errinfo *info)
{
    struct oidc *oidc = self;
    struct api_key key;
    bool is_password = credential->kind == CREDENTIAL_PASSWORD;
    bool is_token = is_password || credential->kind == CREDENTIAL_TOKEN;
    enum err err;
    *ret_answer = PROVIDER_NOT_MINE;
    if (!is_token) {
        return ERR_OK;
    }
    if (jwt_is_like(credential->secret)) {
        bool is_ours = is_our_issuers(oidc, credential->secret, arena);
        if (!is_ours && is_password) {
            return ERR_OK;
        }
        err = take_token(oidc, credential, arena, ret_login, info);
    } else {
        bool is_client = slice_starts_with(credential->user, SLICE(CLIENT_MARK));
        bool is_key = api_key_parse(credential->secret, &key);
        mem_wipe(&key, sizeof(key));
        if (!is_password || is_key || credential->user.len == 0 || credential->secret.len == 0 ||
            !(is_client ? oidc->options.client_credentials : oidc->options.password_grant)) {
            return ERR_OK;
        }
        err = ask_for_token(oidc, credential, is_client, arena, ret_login, info);
    }
    if (err == ERR_OK || err == ERR_DENIED) {
        *ret_answer = answer_of(err, refusal, info);
        return ERR_OK;
    }
    return err;
}
