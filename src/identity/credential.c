/* The tokens that an identity holds: minted into a header, renewed, exchanged, wiped. Nothing gives
 * them away but identity_authorization.
 *
 * One lock a credential: sessions of one sign-in share it, and a refresh token may be good once. */
#include "base/hash.h"
#include "base/mem.h"
#include "identity/oidc_int.h"

#define EXCHANGED_MAX 8

/* A token for another system. */
struct exchanged {
    uint64_t key; /* of what was asked; 0 = none */
    struct secret token;
    int64_t expires_us;
};

struct identity_credential {
    atomic_uint references;
    uint64_t number;
    struct oidc *oidc;
    uint8_t person[SHA256_BYTES]; /* issuer and subject: a renewal may change all but these */
    pthread_mutex_t lock;
    /* under `lock` */
    struct secret access;
    struct secret refresh;
    struct secret client; /* of client credentials */
    struct secret client_secret;
    struct secret exchanged;
    struct exchanged others[EXCHANGED_MAX];
    size_t other_next;         /* the slot that goes next */
    int64_t access_expires_us; /* wall clock, with skew */
    int64_t exchanged_expires_us;
};

static enum err hash_person(const struct oidc *oidc, const struct json *claims,
                            uint8_t ret_person[SHA256_BYTES])
{
    const struct slice parts[] = {oidc->options.issuer, {"", 1}, json_get_text(claims, "sub")};
    return hash_sha256_parts(parts, ARRAY_COUNT(parts), ret_person);
}

static bool copy_optional(struct slice text, struct secret *ret_secret)
{
    return text.len == 0 || secret_copy(text, ret_secret);
}

enum err identity_credential_new(struct oidc *oidc, const struct oidc_sign_in *sign_in,
                                 const struct oidc_token *token,
                                 struct identity_credential **ret_credential, struct errinfo *info)
{
    struct identity_credential *credential = mem_calloc(1, sizeof(*credential));
    if (credential == NULL) {
        return errinfo_nomem(info);
    }
    static atomic_uint_fast64_t last_number;
    atomic_init(&credential->references, 1);
    credential->number = atomic_fetch_add(&last_number, 1) + 1;
    pthread_mutex_init(&credential->lock, NULL);
    credential->oidc = oidc__ref(oidc);
    credential->access_expires_us = token->expires_wall_us;
    if (!secret_copy(sign_in->access, &credential->access) ||
        !copy_optional(sign_in->refresh, &credential->refresh) ||
        !copy_optional(sign_in->client, &credential->client) ||
        !copy_optional(sign_in->client_secret, &credential->client_secret) ||
        hash_person(oidc, token->claims, credential->person) != ERR_OK) {
        identity_credential_unref(credential);
        return errinfo_nomem(info);
    }
    *ret_credential = credential;
    return ERR_OK;
}

static void forget_exchanged(struct identity_credential *credential)
{
    secret_fini(&credential->exchanged);
    for (size_t i = 0; i < EXCHANGED_MAX; i++) {
        secret_fini(&credential->others[i].token);
        credential->others[i] = (struct exchanged){0};
    }
}

struct identity_credential *identity_credential_ref(struct identity_credential *credential)
{
    if (credential != NULL) {
        unsigned before =
            atomic_fetch_add_explicit(&credential->references, 1, memory_order_relaxed);
        ASSERT(before > 0);
    }
    return credential;
}

void identity_credential_unref(struct identity_credential *credential)
{
    if (credential == NULL ||
        atomic_fetch_sub_explicit(&credential->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    secret_fini(&credential->access);
    secret_fini(&credential->refresh);
    secret_fini(&credential->client);
    secret_fini(&credential->client_secret);
    forget_exchanged(credential);
    oidc__unref(credential->oidc);
    pthread_mutex_destroy(&credential->lock);
    mem_free(credential);
}

/* ---- with the lock held ---- */

static bool can_renew(const struct identity_credential *credential)
{
    return credential->refresh.len > 0 || credential->client.len > 0;
}

static bool is_due(const struct identity_credential *credential)
{
    const struct oidc *oidc = credential->oidc;
    return oidc__wall_us(oidc) + oidc->options.refresh_before_ms * 1000 >=
           credential->access_expires_us - oidc->options.skew_ms * 1000;
}

static enum err check_person(const struct identity_credential *credential,
                             const struct oidc_token *token, struct errinfo *info)
{
    uint8_t person[SHA256_BYTES];
    TRY(hash_person(credential->oidc, token->claims, person));
    if (!hash_equal(person, credential->person, sizeof(person))) {
        return errinfo_set(info, ERR_DENIED, "28000",
                           "the identity provider renewed the sign-in for another person");
    }
    return ERR_OK;
}

static enum err renew(struct identity_credential *credential, struct errinfo *info)
{
    struct oidc_grant_response response CLEANUP(oidc_grant_response_fini) = {0};
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "renew", 0);
    struct oidc_token token;
    bool is_client = credential->client.len > 0;
    struct oidc_grant_request request = {
        .grant = is_client ? OIDC_CLIENT_CREDENTIALS : OIDC_REFRESH,
        .user = secret_slice(&credential->client),
        .password = secret_slice(&credential->client_secret),
        .token = secret_slice(&credential->refresh),
    };
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    enum err err = oidc_request_grant(credential->oidc, &request, &response, info);
    if (err == ERR_DENIED) { /* taken back: asking again will not help */
        secret_fini(&credential->refresh);
        secret_fini(&credential->client_secret);
        secret_fini(&credential->client);
    }
    TRY(err);
    /* First of all the new refresh token: the old one may be void by now. */
    if (response.refresh.len > 0) {
        secret_replace(&credential->refresh, &response.refresh);
    }
    TRY(oidc_verify(credential->oidc, secret_slice(&response.access), arena, &token, info));
    TRY(check_person(credential, &token, info));
    secret_replace(&credential->access, &response.access);
    forget_exchanged(credential);
    credential->access_expires_us = token.expires_wall_us;
    return ERR_OK;
}

static enum err expired(struct errinfo *info)
{
    (void)errinfo_set(info, ERR_DENIED, "28000", "the sign-in has expired");
    errinfo_hint(info, "Sign in again.");
    return ERR_DENIED;
}

/* Tokens that work now: renewed if it is time and possible, and in any case not expired. */
static enum err ensure_access(struct identity_credential *credential, struct errinfo *info)
{
    enum err err = ERR_OK;
    if (is_due(credential) && can_renew(credential)) {
        err = renew(credential, info);
    }
    if (err == ERR_BUSY || err == ERR_DENIED || err == ERR_OK) {
        bool is_over = oidc__wall_us(credential->oidc) >= credential->access_expires_us;
        return !is_over ? ERR_OK : err == ERR_OK ? expired(info) : err;
    }
    return err;
}

static enum err ensure_exchanged(struct identity_credential *credential, struct errinfo *info)
{
    const struct oidc *oidc = credential->oidc;
    int64_t now_us = oidc__wall_us(oidc);
    struct oidc_grant_response response CLEANUP(oidc_grant_response_fini) = {0};
    struct oidc_grant_request request = {.grant = OIDC_EXCHANGE,
                                         .token = secret_slice(&credential->access)};
    if (credential->exchanged.len > 0 &&
        now_us + oidc->options.refresh_before_ms * 1000 < credential->exchanged_expires_us) {
        return ERR_OK;
    }
    TRY(oidc_request_grant(credential->oidc, &request, &response, info));
    secret_replace(&credential->exchanged, &response.access);
    /* Where its life is not said, it is used once. */
    credential->exchanged_expires_us = now_us + response.expires_in_s * 1000000;
    return ERR_OK;
}

static uint64_t key_of(const struct identity_exchange *exchange)
{
    const struct slice parts[] = {exchange->token_uri, exchange->client, exchange->audience,
                                  exchange->scope};
    uint64_t key = 1;
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        key = hash_xx64(parts[i], key);
    }
    return key | 1;
}

static enum err ask_for_other(struct identity_credential *credential,
                              const struct identity_exchange *exchange,
                              struct oidc_grant_response *ret_response, struct errinfo *info)
{
    struct oidc *oidc = credential->oidc;
    bool is_issuer = exchange->token_uri.len == 0;
    struct secret form CLEANUP(secret_fini) = {0};
    char *url CLEANUP(mem_free_cleanup) = NULL;
    struct oidc_post post = {
        .asker = oidc__asker(oidc),
        .form = &form,
        .client = is_issuer ? oidc->options.client_id : exchange->client,
        .secret = is_issuer ? secret_slice(&oidc->client_secret) : exchange->secret,
        .is_secret_in_form = is_issuer && oidc->options.client_secret_in_body,
        .grant = OIDC_EXCHANGE,
    };
    struct slice access_type = SLICE("urn:ietf:params:oauth:token-type:access_token");
    bool names_client = post.secret.len == 0 || post.is_secret_in_form;
    const struct fetch_field fields[] = {
        {"grant_type", SLICE("urn:ietf:params:oauth:grant-type:token-exchange")},
        {"client_id", names_client ? post.client : SLICE("")},
        {"client_secret", post.is_secret_in_form ? post.secret : SLICE("")},
        {"subject_token", secret_slice(&credential->access)},
        {"subject_token_type", access_type},
        {"requested_token_type", access_type},
        {"audience", exchange->audience},
        {"scope", exchange->scope},
    };
    if (!fetch_form(fields, ARRAY_COUNT(fields), &form)) {
        return errinfo_nomem(info);
    }
    if (is_issuer) {
        TRY(oidc_get_token_endpoint(oidc, &url, info));
    } else if ((url = mem_slicedup(exchange->token_uri)) == NULL) {
        return errinfo_nomem(info);
    }
    post.url = url;
    return oidc__post(&post, ret_response, info);
}

static enum err ensure_other(struct identity_credential *credential,
                             const struct identity_exchange *exchange, bool is_refused,
                             struct exchanged **ret_exchanged, struct errinfo *info)
{
    struct oidc_grant_response response CLEANUP(oidc_grant_response_fini) = {0};
    const struct oidc *oidc = credential->oidc;
    uint64_t key = key_of(exchange);
    struct exchanged *slot = NULL;
    TRY(ensure_access(credential, info));
    int64_t now_us = oidc__wall_us(oidc);
    for (size_t i = 0; i < EXCHANGED_MAX; i++) {
        slot = credential->others[i].key == key ? &credential->others[i] : slot;
    }
    bool is_good = slot != NULL && !is_refused &&
                   now_us + oidc->options.refresh_before_ms * 1000 < slot->expires_us;
    if (!is_good) {
        TRY(ask_for_other(credential, exchange, &response, info));
        if (slot == NULL) {
            slot = &credential->others[credential->other_next++ % EXCHANGED_MAX];
        }
        slot->key = key;
        secret_replace(&slot->token, &response.access);
        /* Where its life is not said, it is used once. */
        slot->expires_us = now_us + response.expires_in_s * 1000000;
    }
    *ret_exchanged = slot;
    return ERR_OK;
}

static enum err mint(struct identity_credential *credential, struct secret *ret_header,
                     struct errinfo *info)
{
    bool is_exchange = credential->oidc->options.exchange_audience.len > 0;
    TRY(ensure_access(credential, info));
    if (is_exchange) {
        TRY(ensure_exchanged(credential, info));
    }
    const struct secret *token = is_exchange ? &credential->exchanged : &credential->access;
    struct slice parts[] = {SLICE("Bearer "), secret_slice(token)};
    return secret_join(parts, ARRAY_COUNT(parts), ret_header) ? ERR_OK : errinfo_nomem(info);
}

/* Another session may have renewed it already: then only what the token says is read again. */
static enum err refresh(struct identity_credential *credential, struct arena *arena,
                        struct login *ret_login, struct errinfo *info)
{
    struct oidc_token token;
    TRY(ensure_access(credential, info));
    TRY(oidc_verify(credential->oidc, secret_slice(&credential->access), arena, &token, info));
    TRY(check_person(credential, &token, info));
    return oidc_login_of(credential->oidc, &token, arena, ret_login, info);
}

/* ---- of an identity ---- */

static enum err no_token(struct errinfo *info)
{
    (void)errinfo_set(info, ERR_NOT_FOUND, "28000",
                      "this session has no token that could be passed on");
    errinfo_hint(info, "Sign in with a token of the identity provider.");
    return ERR_NOT_FOUND;
}

uint64_t identity_credential_number(const struct identity *who)
{
    const struct identity_credential *credential = identity__credential(who);
    return credential == NULL ? 0 : credential->number;
}

enum err identity_exchanged(const struct identity *who, const struct identity_exchange *exchange,
                            bool is_refused, struct secret *ret_header, struct errinfo *info)
{
    struct identity_credential *credential = identity__credential(who);
    struct exchanged *slot = NULL;
    if (credential == NULL) {
        return no_token(info);
    }
    pthread_mutex_lock(&credential->lock);
    enum err err = ensure_other(credential, exchange, is_refused, &slot, info);
    if (err == ERR_OK) {
        struct slice parts[] = {SLICE("Bearer "), secret_slice(&slot->token)};
        err = secret_join(parts, ARRAY_COUNT(parts), ret_header) ? ERR_OK : errinfo_nomem(info);
    }
    pthread_mutex_unlock(&credential->lock);
    return err;
}

enum err identity_client_token(const struct identity_client *client, struct secret *ret_token,
                               int64_t *ret_life_s, struct errinfo *info)
{
    struct oidc_grant_response response CLEANUP(oidc_grant_response_fini) = {0};
    struct secret form CLEANUP(secret_fini) = {0};
    char *url CLEANUP(mem_free_cleanup) = mem_slicedup(client->token_uri);
    const struct fetch_field fields[] = {
        {"grant_type", SLICE("client_credentials")},
        {"client_id", client->client},
        {"client_secret", client->secret},
        {"scope", client->scope},
    };
    struct oidc_post post = {
        .asker = {.timeout_ms = client->timeout_ms,
                  .ca_file = client->ca_file,
                  .plain = client->allow_loopback_http ? FETCH_PLAIN_LOOPBACK : FETCH_TLS_ONLY},
        .url = url,
        .form = &form,
        .client = client->client,
        .secret = client->secret,
        .is_secret_in_form = true,
        .grant = OIDC_CLIENT_CREDENTIALS};
    if (url == NULL || !fetch_form(fields, ARRAY_COUNT(fields), &form)) {
        return errinfo_nomem(info);
    }
    TRY(oidc__post(&post, &response, info));
    *ret_token = response.access;
    response.access = (struct secret){0};
    *ret_life_s = response.expires_in_s;
    return ERR_OK;
}

enum err identity_authorization(const struct identity *who, struct secret *ret_header,
                                struct errinfo *info)
{
    struct identity_credential *credential = identity__credential(who);
    if (credential == NULL) {
        return no_token(info);
    }
    pthread_mutex_lock(&credential->lock);
    enum err err = mint(credential, ret_header, info);
    pthread_mutex_unlock(&credential->lock);
    return err;
}

bool identity_wants_refresh(const struct identity *who, int64_t now_wall_us)
{
    struct identity_credential *credential = identity__credential(who);
    if (credential == NULL || identity_expiry(who) == 0) {
        return false;
    }
    const struct oidc_options *options = &credential->oidc->options;
    int64_t due_us = identity_expiry(who) - (options->skew_ms + options->refresh_before_ms) * 1000;
    if (now_wall_us < due_us) {
        return false;
    }
    pthread_mutex_lock(&credential->lock);
    /* or another session has renewed it already */
    bool is_renewed = credential->access_expires_us > identity_expiry(who) &&
                      credential->access_expires_us > now_wall_us;
    bool can = can_renew(credential) || is_renewed;
    pthread_mutex_unlock(&credential->lock);
    return can;
}

enum err identity_refresh(const struct identity *who, struct arena *arena, struct login *ret_login,
                          struct errinfo *info)
{
    struct identity_credential *credential = identity__credential(who);
    ASSERT(credential != NULL);
    pthread_mutex_lock(&credential->lock);
    enum err err = refresh(credential, arena, ret_login, info);
    pthread_mutex_unlock(&credential->lock);
    TRY(err);
    ret_login->credential = identity_credential_ref(credential);
    return ERR_OK;
}
