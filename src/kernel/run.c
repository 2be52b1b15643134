#include "kernel/run.h"

#include "kernel/filter.h"

#define MAGIC 0x316E724Bu /* "Krn1" */
#define PAGE_BYTES 4096u
#define FOOTER_ALPHABET 96u
#define FOOTER_SMALLEST 1120u
#define FOOTER_LARGEST 2144u
#define FOOTER_VALUES 3168u
#define FOOTER_CODEC 3180u

/* ---- Table memory */

uint64_t table_pool_memory_bytes(uint64_t table_bytes)
{
    ASSERT(table_bytes < UINT64_MAX / 2);
    ASSERT(table_bytes >= PAGE_BYTES);
    uint64_t count = table_bytes / PAGE_BYTES;
    return count * PAGE_BYTES + align_up(count, 64) + 64;
}

void table_pool_init(struct table_pool *pool, void *memory, uint64_t table_bytes)
{
    ASSERT(((uintptr_t)memory & 15) == 0);
    pool->page_count = table_bytes / PAGE_BYTES;
    ASSERT(pool->page_count > 0);
    pool->pages = (uint8_t *)memory + (align_up((uintptr_t)memory, 64) - (uintptr_t)memory);
    pool->used = pool->pages + pool->page_count * PAGE_BYTES;
    memset(pool->used, 0, pool->page_count);
}

static uint8_t *pool_take(struct table_pool *pool, uint64_t len)
{
    ASSERT(pool->page_count > 0);
    ASSERT(len > 0);
    uint64_t wanted = align_up(len, PAGE_BYTES) / PAGE_BYTES, free = 0;
    for (uint64_t i = 0; i < pool->page_count; i++) {
        free = pool->used[i] != 0 ? 0 : free + 1;
        if (free == wanted) {
            uint64_t first = i + 1 - wanted;
            memset(pool->used + first, 1, wanted);
            return pool->pages + first * PAGE_BYTES;
        }
    }
    return NULL;
}

static void pool_give(struct table_pool *pool, const uint8_t *table, uint64_t len)
{
    ASSERT(table >= pool->pages);
    uint64_t first = (uint64_t)(table - pool->pages) / PAGE_BYTES;
    uint64_t count = align_up(len, PAGE_BYTES) / PAGE_BYTES;
    ASSERT(first + count <= pool->page_count);
    for (uint64_t i = first; i < first + count; i++) {
        ASSERT(pool->used[i] == 1);
        pool->used[i] = 0;
    }
}

/* ---- Reading */

static uint32_t number_seed(const struct crc32c *crc, uint64_t number)
{
    ASSERT(number < UINT64_MAX >> RUN_BLOCK_BITS);
    ASSERT(number > 0);
    return crc32c_run(crc, 0, &number, sizeof(number));
}

bool run_parse_footer(const struct crc32c *crc, const uint8_t *footer, uint64_t number,
                      struct run *ret_run, struct run_tables *ret_tables)
{
    ASSERT(crc != NULL && ret_tables != NULL);
    ASSERT(footer != NULL && ret_run != NULL);
    uint32_t checksum = crc32c_run(crc, number_seed(crc, number), footer + 4, RUN_FOOTER_BYTES - 4);
    if (load_u32(footer) != checksum || load_u32(footer + 4) != MAGIC ||
        load_u64(footer + 8) != number) {
        return false;
    }
    struct run run = {.number = number,
                      .footer_crc = checksum,
                      .block_count = load_u32(footer + 16),
                      .filter_bits_per_key = load_u32(footer + 20),
                      .entry_count = load_u64(footer + 24),
                      .key_count = load_u64(footer + 32),
                      .commit_min = load_u64(footer + 40),
                      .commit_max = load_u64(footer + 48),
                      .index_len = load_u64(footer + 64),
                      .tombstone_count = load_u64(footer + 80),
                      .values_bytes = load_u64(footer + FOOTER_VALUES),
                      .value_len_max = load_u32(footer + FOOTER_VALUES + 8),
                      .blocks_bytes = load_u64(footer + FOOTER_CODEC + 4)};
    struct run_tables tables = {.codec = load_u32(footer + FOOTER_CODEC),
                                .places_len = load_u64(footer + FOOTER_CODEC + 12)};
    uint64_t filter_len = load_u64(footer + 56);
    uint16_t smallest_len = load_u16(footer + 88), largest_len = load_u16(footer + 90);
    if (run.block_count == 0 || run.block_count > RUN_BLOCKS_MAX || run.filter_bits_per_key == 0 ||
        run.filter_bits_per_key > 64 || run.commit_min > run.commit_max || run.key_count == 0 ||
        run.key_count > run.entry_count || filter_len == 0 || filter_len % FILTER_LINE_BYTES != 0 ||
        filter_len > UINT32_MAX || run.index_len > UINT32_MAX || run.index_len % 8 != 0 ||
        run.values_bytes > INT64_MAX / 2 || run.value_len_max > KERNEL_VALUE_BYTES_MAX ||
        smallest_len > KERNEL_KEY_BYTES_MAX || largest_len > KERNEL_KEY_BYTES_MAX) {
        return false;
    }
    uint64_t most = (uint64_t)run.block_count * BLOCK_BYTES;
    bool is_raw = tables.codec == 0;
    if (tables.codec > UINT8_MAX || run.blocks_bytes > most ||
        (is_raw && run.blocks_bytes != most) ||
        tables.places_len != (is_raw ? 0 : places_bytes(run.block_count))) {
        return false;
    }
    run.smallest = (struct slice){(const char *)footer + FOOTER_SMALLEST, smallest_len};
    run.largest = (struct slice){(const char *)footer + FOOTER_LARGEST, largest_len};
    if (key_compare(run.smallest, run.largest) > 0) {
        return false;
    }
    run.file_bytes =
        run.blocks_bytes + filter_len + run.index_len + tables.places_len + RUN_FOOTER_BYTES;
    tables.filter_len = filter_len;
    *ret_run = run;
    *ret_tables = tables;
    return true;
}

/* Brings keys, index and, if there is room, the filter into memory of the pool. */
static enum err load_tables(struct run *run, struct disk *disk, struct table_pool *pool,
                            const uint8_t *footer, const char *name,
                            const struct run_tables *tables)
{
    uint64_t filter_len = tables->filter_len, filter_at = run->blocks_bytes;
    ASSERT(run->number > 0);
    ASSERT(footer != NULL && filter_len > 0);
    uint64_t keys_len = align_up(run->smallest.len + run->largest.len, 8) + tables->places_len;
    run->filter_len = filter_len;
    run->table_len = filter_len + run->index_len + keys_len;
    run->table = pool_take(pool, run->table_len);
    if (run->table == NULL) {
        run->filter_len = 0;
        run->table_len = run->index_len + keys_len;
        run->table = pool_take(pool, run->table_len);
    }
    if (run->table == NULL) {
        return ERR_LIMIT;
    }
    run->filter = run->table;
    uint8_t *index = run->table + run->filter_len;
    uint8_t *places = index + run->index_len;
    char *keys = (char *)places + tables->places_len;
    run->places = places;
    copy_bytes(keys, run->smallest.ptr, run->smallest.len);
    copy_bytes(keys + run->smallest.len, run->largest.ptr, run->largest.len);
    run->smallest.ptr = keys;
    run->largest.ptr = keys + run->smallest.len;
    if (run->filter_len > 0) {
        TRY(disk_read(disk, run->file, name, filter_at, run->table, filter_len));
        if (disk_crc(disk, 0, run->table, filter_len) != load_u32(footer + 72)) {
            return disk_fault(disk, KERNEL_FAULT_CHECKSUM, name, filter_at);
        }
    }
    uint64_t index_at = filter_at + filter_len;
    TRY(disk_read(disk, run->file, name, index_at, index, run->index_len));
    if (disk_crc(disk, 0, index, run->index_len) != load_u32(footer + 76)) {
        return disk_fault(disk, KERNEL_FAULT_CHECKSUM, name, index_at);
    }
    if (!index_open(index, run->index_len, &run->index) ||
        run->index.block_count != run->block_count) {
        return disk_fault(disk, KERNEL_FAULT_FORMAT, name, index_at);
    }
    uint64_t places_at = index_at + run->index_len;
    if (tables->places_len == 0) {
        return ERR_OK;
    }
    TRY(disk_read(disk, run->file, name, places_at, places, tables->places_len));
    if (disk_crc(disk, 0, places, tables->places_len) != load_u32(footer + FOOTER_CODEC + 20)) {
        return disk_fault(disk, KERNEL_FAULT_CHECKSUM, name, places_at);
    }
    return places_are_sound(places, run->block_count, run->blocks_bytes)
               ? ERR_OK
               : disk_fault(disk, KERNEL_FAULT_FORMAT, name, places_at);
}

enum err run_open(struct run *run, struct disk *disk, struct table_pool *pool, uint64_t number)
{
    ASSERT(run->number == 0);
    ASSERT(number > 0);
    char name[KERNEL_NAME_BYTES];
    disk_name(RUN_PREFIX, number, name);
    kernel_file file = 0;
    enum err result = disk->io.open(disk->io.ctx, name, false, &file);
    if (result != ERR_OK) {
        return disk_fault(disk, result == ERR_NOT_FOUND ? KERNEL_FAULT_MISSING : KERNEL_FAULT_IO,
                          name, 0);
    }
    uint64_t size = 0;
    struct run_tables tables = {0};
    uint8_t footer[RUN_FOOTER_BYTES];
    struct run opened = {0};
    result = disk->io.size(disk->io.ctx, file, &size);
    if (result != ERR_OK) {
        result = disk_fault(disk, KERNEL_FAULT_IO, name, 0);
    } else if (size < RUN_FOOTER_BYTES) {
        result = disk_fault(disk, KERNEL_FAULT_MISSING, name, 0);
    } else {
        uint64_t at = size - RUN_FOOTER_BYTES;
        result = disk_read(disk, file, name, at, footer, RUN_FOOTER_BYTES);
        if (result == ERR_OK && (!run_parse_footer(&disk->crc, footer, number, &opened, &tables) ||
                                 opened.file_bytes != size)) {
            result = disk_fault(disk, KERNEL_FAULT_CHECKSUM, name, at);
        }
    }
    if (result == ERR_OK && tables.codec != 0) {
        opened.codec = disk_codec(disk, tables.codec);
        result = opened.codec == NULL ? ERR_UNSUPPORTED : ERR_OK;
    }
    if (result == ERR_OK) {
        opened.file = file;
        result = load_tables(&opened, disk, pool, footer, name, &tables);
    }
    if (result == ERR_OK && opened.values_bytes > 0) {
        result = values_open(disk, number, opened.values_bytes, &opened.values_file);
    }
    if (result != ERR_OK) {
        if (opened.table != NULL) {
            pool_give(pool, opened.table, opened.table_len);
        }
        disk->io.close(disk->io.ctx, file);
        return result;
    }
    *run = opened;
    return ERR_OK;
}

void run_close(struct run *run, struct disk *disk, struct table_pool *pool)
{
    ASSERT(run->number > 0);
    ASSERT(run->table != NULL);
    disk->io.close(disk->io.ctx, run->file);
    if (run->values_bytes > 0) {
        disk->io.close(disk->io.ctx, run->values_file);
    }
    pool_give(pool, run->table, run->table_len);
    *run = (struct run){0};
}

void run_block_place(const struct run *run, uint32_t block, uint64_t *ret_offset, uint32_t *ret_len)
{
    ASSERT(block < run->block_count);
    ASSERT(ret_offset != NULL && ret_len != NULL);
    if (run->codec != NULL) {
        places_find(run->places, block, ret_offset, ret_len);
        return;
    }
    *ret_offset = (uint64_t)block * BLOCK_BYTES;
    *ret_len = BLOCK_BYTES;
}

bool run_unpack_block(const struct run *run, const struct disk *disk, uint32_t block,
                      const uint8_t *bytes, uint32_t len, uint8_t *ret_block)
{
    ASSERT(len >= PLACE_UNIT_BYTES && len <= BLOCK_BYTES);
    ASSERT(run->codec != NULL || len == BLOCK_BYTES);
    if (len == BLOCK_BYTES) {
        if (ret_block != bytes) {
            memcpy(ret_block, bytes, BLOCK_BYTES);
        }
    } else {
        uint32_t packed = load_u16(bytes);
        if (packed + 2 > len || run->codec->decompress(run->codec->ctx, bytes + 2, packed,
                                                       ret_block, BLOCK_BYTES) != BLOCK_BYTES) {
            return false;
        }
    }
    return block_check(&disk->crc, run->number, block, ret_block);
}

enum err run_read_block(const struct run *run, struct disk *disk, uint32_t block,
                        uint8_t ret_block[BLOCK_BYTES])
{
    ASSERT(run->number > 0);
    ASSERT(block < run->block_count);
    char name[KERNEL_NAME_BYTES];
    disk_name(RUN_PREFIX, run->number, name);
    uint64_t at = 0;
    uint32_t len = 0;
    run_block_place(run, block, &at, &len);
    uint8_t packed[BLOCK_BYTES], *bytes = run->codec == NULL ? ret_block : packed;
    for (int attempt = 0; attempt < 2; attempt++) { /* a disk may answer once with another place */
        TRY(disk_read(disk, run->file, name, at, bytes, len));
        if (run_unpack_block(run, disk, block, bytes, len, ret_block)) {
            return ERR_OK;
        }
    }
    return disk_fault(disk, KERNEL_FAULT_CHECKSUM, name, at);
}

enum err run_read_value(const struct run *run, struct disk *disk, const struct entry *entry,
                        char *buffer, struct slice *ret_value)
{
    ASSERT(run->number > 0);
    ASSERT(entry->kind == ENTRY_FAR);
    struct value_place place = value_place_load(entry->value);
    if (place.offset > run->values_bytes || place.len > run->values_bytes - place.offset) {
        char name[KERNEL_NAME_BYTES];
        disk_name(RUN_PREFIX, run->number, name);
        return disk_fault(disk, KERNEL_FAULT_FORMAT, name, 0);
    }
    TRY(values_read(disk, run->values_file, run->number, &place, run->value_len_max, buffer));
    *ret_value = (struct slice){buffer, place.len};
    return ERR_OK;
}

enum err run_read_alphabet(const struct run *run, struct disk *disk, struct alphabet *ret_alphabet)
{
    ASSERT(run->number > 0);
    ASSERT(ret_alphabet != NULL);
    char name[KERNEL_NAME_BYTES];
    disk_name(RUN_PREFIX, run->number, name);
    uint8_t footer[RUN_FOOTER_BYTES];
    uint64_t at = run->file_bytes - RUN_FOOTER_BYTES;
    struct run_tables tables;
    struct run parsed;
    for (int attempt = 0; attempt < 2; attempt++) {
        TRY(disk_read(disk, run->file, name, at, footer, RUN_FOOTER_BYTES));
        if (run_parse_footer(&disk->crc, footer, run->number, &parsed, &tables)) {
            ret_alphabet->ends = load_u32(footer + 92);
            memcpy(ret_alphabet->symbols, footer + FOOTER_ALPHABET, sizeof(ret_alphabet->symbols));
            return ERR_OK;
        }
    }
    return disk_fault(disk, KERNEL_FAULT_CHECKSUM, name, at);
}
