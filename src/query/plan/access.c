/* The objects of a plan behind one engine grant: opened on first read, counted per object.
 *
 * The engine sees `moat://<grant>/<n>`; here alone that meets storage and a location. */
#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/cancellation.h"
#include "query/lake/lake_int.h"

struct access_object {
    const struct relation_object *object;
    pthread_mutex_t lock; /* of opening */
    struct storage_object *_Atomic open;
    _Atomic uint64_t bytes_read;
};

struct access {
    struct warehouse *warehouse;
    struct identity *who;
    struct engine_grant *grant;
    struct access_object *objects;
    size_t object_count;
    struct lake_scan **lakes;
    size_t lake_count;
    const struct engine_scan_spec **scan_specs;
    size_t scan_count;
    bool has_hidden;             /* values of the objects that the person may not see */
    struct temp_file *sink_temp; /* written to instead of a path */
    uint64_t sink_bytes_max;
    const struct engine_rows *rows;
    const struct cancellation *cancellation; /* of the opener */
    struct access_sinks sinks;               /* instead; `write` NULL: none */
    int sink_fd;
    char *sink_path;
    char *sink_temporary;
};

void access_placeholder_uri(void *context, size_t index, struct buf *out)
{
    const struct access_uri_context *uri = context;
    buf_printf(out, "%s/%zu", uri->warehouse->uri_prefix, uri->object_first + index);
    buf_append_slice(out, uri->relation->objects[index].suffix);
}

static enum err open_object(struct access *access, struct access_object *object,
                            struct errinfo *info)
{
    struct storage_object *open = NULL;
    if (object->object->is_bytes) {
        TRY(storage_open_bytes(object->object->bytes, &open, info));
    } else {
        struct storage_entry entry = {object->object->location, object->object->size_bytes,
                                      object->object->etag};
        TRY(storage_open(access->who, &entry, &open, info));
    }
    atomic_store(&object->open, open);
    return ERR_OK;
}

static enum err read_object(void *context, size_t index, uint64_t offset, void *ret_bytes,
                            size_t len, struct errinfo *info)
{
    struct access *access = context;
    if (index >= access->object_count) {
        return errinfo_set(info, ERR_DENIED, NULL, "no grant for this object");
    }
    struct access_object *object = &access->objects[index];
    if (object->object->temp != NULL) {
        TRY(temp_file_read(object->object->temp, offset, ret_bytes, len, info));
        atomic_fetch_add(&object->bytes_read, len);
        return ERR_OK;
    }
    if (atomic_load(&object->open) == NULL) {
        pthread_mutex_lock(&object->lock);
        enum err err =
            atomic_load(&object->open) == NULL ? open_object(access, object, info) : ERR_OK;
        pthread_mutex_unlock(&object->lock);
        TRY(err);
    }
    TRY(storage_read(atomic_load(&object->open), offset, ret_bytes, len, info));
    atomic_fetch_add(&object->bytes_read, len);
    return ERR_OK;
}

static enum err write_temp(struct access *access, const void *bytes, size_t len,
                           struct errinfo *info)
{
    if (len > access->sink_bytes_max - access->sink_temp->size_bytes) {
        (void)errinfo_set(info, ERR_LIMIT, "53400",
                          "the session's temporary tables would be larger than session.temp_disk "
                          "allows");
        errinfo_hint(info, "DROP or TRUNCATE some, or select fewer rows.");
        return ERR_LIMIT;
    }
    return temp_file_append(access->sink_temp, bytes, len, info);
}

static enum err write_sink(void *context, size_t index, const void *bytes, size_t len,
                           struct errinfo *info)
{
    struct access *access = context;
    if (access->sinks.write != NULL) {
        const struct cancellation *before = cancellation_enter(access->cancellation);
        enum err err = access->sinks.write(access->sinks.context, index, bytes, len, info);
        (void)cancellation_enter(before);
        return err;
    }
    if (len == 0) { /* whole: what becomes of it is decided when the query has ended */
        return ERR_OK;
    }
    if (access->sink_temp != NULL) {
        return write_temp(access, bytes, len, info);
    }
    return io_write_all(access->sink_fd, (struct slice){bytes, len}, info);
}

/* Written beside the target and renamed when complete: a failed query leaves no half file. */
static enum err open_sink(struct access *access, const char *path, struct errinfo *info)
{
    size_t len = strlen(path);
    access->sink_path = mem_strdup(path);
    access->sink_temporary = mem_alloc(len + sizeof(".tmp"));
    if (access->sink_path == NULL || access->sink_temporary == NULL) {
        return errinfo_nomem(info);
    }
    memcpy(access->sink_temporary, path, len);
    memcpy(access->sink_temporary + len, ".tmp", sizeof(".tmp"));
    (void)unlink(access->sink_temporary);
    return io_open_append(access->sink_temporary, 0600, &access->sink_fd, info);
}

static enum err open_grant(struct access *access, struct errinfo *info)
{
    struct engine_object *described CLEANUP(mem_free_cleanup) =
        mem_calloc(access->object_count + 1, sizeof(*described));
    if (described == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < access->object_count; i++) {
        const struct relation_object *object = access->objects[i].object;
        described[i].size_bytes = object->is_bytes ? object->bytes.len : object->size_bytes;
        described[i].etag = object->etag;
        described[i].extension = object->suffix;
        described[i].has_hidden = access->has_hidden;
    }
    bool has_sink = access->sink_path != NULL || access->sink_temp != NULL;
    size_t sink_count = has_sink ? 1 : access->sinks.count_max;
    struct engine_grant_spec spec = {
        .objects = described,
        .object_count = access->object_count,
        .read = read_object,
        .write = sink_count > 0 ? write_sink : NULL,
        .writable_count = sink_count,
        .context = access,
        .scans = access->scan_specs,
        .scan_count = access->scan_count,
        .rows = access->rows,
    };
    return engine_grant_open(access->warehouse->engine, access->who, &spec, &access->grant, info);
}

static enum err access_new(struct warehouse *warehouse, const struct identity *who,
                           const struct relation_object *const *objects, size_t object_count,
                           bool has_hidden, struct access **ret_access, struct errinfo *info)
{
    struct access *access CLEANUP(access_cleanup) = mem_calloc(1, sizeof(*access));
    if (access == NULL) {
        return errinfo_nomem(info);
    }
    access->sink_fd = -1;
    access->cancellation = cancellation_here();
    access->has_hidden = has_hidden;
    access->warehouse = warehouse;
    access->who = identity_ref((struct identity *)(uintptr_t)who);
    access->objects = mem_calloc(object_count + 1, sizeof(*access->objects));
    if (access->objects == NULL) {
        return errinfo_nomem(info);
    }
    access->object_count = object_count;
    for (size_t i = 0; i < object_count; i++) {
        access->objects[i].object = objects[i];
        pthread_mutex_init(&access->objects[i].lock, NULL);
    }
    *ret_access = TAKE(access);
    return ERR_OK;
}

enum err access_open_objects(struct warehouse *warehouse, const struct identity *who,
                             const struct relation_object *const *objects, size_t object_count,
                             struct access **ret_access, struct errinfo *info)
{
    struct access *access CLEANUP(access_cleanup) = NULL;
    TRY(access_new(warehouse, who, objects, object_count, false, &access, info));
    TRY(open_grant(access, info));
    *ret_access = TAKE(access);
    return ERR_OK;
}

static enum err open_scans(struct access *access, const struct plan *plan, struct errinfo *info)
{
    access->lakes = mem_calloc(plan->lake_count + 1, sizeof(struct lake_scan *));
    access->scan_specs = mem_calloc(plan->scan_count + 1, sizeof(struct engine_scan_spec *));
    if (access->lakes == NULL || access->scan_specs == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < plan->lake_count; i++) {
        const struct lake_source *source = plan->lakes[i].source;
        ASSERT(plan->lakes[i].scan_first == access->scan_count);
        TRY(lake_scan_open(access->warehouse->engine, source, access->warehouse->manifests,
                           access->has_hidden, &access->lakes[i], info));
        access->lake_count++;
        for (size_t s = 0; s < lake_scan_count(source); s++) {
            access->scan_specs[access->scan_count++] = lake_scan_spec(access->lakes[i], s);
        }
    }
    return ERR_OK;
}

static enum err open_plan(struct warehouse *warehouse, const struct identity *who,
                          const struct plan *plan, const char *sink_path, struct temp_file *temp,
                          uint64_t temp_bytes_max, const struct engine_rows *rows,
                          struct access **ret_access, struct errinfo *info)
{
    struct access *access CLEANUP(access_cleanup) = NULL;
    TRY(access_new(warehouse, who, plan->objects, plan->object_count, plan->is_bound, &access,
                   info));
    if (sink_path != NULL) {
        TRY(open_sink(access, sink_path, info));
    }
    access->sink_temp = temp == NULL ? NULL : temp_file_ref(temp);
    access->sink_bytes_max = temp_bytes_max;
    access->rows = rows;
    TRY(open_scans(access, plan, info));
    TRY(open_grant(access, info));
    *ret_access = TAKE(access);
    return ERR_OK;
}

enum err access_open(struct warehouse *warehouse, const struct identity *who,
                     const struct plan *plan, const char *sink_path, struct access **ret_access,
                     struct errinfo *info)
{
    return open_plan(warehouse, who, plan, sink_path, NULL, 0, NULL, ret_access, info);
}

enum err access_open_temp(struct warehouse *warehouse, const struct identity *who,
                          const struct plan *plan, struct temp_file *sink, uint64_t bytes_max,
                          const struct engine_rows *rows, struct access **ret_access,
                          struct errinfo *info)
{
    return open_plan(warehouse, who, plan, NULL, sink, bytes_max, rows, ret_access, info);
}

enum err access_open_sinks(struct warehouse *warehouse, const struct identity *who,
                           const struct plan *plan, const struct access_sinks *sinks,
                           struct access **ret_access, struct errinfo *info)
{
    struct access *access CLEANUP(access_cleanup) = NULL;
    TRY(access_new(warehouse, who, plan->objects, plan->object_count, plan->is_bound, &access,
                   info));
    access->sinks = *sinks;
    TRY(open_scans(access, plan, info));
    if (sinks->subset != NULL) {
        ASSERT(access->lake_count > 0);
        TRY(lake_scan_restrict(access->lakes[0], sinks->subset, info));
    }
    TRY(open_grant(access, info));
    *ret_access = TAKE(access);
    return ERR_OK;
}

void access_close(struct access *access)
{
    if (access == NULL) {
        return;
    }
    engine_grant_close(access->grant);
    for (size_t i = 0; i < access->object_count; i++) {
        storage_close(atomic_load(&access->objects[i].open));
        pthread_mutex_destroy(&access->objects[i].lock);
    }
    mem_free(access->objects);
    for (size_t i = 0; i < access->lake_count; i++) {
        lake_scan_close(access->lakes[i]);
    }
    mem_free(access->lakes);
    mem_free(access->scan_specs);
    if (access->sink_fd >= 0) {
        io_close(access->sink_fd);
        (void)unlink(access->sink_temporary);
    }
    temp_file_unref(access->sink_temp);
    mem_free(access->sink_path);
    mem_free(access->sink_temporary);
    identity_unref(access->who);
    mem_free(access);
}

enum err access_bind(const struct access *access, struct slice physical_sql, struct buf *ret_sql)
{
    if (access->object_count == 0 && access->scan_count == 0) { /* nothing of it is in the text */
        buf_append_slice(ret_sql, physical_sql);
        return buf_failed(ret_sql) ? ERR_NOMEM : ERR_OK;
    }
    struct buf uri CLEANUP(buf_fini) = {0};
    if (access->object_count > 0) {
        engine_grant_uri(access->grant, 0, &uri);
    } else {
        engine_grant_uri_scan(access->grant, 0, &uri);
    }
    /* "moat://<grant>/0...": the suffix may hold slashes too. */
    const char *slash = uri.len == 0 ? NULL : strchr(uri.ptr + sizeof("moat://") - 1, '/');
    ASSERT(slash != NULL || buf_failed(&uri));
    struct slice living = {uri.ptr, slash == NULL ? 0 : (size_t)(slash - uri.ptr)};
    struct slice placeholder = slice_of(access->warehouse->uri_prefix);
    for (;;) {
        size_t at = slice_find(physical_sql, placeholder);
        if (at == SIZE_MAX) {
            break;
        }
        buf_append(ret_sql, physical_sql.ptr, at);
        buf_append_slice(ret_sql, living);
        physical_sql.ptr += at + placeholder.len;
        physical_sql.len -= at + placeholder.len;
    }
    buf_append_slice(ret_sql, physical_sql);
    return buf_failed(ret_sql) || buf_failed(&uri) ? ERR_NOMEM : ERR_OK;
}

uint64_t access_bytes_read(const struct access *access, size_t object_first, size_t object_count)
{
    uint64_t total = 0;
    for (size_t i = object_first; i < object_first + object_count; i++) {
        total += atomic_load(&access->objects[i].bytes_read);
    }
    return total;
}

enum err access_plan_lakes(struct access *access, struct errinfo *info)
{
    for (size_t i = 0; i < access->lake_count; i++) {
        TRY(lake_scan_plan(access->lakes[i], info));
    }
    return ERR_OK;
}

enum err access_condition(const struct access *access, const struct plan *plan, struct slice uuid,
                          struct arena *arena, const struct iceberg_expression **ret_condition,
                          struct errinfo *info)
{
    static const struct iceberg_expression never = {.op = ICEBERG_FALSE};
    *ret_condition = &never;
    for (size_t i = 0; i < access->lake_count; i++) {
        const struct iceberg_expression *own;
        if (!slice_equal(plan->lakes[i].source->from.metadata->uuid, uuid)) {
            continue;
        }
        TRY(lake_scan_condition(access->lakes[i], arena, &own, info));
        *ret_condition = iceberg_expression_or(*ret_condition, own, arena);
        if (*ret_condition == NULL) {
            return errinfo_nomem(info);
        }
    }
    return ERR_OK;
}

struct lake_scan_counts access_lake_work(const struct access *access, size_t lake)
{
    return lake_scan_work(access->lakes[lake]);
}

void access_sink_uri(const struct access *access, struct buf *ret_uri)
{
    engine_grant_uri_out(access->grant, 0, ret_uri);
}

void access_folder_uri(const struct access *access, struct buf *ret_uri)
{
    engine_grant_uri_folder(access->grant, ret_uri);
}

void access_rows_uri(const struct access *access, struct buf *ret_uri)
{
    engine_grant_uri_rows(access->grant, ret_uri);
}

enum err access_sink_finish(struct access *access, struct errinfo *info)
{
    TRY(io_sync(access->sink_fd, info));
    if (rename(access->sink_temporary, access->sink_path) != 0) {
        return errinfo_set(info, ERR_IO, NULL, "cannot move the finished file into place");
    }
    io_close(access->sink_fd);
    access->sink_fd = -1;
    return ERR_OK;
}
