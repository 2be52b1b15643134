#include "catalog/rest/rest.h"

#include "base/mem.h"
#include "catalog/rest/rest_metastore_int.h"
#include "fetch/fetch.h"

static const char *const auth_names[] = {[REST_AUTH_SESSION] = "session",
                                         [REST_AUTH_EXCHANGE] = "exchange",
                                         [REST_AUTH_CLIENT] = "client"};

bool rest_auth_parse(struct slice text, enum rest_auth *ret_auth)
{
    for (size_t i = 0; i < ARRAY_COUNT(auth_names); i++) {
        if (slice_equal_fold(text, slice_of(auth_names[i]))) {
            *ret_auth = (enum rest_auth)i;
            return true;
        }
    }
    return false;
}

const char *rest_auth_name(enum rest_auth auth)
{
    return auth_names[auth];
}

bool rest_catalog_copy(const struct rest_catalog *from, struct arena *arena,
                       struct rest_catalog *ret_copy)
{
    struct rest_catalog copy = *from;
    copy.is_cancelled = NULL;
    copy.cancel_context = NULL;
    copy.ahead = NULL;
    struct slice *texts[] = {
        &copy.name,       &copy.uri,     &copy.warehouse, &copy.token_uri,
        &copy.audience,   &copy.scope,   &copy.client_id, &copy.client_secret_file,
        &copy.request_id, &copy.sts_uri, &copy.role,      &copy.store_uri,
        &copy.region};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        if (!arena_slice(arena, *texts[i], texts[i])) {
            return false;
        }
    }
    *ret_copy = copy;
    return true;
}

enum err rest_open(const struct rest_options *options, struct rest **ret_rest, struct errinfo *info)
{
    struct rest *rest CLEANUP(rest_cleanup) = mem_calloc(1, sizeof(*rest));
    if (rest == NULL) {
        return errinfo_nomem(info);
    }
    rest->options = *options;
    pthread_mutex_init(&rest->breakers.lock, NULL);
    if (options->origins != NULL) {
        rest->origins = mem_strdup(options->origins);
        rest->options.origins = rest->origins;
        if (rest->origins == NULL) {
            return errinfo_nomem(info);
        }
    }
    if (options->ca_file != NULL) {
        rest->ca_file = mem_strdup(options->ca_file);
        rest->options.ca_file = rest->ca_file;
        if (rest->ca_file == NULL) {
            return errinfo_nomem(info);
        }
    }
    TRY(rest_cache__new(options->cache_bytes_max, &rest->cache, info));
    TRY(rest_reporter__new(rest, &rest->reporter, info));
    *ret_rest = TAKE(rest);
    return ERR_OK;
}

void rest_close(struct rest *rest)
{
    if (rest != NULL) {
        rest_reporter__free(rest->reporter);
        rest_cache__free(rest->cache);
        pthread_mutex_destroy(&rest->breakers.lock);
        mem_free(rest->ca_file);
        mem_free(rest->origins);
        mem_free(rest);
    }
}

enum err rest_uri_check(const struct rest *rest, struct slice written, struct arena *arena,
                        struct slice *ret_uri, struct errinfo *info)
{
    struct slice uri = slice_trim(written);
    while (uri.len > 0 && uri.ptr[uri.len - 1] == '/') {
        uri.len--;
    }
    bool is_plain = slice_find(uri, SLICE("?")) == SIZE_MAX;
    if (uri.len > REST_URI_BYTES_MAX) {
        (void)errinfo_set(info, ERR_LIMIT, "54000",
                          "the address of a catalog has %zu bytes, and may have %d", uri.len,
                          REST_URI_BYTES_MAX);
        errinfo_hint(info, "The names of namespaces and tables are written behind it.");
        return ERR_LIMIT;
    }
    if (!is_plain ||
        !fetch_url_is_allowed(uri, rest->options.allow_loopback_http ? FETCH_PLAIN_LOOPBACK
                                                                     : FETCH_TLS_ONLY)) {
        (void)errinfo_set(info, ERR_INVALID, "22023",
                          "this is no address that a catalog is asked at");
        errinfo_hint(info, "Write 'https://host/path'%s. Tokens go nowhere without TLS.",
                     rest->options.allow_loopback_http
                         ? ", or 'http://' to this machine"
                         : " (for a catalog on this machine: catalog.insecure_loopback)");
        return ERR_INVALID;
    }
    return arena_slice(arena, uri, ret_uri) ? ERR_OK : errinfo_nomem(info);
}

bool rest_origin_is_among(struct slice origins, struct slice uri)
{
    while (origins.len > 0) {
        size_t comma = slice_find(origins, SLICE(","));
        size_t len = comma == SIZE_MAX ? origins.len : comma;
        if (fetch_url_is_same_origin(slice_trim((struct slice){origins.ptr, len}), uri)) {
            return true;
        }
        size_t past = len == origins.len ? len : len + 1;
        origins = (struct slice){origins.ptr + past, origins.len - past};
    }
    return false;
}

enum err rest_check(struct rest *rest, const struct rest_catalog *catalog,
                    const struct identity *who, struct errinfo *info)
{
    struct rest_call call CLEANUP(rest_call__close) = {0};
    TRY(rest_call__open(rest, catalog, who, &call, info));
    return metastore_is(catalog->protocol) ? rest_metastore__of(catalog)->check(&call) : ERR_OK;
}
