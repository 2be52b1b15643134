/* Which commits serializable snapshot isolation must refuse and may refuse, from the model's
 * versions and by the words of the rule: nothing of how the kernel finds out. */
#pragma once

#include "sim/sim_model.h"

#define SIM_WRITES_MAX 64u
#define SIM_READS_MAX 64u
#define SIM_SERIAL_MAX 1024u

/* A transaction, open or over. */
struct sim_txn {
    uint64_t snapshot;
    uint64_t commit; /* 0 = none: it is open, or wrote nothing */
    struct {
        uint32_t key, value;
    } writes[SIM_WRITES_MAX];
    uint32_t write_count;
    struct {
        uint32_t from, to; /* indexes of keys, `to` exclusive */
    } reads[SIM_READS_MAX];
    uint32_t read_count;
    uint64_t
        out_first; /* of one that is over: the first commit that it has an anti-dependency to */
    bool has_read_much; /* more than is listed, or than the kernel may keep */
};

/* The serializable transactions that have committed since the store was opened. */
struct sim_serial {
    uint32_t count;
    struct sim_txn txns[SIM_SERIAL_MAX];
};

/* After its writes are in the model. */
void sim_serial_keep(struct sim_serial *serial, const struct sim_model *model,
                     const struct sim_txn *txn);

/* Nobody is or will be open with a snapshot below that. */
void sim_serial_forget(struct sim_serial *serial, uint64_t snapshot);

enum sim_verdict {
    SIM_MUST_PASS,
    SIM_MAY_PASS, /* where the kernel is free to take one conflict more for real */
    SIM_MUST_NOT_PASS,
};

/* For a serializable transaction that would commit now, whose writes are the first of their keys
 * since its snapshot. */
enum sim_verdict sim_serial_judge(const struct sim_serial *serial, const struct sim_model *model,
                                  const struct sim_txn *txn);

/* Something that it has read was written since. */
bool sim_serial_is_stale(const struct sim_model *model, const struct sim_txn *txn);
