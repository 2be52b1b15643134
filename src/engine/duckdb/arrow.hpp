/* Chunks of the engine gathered into Arrow batches. */
#pragma once

#include "engine/duckdb/column_writer.hpp"
#include "engine/duckdb/module.hpp"

#include <duckdb/common/arrow/arrow_appender.hpp>

namespace moat
{

class batch_builder
{
  public:
    batch_builder(duckdb::ClientContext &context, const duckdb::vector<duckdb::LogicalType> &types);

    /* What a column of the engine's type is given out as: VARIANT, at any depth, as JSON. */
    static duckdb::LogicalType output_type(const duckdb::LogicalType &type);

    /* What the rows take, roughly: texts exactly, elements of lists by their average. */
    static duckdb::idx_t chunk_bytes(duckdb::DataChunk &chunk);

    /* A chunk with its columns in the types that are given out: itself, or `storage`. */
    duckdb::DataChunk &convert(duckdb::DataChunk &chunk, duckdb::DataChunk &storage) const;

    void write_schema(const duckdb::vector<std::string> &names, struct ArrowSchema *ret_schema);

    /* Appends rows [first, ...) of a converted chunk until the batch is full; gives the next. The
     * rows of one chunk one after the other, from its first. */
    duckdb::idx_t append(duckdb::DataChunk &chunk, duckdb::idx_t first);

    bool is_full() const;
    bool is_empty() const;
    duckdb::idx_t size_bytes() const;
    struct ArrowArray finish();

  private:
    /* Sets text_sizes; gives their sum. */
    duckdb::idx_t measure(duckdb::DataChunk &chunk, duckdb::idx_t first, duckdb::idx_t end);
    duckdb::idx_t measure_others(duckdb::DataChunk &chunk);
    void append_others(duckdb::DataChunk &chunk, duckdb::idx_t first, duckdb::idx_t end);
    void fill_columns(struct ArrowArray **columns);

    duckdb::ClientContext &context;
    duckdb::ClientProperties properties;
    duckdb::vector<duckdb::LogicalType> types; /* as given out */
    std::vector<duckdb::idx_t> cast_columns;
    std::vector<std::unique_ptr<column_writer>> writers; /* null: of the others */
    std::vector<duckdb::idx_t> other_columns;            /* which the engine's appender writes */
    duckdb::vector<duckdb::LogicalType> other_types;
    duckdb::unordered_map<duckdb::idx_t, const duckdb::shared_ptr<duckdb::ArrowTypeExtensionData>>
        extensions; /* by their places among the others */
    std::vector<duckdb::idx_t> text_columns;
    std::vector<duckdb::idx_t> text_sizes; /* of the rows at hand, by column */
    duckdb::idx_t fixed_row_bytes = 0;
    duckdb::idx_t inner_row_bytes = 0; /* of what the others have inside, in the chunk at hand */
    duckdb::unique_ptr<duckdb::ArrowAppender> appender; /* of the others; null between batches */
    duckdb::idx_t rows = 0;
    duckdb::idx_t bytes = 0;
    duckdb::idx_t rows_expected; /* of the next batch, as the last one had */
};

} // namespace moat
