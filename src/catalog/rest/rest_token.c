/* Whose token a request carries. For a person who has none there is no other: nothing is asked. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "catalog/rest/rest_int.h"
#include "identity/provider.h"

#define SECRET_BYTES_MAX 4096
#define RENEW_BEFORE_US INT64_C(30000000)

/* This program's own token for one catalog. */
struct own_token {
    struct rest_item item;
    struct secret token;
    int64_t expires_us; /* monotonic */
};

static void own_token_fini(struct rest_item *item)
{
    secret_fini(&((struct own_token *)item)->token);
}

static void unref_item(struct rest_item **item)
{
    rest_item__unref(*item);
}

/* As identity says it, for this catalog. */
static enum err no_token(const struct rest_call *call, enum err err)
{
    if (err == ERR_NOT_FOUND) {
        (void)errinfo_set(call->info, ERR_DENIED, "28000",
                          "this session has no token for catalog \"%.*s\"",
                          SLICE_ARGS(call->catalog->name));
        errinfo_hint(call->info, "The catalog is asked as you: sign in with a token of the "
                                 "identity provider instead of a password, a key or a local user.");
        return ERR_DENIED;
    }
    return err;
}

/* Only its owner may be able to read it, as with keys of TLS. */
static enum err read_secret(const struct rest_call *call, struct secret *ret_secret)
{
    struct slice path = call->catalog->client_secret_file;
    char *name CLEANUP(mem_free_cleanup) = mem_slicedup(path);
    struct secret secret CLEANUP(secret_fini) = {0};
    struct stat status;
    if (name == NULL || !secret_new(SECRET_BYTES_MAX, &secret)) {
        return errinfo_nomem(call->info);
    }
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    bool is_safe = fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
                   (status.st_mode & (S_IRWXG | S_IRWXO)) == 0;
    ssize_t len = is_safe ? read(fd, secret.ptr, secret.len) : -1;
    if (fd >= 0) {
        (void)close(fd);
    }
    if (len <= 0 || len == (ssize_t)secret.len) {
        (void)errinfo_set(call->info, ERR_INVALID, "22023",
                          "the CLIENT_SECRET_FILE of catalog \"%.*s\" cannot be used",
                          SLICE_ARGS(call->catalog->name));
        errinfo_hint(call->info,
                     "It must be a file of at most %d bytes that this program's user "
                     "alone may read.",
                     SECRET_BYTES_MAX);
        return ERR_INVALID;
    }
    struct slice text = slice_trim((struct slice){secret.ptr, (size_t)len});
    return secret_copy(text, ret_secret) ? ERR_OK : errinfo_nomem(call->info);
}

static enum err ask_own(const struct rest_call *call, const struct rest_key *key,
                        struct rest_item **ret_item)
{
    const struct rest_catalog *catalog = call->catalog;
    const struct rest_options *options = &call->rest->options;
    struct secret secret CLEANUP(secret_fini) = {0};
    struct buf uri CLEANUP(buf_fini) = {0};
    struct secret token CLEANUP(secret_fini) = {0};
    int64_t life_s = 0;
    TRY(read_secret(call, &secret));
    buf_append_slice(&uri, catalog->token_uri.len > 0 ? catalog->token_uri : catalog->uri);
    buf_append_str(&uri, catalog->token_uri.len > 0 ? "" : "/v1/oauth/tokens");
    struct identity_client client = {.token_uri = buf_slice(&uri),
                                     .client = catalog->client_id,
                                     .secret = secret_slice(&secret),
                                     .scope = catalog->scope,
                                     .timeout_ms = options->timeout_ms,
                                     .ca_file = options->ca_file,
                                     .allow_loopback_http = options->allow_loopback_http};
    if (buf_failed(&uri)) {
        return errinfo_nomem(call->info);
    }
    TRY(identity_client_token(&client, &token, &life_s, call->info));
    struct own_token *own = mem_calloc(1, sizeof(*own));
    if (own == NULL) {
        return errinfo_nomem(call->info);
    }
    atomic_init(&own->item.references, 1);
    own->item.key = *key;
    own->item.bytes = sizeof(*own) + token.len;
    own->item.fini = own_token_fini;
    secret_replace(&own->token, &token);
    own->expires_us = clock_mono_us() + life_s * 1000000;
    rest_cache__put(call->rest->cache, &own->item);
    *ret_item = &own->item;
    return ERR_OK;
}

static enum err own_header(const struct rest_call *call, bool is_again, struct secret *ret_header)
{
    const struct rest_catalog *catalog = call->catalog;
    const struct slice parts[] = {catalog->token_uri, catalog->client_id,
                                  catalog->client_secret_file, catalog->scope};
    struct rest_key key;
    if (call->rest->options.is_production) {
        (void)errinfo_set(call->info, ERR_DENIED, "28000",
                          "catalog \"%.*s\" would be asked as this program, not as you",
                          SLICE_ARGS(catalog->name));
        errinfo_hint(call->info, "AUTH client is not for production: ATTACH it with AUTH session "
                                 "or AUTH exchange.");
        return ERR_DENIED;
    }
    TRY(rest_call__key(call, "own", parts, ARRAY_COUNT(parts), &key));
    struct rest_item *item CLEANUP(unref_item) = rest_cache__get(call->rest->cache, &key);
    const struct own_token *own = (const struct own_token *)item;
    if (item == NULL || is_again || clock_mono_us() + RENEW_BEFORE_US > own->expires_us) {
        rest_item__unref(item);
        item = NULL;
        TRY(ask_own(call, &key, &item));
        own = (const struct own_token *)item;
    }
    struct slice header[] = {SLICE("Bearer "), secret_slice(&own->token)};
    return secret_join(header, ARRAY_COUNT(header), ret_header) ? ERR_OK
                                                                : errinfo_nomem(call->info);
}

static enum err exchanged_header(const struct rest_call *call, bool is_again,
                                 struct secret *ret_header)
{
    const struct rest_catalog *catalog = call->catalog;
    struct secret secret CLEANUP(secret_fini) = {0};
    struct identity_exchange exchange = {.token_uri = catalog->token_uri,
                                         .client = catalog->client_id,
                                         .audience = catalog->audience,
                                         .scope = catalog->scope};
    if (identity_credential_number(call->who) == 0) {
        return no_token(call, ERR_NOT_FOUND);
    }
    if (catalog->client_secret_file.len > 0) {
        TRY(read_secret(call, &secret));
        exchange.secret = secret_slice(&secret);
    }
    return no_token(call,
                    identity_exchanged(call->who, &exchange, is_again, ret_header, call->info));
}

enum err rest_token__header(const struct rest_call *call, bool is_again, struct secret *ret_header)
{
    switch (call->catalog->auth) {
    case REST_AUTH_SESSION:
        return no_token(call, identity_authorization(call->who, ret_header, call->info));
    case REST_AUTH_EXCHANGE:
        return exchanged_header(call, is_again, ret_header);
    case REST_AUTH_CLIENT:
        return own_header(call, is_again, ret_header);
    }
    return ERR_INTERNAL;
}

bool rest_token__can_change(const struct rest_call *call)
{
    return call->catalog->auth != REST_AUTH_SESSION ||
           call->catalog->protocol == REST_PROTOCOL_GLUE; /* other keys for the same token */
}
