/* Goal: a change is asked for once, or again under one key, and what nobody knows is said. Method:
 * a peer on the loopback that plays a catalog with and without keys. Real ones: tests/rest. */
#include <stdio.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/sweep.h"
#include "base/test.h"
#include "catalog/rest/rest_int.h"
#include "catalog/rest/write.h"
#include "fetch/testing.h"
#include "identity/identity.h"

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
    bool takes_keys;
    bool has_no_endpoints;
    const char *faults[4]; /* of the next changes: a status, or "drop" */
    unsigned changes;
    char keys[4][64];
    char last[256]; /* method and target */
    char body[512];
};

static void say(struct fetch_peer_reply *reply, unsigned status, const char *text)
{
    reply->status = status;
    buf_append_str(&reply->body, text);
}

static void change(struct world *w, const struct fetch_peer_request *request,
                   struct fetch_peer_reply *reply)
{
    unsigned at = w->changes++;
    const char *fault = at < ARRAY_COUNT(w->faults) ? w->faults[at] : NULL;
    (void)snprintf(w->last, sizeof(w->last), "%.*s %.*s", SLICE_ARGS(request->method),
                   SLICE_ARGS(request->target));
    (void)snprintf(w->body, sizeof(w->body), "%.*s", SLICE_ARGS(request->body));
    if (at < ARRAY_COUNT(w->keys)) {
        (void)snprintf(w->keys[at], sizeof(w->keys[at]), "%.*s",
                       SLICE_ARGS(fetch_peer_header(request, "idempotency-key")));
    }
    int64_t status = 0;
    if (fault == NULL) {
        bool is_delete = slice_equal(request->method, SLICE("DELETE"));
        say(reply, is_delete ? 204 : 200,
            is_delete ? "" : "{\"metadata-location\":\"s3:\\/\\/b\",\"metadata\":{\"a\":1}}");
    } else if (slice_to_i64(slice_of(fault), &status)) {
        say(reply, (unsigned)status,
            status == 200 ? "{}" : "{\"error\":{\"type\":\"CommitFailedException\"}}");
    } else {
        reply->has_no_answer = true;
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
        say(reply, 200,
            w->has_no_endpoints ? "{\"endpoints\":[]}"
            : w->takes_keys     ? "{\"idempotency-key-lifetime\":\"PT30M\"}"
                                : "{}");
    } else {
        change(w, request, reply);
    }
    pthread_mutex_unlock(&w->lock);
}

static void world_open(struct world *w, bool takes_keys)
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
    *w = (struct world){.takes_keys = takes_keys};
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
    pthread_mutex_destroy(&w->lock);
}

static const struct slice levels[] = {{"a", 1}, {"b", 1}};
static const struct rest_namespace ns = {levels, 2};

static enum err commit(struct world *w, struct rest_loaded *loaded)
{
    errinfo_init(&w->info);
    return rest_commit(w->rest, &w->catalog, w->who, &ns, SLICE("t"), SLICE("[]"), SLICE("[{}]"),
                       w->arena, loaded, &w->info);
}

TEST(rest_write, a_commit_says_what_the_specification_wants)
{
    struct world w;
    struct rest_loaded loaded;
    world_open(&w, true);
    CHECK_OK(commit(&w, &loaded));
    CHECK_SLICE("s3://b", loaded.metadata_location);
    CHECK_SLICE("{\"a\":1}", loaded.metadata);
    CHECK_STR("POST /v1/namespaces/a%1Fb/tables/t", w.last);
    CHECK_STR("{\"identifier\":{\"namespace\":[\"a\",\"b\"],\"name\":\"t\"},"
              "\"requirements\":[],\"updates\":[{}]}",
              w.body);
    assert_int_equal(36, strlen(w.keys[0]));
    CHECK(w.keys[0][14] == '7' && w.keys[0][0] == '0'); /* until the year 2527 */
    CHECK_OK(commit(&w, &loaded));
    CHECK(strcmp(w.keys[0], w.keys[1]) != 0);
    CHECK_OK(rest_drop_table(w.rest, &w.catalog, w.who, &ns, SLICE("t/"), true, &w.info));
    CHECK_STR("DELETE /v1/namespaces/a%1Fb/tables/t%2F?purgeRequested=true", w.last);
    world_close(&w);
}

TEST(rest_write, with_a_key_it_is_asked_until_it_is_known)
{
    static const struct {
        const char *faults[3];
        enum err err;
        const char *sqlstate; /* with a key */
        unsigned changes;
        const char *without; /* a key */
    } cases[] = {
        {{"503"}, ERR_OK, "", 2, "08007"},
        {{"drop", "504"}, ERR_OK, "", 3, "08007"},
        {{"drop", "409"}, ERR_BUSY, "40001", 2, "08007"},
        {{"504", "502", "504"}, ERR_BUSY, "08007", 3, "08007"},
        {{"503", "503", "403"}, ERR_BUSY, "08007", 3, "08007"}, /* the first may have been done */
        {{"500"}, ERR_BUSY, "08007", 1, "08007"},
        {{"409"}, ERR_BUSY, "40001", 1, "40001"},
        {{"403"}, ERR_DENIED, "42501", 1, "42501"},
        {{"200"}, ERR_BUSY, "08007", 1, "08007"}, /* done, but nobody can say how */
    };
    for (size_t i = 0; i < 2 * ARRAY_COUNT(cases); i++) {
        size_t at = i / 2;
        bool has_key = i % 2 == 0;
        struct world w;
        struct rest_loaded loaded;
        world_open(&w, has_key);
        memcpy(w.faults, cases[at].faults, sizeof(cases[at].faults));
        enum err err = commit(&w, &loaded);
        const char *wanted = has_key ? cases[at].sqlstate : cases[at].without;
        if (has_key ? err != cases[at].err : err == ERR_OK) {
            fail_msg("%zu: %d %s %s", i, (int)err, w.info.sqlstate, w.info.message);
        }
        if (err != ERR_OK && strcmp(w.info.sqlstate, wanted) != 0) {
            fail_msg("%zu: %s %s", i, w.info.sqlstate, w.info.message);
        }
        assert_int_equal(has_key ? cases[at].changes : 1, w.changes);
        CHECK(has_key ? w.keys[0][0] != '\0' : w.keys[0][0] == '\0');
        CHECK(w.changes < 2 || strcmp(w.keys[0], w.keys[1]) == 0);
        CHECK(rest_is_unknown(&w.info) == (strcmp(w.info.sqlstate, "08007") == 0));
        world_close(&w);
    }
}

TEST(rest_write, what_a_catalog_has_no_endpoint_for_is_not_asked)
{
    struct world w;
    struct rest_loaded loaded;
    world_open(&w, false);
    w.has_no_endpoints = true;
    CHECK_ERR(ERR_UNSUPPORTED, commit(&w, &loaded));
    CHECK_ERR(ERR_UNSUPPORTED, rest_drop_namespace(w.rest, &w.catalog, w.who, &ns, &w.info));
    assert_int_equal(0, w.changes);
    world_close(&w);
}

TEST(rest_write, every_allocation_may_fail)
{
    struct world w;
    world_open(&w, true);
    SWEEP_ALLOC(fault)
    {
        struct rest_loaded loaded;
        enum err err = commit(&w, &loaded);
        CHECK(err == ERR_OK || fault.fired);
    }
    world_close(&w);
}
