/* The schema message (Schema.fbs). Dictionaries are numbered depth first, from 0. */
#include "arrow/ipc_int.h"

struct ipc_message ipc__begin(struct buf *out, unsigned header_type, uint64_t body_len)
{
    struct ipc_message message = {.start = out->len};
    static const char prefix[8] = {'\xff', '\xff', '\xff', '\xff', 0, 0, 0, 0};
    buf_append(out, prefix, sizeof(prefix));
    message.flat = (struct flat){out, out->len};
    buf_append(out, prefix + 4, 4); /* the root reference */
    struct flat_field fields[] = {
        {.slot = 3, .size = 8, .value = body_len},
        {.slot = 2, .size = 4},
        {.slot = 0, .size = 2, .value = 4}, /* MetadataVersion V5 */
        {.slot = 1, .size = 1, .value = header_type},
    };
    size_t table = flat_table(&message.flat, fields, ARRAY_COUNT(fields));
    flat_refer(&message.flat, 0, table);
    message.header = fields[1].at;
    return message;
}

void ipc__end(struct ipc_message *message)
{
    flat_align(&message->flat, 8);
    struct buf *out = message->flat.out;
    uint64_t len = out->len - message->flat.base;
    if (!buf_failed(out)) {
        memcpy(out->ptr + message->start + 4, &len, 4);
    }
}

static unsigned type_code(const struct arrow_type *type)
{
    switch (type->kind) {
    case ARROW_NULL:
        return IPC_TYPE_NULL;
    case ARROW_BOOL:
        return IPC_TYPE_BOOL;
    case ARROW_INT:
        return IPC_TYPE_INT;
    case ARROW_FLOAT:
        return IPC_TYPE_FLOAT;
    case ARROW_DECIMAL:
        return IPC_TYPE_DECIMAL;
    case ARROW_UTF8:
        return type->is_large ? IPC_TYPE_LARGE_UTF8 : IPC_TYPE_UTF8;
    case ARROW_BINARY:
        return type->is_large ? IPC_TYPE_LARGE_BINARY : IPC_TYPE_BINARY;
    case ARROW_FIXED_BINARY:
        return IPC_TYPE_FIXED_BINARY;
    case ARROW_DATE:
        return IPC_TYPE_DATE;
    case ARROW_TIME:
        return IPC_TYPE_TIME;
    case ARROW_TIMESTAMP:
        return IPC_TYPE_TIMESTAMP;
    case ARROW_DURATION:
        return IPC_TYPE_DURATION;
    case ARROW_INTERVAL:
        return IPC_TYPE_INTERVAL;
    case ARROW_LIST:
        return type->is_large ? IPC_TYPE_LARGE_LIST : IPC_TYPE_LIST;
    case ARROW_FIXED_LIST:
        return IPC_TYPE_FIXED_LIST;
    case ARROW_STRUCT:
        return IPC_TYPE_STRUCT;
    case ARROW_MAP:
        return IPC_TYPE_MAP;
    case ARROW_UNION:
        return IPC_TYPE_UNION;
    }
    ASSERT(false);
    return 0;
}

static uint64_t unsigned_of(int32_t value)
{
    return (uint32_t)value;
}

/* What the first field of a type's table refers to, if it has such a one. */
static void write_reference(struct flat *flat, size_t reference, const struct arrow_type *type)
{
    if (type->kind == ARROW_TIMESTAMP && type->timezone[0] != '\0') {
        flat_string(flat, reference, slice_of(type->timezone));
    }
    if (type->kind == ARROW_UNION) { /* the type of a cell is the number of its child */
        size_t at = flat_vector(flat, reference, (size_t)type->size, 4, 4);
        for (unsigned i = 0; i < unsigned_of(type->size); i++) {
            flat_put(flat, at + 4u * i, i, 4);
        }
    }
}

static void write_type(struct flat *flat, size_t reference, const struct arrow_type *type,
                       bool keys_sorted)
{
    struct flat_field fields[3];
    size_t count = 0;
    bool has_timezone = type->kind == ARROW_TIMESTAMP && type->timezone[0] != '\0';
    uint64_t width = unsigned_of(type->width_bits);
    switch (type->kind) {
    case ARROW_INT:
        fields[count++] = (struct flat_field){.slot = 0, .size = 4, .value = width};
        fields[count++] = (struct flat_field){.slot = 1, .size = 1, .value = type->is_signed};
        break;
    case ARROW_FLOAT:
        fields[count++] = (struct flat_field){.slot = 0,
                                              .size = 2,
                                              .value = width == 64   ? 2
                                                       : width == 32 ? 1
                                                                     : 0};
        break;
    case ARROW_DECIMAL:
        fields[count++] =
            (struct flat_field){.slot = 0, .size = 4, .value = unsigned_of(type->precision)};
        fields[count++] =
            (struct flat_field){.slot = 1, .size = 4, .value = unsigned_of(type->scale)};
        fields[count++] = (struct flat_field){.slot = 2, .size = 4, .value = width};
        break;
    case ARROW_FIXED_BINARY:
    case ARROW_FIXED_LIST:
        fields[count++] =
            (struct flat_field){.slot = 0, .size = 4, .value = unsigned_of(type->size)};
        break;
    case ARROW_DATE:
        fields[count++] = (struct flat_field){.slot = 0, .size = 2, .value = width == 64};
        break;
    case ARROW_TIME:
        fields[count++] = (struct flat_field){.slot = 1, .size = 4, .value = width};
        fields[count++] = (struct flat_field){.slot = 0, .size = 2, .value = type->unit};
        break;
    case ARROW_TIMESTAMP:
        if (has_timezone) {
            fields[count++] = (struct flat_field){.slot = 1, .size = 4};
        }
        fields[count++] = (struct flat_field){.slot = 0, .size = 2, .value = type->unit};
        break;
    case ARROW_DURATION:
        fields[count++] = (struct flat_field){.slot = 0, .size = 2, .value = type->unit};
        break;
    case ARROW_INTERVAL:
        fields[count++] = (struct flat_field){.slot = 0, .size = 2, .value = 2};
        break;
    case ARROW_MAP:
        fields[count++] = (struct flat_field){.slot = 0, .size = 1, .value = keys_sorted};
        break;
    case ARROW_UNION:
        fields[count++] = (struct flat_field){.slot = 1, .size = 4}; /* what Arrow's Java needs */
        fields[count++] = (struct flat_field){.slot = 0, .size = 2, .value = type->is_large};
        break;
    case ARROW_NULL:
    case ARROW_BOOL:
    case ARROW_UTF8:
    case ARROW_BINARY:
    case ARROW_LIST:
    case ARROW_STRUCT:
        break;
    }
    flat_refer(flat, reference, flat_table(flat, fields, count));
    write_reference(flat, fields[0].at, type);
}

/* The C data interface's metadata block: int32 count, then length-prefixed key and value. */
static void write_metadata(struct flat *flat, size_t reference, const char *metadata)
{
    int32_t count;
    memcpy(&count, metadata, 4);
    metadata += 4;
    size_t at = flat_vector(flat, reference, (size_t)count, 4, 4);
    for (int32_t i = 0; i < count; i++) {
        struct flat_field fields[] = {{.slot = 0, .size = 4}, {.slot = 1, .size = 4}};
        flat_refer(flat, at + 4u * (unsigned)i, flat_table(flat, fields, ARRAY_COUNT(fields)));
        for (size_t part = 0; part < 2; part++) {
            int32_t len;
            memcpy(&len, metadata, 4);
            flat_string(flat, fields[part].at, (struct slice){metadata + 4, (size_t)len});
            metadata += 4 + len;
        }
    }
}

struct schema_writer {
    struct flat *flat;
    int64_t dictionary_next;
    struct errinfo *info;
};

static enum err write_field(struct schema_writer *writer, size_t reference,
                            const struct ArrowSchema *schema, unsigned depth);

static enum err write_children(struct schema_writer *writer, size_t reference,
                               const struct ArrowSchema *schema, unsigned depth)
{
    size_t at = flat_vector(writer->flat, reference, (size_t)schema->n_children, 4, 4);
    for (int64_t i = 0; i < schema->n_children; i++) {
        TRY(write_field(writer, at + 4u * (size_t)i, schema->children[i], depth + 1));
    }
    return ERR_OK;
}

static void write_encoding(struct schema_writer *writer, size_t reference,
                           const struct ArrowSchema *schema, const struct arrow_type *index_type)
{
    struct flat_field fields[] = {
        {.slot = 0, .size = 8, .value = (uint64_t)writer->dictionary_next++},
        {.slot = 1, .size = 4},
        {.slot = 2, .size = 1, .value = (schema->flags & ARROW_FLAG_DICTIONARY_ORDERED) != 0},
    };
    flat_refer(writer->flat, reference, flat_table(writer->flat, fields, ARRAY_COUNT(fields)));
    write_type(writer->flat, fields[1].at, index_type, false);
}

static enum err write_field(struct schema_writer *writer, size_t reference,
                            const struct ArrowSchema *schema, unsigned depth)
{
    if (depth > IPC_DEPTH_MAX) {
        return errinfo_set(writer->info, ERR_LIMIT, NULL, "a type is nested deeper than %d levels",
                           IPC_DEPTH_MAX);
    }
    struct arrow_type type;
    struct arrow_type index_type;
    TRY(arrow__type(schema, &index_type, writer->info));
    /* Of a dictionary-encoded column, the field's type is that of the values. */
    const struct ArrowSchema *values = schema->dictionary == NULL ? schema : schema->dictionary;
    TRY(arrow__type(values, &type, writer->info));
    struct flat_field fields[] = {
        {.slot = 0, .size = 4}, /* name */
        {.slot = 3, .size = 4}, /* type */
        {.slot = 5, .size = 4}, /* children */
        {.slot = 4, .size = 4}, /* dictionary */
        {.slot = 6, .size = 4}, /* metadata */
        {.slot = 1, .size = 1, .value = (schema->flags & ARROW_FLAG_NULLABLE) != 0},
        {.slot = 2, .size = 1, .value = type_code(&type)},
    };
    bool has_metadata = schema->metadata != NULL;
    bool is_encoded = schema->dictionary != NULL;
    /* Absent references leave their fields out: a null reference is not allowed. */
    size_t count = 3;
    size_t encoding = count;
    count += is_encoded;
    size_t metadata = count;
    fields[metadata] = fields[4];
    count += has_metadata;
    memmove(&fields[count], &fields[5], 2 * sizeof(fields[0]));
    count += 2;
    flat_refer(writer->flat, reference, flat_table(writer->flat, fields, count));
    flat_string(writer->flat, fields[0].at, slice_of(schema->name));
    write_type(writer->flat, fields[1].at, &type,
               (schema->flags & ARROW_FLAG_MAP_KEYS_SORTED) != 0);
    if (is_encoded) {
        write_encoding(writer, fields[encoding].at, schema, &index_type);
    }
    if (has_metadata) {
        write_metadata(writer->flat, fields[metadata].at, schema->metadata);
    }
    return write_children(writer, fields[2].at, values, depth);
}

enum err ipc_write_schema(const struct ArrowSchema *schema, struct buf *out, struct errinfo *info)
{
    size_t start = out->len;
    struct ipc_message message = ipc__begin(out, HEADER_SCHEMA, 0);
    struct flat_field fields[] = {{.slot = 1, .size = 4}, {.slot = 0, .size = 2}};
    size_t table = flat_table(&message.flat, fields, ARRAY_COUNT(fields));
    flat_refer(&message.flat, message.header, table);
    struct schema_writer writer = {.flat = &message.flat, .info = info};
    enum err err = write_children(&writer, fields[0].at, schema, 0);
    ipc__end(&message);
    if (err != ERR_OK || buf_failed(out)) {
        out->len = start <= out->len ? start : out->len;
        return err != ERR_OK ? err : errinfo_nomem(info);
    }
    return ERR_OK;
}
