#include "wire/web/web.h"

#include "base/mem.h"
#include "wire/web/socket.h"

#define ABANDONED_US (5 * 60 * 1000000LL)

enum err web_open(const struct web_options *options, struct web_server **ret_server,
                  struct errinfo *info)
{
    const struct config *config = options->config;
    struct web_server *server = mem_calloc(1, sizeof(*server));
    if (server == NULL) {
        return errinfo_nomem(info);
    }
    server->warehouse = options->warehouse;
    server->config = config;
    server->abandoned_us = ABANDONED_US;
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->tick, NULL);
    pthread_cond_init(&server->idle, NULL);
    struct http_options http = {
        .head_bytes_max = 64 * 1024, /* Trino's clients send prepared statements in fields */
        .body_bytes_max = (size_t)config_bytes(config, CONFIG_SERVER_MESSAGE_BYTES_MAX),
        .request_timeout_ms = config_duration_ms(config, CONFIG_SERVER_LOGIN_TIMEOUT),
        .is_tls_required = options->is_tls_required,
        .routes_sign_in = true,
        .close_state = web__person_close,
    };
    enum err err = http_server_open(&http, &server->http, info);
    err = err != ERR_OK ? err : web__keeper_open(server, info);
    err = err != ERR_OK ? err : web__sql_routes(server, info);
    err = err != ERR_OK ? err : web__openapi_route(server, info);
    err = err != ERR_OK ? err : web__login_routes(server, info);
    err = err != ERR_OK ? err : web__browser_routes(server, info);
    err = err != ERR_OK ? err : web__console_routes(server, info);
    err = err != ERR_OK ? err : web__socket_route(server, info);
    if (err != ERR_OK) {
        web_close(server);
        return err;
    }
    *ret_server = server;
    return ERR_OK;
}

void web_close(struct web_server *server)
{
    if (server == NULL) {
        return;
    }
    web__keeper_close(server);
    http_server_close(server->http);
    web__logins_close(server);
    web__browser_close(server);
    buf_fini(&server->console);
    buf_fini(&server->policy);
    pthread_cond_destroy(&server->tick);
    pthread_cond_destroy(&server->idle);
    pthread_mutex_destroy(&server->lock);
    mem_free(server);
}

struct http_server *web_http(struct web_server *server)
{
    return server->http;
}

struct warehouse *web_warehouse(const struct web_server *server)
{
    return server->warehouse;
}
