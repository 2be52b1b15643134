/* Sign-in by a browser: the routes. Every address is made of what is configured, never of a Host
 * that somebody sends. What a page shows is what the ticket's sealer let through, as text.
 *
 * Attacks that this is built against, each with a test in tests/trino/browser_test.py: somebody
 * sends their own page to somebody else, whose browser is signed in at the issuer already: the
 * page asks first, says who wants in from where, and only a form of that page goes on (Origin).
 * A code of one sign-in brought into another (cookie, state, verifier, nonce). A callback that is
 * played again. A stranger who waits (the `wait` ticket is not in the browser). */
#include "wire/web/browser.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "identity/provider.h"
#include "query/login.h"
#include "wire/web/web_int.h"

#define PAGE_PATH "/oauth2/sign-in/"
#define WAIT_PATH "/oauth2/token/"
#define BACK_PATH "/oauth2/callback"
#define WAIT_MS_MAX 10000
#define COOKIE_NAME_BYTES 40

struct web_browser {
    struct web_server *server;
    char *url; /* without a slash at its end */
    struct browser_key key;
    struct browser_outcomes *outcomes;
    int64_t wait_ms;
};

/* ---- pages ---- */

static void put_text(struct buf *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        switch (text.ptr[i]) {
        case '<':
            buf_append_str(out, "&lt;");
            break;
        case '>':
            buf_append_str(out, "&gt;");
            break;
        case '&':
            buf_append_str(out, "&amp;");
            break;
        case '"':
            buf_append_str(out, "&quot;");
            break;
        default:
            buf_append_char(out, text.ptr[i]);
        }
    }
}

static void put_head(struct buf *out, const char *title)
{
    buf_printf(out,
               "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" "
               "content=\"width=device-width\"><meta name=\"color-scheme\" content=\"light "
               "dark\"><title>%s</title><h1>%s</h1>",
               title, title);
}

static void reply_page(struct http_exchange *exchange, unsigned status, const struct buf *page)
{
    http_header(exchange, "Content-Security-Policy",
                SLICE("default-src 'none'; base-uri 'none'; frame-ancestors 'none'"));
    http_header(exchange, "X-Frame-Options", SLICE("DENY"));
    http_header(exchange, "Referrer-Policy", SLICE("same-origin"));
    http_last(exchange);
    http_reply(exchange, buf_failed(page) ? 503 : status, "text/html; charset=utf-8",
               buf_slice(page));
}

static void reply_words(struct http_exchange *exchange, unsigned status, const char *title,
                        const char *words)
{
    struct buf page CLEANUP(buf_fini) = {0};
    put_head(&page, title);
    buf_printf(&page, "<p>%s", words);
    reply_page(exchange, status, &page);
}

static void reply_over(struct http_exchange *exchange)
{
    reply_words(exchange, 400, "This sign-in is over",
                "It was finished, or took too long, or was begun in another browser. Start again "
                "from the program that showed you its address.");
}

static void reply_failed(struct http_exchange *exchange, const struct errinfo *info)
{
    bool is_denied = info->code == ERR_DENIED;
    reply_words(exchange, is_denied ? 403 : 503, "Nobody has signed in",
                is_denied ? "The sign-in was refused. Who looks after this server finds out why in "
                            "its log."
                          : "This cannot be done now. Try again later.");
}

/* Nothing of this goes over the wire in the clear. */
static bool is_private(const struct web_browser *browser, struct http_exchange *exchange)
{
    if (web__is_private(browser->server, http_connection(exchange))) {
        return true;
    }
    reply_words(exchange, 403, "Not in the clear", "Open the address with https.");
    return false;
}

static struct slice behind(const struct http_exchange *exchange, const char *head)
{
    struct slice path = http_path(exchange);
    size_t len = strlen(head);
    return (struct slice){path.ptr + len, path.len - len};
}

/* ---- the program: where to send its person, and the token ---- */

void web__browser_challenge(struct web_server *server, struct http_exchange *exchange,
                            const struct web_visitor *visitor)
{
    const struct web_browser *browser = server->browser;
    struct connection *wire = http_connection(exchange);
    struct buf wait CLEANUP(buf_fini) = {0};
    struct buf page CLEANUP(buf_fini) = {0};
    struct buf text CLEANUP(buf_fini) = {0};
    struct slice shown = SLICE("bearer");
    (void)http_field(exchange, SLICE("authorization"), &shown);
    if (browser == NULL || !web__is_private(server, wire) ||
        !slice_starts_with_fold(shown, SLICE("bearer")) ||
        browser_begin(&browser->key, clock_mono_us(), connection_address(wire),
                      visitor->application, &wait, &page, NULL) != ERR_OK) {
        return;
    }
    buf_printf(&text, "Bearer x_redirect_server=\"%s" PAGE_PATH, browser->url);
    buf_append_slice(&text, buf_slice(&page));
    buf_printf(&text, "\", x_token_server=\"%s" WAIT_PATH, browser->url);
    buf_append_slice(&text, buf_slice(&wait));
    buf_append_char(&text, '"');
    if (!buf_failed(&text)) {
        http_header(exchange, "WWW-Authenticate", buf_slice(&text));
        http_last(exchange); /* a person takes longer than a login may */
    }
}

static void reply_json(struct http_exchange *exchange, const char *name, struct slice value)
{
    struct buf out CLEANUP(buf_fini) = {0};
    buf_printf(&out, "{\"%s\":", name);
    json_write_string(&out, value);
    buf_append_str(&out, "}\n");
    http_last(exchange);
    http_reply(exchange, buf_failed(&out) ? 503 : 200, "application/json", buf_slice(&out));
    if (out.len > 0) {
        mem_wipe(out.ptr, out.len);
    }
}

struct wait {
    struct browser_outcomes *outcomes;
    struct browser_waiter waiter;
};

static void on_gone(void *context)
{
    struct wait *wait = context;
    browser_outcome_leave(wait->outcomes, &wait->waiter);
}

static void on_wait(void *context, struct http_exchange *exchange)
{
    const struct web_browser *browser = context;
    struct slice text = behind(exchange, WAIT_PATH);
    struct browser_ticket ticket;
    struct secret token CLEANUP(secret_fini) = {0};
    struct buf again CLEANUP(buf_fini) = {0};
    if (!is_private(browser, exchange)) {
        return;
    }
    if (!browser_wait_open(&browser->key, clock_mono_us(), text, &ticket)) {
        http_last(exchange);
        http_reply(exchange, 404, "text/plain", SLICE("there is no such sign-in\n"));
        return;
    }
    struct wait wait = {.outcomes = browser->outcomes,
                        .waiter = {.address = connection_address(http_connection(exchange))}};
    http_on_cancel(exchange, on_gone, &wait);
    enum browser_result result =
        browser_outcome_wait(browser->outcomes, &ticket, &wait.waiter, browser->wait_ms, &token);
    http_on_cancel(exchange, NULL, NULL);
    switch (result) {
    case BROWSER_PENDING:
        buf_printf(&again, "%s" WAIT_PATH "%.*s", browser->url, SLICE_ARGS(text));
        reply_json(exchange, "nextUri", buf_slice(&again));
        return;
    case BROWSER_TOKEN:
        reply_json(exchange, "token", secret_slice(&token));
        return;
    case BROWSER_FAILED:
        reply_json(exchange, "error", SLICE("the sign-in was refused"));
        return;
    case BROWSER_GIVEN:
        reply_json(exchange, "error", SLICE("this sign-in is over"));
        return;
    }
}

/* A program says that it has the token. */
static void on_have(UNUSED void *context, struct http_exchange *exchange)
{
    http_last(exchange);
    http_reply(exchange, 204, NULL, SLICE(""));
}

/* ---- the browser: the page that asks, and the way to the issuer ---- */

static bool open_page(const struct web_browser *browser, struct http_exchange *exchange,
                      struct browser_ticket *ret_ticket)
{
    if (!is_private(browser, exchange)) {
        return false;
    }
    if (!browser_page_open(&browser->key, clock_mono_us(), behind(exchange, PAGE_PATH),
                           ret_ticket) ||
        browser_outcome_is_begun(browser->outcomes, ret_ticket)) {
        reply_over(exchange);
        return false;
    }
    return true;
}

static void on_page(void *context, struct http_exchange *exchange)
{
    struct browser_ticket ticket;
    struct buf page CLEANUP(buf_fini) = {0};
    if (!open_page(context, exchange, &ticket)) {
        return;
    }
    put_head(&page, "Sign in to Moat?");
    buf_append_str(&page, "<p>A program wants to work with your rights: <b>");
    put_text(&page, slice_of(ticket.who));
    buf_append_str(&page,
                   "</b><p>Go on only if you have started it yourself, just now. If somebody "
                   "sent you this address, close this page.<form method=\"post\">"
                   "<button>Sign in</button></form>");
    reply_page(exchange, 200, &page);
}

/* One for each sign-in: several may go on in one browser. */
static void cookie_name(const struct http_exchange *exchange, const uint8_t *flow,
                        char ret_name[COOKIE_NAME_BYTES])
{
    char hex[17];
    bool is_tls = connection_is_tls(http_connection(exchange));
    hash_hex(flow, 8, hex);
    (void)snprintf(ret_name, COOKIE_NAME_BYTES, "%smoat-browser-%s", is_tls ? "__Host-" : "", hex);
}

/* Lax: the issuer's redirect, of another site, brings it along. */
static void set_cookie(struct http_exchange *exchange, const uint8_t *flow, const char *value)
{
    char name[COOKIE_NAME_BYTES];
    char text[COOKIE_NAME_BYTES + BROWSER_COOKIE_BYTES + 64];
    bool is_tls = connection_is_tls(http_connection(exchange));
    cookie_name(exchange, flow, name);
    (void)snprintf(text, sizeof(text), "%s=%s; Path=/; HttpOnly; SameSite=Lax; Max-Age=%d%s", name,
                   value, value[0] == '\0' ? 0 : (int)(BROWSER_LIFE_US / 1000000),
                   is_tls ? "; Secure" : "");
    http_header(exchange, "Set-Cookie", slice_of(text));
    mem_wipe(text, sizeof(text));
}

/* What makes this sign-in this browser's; all texts are the caller's. */
struct proof {
    struct buf state;
    char redirect[512];
    char nonce[BROWSER_DERIVED_BYTES];
    char verifier[BROWSER_DERIVED_BYTES];
};

static void proof_fini(struct proof *proof)
{
    buf_fini(&proof->state);
    mem_wipe(proof->nonce, sizeof(proof->nonce));
    mem_wipe(proof->verifier, sizeof(proof->verifier));
}

static enum err make_proof(const struct web_browser *browser, const struct browser_ticket *ticket,
                           struct slice cookie, struct proof *proof,
                           struct identity_browser *ret_browser, struct errinfo *info)
{
    const struct browser_key *key = &browser->key;
    (void)snprintf(proof->redirect, sizeof(proof->redirect), "%s" BACK_PATH, browser->url);
    TRY(browser_state(key, ticket, cookie, &proof->state, info));
    TRY(browser_derive(key, "nonce", ticket, cookie, proof->nonce, info));
    TRY(browser_derive(key, "verifier", ticket, cookie, proof->verifier, info));
    *ret_browser = (struct identity_browser){.redirect = slice_of(proof->redirect),
                                             .state = buf_slice(&proof->state),
                                             .nonce = slice_of(proof->nonce),
                                             .verifier = slice_of(proof->verifier)};
    return ERR_OK;
}

static enum err go(const struct web_browser *browser, const struct browser_ticket *ticket,
                   char ret_cookie[BROWSER_COOKIE_BYTES], struct secret *ret_address,
                   struct errinfo *info)
{
    struct proof proof CLEANUP(proof_fini) = {.redirect = ""};
    struct identity_browser sign_in;
    uint8_t secret[(BROWSER_COOKIE_BYTES - 1) / 2];
    if (random_bytes(secret, sizeof(secret)) != ERR_OK) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "there are no random numbers");
    }
    hash_hex(secret, sizeof(secret), ret_cookie);
    mem_wipe(secret, sizeof(secret));
    TRY(make_proof(browser, ticket, slice_of(ret_cookie), &proof, &sign_in, info));
    return warehouse_browser_address(browser->server->warehouse, &sign_in, ret_address, info);
}

static void on_go(void *context, struct http_exchange *exchange)
{
    const struct web_browser *browser = context;
    struct browser_ticket ticket;
    struct slice origin = {"", 0};
    struct slice site = SLICE("same-origin");
    struct errinfo info;
    struct secret address CLEANUP(secret_fini) = {0};
    char cookie[BROWSER_COOKIE_BYTES];
    errinfo_init(&info);
    if (!open_page(browser, exchange, &ticket)) {
        return;
    }
    /* Whoever sends the form must be the page above, which a person has read. */
    (void)http_field(exchange, SLICE("origin"), &origin);
    (void)http_field(exchange, SLICE("sec-fetch-site"), &site);
    if (!slice_equal_fold(origin, slice_of(browser->url)) ||
        !slice_equal_fold(site, SLICE("same-origin"))) {
        reply_words(exchange, 403, "Not from here", "Open the address that the program shows.");
        return;
    }
    enum err err = go(browser, &ticket, cookie, &address, &info);
    if (err != ERR_OK) {
        log_warn("web", "a browser cannot be sent to the issuer: %s", info.message);
        reply_failed(exchange, &info);
        return;
    }
    set_cookie(exchange, ticket.flow, cookie);
    mem_wipe(cookie, sizeof(cookie));
    http_header(exchange, "Location", secret_slice(&address));
    reply_words(exchange, 303, "On to the identity provider", "");
}

/* ---- back from the issuer ---- */

static bool find_ticket(const struct web_browser *browser, struct http_exchange *exchange,
                        struct slice state, struct slice *ret_cookie,
                        struct browser_ticket *ret_ticket)
{
    uint8_t flow[BROWSER_FLOW_BYTES];
    char name[COOKIE_NAME_BYTES];
    if (!browser_state_flow(state, flow)) {
        return false;
    }
    cookie_name(exchange, flow, name);
    return web__find_cookie(exchange, slice_of(name), ret_cookie) &&
           browser_state_open(&browser->key, clock_mono_us(), state, *ret_cookie, ret_ticket);
}

/* The token, and whose it is here: who is refused hears of it now, and the trail has it. */
static enum err redeem(const struct web_browser *browser, struct http_exchange *exchange,
                       const struct browser_ticket *ticket, struct slice cookie,
                       const struct browser_answer *answer, struct secret *ret_token,
                       struct identity **ret_who, struct errinfo *info)
{
    struct proof proof CLEANUP(proof_fini) = {.redirect = ""};
    struct identity_browser sign_in;
    struct web_visitor visitor = {.protocol = "browser", .application = SLICE("")};
    (void)http_field(exchange, SLICE("user-agent"), &visitor.application);
    if (answer->code.len == 0) {
        return errinfo_set(info, ERR_DENIED, "28000", "the issuer refused");
    }
    TRY(make_proof(browser, ticket, cookie, &proof, &sign_in, info));
    TRY(warehouse_browser_token(browser->server->warehouse, &sign_in, answer->code, answer->issuer,
                                ret_token, info));
    struct credential credential = {.kind = CREDENTIAL_TOKEN, .secret = secret_slice(ret_token)};
    return web__log_in(browser->server, http_connection(exchange), &visitor, &credential, ret_who,
                       info);
}

static void finish(const struct web_browser *browser, struct http_exchange *exchange,
                   const struct browser_ticket *ticket, struct slice cookie,
                   const struct browser_answer *answer)
{
    struct secret token CLEANUP(secret_fini) = {0};
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    struct errinfo info;
    struct buf page CLEANUP(buf_fini) = {0};
    errinfo_init(&info);
    enum err err = redeem(browser, exchange, ticket, cookie, answer, &token, &who, &info);
    if (err != ERR_OK) {
        log_warn("web", "a sign-in by a browser has failed: %s", info.message);
        browser_outcome_set(browser->outcomes, ticket, NULL, SLICE(""));
        reply_failed(exchange, &info);
        return;
    }
    browser_outcome_set(browser->outcomes, ticket, &token, identity_subject(who));
    put_head(&page, "You are signed in");
    buf_append_str(&page, "<p>The program has your rights now, as <b>");
    put_text(&page, identity_subject(who));
    buf_append_str(&page, "</b>. You may close this page.");
    reply_page(exchange, 200, &page);
}

static void on_back(void *context, struct http_exchange *exchange)
{
    const struct web_browser *browser = context;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "callback", 0);
    struct browser_answer answer;
    struct browser_ticket ticket;
    struct slice cookie;
    struct errinfo info;
    errinfo_init(&info);
    if (!is_private(browser, exchange)) {
        return;
    }
    if (arena == NULL || !browser_answer_read(http_query(exchange), arena, &answer) ||
        !find_ticket(browser, exchange, answer.state, &cookie, &ticket)) {
        reply_over(exchange);
        return;
    }
    set_cookie(exchange, ticket.flow, "");
    enum err err = browser_outcome_begin(browser->outcomes, &ticket, &info);
    if (err == ERR_DENIED) {
        reply_over(exchange);
    } else if (err != ERR_OK) {
        reply_failed(exchange, &info);
    } else {
        finish(browser, exchange, &ticket, cookie, &answer);
    }
}

/* ---- life ---- */

void web__browser_close(struct web_server *server)
{
    struct web_browser *browser = server->browser;
    if (browser != NULL) {
        browser_outcomes_close(browser->outcomes);
        mem_wipe(&browser->key, sizeof(browser->key));
        mem_free(browser->url);
        mem_free(browser);
        server->browser = NULL;
    }
}

enum err web__browser_routes(struct web_server *server, struct errinfo *info)
{
    static const struct {
        const char *method;
        const char *path;
        http_route_fn fn;
    } routes[] = {{"GET", PAGE_PATH, on_page},
                  {"POST", PAGE_PATH, on_go},
                  {"GET", BACK_PATH, on_back},
                  {"GET", WAIT_PATH, on_wait},
                  {"DELETE", WAIT_PATH, on_have}};
    struct slice url = slice_of(config_text(server->config, CONFIG_LOGIN_BROWSER_URL));
    if (url.len == 0) {
        return ERR_OK;
    }
    struct web_browser *browser = mem_calloc(1, sizeof(*browser));
    if (browser == NULL) {
        return errinfo_nomem(info);
    }
    server->browser = browser;
    browser->server = server;
    browser->url = mem_slicedup(url);
    int64_t half_ms = config_duration_ms(server->config, CONFIG_SERVER_LOGIN_TIMEOUT) / 2;
    browser->wait_ms = half_ms < WAIT_MS_MAX ? half_ms : WAIT_MS_MAX;
    if (browser->url == NULL) {
        return errinfo_nomem(info);
    }
    if (random_bytes(browser->key.bytes, sizeof(browser->key.bytes)) != ERR_OK) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "there are no random numbers");
    }
    TRY(browser_outcomes_open(&browser->outcomes, info));
    for (size_t i = 0; i < ARRAY_COUNT(routes); i++) {
        TRY(http_route(server->http, routes[i].method, routes[i].path, routes[i].fn, browser,
                       info));
    }
    return ERR_OK;
}
