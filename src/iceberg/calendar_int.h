/* Days since 1970-01-01 and dates of the proleptic Gregorian calendar, year 0 included. */
#pragma once

#include "base/base.h"
#include "base/buf.h"

/* After Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": eras of 400 years. */
static inline int64_t iceberg__days_from_date(int64_t year, unsigned month, unsigned day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static inline void iceberg__date_from_days(int64_t days, int64_t *ret_year, unsigned *ret_month,
                                           unsigned *ret_day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153;
    *ret_day = (unsigned)(day_of_year - (153 * month + 2) / 5 + 1);
    *ret_month = (unsigned)(month < 10 ? month + 3 : month - 9);
    *ret_year = year_of_era + era * 400 + (*ret_month <= 2 ? 1 : 0);
}

/* Quotient towards minus infinity, of a positive divisor. */
static inline int64_t iceberg__floor_div(int64_t value, int64_t divisor)
{
    return value / divisor - (value % divisor < 0 ? 1 : 0);
}

static inline int64_t iceberg__floor_mod(int64_t value, int64_t divisor)
{
    int64_t rest = value % divisor;
    return rest < 0 ? rest + divisor : rest;
}

/* ISO 8601: "2017-11-16", "22:31:08.123456", "2017-11-16T22:31:08.123456[+00:00]". `per_second`
 * is 1000000 or 1000000000; all digits of the fraction are written. */
void iceberg__print_date(int64_t days, struct buf *out);
void iceberg__print_time(int64_t value, int64_t per_second, struct buf *out);
void iceberg__print_timestamp(int64_t value, int64_t per_second, bool has_zone, struct buf *out);

/* False for another form, a date that is none, digits beyond the unit, or no room in 64 bits. A
 * time may be 24:00:00, which some engines have. */
MUST_USE bool iceberg__parse_date(struct slice text, int64_t *ret_days);
MUST_USE bool iceberg__parse_time(struct slice text, int64_t per_second, int64_t *ret_value);
/* With a zone the text ends in "Z" or "+00:00". */
MUST_USE bool iceberg__parse_timestamp(struct slice text, int64_t per_second, bool has_zone,
                                       int64_t *ret_value);
