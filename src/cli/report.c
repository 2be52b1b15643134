#include "cli/report.h"

#include "cli/text.h"

enum {
    WIDTH_DEFAULT = 100,
    CONTEXT_MIN = 20
};

/* The line of `text` around byte `at`, and its number from 1. */
static struct slice line_around(struct slice text, size_t at, size_t *ret_number)
{
    size_t start = 0;
    *ret_number = 1;
    for (size_t i = 0; i < at; i++) {
        if (text.ptr[i] == '\n') {
            start = i + 1;
            (*ret_number)++;
        }
    }
    size_t end = at;
    while (end < text.len && text.ptr[end] != '\n') {
        end++;
    }
    return (struct slice){text.ptr + start, end - start};
}

/* One code point of the line as it will be shown, and its width. */
static size_t shown_width(struct slice rest, size_t *ret_len)
{
    uint32_t code_point;
    *ret_len = text_decode(rest, &code_point);
    if (code_point == '\t') {
        return 1;
    }
    struct buf escaped CLEANUP(buf_fini) = {0};
    text_escape(&escaped, (struct slice){rest.ptr, *ret_len}, KEEP_NOTHING);
    return text_width(buf_slice(&escaped));
}

static size_t width_of(struct slice text)
{
    size_t width = 0;
    for (size_t i = 0; i < text.len;) {
        size_t len;
        width += shown_width((struct slice){text.ptr + i, text.len - i}, &len);
        i += len;
    }
    return width;
}

/* Longest head of `text` that is at most `width` wide. */
static size_t head_within(struct slice text, size_t width)
{
    size_t used = 0;
    for (size_t i = 0; i < text.len;) {
        size_t len;
        used += shown_width((struct slice){text.ptr + i, text.len - i}, &len);
        if (used > width) {
            return i;
        }
        i += len;
    }
    return text.len;
}

static void append_shown(struct buf *out, struct slice text)
{
    for (size_t i = 0; i < text.len;) {
        uint32_t code_point;
        size_t len = text_decode((struct slice){text.ptr + i, text.len - i}, &code_point);
        if (code_point == '\t') { /* one column, so that the caret stands right */
            buf_append_char(out, ' ');
        } else {
            text_escape(out, (struct slice){text.ptr + i, len}, KEEP_NOTHING);
        }
        i += len;
    }
}

static void append_excerpt(struct sink *sink, struct slice statement, size_t position,
                           size_t first_line)
{
    size_t at = position - 1 > statement.len ? statement.len : position - 1;
    size_t number;
    struct slice line = line_around(statement, at, &number);
    size_t column = (size_t)(statement.ptr + at - line.ptr);
    char label[40];
    int label_len = snprintf(label, sizeof(label), "LINE %zu: ", number + first_line - 1);
    size_t total = sink->width > 40 ? sink->width : WIDTH_DEFAULT;
    size_t room = total - (size_t)label_len - 2; /* an ellipsis at either end */
    const char *ellipsis = sink->is_unicode ? "\xe2\x80\xa6" : ".";
    /* Cut the head so that the caret has context before it, then the tail. */
    size_t start = 0;
    struct slice before = {line.ptr, column};
    size_t before_width = width_of(before);
    if (width_of(line) > room && before_width > room - CONTEXT_MIN) {
        start = head_within(before, before_width - room / 2);
    }
    struct slice shown = {line.ptr + start, line.len - start};
    size_t len = head_within(shown, room);
    bool is_cut = len < shown.len;
    shown.len = len;
    struct buf *out = &sink->buf;
    buf_append_str(out, label);
    buf_append_str(out, start > 0 ? ellipsis : "");
    append_shown(out, shown);
    buf_append_str(out, is_cut ? ellipsis : "");
    buf_append_char(out, '\n');
    size_t caret = (size_t)label_len + (start > 0) +
                   width_of((struct slice){line.ptr + start, column - start});
    for (size_t i = 0; i < caret; i++) {
        buf_append_char(out, ' ');
    }
    buf_append_str(out, sink_style(sink, STYLE_RED));
    buf_append_char(out, '^');
    buf_append_str(out, sink_style(sink, STYLE_OFF));
    buf_append_char(out, '\n');
}

static void append_line(struct sink *sink, const char *label, const char *text)
{
    if (text[0] != '\0') {
        buf_append_str(&sink->buf, label);
        text_escape(&sink->buf, slice_of(text), KEEP_LAYOUT);
        buf_append_char(&sink->buf, '\n');
    }
}

void report_error(struct sink *sink, const struct errinfo *info, struct slice statement,
                  const struct origin *origin)
{
    struct buf *out = &sink->buf;
    bool has_position = info->position > 0 && statement.len > 0;
    if (origin != NULL && origin->file != NULL) {
        size_t number = 1;
        if (has_position) {
            size_t at = info->position - 1 > statement.len ? statement.len : info->position - 1;
            (void)line_around(statement, at, &number);
        }
        text_escape(out, slice_of(origin->file), KEEP_NOTHING);
        buf_printf(out, ":%zu: ", origin->line + number - 1);
    }
    buf_append_str(out, sink_style(sink, STYLE_RED));
    buf_append_str(out, "ERROR");
    buf_append_str(out, sink_style(sink, STYLE_OFF));
    buf_printf(out, " %s: ", info->sqlstate);
    append_line(sink, "", info->message);
    if (has_position) {
        append_excerpt(sink, statement, info->position, 1);
    }
    append_line(sink, "DETAIL: ", info->detail);
    append_line(sink, "HINT: ", info->hint);
}

void report_flush(struct sink *sink)
{
    struct errinfo ignored; /* nowhere is left to say it */
    if (sink_flush(sink, &ignored) != ERR_OK) {
        sink->is_closed = true;
    }
}
