#include "iceberg/calendar_int.h"

#include <stdlib.h>

#include "base/checked.h"

#define DAY_SECONDS 86400

void iceberg__print_date(int64_t days, struct buf *out)
{
    struct calendar_date date = calendar_date_of(days);
    const char *sign = date.year < 0 ? "-" : date.year > 9999 ? "+" : "";
    buf_printf(out, "%s%04lld-%02u-%02u", sign, llabs((long long)date.year), date.month, date.day);
}

void iceberg__print_time(int64_t value, int64_t per_second, struct buf *out)
{
    int64_t seconds = value / per_second;
    buf_printf(out, "%02lld:%02lld:%02lld.%0*lld", (long long)(seconds / 3600),
               (long long)(seconds / 60 % 60), (long long)(seconds % 60),
               per_second == 1000000 ? 6 : 9, (long long)(value % per_second));
}

void iceberg__print_timestamp(int64_t value, int64_t per_second, bool has_zone, struct buf *out)
{
    iceberg__print_date(floor_div(value, DAY_SECONDS * per_second), out);
    buf_append_char(out, 'T');
    iceberg__print_time(floor_mod(value, DAY_SECONDS * per_second), per_second, out);
    if (has_zone) {
        buf_append_str(out, "+00:00");
    }
}

/* Exactly `count` digits from the front of `text`. */
static bool take_number(struct slice *text, size_t count, int64_t *ret_value)
{
    int64_t value = 0;
    if (text->len < count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        char c = text->ptr[i];
        if (c < '0' || c > '9') {
            return false;
        }
        value = value * 10 + (c - '0');
    }
    *text = (struct slice){text->ptr + count, text->len - count};
    *ret_value = value;
    return true;
}

static bool take_char(struct slice *text, char c)
{
    if (text->len == 0 || text->ptr[0] != c) {
        return false;
    }
    *text = (struct slice){text->ptr + 1, text->len - 1};
    return true;
}

static size_t count_digits(struct slice text)
{
    size_t count = 0;
    while (count < text.len && text.ptr[count] >= '0' && text.ptr[count] <= '9') {
        count++;
    }
    return count;
}

bool iceberg__parse_date(struct slice text, int64_t *ret_days)
{
    static const int64_t month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t year;
    int64_t month;
    int64_t day;
    bool is_negative = take_char(&text, '-');
    bool is_long = is_negative || take_char(&text, '+');
    size_t digits = count_digits(text);
    if (digits < 4 || digits > 9 || (digits > 4 && !is_long) ||
        !take_number(&text, digits, &year) || !take_char(&text, '-') ||
        !take_number(&text, 2, &month) || !take_char(&text, '-') || !take_number(&text, 2, &day) ||
        text.len != 0) {
        return false;
    }
    year = is_negative ? -year : year;
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (month < 1 || month > 12 || day < 1 || day > month_days[month - 1] ||
        (month == 2 && day == 29 && !is_leap)) {
        return false;
    }
    *ret_days = calendar_day(year, month, day);
    return true;
}

/* ".123": any number of digits, those beyond the unit only if they are 0. */
static bool take_fraction(struct slice *text, int64_t per_second, int64_t *ret_value)
{
    *ret_value = 0;
    if (!take_char(text, '.')) {
        return true;
    }
    size_t digits = count_digits(*text);
    int64_t unit = per_second;
    if (digits == 0) {
        return false;
    }
    for (size_t i = 0; i < digits; i++) {
        int64_t digit = text->ptr[i] - '0';
        unit /= 10;
        if (unit == 0 && digit != 0) {
            return false;
        }
        *ret_value += digit * unit;
    }
    *text = (struct slice){text->ptr + digits, text->len - digits};
    return true;
}

bool iceberg__parse_time(struct slice text, int64_t per_second, int64_t *ret_value)
{
    int64_t hours;
    int64_t minutes;
    int64_t seconds = 0;
    int64_t fraction = 0;
    if (!take_number(&text, 2, &hours) || !take_char(&text, ':') ||
        !take_number(&text, 2, &minutes)) {
        return false;
    }
    if (text.len > 0 && (!take_char(&text, ':') || !take_number(&text, 2, &seconds) ||
                         !take_fraction(&text, per_second, &fraction))) {
        return false;
    }
    if (text.len != 0 || minutes > 59 || seconds > 59) {
        return false;
    }
    int64_t value = (hours * 3600 + minutes * 60 + seconds) * per_second + fraction;
    if (value > DAY_SECONDS * per_second) {
        return false;
    }
    *ret_value = value;
    return true;
}

bool iceberg__parse_timestamp(struct slice text, int64_t per_second, bool has_zone,
                              int64_t *ret_value)
{
    static const struct slice zones[] = {{"+00:00", 6}, {"Z", 1}};
    bool found = !has_zone;
    for (size_t i = 0; has_zone && !found && i < ARRAY_COUNT(zones); i++) {
        if (slice_ends_with(text, zones[i])) {
            text.len -= zones[i].len;
            found = true;
        }
    }
    size_t middle = slice_find(text, SLICE("T"));
    int64_t days;
    int64_t time;
    int64_t value;
    if (!found || middle == SIZE_MAX ||
        !iceberg__parse_date((struct slice){text.ptr, middle}, &days) ||
        !iceberg__parse_time((struct slice){text.ptr + middle + 1, text.len - middle - 1},
                             per_second, &time) ||
        time == DAY_SECONDS * per_second) {
        return false;
    }
    /* The first day that begins before the least value is still partly in range. */
    if (days < 0) {
        days++;
        time -= DAY_SECONDS * per_second;
    }
    if (!checked_mul(days, DAY_SECONDS * per_second, &value) || !checked_add(value, time, &value)) {
        return false;
    }
    *ret_value = value;
    return true;
}
