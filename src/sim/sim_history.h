/* What transactions saw and did, and which isolation that breaks: cycle search in the graph of
 * their dependencies (Adya 1999; Kingsbury and Alvaro, "Elle", 2020). Every value is the list
 * of all writes of its key, oldest first, so that what was read tells the order of versions,
 * whatever the store says of it. */
#pragma once

#include "base/base.h"

#define HISTORY_TXNS_MAX 512u
#define HISTORY_KEYS_MAX 16u
#define HISTORY_OPS_MAX 48u
#define HISTORY_LIST_MAX 256u

/* A write's name: its transaction and which of its writes it is. */
typedef uint16_t history_write;
#define HISTORY_WRITES_EACH 16u

struct history_list {
    uint32_t len;
    history_write writes[HISTORY_LIST_MAX];
};

struct history_op {
    uint32_t key;
    bool is_append;      /* else a read */
    history_write write; /* of an append */
    struct history_list seen;
};

struct history_txn {
    bool is_committed;
    uint32_t begun, ended; /* when, 0 = it does not matter */
    uint32_t op_count;
    struct history_op ops[HISTORY_OPS_MAX];
};

struct history {
    uint32_t txn_count, key_count;
    struct history_txn txns[HISTORY_TXNS_MAX];
    struct history_list finals[HISTORY_KEYS_MAX]; /* what a reader after all of them sees */
};

enum anomaly {
    ANOMALY_ORDER,       /* a read is no prefix of its key's final list */
    ANOMALY_LOST_UPDATE, /* a committed write is not in the final list */
    ANOMALY_G1A,         /* a read of an aborted write */
    ANOMALY_G1B,         /* a read of a write that its transaction wrote over */
    ANOMALY_INTERNAL,    /* a transaction does not see its own writes, or two snapshots */
    ANOMALY_G0,          /* a cycle of write dependencies */
    ANOMALY_G1C,         /* of write and read dependencies */
    ANOMALY_G_SINGLE,    /* with one anti-dependency (read skew) */
    ANOMALY_NONADJACENT, /* with several, no two in a row: snapshot isolation forbids it */
    ANOMALY_WRITE_SKEW,  /* two transactions with an anti-dependency each way */
    ANOMALY_G2,          /* any cycle: not serializable */
    ANOMALY_REAL_TIME,   /* no order of all has those first that ended before others began */
    ANOMALY_COUNT,
};

const char *anomaly_name(enum anomaly anomaly);

/* Adds up in `ret_counts` what there is (cycles: of how many transactions or edges they start). */
void history_check(const struct history *history, uint32_t ret_counts[ANOMALY_COUNT]);
