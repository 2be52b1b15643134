/* What serializability costs in transactions that must be run again: three rules over the same
 * loads, in the kernel itself.
 *
 *     tests/bench/kernel_isolation [ATTEMPTS]     builds and runs it
 *
 *     snapshot  first committer wins: a key that the transaction writes has changed since its
 *               snapshot (not serializable)
 *     stale     and nothing that it read may have changed (what the kernel had before ssi.h); the
 *               program looks by itself. Transactions that only read are never refused
 *     ssi       KERNEL_SERIALIZABLE: no dangerous structure. Transactions that only read count
 *
 * Sixteen clients run transactions of single reads and writes that interleave at random; a key that
 * is written is read first. Prints the share of attempts that were refused, of those that write and
 * of all, how many committed though stale, and microseconds of processor time an attempt. */
#include "base/base.h"

#include <time.h>

#include "io/store.h"

#define CLIENTS 16u
#define KEYS_MAX 10000u
#define STEPS_MAX 128u

struct load {
    const char *name;
    uint32_t keys;
    uint32_t hot_percent; /* so many go to a hundredth of the keys */
    uint32_t update_percent, reads, writes;
};

static const struct load loads[] = {
    {"5 % update, 8 reads and 1 write, 10,000 keys", 10000, 0, 5, 8, 1},
    {"the same, half of all at 1 % of the keys", 10000, 50, 5, 8, 1},
    {"20 % update, 60 reads and 1 write, 10,000 keys", 10000, 0, 20, 60, 1},
    {"half update, 8 reads and 2 writes, 10,000 keys", 10000, 0, 50, 8, 2},
    {"the same, half of all at 1 % of the keys", 10000, 50, 50, 8, 2},
    {"all update, 4 reads and 4 writes, 1,000 keys", 1000, 0, 100, 4, 4},
};

enum rule {
    RULE_SNAPSHOT,
    RULE_STALE,
    RULE_SSI,
    RULES,
};
static const char *const rule_names[RULES] = {"snapshot", "stale", "ssi"};

struct client {
    struct kernel_txn *txn;
    uint64_t snapshot;
    uint32_t step_count, step;
    struct {
        uint32_t key;
        bool is_write;
    } steps[STEPS_MAX];
    bool is_update;
};

static uint64_t random_state;
static uint64_t changed[KEYS_MAX]; /* the last commit of each key */

static uint32_t draw(uint32_t bound)
{
    uint64_t z = random_state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (uint32_t)(((z ^ (z >> 31)) >> 32) * bound >> 32);
}

static void must(bool is_good, const char *what)
{
    if (!is_good) {
        fprintf(stderr, "failed: %s\n", what);
        exit(1);
    }
}

static uint32_t draw_key(const struct load *load)
{
    return draw(draw(100) < load->hot_percent ? load->keys / 100 : load->keys);
}

static void add_step(struct client *c, uint32_t key, bool is_write)
{
    must(c->step_count < STEPS_MAX, "few steps");
    c->steps[c->step_count].key = key;
    c->steps[c->step_count++].is_write = is_write;
}

static void start(struct client *c, struct store *store, const struct load *load, enum rule rule)
{
    struct errinfo error;
    c->is_update = draw(100) < load->update_percent;
    enum kernel_isolation isolation = rule == RULE_SSI ? KERNEL_SERIALIZABLE : KERNEL_SNAPSHOT;
    must(store_begin(store, isolation, &c->txn, &error) == ERR_OK, "begin");
    c->snapshot = kernel_txn_snapshot(c->txn);
    c->step_count = 0;
    c->step = 0;
    for (uint32_t i = 0; i < load->reads; i++) {
        add_step(c, draw_key(load), false);
    }
    for (uint32_t i = 0; c->is_update && i < load->writes; i++) {
        uint32_t key = draw_key(load);
        add_step(c, key, false);
        add_step(c, key, true);
    }
}

static void go_on(struct client *c)
{
    char key[16];
    int len = snprintf(key, sizeof(key), "key/%05u", c->steps[c->step].key);
    struct slice name = {key, (size_t)len}, value;
    if (c->steps[c->step].is_write) {
        must(kernel_put(c->txn, name, SLICE("a value of some length")) == ERR_OK, "put");
    } else {
        enum err result = kernel_get(c->txn, name, &value);
        must(result == ERR_OK || result == ERR_NOT_FOUND, "get");
    }
    c->step++;
}

static bool is_stale(const struct client *c)
{
    for (uint32_t i = 0; i < c->step_count; i++) {
        if (changed[c->steps[i].key] > c->snapshot) {
            return true;
        }
    }
    return false;
}

/* True if it was refused. */
static bool finish(struct client *c, struct store *store, enum rule rule)
{
    struct errinfo error;
    struct kernel_txn *txn = c->txn;
    c->txn = NULL;
    if (rule == RULE_STALE && c->is_update && is_stale(c)) {
        store_rollback(store, txn);
        return true;
    }
    uint64_t commit = 0;
    enum err result = store_commit(store, txn, false, &commit, &error);
    must(result == ERR_OK || result == ERR_BUSY, "commit");
    for (uint32_t i = 0; i < c->step_count && result == ERR_OK; i++) {
        if (c->steps[i].is_write) {
            changed[c->steps[i].key] = commit;
        }
    }
    return result == ERR_BUSY;
}

static double processor_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void run(const char *folder, const struct load *load, enum rule rule, uint32_t attempts)
{
    char path[512];
    struct errinfo error;
    struct store *store = NULL;
    static struct client clients[CLIENTS];
    (void)snprintf(path, sizeof(path), "%s/%s-%u", folder, rule_names[rule],
                   (unsigned)(load - loads));
    struct kernel_options options = {.txns_max = CLIENTS, .txn_bytes = 64u << 10};
    must(store_open(path, &options, &store, &error) == ERR_OK, "open");
    random_state = 7;
    memset(changed, 0, sizeof(changed));
    uint32_t tried[2] = {0}, refused[2] = {0};
    double begun = processor_seconds();
    while (tried[0] + tried[1] < attempts) {
        struct client *c = &clients[draw(CLIENTS)];
        if (c->txn == NULL) {
            start(c, store, load, rule);
        } else if (c->step < c->step_count) {
            go_on(c);
        } else {
            tried[c->is_update]++;
            refused[c->is_update] += finish(c, store, rule);
        }
    }
    double took = processor_seconds() - begun;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        if (clients[i].txn != NULL) {
            store_rollback(store, clients[i].txn);
            clients[i].txn = NULL;
        }
    }
    struct kernel_stats stats;
    store_get_stats(store, &stats);
    printf("%s\t%s\t%.2f %%\t%.2f %%\t%llu\t%.1f us\n", load->name, rule_names[rule],
           100.0 * refused[1] / tried[1], 100.0 * (refused[0] + refused[1]) / attempts,
           (unsigned long long)stats.stale_commits, 1e6 * took / attempts);
    fflush(stdout);
    store_close(store);
}

int main(int argc, char **argv)
{
    must(argc == 3, "usage: kernel_isolation FOLDER ATTEMPTS");
    printf("load\trule\tupdates refused\tall refused\tcommitted stale\tan attempt\n");
    for (size_t i = 0; i < ARRAY_COUNT(loads); i++) {
        for (enum rule rule = 0; rule < RULES; rule++) {
            run(argv[1], &loads[i], rule, (uint32_t)strtoul(argv[2], NULL, 10));
        }
    }
    return 0;
}
