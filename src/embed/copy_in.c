/* COPY t FROM STDIN out of an Arrow stream. */
#include "base/mem.h"
#include "embed/embed_int.h"

/* ---- rows with a number in front, as query_push_begin wants them ---- */

struct numbered {
    struct ArrowArray given;
    struct ArrowArray line;
    struct ArrowArray **children;
    const void *buffers[1];
    const void *line_buffers[2];
    int64_t *numbers;
};

static void release_nothing(struct ArrowArray *array)
{
    array->release = NULL;
}

static void release_numbered(struct ArrowArray *array)
{
    struct numbered *numbered = array->private_data;
    if (numbered->given.release != NULL) {
        numbered->given.release(&numbered->given);
    }
    mem_free(numbered->numbers);
    mem_free((void *)numbered->children);
    mem_free(numbered);
    array->release = NULL;
}

/* `batch` is the result's from then on, also after an error. */
static enum err number_rows(struct ArrowArray *batch, int64_t first, struct ArrowArray *ret_batch,
                            struct errinfo *info)
{
    struct numbered *numbered = mem_calloc(1, sizeof(*numbered));
    if (numbered == NULL) {
        batch->release(batch);
        return errinfo_nomem(info);
    }
    numbered->given = *batch;
    struct ArrowArray result = {.length = batch->length,
                                .n_buffers = 1,
                                .n_children = batch->n_children + 1,
                                .buffers = numbered->buffers,
                                .release = release_numbered,
                                .private_data = numbered};
    numbered->children = mem_calloc((size_t)result.n_children, sizeof(struct ArrowArray *));
    size_t length = (size_t)(batch->length + batch->offset);
    numbered->numbers = mem_calloc(length + 1, sizeof(int64_t));
    if (numbered->children == NULL || numbered->numbers == NULL) {
        release_numbered(&result);
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < length; i++) {
        numbered->numbers[i] = first + (int64_t)i - batch->offset;
    }
    numbered->line_buffers[1] = numbered->numbers;
    numbered->line = (struct ArrowArray){.length = (int64_t)length,
                                         .n_buffers = 2,
                                         .buffers = numbered->line_buffers,
                                         .release = release_nothing};
    numbered->children[0] = &numbered->line;
    for (int64_t i = 0; i < batch->n_children; i++) {
        numbered->children[i + 1] = numbered->given.children[i];
    }
    result.offset = batch->offset;
    result.children = numbered->children;
    *ret_batch = result;
    return ERR_OK;
}

static enum err number_schema(const struct ArrowSchema *given, struct ArrowSchema *ret_schema,
                              struct errinfo *info)
{
    struct ArrowSchema schema;
    size_t count = (size_t)given->n_children;
    TRY(embed__schema_new("+s", SLICE(""), count + 1, &schema, info));
    enum err err = embed__schema_new("l", SLICE("line"), 0, schema.children[0], info);
    for (size_t i = 0; err == ERR_OK && i < count; i++) {
        err = embed__schema_copy(given->children[i], schema.children[i + 1], info);
    }
    if (err != ERR_OK) {
        schema.release(&schema);
        return err;
    }
    *ret_schema = schema;
    return ERR_OK;
}

/* ---- from the stream into the query ---- */

static enum err push_all(struct query *query, struct embed_rows *rows, struct errinfo *info)
{
    int64_t line = 1;
    for (;;) {
        struct ArrowArray given = {0};
        struct ArrowArray batch;
        TRY(embed__stream_batch(&rows->stream, &given, info));
        if (given.release == NULL) {
            return ERR_OK;
        }
        int64_t length = given.length;
        if (given.n_children != rows->schema.n_children) {
            given.release(&given);
            return errinfo_set(info, ERR_INVALID, "22023",
                               "rows do not have the fields of their type");
        }
        TRY(number_rows(&given, line, &batch, info));
        TRY(query_push(query, &batch, info));
        line += length;
    }
}

static enum err explain_bad_value(const struct query *query, struct errinfo *info)
{
    uint64_t line;
    size_t target;
    struct slice value;
    if (query_bad_value(query, &line, &target, &value)) {
        struct query_column column = query_target(query, target);
        (void)errinfo_set(info, ERR_INVALID, "22P02", "row %llu: column \"%.*s\" cannot be %.*s",
                          (unsigned long long)line, SLICE_ARGS(column.name),
                          SLICE_ARGS(column.type));
    }
    return info->code;
}

static enum err copy_rows(struct query *query, struct embed_rows *rows, struct errinfo *info)
{
    struct ArrowSchema schema;
    if (query_target_count(query) != (size_t)rows->schema.n_children) {
        return errinfo_set(info, ERR_INVALID, "22023",
                           "there are %lld columns for %zu of the table",
                           (long long)rows->schema.n_children, query_target_count(query));
    }
    TRY(number_schema(&rows->schema, &schema, info));
    TRY(query_push_begin(query, &schema, info));
    enum err err = push_all(query, rows, info);
    if (err != ERR_OK) {
        query_push_fail(query, info);
        return err;
    }
    return query_push_end(query, info) == ERR_OK ? ERR_OK : explain_bad_value(query, info);
}

static enum err copy_in(struct moat_statement *statement, struct ArrowArrayStream *stream,
                        int64_t *ret_count, struct errinfo *info)
{
    struct embed_rows rows CLEANUP(embed__rows_fini) = {0};
    struct embed_run *run CLEANUP(embed__run_cleanup) = NULL;
    TRY(embed__rows_of_stream(&rows, stream, info));
    TRY(embed__run_open(statement, &run, info));
    TRY(copy_rows(run->query, &rows, info));
    embed__run_end(run);
    *ret_count = run->affected;
    return ERR_OK;
}

enum moat_status moat_copy_in(struct moat_session *session, const char *copy,
                              struct ArrowArrayStream *rows, int64_t *ret_row_count,
                              struct moat_error *error)
{
    struct errinfo info;
    struct moat_statement statement = {
        .session = session, .sql = mem_strdup(copy), .takes_rows = true};
    int64_t count;
    errinfo_init(&info);
    TURN(session);
    enum err err =
        statement.sql == NULL ? errinfo_nomem(&info) : copy_in(&statement, rows, &count, &info);
    if (rows->release != NULL) {
        rows->release(rows);
    }
    mem_free(statement.sql);
    if (err == ERR_OK && ret_row_count != NULL) {
        *ret_row_count = count;
    }
    return embed__status(err, &info, error);
}
