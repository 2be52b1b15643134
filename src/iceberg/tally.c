#include "iceberg/tally_int.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

/* ---- counting ---- */

static enum err note_partition(struct write_tally *tally, const struct iceberg_file *file,
                               struct errinfo *info)
{
    struct buf key CLEANUP(buf_fini) = {0};
    for (size_t i = 0; i < file->partition_count; i++) {
        buf_append_char(&key, file->partition[i].is_null ? 0 : 1);
        size_t at = key.len;
        buf_append(&key, &at, sizeof(at)); /* so that no two tuples run together */
        if (!file->partition[i].is_null) {
            iceberg_value_encode(&file->partition[i], &key);
        }
    }
    if (buf_failed(&key)) {
        return errinfo_nomem(info);
    }
    if (tally->partition_count == tally->partition_capacity) {
        size_t capacity = tally->partition_capacity == 0 ? 16 : tally->partition_capacity * 2;
        uint64_t *grown = mem_realloc(tally->partitions, capacity * sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(info);
        }
        tally->partitions = grown;
        tally->partition_capacity = capacity;
    }
    tally->partitions[tally->partition_count++] =
        hash_xx64(buf_slice(&key), (uint64_t)(uint32_t)file->spec_id);
    return ERR_OK;
}

enum err write__tally(struct write_tally *tally, const struct iceberg_file *file, bool is_added,
                      struct errinfo *info)
{
    struct write_counts *counts = is_added ? &tally->added : &tally->removed;
    /* Vectors of several data files share one file: each counts as its part of it. */
    counts->size_bytes +=
        file->format == ICEBERG_PUFFIN ? file->content_size_bytes : file->size_bytes;
    switch (file->content) {
    case ICEBERG_DATA:
        counts->data_files++;
        counts->records += file->record_count;
        break;
    case ICEBERG_POSITION_DELETES:
        counts->delete_files++;
        counts->position_deletes += file->record_count;
        *(file->format == ICEBERG_PUFFIN ? &counts->vectors : &counts->position_files) += 1;
        break;
    case ICEBERG_EQUALITY_DELETES:
        counts->delete_files++;
        counts->equality_files++;
        counts->equality_deletes += file->record_count;
        break;
    }
    return note_partition(tally, file, info);
}

void write__tally_fini(struct write_tally *tally)
{
    mem_free(tally->partitions);
    *tally = (struct write_tally){0};
}

static int compare_hashes(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static size_t count_partitions(struct write_tally *tally)
{
    size_t count = tally->partition_count > 0 ? 1 : 0;
    if (count > 0) {
        qsort(tally->partitions, tally->partition_count, sizeof(*tally->partitions),
              compare_hashes);
    }
    for (size_t i = 1; i < tally->partition_count; i++) {
        count += tally->partitions[i] != tally->partitions[i - 1] ? 1 : 0;
    }
    return count;
}

/* ---- printing ---- */

static void print_count(struct buf *out, const char *name, int64_t count)
{
    if (count > 0) {
        buf_printf(out, ",\"%s\":\"%lld\"", name, (long long)count);
    }
}

static void print_total(struct buf *out, const char *name, const struct iceberg_snapshot *parent,
                        bool is_emptied, int64_t added, int64_t removed)
{
    int64_t total = 0;
    bool is_known = parent == NULL || is_emptied;
    for (size_t i = 0; !is_known && i < parent->summary_count; i++) {
        is_known = slice_equal(parent->summary[i].key, slice_of(name)) &&
                   slice_to_i64(parent->summary[i].value, &total);
    }
    if (is_known) {
        total = is_emptied ? added : total + added - removed;
        buf_printf(out, ",\"%s\":\"%lld\"", name, (long long)(total < 0 ? 0 : total));
    }
}

void write__tally_print(struct write_tally *tally, const struct iceberg_snapshot *parent,
                        bool is_emptied, struct buf *out)
{
    const struct write_counts *a = &tally->added;
    const struct write_counts *r = &tally->removed;
    print_count(out, "added-data-files", a->data_files);
    print_count(out, "deleted-data-files", r->data_files);
    print_count(out, "added-delete-files", a->delete_files);
    print_count(out, "removed-delete-files", r->delete_files);
    print_count(out, "added-position-delete-files", a->position_files);
    print_count(out, "removed-position-delete-files", r->position_files);
    print_count(out, "added-equality-delete-files", a->equality_files);
    print_count(out, "removed-equality-delete-files", r->equality_files);
    print_count(out, "added-dvs", a->vectors);
    print_count(out, "removed-dvs", r->vectors);
    print_count(out, "added-records", a->records);
    print_count(out, "deleted-records", r->records);
    print_count(out, "added-files-size", a->size_bytes);
    print_count(out, "removed-files-size", r->size_bytes);
    print_count(out, "added-position-deletes", a->position_deletes);
    print_count(out, "removed-position-deletes", r->position_deletes);
    print_count(out, "added-equality-deletes", a->equality_deletes);
    print_count(out, "removed-equality-deletes", r->equality_deletes);
    buf_printf(out, ",\"changed-partition-count\":\"%zu\"", count_partitions(tally));
    print_total(out, "total-records", parent, is_emptied, a->records, r->records);
    print_total(out, "total-files-size", parent, is_emptied, a->size_bytes, r->size_bytes);
    print_total(out, "total-data-files", parent, is_emptied, a->data_files, r->data_files);
    print_total(out, "total-delete-files", parent, is_emptied, a->delete_files, r->delete_files);
    print_total(out, "total-position-deletes", parent, is_emptied, a->position_deletes,
                r->position_deletes);
    print_total(out, "total-equality-deletes", parent, is_emptied, a->equality_deletes,
                r->equality_deletes);
}

/* ---- paths ---- */

enum err write__paths_open(struct write_paths *set, const struct slice *paths, size_t count,
                           struct arena *arena, struct errinfo *info)
{
    *set = (struct write_paths){.paths = paths, .count = count, .slot_count = 16};
    while (set->slot_count < count * 2) {
        set->slot_count *= 2;
    }
    set->slots = arena_calloc(arena, set->slot_count, sizeof(*set->slots));
    set->is_found = arena_calloc(arena, count + 1, sizeof(*set->is_found));
    if (set->slots == NULL || set->is_found == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        size_t at = hash_xx64(paths[i], 0) & (set->slot_count - 1);
        while (set->slots[at] != 0 && !slice_equal(paths[set->slots[at] - 1], paths[i])) {
            at = (at + 1) & (set->slot_count - 1);
        }
        set->is_found[i] = set->slots[at] != 0; /* a double is as good as found */
        set->slots[at] = set->slots[at] != 0 ? set->slots[at] : (uint32_t)i + 1;
    }
    return ERR_OK;
}

bool write__paths_find(struct write_paths *set, struct slice path, bool marks)
{
    size_t at = hash_xx64(path, 0) & (set->slot_count - 1);
    for (; set->slots[at] != 0; at = (at + 1) & (set->slot_count - 1)) {
        size_t number = set->slots[at] - 1;
        if (slice_equal(set->paths[number], path)) {
            set->is_found[number] = set->is_found[number] || marks;
            return true;
        }
    }
    return false;
}

bool write__paths_all_found(const struct write_paths *set)
{
    for (size_t i = 0; i < set->count; i++) {
        if (!set->is_found[i]) {
            return false;
        }
    }
    return true;
}
