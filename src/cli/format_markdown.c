/* A Markdown table (GitHub's): what would end a cell or start markup is escaped. */
#include "arrow/value.h"
#include "cli/format.h"
#include "cli/text.h"

struct markdown {
    struct buf cell;
    struct buf shown;
};

static void put(struct format *format, struct slice text)
{
    struct markdown *markdown = format->state;
    struct buf *out = &format->sink->buf;
    if (format->sink->is_terminal) {
        buf_reset(&markdown->shown);
        text_escape(&markdown->shown, text, KEEP_LAYOUT);
        text = buf_slice(&markdown->shown);
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '\n') {
            buf_append_str(out, "<br>");
        } else if (c == '<') {
            buf_append_str(out, "&lt;");
        } else if (c == '&') {
            buf_append_str(out, "&amp;");
        } else if (c != '\r') {
            bool is_special = c != '\0' && strchr("\\|*_`~[]#>!", c) != NULL;
            buf_append_str(out, is_special ? "\\" : "");
            buf_append_char(out, c);
        }
    }
}

static enum err begin(struct format *format, UNUSED struct errinfo *info)
{
    struct buf *out = &format->sink->buf;
    for (int64_t c = 0; c < format->schema->n_children; c++) {
        buf_append_str(out, c == 0 ? "| " : " | ");
        put(format, slice_of(format->schema->children[c]->name));
    }
    buf_append_str(out, " |\n");
    for (int64_t c = 0; c < format->schema->n_children; c++) {
        buf_append_str(out, arrow_is_numeric(format->schema->children[c]) ? "|---:" : "|---");
    }
    buf_append_str(out, "|\n");
    return ERR_OK;
}

static enum err batch(struct format *format, const struct ArrowArray *rows, struct errinfo *info)
{
    struct markdown *markdown = format->state;
    struct buf *out = &format->sink->buf;
    for (int64_t row = 0; row < rows->length && !format->sink->is_closed; row++) {
        for (int64_t c = 0; c < format->schema->n_children; c++) {
            const struct ArrowSchema *schema = format->schema->children[c];
            buf_append_str(out, c == 0 ? "| " : " | ");
            buf_reset(&markdown->cell);
            if (arrow_is_valid(schema, rows->children[c], rows->offset + row)) {
                TRY(arrow_print(schema, rows->children[c], rows->offset + row, &markdown->cell,
                                info));
            }
            put(format, buf_slice(&markdown->cell));
        }
        buf_append_str(out, " |\n");
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
    struct markdown *markdown = format->state;
    buf_fini(&markdown->cell);
    buf_fini(&markdown->shown);
}

const struct format_ops format_markdown = {sizeof(struct markdown), begin, batch, end, fini};
