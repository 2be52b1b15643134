/* Parameters of INSERT, UPDATE and DELETE on temporary tables: the values as literals.
 *
 * What such a statement runs are queries that are made of its parts, some of them twice; a literal
 * goes wherever its part goes. A text is an unknown literal there, as it is to PostgreSQL. */
#include "query/temp/change_int.h"
#include "sql/scan.h"

static void write_text(struct slice type, struct slice text, struct buf *out)
{
    buf_append_str(out, "CAST(");
    sql_quote_string(out, text);
    buf_append_str(out, " AS ");
    buf_append_slice(out, type);
    buf_append_char(out, ')');
}

static void write_literal(const struct query_parameter *value, struct buf *out)
{
    int64_t integer;
    if (value->is_null) {
        buf_append_str(out, "NULL");
        return;
    }
    switch (value->kind) {
    case QUERY_PARAMETER_INTEGER:
        if (slice_to_i64(value->text, &integer)) {
            buf_printf(out, "(%lld)", (long long)integer);
            return;
        }
        break;
    case QUERY_PARAMETER_REAL:
        write_text(SLICE("DOUBLE"), value->text, out);
        return;
    case QUERY_PARAMETER_BOOLEAN:
        write_text(SLICE("BOOLEAN"), value->text, out);
        return;
    case QUERY_PARAMETER_TEXT:
        break;
    }
    buf_append_char(out, '('); /* strings side by side are one string, in the first one's form */
    sql_quote_string(out, value->text);
    buf_append_char(out, ')');
}

enum err change_bind(struct slice statement, const struct query_parameter *parameters, size_t count,
                     size_t bytes_max, struct arena *arena, struct slice *ret_statement,
                     struct errinfo *info)
{
    struct buf out CLEANUP(buf_fini) = {0};
    struct scanner scanner;
    struct token token;
    size_t copied = 0;
    uint64_t highest = 0;
    scanner_init(&scanner, statement);
    do {
        uint64_t number = 0;
        TRY(scanner_next(&scanner, &token, info));
        bool is_one = token.kind == TOKEN_PARAMETER &&
                      slice_to_u64((struct slice){token.text.ptr + 1, token.text.len - 1}, &number);
        highest = is_one && number > highest ? number : highest;
        if (is_one && number > 0 && number <= count) {
            buf_append(&out, statement.ptr + copied, token.offset - copied);
            write_literal(&parameters[number - 1], &out);
            TRY(sql_check_length(out.len, bytes_max, info));
            copied = token.offset + token.text.len;
        }
    } while (token.kind != TOKEN_END);
    if (highest > count) {
        return errinfo_set(info, ERR_INVALID, "08P01",
                           "the statement has %llu parameters, but %zu were given",
                           (unsigned long long)highest, count);
    }
    buf_append(&out, statement.ptr + copied, statement.len - copied);
    enum err err = sql_check_text(buf_slice(&out), bytes_max, info);
    if (err != ERR_OK && info != NULL) {
        info->position = 0; /* of a text that nobody has sent */
    }
    TRY(err);
    return !buf_failed(&out) && arena_slice(arena, buf_slice(&out), ret_statement)
               ? ERR_OK
               : errinfo_nomem(info);
}
