/* The kernel beside LMDB, RocksDB, SQLite and (built with WITH_REDB) redb: the same pairs, cache
 * and durability, one process.
 *
 *     kernel_peers FOLDER PAIRS CACHE_MIB [ENGINE...]
 *
 * Keys have 24 bytes, a hash of the pair's number or (KEYS=text) its decimal digits; values have
 * 150. Every answer is checked. CLOCK=cpu counts processor time instead of time that passes;
 * ORDER=key loads in the order of keys. Prints `name <tab> value <tab> unit` lines. */
#include "base/base.h"

#include <lmdb.h>
#include <math.h>
#include <pthread.h>
#include <rocksdb/c.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <time.h>

#include "io/codec.h"
#include "io/store.h"

#define KEY_BYTES 24u
#define VALUE_BYTES 150u
#define THREADS_MAX 64u

static uint64_t pairs, cache_bytes;
static bool is_text;
static bool is_cpu; /* count processor time of all threads: for a machine that others use too */

static double seconds(void)
{
    struct timespec now;
    clock_gettime(is_cpu ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static uint64_t next_random(uint64_t *state)
{
    return mix(*state += 0x9E3779B97F4A7C15u);
}

static void make_key(uint64_t n, char key[KEY_BYTES])
{
    if (is_text) {
        char digits[32];
        (void)snprintf(digits, sizeof(digits), "user%020llu", (unsigned long long)n);
        memcpy(key, digits, KEY_BYTES);
        return;
    }
    for (uint64_t i = 0; i < 3; i++) {
        uint64_t word = __builtin_bswap64(mix(n * 3 + i + 1));
        memcpy(key + 8 * i, &word, 8);
    }
}

static bool is_prose;
static char words[100][16];

static void make_value(uint64_t n, char value[VALUE_BYTES])
{
    if (is_prose) { /* some of a hundred words, as texts and JSON have them */
        char text[VALUE_BYTES + 16];
        for (uint32_t i = 0, used = 0; used < VALUE_BYTES; i++) {
            used += (uint32_t)snprintf(text + used, 16, "%.9s ", words[mix(n * 64 + i) % 100]);
        }
        memcpy(value, text, VALUE_BYTES);
        return;
    }
    for (uint32_t i = 0; i < VALUE_BYTES; i += 8) {
        uint64_t word = mix(n + i);
        memcpy(value + i, &word, VALUE_BYTES - i < 8 ? VALUE_BYTES - i : 8);
    }
}

static void must(bool is_good, const char *what)
{
    if (!is_good) {
        fprintf(stderr, "failed: %s\n", what);
        exit(1);
    }
}

/* ---- Engines */

struct engine {
    const char *name;
    void (*open)(const char *path);
    void (*close)(void);
    void (*load)(const uint64_t *numbers, uint32_t count); /* one transaction, not synced */
    void (*settle)(void);                                  /* all is on the disk */
    void *(*reader)(void);
    bool (*get)(void *reader, const char *key, char *value);
    uint64_t (*scan)(void *reader, const char *key, uint64_t limit); /* sums bytes of values */
    void (*reader_done)(void *reader);
    void (*commit)(uint64_t n); /* one pair, durable; many threads may call */
};

/* Moat's kernel */
static struct store *moat;
static struct errinfo moat_error;

static void moat_open(const char *path)
{
    struct kernel_options options = {.cache_bytes = cache_bytes,
                                     .table_bytes = 128u << 20,
                                     .txns_max = 80,
                                     .txn_bytes = 1u << 20};
    const char *codec = getenv("CODEC"); /* of level 1 and below */
    if (codec != NULL) {
        uint8_t id = 0;
        must(io_codec_parse(slice_of(codec), &id), "a codec: none, lz4, zstd");
        memset(options.level_codecs + 1, id, sizeof(options.level_codecs) - 1);
    }
    must(store_open(path, &options, &moat, &moat_error) == ERR_OK, moat_error.message);
}

static void moat_close(void)
{
    store_close(moat);
}

static void moat_load(const uint64_t *numbers, uint32_t count)
{
    struct kernel_txn *txn = NULL;
    must(store_begin(moat, KERNEL_SNAPSHOT, &txn, &moat_error) == ERR_OK, "begin");
    char key[KEY_BYTES], value[VALUE_BYTES];
    for (uint32_t i = 0; i < count; i++) {
        make_key(numbers[i], key);
        make_value(numbers[i], value);
        must(kernel_put(txn, (struct slice){key, KEY_BYTES}, (struct slice){value, VALUE_BYTES}) ==
                 ERR_OK,
             "put");
    }
    uint64_t commit = 0;
    must(store_commit(moat, txn, false, &commit, &moat_error) == ERR_OK, moat_error.message);
}

static void moat_settle(void)
{
    must(store_sync(moat, &moat_error) == ERR_OK, moat_error.message);
    struct kernel_stats stats;
    store_get_stats(moat, &stats);
    store_set_watermark(moat, stats.durable);
    must(store_settle(moat, &moat_error) == ERR_OK, moat_error.message);
}

static void *moat_reader(void)
{
    struct kernel_txn *txn = NULL;
    must(store_begin(moat, KERNEL_READ_ONLY, &txn, &moat_error) == ERR_OK, "begin");
    return txn;
}

static bool moat_get(void *reader, const char *key, char *value)
{
    struct slice got;
    enum err result = kernel_get(reader, (struct slice){key, KEY_BYTES}, &got);
    if (result == ERR_OK) {
        memcpy(value, got.ptr, VALUE_BYTES);
    }
    return result == ERR_OK;
}

static uint64_t moat_scan(void *reader, const char *key, uint64_t limit)
{
    struct kernel_range range = {.from = {key, KEY_BYTES}};
    struct kernel_scan *scan = NULL;
    must(kernel_scan_open(reader, &range, &scan) == ERR_OK, "scan");
    uint64_t sum = 0;
    struct slice got_key, got_value;
    while (limit-- > 0 && kernel_scan_next(scan, &got_key, &got_value) == ERR_OK) {
        sum += got_value.len;
    }
    kernel_scan_close(scan);
    return sum;
}

static void moat_reader_done(void *reader)
{
    store_rollback(moat, reader);
}

static void moat_commit(uint64_t n)
{
    struct kernel_txn *txn = NULL;
    struct errinfo error;
    char key[KEY_BYTES], value[VALUE_BYTES];
    make_key(n, key);
    make_value(n, value);
    uint64_t commit = 0;
    must(store_begin(moat, KERNEL_SNAPSHOT, &txn, &error) == ERR_OK, "begin");
    must(kernel_put(txn, (struct slice){key, KEY_BYTES}, (struct slice){value, VALUE_BYTES}) ==
             ERR_OK,
         "put");
    must(store_commit(moat, txn, true, &commit, &error) == ERR_OK, error.message);
}

/* RocksDB */
static rocksdb_t *rocks;
static rocksdb_readoptions_t *rocks_read;
static rocksdb_writeoptions_t *rocks_loose, *rocks_synced;

static void rocks_open(const char *path)
{
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(options, 1);
    rocksdb_options_set_compression(options, rocksdb_no_compression);
    rocksdb_options_set_write_buffer_size(options, 16u << 20);
    rocksdb_options_set_max_write_buffer_number(options, 3);
    rocksdb_options_set_max_background_jobs(options, 2);
    rocksdb_options_set_max_open_files(options, -1);
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_filter_policy(table,
                                                  rocksdb_filterpolicy_create_bloom_full(12));
    rocksdb_block_based_options_set_block_cache(table, rocksdb_cache_create_lru(cache_bytes));
    rocksdb_options_set_block_based_table_factory(options, table);
    char *error = NULL;
    rocks = rocksdb_open(options, path, &error);
    must(error == NULL, error);
    rocks_read = rocksdb_readoptions_create();
    rocks_loose = rocksdb_writeoptions_create();
    rocks_synced = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(rocks_synced, 1);
}

static void rocks_close(void)
{
    rocksdb_close(rocks);
}

static void rocks_load(const uint64_t *numbers, uint32_t count)
{
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    char key[KEY_BYTES], value[VALUE_BYTES], *error = NULL;
    for (uint32_t i = 0; i < count; i++) {
        make_key(numbers[i], key);
        make_value(numbers[i], value);
        rocksdb_writebatch_put(batch, key, KEY_BYTES, value, VALUE_BYTES);
    }
    rocksdb_write(rocks, rocks_loose, batch, &error);
    must(error == NULL, error);
    rocksdb_writebatch_destroy(batch);
}

static void rocks_settle(void)
{
    char *error = NULL;
    rocksdb_flushoptions_t *flush = rocksdb_flushoptions_create();
    rocksdb_flush(rocks, flush, &error);
    must(error == NULL, error);
    /* Until the background has nothing left to merge. */
    uint64_t pending = 1, running = 1;
    while (pending != 0 || running != 0) {
        must(rocksdb_property_int(rocks, "rocksdb.compaction-pending", &pending) == 0, "property");
        must(rocksdb_property_int(rocks, "rocksdb.num-running-compactions", &running) == 0,
             "property");
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

static void *rocks_reader(void)
{
    return rocks;
}

static bool rocks_get(void *reader, const char *key, char *value)
{
    char *error = NULL;
    rocksdb_pinnableslice_t *got = rocksdb_get_pinned(reader, rocks_read, key, KEY_BYTES, &error);
    must(error == NULL, error);
    if (got == NULL) {
        return false;
    }
    size_t len = 0;
    const char *bytes = rocksdb_pinnableslice_value(got, &len);
    memcpy(value, bytes, VALUE_BYTES);
    rocksdb_pinnableslice_destroy(got);
    return true;
}

static uint64_t rocks_scan(void *reader, const char *key, uint64_t limit)
{
    rocksdb_iterator_t *it = rocksdb_create_iterator(reader, rocks_read);
    uint64_t sum = 0;
    for (rocksdb_iter_seek(it, key, KEY_BYTES); limit-- > 0 && rocksdb_iter_valid(it);
         rocksdb_iter_next(it)) {
        size_t len = 0;
        (void)rocksdb_iter_value(it, &len);
        sum += len;
    }
    rocksdb_iter_destroy(it);
    return sum;
}

static void nothing(UNUSED void *reader)
{
}

static void rocks_commit(uint64_t n)
{
    char key[KEY_BYTES], value[VALUE_BYTES], *error = NULL;
    make_key(n, key);
    make_value(n, value);
    rocksdb_put(rocks, rocks_synced, key, KEY_BYTES, value, VALUE_BYTES, &error);
    must(error == NULL, error);
}

/* LMDB */
static MDB_env *lmdb;
static MDB_dbi lmdb_table;

struct lmdb_reader {
    MDB_txn *txn;
    MDB_cursor *cursor;
};

static void lmdb_open(const char *path)
{
    (void)mkdir(path, 0700);
    must(mdb_env_create(&lmdb) == 0, "lmdb");
    mdb_env_set_mapsize(lmdb, (size_t)64 << 30);
    mdb_env_set_maxreaders(lmdb, 200);
    must(mdb_env_open(lmdb, path, MDB_NOTLS, 0600) == 0, "lmdb open");
    MDB_txn *txn = NULL;
    must(mdb_txn_begin(lmdb, NULL, 0, &txn) == 0, "lmdb begin");
    must(mdb_dbi_open(txn, NULL, 0, &lmdb_table) == 0, "lmdb dbi");
    must(mdb_txn_commit(txn) == 0, "lmdb commit");
}

static void lmdb_close(void)
{
    mdb_env_close(lmdb);
}

static void lmdb_write(const uint64_t *numbers, uint32_t count)
{
    MDB_txn *txn = NULL;
    must(mdb_txn_begin(lmdb, NULL, 0, &txn) == 0, "lmdb begin");
    char key[KEY_BYTES], value[VALUE_BYTES];
    for (uint32_t i = 0; i < count; i++) {
        make_key(numbers[i], key);
        make_value(numbers[i], value);
        MDB_val k = {KEY_BYTES, key}, v = {VALUE_BYTES, value};
        must(mdb_put(txn, lmdb_table, &k, &v, 0) == 0, "lmdb put");
    }
    must(mdb_txn_commit(txn) == 0, "lmdb commit");
}

static void lmdb_load(const uint64_t *numbers, uint32_t count)
{
    mdb_env_set_flags(lmdb, MDB_NOSYNC, 1);
    lmdb_write(numbers, count);
}

static void lmdb_settle(void)
{
    must(mdb_env_sync(lmdb, 1) == 0, "lmdb sync");
    mdb_env_set_flags(lmdb, MDB_NOSYNC, 0);
}

static void *lmdb_reader_new(void)
{
    struct lmdb_reader *reader = (calloc)(1, sizeof(*reader));
    must(mdb_txn_begin(lmdb, NULL, MDB_RDONLY, &reader->txn) == 0, "lmdb begin");
    must(mdb_cursor_open(reader->txn, lmdb_table, &reader->cursor) == 0, "lmdb cursor");
    return reader;
}

static bool lmdb_get(void *reader, const char *key, char *value)
{
    struct lmdb_reader *r = reader;
    char copy[KEY_BYTES];
    memcpy(copy, key, KEY_BYTES);
    MDB_val k = {KEY_BYTES, copy}, v;
    if (mdb_get(r->txn, lmdb_table, &k, &v) != 0) {
        return false;
    }
    memcpy(value, v.mv_data, VALUE_BYTES);
    return true;
}

static uint64_t lmdb_scan(void *reader, const char *key, uint64_t limit)
{
    struct lmdb_reader *r = reader;
    char copy[KEY_BYTES];
    memcpy(copy, key, KEY_BYTES);
    MDB_val k = {KEY_BYTES, copy}, v;
    uint64_t sum = 0;
    for (int code = mdb_cursor_get(r->cursor, &k, &v, MDB_SET_RANGE); code == 0 && limit-- > 0;
         code = mdb_cursor_get(r->cursor, &k, &v, MDB_NEXT)) {
        sum += v.mv_size;
    }
    return sum;
}

static void lmdb_reader_done(void *reader)
{
    struct lmdb_reader *r = reader;
    mdb_cursor_close(r->cursor);
    mdb_txn_abort(r->txn);
    (free)(r);
}

static void lmdb_commit(uint64_t n)
{
    lmdb_write(&n, 1);
}

/* SQLite */
static char sqlite_path[512];
static __thread sqlite3 *sqlite_thread;

struct sqlite_reader {
    sqlite3 *db;
    sqlite3_stmt *get, *scan;
};

static sqlite3 *sqlite_connect(void)
{
    sqlite3 *db = NULL;
    must(sqlite3_open(sqlite_path, &db) == SQLITE_OK, "sqlite");
    char text[256];
    (void)snprintf(text, sizeof(text),
                   "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-%llu; "
                   "PRAGMA busy_timeout=60000;",
                   (unsigned long long)(cache_bytes >> 10));
    must(sqlite3_exec(db, text, NULL, NULL, NULL) == SQLITE_OK, "pragma");
    return db;
}

static void sqlite_open(const char *path)
{
    (void)mkdir(path, 0700);
    (void)snprintf(sqlite_path, sizeof(sqlite_path), "%s/db", path);
    sqlite_thread = sqlite_connect();
    must(sqlite3_exec(sqlite_thread,
                      "CREATE TABLE IF NOT EXISTS t(k BLOB PRIMARY KEY, v BLOB) WITHOUT ROWID",
                      NULL, NULL, NULL) == SQLITE_OK,
         "create");
}

static void sqlite_close_all(void)
{
    sqlite3_close(sqlite_thread);
    sqlite_thread = NULL;
}

static void sqlite_write(sqlite3 *db, const uint64_t *numbers, uint32_t count)
{
    sqlite3_stmt *put = NULL;
    must(sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO t VALUES(?,?)", -1, &put, NULL) ==
             SQLITE_OK,
         "prepare");
    must(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK, "begin");
    char key[KEY_BYTES], value[VALUE_BYTES];
    for (uint32_t i = 0; i < count; i++) {
        make_key(numbers[i], key);
        make_value(numbers[i], value);
        sqlite3_bind_blob(put, 1, key, KEY_BYTES, SQLITE_STATIC);
        sqlite3_bind_blob(put, 2, value, VALUE_BYTES, SQLITE_STATIC);
        must(sqlite3_step(put) == SQLITE_DONE, "put");
        sqlite3_reset(put);
    }
    must(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK, "commit");
    sqlite3_finalize(put);
}

static void sqlite_load(const uint64_t *numbers, uint32_t count)
{
    (void)sqlite3_exec(sqlite_thread, "PRAGMA synchronous=OFF", NULL, NULL, NULL);
    sqlite_write(sqlite_thread, numbers, count);
}

static void sqlite_settle(void)
{
    (void)sqlite3_exec(sqlite_thread, "PRAGMA synchronous=FULL", NULL, NULL, NULL);
    must(sqlite3_wal_checkpoint_v2(sqlite_thread, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) ==
             SQLITE_OK,
         "checkpoint");
}

static void *sqlite_reader_new(void)
{
    struct sqlite_reader *reader = (calloc)(1, sizeof(*reader));
    reader->db = sqlite_connect();
    must(sqlite3_prepare_v2(reader->db, "SELECT v FROM t WHERE k=?", -1, &reader->get, NULL) ==
             SQLITE_OK,
         "prepare");
    must(sqlite3_prepare_v2(reader->db, "SELECT v FROM t WHERE k>=? ORDER BY k LIMIT ?", -1,
                            &reader->scan, NULL) == SQLITE_OK,
         "prepare");
    (void)sqlite3_exec(reader->db, "BEGIN", NULL, NULL, NULL);
    return reader;
}

static bool sqlite_get(void *reader, const char *key, char *value)
{
    struct sqlite_reader *r = reader;
    sqlite3_bind_blob(r->get, 1, key, KEY_BYTES, SQLITE_STATIC);
    bool is_found = sqlite3_step(r->get) == SQLITE_ROW;
    if (is_found) {
        memcpy(value, sqlite3_column_blob(r->get, 0), VALUE_BYTES);
    }
    sqlite3_reset(r->get);
    return is_found;
}

static uint64_t sqlite_scan(void *reader, const char *key, uint64_t limit)
{
    struct sqlite_reader *r = reader;
    sqlite3_bind_blob(r->scan, 1, key, KEY_BYTES, SQLITE_STATIC);
    sqlite3_bind_int64(r->scan, 2, (sqlite3_int64)limit);
    uint64_t sum = 0;
    while (sqlite3_step(r->scan) == SQLITE_ROW) {
        sum += (uint64_t)sqlite3_column_bytes(r->scan, 0);
    }
    sqlite3_reset(r->scan);
    return sum;
}

static void sqlite_reader_done(void *reader)
{
    struct sqlite_reader *r = reader;
    sqlite3_finalize(r->get);
    sqlite3_finalize(r->scan);
    sqlite3_close(r->db);
    (free)(r);
}

static void sqlite_commit(uint64_t n)
{
    if (sqlite_thread == NULL) {
        sqlite_thread = sqlite_connect();
    }
    sqlite_write(sqlite_thread, &n, 1);
}

#ifdef WITH_REDB /* tests/bench/redb/lib.rs */
void *redb_peer_open(const char *path, uint64_t cache_bytes);
void redb_peer_close(void *database);
void redb_peer_write(const void *database, const char *keys, size_t key_bytes, const char *values,
                     size_t value_bytes, size_t count, bool is_durable);
void *redb_peer_reader(const void *database);
void redb_peer_reader_done(void *reader);
bool redb_peer_get(const void *reader, const char *key, size_t key_bytes, char *ret_value);
uint64_t redb_peer_scan(const void *reader, const char *key, size_t key_bytes, uint64_t limit);

static void *redb;

static void redb_open(const char *path)
{
    redb = redb_peer_open(path, cache_bytes);
}

static void redb_close(void)
{
    redb_peer_close(redb);
}

static void redb_write(const uint64_t *numbers, uint32_t count, bool is_durable)
{
    static __thread char keys[1000 * KEY_BYTES], values[1000 * VALUE_BYTES];
    must(count <= 1000, "a batch");
    for (uint32_t i = 0; i < count; i++) {
        make_key(numbers[i], keys + i * KEY_BYTES);
        make_value(numbers[i], values + i * VALUE_BYTES);
    }
    redb_peer_write(redb, keys, KEY_BYTES, values, VALUE_BYTES, count, is_durable);
}

static void redb_load(const uint64_t *numbers, uint32_t count)
{
    redb_write(numbers, count, false);
}

static void redb_settle(void)
{
    redb_write(NULL, 0, true);
}

static void *redb_reader_new(void)
{
    return redb_peer_reader(redb);
}

static bool redb_get(void *reader, const char *key, char *value)
{
    return redb_peer_get(reader, key, KEY_BYTES, value);
}

static uint64_t redb_scan(void *reader, const char *key, uint64_t limit)
{
    return redb_peer_scan(reader, key, KEY_BYTES, limit);
}

static void redb_commit(uint64_t n)
{
    redb_write(&n, 1, true);
}
#endif

static const struct engine engines[] = {
    {"moat", moat_open, moat_close, moat_load, moat_settle, moat_reader, moat_get, moat_scan,
     moat_reader_done, moat_commit},
    {"rocksdb", rocks_open, rocks_close, rocks_load, rocks_settle, rocks_reader, rocks_get,
     rocks_scan, nothing, rocks_commit},
    {"lmdb", lmdb_open, lmdb_close, lmdb_load, lmdb_settle, lmdb_reader_new, lmdb_get, lmdb_scan,
     lmdb_reader_done, lmdb_commit},
    {"sqlite", sqlite_open, sqlite_close_all, sqlite_load, sqlite_settle, sqlite_reader_new,
     sqlite_get, sqlite_scan, sqlite_reader_done, sqlite_commit},
#ifdef WITH_REDB
    {"redb", redb_open, redb_close, redb_load, redb_settle, redb_reader_new, redb_get, redb_scan,
     redb_peer_reader_done, redb_commit},
#endif
};

/* ---- Measurements */

static void report(const struct engine *e, const char *what, double value, const char *unit)
{
    printf("%s %s\t%.4g\t%s\n", e->name, what, value, unit);
    fflush(stdout);
}

struct numbered {
    uint64_t head; /* the first bytes of the key */
    uint64_t number;
};

static struct numbered *in_order; /* of keys; NULL: pairs are loaded in no order */

static int compare_heads(const void *a, const void *b)
{
    const struct numbered *x = a, *y = b;
    return x->head < y->head ? -1 : x->head > y->head;
}

static void sort_pairs(void)
{
    in_order = (malloc)(pairs * sizeof(*in_order));
    must(in_order != NULL, "memory for the order of keys");
    for (uint64_t i = 0; i < pairs; i++) {
        char key[KEY_BYTES];
        make_key(i, key);
        memcpy(&in_order[i].head, key + (is_text ? KEY_BYTES - 8 : 0), 8);
        in_order[i].head = __builtin_bswap64(in_order[i].head);
        in_order[i].number = i;
    }
    qsort(in_order, pairs, sizeof(*in_order), compare_heads);
}

static void load_all(const struct engine *e)
{
    enum {
        BATCH = 1000
    };
    uint64_t numbers[BATCH];
    double start = seconds();
    for (uint64_t i = 0; i < pairs; i += BATCH) {
        uint32_t count = (uint32_t)(pairs - i < BATCH ? pairs - i : BATCH);
        for (uint32_t j = 0; j < count; j++) { /* every number once, in no order */
            numbers[j] =
                in_order != NULL ? in_order[i + j].number : ((i + j) * 0x9E3779B1u) % pairs;
        }
        e->load(numbers, count);
    }
    report(e, in_order == NULL ? "load, random order" : "load, in order",
           (double)pairs / (seconds() - start) / 1e3, "k/s");
    e->settle();
    report(e, "load until settled", (double)pairs / (seconds() - start) / 1e3, "k/s");
}

struct read_job {
    const struct engine *engine;
    uint64_t seed, count;
    const double *zipf; /* NULL: uniform */
    bool is_miss;
};

/* Zipf with exponent 0.99 (Gray et al. 1994, as in YCSB). */
static double zipf_zeta, zipf_eta;
#define ZIPF_THETA 0.99

static void zipf_init(void)
{
    double zeta2 = 1 + pow(0.5, ZIPF_THETA);
    zipf_zeta = 0;
    for (uint64_t i = 1; i <= pairs; i++) {
        zipf_zeta += 1 / pow((double)i, ZIPF_THETA);
    }
    zipf_eta = (1 - pow(2.0 / (double)pairs, 1 - ZIPF_THETA)) / (1 - zeta2 / zipf_zeta);
}

static uint64_t zipf_next(uint64_t *random)
{
    double u = (double)(next_random(random) >> 11) / 9007199254740992.0, uz = u * zipf_zeta;
    if (uz < 1) {
        return 0;
    }
    if (uz < 1 + pow(0.5, ZIPF_THETA)) {
        return 1;
    }
    uint64_t rank =
        (uint64_t)((double)pairs * pow(zipf_eta * u - zipf_eta + 1, 1 / (1 - ZIPF_THETA)));
    return mix(rank) % pairs; /* hot pairs lie anywhere */
}

static void *read_run(void *arg)
{
    const struct read_job *job = arg;
    void *reader = job->engine->reader();
    uint64_t random = job->seed;
    char key[KEY_BYTES], value[VALUE_BYTES], wanted[VALUE_BYTES];
    for (uint64_t i = 0; i < job->count; i++) {
        uint64_t n = job->zipf != NULL ? zipf_next(&random) : next_random(&random) % pairs;
        make_key(job->is_miss ? n + pairs : n, key);
        bool is_found = job->engine->get(reader, key, value);
        must(is_found != job->is_miss, "a pair that is there, or is not");
        if (is_found && (i & 15) == 0) {
            make_value(n, wanted);
            must(memcmp(value, wanted, VALUE_BYTES) == 0, "the right value");
        }
    }
    job->engine->reader_done(reader);
    return NULL;
}

static void reads(const struct engine *e, const char *what, uint32_t threads, uint64_t count,
                  bool is_zipf, bool is_miss)
{
    pthread_t ids[THREADS_MAX];
    struct read_job jobs[THREADS_MAX];
    double start = seconds();
    for (uint32_t i = 0; i < threads; i++) {
        jobs[i] = (struct read_job){e, i + 7, count, is_zipf ? &zipf_zeta : NULL, is_miss};
        must(pthread_create(&ids[i], NULL, read_run, &jobs[i]) == 0, "thread");
    }
    for (uint32_t i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
    }
    report(e, what, (double)(count * threads) / (seconds() - start) / 1e3, "k/s");
}

static void scans(const struct engine *e, uint64_t count)
{
    void *reader = e->reader();
    uint64_t random = 3, sum = 0, rows = 0;
    char key[KEY_BYTES];
    double start = seconds();
    for (uint64_t i = 0; i < count; i++) {
        make_key(next_random(&random) % pairs, key);
        uint64_t got = e->scan(reader, key, 100);
        sum += got;
        rows += got / VALUE_BYTES;
    }
    must(sum > 0, "a scan");
    report(e, "range scans of 100", (double)rows / (seconds() - start) / 1e3, "k rows/s");
    start = seconds();
    memset(key, 0, sizeof(key));
    rows = e->scan(reader, key, UINT64_MAX) / VALUE_BYTES;
    must(rows >= pairs, "a full scan");
    report(e, "full scan", (double)rows / (seconds() - start) / 1e3, "k rows/s");
    e->reader_done(reader);
}

struct commit_job {
    const struct engine *engine;
    uint64_t first, count;
    double *times;
};

static void *commit_run(void *arg)
{
    const struct commit_job *job = arg;
    for (uint64_t i = 0; i < job->count; i++) {
        double start = seconds();
        job->engine->commit(job->first + i);
        job->times[i] = seconds() - start;
    }
    if (job->engine->commit == sqlite_commit) {
        sqlite_close_all();
    }
    return NULL;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void commits(const struct engine *e, uint32_t threads, uint64_t count)
{
    pthread_t ids[THREADS_MAX];
    struct commit_job jobs[THREADS_MAX];
    double *times = (calloc)(threads * count, sizeof(double));
    double start = seconds();
    for (uint32_t i = 0; i < threads; i++) {
        jobs[i] = (struct commit_job){e, 4 * pairs + (uint64_t)threads * 100000000 + i * count,
                                      count, times + i * count};
        must(pthread_create(&ids[i], NULL, commit_run, &jobs[i]) == 0, "thread");
    }
    for (uint32_t i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
    }
    double took = seconds() - start;
    uint64_t all = threads * count;
    qsort(times, all, sizeof(double), compare_doubles);
    char what[64];
    (void)snprintf(what, sizeof(what), "durable commits, %u threads", threads);
    report(e, what, (double)all / took, "/s");
    (void)snprintf(what, sizeof(what), "commit median, %u threads", threads);
    report(e, what, times[all / 2] * 1e6, "us");
    (void)snprintf(what, sizeof(what), "commit p99.9, %u threads", threads);
    report(e, what, times[all - 1 - all / 1000] * 1e6, "us");
    (free)(times);
}

/* Blocks that were looked at, in the cache or not. */
static uint64_t blocks_touched(void)
{
    struct kernel_stats s;
    store_get_stats(moat, &s);
    return s.cache_hits + s.cache_misses;
}

/* What a read costs when nothing is in the cache: each of these is a read of the disk then. */
static void blocks_a_read(const struct engine *e, uint64_t count)
{
    uint64_t before = blocks_touched();
    reads(e, "counted reads", 1, count, false, false);
    uint64_t between = blocks_touched();
    reads(e, "counted misses", 1, count, false, true);
    report(e, "blocks a hit", (double)(between - before) / (double)count, "");
    report(e, "blocks a miss", (double)(blocks_touched() - between) / (double)count, "");
}

static void measure(const struct engine *e, const char *folder)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, e->name);
    e->open(path);
    load_all(e);
    uint64_t count = pairs < 1000000 ? pairs : 1000000;
    reads(e, "warm up", 1, pairs < 3000000 ? pairs : 3000000, false, false);
    reads(e, "random reads, 1 thread", 1, count, false, false);
    reads(e, "random reads, 2 threads", 2, count, false, false);
    reads(e, "zipf reads, 1 thread", 1, count, true, false);
    reads(e, "misses, 1 thread", 1, count, false, true);
    scans(e, 20000);
    if (e->commit == moat_commit) {
        blocks_a_read(e, count);
        struct kernel_stats s;
        store_get_stats(moat, &s);
        report(e, "write amplification",
               (double)(s.wal_bytes + s.run_bytes_written) / (double)s.user_bytes, "x");
        report(e, "space amplification",
               (double)s.block_bytes / ((double)pairs * (KEY_BYTES + VALUE_BYTES)), "x");
        report(e, "index", (double)s.index_bytes / (double)s.run_entries, "B/key");
        report(e, "filter", (double)s.filter_bytes / (double)s.run_entries, "B/key");
        report(e, "cache hits", (double)s.cache_hits / (double)(s.cache_hits + s.cache_misses), "");
        report(e, "blocks a segment", (double)s.run_blocks / (double)s.index_segments, "");
    }
    if (e->commit == rocks_commit) {
        uint64_t bytes = 0;
        (void)rocksdb_property_int(rocks, "rocksdb.estimate-table-readers-mem", &bytes);
        report(e, "index and filter", (double)bytes / (double)pairs, "B/key");
    }
    if (getenv("NO_COMMITS") == NULL) {
        const char *each =
            getenv("COMMITS"); /* of each of 64 threads; many, and memtables fill up */
        commits(e, 1, 2000);
        commits(e, 64, each == NULL ? 100 : strtoull(each, NULL, 0));
    }
    e->close();
}

int main(int argc, char **argv)
{
    must(argc >= 4, "usage: kernel_peers FOLDER PAIRS CACHE_MIB [ENGINE...]");
    pairs = strtoull(argv[2], NULL, 0);
    cache_bytes = strtoull(argv[3], NULL, 0) << 20;
    const char *shape = getenv("KEYS");
    is_text = shape != NULL && strcmp(shape, "text") == 0;
    is_cpu = getenv("CLOCK") != NULL && strcmp(getenv("CLOCK"), "cpu") == 0;
    is_prose = getenv("VALUES") != NULL && strcmp(getenv("VALUES"), "prose") == 0;
    for (uint32_t i = 0; i < 100; i++) {
        (void)snprintf(words[i], sizeof(words[i]), "%.*s%x", 1 + (int)(i % 5), "order",
                       (uint32_t)mix(i) & 0xFFF);
    }
    zipf_init();
    if (getenv("ORDER") != NULL && strcmp(getenv("ORDER"), "key") == 0) {
        sort_pairs();
    }
    for (size_t i = 0; i < ARRAY_COUNT(engines); i++) {
        bool is_wanted = argc == 4;
        for (int a = 4; a < argc; a++) {
            is_wanted = is_wanted || strcmp(argv[a], engines[i].name) == 0;
        }
        if (is_wanted) {
            measure(&engines[i], argv[1]);
        }
    }
    return 0;
}
