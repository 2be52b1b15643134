/* A segment of the log as bytes: whatever they are, reading a group refuses it or stays inside. The
 * checksum is put right first, or nothing would get past it. */
#include "base/fuzz.h"
#include "base/mem.h"
#include "kernel/wal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct crc32c crc;
    if (crc.table[0][1] == 0) {
        crc32c_init(&crc, false);
    }
    uint8_t *bytes = mem_alloc(size + 1); /* exactly as long, so that a sanitizer sees its end */
    if (bytes == NULL) {
        return 0;
    }
    memcpy(bytes, data, size);
    struct wal_group group;
    if (size >= WAL_HEADER_BYTES) {
        uint64_t len = load_u32(bytes + 8), place[2] = {3, 4096};
        if (len >= WAL_HEADER_BYTES && len <= size) {
            uint32_t seed = crc32c_run(&crc, 0, place, sizeof(place));
            store_u32(bytes, crc32c_run(&crc, seed, bytes + 4, len - 4));
        }
    }
    if (wal_parse_group(&crc, 3, 4096, bytes, size, &group)) {
        uint64_t at = WAL_HEADER_BYTES, sum = 0;
        while (at < group.len) {
            struct wal_record record;
            at = wal_record_at(bytes, at, &record);
            for (uint64_t write = 0; write < record.writes_bytes;) {
                struct entry entry;
                write = wal_write_at(&record, write, &entry);
                sum += crc32c_run(&crc, 0, entry.key.ptr, entry.key.len);
                sum += crc32c_run(&crc, 0, entry.value.ptr, entry.value.len);
            }
        }
        ASSERT(at == group.len && sum < UINT64_MAX);
    }
    mem_free(bytes);
    return 0;
}
