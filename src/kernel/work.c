/* Upkeep apart from commits: jobs that the caller runs while others read and commit. What they do
 * is what kernel_work does, cut where the disk is waited for. */
#include "kernel/kernel_int.h"

#define STEP_BYTES (64u << 10)
#define STEP_BYTES_MAX (2u * STEP_BYTES) /* a commit that pays pays no more; the next one goes on */

static bool is_segment_wanted(const struct kernel *kernel)
{
    const struct wal *wal = &kernel->wal;
    ASSERT(wal->is_open);
    ASSERT(kernel->active != NULL);
    const struct memtable *table = &kernel->active->table;
    return !wal->has_next &&
           (wal->at > wal->segment_bytes / 2 || memtable_room(table) < table->capacity / 2);
}

static bool is_owed(const struct kernel *kernel, bool is_urgent, uint64_t debt)
{
    ASSERT(kernel != NULL);
    ASSERT(!kernel->is_working);
    return is_urgent || debt >= STEP_BYTES;
}

bool kernel_work_is_owed(const struct kernel *kernel)
{
    ASSERT(kernel != NULL);
    ASSERT(kernel->active != NULL);
    if (kernel->is_stopped || kernel->is_working || !kernel->options.is_work_apart) {
        return false;
    }
    return is_segment_wanted(kernel) || kernel->doomed_count > 0 ||
           (is_owed(kernel, false, kernel->flush_debt) && kernel__flush_wanted(kernel)) ||
           (is_owed(kernel, false, kernel->compact_debt) && kernel__compact_wanted(kernel));
}

uint64_t kernel_work_debt(const struct kernel *kernel)
{
    ASSERT(kernel != NULL);
    ASSERT(kernel->active != NULL);
    return kernel->flush_debt > kernel->compact_debt ? kernel->flush_debt : kernel->compact_debt;
}

/* Takes a step of `job`, whose turn it is, out of `debt`. */
static bool take_step(struct kernel *kernel, struct job *job, uint64_t bytes_max, uint64_t *debt,
                      struct kernel_work_job *work)
{
    ASSERT(job->kind != JOB_NONE);
    ASSERT(!kernel->is_working);
    work->kind = WORK_MERGE;
    if (job->is_merged) {
        work->kind = WORK_INSTALL;
        enum err result = job->view == NULL ? kernel__job_prepare(kernel, job) : ERR_OK;
        if (result != ERR_OK) {
            if (result != ERR_BUSY) {
                (void)kernel__stop(kernel, result);
            }
            return false;
        }
    }
    work->number = job->kind;
    work->bytes = *debt < STEP_BYTES_MAX ? *debt : STEP_BYTES_MAX;
    *debt -= work->bytes;
    work->bytes = work->bytes < bytes_max ? bytes_max : work->bytes;
    return true;
}

bool kernel_work_start(struct kernel *kernel, uint64_t bytes_max, struct kernel_work_job *ret_job)
{
    ASSERT(kernel != NULL && ret_job != NULL);
    if (kernel->is_stopped || kernel->is_working || !kernel->options.is_work_apart) {
        return false;
    }
    bool is_urgent = bytes_max > 0, is_taken = false;
    struct kernel_work_job work = {.kernel = kernel};
    if (is_segment_wanted(kernel)) {
        work.kind = WORK_SEGMENT;
        work.number = kernel->wal.segment + 1;
        is_taken = true;
    } else if (kernel->doomed_count > 0) {
        work.kind = WORK_REMOVE;
        work.number = kernel->doomed[--kernel->doomed_count];
        is_taken = true;
    }
    if (!is_taken && is_owed(kernel, is_urgent, kernel->flush_debt) &&
        kernel__flush_begin(kernel)) {
        is_taken = take_step(kernel, &kernel->flush, bytes_max, &kernel->flush_debt, &work);
    }
    if (!is_taken && !kernel->is_stopped && is_owed(kernel, is_urgent, kernel->compact_debt) &&
        kernel__compact_begin(kernel)) {
        is_taken = take_step(kernel, &kernel->compact, bytes_max, &kernel->compact_debt, &work);
    }
    kernel->is_working = is_taken;
    if (is_taken) {
        kernel->wal.is_creating = work.kind == WORK_SEGMENT;
        *ret_job = work;
    }
    ASSERT(!is_taken || !kernel->is_stopped);
    return is_taken;
}

static struct job *job_of(struct kernel *kernel, const struct kernel_work_job *work)
{
    ASSERT(work->kind == WORK_MERGE || work->kind == WORK_INSTALL);
    ASSERT(work->number == JOB_FLUSH || work->number == JOB_COMPACT);
    return work->number == JOB_FLUSH ? &kernel->flush : &kernel->compact;
}

static enum err make_segment(struct kernel *kernel, uint64_t number, kernel_file *ret_file)
{
    struct wal *wal = &kernel->wal;
    ASSERT(kernel->is_working);
    ASSERT(wal->is_creating);
    if (wal->spare == 0) {
        return wal_create_segment(&kernel->disk, number, wal->segment_bytes, true, ret_file);
    }
    uint64_t spare = wal->spare;
    wal->spare = 0;
    return wal_reuse_segment(&kernel->disk, spare, number, ret_file);
}

void kernel_work_run(struct kernel_work_job *job)
{
    struct kernel *kernel = job->kernel;
    ASSERT(kernel != NULL);
    ASSERT(kernel->is_working);
    switch ((enum work_kind)job->kind) {
    case WORK_SEGMENT:
        job->result = make_segment(kernel, job->number, &job->file);
        break;
    case WORK_REMOVE:
        kernel__remove_run(kernel, job->number);
        break;
    case WORK_MERGE:
        job->result = kernel__job_run(kernel, job_of(kernel, job), &job->bytes, &job->is_done);
        break;
    case WORK_INSTALL:
        job->result = kernel__job_write(kernel, job_of(kernel, job));
        break;
    }
}

enum err kernel_work_finish(struct kernel *kernel, const struct kernel_work_job *job)
{
    ASSERT(kernel->is_working);
    ASSERT(job->kernel == kernel);
    kernel->is_working = false;
    kernel->wal.is_creating = false;
    if (job->result != ERR_OK) {
        return kernel__stop(kernel, job->result);
    }
    if (job->kind == WORK_SEGMENT) {
        ASSERT(job->number == kernel->wal.segment + 1);
        wal_adopt_next(&kernel->wal, job->file);
    }
    if (job->kind == WORK_INSTALL && !kernel->is_stopped) {
        struct job *installed = job_of(kernel, job);
        kernel->stat_flushes += installed->kind == JOB_FLUSH;
        kernel->stat_compactions += installed->kind == JOB_COMPACT && !installed->is_move;
        kernel->stat_moves += installed->kind == JOB_COMPACT && installed->is_move;
        kernel__job_publish(kernel, installed);
    }
    return kernel->is_stopped ? ERR_IO : ERR_OK;
}
