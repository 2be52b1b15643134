#include "kernel/values.h"

#define MAGIC 0x316C764Bu              /* "Kvl1" */
#define VALUES_SYNC_BYTES (512u << 10) /* so that the last sync is short */

static uint32_t page_seed(const struct crc32c *crc, uint64_t number)
{
    ASSERT(crc != NULL);
    ASSERT(number > 0);
    return crc32c_run(crc, 0, &number, sizeof(number));
}

static uint32_t value_seed(const struct crc32c *crc, uint64_t number, uint64_t offset)
{
    ASSERT(crc != NULL);
    ASSERT(number > 0);
    uint64_t place[2] = {number, offset};
    return crc32c_run(crc, 0, place, sizeof(place));
}

/* ---- Reading */

bool values_parse_page(const struct crc32c *crc, const uint8_t *page, uint64_t number,
                       uint64_t *ret_bytes)
{
    ASSERT(page != NULL);
    ASSERT(ret_bytes != NULL);
    uint32_t checksum = crc32c_run(crc, page_seed(crc, number), page + 4, VALUES_PAGE_BYTES - 4);
    if (load_u32(page) != checksum || load_u32(page + 4) != MAGIC || load_u64(page + 8) != number) {
        return false;
    }
    *ret_bytes = load_u64(page + 16);
    return true;
}

static enum err check_file(struct disk *disk, kernel_file file, const char *name, uint64_t number,
                           uint64_t bytes)
{
    ASSERT(bytes > 0);
    uint64_t size = 0, found = 0;
    if (disk->io.size(disk->io.ctx, file, &size) != ERR_OK) {
        return disk_fault(disk, KERNEL_FAULT_IO, name, 0);
    }
    if (size != bytes + VALUES_PAGE_BYTES) {
        return disk_fault(disk, KERNEL_FAULT_MISSING, name, bytes);
    }
    uint8_t page[VALUES_PAGE_BYTES];
    for (int attempt = 0; attempt < 2; attempt++) {
        TRY(disk_read(disk, file, name, bytes, page, sizeof(page)));
        if (values_parse_page(&disk->crc, page, number, &found) && found == bytes) {
            return ERR_OK;
        }
    }
    ASSERT(size > bytes);
    return disk_fault(disk, KERNEL_FAULT_CHECKSUM, name, bytes);
}

enum err values_open(struct disk *disk, uint64_t number, uint64_t bytes, kernel_file *ret_file)
{
    ASSERT(number > 0);
    ASSERT(ret_file != NULL);
    char name[KERNEL_NAME_BYTES];
    disk_name(VALUES_PREFIX, number, name);
    kernel_file file = 0;
    enum err result = disk->io.open(disk->io.ctx, name, false, &file);
    if (result != ERR_OK) {
        return disk_fault(disk, result == ERR_NOT_FOUND ? KERNEL_FAULT_MISSING : KERNEL_FAULT_IO,
                          name, 0);
    }
    result = check_file(disk, file, name, number, bytes);
    if (result != ERR_OK) {
        disk->io.close(disk->io.ctx, file);
        return result;
    }
    *ret_file = file;
    return ERR_OK;
}

enum err values_read(struct disk *disk, kernel_file file, uint64_t number,
                     const struct value_place *place, uint32_t len_max, char *ret_value)
{
    ASSERT(number > 0);
    ASSERT(ret_value != NULL);
    char name[KERNEL_NAME_BYTES];
    disk_name(VALUES_PREFIX, number, name);
    if (place->len > len_max) { /* the footer of the run said otherwise */
        return disk_fault(disk, KERNEL_FAULT_FORMAT, name, place->offset);
    }
    uint32_t seed = value_seed(&disk->crc, number, place->offset);
    for (int attempt = 0; attempt < 2; attempt++) { /* a disk may answer once with another place */
        TRY(disk_read(disk, file, name, place->offset, ret_value, place->len));
        if (disk_crc(disk, seed, ret_value, place->len) == place->checksum) {
            return ERR_OK;
        }
    }
    return disk_fault(disk, KERNEL_FAULT_CHECKSUM, name, place->offset);
}

/* ---- Writing */

void values_writer_init(struct values_writer *writer, struct disk *disk, uint8_t *buffer)
{
    ASSERT(disk != NULL);
    ASSERT(buffer != NULL);
    *writer = (struct values_writer){.disk = disk, .buffer = buffer};
}

void values_writer_begin(struct values_writer *writer, uint64_t number)
{
    ASSERT(!writer->is_open);
    ASSERT(number > 0);
    writer->number = number;
    writer->used = 0;
    writer->written = 0;
    writer->synced = 0;
    writer->checksum = 0;
    writer->len_max = 0;
}

static enum err write_bytes(struct values_writer *writer, const void *bytes, uint64_t len)
{
    ASSERT(writer->is_open);
    ASSERT(bytes != NULL || len == 0);
    char name[KERNEL_NAME_BYTES];
    disk_name(VALUES_PREFIX, writer->number, name);
    TRY(disk_write(writer->disk, writer->file, name, writer->written, bytes, len));
    writer->written += len;
    if (writer->written - writer->synced >= VALUES_SYNC_BYTES) {
        writer->synced = writer->written;
        return disk_sync(writer->disk, writer->file, name);
    }
    return ERR_OK;
}

static enum err flush_buffer(struct values_writer *writer)
{
    ASSERT(writer->used <= VALUES_BUFFER_BYTES);
    uint32_t used = writer->used;
    writer->used = 0;
    ASSERT(writer->buffer != NULL);
    return write_bytes(writer, writer->buffer, used);
}

static enum err create(struct values_writer *writer)
{
    ASSERT(!writer->is_open);
    ASSERT(writer->number > 0);
    struct disk *disk = writer->disk;
    char name[KERNEL_NAME_BYTES];
    disk_name(VALUES_PREFIX, writer->number, name);
    if (disk->io.open(disk->io.ctx, name, true, &writer->file) != ERR_OK) {
        return disk_fault(disk, KERNEL_FAULT_IO, name, 0);
    }
    writer->is_open = true;
    return ERR_OK;
}

enum err values_writer_add(struct values_writer *writer, struct slice value,
                           uint8_t ret_place[VALUE_PLACE_BYTES])
{
    ASSERT(value.len > 0 && value.len <= KERNEL_VALUE_BYTES_MAX);
    ASSERT(writer->number > 0);
    if (!writer->is_open) {
        TRY(create(writer));
    }
    uint64_t offset = values_writer_bytes(writer);
    uint32_t len = (uint32_t)value.len;
    uint32_t checksum = disk_crc(
        writer->disk, value_seed(&writer->disk->crc, writer->number, offset), value.ptr, value.len);
    store_u64(ret_place, offset);
    store_u32(ret_place + 8, len);
    store_u32(ret_place + 12, checksum);
    writer->checksum = disk_crc(writer->disk, writer->checksum, &checksum, sizeof(checksum));
    writer->len_max = len > writer->len_max ? len : writer->len_max;
    if (len > VALUES_BUFFER_BYTES - writer->used) {
        TRY(flush_buffer(writer));
    }
    if (len > VALUES_BUFFER_BYTES) {
        return write_bytes(writer, value.ptr, len);
    }
    copy_bytes(writer->buffer + writer->used, value.ptr, len);
    writer->used += len;
    return ERR_OK;
}

enum err values_writer_finish(struct values_writer *writer)
{
    if (!writer->is_open) {
        return ERR_OK;
    }
    TRY(flush_buffer(writer));
    ASSERT(writer->written > 0);
    struct disk *disk = writer->disk;
    uint64_t bytes = writer->written;
    uint8_t page[VALUES_PAGE_BYTES] = {0};
    store_u32(page + 4, MAGIC);
    store_u64(page + 8, writer->number);
    store_u64(page + 16, bytes);
    store_u32(page + 24, writer->checksum);
    store_u32(page,
              disk_crc(disk, page_seed(&disk->crc, writer->number), page + 4, sizeof(page) - 4));
    TRY(write_bytes(writer, page, sizeof(page)));
    writer->written = bytes; /* of values */
    char name[KERNEL_NAME_BYTES];
    disk_name(VALUES_PREFIX, writer->number, name);
    TRY(disk_sync(disk, writer->file, name));
    values_writer_abandon(writer);
    ASSERT(writer->used == 0);
    return ERR_OK;
}

void values_writer_abandon(struct values_writer *writer)
{
    ASSERT(writer != NULL);
    if (writer->is_open) {
        writer->disk->io.close(writer->disk->io.ctx, writer->file);
        writer->is_open = false;
    }
    ASSERT(!writer->is_open);
}
