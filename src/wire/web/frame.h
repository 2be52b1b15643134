/* WebSocket frames as bytes (RFC 6455, section 5): a client's in, a server's out. Internal. */
#pragma once

#include "base/base.h"
#include "base/buf.h"

enum frame_opcode {
    FRAME_GOES_ON = 0,
    FRAME_TEXT = 1,
    FRAME_BINARY = 2,
    FRAME_CLOSE = 8,
    FRAME_PING = 9,
    FRAME_PONG = 10,
};

/* Why a connection is closed (section 7.4.1). */
enum frame_close {
    FRAME_CLOSE_NORMAL = 1000,
    FRAME_CLOSE_GOING = 1001,
    FRAME_CLOSE_PROTOCOL = 1002,
    FRAME_CLOSE_TYPE = 1003,
    FRAME_CLOSE_NONE = 1005, /* never sent: the other end gave no reason */
    FRAME_CLOSE_TEXT = 1007,
    FRAME_CLOSE_POLICY = 1008,
    FRAME_CLOSE_LONG = 1009,
    FRAME_CLOSE_BUSY = 1013,
};

#define FRAME_CONTROL_BYTES_MAX 125u
#define FRAME_PARTS_MAX 1000u /* of a message */

/* Puts messages together. */
struct frame_reader {
    size_t message_bytes_max;
    struct buf message; /* the last one, or what came of the next */
    unsigned part_count;
    bool is_open; /* more parts must come */
    bool is_done; /* `message` was given out, and goes with the next frame */
};

enum frame_event {
    FRAME_EVENT_PARTIAL, /* more bytes are needed */
    FRAME_EVENT_PART,    /* a frame that says nothing by itself */
    FRAME_EVENT_TEXT,    /* reader->message */
    FRAME_EVENT_PING,    /* event->payload */
    FRAME_EVENT_PONG,
    FRAME_EVENT_CLOSE, /* event->code */
    FRAME_EVENT_WRONG, /* event->code says why; nothing behind it can be understood */
};

struct frame_read {
    size_t used; /* of the input; 0 for PARTIAL and WRONG */
    size_t need; /* PARTIAL: bytes that must be there */
    unsigned code;
    uint8_t payload[FRAME_CONTROL_BYTES_MAX];
    size_t payload_len;
};

/* Reads one frame from the start of `input`. A text is UTF-8. No memory: WRONG with 1013. */
enum frame_event frame_read(struct frame_reader *reader, struct slice input,
                            struct frame_read *ret_read);
/* How many bytes must be there before a frame can be read: more than `input` has, or not. */
size_t frame_need(struct slice input, size_t message_bytes_max);
void frame_reader_fini(struct frame_reader *reader);

/* A whole frame, not masked. */
void frame_write(struct buf *out, enum frame_opcode opcode, struct slice payload);
void frame_write_close(struct buf *out, unsigned code, struct slice reason);
