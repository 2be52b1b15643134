/* A whole run, and the values beside it, as bytes: a sound one that the writer wrote, in which the
 * input changes bytes, and whose checksums are made right again, so that what is behind them is
 * reached. It is refused, or every block, key and value is read within it. */
#include "base/fuzz.h"
#include "kernel/filter.h"
#include "kernel/kernel.h"
#include "kernel/run.h"

#include <stdio.h>
#include <stdlib.h>

#define FILE_BYTES_MAX (1u << 18)
#define NUMBER 5u
#define KEYS 300u
#define POOL_BYTES (1u << 16)
#define RUN_BYTES (1u << 17)

enum {
    FILE_RUN = 1,
    FILE_VALUES,
    FILES,
};

struct files {
    uint8_t bytes[FILES][FILE_BYTES_MAX];
    uint64_t sizes[FILES];
};

static struct files sound[2], now; /* without codec and with one */
static uint8_t pool_memory[POOL_BYTES * 2];
static struct crc32c crc;

static enum err file_open(UNUSED void *ctx, const char *name, UNUSED bool is_create,
                          kernel_file *ret_file)
{
    *ret_file = name[0] == 'r' ? FILE_RUN : FILE_VALUES;
    return ERR_OK;
}

static void file_close(UNUSED void *ctx, UNUSED kernel_file file)
{
}

static enum err file_size(UNUSED void *ctx, kernel_file file, uint64_t *ret_bytes)
{
    *ret_bytes = now.sizes[file];
    return ERR_OK;
}

static enum err file_read(UNUSED void *ctx, kernel_file file, uint64_t offset, void *ret_bytes,
                          size_t len, size_t *ret_len)
{
    uint64_t left = offset < now.sizes[file] ? now.sizes[file] - offset : 0;
    *ret_len = len < left ? len : left;
    copy_bytes(ret_bytes, now.bytes[file] + (left > 0 ? offset : 0), *ret_len);
    return ERR_OK;
}

static enum err file_write(UNUSED void *ctx, kernel_file file, uint64_t offset, const void *bytes,
                           size_t len, size_t *ret_len)
{
    ASSERT(offset + len <= FILE_BYTES_MAX);
    memcpy(now.bytes[file] + offset, bytes, len);
    now.sizes[file] = offset + len > now.sizes[file] ? offset + len : now.sizes[file];
    *ret_len = len;
    return ERR_OK;
}

static enum err file_done(UNUSED void *ctx, UNUSED kernel_file file)
{
    return ERR_OK;
}

/* Cuts off zeros at the end. */
static size_t pack(UNUSED void *ctx, const void *bytes, size_t len, void *ret_bytes,
                   size_t bytes_max)
{
    const uint8_t *from = bytes;
    while (len > 0 && from[len - 1] == 0) {
        len--;
    }
    if (len > bytes_max) {
        return 0;
    }
    copy_bytes(ret_bytes, bytes, len);
    return len;
}

static size_t unpack(UNUSED void *ctx, const void *bytes, size_t len, void *ret_bytes,
                     size_t bytes_max)
{
    if (len > bytes_max) {
        return 0;
    }
    copy_bytes(ret_bytes, bytes, len);
    memset((uint8_t *)ret_bytes + len, 0, bytes_max - len);
    return bytes_max;
}

static const struct kernel_codec codec = {1, NULL, pack, unpack};

static struct slice key_of(uint32_t i, char buf[32])
{
    int len = snprintf(buf, 32, "key/%05u", i * 7);
    return (struct slice){buf, (size_t)len};
}

static void write_run(struct disk *disk, uint32_t codec_id)
{
    static struct run_writer writer;
    static char value[3000];
    void *memory = (malloc)(run_writer_memory_bytes(RUN_BYTES, 10));
    ASSERT(memory != NULL);
    memset(&now, 0, sizeof(now));
    run_writer_init(&writer, disk, memory, RUN_BYTES, 10);
    struct alphabet alphabet = {0};
    char buf[32];
    for (uint32_t i = 0; i < KEYS; i++) {
        alphabet_add(&alphabet, key_of(i, buf));
    }
    ASSERT(run_writer_begin(&writer, NUMBER, &alphabet, codec_id) == ERR_OK);
    for (uint32_t i = 0; i < KEYS; i++) {
        size_t len = i % 50 == 0 ? sizeof(value) : i % 100;
        struct entry entry = {.key = key_of(i, buf),
                              .value = {value, len},
                              .commit = 100 - i % 9,
                              .kind = i % 11 == 0 ? ENTRY_DELETE : ENTRY_PUT};
        entry.value.len = entry.kind == ENTRY_DELETE ? 0 : len;
        ASSERT(run_writer_add(&writer, &entry, true) == ERR_OK);
    }
    ASSERT(run_writer_finish(&writer) == ERR_OK);
    (free)(memory);
}

/* As the writer leaves them, for what the bytes say now. */
static void mend_checksums(uint64_t number)
{
    uint8_t *bytes = now.bytes[FILE_RUN], *footer = bytes + now.sizes[FILE_RUN] - RUN_FOOTER_BYTES;
    uint64_t blocks = load_u64(footer + 3184), filter = load_u64(footer + 56);
    uint64_t index = load_u64(footer + 64), places = load_u64(footer + 3192);
    uint64_t size = now.sizes[FILE_RUN];
    if (blocks < size && filter < size && index < size && places < size &&
        blocks + filter + index + places + RUN_FOOTER_BYTES == size) {
        store_u32(footer + 72, crc32c_run(&crc, 0, bytes + blocks, filter));
        store_u32(footer + 76, crc32c_run(&crc, 0, bytes + blocks + filter, index));
        store_u32(footer + 3200, crc32c_run(&crc, 0, bytes + blocks + filter + index, places));
        for (uint64_t at = 0; load_u32(footer + 3180) == 0 && at + BLOCK_BYTES <= blocks;
             at += BLOCK_BYTES) {
            uint8_t place[12];
            store_u64(place, number);
            store_u32(place + 8, (uint32_t)(at / BLOCK_BYTES));
            uint32_t seed = crc32c_run(&crc, 0, place, sizeof(place));
            store_u32(bytes + at, crc32c_run(&crc, seed, bytes + at + 4, BLOCK_BYTES - 4));
        }
    }
    uint32_t seed = crc32c_run(&crc, 0, &number, sizeof(number));
    store_u32(footer, crc32c_run(&crc, seed, footer + 4, RUN_FOOTER_BYTES - 4));
}

static void read_all(struct run *run, struct disk *disk)
{
    uint8_t block[BLOCK_BYTES];
    char key[KERNEL_KEY_BYTES_MAX], *value = (malloc)((size_t)run->value_len_max + 1);
    ASSERT(value != NULL);
    for (uint32_t i = 0; i < run->block_count; i++) {
        if (run_read_block(run, disk, i, block) != ERR_OK) {
            continue;
        }
        for (uint32_t n = 0; n < block_entry_count(block); n++) {
            struct entry entry;
            struct slice got;
            block_at(block, n, key, &entry);
            ASSERT(index_find(&run->index, entry.key, entry.commit) < run->block_count);
            (void)index_goes_on(&run->index, entry.key, i);
            (void)filter_may_have(run->filter, run->filter_len, run->filter_bits_per_key,
                                  filter_hash(entry.key));
            if (entry.kind == ENTRY_FAR && run->values_bytes > 0 &&
                run_read_value(run, disk, &entry, value, &got) == ERR_OK) {
                ASSERT(got.len <= run->value_len_max);
            }
        }
    }
    struct alphabet alphabet;
    ASSERT(run_read_alphabet(run, disk, &alphabet) == ERR_OK);
    (free)(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kernel_io io = {.open = file_open,
                           .close = file_close,
                           .size = file_size,
                           .read = file_read,
                           .write = file_write,
                           .sync = file_done};
    struct disk disk = {.io = io, .codecs = &codec, .codec_count = 1};
    crc32c_init(&disk.crc, false);
    if (sound[0].sizes[FILE_RUN] == 0) {
        crc32c_init(&crc, false);
        for (uint32_t i = 0; i < 2; i++) {
            write_run(&disk, i);
            sound[i] = now;
        }
    }
    if (size < 1) {
        return 0;
    }
    const struct files *from = &sound[data[0] & 1];
    for (uint32_t file = FILE_RUN; file < FILES; file++) {
        now.sizes[file] = from->sizes[file];
        memcpy(now.bytes[file], from->bytes[file], from->sizes[file]);
    }
    /* Each change: which part, u16 where, the byte. */
    for (size_t at = 1; at + 4 <= size; at += 4) {
        kernel_file file = (data[at] & 7) == 7 ? FILE_VALUES : FILE_RUN;
        uint64_t end = now.sizes[file], where = load_u16(data + at + 1);
        uint64_t part = (data[at] & 3) == 0 ? RUN_FOOTER_BYTES : (data[at] & 3) == 1 ? 8192 : end;
        where %= part < end ? part : end;
        now.bytes[file][end - 1 - where] = data[at + 3];
    }
    if ((data[0] & 2) == 0) {
        mend_checksums(NUMBER);
    }
    struct table_pool pool;
    table_pool_init(&pool, pool_memory, POOL_BYTES);
    struct run run = {0};
    bool is_open = run_open(&run, &disk, &pool, NUMBER) == ERR_OK;
    ASSERT(is_open || size > 1);
    if (is_open) {
        read_all(&run, &disk);
        run_close(&run, &disk, &pool);
    }
    return 0;
}
