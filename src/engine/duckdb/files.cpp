/* FORMAT moat_files: COPY of rows that are in order into files that keep it.
 *
 * The engine's own writer of partitions holds rows back and appends them out of turn, and its
 * writer of one file takes rows of several threads in turns. Only its writer of batches keeps the
 * order of rows while threads encode at once; it knows one file. So this is a format for it: a
 * batch of rows is cut where the partition changes, each piece is encoded as a row group by the
 * Parquet writer, by whichever thread, and when the batch's turn has come its pieces are appended
 * to the file of their partition. One file is open at a time: rows come by partition.
 *
 * Options, beside those of Parquet:
 *
 *     PARTITION_COLUMNS n   the last n columns say the partition, and are not written
 *     FILE_ROWS n           a file ends after at least so many rows
 *     FILE_BYTES n          or bytes, whichever is first
 *     SHRED_ROWS n          VARIANTs are shredded, by a layout that the first n rows decide
 *     INSTANT_FIELDS (i, ...)     field ids of TIMESTAMPTZ_NS, at any depth
 *     GEO_COLUMNS {any: {id: i, crs: 's', edges: 'e'}, ...}   what the file says of each GEOMETRY
 *                           (geo.hpp), in order, at whatever depth
 *
 * A layout (shredding.hpp) is decided by the batch that is encoded first. A later batch with a
 * value that the engine would write wrongly under it is written whole, and so is what is encoded
 * from then on: files of the two do not mix.
 *
 * Files are f0.parquet and so on in the folder that is the target. The result is that of
 * RETURN_STATS, a row for each file. The engine's operator answers with one row: an optimizer
 * extension puts a kind of it in its place that answers with all. */
#include "engine/duckdb/geo.hpp"
#include "engine/duckdb/instant_footers.hpp"
#include "engine/duckdb/instants.hpp"
#include "engine/duckdb/module.hpp"
#include "engine/duckdb/shredding.hpp"

#include <duckdb/catalog/catalog.hpp>
#include <duckdb/catalog/catalog_entry/copy_function_catalog_entry.hpp>
#include <duckdb/common/types/column/column_data_collection.hpp>
#include <duckdb/execution/operator/persistent/physical_batch_copy_to_file.hpp>
#include <duckdb/execution/operator/persistent/physical_copy_to_file.hpp>
#include <duckdb/execution/physical_plan_generator.hpp>
#include <duckdb/function/copy_function.hpp>
#include <duckdb/optimizer/optimizer_extension.hpp>
#include <duckdb/parser/parsed_data/create_copy_function_info.hpp>
#include <duckdb/planner/operator/logical_copy_to_file.hpp>
#include <duckdb/planner/operator/logical_extension_operator.hpp>

#include <functional>
#include <map>
#include <mutex>

namespace moat
{

using duckdb::ClientContext;
using duckdb::ColumnDataCollection;
using duckdb::CopyFunction;
using duckdb::DataChunk;
using duckdb::FunctionData;
using duckdb::GlobalFunctionData;
using duckdb::idx_t;
using duckdb::LogicalType;
using duckdb::unique_ptr;
using duckdb::Value;
using duckdb::Vector;

static constexpr const char *FORMAT = "moat_files";
static constexpr size_t PIECES_MAX = 16; /* of a batch that are encoded at once */

namespace
{

struct parquet_info : duckdb::CopyFunctionInfo {
    explicit parquet_info(CopyFunction given) : function(std::move(given))
    {
    }

    CopyFunction function;
};

struct files_bind : duckdb::TableFunctionData {
    explicit files_bind(const CopyFunction &given) : parquet(given)
    {
    }

    CopyFunction parquet;
    unique_ptr<duckdb::CopyInfo> parquet_info;
    unique_ptr<FunctionData> parquet_bind; /* VARIANTs whole */
    duckdb::vector<duckdb::string> kept_names;
    duckdb::vector<idx_t> kept; /* columns that are written */
    duckdb::vector<LogicalType> kept_types;
    geo_columns geo;
    std::vector<int32_t> instant_fields;
    duckdb::vector<idx_t> keys; /* columns that say the partition */
    duckdb::vector<Value> key_names;
    uint64_t file_rows = UINT64_MAX;
    uint64_t file_bytes = UINT64_MAX;
    uint64_t shred_rows = 0; /* 0: none */
    std::vector<unique_ptr<duckdb::CopyToFileInfo>> written;
};

/* What the end of a file needs to know. */
struct files_end {
    std::vector<bool> is_box_wrong; /* of row group after row group */
    std::shared_ptr<held_end> held; /* null where nothing is to be changed */
};

/* How files are written that can hold the same row groups. */
struct files_layout {
    FunctionData *bind = nullptr;
    unique_ptr<FunctionData> own_bind; /* or NULL: the statement's */
    /* Any file's writer encodes for all of them; the first one's stays for that. */
    unique_ptr<GlobalFunctionData> first;
    size_t first_number = 0;
    bool is_first_taken = false; /* rows go to it, or went */
};

/* Rows of one partition, encoded. */
struct piece {
    duckdb::vector<Value> keys;
    uint64_t rows;
    unique_ptr<duckdb::PreparedBatchData> group;
    files_layout *layout;
    std::vector<bool> is_box_wrong; /* of each column of bind.geo */
};

/* What is encoded takes a megabyte or so, however few its rows are: of a batch of many partitions
 * most rows stay as they are until they are written. */
struct files_batch : duckdb::PreparedBatchData {
    std::vector<piece> pieces;
    unique_ptr<ColumnDataCollection> rest; /* behind them; may be NULL */
};

struct files_state : GlobalFunctionData {
    std::string folder;
    unique_ptr<GlobalFunctionData> later;
    GlobalFunctionData *open = nullptr;
    files_layout *layout = nullptr; /* of the open file */
    size_t number = 0;              /* its */
    duckdb::vector<Value> keys;
    uint64_t rows = 0;                                 /* in it */
    std::map<size_t, std::shared_ptr<files_end>> ends; /* of files by number, until closed */

    std::mutex lock; /* of what follows, and of the list of files */
    files_layout whole;
    files_layout shredded;
    bool is_decided = false;
    bool is_whole = false;                                /* from now on */
    std::vector<std::pair<idx_t, variant_layout>> shapes; /* by column; not changed once decided */
};

struct files_local : duckdb::LocalFunctionData {
    unique_ptr<ColumnDataCollection> rows;
};

} // namespace

/* ---- layouts ---- */

/* Before the file is opened. */
static std::shared_ptr<files_end> make_end(ClientContext &context, const files_bind &bind,
                                           const std::string &path)
{
    auto end = std::make_shared<files_end>();
    if (!bind.geo.is_empty() || !bind.instant_fields.empty()) {
        std::weak_ptr<files_end> of = end;
        end->held = std::make_shared<held_end>([&bind, of](const std::string &held) {
            std::string mended =
                bind.geo.is_empty() ? held : bind.geo.mend(held, of.lock()->is_box_wrong);
            return bind.instant_fields.empty() ? mended
                                               : with_instants(mended, bind.instant_fields);
        });
        hold_end(context, path, end->held);
    }
    return end;
}

/* The state is locked. */
static unique_ptr<GlobalFunctionData> open_file(ClientContext &context, files_bind &bind,
                                                files_state &state, files_layout &layout,
                                                size_t *ret_number)
{
    *ret_number = bind.written.size();
    auto info = duckdb::make_uniq<duckdb::CopyToFileInfo>(state.folder + "/f" +
                                                          std::to_string(*ret_number) + ".parquet");
    info->file_stats = duckdb::make_uniq<duckdb::CopyFunctionFileStatistics>();
    state.ends[*ret_number] = make_end(context, bind, info->file_path);
    auto file = bind.parquet.copy_to_initialize_global(context, *layout.bind, info->file_path);
    bind.parquet.copy_to_get_written_statistics(context, *layout.bind, *file, *info->file_stats);
    /* A writer that encodes nothing itself has no schema to keep statistics by until it tries. */
    (void)bind.parquet.prepare_batch(
        context, *layout.bind, *file,
        duckdb::make_uniq<ColumnDataCollection>(context, bind.kept_types));
    bind.written.push_back(std::move(info));
    return file;
}

/* Calls `found` with the column's values, row by row, until it says false. */
template <class Found>
static void each_variant(ColumnDataCollection &rows, idx_t column, Found found)
{
    for (auto &chunk : rows.Chunks({column})) {
        duckdb::RecursiveUnifiedVectorFormat format;
        Vector::RecursiveToUnifiedFormat(chunk.data[0], chunk.size(), format);
        duckdb::UnifiedVariantVectorData values(format);
        for (idx_t row = 0; row < chunk.size(); row++) {
            if (!found(values, row)) {
                return;
            }
        }
    }
}

static variant_layout decide_shape(const files_bind &bind, ColumnDataCollection &rows, idx_t column)
{
    variant_layout shape;
    uint64_t seen = 0;
    each_variant(rows, column, [&](auto &values, idx_t row) {
        shape.see(values, row);
        return ++seen < bind.shred_rows;
    });
    shape.settle();
    each_variant(rows, column, [&](auto &values, idx_t row) {
        shape.make_fit(values, row);
        return true;
    });
    shape.settle();
    return shape;
}

/* The state is locked. */
static void decide_layout(ClientContext &context, files_bind &bind, files_state &state,
                          ColumnDataCollection &rows)
{
    duckdb::child_list_t<Value> options;
    bool is_any = false;
    state.is_decided = true;
    for (idx_t i = 0; i < bind.kept_types.size(); i++) {
        if (bind.kept_types[i].id() != duckdb::LogicalTypeId::VARIANT) {
            continue;
        }
        auto shape = decide_shape(bind, rows, i);
        bool is_shredded = shape.type().id() != duckdb::LogicalTypeId::INVALID;
        options.emplace_back(bind.kept_names[i],
                             Value(is_shredded ? shape.type().ToString() : "BOOLEAN"));
        is_any = is_any || is_shredded;
        state.shapes.emplace_back(i, std::move(shape));
    }
    state.is_whole = !is_any;
    if (!is_any) {
        return;
    }
    auto info = bind.parquet_info->Copy();
    info->options["shredding"] = {Value::STRUCT(std::move(options))};
    duckdb::CopyFunctionBindInput input(*info, bind.parquet.function_info);
    input.file_extension = bind.parquet.extension;
    state.shredded.own_bind =
        bind.parquet.copy_to_bind(context, input, bind.kept_names, bind.kept_types);
    state.shredded.bind = state.shredded.own_bind.get();
}

static bool do_fit(const files_state &state, ColumnDataCollection &rows)
{
    bool does_fit = true;
    for (const auto &entry : state.shapes) {
        each_variant(rows, entry.first, [&](auto &values, idx_t row) {
            does_fit = does_fit && entry.second.fits(values, row);
            return does_fit;
        });
    }
    return does_fit;
}

/* The layout that the rows can be written in, and a writer that encodes for it. */
static files_layout &layout_of(ClientContext &context, files_bind &bind, files_state &state,
                               ColumnDataCollection &rows)
{
    std::unique_lock<std::mutex> guard(state.lock);
    if (!state.is_decided) {
        decide_layout(context, bind, state, rows);
    }
    if (!state.is_whole) {
        guard.unlock(); /* the shapes stay as they are */
        bool does_fit = do_fit(state, rows);
        guard.lock();
        state.is_whole = state.is_whole || !does_fit;
    }
    files_layout &layout = state.is_whole ? state.whole : state.shredded;
    if (layout.first == nullptr) {
        layout.first = open_file(context, bind, state, layout, &layout.first_number);
    }
    return layout;
}

/* ---- pieces ---- */

static duckdb::vector<Value> keys_of(const files_bind &bind, const DataChunk &chunk, idx_t row)
{
    duckdb::vector<Value> keys;
    for (idx_t column : bind.keys) {
        keys.push_back(chunk.data[column].GetValue(row));
    }
    return keys;
}

static bool same_keys(const files_bind &bind, const duckdb::vector<Value> &keys,
                      const DataChunk &chunk, idx_t row)
{
    for (size_t i = 0; i < bind.keys.size(); i++) {
        if (!Value::NotDistinctFrom(keys[i], chunk.data[bind.keys[i]].GetValue(row))) {
            return false;
        }
    }
    return true;
}

/* One past the last row from `begin` on that has these keys. Rows come by partition, so those that
 * have them are together. */
static idx_t end_of(const files_bind &bind, const duckdb::vector<Value> &keys,
                    const DataChunk &chunk, idx_t begin)
{
    idx_t low = begin; /* has them */
    idx_t high = chunk.size();
    if (same_keys(bind, keys, chunk, high - 1)) {
        return high;
    }
    while (low + 1 < high) {
        idx_t middle = low + (high - low) / 2;
        (same_keys(bind, keys, chunk, middle) ? low : high) = middle;
    }
    return high;
}

namespace
{

/* Cuts rows where their partition changes. */
struct cutter {
    ClientContext &context;
    files_bind &bind;
    files_state &state;
    std::function<void(piece &&)> give;
    duckdb::vector<Value> keys = {};
    unique_ptr<ColumnDataCollection> rows = nullptr;

    /* The piece that is begun. */
    void finish()
    {
        if (rows == nullptr) {
            return;
        }
        uint64_t count = rows->Count();
        auto is_box_wrong = bind.geo.check(*rows);
        files_layout &layout = layout_of(context, bind, state, *rows);
        auto group =
            bind.parquet.prepare_batch(context, *layout.bind, *layout.first, std::move(rows));
        give({std::move(keys), count, std::move(group), &layout, std::move(is_box_wrong)});
    }

    /* Those that are of one partition from row `at` on; returns the row behind them. */
    idx_t take(DataChunk &chunk, idx_t at)
    {
        if (rows != nullptr &&
            (rows->Count() >= bind.file_rows || !same_keys(bind, keys, chunk, at))) {
            finish();
        }
        if (rows == nullptr) {
            keys = keys_of(bind, chunk, at);
            rows = duckdb::make_uniq<ColumnDataCollection>(context, bind.kept_types);
        }
        idx_t left = bind.file_rows - rows->Count();
        idx_t count = std::min<idx_t>(end_of(bind, keys, chunk, at) - at, left);
        DataChunk part;
        part.InitializeEmpty(bind.kept_types);
        part.ReferenceColumns(chunk, bind.kept);
        if (count < chunk.size()) {
            part.Slice(at, count);
        }
        rows->Append(part);
        return at + count;
    }
};

} // namespace

static void keep_rest(ClientContext &context, files_batch &batch, DataChunk &chunk, idx_t at)
{
    if (batch.rest == nullptr) {
        batch.rest = duckdb::make_uniq<ColumnDataCollection>(context, chunk.GetTypes());
    }
    if (at > 0) {
        chunk.Slice(at, chunk.size() - at);
    }
    batch.rest->Append(chunk);
}

static unique_ptr<duckdb::PreparedBatchData>
prepare_batch(ClientContext &context, FunctionData &bind_data, GlobalFunctionData &global,
              unique_ptr<ColumnDataCollection> collection)
{
    auto batch = duckdb::make_uniq<files_batch>();
    auto &pieces = batch->pieces;
    cutter cut = {context, bind_data.Cast<files_bind>(), global.Cast<files_state>(),
                  [&](piece &&made) { pieces.push_back(std::move(made)); }};
    if (cut.bind.keys.empty() && collection->Count() <= cut.bind.file_rows) {
        cut.rows = std::move(collection);
        cut.finish();
        return std::move(batch);
    }
    for (auto &chunk : collection->Chunks()) {
        idx_t at = 0;
        while (at < chunk.size() && pieces.size() < PIECES_MAX) {
            at = cut.take(chunk, at);
        }
        if (at < chunk.size()) {
            keep_rest(context, *batch, chunk, at);
        }
    }
    cut.finish();
    return std::move(batch);
}

/* ---- files ---- */

static void set_keys(files_bind &bind, size_t number, const duckdb::vector<Value> &keys)
{
    duckdb::vector<Value> texts;
    for (const Value &key : keys) {
        texts.push_back(key.DefaultCastAs(LogicalType::VARCHAR));
    }
    bind.written[number]->partition_keys =
        Value::MAP(LogicalType::VARCHAR, LogicalType::VARCHAR, bind.key_names, std::move(texts));
}

static bool is_other_file(const files_bind &bind, files_state &state, const piece &piece)
{
    if (state.open == nullptr || state.layout != piece.layout || state.rows >= bind.file_rows ||
        bind.parquet.rotate_next_file(*state.open, *state.layout->bind, bind.file_bytes)) {
        return true;
    }
    for (size_t i = 0; i < piece.keys.size(); i++) {
        if (!Value::NotDistinctFrom(piece.keys[i], state.keys[i])) {
            return true;
        }
    }
    return false;
}

/* What the writer says of the file's size is without what was changed. */
static void count_change(files_bind &bind, size_t number, const held_end &held)
{
    if (!held.is_finished()) {
        throw_err(ERR_INTERNAL, nullptr, "the end of a file was not written as it was to be", "");
    }
    auto &said = *bind.written[number]->file_stats;
    int64_t added = held.added_bytes();
    said.file_size_bytes = static_cast<idx_t>(static_cast<int64_t>(said.file_size_bytes) + added);
    said.footer_size_bytes =
        Value::UBIGINT(said.footer_size_bytes.GetValue<uint64_t>() + static_cast<uint64_t>(added));
}

static void close_file(ClientContext &context, files_bind &bind, files_state &state)
{
    if (state.open == nullptr) {
        return;
    }
    std::unique_lock<std::mutex> guard(state.lock);
    auto end = std::move(state.ends[state.number]);
    state.ends.erase(state.number);
    guard.unlock();
    if (end->held != nullptr) {
        end->held->begin();
    }
    bind.parquet.copy_to_finalize(context, *state.layout->bind, *state.open);
    state.open = nullptr;
    if (end->held != nullptr) {
        count_change(bind, state.number, *end->held);
    }
    if (!bind.geo.is_empty()) {
        bind.geo.forget_boxes(*bind.written[state.number]->file_stats, end->is_box_wrong);
    }
}

/* The file that a piece begins. */
static void begin_file(ClientContext &context, files_bind &bind, files_state &state, piece &piece)
{
    std::lock_guard<std::mutex> guard(state.lock);
    files_layout &layout = *piece.layout;
    if (layout.is_first_taken) {
        state.later = open_file(context, bind, state, layout, &state.number);
        state.open = state.later.get();
    } else {
        layout.is_first_taken = true;
        state.number = layout.first_number;
        state.open = layout.first.get();
    }
    state.layout = &layout;
    state.rows = 0;
    set_keys(bind, state.number, piece.keys);
    state.keys = std::move(piece.keys);
}

static void write_piece(ClientContext &context, files_bind &bind, files_state &state, piece &&piece)
{
    if (is_other_file(bind, state, piece)) {
        close_file(context, bind, state);
        begin_file(context, bind, state, piece);
    }
    bind.parquet.flush_batch(context, *state.layout->bind, *state.open, *piece.group);
    state.rows += piece.rows;
    std::lock_guard<std::mutex> guard(state.lock);
    auto &said = state.ends[state.number]->is_box_wrong;
    said.insert(said.end(), piece.is_box_wrong.begin(), piece.is_box_wrong.end());
}

/* Called for one batch after the other, in their order. */
static void flush_batch(ClientContext &context, FunctionData &bind_data, GlobalFunctionData &global,
                        duckdb::PreparedBatchData &prepared)
{
    auto &bind = bind_data.Cast<files_bind>();
    auto &state = global.Cast<files_state>();
    auto &batch = prepared.Cast<files_batch>();
    for (piece &piece : batch.pieces) {
        write_piece(context, bind, state, std::move(piece));
    }
    if (batch.rest == nullptr) {
        return;
    }
    cutter cut = {context, bind, state,
                  [&](piece &&made) { write_piece(context, bind, state, std::move(made)); }};
    for (auto &chunk : batch.rest->Chunks()) {
        for (idx_t at = 0; at < chunk.size();) {
            at = cut.take(chunk, at);
        }
    }
    cut.finish();
}

static unique_ptr<GlobalFunctionData> open_files(ClientContext &, FunctionData &bind_data,
                                                 const duckdb::string &folder)
{
    auto &bind = bind_data.Cast<files_bind>();
    auto state = duckdb::make_uniq<files_state>();
    state->folder = folder;
    state->whole.bind = bind.parquet_bind.get();
    state->is_decided = state->is_whole = bind.shred_rows == 0;
    return std::move(state);
}

static void close_files(ClientContext &context, FunctionData &bind_data, GlobalFunctionData &global)
{
    close_file(context, bind_data.Cast<files_bind>(), global.Cast<files_state>());
}

/* ---- rows of a plan that has no batches: one thread ---- */

static unique_ptr<duckdb::LocalFunctionData> open_local(duckdb::ExecutionContext &, FunctionData &)
{
    return duckdb::make_uniq<files_local>();
}

static idx_t batch_rows(ClientContext &context, FunctionData &bind_data)
{
    auto &bind = bind_data.Cast<files_bind>();
    return std::min<idx_t>(bind.parquet.desired_batch_size(context, *bind.parquet_bind),
                           bind.file_rows);
}

static void write_local(ClientContext &context, FunctionData &bind, GlobalFunctionData &global,
                        files_local &local)
{
    auto batch = prepare_batch(context, bind, global, std::move(local.rows));
    flush_batch(context, bind, global, *batch);
}

static void sink(duckdb::ExecutionContext &context, FunctionData &bind, GlobalFunctionData &global,
                 duckdb::LocalFunctionData &local_data, DataChunk &chunk)
{
    auto &local = local_data.Cast<files_local>();
    if (local.rows == nullptr) {
        local.rows = duckdb::make_uniq<ColumnDataCollection>(context.client, chunk.GetTypes());
    }
    local.rows->Append(chunk);
    if (local.rows->Count() >= batch_rows(context.client, bind)) {
        write_local(context.client, bind, global, local);
    }
}

static void combine(duckdb::ExecutionContext &context, FunctionData &bind,
                    GlobalFunctionData &global, duckdb::LocalFunctionData &local_data)
{
    auto &local = local_data.Cast<files_local>();
    if (local.rows != nullptr) {
        write_local(context.client, bind, global, local);
    }
}

/* ---- the statement ---- */

static uint64_t take_option(duckdb::CopyInfo &info, const char *name, uint64_t otherwise)
{
    auto found = info.options.find(name);
    if (found == info.options.end() || found->second.size() != 1) {
        return otherwise;
    }
    uint64_t value = found->second[0].GetValue<uint64_t>();
    info.options.erase(found);
    return value;
}

static std::vector<int32_t> take_fields(duckdb::CopyInfo &info)
{
    std::vector<int32_t> fields;
    auto found = info.options.find("instant_fields");
    if (found != info.options.end()) {
        for (const Value &field : found->second) {
            fields.push_back(field.GetValue<int32_t>());
        }
        info.options.erase(found);
    }
    return fields;
}

static unique_ptr<FunctionData> bind_files(ClientContext &context,
                                           duckdb::CopyFunctionBindInput &input,
                                           const duckdb::vector<duckdb::string> &names,
                                           const duckdb::vector<LogicalType> &types)
{
    auto &parquet = input.function_info->Cast<parquet_info>().function;
    auto bind = duckdb::make_uniq<files_bind>(parquet);
    auto info = input.info.Copy();
    uint64_t key_count = take_option(*info, "partition_columns", 0);
    bind->file_rows = std::max<uint64_t>(take_option(*info, "file_rows", UINT64_MAX), 1);
    bind->file_bytes = take_option(*info, "file_bytes", UINT64_MAX);
    bind->shred_rows = take_option(*info, "shred_rows", 0);
    bind->instant_fields = take_fields(*info);
    if (key_count >= names.size()) {
        throw_err(ERR_INVALID, nullptr, "a file needs a column beside those of its partition", "");
    }
    for (idx_t i = 0; i < names.size(); i++) {
        if (i + key_count < names.size()) {
            bind->kept.push_back(i);
            bind->kept_types.push_back(types[i]);
            bind->kept_names.push_back(names[i]);
        } else {
            bind->keys.push_back(i);
            bind->key_names.emplace_back(names[i]);
        }
    }
    bind->geo.bind(*info, bind->kept_names, bind->kept_types);
    duckdb::CopyFunctionBindInput of_parquet(*info, parquet.function_info);
    of_parquet.file_extension = parquet.extension;
    if (bind->instant_fields.size() != count_instants(bind->kept_types)) {
        throw_err(ERR_INTERNAL, nullptr, "instants of a file are not those it was told of", "");
    }
    bind->parquet_bind =
        parquet.copy_to_bind(context, of_parquet, bind->kept_names, bind->kept_types);
    bind->parquet_info = std::move(info);
    return std::move(bind);
}

static duckdb::CopyFunctionExecutionMode execution_mode(bool, bool supports_batches)
{
    return supports_batches ? duckdb::CopyFunctionExecutionMode::BATCH_COPY_TO_FILE
                            : duckdb::CopyFunctionExecutionMode::REGULAR_COPY_TO_FILE;
}

/* Each file's go to where open_file says. */
static void get_statistics(ClientContext &, FunctionData &, GlobalFunctionData &,
                           duckdb::CopyFunctionFileStatistics &)
{
}

/* ---- the result: a row for each file ---- */

namespace
{

struct files_source : duckdb::GlobalSourceState {
    size_t offset = 0;
};

template <class Base> struct files_copy : Base {
    using Base::Base;

    unique_ptr<duckdb::GlobalSourceState> GetGlobalSourceState(ClientContext &) const override
    {
        return duckdb::make_uniq<files_source>();
    }

    duckdb::SourceResultType GetDataInternal(duckdb::ExecutionContext &, DataChunk &chunk,
                                             duckdb::OperatorSourceInput &input) const override
    {
        auto &written = Base::bind_data->template Cast<files_bind>().written;
        auto &offset = input.global_state.Cast<files_source>().offset;
        size_t count = std::min<size_t>(written.size() - offset, STANDARD_VECTOR_SIZE);
        for (size_t i = 0; i < count; i++) {
            duckdb::PhysicalCopyToFile::ReturnStatistics(chunk, i, *written[offset + i]);
        }
        chunk.SetCardinality(count);
        offset += count;
        return offset < written.size() ? duckdb::SourceResultType::HAVE_MORE_OUTPUT
                                       : duckdb::SourceResultType::FINISHED;
    }
};

struct files_operator : duckdb::LogicalExtensionOperator {
    explicit files_operator(unique_ptr<duckdb::LogicalCopyToFile> given) : copy(std::move(given))
    {
        children = std::move(copy->children);
        estimated_cardinality = copy->estimated_cardinality;
        has_estimated_cardinality = copy->has_estimated_cardinality;
    }

    duckdb::string GetExtensionName() const override
    {
        return FORMAT;
    }

    duckdb::PhysicalOperator &CreatePlan(ClientContext &context,
                                         duckdb::PhysicalPlanGenerator &planner) override
    {
        auto &rows = planner.CreatePlan(*children[0]);
        return duckdb::PhysicalPlanGenerator::UseBatchIndex(context, rows)
                   ? make<duckdb::PhysicalBatchCopyToFile>(planner, rows)
                   : make_regular(planner, rows);
    }

  protected:
    void ResolveTypes() override
    {
        types = duckdb::GetCopyFunctionReturnLogicalTypes(copy->return_type);
    }

  private:
    template <class Base>
    files_copy<Base> &make(duckdb::PhysicalPlanGenerator &planner, duckdb::PhysicalOperator &rows)
    {
        auto &made = planner
                         .Make<files_copy<Base>>(types, copy->function, std::move(copy->bind_data),
                                                 estimated_cardinality)
                         .template Cast<files_copy<Base>>();
        made.file_path = copy->file_path;
        made.use_tmp_file = false;
        made.return_type = copy->return_type;
        made.write_empty_file = false;
        made.children.push_back(rows);
        return made;
    }

    duckdb::PhysicalOperator &make_regular(duckdb::PhysicalPlanGenerator &planner,
                                           duckdb::PhysicalOperator &rows)
    {
        auto &made = make<duckdb::PhysicalCopyToFile>(planner, rows);
        made.overwrite_mode = copy->overwrite_mode;
        made.filename_pattern = copy->filename_pattern;
        made.file_extension = copy->file_extension;
        made.parallel = made.per_thread_output = made.rotate = made.partition_output = false;
        made.write_partition_columns = made.hive_file_pattern = false;
        made.names = copy->names;
        made.expected_types = copy->expected_types;
        return made;
    }

    unique_ptr<duckdb::LogicalCopyToFile> copy;
};

} // namespace

static void put_in_place(duckdb::OptimizerExtensionInput &,
                         unique_ptr<duckdb::LogicalOperator> &plan)
{
    if (plan->type != duckdb::LogicalOperatorType::LOGICAL_COPY_TO_FILE ||
        plan->Cast<duckdb::LogicalCopyToFile>().function.name != FORMAT) {
        return;
    }
    plan = duckdb::make_uniq<files_operator>(
        duckdb::unique_ptr_cast<duckdb::LogicalOperator, duckdb::LogicalCopyToFile>(
            std::move(plan)));
    plan->ResolveOperatorTypes();
}

void register_files(duckdb::Connection &connection)
{
    ClientContext &context = *connection.context;
    context.RunFunctionInTransaction([&] {
        auto &catalog = duckdb::Catalog::GetSystemCatalog(context);
        auto &parquet =
            catalog.GetEntry<duckdb::CopyFunctionCatalogEntry>(context, DEFAULT_SCHEMA, "parquet")
                .function;
        CopyFunction function(FORMAT);
        function.copy_to_select = parquet.copy_to_select;
        function.copy_to_bind = bind_files;
        function.copy_to_initialize_global = open_files;
        function.copy_to_initialize_local = open_local;
        function.copy_to_get_written_statistics = get_statistics;
        function.copy_to_sink = sink;
        function.copy_to_combine = combine;
        function.copy_to_finalize = close_files;
        function.execution_mode = execution_mode;
        function.prepare_batch = prepare_batch;
        function.flush_batch = flush_batch;
        function.desired_batch_size = batch_rows;
        function.extension = parquet.extension;
        function.function_info = duckdb::make_shared_ptr<parquet_info>(parquet);
        duckdb::CreateCopyFunctionInfo info(std::move(function));
        info.internal = true;
        catalog.CreateCopyFunction(context, info);
    });
    duckdb::OptimizerExtension extension;
    extension.optimize_function = put_in_place;
    duckdb::OptimizerExtension::Register(duckdb::DBConfig::GetConfig(context), extension);
}

} // namespace moat
