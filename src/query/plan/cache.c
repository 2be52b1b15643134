/* Plans by (statement text, person's fingerprint, store version, session). A hit still lists every
 * table's objects as the person and is dropped if anything differs. */
#include "base/mem.h"
#include "query/query_int.h"

#define PLAN_CACHE_SLOTS 256

struct plan_slot {
    struct plan *plan;
    uint64_t key; /* the plan's: looking for it touches no other */
    struct slice text;
    uint64_t used;
    uint16_t next; /* of the same bucket: its number from 1 on, 0 = none */
};

struct plan_cache {
    pthread_mutex_t lock;
    struct plan_slot slots[PLAN_CACHE_SLOTS];
    uint16_t buckets[PLAN_CACHE_SLOTS]; /* by key: the first, numbered likewise */
    uint64_t clock;
};

enum err plan_cache_new(struct plan_cache **ret_cache, struct errinfo *info)
{
    struct plan_cache *cache = mem_calloc(1, sizeof(*cache));
    if (cache == NULL) {
        return errinfo_nomem(info);
    }
    pthread_mutex_init(&cache->lock, NULL);
    *ret_cache = cache;
    return ERR_OK;
}

static uint16_t *bucket_of(struct plan_cache *cache, uint64_t key)
{
    return &cache->buckets[key % PLAN_CACHE_SLOTS];
}

static uint16_t number_of(const struct plan_cache *cache, const struct plan_slot *slot)
{
    return (uint16_t)(slot - cache->slots + 1);
}

static void link_slot(struct plan_cache *cache, struct plan_slot *slot)
{
    uint16_t *bucket = bucket_of(cache, slot->key);
    slot->next = *bucket;
    *bucket = number_of(cache, slot);
}

static void unlink_slot(struct plan_cache *cache, const struct plan_slot *slot)
{
    uint16_t *link = bucket_of(cache, slot->key);
    while (*link != number_of(cache, slot)) {
        ASSERT(*link != 0);
        link = &cache->slots[*link - 1].next;
    }
    *link = slot->next;
}

static void drop_slot(struct plan_slot *slot)
{
    plan_unref(slot->plan);
    mem_free((void *)(uintptr_t)slot->text.ptr);
    *slot = (struct plan_slot){0};
}

void plan_cache_free(struct plan_cache *cache)
{
    if (cache != NULL) {
        for (size_t i = 0; i < PLAN_CACHE_SLOTS; i++) {
            if (cache->slots[i].plan != NULL) {
                drop_slot(&cache->slots[i]);
            }
        }
        pthread_mutex_destroy(&cache->lock);
        mem_free(cache);
    }
}

/* The key is a hash; text, person and version are compared in full so that no collision can hand
 * one person another's plan. */
struct plan *plan_cache_get(struct plan_cache *cache, uint64_t key, struct slice text,
                            uint64_t system_version, const struct identity *who)
{
    struct plan *found = NULL;
    pthread_mutex_lock(&cache->lock);
    for (uint16_t i = *bucket_of(cache, key); i != 0 && found == NULL;
         i = cache->slots[i - 1].next) {
        struct plan_slot *slot = &cache->slots[i - 1];
        if (slot->key != key || slot->plan->system_version != system_version ||
            !slice_equal(slot->text, text) ||
            identity_fingerprint(slot->plan->identities[0]) != identity_fingerprint(who) ||
            !slice_equal(identity_subject(slot->plan->identities[0]), identity_subject(who))) {
            continue;
        }
        slot->used = ++cache->clock;
        found = slot->plan;
        atomic_fetch_add(&found->references, 1);
    }
    pthread_mutex_unlock(&cache->lock);
    return found;
}

void plan_cache_put(struct plan_cache *cache, struct plan *plan, struct slice text)
{
    char *copy = mem_slicedup(text);
    if (copy == NULL) {
        return; /* a cache may forget */
    }
    pthread_mutex_lock(&cache->lock);
    struct plan_slot *victim = &cache->slots[0];
    for (size_t i = 0; i < PLAN_CACHE_SLOTS; i++) {
        struct plan_slot *slot = &cache->slots[i];
        if (slot->plan == NULL || slot->key == plan->key) {
            victim = slot;
            break;
        }
        victim = slot->used < victim->used ? slot : victim;
    }
    if (victim->plan != NULL) {
        unlink_slot(cache, victim);
        drop_slot(victim);
    }
    atomic_fetch_add(&plan->references, 1);
    *victim = (struct plan_slot){plan, plan->key, {copy, text.len}, ++cache->clock, 0};
    link_slot(cache, victim);
    pthread_mutex_unlock(&cache->lock);
}
