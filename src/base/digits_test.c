/* Digits as printf has them. */
#include "base/digits.h"
#include "base/test.h"

static void check(uint64_t value)
{
    char ours[48], theirs[48];
    for (unsigned least = 1; least <= DIGITS_U64_MAX; least++) {
        memset(ours, '#', sizeof(ours));
        char *end = digits_put(ours, value, least);
        int len = snprintf(theirs, sizeof(theirs), "%0*llu", (int)least, (unsigned long long)value);
        assert_int_equal(len, end - ours);
        assert_memory_equal(theirs, ours, (size_t)len);
        assert_int_equal('#', *end); /* no byte beyond */
        assert_true(digits_put_fast(ours, value, least) == ours + len);
        assert_memory_equal(theirs, ours, (size_t)len);
        assert_int_equal('#', ours[DIGITS_ROOM]);
    }
    char *end = digits_put_signed(ours, (int64_t)value);
    int len = snprintf(theirs, sizeof(theirs), "%lld", (long long)value);
    assert_int_equal(len, end - ours);
    assert_memory_equal(theirs, ours, (size_t)len);
    assert_true(digits_put_signed_fast(ours, (int64_t)value) == ours + len);
    assert_memory_equal(theirs, ours, (size_t)len);
}

TEST(digits, are_those_of_printf)
{
    uint64_t power = 1;
    for (int i = 0; i < 20; i++, power *= 10) {
        check(power);
        check(power - 1);
        check(power + 1);
        check(0 - power);
    }
    for (int i = 0; i < 64; i++) {
        check(UINT64_C(1) << i);
        check((UINT64_C(1) << i) - 1);
    }
    check(0);
    check(UINT64_MAX);
}

TEST(digits, of_eight_are_those_of_each_value)
{
    for (uint32_t value = 0; value < 100000000; value += value < 200000 ? 1 : 9973) {
        char ours[DIGITS_ROOM], theirs[16];
        (void)digits_put_fast(ours, value, 8);
        (void)snprintf(theirs, sizeof(theirs), "%08u", (unsigned)value);
        assert_memory_equal(theirs, ours, 8);
    }
}

TEST(digits, of_decimals_have_their_point)
{
    static const uint64_t values[] = {
        0, 1, 7, 10, 99, 100, 12345, 999999999, UINT64_MAX / 2, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        uint64_t power = 1;
        for (unsigned scale = 0; scale <= 18; scale++, power *= 10) {
            char ours[DIGITS_DECIMAL_ROOM + 1], theirs[64];
            ours[DIGITS_DECIMAL_ROOM] = '#';
            char *end = digits_put_decimal(ours, values[i], scale);
            int len =
                snprintf(theirs, sizeof(theirs), "%llu", (unsigned long long)(values[i] / power));
            if (scale > 0) {
                len += snprintf(theirs + len, sizeof(theirs) - (size_t)len, ".%0*llu", (int)scale,
                                (unsigned long long)(values[i] % power));
            }
            assert_int_equal(len, end - ours);
            assert_memory_equal(theirs, ours, (size_t)len);
            assert_int_equal('#', ours[DIGITS_DECIMAL_ROOM]);
        }
    }
}

TEST(digits, hexadecimal_ones_are_worth_what_strtol_says)
{
    for (int c = 0; c < 256; c++) {
        char text[2] = {(char)c, '\0'};
        char *end = text;
        long worth = c == ' ' || c == '+' || c == '-' ? 0 : strtol(text, &end, 16);
        assert_int_equal(end == text + 1 ? worth : -1, digits_hex((char)c));
    }
}
