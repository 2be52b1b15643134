#include "doors.h"

#include <openssl/evp.h>
#include <pthread.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/secret.h"
#include "config/config.h"
#include "fetch/fetch.h"
#include "query/login.h"
#include "remote/remote.h"
#include "wire/flight/flight.h"
#include "wire/grpc/grpc.h"
#include "wire/http/http.h"
#include "wire/loop/loop.h"
#include "wire/pg/pg.h"
#include "wire/trino/trino.h"
#include "wire/web/web.h"

#define ANSWER_BYTES_MAX ((size_t)256 << 20)
#define WAIT_MS 120000

enum door {
    DOOR_POSTGRES,
    DOOR_HTTP,
    DOOR_FLIGHT,
    DOOR_TRINO,
};
static const char *const door_names[] = {"postgres", "http", "flight", "trino"};

struct doors {
    enum door door;
    struct loop *loop;
    pthread_t thread;
    uint16_t port;
    struct pg_server *pg;
    struct web_server *web;
    struct trino_server *trino;
    struct flight_server *flight;
};

struct visitor {
    struct doors *doors;
    struct arena *arena;
    struct remote_address address;
    struct remote *remote; /* NULL: Trino's */
    struct fetch_pool *pool;
    struct secret authorization;
};

/* ---- the door ---- */

static void *run_loop(void *context)
{
    loop_run(context);
    return NULL;
}

static void listen_to(struct doors *doors, const struct loop_protocol *protocol, void *context)
{
    const struct loop_listener listener = {
        .protocol = protocol,
        .context = context,
        .address = "127.0.0.1",
        .connections_max = 32,
        .logins_max = 16,
        .login_timeout_ms = WAIT_MS,
        .message_timeout_ms = WAIT_MS,
    };
    struct errinfo info;
    errinfo_init(&info);
    if (loop_listen(doors->loop, &listener, &doors->port, &info) != ERR_OK) {
        fail_msg("%s", info.message);
    }
}

static void open_door(struct doors *doors, struct warehouse *warehouse, const struct config *config)
{
    const struct pg_server_options pg = {warehouse, config, false};
    const struct web_options web = {warehouse, config, false};
    const struct flight_options flight = {warehouse, config, false};
    switch (doors->door) {
    case DOOR_POSTGRES:
        CHECK_OK(pg_server_open(&pg, &doors->pg, NULL));
        listen_to(doors, &pg_protocol, doors->pg);
        return;
    case DOOR_HTTP:
    case DOOR_TRINO:
        CHECK_OK(web_open(&web, &doors->web, NULL));
        CHECK_OK(trino_open(doors->web, &doors->trino, NULL));
        listen_to(doors, &http_protocol, web_http(doors->web));
        return;
    case DOOR_FLIGHT:
        CHECK_OK(flight_open(&flight, &doors->flight, NULL));
        listen_to(doors, &grpc_protocol, flight_grpc(doors->flight));
        return;
    }
}

struct doors *doors_open(struct warehouse *warehouse, const struct config *config)
{
    const char *wanted = getenv("MOAT_TEST_DOOR");
    const struct loop_options options = {.thread_count_max = 8};
    size_t door = 0;
    if (wanted == NULL) {
        return NULL;
    }
    while (door < ARRAY_COUNT(door_names) && strcmp(door_names[door], wanted) != 0) {
        door++;
    }
    if (door == ARRAY_COUNT(door_names)) {
        fail_msg("MOAT_TEST_DOOR is %s", wanted);
    }
    struct doors *doors = mem_calloc(1, sizeof(*doors));
    CHECK(doors != NULL);
    doors->door = (enum door)door;
    CHECK_OK(loop_open(&options, &doors->loop, NULL));
    CHECK_OK(warehouse_open_login(warehouse, NULL));
    open_door(doors, warehouse, config);
    CHECK(pthread_create(&doors->thread, NULL, run_loop, doors->loop) == 0);
    return doors;
}

void doors_close(struct doors *doors)
{
    if (doors == NULL) {
        return;
    }
    loop_stop(doors->loop, 0);
    CHECK(pthread_join(doors->thread, NULL) == 0);
    loop_close(doors->loop);
    web_close(doors->web);
    trino_close(doors->trino);
    flight_close(doors->flight);
    pg_server_close(doors->pg);
    mem_free(doors);
}

bool doors_translate(const struct doors *doors)
{
    return doors != NULL && doors->door == DOOR_TRINO;
}

bool doors_have_sessions(const struct doors *doors)
{
    return doors == NULL || doors->door == DOOR_POSTGRES || doors->door == DOOR_FLIGHT;
}

bool doors_take_scripts(const struct doors *doors)
{
    return doors != NULL && doors->door == DOOR_POSTGRES;
}

/* ---- visitors by the clients that Moat has ---- */

static void sign_in(struct visitor *visitor, const char *name)
{
    static const char *const schemes[] = {"postgres", "http", "grpc"};
    char url[128];
    struct errinfo info;
    errinfo_init(&info);
    (void)snprintf(url, sizeof(url), "%s://%s@127.0.0.1:%u", schemes[visitor->doors->door], name,
                   (unsigned)visitor->doors->port);
    CHECK_OK(remote_address_parse(url, visitor->arena, &visitor->address, NULL));
    const struct remote_options options = {.address = &visitor->address,
                                           .user = slice_of(visitor->address.user),
                                           .secret = SLICE(DOORS_PASSWORD)};
    if (remote_open(&options, &visitor->remote, &info) != ERR_OK) {
        fail_msg("%s: %s", url, info.message);
    }
}

static enum err drain(struct remote_answer *answer, struct outcome *outcome, struct errinfo *info)
{
    const struct ArrowSchema *schema = remote_answer_schema(answer);
    struct ArrowArray batch;
    if (schema == NULL) {
        return ERR_OK;
    }
    outcome_add_names(outcome, schema);
    enum err err = remote_answer_next(answer, &batch, info);
    while (err == ERR_OK && batch.release != NULL) {
        outcome_add_batch(outcome, schema, &batch);
        batch.release(&batch);
        err = remote_answer_next(answer, &batch, info);
    }
    return err;
}

static struct outcome run_remote(struct visitor *visitor, struct slice sql)
{
    struct outcome outcome = {0};
    struct remote_answer *answer CLEANUP(remote_answer_cleanup) = NULL;
    struct errinfo info;
    errinfo_init(&info);
    outcome.err = remote_run(visitor->remote, sql, &answer, &info);
    if (outcome.err == ERR_OK) {
        outcome.err = drain(answer, &outcome, &info);
    }
    outcome_end(&outcome, &info, answer == NULL ? "" : remote_answer_notice(answer));
    return outcome;
}

/* ---- visitors who speak Trino's protocol ---- */

static void sign_in_to_trino(struct visitor *visitor, const char *name)
{
    struct buf pair CLEANUP(buf_fini) = {0};
    const struct fetch_options options = {.peer = SLICE("the server"),
                                          .plain = FETCH_PLAIN_LOOPBACK};
    buf_printf(&pair, "%s:%s", name, DOORS_PASSWORD);
    CHECK_OK(fetch_pool_new(&options, &visitor->pool, NULL));
    unsigned char text[256] = "Basic ";
    (void)EVP_EncodeBlock(text + 6, (const unsigned char *)buf_cstr(&pair), (int)pair.len);
    CHECK(secret_copy(slice_of((const char *)text), &visitor->authorization));
}

/* As outcome_add_batch has it. */
static void add_rows(struct outcome *outcome, const struct json *document)
{
    const struct json *columns = json_get(document, "columns"), *data = json_get(document, "data");
    struct buf *out = &outcome->text;
    if (columns != NULL && out->len == 0) {
        for (const struct json *column = columns->first; column != NULL; column = column->next) {
            buf_append_slice(out, json_get_text(column, "name"));
            buf_append_char(out, '|');
        }
        buf_append_char(out, '\n');
    }
    for (const struct json *row = data == NULL ? NULL : data->first; row != NULL; row = row->next) {
        for (const struct json *cell = row->first; cell != NULL; cell = cell->next) {
            if (cell->type == JSON_STRING) {
                buf_append_slice(out, cell->text);
            } else if (!json_is_null(cell)) {
                json_write(out, cell);
            }
            buf_append_char(out, '|');
        }
        buf_append_char(out, '\n');
        outcome->rows++;
    }
}

/* What else is told; not the ids and addresses, which are of random digits. */
static void add_leaks(struct outcome *outcome, const struct json *document)
{
    static const char *const members[] = {"columns", "error", "warnings", "updateType"};
    struct buf told CLEANUP(buf_fini) = {0};
    for (size_t i = 0; i < ARRAY_COUNT(members); i++) {
        const struct json *member = json_get(document, members[i]);
        if (member != NULL) {
            json_write(&told, member);
        }
    }
    if (fixture_leaks(buf_cstr(&told))) {
        buf_append_slice(&outcome->text, buf_slice(&told));
    }
}

/* One document. */
static enum err ask(struct visitor *visitor, struct slice method, struct slice url,
                    struct slice body, struct outcome *outcome, struct json **ret_document,
                    struct errinfo *info)
{
    static const struct json_limits limits = {.depth_max = 500, .nodes_max = 10000000};
    const struct fetch_header headers[] = {
        {SLICE("Authorization"), secret_slice(&visitor->authorization)},
        {SLICE("X-Trino-Catalog"), SLICE("moat")},
        {SLICE("X-Trino-Schema"), SLICE("main")},
    };
    const struct fetch_request request = {.method = method,
                                          .url = url,
                                          .headers = headers,
                                          .header_count = ARRAY_COUNT(headers),
                                          .body = body,
                                          .timeout_ms = WAIT_MS,
                                          .body_bytes_max = ANSWER_BYTES_MAX};
    struct fetch_answer answer;
    enum err err = fetch_send(visitor->pool, &request, &answer, info);
    struct slice text;
    CHECK(arena_slice(visitor->arena, secret_slice(&answer.body), &text));
    if (err == ERR_OK) {
        err = json_parse(visitor->arena, text, &limits, ret_document, info);
    }
    if (err == ERR_OK) {
        add_rows(outcome, *ret_document);
        add_leaks(outcome, *ret_document);
    }
    fetch_answer_fini(&answer);
    return err;
}

static struct outcome run_trino(struct visitor *visitor, struct slice sql)
{
    struct outcome outcome = {0};
    char url[512];
    struct json *document = NULL;
    struct errinfo info;
    errinfo_init(&info);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/v1/statement",
                   (unsigned)visitor->doors->port);
    enum err err = ask(visitor, SLICE("POST"), slice_of(url), sql, &outcome, &document, &info);
    const struct json *error = json_get(document, "error");
    while (err == ERR_OK && error == NULL) {
        struct slice next = json_get_text(document, "nextUri");
        if (next.len == 0) {
            break;
        }
        err = ask(visitor, SLICE("GET"), next, (struct slice){0}, &outcome, &document, &info);
        error = json_get(document, "error");
    }
    if (err == ERR_OK && error != NULL) {
        struct slice state = json_get_text(error, "sqlState");
        state = state.len == 5 ? state : json_get_text(error, "sqlstate");
        err = errinfo_set(&info, ERR_INVALID, NULL, "%.*s",
                          SLICE_ARGS(json_get_text(error, "message")));
        (void)snprintf(info.sqlstate, sizeof(info.sqlstate), "%.*s", SLICE_ARGS(state));
    }
    outcome.err = err;
    outcome_end(&outcome, &info, "");
    return outcome;
}

/* ---- visitors ---- */

struct visitor *visitor_open(struct doors *doors, const char *name)
{
    struct visitor *visitor = mem_calloc(1, sizeof(*visitor));
    CHECK(visitor != NULL);
    visitor->doors = doors;
    visitor->arena = arena_new(NULL, "visitor", 0);
    CHECK(visitor->arena != NULL);
    doors->door == DOOR_TRINO ? sign_in_to_trino(visitor, name) : sign_in(visitor, name);
    return visitor;
}

void visitor_close(struct visitor *visitor)
{
    if (visitor == NULL) {
        return;
    }
    remote_close(visitor->remote);
    fetch_pool_unref(visitor->pool);
    secret_fini(&visitor->authorization);
    arena_free(visitor->arena);
    mem_free(visitor);
}

struct outcome visitor_run(struct visitor *visitor, struct slice sql)
{
    return visitor->remote == NULL ? run_trino(visitor, sql) : run_remote(visitor, sql);
}
