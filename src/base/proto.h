/* Protocol buffers' wire format, as much as Flight's messages need: fields in and out.
 *
 * By hand, since the messages are a few dozen fields: what is read are views of the input, so a
 * batch of rows is never copied, and a generated parser would have made a tree of each message. */
#pragma once

#include "base/base.h"
#include "base/buf.h"

enum proto_type {
    PROTO_VARINT = 0,
    PROTO_FIXED64 = 1,
    PROTO_BYTES = 2,
    PROTO_FIXED32 = 5,
};

struct proto_field {
    uint32_t number;
    enum proto_type type;
    uint64_t value;     /* VARINT, FIXED64, FIXED32 */
    struct slice bytes; /* BYTES: a view */
};

enum proto_step {
    PROTO_FIELD,
    PROTO_END,
    PROTO_WRONG /* cut off, a group, a field without number */
};

/* The next field of `rest`, which is cut off it. */
enum proto_step proto_next(struct slice *rest, struct proto_field *ret_field);
/* A varint out of `rest`, as packed fields have them. */
MUST_USE bool proto_varint(struct slice *rest, uint64_t *ret_value);

/* What a message of simple fields holds, by a table; other fields are passed over. */
struct proto_want {
    uint32_t number;
    struct slice *ret_bytes; /* BYTES; stays as it is without the field */
    uint64_t *ret_value;     /* VARINT, FIXED64 */
    bool *ret_has;           /* may be NULL */
};
MUST_USE bool proto_read(struct slice message, const struct proto_want *wants, size_t count);

void proto_put_varint(struct buf *out, uint32_t number, uint64_t value);
void proto_put_fixed64(struct buf *out, uint32_t number, uint64_t value);
void proto_put_bytes(struct buf *out, uint32_t number, struct slice bytes);
/* Tag and length of bytes that the caller appends. */
void proto_put_head(struct buf *out, uint32_t number, uint64_t len);
