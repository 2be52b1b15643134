/* moat_rows('moat://<grant>/rows'): rows that the program hands in, in batches (engine_rows).
 *
 * The engine's own reading of Arrow with our way to the next batch: its table function takes bare
 * pointers as arguments, and turns an error of a stream into a text. A batch may be long in coming;
 * one thread waits for it, the others for that one. */
#include "engine/duckdb/module.hpp"

#include <duckdb/catalog/catalog.hpp>
#include <duckdb/function/table/arrow.hpp>
#include <duckdb/function/table_function.hpp>
#include <duckdb/parser/parsed_data/create_table_function_info.hpp>

namespace moat
{

using duckdb::ArrowTableFunction;
using duckdb::ClientContext;
using duckdb::FunctionData;
using duckdb::idx_t;
using duckdb::LogicalType;

struct rows_data : public duckdb::TableFunctionData {
    std::shared_ptr<grant_state> grant;
    duckdb::ArrowTableSchema schema;
};

struct rows_state : public duckdb::GlobalTableFunctionState {
    idx_t MaxThreads() const override
    {
        return thread_count;
    }

    std::shared_ptr<grant_state> grant;
    idx_t thread_count = 1;
    std::mutex lock;
    idx_t batch_index = 0; /* under lock */
    bool is_done = false;  /* under lock */
};

static std::shared_ptr<grant_state> find_rows(ClientContext &context, const std::string &path)
{
    static const std::string scheme = "moat://";
    static const std::string name = "/rows";
    auto registry = registry_of(context);
    bool is_one = registry && path.size() > scheme.size() + name.size() &&
                  path.compare(0, scheme.size(), scheme) == 0 &&
                  path.compare(path.size() - name.size(), name.size(), name) == 0;
    auto grant =
        is_one
            ? registry->find(path.substr(scheme.size(), path.size() - scheme.size() - name.size()))
            : nullptr;
    if (!grant || !grant->has_rows) {
        throw_err(ERR_DENIED, nullptr, "no grant for rows", "");
    }
    return grant;
}

static duckdb::unique_ptr<FunctionData> bind(ClientContext &context,
                                             duckdb::TableFunctionBindInput &input,
                                             duckdb::vector<LogicalType> &types,
                                             duckdb::vector<duckdb::string> &names)
{
    auto data = duckdb::make_uniq<rows_data>();
    data->grant =
        find_rows(context, input.inputs[0].IsNull() ? "" : input.inputs[0].GetValue<std::string>());
    grant_state::use in_use(*data->grant);
    ArrowTableFunction::PopulateArrowTableSchema(context, data->schema,
                                                 *data->grant->the_rows(in_use).schema);
    types = data->schema.GetTypes();
    names = data->schema.GetNames();
    return std::move(data);
}

static duckdb::unique_ptr<duckdb::GlobalTableFunctionState>
open_rows(ClientContext &context, duckdb::TableFunctionInitInput &input)
{
    auto state = duckdb::make_uniq<rows_state>();
    state->grant = input.bind_data->Cast<rows_data>().grant;
    state->grant->open_rows();
    state->thread_count =
        static_cast<idx_t>(duckdb::TaskScheduler::GetScheduler(context).NumberOfThreads());
    return std::move(state);
}

static bool next_batch(duckdb::ArrowScanLocalState &local, rows_state &state)
{
    std::lock_guard<std::mutex> held(state.lock);
    local.Reset();
    while (!state.is_done) {
        auto batch = duckdb::make_shared_ptr<duckdb::ArrowArrayWrapper>();
        state.is_done = true; /* unless there is one: after an error nobody asks again */
        state.grant->next_rows(&batch->arrow_array);
        state.is_done = batch->arrow_array.release == nullptr;
        if (!state.is_done && batch->arrow_array.length > 0) {
            local.chunk = std::move(batch);
            local.batch_index = ++state.batch_index;
            return true;
        }
    }
    return false;
}

static duckdb::unique_ptr<duckdb::LocalTableFunctionState>
open_thread(duckdb::ExecutionContext &context, duckdb::TableFunctionInitInput &,
            duckdb::GlobalTableFunctionState *global)
{
    auto local = duckdb::make_uniq<duckdb::ArrowScanLocalState>(
        duckdb::make_uniq<duckdb::ArrowArrayWrapper>(), context.client);
    if (!next_batch(*local, global->Cast<rows_state>())) {
        return nullptr;
    }
    return std::move(local);
}

static void scan(ClientContext &, duckdb::TableFunctionInput &input, duckdb::DataChunk &output)
{
    if (!input.local_state) {
        return;
    }
    auto &local = input.local_state->Cast<duckdb::ArrowScanLocalState>();
    auto length = static_cast<idx_t>(local.chunk->arrow_array.length);
    if (local.chunk_offset >= length) {
        if (!next_batch(local, input.global_state->Cast<rows_state>())) {
            return;
        }
        length = static_cast<idx_t>(local.chunk->arrow_array.length);
    }
    output.SetCardinality(
        duckdb::MinValue<idx_t>(STANDARD_VECTOR_SIZE, length - local.chunk_offset));
    ArrowTableFunction::ArrowToDuckDB(local, input.bind_data->Cast<rows_data>().schema.GetColumns(),
                                      output);
    local.chunk_offset += output.size();
}

/* So that rows are kept in the order in which they came. */
static duckdb::OperatorPartitionData partition(ClientContext &,
                                               duckdb::TableFunctionGetPartitionInput &input)
{
    return duckdb::OperatorPartitionData(
        input.local_state->Cast<duckdb::ArrowScanLocalState>().batch_index);
}

void register_rows(duckdb::Connection &connection)
{
    ClientContext &context = *connection.context;
    duckdb::TableFunction function("moat_rows", {LogicalType::VARCHAR}, scan, bind, open_rows,
                                   open_thread);
    function.get_partition_data = partition;
    duckdb::CreateTableFunctionInfo info(function);
    context.RunFunctionInTransaction(
        [&] { duckdb::Catalog::GetSystemCatalog(context).CreateTableFunction(context, info); });
}

} // namespace moat
