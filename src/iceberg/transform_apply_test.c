#include "iceberg/transform_int.h"

#include "base/test.h"

static struct iceberg_value integer(enum iceberg_type_id type, int64_t number)
{
    return (struct iceberg_value){.type = type, .integer = number};
}

static struct iceberg_value bytes(enum iceberg_type_id type, struct slice text)
{
    return (struct iceberg_value){.type = type, .bytes = text};
}

TEST(transform, hashes_are_those_of_the_specification)
{
    /* Goal: the test values of the spec's Appendix B. */
    struct iceberg_value decimal = {.type = ICEBERG_DECIMAL, .scale = 2, .decimal = 1420};
    struct iceberg_value truth = {.type = ICEBERG_BOOLEAN, .boolean = true};
    struct iceberg_value one = {.type = ICEBERG_FLOAT, .real = 1};
    struct iceberg_value zero = {.type = ICEBERG_DOUBLE, .real = -0.0};
    static const char uuid[] = "\xf7\x9c\x3e\x09\x67\x7c\x4b\xbd\xa4\x79\x3f\x34\x9c\xb7\x85\xe7";
    const struct {
        struct iceberg_value value;
        int32_t hash;
    } cases[] = {
        {integer(ICEBERG_INT, 34), 2017239379},
        {integer(ICEBERG_LONG, 34), 2017239379},
        {decimal, -500754589},
        {integer(ICEBERG_DATE, 17486), -653330422},
        {integer(ICEBERG_TIME, INT64_C(81068000000)), -662762989},
        {integer(ICEBERG_TIMESTAMP, INT64_C(1510871468000000)), -2047944441},
        {integer(ICEBERG_TIMESTAMPTZ, INT64_C(1510871468000001)), -1207196810},
        {integer(ICEBERG_TIMESTAMP_NS, INT64_C(1510871468000001001)), -1207196810},
        {bytes(ICEBERG_STRING, SLICE("iceberg")), 1210000089},
        {bytes(ICEBERG_UUID, (struct slice){uuid, 16}), 1488055340},
        {bytes(ICEBERG_FIXED, (struct slice){"\0\1\2\3", 4}), -188683207},
        {bytes(ICEBERG_BINARY, (struct slice){"\0\1\2\3", 4}), -188683207},
        {truth, 1392991556},
        {one, -142385009},
        {zero, 1669671676},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        assert_int_equal(iceberg_bucket_hash(&cases[i].value), cases[i].hash);
    }
}

static struct iceberg_value apply(const char *text, struct iceberg_type type,
                                  struct iceberg_value value, struct arena *arena)
{
    struct iceberg_transform transform;
    struct iceberg_value result;
    CHECK_OK(iceberg_transform_parse(slice_of(text), &transform, NULL));
    CHECK_OK(iceberg_transform_apply(&transform, &type, &value, arena, &result));
    return result;
}

static int64_t apply_number(const char *text, enum iceberg_type_id type, int64_t number,
                            struct arena *arena)
{
    struct iceberg_value result =
        apply(text, (struct iceberg_type){.id = type}, integer(type, number), arena);
    CHECK(!result.is_null);
    return result.integer;
}

TEST(transform, numbers_are_as_in_the_specification_and_its_reference)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    const struct {
        const char *transform;
        enum iceberg_type_id type;
        int64_t number;
        int64_t result;
    } cases[] = {
        {"truncate[10]", ICEBERG_INT, 1, 0},
        {"truncate[10]", ICEBERG_INT, -1, -10},
        {"truncate[10]", ICEBERG_LONG, -10, -10},
        {"truncate[10]", ICEBERG_INT, INT32_MIN, 2147483646},
        {"truncate[10]", ICEBERG_LONG, INT64_MIN, INT64_MAX - 1},
        {"bucket[16]", ICEBERG_INT, 34, 3},
        {"year", ICEBERG_DATE, 17501, 47},
        {"year", ICEBERG_DATE, -1, -1},
        {"year", ICEBERG_DATE, -365, -1},
        {"year", ICEBERG_DATE, -366, -2},
        {"month", ICEBERG_DATE, 17501, 575},
        {"month", ICEBERG_DATE, -1, -1},
        {"month", ICEBERG_DATE, -31, -1},
        {"month", ICEBERG_DATE, -32, -2},
        {"day", ICEBERG_DATE, -7, -7},
        {"day", ICEBERG_TIMESTAMP, -1, -1},
        {"day", ICEBERG_TIMESTAMP, INT64_C(-86400000000), -1},
        {"day", ICEBERG_TIMESTAMP_NS, INT64_C(86400000000000), 1},
        {"hour", ICEBERG_TIMESTAMPTZ, INT64_C(1512151975038194), 420042},
        {"hour", ICEBERG_TIMESTAMP, -1, -1},
        {"month", ICEBERG_TIMESTAMP, INT64_C(1512151975038194), 575},
        {"year", ICEBERG_TIMESTAMPTZ_NS, INT64_C(1512151975038194001), 47},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        assert_int_equal(apply_number(cases[i].transform, cases[i].type, cases[i].number, arena),
                         cases[i].result);
    }
    struct iceberg_type type = {.id = ICEBERG_DECIMAL, .precision = 9, .scale = 2};
    struct iceberg_value decimal = {
        .type = ICEBERG_DECIMAL, .precision = 9, .scale = 2, .decimal = 1065};
    CHECK(apply("truncate[50]", type, decimal, arena).decimal == 1050);
    decimal.decimal = -1;
    CHECK(apply("truncate[50]", type, decimal, arena).decimal == -50);
}

TEST(transform, texts_are_cut_by_code_points_and_bytes_by_bytes)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct iceberg_type string = {.id = ICEBERG_STRING};
    struct iceberg_type binary = {.id = ICEBERG_BINARY};
    struct iceberg_value null = {.type = ICEBERG_STRING, .is_null = true};
    CHECK_SLICE("ice",
                apply("truncate[3]", string, bytes(ICEBERG_STRING, SLICE("iceberg")), arena).bytes);
    CHECK_SLICE("i\xc3\xa9\xf0\x9f\x99\x82",
                apply("truncate[3]", string,
                      bytes(ICEBERG_STRING, SLICE("i\xc3\xa9\xf0\x9f\x99\x82x")), arena)
                    .bytes);
    CHECK_SLICE(
        "i\xc3",
        apply("truncate[2]", binary, bytes(ICEBERG_BINARY, SLICE("i\xc3\xa9")), arena).bytes);
    CHECK(apply("truncate[3]", string, null, arena).is_null);
    CHECK(apply("bucket[3]", string, null, arena).is_null);
    CHECK(apply("void", string, bytes(ICEBERG_STRING, SLICE("x")), arena).is_null);
}

static void check_text(const char *transform_text, enum iceberg_type_id type, int64_t number,
                       const char *expected)
{
    struct buf text CLEANUP(buf_fini) = {0};
    struct iceberg_transform transform;
    struct iceberg_value value = integer(type, number);
    CHECK_OK(iceberg_transform_parse(slice_of(transform_text), &transform, NULL));
    iceberg_transform_print_value(&transform, &value, &text);
    CHECK_STR(expected, buf_cstr(&text));
}

TEST(transform, values_print_as_in_paths)
{
    check_text("year", ICEBERG_INT, 54, "2024");
    check_text("year", ICEBERG_INT, -1, "1969");
    check_text("month", ICEBERG_INT, 648, "2024-01");
    check_text("month", ICEBERG_INT, -1, "1969-12");
    check_text("day", ICEBERG_DATE, 19753, "2024-01-31");
    check_text("day", ICEBERG_INT, -1, "1969-12-31");
    check_text("hour", ICEBERG_INT, 19753 * 24 + 5, "2024-01-31-05");
    check_text("hour", ICEBERG_INT, -1, "1969-12-31-23");
    check_text("bucket[8]", ICEBERG_INT, 7, "7");
}
