/* CSV after RFC 4180: NULL is empty, the empty string is "", lines end in CR LF only inside quotes
 * that had them; between records a plain line feed, which every reader takes. */
#include "arrow/value.h"
#include "cli/format.h"
#include "cli/text.h"

struct csv {
    struct buf cell;
    struct buf shown;
};

static void put(struct format *format, struct csv *csv, struct slice text)
{
    struct buf *out = &format->sink->buf;
    if (format->sink->is_terminal) {
        buf_reset(&csv->shown);
        text_escape(&csv->shown, text, KEEP_LAYOUT);
        text = buf_slice(&csv->shown);
    }
    bool is_quoted = text.len == 0;
    for (size_t i = 0; i < text.len && !is_quoted; i++) {
        is_quoted = memchr(",\"\r\n", text.ptr[i], 4) != NULL;
    }
    /* White space at the ends would be dropped by some readers. */
    is_quoted = is_quoted || slice_trim(text).len != text.len;
    if (!is_quoted) {
        buf_append_slice(out, text);
        return;
    }
    buf_append_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        buf_append_str(out, text.ptr[i] == '"' ? "\"" : "");
        buf_append_char(out, text.ptr[i]);
    }
    buf_append_char(out, '"');
}

static enum err begin(struct format *format, UNUSED struct errinfo *info)
{
    if (format->options.no_header) {
        return ERR_OK;
    }
    for (int64_t c = 0; c < format->schema->n_children; c++) {
        buf_append_str(&format->sink->buf, c == 0 ? "" : ",");
        put(format, format->state, slice_of(format->schema->children[c]->name));
    }
    buf_append_char(&format->sink->buf, '\n');
    return ERR_OK;
}

static enum err batch(struct format *format, const struct ArrowArray *rows, struct errinfo *info)
{
    struct csv *csv = format->state;
    for (int64_t row = 0; row < rows->length && !format->sink->is_closed; row++) {
        for (int64_t c = 0; c < format->schema->n_children; c++) {
            const struct ArrowSchema *schema = format->schema->children[c];
            buf_append_str(&format->sink->buf, c == 0 ? "" : ",");
            if (arrow_is_valid(schema, rows->children[c], rows->offset + row)) {
                buf_reset(&csv->cell);
                TRY(arrow_print(schema, rows->children[c], rows->offset + row, &csv->cell, info));
                put(format, csv, buf_slice(&csv->cell));
            }
        }
        buf_append_char(&format->sink->buf, '\n');
        TRY(sink_flush_some(format->sink, info));
    }
    return ERR_OK;
}

static enum err end(UNUSED struct format *format, UNUSED int64_t us, UNUSED struct errinfo *info)
{
    return ERR_OK;
}

static void fini(struct format *format)
{
    struct csv *csv = format->state;
    buf_fini(&csv->cell);
    buf_fini(&csv->shown);
}

const struct format_ops format_csv = {sizeof(struct csv), begin, batch, end, fini};
