/* Requests to the token endpoint: RFC 6749 (password, client credentials, refresh), RFC 8693
 * (exchange). What goes and what comes lives in buffers that are wiped. */
#include <openssl/evp.h>

#include "base/mem.h"
#include "identity/oidc_int.h"

#define RESPONSE_BYTES_MAX (64u * 1024)
#define TOKEN_TYPE_ACCESS "urn:ietf:params:oauth:token-type:access_token"
#define EXPIRES_IN_MAX INT64_C(31622400) /* a year */

void oidc_grant_response_fini(struct oidc_grant_response *response)
{
    secret_fini(&response->access);
    secret_fini(&response->refresh);
    secret_fini(&response->id);
}

static const char *grant_type(enum oidc_grant grant)
{
    switch (grant) {
    case OIDC_PASSWORD:
        return "password";
    case OIDC_CLIENT_CREDENTIALS:
        return "client_credentials";
    case OIDC_REFRESH:
        return "refresh_token";
    case OIDC_EXCHANGE:
        return "urn:ietf:params:oauth:grant-type:token-exchange";
    case OIDC_CODE:
        return "authorization_code";
    }
    return "";
}

static bool make_form(const struct oidc *oidc, const struct oidc_grant_request *request,
                      struct slice client, struct slice secret, struct secret *ret_form)
{
    const struct oidc_options *options = &oidc->options;
    bool is_password = request->grant == OIDC_PASSWORD;
    bool is_exchange = request->grant == OIDC_EXCHANGE;
    bool is_code = request->grant == OIDC_CODE;
    bool is_in_body = options->client_secret_in_body || secret.len == 0;
    struct slice none = {NULL, 0};
    struct slice access_type = SLICE(TOKEN_TYPE_ACCESS);
    const struct fetch_field fields[] = {
        {"grant_type", slice_of(grant_type(request->grant))},
        {"client_id", is_in_body ? client : none},
        {"client_secret", is_in_body ? secret : none},
        {"username", is_password ? request->user : none},
        {"password", is_password ? request->password : none},
        {"refresh_token", request->grant == OIDC_REFRESH ? request->token : none},
        {"subject_token", is_exchange ? request->token : none},
        {"subject_token_type", is_exchange ? access_type : none},
        {"requested_token_type", is_exchange ? access_type : none},
        {"audience", is_exchange ? options->exchange_audience : none},
        {"scope", is_exchange || is_code ? none : options->scope},
        {"code", is_code ? request->token : none},
        {"redirect_uri", is_code ? request->redirect : none},
        {"code_verifier", is_code ? request->verifier : none},
    };
    return fetch_form(fields, ARRAY_COUNT(fields), ret_form);
}

/* "Basic ..." of RFC 6749, 2.3.1: both parts form-encoded first. */
static bool make_basic(struct slice client, struct slice secret, struct secret *ret_header)
{
    struct secret id CLEANUP(secret_fini) = {0};
    struct secret password CLEANUP(secret_fini) = {0};
    struct secret pair CLEANUP(secret_fini) = {0};
    struct secret text CLEANUP(secret_fini) = {0};
    struct fetch_field id_field = {"", client};
    struct fetch_field password_field = {"", secret};
    if (!fetch_form(&id_field, 1, &id) || !fetch_form(&password_field, 1, &password)) {
        return false;
    }
    struct slice pair_parts[] = {secret_slice(&id), SLICE(":"), secret_slice(&password)};
    if (!secret_join(pair_parts, ARRAY_COUNT(pair_parts), &pair) ||
        !secret_new((pair.len + 2) / 3 * 4, &text)) {
        return false;
    }
    (void)EVP_EncodeBlock((unsigned char *)text.ptr, (const unsigned char *)pair.ptr,
                          (int)pair.len);
    struct slice parts[] = {SLICE("Basic "), secret_slice(&text)};
    return secret_join(parts, ARRAY_COUNT(parts), ret_header);
}

static void wipe_slice(struct slice text)
{
    if (text.len > 0) {
        mem_wipe((void *)(uintptr_t)text.ptr, text.len);
    }
}

static enum err read_response(struct slice body, struct arena *arena,
                              struct oidc_grant_response *ret_response, struct errinfo *info)
{
    struct json *json;
    struct oidc_grant_response response CLEANUP(oidc_grant_response_fini) = {0};
    enum err err = jose_object(arena, body, &json, NULL);
    if (err == ERR_NOMEM) {
        return errinfo_nomem(info);
    }
    struct slice access = err == ERR_OK ? json_get_text(json, "access_token") : SLICE("");
    if (access.len == 0 || access.len > JWT_BYTES_MAX ||
        !slice_equal_fold(json_get_text(json, "token_type"), SLICE("bearer"))) {
        return errinfo_set(info, ERR_BUSY, "57P03",
                           "the identity provider's answer holds no bearer token");
    }
    struct slice refresh = json_get_text(json, "refresh_token");
    struct slice id = json_get_text(json, "id_token");
    bool is_kept = secret_copy(access, &response.access) &&
                   (refresh.len == 0 || secret_copy(refresh, &response.refresh)) &&
                   (id.len == 0 || id.len > JWT_BYTES_MAX || secret_copy(id, &response.id));
    int64_t expires_in;
    if (json_to_i64(json_get(json, "expires_in"), &expires_in) && expires_in > 0) {
        response.expires_in_s = expires_in < EXPIRES_IN_MAX ? expires_in : EXPIRES_IN_MAX;
    }
    wipe_slice(access); /* decoded copies, where the text had escapes */
    wipe_slice(refresh);
    wipe_slice(id);
    if (!is_kept) {
        return errinfo_nomem(info);
    }
    *ret_response = response;
    response = (struct oidc_grant_response){0};
    return ERR_OK;
}

/* RFC 6749, 5.2: a word from a short alphabet, which may go into the trail. */
static enum err read_refusal(struct slice body, long status, enum oidc_grant grant,
                             struct arena *arena, struct errinfo *info)
{
    struct json *json;
    char word[48] = "";
    if (jose_object(arena, body, &json, NULL) == ERR_OK) {
        struct slice error = json_get_text(json, "error");
        for (size_t i = 0; i < error.len && i + 1 < sizeof(word); i++) {
            char c = error.ptr[i];
            bool is_word = (c >= 'a' && c <= 'z') || c == '_';
            word[i] = is_word ? c : '?';
            word[i + 1] = '\0';
        }
    }
    /* Ours to mend, not the person's: the client, its secret or the grant is not what it should
     * be. But a client that signs in is the person. */
    bool is_ours = (slice_equal(slice_of(word), SLICE("unauthorized_client")) &&
                    grant != OIDC_CLIENT_CREDENTIALS) ||
                   slice_equal(slice_of(word), SLICE("unsupported_grant_type"));
    if ((status == 400 || status == 401 || status == 403) && !is_ours) {
        return errinfo_set(info, ERR_DENIED, "28000", "the identity provider refused (%s)",
                           word[0] == '\0' ? "no reason" : word);
    }
    return errinfo_set(info, ERR_BUSY, "57P03",
                       "the identity provider answered with status %ld (%s)", status,
                       word[0] == '\0' ? "no reason" : word);
}

enum err oidc__post(const struct oidc_post *post, struct oidc_grant_response *ret_response,
                    struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "grant", 0);
    struct secret header CLEANUP(secret_fini) = {0};
    struct secret body CLEANUP(secret_fini) = {0};
    bool has_header = post->secret.len > 0 && !post->is_secret_in_form;
    long status = 0;
    if (arena == NULL || (has_header && !make_basic(post->client, post->secret, &header))) {
        return errinfo_nomem(info);
    }
    struct oidc_question question = {.url = post->url,
                                     .form = post->form,
                                     .authorization = has_header ? &header : NULL,
                                     .bytes_max = RESPONSE_BYTES_MAX};
    TRY(oidc__ask_as(&post->asker, &question, &status, &body, info));
    return status == 200 ? read_response(secret_slice(&body), arena, ret_response, info)
                         : read_refusal(secret_slice(&body), status, post->grant, arena, info);
}

enum err oidc_request_grant(struct oidc *oidc, const struct oidc_grant_request *request,
                            struct oidc_grant_response *ret_response, struct errinfo *info)
{
    struct secret form CLEANUP(secret_fini) = {0};
    char *url CLEANUP(mem_free_cleanup) = NULL;
    bool is_theirs = request->grant == OIDC_CLIENT_CREDENTIALS;
    struct oidc_post post = {
        .asker = oidc__asker(oidc),
        .form = &form,
        .client = is_theirs ? request->user : oidc->options.client_id,
        .secret = is_theirs ? request->password : secret_slice(&oidc->client_secret),
        .is_secret_in_form = oidc->options.client_secret_in_body,
        .grant = request->grant,
    };
    if (!make_form(oidc, request, post.client, post.secret, &form)) {
        return errinfo_nomem(info);
    }
    TRY(oidc_get_token_endpoint(oidc, &url, info));
    post.url = url;
    return oidc__post(&post, ret_response, info);
}
