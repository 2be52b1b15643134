/* Worker threads: as many as there is work for, up to a limit; gone after a while without any.
 *
 * A fixed number would do for queries, which admission limits, but a worker is also held by each
 * client that is slow to take its rows, and those must not keep others from running. */
#include <sched.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "wire/loop/loop_int.h"

#define IDLE_US INT64_C(10000000)
#define IDLE_KEPT 2             /* threads that stay */
#define IN_KEPT_BYTES 4096      /* between the messages of a busy client */
#define STACK_BYTES (16u << 20) /* a deep syntax tree; touched pages only count */

/* With the connection's lock held: moves what came meanwhile behind what is left of `work`. */
static bool take_input(struct connection *connection, struct buf *work)
{
    if (connection->in.len == 0) {
        return false;
    }
    if (work->len == 0) {
        struct buf empty = *work;
        *work = connection->in;
        connection->in = empty;
    } else {
        buf_append_slice(work, buf_slice(&connection->in));
        buf_fini(&connection->in);
    }
    return true;
}

/* With the lock held: no more to do for now. What is left waits for the rest of its message. */
static void put_back(struct connection *connection, struct buf *work)
{
    ASSERT(connection->in.len == 0);
    buf_fini(&connection->in); /* nobody knows when more comes */
    connection->in_need = 1;
    if (work->len > 0) {
        const struct loop_protocol *protocol = connection->listener->options.protocol;
        connection->in = *work;
        *work = (struct buf){0};
        size_t need = protocol->need(connection->state, buf_slice(&connection->in));
        connection->in_need = need > connection->in.len ? need : connection->in.len + 1;
    }
    connection->job = JOB_NONE;
    connection->idle_since_us = clock_mono_us();
    bool was_adopted = connection->is_adopted;
    connection->is_adopted = false;
    if (was_adopted || connection->is_paused || connection->is_finishing || connection->is_dead ||
        atomic_load(&connection->loop->is_stopping)) {
        connection__call_loop(connection);
    }
}

static void account(struct connection *connection, size_t consumed)
{
    atomic_fetch_sub(&connection->loop->input_bytes, consumed);
}

/* With the lock held: there is nothing to do, but there may be soon. */
static bool may_wait(struct connection *connection, const struct buf *work)
{
    return connection->is_hot && connection->is_ready && work->len == 0 &&
           connection->in.len == 0 && !connection->is_paused &&
           !atomic_load(&connection->loop->is_stopping) &&
           workers__are_free(&connection->loop->workers);
}

static void run_work(struct connection *connection)
{
    const struct loop_protocol *protocol = connection->listener->options.protocol;
    struct buf work CLEANUP(buf_fini) = {0};
    char scratch[READ_BYTES];
    bool is_stuck = false;
    for (;;) {
        pthread_mutex_lock(&connection->lock);
        enum loop_farewell why = connection->farewell;
        bool is_over = connection->is_dead || connection->is_finishing;
        bool has_more = take_input(connection, &work);
        if (!is_over && why == FAREWELL_NONE && is_stuck && !has_more &&
            may_wait(connection, &work)) {
            connection__wait(connection, scratch); /* cold after it if nothing came */
            pthread_mutex_unlock(&connection->lock);
            continue;
        }
        if (is_over || buf_failed(&work) || (why == FAREWELL_NONE && is_stuck && !has_more)) {
            if (is_over || buf_failed(&work)) {
                account(connection, work.len);
                buf_fini(&work);
                connection->is_finishing = true;
            }
            put_back(connection, &work);
            pthread_mutex_unlock(&connection->lock);
            return;
        }
        pthread_mutex_unlock(&connection->lock);
        if (why != FAREWELL_NONE) {
            protocol->farewell(connection->state, why);
            connection_finish(connection);
            continue;
        }
        size_t consumed = protocol->work(connection->state, buf_slice(&work));
        ASSERT(consumed <= work.len);
        account(connection, consumed);
        is_stuck = consumed == 0 || consumed == work.len;
        if (consumed == work.len && work.capacity > IN_KEPT_BYTES) {
            buf_fini(&work);
        } else if (consumed == work.len) {
            buf_reset(&work);
        } else if (consumed > 0) {
            memmove(work.ptr, work.ptr + consumed, work.len - consumed);
            work.len -= consumed;
        }
    }
}

static void run_close(struct connection *connection)
{
    connection->listener->options.protocol->close(connection->state);
    pthread_mutex_lock(&connection->lock);
    connection->state = NULL;
    connection->job = JOB_NONE;
    connection__call_loop(connection);
    pthread_mutex_unlock(&connection->lock);
}

/* With the lock held. NULL: end this thread. */
static struct connection *next_job(struct workers *workers)
{
    while (workers->first == NULL) {
        if (workers->is_ending) {
            return NULL;
        }
        workers->idle_count++;
        bool was_woken = clock_wait(&workers->changed, &workers->lock, clock_mono_us() + IDLE_US);
        workers->idle_count--;
        if (!was_woken && workers->first == NULL && workers->idle_count >= IDLE_KEPT) {
            return NULL;
        }
    }
    struct connection *connection = workers->first;
    workers->first = connection->job_next;
    connection->job_next = NULL;
    if (workers->first == NULL) {
        workers->last = NULL;
    }
    return connection;
}

/* A client that wakes a worker has more to send, or other answers to read: it is left to that, and
 * the worker runs next (docs/decisions/013). A kernel that does not allow it changes nothing. */
static void let_others_go_on(void)
{
    struct sched_param parameters = {0};
    (void)sched_setscheduler(0, SCHED_BATCH, &parameters);
}

static void *worker_main(void *context)
{
    struct workers *workers = context;
    let_others_go_on();
    pthread_mutex_lock(&workers->lock);
    for (struct connection *connection; (connection = next_job(workers)) != NULL;) {
        pthread_mutex_unlock(&workers->lock);
        if (connection->job == JOB_WORK) { /* written before it was queued */
            run_work(connection);
        } else {
            run_close(connection);
        }
        pthread_mutex_lock(&workers->lock);
    }
    workers->count--;
    pthread_cond_broadcast(&workers->gone);
    pthread_mutex_unlock(&workers->lock);
    return NULL;
}

/* With the lock held. */
static bool start_thread(struct workers *workers)
{
    pthread_t thread;
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) {
        return false;
    }
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    bool is_started = pthread_create(&thread, &attributes, worker_main, workers) == 0;
    (void)pthread_attr_destroy(&attributes);
    workers->count += is_started;
    return is_started;
}

enum err workers__open(struct workers *workers, unsigned count_max, struct errinfo *info)
{
    pthread_mutex_init(&workers->lock, NULL);
    pthread_cond_init(&workers->changed, NULL);
    pthread_cond_init(&workers->gone, NULL);
    workers->count_max = count_max == 0 ? 1 : count_max;
    pthread_mutex_lock(&workers->lock);
    bool is_started = start_thread(workers);
    pthread_mutex_unlock(&workers->lock);
    return is_started ? ERR_OK
                      : errinfo_set(info, ERR_NOMEM, NULL, "no worker thread can be started");
}

void workers__close(struct workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    workers->is_ending = true;
    pthread_cond_broadcast(&workers->changed);
    while (workers->count > 0) {
        pthread_cond_wait(&workers->gone, &workers->lock);
    }
    pthread_mutex_unlock(&workers->lock);
    pthread_cond_destroy(&workers->gone);
    pthread_cond_destroy(&workers->changed);
    pthread_mutex_destroy(&workers->lock);
}

bool workers__are_free(struct workers *workers)
{
    pthread_mutex_lock(&workers->lock);
    bool are_free = workers->first == NULL && !workers->is_ending;
    pthread_mutex_unlock(&workers->lock);
    return are_free;
}

void workers__submit(struct workers *workers, struct connection *connection)
{
    pthread_mutex_lock(&workers->lock);
    ASSERT(connection->job_next == NULL && workers->last != connection);
    if (workers->last == NULL) {
        workers->first = connection;
    } else {
        workers->last->job_next = connection;
    }
    workers->last = connection;
    size_t waiting = 0;
    for (struct connection *job = workers->first; job != NULL && waiting <= workers->idle_count;
         job = job->job_next) {
        waiting++;
    }
    if (waiting > workers->idle_count && workers->count < workers->count_max &&
        !start_thread(workers)) {
        log_warn("loop", "no further worker thread can be started, %u run", workers->count);
    }
    pthread_cond_signal(&workers->changed);
    pthread_mutex_unlock(&workers->lock);
}
