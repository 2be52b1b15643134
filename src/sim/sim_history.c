#include "sim/sim_history.h"

#include "base/mem.h"

#define NONE UINT32_MAX

enum edge {
    EDGE_WW = 1,
    EDGE_WR = 2,
    EDGE_RW = 4,
    EDGE_TIME = 8, /* ended before the other began */
};

struct graph {
    uint32_t count;
    uint8_t edges[HISTORY_TXNS_MAX][HISTORY_TXNS_MAX]; /* bits of enum edge */
};

const char *anomaly_name(enum anomaly anomaly)
{
    static const char *const names[] = {"incompatible order", "lost update", "G1a", "G1b",
                                        "internal",           "G0",          "G1c", "G-single",
                                        "G-nonadjacent",      "write skew",  "G2",  "real time"};
    ASSERT(anomaly < ANOMALY_COUNT);
    return names[anomaly];
}

static uint32_t txn_of(history_write write)
{
    return write / HISTORY_WRITES_EACH;
}

/* How many of the writes that were seen are of others: a transaction's own come last. */
static uint32_t foreign_len(const struct history_list *seen, uint32_t txn)
{
    uint32_t len = seen->len;
    while (len > 0 && txn_of(seen->writes[len - 1]) == txn) {
        len--;
    }
    return len;
}

/* ---- Reads by themselves */

static void check_reads(const struct history *history, uint32_t t, uint32_t *counts)
{
    const struct history_txn *txn = &history->txns[t];
    uint32_t foreign[HISTORY_KEYS_MAX], own[HISTORY_KEYS_MAX] = {0};
    for (uint32_t i = 0; i < HISTORY_KEYS_MAX; i++) {
        foreign[i] = NONE;
    }
    for (uint32_t i = 0; i < txn->op_count; i++) {
        const struct history_op *op = &txn->ops[i];
        if (op->is_append) {
            own[op->key]++;
            continue;
        }
        const struct history_list *last = &history->finals[op->key];
        uint32_t len = foreign_len(&op->seen, t);
        bool is_first = foreign[op->key] == NONE;
        counts[ANOMALY_INTERNAL] +=
            op->seen.len - len != own[op->key] || (!is_first && foreign[op->key] != len);
        foreign[op->key] = len;
        counts[ANOMALY_ORDER] +=
            len > last->len || memcmp(op->seen.writes, last->writes, len * sizeof(history_write));
        for (uint32_t n = 0; n < len; n++) {
            counts[ANOMALY_G1A] += !history->txns[txn_of(op->seen.writes[n])].is_committed;
        }
        bool is_cut = len > 0 && len < last->len &&
                      txn_of(last->writes[len]) == txn_of(last->writes[len - 1]);
        counts[ANOMALY_G1B] += is_cut;
    }
}

static void check_lost(const struct history *history, uint32_t t, uint32_t *counts)
{
    const struct history_txn *txn = &history->txns[t];
    for (uint32_t i = 0; i < txn->op_count; i++) {
        const struct history_op *op = &txn->ops[i];
        const struct history_list *last = &history->finals[op->key];
        uint32_t times = 0;
        for (uint32_t n = 0; op->is_append && n < last->len; n++) {
            times += last->writes[n] == op->write;
        }
        counts[ANOMALY_LOST_UPDATE] += op->is_append && times != 1;
    }
}

/* ---- The graph */

static void add_edge(struct graph *graph, uint32_t from, uint32_t to, enum edge edge)
{
    if (from != to) {
        graph->edges[from][to] = (uint8_t)(graph->edges[from][to] | edge);
    }
}

static void build(const struct history *history, struct graph *graph)
{
    memset(graph, 0, sizeof(*graph));
    graph->count = history->txn_count;
    for (uint32_t key = 0; key < history->key_count; key++) {
        const struct history_list *last = &history->finals[key];
        for (uint32_t n = 1; n < last->len; n++) {
            add_edge(graph, txn_of(last->writes[n - 1]), txn_of(last->writes[n]), EDGE_WW);
        }
    }
    for (uint32_t t = 0; t < history->txn_count; t++) {
        const struct history_txn *txn = &history->txns[t];
        for (uint32_t i = 0; txn->is_committed && i < txn->op_count; i++) {
            const struct history_op *op = &txn->ops[i];
            if (op->is_append) {
                continue;
            }
            const struct history_list *last = &history->finals[op->key];
            uint32_t len = foreign_len(&op->seen, t);
            if (len > 0) {
                add_edge(graph, txn_of(op->seen.writes[len - 1]), t, EDGE_WR);
            }
            if (len < last->len) {
                add_edge(graph, t, txn_of(last->writes[len]), EDGE_RW);
            }
        }
    }
}

static void add_times(const struct history *history, struct graph *graph)
{
    for (uint32_t a = 0; a < graph->count; a++) {
        for (uint32_t b = 0; b < graph->count; b++) {
            const struct history_txn *one = &history->txns[a], *two = &history->txns[b];
            if (one->is_committed && two->is_committed && one->ended < two->begun) {
                add_edge(graph, a, b, EDGE_TIME);
            }
        }
    }
}

/* True if `to` is reached from `from` by edges of `mask`. With `is_spaced` no two anti-dependencies
 * may follow each other, and `after_rw` says what came before `from`; reaching `to` by one counts
 * only if none went out of it. */
static bool reaches(const struct graph *graph, uint32_t from, uint32_t to, uint32_t mask,
                    bool is_spaced, bool after_rw)
{
    bool seen[2][HISTORY_TXNS_MAX] = {{false}};
    struct {
        uint32_t node;
        bool after_rw;
    } stack[2 * HISTORY_TXNS_MAX];
    uint32_t depth = 0;
    stack[depth].node = from;
    stack[depth++].after_rw = after_rw;
    seen[after_rw][from] = true;
    while (depth > 0) {
        uint32_t node = stack[--depth].node;
        bool was_rw = stack[depth].after_rw;
        for (uint32_t next = 0; next < graph->count; next++) {
            uint32_t edges = graph->edges[node][next] & mask;
            if (edges == 0) {
                continue;
            }
            for (uint32_t edge = EDGE_WW; edge <= EDGE_TIME; edge <<= 1) {
                bool is_rw = is_spaced && edge == EDGE_RW;
                if ((edges & edge) == 0 || (is_rw && was_rw)) {
                    continue;
                }
                if (next == to && !(is_rw && after_rw)) {
                    return true;
                }
                if (!seen[is_rw][next]) {
                    seen[is_rw][next] = true;
                    stack[depth].node = next;
                    stack[depth++].after_rw = is_rw;
                }
            }
        }
    }
    return false;
}

void history_check(const struct history *history, uint32_t ret_counts[ANOMALY_COUNT])
{
    ASSERT(history->txn_count <= HISTORY_TXNS_MAX && history->key_count <= HISTORY_KEYS_MAX);
    memset(ret_counts, 0, ANOMALY_COUNT * sizeof(*ret_counts));
    for (uint32_t t = 0; t < history->txn_count; t++) {
        if (history->txns[t].is_committed) {
            check_reads(history, t, ret_counts);
            check_lost(history, t, ret_counts);
        }
    }
    struct graph *graph = mem_alloc(sizeof(*graph));
    ASSERT(graph != NULL);
    build(history, graph);
    add_times(history, graph);
    const uint32_t dependencies = EDGE_WW | EDGE_WR;
    for (uint32_t a = 0; a < graph->count; a++) {
        ret_counts[ANOMALY_G0] += reaches(graph, a, a, EDGE_WW, false, false);
        ret_counts[ANOMALY_G1C] += reaches(graph, a, a, dependencies, false, false);
        ret_counts[ANOMALY_G2] += reaches(graph, a, a, dependencies | EDGE_RW, false, false);
        ret_counts[ANOMALY_REAL_TIME] +=
            reaches(graph, a, a, dependencies | EDGE_RW | EDGE_TIME, false, false);
        for (uint32_t b = 0; b < graph->count; b++) {
            if ((graph->edges[a][b] & EDGE_RW) == 0) {
                continue;
            }
            ret_counts[ANOMALY_G_SINGLE] += reaches(graph, b, a, dependencies, false, false);
            ret_counts[ANOMALY_NONADJACENT] +=
                reaches(graph, b, a, dependencies | EDGE_RW, true, true);
            ret_counts[ANOMALY_WRITE_SKEW] += a < b && (graph->edges[b][a] & EDGE_RW) != 0;
        }
    }
    mem_free(graph);
}
