/* Fault sweeps: run a body with the 1st, 2nd, 3rd ... allocation (or I/O step) failing until a run
 * passes untouched. After SQLite's malloc and I/O error tests ("test6.c", the disk that lies).
 *
 *     SWEEP_ALLOC(fault) { run the operation; check: success, or a clean error and no damage }
 *
 * Faults are per process, and hit whichever thread makes the call: a fault is armed and disarmed,
 * and `fired` is read, while no other thread of ours runs. Where threads take turns as they like,
 * which call is the n-th differs from run to run; each is still hit by some step. */
#pragma once

#include "base/base.h"

enum fault_kind {
    FAULT_ALLOC,
    FAULT_IO,
    FAULT_KILL
};

struct fault {
    enum fault_kind kind;
    uint64_t step; /* which call fails, from 1 */
    bool fired;
};

/* Arms: the `step`-th call from now fails once (FAULT_KILL: SIGKILL before it). */
void fault_arm(struct fault *fault);
void fault_disarm(void);

/* The calling thread plays another program, such as a peer on a socket: faults pass it by. */
void fault_spare_thread(void);

/* Called by mem and io (and by adapters of other libraries' hooks): true = fail now. */
bool fault_hit_alloc(void);
bool fault_hit_io(void);

#define SWEEP_FAULT_(fault_kind_, name)                                                            \
    for (struct fault name = {.kind = (fault_kind_), .step = 1};                                   \
         name.step < 1000000 ? (fault_arm(&name), true) : (fault_disarm(), false);                 \
         fault_disarm(), name.step = name.fired ? name.step + 1 : 1000000, name.fired = false)

#define SWEEP_ALLOC(name) SWEEP_FAULT_(FAULT_ALLOC, name)
#define SWEEP_IO(name) SWEEP_FAULT_(FAULT_IO, name)
