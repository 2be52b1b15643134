/* Functions of dates and times as Trino has them.
 *
 *   trino_human_readable_seconds(seconds)   2 days, 3 hours, 1 second
 *   trino_parse_duration(text)              "3.5d" and the like, to the millisecond
 *   trino_to_iso8601(date or timestamp)     as many digits as its type has
 *   trino_from_unixtime(seconds, hours, minutes)   a moment; the offset is only checked
 *   trino_format_datetime(timestamp, format), trino_parse_datetime(text, format)
 *
 * Formats of the last two are those of Joda-Time's DateTimeFormat: a letter, as often as it says
 * how many digits or how long a word there are; all else stands for itself, and so does what is in
 * quotes. Words are English. What is parsed without a year is of 2000, without a date of the first
 * of 1970, without an offset in UTC. */
#include "engine/duckdb/trino.hpp"

#include <cmath>
#include <ctime>

#include <duckdb/common/types/date.hpp>
#include <duckdb/common/types/interval.hpp>
#include <duckdb/common/types/time.hpp>
#include <duckdb/common/types/timestamp.hpp>
#include <duckdb/common/vector_operations/binary_executor.hpp>
#include <duckdb/common/vector_operations/ternary_executor.hpp>

namespace moat
{

using duckdb::BinaryExecutor;
using duckdb::DataChunk;
using duckdb::Date;
using duckdb::date_t;
using duckdb::dtime_t;
using duckdb::ExpressionState;
using duckdb::interval_t;
using duckdb::LogicalType;
using duckdb::string_t;
using duckdb::Timestamp;
using duckdb::timestamp_t;
using duckdb::UnaryExecutor;
using duckdb::Vector;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static std::string padded(int64_t value, size_t digits)
{
    std::string text = std::to_string(value < 0 ? -value : value);
    text.insert(0, text.size() < digits ? digits - text.size() : 0, '0');
    return value < 0 ? "-" + text : text;
}

/* ---- durations ---- */

static std::string human_readable_seconds(double seconds)
{
    static const struct {
        const char *name;
        int64_t seconds;
    } units[] = {{"week", 604800}, {"day", 86400}, {"hour", 3600}, {"minute", 60}, {"second", 1}};
    if (!std::isfinite(seconds) || std::fabs(seconds) > 9e18) {
        throw_argument("seconds are a number that is not too large");
    }
    auto left = static_cast<int64_t>(std::floor(std::fabs(seconds) + 0.5));
    std::string text;
    for (const auto &unit : units) {
        int64_t count = left / unit.seconds;
        left %= unit.seconds;
        if (count > 0 || (unit.seconds == 1 && text.empty())) {
            text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + unit.name +
                    (count == 1 ? "" : "s");
        }
    }
    return text;
}

static void run_human_readable_seconds(DataChunk &args, ExpressionState &, Vector &result)
{
    put_texts<double>(args, result, human_readable_seconds);
}

/* A number without a sign, white space, a unit; white space around them. */
static interval_t parse_duration(string_t value)
{
    static const struct {
        const char *name;
        double milliseconds;
    } units[] = {{"ns", 1e-6}, {"us", 1e-3},  {"ms", 1},     {"s", 1000},
                 {"m", 60e3},  {"h", 3600e3}, {"d", 86400e3}};
    struct slice text = slice_trim({value.GetData(), value.GetSize()});
    size_t end = 0;
    while (end < text.len && (is_digit(text.ptr[end]) || text.ptr[end] == '.')) {
        end++;
    }
    std::string number(text.ptr, end);
    struct slice unit = slice_trim({text.ptr + end, text.len - end});
    size_t point = number.find('.');
    bool is_number =
        end > 0 && end < 100 && is_digit(number.front()) && is_digit(number.back()) &&
        (point == std::string::npos || number.find('.', point + 1) == std::string::npos);
    double scale = 0;
    for (const auto &known : units) {
        scale = slice_equal(unit, slice_of(known.name)) ? known.milliseconds : scale;
    }
    if (!is_number || scale == 0) {
        throw_argument("the text is no duration, such as 3.5d");
    }
    double milliseconds = std::floor(strtod(number.c_str(), nullptr) * scale + 0.5);
    if (milliseconds > 9e15) {
        throw_argument("the duration is too long");
    }
    interval_t interval = {};
    interval.micros = static_cast<int64_t>(milliseconds) * 1000;
    return interval;
}

static void run_parse_duration(DataChunk &args, ExpressionState &, Vector &result)
{
    UnaryExecutor::Execute<string_t, interval_t>(args.data[0], result, args.size(), parse_duration);
}

/* ---- ISO 8601 ---- */

static std::string iso_date(date_t date)
{
    if (!Date::IsFinite(date)) {
        throw_argument("an infinite date has no text");
    }
    int32_t year, month, day;
    Date::Convert(date, year, month, day);
    return padded(year, 4) + "-" + padded(month, 2) + "-" + padded(day, 2);
}

/* `fraction` of `digits` digits behind the second. */
static std::string iso_second(timestamp_t second, int64_t fraction, size_t digits)
{
    date_t date;
    dtime_t time;
    Timestamp::Convert(second, date, time);
    int64_t seconds = time.micros / 1000000;
    std::string text = iso_date(date) + "T" + padded(seconds / 3600, 2) + ":" +
                       padded(seconds / 60 % 60, 2) + ":" + padded(seconds % 60, 2);
    return digits == 0 ? text : text + "." + padded(fraction, digits);
}

/* `value` in parts of `per` to a second. */
static std::string iso_timestamp(int64_t value, int64_t per, size_t digits)
{
    if (value == INT64_MAX || value == -INT64_MAX) {
        throw_argument("an infinite timestamp has no text");
    }
    int64_t fraction = value % per < 0 ? value % per + per : value % per;
    int64_t seconds = (value - fraction) / per;
    timestamp_t whole;
    if (__builtin_mul_overflow(seconds, 1000000, &whole.value)) {
        throw_argument("the timestamp is too far away");
    }
    return iso_second(whole, fraction, digits);
}

template <int64_t PER, size_t DIGITS>
static void run_iso_timestamp(DataChunk &args, ExpressionState &, Vector &result)
{
    bool is_moment = args.data[0].GetType().id() == duckdb::LogicalTypeId::TIMESTAMP_TZ;
    put_texts<int64_t>(args, result, [&](int64_t value) {
        return iso_timestamp(value, PER, DIGITS) + (is_moment ? "Z" : "");
    });
}

static void run_iso_date(DataChunk &args, ExpressionState &, Vector &result)
{
    put_texts<date_t>(args, result, iso_date);
}

/* ---- seconds ---- */

static timestamp_t from_unixtime(double seconds, int64_t hours, int64_t minutes)
{
    if (hours < -14 || hours > 14 || minutes < -59 || minutes > 59 ||
        std::abs(hours * 60 + minutes) > 840) {
        throw_argument("an offset is 14 hours at most");
    }
    if (!(std::fabs(seconds) < 9e12)) {
        throw_argument("the seconds are too many");
    }
    return timestamp_t(static_cast<int64_t>(std::floor(seconds * 1000 + 0.5)) * 1000);
}

static void run_from_unixtime(DataChunk &args, ExpressionState &, Vector &result)
{
    duckdb::TernaryExecutor::Execute<double, int64_t, int64_t, timestamp_t>(
        args.data[0], args.data[1], args.data[2], result, args.size(), from_unixtime);
}

/* ---- formats ---- */

struct part {
    char letter; /* 0: a text */
    size_t count;
    std::string text;
};

static std::vector<part> read_format(const std::string &format)
{
    std::vector<part> parts;
    bool is_quoted = false;
    auto literal = [&](char c) {
        if (parts.empty() || parts.back().letter != 0) {
            parts.push_back({0, 0, ""});
        }
        parts.back().text += c;
    };
    for (size_t i = 0; i < format.size(); i++) {
        char c = format[i];
        if (c == '\'' && i + 1 < format.size() && format[i + 1] == '\'') {
            literal(c);
            i++;
        } else if (c == '\'') {
            is_quoted = !is_quoted;
        } else if (is_quoted || !is_letter(c)) {
            literal(c);
        } else if (strchr("GCYxweEyDMdaKhHkmsSzZ", c) == nullptr) {
            throw_argument("a format of dates has a letter that means nothing");
        } else if (i > 0 && format[i - 1] == c && !parts.empty() && parts.back().letter == c) {
            parts.back().count++;
        } else {
            parts.push_back({c, 1, ""});
        }
    }
    if (format.empty()) {
        throw_argument("the format is empty");
    }
    return parts;
}

static const char *const MONTHS[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const DAYS[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                   "Friday", "Saturday", "Sunday"};

static std::string word(const char *name, size_t count)
{
    std::string text = name;
    return count >= 4 ? text : text.substr(0, 3);
}

static std::string year_text(int64_t year, size_t count)
{
    return count == 2 ? padded((year < 0 ? -year : year) % 100, 2) : padded(year, count);
}

static std::string zone_text(char letter, size_t count)
{
    return letter == 'Z' ? (count == 1   ? "+0000"
                            : count == 2 ? "+00:00"
                                         : "UTC")
                         : (count >= 4 ? "Coordinated Universal Time" : "UTC");
}

/* Digits of the milliseconds, and zeros behind them. */
static std::string fraction_text(int64_t milliseconds, size_t count)
{
    std::string text = padded(milliseconds, 3);
    text.resize(count, '0');
    return text;
}

static std::string format_part(const part &p, date_t date, int64_t milliseconds)
{
    int32_t year, month, day;
    Date::Convert(date, year, month, day);
    int32_t of_era = year > 0 ? year : 1 - year;
    int64_t hour = milliseconds / 3600000;
    int64_t half = hour % 12;
    switch (p.letter) {
    case 'G':
        return year > 0 ? "AD" : "BC";
    case 'C':
        return padded(of_era / 100, p.count);
    case 'Y':
        return year_text(of_era, p.count);
    case 'x':
        return year_text(Date::ExtractISOYearNumber(date), p.count);
    case 'w':
        return padded(Date::ExtractISOWeekNumber(date), p.count);
    case 'e':
        return padded(Date::ExtractISODayOfTheWeek(date), p.count);
    case 'E':
        return word(DAYS[Date::ExtractISODayOfTheWeek(date) - 1], p.count);
    case 'y':
        return year_text(year, p.count);
    case 'D':
        return padded(Date::ExtractDayOfTheYear(date), p.count);
    case 'M':
        return p.count >= 3 ? word(MONTHS[month - 1], p.count) : padded(month, p.count);
    case 'd':
        return padded(day, p.count);
    case 'a':
        return hour < 12 ? "AM" : "PM";
    case 'K':
        return padded(half, p.count);
    case 'h':
        return padded(half == 0 ? 12 : half, p.count);
    case 'H':
        return padded(hour, p.count);
    case 'k':
        return padded(hour == 0 ? 24 : hour, p.count);
    case 'm':
        return padded(milliseconds / 60000 % 60, p.count);
    case 's':
        return padded(milliseconds / 1000 % 60, p.count);
    case 'S':
        return fraction_text(milliseconds % 1000, p.count);
    case 'z':
    case 'Z':
        return zone_text(p.letter, p.count);
    default:
        return p.text;
    }
}

template <bool IS_MOMENT> static std::string format_datetime(timestamp_t value, string_t format)
{
    if (!Timestamp::IsFinite(value)) {
        throw_argument("an infinite timestamp has no text");
    }
    date_t date;
    dtime_t time;
    Timestamp::Convert(value, date, time);
    std::string text;
    for (const part &p : read_format(text_of(format))) {
        if (!IS_MOMENT && (p.letter == 'z' || p.letter == 'Z')) {
            throw_argument("a timestamp without a zone has none to write");
        }
        text += format_part(p, date, time.micros / 1000);
    }
    return text;
}

template <bool IS_MOMENT>
static void run_format_datetime(DataChunk &args, ExpressionState &, Vector &result)
{
    BinaryExecutor::Execute<timestamp_t, string_t, string_t>(
        args.data[0], args.data[1], result, args.size(), [&](timestamp_t value, string_t format) {
            return put_text(result, format_datetime<IS_MOMENT>(value, format));
        });
}

/* ---- texts ---- */

[[noreturn]] static void throw_text()
{
    throw_argument("the text is not of this format");
}

/* What has been read; -1: is not there. */
struct fields {
    int64_t year = 0, month = -1, day = -1, day_of_year = -1, weekday = -1;
    int64_t hour = -1, half_hour = -1, half = -1, minute = -1, second = -1, milliseconds = -1;
    int64_t offset_s = 0;
    bool has_year = false;
};

struct reader {
    std::string text;
    size_t at;

    char peek(size_t ahead = 0) const
    {
        return at + ahead < text.size() ? text[at + ahead] : '\0';
    }

    int64_t number(size_t digits, bool is_signed = false)
    {
        bool has_sign = is_signed && (peek() == '-' || peek() == '+') && is_digit(peek(1));
        bool is_negative = has_sign && peek() == '-';
        int64_t value = 0;
        size_t count = 0;
        at += has_sign;
        for (; count < digits && is_digit(peek()); count++) {
            value = value * 10 + (text[at++] - '0');
        }
        if (count == 0) {
            throw_text();
        }
        return is_negative ? -value : value;
    }

    bool takes(const std::string &name)
    {
        struct slice here = {text.data() + at, text.size() - at};
        bool is_here = slice_starts_with_fold(here, {name.data(), name.size()});
        at += is_here ? name.size() : 0;
        return is_here;
    }

    /* The number from 0 of the name that is here, whole or by its first three letters. */
    int64_t name(const char *const *names, int64_t count)
    {
        for (size_t length : {size_t(4), size_t(3)}) {
            for (int64_t i = 0; i < count; i++) {
                if (takes(word(names[i], length))) {
                    return i;
                }
            }
        }
        throw_text();
    }
};

static int64_t year_now()
{
    time_t now = time(nullptr);
    struct tm parts = {};
    gmtime_r(&now, &parts);
    return parts.tm_year + 1900;
}

/* Two digits are of the hundred years that begin 80 years ago. */
static int64_t read_short_year(reader &r, bool is_followed_by_digits)
{
    size_t begin = r.at;
    bool has_sign = r.peek() == '-' || r.peek() == '+';
    int64_t year = r.number(is_followed_by_digits ? 2 : 9, !is_followed_by_digits);
    if (has_sign || r.at - begin != 2) {
        if (is_followed_by_digits) {
            throw_text();
        }
        return year;
    }
    int64_t first = year_now() - 80;
    return first + (year - first % 100 + 100) % 100;
}

static int64_t read_offset(reader &r)
{
    if (r.takes("Z")) {
        return 0;
    }
    char sign = r.peek();
    if (sign != '+' && sign != '-') {
        throw_text();
    }
    r.at++;
    int64_t parts[3] = {0, 0, 0};
    size_t begin = r.at;
    parts[0] = r.number(2);
    bool has_colons = r.peek() == ':';
    for (int i = 1;
         i < 3 && r.at - begin >= 2 && (has_colons ? r.peek() == ':' : is_digit(r.peek())); i++) {
        r.at += has_colons;
        size_t from = r.at;
        parts[i] = r.number(2);
        if (r.at - from != 2) {
            throw_text();
        }
    }
    if (parts[0] > 23 || parts[1] > 59 || parts[2] > 59) {
        throw_text();
    }
    int64_t seconds = parts[0] * 3600 + parts[1] * 60 + parts[2];
    return sign == '-' ? -seconds : seconds;
}

static int64_t read_milliseconds(reader &r, size_t digits)
{
    int64_t value = 0;
    int64_t worth = 100;
    for (size_t i = 0; i < digits && is_digit(r.peek()); i++) {
        value += (r.peek() - '0') * worth;
        worth /= 10;
        r.at++;
    }
    return value;
}

static bool is_number(const part *p)
{
    return p != nullptr && p->letter != 0 && strchr("CxyYdhHmsSeDwkK", p->letter) != nullptr;
}

static int64_t in_range(int64_t value, int64_t least, int64_t most)
{
    if (value < least || value > most) {
        throw_text();
    }
    return value;
}

static void read_part(reader &r, const part &p, const part *next, fields *f)
{
    bool is_followed =
        is_number(next) || (next != nullptr && next->letter == 'M' && next->count < 3);
    static const char *const halves[] = {"AM", "PM"};
    switch (p.letter) {
    case 0:
        if (!r.takes(p.text)) {
            throw_text();
        }
        break;
    case 'y':
    case 'Y':
        f->year = p.count == 2
                      ? read_short_year(r, is_followed)
                      : r.number(is_followed ? std::min<size_t>(p.count, 9) : 9, p.letter == 'y');
        f->has_year = true;
        if (p.letter == 'Y') {
            in_range(f->year, 1, INT64_MAX);
        }
        break;
    case 'M':
        f->month = p.count >= 3 ? r.name(MONTHS, 12) + 1 : in_range(r.number(2), 1, 12);
        break;
    case 'd':
        f->day = in_range(r.number(2), 1, 31);
        break;
    case 'D':
        f->day_of_year = in_range(r.number(3), 1, 366);
        break;
    case 'E':
        f->weekday = r.name(DAYS, 7) + 1;
        break;
    case 'a':
        f->half = r.takes(halves[0]) ? 0 : r.takes(halves[1]) ? 1 : -1;
        if (f->half < 0) {
            throw_text();
        }
        break;
    case 'H':
        f->hour = in_range(r.number(2), 0, 23);
        break;
    case 'k':
        f->hour = in_range(r.number(2), 1, 24) % 24;
        break;
    case 'K':
        f->half_hour = in_range(r.number(2), 0, 11);
        break;
    case 'h':
        f->half_hour = in_range(r.number(2), 1, 12) % 12;
        break;
    case 'm':
        f->minute = in_range(r.number(2), 0, 59);
        break;
    case 's':
        f->second = in_range(r.number(2), 0, 59);
        break;
    case 'S':
        f->milliseconds = read_milliseconds(r, p.count);
        break;
    default:
        if (p.letter == 'Z' && p.count <= 2) {
            f->offset_s = read_offset(r);
            break;
        }
        throw_err(ERR_UNSUPPORTED, "0A000", "a format with G, C, x, w, e, z or ZZZ is not parsed",
                  "");
    }
}

static timestamp_t moment_of(const fields &f)
{
    bool has_date = f.month >= 0 || f.day >= 0 || f.day_of_year >= 0;
    bool is_double = (f.day_of_year >= 0 && (f.month >= 0 || f.day >= 0)) ||
                     (f.hour >= 0 && (f.half_hour >= 0 || f.half >= 0));
    if (is_double || (f.weekday >= 0 && f.day < 0 && f.day_of_year < 0)) {
        throw_err(ERR_UNSUPPORTED, "0A000",
                  "a format is parsed that says each of date and time once, by a day", "");
    }
    int64_t year = in_range(f.has_year ? f.year : has_date ? 2000 : 1970, -290000, 290000);
    auto month = static_cast<int32_t>(std::max<int64_t>(f.month, 1));
    auto day = static_cast<int32_t>(std::max<int64_t>(f.day, 1));
    date_t date;
    if (!Date::TryFromDate(static_cast<int32_t>(year), month, day, date)) {
        throw_text();
    }
    if (f.day_of_year > 0) {
        date = date_t(date.days + static_cast<int32_t>(f.day_of_year) - 1);
        in_range(Date::ExtractYear(date), year, year);
    }
    if (f.weekday >= 0 && Date::ExtractISODayOfTheWeek(date) != f.weekday) {
        throw_argument("the date is of another day of the week");
    }
    auto given = [](int64_t value) { return std::max<int64_t>(value, 0); };
    int64_t hour = f.hour >= 0 ? f.hour : given(f.half) * 12 + given(f.half_hour);
    int64_t seconds = hour * 3600 + given(f.minute) * 60 + given(f.second) - f.offset_s;
    return timestamp_t((static_cast<int64_t>(date.days) * 86400 + seconds) * 1000000 +
                       given(f.milliseconds) * 1000);
}

static timestamp_t parse_datetime(string_t text, string_t format)
{
    std::vector<part> parts = read_format(text_of(format));
    reader r = {text_of(text), 0};
    fields f;
    for (size_t i = 0; i < parts.size(); i++) {
        read_part(r, parts[i], i + 1 < parts.size() ? &parts[i + 1] : nullptr, &f);
    }
    if (r.at != r.text.size()) {
        throw_text();
    }
    return moment_of(f);
}

static void run_parse_datetime(DataChunk &args, ExpressionState &, Vector &result)
{
    BinaryExecutor::Execute<string_t, string_t, timestamp_t>(args.data[0], args.data[1], result,
                                                             args.size(), parse_datetime);
}

void add_trino_times(trino_list &functions)
{
    const LogicalType text = LogicalType::VARCHAR;
    auto add = [&](const char *name, duckdb::vector<LogicalType> takes, const LogicalType &gives,
                   duckdb::scalar_function_t run) {
        functions.emplace_back(name, std::move(takes), gives, std::move(run));
    };
    add("trino_human_readable_seconds", {LogicalType::DOUBLE}, text, run_human_readable_seconds);
    add("trino_parse_duration", {text}, LogicalType::INTERVAL, run_parse_duration);
    add("trino_to_iso8601", {LogicalType::DATE}, text, run_iso_date);
    add("trino_to_iso8601", {LogicalType::TIMESTAMP_S}, text, run_iso_timestamp<1, 0>);
    add("trino_to_iso8601", {LogicalType::TIMESTAMP_MS}, text, run_iso_timestamp<1000, 3>);
    add("trino_to_iso8601", {LogicalType::TIMESTAMP}, text, run_iso_timestamp<1000000, 6>);
    add("trino_to_iso8601", {LogicalType::TIMESTAMP_NS}, text, run_iso_timestamp<1000000000, 9>);
    add("trino_to_iso8601", {LogicalType::TIMESTAMP_TZ}, text, run_iso_timestamp<1000000, 6>);
    add("trino_from_unixtime", {LogicalType::DOUBLE, LogicalType::BIGINT, LogicalType::BIGINT},
        LogicalType::TIMESTAMP_TZ, run_from_unixtime);
    add("trino_format_datetime", {LogicalType::TIMESTAMP, text}, text, run_format_datetime<false>);
    add("trino_format_datetime", {LogicalType::TIMESTAMP_TZ, text}, text,
        run_format_datetime<true>);
    add("trino_parse_datetime", {text, text}, LogicalType::TIMESTAMP_TZ, run_parse_datetime);
}

} // namespace moat
