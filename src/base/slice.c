#include "base/base.h"

static unsigned char fold(char c)
{
    unsigned char byte = (unsigned char)c;
    return byte >= 'A' && byte <= 'Z' ? (unsigned char)(byte + 32) : byte;
}

int slice_compare(struct slice a, struct slice b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common == 0 ? 0 : memcmp(a.ptr, b.ptr, common);
    if (order != 0) {
        return order;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

int slice_compare_fold(struct slice a, struct slice b)
{
    for (size_t i = 0; i < a.len && i < b.len; i++) {
        int order = fold(a.ptr[i]) - fold(b.ptr[i]);
        if (order != 0) {
            return order;
        }
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

bool slice_equal_fold(struct slice a, struct slice b)
{
    return a.len == b.len && slice_compare_fold(a, b) == 0;
}

bool slice_starts_with(struct slice text, struct slice prefix)
{
    return text.len >= prefix.len && slice_equal((struct slice){text.ptr, prefix.len}, prefix);
}

bool slice_starts_with_fold(struct slice text, struct slice prefix)
{
    return text.len >= prefix.len && slice_equal_fold((struct slice){text.ptr, prefix.len}, prefix);
}

bool slice_ends_with(struct slice text, struct slice suffix)
{
    return text.len >= suffix.len &&
           slice_equal((struct slice){text.ptr + (text.len - suffix.len), suffix.len}, suffix);
}

size_t slice_find(struct slice text, struct slice needle)
{
    if (needle.len == 0) {
        return 0;
    }
    for (size_t i = 0; i + needle.len <= text.len; i++) {
        const char *found = memchr(text.ptr + i, needle.ptr[0], text.len - needle.len - i + 1);
        if (found == NULL) {
            return SIZE_MAX;
        }
        i = (size_t)(found - text.ptr);
        if (memcmp(found, needle.ptr, needle.len) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct slice slice_trim(struct slice text)
{
    while (text.len > 0 && is_space(text.ptr[0])) {
        text.ptr++;
        text.len--;
    }
    while (text.len > 0 && is_space(text.ptr[text.len - 1])) {
        text.len--;
    }
    return text;
}

/* Length of the well-formed sequence at `bytes`, 0 if malformed. RFC 3629, section 4. */
static size_t utf8_sequence(const unsigned char *bytes, size_t len)
{
    unsigned char lead = bytes[0];
    if (lead < 0x80) {
        return 1;
    }
    size_t need = lead >= 0xC2 && lead <= 0xDF   ? 2
                  : (lead & 0xF0) == 0xE0        ? 3
                  : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                 : 0;
    if (need == 0 || need > len) {
        return 0;
    }
    for (size_t i = 1; i < need; i++) {
        if ((bytes[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    bool is_overlong = (lead == 0xE0 && bytes[1] < 0xA0) || (lead == 0xF0 && bytes[1] < 0x90);
    bool is_surrogate = lead == 0xED && bytes[1] > 0x9F;
    bool is_beyond = lead == 0xF4 && bytes[1] > 0x8F;
    return is_overlong || is_surrogate || is_beyond ? 0 : need;
}

bool slice_is_utf8(struct slice text, size_t *ret_bad_offset)
{
    for (size_t i = 0; i < text.len;) {
        size_t step = utf8_sequence((const unsigned char *)text.ptr + i, text.len - i);
        if (step == 0) {
            if (ret_bad_offset != NULL) {
                *ret_bad_offset = i;
            }
            return false;
        }
        i += step;
    }
    return true;
}

bool slice_to_u64(struct slice text, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (text.len == 0) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(unsigned char)text.ptr[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value)) {
            return false;
        }
    }
    *ret_value = value;
    return true;
}

bool slice_to_i64(struct slice text, int64_t *ret_value)
{
    bool is_negative = text.len > 0 && text.ptr[0] == '-';
    if (is_negative) {
        text.ptr++;
        text.len--;
    }
    uint64_t magnitude;
    if (!slice_to_u64(text, &magnitude) || magnitude > (uint64_t)INT64_MAX + is_negative) {
        return false;
    }
    *ret_value = is_negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

#define EDIT_TEXT_MAX 64

unsigned slice_edit_distance(struct slice a, struct slice b, unsigned limit)
{
    if (a.len > EDIT_TEXT_MAX || b.len > EDIT_TEXT_MAX) {
        return limit + 1;
    }
    unsigned rows[3][EDIT_TEXT_MAX + 1]; /* two back, one back, current */
    for (size_t j = 0; j <= b.len; j++) {
        rows[1][j] = (unsigned)j;
        rows[0][j] = (unsigned)j;
    }
    for (size_t i = 1; i <= a.len; i++) {
        unsigned *back2 = rows[0];
        unsigned *back1 = rows[1];
        unsigned *row = rows[2];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.len; j++) {
            unsigned char ca = fold(a.ptr[i - 1]);
            unsigned char cb = fold(b.ptr[j - 1]);
            unsigned best = back1[j - 1] + (ca != cb);
            best = back1[j] + 1 < best ? back1[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            if (i > 1 && j > 1 && ca == fold(b.ptr[j - 2]) && cb == fold(a.ptr[i - 2]) &&
                back2[j - 2] + 1 < best) {
                best = back2[j - 2] + 1;
            }
            row[j] = best;
        }
        memcpy(rows[0], rows[1], sizeof(rows[0]));
        memcpy(rows[1], rows[2], sizeof(rows[1]));
    }
    unsigned distance = rows[1][b.len];
    return distance > limit ? limit + 1 : distance;
}
