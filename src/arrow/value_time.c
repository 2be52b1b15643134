/* Dates, times, timestamps and intervals as the engine and PostgreSQL print them (ISO style).
 *
 * A timestamp with time zone is shown at UTC with "+00", or at a fixed offset if its type has one:
 * the instant is exact either way. Named zones would need the zone database and change with it. */
#include "arrow/arrow_int.h"
#include "base/calendar.h"

static const int64_t units_per_second[] = {1, 1000, 1000000, 1000000000};

static void print_days(int64_t days, struct buf *out, bool *ret_is_bc)
{
    struct calendar_date date = calendar_date_of(days);
    *ret_is_bc = date.year <= 0;
    buf_printf(out, "%04lld-%02u-%02u", (long long)(*ret_is_bc ? 1 - date.year : date.year),
               date.month, date.day);
}

/* ".5" for 500 of 1000; nothing for 0. */
static void print_fraction(int64_t fraction, enum arrow_unit unit, struct buf *out)
{
    if (fraction == 0) {
        return;
    }
    char text[16];
    int width = (int)unit * 3;
    int len = snprintf(text, sizeof(text), ".%0*lld", width, (long long)fraction);
    while (text[len - 1] == '0') {
        len--;
    }
    buf_append(out, text, (size_t)len);
}

static void print_clock(int64_t seconds, int64_t fraction, enum arrow_unit unit, struct buf *out)
{
    buf_printf(out, "%02lld:%02lld:%02lld", (long long)(seconds / 3600),
               (long long)(seconds / 60 % 60), (long long)(seconds % 60));
    print_fraction(fraction, unit, out);
}

static bool print_infinity(bool is_high, bool is_low, struct buf *out)
{
    if (is_high || is_low) {
        buf_append_str(out, is_high ? "infinity" : "-infinity");
    }
    return is_high || is_low;
}

static void print_date(const struct arrow_type *type, int64_t value, struct buf *out)
{
    bool is_wide = type->width_bits == 64;
    int64_t limit = is_wide ? INT64_MAX : INT32_MAX;
    if (print_infinity(value == limit, value == -limit, out)) {
        return;
    }
    bool is_bc;
    print_days(is_wide ? floor_div(value, 86400000) : value, out, &is_bc);
    buf_append_str(out, is_bc ? " (BC)" : "");
}

/* "+02:00" and "-0530" to seconds; false for a named zone. */
static bool fixed_offset(const char *timezone, int64_t *ret_seconds)
{
    if (timezone[0] != '+' && timezone[0] != '-') {
        return false;
    }
    int digits[4];
    int count = 0;
    for (const char *at = timezone + 1; *at != '\0'; at++) {
        if (*at == ':' && count == 2) {
            continue;
        }
        if (*at < '0' || *at > '9' || count == 4) {
            return false;
        }
        digits[count++] = *at - '0';
    }
    if (count != 4) {
        return false;
    }
    int64_t seconds = (digits[0] * 10 + digits[1]) * 3600 + (digits[2] * 10 + digits[3]) * 60;
    *ret_seconds = timezone[0] == '-' ? -seconds : seconds;
    return true;
}

static void print_timestamp(const struct arrow_type *type, int64_t value, struct buf *out)
{
    if (print_infinity(value == INT64_MAX, value == -INT64_MAX, out)) {
        return;
    }
    int64_t fraction = floor_mod(value, units_per_second[type->unit]);
    int64_t seconds = floor_div(value, units_per_second[type->unit]);
    int64_t offset = 0;
    bool is_zoned = type->timezone[0] != '\0';
    /* Seconds of an int64 second timestamp near its ends would overflow by the offset. */
    if (is_zoned && fixed_offset(type->timezone, &offset) &&
        __builtin_add_overflow(seconds, offset, &seconds)) {
        offset = 0;
    }
    int64_t of_day = floor_mod(seconds, 86400);
    bool is_bc;
    print_days(floor_div(seconds, 86400), out, &is_bc);
    buf_append_char(out, ' ');
    print_clock(of_day, fraction, type->unit, out);
    if (is_zoned) {
        int64_t minutes = (offset < 0 ? -offset : offset) / 60;
        buf_printf(out, "%c%02lld", offset < 0 ? '-' : '+', (long long)(minutes / 60));
        if (minutes % 60 != 0) {
            buf_printf(out, ":%02lld", (long long)(minutes % 60));
        }
    }
    buf_append_str(out, is_bc ? " (BC)" : "");
}

/* [-]HH:MM:SS.fraction of a span, whose hours may be many. */
static void print_span(int64_t value, enum arrow_unit unit, struct buf *out)
{
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    uint64_t per_second = (uint64_t)units_per_second[unit];
    buf_append_str(out, value < 0 ? "-" : "");
    print_clock((int64_t)(magnitude / per_second), (int64_t)(magnitude % per_second), unit, out);
}

static void print_count(int32_t count, const char *name, size_t start, struct buf *out)
{
    if (count == 0) {
        return;
    }
    buf_printf(out, "%s%d %s%s", out->len > start ? " " : "", count, name,
               count == 1 || count == -1 ? "" : "s");
}

static void print_interval(const struct arrow_interval *interval, struct buf *out)
{
    size_t start = out->len;
    print_count(interval->months / 12, "year", start, out);
    print_count(interval->months % 12, "month", start, out);
    print_count(interval->days, "day", start, out);
    if (interval->nanos != 0 || out->len == start) {
        buf_append_str(out, out->len > start ? " " : "");
        print_span(interval->nanos, ARROW_NANO, out);
    }
}

void arrow__print_temporal(const struct arrow_type *type, const struct ArrowArray *array,
                           int64_t index, struct buf *out)
{
    if (type->kind == ARROW_INTERVAL) {
        struct arrow_interval interval;
        memcpy(&interval, (const char *)array->buffers[1] + index * 16, sizeof(interval));
        print_interval(&interval, out);
        return;
    }
    int64_t value = type->width_bits == 32 ? ((const int32_t *)array->buffers[1])[index]
                                           : ((const int64_t *)array->buffers[1])[index];
    if (type->kind == ARROW_DATE) {
        print_date(type, value, out);
    } else if (type->kind == ARROW_TIMESTAMP) {
        print_timestamp(type, value, out);
    } else {
        print_span(value, type->unit, out);
    }
}
