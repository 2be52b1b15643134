/* Outcomes. `enum err` is what a function returns; `struct errinfo` is what a user reads.
 *
 * The caller owns the errinfo (usually on its stack); it holds fixed buffers so that reporting a
 * failure can never fail itself. A function logs or returns, never both. Messages name the object
 * in double quotes; hints say what to do next. Never put data of rows, tokens, keys or storage
 * addresses into one. Shape after PostgreSQL's elog (SQLSTATE, message, detail, hint, position). */
#pragma once

#include "base/base.h"

enum err {
    ERR_OK = 0,
    ERR_NOMEM,     /* 53200: an allocation failed or an arena limit was reached */
    ERR_INVALID,   /* a value, argument or file is not what it must be */
    ERR_SYNTAX,    /* 42601 */
    ERR_NOT_FOUND, /* does not exist, or is not visible, which must look the same */
    ERR_EXISTS,
    ERR_DENIED,      /* 42501 */
    ERR_IO,          /* 58030 */
    ERR_CORRUPT,     /* XX001: stored bytes fail a check */
    ERR_LIMIT,       /* 54000, 53400: a configured limit */
    ERR_CANCELLED,   /* 57014 by request */
    ERR_TIMEOUT,     /* 57014 by deadline */
    ERR_UNSUPPORTED, /* 0A000: valid, but this program does not do it */
    ERR_BUSY,        /* 53300, 55P03 */
    ERR_ENGINE,      /* the engine refused or failed; SQLSTATE mapped by engine */
    ERR_INTERNAL,    /* XX000 */
};

#define ERRINFO_MESSAGE_BYTES 1024
#define ERRINFO_DETAIL_BYTES 1024
#define ERRINFO_HINT_BYTES 512

struct errinfo {
    enum err code;
    char sqlstate[6];
    size_t position; /* 1-based byte offset in the statement the user sent; 0 = none */
    char message[ERRINFO_MESSAGE_BYTES];
    char detail[ERRINFO_DETAIL_BYTES]; /* empty = none */
    char hint[ERRINFO_HINT_BYTES];     /* empty = none */
};

/* Short stable word for logs and tests: "not_found". */
const char *err_name(enum err code);

/* SQLSTATE used when errinfo_set is given none. */
const char *err_sqlstate(enum err code);

void errinfo_init(struct errinfo *info);

/* Fills `info` (NULL is allowed and ignored), clearing detail, hint and position, and returns
 * `code` so that `return errinfo_set(...)` reads well. `sqlstate` NULL means err_sqlstate(code).
 * Over-long texts are cut at a UTF-8 boundary with "..." at the end. */
PRINTF_LIKE(4, 5)
enum err(errinfo_set)(struct errinfo *info, enum err code, const char *sqlstate, const char *format,
                      ...);
/* So that the compiler sees which code comes back. */
#define errinfo_set(info, code, ...)                                                               \
    (__extension__({                                                                               \
        const enum err set_code_ = (code);                                                         \
        (void)(errinfo_set)((info), set_code_, __VA_ARGS__);                                       \
        set_code_;                                                                                 \
    }))

PRINTF_LIKE(2, 3) void errinfo_detail(struct errinfo *info, const char *format, ...);
PRINTF_LIKE(2, 3) void errinfo_hint(struct errinfo *info, const char *format, ...);
void errinfo_position(struct errinfo *info, size_t position_one_based);

/* The usual out-of-memory report. */
enum err(errinfo_nomem)(struct errinfo *info);
#define errinfo_nomem(info) ((void)(errinfo_nomem)(info), (enum err)ERR_NOMEM)

/* Expands to the two arguments of "%.*s" for a slice, bounded so that int never overflows. */
#define SLICE_ARGS(s) ((int)((s).len > 4096 ? 4096 : (s).len)), ((s).ptr == NULL ? "" : (s).ptr)

/* Returns the error of `expression` from the enclosing function if it is not ERR_OK. */
#define TRY(expression)                                                                            \
    do {                                                                                           \
        enum err try_err_ = (expression);                                                          \
        if (try_err_ != ERR_OK) {                                                                  \
            return try_err_;                                                                       \
        }                                                                                          \
    } while (0)
