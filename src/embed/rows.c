/* Rows of parameters, out of an Arrow array or a stream of them: a row is one execution. */
#include <errno.h>

#include "arrow/value.h"
#include "base/arena.h"
#include "base/mem.h"
#include "embed/embed_int.h"

#define PARAMETERS_MAX 10000

void embed__rows_fini(struct embed_rows *rows)
{
    if (rows == NULL) {
        return;
    }
    if (rows->batch.release != NULL) {
        rows->batch.release(&rows->batch);
    }
    if (rows->schema.release != NULL) {
        rows->schema.release(&rows->schema);
    }
    if (rows->stream.release != NULL) {
        rows->stream.release(&rows->stream);
    }
    *rows = (struct embed_rows){0};
}

static enum err check_schema(const struct embed_rows *rows, struct errinfo *info)
{
    const struct ArrowSchema *schema = &rows->schema;
    if (schema->format == NULL || strcmp(schema->format, "+s") != 0) {
        return errinfo_set(info, ERR_INVALID, "22023",
                           "rows must be of a struct type, with a field for each column");
    }
    if (schema->n_children > PARAMETERS_MAX) {
        return errinfo_set(info, ERR_LIMIT, NULL, "rows have more than %d fields", PARAMETERS_MAX);
    }
    return ERR_OK;
}

static enum err check_batch(const struct embed_rows *rows, struct errinfo *info)
{
    return rows->batch.release != NULL && rows->batch.n_children != rows->schema.n_children
               ? errinfo_set(info, ERR_INVALID, "22023",
                             "rows do not have the fields of their type")
               : ERR_OK;
}

enum err embed__rows_of_array(struct embed_rows *rows, struct ArrowSchema *schema,
                              struct ArrowArray *array, struct errinfo *info)
{
    *rows = (struct embed_rows){.schema = *schema, .batch = *array};
    schema->release = NULL;
    array->release = NULL;
    TRY(check_schema(rows, info));
    return check_batch(rows, info);
}

static enum err stream_error(struct ArrowArrayStream *stream, struct errinfo *info)
{
    const struct embed_run *run = embed__run_of(stream);
    if (run != NULL && run->err != ERR_OK) {
        *info = run->info;
        return run->err;
    }
    const char *why = stream->get_last_error(stream);
    return errinfo_set(info, ERR_IO, NULL, "the rows given cannot be read: %s",
                       why == NULL ? "their source does not say why" : why);
}

enum err embed__rows_of_stream(struct embed_rows *rows, struct ArrowArrayStream *stream,
                               struct errinfo *info)
{
    *rows = (struct embed_rows){.stream = *stream};
    stream->release = NULL;
    if (rows->stream.get_schema(&rows->stream, &rows->schema) != 0) {
        rows->schema.release = NULL;
        return stream_error(&rows->stream, info);
    }
    return check_schema(rows, info);
}

enum err embed__stream_batch(struct ArrowArrayStream *stream, struct ArrowArray *ret_batch,
                             struct errinfo *info)
{
    struct ArrowArray batch = {0};
    if (stream->get_next(stream, &batch) != 0) {
        return stream_error(stream, info);
    }
    *ret_batch = batch;
    return ERR_OK;
}

enum err embed__rows_next(struct embed_rows *rows, bool *ret_has, struct errinfo *info)
{
    rows->row = rows->is_begun ? rows->row + 1 : 0;
    rows->is_begun = true;
    while (rows->batch.release == NULL || rows->row >= rows->batch.length) {
        if (rows->stream.release == NULL) {
            *ret_has = false;
            return ERR_OK;
        }
        if (rows->batch.release != NULL) {
            rows->batch.release(&rows->batch);
            rows->batch.release = NULL;
        }
        TRY(embed__stream_batch(&rows->stream, &rows->batch, info));
        TRY(check_batch(rows, info));
        rows->row = 0;
        if (rows->batch.release == NULL) {
            *ret_has = false;
            return ERR_OK;
        }
    }
    *ret_has = true;
    return ERR_OK;
}

/* What a value is where the statement does not say. */
static enum query_parameter_kind kind_of(const struct ArrowSchema *schema)
{
    if (schema->dictionary != NULL || schema->format[0] == '\0' || schema->format[1] != '\0') {
        return QUERY_PARAMETER_TEXT;
    }
    if (schema->format[0] == 'b') {
        return QUERY_PARAMETER_BOOLEAN;
    }
    bool is_integer = strchr("cCsSiIlL", schema->format[0]) != NULL;
    bool is_real = strchr("efg", schema->format[0]) != NULL;
    return is_integer ? QUERY_PARAMETER_INTEGER
           : is_real  ? QUERY_PARAMETER_REAL
                      : QUERY_PARAMETER_TEXT;
}

/* Bytes as the engine reads them out of a text: \x and two digits, each. */
static enum err print_bytes(const struct ArrowSchema *schema, const struct ArrowArray *array,
                            int64_t row, struct buf *out, struct errinfo *info)
{
    struct buf hex CLEANUP(buf_fini) = {0};
    TRY(arrow_print(schema, array, row, &hex, info));
    for (size_t i = 2; i + 1 < hex.len; i += 2) {
        buf_printf(out, "\\x%c%c", hex.ptr[i], hex.ptr[i + 1]);
    }
    return buf_failed(&hex) ? errinfo_nomem(info) : ERR_OK;
}

static enum err read_cell(const struct ArrowSchema *schema, const struct ArrowArray *array,
                          int64_t row, struct arena *arena, struct query_parameter *ret_parameter,
                          struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    bool is_bytes = strcmp(schema->format, "z") == 0 || strcmp(schema->format, "Z") == 0 ||
                    strncmp(schema->format, "w:", 2) == 0;
    *ret_parameter = (struct query_parameter){.kind = kind_of(schema)};
    if (!arrow_is_valid(schema, array, row)) {
        ret_parameter->is_null = true;
        return ERR_OK;
    }
    TRY(is_bytes ? print_bytes(schema, array, row, &text, info)
                 : arrow_print(schema, array, row, &text, info));
    if (buf_failed(&text) || !arena_slice(arena, buf_slice(&text), &ret_parameter->text)) {
        return errinfo_nomem(info);
    }
    return ERR_OK;
}

enum err embed__rows_cells(const struct embed_rows *rows, struct arena *arena,
                           struct query_parameter **ret_parameters, size_t *ret_count,
                           struct errinfo *info)
{
    size_t count = (size_t)rows->schema.n_children;
    struct query_parameter *parameters = arena_calloc(arena, count + 1, sizeof(*parameters));
    if (parameters == NULL) {
        return errinfo_nomem(info);
    }
    int64_t row = rows->batch.offset + rows->row;
    for (size_t i = 0; i < count; i++) {
        TRY(read_cell(rows->schema.children[i], rows->batch.children[i], row, arena, &parameters[i],
                      info));
    }
    *ret_parameters = parameters;
    *ret_count = count;
    return ERR_OK;
}
