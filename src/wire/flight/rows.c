#include "wire/flight/rows.h"

void rows_init(struct rows *rows, const struct ArrowSchema *schema)
{
    ASSERT(schema->n_children <= ROWS_COLUMNS_MAX);
    *rows = (struct rows){.column_count = (size_t)schema->n_children};
    rows_reset(rows);
}

void rows_fini(struct rows *rows)
{
    for (size_t i = 0; i < rows->column_count; i++) {
        buf_fini(&rows->columns[i].offsets);
        buf_fini(&rows->columns[i].bytes);
    }
}

void rows_reset(struct rows *rows)
{
    static const int32_t zero;
    rows->count = 0;
    for (size_t i = 0; i < rows->column_count; i++) {
        buf_reset(&rows->columns[i].offsets);
        buf_reset(&rows->columns[i].bytes);
        buf_append(&rows->columns[i].offsets, &zero, sizeof(zero));
    }
}

size_t rows_count(const struct rows *rows)
{
    return rows->count;
}

void rows_put(struct rows *rows, size_t column, struct slice bytes)
{
    buf_append_slice(&rows->columns[column].bytes, bytes);
}

void rows_end_row(struct rows *rows)
{
    for (size_t i = 0; i < rows->column_count; i++) {
        int32_t end = (int32_t)rows->columns[i].bytes.len;
        buf_append(&rows->columns[i].offsets, &end, sizeof(end));
    }
    rows->count++;
}

enum err rows_batch(struct rows *rows, struct ArrowArray *ret_batch, struct errinfo *info)
{
    for (size_t i = 0; i < rows->column_count; i++) {
        struct buf *bytes = &rows->columns[i].bytes;
        if (buf_failed(bytes) || buf_failed(&rows->columns[i].offsets)) {
            return errinfo_nomem(info);
        }
        if (bytes->len > INT32_MAX) {
            return errinfo_set(info, ERR_LIMIT, NULL, "a column of the answer is over 2 GiB");
        }
        rows->columns[i].buffers[1] = rows->columns[i].offsets.ptr;
        rows->columns[i].buffers[2] = buf_cstr(bytes);
        rows->columns[i].array = (struct ArrowArray){
            .length = (int64_t)rows->count, .n_buffers = 3, .buffers = rows->columns[i].buffers};
        rows->links[i] = &rows->columns[i].array;
    }
    *ret_batch = (struct ArrowArray){.length = (int64_t)rows->count,
                                     .n_buffers = 1,
                                     .buffers = rows->none,
                                     .n_children = (int64_t)rows->column_count,
                                     .children = rows->links};
    return ERR_OK;
}
