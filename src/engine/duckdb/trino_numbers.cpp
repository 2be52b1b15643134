/* Functions of numbers as Trino has them.
 *
 *   trino_normal_cdf(mean, deviation, x), trino_inverse_normal_cdf(mean, deviation, p)
 *   trino_beta_cdf(a, b, x), trino_t_cdf(x, degrees), trino_t_pdf(x, degrees)
 *   trino_wilson_lower(successes, trials, z), _upper   the ends of Wilson's interval
 *   trino_shift_left(number, bits), _right (zeros come in), _arithmetic   the type stays, bits that
 *                                   it does not have go
 *   trino_bit_count(number, bits)   ones of a number that so many bits hold
 *   trino_sign(number)              of the type of the number, of decimals decimal(1, 0)
 *   trino_width_bucket(x, from, to, buckets)
 *   trino_checked(number, least, most)   the number, or an error */
#include "engine/duckdb/trino.hpp"

#include <cmath>
#include <limits>

#include <duckdb/common/types/decimal.hpp>
#include <duckdb/common/types/hugeint.hpp>
#include <duckdb/common/vector_operations/binary_executor.hpp>
#include <duckdb/common/vector_operations/ternary_executor.hpp>
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
using duckdb::TernaryExecutor;
using duckdb::UnaryExecutor;
using duckdb::Vector;
using arguments = duckdb::vector<duckdb::unique_ptr<duckdb::Expression>>;

/* ---- distributions ---- */

static double normal_cdf(double mean, double deviation, double x)
{
    if (!(deviation > 0)) {
        throw_argument("a standard deviation is greater than 0");
    }
    return 0.5 * std::erfc(-(x - mean) / (deviation * std::sqrt(2.0)));
}

/* The root of erf(y) = x: a first guess (Winitzki's), then Halley's steps, each of which has three
 * times as many digits as the one before. */
static double inverse_erf(double x)
{
    const double a = 0.147;
    const double pi = 3.14159265358979323846;
    double logarithm = std::log1p(-x * x);
    double half = 2 / (pi * a) + logarithm / 2;
    double y = std::copysign(std::sqrt(std::sqrt(half * half - logarithm / a) - half), x);
    for (int i = 0; i < 4 && std::fabs(x) < 1; i++) {
        double error = y > 0 ? (1 - x) - std::erfc(y) : std::erfc(-y) - (1 + x);
        double step = error / (2 / std::sqrt(pi) * std::exp(-y * y));
        y -= step / (1 + y * step);
    }
    return y;
}

static double inverse_normal_cdf(double mean, double deviation, double p)
{
    if (!(p > 0 && p < 1)) {
        throw_argument("a probability is between 0 and 1");
    }
    if (!(deviation > 0)) {
        throw_argument("a standard deviation is greater than 0");
    }
    return mean + deviation * std::sqrt(2.0) * inverse_erf(2 * p - 1);
}

/* The continued fraction of the incomplete beta function (DLMF 8.17.22) by Lentz's method. */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1;
    double d = 1 / (1 - (a + b) * x / (a + 1));
    double value = d;
    for (int m = 1; m <= 10000; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        double change = 1;
        for (double part : {even, odd}) {
            d = 1 + part * d;
            c = 1 + part / c;
            d = 1 / (std::fabs(d) < tiny ? tiny : d);
            c = std::fabs(c) < tiny ? tiny : c;
            change = c * d;
            value *= change;
        }
        if (std::fabs(change - 1) < 3e-16) {
            return value;
        }
    }
    throw_argument("the distribution is too narrow to be computed");
}

/* Without the sign that the C library's lgamma() writes to where all threads see it. */
static double log_gamma(double x)
{
    int sign;
    return lgamma_r(x, &sign);
}

static double incomplete_beta(double a, double b, double x)
{
    if (x <= 0 || x >= 1) {
        return x <= 0 ? 0 : 1;
    }
    double front = std::exp(a * std::log(x) + b * std::log1p(-x) + log_gamma(a + b) - log_gamma(a) -
                            log_gamma(b));
    return x <= (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a
                                      : 1 - front * beta_fraction(b, a, 1 - x) / b;
}

static double beta_cdf(double a, double b, double x)
{
    if (!(a > 0) || !(b > 0)) {
        throw_argument("a and b of a beta distribution are greater than 0");
    }
    if (!(x >= 0 && x <= 1)) {
        throw_argument("a value of a beta distribution is from 0 to 1");
    }
    return incomplete_beta(a, b, x);
}

static double checked_degrees(double degrees)
{
    if (!(degrees > 0)) {
        throw_argument("degrees of freedom are greater than 0");
    }
    return degrees;
}

static double t_cdf(double x, double degrees)
{
    checked_degrees(degrees);
    double tail = 0.5 * incomplete_beta(degrees / 2, 0.5, degrees / (degrees + x * x));
    return x == 0 ? 0.5 : x < 0 ? tail : 1 - tail;
}

static double t_pdf(double x, double degrees)
{
    checked_degrees(degrees);
    const double pi = 3.14159265358979323846;
    double half = (degrees + 1) / 2;
    return std::exp(log_gamma(half) - log_gamma(degrees / 2) -
                    0.5 * (std::log(pi) + std::log(degrees)) - half * std::log1p(x * x / degrees));
}

template <double (*OF)(double, double, double)>
static void run_three(DataChunk &args, ExpressionState &, Vector &result)
{
    TernaryExecutor::Execute<double, double, double, double>(args.data[0], args.data[1],
                                                             args.data[2], result, args.size(), OF);
}

template <double (*OF)(double, double)>
static void run_two(DataChunk &args, ExpressionState &, Vector &result)
{
    BinaryExecutor::Execute<double, double, double>(args.data[0], args.data[1], result, args.size(),
                                                    OF);
}

template <int SIGN> static double wilson(int64_t successes, int64_t trials, double z)
{
    if (successes < 0 || trials <= 0 || successes > trials || !(z >= 0)) {
        throw_argument("of at least one trial none to all are successes, and z is not negative");
    }
    auto n = static_cast<double>(trials);
    double share = static_cast<double>(successes) / n;
    double middle = share + z * z / (2 * n);
    double spread = z * std::sqrt(share * (1 - share) / n + z * z / (4 * n * n));
    return (middle + SIGN * spread) / (1 + z * z / n);
}

template <int SIGN> static void run_wilson(DataChunk &args, ExpressionState &, Vector &result)
{
    TernaryExecutor::Execute<int64_t, int64_t, double, double>(
        args.data[0], args.data[1], args.data[2], result, args.size(), wilson<SIGN>);
}

/* ---- bits ---- */

enum class shift {
    LEFT,
    RIGHT,
    ARITHMETIC
};

template <class T, class BITS, shift TO> static T shifted(T value, int64_t bits)
{
    const int64_t width = 8 * sizeof(T);
    bool is_gone = bits < 0 || bits >= width;
    if (TO == shift::ARITHMETIC) {
        return static_cast<T>(value >> (is_gone ? width - 1 : bits));
    }
    auto plain = static_cast<BITS>(value);
    return is_gone             ? T(0)
           : TO == shift::LEFT ? static_cast<T>(static_cast<BITS>(plain << bits))
                               : static_cast<T>(static_cast<BITS>(plain >> bits));
}

template <class T, class BITS, shift TO>
static void run_shift(DataChunk &args, ExpressionState &, Vector &result)
{
    BinaryExecutor::Execute<T, int64_t, T>(args.data[0], args.data[1], result, args.size(),
                                           shifted<T, BITS, TO>);
}

template <shift TO> static void add_shift(trino_list &functions, const char *name)
{
    auto add = [&](const LogicalType &type, duckdb::scalar_function_t run) {
        functions.emplace_back(name, duckdb::vector<LogicalType>{type, LogicalType::BIGINT}, type,
                               std::move(run));
    };
    add(LogicalType::TINYINT, run_shift<int8_t, uint8_t, TO>);
    add(LogicalType::SMALLINT, run_shift<int16_t, uint16_t, TO>);
    add(LogicalType::INTEGER, run_shift<int32_t, uint32_t, TO>);
    add(LogicalType::BIGINT, run_shift<int64_t, uint64_t, TO>);
}

static int64_t bit_count(int64_t value, int64_t bits)
{
    if (bits < 2 || bits > 64) {
        throw_argument("bits are from 2 to 64");
    }
    int64_t rest = bits == 64 ? 0 : value >> (bits - 1);
    if (rest != 0 && rest != -1) {
        throw_argument("the number has more than " + std::to_string(bits) + " bits");
    }
    uint64_t mask = bits == 64 ? ~0ull : (1ull << bits) - 1;
    return __builtin_popcountll(static_cast<uint64_t>(value) & mask);
}

static void run_bit_count(DataChunk &args, ExpressionState &, Vector &result)
{
    BinaryExecutor::Execute<int64_t, int64_t, int64_t>(args.data[0], args.data[1], result,
                                                       args.size(), bit_count);
}

/* ---- signs and buckets ---- */

template <class T> static T sign_of(T value)
{
    return value > T(0) ? T(1) : value < T(0) ? T(-1) : value; /* NaN and -0 stay */
}

template <class T> static void run_sign(DataChunk &args, ExpressionState &, Vector &result)
{
    UnaryExecutor::Execute<T, T>(args.data[0], result, args.size(), sign_of<T>);
}

static void run_sign_of_decimal(DataChunk &args, ExpressionState &, Vector &result)
{
    UnaryExecutor::Execute<hugeint_t, int16_t>(
        args.data[0], result, args.size(), [](hugeint_t value) {
            return static_cast<int16_t>(value > hugeint_t(0) ? 1 : value < hugeint_t(0) ? -1 : 0);
        });
}

static duckdb::unique_ptr<duckdb::FunctionData>
bind_sign(duckdb::ClientContext &, ScalarFunction &function, arguments &values)
{
    const LogicalType &type = values[0]->return_type;
    duckdb::scalar_function_t run = nullptr;
    function.arguments[0] = type;
    function.SetReturnType(type);
    switch (type.id()) {
    case LogicalTypeId::DECIMAL:
        function.arguments[0] = LogicalType::DECIMAL(38, duckdb::DecimalType::GetScale(type));
        function.SetReturnType(LogicalType::DECIMAL(1, 0));
        run = run_sign_of_decimal;
        break;
    case LogicalTypeId::TINYINT:
        run = run_sign<int8_t>;
        break;
    case LogicalTypeId::SMALLINT:
        run = run_sign<int16_t>;
        break;
    case LogicalTypeId::INTEGER:
        run = run_sign<int32_t>;
        break;
    case LogicalTypeId::BIGINT:
        run = run_sign<int64_t>;
        break;
    case LogicalTypeId::HUGEINT:
        run = run_sign<hugeint_t>;
        break;
    case LogicalTypeId::FLOAT:
        run = run_sign<float>;
        break;
    case LogicalTypeId::DOUBLE:
        run = run_sign<double>;
        break;
    default: /* NULL, parameters: the engine converts */
        function.arguments[0] = LogicalType::DOUBLE;
        function.SetReturnType(LogicalType::DOUBLE);
        run = run_sign<double>;
        break;
    }
    function.SetFunctionCallback(run);
    return nullptr;
}

/* From 1; 0 and one more than there are for what is outside. Bounds may go down. */
static int64_t bucket(double x, double from, double to, int64_t buckets)
{
    if (buckets <= 0 || std::isnan(x) || !std::isfinite(from) || !std::isfinite(to) || from == to) {
        throw_argument("buckets are one or more, of a number, between two bounds");
    }
    double lower = std::min(from, to);
    double upper = std::max(from, to);
    if (x < lower) {
        return from < to ? 0 : buckets + 1;
    }
    if (x >= upper) {
        return from < to ? buckets + 1 : 0;
    }
    auto place =
        static_cast<int64_t>(static_cast<double>(buckets) * (x - lower) / (upper - lower)) + 1;
    return from < to ? place : buckets - place + 1;
}

static void run_bucket(DataChunk &args, ExpressionState &, Vector &result)
{
    duckdb::UnifiedVectorFormat formats[4];
    for (size_t i = 0; i < 4; i++) {
        args.data[i].ToUnifiedFormat(args.size(), formats[i]);
    }
    auto number = [&](size_t i, duckdb::idx_t row) {
        return duckdb::UnifiedVectorFormat::GetData<double>(
            formats[i])[formats[i].sel->get_index(row)];
    };
    result.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
    for (duckdb::idx_t row = 0; row < args.size(); row++) {
        bool is_valid = true;
        for (auto &format : formats) {
            is_valid = is_valid && format.validity.RowIsValid(format.sel->get_index(row));
        }
        if (!is_valid) {
            duckdb::FlatVector::SetNull(result, row, true);
            continue;
        }
        auto buckets = duckdb::UnifiedVectorFormat::GetData<int64_t>(formats[3]);
        duckdb::FlatVector::GetData<int64_t>(result)[row] =
            bucket(number(0, row), number(1, row), number(2, row),
                   buckets[formats[3].sel->get_index(row)]);
    }
    if (args.AllConstant()) {
        result.SetVectorType(duckdb::VectorType::CONSTANT_VECTOR);
    }
}

static int64_t checked(int64_t value, int64_t least, int64_t most)
{
    if (value < least || value > most) {
        throw_argument("an argument is too small or too large");
    }
    return value;
}

static void run_checked(DataChunk &args, ExpressionState &, Vector &result)
{
    TernaryExecutor::Execute<int64_t, int64_t, int64_t, int64_t>(
        args.data[0], args.data[1], args.data[2], result, args.size(), checked);
}

void add_trino_numbers(trino_list &functions)
{
    const LogicalType real = LogicalType::DOUBLE;
    const LogicalType number = LogicalType::BIGINT;
    auto add = [&](const char *name, duckdb::vector<LogicalType> takes, const LogicalType &gives,
                   duckdb::scalar_function_t run) {
        functions.emplace_back(name, std::move(takes), gives, std::move(run));
    };
    add("trino_normal_cdf", {real, real, real}, real, run_three<normal_cdf>);
    add("trino_inverse_normal_cdf", {real, real, real}, real, run_three<inverse_normal_cdf>);
    add("trino_beta_cdf", {real, real, real}, real, run_three<beta_cdf>);
    add("trino_t_cdf", {real, real}, real, run_two<t_cdf>);
    add("trino_t_pdf", {real, real}, real, run_two<t_pdf>);
    add("trino_wilson_lower", {number, number, real}, real, run_wilson<-1>);
    add("trino_wilson_upper", {number, number, real}, real, run_wilson<1>);
    add_shift<shift::LEFT>(functions, "trino_shift_left");
    add_shift<shift::RIGHT>(functions, "trino_shift_right");
    add_shift<shift::ARITHMETIC>(functions, "trino_shift_arithmetic");
    add("trino_bit_count", {number, number}, number, run_bit_count);
    add("trino_width_bucket", {real, real, real, number}, number, run_bucket);
    add("trino_checked", {number, number, number}, number, run_checked);
    functions.emplace_back("trino_sign", duckdb::vector<LogicalType>{LogicalType::ANY},
                           LogicalType::ANY, run_sign<double>, bind_sign);
}

} // namespace moat
