/* Columns of geometry and geography in files that are written: what may be in them, and what the
 * file says of them. They come as the engine's GEOMETRY, at any depth. */
#pragma once

#include "engine/duckdb/held.hpp"

#include <duckdb/common/types/column/column_data_collection.hpp>
#include <duckdb/function/copy_function.hpp>
#include <duckdb/parser/parsed_data/copy_info.hpp>

extern "C" {
#include "engine/parquet_footer.h"
}

#include <string>
#include <vector>

namespace moat
{

struct geo_column {
    std::string path;      /* for messages */
    std::string statistic; /* how the writer's statistics call it */
    int32_t field_id;
    std::string crs; /* empty: OGC:CRS84 */
    enum parquet_edges edges;
};

class geo_columns
{
  public:
    /* Takes GEO_COLUMNS out of the options, whose entries are in the order of the types' leaves
     * that are a GEOMETRY; throws if they are not as many. */
    void bind(duckdb::CopyInfo &info, const duckdb::vector<std::string> &names,
              const duckdb::vector<duckdb::LogicalType> &types);
    bool is_empty() const
    {
        return columns.empty();
    }
    /* Throws (22023) for a value that its column may not have. Says of each column whether the
     * engine would write a wrong bounding box of these rows. */
    std::vector<bool> check(duckdb::ColumnDataCollection &rows) const;
    /* Takes out of what the writer says of a file the boxes that are wrong, or edges leave. */
    void forget_boxes(duckdb::CopyFunctionFileStatistics &said,
                      const std::vector<bool> &is_box_wrong) const;
    /* The end of a file as it is to be; `is_box_wrong` has check()'s answers, row group by row
     * group. */
    std::string mend(const std::string &end, const std::vector<bool> &is_box_wrong) const;

  private:
    std::vector<geo_column> columns;
    duckdb::vector<duckdb::idx_t> top; /* columns of rows that have any */
};

} // namespace moat
