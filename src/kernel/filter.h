/* A blocked Bloom filter (Putze, Sanders and Singler 2007): all bits of a key lie in one line of 64
 * bytes, so a probe is one cache miss. Why not a ribbon filter: docs/decisions/006. */
#pragma once

#include "kernel/bytes.h"

#define FILTER_LINE_BYTES 64u

uint64_t filter_hash(struct slice key);

/* Bytes for so many keys; a multiple of a line, at least one. */
uint64_t filter_bytes(uint64_t key_count, uint64_t bits_per_key);

/* `bits` are zeroed by the caller. */
void filter_add(uint8_t *bits, uint64_t len, uint64_t bits_per_key, uint64_t hash);

/* False: no such key was added. */
static inline uint32_t filter_probes(uint64_t bits_per_key)
{
    uint64_t probes = bits_per_key * 6 / 10; /* below ln 2: the line's bits are shared unevenly */
    return probes < 1 ? 1 : probes > 12 ? 12 : (uint32_t)probes;
}

bool filter_may_have(const uint8_t *bits, uint64_t len, uint64_t bits_per_key, uint64_t hash);
