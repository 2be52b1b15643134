/* Rows of texts and bytes as an Arrow batch: for the few answers that no query gives. Internal. */
#pragma once

#include "arrow/arrow.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"

enum {
    ROWS_COLUMNS_MAX = 8
};

struct rows {
    size_t column_count;
    size_t count;
    struct {
        struct buf offsets; /* int32 */
        struct buf bytes;
        const void *buffers[3];
        struct ArrowArray array;
    } columns[ROWS_COLUMNS_MAX];
    struct ArrowArray *links[ROWS_COLUMNS_MAX];
    const void *none[1];
};

/* All columns of `schema` are texts or bytes ("u", "z"). */
void rows_init(struct rows *rows, const struct ArrowSchema *schema);
void rows_fini(struct rows *rows);
void rows_reset(struct rows *rows);
size_t rows_count(const struct rows *rows);
/* A cell of the row that is being put together; then its end. */
void rows_put(struct rows *rows, size_t column, struct slice bytes);
void rows_end_row(struct rows *rows);
/* Views of the rows: nothing to release. ERR_NOMEM, ERR_LIMIT: more than 2 GiB in a column. */
MUST_USE enum err rows_batch(struct rows *rows, struct ArrowArray *ret_batch, struct errinfo *info);
