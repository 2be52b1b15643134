/* Parameters to text that the engine converts. Every byte is foreign: lengths are checked before
 * anything is read, and counts against the bytes that would be needed. */
#include <math.h>

#include "wire/pgvalue/pgvalue_int.h"

#include "base/digits.h"

#define ARRAY_DIMENSIONS_MAX 6
#define NUMERIC_GROUPS_WIDE_MAX 40 /* more than any number of the engine has */

static enum err bad_binary(struct errinfo *info)
{
    return errinfo_set(info, ERR_INVALID, "22P03", "incorrect binary data format in a parameter");
}

static uint64_t get(struct slice bytes, size_t at, size_t len)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        value = value << 8 | (unsigned char)bytes.ptr[at + i];
    }
    return value;
}

/* ---- the engine's texts ---- */

/* \xAB\xCD: how the engine writes bytes. */
static void append_blob(struct slice bytes, struct buf *out)
{
    for (size_t i = 0; i < bytes.len; i++) {
        buf_printf(out, "\\x%02X", (unsigned char)bytes.ptr[i]);
    }
}

/* PostgreSQL's texts of bytea: \x4142, or with \ooo and \\ escapes. */
static enum err bytea_text(struct slice text, struct buf *out, struct errinfo *info)
{
    bool is_hex = slice_starts_with(text, SLICE("\\x"));
    for (size_t i = is_hex ? 2 : 0; i < text.len;) {
        unsigned char byte = (unsigned char)text.ptr[i];
        size_t used = 1;
        if (is_hex && strchr(" \t\n\r", text.ptr[i]) != NULL && byte != '\0') {
            i++;
            continue;
        }
        if (is_hex) {
            int high = digits_hex(text.ptr[i]);
            int low = i + 1 < text.len ? digits_hex(text.ptr[i + 1]) : -1;
            if (high < 0 || low < 0) {
                return errinfo_set(info, ERR_INVALID, "22P02",
                                   "invalid hexadecimal digits for type bytea");
            }
            byte = (unsigned char)(high << 4 | low);
            used = 2;
        } else if (byte == '\\' && i + 1 < text.len && text.ptr[i + 1] == '\\') {
            used = 2;
        } else if (byte == '\\') {
            uint32_t value = 0;
            for (size_t j = 1; j <= 3; j++) {
                char c = i + j < text.len ? text.ptr[i + j] : '9';
                value = c >= '0' && c <= '7' ? value * 8 + (uint32_t)(c - '0') : 1000;
            }
            if (value > 255) {
                return errinfo_set(info, ERR_INVALID, "22P02", "invalid escape for type bytea");
            }
            byte = (unsigned char)value;
            used = 4;
        }
        append_blob((struct slice){(const char *)&byte, 1}, out);
        i += used;
    }
    return ERR_OK;
}

/* An element of a list in the engine's text. */
static void append_list_element(struct slice text, struct buf *out)
{
    buf_append_char(out, '\'');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\'' || text.ptr[i] == '\\') {
            buf_append_char(out, '\\');
        }
        buf_append_char(out, text.ptr[i]);
    }
    buf_append_char(out, '\'');
}

/* ---- arrays as text: {1,NULL,"a b"} ---- */

static enum err bad_array(struct errinfo *info)
{
    return errinfo_set(info, ERR_INVALID, "22P02", "malformed array literal in a parameter");
}

/* One element at `*at`, up to its comma or brace. */
static enum err array_element(uint32_t element_oid, struct slice text, size_t *at, struct buf *out,
                              struct errinfo *info)
{
    struct buf element CLEANUP(buf_fini) = {0};
    struct buf value CLEANUP(buf_fini) = {0};
    bool is_quoted = *at < text.len && text.ptr[*at] == '"';
    size_t i = *at + is_quoted;
    for (; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '\\' && i + 1 < text.len) {
            buf_append_char(&element, text.ptr[++i]);
        } else if (is_quoted ? c == '"' : c == ',' || c == '}') {
            break;
        } else if (!is_quoted && (c == '{' || c == '"')) {
            return bad_array(info);
        } else {
            buf_append_char(&element, c);
        }
    }
    if (i >= text.len || (!is_quoted && element.len == 0)) {
        return bad_array(info);
    }
    *at = i + is_quoted;
    if (!is_quoted && slice_equal_fold(buf_slice(&element), SLICE("NULL"))) {
        buf_append_str(out, "NULL");
        return ERR_OK;
    }
    TRY(pg_decode(element_oid, PG_FORMAT_TEXT, buf_slice(&element), &value, info));
    append_list_element(buf_slice(&value), out);
    return buf_failed(&element) || buf_failed(&value) ? errinfo_nomem(info) : ERR_OK;
}

static enum err array_text(uint32_t element_oid, struct slice text, struct buf *out,
                           struct errinfo *info)
{
    text = slice_trim(text);
    if (text.len < 2 || text.ptr[0] != '{' || text.ptr[text.len - 1] != '}') {
        return bad_array(info);
    }
    buf_append_char(out, '[');
    size_t at = 1;
    while (at < text.len - 1) {
        while (at < text.len - 1 && text.ptr[at] == ' ') {
            at++;
        }
        if (text.ptr[at] == '{') {
            return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                               "arrays of more than one dimension cannot be parameters");
        }
        TRY(array_element(element_oid, text, &at, out, info));
        if (at < text.len - 1 && text.ptr[at] != ',') {
            return bad_array(info);
        }
        if (at < text.len - 1) {
            buf_append_str(out, ", ");
            at++;
            if (at == text.len - 1) {
                return bad_array(info);
            }
        }
    }
    buf_append_char(out, ']');
    return ERR_OK;
}

/* ---- binary ---- */

static enum err array_binary(uint32_t element_oid, struct slice bytes, struct buf *out,
                             struct errinfo *info)
{
    struct buf value CLEANUP(buf_fini) = {0};
    if (bytes.len < 12 || get(bytes, 0, 4) > ARRAY_DIMENSIONS_MAX ||
        get(bytes, 8, 4) != element_oid) {
        return bad_binary(info);
    }
    uint64_t dimensions = get(bytes, 0, 4);
    if (dimensions > 1) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                           "arrays of more than one dimension cannot be parameters");
    }
    if (bytes.len < 12 + dimensions * 8) {
        return bad_binary(info);
    }
    uint64_t count = dimensions == 0 ? 0 : get(bytes, 12, 4);
    size_t at = 12 + (size_t)dimensions * 8;
    buf_append_char(out, '[');
    for (uint64_t i = 0; i < count; i++) {
        buf_append_str(out, i == 0 ? "" : ", ");
        if (bytes.len - at < 4) {
            return bad_binary(info);
        }
        int32_t len = (int32_t)get(bytes, at, 4);
        at += 4;
        if (len == -1) {
            buf_append_str(out, "NULL");
            continue;
        }
        if (len < 0 || (size_t)len > bytes.len - at) {
            return bad_binary(info);
        }
        buf_reset(&value);
        struct slice element = {bytes.ptr + at, (size_t)len};
        TRY(pg_decode(element_oid, PG_FORMAT_BINARY, element, &value, info));
        append_list_element(buf_slice(&value), out);
        at += (size_t)len;
    }
    buf_append_char(out, ']');
    return at != bytes.len ? bad_binary(info) : buf_failed(&value) ? errinfo_nomem(info) : ERR_OK;
}

static enum err numeric_binary(struct slice bytes, struct buf *out, struct errinfo *info)
{
    if (bytes.len < 8) {
        return bad_binary(info);
    }
    uint64_t count = get(bytes, 0, 2);
    int weight = (int16_t)get(bytes, 2, 2);
    uint64_t sign = get(bytes, 4, 2);
    uint64_t scale = get(bytes, 6, 2);
    if (sign == 0xC000) {
        buf_append_str(out, "NaN");
        return ERR_OK;
    }
    if (count > NUMERIC_GROUPS_WIDE_MAX || weight > NUMERIC_GROUPS_WIDE_MAX ||
        weight < -NUMERIC_GROUPS_WIDE_MAX || scale > 4 * NUMERIC_GROUPS_WIDE_MAX ||
        (sign != 0 && sign != 0x4000) || bytes.len != 8 + count * 2) {
        return sign == 0xD000 || sign == 0xF000
                   ? errinfo_set(info, ERR_INVALID, "22003",
                                 "an infinite numeric has no value here")
                   : bad_binary(info);
    }
    buf_append_str(out, sign != 0 ? "-" : "");
    size_t start = out->len;
    for (int group = weight > 0 ? weight : 0; group >= -(int)((scale + 3) / 4); group--) {
        int index = weight - group;
        uint64_t digits =
            index >= 0 && index < (int)count ? get(bytes, 8 + (size_t)index * 2, 2) : 0;
        if (digits > 9999) {
            return bad_binary(info);
        }
        if (group == -1) {
            buf_append_char(out, '.');
        }
        uint64_t places = group >= 0 ? 4 : scale - (uint64_t)(-group - 1) * 4;
        char text[8];
        bool is_first = out->len == start;
        (void)snprintf(text, sizeof(text), "%0*llu", is_first ? 1 : 4, (unsigned long long)digits);
        buf_append(out, text, places < 4 ? (size_t)places : strlen(text));
    }
    return ERR_OK;
}

static void interval_text(int64_t us, int32_t days, int32_t months, struct buf *out)
{
    uint64_t magnitude = us < 0 ? 0 - (uint64_t)us : (uint64_t)us;
    buf_printf(out, "%d months %d days %s%llu:%02llu:%02llu.%06llu", months, days,
               us < 0 ? "-" : "", (unsigned long long)(magnitude / UINT64_C(3600000000)),
               (unsigned long long)(magnitude / 60000000 % 60),
               (unsigned long long)(magnitude / 1000000 % 60),
               (unsigned long long)(magnitude % 1000000));
}

static void append_bc(struct buf *out, size_t start)
{
    /* The engine writes " (BC)" where PostgreSQL writes " BC". */
    if (!buf_failed(out) && out->len - start > 3 &&
        memcmp(out->ptr + out->len - 3, " BC", 3) == 0) {
        out->len -= 3;
        buf_append_str(out, " (BC)");
    }
}

static enum err date_binary(struct slice bytes, struct buf *out, struct errinfo *info)
{
    if (bytes.len != 4) {
        return bad_binary(info);
    }
    int32_t days = (int32_t)get(bytes, 0, 4);
    size_t start = out->len;
    if (days == INT32_MAX || days == INT32_MIN) {
        buf_append_str(out, days > 0 ? "infinity" : "-infinity");
    } else {
        pg__print_date((int64_t)days + DAYS_TO_2000, out);
    }
    append_bc(out, start);
    return ERR_OK;
}

static enum err timestamp_binary(struct slice bytes, bool is_zoned, struct buf *out,
                                 struct errinfo *info)
{
    int64_t us;
    if (bytes.len != 8) {
        return bad_binary(info);
    }
    int64_t value = (int64_t)get(bytes, 0, 8);
    size_t start = out->len;
    if (value == INT64_MAX || value == INT64_MIN) {
        buf_append_str(out, value > 0 ? "infinity" : "-infinity");
        return ERR_OK;
    }
    if (__builtin_add_overflow(value, SECONDS_TO_2000 * 1000000, &us)) {
        return errinfo_set(info, ERR_INVALID, "22008", "a timestamp is out of range");
    }
    pg__print_timestamp(us, is_zoned, out);
    append_bc(out, start);
    return ERR_OK;
}

static enum err time_binary(struct slice bytes, bool is_zoned, struct buf *out,
                            struct errinfo *info)
{
    if (bytes.len != (is_zoned ? 12u : 8u) || get(bytes, 0, 8) > (uint64_t)US_PER_DAY) {
        return bad_binary(info);
    }
    pg__print_time((int64_t)get(bytes, 0, 8), out);
    if (is_zoned) {
        int32_t west = (int32_t)get(bytes, 8, 4);
        uint32_t seconds = west < 0 ? 0 - (uint32_t)west : (uint32_t)west;
        if (seconds >= 86400) {
            return bad_binary(info);
        }
        buf_printf(out, "%c%02u:%02u", west > 0 ? '-' : '+', seconds / 3600, seconds / 60 % 60);
    }
    return ERR_OK;
}

static enum err float_binary(struct slice bytes, bool is_single, struct buf *out,
                             struct errinfo *info)
{
    if (bytes.len != (is_single ? 4u : 8u)) {
        return bad_binary(info);
    }
    uint64_t bits = get(bytes, 0, bytes.len);
    uint32_t bits32 = (uint32_t)bits;
    float single;
    double value;
    memcpy(&single, &bits32, sizeof(single));
    memcpy(&value, &bits, sizeof(value));
    pg__print_double(is_single ? (double)single : value, is_single, out);
    return ERR_OK;
}

static enum err integer_binary(struct slice bytes, size_t len, bool is_signed, struct buf *out,
                               struct errinfo *info)
{
    if (bytes.len != len) {
        return bad_binary(info);
    }
    uint64_t value = get(bytes, 0, len);
    int64_t number = !is_signed ? (int64_t)value
                     : len == 2 ? (int16_t)value
                     : len == 4 ? (int32_t)value
                                : (int64_t)value;
    pg__print_int(number, out);
    return ERR_OK;
}

static enum err uuid_binary(struct slice bytes, struct buf *out, struct errinfo *info)
{
    if (bytes.len != 16) {
        return bad_binary(info);
    }
    for (size_t i = 0; i < 16; i++) {
        buf_printf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
                   (unsigned char)bytes.ptr[i]);
    }
    return ERR_OK;
}

/* How many, and they in bytes from the high bit on. */
static enum err bits_binary(struct slice bytes, struct buf *out, struct errinfo *info)
{
    uint64_t count = bytes.len < 4 ? UINT64_MAX : get(bytes, 0, 4);
    if (count > INT32_MAX || bytes.len - 4 != (count + 7) / 8) {
        return bad_binary(info);
    }
    for (size_t i = 0; i < count; i++) {
        bool is_set = ((unsigned char)bytes.ptr[4 + i / 8] >> (7 - i % 8) & 1) != 0;
        buf_append_char(out, is_set ? '1' : '0');
    }
    return ERR_OK;
}

static enum err plain_text(struct slice bytes, struct buf *out, struct errinfo *info)
{
    if (!slice_is_utf8(bytes, NULL) ||
        (bytes.len > 0 && memchr(bytes.ptr, '\0', bytes.len) != NULL)) {
        return errinfo_set(info, ERR_INVALID, "22021", "a parameter is not valid UTF-8 text");
    }
    buf_append_slice(out, bytes);
    return ERR_OK;
}

static enum err decode_binary(uint32_t oid, struct slice bytes, struct buf *out,
                              struct errinfo *info)
{
    switch (oid) {
    case PG_BOOL:
        if (bytes.len != 1) {
            return bad_binary(info);
        }
        buf_append_str(out, bytes.ptr[0] != 0 ? "true" : "false");
        return ERR_OK;
    case PG_INT2:
        return integer_binary(bytes, 2, true, out, info);
    case PG_INT4:
        return integer_binary(bytes, 4, true, out, info);
    case PG_INT8:
        return integer_binary(bytes, 8, true, out, info);
    case PG_OID:
        return integer_binary(bytes, 4, false, out, info);
    case PG_FLOAT4:
        return float_binary(bytes, true, out, info);
    case PG_FLOAT8:
        return float_binary(bytes, false, out, info);
    case PG_NUMERIC:
        return numeric_binary(bytes, out, info);
    case PG_BYTEA:
        append_blob(bytes, out);
        return ERR_OK;
    case PG_DATE:
        return date_binary(bytes, out, info);
    case PG_TIME:
    case PG_TIMETZ:
        return time_binary(bytes, oid == PG_TIMETZ, out, info);
    case PG_TIMESTAMP:
    case PG_TIMESTAMPTZ:
        return timestamp_binary(bytes, oid == PG_TIMESTAMPTZ, out, info);
    case PG_INTERVAL:
        if (bytes.len != 16) {
            return bad_binary(info);
        }
        interval_text((int64_t)get(bytes, 0, 8), (int32_t)get(bytes, 8, 4),
                      (int32_t)get(bytes, 12, 4), out);
        return ERR_OK;
    case PG_UUID:
        return uuid_binary(bytes, out, info);
    case PG_BIT:
    case PG_VARBIT:
        return bits_binary(bytes, out, info);
    case PG_JSONB:
        if (bytes.len < 1 || bytes.ptr[0] != 1) { /* the version of the format */
            return bad_binary(info);
        }
        return plain_text((struct slice){bytes.ptr + 1, bytes.len - 1}, out, info);
    case 0:
    case PG_TEXT:
    case PG_VARCHAR:
    case PG_BPCHAR:
    case PG_NAME:
    case PG_CHAR:
    case PG_JSON:
    case PG_UNKNOWN:
        return plain_text(bytes, out, info);
    default:
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                          "a parameter of the type with OID %u cannot be read in binary", oid);
        errinfo_hint(info, "Send it as text.");
        return ERR_UNSUPPORTED;
    }
}

/* Numbers and truth are read here, since their values keep their kind: what no such text is must
 * not go on as another one. */
static enum err scalar_text(uint32_t oid, struct slice bytes, struct buf *out, struct errinfo *info)
{
    bool is_true;
    int64_t integer;
    double real;
    struct buf checked CLEANUP(buf_fini) = {0};
    TRY(plain_text(bytes, &checked, info));
    struct slice text = buf_slice(&checked);
    switch (oid) {
    case PG_BOOL:
        TRY(pg_read_bool(text, &is_true, info));
        buf_append_str(out, is_true ? "true" : "false");
        return ERR_OK;
    case PG_INT2:
    case PG_INT4:
    case PG_INT8:
        TRY(pg_read_integer(oid, text, &integer, info));
        buf_printf(out, "%lld", (long long)integer);
        return ERR_OK;
    case PG_FLOAT4:
    case PG_FLOAT8:
        TRY(pg_read_float(oid, text, &real, info));
        buf_append_slice(out, slice_trim(text));
        return ERR_OK;
    default:
        buf_append_slice(out, text);
        return ERR_OK;
    }
}

enum err pg_decode(uint32_t oid, enum pg_format format, struct slice bytes, struct buf *ret_text,
                   struct errinfo *info)
{
    const struct pg_type_row *element = pg__element_row(oid);
    enum err err;
    if (element != NULL) {
        err = format == PG_FORMAT_TEXT ? array_text(element->oid, bytes, ret_text, info)
                                       : array_binary(element->oid, bytes, ret_text, info);
    } else if (format == PG_FORMAT_BINARY) {
        err = decode_binary(oid, bytes, ret_text, info);
    } else if (oid == PG_BYTEA) {
        err = bytea_text(bytes, ret_text, info);
    } else {
        err = scalar_text(oid, bytes, ret_text, info);
    }
    return err == ERR_OK && buf_failed(ret_text) ? errinfo_nomem(info) : err;
}
