/* A file's columns as the scan's: matched by field id at every depth, by nothing else.
 *
 * The engine's own mapper is not used. It builds structs by the names of fields, gives a field that
 * was added a value where the struct around it is NULL, and turns a condition on a widened column
 * into one on the file's by rounding the constant (a condition on 0.1 as double is another one on
 * 0.1 as float). Here a mapping is a tree of positions, run by one function over vectors. */
#include "engine/duckdb/instants.hpp"
#include "engine/duckdb/scan.hpp"

#include <duckdb/common/string_util.hpp>
#include <duckdb/common/types/uuid.hpp>
#include <duckdb/common/vector_operations/unary_executor.hpp>
#include <duckdb/common/vector_operations/vector_operations.hpp>
#include <duckdb/execution/expression_executor_state.hpp>
#include <duckdb/planner/expression/bound_constant_expression.hpp>
#include <duckdb/planner/expression/bound_function_expression.hpp>
#include <duckdb/planner/expression/bound_reference_expression.hpp>

namespace moat
{

using duckdb::FlatVector;
using duckdb::idx_t;
using duckdb::ListVector;
using duckdb::LogicalType;
using duckdb::LogicalTypeId;
using duckdb::StructVector;
using duckdb::Value;
using duckdb::Vector;
using std::string;
using local_columns = duckdb::vector<duckdb::MultiFileColumnDefinition>;

/* ---- ids ---- */

bool has_field_ids(const local_columns &columns)
{
    for (auto &column : columns) {
        if (!column.identifier.IsNull() || has_field_ids(column.children)) {
            return true;
        }
    }
    return false;
}

int64_t find_field(const local_columns &columns, int32_t field_id, const string &file)
{
    int64_t found = -1;
    for (size_t i = 0; i < columns.size(); i++) {
        if (columns[i].identifier.IsNull() || columns[i].GetIdentifierFieldId() != field_id) {
            continue;
        }
        if (found >= 0) {
            throw_err(ERR_CORRUPT, nullptr,
                      "columns \"" + columns[static_cast<size_t>(found)].name + "\" and \"" +
                          columns[i].name + "\" of " + file + " have one field id (" +
                          std::to_string(field_id) + ")",
                      "");
        }
        found = static_cast<int64_t>(i);
    }
    return found;
}

/* Ids beyond all tables' are those that the specification reserves. */
static bool is_stray(const duckdb::MultiFileColumnDefinition &column, int32_t field_id_max)
{
    static const int32_t reserved_min = INT32_MAX - 200;
    if (column.identifier.IsNull()) {
        return true;
    }
    int32_t id = column.GetIdentifierFieldId();
    return id < 0 || (field_id_max > 0 && id > field_id_max && id < reserved_min);
}

void check_missing(const scan_column &column, const local_columns &columns, int32_t field_id_max,
                   const string &file)
{
    for (auto &candidate : columns) {
        if (is_stray(candidate, field_id_max)) {
            throw_err(ERR_CORRUPT, nullptr,
                      "column \"" + column.name + "\" is not in " + file + ", where \"" +
                          candidate.name + "\" has a field id that is not of the table",
                      "Restore the file, or write it again.");
        }
    }
}

void check_fields(const scan_column &column, const duckdb::MultiFileColumnDefinition &local,
                  int32_t field_id_max, const string &file)
{
    bool is_struct = column.type.id() == LogicalTypeId::STRUCT;
    auto &fields = column.type.id() == LogicalTypeId::MAP && local.children.size() == 1
                       ? local.children[0].children
                       : local.children;
    for (size_t i = 0; i < column.children.size(); i++) {
        int64_t found = is_struct ? find_field(fields, column.children[i].field_id, file)
                                  : static_cast<int64_t>(i);
        if (found < 0) {
            check_missing(column.children[i], fields, field_id_max, file);
        } else if (static_cast<size_t>(found) < fields.size()) {
            check_fields(column.children[i], fields[static_cast<size_t>(found)], field_id_max,
                         file);
        }
    }
}

static const scan_name *find_name(const std::vector<scan_name> &names, const string &name)
{
    for (auto &candidate : names) {
        if (candidate.name == name) {
            return &candidate;
        }
    }
    return nullptr;
}

/* The engine renames columns that differ in case only ("A" beside "a" becomes "A_1"), so that the
 * file's own name is lost: a name that may have come about so is not guessed at. */
static void refuse_renamed(const local_columns &columns, size_t index, const string &file)
{
    const string &name = columns[index].name;
    size_t at = name.find_last_not_of("0123456789");
    if (at == string::npos || at + 1 == name.size() || name[at] != '_') {
        return;
    }
    for (size_t i = 0; i < index; i++) {
        if (duckdb::StringUtil::CIEquals(columns[i].name, name.substr(0, at))) {
            throw_err(ERR_UNSUPPORTED, nullptr,
                      "columns of " + file + " that may differ in case only (\"" + columns[i].name +
                          "\") cannot be matched by name",
                      "Write the file again with field ids.");
        }
    }
}

/* Elements, keys and values go by place: writers name them as they like. */
static void apply_place(const std::vector<scan_name> &names, const char *name,
                        duckdb::MultiFileColumnDefinition &column, const string &file);

static void apply_name(const scan_name &found, duckdb::MultiFileColumnDefinition &column,
                       const string &file)
{
    if (found.field_id >= 0) {
        column.identifier = Value::INTEGER(found.field_id);
    }
    if (column.type.id() == LogicalTypeId::STRUCT) {
        apply_names(found.children, column.children, file);
    } else if (column.type.id() == LogicalTypeId::LIST && column.children.size() == 1) {
        apply_place(found.children, "element", column.children[0], file);
    } else if (column.type.id() == LogicalTypeId::MAP && column.children.size() == 1 &&
               column.children[0].children.size() == 2) {
        apply_place(found.children, "key", column.children[0].children[0], file);
        apply_place(found.children, "value", column.children[0].children[1], file);
    }
}

static void apply_place(const std::vector<scan_name> &names, const char *name,
                        duckdb::MultiFileColumnDefinition &column, const string &file)
{
    auto found = find_name(names, name);
    if (found != nullptr) {
        apply_name(*found, column, file);
    }
}

void apply_names(const std::vector<scan_name> &names, local_columns &columns, const string &file)
{
    for (size_t i = 0; i < columns.size(); i++) {
        auto found = find_name(names, columns[i].name);
        if (found == nullptr) {
            refuse_renamed(columns, i, file);
        } else {
            apply_name(*found, columns[i], file);
        }
    }
}

/* ---- a mapping ---- */

static bool is_widening(const LogicalType &from, const LogicalType &to)
{
    if (is_instant(to)) {
        return from.id() == LogicalTypeId::TIMESTAMP_TZ;
    }
    switch (to.id()) {
    case LogicalTypeId::INTEGER:
        return from.id() == LogicalTypeId::TINYINT || from.id() == LogicalTypeId::SMALLINT ||
               from.id() == LogicalTypeId::UTINYINT || from.id() == LogicalTypeId::USMALLINT;
    case LogicalTypeId::BIGINT:
        return from.id() == LogicalTypeId::INTEGER || from.id() == LogicalTypeId::UINTEGER ||
               is_widening(from, LogicalType::INTEGER);
    case LogicalTypeId::DOUBLE:
        return from.id() == LogicalTypeId::FLOAT;
    case LogicalTypeId::DECIMAL:
        return from.id() == LogicalTypeId::DECIMAL &&
               duckdb::DecimalType::GetScale(from) == duckdb::DecimalType::GetScale(to) &&
               duckdb::DecimalType::GetWidth(from) <= duckdb::DecimalType::GetWidth(to);
    case LogicalTypeId::TIMESTAMP:
    case LogicalTypeId::TIMESTAMP_NS:
        return from.id() == LogicalTypeId::DATE || from.id() == LogicalTypeId::TIMESTAMP_SEC ||
               from.id() == LogicalTypeId::TIMESTAMP_MS ||
               (from.id() == LogicalTypeId::TIMESTAMP && to.id() == LogicalTypeId::TIMESTAMP_NS);
    default: /* a foreign enum */
        return false;
    }
}

/* Both are microseconds since 1970; INT96 and old writers do not say whether of UTC. Instants of
 * nanoseconds are shown to the engine as local times (parquet_instants.h). A geometry is its
 * well-known binary, which the reader has checked. */
static bool is_same_bytes(const LogicalType &from, const LogicalType &to)
{
    return (from.id() == LogicalTypeId::TIMESTAMP && to.id() == LogicalTypeId::TIMESTAMP_TZ) ||
           (from.id() == LogicalTypeId::TIMESTAMP_TZ && to.id() == LogicalTypeId::TIMESTAMP) ||
           (from.id() == LogicalTypeId::TIMESTAMP_NS && is_instant(to)) ||
           (from.id() == LogicalTypeId::VARCHAR && to.id() == LogicalTypeId::BLOB) ||
           (from.id() == LogicalTypeId::GEOMETRY && to.id() == LogicalTypeId::BLOB) ||
           (from.id() == LogicalTypeId::VARCHAR && to.id() == LogicalTypeId::VARCHAR);
}

[[noreturn]] static void refuse(const string &path, const string &file, const LogicalType &from,
                                const LogicalType &to)
{
    throw_err(ERR_CORRUPT, nullptr,
              "column \"" + path + "\" has the type " + from.ToString() + " in " + file +
                  ", which cannot be read as " + to.ToString(),
              "The file was not written for this table, or by a writer in error.");
}

static mapping constant(const LogicalType &type, const Value &value)
{
    mapping how;
    how.kind = mapping::CONSTANT;
    how.type = type;
    how.value = value;
    return how;
}

/* The one child of a list, or key and value of a map, which must be the scan's own. */
static mapping map_inner(const scan_column &column, const duckdb::MultiFileColumnDefinition &local,
                         const string &path, const string &file)
{
    if (!local.identifier.IsNull() && local.GetIdentifierFieldId() != column.field_id) {
        throw_err(ERR_CORRUPT, nullptr,
                  "column \"" + path + "\" has the field id " +
                      std::to_string(local.GetIdentifierFieldId()) + " in " + file + ", not " +
                      std::to_string(column.field_id),
                  "The file was not written for this table, or by a writer in error.");
    }
    return map_column(column, local, path, file);
}

static bool is_whole(const std::vector<mapping> &children)
{
    for (size_t i = 0; i < children.size(); i++) {
        if (children[i].kind != mapping::SAME || children[i].local_index != i) {
            return false;
        }
    }
    return true;
}

static mapping map_struct(const scan_column &column, const duckdb::MultiFileColumnDefinition &local,
                          const string &path, const string &file)
{
    mapping how;
    how.kind = mapping::STRUCT;
    how.type = column.type;
    for (auto &field : column.children) {
        int64_t found = find_field(local.children, field.field_id, file);
        if (found < 0) {
            how.children.push_back(constant(field.type, field.value));
            continue;
        }
        auto index = static_cast<size_t>(found);
        how.children.push_back(
            map_column(field, local.children[index], path + "." + field.name, file));
        how.children.back().local_index = index;
    }
    if (column.type == local.type && is_whole(how.children)) {
        how.kind = mapping::SAME;
    }
    return how;
}

static mapping map_list(const scan_column &column, const duckdb::MultiFileColumnDefinition &local,
                        const string &path, const string &file)
{
    mapping how;
    how.kind = mapping::LIST;
    how.type = column.type;
    if (column.type.id() == LogicalTypeId::LIST) {
        how.children.push_back(
            map_inner(column.children[0], local.children.at(0), path + ".element", file));
    } else {
        auto &entry = local.children.at(0);
        mapping pair;
        pair.kind = mapping::STRUCT;
        pair.type = duckdb::ListType::GetChildType(column.type);
        pair.children.push_back(
            map_inner(column.children[0], entry.children.at(0), path + ".key", file));
        pair.children.push_back(
            map_inner(column.children[1], entry.children.at(1), path + ".value", file));
        pair.children[1].local_index = 1;
        if (pair.type == duckdb::ListType::GetChildType(local.type) && is_whole(pair.children)) {
            pair.kind = mapping::SAME;
        }
        how.children.push_back(std::move(pair));
    }
    if (column.type == local.type && is_whole(how.children)) {
        how.kind = mapping::SAME;
    }
    return how;
}

mapping map_column(const scan_column &column, const duckdb::MultiFileColumnDefinition &local,
                   const string &path, const string &file)
{
    auto id = column.type.id();
    if (!column.children.empty()) {
        if (local.type.id() != id) {
            refuse(path, file, local.type, column.type);
        }
        return id == LogicalTypeId::STRUCT ? map_struct(column, local, path, file)
                                           : map_list(column, local, path, file);
    }
    mapping how;
    how.type = column.type;
    if (local.type == column.type) {
        how.kind = mapping::SAME;
    } else if (local.type.id() == LogicalTypeId::SQLNULL) {
        how = constant(column.type, Value(column.type));
    } else if (is_widening(local.type, column.type)) {
        how.kind = mapping::CAST;
    } else if (is_same_bytes(local.type, column.type)) {
        how.kind = mapping::REINTERPRET;
    } else if (local.type.id() == LogicalTypeId::BLOB && id == LogicalTypeId::VARCHAR) {
        how.kind = mapping::TEXT;
    } else if (local.type.id() == LogicalTypeId::BLOB && id == LogicalTypeId::UUID) {
        how.kind = mapping::UUID; /* old writers do not say that it is one */
    } else if (local.type.id() == LogicalTypeId::TIMESTAMP_NS &&
               id == LogicalTypeId::TIMESTAMP_TZ) {
        how.kind = mapping::CONVERT; /* another writer's, of too many digits */
    } else if (local.type.id() == LogicalTypeId::TIME_TZ && id == LogicalTypeId::TIME) {
        how.kind = mapping::CONVERT; /* Arrow says "of UTC" of every time */
    } else {
        refuse(path, file, local.type, column.type);
    }
    return how;
}

duckdb::ColumnIndex map_index(const scan_column &column,
                              const duckdb::MultiFileColumnDefinition &local,
                              const duckdb::ColumnIndex &wanted, idx_t local_id, const string &file)
{
    duckdb::ColumnIndex index(local_id);
    if (column.type.id() != LogicalTypeId::STRUCT || !wanted.HasChildren()) {
        return index;
    }
    for (auto &child : wanted.GetChildIndexes()) {
        auto &field = column.children.at(child.GetPrimaryIndex());
        int64_t found = find_field(local.children, field.field_id, file);
        if (found >= 0) {
            auto at = static_cast<idx_t>(found);
            index.AddChildIndex(map_index(field, local.children[at], child, at, file));
        }
    }
    return index; /* no wanted field is there: all is read, which tells where the struct is NULL */
}

/* ---- values ---- */

static void convert(Vector &source, Vector &result, idx_t count, const mapping &how);

static void convert_text(Vector &source, Vector &result, idx_t count)
{
    duckdb::UnaryExecutor::Execute<duckdb::string_t, duckdb::string_t>(
        source, result, count, [](duckdb::string_t text) {
            if (!slice_is_utf8({text.GetData(), text.GetSize()}, nullptr)) {
                throw_err(ERR_CORRUPT, nullptr, "a text in the file is not valid UTF-8", "");
            }
            return text;
        });
    duckdb::StringVector::AddHeapReference(result, source);
}

static void convert_uuid(Vector &source, Vector &result, idx_t count)
{
    duckdb::UnaryExecutor::Execute<duckdb::string_t, duckdb::hugeint_t>(
        source, result, count, [](duckdb::string_t bytes) {
            if (bytes.GetSize() != 16) {
                throw_err(ERR_CORRUPT, nullptr, "a UUID in the file has not sixteen bytes", "");
            }
            return duckdb::BaseUUID::FromBlob(
                reinterpret_cast<duckdb::const_data_ptr_t>(bytes.GetData()));
        });
}

/* Numbers of more bits, which cannot fail: the engine's cast looks for overflow row by row. */
template <class From, class To> static void widen(Vector &source, Vector &result, idx_t count)
{
    duckdb::UnaryExecutor::Execute<From, To>(source, result, count,
                                             [](From value) { return static_cast<To>(value); });
}

static void convert_wider(Vector &source, Vector &result, idx_t count)
{
    using duckdb::PhysicalType;
    bool is_number = result.GetType().IsNumeric(); /* of decimals: the scale is the same */
    auto from = source.GetType().InternalType();
    auto to = result.GetType().InternalType();
    if (is_number && from == to) {
        result.Reinterpret(source);
    } else if (is_number && from == PhysicalType::INT32 && to == PhysicalType::INT64) {
        widen<int32_t, int64_t>(source, result, count);
    } else if (is_number && from == PhysicalType::FLOAT && to == PhysicalType::DOUBLE) {
        widen<float, double>(source, result, count);
    } else {
        duckdb::VectorOperations::DefaultCast(source, result, count);
    }
}

/* A field that the file lacks: its value, but NULL where the struct around it is. */
static void fill_constant(Vector &result, idx_t count, const Value &value,
                          const duckdb::ValidityMask &outer)
{
    result.Reference(value);
    if (value.IsNull() || outer.AllValid()) {
        return;
    }
    result.Flatten(count);
    for (idx_t i = 0; i < count; i++) {
        if (!outer.RowIsValid(i)) {
            FlatVector::SetNull(result, i, true);
        }
    }
}

static void convert_struct(Vector &source, Vector &result, idx_t count, const mapping &how)
{
    source.Flatten(count);
    auto &outer = FlatVector::Validity(source);
    auto &from = StructVector::GetEntries(source);
    auto &to = StructVector::GetEntries(result);
    for (size_t i = 0; i < how.children.size(); i++) {
        auto &child = how.children[i];
        if (child.kind == mapping::CONSTANT) {
            fill_constant(*to[i], count, child.value, outer);
        } else {
            convert(*from[child.local_index], *to[i], count, child);
        }
    }
    FlatVector::Validity(result).Initialize(outer);
}

static void convert_list(Vector &source, Vector &result, idx_t count, const mapping &how)
{
    source.Flatten(count);
    auto from = FlatVector::GetData<duckdb::list_entry_t>(source);
    auto to = FlatVector::GetData<duckdb::list_entry_t>(result);
    std::copy(from, from + count, to);
    FlatVector::Validity(result).Initialize(FlatVector::Validity(source));

    idx_t size = ListVector::GetListSize(source);
    ListVector::Reserve(result, size);
    auto &inner = ListVector::GetEntry(result);
    convert(ListVector::GetEntry(source), inner, size, how.children[0]);
    inner.Flatten(size); /* what reads lists may expect it */
    ListVector::SetListSize(result, size);
}

static void convert(Vector &source, Vector &result, idx_t count, const mapping &how)
{
    switch (how.kind) {
    case mapping::SAME:
        result.Reference(source);
        return;
    case mapping::CONSTANT:
        result.Reference(how.value);
        return;
    case mapping::CAST:
        convert_wider(source, result, count);
        return;
    case mapping::CONVERT:
        duckdb::VectorOperations::DefaultCast(source, result, count);
        return;
    case mapping::REINTERPRET:
        result.Reinterpret(source);
        return;
    case mapping::TEXT:
        convert_text(source, result, count);
        return;
    case mapping::UUID:
        convert_uuid(source, result, count);
        return;
    case mapping::STRUCT:
        convert_struct(source, result, count, how);
        return;
    case mapping::LIST:
        convert_list(source, result, count, how);
        return;
    }
}

struct mapping_data : public duckdb::FunctionData {
    explicit mapping_data(std::shared_ptr<const mapping> how_) : how(std::move(how_))
    {
    }
    duckdb::unique_ptr<duckdb::FunctionData> Copy() const override
    {
        return duckdb::make_uniq<mapping_data>(how);
    }
    bool Equals(const duckdb::FunctionData &other) const override
    {
        return how == other.Cast<mapping_data>().how;
    }

    const std::shared_ptr<const mapping> how;
};

static void run_mapping(duckdb::DataChunk &args, duckdb::ExpressionState &state, Vector &result)
{
    auto &call = state.expr.Cast<duckdb::BoundFunctionExpression>();
    convert(args.data[0], result, args.size(), *call.bind_info->Cast<mapping_data>().how);
}

duckdb::unique_ptr<duckdb::Expression>
mapping_expression(mapping how, const LogicalType &local_type, idx_t local_index)
{
    auto reference = duckdb::make_uniq<duckdb::BoundReferenceExpression>(local_type, local_index);
    if (how.kind == mapping::SAME) {
        return std::move(reference);
    }
    if (how.kind == mapping::CONSTANT) {
        return duckdb::make_uniq<duckdb::BoundConstantExpression>(how.value);
    }
    /* Fallible and with its own way with NULLs: then the engine does not run it over dictionaries
     * or skip it where the argument is NULL. */
    duckdb::ScalarFunction function("moat_map", {local_type}, how.type, run_mapping);
    function.SetNullHandling(duckdb::FunctionNullHandling::SPECIAL_HANDLING);
    function.SetFallible();
    duckdb::vector<duckdb::unique_ptr<duckdb::Expression>> arguments;
    arguments.push_back(std::move(reference));
    auto type = how.type;
    return duckdb::make_uniq<duckdb::BoundFunctionExpression>(
        type, std::move(function), std::move(arguments),
        duckdb::make_uniq<mapping_data>(std::make_shared<const mapping>(std::move(how))));
}

} // namespace moat
