/* Values as PostgreSQL prints them with DateStyle ISO and IntervalStyle postgres. */
#include <float.h>
#include <math.h>

#include "wire/pgvalue/pgvalue_int.h"

static const char digit_pairs[] = "00010203040506070809101112131415161718192021222324"
                                  "25262728293031323334353637383940414243444546474849"
                                  "50515253545556575859606162636465666768697071727374"
                                  "75767778798081828384858687888990919293949596979899";

static char *put_digits(uint64_t value, char *end)
{
    while (value >= 100) {
        end -= 2;
        memcpy(end, &digit_pairs[value % 100 * 2], 2);
        value /= 100;
    }
    if (value >= 10) {
        end -= 2;
        memcpy(end, &digit_pairs[value * 2], 2);
    } else {
        *--end = (char)('0' + value);
    }
    return end;
}

void pg__print_int(int64_t value, struct buf *out)
{
    char text[24];
    char *end = text + sizeof(text);
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    char *start = put_digits(magnitude, end);
    if (value < 0) {
        *--start = '-';
    }
    buf_append(out, start, (size_t)(end - start));
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

static int64_t floor_div(int64_t a, int64_t b, int64_t *ret_rest)
{
    int64_t quotient = a / b;
    int64_t rest = a % b;
    if (rest < 0) {
        rest += b;
        quotient--;
    }
    *ret_rest = rest;
    return quotient;
}

static char *put_2(char *at, int64_t value)
{
    memcpy(at, &digit_pairs[value * 2], 2);
    return at + 2;
}

/* Days since 1970-01-01 to the proleptic Gregorian calendar (H. Hinnant, "chrono-Compatible
 * Low-Level Date Algorithms", civil_from_days). True before the year 1. */
char *pg__put_days(int64_t days, char *text, bool *ret_is_bc)
{
    int64_t day_of_era;
    int64_t era = floor_div(days + 719468, 146097, &day_of_era);
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153; /* March is 0 */
    int64_t day = day_of_year - (153 * shifted + 2) / 5 + 1;
    int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
    int64_t year = year_of_era + era * 400 + (month <= 2);
    bool is_bc = year <= 0;
    year = is_bc ? 1 - year : year;
    char *at = text;
    if (year < 10000) {
        at = put_2(put_2(at, year / 100), year % 100);
    } else {
        at += snprintf(text, PG_DAYS_BYTES_MAX - 6, "%lld", (long long)year);
    }
    *at++ = '-';
    at = put_2(at, month);
    *at++ = '-';
    *ret_is_bc = is_bc;
    return put_2(at, day);
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
    int64_t seconds = us / 1000000;
    int64_t fraction = us % 1000000;
    char *at = put_2(text, seconds / 3600);
    *at++ = ':';
    at = put_2(at, seconds / 60 % 60);
    *at++ = ':';
    at = put_2(at, seconds % 60);
    if (fraction > 0) {
        *at++ = '.';
        at = put_2(put_2(put_2(at, fraction / 10000), fraction / 100 % 100), fraction % 100);
        while (at[-1] == '0') {
            at--;
        }
    }
    buf_append(out, text, (size_t)(at - text));
}

void pg__print_timestamp(int64_t us_since_1970, bool is_zoned, struct buf *out)
{
    int64_t of_day;
    bool is_bc = print_days(floor_div(us_since_1970, US_PER_DAY, &of_day), out);
    buf_append_char(out, ' ');
    pg__print_time(of_day, out);
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
