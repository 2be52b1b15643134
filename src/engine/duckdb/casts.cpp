/* Casts from text that take what PostgreSQL takes, and no more.
 *
 * The engine's own stop where they understand no more ('2020-01-01 rubbish' is a DATE to them,
 * '10:00:00x' a TIME), round what is no integer ('1.5' is the INTEGER 2), and make an infinity of
 * a number that is too large. A value that is silently another one is the worst answer there is:
 * these look at the whole text first, and leave the rest to the engine's.
 *
 * Not here: TIMESTAMP WITH TIME ZONE and TIME WITH TIME ZONE, whose casts the engine's ICU has
 * registered already (the first that is registered stays), and looks at the whole text. */
#include "engine/duckdb/module.hpp"

#include <cmath>

#include <duckdb/common/operator/cast_operators.hpp>
#include <duckdb/common/types/date.hpp>
#include <duckdb/common/types/time.hpp>
#include <duckdb/common/types/timestamp.hpp>
#include <duckdb/common/vector_operations/general_cast.hpp>
#include <duckdb/common/vector_operations/unary_executor.hpp>
#include <duckdb/function/cast/cast_function_set.hpp>

namespace moat
{

using duckdb::CastParameters;
using duckdb::date_t;
using duckdb::dtime_t;
using duckdb::idx_t;
using duckdb::LogicalType;
using duckdb::string;
using duckdb::string_t;
using duckdb::timestamp_t;
using duckdb::Vector;

enum class reading {
    good,
    malformed,
    out_of_range
};

/* ---- texts ---- */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* What begins at `at`. */
static struct slice from(struct slice text, size_t at)
{
    return {text.ptr + at, text.len - at};
}

static struct slice of(const string &text)
{
    return {text.data(), text.size()};
}

static size_t count_digits(struct slice text)
{
    size_t count = 0;
    while (count < text.len && is_digit(text.ptr[count])) {
        count++;
    }
    return count;
}

/* The start of a word is enough where no other has it ("o" has two). */
static bool begins(struct slice text, const char *word, size_t least)
{
    size_t len = strlen(word);
    return text.len >= least && text.len <= len && slice_equal_fold(text, {word, text.len});
}

/* ---- truth and numbers ---- */

static reading read(struct slice text, bool &value)
{
    struct slice word = slice_trim(text);
    value = begins(word, "true", 1) || begins(word, "yes", 1) || begins(word, "on", 2) ||
            begins(word, "1", 1);
    bool is_false = begins(word, "false", 1) || begins(word, "no", 1) || begins(word, "off", 2) ||
                    begins(word, "0", 1);
    return value || is_false ? reading::good : reading::malformed;
}

static bool is_digit_of(char c, char base)
{
    char lower = static_cast<char>(c | 0x20);
    return base == 'x'   ? is_digit(c) || (lower >= 'a' && lower <= 'f')
           : base == 'b' ? c == '0' || c == '1'
                         : is_digit(c);
}

/* [+-] digits, 0x and 0b, with single underscores between digits (PostgreSQL 16). */
static bool is_integer(struct slice text)
{
    struct slice word = slice_trim(text);
    size_t at = word.len > 0 && (word.ptr[0] == '-' || word.ptr[0] == '+') ? 1 : 0;
    char base = 'd';
    if (at + 2 < word.len && word.ptr[at] == '0' && !is_digit(word.ptr[at + 1])) {
        base = static_cast<char>(word.ptr[at + 1] | 0x20);
        at += base == 'x' || base == 'b' ? 2 : 0;
    }
    bool was_digit = false;
    for (; at < word.len; at++) {
        bool is_gap = word.ptr[at] == '_' && was_digit;
        was_digit = !is_gap && is_digit_of(word.ptr[at], base);
        if (!is_gap && !was_digit) {
            return false;
        }
    }
    return was_digit;
}

template <class T> static reading read_integer(struct slice text, T &value)
{
    if (!is_integer(text)) {
        return reading::malformed;
    }
    string_t engines(text.ptr, static_cast<uint32_t>(text.len));
    return duckdb::TryCast::Operation<string_t, T>(engines, value, false) ? reading::good
                                                                          : reading::out_of_range;
}

template <class T> static reading read_real(struct slice text, T &value)
{
    struct slice word = slice_trim(text);
    bool is_zero = true;
    bool is_mantissa = true;
    bool is_number = true;
    for (size_t i = 0; i < word.len; i++) {
        char c = word.ptr[i];
        is_mantissa = is_mantissa && (c | 0x20) != 'e';
        is_zero = is_zero && !(is_mantissa && c >= '1' && c <= '9');
        is_number =
            is_number && (is_digit(c) || c == '+' || c == '-' || c == '.' || (c | 0x20) == 'e');
    }
    struct slice name =
        word.len > 0 && (word.ptr[0] == '-' || word.ptr[0] == '+') ? from(word, 1) : word;
    bool is_named = slice_equal_fold(name, SLICE("nan")) || slice_equal_fold(name, SLICE("inf")) ||
                    slice_equal_fold(name, SLICE("infinity"));
    string_t engines(word.ptr, static_cast<uint32_t>(word.len));
    if ((!is_number && !is_named) ||
        !duckdb::TryCast::Operation<string_t, T>(engines, value, false)) {
        return reading::malformed;
    }
    bool is_lost = is_number && (std::isinf(value) || (value == 0 && !is_zero));
    return is_lost ? reading::out_of_range : reading::good;
}

/* ---- days ---- */

/* What stands before " BC", " (BC)", " AD". */
static struct slice without_era(struct slice text, bool &is_bc)
{
    static const struct {
        const char *text;
        bool is_bc;
    } eras[] = {{" (BC)", true}, {" BC", true}, {" AD", false}};
    is_bc = false;
    for (const auto &era : eras) {
        size_t len = strlen(era.text);
        if (text.len > len && slice_equal_fold(from(text, text.len - len), {era.text, len})) {
            is_bc = era.is_bc;
            return slice_trim({text.ptr, text.len - len});
        }
    }
    return text;
}

/* Length of the date that a text begins with, 0 for none: as with PostgreSQL, a year has three
 * digits or more (two mean a century that depends on settings), and 20200131 is a date. */
static size_t date_length(struct slice text)
{
    size_t at = count_digits(text);
    size_t year = at;
    if (year == 8 && (year == text.len || strchr("-/", text.ptr[year]) == nullptr)) {
        return year;
    }
    for (int i = 0; i < 2; i++) {
        if (at == text.len || strchr("-/ ", text.ptr[at]) == nullptr) {
            return 0;
        }
        size_t digits = count_digits(from(text, at + 1));
        if (digits == 0 || digits > 2) {
            return 0;
        }
        at += 1 + digits;
    }
    return year >= 3 ? at : 0;
}

static bool is_special(struct slice text)
{
    struct slice word = slice_trim(text);
    return slice_equal_fold(word, SLICE("infinity")) || slice_equal_fold(word, SLICE("inf")) ||
           slice_equal_fold(word, SLICE("-infinity")) || slice_equal_fold(word, SLICE("-inf")) ||
           slice_equal_fold(word, SLICE("epoch"));
}

static bool is_year_zero(struct slice date)
{
    for (size_t i = 0; i < date.len && is_digit(date.ptr[i]); i++) {
        if (date.ptr[i] != '0') {
            return false;
        }
    }
    return true;
}

/* A day and what follows it, the era taken from the end and put behind the day, as the engine has
 * it. False: it has no such form. */
static bool split_day(struct slice text, string &day, struct slice &rest)
{
    bool is_bc;
    bool is_inner_bc;
    struct slice whole = without_era(slice_trim(text), is_bc);
    size_t len = date_length(whole);
    if (len == 0) {
        return false;
    }
    day.assign(whole.ptr, len);
    if (count_digits(whole) == 8 && len == 8) {
        day.insert(6, "-").insert(4, "-");
    }
    rest = from(whole, len);
    struct slice inner = {whole.ptr, len};
    is_inner_bc = rest.len >= 5 && slice_equal_fold({rest.ptr, 5}, SLICE(" (BC)"));
    if (is_inner_bc) {
        rest = from(rest, 5);
    }
    if (is_year_zero(inner) || (is_bc && is_inner_bc)) {
        return false;
    }
    if (is_bc || is_inner_bc) {
        day += " (BC)";
    }
    return true;
}

static reading read_day(const string &day, date_t &value)
{
    idx_t at;
    bool is_infinite;
    switch (duckdb::Date::TryConvertDate(day.data(), day.size(), at, value, is_infinite, true)) {
    case duckdb::DateCastResult::SUCCESS:
        return reading::good;
    case duckdb::DateCastResult::ERROR_RANGE:
        return reading::out_of_range;
    default:
        return reading::malformed;
    }
}

/* One if what is behind the sixth digit of a second, which the engine cuts, rounds up. */
static int64_t rounded_up(struct slice time)
{
    size_t point = slice_find(time, SLICE("."));
    if (point == SIZE_MAX || count_digits(from(time, point + 1)) <= 6) {
        return 0;
    }
    string digits = "0." + string(time.ptr + point + 1, count_digits(from(time, point + 1)));
    int64_t cut = std::stoll(digits.substr(2, 6));
    return std::llrint(std::stod(digits) * 1e6) - cut;
}

/* Such numbers as a time has (a 60th second is one to PostgreSQL, and none here). */
static bool is_time_shaped(struct slice text)
{
    if (slice_find(text, SLICE(":")) == SIZE_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(text.ptr[i]) && strchr(":.+- zZ", text.ptr[i]) == nullptr) {
            return false;
        }
    }
    return true;
}

static reading read(struct slice text, timestamp_t &value)
{
    string whole;
    date_t day;
    struct slice rest = SLICE("");
    if (is_special(text)) {
        struct slice word = slice_trim(text);
        string_t engines(word.ptr, static_cast<uint32_t>(word.len));
        return duckdb::TryCast::Operation<string_t, timestamp_t>(engines, value, false)
                   ? reading::good
                   : reading::malformed;
    }
    if (!split_day(text, whole, rest)) {
        return reading::malformed;
    }
    reading outcome = read_day(whole, day);
    if (outcome != reading::good) {
        return outcome;
    }
    struct slice time = rest;
    while (time.len > 0 && (is_space(time.ptr[0]) || (time.ptr[0] | 0x20) == 't')) {
        time = from(time, 1);
    }
    if (rest.len > 0 && time.len == rest.len) {
        return reading::malformed; /* right behind the day */
    }
    if (time.len > 0) {
        whole += ' ';
        whole.append(time.ptr, time.len);
    }
    string_t engines(whole.data(), static_cast<uint32_t>(whole.size()));
    if (duckdb::TryCast::Operation<string_t, timestamp_t>(engines, value, false)) {
        value.value += rounded_up(time);
        return reading::good;
    }
    return is_time_shaped(time) ? reading::out_of_range : reading::malformed;
}

/* With a time behind it, which must be one. */
static reading read(struct slice text, date_t &value)
{
    string day;
    struct slice rest = SLICE("");
    timestamp_t moment;
    if (is_special(text)) {
        struct slice word = slice_trim(text);
        return read_day(string(word.ptr, word.len), value);
    }
    if (!split_day(text, day, rest)) {
        return reading::malformed;
    }
    reading outcome = read_day(day, value);
    bool is_zone = rest.len > 0 && (rest.ptr[0] == '+' || rest.ptr[0] == '-');
    if (outcome == reading::good && is_zone) {
        day += " 00:00:00";
        day.append(rest.ptr, rest.len);
        return read(of(day), moment);
    }
    return outcome == reading::good && slice_trim(rest).len > 0 ? read(text, moment) : outcome;
}

/* Hours and minutes at least; a day before it and a zone behind it are passed over. */
static reading read(struct slice text, dtime_t &value)
{
    struct slice word = slice_trim(text);
    size_t hours = count_digits(word);
    bool is_bare = hours > 0 && hours < word.len && word.ptr[hours] == ':';
    timestamp_t moment;
    idx_t at;
    if (is_bare && duckdb::Time::TryConvertTime(word.ptr, word.len, at, value, true)) {
        value.micros += rounded_up(word);
        return reading::good;
    }
    string whole =
        is_bare ? "2000-01-01 " + string(word.ptr, word.len) : string(word.ptr, word.len);
    reading outcome = read(of(whole), moment);
    bool is_moment = outcome == reading::good && duckdb::Timestamp::IsFinite(moment) &&
                     whole.find(':') != string::npos;
    if (is_moment) {
        string_t engines(word.ptr, static_cast<uint32_t>(word.len));
        bool is_good = duckdb::TryCast::Operation<string_t, dtime_t>(engines, value, false);
        value.micros += is_good ? rounded_up(word) : 0;
        return is_good ? reading::good : reading::out_of_range;
    }
    return outcome == reading::good ? reading::malformed : outcome;
}

/* ---- casts ---- */

template <class T> struct target; /* its name in errors, and who reads it */

#define TARGET(type, words, reader, of_time)                                                       \
    template <> struct target<type> {                                                              \
        static constexpr const char *name = words;                                                 \
        static constexpr bool is_time = of_time;                                                   \
        static reading read_text(struct slice text, type &value)                                   \
        {                                                                                          \
            return reader(text, value);                                                            \
        }                                                                                          \
    }

TARGET(bool, "boolean", read, false);
TARGET(int8_t, "tinyint", read_integer, false);
TARGET(int16_t, "smallint", read_integer, false);
TARGET(int32_t, "integer", read_integer, false);
TARGET(int64_t, "bigint", read_integer, false);
TARGET(uint8_t, "utinyint", read_integer, false);
TARGET(uint16_t, "usmallint", read_integer, false);
TARGET(uint32_t, "uinteger", read_integer, false);
TARGET(uint64_t, "ubigint", read_integer, false);
TARGET(duckdb::hugeint_t, "hugeint", read_integer, false);
TARGET(duckdb::uhugeint_t, "uhugeint", read_integer, false);
TARGET(float, "real", read_real, false);
TARGET(double, "double precision", read_real, false);
TARGET(date_t, "date", read, true);
TARGET(dtime_t, "time", read, true);
TARGET(timestamp_t, "timestamp", read, true);

template <class T> static string error_text(const string &text, reading outcome)
{
    if (outcome == reading::malformed) {
        return string("invalid input syntax for type ") + target<T>::name + ": \"" + text + "\"";
    }
    return target<T>::is_time
               ? "date/time field value out of range: \"" + text + "\""
               : "value \"" + text + "\" is out of range for type " + target<T>::name;
}

struct read_operator {
    template <class S, class T>
    static T Operation(S input, duckdb::ValidityMask &mask, idx_t row, void *context)
    {
        T value;
        reading outcome = target<T>::read_text({input.GetData(), input.GetSize()}, value);
        if (outcome == reading::good) {
            return value;
        }
        return duckdb::HandleVectorCastError::Operation<T>(
            error_text<T>(input.GetString(), outcome), mask, row,
            *static_cast<duckdb::VectorTryCastData *>(context));
    }
};

template <class T>
static bool cast(Vector &source, Vector &result, idx_t count, CastParameters &parameters)
{
    duckdb::VectorTryCastData data(result, parameters);
    duckdb::UnaryExecutor::GenericExecute<string_t, T, read_operator>(
        source, result, count, &data, parameters.error_message != nullptr);
    return data.all_converted;
}

template <class T> static void add(duckdb::Connection &connection, const LogicalType &type)
{
    auto &casts = duckdb::CastFunctionSet::Get(*connection.context);
    int64_t cost = casts.ImplicitCastCost(*connection.context, LogicalType::VARCHAR, type);
    casts.RegisterCastFunction(LogicalType::VARCHAR, type, duckdb::BoundCastInfo(cast<T>), cost);
}

void register_casts(duckdb::Connection &connection)
{
    add<bool>(connection, LogicalType::BOOLEAN);
    add<int8_t>(connection, LogicalType::TINYINT);
    add<int16_t>(connection, LogicalType::SMALLINT);
    add<int32_t>(connection, LogicalType::INTEGER);
    add<int64_t>(connection, LogicalType::BIGINT);
    add<uint8_t>(connection, LogicalType::UTINYINT);
    add<uint16_t>(connection, LogicalType::USMALLINT);
    add<uint32_t>(connection, LogicalType::UINTEGER);
    add<uint64_t>(connection, LogicalType::UBIGINT);
    add<duckdb::hugeint_t>(connection, LogicalType::HUGEINT);
    add<duckdb::uhugeint_t>(connection, LogicalType::UHUGEINT);
    add<float>(connection, LogicalType::FLOAT);
    add<double>(connection, LogicalType::DOUBLE);
    add<date_t>(connection, LogicalType::DATE);
    add<dtime_t>(connection, LogicalType::TIME);
    add<timestamp_t>(connection, LogicalType::TIMESTAMP);
}

} // namespace moat
