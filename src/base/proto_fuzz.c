/* Messages of anybody: fields stay inside of them, and what was read is the same when written. */
#include "base/fuzz.h"
#include "base/proto.h"

static void walk(struct slice message, unsigned depth)
{
    struct proto_field field;
    struct slice rest = message;
    enum proto_step step;
    while ((step = proto_next(&rest, &field)) == PROTO_FIELD) {
        struct buf again CLEANUP(buf_fini) = {0};
        struct proto_field copy;
        ASSERT(field.number > 0 && field.number < 1u << 29);
        if (field.type == PROTO_BYTES) {
            ASSERT(field.bytes.len == 0 ||
                   (field.bytes.ptr >= message.ptr &&
                    field.bytes.ptr + field.bytes.len <= message.ptr + message.len));
            proto_put_bytes(&again, field.number, field.bytes);
        } else if (field.type == PROTO_VARINT) {
            proto_put_varint(&again, field.number, field.value);
        } else {
            proto_put_fixed64(&again, field.number, field.value);
        }
        struct slice text = buf_slice(&again);
        if (!buf_failed(&again)) {
            ASSERT(proto_next(&text, &copy) == PROTO_FIELD && text.len == 0);
            ASSERT(copy.number == field.number && copy.value == field.value);
            ASSERT(slice_equal(copy.bytes, field.bytes) || field.type != PROTO_BYTES);
        }
        if (field.type == PROTO_BYTES && depth < 4) {
            walk(field.bytes, depth + 1);
        }
    }
    ASSERT(step != PROTO_END || rest.len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    walk((struct slice){(const char *)data, size}, 0);
    return 0;
}
