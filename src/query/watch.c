/* What who watches the server is told: samples of what others count, and whether it can serve. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/host/host.h"
#include "query/admission/admission_int.h"
#include "storage/remote.h"

struct metrics *warehouse_metrics(struct warehouse *warehouse)
{
    return warehouse->metrics;
}

/* ---- files ---- */

/* Of the files in a folder and the folders in it. A file that goes meanwhile counts nothing. */
static uint64_t folder_bytes(int parent, const char *name, int depth)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    uint64_t bytes = 0;
    if (folder == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return 0;
    }
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        struct stat status;
        if (entry->d_name[0] == '.' ||
            fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
            continue;
        }
        if (S_ISREG(status.st_mode)) {
            bytes += (uint64_t)status.st_blocks * 512;
        } else if (S_ISDIR(status.st_mode) && depth > 0) {
            bytes += folder_bytes(fd, entry->d_name, depth - 1);
        }
    }
    (void)closedir(folder);
    return bytes;
}

static uint64_t spill_bytes(const struct warehouse *warehouse)
{
    int fd = open(warehouse->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint64_t bytes = fd < 0 ? 0 : folder_bytes(fd, "tmp", 2);
    if (fd >= 0) {
        (void)close(fd);
    }
    return bytes;
}

static uint64_t count_files(void)
{
    DIR *folder = opendir("/proc/self/fd");
    uint64_t count = 0;
    while (folder != NULL && readdir(folder) != NULL) {
        count++;
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    return count > 3 ? count - 3 : 0; /* ".", ".." and the folder itself */
}

static uint64_t resident_bytes(void)
{
    char text[128];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0) {
        (void)close(fd);
    }
    if (len <= 0) {
        return 0;
    }
    text[len] = '\0';
    const char *space = strchr(text, ' ');
    return space == NULL ? 0 : strtoull(space + 1, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* ---- samples ---- */

static void sample_admission(struct warehouse *warehouse)
{
    struct metrics *metrics = warehouse->metrics;
    struct fair_counts now = admission_count(warehouse->admission, SLICE(""));
    struct fair_limits limits = admission_server_limits(warehouse->admission);
    struct admission_counts refused = admission_refused(warehouse->admission);
    metrics_set(metrics, METRIC_QUERIES_ACTIVE, 0, now.queued);
    metrics_set(metrics, METRIC_QUERIES_ACTIVE, 1, now.running);
    metrics_set(metrics, METRIC_ADMISSION_MEMORY, 0, now.memory_bytes);
    metrics_set(metrics, METRIC_ADMISSION_MEMORY_MAX, 0, limits.memory_bytes_max);
    metrics_set(metrics, METRIC_ADMISSION_PLACES_MAX, 0, limits.concurrent_max);
    metrics_set(metrics, METRIC_ADMISSION_REFUSED, 0, refused.refused_queue);
    metrics_set(metrics, METRIC_ADMISSION_REFUSED, 1, refused.refused_wait);
    metrics_set(metrics, METRIC_ADMISSION_REFUSED, 2, refused.refused_rate);
    metrics_set(metrics, METRIC_ADMISSION_REFUSED, 3, refused.refused_memory);
}

static void sample_hosts(struct warehouse *warehouse)
{
    struct metrics *metrics = warehouse->metrics;
    if (warehouse->hosts == NULL) {
        return;
    }
    struct engine_hosts_counts hosts = engine_hosts_count(warehouse->hosts);
    metrics_set(metrics, METRIC_HOSTS, 0, hosts.starting);
    metrics_set(metrics, METRIC_HOSTS, 1, hosts.idle);
    metrics_set(metrics, METRIC_HOSTS, 2, hosts.busy);
    metrics_set(metrics, METRIC_HOSTS, 3, hosts.draining);
    metrics_set(metrics, METRIC_HOSTS_STARTED, 0, hosts.started);
    metrics_set(metrics, METRIC_HOSTS_ENDED, 0, hosts.crashed);
    metrics_set(metrics, METRIC_HOSTS_ENDED, 1, hosts.killed_deadline);
    metrics_set(metrics, METRIC_HOSTS_ENDED, 2, hosts.killed_memory);
    metrics_set(metrics, METRIC_HOSTS_ENDED, 3, hosts.replaced);
}

static void sample_stores(struct warehouse *warehouse)
{
    struct metrics *metrics = warehouse->metrics;
    struct storage_remote *stores = atomic_load(&warehouse->stores);
    struct storage_counts now = {0};
    if (stores != NULL) {
        storage_remote_counts(stores, &now);
    }
    metrics_set(metrics, METRIC_STORE_REQUESTS, 0, now.requests);
    metrics_set(metrics, METRIC_STORE_REPEATS, 0, now.repeats);
    metrics_set(metrics, METRIC_STORE_BYTES, 0, now.bytes_received);
    metrics_set(metrics, METRIC_STORE_BYTES, 1, now.bytes_sent);
    metrics_set(metrics, METRIC_STORE_RENEWALS, 0, now.renewals);
    metrics_set(metrics, METRIC_CACHE_BLOCKS, 0, now.memory_hits);
    metrics_set(metrics, METRIC_CACHE_BLOCKS, 1, now.disk_hits);
    metrics_set(metrics, METRIC_CACHE_BLOCKS, 2, now.misses);
    metrics_set(metrics, METRIC_CACHE_HIT_BYTES, 0, now.hit_bytes);
    metrics_set(metrics, METRIC_CACHE_DAMAGED, 0, now.damaged);
    metrics_set(metrics, METRIC_CACHE_BYTES, 0, now.memory_bytes);
    metrics_set(metrics, METRIC_CACHE_BYTES, 1, now.disk_bytes);
}

void warehouse_sample(struct warehouse *warehouse)
{
    struct metrics *metrics = warehouse->metrics;
    sample_admission(warehouse);
    sample_hosts(warehouse);
    sample_stores(warehouse);
    metrics_set(metrics, METRIC_SESSIONS, 0, atomic_load(&warehouse->session_count));
    metrics_set(metrics, METRIC_ENGINE_MEMORY, 0, engine_memory_bytes(warehouse->engine));
    metrics_set(metrics, METRIC_SPILL, 0, spill_bytes(warehouse));
    metrics_set(metrics, METRIC_AUDIT_WRITABLE, 0, audit_check(warehouse->audit, NULL) == ERR_OK);
    metrics_set(metrics, METRIC_RESIDENT, 0, resident_bytes());
    metrics_set(metrics, METRIC_OPEN_FILES, 0, count_files());
    metrics_set(metrics, METRIC_START_TIME, 0, (uint64_t)(warehouse->started_wall_us / 1000000));
    metrics_set(metrics, METRIC_INFO, 0, 1);
}

enum err warehouse_check(struct warehouse *warehouse, struct errinfo *info)
{
    TRY(audit_check(warehouse->audit, info));
    if (warehouse->hosts != NULL) {
        struct engine_hosts_counts hosts = engine_hosts_count(warehouse->hosts);
        if (hosts.is_failing || hosts.starting + hosts.idle + hosts.busy == 0) {
            return errinfo_set(info, ERR_BUSY, NULL, "no engine host is up");
        }
    }
    return ERR_OK;
}
