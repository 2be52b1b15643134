/* How VARIANTs are written to Parquet.
 *
 * The engine's writer finds a shape that fits the values and gives each of its fields a column
 * ("shredding"). Names of such fields it compares without case: of {"a": 1} and {"A": 2} in one row
 * group it writes {"a": 1} and {}. A value that is silently lost is not to be had for a smaller
 * file: every VARIANT is written with the one shape that has no fields, BOOLEAN, in which truth
 * values have their column, and all others are whole. (Told another way, not to shred, it still
 * looks for a shape: 1.5.6, measured.)
 *
 * Source: Parquet's VariantShredding.md, "typed_value". */
#include "engine/duckdb/module.hpp"

#include <duckdb/catalog/catalog.hpp>
#include <duckdb/catalog/catalog_entry/copy_function_catalog_entry.hpp>
#include <duckdb/function/copy_function.hpp>

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

static constexpr const char *OPTION = "shredding";

static duckdb::unique_ptr<duckdb::FunctionData>
bind_whole(duckdb::ClientContext &context, CopyFunctionBindInput &input,
           const duckdb::vector<duckdb::string> &names, const duckdb::vector<LogicalType> &types)
{
    const auto bind = input.function_info->Cast<inner_bind>().bind;
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
    context.RunFunctionInTransaction([&] {
        auto &function = duckdb::Catalog::GetEntry<duckdb::CopyFunctionCatalogEntry>(
                             context, SYSTEM_CATALOG, DEFAULT_SCHEMA, "parquet")
                             .function;
        function.function_info = duckdb::make_shared_ptr<inner_bind>(function.copy_to_bind);
        function.copy_to_bind = bind_whole;
    });
}

} // namespace moat
