/* An issuer over HTTP on the loopback, with a clock of its own: keys that come, go and grow old,
 * tokens of every wrong kind, the token endpoint, credentials that are renewed. */
#include <time.h>

#include "base/mem.h"
#include "identity/identity_fixture_int.h"
#include "identity/identity_int.h"
#include "identity/oidc_int.h"

#define SECOND INT64_C(1000000)
#define NOW_S INT64_C(1800000000)

struct world {
    struct web_server *web;
    char url[64];
    EVP_PKEY *key;
    int64_t wall_us, mono_us; /* of the clock */
    struct identity_clock clock;
    struct identity_chain_options options;
    struct identity_chain *chain;
    struct arena *arena;
    struct login login;
    struct refusal refusal;
    struct errinfo info;
    struct buf token;
};

static int64_t wall_of(void *context)
{
    return ((struct world *)context)->wall_us;
}

static int64_t mono_of(void *context)
{
    return ((struct world *)context)->mono_us;
}

static void pass(struct world *w, int64_t seconds)
{
    w->wall_us += seconds * SECOND;
    w->mono_us += seconds * SECOND;
}

static void set_keys(struct world *w, EVP_PKEY *key, const char *kid)
{
    struct buf set CLEANUP(buf_fini) = {0};
    buf_append_str(&set, "{\"keys\":[");
    fixture_jwk(key, kid, "ES256", &set);
    buf_append_str(&set, "]}");
    web_set(w->web, "/keys", 200, buf_cstr(&set));
}

static void set_document(struct world *w, const char *issuer)
{
    char document[512];
    (void)snprintf(document, sizeof(document),
                   "{\"issuer\":\"%s\",\"jwks_uri\":\"%s/keys\",\"token_endpoint\":\"%s/token\"}",
                   issuer, w->url, w->url);
    web_set(w->web, "/.well-known/openid-configuration", 200, document);
}

static void world_open(struct world *w)
{
    *w = (struct world){.wall_us = NOW_S * SECOND, .mono_us = 7000 * SECOND};
    w->web = web_open(w->url);
    w->key = fixture_key("ES256");
    w->clock = (struct identity_clock){w, wall_of, mono_of};
    w->arena = arena_new(NULL, "test", 0);
    w->options = (struct identity_chain_options){.providers = SLICE("oidc"),
                                                 .clock = &w->clock,
                                                 .oidc = {.issuer = slice_of(w->url),
                                                          .audience = SLICE("moat, other"),
                                                          .client_id = SLICE("moat"),
                                                          .client_secret = SLICE("s3cret&more"),
                                                          .algorithms = SLICE("RS256, ES256"),
                                                          .subject_claim = SLICE("sub"),
                                                          .name_claim = SLICE("preferred_username"),
                                                          .roles_allowed = SLICE("*"),
                                                          .roles_claims = SLICE("roles"),
                                                          .account = LOGIN_ACCOUNT_SEPARATE,
                                                          .skew_ms = 30000,
                                                          .keys_age_max_ms = 900000,
                                                          .keys_stale_max_ms = 3600000,
                                                          .keys_refresh_min_ms = 30000,
                                                          .refresh_before_ms = 60000,
                                                          .timeout_ms = 5000,
                                                          .insecure_loopback = true}};
    set_document(w, w->url);
    set_keys(w, w->key, "k1");
}

static void world_start(struct world *w)
{
    CHECK_OK(identity_chain_open(&w->options, &w->chain, &w->info));
}

static void world_close(struct world *w)
{
    login_fini(&w->login);
    identity_chain_close(w->chain);
    EVP_PKEY_free(w->key);
    arena_free(w->arena);
    buf_fini(&w->token);
    web_close(w->web);
}

/* A token for Bob, good for five minutes, with `more` claims ahead of the usual ones. */
static const char *make_token(struct world *w, EVP_PKEY *key, const char *kid, const char *more)
{
    char header[128], claims[512];
    (void)snprintf(header, sizeof(header), "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"%s\"}",
                   kid);
    (void)snprintf(claims, sizeof(claims),
                   "{%s\"iss\":\"%s\",\"sub\":\"bob\",\"preferred_username\":\"Bob B\","
                   "\"aud\":[\"x\",\"moat\"],\"exp\":%lld,\"iat\":%lld,\"roles\":[\"analyst\"]}",
                   more, w->url, (long long)(w->wall_us / SECOND + 300),
                   (long long)(w->wall_us / SECOND));
    buf_reset(&w->token);
    fixture_sign(key, "ES256", header, claims, &w->token);
    return buf_cstr(&w->token);
}

static enum err login_with(struct world *w, enum credential_kind kind, const char *user,
                           const char *secret)
{
    struct credential credential = {.kind = kind,
                                    .user = slice_of(user),
                                    .secret = slice_of(secret),
                                    .address = SLICE("127.0.0.1")};
    login_fini(&w->login);
    w->login = (struct login){0};
    w->refusal = (struct refusal){.provider = ""};
    return identity_chain_login(w->chain, &credential, w->arena, &w->login, &w->refusal, &w->info);
}

static enum err login_token(struct world *w, const char *token)
{
    return login_with(w, CREDENTIAL_TOKEN, "", token);
}

static struct identity *identity_of(struct world *w)
{
    struct identity *who;
    struct identity_sign_in sign_in = {.credential = w->login.credential};
    struct identity_spec spec = {.subject = w->login.subject,
                                 .provider = w->login.provider,
                                 .expires_wall_us = w->login.expires_wall_us,
                                 .sign_in = &sign_in};
    CHECK_OK(identity_new(&spec, &who, NULL));
    return who;
}

TEST(oidc, takes_a_genuine_token_in_each_way_it_comes)
{
    struct world w;
    char message[2048];
    world_open(&w);
    world_start(&w);
    const char *token = make_token(&w, w.key, "k1", "");
    CHECK_OK(login_token(&w, token));
    CHECK_SLICE("bob", w.login.subject);
    CHECK_SLICE("Bob B", w.login.display_name);
    CHECK_SLICE("oidc", w.login.provider);
    assert_int_equal(1, (int)w.login.role_count);
    assert_int_equal((NOW_S + 330) * SECOND, w.login.expires_wall_us);
    CHECK_OK(login_with(&w, CREDENTIAL_PASSWORD, "BOB", token));
    CHECK_OK(login_with(&w, CREDENTIAL_PASSWORD, "Bob B", token));
    (void)snprintf(message, sizeof(message), "n,a=bob,\001auth=Bearer %s\001\001", token);
    CHECK_OK(login_with(&w, CREDENTIAL_OAUTHBEARER, "", message));
    /* but not as somebody else */
    CHECK_ERR(ERR_DENIED, login_with(&w, CREDENTIAL_PASSWORD, "anna", token));
    CHECK_STR("authentication failed", w.info.message);
    CHECK_STR("the credential is another person's", w.refusal.reason);
    assert_int_equal(1, (int)web_count(w.web, "/keys"));
    world_close(&w);
}

TEST(oidc, refuses_tokens_for_whatever_is_wrong_with_them)
{
    /* A member given first and again behind would be refused for that: these are whole claims. */
    static const struct {
        const char *claims, *reason;
    } cases[] = {
        {"\"iss\":\"https://evil.example\",\"sub\":\"bob\",\"aud\":\"moat\",\"exp\":1800000300",
         "the token is another issuer's"},
        {"\"sub\":\"bob\",\"aud\":\"moat\",\"exp\":1800000300", "the token is another issuer's"},
        {"ISS,\"sub\":\"bob\",\"aud\":\"moats\",\"exp\":1800000300",
         "the token is for another audience"},
        {"ISS,\"sub\":\"bob\",\"exp\":1800000300", "the token is for another audience"},
        {"ISS,\"sub\":\"bob\",\"aud\":[\"moat\",7],\"exp\":1800000300",
         "the token is for another audience"},
        {"ISS,\"sub\":\"bob\",\"aud\":{\"moat\":1},\"exp\":1800000300",
         "the token is for another audience"},
        {"ISS,\"aud\":\"moat\",\"exp\":1800000300", "the token has no subject"},
        {"ISS,\"sub\":\"bob\",\"aud\":\"moat\"", "the token does not say when it expires"},
        {"ISS,\"sub\":\"bob\",\"aud\":\"moat\",\"exp\":\"1800000300\"",
         "the token does not say when it expires"},
        {"ISS,\"sub\":\"bob\",\"aud\":\"moat\",\"exp\":1799999969", IDENTITY_TOKEN_EXPIRED},
        {"ISS,\"sub\":\"bob\",\"aud\":\"moat\",\"exp\":1800000300,\"nbf\":1800000031",
         "the token is not valid yet"},
        {"ISS,\"sub\":\"bob\",\"aud\":\"moat\",\"exp\":1800000300,\"nbf\":\"x\"",
         "a time of the token is no time"},
        {"ISS,\"sub\":\"bob\",\"aud\":\"moat\",\"exp\":1800000300,\"iat\":1800000031",
         "the token was issued in the future"},
        {"ISS,\"sub\":\"bob\",\"aud\":\"moat\",\"exp\":1800000300,\"azp\":\"evil\"",
         "the token was given to a client that may not come here"},
        {"ISS,\"sub\":\"bob\",\"aud\":\"moat\",\"exp\":1800000300",
         "the token was given to a client that may not come here"},
        {"ISS,\"sub\":\"bob\",\"aud\":\"moat\",\"exp\":1800000300,\"azp\":\"ui\",\"typ\":\"ID\"",
         "the claim \"typ\" is not what it must be"},
    };
    struct world w;
    world_open(&w);
    w.options.oidc.authorized_parties = SLICE("cli, ui");
    w.options.oidc.required_claims = SLICE("typ=Bearer");
    world_start(&w);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf token CLEANUP(buf_fini) = {0};
        char claims[512];
        bool has_iss = strncmp(cases[i].claims, "ISS", 3) == 0;
        (void)snprintf(claims, sizeof(claims), "{\"iss\":\"%s\"%s}", w.url, cases[i].claims + 3);
        if (!has_iss) {
            (void)snprintf(claims, sizeof(claims), "{%s}", cases[i].claims);
        }
        fixture_sign(w.key, "ES256", "{\"alg\":\"ES256\",\"kid\":\"k1\"}", claims, &token);
        CHECK_ERR(ERR_DENIED, login_token(&w, token.ptr));
        CHECK_STR(cases[i].reason, w.refusal.reason);
        bool may_be_told = strcmp(cases[i].reason, IDENTITY_TOKEN_EXPIRED) == 0;
        CHECK_STR(may_be_told ? IDENTITY_TOKEN_EXPIRED : "authentication failed", w.info.message);
    }
    /* of another kind, and to the last second of the skew */
    struct buf token CLEANUP(buf_fini) = {0};
    char claims[512];
    (void)snprintf(claims, sizeof(claims),
                   "{\"iss\":\"%s\",\"sub\":\"bob\",\"aud\":\"moat\",\"exp\":1799999971,"
                   "\"iat\":1800000030,\"nbf\":1800000030.5,\"client_id\":\"cli\","
                   "\"typ\":\"Bearer\"}",
                   w.url);
    fixture_sign(w.key, "ES256", "{\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"logout+jwt\"}",
                 claims, &token);
    CHECK_ERR(ERR_DENIED, login_token(&w, token.ptr));
    buf_reset(&token);
    fixture_sign(w.key, "ES256", "{\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"at+jwt\"}", claims,
                 &token);
    CHECK_OK(login_token(&w, token.ptr));
    world_close(&w);
}

TEST(oidc, follows_a_rotation_of_keys_without_being_driven)
{
    struct world w;
    world_open(&w);
    world_start(&w);
    EVP_PKEY *next = fixture_key("ES256");
    CHECK_OK(login_token(&w, make_token(&w, w.key, "k1", "")));
    assert_int_equal(1, (int)web_count(w.web, "/keys"));
    /* A new key is fetched for at once, if the last time is long enough ago. */
    set_keys(&w, next, "k2");
    pass(&w, 31);
    CHECK_OK(login_token(&w, make_token(&w, next, "k2", "")));
    assert_int_equal(2, (int)web_count(w.web, "/keys"));
    /* The old one is gone; a thousand unknown ones cause no request, later one. */
    for (int i = 0; i < 1000; i++) {
        CHECK_ERR(ERR_DENIED, login_token(&w, make_token(&w, w.key, "k1", "")));
    }
    CHECK_STR("the token is signed with a key that the issuer does not have", w.refusal.reason);
    assert_int_equal(2, (int)web_count(w.web, "/keys"));
    pass(&w, 31);
    CHECK_ERR(ERR_DENIED, login_token(&w, make_token(&w, w.key, "k1", "")));
    CHECK_ERR(ERR_DENIED, login_token(&w, make_token(&w, w.key, "k1", "")));
    assert_int_equal(3, (int)web_count(w.web, "/keys"));
    /* By age, without any unknown key. */
    pass(&w, 901);
    CHECK_OK(login_token(&w, make_token(&w, next, "k2", "")));
    assert_int_equal(4, (int)web_count(w.web, "/keys"));
    EVP_PKEY_free(next);
    world_close(&w);
}

TEST(oidc, serves_on_with_old_keys_while_the_issuer_is_down_but_not_for_ever)
{
    struct world w;
    world_open(&w);
    world_start(&w);
    CHECK_OK(login_token(&w, make_token(&w, w.key, "k1", "")));
    web_set(w.web, "/.well-known", 503, "");
    web_set(w.web, "/keys", 503, "");
    pass(&w, 1000);
    CHECK_OK(login_token(&w, make_token(&w, w.key, "k1", "")));
    pass(&w, 3400);
    CHECK_OK(login_token(&w, make_token(&w, w.key, "k1", "")));
    pass(&w, 101);
    CHECK_ERR(ERR_BUSY, login_token(&w, make_token(&w, w.key, "k1", "")));
    CHECK_STR("57P03", w.info.sqlstate);
    CHECK_STR("the identity provider does not answer", w.info.message);
    world_close(&w);
}

TEST(oidc, waits_out_an_issuer_that_is_down_at_first)
{
    struct world w;
    world_open(&w);
    web_set(w.web, "/.well-known/openid-configuration", 500, "");
    world_start(&w);
    CHECK_ERR(ERR_BUSY, login_token(&w, make_token(&w, w.key, "k1", "")));
    CHECK_ERR(ERR_BUSY, login_token(&w, make_token(&w, w.key, "k1", "")));
    assert_int_equal(1, (int)web_count(w.web, "/.well-known/openid-configuration"));
    set_document(&w, w.url);
    pass(&w, 2);
    CHECK_OK(login_token(&w, make_token(&w, w.key, "k1", "")));
    world_close(&w);
}

/* Redirects, answers too long, slow or of other issuers, addresses without TLS. */
TEST(oidc, believes_no_document_but_the_issuers_own)
{
    struct world w;
    char document[512];
    world_open(&w);
    w.options.oidc.timeout_ms = 1000;
    world_start(&w);
    const char *path = "/.well-known/openid-configuration";
    set_document(&w, "https://evil.example");
    CHECK_ERR(ERR_BUSY, login_token(&w, make_token(&w, w.key, "k1", "")));
    pass(&w, 2);
    (void)snprintf(document, sizeof(document),
                   "{\"issuer\":\"%s\",\"jwks_uri\":\"http://192.0.2.1/keys\"}", w.url);
    web_set(w.web, path, 200, document);
    CHECK_ERR(ERR_BUSY, login_token(&w, make_token(&w, w.key, "k1", "")));
    pass(&w, 2);
    web_set(w.web, path, 302, "");
    web_answer(w.web, path)->location = "/keys";
    CHECK_ERR(ERR_BUSY, login_token(&w, make_token(&w, w.key, "k1", "")));
    assert_int_equal(0, (int)web_count(w.web, "/keys"));
    pass(&w, 2);
    set_document(&w, w.url);
    web_answer(w.web, path)->pad_bytes = 200 * 1024;
    CHECK_ERR(ERR_BUSY, login_token(&w, make_token(&w, w.key, "k1", "")));
    pass(&w, 2);
    web_answer(w.web, path)->pad_bytes = 0;
    web_answer(w.web, path)->delay_ms = 1800;
    CHECK_ERR(ERR_BUSY, login_token(&w, make_token(&w, w.key, "k1", "")));
    pass(&w, 2);
    web_answer(w.web, path)->delay_ms = 0;
    struct timespec pause = {1, 500000000}; /* the server is busy with the last one */
    (void)nanosleep(&pause, NULL);
    CHECK_OK(login_token(&w, make_token(&w, w.key, "k1", "")));
    world_close(&w);
}

/* ---- the token endpoint ---- */

static void set_grant(struct world *w, const char *token, const char *refresh, int expires_in)
{
    struct buf body CLEANUP(buf_fini) = {0};
    buf_printf(&body, "{\"access_token\":\"%s\",\"token_type\":\"Bearer\",\"expires_in\":%d", token,
               expires_in);
    if (refresh != NULL) {
        buf_printf(&body, ",\"refresh_token\":\"%s\"", refresh);
    }
    buf_append_char(&body, '}');
    web_set(w->web, "/token", 200, buf_cstr(&body));
}

static bool last_request_has(struct world *w, const char *text)
{
    return strstr(web_answer(w->web, "/token")->request, text) != NULL;
}

TEST(oidc, sends_passwords_only_where_it_is_told_to)
{
    struct world w;
    world_open(&w);
    world_start(&w);
    set_grant(&w, make_token(&w, w.key, "k1", ""), "r1", 300);
    CHECK_ERR(ERR_DENIED, login_with(&w, CREDENTIAL_PASSWORD, "bob", "secret"));
    CHECK_ERR(ERR_DENIED, login_with(&w, CREDENTIAL_PASSWORD, "client:etl", "secret"));
    assert_int_equal(0, (int)web_count(w.web, "/token"));
    CHECK(!identity_chain_asks_elsewhere(w.chain));
    identity_chain_close(w.chain);
    w.options.oidc.password_grant = true;
    w.options.oidc.client_credentials = true;
    world_start(&w);
    CHECK(identity_chain_asks_elsewhere(w.chain));
    CHECK_OK(login_with(&w, CREDENTIAL_PASSWORD, "bob@example.com", "p&w d"));
    CHECK_SLICE("bob", w.login.subject);
    CHECK(last_request_has(&w, "grant_type=password"));
    CHECK(last_request_has(&w, "username=bob%40example.com&password=p%26w%20d"));
    /* RFC 6749, 2.3.1: moat:s3cret%26more */
    CHECK(last_request_has(&w, "Authorization: Basic bW9hdDpzM2NyZXQlMjZtb3Jl"));
    CHECK(!last_request_has(&w, "s3cret"));
    CHECK_OK(login_with(&w, CREDENTIAL_PASSWORD, "client:etl", "pw"));
    CHECK(last_request_has(&w, "grant_type=client_credentials"));
    CHECK(last_request_has(&w, "Authorization: Basic ZXRsOnB3"));
    web_set(w.web, "/token", 401,
            "{\"error\":\"invalid_grant\",\"error_description\":\"no user\"}");
    CHECK_ERR(ERR_DENIED, login_with(&w, CREDENTIAL_PASSWORD, "bob", "wrong"));
    CHECK_STR("authentication failed", w.info.message);
    CHECK_STR("the identity provider refused (invalid_grant)", w.refusal.reason);
    /* As Keycloak says it: our own client is not what it should be, or the one who signs in. */
    web_set(w.web, "/token", 401, "{\"error\":\"unauthorized_client\"}");
    CHECK_ERR(ERR_BUSY, login_with(&w, CREDENTIAL_PASSWORD, "bob", "right"));
    CHECK_ERR(ERR_DENIED, login_with(&w, CREDENTIAL_PASSWORD, "client:etl", "wrong"));
    web_set(w.web, "/token", 500, "{}");
    CHECK_ERR(ERR_BUSY, login_with(&w, CREDENTIAL_PASSWORD, "bob", "wrong"));
    set_grant(&w, "not-a-jwt", NULL, 300);
    CHECK_ERR(ERR_DENIED, login_with(&w, CREDENTIAL_PASSWORD, "bob", "right"));
    world_close(&w);
}

TEST(oidc, renews_a_sign_in_for_the_same_person_only)
{
    struct world w;
    struct login renewed = {0};
    world_open(&w);
    w.options.oidc.password_grant = true;
    world_start(&w);
    set_grant(&w, make_token(&w, w.key, "k1", ""), "r1", 300);
    CHECK_OK(login_with(&w, CREDENTIAL_PASSWORD, "bob", "pw"));
    struct identity *who = identity_of(&w);
    CHECK(!identity_wants_refresh(who, w.wall_us));
    pass(&w, 250);
    CHECK(identity_wants_refresh(who, w.wall_us));
    set_grant(&w, make_token(&w, w.key, "k1", ""), "r2", 300);
    CHECK_OK(identity_refresh(who, w.arena, &renewed, &w.info));
    CHECK(last_request_has(&w, "grant_type=refresh_token&") ||
          last_request_has(&w, "grant_type=refresh_token"));
    CHECK(last_request_has(&w, "refresh_token=r1"));
    assert_int_equal(w.wall_us + 330 * SECOND, renewed.expires_wall_us);
    CHECK(renewed.credential == w.login.credential);
    login_fini(&renewed);
    unsigned asked = web_count(w.web, "/token");
    CHECK_OK(
        identity_refresh(who, w.arena, &renewed, &w.info)); /* of another session: no request */
    login_fini(&renewed);
    assert_int_equal(asked, web_count(w.web, "/token"));
    /* for another person: no */
    pass(&w, 280);
    char *token = mem_strdup(make_token(&w, w.key, "k1", ""));
    struct buf other CLEANUP(buf_fini) = {0};
    char claims[512];
    (void)snprintf(claims, sizeof(claims),
                   "{\"iss\":\"%s\",\"sub\":\"anna\",\"aud\":\"moat\",\"exp\":%lld}", w.url,
                   (long long)(w.wall_us / SECOND + 300));
    fixture_sign(w.key, "ES256", "{\"alg\":\"ES256\",\"kid\":\"k1\"}", claims, &other);
    set_grant(&w, other.ptr, "r3", 300);
    CHECK_OK(identity_refresh(who, w.arena, &renewed, &w.info)); /* the old one still holds */
    login_fini(&renewed);
    pass(&w, 60);
    CHECK_ERR(ERR_DENIED, identity_refresh(who, w.arena, &renewed, &w.info));
    /* taken back: never asked again */
    web_set(w.web, "/token", 400, "{\"error\":\"invalid_grant\"}");
    CHECK_ERR(ERR_DENIED, identity_refresh(who, w.arena, &renewed, &w.info));
    asked = web_count(w.web, "/token");
    set_grant(&w, token, "r4", 300);
    CHECK_ERR(ERR_DENIED, identity_refresh(who, w.arena, &renewed, &w.info));
    assert_int_equal(asked, web_count(w.web, "/token"));
    CHECK(!identity_wants_refresh(who, w.wall_us));
    mem_free(token);
    identity_unref(who);
    world_close(&w);
}

/* Who brings a refresh token along goes on by it, also when the first token is over already. */
TEST(oidc, renews_by_a_refresh_token_that_was_brought_along)
{
    struct world w;
    struct login renewed = {0};
    world_open(&w);
    world_start(&w);
    char *token = mem_strdup(make_token(&w, w.key, "k1", ""));
    struct credential credential = {.kind = CREDENTIAL_TOKEN,
                                    .secret = slice_of(token),
                                    .refresh = SLICE("r1"),
                                    .address = SLICE("127.0.0.1")};
    CHECK_OK(identity_chain_login(w.chain, &credential, w.arena, &w.login, &w.refusal, &w.info));
    assert_int_equal(0, (int)web_count(w.web, "/token"));
    struct identity *who = identity_of(&w);
    pass(&w, 290);
    set_grant(&w, make_token(&w, w.key, "k1", ""), "r2", 300);
    CHECK_OK(identity_refresh(who, w.arena, &renewed, &w.info));
    CHECK(last_request_has(&w, "refresh_token=r1"));
    login_fini(&renewed);
    identity_unref(who);
    /* on another day */
    pass(&w, 86400);
    set_grant(&w, make_token(&w, w.key, "k1", ""), NULL, 300);
    login_fini(&w.login);
    CHECK_OK(identity_chain_login(w.chain, &credential, w.arena, &w.login, &w.refusal, &w.info));
    CHECK_SLICE("bob", w.login.subject);
    who = identity_of(&w);
    pass(&w, 290); /* the answer had no other one: the first goes on */
    set_grant(&w, make_token(&w, w.key, "k1", ""), NULL, 300);
    CHECK_OK(identity_refresh(who, w.arena, &renewed, &w.info));
    CHECK(last_request_has(&w, "refresh_token=r1"));
    login_fini(&renewed);
    identity_unref(who);
    /* what was never genuine is not renewed */
    unsigned asked = web_count(w.web, "/token");
    credential.secret = SLICE("e30.e30.e30");
    struct login none = {0};
    CHECK_ERR(ERR_DENIED,
              identity_chain_login(w.chain, &credential, w.arena, &none, &w.refusal, &w.info));
    assert_int_equal(asked, web_count(w.web, "/token"));
    credential.secret = slice_of(token);
    web_set(w.web, "/token", 400, "{\"error\":\"invalid_grant\"}");
    CHECK_ERR(ERR_DENIED,
              identity_chain_login(w.chain, &credential, w.arena, &none, &w.refusal, &w.info));
    mem_free(token);
    world_close(&w);
}

TEST(oidc, mints_headers_from_tokens_that_it_exchanges)
{
    struct world w;
    struct secret header CLEANUP(secret_fini) = {0};
    world_open(&w);
    w.options.oidc.exchange_audience = SLICE("catalog");
    world_start(&w);
    CHECK_OK(login_token(&w, make_token(&w, w.key, "k1", "")));
    struct identity *who = identity_of(&w);
    set_grant(&w, "exchanged-1", NULL, 120);
    CHECK_OK(identity_authorization(who, &header, &w.info));
    CHECK_SLICE("Bearer exchanged-1", secret_slice(&header));
    CHECK(last_request_has(&w, "audience=catalog"));
    CHECK(last_request_has(&w, "subject_token=ey"));
    secret_fini(&header);
    set_grant(&w, "exchanged-2", NULL, 120);
    CHECK_OK(identity_authorization(who, &header, &w.info));
    CHECK_SLICE("Bearer exchanged-1", secret_slice(&header));
    secret_fini(&header);
    pass(&w, 70);
    CHECK_OK(identity_authorization(who, &header, &w.info));
    CHECK_SLICE("Bearer exchanged-2", secret_slice(&header));
    /* A token that cannot be renewed ends with its time. */
    pass(&w, 261);
    CHECK(identity_is_expired(who, w.wall_us) && !identity_wants_refresh(who, w.wall_us));
    secret_fini(&header);
    CHECK_ERR(ERR_DENIED, identity_authorization(who, &header, &w.info));
    /* The chain may go first: who holds a credential holds what it needs. */
    identity_chain_close(w.chain);
    w.chain = NULL;
    identity_unref(who);
    world_close(&w);
}

TEST(oidc, stops_the_start_on_settings_that_would_open_it)
{
    struct world w;
    world_open(&w);
    static const struct {
        size_t offset;
        const char *value, *message;
    } cases[] = {
        {offsetof(struct oidc_options, issuer), "", "\"oidc.issuer\" is not set"},
        {offsetof(struct oidc_options, issuer), "http://id.example.com", "https://"},
        {offsetof(struct oidc_options, audience), " , ", "\"oidc.audience\" is not set"},
        {offsetof(struct oidc_options, algorithms), "RS256, HS256", "HS256"},
        {offsetof(struct oidc_options, algorithms), "", "\"oidc.algorithms\" is not set"},
        {offsetof(struct oidc_options, role_map), "x=moat_admin", "oidc.role_map"},
        {offsetof(struct oidc_options, required_claims), "typ", "oidc.required_claims"},
        {offsetof(struct oidc_options, subject_rule), "x", "not a rule"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct identity_chain_options options = w.options;
        struct slice *option = (struct slice *)(void *)((char *)&options.oidc + cases[i].offset);
        *option = slice_of(cases[i].value);
        CHECK_ERR(ERR_INVALID, identity_chain_open(&options, &w.chain, &w.info));
        CHECK(strstr(w.info.message, cases[i].message) != NULL);
    }
    w.options.providers = SLICE("oidc, oidc");
    CHECK_ERR(ERR_INVALID, identity_chain_open(&w.options, &w.chain, &w.info));
    w.options.providers = SLICE("ldap");
    CHECK_ERR(ERR_INVALID, identity_chain_open(&w.options, &w.chain, &w.info));
    w.options.providers = SLICE("certificate");
    CHECK_ERR(ERR_INVALID, identity_chain_open(&w.options, &w.chain, &w.info));
    world_close(&w);
}

/* ---- sign-in by a browser ---- */

#define NONCE "\"nonce\":\"n0123456789\","

static const struct identity_browser browser = {
    .redirect = {"https://moat.example.com/oauth2/callback", 40},
    .state = {"s&s", 3},
    .nonce = {"n0123456789", 11},
    .verifier = {"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", 43}}; /* RFC 7636, appendix B */

static void set_browser_document(struct world *w, const char *more)
{
    char document[512];
    (void)snprintf(document, sizeof(document),
                   "{\"issuer\":\"%s\",\"jwks_uri\":\"%s/keys\",\"token_endpoint\":\"%s/token\"%s}",
                   w->url, w->url, w->url, more);
    web_set(w->web, "/.well-known/openid-configuration", 200, document);
}

/* `id` NULL: the answer has no ID token. */
static void set_id(struct world *w, EVP_PKEY *key, const char *id)
{
    struct buf body CLEANUP(buf_fini) = {0};
    struct buf token CLEANUP(buf_fini) = {0};
    char claims[512];
    buf_printf(&body, "{\"access_token\":\"%s\",\"token_type\":\"Bearer\"",
               make_token(w, w->key, "k1", ""));
    if (id != NULL) {
        (void)snprintf(claims, sizeof(claims), "{%s,\"iat\":%lld}", id,
                       (long long)(w->wall_us / SECOND));
        fixture_sign(key, "ES256", "{\"alg\":\"ES256\",\"kid\":\"k1\"}", claims, &token);
        buf_printf(&body, ",\"id_token\":\"%s\"", buf_cstr(&token));
    }
    buf_append_char(&body, '}');
    web_set(w->web, "/token", 200, buf_cstr(&body));
}

TEST(oidc, sends_browsers_with_what_binds_the_answer)
{
    struct world w;
    struct secret address CLEANUP(secret_fini) = {0};
    world_open(&w);
    w.options.oidc.scope = SLICE("read write");
    world_start(&w);
    CHECK_ERR(ERR_UNSUPPORTED, identity_browser_address(w.chain, &browser, &address, &w.info));
    world_close(&w);
    world_open(&w);
    w.options.oidc.scope = SLICE("read write");
    set_browser_document(&w, ",\"authorization_endpoint\":\"http://127.0.0.1:1/auth?tenant=1\"");
    world_start(&w);
    CHECK_OK(identity_browser_address(w.chain, &browser, &address, &w.info));
    CHECK_STR("http://127.0.0.1:1/auth?tenant=1&response_type=code&client_id=moat&redirect_uri="
              "https%3A%2F%2Fmoat.example.com%2Foauth2%2Fcallback&scope=openid%20read%20write&"
              "state=s%26s&nonce=n0123456789&code_challenge="
              "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256",
              address.ptr);
    world_close(&w);
    world_open(&w); /* an address without TLS, elsewhere */
    set_browser_document(&w, ",\"authorization_endpoint\":\"http://evil.example.com/auth\"");
    world_start(&w);
    CHECK_ERR(ERR_BUSY, identity_browser_address(w.chain, &browser, &address, &w.info));
    world_close(&w);
}

TEST(oidc, takes_a_code_for_the_sign_in_that_was_begun_only)
{
    struct world w;
    struct secret token CLEANUP(secret_fini) = {0};
    char good[256], claims[300];
    world_open(&w);
    set_browser_document(&w, ",\"authorization_endpoint\":\"http://127.0.0.1:1/auth\"");
    world_start(&w);
    long long end = (long long)(w.wall_us / SECOND + 300);
    (void)snprintf(good, sizeof(good),
                   "\"iss\":\"%s\",\"sub\":\"bob\",\"exp\":%lld,\"nonce\":\"n0123456789\"", w.url,
                   end);
    (void)snprintf(claims, sizeof(claims), "%s,\"aud\":\"moat\"", good);
    set_id(&w, w.key, claims);
    CHECK_OK(identity_browser_token(w.chain, &browser, SLICE("c d"), SLICE(""), &token, &w.info));
    CHECK_SLICE(buf_cstr(&w.token), secret_slice(&token));
    CHECK(last_request_has(&w, "grant_type=authorization_code") &&
          last_request_has(&w,
                           "code=c%20d&redirect_uri=https%3A%2F%2Fmoat.example.com%2Foauth2%2F"
                           "callback&code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
    CHECK_OK(identity_browser_token(w.chain, &browser, SLICE("c"), slice_of(w.url), &token, NULL));
    (void)snprintf(claims, sizeof(claims), "%s,\"aud\":[\"moat\",\"x\"],\"azp\":\"moat\"", good);
    set_id(&w, w.key, claims);
    CHECK_OK(identity_browser_token(w.chain, &browser, SLICE("c"), SLICE(""), &token, NULL));
    unsigned asked = web_count(w.web, "/token");
    CHECK_ERR(ERR_DENIED, identity_browser_token(w.chain, &browser, SLICE("c"),
                                                 SLICE("https://evil.example.com"), &token, NULL));
    assert_int_equal(asked, web_count(w.web, "/token")); /* the code goes nowhere */
    static const struct {
        const char *issuer_end; /* behind the issuer's name */
        const char *more;
        const char *reason;
    } wrong[] = {
        {"", "\"sub\":\"bob\",\"aud\":\"moat\"", "another sign-in"},
        {"", "\"sub\":\"bob\",\"aud\":\"moat\",\"nonce\":\"n0123456780\"", "another sign-in"},
        {"", "\"sub\":\"bob\",\"aud\":\"moat\",\"nonce\":\"n012345678\"", "another sign-in"},
        {"/x", NONCE "\"sub\":\"bob\",\"aud\":\"moat\"", "another issuer"},
        {"", NONCE "\"sub\":\"anna\",\"aud\":\"moat\"", "another person"},
        {"", NONCE "\"aud\":\"moat\"", "another person"},
        {"", NONCE "\"sub\":\"bob\",\"aud\":\"other\"", "another client"},
        {"", NONCE "\"sub\":\"bob\"", "another client"},
        {"", NONCE "\"sub\":\"bob\",\"aud\":[\"moat\",\"x\"]", "another client"},
        {"", NONCE "\"sub\":\"bob\",\"aud\":[\"moat\",\"x\"],\"azp\":\"x\"", "another client"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        (void)snprintf(claims, sizeof(claims), "\"iss\":\"%s%s\",\"exp\":%lld,%s", w.url,
                       wrong[i].issuer_end, end, wrong[i].more);
        set_id(&w, w.key, claims);
        CHECK_ERR(ERR_DENIED, identity_browser_token(w.chain, &browser, SLICE("c"), SLICE(""),
                                                     &token, &w.info));
        CHECK(strstr(w.info.message, wrong[i].reason) != NULL);
    }
    (void)snprintf(claims, sizeof(claims),
                   "\"iss\":\"%s\",\"exp\":%lld," NONCE "\"sub\":\"bob\",\"aud\":\"moat\"", w.url,
                   end - 400);
    set_id(&w, w.key, claims);
    CHECK_ERR(ERR_DENIED,
              identity_browser_token(w.chain, &browser, SLICE("c"), SLICE(""), &token, &w.info));
    CHECK_STR(IDENTITY_TOKEN_EXPIRED, w.info.message);
    (void)snprintf(claims, sizeof(claims), "%s,\"aud\":\"moat\"", good);
    EVP_PKEY *other = fixture_key("ES256");
    set_id(&w, other, claims);
    CHECK_ERR(ERR_DENIED,
              identity_browser_token(w.chain, &browser, SLICE("c"), SLICE(""), &token, &w.info));
    EVP_PKEY_free(other);
    set_id(&w, w.key, NULL);
    CHECK_ERR(ERR_DENIED,
              identity_browser_token(w.chain, &browser, SLICE("c"), SLICE(""), &token, &w.info));
    CHECK_STR("the issuer gave no ID token", w.info.message);
    world_close(&w);
}

/* RFC 9207: who says that answers name their issuer must do so. */
TEST(oidc, wants_the_issuers_name_where_it_was_announced)
{
    struct world w;
    struct secret token CLEANUP(secret_fini) = {0};
    world_open(&w);
    set_browser_document(&w, ",\"authorization_endpoint\":\"http://127.0.0.1:1/auth\","
                             "\"authorization_response_iss_parameter_supported\":true");
    world_start(&w);
    CHECK_ERR(ERR_DENIED,
              identity_browser_token(w.chain, &browser, SLICE("c"), SLICE(""), &token, &w.info));
    CHECK_STR("the browser comes from another issuer", w.info.message);
    world_close(&w);
}

/* Many sign in at once with keys that nobody has fetched yet: one does, and all get in. */
static void *sign_in_often(void *context)
{
    struct world *w = context;
    struct arena *arena = arena_new(NULL, "thread", 0);
    struct credential credential = {.kind = CREDENTIAL_TOKEN, .secret = buf_slice(&w->token)};
    for (int i = 0; i < 20; i++) {
        struct login login = {0};
        struct refusal refusal;
        CHECK_OK(identity_chain_login(w->chain, &credential, arena, &login, &refusal, NULL));
        login_fini(&login);
    }
    arena_free(arena);
    return NULL;
}

TEST(oidc, lets_many_in_at_once_with_one_fetch)
{
    struct world w;
    pthread_t threads[8];
    world_open(&w);
    world_start(&w);
    (void)make_token(&w, w.key, "k1", "");
    web_answer(w.web, "/keys")->delay_ms = 50;
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        CHECK(pthread_create(&threads[i], NULL, sign_in_often, &w) == 0);
    }
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    assert_int_equal(1, (int)web_count(w.web, "/keys"));
    world_close(&w);
}
