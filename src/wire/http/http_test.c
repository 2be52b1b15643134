/* Requests as bytes; connections and answers: tests/http, against a server. */
#include "base/buf.h"
#include "base/test.h"
#include "wire/http/http_int.h"

static const struct http_limits limits = {.head_bytes_max = 1024, .body_bytes_max = 64};

static enum http_outcome parse(const char *text, struct http_parsed *ret_parsed)
{
    return http_request_parse(slice_of(text), &limits, NULL, ret_parsed);
}

TEST(http, a_whole_request_is_read)
{
    struct http_parsed p;
    const char *text = "POST /v1/sql?format=csv HTTP/1.1\r\nHost: h\r\nX-Empty:\r\n"
                       "Content-Length:  5 \r\n\r\nhelloGET / HTTP/1.1\r\n";
    CHECK(parse(text, &p) == HTTP_WHOLE);
    CHECK_SLICE("POST", p.request.method);
    CHECK_SLICE("/v1/sql", p.request.path);
    CHECK_SLICE("format=csv", p.request.query);
    CHECK_SLICE("hello", p.request.body);
    assert_int_equal(3, p.request.field_count);
    CHECK_SLICE("", p.request.fields[1].value);
    CHECK_SLICE("5", p.request.fields[2].value);
    CHECK(p.request.keeps_alive && !p.request.is_old);
    assert_int_equal(strstr(text, "GET / ") - text, p.used);
    CHECK(parse("GET http://h:1/live HTTP/1.1\r\nHost: h\r\n\r\n", &p) == HTTP_WHOLE);
    CHECK_SLICE("/live", p.request.path);
}

TEST(http, when_a_connection_goes_on)
{
    struct http_parsed p;
    CHECK(parse("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", &p) == HTTP_WHOLE);
    CHECK(!p.request.keeps_alive);
    CHECK(parse("GET / HTTP/1.0\r\n\r\n", &p) == HTTP_WHOLE);
    CHECK(!p.request.keeps_alive && p.request.is_old);
    CHECK(parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &p) == HTTP_WHOLE);
    CHECK(p.request.keeps_alive);
}

TEST(http, any_part_of_a_request_is_partial)
{
    const char *text = "GET /live?x HTTP/1.1\r\nHost: h\r\nA: b\r\nContent-Length: 3\r\n\r\nabc";
    size_t len = strlen(text);
    struct http_parsed p;
    for (size_t i = 1; i < len; i++) {
        CHECK(http_request_parse((struct slice){text, i}, &limits, NULL, &p) == HTTP_PARTIAL);
        CHECK(p.need > i && p.need <= len);
    }
    CHECK(parse(text, &p) == HTTP_WHOLE);
    assert_int_equal(len, p.used);
}

TEST(http, what_could_be_read_in_two_ways_is_refused)
{
    static const struct {
        unsigned status;
        const char *text;
    } cases[] = {
        {400, "GET / HTTP/1.1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"},
        {400, "GET / HTTP/1.1\nHost: a\n\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n"},
        {400, "GET / HTTP/1.1\r\nHost : a\r\n\r\n"},
        {400, "GET live HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "\x16\x03\x01\x02"},
        {400, "SELECT 1;"},
        {413, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65\r\n\r\n"},
        {417, "POST / HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\n\r\n"},
        {501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
        {400, "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
              "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
        {400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"},
        {505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"},
    };
    struct http_parsed p;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        enum http_outcome outcome = parse(cases[i].text, &p);
        if (outcome != HTTP_WRONG || p.status != cases[i].status) {
            fail_msg("case %zu: outcome %d, status %u", i, (int)outcome, p.status);
        }
    }
}

TEST(http, a_head_has_limits)
{
    struct buf text CLEANUP(buf_fini) = {0};
    struct http_parsed p;
    buf_append_str(&text, "GET / HTTP/1.1\r\nHost: a\r\n");
    while (text.len <= limits.head_bytes_max) {
        buf_append_str(&text, "Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: b\r\n");
    }
    CHECK(http_request_parse(buf_slice(&text), &limits, NULL, &p) == HTTP_WRONG);
    assert_int_equal(431, p.status);
    buf_reset(&text);
    buf_append_str(&text, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < HTTP_FIELDS_MAX; i++) {
        buf_append_str(&text, "a:b\r\n");
    }
    buf_append_str(&text, "\r\n");
    CHECK(http_request_parse(buf_slice(&text), &limits, NULL, &p) == HTTP_WRONG);
    assert_int_equal(431, p.status);
}

TEST(http, chunks_are_one_body)
{
    /* Goal: the body is what the chunks hold, whatever comes around them. Method: extensions, a
     * trailer and a pipelined request behind it, cut at every byte. */
    const char *text = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "5;a=b\r\nhello\r\n1\r\n \r\n005\r\nworld\r\n0\r\nX-Trailer: x\r\n\r\n";
    struct buf body CLEANUP(buf_fini) = {0};
    struct http_parsed p;
    for (size_t i = 1; i < strlen(text); i++) {
        CHECK(http_request_parse((struct slice){text, i}, &limits, NULL, &p) == HTTP_PARTIAL);
        assert_int_equal(i + 1, p.need);
    }
    CHECK(http_request_parse(slice_of(text), &limits, &body, &p) == HTTP_WHOLE);
    CHECK_SLICE("hello world", p.request.body);
    assert_int_equal(strlen(text), p.used);
    assert_int_equal(2, p.request.field_count); /* the trailer is none */
}

TEST(http, chunks_have_limits)
{
    struct buf text CLEANUP(buf_fini) = {0};
    struct http_parsed p;
    const char *head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    buf_printf(&text, "%s41\r\n%065d\r\n", head, 0);
    CHECK(http_request_parse(buf_slice(&text), &limits, NULL, &p) == HTTP_WRONG);
    assert_int_equal(413, p.status);
    buf_reset(&text);
    buf_printf(&text, "%s1;", head);
    for (size_t i = 0; i <= HTTP_CHUNKED_BYTES_MAX; i++) {
        buf_append_char(&text, 'a');
    }
    CHECK(http_request_parse(buf_slice(&text), &limits, NULL, &p) == HTTP_WRONG);
    assert_int_equal(413, p.status);
}

TEST(http, who_takes_gzip)
{
    CHECK(http_takes_gzip(SLICE("gzip")) && http_takes_gzip(SLICE("br, GZIP;q=0.5")));
    CHECK(http_takes_gzip(SLICE("*")) && !http_takes_gzip(SLICE("*;q=0")));
    CHECK(!http_takes_gzip(SLICE("")) && !http_takes_gzip(SLICE("br, identity")));
    CHECK(!http_takes_gzip(SLICE("gzip;q=0.000, *")) && !http_takes_gzip(SLICE(",;,")));
}
