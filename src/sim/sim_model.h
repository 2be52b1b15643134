/* What the store must answer: an ordered map with all versions of every key, as plain as can be. */
#pragma once

#include "base/base.h"

#define SIM_KEYS_MAX 1024u
#define SIM_DELETED UINT32_MAX

struct sim_version {
    uint64_t commit;
    uint32_t value;  /* names a value (sim_model_value), or SIM_DELETED */
    uint32_t before; /* index of the version before it, 0 = none */
};

struct sim_model {
    struct slice keys[SIM_KEYS_MAX]; /* in order, all different */
    uint32_t key_count;
    char *key_bytes;
    uint32_t newest[SIM_KEYS_MAX]; /* index of a version, 0 = none */
    struct sim_version *versions;  /* [0] is unused */
    uint32_t version_count, version_capacity;
    uint64_t committed;
};

/* A set of keys of one of several shapes: text, numbers, hashes, common prefixes, any bytes. */
void sim_model_init(struct sim_model *model, uint64_t *random, uint32_t key_count);
void sim_model_fini(struct sim_model *model);

void sim_model_put(struct sim_model *model, uint32_t key, uint64_t commit, uint32_t value);

/* The newest version at or below `snapshot`: false if none or deleted. */
bool sim_model_get(const struct sim_model *model, uint32_t key, uint64_t snapshot,
                   uint32_t *ret_value);
uint64_t sim_model_changed(const struct sim_model *model, uint32_t key);

/* Forgets what was committed after `commit`. */
void sim_model_cut(struct sim_model *model, uint64_t commit);

/* The bytes of value `value`, at most SIM_VALUE_BYTES_MAX: some are longer than a block, and than
 * what some stores take. */
#define SIM_VALUE_BYTES_MAX 9000u
struct slice sim_model_value(uint32_t value, char *buf);
