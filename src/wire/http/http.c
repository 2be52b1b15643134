/* Requests in, answers out. One exchange at a time for a connection: what a client sends behind it
 * waits, so a pipeline is answered in order. */
#include "wire/http/http.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "base/mem.h"
#include "wire/http/http_int.h"

#define HEAD_BYTES_DEFAULT 16384u
#define REQUEST_TIMEOUT_MS_DEFAULT 10000

struct route {
    struct route *next;
    const char *method;
    const char *path;
    http_route_fn fn;
    void *context;
};

struct http_server {
    struct http_limits limits;
    int64_t request_timeout_us;
    bool is_tls_required;
    bool routes_sign_in;
    void (*close_state)(void *state);
    struct route *routes;
};

enum err http_server_open(const struct http_options *options, struct http_server **ret_server,
                          struct errinfo *info)
{
    struct http_server *server = mem_calloc(1, sizeof(*server));
    if (server == NULL) {
        return errinfo_nomem(info);
    }
    int64_t timeout_ms = options->request_timeout_ms;
    server->limits.head_bytes_max =
        options->head_bytes_max == 0 ? HEAD_BYTES_DEFAULT : options->head_bytes_max;
    server->limits.body_bytes_max = options->body_bytes_max;
    server->request_timeout_us = (timeout_ms == 0 ? REQUEST_TIMEOUT_MS_DEFAULT : timeout_ms) * 1000;
    server->is_tls_required = options->is_tls_required;
    server->routes_sign_in = options->routes_sign_in;
    server->close_state = options->close_state;
    *ret_server = server;
    return ERR_OK;
}

void http_server_close(struct http_server *server)
{
    while (server != NULL && server->routes != NULL) {
        struct route *route = server->routes;
        server->routes = route->next;
        mem_free(route);
    }
    mem_free(server);
}

enum err http_route(struct http_server *server, const char *method, const char *path,
                    http_route_fn fn, void *context, struct errinfo *info)
{
    struct route *route = mem_alloc(sizeof(*route));
    if (route == NULL) {
        return errinfo_nomem(info);
    }
    *route = (struct route){server->routes, method, path, fn, context};
    server->routes = route;
    return ERR_OK;
}

/* ---- what routes see ---- */

struct slice http_method(const struct http_exchange *exchange)
{
    return exchange->request->method;
}

struct slice http_path(const struct http_exchange *exchange)
{
    return exchange->request->path;
}

struct slice http_query(const struct http_exchange *exchange)
{
    return exchange->request->query;
}

struct slice http_body(const struct http_exchange *exchange)
{
    return exchange->request->body;
}

bool http_is_head(const struct http_exchange *exchange)
{
    return exchange->is_head;
}

bool http_is_last(const struct http_exchange *exchange)
{
    return exchange->is_last;
}

bool http_field(const struct http_exchange *exchange, struct slice name, struct slice *ret_value)
{
    return http_field_at(exchange, name, 0, ret_value);
}

bool http_field_at(const struct http_exchange *exchange, struct slice name, size_t index,
                   struct slice *ret_value)
{
    const struct http_request *request = exchange->request;
    for (size_t i = 0; i < request->field_count; i++) {
        if (slice_equal_fold(request->fields[i].name, name) && index-- == 0) {
            *ret_value = request->fields[i].value;
            return true;
        }
    }
    return false;
}

struct connection *http_connection(const struct http_exchange *exchange)
{
    return exchange->on->connection;
}

/* ---- what routes keep ---- */

void *http_state(const struct http_exchange *exchange)
{
    return exchange->on->state;
}

void http_set_state(struct http_exchange *exchange, void *state)
{
    ASSERT(exchange->on->state == NULL && exchange->on->server->close_state != NULL);
    exchange->on->state = state;
}

static void be_ready(struct http_connection *on)
{
    if (!on->is_ready) {
        on->is_ready = true;
        connection_ready(on->connection);
    }
}

void http_signed_in(struct http_exchange *exchange)
{
    be_ready(exchange->on);
}

void http_on_cancel(struct http_exchange *exchange, void (*cancel)(void *context), void *context)
{
    struct http_connection *on = exchange->on;
    pthread_mutex_lock(&on->cancel_lock);
    on->cancel = cancel;
    on->cancel_context = context;
    if (on->is_cancelled && cancel != NULL) {
        cancel(context);
    }
    pthread_mutex_unlock(&on->cancel_lock);
}

static void on_cancel(void *state)
{
    struct http_connection *on = state;
    if (on->upgrade != NULL) {
        on->upgrade->cancel(on->upgraded);
        return;
    }
    pthread_mutex_lock(&on->cancel_lock);
    on->is_cancelled = true;
    if (on->cancel != NULL) {
        on->cancel(on->cancel_context);
    }
    pthread_mutex_unlock(&on->cancel_lock);
}

/* ---- the protocol ---- */

static enum err on_open(void *context, struct connection *connection, void **ret_state,
                        struct errinfo *info)
{
    struct http_connection *on = mem_calloc(1, sizeof(*on));
    if (on == NULL) {
        return errinfo_nomem(info);
    }
    on->server = context;
    on->connection = connection;
    pthread_mutex_init(&on->cancel_lock, NULL);
    *ret_state = on;
    return ERR_OK;
}

/* The loop asks with each byte that comes, so somebody who sends one now and then is seen here. */
static size_t on_need(void *state, struct slice input)
{
    struct http_connection *on = state;
    int64_t now_us = clock_mono_us();
    struct http_parsed parsed;
    if (on->upgrade != NULL) {
        return on->upgrade->need(on->upgraded, input);
    }
    on->since_us = on->since_us == 0 ? now_us : on->since_us;
    if (now_us - on->since_us > on->server->request_timeout_us) {
        return 1;
    }
    if (http_request_parse(input, &on->server->limits, NULL, &parsed) != HTTP_PARTIAL) {
        return 1;
    }
    bool is_waiting = parsed.head_is_whole && parsed.request.wants_continue && !on->has_continued;
    return is_waiting ? 1 : parsed.need;
}

static bool is_path_of(const struct route *route, struct slice path)
{
    size_t len = strlen(route->path);
    bool is_prefix = len > 1 && route->path[len - 1] == '/';
    return is_prefix ? slice_starts_with(path, slice_of(route->path))
                     : slice_equal(path, slice_of(route->path));
}

static bool is_method_of(const struct route *route, const struct http_exchange *exchange)
{
    return slice_equal(exchange->request->method, slice_of(route->method)) ||
           (exchange->is_head && strcmp(route->method, "GET") == 0);
}

/* The route of the longest path; with the method, if that has one. */
static const struct route *find_route(const struct http_exchange *exchange)
{
    const struct route *best = NULL;
    for (const struct route *r = exchange->on->server->routes; r != NULL; r = r->next) {
        if (!is_path_of(r, exchange->request->path)) {
            continue;
        }
        size_t len = strlen(r->path);
        size_t best_len = best == NULL ? 0 : strlen(best->path);
        if (len > best_len || (len == best_len && is_method_of(r, exchange))) {
            best = r;
        }
    }
    return best;
}

static void tell_methods(struct http_exchange *exchange, const char *path)
{
    struct buf allow CLEANUP(buf_fini) = {0};
    buf_append_str(&allow, "OPTIONS");
    for (const struct route *r = exchange->on->server->routes; r != NULL; r = r->next) {
        if (strcmp(r->path, path) == 0) {
            bool is_get = strcmp(r->method, "GET") == 0;
            buf_printf(&allow, ", %s%s", r->method, is_get ? ", HEAD" : "");
        }
    }
    http_header(exchange, "Allow", buf_slice(&allow));
}

/* Nothing is said to scripts of other sites (CORS): a browser keeps the answer from them. */
static void answer(struct http_exchange *exchange)
{
    const struct route *route = find_route(exchange);
    if (route == NULL) {
        http__say(exchange, 404, "there is nothing here");
    } else if (is_method_of(route, exchange)) {
        route->fn(route->context, exchange);
        ASSERT(exchange->phase == HTTP_PHASE_DONE);
    } else if (slice_equal(exchange->request->method, SLICE("OPTIONS"))) {
        tell_methods(exchange, route->path);
        http_reply(exchange, 204, NULL, SLICE(""));
    } else {
        tell_methods(exchange, route->path);
        http__say(exchange, 405, "another method");
    }
}

static size_t give_up(struct http_connection *on, const struct http_parsed *parsed, unsigned status,
                      const char *reason, size_t used)
{
    struct http_exchange exchange = {.on = on, .request = &parsed->request, .is_last = true};
    http__say(&exchange, status, reason);
    http__exchange_fini(&exchange);
    connection_finish(on->connection);
    return used;
}

static size_t on_work(void *state, struct slice input)
{
    struct http_connection *on = state;
    struct http_parsed parsed;
    struct buf chunks CLEANUP(buf_fini) = {0};
    if (on->upgrade != NULL) {
        return on->upgrade->work(on->upgraded, input);
    }
    switch (http_request_parse(input, &on->server->limits, &chunks, &parsed)) {
    case HTTP_PARTIAL:
        if (clock_mono_us() - on->since_us > on->server->request_timeout_us && on->since_us != 0) {
            return give_up(on, &parsed, 408, "the request took too long", input.len);
        }
        if (parsed.head_is_whole && parsed.request.wants_continue && !on->has_continued) {
            on->has_continued = true;
            enum err ignored =
                connection_write(on->connection, SLICE("HTTP/1.1 100 Continue\r\n\r\n"));
            (void)ignored;
        }
        return 0;
    case HTTP_WRONG:
        return give_up(on, &parsed, parsed.status, parsed.reason, input.len);
    case HTTP_WHOLE:
        break;
    }
    on->since_us = 0;
    on->has_continued = false;
    if (buf_failed(&chunks)) {
        return give_up(on, &parsed, 503, "out of memory", input.len);
    }
    if (on->server->is_tls_required && !connection_is_tls(on->connection)) {
        return give_up(on, &parsed, 400, "this is served over TLS only: ask https://", input.len);
    }
    if (!on->server->routes_sign_in) {
        be_ready(on);
    }
    struct http_exchange exchange = {.on = on,
                                     .request = &parsed.request,
                                     .is_head = slice_equal(parsed.request.method, SLICE("HEAD")),
                                     .is_last = !parsed.request.keeps_alive};
    answer(&exchange);
    http_on_cancel(&exchange, NULL, NULL);
    http__exchange_fini(&exchange);
    if (exchange.is_last) {
        connection_finish(on->connection);
    }
    return parsed.used;
}

static void on_refuse(enum loop_farewell why, struct buf *out)
{
    bool is_late = why == FAREWELL_LOGIN_TIMEOUT || why == FAREWELL_MESSAGE_TIMEOUT;
    http__put_head(out, is_late ? 408 : 503, "text/plain; charset=utf-8", true, NULL);
    buf_append_str(out, "Content-Length: 0\r\n\r\n");
}

static bool on_is_busy(void *state)
{
    const struct http_connection *on = state;
    return on->upgrade != NULL && on->upgrade->is_busy(on->upgraded);
}

/* Somebody who has asked nothing gets no answer. */
static void on_farewell(void *state, enum loop_farewell why)
{
    struct http_connection *on = state;
    struct buf out CLEANUP(buf_fini) = {0};
    if (on->upgrade != NULL) {
        on->upgrade->farewell(on->upgraded, why);
        return;
    }
    if (on->since_us == 0) {
        return;
    }
    on_refuse(why, &out);
    enum err ignored =
        buf_failed(&out) ? ERR_NOMEM : connection_write(on->connection, buf_slice(&out));
    (void)ignored;
}

static void on_close(void *state)
{
    struct http_connection *on = state;
    if (on->upgrade != NULL) {
        on->upgrade->close(on->upgraded);
    }
    if (on->state != NULL) {
        on->server->close_state(on->state);
    }
    pthread_mutex_destroy(&on->cancel_lock);
    mem_free(on);
}

const struct loop_protocol http_protocol = {
    .name = "http",
    .alpn = "http/1.1",
    .is_alpn_optional = true, /* not all programs that speak HTTP over TLS send it */
    .input_bytes_max = HEAD_BYTES_DEFAULT,
    .open = on_open,
    .need = on_need,
    .work = on_work,
    .is_busy = on_is_busy,
    .farewell = on_farewell,
    .cancel = on_cancel,
    .close = on_close,
    .refuse = on_refuse,
};
