/* Rows of a running plan on their way to who pulls them: the end of the plan and a queue.
 *
 * The engine's own streaming results copy every chunk, count a text as 16 bytes however long it
 * is (so that a client that reads slowly makes the server hold any amount of it), and leave the
 * writing of Arrow to the thread that pulls. Here each thread of the engine writes batches of its
 * own, and what is held ready is bounded by what it takes.
 *
 * Where rows are in an order, they are kept in it: a plan whose source cuts its rows into numbered
 * batches runs on all threads, and a batch waits until all before it are whole; any other runs on
 * one. */
#pragma once

#include "engine/duckdb/arrow.hpp"

#include <duckdb/common/arrow/arrow_wrapper.hpp>
#include <duckdb/parallel/interrupt.hpp>

#include <deque>
#include <list>
#include <map>

namespace moat
{

/* One of the two: a batch that is written, or a few rows that are better gathered first. */
struct result_rows {
    duckdb::unique_ptr<duckdb::ArrowArrayWrapper> batch;
    duckdb::unique_ptr<duckdb::DataChunk> chunk; /* flat */
    duckdb::idx_t bytes = 0;

    explicit operator bool() const
    {
        return batch || chunk;
    }
};

/* What one thread of the engine has made and not handed on yet. */
class result_producer
{
  public:
    result_producer(duckdb::ClientContext &context,
                    const duckdb::vector<duckdb::LogicalType> &types);

    std::mutex lock;
    duckdb::idx_t batch = 0; /* which the rows are of; written by its own thread, under lock */

    /* With the lock held. Adds the rows of a chunk; what is full goes to `ret_full`. */
    void add(duckdb::DataChunk &chunk, std::vector<result_rows> &ret_full);
    /* All that is left; the next rows begin anew. */
    void finish(std::vector<result_rows> &ret_rest);

  private:
    void write(duckdb::DataChunk &chunk, std::vector<result_rows> &ret_full);
    bool keep(duckdb::DataChunk &chunk);

    duckdb::ClientContext &context;
    const duckdb::vector<duckdb::LogicalType> &types;
    std::vector<result_rows> few; /* the first rows of a batch, as chunks */
    duckdb::idx_t few_rows = 0;
    duckdb::idx_t few_bytes = 0;
    bool is_writing = false;                /* there were more than a few */
    std::unique_ptr<batch_builder> builder; /* null until then */
};

/* Thread-safe. */
class result_stream
{
  public:
    /* In numbered batches. Held may be `ready_max` bytes of the first, and of others `later_min`,
     * or `later_max` while less than half of `ready_max` is: who pulls is quick then. */
    void be_in_batches(duckdb::idx_t ready_max, duckdb::idx_t later_min, duckdb::idx_t later_max);
    /* Rows go out as they come. */
    void be_as_it_comes(duckdb::idx_t bytes_max);

    /* ---- threads of the engine ---- */

    void enter(const std::shared_ptr<result_producer> &producer);
    void leave(const std::shared_ptr<result_producer> &producer);

    /* All batches before this one are whole. */
    void advance(duckdb::idx_t first_batch);
    /* False: it is held against `blocked`, which is called back once there is. */
    bool has_room(duckdb::idx_t batch, const duckdb::InterruptState &blocked);
    void push(duckdb::idx_t batch, std::vector<result_rows> &rows);
    /* No more rows will come. */
    void end();

    /* ---- who pulls ---- */

    /* The next rows if some are ready. */
    result_rows take();
    /* Also what a thread of the engine is gathering; never waits for one. */
    result_rows take_unfinished();
    /* Lets those go on who waited for room that is there now. */
    void resume();

  private:
    bool is_first(duckdb::idx_t batch) const;
    bool fits(duckdb::idx_t batch, duckdb::idx_t share) const;
    void move_until(duckdb::idx_t first_batch);

    std::mutex lock;               /* of all below */
    duckdb::idx_t first = 0;       /* the first batch that is not known to be whole */
    std::deque<result_rows> ready; /* of it and of all before */
    std::map<duckdb::idx_t, std::vector<result_rows>> later;
    duckdb::idx_t ready_bytes = 0;
    duckdb::idx_t ready_bytes_max = 0;
    duckdb::idx_t later_bytes = 0;
    duckdb::idx_t later_bytes_min = 0;
    duckdb::idx_t later_bytes_max = 0;
    std::list<std::shared_ptr<result_producer>> producers;
    std::vector<std::pair<duckdb::idx_t, duckdb::InterruptState>> blocked;
};

/* The end of a plan whose rows go to `stream`: for a connection's get_result_collector. */
duckdb::unique_ptr<duckdb::PhysicalOperator>
collect_into(const std::shared_ptr<result_stream> &stream, duckdb::ClientContext &context,
             duckdb::PreparedStatementData &data);

} // namespace moat
