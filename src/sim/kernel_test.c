/* The kernel through its API, over simulated disks that do not fail: what each call promises.
 * Faults are the simulator's (src/sim), threads those of src/io. */
#include "base/mem.h"
#include "base/test.h"
#include "kernel/kernel.h"
#include "sim/sim_codec.h"
#include "sim/sim_disk.h"

struct fixture {
    struct kernel_options options;
    struct sim_disk *disk;
    void *memory;
    struct kernel *kernel;
};

static void reopen(struct fixture *f)
{
    struct kernel_io io = sim_disk_io(f->disk);
    kernel_close(f->kernel);
    f->kernel = NULL;
    struct kernel_fault fault;
    CHECK_OK(kernel_open(&f->options, &io, f->memory, &f->kernel, &fault));
}

static void setup(struct fixture *f)
{
    *f = (struct fixture){.options = {.memtable_bytes = 64 << 10,
                                      .memtables = 2,
                                      .cache_bytes = 1 << 20,
                                      .table_bytes = 1 << 20,
                                      .run_bytes = 64 << 10,
                                      .runs_max = 256,
                                      .txns_max = 4,
                                      .txn_bytes = 16 << 10,
                                      .value_bytes_max = 8 << 10,
                                      .wal_buffer_bytes = 32 << 10,
                                      .wal_segment_bytes = 128 << 10,
                                      .level_base_bytes = 256 << 10}};
    f->disk = sim_disk_new(test_seed());
    f->memory = mem_alloc(kernel_memory_bytes(&f->options, NULL));
    CHECK(f->disk != NULL && f->memory != NULL);
    reopen(f);
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

static void put(struct kernel_txn *txn, const char *key, const char *value)
{
    CHECK_OK(kernel_put(txn, slice_of(key), slice_of(value)));
}

static void check_get(struct kernel_txn *txn, const char *key, const char *value)
{
    struct slice got;
    if (value == NULL) {
        CHECK_ERR(ERR_NOT_FOUND, kernel_get(txn, slice_of(key), &got));
    } else {
        CHECK_OK(kernel_get(txn, slice_of(key), &got));
        CHECK_SLICE(value, got);
    }
}

static uint64_t commit(struct kernel_txn *txn)
{
    uint64_t number = 0;
    CHECK_OK(kernel_commit(txn, &number));
    return number;
}

static uint64_t put_one(struct fixture *f, const char *key, const char *value)
{
    struct kernel_txn *txn = begin(f, KERNEL_SNAPSHOT);
    put(txn, key, value);
    return commit(txn);
}

TEST(kernel, a_transaction_reads_its_own_writes_and_others_do_not)
{
    // Goal: overlay, isolation of what is not committed, savepoints.
    struct fixture f;
    setup(&f);
    (void)put_one(&f, "a", "1");
    struct kernel_txn *writer = begin(&f, KERNEL_SNAPSHOT);
    put(writer, "a", "2");
    put(writer, "b", "3");
    uint64_t mark = kernel_savepoint(writer);
    put(writer, "b", "4");
    CHECK_OK(kernel_delete(writer, SLICE("a")));
    check_get(writer, "a", NULL);
    check_get(writer, "b", "4");
    kernel_rollback_to(writer, mark);
    check_get(writer, "a", "2");
    check_get(writer, "b", "3");
    struct kernel_txn *other = begin(&f, KERNEL_SNAPSHOT);
    check_get(other, "a", "1");
    check_get(other, "b", NULL);
    (void)commit(writer);
    check_get(other, "a", "1"); /* its snapshot */
    kernel_rollback(other);
    other = begin(&f, KERNEL_SNAPSHOT);
    check_get(other, "a", "2");
    kernel_rollback(other);
    teardown(&f);
}

TEST(kernel, the_first_committer_wins)
{
    // Goal: two transactions that change one key: the second to commit is refused, whole.
    struct fixture f;
    setup(&f);
    struct kernel_txn *one = begin(&f, KERNEL_SNAPSHOT), *two = begin(&f, KERNEL_SNAPSHOT);
    put(one, "k", "one");
    put(two, "k", "two");
    put(two, "other", "two");
    (void)commit(two);
    uint64_t number = 77;
    CHECK_ERR(ERR_BUSY, kernel_commit(one, &number));
    CHECK(number == 77);
    struct kernel_txn *reader = begin(&f, KERNEL_SNAPSHOT);
    check_get(reader, "k", "two");
    kernel_rollback(reader);
    teardown(&f);
}

/* Two doctors, each of whom leaves if the other is on call. Returns how many left. */
static int write_skew(enum kernel_isolation isolation, bool is_by_scan)
{
    struct fixture f;
    setup(&f);
    (void)put_one(&f, "doctor/a", "on");
    (void)put_one(&f, "doctor/b", "on");
    struct kernel_txn *txns[2] = {begin(&f, isolation), begin(&f, isolation)};
    static const char *const names[2] = {"doctor/a", "doctor/b"};
    int left = 0;
    for (int i = 0; i < 2; i++) {
        if (is_by_scan) {
            struct kernel_range range = {.from = SLICE("doctor/"), .to = SLICE("doctor0")};
            struct kernel_scan *scan = NULL;
            struct slice key, value;
            CHECK_OK(kernel_scan_open(txns[i], &range, &scan));
            int count = 0;
            while (kernel_scan_next(scan, &key, &value) == ERR_OK) {
                count += slice_equal(value, SLICE("on"));
            }
            kernel_scan_close(scan);
            CHECK(count == 2);
        } else {
            check_get(txns[i], names[1 - i], "on");
        }
        put(txns[i], names[i], "off");
    }
    for (int i = 0; i < 2; i++) {
        uint64_t number = 0;
        left += kernel_commit(txns[i], &number) == ERR_OK;
    }
    teardown(&f);
    return left;
}

TEST(kernel, serializable_forbids_write_skew_and_snapshot_does_not)
{
    // Goal: the textbook anomaly, by point reads and by a scan.
    CHECK(write_skew(KERNEL_SNAPSHOT, false) == 2);
    CHECK(write_skew(KERNEL_SNAPSHOT, true) == 2);
    CHECK(write_skew(KERNEL_SERIALIZABLE, false) == 1);
    CHECK(write_skew(KERNEL_SERIALIZABLE, true) == 1);
}

TEST(kernel, a_watermark_changes_no_read_at_or_above_it)
{
    // Goal: after merges the newest version at or below the watermark stays, even of cold keys, and
    // older ones go. Method: three generations of 300 keys, the last of only half of them.
    struct fixture f;
    setup(&f);
    char key[32], value[32];
    uint64_t marks[3] = {0};
    for (int generation = 0; generation < 3; generation++) {
        for (int i = 0; i < 300; i++) {
            if (generation < 2 || i % 2 == 0) {
                (void)snprintf(key, sizeof(key), "key%05d", i);
                (void)snprintf(value, sizeof(value), "value %d of %d", generation, i);
                marks[generation] = put_one(&f, key, value);
            }
        }
        CHECK_OK(kernel_flush(f.kernel));
    }
    CHECK_OK(kernel_sync(f.kernel));
    kernel_set_watermark(f.kernel, marks[1]);
    for (int i = 0; i < 4; i++) { /* enough runs for a merge */
        (void)put_one(&f, "more", "runs");
        CHECK_OK(kernel_flush(f.kernel));
    }
    bool is_more = true;
    while (is_more) {
        CHECK_OK(kernel_work(f.kernel, 1 << 20, &is_more));
    }
    CHECK_OK(kernel_verify(f.kernel));
    struct kernel_stats stats;
    kernel_get_stats(f.kernel, &stats);
    CHECK(stats.compactions > 0);
    CHECK(stats.run_entries < 300 + 150 + 10); /* the first generation is gone */
    struct kernel_txn *txn = NULL;
    CHECK_ERR(ERR_NOT_FOUND, kernel_begin_at(f.kernel, marks[1] - 1, &txn));
    for (int generation = 1; generation < 3; generation++) {
        CHECK_OK(kernel_begin_at(f.kernel, marks[generation], &txn));
        for (int i = 0; i < 300; i++) {
            (void)snprintf(key, sizeof(key), "key%05d", i);
            (void)snprintf(value, sizeof(value), "value %d of %d",
                           generation == 2 && i % 2 == 0 ? 2 : 1, i);
            check_get(txn, key, value);
        }
        kernel_rollback(txn);
    }
    teardown(&f);
}

/* Puts keys from `first` on, each once, and does all upkeep. */
static void load_in_order(struct fixture *f, int first, int count, struct kernel_stats *ret_stats)
{
    char key[32], value[200];
    bool is_more = true;
    memset(value, 'v', sizeof(value));
    value[sizeof(value) - 1] = '\0';
    for (int i = first; i < first + count; i++) {
        (void)snprintf(key, sizeof(key), "key%08d", i);
        (void)put_one(f, key, value);
    }
    CHECK_OK(kernel_flush(f->kernel));
    while (is_more) {
        CHECK_OK(kernel_work(f->kernel, 1 << 20, &is_more));
    }
    kernel_get_stats(f->kernel, ret_stats);
}

TEST(kernel, a_load_in_order_is_written_once)
{
    // Goal: runs that overlap none are moved, not written again; what is found is the same, also
    // after an opening, and a later load over it is merged. Method: 6,000 new keys in order, twice.
    struct fixture f;
    struct kernel_stats loaded, again;
    char key[32];
    setup(&f);
    load_in_order(&f, 0, 6000, &loaded);
    CHECK(loaded.moves > 2);
    CHECK(loaded.run_bytes_written < loaded.user_bytes * 3 / 2);
    CHECK_OK(kernel_verify(f.kernel));
    reopen(&f);
    struct kernel_txn *txn = begin(&f, KERNEL_READ_ONLY);
    for (int i = 0; i < 6000; i += 7) {
        struct slice got;
        (void)snprintf(key, sizeof(key), "key%08d", i);
        CHECK_OK(kernel_get(txn, slice_of(key), &got));
        CHECK(got.len == 199);
    }
    kernel_rollback(txn);
    load_in_order(&f, 0, 6000, &again);
    CHECK(again.compactions > 0);
    kernel_set_watermark(f.kernel, kernel_durable(f.kernel));
    CHECK_OK(kernel_verify(f.kernel));
    teardown(&f);
}

TEST(kernel, deletions_are_merged_and_not_moved)
{
    // Goal: a deletion with nothing below it goes, though its run overlaps none and could be moved.
    // Method: 3,000 keys in order that nobody has put, too long and too random to be packed.
    struct fixture f;
    struct kernel_stats stats;
    char key[400];
    uint64_t random = test_seed();
    bool is_more = true;
    setup(&f);
    for (int i = 0; i < 3000; i++) {
        int len = snprintf(key, sizeof(key), "key%08d-", i);
        for (int part = 0; part < 15; part++) {
            len += snprintf(key + len, sizeof(key) - (size_t)len, "%016llx",
                            (unsigned long long)test_random_below(&random, UINT64_MAX));
        }
        struct kernel_txn *txn = begin(&f, KERNEL_SNAPSHOT);
        CHECK_OK(kernel_delete(txn, slice_of(key)));
        (void)commit(txn);
        CHECK_OK(kernel_sync(f.kernel));
        kernel_set_watermark(f.kernel, kernel_durable(f.kernel));
    }
    CHECK_OK(kernel_flush(f.kernel));
    while (is_more) {
        CHECK_OK(kernel_work(f.kernel, 1 << 20, &is_more));
    }
    kernel_get_stats(f.kernel, &stats);
    CHECK(stats.compactions > 0 && stats.moves == 0);
    CHECK(stats.run_entries < 1500); /* what is left waits in level 0 */
    teardown(&f);
}

static void open_fifty_times(bool is_work_apart)
{
    struct fixture f;
    setup(&f);
    f.options.is_work_apart = is_work_apart;
    reopen(&f);
    char key[32], value[32];
    for (int i = 0; i < 50; i++) {
        for (int n = 0; n < 5; n++) {
            (void)snprintf(key, sizeof(key), "round%03d-%d", i, n);
            (void)snprintf(value, sizeof(value), "%d", i * n);
            (void)put_one(&f, key, value);
        }
        CHECK_OK(kernel_sync(f.kernel));
        uint64_t committed = kernel_committed(f.kernel);
        CHECK(committed == (uint64_t)(i + 1) * 5);
        reopen(&f);
        CHECK(kernel_committed(f.kernel) == committed);
        struct kernel_stats stats;
        kernel_get_stats(f.kernel, &stats);
        CHECK(stats.level_runs[0] <= 12);
    }
    struct kernel_txn *txn = begin(&f, KERNEL_READ_ONLY);
    for (int i = 0; i < 50; i++) {
        (void)snprintf(key, sizeof(key), "round%03d-4", i);
        (void)snprintf(value, sizeof(value), "%d", i * 4);
        check_get(txn, key, value);
    }
    kernel_rollback(txn);
    teardown(&f);
}

TEST(kernel, fifty_openings_lose_nothing)
{
    // Goal: numbers go on after an opening, and every acknowledged commit is there (the failure
    // that stores with a replay guard have). Each opening flushes: where nobody lives long enough
    // to merge, it merges too.
    open_fifty_times(false);
    open_fifty_times(true);
}

TEST(kernel, fifty_flushes_on_demand_leave_few_runs)
{
    // Goal: who flushes again and again (each backup does), and lets nobody work, fills no level
    // beyond its bound; while a reader holds what a merge needs, nothing is lost.
    struct fixture f;
    setup(&f);
    f.options.is_work_apart = true;
    reopen(&f);
    char key[32];
    struct kernel_txn *reader = begin(&f, KERNEL_READ_ONLY);
    for (int i = 0; i < 50; i++) {
        (void)snprintf(key, sizeof(key), "%03d", i);
        (void)put_one(&f, key, "v");
        enum err result = kernel_flush(f.kernel);
        CHECK(result == ERR_OK || result == ERR_LIMIT);
    }
    kernel_rollback(reader);
    CHECK_OK(kernel_flush(f.kernel));
    struct kernel_stats stats;
    kernel_get_stats(f.kernel, &stats);
    CHECK(stats.level_runs[0] <= 12);
    reopen(&f);
    reader = begin(&f, KERNEL_READ_ONLY);
    for (int i = 0; i < 50; i++) {
        (void)snprintf(key, sizeof(key), "%03d", i);
        check_get(reader, key, "v");
    }
    kernel_rollback(reader);
    teardown(&f);
}

TEST(kernel, limits_are_refused_and_leave_the_transaction_as_it_was)
{
    // Goal: too long keys and values, a full transaction, too many transactions.
    struct fixture f;
    setup(&f);
    static char big[KERNEL_KEY_BYTES_MAX + 1], long_value[(8 << 10) + 1];
    struct kernel_txn *txn = begin(&f, KERNEL_SNAPSHOT);
    CHECK_ERR(ERR_LIMIT, kernel_put(txn, (struct slice){big, sizeof(big)}, SLICE("")));
    CHECK_ERR(ERR_LIMIT,
              kernel_put(txn, SLICE("k"), (struct slice){long_value, sizeof(long_value)}));
    struct slice most = {big, KERNEL_KEY_BYTES_MAX};
    CHECK_OK(kernel_put(txn, (struct slice){big, KERNEL_KEY_BYTES_MAX}, most));
    int count = 0;
    char key[16];
    enum err result = ERR_OK;
    for (; result == ERR_OK && count < 1000; count++) {
        (void)snprintf(key, sizeof(key), "%d", count);
        result = kernel_put(txn, slice_of(key), most);
    }
    CHECK(result == ERR_LIMIT && count < 20);
    check_get(txn, key, NULL);
    (void)commit(txn);
    struct kernel_txn *all[5] = {NULL};
    for (int i = 0; i < 4; i++) {
        all[i] = begin(&f, KERNEL_READ_ONLY);
    }
    CHECK_ERR(ERR_BUSY, kernel_begin(f.kernel, KERNEL_READ_ONLY, &all[4]));
    for (int i = 0; i < 4; i++) {
        kernel_rollback(all[i]);
    }
    CHECK_ERR(ERR_INVALID, kernel_open(&(struct kernel_options){.memtables = 99},
                                       &(struct kernel_io){0}, f.memory, &f.kernel, NULL));
    teardown(&f);
}

static size_t first_bytes(UNUSED void *ctx, UNUSED struct slice key, struct slice value,
                          char *ret_value)
{
    size_t len = value.len < 3 ? value.len : 3;
    memcpy(ret_value, value.ptr, len);
    return len;
}

static void check_long(struct fixture *f, uint32_t count, bool is_backward)
{
    static char wanted[8 << 10];
    struct kernel_txn *txn = begin(f, KERNEL_SNAPSHOT);
    struct kernel_range range = {.is_backward = is_backward};
    struct kernel_scan *scan = NULL;
    struct slice key, value;
    CHECK_OK(kernel_scan_open(txn, &range, &scan));
    for (uint32_t n = 0; n < count; n++) {
        uint32_t i = is_backward ? count - 1 - n : n;
        memset(wanted, (int)('a' + i % 26), sizeof(wanted));
        CHECK_OK(kernel_scan_next(scan, &key, &value));
        CHECK(slice_equal(value, (struct slice){wanted, 100 * i}));
    }
    CHECK_ERR(ERR_NOT_FOUND, kernel_scan_next(scan, &key, &value));
    kernel_scan_close(scan);
    range.project = first_bytes;
    CHECK_OK(kernel_scan_open(txn, &range, &scan));
    for (uint32_t n = 0; n < count; n++) {
        uint32_t i = is_backward ? count - 1 - n : n;
        CHECK_OK(kernel_scan_next(scan, &key, &value));
        CHECK(value.len == (i == 0 ? 0 : 3) && (i == 0 || value.ptr[2] == (char)('a' + i % 26)));
    }
    kernel_rollback(txn);
}

TEST(kernel, long_values_are_read_from_wherever_they_lie)
{
    // Goal: values of 0 to 8,100 bytes come back from gets, scans both ways and projections, out of
    // memtables, flushed and merged runs and after an opening; a deleted one is gone.
    enum {
        COUNT = 82
    };
    struct fixture f;
    setup(&f);
    static char bytes[8 << 10];
    char key[16];
    for (int round = 0; round < 2; round++) { /* the second is merged into the first */
        for (int i = 0; i < COUNT; i++) {
            memset(bytes, 'a' + i % 26, sizeof(bytes));
            (void)snprintf(key, sizeof(key), "k%03d", i);
            struct kernel_txn *txn = begin(&f, KERNEL_SNAPSHOT);
            CHECK_OK(kernel_put(txn, slice_of(key), (struct slice){bytes, 100 * (size_t)i}));
            (void)commit(txn);
        }
        CHECK_OK(kernel_flush(f.kernel));
        check_long(&f, COUNT, false);
        bool is_more = true;
        while (is_more) {
            CHECK_OK(kernel_work(f.kernel, 10000, &is_more));
        }
        check_long(&f, COUNT, round == 1);
        reopen(&f);
        check_long(&f, COUNT, round == 0);
    }
    CHECK_OK(kernel_verify(f.kernel));
    struct kernel_stats stats;
    kernel_get_stats(f.kernel, &stats);
    CHECK(stats.value_bytes >= 2000 * 100 && stats.compactions + stats.runs > 0);
    struct kernel_txn *txn = begin(&f, KERNEL_SNAPSHOT);
    CHECK_OK(kernel_delete(txn, SLICE("k081")));
    (void)commit(txn);
    check_long(&f, COUNT - 1, true);
    teardown(&f);
}

TEST(kernel, blocks_of_each_level_are_compressed_as_it_is_set)
{
    // Goal: pairs come back from compressed runs, beside those without; such runs are smaller; a
    // store without the codec says so and leaves all as it was. Method: values of many zeros,
    // compressed from level 1 on; reopened with the setting, without the codec, and without the
    // setting.
    struct fixture f;
    setup(&f);
    struct kernel_codec codec = sim_codec();
    f.options.codecs = &codec;
    f.options.codec_count = 1;
    memset(f.options.level_codecs + 1, SIM_CODEC_ID, sizeof(f.options.level_codecs) - 1);
    reopen(&f);
    char key[16], value[500] = {0};
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 2000; i++) {
            (void)snprintf(key, sizeof(key), "k%05d", i * 7 % 2000);
            (void)snprintf(value, sizeof(value), "%s in round %d", key, round);
            struct kernel_txn *txn = begin(&f, KERNEL_SNAPSHOT);
            CHECK_OK(kernel_put(txn, slice_of(key), (struct slice){value, sizeof(value)}));
            (void)commit(txn);
        }
        f.options.level_codecs[0] = round == 1 ? SIM_CODEC_ID : 0;
        CHECK_OK(kernel_flush(f.kernel));
        CHECK_OK(kernel_verify(f.kernel));
        reopen(&f);
        struct kernel_txn *txn = begin(&f, KERNEL_SNAPSHOT);
        for (int i = 0; i < 2000; i += 17) {
            (void)snprintf(key, sizeof(key), "k%05d", i);
            (void)snprintf(value, sizeof(value), "%s in round %d", key, round);
            struct slice got;
            CHECK_OK(kernel_get(txn, slice_of(key), &got));
            CHECK(got.len == sizeof(value) && strcmp(got.ptr, value) == 0);
        }
        kernel_rollback(txn);
    }
    bool is_more = true;
    while (is_more) {
        CHECK_OK(kernel_work(f.kernel, 100000, &is_more));
    }
    struct kernel_stats stats;
    kernel_get_stats(f.kernel, &stats);
    CHECK(stats.compactions > 0 && stats.block_bytes * 2 < stats.run_blocks * 4096);

    kernel_close(f.kernel);
    f.options.codec_count = 0;
    memset(f.options.level_codecs, 0, sizeof(f.options.level_codecs));
    struct kernel_io io = sim_disk_io(f.disk);
    CHECK_ERR(ERR_UNSUPPORTED, kernel_open(&f.options, &io, f.memory, &f.kernel, NULL));
    f.options.level_codecs[3] = SIM_CODEC_ID; /* which is not there */
    CHECK_ERR(ERR_INVALID, kernel_open(&f.options, &io, f.memory, &f.kernel, NULL));
    f.options.level_codecs[3] = 0;
    f.options.codec_count = 1;
    f.kernel = NULL;
    reopen(&f);
    CHECK_OK(kernel_verify(f.kernel));
    teardown(&f);
}
