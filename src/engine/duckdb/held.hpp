/* The end of a file that is being written, held back until it is complete, to be changed as the
 * file is closed: a sink is written from front to back, and what has left cannot be had again. */
#pragma once

#include <duckdb/main/client_context.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <string>

namespace moat
{

class held_end
{
  public:
    /* `change` gives what is written in the place of what was held. */
    explicit held_end(std::function<std::string(const std::string &)> change_)
        : change(std::move(change_))
    {
    }

    /* What is written from now on is held. Not while the file is written to. */
    void begin()
    {
        is_holding = true;
    }

    /* ---- for the file's handle ---- */

    bool holds() const
    {
        return is_holding;
    }
    void append(const void *bytes, size_t len)
    {
        held.append(static_cast<const char *>(bytes), len);
    }
    /* Once, as the file is closed; throws what `change` throws. */
    std::string finish();

    /* ---- once the file is closed ---- */

    bool is_finished() const
    {
        return is_done;
    }
    /* Bytes that the file has more than were written; of fewer it is negative. */
    int64_t added_bytes() const
    {
        return added;
    }

  private:
    const std::function<std::string(const std::string &)> change;
    std::atomic<bool> is_holding{false};
    std::string held;
    bool is_done = false;
    int64_t added = 0;
};

/* The file that this context opens next at `path` has this end. */
void hold_end(duckdb::ClientContext &context, const std::string &path,
              std::shared_ptr<held_end> end);

/* What hold_end was told of the path, once; null if nothing. */
std::shared_ptr<held_end> take_held_end(duckdb::ClientContext &context, const std::string &path);

} // namespace moat
