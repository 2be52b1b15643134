/* The cache of manifests: entries by key, the least recently used dropped first. An entry in use is
 * taken off the list at once and freed when its last user lets it go. One lock: it is held for a
 * lookup, never while anything is read or packed. */
#include <pthread.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"
#include "iceberg/scan_int.h"

#define BUCKET_COUNT 4096

struct scan__cached {
    struct scan__cached *next; /* of its bucket */
    struct scan__cached *newer;
    struct scan__cached *older;
    uint64_t hash;
    char *key;
    size_t key_len;
    struct scan__pack *pack;
    struct buf bytes;
    size_t size_bytes;
    size_t user_count; /* and one more while it is listed */
};

struct iceberg_manifest_cache {
    pthread_mutex_t lock;
    uint64_t bytes_max;
    uint64_t bytes;
    struct scan__cached *newest;
    struct scan__cached *oldest;
    struct scan__cached *buckets[BUCKET_COUNT];
};

enum err iceberg_manifest_cache_open(uint64_t bytes_max, struct iceberg_manifest_cache **ret_cache,
                                     struct errinfo *info)
{
    struct iceberg_manifest_cache *cache = mem_calloc(1, sizeof(*cache));
    if (cache == NULL || pthread_mutex_init(&cache->lock, NULL) != 0) {
        mem_free(cache);
        return errinfo_nomem(info);
    }
    cache->bytes_max = bytes_max;
    *ret_cache = cache;
    return ERR_OK;
}

static void free_cached(struct scan__cached *cached)
{
    scan__pack_free(cached->pack);
    buf_fini(&cached->bytes);
    mem_free(cached->key);
    mem_free(cached);
}

static void drop_user(struct scan__cached *cached)
{
    cached->user_count--;
    if (cached->user_count == 0) {
        free_cached(cached);
    }
}

static void list_newest(struct iceberg_manifest_cache *cache, struct scan__cached *cached)
{
    cached->newer = NULL;
    cached->older = cache->newest;
    if (cache->newest != NULL) {
        cache->newest->newer = cached;
    }
    cache->newest = cached;
    cache->oldest = cache->oldest == NULL ? cached : cache->oldest;
}

static void unlist(struct iceberg_manifest_cache *cache, struct scan__cached *cached)
{
    if (cached->newer == NULL) {
        cache->newest = cached->older;
    } else {
        cached->newer->older = cached->older;
    }
    if (cached->older == NULL) {
        cache->oldest = cached->newer;
    } else {
        cached->older->newer = cached->newer;
    }
}

static void evict(struct iceberg_manifest_cache *cache, struct scan__cached *cached)
{
    struct scan__cached **link = &cache->buckets[cached->hash % BUCKET_COUNT];
    while (*link != cached) {
        link = &(*link)->next;
    }
    *link = cached->next;
    unlist(cache, cached);
    cache->bytes -= cached->size_bytes;
    drop_user(cached);
}

void iceberg_manifest_cache_close(struct iceberg_manifest_cache *cache)
{
    if (cache == NULL) {
        return;
    }
    while (cache->oldest != NULL) {
        ASSERT(cache->oldest->user_count == 1); /* no scan runs any more */
        evict(cache, cache->oldest);
    }
    ASSERT(cache->bytes == 0);
    (void)pthread_mutex_destroy(&cache->lock);
    mem_free(cache);
}

/* Keys are a letter, the scope's length, the scope, the rest (scan.c, scan_manifest.c). */
static bool is_of_scope(const struct scan__cached *cached, struct slice scope)
{
    char head[24];
    int len = snprintf(head, sizeof(head), "%zu:", scope.len);
    struct slice key = {cached->key + 1, cached->key_len - 1};
    if (!slice_starts_with(key, (struct slice){head, (size_t)len})) {
        return false;
    }
    key = (struct slice){key.ptr + len, key.len - (size_t)len};
    return key.len > scope.len && key.ptr[scope.len] == ':' && slice_starts_with(key, scope);
}

void iceberg_manifest_cache_forget(struct iceberg_manifest_cache *cache, struct slice scope)
{
    if (cache == NULL || scope.len == 0) {
        return;
    }
    (void)pthread_mutex_lock(&cache->lock);
    struct scan__cached *older;
    for (struct scan__cached *cached = cache->newest; cached != NULL; cached = older) {
        older = cached->older;
        if (is_of_scope(cached, scope)) {
            evict(cache, cached);
        }
    }
    (void)pthread_mutex_unlock(&cache->lock);
}

static struct scan__cached *find(struct iceberg_manifest_cache *cache, struct slice key,
                                 uint64_t hash)
{
    struct scan__cached *cached = cache->buckets[hash % BUCKET_COUNT];
    while (cached != NULL && (cached->hash != hash ||
                              !slice_equal((struct slice){cached->key, cached->key_len}, key))) {
        cached = cached->next;
    }
    return cached;
}

static struct scan__cached *hold(struct iceberg_manifest_cache *cache, struct scan__cached *cached)
{
    cached->user_count++;
    unlist(cache, cached);
    list_newest(cache, cached);
    return cached;
}

struct scan__cached *scan__cache_get(struct iceberg_manifest_cache *cache, struct slice key)
{
    uint64_t hash = hash_xx64(key, 0);
    (void)pthread_mutex_lock(&cache->lock);
    struct scan__cached *cached = find(cache, key, hash);
    if (cached != NULL) {
        (void)hold(cache, cached);
    }
    (void)pthread_mutex_unlock(&cache->lock);
    return cached;
}

void scan__cache_let_go(struct iceberg_manifest_cache *cache, struct scan__cached *cached)
{
    (void)pthread_mutex_lock(&cache->lock);
    drop_user(cached);
    (void)pthread_mutex_unlock(&cache->lock);
}

const struct scan__pack *scan__cached_pack(const struct scan__cached *cached)
{
    return cached->pack;
}

struct slice scan__cached_bytes(const struct scan__cached *cached)
{
    return buf_slice(&cached->bytes);
}

bool scan__cache_takes(const struct iceberg_manifest_cache *cache, uint64_t size_bytes)
{
    return size_bytes <= cache->bytes_max / 4;
}

static struct scan__cached *new_cached(struct slice key, struct scan__pack *pack, struct buf *bytes)
{
    struct scan__cached *cached = mem_calloc(1, sizeof(*cached));
    char *copy = cached == NULL ? NULL : mem_slicedup(key);
    if (copy == NULL) {
        scan__pack_free(pack);
        mem_free(cached);
        return NULL;
    }
    cached->key = copy;
    cached->key_len = key.len;
    cached->hash = hash_xx64(key, 0);
    cached->pack = pack;
    if (pack == NULL) {
        cached->bytes = *bytes;
        buf_init(bytes);
    }
    cached->size_bytes = sizeof(*cached) + key.len +
                         (pack == NULL ? cached->bytes.capacity : scan__pack_bytes(pack));
    cached->user_count = 1;
    return cached;
}

struct scan__cached *scan__cache_put(struct iceberg_manifest_cache *cache, struct slice key,
                                     struct scan__pack *pack, struct buf *bytes)
{
    struct scan__cached *cached = new_cached(key, pack, bytes);
    if (cached == NULL || !scan__cache_takes(cache, cached->size_bytes)) {
        return cached; /* too large to keep: its user frees it by letting go */
    }
    (void)pthread_mutex_lock(&cache->lock);
    struct scan__cached *other = find(cache, key, cached->hash);
    if (other != NULL) {
        free_cached(cached);
        cached = hold(cache, other);
    } else {
        cached->next = cache->buckets[cached->hash % BUCKET_COUNT];
        cache->buckets[cached->hash % BUCKET_COUNT] = cached;
        list_newest(cache, cached);
        cached->user_count++;
        cache->bytes += cached->size_bytes;
        while (cache->bytes > cache->bytes_max) {
            evict(cache, cache->oldest);
        }
    }
    (void)pthread_mutex_unlock(&cache->lock);
    return cached;
}
