/* `moat kv bench`: what a store does on this machine and disk. One process, one store, keys of 24
 * bytes that are hashes of numbers, values of 150; every sixteenth value is compared. Beside other
 * stores it is measured by tests/bench/kernel. */
#include "cli/kv_measure.h"

#include <pthread.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"

#define KEY_BYTES 24u
#define VALUE_BYTES 150u
#define LOAD_BATCH 1000u
#define MANY 100u
#define THREADS_MAX 8u
#define READS_MAX 500000u
#define COMMITS 2000u /* of each thread */

struct bench {
    struct store *store;
    uint64_t pairs;
    struct errinfo *error;
    uint64_t sum; /* so that nothing that is read is for nothing */
};

static void make_key(uint64_t number, char key[KEY_BYTES])
{
    for (uint64_t i = 0; i < KEY_BYTES / 8; i++) {
        struct slice text = {(const char *)&number, sizeof(number)};
        uint64_t word = hash_xx64(text, i);
        memcpy(key + 8 * i, &word, 8);
    }
}

static void make_value(uint64_t number, char value[VALUE_BYTES])
{
    memset(value, (int)(number % 251), VALUE_BYTES);
    memcpy(value, &number, sizeof(number));
}

static uint64_t pick(uint64_t *random, uint64_t bound)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (*random >> 16) % bound;
}

static void row(const char *what, double value, const char *unit)
{
    printf("%-36s %12.0f  %s\n", what, value, unit);
    (void)fflush(stdout);
}

static void rate(const char *what, uint64_t count, int64_t start_us)
{
    row(what, (double)count * 1e6 / (double)(clock_mono_us() - start_us + 1), "a second");
}

static enum err put(struct kernel_txn *txn, uint64_t number)
{
    char key[KEY_BYTES], value[VALUE_BYTES];
    make_key(number, key);
    make_value(number, value);
    return kernel_put(txn, (struct slice){key, KEY_BYTES}, (struct slice){value, VALUE_BYTES});
}

static enum err load(struct bench *b)
{
    int64_t start = clock_mono_us();
    for (uint64_t first = 0; first < b->pairs; first += LOAD_BATCH) {
        struct kernel_txn *txn = NULL;
        uint64_t commit = 0;
        TRY(store_begin(b->store, KERNEL_SNAPSHOT, &txn, b->error));
        for (uint64_t i = first; i < b->pairs && i < first + LOAD_BATCH; i++) {
            enum err result = put(txn, i);
            if (result != ERR_OK) {
                store_rollback(b->store, txn);
                return store_report(b->store, result, b->error);
            }
        }
        TRY(store_commit(b->store, txn, false, &commit, b->error));
    }
    TRY(store_sync(b->store, b->error));
    rate("load, 1,000 pairs a commit", b->pairs, start);
    TRY(store_settle(b->store, b->error));
    rate("load until all is merged", b->pairs, start);
    return ERR_OK;
}

/* ---- Reads */

static enum err read_ones(struct bench *b, struct kernel_txn *txn, bool is_miss)
{
    uint64_t random = 1, count = b->pairs < READS_MAX ? b->pairs : READS_MAX;
    int64_t start = clock_mono_us();
    for (uint64_t i = 0; i < count; i++) {
        char key[KEY_BYTES], wanted[VALUE_BYTES];
        uint64_t number = pick(&random, b->pairs) + (is_miss ? b->pairs : 0);
        make_key(number, key);
        struct slice value;
        enum err result = kernel_get(txn, (struct slice){key, KEY_BYTES}, &value);
        if (result != (is_miss ? ERR_NOT_FOUND : ERR_OK)) {
            return result == ERR_OK || result == ERR_NOT_FOUND ? ERR_CORRUPT : result;
        }
        make_value(number, wanted);
        if (!is_miss && (i & 15) == 0 && !slice_equal(value, (struct slice){wanted, VALUE_BYTES})) {
            return ERR_CORRUPT;
        }
    }
    rate(is_miss ? "gets of absent keys" : "gets, uniform", count, start);
    return ERR_OK;
}

static void add_up(void *ctx, UNUSED uint32_t index, bool is_found, struct slice value)
{
    struct bench *b = ctx;
    b->sum += is_found ? value.len : 0;
}

static int by_key(const void *a, const void *b)
{
    return memcmp(a, b, KEY_BYTES);
}

static enum err read_many(struct bench *b, struct kernel_txn *txn)
{
    uint64_t random = 2, batches = (b->pairs < READS_MAX ? b->pairs : READS_MAX) / MANY + 1;
    int64_t start = clock_mono_us();
    b->sum = 0;
    for (uint64_t i = 0; i < batches; i++) {
        char keys[MANY][KEY_BYTES];
        struct slice slices[MANY];
        for (uint32_t n = 0; n < MANY; n++) {
            make_key(pick(&random, b->pairs), keys[n]);
        }
        qsort(keys, MANY, KEY_BYTES, by_key);
        for (uint32_t n = 0; n < MANY; n++) {
            slices[n] = (struct slice){keys[n], KEY_BYTES};
        }
        TRY(kernel_multi_get(txn, slices, MANY, add_up, b));
    }
    if (b->sum != batches * MANY * VALUE_BYTES) {
        return ERR_CORRUPT;
    }
    rate("gets, 100 sorted keys at once", batches * MANY, start);
    return ERR_OK;
}

static enum err scans(struct bench *b, struct kernel_txn *txn, bool is_backward)
{
    struct kernel_range range = {.is_backward = is_backward};
    struct kernel_scan *scan = NULL;
    int64_t start = clock_mono_us();
    TRY(kernel_scan_open(txn, &range, &scan));
    uint64_t count = 0;
    struct slice key, value;
    enum err result = ERR_OK;
    while ((result = kernel_scan_next(scan, &key, &value)) == ERR_OK) {
        count++;
    }
    kernel_scan_close(scan);
    if (result != ERR_NOT_FOUND || count != b->pairs) {
        return result == ERR_NOT_FOUND ? ERR_CORRUPT : result;
    }
    rate(is_backward ? "rows of a scan backwards" : "rows of a scan", count, start);
    return ERR_OK;
}

static enum err reads(struct bench *b)
{
    struct kernel_txn *txn = NULL;
    TRY(store_begin(b->store, KERNEL_READ_ONLY, &txn, b->error));
    enum err result = read_ones(b, txn, false);
    result = result == ERR_OK ? read_ones(b, txn, true) : result;
    result = result == ERR_OK ? read_many(b, txn) : result;
    result = result == ERR_OK ? scans(b, txn, false) : result;
    result = result == ERR_OK ? scans(b, txn, true) : result;
    store_rollback(b->store, txn);
    return store_report(b->store, result, b->error);
}

/* ---- Commits */

struct committer {
    struct bench *bench;
    uint64_t first;
    int64_t *times_us;
    struct errinfo error;
    enum err result;
};

static void *commit_run(void *arg)
{
    struct committer *c = arg;
    struct store *store = c->bench->store;
    errinfo_init(&c->error);
    for (uint64_t i = 0; i < COMMITS && c->result == ERR_OK; i++) {
        int64_t start = clock_mono_us();
        struct kernel_txn *txn = NULL;
        uint64_t commit = 0;
        c->result = store_begin(store, KERNEL_SNAPSHOT, &txn, &c->error);
        if (c->result == ERR_OK && put(txn, c->first + i) != ERR_OK) {
            store_rollback(store, txn);
            c->result = ERR_LIMIT;
        } else if (c->result == ERR_OK) {
            c->result = store_commit(store, txn, true, &commit, &c->error);
        }
        c->times_us[i] = clock_mono_us() - start;
    }
    return NULL;
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static enum err commits(struct bench *b, uint32_t threads)
{
    pthread_t ids[THREADS_MAX];
    struct committer committers[THREADS_MAX];
    uint64_t count = (uint64_t)threads * COMMITS;
    int64_t *times_us = mem_calloc(count, sizeof(*times_us));
    if (times_us == NULL) {
        return errinfo_nomem(b->error);
    }
    int64_t start = clock_mono_us();
    uint32_t started = 0;
    for (; started < threads; started++) {
        committers[started] =
            (struct committer){.bench = b,
                               .first = (2 + threads) * b->pairs + (uint64_t)started * COMMITS,
                               .times_us = times_us + (uint64_t)started * COMMITS};
        if (pthread_create(&ids[started], NULL, commit_run, &committers[started]) != 0) {
            break;
        }
    }
    enum err result = started == threads ? ERR_OK : ERR_LIMIT;
    for (uint32_t i = 0; i < started; i++) {
        (void)pthread_join(ids[i], NULL);
        if (committers[i].result != ERR_OK) {
            *b->error = committers[i].error;
            result = committers[i].result;
        }
    }
    if (result == ERR_OK) {
        char what[64];
        (void)snprintf(what, sizeof(what), "durable commits, %u thread%s", threads,
                       threads == 1 ? "" : "s");
        rate(what, count, start);
        qsort(times_us, count, sizeof(*times_us), by_time);
        row("    half of them within", (double)times_us[count / 2], "us");
        row("    999 of 1,000 within", (double)times_us[count - 1 - count / 1000], "us");
    }
    mem_free(times_us);
    return result;
}

enum err kv_measure(struct store *store, uint64_t pairs, struct errinfo *error)
{
    struct kernel_stats stats;
    store_get_stats(store, &stats);
    if (stats.committed > 0) {
        return errinfo_set(error, ERR_EXISTS, NULL,
                           "the store holds something: a benchmark wants a folder of its own");
    }
    struct bench b = {.store = store, .pairs = pairs, .error = error};
    row("pairs, key 24 and value 150 bytes", (double)pairs, "");
    TRY(load(&b));
    TRY(reads(&b));
    TRY(commits(&b, 1));
    TRY(commits(&b, THREADS_MAX));
    store_get_stats(store, &stats);
    double user = (double)stats.user_bytes, entries = (double)stats.run_entries;
    printf("%-36s %12.2f  bytes\n", "written for a byte of pairs",
           (double)(stats.wal_bytes + stats.run_bytes_written) / user);
    printf("%-36s %12.3f  bytes\n", "index, a key", (double)stats.index_bytes / entries);
    printf("%-36s %12.3f  bytes\n", "filter, a key", (double)stats.filter_bytes / entries);
    return ERR_OK;
}
