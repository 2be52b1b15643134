/* The log: segments "wal-<number>", each a row of groups of commits at multiples of 4,096 bytes.
 *
 *     group   0 u32 checksum of the rest, seeded with the segment's number and the offset
 *             4 u32 magic "Kwl1"
 *             8 u32 len            without the padding to the next multiple
 *            12 u32 record_count
 *            16 u64 commit_first  24 u64 commit_last
 *            32 u64 durable       the last commit known to be durable when this group was written
 *            40 records: u64 commit, u32 len of its writes, u32 write_count, writes
 *               write: u8 kind, u8 0, u16 key_len, u32 value_len, key, value
 *
 * A group is there whole or not at all. No two groups share a sector, so that a torn write never
 * touches what was synced before.
 *
 * The tail. Reading ends at the first place without a sound group. If a sound group behind it, in
 * this segment or a later one, says that commits were durable which reading has not found, the log
 * is corrupt and nothing is opened. If not, what is behind was never acknowledged and is dropped.
 * What no log of one machine can tell from a torn tail is rot in the very last synced group after a
 * crash. Every open ends by flushing what it read and starts a new segment, so a tail is judged
 * once.
 */
#pragma once

#include "kernel/disk.h"
#include "kernel/memtable.h"

#define WAL_PREFIX "wal"
#define WAL_ALIGN 4096u
#define WAL_HEADER_BYTES 40u
#define WAL_RECORD_BYTES 16u
#define WAL_WRITE_BYTES 8u
#define WAL_TAIL_READS 4u /* a disk that errs thrice running must not look like the log's end */

struct wal {
    struct disk *disk;
    uint64_t segment_bytes, buffer_bytes;
    kernel_file file;
    bool is_open;
    bool is_unsynced; /* something was written that no sync covers yet */
    bool is_job;      /* one buffer is with a sync job */
    bool has_next;    /* the segment behind the open one is there already, empty */
    bool is_creating; /* or will be: nobody else may create it */
    kernel_file next_file;
    uint64_t
        spare; /* a segment that is not needed any more, its file kept to be used again; or 0 */
    uint64_t segment; /* the number of the open one */
    uint64_t at;      /* where the next group goes */
    uint8_t *buffers[2];
    uint32_t filling;
    uint64_t used; /* of the buffer that is filling; 0 = no group begun */
    uint32_t record_count;
    uint64_t commit_first, commit_last;
    uint64_t written_bytes;
};

/* `memory`: 2 * buffer_bytes, 16-byte aligned. */
void wal_init(struct wal *wal, struct disk *disk, void *memory, uint64_t buffer_bytes,
              uint64_t segment_bytes);

/* Creates the empty file of segment `number`, there to stay. `is_filled`: in part, with zeros, so
 * that a group is written where something was written before, and a sync of it waits for no
 * metadata of the file system. Touches nothing of a wal. */
MUST_USE enum err wal_create_segment(struct disk *disk, uint64_t number, uint64_t segment_bytes,
                                     bool is_filled, kernel_file *ret_file);

/* Makes the file of segment `spare`, which no manifest needs, that of segment `number`. What is in
 * it is of another place, so no group of it is sound; and a write to it changes no metadata of the
 * file system, for which a sync would wait. */
MUST_USE enum err wal_reuse_segment(struct disk *disk, uint64_t spare, uint64_t number,
                                    kernel_file *ret_file);

/* Makes segment `number` the open one, and creates it unless wal_adopt_next was called for it; what
 * was written to the one before must be synced. */
MUST_USE enum err wal_start_segment(struct wal *wal, uint64_t number);

/* `file`: of segment `wal->segment` + 1, from wal_create_segment. */
void wal_adopt_next(struct wal *wal, kernel_file file);
void wal_close(struct wal *wal);

/* Bytes of a record with these writes (`writes_bytes` as wal_write_bytes adds up). */
static inline uint64_t wal_write_bytes(size_t key_len, size_t value_len)
{
    return WAL_WRITE_BYTES + key_len + value_len;
}
bool wal_has_room(const struct wal *wal, uint64_t writes_bytes);

/* A record: begin with the sum of wal_write_bytes, then as many writes. There must be room. */
void wal_begin_record(struct wal *wal, uint64_t commit, uint64_t writes_bytes,
                      uint32_t write_count);
void wal_add_write(struct wal *wal, const struct entry *entry);

/* Closes the group that is filling; false if there is none. */
bool wal_take_group(struct wal *wal, uint64_t durable, const void **ret_bytes, uint64_t *ret_offset,
                    uint64_t *ret_len);

/* ---- Reading */

struct wal_group {
    uint32_t len, record_count;
    uint64_t commit_first, commit_last, durable;
};

/* Nothing but what is like this (WAL_HEADER_BYTES) begins a group. */
bool wal_may_begin(const uint8_t *bytes);

/* True if `bytes` (len of them) begin with a sound group of that place; records are checked too. */
MUST_USE bool wal_parse_group(const struct crc32c *crc, uint64_t segment, uint64_t offset,
                              const uint8_t *bytes, uint64_t len, struct wal_group *ret_group);

struct wal_record {
    uint64_t commit, writes_bytes;
    uint32_t write_count;
    const uint8_t *writes;
};

/* The record at `at` (WAL_HEADER_BYTES for the first) of a sound group; returns where the next one
 * is, which is the group's len behind the last. */
uint64_t wal_record_at(const uint8_t *group, uint64_t at, struct wal_record *ret_record);

/* One write of a record at `at` (0 for the first); returns where the next one is. */
uint64_t wal_write_at(const struct wal_record *record, uint64_t at, struct entry *ret_entry);

/* The sound group at `offset` into `buffer` (wal->buffer_bytes); `ret_is_sound` false if none of so
 * many `reads` gave one. ERR_IO. */
MUST_USE enum err wal_read_group(const struct wal *wal, kernel_file file, uint64_t segment,
                                 uint64_t offset, uint64_t file_bytes, uint32_t reads,
                                 uint8_t *buffer, struct wal_group *ret_group, bool *ret_is_sound);
