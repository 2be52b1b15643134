#include "catalog/rest/hive/thrift.h"

#define VERSION_1 UINT32_C(0x80010000)
#define MESSAGE_CALL 1

/* ---- writing ---- */

static void put(struct buf *out, uint64_t value, size_t bytes)
{
    for (size_t i = bytes; i > 0; i--) {
        buf_append_char(out, (char)(unsigned char)(value >> (8 * (i - 1)) & 0xFF));
    }
}

void thrift_i32(struct buf *out, int32_t value)
{
    put(out, (uint32_t)value, 4);
}

void thrift_string(struct buf *out, struct slice text)
{
    ASSERT(text.len <= INT32_MAX);
    put(out, text.len, 4);
    buf_append_slice(out, text);
}

void thrift_call(struct buf *out, const char *method)
{
    put(out, VERSION_1 | MESSAGE_CALL, 4);
    thrift_string(out, slice_of(method));
    put(out, 1, 4); /* each call has a request of its own: its number tells nothing */
}

void thrift_field(struct buf *out, enum thrift_type type, int16_t id)
{
    put(out, type, 1);
    put(out, (uint16_t)id, 2);
}

void thrift_stop(struct buf *out)
{
    put(out, THRIFT_STOP, 1);
}

void thrift_string_field(struct buf *out, int16_t id, struct slice text)
{
    thrift_field(out, THRIFT_STRING, id);
    thrift_string(out, text);
}

void thrift_bool_field(struct buf *out, int16_t id, bool value)
{
    thrift_field(out, THRIFT_BOOL, id);
    put(out, value ? 1 : 0, 1);
}

void thrift_i32_field(struct buf *out, int16_t id, int32_t value)
{
    thrift_field(out, THRIFT_I32, id);
    thrift_i32(out, value);
}

void thrift_i64_field(struct buf *out, int16_t id, int64_t value)
{
    thrift_field(out, THRIFT_I64, id);
    put(out, (uint64_t)value, 8);
}

void thrift_list(struct buf *out, enum thrift_type element, size_t count)
{
    ASSERT(count <= INT32_MAX);
    put(out, element, 1);
    put(out, count, 4);
}

void thrift_map(struct buf *out, enum thrift_type key, enum thrift_type value, size_t count)
{
    ASSERT(count <= INT32_MAX);
    put(out, key, 1);
    put(out, value, 1);
    put(out, count, 4);
}

/* ---- reading ---- */

static void spoil(struct thrift_reader *reader)
{
    reader->is_bad = true;
    reader->left = (struct slice){NULL, 0};
}

static struct slice take(struct thrift_reader *reader, size_t len)
{
    struct slice taken = {reader->left.ptr, len};
    if (len > reader->left.len) {
        spoil(reader);
        return (struct slice){NULL, 0};
    }
    if (len > 0) {
        reader->left.ptr += len;
        reader->left.len -= len;
    }
    return taken;
}

static uint64_t get(struct thrift_reader *reader, size_t bytes)
{
    struct slice taken = take(reader, bytes);
    uint64_t value = 0;
    for (size_t i = 0; i < taken.len; i++) {
        value = value << 8 | (unsigned char)taken.ptr[i];
    }
    return value;
}

/* Of bytes, or of elements of which each has one at least. */
static size_t get_count(struct thrift_reader *reader)
{
    size_t count = (size_t)get(reader, 4);
    if (count > reader->left.len) {
        spoil(reader);
        return 0;
    }
    return count;
}

struct slice thrift_read_string(struct thrift_reader *reader)
{
    return take(reader, get_count(reader));
}

static void skip(struct thrift_reader *reader, uint64_t type, unsigned depth);

static void skip_struct(struct thrift_reader *reader, unsigned depth)
{
    for (;;) {
        uint64_t type = get(reader, 1);
        if (type == THRIFT_STOP || reader->is_bad) {
            return;
        }
        (void)get(reader, 2);
        skip(reader, type, depth + 1);
    }
}

static void skip_many(struct thrift_reader *reader, const uint64_t *types, size_t type_count,
                      unsigned depth)
{
    size_t count = get_count(reader);
    for (size_t i = 0; i < count && !reader->is_bad; i++) {
        for (size_t t = 0; t < type_count; t++) {
            skip(reader, types[t], depth + 1);
        }
    }
}

static void skip(struct thrift_reader *reader, uint64_t type, unsigned depth)
{
    uint64_t types[2];
    if (depth > THRIFT_DEPTH_MAX) {
        spoil(reader);
        return;
    }
    switch (type) {
    case THRIFT_BOOL:
    case THRIFT_BYTE:
        (void)take(reader, 1);
        return;
    case THRIFT_I16:
        (void)take(reader, 2);
        return;
    case THRIFT_I32:
        (void)take(reader, 4);
        return;
    case THRIFT_DOUBLE:
    case THRIFT_I64:
        (void)take(reader, 8);
        return;
    case THRIFT_STRING:
        (void)thrift_read_string(reader);
        return;
    case THRIFT_STRUCT:
        skip_struct(reader, depth);
        return;
    case THRIFT_MAP:
        types[0] = get(reader, 1);
        types[1] = get(reader, 1);
        skip_many(reader, types, 2, depth);
        return;
    case THRIFT_SET:
    case THRIFT_LIST:
        types[0] = get(reader, 1);
        skip_many(reader, types, 1, depth);
        return;
    default:
        spoil(reader);
    }
}

struct slice thrift_read_raw(struct thrift_reader *reader, enum thrift_type type)
{
    struct slice start = reader->left;
    skip(reader, type, 0);
    return reader->is_bad ? (struct slice){NULL, 0}
                          : (struct slice){start.ptr, start.len - reader->left.len};
}

void thrift_read_message(struct thrift_reader *reader, enum thrift_kind *ret_kind)
{
    uint64_t head = get(reader, 4);
    (void)thrift_read_string(reader);
    (void)get(reader, 4);
    *ret_kind = (head & 0xFF) == THRIFT_REPLY ? THRIFT_REPLY : THRIFT_EXCEPTION;
    if ((head & 0xFFFFFF00) != VERSION_1 ||
        ((head & 0xFF) != THRIFT_REPLY && (head & 0xFF) != THRIFT_EXCEPTION)) {
        spoil(reader);
    }
}

bool thrift_read_field(struct thrift_reader *reader, struct thrift_field *ret_field)
{
    uint64_t type = get(reader, 1);
    if (reader->is_bad || type == THRIFT_STOP) {
        return false;
    }
    ret_field->type = (enum thrift_type)type;
    ret_field->id = (int16_t)(uint16_t)get(reader, 2);
    ret_field->value = thrift_read_raw(reader, ret_field->type);
    return !reader->is_bad;
}

struct slice thrift_text_of(struct thrift_reader *reader, const struct thrift_field *field)
{
    struct thrift_reader inner = {.left = field->value};
    if (field->type != THRIFT_STRING) {
        spoil(reader);
        return (struct slice){NULL, 0};
    }
    return thrift_read_string(&inner);
}

int64_t thrift_number_of(struct thrift_reader *reader, const struct thrift_field *field)
{
    struct thrift_reader inner = {.left = field->value};
    switch (field->type) {
    case THRIFT_I32:
        return (int32_t)(uint32_t)get(&inner, 4);
    case THRIFT_I64:
        return (int64_t)get(&inner, 8);
    default: /* of others' bytes */
        spoil(reader);
        return 0;
    }
}

size_t thrift_read_list(struct thrift_reader *reader, enum thrift_type element)
{
    uint64_t type = get(reader, 1);
    size_t count = get_count(reader);
    if (count > 0 && type != element) {
        spoil(reader);
        return 0;
    }
    return count;
}

size_t thrift_read_map(struct thrift_reader *reader, enum thrift_type key, enum thrift_type value)
{
    uint64_t key_type = get(reader, 1);
    uint64_t value_type = get(reader, 1);
    size_t count = get_count(reader);
    if (count > 0 && (key_type != key || value_type != value)) {
        spoil(reader);
        return 0;
    }
    return count;
}
