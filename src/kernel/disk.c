#include "kernel/disk.h"

void disk_init(struct disk *disk, const struct kernel_io *io, bool has_hardware_crc)
{
    ASSERT(io->read != NULL && io->write != NULL && io->sync != NULL && io->open != NULL);
    ASSERT(io->rename != NULL && io->remove != NULL && io->list != NULL);
    memset(disk, 0, sizeof(*disk));
    disk->io = *io;
    crc32c_init(&disk->crc, has_hardware_crc);
}

const struct kernel_codec *disk_codec(const struct disk *disk, uint32_t id)
{
    ASSERT(disk != NULL);
    ASSERT(disk->codecs != NULL || disk->codec_count == 0);
    for (uint32_t i = 0; i < disk->codec_count; i++) {
        if (disk->codecs[i].id == id) {
            return &disk->codecs[i];
        }
    }
    return NULL;
}

enum err disk_fault(struct disk *disk, enum kernel_fault_kind kind, const char *name,
                    uint64_t offset)
{
    ASSERT(kind != KERNEL_FAULT_NONE);
    size_t len = strlen(name);
    ASSERT(len < KERNEL_NAME_BYTES);
    uint32_t expected = 0;
    if (__atomic_compare_exchange_n(&disk->fault_state, &expected, 1, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_RELAXED)) {
        disk->fault = (struct kernel_fault){.kind = kind, .offset = offset};
        memcpy(disk->fault.name, name, len);
        __atomic_store_n(&disk->fault_state, 2, __ATOMIC_RELEASE);
    }
    return kind == KERNEL_FAULT_IO ? ERR_IO : ERR_CORRUPT;
}

void disk_get_fault(const struct disk *disk, struct kernel_fault *ret_fault)
{
    ASSERT(disk != NULL && ret_fault != NULL);
    *ret_fault = (struct kernel_fault){.kind = KERNEL_FAULT_NONE};
    if (__atomic_load_n(&disk->fault_state, __ATOMIC_ACQUIRE) == 2) {
        *ret_fault = disk->fault;
        ASSERT(ret_fault->kind != KERNEL_FAULT_NONE);
    }
}

void disk_clear_fault(struct disk *disk)
{
    ASSERT(disk->io.open != NULL);
    ASSERT(disk != NULL);
    __atomic_store_n(&disk->fault_state, 0, __ATOMIC_RELEASE);
}

void disk_name(const char *prefix, uint64_t number, char ret_name[KERNEL_NAME_BYTES])
{
    size_t len = strlen(prefix);
    ASSERT(len + 18 <= KERNEL_NAME_BYTES);
    memset(ret_name, 0, KERNEL_NAME_BYTES);
    memcpy(ret_name, prefix, len);
    ret_name[len] = '-';
    for (size_t i = 0; i < 16; i++) {
        uint32_t digit = (uint32_t)(number >> (60 - 4 * i)) & 15;
        ret_name[len + 1 + i] = (char)(digit < 10 ? '0' + digit : 'a' + digit - 10);
    }
    ASSERT(ret_name[len + 17] == '\0');
}

bool disk_parse_name(const char *prefix, const char *name, uint64_t *ret_number)
{
    ASSERT(name != NULL && ret_number != NULL);
    size_t len = strlen(prefix);
    ASSERT(len > 0);
    if (strlen(name) != len + 17 || memcmp(name, prefix, len) != 0 || name[len] != '-') {
        return false;
    }
    uint64_t number = 0;
    for (size_t i = 0; i < 16; i++) {
        char c = name[len + 1 + i];
        if ((c < '0' || c > '9') && (c < 'a' || c > 'f')) {
            return false;
        }
        number = number << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *ret_number = number;
    return true;
}

enum err disk_read(struct disk *disk, kernel_file file, const char *name, uint64_t offset,
                   void *ret_bytes, uint64_t len)
{
    ASSERT(ret_bytes != NULL || len == 0);
    uint8_t *at = ret_bytes;
    while (len > 0) {
        size_t done = 0;
        if (disk->io.read(disk->io.ctx, file, offset, at, len, &done) != ERR_OK) {
            return disk_fault(disk, KERNEL_FAULT_IO, name, offset);
        }
        ASSERT(done <= len);
        if (done == 0) {
            return disk_fault(disk, KERNEL_FAULT_MISSING, name, offset);
        }
        at += done;
        offset += done;
        len -= done;
    }
    return ERR_OK;
}

enum err disk_write(struct disk *disk, kernel_file file, const char *name, uint64_t offset,
                    const void *bytes, uint64_t len)
{
    ASSERT(bytes != NULL || len == 0);
    const uint8_t *at = bytes;
    while (len > 0) {
        size_t done = 0;
        if (disk->io.write(disk->io.ctx, file, offset, at, len, &done) != ERR_OK || done == 0) {
            return disk_fault(disk, KERNEL_FAULT_IO, name, offset);
        }
        ASSERT(done <= len);
        at += done;
        offset += done;
        len -= done;
    }
    return ERR_OK;
}

enum err disk_sync(struct disk *disk, kernel_file file, const char *name)
{
    ASSERT(name[0] != '\0');
    ASSERT(disk != NULL && name != NULL);
    if (disk->io.sync(disk->io.ctx, file) != ERR_OK) {
        return disk_fault(disk, KERNEL_FAULT_IO, name, 0);
    }
    return ERR_OK;
}
