/* __moat_numeric(x): a cast to PostgreSQL's numeric without digits, which holds any number.
 *
 * The engine's decimals have a fixed scale. A literal's is its own, a decimal's stays, an integer
 * has none; everything else gets DECIMAL(38,9). A text that needs more is an error, never another
 * number. Of a float come the 15 digits (6 of a REAL) that are sure, as with PostgreSQL. */
#include "engine/duckdb/module.hpp"

#include <cstdio>

#include <duckdb/common/vector_operations/unary_executor.hpp>
#include <duckdb/execution/expression_executor.hpp>
#include <duckdb/function/scalar_function.hpp>
#include <duckdb/parser/parsed_data/create_scalar_function_info.hpp>

namespace moat
{

using duckdb::DataChunk;
using duckdb::ExpressionState;
using duckdb::hugeint_t;
using duckdb::LogicalType;
using duckdb::LogicalTypeId;
using duckdb::ScalarFunction;
using duckdb::string;
using duckdb::string_t;
using duckdb::Vector;

static constexpr uint8_t WIDTH = 38;
static constexpr uint8_t SCALE = 9;

/* 38 nines: two factors, as each is a 64-bit number. */
static constexpr unsigned __int128 MOST =
    static_cast<unsigned __int128>(10000000000000000000ULL) * 10000000000000000000ULL - 1;

/* A number as it is written: value = digits * 10^-behind. */
struct number {
    bool is_negative;
    const char *at; /* digits and perhaps a point */
    const char *end;
    int64_t before; /* digits in front of the point, which e moves */
    int64_t behind;
};

static size_t count_digits(struct slice text, size_t at)
{
    size_t from = at;
    while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9') {
        at++;
    }
    return at - from;
}

/* e [+-] digits, at most six of them; `at` goes behind it. */
static bool read_exponent(struct slice text, size_t *at, int64_t *ret_exponent)
{
    size_t sign = *at + 1 < text.len && strchr("+-", text.ptr[*at + 1]) != nullptr ? 2 : 1;
    size_t count = *at + sign <= text.len ? count_digits(text, *at + sign) : 0;
    if (count == 0 || count > 6 || !slice_to_i64({text.ptr + *at + sign, count}, ret_exponent)) {
        return false;
    }
    *ret_exponent = text.ptr[*at + 1] == '-' ? -*ret_exponent : *ret_exponent;
    *at += sign + count;
    return true;
}

/* [+-] digits [. digits] [e [+-] digits]; false for anything else. */
static bool read_number(struct slice written, number *ret_number)
{
    struct slice text = slice_trim(written);
    size_t at = text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+') ? 1 : 0;
    size_t before = count_digits(text, at);
    size_t behind = 0;
    size_t end = at + before;
    int64_t exponent = 0;
    if (end < text.len && text.ptr[end] == '.') {
        behind = count_digits(text, end + 1);
        end += 1 + behind;
    }
    *ret_number = {at == 1 && text.ptr[0] == '-', text.ptr + at, text.ptr + end, 0, 0};
    if (before + behind == 0 || (end < text.len && (text.ptr[end] | 0x20) == 'e' &&
                                 !read_exponent(text, &end, &exponent))) {
        return false;
    }
    ret_number->before = static_cast<int64_t>(before) + exponent;
    ret_number->behind = static_cast<int64_t>(behind) - exponent;
    return end == text.len;
}

/* The number at `scale`. What is behind that must be zeros, or, with `rounds`, is rounded, a half
 * away from zero. False: it does not fit. */
static bool scale_number(const number &number, uint8_t scale, bool rounds, hugeint_t *ret_value)
{
    unsigned __int128 value = 0;
    int64_t place = number.before; /* of the digit: 1 are the ones, 0 the tenths */
    bool is_rounded = false;
    bool is_up = false;
    for (const char *at = number.at; at < number.end; at++) {
        if (*at == '.') {
            continue;
        }
        int digit = *at - '0';
        if (place > -scale) {
            if (value > MOST / 10) {
                return false;
            }
            value = value * 10 + static_cast<unsigned>(digit);
        } else {
            is_up = is_rounded ? is_up : place == -scale && digit >= 5;
            is_rounded = true;
            if (!rounds && digit != 0) {
                return false;
            }
        }
        place--;
    }
    for (; place > -scale && value != 0; place--) {
        if (value > MOST / 10) {
            return false;
        }
        value *= 10;
    }
    value += is_up && rounds ? 1 : 0;
    if (value > MOST) {
        return false;
    }
    hugeint_t result;
    result.lower = static_cast<uint64_t>(value);
    result.upper = static_cast<int64_t>(value >> 64);
    *ret_value = number.is_negative ? -result : result;
    return true;
}

[[noreturn]] static void throw_too_long(const string &text)
{
    throw_err(ERR_INVALID, "22003", "numeric value \"" + text + "\" has too many digits",
              "Numbers have 38 digits, behind the point as many as numeric(38, n) says; without "
              "it, a text that is no constant has 9.");
}

static hugeint_t to_decimal(string_t input, uint8_t scale)
{
    number number;
    hugeint_t value;
    if (!read_number({input.GetData(), input.GetSize()}, &number)) {
        throw_err(ERR_INVALID, "22P02",
                  "invalid input syntax for type numeric: \"" + input.GetString() + "\"", "");
    }
    if (!scale_number(number, scale, false, &value)) {
        throw_too_long(input.GetString());
    }
    return value;
}

static hugeint_t from_float(double input, int precision)
{
    char text[64];
    int len = snprintf(text, sizeof(text), "%.*g", precision, input);
    number number;
    hugeint_t value;
    if (!read_number({text, static_cast<size_t>(len)}, &number) ||
        !scale_number(number, SCALE, true, &value)) {
        throw_too_long(text);
    }
    return value;
}

static void run_text(DataChunk &args, ExpressionState &, Vector &result)
{
    uint8_t scale = duckdb::DecimalType::GetScale(result.GetType());
    duckdb::UnaryExecutor::Execute<string_t, hugeint_t>(
        args.data[0], result, args.size(),
        [&](string_t input) { return to_decimal(input, scale); });
}

static void run_double(DataChunk &args, ExpressionState &, Vector &result)
{
    duckdb::UnaryExecutor::Execute<double, hugeint_t>(
        args.data[0], result, args.size(), [](double input) { return from_float(input, 15); });
}

static void run_real(DataChunk &args, ExpressionState &, Vector &result)
{
    duckdb::UnaryExecutor::Execute<float, hugeint_t>(
        args.data[0], result, args.size(),
        [](float input) { return from_float(static_cast<double>(input), 6); });
}

static void run_same(DataChunk &args, ExpressionState &, Vector &result)
{
    result.Reference(args.data[0]);
}

/* A literal is as precise as it is written. */
static uint8_t scale_of_text(duckdb::ClientContext &context, const duckdb::Expression &text)
{
    number written;
    if (!text.IsFoldable()) {
        return SCALE;
    }
    duckdb::Value value = duckdb::ExpressionExecutor::EvaluateScalar(context, text);
    if (value.IsNull()) {
        return SCALE;
    }
    string said = value.DefaultCastAs(LogicalType::VARCHAR).ToString();
    bool is_number = read_number({said.data(), said.size()}, &written);
    uint8_t scale = !is_number || written.behind < 0 ? 0
                    : written.behind > WIDTH         ? WIDTH
                                                     : static_cast<uint8_t>(written.behind);
    (void)to_decimal(string_t(said), scale); /* its error comes now */
    return scale;
}

LogicalType numeric_type()
{
    return LogicalType::DECIMAL(WIDTH, SCALE);
}

static duckdb::unique_ptr<duckdb::FunctionData>
bind(duckdb::ClientContext &context, ScalarFunction &function,
     duckdb::vector<duckdb::unique_ptr<duckdb::Expression>> &arguments)
{
    LogicalType from = arguments[0]->return_type;
    LogicalType to = numeric_type();
    if (from.id() == LogicalTypeId::DECIMAL) {
        to = from;
    } else if (from.IsIntegral() || from.id() == LogicalTypeId::BOOLEAN) {
        from = to = LogicalType::DECIMAL(WIDTH, 0);
    } else if (from.id() == LogicalTypeId::UNKNOWN || from.id() == LogicalTypeId::SQLNULL) {
        from = to;
    } else if (from.id() == LogicalTypeId::DOUBLE) {
        function.SetFunctionCallback(run_double);
    } else if (from.id() == LogicalTypeId::FLOAT) {
        function.SetFunctionCallback(run_real);
    } else {
        from = LogicalType::VARCHAR;
        to = LogicalType::DECIMAL(WIDTH, scale_of_text(context, *arguments[0]));
        function.SetFunctionCallback(run_text);
    }
    function.arguments[0] = from;
    function.SetReturnType(to);
    return nullptr;
}

ScalarFunction numeric_function()
{
    ScalarFunction numeric("__moat_numeric", {LogicalType::ANY}, LogicalType::ANY, run_same, bind);
    numeric.SetFallible();
    numeric.SetNullHandling(duckdb::FunctionNullHandling::SPECIAL_HANDLING); /* NULL has a type */
    return numeric;
}

} // namespace moat
