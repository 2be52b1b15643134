#include "engine/duckdb/held.hpp"

#include "engine/duckdb/module.hpp"

#include <map>
#include <mutex>

namespace moat
{

namespace
{

struct held_ends : duckdb::ClientContextState {
    std::mutex lock;
    std::map<std::string, std::shared_ptr<held_end>> by_path;
};

} // namespace

static const char STATE[] = "moat_held_ends";

std::string held_end::finish()
{
    std::string changed = change(held);
    added = static_cast<int64_t>(changed.size()) - static_cast<int64_t>(held.size());
    is_done = true;
    held = std::string();
    return changed;
}

void hold_end(duckdb::ClientContext &context, const std::string &path,
              std::shared_ptr<held_end> end)
{
    auto state = context.registered_state->GetOrCreate<held_ends>(STATE);
    std::lock_guard<std::mutex> guard(state->lock);
    state->by_path[path] = std::move(end);
}

std::shared_ptr<held_end> take_held_end(duckdb::ClientContext &context, const std::string &path)
{
    auto state = context.registered_state->Get<held_ends>(STATE);
    if (!state) {
        return nullptr;
    }
    std::lock_guard<std::mutex> guard(state->lock);
    auto found = state->by_path.find(path);
    if (found == state->by_path.end()) {
        return nullptr;
    }
    auto end = std::move(found->second);
    state->by_path.erase(found);
    return end;
}

} // namespace moat
