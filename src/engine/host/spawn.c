/* One host: this program executed with a socket as its only descriptor and no environment.
 *
 * posix_spawn, which neither copies the broker's memory nor runs code of ours between; what the
 * child then needs comes over the socket. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/host/broker_int.h"

#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                               \
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define KEEPS_STDERR true /* or nobody would see what a sanitizer has found */
#else
#define KEEPS_STDERR false
#endif

/* The ends that a host gets, beside its control channel. */
struct ends {
    int fds[3 + HOST_LANES_MAX]; /* query, urgent, memory, lanes */
    size_t count;
    int control;
};

static void close_ends(struct ends *ends)
{
    for (size_t i = 0; i < ends->count; i++) {
        (void)close(ends->fds[i]);
    }
    if (ends->control >= 0) {
        (void)close(ends->control);
    }
}

/* Ours, or -1; theirs is added to the ends. */
static int add_pair(struct ends *ends)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return -1;
    }
    ends->fds[ends->count++] = pair[1];
    return pair[0];
}

static bool make_memory(struct host *host, struct ends *ends)
{
    size_t bytes = host_memory_bytes(host->lane_count);
    int fd = memfd_create("moat-host", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        return false;
    }
    ends->fds[ends->count++] = fd;
    /* Its size is fixed: a host that cut it would make the broker's next look at it a SIGBUS. */
    if (ftruncate(fd, (off_t)bytes) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        return false;
    }
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        return false;
    }
    host->memory = memory;
    ((struct host_shared *)memory)->progress_millipercent = UINT64_MAX;
    return true;
}

static bool make_channels(struct host *host, struct ends *ends, int lanes[HOST_LANES_MAX])
{
    channel_init(&host->query, add_pair(ends), false);
    channel_init(&host->urgent, add_pair(ends), false);
    if (host->query.fd < 0 || host->urgent.fd < 0 || !make_memory(host, ends)) {
        return false;
    }
    for (unsigned i = 0; i < host->lane_count; i++) {
        lanes[i] = add_pair(ends);
        if (lanes[i] < 0) {
            return false;
        }
    }
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return false;
    }
    channel_init(&host->control, pair[0], false);
    /* Out of the way of the descriptors that are opened in the child before it is moved there. */
    ends->control = fcntl(pair[1], F_DUPFD_CLOEXEC, HOST_FD + 1);
    (void)close(pair[1]);
    return ends->control >= 0;
}

static int add_actions(posix_spawn_file_actions_t *actions, int control)
{
    int failed = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    failed |= posix_spawn_file_actions_addopen(actions, 1, "/dev/null", O_WRONLY, 0);
    if (!KEEPS_STDERR) {
        failed |= posix_spawn_file_actions_adddup2(actions, 1, 2);
    }
    failed |= posix_spawn_file_actions_adddup2(actions, control, HOST_FD);
    failed |= posix_spawn_file_actions_addclosefrom_np(actions, HOST_FD + 1);
    return failed;
}

/* 0, or an errno. */
static int execute(struct host *host, int control)
{
    char name[] = "moat";
    char argument[] = HOST_ARGUMENT;
    char *const arguments[] = {name, argument, NULL};
    char *const environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigset_t all;
    (void)sigemptyset(&none);
    (void)sigfillset(&all);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &all);
    (void)posix_spawnattr_setpgroup(&attributes, 0);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                    POSIX_SPAWN_SETPGROUP);
    int failed = add_actions(&actions, control);
    if (failed == 0) {
        failed = posix_spawn(&host->pid, host->hosts->program, &actions, &attributes, arguments,
                             environment);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    return failed;
}

static bool send_hello(struct host *host, const struct ends *ends)
{
    const struct engine_hosts *hosts = host->hosts;
    const struct engine *engine = hosts->engine;
    bool is_root = geteuid() == 0;
    struct host_hello hello = {
        .lane_count = host->lane_count,
        .thread_count = engine->thread_count,
        .memory_bytes_max = engine->memory_bytes_max,
        .process_bytes_max = engine->process_bytes_max,
        .temp_bytes_max = engine->temp_folder == NULL ? 0 : engine->temp_bytes_max,
        .user_id =
            is_root && hosts->options.user_id >= 0 ? (uint32_t)hosts->options.user_id : UINT32_MAX,
        .niceness = hosts->options.niceness,
        .is_confined = !hosts->options.may_be_unconfined,
        .is_slotless = hosts->options.is_slotless,
    };
    struct buf body CLEANUP(buf_fini) = {0};
    host_put_hello(&body, &hello);
    return !buf_failed(&body) && channel_send_fds(&host->control, MESSAGE_HELLO, buf_slice(&body),
                                                  ends->fds, ends->count) == ERR_OK;
}

static enum err fail(struct host *host, int error, struct errinfo *info)
{
    char text[128];
    enum err err = errinfo_set(info, ERR_UNSUPPORTED, NULL, "an engine host cannot be started");
    errinfo_detail(info, "\"%s\": %s", host->hosts->program, strerror_r(error, text, sizeof(text)));
    errinfo_hint(info, "Check limits of processes, open files and memory (ulimit -a).");
    return err;
}

/* The process is there: its lanes, and what tells of its end. */
static bool adopt(struct host *host, const struct ends *ends, int lanes[HOST_LANES_MAX])
{
    host->process = pidfd_open(host->pid, 0);
    if (host->process < 0) {
        return false;
    }
    for (unsigned i = 0; i < host->lane_count; i++) {
        if (!lane__start(host, i, lanes[i])) {
            return false;
        }
        lanes[i] = -1; /* the lane's own */
    }
    return send_hello(host, ends);
}

enum err spawn__host(struct engine_hosts *hosts, struct host **ret_host, struct errinfo *info)
{
    struct ends ends = {.control = -1};
    int lanes[HOST_LANES_MAX];
    memset(lanes, 0xFF, sizeof(lanes));
    struct host *host = mem_calloc(1, sizeof(*host));
    if (host == NULL) {
        return errinfo_nomem(info);
    }
    host->hosts = hosts;
    host->refs = 1;
    host->process = host->control.fd = host->query.fd = host->urgent.fd = host->spill_folder = -1;
    host->lane_count = hosts->engine->thread_count + 2;
    host->lane_count = host->lane_count > HOST_LANES_MAX ? HOST_LANES_MAX : host->lane_count;
    pthread_mutex_init(&host->urgent_lock, NULL);
    pthread_mutex_init(&host->attach_lock, NULL);
    pthread_mutex_init(&host->spill_lock, NULL);
    pthread_mutex_lock(&hosts->lock);
    hosts->live_count++;
    pthread_mutex_unlock(&hosts->lock);
    int error = make_channels(host, &ends, lanes) ? 0 : errno;
    error = error != 0 ? error : execute(host, ends.control);
    if (error == 0 && !adopt(host, &ends, lanes)) {
        error = errno;
        (void)kill(host->pid, SIGKILL);
        spawn__bury(host);
    }
    close_ends(&ends);
    if (error != 0) {
        for (unsigned i = 0; i < host->lane_count; i++) {
            if (lanes[i] >= 0) {
                (void)close(lanes[i]);
            }
        }
        enum err err = fail(host, error, info);
        host__unref(host);
        return err;
    }
    *ret_host = host;
    return ERR_OK;
}

void spawn__bury(struct host *host)
{
    int status = 0;
    while (waitpid(host->pid, &status, 0) < 0 && errno == EINTR) {
    }
    host->wait_status = status;
}

/* ---- after the last user ---- */

static void remove_folder(struct host *host)
{
    int listing = dup(host->spill_folder);
    DIR *folder = listing < 0 ? NULL : fdopendir(listing);
    const struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        if (host_name_is_valid(slice_of(entry->d_name))) {
            (void)unlinkat(host->spill_folder, entry->d_name, 0);
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    (void)close(host->spill_folder);
    struct buf path CLEANUP(buf_fini) = {0};
    buf_printf(&path, "%s/%s", host->spill_parent, host->spill_name);
    (void)rmdir(buf_cstr(&path));
}

void spawn__free(struct host *host)
{
    if (host->spill_folder >= 0) {
        remove_folder(host);
    }
    channel_fini(&host->control);
    channel_fini(&host->query);
    channel_fini(&host->urgent);
    if (host->process >= 0) {
        (void)close(host->process);
    }
    if (host->memory != NULL) {
        (void)munmap(host->memory, host_memory_bytes(host->lane_count));
    }
    pthread_mutex_destroy(&host->urgent_lock);
    pthread_mutex_destroy(&host->attach_lock);
    pthread_mutex_destroy(&host->spill_lock);
    mem_free(host->spill_parent);
    mem_free(host->attachments);
    mem_free(host);
}
