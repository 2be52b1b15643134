/* What the program says of a column's values (engine_scan_range), as the engine plans by it: whole
 * numbers in fewer bits, joins by place, comparisons that are always true. Wrong ranges would make
 * other values, not only fewer rows, so each file that is opened is held against them: by its own
 * statistics where these say enough, else value by value. */
#include "engine/duckdb/scan.hpp"

#include <duckdb/common/types/hugeint.hpp>
#include <duckdb/planner/expression/bound_function_expression.hpp>
#include <duckdb/storage/statistics/numeric_stats.hpp>

namespace moat
{

using duckdb::idx_t;
using duckdb::LogicalType;
using duckdb::LogicalTypeId;
using duckdb::NumericStats;
using duckdb::PhysicalType;
using duckdb::Value;

/* ---- numbers that stand for values ---- */

/* False for types that have none. */
static bool has_numbers(const LogicalType &type)
{
    switch (type.id()) {
    case LogicalTypeId::INTEGER:
    case LogicalTypeId::BIGINT:
    case LogicalTypeId::DATE:
    case LogicalTypeId::TIME:
    case LogicalTypeId::TIMESTAMP:
    case LogicalTypeId::TIMESTAMP_TZ:
    case LogicalTypeId::TIMESTAMP_NS:
    case LogicalTypeId::DECIMAL:
        return true;
    default: /* a foreign enum */
        return false;
    }
}

/* The value of the type that the number stands for; false if there is none. */
static bool value_of(int64_t number, const LogicalType &type, Value *ret_value)
{
    Value physical = Value::BIGINT(number);
    switch (type.InternalType()) {
    case PhysicalType::INT16:
        physical = number < INT16_MIN || number > INT16_MAX
                       ? Value()
                       : Value::SMALLINT(static_cast<int16_t>(number));
        break;
    case PhysicalType::INT32:
        physical = number < INT32_MIN || number > INT32_MAX
                       ? Value()
                       : Value::INTEGER(static_cast<int32_t>(number));
        break;
    case PhysicalType::INT64:
        break;
    case PhysicalType::INT128:
        physical = Value::HUGEINT(duckdb::Hugeint::Convert(number));
        break;
    default: /* a foreign enum */
        return false;
    }
    if (physical.IsNull()) {
        return false;
    }
    physical.Reinterpret(type);
    *ret_value = std::move(physical);
    return true;
}

duckdb::unique_ptr<duckdb::BaseStatistics> range_statistics(const struct engine_scan_range &range,
                                                            const LogicalType &type)
{
    Value lower;
    Value upper;
    if (!has_numbers(type) || range.lower > range.upper || !value_of(range.lower, type, &lower) ||
        !value_of(range.upper, type, &upper)) {
        return nullptr;
    }
    auto statistics = NumericStats::CreateEmpty(type);
    NumericStats::SetMin(statistics, lower);
    NumericStats::SetMax(statistics, upper);
    statistics.Set(duckdb::StatsInfo::CAN_HAVE_VALID_VALUES);
    if (range.has_nulls) {
        statistics.Set(duckdb::StatsInfo::CAN_HAVE_NULL_VALUES);
    } else {
        statistics.Set(duckdb::StatsInfo::CANNOT_HAVE_NULL_VALUES);
    }
    return statistics.ToUnique();
}

/* ---- holding files against it ---- */

static bool is_inside(const struct engine_scan_range &range, const Value &value)
{
    Value lower;
    Value upper;
    return value_of(range.lower, value.type(), &lower) &&
           value_of(range.upper, value.type(), &upper) && value >= lower && value <= upper;
}

bool range_has(const struct engine_scan_range &range, const Value &value)
{
    return value.IsNull() ? range.has_nulls : is_inside(range, value);
}

bool range_holds(const struct engine_scan_range &range, const duckdb::BaseStatistics &own)
{
    return NumericStats::HasMinMax(own) && is_inside(range, NumericStats::Min(own)) &&
           is_inside(range, NumericStats::Max(own)) && (range.has_nulls || !own.CanHaveNull());
}

struct range_data : public duckdb::FunctionData {
    range_data(const struct engine_scan_range &range_, std::string column_)
        : range(range_), column(std::move(column_))
    {
    }
    duckdb::unique_ptr<duckdb::FunctionData> Copy() const override
    {
        return duckdb::make_uniq<range_data>(range, column);
    }
    bool Equals(const duckdb::FunctionData &other_) const override
    {
        auto &other = other_.Cast<range_data>();
        return column == other.column && range.lower == other.range.lower &&
               range.upper == other.range.upper && range.has_nulls == other.range.has_nulls;
    }

    const struct engine_scan_range range;
    const std::string column;
};

template <class Stored, class Number>
static bool is_any_outside(duckdb::Vector &vector, idx_t count,
                           const struct engine_scan_range &range)
{
    duckdb::UnifiedVectorFormat values;
    vector.ToUnifiedFormat(count, values);
    auto data = duckdb::UnifiedVectorFormat::GetData<Stored>(values);
    const Number lower(range.lower);
    const Number upper(range.upper);
    bool is_any = false;
    for (idx_t i = 0; i < count; i++) {
        idx_t at = values.sel->get_index(i);
        bool is_null = !values.validity.RowIsValid(at);
        const Number number(is_null ? Stored(0) : data[at]);
        is_any |= is_null ? !range.has_nulls : number < lower || number > upper;
    }
    return is_any;
}

static bool is_vector_outside(duckdb::Vector &vector, idx_t count,
                              const struct engine_scan_range &range)
{
    switch (vector.GetType().InternalType()) {
    case PhysicalType::INT16:
        return is_any_outside<int16_t, int64_t>(vector, count, range);
    case PhysicalType::INT32:
        return is_any_outside<int32_t, int64_t>(vector, count, range);
    case PhysicalType::INT64:
        return is_any_outside<int64_t, int64_t>(vector, count, range);
    case PhysicalType::INT128:
        return is_any_outside<duckdb::hugeint_t, duckdb::hugeint_t>(vector, count, range);
    default: /* a foreign enum: nothing is promised of others */
        return true;
    }
}

static void run_check(duckdb::DataChunk &args, duckdb::ExpressionState &state,
                      duckdb::Vector &result)
{
    auto &how = state.expr.Cast<duckdb::BoundFunctionExpression>().bind_info->Cast<range_data>();
    if (is_vector_outside(args.data[0], args.size(), how.range)) {
        throw_err(ERR_CORRUPT, nullptr,
                  "column \"" + how.column +
                      "\" has a value outside of what the table's metadata says of it",
                  "");
    }
    result.Reference(args.data[0]);
}

duckdb::unique_ptr<duckdb::Expression> range_check(const struct engine_scan_range &range,
                                                   duckdb::unique_ptr<duckdb::Expression> values,
                                                   const std::string &column)
{
    auto type = values->return_type;
    duckdb::ScalarFunction function("moat_in_range", {type}, type, run_check);
    function.SetNullHandling(duckdb::FunctionNullHandling::SPECIAL_HANDLING);
    function.SetFallible();
    duckdb::vector<duckdb::unique_ptr<duckdb::Expression>> arguments;
    arguments.push_back(std::move(values));
    return duckdb::make_uniq<duckdb::BoundFunctionExpression>(
        type, std::move(function), std::move(arguments),
        duckdb::make_uniq<range_data>(range, column));
}

} // namespace moat
