/* Maps of a plan, and the identity of partitions. */
#include "base/hash.h"
#include "base/mem.h"
#include "iceberg/scan_int.h"

static struct scan__map_entry *find(const struct scan__map *map, struct slice key, uint64_t hash)
{
    size_t at = hash & (map->capacity - 1);
    while (map->entries[at].key.ptr != NULL &&
           (map->entries[at].hash != hash || !slice_equal(map->entries[at].key, key))) {
        at = (at + 1) & (map->capacity - 1);
    }
    return &map->entries[at];
}

static bool grow(struct scan__map *map)
{
    struct scan__map grown = {.arena = map->arena,
                              .capacity = map->capacity == 0 ? 16 : map->capacity * 2,
                              .count = map->count};
    grown.entries = arena_calloc(map->arena, grown.capacity, sizeof(*grown.entries));
    if (grown.entries == NULL) {
        return false;
    }
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->entries[i].key.ptr != NULL) {
            *find(&grown, map->entries[i].key, map->entries[i].hash) = map->entries[i];
        }
    }
    *map = grown;
    return true;
}

int64_t *scan__map_at(struct scan__map *map, struct slice key, int64_t initial)
{
    if (map->count * 4 >= map->capacity * 3 && !grow(map)) {
        return NULL;
    }
    uint64_t hash = hash_xx64(key, 0);
    struct scan__map_entry *entry = find(map, key, hash);
    if (entry->key.ptr == NULL) {
        struct slice copy;
        if (!arena_slice(map->arena, key, &copy)) {
            return NULL;
        }
        *entry = (struct scan__map_entry){.key = copy, .hash = hash, .value = initial};
        map->count++;
    }
    return &entry->value;
}

const int64_t *scan__map_find(const struct scan__map *map, struct slice key)
{
    if (map->capacity == 0) {
        return NULL;
    }
    const struct scan__map_entry *entry = find(map, key, hash_xx64(key, 0));
    return entry->key.ptr == NULL ? NULL : &entry->value;
}

void scan__partition_key(int32_t spec_id, const struct iceberg_value *values, size_t count,
                         struct buf *out)
{
    buf_append(out, &spec_id, sizeof(spec_id));
    for (size_t i = 0; i < count; i++) {
        if (values[i].is_null || iceberg__is_nan(&values[i])) {
            buf_append_char(out, values[i].is_null ? 'n' : 'N');
            continue;
        }
        uint32_t len = 0;
        size_t at = out->len + 1;
        buf_append_char(out, 'v');
        buf_append(out, &len, sizeof(len));
        size_t start = out->len;
        iceberg_value_encode(&values[i], out);
        len = (uint32_t)(out->len - start);
        if (!buf_failed(out)) {
            memcpy(out->ptr + at, &len, sizeof(len));
        }
    }
}
