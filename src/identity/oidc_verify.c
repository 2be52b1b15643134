/* What makes a token one that we act on: RFC 7519, 8725, 9068; OpenID Connect Core, 3.1.3.7. */
#include "base/hash.h"
#include "identity/oidc_int.h"

#define LIST_MAX 64u

static enum err wrong(struct errinfo *info, const char *why)
{
    return errinfo_set(info, ERR_DENIED, "28000", "%s", why);
}

/* Tokens of other kinds are signed with the same keys. */
static bool is_access_type(struct slice type)
{
    static const char *const types[] = {"JWT", "at+jwt", "application/at+jwt"};
    bool is_one = type.len == 0;
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        is_one = is_one || slice_equal_fold(type, slice_of(types[i]));
    }
    return is_one;
}

static bool list_has(struct slice list, struct slice wanted)
{
    struct slice item;
    while (list_next(&list, ',', &item)) {
        if (slice_equal(item, wanted)) {
            return true;
        }
    }
    return false;
}

/* One text or a list of texts, one of which is ours. */
static bool is_for_us(const struct json *audience, struct slice ours)
{
    if (audience == NULL) {
        return false;
    }
    if (audience->type == JSON_STRING) {
        return list_has(ours, audience->text);
    }
    bool is_found = false;
    if (audience->type != JSON_ARRAY || audience->count > LIST_MAX) {
        return false;
    }
    for (const struct json *item = audience->first; item != NULL; item = item->next) {
        if (item->type != JSON_STRING) {
            return false;
        }
        is_found = is_found || list_has(ours, item->text);
    }
    return is_found;
}

static bool is_from_allowed_party(const struct json *claims, struct slice parties)
{
    const struct json *azp = json_get(claims, "azp");
    const struct json *client = json_get(claims, "client_id");
    if (parties.len == 0) {
        return azp == NULL || azp->type == JSON_STRING;
    }
    const struct json *party = azp != NULL ? azp : client;
    return party != NULL && party->type == JSON_STRING && list_has(parties, party->text);
}

static enum err check_times(const struct oidc *oidc, const struct json *claims,
                            int64_t *ret_expires_wall_us, struct errinfo *info)
{
    int64_t skew_us = oidc->options.skew_ms * 1000;
    int64_t now_us = oidc__wall_us(oidc);
    int64_t expires_s, starts_s = 0, issued_s = 0;
    if (!jwt_time(claims, "exp", &expires_s)) {
        return wrong(info, "the token does not say when it expires");
    }
    if ((json_get(claims, "nbf") != NULL && !jwt_time(claims, "nbf", &starts_s)) ||
        (json_get(claims, "iat") != NULL && !jwt_time(claims, "iat", &issued_s))) {
        return wrong(info, "a time of the token is no time");
    }
    if (now_us >= expires_s * 1000000 + skew_us) {
        return wrong(info, IDENTITY_TOKEN_EXPIRED);
    }
    if (now_us + skew_us < starts_s * 1000000) {
        return wrong(info, "the token is not valid yet");
    }
    if (now_us + skew_us < issued_s * 1000000) {
        return wrong(info, "the token was issued in the future");
    }
    *ret_expires_wall_us = expires_s * 1000000 + skew_us;
    return ERR_OK;
}

static enum err check_claims(const struct oidc *oidc, const struct jwt *jwt,
                             struct oidc_token *ret_token, struct errinfo *info)
{
    const struct json *claims = jwt->claims;
    struct slice subject = json_get_text(claims, "sub");
    const struct json *issuer = json_get(claims, "iss");
    if (issuer == NULL || issuer->type != JSON_STRING ||
        !slice_equal(issuer->text, oidc->options.issuer)) {
        return wrong(info, "the token is another issuer's");
    }
    if (!is_access_type(jwt->type)) {
        return wrong(info, "the token is of a kind that is not for access");
    }
    if (!is_for_us(json_get(claims, "aud"), oidc->options.audience)) {
        return wrong(info, "the token is for another audience");
    }
    if (subject.len == 0) {
        return wrong(info, "the token has no subject");
    }
    struct oidc_token token = {.claims = jwt->claims};
    TRY(check_times(oidc, claims, &token.expires_wall_us, info));
    if (!is_from_allowed_party(claims, oidc->options.authorized_parties)) {
        return wrong(info, "the token was given to a client that may not come here");
    }
    TRY(claims_require(oidc->options.required_claims, claims, info));
    *ret_token = token;
    return ERR_OK;
}

static enum err check_signature(struct oidc *oidc, const struct jwt *jwt, struct errinfo *info)
{
    struct jwks *keys CLEANUP(jwks_cleanup) = NULL;
    TRY(oidc_get_keys(oidc, NULL, &keys, info));
    enum jwt_verdict verdict = jwt_verify(jwt, keys, oidc->algorithms);
    if (verdict == JWT_UNKNOWN_KEY) {
        struct jwks *newer CLEANUP(jwks_cleanup) = NULL;
        TRY(oidc_get_keys(oidc, keys, &newer, info));
        verdict = newer == keys ? verdict : jwt_verify(jwt, newer, oidc->algorithms);
    }
    switch (verdict) {
    case JWT_GENUINE:
        return ERR_OK;
    case JWT_UNKNOWN_KEY:
        return wrong(info, "the token is signed with a key that the issuer does not have");
    case JWT_FORGED:
        break;
    }
    return wrong(info, "the token's signature or algorithm is wrong");
}

static enum err read_genuine(struct oidc *oidc, struct slice token, struct arena *arena,
                             struct jwt *ret_jwt, struct errinfo *info)
{
    enum err err = jwt_parse(token, arena, ret_jwt, info);
    if (err == ERR_INVALID && info != NULL) {
        info->code = ERR_DENIED;
    }
    if (err != ERR_OK) {
        return err == ERR_INVALID ? ERR_DENIED : err;
    }
    return check_signature(oidc, ret_jwt, info);
}

enum err oidc_verify(struct oidc *oidc, struct slice token, struct arena *arena,
                     struct oidc_token *ret_token, struct errinfo *info)
{
    struct jwt jwt;
    TRY(read_genuine(oidc, token, arena, &jwt, info));
    return check_claims(oidc, &jwt, ret_token, info);
}

/* OpenID Connect Core, 3.1.3.7: 2 to 5, 9 and 11. */
enum err oidc_verify_id(struct oidc *oidc, struct slice token, struct slice nonce,
                        const struct oidc_token *access, struct arena *arena, struct errinfo *info)
{
    struct jwt jwt;
    int64_t ignored;
    TRY(read_genuine(oidc, token, arena, &jwt, info));
    const struct json *audience = json_get(jwt.claims, "aud");
    const struct json *party = json_get(jwt.claims, "azp");
    struct slice client = oidc->options.client_id;
    struct slice shown = json_get_text(jwt.claims, "nonce");
    struct slice subject = json_get_text(jwt.claims, "sub");
    if (!slice_equal(json_get_text(jwt.claims, "iss"), oidc->options.issuer)) {
        return wrong(info, "the ID token is another issuer's");
    }
    bool is_shared = audience != NULL && audience->type == JSON_ARRAY && audience->count > 1;
    bool is_ours =
        party == NULL ? !is_shared : party->type == JSON_STRING && slice_equal(party->text, client);
    if (!is_for_us(audience, client) || !is_ours) {
        return wrong(info, "the ID token is for another client");
    }
    TRY(check_times(oidc, jwt.claims, &ignored, info));
    if (shown.len != nonce.len || !hash_equal(shown.ptr, nonce.ptr, nonce.len)) {
        return wrong(info, "the ID token answers another sign-in");
    }
    if (subject.len == 0 || !slice_equal(subject, json_get_text(access->claims, "sub"))) {
        return wrong(info, "the ID token is another person's than the token");
    }
    return ERR_OK;
}

enum err oidc_login_of(struct oidc *oidc, const struct oidc_token *token, struct arena *arena,
                       struct login *ret_login, struct errinfo *info)
{
    struct login login = {.provider = SLICE(OIDC_PROVIDER_NAME),
                          .expires_wall_us = token->expires_wall_us,
                          .account = oidc->options.account};
    TRY(claims_apply(&oidc->options, token->claims, arena, &login, info));
    *ret_login = login;
    return ERR_OK;
}
