/* Lines and cells as PostgreSQL 15 reads them (its copyfromparse.c was read for the rules: which
 * ends of lines may follow which, what a backslash hides, where a quote counts).
 *
 * What comes is kept until it is a whole line, or a whole row in binary, so that a cell is one
 * piece of memory; how much that may be is limited. A scan that ran out of bytes goes on where it
 * stopped. */
#include "wire/pg/copy_read.h"

#include "base/digits.h"

#include "wire/pg/message.h"

#define VALUE_CHARACTERS_MAX 100 /* of one that a message quotes */
#define BINARY_HEADER_BYTES 19u

void copy_reader_init(struct copy_reader *reader)
{
    reader->line = 0;
    reader->column = SIZE_MAX;
    buf_init(&reader->pending);
    buf_init(&reader->scratch);
}

void copy_reader_fini(struct copy_reader *reader)
{
    buf_fini(&reader->pending);
    buf_fini(&reader->scratch);
}

static enum err bad_format(struct errinfo *info, const char *message)
{
    return errinfo_set(info, ERR_INVALID, "22P04", "%s", message);
}

static enum err at_column(struct copy_reader *reader, size_t column)
{
    reader->column = column;
    reader->has_value = !reader->cells[column].is_null;
    reader->value = reader->cells[column].value;
    return ERR_INVALID;
}

static enum err bad_utf8(struct slice text, size_t at, struct errinfo *info)
{
    return errinfo_set(info, ERR_INVALID, "22021",
                       "invalid byte sequence for encoding \"UTF8\": 0x%02x",
                       (unsigned char)text.ptr[at]);
}

static enum err check_text(struct slice text, struct errinfo *info)
{
    size_t bad;
    if (!slice_is_utf8(text, &bad)) {
        return bad_utf8(text, bad, info);
    }
    const char *nul = text.len == 0 ? NULL : memchr(text.ptr, '\0', text.len);
    return nul == NULL ? ERR_OK : bad_utf8(text, (size_t)(nul - text.ptr), info);
}

/* ---- rows ---- */

static enum err give_row(struct copy_reader *reader, struct errinfo *info)
{
    size_t column = SIZE_MAX;
    enum err err = reader->row(reader->context, reader->cells, &column, info);
    if (err != ERR_OK) {
        reader->has_value = false;
        if (column < reader->target_count) {
            (void)at_column(reader, column);
        }
    }
    return err;
}

/* The header of a file, if its names are to be those of the columns. */
static enum err check_header(struct copy_reader *reader, size_t count, struct errinfo *info)
{
    if (count != reader->target_count) {
        return errinfo_set(info, ERR_INVALID, "22P04",
                           "wrong number of fields in header line: got %zu, expected %zu", count,
                           reader->target_count);
    }
    for (size_t i = 0; i < count; i++) {
        const struct copy_cell *cell = &reader->cells[i];
        struct slice name = reader->targets[i].name;
        if (cell->is_null || !slice_equal(cell->value, name)) {
            struct slice got = cell->is_null ? SLICE("null value") : cell->value;
            return errinfo_set(info, ERR_INVALID, "22P04",
                               "column name mismatch in header line field %zu: got \"%.*s\", "
                               "expected \"%.*s\"",
                               i + 1, SLICE_ARGS(got), SLICE_ARGS(name));
        }
    }
    return ERR_OK;
}

static enum err end_line(struct copy_reader *reader, size_t count, struct errinfo *info)
{
    if (!reader->has_begun) {
        reader->has_begun = true;
        return check_header(reader, count, info);
    }
    if (count > reader->target_count) {
        return bad_format(info, "extra data after last expected column");
    }
    if (count < reader->target_count) {
        return errinfo_set(info, ERR_INVALID, "22P04", "missing data for column \"%.*s\"",
                           SLICE_ARGS(reader->targets[count].name));
    }
    return give_row(reader, info);
}

/* Room for one cell more than there are columns: so it shows that there are too many. */
static struct copy_cell *next_cell(struct copy_reader *reader, size_t *count)
{
    size_t at = *count < reader->target_count ? *count : reader->target_count;
    (*count)++;
    return &reader->cells[at];
}

/* ---- text ---- */

/* Up to three octal or two hexadecimal digits at *at. */
static bool take_code(struct slice text, size_t *at, char *ret_byte)
{
    unsigned value = 0;
    size_t i = *at;
    bool is_hex = text.ptr[i] == 'x';
    i += is_hex;
    size_t end = i + (is_hex ? 2 : 3);
    size_t start = i;
    for (; i < end && i < text.len; i++) {
        int digit = digits_hex(text.ptr[i]);
        if (digit < 0 || (!is_hex && digit > 7)) {
            break;
        }
        value = value * (is_hex ? 16u : 8u) + (unsigned)digit;
    }
    if (i == start) {
        return false;
    }
    *ret_byte = (char)(unsigned char)value;
    *at = i;
    return true;
}

/* `text` without its backslashes, in the scratch buffer, which has room. */
static enum err unescape(struct copy_reader *reader, struct slice text, struct slice *ret_value,
                         struct errinfo *info)
{
    static const char letters[] = "bfnrtv";
    static const char specials[] = "\b\f\n\r\t\v";
    char *begin = reader->scratch.ptr + reader->scratch.len;
    char *out = begin;
    bool has_code = false;
    for (size_t i = 0; i < text.len;) {
        char c = text.ptr[i++];
        if (c != '\\' || i == text.len) {
            *out++ = c;
            continue;
        }
        if (take_code(text, &i, out)) {
            has_code = true;
            out++;
            continue;
        }
        c = text.ptr[i++];
        const char *letter = c == '\0' ? NULL : strchr(letters, c);
        *out++ = letter == NULL ? c : specials[letter - letters];
    }
    reader->scratch.len += (size_t)(out - begin);
    *ret_value = (struct slice){begin, (size_t)(out - begin)};
    return has_code ? check_text(*ret_value, info) : ERR_OK;
}

static enum err text_cells(struct copy_reader *reader, struct slice line, struct errinfo *info)
{
    const struct pg_copy *copy = reader->copy;
    size_t count = 0;
    size_t start = 0;
    bool has_escape = false;
    for (size_t i = 0;; i++) {
        if (i < line.len && line.ptr[i] == '\\') {
            has_escape = true;
            i += i + 1 < line.len; /* what is behind it is no delimiter */
            continue;
        }
        if (i < line.len && line.ptr[i] != copy->delimiter) {
            continue;
        }
        struct copy_cell *cell = next_cell(reader, &count);
        struct slice raw = {line.ptr + start, i - start};
        *cell = (struct copy_cell){raw, slice_equal(raw, copy->null)};
        if (has_escape && !cell->is_null) {
            TRY(unescape(reader, raw, &cell->value, info));
        }
        start = i + 1;
        has_escape = false;
        if (i >= line.len) {
            return end_line(reader, count, info);
        }
    }
}

/* ---- csv ---- */

/* One cell from *at, up to its delimiter or the end of the line. */
static enum err csv_cell(struct copy_reader *reader, struct slice line, size_t *at,
                         struct copy_cell *cell, struct errinfo *info)
{
    const struct pg_copy *copy = reader->copy;
    char *begin = reader->scratch.ptr + reader->scratch.len;
    char *out = begin;
    bool was_quoted = false;
    bool is_in = false;
    size_t i = *at;
    for (; i < line.len; i++) {
        char c = line.ptr[i];
        if (is_in && c == copy->escape && i + 1 < line.len &&
            (line.ptr[i + 1] == copy->escape || line.ptr[i + 1] == copy->quote)) {
            *out++ = line.ptr[++i];
        } else if (c == copy->quote) {
            is_in = !is_in;
            was_quoted = true;
        } else if (!is_in && c == copy->delimiter) {
            break;
        } else {
            *out++ = c;
        }
    }
    if (is_in) {
        return bad_format(info, "unterminated CSV quoted field");
    }
    struct slice raw = {line.ptr + *at, i - *at};
    struct slice read = {begin, (size_t)(out - begin)};
    reader->scratch.len += was_quoted ? read.len : 0;
    *cell =
        (struct copy_cell){was_quoted ? read : raw, !was_quoted && slice_equal(raw, copy->null)};
    *at = i;
    return ERR_OK;
}

static void force(const struct copy_reader *reader, size_t column, struct copy_cell *cell)
{
    const struct copy_target *target = &reader->targets[column];
    struct slice null = reader->copy->null;
    if (cell->is_null && target->is_force_not_null) {
        *cell = (struct copy_cell){null, false};
    } else if (target->is_force_null && slice_equal(cell->value, null)) {
        cell->is_null = true;
    }
}

static enum err csv_cells(struct copy_reader *reader, struct slice line, struct errinfo *info)
{
    size_t count = 0;
    size_t at = 0;
    for (;;) {
        struct copy_cell *cell = next_cell(reader, &count);
        TRY(csv_cell(reader, line, &at, cell, info));
        if (count <= reader->target_count && reader->has_begun) {
            force(reader, count - 1, cell);
        }
        if (at >= line.len) {
            return end_line(reader, count, info);
        }
        at++;
    }
}

/* ---- lines ---- */

static enum err one_line(struct copy_reader *reader, struct slice line, struct errinfo *info)
{
    const struct pg_copy *copy = reader->copy;
    reader->line += 1 + reader->inner_lines;
    reader->inner_lines = 0;
    reader->column = SIZE_MAX;
    reader->value = line;
    reader->has_value = false;
    TRY(check_text(line, info));
    reader->has_value = true;
    if (!reader->has_begun && !copy->is_header_matched) {
        reader->has_begun = true;
        return ERR_OK;
    }
    buf_reset(&reader->scratch);
    if (buf_reserve(&reader->scratch, line.len + 1) == NULL) {
        return errinfo_nomem(info);
    }
    return copy->format == COPY_CSV ? csv_cells(reader, line, info)
                                    : text_cells(reader, line, info);
}

enum found {
    FOUND_NOTHING, /* and all was looked at */
    FOUND_SHORT,   /* it hangs on the next byte */
    FOUND_LINE,
    FOUND_END, /* \. */
};

static enum err bad_end(const struct copy_reader *reader, char c, struct errinfo *info)
{
    bool is_csv = reader->copy->format == COPY_CSV;
    const char *kind = is_csv ? "unquoted" : "literal";
    const char *name = c == '\r' ? "carriage return" : "newline";
    (void)errinfo_set(info, ERR_INVALID, "22P04", "%s %s found in data", kind, name);
    if (is_csv) {
        errinfo_hint(info, "Use quoted CSV field to represent %s.", name);
    } else {
        errinfo_hint(info, "Use \"%s\" to represent %s.", c == '\r' ? "\\r" : "\\n", name);
    }
    return ERR_INVALID;
}

/* At a CR or NL that ends a line; `*ret_len`: how long that end is. */
static enum err line_end(struct copy_reader *reader, struct slice rest, bool is_last,
                         enum found *ret_found, size_t *ret_len, struct errinfo *info)
{
    bool is_cr = rest.ptr[0] == '\r';
    bool is_crnl = is_cr && rest.len > 1 && rest.ptr[1] == '\n';
    enum copy_line_end known = reader->line_end;
    bool may_be_crnl = is_cr && (known == LINE_END_UNKNOWN || known == LINE_END_CRNL);
    if (may_be_crnl && rest.len == 1 && !is_last) {
        *ret_found = FOUND_SHORT;
        return ERR_OK;
    }
    enum copy_line_end is = !is_cr                   ? LINE_END_NL
                            : may_be_crnl && is_crnl ? LINE_END_CRNL
                                                     : LINE_END_CR;
    if (known != LINE_END_UNKNOWN && known != is) {
        reader->line += 1;
        reader->has_value = false;
        return bad_end(reader, rest.ptr[0], info);
    }
    reader->line_end = is;
    *ret_found = FOUND_LINE;
    *ret_len = is == LINE_END_CRNL ? 2 : 1;
    return ERR_OK;
}

/* At a backslash that begins "\.": is it alone on its line? */
static enum err end_marker(struct copy_reader *reader, struct slice rest, bool is_alone,
                           bool is_last, enum found *ret_found, struct errinfo *info)
{
    bool is_csv = reader->copy->format == COPY_CSV;
    bool is_ended = rest.len == 2 && is_last;
    if (rest.len < 2 || (rest.len == 2 && !is_last)) {
        *ret_found = is_last ? FOUND_NOTHING : FOUND_SHORT;
        return ERR_OK;
    }
    is_ended = is_ended || (rest.len > 2 && (rest.ptr[2] == '\n' || rest.ptr[2] == '\r'));
    if (is_ended && is_alone) {
        *ret_found = FOUND_END;
        return ERR_OK;
    }
    *ret_found = FOUND_NOTHING;
    if (is_csv) { /* a value */
        return ERR_OK;
    }
    reader->line += 1;
    reader->has_value = false;
    return bad_format(info, "end-of-copy marker is not alone on its line");
}

static void note_quotes(struct copy_reader *reader, char c)
{
    const struct pg_copy *copy = reader->copy;
    bool is_escape = c == copy->escape && copy->escape != copy->quote; /* "" toggles twice */
    if (reader->is_in_quotes && is_escape) {
        reader->was_escape = !reader->was_escape;
    }
    if (c == copy->quote && !reader->was_escape) {
        reader->is_in_quotes = !reader->is_in_quotes;
    }
    if (!is_escape) {
        reader->was_escape = false;
    }
    if (reader->is_in_quotes && c == (reader->line_end == LINE_END_NL ? '\n' : '\r')) {
        reader->inner_lines++;
    }
}

/* Looks on for the end of the line at reader->begin: behind the line at reader->scan. */
static enum err find_line(struct copy_reader *reader, bool is_last, enum found *ret_found,
                          size_t *ret_len, struct errinfo *info)
{
    bool is_csv = reader->copy->format == COPY_CSV;
    struct slice all = buf_slice(&reader->pending);
    *ret_found = FOUND_NOTHING;
    for (; reader->scan < all.len; reader->scan++) {
        char c = all.ptr[reader->scan];
        struct slice rest = {all.ptr + reader->scan, all.len - reader->scan};
        bool is_first = reader->scan == reader->begin;
        if (is_csv) {
            note_quotes(reader, c);
        }
        if ((c == '\n' || c == '\r') && !reader->is_in_quotes) {
            return line_end(reader, rest, is_last, ret_found, ret_len, info);
        }
        if (c != '\\' || (is_csv && (!is_first || reader->is_in_quotes))) {
            continue;
        }
        if (rest.len == 1 && !is_last) {
            *ret_found = FOUND_SHORT;
            return ERR_OK;
        }
        if (rest.len > 1 && rest.ptr[1] == '.') {
            TRY(end_marker(reader, rest, is_first, is_last, ret_found, info));
            if (*ret_found != FOUND_NOTHING) {
                return ERR_OK;
            }
        } else if (!is_csv && rest.len > 1) {
            reader->scan++; /* whatever it is, it does not end the line */
        }
    }
    return ERR_OK;
}

/* What was used goes, what is left goes to the front. */
static void shift(struct copy_reader *reader)
{
    struct buf *pending = &reader->pending;
    if (reader->begin > 0) {
        memmove(pending->ptr, pending->ptr + reader->begin, pending->len - reader->begin);
        pending->len -= reader->begin;
        reader->scan -= reader->begin;
        reader->begin = 0;
    }
}

static enum err check_length(struct copy_reader *reader, struct errinfo *info)
{
    if (reader->pending.len - reader->begin <= reader->line_bytes_max) {
        return ERR_OK;
    }
    reader->line += 1;
    reader->has_value = false;
    (void)errinfo_set(info, ERR_LIMIT, "54000", "a line of COPY is longer than %zu bytes",
                      reader->line_bytes_max);
    errinfo_hint(info, "server.message_bytes_max is the limit. Is a quote missing?");
    return ERR_LIMIT;
}

static enum err read_lines(struct copy_reader *reader, bool is_last, struct errinfo *info)
{
    struct buf *pending = &reader->pending;
    while (!reader->is_ended) {
        enum found found;
        size_t end_len = 0;
        TRY(find_line(reader, is_last, &found, &end_len, info));
        if (found == FOUND_END) {
            reader->is_ended = true;
            break;
        }
        if (found != FOUND_LINE && (!is_last || reader->begin == pending->len)) {
            TRY(check_length(reader, info));
            break;
        }
        struct slice line = {pending->ptr + reader->begin, reader->scan - reader->begin};
        reader->begin = reader->scan = reader->scan + end_len;
        reader->is_in_quotes = reader->was_escape = false;
        TRY(one_line(reader, line, info));
    }
    shift(reader);
    return ERR_OK;
}

/* ---- binary ---- */

static enum err binary_header(struct copy_reader *reader, struct pg_reader *in,
                              struct errinfo *info)
{
    static const char signature[] = "PGCOPY\n\377\r\n";
    struct slice begun = pg__read_bytes(in, sizeof(signature));
    if (memcmp(begun.ptr, signature, begun.len) != 0) {
        return bad_format(info, "COPY file signature not recognized");
    }
    uint32_t flags = pg__read32(in);
    uint32_t extension = pg__read32(in);
    if ((flags & 0xFFFF0000u) != 0) {
        return bad_format(info, (flags & 1u << 16) != 0
                                    ? "invalid COPY file header (WITH OIDS)"
                                    : "unrecognized critical flags in COPY file header");
    }
    if (extension > INT32_MAX) {
        return bad_format(info, "invalid COPY file header (wrong length)");
    }
    (void)pg__read_bytes(in, extension);
    reader->has_begun = !in->failed;
    return ERR_OK;
}

/* in->failed: the row is not whole yet. */
static enum err binary_row(struct copy_reader *reader, struct pg_reader *in, struct errinfo *info)
{
    int16_t count = (int16_t)pg__read16(in);
    if (in->failed) {
        return ERR_OK;
    }
    reader->column = SIZE_MAX;
    if (count == -1) {
        reader->is_ended = true;
        return ERR_OK;
    }
    if (count < 0 || (size_t)count != reader->target_count) {
        return errinfo_set(info, ERR_INVALID, "22P04", "row field count is %d, expected %zu", count,
                           reader->target_count);
    }
    for (size_t i = 0; i < reader->target_count && !in->failed; i++) {
        int32_t len = (int32_t)pg__read32(in);
        if (!in->failed && len < -1) {
            reader->column = i;
            return bad_format(info, "invalid field size");
        }
        struct slice value = len > 0 ? pg__read_bytes(in, (size_t)len) : SLICE("");
        reader->cells[i] = (struct copy_cell){value, len == -1};
    }
    return in->failed ? ERR_OK : give_row(reader, info);
}

static enum err read_rows(struct copy_reader *reader, struct errinfo *info)
{
    struct buf *pending = &reader->pending;
    while (!reader->is_ended) {
        struct pg_reader in = {
            .rest = {pending->ptr + reader->begin, pending->len - reader->begin}};
        bool is_row = reader->has_begun;
        size_t before = in.rest.len;
        if (!is_row) {
            TRY(before < BINARY_HEADER_BYTES ? ERR_OK : binary_header(reader, &in, info));
        } else {
            reader->line++;
            enum err err = binary_row(reader, &in, info);
            reader->has_value = false; /* bytes say little */
            TRY(err);
            reader->line -= in.failed;
        }
        if (in.failed || before == in.rest.len) {
            TRY(check_length(reader, info));
            break;
        }
        reader->begin += before - in.rest.len;
    }
    reader->scan = reader->begin;
    bool has_more = reader->is_ended && reader->begin < pending->len;
    shift(reader);
    return has_more ? bad_format(info, "received copy data after EOF marker") : ERR_OK;
}

/* ---- all ---- */

enum err copy_reader_feed(struct copy_reader *reader, struct slice bytes, struct errinfo *info)
{
    bool is_binary = reader->copy->format == COPY_BINARY;
    if (reader->is_ended) { /* behind \. is what nobody wants */
        return is_binary && bytes.len > 0 ? bad_format(info, "received copy data after EOF marker")
                                          : ERR_OK;
    }
    reader->has_begun = reader->has_begun || (!is_binary && !reader->copy->has_header);
    buf_append_slice(&reader->pending, bytes);
    if (buf_failed(&reader->pending)) {
        return errinfo_nomem(info);
    }
    return is_binary ? read_rows(reader, info) : read_lines(reader, false, info);
}

enum err copy_reader_end(struct copy_reader *reader, struct errinfo *info)
{
    bool is_binary = reader->copy->format == COPY_BINARY;
    if (reader->is_ended) {
        return ERR_OK;
    }
    if (!is_binary) {
        reader->has_begun = reader->has_begun || !reader->copy->has_header;
        return read_lines(reader, true, info);
    }
    if (!reader->has_begun) {
        return bad_format(info, "COPY file signature not recognized");
    }
    if (reader->pending.len > reader->begin) {
        reader->line++;
        reader->column = SIZE_MAX;
        return bad_format(info, "unexpected EOF in COPY data");
    }
    return ERR_OK;
}

/* ---- where ---- */

/* Its first characters; the rest is three dots. */
static void append_value(struct slice value, struct buf *out)
{
    size_t characters = 0;
    size_t at = 0;
    while (at < value.len) {
        bool is_start = ((unsigned char)value.ptr[at] & 0xC0) != 0x80;
        if (is_start && characters++ == VALUE_CHARACTERS_MAX) {
            break;
        }
        at++;
    }
    buf_append_str(out, ": \"");
    buf_append(out, value.ptr, at);
    buf_append_str(out, at < value.len ? "...\"" : "\"");
}

void copy_reader_where(const struct copy_reader *reader, struct slice relation, struct buf *out)
{
    buf_append_str(out, "COPY ");
    buf_append_slice(out, relation);
    if (reader->line == 0) { /* before the first */
        return;
    }
    buf_printf(out, ", line %llu", (unsigned long long)reader->line);
    if (reader->column != SIZE_MAX) {
        buf_append_str(out, ", column ");
        buf_append_slice(out, reader->targets[reader->column].name);
    }
    if (reader->has_value) {
        append_value(reader->value, out);
    }
}
