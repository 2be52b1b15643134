/* Rows on their way out as JSON, JSON lines, CSV or an Arrow stream. */
#include "arrow/ipc.h"
#include "arrow/value.h"
#include "base/json.h"
#include "base/mem.h"
#include "wire/web/web_int.h"

static const struct {
    const char *name;
    const char *content_type;
} formats[] = {
    [WEB_JSON] = {"json", "application/json"},
    [WEB_JSON_LINES] = {"jsonl", "application/x-ndjson"},
    [WEB_CSV] = {"csv", "text/csv; charset=utf-8; header=present"},
    [WEB_ARROW] = {"arrow", "application/vnd.apache.arrow.stream"},
};

const char *web__content_type(enum web_format format)
{
    return formats[format].content_type;
}

bool web__format_find(struct slice name, enum web_format *ret_format)
{
    for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
        if (slice_equal_fold(name, slice_of(formats[i].name))) {
            *ret_format = (enum web_format)i;
            return true;
        }
    }
    return false;
}

static bool is_long_number(struct slice type)
{
    static const char *const names[] = {"BIGINT", "UBIGINT", "HUGEINT", "UHUGEINT"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (slice_equal(type, slice_of(names[i]))) {
            return true;
        }
    }
    return slice_starts_with(type, SLICE("DECIMAL("));
}

enum err web__writer_init(struct web_writer *writer, enum web_format format, bool numbers_as_text,
                          struct query *query, const struct ArrowSchema *schema,
                          struct errinfo *info)
{
    *writer = (struct web_writer){.format = format, .query = query, .schema = schema};
    if (numbers_as_text && schema != NULL) {
        size_t count = (size_t)schema->n_children;
        writer->is_long_number = mem_calloc(count + 1, sizeof(bool));
        if (writer->is_long_number == NULL) {
            return errinfo_nomem(info);
        }
        for (size_t i = 0; i < count; i++) {
            writer->is_long_number[i] = is_long_number(query_column(query, i).type);
        }
    }
    return ERR_OK;
}

void web__writer_fini(struct web_writer *writer)
{
    mem_free(writer->is_long_number);
    buf_fini(&writer->cell);
}

void web__print_columns(struct buf *out, struct query *query)
{
    buf_append_char(out, '[');
    for (size_t i = 0; i < query_column_count(query); i++) {
        struct query_column column = query_column(query, i);
        buf_append_str(out, i == 0 ? "{\"name\":" : ",{\"name\":");
        json_write_string(out, column.name);
        buf_append_str(out, ",\"type\":");
        json_write_string(out, column.type);
        buf_append_char(out, '}');
    }
    buf_append_char(out, ']');
}

/* ---- CSV, after RFC 4180: NULL is empty, the empty string is "" ---- */

static void put_csv(struct buf *out, struct slice text)
{
    bool is_quoted = text.len == 0 || slice_trim(text).len != text.len;
    for (size_t i = 0; i < text.len && !is_quoted; i++) {
        is_quoted = memchr(",\"\r\n", text.ptr[i], 4) != NULL;
    }
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

static enum err print_csv(struct web_writer *writer, const struct ArrowArray *batch, int64_t row,
                          struct buf *out, struct errinfo *info)
{
    for (int64_t c = 0; c < writer->schema->n_children; c++) {
        const struct ArrowSchema *schema = writer->schema->children[c];
        buf_append_str(out, c == 0 ? "" : ",");
        if (arrow_is_valid(schema, batch->children[c], row)) {
            buf_reset(&writer->cell);
            TRY(arrow_print(schema, batch->children[c], row, &writer->cell, info));
            put_csv(out, buf_slice(&writer->cell));
        }
    }
    buf_append_str(out, "\r\n");
    return ERR_OK;
}

/* ---- JSON ---- */

static enum err print_cell(const struct web_writer *writer, const struct ArrowArray *batch,
                           int64_t c, int64_t row, struct buf *out, struct errinfo *info)
{
    const struct ArrowSchema *schema = writer->schema->children[c];
    bool is_text = writer->is_long_number != NULL && writer->is_long_number[c] &&
                   arrow_is_valid(schema, batch->children[c], row);
    buf_append_str(out, is_text ? "\"" : "");
    TRY(arrow_print_json(schema, batch->children[c], row, out, info));
    buf_append_str(out, is_text ? "\"" : "");
    return ERR_OK;
}

enum err web__print_row(const struct web_writer *writer, const struct ArrowArray *batch,
                        int64_t row, struct buf *out, struct errinfo *info)
{
    for (int64_t c = 0; c < writer->schema->n_children; c++) {
        buf_append_char(out, c == 0 ? '[' : ',');
        TRY(print_cell(writer, batch, c, row + batch->offset, out, info));
    }
    buf_append_char(out, ']');
    return ERR_OK;
}

static enum err print_line(const struct web_writer *writer, const struct ArrowArray *batch,
                           int64_t row, struct buf *out, struct errinfo *info)
{
    for (int64_t c = 0; c < writer->schema->n_children; c++) {
        const char *name = writer->schema->children[c]->name;
        buf_append_char(out, c == 0 ? '{' : ',');
        json_write_string(out, slice_of(name == NULL ? "" : name));
        buf_append_char(out, ':');
        TRY(print_cell(writer, batch, c, row, out, info));
    }
    buf_append_str(out, "}\n");
    return ERR_OK;
}

/* ---- whole answers ---- */

static void print_json_head(struct web_writer *writer, struct buf *out)
{
    buf_append_str(out, "{\"id\":");
    json_write_string(out, query_id(writer->query));
    if (writer->schema != NULL) {
        buf_append_str(out, ",\"columns\":");
        web__print_columns(out, writer->query);
        buf_append_str(out, ",\"rows\":[");
    }
}

enum err web__write_head(struct web_writer *writer, struct buf *out, struct errinfo *info)
{
    switch (writer->format) {
    case WEB_JSON:
        print_json_head(writer, out);
        return ERR_OK;
    case WEB_JSON_LINES:
        return ERR_OK;
    case WEB_CSV:
        for (int64_t c = 0; writer->schema != NULL && c < writer->schema->n_children; c++) {
            buf_append_str(out, c == 0 ? "" : ",");
            put_csv(out, slice_of(writer->schema->children[c]->name));
        }
        buf_append_str(out, writer->schema == NULL ? "" : "\r\n");
        return ERR_OK;
    case WEB_ARROW:
        return writer->schema == NULL ? ERR_OK : ipc_write_schema(writer->schema, out, info);
    }
    ASSERT(false);
    return ERR_INTERNAL;
}

enum err web__write_rows(struct web_writer *writer, const struct ArrowArray *batch, int64_t *row,
                         size_t bytes_stop, struct buf *out, struct errinfo *info)
{
    if (writer->format == WEB_ARROW) {
        writer->row_count += (uint64_t)batch->length;
        *row = batch->length;
        return ipc_write_batch(writer->schema, batch, out, info);
    }
    for (; *row < batch->length && out->len < bytes_stop; (*row)++) {
        if (writer->format == WEB_JSON) {
            buf_append_str(out, writer->row_count == 0 ? "\n" : ",\n");
            TRY(web__print_row(writer, batch, *row, out, info));
        } else if (writer->format == WEB_JSON_LINES) {
            TRY(print_line(writer, batch, *row + batch->offset, out, info));
        } else {
            TRY(print_csv(writer, batch, *row + batch->offset, out, info));
        }
        writer->row_count++;
    }
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

void web__write_tail(struct web_writer *writer, struct buf *out)
{
    if (writer->format == WEB_ARROW && writer->schema != NULL) {
        ipc_write_end(out);
    }
    if (writer->format != WEB_JSON) {
        return;
    }
    if (writer->schema != NULL) {
        buf_printf(out, "],\"row_count\":%llu", (unsigned long long)writer->row_count);
    }
    buf_append_str(out, ",\"tag\":");
    json_write_string(out, slice_of(query_tag(writer->query)));
    if (query_notice(writer->query)[0] != '\0') {
        buf_append_str(out, ",\"notice\":");
        json_write_string(out, slice_of(query_notice(writer->query)));
    }
    buf_append_str(out, "}\n");
}
