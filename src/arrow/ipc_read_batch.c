/* A batch of anybody: buffers by their places in the body, each held against what its array needs.
 *
 * The body is copied once, so that what is read is aligned and the message need not stay. */
#include "arrow/ipc_read_int.h"
#include "base/checked.h"

struct batch_reader {
    struct ipc_reader *reader;
    struct flat_items nodes, buffers; /* pairs of int64 */
    size_t next_node, next_buffer;
    struct slice body;
    struct ipc_arrays *arrays;
    struct arena *arena; /* of the arrays */
    struct errinfo *info;
};

static enum err wrong(struct batch_reader *in)
{
    return ipc__wrong(in->info, "a batch is not as its schema says");
}

static bool read_pair(const struct flat_items *items, size_t index, int64_t *ret_a, int64_t *ret_b)
{
    if (index >= items->count) {
        return false;
    }
    memcpy(ret_a, items->bytes.ptr + items->at + 16 * index, 8);
    memcpy(ret_b, items->bytes.ptr + items->at + 16 * index + 8, 8);
    return *ret_a >= 0 && *ret_b >= 0;
}

/* The next buffer, of at least `bytes_min`; without any bytes it is NULL. */
static enum err take_buffer(struct batch_reader *in, uint64_t bytes_min, const void **ret_bytes,
                            size_t *ret_len)
{
    int64_t at, len;
    if (!read_pair(&in->buffers, in->next_buffer++, &at, &len) || (uint64_t)at > in->body.len ||
        (uint64_t)len > in->body.len - (uint64_t)at || (uint64_t)len < bytes_min ||
        (at % 8 != 0 && len > 0)) {
        return wrong(in);
    }
    *ret_bytes = len == 0 ? NULL : in->body.ptr + at;
    *ret_len = (size_t)len;
    return ERR_OK;
}

static uint64_t bits_bytes(int64_t count)
{
    return (uint64_t)count / 8 + (count % 8 != 0);
}

static enum err take_fixed(struct batch_reader *in, struct ArrowArray *array, uint64_t width)
{
    uint64_t bytes;
    size_t len;
    return checked_mul((uint64_t)array->length, width, &bytes)
               ? take_buffer(in, bytes, &array->buffers[1], &len)
               : wrong(in);
}

/* Offsets from 0 on that never go back, to `ret_last`. An empty array may have none. */
static enum err take_offsets(struct batch_reader *in, const struct arrow_type *type,
                             struct ArrowArray *array, int64_t *ret_last)
{
    static const int64_t zero;
    size_t width = type->is_large ? 8 : 4;
    size_t len;
    uint64_t bytes;
    *ret_last = 0;
    TRY(take_buffer(in, 0, &array->buffers[1], &len));
    if (array->length == 0) {
        array->buffers[1] = &zero;
        return ERR_OK;
    }
    if (!checked_mul((uint64_t)array->length + 1, width, &bytes) || len < bytes) {
        return wrong(in);
    }
    int64_t before = 0;
    for (int64_t i = 0; i <= array->length; i++) {
        int64_t offset = type->is_large ? ((const int64_t *)array->buffers[1])[i]
                                        : ((const int32_t *)array->buffers[1])[i];
        if (offset < before) {
            return wrong(in);
        }
        before = offset;
    }
    *ret_last = before;
    return ERR_OK;
}

static enum err check_utf8(struct batch_reader *in, const struct arrow_type *type,
                           const struct ArrowArray *array)
{
    for (int64_t i = 0; i < array->length; i++) {
        bool is_null = array->buffers[0] != NULL && !arrow__bit(array->buffers[0], i);
        struct slice text = arrow__bytes(type, array, i);
        if (!is_null && !slice_is_utf8(text, NULL)) {
            return errinfo_set(in->info, ERR_INVALID, "22021",
                               "a text of the Arrow stream is no UTF-8");
        }
    }
    return ERR_OK;
}

static enum err take_bytes(struct batch_reader *in, const struct arrow_type *type,
                           struct ArrowArray *array)
{
    int64_t last;
    size_t len;
    TRY(take_offsets(in, type, array, &last));
    TRY(take_buffer(in, (uint64_t)last, &array->buffers[2], &len));
    array->buffers[2] = array->buffers[2] == NULL ? "" : array->buffers[2];
    return type->kind == ARROW_UTF8 ? check_utf8(in, type, array) : ERR_OK;
}

static enum err read_array(struct batch_reader *in, const struct ArrowSchema *schema,
                           int64_t length, struct ArrowArray *array);

static enum err read_children(struct batch_reader *in, const struct ArrowSchema *schema,
                              int64_t length_min, bool is_exact, struct ArrowArray *array)
{
    size_t count = (size_t)schema->n_children;
    struct ArrowArray *children = arena_calloc(in->arena, count + 1, sizeof(*children));
    array->children = arena_calloc(in->arena, count + 1, sizeof(struct ArrowArray *));
    if (children == NULL || array->children == NULL) {
        return errinfo_nomem(in->info);
    }
    array->n_children = schema->n_children;
    for (size_t i = 0; i < count; i++) {
        array->children[i] = &children[i];
        TRY(read_array(in, schema->children[i], is_exact ? length_min : -1, &children[i]));
        if (children[i].length < length_min) {
            return wrong(in);
        }
    }
    return ERR_OK;
}

static enum err take_validity(struct batch_reader *in, struct ArrowArray *array)
{
    size_t len;
    TRY(take_buffer(in, 0, &array->buffers[0], &len));
    if (array->null_count == 0) {
        array->buffers[0] = NULL;
    } else if (len < bits_bytes(array->length) || array->buffers[0] == NULL) {
        return array->length == 0 ? ERR_OK : wrong(in);
    }
    return ERR_OK;
}

static enum err read_buffers(struct batch_reader *in, const struct arrow_type *type,
                             struct ArrowArray *array)
{
    size_t len;
    switch (type->kind) {
    case ARROW_NULL:
    case ARROW_FIXED_LIST:
    case ARROW_STRUCT:
        array->n_buffers = type->kind == ARROW_NULL ? 0 : 1;
        return ERR_OK;
    case ARROW_UNION: /* ipc_read_schema.c gives none */
        break;
    case ARROW_LIST:
    case ARROW_MAP:
        array->n_buffers = 2;
        return ERR_OK; /* offsets are read with the children */
    case ARROW_BOOL:
        array->n_buffers = 2;
        return take_buffer(in, bits_bytes(array->length), &array->buffers[1], &len);
    case ARROW_UTF8:
    case ARROW_BINARY:
        array->n_buffers = 3;
        return take_bytes(in, type, array);
    case ARROW_FIXED_BINARY:
        array->n_buffers = 2;
        return take_fixed(in, array, (uint64_t)type->size);
    case ARROW_INT:
    case ARROW_FLOAT:
    case ARROW_DECIMAL:
    case ARROW_DATE:
    case ARROW_TIME:
    case ARROW_TIMESTAMP:
    case ARROW_DURATION:
    case ARROW_INTERVAL:
        array->n_buffers = 2;
        return take_fixed(in, array, (uint64_t)type->width_bits / 8);
    }
    return wrong(in);
}

static enum err read_below(struct batch_reader *in, const struct ArrowSchema *schema,
                           const struct arrow_type *type, struct ArrowArray *array)
{
    int64_t last = array->length;
    bool is_list = type->kind == ARROW_LIST || type->kind == ARROW_MAP;
    if (!is_list && type->kind != ARROW_FIXED_LIST && type->kind != ARROW_STRUCT) {
        return ERR_OK;
    }
    if (is_list) {
        TRY(take_offsets(in, type, array, &last));
    } else if (type->kind == ARROW_FIXED_LIST &&
               !checked_mul(array->length, (int64_t)type->size, &last)) {
        return wrong(in);
    }
    return read_children(in, schema, last, type->kind == ARROW_STRUCT, array);
}

static enum err use(struct batch_reader *in, struct ipc_arrays *values)
{
    struct ipc_arrays_link *link = arena_alloc(in->arena, sizeof(*link));
    if (link == NULL) {
        return errinfo_nomem(in->info);
    }
    atomic_fetch_add(&values->refs, 1);
    *link = (struct ipc_arrays_link){in->arrays->used, values};
    in->arrays->used = link;
    return ERR_OK;
}

void ipc__arrays_unref(struct ipc_arrays *arrays)
{
    if (arrays == NULL || atomic_fetch_sub(&arrays->refs, 1) > 1) {
        return;
    }
    for (struct ipc_arrays_link *link = arrays->used; link != NULL; link = link->next) {
        ipc__arrays_unref(link->arrays);
    }
    arena_free(arrays->arena);
}

static enum err check_indices(struct batch_reader *in, const struct ArrowSchema *schema,
                              const struct arrow_type *type, struct ArrowArray *array)
{
    const struct ipc_dictionary *d = in->reader->dictionaries;
    while (d != NULL && d->column != schema) {
        d = d->next;
    }
    if (d == NULL || d->values == NULL) {
        return ipc__wrong(in->info, "a batch came before its dictionary");
    }
    array->dictionary = d->values->array;
    TRY(use(in, d->values));
    for (int64_t i = 0; i < array->length; i++) {
        bool is_null = array->buffers[0] != NULL && !arrow__bit(array->buffers[0], i);
        int64_t index = is_null ? 0 : arrow__int(type, array->buffers[1], i);
        if (!is_null && (index < 0 || index >= array->dictionary->length)) {
            return wrong(in);
        }
    }
    return ERR_OK;
}

/* `length` -1: as the node says. */
static enum err read_array(struct batch_reader *in, const struct ArrowSchema *schema,
                           int64_t length, struct ArrowArray *array)
{
    struct arrow_type type;
    TRY(arrow__type(schema, &type, in->info));
    array->buffers = arena_calloc(in->arena, 3, sizeof(void *));
    if (array->buffers == NULL) {
        return errinfo_nomem(in->info);
    }
    if (!read_pair(&in->nodes, in->next_node++, &array->length, &array->null_count) ||
        (length >= 0 && array->length != length) || array->null_count > array->length) {
        return wrong(in);
    }
    if (type.kind != ARROW_NULL) {
        TRY(take_validity(in, array));
    }
    TRY(read_buffers(in, &type, array));
    TRY(read_below(in, schema, &type, array));
    return schema->dictionary == NULL ? ERR_OK : check_indices(in, schema, &type, array);
}

static enum err read_columns(struct batch_reader *in, int64_t rows, struct ArrowArray *batch)
{
    batch->length = rows;
    batch->n_buffers = 1;
    batch->buffers = arena_calloc(in->arena, 1, sizeof(void *));
    return batch->buffers == NULL ? errinfo_nomem(in->info)
                                  : read_children(in, in->reader->schema, rows, true, batch);
}

static enum err read_header(struct batch_reader *in, const struct flat_view *header,
                            uint64_t *ret_rows)
{
    struct flat_view compression;
    if (!flat_view_number(header, 0, 8, 0, ret_rows) || *ret_rows > INT32_MAX ||
        !flat_view_items(header, 1, 16, &in->nodes) ||
        !flat_view_items(header, 2, 16, &in->buffers) ||
        !flat_view_table(header, 3, &compression)) {
        return wrong(in);
    }
    if (compression.at != 0) {
        (void)errinfo_set(in->info, ERR_UNSUPPORTED, NULL, "compressed batches are not taken");
        errinfo_hint(in->info, "Write them without compression.");
        return ERR_UNSUPPORTED;
    }
    return ERR_OK;
}

static enum err read_whole(struct batch_reader *in, const struct flat_view *header,
                           struct slice body, const struct ipc_dictionary *dictionary)
{
    uint64_t rows;
    TRY(read_header(in, header, &rows));
    struct ArrowArray *array = arena_calloc(in->arena, 1, sizeof(*array));
    char *copy = arena_alloc(in->arena, body.len + 8);
    if (array == NULL || copy == NULL) {
        return errinfo_nomem(in->info);
    }
    if (body.len > 0) {
        memcpy(copy, body.ptr, body.len);
    }
    in->body = (struct slice){copy, body.len};
    in->arrays->array = array;
    return dictionary == NULL
               ? read_columns(in, (int64_t)rows, array)
               : read_array(in, dictionary->column->dictionary, (int64_t)rows, array);
}

enum err ipc__read_batch(struct ipc_reader *reader, const struct flat_view *header,
                         struct slice body, const struct ipc_dictionary *dictionary,
                         struct ipc_arrays **ret_arrays, struct errinfo *info)
{
    struct arena *arena = arena_new(NULL, "arrow batch", 0);
    struct ipc_arrays *arrays = arena == NULL ? NULL : arena_calloc(arena, 1, sizeof(*arrays));
    if (arrays == NULL) {
        arena_free(arena);
        return errinfo_nomem(info);
    }
    atomic_init(&arrays->refs, 1);
    arrays->arena = arena;
    struct batch_reader in = {.reader = reader, .arrays = arrays, .arena = arena, .info = info};
    enum err err = read_whole(&in, header, body, dictionary);
    if (err != ERR_OK) {
        ipc__arrays_unref(arrays);
        return err;
    }
    *ret_arrays = arrays;
    return ERR_OK;
}
