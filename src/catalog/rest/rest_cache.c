/* What catalogs have said, by a key that names the person: counted items, so that what goes out of
 * the cache lives on with who uses it. */
#include "base/mem.h"
#include "catalog/rest/rest_int.h"

#define BUCKETS 4096u

struct rest_cache {
    pthread_mutex_t lock;
    uint64_t bytes_max;
    uint64_t bytes;
    struct rest_item *newest;
    struct rest_item *oldest;
    struct rest_item *buckets[BUCKETS];
};

enum err rest_cache__new(uint64_t bytes_max, struct rest_cache **ret_cache, struct errinfo *info)
{
    struct rest_cache *cache = mem_calloc(1, sizeof(*cache));
    if (cache == NULL) {
        return errinfo_nomem(info);
    }
    cache->bytes_max = bytes_max;
    pthread_mutex_init(&cache->lock, NULL);
    *ret_cache = cache;
    return ERR_OK;
}

void rest_item__unref(struct rest_item *item)
{
    if (item == NULL || atomic_fetch_sub_explicit(&item->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    item->fini(item);
    mem_free(item);
}

/* ---- with the lock held ---- */

static struct rest_item **slot_of(struct rest_cache *cache, const struct rest_key *key)
{
    uint32_t bucket;
    memcpy(&bucket, key->bytes, sizeof(bucket));
    struct rest_item **slot = &cache->buckets[bucket % BUCKETS];
    while (*slot != NULL && memcmp((*slot)->key.bytes, key->bytes, sizeof(key->bytes)) != 0) {
        slot = &(*slot)->next;
    }
    return slot;
}

static void unlink_age(struct rest_cache *cache, struct rest_item *item)
{
    *(item->newer == NULL ? &cache->newest : &item->newer->older) = item->older;
    *(item->older == NULL ? &cache->oldest : &item->older->newer) = item->newer;
    item->newer = NULL;
    item->older = NULL;
}

static void link_newest(struct rest_cache *cache, struct rest_item *item)
{
    item->older = cache->newest;
    *(cache->newest == NULL ? &cache->oldest : &cache->newest->newer) = item;
    cache->newest = item;
}

/* The cache's reference goes to the caller, who gives it back without the lock. */
static struct rest_item *take_out(struct rest_cache *cache, struct rest_item **slot)
{
    struct rest_item *item = *slot;
    *slot = item->next;
    item->next = NULL;
    unlink_age(cache, item);
    cache->bytes -= item->bytes;
    return item;
}

/* ---- for all ---- */

struct rest_item *rest_cache__get(struct rest_cache *cache, const struct rest_key *key)
{
    pthread_mutex_lock(&cache->lock);
    struct rest_item *item = *slot_of(cache, key);
    if (item != NULL) {
        atomic_fetch_add_explicit(&item->references, 1, memory_order_relaxed);
        unlink_age(cache, item);
        link_newest(cache, item);
    }
    pthread_mutex_unlock(&cache->lock);
    return item;
}

void rest_cache__put(struct rest_cache *cache, struct rest_item *item)
{
    struct rest_item *gone = NULL;
    if (item->bytes > cache->bytes_max) {
        rest_cache__drop(cache, &item->key);
        return;
    }
    pthread_mutex_lock(&cache->lock);
    struct rest_item **slot = slot_of(cache, &item->key);
    if (*slot != NULL) {
        gone = take_out(cache, slot);
    }
    slot = slot_of(cache, &item->key);
    ASSERT(*slot == NULL);
    *slot = item;
    atomic_fetch_add_explicit(&item->references, 1, memory_order_relaxed);
    link_newest(cache, item);
    cache->bytes += item->bytes;
    while (cache->bytes > cache->bytes_max) {
        struct rest_item *victim = take_out(cache, slot_of(cache, &cache->oldest->key));
        victim->next = gone;
        gone = victim;
    }
    pthread_mutex_unlock(&cache->lock);
    while (gone != NULL) {
        struct rest_item *next = gone->next;
        gone->next = NULL;
        rest_item__unref(gone);
        gone = next;
    }
}

void rest_cache__drop(struct rest_cache *cache, const struct rest_key *key)
{
    struct rest_item *gone = NULL;
    pthread_mutex_lock(&cache->lock);
    struct rest_item **slot = slot_of(cache, key);
    if (*slot != NULL) {
        gone = take_out(cache, slot);
    }
    pthread_mutex_unlock(&cache->lock);
    rest_item__unref(gone);
}

void rest_cache__free(struct rest_cache *cache)
{
    if (cache == NULL) {
        return;
    }
    while (cache->oldest != NULL) {
        rest_item__unref(take_out(cache, slot_of(cache, &cache->oldest->key)));
    }
    pthread_mutex_destroy(&cache->lock);
    mem_free(cache);
}
