/* The console: one page, without anything from elsewhere. Its style and script stand in it, and its
 * Content-Security-Policy names them by their hashes: nothing else that got into the page, however
 * it got there, would run or be loaded. The files are in console/, and are put into the program
 * when it is built (cmake/Embed.cmake). */
#include "wire/web/console.h"

#include <openssl/evp.h>

#include "query/clients.h"
#include "observe/metrics.h"
#include "wire/web/web_int.h"

#define HASH_TEXT_BYTES 64 /* base64 of 32 bytes, with its NUL */

static enum err hash_text(struct slice text, char ret_hash[HASH_TEXT_BYTES], struct errinfo *info)
{
    uint8_t digest[SHA256_BYTES];
    if (hash_sha256(text, digest) != ERR_OK) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "SHA-256 does not work");
    }
    (void)EVP_EncodeBlock((unsigned char *)ret_hash, digest, sizeof(digest));
    return ERR_OK;
}

/* The page up to `mark`, and what stands in for it. */
static void put_until(struct buf *out, struct slice *page, struct slice mark, struct slice instead)
{
    size_t at = slice_find(*page, mark);
    ASSERT(at != SIZE_MAX);
    buf_append(out, page->ptr, at);
    buf_append_slice(out, instead);
    *page = (struct slice){page->ptr + at + mark.len, page->len - at - mark.len};
}

static enum err make_page(struct web_server *server, struct errinfo *info)
{
    char style_hash[HASH_TEXT_BYTES], script_hash[HASH_TEXT_BYTES];
    struct slice style = {(const char *)console_style, console_style_len};
    struct slice script = {(const char *)console_script, console_script_len};
    struct slice page = {(const char *)console_page, console_page_len};
    TRY(hash_text(style, style_hash, info));
    TRY(hash_text(script, script_hash, info));
    put_until(&server->console, &page, SLICE("@style@"), style);
    put_until(&server->console, &page, SLICE("@script@"), script);
    buf_append_slice(&server->console, page);
    buf_printf(&server->policy,
               "default-src 'none'; script-src 'sha256-%s'; style-src 'sha256-%s'; "
               "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
               "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
               script_hash, style_hash);
    bool has_failed = buf_failed(&server->console) || buf_failed(&server->policy);
    return has_failed ? errinfo_nomem(info) : ERR_OK;
}

static void on_console(void *context, struct http_exchange *exchange)
{
    const struct web_server *server = context;
    http_header(exchange, "Content-Security-Policy", buf_slice(&server->policy));
    http_header(exchange, "X-Frame-Options", SLICE("DENY"));
    http_header(exchange, "Referrer-Policy", SLICE("no-referrer"));
    http_header(exchange, "Cross-Origin-Opener-Policy", SLICE("same-origin"));
    http_header(exchange, "Cross-Origin-Resource-Policy", SLICE("same-origin"));
    http_compress(exchange);
    http_reply(exchange, 200, "text/html; charset=utf-8", buf_slice(&server->console));
}

/* ---- gauges ---- */

/* Counters name nobody, but how busy others are is for those who look after the server. Roles are
 * those of now, not those of the sign-in. */
static enum err print_gauges(struct web_server *server, struct http_exchange *exchange,
                             struct identity *who, const struct web_visitor *visitor,
                             struct buf *out, struct errinfo *info)
{
    struct web_run *run CLEANUP(web_run_cleanup) = NULL;
    struct web_run_spec spec = {.protocol = SESSION_HTTP,
                                .visitor = *visitor,
                                .who = who,
                                .address = slice_of(connection_peer(http_connection(exchange))),
                                .login = web__login_of(exchange)};
    TRY(web_run_open(server, &spec, &run, info));
    TRY(session_check(web_run_session(run), info));
    const struct identity *now = session_identity(web_run_session(run));
    if (!identity_is_owner(now) && !identity_has_role(now, SLICE("moat_admin")) &&
        !identity_has_role(now, SLICE(CLIENT_ROLE_OPERATOR))) {
        return errinfo_set(info, ERR_DENIED, "42501",
                           "metrics are for the owner, moat_admin and moat_operator");
    }
    warehouse_sample(server->warehouse);
    metrics_print(warehouse_metrics(server->warehouse), out);
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

static void on_gauges(void *context, struct http_exchange *exchange)
{
    struct web_server *server = context;
    struct web_visitor visitor = {.protocol = "http", .application = SLICE("")};
    struct buf out CLEANUP(buf_fini) = {0};
    struct errinfo info;
    errinfo_init(&info);
    struct identity *who = web_sign_in(server, exchange, &visitor);
    if (who == NULL) {
        return;
    }
    if (print_gauges(server, exchange, who, &visitor, &out, &info) != ERR_OK) {
        web_reply_error(exchange, &info, SLICE(""));
        return;
    }
    http_reply(exchange, 200, "text/plain; version=0.0.4; charset=utf-8", buf_slice(&out));
}

enum err web__console_routes(struct web_server *server, struct errinfo *info)
{
    TRY(make_page(server, info));
    TRY(http_route(server->http, "GET", "/console", on_console, server, info));
    return http_route(server->http, "GET", "/v1/metrics", on_gauges, server, info);
}
