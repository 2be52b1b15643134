#include "kernel/run.h"

#include "kernel/filter.h"

#define MAGIC 0x316E724Bu
#define BUFFER_BYTES (256u << 10)
#define FENCE_BYTES (1u << 20)
#define KEY_BYTES_TYPICAL 32u   /* with its value: decides how many keys a run may have */
#define SYNC_BYTES (512u << 10) /* handed to the disk in pieces, so that the last sync is short */

static uint32_t blocks_max(uint64_t run_bytes)
{
    ASSERT(run_bytes >= BLOCK_BYTES);
    ASSERT(run_bytes / BLOCK_BYTES + 64 < RUN_BLOCKS_MAX);
    return (uint32_t)(run_bytes / BLOCK_BYTES) + 64;
}

static uint64_t keys_max(uint64_t run_bytes)
{
    ASSERT(run_bytes >= BLOCK_BYTES);
    uint64_t count = run_bytes / KEY_BYTES_TYPICAL;
    ASSERT(count > 0);
    return count;
}

static uint64_t buffer_bytes(uint64_t run_bytes, uint64_t filter_bits_per_key)
{
    ASSERT(filter_bits_per_key > 0);
    ASSERT(run_bytes >= BLOCK_BYTES);
    uint64_t tables = 40ull * blocks_max(run_bytes) + FENCE_BYTES + 8192;
    uint64_t filter = filter_bytes(keys_max(run_bytes), filter_bits_per_key);
    uint64_t most = tables > filter ? tables : filter;
    return align_up(most > BUFFER_BYTES ? most : BUFFER_BYTES, 64);
}

uint64_t run_writer_memory_bytes(uint64_t run_bytes, uint64_t filter_bits_per_key)
{
    ASSERT(filter_bits_per_key > 0);
    ASSERT(run_bytes >= BLOCK_BYTES);
    return align_up(keys_max(run_bytes) * 8, 64) +
           index_builder_bytes(blocks_max(run_bytes), FENCE_BYTES) +
           align_up(blocks_max(run_bytes), 64) + buffer_bytes(run_bytes, filter_bits_per_key) +
           VALUES_BUFFER_BYTES + 64;
}

void run_writer_init(struct run_writer *writer, struct disk *disk, void *memory, uint64_t run_bytes,
                     uint64_t filter_bits_per_key)
{
    ASSERT(((uintptr_t)memory & 15) == 0);
    ASSERT(filter_bits_per_key > 0 && filter_bits_per_key <= 64);
    memset(writer, 0, sizeof(*writer));
    writer->disk = disk;
    writer->bytes_max = run_bytes;
    writer->keys_max = (uint32_t)keys_max(run_bytes);
    writer->filter_bits_per_key = (uint32_t)filter_bits_per_key;
    uint8_t *at = memory;
    writer->hashes = memory;
    at += align_up(keys_max(run_bytes) * 8, 64);
    index_builder_init(&writer->index, at, blocks_max(run_bytes), FENCE_BYTES);
    at += index_builder_bytes(blocks_max(run_bytes), FENCE_BYTES);
    writer->units = at;
    at += align_up(blocks_max(run_bytes), 64);
    writer->buffer = at;
    writer->buffer_bytes = buffer_bytes(run_bytes, filter_bits_per_key);
    values_writer_init(&writer->values, disk, at + writer->buffer_bytes);
}

enum err run_writer_begin(struct run_writer *writer, uint64_t number,
                          const struct alphabet *alphabet, uint32_t codec)
{
    ASSERT(!writer->is_open);
    ASSERT(number > 0 && number < UINT64_MAX >> RUN_BLOCK_BITS);
    char name[KERNEL_NAME_BYTES];
    disk_name(RUN_PREFIX, number, name);
    struct disk *disk = writer->disk;
    if (disk->io.open(disk->io.ctx, name, true, &writer->file) != ERR_OK) {
        return disk_fault(disk, KERNEL_FAULT_IO, name, 0);
    }
    writer->number = number;
    writer->is_open = true;
    writer->alphabet = *alphabet;
    writer->codec = codec == 0 ? NULL : disk_codec(disk, codec);
    ASSERT(codec == 0 || writer->codec != NULL);
    writer->blocks_bytes = 0;
    block_writer_reset(&writer->block);
    values_writer_begin(&writer->values, number);
    index_builder_reset(&writer->index, alphabet);
    writer->buffer_used = 0;
    writer->file_at = 0;
    writer->synced_at = 0;
    writer->entry_count = 0;
    writer->key_count = 0;
    writer->tombstone_count = 0;
    writer->commit_min = COMMIT_MAX;
    writer->commit_max = 0;
    writer->block_count = 0;
    writer->smallest_len = 0;
    writer->last_len = 0;
    return ERR_OK;
}

bool run_writer_is_full(const struct run_writer *writer)
{
    ASSERT(writer->key_count <= writer->keys_max);
    ASSERT(writer->is_open);
    /* Before compression: there is room for so many blocks, and some more for the last key. */
    uint64_t bytes =
        (uint64_t)writer->block_count * BLOCK_BYTES + values_writer_bytes(&writer->values);
    /* Two blocks in hand: one may be open, and the next key may end it. */
    return bytes + 2 * BLOCK_BYTES > writer->bytes_max || writer->key_count >= writer->keys_max ||
           !index_builder_has_room(&writer->index);
}

static enum err flush_buffer(struct run_writer *writer)
{
    ASSERT(writer->is_open);
    ASSERT(writer->buffer_used <= writer->buffer_bytes);
    char name[KERNEL_NAME_BYTES];
    disk_name(RUN_PREFIX, writer->number, name);
    TRY(disk_write(writer->disk, writer->file, name, writer->file_at, writer->buffer,
                   writer->buffer_used));
    writer->file_at += writer->buffer_used;
    writer->buffer_used = 0;
    if (writer->file_at - writer->synced_at >= SYNC_BYTES) {
        writer->synced_at = writer->file_at;
        return disk_sync(writer->disk, writer->file, name);
    }
    return ERR_OK;
}

/* `raw` as it is to lie in the file; returns the bytes that it takes, a multiple of a unit. */
static uint32_t pack_block(const struct run_writer *writer, uint8_t *ret_bytes)
{
    const struct kernel_codec *codec = writer->codec;
    ASSERT(codec != NULL);
    size_t most = BLOCK_BYTES - PLACE_UNIT_BYTES - 2;
    size_t len = codec->compress(codec->ctx, writer->raw, BLOCK_BYTES, ret_bytes + 2, most);
    ASSERT(len <= most);
    if (len == 0) {
        memcpy(ret_bytes, writer->raw, BLOCK_BYTES);
        return BLOCK_BYTES;
    }
    store_u16(ret_bytes, (uint16_t)len);
    uint32_t whole = (uint32_t)align_up(len + 2, PLACE_UNIT_BYTES);
    memset(ret_bytes + 2 + len, 0, whole - 2 - len);
    return whole;
}

/* Writes a block of the first `count` entries. */
static enum err finish_block(struct run_writer *writer, uint32_t count)
{
    struct block_writer *block = &writer->block;
    ASSERT(count > 0 && count <= block->entry_count);
    ASSERT(index_builder_has_room(&writer->index));
    if (writer->buffer_used + BLOCK_BYTES > BUFFER_BYTES) {
        TRY(flush_buffer(writer));
    }
    uint8_t *to = writer->buffer + writer->buffer_used;
    block_writer_finish(block, count, &writer->disk->crc, writer->number, writer->block_count,
                        writer->codec == NULL ? to : writer->raw);
    uint32_t len = writer->codec == NULL ? BLOCK_BYTES : pack_block(writer, to);
    writer->units[writer->block_count] = (uint8_t)(len / PLACE_UNIT_BYTES - 1);
    writer->blocks_bytes += len;
    writer->buffer_used += len;
    writer->block_count++;
    index_builder_add(&writer->index, block_writer_key(block, 0), block->entries[0].commit,
                      block_writer_key(block, count - 1));
    block_writer_drop(block, count);
    return ERR_OK;
}

/* The block is full and `next` comes behind it: how many of its entries it keeps. It may leave some
 * to the next block, for the sake of the index, but no more than leaves room for `next` there. */
static uint32_t choose_end(struct run_writer *writer, const struct entry *next)
{
    const struct block_writer *block = &writer->block;
    ASSERT(block->entry_count > 0);
    uint32_t count = block->entry_count, most = 0;
    uint64_t bytes = next->key.len + next->value.len;
    for (; most < count / 3 && most + 1 < WALK_LEAVE_MAX; most++) {
        uint32_t last = count - 1 - most;
        bytes += 32u + block->entries[last].key_len + block->entries[last].value_len;
        if (bytes > BLOCK_BYTES / 2) {
            break;
        }
    }
    struct slice tail[WALK_LEAVE_MAX + 1]; /* those, the one that is last without them, `next` */
    for (uint32_t i = 0; i <= most; i++) {
        tail[i] = block_writer_key(block, count - 1 - most + i);
    }
    tail[most + 1] = next->key;
    uint32_t left = index_builder_leave(&writer->index, block_writer_key(block, 0), tail, most + 2);
    ASSERT(left < count);
    return count - left;
}

static enum err add_entry(struct run_writer *writer, const struct entry *entry, bool is_new_key)
{
    ASSERT(writer->is_open);
    ASSERT(entry->key.len <= KERNEL_KEY_BYTES_MAX);
    if (!block_writer_add(&writer->block, entry)) {
        if (!index_builder_has_room(&writer->index)) {
            return ERR_LIMIT; /* one key with more versions than a run has room for */
        }
        TRY(finish_block(writer, choose_end(writer, entry)));
        bool is_added = block_writer_add(&writer->block, entry);
        ASSERT(is_added);
    }
    if (writer->entry_count == 0) {
        copy_bytes(writer->smallest, entry->key.ptr, entry->key.len);
        writer->smallest_len = (uint16_t)entry->key.len;
    }
    if (is_new_key) {
        ASSERT(writer->key_count < writer->keys_max);
        writer->hashes[writer->key_count++] = filter_hash(entry->key);
    }
    writer->entry_count++;
    writer->tombstone_count += entry->kind == ENTRY_DELETE;
    writer->commit_min = entry->commit < writer->commit_min ? entry->commit : writer->commit_min;
    writer->commit_max = entry->commit > writer->commit_max ? entry->commit : writer->commit_max;
    copy_bytes(writer->last, entry->key.ptr, entry->key.len);
    writer->last_len = (uint16_t)entry->key.len;
    return ERR_OK;
}

enum err run_writer_add(struct run_writer *writer, const struct entry *entry, bool is_new_key)
{
    ASSERT(writer->is_open);
    ASSERT(entry->kind == ENTRY_PUT || entry->kind == ENTRY_DELETE);
    if (entry->value.len <= BLOCK_VALUE_BYTES_MAX) {
        return add_entry(writer, entry, is_new_key);
    }
    uint8_t place[VALUE_PLACE_BYTES];
    TRY(values_writer_add(&writer->values, entry->value, place));
    struct entry far = *entry;
    far.kind = ENTRY_FAR;
    far.value = (struct slice){(const char *)place, sizeof(place)};
    return add_entry(writer, &far, is_new_key);
}

struct written_tables {
    uint64_t filter_len, index_len, places_len;
    uint32_t filter_crc, index_crc, places_crc;
};

static void fill_footer(const struct run_writer *writer, const struct written_tables *tables,
                        uint8_t *ret_footer)
{
    uint64_t filter_len = tables->filter_len, index_len = tables->index_len;
    ASSERT(filter_len > 0 && index_len > 0);
    ASSERT(writer->key_count > 0 && writer->block_count > 0);
    const struct crc32c *crc = &writer->disk->crc;
    memset(ret_footer, 0, RUN_FOOTER_BYTES);
    store_u32(ret_footer + 4, MAGIC);
    store_u64(ret_footer + 8, writer->number);
    store_u32(ret_footer + 16, writer->block_count);
    store_u32(ret_footer + 20, writer->filter_bits_per_key);
    store_u64(ret_footer + 24, writer->entry_count);
    store_u64(ret_footer + 32, writer->key_count);
    store_u64(ret_footer + 40, writer->commit_min);
    store_u64(ret_footer + 48, writer->commit_max);
    store_u64(ret_footer + 56, filter_len);
    store_u64(ret_footer + 64, index_len);
    store_u32(ret_footer + 72, tables->filter_crc);
    store_u32(ret_footer + 76, tables->index_crc);
    store_u64(ret_footer + 80, writer->tombstone_count);
    store_u16(ret_footer + 88, writer->smallest_len);
    store_u16(ret_footer + 90, writer->last_len);
    store_u32(ret_footer + 92, writer->alphabet.ends);
    memcpy(ret_footer + 96, writer->alphabet.symbols, sizeof(writer->alphabet.symbols));
    copy_bytes(ret_footer + 1120, writer->smallest, writer->smallest_len);
    copy_bytes(ret_footer + 2144, writer->last, writer->last_len);
    store_u64(ret_footer + 3168, values_writer_bytes(&writer->values));
    store_u32(ret_footer + 3176, writer->values.len_max);
    store_u32(ret_footer + 3180, writer->codec == NULL ? 0 : writer->codec->id);
    store_u64(ret_footer + 3184, writer->blocks_bytes);
    store_u64(ret_footer + 3192, tables->places_len);
    store_u32(ret_footer + 3200, tables->places_crc);
    uint32_t seed = crc32c_run(crc, 0, &writer->number, sizeof(writer->number));
    store_u32(ret_footer, crc32c_run(crc, seed, ret_footer + 4, RUN_FOOTER_BYTES - 4));
}

static enum err write_filter(struct run_writer *writer, struct written_tables *tables)
{
    uint64_t bits = writer->filter_bits_per_key;
    uint64_t len = filter_bytes(writer->key_count, bits);
    ASSERT(len <= writer->buffer_bytes);
    ASSERT(writer->buffer_used == 0);
    memset(writer->buffer, 0, len);
    for (uint64_t i = 0; i < writer->key_count; i++) {
        filter_add(writer->buffer, len, bits, writer->hashes[i]);
    }
    tables->filter_len = len;
    tables->filter_crc = disk_crc(writer->disk, 0, writer->buffer, len);
    writer->buffer_used = len;
    return flush_buffer(writer);
}

enum err run_writer_finish(struct run_writer *writer)
{
    ASSERT(writer->is_open);
    ASSERT(writer->entry_count > 0);
    struct disk *disk = writer->disk;
    TRY(values_writer_finish(&writer->values)); /* what a run names is there before it */
    TRY(finish_block(writer, writer->block.entry_count));
    TRY(flush_buffer(writer));
    struct written_tables tables = {0};
    TRY(write_filter(writer, &tables));
    ASSERT(index_builder_size_max(&writer->index) <= writer->buffer_bytes);
    tables.index_len = index_builder_finish(&writer->index, writer->buffer);
    tables.index_crc = disk_crc(disk, 0, writer->buffer, tables.index_len);
    writer->buffer_used = tables.index_len;
    TRY(flush_buffer(writer));
    if (writer->codec != NULL) {
        tables.places_len = places_bytes(writer->block_count);
        ASSERT(tables.places_len <= writer->buffer_bytes);
        places_write(writer->units, writer->block_count, writer->buffer);
        tables.places_crc = disk_crc(disk, 0, writer->buffer, tables.places_len);
        writer->buffer_used = tables.places_len;
        TRY(flush_buffer(writer));
    }
    fill_footer(writer, &tables, writer->buffer);
    writer->buffer_used = RUN_FOOTER_BYTES;
    TRY(flush_buffer(writer));
    char name[KERNEL_NAME_BYTES];
    disk_name(RUN_PREFIX, writer->number, name);
    TRY(disk_sync(disk, writer->file, name));
    disk->io.close(disk->io.ctx, writer->file);
    writer->is_open = false;
    return ERR_OK;
}

void run_writer_abandon(struct run_writer *writer)
{
    ASSERT(writer != NULL && writer->disk != NULL);
    values_writer_abandon(&writer->values);
    if (writer->is_open) {
        writer->disk->io.close(writer->disk->io.ctx, writer->file);
        writer->is_open = false;
    }
    ASSERT(!writer->is_open);
}
