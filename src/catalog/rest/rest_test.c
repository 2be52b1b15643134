/* Goal: what rest.h promises, against a catalog that answers well or badly. Method: a peer on the
 * loopback that plays one; this program's own token (AUTH client), so that no issuer is needed. A
 * real catalog and people's tokens: tests/lake. */
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/sweep.h"
#include "base/test.h"
#include "catalog/rest/rest_int.h"
#include "fetch/testing.h"
#include "identity/identity.h"

#define METADATA "{\"format-version\":2,\"note\":\"}\\\"]\"}"

struct world {
    struct fetch_peer *peer;
    struct rest *rest;
    struct identity *who;
    struct identity *other;
    struct arena *arena;
    struct rest_catalog catalog;
    struct errinfo info;
    char url[64];
    char secret[512];
    pthread_mutex_t lock; /* over what the peer reads and counts */
    const char *fault;
    unsigned fault_count;
    unsigned asked;
    unsigned tokens;
    unsigned not_modified;
    const char *load; /* instead of the usual answer */
    const char *says; /* likewise, of an error */
    char last_path[512];
    char last_token[64];
};

static void say(struct fetch_peer_reply *reply, unsigned status, const char *text)
{
    reply->status = status;
    buf_append_str(&reply->headers, "Content-Type: application/json\r\n");
    buf_append_str(&reply->body, text);
}

static bool misbehave(struct world *w, struct fetch_peer_reply *reply)
{
    if (w->fault == NULL || w->fault_count == 0) {
        return false;
    }
    w->fault_count--;
    if (strcmp(w->fault, "hang") == 0) {
        reply->is_hanging = true;
    } else if (strcmp(w->fault, "drop") == 0) {
        reply->has_no_answer = true;
    } else if (strcmp(w->fault, "garbage") == 0) {
        say(reply, 200, "{\"metadata\": [[[");
    } else {
        int64_t status = 0;
        CHECK(slice_to_i64(slice_of(w->fault), &status));
        say(reply, (unsigned)status,
            w->says != NULL ? w->says
                            : "{\"error\":{\"type\":\"SomeException\","
                              "\"message\":\"no https://host/?key=secret\"}}");
        if (strcmp(w->fault, "429") == 0) {
            buf_append_str(&reply->headers, "Retry-After: 60\r\n");
        }
    }
    return true;
}

static void answer_load(struct world *w, const struct fetch_peer_request *request,
                        struct fetch_peer_reply *reply)
{
    if (slice_equal(fetch_peer_header(request, "if-none-match"), SLICE("\"v1\""))) {
        w->not_modified++;
        say(reply, 304, "");
        return;
    }
    buf_append_str(&reply->headers, "ETag: \"v1\"\r\n");
    say(reply, 200,
        w->load != NULL ? w->load
                        : "{\"metadata-location\":\"s3://b/t/1.json\",\"config\":{},"
                          "\"metadata\":" METADATA ",\"read-restrictions\":{}}");
}

static void answer_lists(const struct fetch_peer_request *request, struct fetch_peer_reply *reply)
{
    struct slice target = request->target;
    bool is_second = slice_find(target, SLICE("pageToken=two")) != SIZE_MAX;
    if (slice_find(target, SLICE("/tables?")) != SIZE_MAX) {
        say(reply, 200,
            is_second ? "{\"identifiers\":[{\"namespace\":[\"a\"],\"name\":\"t2\"}],"
                        "\"next-page-token\":null}"
                      : "{\"identifiers\":[{\"namespace\":[\"a\"],\"name\":\"t1\"}],"
                        "\"next-page-token\":\"two\"}");
    } else if (slice_find(target, SLICE("/views?")) != SIZE_MAX) {
        say(reply, 200, "{\"identifiers\":[{\"namespace\":[\"a\"],\"name\":\"v\"}]}");
    } else if (slice_find(target, SLICE("parent=a&")) != SIZE_MAX) {
        say(reply, 200, "{\"namespaces\":[[\"a\",\"b\"],[\"c\",\"d\"]]}");
    } else if (slice_find(target, SLICE("parent=")) != SIZE_MAX) {
        say(reply, 200, "{\"namespaces\":[]}");
    } else {
        say(reply, 200, "{\"namespaces\":[[\"a\"]]}");
    }
}

static void answer(void *context, const struct fetch_peer_request *request,
                   struct fetch_peer_reply *reply)
{
    struct world *w = context;
    struct slice target = request->target;
    pthread_mutex_lock(&w->lock);
    if (slice_ends_with(target, SLICE("/tokens"))) {
        char text[128];
        (void)snprintf(
            text, sizeof(text),
            "{\"access_token\":\"token-%u\",\"token_type\":\"bearer\",\"expires_in\":600}",
            ++w->tokens);
        say(reply, 200, text);
    } else {
        w->asked++;
        (void)snprintf(w->last_path, sizeof(w->last_path), "%.*s", SLICE_ARGS(target));
        (void)snprintf(w->last_token, sizeof(w->last_token), "%.*s",
                       SLICE_ARGS(fetch_peer_header(request, "authorization")));
        if (misbehave(w, reply)) {
            /* as told */
        } else if (slice_find(target, SLICE("/config")) != SIZE_MAX) {
            say(reply, 200,
                "{\"defaults\":{\"prefix\":\"wrong\"},\"overrides\":{\"prefix\":\"my lake\"},"
                "\"endpoints\":[\"GET /v1/{prefix}/namespaces\","
                "\"GET /v1/{prefix}/namespaces/{namespace}/tables\","
                "\"GET /v1/{prefix}/namespaces/{namespace}/views\","
                "\"GET /v1/{prefix}/namespaces/{namespace}/views/{view}\","
                "\"GET /v1/{prefix}/namespaces/{namespace}/tables/{table}\"]}");
        } else if (slice_find(target, SLICE("/missing")) != SIZE_MAX) {
            say(reply, 404, "{\"error\":{\"type\":\"NoSuchTableException\",\"message\":\"no\"}}");
        } else if (slice_find(target, SLICE("/views/")) != SIZE_MAX) {
            say(reply, 200, "{\"metadata-location\":\"v\",\"metadata\":{\"view\":1}}");
        } else if (slice_find(target, SLICE("/tables/")) != SIZE_MAX) {
            answer_load(w, request, reply);
        } else {
            answer_lists(request, reply);
        }
    }
    pthread_mutex_unlock(&w->lock);
}

static struct identity *person(const char *name)
{
    struct identity_spec spec = {.subject = slice_of(name), .provider = SLICE("password")};
    struct identity *who;
    struct errinfo info;
    CHECK_OK(identity_new(&spec, &who, &info));
    return who;
}

static void world_open(struct world *w)
{
    struct rest_options options = {.timeout_ms = 2000,
                                   .connect_timeout_ms = 500,
                                   .config_age_ms = 60000,
                                   .breaker_failures = 3,
                                   .breaker_pause_ms = 300,
                                   .response_bytes_max = 1 << 20,
                                   .cache_bytes_max = 1 << 20,
                                   .loads_at_once = 16,
                                   .allow_loopback_http = true};
    *w = (struct world){.who = person("anna"), .other = person("bob")};
    pthread_mutex_init(&w->lock, NULL);
    errinfo_init(&w->info);
    w->peer = fetch_peer_open(answer, w, w->url);
    w->arena = arena_new(NULL, "test", 0);
    CHECK_OK(rest_open(&options, &w->rest, &w->info));
    (void)snprintf(w->secret, sizeof(w->secret), "%s/secret", test_folder());
    FILE *file = fopen(w->secret, "w");
    CHECK(file != NULL && fputs("s3cret\n", file) >= 0 && fclose(file) == 0);
    CHECK(chmod(w->secret, 0600) == 0);
    w->catalog = (struct rest_catalog){.name = SLICE("lake"),
                                       .uri = slice_of(w->url),
                                       .warehouse = SLICE("w&h"),
                                       .auth = REST_AUTH_CLIENT,
                                       .client_id = SLICE("moat"),
                                       .client_secret_file = slice_of(w->secret),
                                       .request_id = SLICE("query-1")};
}

static void world_close(struct world *w)
{
    rest_close(w->rest);
    fetch_peer_close(w->peer);
    identity_unref(w->who);
    identity_unref(w->other);
    arena_free(w->arena);
    pthread_mutex_destroy(&w->lock);
}

static const struct slice level_a[] = {{"a", 1}};
static const struct rest_namespace ns_a = {level_a, 1};

static enum err load(struct world *w, const struct identity *who, const char *name,
                     struct rest_loaded *loaded)
{
    errinfo_init(&w->info);
    return rest_load(w->rest, &w->catalog, who, &ns_a, slice_of(name), false, w->arena, loaded,
                     &w->info);
}

static void break_it(struct world *w, const char *fault, unsigned count)
{
    pthread_mutex_lock(&w->lock);
    w->fault = fault;
    w->fault_count = count;
    pthread_mutex_unlock(&w->lock);
}

TEST(rest, tables_and_views_are_loaded_by_encoded_names)
{
    struct world w;
    struct rest_loaded loaded;
    world_open(&w);
    CHECK_OK(load(&w, w.who, "t", &loaded));
    CHECK(!loaded.is_view);
    CHECK_SLICE("s3://b/t/1.json", loaded.metadata_location);
    CHECK_SLICE(METADATA, loaded.metadata);
    CHECK_SLICE("{}", loaded.restrictions);
    CHECK_STR("/v1/my%20lake/namespaces/a/tables/t?snapshots=refs", w.last_path);
    CHECK_STR("Bearer token-1", w.last_token);
    CHECK_OK(load(&w, w.who, "../x?y#z/\x1f%", &loaded));
    CHECK_STR("/v1/my%20lake/namespaces/a/tables/..%2Fx%3Fy%23z%2F%1F%25?snapshots=refs",
              w.last_path);
    CHECK_OK(load(&w, w.who, "..", &loaded));
    CHECK_STR("/v1/my%20lake/namespaces/a/tables/%2E%2E?snapshots=refs", w.last_path);
    const struct slice levels[] = {SLICE("a/b"), SLICE("c")};
    const struct rest_namespace ns = {levels, 2};
    CHECK_OK(
        rest_load(w.rest, &w.catalog, w.who, &ns, SLICE("t"), true, w.arena, &loaded, &w.info));
    CHECK_STR("/v1/my%20lake/namespaces/a%2Fb%1Fc/tables/t?snapshots=all", w.last_path);
    CHECK_ERR(ERR_NOT_FOUND, load(&w, w.who, "missing", &loaded));
    CHECK_STR("42P01", w.info.sqlstate);
    world_close(&w);
}

TEST(rest, lists_have_all_pages_and_levels)
{
    struct world w;
    struct rest_namespace *namespaces;
    struct rest_name *names;
    size_t count;
    world_open(&w);
    CHECK_OK(rest_namespaces(w.rest, &w.catalog, w.who, w.arena, &namespaces, &count, &w.info));
    assert_int_equal(count, 2); /* what is no child of what was asked about is left out */
    CHECK_SLICE("a", namespaces[0].levels[0]);
    assert_int_equal(namespaces[1].level_count, 2);
    CHECK_OK(rest_names(w.rest, &w.catalog, w.who, &ns_a, w.arena, &names, &count, &w.info));
    assert_int_equal(count, 3);
    CHECK_SLICE("t1", names[0].name);
    CHECK_SLICE("t2", names[1].name);
    CHECK(names[2].is_view);
    world_close(&w);
}

TEST(rest, what_is_kept_is_one_persons_and_asked_about_each_time)
{
    struct world w;
    struct rest_loaded loaded;
    world_open(&w);
    w.catalog.has_etags = true;
    CHECK_OK(load(&w, w.who, "t", &loaded));
    assert_int_equal(w.not_modified, 0);
    unsigned asked = w.asked;
    CHECK_OK(load(&w, w.who, "t", &loaded));
    assert_int_equal(w.not_modified, 1);
    assert_int_equal(w.asked, asked + 1);
    CHECK_SLICE(METADATA, loaded.metadata);
    CHECK_OK(load(&w, w.other, "t", &loaded)); /* nothing of anna's is bob's */
    assert_int_equal(w.not_modified, 1);
    break_it(&w, "403", 1);
    CHECK_ERR(ERR_DENIED, load(&w, w.who, "t", &loaded));
    CHECK_STR("42501", w.info.sqlstate);
    CHECK_OK(load(&w, w.who, "t", &loaded)); /* and what was kept is gone */
    assert_int_equal(w.not_modified, 1);
    w.catalog.has_etags = false; /* as without being told that it may */
    CHECK_OK(load(&w, w.who, "t", &loaded));
    assert_int_equal(w.not_modified, 1);
    world_close(&w);
}

TEST(rest, each_failure_has_its_words_and_no_secret)
{
    static const struct {
        const char *fault;
        enum err err;
        const char *sqlstate;
    } cases[] = {{"400", ERR_INVALID, "22023"},     {"401", ERR_DENIED, "28000"},
                 {"403", ERR_DENIED, "42501"},      {"404", ERR_NOT_FOUND, "42P01"},
                 {"406", ERR_UNSUPPORTED, "0A000"}, {"409", ERR_BUSY, "40001"},
                 {"419", ERR_DENIED, "28000"},      {"422", ERR_INVALID, "22023"},
                 {"429", ERR_BUSY, "53400"},        {"500", ERR_BUSY, "08006"},
                 {"503", ERR_BUSY, "08006"},        {"302", ERR_CORRUPT, "08P01"},
                 {"204", ERR_CORRUPT, "08P01"},     {"garbage", ERR_CORRUPT, "08P01"},
                 {"drop", ERR_BUSY, "08006"}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct world w;
        struct rest_loaded loaded;
        world_open(&w);
        CHECK_OK(rest_check(w.rest, &w.catalog, w.who, &w.info));
        break_it(&w, cases[i].fault, 100);
        enum err err = load(&w, w.who, "t", &loaded);
        if (err != cases[i].err || strcmp(w.info.sqlstate, cases[i].sqlstate) != 0) {
            fail_msg("%s: %d %s %s", cases[i].fault, (int)err, w.info.sqlstate, w.info.message);
        }
        CHECK(strstr(w.info.message, "token-") == NULL && strstr(w.info.detail, "secret") == NULL);
        world_close(&w);
    }
}

TEST(rest, what_passes_is_tried_again_and_a_refused_token_replaced_once)
{
    struct world w;
    struct rest_loaded loaded;
    world_open(&w);
    CHECK_OK(rest_check(w.rest, &w.catalog, w.who, &w.info));
    break_it(&w, "503", 1);
    CHECK_OK(load(&w, w.who, "t", &loaded));
    break_it(&w, "drop", 1);
    CHECK_OK(load(&w, w.who, "t", &loaded));
    assert_int_equal(w.tokens, 1);
    break_it(&w, "401", 1);
    CHECK_OK(load(&w, w.who, "t", &loaded));
    assert_int_equal(w.tokens, 2);
    CHECK_STR("Bearer token-2", w.last_token);
    break_it(&w, "401", 100);
    unsigned asked = w.asked;
    CHECK_ERR(ERR_DENIED, load(&w, w.who, "t", &loaded));
    assert_int_equal(w.asked, asked + 2);
    world_close(&w);
}

TEST(rest, one_that_does_not_answer_is_left_alone_for_a_while)
{
    struct world w;
    struct rest_loaded loaded;
    world_open(&w);
    CHECK_OK(rest_check(w.rest, &w.catalog, w.who, &w.info));
    break_it(&w, "hang", 1);
    CHECK_ERR(ERR_BUSY, load(&w, w.who, "t", &loaded));
    unsigned asked = w.asked;
    int64_t begun_us = clock_mono_us();
    CHECK_ERR(ERR_BUSY, load(&w, w.other, "t", &loaded)); /* whoever asks */
    CHECK(clock_mono_us() - begun_us < 200000);
    assert_int_equal(w.asked, asked);
    CHECK(strstr(w.info.message, "\"lake\"") != NULL && strstr(w.info.hint, "again in") != NULL);
    while (clock_mono_us() - begun_us < 400000) {
        /* its pause */
    }
    CHECK_OK(load(&w, w.who, "t", &loaded));
    world_close(&w);
}

/* Somebody's own failing requests shut nobody else out; a server that is not in its senses does. */
TEST(rest, a_failure_that_the_catalog_explains_is_an_answer)
{
    struct world w;
    struct rest_loaded loaded;
    world_open(&w);
    CHECK_OK(rest_check(w.rest, &w.catalog, w.who, &w.info));
    break_it(&w, "500", 10);
    for (unsigned i = 0; i < 10; i++) {
        CHECK_ERR(ERR_BUSY, load(&w, w.other, "t", &loaded));
    }
    CHECK_OK(load(&w, w.who, "t", &loaded));
    w.says = "{\"error\":{\"type\":\"AccessCheckException\",\"message\":\"not allowed\"}}";
    break_it(&w, "500", 1);
    CHECK_ERR(ERR_DENIED, load(&w, w.other, "t", &loaded));
    CHECK_STR("42501", w.info.sqlstate);
    w.says = "<html>oops</html>";
    break_it(&w, "500", 3);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_ERR(ERR_BUSY, load(&w, w.other, "t", &loaded));
    }
    unsigned asked = w.asked;
    CHECK_ERR(ERR_BUSY, load(&w, w.who, "t", &loaded));
    assert_int_equal(w.asked, asked);
    world_close(&w);
}

TEST(rest, a_name_that_the_catalog_would_not_give_a_table_is_nobodys)
{
    struct world w;
    struct rest_loaded loaded;
    world_open(&w);
    CHECK_OK(rest_check(w.rest, &w.catalog, w.who, &w.info));
    break_it(&w, "400", 3); /* there may be a view of the name */
    CHECK_ERR(ERR_NOT_FOUND, load(&w, w.who, "t$files", &loaded));
    CHECK_ERR(ERR_INVALID, load(&w, w.who, "t", &loaded));
    world_close(&w);
}

#define LENT                                                                                       \
    "{\"metadata-location\":\"s3://b/t/1.json\",\"config\":{\"s3.access-key-id\":\"k\","           \
    "\"s3.secret-access-key\":\"s\",\"s3.region\":\"r\"},\"metadata\":" METADATA "}"

/* With its history or without: what the last answer does not lend is lent no more. */
TEST(rest, the_last_answer_about_a_table_says_what_is_lent)
{
    struct world w;
    struct rest_loaded loaded;
    struct storage_object *object = NULL;
    world_open(&w);
    for (unsigned first = 0; first < 2; first++) {
        for (unsigned second = 0; second < 2; second++) {
            errinfo_init(&w.info);
            w.load = LENT;
            CHECK_OK(rest_load(w.rest, &w.catalog, w.who, &ns_a, SLICE("t"), first == 1, w.arena,
                               &loaded, &w.info));
            w.load = NULL;
            CHECK_OK(rest_load(w.rest, &w.catalog, w.who, &ns_a, SLICE("t"), second == 1, w.arena,
                               &loaded, &w.info));
            CHECK_ERR(ERR_DENIED, rest_open_object(w.rest, &w.catalog, w.who, &ns_a, SLICE("t"),
                                                   SLICE("s3://b/t/1.avro"), &object, &w.info));
            CHECK(strstr(w.info.message, "vends no credentials") != NULL);
        }
    }
    world_close(&w);
}

TEST(rest, tokens_go_to_the_attached_address_only)
{
    struct world w;
    struct rest_config *config;
    world_open(&w);
    struct rest_call call = {.rest = w.rest, .catalog = &w.catalog, .who = w.who, .info = &w.info};
    CHECK_ERR(ERR_DENIED, rest_parse__config(&call,
                                             SLICE("{\"defaults\":{},\"overrides\":{\"uri\":"
                                                   "\"https://elsewhere\"}}"),
                                             &config));
    CHECK_ERR(ERR_CORRUPT,
              rest_parse__config(&call, SLICE("{\"overrides\":{\"prefix\":\"a/../b\"}}"), &config));
    CHECK_ERR(ERR_CORRUPT,
              rest_parse__config(&call, SLICE("{\"overrides\":{\"namespace-separator\":\"/\"}}"),
                                 &config));
    struct slice uri;
    CHECK_ERR(ERR_INVALID,
              rest_uri_check(w.rest, SLICE("http://example.com"), w.arena, &uri, &w.info));
    CHECK_ERR(ERR_INVALID,
              rest_uri_check(w.rest, SLICE("https://u:p@example.com"), w.arena, &uri, &w.info));
    CHECK_ERR(ERR_INVALID,
              rest_uri_check(w.rest, SLICE("https://example.com/?a=b"), w.arena, &uri, &w.info));
    char longest[REST_URI_BYTES_MAX + 64] = "https://example.com/";
    memset(longest + 20, 'a', REST_URI_BYTES_MAX - 20);
    CHECK_OK(rest_uri_check(w.rest, slice_of(longest), w.arena, &uri, &w.info));
    longest[REST_URI_BYTES_MAX] = 'a';
    CHECK_ERR(ERR_LIMIT, rest_uri_check(w.rest, slice_of(longest), w.arena, &uri, &w.info));
    CHECK_STR("the address of a catalog has 2049 bytes, and may have 2048", w.info.message);
    CHECK_OK(rest_uri_check(w.rest, SLICE(" https://example.com/api/ "), w.arena, &uri, &w.info));
    CHECK_SLICE("https://example.com/api", uri);
    world_close(&w);
}

TEST(rest, without_a_token_of_the_person_nobody_is_asked)
{
    struct world w;
    struct rest_loaded loaded;
    world_open(&w);
    static const enum rest_auth auths[] = {REST_AUTH_SESSION, REST_AUTH_EXCHANGE};
    for (size_t i = 0; i < ARRAY_COUNT(auths); i++) {
        w.catalog.auth = auths[i];
        CHECK_ERR(ERR_DENIED, load(&w, w.who, "t", &loaded));
        CHECK_STR("28000", w.info.sqlstate);
    }
    assert_int_equal(w.asked, 0);
    w.catalog.auth = REST_AUTH_CLIENT;
    CHECK(chmod(w.secret, 0644) == 0); /* readable by others */
    CHECK_ERR(ERR_INVALID, load(&w, w.who, "t", &loaded));
    assert_int_equal(w.asked, 0);
    world_close(&w);
}

TEST(rest, restrictions_that_are_not_known_are_refused)
{
    static const char *const wrong[] = {
        "[]",
        "7",
        "{\"required-row-filter\":1,\"required-row-filter\":2}",
        "{\"later\":1}",
        "{\"required-column-projections\":{}}",
        "{\"required-column-projections\":[1]}",
        "{\"required-column-projections\":[{\"field-id\":1}]}",
        "{\"required-column-projections\":[{\"field-id\":0,\"action\":\"replace-with-null\"}]}",
        "{\"required-column-projections\":[{\"field-id\":1,\"action\":\"show\"}]}",
        "{\"required-column-projections\":[{\"field-id\":1,\"action\":\"replace-with-null\","
        "\"more\":1}]}",
        "{\"required-column-projections\":[{\"field-id\":1,\"action\":\"replace-with-null\"},"
        "{\"field-id\":1,\"action\":\"replace-with-null\"}]}"};
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct rest_restrictions out;
    struct errinfo info;
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        CHECK_ERR(ERR_UNSUPPORTED, rest_restrictions_parse(slice_of(wrong[i]), arena, &out, &info));
    }
    CHECK_OK(rest_restrictions_parse(SLICE("{}"), arena, &out, &info));
    CHECK(out.filter == NULL && out.projection_count == 0);
    CHECK_OK(rest_restrictions_parse(
        SLICE("{\"required-row-filter\":true,\"required-column-projections\":"
              "[{\"field-id\":3,\"action\":\"truncate-to-year\"}]}"),
        arena, &out, &info));
    CHECK(out.filter != NULL && out.projections[0].action == REST_TRUNCATE_TO_YEAR);
}

TEST(rest, members_that_are_there_twice_are_refused_however_they_are_written)
{
    static const char *const keys[] = {"read-restrictions"};
    struct slice value;
    struct errinfo info;
    CHECK_OK(rest_members(SLICE("{\"a\":{\"read-restrictions\":1},\"read\\u002drestrictions\":{}}"),
                          keys, 1, &value, &info));
    CHECK_SLICE("{}", value);
    CHECK_ERR(ERR_CORRUPT,
              rest_members(SLICE("{\"read-restrictions\":{},\"read\\u002Drestrictions\":{}}"), keys,
                           1, &value, &info));
    CHECK_ERR(ERR_CORRUPT, rest_members(SLICE("{} {}"), keys, 1, &value, &info));
    CHECK_ERR(ERR_CORRUPT, rest_members(SLICE("{\"a\":1"), keys, 1, &value, &info));
    CHECK_OK(rest_members(SLICE("{\"read-restrictions\":null}"), keys, 1, &value, &info));
    CHECK(value.len == 0);
}

TEST(rest, the_cache_keeps_what_was_used_last)
{
    struct world w;
    struct rest_loaded loaded;
    struct buf large CLEANUP(buf_fini) = {0};
    world_open(&w);
    w.catalog.has_etags = true;
    buf_append_str(&large, "{\"metadata\":{\"x\":\"");
    for (int i = 0; i < 200000; i++) { /* five of them fill the cache */
        buf_append_char(&large, 'x');
    }
    buf_append_str(&large, "\"}}");
    w.load = buf_cstr(&large);
    for (char name[] = "t0"; name[1] <= '9'; name[1]++) {
        CHECK_OK(load(&w, w.who, name, &loaded));
    }
    CHECK_OK(load(&w, w.who, "t9", &loaded));
    assert_int_equal(w.not_modified, 1);
    CHECK_OK(load(&w, w.who, "t0", &loaded));
    assert_int_equal(w.not_modified, 1);
    world_close(&w);
}

TEST(rest, every_allocation_may_fail)
{
    struct world w;
    world_open(&w);
    unsigned failed = 0;
    SWEEP_ALLOC(fault)
    {
        struct rest *rest CLEANUP(rest_cleanup) = NULL;
        struct arena *arena CLEANUP(arena_cleanup) = NULL;
        struct rest_loaded loaded;
        struct rest_namespace *namespaces;
        struct rest_name *names;
        size_t count;
        struct errinfo info;
        errinfo_init(&info);
        arena = arena_new(NULL, "sweep", 0);
        enum err err = arena == NULL ? ERR_NOMEM : rest_open(&w.rest->options, &rest, &info);
        if (err == ERR_OK) {
            err =
                rest_load(rest, &w.catalog, w.who, &ns_a, SLICE("t"), false, arena, &loaded, &info);
        }
        if (err == ERR_OK) {
            err = rest_namespaces(rest, &w.catalog, w.who, arena, &namespaces, &count, &info);
        }
        if (err == ERR_OK) {
            err = rest_names(rest, &w.catalog, w.who, &ns_a, arena, &names, &count, &info);
        }
        if (fault.fired) {
            /* The peer is of this process: what fails may be half of its answer. */
            if (err != ERR_NOMEM && err != ERR_OK && err != ERR_BUSY && err != ERR_CORRUPT) {
                (void)fprintf(stderr, "step %llu: %s\n", (unsigned long long)fault.step,
                              info.message);
                fail();
            }
            failed += err != ERR_OK;
        } else {
            CHECK_OK(err);
        }
    }
    CHECK(failed > 20);
    world_close(&w);
}
