#include "sim/sim_run.h"

#include <stdarg.h>

#include "base/hash.h"
#include "base/mem.h"
#include "kernel/kernel.h"
#include "sim/sim_codec.h"
#include "sim/sim_disk.h"
#include "sim/sim_serial.h"

#define TXNS_MAX 4u

/* An open transaction and what the model knows of it. */
struct client {
    struct kernel_txn *txn;
    enum kernel_isolation isolation;
    struct sim_txn did;
    uint64_t read_bytes; /* at most, of the kernel's list */
    uint64_t savepoint;
    uint32_t savepoint_writes; /* UINT32_MAX = none */
};

struct sim {
    uint64_t random;
    const struct sim_options *options;
    struct sim_report *report;
    struct sim_disk *disk;
    struct sim_model model;
    struct sim_serial serial;
    struct kernel_options kernel_options;
    struct kernel_codec codec;
    struct sim_faults faults;
    void *memory;
    struct kernel *kernel; /* NULL while the power is off or after a stop */
    struct client clients[TXNS_MAX];
    struct kernel_work_job work; /* under way, between its parts */
    bool is_working, is_work_run;
    uint64_t acknowledged;        /* durable according to the kernel */
    uint64_t acknowledged_before; /* what it was before the last sync */
    uint64_t faults_at_open; /* of the world: what stops the kernel may show only in a later call */
    uint64_t watermark;
    uint32_t next_value;
    bool is_ordered; /* most writes are of the next key, as when a table is loaded */
    bool is_brief;   /* closed and opened again before anything could be merged, again and again */
    uint32_t next_key;
    bool is_over;
};

static uint64_t below(struct sim *sim, uint64_t bound)
{
    return sim_random_below(&sim->random, bound);
}

PRINTF_LIKE(2, 3) static void fail(struct sim *sim, const char *format, ...)
{
    sim->is_over = true;
    if (sim->report->is_failed) {
        return;
    }
    sim->report->is_failed = true;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(sim->report->text, sizeof(sim->report->text), format, args);
    va_end(args);
}

static void note(struct sim *sim, const void *bytes, size_t len)
{
    struct slice text = {bytes, len};
    sim->report->hash = hash_xx64(text, sim->report->hash);
}

static void note_number(struct sim *sim, uint64_t number)
{
    note(sim, &number, sizeof(number));
}

/* ---- Opening and losing power */

static void drop_clients(struct sim *sim)
{
    for (uint32_t i = 0; i < TXNS_MAX; i++) {
        if (sim->clients[i].txn != NULL) {
            kernel_rollback(sim->clients[i].txn);
            sim->clients[i].txn = NULL;
        }
    }
}

/* The parts of a work job that are left. */
static enum err end_work(struct sim *sim)
{
    if (!sim->is_working) {
        return ERR_OK;
    }
    if (!sim->is_work_run) {
        kernel_work_run(&sim->work);
    }
    sim->is_working = false;
    return kernel_work_finish(sim->kernel, &sim->work);
}

static void shut(struct sim *sim)
{
    if (sim->kernel != NULL) {
        enum err ignored = end_work(sim); /* whatever comes of it, the store is closed */
        (void)ignored;
        struct kernel_stats stats;
        kernel_get_stats(sim->kernel, &stats);
        sim->report->flushes += stats.flushes;
        sim->report->compactions += stats.compactions;
        sim->report->moves += stats.moves;
        drop_clients(sim);
        kernel_close(sim->kernel);
        sim->kernel = NULL;
    }
}

static void check_all(struct sim *sim, uint64_t snapshot, bool is_backward);

/* Opens until it works; only faults of this world may make it fail. */
static void open_store(struct sim *sim)
{
    struct kernel_io io = sim_disk_io(sim->disk);
    for (uint32_t attempt = 0; attempt < 200 && sim->kernel == NULL; attempt++) {
        if (attempt == 100) { /* enough: without faults it must work */
            sim_disk_set_faults(sim->disk, &(struct sim_faults){0});
        }
        struct kernel_fault fault = {0};
        uint64_t faults_before = sim_disk_fault_count(sim->disk);
        enum err result = kernel_open(&sim->kernel_options, &io, sim->memory, &sim->kernel, &fault);
        sim->report->opens++;
        note_number(sim, (uint64_t)result);
        bool is_excused =
            sim_disk_is_crashed(sim->disk) || sim_disk_fault_count(sim->disk) > faults_before;
        if (result != ERR_OK && !is_excused) {
            fail(sim, "open: %s, fault %d in \"%s\" at %llu", err_name(result), (int)fault.kind,
                 fault.name, (unsigned long long)fault.offset);
            return;
        }
        if (sim_disk_is_crashed(sim->disk)) {
            shut(sim);
            sim_disk_power_on(sim->disk);
            sim->report->crashes++;
        }
    }
    if (sim->kernel == NULL) {
        fail(sim, "open: never works");
        return;
    }
    sim_disk_set_faults(sim->disk, &sim->faults);
    sim->faults_at_open = sim_disk_fault_count(sim->disk);
    uint64_t committed = kernel_committed(sim->kernel);
    if (committed < sim->acknowledged || committed > sim->model.committed) {
        fail(sim, "open: commit %llu, acknowledged %llu, made %llu", (unsigned long long)committed,
             (unsigned long long)sim->acknowledged, (unsigned long long)sim->model.committed);
        return;
    }
    sim_model_cut(&sim->model, committed);
    sim->serial.count = 0;
    sim->acknowledged = committed;
    sim->acknowledged_before = committed;
    check_all(sim, committed, false);
}

static void power_cut(struct sim *sim)
{
    sim_disk_crash(sim->disk);
    shut(sim);
    sim_disk_power_on(sim->disk);
    sim->report->crashes++;
    open_store(sim);
}

/* After an error that this world must have caused: opens the store again. */
static void recover_from(struct sim *sim, enum err result, const char *what)
{
    note_number(sim, (uint64_t)result);
    if (sim_disk_is_crashed(sim->disk)) {
        power_cut(sim);
        return;
    }
    if ((result != ERR_IO && result != ERR_CORRUPT) ||
        sim_disk_fault_count(sim->disk) == sim->faults_at_open) {
        struct kernel_fault fault;
        kernel_last_fault(sim->kernel, &fault);
        fail(sim, "%s: %s without a cause (fault %d in \"%s\")", what, err_name(result),
             (int)fault.kind, fault.name);
        return;
    }
    if (below(sim, 2) == 0) {
        power_cut(sim);
    } else {
        shut(sim);
        open_store(sim);
    }
}

/* ---- Checks */

/* What client `c` must read at `key`. */
static bool expected(const struct sim *sim, const struct client *c, uint32_t key, uint64_t snapshot,
                     uint32_t *ret_value)
{
    for (uint32_t i = c == NULL ? 0 : c->did.write_count; i-- > 0;) {
        if (c->did.writes[i].key == key) {
            *ret_value = c->did.writes[i].value;
            return c->did.writes[i].value != SIM_DELETED;
        }
    }
    return sim_model_get(&sim->model, key, snapshot, ret_value);
}

static bool check_value(struct sim *sim, uint32_t key, uint32_t value, struct slice got,
                        const char *what)
{
    char buf[SIM_VALUE_BYTES_MAX];
    if (!slice_equal(sim_model_value(value, buf), got)) {
        fail(sim, "%s: key %u has another value than %u (%zu bytes)", what, key, value, got.len);
        return false;
    }
    note(sim, got.ptr, got.len);
    return true;
}

/* Half of all values, chosen by what is in them; and half of a value. */
static bool wants_value(UNUSED void *ctx, UNUSED struct slice key, struct slice value)
{
    return (hash_xx64(value, 1) & 1) != 0;
}

static size_t project_value(UNUSED void *ctx, UNUSED struct slice key, struct slice value,
                            char *ret_value)
{
    size_t len = value.len / 2;
    if (len > 0) {
        memcpy(ret_value, value.ptr + value.len - len, len);
    }
    return len;
}

/* A pair that a scan gave, with its projection. */
static void check_pair(struct sim *sim, const struct kernel_range *range, uint32_t key,
                       uint32_t value, struct slice got_key, struct slice got_value)
{
    if (!slice_equal(got_key, sim->model.keys[key])) {
        fail(sim, "scan: another key than %u (backward %d)", key, range->is_backward);
        return;
    }
    if (range->project == NULL) {
        (void)check_value(sim, key, value, got_value, "scan");
        return;
    }
    char buf[SIM_VALUE_BYTES_MAX], half[SIM_VALUE_BYTES_MAX];
    size_t len = project_value(NULL, got_key, sim_model_value(value, buf), half);
    if (!slice_equal((struct slice){half, len}, got_value)) {
        fail(sim, "scan: key %u has another projection of %u", key, value);
    }
}

/* The pair is there and the scan wants it. */
static bool is_expected(const struct sim *sim, const struct client *c,
                        const struct kernel_range *range, uint32_t key, uint64_t snapshot,
                        uint32_t *ret_value)
{
    char buf[SIM_VALUE_BYTES_MAX];
    return expected(sim, c, key, snapshot, ret_value) &&
           (range->wants == NULL ||
            wants_value(NULL, sim->model.keys[key], sim_model_value(*ret_value, buf)));
}

/* Scans [from, to) as client `c` (NULL: only `txn`), at most `limit` pairs. */
static enum err check_scan(struct sim *sim, const struct client *c, struct kernel_txn *txn,
                           uint32_t from, uint32_t to, bool is_backward, uint64_t limit)
{
    const struct sim_model *model = &sim->model;
    uint64_t snapshot = kernel_txn_snapshot(txn);
    struct kernel_range range = {.from = model->keys[from], .is_backward = is_backward};
    uint64_t shape = below(sim, 6);
    range.wants = shape < 2 ? wants_value : NULL;
    range.project = shape == 1 || shape == 2 ? project_value : NULL;
    if (from == 0) {
        range.from = SLICE("");
    }
    if (to < model->key_count) {
        range.to = model->keys[to];
        if (range.to.len == 0) {
            return ERR_OK; /* an empty bound means the end */
        }
    }
    struct kernel_scan *scan = NULL;
    TRY(kernel_scan_open(txn, &range, &scan));
    enum err result = ERR_OK;
    sim->report->scans++;
    for (uint32_t n = 0; n <= to - from && limit > 0 && !sim->is_over; n++) {
        uint32_t key = is_backward ? to - 1 - n : from + n, value = 0;
        if (n < to - from && !is_expected(sim, c, &range, key, snapshot, &value)) {
            continue;
        }
        struct slice got_key, got_value;
        result = kernel_scan_next(scan, &got_key, &got_value);
        limit--;
        if (n == to - from) {
            if (result == ERR_OK) {
                fail(sim, "scan: more than there is (%u to %u)", from, to);
            }
            result = result == ERR_NOT_FOUND ? ERR_OK : result;
            break;
        }
        if (result != ERR_OK) {
            break;
        }
        check_pair(sim, &range, key, value, got_key, got_value);
    }
    kernel_scan_close(scan);
    if (result == ERR_NOT_FOUND && !sim->is_over) {
        fail(sim, "scan: ended too early (%u to %u, backward %d)", from, to, is_backward);
    }
    return result;
}

static void check_all(struct sim *sim, uint64_t snapshot, bool is_backward)
{
    struct kernel_txn *txn = NULL;
    if (snapshot < sim->watermark || kernel_begin_at(sim->kernel, snapshot, &txn) != ERR_OK) {
        return; /* all transactions are taken */
    }
    enum err result = check_scan(sim, NULL, txn, 0, sim->model.key_count, is_backward, UINT64_MAX);
    kernel_rollback(txn);
    if (result != ERR_OK && !sim->is_over) {
        recover_from(sim, result, "scan of all");
    }
}

/* ---- What a client does */

static void forget(struct client *c)
{
    c->txn = NULL;
}

static void begin_txn(struct sim *sim, struct client *c)
{
    memset(c, 0, sizeof(*c));
    c->savepoint_writes = UINT32_MAX;
    c->isolation = (enum kernel_isolation)below(sim, 3);
    enum err result = ERR_OK;
    uint64_t durable = kernel_durable(sim->kernel);
    if (c->isolation == KERNEL_READ_ONLY && below(sim, 2) == 0) {
        uint64_t commit = sim->watermark + below(sim, durable - sim->watermark + 1);
        result = kernel_begin_at(sim->kernel, commit, &c->txn);
    } else {
        result = kernel_begin(sim->kernel, c->isolation, &c->txn);
    }
    if (result != ERR_OK) {
        c->txn = NULL;
        if (result != ERR_BUSY) {
            recover_from(sim, result, "begin");
        }
        return;
    }
    c->did.snapshot = kernel_txn_snapshot(c->txn);
}

static void note_read(const struct sim *sim, struct client *c, uint32_t from, uint32_t to)
{
    const struct sim_model *model = &sim->model;
    struct sim_txn *did = &c->did;
    uint64_t most = sim->kernel_options.txn_bytes / 4, shared = sim->kernel_options.reads_bytes / 4;
    c->read_bytes += 8 + model->keys[from].len + (to < model->key_count ? model->keys[to].len : 0);
    did->has_read_much = did->has_read_much || did->read_count == SIM_READS_MAX ||
                         c->read_bytes > (most < shared ? most : shared);
    if (did->read_count < SIM_READS_MAX) {
        did->reads[did->read_count].from = from;
        did->reads[did->read_count].to = to;
        did->read_count++;
    }
}

/* What the transaction wrote itself it does not read from the store. */
static void note_get(const struct sim *sim, struct client *c, uint32_t key)
{
    for (uint32_t i = 0; i < c->did.write_count; i++) {
        if (c->did.writes[i].key == key) {
            return;
        }
    }
    note_read(sim, c, key, key + 1);
}

struct many {
    struct sim *sim;
    struct client *client;
    const uint32_t *keys;
    uint32_t count;
};

static void check_one_of_many(void *ctx, uint32_t index, bool is_found, struct slice got)
{
    struct many *many = ctx;
    struct sim *sim = many->sim;
    uint32_t key = many->keys[index], value = 0;
    bool is_there = expected(sim, many->client, key, many->client->did.snapshot, &value);
    if (index != many->count++ || is_there != is_found) {
        fail(sim, "multi_get: key %u is%s there", key, is_found ? "" : " not");
    } else if (is_found) {
        (void)check_value(sim, key, value, got, "multi_get");
    }
}

/* Some keys in order, one perhaps more than once. */
static void do_multi_get(struct sim *sim, struct client *c)
{
    uint32_t keys[16];
    struct slice names[16];
    uint32_t count = 1 + (uint32_t)below(sim, 16), reach = 1 + (uint32_t)below(sim, 40);
    uint32_t key = (uint32_t)below(sim, sim->model.key_count);
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = key;
        names[i] = sim->model.keys[key];
        note_get(sim, c, key);
        key += (uint32_t)below(sim, reach);
        key = key < sim->model.key_count ? key : sim->model.key_count - 1;
    }
    struct many many = {sim, c, keys, 0};
    enum err result = kernel_multi_get(c->txn, names, count, check_one_of_many, &many);
    sim->report->reads += many.count;
    if (result != ERR_OK && !sim->is_over) {
        recover_from(sim, result, "multi_get");
    } else if (many.count != count && !sim->is_over) {
        fail(sim, "multi_get: %u of %u keys", many.count, count);
    }
}

static void do_get(struct sim *sim, struct client *c)
{
    if (below(sim, 4) == 0) {
        do_multi_get(sim, c);
        return;
    }
    uint32_t key = (uint32_t)below(sim, sim->model.key_count), value = 0;
    struct slice got;
    enum err result = kernel_get(c->txn, sim->model.keys[key], &got);
    bool is_there = expected(sim, c, key, c->did.snapshot, &value);
    sim->report->reads++;
    note_get(sim, c, key);
    if (result == ERR_OK && is_there) {
        (void)check_value(sim, key, value, got, "get");
    } else if (result == ERR_OK) {
        fail(sim, "get: key %u is there at %llu", key, (unsigned long long)c->did.snapshot);
    } else if (result != ERR_NOT_FOUND) {
        recover_from(sim, result, "get");
    } else if (is_there) {
        fail(sim, "get: key %u is not there at %llu", key, (unsigned long long)c->did.snapshot);
    }
}

static void do_scan(struct sim *sim, struct client *c)
{
    uint32_t count = sim->model.key_count;
    uint32_t from = (uint32_t)below(sim, count);
    uint32_t to = from + (uint32_t)below(sim, count - from) + 1;
    note_read(sim, c, from, to);
    /* One draw a statement: compilers differ in the order of arguments. */
    bool is_backward = below(sim, 2) == 0;
    uint64_t limit = below(sim, 3) == 0 ? 1 + below(sim, 5) : UINT64_MAX;
    enum err result = check_scan(sim, c, c->txn, from, to, is_backward, limit);
    if (result != ERR_OK && !sim->is_over) {
        recover_from(sim, result, "scan");
    }
}

static void do_write(struct sim *sim, struct client *c)
{
    if (c->did.write_count == SIM_WRITES_MAX) {
        return;
    }
    uint32_t key = (uint32_t)below(sim, sim->model.key_count);
    if (below(sim, 3) == 0) { /* some keys are hot */
        key = (uint32_t)below(sim, 1 + sim->model.key_count / 16);
    }
    bool is_next = sim->is_ordered && below(sim, 100) != 0;
    if (is_next) {
        key = sim->next_key++ % sim->model.key_count;
    }
    bool is_delete = below(sim, 5) == 0 && !is_next;
    uint32_t value = is_delete ? SIM_DELETED : sim->next_value++;
    char buf[SIM_VALUE_BYTES_MAX];
    enum err result = value == SIM_DELETED
                          ? kernel_delete(c->txn, sim->model.keys[key])
                          : kernel_put(c->txn, sim->model.keys[key], sim_model_value(value, buf));
    if (result == ERR_OK) {
        c->did.writes[c->did.write_count].key = key;
        c->did.writes[c->did.write_count].value = value;
        c->did.write_count++;
    } else if (result != ERR_LIMIT) {
        fail(sim, "write: %s", err_name(result));
    }
}

static void do_savepoint(struct sim *sim, struct client *c)
{
    if (c->savepoint_writes != UINT32_MAX && below(sim, 2) == 0) {
        kernel_rollback_to(c->txn, c->savepoint);
        c->did.write_count = c->savepoint_writes;
    } else {
        c->savepoint = kernel_savepoint(c->txn);
        c->savepoint_writes = c->did.write_count;
    }
}

/* Whether the rules let it commit. */
static enum sim_verdict judge(const struct sim *sim, const struct client *c)
{
    for (uint32_t i = 0; i < c->did.write_count; i++) {
        if (sim_model_changed(&sim->model, c->did.writes[i].key) > c->did.snapshot) {
            return SIM_MUST_NOT_PASS;
        }
    }
    return c->isolation == KERNEL_SERIALIZABLE
               ? sim_serial_judge(&sim->serial, &sim->model, &c->did)
               : SIM_MUST_PASS;
}

/* The kernel could not keep all that was read: then it may refuse whoever has read what changed. */
static bool is_short_of_memory(const struct sim *sim, const struct client *c)
{
    struct kernel_stats stats;
    kernel_get_stats(sim->kernel, &stats);
    bool is_short = stats.reads_forgotten > 0 || c->did.has_read_much;
    for (uint32_t i = 0; i < sim->serial.count && !is_short; i++) {
        is_short = sim->serial.txns[i].has_read_much;
    }
    return is_short && c->isolation == KERNEL_SERIALIZABLE &&
           (c->did.has_read_much || sim_serial_is_stale(&sim->model, &c->did));
}

static void keep_serial(struct sim *sim, const struct sim_txn *did)
{
    uint64_t oldest = UINT64_MAX;
    for (uint32_t i = 0; i < TXNS_MAX; i++) {
        const struct client *c = &sim->clients[i];
        oldest = c->txn != NULL && c->did.snapshot < oldest ? c->did.snapshot : oldest;
    }
    sim_serial_keep(&sim->serial, &sim->model, did);
    sim->report->stale += sim->serial.txns[sim->serial.count - 1].out_first < did->commit;
    sim_serial_forget(&sim->serial, oldest);
}

static void do_commit(struct sim *sim, struct client *c)
{
    enum sim_verdict verdict = judge(sim, c);
    uint64_t commit = 0;
    enum err result = kernel_commit(c->txn, &commit);
    for (uint32_t i = 0; i < 1000 && result == ERR_LIMIT; i++) { /* it waits for work */
        result = end_work(sim);
        if (result == ERR_OK &&
            kernel_work_start(sim->kernel, 1 + below(sim, 200000), &sim->work)) {
            sim->is_working = true;
            sim->is_work_run = false;
            result = below(sim, 2) == 0 ? end_work(sim) : ERR_OK;
        }
        if (result != ERR_OK) {
            kernel_rollback(c->txn);
            break;
        }
        result = kernel_commit(c->txn, &commit);
    }
    note_number(sim, commit);
    forget(c);
    if (result == ERR_OK) {
        sim->report->commits += c->did.write_count > 0;
        if (verdict == SIM_MUST_NOT_PASS) {
            fail(sim, "commit: a conflict passed");
            return;
        }
        if (c->did.write_count > 0 && commit != sim->model.committed + 1) {
            fail(sim, "commit: number %llu after %llu", (unsigned long long)commit,
                 (unsigned long long)sim->model.committed);
            return;
        }
        for (uint32_t i = 0; i < c->did.write_count; i++) {
            sim_model_put(&sim->model, c->did.writes[i].key, commit, c->did.writes[i].value);
        }
        if (c->isolation == KERNEL_SERIALIZABLE) {
            c->did.commit = c->did.write_count > 0 ? commit : 0;
            keep_serial(sim, &c->did);
        }
    } else if (result == ERR_BUSY) {
        sim->report->conflicts++;
        if (verdict == SIM_MUST_PASS && !is_short_of_memory(sim, c)) {
            fail(sim, "commit: refused without a conflict");
        }
    } else {
        recover_from(sim, result, "commit");
    }
    if (sim_disk_is_crashed(sim->disk) && !sim->is_over) {
        power_cut(sim);
    }
}

static void step_client(struct sim *sim, struct client *c)
{
    uint64_t what = below(sim, 100);
    bool is_writer = c->isolation != KERNEL_READ_ONLY;
    if (what < 45 && is_writer) {
        for (uint64_t n = below(sim, 8) == 0 ? below(sim, 40) : 1; n > 0 && !sim->is_over; n--) {
            do_write(sim, c);
        }
    } else if (what < 70) {
        do_get(sim, c);
    } else if (what < 76) {
        do_scan(sim, c);
    } else if (what < 80 && is_writer) {
        do_savepoint(sim, c);
    } else if (what < 96) {
        do_commit(sim, c);
    } else {
        kernel_rollback(c->txn);
        forget(c);
    }
}

/* ---- What happens to the store */

static void do_sync(struct sim *sim)
{
    enum err result = kernel_sync(sim->kernel);
    if (result != ERR_OK) {
        recover_from(sim, result, "sync");
        return;
    }
    if (kernel_durable(sim->kernel) != sim->model.committed) {
        fail(sim, "sync: durable %llu of %llu", (unsigned long long)kernel_durable(sim->kernel),
             (unsigned long long)sim->model.committed);
    }
}

/* The next part of a work job. */
static enum err do_work(struct sim *sim)
{
    if (!sim->is_working) {
        uint64_t bytes = below(sim, 2) == 0 ? 0 : below(sim, 100000);
        sim->is_working = kernel_work_start(sim->kernel, bytes, &sim->work);
        sim->is_work_run = false;
        return ERR_OK;
    }
    if (!sim->is_work_run) {
        kernel_work_run(&sim->work);
        sim->is_work_run = true;
        return ERR_OK;
    }
    return end_work(sim);
}

static void do_upkeep(struct sim *sim)
{
    enum err result = ERR_OK;
    bool is_more = false;
    if (below(sim, 3) != 0) {
        result = do_work(sim);
        if (result != ERR_OK) {
            recover_from(sim, result, "work");
        }
        return;
    }
    result = end_work(sim);
    if (result != ERR_OK) {
        recover_from(sim, result, "work");
        return;
    }
    switch (below(sim, 5)) {
    case 0:
        result = kernel_flush(sim->kernel);
        break;
    case 1:
        result = kernel_verify(sim->kernel);
        break;
    case 2:
        if (below(sim, 4) == 0) {
            uint64_t durable = kernel_durable(sim->kernel);
            sim->watermark += below(sim, durable - sim->watermark + 1);
            kernel_set_watermark(sim->kernel, sim->watermark);
        }
        break;
    default:
        result = kernel_work(sim->kernel, below(sim, 100000), &is_more);
        break;
    }
    if (result != ERR_OK) {
        recover_from(sim, result, "upkeep");
    }
}

static void open_again(struct sim *sim)
{
    shut(sim);
    open_store(sim);
}

static void step_world(struct sim *sim)
{
    uint64_t what = below(sim, 100);
    if (sim->is_brief) {
        what < 30 ? do_sync(sim) : what < 60 ? power_cut(sim) : open_again(sim);
    } else if (what < 40) {
        do_sync(sim);
    } else if (what < 85) {
        do_upkeep(sim);
    } else if (what < 92) {
        uint64_t durable = kernel_durable(sim->kernel);
        uint64_t snapshot = sim->watermark + below(sim, durable - sim->watermark + 1);
        bool is_backward = below(sim, 2) == 0;
        check_all(sim, snapshot, is_backward);
    } else if (what < 96) {
        power_cut(sim);
    } else if (what < 98) {
        open_again(sim);
    }
}

static void choose_options(struct sim *sim)
{
    struct kernel_options *o = &sim->kernel_options;
    o->memtable_bytes = 16384u << below(sim, 3);
    o->memtables = 2 + below(sim, 3);
    o->cache_bytes = 262144;
    o->table_bytes = 4u << 20;
    o->run_bytes = o->memtable_bytes * (1 + below(sim, 2));
    o->runs_max = 256;
    o->txns_max = TXNS_MAX + 1;
    o->txn_bytes = 8192u << below(sim, 2);
    o->reads_bytes = 1024u << below(sim, 8);
    o->value_bytes_max = 1024u << below(sim, 4);
    o->wal_buffer_bytes = 16384u << below(sim, 3);
    o->wal_segment_bytes = 65536u << below(sim, 3);
    o->level_base_bytes = 65536u << below(sim, 3);
    o->level0_runs = 2 + below(sim, 3);
    o->filter_bits_per_key = 1 + below(sim, 16);
    o->has_hardware_crc = sim->options->has_hardware_crc;
    o->is_work_apart = below(sim, 3) != 0;
    sim->codec = sim_codec();
    o->codecs = &sim->codec;
    o->codec_count = 1;
    uint64_t packed = below(sim, 4); /* from that level on */
    for (uint64_t level = packed; level < KERNEL_LEVELS && packed < 3; level++) {
        o->level_codecs[level] = SIM_CODEC_ID;
    }
}

static void choose_faults(struct sim *sim)
{
    sim->faults = (struct sim_faults){0};
    if (below(sim, 4) != 0) {
        sim->faults.short_transfer = (uint32_t)(5 + below(sim, 200));
    }
    if (below(sim, 2) == 0) { /* a bad disk */
        sim->faults.read_error = (uint32_t)(200 + below(sim, 5000));
        sim->faults.write_error = (uint32_t)(200 + below(sim, 5000));
        sim->faults.disk_full = (uint32_t)(200 + below(sim, 5000));
        sim->faults.sync_error = (uint32_t)(100 + below(sim, 2000));
        sim->faults.name_error = (uint32_t)(100 + below(sim, 2000));
        sim->faults.read_misdirected = (uint32_t)(200 + below(sim, 5000));
        sim->faults.read_stale = (uint32_t)(200 + below(sim, 5000));
    }
    if (below(sim, 2) == 0) {
        sim->faults.crash = (uint32_t)(100 + below(sim, 3000));
    }
}

static void note_durable(struct sim *sim)
{
    uint64_t durable = kernel_durable(sim->kernel);
    if (durable != sim->acknowledged) {
        sim->acknowledged_before = sim->acknowledged;
        sim->acknowledged = durable;
    }
}

/* The fault names the rotten file; a hole in the log may be seen in the segment behind it. */
static bool is_named(const char *name, const struct kernel_fault *fault)
{
    return strncmp(name, "wal", 3) == 0 ? strncmp(fault->name, "wal", 3) == 0
                                        : strcmp(name, fault->name) == 0;
}

/* At the end: one bit of a file changes, which must be named or make no difference; in the log it
 * may also cost the group that was synced last, which looks torn. */
static void rot_and_check(struct sim *sim)
{
    if (!sim_disk_is_crashed(sim->disk)) {
        note_durable(sim);
    }
    bool is_cut = below(sim, 2) == 0; /* without, closing syncs what is pending */
    if (is_cut) {
        sim_disk_crash(sim->disk);
    }
    shut(sim);
    sim_disk_set_faults(sim->disk, &(struct sim_faults){0});
    if (sim_disk_is_crashed(sim->disk)) {
        sim_disk_power_on(sim->disk);
    } else {
        sim_disk_settle(sim->disk);
    }
    char name[KERNEL_NAME_BYTES];
    uint64_t offset = 0;
    uint64_t draw = below(sim, 8);
    const char *prefix = draw == 0            ? "manifest"
                         : draw < 4 && is_cut ? "wal"
                         : draw == 4          ? "values"
                                              : "run";
    if (!sim_disk_rot(sim->disk, prefix, name, &offset) &&
        !sim_disk_rot(sim->disk, "run", name, &offset)) {
        return;
    }
    struct kernel_io io = sim_disk_io(sim->disk);
    struct kernel_fault fault = {0};
    enum err result = kernel_open(&sim->kernel_options, &io, sim->memory, &sim->kernel, &fault);
    if (result == ERR_OK) {
        uint64_t committed = kernel_committed(sim->kernel);
        if (committed < sim->acknowledged_before) {
            fail(sim, "rot in \"%s\" at %llu: commit %llu, acknowledged %llu", name,
                 (unsigned long long)offset, (unsigned long long)committed,
                 (unsigned long long)sim->acknowledged_before);
        }
        sim_model_cut(&sim->model, committed);
        struct kernel_txn *txn = NULL;
        result = kernel_begin(sim->kernel, KERNEL_READ_ONLY, &txn);
        if (result == ERR_OK) {
            result = check_scan(sim, NULL, txn, 0, sim->model.key_count, false, UINT64_MAX);
            kernel_rollback(txn);
        }
        if (result == ERR_OK) {
            result = kernel_verify(sim->kernel);
        }
        kernel_last_fault(sim->kernel, &fault);
        shut(sim);
    }
    if (result == ERR_OK || sim->is_over) {
        return; /* not a byte that anything depends on, or already a failure */
    }
    sim->report->corruptions++;
    if (result != ERR_CORRUPT || !is_named(name, &fault)) {
        fail(sim, "rot in \"%s\" at %llu: %s, fault in \"%s\"", name, (unsigned long long)offset,
             err_name(result), fault.name);
    }
}

static void live(struct sim *sim, uint32_t steps)
{
    open_store(sim);
    for (uint32_t i = 0; i < steps && !sim->is_over; i++) {
        if (sim_disk_is_crashed(sim->disk)) {
            power_cut(sim);
            continue;
        }
        note_durable(sim);
        struct client *c = &sim->clients[below(sim, TXNS_MAX)];
        if (below(sim, 12) == 0) {
            step_world(sim);
        } else if (c->txn == NULL) {
            begin_txn(sim, c);
        } else {
            step_client(sim, c);
        }
    }
    if (!sim->is_over && below(sim, 2) == 0) {
        rot_and_check(sim);
    }
}

void sim_run(uint64_t seed, const struct sim_options *options, struct sim_report *ret_report)
{
    memset(ret_report, 0, sizeof(*ret_report));
    ret_report->seed = seed;
    struct sim *sim = mem_calloc(1, sizeof(*sim));
    ASSERT(sim != NULL);
    sim->random = seed;
    sim->options = options;
    sim->report = ret_report;
    sim->is_ordered = below(sim, 4) == 0;
    sim->is_brief = below(sim, 16) == 0;
    uint32_t key_count = sim->is_ordered ? SIM_KEYS_MAX : (uint32_t)(16 + below(sim, 600));
    sim_model_init(&sim->model, &sim->random, key_count);
    choose_options(sim);
    choose_faults(sim);
    sim->disk = sim_disk_new(sim_random(&sim->random));
    uint64_t bytes = kernel_memory_bytes(&sim->kernel_options, NULL);
    sim->memory = mem_alloc(bytes);
    ASSERT(sim->disk != NULL && bytes > 0 && sim->memory != NULL);
    live(sim, options->steps == 0 ? 2000 : options->steps);
    shut(sim);
    note_number(sim, sim_disk_hash(sim->disk));
    ret_report->faults = sim_disk_fault_count(sim->disk);
    sim_disk_free(sim->disk);
    sim_model_fini(&sim->model);
    mem_free(sim->memory);
    mem_free(sim);
}
