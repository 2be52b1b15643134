/* Days since 1970-01-01 and dates of the proleptic Gregorian calendar, the year 0 included.
 *
 * Sources: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms" (days_from_civil,
 * civil_from_days); C. Neri and L. Schneider, "Euclidean affine functions and their application to
 * calendar algorithms" (2022), for what is written a hundred million times. */
#pragma once

#include "base/base.h"
#include "base/digits.h"

#define CALENDAR_DAY_FIRST (-719162) /* 0001-01-01 */
#define CALENDAR_DAY_LAST 2932896    /* 9999-12-31 */
#define CALENDAR_DATE_BYTES 10u      /* YYYY-MM-DD */

struct calendar_date {
    int64_t year;
    unsigned month, day;
};

/* The quotient towards minus infinity, of a positive divisor. */
static inline int64_t floor_div(int64_t value, int64_t divisor)
{
    return value / divisor - (value % divisor < 0 ? 1 : 0);
}

static inline int64_t floor_mod(int64_t value, int64_t divisor)
{
    int64_t rest = value % divisor;
    return rest < 0 ? rest + divisor : rest;
}

/* Days beyond the month's end count on. */
static inline int64_t calendar_day(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = floor_div(y, 400);
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static inline struct calendar_date calendar_date_of(int64_t day)
{
    int64_t since = day + 719468; /* of years that begin in March */
    int64_t era = floor_div(since, 146097);
    int64_t of_era = since - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t shifted = (5 * of_year + 2) / 153;
    bool is_next = shifted >= 10;
    return (struct calendar_date){
        .year = year + era * 400 + is_next,
        .month = (unsigned)(is_next ? shifted - 9 : shifted + 3),
        .day = (unsigned)(of_year - (153 * shifted + 2) / 5 + 1),
    };
}

/* Whether its year has four digits, of our era. */
static inline bool calendar_is_plain(int64_t day)
{
    return day >= CALENDAR_DAY_FIRST && day <= CALENDAR_DAY_LAST;
}

/* YYYY-MM-DD of a plain day; returns what is behind. */
static inline char *calendar_put(char *at, int64_t day)
{
    uint32_t quarters = (uint32_t)(day + 719468) * 4 + 3;
    uint32_t century = quarters / 146097;
    uint64_t scaled = UINT64_C(2939745) * (quarters % 146097 | 3);
    uint32_t of_year = (uint32_t)scaled / 2939745 / 4;
    uint32_t shifted = 2141 * of_year + 197913;
    uint32_t is_next = of_year >= 306; /* January and February are of the year before */
    uint32_t year = 100 * century + (uint32_t)(scaled >> 32) + is_next;
    at = digits_put_pair(at, year / 100);
    at = digits_put_pair(at, year % 100);
    *at++ = '-';
    at = digits_put_pair(at, (shifted >> 16) - 12 * is_next);
    *at++ = '-';
    return digits_put_pair(at, (shifted & 0xFFFF) / 2141 + 1);
}
