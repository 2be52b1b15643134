/* The issuer's document (OpenID Connect Discovery 1.0) and its keys, fetched when needed.
 *
 * One thread fetches, without the lock; others go on with the keys that are there, and wait only
 * where those will not do. A token with an unknown key makes us ask again, but not more often than
 * `keys_refresh_min`: who sends such tokens cannot make us a burden for the issuer. If the issuer
 * is down, old keys stay good for `keys_stale_max` beyond their age: a key that was stolen must not
 * be good for ever because somebody keeps the issuer from telling us. */
#include "base/log.h"
#include "base/mem.h"
#include "identity/oidc_int.h"

#define DOCUMENT_BYTES_MAX (128u * 1024)
#define DOCUMENT_PATH ".well-known/openid-configuration"
#define FIRST_RETRY_US 1000000 /* while there are no keys at all */

struct document {
    char *jwks_uri; /* heap */
    struct oidc_document kept;
};

void oidc__document_fini(struct oidc_document *document)
{
    mem_free(document->token_endpoint);
    mem_free(document->authorization_endpoint);
}

static void free_document(struct document *document)
{
    mem_free(document->jwks_uri);
    oidc__document_fini(&document->kept);
}

static enum err bad_document(struct errinfo *info, const char *why)
{
    (void)errinfo_set(info, ERR_BUSY, "57P03", "the issuer's document is not usable: %s", why);
    errinfo_hint(info, "Compare \"oidc.issuer\" with what the provider says of itself.");
    return ERR_BUSY;
}

static enum err get(struct oidc *oidc, const char *url, size_t bytes_max, struct secret *ret_body,
                    struct errinfo *info)
{
    struct oidc_question question = {.url = url, .bytes_max = bytes_max};
    long status;
    TRY(oidc_ask(oidc, &question, &status, ret_body, info));
    if (status != 200) {
        secret_fini(ret_body);
        return errinfo_set(info, ERR_BUSY, "57P03",
                           "the identity provider answered with status %ld", status);
    }
    return ERR_OK;
}

/* An address of the document, on the heap; NULL if absent. */
static enum err take_address(struct oidc *oidc, const struct json *document, const char *name,
                             char **ret_url, struct errinfo *info)
{
    struct slice url = json_get_text(document, name);
    *ret_url = NULL;
    if (url.len == 0) {
        return ERR_OK;
    }
    if (!fetch_url_is_allowed(url, oidc__plain(&oidc->options))) {
        return bad_document(info, "it names an address without TLS");
    }
    *ret_url = mem_slicedup(url);
    return *ret_url != NULL ? ERR_OK : errinfo_nomem(info);
}

static enum err fetch_document(struct oidc *oidc, struct document *ret_document,
                               struct errinfo *info)
{
    struct slice issuer = oidc->options.issuer;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "discovery", 0);
    struct secret body CLEANUP(secret_fini) = {0};
    struct document document CLEANUP(free_document) = {0};
    struct json *json;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    const char *url = arena_printf(arena, "%.*s%s" DOCUMENT_PATH, SLICE_ARGS(issuer),
                                   slice_ends_with(issuer, SLICE("/")) ? "" : "/");
    if (url == NULL) {
        return errinfo_nomem(info);
    }
    TRY(get(oidc, url, DOCUMENT_BYTES_MAX, &body, info));
    enum err err = jose_object(arena, secret_slice(&body), &json, NULL);
    if (err != ERR_OK) {
        return err == ERR_NOMEM ? errinfo_nomem(info) : bad_document(info, "it is not JSON");
    }
    /* Discovery, 4.3: else another issuer's keys would be taken for this one's. */
    if (!slice_equal(json_get_text(json, "issuer"), issuer)) {
        return bad_document(info, "it is another issuer's");
    }
    TRY(take_address(oidc, json, "jwks_uri", &document.jwks_uri, info));
    TRY(take_address(oidc, json, "token_endpoint", &document.kept.token_endpoint, info));
    TRY(take_address(oidc, json, "authorization_endpoint", &document.kept.authorization_endpoint,
                     info));
    const struct json *names = json_get(json, "authorization_response_iss_parameter_supported");
    document.kept.names_itself = names != NULL && names->type == JSON_BOOL && names->boolean;
    if (document.jwks_uri == NULL) {
        return bad_document(info, "it names no keys");
    }
    *ret_document = document;
    document = (struct document){0};
    return ERR_OK;
}

static enum err fetch(struct oidc *oidc, struct jwks **ret_jwks, struct oidc_document *ret_document,
                      struct errinfo *info)
{
    struct document document CLEANUP(free_document) = {0};
    struct secret body CLEANUP(secret_fini) = {0};
    TRY(fetch_document(oidc, &document, info));
    TRY(get(oidc, document.jwks_uri, JWKS_BYTES_MAX, &body, info));
    enum err err = jwks_parse(secret_slice(&body), ret_jwks, info);
    if (err != ERR_OK) {
        return err == ERR_NOMEM ? err : bad_document(info, "its keys are none that verify tokens");
    }
    *ret_document = document.kept;
    document.kept = (struct oidc_document){0};
    return ERR_OK;
}

static int64_t age_us(const struct oidc *oidc)
{
    return oidc__mono_us(oidc) - oidc->keys.fetched_us;
}

static bool is_young(const struct oidc *oidc)
{
    return oidc->keys.jwks != NULL && age_us(oidc) < oidc->options.keys_age_max_ms * 1000;
}

static bool is_usable(const struct oidc *oidc)
{
    return oidc->keys.jwks != NULL &&
           age_us(oidc) < (oidc->options.keys_age_max_ms + oidc->options.keys_stale_max_ms) * 1000;
}

static bool may_ask(const struct oidc *oidc)
{
    int64_t wait_us = oidc->options.keys_refresh_min_ms * 1000;
    if (oidc->keys.jwks == NULL && wait_us > FIRST_RETRY_US) {
        wait_us = FIRST_RETRY_US;
    }
    return !oidc->keys.has_tried || oidc__mono_us(oidc) - oidc->keys.tried_us >= wait_us;
}

/* With the lock held, which is given up for the time of the requests. */
static enum err refetch(struct oidc *oidc, struct errinfo *info)
{
    struct oidc_keys *keys = &oidc->keys;
    struct jwks *jwks = NULL;
    struct oidc_document document = {0};
    keys->is_fetching = true;
    pthread_mutex_unlock(&oidc->lock);
    enum err err = fetch(oidc, &jwks, &document, info);
    pthread_mutex_lock(&oidc->lock);
    keys->is_fetching = false;
    keys->has_tried = true;
    keys->tried_us = oidc__mono_us(oidc);
    if (err == ERR_OK) {
        jwks_unref(keys->jwks);
        keys->jwks = jwks;
        keys->fetched_us = keys->tried_us;
        oidc__document_fini(&oidc->document);
        oidc->document = document;
    }
    pthread_cond_broadcast(&oidc->changed);
    return err;
}

static enum err no_keys(const struct oidc *oidc, struct errinfo *info)
{
    (void)errinfo_set(info, ERR_BUSY, "57P03", "the identity provider does not answer");
    if (oidc->keys.jwks != NULL) {
        errinfo_detail(info, "Its keys are too old to be trusted.");
    }
    return ERR_BUSY;
}

/* With the lock held: makes sure that there are keys, newer ones than `than` if possible. */
static enum err ensure(struct oidc *oidc, const struct jwks *than, struct errinfo *info)
{
    for (;;) {
        bool has_newer = than != NULL && oidc->keys.jwks != than;
        if (is_young(oidc) && (than == NULL || has_newer)) {
            return ERR_OK;
        }
        if (oidc->keys.is_fetching) {
            if (than == NULL && is_usable(oidc)) {
                return ERR_OK;
            }
            pthread_cond_wait(&oidc->changed, &oidc->lock);
            if (than != NULL && is_usable(oidc)) {
                return ERR_OK;
            }
            continue;
        }
        if (!may_ask(oidc)) {
            return is_usable(oidc) ? ERR_OK : no_keys(oidc, info);
        }
        enum err err = refetch(oidc, info);
        if (err == ERR_BUSY && is_usable(oidc)) {
            log_warn("identity", "the issuer's keys cannot be renewed; the old ones still serve");
            return ERR_OK;
        }
        TRY(err);
        than = NULL;
    }
}

enum err oidc_get_keys(struct oidc *oidc, const struct jwks *than, struct jwks **ret_jwks,
                       struct errinfo *info)
{
    pthread_mutex_lock(&oidc->lock);
    enum err err = ensure(oidc, than, info);
    if (err == ERR_OK) {
        *ret_jwks = jwks_ref(oidc->keys.jwks);
    }
    pthread_mutex_unlock(&oidc->lock);
    return err;
}

/* `ret_url` is on the heap; NULL where the issuer names none. */
static enum err get_address(struct oidc *oidc, char *const *address, char **ret_url,
                            bool *ret_names_itself, struct errinfo *info)
{
    char *url = NULL;
    pthread_mutex_lock(&oidc->lock);
    enum err err = ensure(oidc, NULL, info);
    bool has_one = err == ERR_OK && *address != NULL;
    if (has_one) {
        url = mem_strdup(*address);
        *ret_names_itself = oidc->document.names_itself;
    }
    pthread_mutex_unlock(&oidc->lock);
    TRY(err);
    if (has_one && url == NULL) {
        return errinfo_nomem(info);
    }
    *ret_url = url;
    return ERR_OK;
}

enum err oidc_get_token_endpoint(struct oidc *oidc, char **ret_url, struct errinfo *info)
{
    bool ignored;
    char *url = NULL;
    TRY(get_address(oidc, &oidc->document.token_endpoint, &url, &ignored, info));
    if (url == NULL) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL, "the issuer has no token endpoint");
    }
    *ret_url = url;
    return ERR_OK;
}

enum err oidc_get_authorization_endpoint(struct oidc *oidc, char **ret_url, bool *ret_names_itself,
                                         struct errinfo *info)
{
    char *url = NULL;
    TRY(get_address(oidc, &oidc->document.authorization_endpoint, &url, ret_names_itself, info));
    if (url == NULL) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL, "nobody signs in at the issuer by browser");
    }
    *ret_url = url;
    return ERR_OK;
}
