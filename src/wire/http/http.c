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
    struct route *routes;
};

struct http_connection {
    struct http_server *server;
    struct connection *connection;
    int64_t since_us; /* of the first byte of the request that is coming; 0 = none is */
    bool is_ready;
    bool has_continued; /* the client was told to send the body */
};

enum phase {
    PHASE_NONE,
    PHASE_PARTS,
    PHASE_DONE,
};

struct http_exchange {
    struct http_connection *on;
    const struct http_request *request;
    enum phase phase;
    bool is_head; /* HEAD: all but the body */
    bool is_last; /* the connection ends with it */
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

bool http_field(const struct http_exchange *exchange, struct slice name, struct slice *ret_value)
{
    const struct http_request *request = exchange->request;
    for (size_t i = 0; i < request->field_count; i++) {
        if (slice_equal_fold(request->fields[i].name, name)) {
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

/* ---- answers ---- */

const char *http_status_text(unsigned status)
{
    static const struct {
        unsigned status;
        const char *text;
    } texts[] = {
        {200, "OK"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {413, "Content Too Large"},
        {417, "Expectation Failed"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        if (texts[i].status == status) {
            return texts[i].text;
        }
    }
    return "Status";
}

/* What is shown is of now, and for who asked; a browser is to make nothing else of it. */
static void put_head(struct buf *out, unsigned status, const char *content_type, bool is_last)
{
    buf_printf(out,
               "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nCache-Control: no-store\r\n"
               "X-Content-Type-Options: nosniff\r\n%s",
               status, http_status_text(status), content_type,
               is_last ? "Connection: close\r\n" : "");
}

static enum err send(struct http_exchange *exchange, const struct buf *out)
{
    enum err err =
        buf_failed(out) ? ERR_NOMEM : connection_write(exchange->on->connection, buf_slice(out));
    exchange->is_last = exchange->is_last || err != ERR_OK;
    return err;
}

void http_reply(struct http_exchange *exchange, unsigned status, const char *content_type,
                struct slice body)
{
    ASSERT(exchange->phase == PHASE_NONE);
    struct buf out CLEANUP(buf_fini) = {0};
    put_head(&out, status, content_type, exchange->is_last);
    buf_printf(&out, "Content-Length: %zu\r\n\r\n", body.len);
    if (!exchange->is_head) {
        buf_append_slice(&out, body);
    }
    exchange->phase = PHASE_DONE;
    enum err ignored = send(exchange, &out); /* who is gone will ask nothing more */
    (void)ignored;
}

enum err http_begin(struct http_exchange *exchange, unsigned status, const char *content_type)
{
    ASSERT(exchange->phase == PHASE_NONE);
    struct buf out CLEANUP(buf_fini) = {0};
    bool is_old = exchange->request->is_old;
    exchange->is_last = exchange->is_last || is_old; /* its end is the end of the connection */
    put_head(&out, status, content_type, exchange->is_last);
    buf_append_str(&out, is_old ? "\r\n" : "Transfer-Encoding: chunked\r\n\r\n");
    exchange->phase = PHASE_PARTS;
    return send(exchange, &out);
}

enum err http_write(struct http_exchange *exchange, struct slice part)
{
    ASSERT(exchange->phase == PHASE_PARTS);
    struct buf out CLEANUP(buf_fini) = {0};
    if (part.len == 0 || exchange->is_head) { /* a chunk of nothing would be the end */
        return ERR_OK;
    }
    bool is_old = exchange->request->is_old;
    if (!is_old) {
        buf_printf(&out, "%zx\r\n", part.len);
    }
    buf_append_slice(&out, part);
    buf_append_str(&out, is_old ? "" : "\r\n");
    return send(exchange, &out);
}

enum err http_end(struct http_exchange *exchange)
{
    ASSERT(exchange->phase == PHASE_PARTS);
    struct buf out CLEANUP(buf_fini) = {0};
    exchange->phase = PHASE_DONE;
    if (exchange->request->is_old || exchange->is_head) {
        return ERR_OK;
    }
    buf_append_str(&out, "0\r\n\r\n");
    return send(exchange, &out);
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
    *ret_state = on;
    return ERR_OK;
}

/* The loop asks with each byte that comes, so somebody who sends one now and then is seen here. */
static size_t on_need(void *state, struct slice input)
{
    struct http_connection *on = state;
    int64_t now_us = clock_mono_us();
    struct http_parsed parsed;
    on->since_us = on->since_us == 0 ? now_us : on->since_us;
    if (now_us - on->since_us > on->server->request_timeout_us) {
        return 1;
    }
    if (http_request_parse(input, &on->server->limits, &parsed) != HTTP_PARTIAL) {
        return 1;
    }
    bool is_waiting = parsed.head_is_whole && parsed.request.wants_continue && !on->has_continued;
    return is_waiting ? 1 : parsed.need;
}

static void say(struct http_exchange *exchange, unsigned status, const char *reason)
{
    struct buf text CLEANUP(buf_fini) = {0};
    buf_printf(&text, "%s\n", reason);
    http_reply(exchange, status, "text/plain; charset=utf-8", buf_slice(&text));
}

static void answer(struct http_exchange *exchange)
{
    const struct http_request *request = exchange->request;
    bool is_path = false;
    for (const struct route *r = exchange->on->server->routes; r != NULL; r = r->next) {
        if (!slice_equal(request->path, slice_of(r->path))) {
            continue;
        }
        is_path = true;
        if (slice_equal(request->method, slice_of(r->method)) ||
            (exchange->is_head && strcmp(r->method, "GET") == 0)) {
            r->fn(r->context, exchange);
            ASSERT(exchange->phase == PHASE_DONE);
            return;
        }
    }
    say(exchange, is_path ? 405 : 404, is_path ? "another method" : "there is nothing here");
}

static size_t give_up(struct http_connection *on, const struct http_parsed *parsed, unsigned status,
                      const char *reason, size_t used)
{
    struct http_exchange exchange = {.on = on, .request = &parsed->request, .is_last = true};
    say(&exchange, status, reason);
    connection_finish(on->connection);
    return used;
}

static size_t on_work(void *state, struct slice input)
{
    struct http_connection *on = state;
    struct http_parsed parsed;
    switch (http_request_parse(input, &on->server->limits, &parsed)) {
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
    if (!on->is_ready) {
        on->is_ready = true;
        connection_ready(on->connection);
    }
    struct http_exchange exchange = {.on = on,
                                     .request = &parsed.request,
                                     .is_head = slice_equal(parsed.request.method, SLICE("HEAD")),
                                     .is_last = !parsed.request.keeps_alive};
    answer(&exchange);
    if (exchange.is_last) {
        connection_finish(on->connection);
    }
    return parsed.used;
}

static void on_refuse(enum loop_farewell why, struct buf *out)
{
    bool is_late = why == FAREWELL_LOGIN_TIMEOUT || why == FAREWELL_MESSAGE_TIMEOUT;
    put_head(out, is_late ? 408 : 503, "text/plain; charset=utf-8", true);
    buf_append_str(out, "Content-Length: 0\r\n\r\n");
}

/* Somebody who has asked nothing gets no answer. */
static void on_farewell(void *state, enum loop_farewell why)
{
    struct http_connection *on = state;
    struct buf out CLEANUP(buf_fini) = {0};
    if (on->since_us == 0) {
        return;
    }
    on_refuse(why, &out);
    enum err ignored =
        buf_failed(&out) ? ERR_NOMEM : connection_write(on->connection, buf_slice(&out));
    (void)ignored;
}

/* A route's function sees at its next write that the client is gone. */
static void on_cancel(UNUSED void *state)
{
}

static void on_close(void *state)
{
    mem_free(state);
}

const struct loop_protocol http_protocol = {
    .name = "http",
    .alpn = "http/1.1",
    .input_bytes_max = HEAD_BYTES_DEFAULT,
    .open = on_open,
    .need = on_need,
    .work = on_work,
    .farewell = on_farewell,
    .cancel = on_cancel,
    .close = on_close,
    .refuse = on_refuse,
};
