/* The engine's conditions in the program's form (engine_predicate): necessary conditions only, and
 * constants as exact text. What has no such form is left out, which costs files and never rows.
 *
 * The engine holds 0.0 and -0.0 for equal; a file's bounds may tell them apart. So a zero says
 * which of the two makes the condition weaker, and equality with one names both. */
#include "engine/duckdb/instants.hpp"
#include "engine/duckdb/scan.hpp"

#include <duckdb/common/types/date.hpp>
#include <duckdb/common/types/timestamp.hpp>
#include <duckdb/common/types/uuid.hpp>
#include <duckdb/function/scalar/struct_utils.hpp>
#include <duckdb/planner/expression/list.hpp>
#include <duckdb/planner/filter/list.hpp>

#include <cmath>

namespace moat
{

using duckdb::Expression;
using duckdb::ExpressionClass;
using duckdb::ExpressionType;
using duckdb::LogicalTypeId;
using duckdb::TableFilter;
using duckdb::TableFilterType;
using duckdb::Value;
using std::string;

string predicate::key() const
{
    string text = std::to_string(kind) + "." + std::to_string(field_id) + "(";
    for (auto &value : values) {
        text += std::to_string(value.size()) + ":" + value;
    }
    for (auto &child : children) {
        text += child.key();
    }
    return text + ")";
}

/* ---- constants ---- */

static bool real_text(double real, string *ret_text)
{
    if (std::isnan(real)) {
        *ret_text = "nan";
    } else if (std::isinf(real)) {
        *ret_text = real > 0 ? "inf" : "-inf";
    } else {
        char text[40];
        (void)snprintf(text, sizeof(text), "%.17g", real);
        *ret_text = text;
    }
    return true;
}

/* Years of four digits: others print in ways that differ from reader to reader. */
static bool is_plain(duckdb::date_t date)
{
    return duckdb::Date::IsFinite(date) && duckdb::Date::ExtractYear(date) >= 1 &&
           duckdb::Date::ExtractYear(date) <= 9999;
}

static bool moment_text(duckdb::timestamp_t moment, string *ret_text)
{
    if (!duckdb::Timestamp::IsFinite(moment) || !is_plain(duckdb::Timestamp::GetDate(moment))) {
        return false;
    }
    *ret_text = duckdb::Timestamp::ToString(moment);
    return true;
}

static bool constant_text(const Value &value, string *ret_text)
{
    switch (value.type().id()) {
    case LogicalTypeId::BOOLEAN:
        *ret_text = duckdb::BooleanValue::Get(value) ? "true" : "false";
        return true;
    case LogicalTypeId::INTEGER:
    case LogicalTypeId::BIGINT:
    case LogicalTypeId::DECIMAL:
    case LogicalTypeId::TIME:
    case LogicalTypeId::UUID:
        *ret_text = value.ToString();
        return true;
    case LogicalTypeId::FLOAT:
        return real_text(static_cast<double>(duckdb::FloatValue::Get(value)), ret_text);
    case LogicalTypeId::DOUBLE:
        return real_text(duckdb::DoubleValue::Get(value), ret_text);
    case LogicalTypeId::DATE:
        *ret_text = value.ToString();
        return is_plain(duckdb::DateValue::Get(value));
    case LogicalTypeId::TIMESTAMP:
        return moment_text(duckdb::TimestampValue::Get(value), ret_text);
    case LogicalTypeId::TIMESTAMP_TZ:
        return moment_text(duckdb::timestamp_t(duckdb::TimestampTZValue::Get(value).value),
                           ret_text);
    case LogicalTypeId::TIMESTAMP_NS: {
        duckdb::timestamp_ns_t moment = duckdb::TimestampNSValue::Get(value);
        *ret_text = text_of_nanos(moment.value);    /* the engine's fails on the first day of all */
        return duckdb::Timestamp::IsFinite(moment); /* years of four digits are all there are */
    }
    case LogicalTypeId::VARCHAR:
    case LogicalTypeId::BLOB:
        *ret_text = duckdb::StringValue::Get(value);
        return true;
    default: /* a foreign enum: nothing else has bounds */
        return false;
    }
}

static bool is_zero(const Value &value)
{
    return (value.type().id() == LogicalTypeId::FLOAT && duckdb::FloatValue::Get(value) == 0) ||
           (value.type().id() == LogicalTypeId::DOUBLE && duckdb::DoubleValue::Get(value) == 0);
}

/* ---- leaves ---- */

static bool compare(const scan_column &column, ExpressionType type, const Value &value,
                    predicate *ret_predicate)
{
    string text;
    if (value.IsNull() || value.type() != column.type || !constant_text(value, &text)) {
        return false;
    }
    predicate found;
    found.field_id = column.field_id;
    switch (type) {
    case ExpressionType::COMPARE_EQUAL:
    case ExpressionType::COMPARE_NOT_DISTINCT_FROM:
        found.kind = PREDICATE_EQUAL;
        break;
    case ExpressionType::COMPARE_NOTEQUAL:
        found.kind = PREDICATE_NOT_EQUAL;
        break;
    case ExpressionType::COMPARE_LESSTHAN:
        found.kind = PREDICATE_LESS;
        break;
    case ExpressionType::COMPARE_LESSTHANOREQUALTO:
        found.kind = PREDICATE_LESS_EQUAL;
        break;
    case ExpressionType::COMPARE_GREATERTHAN:
        found.kind = PREDICATE_GREATER;
        break;
    case ExpressionType::COMPARE_GREATERTHANOREQUALTO:
        found.kind = PREDICATE_GREATER_EQUAL;
        break;
    default: /* a foreign enum */
        return false;
    }
    found.values = {text};
    if (is_zero(value)) {
        bool is_equal = found.kind == PREDICATE_EQUAL;
        bool is_low = found.kind == PREDICATE_GREATER || found.kind == PREDICATE_GREATER_EQUAL;
        found.values = {is_low ? "-0" : "0"};
        if (is_equal) {
            found.kind = PREDICATE_IN;
            found.values = {"-0", "0"};
        }
    }
    *ret_predicate = std::move(found);
    return true;
}

template <class Values>
static bool is_in(const scan_column &column, const Values &values, predicate *ret_predicate)
{
    predicate found;
    found.kind = PREDICATE_IN;
    found.field_id = column.field_id;
    for (const Value &value : values) {
        string text;
        if (value.IsNull()) {
            continue; /* equal to nothing */
        }
        if (value.type() != column.type || !constant_text(value, &text)) {
            return false;
        }
        if (is_zero(value)) {
            found.values.push_back("-0");
            text = "0";
        }
        found.values.push_back(text);
    }
    if (found.values.empty()) {
        return false;
    }
    *ret_predicate = std::move(found);
    return true;
}

static predicate null_test(const scan_column &column, bool is_null)
{
    predicate found;
    found.kind = is_null ? PREDICATE_IS_NULL : PREDICATE_NOT_NULL;
    found.field_id = column.field_id;
    return found;
}

/* All of `parts` for OR, whatever there is for AND. */
static bool combine(bool is_or, size_t wanted, std::vector<predicate> parts,
                    predicate *ret_predicate)
{
    if (parts.empty() || (is_or && parts.size() != wanted)) {
        return false;
    }
    predicate found;
    found.kind = is_or ? PREDICATE_OR : PREDICATE_AND;
    found.children = std::move(parts);
    *ret_predicate = std::move(found);
    return true;
}

/* ---- expressions ---- */

/* The column, or the field inside structs, that an expression names; null if it is none. */
static const scan_column *column_of(const scan_source &source,
                                    const duckdb::MultiFilePushdownInfo &info,
                                    const Expression &expression)
{
    if (expression.GetExpressionClass() == ExpressionClass::BOUND_COLUMN_REF) {
        auto &binding = expression.Cast<duckdb::BoundColumnRefExpression>().binding;
        if (binding.table_index != info.table_index ||
            binding.column_index >= info.column_ids.size()) {
            return nullptr;
        }
        auto id = info.column_ids[binding.column_index];
        return id < source.columns.size() ? &source.columns[id] : nullptr;
    }
    if (expression.GetExpressionClass() != ExpressionClass::BOUND_FUNCTION) {
        return nullptr;
    }
    auto &call = expression.Cast<duckdb::BoundFunctionExpression>();
    if ((call.function.name != "struct_extract" && call.function.name != "struct_extract_at") ||
        call.children.empty() || !call.bind_info) {
        return nullptr;
    }
    auto parent = column_of(source, info, *call.children[0]);
    auto index = call.bind_info->Cast<duckdb::StructExtractBindData>().index;
    bool is_field = parent != nullptr && parent->type.id() == LogicalTypeId::STRUCT &&
                    index < parent->children.size();
    return is_field ? &parent->children[index] : nullptr;
}

static const Value *constant_of(const Expression &expression)
{
    return expression.GetExpressionClass() == ExpressionClass::BOUND_CONSTANT
               ? &expression.Cast<duckdb::BoundConstantExpression>().value
               : nullptr;
}

static bool comparison_of(const scan_source &source, const duckdb::MultiFilePushdownInfo &info,
                          const duckdb::BoundComparisonExpression &expression,
                          predicate *ret_predicate)
{
    auto column = column_of(source, info, *expression.left);
    auto value = constant_of(*expression.right);
    if (column != nullptr && value != nullptr) {
        return compare(*column, expression.type, *value, ret_predicate);
    }
    column = column_of(source, info, *expression.right);
    value = constant_of(*expression.left);
    return column != nullptr && value != nullptr &&
           compare(*column, duckdb::FlipComparisonExpression(expression.type), *value,
                   ret_predicate);
}

static bool operator_of(const scan_source &source, const duckdb::MultiFilePushdownInfo &info,
                        const duckdb::BoundOperatorExpression &expression, predicate *ret_predicate)
{
    auto column = column_of(source, info, *expression.children[0]);
    if (column == nullptr) {
        return false;
    }
    if (expression.type == ExpressionType::OPERATOR_IS_NULL ||
        expression.type == ExpressionType::OPERATOR_IS_NOT_NULL) {
        *ret_predicate = null_test(*column, expression.type == ExpressionType::OPERATOR_IS_NULL);
        return true;
    }
    if (expression.type != ExpressionType::COMPARE_IN) {
        return false;
    }
    duckdb::vector<Value> values;
    for (size_t i = 1; i < expression.children.size(); i++) {
        auto value = constant_of(*expression.children[i]);
        if (value == nullptr) {
            return false;
        }
        values.push_back(*value);
    }
    return is_in(*column, values, ret_predicate);
}

static bool prefix_of(const scan_source &source, const duckdb::MultiFilePushdownInfo &info,
                      const duckdb::BoundFunctionExpression &expression, predicate *ret_predicate)
{
    if ((expression.function.name != "prefix" && expression.function.name != "starts_with" &&
         expression.function.name != "^@") ||
        expression.children.size() != 2) {
        return false;
    }
    auto column = column_of(source, info, *expression.children[0]);
    auto value = constant_of(*expression.children[1]);
    if (column == nullptr || value == nullptr || value->IsNull() ||
        column->type.id() != LogicalTypeId::VARCHAR ||
        value->type().id() != LogicalTypeId::VARCHAR) {
        return false;
    }
    predicate found;
    found.kind = PREDICATE_STARTS_WITH;
    found.field_id = column->field_id;
    found.values = {duckdb::StringValue::Get(*value)};
    *ret_predicate = std::move(found);
    return true;
}

static bool between_of(const scan_source &source, const duckdb::MultiFilePushdownInfo &info,
                       const duckdb::BoundBetweenExpression &expression, predicate *ret_predicate)
{
    auto column = column_of(source, info, *expression.input);
    auto lower = constant_of(*expression.lower);
    auto upper = constant_of(*expression.upper);
    std::vector<predicate> parts;
    predicate one;
    if (column != nullptr && lower != nullptr &&
        compare(*column, expression.LowerComparisonType(), *lower, &one)) {
        parts.push_back(one);
    }
    if (column != nullptr && upper != nullptr &&
        compare(*column, expression.UpperComparisonType(), *upper, &one)) {
        parts.push_back(one);
    }
    return combine(false, 2, std::move(parts), ret_predicate);
}

bool predicate_of(const scan_source &source, const duckdb::MultiFilePushdownInfo &info,
                  const Expression &expression, predicate *ret_predicate)
{
    switch (expression.GetExpressionClass()) {
    case ExpressionClass::BOUND_COMPARISON:
        return comparison_of(source, info, expression.Cast<duckdb::BoundComparisonExpression>(),
                             ret_predicate);
    case ExpressionClass::BOUND_BETWEEN:
        return between_of(source, info, expression.Cast<duckdb::BoundBetweenExpression>(),
                          ret_predicate);
    case ExpressionClass::BOUND_OPERATOR:
        return operator_of(source, info, expression.Cast<duckdb::BoundOperatorExpression>(),
                           ret_predicate);
    case ExpressionClass::BOUND_FUNCTION:
        return prefix_of(source, info, expression.Cast<duckdb::BoundFunctionExpression>(),
                         ret_predicate);
    case ExpressionClass::BOUND_CONJUNCTION: {
        auto &conjunction = expression.Cast<duckdb::BoundConjunctionExpression>();
        std::vector<predicate> parts;
        for (auto &child : conjunction.children) {
            predicate one;
            if (predicate_of(source, info, *child, &one)) {
                parts.push_back(std::move(one));
            }
        }
        return combine(expression.type == ExpressionType::CONJUNCTION_OR,
                       conjunction.children.size(), std::move(parts), ret_predicate);
    }
    default: /* a foreign enum */
        return false;
    }
}

/* ---- table filters ---- */

static bool conjunction_of(const scan_column &column, const duckdb::ConjunctionFilter &filter,
                           bool is_or, predicate *ret_predicate)
{
    std::vector<predicate> parts;
    for (auto &child : filter.child_filters) {
        predicate one;
        if (predicate_of(column, *child, &one)) {
            parts.push_back(std::move(one));
        }
    }
    return combine(is_or, filter.child_filters.size(), std::move(parts), ret_predicate);
}

bool predicate_of(const scan_column &column, const TableFilter &filter, predicate *ret_predicate)
{
    switch (filter.filter_type) {
    case TableFilterType::CONSTANT_COMPARISON: {
        auto &comparison = filter.Cast<duckdb::ConstantFilter>();
        return compare(column, comparison.comparison_type, comparison.constant, ret_predicate);
    }
    case TableFilterType::IS_NULL:
    case TableFilterType::IS_NOT_NULL:
        *ret_predicate = null_test(column, filter.filter_type == TableFilterType::IS_NULL);
        return true;
    case TableFilterType::IN_FILTER:
        return is_in(column, filter.Cast<duckdb::InFilter>().values, ret_predicate);
    case TableFilterType::CONJUNCTION_OR:
        return conjunction_of(column, filter.Cast<duckdb::ConjunctionOrFilter>(), true,
                              ret_predicate);
    case TableFilterType::CONJUNCTION_AND:
        return conjunction_of(column, filter.Cast<duckdb::ConjunctionAndFilter>(), false,
                              ret_predicate);
    case TableFilterType::STRUCT_EXTRACT: {
        auto &field = filter.Cast<duckdb::StructFilter>();
        return column.type.id() == LogicalTypeId::STRUCT &&
               field.child_idx < column.children.size() &&
               predicate_of(column.children[field.child_idx], *field.child_filter, ret_predicate);
    }
    case TableFilterType::OPTIONAL_FILTER: {
        auto &optional = filter.Cast<duckdb::OptionalFilter>();
        return optional.child_filter && predicate_of(column, *optional.child_filter, ret_predicate);
    }
    case TableFilterType::DYNAMIC_FILTER: /* changes while rows are read */
    case TableFilterType::EXPRESSION_FILTER:
    case TableFilterType::BLOOM_FILTER:
        return false;
    }
    return false;
}

} // namespace moat
