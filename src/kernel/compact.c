/* Levelled compaction. Level 0 holds flushed memtables, which overlap; each other level is sorted
 * and eight times as large as the one above. What is merged next depends on the runs alone, so it
 * is the same on every replica. Runs that would come out of a merge as they went in are not
 * written again: they are moved, which is a manifest. */
#include "kernel/kernel_int.h"

#define LEVEL_FACTOR 8u

static uint64_t level_target(const struct kernel *kernel, uint32_t level)
{
    ASSERT(level > 0 && level < KERNEL_LEVELS);
    uint64_t target = kernel->options.level_base_bytes;
    for (uint32_t i = 1; i < level; i++) {
        target *= LEVEL_FACTOR;
    }
    ASSERT(target > 0);
    return target;
}

static uint64_t level_bytes(const struct kernel *kernel, uint32_t level)
{
    const struct view *view = kernel->view;
    ASSERT(view != NULL);
    ASSERT(level < KERNEL_LEVELS);
    uint64_t bytes = 0;
    for (uint32_t i = view->level_start[level]; i < view->level_start[level + 1]; i++) {
        const struct run *run = &kernel->runs[view->slots[i]];
        bytes += run->file_bytes + run->values_bytes;
    }
    return bytes;
}

/* The level that is most above its target, in 1/1024; KERNEL_LEVELS if none is above. */
static uint32_t fullest_level(const struct kernel *kernel)
{
    ASSERT(kernel->options.level0_runs > 0);
    uint32_t fullest = KERNEL_LEVELS;
    uint64_t most = 1023;
    for (uint32_t level = 0; level + 1 < KERNEL_LEVELS; level++) {
        uint64_t score =
            level == 0 ? view_level_runs(kernel->view, 0) * 1024u / kernel->options.level0_runs
                       : level_bytes(kernel, level) / (level_target(kernel, level) / 1024);
        if (score > most) {
            most = score;
            fullest = level;
        }
    }
    ASSERT(fullest == KERNEL_LEVELS || view_level_runs(kernel->view, fullest) > 0);
    return fullest;
}

bool kernel__compact_wanted(const struct kernel *kernel)
{
    ASSERT(kernel->view != NULL);
    ASSERT(kernel->compact.kind == JOB_NONE || kernel->compact.kind == JOB_COMPACT);
    return kernel->compact.kind != JOB_NONE || fullest_level(kernel) < KERNEL_LEVELS;
}

/* Takes the inputs of `level` into the job and returns the range of their keys. */
static void take_inputs(const struct kernel *kernel, struct job *job, uint32_t level,
                        struct slice *ret_smallest, struct slice *ret_largest)
{
    const struct view *view = kernel->view;
    ASSERT(view_level_runs(view, level) > 0);
    job->slot_count = 0;
    uint32_t first = view->level_start[level], end = view->level_start[level + 1];
    if (level > 0) { /* the oldest: over time that goes round the keys */
        for (uint32_t i = first + 1; i < end; i++) {
            if (kernel->runs[view->slots[i]].number < kernel->runs[view->slots[first]].number) {
                first = i;
            }
        }
        end = first + 1;
    }
    *ret_smallest = kernel->runs[view->slots[first]].smallest;
    *ret_largest = kernel->runs[view->slots[first]].largest;
    for (uint32_t i = first; i < end; i++) {
        const struct run *run = &kernel->runs[view->slots[i]];
        job->slots[job->slot_count++] = view->slots[i];
        if (key_compare(run->smallest, *ret_smallest) < 0) {
            *ret_smallest = run->smallest;
        }
        if (key_compare(run->largest, *ret_largest) > 0) {
            *ret_largest = run->largest;
        }
    }
    job->slot_count_from = job->slot_count;
    ASSERT(job->slot_count > 0);
}

static void take_overlapping(const struct kernel *kernel, struct job *job, uint32_t level,
                             struct slice smallest, struct slice largest)
{
    const struct view *view = kernel->view;
    ASSERT(level > 0 && level < KERNEL_LEVELS);
    ASSERT(key_compare(smallest, largest) <= 0);
    for (uint32_t i = view->level_start[level]; i < view->level_start[level + 1]; i++) {
        const struct run *run = &kernel->runs[view->slots[i]];
        if (key_compare(run->largest, smallest) >= 0 && key_compare(run->smallest, largest) <= 0) {
            job->slots[job->slot_count++] = view->slots[i];
        }
    }
}

static struct source run_source(const struct kernel *kernel, struct source *old,
                                const uint16_t *slots, uint32_t slot_count)
{
    ASSERT(old->scratch != NULL && old->key_bytes != NULL);
    ASSERT(slot_count > 0);
    return (struct source){.runs = kernel->runs,
                           .slots = slots,
                           .slot_count = slot_count,
                           .scratch = old->scratch,
                           .scratch_blocks = JOB_AHEAD_BLOCKS,
                           .key_bytes = old->key_bytes};
}

/* Nothing in it could be dropped, now or later, and what a merge writes would be as it is. Small
 * ones are merged: else there were ever more of them. */
static bool is_final(const struct kernel *kernel, const struct run *run, uint32_t level_to)
{
    ASSERT(run->number > 0);
    ASSERT(run->key_count <= run->entry_count);
    uint8_t codec = kernel->options.level_codecs[level_to];
    return run->tombstone_count == 0 && run->entry_count == run->key_count &&
           run->codec == (codec == 0 ? NULL : disk_codec(&kernel->disk, codec)) &&
           run->file_bytes + run->values_bytes >= kernel->options.run_bytes / 2;
}

/* Puts the inputs into `added` in the order of their keys; false if they must be merged, as some
 * overlap or are not final. */
static bool take_moved(const struct kernel *kernel, struct job *job)
{
    ASSERT(job->slot_count_from > 0);
    ASSERT(job->level_to > 0);
    if (job->slot_count > job->slot_count_from || job->slot_count > JOB_OUTPUTS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < job->slot_count; i++) {
        const struct run *run = &kernel->runs[job->slots[i]];
        uint32_t at = i;
        if (!is_final(kernel, run, job->level_to)) {
            return false;
        }
        for (; at > 0; at--) {
            const struct run *before = &kernel->runs[job->added[at - 1]];
            if (key_compare(before->largest, run->smallest) < 0) {
                break;
            }
            if (key_compare(run->largest, before->smallest) >= 0) {
                return false;
            }
            job->added[at] = job->added[at - 1];
        }
        job->added[at] = job->slots[i];
    }
    return true;
}

static void begin_move(struct kernel *kernel, struct job *job)
{
    ASSERT(job->slot_count == job->slot_count_from);
    job->merge.source_count = 0;
    kernel__job_begin(kernel, job, JOB_COMPACT);
    job->is_move = true;
    job->is_merged = true;
    job->output_count = job->slot_count;
    ASSERT(job->output_count > 0);
}

static void begin_compaction(struct kernel *kernel, uint32_t level)
{
    ASSERT(level + 1 < KERNEL_LEVELS);
    struct job *job = &kernel->compact;
    ASSERT(job->kind == JOB_NONE);
    struct slice smallest, largest;
    take_inputs(kernel, job, level, &smallest, &largest);
    take_overlapping(kernel, job, level + 1, smallest, largest);
    job->level_to = level + 1;
    job->table = NULL;
    if (take_moved(kernel, job)) {
        begin_move(kernel, job);
        return;
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < job->slot_count_from; i++, count++) {
        ASSERT(count < JOB_SOURCES_MAX);
        job->sources[count] = run_source(kernel, &job->sources[count], job->slots + i, 1);
    }
    uint32_t behind = job->slot_count - job->slot_count_from;
    if (behind > 0) {
        ASSERT(count < JOB_SOURCES_MAX);
        job->sources[count] =
            run_source(kernel, &job->sources[count], job->slots + job->slot_count_from, behind);
        count++;
    }
    job->merge.source_count = count;
    kernel__job_begin(kernel, job, JOB_COMPACT);
}

/* Beside commits. */
enum err kernel__compact_alphabet(struct kernel *kernel, struct job *job)
{
    ASSERT(job->kind == JOB_COMPACT);
    ASSERT(job->slot_count > 0);
    for (uint32_t i = 0; i < job->slot_count; i++) {
        struct alphabet alphabet;
        TRY(run_read_alphabet(&kernel->runs[job->slots[i]], &kernel->disk, &alphabet));
        alphabet_join(&job->alphabet, &alphabet);
    }
    return ERR_OK;
}

/* Begins a compaction unless one is going on; false if no level is above its target. */
bool kernel__compact_begin(struct kernel *kernel)
{
    ASSERT(!kernel->is_stopped);
    if (kernel->compact.kind == JOB_NONE) {
        uint32_t level = fullest_level(kernel);
        if (level == KERNEL_LEVELS) {
            return false;
        }
        begin_compaction(kernel, level);
    }
    ASSERT(kernel->compact.kind == JOB_COMPACT);
    return true;
}

enum err kernel__compact_step(struct kernel *kernel, uint64_t *bytes)
{
    ASSERT(!kernel->is_stopped);
    ASSERT(*bytes > 0);
    if (!kernel__compact_begin(kernel)) {
        return ERR_OK;
    }
    bool is_move = kernel->compact.is_move;
    enum err err = kernel__job_step(kernel, &kernel->compact, bytes,
                                    is_move ? &kernel->stat_moves : &kernel->stat_compactions);
    *bytes = is_move ? 0 : *bytes; /* a manifest is enough for one commit to pay */
    return err;
}
