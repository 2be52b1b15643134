/* The block cache: which blocks there are, who fetches one, and which one goes.
 *
 * A block's name is the hash of store, object, etag and size (s3_object.c), and its number. Its
 * content can never change, so nothing is ever invalidated; what is not asked for any more falls
 * out. States of a block, under the one lock:
 *
 *     (none) --claim--> LOADING --publish--> MEMORY --evict, written--> DISK --claim--> LOADING
 *                          |                   |                          |
 *                          +--fails--> (none)  +--evict--> (none)         +--slot taken--> (none)
 *
 * Bytes are copied outside of the lock, by readers that hold a pin. */
#include <pthread.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/cancellation.h"
#include "storage/cache_int.h"
#include "storage/s3_int.h"
#include "storage/storage_int.h"

#define WINDOW_BLOCKS 32u /* looked at together: what one read holds in memory beside the result */
#define RUN_BYTES_MAX (8u * 1024 * 1024)
#define BUCKETS_MIN 1024u
#define WAIT_US 50000 /* for another thread, before looking whether somebody waits still */

enum state {
    LOADING,
    MEMORY,
    DISK
};

struct name {
    uint8_t object[SHA256_BYTES];
    uint64_t number;
};

struct block {
    struct name name;
    struct block *chain;
    struct block *newer, *older; /* of those in memory */
    enum state state;
    unsigned pins;
    char *bytes; /* NULL unless in memory */
    size_t len;
    int64_t slot; /* DISK_NONE, or where it is on disk too */
};

struct storage_cache {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a block is no longer LOADING */
    size_t block_bytes;
    uint64_t memory_max;
    struct block **buckets;
    size_t bucket_count;
    struct block *newest, *oldest;
    struct storage_disk *disk; /* NULL = none */
    struct block **slots;      /* who is in which */
    int64_t slot_next;
    struct storage_counts counts;
};

/* ---- life ---- */

enum err storage__cache_open(const struct storage_cache_options *options,
                             struct storage_cache **ret_cache, struct errinfo *info)
{
    ASSERT(options->block_bytes > 0 && options->memory_bytes > 0);
    struct storage_cache *cache CLEANUP(storage__cache_cleanup) = mem_calloc(1, sizeof(*cache));
    if (cache == NULL) {
        return errinfo_nomem(info);
    }
    pthread_mutex_init(&cache->lock, NULL);
    pthread_cond_init(&cache->changed, NULL);
    cache->block_bytes = options->block_bytes;
    cache->memory_max = options->memory_bytes;
    uint64_t blocks = (options->memory_bytes + options->disk_bytes) / options->block_bytes;
    cache->bucket_count = BUCKETS_MIN;
    while (cache->bucket_count < blocks) {
        cache->bucket_count *= 2;
    }
    cache->buckets = mem_calloc(cache->bucket_count, sizeof(struct block *));
    if (cache->buckets == NULL) {
        return errinfo_nomem(info);
    }
    if (options->disk_bytes > 0) {
        TRY(storage__disk_open(options->folder, options->disk_bytes, options->block_bytes,
                               &cache->disk, info));
        cache->slots =
            mem_calloc((size_t)storage__disk_slots(cache->disk) + 1, sizeof(struct block *));
        if (cache->slots == NULL) {
            return errinfo_nomem(info);
        }
    }
    *ret_cache = TAKE(cache);
    return ERR_OK;
}

void storage__cache_close(struct storage_cache *cache)
{
    if (cache == NULL) {
        return;
    }
    for (size_t i = 0; cache->buckets != NULL && i < cache->bucket_count; i++) {
        for (struct block *block = cache->buckets[i]; block != NULL;) {
            struct block *next = block->chain;
            ASSERT(block->pins == 0 && block->state != LOADING);
            mem_free(block->bytes);
            mem_free(block);
            block = next;
        }
    }
    mem_free(cache->buckets);
    mem_free(cache->slots);
    storage__disk_close(cache->disk);
    pthread_cond_destroy(&cache->changed);
    pthread_mutex_destroy(&cache->lock);
    mem_free(cache);
}

struct storage_disk *storage__cache_disk(struct storage_cache *cache)
{
    return cache->disk;
}

void storage__cache_count(struct storage_cache *cache, struct storage_counts *counts)
{
    pthread_mutex_lock(&cache->lock);
    counts->memory_hits += cache->counts.memory_hits;
    counts->disk_hits += cache->counts.disk_hits;
    counts->misses += cache->counts.misses;
    counts->hit_bytes += cache->counts.hit_bytes;
    counts->damaged += cache->counts.damaged;
    counts->memory_bytes += cache->counts.memory_bytes;
    counts->disk_bytes += cache->counts.disk_bytes;
    pthread_mutex_unlock(&cache->lock);
}

/* ---- the table; all of this with the lock held ---- */

static struct block **bucket_of(const struct storage_cache *cache, const struct name *name)
{
    uint64_t hash;
    memcpy(&hash, name->object, sizeof(hash));
    hash = (hash + name->number) * 0x9E3779B97F4A7C15u;
    return &cache->buckets[(hash >> 20) & (cache->bucket_count - 1)];
}

static struct block *find(const struct storage_cache *cache, const struct name *name)
{
    struct block *block = *bucket_of(cache, name);
    while (block != NULL && (block->name.number != name->number ||
                             memcmp(block->name.object, name->object, SHA256_BYTES) != 0)) {
        block = block->chain;
    }
    return block;
}

static void unlink_age(struct storage_cache *cache, struct block *block)
{
    *(block->newer != NULL ? &block->newer->older : &cache->newest) = block->older;
    *(block->older != NULL ? &block->older->newer : &cache->oldest) = block->newer;
    block->newer = NULL;
    block->older = NULL;
}

static void link_newest(struct storage_cache *cache, struct block *block)
{
    block->older = cache->newest;
    block->newer = NULL;
    *(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = block;
    cache->newest = block;
}

static void give_up_slot(struct storage_cache *cache, struct block *block)
{
    if (block->slot != DISK_NONE) {
        cache->slots[block->slot] = NULL;
        cache->counts.disk_bytes -= block->len;
        block->slot = DISK_NONE;
    }
}

static void forget(struct storage_cache *cache, struct block *block)
{
    struct block **at = bucket_of(cache, &block->name);
    while (*at != block) {
        at = &(*at)->chain;
    }
    *at = block->chain;
    give_up_slot(cache, block);
    ASSERT(block->bytes == NULL && block->pins == 0);
    mem_free(block);
}

static void leave_memory(struct storage_cache *cache, struct block *block)
{
    unlink_age(cache, block);
    cache->counts.memory_bytes -= block->len;
    mem_free(block->bytes);
    block->bytes = NULL;
    block->state = DISK;
    if (block->slot == DISK_NONE) {
        forget(cache, block);
    }
}

/* The next slot in turn whose block is not being read just now; DISK_NONE if there is none. */
static int64_t take_slot(struct storage_cache *cache)
{
    int64_t count = cache->disk == NULL ? 0 : storage__disk_slots(cache->disk);
    for (int64_t tried = 0; tried < count; tried++) {
        int64_t slot = cache->slot_next;
        cache->slot_next = (slot + 1) % count;
        struct block *owner = cache->slots[slot];
        if (owner == NULL) {
            return slot;
        }
        if (owner->state != LOADING && owner->pins == 0) {
            if (owner->state == DISK) {
                forget(cache, owner);
            } else {
                give_up_slot(cache, owner);
            }
            return slot;
        }
    }
    return DISK_NONE;
}

/* Writes a block that is about to go to disk; the lock is given up meanwhile. */
static void save(struct storage_cache *cache, struct block *block)
{
    int64_t slot = take_slot(cache);
    if (slot == DISK_NONE) {
        return;
    }
    block->pins++;
    cache->slots[slot] = block; /* nobody takes it meanwhile: the block is pinned */
    pthread_mutex_unlock(&cache->lock);
    struct slice name = {(const char *)&block->name, sizeof(block->name)};
    bool is_written =
        storage__disk_write(cache->disk, slot, name, (struct slice){block->bytes, block->len});
    pthread_mutex_lock(&cache->lock);
    block->pins--;
    if (is_written) {
        block->slot = slot;
        cache->counts.disk_bytes += block->len;
    } else {
        cache->slots[slot] = NULL;
    }
}

static void evict(struct storage_cache *cache)
{
    while (cache->counts.memory_bytes > cache->memory_max) {
        struct block *victim = cache->oldest;
        while (victim != NULL && victim->pins > 0) {
            victim = victim->newer;
        }
        if (victim == NULL) {
            return; /* all in use: whoever is done with one comes by here */
        }
        if (victim->slot == DISK_NONE && cache->disk != NULL) {
            save(cache, victim);
        }
        if (victim->pins == 0) {
            leave_memory(cache, victim);
        }
    }
}

/* ---- one read ---- */

enum want {
    DONE,
    HIT,       /* pinned, in memory */
    FROM_DISK, /* claimed */
    FROM_STORE /* claimed */
};

struct wanted {
    struct block *block;
    uint64_t number;
    char *out;    /* where its part of the result goes; NULL: nowhere, it is only fetched */
    size_t start; /* in the block */
    size_t len;
    enum want want;
    bool is_served;
    bool has_waited; /* another one fetched it: counted as a hit */
};

struct reading {
    struct storage_cache *cache;
    const struct storage_object *object;
    struct wanted wanted[WINDOW_BLOCKS];
    size_t count;
};

static size_t block_len(const struct reading *reading, uint64_t number)
{
    uint64_t start = number * reading->cache->block_bytes;
    uint64_t left = reading->object->size_bytes - start;
    return left < reading->cache->block_bytes ? (size_t)left : reading->cache->block_bytes;
}

/* What to do for one block that is not served; false = wait for another thread. With the lock
 * held. */
static enum err claim(struct reading *reading, struct wanted *wanted, bool *ret_is_ready,
                      struct errinfo *info)
{
    struct storage_cache *cache = reading->cache;
    struct name name = {.number = wanted->number};
    memcpy(name.object, reading->object->s3->cache_key, SHA256_BYTES);
    struct block *block = find(cache, &name);
    *ret_is_ready = true;
    if (block == NULL) {
        block = mem_calloc(1, sizeof(*block));
        if (block == NULL) {
            return errinfo_nomem(info);
        }
        block->name = name;
        block->len = block_len(reading, wanted->number);
        block->slot = DISK_NONE;
        block->state = LOADING;
        struct block **bucket = bucket_of(cache, &name);
        block->chain = *bucket;
        *bucket = block;
        wanted->want = FROM_STORE;
        cache->counts.misses++;
    } else if (block->state == LOADING) {
        *ret_is_ready = false;
        wanted->has_waited = true;
        return ERR_OK;
    } else if (block->state == DISK) {
        block->state = LOADING;
        wanted->want = FROM_DISK;
    } else {
        block->pins++;
        unlink_age(cache, block);
        link_newest(cache, block);
        wanted->want = HIT;
        cache->counts.memory_hits++;
        cache->counts.hit_bytes += wanted->len;
    }
    wanted->block = block;
    return ERR_OK;
}

/* A claimed block has its bytes. With the lock held. */
static void publish(struct storage_cache *cache, struct block *block, char *bytes)
{
    block->bytes = bytes;
    block->state = MEMORY;
    cache->counts.memory_bytes += block->len;
    link_newest(cache, block);
}

/* Whatever is still claimed is given back. With the lock held. */
static void abandon(struct reading *reading)
{
    for (size_t i = 0; i < reading->count; i++) {
        struct wanted *wanted = &reading->wanted[i];
        if (wanted->want == FROM_DISK || wanted->want == FROM_STORE) {
            wanted->block->state = DISK;
            if (wanted->block->slot == DISK_NONE) {
                forget(reading->cache, wanted->block);
            }
        } else if (wanted->want == HIT) {
            wanted->block->pins--;
        }
        wanted->want = DONE;
    }
    pthread_cond_broadcast(&reading->cache->changed);
}

/* Without the lock, from here on. */
static void serve(struct wanted *wanted, const char *bytes)
{
    if (wanted->out != NULL) {
        memcpy(wanted->out, bytes + wanted->start, wanted->len);
    }
    wanted->is_served = true;
}

static void serve_hits(struct reading *reading)
{
    struct storage_cache *cache = reading->cache;
    for (size_t i = 0; i < reading->count; i++) {
        struct wanted *wanted = &reading->wanted[i];
        if (wanted->want == HIT) {
            serve(wanted, wanted->block->bytes);
            pthread_mutex_lock(&cache->lock);
            wanted->block->pins--;
            wanted->want = DONE;
            pthread_mutex_unlock(&cache->lock);
        }
    }
}

/* A block that is not what was written is a miss. */
static enum err serve_disk(struct reading *reading, struct errinfo *info)
{
    struct storage_cache *cache = reading->cache;
    for (size_t i = 0; i < reading->count; i++) {
        struct wanted *wanted = &reading->wanted[i];
        struct block *block = wanted->block;
        if (wanted->want != FROM_DISK) {
            continue;
        }
        char *bytes = mem_alloc(block->len + 1); /* the cipher's end writes nothing, at its end */
        struct slice name = {(const char *)&block->name, sizeof(block->name)};
        if (bytes == NULL) {
            return errinfo_nomem(info);
        }
        bool is_read = storage__disk_read(cache->disk, block->slot, name, bytes, block->len);
        if (is_read) {
            serve(wanted, bytes);
        }
        pthread_mutex_lock(&cache->lock);
        if (is_read) {
            publish(cache, block, bytes);
            cache->counts.disk_hits++;
            cache->counts.hit_bytes += wanted->len;
            wanted->want = DONE;
        } else {
            cache->counts.damaged++;
            cache->counts.misses++;
            give_up_slot(cache, block);
            wanted->want = FROM_STORE;
        }
        pthread_cond_broadcast(&cache->changed);
        pthread_mutex_unlock(&cache->lock);
        if (!is_read) {
            mem_free(bytes);
        }
    }
    return ERR_OK;
}

/* Rooms of the blocks that are missing, side by side. */
struct rooms {
    char *bytes[WINDOW_BLOCKS];
    size_t count;
};

static void rooms_fini(struct rooms *rooms)
{
    for (size_t i = 0; i < rooms->count; i++) {
        mem_free(rooms->bytes[i]);
    }
}

/* Neighbours that are missing are one range, straight into the blocks. */
static enum err find_runs(const struct reading *reading, struct rooms *rooms,
                          struct s3_range *ranges, size_t *ret_count, struct errinfo *info)
{
    size_t count = 0;
    size_t run_last = SIZE_MAX;
    for (size_t i = 0; i < reading->count; i++) {
        const struct wanted *wanted = &reading->wanted[i];
        if (wanted->want != FROM_STORE) {
            continue;
        }
        char *bytes = mem_alloc(wanted->block->len + 1); /* as serve_disk */
        if (bytes == NULL) {
            return errinfo_nomem(info);
        }
        rooms->bytes[rooms->count++] = bytes;
        if (run_last != SIZE_MAX && run_last + 1 == i &&
            ranges[count - 1].len + wanted->block->len <= RUN_BYTES_MAX) {
            ranges[count - 1].len += wanted->block->len;
        } else {
            ranges[count++] =
                (struct s3_range){.offset = wanted->number * reading->cache->block_bytes,
                                  .len = wanted->block->len,
                                  .blocks = &rooms->bytes[rooms->count - 1],
                                  .block_bytes = reading->cache->block_bytes};
        }
        run_last = i;
    }
    *ret_count = count;
    return ERR_OK;
}

static enum err serve_store(struct reading *reading, struct errinfo *info)
{
    struct storage_cache *cache = reading->cache;
    struct s3_range ranges[WINDOW_BLOCKS];
    struct rooms rooms CLEANUP(rooms_fini) = {0};
    size_t count = 0;
    size_t at = 0;
    TRY(find_runs(reading, &rooms, ranges, &count, info));
    if (count == 0) {
        return ERR_OK;
    }
    TRY(s3__read_ranges(reading->object, ranges, count, info));
    for (size_t i = 0; i < reading->count; i++) {
        struct wanted *wanted = &reading->wanted[i];
        if (wanted->want != FROM_STORE) {
            continue;
        }
        char *bytes = TAKE(rooms.bytes[at]);
        at++;
        serve(wanted, bytes);
        pthread_mutex_lock(&cache->lock);
        publish(cache, wanted->block, bytes);
        wanted->want = DONE;
        pthread_mutex_unlock(&cache->lock);
    }
    pthread_mutex_lock(&cache->lock);
    pthread_cond_broadcast(&cache->changed);
    pthread_mutex_unlock(&cache->lock);
    return ERR_OK;
}

/* Until another thread has its block, or for a moment; its fetch may not end with this read. */
static enum err wait_for_others(struct storage_cache *cache, struct errinfo *info)
{
    if (cancellation_is_set(cancellation_here())) {
        return errinfo_set(info, ERR_CANCELLED, NULL, "what waited for the storage was cancelled");
    }
    (void)clock_wait(&cache->changed, &cache->lock, clock_mono_us() + WAIT_US);
    return ERR_OK;
}

/* Claims what can be claimed; waits if nothing can. `ret_is_done`: all are served. */
static enum err claim_all(struct reading *reading, bool *ret_is_done, struct errinfo *info)
{
    struct storage_cache *cache = reading->cache;
    bool has_claimed = false;
    enum err err = ERR_OK;
    *ret_is_done = true;
    pthread_mutex_lock(&cache->lock);
    for (size_t i = 0; i < reading->count && err == ERR_OK; i++) {
        bool is_ready = false;
        if (!reading->wanted[i].is_served) {
            *ret_is_done = false;
            err = claim(reading, &reading->wanted[i], &is_ready, info);
            has_claimed = has_claimed || is_ready;
        }
    }
    if (err == ERR_OK && !*ret_is_done && !has_claimed) {
        err = wait_for_others(cache, info);
    }
    pthread_mutex_unlock(&cache->lock);
    return err;
}

static enum err serve_claimed(struct reading *reading, struct errinfo *info)
{
    serve_hits(reading);
    TRY(serve_disk(reading, info));
    return serve_store(reading, info);
}

static enum err read_window(struct reading *reading, struct errinfo *info)
{
    const struct storage_s3 *s3 = reading->object->s3;
    for (bool is_done = false; !is_done;) {
        enum err err = storage__grant_check(s3->grant, s3->who, info); /* after each wait too */
        err = err == ERR_OK ? claim_all(reading, &is_done, info) : err;
        err = err == ERR_OK ? serve_claimed(reading, info) : err;
        pthread_mutex_lock(&reading->cache->lock);
        abandon(reading); /* nothing, where all went well */
        evict(reading->cache);
        pthread_mutex_unlock(&reading->cache->lock);
        TRY(err);
    }
    return ERR_OK;
}

enum err storage__cache_read(struct storage_cache *cache, const struct storage_object *object,
                             uint64_t offset, void *ret_bytes, size_t len, struct errinfo *info)
{
    struct reading *reading CLEANUP(mem_free_cleanup) = mem_alloc(sizeof(*reading));
    if (reading == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t done = 0; done < len;) {
        *reading = (struct reading){.cache = cache, .object = object};
        while (done < len && reading->count < WINDOW_BLOCKS) {
            uint64_t at = offset + done;
            size_t start = (size_t)(at % cache->block_bytes);
            size_t room = cache->block_bytes - start;
            size_t part = len - done < room ? len - done : room;
            reading->wanted[reading->count++] = (struct wanted){.number = at / cache->block_bytes,
                                                                .out = (char *)ret_bytes + done,
                                                                .start = start,
                                                                .len = part};
            done += part;
        }
        TRY(read_window(reading, info));
    }
    return ERR_OK;
}

/* ---- ahead of anybody's read ---- */

static bool is_nowhere(struct storage_cache *cache, const struct storage_object *object,
                       uint64_t number)
{
    struct name name = {.number = number};
    memcpy(name.object, object->s3->cache_key, SHA256_BYTES);
    return find(cache, &name) == NULL;
}

/* The number behind the last block. */
static uint64_t end_of(const struct storage_cache *cache, uint64_t offset, uint64_t len)
{
    return len == 0 ? 0 : (offset + len - 1) / cache->block_bytes + 1;
}

bool storage__cache_is_missing(struct storage_cache *cache, const struct storage_object *object,
                               uint64_t offset, uint64_t len)
{
    uint64_t end = end_of(cache, offset, len);
    bool is_missing = false;
    pthread_mutex_lock(&cache->lock);
    for (uint64_t number = offset / cache->block_bytes; number < end && !is_missing; number++) {
        is_missing = is_nowhere(cache, object, number);
    }
    pthread_mutex_unlock(&cache->lock);
    return is_missing;
}

/* Claims those that are nowhere: what is on disk is near enough, and others fetch the rest. */
static enum err claim_missing(struct reading *reading, struct errinfo *info)
{
    struct storage_cache *cache = reading->cache;
    enum err err = ERR_OK;
    pthread_mutex_lock(&cache->lock);
    for (size_t i = 0; i < reading->count && err == ERR_OK; i++) {
        bool is_ready;
        if (is_nowhere(cache, reading->object, reading->wanted[i].number)) {
            err = claim(reading, &reading->wanted[i], &is_ready, info);
        }
    }
    pthread_mutex_unlock(&cache->lock);
    return err;
}

enum err storage__cache_fill(struct storage_cache *cache, const struct storage_object *object,
                             uint64_t offset, uint64_t len)
{
    const struct storage_s3 *s3 = object->s3;
    struct reading *reading CLEANUP(mem_free_cleanup) = mem_alloc(sizeof(*reading));
    uint64_t end = end_of(cache, offset, len);
    if (reading == NULL) {
        return ERR_NOMEM;
    }
    if (len > cache->memory_max / 4) {
        return ERR_LIMIT;
    }
    for (uint64_t number = offset / cache->block_bytes; number < end;) {
        *reading = (struct reading){.cache = cache, .object = object};
        while (number < end && reading->count < WINDOW_BLOCKS) {
            reading->wanted[reading->count++] = (struct wanted){.number = number++};
        }
        enum err err = storage__grant_check(s3->grant, s3->who, NULL);
        err = err == ERR_OK ? claim_missing(reading, NULL) : err;
        err = err == ERR_OK ? serve_store(reading, NULL) : err;
        pthread_mutex_lock(&cache->lock);
        abandon(reading);
        evict(cache);
        pthread_mutex_unlock(&cache->lock);
        TRY(err);
    }
    return ERR_OK;
}
