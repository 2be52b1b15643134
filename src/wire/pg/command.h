/* What a statement is, for the protocol. Internal. */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"

enum pg_command_kind {
    COMMAND_EMPTY,
    COMMAND_STATEMENT, /* for the query module */
    COMMAND_BEGIN,
    COMMAND_COMMIT,
    COMMAND_ROLLBACK,
    COMMAND_SAVEPOINT,
    COMMAND_RELEASE,
    COMMAND_ROLLBACK_TO,
    COMMAND_SET,
    COMMAND_RESET,
    COMMAND_RESET_ALL,
    COMMAND_SHOW,
    COMMAND_SET_TRANSACTION,
    COMMAND_KEEP, /* SET or RESET (is_default) of what is so already */
    COMMAND_DECLARE,
    COMMAND_FETCH,
    COMMAND_MOVE,
    COMMAND_CLOSE,
    COMMAND_COPY_OUT,
    COMMAND_COPY_IN,
    COMMAND_DEALLOCATE,
    COMMAND_DISCARD,
    COMMAND_UNLISTEN,
    COMMAND_CONSTANT, /* a question of a client about the server, with a constant answer */
};

enum pg_copy_format {
    COPY_TEXT,
    COPY_CSV,
    COPY_BINARY
};

struct pg_copy {
    enum pg_copy_format format;
    bool has_header;
    bool is_header_matched; /* FROM: it must say the names of the columns */
    char delimiter;
    char quote, escape; /* csv */
    struct slice null;
    bool force_quote_all;
    struct slice *force_null, *force_not_null; /* FROM: columns */
    size_t force_null_count, force_not_null_count;
};

struct pg_command {
    enum pg_command_kind kind;
    struct slice text;     /* the statement; for DECLARE and COPY TO, the query in it */
    struct slice name;     /* setting, cursor, savepoint, prepared statement; empty: all */
    struct slice value;    /* for DECLARE, the statement */
    bool is_local;         /* SET LOCAL */
    bool is_default;       /* SET x TO DEFAULT */
    bool is_chained;       /* COMMIT AND CHAIN */
    bool is_held;          /* WITH HOLD */
    bool is_scroll;        /* SCROLL */
    bool is_binary;        /* BINARY */
    bool is_transactional; /* STATEMENT: a rollback undoes all that it changes */
    bool is_change;        /* STATEMENT, COPY_IN: of tables, views, schemas or grants */
    bool has_rows;         /* STATEMENT: gives rows (SELECT, SHOW, EXPLAIN ...) */
    bool is_select;        /* STATEMENT: may have parameters and can be described */
    bool takes_values;     /* STATEMENT: the same of INSERT, UPDATE, DELETE */
    bool makes_key;        /* CREATE API KEY: has rows, and cannot be run to see which */
    bool is_session;       /* STATEMENT: changes the session */
    signed char read_only, deferrable; /* of a transaction: 1, -1: not, 0: not said */
    bool is_characteristics; /* SET_TRANSACTION: of the session's transactions from now on */
    uint64_t count;          /* FETCH; UINT64_MAX: all */
    struct pg_copy copy;
    const struct pg_constant *constant;
};

/* Columns and the one row of a COMMAND_CONSTANT. `value` NULL: of the connection, see run.c. */
struct pg_constant {
    const char *statement; /* tokens in lower case, one space between */
    const char *column;
    const char *value;
    uint32_t oid;
    int16_t size;
};

/* Views of `text`, or in `arena`. ERR_SYNTAX and the like with a position in `text`. */
MUST_USE enum err pg__command_parse(struct slice text, struct arena *arena,
                                    struct pg_command *ret_command, struct errinfo *info);
MUST_USE enum err pg__copy_parse(struct slice text, struct arena *arena,
                                 struct pg_command *ret_command, struct errinfo *info);
