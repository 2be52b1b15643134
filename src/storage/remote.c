/* The process's part: settings, counters, the cache. */
#include "storage/remote.h"

#include "base/clock.h"
#include "base/mem.h"
#include "storage/cache_int.h"
#include "storage/s3_int.h"

#define CONNECT_MS 5000
#define TIMEOUT_MS 30000
#define PATIENCE_MS 60000
#define CONNECTIONS_MAX 8u
#define BLOCK_BYTES (256u * 1024)
#define BLOCK_BYTES_MIN 4096u

static bool copy_text(struct slice *text)
{
    const char *copy = mem_slicedup(*text);
    *text = (struct slice){copy, copy == NULL ? 0 : text->len};
    return copy != NULL;
}

static int64_t or_default(int64_t value, int64_t otherwise)
{
    return value > 0 ? value : otherwise;
}

enum err storage_remote_open(const struct storage_remote_options *options,
                             struct storage_remote **ret_remote, struct errinfo *info)
{
    struct storage_remote *remote CLEANUP(storage_remote_cleanup) = mem_calloc(1, sizeof(*remote));
    if (remote == NULL) {
        return errinfo_nomem(info);
    }
    struct storage_remote_options *own = &remote->options;
    *own = *options;
    own->connect_ms = or_default(options->connect_ms, CONNECT_MS);
    own->timeout_ms = or_default(options->timeout_ms, TIMEOUT_MS);
    own->patience_ms = or_default(options->patience_ms, PATIENCE_MS);
    own->connections_max =
        options->connections_max > 0 ? options->connections_max : CONNECTIONS_MAX;
    own->cache_block_bytes =
        options->cache_block_bytes > 0 ? options->cache_block_bytes : BLOCK_BYTES;
    own->cache_block_bytes =
        own->cache_block_bytes > BLOCK_BYTES_MIN ? own->cache_block_bytes : BLOCK_BYTES_MIN;
    bool is_copied = copy_text(&own->ca_file);
    is_copied = copy_text(&own->proxy) && is_copied;
    is_copied = copy_text(&own->cache_folder) && is_copied;
    if (!is_copied) {
        return errinfo_nomem(info);
    }
    remote->wall_us = clock_wall_us;
    if (own->cache_memory_bytes > 0) {
        struct storage_cache_options cache = {.memory_bytes = own->cache_memory_bytes,
                                              .disk_bytes = own->cache_disk_bytes,
                                              .folder = own->cache_folder,
                                              .block_bytes = own->cache_block_bytes};
        TRY(storage__cache_open(&cache, &remote->cache, info));
    }
    *ret_remote = TAKE(remote);
    return ERR_OK;
}

void storage_remote_close(struct storage_remote *remote)
{
    if (remote == NULL) {
        return;
    }
    storage__cache_close(remote->cache);
    mem_free((void *)(uintptr_t)remote->options.ca_file.ptr);
    mem_free((void *)(uintptr_t)remote->options.proxy.ptr);
    mem_free((void *)(uintptr_t)remote->options.cache_folder.ptr);
    mem_free(remote);
}

void storage_remote_counts(struct storage_remote *remote, struct storage_counts *ret_counts)
{
    struct storage_counts counts = {
        .requests = atomic_load(&remote->requests),
        .repeats = atomic_load(&remote->repeats),
        .bytes_received = atomic_load(&remote->bytes_received),
        .bytes_sent = atomic_load(&remote->bytes_sent),
        .renewals = atomic_load(&remote->renewals),
    };
    if (remote->cache != NULL) {
        storage__cache_count(remote->cache, &counts);
    }
    *ret_counts = counts;
}

enum err storage_remote_pool(struct storage_remote *remote, struct fetch_pool **ret_pool,
                             struct errinfo *info)
{
    struct fetch_options options = {
        .peer = SLICE("the storage"),
        .ca_file = remote->options.ca_file,
        .proxy = remote->options.proxy,
        .plain = remote->options.allow_plain_http ? FETCH_PLAIN_ANYWHERE : FETCH_PLAIN_LOOPBACK,
        .connections_max = remote->options.connections_max,
    };
    return fetch_pool_new(&options, ret_pool, info);
}
