/* What hosts ask for, and whether they may have it. One thread a lane: it waits for a request,
 * looks at every number in it, calls the program's callback, and answers.
 *
 * Nothing here believes the host: it names a grant by a number that is attached to it now, an
 * object that the grant has, a range that the object has, a part of its own buffer. A request that
 * the engine's adapter could not have made ends the host. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/mem.h"
#include "engine/host/arrow_wire.h"
#include "engine/host/broker_int.h"

enum {
    SPILL_FILES_MAX = 1 << 16,
    DEAD_STEP = 8192
};

static _Thread_local bool is_lane;

bool lane__is_here(void)
{
    return is_lane;
}

/* ---- bytes ---- */

static bool is_inside(uint64_t offset, uint64_t len, uint64_t size)
{
    uint64_t end;
    return checked_add(offset, len, &end) && end <= size;
}

/* Under a use of the grant. */
static bool read_bytes(struct lane_request *r, struct engine_grant *grant,
                       const struct host_read *read, char *into)
{
    const struct engine_grant_spec *spec = &grant->spec;
    if (read->scan == UINT64_MAX) {
        if (read->object >= spec->object_count ||
            !is_inside(read->offset, read->len, spec->objects[read->object].size_bytes)) {
            return false;
        }
        r->err = spec->read(spec->context, read->object, read->offset, into, read->len, &r->info);
    } else {
        const struct engine_scan_file *file = grant__offered(grant, read->scan, read->object);
        if (file == NULL || !is_inside(read->offset, read->len, file->size_bytes)) {
            return false;
        }
        const struct engine_scan_spec *scan = spec->scans[read->scan];
        r->err = scan->read(scan->context, read->object, read->offset, into, read->len, &r->info);
    }
    if (r->err == ERR_OK) {
        grant->bytes_read += read->len;
    }
    return true;
}

static bool handle_read(struct lane_request *r)
{
    struct wire in = wire_of(r->body);
    struct host_read read;
    host_take_read(&in, &read);
    if (!wire_is_done(&in) || read.len == 0 || read.len > HOST_HALF_BYTES ||
        (read.buffer_at != 0 && read.buffer_at != HOST_HALF_BYTES)) {
        return false;
    }
    char *into = host_lane_buffer(r->host->memory, r->lane) + read.buffer_at;
    struct engine_grant *grant = grant__find(r->host, read.grant);
    if (grant == NULL) {
        r->err = errinfo_set(&r->info, ERR_DENIED, NULL, "no grant for object");
        return true;
    }
    bool is_sane = true;
    r->err = grant__use(grant, &r->info);
    if (r->err == ERR_OK) {
        is_sane = read_bytes(r, grant, &read, into);
        grant__done(grant);
    }
    grant__unref(grant);
    return is_sane;
}

static bool handle_write(struct lane_request *r)
{
    struct wire in = wire_of(r->body);
    uint64_t number = wire_u64(&in);
    uint64_t index = wire_u64(&in);
    uint64_t len = wire_u64(&in);
    if (!wire_is_done(&in) || len > HOST_LANE_BYTES) {
        return false;
    }
    struct engine_grant *grant = grant__find(r->host, number);
    if (grant == NULL) {
        r->err = errinfo_set(&r->info, ERR_DENIED, NULL, "no grant for object");
        return true;
    }
    const struct engine_grant_spec *spec = &grant->spec;
    bool is_sane = spec->write != NULL && index < spec->writable_count;
    r->err = is_sane ? grant__take_sink(grant, index, number, &r->info) : ERR_OK;
    r->err = is_sane && r->err == ERR_OK ? grant__use(grant, &r->info) : r->err;
    if (is_sane && r->err == ERR_OK) {
        r->err = spec->write(spec->context, index, host_lane_buffer(r->host->memory, r->lane), len,
                             &r->info);
        grant->bytes_written += r->err == ERR_OK ? len : 0;
        grant__done(grant);
    }
    grant__unref(grant);
    return is_sane;
}

/* ---- scans ---- */

static bool ask_files(struct lane_request *r, struct engine_grant *grant, size_t index,
                      const struct engine_predicate *const *all, size_t count, bool is_dynamic)
{
    const struct engine_scan_spec *scan = grant->spec.scans[index];
    const struct engine_scan_file *files = NULL;
    size_t file_count = 0;
    pthread_mutex_lock(&grant->files_locks[index]);
    r->err = scan->files(scan->context, all, count, is_dynamic, &files, &file_count, &r->info);
    pthread_mutex_unlock(&grant->files_locks[index]);
    for (size_t i = 0; i < file_count && r->err == ERR_OK; i++) {
        if (files[i].has_deletes && scan->dead == NULL) {
            r->err = errinfo_set(&r->info, ERR_INVALID, NULL,
                                 "a scan has files with deletes and knows of none");
        }
    }
    if (r->err == ERR_OK) {
        host_put_files(r->out, files, file_count);
        if (!grant__offer(grant, index, files, file_count) || buf_failed(r->out)) {
            r->err = errinfo_nomem(&r->info);
        }
    }
    return true;
}

/* Of rows that are hidden nothing is told, whatever the host believes. */
static bool ask_ranges(struct lane_request *r, struct engine_grant *grant, size_t index,
                       const struct engine_predicate *const *all, size_t count)
{
    const struct engine_scan_spec *scan = grant->spec.scans[index];
    const struct engine_scan_range *ranges = NULL;
    if (scan->ranges == NULL || scan->has_hidden) {
        return false;
    }
    pthread_mutex_lock(&grant->files_locks[index]);
    r->err = scan->ranges(scan->context, all, count, &ranges, &r->info);
    pthread_mutex_unlock(&grant->files_locks[index]);
    if (r->err == ERR_OK) {
        host_put_ranges(r->out, ranges, scan->column_count);
        r->err = buf_failed(r->out) ? errinfo_nomem(&r->info) : ERR_OK;
    }
    return true;
}

/* FILES and RANGES. */
static bool handle_files(struct lane_request *r)
{
    bool is_files = r->kind == MESSAGE_FILES;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "predicates", 0);
    const struct engine_predicate *const *all;
    size_t count;
    if (arena == NULL) {
        r->err = errinfo_nomem(&r->info);
        return true;
    }
    struct wire in = wire_of(r->body);
    uint64_t number = wire_u64(&in);
    uint64_t scan = wire_u64(&in);
    bool is_dynamic = is_files && wire_bool(&in);
    host_take_predicates(&in, arena, &all, &count);
    if (!wire_is_done(&in)) {
        return false;
    }
    struct engine_grant *grant = grant__find(r->host, number);
    if (grant == NULL) {
        r->err = errinfo_set(&r->info, ERR_DENIED, NULL, "no grant for object");
        return true;
    }
    bool is_sane = scan < grant->spec.scan_count;
    r->err = is_sane ? grant__use(grant, &r->info) : ERR_OK;
    if (is_sane && r->err == ERR_OK) {
        is_sane = is_files ? ask_files(r, grant, scan, all, count, is_dynamic)
                           : ask_ranges(r, grant, scan, all, count);
        grant__done(grant);
    }
    grant__unref(grant);
    return is_sane;
}

/* A grant that has ended needs nothing any more. */
static bool handle_advice(struct lane_request *r)
{
    struct engine_scan_extent extents[HOST_EXTENTS_MAX];
    struct wire in = wire_of(r->body);
    uint64_t number = wire_u64(&in);
    uint64_t index = wire_u64(&in);
    uint64_t object = wire_u64(&in);
    size_t count;
    host_take_advice(&in, extents, &count);
    r->has_no_answer = true;
    if (!wire_is_done(&in)) {
        return false;
    }
    struct engine_grant *grant = grant__find(r->host, number);
    if (grant == NULL) {
        return true;
    }
    bool is_sane = true;
    if (grant__use(grant, NULL) == ERR_OK) {
        const struct engine_scan_file *file = grant__offered(grant, index, object);
        is_sane = file != NULL && grant->spec.scans[index]->advise != NULL;
        for (size_t i = 0; is_sane && i < count; i++) {
            is_sane = is_inside(extents[i].offset, extents[i].len, file->size_bytes);
        }
        if (is_sane) {
            const struct engine_scan_spec *scan = grant->spec.scans[index];
            scan->advise(scan->context, object, extents, count);
        }
        grant__done(grant);
    }
    grant__unref(grant);
    return is_sane;
}

struct positions {
    int64_t first;
    uint64_t count;
};

/* Under a use of the grant. A bit for each position, set for the dead. */
static void ask_dead(struct lane_request *r, const struct engine_scan_spec *scan,
                     const struct engine_scan_file *file, struct positions positions)
{
    uint32_t offsets[DEAD_STEP];
    size_t bytes = (size_t)(positions.count + 7) / 8;
    char *bits = buf_reserve(r->out, bytes);
    if (bits == NULL) {
        r->err = errinfo_nomem(&r->info);
        return;
    }
    memset(bits, 0, bytes);
    for (uint64_t done = 0; done < positions.count && r->err == ERR_OK; done += DEAD_STEP) {
        size_t part = positions.count - done < DEAD_STEP ? (size_t)(positions.count - done)
                                                         : (size_t)DEAD_STEP;
        size_t dead_count = 0;
        r->err = scan->dead(scan->context, file, positions.first + (int64_t)done, part, offsets,
                            &dead_count, &r->info);
        for (size_t i = 0; i < dead_count && r->err == ERR_OK; i++) {
            uint64_t at = done + offsets[i];
            bits[at / 8] |= (char)(1 << (at % 8));
        }
    }
    r->out->len += bytes;
}

static bool handle_dead(struct lane_request *r)
{
    struct wire in = wire_of(r->body);
    uint64_t number = wire_u64(&in);
    uint64_t index = wire_u64(&in);
    uint64_t object = wire_u64(&in);
    int64_t first = wire_i64(&in);
    uint64_t count = wire_u64(&in);
    if (!wire_is_done(&in) || first < 0 || first > INT64_C(1) << 48 || count == 0 ||
        count > HOST_DEAD_MAX) {
        return false;
    }
    struct engine_grant *grant = grant__find(r->host, number);
    if (grant == NULL) {
        r->err = errinfo_set(&r->info, ERR_DENIED, NULL, "no grant for object");
        return true;
    }
    bool is_sane = true;
    r->err = grant__use(grant, &r->info);
    if (r->err == ERR_OK) {
        const struct engine_scan_file *file = grant__offered(grant, index, object);
        is_sane = file != NULL && file->has_deletes && grant->spec.scans[index]->dead != NULL;
        if (is_sane) {
            ask_dead(r, grant->spec.scans[index], file, (struct positions){first, count});
        }
        grant__done(grant);
    }
    grant__unref(grant);
    return is_sane;
}

/* ---- rows of the program ---- */

/* Whether there is a batch, whether its data are in the lane, how long they and the description
 * are; the description; the data, if they are too long for the lane. */
static enum err put_rows(struct lane_request *r, const struct ArrowSchema *schema,
                         const struct ArrowArray *array)
{
    struct wire_batch batch = {0};
    enum err err = wire_batch_of(schema, array, &batch, &r->info);
    if (err == ERR_OK) {
        bool is_in_lane = batch.data_bytes <= HOST_LANE_BYTES;
        wire_put_u8(r->out, true);
        wire_put_u8(r->out, is_in_lane);
        wire_put_u64(r->out, batch.data_bytes);
        wire_put_u64(r->out, batch.description.len);
        buf_append_slice(r->out, buf_slice(&batch.description));
        char *data = is_in_lane ? host_lane_buffer(r->host->memory, r->lane)
                                : buf_reserve(r->out, batch.data_bytes);
        if (data != NULL) {
            wire_batch_copy(&batch, data);
            r->out->len += is_in_lane ? 0 : batch.data_bytes;
        }
        err = buf_failed(r->out) ? errinfo_nomem(&r->info)
              : r->out->len > HOST_REQUEST_BYTES_MAX
                  ? errinfo_set(&r->info, ERR_LIMIT, NULL, "a row is too long")
                  : ERR_OK;
    }
    wire_batch_fini(&batch);
    return err;
}

static bool handle_rows(struct lane_request *r)
{
    struct wire in = wire_of(r->body);
    uint64_t number = wire_u64(&in);
    if (!wire_is_done(&in)) {
        return false;
    }
    struct engine_grant *grant = grant__find(r->host, number);
    if (grant == NULL) {
        r->err = errinfo_set(&r->info, ERR_DENIED, NULL, "no grant for rows");
        return true;
    }
    const struct engine_rows *rows = grant->spec.rows;
    bool is_sane = rows != NULL;
    r->err = is_sane ? grant__use(grant, &r->info) : ERR_OK;
    if (is_sane && r->err == ERR_OK) {
        struct ArrowArray array = {0};
        pthread_mutex_lock(&grant->rows_lock);
        r->err = rows->next(rows->context, &array, &r->info);
        pthread_mutex_unlock(&grant->rows_lock);
        if (r->err == ERR_OK && array.release != NULL) {
            r->err = put_rows(r, rows->schema, &array);
            array.release(&array);
        } else if (r->err == ERR_OK) {
            wire_put_u8(r->out, false);
            r->err = buf_failed(r->out) ? errinfo_nomem(&r->info) : ERR_OK;
        }
        grant__done(grant);
    }
    grant__unref(grant);
    return is_sane;
}

/* ---- masks and spill files ---- */

static bool handle_hash(struct lane_request *r)
{
    struct wire in = wire_of(r->body);
    size_t count = wire_count(&in, 8);
    char *hex = in.is_bad ? NULL : buf_reserve(r->out, 64 * count);
    if (hex == NULL && !in.is_bad) {
        r->err = errinfo_nomem(&r->info);
        return true;
    }
    for (size_t i = 0; i < count && !in.is_bad; i++) {
        struct slice value = wire_slice(&in);
        mask__hash(r->host->hosts->engine->mask, value, hex + 64 * i);
    }
    r->out->len += 64 * count;
    return wire_is_done(&in);
}

/* Under the host's spill_lock. The folder is the broker's own: a host only gets descriptors. */
static enum err make_folder(struct host *host, struct errinfo *info)
{
    const struct engine *engine = host->hosts->engine;
    uint8_t random[16];
    char hex[33];
    struct buf path CLEANUP(buf_fini) = {0};
    if (host->spill_folder >= 0) {
        return ERR_OK;
    }
    TRY(random_bytes(random, sizeof(random)));
    hash_hex(random, sizeof(random), hex);
    (void)snprintf(host->spill_name, sizeof(host->spill_name), "moat-spill-%s", hex);
    buf_printf(&path, "%s/%s", engine->temp_folder, host->spill_name);
    host->spill_parent = mem_strdup(engine->temp_folder);
    if (buf_failed(&path) || host->spill_parent == NULL) {
        return errinfo_nomem(info);
    }
    if (mkdir(buf_cstr(&path), 0700) == 0) {
        host->spill_folder = open(buf_cstr(&path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (host->spill_folder < 0) {
        return errinfo_set(info, ERR_IO, NULL, "the folder for temporary files cannot be used");
    }
    return ERR_OK;
}

static enum err open_spill(struct host *host, const char *name, bool may_create, int *ret_fd,
                           struct errinfo *info)
{
    if (host->spill_folder < 0 && !may_create) {
        return errinfo_set(info, ERR_NOT_FOUND, NULL, "there is no temporary file \"%s\"", name);
    }
    TRY(make_folder(host, info));
    if (may_create && host->spill_files++ >= SPILL_FILES_MAX) {
        return errinfo_set(info, ERR_LIMIT, NULL, "a query makes too many temporary files");
    }
    int fd = openat(host->spill_folder, name,
                    O_RDWR | O_CLOEXEC | O_NOFOLLOW | (may_create ? O_CREAT : 0), 0600);
    if (fd < 0) {
        return errno == ENOENT ? errinfo_set(info, ERR_NOT_FOUND, NULL,
                                             "there is no temporary file \"%s\"", name)
                               : errinfo_set(info, ERR_IO, NULL,
                                             "a temporary file of the engine cannot be opened");
    }
    *ret_fd = fd;
    return ERR_OK;
}

static bool handle_spill(struct lane_request *r)
{
    struct wire in = wire_of(r->body);
    struct host *host = r->host;
    bool is_open = r->kind == MESSAGE_SPILL_OPEN;
    bool may_create = is_open && wire_bool(&in);
    struct slice text = wire_slice(&in);
    char name[HOST_SPILL_NAME_MAX + 1] = {0};
    if (!wire_is_done(&in) || !host_name_is_valid(text) ||
        host->hosts->engine->temp_folder == NULL) {
        return false;
    }
    memcpy(name, text.ptr, text.len);
    pthread_mutex_lock(&host->spill_lock);
    if (is_open) {
        r->err = open_spill(host, name, may_create, &r->fd, &r->info);
    } else if (host->spill_folder < 0 || unlinkat(host->spill_folder, name, 0) != 0) {
        r->err =
            errinfo_set(&r->info, ERR_NOT_FOUND, NULL, "there is no temporary file \"%s\"", name);
    }
    pthread_mutex_unlock(&host->spill_lock);
    return true;
}

/* ---- the lane ---- */

bool lane__handle(struct lane_request *request)
{
    switch (request->kind) {
    case MESSAGE_READ:
        return handle_read(request);
    case MESSAGE_WRITE:
        return handle_write(request);
    case MESSAGE_FILES:
    case MESSAGE_RANGES:
        return handle_files(request);
    case MESSAGE_ADVISE:
        return handle_advice(request);
    case MESSAGE_DEAD:
        return handle_dead(request);
    case MESSAGE_HASH:
        return handle_hash(request);
    case MESSAGE_ROWS:
        return handle_rows(request);
    case MESSAGE_SPILL_OPEN:
    case MESSAGE_SPILL_REMOVE:
        return handle_spill(request);
    default: /* a number from the socket */
        return false;
    }
}

static enum err answer(struct channel *channel, struct lane_request *request)
{
    if (request->err != ERR_OK) {
        buf_reset(request->out);
        wire_put_errinfo(request->out, &request->info);
        return buf_failed(request->out)
                   ? ERR_NOMEM
                   : channel_send(channel, MESSAGE_FAILED, buf_slice(request->out));
    }
    if (request->fd >= 0) {
        return channel_send_fds(channel, MESSAGE_DONE, buf_slice(request->out), &request->fd, 1);
    }
    return channel_send(channel, MESSAGE_DONE, buf_slice(request->out));
}

struct lane_thread {
    struct host *host; /* a reference */
    unsigned index;
    struct channel channel;
};

static enum err serve_one(struct lane_thread *lane, struct buf *body, struct buf *out)
{
    struct frame frame;
    TRY(channel_receive(&lane->channel, HOST_CALLBACK_BYTES_MAX, &frame, body));
    struct lane_request request = {.host = lane->host,
                                   .lane = lane->index,
                                   .kind = frame.kind,
                                   .body = buf_slice(body),
                                   .out = out,
                                   .fd = -1};
    errinfo_init(&request.info);
    buf_reset(out);
    bool is_sane = lane__handle(&request);
    enum err err = !is_sane                ? ERR_CORRUPT
                   : request.has_no_answer ? ERR_OK
                                           : answer(&lane->channel, &request);
    if (request.fd >= 0) {
        (void)close(request.fd);
    }
    return err;
}

static void *serve(void *context)
{
    struct lane_thread *lane = context;
    struct buf body = {0};
    struct buf out = {0};
    enum err err;
    is_lane = true;
    do {
        err = serve_one(lane, &body, &out);
    } while (err == ERR_OK);
    if (err != ERR_IO) {
        pthread_mutex_lock(&lane->host->hosts->lock);
        pool__kill(lane->host, DEATH_PROTOCOL);
        pthread_mutex_unlock(&lane->host->hosts->lock);
    }
    buf_fini(&body);
    buf_fini(&out);
    channel_fini(&lane->channel);
    host__unref(lane->host);
    mem_free(lane);
    return NULL;
}

bool lane__start(struct host *host, unsigned index, int fd)
{
    struct lane_thread *lane = mem_calloc(1, sizeof(*lane));
    pthread_attr_t attributes;
    pthread_t thread;
    if (lane == NULL) {
        return false;
    }
    lane->host = host;
    lane->index = index;
    channel_init(&lane->channel, fd, false);
    host__ref(host);
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    bool is_started = pthread_create(&thread, &attributes, serve, lane) == 0;
    (void)pthread_attr_destroy(&attributes);
    if (!is_started) {
        host->refs--; /* never the last: the caller has one */
        mem_free(lane);
    }
    return is_started;
}
