/* Each day of ten thousand years, counted one by one. */
#include "base/calendar.h"
#include "base/test.h"

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static unsigned days_of(int64_t year, unsigned month)
{
    static const unsigned days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap(year));
}

TEST(calendar, has_each_day_once)
{
    int64_t day = CALENDAR_DAY_FIRST - 366 - 365; /* -001-01-01 */
    for (int64_t year = -1; year <= 10001; year++) {
        for (unsigned month = 1; month <= 12; month++) {
            for (unsigned of_month = 1; of_month <= days_of(year, month); of_month++, day++) {
                struct calendar_date date = calendar_date_of(day);
                assert_int_equal(year, date.year);
                assert_int_equal(month, date.month);
                assert_int_equal(of_month, date.day);
                assert_int_equal(day, calendar_day(year, month, of_month));
                assert_int_equal(year >= 1 && year <= 9999, calendar_is_plain(day));
                if (calendar_is_plain(day)) {
                    char ours[CALENDAR_DATE_BYTES + 1] = {0}, theirs[32];
                    assert_true(calendar_put(ours, day) == ours + CALENDAR_DATE_BYTES);
                    (void)snprintf(theirs, sizeof(theirs), "%04d-%02u-%02u", (int)year, month,
                                   of_month);
                    assert_string_equal(theirs, ours);
                }
            }
        }
    }
    assert_int_equal(0, calendar_day(1970, 1, 1));
}

TEST(calendar, goes_far)
{
    static const int64_t days[] = {-INT64_C(106751991), INT64_C(106751991), INT32_MIN,
                                   INT32_MAX,           INT64_C(1) << 50,   -(INT64_C(1) << 50)};
    for (size_t i = 0; i < ARRAY_COUNT(days); i++) {
        struct calendar_date date = calendar_date_of(days[i]);
        assert_int_equal(days[i], calendar_day(date.year, date.month, date.day));
    }
    assert_int_equal(-2, floor_div(-5, 4));
    assert_int_equal(3, floor_mod(-5, 4));
}
