#include "kernel/kernel_int.h"

#define MULTI_GET_PINNED_MAX 256u /* keys, then what is pinned is let go */

static void note_read(struct kernel_txn *txn, struct slice from, struct slice to, bool is_range)
{
    ASSERT(txn->is_open);
    ASSERT(is_range || to.len == 0);
    if (txn->isolation == KERNEL_SERIALIZABLE) {
        ssi_note_read(&txn->reads, from, to, is_range);
    }
}

/* ---- Begin and end */

static enum err begin(struct kernel *kernel, enum kernel_isolation isolation, uint64_t snapshot,
                      struct kernel_txn **ret_txn)
{
    ASSERT(snapshot < COMMIT_OVERLAY);
    struct kernel_txn *txn = NULL;
    for (uint64_t i = 0; i < kernel->options.txns_max && txn == NULL; i++) {
        txn = kernel->txns[i].is_open ? NULL : &kernel->txns[i];
    }
    if (txn == NULL) {
        return ERR_BUSY;
    }
    ASSERT(!txn->scan.is_open);
    txn->is_open = true;
    txn->isolation = isolation;
    txn->snapshot = snapshot;
    memtable_reset(&txn->overlay);
    txn->overlay_last = 0;
    txn->overlay_truncated = 0;
    txn->writes_bytes = 0;
    txn->table_bytes = 0;
    txn->reads.used = 0;
    txn->reads.is_everything = false;
    if (isolation == KERNEL_SERIALIZABLE) {
        ssi_enter(&kernel->ssi, txn);
    }
    *ret_txn = txn;
    return ERR_OK;
}

enum err kernel_begin(struct kernel *kernel, enum kernel_isolation isolation,
                      struct kernel_txn **ret_txn)
{
    ASSERT(kernel != NULL && ret_txn != NULL);
    ASSERT(isolation <= KERNEL_SERIALIZABLE);
    if (isolation == KERNEL_READ_ONLY) {
        return begin(kernel, isolation, kernel->durable, ret_txn);
    }
    return kernel->is_stopped ? ERR_IO : begin(kernel, isolation, kernel->committed, ret_txn);
}

enum err kernel_begin_at(struct kernel *kernel, uint64_t commit, struct kernel_txn **ret_txn)
{
    ASSERT(kernel != NULL && ret_txn != NULL);
    ASSERT(kernel->durable <= kernel->committed);
    if (commit < kernel->watermark || commit > kernel->durable) {
        return ERR_NOT_FOUND;
    }
    return begin(kernel, KERNEL_READ_ONLY, commit, ret_txn);
}

void kernel_rollback(struct kernel_txn *txn)
{
    ASSERT(txn->is_open);
    if (txn->scan.is_open) {
        kernel_scan_close(&txn->scan);
    }
    if (txn->isolation == KERNEL_SERIALIZABLE) {
        ssi_leave(&txn->kernel->ssi, txn);
    }
    txn->is_open = false;
    ASSERT(txn->reader->epoch == 0);
}

uint64_t kernel_txn_snapshot(const struct kernel_txn *txn)
{
    ASSERT(txn->is_open);
    ASSERT(txn->snapshot < COMMIT_OVERLAY);
    return txn->snapshot;
}

/* ---- Reads and writes */

/* True if the transaction itself has written the key; the entry is its newest write. */
static bool find_own(const struct kernel_txn *txn, struct slice key, struct entry *ret_entry)
{
    ASSERT(txn->is_open);
    ASSERT(key.len <= KERNEL_KEY_BYTES_MAX);
    if (txn->overlay.entry_count == 0) {
        return false;
    }
    memtable_node node = memtable_seek(&txn->overlay, key, COMMIT_MAX);
    return node != 0 &&
           (memtable_at(&txn->overlay, node, ret_entry), slice_equal(ret_entry->key, key));
}

enum err kernel_get(struct kernel_txn *txn, struct slice key, struct slice *ret_value)
{
    ASSERT(txn->is_open && ret_value != NULL);
    ASSERT(key.ptr != NULL || key.len == 0);
    if (key.len > KERNEL_KEY_BYTES_MAX) {
        return ERR_NOT_FOUND;
    }
    struct entry own;
    if (find_own(txn, key, &own)) {
        if (own.kind == ENTRY_DELETE) {
            return ERR_NOT_FOUND;
        }
        *ret_value = own.value;
        return ERR_OK;
    }
    note_read(txn, key, (struct slice){NULL, 0}, false);
    const struct view *view = kernel__pin(txn->kernel, txn->reader);
    enum err result = kernel__read(txn, view, key, txn->snapshot, 0, ret_value, NULL);
    kernel__unpin(txn->reader);
    return result;
}

static enum err get_one_of_many(struct kernel_txn *txn, const struct view *view, struct slice key,
                                struct held_block *held, struct slice *ret_value)
{
    ASSERT(view != NULL && held != NULL);
    if (key.len > KERNEL_KEY_BYTES_MAX) {
        return ERR_NOT_FOUND;
    }
    struct entry own;
    if (find_own(txn, key, &own)) {
        *ret_value = own.value;
        return own.kind == ENTRY_PUT ? ERR_OK : ERR_NOT_FOUND;
    }
    note_read(txn, key, (struct slice){NULL, 0}, false);
    ASSERT(txn->reads.used <= txn->reads.max);
    return kernel__read_held(txn, view, key, held, ret_value);
}

enum err kernel_multi_get(struct kernel_txn *txn, const struct slice *keys, uint32_t count,
                          kernel_multi_get_cb each, void *ctx)
{
    ASSERT(txn->is_open && each != NULL);
    ASSERT(keys != NULL || count == 0);
    for (uint32_t i = 1; i < count; i++) {
        if (key_compare(keys[i - 1], keys[i]) > 0) {
            return ERR_INVALID;
        }
    }
    enum err result = ERR_OK;
    for (uint32_t first = 0; first < count && result == ERR_OK; first += MULTI_GET_PINNED_MAX) {
        struct held_block held[KERNEL_LEVELS] = {{0}};
        const struct view *view = kernel__pin(txn->kernel, txn->reader);
        for (uint32_t i = first; i < count && i < first + MULTI_GET_PINNED_MAX; i++) {
            struct slice value = {NULL, 0};
            result = get_one_of_many(txn, view, keys[i], held, &value);
            if (result != ERR_OK && result != ERR_NOT_FOUND) {
                break;
            }
            each(ctx, i, result == ERR_OK, value);
            result = ERR_OK;
        }
        kernel__release_held(held);
        kernel__unpin(txn->reader);
    }
    return result;
}

static enum err write(struct kernel_txn *txn, struct slice key, struct slice value,
                      enum entry_kind kind)
{
    ASSERT(txn->is_open);
    ASSERT(txn->isolation != KERNEL_READ_ONLY);
    if (key.len > KERNEL_KEY_BYTES_MAX || value.len > txn->kernel->options.value_bytes_max) {
        return ERR_LIMIT;
    }
    const struct kernel_options *options = &txn->kernel->options;
    uint32_t entry_bytes = memtable_entry_bytes(key.len, value.len);
    uint64_t writes_bytes = txn->writes_bytes + wal_write_bytes(key.len, value.len);
    uint64_t log_max = options->wal_buffer_bytes - WAL_HEADER_BYTES - WAL_RECORD_BYTES;
    if (entry_bytes > memtable_room(&txn->overlay) || writes_bytes > log_max ||
        txn->table_bytes + entry_bytes > options->memtable_bytes - WAL_ALIGN) {
        return ERR_LIMIT;
    }
    struct entry entry = {.key = key, .value = value, .commit = ++txn->overlay_last, .kind = kind};
    memtable_put(&txn->overlay, &entry);
    txn->writes_bytes = writes_bytes;
    txn->table_bytes += entry_bytes;
    return ERR_OK;
}

enum err kernel_put(struct kernel_txn *txn, struct slice key, struct slice value)
{
    ASSERT(key.ptr != NULL || key.len == 0);
    ASSERT(value.ptr != NULL || value.len == 0);
    return write(txn, key, value, ENTRY_PUT);
}

enum err kernel_delete(struct kernel_txn *txn, struct slice key)
{
    ASSERT(key.ptr != NULL || key.len == 0);
    ASSERT(txn != NULL);
    return write(txn, key, (struct slice){NULL, 0}, ENTRY_DELETE);
}

uint64_t kernel_savepoint(const struct kernel_txn *txn)
{
    ASSERT(txn->is_open);
    ASSERT(txn->overlay.used > 0);
    return txn->overlay.used;
}

void kernel_rollback_to(struct kernel_txn *txn, uint64_t savepoint)
{
    ASSERT(txn->is_open);
    ASSERT(savepoint <= txn->overlay.used);
    memtable_truncate(&txn->overlay, (uint32_t)savepoint);
    txn->overlay_truncated++;
}

/* ---- Commit */

/* Somebody else committed a write of `key` after the snapshot. */
static enum err check_key(struct kernel_txn *txn, const struct view *view, struct slice key)
{
    uint64_t newest = 0;
    ASSERT(key.len <= KERNEL_KEY_BYTES_MAX);
    enum err result = kernel__read(txn, view, key, COMMIT_MAX, txn->snapshot, NULL, &newest);
    if (result != ERR_OK && result != ERR_NOT_FOUND) {
        return result;
    }
    ASSERT(newest <= txn->kernel->committed);
    return newest > txn->snapshot ? ERR_BUSY : ERR_OK;
}

/* The next write that counts: the newest of each key. 0 at the end. */
static memtable_node next_write(const struct memtable *overlay, memtable_node node,
                                struct entry *entry)
{
    ASSERT(overlay->entry_count > 0 || node == 0);
    struct slice last = entry->key;
    bool has_last = node != 0;
    node = node == 0 ? memtable_first(overlay) : memtable_next(overlay, node);
    for (; node != 0; node = memtable_next(overlay, node)) {
        memtable_at(overlay, node, entry);
        if (!has_last || !slice_equal(entry->key, last)) {
            break;
        }
    }
    ASSERT(node != 0 || has_last || overlay->entry_count == 0);
    return node;
}

/* What a commit is made of, found by check_conflicts. */
struct commit {
    uint32_t write_count;
    uint64_t writes_bytes;
    uint64_t out_first; /* see ssi.h */
};

static enum err check_conflicts(struct kernel_txn *txn, struct commit *ret_commit)
{
    ASSERT(ret_commit != NULL);
    struct kernel *kernel = txn->kernel;
    ASSERT(!txn->scan.is_open);
    *ret_commit = (struct commit){0};
    const struct view *view = kernel__pin(kernel, txn->reader);
    bool is_alone = kernel->committed == txn->snapshot;
    enum err result = ERR_OK;
    struct entry entry = {0};
    memtable_node node = next_write(&txn->overlay, 0, &entry);
    for (; node != 0 && result == ERR_OK; node = next_write(&txn->overlay, node, &entry)) {
        ret_commit->write_count++;
        ret_commit->writes_bytes += wal_write_bytes(entry.key.len, entry.value.len);
        if (!is_alone) {
            result = check_key(txn, view, entry.key);
        }
    }
    kernel->stat_first_won += result == ERR_BUSY;
    if (result == ERR_OK && txn->isolation == KERNEL_SERIALIZABLE) {
        result = ssi_check(txn, view, &ret_commit->out_first);
    }
    kernel__unpin(txn->reader);
    return result;
}

static void apply(struct kernel_txn *txn, const struct commit *what)
{
    struct kernel *kernel = txn->kernel;
    uint64_t commit = kernel->committed + 1;
    uint32_t write_count = what->write_count;
    ASSERT(commit < COMMIT_OVERLAY);
    wal_begin_record(&kernel->wal, commit, what->writes_bytes, write_count);
    struct entry entry = {0};
    memtable_node node = next_write(&txn->overlay, 0, &entry);
    for (; node != 0; node = next_write(&txn->overlay, node, &entry)) {
        struct entry write = entry;
        write.commit = commit;
        wal_add_write(&kernel->wal, &write);
        memtable_put(&kernel->active->table, &write);
        write_count--;
    }
    ASSERT(write_count == 0);
    kernel->stat_user_bytes += what->writes_bytes;
    __atomic_store_n(&kernel->committed, commit, __ATOMIC_RELEASE);
}

/* Nothing to write: only what was read may be in the way. */
static enum err commit_reads(struct kernel_txn *txn)
{
    ASSERT(txn->is_open);
    ASSERT(txn->overlay.entry_count == 0);
    struct commit commit = {0};
    if (txn->isolation != KERNEL_SERIALIZABLE) {
        return ERR_OK;
    }
    TRY(check_conflicts(txn, &commit));
    ssi_keep(txn, 0, commit.out_first);
    return ERR_OK;
}

enum err kernel_commit(struct kernel_txn *txn, uint64_t *ret_commit)
{
    ASSERT(txn->is_open && ret_commit != NULL);
    struct kernel *kernel = txn->kernel;
    ASSERT(kernel->active != NULL);
    if (txn->scan.is_open) {
        kernel_scan_close(&txn->scan);
    }
    if (txn->overlay.entry_count == 0) {
        uint64_t snapshot = txn->snapshot;
        enum err result = commit_reads(txn);
        kernel_rollback(txn);
        *ret_commit = result == ERR_OK ? snapshot : *ret_commit;
        return result;
    }
    struct commit commit = {0};
    enum err result = kernel->is_stopped ? ERR_IO : ERR_OK;
    if (result == ERR_OK) {
        result = check_conflicts(txn, &commit);
    }
    if (result == ERR_OK && memtable_room(&kernel->active->table) < txn->table_bytes) {
        result = kernel__must_wait(kernel) ? ERR_LIMIT : kernel__rotate(kernel);
    }
    if (result == ERR_OK) {
        result = kernel__log_room(kernel, commit.writes_bytes);
    }
    if (result == ERR_LIMIT) {
        return result; /* not yet: it stays open */
    }
    if (result == ERR_OK) {
        apply(txn, &commit);
        *ret_commit = kernel->committed;
        if (txn->isolation == KERNEL_SERIALIZABLE) {
            ssi_keep(txn, kernel->committed, commit.out_first);
        }
    }
    kernel_rollback(txn);
    if (result == ERR_OK) {
        kernel__pace(kernel, commit.writes_bytes);
    }
    return result;
}

/* ---- Scans are opened here, beside the list of reads */

enum err kernel_scan_open(struct kernel_txn *txn, const struct kernel_range *range,
                          struct kernel_scan **ret_scan)
{
    ASSERT(txn->is_open);
    ASSERT(range->to.len <= KERNEL_KEY_BYTES_MAX && range->from.len <= KERNEL_KEY_BYTES_MAX);
    struct kernel_scan *scan = &txn->scan;
    if (scan->is_open) {
        return ERR_BUSY;
    }
    note_read(txn, range->from, range->to, true);
    scan->is_open = true;
    scan->is_started = false;
    scan->is_at_end = false;
    scan->range = *range;
    scan->view_generation = 0;
    scan->overlay_last = txn->overlay_last;
    scan->last_len = 0;
    scan->merge.source_count = 0;
    *ret_scan = scan;
    return ERR_OK;
}
