/* Values too long for a block: "values-<number>", beside the run of that number.
 *
 *     values, one behind the other, then a page of 4,096 bytes
 *
 *     page     0 u32 checksum, seeded with the run's number     4 u32 magic "Kvl1"
 *              8 u64 number        16 u64 bytes of the values   24 u32 checksum of their checksums
 *
 * A block has, in place of such a value, where it is: u64 offset, u32 len, u32 checksum, seeded
 * with the run's number and the offset. Values move with their keys in merges; a store of mostly
 * long values pays for that with write amplification, and never has garbage that no merge finds. */
#pragma once

#include "kernel/disk.h"

#define VALUES_PREFIX "values"
#define VALUES_PAGE_BYTES 4096u
#define VALUES_BUFFER_BYTES (64u << 10)
#define VALUE_PLACE_BYTES 16u

struct value_place {
    uint64_t offset;
    uint32_t len, checksum;
};

static inline struct value_place value_place_load(struct slice bytes)
{
    ASSERT(bytes.len == VALUE_PLACE_BYTES);
    return (struct value_place){.offset = load_u64(bytes.ptr),
                                .len = load_u32(bytes.ptr + 8),
                                .checksum = load_u32(bytes.ptr + 12)};
}

/* ---- Reading */

/* Opens the file of run `number`, which must have `bytes` of values. */
MUST_USE enum err values_open(struct disk *disk, uint64_t number, uint64_t bytes,
                              kernel_file *ret_file);

/* Reads and checks one value of at most `len_max` bytes, twice if the first time it is not what was
 * written. */
MUST_USE enum err values_read(struct disk *disk, kernel_file file, uint64_t number,
                              const struct value_place *place, uint32_t len_max, char *ret_value);

/* True if these bytes are the last page of the file of run `number`. */
MUST_USE bool values_parse_page(const struct crc32c *crc, const uint8_t *page, uint64_t number,
                                uint64_t *ret_bytes);

/* ---- Writing */

struct values_writer {
    struct disk *disk;
    kernel_file file;
    uint64_t number;
    bool is_open; /* there is a file: from the first value on */
    uint8_t *buffer;
    uint32_t used, checksum, len_max;
    uint64_t written, synced; /* bytes before the buffer's */
};

/* `buffer`: VALUES_BUFFER_BYTES, stays the caller's. */
void values_writer_init(struct values_writer *writer, struct disk *disk, uint8_t *buffer);
void values_writer_begin(struct values_writer *writer, uint64_t number);
MUST_USE enum err values_writer_add(struct values_writer *writer, struct slice value,
                                    uint8_t ret_place[VALUE_PLACE_BYTES]);
MUST_USE enum err values_writer_finish(struct values_writer *writer);
void values_writer_abandon(struct values_writer *writer);

static inline uint64_t values_writer_bytes(const struct values_writer *writer)
{
    return writer->written + writer->used;
}
