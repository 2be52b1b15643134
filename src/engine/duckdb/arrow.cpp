/* Arrow out: standard formats only (32-bit offsets, no string views, decimals as decimal128), so
 * that every reader of the specification understands a batch.
 *
 * The engine works in chunks of 2,048 rows; a batch of that size costs more in its frame than in
 * its rows, so chunks are gathered. Bounded in rows and in bytes: a batch is copied three times on
 * its way to a client (host, server, frame), and stays in a core's cache meanwhile. Of 4 MiB each
 * the server needed twice its processor time for all columns of TPC-H's lineitem.
 *
 * Columns of plain values and texts are written by column_writer.cpp, the rest by the engine's own
 * appender, which is slower: it grows its buffers row by row.
 *
 * The engine has no Arrow form of VARIANT. It goes out as JSON text: what every client can show,
 * where few readers know Arrow's extension of it yet. */
#include "engine/duckdb/arrow.hpp"

#include <duckdb/common/arrow/arrow_converter.hpp>
#include <duckdb/common/arrow/arrow_type_extension.hpp>
#include <duckdb/common/type_visitor.hpp>
#include <duckdb/common/vector_operations/vector_operations.hpp>
#include <duckdb/function/table/arrow/arrow_duck_schema.hpp>

namespace moat
{

using duckdb::idx_t;

static const idx_t BATCH_ROWS_MAX = 32768;
static const idx_t BATCH_BYTES_MAX = 1u << 20;

duckdb::LogicalType batch_builder::output_type(const duckdb::LogicalType &type)
{
    if (!duckdb::TypeVisitor::Contains(type, duckdb::LogicalTypeId::VARIANT)) {
        return type; /* with its alias, which a rebuilt type would lack */
    }
    return duckdb::TypeVisitor::VisitReplace(type, [](const duckdb::LogicalType &part) {
        return part.id() == duckdb::LogicalTypeId::VARIANT ? duckdb::LogicalType::JSON() : part;
    });
}

batch_builder::batch_builder(duckdb::ClientContext &context_,
                             const duckdb::vector<duckdb::LogicalType> &types_)
    : context(context_), properties(context_.GetClientProperties()),
      rows_expected(STANDARD_VECTOR_SIZE)
{
    for (idx_t i = 0; i < types_.size(); i++) {
        types.push_back(output_type(types_[i]));
        if (types.back() != types_[i]) {
            cast_columns.push_back(i);
        }
    }
    properties.arrow_offset_size = duckdb::ArrowOffsetSize::REGULAR;
    properties.arrow_use_list_view = false;
    properties.produce_arrow_string_view = false;
    properties.arrow_lossless_conversion = false;
    properties.arrow_output_version = duckdb::ArrowFormatVersion::V1_0;
    text_sizes.resize(types.size());
    auto extended = duckdb::ArrowTypeExtensionData::GetExtensionTypes(context, types);
    for (idx_t i = 0; i < types.size(); i++) {
        if (types[i].InternalType() == duckdb::PhysicalType::VARCHAR) {
            text_columns.push_back(i);
        }
        fixed_row_bytes += duckdb::GetTypeIdSize(types[i].InternalType());
        writers.push_back(extended.count(i) > 0 ? nullptr : column_writer::make(types[i]));
        if (!writers.back()) {
            auto extension = extended.find(i);
            if (extension != extended.end()) {
                extensions.emplace(other_types.size(), extension->second);
            }
            other_columns.push_back(i);
            other_types.push_back(types[i]);
        }
    }
}

/* The engine's cast makes the text "null" of a VARIANT that IS NULL, at any depth: NULL again. */
static void carry_nulls(duckdb::Vector &from, duckdb::Vector &to, idx_t count)
{
    switch (from.GetType().id()) {
    case duckdb::LogicalTypeId::VARIANT:
        from.Flatten(count);
        for (idx_t i = 0; i < count; i++) {
            if (duckdb::FlatVector::IsNull(from, i)) {
                duckdb::FlatVector::SetNull(to, i, true);
            }
        }
        return;
    case duckdb::LogicalTypeId::STRUCT: {
        from.Flatten(count);
        auto &inner = duckdb::StructVector::GetEntries(from);
        auto &outer = duckdb::StructVector::GetEntries(to);
        for (idx_t i = 0; i < inner.size(); i++) {
            carry_nulls(*inner[i], *outer[i], count);
        }
        return;
    }
    case duckdb::LogicalTypeId::LIST:
    case duckdb::LogicalTypeId::MAP:
        carry_nulls(duckdb::ListVector::GetEntry(from), duckdb::ListVector::GetEntry(to),
                    duckdb::ListVector::GetListSize(from));
        return;
    default: /* a foreign enum: nothing inside */
        return;
    }
}

duckdb::DataChunk &batch_builder::convert(duckdb::DataChunk &chunk,
                                          duckdb::DataChunk &storage) const
{
    if (cast_columns.empty()) {
        return chunk;
    }
    storage.InitializeEmpty(types);
    for (idx_t i = 0; i < types.size(); i++) {
        if (chunk.data[i].GetType() == types[i]) {
            storage.data[i].Reference(chunk.data[i]);
        } else {
            duckdb::Vector cast(types[i], chunk.size());
            duckdb::VectorOperations::Cast(context, chunk.data[i], cast, chunk.size());
            cast.Flatten(chunk.size());
            carry_nulls(chunk.data[i], cast, chunk.size());
            storage.data[i].Reference(cast);
        }
    }
    storage.SetCardinality(chunk.size());
    return storage;
}

void batch_builder::write_schema(const duckdb::vector<std::string> &names,
                                 struct ArrowSchema *ret_schema)
{
    duckdb::ArrowConverter::ToArrowSchema(ret_schema, types, names, properties);
}

/* Bytes of the strings of rows [first, end) of a vector of `count`. */
static idx_t text_bytes(duckdb::Vector &vector, idx_t first, idx_t end, idx_t count)
{
    duckdb::UnifiedVectorFormat format;
    vector.ToUnifiedFormat(count, format);
    auto strings = duckdb::UnifiedVectorFormat::GetData<duckdb::string_t>(format);
    idx_t sum = 0;
    for (idx_t row = first; row < end; row++) {
        idx_t at = format.sel->get_index(row);
        sum += format.validity.RowIsValid(at) ? strings[at].GetSize() : 0;
    }
    return sum;
}

static idx_t value_bytes(duckdb::Vector &vector, idx_t count);

/* Bytes of all that `count` values have beside their own width. */
static idx_t inner_bytes(duckdb::Vector &vector, idx_t count)
{
    duckdb::UnifiedVectorFormat format;
    idx_t sum = 0;
    switch (vector.GetType().InternalType()) {
    case duckdb::PhysicalType::VARCHAR:
        return text_bytes(vector, 0, count, count);
    case duckdb::PhysicalType::STRUCT:
        for (auto &child : duckdb::StructVector::GetEntries(vector)) {
            sum += value_bytes(*child, count);
        }
        return sum;
    case duckdb::PhysicalType::LIST: {
        idx_t size = duckdb::ListVector::GetListSize(vector);
        if (size == 0) {
            return 0;
        }
        vector.ToUnifiedFormat(count, format);
        for (idx_t i = 0; i < count; i++) {
            idx_t at = format.sel->get_index(i);
            bool is_there = format.validity.RowIsValid(at);
            sum += is_there ? format.GetData<duckdb::list_entry_t>()[at].length : 0;
        }
        double all = static_cast<double>(value_bytes(duckdb::ListVector::GetEntry(vector), size));
        return static_cast<idx_t>(all / static_cast<double>(size) * static_cast<double>(sum));
    }
    case duckdb::PhysicalType::ARRAY:
        return value_bytes(duckdb::ArrayVector::GetEntry(vector),
                           count * duckdb::ArrayType::GetSize(vector.GetType()));
    default: /* a foreign enum: nothing inside */
        return 0;
    }
}

static idx_t value_bytes(duckdb::Vector &vector, idx_t count)
{
    return count * duckdb::GetTypeIdSize(vector.GetType().InternalType()) +
           inner_bytes(vector, count);
}

idx_t batch_builder::chunk_bytes(duckdb::DataChunk &chunk)
{
    idx_t sum = 0;
    for (auto &vector : chunk.data) {
        sum += value_bytes(vector, chunk.size());
    }
    return sum;
}

idx_t batch_builder::measure(duckdb::DataChunk &chunk, idx_t first, idx_t end)
{
    idx_t sum = 0;
    for (idx_t column : text_columns) {
        text_sizes[column] = text_bytes(chunk.data[column], first, end, chunk.size());
        sum += text_sizes[column];
    }
    return sum + (end - first) * inner_row_bytes;
}

idx_t batch_builder::measure_others(duckdb::DataChunk &chunk)
{
    idx_t sum = 0;
    for (idx_t column : other_columns) {
        if (types[column].IsNested()) { /* texts are measured row by row */
            sum += inner_bytes(chunk.data[column], chunk.size());
        }
    }
    return sum;
}

idx_t batch_builder::append(duckdb::DataChunk &chunk, idx_t first)
{
    idx_t end = chunk.size();
    if (first == 0) {
        inner_row_bytes = measure_others(chunk) / chunk.size();
    }
    idx_t size = measure(chunk, first, end);
    if (size > BATCH_BYTES_MAX) { /* long strings: row by row, at least one */
        size = 0;
        end = first;
        do {
            size += measure(chunk, end, end + 1);
            end++;
        } while (end < chunk.size() && bytes + size < BATCH_BYTES_MAX);
        size = measure(chunk, first, end);
    }
    for (idx_t i = 0; i < types.size(); i++) {
        if (writers[i]) {
            writers[i]->append(
                {chunk.data[i], first, end, chunk.size(), rows_expected, text_sizes[i]});
        }
    }
    append_others(chunk, first, end);
    rows += end - first;
    bytes += size + (end - first) * fixed_row_bytes;
    return end;
}

void batch_builder::append_others(duckdb::DataChunk &chunk, idx_t first, idx_t end)
{
    if (other_columns.empty()) {
        return;
    }
    if (!appender) {
        appender = duckdb::make_uniq<duckdb::ArrowAppender>(other_types, rows_expected, properties,
                                                            extensions);
    }
    duckdb::DataChunk others;
    others.InitializeEmpty(other_types);
    for (idx_t i = 0; i < other_columns.size(); i++) {
        others.data[i].Reference(chunk.data[other_columns[i]]);
    }
    others.SetCardinality(chunk.size());
    appender->Append(others, first, end, chunk.size());
}

bool batch_builder::is_full() const
{
    return rows + STANDARD_VECTOR_SIZE > BATCH_ROWS_MAX || bytes >= BATCH_BYTES_MAX;
}

bool batch_builder::is_empty() const
{
    return rows == 0;
}

idx_t batch_builder::size_bytes() const
{
    return bytes;
}

/* A batch whose columns are released one by one, wherever they are by then. */
struct columns_owner {
    std::vector<struct ArrowArray> columns;
    std::vector<struct ArrowArray *> links;
    const void *no_buffer[1] = {nullptr};
};

static void release_columns(struct ArrowArray *array)
{
    auto owner = static_cast<columns_owner *>(array->private_data);
    for (struct ArrowArray *column : owner->links) {
        if (column->release != nullptr) {
            column->release(column);
        }
    }
    array->release = nullptr;
    delete owner;
}

struct ArrowArray batch_builder::finish()
{
    auto owner = std::make_unique<columns_owner>();
    owner->columns.resize(types.size());
    for (idx_t i = 0; i < types.size(); i++) {
        owner->links.push_back(&owner->columns[i]);
    }
    struct ArrowArray array = {};
    array.length = static_cast<int64_t>(rows);
    array.n_buffers = 1;
    array.n_children = static_cast<int64_t>(types.size());
    array.buffers = owner->no_buffer;
    array.children = owner->links.data();
    array.release = release_columns;
    array.private_data = owner.release();
    try {
        fill_columns(array.children);
    } catch (...) {
        array.release(&array);
        throw;
    }
    rows_expected = rows;
    rows = 0;
    bytes = 0;
    return array;
}

void batch_builder::fill_columns(struct ArrowArray **columns)
{
    for (idx_t i = 0; i < types.size(); i++) {
        if (writers[i]) {
            writers[i]->finish(columns[i]);
        }
    }
    if (appender) {
        struct ArrowArray others = appender->Finalize();
        appender.reset();
        for (idx_t i = 0; i < other_columns.size(); i++) {
            *columns[other_columns[i]] = *others.children[i];
            others.children[i]->release = nullptr; /* moved */
        }
        others.release(&others);
    }
}

} // namespace moat
