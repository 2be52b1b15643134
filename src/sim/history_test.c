/* Isolation from outside: random transactions side by side, every value a list of its writes, and a
 * search for cycles in what they saw. The checker itself is tried on histories that are wrong. */
#include "base/mem.h"
#include "base/test.h"
#include "kernel/kernel.h"
#include "sim/sim_disk.h"
#include "sim/sim_history.h"

#define CLIENTS 6u
#define KEYS 10u

struct world {
    uint64_t random;
    struct sim_disk *disk;
    void *memory;
    struct kernel *kernel;
    struct history *history;
    enum kernel_isolation isolation, reader;
    uint32_t time;
    struct client {
        struct kernel_txn *txn;
        uint32_t index; /* in the history */
        uint32_t writes;
    } clients[CLIENTS];
    uint32_t refused;
};

static uint32_t draw(struct world *w, uint64_t bound)
{
    return (uint32_t)sim_random_below(&w->random, bound);
}

static struct slice key_of(uint32_t key, char buf[2])
{
    buf[0] = 'k';
    buf[1] = (char)('a' + key);
    return (struct slice){buf, 2};
}

static struct history_op *add_op(struct world *w, const struct client *c, uint32_t key)
{
    struct history_txn *txn = &w->history->txns[c->index];
    ASSERT(txn->op_count < HISTORY_OPS_MAX);
    struct history_op *op = &txn->ops[txn->op_count++];
    op->key = key;
    return op;
}

static void take_list(struct history_list *list, struct slice value)
{
    ASSERT(value.len <= sizeof(list->writes));
    list->len = (uint32_t)(value.len / sizeof(history_write));
    memcpy(list->writes, value.ptr, value.len);
}

static const struct history_list *do_read(struct world *w, struct client *c, uint32_t key)
{
    char buf[2];
    struct slice value = SLICE("");
    enum err result = kernel_get(c->txn, key_of(key, buf), &value);
    CHECK(result == ERR_OK || result == ERR_NOT_FOUND);
    struct history_op *op = add_op(w, c, key);
    take_list(&op->seen, result == ERR_OK ? value : SLICE(""));
    return &op->seen;
}

static void do_append(struct world *w, struct client *c, uint32_t key)
{
    const struct history_list *seen = do_read(w, c, key);
    if (c->writes == HISTORY_WRITES_EACH || seen->len + 1 == HISTORY_LIST_MAX) {
        return;
    }
    history_write list[HISTORY_LIST_MAX];
    memcpy(list, seen->writes, seen->len * sizeof(*list));
    list[seen->len] = (history_write)(c->index * HISTORY_WRITES_EACH + c->writes++);
    struct history_op *op = add_op(w, c, key);
    op->is_append = true;
    op->write = list[seen->len];
    char buf[2];
    CHECK_OK(kernel_put(c->txn, key_of(key, buf),
                        (struct slice){(const char *)list, (seen->len + 1) * sizeof(*list)}));
}

/* Keys that are not there count as read too: who adds one later comes behind. */
static void do_scan(struct world *w, struct client *c)
{
    uint32_t from = draw(w, KEYS), to = from + 1 + draw(w, KEYS - from);
    char from_buf[2], to_buf[2];
    struct kernel_range range = {.from = key_of(from, from_buf), .to = key_of(to, to_buf)};
    range.is_backward = draw(w, 2) == 0;
    struct kernel_scan *scan = NULL;
    struct history_list lists[KEYS];
    memset(lists, 0, sizeof(lists));
    CHECK_OK(kernel_scan_open(c->txn, &range, &scan));
    struct slice key, value;
    while (kernel_scan_next(scan, &key, &value) == ERR_OK) {
        take_list(&lists[key.ptr[1] - 'a'], value);
    }
    kernel_scan_close(scan);
    for (uint32_t i = from; i < to; i++) {
        add_op(w, c, i)->seen = lists[i];
    }
}

static void step(struct world *w, struct client *c)
{
    w->time++;
    if (c->txn == NULL) {
        if (w->history->txn_count == HISTORY_TXNS_MAX) {
            return;
        }
        bool is_reader = draw(w, 5) == 0;
        CHECK_OK(kernel_begin(w->kernel, is_reader ? w->reader : w->isolation, &c->txn));
        c->index = w->history->txn_count++;
        w->history->txns[c->index].begun = w->time;
        c->writes = is_reader ? HISTORY_WRITES_EACH : 0;
        return;
    }
    uint32_t what = draw(w, 100);
    bool is_full = w->history->txns[c->index].op_count + KEYS > HISTORY_OPS_MAX;
    if (what < 35 && !is_full) {
        (void)do_read(w, c, draw(w, KEYS));
    } else if (what < 65 && !is_full) {
        do_append(w, c, draw(w, KEYS));
    } else if (what < 72 && !is_full) {
        do_scan(w, c);
    } else if (what < 76) {
        kernel_rollback(c->txn);
        c->txn = NULL;
    } else {
        uint64_t commit = 0;
        enum err result = kernel_commit(c->txn, &commit);
        CHECK(result == ERR_OK || result == ERR_BUSY);
        w->history->txns[c->index].is_committed = result == ERR_OK;
        w->history->txns[c->index].ended = w->time;
        w->refused += result == ERR_BUSY;
        c->txn = NULL;
    }
    if (draw(w, 20) == 0) {
        CHECK_OK(kernel_sync(w->kernel));
        if (draw(w, 10) == 0) {
            CHECK_OK(kernel_flush(w->kernel));
        }
    }
}

/* One history of HISTORY_TXNS_MAX transactions; adds its anomalies to `counts`. */
static uint32_t run(uint64_t seed, enum kernel_isolation isolation, enum kernel_isolation reader,
                    uint64_t reads_bytes, uint32_t *counts)
{
    struct kernel_options options = {.memtable_bytes = 64 << 10,
                                     .cache_bytes = 1 << 20,
                                     .table_bytes = 1 << 20,
                                     .run_bytes = 64 << 10,
                                     .runs_max = 256,
                                     .txns_max = CLIENTS + 1,
                                     .txn_bytes = 64 << 10,
                                     .reads_bytes = reads_bytes,
                                     .wal_buffer_bytes = 64 << 10,
                                     .wal_segment_bytes = 256 << 10};
    struct world *w = mem_calloc(1, sizeof(*w));
    ASSERT(w != NULL);
    *w = (struct world){.random = seed, .isolation = isolation, .reader = reader};
    w->disk = sim_disk_new(seed);
    w->memory = mem_alloc(kernel_memory_bytes(&options, NULL));
    w->history = mem_calloc(1, sizeof(*w->history));
    ASSERT(w->disk != NULL && w->memory != NULL && w->history != NULL);
    w->history->key_count = KEYS;
    struct kernel_io io = sim_disk_io(w->disk);
    CHECK_OK(kernel_open(&options, &io, w->memory, &w->kernel, NULL));
    for (uint32_t i = 0; i < 20 * HISTORY_TXNS_MAX; i++) {
        step(w, &w->clients[draw(w, CLIENTS)]);
    }
    for (uint32_t i = 0; i < CLIENTS; i++) {
        if (w->clients[i].txn != NULL) {
            kernel_rollback(w->clients[i].txn);
        }
    }
    CHECK_OK(kernel_sync(w->kernel));
    struct kernel_txn *txn = NULL;
    CHECK_OK(kernel_begin(w->kernel, KERNEL_READ_ONLY, &txn));
    for (uint32_t key = 0; key < KEYS; key++) {
        char buf[2];
        struct slice value;
        if (kernel_get(txn, key_of(key, buf), &value) == ERR_OK) {
            take_list(&w->history->finals[key], value);
        }
    }
    kernel_rollback(txn);
    uint32_t found[ANOMALY_COUNT];
    history_check(w->history, found);
    for (uint32_t i = 0; i < ANOMALY_COUNT; i++) {
        counts[i] += found[i];
    }
    uint32_t refused = w->refused;
    kernel_close(w->kernel);
    sim_disk_free(w->disk);
    mem_free(w->memory);
    mem_free(w->history);
    mem_free(w);
    return refused;
}

TEST(history, serializable_histories_have_no_cycle)
{
    uint32_t counts[ANOMALY_COUNT] = {0}, refused = 0;
    for (uint32_t i = 0; i < 6; i++) {
        uint64_t reads_bytes = i < 4 ? 0 : 1024; /* enough, and hardly any */
        refused +=
            run(test_seed() + i, KERNEL_SERIALIZABLE, KERNEL_SERIALIZABLE, reads_bytes, counts);
    }
    for (uint32_t i = 0; i < ANOMALY_COUNT; i++) {
        if (counts[i] > 0) {
            fail_msg("%s: %u", anomaly_name((enum anomaly)i), counts[i]);
        }
    }
    CHECK(refused > 0); /* or nothing ran side by side */
}

TEST(history, snapshot_histories_have_write_skew_and_nothing_else)
{
    uint32_t counts[ANOMALY_COUNT] = {0};
    for (uint32_t i = 0; i < 6; i++) {
        (void)run(test_seed() + i, KERNEL_SNAPSHOT, KERNEL_READ_ONLY, 0, counts);
    }
    CHECK(counts[ANOMALY_WRITE_SKEW] > 0);
    CHECK(counts[ANOMALY_G2] > 0);
    for (uint32_t i = 0; i < ANOMALY_WRITE_SKEW; i++) {
        if (counts[i] > 0) {
            fail_msg("%s: %u", anomaly_name((enum anomaly)i), counts[i]);
        }
    }
}

/* ---- The checker finds what it looks for */

static void see(struct history *h, uint32_t txn, uint32_t key, uint32_t count)
{
    struct history_op *op = &h->txns[txn].ops[h->txns[txn].op_count++];
    op->key = key;
    op->seen = h->finals[key];
    op->seen.len = count;
}

static void append(struct history *h, uint32_t txn, uint32_t key, bool is_kept)
{
    struct history_op *op = &h->txns[txn].ops[h->txns[txn].op_count];
    op->key = key;
    op->is_append = true;
    op->write = (history_write)(txn * HISTORY_WRITES_EACH + h->txns[txn].op_count++);
    if (is_kept) {
        h->finals[key].writes[h->finals[key].len++] = op->write;
    }
}

static struct history *new_history(uint32_t txn_count)
{
    struct history *h = mem_calloc(1, sizeof(*h));
    ASSERT(h != NULL);
    h->txn_count = txn_count;
    h->key_count = 2;
    for (uint32_t i = 0; i < txn_count; i++) {
        h->txns[i].is_committed = true;
    }
    return h;
}

/* Exactly `wanted`, a set of bits, is there. */
static void check_and_free(struct history *h, uint32_t wanted)
{
    uint32_t counts[ANOMALY_COUNT], found = 0;
    history_check(h, counts);
    for (uint32_t i = 0; i < ANOMALY_COUNT; i++) {
        found |= counts[i] > 0 ? 1u << i : 0;
    }
    assert_int_equal(found, wanted);
    mem_free(h);
}

TEST(history, the_checker_names_planted_anomalies)
{
    struct history *h = new_history(2); /* one behind the other */
    append(h, 0, 0, true);
    see(h, 1, 0, 1);
    append(h, 1, 0, true);
    check_and_free(h, 0);

    h = new_history(2);
    append(h, 0, 0, true);
    append(h, 1, 0, false);
    check_and_free(h, 1u << ANOMALY_LOST_UPDATE);

    h = new_history(2);
    append(h, 0, 0, true);
    see(h, 1, 0, 1);
    h->txns[0].is_committed = false;
    check_and_free(h, 1u << ANOMALY_G1A);

    h = new_history(2);
    append(h, 0, 0, true);
    append(h, 0, 0, true);
    see(h, 1, 0, 1);
    check_and_free(h, 1u << ANOMALY_G1B | 1u << ANOMALY_G_SINGLE | 1u << ANOMALY_NONADJACENT |
                          1u << ANOMALY_G2 | 1u << ANOMALY_REAL_TIME);

    h = new_history(2); /* dirty writes */
    append(h, 0, 0, true);
    append(h, 1, 0, true);
    append(h, 1, 1, true);
    append(h, 0, 1, true);
    check_and_free(h, 1u << ANOMALY_G0 | 1u << ANOMALY_G1C | 1u << ANOMALY_G2 |
                          1u << ANOMALY_REAL_TIME);

    h = new_history(2); /* each sees the other's write */
    append(h, 0, 0, true);
    append(h, 1, 1, true);
    see(h, 0, 1, 1);
    see(h, 1, 0, 1);
    check_and_free(h, 1u << ANOMALY_G1C | 1u << ANOMALY_G2 | 1u << ANOMALY_REAL_TIME);

    h = new_history(2); /* half of another's writes */
    append(h, 0, 0, true);
    append(h, 0, 1, true);
    see(h, 1, 0, 1);
    see(h, 1, 1, 0);
    check_and_free(h, 1u << ANOMALY_G_SINGLE | 1u << ANOMALY_NONADJACENT | 1u << ANOMALY_G2 |
                          1u << ANOMALY_REAL_TIME);

    h = new_history(2); /* on call: each sees the other there and goes */
    see(h, 0, 1, 0);
    see(h, 1, 0, 0);
    append(h, 0, 0, true);
    append(h, 1, 1, true);
    check_and_free(h, 1u << ANOMALY_WRITE_SKEW | 1u << ANOMALY_G2 | 1u << ANOMALY_REAL_TIME);

    h = new_history(2); /* the second begins when the first is over, and does not see it */
    append(h, 0, 0, true);
    see(h, 1, 0, 0);
    h->txns[0].ended = 1;
    h->txns[1].begun = 2;
    check_and_free(h, 1u << ANOMALY_REAL_TIME);
}
