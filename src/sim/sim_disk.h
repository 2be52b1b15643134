/* A simulated world for the kernel: files whose every fault comes from a seed.
 *
 * A write reaches what reads see at once; what a power cut leaves of it is decided by sectors of
 * 512 bytes, each on its own: old, new, or torn in the middle, in no order (so writes reorder). A
 * sync makes a file's sectors stay. A failed sync leaves them in doubt for good: later syncs do
 * not bring them back. New names, renames and removals survive in their order, up to some point
 * after the last sync of the folder. */
#pragma once

#include "base/base.h"
#include "base/err.h"
#include "kernel/kernel_io.h"

struct sim_disk;

/* One fault happens in so many calls on average; 0 = never. */
struct sim_faults {
    uint32_t short_transfer; /* reads and writes do a part */
    uint32_t read_error;
    uint32_t write_error; /* EIO; a part may have been written */
    uint32_t disk_full;
    uint32_t sync_error;
    uint32_t read_misdirected; /* once: bytes of another place */
    uint32_t read_stale;       /* once: what was there before the last write */
    uint32_t name_error;       /* open, rename, remove, list, sync of the folder */
    uint32_t crash;            /* the power goes before, within or after this call */
};

MUST_USE struct sim_disk *sim_disk_new(uint64_t seed);
void sim_disk_free(struct sim_disk *disk);

void sim_disk_set_faults(struct sim_disk *disk, const struct sim_faults *faults);

struct kernel_io sim_disk_io(struct sim_disk *disk);

/* After a crash every call fails until sim_disk_power_on, which decides what is left. */
bool sim_disk_is_crashed(const struct sim_disk *disk);
void sim_disk_crash(struct sim_disk *disk);
void sim_disk_power_on(struct sim_disk *disk);

/* Everything pending stays, as if the OS had written it all. */
void sim_disk_settle(struct sim_disk *disk);

/* Flips one bit in a random file whose name begins with `prefix`, in what is there for good; false
 * if there is none. The name and the offset are for the report. */
bool sim_disk_rot(struct sim_disk *disk, const char *prefix, char ret_name[KERNEL_NAME_BYTES],
                  uint64_t *ret_offset);

/* Of all files' names and bytes. */
uint64_t sim_disk_hash(const struct sim_disk *disk);
uint64_t sim_disk_ticks(const struct sim_disk *disk);
uint64_t sim_disk_fault_count(const struct sim_disk *disk);

/* SplitMix64. */
static inline uint64_t sim_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static inline uint64_t sim_random_below(uint64_t *state, uint64_t bound)
{
    ASSERT(bound > 0);
    return sim_random(state) % bound;
}
