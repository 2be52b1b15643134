/* The data of COPY FROM STDIN: bytes, cut anywhere, to rows of cells, in PostgreSQL's three
 * formats. Knows no types and no messages. Internal. */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"
#include "wire/pg/command.h"

struct copy_cell {
    struct slice value; /* good until the next row */
    bool is_null;
};

/* One row; on an error `*ret_column` may say which of its cells it is about. */
typedef enum err (*copy_row_fn)(void *context, const struct copy_cell *cells, size_t *ret_column,
                                struct errinfo *info);

struct copy_target {
    struct slice name;
    bool is_force_null, is_force_not_null; /* csv */
};

enum copy_line_end {
    LINE_END_UNKNOWN,
    LINE_END_NL,
    LINE_END_CR,
    LINE_END_CRNL
};

struct copy_reader {
    const struct pg_copy *copy;
    const struct copy_target *targets;
    size_t target_count;
    size_t line_bytes_max; /* of a line or a binary row */
    copy_row_fn row;
    void *context;
    uint64_t line;  /* of the row at hand, from 1; in binary the row's number */
    size_t column;  /* that an error is about; SIZE_MAX: the line */
    bool has_value; /* of it, or of the line */
    struct slice value;
    /* internal */
    struct copy_cell *cells; /* one more than there are targets */
    struct buf pending;      /* bytes of no row yet */
    size_t begin;            /* of the line at hand, in pending */
    size_t scan;             /* what of pending was looked at */
    struct buf scratch;      /* cells that differ from their bytes */
    uint64_t inner_lines;    /* ends of lines inside the quotes of the line at hand */
    enum copy_line_end line_end;
    bool is_in_quotes;
    bool was_escape;
    bool has_begun; /* the header is read, or that of the binary format */
    bool is_ended;  /* the end marker was read */
};

/* The options, targets, limit and function are set; `cells` has room. What these point to outlives
 * the reader. */
void copy_reader_init(struct copy_reader *reader);
void copy_reader_fini(struct copy_reader *reader);
/* More bytes. ERR_INVALID (22P04, 22021), ERR_LIMIT (54000), and what `row` says; after an error
 * only copy_reader_where and _fini. */
MUST_USE enum err copy_reader_feed(struct copy_reader *reader, struct slice bytes,
                                   struct errinfo *info);
/* No more will come. */
MUST_USE enum err copy_reader_end(struct copy_reader *reader, struct errinfo *info);
/* Appends where the error is: COPY t, line 3, column b: "x". */
void copy_reader_where(const struct copy_reader *reader, struct slice relation, struct buf *out);
