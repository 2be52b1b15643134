/* Group commit over the trail: who finds nobody committing becomes the leader, takes all that
 * waits and syncs once for everybody; then it wakes those, and one of who came meanwhile to lead
 * them. Lazy records are put aside, and written before those of the next leader; where none comes
 * within DEFER_US, a thread that exists for it leads. */
#include "observe/audit.h"

#include <errno.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "observe/audit_int.h"
#include "observe/metrics.h"

#define DEFER_US 5000                   /* that a lazy record may not be written yet */
#define RETRY_US 1000000                /* to write them, after it failed */
#define DEFERRED_BYTES_MAX (256u << 10) /* then its writer waits, as for any other */

struct waiter {
    struct slice fields;
    int64_t wall_us;
    bool is_lazy;
    bool is_done;
    enum err err;
    struct errinfo *info;
    pthread_cond_t done; /* or: it is your turn to lead */
    struct waiter *next;
};

struct deferred {
    int64_t wall_us;
    size_t len;
};

struct audit {
    pthread_mutex_t lock; /* of all down to the trail, and of the waiters in the queue */
    pthread_cond_t done;  /* nobody commits: for audit_check */
    struct waiter *first;
    struct waiter *last;
    struct buf deferred; /* lazy records: struct deferred, then its fields */
    bool is_failing;     /* what is deferred could not be written: nothing more is put aside */
    bool is_committing;
    bool is_ending;
    bool has_writer;
    pthread_t writer;    /* of deferred records; from the first on */
    pthread_cond_t some; /* are deferred; for the writer */
    /* Of the thread that set is_committing, or who has the lock while nobody has: */
    struct audit_trail trail;
    struct audit_anchor_store anchors; /* save NULL: none */
    struct audit_anchor anchor;        /* the last that was saved or loaded; `trail` "" at first */
    uint64_t anchored_file;            /* file_first_seq then */
    int64_t anchor_due_us;             /* monotonic */
    bool is_anchor_failing;
    bool is_replaced; /* the anchor is of another trail */
    struct metrics *metrics;
};

/* ---- the anchor ---- */

static enum err save_anchor(struct audit *audit, const struct audit_head *head,
                            struct errinfo *info)
{
    struct audit_anchor next = audit->anchor;
    next.seq = head->seq;
    next.wall_us = clock_wall_us();
    memcpy(next.hash, head->hash, sizeof(next.hash));
    if (next.trail[0] == '\0') {
        TRY(audit__trail_id(audit->trail.folder, next.trail, info));
    }
    TRY(audit->anchors.save(audit->anchors.context, &next, info));
    audit->anchor = next;
    audit->anchored_file = audit->trail.head.file_first_seq;
    return ERR_OK;
}

/* Only what is on disk may be anchored. A failure is no reason to refuse a query whose record is
 * safe: the anchor stays behind for a while, which is no lie. */
static void move_anchor(struct audit *audit, bool is_forced)
{
    const struct audit_trail *trail = &audit->trail;
    const struct audit_head *head = trail->is_unsynced ? &trail->marked : &trail->head;
    int64_t now_us = clock_mono_us();
    if (audit->anchors.save == NULL || audit->is_replaced || head->seq <= audit->anchor.seq) {
        return;
    }
    bool is_far = head->seq - audit->anchor.seq >= AUDIT_ANCHOR_RECORDS ||
                  trail->head.file_first_seq != audit->anchored_file;
    if (!is_forced && now_us < audit->anchor_due_us && (!is_far || audit->is_anchor_failing)) {
        return;
    }
    struct errinfo info;
    errinfo_init(&info);
    enum err err = save_anchor(audit, head, &info);
    audit->anchor_due_us = now_us + AUDIT_ANCHOR_US;
    if (err != ERR_OK && err != ERR_BUSY && !audit->is_anchor_failing) {
        log_error("audit", "the store was not told how far the trail is: %s", info.message);
    }
    audit->is_anchor_failing = err != ERR_OK;
    audit->is_replaced = err == ERR_CORRUPT;
}

static enum err replaced(struct errinfo *info)
{
    (void)errinfo_set(info, ERR_CORRUPT, NULL,
                      "the warehouse has gone on to another audit trail than the one that this "
                      "program writes");
    errinfo_hint(info, "Start the program again.");
    return ERR_CORRUPT;
}

/* ---- life ---- */

enum err audit_open(const char *folder, const struct audit_options *options,
                    struct audit **ret_audit, struct errinfo *info)
{
    struct audit *audit = mem_calloc(1, sizeof(*audit));
    if (audit == NULL) {
        return errinfo_nomem(info);
    }
    (void)pthread_mutex_init(&audit->lock, NULL);
    (void)pthread_cond_init(&audit->done, NULL);
    (void)pthread_cond_init(&audit->some, NULL);
    uint64_t bytes_max = options == NULL || options->file_bytes_max == 0 ? AUDIT_FILE_BYTES_DEFAULT
                                                                         : options->file_bytes_max;
    enum err err = ERR_OK;
    audit->metrics = options == NULL ? NULL : options->metrics;
    audit->trail = (struct audit_trail){.lock_fd = -1, .head_fd = -1, .file_fd = -1};
    if (options != NULL && options->anchors != NULL) {
        /* Before the trail is looked at: what was anchored by then is there by then. */
        err = options->anchors->load(options->anchors->context, &audit->anchor, info);
    }
    if (err == ERR_OK) {
        err = audit__trail_open(&audit->trail, folder, bytes_max, &audit->anchor, info);
    }
    if (err != ERR_OK) {
        audit_close(audit);
        return err;
    }
    if (options != NULL && options->anchors != NULL) {
        audit->anchors = *options->anchors;
        audit->anchored_file = audit->trail.head.file_first_seq;
        audit->anchor_due_us = clock_mono_us() + AUDIT_ANCHOR_US;
        move_anchor(audit, true); /* a process that was killed had no time to */
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

static void stop_writer(struct audit *audit)
{
    pthread_mutex_lock(&audit->lock);
    audit->is_ending = true;
    pthread_cond_signal(&audit->some);
    pthread_mutex_unlock(&audit->lock);
    if (audit->has_writer) {
        (void)pthread_join(audit->writer, NULL);
    }
}

void audit_close(struct audit *audit)
{
    if (audit == NULL) {
        return;
    }
    stop_writer(audit);
    ASSERT(audit->first == NULL && !audit->is_committing);
    if (!audit__flush(audit)) {
        log_error("audit", "the last records of statements that read nothing are lost");
    }
    if (audit->trail.is_unsynced) {
        settle(&audit->trail);
    }
    move_anchor(audit, true);
    audit__trail_close(&audit->trail);
    (void)pthread_cond_destroy(&audit->some);
    buf_fini(&audit->deferred);
    (void)pthread_cond_destroy(&audit->done);
    (void)pthread_mutex_destroy(&audit->lock);
    mem_free(audit);
}

static enum err append_all(struct audit_trail *trail, struct slice deferred,
                           const struct waiter *batch, bool is_lazy, struct errinfo *info)
{
    struct audit_head head = trail->head;
    struct buf lines CLEANUP(buf_fini) = {0};
    while (deferred.len > 0) {
        struct deferred record;
        memcpy(&record, deferred.ptr, sizeof(record));
        struct slice fields = {deferred.ptr + sizeof(record), record.len};
        TRY(audit__append_line(&lines, &head, record.wall_us, fields, info));
        deferred.ptr += sizeof(record) + record.len;
        deferred.len -= sizeof(record) + record.len;
    }
    for (const struct waiter *waiter = batch; waiter != NULL; waiter = waiter->next) {
        TRY(audit__append_line(&lines, &head, waiter->wall_us, waiter->fields, info));
    }
    return audit__trail_append(trail, buf_slice(&lines), &head, is_lazy, info);
}

static enum err commit(struct audit *audit, struct slice deferred, const struct waiter *batch,
                       bool is_lazy, struct errinfo *info)
{
    struct audit_trail *trail = &audit->trail;
    TRY(audit->is_replaced ? replaced(info) : audit__lock(trail->lock_fd, true, info));
    enum err err = audit__trail_refresh(trail, info);
    if (err == ERR_OK) {
        err = append_all(trail, deferred, batch, is_lazy, info);
    }
    audit__unlock(trail->lock_fd);
    return err;
}

/* With the lock: what was not written comes before what was put aside meanwhile. */
static void defer_again(struct audit *audit, struct buf *deferred, const struct errinfo *news)
{
    if (news != NULL) {
        log_error("audit", "records cannot be written, no statement will be answered: %s",
                  news->message);
    }
    buf_append_slice(deferred, buf_slice(&audit->deferred));
    if (buf_failed(deferred)) {
        log_error("audit", "no memory: records of statements that read nothing are lost");
        return;
    }
    buf_fini(&audit->deferred);
    audit->deferred = *deferred;
    *deferred = (struct buf){0};
}

/* With the lock: who checks the trail, and one to lead those that came meanwhile. */
static void wake_next(struct audit *audit)
{
    pthread_cond_broadcast(&audit->done);
    if (audit->first != NULL) {
        pthread_cond_signal(&audit->first->done);
    }
}

/* Called and left with the lock held. */
static void lead(struct audit *audit)
{
    struct waiter *batch = audit->first;
    struct buf deferred CLEANUP(buf_fini) = audit->deferred;
    audit->first = NULL;
    audit->last = NULL;
    audit->deferred = (struct buf){0};
    audit->is_committing = true;
    pthread_mutex_unlock(&audit->lock);
    struct errinfo info;
    errinfo_init(&info);
    uint64_t syncs = audit->trail.sync_count;
    bool is_lazy = true;
    for (const struct waiter *waiter = batch; waiter != NULL; waiter = waiter->next) {
        is_lazy = is_lazy && waiter->is_lazy;
    }
    enum err err = commit(audit, buf_slice(&deferred), batch, is_lazy, &info);
    if (err == ERR_OK) {
        move_anchor(audit, false);
    }
    metrics_add(audit->metrics, METRIC_AUDIT_FLUSHES, 0, audit->trail.sync_count - syncs);
    pthread_mutex_lock(&audit->lock);
    audit->is_committing = false;
    if (err != ERR_OK && deferred.len > 0) {
        defer_again(audit, &deferred, audit->is_failing ? NULL : &info);
    }
    audit->is_failing = err != ERR_OK;
    while (batch != NULL) {
        struct waiter *next = batch->next; /* a waiter may be gone as soon as the lock is */
        batch->err = err;
        if (err != ERR_OK && batch->info != NULL) {
            *batch->info = info;
        }
        batch->is_done = true;
        pthread_cond_signal(&batch->done);
        batch = next;
    }
    wake_next(audit);
}

/* With the lock, and left with it. */
static void flush_held(struct audit *audit)
{
    while (audit->is_committing) {
        pthread_cond_wait(&audit->done, &audit->lock);
    }
    if (audit->deferred.len > 0) {
        lead(audit);
    }
}

bool audit__flush(struct audit *audit)
{
    pthread_mutex_lock(&audit->lock);
    flush_held(audit);
    bool is_written = audit->deferred.len == 0 || !audit->is_failing;
    pthread_mutex_unlock(&audit->lock);
    return is_written;
}

static void *write_deferred(void *context)
{
    struct audit *audit = context;
    pthread_mutex_lock(&audit->lock);
    while (!audit->is_ending) {
        if (audit->deferred.len == 0) {
            pthread_cond_wait(&audit->some, &audit->lock);
            continue;
        }
        int64_t until_us = clock_mono_us() + (audit->is_failing ? RETRY_US : DEFER_US);
        while (!audit->is_ending && clock_wait(&audit->some, &audit->lock, until_us)) {
        }
        flush_held(audit);
    }
    pthread_mutex_unlock(&audit->lock);
    return NULL;
}

/* With the lock. False: it must be written now. */
static bool defer(struct audit *audit, const struct waiter *self)
{
    struct deferred record = {self->wall_us, self->fields.len};
    size_t len = audit->deferred.len;
    if (!self->is_lazy || audit->is_failing || len > DEFERRED_BYTES_MAX ||
        buf_reserve(&audit->deferred, sizeof(record) + record.len) == NULL) {
        return false;
    }
    if (!audit->has_writer) {
        audit->has_writer = pthread_create(&audit->writer, NULL, write_deferred, audit) == 0;
    }
    if (audit->has_writer) {
        buf_append(&audit->deferred, &record, sizeof(record));
        buf_append_slice(&audit->deferred, self->fields);
        if (len == 0) {
            pthread_cond_signal(&audit->some);
        }
    }
    return audit->has_writer;
}

static void count_login(struct metrics *metrics, const struct audit_record *record)
{
    static const char *const providers[] = {"local", "password", "apikey", "oidc", "certificate"};
    struct slice provider =
        record->who != NULL ? identity_provider(record->who) : record->refused_by;
    unsigned which = 0;
    while (which < ARRAY_COUNT(providers) && !slice_equal(provider, slice_of(providers[which]))) {
        which++;
    }
    metrics_add(metrics, METRIC_LOGINS, which * 2 + (record->who == NULL), 1);
}

static void count_record(struct audit *audit, const struct audit_record *record, int64_t started_us,
                         enum err err)
{
    struct metrics *metrics = audit->metrics;
    metrics_add(metrics, err == ERR_OK ? METRIC_AUDIT_RECORDS : METRIC_AUDIT_FAILURES, 0, 1);
    if (!record->is_lazy) {
        metrics_observe(metrics, METRIC_AUDIT_FLUSH, clock_mono_us() - started_us);
    }
    if (record->kind == AUDIT_LOGIN) {
        count_login(metrics, record);
    }
}

enum err audit_check(struct audit *audit, struct errinfo *info)
{
    struct statvfs space;
    if (statvfs(audit->trail.folder, &space) != 0 || (space.f_flag & ST_RDONLY) != 0) {
        return errinfo_set(info, ERR_IO, NULL, "the folder of the audit trail cannot be written");
    }
    if ((uint64_t)space.f_bavail * space.f_frsize < AUDIT_RECORD_BYTES_MAX) {
        return errinfo_set(info, ERR_IO, "53100", "the disk of the audit trail is full");
    }
    pthread_mutex_lock(&audit->lock);
    flush_held(audit);
    audit->is_committing = true;
    pthread_mutex_unlock(&audit->lock);
    enum err err =
        audit->is_replaced ? replaced(info) : audit__lock(audit->trail.lock_fd, true, info);
    if (err == ERR_OK) {
        err = audit__trail_refresh(&audit->trail, info);
        if (err == ERR_OK && audit->trail.is_unsynced) {
            err = audit__trail_settle(&audit->trail, info);
        }
        audit__unlock(audit->trail.lock_fd);
    }
    pthread_mutex_lock(&audit->lock);
    audit->is_committing = false;
    wake_next(audit);
    pthread_mutex_unlock(&audit->lock);
    return err;
}

/* With the lock, and left with it. */
static void write_now(struct audit *audit, struct waiter *self)
{
    if (audit->last == NULL) {
        audit->first = self;
    } else {
        audit->last->next = self;
    }
    audit->last = self;
    pthread_cond_init(&self->done, NULL);
    metrics_add(audit->metrics, METRIC_AUDIT_BACKLOG, 0, 1);
    while (!self->is_done) {
        if (audit->is_committing) {
            pthread_cond_wait(&self->done, &audit->lock);
        } else {
            lead(audit);
        }
    }
    metrics_add(audit->metrics, METRIC_AUDIT_BACKLOG, 0, UINT64_MAX);
    (void)pthread_cond_destroy(&self->done);
}

enum err audit_write(struct audit *audit, const struct audit_record *record, struct errinfo *info)
{
    int64_t started_us = record->is_lazy ? 0 : clock_mono_us();
    struct buf fields CLEANUP(buf_fini) = {0};
    TRY(audit__print_fields(record, &fields, info));
    struct waiter self = {.fields = buf_slice(&fields),
                          .wall_us = clock_wall_us(),
                          .is_lazy = record->is_lazy,
                          .info = info};
    pthread_mutex_lock(&audit->lock);
    if (!defer(audit, &self)) {
        write_now(audit, &self);
    }
    pthread_mutex_unlock(&audit->lock);
    count_record(audit, record, started_us, self.err);
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
    (void)audit__flush(audit); /* whoever reads it finds all that was answered */
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
