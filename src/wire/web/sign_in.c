/* Who asks: what a request carries goes to the providers as it is. Basic is a password (or a token
 * or key in its place), Bearer a token or an API key, and without either a certificate that was
 * shown. In the clear nothing secret is taken, but from this machine where that is allowed. */
#include <openssl/evp.h>

#include "base/arena.h"
#include "base/mem.h"
#include "identity/provider.h"
#include "query/login.h"
#include "wire/web/web_int.h"

#define SECRET_BYTES_MAX 40960u /* of a header with a token */

void web__person_close(void *state)
{
    struct web_person *person = state;
    secret_fini(&person->shown);
    identity_unref(person->who);
    web__login_unref(person->login);
    mem_free(person);
}

void web__sign_out(struct http_exchange *exchange)
{
    struct web_person *person = http_state(exchange);
    if (person != NULL) {
        secret_fini(&person->shown);
        identity_unref(TAKE(person->who));
    }
}

/* A connection may be a proxy's and carry several people: how long it takes must not tell. */
static bool is_same(struct slice a, struct slice b)
{
    unsigned difference = a.len != b.len;
    for (size_t i = 0; i < a.len && i < b.len; i++) {
        difference |= (unsigned char)a.ptr[i] ^ (unsigned char)b.ptr[i];
    }
    return difference == 0;
}

bool web__is_private(const struct web_server *server, const struct connection *connection)
{
    struct slice address = connection_address(connection);
    bool is_loopback =
        slice_starts_with(address, SLICE("127.")) || slice_equal(address, SLICE("::1"));
    return connection_is_tls(connection) ||
           (is_loopback && config_bool(server->config, CONFIG_LOGIN_INSECURE_LOOPBACK));
}

enum err web__refuse_clear(struct errinfo *info)
{
    (void)errinfo_set(info, ERR_DENIED, "28000", "passwords and tokens are not taken in the clear");
    errinfo_hint(info, "Ask https://, or on one machine set login.insecure_loopback.");
    return ERR_DENIED;
}

/* "user:password" of RFC 7617 into `ret_plain`, which is the caller's to wipe. */
static bool read_basic(struct slice text, struct secret *ret_plain, struct credential *credential)
{
    if (text.len == 0 || text.len % 4 != 0 || !secret_new(text.len, ret_plain)) {
        return false;
    }
    int len = EVP_DecodeBlock((unsigned char *)ret_plain->ptr, (const unsigned char *)text.ptr,
                              (int)text.len);
    size_t padding = (size_t)(text.ptr[text.len - 1] == '=') + (text.ptr[text.len - 2] == '=');
    struct slice plain = {ret_plain->ptr, len < (int)padding ? 0 : (size_t)len - padding};
    const char *colon = plain.len == 0 ? NULL : memchr(plain.ptr, ':', plain.len);
    if (colon == NULL || memchr(plain.ptr, '\0', plain.len) != NULL) {
        return false;
    }
    credential->kind = CREDENTIAL_PASSWORD;
    credential->user = (struct slice){plain.ptr, (size_t)(colon - plain.ptr)};
    credential->secret = (struct slice){colon + 1, plain.len - credential->user.len - 1};
    return true;
}

static bool read_shown(struct slice shown, struct secret *ret_plain, struct credential *credential)
{
    const char *space = shown.len == 0 ? NULL : memchr(shown.ptr, ' ', shown.len);
    if (space == NULL || shown.len > SECRET_BYTES_MAX) {
        return false;
    }
    struct slice scheme = {shown.ptr, (size_t)(space - shown.ptr)};
    struct slice rest = slice_trim((struct slice){space, shown.len - scheme.len});
    if (slice_equal_fold(scheme, SLICE("basic"))) {
        return read_basic(rest, ret_plain, credential);
    }
    credential->kind = CREDENTIAL_TOKEN;
    credential->secret = rest;
    return slice_equal_fold(scheme, SLICE("bearer")) && rest.len > 0;
}

static enum err no_credential(struct errinfo *info)
{
    (void)errinfo_set(info, ERR_DENIED, "28000", "this needs a sign-in");
    errinfo_hint(info, "Send Authorization: Basic with a password, or Bearer with a token or an "
                       "API key.");
    return ERR_DENIED;
}

/* Address, protocol and program, for the trail. */
enum err web__log_in(const struct web_server *server, const struct connection *wire,
                     const struct web_visitor *visitor, struct credential *credential,
                     struct identity **ret_who, struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "web login", 0);
    char *client = arena == NULL
                       ? NULL
                       : arena_printf(arena, "%s %s %.*s", connection_peer(wire), visitor->protocol,
                                      SLICE_ARGS(visitor->application));
    if (client == NULL) {
        return errinfo_nomem(info);
    }
    credential->address = connection_address(wire);
    return warehouse_login_credential(server->warehouse, credential, slice_trim(slice_of(client)),
                                      ret_who, info);
}

static enum err sign_in(struct web_server *server, struct http_exchange *exchange,
                        struct web_person *person, const struct web_visitor *visitor,
                        struct errinfo *info)
{
    struct slice shown = {"", 0};
    struct secret plain CLEANUP(secret_fini) = {0};
    struct credential credential = {0};
    struct connection *wire = http_connection(exchange);
    bool has_shown = http_field(exchange, SLICE("authorization"), &shown);
    if (person->who != NULL && is_same(shown, secret_slice(&person->shown))) {
        return ERR_OK;
    }
    web__sign_out(exchange);
    if (has_shown) {
        if (!web__is_private(server, wire)) {
            return web__refuse_clear(info);
        }
        if (!read_shown(shown, &plain, &credential)) {
            return no_credential(info);
        }
    } else {
        TRY(connection_certificate(wire, &credential.certificate, info));
        if (credential.certificate.len == 0) {
            return no_credential(info);
        }
        credential.kind = CREDENTIAL_CERTIFICATE;
    }
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    TRY(web__log_in(server, wire, visitor, &credential, &who, info));
    if (!secret_copy(shown, &person->shown)) {
        return errinfo_nomem(info);
    }
    person->who = TAKE(who);
    return ERR_OK;
}

/* A page of another site can make a browser ask here, with what the browser knows of its person.
 * Nothing of that is answered. */
bool web__is_from_elsewhere(const struct http_exchange *exchange)
{
    struct slice origin, host, site;
    if (http_field(exchange, SLICE("sec-fetch-site"), &site) &&
        !slice_equal_fold(site, SLICE("same-origin")) && !slice_equal_fold(site, SLICE("none"))) {
        return true;
    }
    if (!http_field(exchange, SLICE("origin"), &origin)) {
        return false;
    }
    size_t scheme = slice_find(origin, SLICE("://"));
    if (scheme == SIZE_MAX || !http_field(exchange, SLICE("host"), &host)) {
        return true;
    }
    struct slice from = {origin.ptr + scheme + 3, origin.len - scheme - 3};
    return !slice_equal_fold(from, host);
}

struct web_person *web__person_of(struct http_exchange *exchange)
{
    struct web_person *person = http_state(exchange);
    if (person == NULL) {
        person = mem_calloc(1, sizeof(*person));
        if (person != NULL) {
            http_set_state(exchange, person);
        }
    }
    return person;
}

/* A cookie is looked up anew for each request: it may have ended meanwhile. */
static enum err sign_in_by(struct web_server *server, struct http_exchange *exchange,
                           const struct web_visitor *visitor, enum web_proof proof,
                           struct identity **ret_who, struct errinfo *info)
{
    struct web_person *person = web__person_of(exchange);
    if (web__is_from_elsewhere(exchange)) {
        return errinfo_set(info, ERR_DENIED, NULL, "pages of other sites may not ask here");
    }
    if (person == NULL) {
        return errinfo_nomem(info);
    }
    web__login_unref(TAKE(person->login));
    if (web__has_cookie(exchange)) {
        TRY(web__login_find(server, exchange, proof, &person->login, info));
        *ret_who = web__login_who(person->login);
        return ERR_OK;
    }
    TRY(sign_in(server, exchange, person, visitor, info));
    *ret_who = person->who;
    return ERR_OK;
}

struct identity *web__sign_in_by(struct web_server *server, struct http_exchange *exchange,
                                 const struct web_visitor *visitor, enum web_proof proof)
{
    struct errinfo info;
    struct identity *who;
    errinfo_init(&info);
    if (sign_in_by(server, exchange, visitor, proof, &who, &info) != ERR_OK) {
        if (visitor->shows_browser && web_status(&info) == 401) {
            web__browser_challenge(server, exchange, visitor);
        }
        web_reply_error(exchange, &info, SLICE(""));
        return NULL;
    }
    http_signed_in(exchange);
    return who;
}

struct identity *web_sign_in(struct web_server *server, struct http_exchange *exchange,
                             const struct web_visitor *visitor)
{
    return web__sign_in_by(server, exchange, visitor, WEB_PROOF_HEADER);
}

struct web_login *web__login_of(const struct http_exchange *exchange)
{
    const struct web_person *person = http_state(exchange);
    return person == NULL ? NULL : person->login;
}
