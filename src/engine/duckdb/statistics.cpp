/* Keeps what the engine knows of a file's values (smallest, largest, how many are NULL) away from
 * plans over objects whose rows are not all for the person.
 *
 * While it plans, the engine runs functions on those bounds and lets aggregates use them:
 * date_trunc over a hidden date out of its range failed, and bitstring_agg gave as many bits as lie
 * between the smallest and the largest value of the whole file. So the functions that tell the
 * bounds are wrapped in the engine's own catalog, where also plans that are copied later find them.
 * Row groups are still left out by their bounds while reading, which changes no result.
 *
 * The optimizer that spreads the bounds can be turned off for all queries of a database only, and
 * those over open tables need it. */
#include "engine/duckdb/module.hpp"

#include <duckdb/catalog/catalog.hpp>
#include <duckdb/catalog/catalog_entry/table_function_catalog_entry.hpp>
#include <duckdb/common/multi_file/multi_file_states.hpp>
#include <duckdb/function/partition_stats.hpp>
#include <duckdb/function/table_function.hpp>

namespace moat
{

using duckdb::BaseStatistics;
using duckdb::ClientContext;
using duckdb::FunctionData;

/* The engine's own, the same in every database of the process: set by the first, under lock. */
static std::mutex lock;
static duckdb::table_statistics_t engine_statistics;
static duckdb::table_statistics_extended_t engine_statistics_extended;
static duckdb::table_function_get_partition_stats_t engine_partition_statistics;

static bool may_tell(ClientContext &context, const FunctionData *bind_data)
{
    auto registry = registry_of(context);
    if (registry == nullptr || bind_data == nullptr) {
        return false;
    }
    auto &files = *bind_data->Cast<duckdb::MultiFileBindData>().file_list;
    return !files.IsEmpty() && tells_statistics(*registry, files.GetFirstFile().path);
}

static duckdb::unique_ptr<BaseStatistics>
statistics(ClientContext &context, const FunctionData *bind_data, duckdb::column_t column)
{
    return may_tell(context, bind_data) ? engine_statistics(context, bind_data, column) : nullptr;
}

static duckdb::unique_ptr<BaseStatistics>
statistics_extended(ClientContext &context, duckdb::TableFunctionGetStatisticsInput &input)
{
    return may_tell(context, input.bind_data.get()) ? engine_statistics_extended(context, input)
                                                    : nullptr;
}

static duckdb::vector<duckdb::PartitionStatistics>
partition_statistics(ClientContext &context, duckdb::GetPartitionStatsInput &input)
{
    return may_tell(context, input.bind_data.get()) ? engine_partition_statistics(context, input)
                                                    : duckdb::vector<duckdb::PartitionStatistics>();
}

template <class Function> static void wrap(Function &used, Function &original, Function ours)
{
    if (used == nullptr) {
        return;
    }
    if (original == nullptr) {
        original = used;
    }
    ASSERT(original == used);
    used = ours;
}

void guard_statistics(duckdb::Connection &connection)
{
    ClientContext &context = *connection.context;
    std::lock_guard<std::mutex> held(lock);
    context.RunFunctionInTransaction([&] {
        for (const char *name : {"read_parquet", "parquet_scan"}) {
            auto &entry = duckdb::Catalog::GetEntry<duckdb::TableFunctionCatalogEntry>(
                context, SYSTEM_CATALOG, DEFAULT_SCHEMA, name);
            for (auto &function : entry.functions.functions) {
                wrap(function.statistics, engine_statistics, statistics);
                wrap(function.statistics_extended, engine_statistics_extended, statistics_extended);
                wrap(function.get_partition_stats, engine_partition_statistics,
                     partition_statistics);
            }
        }
    });
}

} // namespace moat
