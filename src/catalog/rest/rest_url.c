/* Addresses: every name of a person goes into its segment encoded, so that none leaves it. */
#include "catalog/rest/rest_int.h"

#define SEPARATOR_BYTES_MAX 24
#define PREFIX_BYTES_MAX 1024

static bool is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* "." and ".." would be resolved by whoever is in between: their dots are encoded too. */
void rest_url__encode(struct buf *out, struct slice text)
{
    bool is_dots = slice_equal(text, SLICE(".")) || slice_equal(text, SLICE(".."));
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (is_unreserved(c) && !is_dots) {
            buf_append_char(out, c);
        } else {
            buf_printf(out, "%%%02X", (unsigned char)c);
        }
    }
}

bool rest_url__is_separator(struct slice text)
{
    bool is_valid = text.len > 0 && text.len <= SEPARATOR_BYTES_MAX;
    for (size_t i = 0; is_valid && i < text.len; i++) {
        bool is_escape = text.ptr[i] == '%' && i + 2 < text.len && is_hex(text.ptr[i + 1]) &&
                         is_hex(text.ptr[i + 2]);
        is_valid = is_escape || (text.ptr[i] != '%' && is_unreserved(text.ptr[i]));
        i += is_escape ? 2 : 0;
    }
    return is_valid;
}

/* The specification says nothing of how a prefix is encoded and clients take it as it is: what can
 * stand in a path stays, so that one that is encoded already stays so. */
bool rest_url__prefix(struct slice text, struct buf *out)
{
    if (text.len > PREFIX_BYTES_MAX) {
        return false;
    }
    while (text.len > 0 && text.ptr[0] == '/') {
        text = (struct slice){text.ptr + 1, text.len - 1};
    }
    while (text.len > 0 && text.ptr[text.len - 1] == '/') {
        text.len--;
    }
    for (size_t start = 0, i = 0; text.len > 0 && i <= text.len; i++) {
        bool is_end = i == text.len || text.ptr[i] == '/';
        struct slice segment = {text.ptr + start, i - start};
        if (is_end && (segment.len == 0 || slice_equal(segment, SLICE(".")) ||
                       slice_equal(segment, SLICE("..")))) {
            return false;
        }
        start = is_end ? i + 1 : start;
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool is_escape =
            c == '%' && i + 2 < text.len && is_hex(text.ptr[i + 1]) && is_hex(text.ptr[i + 2]);
        if (is_unreserved(c) || c == '/' || is_escape) {
            buf_append_char(out, c);
        } else {
            buf_printf(out, "%%%02X", (unsigned char)c);
        }
    }
    if (text.len > 0) {
        buf_append_char(out, '/');
    }
    return true;
}

void rest_url__levels(struct buf *out, const struct rest_config *config,
                      const struct rest_namespace *ns)
{
    for (size_t i = 0; i < ns->level_count; i++) {
        buf_append_str(out, i == 0 ? "" : config->separator);
        rest_url__encode(out, ns->levels[i]);
    }
}

void rest_url__namespace(struct buf *out, const struct rest_config *config,
                         const struct rest_namespace *ns)
{
    buf_printf(out, "v1/%snamespaces/", config->prefix);
    rest_url__levels(out, config, ns);
}
