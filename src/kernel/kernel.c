#include "kernel/kernel.h"

#include "kernel/filter.h"
#include "kernel/kernel_int.h"

#define MIB ((uint64_t)1 << 20)
#define STEP_BYTES (64u << 10) /* commits work in pieces of so much input */
#define LEVEL0_STOP_FACTOR 3u  /* so many times level0_runs, and commits wait for the merge */
#define FLUSH_PACE 2u
#define COMPACT_PACE 16u /* each byte is merged about eight times a level, in two or three levels */

/* ---- Options and memory */

static void set_default(uint64_t *option, uint64_t value)
{
    ASSERT(option != NULL);
    ASSERT(value > 0);
    *option = *option == 0 ? value : *option;
}

/* Every codec that a level is to have is there. */
static bool has_codecs(const struct kernel_options *options)
{
    ASSERT(options != NULL);
    ASSERT(options->codecs != NULL || options->codec_count == 0);
    struct disk disk = {.codecs = options->codecs, .codec_count = options->codec_count};
    for (uint32_t level = 0; level < KERNEL_LEVELS; level++) {
        uint32_t id = options->level_codecs[level];
        if (id != 0 && disk_codec(&disk, id) == NULL) {
            return false;
        }
    }
    return true;
}

static bool resolve_options(const struct kernel_options *given, struct kernel_options *ret_options)
{
    ASSERT(given != NULL && ret_options != NULL);
    struct kernel_options o = *given;
    set_default(&o.memtable_bytes, 32 * MIB);
    set_default(&o.memtables, 3);
    set_default(&o.cache_bytes, 64 * MIB);
    set_default(&o.table_bytes, 64 * MIB);
    set_default(&o.run_bytes, 32 * MIB);
    set_default(&o.runs_max, 4096);
    set_default(&o.txns_max, 16);
    set_default(&o.value_bytes_max, KERNEL_VALUE_BYTES_MAX);
    set_default(&o.txn_bytes, 2 * MIB);
    set_default(&o.reads_bytes, 4 * MIB);
    set_default(&o.wal_buffer_bytes, 4 * MIB);
    set_default(&o.wal_segment_bytes, 64 * MIB);
    set_default(&o.level_base_bytes, 128 * MIB);
    set_default(&o.level0_runs, 4);
    set_default(&o.filter_bits_per_key, 12);
    o.wal_buffer_bytes = align_up(o.wal_buffer_bytes, WAL_ALIGN);
    o.memtable_bytes = align_up(o.memtable_bytes, 64);
    o.txn_bytes = align_up(o.txn_bytes, 64);
    o.reads_bytes = align_up(o.reads_bytes, 64);
    *ret_options = o;
    ASSERT(o.wal_buffer_bytes % WAL_ALIGN == 0 && o.memtable_bytes % 64 == 0);
    return has_codecs(&o) && o.memtables >= 2 && o.memtables <= MEMTABLES_MAX &&
           o.memtable_bytes >= 2 * WAL_ALIGN && o.memtable_bytes <= UINT32_MAX / 2 &&
           o.run_bytes >= o.memtable_bytes &&
           o.run_bytes <= (uint64_t)(RUN_BLOCKS_MAX / 2) * BLOCK_BYTES && o.runs_max >= 64 &&
           o.runs_max < UINT16_MAX && o.txns_max >= 1 && o.txns_max <= 65536 &&
           o.txn_bytes >= WAL_ALIGN && o.txn_bytes <= UINT32_MAX / 2 && o.reads_bytes >= 1024 &&
           o.reads_bytes <= UINT32_MAX / 2 && o.value_bytes_max >= BLOCK_VALUE_BYTES_MAX &&
           o.value_bytes_max <= KERNEL_VALUE_BYTES_MAX && o.wal_buffer_bytes >= 2 * WAL_ALIGN &&
           o.wal_buffer_bytes <= UINT32_MAX / 2 && o.wal_segment_bytes >= o.wal_buffer_bytes &&
           o.level_base_bytes >= 1024 && o.level0_runs >= 2 && o.level0_runs <= 5 &&
           o.cache_bytes >= 64 * BLOCK_BYTES && o.table_bytes >= 64 * BLOCK_BYTES &&
           o.filter_bits_per_key <= 64;
}

/* Cuts the block of memory; with base NULL it only counts. */
struct cutter {
    uint8_t *base;
    uint64_t used;
};

static void *cut(struct cutter *cutter, uint64_t bytes)
{
    ASSERT(cutter->used % 64 == 0);
    ASSERT(bytes < UINT64_MAX / 2);
    void *at = cutter->base == NULL ? NULL : cutter->base + cutter->used;
    cutter->used += align_up(bytes, 64);
    return at;
}

static void lay_out_txn(struct kernel *kernel, struct cutter *cutter, uint64_t index)
{
    const struct kernel_options *o = &kernel->options;
    void *overlay = cut(cutter, o->txn_bytes);
    void *reads = cut(cutter, o->txn_bytes / 4);
    char *value = cut(cutter, o->value_bytes_max);
    char *scan_value = cut(cutter, o->value_bytes_max);
    char *scan_last = cut(cutter, KERNEL_KEY_BYTES_MAX);
    uint8_t *scratch = cut(cutter, (uint64_t)BLOCK_BYTES * (SCAN_SOURCES_MAX + 1));
    char *keys = cut(cutter, (uint64_t)KERNEL_KEY_BYTES_MAX * SCAN_SOURCES_MAX);
    if (cutter->base == NULL) {
        return;
    }
    struct kernel_txn *txn = &kernel->txns[index];
    ASSERT(index < o->txns_max);
    ASSERT(!txn->is_open);
    txn->kernel = kernel;
    txn->reader = &kernel->readers[index];
    memtable_init(&txn->overlay, overlay, (uint32_t)o->txn_bytes);
    txn->reads = (struct read_set){.bytes = reads, .max = (uint32_t)(o->txn_bytes / 4)};
    txn->value = value;
    txn->scratch = scratch;
    txn->scan.txn = txn;
    txn->scan.value = scan_value;
    txn->scan.last = scan_last;
    for (uint32_t i = 0; i < SCAN_SOURCES_MAX; i++) {
        txn->scan.sources[i].scratch = scratch + (uint64_t)BLOCK_BYTES * (i + 1);
        txn->scan.sources[i].scratch_blocks = 1;
        txn->scan.sources[i].key_bytes = keys + (uint64_t)KERNEL_KEY_BYTES_MAX * i;
    }
}

static void lay_out_job(struct kernel *kernel, struct cutter *cutter, struct job *job)
{
    const struct kernel_options *o = &kernel->options;
    uint64_t ahead = (uint64_t)BLOCK_BYTES * JOB_AHEAD_BLOCKS;
    void *writer = cut(cutter, run_writer_memory_bytes(o->run_bytes, o->filter_bits_per_key));
    uint16_t *slots = cut(cutter, o->runs_max * sizeof(uint16_t));
    uint16_t *added = cut(cutter, JOB_OUTPUTS_MAX * sizeof(uint16_t));
    uint64_t *outputs = cut(cutter, JOB_OUTPUTS_MAX * sizeof(uint64_t));
    char *key = cut(cutter, KERNEL_KEY_BYTES_MAX);
    char *value = cut(cutter, o->value_bytes_max);
    char *keys = cut(cutter, (uint64_t)KERNEL_KEY_BYTES_MAX * JOB_SOURCES_MAX);
    uint8_t *scratch = cut(cutter, ahead * JOB_SOURCES_MAX);
    if (cutter->base == NULL) {
        return;
    }
    ASSERT(job->kind == JOB_NONE);
    ASSERT(writer != NULL);
    run_writer_init(&job->writer, &kernel->disk, writer, o->run_bytes, o->filter_bits_per_key);
    job->slots = slots;
    job->added = added;
    job->outputs = outputs;
    job->key = key;
    job->value = value;
    for (uint32_t i = 0; i < JOB_SOURCES_MAX; i++) {
        job->sources[i].scratch = scratch + ahead * i;
        job->sources[i].scratch_blocks = JOB_AHEAD_BLOCKS;
        job->sources[i].key_bytes = keys + (uint64_t)KERNEL_KEY_BYTES_MAX * i;
    }
}

/* Returns where what is read from everywhere begins. */
static uint64_t lay_out(struct kernel *kernel, struct cutter *cutter)
{
    const struct kernel_options *o = &kernel->options;
    ASSERT(o->runs_max > 0 && o->txns_max > 0);
    kernel->readers = cut(cutter, sizeof(struct reader) * (o->txns_max + 1));
    kernel->txns = cut(cutter, sizeof(struct kernel_txn) * o->txns_max);
    kernel->runs = cut(cutter, sizeof(struct run) * o->runs_max);
    kernel->run_states = cut(cutter, sizeof(struct run_state) * o->runs_max);
    kernel->doomed = cut(cutter, sizeof(uint64_t) * o->runs_max);
    uint64_t small_bytes = cutter->used; /* up to here all zeros */
    if (cutter->base != NULL) {
        memset(kernel->readers, 0,
               small_bytes - (uint64_t)((uint8_t *)kernel->readers - cutter->base));
    }
    for (uint32_t i = 0; i < VIEWS; i++) {
        kernel->views[i].slots = cut(cutter, sizeof(uint16_t) * o->runs_max);
        kernel->views[i].heads = cut(cutter, sizeof(uint64_t) * o->runs_max);
    }
    for (uint64_t i = 0; i < o->memtables; i++) {
        void *memory = cut(cutter, o->memtable_bytes);
        if (memory != NULL) {
            memtable_init(&kernel->tables[i].table, memory, (uint32_t)o->memtable_bytes);
        }
    }
    for (uint64_t i = 0; i < o->txns_max; i++) {
        lay_out_txn(kernel, cutter, i);
    }
    lay_out_job(kernel, cutter, &kernel->flush);
    lay_out_job(kernel, cutter, &kernel->compact);
    kernel->manifest_bytes_max = align_up(manifest_bytes(o->runs_max), 64);
    kernel->manifest_bytes = cut(cutter, kernel->manifest_bytes_max);
    void *records = cut(cutter, sizeof(struct ssi_record) * ssi_record_count(o->reads_bytes));
    void *reads = cut(cutter, o->reads_bytes);
    void *log = cut(cutter, 2 * o->wal_buffer_bytes);
    uint64_t cached = cutter->used;
    void *tables = cut(cutter, table_pool_memory_bytes(o->table_bytes));
    void *cache = cut(cutter, cache_memory_bytes(o->cache_bytes));
    ASSERT(cutter->used > small_bytes);
    if (cutter->base != NULL) {
        wal_init(&kernel->wal, &kernel->disk, log, o->wal_buffer_bytes, o->wal_segment_bytes);
        table_pool_init(&kernel->pool, tables, o->table_bytes);
        cache_init(&kernel->cache, cache, o->cache_bytes);
        ssi_init(&kernel->ssi, records, reads, o->reads_bytes);
    }
    return cached;
}

uint64_t kernel_memory_bytes(const struct kernel_options *options, uint64_t *ret_cached)
{
    ASSERT(options != NULL);
    struct kernel kernel;
    memset(&kernel, 0, sizeof(kernel));
    if (!resolve_options(options, &kernel.options)) {
        return 0;
    }
    struct cutter cutter = {0};
    (void)cut(&cutter, sizeof(struct kernel) + 64);
    uint64_t cached = lay_out(&kernel, &cutter);
    ASSERT(cached < cutter.used);
    if (ret_cached != NULL) {
        *ret_cached = cached;
    }
    return cutter.used;
}

/* ---- Open and close */

static void close_files(struct kernel *kernel)
{
    ASSERT(kernel != NULL);
    merge_release(&kernel->flush.merge);
    merge_release(&kernel->compact.merge);
    run_writer_abandon(&kernel->flush.writer);
    run_writer_abandon(&kernel->compact.writer);
    kernel->wal.is_job = false;
    wal_close(&kernel->wal);
    for (uint64_t i = 0; i < kernel->options.runs_max; i++) {
        if (kernel->runs[i].number > 0) {
            run_close(&kernel->runs[i], &kernel->disk, &kernel->pool);
        }
    }
    ASSERT(!kernel->wal.is_open);
}

enum err kernel_open(const struct kernel_options *options, const struct kernel_io *io, void *memory,
                     struct kernel **ret_kernel, struct kernel_fault *ret_fault)
{
    ASSERT(memory != NULL && ((uintptr_t)memory & 15) == 0);
    ASSERT(io != NULL && ret_kernel != NULL);
    struct kernel_options resolved;
    if (!resolve_options(options, &resolved)) {
        return ERR_INVALID;
    }
    uint64_t gap = align_up((uintptr_t)memory, 64) - (uintptr_t)memory;
    struct cutter cutter = {.base = (uint8_t *)memory + gap};
    struct kernel *kernel = cut(&cutter, sizeof(struct kernel));
    memset(kernel, 0, sizeof(*kernel));
    kernel->options = resolved;
    disk_init(&kernel->disk, io, resolved.has_hardware_crc);
    kernel->disk.codecs = resolved.codecs;
    kernel->disk.codec_count = resolved.codec_count;
    (void)lay_out(kernel, &cutter);
    kernel->epoch = 1;
    enum err result = kernel__recover(kernel);
    if (result != ERR_OK) {
        if (ret_fault != NULL) {
            disk_get_fault(&kernel->disk, ret_fault);
        }
        close_files(kernel);
        return result;
    }
    *ret_kernel = kernel;
    return ERR_OK;
}

void kernel_close(struct kernel *kernel)
{
    if (kernel == NULL) {
        return;
    }
    for (uint64_t i = 0; i < kernel->options.txns_max; i++) {
        ASSERT(!kernel->txns[i].is_open);
    }
    ASSERT(!kernel->is_working);
    kernel__remove_doomed(kernel);
    if (!kernel->is_stopped) {
        enum err ignored = kernel_sync(kernel); /* who must know calls it himself */
        (void)ignored;
    }
    close_files(kernel);
    ASSERT(!kernel->wal.is_open);
}

void kernel_last_fault(const struct kernel *kernel, struct kernel_fault *ret_fault)
{
    ASSERT(kernel != NULL);
    ASSERT(ret_fault != NULL);
    disk_get_fault(&kernel->disk, ret_fault);
}

/* ---- The log */

bool kernel_sync_start(struct kernel *kernel, struct kernel_sync_job *ret_job)
{
    ASSERT(kernel != NULL && ret_job != NULL);
    struct wal *wal = &kernel->wal;
    if (kernel->is_stopped || wal->is_job || (wal->used == 0 && !wal->is_unsynced)) {
        return false;
    }
    /* A segment may grow longer while the next one is still being made. */
    if (wal->used > 0 && !wal->is_creating &&
        wal->at + align_up(wal->used, WAL_ALIGN) > wal->segment_bytes) {
        char name[KERNEL_NAME_BYTES];
        disk_name(WAL_PREFIX, wal->segment, name);
        enum err result = wal->is_unsynced ? disk_sync(&kernel->disk, wal->file, name) : ERR_OK;
        wal->is_unsynced = result != ERR_OK;
        if (result != ERR_OK || wal_start_segment(wal, wal->segment + 1) != ERR_OK) {
            (void)kernel__stop(kernel, ERR_IO);
            return false;
        }
    }
    *ret_job = (struct kernel_sync_job){
        .kernel = kernel, .file = wal->file, .commit_last = kernel->committed, .is_sync = true};
    if (!wal_take_group(wal, kernel->durable, &ret_job->bytes, &ret_job->offset, &ret_job->len)) {
        wal->is_job = true;
    }
    ASSERT(wal->is_job);
    return true;
}

void kernel_sync_run(struct kernel_sync_job *job)
{
    ASSERT(job->kernel != NULL);
    ASSERT(job->len == 0 || job->bytes != NULL);
    const struct kernel_io *io = &job->kernel->disk.io;
    const uint8_t *at = job->bytes;
    uint64_t left = job->len, offset = job->offset;
    job->result = ERR_OK;
    while (left > 0 && job->result == ERR_OK) {
        size_t done = 0;
        job->result = io->write(io->ctx, job->file, offset, at, left, &done);
        job->result = job->result == ERR_OK && done == 0 ? ERR_IO : job->result;
        at += done;
        offset += done;
        left -= done;
    }
    if (job->result == ERR_OK && job->is_sync) {
        job->result = io->sync(io->ctx, job->file);
    }
}

enum err kernel_sync_finish(struct kernel *kernel, const struct kernel_sync_job *job)
{
    ASSERT(kernel->wal.is_job);
    ASSERT(job->kernel == kernel);
    kernel->wal.is_job = false;
    if (job->result != ERR_OK) {
        /* Never asked twice: after a failed sync the OS may have dropped the pages. */
        char name[KERNEL_NAME_BYTES];
        disk_name(WAL_PREFIX, kernel->wal.segment, name);
        return kernel__stop(kernel, disk_fault(&kernel->disk, KERNEL_FAULT_IO, name, job->offset));
    }
    if (job->is_sync) {
        kernel->wal.is_unsynced = false;
        kernel->stat_syncs++;
        kernel->durable = job->commit_last;
    }
    return ERR_OK;
}

enum err kernel_sync(struct kernel *kernel)
{
    ASSERT(kernel != NULL);
    ASSERT(!kernel->wal.is_job);
    struct kernel_sync_job job;
    if (kernel_sync_start(kernel, &job)) {
        kernel_sync_run(&job);
        TRY(kernel_sync_finish(kernel, &job));
    }
    return kernel->is_stopped ? ERR_IO : ERR_OK;
}

/* Room for one more record: what is pending goes to the disk, without a sync. */
enum err kernel__log_room(struct kernel *kernel, uint64_t writes_bytes)
{
    ASSERT(!kernel->is_stopped);
    if (wal_has_room(&kernel->wal, writes_bytes)) {
        return ERR_OK;
    }
    struct kernel_sync_job job;
    if (!kernel_sync_start(kernel, &job)) {
        return kernel->is_stopped ? ERR_IO : ERR_LIMIT;
    }
    job.is_sync = false;
    kernel_sync_run(&job);
    TRY(kernel_sync_finish(kernel, &job));
    ASSERT(wal_has_room(&kernel->wal, writes_bytes));
    return ERR_OK;
}

/* ---- Memtables */

struct table_slot *kernel__free_table(struct kernel *kernel)
{
    ASSERT(kernel->options.memtables <= MEMTABLES_MAX);
    for (uint64_t i = 0; i < kernel->options.memtables; i++) {
        if (kernel->tables[i].state == TABLE_FREE) {
            ASSERT(kernel->tables[i].table.entry_count == 0);
            return &kernel->tables[i];
        }
    }
    return NULL;
}

void kernel__activate(struct kernel *kernel, struct table_slot *slot, uint64_t wal_segment)
{
    ASSERT(slot->state == TABLE_FREE);
    ASSERT(kernel->active == NULL || kernel->active->state == TABLE_FROZEN);
    slot->state = TABLE_ACTIVE;
    slot->order = ++kernel->table_order;
    slot->wal_segment = wal_segment;
    kernel->active = slot;
}

static enum err publish_same_runs(struct kernel *kernel)
{
    ASSERT(kernel->view != NULL);
    kernel__reclaim(kernel);
    struct view *view = kernel__view_new(kernel);
    if (view == NULL) {
        return ERR_LIMIT;
    }
    kernel__view_fill(kernel, view, NULL, NULL);
    kernel__view_publish(kernel, view);
    ASSERT(kernel->view == view);
    return ERR_OK;
}

static bool is_late(const struct kernel *kernel)
{
    ASSERT(kernel->view != NULL);
    ASSERT(kernel->options.level0_runs > 0);
    return view_level_runs(kernel->view, 0) >= kernel->options.level0_runs * LEVEL0_STOP_FACTOR;
}

/* Level 0 has room for a few runs more than commits fill it with: whoever flushes beside them (each
 * opening does) merges first. */
static enum err catch_up(struct kernel *kernel)
{
    ASSERT(!kernel->is_working);
    while (is_late(kernel)) {
        uint64_t bytes = UINT64_MAX, done = kernel->stat_compactions + kernel->stat_moves;
        TRY(kernel__compact_step(kernel, &bytes));
        if (kernel->stat_compactions + kernel->stat_moves == done) {
            return ERR_LIMIT; /* readers hold what the merge needs */
        }
    }
    ASSERT(!kernel->is_stopped);
    return ERR_OK;
}

enum err kernel__flush_all(struct kernel *kernel)
{
    ASSERT(!kernel->is_stopped);
    while (kernel__flush_wanted(kernel)) {
        uint64_t bytes = UINT64_MAX;
        TRY(catch_up(kernel));
        TRY(kernel__flush_step(kernel, &bytes));
        if (bytes == 0) {
            return ERR_LIMIT; /* readers hold what the flush needs */
        }
    }
    ASSERT(kernel->flush.kind == JOB_NONE);
    return ERR_OK;
}

/* Freezes the active memtable and begins a new one with a new segment of the log. ERR_LIMIT: not
 * while a sync job is under way or readers hold all that could be freed. */
enum err kernel__rotate(struct kernel *kernel)
{
    ASSERT(!kernel->is_stopped);
    ASSERT(kernel->active->state == TABLE_ACTIVE);
    if (kernel->wal.is_job) {
        return ERR_LIMIT;
    }
    if (kernel__free_table(kernel) == NULL) {
        TRY(kernel__flush_all(kernel));
        kernel__reclaim(kernel);
    }
    struct table_slot *next = kernel__free_table(kernel);
    if (next == NULL) {
        return ERR_LIMIT;
    }
    if (kernel->wal.is_unsynced) { /* what is pending goes to the new segment */
        TRY(kernel_sync(kernel));
    }
    if (wal_start_segment(&kernel->wal, kernel->wal.segment + 1) != ERR_OK) {
        return kernel__stop(kernel, ERR_IO);
    }
    struct table_slot *before = kernel->active;
    before->state = TABLE_FROZEN;
    before->commit_last = kernel->committed;
    kernel__activate(kernel, next, kernel->wal.segment);
    enum err result = publish_same_runs(kernel);
    /* Without a view readers would not see the new memtable: take the step back. */
    if (result != ERR_OK) {
        before->state = TABLE_ACTIVE;
        next->state = TABLE_FREE;
        kernel->active = before;
    }
    return result;
}

/* ---- Upkeep */

void kernel__fill_manifest(struct kernel *kernel, const struct view *view, uint64_t commit_flushed,
                           uint64_t wal_first, struct manifest *ret_next)
{
    ASSERT(commit_flushed >= kernel->manifest.commit_flushed);
    ASSERT(wal_first >= kernel->manifest.wal_first);
    struct manifest next = kernel->manifest;
    next.generation++;
    next.commit_flushed = commit_flushed;
    next.wal_first = wal_first;
    next.watermark = kernel->watermark;
    next.run_count = view->run_count;
    uint32_t index = 0;
    for (uint32_t level = 0; level < KERNEL_LEVELS; level++) {
        for (uint32_t i = view->level_start[level]; i < view->level_start[level + 1]; i++) {
            const struct run *run = &kernel->runs[view->slots[i]];
            struct manifest_run entry = {run->number, level, run->footer_crc};
            manifest_put_run(kernel->manifest_bytes, index++, &entry);
        }
    }
    *ret_next = next;
}

/* With the list of runs as kernel__fill_manifest left it. */
enum err kernel__replace_manifest(struct kernel *kernel, const struct manifest *next)
{
    ASSERT(next->generation == kernel->manifest.generation + 1);
    ASSERT(next->run_next == kernel->manifest.run_next);
    TRY(manifest_replace(&kernel->disk, next, kernel->manifest_bytes));
    for (uint64_t segment = kernel->manifest.wal_first; segment < next->wal_first; segment++) {
        char name[KERNEL_NAME_BYTES];
        disk_name(WAL_PREFIX, segment, name);
        if (kernel->options.is_work_apart && kernel->wal.spare == 0) {
            kernel->wal.spare = segment; /* touched by work jobs only, one at a time */
            continue;
        }
        (void)kernel->disk.io.remove(kernel->disk.io.ctx, name);
    }
    kernel->manifest = *next;
    return ERR_OK;
}

enum err kernel__write_manifest(struct kernel *kernel, const struct view *view,
                                uint64_t commit_flushed, uint64_t wal_first)
{
    ASSERT(!kernel->is_working);
    ASSERT(view != NULL);
    struct manifest next;
    kernel__fill_manifest(kernel, view, commit_flushed, wal_first, &next);
    return kernel__replace_manifest(kernel, &next);
}

enum err kernel_work(struct kernel *kernel, uint64_t bytes_max, bool *ret_is_more)
{
    ASSERT(kernel != NULL);
    ASSERT(ret_is_more != NULL);
    ASSERT(!kernel->is_working);
    if (kernel->is_stopped) {
        return ERR_IO;
    }
    uint64_t bytes = bytes_max;
    if (kernel__flush_wanted(kernel) && bytes > 0) {
        TRY(kernel__flush_step(kernel, &bytes));
    }
    if (kernel__compact_wanted(kernel) && bytes > 0) {
        TRY(kernel__compact_step(kernel, &bytes));
    }
    kernel__reclaim(kernel);
    kernel__remove_doomed(kernel);
    *ret_is_more = kernel__flush_wanted(kernel) || kernel__compact_wanted(kernel);
    return ERR_OK;
}

/* True if the memtable may not be rotated before some work is done apart from commits. */
bool kernel__must_wait(struct kernel *kernel)
{
    ASSERT(!kernel->is_stopped);
    ASSERT(kernel->active->state == TABLE_ACTIVE);
    if (!kernel->options.is_work_apart) {
        return false;
    }
    kernel__reclaim(kernel);
    return kernel->wal.is_creating || is_late(kernel) || kernel__free_table(kernel) == NULL;
}

/* What a commit of so many bytes pays for flushes and compactions, or owes if somebody else does
 * the work. An error stops the kernel, which the next sync tells. */
void kernel__pace(struct kernel *kernel, uint64_t bytes)
{
    ASSERT(!kernel->is_stopped);
    ASSERT(kernel->view != NULL);
    enum err result = ERR_OK;
    bool is_apart = kernel->options.is_work_apart;
    if (kernel__flush_wanted(kernel)) {
        kernel->flush_debt += bytes * FLUSH_PACE;
        if (kernel->flush_debt >= STEP_BYTES && !is_apart) {
            uint64_t budget = kernel->flush_debt;
            kernel->flush_debt = 0;
            result = kernel__flush_step(kernel, &budget);
        }
    }
    if (result == ERR_OK && kernel__compact_wanted(kernel)) {
        kernel->compact_debt += bytes * COMPACT_PACE;
        if (!is_apart && (kernel->compact_debt >= STEP_BYTES || is_late(kernel))) {
            uint64_t budget = is_late(kernel) ? UINT64_MAX : kernel->compact_debt;
            kernel->compact_debt = 0;
            result = kernel__compact_step(kernel, &budget);
        }
    }
    ASSERT(result == ERR_OK || kernel->is_stopped);
}

enum err kernel_flush(struct kernel *kernel)
{
    ASSERT(kernel != NULL);
    ASSERT(kernel->active != NULL && !kernel->is_working);
    if (kernel->is_stopped) {
        return ERR_IO;
    }
    if (kernel->active->table.entry_count > 0) {
        TRY(kernel__rotate(kernel));
    }
    TRY(kernel__flush_all(kernel));
    kernel__reclaim(kernel);
    kernel__remove_doomed(kernel);
    if (kernel->watermark > kernel->manifest.watermark) { /* no flush has told the manifest */
        enum err result = kernel__write_manifest(
            kernel, kernel->view, kernel->manifest.commit_flushed, kernel->manifest.wal_first);
        return result == ERR_OK ? ERR_OK : kernel__stop(kernel, result);
    }
    return ERR_OK;
}

void kernel_set_watermark(struct kernel *kernel, uint64_t commit)
{
    ASSERT(kernel != NULL);
    uint64_t most = kernel->durable;
    commit = commit < most ? commit : most;
    kernel->watermark = commit > kernel->watermark ? commit : kernel->watermark;
    ASSERT(kernel->watermark <= kernel->durable);
}

uint64_t kernel_committed(const struct kernel *kernel)
{
    ASSERT(kernel != NULL);
    ASSERT(kernel->durable <= kernel->committed);
    return kernel->committed;
}

uint64_t kernel_durable(const struct kernel *kernel)
{
    ASSERT(kernel != NULL);
    ASSERT(kernel->watermark <= kernel->durable);
    return kernel->durable;
}

void kernel_each_file(const struct kernel *kernel, void (*each)(void *ctx, const char *name),
                      void *ctx)
{
    ASSERT(kernel != NULL && each != NULL);
    ASSERT(kernel->active->table.entry_count == 0);
    char name[KERNEL_NAME_BYTES];
    for (uint32_t i = 0; i < kernel->view->run_count; i++) {
        const struct run *run = &kernel->runs[kernel->view->slots[i]];
        if (run->values_bytes > 0) {
            disk_name(VALUES_PREFIX, run->number, name);
            each(ctx, name);
        }
        disk_name(RUN_PREFIX, run->number, name);
        each(ctx, name);
    }
    each(ctx, MANIFEST_NAME);
    disk_name(WAL_PREFIX, kernel->manifest.wal_first, name);
    each(ctx, name);
}

/* ---- Verify and statistics */

/* Every entry of a run is where the index says, in order, and in the filter. */
static enum err verify_run(struct kernel *kernel, const struct run *run)
{
    ASSERT(run->number > 0);
    char name[KERNEL_NAME_BYTES], key_bytes[2][KERNEL_KEY_BYTES_MAX];
    disk_name(RUN_PREFIX, run->number, name);
    uint8_t bytes[BLOCK_BYTES];
    struct entry last = {0};
    uint64_t count = 0;
    for (uint32_t block = 0; block < run->block_count; block++) {
        TRY(run_read_block(run, &kernel->disk, block, bytes));
        for (uint32_t i = 0; i < block_entry_count(bytes); i++, count++) {
            struct entry entry;
            block_at(bytes, i, key_bytes[count & 1], &entry);
            bool is_ordered =
                count == 0 || entry_compare(last.key, last.commit, entry.key, entry.commit) < 0;
            bool is_filtered = run->filter_len == 0 ||
                               filter_may_have(run->filter, run->filter_len,
                                               run->filter_bits_per_key, filter_hash(entry.key));
            if (!is_ordered || !is_filtered || entry.commit < run->commit_min ||
                entry.commit > run->commit_max ||
                index_find(&run->index, entry.key, entry.commit) != block) {
                return disk_fault(&kernel->disk, KERNEL_FAULT_FORMAT, name,
                                  (uint64_t)block * BLOCK_BYTES);
            }
            if (entry.kind == ENTRY_FAR) {
                struct slice value;
                TRY(run_read_value(run, &kernel->disk, &entry, kernel->flush.value, &value));
            }
            last = entry;
        }
    }
    ASSERT(count > 0);
    return count == run->entry_count
               ? ERR_OK
               : disk_fault(&kernel->disk, KERNEL_FAULT_FORMAT, name, run->file_bytes);
}

enum err kernel_verify(struct kernel *kernel)
{
    ASSERT(kernel != NULL);
    const struct view *view = kernel->view;
    ASSERT(view != NULL);
    for (uint32_t i = 0; i < view->run_count; i++) {
        TRY(verify_run(kernel, &kernel->runs[view->slots[i]]));
    }
    return ERR_OK;
}

void kernel_get_stats(const struct kernel *kernel, struct kernel_stats *ret_stats)
{
    ASSERT(kernel != NULL && ret_stats != NULL);
    const struct view *view = kernel->view;
    ASSERT(view != NULL);
    struct kernel_stats stats = {.committed = kernel->committed,
                                 .durable = kernel->durable,
                                 .watermark = kernel->watermark,
                                 .runs = view->run_count,
                                 .flushes = kernel->stat_flushes,
                                 .compactions = kernel->stat_compactions,
                                 .moves = kernel->stat_moves,
                                 .syncs = kernel->stat_syncs,
                                 .wal_bytes = kernel->wal.written_bytes,
                                 .run_bytes_written = kernel->stat_run_bytes,
                                 .user_bytes = kernel->stat_user_bytes,
                                 .first_won = kernel->stat_first_won,
                                 .structures_refused = kernel->ssi.stat_refused,
                                 .stale_commits = kernel->ssi.stat_stale,
                                 .reads_forgotten = kernel->ssi.stat_forgotten};
    for (uint32_t i = 0; i < view->table_count; i++) {
        stats.memtable_entries += view->tables[i]->entry_count;
    }
    for (uint32_t level = 0; level < KERNEL_LEVELS; level++) {
        stats.level_runs[level] = view_level_runs(view, level);
        for (uint32_t i = view->level_start[level]; i < view->level_start[level + 1]; i++) {
            const struct run *run = &kernel->runs[view->slots[i]];
            stats.level_blocks[level] += run->block_count;
            stats.run_blocks += run->block_count;
            stats.run_entries += run->entry_count;
            stats.value_bytes += run->values_bytes;
            stats.block_bytes += run->blocks_bytes;
            stats.filter_bytes += run->filter_len;
            stats.index_bytes += run->index_len;
            stats.index_segments += run->index.segment_count;
            stats.index_fences += run->index.fence_count;
        }
    }
    for (uint64_t i = 0; i < kernel->options.txns_max; i++) {
        stats.cache_hits += kernel->txns[i].stat_hits;
        stats.cache_misses += kernel->txns[i].stat_misses;
        stats.filter_negatives += kernel->txns[i].stat_negatives;
        stats.filter_false_positives += kernel->txns[i].stat_false_positives;
    }
    *ret_stats = stats;
}
