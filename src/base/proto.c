#include "base/proto.h"

bool proto_varint(struct slice *rest, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 10 && i < rest->len; i++) {
        unsigned char byte = (unsigned char)rest->ptr[i];
        if (i == 9 && byte > 1) {
            return false;
        }
        value |= (uint64_t)(byte & 0x7F) << (7 * i);
        if ((byte & 0x80) == 0) {
            *ret_value = value;
            *rest = (struct slice){rest->ptr + i + 1, rest->len - i - 1};
            return true;
        }
    }
    return false;
}

static bool take(struct slice *rest, uint64_t len, struct slice *ret_bytes)
{
    if (len > rest->len) {
        return false;
    }
    *ret_bytes = (struct slice){rest->ptr, (size_t)len};
    *rest = (struct slice){rest->ptr + len, rest->len - (size_t)len};
    return true;
}

enum proto_step proto_next(struct slice *rest, struct proto_field *ret_field)
{
    uint64_t tag;
    uint64_t len;
    if (rest->len == 0) {
        return PROTO_END;
    }
    if (!proto_varint(rest, &tag) || tag >> 3 == 0 || tag >> 3 > (1u << 29) - 1) {
        return PROTO_WRONG;
    }
    *ret_field = (struct proto_field){.number = (uint32_t)(tag >> 3)};
    switch (tag & 7) {
    case PROTO_VARINT:
        ret_field->type = PROTO_VARINT;
        return proto_varint(rest, &ret_field->value) ? PROTO_FIELD : PROTO_WRONG;
    case PROTO_FIXED64:
    case PROTO_FIXED32:
        ret_field->type = (enum proto_type)(tag & 7);
        if (!take(rest, ret_field->type == PROTO_FIXED64 ? 8 : 4, &ret_field->bytes)) {
            return PROTO_WRONG;
        }
        memcpy(&ret_field->value, ret_field->bytes.ptr, ret_field->bytes.len);
        return PROTO_FIELD;
    case PROTO_BYTES:
        ret_field->type = PROTO_BYTES;
        return proto_varint(rest, &len) && take(rest, len, &ret_field->bytes) ? PROTO_FIELD
                                                                              : PROTO_WRONG;
    default:
        return PROTO_WRONG;
    }
}

bool proto_read(struct slice message, const struct proto_want *wants, size_t count)
{
    struct proto_field field;
    for (;;) {
        enum proto_step step = proto_next(&message, &field);
        if (step != PROTO_FIELD) {
            return step == PROTO_END;
        }
        for (size_t i = 0; i < count; i++) {
            const struct proto_want *want = &wants[i];
            if (want->number != field.number) {
                continue;
            }
            if ((want->ret_bytes != NULL) != (field.type == PROTO_BYTES)) {
                return false;
            }
            if (want->ret_bytes != NULL) {
                *want->ret_bytes = field.bytes;
            } else {
                *want->ret_value = field.value;
            }
            if (want->ret_has != NULL) {
                *want->ret_has = true;
            }
        }
    }
}

static void put_varint(struct buf *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) {
        buf_append_char(out, (char)(unsigned char)(value | 0x80));
    }
    buf_append_char(out, (char)(unsigned char)value);
}

void proto_put_varint(struct buf *out, uint32_t number, uint64_t value)
{
    put_varint(out, (uint64_t)number << 3 | PROTO_VARINT);
    put_varint(out, value);
}

void proto_put_fixed64(struct buf *out, uint32_t number, uint64_t value)
{
    put_varint(out, (uint64_t)number << 3 | PROTO_FIXED64);
    buf_append(out, &value, sizeof(value)); /* little-endian, as every machine we build for */
}

void proto_put_head(struct buf *out, uint32_t number, uint64_t len)
{
    put_varint(out, (uint64_t)number << 3 | PROTO_BYTES);
    put_varint(out, len);
}

void proto_put_bytes(struct buf *out, uint32_t number, struct slice bytes)
{
    proto_put_head(out, number, bytes.len);
    buf_append_slice(out, bytes);
}
