/* What of a scan's files will be read soon, told from what was. No headers of the engine. */
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <vector>

extern "C" {
#include "engine/parquet_layout.h"
#include "engine/scan.h"
}

namespace moat
{

/* A scan reads the same columns of one row group after another, so those of the next groups can be
 * fetched while a group is decoded. Which columns is learnt from the reads themselves, where they
 * lie from the footers that pass by. Any thread. */
class read_ahead
{
  public:
    /* What to fetch for, and because of, a read that is about to be made. */
    std::vector<struct engine_scan_extent> before(size_t object, uint64_t offset, size_t len);
    /* Looks for a footer in what was read: then what to fetch of the file's first groups. */
    std::vector<struct engine_scan_extent> after(size_t object, uint64_t size_bytes,
                                                 uint64_t offset, const void *bytes, size_t len);

  private:
    enum chunk_state : uint8_t {
        UNKNOWN,
        TOLD,
        READ
    };
    struct known_file {
        uint64_t footer_at = 0; /* 0: not known */
        uint64_t footer_len = 0;
        bool is_done = false; /* it has a layout, or will have none */
        std::unique_ptr<struct arena, void (*)(struct arena *)> arena{nullptr, arena_free};
        struct parquet_layout layout = {nullptr, 0, 0};
        std::vector<uint8_t> states; /* of chunks */
        std::vector<bool> begun;     /* groups */
    };

    const struct parquet_chunk &chunk(const known_file &file, size_t group, size_t column) const;
    size_t group_of(const known_file &file, uint64_t offset) const;
    void mark(known_file *file, size_t group, uint64_t offset, size_t len);
    void tell(known_file *file, size_t first_group,
              std::vector<struct engine_scan_extent> *extents);
    bool is_wanted(size_t column) const;
    void learn(known_file *file, struct slice footer, uint64_t size_bytes);

    std::mutex lock;
    std::map<size_t, known_file> files;
    std::vector<size_t> column_reads; /* groups in which it was read, by column */
    size_t groups_begun = 0;
    size_t told_count = 0;
    size_t used_count = 0; /* of those that were told */
};

} // namespace moat
