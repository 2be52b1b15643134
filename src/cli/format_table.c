/* Aligned tables for people, streamed: the first rows are kept to find the widths, then everything
 * is printed as it comes. On a terminal columns are cut to its width; elsewhere nothing is cut, and
 * a later, wider cell only breaks the alignment. Cells are always one line and escaped. */
#include "arrow/value.h"
#include "base/mem.h"
#include "cli/format.h"
#include "cli/text.h"

enum {
    SAMPLE_ROWS_MAX = 1000,
    SAMPLE_BYTES_MAX = 16 << 20,
    COLUMN_WIDTH_MIN = 4
};

struct table_cell {
    size_t offset; /* in `texts` */
    uint32_t len;
    bool is_null;
};

struct table_column {
    size_t width;
    bool is_numeric;
};

struct table {
    struct table_column *columns;
    size_t column_count;
    struct buf texts; /* kept cells, row by row */
    struct buf cells; /* struct table_cell */
    struct buf raw;
    struct buf cut;
    size_t kept_rows;
    bool is_started; /* widths are fixed, the head is printed */
};

struct lines {
    const char *horizontal, *vertical;
    const char *top[3], *middle[3], *bottom[3]; /* left, between, right */
};
static const struct lines unicode_lines = {"\u2500",
                                           "\u2502",
                                           {"\u250c", "\u252c", "\u2510"},
                                           {"\u251c", "\u253c", "\u2524"},
                                           {"\u2514", "\u2534", "\u2518"}};
static const struct lines ascii_lines = {
    "-", "|", {"+", "+", "+"}, {"+", "+", "+"}, {"+", "+", "+"}};

static const struct lines *lines_of(const struct format *format)
{
    return format->sink->is_unicode ? &unicode_lines : &ascii_lines;
}

static enum err begin(struct format *format, struct errinfo *info)
{
    struct table *table = format->state;
    table->column_count = (size_t)format->schema->n_children;
    table->columns = mem_calloc(table->column_count + 1, sizeof(*table->columns));
    if (table->columns == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t c = 0; c < table->column_count; c++) {
        const struct ArrowSchema *schema = format->schema->children[c];
        buf_reset(&table->raw);
        text_escape(&table->raw, slice_of(schema->name), KEEP_NOTHING);
        table->columns[c] = (struct table_column){
            .width = format->options.no_header ? 1 : text_width(buf_slice(&table->raw)),
            .is_numeric = arrow_is_numeric(schema)};
    }
    return ERR_OK;
}

static void rule(struct format *format, const char *const ends[3])
{
    const struct table *table = format->state;
    struct buf *out = &format->sink->buf;
    buf_append_str(out, sink_style(format->sink, STYLE_DIM));
    for (size_t c = 0; c < table->column_count; c++) {
        buf_append_str(out, ends[c == 0 ? 0 : 1]);
        for (size_t i = 0; i < table->columns[c].width + 2; i++) {
            buf_append_str(out, lines_of(format)->horizontal);
        }
    }
    buf_append_str(out, ends[2]);
    buf_append_str(out, sink_style(format->sink, STYLE_OFF));
    buf_append_char(out, '\n');
}

static void spaces(struct buf *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buf_append_char(out, ' ');
    }
}

static void bar(struct format *format, const char *after)
{
    struct buf *out = &format->sink->buf;
    buf_append_str(out, sink_style(format->sink, STYLE_DIM));
    buf_append_str(out, lines_of(format)->vertical);
    buf_append_str(out, sink_style(format->sink, STYLE_OFF));
    buf_append_str(out, after);
}

static void put_cell(struct format *format, size_t c, struct slice text, const char *style)
{
    struct table *table = format->state;
    struct buf *out = &format->sink->buf;
    const struct table_column *column = &table->columns[c];
    size_t width = text_width(text);
    if (width > column->width && format->sink->width > 0) {
        buf_reset(&table->cut);
        text_cut(&table->cut, text, column->width, format->sink->is_unicode);
        text = buf_slice(&table->cut);
        width = text_width(text);
    }
    size_t padding = width < column->width ? column->width - width : 0;
    bar(format, " ");
    spaces(out, column->is_numeric ? padding : 0);
    style = sink_style(format->sink, style);
    buf_append_str(out, style);
    buf_append_slice(out, text);
    buf_append_str(out, style[0] == '\0' ? "" : STYLE_OFF);
    spaces(out, column->is_numeric ? 0 : padding);
    buf_append_char(out, ' ');
}

/* Takes from the widest column until the table fits, never below a readable minimum. */
static void fit(struct format *format)
{
    struct table *table = format->state;
    size_t total = 1;
    for (size_t c = 0; c < table->column_count; c++) {
        total += table->columns[c].width + 3;
    }
    while (format->sink->width > 0 && total > format->sink->width) {
        size_t widest = 0;
        for (size_t c = 1; c < table->column_count; c++) {
            widest = table->columns[c].width > table->columns[widest].width ? c : widest;
        }
        if (table->columns[widest].width <= COLUMN_WIDTH_MIN) {
            return;
        }
        table->columns[widest].width--;
        total--;
    }
}

static void head(struct format *format)
{
    struct table *table = format->state;
    rule(format, lines_of(format)->top);
    if (format->options.no_header) {
        return;
    }
    for (size_t c = 0; c < table->column_count; c++) {
        buf_reset(&table->raw);
        text_escape(&table->raw, slice_of(format->schema->children[c]->name), KEEP_NOTHING);
        put_cell(format, c, buf_slice(&table->raw), STYLE_BOLD);
    }
    bar(format, "\n");
    rule(format, lines_of(format)->middle);
}

static const char *null_text(const struct format *format)
{
    return format->sink->is_color && format->sink->is_unicode ? "\u2205" : "NULL";
}

/* \x: "-[ RECORD n ]-" and a line for each column. */
static void put_record(struct format *format, const struct table_cell *cells)
{
    struct table *table = format->state;
    struct buf *out = &format->sink->buf;
    size_t names = 0;
    for (size_t c = 0; c < table->column_count; c++) {
        size_t width = text_width(slice_of(format->schema->children[c]->name));
        names = width > names ? width : names;
    }
    buf_append_str(out, sink_style(format->sink, STYLE_DIM));
    buf_printf(out, "-[ RECORD %llu ]-\n", (unsigned long long)format->row_count + 1);
    buf_append_str(out, sink_style(format->sink, STYLE_OFF));
    for (size_t c = 0; c < table->column_count; c++) {
        size_t start = out->len;
        text_escape(out, slice_of(format->schema->children[c]->name), KEEP_NOTHING);
        size_t width = text_width((struct slice){out->ptr + start, out->len - start});
        spaces(out, width < names ? names - width : 0);
        buf_append_char(out, ' ');
        bar(format, " ");
        struct slice text = {buf_cstr(&table->texts) + cells[c].offset, cells[c].len};
        buf_append_str(out, cells[c].is_null ? sink_style(format->sink, STYLE_DIM) : "");
        buf_append_slice(out, text);
        buf_append_str(out, cells[c].is_null ? sink_style(format->sink, STYLE_OFF) : "");
        buf_append_char(out, '\n');
    }
}

static void put_row(struct format *format, const struct table_cell *cells)
{
    struct table *table = format->state;
    if (format->options.is_expanded) {
        put_record(format, cells);
    } else {
        for (size_t c = 0; c < table->column_count; c++) {
            struct slice text = {buf_cstr(&table->texts) + cells[c].offset, cells[c].len};
            put_cell(format, c, text, cells[c].is_null ? STYLE_DIM : "");
        }
        bar(format, "\n");
    }
    format->row_count++;
}

/* Fixes the widths and prints what was kept. */
static enum err start(struct format *format, struct errinfo *info)
{
    struct table *table = format->state;
    if (table->is_started) {
        return ERR_OK;
    }
    table->is_started = true;
    if (buf_failed(&table->texts) || buf_failed(&table->cells)) {
        return errinfo_nomem(info);
    }
    size_t lines = table->kept_rows * (format->options.is_expanded ? table->column_count + 1 : 1);
    if (format->options.is_paged && format->sink->height > 0 && lines + 6 > format->sink->height) {
        sink_start_pager(format->sink);
    }
    fit(format);
    if (!format->options.is_expanded) {
        head(format);
    }
    const struct table_cell *cells = (const void *)table->cells.ptr;
    for (size_t row = 0; row < table->kept_rows && !format->sink->is_closed; row++) {
        put_row(format, cells + row * table->column_count);
        TRY(sink_flush_some(format->sink, info));
    }
    return ERR_OK;
}

static enum err keep_row(struct format *format, const struct ArrowArray *rows, int64_t row,
                         struct errinfo *info)
{
    struct table *table = format->state;
    for (size_t c = 0; c < table->column_count; c++) {
        const struct ArrowSchema *schema = format->schema->children[c];
        const struct ArrowArray *array = rows->children[c];
        struct table_cell cell = {.offset = table->texts.len};
        cell.is_null = !arrow_is_valid(schema, array, rows->offset + row);
        if (cell.is_null) {
            buf_append_str(&table->texts, null_text(format));
        } else {
            buf_reset(&table->raw);
            TRY(arrow_print(schema, array, rows->offset + row, &table->raw, info));
            text_escape(&table->texts, buf_slice(&table->raw), KEEP_NOTHING);
        }
        size_t len = table->texts.len - cell.offset;
        cell.len = len > UINT32_MAX ? UINT32_MAX : (uint32_t)len;
        buf_append(&table->cells, &cell, sizeof(cell));
        if (!table->is_started && !buf_failed(&table->texts)) {
            size_t width = text_width((struct slice){table->texts.ptr + cell.offset, len});
            struct table_column *column = &table->columns[c];
            column->width = width > column->width ? width : column->width;
        }
    }
    return buf_failed(&table->texts) || buf_failed(&table->cells) ? errinfo_nomem(info) : ERR_OK;
}

static enum err batch(struct format *format, const struct ArrowArray *rows, struct errinfo *info)
{
    struct table *table = format->state;
    for (int64_t row = 0; row < rows->length && !format->sink->is_closed; row++) {
        if (table->is_started) {
            buf_reset(&table->texts);
            buf_reset(&table->cells);
        }
        TRY(keep_row(format, rows, row, info));
        if (table->is_started) {
            put_row(format, (const void *)table->cells.ptr);
            TRY(sink_flush_some(format->sink, info));
            continue;
        }
        table->kept_rows++;
        if (table->kept_rows >= SAMPLE_ROWS_MAX || table->texts.len > SAMPLE_BYTES_MAX) {
            TRY(start(format, info));
        }
    }
    return ERR_OK;
}

static enum err end(struct format *format, int64_t duration_us, struct errinfo *info)
{
    TRY(start(format, info));
    struct buf *out = &format->sink->buf;
    if (!format->options.is_expanded) {
        rule(format, lines_of(format)->bottom);
    }
    if (!format->options.is_quiet) {
        buf_printf(out, "(%llu row%s", (unsigned long long)format->row_count,
                   format->row_count == 1 ? "" : "s");
        if (format->options.is_timed) {
            buf_append_str(out, ", ");
            format_duration(out, duration_us);
        }
        buf_append_str(out, ")\n");
    }
    return ERR_OK;
}

static void fini(struct format *format)
{
    struct table *table = format->state;
    mem_free(table->columns);
    buf_fini(&table->texts);
    buf_fini(&table->cells);
    buf_fini(&table->raw);
    buf_fini(&table->cut);
}

const struct format_ops format_table = {sizeof(struct table), begin, batch, end, fini};
