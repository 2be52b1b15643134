#include "kernel/kernel_int.h"

/* Epoch-based reclamation (Fraser 2004): what is taken out of the published view is tagged with the
 * epoch, then the epoch moves on. A reader announces the epoch it saw before it loads the view, so
 * whoever could hold the tagged thing announces at most that epoch. */

const struct view *kernel__pin(struct kernel *kernel, struct reader *reader)
{
    ASSERT(__atomic_load_n(&reader->epoch, __ATOMIC_RELAXED) == 0);
    uint64_t epoch = __atomic_load_n(&kernel->epoch, __ATOMIC_ACQUIRE);
    ASSERT(epoch > 0);
    __atomic_store_n(&reader->epoch, epoch, __ATOMIC_SEQ_CST);
    return __atomic_load_n(&kernel->view, __ATOMIC_SEQ_CST);
}

void kernel__unpin(struct reader *reader)
{
    ASSERT(reader != NULL);
    ASSERT(__atomic_load_n(&reader->epoch, __ATOMIC_RELAXED) != 0);
    __atomic_store_n(&reader->epoch, 0, __ATOMIC_RELEASE);
}

/* The lowest epoch that a reader has announced, or UINT64_MAX. */
static uint64_t lowest_epoch(const struct kernel *kernel)
{
    ASSERT(kernel->readers != NULL);
    uint64_t lowest = UINT64_MAX;
    for (uint64_t i = 0; i <= kernel->options.txns_max; i++) { /* the last one is for work */
        uint64_t epoch = __atomic_load_n(&kernel->readers[i].epoch, __ATOMIC_SEQ_CST);
        lowest = epoch != 0 && epoch < lowest ? epoch : lowest;
    }
    ASSERT(lowest > 0);
    return lowest;
}

/* A file that stays is removed by the next open: no manifest names it. */
void kernel__remove_run(struct kernel *kernel, uint64_t number)
{
    ASSERT(number > 0);
    ASSERT(number < kernel->manifest.run_next);
    char name[KERNEL_NAME_BYTES];
    disk_name(RUN_PREFIX, number, name);
    (void)kernel->disk.io.remove(kernel->disk.io.ctx, name);
    disk_name(VALUES_PREFIX, number, name);
    (void)kernel->disk.io.remove(kernel->disk.io.ctx, name);
}

void kernel__remove_doomed(struct kernel *kernel)
{
    ASSERT(kernel->doomed_count <= kernel->options.runs_max);
    while (kernel->doomed_count > 0) {
        kernel__remove_run(kernel, kernel->doomed[--kernel->doomed_count]);
    }
    ASSERT(kernel->doomed_count == 0);
}

void kernel__reclaim(struct kernel *kernel)
{
    ASSERT(kernel->view != NULL);
    uint64_t lowest = lowest_epoch(kernel);
    for (uint32_t i = 0; i < VIEWS; i++) {
        struct view *view = &kernel->views[i];
        if (view->is_used && view->is_retired && view->retired_epoch < lowest) {
            view->is_used = false;
        }
    }
    for (uint64_t i = 0; i < kernel->options.memtables; i++) {
        struct table_slot *slot = &kernel->tables[i];
        if (slot->state == TABLE_RETIRED && slot->retired_epoch < lowest) {
            memtable_reset(&slot->table);
            slot->state = TABLE_FREE;
        }
    }
    for (uint64_t i = 0; i < kernel->options.runs_max; i++) {
        struct run_state *state = &kernel->run_states[i];
        if (state->is_retired && state->retired_epoch < lowest) {
            uint64_t number = kernel->runs[i].number;
            run_close(&kernel->runs[i], &kernel->disk, &kernel->pool);
            if (kernel->doomed_count == kernel->options.runs_max) {
                kernel__remove_doomed(kernel);
            }
            kernel->doomed[kernel->doomed_count++] = number;
            state->is_retired = false;
        }
    }
    if (!kernel->options.is_work_apart) {
        kernel__remove_doomed(kernel);
    }
    ASSERT(!kernel->view->is_retired);
}

/* A new view with the memtables of now and no runs; NULL if readers hold all the old ones. */
struct view *kernel__view_new(struct kernel *kernel)
{
    ASSERT(kernel->active != NULL);
    struct view *view = NULL;
    for (uint32_t i = 0; i < VIEWS && view == NULL; i++) {
        view = kernel->views[i].is_used ? NULL : &kernel->views[i];
    }
    if (view == NULL) {
        return NULL;
    }
    view->is_used = true;
    kernel__view_renew(kernel, view);
    ASSERT(view != kernel->view && view->run_count == 0);
    return view;
}

/* Makes a view that was never published one of the memtables of now, without runs. */
void kernel__view_renew(struct kernel *kernel, struct view *view)
{
    ASSERT(view->is_used);
    view->is_retired = false;
    view->generation = ++kernel->view_generation;
    view->table_count = 0;
    view->run_count = 0;
    memset(view->level_start, 0, sizeof(view->level_start));
    /* Newest first: by falling order. */
    uint64_t below = UINT64_MAX;
    while (true) {
        const struct table_slot *best = NULL;
        for (uint64_t i = 0; i < kernel->options.memtables; i++) {
            const struct table_slot *slot = &kernel->tables[i];
            if ((slot->state == TABLE_ACTIVE || slot->state == TABLE_FROZEN) &&
                slot->order < below && (best == NULL || slot->order > best->order)) {
                best = slot;
            }
        }
        if (best == NULL) {
            break;
        }
        view->tables[view->table_count++] = &best->table;
        below = best->order;
    }
    ASSERT(view->table_count > 0);
}

/* Runs are added level by level, in the order of the level. */
void kernel__view_add_run(struct kernel *kernel, struct view *view, uint16_t slot)
{
    ASSERT(view->run_count < kernel->options.runs_max);
    ASSERT(kernel->runs[slot].number > 0);
    struct slice smallest = kernel->runs[slot].smallest;
    view->slots[view->run_count] = slot;
    view->heads[view->run_count] = key_head(smallest.ptr, smallest.len);
    view->run_count++;
}

void kernel__view_publish(struct kernel *kernel, struct view *view)
{
    ASSERT(view->is_used && !view->is_retired);
    struct view *before = kernel->view;
    ASSERT(before != view);
    __atomic_store_n(&kernel->view, view, __ATOMIC_SEQ_CST);
    if (before != NULL) {
        before->is_retired = true;
        before->retired_epoch = kernel->epoch;
    }
    (void)__atomic_fetch_add(&kernel->epoch, 1, __ATOMIC_SEQ_CST);
}
