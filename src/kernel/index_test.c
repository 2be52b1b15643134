/* The learned index over key sets of every kind: exact for keys that are there, safe for others. */
#include "base/mem.h"
#include "base/test.h"
#include "kernel/filter.h"
#include "kernel/index.h"
#include "kernel/index_fit.h"

#define KEYS_MAX 20000u
#define KEY_BYTES 64u

struct set {
    char *bytes;
    struct slice *keys; /* sorted, all different */
    uint32_t count;
};

static int compare(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

static size_t make_key(char *at, uint32_t kind, uint64_t i, uint64_t *seed)
{
    uint64_t n = test_random(seed);
    switch (kind) {
    case 0: /* dense numbers as text */
        return (size_t)snprintf(at, KEY_BYTES, "user%012llu", (unsigned long long)i);
    case 1: /* hashes */
        memcpy(at, &n, 8);
        return 8;
    case 2: /* hexadecimal hashes with dashes */
        return (size_t)snprintf(at, KEY_BYTES, "%08llx-%04llx-%04llx", (unsigned long long)n >> 32,
                                (unsigned long long)(n >> 16) & 0xFFFF,
                                (unsigned long long)n & 0xFFFF);
    case 3: /* gaps that double: no line serves two blocks */
        n = __builtin_bswap64((uint64_t)1 << (i % 62) | (i / 62));
        memcpy(at, &n, 8);
        return 8;
    case 4: /* Fibonacci-spaced */
        n = __builtin_bswap64(i * 0x9E3779B97F4A7C15u);
        memcpy(at, &n, 8);
        return 8;
    case 5: /* long common prefixes in groups: codes tie */
        return (size_t)snprintf(at, KEY_BYTES, "%cthis/prefix/is/longer/than/all/positions/%llu",
                                (char)('a' + i % 3), (unsigned long long)n % 100000);
    case 6: /* two clusters far apart */
        n = __builtin_bswap64((i & 1) != 0 ? i : UINT64_MAX - i * i);
        memcpy(at, &n, 8);
        return 8;
    default: { /* any bytes, any length, many zeros */
        size_t len = n % 20;
        for (size_t k = 0; k < len; k++) {
            uint64_t b = test_random(seed);
            at[k] = (char)((b & 1) != 0 ? 0 : b >> 8);
        }
        return len;
    }
    }
}

static struct set make_set(uint32_t kind, uint32_t wanted, uint64_t *seed)
{
    struct set set = {.bytes = mem_alloc((size_t)wanted * KEY_BYTES),
                      .keys = mem_alloc(wanted * sizeof(struct slice))};
    CHECK(set.bytes != NULL && set.keys != NULL);
    for (uint32_t i = 0; i < wanted; i++) {
        char *at = set.bytes + (size_t)i * KEY_BYTES;
        set.keys[i] = (struct slice){at, make_key(at, kind, i, seed)};
    }
    qsort(set.keys, wanted, sizeof(struct slice), compare);
    for (uint32_t i = 0; i < wanted; i++) {
        if (set.count == 0 || !slice_equal(set.keys[set.count - 1], set.keys[i])) {
            set.keys[set.count++] = set.keys[i];
        }
    }
    return set;
}

struct built {
    void *memory;
    uint8_t *bytes;
    uint64_t len;
    struct index_view view;
    uint32_t *block_of; /* of each key */
};

/* Where a block of `most` keys ends if the index is asked, as the writer of a run does. */
static uint32_t ask(struct index_builder *builder, const struct set *set, uint32_t first,
                    uint32_t most)
{
    if (set->count - first <= most) {
        return set->count;
    }
    uint32_t end = first + most, left_max = most / 3 < 12 ? most / 3 : 12;
    uint32_t left = index_builder_leave(builder, set->keys[first], set->keys + end - 1 - left_max,
                                        left_max + 2);
    CHECK(left <= left_max);
    return end - left;
}

/* Blocks of 1 to `most` keys, or of about `most` if the index is asked where they end. */
static void build(const struct set *set, uint64_t *seed, uint64_t most, bool is_asked,
                  struct built *ret)
{
    struct alphabet alphabet = {0};
    for (uint32_t i = 0; i < set->count; i++) {
        alphabet_add(&alphabet, set->keys[i]);
    }
    uint32_t fence_bytes = 4u << 20;
    ret->memory = mem_alloc(index_builder_bytes(KEYS_MAX, fence_bytes));
    ret->block_of = mem_alloc(set->count * sizeof(uint32_t));
    struct index_builder *builder = mem_alloc(sizeof(*builder));
    CHECK(ret->memory != NULL && ret->block_of != NULL && builder != NULL);
    index_builder_init(builder, ret->memory, KEYS_MAX, fence_bytes);
    index_builder_reset(builder, &alphabet);
    uint32_t block = 0;
    for (uint32_t i = 0; i < set->count; block++) {
        uint32_t end = i + 1 + (uint32_t)test_random_below(seed, most);
        end = end < set->count ? end : set->count;
        end = is_asked ? ask(builder, set, i, (uint32_t)most) : end;
        index_builder_add(builder, set->keys[i], 7, set->keys[end - 1]);
        for (; i < end; i++) {
            ret->block_of[i] = block;
        }
    }
    ret->bytes = mem_alloc(index_builder_size_max(builder));
    CHECK(ret->bytes != NULL);
    ret->len = index_builder_finish(builder, ret->bytes);
    CHECK(index_open(ret->bytes, ret->len, &ret->view));
    mem_free(builder);
}

static void drop(struct set *set, struct built *built)
{
    mem_free(built->memory);
    mem_free(built->bytes);
    mem_free(built->block_of);
    mem_free(set->bytes);
    mem_free(set->keys);
}

TEST(index, finds_the_block_of_every_key_and_a_safe_one_for_others)
{
    // Goal: exact for present keys. For an absent one the answer is the block of the next key or
    // the one before it, from which a lower bound goes on. Method: eight kinds of key sets, blocks
    // that end anywhere and where the index wants it.
    uint64_t seed = test_seed();
    for (uint32_t kind = 0; kind < 16; kind++) {
        struct set set = make_set(kind / 2, 6000, &seed);
        struct built built;
        build(&set, &seed, 1 + test_random_below(&seed, 40), kind % 2 == 1, &built);
        for (uint32_t i = 0; i < set.count; i++) {
            CHECK(index_find(&built.view, set.keys[i], 7) == built.block_of[i]);
        }
        uint32_t last_block = built.block_of[set.count - 1];
        for (uint32_t n = 0; n < 3000; n++) {
            char bytes[KEY_BYTES];
            struct slice key = {bytes, make_key(bytes, (uint32_t)test_random_below(&seed, 8),
                                                test_random_below(&seed, 6000), &seed)};
            uint32_t low = 0, high = set.count;
            while (low < high) {
                uint32_t middle = (low + high) / 2;
                if (slice_compare(set.keys[middle], key) < 0) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            uint32_t got = index_find(&built.view, key, COMMIT_MAX);
            uint32_t next = low == set.count ? last_block : built.block_of[low];
            CHECK(got == next || (low > 0 && got == built.block_of[low - 1]));
        }
        drop(&set, &built);
    }
}

TEST(index, costs_two_bytes_a_block_where_keys_are_even)
{
    // Goal: dense text and hashes need few segments; the worst set needs no more than a block
    // index.
    uint64_t seed = test_seed();
    static const uint32_t most[8] = {3, 4, 4, 24, 3, 64, 5, 40}; /* bytes a block */
    for (uint32_t kind = 0; kind < 7; kind++) {
        struct set set = make_set(kind, KEYS_MAX, &seed);
        struct built built;
        build(&set, &seed, 40, false, &built);
        uint64_t blocks = built.view.block_count;
        uint64_t fixed = 2048; /* the alphabet */
        CHECK(built.len <= fixed + most[kind] * blocks + 64);
        drop(&set, &built);
    }
}

TEST(index, costs_six_bits_a_block_where_the_writer_asks_it)
{
    // Goal: walks cover hashes and numbers, at less than three quarters of a byte a block beside
    // the alphabet and the first walks, and blocks lose few keys for it.
    uint64_t seed = test_seed();
    for (uint32_t kind = 0; kind < 5; kind += kind == 1 ? 3 : 1) { /* 3 are gaps that double */
        struct set set = make_set(kind, KEYS_MAX, &seed);
        struct built built;
        build(&set, &seed, 22, true, &built);
        uint64_t blocks = built.view.block_count;
        CHECK(blocks < (uint64_t)set.count * 105 / 100 / 22);
        CHECK(built.len <= 1400 + (blocks * 3 + 3) / 4);
        drop(&set, &built);
    }
}

TEST(index, a_group_of_a_walk_may_be_the_last_of_the_data)
{
    // Goal: reading whole chunks stays within the index. Method: walks of every length around
    // multiples of a group, found key by key; sanitizers watch.
    uint64_t seed = test_seed();
    for (uint32_t blocks = 24; blocks < 100; blocks++) {
        struct set set = make_set(1, blocks * 4, &seed);
        struct built built;
        build(&set, &seed, 4, true, &built);
        for (uint32_t i = 0; i < set.count; i++) {
            CHECK(index_find(&built.view, set.keys[i], 7) == built.block_of[i]);
        }
        drop(&set, &built);
    }
}

TEST(index, refuses_damaged_bytes_or_answers_within_bounds)
{
    // Goal: whatever the bytes, index_open refuses or index_find stays inside. Method: flip bytes.
    uint64_t seed = test_seed();
    for (uint32_t kind = 0; kind < 3; kind++) {
        bool is_asked = kind < 2; /* walks, ties with walks, lines */
        struct set set = make_set(kind == 1 ? 5 : 1, 2000, &seed);
        struct built built;
        build(&set, &seed, 10, is_asked, &built);
        for (uint32_t n = 0; n < 2000; n++) {
            uint64_t at = test_random_below(&seed, built.len);
            uint8_t before = built.bytes[at];
            built.bytes[at] = (uint8_t)test_random(&seed);
            struct index_view view;
            if (index_open(built.bytes, built.len, &view)) {
                CHECK(index_find(&view, set.keys[n % set.count], n) < view.block_count);
            }
            built.bytes[at] = before;
        }
        drop(&set, &built);
    }
}

TEST(filter, has_no_false_negative_and_few_false_positives)
{
    // Goal: every key that was added is found; at 12 bits a key fewer than 1 in 100 others are.
    enum {
        COUNT = 20000
    };
    uint64_t len = filter_bytes(COUNT, 12), false_positives = 0;
    uint8_t *bits = mem_calloc(1, len);
    CHECK(bits != NULL);
    for (uint64_t i = 0; i < COUNT; i++) {
        filter_add(bits, len, 12, filter_hash((struct slice){(const char *)&i, sizeof(i)}));
    }
    for (uint64_t i = 0; i < 5 * COUNT; i++) {
        uint64_t hash = filter_hash((struct slice){(const char *)&i, sizeof(i)});
        bool may = filter_may_have(bits, len, 12, hash);
        CHECK(i >= COUNT || may);
        false_positives += i >= COUNT && may;
    }
    CHECK(false_positives < 4 * COUNT / 100);
    mem_free(bits);
}
