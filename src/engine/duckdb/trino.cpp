/* What Trino has and the engine has otherwise, for statements of its dialect (wire/trino).
 *
 *   trino_divide(a, b)   of integers an integer, cut; of decimals a decimal with as many digits
 *                        behind the point as the longer one, half up; by zero an error, but of
 *                        floats
 *   trino_modulo(a, b)   what is left of that, with the sign of a
 *   trino_average(sum, count, like)  of decimals one with the scale of `like`, half up
 *   trino_round(x)       of floats to a whole number, half away from zero; all else as it is
 *   trino_text(x)        of floats 1.0E10, of moments with " UTC", of JSON texts the text, of
 *                        intervals 1 02:03:04.000 or 1-2; all else as it is
 *   trino_as(x, like)    x in the type of `like`, whose value does not matter
 *
 * The others are in trino_text.cpp, _bytes, _numbers, _times, _lists
 * and _dispatch.
 *
 * Functions rather than a setting of the session: a view keeps its meaning on every door. */
#include "engine/duckdb/trino.hpp"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>

#include <duckdb/common/types/decimal.hpp>
#include <duckdb/common/types/hugeint.hpp>
#include <duckdb/common/types/interval.hpp>
#include <duckdb/common/types/timestamp.hpp>
#include <duckdb/common/vector_operations/binary_executor.hpp>
#include <duckdb/common/vector_operations/unary_executor.hpp>
#include <duckdb/function/scalar_function.hpp>
#include <duckdb/planner/expression.hpp>

namespace moat
{

using duckdb::BinaryExecutor;
using duckdb::DataChunk;
using duckdb::ExpressionState;
using duckdb::hugeint_t;
using duckdb::LogicalType;
using duckdb::LogicalTypeId;
using duckdb::ScalarFunction;
using duckdb::Vector;

static constexpr uint8_t WIDTH = 38;

[[noreturn]] static void throw_zero()
{
    throw_err(ERR_INVALID, "22012", "division by zero", "");
}

[[noreturn]] static void throw_range(const char *what)
{
    throw_err(ERR_INVALID, "22003", what, "");
}

/* ---- integers and floats ---- */

template <class T> static T divide_integer(T a, T b)
{
    if (b == 0) {
        throw_zero();
    }
    if (b == T(-1) && a == std::numeric_limits<T>::min()) {
        throw_range("a number is too large for its type");
    }
    return static_cast<T>(a / b);
}

template <class T> static T modulo_integer(T a, T b)
{
    if (b == 0) {
        throw_zero();
    }
    return b == T(-1) ? T(0) : static_cast<T>(a % b);
}

static hugeint_t divide_huge(hugeint_t a, hugeint_t b)
{
    if (b == hugeint_t(0)) {
        throw_zero();
    }
    return a / b;
}

static hugeint_t modulo_huge(hugeint_t a, hugeint_t b)
{
    if (b == hugeint_t(0)) {
        throw_zero();
    }
    return a % b;
}

template <class T> static T divide_real(T a, T b)
{
    return a / b;
}

template <class T> static T modulo_real(T a, T b)
{
    return std::fmod(a, b);
}

template <class T, T (*OPERATION)(T, T)>
static void run(DataChunk &args, ExpressionState &, Vector &result)
{
    BinaryExecutor::Execute<T, T, T>(args.data[0], args.data[1], result, args.size(), OPERATION);
}

/* ---- decimals ---- */

static unsigned __int128 magnitude(hugeint_t value)
{
    hugeint_t positive = value < hugeint_t(0) ? -value : value;
    return static_cast<unsigned __int128>(static_cast<uint64_t>(positive.upper)) << 64 |
           positive.lower;
}

static hugeint_t of_magnitude(unsigned __int128 value, bool is_negative)
{
    hugeint_t result;
    result.lower = static_cast<uint64_t>(value);
    result.upper = static_cast<int64_t>(value >> 64);
    return is_negative ? -result : result;
}

/* (a * 10^shift) / b by long division, a digit a time: nothing is longer than 128 bits then but
 * what does not fit the result. */
static hugeint_t divide_decimal(hugeint_t a, hugeint_t b, unsigned shift)
{
    /* 10^37: with one digit more than that nothing is a decimal. */
    static const unsigned __int128 most =
        static_cast<unsigned __int128>(10000000000000000000u) * 1000000000000000000u;
    unsigned __int128 divisor = magnitude(b);
    if (divisor == 0) {
        throw_zero();
    }
    unsigned __int128 quotient = magnitude(a) / divisor;
    unsigned __int128 rest = magnitude(a) % divisor;
    for (unsigned i = 0; i < shift; i++) {
        unsigned digit = 0;
        if (quotient >= most) {
            throw_range("decimal overflow");
        }
        for (unsigned __int128 sum = 0, n = 0; n < 10; n++) { /* rest * 10, a part at a time */
            sum += rest;
            if (sum >= divisor || sum < rest) {
                sum -= divisor;
                digit++;
            }
            if (n == 9) {
                rest = sum;
            }
        }
        quotient = quotient * 10 + digit;
    }
    quotient += rest >= divisor - rest ? 1 : 0;
    return of_magnitude(quotient, (a < hugeint_t(0)) != (b < hugeint_t(0)));
}

/* Both are at 38 digits; the scales are those of the arguments, the result has its own width. */
template <class T> static void run_divide_decimals(DataChunk &args, Vector &result)
{
    uint8_t to = duckdb::DecimalType::GetScale(result.GetType());
    uint8_t left = duckdb::DecimalType::GetScale(args.data[0].GetType());
    uint8_t right = duckdb::DecimalType::GetScale(args.data[1].GetType());
    unsigned shift = static_cast<unsigned>(to + right - left);
    hugeint_t limit =
        duckdb::Hugeint::POWERS_OF_TEN[duckdb::DecimalType::GetWidth(result.GetType())];
    BinaryExecutor::Execute<hugeint_t, hugeint_t, T>(
        args.data[0], args.data[1], result, args.size(), [&](hugeint_t a, hugeint_t b) {
            hugeint_t value = divide_decimal(a, b, shift);
            if (value >= limit || value <= -limit) {
                throw_range("decimal overflow");
            }
            return duckdb::Hugeint::Cast<T>(value);
        });
}

static void run_divide_decimal(DataChunk &args, ExpressionState &, Vector &result)
{
    switch (result.GetType().InternalType()) {
    case duckdb::PhysicalType::INT16:
        run_divide_decimals<int16_t>(args, result);
        break;
    case duckdb::PhysicalType::INT32:
        run_divide_decimals<int32_t>(args, result);
        break;
    case duckdb::PhysicalType::INT64:
        run_divide_decimals<int64_t>(args, result);
        break;
    default:
        run_divide_decimals<hugeint_t>(args, result);
        break;
    }
}

template <class T> static void run_left_decimals(DataChunk &args, Vector &result)
{
    BinaryExecutor::Execute<hugeint_t, hugeint_t, T>(
        args.data[0], args.data[1], result, args.size(),
        [&](hugeint_t a, hugeint_t b) { return duckdb::Hugeint::Cast<T>(modulo_huge(a, b)); });
}

static void run_left_decimal(DataChunk &args, ExpressionState &, Vector &result)
{
    switch (result.GetType().InternalType()) {
    case duckdb::PhysicalType::INT16:
        run_left_decimals<int16_t>(args, result);
        break;
    case duckdb::PhysicalType::INT32:
        run_left_decimals<int32_t>(args, result);
        break;
    case duckdb::PhysicalType::INT64:
        run_left_decimals<int64_t>(args, result);
        break;
    default:
        run_left_decimals<hugeint_t>(args, result);
        break;
    }
}

/* Days are 24 hours; months stay whole. */
static void run_divide_interval(DataChunk &args, ExpressionState &, Vector &result)
{
    static constexpr double day_us = 86400e6;
    BinaryExecutor::Execute<duckdb::interval_t, double, duckdb::interval_t>(
        args.data[0], args.data[1], result, args.size(), [](duckdb::interval_t a, double b) {
            if (b == 0) {
                throw_zero();
            }
            double us = (static_cast<double>(a.days) * day_us + static_cast<double>(a.micros)) / b;
            double days = std::trunc(us / day_us);
            if (!(std::fabs(days) < 2e9) || !(std::fabs(a.months / b) < 2e9)) {
                throw_range("an interval is too long");
            }
            duckdb::interval_t quotient;
            quotient.months = static_cast<int32_t>(a.months / b);
            quotient.days = static_cast<int32_t>(days);
            quotient.micros = static_cast<int64_t>(us - days * day_us);
            return quotient;
        });
}

/* ---- what they are of ---- */

struct side {
    LogicalType type;
    uint8_t width, scale;
};

/* Digits of a number without a point; 0: it is none. */
static uint8_t digits_of(const LogicalType &type)
{
    switch (type.id()) {
    case LogicalTypeId::TINYINT:
    case LogicalTypeId::UTINYINT:
        return 3;
    case LogicalTypeId::SMALLINT:
    case LogicalTypeId::USMALLINT:
        return 5;
    case LogicalTypeId::INTEGER:
    case LogicalTypeId::UINTEGER:
        return 10;
    case LogicalTypeId::BIGINT:
        return 19;
    case LogicalTypeId::UBIGINT:
    case LogicalTypeId::HUGEINT:
        return WIDTH;
    default:
        return 0;
    }
}

static side side_of(const LogicalType &type)
{
    if (type.id() == LogicalTypeId::DECIMAL) {
        return {type, duckdb::DecimalType::GetWidth(type), duckdb::DecimalType::GetScale(type)};
    }
    return {type, digits_of(type), 0};
}

static bool is_float(const LogicalType &type)
{
    return type.id() == LogicalTypeId::DOUBLE || type.id() == LogicalTypeId::FLOAT;
}

static bool is_untyped(const LogicalType &type)
{
    return type.id() == LogicalTypeId::UNKNOWN || type.id() == LogicalTypeId::SQLNULL;
}

static LogicalType integer_of(uint8_t digits)
{
    return digits <= 3    ? LogicalType::TINYINT
           : digits <= 5  ? LogicalType::SMALLINT
           : digits <= 10 ? LogicalType::INTEGER
           : digits <= 19 ? LogicalType::BIGINT
                          : LogicalType::HUGEINT;
}

static void settle(ScalarFunction &function, const LogicalType &a, const LogicalType &b,
                   const LogicalType &result, duckdb::scalar_function_t run)
{
    function.arguments[0] = a;
    function.arguments[1] = b;
    function.SetReturnType(result);
    function.SetFunctionCallback(std::move(run));
}

template <int8_t (*TINY)(int8_t, int8_t), int16_t (*SMALL)(int16_t, int16_t),
          int32_t (*NORMAL)(int32_t, int32_t), int64_t (*BIG)(int64_t, int64_t),
          hugeint_t (*HUGE)(hugeint_t, hugeint_t)>
static duckdb::scalar_function_t integer_run(const LogicalType &type)
{
    switch (type.id()) {
    case LogicalTypeId::TINYINT:
        return run<int8_t, TINY>;
    case LogicalTypeId::SMALLINT:
        return run<int16_t, SMALL>;
    case LogicalTypeId::INTEGER:
        return run<int32_t, NORMAL>;
    case LogicalTypeId::BIGINT:
        return run<int64_t, BIG>;
    default:
        return run<hugeint_t, HUGE>;
    }
}

/* decimal(p1, s1) / decimal(p2, s2): s = max(s1, s2), p = p1 + s2 + max(0, s2 - s1). */
static void settle_divided_decimals(ScalarFunction &function, const side &a, const side &b)
{
    uint8_t scale = std::max(a.scale, b.scale);
    int width = a.width + b.scale + std::max(0, b.scale - a.scale);
    settle(function, LogicalType::DECIMAL(WIDTH, a.scale), LogicalType::DECIMAL(WIDTH, b.scale),
           LogicalType::DECIMAL(static_cast<uint8_t>(std::min<int>(width, WIDTH)), scale),
           run_divide_decimal);
}

/* p = min(p1 - s1, p2 - s2) + max(s1, s2), s = max(s1, s2). */
static void settle_left_decimals(ScalarFunction &function, const side &a, const side &b)
{
    uint8_t scale = std::max(a.scale, b.scale);
    int width = std::min(a.width - a.scale, b.width - b.scale) + scale;
    LogicalType type = LogicalType::DECIMAL(WIDTH, scale);
    settle(function, type, type,
           LogicalType::DECIMAL(static_cast<uint8_t>(std::max(width, 1)), scale), run_left_decimal);
}

static duckdb::unique_ptr<duckdb::FunctionData>
bind(ScalarFunction &function, duckdb::vector<duckdb::unique_ptr<duckdb::Expression>> &arguments,
     bool is_division)
{
    LogicalType first = arguments[0]->return_type;
    LogicalType second = arguments[1]->return_type;
    first = is_untyped(first) ? is_untyped(second) ? LogicalType::INTEGER : second : first;
    second = is_untyped(second) ? first : second;
    side a = side_of(first);
    side b = side_of(second);
    if (is_division && first.id() == LogicalTypeId::INTERVAL && (b.width > 0 || is_float(second))) {
        settle(function, first, LogicalType::DOUBLE, first, run_divide_interval);
        return nullptr;
    }
    bool is_number = (is_float(first) || a.width > 0) && (is_float(second) || b.width > 0);
    if (!is_number) {
        throw_err(ERR_INVALID, "42804",
                  "cannot apply operator: " + first.ToString() + (is_division ? " / " : " % ") +
                      second.ToString(),
                  "");
    }
    if (is_float(first) || is_float(second)) {
        bool is_double =
            first.id() == LogicalTypeId::DOUBLE || second.id() == LogicalTypeId::DOUBLE;
        LogicalType type = is_double ? LogicalType::DOUBLE : LogicalType::FLOAT;
        settle(function, type, type, type,
               is_division ? is_double ? run<double, divide_real> : run<float, divide_real>
               : is_double ? run<double, modulo_real>
                           : run<float, modulo_real>);
    } else if (first.id() != LogicalTypeId::DECIMAL && second.id() != LogicalTypeId::DECIMAL) {
        LogicalType type = integer_of(std::max(a.width, b.width));
        settle(function, type, type, type,
               is_division ? integer_run<divide_integer, divide_integer, divide_integer,
                                         divide_integer, divide_huge>(type)
                           : integer_run<modulo_integer, modulo_integer, modulo_integer,
                                         modulo_integer, modulo_huge>(type));
    } else if (is_division) {
        settle_divided_decimals(function, a, b);
    } else {
        settle_left_decimals(function, a, b);
    }
    return nullptr;
}

static duckdb::unique_ptr<duckdb::FunctionData>
bind_divide(duckdb::ClientContext &, ScalarFunction &function,
            duckdb::vector<duckdb::unique_ptr<duckdb::Expression>> &arguments)
{
    return bind(function, arguments, true);
}

static duckdb::unique_ptr<duckdb::FunctionData>
bind_modulo(duckdb::ClientContext &, ScalarFunction &function,
            duckdb::vector<duckdb::unique_ptr<duckdb::Expression>> &arguments)
{
    return bind(function, arguments, false);
}

/* ---- averages ---- */

template <class T> static void run_averages(DataChunk &args, Vector &result)
{
    BinaryExecutor::Execute<hugeint_t, int64_t, T>(
        args.data[0], args.data[1], result, args.size(), [&](hugeint_t sum, int64_t rows) {
            return duckdb::Hugeint::Cast<T>(divide_decimal(sum, hugeint_t(rows), 0));
        });
}

static void run_average(DataChunk &args, ExpressionState &, Vector &result)
{
    switch (result.GetType().InternalType()) {
    case duckdb::PhysicalType::INT16:
        run_averages<int16_t>(args, result);
        break;
    case duckdb::PhysicalType::INT32:
        run_averages<int32_t>(args, result);
        break;
    case duckdb::PhysicalType::INT64:
        run_averages<int64_t>(args, result);
        break;
    default:
        run_averages<hugeint_t>(args, result);
        break;
    }
}

template <class T> static void run_mean(DataChunk &args, ExpressionState &, Vector &result)
{
    BinaryExecutor::Execute<double, int64_t, T>(
        args.data[0], args.data[1], result, args.size(),
        [](double sum, int64_t rows) { return static_cast<T>(sum / static_cast<double>(rows)); });
}

static duckdb::unique_ptr<duckdb::FunctionData>
bind_average(duckdb::ClientContext &, ScalarFunction &function,
             duckdb::vector<duckdb::unique_ptr<duckdb::Expression>> &arguments)
{
    LogicalType type = arguments[2]->return_type;
    bool is_decimal = type.id() == LogicalTypeId::DECIMAL;
    side like = side_of(type);
    if (!is_decimal && !is_float(type) && !is_untyped(type) && like.width == 0) {
        throw_err(ERR_INVALID, "42883", "no form of \"avg\" takes (" + type.ToString() + ")", "");
    }
    function.arguments[0] =
        is_decimal ? LogicalType::DECIMAL(WIDTH, like.scale) : LogicalType::DOUBLE;
    function.arguments[1] = LogicalType::BIGINT;
    function.arguments[2] = type;
    bool is_real = type.id() == LogicalTypeId::FLOAT;
    function.SetReturnType(is_decimal || is_real ? type : LogicalType::DOUBLE);
    function.SetFunctionCallback(is_decimal ? run_average
                                 : is_real  ? run_mean<float>
                                            : run_mean<double>);
    return nullptr;
}

/* ---- before casts ---- */

template <class T> static void run_round(DataChunk &args, ExpressionState &, Vector &result)
{
    duckdb::UnaryExecutor::Execute<T, T>(args.data[0], result, args.size(),
                                         [](T value) { return std::round(value); });
}

static void run_same(DataChunk &args, ExpressionState &, Vector &result)
{
    result.Reference(args.data[0]);
}

static duckdb::unique_ptr<duckdb::FunctionData>
bind_round(duckdb::ClientContext &, ScalarFunction &function,
           duckdb::vector<duckdb::unique_ptr<duckdb::Expression>> &arguments)
{
    LogicalType type = arguments[0]->return_type;
    function.arguments[0] = type;
    function.SetReturnType(type);
    function.SetFunctionCallback(type.id() == LogicalTypeId::DOUBLE  ? run_round<double>
                                 : type.id() == LogicalTypeId::FLOAT ? run_round<float>
                                                                     : run_same);
    return nullptr;
}

/* The fewest digits that are this number, one in front of the point, and the exponent. */
template <class T> static std::string text_of_float(T value)
{
    if (std::isnan(value)) {
        return "NaN";
    }
    if (std::isinf(value)) {
        return value > 0 ? "Infinity" : "-Infinity";
    }
    char buffer[64];
    auto end = std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific);
    std::string text(buffer, end.ptr);
    size_t e = text.find('e');
    std::string mantissa = text.substr(0, e);
    if (mantissa.find('.') == std::string::npos) {
        mantissa += ".0";
    }
    return mantissa + "E" + std::to_string(std::stoi(text.substr(e + 1)));
}

static std::string text_of_interval(duckdb::interval_t value)
{
    char buffer[96];
    __int128 us = static_cast<__int128>(value.days) * 86400000000 + value.micros;
    if (value.months != 0 && us == 0) {
        int64_t months = std::abs(static_cast<int64_t>(value.months));
        snprintf(buffer, sizeof(buffer), "%s%lld-%lld", value.months < 0 ? "-" : "",
                 static_cast<long long>(months / 12), static_cast<long long>(months % 12));
        return buffer;
    }
    if (value.months != 0) {
        return duckdb::Interval::ToString(value);
    }
    auto ms = static_cast<long long>((us < 0 ? -us : us) / 1000);
    snprintf(buffer, sizeof(buffer), "%s%lld %02lld:%02lld:%02lld.%03lld", us < 0 ? "-" : "",
             ms / 86400000, ms / 3600000 % 24, ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
    return buffer;
}

/* Without zeros behind a point that say nothing, as the engine writes them. */
static std::string text_of_moment(duckdb::timestamp_tz_t value)
{
    return duckdb::Timestamp::ToString(duckdb::timestamp_t(value.value)) +
           (duckdb::Timestamp::IsFinite(duckdb::timestamp_t(value.value)) ? " UTC" : "");
}

/* A text without its quotes; what is no text stays JSON. */
static std::string text_of_json(duckdb::string_t value)
{
    struct slice text = slice_trim({value.GetData(), value.GetSize()});
    bool is_plain =
        text.len >= 2 && text.ptr[0] == '"' && memchr(text.ptr, '\\', text.len) == nullptr;
    return is_plain ? std::string(text.ptr + 1, text.len - 2) : std::string(text.ptr, text.len);
}

static void run_text(DataChunk &args, ExpressionState &, Vector &result)
{
    switch (args.data[0].GetType().id()) {
    case LogicalTypeId::DOUBLE:
        put_texts<double>(args, result, text_of_float<double>);
        break;
    case LogicalTypeId::FLOAT:
        put_texts<float>(args, result, text_of_float<float>);
        break;
    case LogicalTypeId::INTERVAL:
        put_texts<duckdb::interval_t>(args, result, text_of_interval);
        break;
    case LogicalTypeId::TIMESTAMP_TZ:
        put_texts<duckdb::timestamp_tz_t>(args, result, text_of_moment);
        break;
    default:
        put_texts<duckdb::string_t>(args, result, text_of_json);
        break;
    }
}

static duckdb::unique_ptr<duckdb::FunctionData>
bind_text(duckdb::ClientContext &, ScalarFunction &function,
          duckdb::vector<duckdb::unique_ptr<duckdb::Expression>> &arguments)
{
    LogicalType type = arguments[0]->return_type;
    bool is_written = is_float(type) || type.id() == LogicalTypeId::INTERVAL ||
                      type.id() == LogicalTypeId::TIMESTAMP_TZ || type.IsJSONType();
    function.arguments[0] = type;
    function.SetReturnType(is_written ? LogicalType::VARCHAR : type);
    function.SetFunctionCallback(is_written ? run_text : run_same);
    return nullptr;
}

/* The cast is the binder's: both arguments are of the type of the second. */
static duckdb::unique_ptr<duckdb::FunctionData>
bind_as(duckdb::ClientContext &, ScalarFunction &function,
        duckdb::vector<duckdb::unique_ptr<duckdb::Expression>> &arguments)
{
    LogicalType type = arguments[1]->return_type;
    if (is_untyped(type)) {
        type = arguments[0]->return_type;
    }
    function.arguments[0] = type;
    function.arguments[1] = type;
    function.SetReturnType(type);
    return nullptr;
}

std::vector<ScalarFunction> trino_functions()
{
    std::vector<ScalarFunction> functions;
    functions.emplace_back(ScalarFunction("trino_divide", {LogicalType::ANY, LogicalType::ANY},
                                          LogicalType::ANY, run<int64_t, divide_integer>,
                                          bind_divide));
    functions.emplace_back(ScalarFunction("trino_modulo", {LogicalType::ANY, LogicalType::ANY},
                                          LogicalType::ANY, run<int64_t, modulo_integer>,
                                          bind_modulo));
    functions.emplace_back(ScalarFunction("trino_average",
                                          {LogicalType::ANY, LogicalType::ANY, LogicalType::ANY},
                                          LogicalType::ANY, run_mean<double>, bind_average));
    functions.emplace_back(ScalarFunction("trino_as", {LogicalType::ANY, LogicalType::ANY},
                                          LogicalType::ANY, run_same, bind_as));
    functions.emplace_back(
        ScalarFunction("trino_round", {LogicalType::ANY}, LogicalType::ANY, run_same, bind_round));
    functions.emplace_back(
        ScalarFunction("trino_text", {LogicalType::ANY}, LogicalType::ANY, run_same, bind_text));
    add_trino_text(functions);
    add_trino_bytes(functions);
    add_trino_numbers(functions);
    add_trino_times(functions);
    add_trino_lists(functions);
    add_trino_dispatch(functions);
    for (ScalarFunction &function : functions) {
        function.SetFallible();
        function.SetNullHandling(duckdb::FunctionNullHandling::SPECIAL_HANDLING); /* has a type */
    }
    return functions;
}

} // namespace moat
