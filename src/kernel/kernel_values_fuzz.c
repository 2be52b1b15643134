/* The file of long values as bytes, and a place in it: refused, or the value is within the file. */
#include "base/fuzz.h"
#include "kernel/values.h"

#define LEN_MAX 512u

struct file {
    const uint8_t *bytes;
    uint64_t size;
};

static enum err file_open(UNUSED void *ctx, UNUSED const char *name, UNUSED bool is_create,
                          kernel_file *ret_file)
{
    *ret_file = 1;
    return ERR_OK;
}

static void file_close(UNUSED void *ctx, UNUSED kernel_file file)
{
}

static enum err file_size(void *ctx, UNUSED kernel_file file, uint64_t *ret_bytes)
{
    *ret_bytes = ((const struct file *)ctx)->size;
    return ERR_OK;
}

static enum err file_read(void *ctx, UNUSED kernel_file file, uint64_t offset, void *ret_bytes,
                          size_t len, size_t *ret_len)
{
    const struct file *f = ctx;
    uint64_t left = offset < f->size ? f->size - offset : 0;
    *ret_len = len < left ? len : left;
    copy_bytes(ret_bytes, f->bytes + (left > 0 ? offset : 0), *ret_len);
    return ERR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t bytes[1 << 16];
    if (size < 33 || size + VALUES_PAGE_BYTES > sizeof(bytes)) {
        return 0;
    }
    struct value_place place =
        value_place_load((struct slice){(const char *)data, VALUE_PLACE_BYTES});
    uint64_t number = 1 + data[16], values = size - 32;
    memset(bytes, 0, sizeof(bytes));
    memcpy(bytes, data + 32, values);
    uint8_t *page = bytes + values;
    memcpy(page, data + 16, 16); /* a page that may be one */
    store_u64(page + 8, number);
    store_u64(page + 16, values + (data[17] & 1));
    struct file file = {bytes, values + VALUES_PAGE_BYTES};
    struct kernel_io io = {
        .ctx = &file, .open = file_open, .close = file_close, .size = file_size, .read = file_read};
    struct disk disk = {.io = io};
    crc32c_init(&disk.crc, false);
    uint32_t seed = crc32c_run(&disk.crc, 0, &number, sizeof(number));
    store_u32(page, crc32c_run(&disk.crc, seed, page + 4, VALUES_PAGE_BYTES - 4));
    kernel_file opened = 0;
    uint64_t found = 0;
    bool is_sound = values_parse_page(&disk.crc, page, number, &found) && found == values;
    ASSERT((values_open(&disk, number, values, &opened) == ERR_OK) == (is_sound));
    char value[LEN_MAX + 1];
    value[LEN_MAX] = 'x';
    if (values_read(&disk, opened, number, &place, LEN_MAX, value) == ERR_OK) {
        ASSERT(place.len <= LEN_MAX);
    }
    ASSERT(value[LEN_MAX] == 'x');
    return 0;
}
