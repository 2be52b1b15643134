#include "kernel/block.h"

#include "kernel/kernel.h"
#include "kernel/values.h"

#define HEADER_BYTES 18u
#define ENTRY_BYTES 4u /* without commit, suffix and value */
#define HEAD_BYTES 4u
#define SLOT_BYTES 6u /* head and offset */
#define BLOCK_VERSION 1u
#define VALUE_LEN_MASK 0x3FFFu

_Static_assert(HEADER_BYTES + 2 * KERNEL_KEY_BYTES_MAX + BLOCK_VALUE_BYTES_MAX + 64 < BLOCK_BYTES,
               "every entry fits an empty block");

/* ---- Writing */

void block_writer_reset(struct block_writer *writer)
{
    ASSERT(writer->entry_count <= BLOCK_ENTRIES_MAX);
    ASSERT(writer != NULL);
    writer->entry_count = 0;
    writer->prefix_len = 0;
    writer->payload_bytes = 0;
    writer->commit_min = COMMIT_MAX;
    writer->commit_max = 0;
    writer->staged_bytes = 0;
}

struct slice block_writer_key(const struct block_writer *writer, uint32_t index)
{
    ASSERT(index < writer->entry_count);
    uint16_t at = writer->entries[index].key_at;
    ASSERT(at <= sizeof(writer->staged));
    return (struct slice){(const char *)writer->staged + at, writer->entries[index].key_len};
}

static uint32_t commit_width(uint64_t span)
{
    uint32_t width = 0;
    while (span != 0) {
        width++;
        span >>= 8;
    }
    ASSERT(width <= 8);
    ASSERT(span == 0);
    return width;
}

bool block_writer_add(struct block_writer *writer, const struct entry *entry)
{
    ASSERT(entry->key.len <= KERNEL_KEY_BYTES_MAX);
    ASSERT(entry->value.len <= BLOCK_VALUE_BYTES_MAX);
    uint32_t count = writer->entry_count;
    uint32_t key_len = (uint32_t)entry->key.len, value_len = (uint32_t)entry->value.len;
    uint32_t prefix_len = key_len;
    if (count > 0) {
        struct slice last = block_writer_key(writer, count - 1);
        ASSERT(entry_compare(last, writer->entries[count - 1].commit, entry->key, entry->commit) <
               0);
        prefix_len = (uint32_t)key_common(block_writer_key(writer, 0), entry->key);
        prefix_len = prefix_len < writer->prefix_len ? prefix_len : writer->prefix_len;
    }
    uint64_t low = entry->commit < writer->commit_min ? entry->commit : writer->commit_min;
    uint64_t high = entry->commit > writer->commit_max ? entry->commit : writer->commit_max;
    uint32_t payload = writer->payload_bytes + key_len + value_len;
    uint32_t fixed = ENTRY_BYTES + SLOT_BYTES + commit_width(high - low);
    uint32_t size =
        HEADER_BYTES + prefix_len + payload - (count + 1) * prefix_len + (count + 1) * fixed;
    if (count == BLOCK_ENTRIES_MAX || size > BLOCK_BYTES ||
        writer->staged_bytes + key_len + value_len > sizeof(writer->staged)) {
        return false;
    }
    writer->entries[count].key_at = (uint16_t)writer->staged_bytes;
    writer->entries[count].key_len = (uint16_t)key_len;
    writer->entries[count].value_len = (uint16_t)value_len;
    writer->entries[count].kind = (uint8_t)entry->kind;
    writer->entries[count].commit = entry->commit;
    move_bytes(writer->staged + writer->staged_bytes, entry->key.ptr, key_len);
    move_bytes(writer->staged + writer->staged_bytes + key_len, entry->value.ptr, value_len);
    writer->staged_bytes += key_len + value_len;
    writer->entry_count = count + 1;
    writer->prefix_len = prefix_len;
    writer->payload_bytes = payload;
    writer->commit_min = low;
    writer->commit_max = high;
    return true;
}

void block_writer_drop(struct block_writer *writer, uint32_t count)
{
    uint32_t had = writer->entry_count;
    ASSERT(count > 0 && count <= had);
    block_writer_reset(writer);
    for (uint32_t i = count; i < had; i++) { /* their bytes move towards the front */
        const char *key = (const char *)writer->staged + writer->entries[i].key_at;
        struct entry entry = {
            .key = {key, writer->entries[i].key_len},
            .value = {key + writer->entries[i].key_len, writer->entries[i].value_len},
            .commit = writer->entries[i].commit,
            .kind = (enum entry_kind)writer->entries[i].kind};
        bool is_added = block_writer_add(writer, &entry);
        ASSERT(is_added);
    }
    ASSERT(writer->entry_count == had - count);
}

/* Missing bytes count as zero, so equal heads say nothing. */
static uint32_t suffix_head(const uint8_t *suffix, size_t len)
{
    ASSERT(suffix != NULL || len == 0);
    ASSERT(len <= KERNEL_KEY_BYTES_MAX);
    uint32_t head = 0;
    if (len >= HEAD_BYTES) {
        head = load_u32(suffix);
    } else {
        copy_bytes(&head, suffix, len);
    }
    return __builtin_bswap32(head);
}

static uint32_t block_seed(const struct crc32c *crc, uint64_t run, uint32_t block)
{
    ASSERT(crc != NULL);
    ASSERT(run > 0);
    uint8_t place[12];
    store_u64(place, run);
    store_u32(place + 8, block);
    return crc32c_run(crc, 0, place, sizeof(place));
}

void block_writer_finish(const struct block_writer *writer, uint32_t count,
                         const struct crc32c *crc, uint64_t run, uint32_t block,
                         uint8_t ret_block[BLOCK_BYTES])
{
    ASSERT(count > 0 && count <= writer->entry_count);
    uint32_t width = commit_width(writer->commit_max - writer->commit_min);
    uint32_t prefix_len = writer->prefix_len;
    memset(ret_block, 0, BLOCK_BYTES);
    store_u16(ret_block + 4, (uint16_t)count);
    store_u16(ret_block + 6, (uint16_t)prefix_len);
    store_u64(ret_block + 8, writer->commit_min);
    ret_block[16] = (uint8_t)width;
    ret_block[17] = BLOCK_VERSION;
    copy_bytes(ret_block + HEADER_BYTES, block_writer_key(writer, 0).ptr, prefix_len);
    uint8_t *heads = ret_block + HEADER_BYTES + prefix_len;
    uint8_t *offsets = heads + HEAD_BYTES * count;
    uint32_t at = HEADER_BYTES + prefix_len + SLOT_BYTES * count;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *key = writer->staged + writer->entries[i].key_at;
        uint32_t suffix_len = writer->entries[i].key_len - prefix_len;
        uint32_t value_len = writer->entries[i].value_len;
        store_u32(heads + HEAD_BYTES * i, suffix_head(key + prefix_len, suffix_len));
        store_u16(offsets + 2 * i, (uint16_t)at);
        store_u16(ret_block + at, (uint16_t)suffix_len);
        store_u16(ret_block + at + 2,
                  (uint16_t)((uint32_t)writer->entries[i].kind << 14 | value_len));
        uint64_t commit = writer->entries[i].commit - writer->commit_min;
        copy_bytes(ret_block + at + ENTRY_BYTES, &commit, width);
        at += ENTRY_BYTES + width;
        copy_bytes(ret_block + at, key + prefix_len, suffix_len + value_len);
        at += suffix_len + value_len;
    }
    ASSERT(at <= BLOCK_BYTES);
    uint32_t seed = block_seed(crc, run, block);
    store_u32(ret_block, crc32c_run(crc, seed, ret_block + 4, BLOCK_BYTES - 4));
}

/* ---- Reading */

struct block_entry {
    const uint8_t *suffix, *value;
    uint32_t suffix_len, value_len;
    uint64_t commit;
    uint32_t kind;
};

static inline const uint8_t *heads_of(const uint8_t *bytes)
{
    return bytes + HEADER_BYTES + load_u16(bytes + 6);
}

static inline struct block_entry entry_at(const uint8_t *bytes, uint32_t index)
{
    ASSERT(index < block_entry_count(bytes));
    ASSERT(bytes[16] <= 8);
    const uint8_t *offsets = heads_of(bytes) + HEAD_BYTES * block_entry_count(bytes);
    const uint8_t *at = bytes + load_u16(offsets + 2ull * index);
    uint32_t width = bytes[16], tail = load_u16(at + 2);
    struct block_entry entry = {
        .suffix_len = load_u16(at), .value_len = tail & VALUE_LEN_MASK, .kind = tail >> 14};
    uint64_t commit = 0;
    if (width == 8) {
        commit = load_u64(at + ENTRY_BYTES);
    } else {
        for (uint32_t i = 0; i < width; i++) {
            commit |= (uint64_t)at[ENTRY_BYTES + i] << (8 * i);
        }
    }
    entry.commit = load_u64(bytes + 8) + commit;
    entry.suffix = at + ENTRY_BYTES + width;
    entry.value = entry.suffix + entry.suffix_len;
    return entry;
}

bool block_is_sound(const uint8_t *bytes)
{
    ASSERT(bytes != NULL);
    uint32_t count = block_entry_count(bytes), prefix_len = load_u16(bytes + 6);
    uint32_t width = bytes[16];
    if (bytes[17] != BLOCK_VERSION || count == 0 || count > BLOCK_ENTRIES_MAX || width > 8 ||
        prefix_len > KERNEL_KEY_BYTES_MAX) {
        return false;
    }
    uint32_t low = HEADER_BYTES + prefix_len + SLOT_BYTES * count, high = BLOCK_BYTES;
    if (low >= high) {
        return false;
    }
    const uint8_t *offsets = heads_of(bytes) + HEAD_BYTES * count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = load_u16(offsets + 2ull * i);
        if (at < low || at + ENTRY_BYTES + width > high) {
            return false;
        }
        uint32_t suffix_len = load_u16(bytes + at), tail = load_u16(bytes + at + 2);
        uint32_t value_len = tail & VALUE_LEN_MASK;
        if (at + ENTRY_BYTES + width + suffix_len + value_len > high ||
            prefix_len + suffix_len > KERNEL_KEY_BYTES_MAX || value_len > BLOCK_VALUE_BYTES_MAX ||
            tail >> 14 > ENTRY_FAR || (tail >> 14 == ENTRY_FAR && value_len != VALUE_PLACE_BYTES)) {
            return false;
        }
    }
    ASSERT(low < high);
    return true;
}

bool block_check(const struct crc32c *crc, uint64_t run, uint32_t block, const uint8_t *bytes)
{
    ASSERT(crc != NULL);
    ASSERT(bytes != NULL);
    uint32_t seed = block_seed(crc, run, block);
    return load_u32(bytes) == crc32c_run(crc, seed, bytes + 4, BLOCK_BYTES - 4) &&
           block_is_sound(bytes);
}

/* Narrows [low, high) to the entries with that head. */
static inline void narrow_by_heads(const uint8_t *heads, uint32_t head, uint32_t *low,
                                   uint32_t *high)
{
    ASSERT(*low <= *high);
    ASSERT(*high <= BLOCK_ENTRIES_MAX);
    uint32_t first = *low, count = *high - *low;
    while (count > 0) {
        uint32_t half = count / 2;
        bool is_below = load_u32(heads + HEAD_BYTES * (uint64_t)(first + half)) < head;
        first = is_below ? first + half + 1 : first;
        count = is_below ? count - half - 1 : half;
    }
    uint32_t end = first;
    while (end < *high && load_u32(heads + HEAD_BYTES * (uint64_t)end) == head) {
        end++;
    }
    *low = first;
    *high = end;
}

uint32_t block_seek(const uint8_t *bytes, struct slice key, uint64_t commit)
{
    uint32_t prefix_len = load_u16(bytes + 6), low = 0, high = block_entry_count(bytes);
    ASSERT(high > 0 && high <= BLOCK_ENTRIES_MAX);
    uint32_t common = key.len < prefix_len ? (uint32_t)key.len : prefix_len;
    int order = common == 0 ? 0 : memcmp(key.ptr, bytes + HEADER_BYTES, common);
    if (order != 0 || key.len < prefix_len) {
        return order <= 0 ? 0
                          : high; /* as all keys of the block, or shorter: before; else behind */
    }
    struct slice rest = {key.ptr + prefix_len, key.len - prefix_len};
    uint32_t head = suffix_head((const uint8_t *)rest.ptr, rest.len);
    narrow_by_heads(heads_of(bytes), head, &low, &high);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct block_entry entry = entry_at(bytes, middle);
        struct slice suffix = {(const char *)entry.suffix, entry.suffix_len};
        if (entry_compare(suffix, entry.commit, rest, commit) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    ASSERT(low <= block_entry_count(bytes));
    return low;
}

static void set_entry(const struct block_entry *from, struct entry *ret_entry)
{
    ASSERT(from->value != NULL);
    ASSERT(from->kind <= ENTRY_FAR);
    ret_entry->value = (struct slice){(const char *)from->value, from->value_len};
    ret_entry->commit = from->commit;
    ret_entry->kind = (enum entry_kind)from->kind;
}

void block_at(const uint8_t *bytes, uint32_t index, char *key_bytes, struct entry *ret_entry)
{
    ASSERT(index < block_entry_count(bytes));
    struct block_entry entry = entry_at(bytes, index);
    uint32_t prefix_len = load_u16(bytes + 6);
    ASSERT(prefix_len + entry.suffix_len <= KERNEL_KEY_BYTES_MAX);
    memcpy(key_bytes, bytes + HEADER_BYTES, prefix_len);
    memcpy(key_bytes + prefix_len, entry.suffix, entry.suffix_len);
    ret_entry->key = (struct slice){key_bytes, prefix_len + entry.suffix_len};
    set_entry(&entry, ret_entry);
}

bool block_is_key(const uint8_t *bytes, uint32_t index, struct slice key, struct entry *ret_entry)
{
    ASSERT(key.len <= KERNEL_KEY_BYTES_MAX);
    ASSERT(index < block_entry_count(bytes));
    struct block_entry entry = entry_at(bytes, index);
    uint32_t prefix_len = load_u16(bytes + 6);
    if (key.len != prefix_len + entry.suffix_len ||
        memcmp(key.ptr, bytes + HEADER_BYTES, prefix_len) != 0 ||
        memcmp(key.ptr + prefix_len, entry.suffix, entry.suffix_len) != 0) {
        return false;
    }
    set_entry(&entry, ret_entry);
    return true;
}
