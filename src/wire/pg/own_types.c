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

/* Appends what is between `*copied` and the string, and the string as the engine reads it. */
static enum err write_literal(struct slice text, const struct token *string, struct arena *arena,
                              size_t *copied, struct buf *out, struct errinfo *info)
{
    struct slice value;
    struct buf bytes CLEANUP(buf_fini) = {0};
    TRY(token_string(string, arena, &value, info));
    enum err err = pg_decode(PG_BYTEA, PG_FORMAT_TEXT, value, &bytes, info);
    if (err != ERR_OK) {
        errinfo_position(info, string->offset + 1);
        return err;
    }
    buf_append(out, text.ptr + *copied, string->offset - *copied);
    buf_append_char(out, '\'');
    buf_append_slice(out, buf_slice(&bytes));
    buf_append_char(out, '\'');
    *copied = string->offset + string->text.len;
    return ERR_OK;
}

/* Does the last of these tokens name the type of the string that it returns? 'x'::bytea, bytea 'x'
 * and CAST('x' AS bytea, whose string an alias would follow too, but for the CAST before it. */
static const struct token *bytea_literal(const struct token *last)
{
    bool is_type = token_is(&last[0], "bytea");
    if (last[0].kind == TOKEN_STRING && token_is(&last[-1], "bytea")) {
        return &last[0];
    }
    bool is_cast = token_is_operator(&last[-1], "::") ||
                   (token_is(&last[-1], "as") && token_is_operator(&last[-3], "(") &&
                    token_is(&last[-4], "cast"));
    return is_type && is_cast && last[-2].kind == TOKEN_STRING ? &last[-2] : NULL;
}

enum err pg__own_types(struct slice text, struct arena *arena, struct slice *ret_text,
                       struct errinfo *info)
{
    struct buf out CLEANUP(buf_fini) = {0};
    struct scanner scanner;
    struct token tokens[5] = {0}; /* the last five */
    struct token *token = &tokens[4];
    size_t copied = 0;
    *ret_text = text;
    if (!has_word(text, SLICE("bytea")) && !has_word(text, SLICE("oid["))) {
        return ERR_OK;
    }
    scanner_init(&scanner, text);
    do {
        memmove(tokens, tokens + 1, sizeof(tokens) - sizeof(tokens[0]));
        TRY(scanner_next(&scanner, token, info));
        const struct token *string = bytea_literal(token);
        if (string != NULL && string->offset >= copied) {
            TRY(write_literal(text, string, arena, &copied, &out, info));
        } else if (token_is_operator(&token[-1], "::") && token_is(token, "oid") &&
                   is_array(scanner)) {
            buf_append(&out, text.ptr + copied, token->offset - copied);
            buf_append_str(&out, "UINTEGER");
            copied = token->offset + token->text.len;
        }
    } while (token->kind != TOKEN_END);
    buf_append(&out, text.ptr + copied, text.len - copied);
    if (copied > 0 && (buf_failed(&out) || !arena_slice(arena, buf_slice(&out), ret_text))) {
        return errinfo_nomem(info);
    }
    return ERR_OK;
}
