/* One run of reading a table: what the engine asks for, answered. */
#include "lake/scan.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "base/cancellation.h"
#include "identity/identity.h"
#include "lake/lake_int.h"
#include "sql/scan.h"
#include "storage/remote.h"
#include "storage/storage.h"

#define PLAN_THREADS 2
#define FOOTER_BYTES 65536u /* of a file's end, which are read first */
#define FETCHES_MAX 64u     /* ahead, waiting or running, of one scan */

enum part_kind {
    PART_PLAIN,   /* data files without equality deletes (or all, when the table has none) */
    PART_JOINED,  /* data files with some */
    PART_DELETES, /* the delete files of one set */
};

/* One scan of the engine. */
struct part {
    struct lake_scan *scan;
    enum part_kind kind;
    const struct lake_equality *set; /* PART_DELETES */
    struct engine_scan_spec spec;
    const struct engine_scan_file *files; /* as they were told last; under the scan's lock */
    size_t file_count;
    const struct iceberg_expression *condition; /* that it was asked by; NULL: it was not */
};

struct opened {
    struct lake_ahead_job job; /* opens it; first, so that either is the other */
    struct slice path;         /* as metadata writes it */
    uint64_t size_bytes;
    pthread_mutex_t lock; /* of opening, which may ask a store: not all others wait for that */
    struct storage_object *_Atomic open;
    bool is_remote;
    /* Under the scan's lock: */
    bool is_begun;   /* somebody opens it, or did */
    size_t position; /* among the files of the part that told of it last */
};

struct lake_scan {
    struct engine *engine;
    const struct lake_source *source;
    const struct cancellation
        *cancellation; /* of the opener; reads come from the engine's threads */
    void *run;         /* of who plans in our place; NULL = nobody */
    struct iceberg_manifest_cache *cache;
    struct arena *arena;
    pthread_mutex_t lock; /* planning */
    struct part *parts;
    size_t part_count;
    struct lake_partition partition;
    struct lake_map paths; /* of data and delete files, to numbers of `objects` */
    struct opened **objects;
    size_t object_capacity;
    const struct lake_subset *subset; /* NULL: all of the table */
    struct lake_map subset_paths;     /* to numbers in it */
    struct lake_map groups;           /* spec and partition, to groups less 1 */
    struct lake_deletes *deletes;
    struct lake_ahead *ahead;        /* opens the next files of a store */
    struct lake_scan_counts planned; /* the part that planning knows */
    enum err failed; /* of planning, with `failure`: what it leaves behind is half a plan */
    struct errinfo failure;
    _Atomic uint64_t files_opened;
    _Atomic uint64_t bytes_read;
    atomic_uint fetches; /* ahead */
};

/* ---- objects ---- */

static void open_ahead(void *context, struct lake_ahead_job *job);

static enum err add_object(struct lake_scan *scan, struct slice path, uint64_t size_bytes,
                           size_t *ret_object, bool *ret_is_new, struct errinfo *info)
{
    struct opened *object;
    if (lake__map_find(&scan->paths, path, ret_object)) {
        *ret_is_new = false;
        return ERR_OK;
    }
    if (scan->paths.count == scan->object_capacity) {
        size_t capacity = scan->object_capacity == 0 ? 16 : scan->object_capacity * 2;
        struct opened **grown = arena_calloc(scan->arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(info);
        }
        if (scan->paths.count > 0) {
            memcpy(grown, scan->objects, scan->paths.count * sizeof(*grown));
        }
        /* Readers may hold the old array: it stays in the arena. */
        scan->objects = grown;
        scan->object_capacity = capacity;
    }
    object = arena_calloc(scan->arena, 1, sizeof(*object));
    if (object == NULL || lake__map_add(&scan->paths, path, ret_object, ret_is_new) != ERR_OK) {
        return errinfo_nomem(info);
    }
    object->path = path;
    object->size_bytes = size_bytes;
    object->is_remote = storage_is_remote(path);
    object->job.run = open_ahead;
    pthread_mutex_init(&object->lock, NULL);
    scan->objects[*ret_object] = object;
    return ERR_OK;
}

/* What manifests say has turned out wrong: perhaps they were damaged on their way, and are not
 * trusted again. */
static enum err doubt(const struct lake_scan *scan, enum err err)
{
    if (err == ERR_CORRUPT || err == ERR_NOT_FOUND) {
        iceberg_manifest_cache_forget(scan->cache, scan->source->from.cache_scope);
    }
    return err;
}

static enum err open_object(struct lake_scan *scan, struct opened *object, struct errinfo *info)
{
    struct storage_object *open CLEANUP(storage_cleanup) = NULL;
    TRY(lake__open(scan->source, scan->run, object->path, &open, info));
    TRY(lake__check_size(scan->source, storage_size(open), object->size_bytes, info));
    atomic_store(&object->open, TAKE(open));
    atomic_fetch_add(&scan->files_opened, 1);
    return ERR_OK;
}

static enum err open_once(struct lake_scan *scan, struct opened *object, struct errinfo *info)
{
    pthread_mutex_lock(&object->lock);
    enum err err = atomic_load(&object->open) == NULL ? open_object(scan, object, info) : ERR_OK;
    pthread_mutex_unlock(&object->lock);
    return doubt(scan, err);
}

/* Whoever reads it opens it again, and learns why not. */
static void open_ahead(void *context, struct lake_ahead_job *job)
{
    struct opened *object = (struct opened *)job;
    enum err err = open_once(context, object, NULL);
    if (err == ERR_OK) {
        uint64_t at = object->size_bytes > FOOTER_BYTES ? object->size_bytes - FOOTER_BYTES : 0;
        storage_prefetch(atomic_load(&object->open), at, object->size_bytes - at);
    }
}

/* Parts of a file that the engine says it will read. */
struct fetch {
    struct lake_ahead_job job;   /* first, so that either is the other */
    struct storage_object *open; /* as long as the scan */
    struct engine_scan_extent extent;
};

static void fetch_drop(void *context, struct lake_ahead_job *job)
{
    struct lake_scan *scan = context;
    atomic_fetch_sub(&scan->fetches, 1);
    mem_free(job);
}

static void fetch_ahead(void *context, struct lake_ahead_job *job)
{
    struct fetch *fetch = (struct fetch *)job;
    storage_prefetch(fetch->open, fetch->extent.offset, fetch->extent.len);
    fetch_drop(context, job);
}

static void advise(void *context, size_t index, const struct engine_scan_extent *extents,
                   size_t count)
{
    struct part *part = context;
    struct lake_scan *scan = part->scan;
    pthread_mutex_lock(&scan->lock);
    struct opened *object = index < scan->paths.count ? scan->objects[index] : NULL;
    pthread_mutex_unlock(&scan->lock);
    struct storage_object *open = object == NULL ? NULL : atomic_load(&object->open);
    if (open == NULL) { /* or it has not been read of yet */
        return;
    }
    for (size_t i = 0; i < count && atomic_load(&scan->fetches) < FETCHES_MAX; i++) {
        if (!storage_prefetch_is_useful(open, extents[i].offset, extents[i].len)) {
            continue;
        }
        struct fetch *fetch = mem_alloc(sizeof(*fetch));
        if (fetch == NULL) {
            return; /* it is read when it is asked for */
        }
        *fetch = (struct fetch){
            .job = {.run = fetch_ahead, .drop = fetch_drop}, .open = open, .extent = extents[i]};
        atomic_fetch_add(&scan->fetches, 1);
        lake__ahead_add(scan->ahead, &fetch->job);
    }
}

/* A store is asked before each file is read, and an engine's thread reads nothing meanwhile: so
 * with one file, the next that the plan chose are asked for. */
static void begin_next(struct part *part, struct opened *object)
{
    struct lake_scan *scan = part->scan;
    size_t first = object->position + 1;
    bool is_known = object->position < part->file_count &&
                    scan->objects[part->files[object->position].object] == object;
    object->is_begun = true;
    for (size_t i = first; is_known && i < part->file_count && i < first + LAKE_AHEAD_MAX; i++) {
        struct opened *next = scan->objects[part->files[i].object];
        if (next->is_remote && !next->is_begun) {
            next->is_begun = true;
            lake__ahead_add(scan->ahead, &next->job);
        }
    }
}

static enum err read_object(void *context, size_t index, uint64_t offset, void *ret_bytes,
                            size_t len, struct errinfo *info)
{
    struct part *part = context;
    struct lake_scan *scan = part->scan;
    pthread_mutex_lock(&scan->lock);
    struct opened *object = index < scan->paths.count ? scan->objects[index] : NULL;
    if (object != NULL && object->is_remote && atomic_load(&object->open) == NULL) {
        begin_next(part, object);
    }
    pthread_mutex_unlock(&scan->lock);
    if (object == NULL) {
        return errinfo_set(info, ERR_DENIED, NULL, "no grant for this object");
    }
    const struct cancellation *before = cancellation_enter(scan->cancellation);
    enum err err = atomic_load(&object->open) == NULL ? open_once(scan, object, info) : ERR_OK;
    if (err == ERR_OK) {
        err = storage_read(atomic_load(&object->open), offset, ret_bytes, len, info);
    }
    (void)cancellation_enter(before);
    TRY(err);
    atomic_fetch_add(&scan->bytes_read, len);
    return ERR_OK;
}

/* Two ascending lists as one, each offset once. */
static enum err add_dead(const struct iceberg_positions *dead, int64_t first, size_t count,
                         uint32_t *offsets, size_t offset_count, size_t *ret_count,
                         struct errinfo *info)
{
    uint32_t *more CLEANUP(mem_free_cleanup) = mem_calloc(count + 1, 2 * sizeof(*more));
    if (more == NULL) {
        return errinfo_nomem(info);
    }
    uint32_t *merged = more + count + 1;
    size_t more_count = iceberg_positions_find(dead, (uint64_t)first, count, more);
    size_t a = 0, b = 0, at = 0;
    while (a < offset_count || b < more_count) {
        bool is_old = b == more_count || (a < offset_count && offsets[a] <= more[b]);
        uint32_t next = is_old ? offsets[a++] : more[b++];
        if (at == 0 || merged[at - 1] != next) {
            merged[at++] = next;
        }
    }
    if (at > 0) {
        memcpy(offsets, merged, at * sizeof(*offsets));
    }
    *ret_count = at;
    return ERR_OK;
}

static enum err find_dead(struct lake_scan *scan, const struct engine_scan_file *file,
                          int64_t first, size_t count, uint32_t *ret_offsets,
                          size_t *ret_dead_count, struct errinfo *info)
{
    size_t number;
    if (scan->subset == NULL || !lake__map_find(&scan->subset_paths, file->path, &number)) {
        return lake__deletes_find(scan->deletes, file->object, first, count, ret_offsets,
                                  ret_dead_count, info);
    }
    size_t dead_count = 0;
    if (lake__deletes_has(scan->deletes, file->object)) {
        TRY(lake__deletes_find(scan->deletes, file->object, first, count, ret_offsets, &dead_count,
                               info));
    }
    return add_dead(scan->subset->dead[number], first, count, ret_offsets, dead_count,
                    ret_dead_count, info);
}

static enum err ask_dead(void *context, const struct engine_scan_file *file, int64_t first,
                         size_t count, uint32_t *ret_offsets, size_t *ret_dead_count,
                         struct errinfo *info)
{
    struct lake_scan *scan = ((struct part *)context)->scan;
    const struct cancellation *before = cancellation_enter(scan->cancellation);
    enum err err = find_dead(scan, file, first, count, ret_offsets, ret_dead_count, info);
    (void)cancellation_enter(before);
    return err;
}

/* ---- files as the engine wants them ---- */

/* {'name': value, ...} over the fields of all specs. */
static enum err print_partition(const struct lake_scan *scan, const struct iceberg_file *file,
                                struct slice *ret_text, struct errinfo *info)
{
    const struct iceberg_spec *spec =
        iceberg_metadata_spec(scan->source->from.metadata, file->spec_id);
    const struct lake_partition *all = &scan->partition;
    struct buf text CLEANUP(buf_fini) = {0};
    for (size_t i = 0; i < all->field_count; i++) {
        const struct iceberg_value *value = NULL;
        for (size_t f = 0; spec != NULL && f < spec->field_count && f < file->partition_count;
             f++) {
            if (spec->fields[f].field_id == all->fields[i]->field_id) {
                value = &file->partition[f];
            }
        }
        buf_append_str(&text, i == 0 ? "{" : ", ");
        sql_quote_name(&text, all->fields[i]->name);
        buf_append_str(&text, ": ");
        lake__value_print(&all->types[i], value, &text);
    }
    buf_append_str(&text, all->field_count == 0 ? "" : "}");
    return buf_failed(&text) || !arena_slice(scan->arena, buf_slice(&text), ret_text)
               ? errinfo_nomem(info)
               : ERR_OK;
}

/* Values of identity partition fields, for files that do not store the column (spec "Column
 * Projection"). */
static enum err print_constants(const struct lake_scan *scan, const struct iceberg_file *file,
                                struct engine_scan_file *out, struct errinfo *info)
{
    const struct iceberg_spec *spec =
        iceberg_metadata_spec(scan->source->from.metadata, file->spec_id);
    if (spec == NULL || spec->field_count == 0) {
        return ERR_OK;
    }
    int32_t *ids = arena_calloc(scan->arena, spec->field_count, sizeof(*ids));
    struct slice *values = arena_calloc(scan->arena, spec->field_count, sizeof(*values));
    size_t count = 0;
    if (ids == NULL || values == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t f = 0; f < spec->field_count && f < file->partition_count; f++) {
        const struct iceberg_field *field =
            spec->fields[f].source_count != 1
                ? NULL
                : iceberg_schema_find_id(scan->source->from.schema, spec->fields[f].source_ids[0],
                                         NULL);
        struct buf text CLEANUP(buf_fini) = {0};
        if (spec->fields[f].transform.kind != TRANSFORM_IDENTITY || field == NULL) {
            continue;
        }
        lake__value_print(&field->type, &file->partition[f], &text);
        ids[count] = field->id;
        if (buf_failed(&text) || !arena_slice(scan->arena, buf_slice(&text), &values[count++])) {
            return errinfo_nomem(info);
        }
    }
    out->constant_ids = ids;
    out->constant_values = values;
    out->constant_count = count;
    return ERR_OK;
}

/* Files of one spec and one partition have one group: equality deletes reach no further. */
static enum err group_of(struct lake_scan *scan, const struct iceberg_file *file,
                         int32_t *ret_group, struct errinfo *info)
{
    struct buf key CLEANUP(buf_fini) = {0};
    struct slice kept;
    size_t number;
    buf_printf(&key, "%d", file->spec_id);
    for (size_t i = 0; i < file->partition_count; i++) {
        struct buf value CLEANUP(buf_fini) = {0};
        if (!file->partition[i].is_null) {
            iceberg_value_encode(&file->partition[i], &value);
        }
        buf_printf(&key, file->partition[i].is_null ? ":-" : ":%zu:", value.len);
        buf_append_slice(&key, buf_slice(&value));
        key.failed = key.failed || buf_failed(&value);
    }
    if (buf_failed(&key) || !arena_slice(scan->arena, buf_slice(&key), &kept) ||
        lake__map_add(&scan->groups, kept, &number, NULL) != ERR_OK) {
        return errinfo_nomem(info);
    }
    *ret_group = (int32_t)number + 1;
    return ERR_OK;
}

static enum err describe(struct lake_scan *scan, const struct iceberg_file *file,
                         struct engine_scan_file *out, bool *ret_is_new, struct errinfo *info)
{
    if (file->format != ICEBERG_PARQUET || file->is_encrypted) {
        static const char *const names[] = {"Parquet", "Avro", "ORC", "Puffin"};
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL, "table \"%.*s\" has %s%s files",
                          SLICE_ARGS(scan->source->from.name),
                          file->is_encrypted ? "encrypted " : "", names[file->format]);
        errinfo_hint(info, "Files are read as plain Parquet.");
        return ERR_UNSUPPORTED;
    }
    *out = (struct engine_scan_file){
        .size_bytes = (uint64_t)file->size_bytes,
        .record_count = file->record_count,
        .first_row_id = file->first_row_id,
        .sequence_number = file->sequence_number,
        .spec_id = file->spec_id,
        .path = file->path,
    };
    TRY(add_object(scan, file->path, out->size_bytes, &out->object, ret_is_new, info));
    char *etag = arena_printf(scan->arena, "%llu", (unsigned long long)out->size_bytes);
    if (etag == NULL) {
        return errinfo_nomem(info);
    }
    out->etag = slice_of(etag);
    TRY(group_of(scan, file, &out->group, info));
    TRY(print_partition(scan, file, &out->partition, info));
    return print_constants(scan, file, out, info);
}

/* ---- planning ---- */

static enum err list_deletes(struct lake_scan *scan, const struct lake_equality *set,
                             struct engine_scan_file **ret_files, size_t *ret_count,
                             struct errinfo *info)
{
    struct engine_scan_file *files = arena_calloc(scan->arena, set->file_count + 1, sizeof(*files));
    if (files == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < set->file_count; i++) {
        bool is_new;
        TRY(describe(scan, &set->files[i], &files[i], &is_new, info));
    }
    *ret_files = files;
    *ret_count = set->file_count;
    return ERR_OK;
}

static void count_plan(struct lake_scan *scan, const struct iceberg_scan_plan *plan)
{
    struct lake_scan_counts counts = {.is_planned = true, .plan = plan->counts};
    for (size_t i = 0; i < plan->delete_count; i++) {
        const struct iceberg_file *file = &plan->deletes[i].file;
        uint64_t *kind = file->content == ICEBERG_EQUALITY_DELETES ? &counts.equality_delete_files
                         : file->format == ICEBERG_PUFFIN          ? &counts.deletion_vectors
                                                                   : &counts.position_delete_files;
        ++*kind;
    }
    scan->planned = counts;
}

static struct iceberg_scan_options options_of(const struct lake_scan *scan,
                                              const struct iceberg_expression *filter)
{
    return (struct iceberg_scan_options){.io = &scan->source->from.io,
                                         .metadata = scan->source->from.metadata,
                                         .snapshot = scan->source->from.snapshot,
                                         .schema = scan->source->from.schema,
                                         .filter = filter,
                                         .cache = scan->cache,
                                         .cache_scope = scan->source->from.cache_scope,
                                         .thread_count = PLAN_THREADS};
}

static enum err list_data(struct lake_scan *scan, enum part_kind kind,
                          const struct iceberg_expression *filter,
                          struct engine_scan_file **ret_files, size_t *ret_count,
                          struct errinfo *info)
{
    struct iceberg_scan_options options = options_of(scan, filter);
    struct iceberg_scan_plan plan;
    TRY(scan->run != NULL ? lake__planned(scan->source, scan->run, filter, scan->arena, &plan, info)
                          : doubt(scan, iceberg_scan_plan(&options, scan->arena, &plan, info)));
    struct engine_scan_file *files = arena_calloc(scan->arena, plan.file_count + 1, sizeof(*files));
    size_t count = 0;
    if (files == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < plan.file_count; i++) {
        const struct iceberg_scan_file *file = &plan.files[i];
        bool is_new;
        bool is_joined = scan->source->equality_count > 0 && file->equality_delete_count > 0;
        size_t number;
        if (is_joined != (kind == PART_JOINED) ||
            (scan->subset != NULL &&
             !lake__map_find(&scan->subset_paths, file->file.path, &number))) {
            continue;
        }
        struct engine_scan_file *out = &files[count++];
        TRY(describe(scan, &file->file, out, &is_new, info));
        out->has_deletes = file->delete_count > 0 || scan->subset != NULL;
        if (file->delete_count > 0 && is_new) {
            TRY(lake__deletes_add(scan->deletes, out->object, file->file.path, &plan, file, info));
        }
    }
    count_plan(scan, &plan);
    *ret_files = files;
    *ret_count = count;
    return ERR_OK;
}

/* Whoever asks again for what they know by now asks for less: the first such question counts. */
static enum err note_condition(struct part *part, const struct iceberg_expression *filter,
                               bool is_dynamic, struct errinfo *info)
{
    static const struct iceberg_expression always = {.op = ICEBERG_TRUE};
    const struct iceberg_expression *asked = filter == NULL ? &always : filter;
    if (part->condition == NULL) {
        part->condition = asked;
    } else if (!is_dynamic) {
        part->condition = iceberg_expression_or(part->condition, asked, part->scan->arena);
    }
    return part->condition == NULL ? errinfo_nomem(info) : ERR_OK;
}

static enum err read_condition(const struct lake_scan *scan, struct arena *arena,
                               const struct iceberg_expression **ret_condition,
                               struct errinfo *info)
{
    static const struct iceberg_expression never = {.op = ICEBERG_FALSE};
    const struct iceberg_expression *all = &never;
    for (size_t i = 0; i < scan->part_count && all != NULL; i++) {
        if (scan->parts[i].condition != NULL) {
            all = iceberg_expression_or(all, scan->parts[i].condition, arena);
        }
    }
    *ret_condition = all == NULL ? NULL : iceberg_expression_copy(all, arena);
    return *ret_condition == NULL ? errinfo_nomem(info) : ERR_OK;
}

enum err lake_scan_condition(struct lake_scan *scan, struct arena *arena,
                             const struct iceberg_expression **ret_condition, struct errinfo *info)
{
    pthread_mutex_lock(&scan->lock);
    enum err err = read_condition(scan, arena, ret_condition, info);
    pthread_mutex_unlock(&scan->lock);
    return err;
}

static enum err list_files(struct part *part, const struct engine_predicate *const *all,
                           size_t predicate_count, bool is_dynamic,
                           struct engine_scan_file **ret_files, size_t *ret_count,
                           struct errinfo *info)
{
    struct lake_scan *scan = part->scan;
    const struct iceberg_expression *filter;
    if (part->kind == PART_DELETES) {
        return list_deletes(scan, part->set, ret_files, ret_count, info);
    }
    TRY(lake__predicates(all, predicate_count, scan->source->from.schema, scan->arena, &filter,
                         info));
    TRY(note_condition(part, filter, is_dynamic, info));
    enum err err = list_data(scan, part->kind, filter, ret_files, ret_count, info);
    return lake__named(scan->source, err, info);
}

/* What begin_next goes by. */
static void keep_files(struct part *part, const struct engine_scan_file *files, size_t count)
{
    part->files = files;
    part->file_count = count;
    for (size_t i = 0; i < count; i++) {
        part->scan->objects[files[i].object]->position = i;
    }
}

/* Of one snapshot and with more predicates, an answer can only be smaller than the one before: so
 * whether there was one does not matter, and often there was none. */
static enum err ask_files(void *context, const struct engine_predicate *const *all,
                          size_t predicate_count, bool is_dynamic,
                          const struct engine_scan_file **ret_files, size_t *ret_count,
                          struct errinfo *info)
{
    struct part *part = context;
    struct lake_scan *scan = part->scan;
    struct engine_scan_file *files = NULL;
    size_t count = 0;
    const struct cancellation *before = cancellation_enter(scan->cancellation);
    pthread_mutex_lock(&scan->lock);
    if (scan->failed == ERR_OK) {
        scan->failed =
            list_files(part, all, predicate_count, is_dynamic, &files, &count, &scan->failure);
    }
    enum err err = scan->failed;
    if (err == ERR_OK) {
        keep_files(part, files, count);
    }
    if (err != ERR_OK && info != NULL) {
        *info = scan->failure;
    }
    pthread_mutex_unlock(&scan->lock);
    (void)cancellation_enter(before);
    TRY(err);
    *ret_files = files;
    *ret_count = count;
    return ERR_OK;
}

/* Of plain and joined files together: what holds for both holds for each. */
static enum err ask_ranges(void *context, const struct engine_predicate *const *all,
                           size_t predicate_count, const struct engine_scan_range **ret_ranges,
                           struct errinfo *info)
{
    struct part *part = context;
    struct lake_scan *scan = part->scan;
    const struct iceberg_expression *filter;
    pthread_mutex_lock(&scan->lock);
    enum err err = lake__predicates(all, predicate_count, scan->source->from.schema, scan->arena,
                                    &filter, info);
    if (err == ERR_OK) { /* what the ranges say may be all that is read */
        err = note_condition(part, filter, false, info);
    }
    if (err == ERR_OK) {
        struct iceberg_scan_options options = options_of(scan, filter);
        err = lake__ranges(&options, part->spec.columns, part->spec.column_count, scan->arena,
                           ret_ranges, info);
    }
    pthread_mutex_unlock(&scan->lock);
    return err;
}

/* ---- opening ---- */

static enum err open_part(struct lake_scan *scan, size_t index, const int32_t *equality_ids,
                          size_t equality_id_count, struct errinfo *info)
{
    struct part *part = &scan->parts[index];
    const struct lake_source *source = scan->source;
    part->scan = scan;
    part->kind = index == 0 ? PART_PLAIN : index == 1 ? PART_JOINED : PART_DELETES;
    part->set = part->kind == PART_DELETES ? &source->equality[index - 2] : NULL;
    part->spec.context = part;
    part->spec.files = ask_files;
    part->spec.read = read_object;
    bool may_be_remote = source->from.grant != NULL || source->from.open_remote != NULL;
    part->spec.advise = may_be_remote || scan->run != NULL ? advise : NULL;
    part->spec.ranges = part->set == NULL && scan->run == NULL ? ask_ranges : NULL;
    part->spec.dead = source->has_position_deletes && part->set == NULL ? ask_dead : NULL;
    part->spec.field_id_max = source->from.metadata->last_column_id;
    part->spec.partition_type = scan->partition.type;
    part->spec.row_count_estimate = part->kind == PART_PLAIN ? source->row_count : -1;
    if (part->kind == PART_DELETES) {
        TRY(lake__columns(source, false, part->set->field_ids, part->set->field_count, scan->arena,
                          &part->spec, info));
    } else {
        bool is_joined = part->kind == PART_JOINED;
        TRY(lake__columns(source, true, equality_ids, is_joined ? equality_id_count : 0,
                          scan->arena, &part->spec, info));
    }
    return lake__names(&source->mapping, scan->arena, &part->spec.names, &part->spec.name_count,
                       info);
}

enum err lake_scan_open(struct engine *engine, const struct lake_source *source,
                        struct iceberg_manifest_cache *cache, bool has_hidden,
                        struct lake_scan **ret_scan, struct errinfo *info)
{
    struct lake_scan *scan CLEANUP(lake_scan_cleanup) = mem_calloc(1, sizeof(*scan));
    if (scan == NULL) {
        return errinfo_nomem(info);
    }
    pthread_mutex_init(&scan->lock, NULL);
    errinfo_init(&scan->failure);
    scan->engine = engine;
    scan->source = source;
    scan->cache = cache;
    scan->cancellation = cancellation_here();
    scan->arena = arena_new(NULL, "scan", 0);
    scan->part_count = lake_scan_count(source);
    if (scan->arena == NULL) {
        return errinfo_nomem(info);
    }
    scan->parts = arena_calloc(scan->arena, scan->part_count, sizeof(*scan->parts));
    if (scan->parts == NULL) {
        return errinfo_nomem(info);
    }
    int32_t *ids;
    size_t id_count;
    TRY(lake__ahead_open(scan, &scan->ahead, info));
    if (source->is_planned_elsewhere) {
        TRY(source->from.planner->open(source->from.context, &scan->run, info));
        if (scan->cancellation != NULL) {
            source->from.planner->watch(scan->run, scan->cancellation->is_cancelled,
                                        scan->cancellation->context);
        }
    }
    TRY(lake__deletes_open(engine, source, scan->run, &scan->deletes, info));
    TRY(lake__partition(source, scan->arena, &scan->partition, info));
    TRY(lake__equality_ids(source, scan->arena, &ids, &id_count, info));
    for (size_t i = 0; i < scan->part_count; i++) {
        TRY(open_part(scan, i, ids, id_count, info));
        scan->parts[i].spec.has_hidden = has_hidden;
        scan->parts[i].spec.ranges = has_hidden ? NULL : scan->parts[i].spec.ranges;
    }
    *ret_scan = TAKE(scan);
    return ERR_OK;
}

enum err lake_scan_restrict(struct lake_scan *scan, const struct lake_subset *subset,
                            struct errinfo *info)
{
    for (size_t i = 0; i < subset->count; i++) {
        size_t number;
        if (lake__map_add(&scan->subset_paths, subset->paths[i], &number, NULL) != ERR_OK) {
            return errinfo_nomem(info);
        }
        ASSERT(number == i); /* each path once */
    }
    for (size_t i = 0; i < scan->part_count && scan->parts[i].set == NULL; i++) {
        scan->parts[i].spec.dead = ask_dead;
        scan->parts[i].spec.ranges = NULL; /* they would be those of all files */
        scan->parts[i].spec.row_count_estimate = -1;
    }
    scan->subset = subset;
    return ERR_OK;
}

void lake_scan_close(struct lake_scan *scan)
{
    if (scan == NULL) {
        return;
    }
    lake__ahead_close(scan->ahead);
    lake__deletes_close(scan->deletes);
    for (size_t i = 0; i < scan->paths.count; i++) {
        storage_close(atomic_load(&scan->objects[i]->open));
        pthread_mutex_destroy(&scan->objects[i]->lock);
    }
    if (scan->run != NULL) {
        scan->source->from.planner->close(scan->run);
    }
    lake__map_fini(&scan->paths);
    lake__map_fini(&scan->groups);
    lake__map_fini(&scan->subset_paths);
    arena_free(scan->arena);
    pthread_mutex_destroy(&scan->lock);
    mem_free(scan);
}

const struct engine_scan_spec *lake_scan_spec(const struct lake_scan *scan, size_t index)
{
    ASSERT(index < scan->part_count);
    return &scan->parts[index].spec;
}

enum err lake_scan_plan(struct lake_scan *scan, struct errinfo *info)
{
    const struct engine_scan_file *files;
    size_t count;
    pthread_mutex_lock(&scan->lock);
    bool is_planned = scan->planned.is_planned;
    pthread_mutex_unlock(&scan->lock);
    return is_planned ? ERR_OK : ask_files(&scan->parts[0], NULL, 0, false, &files, &count, info);
}

struct lake_scan_counts lake_scan_work(struct lake_scan *scan)
{
    pthread_mutex_lock(&scan->lock);
    struct lake_scan_counts counts = scan->planned;
    pthread_mutex_unlock(&scan->lock);
    counts.files_opened = atomic_load(&scan->files_opened);
    counts.bytes_read = atomic_load(&scan->bytes_read) + lake__deletes_bytes(scan->deletes);
    return counts;
}
