#include "cli/text.h"

/* A byte that does not start a well-formed sequence (RFC 3629). */
static const uint32_t not_utf8 = UINT32_MAX;

size_t text_decode(struct slice text, uint32_t *ret_code_point)
{
    ASSERT(text.len > 0);
    const unsigned char *bytes = (const unsigned char *)text.ptr;
    size_t len = bytes[0] < 0x80 ? 1 : bytes[0] < 0xE0 ? 2 : bytes[0] < 0xF0 ? 3 : 4;
    if (len == 1) {
        *ret_code_point = bytes[0];
        return 1;
    }
    if (len > text.len || !slice_is_utf8((struct slice){text.ptr, len}, NULL)) {
        *ret_code_point = not_utf8;
        return 1;
    }
    uint32_t value = bytes[0] & (0x7Fu >> len);
    for (size_t i = 1; i < len; i++) {
        value = value << 6 | (bytes[i] & 0x3Fu);
    }
    *ret_code_point = value;
    return len;
}

struct range {
    uint32_t first, last;
};

static bool is_in(const struct range *ranges, size_t count, uint32_t value)
{
    for (size_t i = 0; i < count; i++) {
        if (value >= ranges[i].first && value <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

/* Blocks rather than single characters: Unicode's East Asian Width W and F, and the common
 * combining marks. wcwidth was tried: it knows nothing outside of ASCII in the C locale. */
static const struct range wide[] = {
    {0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0xA4CF},   {0xA960, 0xA97F},
    {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},
    {0xFFE0, 0xFFE6},   {0x1F300, 0x1F64F}, {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF},
    {0x1FA70, 0x1FAFF}, {0x20000, 0x3FFFD},
};
static const struct range combining[] = {
    {0x0300, 0x036F}, {0x0483, 0x0489}, {0x0591, 0x05BD},   {0x064B, 0x065F}, {0x0900, 0x0902},
    {0x093C, 0x093C}, {0x0941, 0x0948}, {0x094D, 0x094D},   {0x0E31, 0x0E31}, {0x0E34, 0x0E3A},
    {0x0E47, 0x0E4E}, {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF},   {0x200B, 0x200D}, {0x20D0, 0x20FF},
    {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}, {0xE0100, 0xE01EF},
};
/* Marks that reorder or hide text. */
static const struct range reordering[] = {
    {0x061C, 0x061C}, {0x200E, 0x200F}, {0x2028, 0x202E},   {0x2060, 0x206F},
    {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xE0000, 0xE007F},
};

unsigned text_code_width(uint32_t code_point)
{
    if (code_point < 0x300) {
        return 1;
    }
    return is_in(combining, ARRAY_COUNT(combining), code_point) ? 0
           : is_in(wide, ARRAY_COUNT(wide), code_point)         ? 2
                                                                : 1;
}

size_t text_width(struct slice text)
{
    size_t width = 0;
    for (size_t i = 0; i < text.len;) {
        uint32_t code_point;
        i += text_decode((struct slice){text.ptr + i, text.len - i}, &code_point);
        width += text_code_width(code_point);
    }
    return width;
}

static bool is_plain(uint32_t code_point)
{
    bool is_control = code_point < 0x20 || (code_point >= 0x7F && code_point < 0xA0);
    return !is_control && code_point != not_utf8 &&
           (code_point < 0x300 || !is_in(reordering, ARRAY_COUNT(reordering), code_point));
}

static void escape_one(struct buf *out, uint32_t code_point, unsigned char byte)
{
    switch (code_point) {
    case '\n':
        buf_append_str(out, "\\n");
        break;
    case '\r':
        buf_append_str(out, "\\r");
        break;
    case '\t':
        buf_append_str(out, "\\t");
        break;
    default:
        if (code_point == not_utf8 || code_point < 0x80) {
            buf_printf(out, "\\x%02x", byte);
        } else {
            buf_printf(out, "\\u%04x", code_point);
        }
    }
}

void text_escape(struct buf *out, struct slice text, enum text_keep keep)
{
    size_t plain = 0; /* start of what was not yet appended */
    for (size_t i = 0; i < text.len;) {
        uint32_t code_point;
        size_t len = text_decode((struct slice){text.ptr + i, text.len - i}, &code_point);
        bool is_line_end = code_point == '\r' && i + 1 < text.len && text.ptr[i + 1] == '\n';
        bool is_layout = code_point == '\n' || code_point == '\t' || is_line_end;
        if (!is_plain(code_point) && !(keep == KEEP_LAYOUT && is_layout)) {
            buf_append(out, text.ptr + plain, i - plain);
            escape_one(out, code_point, (unsigned char)text.ptr[i]);
            plain = i + len;
        }
        i += len;
    }
    if (text.len > plain) {
        buf_append(out, text.ptr + plain, text.len - plain);
    }
}

void text_cut(struct buf *out, struct slice text, size_t width, bool is_unicode)
{
    const char *ellipsis = is_unicode ? "\xe2\x80\xa6" : "...";
    size_t ellipsis_width = is_unicode ? 1 : 3;
    size_t fits = 0; /* bytes that leave room for the ellipsis */
    size_t used = 0;
    for (size_t i = 0; i < text.len;) {
        uint32_t code_point;
        size_t len = text_decode((struct slice){text.ptr + i, text.len - i}, &code_point);
        used += text_code_width(code_point);
        if (used > width) {
            buf_append(out, text.ptr, fits);
            size_t shown = text_width((struct slice){text.ptr, fits});
            buf_append(out, ellipsis,
                       width - shown < ellipsis_width && !is_unicode ? width - shown
                                                                     : strlen(ellipsis));
            return;
        }
        i += len;
        fits = used + ellipsis_width <= width ? i : fits;
    }
    buf_append_slice(out, text);
}
