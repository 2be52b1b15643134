/* Which metrics a table wants, and bounds cut to length (spec Appendix D, "Bounds"). */
#include "iceberg/write_int.h"

#define LENGTH_DEFAULT 16
#define LENGTH_MAX 10000

static bool parse_mode(struct slice text, struct iceberg_metrics_want *ret_want)
{
    static const struct {
        const char *word;
        enum iceberg_metrics_mode mode;
    } words[] = {{"none", ICEBERG_METRICS_NONE},
                 {"counts", ICEBERG_METRICS_COUNTS},
                 {"full", ICEBERG_METRICS_FULL}};
    int64_t length;
    text = slice_trim(text);
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (slice_equal_fold(text, slice_of(words[i].word))) {
            *ret_want = (struct iceberg_metrics_want){words[i].mode, 0};
            return true;
        }
    }
    struct slice head = SLICE("truncate(");
    if (!slice_starts_with_fold(text, head) || text.ptr[text.len - 1] != ')' ||
        !slice_to_i64((struct slice){text.ptr + head.len, text.len - head.len - 1}, &length) ||
        length < 1 || length > LENGTH_MAX) {
        return false;
    }
    *ret_want = (struct iceberg_metrics_want){ICEBERG_METRICS_TRUNCATE, (uint32_t)length};
    return true;
}

struct iceberg_metrics_want iceberg_metrics_wanted(const struct iceberg_metadata *metadata,
                                                   struct slice path)
{
    static const struct slice column = {"write.metadata.metrics.column.", 30};
    struct iceberg_metrics_want want = {ICEBERG_METRICS_TRUNCATE, LENGTH_DEFAULT};
    (void)parse_mode(iceberg_metadata_property(metadata, "write.metadata.metrics.default"), &want);
    for (size_t i = 0; i < metadata->property_count; i++) {
        struct slice key = metadata->properties[i].key;
        if (slice_starts_with(key, column) &&
            slice_equal((struct slice){key.ptr + column.len, key.len - column.len}, path)) {
            (void)parse_mode(metadata->properties[i].value, &want);
        }
    }
    return want;
}

/* ---- bounds ---- */

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* Where the first `count` characters end; all of it when there are fewer. */
static size_t characters_end(struct slice text, uint32_t count)
{
    size_t at = 0;
    for (uint32_t i = 0; i < count && at < text.len; i++) {
        at++;
        while (at < text.len && is_continuation(text.ptr[at])) {
            at++;
        }
    }
    return at;
}

static uint32_t decode_character(struct slice bytes)
{
    unsigned char first = (unsigned char)bytes.ptr[0];
    uint32_t value = bytes.len == 1 ? first : first & (0x7fu >> bytes.len);
    for (size_t i = 1; i < bytes.len; i++) {
        value = value << 6 | ((unsigned char)bytes.ptr[i] & 0x3f);
    }
    return value;
}

static size_t encode_character(uint32_t value, char out[4])
{
    if (value < 0x80) {
        out[0] = (char)value;
        return 1;
    }
    size_t len = value < 0x800 ? 2 : value < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, value >>= 6) {
        out[i] = (char)(0x80 | (value & 0x3f));
    }
    out[0] = (char)((0xf00u >> len) | value);
    return len;
}

/* The least text of no more characters that is above all that begin with `text`: the last character
 * that has a next one is raised, those behind it go. Surrogates are no characters. */
static bool raise_text(struct slice text, struct buf *out)
{
    for (size_t end = text.len; end > 0;) {
        size_t at = end - 1;
        while (at > 0 && is_continuation(text.ptr[at])) {
            at--;
        }
        uint32_t next = decode_character((struct slice){text.ptr + at, end - at}) + 1;
        next = next == 0xd800 ? 0xe000 : next;
        if (next <= 0x10ffff) {
            char raised[4];
            buf_append(out, text.ptr, at);
            buf_append(out, raised, encode_character(next, raised));
            return true;
        }
        end = at;
    }
    return false;
}

static bool raise_bytes(struct slice bytes, struct buf *out)
{
    size_t end = bytes.len;
    while (end > 0 && (unsigned char)bytes.ptr[end - 1] == 0xff) {
        end--;
    }
    if (end > 0) {
        buf_append(out, bytes.ptr, end);
        out->failed = out->failed || out->ptr == NULL;
        if (!buf_failed(out)) {
            out->ptr[out->len - 1]++;
        }
    }
    return end > 0;
}

/* False: there is no such bound. */
static bool write_bound(const struct iceberg_value *value, struct iceberg_metrics_want want,
                        bool is_upper, struct buf *out)
{
    bool is_text = value->type == ICEBERG_STRING;
    bool is_cut = want.mode == ICEBERG_METRICS_TRUNCATE &&
                  (is_text || value->type == ICEBERG_BINARY || value->type == ICEBERG_FIXED);
    struct slice kept = value->bytes;
    if (is_cut) {
        kept.len = is_text                  ? characters_end(kept, want.length)
                   : kept.len < want.length ? kept.len
                                            : want.length;
    }
    if (!is_cut || kept.len == value->bytes.len) {
        iceberg_value_encode(value, out);
        return true;
    }
    if (is_upper) {
        return is_text ? raise_text(kept, out) : raise_bytes(kept, out);
    }
    buf_append_slice(out, kept);
    return true;
}

enum err iceberg_metrics_bound(const struct iceberg_value *value, struct iceberg_metrics_want want,
                               bool is_upper, struct arena *arena, struct slice *ret_bound,
                               struct errinfo *info)
{
    struct buf bytes CLEANUP(buf_fini) = {0};
    bool is_real = value->type == ICEBERG_FLOAT || value->type == ICEBERG_DOUBLE;
    bool has_none = value->is_null || (is_real && value->real != value->real) ||
                    want.mode == ICEBERG_METRICS_NONE || want.mode == ICEBERG_METRICS_COUNTS;
    *ret_bound = (struct slice){NULL, 0};
    if (has_none || !write_bound(value, want, is_upper, &bytes)) {
        return ERR_OK;
    }
    return !buf_failed(&bytes) && arena_slice(arena, buf_slice(&bytes), ret_bound)
               ? ERR_OK
               : errinfo_nomem(info);
}
