/* Group commit over the trail: who finds nobody committing becomes the leader, takes all that waits
 * and syncs once for everybody. No thread of its own: with one writer it costs one lock. */
#include "observe/audit.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "observe/audit_int.h"

struct waiter {
    struct slice fields;
    int64_t wall_us;
    bool is_lazy;
    bool is_done;
    enum err err;
    struct errinfo *info;
    struct waiter *next;
};

struct audit {
    pthread_mutex_t lock; /* queue, is_committing and the waiters in the queue */
    pthread_cond_t done;
    struct waiter *first;
    struct waiter *last;
    bool is_committing;
    struct audit_trail trail; /* of the thread that set is_committing */
};

enum err audit_open(const char *folder, const struct audit_options *options,
                    struct audit **ret_audit, struct errinfo *info)
{
    struct audit *audit = mem_calloc(1, sizeof(*audit));
    if (audit == NULL) {
        return errinfo_nomem(info);
    }
    (void)pthread_mutex_init(&audit->lock, NULL);
    (void)pthread_cond_init(&audit->done, NULL);
    uint64_t bytes_max = options == NULL ? 0 : options->file_bytes_max;
    enum err err = audit__trail_open(&audit->trail, folder,
                                     bytes_max == 0 ? AUDIT_FILE_BYTES_DEFAULT : bytes_max, info);
    if (err != ERR_OK) {
        audit_close(audit);
        return err;
    }
    *ret_audit = audit;
    return ERR_OK;
}

/* Nothing is lost that was promised if this fails: a start does it again. */
static void settle(struct audit_trail *trail)
{
    struct errinfo info;
    errinfo_init(&info);
    enum err err = audit__lock(trail->lock_fd, true, &info);
    if (err == ERR_OK) {
        err = audit__trail_settle(trail, &info);
        audit__unlock(trail->lock_fd);
    }
    if (err != ERR_OK) {
        log_error("audit", "the last records may not be on disk: %s", info.message);
    }
}

void audit_close(struct audit *audit)
{
    if (audit == NULL) {
        return;
    }
    ASSERT(audit->first == NULL && !audit->is_committing);
    if (audit->trail.is_unsynced) {
        settle(&audit->trail);
    }
    audit__trail_close(&audit->trail);
    (void)pthread_cond_destroy(&audit->done);
    (void)pthread_mutex_destroy(&audit->lock);
    mem_free(audit);
}

static enum err append_batch(struct audit_trail *trail, const struct waiter *batch,
                             struct errinfo *info)
{
    TRY(audit__trail_refresh(trail, info));
    struct audit_head head = trail->head;
    bool is_lazy = true;
    struct buf lines CLEANUP(buf_fini) = {0};
    for (const struct waiter *waiter = batch; waiter != NULL; waiter = waiter->next) {
        TRY(audit__append_line(&lines, &head, waiter->wall_us, waiter->fields, info));
        is_lazy = is_lazy && waiter->is_lazy;
    }
    return audit__trail_append(trail, buf_slice(&lines), &head, is_lazy, info);
}

static enum err commit(struct audit_trail *trail, const struct waiter *batch, struct errinfo *info)
{
    TRY(audit__lock(trail->lock_fd, true, info));
    enum err err = append_batch(trail, batch, info);
    audit__unlock(trail->lock_fd);
    return err;
}

/* Called and left with the lock held. */
static void lead(struct audit *audit)
{
    struct waiter *batch = audit->first;
    audit->first = NULL;
    audit->last = NULL;
    audit->is_committing = true;
    pthread_mutex_unlock(&audit->lock);
    struct errinfo info;
    errinfo_init(&info);
    enum err err = commit(&audit->trail, batch, &info);
    pthread_mutex_lock(&audit->lock);
    audit->is_committing = false;
    while (batch != NULL) {
        struct waiter *next = batch->next; /* a waiter may be gone as soon as the lock is */
        batch->err = err;
        if (err != ERR_OK && batch->info != NULL) {
            *batch->info = info;
        }
        batch->is_done = true;
        batch = next;
    }
    pthread_cond_broadcast(&audit->done);
}

enum err audit_write(struct audit *audit, const struct audit_record *record, struct errinfo *info)
{
    struct buf fields CLEANUP(buf_fini) = {0};
    TRY(audit__print_fields(record, &fields, info));
    struct waiter self = {.fields = buf_slice(&fields),
                          .wall_us = clock_wall_us(),
                          .is_lazy = record->is_lazy,
                          .info = info};
    pthread_mutex_lock(&audit->lock);
    if (audit->last == NULL) {
        audit->first = &self;
    } else {
        audit->last->next = &self;
    }
    audit->last = &self;
    while (!self.is_done) {
        if (audit->is_committing) {
            pthread_cond_wait(&audit->done, &audit->lock);
        } else {
            lead(audit);
        }
    }
    pthread_mutex_unlock(&audit->lock);
    return self.err;
}

uint64_t audit__sync_count(const struct audit *audit)
{
    return audit->trail.sync_count;
}

enum err audit_files(struct audit *audit, const struct identity *who, struct arena *arena,
                     struct slice **ret_paths, size_t *ret_count, struct errinfo *info)
{
    ASSERT(who != NULL);
    uint64_t *seqs;
    size_t count;
    struct slice foreign;
    TRY(audit__list(audit->trail.folder, arena, &seqs, &count, &foreign, info));
    struct slice *paths = arena_calloc(arena, count + 1, sizeof(*paths));
    if (paths == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        char name[AUDIT_NAME_BYTES];
        audit__file_name(seqs[i], name);
        char *path = io_join(arena, audit->trail.folder, name);
        if (path == NULL) {
            return errinfo_nomem(info);
        }
        paths[i] = slice_of(path);
    }
    *ret_paths = paths;
    *ret_count = count;
    return ERR_OK;
}
