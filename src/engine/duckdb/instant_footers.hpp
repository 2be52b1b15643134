/* Files with instants of nanoseconds, as the engine is shown them (engine/parquet_instants.h). No
 * headers of the engine. */
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include <cstddef>
#include <cstdint>

namespace moat
{

/* Of the files of a scan. Any thread. */
class instant_footers
{
  public:
    using reader = std::function<void(uint64_t offset, void *ret_bytes, size_t len)>;

    /* Makes of the file's bytes what the engine is to see. `read` reads the file itself; it is
     * called once for each file, before its first bytes are shown. Throws what it throws, and
     * ERR_CORRUPT for a footer that is not to be understood. */
    void show(size_t object, uint64_t size_bytes, uint64_t offset, void *bytes, size_t len,
              const reader &read);

  private:
    std::mutex lock;
    std::unordered_map<size_t, std::vector<uint64_t>> places; /* of bytes in files, ascending */
};

/* The end of a file that the engine has written (footer, length, magic bytes, and what came before
 * them) with the columns of these field ids said to be instants. Throws as above. */
std::string with_instants(const std::string &end, const std::vector<int32_t> &field_ids);

} // namespace moat
