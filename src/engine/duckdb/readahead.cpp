/* Reading ahead in a scan's files: see readahead.hpp. A wrong guess costs a fetch, never a row. */
#include "engine/duckdb/readahead.hpp"

#include <algorithm>

namespace moat
{

static const size_t GROUPS_AHEAD = 3;
static const uint64_t AHEAD_BYTES_MAX = UINT64_C(48) << 20; /* told and not read yet, of a file */
static const uint64_t GAP_BYTES_MAX = 65536;                /* between extents that become one */
static const uint64_t WHOLE_BYTES_MIN = UINT64_C(1) << 20; /* a read that is worth telling itself */
static const size_t TRIAL = 32; /* chunks told before it is looked whether they are read */

using extents = std::vector<struct engine_scan_extent>;

const struct parquet_chunk &read_ahead::chunk(const known_file &file, size_t group,
                                              size_t column) const
{
    return file.layout.chunks[group * file.layout.column_count + column];
}

/* The last group that begins at or before the offset. */
size_t read_ahead::group_of(const known_file &file, uint64_t offset) const
{
    size_t low = 0;
    size_t high = file.layout.group_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        uint64_t begin = UINT64_MAX;
        for (size_t c = 0; c < file.layout.column_count; c++) {
            begin = std::min(begin, chunk(file, middle, c).offset);
        }
        (begin <= offset ? low : high) = middle;
    }
    return low;
}

/* A chunk counts as read with half of it: neighbours are read along. */
void read_ahead::mark(known_file *file, size_t group, uint64_t offset, size_t len)
{
    size_t columns = file->layout.column_count;
    bool is_any = false;
    for (size_t c = 0; c < columns; c++) {
        auto &wanted = chunk(*file, group, c);
        uint64_t begin = std::max(offset, wanted.offset);
        uint64_t end = std::min(offset + len, wanted.offset + wanted.len);
        uint8_t &state = file->states[group * columns + c];
        if (end <= begin || end - begin < wanted.len - wanted.len / 2 || state == READ) {
            continue;
        }
        used_count += state == TOLD ? 1 : 0;
        state = READ;
        column_reads[c]++;
        is_any = true;
    }
    if (is_any && !file->begun[group]) {
        file->begun[group] = true;
        groups_begun++;
    }
}

bool read_ahead::is_wanted(size_t column) const
{
    return column_reads[column] > 0 && column_reads[column] * 2 >= groups_begun;
}

static void add(extents *told, struct engine_scan_extent extent)
{
    if (!told->empty()) {
        auto &last = told->back();
        if (extent.offset >= last.offset &&
            extent.offset <= last.offset + last.len + GAP_BYTES_MAX) {
            last.len = std::max(last.len, extent.offset + extent.len - last.offset);
            return;
        }
    }
    told->push_back(extent);
}

void read_ahead::tell(known_file *file, size_t first_group, extents *told)
{
    size_t columns = file->layout.column_count;
    size_t end = std::min(file->layout.group_count, first_group + GROUPS_AHEAD + 1);
    uint64_t ahead_bytes = 0;
    if (told_count >= TRIAL && used_count * 4 < told_count) {
        return; /* groups are passed over: guesses do not come true */
    }
    for (size_t group = first_group; group < end; group++) {
        for (size_t c = 0; c < columns; c++) {
            auto &wanted = chunk(*file, group, c);
            uint8_t &state = file->states[group * columns + c];
            bool is_new = state == UNKNOWN && is_wanted(c) && wanted.len > 0;
            ahead_bytes += is_new || state == TOLD ? wanted.len : 0;
            if (ahead_bytes > AHEAD_BYTES_MAX) {
                return;
            }
            if (!is_new) {
                continue;
            }
            state = TOLD;
            told_count++;
            add(told, {wanted.offset, wanted.len});
        }
    }
}

extents read_ahead::before(size_t object, uint64_t offset, size_t len)
{
    extents told;
    std::lock_guard<std::mutex> held(lock);
    auto found = files.find(object);
    if (len > WHOLE_BYTES_MIN) {
        told.push_back({offset, len});
    }
    if (found == files.end() || found->second.layout.group_count == 0) {
        return told;
    }
    auto &file = found->second;
    size_t group = group_of(file, offset);
    mark(&file, group, offset, len);
    if (file.begun[group]) {
        tell(&file, group, &told);
    }
    return told;
}

void read_ahead::learn(known_file *file, struct slice footer, uint64_t size_bytes)
{
    file->is_done = true;
    file->arena.reset(arena_new(nullptr, "layout", 0));
    if (file->arena == nullptr ||
        parquet_layout_read(footer, size_bytes, file->arena.get(), &file->layout) != ERR_OK) {
        file->layout = {nullptr, 0, 0};
        return;
    }
    if (column_reads.size() != file->layout.column_count) { /* the first file, or another schema */
        column_reads.assign(file->layout.column_count, 0);
        groups_begun = 0;
    }
    file->states.assign(file->layout.group_count * file->layout.column_count, UNKNOWN);
    file->begun.assign(file->layout.group_count, false);
}

extents read_ahead::after(size_t object, uint64_t size_bytes, uint64_t offset, const void *bytes,
                          size_t len)
{
    extents told;
    std::lock_guard<std::mutex> held(lock);
    auto &file = files[object];
    auto text = static_cast<const char *>(bytes);
    if (file.is_done) {
        return told;
    }
    if (offset + len == size_bytes && len >= 8) {
        uint64_t footer_len = parquet_footer_len({text, len});
        file.is_done = footer_len == 0 || footer_len > size_bytes - 8;
        file.footer_at = file.is_done ? 0 : size_bytes - 8 - footer_len;
        file.footer_len = file.is_done ? 0 : footer_len;
    }
    if (file.footer_len > 0 && offset <= file.footer_at &&
        file.footer_at + file.footer_len <= offset + len) {
        learn(&file, {text + (file.footer_at - offset), file.footer_len}, size_bytes);
        if (file.layout.group_count > 0) {
            tell(&file, 0, &told);
        }
    }
    return told;
}

} // namespace moat
