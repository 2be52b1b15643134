/* Rows of cells to Arrow batches, for query_push: values of the usual types are read here, with
 * PostgreSQL's rules, all others go as texts that the engine converts. Internal. */
#pragma once

#include "arrow/arrow.h"
#include "query/query.h"
#include "wire/pg/copy_read.h"
#include "wire/pgvalue/pgvalue.h"

enum copy_way {
    WAY_TEXT,
    WAY_BOOL,
    WAY_INTEGER,
    WAY_FLOAT,
    WAY_DATE,      /* of the binary format, as the next */
    WAY_TIMESTAMP, /* with or without a zone */
};

struct copy_column {
    enum copy_way way;
    const char *format; /* Arrow's */
    struct slice name;
    struct slice engine_type;
    struct pg_type type;
    size_t size;         /* of a value in the batch */
    int64_t least, most; /* of an integer */
    /* the batch at hand */
    struct buf validity; /* bits; empty: there is no NULL */
    struct buf values;   /* of texts: their ends */
    struct buf texts;
    int64_t null_count;
};

struct copy_batch {
    bool is_binary;
    struct copy_column *columns; /* first the line */
    size_t column_count;
    int64_t row_count;
    size_t byte_count;
};

/* What the targets of a query are given as; the columns live in `arena`. */
MUST_USE enum err copy_batch_init(struct copy_batch *batch, const struct query *query,
                                  bool is_binary, struct arena *arena, struct errinfo *info);
void copy_batch_fini(struct copy_batch *batch);
/* For query_push_begin. */
MUST_USE enum err copy_batch_schema(const struct copy_batch *batch, struct ArrowSchema *ret_schema,
                                    struct errinfo *info);
/* ERR_INVALID: cell `*ret_column` is no value of its type; then the batch is good for nothing. */
MUST_USE enum err copy_batch_add(struct copy_batch *batch, uint64_t line,
                                 const struct copy_cell *cells, size_t *ret_column,
                                 struct errinfo *info);
bool copy_batch_is_full(const struct copy_batch *batch);
/* What was added, and begins anew. */
MUST_USE enum err copy_batch_take(struct copy_batch *batch, struct ArrowArray *ret_batch,
                                  struct errinfo *info);
/* That a text is no value of the column's type, as PostgreSQL says it. */
enum err copy_bad_text(const struct copy_column *column, struct slice text, struct errinfo *info);
