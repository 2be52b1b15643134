/* Batches in messages. Only what the sender knows is sent; sizes follow from lengths, and the
 * reader works them out again instead of believing them. */
#include "base/checked.h"
#include "base/mem.h"
#include "engine/host/arrow_wire.h"

/* ---- writing ---- */

static void add_piece(struct wire_batch *batch, const void *bytes, size_t len)
{
    if (batch->piece_count == batch->piece_capacity) {
        size_t capacity = batch->piece_capacity == 0 ? 64 : 2 * batch->piece_capacity;
        struct wire_piece *grown = mem_realloc(batch->pieces, capacity * sizeof(*grown));
        if (grown == NULL) {
            batch->description.failed = true;
            return;
        }
        batch->pieces = grown;
        batch->piece_capacity = capacity;
    }
    wire_put_u64(&batch->description, len);
    batch->pieces[batch->piece_count++] = (struct wire_piece){bytes, len, batch->data_bytes};
    batch->data_bytes += (len + ARROW_WIRE_ALIGN - 1) / ARROW_WIRE_ALIGN * ARROW_WIRE_ALIGN;
}

static uint64_t last_offset(const void *offsets, int64_t length, bool is_large)
{
    if (offsets == NULL) {
        return 0;
    }
    return is_large ? (uint64_t)((const int64_t *)offsets)[length]
                    : (uint64_t)((const int32_t *)offsets)[length];
}

static enum err add_node(const struct ArrowSchema *schema, const struct ArrowArray *array,
                         struct wire_batch *batch, struct errinfo *info)
{
    struct arrow_layout layout;
    if (!arrow_layout_of(schema->format, &layout) || array->offset != 0) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "a batch of the engine has an unknown form");
    }
    size_t rows = (size_t)array->length;
    size_t offset_bytes = (rows + 1) * (layout.is_large ? 8 : 4);
    const void *const *buffers = array->buffers;
    wire_put_i64(&batch->description, array->length);
    wire_put_i64(&batch->description, array->null_count);
    if (layout.kind != LAYOUT_NULL && layout.kind != LAYOUT_UNION) {
        bool has_validity = buffers[0] != NULL && array->null_count != 0;
        add_piece(batch, buffers[0], has_validity ? (rows + 7) / 8 : 0);
    }
    switch (layout.kind) {
    case LAYOUT_NULL:
    case LAYOUT_STRUCT:
    case LAYOUT_FIXED_LIST:
        break;
    case LAYOUT_UNION:
        add_piece(batch, buffers[0], rows);
        break;
    case LAYOUT_BITS:
        add_piece(batch, buffers[1], (rows + 7) / 8);
        break;
    case LAYOUT_FIXED:
        add_piece(batch, buffers[1], rows * layout.width);
        break;
    case LAYOUT_LIST:
        add_piece(batch, buffers[1], offset_bytes);
        break;
    case LAYOUT_BYTES:
        add_piece(batch, buffers[1], offset_bytes);
        add_piece(batch, buffers[2], last_offset(buffers[1], array->length, layout.is_large));
        break;
    }
    for (int64_t i = 0; i < array->n_children; i++) {
        TRY(add_node(schema->children[i], array->children[i], batch, info));
    }
    return schema->dictionary == NULL
               ? ERR_OK
               : add_node(schema->dictionary, array->dictionary, batch, info);
}

enum err wire_batch_of(const struct ArrowSchema *schema, const struct ArrowArray *array,
                       struct wire_batch *ret_batch, struct errinfo *info)
{
    wire_batch_reset(ret_batch);
    TRY(add_node(schema, array, ret_batch, info));
    return buf_failed(&ret_batch->description) ? errinfo_nomem(info) : ERR_OK;
}

void wire_batch_copy(const struct wire_batch *batch, char *ret_data)
{
    for (size_t i = 0; i < batch->piece_count; i++) {
        const struct wire_piece *piece = &batch->pieces[i];
        if (piece->bytes == NULL) {
            memset(ret_data + piece->at, 0, piece->len);
        } else if (piece->len > 0) {
            memcpy(ret_data + piece->at, piece->bytes, piece->len);
        }
    }
}

void wire_batch_reset(struct wire_batch *batch)
{
    buf_reset(&batch->description);
    batch->piece_count = 0;
    batch->data_bytes = 0;
}

void wire_batch_fini(struct wire_batch *batch)
{
    buf_fini(&batch->description);
    mem_free(batch->pieces);
}

/* ---- reading ---- */

struct owner {
    _Atomic size_t refs; /* nodes that are not released: a child may outlive its parent */
    char *data;
    size_t data_bytes;
    size_t at; /* of the next buffer */
    struct ArrowArray *nodes;
    struct ArrowArray **links;
    const void **buffers;
    size_t node_count;
    size_t link_count;
    size_t buffer_count;
};

/* Stands for a buffer of nothing: whoever looks at its first offset finds zero. */
static const int64_t nothing[2];

static void release_node(struct ArrowArray *array)
{
    struct owner *owner = array->private_data;
    for (int64_t i = 0; i < array->n_children; i++) {
        if (array->children[i]->release != NULL) {
            array->children[i]->release(array->children[i]);
        }
    }
    if (array->dictionary != NULL && array->dictionary->release != NULL) {
        array->dictionary->release(array->dictionary);
    }
    array->release = NULL;
    if (--owner->refs == 0) {
        mem_free(owner->data);
        mem_free(owner);
    }
}

/* The next buffer, which must have `wanted` bytes. */
static const void *take_buffer(struct wire *in, struct owner *owner, uint64_t wanted)
{
    uint64_t len = wire_u64(in);
    if (len != wanted || len > owner->data_bytes - owner->at) {
        wire_fail(in);
        return nothing;
    }
    const void *bytes = len == 0 ? (const void *)nothing : owner->data + owner->at;
    size_t step = (size_t)(len + ARROW_WIRE_ALIGN - 1) / ARROW_WIRE_ALIGN * ARROW_WIRE_ALIGN;
    owner->at = step > owner->data_bytes - owner->at ? owner->data_bytes : owner->at + step;
    return bytes;
}

/* Offsets start at zero and never fall; `ret_last` is where they end. */
static bool check_offsets(const void *offsets, int64_t length, bool is_large, uint64_t *ret_last)
{
    int64_t before = 0;
    int64_t fallen = 0;
    if (is_large) {
        const int64_t *at = offsets;
        fallen |= at[0];
        for (int64_t i = 0; i <= length; i++) {
            fallen |= at[i] < before;
            before = at[i];
        }
    } else {
        const int32_t *at = offsets;
        int32_t last = 0;
        int32_t falls = at[0];
        for (int64_t i = 0; i <= length; i++) {
            falls |= at[i] < last;
            last = at[i];
        }
        fallen = falls;
        before = last;
    }
    *ret_last = (uint64_t)before;
    return fallen == 0;
}

static bool is_live(const uint8_t *validity, int64_t row)
{
    return validity == NULL || ((validity[row / 8] >> (row % 8)) & 1) != 0;
}

static uint64_t index_at(const struct arrow_layout *layout, const void *values, int64_t row)
{
    switch (layout->width) {
    case 1:
        return layout->is_unsigned ? ((const uint8_t *)values)[row]
                                   : (uint64_t)((const int8_t *)values)[row];
    case 2:
        return layout->is_unsigned ? ((const uint16_t *)values)[row]
                                   : (uint64_t)((const int16_t *)values)[row];
    case 4:
        return layout->is_unsigned ? ((const uint32_t *)values)[row]
                                   : (uint64_t)((const int32_t *)values)[row];
    default: /* of 8; others are no integers */
        return ((const uint64_t *)values)[row];
    }
}

/* An index that is negative is a huge one here. */
static bool check_indices(const struct wire_schema *schema, const struct ArrowArray *array)
{
    uint64_t count = (uint64_t)array->dictionary->length;
    for (int64_t row = 0; row < array->length; row++) {
        if (is_live(array->buffers[0], row) &&
            index_at(&schema->layout, array->buffers[1], row) >= count) {
            return false;
        }
    }
    return true;
}

static bool children_fit(const struct wire_schema *schema, const struct ArrowArray *array,
                         uint64_t last)
{
    uint64_t items = 0;
    switch (schema->layout.kind) {
    case LAYOUT_LIST:
        return last <= (uint64_t)array->children[0]->length;
    case LAYOUT_FIXED_LIST:
        return checked_mul((uint64_t)array->length, (uint64_t)schema->layout.width, &items) &&
               items <= (uint64_t)array->children[0]->length;
    case LAYOUT_UNION:
    case LAYOUT_STRUCT:
        for (size_t i = 0; i < schema->child_count; i++) {
            if (array->children[i]->length < array->length) {
                return false;
            }
        }
        return true;
    case LAYOUT_NULL:
    case LAYOUT_BITS:
    case LAYOUT_FIXED:
    case LAYOUT_BYTES:
        return true;
    }
    return false;
}

static uint64_t offsets_bytes(const struct arrow_layout *layout, uint64_t rows)
{
    return (rows + 1) * (layout->is_large ? 8u : 4u);
}

static bool tags_fit(const uint8_t *tags, const struct ArrowArray *array)
{
    for (int64_t row = 0; row < array->length; row++) {
        if (tags[row] >= array->n_children) {
            return false;
        }
    }
    return true;
}

/* The buffers of one node; false if they are not what its length asks for. */
static bool take_buffers(struct wire *in, struct owner *owner, const struct arrow_layout *layout,
                         struct ArrowArray *array, uint64_t *ret_last)
{
    uint64_t rows = (uint64_t)array->length;
    const void **buffers = array->buffers;
    uint64_t bits = (rows + 7) / 8;
    bool is_whole = true;
    *ret_last = 0;
    if (layout->kind == LAYOUT_NULL) {
        return true;
    }
    if (layout->kind == LAYOUT_UNION) {
        buffers[0] = take_buffer(in, owner, rows);
        return !in->is_bad && tags_fit(buffers[0], array);
    }
    bool has_validity = in->end - in->at >= 8 && memcmp(in->at, nothing, 8) != 0;
    buffers[0] = take_buffer(in, owner, has_validity ? bits : 0);
    if (!has_validity) {
        buffers[0] = NULL;
        array->null_count = 0;
    }
    switch (layout->kind) {
    case LAYOUT_NULL:
    case LAYOUT_UNION:
    case LAYOUT_STRUCT:
    case LAYOUT_FIXED_LIST:
        break;
    case LAYOUT_BITS:
        buffers[1] = take_buffer(in, owner, bits);
        break;
    case LAYOUT_FIXED:
        buffers[1] = take_buffer(in, owner, rows * layout->width);
        break;
    case LAYOUT_LIST:
    case LAYOUT_BYTES:
        buffers[1] = take_buffer(in, owner, offsets_bytes(layout, rows));
        is_whole =
            !in->is_bad && check_offsets(buffers[1], array->length, layout->is_large, ret_last);
        if (is_whole && layout->kind == LAYOUT_BYTES) {
            buffers[2] = take_buffer(in, owner, *ret_last);
        }
        break;
    }
    return is_whole && !in->is_bad;
}

static bool take_node(struct wire *in, struct owner *owner, const struct wire_schema *schema,
                      struct ArrowArray *array)
{
    int64_t length = wire_i64(in);
    int64_t null_count = wire_i64(in);
    /* No length goes past the data, but for those of nothing: eight times covers bits. */
    if (in->is_bad || length < 0 || length > INT32_MAX || null_count < -1 || null_count > length) {
        return false;
    }
    size_t buffer_count = schema->buffer_count;
    for (size_t i = 0; i < schema->child_count; i++) {
        buffer_count -= schema->children[i].buffer_count;
    }
    buffer_count -= schema->dictionary == NULL ? 0 : schema->dictionary->buffer_count;
    *array = (struct ArrowArray){
        .length = length,
        .null_count = null_count,
        .n_buffers = (int64_t)buffer_count,
        .n_children = (int64_t)schema->child_count,
        .buffers = owner->buffers + owner->buffer_count,
        .children = owner->links + owner->link_count,
        .release = release_node,
        .private_data = owner,
    };
    owner->buffer_count += buffer_count;
    owner->link_count += schema->child_count;
    uint64_t last;
    if (!take_buffers(in, owner, &schema->layout, array, &last)) {
        return false;
    }
    for (size_t i = 0; i < schema->child_count; i++) {
        array->children[i] = &owner->nodes[owner->node_count++];
        if (!take_node(in, owner, &schema->children[i], array->children[i])) {
            return false;
        }
    }
    if (schema->dictionary != NULL) {
        array->dictionary = &owner->nodes[owner->node_count++];
        if (!take_node(in, owner, schema->dictionary, array->dictionary) ||
            !check_indices(schema, array)) {
            return false;
        }
    }
    return children_fit(schema, array, last);
}

enum err wire_take_batch(const struct wire_schema *schema, struct slice description, char *data,
                         size_t data_bytes, struct ArrowArray *ret_batch, struct errinfo *info)
{
    size_t nodes = schema->node_count;
    size_t node_bytes = nodes * sizeof(struct ArrowArray);
    size_t link_bytes = nodes * sizeof(struct ArrowArray *);
    struct owner *owner = mem_calloc(1, sizeof(*owner) + node_bytes + link_bytes +
                                            (schema->buffer_count + 1) * sizeof(void *));
    if (owner == NULL) {
        mem_free(data);
        return errinfo_nomem(info);
    }
    owner->data = data;
    owner->data_bytes = data_bytes;
    owner->nodes = (struct ArrowArray *)(owner + 1);
    owner->links = (struct ArrowArray **)(owner->nodes + nodes);
    void *behind = owner->links + nodes;
    owner->buffers = behind;
    struct wire in = wire_of(description);
    struct ArrowArray batch;
    if (!take_node(&in, owner, schema, &batch) || !wire_is_done(&in)) {
        mem_free(data);
        mem_free(owner);
        return errinfo_set(info, ERR_CORRUPT, NULL, "a batch of the engine host is damaged");
    }
    owner->refs = nodes;
    *ret_batch = batch;
    return ERR_OK;
}
