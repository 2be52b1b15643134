/* Thrift's compact protocol, as Parquet's footers have it: read field by field, without a schema of
 * everything in it. A reader that was given what is none says so (`is_bad`), and reads zeros from
 * then on; it never leaves its bytes. (thrift-compact-protocol.md of Apache Thrift.) */
#pragma once

#include "base/base.h"

#define THRIFT_DEPTH_MAX 32

enum thrift_type {
    THRIFT_STOP = 0,
    THRIFT_TRUE = 1,
    THRIFT_FALSE = 2,
    THRIFT_I8 = 3,
    THRIFT_I16 = 4,
    THRIFT_I32 = 5,
    THRIFT_I64 = 6,
    THRIFT_DOUBLE = 7,
    THRIFT_BINARY = 8,
    THRIFT_LIST = 9,
    THRIFT_SET = 10,
    THRIFT_MAP = 11,
    THRIFT_STRUCT = 12
};

struct thrift_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool is_bad;
};

struct thrift_field {
    int32_t id;
    unsigned type;
};

void thrift__take(struct thrift_reader *in, uint64_t len); /* passes over bytes */
uint64_t thrift__varint(struct thrift_reader *in);
int64_t thrift__int(struct thrift_reader *in); /* of 16, 32 or 64 bits */
/* The next field of a struct; false at its end. `field` is the one before, at first {0}. */
bool thrift__field(struct thrift_reader *in, struct thrift_field *field);
/* How many elements follow; each takes a byte at least. */
size_t thrift__list(struct thrift_reader *in, unsigned *ret_type);
/* Passes over the value of a field. */
void thrift__skip(struct thrift_reader *in, unsigned type, unsigned depth);
