#include "engine/duckdb/instant_footers.hpp"

#include "engine/duckdb/module.hpp"

#include <algorithm>

extern "C" {
#include "engine/parquet_instants.h"
#include "engine/parquet_layout.h"
}

namespace moat
{

static const size_t TAIL_BYTES = 8;

/* Offsets in the footer. */
static std::vector<uint64_t> find(struct slice footer, bool is_utc,
                                  const std::vector<int32_t> &field_ids)
{
    std::unique_ptr<struct arena, void (*)(struct arena *)> arena(arena_new(nullptr, "footer", 0),
                                                                  arena_free);
    struct parquet_instants found;
    enum err err = arena == nullptr ? ERR_NOMEM
                                    : parquet_instants_find(footer, is_utc, field_ids.data(),
                                                            field_ids.size(), arena.get(), &found);
    if (err != ERR_OK) {
        throw_err(err, nullptr,
                  err == ERR_NOMEM ? "not enough memory for the footer of a file"
                                   : "the footer of a file is not to be understood",
                  "");
    }
    return {found.offsets, found.offsets + found.count};
}

static std::vector<uint64_t> find_in_file(uint64_t size_bytes, const instant_footers::reader &read)
{
    char tail[TAIL_BYTES];
    if (size_bytes < TAIL_BYTES) {
        return {};
    }
    read(size_bytes - TAIL_BYTES, tail, TAIL_BYTES);
    uint64_t len = parquet_footer_len({tail, TAIL_BYTES});
    if (len == 0 || len > size_bytes - TAIL_BYTES) {
        return {}; /* no such file, as the engine will say */
    }
    std::string footer(len, '\0');
    uint64_t at = size_bytes - TAIL_BYTES - len;
    read(at, &footer[0], len);
    auto places = find({footer.data(), footer.size()}, true, {});
    for (uint64_t &place : places) {
        place += at;
    }
    return places;
}

void instant_footers::show(size_t object, uint64_t size_bytes, uint64_t offset, void *bytes,
                           size_t len, const reader &read)
{
    std::unique_lock<std::mutex> held(lock);
    auto known = places.find(object);
    if (known == places.end()) {
        held.unlock();
        auto found = find_in_file(size_bytes, read);
        held.lock();
        known = places.emplace(object, std::move(found)).first;
    }
    auto &all = known->second;
    auto text = static_cast<uint8_t *>(bytes);
    for (auto at = std::lower_bound(all.begin(), all.end(), offset);
         at != all.end() && *at - offset < len; ++at) {
        text[*at - offset] = parquet_instant_byte(text[*at - offset], false);
    }
}

std::string with_instants(const std::string &end, const std::vector<int32_t> &field_ids)
{
    uint64_t len = parquet_footer_len({end.data(), end.size()});
    if (len == 0 || len + TAIL_BYTES > end.size()) {
        throw_err(ERR_INTERNAL, nullptr, "the end of a file was not written as it was to be", "");
    }
    size_t at = end.size() - TAIL_BYTES - len;
    std::string changed = end;
    for (uint64_t place : find({end.data() + at, len}, false, field_ids)) {
        auto byte = static_cast<uint8_t>(changed[at + place]);
        changed[at + place] = static_cast<char>(parquet_instant_byte(byte, true));
    }
    return changed;
}

} // namespace moat
