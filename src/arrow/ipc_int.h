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
