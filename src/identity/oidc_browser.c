/* Sign-in by a browser: where it is sent, and the token for what it comes back with. The code is
 * bound to this sign-in three times: by the verifier (RFC 7636), by the nonce of the ID token, and
 * by the redirect; that the browser is the one that was sent is for the caller to know, by state.
 *
 * Mix-up (RFC 9207): there is one issuer, and where it names itself in its answers it must. */
#include <openssl/evp.h>

#include "base/hash.h"
#include "base/mem.h"
#include "identity/chain_int.h"
#include "identity/oidc_int.h"

#define HOST_BYTES_MAX 300u
#define CHALLENGE_BYTES 44 /* base64url of a SHA-256, with the NUL */

static enum err find(const struct identity_chain *chain, struct oidc **ret_oidc,
                     struct errinfo *info)
{
    struct oidc *oidc = chain__find(chain, OIDC_PROVIDER_NAME);
    if (oidc == NULL || oidc->options.client_id.len == 0) {
        (void)errinfo_set(info, ERR_INVALID, "22023",
                          "\"%s\" is not set, and sign-in by a browser needs it",
                          oidc == NULL ? "oidc.issuer" : "oidc.client_id");
        errinfo_hint(info,
                     "Sign-in by a browser wants oidc among \"login.providers\", and a client "
                     "of the issuer that this server is.");
        return ERR_INVALID;
    }
    *ret_oidc = oidc;
    return ERR_OK;
}

/* A scheme, a host and perhaps a port: what is put behind it is ours. Of this machine alone it may
 * be http, where secrets are taken so. */
static bool is_origin(struct slice url, bool allows_loopback)
{
    enum fetch_plain plain = allows_loopback ? FETCH_PLAIN_LOOPBACK : FETCH_TLS_ONLY;
    size_t scheme = slice_find(url, SLICE("://"));
    if (scheme == SIZE_MAX || !fetch_url_is_allowed(url, plain)) {
        return false;
    }
    struct slice host = {url.ptr + scheme + 3, url.len - scheme - 3};
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];
        bool is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                        (c >= 'A' && c <= 'Z') || (c != '\0' && strchr(".-:[]", c) != NULL);
        if (!is_plain) {
            return false;
        }
    }
    return host.len > 0 && host.len <= HOST_BYTES_MAX;
}

enum err identity_browser_check(const struct identity_chain *chain, struct slice url,
                                bool allows_loopback, struct errinfo *info)
{
    struct oidc *ignored;
    if (!is_origin(url, allows_loopback)) {
        (void)errinfo_set(info, ERR_INVALID, "22023",
                          "\"login.browser_url\" must be https://host:port, and no more");
        errinfo_hint(info, "On one machine, with \"login.insecure_loopback\", http:// will do.");
        return ERR_INVALID;
    }
    return find(chain, &ignored, info);
}

/* S256 */
static enum err make_challenge(struct slice verifier, char ret_text[CHALLENGE_BYTES],
                               struct errinfo *info)
{
    uint8_t digest[SHA256_BYTES];
    char text[CHALLENGE_BYTES + 1];
    if (hash_sha256(verifier, digest) != ERR_OK) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "a hash cannot be made");
    }
    (void)EVP_EncodeBlock((unsigned char *)text, digest, sizeof(digest));
    for (size_t i = 0; i + 1 < CHALLENGE_BYTES; i++) {
        ret_text[i] = (char)(text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i]);
    }
    ret_text[CHALLENGE_BYTES - 1] = '\0';
    return ERR_OK;
}

/* "openid", and what is configured beside it. */
static enum err make_scope(const struct oidc *oidc, struct arena *arena, struct slice *ret_scope,
                           struct errinfo *info)
{
    struct slice scope = oidc->options.scope;
    struct slice rest = scope;
    struct slice word;
    bool has_it = false;
    while (list_next(&rest, ' ', &word)) {
        has_it = has_it || slice_equal(word, SLICE("openid"));
    }
    const char *both = arena_printf(arena, "openid %.*s", SLICE_ARGS(scope));
    if (both == NULL) {
        return errinfo_nomem(info);
    }
    *ret_scope = has_it ? scope : slice_trim(slice_of(both));
    return ERR_OK;
}

enum err identity_browser_address(struct identity_chain *chain,
                                  const struct identity_browser *browser,
                                  struct secret *ret_address, struct errinfo *info)
{
    struct oidc *oidc;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "browser", 0);
    struct secret form CLEANUP(secret_fini) = {0};
    char *url CLEANUP(mem_free_cleanup) = NULL;
    char challenge[CHALLENGE_BYTES];
    bool ignored;
    struct slice scope;
    TRY(arena == NULL ? errinfo_nomem(info) : find(chain, &oidc, info));
    TRY(oidc_get_authorization_endpoint(oidc, &url, &ignored, info));
    TRY(make_challenge(browser->verifier, challenge, info));
    TRY(make_scope(oidc, arena, &scope, info));
    const struct fetch_field fields[] = {
        {"response_type", SLICE("code")},
        {"client_id", oidc->options.client_id},
        {"redirect_uri", browser->redirect},
        {"scope", scope},
        {"state", browser->state},
        {"nonce", browser->nonce},
        {"code_challenge", slice_of(challenge)},
        {"code_challenge_method", SLICE("S256")},
    };
    if (!fetch_form(fields, ARRAY_COUNT(fields), &form)) {
        return errinfo_nomem(info);
    }
    struct slice parts[] = {slice_of(url), slice_of(strchr(url, '?') == NULL ? "?" : "&"),
                            secret_slice(&form)};
    return secret_join(parts, ARRAY_COUNT(parts), ret_address) ? ERR_OK : errinfo_nomem(info);
}

static enum err check_issuer(struct oidc *oidc, struct slice said, struct errinfo *info)
{
    char *url CLEANUP(mem_free_cleanup) = NULL;
    bool names_itself;
    TRY(oidc_get_authorization_endpoint(oidc, &url, &names_itself, info));
    bool is_ours = said.len == 0 ? !names_itself : slice_equal(said, oidc->options.issuer);
    return is_ours
               ? ERR_OK
               : errinfo_set(info, ERR_DENIED, "28000", "the browser comes from another issuer");
}

enum err identity_browser_token(struct identity_chain *chain,
                                const struct identity_browser *browser, struct slice code,
                                struct slice issuer, struct secret *ret_token, struct errinfo *info)
{
    struct oidc *oidc;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "browser", 0);
    struct oidc_grant_response response CLEANUP(oidc_grant_response_fini) = {0};
    struct oidc_token access;
    TRY(arena == NULL ? errinfo_nomem(info) : find(chain, &oidc, info));
    TRY(check_issuer(oidc, issuer, info));
    const struct oidc_grant_request request = {.grant = OIDC_CODE,
                                               .token = code,
                                               .redirect = browser->redirect,
                                               .verifier = browser->verifier};
    TRY(oidc_request_grant(oidc, &request, &response, info));
    if (response.id.len == 0) {
        return errinfo_set(info, ERR_DENIED, "28000", "the issuer gave no ID token");
    }
    TRY(oidc_verify(oidc, secret_slice(&response.access), arena, &access, info));
    TRY(oidc_verify_id(oidc, secret_slice(&response.id), browser->nonce, &access, arena, info));
    secret_replace(ret_token, &response.access);
    return ERR_OK;
}
