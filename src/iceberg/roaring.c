/* Checks serialised roaring bitmaps. */
#include "iceberg/roaring_int.h"

#define COOKIE_RUNS 12347u
#define COOKIE_PLAIN 12346u
#define CONTAINERS_MAX 65536u
#define ARRAY_VALUES_MAX 4096u
#define BITSET_BYTES 8192u
#define OFFSETS_FROM 4u /* with runs: fewer containers than this come without offsets */

struct walk {
    const uint8_t *at;
    size_t left;
};

static bool take(struct walk *walk, size_t len, const uint8_t **ret_bytes)
{
    if (len > walk->left) {
        return false;
    }
    *ret_bytes = walk->at;
    walk->at += len;
    walk->left -= len;
    return true;
}

static uint32_t u16_at(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8;
}

static uint32_t u32_at(const uint8_t *bytes)
{
    return u16_at(bytes) | u16_at(bytes + 2) << 16;
}

static bool check_array(struct walk *walk, uint32_t count)
{
    const uint8_t *values;
    if (!take(walk, (size_t)count * 2, &values)) {
        return false;
    }
    for (uint32_t i = 1; i < count; i++) {
        if (u16_at(values + (size_t)i * 2) <= u16_at(values + (size_t)(i - 1) * 2)) {
            return false;
        }
    }
    return true;
}

static bool check_bitset(struct walk *walk, uint32_t count)
{
    const uint8_t *bytes;
    uint32_t found = 0;
    if (!take(walk, BITSET_BYTES, &bytes)) {
        return false;
    }
    for (size_t i = 0; i < BITSET_BYTES; i += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, bytes + i, sizeof(word));
        found += (uint32_t)__builtin_popcountll(word);
    }
    return found == count;
}

static bool check_runs(struct walk *walk, uint32_t count)
{
    const uint8_t *bytes;
    uint32_t next = 0; /* the least value that the next run may start with */
    uint32_t found = 0;
    if (!take(walk, 2, &bytes)) {
        return false;
    }
    uint32_t runs = u16_at(bytes);
    if (!take(walk, (size_t)runs * 4, &bytes)) {
        return false;
    }
    for (uint32_t i = 0; i < runs; i++) {
        uint32_t start = u16_at(bytes + (size_t)i * 4);
        uint32_t last = start + u16_at(bytes + (size_t)i * 4 + 2);
        if ((i > 0 && start < next) || last > UINT16_MAX) {
            return false;
        }
        found += last - start + 1;
        next = last + 1;
    }
    return found == count;
}

struct header {
    uint32_t containers;
    bool has_runs;
    const uint8_t *run_flags;
    const uint8_t *keys;    /* key and cardinality - 1 of each */
    const uint8_t *offsets; /* NULL = none */
};

static bool read_header(struct walk *walk, struct header *out)
{
    const uint8_t *bytes;
    if (!take(walk, 4, &bytes)) {
        return false;
    }
    uint32_t cookie = u32_at(bytes);
    out->has_runs = (cookie & UINT16_MAX) == COOKIE_RUNS;
    if (out->has_runs) {
        out->containers = (cookie >> 16) + 1;
        if (!take(walk, (out->containers + 7) / 8, &out->run_flags)) {
            return false;
        }
    } else if (cookie != COOKIE_PLAIN || !take(walk, 4, &bytes)) {
        return false;
    } else {
        out->containers = u32_at(bytes);
    }
    if (out->containers > CONTAINERS_MAX || !take(walk, (size_t)out->containers * 4, &out->keys)) {
        return false;
    }
    bool has_offsets = !out->has_runs || out->containers >= OFFSETS_FROM;
    out->offsets = NULL;
    return !has_offsets || take(walk, (size_t)out->containers * 4, &out->offsets);
}

bool roaring__check(struct slice bytes, size_t *ret_len, uint64_t *ret_count)
{
    struct walk walk = {(const uint8_t *)bytes.ptr, bytes.len};
    struct header header = {0};
    uint64_t total = 0;
    if (!read_header(&walk, &header)) {
        return false;
    }
    for (uint32_t i = 0; i < header.containers; i++) {
        const uint8_t *key = header.keys + (size_t)i * 4;
        uint32_t count = u16_at(key + 2) + 1;
        size_t offset = bytes.len - walk.left;
        if ((i > 0 && u16_at(key) <= u16_at(key - 4)) ||
            (header.offsets != NULL && u32_at(header.offsets + (size_t)i * 4) != offset)) {
            return false;
        }
        bool is_run = header.has_runs && (header.run_flags[i / 8] >> (i % 8) & 1) != 0;
        bool is_well = is_run                      ? check_runs(&walk, count)
                       : count <= ARRAY_VALUES_MAX ? check_array(&walk, count)
                                                   : check_bitset(&walk, count);
        if (!is_well) {
            return false;
        }
        total += count;
    }
    *ret_len = bytes.len - walk.left;
    *ret_count = total;
    return true;
}
