#include "engine/duckdb/result.hpp"

#include <duckdb/common/types/column/column_data_collection.hpp>
#include <duckdb/execution/operator/helper/physical_result_collector.hpp>
#include <duckdb/execution/physical_plan_generator.hpp>
#include <duckdb/main/materialized_query_result.hpp>
#include <duckdb/main/prepared_statement_data.hpp>

namespace moat
{

using duckdb::ClientContext;
using duckdb::DataChunk;
using duckdb::idx_t;
using duckdb::LogicalType;

/* Up to here a batch of the plan is not written by the thread that makes it: the next may be as
 * small, and a batch of Arrow of so few rows costs more in its frame than in its rows. */
static const idx_t FEW_ROWS_MAX = 8192;
static const idx_t FEW_BYTES_MAX = 256u << 10;

/* ---- what one thread makes ---- */

result_producer::result_producer(ClientContext &context_, const duckdb::vector<LogicalType> &types_)
    : context(context_), types(types_)
{
}

void result_producer::add(DataChunk &chunk, std::vector<result_rows> &ret_full)
{
    if (!is_writing && keep(chunk)) {
        return;
    }
    if (!builder) {
        builder = std::make_unique<batch_builder>(context, types);
    }
    is_writing = true;
    for (auto &rows : few) {
        write(*rows.chunk, ret_full);
    }
    few.clear();
    write(chunk, ret_full);
}

/* False if it would be more than a few. */
bool result_producer::keep(DataChunk &chunk)
{
    idx_t bytes = batch_builder::chunk_bytes(chunk);
    if (few_rows + chunk.size() > FEW_ROWS_MAX || few_bytes + bytes > FEW_BYTES_MAX) {
        return false;
    }
    few_rows += chunk.size();
    few_bytes += bytes;
    if (!few.empty() && few.back().chunk->size() + chunk.size() <= STANDARD_VECTOR_SIZE) {
        few.back().chunk->Append(chunk, true); /* behind a filter chunks are small */
        few.back().bytes += bytes;
        return true;
    }
    result_rows rows;
    rows.chunk = duckdb::make_uniq<DataChunk>();
    rows.chunk->Initialize(duckdb::Allocator::DefaultAllocator(), chunk.GetTypes(), chunk.size());
    chunk.Copy(*rows.chunk, 0);
    rows.bytes = bytes;
    few.push_back(std::move(rows));
    return true;
}

static result_rows finished(batch_builder &builder)
{
    result_rows rows;
    rows.bytes = builder.size_bytes();
    rows.batch = duckdb::make_uniq<duckdb::ArrowArrayWrapper>();
    rows.batch->arrow_array = builder.finish();
    return rows;
}

void result_producer::write(DataChunk &chunk, std::vector<result_rows> &ret_full)
{
    DataChunk storage;
    DataChunk &converted = builder->convert(chunk, storage);
    for (idx_t next = 0; next < converted.size();) {
        next = builder->append(converted, next);
        if (builder->is_full()) {
            ret_full.push_back(finished(*builder));
        }
    }
}

void result_producer::finish(std::vector<result_rows> &ret_rest)
{
    for (auto &rows : few) {
        ret_rest.push_back(std::move(rows));
    }
    few.clear();
    few_rows = 0;
    few_bytes = 0;
    is_writing = false;
    if (builder && !builder->is_empty()) {
        ret_rest.push_back(finished(*builder));
    }
}

/* ---- the queue ---- */

void result_stream::be_in_batches(idx_t ready_max, idx_t later_min, idx_t later_max)
{
    ASSERT(later_min <= later_max);
    ready_bytes_max = ready_max;
    later_bytes_min = later_min;
    later_bytes_max = later_max;
}

void result_stream::be_as_it_comes(idx_t bytes_max)
{
    ready_bytes_max = bytes_max;
}

void result_stream::enter(const std::shared_ptr<result_producer> &producer)
{
    std::lock_guard<std::mutex> held(lock);
    producers.push_back(producer);
}

void result_stream::leave(const std::shared_ptr<result_producer> &producer)
{
    std::lock_guard<std::mutex> held(lock);
    producers.remove(producer);
}

bool result_stream::is_first(idx_t batch) const
{
    return batch <= first;
}

bool result_stream::fits(idx_t batch, idx_t share) const
{
    if (is_first(batch)) {
        return ready_bytes < ready_bytes_max / share;
    }
    bool is_awaited = ready_bytes < ready_bytes_max / 2; /* who pulls is as quick as the engine */
    return later_bytes < (is_awaited ? later_bytes_max : later_bytes_min) / share;
}

void result_stream::move_until(idx_t first_batch)
{
    first = first_batch;
    while (!later.empty() && is_first(later.begin()->first)) {
        for (auto &rows : later.begin()->second) {
            later_bytes -= rows.bytes;
            ready_bytes += rows.bytes;
            ready.push_back(std::move(rows));
        }
        later.erase(later.begin());
    }
}

void result_stream::advance(idx_t first_batch)
{
    std::lock_guard<std::mutex> held(lock);
    if (first_batch > first) {
        move_until(first_batch);
    }
}

bool result_stream::has_room(idx_t batch, const duckdb::InterruptState &state)
{
    std::lock_guard<std::mutex> held(lock);
    if (fits(batch, 1)) {
        return true;
    }
    blocked.emplace_back(batch, state);
    return false;
}

void result_stream::push(idx_t batch, std::vector<result_rows> &rows)
{
    std::lock_guard<std::mutex> held(lock);
    ASSERT(batch >= first);
    for (auto &part : rows) {
        if (is_first(batch)) {
            ready_bytes += part.bytes;
            ready.push_back(std::move(part));
        } else {
            later_bytes += part.bytes;
            later[batch].push_back(std::move(part));
        }
    }
    rows.clear();
}

void result_stream::end()
{
    std::lock_guard<std::mutex> held(lock);
    move_until(duckdb::NumericLimits<idx_t>::Maximum());
    ASSERT(later_bytes == 0);
}

result_rows result_stream::take()
{
    result_rows rows;
    std::lock_guard<std::mutex> held(lock);
    if (!ready.empty()) {
        rows = std::move(ready.front());
        ready.pop_front();
        ready_bytes -= rows.bytes;
    }
    return rows;
}

result_rows result_stream::take_unfinished()
{
    {
        std::lock_guard<std::mutex> held(lock);
        std::vector<result_rows> rest;
        for (auto &producer : producers) {
            std::unique_lock<std::mutex> gathering(producer->lock, std::try_to_lock);
            if (gathering.owns_lock() && is_first(producer->batch)) {
                producer->finish(rest);
            }
        }
        for (auto &rows : rest) {
            ready_bytes += rows.bytes;
            ready.push_back(std::move(rows));
        }
    }
    return take();
}

void result_stream::resume()
{
    std::vector<duckdb::InterruptState> waiting;
    {
        std::lock_guard<std::mutex> held(lock);
        for (size_t i = 0; i < blocked.size();) {
            if (fits(blocked[i].first, 2)) { /* not for each batch that is taken */
                waiting.push_back(std::move(blocked[i].second));
                blocked[i] = std::move(blocked.back());
                blocked.pop_back();
            } else {
                i++;
            }
        }
    }
    for (auto &state : waiting) {
        state.Callback();
    }
}

/* ---- the end of a plan ---- */

struct collector_state : public duckdb::GlobalSinkState {
    explicit collector_state(duckdb::unique_ptr<duckdb::QueryResult> result_)
        : result(std::move(result_))
    {
    }

    duckdb::unique_ptr<duckdb::QueryResult> result; /* of no rows: these have gone their way */
};

struct collector_thread : public duckdb::LocalSinkState {
    std::shared_ptr<result_producer> producer;
    std::vector<result_rows> full;
};

class collector : public duckdb::PhysicalResultCollector
{
  public:
    enum class order {
        NONE,
        ONE_THREAD,
        BATCHES
    };

    collector(duckdb::PhysicalPlan &physical_plan, duckdb::PreparedStatementData &data,
              std::shared_ptr<result_stream> stream_, order kept_)
        : PhysicalResultCollector(physical_plan, data), stream(std::move(stream_)), kept(kept_)
    {
    }

    bool ParallelSink() const override
    {
        return kept != order::ONE_THREAD;
    }

    bool SinkOrderDependent() const override
    {
        return kept != order::BATCHES;
    }

    duckdb::OperatorPartitionInfo RequiredPartitionInfo() const override
    {
        return kept == order::BATCHES ? duckdb::OperatorPartitionInfo::BatchIndex()
                                      : duckdb::OperatorPartitionInfo::NoPartitionInfo();
    }

    bool IsStreaming() const override /* it waits for who pulls */
    {
        return true;
    }

    duckdb::unique_ptr<duckdb::GlobalSinkState>
    GetGlobalSinkState(ClientContext &context) const override
    {
        return duckdb::make_uniq<collector_state>(
            duckdb::make_uniq<duckdb::MaterializedQueryResult>(statement_type, properties, names,
                                                               CreateCollection(context),
                                                               context.GetClientProperties()));
    }

    duckdb::unique_ptr<duckdb::LocalSinkState>
    GetLocalSinkState(duckdb::ExecutionContext &context) const override
    {
        auto thread = duckdb::make_uniq<collector_thread>();
        thread->producer = std::make_shared<result_producer>(context.client, types);
        stream->enter(thread->producer);
        return std::move(thread);
    }

    duckdb::SinkResultType Sink(duckdb::ExecutionContext &, DataChunk &chunk,
                                duckdb::OperatorSinkInput &input) const override
    {
        auto &thread = input.local_state.Cast<collector_thread>();
        idx_t batch = enter_batch(thread);
        if (!stream->has_room(batch, input.interrupt_state)) {
            return duckdb::SinkResultType::BLOCKED;
        }
        std::lock_guard<std::mutex> held(thread.producer->lock);
        thread.producer->batch = batch;
        thread.producer->add(chunk, thread.full);
        if (!thread.full.empty()) {
            stream->push(batch, thread.full);
        }
        return duckdb::SinkResultType::NEED_MORE_INPUT;
    }

    /* The thread's last batch is whole. Told here too which is the first of all, as it was before:
     * of batches that a filter leaves nothing of no rows come, and others wait for them. */
    duckdb::SinkNextBatchType NextBatch(duckdb::ExecutionContext &,
                                        duckdb::OperatorSinkNextBatchInput &input) const override
    {
        auto &thread = input.local_state.Cast<collector_thread>();
        finish_batch(thread);
        enter_batch(thread);
        return duckdb::SinkNextBatchType::READY;
    }

    duckdb::SinkCombineResultType Combine(duckdb::ExecutionContext &,
                                          duckdb::OperatorSinkCombineInput &input) const override
    {
        auto &thread = input.local_state.Cast<collector_thread>();
        finish_batch(thread);
        enter_batch(thread);
        stream->leave(thread.producer);
        return duckdb::SinkCombineResultType::FINISHED;
    }

    duckdb::SinkFinalizeType Finalize(duckdb::Pipeline &, duckdb::Event &, ClientContext &,
                                      duckdb::OperatorSinkFinalizeInput &) const override
    {
        stream->end();
        return duckdb::SinkFinalizeType::READY;
    }

    duckdb::unique_ptr<duckdb::QueryResult> GetResult(duckdb::GlobalSinkState &state) const override
    {
        return std::move(state.Cast<collector_state>().result);
    }

  private:
    /* The number of the thread's batch. */
    idx_t enter_batch(const collector_thread &thread) const
    {
        if (kept != order::BATCHES) {
            return 0;
        }
        stream->advance(thread.partition_info.min_batch_index.GetIndex());
        return thread.partition_info.batch_index.GetIndex();
    }

    void finish_batch(collector_thread &thread) const
    {
        std::lock_guard<std::mutex> held(thread.producer->lock);
        thread.producer->finish(thread.full);
        if (!thread.full.empty()) {
            stream->push(thread.producer->batch, thread.full);
        }
    }

    std::shared_ptr<result_stream> stream;
    order kept;
};

/* What may be held. Rows that come as they are made are ready at once, and more than a few batches
 * gain nothing. Where a batch of the plan waits for those before it, threads need room to run ahead
 * of the first, for all rows of a row group: else they stand still by turns, and the processors
 * with them (lineitem, whose row groups make 20 MiB, 1.15 times as fast as with 19 and 13 MiB; with
 * 128 and 64 it was 1.22 times). */
static const idx_t STREAM_BYTES_MAX = 4u << 20;
static const idx_t READY_BYTES_MAX = 40u << 20;
static const idx_t LATER_BYTES_MIN = 12u << 20; /* where who pulls is slow */
static const idx_t LATER_BYTES_MAX = 40u << 20;
static const idx_t MEMORY_PARTS = 16; /* no more of what the query may take, but for the least */

duckdb::unique_ptr<duckdb::PhysicalOperator>
collect_into(const std::shared_ptr<result_stream> &stream, ClientContext &context,
             duckdb::PreparedStatementData &data)
{
    using duckdb::PhysicalPlanGenerator;
    auto &physical_plan = *data.physical_plan;
    auto kept = collector::order::NONE;
    if (PhysicalPlanGenerator::PreserveInsertionOrder(context, physical_plan.Root())) {
        kept = PhysicalPlanGenerator::UseBatchIndex(context, physical_plan.Root())
                   ? collector::order::BATCHES
                   : collector::order::ONE_THREAD;
    }
    if (kept == collector::order::BATCHES) {
        idx_t part = duckdb::BufferManager::GetBufferManager(context).GetMaxMemory() / MEMORY_PARTS;
        stream->be_in_batches(std::min(std::max(part, LATER_BYTES_MIN), READY_BYTES_MAX),
                              LATER_BYTES_MIN,
                              std::min(std::max(part, LATER_BYTES_MIN), LATER_BYTES_MAX));
    } else {
        stream->be_as_it_comes(STREAM_BYTES_MAX);
    }
    return duckdb::make_uniq<collector>(physical_plan, data, stream, kept);
}

} // namespace moat
