/* Shared by the two message writers. */
#pragma once

#include "arrow/arrow_int.h"
#include "arrow/flatbuffer.h"
#include "arrow/ipc.h"

/* Message.fbs MessageHeader */
enum {
    HEADER_SCHEMA = 1,
    HEADER_DICTIONARY = 2,
    HEADER_BATCH = 3
};

/* Schema.fbs, union Type */
enum {
    IPC_TYPE_NULL = 1,
    IPC_TYPE_INT,
    IPC_TYPE_FLOAT,
    IPC_TYPE_BINARY,
    IPC_TYPE_UTF8,
    IPC_TYPE_BOOL,
    IPC_TYPE_DECIMAL,
    IPC_TYPE_DATE,
    IPC_TYPE_TIME,
    IPC_TYPE_TIMESTAMP,
    IPC_TYPE_INTERVAL,
    IPC_TYPE_LIST,
    IPC_TYPE_STRUCT,
    IPC_TYPE_UNION,
    IPC_TYPE_FIXED_BINARY,
    IPC_TYPE_FIXED_LIST,
    IPC_TYPE_MAP,
    IPC_TYPE_DURATION,
    IPC_TYPE_LARGE_BINARY,
    IPC_TYPE_LARGE_UTF8,
    IPC_TYPE_LARGE_LIST,
};

/* Opens a message: prefix and Message table; `ret_header` is the reference to the header table. */
struct ipc_message {
    struct flat flat;
    size_t start;
    size_t header;
};
struct ipc_message ipc__begin(struct buf *out, unsigned header_type, uint64_t body_len);
/* Pads the metadata and writes its length; the body follows. */
void ipc__end(struct ipc_message *message);

enum {
    IPC_DEPTH_MAX = 64
};
