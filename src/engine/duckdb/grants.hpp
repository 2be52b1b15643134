/* What one query may read or write: objects, sinks, and scans with files of their own. Comes
 * after DuckDB's headers (module.hpp). */
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

/* C lets a function and a struct share a name; C++ calls the one a shadow of the other. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
extern "C" {
#include "engine/engine_module.h"
#include "engine/scan.h"
}
#pragma GCC diagnostic pop

namespace moat
{

class instant_footers;
class read_ahead;

struct grant_object {
    uint64_t size_bytes;
    int64_t modified_us;
    std::string etag;
    std::string extension;
    bool has_hidden;
};

/* Files that a scan has named so far, by number. */
struct scan_offers {
    std::mutex lock;
    std::unordered_map<size_t, const struct engine_scan_file *> files;
    std::shared_ptr<read_ahead> ahead;         /* has a lock of its own */
    std::shared_ptr<instant_footers> instants; /* the same; null: the scan has none */
};

class grant_state
{
  public:
    grant_state(const struct engine_grant_spec &spec, std::string id);

    /* One call in flight: while it lives, what the grant's spec points to lives too. Throws as
     * above. */
    class use
    {
      public:
        explicit use(grant_state &grant);
        ~use();
        use(const use &) = delete;
        use &operator=(const use &) = delete;

      private:
        grant_state &grant;
    };

    /* Both throw unless the grant is open and has not expired. */
    void read_at(size_t index, uint64_t offset, void *ret_bytes, size_t len);
    void write_next(size_t index, const void *bytes, size_t len);

    /* Of the files of a scan: those that its files() has named may be read. */
    const struct engine_scan_spec &scan(size_t index, const use &in_use) const;
    void offer(size_t scan_index, const struct engine_scan_file *files, size_t count);
    bool find_offered(size_t scan_index, size_t object, uint64_t *ret_size_bytes,
                      std::string *ret_etag);
    void read_scan_at(size_t scan_index, size_t object, uint64_t size_bytes, uint64_t offset,
                      void *ret_bytes, size_t len);

    /* The rows of the grant; throws if there are none. */
    const struct engine_rows &the_rows(const use &in_use) const;
    /* The first to read them: they are read once. */
    void open_rows();
    void next_rows(struct ArrowArray *ret_batch);

    void open_for_reading(); /* counts; throws as above */
    void open_for_writing(size_t index);
    bool was_written(size_t index);
    void close(); /* waits for calls in flight */

    const std::string id;
    const std::vector<grant_object> objects;
    const size_t writable_count;
    const size_t scan_count;
    const bool has_rows;
    std::atomic<uint64_t> files_opened{0};
    std::atomic<uint64_t> bytes_read{0};
    std::atomic<uint64_t> bytes_written{0};

  private:
    void check_usable(const std::unique_lock<std::mutex> &held) const;

    const std::vector<const struct engine_scan_spec *> scans;
    const std::unique_ptr<scan_offers[]> offers;
    const struct engine_rows *const rows;
    const engine_read_fn read;
    const engine_write_fn write;
    void *const context;
    const int64_t expires_wall_us;
    std::mutex lock;
    std::condition_variable idle;
    size_t in_flight = 0;       /* under lock */
    bool is_closed = false;     /* under lock */
    bool has_rows_open = false; /* under lock */
    std::vector<bool> taken;    /* writable objects that were opened; under lock */
};

class grant_registry
{
  public:
    void add(const std::shared_ptr<grant_state> &grant);
    void remove(const std::string &id);
    std::shared_ptr<grant_state> find(const std::string &id); /* null if there is none */

  private:
    std::mutex lock;
    std::unordered_map<std::string, std::shared_ptr<grant_state>> grants;
};

} // namespace moat
