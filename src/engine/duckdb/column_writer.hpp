/* Columns of plain values and texts as Arrow, several rows at a time. */
#pragma once

#include "arrow/arrow.h"

#include <duckdb/common/types/vector.hpp>

#include <memory>

namespace moat
{

class column_writer
{
  public:
    virtual ~column_writer() = default;

    /* Null for a type that none here writes: whose values look otherwise in Arrow than in the
     * engine, or that have others inside. */
    static std::unique_ptr<column_writer> make(const duckdb::LogicalType &type);

    /* Rows [first, end) of a vector of `count`. `rows_expected`: how many a batch had before. */
    virtual void append(duckdb::Vector &vector, duckdb::idx_t first, duckdb::idx_t end,
                        duckdb::idx_t count, duckdb::idx_t rows_expected) = 0;
    /* What was appended; the next begins with nothing. Released by its own `release`. */
    virtual void finish(struct ArrowArray *ret_column) = 0;
};

} // namespace moat
