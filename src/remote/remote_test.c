/* Addresses and values; the doors themselves: tests/cli/connect_test.py, against a server. */
#include "arrow/value.h"
#include "base/proto.h"
#include "base/sweep.h"
#include "base/test.h"
#include "remote/flight_reply.h"
#include "remote/remote_int.h"

static enum err parse(struct arena *arena, const char *url, struct remote_address *ret_address)
{
    struct errinfo info;
    errinfo_init(&info);
    enum err err = remote_address_parse(url, arena, ret_address, &info);
    if (err != ERR_OK && err != ERR_NOMEM) {
        CHECK(info.message[0] != '\0' && strstr(info.message, "secret") == NULL);
    }
    return err;
}

TEST(remote, addresses_are_read)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct remote_address a;
    CHECK_OK(parse(arena, "postgres://amelia@moat.example.com/lake", &a));
    CHECK(a.door == REMOTE_POSTGRES && a.is_tls && !a.is_loopback && a.port == 5433);
    CHECK_STR("amelia", a.user);
    CHECK_STR("moat.example.com", a.host);
    CHECK_STR("lake", a.catalog);
    CHECK(a.schema == NULL && a.ca_file == NULL);
    CHECK_OK(parse(arena, "HTTPS://[2001:db8::1]:7/a%20b/c?ca=/etc/x%2Fy.pem", &a));
    CHECK(a.door == REMOTE_HTTP && a.is_tls && a.port == 7 && a.user == NULL);
    CHECK_STR("2001:db8::1", a.host);
    CHECK_STR("a b", a.catalog);
    CHECK_STR("c", a.schema);
    CHECK_STR("/etc/x/y.pem", a.ca_file);
    CHECK_OK(parse(arena, "http://a%40b.example@localhost:1", &a));
    CHECK(!a.is_tls && a.is_loopback);
    CHECK_STR("a@b.example", a.user);
    CHECK_OK(parse(arena, "postgresql://127.0.0.1", &a));
    CHECK(!a.is_tls);
}

TEST(remote, addresses_of_flight)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct remote_address a;
    CHECK_OK(parse(arena, "grpc+tls://amelia@h/lake/sales?ca=/x.pem&timeout=7", &a));
    CHECK(a.door == REMOTE_FLIGHT && a.is_tls && a.port == 5436 && a.timeout_s == 7);
    CHECK_STR("sales", a.schema);
    CHECK_STR("/x.pem", a.ca_file);
    CHECK_OK(parse(arena, "grpcs://h", &a));
    CHECK(a.is_tls && a.timeout_s == 0);
    CHECK_OK(parse(arena, "grpc://localhost:1", &a));
    CHECK(!a.is_tls && a.door == REMOTE_FLIGHT);
}

TEST(remote, what_is_no_address_is_refused)
{
    static const struct {
        enum err err;
        const char *url;
    } cases[] = {
        {ERR_INVALID, ""},
        {ERR_INVALID, "moat.example.com"},
        {ERR_INVALID, "ftp://h"},
        {ERR_INVALID, "postgres://"},
        {ERR_INVALID, "postgres://@h"},
        {ERR_INVALID, "postgres://amelia:secret@h"},
        {ERR_INVALID, "https://amelia:secret@h"},
        {ERR_INVALID, "postgres://h:0"},
        {ERR_INVALID, "postgres://h:65536"},
        {ERR_INVALID, "postgres://h:x"},
        {ERR_INVALID, "postgres://h/a/b"},
        {ERR_INVALID, "https://h/a/b/c"},
        {ERR_INVALID, "https://h?password=secret"},
        {ERR_INVALID, "https://h?ca="},
        {ERR_INVALID, "http://localhost?ca=x"},
        {ERR_INVALID, "https://h%00"},
        {ERR_INVALID, "grpc+tls:// h"},
        {ERR_INVALID, "https://h%0a"},
        {ERR_INVALID, "https://h%4"},
        {ERR_INVALID, "https://[::1"},
        {ERR_INVALID, "https://[::1]x"},
        {ERR_DENIED, "http://moat.example.com"},
        {ERR_DENIED, "http://127.example.com"},
        {ERR_DENIED, "grpc://moat.example.com"},
        {ERR_DENIED, "grpc+tcp://h"},
        {ERR_INVALID, "grpc+udp://localhost"},
        {ERR_INVALID, "grpc://localhost?ca=x"},
        {ERR_INVALID, "grpc://moat.example.com?ca=x"},
        {ERR_INVALID, "grpc://localhost?timeout=0"},
        {ERR_INVALID, "grpc://localhost?timeout=100000"},
        {ERR_INVALID, "https://h?timeout=1"},
    };
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct remote_address address = {0};
        enum err err = parse(arena, cases[i].url, &address);
        if (err != cases[i].err || address.host != NULL) {
            fail_msg("%s: %s", cases[i].url, err_name(err));
        }
    }
    char host[8 + 254 + 1] = "https://";
    struct remote_address address = {0};
    memset(host + 8, 'a', 254);
    CHECK_ERR(ERR_LIMIT, parse(arena, host, &address));
    host[8 + 253] = '\0';
    CHECK_OK(parse(arena, host, &address));
    char longest[2048 + 2] = "https://h/";
    memset(longest + strlen(longest), 'a', sizeof(longest) - 1 - strlen(longest));
    longest[sizeof(longest) - 1] = '\0';
    CHECK_ERR(ERR_LIMIT, parse(arena, longest, &address));
    longest[sizeof(longest) - 2] = '\0';
    CHECK_OK(parse(arena, longest, &address));
}

TEST(remote, addresses_without_memory)
{
    SWEEP_ALLOC(fault)
    {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
        struct remote_address address;
        enum err err =
            arena == NULL ? ERR_NOMEM : parse(arena, "https://a@h:1/c/s?ca=/x", &address);
        CHECK(err == ERR_OK || fault.fired);
    }
}

/* One column of one type: the cell as it is printed, or the error. */
static enum err print(uint32_t type, int32_t modifier, const char *text, struct buf *out)
{
    struct remote_columns *columns = NULL;
    const struct ArrowSchema *schema;
    struct ArrowArray batch = {.release = NULL};
    struct errinfo info;
    enum err err = remote__columns_new(1, &columns, &info);
    if (err == ERR_OK) {
        err = remote__column_set(columns, 0, SLICE("c"), type, modifier, &info);
    }
    if (err == ERR_OK) {
        err = remote__columns_schema(columns, &schema, &info);
    }
    if (err == ERR_OK) {
        struct slice cell = text == NULL ? (struct slice){NULL, 0} : slice_of(text);
        err = remote__cell(columns, 0, cell, &info);
    }
    if (err == ERR_OK) {
        err = remote__columns_take(columns, 1, &batch, &info);
    }
    if (err == ERR_OK && !arrow_is_valid(schema->children[0], batch.children[0], 0)) {
        buf_append_str(out, "(null)");
    } else if (err == ERR_OK) {
        err = arrow_print(schema->children[0], batch.children[0], 0, out, &info);
    }
    if (batch.release != NULL) {
        batch.release(&batch);
    }
    remote__columns_free(columns);
    return err == ERR_OK && buf_failed(out) ? ERR_NOMEM : err;
}

TEST(remote, values_are_what_they_were)
{
    static const struct {
        uint32_t type;
        int32_t modifier;
        const char *text;
        const char *printed; /* NULL: refused */
    } cases[] = {
        {16, -1, "t", "true"},
        {16, -1, "f", "false"},
        {16, -1, "x", NULL},
        {21, -1, "-32768", "-32768"},
        {21, -1, "32768", NULL},
        {23, -1, "2147483647", "2147483647"},
        {23, -1, "1.5", NULL},
        {23, -1, "", NULL},
        {20, -1, "-9223372036854775808", "-9223372036854775808"},
        {20, -1, "9223372036854775807", "9223372036854775807"},
        {20, -1, "9223372036854775808", NULL},
        {20, -1, "-", NULL},
        {701, -1, "0.1", "0.1"},
        {701, -1, "1e300x", NULL},
        {1700, (9 << 16) + 2 + 4, "-1.10", "-1.10"},
        {1700, (9 << 16) + 2 + 4, "5", "5.00"},
        {1700, (9 << 16) + 2 + 4, "1.234", NULL},
        {1700, (9 << 16) + 2 + 4, "NaN", NULL},
        {1700, (38 << 16) + 0 + 4, "99999999999999999999999999999999999999",
         "99999999999999999999999999999999999999"},
        {1700, (38 << 16) + 0 + 4, "1000000000000000000000000000000000000000", NULL},
        {1700, -1, "1.10", "1.10"},
        {1082, -1, "2024-02-29", "2024-02-29"},
        {1082, -1, "1969-12-31", "1969-12-31"},
        {1082, -1, "0001-01-01", "0001-01-01"},
        {1082, -1, "infinity", "infinity"},
        {1082, -1, "-infinity", "-infinity"},
        {1082, -1, "2024-13-01", NULL},
        {1082, -1, "2024-1", NULL},
        {1083, -1, "23:59:59.000001", "23:59:59.000001"},
        {1083, -1, "1:2", NULL},
        {1114, -1, "1969-12-31 23:59:59.5", "1969-12-31 23:59:59.5"},
        {1114, -1, "2024-01-01", NULL},
        {1184, -1, "2024-01-01 01:00:00+05:30", "2023-12-31 19:30:00+00"},
        {1184, -1, "2024-01-01 01:00:00", NULL},
        {1184, -1, "infinity", "infinity"},
        {17, -1, "\\x00ff", "\\x00ff"},
        {17, -1, "\\x0", NULL},
        {17, -1, "\\x0g", NULL},
        {25, -1, "", ""},
        {25, -1, "\xff", NULL},
        {3802, -1, "{\"a\": 1}", "{\"a\": 1}"},
        {20, -1, NULL, "(null)"},
        {25, -1, NULL, "(null)"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf out CLEANUP(buf_fini) = {0};
        enum err err = print(cases[i].type, cases[i].modifier, cases[i].text, &out);
        bool is_right = cases[i].printed == NULL
                            ? err == ERR_INVALID
                            : err == ERR_OK && strcmp(buf_cstr(&out), cases[i].printed) == 0;
        if (!is_right) {
            fail_msg("type %u, %s: %s, %s", cases[i].type, cases[i].text, err_name(err),
                     buf_cstr(&out));
        }
    }
}

TEST(remote, values_without_memory)
{
    static const uint32_t types[] = {16, 17, 20, 25};
    static const char *const texts[] = {"t", "\\x00", "7", "text"};
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        SWEEP_ALLOC(fault)
        {
            struct buf out CLEANUP(buf_fini) = {0};
            enum err err = print(types[i], -1, texts[i], &out);
            CHECK(err == ERR_OK || (err == ERR_NOMEM && fault.fired));
        }
    }
}

TEST(remote, positions_are_bytes)
{
    CHECK(remote__position(SLICE("a\xC3\xA9x"), 3) == 4);
    CHECK(remote__position(SLICE("abc"), 0) == 0 && remote__position(SLICE("abc"), 9) == 0);
}

/* ---- Flight (flight_reply.c) ---- */

TEST(remote, statements_go_the_way_of_their_first_words)
{
    static const struct {
        enum flight_way way;
        const char *text;
    } cases[] = {
        {FLIGHT_QUERY, "SELECT 1"},
        {FLIGHT_QUERY, ""},
        {FLIGHT_QUERY, "/* INSERT */ (SELECT 1)"},
        {FLIGHT_QUERY, "-- DELETE"},
        {FLIGHT_QUERY, "/* not closed INSERT INTO t"},
        {FLIGHT_UPDATE, "-- why\n /* so */ insert into t values (1)"},
        {FLIGHT_QUERY, "INSERT INTO t VALUES (1) returning a"},
        {FLIGHT_UPDATE, "INSERT INTO t VALUES ('x') -- returnings"},
        {FLIGHT_UPDATE, "CREATE OR REPLACE TEMP VIEW v AS SELECT 1"},
        {FLIGHT_QUERY, "CREATE API KEY k FOR USER u"},
        {FLIGHT_QUERY, "CREATE USER u"},
        {FLIGHT_UPDATE, "drop table t"},
        {FLIGHT_BEGIN, "begin"},
        {FLIGHT_BEGIN, "START TRANSACTION"},
        {FLIGHT_QUERY, "START"},
        {FLIGHT_COMMIT, " COMMIT WORK"},
        {FLIGHT_ROLLBACK, "ROLLBACK"},
        {FLIGHT_QUERY, "ROLLBACK TO s"},
        {FLIGHT_QUERY, "INSERTS"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct slice word;
        if (flight_way_of(slice_of(cases[i].text), &word) != cases[i].way) {
            fail_msg("%s", cases[i].text);
        }
    }
}

TEST(remote, statuses_become_errors)
{
    struct errinfo info;
    errinfo_init(&info);
    struct slice text = SLICE("\"a [42601] b\" is wrong [42703] at byte 9\nDETAIL: why\nHINT: so");
    CHECK_ERR(ERR_INVALID, flight_error(3, "42703", text, 20, &info));
    CHECK_STR("\"a [42601] b\" is wrong", info.message);
    CHECK_STR("42703", info.sqlstate);
    CHECK_STR("why", info.detail);
    CHECK_STR("so", info.hint);
    CHECK(info.position == 9);
    CHECK_ERR(ERR_INVALID, flight_error(3, "42703", SLICE("x [42703] at byte 99"), 20, &info));
    CHECK(info.position == 0 && info.detail[0] == '\0');
    CHECK_ERR(ERR_TIMEOUT, flight_error(4, "57014", SLICE("late [57014]"), 0, &info));
    CHECK_ERR(ERR_DENIED, flight_error(16, "", SLICE("no"), 0, &info));
    CHECK_STR("28000", info.sqlstate);
    CHECK_ERR(ERR_UNSUPPORTED, flight_error(12, "", SLICE(""), 0, &info));
    CHECK(info.message[0] != '\0');
    CHECK_ERR(ERR_ENGINE, flight_error(99, "", SLICE("x"), 0, &info));
    CHECK_ERR(ERR_SYNTAX, flight_error(3, "42601", SLICE(" [42601]\nHINT: x"), 0, &info));
    CHECK_STR("the server gives no reason", info.message);
    CHECK_ERR(ERR_ENGINE, flight_error(-1, "toolong", SLICE("x"), 0, &info));
    struct buf out CLEANUP(buf_fini) = {0};
    flight_decode(SLICE("a%20b%zz%C3%A9%"), &out);
    CHECK_STR("a b%zz\xC3\xA9%", buf_cstr(&out));
}

/* A FlightInfo with one endpoint a location; NULL: one without any. */
static void put_info(struct buf *out, const char *const *locations, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct buf endpoint CLEANUP(buf_fini) = {0};
        struct buf part CLEANUP(buf_fini) = {0};
        proto_put_bytes(&part, 1, SLICE("ticket"));
        proto_put_bytes(&endpoint, 1, buf_slice(&part));
        if (locations[i] != NULL) {
            buf_reset(&part);
            proto_put_bytes(&part, 1, slice_of(locations[i]));
            proto_put_bytes(&endpoint, 2, buf_slice(&part));
        }
        proto_put_bytes(out, 3, buf_slice(&endpoint));
    }
}

TEST(remote, rows_elsewhere_are_not_asked_for)
{
    static const struct {
        const char *address;
        const char *location;
        bool is_elsewhere;
    } cases[] = {
        {"grpc://localhost:7", NULL, false},
        {"grpc://localhost:7", "grpc://LOCALHOST:7", false},
        {"grpc://localhost:7", "grpc+tcp://localhost:7/", false},
        {"grpc://localhost:7", "grpc+tls://localhost:7", true},
        {"grpc+tls://h:7", "grpc+tls://h:7", false},
        {"grpc+tls://h:7", "grpc://h:7", true},
        {"grpc+tls://h:7", "grpc+tls://h.evil:7", true},
        {"grpc+tls://h:7", "grpc+tls://h:77", true},
        {"grpc+tls://h:7", "", true},
        {"grpc+tls://[::1]:7", "grpc+tls://[::1]:7", false},
        {"grpc+tls://h:7", "arrow-flight-reuse-connection://?", false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        SWEEP_ALLOC(fault)
        {
            struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
            struct buf message CLEANUP(buf_fini) = {0};
            struct remote_address address;
            struct flight_endpoint *endpoints;
            size_t count;
            put_info(&message, &cases[i].location, 1);
            enum err err = arena == NULL || buf_failed(&message)
                               ? ERR_NOMEM
                               : parse(arena, cases[i].address, &address);
            err = err != ERR_OK
                      ? err
                      : flight_info(buf_slice(&message), &address, arena, &endpoints, &count, NULL);
            if (fault.fired) {
                continue;
            }
            CHECK_OK(err);
            CHECK(count == 1 && slice_equal(endpoints[0].ticket, SLICE("ticket")));
            if (endpoints[0].is_elsewhere != cases[i].is_elsewhere) {
                fail_msg("%s", cases[i].location);
            }
        }
    }
}

TEST(remote, prefixes_of_messages)
{
    uint64_t len;
    CHECK_OK(flight_frame("\0\1\2\3\4", &len, NULL));
    CHECK(len == 0x01020304);
    CHECK_ERR(ERR_UNSUPPORTED, flight_frame("\1\0\0\0\0", &len, NULL));
    CHECK_ERR(ERR_IO, flight_frame("\2\0\0\0\0", &len, NULL));
}
