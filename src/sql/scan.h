/* The scanner: SQL text to tokens, and a script to statements.
 *
 * Lexical rules are those of the engine (PostgreSQL's with dollar quotes, E'' strings, nested block
 * comments), so that a statement boundary here is one there. NUL bytes and invalid UTF-8 are
 * refused before anything else looks at the text. */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"

enum token_kind {
    TOKEN_END,
    TOKEN_WORD,   /* unquoted identifier or keyword */
    TOKEN_QUOTED, /* "identifier" */
    TOKEN_STRING, /* 'text', E'text', $tag$text$tag$ */
    TOKEN_NUMBER,
    TOKEN_PARAMETER, /* ?, $1, $name */
    TOKEN_OPERATOR,  /* one or more operator characters, or one of ( ) [ ] { } , . : */
    TOKEN_SEMICOLON,
};

struct token {
    enum token_kind kind;
    struct slice text; /* as written, a view of the statement */
    size_t offset;     /* of text in the scanned slice */
};

struct scanner {
    struct slice text;
    size_t at;
};

void scanner_init(struct scanner *scanner, struct slice text);

/* The next token, skipping white space and comments. At the end TOKEN_END forever.
 * ERR_SYNTAX (42601) with position for an unterminated string, comment or quoted name. */
MUST_USE enum err scanner_next(struct scanner *scanner, struct token *ret_token,
                               struct errinfo *info);

/* True for an unquoted word equal to `keyword`, folding case. */
bool token_is(const struct token *token, const char *keyword);
bool token_is_operator(const struct token *token, const char *text);

/* Value of an identifier token: quotes removed and doubled quotes folded (copied into `arena` only
 * if needed). Case as written. False when the arena is exhausted. */
MUST_USE bool token_identifier(const struct token *token, struct arena *arena,
                               struct slice *ret_name);

/* Decoded value of a string token. */
MUST_USE enum err token_string(const struct token *token, struct arena *arena,
                               struct slice *ret_value, struct errinfo *info);

/* Refuses what no statement may be: NUL bytes, invalid UTF-8 (both 22021, with position), longer
 * than `bytes_max` (54000). */
MUST_USE enum err sql_check_text(struct slice text, size_t bytes_max, struct errinfo *info);
/* The length alone: of a text that is being made. */
MUST_USE enum err sql_check_length(size_t len, size_t bytes_max, struct errinfo *info);

/* Cuts the next statement off `rest` (without its semicolon, trimmed of white space and comments
 * around it); empty statements are skipped. `ret_statement->len` 0 at the end.
 * `ret_is_complete` (may be NULL) is false when the text ended without a semicolon: a shell then
 * asks for more. Unterminated strings and comments count as incomplete and give ERR_SYNTAX. */
MUST_USE enum err sql_split(struct slice *rest, struct slice *ret_statement, bool *ret_is_complete,
                            struct errinfo *info);

/* Appends "name" quoted always; 'text' quoted. */
struct buf;
void sql_quote_name(struct buf *out, struct slice name);
void sql_quote_string(struct buf *out, struct slice text);
/* The dotted name, each part quoted only where it must be (not a plain lower-case word or a
 * reserved word): for messages and SHOW. */
struct sql_name;
void sql_print_name(struct buf *out, const struct sql_name *name);

/* Every keyword the scanner's users know, sorted: for completion. */
extern const char *const sql_keywords[];
extern const size_t sql_keyword_count;
