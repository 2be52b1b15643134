/* Sign-ins of the console: POST /v1/session gives a cookie, which stands for the person until they
 * sign out, do nothing for a while, or a day is over.
 *
 * A browser adds its cookie to whatever page makes it ask, so a cookie alone allows nothing: the
 * page must also show what only it was told (X-Moat-CSRF). What is kept here is a hash of the
 * cookie's secret, so that nothing that reads this memory can sign in with it. */
#include <stdatomic.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "identity/provider.h"
#include "wire/web/socket.h"

#define SECRET_BYTES 32
#define TEXT_BYTES (2 * SECRET_BYTES + 1)
#define AGE_US (12 * 3600 * 1000000LL)
#define LOGINS_MAX 10000u
#define LOGINS_PERSON_MAX 50u /* of more, the one that was used last of all ends */

/* With the prefix a browser takes it over TLS only, for this host alone (RFC 6265bis, 4.1.3). */
#define COOKIE_TLS "__Host-moat-session"
#define COOKIE_CLEAR "moat-session"

struct web_login {
    struct web_login *next, *previous; /* under the server's lock, like all up to `used_us` */
    bool is_listed;
    int64_t used_us;
    atomic_uint references;
    struct web_server *server;
    int64_t begun_us;
    struct identity *who;
    uint8_t hash[SHA256_BYTES];
    char proof[TEXT_BYTES];
};

/* ---- life ---- */

struct web_login *web__login_ref(struct web_login *login)
{
    if (login != NULL) {
        atomic_fetch_add(&login->references, 1);
    }
    return login;
}

void web__login_unref(struct web_login *login)
{
    if (login != NULL && atomic_fetch_sub(&login->references, 1) == 1) {
        identity_unref(login->who);
        explicit_bzero(login, sizeof(*login));
        mem_free(login);
    }
}

struct identity *web__login_who(const struct web_login *login)
{
    return login->who;
}

/* With the server's lock held: its reference is the caller's then. */
static void unlist(struct web_server *server, struct web_login *login)
{
    *(login->previous == NULL ? &server->logins : &login->previous->next) = login->next;
    if (login->next != NULL) {
        login->next->previous = login->previous;
    }
    login->is_listed = false;
}

void web__login_end(struct web_server *server, struct web_login *login)
{
    pthread_mutex_lock(&server->lock);
    bool was_listed = login->is_listed;
    if (was_listed) {
        unlist(server, login);
    }
    web__runs_stop_of(server, login);
    web__sockets_end_of(server, login);
    pthread_mutex_unlock(&server->lock);
    web__kepts_stop_of(server, login);
    if (was_listed) {
        web__login_unref(login);
    }
}

static bool is_late(const struct web_server *server, const struct web_login *login, int64_t now_us)
{
    int64_t idle_us = config_duration_ms(server->config, CONFIG_SERVER_WEB_SESSION_TIMEOUT) * 1000;
    return now_us - login->used_us > idle_us || now_us - login->begun_us > AGE_US ||
           identity_is_expired(login->who, clock_wall_us());
}

struct web_login *web__login_late(struct web_server *server)
{
    int64_t now_us = clock_mono_us();
    for (struct web_login *login = server->logins; login != NULL; login = login->next) {
        if (server->is_closing || is_late(server, login, now_us)) {
            return web__login_ref(login);
        }
    }
    return NULL;
}

void web__logins_close(struct web_server *server)
{
    while (server->logins != NULL) {
        struct web_login *login = server->logins;
        unlist(server, login);
        web__login_unref(login);
    }
}

/* Whoever signs in once more than they may loses the sign-in that was quiet for longest. */
static void make_room(struct web_server *server, const struct identity *who)
{
    struct web_login *quiet = NULL;
    size_t own = 0, all = 0;
    pthread_mutex_lock(&server->lock);
    for (struct web_login *login = server->logins; login != NULL; login = login->next, all++) {
        bool is_own = slice_equal(identity_subject(login->who), identity_subject(who));
        own += is_own;
        if (is_own && (quiet == NULL || login->used_us < quiet->used_us)) {
            quiet = login;
        }
    }
    quiet = own >= LOGINS_PERSON_MAX || all >= LOGINS_MAX ? web__login_ref(quiet) : NULL;
    pthread_mutex_unlock(&server->lock);
    if (quiet != NULL) {
        web__login_end(server, quiet);
        web__login_unref(quiet);
    }
}

static enum err list(struct web_server *server, struct web_login *login, struct errinfo *info)
{
    size_t all = 0;
    enum err err = ERR_OK;
    pthread_mutex_lock(&server->lock);
    for (const struct web_login *l = server->logins; l != NULL; l = l->next) {
        all++;
    }
    if (server->is_closing || all >= LOGINS_MAX) {
        err = errinfo_set(info, ERR_BUSY, "53300", "there are too many sessions");
    } else {
        login->is_listed = true;
        login->next = server->logins;
        if (login->next != NULL) {
            login->next->previous = login;
        }
        server->logins = web__login_ref(login);
    }
    pthread_mutex_unlock(&server->lock);
    return err;
}

static enum err new_login(struct web_server *server, struct identity *who,
                          char ret_secret[TEXT_BYTES], struct web_login **ret_login,
                          struct errinfo *info)
{
    uint8_t secret[SECRET_BYTES], proof[SECRET_BYTES];
    struct web_login *login = mem_calloc(1, sizeof(*login));
    if (login == NULL) {
        return errinfo_nomem(info);
    }
    atomic_init(&login->references, 1);
    login->server = server;
    login->begun_us = login->used_us = clock_mono_us();
    login->who = identity_ref(who);
    enum err err = random_bytes(secret, sizeof(secret));
    err = err != ERR_OK ? err : random_bytes(proof, sizeof(proof));
    if (err == ERR_OK) {
        hash_hex(secret, sizeof(secret), ret_secret);
        hash_hex(proof, sizeof(proof), login->proof);
        err = hash_sha256(slice_of(ret_secret), login->hash);
    }
    explicit_bzero(secret, sizeof(secret));
    if (err != ERR_OK) {
        (void)errinfo_set(info, err, NULL, "there are no random numbers");
    } else {
        make_room(server, who);
        err = list(server, login, info);
    }
    if (err != ERR_OK) {
        web__login_unref(login);
        return err;
    }
    *ret_login = login;
    return ERR_OK;
}

/* ---- cookies ---- */

static struct slice cookie_name(const struct http_exchange *exchange)
{
    return connection_is_tls(http_connection(exchange)) ? SLICE(COOKIE_TLS) : SLICE(COOKIE_CLEAR);
}

/* In "a=b; c=d" of all such fields (RFC 6265, 5.4). */
bool web__find_cookie(const struct http_exchange *exchange, struct slice name,
                      struct slice *ret_value)
{
    struct slice field;
    for (size_t i = 0; http_field_at(exchange, SLICE("cookie"), i, &field); i++) {
        while (field.len > 0) {
            const char *end = memchr(field.ptr, ';', field.len);
            size_t len = end == NULL ? field.len : (size_t)(end - field.ptr);
            struct slice pair = slice_trim((struct slice){field.ptr, len});
            if (slice_starts_with(pair, name) && pair.len > name.len && pair.ptr[name.len] == '=') {
                *ret_value = (struct slice){pair.ptr + name.len + 1, pair.len - name.len - 1};
                return true;
            }
            size_t used = end == NULL ? len : len + 1;
            field = (struct slice){field.ptr + used, field.len - used};
        }
    }
    return false;
}

static bool find_cookie(const struct http_exchange *exchange, struct slice *ret_value)
{
    return web__find_cookie(exchange, cookie_name(exchange), ret_value);
}

bool web__has_cookie(const struct http_exchange *exchange)
{
    struct slice ignored;
    return !http_field(exchange, SLICE("authorization"), &ignored) &&
           find_cookie(exchange, &ignored);
}

static struct web_login *find(struct web_server *server, const uint8_t hash[SHA256_BYTES])
{
    int64_t now_us = clock_mono_us();
    pthread_mutex_lock(&server->lock);
    struct web_login *login = server->logins;
    while (login != NULL && !hash_equal(login->hash, hash, SHA256_BYTES)) {
        login = login->next;
    }
    if (login != NULL && is_late(server, login, now_us)) {
        login = NULL; /* the minder ends it */
    }
    if (login != NULL) {
        login->used_us = now_us;
    }
    login = web__login_ref(login);
    pthread_mutex_unlock(&server->lock);
    return login;
}

bool web__login_use(struct web_server *server, struct web_login *login)
{
    int64_t now_us = clock_mono_us();
    pthread_mutex_lock(&server->lock);
    bool stands = login->is_listed && !is_late(server, login, now_us);
    login->used_us = stands ? now_us : login->used_us;
    pthread_mutex_unlock(&server->lock);
    return stands;
}

static bool is_proven(const struct http_exchange *exchange, const struct web_login *login,
                      enum web_proof proof)
{
    struct slice shown;
    switch (proof) {
    case WEB_PROOF_HEADER:
        return http_field(exchange, SLICE("x-moat-csrf"), &shown) &&
               shown.len == sizeof(login->proof) - 1 &&
               hash_equal(shown.ptr, login->proof, shown.len);
    case WEB_PROOF_ORIGIN:
        return http_field(exchange, SLICE("origin"), &shown);
    case WEB_PROOF_READ:
        return true;
    }
    return false;
}

enum err web__login_find(struct web_server *server, struct http_exchange *exchange,
                         enum web_proof proof, struct web_login **ret_login, struct errinfo *info)
{
    struct slice secret;
    uint8_t hash[SHA256_BYTES];
    struct web_login *login = NULL;
    if (web__is_private(server, http_connection(exchange)) && find_cookie(exchange, &secret) &&
        secret.len == TEXT_BYTES - 1) {
        TRY(hash_sha256(secret, hash));
        login = find(server, hash);
    }
    if (login == NULL || !is_proven(exchange, login, proof)) {
        web__login_unref(login);
        (void)errinfo_set(info, ERR_DENIED, "28000", "the session is over");
        errinfo_hint(info, "Sign in again.");
        return ERR_DENIED;
    }
    *ret_login = login;
    return ERR_OK;
}

/* ---- /v1/session ---- */

static void reply_nobody(struct http_exchange *exchange)
{
    http_reply(exchange, 200, "application/json", SLICE("{\"user\":null}\n"));
}

static void reply_login(struct http_exchange *exchange, const struct web_login *login)
{
    struct buf out CLEANUP(buf_fini) = {0};
    const struct identity *who = login->who;
    buf_append_str(&out, "{\"user\":");
    json_write_string(&out, identity_subject(who));
    buf_append_str(&out, ",\"name\":");
    json_write_string(&out, identity_display_name(who));
    buf_append_str(&out, ",\"provider\":");
    json_write_string(&out, identity_provider(who));
    buf_append_str(&out, ",\"roles\":[");
    for (size_t i = 0; i < identity_role_count(who); i++) {
        buf_append_str(&out, i == 0 ? "" : ",");
        json_write_string(&out, identity_role(who, i));
    }
    buf_printf(&out, "],\"is_owner\":%s,\"csrf\":\"%s\"}\n",
               identity_is_owner(who) ? "true" : "false", login->proof);
    http_reply(exchange, 200, "application/json", buf_slice(&out));
}

/* Empty: the browser forgets it. */
static void set_cookie(struct http_exchange *exchange, const char *secret)
{
    char text[sizeof(COOKIE_TLS) + TEXT_BYTES + 64];
    struct slice name = cookie_name(exchange);
    bool is_tls = connection_is_tls(http_connection(exchange));
    (void)snprintf(text, sizeof(text), "%.*s=%s; Path=/; HttpOnly; SameSite=Strict%s%s",
                   SLICE_ARGS(name), secret, secret[0] == '\0' ? "; Max-Age=0" : "",
                   is_tls ? "; Secure" : "");
    http_header(exchange, "Set-Cookie", slice_of(text));
    explicit_bzero(text, sizeof(text));
}

/* {"user": ..., "password": ...}, {"token": ...}, or nothing, for who has shown a certificate. */
static enum err read_credential(struct http_exchange *exchange, struct arena *arena,
                                struct credential *ret_credential, struct errinfo *info)
{
    const struct json_limits limits = {.depth_max = 4, .nodes_max = 16};
    struct json *root;
    struct slice body = http_body(exchange);
    if (!slice_is_utf8(body, NULL)) {
        return errinfo_set(info, ERR_INVALID, "22023", "the body must be UTF-8");
    }
    TRY(json_parse(arena, body, &limits, &root, info));
    struct slice token = json_get_text(root, "token");
    struct slice user = json_get_text(root, "user");
    *ret_credential = (struct credential){
        .kind = CREDENTIAL_PASSWORD, .user = user, .secret = json_get_text(root, "password")};
    if (token.len > 0) {
        *ret_credential = (struct credential){.kind = CREDENTIAL_TOKEN, .secret = token};
    } else if (user.len == 0) {
        ret_credential->kind = CREDENTIAL_CERTIFICATE;
        TRY(connection_certificate(http_connection(exchange), &ret_credential->certificate, info));
        if (ret_credential->certificate.len == 0) {
            return errinfo_set(info, ERR_DENIED, "28000", "no name, and no token, was given");
        }
    }
    return ERR_OK;
}

/* A form of another site cannot send JSON, nor a field of its own, without being asked first. */
static enum err check_page(struct web_server *server, struct http_exchange *exchange,
                           struct errinfo *info)
{
    struct slice field = {"", 0};
    if (web__is_from_elsewhere(exchange) || !http_field(exchange, SLICE("x-moat-csrf"), &field)) {
        return errinfo_set(info, ERR_DENIED, NULL, "pages of other sites may not ask here");
    }
    (void)http_field(exchange, SLICE("content-type"), &field);
    if (!slice_starts_with_fold(field, SLICE("application/json"))) {
        return errinfo_set(info, ERR_INVALID, "22023", "the Content-Type must be application/json");
    }
    return web__is_private(server, http_connection(exchange)) ? ERR_OK : web__refuse_clear(info);
}

static struct web_visitor visitor_of(const struct http_exchange *exchange)
{
    struct web_visitor visitor = {.protocol = "console", .application = SLICE("")};
    (void)http_field(exchange, SLICE("user-agent"), &visitor.application);
    return visitor;
}

static enum err begin(struct web_server *server, struct http_exchange *exchange,
                      struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "sign-in", 0);
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    struct web_visitor visitor = visitor_of(exchange);
    struct web_login *login = NULL;
    struct credential credential;
    char secret[TEXT_BYTES];
    TRY(arena == NULL ? errinfo_nomem(info) : check_page(server, exchange, info));
    TRY(read_credential(exchange, arena, &credential, info));
    TRY(web__log_in(server, http_connection(exchange), &visitor, &credential, &who, info));
    if (web__has_cookie(exchange) &&
        web__login_find(server, exchange, WEB_PROOF_READ, &login, NULL) == ERR_OK) {
        web__login_end(server, login); /* one browser is one person at a time */
        web__login_unref(TAKE(login));
    }
    TRY(new_login(server, who, secret, &login, info));
    http_signed_in(exchange);
    set_cookie(exchange, secret);
    explicit_bzero(secret, sizeof(secret));
    reply_login(exchange, login);
    web__login_unref(login);
    return ERR_OK;
}

static void on_begin(void *context, struct http_exchange *exchange)
{
    struct errinfo info;
    errinfo_init(&info);
    if (begin(context, exchange, &info) != ERR_OK) {
        web_reply_error(exchange, &info, SLICE(""));
    }
}

static void on_ask(void *context, struct http_exchange *exchange)
{
    struct web_login *login = NULL;
    if (web__is_from_elsewhere(exchange) || !web__has_cookie(exchange) ||
        web__login_find(context, exchange, WEB_PROOF_READ, &login, NULL) != ERR_OK) {
        reply_nobody(exchange);
        return;
    }
    http_signed_in(exchange);
    reply_login(exchange, login);
    web__login_unref(login);
}

static void on_end(void *context, struct http_exchange *exchange)
{
    struct web_login *login = NULL;
    struct errinfo info;
    errinfo_init(&info);
    enum err err =
        web__is_from_elsewhere(exchange)
            ? errinfo_set(&info, ERR_DENIED, NULL, "pages of other sites may not ask here")
            : web__login_find(context, exchange, WEB_PROOF_HEADER, &login, &info);
    if (err != ERR_OK) {
        web_reply_error(exchange, &info, SLICE(""));
        return;
    }
    web__login_end(context, login);
    web__login_unref(login);
    set_cookie(exchange, "");
    http_reply(exchange, 204, NULL, SLICE(""));
}

enum err web__login_routes(struct web_server *server, struct errinfo *info)
{
    TRY(http_route(server->http, "POST", "/v1/session", on_begin, server, info));
    TRY(http_route(server->http, "GET", "/v1/session", on_ask, server, info));
    return http_route(server->http, "DELETE", "/v1/session", on_end, server, info);
}
