#include "kernel/manifest.h"

#define MAGIC 0x31666D4Bu /* "Kmf1" */

struct manifest_run manifest_run_at(const uint8_t *bytes, uint32_t index)
{
    ASSERT(bytes != NULL);
    ASSERT(index < load_u32(bytes + 48));
    const uint8_t *at = bytes + MANIFEST_HEADER_BYTES + (uint64_t)MANIFEST_RUN_BYTES * index;
    return (struct manifest_run){
        .number = load_u64(at), .level = load_u32(at + 8), .footer_crc = load_u32(at + 12)};
}

void manifest_put_run(uint8_t *bytes, uint32_t index, const struct manifest_run *run)
{
    ASSERT(run->number > 0);
    ASSERT(run->level < KERNEL_LEVELS);
    uint8_t *at = bytes + MANIFEST_HEADER_BYTES + (uint64_t)MANIFEST_RUN_BYTES * index;
    store_u64(at, run->number);
    store_u32(at + 8, run->level);
    store_u32(at + 12, run->footer_crc);
}

void manifest_seal(const struct crc32c *crc, const struct manifest *manifest, uint8_t *bytes)
{
    ASSERT(manifest->generation > 0);
    ASSERT(manifest->run_next > 0);
    store_u32(bytes + 4, MAGIC);
    store_u64(bytes + 8, manifest->generation);
    store_u64(bytes + 16, manifest->run_next);
    store_u64(bytes + 24, manifest->wal_first);
    store_u64(bytes + 32, manifest->commit_flushed);
    store_u64(bytes + 40, manifest->watermark);
    store_u32(bytes + 48, manifest->run_count);
    store_u32(bytes + 52, 0);
    store_u32(bytes, crc32c_run(crc, 0, bytes + 4, manifest_bytes(manifest->run_count) - 4));
}

bool manifest_parse(const struct crc32c *crc, const uint8_t *bytes, uint64_t len,
                    struct manifest *ret_manifest)
{
    ASSERT(bytes != NULL || len == 0);
    ASSERT(ret_manifest != NULL);
    if (len < MANIFEST_HEADER_BYTES || load_u32(bytes + 4) != MAGIC ||
        manifest_bytes(load_u32(bytes + 48)) != len ||
        crc32c_run(crc, 0, bytes + 4, len - 4) != load_u32(bytes)) {
        return false;
    }
    struct manifest manifest = {.generation = load_u64(bytes + 8),
                                .run_next = load_u64(bytes + 16),
                                .wal_first = load_u64(bytes + 24),
                                .commit_flushed = load_u64(bytes + 32),
                                .watermark = load_u64(bytes + 40),
                                .run_count = load_u32(bytes + 48)};
    if (manifest.generation == 0 || manifest.run_next == 0) {
        return false;
    }
    for (uint32_t i = 0; i < manifest.run_count; i++) {
        struct manifest_run run = manifest_run_at(bytes, i);
        if (run.number == 0 || run.number >= manifest.run_next || run.level >= KERNEL_LEVELS) {
            return false;
        }
    }
    *ret_manifest = manifest;
    return true;
}

enum err manifest_read(struct disk *disk, uint8_t *bytes, uint64_t bytes_max,
                       struct manifest *ret_manifest)
{
    ASSERT(bytes_max >= MANIFEST_HEADER_BYTES);
    ASSERT(disk != NULL);
    kernel_file file = 0;
    enum err result = disk->io.open(disk->io.ctx, MANIFEST_NAME, false, &file);
    if (result == ERR_NOT_FOUND) {
        return ERR_NOT_FOUND;
    }
    if (result != ERR_OK) {
        return disk_fault(disk, KERNEL_FAULT_IO, MANIFEST_NAME, 0);
    }
    uint64_t size = 0;
    if (disk->io.size(disk->io.ctx, file, &size) != ERR_OK) {
        result = disk_fault(disk, KERNEL_FAULT_IO, MANIFEST_NAME, 0);
    } else if (size > bytes_max) {
        result = ERR_LIMIT;
    }
    bool is_sound = false;
    for (int attempt = 0; attempt < 2 && result == ERR_OK && !is_sound; attempt++) {
        result = disk_read(disk, file, MANIFEST_NAME, 0, bytes, size);
        is_sound = result == ERR_OK && manifest_parse(&disk->crc, bytes, size, ret_manifest);
    }
    disk->io.close(disk->io.ctx, file);
    if (result == ERR_OK && !is_sound) {
        return disk_fault(disk, KERNEL_FAULT_CHECKSUM, MANIFEST_NAME, 0);
    }
    return result;
}

enum err manifest_replace(struct disk *disk, const struct manifest *manifest, uint8_t *bytes)
{
    ASSERT(bytes != NULL);
    ASSERT(disk != NULL);
    manifest_seal(&disk->crc, manifest, bytes);
    const struct kernel_io *io = &disk->io;
    kernel_file file = 0;
    if (io->open(io->ctx, MANIFEST_NEW_NAME, true, &file) != ERR_OK) {
        return disk_fault(disk, KERNEL_FAULT_IO, MANIFEST_NEW_NAME, 0);
    }
    enum err result =
        disk_write(disk, file, MANIFEST_NEW_NAME, 0, bytes, manifest_bytes(manifest->run_count));
    if (result == ERR_OK) {
        result = disk_sync(disk, file, MANIFEST_NEW_NAME);
    }
    io->close(io->ctx, file);
    TRY(result);
    if (io->rename(io->ctx, MANIFEST_NEW_NAME, MANIFEST_NAME) != ERR_OK ||
        io->sync_folder(io->ctx) != ERR_OK) {
        return disk_fault(disk, KERNEL_FAULT_IO, MANIFEST_NAME, 0);
    }
    return ERR_OK;
}
