/* The learned index beside binary search over the first keys of blocks, which is what a block index
 * does: nanoseconds a lookup and bytes a block, for even keys and for those that no line serves. */
#include "base/mem.h"
#include "kernel/crc32c.h"
#include "kernel/index.h"
#include "kernel/kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BLOCK_KEYS 22u /* at most */
#define KEYS (20000u * BLOCK_KEYS)
#define BLOCKS_MAX (KEYS / 2)
#define KEY_MAX 48u
#define LOOKUPS 500000u
#define ROUNDS 9u

struct set {
    char (*bytes)[KEY_MAX];
    uint32_t len;
    uint32_t *ends; /* of each key: their lengths differ in general */
};

static uint32_t set_len;
static uint32_t starts[BLOCKS_MAX + 1]; /* the first key of each block */
static uint32_t block_count;

static int by_key(const void *a, const void *b)
{
    return memcmp(a, b, set_len);
}

static void store_big(char *to, uint64_t value)
{
    value = __builtin_bswap64(value);
    memcpy(to, &value, sizeof(value));
}

static void hashed(uint64_t i, char *key)
{
    for (uint64_t n = 0; n < 3; n++) {
        store_big(key + 8 * n, mix_u64(i * 3 + n + 1));
    }
}

static void decimal(uint64_t i, char *key)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "user%020llu", (unsigned long long)(i * 7 + mix_u64(i) % 7));
    memcpy(key, text, 24);
}

/* As dense as can be near zero, at every scale: logarithms are even. */
static void logarithmic(uint64_t i, char *key)
{
    uint64_t word = mix_u64(i + 1) | 1u << 5;
    store_big(key, word >> (mix_u64(i + KEYS) % 48));
    store_big(key + 8, mix_u64(i));
    store_big(key + 16, i);
}

/* Crowds of any size with nothing between them. */
static void crowded(uint64_t i, char *key)
{
    uint64_t crowd = mix_u64(i) % (1u << (mix_u64(i + KEYS) % 12));
    store_big(key, mix_u64(crowd));
    store_big(key + 8, mix_u64(i) >> (mix_u64(crowd + 1) % 56));
    store_big(key + 16, i);
}

/* Keys that differ only behind all positions that the index looks at. */
static void tied(uint64_t i, char *key)
{
    memset(key, 0, KEY_MAX);
    for (uint64_t n = 0; n < 4; n++) {
        store_big(key + 8 * n, mix_u64(mix_u64(i) % 16 + 100 * n));
    }
    store_big(key + 32, mix_u64(i));
    store_big(key + 40, i);
}

static const struct {
    const char *name;
    uint32_t len;
    void (*make)(uint64_t i, char *key);
} shapes[] = {{"hashes", 24, hashed},
              {"decimal text", 24, decimal},
              {"logarithms", 24, logarithmic},
              {"crowds", 24, crowded},
              {"ties", 48, tied}};

static uint32_t search(const struct set *set, const char *key)
{
    struct slice wanted = {key, set->len};
    uint32_t low = 0, high = block_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        uint32_t start = middle == 0 ? 0 : set->ends[middle - 1];
        struct slice first = {set->bytes[0] + start, set->ends[middle] - start};
        if (key_compare(first, wanted) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? 0 : low - 1;
}

/* Of this thread's processor time: others may use the machine. */
static int64_t now_ns(void)
{
    struct timespec now;
    ASSERT(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void *take(uint64_t bytes)
{
    void *memory = mem_alloc(bytes);
    ASSERT(memory != NULL);
    return memory;
}

/* Ends a block as the writer of a run does. */
static uint32_t end_block(struct index_builder *builder, const struct set *keys, uint32_t first)
{
    uint32_t end = first + BLOCK_KEYS;
    if (end >= KEYS) {
        return KEYS;
    }
    struct slice tail[BLOCK_KEYS / 3 + 2];
    for (uint32_t i = 0; i < ARRAY_COUNT(tail); i++) {
        tail[i] = (struct slice){keys->bytes[end + 1 - ARRAY_COUNT(tail) + i], keys->len};
    }
    struct slice first_key = {keys->bytes[first], keys->len};
    return end - index_builder_leave(builder, first_key, tail, ARRAY_COUNT(tail));
}

static uint64_t build(const struct set *keys, uint8_t **ret_bytes)
{
    struct index_builder *builder = take(sizeof(*builder));
    uint32_t fence_bytes = BLOCKS_MAX * (KEY_MAX + 8) + 2048;
    void *memory = take(index_builder_bytes(BLOCKS_MAX, fence_bytes));
    struct alphabet alphabet = {0};
    for (uint32_t i = 0; i < KEYS; i++) {
        alphabet_add(&alphabet, (struct slice){keys->bytes[i], keys->len});
    }
    index_builder_init(builder, memory, BLOCKS_MAX, fence_bytes);
    index_builder_reset(builder, &alphabet);
    block_count = 0;
    for (uint32_t i = 0; i < KEYS;) {
        uint32_t end = end_block(builder, keys, i);
        index_builder_add(builder, (struct slice){keys->bytes[i], keys->len}, 1,
                          (struct slice){keys->bytes[end - 1], keys->len});
        starts[block_count++] = i;
        i = end;
    }
    starts[block_count] = KEYS;
    uint8_t *bytes = take(index_builder_size_max(builder));
    uint64_t len = index_builder_finish(builder, bytes);
    mem_free(memory);
    mem_free(builder);
    *ret_bytes = bytes;
    return len;
}

static void measure(uint32_t shape)
{
    struct set keys = {take((uint64_t)KEYS * KEY_MAX), shapes[shape].len, NULL};
    for (uint32_t i = 0; i < KEYS; i++) {
        shapes[shape].make(i, keys.bytes[i]);
    }
    set_len = keys.len;
    qsort(keys.bytes, KEYS, KEY_MAX, by_key);
    uint8_t *bytes = NULL;
    uint64_t len = build(&keys, &bytes);
    struct set firsts = {take((uint64_t)block_count * KEY_MAX), shapes[shape].len,
                         take(block_count * sizeof(uint32_t))};
    uint32_t *block_of = take(KEYS * sizeof(uint32_t));
    for (uint32_t i = 0; i < block_count; i++) {
        memcpy(firsts.bytes[0] + (uint64_t)i * keys.len, keys.bytes[starts[i]], keys.len);
        firsts.ends[i] = (i + 1) * keys.len;
        for (uint32_t k = starts[i]; k < starts[i + 1]; k++) {
            block_of[k] = i;
        }
    }
    struct index_view view;
    ASSERT(index_open(bytes, len, &view));
    uint32_t *order = take(LOOKUPS * sizeof(uint32_t));
    for (uint32_t i = 0; i < LOOKUPS; i++) {
        order[i] = (uint32_t)(mix_u64(i) % KEYS);
    }
    double best[2] = {1e9, 1e9};
    uint64_t wrong = 0;
    /* In turns, and the fastest of each. */
    for (uint32_t round = 0; round < 2 * ROUNDS; round++) {
        int64_t start = now_ns();
        for (uint32_t i = 0; i < LOOKUPS; i++) {
            const char *key = keys.bytes[order[i]];
            uint32_t block = round % 2 == 0 ? index_find(&view, (struct slice){key, keys.len}, 1)
                                            : search(&firsts, key);
            wrong += block != block_of[order[i]];
        }
        double ns = (double)(now_ns() - start) / LOOKUPS;
        best[round % 2] = ns < best[round % 2] ? ns : best[round % 2];
    }
    ASSERT(wrong == 0);
    printf("%-14s index %6.1f ns, %6.3f B/block, %5u segments, %5u fences, %5.2f keys/block;  "
           "binary search %6.1f ns, %u B/block;  time ratio %.2f\n",
           shapes[shape].name, best[0], (double)len / block_count, view.segment_count,
           view.fence_count, (double)KEYS / block_count, best[1], keys.len + 4, best[0] / best[1]);
    mem_free(block_of);
    mem_free(order);
    mem_free(bytes);
    mem_free(firsts.bytes);
    mem_free(firsts.ends);
    mem_free(keys.bytes);
}

int main(void)
{
    for (uint32_t i = 0; i < ARRAY_COUNT(shapes); i++) {
        measure(i);
    }
    return 0;
}
