/* One life of a store from one seed: transactions against the model, faults, crashes, openings. */
#pragma once

#include "base/base.h"

struct sim_report {
    uint64_t seed, hash; /* of all answers and of the disk at the end */
    uint64_t commits, conflicts, stale, crashes, opens, reads, scans, faults, corruptions;
    uint64_t flushes, compactions, moves;
    bool is_failed;
    char text[512]; /* why */
};

struct sim_options {
    uint32_t steps;        /* 0 = 2,000 */
    bool has_hardware_crc; /* must not change the hash */
};

void sim_run(uint64_t seed, const struct sim_options *options, struct sim_report *ret_report);
