/* Values as PostgreSQL prints them with DateStyle ISO and IntervalStyle postgres. */
#include <float.h>
#include <math.h>

#include "base/calendar.h"
#include "wire/pgvalue/pgvalue_int.h"

void pg__print_int(int64_t value, struct buf *out)
{
    char text[DIGITS_U64_MAX + 1];
    char *end = digits_put_signed(text, value);
    buf_append(out, text, (size_t)(end - text));
}

/* The shortest text that reads back as the same value. Any number of DBL_DIG (FLT_DIG) digits
 * survives, so if a shorter one does these find it; plain from 1e-4 to below 1e15 (1e6). */
void pg__print_double(double value, bool is_single, struct buf *out)
{
    if (isnan(value) || isinf(value)) {
        buf_append_str(out, isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity");
        return;
    }
    char digits[40];
    bool is_normal = fabs(value) >= (is_single ? (double)FLT_MIN : DBL_MIN);
    int precision = !is_normal ? 1 : is_single ? FLT_DIG : DBL_DIG;
    for (; precision <= (is_single ? 9 : 17); precision++) {
        (void)snprintf(digits, sizeof(digits), "%.*e", precision - 1, value);
        if (is_single ? strtof(digits, NULL) == (float)value : strtod(digits, NULL) == value) {
            break;
        }
    }
    char *e = strchr(digits, 'e');
    ASSERT(e != NULL);
    int exponent = (int)strtol(e + 1, NULL, 10);
    char *end = e;
    bool has_point = memchr(digits, '.', (size_t)(e - digits)) != NULL;
    while (has_point && end[-1] == '0') {
        end--;
    }
    has_point = has_point && end[-1] != '.';
    end -= end[-1] == '.';
    size_t len = (size_t)(end - digits);
    if (value != 0 && (exponent < -4 || exponent >= (is_single ? 6 : 15))) {
        buf_append(out, digits, len);
        buf_printf(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    int significant = (int)len - (digits[0] == '-') - has_point;
    int decimals = significant - 1 - exponent;
    buf_printf(out, "%.*f", decimals < 0 ? 0 : decimals, value);
}

void pg__print_decimal(unsigned __int128 magnitude, bool is_negative, int32_t scale,
                       struct buf *out)
{
    char text[96];
    char *end = text + sizeof(text);
    char *at = end;
    int count = 0;
    while (magnitude > UINT64_MAX) {
        *--at = (char)('0' + (int)(magnitude % 10));
        magnitude /= 10;
        count++;
        if (count == scale) {
            *--at = '.';
        }
    }
    uint64_t rest = (uint64_t)magnitude;
    while (rest > 0 || count <= scale) {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
        count++;
        if (count == scale) {
            *--at = '.';
        }
    }
    if (is_negative) {
        *--at = '-';
    }
    buf_append(out, at, (size_t)(end - at));
    for (int32_t i = scale; i < 0; i++) {
        buf_append_char(out, '0');
    }
}

/* True before the year 1. */
char *pg__put_days(int64_t days, char *text, bool *ret_is_bc)
{
    *ret_is_bc = days < CALENDAR_DAY_FIRST;
    if (calendar_is_plain(days)) {
        return calendar_put(text, days);
    }
    struct calendar_date date = calendar_date_of(days);
    int len = snprintf(text, PG_DAYS_BYTES_MAX, "%04lld-%02u-%02u",
                       (long long)(*ret_is_bc ? 1 - date.year : date.year), date.month, date.day);
    return text + len;
}

static bool print_days(int64_t days, struct buf *out)
{
    char text[PG_DAYS_BYTES_MAX];
    bool is_bc;
    char *end = pg__put_days(days, text, &is_bc);
    buf_append(out, text, (size_t)(end - text));
    return is_bc;
}

void pg__print_date(int64_t days_since_1970, struct buf *out)
{
    if (print_days(days_since_1970, out)) {
        buf_append_str(out, " BC");
    }
}

void pg__print_time(int64_t us, struct buf *out)
{
    char text[24];
    uint64_t seconds = (uint64_t)us / 1000000;
    uint64_t fraction = (uint64_t)us % 1000000;
    char *at = digits_put_pair(text, seconds / 3600);
    *at++ = ':';
    at = digits_put_pair(at, seconds / 60 % 60);
    *at++ = ':';
    at = digits_put_pair(at, seconds % 60);
    if (fraction > 0) {
        *at++ = '.';
        at = digits_put(at, fraction, 6);
        while (at[-1] == '0') {
            at--;
        }
    }
    buf_append(out, text, (size_t)(at - text));
}

void pg__print_timestamp(int64_t us_since_1970, bool is_zoned, struct buf *out)
{
    bool is_bc = print_days(floor_div(us_since_1970, US_PER_DAY), out);
    buf_append_char(out, ' ');
    pg__print_time(floor_mod(us_since_1970, US_PER_DAY), out);
    buf_append_str(out, is_zoned ? "+00" : "");
    buf_append_str(out, is_bc ? " BC" : "");
}

/* "1 year", "-2 mons"; a sign is said again where it changes from the part before. */
static void print_part(int64_t count, const char *name, bool *is_first, bool *was_negative,
                       struct buf *out)
{
    if (count != 0) {
        buf_printf(out, "%s%s%lld %s%s", *is_first ? "" : " ",
                   *was_negative && count > 0 ? "+" : "", (long long)count, name,
                   count == 1 ? "" : "s");
        *was_negative = count < 0;
        *is_first = false;
    }
}

void pg__print_interval(const struct pg_interval *interval, struct buf *out)
{
    bool is_first = true;
    bool was_negative = false;
    print_part(interval->months / 12, "year", &is_first, &was_negative, out);
    print_part(interval->months % 12, "mon", &is_first, &was_negative, out);
    print_part(interval->days, "day", &is_first, &was_negative, out);
    if (interval->us == 0 && !is_first) {
        return;
    }
    uint64_t magnitude = interval->us < 0 ? 0 - (uint64_t)interval->us : (uint64_t)interval->us;
    uint64_t hours = magnitude / UINT64_C(3600000000);
    buf_printf(out, "%s%s%02llu:", is_first ? "" : " ",
               interval->us < 0 ? "-"
               : was_negative   ? "+"
                                : "",
               (unsigned long long)hours);
    struct buf clock CLEANUP(buf_fini) = {0};
    pg__print_time((int64_t)(magnitude % UINT64_C(3600000000)), &clock);
    if (!buf_failed(&clock) && clock.len > 3) {
        buf_append(out, clock.ptr + 3, clock.len - 3); /* without its hours */
    }
    out->failed = out->failed || buf_failed(&clock);
}

void pg__print_hex(struct slice bytes, struct buf *out)
{
    static const char digits[] = "0123456789abcdef";
    char *room = buf_reserve(out, bytes.len * 2 + 2);
    if (room == NULL) {
        return;
    }
    *room++ = '\\';
    *room++ = 'x';
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char byte = (unsigned char)bytes.ptr[i];
        *room++ = digits[byte >> 4];
        *room++ = digits[byte & 15];
    }
    out->len += bytes.len * 2 + 2;
}
