#include "engine/thrift_int.h"

static size_t thrift__left(const struct thrift_reader *in)
{
    return (size_t)(in->end - in->at);
}

void thrift__take(struct thrift_reader *in, uint64_t len)
{
    if (len > thrift__left(in)) {
        in->is_bad = true;
        in->at = in->end;
    } else {
        in->at += len;
    }
}

static unsigned thrift__byte(struct thrift_reader *in)
{
    unsigned byte = thrift__left(in) > 0 ? *in->at : 0;
    thrift__take(in, 1);
    return byte;
}

uint64_t thrift__varint(struct thrift_reader *in)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        unsigned byte = thrift__byte(in);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            return value;
        }
    }
    in->is_bad = true;
    return 0;
}

int64_t thrift__int(struct thrift_reader *in)
{
    uint64_t value = thrift__varint(in);
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

bool thrift__field(struct thrift_reader *in, struct thrift_field *field)
{
    unsigned head = thrift__byte(in);
    field->type = head & 0x0f;
    if (in->is_bad || field->type == THRIFT_STOP) {
        return false;
    }
    if (head >> 4 != 0) {
        field->id = (int32_t)((uint32_t)field->id + (head >> 4));
    } else {
        field->id = (int32_t)thrift__int(in);
    }
    return !in->is_bad;
}

size_t thrift__list(struct thrift_reader *in, unsigned *ret_type)
{
    unsigned head = thrift__byte(in);
    uint64_t count = head >> 4;
    *ret_type = head & 0x0f;
    if (count == 15) {
        count = thrift__varint(in);
    }
    if (count > thrift__left(in)) {
        in->is_bad = true;
        return 0;
    }
    return (size_t)count;
}

static void skip(struct thrift_reader *in, unsigned type, bool is_element, unsigned depth);

static void skip_elements(struct thrift_reader *in, size_t count, unsigned type, unsigned depth)
{
    for (size_t i = 0; i < count && !in->is_bad; i++) {
        skip(in, type, true, depth);
    }
}

static void skip_map(struct thrift_reader *in, unsigned depth)
{
    uint64_t count = thrift__varint(in);
    unsigned types = count == 0 ? 0 : thrift__byte(in);
    if (count > thrift__left(in)) {
        in->is_bad = true;
    }
    for (uint64_t i = 0; i < count && !in->is_bad; i++) {
        skip(in, types >> 4, true, depth);
        skip(in, types & 0x0f, true, depth);
    }
}

static void skip(struct thrift_reader *in, unsigned type, bool is_element, unsigned depth)
{
    struct thrift_field field = {0};
    unsigned element;
    size_t count;
    if (depth == 0) {
        in->is_bad = true;
        return;
    }
    switch (type) {
    case THRIFT_TRUE:
    case THRIFT_FALSE:
        thrift__take(in, is_element ? 1 : 0);
        break;
    case THRIFT_I8:
        thrift__take(in, 1);
        break;
    case THRIFT_I16:
    case THRIFT_I32:
    case THRIFT_I64:
        (void)thrift__varint(in);
        break;
    case THRIFT_DOUBLE:
        thrift__take(in, 8);
        break;
    case THRIFT_BINARY:
        thrift__take(in, thrift__varint(in));
        break;
    case THRIFT_LIST:
    case THRIFT_SET:
        count = thrift__list(in, &element);
        skip_elements(in, count, element, depth - 1);
        break;
    case THRIFT_MAP:
        skip_map(in, depth - 1);
        break;
    case THRIFT_STRUCT:
        while (thrift__field(in, &field)) {
            skip(in, field.type, false, depth - 1);
        }
        break;
    default: /* a number from the file */
        in->is_bad = true;
        break;
    }
}

void thrift__skip(struct thrift_reader *in, unsigned type, unsigned depth)
{
    skip(in, type, false, depth);
}
