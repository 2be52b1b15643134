/* Values between Iceberg and the engine's text: exact in both directions, or not told. */
#include <float.h>
#include <math.h>

#include "base/sweep.h"
#include "base/test.h"
#include "lake/lake_int.h"

static struct iceberg_type type_of(const char *text)
{
    struct iceberg_type type;
    CHECK_OK(iceberg_type_parse_text(slice_of(text), &type, NULL));
    return type;
}

static void expect_print(const char *type_text, struct iceberg_value value, const char *expected)
{
    struct buf out CLEANUP(buf_fini) = {0};
    struct iceberg_type type = type_of(type_text);
    value.type = type.id;
    lake__value_print(&type, &value, &out);
    CHECK_STR(expected, buf_cstr(&out));
}

TEST(lake, values_are_printed_exactly)
{
    /* Goal: a value of each type becomes a constant of just that value, over the type's range. */
    expect_print("boolean", (struct iceberg_value){.boolean = true}, "CAST('true' AS BOOLEAN)");
    expect_print("int", (struct iceberg_value){.integer = INT32_MIN},
                 "CAST('-2147483648' AS INTEGER)");
    expect_print("long", (struct iceberg_value){.integer = INT64_MIN},
                 "CAST('-9223372036854775808' AS BIGINT)");
    expect_print("float", (struct iceberg_value){.real = 0.1F}, "CAST('0.100000001' AS FLOAT)");
    expect_print("double", (struct iceberg_value){.real = 0.1},
                 "CAST('0.10000000000000001' AS DOUBLE)");
    expect_print("double", (struct iceberg_value){.real = (double)NAN}, "CAST('nan' AS DOUBLE)");
    expect_print("float", (struct iceberg_value){.real = -(double)INFINITY},
                 "CAST('-inf' AS FLOAT)");
    expect_print("double", (struct iceberg_value){.real = -0.0}, "CAST('-0' AS DOUBLE)");
    expect_print("date", (struct iceberg_value){.integer = 0}, "CAST('1970-01-01' AS DATE)");
    expect_print("date", (struct iceberg_value){.integer = -719163},
                 "CAST('0001-12-31 (BC)' AS DATE)");
    expect_print("date", (struct iceberg_value){.integer = 19782}, "CAST('2024-02-29' AS DATE)");
    expect_print("time", (struct iceberg_value){.integer = 86399999999},
                 "CAST('23:59:59.999999' AS TIME)");
    expect_print("timestamp", (struct iceberg_value){.integer = -1},
                 "CAST('1969-12-31 23:59:59.999999' AS TIMESTAMP)");
    expect_print("timestamp", (struct iceberg_value){.integer = -62135596800000001},
                 "CAST('0001-12-31 23:59:59.999999 (BC)' AS TIMESTAMP)");
    expect_print("timestamptz", (struct iceberg_value){.integer = 1},
                 "CAST('1970-01-01 00:00:00.000001+00' AS TIMESTAMP WITH TIME ZONE)");
    expect_print("timestamp_ns", (struct iceberg_value){.integer = -1},
                 "CAST('1969-12-31 23:59:59.999999999' AS TIMESTAMP_NS)");
    expect_print("decimal(9,2)", (struct iceberg_value){.decimal = -5, .precision = 9, .scale = 2},
                 "CAST('-0.05' AS DECIMAL(9,2))");
    expect_print("string", (struct iceberg_value){.bytes = SLICE("it's; --")},
                 "CAST('it''s; --' AS VARCHAR)");
    expect_print("binary", (struct iceberg_value){.bytes = SLICE("'\0\xff\\")},
                 "CAST('\\x27\\x00\\xFF\\x5C' AS BLOB)");
    expect_print("uuid",
                 (struct iceberg_value){.bytes = SLICE("\x1b\x82\xe7\xf7\x5e\x1c\x40\xcc"
                                                       "\xbb\xfc\xc6\xc3\xfb\x3c\x1f\xe1")},
                 "CAST('1b82e7f7-5e1c-40cc-bbfc-c6c3fb3c1fe1' AS UUID)");
    expect_print("long", (struct iceberg_value){.is_null = true}, "NULL");
    expect_print("variant", (struct iceberg_value){.boolean = true}, "NULL");
}

/* Parses `text` as the engine would write it; false if that says nothing. */
static bool parse(const char *type_text, struct slice text, struct arena *arena,
                  struct iceberg_value *ret_value)
{
    struct iceberg_type type = type_of(type_text);
    return lake__value_parse(&type, text, arena, ret_value);
}

TEST(lake, values_come_back)
{
    /* Goal: what is printed is read back as the same value; years of other than four digits are
     * not told, rather than told wrong. Method: random days and instants, extremes. */
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    uint64_t seed = test_seed();
    for (int i = 0; i < 2000; i++) {
        struct buf out CLEANUP(buf_fini) = {0};
        struct iceberg_type type = type_of(i % 2 == 0 ? "timestamptz" : "date");
        int64_t range = i % 2 == 0 ? INT64_C(250000000000000000) : 2900000;
        int64_t number = (int64_t)test_random_below(&seed, (uint64_t)range) - range / 4;
        struct iceberg_value value = {.type = type.id, .integer = number};
        struct iceberg_value back;
        lake__value_print(&type, &value, &out);
        struct slice text = buf_slice(&out);
        size_t end = slice_find(text, SLICE("' AS "));
        CHECK(end != SIZE_MAX);
        if (lake__value_parse(&type, (struct slice){text.ptr + 6, end - 6}, arena, &back)) {
            CHECK(back.integer == number);
        } else {
            CHECK(slice_find(text, SLICE("(BC)")) != SIZE_MAX);
        }
    }
    struct iceberg_value value;
    CHECK(parse("long", SLICE("-9223372036854775808"), arena, &value));
    CHECK(value.integer == INT64_MIN);
    CHECK(parse("int", SLICE("5000000000"), arena, &value) && value.type == ICEBERG_LONG);
    CHECK(parse("decimal(38,2)", SLICE("-99999999999999999999999999999999999.99"), arena, &value));
    CHECK(value.scale == 2 && value.precision == 37 && value.decimal < 0);
    CHECK(parse("double", SLICE("nan"), arena, &value) && isnan(value.real));
    CHECK(parse("double", SLICE("-inf"), arena, &value) && isinf(value.real) && value.real < 0);
    CHECK(parse("double", SLICE("1.7976931348623157e308"), arena, &value) && value.real == DBL_MAX);
    CHECK(parse("time", SLICE("23:59:59.5"), arena, &value) && value.integer == 86399500000);
    CHECK(parse("uuid", SLICE("1b82e7f7-5e1c-40cc-bbfc-c6c3fb3c1fe1"), arena, &value));
    CHECK(value.bytes.len == 16 && (uint8_t)value.bytes.ptr[0] == 0x1b);
    CHECK(parse("fixed[3]", SLICE("a\0b"), arena, &value) && value.bytes.len == 3);
}

TEST(lake, what_is_no_exact_value_is_not_told)
{
    /* Goal: a text that cannot be told exactly makes no predicate: files would be skipped wrongly.
     */
    static const char *const bad[][2] = {
        {"boolean", "TRUE"},
        {"long", ""},
        {"long", "1.5"},
        {"long", "9223372036854775808"},
        {"double", ""},
        {"double", "1.5x"},
        {"decimal(9,2)", "1e5"},
        {"decimal(9,2)", "-"},
        {"decimal(38,0)", "999999999999999999999999999999999999999"},
        {"date", "infinity"},
        {"date", "10000-01-01"},
        {"date", "2024-13-01"},
        {"date", "2024-01-01 (BC)"},
        {"date", "0044-03-15 (BC)"},
        {"time", "23:59"},
        {"time", "24:00:00.0000001"},
        {"timestamp", "2024-01-01"},
        {"timestamp", "2024-01-01 00:00:00.0000001"},
        {"timestamp", "2024-01-01 00:00:00+05"},
        {"timestamp", "0044-03-15 00:00:00 (BC)"},
        {"timestamp_ns", "9999-01-01 00:00:00"},
        {"uuid", "1b82e7f7-5e1c-40cc-bbfc-c6c3fb3c1fe"},
        {"uuid", "1b82e7f7-5e1c-40cc-bbfc-c6c3fb3c1fe12"},
        {"uuid", "1b82e7f7-5e1c-40cc-bbfc-c6c3fb3c1feg"},
        {"fixed[3]", "ab"},
        {"variant", "1"},
        {"unknown", "1"},
    };
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct iceberg_value value;
        if (parse(bad[i][0], slice_of(bad[i][1]), arena, &value)) {
            fail_msg("%s \"%s\" was taken", bad[i][0], bad[i][1]);
        }
    }
}

TEST(lake, values_without_memory_are_no_other_values)
{
    /* Goal: where an allocation fails, the text says so: half a constant would be another value. */
    static const char *const types[] = {"date", "timestamptz", "decimal(9,2)", "string", "uuid"};
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        SWEEP_ALLOC(fault)
        {
            struct buf out CLEANUP(buf_fini) = {0};
            struct iceberg_type type = type_of(types[i]);
            struct iceberg_value value = {.type = type.id,
                                          .integer = 5,
                                          .decimal = 5,
                                          .precision = 9,
                                          .scale = 2,
                                          .bytes = SLICE("0123456789abcdef")};
            lake__value_print(&type, &value, &out);
            CHECK(buf_failed(&out) == fault.fired);
        }
    }
}
