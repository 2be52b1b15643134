/* What kernel_open does before anybody may use the store: reads the manifest, opens its runs,
 * replays the log, and leaves everything flushed with a new segment of the log. */
#include "kernel/kernel_int.h"

/* What lies in the folder. */
struct found {
    uint64_t wal_last;
    uint64_t file_count; /* all that a manifest would have to know */
    bool has_wal;
};

static void see_file(void *ctx, const char *name)
{
    struct found *found = ctx;
    ASSERT(found != NULL && name != NULL);
    uint64_t number = 0;
    if (disk_parse_name(WAL_PREFIX, name, &number)) {
        ASSERT(number <= UINT64_MAX);
        found->has_wal = true;
        found->wal_last = number > found->wal_last ? number : found->wal_last;
        found->file_count++;
    } else if (disk_parse_name(RUN_PREFIX, name, &number) ||
               disk_parse_name(VALUES_PREFIX, name, &number)) {
        found->file_count++;
    }
}

static enum err open_run(struct kernel *kernel, const struct manifest_run *listed, uint16_t slot)
{
    struct run *run = &kernel->runs[slot];
    ASSERT(run->number == 0);
    TRY(run_open(run, &kernel->disk, &kernel->pool, listed->number));
    if (run->footer_crc != listed->footer_crc) {
        char name[KERNEL_NAME_BYTES];
        disk_name(RUN_PREFIX, listed->number, name);
        return disk_fault(&kernel->disk, KERNEL_FAULT_FORMAT, name,
                          run->file_bytes - RUN_FOOTER_BYTES);
    }
    ASSERT(run->number == listed->number);
    return run->value_len_max <= kernel->options.value_bytes_max ? ERR_OK : ERR_LIMIT;
}

/* The manifest lists runs level by level, in the order of the level. */
static enum err open_runs(struct kernel *kernel, struct view *view)
{
    const struct manifest *manifest = &kernel->manifest;
    ASSERT(view->run_count == 0);
    if (manifest->run_count > kernel->options.runs_max) {
        return ERR_LIMIT;
    }
    uint32_t next = 0;
    for (uint32_t level = 0; level < KERNEL_LEVELS; level++) {
        view->level_start[level] = view->run_count;
        for (; next < manifest->run_count; next++) {
            struct manifest_run listed = manifest_run_at(kernel->manifest_bytes, next);
            if (listed.level != level) {
                break;
            }
            TRY(open_run(kernel, &listed, (uint16_t)next));
            const struct run *run = &kernel->runs[next];
            bool is_first = view->run_count == view->level_start[level];
            if (level > 0 && !is_first &&
                key_compare(kernel->runs[next - 1].largest, run->smallest) >= 0) {
                return disk_fault(&kernel->disk, KERNEL_FAULT_FORMAT, MANIFEST_NAME, next);
            }
            kernel__view_add_run(kernel, view, (uint16_t)next);
        }
        view->level_start[level + 1] = view->run_count;
    }
    ASSERT(next <= manifest->run_count);
    return next == manifest->run_count && view_level_runs(view, 0) <= LEVEL0_MAX
               ? ERR_OK
               : disk_fault(&kernel->disk, KERNEL_FAULT_FORMAT, MANIFEST_NAME, next);
}

/* ---- The log */

/* A segment that is read. */
struct replay {
    kernel_file file;
    uint64_t segment, file_bytes;
    char name[KERNEL_NAME_BYTES];
};

static enum err make_room(struct kernel *kernel, const struct wal_record *record)
{
    struct table_slot *active = kernel->active;
    ASSERT(active->state == TABLE_ACTIVE);
    uint64_t wanted =
        record->writes_bytes + (uint64_t)record->write_count * memtable_entry_bytes(0, 8);
    if (wanted <= memtable_room(&active->table)) {
        return ERR_OK;
    }
    if (active->table.entry_count > 0) {
        uint64_t segment = active->wal_segment;
        active->state = TABLE_FROZEN;
        active->commit_last = kernel->committed;
        struct table_slot *next = kernel__free_table(kernel);
        ASSERT(next != NULL);
        kernel__activate(kernel, next, segment);
        kernel->durable = kernel->committed; /* it is in the log */
        TRY(kernel__flush_all(kernel));
        kernel__reclaim(kernel);
    }
    return wanted <= memtable_room(&kernel->active->table) ? ERR_OK : ERR_LIMIT;
}

static enum err apply_group(struct kernel *kernel, const uint8_t *group, uint32_t group_len)
{
    ASSERT(group_len > WAL_HEADER_BYTES);
    for (uint64_t at = WAL_HEADER_BYTES; at < group_len;) {
        struct wal_record record;
        at = wal_record_at(group, at, &record);
        if (record.commit <= kernel->committed) {
            continue; /* flushed before */
        }
        ASSERT(record.commit == kernel->committed + 1);
        TRY(make_room(kernel, &record));
        for (uint64_t write = 0; write < record.writes_bytes;) {
            struct entry entry;
            write = wal_write_at(&record, write, &entry);
            if (entry.value.len > kernel->options.value_bytes_max) {
                return ERR_LIMIT;
            }
            memtable_put(&kernel->active->table, &entry);
        }
        kernel->committed = record.commit;
    }
    return ERR_OK;
}

/* Writes of a record are in order of keys, each key once: or the record is not ours. */
static bool is_ordered(const uint8_t *group, uint32_t group_len)
{
    ASSERT(group_len > WAL_HEADER_BYTES);
    for (uint64_t at = WAL_HEADER_BYTES; at < group_len;) {
        struct wal_record record;
        at = wal_record_at(group, at, &record);
        struct slice last = {NULL, 0};
        for (uint64_t write = 0; write < record.writes_bytes;) {
            struct entry entry;
            bool is_first = write == 0;
            write = wal_write_at(&record, write, &entry);
            if (!is_first && key_compare(last, entry.key) >= 0) {
                return false;
            }
            last = entry.key;
        }
    }
    ASSERT(group != NULL);
    return true;
}

/* A sound group at `at` that knows of durable commits which are missing means that the log is
 * corrupt, not torn at `end`. */
static enum err check_group(struct kernel *kernel, const struct replay *replay, uint64_t at,
                            uint64_t end)
{
    struct wal_group group;
    bool is_sound = false;
    ASSERT(at >= end);
    TRY(wal_read_group(&kernel->wal, replay->file, replay->segment, at, replay->file_bytes, 2,
                       kernel->wal.buffers[0], &group, &is_sound));
    ASSERT(kernel->durable <= kernel->committed);
    return is_sound && group.durable > kernel->committed
               ? disk_fault(&kernel->disk, KERNEL_FAULT_CHECKSUM, replay->name, end)
               : ERR_OK;
}

/* What is behind the end of what could be read, a buffer at a time: most of it was never written.
 * Each twice, as a disk that errs once must not hide what is there. */
static enum err check_rest(struct kernel *kernel, const struct replay *replay, uint64_t end)
{
    ASSERT(end % WAL_ALIGN == 0);
    uint8_t *bytes = kernel->wal.buffers[1];
    uint64_t step = 0;
    for (uint64_t at = end; at + WAL_ALIGN <= replay->file_bytes; at += step) {
        step = (replay->file_bytes - at) / WAL_ALIGN * WAL_ALIGN;
        step = step < kernel->wal.buffer_bytes ? step : kernel->wal.buffer_bytes;
        for (uint32_t i = 0; i < 2; i++) {
            TRY(disk_read(&kernel->disk, replay->file, replay->name, at, bytes, step));
            for (uint64_t in = 0; in < step; in += WAL_ALIGN) {
                TRY(wal_may_begin(bytes + in) ? check_group(kernel, replay, at + in, end) : ERR_OK);
            }
        }
    }
    ASSERT(step <= kernel->wal.buffer_bytes);
    return ERR_OK;
}

static enum err replay_file(struct kernel *kernel, const struct replay *replay)
{
    uint64_t at = 0;
    ASSERT(kernel->active != NULL);
    uint8_t *buffer = kernel->wal.buffers[0];
    while (at + WAL_ALIGN <= replay->file_bytes) {
        struct wal_group group;
        bool is_sound = false;
        TRY(wal_read_group(&kernel->wal, replay->file, replay->segment, at, replay->file_bytes,
                           WAL_TAIL_READS, buffer, &group, &is_sound));
        if (!is_sound) {
            return check_rest(kernel, replay, at);
        }
        if (group.commit_first > kernel->committed + 1 || !is_ordered(buffer, group.len)) {
            /* A hole in the numbers: what is missing was lost before this group was written. */
            return disk_fault(&kernel->disk, KERNEL_FAULT_MISSING, replay->name, at);
        }
        TRY(apply_group(kernel, buffer, group.len));
        at += align_up(group.len, WAL_ALIGN);
    }
    ASSERT(at <= align_up(replay->file_bytes, WAL_ALIGN));
    return ERR_OK;
}

static enum err replay_segment(struct kernel *kernel, uint64_t segment, bool is_last)
{
    ASSERT(segment > 0);
    const struct kernel_io *io = &kernel->disk.io;
    struct replay replay = {.segment = segment};
    disk_name(WAL_PREFIX, segment, replay.name);
    enum err result = io->open(io->ctx, replay.name, false, &replay.file);
    if (result != ERR_OK) {
        return disk_fault(&kernel->disk,
                          result == ERR_NOT_FOUND ? KERNEL_FAULT_MISSING : KERNEL_FAULT_IO,
                          replay.name, is_last);
    }
    kernel->active->wal_segment =
        kernel->active->table.entry_count == 0 ? segment : kernel->active->wal_segment;
    result = io->size(io->ctx, replay.file, &replay.file_bytes) == ERR_OK
                 ? replay_file(kernel, &replay)
                 : disk_fault(&kernel->disk, KERNEL_FAULT_IO, replay.name, 0);
    io->close(io->ctx, replay.file);
    ASSERT(result != ERR_NOT_FOUND);
    return result;
}

/* ---- What no manifest knows */

struct sweep {
    struct kernel *kernel;
    enum err result;
};

static bool is_known_run(const struct kernel *kernel, uint64_t number)
{
    ASSERT(kernel->view != NULL);
    for (uint32_t i = 0; i < kernel->view->run_count; i++) {
        if (kernel->runs[kernel->view->slots[i]].number == number) {
            return true;
        }
    }
    ASSERT(kernel->view->run_count <= kernel->options.runs_max);
    return false;
}

static void remove_unknown(void *ctx, const char *name)
{
    struct sweep *sweep = ctx;
    struct kernel *kernel = sweep->kernel;
    uint64_t number = 0;
    ASSERT(kernel != NULL && name != NULL);
    ASSERT(kernel->manifest.generation > 0);
    bool is_old_wal =
        disk_parse_name(WAL_PREFIX, name, &number) && number < kernel->manifest.wal_first;
    bool is_run =
        disk_parse_name(RUN_PREFIX, name, &number) || disk_parse_name(VALUES_PREFIX, name, &number);
    bool is_unknown = is_run && !is_known_run(kernel, number);
    if (is_old_wal || is_unknown || strcmp(name, MANIFEST_NEW_NAME) == 0) {
        (void)kernel->disk.io.remove(kernel->disk.io.ctx, name); /* the next open tries again */
    }
}

static enum err read_manifest(struct kernel *kernel, const struct found *found)
{
    ASSERT(found != NULL);
    struct manifest *manifest = &kernel->manifest;
    enum err result =
        manifest_read(&kernel->disk, kernel->manifest_bytes, kernel->manifest_bytes_max, manifest);
    if (result != ERR_NOT_FOUND) {
        return result;
    }
    ASSERT(manifest->generation == 0);
    if (found->file_count > 0) {
        return disk_fault(&kernel->disk, KERNEL_FAULT_MISSING, MANIFEST_NAME, 0);
    }
    *manifest = (struct manifest){.run_next = 1, .wal_first = 1};
    /* Before any other file, so that files without a manifest always mean a loss. */
    return kernel__write_manifest(kernel, kernel->view, 0, 1);
}

enum err kernel__recover(struct kernel *kernel)
{
    ASSERT(!kernel->wal.is_open && !kernel->is_stopped);
    ASSERT(kernel->view == NULL && kernel->active == NULL);
    struct found found = {0};
    const struct kernel_io *io = &kernel->disk.io;
    if (io->list(io->ctx, see_file, &found) != ERR_OK) {
        return disk_fault(&kernel->disk, KERNEL_FAULT_IO, "", 0);
    }
    kernel__activate(kernel, &kernel->tables[0], 0);
    struct view *empty = kernel__view_new(kernel);
    kernel__view_publish(kernel, empty);
    TRY(read_manifest(kernel, &found));
    const struct manifest *manifest = &kernel->manifest;
    kernel->committed = manifest->commit_flushed;
    kernel->durable = manifest->commit_flushed;
    kernel->watermark = manifest->watermark;
    struct view *view = kernel__view_new(kernel);
    TRY(open_runs(kernel, view));
    kernel__view_publish(kernel, view);

    uint64_t wal_first = manifest->wal_first;
    uint64_t wal_last = found.has_wal && found.wal_last >= wal_first ? found.wal_last : 0;
    if (wal_last == 0 && manifest->generation > 1) {
        char name[KERNEL_NAME_BYTES];
        disk_name(WAL_PREFIX, wal_first, name);
        return disk_fault(&kernel->disk, KERNEL_FAULT_MISSING, name, 0);
    }
    for (uint64_t segment = wal_first; segment <= wal_last; segment++) {
        TRY(replay_segment(kernel, segment, segment == wal_last));
    }
    kernel->durable = kernel->committed;
    kernel->wal.segment = wal_last > 0 ? wal_last : wal_first - 1;
    TRY(wal_start_segment(&kernel->wal, kernel->wal.segment + 1));
    if (kernel->active->table.entry_count > 0) {
        kernel->active->state = TABLE_FROZEN;
        kernel->active->commit_last = kernel->committed;
        kernel__activate(kernel, kernel__free_table(kernel), kernel->wal.segment);
        TRY(kernel__flush_all(kernel));
    } else {
        kernel->active->wal_segment = kernel->wal.segment;
        TRY(kernel__write_manifest(kernel, kernel->view, kernel->committed, kernel->wal.segment));
    }
    kernel__remove_doomed(kernel);
    kernel->wal.spare = 0; /* its file goes with the others */
    struct sweep sweep = {.kernel = kernel};
    if (io->list(io->ctx, remove_unknown, &sweep) != ERR_OK) {
        return disk_fault(&kernel->disk, KERNEL_FAULT_IO, "", 0);
    }
    disk_clear_fault(&kernel->disk);
    return sweep.result;
}
