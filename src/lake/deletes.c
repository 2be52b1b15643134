/* Deleted positions of the data files of one scan.
 *
 * Gathered when the engine first asks about any row: which files a scan reads is settled only when
 * it runs. Deletion vectors are read through the Iceberg library; position delete files are
 * Parquet, so the engine reads them, all at once, in a session of its own. */
#include <pthread.h>
#include <stdatomic.h>

#include "arrow/arrow.h"
#include "base/mem.h"
#include "lake/lake_int.h"
#include "storage/storage.h"

#define VECTOR_BYTES_MAX (256u * 1024 * 1024)

struct vector_work {
    struct slice path;
    uint64_t offset;
    uint64_t size_bytes;
    int64_t count;
    size_t object;
    struct vector_work *next;
};

/* A position delete file, read once however many data files it is of. */
struct delete_object {
    struct slice path;
    uint64_t size_bytes;
    struct storage_object *open;
};

struct lake_deletes {
    struct engine *engine;
    const struct lake_source *source;
    void *run; /* the planner's; NULL = none */
    struct arena *arena;
    pthread_mutex_t lock;
    atomic_bool is_ready;    /* everything added so far is in `positions` */
    struct lake_map by_path; /* data files to numbers of `objects` */
    size_t *objects;         /* of the scan, for each number */
    size_t object_capacity;
    struct iceberg_positions **positions; /* by object */
    size_t position_capacity;
    struct lake_map delete_paths; /* numbers of `files` */
    struct delete_object *files;
    size_t file_capacity;
    size_t files_read; /* the first ones */
    struct vector_work *vectors;
    _Atomic uint64_t bytes_read;
};

enum err lake__deletes_open(struct engine *engine, const struct lake_source *source, void *run,
                            struct lake_deletes **ret_deletes, struct errinfo *info)
{
    struct lake_deletes *deletes CLEANUP(lake__deletes_cleanup) = mem_calloc(1, sizeof(*deletes));
    if (deletes == NULL) {
        return errinfo_nomem(info);
    }
    pthread_mutex_init(&deletes->lock, NULL);
    deletes->engine = engine;
    deletes->source = source;
    deletes->run = run;
    deletes->arena = arena_new(NULL, "deletes", 0);
    if (deletes->arena == NULL) {
        return errinfo_nomem(info);
    }
    *ret_deletes = TAKE(deletes);
    return ERR_OK;
}

void lake__deletes_close(struct lake_deletes *deletes)
{
    if (deletes == NULL) {
        return;
    }
    for (size_t i = 0; i < deletes->position_capacity; i++) {
        iceberg_positions_close(deletes->positions[i]);
    }
    for (size_t i = 0; i < deletes->delete_paths.count; i++) {
        storage_close(deletes->files[i].open);
    }
    lake__map_fini(&deletes->by_path);
    lake__map_fini(&deletes->delete_paths);
    mem_free(deletes->objects);
    mem_free(deletes->positions);
    mem_free(deletes->files);
    arena_free(deletes->arena);
    pthread_mutex_destroy(&deletes->lock);
    mem_free(deletes);
}

uint64_t lake__deletes_bytes(struct lake_deletes *deletes)
{
    return atomic_load(&deletes->bytes_read);
}

/* Room for item `index` in a zeroed array on the heap. */
static bool need(void *array_of_pointer, size_t *capacity, size_t index, size_t item_bytes)
{
    void **array = array_of_pointer;
    if (index < *capacity) {
        return true;
    }
    size_t wanted = *capacity * 2 > index + 1 ? *capacity * 2 : index + 16;
    char *grown = mem_realloc(*array, wanted * item_bytes);
    if (grown == NULL) {
        return false;
    }
    memset(grown + *capacity * item_bytes, 0, (wanted - *capacity) * item_bytes);
    *array = grown;
    *capacity = wanted;
    return true;
}

/* ---- what there is to read ---- */

static enum err add_vector(struct lake_deletes *deletes, size_t object,
                           const struct iceberg_file *file, struct errinfo *info)
{
    struct vector_work *work = arena_calloc(deletes->arena, 1, sizeof(*work));
    if (work == NULL || !arena_slice(deletes->arena, file->path, &work->path)) {
        return errinfo_nomem(info);
    }
    work->offset = (uint64_t)file->content_offset;
    work->size_bytes = (uint64_t)file->content_size_bytes;
    work->count = file->record_count;
    work->object = object;
    work->next = deletes->vectors;
    deletes->vectors = work;
    return ERR_OK;
}

static enum err add_delete_file(struct lake_deletes *deletes, const struct iceberg_file *file,
                                struct errinfo *info)
{
    size_t number;
    bool is_new;
    struct slice path;
    if (lake__map_find(&deletes->delete_paths, file->path, &number)) {
        return ERR_OK;
    }
    if (!need(&deletes->files, &deletes->file_capacity, deletes->delete_paths.count,
              sizeof(*deletes->files)) ||
        !arena_slice(deletes->arena, file->path, &path) ||
        lake__map_add(&deletes->delete_paths, path, &number, &is_new) != ERR_OK) {
        return errinfo_nomem(info);
    }
    deletes->files[number] =
        (struct delete_object){.path = path, .size_bytes = (uint64_t)file->size_bytes};
    return ERR_OK;
}

static enum err add_locked(struct lake_deletes *deletes, size_t object, struct slice path,
                           const struct iceberg_scan_plan *plan,
                           const struct iceberg_scan_file *file, struct errinfo *info)
{
    size_t number;
    bool is_new;
    if (!need(&deletes->positions, &deletes->position_capacity, object,
              sizeof(struct iceberg_positions *)) ||
        lake__map_add(&deletes->by_path, path, &number, &is_new) != ERR_OK ||
        !need(&deletes->objects, &deletes->object_capacity, number, sizeof(size_t))) {
        return errinfo_nomem(info);
    }
    deletes->objects[number] = object;
    if (deletes->positions[object] == NULL) {
        TRY(iceberg_positions_open(&deletes->positions[object], info));
    }
    for (size_t i = 0; i < file->delete_count; i++) {
        const struct iceberg_file *delete_file = &plan->deletes[file->deletes[i]].file;
        if (delete_file->format == ICEBERG_PUFFIN) {
            TRY(add_vector(deletes, object, delete_file, info));
        } else if (delete_file->format == ICEBERG_PARQUET) {
            TRY(add_delete_file(deletes, delete_file, info));
        } else {
            return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                               "a delete file of \"%.*s\" is no Parquet file",
                               SLICE_ARGS(deletes->source->from.name));
        }
    }
    atomic_store(&deletes->is_ready, false);
    return ERR_OK;
}

enum err lake__deletes_add(struct lake_deletes *deletes, size_t object, struct slice path,
                           const struct iceberg_scan_plan *plan,
                           const struct iceberg_scan_file *file, struct errinfo *info)
{
    pthread_mutex_lock(&deletes->lock);
    enum err err = add_locked(deletes, object, path, plan, file, info);
    pthread_mutex_unlock(&deletes->lock);
    return err;
}

/* ---- reading ---- */

static enum err read_vectors(struct lake_deletes *deletes, struct errinfo *info)
{
    const struct iceberg_io *io = &deletes->source->from.io;
    while (deletes->vectors != NULL) {
        const struct vector_work *work = deletes->vectors;
        if (work->size_bytes > VECTOR_BYTES_MAX) {
            return errinfo_set(info, ERR_LIMIT, NULL, "a deletion vector has %llu bytes",
                               (unsigned long long)work->size_bytes);
        }
        char *bytes CLEANUP(mem_free_cleanup) = mem_alloc((size_t)work->size_bytes);
        if (bytes == NULL) {
            return errinfo_nomem(info);
        }
        TRY(io->read_range(io->context, work->path, work->offset, (size_t)work->size_bytes, bytes,
                           info));
        TRY(iceberg_positions_add_vector(deletes->positions[work->object],
                                         (struct slice){bytes, (size_t)work->size_bytes},
                                         work->count, info));
        atomic_fetch_add(&deletes->bytes_read, work->size_bytes);
        deletes->vectors = work->next;
    }
    return ERR_OK;
}

static enum err read_object(void *context, size_t index, uint64_t offset, void *ret_bytes,
                            size_t len, struct errinfo *info)
{
    struct lake_deletes *deletes = context;
    TRY(storage_read(deletes->files[deletes->files_read + index].open, offset, ret_bytes, len,
                     info));
    atomic_fetch_add(&deletes->bytes_read, len);
    return ERR_OK;
}

static enum err open_objects(struct lake_deletes *deletes, struct arena *scratch,
                             struct engine_object **ret_objects, size_t *ret_count,
                             struct errinfo *info)
{
    size_t count = deletes->delete_paths.count - deletes->files_read;
    struct engine_object *objects = arena_calloc(scratch, count + 1, sizeof(*objects));
    if (objects == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        struct delete_object *file = &deletes->files[deletes->files_read + i];
        if (file->open == NULL) {
            TRY(lake__open(deletes->source, deletes->run, file->path, &file->open, info));
        }
        TRY(lake__check_size(deletes->source, storage_size(file->open), file->size_bytes, info));
        /* The grant lives for one reading: the open file cannot become another meanwhile. */
        char *etag = arena_printf(scratch, "%lld", (long long)storage_modified_us(file->open));
        if (etag == NULL) {
            return errinfo_nomem(info);
        }
        objects[i] = (struct engine_object){
            .size_bytes = storage_size(file->open), .etag = slice_of(etag), .has_hidden = true};
    }
    *ret_objects = objects;
    *ret_count = count;
    return ERR_OK;
}

/* Batches of (file_path VARCHAR, pos BIGINT), both with plain 32-bit offsets (engine.h). */
static enum err take_batch(struct lake_deletes *deletes, const struct ArrowArray *batch,
                           struct errinfo *info)
{
    const struct ArrowArray *paths = batch->children[0];
    const struct ArrowArray *rows = batch->children[1];
    const int32_t *offsets = (const int32_t *)paths->buffers[1] + paths->offset;
    const char *text = paths->buffers[2];
    const int64_t *numbers = (const int64_t *)rows->buffers[1] + rows->offset;
    if (paths->null_count != 0 || rows->null_count != 0) {
        return errinfo_set(info, ERR_CORRUPT, NULL, "a position delete file of \"%.*s\" has NULLs",
                           SLICE_ARGS(deletes->source->from.name));
    }
    for (int64_t i = 0, end; i < batch->length; i = end) {
        struct slice path = {text + offsets[i], (size_t)(offsets[i + 1] - offsets[i])};
        size_t number;
        for (end = i + 1; end < batch->length; end++) {
            struct slice next = {text + offsets[end], (size_t)(offsets[end + 1] - offsets[end])};
            if (!slice_equal(path, next)) {
                break;
            }
        }
        if (lake__map_find(&deletes->by_path, path, &number)) {
            TRY(iceberg_positions_add(deletes->positions[deletes->objects[number]], numbers + i,
                                      (size_t)(end - i), info));
        }
    }
    return ERR_OK;
}

static enum err run_text(struct lake_deletes *deletes, struct slice sql, struct errinfo *info)
{
    struct engine_session *session CLEANUP(engine_session_cleanup) = NULL;
    struct engine_query *query CLEANUP(engine_query_cleanup) = NULL;
    TRY(engine_session_open(deletes->engine, deletes->source->from.who, &session, info));
    TRY(engine_query_open(session, deletes->source->from.who, sql, NULL, 0, &query, info));
    for (;;) {
        struct ArrowArray batch = {0};
        TRY(engine_query_next(query, &batch, info));
        if (batch.release == NULL) {
            return ERR_OK;
        }
        enum err err = take_batch(deletes, &batch, info);
        batch.release(&batch);
        TRY(err);
    }
}

static enum err read_files(struct lake_deletes *deletes, struct errinfo *info)
{
    struct arena *scratch CLEANUP(arena_cleanup) = arena_new(NULL, "delete files", 0);
    struct engine_object *objects;
    size_t count;
    if (scratch == NULL) {
        return errinfo_nomem(info);
    }
    TRY(open_objects(deletes, scratch, &objects, &count, info));
    if (count == 0) {
        return ERR_OK;
    }
    struct engine_grant *grant CLEANUP(engine_grant_cleanup) = NULL;
    struct engine_grant_spec spec = {
        .objects = objects, .object_count = count, .read = read_object, .context = deletes};
    TRY(engine_grant_open(deletes->engine, deletes->source->from.who, &spec, &grant, info));
    struct buf sql CLEANUP(buf_fini) = {0};
    buf_append_str(&sql, "SELECT CAST(file_path AS VARCHAR), CAST(pos AS BIGINT) FROM "
                         "read_parquet([");
    for (size_t i = 0; i < count; i++) {
        buf_append_str(&sql, i == 0 ? "'" : ", '");
        engine_grant_uri(grant, i, &sql);
        buf_append_char(&sql, '\'');
    }
    buf_append_str(&sql, "])");
    if (buf_failed(&sql)) {
        return errinfo_nomem(info);
    }
    TRY(run_text(deletes, buf_slice(&sql), info));
    deletes->files_read = deletes->delete_paths.count;
    return ERR_OK;
}

static enum err make_ready(struct lake_deletes *deletes, struct errinfo *info)
{
    enum err err = ERR_OK;
    pthread_mutex_lock(&deletes->lock);
    if (!atomic_load(&deletes->is_ready)) {
        err = read_vectors(deletes, info);
        if (err == ERR_OK) {
            err = read_files(deletes, info);
        }
        if (err == ERR_OK) {
            atomic_store(&deletes->is_ready, true);
        }
    }
    pthread_mutex_unlock(&deletes->lock);
    return err;
}

bool lake__deletes_has(const struct lake_deletes *deletes, size_t object)
{
    return object < deletes->position_capacity && deletes->positions[object] != NULL;
}

enum err lake__deletes_find(struct lake_deletes *deletes, size_t object, int64_t first,
                            size_t count, uint32_t *ret_offsets, size_t *ret_dead_count,
                            struct errinfo *info)
{
    if (!atomic_load(&deletes->is_ready)) {
        TRY(make_ready(deletes, info));
    }
    if (object >= deletes->position_capacity || deletes->positions[object] == NULL) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "no deletes were planned for this file");
    }
    if (first < 0) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "a row position is negative");
    }
    *ret_dead_count =
        iceberg_positions_find(deletes->positions[object], (uint64_t)first, count, ret_offsets);
    return ERR_OK;
}

enum err lake__deletes_copy(struct lake_deletes *deletes, size_t object,
                            struct iceberg_positions *into, struct errinfo *info)
{
    uint64_t rows[1024];
    size_t count = ARRAY_COUNT(rows);
    ASSERT(lake__deletes_has(deletes, object));
    if (!atomic_load(&deletes->is_ready)) {
        TRY(make_ready(deletes, info));
    }
    for (uint64_t at = 0; count == ARRAY_COUNT(rows); at = rows[count - 1] + 1) {
        int64_t signed_rows[ARRAY_COUNT(rows)];
        count = iceberg_positions_copy(deletes->positions[object], at, rows, ARRAY_COUNT(rows));
        if (count == 0) {
            return ERR_OK;
        }
        for (size_t i = 0; i < count; i++) {
            signed_rows[i] = (int64_t)rows[i];
        }
        TRY(iceberg_positions_add(into, signed_rows, count, info));
    }
    return ERR_OK;
}
