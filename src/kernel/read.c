#include "kernel/kernel_int.h"

#include "kernel/filter.h"

/* What is known of a key so far. */
struct lookup {
    struct slice key;
    uint64_t snapshot, hash;
    bool has_hash;
    struct entry found;
    const struct run *run;     /* where the found value lies, if it is kept apart */
    struct cache_frame *frame; /* where the found value lies, if it is in the cache */
    struct held_block *held;   /* of each level, or NULL: then blocks are let go at once */
};

/* The block, pinned for `ret_frame` or by what is held. */
static enum err get_block(struct kernel_txn *txn, const struct run *run, uint32_t block,
                          struct held_block *held, struct cache_frame **ret_frame,
                          const uint8_t **ret_bytes)
{
    ASSERT(run->number > 0);
    ASSERT(block < run->block_count);
    struct kernel *kernel = txn->kernel;
    if (held != NULL && held->frame != NULL && held->run == run->number && held->block == block) {
        *ret_frame = NULL;
        *ret_bytes = held->bytes;
        return ERR_OK;
    }
    bool is_hit = false;
    TRY(cache_get(&kernel->cache, &kernel->disk, run, block, txn->scratch, ret_frame, ret_bytes,
                  &is_hit));
    txn->stat_hits += is_hit;
    txn->stat_misses += !is_hit;
    if (held != NULL && *ret_frame != NULL) {
        if (held->frame != NULL) {
            cache_unpin(held->frame);
        }
        *held = (struct held_block){run->number, block, *ret_frame, *ret_bytes};
        *ret_frame = NULL;
    }
    return ERR_OK;
}

static bool find_in_table(const struct memtable *table, struct lookup *lookup)
{
    ASSERT(table != NULL);
    memtable_node node = memtable_seek(table, lookup->key, lookup->snapshot);
    if (node == 0) {
        return false;
    }
    memtable_at(table, node, &lookup->found);
    ASSERT(lookup->found.commit <= lookup->snapshot ||
           !slice_equal(lookup->found.key, lookup->key));
    return slice_equal(lookup->found.key, lookup->key);
}

static enum err find_in_run(struct kernel_txn *txn, const struct run *run, uint32_t level,
                            struct lookup *lookup, bool *ret_is_found)
{
    ASSERT(run->number > 0);
    ASSERT(level < KERNEL_LEVELS);
    struct held_block *held = lookup->held == NULL ? NULL : &lookup->held[level];
    *ret_is_found = false;
    if (run->filter_len > 0) {
        if (!lookup->has_hash) {
            lookup->hash = filter_hash(lookup->key);
            lookup->has_hash = true;
        }
        if (!filter_may_have(run->filter, run->filter_len, run->filter_bits_per_key,
                             lookup->hash)) {
            txn->stat_negatives++;
            return ERR_OK;
        }
    }
    uint32_t block = index_find(&run->index, lookup->key, lookup->snapshot);
    while (true) {
        struct cache_frame *frame = NULL;
        const uint8_t *bytes = NULL;
        TRY(get_block(txn, run, block, held, &frame, &bytes));
        uint32_t index = block_seek(bytes, lookup->key, lookup->snapshot);
        bool is_past = index == block_entry_count(bytes);
        if (!is_past && block_is_key(bytes, index, lookup->key, &lookup->found)) {
            ASSERT(lookup->found.commit <= lookup->snapshot);
            lookup->frame = frame;
            lookup->run = run;
            *ret_is_found = true;
            return ERR_OK;
        }
        if (frame != NULL) {
            cache_unpin(frame);
        }
        if (!is_past || !index_goes_on(&run->index, lookup->key, block)) {
            txn->stat_false_positives += run->filter_len > 0;
            return ERR_OK;
        }
        block++;
    }
}

/* The run of a sorted level that may have the key, or NULL. */
static const struct run *run_of_level(const struct kernel *kernel, const struct view *view,
                                      uint32_t level, struct slice key, uint64_t head)
{
    ASSERT(level > 0);
    uint32_t low = view->level_start[level], high = view->level_start[level + 1];
    uint32_t first = low;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        bool is_begun = view->heads[middle] < head;
        if (view->heads[middle] == head) {
            is_begun = key_compare(kernel->runs[view->slots[middle]].smallest, key) <= 0;
        }
        if (is_begun) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == first) {
        return NULL;
    }
    const struct run *run = &kernel->runs[view->slots[low - 1]];
    ASSERT(run->number > 0);
    return key_compare(key, run->largest) <= 0 ? run : NULL;
}

static enum err find_in_runs(struct kernel_txn *txn, const struct view *view, struct lookup *lookup,
                             uint64_t commit_above, bool *ret_is_found)
{
    ASSERT(commit_above <= lookup->snapshot);
    const struct kernel *kernel = txn->kernel;
    ASSERT(view->run_count > 0);
    uint64_t head = key_head(lookup->key.ptr, lookup->key.len);
    *ret_is_found = false;
    for (uint32_t i = 0; i < view->level_start[1] && !*ret_is_found; i++) {
        const struct run *run = &kernel->runs[view->slots[i]];
        if (run->commit_max > commit_above && run->commit_min <= lookup->snapshot &&
            key_compare(run->smallest, lookup->key) <= 0 &&
            key_compare(lookup->key, run->largest) <= 0) {
            TRY(find_in_run(txn, run, 0, lookup, ret_is_found));
        }
    }
    for (uint32_t level = 1; level < KERNEL_LEVELS && !*ret_is_found; level++) {
        if (view_level_runs(view, level) == 0) {
            continue;
        }
        const struct run *run = run_of_level(kernel, view, level, lookup->key, head);
        if (run != NULL && run->commit_max > commit_above && run->commit_min <= lookup->snapshot) {
            TRY(find_in_run(txn, run, level, lookup, ret_is_found));
        }
    }
    return ERR_OK;
}

static enum err find(struct kernel_txn *txn, const struct view *view, struct lookup *lookup,
                     uint64_t commit_above, bool *ret_is_found)
{
    ASSERT(txn->is_open);
    ASSERT(view->table_count > 0);
    bool is_found = false;
    for (uint32_t i = 0; i < view->table_count && !is_found; i++) {
        is_found = find_in_table(view->tables[i], lookup);
    }
    if (!is_found && view->run_count > 0) {
        TRY(find_in_runs(txn, view, lookup, commit_above, &is_found));
    }
    *ret_is_found = is_found;
    return ERR_OK;
}

enum err kernel__read_held(struct kernel_txn *txn, const struct view *view, struct slice key,
                           struct held_block *held, struct slice *ret_value)
{
    ASSERT(held != NULL);
    ASSERT(key.len <= KERNEL_KEY_BYTES_MAX);
    struct lookup lookup = {.key = key, .snapshot = txn->snapshot, .held = held};
    bool is_found = false;
    TRY(find(txn, view, &lookup, 0, &is_found));
    if (!is_found || lookup.found.kind == ENTRY_DELETE) {
        return ERR_NOT_FOUND;
    }
    if (lookup.found.kind == ENTRY_FAR) {
        return run_read_value(lookup.run, &txn->kernel->disk, &lookup.found, txn->value, ret_value);
    }
    *ret_value = lookup.found.value; /* in a memtable, a held block or the scratch block */
    return ERR_OK;
}

void kernel__release_held(struct held_block *held)
{
    ASSERT(held != NULL);
    for (uint32_t level = 0; level < KERNEL_LEVELS; level++) {
        if (held[level].frame != NULL) {
            ASSERT(held[level].run > 0);
            cache_unpin(held[level].frame);
            held[level].frame = NULL;
        }
    }
}

enum err kernel__read(struct kernel_txn *txn, const struct view *view, struct slice key,
                      uint64_t snapshot, uint64_t commit_above, struct slice *ret_value,
                      uint64_t *ret_commit)
{
    ASSERT(snapshot < COMMIT_OVERLAY || snapshot == COMMIT_MAX);
    struct lookup lookup = {.key = key, .snapshot = snapshot};
    bool is_found = false;
    TRY(find(txn, view, &lookup, commit_above, &is_found));
    if (ret_commit != NULL) {
        *ret_commit = is_found ? lookup.found.commit : 0;
    }
    ASSERT(is_found || lookup.frame == NULL);
    bool is_value = is_found && lookup.found.kind != ENTRY_DELETE;
    enum err result = is_value ? ERR_OK : ERR_NOT_FOUND;
    if (is_value && ret_value != NULL && lookup.found.kind == ENTRY_FAR) {
        result =
            run_read_value(lookup.run, &txn->kernel->disk, &lookup.found, txn->value, ret_value);
    } else if (is_value && ret_value != NULL) {
        ASSERT(lookup.found.value.len <= txn->kernel->options.value_bytes_max);
        copy_bytes(txn->value, lookup.found.value.ptr, lookup.found.value.len);
        *ret_value = (struct slice){txn->value, lookup.found.value.len};
    }
    if (lookup.frame != NULL) {
        cache_unpin(lookup.frame);
    }
    return result;
}
