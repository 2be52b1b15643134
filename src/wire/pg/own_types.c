/* Two types that PostgreSQL's clients name in casts and that mean something else to the engine.
 *
 * ::oid[] is its BIGINT[], which is int8[] to a client; asyncpg asks for types with such an
 * array, and would have to ask what an int8[] is. '\xdead'::bytea: the engine's texts of bytes
 * are others ("\xDE\xAD"), and it would take PostgreSQL's for them where it can: '\xdead' is the
 * byte DE and the letters "ad" to it. Whoever says bytea means PostgreSQL's. */
#include "sql/scan.h"
#include "wire/pg/pg_int.h"

static bool has_word(struct slice text, struct slice word)
{
    for (size_t i = 0; i + word.len <= text.len; i++) {
        if ((text.ptr[i] | 0x20) == word.ptr[0] &&
            slice_equal_fold((struct slice){text.ptr + i, word.len}, word)) {
            return true;
        }
    }
    return false;
}

/* Is the token that follows a "["? */
static bool is_array(struct scanner scanner)
{
    struct token next;
    return scanner_next(&scanner, &next, NULL) == ERR_OK && next.kind == TOKEN_OPERATOR &&
           next.text.ptr[0] == '[';
}

/* Appends what is between `*copied` and the string, and the string as the engine reads it;
 * nothing if it is none that PostgreSQL would take. */
static enum err write_literal(struct slice text, const struct token *string, struct arena *arena,
                              size_t *copied, struct buf *out, struct errinfo *info)
{
    struct slice value;
    struct buf bytes CLEANUP(buf_fini) = {0};
    TRY(token_string(string, arena, &value, info));
    if (pg_decode(PG_BYTEA, PG_FORMAT_TEXT, value, &bytes, NULL) != ERR_OK) {
        return ERR_OK; /* the engine says what is wrong with it */
    }
    buf_append(out, text.ptr + *copied, string->offset - *copied);
    buf_append_char(out, '\'');
    buf_append_slice(out, buf_slice(&bytes));
    buf_append_char(out, '\'');
    *copied = string->offset + string->text.len;
    return ERR_OK;
}

enum err pg__own_types(struct slice text, struct arena *arena, struct slice *ret_text,
                       struct errinfo *info)
{
    struct buf out CLEANUP(buf_fini) = {0};
    struct scanner scanner;
    struct token string = {.kind = TOKEN_END};
    struct token token;
    bool is_cast = false; /* of `string`, which the last "::" followed */
    bool is_string = false;
    size_t copied = 0;
    *ret_text = text;
    if (!has_word(text, SLICE("bytea")) && !has_word(text, SLICE("oid["))) {
        return ERR_OK;
    }
    scanner_init(&scanner, text);
    do {
        TRY(scanner_next(&scanner, &token, info));
        if (is_cast && is_string && token_is(&token, "bytea")) {
            TRY(write_literal(text, &string, arena, &copied, &out, info));
        } else if (is_cast && token_is(&token, "oid") && is_array(scanner)) {
            buf_append(&out, text.ptr + copied, token.offset - copied);
            buf_append_str(&out, "UINTEGER");
            copied = token.offset + token.text.len;
        }
        is_cast = token_is_operator(&token, "::");
        is_string = is_cast ? string.kind == TOKEN_STRING : token.kind == TOKEN_STRING;
        string = is_cast ? string : token;
    } while (token.kind != TOKEN_END);
    buf_append(&out, text.ptr + copied, text.len - copied);
    if (copied > 0 && (buf_failed(&out) || !arena_slice(arena, buf_slice(&out), ret_text))) {
        return errinfo_nomem(info);
    }
    return ERR_OK;
}
