/* Hosts by state, and who gets which. One lock; nothing is waited for under it but its condition.
 *
 * A host that has once worked for a person works for nobody else: what it saw, it may still know.
 * So a lease looks for one of the same person, then for one that is nobody's, then ends the one
 * that was idle longest. */
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/host/broker_int.h"

/* Which state may follow which. */
static const bool moves[HOST_STATES][HOST_STATES] = {
    [HOST_STARTING] = {[HOST_IDLE] = true, [HOST_DRAINING] = true, [HOST_DEAD] = true},
    [HOST_IDLE] = {[HOST_BUSY] = true, [HOST_DRAINING] = true, [HOST_DEAD] = true},
    [HOST_BUSY] = {[HOST_IDLE] = true, [HOST_DRAINING] = true, [HOST_DEAD] = true},
    [HOST_DRAINING] = {[HOST_DEAD] = true},
};

void pool__move(struct host *host, enum host_state state)
{
    ASSERT(moves[host->state][state]);
    host->state = state;
    host->since_us = clock_mono_us();
    if (state != HOST_BUSY) {
        host->kill_at_us = 0;
    }
}

void pool__wake(struct engine_hosts *hosts)
{
    uint64_t one = 1;
    (void)!write(hosts->wake, &one, sizeof(one)); /* full is awake too */
}

void pool__kill(struct host *host, enum host_death death)
{
    if (host->state == HOST_DEAD) {
        return;
    }
    if (host->death == DEATH_UNKNOWN) {
        host->death = death;
    }
    (void)pidfd_send_signal(host->process, SIGKILL, NULL, 0);
    if (host->state != HOST_DRAINING) {
        pool__move(host, HOST_DRAINING);
    }
}

static bool is_bound(const struct host *host)
{
    return host->state == HOST_BUSY || (host->state == HOST_IDLE && host->has_person);
}

unsigned pool__count_bound(const struct engine_hosts *hosts)
{
    unsigned count = 0;
    for (const struct host *host = hosts->list; host != NULL; host = host->next) {
        count += is_bound(host);
    }
    return count;
}

/* ---- leases ---- */

/* Idle, of this person (the one used last, which is warmest) or, for NULL, of nobody. */
static struct host *find_idle(struct engine_hosts *hosts, const struct person *person)
{
    struct host *found = NULL;
    for (struct host *host = hosts->list; host != NULL; host = host->next) {
        bool fits = host->state == HOST_IDLE &&
                    (person == NULL ? !host->has_person
                                    : host->has_person && person_equal(&host->person, person));
        if (fits && (found == NULL || host->since_us > found->since_us)) {
            found = host;
        }
    }
    return found;
}

static struct host *find_unused_longest(struct engine_hosts *hosts)
{
    struct host *found = NULL;
    for (struct host *host = hosts->list; host != NULL; host = host->next) {
        if (host->state == HOST_IDLE && host->has_person &&
            (found == NULL || host->since_us < found->since_us)) {
            found = host;
        }
    }
    return found;
}

static struct host *try_lease(struct engine_hosts *hosts, const struct person *person,
                              bool is_first)
{
    struct host *host = find_idle(hosts, person);
    if (host != NULL || !is_first) {
        return host;
    }
    if (pool__count_bound(hosts) >= hosts->options.busy_max) {
        struct host *other = find_unused_longest(hosts);
        if (other == NULL) {
            return NULL;
        }
        pool__kill(other, DEATH_WANTED);
    }
    return find_idle(hosts, NULL);
}

static void leave_queue(struct engine_hosts *hosts, const struct waiter *waiter)
{
    for (struct waiter **link = &hosts->waiters; *link != NULL; link = &(*link)->next) {
        if (*link == waiter) {
            *link = waiter->next;
            break;
        }
    }
    pthread_cond_broadcast(&hosts->changed); /* another is first now */
}

static enum err refuse(const struct engine_hosts *hosts, struct errinfo *info)
{
    enum err err = errinfo_set(info, ERR_BUSY, "53300", "all %u engine hosts are busy",
                               hosts->options.busy_max);
    errinfo_hint(info, "Try again later; the administrator can raise engine.hosts.");
    return err;
}

static enum err cannot_start(const struct engine_hosts *hosts, struct errinfo *info)
{
    if (info != NULL) {
        *info = hosts->failure;
    }
    return hosts->failure.code;
}

/* Under the lock. */
static enum err wait_for_host(struct engine_hosts *hosts, struct waiter *self, bool is_nested,
                              struct host **ret_host, struct errinfo *info)
{
    int64_t until_us = clock_mono_us() + (int64_t)hosts->options.wait_ms * 1000;
    for (;;) {
        bool is_first = hosts->waiters == self || is_nested;
        struct host *host = try_lease(hosts, self->person, is_first);
        if (host == NULL && is_nested) {
            host = find_idle(hosts, NULL);
        }
        if (host != NULL) {
            *ret_host = host;
            return ERR_OK;
        }
        if (hosts->failures >= 3) {
            return cannot_start(hosts, info);
        }
        pool__wake(hosts);
        if (!clock_wait(&hosts->changed, &hosts->lock, until_us)) {
            return refuse(hosts, info);
        }
    }
}

enum err pool__lease(struct engine_hosts *hosts, const struct person *person, bool is_nested,
                     struct host **ret_host, struct errinfo *info)
{
    struct waiter self = {.person = person};
    struct host *host = NULL;
    pthread_mutex_lock(&hosts->lock);
    struct waiter **link = &hosts->waiters;
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = &self;
    enum err err = wait_for_host(hosts, &self, is_nested, &host, info);
    leave_queue(hosts, &self);
    if (err == ERR_OK) {
        if (!host->has_person) {
            host->has_person = true;
            host->person = *person;
            pool__wake(hosts); /* one spare less */
        }
        pool__move(host, HOST_BUSY);
        host->statements++;
        host__ref(host);
        *ret_host = host;
    }
    pthread_mutex_unlock(&hosts->lock);
    return err;
}

void pool__release(struct host *host, bool is_broken)
{
    struct engine_hosts *hosts = host->hosts;
    pthread_mutex_lock(&hosts->lock);
    if (is_broken) {
        pool__kill(host, DEATH_PROTOCOL);
    } else if (host->state == HOST_BUSY) {
        if (host->statements >= hosts->options.statements_max) {
            pool__kill(host, DEATH_WANTED);
        } else {
            pool__move(host, HOST_IDLE);
        }
    }
    pthread_cond_broadcast(&hosts->changed);
    pthread_mutex_unlock(&hosts->lock);
    host__unref(host);
}

/* ---- deadlines and ends ---- */

void pool__expect_end(struct host *host)
{
    struct engine_hosts *hosts = host->hosts;
    pthread_mutex_lock(&hosts->lock);
    if (host->state == HOST_BUSY && host->kill_at_us == 0) {
        host->kill_at_us = clock_mono_us() + (int64_t)hosts->options.cancel_ms * 1000;
        pool__wake(hosts);
    }
    pthread_mutex_unlock(&hosts->lock);
}

void pool__answered(struct host *host)
{
    pthread_mutex_lock(&host->hosts->lock);
    host->kill_at_us = 0;
    pthread_mutex_unlock(&host->hosts->lock);
}

static enum err report_death(const struct host *host, struct errinfo *info)
{
    enum err err = ERR_INTERNAL;
    switch (host->death) {
    case DEATH_MEMORY:
        err = errinfo_set(info, ERR_NOMEM, "53200",
                          "the statement needed more memory than its engine host may have");
        errinfo_hint(info, "Select fewer rows or columns at once; the administrator can raise "
                           "engine.host_memory.");
        return err;
    case DEATH_DEADLINE:
        return errinfo_set(info, ERR_CANCELLED, NULL,
                           "the query was cancelled, and its engine host with it");
    case DEATH_PROTOCOL:
        err = errinfo_set(info, ERR_INTERNAL, NULL,
                          "the engine host ended (what it said made no sense); the statement was "
                          "not finished");
        break;
    case DEATH_UNKNOWN:
    case DEATH_WANTED:
        if (WIFSIGNALED(host->wait_status)) {
            err = errinfo_set(info, ERR_INTERNAL, NULL,
                              "the engine host ended (signal %d); the statement was not finished",
                              WTERMSIG(host->wait_status));
        } else {
            err = errinfo_set(info, ERR_INTERNAL, NULL,
                              "the engine host ended (exit code %d); the statement was not "
                              "finished",
                              WEXITSTATUS(host->wait_status));
        }
        break;
    }
    errinfo_hint(info, "Other sessions are not affected. Run the statement again; if it ends so "
                       "again, write it differently and report it.");
    return err;
}

enum err pool__report_end(struct host *host, struct errinfo *info)
{
    struct engine_hosts *hosts = host->hosts;
    pthread_mutex_lock(&hosts->lock);
    /* Its sockets are closed: dead or not worth waiting for. A dead one keeps its own reason. */
    if (host->state != HOST_DEAD) {
        (void)pidfd_send_signal(host->process, SIGKILL, NULL, 0);
    }
    while (host->state != HOST_DEAD) {
        pthread_cond_wait(&hosts->changed, &hosts->lock);
    }
    enum err err = report_death(host, info);
    pthread_mutex_unlock(&hosts->lock);
    return err;
}

/* ---- life ---- */

void host__ref(struct host *host)
{
    host->refs++;
}

void host__unref(struct host *host)
{
    if (--host->refs > 0) {
        return;
    }
    struct engine_hosts *hosts = host->hosts;
    ASSERT(host->attachment_count == 0);
    spawn__free(host);
    pthread_mutex_lock(&hosts->lock);
    hosts->live_count--;
    pthread_cond_broadcast(&hosts->changed);
    pthread_mutex_unlock(&hosts->lock);
}

struct engine_hosts_counts engine_hosts_count(struct engine_hosts *hosts)
{
    pthread_mutex_lock(&hosts->lock);
    struct engine_hosts_counts counts = hosts->counts;
    counts.is_failing = hosts->failures >= 3;
    for (const struct host *host = hosts->list; host != NULL; host = host->next) {
        counts.starting += host->state == HOST_STARTING;
        counts.idle += host->state == HOST_IDLE;
        counts.busy += host->state == HOST_BUSY;
        counts.draining += host->state == HOST_DRAINING;
        counts.resident_bytes += host->resident_bytes;
    }
    pthread_mutex_unlock(&hosts->lock);
    return counts;
}

enum err engine_hosts_open(const struct engine_hosts_options *options,
                           struct engine_hosts **ret_hosts, struct errinfo *info)
{
    struct engine_hosts *hosts = mem_calloc(1, sizeof(*hosts));
    char *program = mem_strdup(options->program == NULL ? "/proc/self/exe" : options->program);
    if (hosts == NULL || program == NULL) {
        mem_free(hosts);
        mem_free(program);
        return errinfo_nomem(info);
    }
    hosts->ops = &broker__ops;
    hosts->options = *options;
    hosts->program = program;
    hosts->options.program = program;
    struct engine_hosts_options *o = &hosts->options;
    o->busy_max = o->busy_max == 0 ? 20 : o->busy_max;
    o->spare_count = o->spare_count == 0 ? 1 : o->spare_count;
    o->cancel_ms = o->cancel_ms == 0 ? 5000 : o->cancel_ms;
    o->wait_ms = o->wait_ms == 0 ? 30000 : o->wait_ms;
    o->idle_ms = o->idle_ms == 0 ? 60000 : o->idle_ms;
    o->statements_max = o->statements_max == 0 ? 10000 : o->statements_max;
    pthread_mutex_init(&hosts->lock, NULL);
    pthread_cond_init(&hosts->changed, NULL);
    hosts->wake = -1;
    *ret_hosts = hosts;
    return ERR_OK;
}

void engine_hosts_close(struct engine_hosts *hosts)
{
    if (hosts == NULL) {
        return;
    }
    ASSERT(hosts->engine == NULL);
    pthread_cond_destroy(&hosts->changed);
    pthread_mutex_destroy(&hosts->lock);
    mem_free(hosts->program);
    mem_free(hosts);
}
