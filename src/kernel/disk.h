/* kernel_io as the rest of the kernel uses it: whole reads and writes, and the first fault kept. */
#pragma once

#include "kernel/bytes.h"
#include "kernel/crc32c.h"
#include "kernel/kernel.h"

struct disk {
    struct kernel_io io;
    struct crc32c crc;
    const struct kernel_codec *codecs;
    uint32_t codec_count;
    uint32_t fault_state; /* 0 none, 1 being written, 2 set: any thread may be the first */
    struct kernel_fault fault;
};

void disk_init(struct disk *disk, const struct kernel_io *io, bool has_hardware_crc);

/* NULL if there is none with that id. */
const struct kernel_codec *disk_codec(const struct disk *disk, uint32_t id);

/* Keeps the fault if it is the first and returns ERR_IO or ERR_CORRUPT. */
enum err disk_fault(struct disk *disk, enum kernel_fault_kind kind, const char *name,
                    uint64_t offset);
void disk_get_fault(const struct disk *disk, struct kernel_fault *ret_fault);
void disk_clear_fault(struct disk *disk);

/* "prefix-" and 16 hexadecimal digits; `prefix` is short. */
void disk_name(const char *prefix, uint64_t number, char ret_name[KERNEL_NAME_BYTES]);

/* False if `name` is not of that form. */
bool disk_parse_name(const char *prefix, const char *name, uint64_t *ret_number);

/* All of `len` bytes. A file that ends before is ERR_CORRUPT, as missing. */
MUST_USE enum err disk_read(struct disk *disk, kernel_file file, const char *name, uint64_t offset,
                            void *ret_bytes, uint64_t len);
MUST_USE enum err disk_write(struct disk *disk, kernel_file file, const char *name, uint64_t offset,
                             const void *bytes, uint64_t len);
MUST_USE enum err disk_sync(struct disk *disk, kernel_file file, const char *name);

static inline uint32_t disk_crc(const struct disk *disk, uint32_t seed, const void *bytes,
                                uint64_t len)
{
    return crc32c_run(&disk->crc, seed, bytes, len);
}
