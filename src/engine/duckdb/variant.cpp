/* VARIANTs, where the engine alone would crash or lose something.
 *
 * How they are made of JSON: its cast goes as deep as the text does, on the thread's stack. One
 * that is deeper than DEPTH_MAX is an error, wherever in a value it stands.
 *
 * What they are before they are written: Parquet's encoding wants the fields of an object in the
 * order of their names and each once, since readers search for them; the engine keeps both as they
 * came (and of JSON a name twice), and has whole numbers without a sign, which Parquet has not and
 * the writer's columns do not take. __moat_variant(v) is the same value as Parquet has it; of a
 * name that is there twice it keeps the last, as the engine's own reading of JSON does.
 *
 * How they are written to Parquet: the engine's writer finds a shape that fits the values and gives
 * each of its fields a column ("shredding"). Names of such fields it compares without case: of
 * {"a": 1} and {"A": 2} in one row group it writes {"a": 1} and {}. A value that is silently lost
 * is not to be had for a smaller file: unless told otherwise by who has looked at all values
 * (shredding.hpp), every VARIANT is written with the one shape that has no fields, BOOLEAN, in
 * which truth values have their column, and all others are whole. (Told another way, not to shred,
 * it still looks for a shape: 1.5.6, measured.)
 *
 * Source: Parquet's VariantEncoding.md and VariantShredding.md, "typed_value". */
#include "engine/duckdb/instants.hpp"
#include "engine/duckdb/module.hpp"

#include <duckdb/catalog/catalog.hpp>
#include <duckdb/catalog/catalog_entry/copy_function_catalog_entry.hpp>
#include <duckdb/common/serializer/varint.hpp>
#include <duckdb/common/vector_operations/vector_operations.hpp>
#include <duckdb/function/cast/cast_function_set.hpp>
#include <duckdb/function/copy_function.hpp>
#include <duckdb/function/scalar_function.hpp>
#include <duckdb/parser/parsed_data/create_scalar_function_info.hpp>

#include <algorithm>

namespace moat
{

using duckdb::CopyFunctionBindInput;
using duckdb::LogicalType;
using duckdb::LogicalTypeId;
using duckdb::Value;

namespace
{

/* What the copy function had before. */
struct inner_bind : duckdb::CopyFunctionInfo {
    explicit inner_bind(duckdb::copy_to_bind_t given) : bind(given)
    {
    }

    duckdb::copy_to_bind_t bind;
};

} // namespace

/* ---- of JSON ---- */

static constexpr size_t DEPTH_MAX = 1000;

static bool is_deep(struct slice text)
{
    size_t depth = 0;
    bool is_text = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (is_text) {
            is_text = c != '"';
            i += c == '\\' ? 1 : 0;
        } else if (c == '"') {
            is_text = true;
        } else if (c == '[' || c == '{') {
            if (++depth > DEPTH_MAX) {
                return true;
            }
        } else if (c == ']' || c == '}') {
            depth -= depth > 0 ? 1 : 0;
        }
    }
    return false;
}

namespace
{

/* The engine's own cast. */
struct inner_cast : duckdb::BoundCastData {
    explicit inner_cast(duckdb::BoundCastInfo given) : cast(std::move(given))
    {
    }

    duckdb::unique_ptr<duckdb::BoundCastData> Copy() const override
    {
        return duckdb::make_uniq<inner_cast>(cast.Copy());
    }

    duckdb::BoundCastInfo cast;
};

} // namespace

static void check_texts(duckdb::Vector &texts, duckdb::idx_t count)
{
    duckdb::UnifiedVectorFormat format;
    texts.ToUnifiedFormat(count, format);
    auto values = duckdb::UnifiedVectorFormat::GetData<duckdb::string_t>(format);
    for (duckdb::idx_t i = 0; i < count; i++) {
        auto at = format.sel->get_index(i);
        if (format.validity.RowIsValid(at) &&
            is_deep({values[at].GetData(), values[at].GetSize()})) {
            throw_err(ERR_LIMIT, "54001", "JSON is nested too deeply for a VARIANT",
                      "1000 arrays and objects may be inside of each other.");
        }
    }
}

/* JSON anywhere in the values; as deep as their type. */
static void check_depth(duckdb::Vector &values, duckdb::idx_t count)
{
    const LogicalType &type = values.GetType();
    if (type.IsJSONType()) {
        check_texts(values, count);
        return;
    }
    if (!type.IsNested()) {
        return;
    }
    values.Flatten(count);
    switch (type.InternalType()) {
    case duckdb::PhysicalType::LIST:
        check_depth(duckdb::ListVector::GetEntry(values), duckdb::ListVector::GetListSize(values));
        break;
    case duckdb::PhysicalType::ARRAY:
        check_depth(duckdb::ArrayVector::GetEntry(values),
                    count * duckdb::ArrayType::GetSize(type));
        break;
    default:
        for (auto &child : duckdb::StructVector::GetEntries(values)) {
            check_depth(*child, count);
        }
        break;
    }
}

static bool cast_checked(duckdb::Vector &source, duckdb::Vector &result, duckdb::idx_t count,
                         duckdb::CastParameters &parameters)
{
    auto &inner = parameters.cast_data->Cast<inner_cast>().cast;
    check_depth(source, count);
    duckdb::CastParameters own(parameters, inner.cast_data.get(), parameters.local_state);
    return inner.function(source, result, count, own);
}

static duckdb::unique_ptr<duckdb::FunctionLocalState>
open_cast(duckdb::CastLocalStateParameters &parameters)
{
    auto &inner = parameters.cast_data->Cast<inner_cast>().cast;
    duckdb::CastLocalStateParameters own(parameters, inner.cast_data.get());
    return inner.init_local_state == nullptr ? nullptr : inner.init_local_state(own);
}

static duckdb::BoundCastInfo bind_checked(duckdb::BindCastInput &input, const LogicalType &source,
                                          const LogicalType &target)
{
    if (has_instants(source)) {
        refuse_variant(source);
    }
    auto inner = duckdb::DefaultCasts::GetDefaultCastFunction(input, source, target);
    return {cast_checked, duckdb::make_uniq<inner_cast>(std::move(inner)), open_cast};
}

static void guard_casts(duckdb::ClientContext &context)
{
    auto &casts = duckdb::CastFunctionSet::Get(context);
    const LogicalType any = LogicalType::ANY;
    const LogicalType variant = LogicalType::VARIANT();
    const LogicalType sources[] = {LogicalType::JSON(),
                                   LogicalType::LIST(LogicalType::JSON()),
                                   LogicalType::LIST(any),
                                   LogicalType::ARRAY(any, duckdb::optional_idx()),
                                   LogicalType::MAP(any, any),
                                   LogicalType::STRUCT({{"any", any}}),
                                   LogicalType::UNION({{"any", any}})};
    int64_t cost = casts.ImplicitCastCost(context, LogicalType::JSON(), variant);
    for (const LogicalType &source : sources) {
        casts.RegisterCastFunction(source, variant, bind_checked, cost);
    }
}

/* ---- as Parquet has them ---- */

namespace
{

/* A field of an object. */
struct variant_field {
    duckdb::string_t name;
    uint32_t keys_index;
    uint32_t values_index;
};

} // namespace

/* A number in as many bytes as it had, or more than it needs. */
static void write_varint(duckdb::data_ptr_t at, size_t bytes, uint32_t number)
{
    for (size_t i = 0; i < bytes; i++) {
        at[i] = static_cast<uint8_t>((number & 0x7F) | (i + 1 < bytes ? 0x80 : 0));
        number >>= 7;
    }
}

static bool is_in_order(const std::vector<variant_field> &fields)
{
    for (size_t i = 1; i < fields.size(); i++) {
        if (!(fields[i - 1].name < fields[i].name)) {
            return false;
        }
    }
    return true;
}

/* The object whose header is at `at`; a name that is there twice goes by its last value. */
static void order_object(duckdb::VariantVectorData &data, duckdb::idx_t row, duckdb::data_ptr_t at)
{
    duckdb::const_data_ptr_t behind = at;
    auto count = duckdb::VarintDecode<uint32_t>(behind);
    auto count_bytes = static_cast<size_t>(behind - at);
    if (count == 0) {
        return;
    }
    auto first = data.children_data[row].offset + duckdb::VarintDecode<uint32_t>(behind);
    auto names =
        duckdb::FlatVector::GetData<duckdb::string_t>(duckdb::ListVector::GetEntry(data.keys));
    std::vector<variant_field> fields;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t key = data.keys_index_data[first + i];
        fields.push_back(
            {names[data.keys_data[row].offset + key], key, data.values_index_data[first + i]});
    }
    if (is_in_order(fields)) {
        return;
    }
    std::stable_sort(fields.begin(), fields.end(),
                     [](const auto &a, const auto &b) { return a.name < b.name; });
    uint32_t kept = 0;
    for (size_t i = 0; i < fields.size(); i++) {
        bool is_last = i + 1 == fields.size() || fields[i].name != fields[i + 1].name;
        if (is_last) {
            data.keys_index_data[first + kept] = fields[i].keys_index;
            data.values_index_data[first + kept] = fields[i].values_index;
            kept++;
        }
    }
    write_varint(at, count_bytes, kept);
}

static void settle_row(duckdb::VariantVectorData &data, duckdb::idx_t row)
{
    auto &blob = data.blob_data[row];
    auto bytes = duckdb::data_ptr_cast(blob.GetDataWriteable());
    const auto &values = data.values_data[row];
    for (auto i = values.offset; i < values.offset + values.length; i++) {
        auto type = static_cast<duckdb::VariantLogicalType>(data.type_ids_data[i]);
        auto at = bytes + data.byte_offset_data[i];
        if (type == duckdb::VariantLogicalType::OBJECT) {
            order_object(data, row, at);
        } else if (type == duckdb::VariantLogicalType::UINT64 &&
                   duckdb::Load<uint64_t>(at) <= static_cast<uint64_t>(INT64_MAX)) {
            data.type_ids_data[i] = static_cast<uint8_t>(duckdb::VariantLogicalType::INT64);
        }
    }
    blob.Finalize();
}

static void run_variant(duckdb::DataChunk &args, duckdb::ExpressionState &, duckdb::Vector &result)
{
    auto count = args.size();
    duckdb::VectorOperations::Copy(args.data[0], result, count, 0, 0); /* which is flat, and ours */
    duckdb::VariantVectorData data(result);
    for (duckdb::idx_t row = 0; row < count; row++) {
        if (!duckdb::FlatVector::IsNull(result, row)) {
            settle_row(data, row);
        }
    }
    if (args.AllConstant()) {
        result.SetVectorType(duckdb::VectorType::CONSTANT_VECTOR);
    }
}

static void add_function(duckdb::Connection &connection)
{
    duckdb::CreateScalarFunctionInfo info(duckdb::ScalarFunction(
        "__moat_variant", {LogicalType::VARIANT()}, LogicalType::VARIANT(), run_variant));
    info.schema = DEFAULT_SCHEMA;
    connection.context->RegisterFunction(info);
}

/* ---- to Parquet ---- */

static constexpr const char *OPTION = "shredding";

static duckdb::unique_ptr<duckdb::FunctionData>
bind_whole(duckdb::ClientContext &context, CopyFunctionBindInput &input,
           const duckdb::vector<duckdb::string> &names, const duckdb::vector<LogicalType> &types)
{
    const auto bind = input.function_info->Cast<inner_bind>().bind;
    if (input.info.options.count(OPTION) > 0) { /* of files.cpp */
        return bind(context, input, names, types);
    }
    duckdb::child_list_t<Value> shapes;
    for (size_t i = 0; i < types.size(); i++) {
        if (types[i].id() == LogicalTypeId::VARIANT) {
            shapes.emplace_back(names[i], Value("BOOLEAN"));
        }
    }
    if (shapes.empty()) {
        return bind(context, input, names, types);
    }
    auto info = input.info.Copy();
    info->options[OPTION] = {Value::STRUCT(std::move(shapes))};
    CopyFunctionBindInput with_shapes(*info, input.function_info);
    with_shapes.file_extension = input.file_extension;
    auto bound = bind(context, with_shapes, names, types);
    input.file_extension = with_shapes.file_extension;
    return bound;
}

void guard_variants(duckdb::Connection &connection)
{
    duckdb::ClientContext &context = *connection.context;
    add_function(connection);
    context.RunFunctionInTransaction([&] {
        guard_casts(context);
        auto &function = duckdb::Catalog::GetEntry<duckdb::CopyFunctionCatalogEntry>(
                             context, SYSTEM_CATALOG, DEFAULT_SCHEMA, "parquet")
                             .function;
        function.function_info = duckdb::make_shared_ptr<inner_bind>(function.copy_to_bind);
        function.copy_to_bind = bind_whole;
    });
}

} // namespace moat
