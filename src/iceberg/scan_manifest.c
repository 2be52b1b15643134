/* One manifest of a plan: from the cache or from storage, entry by entry, keeping what matches. */
#include "base/mem.h"
#include "iceberg/scan_int.h"

/* ---- what is kept ---- */

void scan__kept_fini(struct scan__kept *kept)
{
    mem_free(kept->files);
    arena_free(kept->arena);
    *kept = (struct scan__kept){0};
}

bool scan__kept_add(struct scan__kept *kept, const struct iceberg_file *file)
{
    if (kept->arena == NULL) {
        kept->arena = arena_new(NULL, "manifest", 0);
    }
    if (kept->arena == NULL) {
        return false;
    }
    if (kept->count == kept->capacity) {
        size_t capacity = kept->capacity == 0 ? 4 : kept->capacity * 2;
        struct iceberg_file *grown = mem_realloc(kept->files, capacity * sizeof(*grown));
        if (grown == NULL) {
            return false;
        }
        kept->files = grown;
        kept->capacity = capacity;
    }
    if (!iceberg_file_copy(file, kept->arena, &kept->files[kept->count])) {
        return false;
    }
    kept->count++;
    return true;
}

/* ---- where it comes from ---- */

/* All that a packed manifest depends on: the object, who may see it, and what entries inherit. */
static void cache_key(const struct scan__plan *plan, const struct iceberg_manifest *manifest,
                      struct buf *out)
{
    const struct iceberg_metadata *metadata = plan->options->metadata;
    struct slice scope = plan->options->cache_scope;
    buf_printf(out, "M%zu:", scope.len);
    buf_append_slice(out, scope);
    buf_printf(out, ":%.*s:%u:%d:%zu:%d:%d:%lld:%lld:%lld:%lld:", SLICE_ARGS(metadata->uuid),
               metadata->format_version, metadata->current_schema_id, metadata->schema_count,
               manifest->spec_id, (int)manifest->is_deletes, (long long)manifest->sequence_number,
               (long long)manifest->added_snapshot_id, (long long)manifest->first_row_id,
               (long long)manifest->length_bytes);
    buf_append_slice(out, manifest->path);
}

static enum err read_bytes(const struct scan__plan *plan, struct scan__task *task,
                           struct buf *bytes, struct errinfo *info)
{
    const struct iceberg_manifest *manifest = task->manifest;
    const struct iceberg_io *io = plan->options->io;
    uint64_t size = manifest->length_bytes > 0 ? (uint64_t)manifest->length_bytes : 0;
    if (manifest->is_encrypted) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL, "a manifest of the table is encrypted");
    }
    TRY(io->read_all(io->context, manifest->path, size, 0, bytes, info));
    if (size != 0 && bytes->len != size) {
        /* Cut at the end of a block it would read as a shorter, valid one. */
        return errinfo_set(info, ERR_CORRUPT, NULL, "a manifest has %zu bytes, its list says %llu",
                           bytes->len, (unsigned long long)size);
    }
    task->counts.manifest_bytes_read += bytes->len;
    return ERR_OK;
}

struct source {
    struct iceberg_manifest_cache *cache;
    struct scan__cached *cached;
    struct buf bytes;
};

static void source_fini(struct source *source)
{
    if (source->cached != NULL) {
        scan__cache_let_go(source->cache, source->cached);
    }
    buf_fini(&source->bytes);
}

/* Sets source->cached; leaves it NULL for a manifest that is too large to pack. */
static enum err open_cached(const struct scan__plan *plan, struct scan__task *task,
                            struct source *source, struct errinfo *info)
{
    struct buf key CLEANUP(buf_fini) = {0};
    struct scan__pack *pack;
    cache_key(plan, task->manifest, &key);
    if (buf_failed(&key)) {
        return errinfo_nomem(info);
    }
    source->cache = plan->cache;
    source->cached = scan__cache_get(source->cache, buf_slice(&key));
    if (source->cached != NULL) {
        task->counts.manifest_cache_hits++;
        return ERR_OK;
    }
    TRY(read_bytes(plan, task, &source->bytes, info));
    if (!scan__cache_takes(source->cache, source->bytes.len)) {
        return ERR_OK;
    }
    enum err err = scan__pack_build(buf_slice(&source->bytes), task->manifest,
                                    plan->options->metadata, &pack, info);
    if (err != ERR_OK) {
        return err == ERR_LIMIT ? ERR_OK : err;
    }
    source->cached = scan__cache_put(source->cache, buf_slice(&key), pack, NULL);
    return source->cached == NULL ? errinfo_nomem(info) : ERR_OK;
}

static enum err open_entries(const struct scan__plan *plan, struct scan__task *task,
                             bool all_metrics, struct source *source,
                             struct scan__entries **ret_entries, struct errinfo *info)
{
    struct iceberg_manifest_want want = {.all_metrics = all_metrics,
                                         .metric_ids = plan->metric_ids,
                                         .metric_count = plan->metric_count};
    struct iceberg_manifest_reader *reader = NULL;
    if (plan->cache != NULL) {
        TRY(open_cached(plan, task, source, info));
    } else {
        TRY(read_bytes(plan, task, &source->bytes, info));
    }
    if (source->cached == NULL) {
        TRY(iceberg_manifest_open(buf_slice(&source->bytes), task->manifest,
                                  plan->options->metadata, &want, &reader, info));
    }
    const struct scan__pack *pack =
        source->cached == NULL ? NULL : scan__cached_pack(source->cached);
    return scan__entries_open(pack, reader, plan->metric_ids, plan->metric_count, ret_entries,
                              info);
}

/* ---- entries ---- */

static enum err refuse_encrypted(const struct iceberg_file *file, struct errinfo *info)
{
    return !file->is_encrypted
               ? ERR_OK
               : errinfo_set(info, ERR_UNSUPPORTED, NULL, "a %s file of the table is encrypted",
                             file->content == ICEBERG_DATA ? "data" : "delete");
}

static bool partition_matches(const struct scan__task *task, const struct iceberg_file *file)
{
    return iceberg_partition_matches(task->spec->projected, task->spec->spec, file->partition,
                                     file->partition_count);
}

static enum err read_data(const struct scan__plan *plan, struct scan__entries *entries,
                          struct scan__task *task, struct errinfo *info)
{
    bool all_metrics = plan->keep_metrics;
    for (;;) {
        const struct iceberg_file *file;
        TRY(scan__entries_next(entries, &file, info));
        if (file == NULL) {
            return ERR_OK;
        }
        task->counts.files_total++;
        if (!partition_matches(task, file)) {
            task->counts.files_skipped_by_partition++;
            continue;
        }
        if (!iceberg_metrics_might_match(plan->bound, file)) {
            task->counts.files_skipped_by_metrics++;
            continue;
        }
        TRY(refuse_encrypted(file, info));
        TRY(scan__entries_full(entries, all_metrics, &file, info));
        if (!scan__kept_add(&task->kept, file)) {
            return errinfo_nomem(info);
        }
    }
}

/* True if no row that an equality delete file deletes can match the filter: only its equality
 * columns say what it deletes, whatever else it has statistics of. */
static bool deletes_nothing_wanted(const struct scan__plan *plan, const struct iceberg_file *file,
                                   struct iceberg_metrics *scratch)
{
    struct iceberg_file reduced = *file;
    size_t count = 0;
    for (size_t i = 0; i < file->metrics_count; i++) {
        for (size_t j = 0; j < file->equality_id_count; j++) {
            if (file->equality_ids[j] == file->metrics[i].field_id) {
                scratch[count++] = file->metrics[i];
                break;
            }
        }
    }
    reduced.metrics = scratch;
    reduced.metrics_count = count;
    return !iceberg_metrics_might_match(plan->bound, &reduced);
}

static enum err is_unwanted(const struct scan__plan *plan, const struct iceberg_file *file,
                            bool *ret_is_unwanted, struct errinfo *info)
{
    if (file->content != ICEBERG_EQUALITY_DELETES) {
        *ret_is_unwanted = file->record_count == 0;
        return ERR_OK;
    }
    struct iceberg_metrics *scratch = mem_calloc(file->metrics_count + 1, sizeof(*scratch));
    if (scratch == NULL) {
        return errinfo_nomem(info);
    }
    *ret_is_unwanted = deletes_nothing_wanted(plan, file, scratch);
    mem_free(scratch);
    return ERR_OK;
}

static enum err read_deletes(const struct scan__plan *plan, const struct scan__targets *targets,
                             struct scan__entries *entries, struct scan__task *task,
                             struct errinfo *info)
{
    struct buf key CLEANUP(buf_fini) = {0};
    for (;;) {
        const struct iceberg_file *file;
        bool applies;
        bool unwanted;
        TRY(scan__entries_next(entries, &file, info));
        if (file == NULL) {
            return ERR_OK;
        }
        if (!partition_matches(task, file)) {
            continue;
        }
        TRY(scan__entries_full(entries, true, &file, info));
        TRY(is_unwanted(plan, file, &unwanted, info));
        if (unwanted) {
            continue;
        }
        if (scan__targets_has(plan, targets, file, &key, &applies) != ERR_OK) {
            return errinfo_nomem(info);
        }
        if (!applies) {
            continue;
        }
        TRY(refuse_encrypted(file, info));
        if (!scan__kept_add(&task->kept, file)) {
            return errinfo_nomem(info);
        }
    }
}

enum err scan__manifest_read(const struct scan__plan *plan, const struct scan__targets *targets,
                             struct scan__task *task, struct errinfo *info)
{
    struct source source CLEANUP(source_fini) = {0};
    struct scan__entries *entries CLEANUP(scan__entries_cleanup) = NULL;
    bool all_metrics = targets != NULL || plan->keep_metrics;
    TRY(open_entries(plan, task, all_metrics, &source, &entries, info));
    return targets == NULL ? read_data(plan, entries, task, info)
                           : read_deletes(plan, targets, entries, task, info);
}
