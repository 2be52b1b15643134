#include "engine/host/wire.h"

void wire_put_u8(struct buf *out, uint8_t value)
{
    buf_append(out, &value, sizeof(value));
}

void wire_put_u32(struct buf *out, uint32_t value)
{
    buf_append(out, &value, sizeof(value));
}

void wire_put_u64(struct buf *out, uint64_t value)
{
    buf_append(out, &value, sizeof(value));
}

void wire_put_i64(struct buf *out, int64_t value)
{
    buf_append(out, &value, sizeof(value));
}

void wire_put_slice(struct buf *out, struct slice text)
{
    wire_put_u64(out, text.len);
    buf_append(out, text.ptr, text.len);
}

void wire_put_errinfo(struct buf *out, const struct errinfo *info)
{
    wire_put_u32(out, (uint32_t)info->code);
    buf_append(out, info->sqlstate, 5);
    wire_put_u64(out, info->position);
    wire_put_slice(out, slice_of(info->message));
    wire_put_slice(out, slice_of(info->detail));
    wire_put_slice(out, slice_of(info->hint));
}

struct wire wire_of(struct slice bytes)
{
    return (struct wire){.at = bytes.ptr, .end = bytes.ptr + bytes.len};
}

void wire_fail(struct wire *in)
{
    in->is_bad = true;
    in->at = in->end;
}

struct slice wire_bytes(struct wire *in, size_t len)
{
    if (len > (size_t)(in->end - in->at)) {
        wire_fail(in);
        return (struct slice){"", 0};
    }
    struct slice bytes = {in->at, len};
    in->at += len;
    return bytes;
}

static void take(struct wire *in, void *ret_value, size_t len)
{
    struct slice bytes = wire_bytes(in, len);
    memset(ret_value, 0, len);
    memcpy(ret_value, bytes.ptr, bytes.len);
}

uint8_t wire_u8(struct wire *in)
{
    uint8_t value;
    take(in, &value, sizeof(value));
    return value;
}

bool wire_bool(struct wire *in)
{
    uint8_t value = wire_u8(in);
    if (value > 1) {
        wire_fail(in);
    }
    return value == 1;
}

uint32_t wire_u32(struct wire *in)
{
    uint32_t value;
    take(in, &value, sizeof(value));
    return value;
}

uint64_t wire_u64(struct wire *in)
{
    uint64_t value;
    take(in, &value, sizeof(value));
    return value;
}

int64_t wire_i64(struct wire *in)
{
    int64_t value;
    take(in, &value, sizeof(value));
    return value;
}

struct slice wire_slice(struct wire *in)
{
    uint64_t len = wire_u64(in);
    return wire_bytes(in, len);
}

size_t wire_count(struct wire *in, size_t bytes_min)
{
    uint64_t count = wire_u64(in);
    ASSERT(bytes_min > 0);
    if (count > (size_t)(in->end - in->at) / bytes_min) {
        wire_fail(in);
        return 0;
    }
    return (size_t)count;
}

bool wire_is_done(const struct wire *in)
{
    return !in->is_bad && in->at == in->end;
}

void *wire_alloc(struct wire *in, struct arena *arena, size_t count, size_t size)
{
    void *memory = in->is_bad ? NULL : arena_calloc(arena, count == 0 ? 1 : count, size);
    if (memory == NULL) {
        wire_fail(in);
    }
    return memory;
}

struct slice wire_copy(struct wire *in, struct arena *arena)
{
    struct slice copy = {"", 0};
    struct slice text = wire_slice(in);
    if (!in->is_bad && !arena_slice(arena, text, &copy)) {
        wire_fail(in);
    }
    return copy;
}

/* ---- what went wrong ---- */

/* A text of a message: no NUL, no control characters but line ends, UTF-8. */
static bool is_text(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if ((c < 0x20 && c != '\n' && c != '\t' && c != '\r') || c == 0x7F) {
            return false;
        }
    }
    return slice_is_utf8(text, NULL);
}

static bool is_sqlstate(struct slice state)
{
    for (size_t i = 0; i < state.len; i++) {
        char c = state.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'))) {
            return false;
        }
    }
    return state.len == 5 && memcmp(state.ptr, "00000", 5) != 0;
}

enum err wire_errinfo(struct wire *in, struct errinfo *ret_info)
{
    uint32_t code = wire_u32(in);
    char state[6] = {0};
    struct slice sqlstate = wire_bytes(in, 5);
    uint64_t position = wire_u64(in);
    struct slice message = wire_slice(in);
    struct slice detail = wire_slice(in);
    struct slice hint = wire_slice(in);
    if (in->is_bad || code == ERR_OK || code > ERR_INTERNAL || !is_sqlstate(sqlstate)) {
        wire_fail(in);
        return ERR_INTERNAL;
    }
    memcpy(state, sqlstate.ptr, 5);
    enum err err = (enum err)code;
    (void)errinfo_set(ret_info, err, state, "%.*s",
                      SLICE_ARGS(is_text(message) ? message : SLICE("the engine failed")));
    if (detail.len > 0 && is_text(detail)) {
        errinfo_detail(ret_info, "%.*s", SLICE_ARGS(detail));
    }
    if (hint.len > 0 && is_text(hint)) {
        errinfo_hint(ret_info, "%.*s", SLICE_ARGS(hint));
    }
    if (position != 0) {
        errinfo_position(ret_info, position);
    }
    return err;
}
