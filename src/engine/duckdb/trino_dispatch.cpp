/* What Trino has for several types and the engine by several names: each call becomes that of the
 * engine's own function once its types are known, so that it is folded, pruned and counted as that.
 *
 *   trino_add(a, b), trino_subtract(a, b)   a date and an interval of whole days are a date
 *   trino_cardinality(array or map)
 *   trino_length(text or bytes), trino_reverse(text, array or bytes)
 *   trino_concat_ws(separator, text or array of texts)
 *   trino_ceil(x), trino_floor(x), trino_truncate(x)   of integers themselves, of decimals as many
 *                                           digits as there are in front of the point, or one more
 *   trino_round_to(x, digits), trino_truncate_to(x, digits)   of decimals to the last digit */
#include "engine/duckdb/trino.hpp"

#include <duckdb/common/types/decimal.hpp>
#include <duckdb/common/types/hugeint.hpp>
#include <duckdb/common/types/interval.hpp>
#include <duckdb/common/vector_operations/binary_executor.hpp>
#include <duckdb/function/function_binder.hpp>
#include <duckdb/planner/expression.hpp>
#include <duckdb/planner/expression/bound_cast_expression.hpp>

namespace moat
{

using duckdb::DataChunk;
using duckdb::date_t;
using duckdb::ExpressionState;
using duckdb::hugeint_t;
using duckdb::interval_t;
using duckdb::LogicalType;
using duckdb::LogicalTypeId;
using duckdb::ScalarFunction;
using duckdb::Vector;
using bind_input = duckdb::FunctionBindExpressionInput;
using expression = duckdb::unique_ptr<duckdb::Expression>;

/* The engine's function of this name, over the same arguments. */
static expression call(bind_input &input, const char *name, bool is_operator = false)
{
    duckdb::FunctionBinder binder(input.context);
    duckdb::ErrorData error;
    expression bound = binder.BindScalarFunction(DEFAULT_SCHEMA, name, std::move(input.children),
                                                 error, is_operator);
    if (bound == nullptr) {
        error.Throw();
    }
    return bound;
}

static expression call_own(bind_input &input, const ScalarFunction &function)
{
    duckdb::FunctionBinder binder(input.context);
    return binder.BindScalarFunction(function, std::move(input.children));
}

/* Where a call was not replaced: never. */
static void run_none(DataChunk &, ExpressionState &, Vector &)
{
    throw_err(ERR_INTERNAL, nullptr, "a call has not been told by its types", "");
}

static LogicalTypeId type_of(const bind_input &input, size_t argument)
{
    return input.children[argument]->return_type.id();
}

/* ---- dates ---- */

template <int SIGN> static date_t moved(date_t date, interval_t interval)
{
    if (interval.micros % duckdb::Interval::MICROS_PER_DAY != 0) {
        throw_argument("hours, minutes and seconds are not added to a date");
    }
    interval_t by = {};
    if (__builtin_mul_overflow(interval.months, SIGN, &by.months) ||
        __builtin_mul_overflow(interval.days, SIGN, &by.days) ||
        __builtin_mul_overflow(interval.micros, int64_t(SIGN), &by.micros)) {
        throw_err(ERR_INVALID, "22008", "the interval is too long", "");
    }
    return duckdb::Interval::Add(date, by);
}

template <int SIGN> static void run_moved(DataChunk &args, ExpressionState &, Vector &result)
{
    duckdb::BinaryExecutor::Execute<date_t, interval_t, date_t>(args.data[0], args.data[1], result,
                                                                args.size(), moved<SIGN>);
}

template <int SIGN> static expression bind_sum(bind_input &input)
{
    if (SIGN > 0 && type_of(input, 0) == LogicalTypeId::INTERVAL &&
        type_of(input, 1) == LogicalTypeId::DATE) {
        std::swap(input.children[0], input.children[1]);
    }
    if (type_of(input, 0) != LogicalTypeId::DATE || type_of(input, 1) != LogicalTypeId::INTERVAL) {
        return call(input, SIGN > 0 ? "+" : "-", true);
    }
    ScalarFunction own(SIGN > 0 ? "trino_add" : "trino_subtract",
                       {LogicalType::DATE, LogicalType::INTERVAL}, LogicalType::DATE,
                       run_moved<SIGN>);
    own.SetFallible();
    return call_own(input, own);
}

/* ---- lengths and orders ---- */

static expression bind_cardinality(bind_input &input)
{
    bool is_map = type_of(input, 0) == LogicalTypeId::MAP;
    duckdb::ClientContext &context = input.context;
    return duckdb::BoundCastExpression::AddCastToType(
        context, call(input, is_map ? "cardinality" : "len"), LogicalType::BIGINT);
}

static expression bind_length(bind_input &input)
{
    return call(input, type_of(input, 0) == LogicalTypeId::BLOB ? "octet_length" : "length");
}

static void run_reverse(DataChunk &args, ExpressionState &, Vector &result)
{
    put_texts<duckdb::string_t>(args, result, [](duckdb::string_t value) {
        std::string bytes = text_of(value);
        return std::string(bytes.rbegin(), bytes.rend());
    });
}

static void run_reverse_list(DataChunk &args, ExpressionState &, Vector &result)
{
    Vector &from = duckdb::ListVector::GetEntry(args.data[0]);
    duckdb::UnaryExecutor::Execute<duckdb::list_entry_t, duckdb::list_entry_t>(
        args.data[0], result, args.size(), [&](duckdb::list_entry_t list) {
            duckdb::SelectionVector order(list.length);
            for (duckdb::idx_t i = 0; i < list.length; i++) {
                order.set_index(i, list.offset + list.length - 1 - i);
            }
            duckdb::idx_t offset = duckdb::ListVector::GetListSize(result);
            duckdb::ListVector::Append(result, from, order, list.length);
            return duckdb::list_entry_t(offset, list.length);
        });
}

static expression bind_reverse(bind_input &input)
{
    if (type_of(input, 0) == LogicalTypeId::BLOB) {
        ScalarFunction own("trino_reverse", {LogicalType::BLOB}, LogicalType::BLOB, run_reverse);
        own.SetFallible();
        return call_own(input, own);
    }
    if (type_of(input, 0) == LogicalTypeId::LIST) {
        const LogicalType type = input.children[0]->return_type;
        ScalarFunction own("trino_reverse", {type}, type, run_reverse_list);
        own.SetFallible();
        return call_own(input, own);
    }
    return call(input, "reverse");
}

/* What is NULL in the array is left out. */
static void run_join(DataChunk &args, ExpressionState &, Vector &result)
{
    Vector &texts = duckdb::ListVector::GetEntry(args.data[1]);
    duckdb::idx_t size = duckdb::ListVector::GetListSize(args.data[1]);
    duckdb::UnifiedVectorFormat format;
    texts.ToUnifiedFormat(size, format);
    auto values = duckdb::UnifiedVectorFormat::GetData<duckdb::string_t>(format);
    duckdb::BinaryExecutor::Execute<duckdb::string_t, duckdb::list_entry_t, duckdb::string_t>(
        args.data[0], args.data[1], result, args.size(),
        [&](duckdb::string_t separator, duckdb::list_entry_t list) {
            std::string joined;
            bool is_first = true;
            for (duckdb::idx_t i = list.offset; i < list.offset + list.length; i++) {
                duckdb::idx_t at = format.sel->get_index(i);
                if (format.validity.RowIsValid(at)) {
                    joined += (is_first ? "" : text_of(separator)) + text_of(values[at]);
                    is_first = false;
                }
            }
            return put_text(result, joined);
        });
}

static expression bind_concat_ws(bind_input &input)
{
    if (type_of(input, 1) != LogicalTypeId::LIST) {
        return call(input, "concat_ws");
    }
    ScalarFunction own("trino_concat_ws",
                       {LogicalType::VARCHAR, LogicalType::LIST(LogicalType::VARCHAR)},
                       LogicalType::VARCHAR, run_join);
    own.SetFallible();
    return call_own(input, own);
}

/* ---- whole numbers and digits ---- */

enum class whole {
    CEIL,
    FLOOR,
    TRUNCATE
};

template <whole TO> static expression bind_whole(bind_input &input)
{
    const char *name = TO == whole::CEIL ? "ceil" : TO == whole::FLOOR ? "floor" : "trunc";
    const LogicalType type = input.children[0]->return_type;
    if (type.IsIntegral()) {
        return std::move(input.children[0]);
    }
    if (type.id() != LogicalTypeId::DECIMAL) {
        return call(input, name);
    }
    int scale = duckdb::DecimalType::GetScale(type);
    int width = duckdb::DecimalType::GetWidth(type) - scale;
    width += TO != whole::TRUNCATE && scale > 0 ? 1 : 0; /* 9.9 is 10 */
    return duckdb::BoundCastExpression::AddCastToType(
        input.context, call(input, name),
        LogicalType::DECIMAL(static_cast<uint8_t>(std::max(width, 1)), 0));
}

/* Digits behind the `digits`-th are 0: half up, away from zero, or cut. */
template <bool ROUNDS> static hugeint_t shortened(hugeint_t value, int64_t digits, int64_t scale)
{
    if (digits >= scale) {
        return value;
    }
    if (scale - digits > 38) {
        return hugeint_t(0);
    }
    hugeint_t unit = duckdb::Hugeint::POWERS_OF_TEN[scale - digits];
    hugeint_t rest = value % unit;
    hugeint_t half = unit / hugeint_t(2);
    hugeint_t cut = value - rest;
    return !ROUNDS || (rest < half && rest > -half) ? cut
           : rest > hugeint_t(0)                    ? cut + unit
                                                    : cut - unit;
}

template <bool ROUNDS> static void run_shortened(DataChunk &args, ExpressionState &, Vector &result)
{
    int64_t scale = duckdb::DecimalType::GetScale(args.data[0].GetType());
    hugeint_t limit = duckdb::Hugeint::POWERS_OF_TEN[38];
    duckdb::BinaryExecutor::Execute<hugeint_t, int32_t, hugeint_t>(
        args.data[0], args.data[1], result, args.size(), [&](hugeint_t value, int32_t digits) {
            hugeint_t rounded = shortened<ROUNDS>(value, digits, scale);
            if (rounded >= limit || rounded <= -limit) {
                throw_err(ERR_INVALID, "22003", "decimal overflow", "");
            }
            return rounded;
        });
}

template <bool ROUNDS> static expression bind_shortened(bind_input &input)
{
    const LogicalType type = input.children[0]->return_type;
    if (type.id() != LogicalTypeId::DECIMAL) {
        return call(input, ROUNDS ? "round" : "trunc");
    }
    uint8_t scale = duckdb::DecimalType::GetScale(type);
    int width = duckdb::DecimalType::GetWidth(type) + (ROUNDS ? 1 : 0);
    LogicalType widest = LogicalType::DECIMAL(38, scale);
    ScalarFunction own(ROUNDS ? "trino_round_to" : "trino_truncate_to",
                       {widest, LogicalType::INTEGER}, widest, run_shortened<ROUNDS>);
    own.SetFallible();
    return duckdb::BoundCastExpression::AddCastToType(
        input.context, call_own(input, own),
        LogicalType::DECIMAL(static_cast<uint8_t>(std::min(width, 38)), scale));
}

void add_trino_dispatch(trino_list &functions)
{
    const LogicalType any = LogicalType::ANY;
    auto add = [&](const char *name, duckdb::vector<LogicalType> takes,
                   duckdb::function_bind_expression_t bind) {
        functions.emplace_back(name, std::move(takes), any, run_none);
        functions.back().SetBindExpressionCallback(bind);
    };
    add("trino_add", {any, any}, bind_sum<1>);
    add("trino_subtract", {any, any}, bind_sum<-1>);
    add("trino_cardinality", {any}, bind_cardinality);
    add("trino_length", {any}, bind_length);
    add("trino_reverse", {any}, bind_reverse);
    add("trino_concat_ws", {LogicalType::VARCHAR, any}, bind_concat_ws);
    add("trino_ceil", {any}, bind_whole<whole::CEIL>);
    add("trino_floor", {any}, bind_whole<whole::FLOOR>);
    add("trino_truncate", {any}, bind_whole<whole::TRUNCATE>);
    add("trino_round_to", {any, LogicalType::INTEGER}, bind_shortened<true>);
    add("trino_truncate_to", {any, LogicalType::INTEGER}, bind_shortened<false>);
}

} // namespace moat
