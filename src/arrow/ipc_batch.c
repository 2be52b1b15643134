/* Record and dictionary batches (Message.fbs). Slices are written from their start: validity bits
 * are shifted, offsets rebased, children cut.
 *
 * A column's dictionary is written before every batch that uses it: the writer keeps no state, and
 * the stream format lets a later dictionary replace an earlier one. */
#include "arrow/ipc_int.h"

#include "base/mem.h"

/* FieldNode and Buffer of Message.fbs: two int64 each. */
struct pair {
    int64_t a;
    int64_t b;
};

/* The body is pieces of the batch itself, and of what had to be made anew (`scratch`). */
struct batch_writer {
    struct buf nodes;   /* struct pair: length, null count */
    struct buf buffers; /* struct pair: offset, length */
    struct buf pieces;  /* struct slice */
    struct scratch *scratch;
    const struct ipc_codec *codec; /* NULL: as it is */
    uint64_t body_len;
    bool has_failed;
    struct errinfo *info;
};

struct scratch {
    struct scratch *next;
};

static void writer_fini(struct batch_writer *writer)
{
    buf_fini(&writer->nodes);
    buf_fini(&writer->buffers);
    buf_fini(&writer->pieces);
    while (writer->scratch != NULL) {
        struct scratch *next = writer->scratch->next;
        mem_free(writer->scratch);
        writer->scratch = next;
    }
}

/* Zeroed, as long as the writer. */
static char *new_scratch(struct batch_writer *writer, size_t len)
{
    struct scratch *scratch = mem_calloc(1, sizeof(*scratch) + len);
    if (scratch == NULL) {
        writer->has_failed = true;
        return NULL;
    }
    scratch->next = writer->scratch;
    writer->scratch = scratch;
    return (char *)(scratch + 1);
}

static void put_piece(struct batch_writer *writer, const void *bytes, size_t len)
{
    struct slice piece = {bytes, len};
    if (len > 0) {
        buf_append(&writer->pieces, &piece, sizeof(piece));
        writer->body_len += len;
    }
}

/* Its length before, then the buffer; -1, and the buffer as it is, if that is not longer. */
static struct slice compress(struct batch_writer *writer, struct slice plain)
{
    size_t bound = writer->codec->bound(plain.len);
    size_t room = bound > plain.len ? bound : plain.len;
    char *out = new_scratch(writer, room + sizeof(int64_t));
    if (out == NULL) {
        return (struct slice){"", 0};
    }
    size_t len = writer->codec->compress(out + sizeof(int64_t), room, plain);
    bool is_shorter = len > 0 && len < plain.len;
    int64_t before = is_shorter ? (int64_t)plain.len : -1;
    if (!is_shorter) {
        memcpy(out + sizeof(before), plain.ptr, plain.len);
        len = plain.len;
    }
    memcpy(out, &before, sizeof(before)); /* little-endian */
    return (struct slice){out, len + sizeof(before)};
}

static void put_buffer(struct batch_writer *writer, const void *bytes, size_t len)
{
    static const char zeros[8];
    len = bytes == NULL ? 0 : len;
    if (writer->codec != NULL && len > 0) {
        struct slice packed = compress(writer, (struct slice){bytes, len});
        bytes = packed.ptr;
        len = packed.len;
    }
    struct pair place = {(int64_t)writer->body_len, (int64_t)len};
    buf_append(&writer->buffers, &place, sizeof(place));
    put_piece(writer, bytes, len);
    put_piece(writer, zeros, (8 - len % 8) % 8);
}

/* Bits [start, start + count) of a bitmap, from bit 0. */
static void put_bits(struct batch_writer *writer, const void *bitmap, int64_t start, int64_t count)
{
    size_t len = (size_t)(count + 7) / 8;
    if (start % 8 == 0) {
        put_buffer(writer, (const char *)bitmap + start / 8, len);
        return;
    }
    char *shifted = new_scratch(writer, len);
    for (int64_t i = 0; shifted != NULL && i < count; i++) {
        if (arrow__bit(bitmap, start + i)) {
            shifted[i / 8] = (char)(shifted[i / 8] | 1 << (i % 8));
        }
    }
    put_buffer(writer, shifted, len);
}

static int64_t count_nulls(const struct ArrowArray *array, int64_t start, int64_t count)
{
    const uint8_t *bits = array->buffers[0];
    int64_t nulls = 0;
    for (int64_t i = 0; i < count;) {
        if ((start + i) % 8 == 0 && count - i >= 64) {
            uint64_t word;
            memcpy(&word, bits + (start + i) / 8, sizeof(word));
            nulls += 64 - __builtin_popcountll(word);
            i += 64;
        } else {
            nulls += !arrow__bit(bits, start + i);
            i++;
        }
    }
    return nulls;
}

static void put_validity(struct batch_writer *writer, const struct ArrowArray *array, int64_t start,
                         int64_t count)
{
    bool has_nulls = array->null_count != 0 && array->n_buffers > 0 && array->buffers[0] != NULL;
    int64_t nulls = has_nulls ? count_nulls(array, start, count) : 0;
    struct pair node = {count, nulls};
    buf_append(&writer->nodes, &node, sizeof(node));
    if (nulls > 0) {
        put_bits(writer, array->buffers[0], start, count);
    } else {
        put_buffer(writer, NULL, 0);
    }
}

/* Offsets from 0, and the range of the child or bytes they cover. Those that are from 0 already go
 * out as they are. */
static void put_offsets(struct batch_writer *writer, const struct arrow_type *type,
                        const struct ArrowArray *array, int64_t start, int64_t count,
                        int64_t *ret_first, int64_t *ret_last)
{
    size_t width = type->is_large ? 8 : 4;
    size_t len = ((size_t)count + 1) * width;
    int64_t end = 0;
    *ret_first = 0;
    *ret_last = 0;
    if (count > 0) {
        arrow__range(type, array, start, ret_first, &end);
        int64_t from;
        arrow__range(type, array, start + count - 1, &from, ret_last);
    }
    if (count > 0 && *ret_first == 0) {
        put_buffer(writer, (const char *)array->buffers[1] + (size_t)start * width, len);
        return;
    }
    char *rebased = new_scratch(writer, len);
    for (int64_t i = 0; rebased != NULL && i < count; i++) {
        int64_t from;
        arrow__range(type, array, start + i, &from, &end);
        int64_t value = end - *ret_first;
        memcpy(rebased + (size_t)(i + 1) * width, &value, width); /* little-endian */
    }
    put_buffer(writer, rebased, len);
}

static void put_fixed(struct batch_writer *writer, const struct ArrowArray *array, int64_t start,
                      int64_t count, size_t width)
{
    const char *values = array->buffers[1];
    put_buffer(writer, values == NULL ? NULL : values + (size_t)start * width,
               (size_t)count * width);
}

static enum err put_array(struct batch_writer *writer, const struct ArrowSchema *schema,
                          const struct ArrowArray *array, int64_t row, int64_t count,
                          unsigned depth);

/* Types of the cells, where they are in their child if that is dense, and the children. A union has
 * no NULLs of its own. */
static enum err put_union(struct batch_writer *writer, const struct arrow_type *type,
                          const struct ArrowSchema *schema, const struct ArrowArray *array,
                          int64_t start, int64_t count, unsigned depth)
{
    struct pair node = {count, 0};
    buf_append(&writer->nodes, &node, sizeof(node));
    put_buffer(writer, (const char *)array->buffers[0] + start, (size_t)count);
    if (type->is_large) {
        put_buffer(writer, (const int32_t *)array->buffers[1] + start, (size_t)count * 4);
    }
    for (int64_t i = 0; i < schema->n_children; i++) {
        const struct ArrowArray *child = array->children[i];
        TRY(type->is_large
                ? put_array(writer, schema->children[i], child, 0, child->length, depth + 1)
                : put_array(writer, schema->children[i], child, start, count, depth + 1));
    }
    return ERR_OK;
}

static enum err put_array(struct batch_writer *writer, const struct ArrowSchema *schema,
                          const struct ArrowArray *array, int64_t row, int64_t count,
                          unsigned depth)
{
    struct arrow_type type;
    TRY(arrow__type(schema, &type, writer->info));
    ASSERT(depth <= IPC_DEPTH_MAX + 1); /* the schema was written before */
    int64_t start = array->offset + row;
    int64_t first = row;
    int64_t last = row + count;
    if (type.kind == ARROW_NULL) {
        struct pair node = {count, count};
        buf_append(&writer->nodes, &node, sizeof(node));
        return ERR_OK;
    }
    if (type.kind == ARROW_UNION) {
        return put_union(writer, &type, schema, array, start, count, depth);
    }
    put_validity(writer, array, start, count);
    switch (type.kind) {
    case ARROW_NULL:
    case ARROW_UNION:
        break;
    case ARROW_BOOL:
        put_bits(writer, array->buffers[1], start, count);
        break;
    case ARROW_INT:
    case ARROW_FLOAT:
    case ARROW_DECIMAL:
    case ARROW_DATE:
    case ARROW_TIME:
    case ARROW_TIMESTAMP:
    case ARROW_DURATION:
    case ARROW_INTERVAL:
        put_fixed(writer, array, start, count, (size_t)type.width_bits / 8);
        break;
    case ARROW_FIXED_BINARY:
        put_fixed(writer, array, start, count, (size_t)type.size);
        break;
    case ARROW_UTF8:
    case ARROW_BINARY:
        put_offsets(writer, &type, array, start, count, &first, &last);
        const char *bytes = array->buffers[2];
        put_buffer(writer, bytes == NULL ? NULL : bytes + first, (size_t)(last - first));
        break;
    case ARROW_LIST:
    case ARROW_MAP:
        put_offsets(writer, &type, array, start, count, &first, &last);
        break;
    case ARROW_FIXED_LIST:
        first = start * type.size;
        last = (start + count) * type.size;
        break;
    case ARROW_STRUCT:
        first = start;
        last = start + count;
        break;
    }
    for (int64_t i = 0; i < schema->n_children; i++) {
        TRY(put_array(writer, schema->children[i], array->children[i], first, last - first,
                      depth + 1));
    }
    return ERR_OK;
}

static void put_pairs(struct flat *flat, size_t reference, const struct buf *pairs)
{
    size_t count = pairs->len / sizeof(struct pair);
    size_t at = flat_vector(flat, reference, count, sizeof(struct pair), 8);
    for (size_t i = 0; i < pairs->len && !buf_failed(pairs); i += 8) {
        uint64_t value;
        memcpy(&value, pairs->ptr + i, 8);
        flat_put(flat, at + i, value, 8);
    }
}

/* Where messages go: `metadata` is the message with its prefix. */
struct sink {
    ipc_message_fn fn;
    void *context;
    const struct ipc_codec *codec;
    struct buf head; /* used again for each */
};

/* Message head and body of what the writer gathered; `dictionary_id` -1 for a record batch. */
static enum err finish(struct batch_writer *writer, int64_t rows, int64_t dictionary_id,
                       struct sink *sink)
{
    bool is_dictionary = dictionary_id >= 0;
    struct buf *out = &sink->head;
    buf_reset(out);
    struct ipc_message message =
        ipc__begin(out, is_dictionary ? HEADER_DICTIONARY : HEADER_BATCH, writer->body_len);
    size_t reference = message.header;
    if (is_dictionary) {
        struct flat_field outer[] = {{.slot = 0, .size = 8, .value = (uint64_t)dictionary_id},
                                     {.slot = 1, .size = 4}};
        flat_refer(&message.flat, reference, flat_table(&message.flat, outer, ARRAY_COUNT(outer)));
        reference = outer[1].at;
    }
    struct flat_field fields[] = {{.slot = 0, .size = 8, .value = (uint64_t)rows},
                                  {.slot = 1, .size = 4},
                                  {.slot = 2, .size = 4},
                                  {.slot = 3, .size = 4}};
    size_t field_count = ARRAY_COUNT(fields) - (writer->codec == NULL);
    flat_refer(&message.flat, reference, flat_table(&message.flat, fields, field_count));
    if (writer->codec != NULL) {
        struct flat_field inner[] = {{.slot = 0, .size = 1, .value = writer->codec->number}};
        flat_refer(&message.flat, fields[3].at, flat_table(&message.flat, inner, 1));
    }
    put_pairs(&message.flat, fields[1].at, &writer->nodes);
    put_pairs(&message.flat, fields[2].at, &writer->buffers);
    ipc__end(&message);
    if (buf_failed(out) || writer->has_failed || buf_failed(&writer->pieces) ||
        buf_failed(&writer->nodes) || buf_failed(&writer->buffers)) {
        return errinfo_nomem(writer->info);
    }
    const struct slice *pieces = (const void *)writer->pieces.ptr;
    return sink->fn(sink->context, buf_slice(out), pieces,
                    writer->pieces.len / sizeof(struct slice), writer->body_len, writer->info);
}

static enum err write_dictionary(const struct ArrowSchema *schema, const struct ArrowArray *array,
                                 int64_t id, struct sink *sink, struct errinfo *info)
{
    struct batch_writer writer CLEANUP(writer_fini) = {.info = info, .codec = sink->codec};
    TRY(put_array(&writer, schema, array, 0, array->length, 1));
    return finish(&writer, array->length, id, sink);
}

/* Same order as ipc_schema.c gives ids: a column's own id, then those below its values. An inner
 * dictionary is written before the outer one, whose batch refers to it. */
static enum err write_dictionaries(const struct ArrowSchema *schema, const struct ArrowArray *array,
                                   int64_t *next_id, struct sink *sink, struct errinfo *info)
{
    const struct ArrowSchema *values = schema;
    const struct ArrowArray *value_array = array;
    int64_t id = -1;
    if (schema->dictionary != NULL) {
        values = schema->dictionary;
        value_array = array->dictionary;
        id = (*next_id)++;
    }
    for (int64_t i = 0; i < values->n_children; i++) {
        TRY(write_dictionaries(values->children[i], value_array->children[i], next_id, sink, info));
    }
    return id < 0 ? ERR_OK : write_dictionary(values, value_array, id, sink, info);
}

enum err ipc_batch_messages(const struct ArrowSchema *schema, const struct ArrowArray *batch,
                            const struct ipc_codec *codec, ipc_message_fn fn, void *context,
                            struct errinfo *info)
{
    int64_t next_id = 0;
    struct sink sink = {.fn = fn, .context = context, .codec = codec};
    struct batch_writer writer CLEANUP(writer_fini) = {.info = info, .codec = codec};
    enum err err = write_dictionaries(schema, batch, &next_id, &sink, info);
    for (int64_t i = 0; i < schema->n_children && err == ERR_OK; i++) {
        err = put_array(&writer, schema->children[i], batch->children[i], batch->offset,
                        batch->length, 1);
    }
    err = err == ERR_OK ? finish(&writer, batch->length, -1, &sink) : err;
    buf_fini(&sink.head);
    return err;
}

static enum err append_message(void *context, struct slice metadata, const struct slice *body,
                               size_t body_count, uint64_t body_len, struct errinfo *info)
{
    struct buf *out = context;
    buf_append_slice(out, metadata);
    if (!buf_failed(out) && buf_reserve(out, body_len) == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < body_count; i++) {
        buf_append_slice(out, body[i]);
    }
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

enum err ipc_write_batch(const struct ArrowSchema *schema, const struct ArrowArray *batch,
                         struct buf *out, struct errinfo *info)
{
    size_t start = out->len;
    enum err err = ipc_batch_messages(schema, batch, NULL, append_message, out, info);
    if (err != ERR_OK) {
        out->len = start <= out->len ? start : out->len;
    }
    return err;
}

void ipc_write_end(struct buf *out)
{
    static const char end[8] = {'\xff', '\xff', '\xff', '\xff', 0, 0, 0, 0};
    buf_append(out, end, sizeof(end));
}
