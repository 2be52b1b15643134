#include "kernel/cache.h"

#include "kernel/run.h"

#define WAYS 8u
#define STATE_LOADING 0x80000000u
#define STATE_USED 0x40000000u
#define STATE_PINS 0x00FFFFFFu

uint64_t cache_memory_bytes(uint64_t cache_bytes)
{
    ASSERT(cache_bytes < UINT64_MAX / 2);
    ASSERT(cache_bytes >= WAYS * BLOCK_BYTES);
    uint64_t sets = cache_bytes / (WAYS * BLOCK_BYTES);
    return sets * WAYS * (BLOCK_BYTES + sizeof(struct cache_frame)) + BLOCK_BYTES;
}

void cache_init(struct cache *cache, void *memory, uint64_t cache_bytes)
{
    ASSERT(((uintptr_t)memory & 15) == 0);
    cache->set_count = cache_bytes / (WAYS * BLOCK_BYTES);
    ASSERT(cache->set_count > 0);
    uint64_t count = cache->set_count * WAYS;
    uintptr_t at = (uintptr_t)memory + count * sizeof(struct cache_frame);
    cache->frames = memory;
    cache->blocks = (uint8_t *)memory + (align_up(at, 64) - (uintptr_t)memory);
    memset(cache->frames, 0, count * sizeof(struct cache_frame));
}

void cache_unpin(struct cache_frame *frame)
{
    ASSERT(frame != NULL);
    uint32_t before = __atomic_fetch_sub(&frame->state, 1, __ATOMIC_RELEASE);
    ASSERT((before & STATE_PINS) > 0);
}

/* Pins the frame if it holds the block. */
static bool try_pin(struct cache_frame *frame, uint64_t tag)
{
    ASSERT(frame != NULL);
    ASSERT(tag >> RUN_BLOCK_BITS > 0);
    if (__atomic_load_n(&frame->tag, __ATOMIC_RELAXED) != tag) {
        return false;
    }
    uint32_t before = __atomic_fetch_add(&frame->state, 1, __ATOMIC_ACQUIRE);
    if ((before & STATE_LOADING) != 0 || __atomic_load_n(&frame->tag, __ATOMIC_RELAXED) != tag) {
        cache_unpin(frame);
        return false;
    }
    if ((before & STATE_USED) == 0) {
        (void)__atomic_fetch_or(&frame->state, STATE_USED, __ATOMIC_RELAXED);
    }
    return true;
}

/* Takes a frame that nobody pins, for loading; NULL if there is none. */
static struct cache_frame *take_frame(struct cache_frame *set)
{
    ASSERT(set != NULL);
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t way = 0; way < WAYS; way++) {
            struct cache_frame *frame = &set[way];
            uint32_t state = __atomic_load_n(&frame->state, __ATOMIC_RELAXED);
            if (state == 0 &&
                __atomic_compare_exchange_n(&frame->state, &state, STATE_LOADING, false,
                                            __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
                ASSERT(state == 0);
                return frame;
            }
            if (state == STATE_USED) {
                (void)__atomic_fetch_and(&frame->state, ~STATE_USED, __ATOMIC_RELAXED);
            }
        }
    }
    return NULL;
}

enum err cache_get(struct cache *cache, struct disk *disk, const struct run *run, uint32_t block,
                   uint8_t *scratch, struct cache_frame **ret_frame, const uint8_t **ret_bytes,
                   bool *ret_is_hit)
{
    ASSERT(block < run->block_count);
    ASSERT(block < RUN_BLOCKS_MAX);
    uint64_t tag = run->number << RUN_BLOCK_BITS | block;
    uint64_t set_index = (uint64_t)(((unsigned __int128)mix_u64(tag) * cache->set_count) >> 64);
    struct cache_frame *set = cache->frames + set_index * WAYS;
    bool is_hit = true;
    struct cache_frame *frame = NULL;
    for (uint32_t way = 0; way < WAYS && frame == NULL; way++) {
        frame = try_pin(&set[way], tag) ? &set[way] : NULL;
    }
    uint8_t *bytes = NULL;
    if (frame == NULL) {
        is_hit = false;
        frame = take_frame(set);
        bytes = frame == NULL ? scratch
                              : cache->blocks + (uint64_t)(frame - cache->frames) * BLOCK_BYTES;
        enum err result = run_read_block(run, disk, block, bytes);
        if (frame != NULL) {
            __atomic_store_n(&frame->tag, result == ERR_OK ? tag : 0, __ATOMIC_RELAXED);
            /* Readers that tried meanwhile have added pins and will take them away. */
            uint32_t change = result == ERR_OK ? STATE_LOADING - 1 : STATE_LOADING;
            (void)__atomic_fetch_sub(&frame->state, change, __ATOMIC_RELEASE);
        }
        TRY(result);
    } else {
        bytes = cache->blocks + (uint64_t)(frame - cache->frames) * BLOCK_BYTES;
    }
    *ret_frame = frame;
    *ret_bytes = bytes;
    if (ret_is_hit != NULL) {
        *ret_is_hit = is_hit;
    }
    return ERR_OK;
}
