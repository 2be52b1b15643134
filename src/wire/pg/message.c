#include "wire/pg/message.h"

uint8_t pg__read8(struct pg_reader *reader)
{
    struct slice bytes = pg__read_bytes(reader, 1);
    return bytes.len == 1 ? (uint8_t)bytes.ptr[0] : 0;
}

uint16_t pg__read16(struct pg_reader *reader)
{
    struct slice bytes = pg__read_bytes(reader, 2);
    return bytes.len == 2
               ? (uint16_t)((unsigned char)bytes.ptr[0] << 8 | (unsigned char)bytes.ptr[1])
               : 0;
}

uint32_t pg__peek32(const char *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof(value));
    return __builtin_bswap32(value);
}

uint32_t pg__read32(struct pg_reader *reader)
{
    struct slice bytes = pg__read_bytes(reader, 4);
    return bytes.len == 4 ? pg__peek32(bytes.ptr) : 0;
}

struct slice pg__read_bytes(struct pg_reader *reader, size_t len)
{
    if (reader->failed || len > reader->rest.len) {
        reader->failed = true;
        return (struct slice){"", 0};
    }
    struct slice bytes = {reader->rest.ptr, len};
    reader->rest = (struct slice){reader->rest.ptr + len, reader->rest.len - len};
    return bytes;
}

struct slice pg__read_text(struct pg_reader *reader)
{
    const char *end = reader->failed || reader->rest.len == 0
                          ? NULL
                          : memchr(reader->rest.ptr, '\0', reader->rest.len);
    if (end == NULL) {
        reader->failed = true;
        return (struct slice){"", 0};
    }
    struct slice text = pg__read_bytes(reader, (size_t)(end - reader->rest.ptr));
    (void)pg__read8(reader);
    return text;
}

size_t pg__begin(struct buf *out, char type)
{
    buf_append_char(out, type);
    size_t begun = out->len;
    pg_put32(out, 0);
    return begun;
}

void pg__end(struct buf *out, size_t begun)
{
    if (!buf_failed(out)) {
        uint32_t len = __builtin_bswap32((uint32_t)(out->len - begun));
        memcpy(out->ptr + begun, &len, sizeof(len));
    }
}

void pg__write_text(struct buf *out, struct slice text)
{
    const char *nul = text.len == 0 ? NULL : memchr(text.ptr, '\0', text.len);
    buf_append(out, text.ptr, nul == NULL ? text.len : (size_t)(nul - text.ptr));
    buf_append_char(out, '\0');
}

void pg__write_empty(struct buf *out, char type)
{
    pg__end(out, pg__begin(out, type));
}

void pg__write_ready(struct buf *out, char status)
{
    size_t begun = pg__begin(out, 'Z');
    buf_append_char(out, status);
    pg__end(out, begun);
}

void pg__write_tag(struct buf *out, const char *tag)
{
    size_t begun = pg__begin(out, 'C');
    pg__write_text(out, slice_of(tag));
    pg__end(out, begun);
}

void pg__write_count_tag(struct buf *out, const char *words, uint64_t count)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + count % 10);
        count /= 10;
    } while (count > 0);
    size_t begun = pg__begin(out, 'C');
    buf_append_str(out, words);
    pg__write_text(out, (struct slice){digits + at, sizeof(digits) - at});
    pg__end(out, begun);
}

void pg__write_parameter(struct buf *out, const char *name, const char *value)
{
    size_t begun = pg__begin(out, 'S');
    pg__write_text(out, slice_of(name));
    pg__write_text(out, slice_of(value));
    pg__end(out, begun);
}

/* A message may repeat a name of the client's, and names need not be UTF-8; what is sent is. */
static void write_field(struct buf *out, char code, const char *text)
{
    struct slice rest = slice_of(text);
    size_t bad;
    if (rest.len == 0) {
        return;
    }
    buf_append_char(out, code);
    while (!slice_is_utf8(rest, &bad)) {
        buf_append(out, rest.ptr, bad);
        buf_append_str(out, "\xEF\xBF\xBD");
        rest = (struct slice){rest.ptr + bad + 1, rest.len - bad - 1};
    }
    pg__write_text(out, rest);
}

static size_t count_characters(struct slice text, size_t bytes)
{
    size_t count = 0;
    for (size_t i = 0; i < bytes && i < text.len; i++) {
        count += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
    }
    return count;
}

static void write_message(struct buf *out, char type, const char *severity,
                          const struct errinfo *info, struct slice statement, size_t offset,
                          const char *context)
{
    size_t begun = pg__begin(out, type);
    write_field(out, 'S', severity);
    write_field(out, 'V', severity);
    write_field(out, 'C', info->sqlstate);
    write_field(out, 'M', info->message);
    write_field(out, 'D', info->detail);
    write_field(out, 'H', info->hint);
    write_field(out, 'W', context);
    if (info->position > 0 && statement.len > 0) {
        char position[24];
        size_t at = offset + count_characters(statement, info->position - 1) + 1;
        (void)snprintf(position, sizeof(position), "%zu", at);
        write_field(out, 'P', position);
    }
    buf_append_char(out, '\0');
    pg__end(out, begun);
}

void pg__write_error(struct buf *out, const char *severity, const struct errinfo *info,
                     struct slice statement, size_t offset)
{
    write_message(out, 'E', severity, info, statement, offset, "");
}

void pg__write_error_in(struct buf *out, const char *severity, const struct errinfo *info,
                        struct slice statement, size_t offset, const char *context)
{
    write_message(out, 'E', severity, info, statement, offset, context);
}

void pg__write_notice(struct buf *out, const char *severity, const char *sqlstate,
                      const char *message)
{
    struct errinfo info;
    errinfo_init(&info);
    (void)errinfo_set(&info, ERR_INVALID, sqlstate, "%s", message);
    write_message(out, 'N', severity, &info, (struct slice){"", 0}, 0, "");
}
