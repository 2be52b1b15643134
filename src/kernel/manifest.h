/* The manifest: which runs are the store. One file, "manifest", replaced at once: written as
 * "manifest.new", synced, renamed, folder synced.
 *
 *      0 u32 checksum of the rest    4 u32 magic "Kmf1"    8 u64 generation
 *     16 u64 run_next               24 u64 wal_first: older segments hold nothing that is needed
 *     32 u64 commit_flushed: all commits up to it are in runs
 *     40 u64 watermark              48 u32 run_count      52 u32 0
 *     56 runs: u64 number, u32 level, u32 footer checksum
 */
#pragma once

#include "kernel/disk.h"

#define MANIFEST_NAME "manifest"
#define MANIFEST_NEW_NAME "manifest.new"
#define MANIFEST_HEADER_BYTES 56u
#define MANIFEST_RUN_BYTES 16u

struct manifest {
    uint64_t generation, run_next, wal_first, commit_flushed, watermark;
    uint32_t run_count;
};

struct manifest_run {
    uint64_t number;
    uint32_t level, footer_crc;
};

static inline uint64_t manifest_bytes(uint64_t run_count)
{
    return MANIFEST_HEADER_BYTES + MANIFEST_RUN_BYTES * run_count;
}

struct manifest_run manifest_run_at(const uint8_t *bytes, uint32_t index);
void manifest_put_run(uint8_t *bytes, uint32_t index, const struct manifest_run *run);

/* Fills the header in front of the runs that were put. */
void manifest_seal(const struct crc32c *crc, const struct manifest *manifest, uint8_t *bytes);

/* True if the bytes are a manifest; its runs may then be read. */
MUST_USE bool manifest_parse(const struct crc32c *crc, const uint8_t *bytes, uint64_t len,
                             struct manifest *ret_manifest);

/* `bytes` is memory for `bytes_max`. ERR_NOT_FOUND: there is none. */
MUST_USE enum err manifest_read(struct disk *disk, uint8_t *bytes, uint64_t bytes_max,
                                struct manifest *ret_manifest);

/* Seals and replaces. After an error either the old or the new one is there. */
MUST_USE enum err manifest_replace(struct disk *disk, const struct manifest *manifest,
                                   uint8_t *bytes);
