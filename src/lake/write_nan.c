/* NaN counts, and bounds that leave NaN out. The engine says of a column only that it has NaN, and
 * it puts that above all numbers; so those columns, of those files alone, are read once more. */
#include "arrow/value.h"
#include "engine/engine.h"
#include "lake/lake_int.h"
#include "lake/write.h"

#define FILES_AT_ONCE 256u

/* A column of floating-point numbers that a row has once. */
struct real_column {
    const struct iceberg_field *field;
    struct iceberg_metrics_want want;
};

struct counter {
    const struct lake_write *write;
    struct engine *engine;
    const struct identity *who;
    const struct iceberg_io *io;
    struct arena *arena;
    struct real_column *columns; /* that have NaN somewhere */
    size_t column_count, column_capacity;
    struct lake_written **files; /* that have NaN somewhere */
    size_t file_count;
    struct lake_written **part; /* of which some are read at once */
    size_t part_count;
    struct errinfo *info;
};

/* ---- what is to be read ---- */

static bool is_open(const struct iceberg_metrics *metrics, const struct iceberg_field *field)
{
    bool is_real = field->type.id == ICEBERG_FLOAT || field->type.id == ICEBERG_DOUBLE;
    return is_real && metrics->field_id == field->id && metrics->nan_count == ICEBERG_NO_ID &&
           metrics->value_count > 0 && metrics->null_count < metrics->value_count;
}

static struct iceberg_metrics *find_metrics(const struct lake_written *file, int32_t id)
{
    for (size_t i = 0; i < file->file.metrics_count; i++) {
        if (file->metrics[i].field_id == id) {
            return &file->metrics[i];
        }
    }
    return NULL;
}

static bool is_anywhere(const struct lake_written_list *list, const struct iceberg_field *field)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct iceberg_metrics *metrics = find_metrics(&list->files[i], field->id);
        if (metrics != NULL && is_open(metrics, field)) {
            return true;
        }
    }
    return false;
}

static enum err add_column(struct counter *c, const struct iceberg_field *field, struct slice path)
{
    if (c->column_count == c->column_capacity) {
        size_t capacity = c->column_capacity == 0 ? 16 : c->column_capacity * 2;
        struct real_column *grown = arena_calloc(c->arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(c->info);
        }
        if (c->column_count > 0) {
            memcpy(grown, c->columns, c->column_count * sizeof(*grown));
        }
        c->columns = grown;
        c->column_capacity = capacity;
    }
    c->columns[c->column_count++] =
        (struct real_column){field, iceberg_metrics_wanted(c->write->metadata, path)};
    return ERR_OK;
}

/* Fields of structs too, not those of lists and maps. */
static enum err find_columns(struct counter *c, const struct lake_written_list *list,
                             const struct iceberg_type *type, struct slice before)
{
    for (size_t i = 0; i < type->field_count && type->id == ICEBERG_STRUCT; i++) {
        const struct iceberg_field *field = &type->fields[i];
        struct buf path CLEANUP(buf_fini) = {0};
        buf_append_slice(&path, before);
        buf_append_str(&path, before.len > 0 ? "." : "");
        buf_append_slice(&path, field->name);
        if (buf_failed(&path)) {
            return errinfo_nomem(c->info);
        }
        TRY(is_anywhere(list, field) ? add_column(c, field, buf_slice(&path)) : ERR_OK);
        TRY(find_columns(c, list, &field->type, buf_slice(&path)));
    }
    return ERR_OK;
}

static enum err find_files(struct counter *c, struct lake_written_list *list)
{
    c->files = arena_calloc(c->arena, list->count + 1, sizeof(struct lake_written *));
    if (c->files == NULL) {
        return errinfo_nomem(c->info);
    }
    for (size_t i = 0; i < list->count; i++) {
        bool has_any = false;
        for (size_t k = 0; k < c->column_count && !has_any; k++) {
            const struct iceberg_metrics *metrics =
                find_metrics(&list->files[i], c->columns[k].field->id);
            has_any = metrics != NULL && is_open(metrics, c->columns[k].field);
        }
        if (has_any) {
            c->files[c->file_count++] = &list->files[i];
        }
    }
    return ERR_OK;
}

/* ---- reading ---- */

static enum err read_object(void *context, size_t index, uint64_t offset, void *ret_bytes,
                            size_t len, struct errinfo *info)
{
    const struct counter *c = context;
    return c->io->read_range(c->io->context, c->part[index]->file.path, offset, len, ret_bytes,
                             info);
}

/* SELECT filename, how many are NaN, the least and the greatest that are not ... */
static enum err print_query(const struct counter *c, const struct engine_grant *grant,
                            struct buf *out)
{
    buf_append_str(out, "SELECT filename");
    for (size_t i = 0; i < c->column_count; i++) {
        struct buf source CLEANUP(buf_fini) = {0};
        lake__write_source(c->write, c->columns[i].field->id, &source);
        const char *name = buf_cstr(&source);
        buf_printf(out,
                   ", count(*) FILTER (WHERE isnan(%s)), min(%s) FILTER (WHERE NOT isnan(%s)), "
                   "max(%s) FILTER (WHERE NOT isnan(%s))",
                   name, name, name, name, name);
        out->failed = out->failed || buf_failed(&source);
    }
    buf_append_str(out, " FROM read_parquet([");
    for (size_t i = 0; i < c->part_count; i++) {
        buf_append_str(out, i == 0 ? "'" : ", '");
        engine_grant_uri(grant, i, out);
        buf_append_char(out, '\'');
    }
    buf_append_str(out, "], filename => true) AS r GROUP BY filename");
    return buf_failed(out) ? errinfo_nomem(c->info) : ERR_OK;
}

static enum err read_cell(const struct counter *c, const struct ArrowSchema *schema,
                          const struct ArrowArray *batch, size_t column, int64_t row,
                          struct slice *ret_text)
{
    struct buf text CLEANUP(buf_fini) = {0};
    const struct ArrowSchema *type = schema->children[column];
    const struct ArrowArray *array = batch->children[column];
    *ret_text = (struct slice){NULL, 0};
    if (!arrow_is_valid(type, array, row)) {
        return ERR_OK;
    }
    TRY(arrow_print(type, array, row, &text, c->info));
    return !buf_failed(&text) && arena_slice(c->arena, buf_slice(&text), ret_text)
               ? ERR_OK
               : errinfo_nomem(c->info);
}

static struct lake_written *find_file(const struct counter *c, const struct engine_grant *grant,
                                      struct slice uri)
{
    for (size_t i = 0; i < c->part_count; i++) {
        struct buf known CLEANUP(buf_fini) = {0};
        engine_grant_uri(grant, i, &known);
        if (!buf_failed(&known) && slice_equal(buf_slice(&known), uri)) {
            return c->part[i];
        }
    }
    return NULL;
}

static enum err take_row(const struct counter *c, const struct engine_grant *grant,
                         const struct ArrowSchema *schema, const struct ArrowArray *batch,
                         int64_t row)
{
    struct slice uri;
    TRY(read_cell(c, schema, batch, 0, row, &uri));
    const struct lake_written *file = find_file(c, grant, uri);
    for (size_t i = 0; file != NULL && i < c->column_count; i++) {
        const struct real_column *column = &c->columns[i];
        struct iceberg_metrics *metrics = find_metrics(file, column->field->id);
        struct slice texts[3];
        for (size_t k = 0; k < ARRAY_COUNT(texts); k++) {
            TRY(read_cell(c, schema, batch, 1 + 3 * i + k, row, &texts[k]));
        }
        if (metrics == NULL || !is_open(metrics, column->field)) {
            continue;
        }
        if (column->want.mode != ICEBERG_METRICS_NONE) {
            (void)slice_to_i64(texts[0], &metrics->nan_count);
        }
        TRY(lake__write_bound(column->field, column->want, texts[1], false, c->arena,
                              &metrics->lower, c->info));
        TRY(lake__write_bound(column->field, column->want, texts[2], true, c->arena,
                              &metrics->upper, c->info));
    }
    return ERR_OK;
}

static enum err take_rows(const struct counter *c, const struct engine_grant *grant,
                          struct engine_query *query)
{
    struct ArrowSchema schema = {0};
    TRY(engine_query_schema(query, &schema, c->info));
    enum err err = (size_t)schema.n_children == 1 + 3 * c->column_count
                       ? ERR_OK
                       : errinfo_set(c->info, ERR_INTERNAL, NULL,
                                     "the engine gives other columns than it was asked for");
    for (bool is_done = false; err == ERR_OK && !is_done;) {
        struct ArrowArray batch = {0};
        err = engine_query_next(query, &batch, c->info);
        is_done = batch.release == NULL;
        for (int64_t row = 0; err == ERR_OK && !is_done && row < batch.length; row++) {
            err = take_row(c, grant, &schema, &batch, row);
        }
        if (batch.release != NULL) {
            batch.release(&batch);
        }
    }
    schema.release(&schema);
    return err;
}

static enum err count_part(struct counter *c)
{
    struct engine_grant *grant CLEANUP(engine_grant_cleanup) = NULL;
    struct engine_session *session CLEANUP(engine_session_cleanup) = NULL;
    struct engine_query *query CLEANUP(engine_query_cleanup) = NULL;
    struct buf sql CLEANUP(buf_fini) = {0};
    struct engine_object *objects = arena_calloc(c->arena, c->part_count, sizeof(*objects));
    if (objects == NULL) {
        return errinfo_nomem(c->info);
    }
    for (size_t i = 0; i < c->part_count; i++) {
        objects[i] = (struct engine_object){.size_bytes = (uint64_t)c->part[i]->file.size_bytes,
                                            .etag = c->part[i]->file.path,
                                            .has_hidden = true};
    }
    struct engine_grant_spec spec = {
        .objects = objects, .object_count = c->part_count, .read = read_object, .context = c};
    TRY(engine_grant_open(c->engine, c->who, &spec, &grant, c->info));
    TRY(print_query(c, grant, &sql));
    TRY(engine_session_open(c->engine, c->who, &session, c->info));
    TRY(engine_query_open(session, c->who, buf_slice(&sql), NULL, 0, &query, c->info));
    return take_rows(c, grant, query);
}

/* What is not known of a file is nothing that a statement fails for. */
static bool may_stay_unknown(enum err err)
{
    return err != ERR_NOMEM && err != ERR_CANCELLED && err != ERR_TIMEOUT;
}

enum err lake_write_count_nans(const struct lake_write *write, struct engine *engine,
                               const struct identity *who, const struct iceberg_io *io,
                               struct lake_written_list *list, struct arena *arena,
                               struct errinfo *info)
{
    struct counter c = {
        .write = write, .engine = engine, .who = who, .io = io, .arena = arena, .info = info};
    TRY(find_columns(&c, list, &write->schema->root, (struct slice){"", 0}));
    TRY(c.column_count > 0 ? find_files(&c, list) : ERR_OK);
    for (size_t first = 0; first < c.file_count; first += FILES_AT_ONCE) {
        size_t rest = c.file_count - first;
        c.part = c.files + first;
        c.part_count = rest < FILES_AT_ONCE ? rest : FILES_AT_ONCE;
        enum err err = count_part(&c);
        if (err != ERR_OK && !may_stay_unknown(err)) {
            return err;
        }
    }
    return ERR_OK;
}
