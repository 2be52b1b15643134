/* Dates and times as texts. */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "base/calendar.h"

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
