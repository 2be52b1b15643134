/* The description of a scan (engine/scan.h) in the engine's terms: types parsed, literals
 * evaluated. Made once for each binding, so that nothing of the caller's is looked at later but
 * the files. */
#include "engine/duckdb/scan.hpp"

#include <duckdb/execution/expression_executor.hpp>
#include <duckdb/parser/parser.hpp>
#include <duckdb/planner/binder.hpp>
#include <duckdb/planner/expression/bound_cast_expression.hpp>
#include <duckdb/planner/expression_binder/constant_binder.hpp>

namespace moat
{

using duckdb::ClientContext;
using duckdb::ListType;
using duckdb::LogicalType;
using duckdb::LogicalTypeId;
using duckdb::MapType;
using duckdb::StructType;
using duckdb::Value;
using std::string;

static string text_of(struct slice text)
{
    return string(text.ptr == nullptr ? "" : text.ptr, text.len);
}

Value evaluate_literal(ClientContext &context, struct slice text, const LogicalType &type)
{
    if (text.len == 0) {
        return Value(type);
    }
    auto parsed = duckdb::Parser::ParseExpressionList(text_of(text));
    if (parsed.size() != 1) {
        throw_err(ERR_INVALID, nullptr, "a value of a scan is not one literal", "");
    }
    auto binder = duckdb::Binder::CreateBinder(context);
    duckdb::ConstantBinder constants(*binder, context, "a value of a scan");
    auto bound = constants.Bind(parsed[0]);
    bound = duckdb::BoundCastExpression::AddCastToType(context, std::move(bound), type);
    return duckdb::ExpressionExecutor::EvaluateScalar(context, *bound);
}

/* Children have the types that the parent's type gives them: only shapes must agree. */
static LogicalType child_type(const LogicalType &parent, size_t index)
{
    switch (parent.id()) {
    case LogicalTypeId::STRUCT:
        return StructType::GetChildType(parent, index);
    case LogicalTypeId::LIST:
        return ListType::GetChildType(parent);
    case LogicalTypeId::MAP:
        return index == 0 ? MapType::KeyType(parent) : MapType::ValueType(parent);
    default: /* a foreign enum: no other type has children */
        return LogicalType::SQLNULL;
    }
}

static size_t child_count(const LogicalType &type)
{
    switch (type.id()) {
    case LogicalTypeId::STRUCT:
        return StructType::GetChildCount(type);
    case LogicalTypeId::LIST:
        return 1;
    case LogicalTypeId::MAP:
        return 2;
    default:
        return 0;
    }
}

static scan_column column_of(ClientContext &context, const struct engine_scan_column &from,
                             const LogicalType &type)
{
    scan_column column;
    column.field_id = from.field_id;
    column.name = text_of(from.name);
    column.type = type;
    column.value = evaluate_literal(context, from.value, type);
    if (from.child_count != child_count(type)) {
        throw_err(ERR_INVALID, nullptr,
                  "column \"" + column.name + "\" has " + std::to_string(from.child_count) +
                      " fields, but its type " + type.ToString() + " has " +
                      std::to_string(child_count(type)),
                  "");
    }
    for (size_t i = 0; i < from.child_count; i++) {
        column.children.push_back(column_of(context, from.children[i], child_type(type, i)));
    }
    return column;
}

static std::vector<scan_name> names_of(const struct engine_scan_name *from, size_t count)
{
    std::vector<scan_name> names(count);
    for (size_t i = 0; i < count; i++) {
        names[i].name = text_of(from[i].name);
        names[i].field_id = from[i].field_id;
        names[i].children = names_of(from[i].children, from[i].child_count);
    }
    return names;
}

std::shared_ptr<scan_source> open_source(ClientContext &context, std::shared_ptr<grant_state> grant,
                                         size_t index)
{
    grant_state::use in_use(*grant);
    const struct engine_scan_spec &spec = grant->scan(index, in_use);
    auto source = std::make_shared<scan_source>();
    duckdb::case_insensitive_set_t seen;
    for (size_t i = 0; i < spec.column_count; i++) {
        const struct engine_scan_column &from = spec.columns[i];
        auto type = duckdb::TransformStringToLogicalType(text_of(from.type), context);
        source->columns.push_back(column_of(context, from, type));
        if (!seen.insert(source->columns.back().name).second) {
            throw_err(ERR_INVALID, nullptr,
                      "two columns of a scan are named \"" + source->columns.back().name + "\"",
                      "");
        }
    }
    source->names = names_of(spec.names, spec.name_count);
    source->partition_type =
        spec.partition_type.len == 0
            ? LogicalType(LogicalTypeId::SQLNULL)
            : duckdb::TransformStringToLogicalType(text_of(spec.partition_type), context);
    source->field_id_max = spec.field_id_max;
    source->row_count_estimate = spec.row_count_estimate;
    source->has_hidden = spec.has_hidden;
    source->index = index;
    source->grant = std::move(grant);
    return source;
}

} // namespace moat
