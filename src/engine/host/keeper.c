/* The keeper: the one thread that starts hosts, sees them get ready, watches how much they take
 * and how long, and buries them. A host dies with the thread that made it (PR_SET_PDEATHSIG), so
 * no other may. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/host/broker_int.h"

enum {
    POLL_MAX = 2048,
    WATCH_MS = 100,       /* between looks at the memory of hosts that work */
    START_MS_MAX = 30000, /* a host that is not ready by then never will be */
    AGAIN_MS = 10,        /* after starting has failed */
    RETRY_MS = 1000,      /* after it has three times */
};

/* ---- memory ---- */

static uint64_t resident_bytes(pid_t pid)
{
    char path[64];
    char text[128];
    (void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0) {
        (void)close(fd);
    }
    if (len <= 0) {
        return 0;
    }
    text[len] = '\0';
    unsigned long size = 0;
    unsigned long resident = 0;
    unsigned long shared = 0;
    if (sscanf(text, "%lu %lu %lu", &size, &resident, &shared) != 3 || resident < shared) {
        return 0;
    }
    return (uint64_t)(resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* As engine->process_bytes_max, of what its query was granted. */
static uint64_t most_bytes(const struct engine *engine, const struct host *host)
{
    uint64_t granted = host->granted_bytes;
    uint64_t most = granted / 4 * 5 + (UINT64_C(512) << 20);
    return granted != 0 && most < engine->process_bytes_max ? most : engine->process_bytes_max;
}

/* Under the lock. */
static void watch_one(struct engine_hosts *hosts, struct host *host, int64_t now_us)
{
    const struct engine *engine = hosts->engine;
    int64_t age_ms = (now_us - host->since_us) / 1000;
    if (host->kill_at_us != 0 && now_us >= host->kill_at_us) {
        hosts->counts.killed_deadline++;
        pool__kill(host, DEATH_DEADLINE);
        return;
    }
    if (host->state == HOST_STARTING && age_ms > START_MS_MAX) {
        pool__kill(host, DEATH_UNKNOWN);
        return;
    }
    bool is_watched = host->state == HOST_BUSY || (host->state == HOST_IDLE && host->has_person);
    if (!is_watched) {
        return;
    }
    host->resident_bytes = resident_bytes(host->pid);
    if (host->resident_bytes > most_bytes(engine, host)) {
        hosts->counts.killed_memory++;
        pool__kill(host, DEATH_MEMORY);
    } else if (host->state == HOST_IDLE && (age_ms > hosts->options.idle_ms ||
                                            host->resident_bytes > engine->memory_bytes_max / 2)) {
        pool__kill(host, DEATH_WANTED);
    }
}

/* ---- ends and beginnings ---- */

/* Under the lock; the process has ended. */
static void bury(struct engine_hosts *hosts, struct host *host)
{
    spawn__bury(host);
    bool was_starting = host->state == HOST_STARTING;
    if (was_starting || host->death == DEATH_UNKNOWN) {
        hosts->counts.crashed++;
    }
    hosts->counts.replaced += host->death == DEATH_WANTED && !hosts->is_closing;
    if (was_starting) {
        hosts->failures++;
        (void)errinfo_set(&hosts->failure, ERR_UNSUPPORTED, NULL,
                          "engine hosts end before they are ready (status %d)", host->wait_status);
        errinfo_hint(&hosts->failure, "Run \"moat -c 'select 1'\" to see whether the engine "
                                      "works at all; check limits of memory and processes.");
    }
    pool__move(host, HOST_DEAD);
    for (struct host **link = &hosts->list; *link != NULL; link = &(*link)->next) {
        if (*link == host) {
            *link = host->next;
            break;
        }
    }
    pthread_cond_broadcast(&hosts->changed);
}

/* Under the lock. What a host says first: that it is ready, or why it cannot be. */
static void hear_start(struct engine_hosts *hosts, struct host *host)
{
    struct buf body CLEANUP(buf_fini) = {0};
    struct frame frame;
    if (channel_receive(&host->control, 8192, &frame, &body) != ERR_OK) {
        return; /* its end will be seen */
    }
    if (frame.kind == MESSAGE_DONE) {
        struct timeval for_ever = {0, 0};
        (void)setsockopt(host->control.fd, SOL_SOCKET, SO_RCVTIMEO, &for_ever, sizeof(for_ever));
        (void)snprintf(hosts->engine->version, sizeof(hosts->engine->version), "%s",
                       buf_cstr(&body));
        hosts->failures = 0;
        pool__move(host, HOST_IDLE);
    } else {
        struct wire in = wire_of(buf_slice(&body));
        if (wire_errinfo(&in, &hosts->failure) != ERR_OK && !in.is_bad) {
            hosts->failures += 3; /* it will not be different next time */
        }
        pool__kill(host, DEATH_WANTED);
    }
    pthread_cond_broadcast(&hosts->changed);
}

/* Under the lock: how many more hosts should be there without a person. */
static unsigned count_wanted(const struct engine_hosts *hosts)
{
    unsigned unbound = 0;
    unsigned bound = pool__count_bound(hosts);
    unsigned wanted = hosts->options.spare_count;
    for (const struct host *host = hosts->list; host != NULL; host = host->next) {
        unbound += host->state == HOST_STARTING || (host->state == HOST_IDLE && !host->has_person);
    }
    unsigned room = bound < hosts->options.busy_max ? hosts->options.busy_max - bound : 1;
    for (const struct waiter *waiter = hosts->waiters; waiter != NULL && room > 0; room--) {
        wanted++;
        waiter = waiter->next;
    }
    return wanted > unbound ? wanted - unbound : 0;
}

/* Under the lock, which is left while a process is made. False if that failed. */
static bool start_one(struct engine_hosts *hosts)
{
    struct host *host = NULL;
    struct errinfo info;
    errinfo_init(&info);
    pthread_mutex_unlock(&hosts->lock);
    enum err err = spawn__host(hosts, &host, &info);
    if (err == ERR_OK) {
        struct timeval short_time = {1, 0};
        (void)setsockopt(host->control.fd, SOL_SOCKET, SO_RCVTIMEO, &short_time,
                         sizeof(short_time));
    }
    pthread_mutex_lock(&hosts->lock);
    if (err != ERR_OK) {
        hosts->failures++;
        hosts->failure = info;
        pthread_cond_broadcast(&hosts->changed);
        return false;
    }
    hosts->counts.started++;
    host->since_us = clock_mono_us();
    host->next = hosts->list;
    hosts->list = host;
    return true;
}

/* ---- the thread ---- */

struct watch {
    struct pollfd fds[POLL_MAX];
    struct host *hosts[POLL_MAX];
    size_t count;
};

/* Under the lock; only the keeper takes hosts off the list, so they stay while it waits. */
static void collect(struct engine_hosts *hosts, struct watch *watch)
{
    watch->fds[0] = (struct pollfd){.fd = hosts->wake, .events = POLLIN};
    watch->count = 1;
    for (struct host *host = hosts->list; host != NULL; host = host->next) {
        if (watch->count + 2 > POLL_MAX) {
            break;
        }
        watch->hosts[watch->count] = host;
        watch->fds[watch->count++] = (struct pollfd){.fd = host->process, .events = POLLIN};
        if (host->state == HOST_STARTING) {
            watch->hosts[watch->count] = host;
            watch->fds[watch->count++] = (struct pollfd){.fd = host->control.fd, .events = POLLIN};
        }
    }
}

/* Under the lock: milliseconds until something must be looked at again. */
static int next_look_ms(const struct engine_hosts *hosts)
{
    int wait_ms = hosts->failures >= 3 ? RETRY_MS : hosts->failures > 0 ? AGAIN_MS : -1;
    for (const struct host *host = hosts->list; host != NULL; host = host->next) {
        if (host->state == HOST_BUSY) {
            return WATCH_MS;
        }
        if (host->state == HOST_STARTING || host->has_person) {
            wait_ms = RETRY_MS;
        }
    }
    return wait_ms;
}

/* Under the lock. */
static void act(struct engine_hosts *hosts, struct watch *watch)
{
    for (size_t i = 1; i < watch->count; i++) {
        if (watch->fds[i].revents == 0) {
            continue;
        }
        struct host *host = watch->hosts[i];
        bool is_end = watch->fds[i].fd == host->process;
        if (!is_end && host->state == HOST_STARTING) {
            hear_start(hosts, host);
        }
        if (is_end) {
            bool has_more = i + 1 < watch->count && watch->hosts[i + 1] == host;
            if (has_more && watch->fds[i + 1].revents != 0 && host->state == HOST_STARTING) {
                hear_start(hosts, host); /* why, before that */
            }
            bury(hosts, host);
            i += has_more;
            pthread_mutex_unlock(&hosts->lock);
            host__unref(host);
            pthread_mutex_lock(&hosts->lock);
        }
    }
}

static void look_after(struct engine_hosts *hosts)
{
    int64_t now_us = clock_mono_us();
    for (struct host *host = hosts->list; host != NULL; host = host->next) {
        watch_one(hosts, host, now_us);
        if (hosts->is_closing) {
            pool__kill(host, DEATH_WANTED);
        }
    }
}

static void *keep(void *context)
{
    struct engine_hosts *hosts = context;
    struct watch *watch = mem_calloc(1, sizeof(*watch));
    ASSERT(watch != NULL); /* at the start of a server */
    int64_t retry_us = 0;
    pthread_mutex_lock(&hosts->lock);
    while (!hosts->is_closing || hosts->list != NULL) {
        look_after(hosts);
        bool is_failing = hosts->failures >= 3;
        bool may_start = !hosts->is_closing && (!is_failing || clock_mono_us() >= retry_us);
        for (unsigned missing = may_start ? count_wanted(hosts) : 0; missing > 0; missing--) {
            retry_us = clock_mono_us() + RETRY_MS * 1000;
            if (!start_one(hosts)) {
                break;
            }
        }
        collect(hosts, watch);
        int wait_ms = next_look_ms(hosts);
        pthread_mutex_unlock(&hosts->lock);
        (void)poll(watch->fds, watch->count, wait_ms);
        uint64_t wakes;
        (void)!read(hosts->wake, &wakes, sizeof(wakes));
        pthread_mutex_lock(&hosts->lock);
        act(hosts, watch);
    }
    pthread_mutex_unlock(&hosts->lock);
    mem_free(watch);
    return NULL;
}

enum err keeper__start(struct engine_hosts *hosts, struct errinfo *info)
{
    hosts->is_closing = false;
    hosts->failures = 0;
    hosts->counts = (struct engine_hosts_counts){0};
    hosts->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    hosts->has_keeper = hosts->wake >= 0 && pthread_create(&hosts->keeper, NULL, keep, hosts) == 0;
    if (!hosts->has_keeper) {
        return errinfo_set(info, ERR_NOMEM, NULL,
                           "the thread that keeps engine hosts cannot be "
                           "started");
    }
    /* One is waited for, so that what cannot work is known now and not at the first statement. */
    enum err err = ERR_OK;
    pthread_mutex_lock(&hosts->lock);
    for (;;) {
        bool is_ready = false;
        for (const struct host *host = hosts->list; host != NULL; host = host->next) {
            is_ready = is_ready || host->state == HOST_IDLE;
        }
        if (is_ready) {
            break;
        }
        if (hosts->failures >= 3) {
            err = hosts->failure.code;
            if (info != NULL) {
                *info = hosts->failure;
            }
            break;
        }
        pthread_cond_wait(&hosts->changed, &hosts->lock);
    }
    pthread_mutex_unlock(&hosts->lock);
    return err;
}

void keeper__stop(struct engine_hosts *hosts)
{
    if (hosts->has_keeper) {
        pthread_mutex_lock(&hosts->lock);
        hosts->is_closing = true;
        pool__wake(hosts);
        pthread_mutex_unlock(&hosts->lock);
        pthread_join(hosts->keeper, NULL);
        hosts->has_keeper = false;
    }
    pthread_mutex_lock(&hosts->lock);
    while (hosts->live_count > 0) { /* lanes that still answer */
        pthread_cond_wait(&hosts->changed, &hosts->lock);
    }
    pthread_mutex_unlock(&hosts->lock);
    if (hosts->wake >= 0) {
        (void)close(hosts->wake);
        hosts->wake = -1;
    }
}
