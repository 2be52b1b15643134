/* Conditions on the scan's columns as conditions on a file's.
 *
 * Where a column was widened, a condition moves into the file only if its constant can be said in
 * the file's type: widening keeps order and equality, so it is then true of the same rows. All
 * other conditions are checked on the values as the scan shows them (scan_reader.cpp). */
#include "engine/duckdb/instants.hpp"
#include "engine/duckdb/scan.hpp"

#include <duckdb/execution/expression_executor.hpp>
#include <duckdb/planner/expression/bound_conjunction_expression.hpp>
#include <duckdb/planner/expression/bound_constant_expression.hpp>
#include <duckdb/planner/filter/list.hpp>

namespace moat
{

using duckdb::Expression;
using duckdb::LogicalType;
using duckdb::make_uniq;
using duckdb::TableFilter;
using duckdb::TableFilterType;
using duckdb::unique_ptr;
using duckdb::Value;

/* The constant as the file has it: its bytes under another type. */
static bool rename(const Value &value, const LogicalType &local_type, Value *ret_value)
{
    if (!is_instant(value.type()) || local_type.id() != value.type().id()) {
        return false;
    }
    Value local = value;
    local.Reinterpret(local_type);
    *ret_value = std::move(local);
    return true;
}

/* False if the constant has no equal in the file's type. */
static bool narrow(const Value &value, const LogicalType &local_type, Value *ret_value)
{
    Value local;
    Value back;
    std::string reason; /* without a place for it, the engine throws */
    if (!value.DefaultTryCastAs(local_type, local, &reason) ||
        !local.DefaultTryCastAs(value.type(), back, &reason) ||
        !Value::NotDistinctFrom(value, back)) {
        return false;
    }
    *ret_value = std::move(local);
    return true;
}

static bool to_local(const Value &value, const mapping &how, const LogicalType &local_type,
                     Value *ret_value)
{
    return how.kind == mapping::CAST ? narrow(value, local_type, ret_value)
                                     : rename(value, local_type, ret_value);
}

template <class Conjunction>
static unique_ptr<TableFilter> convert_all(const Conjunction &filter, const mapping &how,
                                           const LogicalType &local_type)
{
    auto result = make_uniq<Conjunction>();
    for (auto &child : filter.child_filters) {
        auto one = convert_filter(*child, how, local_type);
        if (!one) {
            return nullptr;
        }
        result->child_filters.push_back(std::move(one));
    }
    return std::move(result);
}

unique_ptr<TableFilter> convert_filter(const TableFilter &filter, const mapping &how,
                                       const LogicalType &local_type)
{
    if (how.kind == mapping::SAME) {
        return filter.Copy();
    }
    if (how.kind != mapping::CAST && how.kind != mapping::REINTERPRET) {
        return nullptr;
    }
    switch (filter.filter_type) {
    case TableFilterType::IS_NULL:
    case TableFilterType::IS_NOT_NULL:
        return filter.Copy();
    case TableFilterType::CONSTANT_COMPARISON: {
        auto &comparison = filter.Cast<duckdb::ConstantFilter>();
        Value local;
        return to_local(comparison.constant, how, local_type, &local)
                   ? make_uniq<duckdb::ConstantFilter>(comparison.comparison_type, local)
                   : nullptr;
    }
    case TableFilterType::IN_FILTER: {
        duckdb::vector<Value> values;
        for (auto &value : filter.Cast<duckdb::InFilter>().values) {
            Value local;
            if (to_local(value, how, local_type, &local)) {
                values.push_back(std::move(local)); /* the others equal nothing in the file */
            }
        }
        return values.empty() ? nullptr : make_uniq<duckdb::InFilter>(std::move(values));
    }
    case TableFilterType::CONJUNCTION_AND:
        return convert_all(filter.Cast<duckdb::ConjunctionAndFilter>(), how, local_type);
    case TableFilterType::CONJUNCTION_OR:
        return convert_all(filter.Cast<duckdb::ConjunctionOrFilter>(), how, local_type);
    case TableFilterType::STRUCT_EXTRACT:
    case TableFilterType::OPTIONAL_FILTER:
    case TableFilterType::DYNAMIC_FILTER:
    case TableFilterType::EXPRESSION_FILTER:
    case TableFilterType::BLOOM_FILTER:
        return nullptr;
    }
    return nullptr;
}

unique_ptr<Expression> filter_expression(const TableFilter &filter, const Expression &column)
{
    if (filter.filter_type == TableFilterType::OPTIONAL_FILTER) {
        return nullptr;
    }
    if (filter.filter_type != TableFilterType::CONJUNCTION_AND) {
        return filter.ToExpression(column);
    }
    auto all =
        make_uniq<duckdb::BoundConjunctionExpression>(duckdb::ExpressionType::CONJUNCTION_AND);
    for (auto &child : filter.Cast<duckdb::ConjunctionAndFilter>().child_filters) {
        auto one = filter_expression(*child, column);
        if (one) {
            all->children.push_back(std::move(one));
        }
    }
    if (all->children.size() < 2) {
        return all->children.empty() ? nullptr : std::move(all->children[0]);
    }
    return std::move(all);
}

bool filter_allows(duckdb::ClientContext &context, const TableFilter &filter, const Value &value)
{
    duckdb::BoundConstantExpression column(value);
    auto expression = filter_expression(filter, column);
    if (!expression) {
        return true;
    }
    auto result = duckdb::ExpressionExecutor::EvaluateScalar(context, *expression, true);
    return !result.IsNull() && duckdb::BooleanValue::Get(result);
}

} // namespace moat
