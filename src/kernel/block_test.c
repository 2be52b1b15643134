/* Blocks of a run, and the places of packed ones. */
#include "base/test.h"
#include "kernel/block.h"
#include "kernel/places.h"

#define KEYS_MAX 200u
#define KEY_BYTES 48u

struct set {
    char bytes[KEYS_MAX][KEY_BYTES];
    struct slice keys[KEYS_MAX];
    uint64_t commits[KEYS_MAX];
    uint32_t count;
};

static int compare(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

/* Keys behind one prefix, of any length, some with several versions: newest first. */
static void make_set(struct set *set, size_t prefix_len, uint64_t *seed)
{
    struct slice keys[KEYS_MAX];
    uint32_t count = 1 + (uint32_t)test_random_below(seed, 60);
    for (uint32_t i = 0; i < count; i++) {
        size_t len = prefix_len + test_random_below(seed, 12);
        memset(set->bytes[i], 'm', prefix_len);
        for (size_t k = prefix_len; k < len; k++) {
            set->bytes[i][k] = (char)test_random_below(seed, 3);
        }
        keys[i] = (struct slice){set->bytes[i], len};
    }
    qsort(keys, count, sizeof(*keys), compare);
    set->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0 && slice_equal(keys[i], keys[i - 1])) {
            continue;
        }
        uint64_t commit = 100;
        for (uint64_t version = test_random_below(seed, 3); set->count < KEYS_MAX; version--) {
            set->keys[set->count] = keys[i];
            set->commits[set->count++] = commit;
            commit -= 1 + test_random_below(seed, 20);
            if (version == 0) {
                break;
            }
        }
    }
}

/* One that is there, a part of one, one that goes on, or one beside them. */
static struct slice make_probe(const struct set *set, char *out, uint64_t *seed)
{
    struct slice key = set->keys[test_random_below(seed, set->count)];
    size_t len = key.len;
    memcpy(out, key.ptr, len);
    switch (test_random_below(seed, 4)) {
    case 0:
        len = test_random_below(seed, len + 1);
        break;
    case 1:
        out[len++] = (char)test_random_below(seed, 4);
        break;
    case 2:
        if (len > 0) {
            size_t at = test_random_below(seed, len);
            out[at] = (char)(out[at] + (test_random_below(seed, 2) == 0 ? 1 : -1));
        }
        break;
    default:
        break;
    }
    return (struct slice){out, len};
}

TEST(block, seeks_land_where_a_walk_would)
{
    // Goal: the first entry at or behind a key and commit, also for keys that are shorter than all
    // that the block's keys have in common, or differ within it.
    static struct block_writer writer;
    static struct set set;
    uint64_t seed = test_seed();
    for (unsigned round = 0; round < 400; round++) {
        uint8_t block[BLOCK_BYTES];
        struct crc32c crc;
        crc32c_init(&crc, false);
        make_set(&set, test_random_below(&seed, 3) * 9, &seed);
        block_writer_reset(&writer);
        uint32_t count = 0;
        for (; count < set.count; count++) {
            struct entry entry = {
                .key = set.keys[count], .value = SLICE("v"), .commit = set.commits[count]};
            if (!block_writer_add(&writer, &entry)) {
                break;
            }
        }
        block_writer_finish(&writer, count, &crc, 7, 3, block);
        CHECK(block_check(&crc, 7, 3, block) && block_entry_count(block) == count);
        for (unsigned i = 0; i < 60; i++) {
            char bytes[KEY_BYTES + 1];
            struct slice key = make_probe(&set, bytes, &seed);
            uint64_t commit =
                test_random_below(&seed, 4) == 0 ? COMMIT_MAX : test_random_below(&seed, 110);
            uint32_t wanted = 0;
            while (wanted < count &&
                   entry_compare(set.keys[wanted], set.commits[wanted], key, commit) < 0) {
                wanted++;
            }
            CHECK(block_seek(block, key, commit) == wanted);
        }
    }
}

TEST(places, each_block_begins_where_the_one_before_it_ends)
{
    // Goal: through whole groups, at their first and last blocks, whatever lengths there are.
    uint64_t seed = test_seed();
    for (unsigned round = 0; round < 100; round++) {
        uint8_t units[3 * PLACES_GROUP_BLOCKS + 1];
        uint8_t places[4 * PLACES_GROUP_BYTES];
        uint32_t count = 1 + (uint32_t)test_random_below(&seed, sizeof(units));
        uint64_t end = 0;
        for (uint32_t i = 0; i < count; i++) {
            units[i] = (uint8_t)test_random_below(&seed, 256);
        }
        CHECK(places_bytes(count) <= sizeof(places));
        places_write(units, count, places);
        for (uint32_t i = 0; i < count; i++) {
            uint64_t offset;
            uint32_t len;
            places_find(places, i, &offset, &len);
            CHECK(offset == end && len == (units[i] + 1u) * PLACE_UNIT_BYTES);
            end += len;
        }
        CHECK(places_are_sound(places, count, end));
        CHECK(!places_are_sound(places, count, end + PLACE_UNIT_BYTES));
    }
}
