/* One pass, no look-back, no recursion: a hostile 10 MB of quotes costs linear time.
 *
 * Lexical rules are those of the engine's scan.l, and of its replacement of Unicode spaces before
 * it: standard strings double their quotes, E'' strings take backslashes, a string goes on behind a
 * line break and another quote, $tag$ quotes end at the same tag, block comments nest, a line ends
 * at \r or \n, an operator stops before a comment. A boundary seen here and not there would let one
 * statement hide in another's string. */
#include "sql/scan.h"

#include "base/buf.h"
#include "base/digits.h"

void scanner_init(struct scanner *scanner, struct slice text)
{
    *scanner = (struct scanner){text, 0};
}

static bool is_word_start(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static bool is_operator(unsigned char c)
{
    return c != '\0' && strchr("+-*/<>=~!@%^&|`", c) != NULL;
}

/* The byte `ahead` of the cursor, or NUL past the end. */
static unsigned char peek(const struct scanner *s, size_t ahead)
{
    size_t at = s->at + ahead;
    return at < s->text.len ? (unsigned char)s->text.ptr[at] : '\0';
}

/* Bytes of the white space at the cursor, 0 if it is none: ASCII's, and the Unicode spaces that the
 * engine takes for one. */
static size_t space_len(const struct scanner *s)
{
    unsigned char a = peek(s, 0);
    if (a < 0x80) {
        return a == ' ' || a == '\t' || a == '\n' || a == '\r' || a == '\f';
    }
    unsigned char b = peek(s, 1);
    unsigned char c = peek(s, 2);
    if (a == 0xC2 && b == 0xA0) {
        return 2; /* U+00A0 */
    }
    bool is_wide = (a == 0xE2 && b == 0x80 && ((c >= 0x80 && c <= 0x8B) || c == 0xAF)) ||
                   (a == 0xE2 && b == 0x81 && (c == 0x9F || c == 0xA0)) ||
                   (a == 0xE3 && b == 0x80 && c == 0x80) || (a == 0xEF && b == 0xBB && c == 0xBF);
    return is_wide ? 3 : 0; /* U+2000-200B, 202F, 205F, 2060, 3000, FEFF */
}

/* Steps over letters and digits of a word, and over "$" if `with_dollar`. */
static void skip_word(struct scanner *s, bool with_dollar)
{
    for (;;) {
        unsigned char c = peek(s, 0);
        bool is_part = is_word_start(c) || is_digit(c) || (with_dollar && c == '$');
        if (!is_part || (c >= 0x80 && space_len(s) > 0)) {
            return;
        }
        s->at++;
    }
}

static void skip_line(struct scanner *s)
{
    while (s->at < s->text.len && peek(s, 0) != '\n' && peek(s, 0) != '\r') {
        s->at++;
    }
}

static enum err unterminated(size_t offset, const char *what, const char *close,
                             struct errinfo *info)
{
    (void)errinfo_set(info, ERR_SYNTAX, NULL, "unterminated %s", what);
    errinfo_position(info, offset + 1);
    errinfo_hint(info, "Close it with %s.", close);
    return ERR_SYNTAX;
}

static enum err skip_block_comment(struct scanner *s, struct errinfo *info)
{
    size_t start = s->at;
    size_t depth = 0;
    while (s->at < s->text.len) {
        if (peek(s, 0) == '/' && peek(s, 1) == '*') {
            depth++;
            s->at += 2;
        } else if (peek(s, 0) == '*' && peek(s, 1) == '/') {
            s->at += 2;
            if (--depth == 0) {
                return ERR_OK;
            }
        } else {
            s->at++;
        }
    }
    return unterminated(start, "comment", "*/", info);
}

static enum err skip_blank(struct scanner *s, struct errinfo *info)
{
    while (s->at < s->text.len) {
        size_t space = space_len(s);
        if (space > 0) {
            s->at += space;
        } else if (peek(s, 0) == '-' && peek(s, 1) == '-') {
            skip_line(s);
        } else if (peek(s, 0) == '/' && peek(s, 1) == '*') {
            TRY(skip_block_comment(s, info));
        } else {
            break;
        }
    }
    return ERR_OK;
}

/* Behind a closing quote: white space with a line break in it, then another quote, continues the
 * string in the same form ('a' \n 'b' is one string). Moves the cursor to that quote if so. */
static bool continues(struct scanner *s)
{
    struct scanner ahead = *s;
    bool has_line_break = false;
    while (ahead.at < ahead.text.len) {
        unsigned char c = peek(&ahead, 0);
        if (space_len(&ahead) > 0) {
            has_line_break = has_line_break || c == '\n' || c == '\r';
            ahead.at += space_len(&ahead);
        } else if (c == '-' && peek(&ahead, 1) == '-') {
            skip_line(&ahead);
        } else {
            break;
        }
    }
    if (!has_line_break || peek(&ahead, 0) != '\'') {
        return false;
    }
    *s = ahead;
    return true;
}

/* From the opening quote to behind the closing one; a doubled quote stands for one. */
static enum err scan_quoted(struct scanner *s, size_t start, bool has_escapes, struct errinfo *info)
{
    unsigned char quote = peek(s, 0);
    s->at++;
    while (s->at < s->text.len) {
        unsigned char c = peek(s, 0);
        if (has_escapes && c == '\\') {
            s->at += 2;
        } else if (c != quote) {
            s->at++;
        } else if (peek(s, 1) == quote) {
            s->at += 2;
        } else {
            s->at++;
            if (quote == '"' || !continues(s)) {
                return ERR_OK;
            }
            s->at++;
        }
    }
    s->at = s->text.len;
    return quote == '"' ? unterminated(start, "quoted name", "a double quote", info)
                        : unterminated(start, "string", "a single quote", info);
}

/* Length of "$tag$" at the cursor, 0 if it is none. */
static size_t dollar_tag_len(const struct scanner *s)
{
    if (is_digit(peek(s, 1))) {
        return 0;
    }
    struct scanner tag = {s->text, s->at + 1};
    skip_word(&tag, false);
    size_t len = tag.at - s->at;
    return peek(s, len) == '$' ? len + 1 : 0;
}

static enum err scan_dollar_string(struct scanner *s, size_t tag_len, struct errinfo *info)
{
    size_t start = s->at;
    struct slice tag = {s->text.ptr + s->at, tag_len};
    s->at += tag_len;
    size_t found = slice_find((struct slice){s->text.ptr + s->at, s->text.len - s->at}, tag);
    if (found == SIZE_MAX) {
        s->at = s->text.len;
        return unterminated(start, "dollar-quoted string", "the same $tag$", info);
    }
    s->at += found + tag_len;
    return ERR_OK;
}

static bool skip_integer(struct scanner *s)
{
    size_t start = s->at;
    while (is_digit(peek(s, 0)) || (s->at > start && peek(s, 0) == '_' && is_digit(peek(s, 1)))) {
        s->at++;
    }
    return s->at > start;
}

/* 12, 1_000, 1.5, .5, 1., 1e-5. Letters behind it are a word of their own, as in the engine:
 * "1e'\'" would otherwise be a string that ends elsewhere. "1..2" leaves the dots. */
static void scan_number(struct scanner *s)
{
    bool has_integer = skip_integer(s);
    if (peek(s, 0) == '.' && !(has_integer && peek(s, 1) == '.')) {
        s->at++;
        (void)skip_integer(s);
    }
    if (peek(s, 0) == 'e' || peek(s, 0) == 'E') {
        struct scanner exponent = {s->text, s->at + 1};
        exponent.at += peek(&exponent, 0) == '+' || peek(&exponent, 0) == '-';
        if (skip_integer(&exponent)) {
            *s = exponent;
        }
    }
}

static enum err scan_word_or_string(struct scanner *s, enum token_kind *ret_kind,
                                    struct errinfo *info)
{
    size_t start = s->at;
    unsigned char c = peek(s, 0) | 0x20;
    if (peek(s, 1) == '\'' && (c == 'e' || c == 'x' || c == 'b' || c == 'n')) {
        s->at++;
        *ret_kind = TOKEN_STRING;
        return scan_quoted(s, start, c == 'e', info);
    }
    if (c == 'u' && peek(s, 1) == '&' && (peek(s, 2) == '\'' || peek(s, 2) == '"')) {
        *ret_kind = peek(s, 2) == '"' ? TOKEN_QUOTED : TOKEN_STRING;
        s->at += 2;
        return scan_quoted(s, start, false, info);
    }
    skip_word(s, true);
    *ret_kind = TOKEN_WORD;
    return ERR_OK;
}

/* The engine refuses longer ones. Without a bound a run of signs would cost quadratic time. */
#define OPERATOR_BYTES_MAX 64

static void scan_operator(struct scanner *s)
{
    size_t start = s->at++;
    const char *text = s->text.ptr + start;
    if (text[0] == ':' || text[0] == '.') { /* "::", ":=", ".." */
        s->at += peek(s, 0) == (unsigned char)text[0] || (text[0] == ':' && peek(s, 0) == '=');
        return;
    }
    if (!is_operator((unsigned char)text[0])) {
        return; /* brackets and commas stand alone */
    }
    bool is_special = strchr("~!@^&|`%", text[0]) != NULL;
    while (s->at - start < OPERATOR_BYTES_MAX && is_operator(peek(s, 0))) {
        bool is_comment =
            (peek(s, 0) == '-' && peek(s, 1) == '-') || (peek(s, 0) == '/' && peek(s, 1) == '*');
        if (is_comment) {
            break;
        }
        is_special = is_special || strchr("~!@^&|`%", peek(s, 0)) != NULL;
        s->at++;
    }
    /* A sign at the end belongs to what follows ("=-1") unless the operator has characters that
     * SQL's own operators do not have. */
    while (!is_special && s->at - start > 1 &&
           (s->text.ptr[s->at - 1] == '+' || s->text.ptr[s->at - 1] == '-')) {
        s->at--;
    }
}

static enum err scan_dollar(struct scanner *s, enum token_kind *ret_kind, struct errinfo *info)
{
    size_t tag_len = dollar_tag_len(s);
    if (tag_len > 0) {
        *ret_kind = TOKEN_STRING;
        return scan_dollar_string(s, tag_len, info);
    }
    size_t start = s->at++;
    if (!skip_integer(s)) {
        skip_word(s, false);
    }
    *ret_kind = s->at - start > 1 ? TOKEN_PARAMETER : TOKEN_OPERATOR;
    return ERR_OK;
}

enum err scanner_next(struct scanner *scanner, struct token *ret_token, struct errinfo *info)
{
    struct scanner *s = scanner;
    TRY(skip_blank(s, info));
    size_t start = s->at;
    enum token_kind kind = TOKEN_OPERATOR;
    unsigned char c = peek(s, 0);
    if (s->at >= s->text.len) {
        kind = TOKEN_END;
    } else if (c == ';') {
        s->at++;
        kind = TOKEN_SEMICOLON;
    } else if (c == '\'') {
        kind = TOKEN_STRING;
        TRY(scan_quoted(s, start, false, info));
    } else if (c == '"') {
        kind = TOKEN_QUOTED;
        TRY(scan_quoted(s, start, false, info));
    } else if (c == '$') {
        TRY(scan_dollar(s, &kind, info));
    } else if (c == '?') {
        s->at++;
        kind = TOKEN_PARAMETER;
        (void)skip_integer(s);
    } else if (is_digit(c) || (c == '.' && is_digit(peek(s, 1)))) {
        kind = TOKEN_NUMBER;
        scan_number(s);
    } else if (is_word_start(c)) {
        TRY(scan_word_or_string(s, &kind, info));
    } else {
        scan_operator(s);
    }
    *ret_token = (struct token){kind, {s->text.ptr + start, s->at - start}, start};
    return ERR_OK;
}

bool token_is(const struct token *token, const char *keyword)
{
    return token->kind == TOKEN_WORD && slice_equal_fold(token->text, slice_of(keyword));
}

bool token_is_operator(const struct token *token, const char *text)
{
    return token->kind == TOKEN_OPERATOR && slice_equal(token->text, slice_of(text));
}

/* Copies `inside` with doubled `quote`s folded. */
static bool fold_quotes(struct slice inside, char quote, struct arena *arena, struct slice *ret)
{
    if (memchr(inside.ptr, quote, inside.len) == NULL) {
        *ret = inside;
        return true;
    }
    char *out = arena_alloc(arena, inside.len + 1);
    if (out == NULL) {
        return false;
    }
    size_t len = 0;
    for (size_t i = 0; i < inside.len; i++) {
        out[len++] = inside.ptr[i];
        i += inside.ptr[i] == quote;
    }
    out[len] = '\0';
    *ret = (struct slice){out, len};
    return true;
}

bool token_identifier(const struct token *token, struct arena *arena, struct slice *ret_name)
{
    if (token->kind == TOKEN_WORD) {
        *ret_name = token->text;
        return true;
    }
    ASSERT(token->kind == TOKEN_QUOTED);
    struct slice text = token->text;
    size_t prefix = text.ptr[0] == '"' ? 1 : 3; /* U&"..." */
    return fold_quotes((struct slice){text.ptr + prefix, text.len - prefix - 1}, '"', arena,
                       ret_name);
}

static size_t read_number_escape(const char *at, const char *end, unsigned base, size_t digits_max,
                                 uint32_t *ret_value)
{
    size_t count = 0;
    uint32_t value = 0;
    while (count < digits_max && at + count < end) {
        int digit = digits_hex(at[count]);
        if (digit < 0 || (unsigned)digit >= base) {
            break;
        }
        value = value * base + (unsigned)digit;
        count++;
    }
    *ret_value = value;
    return count;
}

static char *put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xC0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        *out++ = (char)(0xE0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3F));
        *out++ = (char)(0x80 | (code & 0x3F));
    } else {
        *out++ = (char)(0xF0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 0x3F));
        *out++ = (char)(0x80 | (code >> 6 & 0x3F));
        *out++ = (char)(0x80 | (code & 0x3F));
    }
    return out;
}

/* Behind a backslash: the bytes it stands for; returns where to go on, NULL for a bad escape. */
static const char *decode_escape(const char *at, const char *end, char **out)
{
    static const char from[] = "bfnrt";
    static const char to[] = "\b\f\n\r\t";
    char c = *at;
    const char *simple = strchr(from, c);
    uint32_t value;
    size_t digits = 0;
    if (c == 'x') {
        digits = read_number_escape(at + 1, end, 16, 2, &value);
    } else if (c == 'u' || c == 'U') {
        size_t need = c == 'u' ? 4 : 8;
        digits = read_number_escape(at + 1, end, 16, need, &value);
        if (digits < need || value > 0x10FFFF) {
            return NULL;
        }
        *out = put_utf8(*out, value);
        return at + 1 + need;
    } else if (c >= '0' && c <= '7') {
        digits = read_number_escape(at, end, 8, 3, &value);
        *(*out)++ = (char)value;
        return at + digits;
    }
    if (digits > 0) {
        *(*out)++ = (char)value;
        return at + 1 + digits;
    }
    *(*out)++ = c != '\0' && simple != NULL ? to[simple - from] : c;
    return at + 1;
}

static enum err decode_escape_string(struct slice inside, struct arena *arena, struct slice *ret,
                                     struct errinfo *info)
{
    char *text = arena_alloc(arena, inside.len + 1); /* no escape is longer decoded than written */
    if (text == NULL) {
        return errinfo_nomem(info);
    }
    char *out = text;
    const char *end = inside.ptr + inside.len;
    for (const char *at = inside.ptr; at < end;) {
        if (*at == '\\' && at + 1 < end) {
            at = decode_escape(at + 1, end, &out);
            if (at == NULL) {
                return errinfo_set(info, ERR_SYNTAX, "22025",
                                   "a Unicode escape is \\uXXXX or \\UXXXXXXXX");
            }
        } else {
            at += *at == '\'' && at + 1 < end;
            *out++ = *at++;
        }
    }
    *out = '\0';
    *ret = (struct slice){text, (size_t)(out - text)};
    if (memchr(text, '\0', ret->len) != NULL || !slice_is_utf8(*ret, NULL)) {
        return errinfo_set(info, ERR_INVALID, "22021",
                           "a string's escapes give a NUL byte or invalid UTF-8");
    }
    return ERR_OK;
}

/* True if the text between the outer quotes closes and opens again: 'a' \n 'b'. */
static bool is_continued(struct slice inside, bool has_escapes)
{
    for (size_t i = 0; i < inside.len; i++) {
        if (has_escapes && inside.ptr[i] == '\\') {
            i++;
        } else if (inside.ptr[i] == '\'') {
            if (i + 1 == inside.len || inside.ptr[i + 1] != '\'') {
                return true;
            }
            i++;
        }
    }
    return false;
}

enum err token_string(const struct token *token, struct arena *arena, struct slice *ret_value,
                      struct errinfo *info)
{
    ASSERT(token->kind == TOKEN_STRING);
    struct slice text = token->text;
    if (text.ptr[0] == '$') {
        const char *tag_end = memchr(text.ptr + 1, '$', text.len - 1);
        size_t tag_len = (size_t)(tag_end - text.ptr) + 1;
        *ret_value = (struct slice){text.ptr + tag_len, text.len - 2 * tag_len};
        return ERR_OK;
    }
    size_t prefix = text.ptr[0] == '\'' ? 1 : text.ptr[1] == '&' ? 3 : 2;
    struct slice inside = {text.ptr + prefix, text.len - prefix - 1};
    bool has_escapes = prefix == 2 && (text.ptr[0] | 0x20) == 'e';
    if (is_continued(inside, has_escapes)) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL, "a string here stands on one line");
    }
    if (has_escapes) {
        return decode_escape_string(inside, arena, ret_value, info);
    }
    if (prefix != 1) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                           "only plain, E'' and $$ strings are read here");
    }
    return fold_quotes(inside, '\'', arena, ret_value) ? ERR_OK : errinfo_nomem(info);
}

enum err sql_check_length(size_t len, size_t bytes_max, struct errinfo *info)
{
    if (len > bytes_max) {
        (void)errinfo_set(info, ERR_LIMIT, NULL, "the statement has %zu bytes, %zu are allowed",
                          len, bytes_max);
        errinfo_hint(info, "sql.statement_bytes_max in the configuration is the limit.");
        return ERR_LIMIT;
    }
    return ERR_OK;
}

enum err sql_check_text(struct slice text, size_t bytes_max, struct errinfo *info)
{
    TRY(sql_check_length(text.len, bytes_max, info));
    const char *nul = text.len == 0 ? NULL : memchr(text.ptr, '\0', text.len);
    size_t bad;
    if (nul != NULL) {
        (void)errinfo_set(info, ERR_INVALID, "22021", "the statement holds a NUL byte");
        errinfo_position(info, (size_t)(nul - text.ptr) + 1);
        return ERR_INVALID;
    }
    if (!slice_is_utf8(text, &bad)) {
        (void)errinfo_set(info, ERR_INVALID, "22021", "the statement is not valid UTF-8");
        errinfo_position(info, bad + 1);
        return ERR_INVALID;
    }
    return ERR_OK;
}

enum err sql_split(struct slice *rest, struct slice *ret_statement, bool *ret_is_complete,
                   struct errinfo *info)
{
    struct scanner scanner;
    struct token token;
    size_t first = SIZE_MAX;
    size_t end = 0;
    bool is_complete = false;
    scanner_init(&scanner, *rest);
    for (;;) {
        enum err err = scanner_next(&scanner, &token, info);
        if (err != ERR_OK) {
            if (ret_is_complete != NULL) {
                *ret_is_complete = false;
            }
            return err;
        }
        if (token.kind == TOKEN_END) {
            break;
        }
        if (token.kind == TOKEN_SEMICOLON) {
            if (first == SIZE_MAX) {
                continue; /* an empty statement */
            }
            is_complete = true;
            break;
        }
        first = first == SIZE_MAX ? token.offset : first;
        end = token.offset + token.text.len;
    }
    *ret_statement =
        first == SIZE_MAX ? (struct slice){"", 0} : (struct slice){rest->ptr + first, end - first};
    rest->ptr += scanner.at;
    rest->len -= scanner.at;
    if (ret_is_complete != NULL) {
        *ret_is_complete = is_complete || first == SIZE_MAX;
    }
    return ERR_OK;
}

static void quote(struct buf *out, struct slice text, char mark)
{
    buf_append_char(out, mark);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == mark) {
            buf_append_char(out, mark);
        }
        buf_append_char(out, text.ptr[i]);
    }
    buf_append_char(out, mark);
}

void sql_quote_name(struct buf *out, struct slice name)
{
    quote(out, name, '"');
}

void sql_quote_string(struct buf *out, struct slice text)
{
    quote(out, text, '\'');
}
