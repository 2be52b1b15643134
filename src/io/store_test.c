/* Threads over a real folder: what the simulator, which has one thread, cannot show. */
#include "base/sweep.h"
#include "base/test.h"
#include "io/codec.h"
#include "io/store.h"

#include <pthread.h>

#define ACCOUNTS 64u
#define WRITERS 4u
#define TRANSFERS 150u
#define OPENING_BALANCE 1000u

struct bank {
    struct store *store;
    const char *path;
    uint64_t seed;
    uint32_t retries;
    bool is_over; /* __atomic: the writers are done */
};

static const struct kernel_options small = {
    .memtable_bytes = 64 << 10,
    .memtables = 2,
    .cache_bytes = 1 << 20,
    .table_bytes = 2 << 20,
    .run_bytes = 64 << 10,
    .runs_max = 256,
    .txns_max = 16,
    .txn_bytes = 16 << 10,
    .wal_buffer_bytes = 64 << 10,
    .wal_segment_bytes = 256 << 10,
    .level_base_bytes = 256 << 10,
    .level_codecs = {IO_CODEC_LZ4, IO_CODEC_ZSTD, IO_CODEC_LZ4}};

static struct slice account_key(uint64_t account, char key[24])
{
    int len = snprintf(key, 24, "account/%04llu", (unsigned long long)account);
    return (struct slice){key, (size_t)len};
}

static uint64_t balance_of(struct kernel_txn *txn, uint64_t account)
{
    char key[24];
    struct slice value;
    uint64_t balance = 0;
    ASSERT(kernel_get(txn, account_key(account, key), &value) == ERR_OK);
    ASSERT(value.len >= sizeof(balance));
    memcpy(&balance, value.ptr, sizeof(balance));
    return balance;
}

static void set_balance(struct kernel_txn *txn, uint64_t account, uint64_t balance)
{
    char key[24], value[200] = {0};
    memcpy(value, &balance, sizeof(balance));
    ASSERT(kernel_put(txn, account_key(account, key), (struct slice){value, sizeof(value)}) ==
           ERR_OK);
}

static void *move_money(void *arg)
{
    struct bank *bank = arg;
    struct errinfo info;
    for (uint32_t i = 0; i < TRANSFERS;) {
        struct kernel_txn *txn = NULL;
        ASSERT(store_begin(bank->store, KERNEL_SNAPSHOT, &txn, &info) == ERR_OK);
        uint64_t from = test_random_below(&bank->seed, ACCOUNTS);
        uint64_t to = (from + 1 + test_random_below(&bank->seed, ACCOUNTS - 1)) % ACCOUNTS;
        uint64_t amount = test_random_below(&bank->seed, 10), have = balance_of(txn, from);
        amount = amount < have ? amount : have;
        set_balance(txn, from, have - amount);
        set_balance(txn, to, balance_of(txn, to) + amount);
        uint64_t commit = 0;
        enum err result = store_commit(bank->store, txn, true, &commit, &info);
        ASSERT(result == ERR_OK || result == ERR_BUSY);
        i += result == ERR_OK;
        bank->retries += result == ERR_BUSY;
    }
    return NULL;
}

static uint64_t sum_by_scan(struct kernel_txn *txn, bool is_backward)
{
    struct kernel_range range = {.from = SLICE("account/"), .to = SLICE("account0")};
    range.is_backward = is_backward;
    struct kernel_scan *scan = NULL;
    struct slice key, value;
    uint64_t sum = 0, count = 0;
    ASSERT(kernel_scan_open(txn, &range, &scan) == ERR_OK);
    while (kernel_scan_next(scan, &key, &value) == ERR_OK) {
        uint64_t balance = 0;
        memcpy(&balance, value.ptr, sizeof(balance));
        sum += balance;
        count++;
    }
    kernel_scan_close(scan);
    ASSERT(count == ACCOUNTS);
    return sum;
}

static void *add_up(void *arg)
{
    struct bank *bank = arg;
    struct errinfo info;
    for (uint32_t i = 0; !__atomic_load_n(&bank->is_over, __ATOMIC_ACQUIRE); i++) {
        struct kernel_txn *txn = NULL;
        ASSERT(store_begin(bank->store, KERNEL_READ_ONLY, &txn, &info) == ERR_OK);
        uint64_t sum = 0;
        for (uint64_t account = 0; (i & 1) == 0 && account < ACCOUNTS; account++) {
            sum += balance_of(txn, account);
        }
        if ((i & 1) != 0) {
            sum = sum_by_scan(txn, (i & 2) != 0);
        }
        ASSERT(sum == (uint64_t)ACCOUNTS * OPENING_BALANCE);
        store_rollback(bank->store, txn);
    }
    return NULL;
}

static void open_accounts(struct store *store)
{
    struct errinfo info;
    struct kernel_txn *txn = NULL;
    CHECK_OK(store_begin(store, KERNEL_SNAPSHOT, &txn, &info));
    for (uint64_t account = 0; account < ACCOUNTS; account++) {
        set_balance(txn, account, OPENING_BALANCE);
    }
    uint64_t commit = 0;
    CHECK_OK(store_commit(store, txn, true, &commit, &info));
}

TEST(store, readers_see_whole_transactions_while_writers_flush_and_merge)
{
    // Goal: the sum of all balances is the same at every snapshot, by gets and by scans in both
    // directions, while memtables rotate and runs are merged; and after an opening.
    const char *path = test_folder();
    struct errinfo info;
    struct store *store = NULL;
    CHECK_OK(store_open(path, &small, &store, &info));
    open_accounts(store);
    struct bank banks[WRITERS + 2];
    pthread_t threads[WRITERS + 2];
    uint64_t seed = test_seed();
    for (uint32_t i = 0; i < WRITERS + 2; i++) {
        banks[i] = (struct bank){.store = store, .seed = test_random(&seed)};
        CHECK(pthread_create(&threads[i], NULL, i < WRITERS ? move_money : add_up, &banks[i]) == 0);
    }
    for (uint32_t i = 0; i < WRITERS + 2; i++) {
        if (i == WRITERS) {
            __atomic_store_n(&banks[i].is_over, true, __ATOMIC_RELEASE);
            __atomic_store_n(&banks[i + 1].is_over, true, __ATOMIC_RELEASE);
        }
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    CHECK_OK(store_settle(store, &info));
    CHECK_OK(store_verify(store, &info));
    struct kernel_stats stats;
    store_get_stats(store, &stats);
    CHECK(stats.flushes > 0 && stats.durable == WRITERS * TRANSFERS + 1);
    CHECK(stats.syncs <= stats.durable + stats.flushes + 8);
    store_close(store);

    CHECK_OK(store_open(path, &small, &store, &info));
    struct kernel_txn *txn = NULL;
    CHECK_OK(store_begin(store, KERNEL_READ_ONLY, &txn, &info));
    CHECK(sum_by_scan(txn, false) == (uint64_t)ACCOUNTS * OPENING_BALANCE);
    store_rollback(store, txn);
    store_close(store);
}

TEST(store, a_folder_is_open_once)
{
    // Goal: a second opening is refused with words, and works when the first is closed.
    const char *path = test_folder();
    struct errinfo info;
    struct store *one = NULL, *two = NULL;
    CHECK_OK(store_open(path, &small, &one, &info));
    CHECK_ERR(ERR_BUSY, store_open(path, &small, &two, &info));
    CHECK(strstr(info.message, "open elsewhere") != NULL);
    store_close(one);
    CHECK_OK(store_open(path, &small, &two, &info));
    store_close(two);
}

TEST(store, backups_are_stores_of_their_moment)
{
    // Goal: fifty backups into one folder while the store changes: each opens, verifies, and has
    // what was there then; opening one changes nothing in the store it came from.
    const char *path = test_folder(), *copy = test_folder();
    struct errinfo info;
    struct store *store = NULL, *backup = NULL;
    CHECK_OK(store_open(path, &small, &store, &info));
    for (uint64_t i = 0; i < 50; i++) {
        struct kernel_txn *txn = NULL;
        uint64_t commit = 0;
        CHECK_OK(store_begin(store, KERNEL_SNAPSHOT, &txn, &info));
        for (uint64_t account = 0; account < ACCOUNTS; account++) {
            set_balance(txn, account, i);
        }
        CHECK_OK(store_commit(store, txn, false, &commit, &info));
        CHECK_OK(store_backup(store, copy, &info));
        CHECK_OK(store_open(copy, &small, &backup, &info));
        CHECK_OK(store_verify(backup, &info));
        CHECK_OK(store_begin(backup, KERNEL_SNAPSHOT, &txn, &info));
        CHECK(kernel_txn_snapshot(txn) == commit);
        CHECK(balance_of(txn, i % ACCOUNTS) == i && sum_by_scan(txn, true) == i * ACCOUNTS);
        set_balance(txn, 0, 77); /* only in the backup */
        CHECK_OK(store_commit(backup, txn, true, &commit, &info));
        store_close(backup);
    }
    CHECK_OK(store_settle(store, &info));
    CHECK_OK(store_verify(store, &info));
    struct kernel_txn *txn = NULL;
    CHECK_OK(store_begin(store, KERNEL_READ_ONLY, &txn, &info));
    CHECK(sum_by_scan(txn, false) == 49 * ACCOUNTS);
    store_rollback(store, txn);
    store_close(store);
}

TEST(store, damage_is_named)
{
    // Goal: a byte changed in a run's file is an error that names the file.
    const char *path = test_folder();
    struct errinfo info;
    struct store *store = NULL;
    CHECK_OK(store_open(path, &small, &store, &info));
    open_accounts(store);
    CHECK_OK(store_settle(store, &info));
    store_close(store);
    char file[256];
    (void)snprintf(file, sizeof(file), "%s/run-0000000000000001", path);
    FILE *run = fopen(file, "r+b");
    CHECK(run != NULL && fseek(run, 300, SEEK_SET) == 0);
    int before = fgetc(run);
    CHECK(fseek(run, 300, SEEK_SET) == 0 && fputc(before ^ 1, run) != EOF && fclose(run) == 0);
    CHECK_OK(store_open(path, &small, &store, &info));
    CHECK_ERR(ERR_CORRUPT, store_verify(store, &info));
    CHECK(strstr(info.message, "run-0000000000000001") != NULL);
    store_close(store);
}

TEST(store, takes_no_memory_once_it_is_open)
{
    // Goal: what the kernel needs is taken at open. Method: every allocation from then on would be
    // counted and fail, through writes, flushes, merges, gets, scans and a check of all bytes.
    struct errinfo info;
    struct store *store = NULL;
    CHECK_OK(store_open(test_folder(), &small, &store, &info));
    struct fault fault = {.kind = FAULT_ALLOC, .step = 1};
    fault_arm(&fault);
    for (int round = 0; round < 300; round++) {
        struct kernel_txn *txn = NULL;
        char key[24], value[500] = {0};
        uint64_t commit = 0;
        CHECK_OK(store_begin(store, KERNEL_SERIALIZABLE, &txn, &info));
        for (uint64_t i = 0; i < 10; i++) {
            struct slice name = account_key(((uint64_t)round * 7 + i * 13) % 1000, key), got;
            enum err result = kernel_get(txn, name, &got);
            CHECK(result == ERR_OK || result == ERR_NOT_FOUND);
            CHECK_OK(kernel_put(txn, name, (struct slice){value, sizeof(value)}));
        }
        struct kernel_scan *scan = NULL;
        struct kernel_range range = {.from = SLICE("account/05")};
        struct slice name, got;
        CHECK_OK(kernel_scan_open(txn, &range, &scan));
        for (int i = 0; i < 20 && kernel_scan_next(scan, &name, &got) == ERR_OK; i++) {
            CHECK(got.len == sizeof(value));
        }
        CHECK_OK(store_commit(store, txn, round % 8 == 0, &commit, &info));
    }
    CHECK_OK(store_settle(store, &info));
    CHECK_OK(store_verify(store, &info));
    fault_disarm();
    CHECK(!fault.fired);
    struct kernel_stats stats;
    store_get_stats(store, &stats);
    CHECK(stats.flushes > 1 && stats.compactions > 0);
    store_close(store);
}
