/* Grants in a host: everything that they give is asked of the broker, over one of the lanes.
 *
 * The engine's module names its grants itself, so the addresses in a statement are replaced by the
 * module's: both are 32 digits. */
#include <unistd.h>

#include "base/mem.h"
#include "engine/host/serve_int.h"

/* ---- lanes ---- */

static struct lane *take_lane(struct server *server)
{
    struct lane *found = NULL;
    pthread_mutex_lock(&server->lane_lock);
    while (found == NULL) {
        for (size_t i = 0; i < server->hello.lane_count && found == NULL; i++) {
            found = server->lanes[i].is_taken ? NULL : &server->lanes[i];
        }
        if (found == NULL) {
            pthread_cond_wait(&server->lane_free, &server->lane_lock);
        }
    }
    found->is_taken = true;
    pthread_mutex_unlock(&server->lane_lock);
    return found;
}

static void give_lane(struct server *server, struct lane *lane)
{
    pthread_mutex_lock(&server->lane_lock);
    lane->is_taken = false;
    pthread_cond_signal(&server->lane_free);
    pthread_mutex_unlock(&server->lane_lock);
}

static void send_request(struct lane *lane, uint32_t kind, struct slice body)
{
    if (channel_send(&lane->channel, kind, body) != ERR_OK) {
        serve__end();
    }
}

/* The answer to the oldest request on the lane is in lane->body. */
static enum err receive_reply(struct lane *lane, struct errinfo *info)
{
    struct frame frame;
    if (channel_receive(&lane->channel, HOST_REQUEST_BYTES_MAX, &frame, &lane->body) != ERR_OK) {
        serve__end();
    }
    if (frame.kind == MESSAGE_DONE) {
        return ERR_OK;
    }
    struct wire in = wire_of(buf_slice(&lane->body));
    enum err err = wire_errinfo(&in, info);
    if (frame.kind != MESSAGE_FAILED || in.is_bad) {
        serve__end();
    }
    return err;
}

static enum err ask(struct lane *lane, uint32_t kind, const struct buf *body, struct errinfo *info)
{
    if (buf_failed(body)) {
        return errinfo_nomem(info);
    }
    send_request(lane, kind, buf_slice(body));
    return receive_reply(lane, info);
}

/* ---- bytes ---- */

struct served_grant {
    struct server *server;
    struct engine_grant *grant;
    struct host_grant from;
    char own_address[33];
    struct served_scan *scans;
    struct engine_rows rows;
    struct ArrowSchema rows_schema; /* release NULL: no rows */
};

struct dead_block {
    size_t object;
    int64_t first; /* position; -1 = empty */
    uint8_t bits[HOST_DEAD_MAX / 8];
};

struct served_scan {
    struct served_grant *grant;
    size_t index;
    pthread_mutex_t lock;
    struct arena *arena;       /* lists of files; under lock */
    struct dead_block *blocks; /* under lock; direct mapped */
};

enum {
    DEAD_BLOCKS = 128
};

struct place {
    uint64_t grant;
    uint64_t scan;
    uint64_t object;
};

/* Two halves of the lane's buffer are in use in turn: the broker fills one while the other is
 * copied out. */
static enum err read_on(struct lane *lane, struct place place, uint64_t offset, char *ret_bytes,
                        size_t len, struct errinfo *info)
{
    size_t asked = 0;
    size_t got = 0;
    size_t half = 0; /* where the next answer is */
    size_t pending = 0;
    size_t parts[2] = {0};
    enum err err = ERR_OK;
    while (pending > 0 || (err == ERR_OK && got < len)) {
        while (err == ERR_OK && asked < len && pending < 2) {
            size_t into = (half + pending) % 2;
            parts[into] = len - asked < HOST_HALF_BYTES ? len - asked : HOST_HALF_BYTES;
            struct host_read read = {place.grant,    place.scan,  place.object,
                                     offset + asked, parts[into], into * HOST_HALF_BYTES};
            struct buf body CLEANUP(buf_fini) = {0};
            host_put_read(&body, &read);
            if (buf_failed(&body)) {
                err = errinfo_nomem(info);
                break;
            }
            send_request(lane, MESSAGE_READ, buf_slice(&body));
            asked += parts[into];
            pending++;
        }
        if (pending == 0) {
            break;
        }
        enum err answer = receive_reply(lane, err == ERR_OK ? info : NULL);
        pending--;
        if (answer == ERR_OK && err == ERR_OK) {
            memcpy(ret_bytes + got, lane->buffer + half * HOST_HALF_BYTES, parts[half]);
            got += parts[half];
        } else if (err == ERR_OK) {
            err = answer;
        }
        half = 1 - half;
    }
    return err;
}

static enum err read_place(struct server *server, struct place place, uint64_t offset,
                           void *ret_bytes, size_t len, struct errinfo *info)
{
    struct lane *lane = take_lane(server);
    enum err err = read_on(lane, place, offset, ret_bytes, len, info);
    give_lane(server, lane);
    return err;
}

static enum err read_object(void *context, size_t index, uint64_t offset, void *ret_bytes,
                            size_t len, struct errinfo *info)
{
    struct served_grant *grant = context;
    struct place place = {grant->from.number, UINT64_MAX, index};
    return read_place(grant->server, place, offset, ret_bytes, len, info);
}

static enum err write_object(void *context, size_t index, const void *bytes, size_t len,
                             struct errinfo *info)
{
    struct served_grant *grant = context;
    struct lane *lane = take_lane(grant->server);
    const char *at = bytes;
    enum err err = ERR_OK;
    bool is_more = true; /* no bytes are an end, which is told too */
    while (is_more && err == ERR_OK) {
        size_t part = len < HOST_LANE_BYTES ? len : HOST_LANE_BYTES;
        struct buf body CLEANUP(buf_fini) = {0};
        if (part > 0) {
            memcpy(lane->buffer, at, part);
        }
        wire_put_u64(&body, grant->from.number);
        wire_put_u64(&body, index);
        wire_put_u64(&body, part);
        err = ask(lane, MESSAGE_WRITE, &body, info);
        len -= part;
        is_more = len > 0;
        at = is_more ? at + part : at;
    }
    give_lane(grant->server, lane);
    return err;
}

/* ---- scans ---- */

static enum err scan_files(void *context, const struct engine_predicate *const *all,
                           size_t predicate_count, bool is_dynamic,
                           const struct engine_scan_file **ret_files, size_t *ret_count,
                           struct errinfo *info)
{
    struct served_scan *scan = context;
    struct lane *lane = take_lane(scan->grant->server);
    struct buf body CLEANUP(buf_fini) = {0};
    wire_put_u64(&body, scan->grant->from.number);
    wire_put_u64(&body, scan->index);
    wire_put_u8(&body, is_dynamic);
    host_put_predicates(&body, all, predicate_count);
    enum err err = ask(lane, MESSAGE_FILES, &body, info);
    if (err == ERR_OK) {
        struct wire in = wire_of(buf_slice(&lane->body));
        struct engine_scan_file *files = NULL;
        pthread_mutex_lock(&scan->lock);
        host_take_files(&in, scan->arena, &files, ret_count);
        pthread_mutex_unlock(&scan->lock);
        *ret_files = files;
        err = wire_is_done(&in) ? ERR_OK : errinfo_nomem(info);
    }
    give_lane(scan->grant->server, lane);
    return err;
}

static enum err scan_ranges(void *context, const struct engine_predicate *const *all,
                            size_t predicate_count, const struct engine_scan_range **ret_ranges,
                            struct errinfo *info)
{
    struct served_scan *scan = context;
    struct lane *lane = take_lane(scan->grant->server);
    struct buf body CLEANUP(buf_fini) = {0};
    wire_put_u64(&body, scan->grant->from.number);
    wire_put_u64(&body, scan->index);
    host_put_predicates(&body, all, predicate_count);
    enum err err = ask(lane, MESSAGE_RANGES, &body, info);
    if (err == ERR_OK) {
        struct wire in = wire_of(buf_slice(&lane->body));
        struct engine_scan_range *ranges = NULL;
        size_t count;
        pthread_mutex_lock(&scan->lock);
        host_take_ranges(&in, scan->arena, &ranges, &count);
        pthread_mutex_unlock(&scan->lock);
        err = wire_is_done(&in) ? ERR_OK : errinfo_nomem(info);
        if (err == ERR_OK && count != scan->grant->from.scans[scan->index].column_count) {
            serve__end();
        }
        *ret_ranges = ranges;
    }
    give_lane(scan->grant->server, lane);
    return err;
}

static enum err scan_read(void *context, size_t object, uint64_t offset, void *ret_bytes,
                          size_t len, struct errinfo *info)
{
    struct served_scan *scan = context;
    struct place place = {scan->grant->from.number, scan->index, object};
    return read_place(scan->grant->server, place, offset, ret_bytes, len, info);
}

/* Not answered: what is asked next on the lane comes behind it. */
static void scan_advise(void *context, size_t object, const struct engine_scan_extent *extents,
                        size_t count)
{
    struct served_scan *scan = context;
    struct buf body CLEANUP(buf_fini) = {0};
    wire_put_u64(&body, scan->grant->from.number);
    wire_put_u64(&body, scan->index);
    wire_put_u64(&body, object);
    host_put_advice(&body, extents, count < HOST_EXTENTS_MAX ? count : (size_t)HOST_EXTENTS_MAX);
    if (!buf_failed(&body)) {
        struct lane *lane = take_lane(scan->grant->server);
        send_request(lane, MESSAGE_ADVISE, buf_slice(&body));
        give_lane(scan->grant->server, lane);
    }
}

/* A bit for each of `count` positions from `first`, at most HOST_DEAD_MAX: set for the dead. */
static enum err ask_dead(struct served_scan *scan, size_t object, int64_t first, size_t count,
                         uint8_t *ret_bits, struct errinfo *info)
{
    struct lane *lane = take_lane(scan->grant->server);
    struct buf body CLEANUP(buf_fini) = {0};
    wire_put_u64(&body, scan->grant->from.number);
    wire_put_u64(&body, scan->index);
    wire_put_u64(&body, object);
    wire_put_i64(&body, first);
    wire_put_u64(&body, count);
    enum err err = ask(lane, MESSAGE_DEAD, &body, info);
    if (err == ERR_OK) {
        if (lane->body.len != (count + 7) / 8) {
            serve__end();
        }
        memcpy(ret_bits, lane->body.ptr, lane->body.len);
    }
    give_lane(scan->grant->server, lane);
    return err;
}

struct positions {
    int64_t first;
    size_t count;
};

/* Appends those of `wanted` whose bit is set, as offsets from `base`; bits start at `first`. */
static void add_dead(const uint8_t *bits, int64_t first, struct positions wanted, int64_t base,
                     uint32_t *ret_offsets, size_t *ret_dead_count)
{
    for (size_t i = 0; i < wanted.count; i++) {
        size_t at = (size_t)(wanted.first - first) + i;
        if (bits[at / 8] == 0) { /* eight at once, up to the end of the byte */
            i += 7 - at % 8;
        } else if (((bits[at / 8] >> (at % 8)) & 1) != 0) {
            ret_offsets[(*ret_dead_count)++] = (uint32_t)(wanted.first - base) + (uint32_t)i;
        }
    }
}

/* Blocks of positions are asked for whole where the file's rows are known to go so far. */
static enum err dead_of_block(struct served_scan *scan, const struct engine_scan_file *file,
                              struct positions wanted, int64_t base, uint32_t *ret_offsets,
                              size_t *ret_dead_count, struct errinfo *info)
{
    int64_t first = wanted.first / HOST_DEAD_MAX * HOST_DEAD_MAX;
    int64_t end = first + HOST_DEAD_MAX;
    struct dead_block *block =
        &scan->blocks[(file->object * 31 + (size_t)(first / HOST_DEAD_MAX)) % DEAD_BLOCKS];
    if (file->record_count < end) {
        end = file->record_count;
    }
    pthread_mutex_lock(&scan->lock);
    enum err err = ERR_OK;
    if (block->first != first || block->object != file->object) {
        block->first = -1;
        err = ask_dead(scan, file->object, first, (size_t)(end - first), block->bits, info);
        if (err == ERR_OK) {
            block->first = first;
            block->object = file->object;
        }
    }
    if (err == ERR_OK) {
        add_dead(block->bits, first, wanted, base, ret_offsets, ret_dead_count);
    }
    pthread_mutex_unlock(&scan->lock);
    return err;
}

/* Behind what the manifest says there is: no more than is asked for. */
static enum err dead_beyond(struct served_scan *scan, const struct engine_scan_file *file,
                            struct positions wanted, int64_t base, uint32_t *ret_offsets,
                            size_t *ret_dead_count, struct errinfo *info)
{
    uint8_t bits[HOST_DEAD_MAX / 8];
    TRY(ask_dead(scan, file->object, wanted.first, wanted.count, bits, info));
    add_dead(bits, wanted.first, wanted, base, ret_offsets, ret_dead_count);
    return ERR_OK;
}

static enum err scan_dead(void *context, const struct engine_scan_file *file, int64_t first,
                          size_t count, uint32_t *ret_offsets, size_t *ret_dead_count,
                          struct errinfo *info)
{
    struct served_scan *scan = context;
    int64_t end = first + (int64_t)count;
    size_t dead_count = 0;
    for (int64_t at = first; at < end;) {
        bool is_known = at < file->record_count;
        int64_t stop = (at / HOST_DEAD_MAX + 1) * HOST_DEAD_MAX;
        stop = is_known && file->record_count < stop ? file->record_count : stop;
        stop = end < stop ? end : stop;
        struct positions part = {at, (size_t)(stop - at)};
        enum err err = is_known
                           ? dead_of_block(scan, file, part, first, ret_offsets, &dead_count, info)
                           : dead_beyond(scan, file, part, first, ret_offsets, &dead_count, info);
        TRY(err);
        at = stop;
    }
    *ret_dead_count = dead_count;
    return ERR_OK;
}

/* ---- rows of the program ---- */

static enum err take_rows(struct served_grant *grant, struct lane *lane,
                          struct ArrowArray *ret_batch, struct errinfo *info)
{
    struct wire in = wire_of(buf_slice(&lane->body));
    struct ArrowArray batch = {0};
    if (wire_bool(&in)) {
        bool is_in_lane = wire_bool(&in);
        uint64_t data_bytes = wire_u64(&in);
        struct slice description = wire_bytes(&in, wire_u64(&in));
        if (in.is_bad || (is_in_lane && data_bytes > HOST_LANE_BYTES)) {
            serve__end();
        }
        const char *from = is_in_lane ? lane->buffer : wire_bytes(&in, data_bytes).ptr;
        char *data = in.is_bad ? NULL : mem_alloc(data_bytes);
        if (data == NULL) {
            return errinfo_nomem(info);
        }
        memcpy(data, from, data_bytes);
        TRY(wire_take_batch(grant->from.rows, description, data, data_bytes, &batch, info));
    }
    if (!wire_is_done(&in)) {
        serve__end();
    }
    *ret_batch = batch;
    return ERR_OK;
}

static enum err next_rows(void *context, struct ArrowArray *ret_batch, struct errinfo *info)
{
    struct served_grant *grant = context;
    struct lane *lane = take_lane(grant->server);
    struct buf body CLEANUP(buf_fini) = {0};
    wire_put_u64(&body, grant->from.number);
    enum err err = ask(lane, MESSAGE_ROWS, &body, info);
    if (err == ERR_OK) {
        err = take_rows(grant, lane, ret_batch, info);
    }
    give_lane(grant->server, lane);
    return err;
}

static enum err open_rows(struct served_grant *grant, struct engine_grant_spec *spec,
                          struct errinfo *info)
{
    if (grant->from.rows == NULL) {
        return ERR_OK;
    }
    TRY(wire_schema_export(grant->from.rows, &grant->rows_schema, info));
    grant->rows = (struct engine_rows){&grant->rows_schema, next_rows, grant};
    spec->rows = &grant->rows;
    return ERR_OK;
}

/* ---- the grants of a request ---- */

static enum err open_scan(struct served_grant *grant, size_t index, struct arena *arena,
                          struct engine_scan_spec *spec, struct errinfo *info)
{
    struct served_scan *scan = &grant->scans[index];
    pthread_mutex_init(&scan->lock, NULL);
    scan->grant = grant;
    scan->index = index;
    scan->arena = arena_new(NULL, "files", 0);
    spec->context = scan;
    spec->files = scan_files;
    spec->read = scan_read;
    spec->ranges = spec->ranges != NULL ? scan_ranges : NULL;
    spec->advise = spec->advise != NULL ? scan_advise : NULL;
    if (scan->arena == NULL) {
        return errinfo_nomem(info);
    }
    if (spec->dead != NULL) {
        spec->dead = scan_dead;
        scan->blocks = arena_calloc(arena, DEAD_BLOCKS, sizeof(*scan->blocks));
        if (scan->blocks == NULL) {
            return errinfo_nomem(info);
        }
        for (size_t i = 0; i < DEAD_BLOCKS; i++) {
            scan->blocks[i].first = -1;
        }
    }
    return ERR_OK;
}

static void note_address(struct served_grant *grant)
{
    enum {
        SCHEME_BYTES = sizeof("moat://") - 1
    };
    const struct engine_grant_spec *spec = &grant->from.spec;
    struct buf uri CLEANUP(buf_fini) = {0};
    if (spec->object_count > 0) {
        engine_grant_uri(grant->grant, 0, &uri);
    } else if (spec->scan_count > 0) {
        engine_grant_uri_scan(grant->grant, 0, &uri);
    } else if (spec->writable_count > 0) {
        engine_grant_uri_out(grant->grant, 0, &uri);
    } else if (spec->rows != NULL) {
        engine_grant_uri_rows(grant->grant, &uri);
    }
    if (uri.len > SCHEME_BYTES + 32) {
        memcpy(grant->own_address, uri.ptr + SCHEME_BYTES, 32);
    }
}

static enum err open_grant(struct server *server, struct wire *in, struct arena *arena,
                           struct served_grant *grant, struct errinfo *info)
{
    grant->server = server;
    host_take_grant(in, arena, &grant->from);
    struct engine_grant_spec *spec = &grant->from.spec;
    grant->scans = wire_alloc(in, arena, spec->scan_count, sizeof(*grant->scans));
    if (in->is_bad) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < spec->scan_count; i++) {
        TRY(open_scan(grant, i, arena, &grant->from.scans[i], info));
    }
    TRY(open_rows(grant, spec, info));
    spec->read = read_object;
    spec->write = spec->writable_count == 0 ? NULL : write_object;
    spec->context = grant;
    TRY(engine_grant_open(server->engine, server->who, spec, &grant->grant, info));
    note_address(grant);
    return ERR_OK;
}

enum err serve__grants_open(struct server *server, struct wire *in,
                            struct served_grants *ret_grants, struct errinfo *info)
{
    struct served_grants grants = {.arena = arena_new(NULL, "grants", 0)};
    if (grants.arena == NULL) {
        return errinfo_nomem(info);
    }
    size_t count = wire_count(in, 8 + 32);
    grants.list = wire_alloc(in, grants.arena, count, sizeof(*grants.list));
    enum err err = in->is_bad ? errinfo_nomem(info) : ERR_OK;
    while (err == ERR_OK && grants.count < count) {
        err = open_grant(server, in, grants.arena, &grants.list[grants.count++], info);
    }
    *ret_grants = grants; /* closed by the caller, also when it failed */
    return err;
}

void serve__grants_close(struct served_grants *grants)
{
    for (size_t i = 0; i < grants->count; i++) {
        struct served_grant *grant = &grants->list[i];
        engine_grant_close(grant->grant);
        if (grant->rows_schema.release != NULL) {
            grant->rows_schema.release(&grant->rows_schema);
        }
        for (size_t s = 0; grant->scans != NULL && s < grant->from.spec.scan_count; s++) {
            arena_free(grant->scans[s].arena);
        }
    }
    arena_free(grants->arena);
    *grants = (struct served_grants){0};
}

void serve__grants_bind(const struct served_grants *grants, char *sql, size_t len)
{
    struct slice scheme = SLICE("moat://");
    size_t at = 0;
    for (;;) {
        size_t found = slice_find((struct slice){sql + at, len - at}, scheme);
        if (found == SIZE_MAX || len - at - found < scheme.len + 32) {
            return;
        }
        at += found + scheme.len;
        for (size_t i = 0; i < grants->count; i++) {
            const struct served_grant *grant = &grants->list[i];
            if (grant->own_address[0] != '\0' && memcmp(sql + at, grant->from.address, 32) == 0) {
                memcpy(sql + at, grant->own_address, 32);
                break;
            }
        }
    }
}

uint64_t serve__grants_opened(const struct served_grants *grants)
{
    uint64_t opened = 0;
    for (size_t i = 0; i < grants->count; i++) {
        if (grants->list[i].grant != NULL) {
            opened += engine_grant_count(grants->list[i].grant).files_opened;
        }
    }
    return opened;
}

/* ---- spill files and the mask ---- */

static enum err spill_open(void *context, const char *name, bool may_create, int *ret_fd,
                           struct errinfo *info)
{
    struct server *server = context;
    struct lane *lane = take_lane(server);
    struct buf body CLEANUP(buf_fini) = {0};
    wire_put_u8(&body, may_create);
    wire_put_slice(&body, slice_of(name));
    enum err err = ask(lane, MESSAGE_SPILL_OPEN, &body, info);
    int fd = channel_take_fd(&lane->channel);
    if (err == ERR_OK && fd < 0) {
        err = errinfo_set(info, ERR_IO, NULL, "a temporary file of the engine did not come");
    }
    if (err == ERR_OK) {
        *ret_fd = fd;
    }
    give_lane(server, lane);
    return err;
}

static enum err spill_remove(void *context, const char *name, struct errinfo *info)
{
    struct server *server = context;
    struct lane *lane = take_lane(server);
    struct buf body CLEANUP(buf_fini) = {0};
    wire_put_slice(&body, slice_of(name));
    enum err err = ask(lane, MESSAGE_SPILL_REMOVE, &body, info);
    give_lane(server, lane);
    return err;
}

const struct engine_spill serve__spill = {spill_open, spill_remove, NULL};

/* As many values at once as a message holds. */
static enum err hash_values(void *context, const struct slice *values, size_t count,
                            char (*ret_hex)[65], struct errinfo *info)
{
    struct server *server = context;
    struct lane *lane = take_lane(server);
    enum err err = ERR_OK;
    size_t done = 0;
    while (done < count && err == ERR_OK) {
        struct buf texts CLEANUP(buf_fini) = {0};
        struct buf body CLEANUP(buf_fini) = {0};
        size_t end = done;
        do {
            wire_put_slice(&texts, values[end++]);
        } while (end < count && texts.len + values[end].len < HOST_CALLBACK_BYTES_MAX / 2);
        wire_put_u64(&body, end - done);
        buf_append_slice(&body, buf_slice(&texts));
        if (body.len > HOST_CALLBACK_BYTES_MAX) {
            err = errinfo_set(info, ERR_LIMIT, NULL, "a value is too long to be masked");
            break;
        }
        err = buf_failed(&texts) ? errinfo_nomem(info) : ask(lane, MESSAGE_HASH, &body, info);
        if (err == ERR_OK && lane->body.len != 64 * (end - done)) {
            serve__end();
        }
        for (size_t i = 0; err == ERR_OK && i < end - done; i++) {
            memcpy(ret_hex[done + i], lane->body.ptr + 64 * i, 64);
            ret_hex[done + i][64] = '\0';
        }
        done = end;
    }
    give_lane(server, lane);
    return err;
}

const struct engine_mask serve__mask = {hash_values, NULL};
