/* Moat inside a program: a warehouse, people's sessions in it, statements, results as Arrow.
 *
 * What a session sees is what its person may see: policy, limits and audit trail are those of
 * every other door. The engine runs in this process, though, so that a program which embeds Moat
 * is trusted with what its people may see, all of them; where it should not be, set
 * "engine.isolation=hosts", or let it ask a server.
 *
 * Threads. A database may be used by all threads at once. Calls on one session, its statements and
 * its results wait for each other; sessions do not. moat_cancel and moat_statement_cancel wait for
 * nothing and may be called by any thread as long as what they name is open.
 *
 * Lifetimes. Things may be closed in any order: a result goes on after its statement, session and
 * database were closed, and what is under it goes with the last of them. Texts given are copied.
 * A process that forks may use Moat on one side only, and only if it was opened there.
 *
 * Errors. A call that can fail gives a status, and fills `error` (which may be NULL) unless that is
 * MOAT_OK; `ret_` outputs are set only if it is. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MOAT_API __attribute__((visibility("default")))

/* ---- the Arrow C data and stream interfaces ---- */

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

#endif

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE

struct ArrowArrayStream {
    int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
    int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out);
    const char *(*get_last_error)(struct ArrowArrayStream *);
    void (*release)(struct ArrowArrayStream *);
    void *private_data;
};

#endif

/* ---- outcomes ---- */

enum moat_status {
    MOAT_OK = 0,
    MOAT_NO_MEMORY,
    MOAT_INVALID,     /* a value, argument or file is not what it must be */
    MOAT_SYNTAX,      /* the statement is no SQL */
    MOAT_NOT_FOUND,   /* does not exist, or is not visible, which looks the same */
    MOAT_EXISTS,      /* there is one already */
    MOAT_DENIED,      /* the person may not, or is not who they say */
    MOAT_IO,          /* a disk, a network, another system */
    MOAT_CORRUPT,     /* stored bytes fail a check */
    MOAT_LIMIT,       /* a configured limit */
    MOAT_CANCELLED,   /* by request */
    MOAT_TIMEOUT,     /* by a deadline */
    MOAT_UNSUPPORTED, /* valid, but this program does not do it */
    MOAT_BUSY,        /* try again later */
    MOAT_ENGINE,      /* the statement failed while it ran: sqlstate says how */
    MOAT_INTERNAL,    /* a bug: please report it */
};

struct moat_error {
    enum moat_status status;
    char sqlstate[6];
    int64_t position;   /* 1-based byte in the statement; 0 = none */
    char message[1024]; /* texts are UTF-8; empty = none */
    char detail[1024];
    char hint[512];
};

MOAT_API const char *moat_version(void);

/* ---- a warehouse ---- */

struct moat_database;

/* Opens the warehouse in the folder `path`; `settings` are "section.key=value", up to a NULL, or
 * NULL itself. Other keys come from the folder's moat.yaml and from the environment (MOAT_...), as
 * for the program. What this process has open already is shared; MOAT_BUSY (55006) if that was
 * with other settings. MOAT_NOT_FOUND: there is no warehouse, and `warehouse.create=true` is not
 * among `settings`. */
MOAT_API enum moat_status moat_open(const char *path, const char *const *settings,
                                    struct moat_database **ret_database, struct moat_error *error);
MOAT_API void moat_close(struct moat_database *database); /* NULL is allowed, as in all closes */

/* ---- a person's session ---- */

struct moat_session;

/* The OS user of this process, who must own the warehouse; with `as` (not NULL) another person,
 * acted for by them. The audit trail has both. MOAT_DENIED (28000). */
MOAT_API enum moat_status moat_sign_in_local(struct moat_database *database, const char *as,
                                             struct moat_session **ret_session,
                                             struct moat_error *error);
/* By the providers of the warehouse (login.providers): a password of `user`. MOAT_DENIED (28P01):
 * in words and time that do not tell whether there is such a user. MOAT_BUSY (53300): too many
 * wrong tries. */
MOAT_API enum moat_status moat_sign_in_password(struct moat_database *database, const char *user,
                                                const char *password,
                                                struct moat_session **ret_session,
                                                struct moat_error *error);
/* A bearer token, or an API key. Catalogs are asked with a token as they are by a server. `refresh`
 * (or NULL) renews a token. MOAT_DENIED (28000). */
MOAT_API enum moat_status moat_sign_in_token(struct moat_database *database, const char *token,
                                             const char *refresh, struct moat_session **ret_session,
                                             struct moat_error *error);
/* Another session of the same person, of its own: settings are those of the configuration. */
MOAT_API enum moat_status moat_session_again(struct moat_session *session,
                                             struct moat_session **ret_session,
                                             struct moat_error *error);
/* What is open is rolled back, once no statement and no result of it is left. Statements of it run
 * no more; results may be read to their end. */
MOAT_API void moat_session_close(struct moat_session *session);
/* Until the session is closed. */
MOAT_API const char *moat_session_user(const struct moat_session *session);

/* As the statements BEGIN, COMMIT and ROLLBACK do. */
MOAT_API enum moat_status moat_begin(struct moat_session *session, struct moat_error *error);
MOAT_API enum moat_status moat_commit(struct moat_session *session, struct moat_error *error);
MOAT_API enum moat_status moat_rollback(struct moat_session *session, struct moat_error *error);

/* Cancels all that the session runs, open results too: they end with MOAT_CANCELLED (57014). */
MOAT_API void moat_cancel(struct moat_session *session);

/* ---- statements ---- */

struct moat_statement;

/* One statement; $1, $2 ... stand for parameters. Nothing is looked at before it is described or
 * executed. */
MOAT_API enum moat_status moat_prepare(struct moat_session *session, const char *sql,
                                       struct moat_statement **ret_statement,
                                       struct moat_error *error);
MOAT_API void moat_statement_close(struct moat_statement *statement);

/* What it would give and need, without running it: a struct with a field for each column or
 * parameter; a parameter that could be anything is of Arrow's null type. The caller releases. */
MOAT_API enum moat_status moat_statement_columns(struct moat_statement *statement,
                                                 struct ArrowSchema *ret_schema,
                                                 struct moat_error *error);
MOAT_API enum moat_status moat_statement_parameters(struct moat_statement *statement,
                                                    struct ArrowSchema *ret_schema,
                                                    struct moat_error *error);

/* Parameters from 1 on. They stay until bound anew or cleared; all must be. A value takes the type
 * that the statement gives its parameter: texts are read as that. */
MOAT_API enum moat_status moat_bind_null(struct moat_statement *statement, size_t index,
                                         struct moat_error *error);
MOAT_API enum moat_status moat_bind_bool(struct moat_statement *statement, size_t index, bool value,
                                         struct moat_error *error);
MOAT_API enum moat_status moat_bind_int64(struct moat_statement *statement, size_t index,
                                          int64_t value, struct moat_error *error);
MOAT_API enum moat_status moat_bind_double(struct moat_statement *statement, size_t index,
                                           double value, struct moat_error *error);
/* `len` SIZE_MAX: up to the NUL. */
MOAT_API enum moat_status moat_bind_text(struct moat_statement *statement, size_t index,
                                         const char *text, size_t len, struct moat_error *error);
MOAT_API enum moat_status moat_bind_bytes(struct moat_statement *statement, size_t index,
                                          const void *bytes, size_t len, struct moat_error *error);
/* Rows of parameters, a field each in their order: the next execution runs the statement once for
 * each row, one after the other, and they are gone. Schema and array (or stream) are the
 * statement's from then on, also after an error, and their `release` is NULL. */
MOAT_API enum moat_status moat_bind_arrow(struct moat_statement *statement,
                                          struct ArrowSchema *schema, struct ArrowArray *rows,
                                          struct moat_error *error);
MOAT_API enum moat_status moat_bind_stream(struct moat_statement *statement,
                                           struct ArrowArrayStream *rows, struct moat_error *error);
MOAT_API void moat_clear_bindings(struct moat_statement *statement);

/* Runs it. Rows are pulled from the stream, which the caller releases; they are made as they are
 * pulled. Without `ret_rows` (NULL) it runs to its end. `ret_rows_affected` (or NULL): what it
 * wrote or removed; -1 = it gives rows, or does not say. */
MOAT_API enum moat_status moat_execute(struct moat_statement *statement,
                                       struct ArrowArrayStream *ret_rows,
                                       int64_t *ret_rows_affected, struct moat_error *error);
/* Of the last execution: "SELECT", "INSERT 0 2" ...; until the next one. */
MOAT_API const char *moat_statement_tag(const struct moat_statement *statement);
/* Cancels what the statement runs, its open result too. */
MOAT_API void moat_statement_cancel(struct moat_statement *statement);
/* What the last call on a result failed with; false: it did not. */
MOAT_API bool moat_stream_error(const struct ArrowArrayStream *rows, struct moat_error *ret_error);

/* All in one, without parameters. */
MOAT_API enum moat_status moat_query(struct moat_session *session, const char *sql,
                                     struct ArrowArrayStream *ret_rows, int64_t *ret_rows_affected,
                                     struct moat_error *error);
/* COPY table [(columns)] FROM STDIN: the rows of the stream into a temporary table of the session,
 * or none of them after an error. The stream is released. */
MOAT_API enum moat_status moat_copy_in(struct moat_session *session, const char *copy,
                                       struct ArrowArrayStream *rows, int64_t *ret_row_count,
                                       struct moat_error *error);

#ifdef __cplusplus
}
#endif
