#include "kernel/filter.h"

#define MULTIPLIER_A 0x9FB21C651E98DF25u
#define MULTIPLIER_B 0xD6E8FEB86659FD93u
#define GOLDEN 0x9E3779B97F4A7C15u

static inline uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 wide = (unsigned __int128)a * b;
    return (uint64_t)wide ^ (uint64_t)(wide >> 64);
}

/* Multiply and fold, eight bytes a step; it decides nothing but the bits of a filter, so an
 * attacker who finds collisions gains slow misses of his own keys. */
uint64_t filter_hash(struct slice key)
{
    ASSERT(key.len <= UINT16_MAX);
    ASSERT(key.ptr != NULL || key.len == 0);
    uint64_t hash = key.len * MULTIPLIER_B + GOLDEN;
    const char *at = key.ptr;
    size_t left = key.len;
    for (; left >= 8; at += 8, left -= 8) {
        hash = fold(load_u64(at) ^ MULTIPLIER_A, hash ^ MULTIPLIER_B);
    }
    uint64_t last = 0;
    copy_bytes(&last, at, left);
    hash = fold(last ^ MULTIPLIER_A, hash ^ MULTIPLIER_B);
    return mix_u64(hash);
}

uint64_t filter_bytes(uint64_t key_count, uint64_t bits_per_key)
{
    ASSERT(key_count < UINT64_MAX / 64 - FILTER_LINE_BYTES);
    ASSERT(bits_per_key > 0 && bits_per_key <= 64);
    uint64_t len = align_up((key_count * bits_per_key + 7) / 8, FILTER_LINE_BYTES);
    return len == 0 ? FILTER_LINE_BYTES : len;
}

static inline uint64_t line_of(uint64_t len, uint64_t hash)
{
    return ((hash >> 32) * (len / FILTER_LINE_BYTES)) >> 32;
}

void filter_add(uint8_t *bits, uint64_t len, uint64_t bits_per_key, uint64_t hash)
{
    ASSERT(bits != NULL && bits_per_key > 0);
    ASSERT(len > 0 && len % FILTER_LINE_BYTES == 0);
    uint8_t *line = bits + line_of(len, hash) * FILTER_LINE_BYTES;
    uint64_t at = hash * GOLDEN;
    for (uint32_t i = filter_probes(bits_per_key); i > 0; i--) {
        uint32_t bit = (uint32_t)(at >> 55);
        line[bit >> 3] = (uint8_t)(line[bit >> 3] | 1u << (bit & 7));
        at *= GOLDEN;
    }
}

bool filter_may_have(const uint8_t *bits, uint64_t len, uint64_t bits_per_key, uint64_t hash)
{
    ASSERT(bits != NULL && bits_per_key > 0);
    ASSERT(len > 0 && len % FILTER_LINE_BYTES == 0);
    const uint8_t *line = bits + line_of(len, hash) * FILTER_LINE_BYTES;
    uint64_t at = hash * GOLDEN;
    for (uint32_t i = filter_probes(bits_per_key); i > 0; i--) {
        uint32_t bit = (uint32_t)(at >> 55);
        if ((line[bit >> 3] & 1u << (bit & 7)) == 0) {
            return false;
        }
        at *= GOLDEN;
    }
    return true;
}
