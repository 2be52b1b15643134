#include "io/store.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/codec.h"
#include "io/folder.h"

#define DEBT_BYTES_MAX                                                                             \
    ((uint64_t)4 << 20) /* owed work with which a commit waits for a piece of it to be done */
#define COMPRESSED_FROM_LEVEL 2u /* what lies above is written and read most */
#define THROTTLE_NS 1000000
#define PAGE_BYTES 4096u
#define WORKER_NICENESS 5 /* whoever waits for a commit comes first */
#define WORKER_STACK_BYTES ((size_t)256 << 10)
#define URGENT_BYTES                                                                               \
    ((uint64_t)1 << 20) /* of work at a time, when a commit can not go on without */

enum waiter_state {
    WAITER_WAITS,
    WAITER_LEADS, /* syncs next */
    WAITER_IS_DURABLE,
};

/* A thread whose commit is not durable yet, on its own stack. Each is woken once, by itself: woken
 * all at once by a condition variable, dozens of threads would queue for the lock in turn. */
struct waiter {
    uint64_t commit;
    uint32_t state;
    struct waiter *next;
};

struct store {
    struct io_folder *folder;
    struct io_codecs *codecs;
    void *memory;
    size_t memory_bytes;
    struct kernel *kernel;
    pthread_mutex_t lock;
    pthread_cond_t idle;     /* a sync or work job has ended */
    pthread_cond_t progress; /* the worker has done a piece, for those that it throttles */
    uint32_t throttled;
    pthread_cond_t owed; /* there may be work for the worker, or the end */
    pthread_t worker;
    bool has_worker;
    bool is_closing;
    uint32_t idle_wanted; /* threads that wait for that: no waiter leads on meanwhile */
    bool is_syncing;      /* from the choice of a leader on */
    bool is_working;
    struct waiter *waiters; /* oldest first */
    struct waiter **waiters_end;
};

static const char *fault_text(enum kernel_fault_kind kind)
{
    switch (kind) {
    case KERNEL_FAULT_NONE:
        return "failed";
    case KERNEL_FAULT_IO:
        return "could not be read or written";
    case KERNEL_FAULT_CHECKSUM:
        return "does not match its checksum";
    case KERNEL_FAULT_FORMAT:
        return "is not laid out as it must be";
    case KERNEL_FAULT_MISSING:
        return "is missing or ends too early";
    }
    return "failed";
}

static enum err report_fault(const struct kernel_fault *fault, enum err result,
                             struct errinfo *error)
{
    if (fault->kind == KERNEL_FAULT_NONE) {
        return errinfo_set(error, result, NULL, "the store failed: %s", err_name(result));
    }
    return errinfo_set(error, result, NULL, "\"%s\" %s (at byte %llu)", fault->name,
                       fault_text(fault->kind), (unsigned long long)fault->offset);
}

enum err store_report(const struct store *store, enum err result, struct errinfo *error)
{
    switch (result) {
    case ERR_OK:
        return ERR_OK;
    case ERR_BUSY:
        return errinfo_set(error, ERR_BUSY, "40001",
                           "another transaction changed the same keys first");
    case ERR_NOT_FOUND:
        return errinfo_set(error, ERR_NOT_FOUND, NULL, "no such key");
    case ERR_LIMIT:
        errinfo_set(error, ERR_LIMIT, NULL, "larger than this store is set up for");
        errinfo_hint(error, "keys have up to 1,024 bytes, values up to 1,048,576 or what the store "
                            "was opened with, and a transaction what is set for it");
        return ERR_LIMIT;
    case ERR_UNSUPPORTED:
        return errinfo_set(error, ERR_UNSUPPORTED, NULL,
                           "a run is compressed in a way that this program does not know");
    case ERR_NOMEM:
    case ERR_INVALID:
    case ERR_SYNTAX:
    case ERR_EXISTS:
    case ERR_DENIED:
    case ERR_IO:
    case ERR_CORRUPT:
    case ERR_CANCELLED:
    case ERR_TIMEOUT:
    case ERR_ENGINE:
    case ERR_INTERNAL:
        break;
    }
    struct kernel_fault fault;
    kernel_last_fault(store->kernel, &fault);
    return report_fault(&fault, result, error);
}

/* Of the OS, page by page: what is not used is never there. Large pages, which spare TLB misses,
 * where readers read at random; not where commits write, as those would wait for milliseconds while
 * the OS fills two megabytes with zeros. */
static enum err take_memory(struct store *store, const struct kernel_options *options,
                            struct errinfo *error)
{
    uint64_t cached = 0, bytes = kernel_memory_bytes(options, &cached);
    if (bytes == 0) {
        return errinfo_set(error, ERR_INVALID, NULL, "the store's options are out of bounds");
    }
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        return errinfo_nomem(error);
    }
    cached = (cached + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
    (void)madvise(memory, cached, MADV_NOHUGEPAGE);
    (void)madvise((uint8_t *)memory + cached, bytes - cached, MADV_HUGEPAGE);
    store->memory = memory;
    store->memory_bytes = bytes;
    return ERR_OK;
}

static void lock(struct store *store)
{
    ASSERT(pthread_mutex_lock(&store->lock) == 0);
}

static void unlock(struct store *store)
{
    ASSERT(pthread_mutex_unlock(&store->lock) == 0);
}

static void *work_on(void *arg);

static enum err start_worker(struct store *store, struct errinfo *error)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    ASSERT(pthread_attr_init(&attributes) == 0);
    ASSERT(pthread_attr_setstacksize(&attributes, WORKER_STACK_BYTES) == 0);
    (void)sigfillset(&all); /* signals are for others */
    ASSERT(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    int code = pthread_create(&store->worker, &attributes, work_on, store);
    ASSERT(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    (void)pthread_attr_destroy(&attributes);
    store->has_worker = code == 0;
    return code == 0 ? ERR_OK
                     : errinfo_set(error, ERR_LIMIT, NULL, "cannot start a thread for the store");
}

static void stop_worker(struct store *store)
{
    if (!store->has_worker) {
        return;
    }
    lock(store);
    store->is_closing = true;
    ASSERT(pthread_cond_signal(&store->owed) == 0);
    unlock(store);
    ASSERT(pthread_join(store->worker, NULL) == 0);
    store->has_worker = false;
}

enum err store_open(const char *path, const struct kernel_options *options,
                    struct store **ret_store, struct errinfo *error)
{
    struct kernel_options given = options == NULL ? (struct kernel_options){0} : *options;
    given.has_hardware_crc = io_has_hardware_crc();
    given.is_work_apart = true;
    if (options == NULL) {
        memset(given.level_codecs + COMPRESSED_FROM_LEVEL, IO_CODEC_LZ4,
               sizeof(given.level_codecs) - COMPRESSED_FROM_LEVEL);
    }
    struct store *store = mem_calloc(1, sizeof(*store));
    if (store == NULL) {
        return errinfo_nomem(error);
    }
    enum err result = io_folder_open(path, &store->folder, error);
    if (result == ERR_OK) {
        result = io_codecs_new(&store->codecs, error);
    }
    if (result == ERR_OK) {
        given.codecs = io_codecs_list(store->codecs);
        given.codec_count = IO_CODECS;
        result = take_memory(store, &given, error);
    }
    if (result == ERR_OK) {
        struct kernel_io io = io_folder_kernel(store->folder);
        struct kernel_fault fault = {0};
        result = kernel_open(&given, &io, store->memory, &store->kernel, &fault);
        result = result == ERR_OK ? ERR_OK : report_fault(&fault, result, error);
    }
    ASSERT(pthread_mutex_init(&store->lock, NULL) == 0);
    ASSERT(pthread_cond_init(&store->idle, NULL) == 0);
    ASSERT(pthread_cond_init(&store->owed, NULL) == 0);
    pthread_condattr_t monotonic;
    ASSERT(pthread_condattr_init(&monotonic) == 0);
    ASSERT(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    ASSERT(pthread_cond_init(&store->progress, &monotonic) == 0);
    (void)pthread_condattr_destroy(&monotonic);
    store->waiters_end = &store->waiters;
    if (result == ERR_OK) {
        result = start_worker(store, error);
    }
    if (result != ERR_OK) {
        store_close(store);
        return result;
    }
    *ret_store = store;
    return ERR_OK;
}

void store_close(struct store *store)
{
    if (store == NULL) {
        return;
    }
    stop_worker(store);
    kernel_close(store->kernel);
    if (store->memory != NULL) {
        (void)munmap(store->memory, store->memory_bytes);
    }
    io_folder_close(store->folder);
    io_codecs_free(store->codecs);
    (void)pthread_cond_destroy(&store->idle);
    (void)pthread_cond_destroy(&store->owed);
    (void)pthread_cond_destroy(&store->progress);
    (void)pthread_mutex_destroy(&store->lock);
    mem_free(store);
}

enum err store_begin(struct store *store, enum kernel_isolation isolation,
                     struct kernel_txn **ret_txn, struct errinfo *error)
{
    lock(store);
    enum err result = kernel_begin(store->kernel, isolation, ret_txn);
    unlock(store);
    if (result == ERR_BUSY) {
        return errinfo_set(error, ERR_BUSY, NULL, "too many transactions are open");
    }
    return store_report(store, result, error);
}

enum err store_begin_at(struct store *store, uint64_t commit, struct kernel_txn **ret_txn,
                        struct errinfo *error)
{
    lock(store);
    enum err result = kernel_begin_at(store->kernel, commit, ret_txn);
    unlock(store);
    if (result == ERR_BUSY) {
        return errinfo_set(error, ERR_BUSY, NULL, "too many transactions are open");
    }
    if (result == ERR_NOT_FOUND) {
        return errinfo_set(error, ERR_NOT_FOUND, NULL,
                           "commit %llu can not be read any more or yet",
                           (unsigned long long)commit);
    }
    return store_report(store, result, error);
}

/* ---- Durability */

static void wake(struct waiter *waiter, enum waiter_state state)
{
    __atomic_store_n(&waiter->state, (uint32_t)state, __ATOMIC_RELEASE);
    /* From here on it may be gone; to wake an address that nobody waits at does nothing. */
    (void)syscall(SYS_futex, &waiter->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static enum waiter_state sleep_until_woken(struct waiter *waiter)
{
    uint32_t state = __atomic_load_n(&waiter->state, __ATOMIC_ACQUIRE);
    while (state == WAITER_WAITS) {
        (void)syscall(SYS_futex, &waiter->state, FUTEX_WAIT_PRIVATE, WAITER_WAITS, NULL, NULL, 0);
        state = __atomic_load_n(&waiter->state, __ATOMIC_ACQUIRE);
    }
    return (enum waiter_state)state;
}

/* Under the lock, when a job has ended: takes the waiters out that are served, and the one who is
 * to sync next, first of all. To be woken when the lock is free. */
static struct waiter *take_served(struct store *store, struct waiter **ret_leader)
{
    struct waiter *served = NULL, **end = &served;
    uint64_t durable = kernel_durable(store->kernel);
    struct waiter **at = &store->waiters;
    while (*at != NULL) {
        struct waiter *waiter = *at;
        if (waiter->commit > durable) {
            at = &waiter->next;
            continue;
        }
        *at = waiter->next;
        *end = waiter;
        end = &waiter->next;
    }
    *end = NULL;
    *ret_leader = NULL;
    if (!store->is_syncing && store->idle_wanted == 0 && store->waiters != NULL) {
        *ret_leader = store->waiters;
        store->waiters = store->waiters->next;
        store->is_syncing = true;
    }
    store->waiters_end = store->waiters == NULL ? &store->waiters : at;
    return served;
}

static void wake_worker(struct store *store)
{
    if (!store->is_working && kernel_work_is_owed(store->kernel)) {
        ASSERT(pthread_cond_signal(&store->owed) == 0);
    }
}

/* Ends a critical section behind which others may go on. */
static void unlock_and_wake(struct store *store)
{
    struct waiter *leader = NULL, *served = take_served(store, &leader);
    if (store->idle_wanted > 0) {
        ASSERT(pthread_cond_broadcast(&store->idle) == 0);
    }
    wake_worker(store);
    unlock(store);
    if (leader != NULL) {
        wake(leader, WAITER_LEADS); /* the disk is to be busy */
    }
    while (served != NULL) {
        struct waiter *next = served->next;
        wake(served, WAITER_IS_DURABLE);
        served = next;
    }
}

/* Under the lock: waits for the end of sync and work jobs that are under way. */
static void wait_idle(struct store *store)
{
    store->idle_wanted++;
    while (store->is_syncing || store->is_working) {
        ASSERT(pthread_cond_wait(&store->idle, &store->lock) == 0);
    }
    store->idle_wanted--;
}

/* One sync, under the lock but for the job itself; `is_syncing` is the caller's. */
static enum err sync_once(struct store *store)
{
    struct kernel_sync_job job;
    ASSERT(store->is_syncing);
    enum err result = kernel_sync_start(store->kernel, &job) ? ERR_OK : ERR_IO;
    if (result == ERR_OK) {
        unlock(store);
        kernel_sync_run(&job);
        lock(store);
        result = kernel_sync_finish(store->kernel, &job);
    }
    store->is_syncing = false;
    return result;
}

/* Entered under the lock, left without it. One thread syncs for all that wait; meanwhile others
 * commit, and the first of those whose commit came too late syncs next. After a failure each finds
 * out by itself, as the kernel has stopped. */
static enum err wait_durable(struct store *store, uint64_t commit)
{
    enum err result = ERR_OK;
    bool is_leader = false;
    while (result == ERR_OK && kernel_durable(store->kernel) < commit) {
        if (is_leader) {
            result = sync_once(store);
            is_leader = false;
            continue;
        }
        is_leader = true;
        if (!store->is_syncing && store->idle_wanted == 0) {
            store->is_syncing = true;
            continue;
        }
        struct waiter waiter = {.commit = commit};
        *store->waiters_end = &waiter;
        store->waiters_end = &waiter.next;
        if (store->idle_wanted > 0) {
            ASSERT(pthread_cond_broadcast(&store->idle) == 0);
        }
        unlock(store);
        if (sleep_until_woken(&waiter) == WAITER_IS_DURABLE) {
            return ERR_OK;
        }
        lock(store);
    }
    store->is_syncing = store->is_syncing && !is_leader;
    unlock_and_wake(store);
    return result;
}

/* ---- Work that commits owe */

/* Under the lock but for the job itself: one piece of upkeep; false if there is none to do now. */
static bool work_once(struct store *store, uint64_t bytes_max)
{
    struct kernel_work_job job;
    if (store->is_working || !kernel_work_start(store->kernel, bytes_max, &job)) {
        return false;
    }
    store->is_working = true;
    unlock(store);
    kernel_work_run(&job);
    lock(store);
    /* A failure stops the kernel, which the next commit tells. */
    enum err ignored = kernel_work_finish(store->kernel, &job);
    (void)ignored;
    store->is_working = false;
    if (store->throttled > 0) {
        ASSERT(pthread_cond_broadcast(&store->progress) == 0);
    }
    return true;
}

/* Does what commits owe, a piece at a time, so that no commit waits for the disk for the sake of
 * upkeep. */
static void *work_on(void *arg)
{
    struct store *store = arg;
    int niceness = nice(WORKER_NICENESS); /* of this thread alone; to be nicer is always granted */
    (void)niceness;
    lock(store);
    while (!store->is_closing) {
        if (store->idle_wanted == 0 && work_once(store, 0)) {
            unlock_and_wake(store);
            lock(store);
        } else {
            ASSERT(pthread_cond_wait(&store->owed, &store->lock) == 0);
        }
    }
    unlock(store);
    return NULL;
}

/* Under the lock: a commit that finds much owed waits until a piece of it is done, or a moment if
 * that takes longer. So commits get as slow as the worker is, little by little, and hardly ever
 * have to wait for all of a merge. */
static void throttle(struct store *store)
{
    if (kernel_work_debt(store->kernel) > DEBT_BYTES_MAX && store->is_working &&
        store->idle_wanted == 0) {
        store->throttled++;
        int64_t until_ns = clock_mono_us() * 1000 + THROTTLE_NS;
        struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
        int code = pthread_cond_timedwait(&store->progress, &store->lock, &until);
        ASSERT(code == 0 || code == ETIMEDOUT);
        store->throttled--;
    }
}

/* Under the lock: what a commit needs that kernel_commit has answered with ERR_LIMIT. */
static void make_way(struct store *store)
{
    bool is_done = !store->is_syncing && work_once(store, URGENT_BYTES);
    if (!is_done && (store->is_syncing || store->is_working)) {
        store->idle_wanted++;
        ASSERT(pthread_cond_wait(&store->idle, &store->lock) == 0);
        store->idle_wanted--;
    } else if (!is_done) { /* readers hold it, for a moment */
        unlock_and_wake(store);
        lock(store);
    }
}

enum err store_commit(struct store *store, struct kernel_txn *txn, bool is_durable,
                      uint64_t *ret_commit, struct errinfo *error)
{
    uint64_t commit = 0;
    bool has_waited = false;
    lock(store);
    enum err result = kernel_commit(txn, &commit);
    while (result == ERR_LIMIT) {
        has_waited = true;
        make_way(store);
        result = kernel_commit(txn, &commit);
    }
    if (result == ERR_OK) {
        throttle(store);
    }
    if (result == ERR_OK && is_durable) {
        result = wait_durable(store, commit);
    } else if (has_waited) {
        unlock_and_wake(store);
    } else {
        wake_worker(store);
        unlock(store);
    }
    if (result == ERR_OK) {
        *ret_commit = commit;
    }
    return store_report(store, result, error);
}

void store_rollback(struct store *store, struct kernel_txn *txn)
{
    lock(store);
    kernel_rollback(txn);
    unlock(store);
}

enum err store_sync(struct store *store, struct errinfo *error)
{
    lock(store);
    return store_report(store, wait_durable(store, kernel_committed(store->kernel)), error);
}

enum err store_settle(struct store *store, struct errinfo *error)
{
    bool is_more = true;
    lock(store);
    wait_idle(store);
    enum err result = kernel_flush(store->kernel);
    while (result == ERR_OK && is_more) {
        result = kernel_work(store->kernel, (uint64_t)1 << 20, &is_more);
        unlock_and_wake(store); /* others have their turn */
        lock(store);
        wait_idle(store);
    }
    unlock_and_wake(store);
    return store_report(store, result, error);
}

enum err store_verify(struct store *store, struct errinfo *error)
{
    lock(store);
    wait_idle(store);
    enum err result = kernel_verify(store->kernel);
    unlock_and_wake(store);
    return store_report(store, result, error);
}

struct backup {
    struct io_folder *from, *to;
    enum err result;
};

static void back_up_file(void *ctx, const char *name)
{
    struct backup *backup = ctx;
    const struct kernel_io io = io_folder_kernel(backup->to);
    if (backup->result != ERR_OK) {
        return;
    }
    if (strncmp(name, "wal-", 4) == 0) { /* it holds nothing, but it must be there */
        kernel_file file = 0;
        backup->result = io.open(io.ctx, name, true, &file);
        if (backup->result == ERR_OK) {
            backup->result = io.sync(io.ctx, file);
            io.close(io.ctx, file);
        }
        return;
    }
    bool is_run = strncmp(name, "run-", 4) == 0 || strncmp(name, "values-", 7) == 0;
    if (!is_run) { /* not before what it names is there to stay */
        backup->result = io.sync_folder(io.ctx);
    }
    if (backup->result == ERR_OK) {
        backup->result = io_folder_copy(backup->from, backup->to, name, is_run);
    }
}

enum err store_backup(struct store *store, const char *path, struct errinfo *error)
{
    struct io_folder *to = NULL;
    TRY(io_folder_open(path, &to, error));
    lock(store);
    wait_idle(store);
    enum err result = kernel_flush(store->kernel);
    if (result == ERR_OK) {
        struct backup backup = {.from = store->folder, .to = to};
        kernel_each_file(store->kernel, back_up_file, &backup);
        const struct kernel_io io = io_folder_kernel(to);
        result = backup.result == ERR_OK ? io.sync_folder(io.ctx) : backup.result;
        if (result != ERR_OK) {
            result = errinfo_set(error, ERR_IO, NULL, "cannot write the backup \"%s\"", path);
        }
    } else {
        result = store_report(store, result, error);
    }
    unlock_and_wake(store);
    io_folder_close(to);
    return result;
}

void store_set_watermark(struct store *store, uint64_t commit)
{
    lock(store);
    kernel_set_watermark(store->kernel, commit);
    unlock(store);
}

void store_get_stats(struct store *store, struct kernel_stats *ret_stats)
{
    lock(store);
    kernel_get_stats(store->kernel, ret_stats);
    unlock(store);
}
