/* Groups of the log by themselves: what is in one comes out, and nothing but it at its place. */
#include "base/mem.h"
#include "base/test.h"
#include "kernel/wal.h"

#define BUFFER_BYTES (64u << 10)

TEST(wal, a_group_is_sound_at_its_place_only)
{
    // Goal: a group is taken back with its records; not as one of another segment or offset (files
    // of segments are used again), nor with a changed byte, nor cut off.
    struct disk disk = {0};
    crc32c_init(&disk.crc, false);
    void *memory = mem_alloc(2 * BUFFER_BYTES + 16);
    CHECK(memory != NULL);
    void *aligned = (void *)(((uintptr_t)memory + 15) & ~(uintptr_t)15);
    struct wal wal;
    wal_init(&wal, &disk, aligned, BUFFER_BYTES, 4 * BUFFER_BYTES);
    wal.is_open = true;
    wal.segment = 7;
    wal.at = 2 * WAL_ALIGN;
    struct entry entry = {.key = SLICE("key"), .value = SLICE("value"), .commit = 41};
    for (uint32_t i = 0; i < 2; i++, entry.commit++) {
        wal_begin_record(&wal, entry.commit, wal_write_bytes(3, 5), 1);
        wal_add_write(&wal, &entry);
    }
    const void *bytes = NULL;
    uint64_t offset = 0, len = 0;
    CHECK(wal_take_group(&wal, 40, &bytes, &offset, &len));
    CHECK(offset == 2 * WAL_ALIGN && len == WAL_ALIGN);
    struct wal_group group;
    CHECK(wal_parse_group(&disk.crc, 7, offset, bytes, len, &group));
    CHECK(group.record_count == 2 && group.commit_first == 41 && group.commit_last == 42);
    CHECK(group.durable == 40);
    uint64_t at = WAL_HEADER_BYTES;
    for (uint64_t commit = 41; commit < 43; commit++) {
        struct wal_record record;
        struct entry got;
        at = wal_record_at(bytes, at, &record);
        CHECK(record.commit == commit && record.write_count == 1);
        CHECK(wal_write_at(&record, 0, &got) == record.writes_bytes);
        CHECK_SLICE("key", got.key);
        CHECK_SLICE("value", got.value);
    }
    CHECK(at == group.len);
    struct wal_group other;
    CHECK(!wal_parse_group(&disk.crc, 6, offset, bytes, len, &other));
    CHECK(!wal_parse_group(&disk.crc, 7, offset + WAL_ALIGN, bytes, len, &other));
    CHECK(!wal_parse_group(&disk.crc, 7, offset, bytes, group.len - 1, &other));
    uint8_t *changed = aligned;
    for (uint64_t i = 0; i < group.len; i++) {
        changed[i] ^= 4;
        CHECK(!wal_parse_group(&disk.crc, 7, offset, bytes, len, &other));
        changed[i] ^= 4;
    }
    CHECK(wal_parse_group(&disk.crc, 7, offset, bytes, len, &other));
    mem_free(memory);
}

/* A file of one group whose first reads are of another place. */
struct erring_file {
    const uint8_t *bytes;
    uint32_t wrong_left, read_count;
};

static enum err read_erring(void *ctx, kernel_file file, uint64_t offset, void *ret_bytes,
                            size_t len, size_t *ret_len)
{
    (void)file;
    struct erring_file *erring = ctx;
    erring->read_count++;
    memset(ret_bytes, 0, len);
    if (erring->wrong_left > 0) {
        erring->wrong_left--;
    } else {
        memcpy(ret_bytes, erring->bytes + offset, len);
    }
    *ret_len = len;
    return ERR_OK;
}

TEST(wal, a_disk_that_errs_thrice_is_not_the_end_of_the_log)
{
    // Goal: a group that is there is found though all reads but the last are of another place; what
    // four reads do not show is the tail, and a group that is read well is read once.
    struct erring_file erring = {0};
    struct disk disk = {.io = {.ctx = &erring, .read = read_erring}};
    crc32c_init(&disk.crc, false);
    void *memory = mem_alloc(2 * BUFFER_BYTES + 16);
    CHECK(memory != NULL);
    struct wal wal;
    wal_init(&wal, &disk, (void *)(((uintptr_t)memory + 15) & ~(uintptr_t)15), BUFFER_BYTES,
             4 * BUFFER_BYTES);
    wal.is_open = true;
    wal.segment = 7;
    struct entry entry = {.key = SLICE("key"), .value = SLICE("value"), .commit = 41};
    wal_begin_record(&wal, entry.commit, wal_write_bytes(3, 5), 1);
    wal_add_write(&wal, &entry);
    const void *bytes = NULL;
    uint64_t offset = 0, len = 0;
    CHECK(wal_take_group(&wal, 40, &bytes, &offset, &len));
    CHECK(offset == 0 && len == WAL_ALIGN);
    erring.bytes = bytes;
    static uint8_t buffer[WAL_ALIGN];
    for (uint32_t wrong = 0; wrong <= WAL_TAIL_READS; wrong++) {
        struct wal_group group;
        bool is_sound = false;
        erring.wrong_left = wrong;
        erring.read_count = 0;
        CHECK(wal_read_group(&wal, 1, 7, 0, WAL_ALIGN, WAL_TAIL_READS, buffer, &group, &is_sound) ==
              ERR_OK);
        CHECK(is_sound == (wrong < WAL_TAIL_READS));
        CHECK(erring.read_count == (is_sound ? wrong + 1 : WAL_TAIL_READS));
    }
    CHECK(WAL_TAIL_READS >= 4);
    mem_free(memory);
}
