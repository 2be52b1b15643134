/* Planning a scan: manifests, data files, deletes, in that order, so that only deletes of files
 * that match are kept. Each manifest is a task with memory of its own; what tasks kept is put
 * together in the order of the manifests when all are done. */
#include "iceberg/scan.h"

#include <pthread.h>

#include "base/mem.h"
#include "iceberg/scan_int.h"

#define THREADS_MAX 64

/* ---- threads ---- */

struct crew {
    const struct scan__plan *plan;
    const struct scan__targets *targets;
    struct scan__task *tasks;
    size_t task_count;
    atomic_size_t next;
    atomic_bool is_stopped;
    pthread_mutex_t lock;
    size_t failed_task; /* SIZE_MAX = none; the first one in the order of manifests that failed */
    enum err err;
    struct errinfo *info;
};

static void fail(struct crew *crew, size_t task, enum err err, const struct errinfo *info)
{
    (void)pthread_mutex_lock(&crew->lock);
    if (crew->failed_task > task) {
        crew->failed_task = task;
        crew->err = err;
        if (crew->info != NULL) {
            *crew->info = *info;
        }
    }
    (void)pthread_mutex_unlock(&crew->lock);
    atomic_store(&crew->is_stopped, true);
}

static void work(struct crew *crew)
{
    const atomic_bool *is_cancelled = crew->plan->options->is_cancelled;
    while (!atomic_load(&crew->is_stopped)) {
        struct errinfo info;
        size_t at = atomic_fetch_add(&crew->next, 1);
        if (at >= crew->task_count) {
            return;
        }
        errinfo_init(&info);
        enum err err =
            is_cancelled != NULL && atomic_load(is_cancelled)
                ? errinfo_set(&info, ERR_CANCELLED, NULL, "planning was cancelled")
                : scan__manifest_read(crew->plan, crew->targets, &crew->tasks[at], &info);
        if (err != ERR_OK) {
            fail(crew, at, err, &info);
        }
    }
}

static void *work_in_thread(void *context)
{
    work(context);
    return NULL;
}

/* The calling thread works too; a thread that cannot be started is one fewer. */
static enum err run_tasks(const struct scan__plan *plan, const struct scan__targets *targets,
                          struct scan__task *tasks, size_t task_count)
{
    pthread_t threads[THREADS_MAX];
    size_t started = 0;
    size_t wanted =
        plan->options->thread_count < task_count ? plan->options->thread_count : task_count;
    struct crew crew = {.plan = plan,
                        .targets = targets,
                        .tasks = tasks,
                        .task_count = task_count,
                        .failed_task = SIZE_MAX,
                        .info = plan->info};
    if (pthread_mutex_init(&crew.lock, NULL) != 0) {
        return errinfo_nomem(plan->info);
    }
    while (started + 1 < wanted && started < THREADS_MAX &&
           pthread_create(&threads[started], NULL, work_in_thread, &crew) == 0) {
        started++;
    }
    work(&crew);
    for (size_t i = 0; i < started; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    (void)pthread_mutex_destroy(&crew.lock);
    return crew.failed_task == SIZE_MAX ? ERR_OK : crew.err;
}

/* ---- preparing ---- */

const struct scan__spec *scan__find_spec(const struct scan__plan *plan, int32_t spec_id)
{
    for (size_t i = 0; i < plan->options->metadata->spec_count; i++) {
        if (plan->specs[i].spec != NULL && plan->specs[i].spec->id == spec_id) {
            return &plan->specs[i];
        }
    }
    assert_failed("a spec that a manifest names", __FILE__, __LINE__);
}

/* Residuals are parts of the bound filter, so it lives as long as the result. */
static enum err prepare_filter(struct scan__plan *plan, struct arena *arena)
{
    const struct iceberg_scan_options *options = plan->options;
    plan->bound = &iceberg__true;
    if (options->filter != NULL) {
        TRY(iceberg_expression_bind(options->filter, options->schema, arena, &plan->bound,
                                    plan->info));
    }
    if (iceberg__expression_fields(plan->bound, plan->scratch, &plan->metric_ids,
                                   &plan->metric_count) != ERR_OK) {
        return errinfo_nomem(plan->info);
    }
    plan->keep_metrics = options->want_metrics;
    return ERR_OK;
}

static enum err prepare_spec(struct scan__plan *plan, const struct iceberg_manifest *manifest)
{
    const struct iceberg_metadata *metadata = plan->options->metadata;
    size_t at = 0;
    while (at < metadata->spec_count && metadata->specs[at].id != manifest->spec_id) {
        at++;
    }
    if (at == metadata->spec_count) {
        return errinfo_set(plan->info, ERR_CORRUPT, NULL,
                           "a manifest has partition spec %d, which the table has not",
                           manifest->spec_id);
    }
    struct scan__spec *spec = &plan->specs[at];
    if (spec->spec != NULL) {
        return ERR_OK;
    }
    spec->spec = &metadata->specs[at];
    spec->is_unpartitioned = true;
    for (size_t i = 0; i < spec->spec->field_count; i++) {
        spec->is_unpartitioned &= spec->spec->fields[i].transform.kind == TRANSFORM_VOID;
    }
    TRY(iceberg_project_inclusive(plan->bound, spec->spec, plan->scratch, &spec->projected,
                                  plan->info));
    return iceberg__residuals_prepare(plan->bound, spec->spec, plan->scratch, &spec->residuals) ==
                   ERR_OK
               ? ERR_OK
               : errinfo_nomem(plan->info);
}

static void list_key(const struct scan__plan *plan, struct buf *out)
{
    struct slice scope = plan->options->cache_scope;
    buf_printf(out, "L%zu:", scope.len);
    buf_append_slice(out, scope);
    buf_append_char(out, ':');
    buf_append_slice(out, plan->options->snapshot->manifest_list);
}

static enum err load_cached_list(struct scan__plan *plan)
{
    const struct iceberg_scan_options *options = plan->options;
    struct buf key CLEANUP(buf_fini) = {0};
    list_key(plan, &key);
    if (buf_failed(&key)) {
        return errinfo_nomem(plan->info);
    }
    struct scan__cached *cached = scan__cache_get(plan->cache, buf_slice(&key));
    bool is_new = cached == NULL;
    if (is_new) {
        struct buf bytes CLEANUP(buf_fini) = {0};
        TRY(options->io->read_all(options->io->context, options->snapshot->manifest_list, 0, 0,
                                  &bytes, plan->info));
        plan->counts.manifest_bytes_read += bytes.len;
        cached = scan__cache_put(plan->cache, buf_slice(&key), NULL, &bytes);
        if (cached == NULL) {
            return errinfo_nomem(plan->info);
        }
    }
    enum err err =
        iceberg_manifest_list_parse(scan__cached_bytes(cached), options->metadata, plan->scratch,
                                    &plan->manifests, &plan->manifest_count, plan->info);
    scan__cache_let_go(plan->cache, cached);
    return err;
}

static enum err load_manifests(struct scan__plan *plan)
{
    const struct iceberg_scan_options *options = plan->options;
    const struct iceberg_snapshot *snapshot = options->snapshot;
    if (plan->cache != NULL && snapshot->manifest_list.len > 0 && snapshot->key_id.len == 0) {
        TRY(load_cached_list(plan));
    } else {
        TRY(iceberg_manifests_load(options->io, options->metadata, snapshot, plan->scratch,
                                   &plan->manifests, &plan->manifest_count, plan->info));
    }
    plan->specs =
        arena_calloc(plan->scratch, options->metadata->spec_count + 1, sizeof(*plan->specs));
    if (plan->specs == NULL) {
        return errinfo_nomem(plan->info);
    }
    for (size_t i = 0; i < plan->manifest_count; i++) {
        TRY(prepare_spec(plan, &plan->manifests[i]));
    }
    return ERR_OK;
}

/* ---- which manifests ---- */

static bool has_live_files(const struct iceberg_manifest *manifest)
{
    return manifest->added_files != 0 || manifest->existing_files != 0;
}

/* Tasks for the manifests of one content that may hold files of the scan. */
static enum err make_tasks(struct scan__plan *plan, bool is_deletes, int64_t sequence_min,
                           struct scan__task **ret_tasks, size_t *ret_count)
{
    size_t count = 0;
    struct scan__task *tasks =
        arena_calloc(plan->scratch, plan->manifest_count + 1, sizeof(*tasks));
    if (tasks == NULL) {
        return errinfo_nomem(plan->info);
    }
    for (size_t i = 0; i < plan->manifest_count; i++) {
        const struct iceberg_manifest *manifest = &plan->manifests[i];
        if (manifest->is_deletes != is_deletes) {
            continue;
        }
        const struct scan__spec *spec = scan__find_spec(plan, manifest->spec_id);
        *(is_deletes ? &plan->counts.delete_manifests_total : &plan->counts.manifests_total) += 1;
        /* No entry is younger than its manifest. */
        bool is_read = has_live_files(manifest) &&
                       (!is_deletes || manifest->sequence_number >= sequence_min) &&
                       iceberg_manifest_might_match(spec->projected, spec->spec, manifest);
        if (is_read) {
            tasks[count++] = (struct scan__task){.manifest = manifest, .spec = spec};
        } else {
            *(is_deletes ? &plan->counts.delete_manifests_skipped
                         : &plan->counts.manifests_skipped) += 1;
        }
    }
    *ret_tasks = tasks;
    *ret_count = count;
    return ERR_OK;
}

static void add_counts(struct iceberg_scan_counts *counts, const struct scan__task *tasks,
                       size_t task_count)
{
    for (size_t i = 0; i < task_count; i++) {
        const struct iceberg_scan_counts *more = &tasks[i].counts;
        counts->manifest_bytes_read += more->manifest_bytes_read;
        counts->manifest_cache_hits += more->manifest_cache_hits;
        counts->files_total += more->files_total;
        counts->files_skipped_by_partition += more->files_skipped_by_partition;
        counts->files_skipped_by_metrics += more->files_skipped_by_metrics;
    }
}

static size_t kept_count(const struct scan__task *tasks, size_t task_count)
{
    size_t count = 0;
    for (size_t i = 0; i < task_count; i++) {
        count += tasks[i].kept.count;
    }
    return count;
}

/* ---- the result ---- */

static enum err copy_deletes(const struct scan__plan *plan, const struct scan__task *tasks,
                             size_t task_count, struct arena *arena,
                             struct iceberg_scan_plan *result,
                             const struct scan__deletes **ret_index)
{
    size_t count = kept_count(tasks, task_count);
    size_t at = 0;
    struct iceberg_delete_file *deletes = arena_calloc(arena, count + 1, sizeof(*deletes));
    const struct iceberg_file **files = arena_calloc(plan->scratch, count + 1, sizeof(*files));
    if (deletes == NULL || files == NULL) {
        return errinfo_nomem(plan->info);
    }
    for (size_t t = 0; t < task_count; t++) {
        for (size_t i = 0; i < tasks[t].kept.count; i++, at++) {
            files[at] = &tasks[t].kept.files[i];
            if (!iceberg_file_copy(files[at], arena, &deletes[at].file)) {
                return errinfo_nomem(plan->info);
            }
        }
    }
    result->deletes = deletes;
    result->delete_count = count;
    return scan__deletes_build(plan, files, count, ret_index) == ERR_OK ? ERR_OK
                                                                        : errinfo_nomem(plan->info);
}

static bool is_same_partition(const struct iceberg_file *a, const struct iceberg_file *b)
{
    if (a->spec_id != b->spec_id || a->partition_count != b->partition_count) {
        return false;
    }
    for (size_t i = 0; i < a->partition_count; i++) {
        const struct iceberg_value *left = &a->partition[i];
        const struct iceberg_value *right = &b->partition[i];
        if (left->is_null != right->is_null ||
            (!left->is_null && iceberg_value_compare(left, right) != 0)) {
            return false;
        }
    }
    return true;
}

/* The residual of a file; the one before is often of the same partition. */
static enum err set_residual(const struct scan__plan *plan, const struct iceberg_scan_file *before,
                             struct arena *arena, struct iceberg_scan_file *file)
{
    if (before != NULL && is_same_partition(&before->file, &file->file)) {
        file->residual = before->residual;
        return ERR_OK;
    }
    const struct scan__spec *spec = scan__find_spec(plan, file->file.spec_id);
    enum err err = iceberg__residuals_apply(spec->residuals, spec->spec, file->file.partition,
                                            file->file.partition_count, arena, &file->residual);
    return err == ERR_OK ? ERR_OK : errinfo_nomem(plan->info);
}

/* What a task kept goes as soon as it is copied, so that nothing is there twice for long. */
static enum err copy_files(const struct scan__plan *plan, struct scan__task *tasks,
                           size_t task_count, const struct scan__deletes *index,
                           struct arena *arena, struct iceberg_scan_plan *result)
{
    size_t count = kept_count(tasks, task_count);
    size_t at = 0;
    struct iceberg_scan_file *files = arena_calloc(arena, count + 1, sizeof(*files));
    if (files == NULL) {
        return errinfo_nomem(plan->info);
    }
    for (size_t t = 0; t < task_count; t++) {
        for (size_t i = 0; i < tasks[t].kept.count; i++, at++) {
            const struct iceberg_file *kept = &tasks[t].kept.files[i];
            struct iceberg_file bare = *kept;
            if (!plan->options->want_metrics) {
                bare.metrics = NULL;
                bare.metrics_count = 0;
            }
            if (!iceberg_file_copy(&bare, arena, &files[at].file)) {
                return errinfo_nomem(plan->info);
            }
            TRY(set_residual(plan, at == 0 ? NULL : &files[at - 1], arena, &files[at]));
            if (index != NULL) {
                TRY(scan__deletes_find(plan, index, kept, arena, &files[at]));
            }
            result->counts.rows_matched += (uint64_t)kept->record_count;
            result->counts.bytes_matched += (uint64_t)kept->size_bytes;
        }
        scan__kept_fini(&tasks[t].kept);
    }
    result->files = files;
    result->file_count = count;
    return ERR_OK;
}

/* ---- planning ---- */

struct tasks {
    struct scan__task *items;
    size_t count;
};

static void tasks_fini(struct tasks *tasks)
{
    for (size_t i = 0; i < tasks->count; i++) {
        scan__kept_fini(&tasks->items[i].kept);
    }
}

static enum err plan_deletes(struct scan__plan *plan, const struct tasks *data,
                             struct tasks *deletes)
{
    struct scan__targets targets = {.sequence_min = INT64_MAX};
    bool has_files = kept_count(data->items, data->count) > 0;
    if (has_files && scan__targets_build(plan, data->items, data->count, &targets) != ERR_OK) {
        return errinfo_nomem(plan->info);
    }
    TRY(make_tasks(plan, true, targets.sequence_min, &deletes->items, &deletes->count));
    TRY(run_tasks(plan, &targets, deletes->items, deletes->count));
    for (size_t i = 0; i < deletes->count; i++) {
        plan->counts.manifest_bytes_read += deletes->items[i].counts.manifest_bytes_read;
        plan->counts.manifest_cache_hits += deletes->items[i].counts.manifest_cache_hits;
    }
    return ERR_OK;
}

static bool has_delete_manifests(const struct scan__plan *plan)
{
    for (size_t i = 0; i < plan->manifest_count; i++) {
        if (plan->manifests[i].is_deletes && has_live_files(&plan->manifests[i])) {
            return true;
        }
    }
    return false;
}

static enum err plan_files(struct scan__plan *plan, struct arena *arena,
                           struct iceberg_scan_plan *result)
{
    struct tasks data CLEANUP(tasks_fini) = {0};
    struct tasks deletes CLEANUP(tasks_fini) = {0};
    const struct scan__deletes *index = NULL;
    TRY(prepare_filter(plan, arena));
    TRY(load_manifests(plan));
    plan->keep_metrics |= has_delete_manifests(plan);
    TRY(make_tasks(plan, false, 0, &data.items, &data.count));
    TRY(run_tasks(plan, NULL, data.items, data.count));
    add_counts(&plan->counts, data.items, data.count);
    TRY(plan_deletes(plan, &data, &deletes));
    result->counts = plan->counts;
    if (kept_count(deletes.items, deletes.count) > 0) {
        TRY(copy_deletes(plan, deletes.items, deletes.count, arena, result, &index));
    }
    TRY(copy_files(plan, data.items, data.count, index, arena, result));
    result->counts.files_matched = result->file_count;
    result->counts.delete_files_matched = result->delete_count;
    return ERR_OK;
}

enum err iceberg_scan_plan(const struct iceberg_scan_options *options, struct arena *arena,
                           struct iceberg_scan_plan *ret_plan, struct errinfo *info)
{
    struct iceberg_scan_plan result = {0};
    if (options->snapshot != NULL) {
        struct arena *scratch CLEANUP(arena_cleanup) = arena_new(NULL, "plan", 0);
        if (scratch == NULL) {
            return errinfo_nomem(info);
        }
        struct scan__plan plan = {.options = options, .scratch = scratch, .info = info};
        plan.cache = options->cache_scope.len > 0 ? options->cache : NULL;
        TRY(plan_files(&plan, arena, &result));
    }
    *ret_plan = result;
    return ERR_OK;
}
