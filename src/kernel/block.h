/* A block of a run: 4,096 bytes with entries in order, sorted for binary search in both directions.
 *
 *     0  u32 checksum     CRC32C of the rest, seeded with the run and the block number, so that a
 *                         block that was read from or written to another place does not pass
 *     4  u16 entry_count
 *     6  u16 prefix_len   bytes that all keys begin with
 *     8  u64 commit_base  the lowest commit
 *    16  u8  commit_width bytes of a commit above the base, 0 to 8
 *    17  u8  version      1
 *    18  prefix; u32 head of each entry: the first four bytes of its suffix, as a number that sorts
 *        as they do; u16 offset of each entry; entries; zeros
 *
 *     an entry: u16 suffix_len, u16 kind << 14 | value_len, commit - base, suffix, value
 *
 * No restart points as in LevelDB: cutting only what all keys share keeps each entry readable by
 * itself, so a backward scan costs what a forward one does. A search touches the heads, which lie
 * together, and one entry: heads cost 2 % of the space and made random reads twice as fast. */
#pragma once

#include "kernel/bytes.h"
#include "kernel/crc32c.h"

#define BLOCK_BYTES 4096u
#define BLOCK_ENTRIES_MAX 1024u
#define BLOCK_VALUE_BYTES_MAX 1024u /* longer ones are kept apart (values.h) */

/* ---- Writing */

/* Entries are kept as given until the block is full: only then is their prefix known. */
struct block_writer {
    struct {
        uint16_t key_at, key_len, value_len;
        uint8_t kind;
        uint64_t commit;
    } entries[BLOCK_ENTRIES_MAX];
    uint32_t entry_count;
    uint32_t prefix_len;
    uint32_t payload_bytes; /* of all keys and values */
    uint64_t commit_min, commit_max;
    uint32_t staged_bytes;
    uint8_t staged[2 * BLOCK_BYTES];
};

void block_writer_reset(struct block_writer *writer);

/* False: it does not fit, the block is full and unchanged. The entry must be behind the last. */
MUST_USE bool block_writer_add(struct block_writer *writer, const struct entry *entry);

/* Writes a block of the first `count` entries, which are then to be dropped. */
void block_writer_finish(const struct block_writer *writer, uint32_t count,
                         const struct crc32c *crc, uint64_t run, uint32_t block,
                         uint8_t ret_block[BLOCK_BYTES]);

/* Takes the first `count` entries out: the others begin the next block. */
void block_writer_drop(struct block_writer *writer, uint32_t count);

/* Valid until entries are dropped. */
struct slice block_writer_key(const struct block_writer *writer, uint32_t index);

/* ---- Reading */

/* True if these bytes are block `block` of run `run` and can be read without leaving them. */
MUST_USE bool block_check(const struct crc32c *crc, uint64_t run, uint32_t block,
                          const uint8_t *bytes);

/* The bounds of block_check without the checksum. */
MUST_USE bool block_is_sound(const uint8_t *bytes);

static inline uint32_t block_entry_count(const uint8_t *bytes)
{
    return load_u16(bytes + 4);
}

/* The first entry at or behind (key, commit), or entry_count. */
uint32_t block_seek(const uint8_t *bytes, struct slice key, uint64_t commit);

/* The value points into the block. The key's prefix does too, and its suffix lies elsewhere in the
 * block: `ret_entry->key` is put together in `key_bytes` (KERNEL_KEY_BYTES_MAX). */
void block_at(const uint8_t *bytes, uint32_t index, char *key_bytes, struct entry *ret_entry);

/* True if entry `index` is of `key`; then the entry without its key is set. */
bool block_is_key(const uint8_t *bytes, uint32_t index, struct slice key, struct entry *ret_entry);
