#include "kernel/kernel_int.h"

#define PASSED_OVER_MAX 1024u

static bool has_newer(const struct kernel *kernel, const uint16_t *slots, uint32_t count,
                      uint64_t commit_above)
{
    ASSERT(slots != NULL);
    ASSERT(commit_above < COMMIT_OVERLAY);
    for (uint32_t i = 0; i < count; i++) {
        if (kernel->runs[slots[i]].commit_max > commit_above) {
            return true;
        }
    }
    return false;
}

uint32_t kernel__merge_view(struct kernel_txn *txn, const struct view *view, uint64_t commit_above,
                            struct merge *merge, struct source *sources)
{
    const struct kernel *kernel = txn->kernel;
    ASSERT(view != NULL);
    uint32_t count = 0;
    for (uint32_t i = 0; i < view->table_count; i++) {
        struct source *source = &sources[count++];
        source->table = view->tables[i];
        source->is_overlay = false;
    }
    uint32_t level0 = view->level_start[1];
    for (uint32_t i = 0; i < level0 + KERNEL_LEVELS - 1; i++) {
        uint32_t start = i < level0 ? i : view->level_start[i - level0 + 1];
        uint32_t end = i < level0 ? i + 1 : view->level_start[i - level0 + 2];
        if (!has_newer(kernel, view->slots + start, end - start, commit_above)) {
            continue;
        }
        ASSERT(count < SCAN_SOURCES_MAX - 1);
        struct source *source = &sources[count++];
        source->table = NULL;
        source->is_overlay = false;
        source->runs = kernel->runs;
        source->slots = view->slots + start;
        source->slot_count = end - start;
        source->bytes = NULL;
        source->frame = NULL;
        source->ahead_count = 0;
    }
    merge->disk = &txn->kernel->disk;
    merge->cache = &txn->kernel->cache;
    merge->sources = sources;
    return count;
}

/* Puts the scan's merge where it was (or where it begins) over the view of now. */
static enum err reposition(struct kernel_scan *scan, const struct view *view)
{
    struct kernel_txn *txn = scan->txn;
    ASSERT(scan->is_open);
    merge_release(&scan->merge);
    scan->view_generation = view->generation;
    scan->overlay_truncated = txn->overlay_truncated;
    scan->merge.is_backward = scan->range.is_backward;
    uint32_t count = kernel__merge_view(txn, view, 0, &scan->merge, scan->sources);
    if (txn->overlay.entry_count > 0) {
        ASSERT(count < SCAN_SOURCES_MAX);
        struct source *source = &scan->sources[count++];
        source->table = &txn->overlay;
        source->is_overlay = true;
    }
    scan->merge.source_count = count;
    struct slice last = {scan->last, scan->last_len};
    if (scan->range.is_backward) {
        /* All versions of a key are behind (key, COMMIT_MAX): before it is the key before. */
        struct slice bound = scan->is_started ? last : scan->range.to;
        bool from_end = !scan->is_started && scan->range.to.len == 0;
        return merge_seek(&scan->merge, bound, COMMIT_MAX, from_end);
    }
    return scan->is_started ? merge_seek(&scan->merge, last, 0, false)
                            : merge_seek(&scan->merge, scan->range.from, COMMIT_MAX, false);
}

static bool is_visible(const struct kernel_scan *scan, const struct entry *entry)
{
    ASSERT(scan->is_open);
    ASSERT(entry->commit > 0);
    if ((entry->commit & COMMIT_OVERLAY) != 0) {
        return (entry->commit & ~COMMIT_OVERLAY) <= scan->overlay_last;
    }
    return entry->commit <= scan->txn->snapshot;
}

static void remember_key(struct kernel_scan *scan, struct slice key)
{
    ASSERT(key.len <= KERNEL_KEY_BYTES_MAX);
    ASSERT(key.ptr != scan->last);
    copy_bytes(scan->last, key.ptr, key.len);
    scan->last_len = (uint32_t)key.len;
    scan->is_started = true;
}

/* The pair passes the scan's predicate. After many that do not, ERR_TIMEOUT: what is pinned must be
 * let go, so that memtables can be given back. */
static enum err is_wanted(struct kernel_scan *scan, struct slice key, struct slice value,
                          bool *ret_is_wanted)
{
    ASSERT(scan->is_open);
    ASSERT(value.len <= scan->txn->kernel->options.value_bytes_max);
    *ret_is_wanted = scan->range.wants == NULL || scan->range.wants(scan->range.ctx, key, value);
    scan->passed_over += !*ret_is_wanted;
    return scan->passed_over > PASSED_OVER_MAX ? ERR_TIMEOUT : ERR_OK;
}

/* What is wanted of a value, in `buffer`; the value itself if all of it is, and it stays. */
static struct slice project(const struct kernel_scan *scan, struct slice key, struct slice value,
                            bool is_copied, char *buffer)
{
    ASSERT(buffer != value.ptr);
    if (scan->range.project != NULL) {
        size_t len = scan->range.project(scan->range.ctx, key, value, buffer);
        ASSERT(len <= scan->txn->kernel->options.value_bytes_max);
        return (struct slice){buffer, len};
    }
    if (!is_copied) {
        return value;
    }
    copy_bytes(buffer, value.ptr, value.len);
    return (struct slice){buffer, value.len};
}

/* Versions come newest first: the first visible one of a key is the key's. */
static enum err next_forward(struct kernel_scan *scan, struct slice *ret_value)
{
    struct merge *merge = &scan->merge;
    ASSERT(!merge->is_backward);
    ASSERT(scan->is_open);
    while (merge->current != NULL) {
        const struct entry *entry = &merge->current->entry;
        struct slice last = {scan->last, scan->last_len};
        if (scan->is_started && slice_equal(entry->key, last)) {
            TRY(merge_next(merge));
            continue;
        }
        if (scan->range.to.len > 0 && key_compare(entry->key, scan->range.to) >= 0) {
            break;
        }
        if (!is_visible(scan, entry)) {
            TRY(merge_next(merge));
            continue;
        }
        remember_key(scan, entry->key);
        bool is_pair = entry->kind != ENTRY_DELETE, is_far = entry->kind == ENTRY_FAR;
        struct slice value = entry->value;
        if (is_far) {
            TRY(run_read_value(source_run(merge->current), merge->disk, entry, scan->value,
                               &value));
        }
        if (is_pair) {
            TRY(is_wanted(scan, entry->key, value, &is_pair));
        }
        if (is_pair) { /* a block stays until the merge moves, a memtable may not */
            bool is_copied = merge->current->table != NULL;
            char *buffer = is_far ? scan->txn->value : scan->value;
            *ret_value = project(scan, entry->key, value, is_copied, buffer);
            return ERR_OK;
        }
        TRY(merge_next(merge));
    }
    return ERR_NOT_FOUND;
}

/* Versions come oldest first: the last visible one of a key is the key's. */
static enum err next_backward(struct kernel_scan *scan, struct slice *ret_value)
{
    struct merge *merge = &scan->merge;
    ASSERT(merge->is_backward);
    ASSERT(scan->is_open);
    while (merge->current != NULL) {
        const struct entry *entry = &merge->current->entry;
        if (key_compare(entry->key, scan->range.from) < 0) {
            break;
        }
        remember_key(scan, entry->key);
        bool has_value = false;
        size_t value_len = 0;
        const struct run *far_run = NULL;
        while (merge->current != NULL) {
            entry = &merge->current->entry;
            if (!slice_equal(entry->key, (struct slice){scan->last, scan->last_len})) {
                break;
            }
            if (is_visible(scan, entry)) {
                has_value = entry->kind != ENTRY_DELETE;
                far_run = entry->kind == ENTRY_FAR ? source_run(merge->current) : NULL;
                value_len = entry->value.len;
                copy_bytes(scan->value, entry->value.ptr, value_len);
            }
            TRY(merge_next(merge));
        }
        struct slice key = {scan->last, scan->last_len}, value = {scan->value, value_len};
        if (has_value && far_run != NULL) {
            char place[VALUE_PLACE_BYTES];
            memcpy(place, scan->value, sizeof(place));
            struct entry far = {.kind = ENTRY_FAR, .value = {place, sizeof(place)}};
            TRY(run_read_value(far_run, merge->disk, &far, scan->value, &value));
        }
        if (has_value) {
            TRY(is_wanted(scan, key, value, &has_value));
        }
        if (has_value) {
            *ret_value = project(scan, key, value, false, scan->txn->value);
            return ERR_OK;
        }
    }
    return ERR_NOT_FOUND;
}

enum err kernel_scan_next(struct kernel_scan *scan, struct slice *ret_key, struct slice *ret_value)
{
    ASSERT(scan->is_open);
    ASSERT(ret_key != NULL && ret_value != NULL);
    struct kernel_txn *txn = scan->txn;
    if (scan->is_at_end) {
        return ERR_NOT_FOUND;
    }
    enum err result = ERR_TIMEOUT;
    while (result == ERR_TIMEOUT) {
        scan->passed_over = 0;
        const struct view *view = kernel__pin(txn->kernel, txn->reader);
        result = ERR_OK;
        if (scan->view_generation != view->generation ||
            scan->overlay_truncated != txn->overlay_truncated) {
            result = reposition(scan, view);
        }
        if (result == ERR_OK) {
            result = scan->range.is_backward ? next_backward(scan, ret_value)
                                             : next_forward(scan, ret_value);
        }
        kernel__unpin(txn->reader);
    }
    if (result == ERR_OK) {
        *ret_key = (struct slice){scan->last, scan->last_len};
        return ERR_OK;
    }
    scan->is_at_end = result == ERR_NOT_FOUND;
    scan->view_generation = 0; /* after an error: from where it was */
    merge_release(&scan->merge);
    return result;
}

void kernel_scan_close(struct kernel_scan *scan)
{
    ASSERT(scan->is_open);
    merge_release(&scan->merge);
    scan->is_open = false;
    ASSERT(scan->merge.current == NULL);
}
