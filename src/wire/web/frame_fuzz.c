/* Frames: whatever the bytes, limits hold, nothing is used that was not there, `need` is true, and
 * what comes in two parts says the same as what comes at once. */
#include "base/fuzz.h"
#include "wire/web/frame.h"

#define MESSAGE_BYTES_MAX 300u

static uint64_t mix(uint64_t hash, const void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ ((const uint8_t *)bytes)[i]) * 0x100000001B3u;
    }
    return hash;
}

/* All frames, of which only `step` more bytes are seen each time; a hash of what they said. */
static uint64_t read_all(struct slice input, size_t step)
{
    struct frame_reader reader = {.message_bytes_max = MESSAGE_BYTES_MAX};
    uint64_t hash = 0xCBF29CE484222325u;
    size_t at = 0, seen = 0;
    for (;;) {
        struct slice part = {input.ptr + at, seen - at};
        struct frame_read read;
        size_t need = frame_need(part, MESSAGE_BYTES_MAX);
        enum frame_event event = frame_read(&reader, part, &read);
        ASSERT(reader.message.len <= MESSAGE_BYTES_MAX && read.used <= part.len);
        if (event == FRAME_EVENT_PARTIAL) {
            ASSERT(read.need > part.len && read.need <= MESSAGE_BYTES_MAX + 14);
            ASSERT(need > part.len && need <= read.need);
            if (seen == input.len) {
                break;
            }
            seen = input.len - seen < step ? input.len : seen + step;
            continue;
        }
        hash = mix(hash, &event, sizeof(event));
        if (event == FRAME_EVENT_WRONG) {
            ASSERT(read.code >= 1000 && read.used == 0);
            hash = mix(hash, &read.code, sizeof(read.code));
            break;
        }
        ASSERT(read.used >= 6);
        if (event == FRAME_EVENT_TEXT) {
            ASSERT(slice_is_utf8(buf_slice(&reader.message), NULL));
            hash = mix(hash, reader.message.ptr, reader.message.len);
        }
        hash = mix(hash, read.payload, read.payload_len);
        at += read.used;
    }
    frame_reader_fini(&reader);
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice input = {(const char *)data, size};
    uint64_t whole = read_all(input, size + 1);
    ASSERT(whole == read_all(input, 1) && whole == read_all(input, 7));
    return 0;
}
