/* Work in the background of commits, in steps: what flushes and compactions have in common, and
 * flushes. */
#include "kernel/kernel_int.h"

#define ENTRY_COST_BYTES 32u /* what an entry costs beside its bytes, for pacing */

enum err kernel__stop(struct kernel *kernel, enum err result)
{
    ASSERT(kernel != NULL);
    ASSERT(result != ERR_OK);
    kernel->is_stopped = true;
    return result;
}

/* No snapshot below this one is read any more. */
uint64_t kernel__horizon(const struct kernel *kernel)
{
    ASSERT(kernel->txns != NULL);
    uint64_t horizon = kernel->watermark;
    for (uint64_t i = 0; i < kernel->options.txns_max; i++) {
        const struct kernel_txn *txn = &kernel->txns[i];
        horizon = txn->is_open && txn->snapshot < horizon ? txn->snapshot : horizon;
    }
    ASSERT(horizon <= kernel->watermark);
    return horizon;
}

/* The caller has set the merge's sources and the alphabet. */
void kernel__job_begin(struct kernel *kernel, struct job *job, enum job_kind kind)
{
    ASSERT(job->kind == JOB_NONE);
    ASSERT(kind != JOB_NONE);
    job->kind = kind;
    job->watermark = kernel__horizon(kernel);
    job->output_count = 0;
    job->is_started = false;
    job->has_key = false;
    job->is_covered = false;
    job->is_key_written = false;
    job->is_merged = false;
    job->is_move = false;
    job->view = NULL;
    job->output_bytes = 0;
    job->merge.disk = &kernel->disk;
    job->merge.cache = &kernel->cache;
    job->merge.sources = job->sources;
    job->merge.is_backward = false;
    job->merge.current = NULL;
}

/* True if a level below the outputs may hold older versions of the key. Pinned, as the memtables
 * may be rotated meanwhile and give the view back; the runs in it stay the same. */
static bool has_older(struct kernel *kernel, const struct job *job, struct slice key)
{
    ASSERT(job->kind != JOB_NONE);
    if (job->kind == JOB_FLUSH) {
        return true;
    }
    struct reader *reader = &kernel->readers[kernel->options.txns_max];
    const struct view *view = kernel__pin(kernel, reader);
    bool is_older = false;
    for (uint32_t i = view->level_start[job->level_to + 1]; i < view->run_count && !is_older; i++) {
        const struct run *run = &kernel->runs[view->slots[i]];
        ASSERT(run->number > 0);
        is_older = key_compare(run->smallest, key) <= 0 && key_compare(key, run->largest) <= 0;
    }
    kernel__unpin(reader);
    return is_older;
}

/* Some snapshot at or above the watermark sees this version. */
static bool is_kept(struct kernel *kernel, struct job *job, const struct entry *entry)
{
    ASSERT(job->has_key);
    if (entry->commit > job->watermark) {
        return true;
    }
    if (job->is_covered) {
        return false; /* a newer one is at or below the watermark too */
    }
    job->is_covered = true;
    ASSERT(entry->kind <= ENTRY_FAR);
    return entry->kind != ENTRY_DELETE || has_older(kernel, job, entry->key);
}

static enum err finish_output(struct job *job)
{
    ASSERT(job->writer.is_open);
    ASSERT(job->output_count < JOB_OUTPUTS_MAX);
    TRY(run_writer_finish(&job->writer));
    job->outputs[job->output_count++] = job->writer.number;
    job->output_bytes += job->writer.file_at + values_writer_bytes(&job->writer.values);
    return ERR_OK;
}

static enum err take_entry(struct kernel *kernel, struct job *job, const struct entry *entry)
{
    struct slice last = {job->key, job->key_len};
    ASSERT(entry->key.len <= KERNEL_KEY_BYTES_MAX);
    if (!job->has_key || !slice_equal(last, entry->key)) {
        copy_bytes(job->key, entry->key.ptr, entry->key.len);
        job->key_len = (uint32_t)entry->key.len;
        job->has_key = true;
        job->is_covered = false;
        job->is_key_written = false;
        /* Only between keys: all versions of a key lie in one run. */
        if (job->writer.is_open && run_writer_is_full(&job->writer)) {
            TRY(finish_output(job));
        }
    }
    if (!is_kept(kernel, job, entry)) {
        return ERR_OK;
    }
    if (!job->writer.is_open) {
        TRY(run_writer_begin(&job->writer, kernel->manifest.run_next++, &job->alphabet,
                             kernel->options.level_codecs[job->level_to]));
    }
    struct entry whole = *entry;
    if (entry->kind == ENTRY_FAR) {
        whole.kind = ENTRY_PUT;
        TRY(run_read_value(source_run(job->merge.current), &kernel->disk, entry, job->value,
                           &whole.value));
    }
    TRY(run_writer_add(&job->writer, &whole, !job->is_key_written));
    job->is_key_written = true;
    ASSERT(job->writer.entry_count > 0);
    return ERR_OK;
}

static void flush_alphabet(struct job *job)
{
    ASSERT(job->kind == JOB_FLUSH);
    ASSERT(job->table->state == TABLE_FROZEN);
    const struct memtable *table = &job->table->table;
    struct entry entry;
    for (memtable_node node = memtable_first(table); node != 0; node = memtable_next(table, node)) {
        memtable_at(table, node, &entry);
        alphabet_add(&job->alphabet, entry.key);
    }
}

/* Touches nothing but the job, its inputs and files: it may run beside commits. */
enum err kernel__job_run(struct kernel *kernel, struct job *job, uint64_t *bytes, bool *ret_is_done)
{
    ASSERT(job->kind != JOB_NONE);
    ASSERT(ret_is_done != NULL);
    if (job->is_move) {
        *ret_is_done = true;
        return ERR_OK;
    }
    if (!job->is_started) {
        memset(&job->alphabet, 0, sizeof(job->alphabet));
        if (job->kind == JOB_FLUSH) {
            flush_alphabet(job);
        } else {
            TRY(kernel__compact_alphabet(kernel, job));
        }
        TRY(merge_seek(&job->merge, (struct slice){"", 0}, COMMIT_MAX, false));
        job->is_started = true;
    }
    while (job->merge.current != NULL && *bytes > 0) {
        const struct entry *entry = &job->merge.current->entry;
        bool is_far = entry->kind == ENTRY_FAR;
        uint64_t cost = entry->key.len + ENTRY_COST_BYTES +
                        (is_far ? value_place_load(entry->value).len : entry->value.len);
        *bytes -= cost < *bytes ? cost : *bytes;
        TRY(take_entry(kernel, job, entry));
        TRY(merge_next(&job->merge));
    }
    if (job->merge.current == NULL && job->writer.is_open) {
        TRY(finish_output(job));
    }
    job->is_merged = job->merge.current == NULL;
    *ret_is_done = job->is_merged;
    return ERR_OK;
}

/* ---- The new view */

static enum err find_slot(const struct kernel *kernel, uint16_t *ret_slot)
{
    ASSERT(kernel->runs != NULL);
    ASSERT(kernel->options.runs_max <= UINT16_MAX);
    for (uint64_t i = 0; i < kernel->options.runs_max; i++) {
        if (kernel->runs[i].number == 0) {
            *ret_slot = (uint16_t)i;
            return ERR_OK;
        }
    }
    return ERR_LIMIT;
}

static bool is_input(const struct job *job, uint16_t slot)
{
    ASSERT(job == NULL || job->kind != JOB_NONE);
    for (uint32_t i = 0; job != NULL && i < job->slot_count; i++) {
        if (job->slots[i] == slot) {
            return true;
        }
    }
    ASSERT(job == NULL || job->kind == JOB_FLUSH || job->slot_count > 0);
    return false;
}

/* Adds what stays of a level, and the outputs (`added`, sorted by key) where they belong. */
static void build_level(struct kernel *kernel, const struct job *job, struct view *view,
                        uint32_t level, const uint16_t *added, uint32_t added_count)
{
    const struct view *before = kernel->view;
    uint32_t at = before->level_start[level], end = before->level_start[level + 1], next = 0;
    ASSERT(added_count == 0 || level == job->level_to);
    ASSERT(end >= at);
    view->level_start[level] = view->run_count;
    while (at < end || next < added_count) {
        if (at < end && is_input(job, before->slots[at])) {
            at++;
            continue;
        }
        bool is_added = at == end;
        if (at < end && next < added_count) {
            is_added = level == 0 || key_compare(kernel->runs[added[next]].smallest,
                                                 kernel->runs[before->slots[at]].smallest) < 0;
        }
        kernel__view_add_run(kernel, view, is_added ? added[next++] : before->slots[at++]);
    }
    view->level_start[level + 1] = view->run_count;
    ASSERT(next == added_count);
}

void kernel__view_fill(struct kernel *kernel, struct view *view, const struct job *job,
                       const uint16_t *added)
{
    ASSERT(view->run_count == 0);
    ASSERT(view != kernel->view);
    for (uint32_t level = 0; level < KERNEL_LEVELS; level++) {
        bool is_target = job != NULL && level == job->level_to;
        build_level(kernel, job, view, level, added, is_target ? job->output_count : 0);
    }
}

static enum err open_outputs(struct kernel *kernel, const struct job *job, uint16_t *slots)
{
    ASSERT(job->output_count <= JOB_OUTPUTS_MAX);
    for (uint32_t i = 0; i < job->output_count; i++) {
        ASSERT(job->outputs[i] > 0);
        TRY(find_slot(kernel, &slots[i]));
        TRY(run_open(&kernel->runs[slots[i]], &kernel->disk, &kernel->pool, job->outputs[i]));
    }
    return ERR_OK;
}

/* To make the job's outputs part of the store, in place of its inputs: reserves a view and fills
 * the manifest. ERR_BUSY: readers hold all views; nothing has changed. */
enum err kernel__job_prepare(struct kernel *kernel, struct job *job)
{
    ASSERT(!job->writer.is_open && job->is_merged);
    ASSERT(job->view == NULL);
    merge_release(&job->merge);
    kernel__reclaim(kernel);
    uint64_t commit_flushed = kernel->manifest.commit_flushed;
    uint64_t wal_first = kernel->manifest.wal_first;
    struct view *view = kernel__view_new(kernel);
    if (view == NULL) {
        return ERR_BUSY;
    }
    job->view = view;
    TRY(job->is_move ? ERR_OK : open_outputs(kernel, job, job->added));
    kernel__view_fill(kernel, view, job, job->added);
    if (job->kind == JOB_FLUSH) {
        ASSERT(job->table->state == TABLE_FROZEN);
        commit_flushed = job->table->commit_last;
        wal_first = UINT64_MAX;
        for (uint64_t i = 0; i < kernel->options.memtables; i++) {
            const struct table_slot *slot = &kernel->tables[i];
            if ((slot->state == TABLE_ACTIVE || slot->state == TABLE_FROZEN) &&
                slot != job->table && slot->wal_segment < wal_first) {
                wal_first = slot->wal_segment;
            }
        }
    }
    kernel__fill_manifest(kernel, view, commit_flushed, wal_first, &job->manifest_next);
    return ERR_OK;
}

/* Beside commits. */
enum err kernel__job_write(struct kernel *kernel, struct job *job)
{
    ASSERT(job->view != NULL);
    ASSERT(job->is_merged);
    return kernel__replace_manifest(kernel, &job->manifest_next);
}

void kernel__job_publish(struct kernel *kernel, struct job *job)
{
    ASSERT(job->view != NULL && job->view != kernel->view);
    ASSERT(kernel->manifest.generation == job->manifest_next.generation);
    if (job->kind == JOB_FLUSH) {
        job->table->state = TABLE_RETIRED; /* not in the new view */
        job->table->retired_epoch = kernel->epoch;
    }
    /* Once more: a memtable may have been rotated while the manifest was written. */
    kernel__view_renew(kernel, job->view);
    kernel__view_fill(kernel, job->view, job, job->added);
    for (uint32_t i = 0; i < job->slot_count && !job->is_move; i++) {
        struct run_state *state = &kernel->run_states[job->slots[i]];
        state->is_retired = true;
        state->retired_epoch = kernel->epoch;
    }
    kernel__view_publish(kernel, job->view);
    kernel->stat_run_bytes += job->output_bytes;
    job->kind = JOB_NONE;
    job->view = NULL;
    kernel__reclaim(kernel);
}

/* A step of `bytes`, and all three parts of the installation if that ends the merge. */
enum err kernel__job_step(struct kernel *kernel, struct job *job, uint64_t *bytes, uint64_t *stat)
{
    ASSERT(job->kind != JOB_NONE);
    ASSERT(!kernel->is_working);
    bool is_done = false;
    enum err result = kernel__job_run(kernel, job, bytes, &is_done);
    if (result == ERR_OK && is_done && job->view == NULL) {
        result = kernel__job_prepare(kernel, job);
        if (result == ERR_BUSY) {
            *bytes = 0;
            return ERR_OK;
        }
    }
    if (result == ERR_OK && is_done) {
        result = kernel__job_write(kernel, job);
    }
    if (result == ERR_OK && is_done) {
        kernel__job_publish(kernel, job);
        (*stat)++;
    }
    return result == ERR_OK ? ERR_OK : kernel__stop(kernel, result);
}

/* ---- Flushes */

static struct table_slot *oldest_frozen(const struct kernel *kernel)
{
    ASSERT(kernel->options.memtables <= MEMTABLES_MAX);
    const struct table_slot *oldest = NULL;
    for (uint64_t i = 0; i < kernel->options.memtables; i++) {
        const struct table_slot *slot = &kernel->tables[i];
        if (slot->state == TABLE_FROZEN && (oldest == NULL || slot->order < oldest->order)) {
            oldest = slot;
        }
    }
    ASSERT(oldest == NULL || oldest->state == TABLE_FROZEN);
    return oldest == NULL ? NULL : (struct table_slot *)(uintptr_t)oldest;
}

bool kernel__flush_wanted(const struct kernel *kernel)
{
    ASSERT(kernel->flush.kind == JOB_NONE || kernel->flush.kind == JOB_FLUSH);
    ASSERT(kernel->active != NULL);
    return kernel->flush.kind != JOB_NONE || oldest_frozen(kernel) != NULL;
}

static void begin_flush(struct kernel *kernel, struct table_slot *slot)
{
    ASSERT(slot->state == TABLE_FROZEN);
    struct job *job = &kernel->flush;
    job->table = slot;
    job->level_to = 0;
    job->slot_count = 0;
    job->sources[0] = (struct source){.table = &slot->table};
    job->merge.source_count = 1;
    kernel__job_begin(kernel, job, JOB_FLUSH);
    ASSERT(job->kind == JOB_FLUSH);
}

/* Begins a flush unless one is going on; false if there is nothing to flush. */
bool kernel__flush_begin(struct kernel *kernel)
{
    ASSERT(!kernel->is_stopped);
    if (kernel->flush.kind == JOB_NONE) {
        struct table_slot *slot = oldest_frozen(kernel);
        if (slot == NULL) {
            return false;
        }
        begin_flush(kernel, slot);
    }
    ASSERT(kernel->flush.kind == JOB_FLUSH);
    return true;
}

enum err kernel__flush_step(struct kernel *kernel, uint64_t *bytes)
{
    ASSERT(!kernel->is_stopped);
    ASSERT(*bytes > 0);
    return kernel__flush_begin(kernel)
               ? kernel__job_step(kernel, &kernel->flush, bytes, &kernel->stat_flushes)
               : ERR_OK;
}
