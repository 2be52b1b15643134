/* Digits: what one is worth, and numbers written into room that is there, for what is written a
 * hundred million times: no formats, and no byte beyond the last digit (decimals: some). */
#pragma once

#include "base/base.h"

/* What a hexadecimal digit of either case is worth; -1: it is none. */
static inline int digits_hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

#define DIGITS_U64_MAX 20u /* of the greatest number */

static inline unsigned digits_count(uint64_t value)
{
    static const uint64_t powers[] = {
        0,
        10,
        100,
        1000,
        10000,
        100000,
        1000000,
        10000000,
        100000000,
        1000000000,
        10000000000,
        100000000000,
        1000000000000,
        10000000000000,
        100000000000000,
        1000000000000000,
        10000000000000000,
        100000000000000000,
        1000000000000000000,
        10000000000000000000U,
    };
    unsigned bits = 64 - (unsigned)__builtin_clzll(value | 1);
    unsigned guess = bits * 1233 >> 12; /* of bits times log 2: too small by one, at most */
    return guess + (value >= powers[guess]);
}

extern const char digits_pairs[201]; /* "000102...99" */

/* Of a value below 100; returns what is behind, as all of these. */
static inline char *digits_put_pair(char *at, uint64_t value)
{
    memcpy(at, digits_pairs + 2 * value, 2);
    return at + 2;
}

/* `value` with at least `digits_min` digits (DIGITS_U64_MAX at most). */
static inline char *digits_put(char *at, uint64_t value, unsigned digits_min)
{
    unsigned count = digits_count(value | 1);
    count = count < digits_min ? digits_min : count;
    char *end = at + count;
    while (count >= 2) {
        count -= 2;
        (void)digits_put_pair(at + count, value % 100);
        value /= 100;
    }
    if (count == 1) {
        *at = (char)('0' + value);
    }
    return end;
}

/* With a sign, if it is below zero. */
static inline char *digits_put_signed(char *at, int64_t value)
{
    if (value < 0) {
        *at++ = '-';
    }
    return digits_put(at, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 1);
}

/* ---- quicker ones, which write to all of the room that they ask for ---- */

/* The eight digits of a value below 10^8, a byte each, the first in the lowest: twice four of them
 * at once, then four times two, then one by one (Muła, "SIMD-ized conversion of integers"). */
static inline uint64_t digits_of_8(uint64_t value)
{
    uint64_t fours = value / 10000 | (value % 10000) << 32;
    uint64_t hundreds = (fours * 10486 >> 20) & UINT64_C(0x7F0000007F);
    uint64_t pairs = hundreds | (fours - 100 * hundreds) << 16;
    uint64_t tens = (pairs * 103 >> 10) & UINT64_C(0x000F000F000F000F);
    return tens | (pairs - 10 * tens) << 8;
}

#define DIGITS_ROOM (DIGITS_U64_MAX + 8u)

/* How many of the eight are zeros before the number, at least `digits_min` of them left. By the
 * value and not by its digits: where the next number goes is known before this one is written. */
static inline unsigned digits_zeros_of_8(uint64_t value, unsigned digits_min)
{
    unsigned count = digits_count(value);
    return 8 - (count < digits_min ? digits_min : count);
}

#define DIGITS_ASCII UINT64_C(0x3030303030303030)

/* As digits_put. */
static inline char *digits_put_fast(char *at, uint64_t value, unsigned digits_min)
{
    if (value >= 100000000 || digits_min > 8) {
        return digits_put(at, value, digits_min);
    }
    uint64_t digits = digits_of_8(value);
    unsigned zeros = digits_zeros_of_8(value, digits_min);
    digits = (digits | DIGITS_ASCII) >> (8 * zeros);
    memcpy(at, &digits, 8);
    return at + 8 - zeros;
}

#define DIGITS_DECIMAL_ROOM 48u

/* No division: the point is put among the digits. */
static inline char *digits__put_long_decimal(char *at, uint64_t value, unsigned scale)
{
    char fraction[24];
    char *end = digits_put(at, value, scale + 1);
    memcpy(fraction, end - scale, sizeof(fraction));
    memcpy(end - scale + 1, fraction, sizeof(fraction));
    end[-(int)scale] = '.';
    return end + 1;
}

/* `value` divided by ten to the `scale` (18 at most): "0.07", "12". */
static inline char *digits_put_decimal(char *at, uint64_t value, unsigned scale)
{
    if (scale == 0) {
        return digits_put_fast(at, value, 1);
    }
    if (value >= 100000000 || scale > 7) {
        return digits__put_long_decimal(at, value, scale);
    }
    uint64_t digits = digits_of_8(value);
    unsigned zeros = digits_zeros_of_8(value, scale + 1);
    unsigned point = 8 * (8 - zeros - scale); /* in bits, 56 at most */
    digits = (digits | DIGITS_ASCII) >> (8 * zeros);
    uint64_t whole = digits & ((UINT64_C(1) << point) - 1);
    uint64_t word = whole | (uint64_t)'.' << point | (digits ^ whole) << 8;
    memcpy(at, &word, 8);
    at[8] = (char)(digits >> 56);
    return at + 8 - zeros + 1;
}

static inline char *digits_put_signed_fast(char *at, int64_t value)
{
    if (value < 0) {
        *at++ = '-';
    }
    return digits_put_fast(at, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 1);
}
