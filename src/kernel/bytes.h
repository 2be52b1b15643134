/* Bytes of our formats: little-endian integers at any alignment, and order of keys. */
#pragma once

#include "base/base.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "formats are stored as they lie in memory");

static inline uint16_t load_u16(const void *from)
{
    uint16_t value;
    memcpy(&value, from, sizeof(value));
    return value;
}

static inline uint32_t load_u32(const void *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof(value));
    return value;
}

static inline uint64_t load_u64(const void *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof(value));
    return value;
}

static inline void store_u16(void *to, uint16_t value)
{
    memcpy(to, &value, sizeof(value));
}

static inline void store_u32(void *to, uint32_t value)
{
    memcpy(to, &value, sizeof(value));
}

static inline void store_u64(void *to, uint64_t value)
{
    memcpy(to, &value, sizeof(value));
}

/* `alignment` is a power of two. */
static inline uint64_t align_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

/* memcpy that may be given NULL for nothing. */
static inline void copy_bytes(void *to, const void *from, size_t len)
{
    if (len > 0) {
        memcpy(to, from, len);
    }
}

static inline void move_bytes(void *to, const void *from, size_t len)
{
    if (len > 0) {
        memmove(to, from, len);
    }
}

/* The first eight bytes as a number that sorts as they do; missing ones count as zero, so equal
 * heads say nothing. */
static inline uint64_t key_head(const char *key, size_t len)
{
    uint64_t head = 0;
    if (len >= sizeof(head)) {
        memcpy(&head, key, sizeof(head));
    } else {
        copy_bytes(&head, key, len);
    }
    return __builtin_bswap64(head);
}

/* Byte order, shorter first: <0, 0, >0. */
static inline int key_compare(struct slice a, struct slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.ptr, b.ptr, len);
    if (order != 0) {
        return order;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

static inline size_t key_common(struct slice a, struct slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    size_t i = 0;
    while (i < len && a.ptr[i] == b.ptr[i]) {
        i++;
    }
    return i;
}

/* Mixes 64 bits; a bijection. */
static inline uint64_t mix_u64(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
    return value ^ (value >> 31);
}

/* One version of a key. Entries are ordered by key, then by commit, newest first. */
enum entry_kind {
    ENTRY_PUT = 0,
    ENTRY_DELETE = 1,
    ENTRY_FAR = 2, /* in runs: a put whose value lies elsewhere, `value` says where (values.h) */
};

struct entry {
    struct slice key, value;
    uint64_t commit;
    enum entry_kind kind;
};

#define COMMIT_MAX UINT64_MAX

static inline int entry_compare(struct slice key_a, uint64_t commit_a, struct slice key_b,
                                uint64_t commit_b)
{
    int order = key_compare(key_a, key_b);
    if (order != 0) {
        return order;
    }
    return commit_a > commit_b ? -1 : commit_a < commit_b;
}
