/* What audit and history keep of a statement: its text without passwords, and its fingerprint.
 *
 * Redaction errs to one side: what could be a password goes, also where a statement does not parse.
 * A person who misspells PASSWORD has still typed one. Only a query keeps its constants whatever
 * its columns are called: who looked for which value is what a trail is for. */
#include "base/buf.h"
#include "base/hash.h"
#include "sql/scan.h"
#include "sql/statement.h"

/* How near a word must be to count as a misspelt PASSWORD, CREATE or ALTER. */
#define NEAR_DISTANCE 2

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_near(struct slice word, const char *keyword)
{
    return slice_edit_distance(word, slice_of(keyword), NEAR_DISTANCE) <= NEAR_DISTANCE;
}

/* Looks into strings, comments and quoted names too: statements nest. */
static bool speaks_of_password(struct slice text)
{
    for (size_t i = 0; i < text.len;) {
        size_t start = i;
        while (i < text.len && is_letter(text.ptr[i])) {
            i++;
        }
        if (i > start && is_near((struct slice){text.ptr + start, i - start}, "password")) {
            return true;
        }
        i += i == start;
    }
    return false;
}

struct traits {
    bool may_hold_password;
    bool is_principal; /* of CREATE or ALTER of a user or role, however spelt */
    bool is_broken;    /* does not scan */
};

static struct traits classify(struct slice text)
{
    struct traits traits = {.may_hold_password = speaks_of_password(text)};
    struct scanner scanner;
    struct token token;
    bool is_first = true;
    bool has_verb = false;
    bool has_person = false;
    bool has_secret = false; /* CREATE SECRET, ATTACH 'postgres://user:...' */
    scanner_init(&scanner, text);
    do {
        if (scanner_next(&scanner, &token, NULL) != ERR_OK) {
            traits.is_broken = true;
            break;
        }
        bool is_word = token.kind == TOKEN_WORD;
        has_verb = has_verb || token_is(&token, "create") || token_is(&token, "alter") ||
                   (is_word && is_first &&
                    (is_near(token.text, "create") || is_near(token.text, "alter")));
        has_person =
            has_person || (is_word && (slice_edit_distance(token.text, SLICE("user"), 1) <= 1 ||
                                       slice_edit_distance(token.text, SLICE("role"), 1) <= 1));
        has_secret = has_secret || (is_first && token_is(&token, "attach")) ||
                     (has_verb && token_is(&token, "secret"));
        is_first = false;
    } while (token.kind != TOKEN_END);
    traits.is_principal = has_verb && has_person;
    traits.may_hold_password =
        traits.may_hold_password || traits.is_principal || traits.is_broken || has_secret;
    return traits;
}

/* Appends `text` with every string as '***' and comments gone; where the statement is about a
 * person or does not parse, nothing behind the word PASSWORD; where both and without such a word,
 * nothing behind the name. */
static void redact_tokens(struct slice text, const struct traits *traits, bool is_parsed,
                          struct buf *out)
{
    struct scanner scanner;
    struct token token;
    size_t end = 0;
    bool has_cut = false;
    scanner_init(&scanner, text);
    for (size_t count = 0; !has_cut; count++) {
        if (scanner_next(&scanner, &token, NULL) != ERR_OK) {
            buf_append_str(out, count == 0 ? "..." : " ...");
            return;
        }
        if (token.kind == TOKEN_END) {
            return;
        }
        struct slice gap = {text.ptr + end, token.offset - end};
        bool has_comment = slice_trim(gap).len > 0;
        if (count > 0) {
            buf_append_slice(out, has_comment ? SLICE(" ") : gap);
        }
        end = token.offset + token.text.len;
        if (traits->is_principal && !is_parsed && count == 3) {
            buf_append_str(out, "***");
            return;
        }
        buf_append_slice(out, token.kind == TOKEN_STRING ? SLICE("'***'") : token.text);
        has_cut = (traits->is_principal || !is_parsed) && token.kind == TOKEN_WORD &&
                  is_near(token.text, "password");
    }
    if (end < text.len) {
        buf_append_str(out, " '***'");
    }
}

/* A statement that holds no password of its own: a query, what wraps one, or what decides about
 * them. */
static bool is_query(const struct statement *statement, struct arena *arena)
{
    struct statement inner;
    switch (statement->kind) {
    case STATEMENT_QUERY:
    case STATEMENT_DESCRIBE:
    case STATEMENT_GRANT:
    case STATEMENT_REVOKE:
    case STATEMENT_SHOW:
    case STATEMENT_COPY:
    case STATEMENT_COPY_IN:
    case STATEMENT_UPDATE:
    case STATEMENT_MERGE:
    case STATEMENT_DELETE:
    case STATEMENT_CALL:
        return true;
    case STATEMENT_EXPLAIN:
    case STATEMENT_CREATE_TEMP:
    case STATEMENT_CREATE_MANAGED:
    case STATEMENT_INSERT:
    case STATEMENT_PREPARE:
        return statement->query.len == 0 ||
               (statement_parse(statement->query, arena, &inner, NULL) == ERR_OK &&
                inner.kind == STATEMENT_QUERY);
    case STATEMENT_CREATE_TABLE:
    case STATEMENT_CREATE_VIEW:
    case STATEMENT_CREATE_SCHEMA:
    case STATEMENT_ALTER_SCHEMA:
    case STATEMENT_ATTACH:
    case STATEMENT_DETACH:
    case STATEMENT_DROP:
    case STATEMENT_ALTER_TABLE:
    case STATEMENT_CREATE_PRINCIPAL:
    case STATEMENT_ALTER_USER:
    case STATEMENT_ALTER_LIMITS:
    case STATEMENT_CREATE_API_KEY:
    case STATEMENT_REVOKE_API_KEY:
    case STATEMENT_GRANT_ROLE:
    case STATEMENT_CHECK_ACCESS:
    case STATEMENT_COMMENT:
    case STATEMENT_TRUNCATE:
    case STATEMENT_SET:
    case STATEMENT_USE:
    case STATEMENT_EXECUTE:
    case STATEMENT_DEALLOCATE:
    case STATEMENT_TRANSACTION:
    case STATEMENT_REFUSED:
        break;
    }
    return false;
}

/* Of a query only texts that look like such a statement themselves go, and comments. */
#define NESTED_BYTES_MIN 24

static void redact_query(struct slice text, struct buf *out)
{
    struct scanner scanner;
    struct token token;
    size_t end = 0;
    scanner_init(&scanner, text);
    while (scanner_next(&scanner, &token, NULL) == ERR_OK) {
        struct slice gap = {text.ptr + end, token.offset - end};
        bool is_nested = token.kind == TOKEN_STRING && token.text.len >= NESTED_BYTES_MIN &&
                         speaks_of_password(token.text);
        buf_append_slice(out, speaks_of_password(gap) ? SLICE(" ") : gap);
        buf_append_slice(out, is_nested ? SLICE("'***'") : token.text);
        end = token.offset + token.text.len;
        if (token.kind == TOKEN_END) {
            break;
        }
    }
}

/* ---- API keys, wherever somebody puts one ---- */

#define KEY_MARK "moat_"     /* as identity/provider.h makes them */
#define KEY_ID_CHARACTERS 10 /* behind the mark: not secret, and worth having in a trail */
#define KEY_SECRET_MIN 8     /* a key that was cut is still most of a key */

static bool is_key_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '2' && c <= '7') || (c >= 'A' && c <= 'Z');
}

/* Length of the secret part at the front of `text`, or 0. */
static size_t key_secret(struct slice text, size_t *ret_at)
{
    size_t at = strlen(KEY_MARK);
    if (!slice_starts_with_fold(text, SLICE(KEY_MARK))) {
        return 0;
    }
    size_t id_end = at + KEY_ID_CHARACTERS;
    while (at < text.len && at < id_end && is_key_character(text.ptr[at])) {
        at++;
    }
    if (at != id_end || at == text.len || text.ptr[at] != '_') {
        return 0;
    }
    size_t start = ++at;
    while (at < text.len && is_key_character(text.ptr[at])) {
        at++;
    }
    *ret_at = start;
    return at - start >= KEY_SECRET_MIN ? at - start : 0;
}

static enum err redact_keys(struct slice text, struct arena *arena, struct slice *ret_text,
                            struct errinfo *info)
{
    struct buf out CLEANUP(buf_fini) = {0};
    size_t done = 0;
    for (size_t i = 0; i < text.len; i++) {
        size_t at = 0;
        size_t len = key_secret((struct slice){text.ptr + i, text.len - i}, &at);
        if (len > 0) {
            buf_append(&out, text.ptr + done, i + at - done);
            buf_append_str(&out, "***");
            i += at + len - 1;
            done = i + 1;
        }
    }
    if (done == 0) {
        *ret_text = text;
        return ERR_OK;
    }
    buf_append(&out, text.ptr + done, text.len - done);
    return !buf_failed(&out) && arena_slice(arena, buf_slice(&out), ret_text) ? ERR_OK
                                                                              : errinfo_nomem(info);
}

enum err statement_redact(struct slice text, struct arena *arena, struct slice *ret_text,
                          struct errinfo *info)
{
    TRY(redact_keys(text, arena, &text, info));
    struct traits traits = classify(text);
    if (!traits.may_hold_password) {
        *ret_text = text;
        return ERR_OK;
    }
    struct statement statement;
    enum err parsed = statement_parse(text, arena, &statement, NULL);
    if (parsed == ERR_NOMEM) {
        return errinfo_nomem(info);
    }
    struct buf out CLEANUP(buf_fini) = {0};
    if (parsed == ERR_OK && !traits.is_principal && !traits.is_broken &&
        is_query(&statement, arena)) {
        redact_query(text, &out);
    } else {
        redact_tokens(text, &traits, parsed == ERR_OK, &out);
    }
    return !buf_failed(&out) && arena_slice(arena, buf_slice(&out), ret_text) ? ERR_OK
                                                                              : errinfo_nomem(info);
}

static uint64_t hash_folded(struct slice word, uint64_t seed)
{
    char folded[128];
    while (word.len > 0) {
        size_t len = word.len < sizeof(folded) ? word.len : sizeof(folded);
        for (size_t i = 0; i < len; i++) {
            char c = word.ptr[i];
            folded[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
        }
        seed = hash_xx64((struct slice){folded, len}, seed);
        word = (struct slice){word.ptr + len, word.len - len};
    }
    return seed;
}

enum err statement_fingerprint(struct slice text, uint64_t *ret_fingerprint, struct errinfo *info)
{
    struct scanner scanner;
    struct token token;
    uint64_t hash = 0;
    scanner_init(&scanner, text);
    for (;;) {
        TRY(scanner_next(&scanner, &token, info));
        if (token.kind == TOKEN_END) {
            break;
        }
        bool is_literal = token.kind == TOKEN_STRING || token.kind == TOKEN_NUMBER;
        uint64_t seed = hash + (is_literal ? TOKEN_STRING : token.kind) + 1;
        hash = token.kind == TOKEN_WORD ? hash_folded(token.text, seed)
                                        : hash_xx64(is_literal ? SLICE("?") : token.text, seed);
    }
    *ret_fingerprint = hash;
    return ERR_OK;
}
