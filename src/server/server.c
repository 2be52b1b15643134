#include "server/server.h"

#include <arpa/inet.h>
#include <signal.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "query/login.h"
#include "query/production.h"
#include "query/query.h"
#include "server/health.h"
#include "server/notify.h"
#include "server/reload.h"
#include "wire/flight/flight.h"
#include "wire/grpc/grpc.h"
#include "wire/loop/loop.h"
#include "wire/pg/pg.h"
#include "wire/trino/trino.h"
#include "wire/web/web.h"

#define WEB_IDLE_MS 120000 /* a connection of HTTP is nobody's session */

struct server {
    const struct server_options *options;
    const struct config *config; /* of the start */
    struct warehouse *warehouse;
    struct pg_server *pg;
    struct health *health;
    struct web_server *web;
    struct trino_server *trino;
    struct flight_server *flight;
    struct loop *loop;
    bool is_tls;
    struct reload reload;
};

static void server_fini(struct server *server)
{
    reload_fini(&server->reload);
    loop_close(server->loop);
    health_close(server->health);
    web_close(server->web);
    trino_close(server->trino);
    flight_close(server->flight);
    pg_server_close(server->pg);
    if (server->warehouse != NULL) {
        warehouse_close(server->warehouse);
    }
}

static bool is_loopback(const char *address)
{
    struct in_addr in;
    struct in6_addr in6;
    if (inet_pton(AF_INET, address, &in) == 1) {
        return ntohl(in.s_addr) >> 24 == 127;
    }
    return inet_pton(AF_INET6, address, &in6) == 1 && IN6_IS_ADDR_LOOPBACK(&in6);
}

/* ---- TLS ---- */

static const char *optional(const struct config *config, enum config_key key)
{
    const char *text = config_text(config, key);
    return text[0] == '\0' ? NULL : text;
}

static bool is_client_optional(const struct config *config)
{
    return strcmp(config_text(config, CONFIG_SERVER_TLS_CLIENT), "optional") == 0;
}

static enum err load_tls(struct server *server, const struct config *config, struct errinfo *info)
{
    struct loop_tls_files files = {
        .certificate = config_text(config, CONFIG_SERVER_TLS_CERTIFICATE),
        .key = config_text(config, CONFIG_SERVER_TLS_KEY),
        .client_ca = optional(config, CONFIG_SERVER_TLS_CLIENT_CA),
        .client_is_optional = is_client_optional(config),
    };
    return loop_set_tls(server->loop, &files, info);
}

/* Beyond loopback nobody speaks in the clear unless somebody has said so. */
static enum err decide_tls(struct server *server, bool *ret_is_required, struct errinfo *info)
{
    const struct config *config = server->config;
    const char *mode = config_text(config, CONFIG_SERVER_TLS);
    const char *address = config_text(config, CONFIG_SERVER_ADDRESS);
    bool has_files = optional(config, CONFIG_SERVER_TLS_CERTIFICATE) != NULL;
    bool is_off = strcmp(mode, "off") == 0;
    bool is_required = strcmp(mode, "required") == 0 || (!is_off && !is_loopback(address)) ||
                       (!is_off && optional(config, CONFIG_SERVER_TLS_CLIENT_CA) != NULL &&
                        !is_client_optional(config));
    server->is_tls = has_files && !is_off;
    *ret_is_required = is_required;
    if (is_required && !has_files) {
        (void)errinfo_set(info, ERR_INVALID, "F0000",
                          "\"%s\" cannot be served without a certificate", address);
        errinfo_hint(info, "Set server.tls_certificate and server.tls_key; server.tls=off serves "
                           "in the clear, for networks that are trusted.");
        return ERR_INVALID;
    }
    if (!server->is_tls) {
        log_warn("server", "TLS is off: whoever can read the network between reads all");
        return ERR_OK;
    }
    return load_tls(server, config, info);
}

/* ---- production ---- */

/* All reasons, so that who mends them need not start once for each. */
static enum err check_production(struct server *server, const struct config *config,
                                 struct warehouse *warehouse, struct errinfo *info)
{
    const struct server_options *options = server->options;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "production", 0);
    struct production_reason *reasons;
    size_t count;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(production_reasons(config, warehouse, arena, &reasons, &count, info));
    for (size_t i = 0; i < count; i++) {
        if (options->on_refused != NULL) {
            options->on_refused(options->context, reasons[i].what, reasons[i].mend);
        }
    }
    if (count == 0) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_INVALID, "F0000", "not for production, for %zu reason%s", count,
                      count == 1 ? "" : "s");
    errinfo_hint(info, "Mend what is listed, or set server.production to false.");
    return ERR_INVALID;
}

/* ---- policies as a file ---- */

/* As the owner, whose process this is. What the file says is what holds. */
static enum err apply_policies(struct server *server, const struct config *config,
                               struct errinfo *info)
{
    const char *path = optional(config, CONFIG_POLICY_FILE);
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    struct session *session CLEANUP(session_cleanup) = NULL;
    struct buf report CLEANUP(buf_fini) = {0};
    size_t changes = 0;
    if (path == NULL) {
        return ERR_OK;
    }
    TRY(warehouse_login_local(server->warehouse, SLICE(""), &who, info));
    TRY(session_open(server->warehouse, who, &session, info));
    TRY(session_policy_file(session, path, POLICY_APPLY, &report, &changes, info));
    log_info("server", "policies of \"%s\": %zu change%s", path, changes, changes == 1 ? "" : "s");
    return ERR_OK;
}

/* ---- signals ---- */

static void on_terminate(void *context, UNUSED int number)
{
    struct server *server = context;
    notify_stopping();
    log_info("server", "stopping");
    health_drain(server->health);
    loop_stop(server->loop, config_duration_ms(server->config, CONFIG_SERVER_DRAIN_TIMEOUT));
}

/* What stands if it cannot be had anew, and why. */
static void say(enum err err, const char *what, const struct errinfo *info)
{
    if (err == ERR_OK) {
        log_info("server", "the %s are loaded anew", what);
    } else {
        log_error("server", "the old %s stand: %s", what, info->message);
    }
}

static void load_anew(struct server *server, const struct config *config)
{
    struct errinfo info;
    errinfo_init(&info);
    bool must_hold = config_bool(server->config, CONFIG_SERVER_PRODUCTION);
    if (must_hold && check_production(server, config, NULL, &info) != ERR_OK) {
        log_error("server", "nothing is loaded again: %s", info.message);
        return;
    }
    if (server->is_tls) {
        say(load_tls(server, config, &info), "certificates", &info);
    } else if (optional(config, CONFIG_SERVER_TLS_CERTIFICATE) != NULL) {
        log_warn("server", "TLS is off: with certificates it takes a new start");
    }
    errinfo_init(&info);
    say(warehouse_reload_login(server->warehouse, config, &info), "providers", &info);
    errinfo_init(&info);
    if (optional(config, CONFIG_POLICY_FILE) != NULL) {
        say(apply_policies(server, config, &info), "policies", &info);
    }
}

static void reload(void *context)
{
    struct server *server = context;
    const struct server_options *options = server->options;
    struct config *fresh CLEANUP(config_cleanup) = NULL;
    struct errinfo info;
    errinfo_init(&info);
    notify_reloading();
    if (options->load_config != NULL &&
        options->load_config(options->context, &fresh, &info) != ERR_OK) {
        log_error("server", "nothing is loaded again: %s", info.message);
    } else {
        load_anew(server, fresh != NULL ? fresh : server->config);
    }
    notify_ready();
}

static void on_reload(void *context, UNUSED int number)
{
    struct server *server = context;
    reload_ask(&server->reload);
}

static enum err watch_signals(struct server *server, struct errinfo *info)
{
    (void)signal(SIGPIPE, SIG_IGN);
    TRY(loop_on_signal(server->loop, SIGTERM, on_terminate, server, info));
    TRY(loop_on_signal(server->loop, SIGINT, on_terminate, server, info));
    return loop_on_signal(server->loop, SIGHUP, on_reload, server, info);
}

/* ---- start ---- */

static enum err listen_pg(struct server *server, bool is_tls_required, uint16_t *ret_port,
                          struct errinfo *info)
{
    const struct config *config = server->config;
    struct pg_server_options pg = {server->warehouse, config, is_tls_required};
    TRY(pg_server_open(&pg, &server->pg, info));
    struct loop_listener listener = {
        .protocol = &pg_protocol,
        .context = server->pg,
        .address = config_text(config, CONFIG_SERVER_ADDRESS),
        .port = (uint16_t)config_integer(config, CONFIG_SERVER_PG_PORT),
        .connections_max = (unsigned)config_integer(config, CONFIG_SERVER_CONNECTIONS_MAX),
        .logins_max = (unsigned)config_integer(config, CONFIG_SERVER_LOGINS_MAX),
        .login_timeout_ms = config_duration_ms(config, CONFIG_SERVER_LOGIN_TIMEOUT),
        .idle_timeout_ms = config_duration_ms(config, CONFIG_SERVER_IDLE_TIMEOUT),
        .message_timeout_ms = config_duration_ms(config, CONFIG_SERVER_MESSAGE_TIMEOUT),
    };
    return loop_listen(server->loop, &listener, ret_port, info);
}

/* Nobody who starts a second server with nothing said is to find the port of the first in the way;
 * a port that was asked for must be had. */
static enum err listen_http(struct server *server, uint16_t *ret_port, struct errinfo *info)
{
    const struct config *config = server->config;
    const char *address = config_text(config, CONFIG_SERVER_HTTP_ADDRESS);
    int64_t port = config_integer(config, CONFIG_SERVER_HTTP_PORT);
    bool is_default = strcmp(config_source(config, CONFIG_SERVER_HTTP_PORT), "default") == 0;
    *ret_port = 0;
    TRY(health_open(server->warehouse, server->loop, &server->health, info));
    if (port < 0) {
        return ERR_OK;
    }
    if (!is_loopback(address)) {
        log_warn("server", "/metrics is served to whoever can reach \"%s\"", address);
    }
    enum err err = health_listen(
        server->health, address, (uint16_t)port,
        (unsigned)config_integer(config, CONFIG_SERVER_HTTP_CONNECTIONS_MAX), ret_port, info);
    if (err == ERR_IO && is_default) {
        log_warn("server", "no /live, /ready and /metrics: %s", info == NULL ? "" : info->message);
        return ERR_OK;
    }
    return err;
}

/* SQL over HTTP and Trino's protocol: as the door above, but for the port, which may give way. */
static enum err listen_web(struct server *server, bool is_tls_required, uint16_t *ret_port,
                           struct errinfo *info)
{
    const struct config *config = server->config;
    int64_t port = config_integer(config, CONFIG_SERVER_WEB_PORT);
    bool is_default = strcmp(config_source(config, CONFIG_SERVER_WEB_PORT), "default") == 0;
    int64_t idle_ms = config_duration_ms(config, CONFIG_SERVER_IDLE_TIMEOUT);
    *ret_port = 0;
    if (port < 0) {
        return ERR_OK;
    }
    struct web_options web = {server->warehouse, config, is_tls_required};
    TRY(web_open(&web, &server->web, info));
    TRY(trino_open(server->web, &server->trino, info));
    struct loop_listener listener = {
        .protocol = &http_protocol,
        .context = web_http(server->web),
        .address = config_text(config, CONFIG_SERVER_ADDRESS),
        .port = (uint16_t)port,
        .connections_max = (unsigned)config_integer(config, CONFIG_SERVER_CONNECTIONS_MAX),
        .logins_max = (unsigned)config_integer(config, CONFIG_SERVER_LOGINS_MAX),
        .login_timeout_ms = config_duration_ms(config, CONFIG_SERVER_LOGIN_TIMEOUT),
        .idle_timeout_ms = idle_ms == 0 ? WEB_IDLE_MS : idle_ms,
        .message_timeout_ms = config_duration_ms(config, CONFIG_SERVER_MESSAGE_TIMEOUT),
    };
    enum err err = loop_listen(server->loop, &listener, ret_port, info);
    if (err == ERR_IO && is_default) {
        log_warn("server", "no SQL over HTTP: %s", info == NULL ? "" : info->message);
        return ERR_OK;
    }
    return err;
}

static enum err listen_flight(struct server *server, bool is_tls_required, uint16_t *ret_port,
                              struct errinfo *info)
{
    const struct config *config = server->config;
    int64_t port = config_integer(config, CONFIG_SERVER_FLIGHT_PORT);
    bool is_default = strcmp(config_source(config, CONFIG_SERVER_FLIGHT_PORT), "default") == 0;
    *ret_port = 0;
    if (port < 0) {
        return ERR_OK;
    }
    struct flight_options flight = {server->warehouse, config, is_tls_required};
    TRY(flight_open(&flight, &server->flight, info));
    struct loop_listener listener = {
        .protocol = &grpc_protocol,
        .context = flight_grpc(server->flight),
        .address = config_text(config, CONFIG_SERVER_ADDRESS),
        .port = (uint16_t)port,
        .connections_max = (unsigned)config_integer(config, CONFIG_SERVER_CONNECTIONS_MAX),
        .logins_max = (unsigned)config_integer(config, CONFIG_SERVER_LOGINS_MAX),
        .login_timeout_ms = config_duration_ms(config, CONFIG_SERVER_LOGIN_TIMEOUT),
        .idle_timeout_ms = config_duration_ms(config, CONFIG_SERVER_IDLE_TIMEOUT),
        .message_timeout_ms = config_duration_ms(config, CONFIG_SERVER_MESSAGE_TIMEOUT),
    };
    enum err err = loop_listen(server->loop, &listener, ret_port, info);
    if (err == ERR_IO && is_default) {
        log_warn("server", "no Arrow Flight SQL: %s", info == NULL ? "" : info->message);
        return ERR_OK;
    }
    return err;
}

static enum err start(struct server *server, const struct server_options *options,
                      struct server_ports *ret_ports, struct errinfo *info)
{
    const struct config *config = options->config;
    bool is_tls_required;
    struct loop_options loop = {
        .thread_count_max = (unsigned)config_integer(config, CONFIG_SERVER_THREADS_MAX),
        .input_bytes_max = config_bytes(config, CONFIG_SERVER_INPUT_BYTES_MAX),
    };
    TRY(loop_open(&loop, &server->loop, info));
    struct warehouse_options warehouse = {
        .config = config, .engine_module = options->engine_module, .is_server = true};
    TRY(warehouse_open(&warehouse, &server->warehouse, info));
    TRY(config_bool(config, CONFIG_SERVER_PRODUCTION)
            ? check_production(server, config, server->warehouse, info)
            : ERR_OK);
    TRY(decide_tls(server, &is_tls_required, info));
    TRY(warehouse_open_login(server->warehouse, info));
    TRY(apply_policies(server, config, info));
    TRY(listen_http(server, &ret_ports->http, info));
    TRY(watch_signals(server, info));
    TRY(listen_web(server, is_tls_required, &ret_ports->web, info));
    TRY(listen_flight(server, is_tls_required, &ret_ports->flight, info));
    return listen_pg(server, is_tls_required, &ret_ports->pg, info);
}

enum err server_run(const struct server_options *options, struct errinfo *info)
{
    struct server server CLEANUP(server_fini) = {.options = options, .config = options->config};
    reload_init(&server.reload, reload, &server);
    struct server_ports ports = {0};
    TRY(start(&server, options, &ports, info));
    if (options->on_ready != NULL) {
        options->on_ready(options->context, config_text(options->config, CONFIG_SERVER_ADDRESS),
                          &ports, server.is_tls);
    }
    notify_ready();
    loop_run(server.loop);
    return ERR_OK;
}
