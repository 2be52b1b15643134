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
    }
    char *end = digits_put_signed(ours, (int64_t)value);
    int len = snprintf(theirs, sizeof(theirs), "%lld", (long long)value);
    assert_int_equal(len, end - ours);
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

TEST(digits, hexadecimal_ones_are_worth_what_strtol_says)
{
    for (int c = 0; c < 256; c++) {
        char text[2] = {(char)c, '\0'};
        char *end = text;
        long worth = c == ' ' || c == '+' || c == '-' ? 0 : strtol(text, &end, 16);
        assert_int_equal(end == text + 1 ? worth : -1, digits_hex((char)c));
    }
}
