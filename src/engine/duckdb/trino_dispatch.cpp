/* What Trino has for several types and the engine by several names: each call becomes that of the
 * engine's own function once its types are known, so that it is folded, pruned and counted as that.
 *
 *   trino_add(a, b), trino_subtract(a, b)   a date and an interval of whole days are a date
 *   trino_cardinality(array or map)
 *   trino_length(text or bytes), trino_reverse(text, array or bytes) */
#include "engine/duckdb/trino.hpp"

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
    duckdb::BinaryExecutor::Execute<date_t, interval_t, date_t>(
        args.data[0], args.data[1], result, args.size(), moved<SIGN>);
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

static expression bind_reverse(bind_input &input)
{
    if (type_of(input, 0) == LogicalTypeId::BLOB) {
        ScalarFunction own("trino_reverse", {LogicalType::BLOB}, LogicalType::BLOB, run_reverse);
        own.SetFallible();
        return call_own(input, own);
    }
    return call(input, type_of(input, 0) == LogicalTypeId::LIST ? "list_reverse" : "reverse");
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
}

} // namespace moat
