/* Runs: immutable sorted files "run-<number>".
 *
 *     blocks (block.h), filter, index (index.h), places if they are compressed (places.h), footer
 *     of 4,096 bytes
 *
 *     footer   0 u32 checksum, seeded with the run's number     4 u32 magic "Krn1"
 *              8 u64 number            16 u32 block_count       20 u32 filter bits per key
 *             24 u64 entry_count       32 u64 key_count         40 u64 commit_min
 *             48 u64 commit_max        56 u64 filter_len        64 u64 index_len
 *             72 u32 filter checksum   76 u32 index checksum    80 u64 tombstone_count
 *             88 u16 smallest_len      90 u16 largest_len       92 u32 alphabet.ends
 *             96 alphabet.symbols    1120 smallest key        2144 largest key
 *           3168 u64 bytes of values that are kept apart (values.h); 0 = none, no such file
 *           3176 u32 the longest of them
 *           3180 u32 codec of the blocks, 0 = none  3184 u64 bytes of the blocks
 *           3192 u64 places_len                     3200 u32 places checksum
 *
 * Filter and index of an open run are in memory. */
#pragma once

#include "kernel/block.h"
#include "kernel/disk.h"
#include "kernel/index.h"
#include "kernel/places.h"
#include "kernel/values.h"

#define RUN_PREFIX "run"
#define RUN_BLOCK_BITS 20u
#define RUN_BLOCKS_MAX (1u << RUN_BLOCK_BITS)
#define RUN_FOOTER_BYTES 4096u

/* Memory of tables, in pages, first fit; deterministic. */
struct table_pool {
    uint8_t *pages;
    uint8_t *used; /* a byte for each page */
    uint64_t page_count;
};

uint64_t table_pool_memory_bytes(uint64_t table_bytes);
void table_pool_init(struct table_pool *pool, void *memory, uint64_t table_bytes);

struct run {
    uint64_t number; /* 0 = this slot is free */
    kernel_file file;
    uint32_t block_count;
    uint32_t filter_bits_per_key;
    uint32_t footer_crc; /* what the manifest knows it by */
    uint64_t file_bytes, blocks_bytes;
    const struct kernel_codec *codec; /* NULL: blocks are as they are */
    const uint8_t *places;            /* if there is a codec */
    kernel_file values_file;
    uint64_t values_bytes; /* 0: there is no such file */
    uint32_t value_len_max;
    uint64_t entry_count, key_count, tombstone_count;
    uint64_t commit_min, commit_max;
    struct slice smallest, largest; /* keys */
    struct index_view index;
    uint64_t index_len;
    const uint8_t *filter;
    uint64_t filter_len; /* 0: no room for the filter, every lookup reads */
    uint8_t *table;
    uint64_t table_len;
};

/* What lies behind the blocks. */
struct run_tables {
    uint64_t filter_len, places_len;
    uint32_t codec;
};

/* Opens and checks the footer, filter, index and places. ERR_UNSUPPORTED: an unknown codec. */
MUST_USE enum err run_open(struct run *run, struct disk *disk, struct table_pool *pool,
                           uint64_t number);
void run_close(struct run *run, struct disk *disk, struct table_pool *pool);

/* Reads and checks one block, twice if the first time it is not what was written. */
MUST_USE enum err run_read_block(const struct run *run, struct disk *disk, uint32_t block,
                                 uint8_t ret_block[BLOCK_BYTES]);

/* The value of an entry whose kind is ENTRY_FAR, into `buffer`, which has room for the longest
 * value of the run. */
MUST_USE enum err run_read_value(const struct run *run, struct disk *disk,
                                 const struct entry *entry, char *buffer, struct slice *ret_value);

/* Where a block lies in the file. */
void run_block_place(const struct run *run, uint32_t block, uint64_t *ret_offset,
                     uint32_t *ret_len);

/* A block from the `len` bytes at its place; false if it is not what was written. `ret_block` may
 * be `bytes` in a run without codec. */
MUST_USE bool run_unpack_block(const struct run *run, const struct disk *disk, uint32_t block,
                               const uint8_t *bytes, uint32_t len, uint8_t *ret_block);

MUST_USE enum err run_read_alphabet(const struct run *run, struct disk *disk,
                                    struct alphabet *ret_alphabet);

/* True if the bytes are a footer of run `number`; for run_open and its fuzz target. */
MUST_USE bool run_parse_footer(const struct crc32c *crc, const uint8_t *footer, uint64_t number,
                               struct run *ret_run, struct run_tables *ret_tables);

/* ---- Writing */

struct run_writer {
    struct disk *disk;
    kernel_file file;
    uint64_t number;
    bool is_open;
    uint32_t keys_max, filter_bits_per_key;
    uint64_t bytes_max;
    struct alphabet alphabet;
    struct block_writer block;
    const struct kernel_codec *codec; /* of the open run, or NULL */
    uint64_t blocks_bytes;
    uint8_t *units; /* of each block, less 1 */
    uint8_t raw[BLOCK_BYTES];
    struct index_builder index;
    struct values_writer values;
    uint64_t *hashes;
    uint8_t *buffer; /* what is not written yet; at the end filter and index */
    uint64_t buffer_bytes, buffer_used;
    uint64_t file_at, synced_at;
    uint64_t entry_count, key_count, tombstone_count, commit_min, commit_max;
    uint32_t block_count;
    uint16_t smallest_len, last_len;
    char smallest[KERNEL_KEY_BYTES_MAX], last[KERNEL_KEY_BYTES_MAX];
};

uint64_t run_writer_memory_bytes(uint64_t run_bytes, uint64_t filter_bits_per_key);
void run_writer_init(struct run_writer *writer, struct disk *disk, void *memory, uint64_t run_bytes,
                     uint64_t filter_bits_per_key);

/* `alphabet` covers all keys to come. `codec` 0: none. */
MUST_USE enum err run_writer_begin(struct run_writer *writer, uint64_t number,
                                   const struct alphabet *alphabet, uint32_t codec);

/* True if the run should end before the next key. */
bool run_writer_is_full(const struct run_writer *writer);

/* Entries in order, with their values. `is_new_key`: the key differs from the last one. */
MUST_USE enum err run_writer_add(struct run_writer *writer, const struct entry *entry,
                                 bool is_new_key);

/* Writes the rest, syncs and closes. There must be an entry. */
MUST_USE enum err run_writer_finish(struct run_writer *writer);

/* Closes; the file stays, for the next open of the store to remove. NULL-safe on a closed one. */
void run_writer_abandon(struct run_writer *writer);
