/* Digits: what one is worth, and numbers written into room that is there, for what is written a
 * hundred million times: no formats, and no byte beyond the last digit. */
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

/* `value` with at least `digits_min` digits (DIGITS_U64_MAX at most); returns what is behind. */
static inline char *digits_put(char *at, uint64_t value, unsigned digits_min)
{
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    unsigned count = digits_count(value | 1);
    count = count < digits_min ? digits_min : count;
    char *end = at + count;
    while (count >= 2) {
        count -= 2;
        memcpy(at + count, pairs + 2 * (value % 100), 2);
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
