/* COPY ... TO STDOUT in PostgreSQL's three formats. */
#include "wire/pg/pg_int.h"

/* Backslash escapes of the text format. */
static void append_text(const struct pg_copy *copy, struct slice value, struct buf *out)
{
    for (size_t i = 0; i < value.len; i++) {
        static const char specials[] = "\b\f\n\r\t\v\\";
        static const char letters[] = "bfnrtv\\";
        char c = value.ptr[i];
        const char *special = c == '\0' ? NULL : strchr(specials, c);
        if (special != NULL || c == copy->delimiter) {
            buf_append_char(out, '\\');
            c = special != NULL ? letters[special - specials] : c;
        }
        buf_append_char(out, c);
    }
}

static void append_csv(const struct pg_copy *copy, struct slice value, bool is_alone,
                       struct buf *out)
{
    bool needs_quotes = copy->force_quote_all || slice_equal(value, copy->null) ||
                        (is_alone && slice_equal(value, SLICE("\\.")));
    for (size_t i = 0; i < value.len && !needs_quotes; i++) {
        char c = value.ptr[i];
        needs_quotes = c == copy->delimiter || c == copy->quote || c == '\n' || c == '\r';
    }
    if (!needs_quotes) {
        buf_append_slice(out, value);
        return;
    }
    buf_append_char(out, copy->quote);
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] == copy->quote || value.ptr[i] == copy->escape) {
            buf_append_char(out, copy->escape);
        }
        buf_append_char(out, value.ptr[i]);
    }
    buf_append_char(out, copy->quote);
}

static void append_cell(const struct pg_portal *portal, struct slice value, struct buf *out)
{
    const struct pg_copy *copy = &portal->command.copy;
    if (copy->format == COPY_CSV) {
        append_csv(copy, value, portal->column_count == 1, out);
    } else {
        append_text(copy, value, out);
    }
}

static enum err text_row(const struct pg_portal *portal, struct buf *scratch, struct buf *out,
                         struct errinfo *info)
{
    const struct pg_copy *copy = &portal->command.copy;
    for (size_t i = 0; i < portal->column_count; i++) {
        const struct ArrowArray *column = portal->batch.children[i];
        if (i > 0) {
            buf_append_char(out, copy->delimiter);
        }
        if (pg_cell_is_null(&portal->encoders[i], column, portal->batch_row)) {
            buf_append_slice(out, copy->null);
            continue;
        }
        buf_reset(scratch);
        TRY(pg_encode(&portal->encoders[i], column, portal->batch_row, scratch, info));
        if (buf_failed(scratch)) {
            return errinfo_nomem(info);
        }
        append_cell(portal, buf_slice(scratch), out);
    }
    buf_append_char(out, '\n');
    return ERR_OK;
}

/* Signature, flags, length of an extension: in one message with the first row, where clients look
 * for it. */
static const char binary_header[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0";
#define BINARY_HEADER_BYTES 19u

/* Puts it between the message's length and its row; `at`: the message in out. */
static void insert_header(struct buf *out, size_t at)
{
    char *room = buf_reserve(out, BINARY_HEADER_BYTES);
    if (room == NULL) {
        return;
    }
    char *body = out->ptr + at + 5;
    memmove(body + BINARY_HEADER_BYTES, body, out->len - at - 5);
    memcpy(body, binary_header, BINARY_HEADER_BYTES);
    uint32_t len = __builtin_bswap32(pg__peek32(out->ptr + at + 1) + BINARY_HEADER_BYTES);
    memcpy(out->ptr + at + 1, &len, sizeof(len));
    out->len += BINARY_HEADER_BYTES;
}

/* Rows are those of a DataRow, but for the type of their message. */
static enum err send_binary(struct pg_connection *connection, struct pg_portal *portal,
                            struct errinfo *info)
{
    for (;;) {
        TRY(pg__portal_pull(connection, portal, info));
        if (portal->batch.release == NULL) {
            return ERR_OK;
        }
        if (portal->row_count == 0) {
            size_t at = connection->out.len;
            pg_rows_take(portal->row_columns, portal->encoders, portal->column_count,
                         &portal->batch);
            TRY(pg_rows_write(portal->row_columns, portal->column_count, 'd', &portal->batch_row, 1,
                              SIZE_MAX, &connection->out, info));
            insert_header(&connection->out, at);
            portal->row_count = 1;
        }
        TRY(pg__portal_send_batch(connection, portal, 'd', 0, info));
    }
}

static void begin_copy(struct pg_connection *connection, const struct pg_portal *portal)
{
    const struct pg_copy *copy = &portal->command.copy;
    bool is_binary = copy->format == COPY_BINARY;
    struct buf *out = &connection->out;
    size_t begun = pg__begin(out, 'H');
    buf_append_char(out, is_binary ? 1 : 0);
    pg_put16(out, (uint16_t)portal->column_count);
    for (size_t i = 0; i < portal->column_count; i++) {
        pg_put16(out, is_binary ? 1 : 0);
    }
    pg__end(out, begun);
    if (!is_binary && copy->has_header) {
        begun = pg__begin(out, 'd');
        for (size_t i = 0; i < portal->column_count; i++) {
            if (i > 0) {
                buf_append_char(out, copy->delimiter);
            }
            append_cell(portal, portal->columns[i].name, out);
        }
        buf_append_char(out, '\n');
        pg__end(out, begun);
    }
}

static enum err send_texts(struct pg_connection *connection, struct pg_portal *portal,
                           struct errinfo *info)
{
    struct buf *out = &connection->out;
    struct buf scratch CLEANUP(buf_fini) = {0};
    for (;;) {
        TRY(pg__portal_pull(connection, portal, info));
        if (portal->batch.release == NULL) {
            return ERR_OK;
        }
        for (; portal->batch_row < portal->batch.length; portal->batch_row++) {
            size_t begun = pg__begin(out, 'd');
            TRY(text_row(portal, &scratch, out, info));
            pg__end(out, begun);
            portal->row_count++;
            pg__send_if_full(connection);
            if (connection->is_broken) {
                return errinfo_set(info, ERR_IO, "08006", "the connection was lost");
            }
        }
    }
}

enum err pg__copy_out(struct pg_connection *connection, struct pg_portal *portal,
                      struct errinfo *info)
{
    bool is_binary = portal->command.copy.format == COPY_BINARY;
    begin_copy(connection, portal);
    TRY(is_binary ? send_binary(connection, portal, info) : send_texts(connection, portal, info));
    if (is_binary) {
        size_t begun = pg__begin(&connection->out, 'd');
        if (portal->row_count == 0) {
            buf_append(&connection->out, binary_header, BINARY_HEADER_BYTES);
        }
        pg_put16(&connection->out, UINT16_MAX);
        pg__end(&connection->out, begun);
    }
    pg__write_empty(&connection->out, 'c');
    return ERR_OK;
}
