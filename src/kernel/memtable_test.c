#include "base/test.h"
#include "kernel/memtable.h"

static struct entry entry_of(const char *key, uint64_t commit, const char *value)
{
    return (struct entry){.key = slice_of(key), .value = slice_of(value), .commit = commit};
}

static void check_at(const struct memtable *table, memtable_node node, const char *key,
                     uint64_t commit)
{
    struct entry entry;
    CHECK(node != 0);
    memtable_at(table, node, &entry);
    CHECK_SLICE(key, entry.key);
    CHECK(entry.commit == commit);
}

TEST(memtable, newest_version_of_a_key_comes_first)
{
    // Goal: order by key, then newest first; seeks land between versions.
    static uint64_t memory[1024];
    struct memtable table;
    memtable_init(&table, memory, sizeof(memory));
    const struct entry entries[] = {entry_of("b", 5, "x"), entry_of("a", 1, "y"),
                                    entry_of("b", 9, "z"), entry_of("ab", 3, ""),
                                    entry_of("", 2, "empty")};
    for (size_t i = 0; i < ARRAY_COUNT(entries); i++) {
        memtable_put(&table, &entries[i]);
    }
    memtable_node node = memtable_first(&table);
    check_at(&table, node, "", 2);
    check_at(&table, node = memtable_next(&table, node), "a", 1);
    check_at(&table, node = memtable_next(&table, node), "ab", 3);
    check_at(&table, node = memtable_next(&table, node), "b", 9);
    check_at(&table, node = memtable_next(&table, node), "b", 5);
    CHECK(memtable_next(&table, node) == 0);
    check_at(&table, memtable_seek(&table, SLICE("b"), COMMIT_MAX), "b", 9);
    check_at(&table, memtable_seek(&table, SLICE("b"), 8), "b", 5);
    CHECK(memtable_seek(&table, SLICE("b"), 4) == 0);
    check_at(&table, memtable_seek_before(&table, SLICE("b"), COMMIT_MAX), "ab", 3);
    check_at(&table, memtable_seek_before(&table, SLICE("b"), 7), "b", 9);
    CHECK(memtable_seek_before(&table, SLICE(""), COMMIT_MAX) == 0);
    check_at(&table, memtable_last(&table), "b", 5);
}

TEST(memtable, truncate_takes_back_what_came_later)
{
    // Goal: a rollback to a savepoint leaves exactly the entries before it, in order.
    static uint64_t memory[8192];
    struct memtable table;
    memtable_init(&table, memory, sizeof(memory));
    uint64_t seed = test_seed();
    uint32_t mark = 0, kept = 0;
    char key[16];
    for (uint64_t i = 0; i < 400; i++) {
        if (i == 150) {
            mark = table.used;
            kept = table.entry_count;
        }
        (void)snprintf(key, sizeof(key), "%08llx", (unsigned long long)test_random(&seed) & 0xFFF);
        struct entry entry = entry_of(key, i + 1, "value");
        memtable_put(&table, &entry);
    }
    memtable_truncate(&table, mark);
    CHECK(table.entry_count == kept && kept == 150);
    uint32_t count = 0;
    struct entry last = {0}, entry;
    for (memtable_node at = memtable_first(&table); at != 0; at = memtable_next(&table, at)) {
        memtable_at(&table, at, &entry);
        CHECK(entry.commit <= 150);
        CHECK(count == 0 || entry_compare(last.key, last.commit, entry.key, entry.commit) < 0);
        last = entry;
        count++;
    }
    CHECK(count == kept);
    struct entry again = entry_of("zz", 500, "after");
    memtable_put(&table, &again);
    check_at(&table, memtable_last(&table), "zz", 500);
}
