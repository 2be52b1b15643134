/* Goal: a plan is asked for, waited for, fetched to its end and given up as the specification says,
 * and what it does not know is refused. Method: a peer on the loopback that plays a catalog. A real
 * one: tests/rest/plan_test.py. */
#include <stdio.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/sweep.h"
#include "base/test.h"
#include "catalog/rest/rest_plan_int.h"
#include "fetch/testing.h"
#include "identity/identity.h"

#define ALL_ENDPOINTS                                                                              \
    "\"POST /v1/{prefix}/namespaces/{namespace}/tables/{table}/plan\","                            \
    "\"GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/plan/{plan-id}\","                   \
    "\"DELETE /v1/{prefix}/namespaces/{namespace}/tables/{table}/plan/{plan-id}\","                \
    "\"POST /v1/{prefix}/namespaces/{namespace}/tables/{table}/tasks\""

struct world {
    struct fetch_peer *peer;
    struct rest *rest;
    struct identity *who;
    struct arena *arena;
    struct rest_catalog catalog;
    struct errinfo info;
    char url[64];
    char secret[512];
    pthread_mutex_t lock; /* over what follows */
    const char *endpoints;
    const char *plan;     /* answers: to the question, to polls, to tasks */
    const char *polls[3]; /* the last again and again */
    const char *task;
    unsigned poll_count;
    struct buf log; /* "METHOD target body" each */
    bool is_cancelled;
};

static void say(struct fetch_peer_reply *reply, unsigned status, const char *text)
{
    reply->status = status;
    buf_append_str(&reply->body, text);
}

static void answer_plan(struct world *w, const struct fetch_peer_request *request,
                        struct fetch_peer_reply *reply)
{
    size_t at = slice_find(request->target, SLICE("/tables/t/"));
    CHECK(at != SIZE_MAX);
    struct slice tail = {request->target.ptr + at + 10, request->target.len - at - 10};
    buf_append_slice(&w->log, request->method);
    buf_append_char(&w->log, ' ');
    buf_append_slice(&w->log, tail);
    if (request->body.len > 0) {
        buf_append_char(&w->log, ' ');
        buf_append_slice(&w->log, request->body);
    }
    buf_append_char(&w->log, '\n');
    if (slice_equal(request->method, SLICE("DELETE"))) {
        say(reply, 204, "");
    } else if (slice_equal(tail, SLICE("plan"))) {
        say(reply, 200, w->plan);
    } else if (slice_equal(tail, SLICE("tasks"))) {
        say(reply, 200, w->task);
    } else {
        unsigned last = w->polls[1] == NULL ? 0 : w->polls[2] == NULL ? 1 : 2;
        say(reply, 200, w->polls[w->poll_count < last ? w->poll_count : last]);
        w->poll_count++;
    }
}

static void answer(void *context, const struct fetch_peer_request *request,
                   struct fetch_peer_reply *reply)
{
    struct world *w = context;
    pthread_mutex_lock(&w->lock);
    if (slice_ends_with(request->target, SLICE("/tokens"))) {
        say(reply, 200, "{\"access_token\":\"t\",\"token_type\":\"bearer\",\"expires_in\":600}");
    } else if (slice_find(request->target, SLICE("/config")) != SIZE_MAX) {
        buf_printf(&reply->body, "{\"endpoints\":[%s]}", w->endpoints);
        reply->status = 200;
    } else {
        answer_plan(w, request, reply);
    }
    pthread_mutex_unlock(&w->lock);
}

static void world_open(struct world *w, const char *plan)
{
    struct rest_options options = {.timeout_ms = 3000,
                                   .connect_timeout_ms = 500,
                                   .config_age_ms = 60000,
                                   .breaker_failures = 100,
                                   .breaker_pause_ms = 1000,
                                   .response_bytes_max = 1 << 20,
                                   .cache_bytes_max = 1 << 20,
                                   .allow_loopback_http = true};
    struct identity_spec spec = {.subject = SLICE("anna"), .provider = SLICE("test")};
    *w = (struct world){.plan = plan, .endpoints = ALL_ENDPOINTS};
    pthread_mutex_init(&w->lock, NULL);
    w->peer = fetch_peer_open(answer, w, w->url);
    w->arena = arena_new(NULL, "test", 0);
    CHECK_OK(rest_open(&options, &w->rest, NULL));
    CHECK_OK(identity_new(&spec, &w->who, NULL));
    (void)snprintf(w->secret, sizeof(w->secret), "%s/secret", test_folder());
    CHECK_OK(io_write_file_atomic(w->secret, SLICE("s3cret"), 0600, NULL));
    w->catalog = (struct rest_catalog){.name = SLICE("lake"),
                                       .uri = slice_of(w->url),
                                       .auth = REST_AUTH_CLIENT,
                                       .client_id = SLICE("moat"),
                                       .client_secret_file = slice_of(w->secret)};
}

static void world_close(struct world *w)
{
    rest_close(w->rest);
    fetch_peer_close(w->peer);
    identity_unref(w->who);
    arena_free(w->arena);
    buf_fini(&w->log);
    pthread_mutex_destroy(&w->lock);
}

static bool is_cancelled(void *context)
{
    struct world *w = context;
    pthread_mutex_lock(&w->lock);
    bool is = w->is_cancelled || (w->poll_count >= 2);
    pthread_mutex_unlock(&w->lock);
    return is;
}

static const struct slice levels_a[] = {{"a", 1}};
static const struct rest_namespace ns_a = {levels_a, 1};

static enum err plan(struct world *w, bool is_watched, struct rest_plan_page **ret_pages,
                     size_t *ret_count)
{
    struct rest_planner *planner;
    errinfo_init(&w->info);
    TRY(rest_planner_open(w->rest, &w->catalog, w->who, &ns_a, SLICE("t"), &planner, &w->info));
    if (is_watched) {
        rest_planner_watch(planner, is_cancelled, w);
    }
    enum err err =
        rest_planner_plan(planner, SLICE("{\"q\":1}"), w->arena, ret_pages, ret_count, &w->info);
    rest_planner_close(planner);
    return err;
}

TEST(rest_plan, it_is_waited_for_and_fetched_to_its_end)
{
    struct world w;
    struct rest_plan_page *pages;
    size_t count;
    world_open(&w, "{\"status\":\"submitted\",\"plan-id\":\"p/1\"}");
    w.polls[0] = "{\"status\":\"submitted\"}";
    w.polls[1] = "{\"status\":\"completed\",\"plan-tasks\":[\"one\"],\"file-scan-tasks\":[1],"
                 "\"delete-files\":[2]}";
    w.task = "{\"file-scan-tasks\":[3]}";
    CHECK_OK(plan(&w, false, &pages, &count));
    CHECK_STR("POST plan {\"q\":1}\nGET plan/p%2F1\nGET plan/p%2F1\n"
              "POST tasks {\"plan-task\":\"one\"}\n",
              buf_cstr(&w.log));
    assert_int_equal(count, 2);
    CHECK_SLICE("[1]", pages[0].tasks);
    CHECK_SLICE("[2]", pages[0].delete_files);
    CHECK_SLICE("[3]", pages[1].tasks);
    CHECK(pages[1].delete_files.len == 0);
    world_close(&w);
}

TEST(rest_plan, what_nobody_waits_for_is_cancelled)
{
    /* Goal: with the statement ends the plan, at the catalog too; so does one that goes wrong. */
    struct world w;
    struct rest_plan_page *pages;
    size_t count;
    world_open(&w, "{\"status\":\"submitted\",\"plan-id\":\"p\"}");
    w.polls[0] = "{\"status\":\"submitted\"}";
    CHECK_ERR(ERR_CANCELLED, plan(&w, true, &pages, &count));
    CHECK_STR("POST plan {\"q\":1}\nGET plan/p\nGET plan/p\nDELETE plan/p\n", buf_cstr(&w.log));
    buf_reset(&w.log);
    w.poll_count = 0;
    w.plan = "{\"status\":\"completed\",\"plan-id\":\"q\",\"plan-tasks\":[\"one\"]}";
    w.task = "{\"tasks\":[]}";
    CHECK_ERR(ERR_UNSUPPORTED, plan(&w, false, &pages, &count));
    CHECK(strstr(w.info.message, "not known here") != NULL);
    CHECK_STR("POST plan {\"q\":1}\nPOST tasks {\"plan-task\":\"one\"}\nDELETE plan/q\n",
              buf_cstr(&w.log));
    buf_reset(&w.log);
    w.polls[0] = "{\"status\":\"cancelled\"}"; /* nothing is left to cancel */
    w.plan = "{\"status\":\"submitted\",\"plan-id\":\"p\"}";
    CHECK_ERR(ERR_BUSY, plan(&w, false, &pages, &count));
    CHECK_STR("POST plan {\"q\":1}\nGET plan/p\n", buf_cstr(&w.log));
    world_close(&w);
}

TEST(rest_plan, a_failure_is_what_its_error_says)
{
    struct world w;
    struct rest_plan_page *pages;
    size_t count;
    world_open(&w, "{\"status\":\"failed\",\"error\":{\"code\":403,\"type\":\"ForbiddenException\","
                   "\"message\":\"no\"}}");
    CHECK_ERR(ERR_DENIED, plan(&w, false, &pages, &count));
    CHECK_STR("42501", w.info.sqlstate);
    w.plan = "{\"status\":\"failed\",\"error\":{\"message\":\"no\"}}";
    CHECK_ERR(ERR_BUSY, plan(&w, false, &pages, &count));
    world_close(&w);
}

TEST(rest_plan, without_an_endpoint_it_is_refused_by_name)
{
    struct world w;
    struct rest_plan_page *pages;
    size_t count;
    world_open(&w, "");
    w.endpoints = "";
    CHECK_ERR(ERR_UNSUPPORTED, plan(&w, false, &pages, &count));
    CHECK(strstr(w.info.message, "no endpoint") != NULL && w.log.len == 0);
    world_close(&w);
}

TEST(rest_plan, what_the_specification_does_not_know_is_refused)
{
    static const struct {
        const char *text;
        enum rest_plan_kind kind;
        enum err err;
    } cases[] = {
        {"{\"status\":\"completed\"}", REST_PLAN_ASKED, ERR_OK},
        {"{\"status\":\"completed\",\"file-scan-tasks\":null}", REST_PLAN_FETCHED, ERR_OK},
        {"{\"file-scan-tasks\":[]}", REST_PLAN_TASK, ERR_OK},
        {"{}", REST_PLAN_ASKED, ERR_CORRUPT},
        {"[]", REST_PLAN_ASKED, ERR_CORRUPT},
        {"{\"status\":\"done\"}", REST_PLAN_ASKED, ERR_CORRUPT},
        {"{\"status\":\"submitted\"}", REST_PLAN_ASKED, ERR_CORRUPT},
        {"{\"status\":\"submitted\",\"plan-id\":7}", REST_PLAN_ASKED, ERR_CORRUPT},
        {"{\"status\":\"submitted\",\"plan-id\":\"p\",\"plan-tasks\":[\"a\"]}", REST_PLAN_ASKED,
         ERR_CORRUPT},
        {"{\"status\":\"cancelled\"}", REST_PLAN_ASKED, ERR_CORRUPT},
        {"{\"status\":\"failed\"}", REST_PLAN_FETCHED, ERR_CORRUPT},
        {"{\"status\":\"completed\",\"error\":{\"code\":500}}", REST_PLAN_FETCHED, ERR_CORRUPT},
        {"{\"status\":\"completed\",\"plan-tasks\":{}}", REST_PLAN_ASKED, ERR_CORRUPT},
        {"{\"status\":\"completed\",\"plan-tasks\":[1]}", REST_PLAN_ASKED, ERR_CORRUPT},
        {"{\"status\":\"completed\",\"plan-tasks\":[],\"plan-tasks\":[]}", REST_PLAN_ASKED,
         ERR_CORRUPT},
        {"{\"status\":\"completed\",\"row-filter\":{}}", REST_PLAN_ASKED, ERR_UNSUPPORTED},
        {"{\"status\":\"completed\"}", REST_PLAN_TASK, ERR_CORRUPT},
        {"{\"storage-credentials\":[]}", REST_PLAN_TASK, ERR_CORRUPT},
    };
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct rest_catalog catalog = {.name = SLICE("lake")};
    struct errinfo info;
    struct rest_call call = {.catalog = &catalog, .info = &info};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct rest_plan_answer read;
        enum err err =
            rest_plan__parse(&call, cases[i].kind, slice_of(cases[i].text), arena, &read);
        if (err != cases[i].err) {
            fail_msg("%s: %s", cases[i].text, err_name(err));
        }
    }
}

TEST(rest_plan, without_memory_there_is_an_error)
{
    struct world w;
    world_open(&w, "{\"status\":\"completed\",\"plan-tasks\":[\"one\"],\"file-scan-tasks\":[1]}");
    w.task = "{\"file-scan-tasks\":[3]}";
    struct rest_plan_page *pages;
    size_t count = 0;
    CHECK_OK(plan(&w, false, &pages, &count));
    SWEEP_ALLOC(fault)
    {
        count = 0;
        enum err err = plan(&w, false, &pages, &count);
        fault_disarm();
        CHECK(err == ERR_OK ? count == 2 : count == 0);
    }
    world_close(&w);
}
