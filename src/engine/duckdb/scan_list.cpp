/* Which files a scan reads. The program is asked when somebody first wants to know, with what the
 * engine filters by at that point; an answer is kept for as long as the list.
 *
 * No file is counted, listed or opened before. Conditions pile up: each list is the one before it
 * with more of them, so that a later answer can only be smaller. */
#include "engine/duckdb/scan.hpp"

#include <duckdb/storage/statistics/node_statistics.hpp>

#include <set>

namespace moat
{

using duckdb::idx_t;
using duckdb::MultiFileList;
using duckdb::OpenFileInfo;
using std::string;

scan_list::scan_list(std::shared_ptr<scan_source> source_, std::vector<predicate> predicates_,
                     bool is_dynamic_)
    : source(std::move(source_)), predicates(std::move(predicates_)), is_dynamic(is_dynamic_)
{
}

/* The C form of a predicate; its parts live in lists, which never move what they hold. */
struct c_predicates {
    std::vector<std::unique_ptr<struct engine_predicate>> nodes;
    std::vector<std::unique_ptr<std::vector<struct slice>>> values;
    std::vector<std::unique_ptr<std::vector<const struct engine_predicate *>>> children;

    const struct engine_predicate *add(const predicate &from)
    {
        auto texts = std::make_unique<std::vector<struct slice>>();
        for (auto &value : from.values) {
            texts->push_back({value.data(), value.size()});
        }
        auto parts = std::make_unique<std::vector<const struct engine_predicate *>>();
        for (auto &child : from.children) {
            parts->push_back(add(child));
        }
        auto node = std::make_unique<struct engine_predicate>();
        *node = {from.kind,     from.field_id, texts->data(),
                 texts->size(), parts->data(), parts->size()};
        values.push_back(std::move(texts));
        children.push_back(std::move(parts));
        nodes.push_back(std::move(node));
        return nodes.back().get();
    }

    std::vector<const struct engine_predicate *> add_all(const std::vector<predicate> &list)
    {
        std::vector<const struct engine_predicate *> all;
        for (auto &one : list) {
            all.push_back(add(one));
        }
        return all;
    }
};

/* Beyond so many files that must be looked at for it, planning would take longer than it saves. */
static const size_t RANGE_FILES_MAX = 1000;
static const int64_t RANGE_ROWS_MAX = INT64_C(10000000000);

/* Under `lock`. */
void scan_list::ask_ranges() const
{
    if (is_ranged) {
        return;
    }
    is_ranged = true;
    if (!is_resolved && source->row_count_estimate > RANGE_ROWS_MAX) {
        return;
    }
    resolve();
    grant_state::use in_use(*source->grant);
    std::lock_guard<std::mutex> serialised(source->files_lock);
    const struct engine_scan_spec &spec = source->grant->scan(source->index, in_use);
    if (spec.ranges == nullptr || file_count > RANGE_FILES_MAX) {
        return;
    }
    c_predicates form;
    auto all = form.add_all(predicates);
    struct errinfo info;
    errinfo_init(&info);
    const struct engine_scan_range *told = nullptr;
    enum err err = spec.ranges(spec.context, all.data(), all.size(), &told, &info);
    if (err != ERR_OK) {
        throw_errinfo(err, info);
    }
    for (size_t i = 0; i < source->columns.size(); i++) {
        if (told[i].has_bounds && range_statistics(told[i], source->columns[i].type)) {
            ranges.emplace(i, told[i]);
        }
    }
}

/* Under `lock`. */
void scan_list::resolve() const
{
    if (is_resolved) {
        return;
    }
    c_predicates form;
    auto all = form.add_all(predicates);
    grant_state::use in_use(*source->grant);
    std::lock_guard<std::mutex> serialised(source->files_lock);
    const struct engine_scan_spec &spec = source->grant->scan(source->index, in_use);
    struct errinfo info;
    errinfo_init(&info);
    enum err err =
        spec.files(spec.context, all.data(), all.size(), is_dynamic, &files, &file_count, &info);
    if (err != ERR_OK) {
        throw_errinfo(err, info);
    }
    for (size_t i = 0; i < file_count; i++) {
        if (files[i].has_deletes && spec.dead == nullptr) {
            throw_err(ERR_INVALID, nullptr, "a scan has files with deletes and knows of none", "");
        }
    }
    source->grant->offer(source->index, files, file_count);
    is_resolved = true;
}

const struct engine_scan_file &scan_list::file(idx_t index) const
{
    std::lock_guard<std::mutex> held(lock);
    resolve();
    return files[index];
}

static struct engine_scan_range find(const std::map<idx_t, struct engine_scan_range> &ranges,
                                     idx_t column)
{
    auto found = ranges.find(column);
    return found == ranges.end() ? engine_scan_range{} : found->second;
}

struct engine_scan_range scan_list::promise(idx_t column) const
{
    if (source->has_hidden) {
        return {};
    }
    std::lock_guard<std::mutex> held(lock);
    ask_ranges();
    auto range = find(ranges, column);
    if (range.has_bounds) {
        promises[column] = range;
    }
    return range;
}

struct engine_scan_range scan_list::promised(idx_t column) const
{
    std::lock_guard<std::mutex> held(lock);
    return find(promises, column);
}

int64_t scan_list::exact_row_count() const
{
    if (!predicates.empty() || source->has_hidden) {
        return -1;
    }
    std::lock_guard<std::mutex> held(lock);
    resolve();
    grant_state::use in_use(*source->grant);
    int64_t count = 0;
    for (size_t i = 0; i < file_count; i++) {
        if (files[i].has_deletes || files[i].record_count < 0 ||
            __builtin_add_overflow(count, files[i].record_count, &count)) {
            return -1;
        }
    }
    return count;
}

duckdb::unique_ptr<MultiFileList> scan_list::narrowed(std::vector<predicate> more,
                                                      bool is_dynamic_) const
{
    std::set<string> known;
    for (auto &one : predicates) {
        known.insert(one.key());
    }
    auto all = predicates;
    for (auto &one : more) {
        if (known.insert(one.key()).second) {
            all.push_back(std::move(one));
        }
    }
    if (all.size() == predicates.size()) {
        return nullptr;
    }
    auto list = duckdb::make_uniq<scan_list>(source, std::move(all), is_dynamic || is_dynamic_);
    std::lock_guard<std::mutex> held(lock);
    list->promises = promises;
    return std::move(list);
}

/* Conjuncts one by one, so that what comes twice in another company is still known. */
static void add_conjuncts(predicate from, std::vector<predicate> &all)
{
    if (from.kind != PREDICATE_AND) {
        all.push_back(std::move(from));
        return;
    }
    for (auto &child : from.children) {
        add_conjuncts(std::move(child), all);
    }
}

duckdb::unique_ptr<MultiFileList> scan_list::with_conditions(
    const duckdb::MultiFilePushdownInfo &info,
    const duckdb::vector<duckdb::unique_ptr<duckdb::Expression>> &filters) const
{
    std::vector<predicate> more;
    for (auto &filter : filters) {
        predicate one;
        if (predicate_of(*source, info, *filter, &one)) {
            add_conjuncts(std::move(one), more);
        }
    }
    return narrowed(std::move(more), false);
}

duckdb::unique_ptr<MultiFileList>
scan_list::with_filters(const duckdb::vector<duckdb::column_t> &column_ids,
                        const duckdb::TableFilterSet &filters) const
{
    std::vector<predicate> more;
    for (auto &entry : filters.filters) {
        duckdb::column_t id = column_ids.at(entry.first);
        predicate one;
        if (id < source->columns.size() && predicate_of(source->columns[id], *entry.second, &one)) {
            add_conjuncts(std::move(one), more);
        }
    }
    return narrowed(std::move(more), true);
}

duckdb::vector<OpenFileInfo> scan_list::GetAllFiles() const
{
    duckdb::vector<OpenFileInfo> all;
    for (idx_t i = 0; i < GetTotalFileCount(); i++) {
        all.push_back(GetFile(i));
    }
    return all;
}

/* "Many" until they are wanted: with one, the engine would read it by one thread. */
duckdb::FileExpandResult scan_list::GetExpandResult() const
{
    return duckdb::FileExpandResult::MULTIPLE_FILES;
}

idx_t scan_list::GetTotalFileCount() const
{
    std::lock_guard<std::mutex> held(lock);
    resolve();
    return file_count;
}

/* Addresses are not for display. */
duckdb::vector<OpenFileInfo> scan_list::GetDisplayFileList(duckdb::optional_idx) const
{
    return {};
}

/* An estimate, never a bound: what the program knows of rows is what manifests claim. */
duckdb::unique_ptr<duckdb::NodeStatistics> scan_list::GetCardinality(duckdb::ClientContext &) const
{
    std::lock_guard<std::mutex> held(lock);
    if (!is_resolved && predicates.empty() && source->row_count_estimate >= 0) {
        return duckdb::make_uniq<duckdb::NodeStatistics>(
            static_cast<idx_t>(source->row_count_estimate));
    }
    resolve();
    grant_state::use in_use(*source->grant);
    int64_t count = 0;
    for (size_t i = 0; i < file_count; i++) {
        int64_t rows = files[i].record_count < 0 ? 100000 : files[i].record_count;
        if (__builtin_add_overflow(count, rows, &count)) {
            count = INT64_MAX;
            break;
        }
    }
    return duckdb::make_uniq<duckdb::NodeStatistics>(static_cast<idx_t>(count));
}

duckdb::unique_ptr<MultiFileList> scan_list::Copy() const
{
    auto copy = duckdb::make_uniq<scan_list>(source, predicates, is_dynamic);
    std::lock_guard<std::mutex> held(lock);
    copy->is_resolved = is_resolved;
    copy->files = files;
    copy->file_count = file_count;
    copy->is_ranged = is_ranged;
    copy->ranges = ranges;
    copy->promises = promises;
    return std::move(copy);
}

/* An empty path is the end. */
OpenFileInfo scan_list::GetFile(idx_t i) const
{
    std::lock_guard<std::mutex> held(lock);
    resolve();
    if (i >= file_count) {
        return OpenFileInfo();
    }
    grant_state::use in_use(*source->grant);
    return OpenFileInfo("moat://" + source->grant->id + "/s" + std::to_string(source->index) + "/" +
                        std::to_string(files[i].object));
}

} // namespace moat
