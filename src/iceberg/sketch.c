/* Theta sketch: the K least of all hashes, and theta, which all of them are below and no hash that
 * was thrown away is. Between cuts the table holds up to twice as many. Format and hash are those
 * of Apache DataSketches: MurmurHash3 x64 128 with seed 9001, its first half without its lowest
 * bit. */
#include "iceberg/sketch.h"

#include <stdlib.h>

#include "base/mem.h"

#define KEPT 4096u        /* K: hashes of a sketch that had more */
#define SLOTS (4u * KEPT) /* a power of two; at most half of them are taken */
#define THETA_MAX INT64_MAX
#define SEED 9001u
#define SEED_HASH 0x93CCu /* of 9001: who reads tells sketches of other seeds by it */

enum flags {
    FLAG_READ_ONLY = 2,
    FLAG_EMPTY = 4,
    FLAG_COMPACT = 8,
    FLAG_ORDERED = 16,
    FLAG_SINGLE = 32,
};

struct iceberg_sketch {
    uint64_t theta;
    size_t count;
    uint64_t slots[SLOTS]; /* 0 = free */
    uint64_t sorted[2 * KEPT];
};

enum err iceberg_sketch_open(struct iceberg_sketch **ret_sketch, struct errinfo *info)
{
    struct iceberg_sketch *sketch = mem_calloc(1, sizeof(*sketch));
    if (sketch == NULL) {
        return errinfo_nomem(info);
    }
    sketch->theta = THETA_MAX;
    *ret_sketch = sketch;
    return ERR_OK;
}

void iceberg_sketch_close(struct iceberg_sketch *sketch)
{
    mem_free(sketch);
}

/* ---- MurmurHash3, x64, 128 bits ---- */

#define C1 0x87c37b91114253d5u
#define C2 0x4cf5ad432745937fu

static uint64_t rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static uint64_t finish(uint64_t value)
{
    value = (value ^ value >> 33) * 0xff51afd7ed558ccdu;
    value = (value ^ value >> 33) * 0xc4ceb9fe1a85ec53u;
    return value ^ value >> 33;
}

/* Little endian, of up to 8 bytes. */
static uint64_t word_at(const char *bytes, size_t len)
{
    uint64_t word = 0;
    for (size_t i = 0; i < len; i++) {
        word |= (uint64_t)(unsigned char)bytes[i] << (8 * i);
    }
    return word;
}

static uint64_t hash_of(struct slice value)
{
    uint64_t h1 = SEED;
    uint64_t h2 = SEED;
    size_t at = 0;
    for (; value.len - at >= 16; at += 16) {
        h1 ^= rotate(word_at(value.ptr + at, 8) * C1, 31) * C2;
        h1 = (rotate(h1, 27) + h2) * 5 + 0x52dce729;
        h2 ^= rotate(word_at(value.ptr + at + 8, 8) * C2, 33) * C1;
        h2 = (rotate(h2, 31) + h1) * 5 + 0x38495ab5;
    }
    size_t rest = value.len - at;
    if (rest > 8) {
        h2 ^= rotate(word_at(value.ptr + at + 8, rest - 8) * C2, 33) * C1;
    }
    if (rest > 0) {
        h1 ^= rotate(word_at(value.ptr + at, rest < 8 ? rest : 8) * C1, 31) * C2;
    }
    h1 ^= value.len;
    h2 ^= value.len;
    h1 += h2;
    h2 += h1;
    return finish(h1) + finish(h2);
}

/* ---- the hashes that are kept ---- */

static bool insert(struct iceberg_sketch *sketch, uint64_t hash)
{
    size_t at = hash & (SLOTS - 1);
    while (sketch->slots[at] != 0) {
        if (sketch->slots[at] == hash) {
            return false;
        }
        at = (at + 1) & (SLOTS - 1);
    }
    sketch->slots[at] = hash;
    return true;
}

static int compare_hashes(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void sort(struct iceberg_sketch *sketch)
{
    size_t count = 0;
    for (size_t i = 0; i < SLOTS; i++) {
        if (sketch->slots[i] != 0) {
            sketch->sorted[count++] = sketch->slots[i];
        }
    }
    ASSERT(count == sketch->count);
    qsort(sketch->sorted, count, sizeof(sketch->sorted[0]), compare_hashes);
}

/* Back to K hashes; the next one is theta. Leaves them sorted. */
static void cut(struct iceberg_sketch *sketch)
{
    sort(sketch);
    if (sketch->count <= KEPT) {
        return;
    }
    sketch->theta = sketch->sorted[KEPT];
    sketch->count = KEPT;
    memset(sketch->slots, 0, sizeof(sketch->slots));
    for (size_t i = 0; i < KEPT; i++) {
        (void)insert(sketch, sketch->sorted[i]);
    }
}

void iceberg_sketch_add(struct iceberg_sketch *sketch, struct slice value)
{
    uint64_t hash = value.len == 0 ? 0 : hash_of(value) >> 1;
    if (hash == 0 || hash >= sketch->theta || !insert(sketch, hash)) {
        return;
    }
    sketch->count++;
    if (sketch->count == ARRAY_COUNT(sketch->sorted)) {
        cut(sketch);
    }
}

uint64_t iceberg_sketch_estimate(struct iceberg_sketch *sketch)
{
    cut(sketch);
    if (sketch->theta == THETA_MAX) {
        return sketch->count;
    }
    return (uint64_t)((double)sketch->count / ((double)sketch->theta / (double)THETA_MAX) + 0.5);
}

/* ---- the format ---- */

static void append_number(struct buf *out, uint64_t value, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        buf_append_char(out, (char)(value >> (8 * i) & 0xFF));
    }
}

enum err iceberg_sketch_write(struct iceberg_sketch *sketch, struct buf *out, struct errinfo *info)
{
    cut(sketch);
    bool is_exact = sketch->theta == THETA_MAX;
    bool is_short = is_exact && sketch->count < 2;
    size_t words = is_short ? 1 : is_exact ? 2 : 3;
    unsigned flags = FLAG_READ_ONLY | FLAG_COMPACT | FLAG_ORDERED;
    flags |= is_short && sketch->count == 0 ? FLAG_EMPTY : 0;
    flags |= is_short && sketch->count == 1 ? FLAG_SINGLE : 0;
    append_number(out, words, 1);
    append_number(out, 3, 1); /* version of the format */
    append_number(out, 3, 1); /* family: compact */
    append_number(out, 0, 2); /* sizes of a table, which this has not */
    append_number(out, flags, 1);
    append_number(out, SEED_HASH, 2);
    if (words > 1) {
        append_number(out, sketch->count, 4);
        append_number(out, 0x3f800000, 4); /* 1.0f: no value was left out by chance */
    }
    if (words > 2) {
        append_number(out, sketch->theta, 8);
    }
    for (size_t i = 0; i < sketch->count; i++) {
        append_number(out, sketch->sorted[i], 8);
    }
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}
