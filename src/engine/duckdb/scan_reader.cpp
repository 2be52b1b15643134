/* One file of a scan: its columns mapped, its deleted rows left out, its virtual columns made. The
 * engine's Parquet reader does the reading, and prunes row groups with the conditions that it is
 * given here. */
#include "engine/duckdb/instants.hpp"
#include "engine/duckdb/scan.hpp"

#include <algorithm>

#include <duckdb/common/multi_file/multi_file_data.hpp>
#include <duckdb/execution/expression_executor.hpp>
#include <duckdb/planner/expression/bound_conjunction_expression.hpp>
#include <duckdb/planner/expression/bound_constant_expression.hpp>
#include <duckdb/planner/expression/bound_function_expression.hpp>
#include <duckdb/planner/expression/bound_reference_expression.hpp>
#include <duckdb/planner/filter/conjunction_filter.hpp>

namespace moat
{

using duckdb::BoundConstantExpression;
using duckdb::BoundReferenceExpression;
using duckdb::ClientContext;
using duckdb::column_t;
using duckdb::ColumnIndex;
using duckdb::Expression;
using duckdb::idx_t;
using duckdb::LogicalType;
using duckdb::make_uniq;
using duckdb::MultiFileReader;
using duckdb::TableFilterSet;
using duckdb::unique_ptr;
using duckdb::Value;
using std::string;

/* ---- what is kept of the files of one scan ---- */

/* Conditions that are checked on values as the scan shows them, by file. */
struct scan_state : public duckdb::MultiFileReaderGlobalState {
    explicit scan_state(const duckdb::MultiFileList &files)
        : duckdb::MultiFileReaderGlobalState({}, &files)
    {
    }

    void add(idx_t file, unique_ptr<Expression> condition)
    {
        std::lock_guard<std::mutex> held(lock);
        conditions.emplace(file, std::move(condition));
        has_any = true;
    }
    const Expression *find(idx_t file)
    {
        if (!has_any) {
            return nullptr;
        }
        std::lock_guard<std::mutex> held(lock);
        auto found = conditions.find(file);
        return found == conditions.end() ? nullptr : found->second.get();
    }

  private:
    std::mutex lock;
    std::atomic<bool> has_any{false};
    std::unordered_map<idx_t, unique_ptr<Expression>> conditions; /* stay where they are */
};

/* What the specification reserves for `_pos`: the column of positions is no stray one. */
static const int32_t POSITION_FIELD_ID = 2147483645;

/* ---- deleted rows ---- */

/* 0, 1, 2 ... */
static const struct counting {
    counting()
    {
        for (duckdb::sel_t i = 0; i < STANDARD_VECTOR_SIZE; i++) {
            all[i] = i;
        }
    }
    duckdb::sel_t all[STANDARD_VECTOR_SIZE];
} numbers;

class live_filter : public duckdb::DeleteFilter
{
  public:
    live_filter(std::shared_ptr<scan_source> source_, const struct engine_scan_file &file_)
        : source(std::move(source_)), file(file_)
    {
    }

    /* `selection` stays unset where all rows live. The dead are few: what lies between two of them
     * is filled in one go. */
    idx_t Filter(duckdb::row_t first, idx_t count, duckdb::SelectionVector &selection) override
    {
        uint32_t dead[STANDARD_VECTOR_SIZE];
        ASSERT(count <= STANDARD_VECTOR_SIZE);
        size_t dead_count = find_dead(first, count, dead);
        if (dead_count == 0) {
            return count;
        }
        ASSERT(dead_count <= count && dead[dead_count - 1] < count);
        selection.Initialize(STANDARD_VECTOR_SIZE);
        duckdb::sel_t *out = selection.data();
        idx_t from = 0;
        for (size_t i = 0; i <= dead_count; i++) {
            idx_t to = i == dead_count ? count : dead[i];
            ASSERT(from <= to);
            memcpy(out, numbers.all + from, (to - from) * sizeof(duckdb::sel_t));
            out += to - from;
            from = to + 1;
        }
        return count - dead_count;
    }

  private:
    size_t find_dead(int64_t first, idx_t count, uint32_t *ret_offsets) const
    {
        grant_state::use in_use(*source->grant);
        struct errinfo info;
        errinfo_init(&info);
        const struct engine_scan_spec &spec = source->grant->scan(source->index, in_use);
        size_t dead_count = 0;
        enum err err =
            spec.dead(spec.context, &file, first, count, ret_offsets, &dead_count, &info);
        if (err != ERR_OK) {
            throw_errinfo(err, info);
        }
        return dead_count;
    }

    const std::shared_ptr<scan_source> source;
    const struct engine_scan_file &file; /* lives as long as the grant */
};

/* ---- one file ---- */

static unique_ptr<Expression> constant(Value value)
{
    return make_uniq<BoundConstantExpression>(std::move(value));
}

/* By its number: where it lies is not for messages. */
static string file_name(const struct engine_scan_file &file)
{
    return "file " + std::to_string(file.object) + " of the table";
}

class file_mapper
{
  public:
    file_mapper(ClientContext &context_, const scan_list &list_,
                const struct engine_scan_file &file_, duckdb::MultiFileReaderData &data_,
                const duckdb::virtual_column_map_t &virtual_columns_)
        : context(context_), source(*list_.source), list(list_), file(file_), data(data_),
          reader(*data_.reader), virtual_columns(virtual_columns_), name(file_name(file_))
    {
        for (size_t i = 0; i < file.constant_count; i++) {
            constants[file.constant_ids[i]] = file.constant_values[i];
        }
    }

    bool has_own_ids = true; /* else the name mapping gave those that it knows */

    void add(const ColumnIndex &wanted);
    void check_row_count();
    /* False: no row of the file can pass. What is left to check goes to `ret_condition`. */
    bool add_filters(const TableFilterSet &filters, unique_ptr<Expression> *ret_condition);

  private:
    struct mapped { /* how one column of the scan comes about */
        bool is_stored = false;
        idx_t local = 0; /* of what the reader gives */
        mapping how;
    };

    idx_t read(idx_t local_id, ColumnIndex index);
    idx_t position_column();
    idx_t read_position();
    void add_column(const scan_column &column, const ColumnIndex &wanted);
    void add_constant(const scan_column &column, Value value);
    struct engine_scan_range promise_of(const scan_column &column) const;
    unique_ptr<Expression> held_to_promise(const scan_column &column, const mapping &how,
                                           const string &local_name, unique_ptr<Expression> values);
    void add_virtual(column_t id);
    unique_ptr<Expression> lineage(int32_t field_id, const LogicalType &type, bool is_row_id);
    Value literal(struct slice text, const LogicalType &type);

    ClientContext &context;
    scan_source &source;
    const scan_list &list;
    const struct engine_scan_file &file;
    duckdb::MultiFileReaderData &data;
    duckdb::BaseFileReader &reader;
    const duckdb::virtual_column_map_t &virtual_columns;
    const string name; /* for messages */
    std::unordered_map<int32_t, struct slice> constants;
    std::unordered_map<idx_t, idx_t> reads; /* column of the file to place in what is read */
    int64_t position = -1;                  /* of row positions, among the file's columns */
    std::vector<mapped> columns;            /* as asked for */
};

Value file_mapper::literal(struct slice text, const LogicalType &type)
{
    static std::mutex one_at_a_time; /* reader threads of a query share the context */
    std::lock_guard<std::mutex> held(one_at_a_time);
    return evaluate_literal(context, text, type);
}

/* A column is read once: a second wish makes the first a wish for all of it. */
idx_t file_mapper::read(idx_t local_id, ColumnIndex index)
{
    auto found = reads.find(local_id);
    if (found != reads.end()) {
        reader.column_indexes[found->second] = ColumnIndex(local_id);
        return found->second;
    }
    idx_t place = reader.column_ids.size();
    reader.column_ids.push_back(duckdb::MultiFileLocalColumnId(local_id));
    reader.column_indexes.push_back(std::move(index));
    reads[local_id] = place;
    return place;
}

static bool has_column(const duckdb::vector<duckdb::MultiFileColumnDefinition> &columns,
                       const string &name)
{
    return std::any_of(
        columns.begin(), columns.end(),
        [&](const duckdb::MultiFileColumnDefinition &column) { return column.name == name; });
}

idx_t file_mapper::position_column()
{
    if (position < 0) {
        string own_name = "file_row_number";
        while (has_column(reader.columns, own_name)) { /* statistics are found by name */
            own_name += '_';
        }
        position = static_cast<int64_t>(reader.columns.size());
        reader.columns.emplace_back(own_name, LogicalType::BIGINT);
        reader.columns.back().identifier = Value::INTEGER(POSITION_FIELD_ID);
        reader.AddVirtualColumn(MultiFileReader::COLUMN_IDENTIFIER_FILE_ROW_NUMBER);
    }
    return static_cast<idx_t>(position);
}

idx_t file_mapper::read_position()
{
    idx_t local_id = position_column();
    return read(local_id, ColumnIndex(local_id));
}

/* The reader passes over row groups whose number of rows makes no sense. Row positions have
 * statistics too, which come from those numbers: where they end is how many rows there will be. */
void file_mapper::check_row_count()
{
    if (file.record_count < 0) {
        return;
    }
    auto own = reader.GetStatistics(context, reader.columns[position_column()].name);
    int64_t first = 0;
    int64_t last = -1;
    if (own && duckdb::NumericStats::HasMinMax(*own)) {
        first = duckdb::NumericStats::GetMin<int64_t>(*own);
        last = duckdb::NumericStats::GetMax<int64_t>(*own);
    }
    if (first != 0 || last != file.record_count - 1) {
        throw_err(ERR_CORRUPT, nullptr,
                  name + " has another number of rows than the table's metadata says, " +
                      std::to_string(file.record_count),
                  "");
    }
}

void file_mapper::add_column(const scan_column &column, const ColumnIndex &wanted)
{
    mapped entry;
    int64_t found = find_field(reader.columns, column.field_id, name);
    if (found < 0) {
        auto given = constants.find(column.field_id);
        if (given == constants.end() && has_own_ids) {
            check_missing(column, reader.columns, source.field_id_max, name);
        }
        add_constant(column,
                     given == constants.end() ? column.value : literal(given->second, column.type));
        return;
    }
    auto local_id = static_cast<idx_t>(found);
    auto &local = reader.columns[local_id];
    if (has_own_ids) {
        check_fields(column, local, source.field_id_max, name);
    }
    entry.how = map_column(column, local, column.name, name);
    if (entry.how.kind == mapping::CONSTANT) {
        add_constant(column, entry.how.value);
        return;
    }
    entry.is_stored = true;
    auto type = local.type;
    auto local_name = local.name;
    entry.local = read(local_id, map_index(column, local, wanted, local_id, name));
    data.expressions.push_back(held_to_promise(column, entry.how, local_name,
                                               mapping_expression(entry.how, type, entry.local)));
    columns.push_back(std::move(entry));
}

struct engine_scan_range file_mapper::promise_of(const scan_column &column) const
{
    return list.promised(static_cast<idx_t>(&column - source.columns.data()));
}

void file_mapper::add_constant(const scan_column &column, Value value)
{
    auto range = promise_of(column);
    if (range.has_bounds && !range_has(range, value)) {
        throw_err(ERR_CORRUPT, nullptr,
                  name + " has no column \"" + column.name +
                      "\", of which the table's metadata says what is in it",
                  "");
    }
    data.expressions.push_back(constant(std::move(value)));
    columns.emplace_back();
}

/* What the file's own statistics vouch for need not be looked at again. */
unique_ptr<Expression> file_mapper::held_to_promise(const scan_column &column, const mapping &how,
                                                    const string &local_name,
                                                    unique_ptr<Expression> values)
{
    auto range = promise_of(column);
    if (!range.has_bounds) {
        return values;
    }
    if (how.kind == mapping::SAME || (how.kind == mapping::REINTERPRET && is_instant(how.type))) {
        auto own = reader.GetStatistics(context, local_name);
        if (own && range_holds(range, *own)) {
            return values;
        }
    }
    return range_check(range, std::move(values), column.name);
}

/* Row lineage (spec, "Row Lineage"): what the file stores where it stores something, else what it
 * inherits; nothing where the file was written before the table had lineage. */
struct lineage_data : public duckdb::FunctionData {
    lineage_data(int64_t first_, bool is_stored_, bool is_row_id_)
        : first(first_), is_stored(is_stored_), is_row_id(is_row_id_)
    {
    }
    unique_ptr<duckdb::FunctionData> Copy() const override
    {
        return make_uniq<lineage_data>(first, is_stored, is_row_id);
    }
    bool Equals(const duckdb::FunctionData &other_) const override
    {
        auto &other = other_.Cast<lineage_data>();
        return first == other.first && is_stored == other.is_stored && is_row_id == other.is_row_id;
    }

    const int64_t first;  /* row id of the file's first row, or sequence number */
    const bool is_stored; /* the last argument is what the file stores */
    const bool is_row_id; /* the first argument is the position */
};

static void run_lineage(duckdb::DataChunk &args, duckdb::ExpressionState &state,
                        duckdb::Vector &result)
{
    auto &how = state.expr.Cast<duckdb::BoundFunctionExpression>().bind_info->Cast<lineage_data>();
    result.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
    auto out = duckdb::FlatVector::GetData<int64_t>(result);
    duckdb::UnifiedVectorFormat stored;
    duckdb::UnifiedVectorFormat positions;
    args.data.back().ToUnifiedFormat(args.size(), stored);
    args.data.front().ToUnifiedFormat(args.size(), positions);
    auto stored_values = duckdb::UnifiedVectorFormat::GetData<int64_t>(stored);
    auto position_values = duckdb::UnifiedVectorFormat::GetData<int64_t>(positions);
    for (idx_t i = 0; i < args.size(); i++) {
        idx_t at = stored.sel->get_index(i);
        if (how.is_stored && stored.validity.RowIsValid(at)) {
            out[i] = stored_values[at];
        } else {
            int64_t offset = how.is_row_id ? position_values[positions.sel->get_index(i)] : 0;
            if (__builtin_add_overflow(how.first, offset, &out[i])) {
                throw_err(ERR_CORRUPT, nullptr, "row ids of the file are out of range", "");
            }
        }
    }
}

unique_ptr<Expression> file_mapper::lineage(int32_t field_id, const LogicalType &type,
                                            bool is_row_id)
{
    int64_t found = find_field(reader.columns, field_id, name);
    duckdb::vector<unique_ptr<Expression>> arguments;
    if (file.first_row_id < 0 && found < 0) {
        return constant(Value(type));
    }
    if (found < 0 && !is_row_id) {
        return constant(Value::BIGINT(file.sequence_number));
    }
    if (is_row_id && file.first_row_id >= 0) {
        arguments.push_back(
            make_uniq<BoundReferenceExpression>(LogicalType::BIGINT, read_position()));
    }
    if (found >= 0) {
        auto local_id = static_cast<idx_t>(found);
        if (reader.columns[local_id].type != LogicalType::BIGINT) {
            throw_err(ERR_CORRUPT, nullptr,
                      "column \"" + reader.columns[local_id].name + "\" of " + name +
                          " is no BIGINT",
                      "");
        }
        arguments.push_back(make_uniq<BoundReferenceExpression>(
            LogicalType::BIGINT, read(local_id, ColumnIndex(local_id))));
        if (file.first_row_id < 0) {
            return std::move(arguments[0]);
        }
    }
    duckdb::vector<LogicalType> types(arguments.size(), LogicalType::BIGINT);
    duckdb::ScalarFunction function("moat_lineage", types, LogicalType::BIGINT, run_lineage);
    function.SetNullHandling(duckdb::FunctionNullHandling::SPECIAL_HANDLING);
    function.SetFallible();
    return make_uniq<duckdb::BoundFunctionExpression>(
        LogicalType::BIGINT, std::move(function), std::move(arguments),
        make_uniq<lineage_data>(is_row_id ? file.first_row_id : file.sequence_number, found >= 0,
                                is_row_id));
}

void file_mapper::add_virtual(column_t id)
{
    mapped entry;
    auto known = virtual_columns.find(id);
    ASSERT(known != virtual_columns.end());
    const LogicalType &type = known->second.type;
    switch (id) {
    case MultiFileReader::COLUMN_IDENTIFIER_FILENAME:
        data.expressions.push_back(
            constant(Value(string(file.path.ptr == nullptr ? "" : file.path.ptr, file.path.len))));
        break;
    case MultiFileReader::COLUMN_IDENTIFIER_FILE_INDEX:
        data.expressions.push_back(constant(Value::UBIGINT(file.object)));
        break;
    case MultiFileReader::COLUMN_IDENTIFIER_FILE_ROW_NUMBER:
        entry.is_stored = true;
        entry.local = read_position();
        entry.how.type = type;
        data.expressions.push_back(make_uniq<BoundReferenceExpression>(type, entry.local));
        break;
    case COLUMN_SPEC_ID:
        data.expressions.push_back(constant(Value::INTEGER(file.spec_id)));
        break;
    case COLUMN_PARTITION:
        data.expressions.push_back(constant(literal(file.partition, type)));
        break;
    case COLUMN_ROW_ID:
        data.expressions.push_back(lineage(MultiFileReader::ROW_ID_FIELD_ID, type, true));
        break;
    case COLUMN_LAST_UPDATED:
        data.expressions.push_back(
            lineage(MultiFileReader::LAST_UPDATED_SEQUENCE_NUMBER_ID, type, false));
        break;
    case COLUMN_SEQUENCE_NUMBER:
        data.expressions.push_back(constant(Value::BIGINT(file.sequence_number)));
        break;
    case COLUMN_GROUP:
        data.expressions.push_back(constant(Value::INTEGER(file.group)));
        break;
    default: /* the column that stands for no column */
        data.expressions.push_back(constant(Value(type)));
        break;
    }
    columns.push_back(std::move(entry));
}

void file_mapper::add(const ColumnIndex &wanted)
{
    if (wanted.IsVirtualColumn()) {
        add_virtual(wanted.GetPrimaryIndex());
    } else {
        add_column(source.columns.at(wanted.GetPrimaryIndex()), wanted);
    }
}

bool file_mapper::add_filters(const TableFilterSet &filters, unique_ptr<Expression> *ret_condition)
{
    auto local = make_uniq<TableFilterSet>();
    auto rest =
        make_uniq<duckdb::BoundConjunctionExpression>(duckdb::ExpressionType::CONJUNCTION_AND);
    for (auto &entry : filters.filters) {
        auto &column = columns.at(entry.first);
        auto &expression = *data.expressions[entry.first];
        if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_CONSTANT) {
            if (!filter_allows(context, *entry.second,
                               expression.Cast<BoundConstantExpression>().value)) {
                return false;
            }
            continue;
        }
        unique_ptr<duckdb::TableFilter> own;
        if (column.is_stored) {
            auto &type =
                reader.columns[reader.column_ids[duckdb::MultiFileLocalIndex(column.local)]].type;
            own = convert_filter(*entry.second, column.how, type);
        }
        if (own) {
            local->PushFilter(ColumnIndex(column.local), std::move(own));
        } else {
            auto condition = filter_expression(*entry.second, expression);
            if (condition) {
                rest->children.push_back(std::move(condition));
            }
        }
    }
    if (!local->filters.empty()) {
        reader.filters = std::move(local);
    }
    if (rest->children.size() == 1) {
        *ret_condition = std::move(rest->children[0]);
    } else if (!rest->children.empty()) {
        *ret_condition = std::move(rest);
    }
    return true;
}

/* ---- the reader ---- */

class scan_reader : public MultiFileReader
{
  public:
    explicit scan_reader(string name)
    {
        function_name = std::move(name);
    }

    duckdb::shared_ptr<duckdb::MultiFileList>
    CreateFileList(ClientContext &context, const duckdb::vector<string> &paths,
                   const duckdb::FileGlobInput &glob) override;
    bool Bind(duckdb::MultiFileOptions &options, duckdb::MultiFileList &files,
              duckdb::vector<LogicalType> &types, duckdb::vector<string> &names,
              duckdb::MultiFileReaderBindData &bind_data) override;
    unique_ptr<duckdb::MultiFileList>
    ComplexFilterPushdown(ClientContext &context, duckdb::MultiFileList &files,
                          const duckdb::MultiFileOptions &options,
                          duckdb::MultiFilePushdownInfo &info,
                          duckdb::vector<unique_ptr<Expression>> &filters) override;
    unique_ptr<duckdb::MultiFileList> DynamicFilterPushdown(
        ClientContext &context, const duckdb::MultiFileList &files,
        const duckdb::MultiFileOptions &options, const duckdb::vector<string> &names,
        const duckdb::vector<LogicalType> &types, const duckdb::vector<column_t> &column_ids,
        TableFilterSet &filters) override;
    unique_ptr<duckdb::MultiFileReaderGlobalState>
    InitializeGlobalState(ClientContext &context, const duckdb::MultiFileOptions &options,
                          const duckdb::MultiFileReaderBindData &bind_data,
                          const duckdb::MultiFileList &files,
                          const duckdb::vector<duckdb::MultiFileColumnDefinition> &columns,
                          const duckdb::vector<ColumnIndex> &column_ids) override;
    duckdb::ReaderInitializeType
    InitializeReader(duckdb::MultiFileReaderData &data, const duckdb::MultiFileBindData &bind_data,
                     const duckdb::vector<duckdb::MultiFileColumnDefinition> &columns,
                     const duckdb::vector<ColumnIndex> &column_ids,
                     duckdb::optional_ptr<TableFilterSet> filters, ClientContext &context,
                     duckdb::MultiFileGlobalState &state) override;
    void FinalizeChunk(ClientContext &context, const duckdb::MultiFileBindData &bind_data,
                       duckdb::BaseFileReader &reader, const duckdb::MultiFileReaderData &data,
                       duckdb::DataChunk &input, duckdb::DataChunk &output,
                       duckdb::ExpressionExecutor &executor,
                       duckdb::optional_ptr<duckdb::MultiFileReaderGlobalState> state) override;
    unique_ptr<MultiFileReader> Copy() const override
    {
        return make_uniq<scan_reader>(function_name);
    }
};

duckdb::shared_ptr<duckdb::MultiFileList>
scan_reader::CreateFileList(ClientContext &context, const duckdb::vector<string> &paths,
                            const duckdb::FileGlobInput &)
{
    auto registry = registry_of(context);
    size_t index = 0;
    auto grant =
        registry == nullptr || paths.size() != 1 ? nullptr : find_scan(*registry, paths[0], &index);
    if (grant == nullptr) {
        throw_err(ERR_DENIED, nullptr, "no grant for object", "");
    }
    return duckdb::make_shared_ptr<scan_list>(open_source(context, std::move(grant), index),
                                              std::vector<predicate>(), false);
}

bool scan_reader::Bind(duckdb::MultiFileOptions &options, duckdb::MultiFileList &files,
                       duckdb::vector<LogicalType> &types, duckdb::vector<string> &names,
                       duckdb::MultiFileReaderBindData &)
{
    options.auto_detect_hive_partitioning = false;
    for (auto &column : files.Cast<scan_list>().source->columns) {
        names.push_back(column.name);
        types.push_back(column.type);
    }
    return true;
}

unique_ptr<duckdb::MultiFileList> scan_reader::ComplexFilterPushdown(
    ClientContext &, duckdb::MultiFileList &files, const duckdb::MultiFileOptions &,
    duckdb::MultiFilePushdownInfo &info, duckdb::vector<unique_ptr<Expression>> &filters)
{
    return files.Cast<scan_list>().with_conditions(info, filters);
}

unique_ptr<duckdb::MultiFileList> scan_reader::DynamicFilterPushdown(
    ClientContext &, const duckdb::MultiFileList &files, const duckdb::MultiFileOptions &,
    const duckdb::vector<string> &, const duckdb::vector<LogicalType> &,
    const duckdb::vector<column_t> &column_ids, TableFilterSet &filters)
{
    return files.Cast<scan_list>().with_filters(column_ids, filters);
}

unique_ptr<duckdb::MultiFileReaderGlobalState> scan_reader::InitializeGlobalState(
    ClientContext &, const duckdb::MultiFileOptions &, const duckdb::MultiFileReaderBindData &,
    const duckdb::MultiFileList &files, const duckdb::vector<duckdb::MultiFileColumnDefinition> &,
    const duckdb::vector<ColumnIndex> &)
{
    return make_uniq<scan_state>(files);
}

/* Several threads at once, each with a file of its own. */
duckdb::ReaderInitializeType scan_reader::InitializeReader(
    duckdb::MultiFileReaderData &data, const duckdb::MultiFileBindData &bind_data,
    const duckdb::vector<duckdb::MultiFileColumnDefinition> &,
    const duckdb::vector<ColumnIndex> &column_ids, duckdb::optional_ptr<TableFilterSet> filters,
    ClientContext &context, duckdb::MultiFileGlobalState &state)
{
    auto &reader = *data.reader;
    auto &list = state.file_list.Cast<scan_list>();
    auto &source = *list.source;
    idx_t index = reader.file_list_idx.GetIndex();
    auto &file = list.file(index);
    grant_state::use in_use(*source.grant);

    bool has_own_ids = has_field_ids(reader.columns);
    if (!has_own_ids) {
        if (source.names.empty()) {
            throw_err(ERR_UNSUPPORTED, nullptr,
                      file_name(file) + " has no field ids, and the table maps no names",
                      "Set the table property \"schema.name-mapping.default\", or write the file "
                      "again.");
        }
        apply_names(source.names, reader.columns, file_name(file));
    }
    file_mapper mapper(context, list, file, data, bind_data.virtual_columns);
    mapper.has_own_ids = has_own_ids;
    for (auto &wanted : column_ids) {
        mapper.add(wanted);
    }
    mapper.check_row_count();
    if (filters) {
        unique_ptr<Expression> condition;
        if (!mapper.add_filters(*filters, &condition)) {
            return duckdb::ReaderInitializeType::SKIP_READING_FILE;
        }
        if (condition) {
            state.multi_file_reader_state->Cast<scan_state>().add(index, std::move(condition));
        }
    }
    if (file.has_deletes) {
        reader.deletion_filter = make_uniq<live_filter>(list.source, file);
    }
    return duckdb::ReaderInitializeType::INITIALIZED;
}

/* Values as the scan shows them, of rows that pass what could not be checked before. */
static void finish(ClientContext &context, const Expression *condition, duckdb::DataChunk &input,
                   duckdb::DataChunk &output, duckdb::ExpressionExecutor &executor)
{
    if (condition != nullptr) {
        duckdb::ExpressionExecutor check(context, *condition);
        duckdb::SelectionVector selection(STANDARD_VECTOR_SIZE);
        idx_t count = check.SelectExpression(input, selection);
        if (count == 0) {
            output.SetCardinality(0);
            return;
        }
        if (count < input.size()) {
            input.Slice(selection, count);
        }
    }
    executor.SetChunk(input);
    for (idx_t i = 0; i < executor.expressions.size(); i++) {
        executor.ExecuteExpression(i, output.data[i]);
    }
    output.SetCardinality(input.size());
}

void scan_reader::FinalizeChunk(ClientContext &context, const duckdb::MultiFileBindData &,
                                duckdb::BaseFileReader &reader, const duckdb::MultiFileReaderData &,
                                duckdb::DataChunk &input, duckdb::DataChunk &output,
                                duckdb::ExpressionExecutor &executor,
                                duckdb::optional_ptr<duckdb::MultiFileReaderGlobalState> state)
{
    auto &files = state->Cast<scan_state>();
    idx_t index = reader.file_list_idx.GetIndex();
    try {
        finish(context, files.find(index), input, output, executor);
    } catch (const std::exception &thrown) {
        duckdb::ErrorData error(thrown);
        if (error.Type() == duckdb::ExceptionType::INTERNAL ||
            error.Type() == duckdb::ExceptionType::INTERRUPT) {
            throw;
        }
        auto &list = files.file_list->Cast<scan_list>();
        auto &file = list.file(index);
        grant_state::use in_use(*list.source->grant);
        throw duckdb::Exception(error.ExtraInfo(), error.Type(),
                                file_name(file) + ": " + error.RawMessage());
    }
}

unique_ptr<MultiFileReader> make_scan_reader(const duckdb::TableFunction &function)
{
    return make_uniq<scan_reader>(function.name);
}

} // namespace moat
