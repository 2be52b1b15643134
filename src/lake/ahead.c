/* Work that is begun before anybody waits for it: a few threads over a list of jobs, which start
 * with the first job. What goes wrong there is nobody's concern: whoever needs the thing does it
 * again, and is told. */
#include <pthread.h>

#include "base/mem.h"
#include "base/cancellation.h"
#include "lake/lake_int.h"

struct lake_ahead {
    void *context;
    pthread_mutex_t lock;
    pthread_cond_t has_work;
    atomic_bool is_over;              /* changed under the lock */
    struct cancellation cancellation; /* of the threads: when it is over, or by the opener's */
    const struct cancellation *opener;
    struct lake_ahead_job *first; /* in the order of adding */
    struct lake_ahead_job *last;
    unsigned idle_count;
    unsigned thread_count;
    pthread_t threads[LAKE_AHEAD_MAX];
};

static bool is_cancelled(void *context)
{
    const struct lake_ahead *ahead = context;
    return atomic_load(&ahead->is_over) || cancellation_is_set(ahead->opener);
}

enum err lake__ahead_open(void *context, struct lake_ahead **ret_ahead, struct errinfo *info)
{
    struct lake_ahead *ahead = mem_calloc(1, sizeof(*ahead));
    if (ahead == NULL) {
        return errinfo_nomem(info);
    }
    pthread_mutex_init(&ahead->lock, NULL);
    pthread_cond_init(&ahead->has_work, NULL);
    ahead->context = context;
    ahead->cancellation = (struct cancellation){is_cancelled, ahead};
    ahead->opener = cancellation_here();
    *ret_ahead = ahead;
    return ERR_OK;
}

void lake__ahead_close(struct lake_ahead *ahead)
{
    if (ahead == NULL) {
        return;
    }
    pthread_mutex_lock(&ahead->lock);
    atomic_store(&ahead->is_over, true);
    pthread_cond_broadcast(&ahead->has_work);
    pthread_mutex_unlock(&ahead->lock);
    for (unsigned i = 0; i < ahead->thread_count; i++) {
        (void)pthread_join(ahead->threads[i], NULL);
    }
    for (struct lake_ahead_job *job = ahead->first; job != NULL;) {
        struct lake_ahead_job *next = job->next;
        if (job->drop != NULL) {
            job->drop(ahead->context, job);
        }
        job = next;
    }
    pthread_cond_destroy(&ahead->has_work);
    pthread_mutex_destroy(&ahead->lock);
    mem_free(ahead);
}

/* NULL: it is over. */
static struct lake_ahead_job *next_job(struct lake_ahead *ahead)
{
    pthread_mutex_lock(&ahead->lock);
    while (!ahead->is_over && ahead->first == NULL) {
        ahead->idle_count++;
        pthread_cond_wait(&ahead->has_work, &ahead->lock);
        ahead->idle_count--;
    }
    struct lake_ahead_job *job = ahead->is_over ? NULL : ahead->first;
    if (job != NULL) {
        ahead->first = job->next;
    }
    pthread_mutex_unlock(&ahead->lock);
    return job;
}

static void *work(void *context)
{
    struct lake_ahead *ahead = context;
    struct lake_ahead_job *job;
    (void)cancellation_enter(&ahead->cancellation);
    while ((job = next_job(ahead)) != NULL) {
        job->run(ahead->context, job);
    }
    return NULL;
}

void lake__ahead_add(struct lake_ahead *ahead, struct lake_ahead_job *job)
{
    pthread_mutex_lock(&ahead->lock);
    job->next = NULL;
    if (ahead->first == NULL) {
        ahead->first = job;
    } else {
        ahead->last->next = job;
    }
    ahead->last = job;
    /* A thread that cannot be started is one fewer. */
    if (ahead->idle_count == 0 && ahead->thread_count < LAKE_AHEAD_MAX &&
        pthread_create(&ahead->threads[ahead->thread_count], NULL, work, ahead) == 0) {
        ahead->thread_count++;
    }
    pthread_cond_signal(&ahead->has_work);
    pthread_mutex_unlock(&ahead->lock);
}
