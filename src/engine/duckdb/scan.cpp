/* moat_scan('moat://<grant>/<scan>'): the files of a grant as one relation (engine/scan.h).
 *
 * The engine's own Parquet scan with our way of listing and mapping files put in: threads, row
 * groups, prefetching, filters and projections stay the engine's. */
#include "engine/duckdb/scan.hpp"

#include <duckdb/catalog/catalog.hpp>
#include <duckdb/catalog/catalog_entry/table_function_catalog_entry.hpp>
#include <duckdb/function/partition_stats.hpp>
#include <duckdb/function/table_function.hpp>
#include <duckdb/parser/parsed_data/create_table_function_info.hpp>

namespace moat
{

using duckdb::ClientContext;
using duckdb::FunctionData;
using duckdb::LogicalType;
using duckdb::MultiFileReader;
using duckdb::Value;

/* The engine's own, the same in every database of the process. */
static std::atomic<duckdb::table_function_bind_t> engine_bind;

static duckdb::unique_ptr<FunctionData> bind(ClientContext &context,
                                             duckdb::TableFunctionBindInput &input,
                                             duckdb::vector<LogicalType> &types,
                                             duckdb::vector<std::string> &names)
{
    /* Bounds of floats leave NaN out, which is above all numbers here. */
    duckdb::named_parameter_map_t options;
    options["can_have_nan"] = Value::BOOLEAN(true);
    duckdb::TableFunctionBindInput ours(input.inputs, options, input.input_table_types,
                                        input.input_table_names, input.info, input.binder,
                                        input.table_function, input.ref);
    return engine_bind.load()(context, ours, types, names);
}

static duckdb::virtual_column_map_t virtual_columns(ClientContext &,
                                                    duckdb::optional_ptr<FunctionData> bind_data)
{
    auto &data = bind_data->Cast<duckdb::MultiFileBindData>();
    auto &source = *data.file_list->Cast<scan_list>().source;
    const std::pair<duckdb::column_t, duckdb::TableColumn> all[] = {
        {MultiFileReader::COLUMN_IDENTIFIER_FILENAME, {"_file", LogicalType::VARCHAR}},
        {MultiFileReader::COLUMN_IDENTIFIER_FILE_ROW_NUMBER, {"_pos", LogicalType::BIGINT}},
        {MultiFileReader::COLUMN_IDENTIFIER_FILE_INDEX, {"__moat_file", LogicalType::UBIGINT}},
        {COLUMN_SPEC_ID, {"_spec_id", LogicalType::INTEGER}},
        {COLUMN_PARTITION, {"_partition", source.partition_type}},
        {COLUMN_ROW_ID, {"_row_id", LogicalType::BIGINT}},
        {COLUMN_LAST_UPDATED, {"_last_updated_sequence_number", LogicalType::BIGINT}},
        {COLUMN_SEQUENCE_NUMBER, {"__moat_sequence", LogicalType::BIGINT}},
        {COLUMN_GROUP, {"__moat_group", LogicalType::INTEGER}},
        {duckdb::COLUMN_IDENTIFIER_EMPTY, {"", LogicalType::BOOLEAN}},
    };
    duckdb::virtual_column_map_t result;
    for (auto &column : all) {
        result.insert(column);
    }
    data.virtual_columns = result;
    return result;
}

static duckdb::unique_ptr<duckdb::BaseStatistics>
statistics(ClientContext &, const FunctionData *bind_data, duckdb::column_t column)
{
    auto &data = bind_data->Cast<duckdb::MultiFileBindData>();
    auto &list = data.file_list->Cast<scan_list>();
    if (column >= list.source->columns.size()) {
        return nullptr; /* a virtual one */
    }
    auto range = list.promise(column);
    return range.has_bounds ? range_statistics(range, list.source->columns[column].type) : nullptr;
}

/* How many rows there are is all that is told here: no more of single files than of all. */
static duckdb::vector<duckdb::PartitionStatistics>
partition_statistics(ClientContext &, duckdb::GetPartitionStatsInput &input)
{
    auto &data = input.bind_data->Cast<duckdb::MultiFileBindData>();
    int64_t rows = data.file_list->Cast<scan_list>().exact_row_count();
    duckdb::vector<duckdb::PartitionStatistics> result;
    if (rows >= 0) {
        duckdb::PartitionStatistics all;
        all.row_start = 0;
        all.count = static_cast<duckdb::idx_t>(rows);
        all.count_type = duckdb::CountType::COUNT_EXACT;
        result.push_back(std::move(all));
    }
    return result;
}

void register_scan(duckdb::Connection &connection)
{
    ClientContext &context = *connection.context;
    duckdb::unique_ptr<duckdb::TableFunction> function;
    context.RunFunctionInTransaction([&] {
        auto &entry = duckdb::Catalog::GetEntry<duckdb::TableFunctionCatalogEntry>(
            context, SYSTEM_CATALOG, DEFAULT_SCHEMA, "parquet_scan");
        function = duckdb::make_uniq<duckdb::TableFunction>(
            entry.functions.GetFunctionByArguments(context, {LogicalType::VARCHAR}));
    });
    engine_bind = function->bind;
    function->name = "moat_scan";
    function->bind = bind;
    function->named_parameters.clear();
    function->get_multi_file_reader = make_scan_reader;
    function->get_virtual_columns = virtual_columns;
    function->get_partition_stats = partition_statistics;
    function->statistics = statistics;
    function->statistics_extended = nullptr;
    function->serialize = nullptr; /* a plan that is copied binds the address again */
    function->deserialize = nullptr;

    duckdb::CreateTableFunctionInfo info(*function);
    context.RunFunctionInTransaction(
        [&] { duckdb::Catalog::GetSystemCatalog(context).CreateTableFunction(context, info); });
}

} // namespace moat
