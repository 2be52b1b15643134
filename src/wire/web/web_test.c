/* Requests and frames as bytes; the doors: tests/http, against a server. */
#include "base/json.h"
#include "base/sweep.h"
#include "base/test.h"
#include "wire/web/frame.h"
#include "wire/web/web_int.h"

/* ---- requests ---- */

static enum err read(struct arena *arena, const char *body, struct web_request *ret_request)
{
    struct errinfo info;
    errinfo_init(&info);
    *ret_request = (struct web_request){.arena = arena};
    enum err err = web__request_json(ret_request, slice_of(body), &info);
    err = err != ERR_OK ? err : web__request_statement(ret_request, &info);
    CHECK(err == ERR_OK || info.message[0] != '\0');
    return err;
}

TEST(web, a_request_is_read)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct web_request r;
    CHECK_OK(read(arena,
                  "{\"sql\": \" SELECT $1 ; -- end\", \"parameters\": [\"x\\u0000\", -7, 1e2, "
                  "true, null], \"format\": \"CSV\", \"numbers\": \"text\", \"session\": {"
                  "\"catalog\": \"lake\", \"schema\": \"s\", \"settings\": {\"query.rows_max\": 5, "
                  "\"a_b\": true, \"c\": \"d\"}}}",
                  &r));
    CHECK_SLICE("SELECT $1", slice_trim(r.statement));
    assert_int_equal(5, r.parameter_count);
    CHECK(r.parameters[0].kind == QUERY_PARAMETER_TEXT && r.parameters[0].text.len == 2);
    CHECK(r.parameters[1].kind == QUERY_PARAMETER_INTEGER);
    CHECK_SLICE("-7", r.parameters[1].text);
    CHECK(r.parameters[2].kind == QUERY_PARAMETER_REAL);
    CHECK(r.parameters[3].kind == QUERY_PARAMETER_BOOLEAN);
    CHECK_SLICE("true", r.parameters[3].text);
    CHECK(r.parameters[4].is_null);
    CHECK(r.format == WEB_CSV && r.numbers_as_text && !r.is_async);
    CHECK_SLICE("lake", r.catalog);
    CHECK_SLICE("s", r.schema);
    assert_int_equal(3, r.setting_count);
    CHECK_SLICE("query.rows_max", r.settings[0].name);
    CHECK_SLICE("5", r.settings[0].value);
    CHECK_SLICE("true", r.settings[1].value);
    CHECK_OK(read(arena, "{\"sql\": \"SELECT 1\", \"parameters\": null, \"async\": true}", &r));
    CHECK(r.is_async && r.parameter_count == 0 && r.format == WEB_JSON);
}

TEST(web, what_is_no_request_is_refused)
{
    static const char *const bodies[] = {
        "",
        "[]",
        "\"SELECT 1\"",
        "{}",
        "{\"sql\": 1}",
        "{\"sql\": \"\"}",
        "{\"sql\": \" ; \"}",
        "{\"sql\": \"SELECT 1; SELECT 2\"}",
        "{\"sql\": \"SELECT 'open\"}",
        "{\"sql\": \"SELECT \\u0000\"}",
        "{\"sql\": \"SELECT 1\", \"more\": 1}",
        "{\"sql\": \"SELECT 1\", \"parameters\": {}}",
        "{\"sql\": \"SELECT 1\", \"parameters\": [[1]]}",
        "{\"sql\": \"SELECT 1\", \"parameters\": [{}]}",
        "{\"sql\": \"SELECT 1\", \"format\": \"xml\"}",
        "{\"sql\": \"SELECT 1\", \"numbers\": \"fast\"}",
        "{\"sql\": \"SELECT 1\", \"async\": 1}",
        "{\"sql\": \"SELECT 1\", \"session\": []}",
        "{\"sql\": \"SELECT 1\", \"session\": {\"catalog\": 1}}",
        "{\"sql\": \"SELECT 1\", \"session\": {\"user\": \"eve\"}}",
        "{\"sql\": \"SELECT 1\", \"session\": {\"settings\": []}}",
        "{\"sql\": \"SELECT 1\", \"session\": {\"settings\": {\"a = 1; DROP\": 1}}}",
        "{\"sql\": \"SELECT 1\", \"session\": {\"settings\": {\"A\": 1}}}",
        "{\"sql\": \"SELECT 1\", \"session\": {\"settings\": {\"\": 1}}}",
        "{\"sql\": \"SELECT 1\", \"session\": {\"settings\": {\"a\": null}}}",
        "{\"sql\": \"SELECT 1\", \"session\": {\"settings\": {\"a\": [1]}}}",
        "{\"sql\": \"SELECT \xFF\"}",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bodies); i++) {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
        struct web_request request;
        if (read(arena, bodies[i], &request) == ERR_OK) {
            fail_msg("it was taken: %s", bodies[i]);
        }
    }
}

TEST(web, a_request_has_limits)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct buf body CLEANUP(buf_fini) = {0};
    struct web_request request;
    buf_append_str(&body, "{\"sql\": \"SELECT 1\", \"parameters\": [1");
    for (int i = 0; i < 10000; i++) {
        buf_append_str(&body, ",1");
    }
    buf_append_str(&body, "]}");
    CHECK_ERR(ERR_INVALID, read(arena, buf_cstr(&body), &request));
    buf_reset(&body);
    buf_append_str(&body, "{\"sql\": \"SELECT 1\", \"session\": {\"settings\": {\"a\": 1");
    for (int i = 0; i < 64; i++) {
        buf_printf(&body, ",\"a%d\": 1", i);
    }
    buf_append_str(&body, "}}}");
    CHECK_ERR(ERR_INVALID, read(arena, buf_cstr(&body), &request));
    buf_reset(&body);
    for (int i = 0; i < 20; i++) {
        buf_append_str(&body, "{\"a\": ");
    }
    CHECK_ERR(ERR_LIMIT, read(arena, buf_cstr(&body), &request));
}

TEST(web, a_request_without_memory)
{
    SWEEP_ALLOC(fault)
    {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
        struct web_request request;
        enum err err = arena == NULL
                           ? ERR_NOMEM
                           : read(arena,
                                  "{\"sql\": \"SELECT $1\", \"parameters\": [\"a\\n\", 2], "
                                  "\"session\": {\"settings\": {\"query.rows_max\": 5}}}",
                                  &request);
        CHECK(err == ERR_OK || (err == ERR_NOMEM && fault.fired));
    }
}

TEST(web, errors_say_where_in_characters)
{
    struct errinfo info;
    struct buf out CLEANUP(buf_fini) = {0};
    errinfo_init(&info);
    (void)errinfo_set(&info, ERR_INVALID, "42703", "no \"x\"\n");
    errinfo_hint(&info, "look");
    errinfo_position(&info, 4);
    web_print_error(&out, &info, SLICE("a\xC3\xA9x"));
    CHECK_SLICE("{\"sqlstate\":\"42703\",\"message\":\"no \\\"x\\\"\\n\",\"hint\":\"look\","
                "\"position\":3}",
                buf_slice(&out));
}

/* ---- frames ---- */

static void put(struct buf *out, unsigned first, const char *payload, size_t len)
{
    static const char mask[] = {'a', 'b', 'c', 'd'};
    ASSERT(len < 126);
    buf_append_char(out, (char)first);
    buf_append_char(out, (char)(0x80 | len));
    buf_append(out, mask, sizeof(mask));
    for (size_t i = 0; i < len; i++) {
        buf_append_char(out, (char)(payload[i] ^ mask[i & 3]));
    }
}

TEST(web, a_message_in_parts_is_one)
{
    /* Goal: parts and what comes between them. Method: cut at every byte. */
    struct buf bytes CLEANUP(buf_fini) = {0};
    put(&bytes, 0x01, "hel", 3);
    put(&bytes, 0x89, "ping", 4);
    put(&bytes, 0x00, "", 0);
    put(&bytes, 0x80, "lo", 2);
    put(&bytes, 0x81, "again", 5);
    struct frame_reader reader = {.message_bytes_max = 8};
    size_t at = 0, texts = 0, pings = 0;
    for (size_t end = 1; end <= bytes.len; end++) {
        struct frame_read read_;
        struct slice part = {bytes.ptr + at, end - at};
        enum frame_event event = frame_read(&reader, part, &read_);
        if (event == FRAME_EVENT_PARTIAL) {
            CHECK(read_.need > part.len && frame_need(part, 8) > part.len);
            continue;
        }
        CHECK(read_.used == part.len);
        at = end;
        if (event == FRAME_EVENT_TEXT) {
            CHECK(slice_equal(buf_slice(&reader.message),
                              texts == 0 ? SLICE("hello") : SLICE("again")));
            texts++;
        } else if (event == FRAME_EVENT_PING) {
            assert_memory_equal("ping", read_.payload, 4);
            pings++;
        } else {
            CHECK(event == FRAME_EVENT_PART);
        }
    }
    CHECK(at == bytes.len && texts == 2 && pings == 1);
    frame_reader_fini(&reader);
}

TEST(web, a_message_has_a_limit_over_its_parts)
{
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct frame_reader reader = {.message_bytes_max = 8};
    struct frame_read read_;
    put(&bytes, 0x01, "12345", 5);
    size_t first = bytes.len;
    put(&bytes, 0x80, "6789", 4);
    CHECK(frame_read(&reader, buf_slice(&bytes), &read_) == FRAME_EVENT_PART);
    struct slice rest = {bytes.ptr + first, 6}; /* its head is enough */
    CHECK(frame_read(&reader, rest, &read_) == FRAME_EVENT_WRONG);
    CHECK(read_.code == FRAME_CLOSE_LONG && read_.used == 0);
    frame_reader_fini(&reader);
}

TEST(web, frames_out_have_the_shortest_length)
{
    static const size_t lengths[][2] = {{0, 2}, {125, 2}, {126, 4}, {65535, 4}, {65536, 10}};
    for (size_t i = 0; i < ARRAY_COUNT(lengths); i++) {
        struct buf payload CLEANUP(buf_fini) = {0};
        struct buf out CLEANUP(buf_fini) = {0};
        for (size_t at = 0; at < lengths[i][0]; at++) {
            buf_append_char(&payload, 'x');
        }
        frame_write(&out, FRAME_TEXT, buf_slice(&payload));
        CHECK(out.len == lengths[i][0] + lengths[i][1] && (uint8_t)out.ptr[0] == 0x81);
    }
    struct buf out CLEANUP(buf_fini) = {0};
    frame_write_close(&out, 1001, SLICE("bye"));
    CHECK_SLICE("\x88\x05\x03\xE9"
                "bye",
                buf_slice(&out));
}

TEST(web, frames_without_memory)
{
    struct buf bytes CLEANUP(buf_fini) = {0};
    put(&bytes, 0x81, "hello", 5);
    SWEEP_ALLOC(fault)
    {
        struct frame_reader reader = {.message_bytes_max = 8};
        struct frame_read read_;
        enum frame_event event = frame_read(&reader, buf_slice(&bytes), &read_);
        CHECK(event == FRAME_EVENT_TEXT ||
              (event == FRAME_EVENT_WRONG && read_.code == FRAME_CLOSE_BUSY && fault.fired));
        frame_reader_fini(&reader);
    }
}
