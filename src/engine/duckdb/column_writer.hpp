/* Columns of plain values and texts as Arrow, several rows at a time. */
#pragma once

extern "C" {
#include "arrow/arrow.h"
#include "base/base.h"
}

#include <duckdb/common/types/vector.hpp>

#include <memory>

namespace moat
{

/* Rows [first, end) of a vector of `count`. */
struct column_rows {
    duckdb::Vector &vector;
    duckdb::idx_t first, end, count;
    duckdb::idx_t expected;   /* rows of a batch, as the one before had */
    duckdb::idx_t text_bytes; /* of a column of texts: theirs, in these rows */
};

class column_writer
{
  public:
    virtual ~column_writer() = default;

    /* Null for a type that none here writes: whose values look otherwise in Arrow than in the
     * engine, or that have others inside. */
    static std::unique_ptr<column_writer> make(const duckdb::LogicalType &type);

    virtual void append(const column_rows &added) = 0;
    /* What was appended; the next begins with nothing. Released by its own `release`. */
    virtual void finish(struct ArrowArray *ret_column) = 0;
};

} // namespace moat
