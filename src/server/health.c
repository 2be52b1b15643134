/* No answer names a person, a statement or a table: who may reach the port may read it. */
#include "server/health.h"

#include <stdatomic.h>

#include "base/mem.h"
#include "observe/metrics.h"
#include "query/query.h"
#include "wire/http/http.h"
#include "wire/loop/loop.h"
#include "wire/pg/pg.h"

#define REQUEST_TIMEOUT_MS 10000
#define IDLE_TIMEOUT_MS 120000

struct health {
    struct warehouse *warehouse;
    struct loop *loop;
    struct http_server *http;
    atomic_bool is_draining;
};

#define TEXT "text/plain; charset=utf-8"

/* The process turns: that this is answered is the answer. */
static void live(UNUSED void *context, struct http_exchange *exchange)
{
    http_reply(exchange, 200, TEXT, SLICE("live\n"));
}

static void ready(void *context, struct http_exchange *exchange)
{
    struct health *health = context;
    struct errinfo info;
    errinfo_init(&info);
    if (atomic_load(&health->is_draining)) {
        http_reply(exchange, 503, TEXT, SLICE("not ready: the server is being stopped\n"));
    } else if (warehouse_check(health->warehouse, &info) != ERR_OK) {
        struct buf text CLEANUP(buf_fini) = {0};
        buf_printf(&text, "not ready: %s\n", info.message);
        http_reply(exchange, 503, TEXT, buf_slice(&text));
    } else {
        http_reply(exchange, 200, TEXT, SLICE("ready\n"));
    }
}

static void sample_loop(const struct health *health, struct metrics *metrics)
{
    struct loop_counts counts = loop_count(health->loop);
    metrics_set(metrics, METRIC_CONNECTIONS, 0, loop_count_protocol(health->loop, &pg_protocol));
    metrics_set(metrics, METRIC_CONNECTIONS, 1, loop_count_protocol(health->loop, &http_protocol));
    metrics_set(metrics, METRIC_CONNECTIONS_TOTAL, 0, counts.accepted);
    metrics_set(metrics, METRIC_CONNECTIONS_REFUSED, 0, counts.refused);
    metrics_set(metrics, METRIC_CONNECTION_TIMEOUTS, 0, counts.timeouts);
    metrics_set(metrics, METRIC_WORKER_THREADS, 0, counts.threads);
}

static void metrics(void *context, struct http_exchange *exchange)
{
    const struct health *health = context;
    struct metrics *all = warehouse_metrics(health->warehouse);
    struct buf text CLEANUP(buf_fini) = {0};
    warehouse_sample(health->warehouse);
    sample_loop(health, all);
    metrics_print(all, &text);
    if (buf_failed(&text)) {
        http_reply(exchange, 500, TEXT, SLICE("out of memory\n"));
        return;
    }
    http_reply(exchange, 200, "text/plain; version=0.0.4; charset=utf-8", buf_slice(&text));
}

enum err health_open(struct warehouse *warehouse, struct loop *loop, struct health **ret_health,
                     struct errinfo *info)
{
    struct health *health = mem_calloc(1, sizeof(*health));
    struct http_options options = {.request_timeout_ms = REQUEST_TIMEOUT_MS};
    if (health == NULL) {
        return errinfo_nomem(info);
    }
    health->warehouse = warehouse;
    health->loop = loop;
    enum err err = http_server_open(&options, &health->http, info);
    err = err != ERR_OK ? err : http_route(health->http, "GET", "/live", live, health, info);
    err = err != ERR_OK ? err : http_route(health->http, "GET", "/ready", ready, health, info);
    err = err != ERR_OK ? err : http_route(health->http, "GET", "/metrics", metrics, health, info);
    if (err != ERR_OK) {
        health_close(health);
        return err;
    }
    *ret_health = health;
    return ERR_OK;
}

void health_close(struct health *health)
{
    if (health != NULL) {
        http_server_close(health->http);
        mem_free(health);
    }
}

enum err health_listen(struct health *health, const char *address, uint16_t port,
                       unsigned connections_max, uint16_t *ret_port, struct errinfo *info)
{
    struct loop_listener listener = {
        .protocol = &http_protocol,
        .context = health->http,
        .address = address,
        .port = port,
        .connections_max = connections_max,
        .logins_max = connections_max,
        .login_timeout_ms = REQUEST_TIMEOUT_MS,
        .idle_timeout_ms = IDLE_TIMEOUT_MS,
        .message_timeout_ms = REQUEST_TIMEOUT_MS,
        .serves_drain = true,
    };
    return loop_listen(health->loop, &listener, ret_port, info);
}

void health_drain(struct health *health)
{
    atomic_store(&health->is_draining, true);
}
