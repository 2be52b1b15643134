/* The bodies of messages, both ways. */
#include "engine/host/protocol.h"

enum {
    DEPTH_MAX = 256, /* of columns, names and predicates */
};

void host_put_hello(struct buf *out, const struct host_hello *hello)
{
    wire_put_u32(out, hello->lane_count);
    wire_put_u32(out, hello->thread_count);
    wire_put_u64(out, hello->memory_bytes_max);
    wire_put_u64(out, hello->process_bytes_max);
    wire_put_u64(out, hello->temp_bytes_max);
    wire_put_u32(out, hello->user_id);
    wire_put_u32(out, hello->niceness);
    wire_put_u8(out, hello->is_confined);
    wire_put_u8(out, hello->is_slotless);
}

bool host_take_hello(struct wire *in, struct host_hello *ret_hello)
{
    struct host_hello hello;
    hello.lane_count = wire_u32(in);
    hello.thread_count = wire_u32(in);
    hello.memory_bytes_max = wire_u64(in);
    hello.process_bytes_max = wire_u64(in);
    hello.temp_bytes_max = wire_u64(in);
    hello.user_id = wire_u32(in);
    hello.niceness = wire_u32(in);
    hello.is_confined = wire_bool(in);
    hello.is_slotless = wire_bool(in);
    if (!wire_is_done(in) || hello.lane_count == 0 || hello.lane_count > HOST_LANES_MAX) {
        return false;
    }
    *ret_hello = hello;
    return true;
}

/* ---- grants ---- */

static void put_scan_columns(struct buf *out, const struct engine_scan_column *columns,
                             size_t count)
{
    wire_put_u64(out, count);
    for (size_t i = 0; i < count; i++) {
        wire_put_u32(out, (uint32_t)columns[i].field_id);
        wire_put_slice(out, columns[i].name);
        wire_put_slice(out, columns[i].type);
        wire_put_slice(out, columns[i].value);
        put_scan_columns(out, columns[i].children, columns[i].child_count);
    }
}

static void take_scan_columns(struct wire *in, struct arena *arena, unsigned depth,
                              const struct engine_scan_column **ret_columns, size_t *ret_count)
{
    size_t count = wire_count(in, 4 + 4 * 8);
    struct engine_scan_column *columns = wire_alloc(in, arena, count, sizeof(*columns));
    if (depth > DEPTH_MAX) {
        wire_fail(in);
    }
    for (size_t i = 0; i < count && !in->is_bad; i++) {
        columns[i].field_id = (int32_t)wire_u32(in);
        columns[i].name = wire_copy(in, arena);
        columns[i].type = wire_copy(in, arena);
        columns[i].value = wire_copy(in, arena);
        take_scan_columns(in, arena, depth + 1, &columns[i].children, &columns[i].child_count);
    }
    *ret_columns = columns;
    *ret_count = in->is_bad ? 0 : count;
}

static void put_scan_names(struct buf *out, const struct engine_scan_name *names, size_t count)
{
    wire_put_u64(out, count);
    for (size_t i = 0; i < count; i++) {
        wire_put_u32(out, (uint32_t)names[i].field_id);
        wire_put_slice(out, names[i].name);
        put_scan_names(out, names[i].children, names[i].child_count);
    }
}

static void take_scan_names(struct wire *in, struct arena *arena, unsigned depth,
                            const struct engine_scan_name **ret_names, size_t *ret_count)
{
    size_t count = wire_count(in, 4 + 2 * 8);
    struct engine_scan_name *names = wire_alloc(in, arena, count, sizeof(*names));
    if (depth > DEPTH_MAX) {
        wire_fail(in);
    }
    for (size_t i = 0; i < count && !in->is_bad; i++) {
        names[i].field_id = (int32_t)wire_u32(in);
        names[i].name = wire_copy(in, arena);
        take_scan_names(in, arena, depth + 1, &names[i].children, &names[i].child_count);
    }
    *ret_names = names;
    *ret_count = in->is_bad ? 0 : count;
}

/* `dead` only says whether there is such a function. */
static enum err no_dead(UNUSED void *context, UNUSED const struct engine_scan_file *file,
                        UNUSED int64_t first, UNUSED size_t count, UNUSED uint32_t *ret_offsets,
                        UNUSED size_t *ret_dead_count, UNUSED struct errinfo *info)
{
    return ERR_INTERNAL;
}

/* `ranges` likewise. */
static enum err no_ranges(UNUSED void *context, UNUSED const struct engine_predicate *const *all,
                          UNUSED size_t predicate_count,
                          UNUSED const struct engine_scan_range **ret_ranges,
                          UNUSED struct errinfo *info)
{
    return ERR_INTERNAL;
}

/* `advise` likewise. */
static void no_advice(UNUSED void *context, UNUSED size_t object,
                      UNUSED const struct engine_scan_extent *extents, UNUSED size_t count)
{
}

static void put_scan(struct buf *out, const struct engine_scan_spec *scan)
{
    put_scan_columns(out, scan->columns, scan->column_count);
    put_scan_names(out, scan->names, scan->name_count);
    wire_put_u32(out, (uint32_t)scan->field_id_max);
    wire_put_slice(out, scan->partition_type);
    wire_put_i64(out, scan->row_count_estimate);
    wire_put_u8(out, scan->has_hidden);
    wire_put_u8(out, scan->dead != NULL);
    wire_put_u8(out, scan->ranges != NULL);
    wire_put_u8(out, scan->advise != NULL);
}

static void take_scan(struct wire *in, struct arena *arena, struct engine_scan_spec *scan)
{
    take_scan_columns(in, arena, 0, &scan->columns, &scan->column_count);
    take_scan_names(in, arena, 0, &scan->names, &scan->name_count);
    scan->field_id_max = (int32_t)wire_u32(in);
    scan->partition_type = wire_copy(in, arena);
    scan->row_count_estimate = wire_i64(in);
    scan->has_hidden = wire_bool(in);
    scan->dead = wire_bool(in) ? no_dead : NULL;
    scan->ranges = wire_bool(in) ? no_ranges : NULL;
    scan->advise = wire_bool(in) ? no_advice : NULL;
}

enum err host_put_grant(struct buf *out, uint64_t number, const char *address,
                        const struct engine_grant_spec *spec, struct errinfo *info)
{
    const struct engine_object *objects = spec->objects;
    wire_put_u64(out, number);
    buf_append(out, address, 32);
    wire_put_u64(out, spec->object_count);
    for (size_t i = 0; i < spec->object_count; i++) {
        wire_put_u64(out, objects[i].size_bytes);
        wire_put_i64(out, objects[i].modified_us);
        wire_put_slice(out, objects[i].etag);
        wire_put_slice(out, objects[i].extension);
        wire_put_u8(out, objects[i].has_hidden);
    }
    wire_put_u64(out, spec->writable_count);
    wire_put_u64(out, spec->scan_count);
    for (size_t i = 0; i < spec->scan_count; i++) {
        put_scan(out, spec->scans[i]);
    }
    wire_put_u8(out, spec->rows != NULL);
    return spec->rows == NULL ? ERR_OK : wire_put_schema(out, spec->rows->schema, info);
}

void host_take_grant(struct wire *in, struct arena *arena, struct host_grant *ret_grant)
{
    struct host_grant grant = {.number = wire_u64(in)};
    struct slice address = wire_bytes(in, 32);
    memcpy(grant.address, address.ptr, address.len);
    size_t object_count = wire_count(in, 4 * 8 + 1);
    struct engine_object *objects = wire_alloc(in, arena, object_count, sizeof(*objects));
    for (size_t i = 0; i < object_count && !in->is_bad; i++) {
        objects[i].size_bytes = wire_u64(in);
        objects[i].modified_us = wire_i64(in);
        objects[i].etag = wire_copy(in, arena);
        objects[i].extension = wire_copy(in, arena);
        objects[i].has_hidden = wire_bool(in);
    }
    grant.spec.objects = objects;
    grant.spec.object_count = object_count;
    grant.spec.writable_count = wire_u64(in);
    size_t scan_count = wire_count(in, 4 * 8 + 2);
    const struct engine_scan_spec **links = wire_alloc(in, arena, scan_count, sizeof(*links));
    struct engine_scan_spec *scans = wire_alloc(in, arena, scan_count, sizeof(*scans));
    for (size_t i = 0; i < scan_count && !in->is_bad; i++) {
        take_scan(in, arena, &scans[i]);
        links[i] = &scans[i];
    }
    grant.scans = scans;
    grant.spec.scans = links;
    grant.spec.scan_count = scan_count;
    if (wire_bool(in)) {
        grant.rows = wire_take_schema(in, arena);
    }
    if (!in->is_bad) {
        *ret_grant = grant;
    }
}

void host_put_files(struct buf *out, const struct engine_scan_file *files, size_t count)
{
    wire_put_u64(out, count);
    for (size_t i = 0; i < count; i++) {
        const struct engine_scan_file *file = &files[i];
        wire_put_u64(out, file->object);
        wire_put_u64(out, file->size_bytes);
        wire_put_slice(out, file->etag);
        wire_put_i64(out, file->record_count);
        wire_put_i64(out, file->first_row_id);
        wire_put_i64(out, file->sequence_number);
        wire_put_u32(out, (uint32_t)file->spec_id);
        wire_put_u32(out, (uint32_t)file->group);
        wire_put_slice(out, file->path);
        wire_put_slice(out, file->partition);
        wire_put_u64(out, file->constant_count);
        for (size_t c = 0; c < file->constant_count; c++) {
            wire_put_u32(out, (uint32_t)file->constant_ids[c]);
            wire_put_slice(out, file->constant_values[c]);
        }
        wire_put_u8(out, file->has_deletes);
    }
}

static void take_constants(struct wire *in, struct arena *arena, struct engine_scan_file *file)
{
    size_t count = wire_count(in, 4 + 8);
    int32_t *ids = wire_alloc(in, arena, count, sizeof(*ids));
    struct slice *values = wire_alloc(in, arena, count, sizeof(*values));
    for (size_t c = 0; c < count && !in->is_bad; c++) {
        ids[c] = (int32_t)wire_u32(in);
        values[c] = wire_copy(in, arena);
    }
    file->constant_ids = ids;
    file->constant_values = values;
    file->constant_count = count;
}

void host_take_files(struct wire *in, struct arena *arena, struct engine_scan_file **ret_files,
                     size_t *ret_count)
{
    size_t count = wire_count(in, 9 * 8 + 2 * 4 + 1);
    struct engine_scan_file *files = wire_alloc(in, arena, count, sizeof(*files));
    for (size_t i = 0; i < count && !in->is_bad; i++) {
        struct engine_scan_file *file = &files[i];
        file->object = wire_u64(in);
        file->size_bytes = wire_u64(in);
        file->etag = wire_copy(in, arena);
        file->record_count = wire_i64(in);
        file->first_row_id = wire_i64(in);
        file->sequence_number = wire_i64(in);
        file->spec_id = (int32_t)wire_u32(in);
        file->group = (int32_t)wire_u32(in);
        file->path = wire_copy(in, arena);
        file->partition = wire_copy(in, arena);
        take_constants(in, arena, file);
        file->has_deletes = wire_bool(in);
    }
    *ret_files = files;
    *ret_count = in->is_bad ? 0 : count;
}

void host_put_ranges(struct buf *out, const struct engine_scan_range *ranges, size_t count)
{
    wire_put_u64(out, count);
    for (size_t i = 0; i < count; i++) {
        wire_put_u8(out, ranges[i].has_bounds);
        wire_put_u8(out, ranges[i].has_nulls);
        wire_put_i64(out, ranges[i].lower);
        wire_put_i64(out, ranges[i].upper);
    }
}

void host_take_ranges(struct wire *in, struct arena *arena, struct engine_scan_range **ret_ranges,
                      size_t *ret_count)
{
    size_t count = wire_count(in, 2 + 2 * 8);
    struct engine_scan_range *ranges = wire_alloc(in, arena, count, sizeof(*ranges));
    for (size_t i = 0; i < count && !in->is_bad; i++) {
        ranges[i].has_bounds = wire_bool(in);
        ranges[i].has_nulls = wire_bool(in);
        ranges[i].lower = wire_i64(in);
        ranges[i].upper = wire_i64(in);
    }
    *ret_ranges = ranges;
    *ret_count = in->is_bad ? 0 : count;
}

void host_put_parameters(struct buf *out, const struct engine_parameter *parameters, size_t count)
{
    wire_put_u64(out, count);
    for (size_t i = 0; i < count; i++) {
        uint64_t real;
        memcpy(&real, &parameters[i].real, sizeof(real));
        wire_put_u32(out, (uint32_t)parameters[i].type);
        wire_put_u8(out, parameters[i].boolean);
        wire_put_i64(out, parameters[i].integer);
        wire_put_u64(out, real);
        wire_put_slice(out, parameters[i].text);
    }
}

void host_take_parameters(struct wire *in, struct arena *arena,
                          struct engine_parameter **ret_parameters, size_t *ret_count)
{
    size_t count = wire_count(in, 4 + 1 + 3 * 8);
    struct engine_parameter *parameters = wire_alloc(in, arena, count, sizeof(*parameters));
    for (size_t i = 0; i < count && !in->is_bad; i++) {
        uint32_t type = wire_u32(in);
        if (type > PARAMETER_TEXT) {
            wire_fail(in);
            break;
        }
        parameters[i].type = (enum engine_parameter_type)type;
        parameters[i].boolean = wire_bool(in);
        parameters[i].integer = wire_i64(in);
        uint64_t real = wire_u64(in);
        memcpy(&parameters[i].real, &real, sizeof(real));
        parameters[i].text = wire_copy(in, arena);
    }
    *ret_parameters = parameters;
    *ret_count = in->is_bad ? 0 : count;
}

/* ---- to the broker ---- */

void host_put_columns(struct buf *out, const struct engine_column *columns, size_t count)
{
    wire_put_u64(out, count);
    for (size_t i = 0; i < count; i++) {
        wire_put_slice(out, columns[i].name);
        wire_put_slice(out, columns[i].type);
    }
}

void host_take_columns(struct wire *in, struct arena *arena, struct engine_column **ret_columns,
                       size_t *ret_count)
{
    size_t count = wire_count(in, 2 * 8);
    struct engine_column *columns = wire_alloc(in, arena, count, sizeof(*columns));
    for (size_t i = 0; i < count && !in->is_bad; i++) {
        columns[i].name = wire_copy(in, arena);
        columns[i].type = wire_copy(in, arena);
        if (!slice_is_utf8(columns[i].name, NULL) || !slice_is_utf8(columns[i].type, NULL)) {
            wire_fail(in);
        }
    }
    *ret_columns = columns;
    *ret_count = in->is_bad ? 0 : count;
}

static void put_predicate(struct buf *out, const struct engine_predicate *one)
{
    wire_put_u32(out, (uint32_t)one->kind);
    wire_put_u32(out, (uint32_t)one->field_id);
    wire_put_u64(out, one->value_count);
    for (size_t i = 0; i < one->value_count; i++) {
        wire_put_slice(out, one->values[i]);
    }
    host_put_predicates(out, one->children, one->child_count);
}

void host_put_predicates(struct buf *out, const struct engine_predicate *const *all, size_t count)
{
    wire_put_u64(out, count);
    for (size_t i = 0; i < count; i++) {
        put_predicate(out, all[i]);
    }
}

/* How many values each kind has: whoever evaluates them counts on it. */
static bool has_shape(const struct engine_predicate *one)
{
    switch (one->kind) {
    case PREDICATE_AND:
    case PREDICATE_OR:
        return one->value_count == 0;
    case PREDICATE_IS_NULL:
    case PREDICATE_NOT_NULL:
        return one->value_count == 0 && one->child_count == 0;
    case PREDICATE_IN:
        return one->child_count == 0;
    case PREDICATE_EQUAL:
    case PREDICATE_NOT_EQUAL:
    case PREDICATE_LESS:
    case PREDICATE_LESS_EQUAL:
    case PREDICATE_GREATER:
    case PREDICATE_GREATER_EQUAL:
    case PREDICATE_STARTS_WITH:
        return one->value_count == 1 && one->child_count == 0;
    }
    return false;
}

static void take_predicates(struct wire *in, struct arena *arena, unsigned depth,
                            const struct engine_predicate *const **ret_all, size_t *ret_count)
{
    size_t count = wire_count(in, 2 * 4 + 2 * 8);
    struct engine_predicate *all = wire_alloc(in, arena, count, sizeof(*all));
    const struct engine_predicate **links = wire_alloc(in, arena, count, sizeof(*links));
    if (depth > DEPTH_MAX) {
        wire_fail(in);
    }
    for (size_t i = 0; i < count && !in->is_bad; i++) {
        uint32_t kind = wire_u32(in);
        if (kind > PREDICATE_STARTS_WITH) {
            wire_fail(in);
            break;
        }
        all[i].kind = (enum engine_predicate_kind)kind;
        all[i].field_id = (int32_t)wire_u32(in);
        all[i].value_count = wire_count(in, 8);
        struct slice *values = wire_alloc(in, arena, all[i].value_count, sizeof(*values));
        for (size_t v = 0; v < all[i].value_count && !in->is_bad; v++) {
            values[v] = wire_copy(in, arena);
        }
        all[i].values = values;
        take_predicates(in, arena, depth + 1, &all[i].children, &all[i].child_count);
        if (!in->is_bad && !has_shape(&all[i])) {
            wire_fail(in);
        }
        links[i] = &all[i];
    }
    *ret_all = links;
    *ret_count = in->is_bad ? 0 : count;
}

void host_take_predicates(struct wire *in, struct arena *arena,
                          const struct engine_predicate *const **ret_all, size_t *ret_count)
{
    take_predicates(in, arena, 0, ret_all, ret_count);
}

void host_put_read(struct buf *out, const struct host_read *read)
{
    wire_put_u64(out, read->grant);
    wire_put_u64(out, read->scan);
    wire_put_u64(out, read->object);
    wire_put_u64(out, read->offset);
    wire_put_u64(out, read->len);
    wire_put_u64(out, read->buffer_at);
}

void host_take_read(struct wire *in, struct host_read *ret_read)
{
    ret_read->grant = wire_u64(in);
    ret_read->scan = wire_u64(in);
    ret_read->object = wire_u64(in);
    ret_read->offset = wire_u64(in);
    ret_read->len = wire_u64(in);
    ret_read->buffer_at = wire_u64(in);
}

void host_put_advice(struct buf *out, const struct engine_scan_extent *extents, size_t count)
{
    wire_put_u64(out, count);
    for (size_t i = 0; i < count; i++) {
        wire_put_u64(out, extents[i].offset);
        wire_put_u64(out, extents[i].len);
    }
}

void host_take_advice(struct wire *in, struct engine_scan_extent *ret_extents, size_t *ret_count)
{
    size_t count = wire_count(in, 2 * sizeof(uint64_t));
    in->is_bad = in->is_bad || count > HOST_EXTENTS_MAX;
    for (size_t i = 0; i < count && !in->is_bad; i++) {
        ret_extents[i].offset = wire_u64(in);
        ret_extents[i].len = wire_u64(in);
    }
    *ret_count = in->is_bad ? 0 : count;
}

bool host_name_is_valid(struct slice name)
{
    if (name.len == 0 || name.len > HOST_SPILL_NAME_MAX || name.ptr[0] == '.') {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '_' || c == '-')) {
            return false;
        }
    }
    return true;
}
