/* Serializable transactions by hand: which of several that run side by side are refused. The whole
 * rule is held against random lives (sim_serial.c) and histories (history_test.c). */
#include "base/mem.h"
#include "base/test.h"
#include "kernel/kernel.h"
#include "sim/sim_disk.h"

struct fixture {
    struct sim_disk *disk;
    void *memory;
    struct kernel *kernel;
};

static void setup(struct fixture *f, uint64_t reads_bytes)
{
    struct kernel_options options = {.memtable_bytes = 256 << 10,
                                     .cache_bytes = 1 << 20,
                                     .table_bytes = 1 << 20,
                                     .run_bytes = 256 << 10,
                                     .runs_max = 64,
                                     .txns_max = 8,
                                     .txn_bytes = 32 << 10,
                                     .reads_bytes = reads_bytes,
                                     .wal_buffer_bytes = 64 << 10,
                                     .wal_segment_bytes = 256 << 10};
    f->disk = sim_disk_new(test_seed());
    f->memory = mem_alloc(kernel_memory_bytes(&options, NULL));
    CHECK(f->disk != NULL && f->memory != NULL);
    struct kernel_io io = sim_disk_io(f->disk);
    CHECK_OK(kernel_open(&options, &io, f->memory, &f->kernel, NULL));
}

static void teardown(struct fixture *f)
{
    kernel_close(f->kernel);
    sim_disk_free(f->disk);
    mem_free(f->memory);
}

static struct kernel_txn *begin(struct fixture *f, enum kernel_isolation isolation)
{
    struct kernel_txn *txn = NULL;
    CHECK_OK(kernel_begin(f->kernel, isolation, &txn));
    return txn;
}

static void get(struct kernel_txn *txn, const char *key)
{
    struct slice value;
    enum err result = kernel_get(txn, slice_of(key), &value);
    CHECK(result == ERR_OK || result == ERR_NOT_FOUND);
}

static void put(struct kernel_txn *txn, const char *key)
{
    CHECK_OK(kernel_put(txn, slice_of(key), SLICE("value")));
}

static void scan(struct kernel_txn *txn, const char *from, const char *to)
{
    struct kernel_range range = {.from = slice_of(from), .to = slice_of(to)};
    struct kernel_scan *at = NULL;
    struct slice key, value;
    CHECK_OK(kernel_scan_open(txn, &range, &at));
    while (kernel_scan_next(at, &key, &value) == ERR_OK) {
    }
    kernel_scan_close(at);
}

static bool commits(struct kernel_txn *txn)
{
    uint64_t number = 0;
    enum err result = kernel_commit(txn, &number);
    CHECK(result == ERR_OK || result == ERR_BUSY);
    return result == ERR_OK;
}

static struct kernel_stats stats(const struct fixture *f)
{
    struct kernel_stats stats;
    kernel_get_stats(f->kernel, &stats);
    return stats;
}

TEST(ssi, what_was_read_may_change_if_nothing_else_is_in_the_way)
{
    // Goal: one anti-dependency is no dangerous structure, by a get, many gets and a scan.
    struct fixture f;
    setup(&f, 0);
    for (int way = 0; way < 2; way++) {
        struct kernel_txn *one = begin(&f, KERNEL_SERIALIZABLE);
        struct kernel_txn *two = begin(&f, KERNEL_SERIALIZABLE);
        if (way == 0) {
            get(one, "x");
        } else {
            scan(one, "a", "z");
        }
        put(two, "x");
        CHECK(commits(two));
        put(one, "y");
        CHECK(commits(one));
    }
    CHECK(stats(&f).stale_commits == 2 && stats(&f).structures_refused == 0);
    teardown(&f);
}

TEST(ssi, a_structure_is_dangerous_if_its_end_commits_first)
{
    // Goal: one -> two -> three, committed in each order: the last of the three is refused where
    // "three" came first, and nobody else.
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int is_by_scan = 0; is_by_scan < 2; is_by_scan++) {
        for (int i = 0; i < 6; i++) {
            struct fixture f;
            setup(&f, 0);
            struct kernel_txn *txns[3];
            for (int n = 0; n < 3; n++) {
                txns[n] = begin(&f, KERNEL_SERIALIZABLE);
            }
            if (is_by_scan) {
                scan(txns[0], "a", "b");
                scan(txns[1], "c", "d");
            } else {
                get(txns[0], "a");
                get(txns[1], "c");
            }
            put(txns[0], "other");
            put(txns[1], "a");
            put(txns[2], "c");
            for (int n = 0; n < 3; n++) {
                CHECK(commits(txns[orders[i][n]]) == (n < 2 || orders[i][0] != 2));
            }
            teardown(&f);
        }
    }
}

TEST(ssi, reads_that_have_no_room_are_counted_as_forgotten)
{
    // Goal: of the memory for reads nothing is written over while it counts as kept. A ring of
    // 1 KiB holds four reads of keys this long, and room for eight records.
    char key[221];
    struct fixture f;
    setup(&f, 1024);
    struct kernel_txn *oldest = begin(&f, KERNEL_SERIALIZABLE);
    get(oldest, "x");
    for (int i = 0; i < 8; i++) {
        struct kernel_txn *txn = begin(&f, KERNEL_SERIALIZABLE);
        memset(key, 'a' + i, sizeof(key) - 1);
        key[sizeof(key) - 1] = '\0';
        get(txn, key);
        put(txn, "y");
        CHECK(commits(txn));
        CHECK(stats(&f).reads_forgotten == (uint64_t)(i < 4 ? 0 : i - 3));
    }
    kernel_rollback(oldest);
    teardown(&f);
}

/* The end of a cycle through what is not there: each scans for the other's key. */
TEST(ssi, a_key_that_was_not_there_counts_as_read)
{
    struct fixture f;
    setup(&f, 0);
    struct kernel_txn *one = begin(&f, KERNEL_SERIALIZABLE), *two = begin(&f, KERNEL_SERIALIZABLE);
    scan(one, "p", "q");
    scan(two, "p", "q");
    put(one, "p1");
    put(two, "p2");
    CHECK(commits(one));
    CHECK(!commits(two));
    teardown(&f);
}

/* Fekete, O'Neil and O'Neil 2004: receipts are added to the open batch, a batch is closed, a report
 * of it is made. Returns who was refused. */
static const char *report(enum kernel_isolation reader, bool is_report_first, bool is_early)
{
    struct fixture f;
    setup(&f, 0);
    struct kernel_txn *late = NULL, *early = is_early ? begin(&f, reader) : NULL;
    struct kernel_txn *receipt = begin(&f, KERNEL_SERIALIZABLE);
    get(receipt, "batch");
    put(receipt, "receipt/1");
    struct kernel_txn *closing = begin(&f, KERNEL_SERIALIZABLE);
    get(closing, "batch");
    put(closing, "batch");
    CHECK(commits(closing));
    CHECK_OK(kernel_sync(f.kernel));
    late = is_early ? early : begin(&f, reader);
    get(late, "batch");
    scan(late, "receipt/", "receipt0");
    const char *refused = "nobody";
    for (int i = 0; i < 2; i++) {
        bool is_report = (i == 0) == is_report_first;
        if (!commits(is_report ? late : receipt)) {
            refused = is_report ? "report" : "receipt";
        }
    }
    teardown(&f);
    return refused;
}

TEST(ssi, a_transaction_that_only_reads_takes_part)
{
    // Goal: a report that shows the batch closed may not miss a receipt of it; one from before may.
    CHECK_STR("receipt", report(KERNEL_SERIALIZABLE, true, false));
    CHECK_STR("report", report(KERNEL_SERIALIZABLE, false, false));
    CHECK_STR("nobody", report(KERNEL_SERIALIZABLE, true, true));
    CHECK_STR("nobody", report(KERNEL_SERIALIZABLE, false, true));
    CHECK_STR("nobody", report(KERNEL_READ_ONLY, true, false)); /* as kernel.h says */
    CHECK_STR("nobody", report(KERNEL_READ_ONLY, false, false));
}

/* Many transactions that read and write keys of their own. */
static void pass_by(struct fixture *f, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char read[32], written[32];
        (void)snprintf(read, sizeof(read), "read/%u", i);
        (void)snprintf(written, sizeof(written), "written/%u", i);
        struct kernel_txn *txn = begin(f, KERNEL_SERIALIZABLE);
        get(txn, read);
        put(txn, written);
        CHECK(commits(txn));
    }
}

TEST(ssi, too_little_memory_refuses_more_and_never_less)
{
    // Goal: a write skew with somebody whose reads are long forgotten is refused; so is a
    // transaction that is merely stale. Once it is over, all is as before.
    struct fixture f;
    setup(&f, 1024);
    struct kernel_txn *one = begin(&f, KERNEL_SERIALIZABLE), *old = begin(&f, KERNEL_SERIALIZABLE);
    struct kernel_txn *two = begin(&f, KERNEL_SERIALIZABLE);
    get(old, "x");
    put(old, "y");
    CHECK(commits(old));
    pass_by(&f, 300);
    CHECK(stats(&f).reads_forgotten > 200);
    get(one, "y");
    put(one, "x");
    CHECK(!commits(one));
    get(two, "y");
    put(two, "z");
    CHECK(!commits(two));
    uint64_t forgotten = stats(&f).reads_forgotten;
    pass_by(&f, 300); /* alone: nothing to keep */
    CHECK(stats(&f).reads_forgotten == forgotten);
    one = begin(&f, KERNEL_SERIALIZABLE);
    two = begin(&f, KERNEL_SERIALIZABLE);
    get(one, "x");
    put(two, "x");
    CHECK(commits(two));
    put(one, "q");
    CHECK(commits(one));
    teardown(&f);
}

TEST(ssi, with_enough_memory_the_same_is_let_through)
{
    // Goal: what the test above sees refused is refused for want of memory alone.
    struct fixture f;
    setup(&f, 1 << 20);
    struct kernel_txn *old = begin(&f, KERNEL_SERIALIZABLE), *two = begin(&f, KERNEL_SERIALIZABLE);
    get(old, "x");
    put(old, "y");
    CHECK(commits(old));
    pass_by(&f, 300);
    get(two, "y");
    put(two, "z");
    CHECK(commits(two));
    CHECK(stats(&f).reads_forgotten == 0);
    teardown(&f);
}

TEST(ssi, a_transaction_that_reads_too_much_counts_as_reading_everything)
{
    // Goal: reads beyond the list, before and after its commit.
    for (int is_first = 0; is_first < 2; is_first++) {
        struct fixture f;
        setup(&f, 0);
        struct kernel_txn *much = begin(&f, KERNEL_SERIALIZABLE);
        struct kernel_txn *other = begin(&f, KERNEL_SERIALIZABLE);
        for (uint32_t i = 0; i < 1000; i++) {
            char key[32];
            (void)snprintf(key, sizeof(key), "some/long/name/%u", i);
            get(much, key);
        }
        get(much, "x");
        put(much, "y");
        get(other, "y");
        put(other, "x");
        CHECK(commits(is_first ? much : other));
        CHECK(!commits(is_first ? other : much));
        teardown(&f);
    }
}

TEST(ssi, a_version_between_parts_two_transactions)
{
    // Goal: "late" writes over what "between" wrote, not over what "old" read, so it is no pivot
    // through "old"; and a key with more versions than are looked at is still found stale.
    struct fixture f;
    setup(&f, 0);
    struct kernel_txn *oldest = begin(&f, KERNEL_SERIALIZABLE); /* so that reads are kept */
    struct kernel_txn *old = begin(&f, KERNEL_SERIALIZABLE);
    get(old, "x");
    struct kernel_txn *between = begin(&f, KERNEL_SNAPSHOT);
    put(between, "x");
    CHECK(commits(between));
    struct kernel_txn *late = begin(&f, KERNEL_SERIALIZABLE);
    get(late, "y");
    put(late, "x");
    struct kernel_txn *last = begin(&f, KERNEL_SNAPSHOT);
    put(last, "y");
    CHECK(commits(last));
    put(old, "z");
    CHECK(commits(old));
    CHECK(commits(late));
    get(oldest, "y");
    for (uint32_t i = 0; i < 100; i++) {
        struct kernel_txn *txn = begin(&f, KERNEL_SNAPSHOT);
        put(txn, "y");
        CHECK(commits(txn));
    }
    put(oldest, "w");
    uint64_t stale = stats(&f).stale_commits;
    bool is_passed = commits(oldest); /* "late" is a pivot, and might be one that it read */
    CHECK(!is_passed && stats(&f).stale_commits == stale);
    teardown(&f);
}
