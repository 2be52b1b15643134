#include "base/base.h"

#include "base/checked.h"
#include "base/test.h"

TEST(slice, compares)
{
    CHECK(slice_compare(SLICE("a"), SLICE("ab")) < 0);
    CHECK(slice_compare(SLICE("b"), SLICE("ab")) > 0);
    CHECK(slice_compare(SLICE("\x7F"), SLICE("\xFF")) < 0);
    CHECK(slice_compare(SLICE(""), slice_of(NULL)) == 0);
    CHECK(slice_equal_fold(SLICE("SeLeCt"), SLICE("sElEcT")));
    CHECK(!slice_equal_fold(SLICE("@"), SLICE("`")) && !slice_equal_fold(SLICE("["), SLICE("{")));
    CHECK(!slice_equal_fold(SLICE("\xC3\x84"), SLICE("\xC3\xA4"))); /* ASCII only */
    CHECK(slice_compare_fold(SLICE("A"), SLICE("b")) < 0);
    CHECK(slice_starts_with(SLICE("abc"), SLICE("ab")) &&
          !slice_starts_with(SLICE("a"), SLICE("ab")));
    CHECK(slice_starts_with_fold(SLICE("ABc"), SLICE("ab")));
    CHECK(slice_ends_with(SLICE("abc"), SLICE("bc")) && !slice_ends_with(SLICE("c"), SLICE("bc")));
}

TEST(slice, finds_like_a_naive_search)
{
    uint64_t seed = test_seed();
    for (int round = 0; round < 20000; round++) {
        char text[12];
        char needle[4];
        size_t text_len = test_random_below(&seed, sizeof(text));
        size_t needle_len = test_random_below(&seed, sizeof(needle));
        for (size_t i = 0; i < sizeof(text); i++) {
            text[i] = (char)('a' + test_random_below(&seed, 2));
            needle[i % sizeof(needle)] = (char)('a' + test_random_below(&seed, 2));
        }
        size_t expected = SIZE_MAX;
        for (size_t i = 0; i + needle_len <= text_len && expected == SIZE_MAX; i++) {
            expected = memcmp(text + i, needle, needle_len) == 0 ? i : SIZE_MAX;
        }
        CHECK(slice_find((struct slice){text, text_len}, (struct slice){needle, needle_len}) ==
              expected);
    }
}

TEST(slice, trims)
{
    CHECK_SLICE("a b", slice_trim(SLICE(" \t\r\n\v\fa b ")));
    CHECK_SLICE("", slice_trim(SLICE(" \n")));
    CHECK_SLICE("", slice_trim(slice_of(NULL)));
}

TEST(slice, knows_well_formed_utf8)
{
    /* RFC 3629, section 4: the edges of every range. */
    static const struct {
        const char *text;
        size_t bad; /* SIZE_MAX = well-formed */
    } cases[] = {
        {"", SIZE_MAX},
        {"\x7F", SIZE_MAX},
        {"\x80", 0},
        {"a\xC1\xBF", 1},
        {"\xC2\x80", SIZE_MAX},
        {"\xC2", 0},
        {"\xC2\x7F", 0},
        {"\xDF\xBF", SIZE_MAX},
        {"\xE0\x9F\xBF", 0},
        {"\xE0\xA0\x80", SIZE_MAX},
        {"\xED\x9F\xBF", SIZE_MAX},
        {"\xED\xA0\x80", 0},
        {"\xEE\x80\x80", SIZE_MAX},
        {"\xEF\xBF\xBF", SIZE_MAX},
        {"ab\xE2\x82", 2},
        {"\xF0\x8F\xBF\xBF", 0},
        {"\xF0\x90\x80\x80", SIZE_MAX},
        {"\xF4\x8F\xBF\xBF", SIZE_MAX},
        {"\xF4\x90\x80\x80", 0},
        {"\xF5\x80\x80\x80", 0},
        {"\xF0\x90\x80", 0},
        {"\xFF", 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        size_t bad = SIZE_MAX;
        CHECK(slice_is_utf8(slice_of(cases[i].text), &bad) == (cases[i].bad == SIZE_MAX));
        CHECK(bad == cases[i].bad);
    }
}

TEST(slice, reads_numbers_without_overflow)
{
    uint64_t u;
    int64_t i;
    CHECK(slice_to_u64(SLICE("18446744073709551615"), &u) && u == UINT64_MAX);
    CHECK(slice_to_u64(SLICE("007"), &u) && u == 7);
    CHECK(slice_to_i64(SLICE("-9223372036854775808"), &i) && i == INT64_MIN);
    CHECK(slice_to_i64(SLICE("9223372036854775807"), &i) && i == INT64_MAX);
    u = 3;
    i = 3;
    static const char *const bad_unsigned[] = {
        "", "-1", "+1", " 1", "1 ", "1a", "18446744073709551616", "99999999999999999999999"};
    for (size_t n = 0; n < ARRAY_COUNT(bad_unsigned); n++) {
        CHECK(!slice_to_u64(slice_of(bad_unsigned[n]), &u));
    }
    CHECK(!slice_to_i64(SLICE("9223372036854775808"), &i));
    CHECK(!slice_to_i64(SLICE("-9223372036854775809"), &i));
    CHECK(!slice_to_i64(SLICE("-"), &i) && !slice_to_i64(SLICE("--1"), &i));
    CHECK(u == 3 && i == 3);
}

TEST(slice, measures_edits)
{
    static const struct {
        const char *a;
        const char *b;
        unsigned distance;
    } cases[] = {{"", "", 0},        {"abc", "ABC", 0},      {"abc", "abd", 1},
                 {"abc", "ab", 1},   {"ab", "ba", 1},        {"kitten", "sitting", 3},
                 {"", "abc", 3},     {"selct", "select", 1}, {"ca", "abc", 3},
                 {"form", "from", 1}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct slice a = slice_of(cases[i].a);
        struct slice b = slice_of(cases[i].b);
        CHECK(slice_edit_distance(a, b, 9) == cases[i].distance);
        CHECK(slice_edit_distance(b, a, 9) == cases[i].distance);
        CHECK(slice_edit_distance(a, b, 1) == (cases[i].distance > 1 ? 2 : cases[i].distance));
    }
    char longer[70];
    memset(longer, 'a', sizeof(longer));
    struct slice edge = {longer, 64};
    CHECK(slice_edit_distance(edge, edge, 3) == 0);
    CHECK(slice_edit_distance((struct slice){longer, 65}, edge, 3) == 4);
}

TEST(checked, tells_overflow)
{
    size_t result = 5;
    CHECK(checked_add((size_t)1, (size_t)2, &result) && result == 3);
    CHECK(!checked_add(SIZE_MAX, (size_t)1, &result));
    CHECK(!checked_sub((size_t)0, (size_t)1, &result));
    CHECK(!checked_mul(SIZE_MAX / 2, (size_t)3, &result));
    CHECK(checked_mul(SIZE_MAX, (size_t)0, &result) && result == 0);
    int32_t narrow;
    CHECK(!checked_add(INT32_MAX, 1, &narrow));
}
