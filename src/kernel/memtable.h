/* The newest versions, in memory: a skip list in one piece of memory (Pugh 1990), links are
 * offsets.
 *
 * One thread puts; any number read at the same time without locks: a node is complete before the
 * link to it is published, and no node goes away before memtable_reset, which the owner calls when
 * nobody reads. A transaction's overlay is a memtable too, whose "commit" is the number of the
 * write in that transaction. */
#pragma once

#include "kernel/bytes.h"

#define MEMTABLE_LEVELS 12u

typedef uint32_t memtable_node; /* an offset; 0 = none */

struct memtable {
    uint8_t *base;
    uint32_t capacity, used;
    uint32_t entry_count;
    uint64_t random;
};

/* `base` is 8-byte aligned and stays the caller's. */
void memtable_init(struct memtable *table, void *base, uint32_t capacity);
void memtable_reset(struct memtable *table);

/* The most that an entry can take. */
uint32_t memtable_entry_bytes(size_t key_len, size_t value_len);
uint32_t memtable_room(const struct memtable *table);

/* Copies the entry. There must be room, and no entry with that key and commit yet. */
void memtable_put(struct memtable *table, const struct entry *entry);

/* Takes back all entries put since `used` was the fill; nobody may be reading. */
void memtable_truncate(struct memtable *table, uint32_t used);

/* First entry at or behind (key, commit); last one before it. */
memtable_node memtable_seek(const struct memtable *table, struct slice key, uint64_t commit);
memtable_node memtable_seek_before(const struct memtable *table, struct slice key, uint64_t commit);
memtable_node memtable_first(const struct memtable *table);
memtable_node memtable_last(const struct memtable *table);
memtable_node memtable_next(const struct memtable *table, memtable_node node);

/* Slices into the memtable, valid until it is reset. */
void memtable_at(const struct memtable *table, memtable_node node, struct entry *ret_entry);
