/* Texts to numbers in order of arrival: open addressing, load below a half. */
#include "base/hash.h"
#include "base/mem.h"
#include "lake/lake_int.h"

static size_t slot_of(const struct lake_map *map, struct slice key)
{
    size_t at = (size_t)hash_xx64(key, 0) & (map->slot_count - 1);
    while (map->slots[at] != 0 && !slice_equal(map->keys[map->slots[at] - 1], key)) {
        at = (at + 1) & (map->slot_count - 1);
    }
    return at;
}

static enum err grow(struct lake_map *map)
{
    if (map->count == map->capacity) {
        size_t capacity = map->capacity == 0 ? 16 : map->capacity * 2;
        struct slice *keys = mem_realloc(map->keys, capacity * sizeof(*keys));
        if (keys == NULL) {
            return ERR_NOMEM;
        }
        map->keys = keys;
        map->capacity = capacity;
    }
    if (map->slot_count >= (map->count + 1) * 2) {
        return ERR_OK;
    }
    size_t slot_count = map->slot_count == 0 ? 64 : map->slot_count * 2;
    uint32_t *slots = mem_calloc(slot_count, sizeof(*slots));
    if (slots == NULL) {
        return ERR_NOMEM;
    }
    mem_free(map->slots);
    map->slots = slots;
    map->slot_count = slot_count;
    for (size_t i = 0; i < map->count; i++) {
        map->slots[slot_of(map, map->keys[i])] = (uint32_t)i + 1;
    }
    return ERR_OK;
}

enum err lake__map_add(struct lake_map *map, struct slice key, size_t *ret_number, bool *ret_is_new)
{
    TRY(grow(map));
    size_t at = slot_of(map, key);
    bool is_new = map->slots[at] == 0;
    if (is_new) {
        ASSERT(map->count < UINT32_MAX);
        map->keys[map->count++] = key;
        map->slots[at] = (uint32_t)map->count;
    }
    *ret_number = map->slots[at] - 1;
    if (ret_is_new != NULL) {
        *ret_is_new = is_new;
    }
    return ERR_OK;
}

bool lake__map_find(const struct lake_map *map, struct slice key, size_t *ret_number)
{
    size_t at = map->slot_count == 0 ? 0 : slot_of(map, key);
    if (map->slot_count == 0 || map->slots[at] == 0) {
        return false;
    }
    *ret_number = map->slots[at] - 1;
    return true;
}

void lake__map_fini(struct lake_map *map)
{
    mem_free(map->keys);
    mem_free(map->slots);
    *map = (struct lake_map){0};
}
