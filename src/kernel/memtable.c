#include "kernel/memtable.h"

#define RANDOM_SEED 0x9E3779B97F4A7C15u

struct node {
    uint64_t head; /* key_head of the key: most comparisons end here */
    uint64_t commit;
    uint32_t value_len;
    uint16_t key_len;
    uint8_t height;
    uint8_t kind;
    uint32_t next[]; /* `height` links; then the key, then the value */
};

static struct node *node_at(const struct memtable *table, memtable_node at)
{
    ASSERT(at % 8 == 0);
    ASSERT(at < table->capacity);
    return (struct node *)(void *)(table->base + at);
}

static inline struct slice node_key(const struct node *node)
{
    return (struct slice){(const char *)(node->next + node->height), node->key_len};
}

static inline memtable_node link_of(const struct node *node, uint32_t level)
{
    return __atomic_load_n(&node->next[level], __ATOMIC_ACQUIRE);
}

void memtable_init(struct memtable *table, void *base, uint32_t capacity)
{
    ASSERT(((uintptr_t)base & 7) == 0);
    ASSERT(capacity >= 256);
    *table = (struct memtable){.base = base, .capacity = capacity};
    memtable_reset(table);
}

void memtable_reset(struct memtable *table)
{
    ASSERT(table->base != NULL);
    struct node *first = (struct node *)(void *)table->base;
    memset(first, 0, sizeof(*first) + MEMTABLE_LEVELS * sizeof(uint32_t));
    first->height = MEMTABLE_LEVELS;
    table->used = sizeof(*first) + MEMTABLE_LEVELS * (uint32_t)sizeof(uint32_t);
    table->entry_count = 0;
    table->random = RANDOM_SEED;
    ASSERT(table->used % 8 == 0);
}

uint32_t memtable_entry_bytes(size_t key_len, size_t value_len)
{
    ASSERT(key_len <= UINT16_MAX);
    ASSERT(value_len <= UINT32_MAX / 2);
    return (uint32_t)align_up(
        sizeof(struct node) + MEMTABLE_LEVELS * sizeof(uint32_t) + key_len + value_len, 8);
}

uint32_t memtable_room(const struct memtable *table)
{
    ASSERT(table->used % 8 == 0);
    ASSERT(table->used <= table->capacity);
    return table->capacity - table->used;
}

/* A quarter of the nodes reaches each further level. */
static uint8_t draw_height(struct memtable *table)
{
    ASSERT(table->random != 0);
    table->random += RANDOM_SEED;
    uint64_t bits = mix_u64(table->random);
    uint8_t height = 1;
    while (height < MEMTABLE_LEVELS && (bits & 3) == 0) {
        height++;
        bits >>= 2;
    }
    ASSERT(height >= 1 && height <= MEMTABLE_LEVELS);
    return height;
}

/* True if `node` lies before (key, commit). */
static bool is_before(const struct node *node, uint64_t head, struct slice key, uint64_t commit)
{
    ASSERT(node->height > 0);
    ASSERT(key.ptr != NULL || key.len == 0);
    if (node->head != head) {
        return node->head < head;
    }
    return entry_compare(node_key(node), node->commit, key, commit) < 0;
}

/* The last node before (key, commit), the first node counting as the lowest; `ret_before` (may be
 * NULL) gets the last one of each level. */
static memtable_node find_before(const struct memtable *table, struct slice key, uint64_t commit,
                                 memtable_node *ret_before)
{
    ASSERT(table->base != NULL);
    uint64_t head = key_head(key.ptr, key.len);
    memtable_node at = 0, seen = 0;
    for (uint32_t level = MEMTABLE_LEVELS; level-- > 0;) {
        memtable_node next = link_of(node_at(table, at), level);
        while (next != 0 && next != seen && is_before(node_at(table, next), head, key, commit)) {
            at = next;
            next = link_of(node_at(table, at), level);
        }
        seen = next; /* known not to be before: not compared again one level below */
        if (ret_before != NULL) {
            ret_before[level] = at;
        }
    }
    ASSERT(at < table->capacity);
    return at;
}

void memtable_put(struct memtable *table, const struct entry *entry)
{
    ASSERT(memtable_entry_bytes(entry->key.len, entry->value.len) <= memtable_room(table));
    memtable_node before[MEMTABLE_LEVELS];
    (void)find_before(table, entry->key, entry->commit, before);

    memtable_node at = table->used;
    struct node *node = (struct node *)(void *)(table->base + at);
    node->head = key_head(entry->key.ptr, entry->key.len);
    node->commit = entry->commit;
    node->value_len = (uint32_t)entry->value.len;
    node->key_len = (uint16_t)entry->key.len;
    node->kind = (uint8_t)entry->kind;
    node->height = draw_height(table);
    char *bytes = (char *)(node->next + node->height);
    copy_bytes(bytes, entry->key.ptr, entry->key.len);
    copy_bytes(bytes + entry->key.len, entry->value.ptr, entry->value.len);
    size_t size = sizeof(*node) + node->height * sizeof(uint32_t) + node->key_len + node->value_len;
    table->used += (uint32_t)align_up(size, 8);
    table->entry_count++;
    for (uint32_t level = 0; level < node->height; level++) {
        node->next[level] = link_of(node_at(table, before[level]), level);
    }
    for (uint32_t level = 0; level < node->height; level++) {
        struct node *left = node_at(table, before[level]);
        __atomic_store_n(&left->next[level], at, __ATOMIC_RELEASE);
    }
    ASSERT(table->used <= table->capacity);
}

void memtable_truncate(struct memtable *table, uint32_t used)
{
    ASSERT(used <= table->used);
    ASSERT(used > 0);
    uint32_t kept = 0;
    for (uint32_t level = MEMTABLE_LEVELS; level-- > 0;) {
        memtable_node at = 0;
        kept = 0;
        while (true) {
            struct node *node = node_at(table, at);
            memtable_node next = node->next[level];
            while (next >= used) {
                next = node_at(table, next)->next[level];
            }
            node->next[level] = next;
            if (next == 0) {
                break;
            }
            at = next;
            kept++;
        }
    }
    table->entry_count = kept;
    table->used = used;
}

memtable_node memtable_seek(const struct memtable *table, struct slice key, uint64_t commit)
{
    ASSERT(key.ptr != NULL || key.len == 0);
    ASSERT(table->base != NULL);
    memtable_node before = find_before(table, key, commit, NULL);
    memtable_node at = link_of(node_at(table, before), 0);
    /* A writer may have put an entry between the two steps. */
    while (at != 0 && is_before(node_at(table, at), key_head(key.ptr, key.len), key, commit)) {
        at = link_of(node_at(table, at), 0);
    }
    return at;
}

memtable_node memtable_seek_before(const struct memtable *table, struct slice key, uint64_t commit)
{
    ASSERT(key.ptr != NULL || key.len == 0);
    ASSERT(table->base != NULL);
    return find_before(table, key, commit, NULL);
}

memtable_node memtable_first(const struct memtable *table)
{
    ASSERT(table->capacity > 0);
    ASSERT(table->base != NULL);
    return link_of(node_at(table, 0), 0);
}

memtable_node memtable_last(const struct memtable *table)
{
    ASSERT(table->capacity > 0);
    ASSERT(table->base != NULL);
    memtable_node at = 0;
    for (uint32_t level = MEMTABLE_LEVELS; level-- > 0;) {
        memtable_node next = link_of(node_at(table, at), level);
        while (next != 0) {
            at = next;
            next = link_of(node_at(table, at), level);
        }
    }
    return at;
}

memtable_node memtable_next(const struct memtable *table, memtable_node node)
{
    ASSERT(node % 8 == 0);
    ASSERT(node != 0);
    return link_of(node_at(table, node), 0);
}

void memtable_at(const struct memtable *table, memtable_node at, struct entry *ret_entry)
{
    ASSERT(at != 0);
    const struct node *node = node_at(table, at);
    ret_entry->key = node_key(node);
    ret_entry->value = (struct slice){ret_entry->key.ptr + node->key_len, node->value_len};
    ret_entry->commit = node->commit;
    ret_entry->kind = (enum entry_kind)node->kind;
    ASSERT(ret_entry->kind == ENTRY_PUT || ret_entry->kind == ENTRY_DELETE);
}
