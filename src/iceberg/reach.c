#include "iceberg/reach.h"

#include "base/hash.h"
#include "base/mem.h"

/* ---- names ---- */

struct iceberg_names {
    uint64_t *slots; /* 0 = free */
    size_t slot_count, count;
};

#define SLOTS_FIRST 1024

static struct slice last_part(struct slice path)
{
    size_t start = path.len;
    while (start > 0 && path.ptr[start - 1] != '/') {
        start--;
    }
    return (struct slice){path.ptr + start, path.len - start};
}

static uint64_t hash_of(struct slice path)
{
    uint64_t hash = hash_xx64(last_part(path), 0);
    return hash == 0 ? 1 : hash;
}

enum err iceberg_names_open(struct iceberg_names **ret_names, struct errinfo *info)
{
    struct iceberg_names *names = mem_calloc(1, sizeof(*names));
    uint64_t *slots = mem_calloc(SLOTS_FIRST, sizeof(*slots));
    if (names == NULL || slots == NULL) {
        mem_free(names);
        mem_free(slots);
        return errinfo_nomem(info);
    }
    *names = (struct iceberg_names){.slots = slots, .slot_count = SLOTS_FIRST};
    *ret_names = names;
    return ERR_OK;
}

void iceberg_names_close(struct iceberg_names *names)
{
    if (names != NULL) {
        mem_free(names->slots);
        mem_free(names);
    }
}

static uint64_t *slot_of(uint64_t *slots, size_t slot_count, uint64_t hash)
{
    size_t at = hash & (slot_count - 1);
    while (slots[at] != 0 && slots[at] != hash) {
        at = (at + 1) & (slot_count - 1);
    }
    return &slots[at];
}

static enum err grow(struct iceberg_names *names, struct errinfo *info)
{
    size_t count = names->slot_count * 2;
    uint64_t *slots = mem_calloc(count, sizeof(*slots));
    if (slots == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < names->slot_count; i++) {
        if (names->slots[i] != 0) {
            *slot_of(slots, count, names->slots[i]) = names->slots[i];
        }
    }
    mem_free(names->slots);
    names->slots = slots;
    names->slot_count = count;
    return ERR_OK;
}

enum err iceberg_names_add(struct iceberg_names *names, struct slice path, struct errinfo *info)
{
    uint64_t hash = hash_of(path);
    TRY(names->count * 2 >= names->slot_count ? grow(names, info) : ERR_OK);
    uint64_t *slot = slot_of(names->slots, names->slot_count, hash);
    names->count += *slot == 0;
    *slot = hash;
    return ERR_OK;
}

bool iceberg_names_have(const struct iceberg_names *names, struct slice path)
{
    return *slot_of(names->slots, names->slot_count, hash_of(path)) != 0;
}

/* ---- walking ---- */

/* What is told of each object once, or more often. */
struct walk {
    const struct iceberg_io *io;
    const struct iceberg_metadata *metadata;
    enum err (*tell)(void *context, enum iceberg_object kind, struct slice path,
                     struct errinfo *info);
    void *context;
    struct iceberg_names *seen;          /* manifests that were read; not again */
    const struct iceberg_names *skipped; /* manifests that are not told of; NULL: none */
    bool reads_manifests;
};

static enum err walk_manifest(const struct walk *walk, const struct iceberg_manifest *manifest,
                              struct errinfo *info)
{
    static const struct iceberg_manifest_want nothing = {0};
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct iceberg_manifest_reader *reader CLEANUP(iceberg_manifest_cleanup) = NULL;
    const struct iceberg_file *file = NULL;
    TRY(walk->io->read_all(walk->io->context, manifest->path, (uint64_t)manifest->length_bytes, 0,
                           &bytes, info));
    TRY(iceberg_manifest_open(buf_slice(&bytes), manifest, walk->metadata, &nothing, &reader,
                              info));
    do {
        TRY(iceberg_manifest_next(reader, &file, info));
        if (file != NULL) {
            TRY(walk->tell(walk->context,
                           file->content == ICEBERG_DATA ? ICEBERG_OBJECT_DATA
                                                         : ICEBERG_OBJECT_DELETES,
                           file->path, info));
        }
    } while (file != NULL);
    return ERR_OK;
}

static enum err walk_snapshot(const struct walk *walk, const struct iceberg_snapshot *snapshot,
                              struct errinfo *info)
{
    struct iceberg_manifest *manifests = NULL;
    size_t count = 0;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "reach", 0);
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    if (snapshot->manifest_list.len > 0) {
        TRY(walk->tell(walk->context, ICEBERG_OBJECT_LIST, snapshot->manifest_list, info));
    }
    TRY(iceberg_manifests_load(walk->io, walk->metadata, snapshot, arena, &manifests, &count,
                               info));
    for (size_t i = 0; i < count; i++) {
        if (iceberg_names_have(walk->seen, manifests[i].path) ||
            (walk->skipped != NULL && iceberg_names_have(walk->skipped, manifests[i].path))) {
            continue;
        }
        TRY(iceberg_names_add(walk->seen, manifests[i].path, info));
        TRY(walk->tell(walk->context, ICEBERG_OBJECT_MANIFEST, manifests[i].path, info));
        TRY(walk->reads_manifests ? walk_manifest(walk, &manifests[i], info) : ERR_OK);
    }
    return ERR_OK;
}

static enum err add_name(void *context, UNUSED enum iceberg_object kind, struct slice path,
                         struct errinfo *info)
{
    return iceberg_names_add(context, path, info);
}

static enum err add_statistics(struct iceberg_names *names, const struct iceberg_statistics *items,
                               size_t count, struct errinfo *info)
{
    for (size_t i = 0; i < count; i++) {
        TRY(iceberg_names_add(names, items[i].path, info));
    }
    return ERR_OK;
}

enum err iceberg_names_add_table(struct iceberg_names *names, const struct iceberg_io *io,
                                 const struct iceberg_metadata *metadata, struct errinfo *info)
{
    struct iceberg_names *seen CLEANUP(iceberg_names_cleanup) = NULL;
    TRY(iceberg_names_open(&seen, info));
    const struct walk walk = {.io = io,
                              .metadata = metadata,
                              .tell = add_name,
                              .context = names,
                              .seen = seen,
                              .reads_manifests = true};
    for (size_t i = 0; i < metadata->snapshot_count; i++) {
        TRY(walk_snapshot(&walk, &metadata->snapshots[i], info));
    }
    for (size_t i = 0; i < metadata->metadata_log_count; i++) {
        TRY(iceberg_names_add(names, metadata->metadata_log[i].file, info));
    }
    TRY(add_statistics(names, metadata->statistics, metadata->statistics_count, info));
    return add_statistics(names, metadata->partition_statistics,
                          metadata->partition_statistics_count, info);
}

/* ---- garbage ---- */

struct collector {
    struct arena *arena;
    struct iceberg_garbage garbage;
    struct iceberg_names *collected;
};

static enum err collect(void *context, enum iceberg_object kind, struct slice path,
                        struct errinfo *info)
{
    struct collector *c = context;
    struct iceberg_garbage *garbage = &c->garbage;
    if (iceberg_names_have(c->collected, path)) {
        return ERR_OK;
    }
    TRY(iceberg_names_add(c->collected, path, info));
    if (garbage->count == garbage->capacity) {
        size_t capacity = garbage->capacity == 0 ? 64 : garbage->capacity * 2;
        struct iceberg_garbage_object *grown = arena_calloc(c->arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(info);
        }
        if (garbage->count > 0) {
            memcpy(grown, garbage->objects, garbage->count * sizeof(*grown));
        }
        garbage->objects = grown;
        garbage->capacity = capacity;
    }
    struct iceberg_garbage_object *object = &garbage->objects[garbage->count];
    object->kind = kind;
    if (!arena_slice(c->arena, path, &object->path)) {
        return errinfo_nomem(info);
    }
    garbage->count++;
    return ERR_OK;
}

static bool is_one_of(const int64_t *ids, size_t count, int64_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

static enum err collect_statistics(struct collector *c, const struct iceberg_metadata *after,
                                   const struct iceberg_statistics *items, size_t count,
                                   const int64_t *except, size_t except_count, struct errinfo *info)
{
    for (size_t i = 0; i < count; i++) {
        int64_t id = items[i].snapshot_id;
        if (iceberg_metadata_snapshot(after, id) == NULL || is_one_of(except, except_count, id)) {
            TRY(collect(c, ICEBERG_OBJECT_STATISTICS, items[i].path, info));
        }
    }
    return ERR_OK;
}

static enum err keep_statistics(struct iceberg_names *kept, const struct iceberg_statistics *items,
                                size_t count, const int64_t *except, size_t except_count,
                                struct errinfo *info)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_one_of(except, except_count, items[i].snapshot_id)) {
            TRY(iceberg_names_add(kept, items[i].path, info));
        }
    }
    return ERR_OK;
}

/* Names of all lists and manifests that stay; with `reads_manifests` of live files too. */
static enum err keep(struct iceberg_names *kept, const struct iceberg_io *io,
                     const struct iceberg_metadata *after, const int64_t *except,
                     size_t except_count, bool reads_manifests, struct errinfo *info)
{
    struct iceberg_names *seen CLEANUP(iceberg_names_cleanup) = NULL;
    TRY(iceberg_names_open(&seen, info));
    const struct walk walk = {.io = io,
                              .metadata = after,
                              .tell = add_name,
                              .context = kept,
                              .seen = seen,
                              .reads_manifests = reads_manifests};
    for (size_t i = 0; i < after->snapshot_count; i++) {
        if (!is_one_of(except, except_count, after->snapshots[i].id)) {
            TRY(walk_snapshot(&walk, &after->snapshots[i], info));
        }
    }
    TRY(keep_statistics(kept, after->statistics, after->statistics_count, except, except_count,
                        info));
    return keep_statistics(kept, after->partition_statistics, after->partition_statistics_count,
                           except, except_count, info);
}

static enum err collect_forgotten(struct collector *c, const struct iceberg_io *io,
                                  const struct iceberg_metadata *before,
                                  const struct iceberg_metadata *after, const int64_t *except,
                                  size_t except_count, const struct iceberg_names *kept,
                                  struct errinfo *info)
{
    struct iceberg_names *seen CLEANUP(iceberg_names_cleanup) = NULL;
    TRY(iceberg_names_open(&seen, info));
    const struct walk walk = {.io = io,
                              .metadata = before,
                              .tell = collect,
                              .context = c,
                              .seen = seen,
                              .skipped = kept,
                              .reads_manifests = true};
    for (size_t i = 0; i < before->snapshot_count; i++) {
        int64_t id = before->snapshots[i].id;
        bool is_forgotten =
            iceberg_metadata_snapshot(after, id) == NULL || is_one_of(except, except_count, id);
        TRY(is_forgotten ? walk_snapshot(&walk, &before->snapshots[i], info) : ERR_OK);
    }
    TRY(collect_statistics(c, after, before->statistics, before->statistics_count, except,
                           except_count, info));
    return collect_statistics(c, after, before->partition_statistics,
                              before->partition_statistics_count, except, except_count, info);
}

static int compare_kinds(const void *a, const void *b)
{
    const struct iceberg_garbage_object *left = a;
    const struct iceberg_garbage_object *right = b;
    return (left->kind > right->kind) - (left->kind < right->kind);
}

enum err iceberg_garbage_find(const struct iceberg_io *io, const struct iceberg_metadata *before,
                              const struct iceberg_metadata *after, const int64_t *except,
                              size_t except_count, struct arena *arena,
                              struct iceberg_garbage *ret_garbage, struct errinfo *info)
{
    struct iceberg_names *kept CLEANUP(iceberg_names_cleanup) = NULL;
    struct iceberg_names *collected CLEANUP(iceberg_names_cleanup) = NULL;
    struct collector c = {.arena = arena};
    TRY(iceberg_names_open(&kept, info));
    TRY(iceberg_names_open(&collected, info));
    c.collected = collected;
    TRY(keep(kept, io, after, except, except_count, false, info));
    TRY(collect_forgotten(&c, io, before, after, except, except_count, kept, info));
    if (c.garbage.count > 0) { /* only now is it worth to read all manifests that stay */
        TRY(keep(kept, io, after, except, except_count, true, info));
    }
    size_t count = 0;
    for (size_t i = 0; i < c.garbage.count; i++) {
        if (!iceberg_names_have(kept, c.garbage.objects[i].path)) {
            c.garbage.objects[count++] = c.garbage.objects[i];
        }
    }
    c.garbage.count = count;
    if (count > 1) {
        qsort(c.garbage.objects, count, sizeof(*c.garbage.objects), compare_kinds);
    }
    *ret_garbage = c.garbage;
    return ERR_OK;
}
