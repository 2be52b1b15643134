/* Thrift's binary protocol, as much as calls of the Hive metastore need: writing a call, reading an
 * answer without a schema of everything in it. (thrift-binary-protocol.md of Apache Thrift, strict
 * messages.)
 *
 * An answer is others' bytes. Values are views of it; what is not looked at is skipped, never
 * deeper than THRIFT_DEPTH_MAX and never past the end: then `is_bad` is set and all that follows is
 * empty. */
#pragma once

#include "base/base.h"
#include "base/buf.h"

#define THRIFT_DEPTH_MAX 32

enum thrift_type {
    THRIFT_STOP = 0,
    THRIFT_BOOL = 2,
    THRIFT_BYTE = 3,
    THRIFT_DOUBLE = 4,
    THRIFT_I16 = 6,
    THRIFT_I32 = 8,
    THRIFT_I64 = 10,
    THRIFT_STRING = 11,
    THRIFT_STRUCT = 12,
    THRIFT_MAP = 13,
    THRIFT_SET = 14,
    THRIFT_LIST = 15,
};

/* ---- writing; failures stay in the buffer (buf_failed) ---- */

void thrift_call(struct buf *out, const char *method); /* arguments and thrift_stop follow */
void thrift_field(struct buf *out, enum thrift_type type, int16_t id);
void thrift_stop(struct buf *out);
void thrift_i32(struct buf *out, int32_t value);
void thrift_string(struct buf *out, struct slice text);
/* A field with its value. */
void thrift_string_field(struct buf *out, int16_t id, struct slice text);
void thrift_bool_field(struct buf *out, int16_t id, bool value);
void thrift_i32_field(struct buf *out, int16_t id, int32_t value);
void thrift_i64_field(struct buf *out, int16_t id, int64_t value);
/* The head of a list or map; its elements follow. */
void thrift_list(struct buf *out, enum thrift_type element, size_t count);
void thrift_map(struct buf *out, enum thrift_type key, enum thrift_type value, size_t count);

/* ---- reading ---- */

struct thrift_reader {
    struct slice left;
    bool is_bad;
};

struct thrift_field {
    enum thrift_type type;
    int16_t id;
    struct slice value; /* as it is written, without type and id: thrift_reader over it */
};

enum thrift_kind {
    THRIFT_REPLY = 2,
    THRIFT_EXCEPTION = 3,
};

/* The head of a message. */
void thrift_read_message(struct thrift_reader *reader, enum thrift_kind *ret_kind);
/* The next field of a struct; false at its end, and where the bytes are bad. */
bool thrift_read_field(struct thrift_reader *reader, struct thrift_field *ret_field);
/* `value` as one that must be of its type; else it is bad. */
struct slice thrift_text_of(struct thrift_reader *reader, const struct thrift_field *field);
int64_t thrift_number_of(struct thrift_reader *reader, const struct thrift_field *field);
/* How many elements follow. Bad, unless they are of this type; an empty one may be of any. */
size_t thrift_read_list(struct thrift_reader *reader, enum thrift_type element);
size_t thrift_read_map(struct thrift_reader *reader, enum thrift_type key, enum thrift_type value);
struct slice thrift_read_string(struct thrift_reader *reader);
/* A value as it is written. */
struct slice thrift_read_raw(struct thrift_reader *reader, enum thrift_type type);
