#include "sim/sim_serial.h"

#define NEVER UINT64_MAX

/* The commit that wrote the version of `key` behind the one at `snapshot`. */
static uint64_t next_version(const struct sim_model *model, uint32_t key, uint64_t snapshot)
{
    uint64_t next = NEVER;
    for (uint32_t at = model->newest[key]; at != 0 && model->versions[at].commit > snapshot;
         at = model->versions[at].before) {
        next = model->versions[at].commit;
    }
    return next;
}

/* The first commit that it has an anti-dependency to. */
static uint64_t first_out(const struct sim_model *model, const struct sim_txn *txn)
{
    uint64_t first = NEVER;
    for (uint32_t i = 0; i < txn->read_count; i++) {
        for (uint32_t key = txn->reads[i].from; key < txn->reads[i].to; key++) {
            uint64_t next = next_version(model, key, txn->snapshot);
            first = next < first ? next : first;
        }
    }
    return first;
}

static uint64_t use_until(const struct sim_txn *txn)
{
    return txn->commit > 0 ? txn->commit : txn->snapshot;
}

void sim_serial_keep(struct sim_serial *serial, const struct sim_model *model,
                     const struct sim_txn *txn)
{
    ASSERT(serial->count < SIM_SERIAL_MAX);
    struct sim_txn *kept = &serial->txns[serial->count++];
    *kept = *txn;
    kept->out_first = first_out(model, txn);
}

void sim_serial_forget(struct sim_serial *serial, uint64_t snapshot)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < serial->count; i++) {
        if (use_until(&serial->txns[i]) > snapshot) {
            serial->txns[count++] = serial->txns[i];
        }
    }
    serial->count = count;
}

bool sim_serial_is_stale(const struct sim_model *model, const struct sim_txn *txn)
{
    return first_out(model, txn) != NEVER;
}

/* `txn` reads what `pivot` wrote over. */
static bool is_before(const struct sim_model *model, const struct sim_txn *txn,
                      const struct sim_txn *pivot)
{
    for (uint32_t i = 0; i < txn->read_count; i++) {
        for (uint32_t key = txn->reads[i].from; key < txn->reads[i].to; key++) {
            if (next_version(model, key, txn->snapshot) == pivot->commit) {
                return true;
            }
        }
    }
    return false;
}

/* `other` has read what `txn` would write over; `ret_is_next` if nobody did between them. */
static bool is_behind(const struct sim_model *model, const struct sim_txn *other,
                      const struct sim_txn *txn, bool *ret_is_next)
{
    bool is_read = false;
    *ret_is_next = false;
    for (uint32_t w = 0; w < txn->write_count; w++) {
        uint32_t key = txn->writes[w].key;
        for (uint32_t i = 0; i < other->read_count; i++) {
            if (key >= other->reads[i].from && key < other->reads[i].to) {
                is_read = true;
                *ret_is_next = *ret_is_next || next_version(model, key, other->snapshot) == NEVER;
            }
        }
    }
    return is_read;
}

enum sim_verdict sim_serial_judge(const struct sim_serial *serial, const struct sim_model *model,
                                  const struct sim_txn *txn)
{
    uint64_t out = first_out(model, txn);
    bool may_be = false;
    for (uint32_t i = 0; i < serial->count; i++) {
        const struct sim_txn *other = &serial->txns[i];
        /* txn -> other -> somebody who committed before */
        uint64_t last = other->out_first;
        if (other->commit > txn->snapshot && last < other->commit &&
            (txn->write_count > 0 || last <= txn->snapshot) && is_before(model, txn, other)) {
            return SIM_MUST_NOT_PASS;
        }
        /* other -> txn -> somebody */
        bool is_next = false;
        if (out <= use_until(other) && is_behind(model, other, txn, &is_next)) {
            if (is_next) {
                return SIM_MUST_NOT_PASS;
            }
            may_be = true;
        }
    }
    return may_be ? SIM_MAY_PASS : SIM_MUST_PASS;
}
