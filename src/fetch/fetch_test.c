/* Goal: what fetch.h promises. Method: a peer on the loopback that answers well or badly. */
#include "fetch/fetch.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/sweep.h"
#include "base/test.h"
#include "fetch/fetch_int.h"
#include "fetch/testing.h"

struct world {
    struct fetch_peer *peer;
    struct fetch_pool *pool;
    char url[64];
    char full[256];
    struct errinfo info;
    struct fetch_answer answer;
    _Atomic unsigned asked;
};

static void say(struct fetch_peer_reply *reply, unsigned status, const char *text)
{
    reply->status = status;
    buf_append_str(&reply->body, text);
}

static bool is_path(const struct fetch_peer_request *request, const char *path)
{
    return slice_equal(request->target, slice_of(path));
}

static void answer(void *context, const struct fetch_peer_request *request,
                   struct fetch_peer_reply *reply)
{
    struct world *w = context;
    atomic_fetch_add(&w->asked, 1);
    if (is_path(request, "/echo")) {
        buf_append_str(&reply->headers, "X-First: one\r\nx-empty:\r\nX-First: two\r\n");
        buf_append_slice(&reply->body, request->method);
        buf_append_str(&reply->body, "|");
        buf_append_slice(&reply->body, fetch_peer_header(request, "authorization"));
        buf_append_str(&reply->body, "|");
        buf_append_slice(&reply->body, fetch_peer_header(request, "content-type"));
        buf_append_str(&reply->body, "|");
        buf_append_slice(&reply->body, request->body);
    } else if (is_path(request, "/hang")) {
        reply->is_hanging = true;
    } else if (is_path(request, "/cut")) {
        say(reply, 200, "0123456789");
        reply->cut_bytes = 5;
    } else if (is_path(request, "/drop")) {
        reply->has_no_answer = true;
    } else if (is_path(request, "/garbage")) {
        say(reply, 200, "\x16\x03\x01 this is no HTTP\r\n\r\n");
        reply->is_garbage = true;
    } else if (is_path(request, "/drip")) {
        say(reply, 200, "01234567890123456789");
        reply->piece_bytes = 1;
        reply->pause_ms = 100;
    } else if (is_path(request, "/stall")) {
        say(reply, 200, "0123456789");
        reply->piece_bytes = 5;
        reply->pause_ms = 60000;
    } else if (is_path(request, "/here")) {
        buf_append_str(&reply->headers, "Location: /echo\r\n");
        say(reply, 302, "over there");
    } else if (is_path(request, "/loop")) {
        buf_append_str(&reply->headers, "Location: /loop\r\n");
        say(reply, 302, "over there");
    } else if (is_path(request, "/there")) {
        buf_append_str(&reply->headers, "Location: http://127.0.0.1:1/echo\r\n");
        say(reply, 307, "over there");
    } else if (is_path(request, "/busy")) {
        buf_append_str(&reply->headers, "Retry-After: 3\r\n");
        say(reply, 503, "busy");
    } else {
        say(reply, 404, "nothing here");
    }
}

static void world_open(struct world *w, const char *peer)
{
    *w = (struct world){0};
    w->peer = fetch_peer_open(answer, w, w->url);
    struct fetch_options options = {.peer = slice_of(peer), .plain = FETCH_PLAIN_LOOPBACK};
    CHECK_OK(fetch_pool_new(&options, &w->pool, NULL));
}

static void world_close(struct world *w)
{
    fetch_answer_fini(&w->answer);
    fetch_pool_unref(w->pool);
    fetch_peer_close(w->peer);
}

static struct fetch_request request_of(struct world *w, const char *path)
{
    (void)snprintf(w->full, sizeof(w->full), "%s%s", w->url, path);
    return (struct fetch_request){
        .url = slice_of(w->full), .timeout_ms = 5000, .body_bytes_max = 1000};
}

static enum err ask(struct world *w, const struct fetch_request *request)
{
    fetch_answer_fini(&w->answer);
    return fetch_send(w->pool, request, &w->answer, &w->info);
}

static enum err ask_path(struct world *w, const char *path, int64_t timeout_ms)
{
    struct fetch_request request = request_of(w, path);
    request.timeout_ms = timeout_ms;
    return ask(w, &request);
}

TEST(fetch, sends_what_it_is_given_and_reads_what_comes)
{
    struct world w;
    struct slice value;
    world_open(&w, "the peer");
    struct fetch_request request = request_of(&w, "/echo");
    CHECK_OK(ask(&w, &request));
    assert_int_equal(200, w.answer.status);
    CHECK_SLICE("GET|||", secret_slice(&w.answer.body));
    CHECK(fetch_answer_header(&w.answer, SLICE("x-first"), &value));
    CHECK_SLICE("one", value);
    CHECK(fetch_answer_header(&w.answer, SLICE("X-Empty"), &value) && value.len == 0);
    CHECK(!fetch_answer_header(&w.answer, SLICE("x-fir"), &value));
    struct fetch_header headers[] = {{SLICE("Authorization"), SLICE("Bearer t")},
                                     {SLICE("Content-Type"), SLICE("text/x")}};
    request.headers = headers;
    request.header_count = 2;
    request.body = SLICE("the body");
    static const char *const methods[] = {"POST", "PUT", "DELETE"};
    for (size_t i = 0; i < ARRAY_COUNT(methods); i++) {
        char expected[64];
        request.method = slice_of(methods[i]);
        CHECK_OK(ask(&w, &request));
        (void)snprintf(expected, sizeof(expected), "%s|Bearer t|text/x|the body", methods[i]);
        CHECK_SLICE(expected, secret_slice(&w.answer.body));
    }
    request = request_of(&w, "/echo");
    request.method = SLICE("HEAD");
    CHECK_OK(ask(&w, &request));
    assert_int_equal(200, w.answer.status);
    CHECK(w.answer.body.len == 0);
    CHECK_OK(ask_path(&w, "/none", 5000));
    assert_int_equal(404, w.answer.status);
    CHECK_SLICE("nothing here", secret_slice(&w.answer.body));
    assert_int_equal(1, fetch_peer_connection_count(w.peer)); /* all over one connection */
    world_close(&w);
}

TEST(fetch, ends_by_its_deadline_and_says_why)
{
    // Each way a peer can fail: the error, its text, and that it does not take longer than allowed.
    static const struct {
        const char *path;
        enum err err;
        const char *message;
    } cases[] = {
        {"/hang", ERR_TIMEOUT, "catalog \"x\" does not answer: no answer in time"},
        {"/drip", ERR_TIMEOUT, "catalog \"x\" does not answer: no answer in time"},
        {"/cut", ERR_IO, "catalog \"x\" does not answer: Transferred a partial file"},
        {"/drop", ERR_IO,
         "catalog \"x\" does not answer: Server returned nothing (no headers, no data)"},
        {"/garbage", ERR_IO,
         "catalog \"x\" does not answer: Unsupported HTTP/1 subversion in response"},
    };
    struct world w;
    world_open(&w, "catalog \"x\"");
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        int64_t start_us = clock_mono_us();
        CHECK_ERR(cases[i].err, ask_path(&w, cases[i].path, 400));
        CHECK(clock_mono_us() - start_us < 3000000);
        CHECK(w.answer.was_sent);
        if (strcmp(cases[i].path, "/garbage") != 0) { /* its words are libcurl's */
            CHECK_STR(cases[i].message, w.info.message);
        }
        CHECK(strstr(w.info.message, "127.0.0.1") == NULL);
    }
    struct fetch_request request = request_of(&w, "/stall");
    request.stall_ms = 1000;
    request.timeout_ms = 60000;
    int64_t start_us = clock_mono_us();
    CHECK_ERR(ERR_TIMEOUT, ask(&w, &request));
    CHECK(clock_mono_us() - start_us < 10000000);
    request = request_of(&w, "/echo");
    request.url = SLICE("http://127.0.0.1:1/");
    CHECK_ERR(ERR_IO, ask(&w, &request));
    CHECK(!w.answer.was_sent);
    request.url = SLICE("http://example.com/");
    CHECK_ERR(ERR_DENIED, ask(&w, &request));
    CHECK_OK(ask_path(&w, "/echo", 5000)); /* and the pool is none the worse */
    world_close(&w);
}

TEST(fetch, a_long_answer_is_an_error_and_a_long_excuse_is_cut)
{
    struct world w;
    world_open(&w, "the peer");
    struct fetch_request request = request_of(&w, "/echo");
    request.method = SLICE("POST");
    char body[1001];
    memset(body, 'x', sizeof(body));
    request.body = (struct slice){body, 993};
    CHECK_OK(ask(&w, &request));
    assert_int_equal(1000, w.answer.body.len);
    request.body.len = 994;
    CHECK_ERR(ERR_LIMIT, ask(&w, &request));
    CHECK_STR("the peer does not answer as it should: the answer is too long", w.info.message);
    request = request_of(&w, "/none");
    request.body_bytes_max = 3;
    CHECK_OK(ask(&w, &request));
    CHECK_SLICE("nothing here", secret_slice(&w.answer.body));
    world_close(&w);
}

TEST(fetch, headers_cannot_be_split)
{
    struct world w;
    world_open(&w, "the peer");
    static const char *const values[] = {"a\r\nX-Other: b", "a\nb", "a\rb", "\x7f"};
    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        struct fetch_request request = request_of(&w, "/echo");
        struct fetch_header header = {SLICE("X-Name"), slice_of(values[i])};
        request.headers = &header;
        request.header_count = 1;
        CHECK_ERR(ERR_INVALID, ask(&w, &request));
    }
    assert_int_equal(0, atomic_load(&w.asked));
    world_close(&w);
}

TEST(fetch, redirections_stay_where_they_are)
{
    struct world w;
    world_open(&w, "the peer");
    struct fetch_request request = request_of(&w, "/here");
    CHECK_OK(ask(&w, &request));
    assert_int_equal(302, w.answer.status);
    request.redirects_max = 1;
    CHECK_OK(ask(&w, &request));
    assert_int_equal(200, w.answer.status);
    CHECK_SLICE("GET|||", secret_slice(&w.answer.body));
    request.method = SLICE("POST");
    request.body = SLICE("");
    CHECK_OK(ask(&w, &request));
    assert_int_equal(302, w.answer.status);
    request = request_of(&w, "/there");
    request.redirects_max = 5;
    CHECK_OK(ask(&w, &request));
    assert_int_equal(307, w.answer.status);
    request = request_of(&w, "/loop");
    request.redirects_max = 5;
    atomic_store(&w.asked, 0);
    CHECK_OK(ask(&w, &request));
    assert_int_equal(302, w.answer.status);
    assert_int_equal(6, atomic_load(&w.asked));
    CHECK(fetch_url_is_same_origin(SLICE("https://A.example/x"), SLICE("https://a.example:443/y")));
    CHECK(!fetch_url_is_same_origin(SLICE("https://a.example/"), SLICE("http://a.example:443/")));
    CHECK(!fetch_url_is_same_origin(SLICE("https://a.example/"), SLICE("https://a.example:1/")));
    world_close(&w);
}

static bool cancel_later(void *context)
{
    return clock_mono_us() > *(int64_t *)context;
}

static bool refuse(UNUSED void *context, UNUSED uint64_t at, UNUSED struct slice bytes)
{
    return false;
}

static bool collect(void *context, uint64_t at, struct slice bytes)
{
    char *out = context;
    memcpy(out + at, bytes.ptr, bytes.len);
    return true;
}

TEST(fetch, a_waiting_request_can_be_cancelled)
{
    struct world w;
    world_open(&w, "the peer");
    struct fetch_request request = request_of(&w, "/hang");
    int64_t when_us = clock_mono_us() + 100000;
    request.timeout_ms = 60000;
    request.is_cancelled = cancel_later;
    request.cancel_context = &when_us;
    CHECK_ERR(ERR_CANCELLED, ask(&w, &request));
    CHECK(clock_mono_us() - when_us < 3000000);
    CHECK(w.answer.was_sent);
    request = request_of(&w, "/echo");
    request.sink = refuse;
    CHECK_ERR(ERR_CANCELLED, ask(&w, &request));
    char out[8] = "";
    request.sink = collect;
    request.sink_context = out;
    CHECK_OK(ask(&w, &request));
    CHECK_STR("GET|||", out);
    CHECK(w.answer.body.len == 0);
    request = request_of(&w, "/none");
    request.sink = refuse; /* only of success */
    CHECK_OK(ask(&w, &request));
    CHECK_SLICE("nothing here", secret_slice(&w.answer.body));
    world_close(&w);
}

TEST(fetch, many_go_side_by_side_and_fail_alone)
{
    struct world w;
    world_open(&w, "the peer");
    char urls[20][128];
    struct fetch_request requests[20];
    struct fetch_answer answers[20];
    for (size_t i = 0; i < 20; i++) {
        (void)snprintf(urls[i], sizeof(urls[i]), "%s%s", w.url, i == 7 ? "/cut" : "/echo");
        requests[i] = (struct fetch_request){
            .url = slice_of(urls[i]), .timeout_ms = 10000, .body_bytes_max = 100};
    }
    CHECK_OK(fetch_send_all(w.pool, requests, 20, answers, NULL));
    for (size_t i = 0; i < 20; i++) {
        CHECK_ERR(i == 7 ? ERR_IO : ERR_OK, answers[i].err);
        fetch_answer_fini(&answers[i]);
    }
    CHECK(fetch_peer_connection_count(w.peer) <= 9); /* eight, and one for the one that was cut */
    world_close(&w);
}

static void *ask_often(void *context)
{
    struct world *w = context;
    char url[128];
    (void)snprintf(url, sizeof(url), "%s/echo", w->url);
    for (int i = 0; i < 50; i++) {
        struct fetch_answer answer = {0};
        struct fetch_request request = {
            .url = slice_of(url), .timeout_ms = 20000, .body_bytes_max = 100};
        CHECK_OK(fetch_send(w->pool, &request, &answer, NULL));
        fetch_answer_fini(&answer);
    }
    return NULL;
}

TEST(fetch, threads_share_a_pool)
{
    struct world w;
    pthread_t threads[4];
    world_open(&w, "the peer");
    for (size_t i = 0; i < 4; i++) {
        CHECK(pthread_create(&threads[i], NULL, ask_often, &w) == 0);
    }
    for (size_t i = 0; i < 4; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    assert_int_equal(200, atomic_load(&w.asked));
    CHECK(fetch_peer_connection_count(w.peer) <= 4);
    world_close(&w);
}

TEST(fetch, what_must_not_be_done_twice_has_a_connection_of_its_own)
{
    struct world w;
    world_open(&w, "the peer");
    struct fetch_request request = request_of(&w, "/echo");
    CHECK_OK(ask(&w, &request));
    request.is_once = true;
    CHECK_OK(ask(&w, &request));
    assert_int_equal(2, fetch_peer_connection_count(w.peer));
    world_close(&w);
}

TEST(fetch, waits_as_long_as_it_is_asked_to)
{
    struct world w;
    world_open(&w, "the peer");
    CHECK_OK(ask_path(&w, "/busy", 5000));
    assert_int_equal(3000, fetch_answer_retry_after_ms(&w.answer));
    CHECK_OK(ask_path(&w, "/echo", 5000));
    assert_int_equal(-1, fetch_answer_retry_after_ms(&w.answer));
    for (unsigned attempt = 1; attempt < 70; attempt++) {
        int64_t wait_ms = fetch_backoff_ms(attempt, 10, 400, -1, 1000);
        int64_t ceiling = attempt > 6 ? 400 : 10 << (attempt - 1);
        CHECK(wait_ms >= 0 && wait_ms <= ceiling);
    }
    CHECK(fetch_backoff_ms(1, 10, 400, 900, 1000) == 900);
    CHECK(fetch_backoff_ms(1, 10, 400, 1001, 1000) == -1);
    static const char past[] = "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    struct fetch_answer dated = {0};
    CHECK(secret_copy(slice_of(past), &dated.head));
    assert_int_equal(0, fetch_answer_retry_after_ms(&dated));
    fetch_answer_fini(&dated);
    world_close(&w);
}

TEST(fetch, survives_every_failure_of_memory_and_network)
{
    struct world w;
    struct fetch_options options = {.peer = SLICE("p"), .plain = FETCH_PLAIN_LOOPBACK};
    world_open(&w, "the peer");
    struct fetch_request request = request_of(&w, "/echo");
    struct fetch_header header = {SLICE("Authorization"), SLICE("Bearer t")};
    request.headers = &header;
    request.header_count = 1;
    SWEEP_ALLOC(fault)
    {
        struct fetch_pool *pool = NULL;
        struct fetch_answer answer = {0};
        enum err err = fetch_pool_new(&options, &pool, &w.info);
        if (err == ERR_OK) {
            err = fetch_send(pool, &request, &answer, &w.info);
        }
        CHECK(err == ERR_OK || (err == ERR_NOMEM && fault.fired));
        fetch_answer_fini(&answer);
        fetch_pool_unref(pool);
    }
    SWEEP_IO(fault)
    {
        enum err err = ask(&w, &request);
        CHECK(err == ERR_OK || (err == ERR_IO && fault.fired));
    }
    world_close(&w);
}

TEST(fetch, asks_only_where_it_may)
{
    static const struct {
        const char *url;
        bool is_allowed, is_allowed_in_development;
    } cases[] = {
        {"https://id.example.com/realms/x", true, true},
        {"http://id.example.com/", false, false},
        {"http://127.0.0.1:8080/", false, true},
        {"http://localhost/x", false, true},
        {"http://[::1]:80/", false, true},
        {"http://127.0.0.1.evil.com/", false, true},
        {"http://127.0.0.1@evil.com/", false, false},
        {"https://user:pw@id.example.com/", false, false},
        {"https://id.example.com/#x", false, false},
        {"file:///etc/passwd", false, false},
        {"gopher://127.0.0.1/", false, false},
        {"id.example.com", false, false},
        {"", false, false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        bool is_name = strstr(cases[i].url, "127.0.0.1.evil") != NULL;
        CHECK(fetch_url_is_allowed(slice_of(cases[i].url), FETCH_TLS_ONLY) == cases[i].is_allowed);
        CHECK(fetch_url_is_allowed(slice_of(cases[i].url), FETCH_PLAIN_LOOPBACK) ==
              (cases[i].is_allowed_in_development && !is_name));
    }
}
