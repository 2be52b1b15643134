#include "wire/web/frame.h"

struct head {
    bool is_final;
    uint8_t opcode;
    uint8_t mask[4];
    size_t len;     /* of the head */
    uint64_t bytes; /* of the payload */
};

enum head_state {
    HEAD_WHOLE,
    HEAD_PARTIAL, /* head->len says how many bytes it takes */
    HEAD_WRONG,
};

static bool is_control(unsigned opcode)
{
    return (opcode & 8) != 0;
}

static bool is_opcode(unsigned opcode)
{
    return opcode <= FRAME_BINARY || (opcode >= FRAME_CLOSE && opcode <= FRAME_PONG);
}

/* A client masks each frame; no extension was agreed upon, so the reserved bits are 0; a length is
 * written in as few bytes as it takes. */
static enum head_state read_head(struct slice input, struct head *ret_head)
{
    const uint8_t *at = (const uint8_t *)input.ptr;
    *ret_head = (struct head){.len = 2};
    if (input.len < 2) {
        return HEAD_PARTIAL;
    }
    ret_head->is_final = (at[0] & 0x80) != 0;
    ret_head->opcode = at[0] & 0x0F;
    if ((at[0] & 0x70) != 0 || (at[1] & 0x80) == 0 || !is_opcode(ret_head->opcode)) {
        return HEAD_WRONG;
    }
    unsigned len = at[1] & 0x7F;
    size_t more = len == 127 ? 8 : len == 126 ? 2 : 0;
    ret_head->len = 2 + more + sizeof(ret_head->mask);
    if (is_control(ret_head->opcode) && (len > FRAME_CONTROL_BYTES_MAX || !ret_head->is_final)) {
        return HEAD_WRONG;
    }
    if (input.len < ret_head->len) {
        return HEAD_PARTIAL;
    }
    ret_head->bytes = more == 0 ? len : 0;
    for (size_t i = 0; i < more; i++) {
        ret_head->bytes = ret_head->bytes << 8 | at[2 + i];
    }
    memcpy(ret_head->mask, at + 2 + more, sizeof(ret_head->mask));
    bool is_longer = (more == 2 && ret_head->bytes < 126) ||
                     (more == 8 && (ret_head->bytes <= UINT16_MAX || ret_head->bytes >> 63 != 0));
    return is_longer ? HEAD_WRONG : HEAD_WHOLE;
}

size_t frame_need(struct slice input, size_t message_bytes_max)
{
    struct head head;
    switch (read_head(input, &head)) {
    case HEAD_PARTIAL:
        return head.len;
    case HEAD_WRONG:
        return 1;
    case HEAD_WHOLE:
        break;
    }
    return head.bytes > message_bytes_max ? 1 : head.len + (size_t)head.bytes;
}

static void unmask(const struct head *head, const char *from, char *to)
{
    for (size_t i = 0; i < head->bytes; i++) {
        to[i] = (char)((uint8_t)from[i] ^ head->mask[i & 3]);
    }
}

static enum frame_event fail(struct frame_read *read, unsigned code)
{
    read->used = 0;
    read->code = code;
    return FRAME_EVENT_WRONG;
}

/* A code that may stand in a frame (section 7.4.2), and a reason in UTF-8. */
static bool is_close(struct frame_read *read)
{
    if (read->payload_len == 0) {
        read->code = FRAME_CLOSE_NONE;
        return true;
    }
    struct slice reason = {(const char *)read->payload + 2, read->payload_len - 2};
    if (read->payload_len < 2 || !slice_is_utf8(reason, NULL)) {
        return false;
    }
    unsigned code = (unsigned)read->payload[0] << 8 | read->payload[1];
    read->code = code;
    return (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) ||
           (code >= 3000 && code <= 4999);
}

static enum frame_event read_control(const struct head *head, const char *payload,
                                     struct frame_read *read)
{
    read->payload_len = (size_t)head->bytes;
    unmask(head, payload, (char *)read->payload);
    if (head->opcode == FRAME_CLOSE) {
        return is_close(read) ? FRAME_EVENT_CLOSE : fail(read, FRAME_CLOSE_PROTOCOL);
    }
    return head->opcode == FRAME_PING ? FRAME_EVENT_PING : FRAME_EVENT_PONG;
}

static enum frame_event read_part(struct frame_reader *reader, const struct head *head,
                                  const char *payload, struct frame_read *read)
{
    if (reader->is_done) {
        buf_reset(&reader->message);
        reader->is_done = false;
    }
    if (reader->is_open != (head->opcode == FRAME_GOES_ON)) {
        return fail(read, FRAME_CLOSE_PROTOCOL);
    }
    if (head->opcode == FRAME_BINARY) {
        return fail(read, FRAME_CLOSE_TYPE);
    }
    reader->part_count = reader->is_open ? reader->part_count + 1 : 1;
    if (reader->part_count > FRAME_PARTS_MAX) {
        return fail(read, FRAME_CLOSE_POLICY);
    }
    size_t len = (size_t)head->bytes;
    if (len > 0) {
        char *room = buf_reserve(&reader->message, len);
        if (room == NULL) {
            return fail(read, FRAME_CLOSE_BUSY);
        }
        unmask(head, payload, room);
        reader->message.len += len;
    }
    reader->is_open = !head->is_final;
    if (reader->is_open) {
        return FRAME_EVENT_PART;
    }
    reader->is_done = true;
    return slice_is_utf8(buf_slice(&reader->message), NULL) ? FRAME_EVENT_TEXT
                                                            : fail(read, FRAME_CLOSE_TEXT);
}

enum frame_event frame_read(struct frame_reader *reader, struct slice input,
                            struct frame_read *ret_read)
{
    struct head head;
    *ret_read = (struct frame_read){0};
    switch (read_head(input, &head)) {
    case HEAD_PARTIAL:
        ret_read->need = head.len;
        return FRAME_EVENT_PARTIAL;
    case HEAD_WRONG:
        return fail(ret_read, FRAME_CLOSE_PROTOCOL);
    case HEAD_WHOLE:
        break;
    }
    size_t before = reader->is_open ? reader->message.len : 0;
    if (!is_control(head.opcode) &&
        head.bytes > reader->message_bytes_max - before) { /* `before` is at most that */
        return fail(ret_read, FRAME_CLOSE_LONG);
    }
    if (input.len - head.len < head.bytes) {
        ret_read->need = head.len + (size_t)head.bytes;
        return FRAME_EVENT_PARTIAL;
    }
    ret_read->used = head.len + (size_t)head.bytes;
    const char *payload = input.ptr + head.len;
    return is_control(head.opcode) ? read_control(&head, payload, ret_read)
                                   : read_part(reader, &head, payload, ret_read);
}

void frame_reader_fini(struct frame_reader *reader)
{
    buf_fini(&reader->message);
}

/* ---- out ---- */

void frame_write(struct buf *out, enum frame_opcode opcode, struct slice payload)
{
    uint8_t head[10] = {(uint8_t)(0x80u | (unsigned)opcode)};
    size_t more = payload.len > UINT16_MAX ? 8 : payload.len > FRAME_CONTROL_BYTES_MAX ? 2 : 0;
    head[1] = (uint8_t)(more == 8 ? 127 : more == 2 ? 126 : payload.len);
    for (size_t i = 0; i < more; i++) {
        head[2 + i] = (uint8_t)((uint64_t)payload.len >> (8 * (more - 1 - i)));
    }
    buf_append(out, head, 2 + more);
    buf_append_slice(out, payload);
}

void frame_write_close(struct buf *out, unsigned code, struct slice reason)
{
    char payload[FRAME_CONTROL_BYTES_MAX] = {(char)(code >> 8), (char)(code & 0xFF)};
    size_t len = reason.len < sizeof(payload) - 2 ? reason.len : sizeof(payload) - 2;
    memcpy(payload + 2, reason.ptr, len);
    frame_write(out, FRAME_CLOSE, (struct slice){payload, len + 2});
}
