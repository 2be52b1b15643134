/* JSON: an array of objects, or one object a line (JSONL). Numbers stay exact (arrow/value.h). */
#include "arrow/value.h"
#include "base/json.h"
#include "cli/format.h"
#include "cli/text.h"

struct json_state {
    bool is_lines;
    bool had_row;
    struct buf object;
};

static enum err begin_array(struct format *format, UNUSED struct errinfo *info)
{
    buf_append_char(&format->sink->buf, '[');
    return ERR_OK;
}

static enum err begin_lines(struct format *format, UNUSED struct errinfo *info)
{
    ((struct json_state *)format->state)->is_lines = true;
    return ERR_OK;
}

static enum err put_row(struct format *format, const struct ArrowArray *rows, int64_t row,
                        struct errinfo *info)
{
    struct json_state *json = format->state;
    buf_reset(&json->object);
    buf_append_char(&json->object, '{');
    for (int64_t c = 0; c < format->schema->n_children; c++) {
        const struct ArrowSchema *schema = format->schema->children[c];
        buf_append_str(&json->object, c == 0 ? "" : ",");
        json_write_string(&json->object, slice_of(schema->name));
        buf_append_char(&json->object, ':');
        TRY(arrow_print_json(schema, rows->children[c], rows->offset + row, &json->object, info));
    }
    buf_append_char(&json->object, '}');
    /* JSON escapes C0 itself; on a terminal also the rest that could drive it. */
    if (format->sink->is_terminal) {
        text_escape(&format->sink->buf, buf_slice(&json->object), KEEP_LAYOUT);
    } else {
        buf_append_slice(&format->sink->buf, buf_slice(&json->object));
    }
    return buf_failed(&json->object) ? errinfo_nomem(info) : ERR_OK;
}

static enum err batch(struct format *format, const struct ArrowArray *rows, struct errinfo *info)
{
    struct json_state *json = format->state;
    for (int64_t row = 0; row < rows->length && !format->sink->is_closed; row++) {
        if (!json->is_lines) {
            buf_append_str(&format->sink->buf, json->had_row ? ",\n" : "\n");
        }
        TRY(put_row(format, rows, row, info));
        buf_append_str(&format->sink->buf, json->is_lines ? "\n" : "");
        json->had_row = true;
        TRY(sink_flush_some(format->sink, info));
    }
    return ERR_OK;
}

static enum err end(struct format *format, UNUSED int64_t us, UNUSED struct errinfo *info)
{
    struct json_state *json = format->state;
    if (!json->is_lines) {
        buf_append_str(&format->sink->buf, json->had_row ? "\n]\n" : "]\n");
    }
    return ERR_OK;
}

static void fini(struct format *format)
{
    buf_fini(&((struct json_state *)format->state)->object);
}

const struct format_ops format_json = {sizeof(struct json_state), begin_array, batch, end, fini};
const struct format_ops format_jsonl = {sizeof(struct json_state), begin_lines, batch, end, fini};
