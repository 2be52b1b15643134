/* Threads for calls: as many as there are calls at work, up to a limit; gone after a while without
 * any. And the minder: it ends calls whose time is up, and tells those that are over once more,
 * which may have been between two things when they were told. */

#include "base/clock.h"
#include "wire/grpc/grpc_int.h"

#define IDLE_US INT64_C(10000000)
#define IDLE_KEPT 2
#define STACK_BYTES (16u << 20) /* a deep syntax tree; touched pages only count */
#define MIND_US 50000

/* With the lock held. NULL: the thread is to end. */
static struct grpc_call *next_call(struct grpc_server *server)
{
    while (server->first == NULL) {
        if (server->is_closing) {
            return NULL;
        }
        server->idle_count++;
        bool was_woken = clock_wait(&server->wanted, &server->lock, clock_mono_us() + IDLE_US);
        server->idle_count--;
        if (!was_woken && server->first == NULL && server->thread_count > IDLE_KEPT) {
            return NULL;
        }
    }
    struct grpc_call *call = server->first;
    server->first = call->queue_next;
    server->last = server->first == NULL ? NULL : server->last;
    server->waiting_count--;
    call->minded_next = server->minded;
    call->minded_previous = NULL;
    if (call->minded_next != NULL) {
        call->minded_next->minded_previous = call;
    }
    server->minded = call;
    pthread_cond_signal(&server->tick);
    return call;
}

static void forget(struct grpc_server *server, struct grpc_call *call)
{
    *(call->minded_previous == NULL ? &server->minded : &call->minded_previous->minded_next) =
        call->minded_next;
    if (call->minded_next != NULL) {
        call->minded_next->minded_previous = call->minded_previous;
    }
}

static void *run_thread(void *context)
{
    struct grpc_server *server = context;
    pthread_mutex_lock(&server->lock);
    for (struct grpc_call *call; (call = next_call(server)) != NULL;) {
        pthread_mutex_unlock(&server->lock);
        call->method->fn(call->method->context, call);
        grpc_on_cancel(call, NULL, NULL);
        pthread_mutex_lock(&server->lock);
        forget(server, call);
        server->stranger_count -= call->is_stranger;
        pthread_mutex_unlock(&server->lock);
        grpc__call_run(call);
        pthread_mutex_lock(&server->lock);
    }
    server->thread_count--;
    pthread_cond_broadcast(&server->gone);
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

/* With the lock held. */
static bool start_thread(struct grpc_server *server)
{
    pthread_t thread;
    if (server->thread_count >= server->options.threads_max ||
        pthread_create(&thread, &server->thread_attributes, run_thread, server) != 0) {
        return false;
    }
    server->thread_count++;
    return true;
}

bool grpc__threads_submit(struct grpc_server *server, struct grpc_call *call)
{
    unsigned strangers_max = (server->options.threads_max + 1) / 2;
    pthread_mutex_lock(&server->lock);
    bool may = !call->is_stranger || server->stranger_count < strangers_max;
    bool has_thread = may && (server->idle_count > server->waiting_count || start_thread(server));
    if (has_thread) {
        server->stranger_count += call->is_stranger;
        call->queue_next = NULL;
        *(server->last == NULL ? &server->first : &server->last->queue_next) = call;
        server->last = call;
        server->waiting_count++;
        pthread_cond_signal(&server->wanted);
    }
    pthread_mutex_unlock(&server->lock);
    return has_thread;
}

/* With the lock held: how long nothing is to be done, in microseconds. */
static int64_t mind(struct grpc_server *server)
{
    int64_t now_us = clock_mono_us();
    int64_t wait_us = server->minded == NULL ? IDLE_US : MIND_US;
    for (struct grpc_call *call = server->minded; call != NULL; call = call->minded_next) {
        int64_t left_us = call->deadline_us - now_us;
        if (call->deadline_us != 0 && left_us <= 0) {
            grpc__call_end(call, GRPC_END_DEADLINE);
        } else if (call->deadline_us != 0 && left_us < wait_us) {
            wait_us = left_us;
        }
        bool is_late;
        if (grpc_is_cancelled(call, &is_late)) {
            grpc__call_end(call, GRPC_END_CLIENT);
        }
    }
    return wait_us;
}

static void *run_minder(void *context)
{
    struct grpc_server *server = context;
    pthread_mutex_lock(&server->lock);
    while (!server->is_closing) {
        int64_t wait_us = mind(server);
        (void)clock_wait(&server->tick, &server->lock, clock_mono_us() + wait_us);
    }
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

enum err grpc__threads_open(struct grpc_server *server, struct errinfo *info)
{
    (void)pthread_attr_init(&server->thread_attributes);
    (void)pthread_attr_setstacksize(&server->thread_attributes, STACK_BYTES);
    (void)pthread_attr_setdetachstate(&server->thread_attributes, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&server->minder, NULL, run_minder, server) != 0) {
        return errinfo_set(info, ERR_IO, "53000", "no thread can be started for calls");
    }
    server->has_minder = true;
    return ERR_OK;
}

void grpc__threads_close(struct grpc_server *server)
{
    pthread_mutex_lock(&server->lock);
    server->is_closing = true;
    pthread_cond_broadcast(&server->wanted);
    pthread_cond_broadcast(&server->tick);
    while (server->thread_count > 0) {
        pthread_cond_wait(&server->gone, &server->lock);
    }
    pthread_mutex_unlock(&server->lock);
    if (server->has_minder) {
        (void)pthread_join(server->minder, NULL);
    }
    (void)pthread_attr_destroy(&server->thread_attributes);
}
