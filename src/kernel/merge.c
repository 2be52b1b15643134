#include "kernel/merge.h"

/* ---- Runs */

static void drop_block(struct source *source)
{
    ASSERT(source->table == NULL);
    ASSERT(source->frame == NULL || source->bytes != NULL);
    if (source->frame != NULL) {
        cache_unpin(source->frame);
        source->frame = NULL;
    }
    source->bytes = NULL;
}

const struct run *source_run(const struct source *source)
{
    ASSERT(source->slot < source->slot_count);
    const struct run *run = &source->runs[source->slots[source->slot]];
    ASSERT(run->number > 0);
    return run;
}

/* Fills scratch with the current block and those behind it. */
static enum err read_ahead(struct merge *merge, struct source *source, uint64_t offset)
{
    const struct run *run = source_run(source);
    uint32_t block = source->block, left = run->block_count - block, len = 0;
    uint32_t room = run->codec == NULL ? source->scratch_blocks : source->scratch_blocks - 1;
    uint32_t count = left < room ? left : room;
    ASSERT(count > 0);
    uint64_t last = 0;
    run_block_place(run, block + count - 1, &last, &len);
    ASSERT(last + len - offset <= (uint64_t)room * BLOCK_BYTES);
    char name[KERNEL_NAME_BYTES];
    disk_name(RUN_PREFIX, run->number, name);
    source->ahead_count = 0;
    TRY(disk_read(merge->disk, run->file, name, offset, source->scratch, last + len - offset));
    source->ahead_first = block;
    source->ahead_count = count;
    source->ahead_offset = offset;
    return ERR_OK;
}

/* A block of a run that is read from one end to the other: many at once, past the cache. */
static enum err load_ahead(struct merge *merge, struct source *source)
{
    ASSERT(source->bytes == NULL);
    const struct run *run = source_run(source);
    ASSERT(source->scratch_blocks > 1);
    uint32_t block = source->block, len = 0;
    uint64_t at = 0;
    run_block_place(run, block, &at, &len);
    if (block < source->ahead_first || block >= source->ahead_first + source->ahead_count) {
        TRY(read_ahead(merge, source, at));
    }
    const uint8_t *packed = source->scratch + (at - source->ahead_offset);
    uint8_t *bytes = source->scratch + (at - source->ahead_offset);
    if (run->codec != NULL) { /* the last block of scratch is kept for it */
        bytes = source->scratch + (uint64_t)(source->scratch_blocks - 1) * BLOCK_BYTES;
    }
    if (!run_unpack_block(run, merge->disk, block, packed, len, bytes)) {
        TRY(run_read_block(run, merge->disk, block, bytes));
    }
    source->bytes = bytes;
    return ERR_OK;
}

static enum err load_block(struct merge *merge, struct source *source)
{
    ASSERT(source->scratch != NULL);
    drop_block(source);
    ASSERT(source->bytes == NULL);
    if (source->scratch_blocks > 1) {
        return load_ahead(merge, source);
    }
    return cache_get(merge->cache, merge->disk, source_run(source), source->block, source->scratch,
                     &source->frame, &source->bytes, NULL);
}

static void show_run_entry(struct source *source)
{
    ASSERT(source->index < block_entry_count(source->bytes));
    ASSERT(source->bytes != NULL);
    block_at(source->bytes, source->index, source->key_bytes, &source->entry);
    source->head = key_head(source->entry.key.ptr, source->entry.key.len);
    source->is_valid = true;
}

/* To the first or last entry of another run of the list. */
static enum err enter_run(struct merge *merge, struct source *source, uint32_t slot)
{
    ASSERT(source->slot_count > 0);
    ASSERT(slot < source->slot_count);
    source->slot = slot;
    source->ahead_count = 0;
    source->block = merge->is_backward ? source_run(source)->block_count - 1 : 0;
    TRY(load_block(merge, source));
    source->index = merge->is_backward ? block_entry_count(source->bytes) - 1 : 0;
    show_run_entry(source);
    return ERR_OK;
}

/* From index == entry_count (forward) or "before the first" (backward) to the neighbour. */
static enum err cross_block(struct merge *merge, struct source *source)
{
    ASSERT(source->table == NULL);
    ASSERT(source->bytes != NULL);
    const struct run *run = source_run(source);
    bool is_last = merge->is_backward ? source->block == 0 : source->block + 1 == run->block_count;
    if (!is_last) {
        source->block = merge->is_backward ? source->block - 1 : source->block + 1;
        TRY(load_block(merge, source));
        source->index = merge->is_backward ? block_entry_count(source->bytes) - 1 : 0;
        show_run_entry(source);
        return ERR_OK;
    }
    bool is_end = merge->is_backward ? source->slot == 0 : source->slot + 1 == source->slot_count;
    if (is_end) {
        drop_block(source);
        return ERR_OK;
    }
    return enter_run(merge, source, merge->is_backward ? source->slot - 1 : source->slot + 1);
}

static enum err step_runs(struct merge *merge, struct source *source)
{
    ASSERT(source->is_valid);
    ASSERT(source->bytes != NULL);
    source->is_valid = false;
    if (merge->is_backward ? source->index > 0
                           : source->index + 1 < block_entry_count(source->bytes)) {
        source->index = merge->is_backward ? source->index - 1 : source->index + 1;
        show_run_entry(source);
        return ERR_OK;
    }
    return cross_block(merge, source);
}

/* How many runs begin at or before `key`. */
static uint32_t runs_begun(const struct source *source, struct slice key)
{
    uint32_t low = 0, high = source->slot_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct run *run = &source->runs[source->slots[middle]];
        ASSERT(run->number > 0);
        if (key_compare(run->smallest, key) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    ASSERT(low <= source->slot_count);
    return low;
}

static enum err seek_runs(struct merge *merge, struct source *source, struct slice key,
                          uint64_t commit, bool from_end)
{
    ASSERT(source->table == NULL);
    ASSERT(!from_end || merge->is_backward);
    drop_block(source);
    source->is_valid = false;
    if (source->slot_count == 0) {
        return ERR_OK;
    }
    if (from_end) {
        return enter_run(merge, source, source->slot_count - 1);
    }
    uint32_t begun = runs_begun(source, key);
    if (begun == 0) {
        return merge->is_backward ? ERR_OK : enter_run(merge, source, 0);
    }
    source->slot = begun - 1;
    source->ahead_count = 0;
    source->block = index_find(&source_run(source)->index, key, commit);
    TRY(load_block(merge, source));
    uint32_t index = block_seek(source->bytes, key, commit);
    if (merge->is_backward) {
        source->index = index == 0 ? 0 : index - 1;
        if (index == 0) {
            return cross_block(merge, source);
        }
    } else {
        source->index = index;
        if (index == block_entry_count(source->bytes)) {
            return cross_block(merge, source);
        }
    }
    show_run_entry(source);
    return ERR_OK;
}

/* ---- Memtables */

static void show_node(struct source *source, memtable_node node)
{
    ASSERT(source->table != NULL);
    source->node = node;
    source->is_valid = node != 0;
    if (node != 0) {
        memtable_at(source->table, node, &source->entry);
        source->head = key_head(source->entry.key.ptr, source->entry.key.len);
        if (source->is_overlay) {
            ASSERT(source->entry.commit < COMMIT_OVERLAY);
            source->entry.commit |= COMMIT_OVERLAY;
        }
    }
}

static void seek_table(const struct merge *merge, struct source *source, struct slice key,
                       uint64_t commit, bool from_end)
{
    ASSERT(source->table != NULL);
    ASSERT(!from_end || merge->is_backward);
    if (from_end) {
        show_node(source, memtable_last(source->table));
    } else if (merge->is_backward) {
        show_node(source, memtable_seek_before(source->table, key, commit));
    } else {
        show_node(source, memtable_seek(source->table, key, commit));
    }
}

static void step_table(const struct merge *merge, struct source *source)
{
    ASSERT(source->is_valid);
    ASSERT(source->node != 0);
    if (merge->is_backward) {
        uint64_t commit = source->entry.commit & ~COMMIT_OVERLAY;
        show_node(source, memtable_seek_before(source->table, source->entry.key, commit));
    } else {
        show_node(source, memtable_next(source->table, source->node));
    }
}

/* ---- All together */

void merge_release(struct merge *merge)
{
    ASSERT(merge != NULL);
    for (uint32_t i = 0; i < merge->source_count; i++) {
        struct source *source = &merge->sources[i];
        source->is_valid = false;
        if (source->table == NULL) {
            drop_block(source);
        }
    }
    merge->current = NULL;
    ASSERT(merge->current == NULL);
}

/* Few sources: looking at all costs less than keeping a heap in order. */
static void choose(struct merge *merge)
{
    ASSERT(merge->sources != NULL || merge->source_count == 0);
    struct source *best = NULL;
    for (uint32_t i = 0; i < merge->source_count; i++) {
        struct source *source = &merge->sources[i];
        if (!source->is_valid) {
            continue;
        }
        if (best != NULL) {
            int order = source->head != best->head
                            ? (source->head < best->head ? -1 : 1)
                            : entry_compare(source->entry.key, source->entry.commit,
                                            best->entry.key, best->entry.commit);
            if (merge->is_backward ? order <= 0 : order >= 0) {
                continue;
            }
        }
        best = source;
    }
    merge->current = best;
    ASSERT(best == NULL || best->is_valid);
}

enum err merge_seek(struct merge *merge, struct slice key, uint64_t commit, bool from_end)
{
    ASSERT(merge->disk != NULL);
    ASSERT(!from_end || merge->is_backward);
    merge->current = NULL;
    for (uint32_t i = 0; i < merge->source_count; i++) {
        struct source *source = &merge->sources[i];
        if (source->table != NULL) {
            seek_table(merge, source, key, commit, from_end);
        } else {
            TRY(seek_runs(merge, source, key, commit, from_end));
        }
    }
    choose(merge);
    return ERR_OK;
}

enum err merge_next(struct merge *merge)
{
    struct source *source = merge->current;
    ASSERT(source != NULL);
    ASSERT(source->is_valid);
    if (source->table != NULL) {
        step_table(merge, source);
    } else {
        merge->current = NULL;
        TRY(step_runs(merge, source));
    }
    choose(merge);
    return ERR_OK;
}
