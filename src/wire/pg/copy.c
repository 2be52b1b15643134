/* COPY ... TO STDOUT in PostgreSQL's three formats. COPY FROM is refused by name of its table. */
#include "sql/scan.h"
#include "wire/pg/pg_int.h"

/* ---- the statement ---- */

struct copy_words {
    struct scanner scanner;
    struct token token;
    struct slice text;
    struct arena *arena;
    struct errinfo *info;
};

static enum err step(struct copy_words *words)
{
    return scanner_next(&words->scanner, &words->token, words->info);
}

static bool is_at_end(const struct copy_words *words)
{
    return words->token.kind == TOKEN_END || words->token.kind == TOKEN_SEMICOLON;
}

static enum err wrong(struct copy_words *words, const char *expected)
{
    enum err err = errinfo_set(words->info, ERR_SYNTAX, "42601",
                               "syntax error in COPY at or near \"%.*s\": expected %s",
                               SLICE_ARGS(words->token.text), expected);
    errinfo_position(words->info, words->token.offset + 1);
    return err;
}

/* From an opening parenthesis to behind its closing one; the slice is what is between. */
static enum err parenthesised(struct copy_words *words, struct slice *ret_inside)
{
    size_t start = words->token.offset + 1;
    size_t depth = 0;
    for (;;) {
        if (is_at_end(words)) {
            return wrong(words, ")");
        }
        depth += token_is_operator(&words->token, "(");
        depth -= token_is_operator(&words->token, ")");
        if (depth == 0) {
            break;
        }
        TRY(step(words));
    }
    *ret_inside = (struct slice){words->text.ptr + start, words->token.offset - start};
    return step(words);
}

/* name[.name][.name] [(columns)] as a SELECT. */
static enum err table_query(struct copy_words *words, struct pg_command *command)
{
    size_t start = words->token.offset;
    struct slice columns = SLICE("*");
    size_t end = start;
    bool wants_name = true;
    while (wants_name ? words->token.kind == TOKEN_WORD || words->token.kind == TOKEN_QUOTED
                      : token_is_operator(&words->token, ".")) {
        wants_name = !wants_name;
        end = words->token.offset + words->token.text.len;
        TRY(step(words));
    }
    if (wants_name) {
        return wrong(words, "a table or (query)");
    }
    command->name = (struct slice){words->text.ptr + start, end - start};
    if (token_is_operator(&words->token, "(")) {
        TRY(parenthesised(words, &columns));
    }
    char *query = arena_printf(words->arena, "SELECT %.*s FROM %.*s", (int)columns.len, columns.ptr,
                               (int)command->name.len, command->name.ptr);
    if (query == NULL) {
        return errinfo_nomem(words->info);
    }
    command->text = slice_of(query);
    return ERR_OK;
}

static enum err one_character(struct copy_words *words, struct slice value, char *ret_character)
{
    if (value.len != 1 || value.ptr[0] == '\n' || value.ptr[0] == '\r' ||
        (unsigned char)value.ptr[0] >= 0x80) {
        return errinfo_set(words->info, ERR_INVALID, "22023",
                           "a separator of COPY must be a single one-byte character");
    }
    *ret_character = value.ptr[0];
    return ERR_OK;
}

static enum err option_value(struct copy_words *words, struct slice *ret_value)
{
    bool is_as = token_is(&words->token, "as");
    if (is_as) {
        TRY(step(words));
    }
    if (words->token.kind == TOKEN_STRING) {
        TRY(token_string(&words->token, words->arena, ret_value, words->info));
        return step(words);
    }
    if (words->token.kind != TOKEN_WORD && words->token.kind != TOKEN_NUMBER) {
        return wrong(words, "a value");
    }
    *ret_value = words->token.text;
    return step(words);
}

static enum err take_format(struct copy_words *words, struct slice name, struct pg_copy *copy)
{
    if (slice_equal_fold(name, SLICE("csv"))) {
        copy->format = COPY_CSV;
    } else if (slice_equal_fold(name, SLICE("binary"))) {
        copy->format = COPY_BINARY;
    } else if (slice_equal_fold(name, SLICE("text"))) {
        copy->format = COPY_TEXT;
    } else {
        return errinfo_set(words->info, ERR_INVALID, "22023", "COPY format \"%.*s\" not recognized",
                           SLICE_ARGS(name));
    }
    return ERR_OK;
}

static enum err take_header(struct copy_words *words, struct pg_copy *copy)
{
    copy->has_header = true;
    if (words->token.kind == TOKEN_WORD || words->token.kind == TOKEN_NUMBER) {
        static const char *const off[] = {"false", "off", "0"};
        static const char *const on[] = {"true", "on", "1"};
        for (size_t i = 0; i < ARRAY_COUNT(off); i++) {
            bool is_off = slice_equal_fold(words->token.text, slice_of(off[i]));
            if (is_off || slice_equal_fold(words->token.text, slice_of(on[i]))) {
                copy->has_header = !is_off;
                return step(words);
            }
        }
    }
    return ERR_OK;
}

static enum err take_force_quote(struct copy_words *words, struct pg_copy *copy)
{
    if (token_is(&words->token, "quote")) {
        TRY(step(words));
    }
    if (!token_is_operator(&words->token, "*")) {
        return errinfo_set(words->info, ERR_UNSUPPORTED, NULL,
                           "COPY with FORCE_QUOTE of single columns; * quotes all");
    }
    copy->force_quote_all = true;
    return step(words);
}

static enum err take_option(struct copy_words *words, struct pg_copy *copy)
{
    struct token option = words->token;
    struct slice value;
    TRY(step(words));
    if (token_is(&option, "csv") || token_is(&option, "binary")) { /* as before version 9 */
        return take_format(words, option.text, copy);
    }
    if (token_is(&option, "header")) {
        return take_header(words, copy);
    }
    if (token_is(&option, "force_quote") || token_is(&option, "force")) {
        return take_force_quote(words, copy);
    }
    TRY(option_value(words, &value));
    if (token_is(&option, "format")) {
        return take_format(words, value, copy);
    }
    if (token_is(&option, "delimiter") || token_is(&option, "delimiters")) {
        return one_character(words, value, &copy->delimiter);
    }
    if (token_is(&option, "quote")) {
        return one_character(words, value, &copy->quote);
    }
    if (token_is(&option, "escape")) {
        return one_character(words, value, &copy->escape);
    }
    if (token_is(&option, "null")) {
        copy->null = value;
        return ERR_OK;
    }
    if (token_is(&option, "encoding") &&
        (slice_equal_fold(value, SLICE("UTF8")) || slice_equal_fold(value, SLICE("UTF-8")))) {
        return ERR_OK;
    }
    enum err err =
        errinfo_set(words->info, ERR_INVALID, "42601",
                    "option \"%.*s\" of COPY TO is not recognized", SLICE_ARGS(option.text));
    errinfo_position(words->info, option.offset + 1);
    return err;
}

static enum err take_options(struct copy_words *words, struct pg_copy *copy)
{
    copy->null.ptr = NULL;
    if (token_is(&words->token, "with")) {
        TRY(step(words));
    }
    bool is_list = token_is_operator(&words->token, "(");
    if (is_list) {
        TRY(step(words));
    }
    while (!is_at_end(words) && !(is_list && token_is_operator(&words->token, ")"))) {
        TRY(take_option(words, copy));
        if (is_list && token_is_operator(&words->token, ",")) {
            TRY(step(words));
        }
    }
    if (is_list) {
        TRY(is_at_end(words) ? wrong(words, ")") : step(words));
    }
    bool is_csv = copy->format == COPY_CSV;
    copy->delimiter = copy->delimiter != 0 ? copy->delimiter : is_csv ? ',' : '\t';
    copy->quote = copy->quote != 0 ? copy->quote : '"';
    copy->escape = copy->escape != 0 ? copy->escape : copy->quote;
    if (copy->null.ptr == NULL) {
        copy->null = is_csv ? SLICE("") : SLICE("\\N");
    }
    return is_at_end(words) ? ERR_OK : wrong(words, "the end of the statement");
}

enum err pg__copy_parse(struct slice text, struct arena *arena, struct pg_command *ret_command,
                        struct errinfo *info)
{
    struct copy_words words = {.text = text, .arena = arena, .info = info};
    struct pg_command command = {.kind = COMMAND_COPY_OUT, .is_transactional = true};
    scanner_init(&words.scanner, text);
    TRY(step(&words));
    TRY(step(&words)); /* COPY */
    if (token_is_operator(&words.token, "(")) {
        TRY(parenthesised(&words, &command.text));
        command.text = slice_trim(command.text);
    } else {
        TRY(table_query(&words, &command));
    }
    bool is_from = token_is(&words.token, "from");
    if (!is_from && !token_is(&words.token, "to")) {
        return wrong(&words, "TO or FROM");
    }
    TRY(step(&words));
    if (is_from) {
        command.kind = COMMAND_COPY_IN;
    } else if (!token_is(&words.token, "stdout")) { /* a file: Moat's own COPY */
        *ret_command = (struct pg_command){.kind = COMMAND_STATEMENT, .text = text};
        return ERR_OK;
    } else {
        TRY(step(&words));
        TRY(take_options(&words, &command.copy));
    }
    *ret_command = command;
    return ERR_OK;
}

/* ---- rows ---- */

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
    pg__write16(out, (uint16_t)portal->column_count);
    for (size_t i = 0; i < portal->column_count; i++) {
        pg__write16(out, is_binary ? 1 : 0);
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
        pg__write16(&connection->out, UINT16_MAX);
        pg__end(&connection->out, begun);
    }
    pg__write_empty(&connection->out, 'c');
    return ERR_OK;
}
