/* compute_statistics: a sketch of the distinct values of each column of a snapshot, in a Puffin
 * file that the table's metadata names. */
#include "query/maintain/maintain_int.h"

#include "base/json.h"
#include "iceberg/delete_write.h"
#include "iceberg/write.h"
#include "lake/sketch.h"
#include "query/dml/dml_int.h"
#include "query/plan/plan_int.h"
#include "sql/scan.h"

#define COLUMNS_AT_ONCE 64u /* a sketch takes 200 KiB */

enum {
    TABLE,
    COLUMNS,
    SNAPSHOT
};

struct measured {
    const struct iceberg_field *field;
    struct slice name; /* dotted */
    struct slice sql;  /* "a"."b" */
    struct iceberg_sketch *sketch;
};

struct statistics {
    struct maintain *call;
    const struct iceberg_snapshot *snapshot;
    struct measured *columns;
    size_t count, capacity;
    size_t puffin_bytes;
    struct buf puffin, entries; /* the file, and what the table says of its blobs */
    struct slice location;      /* of the file */
    bool is_created;
    struct errinfo *info;
};

/* ---- which columns ---- */

static enum err add_column(struct statistics *s, const struct iceberg_field *field,
                           const struct buf *name, const struct buf *sql)
{
    struct arena *arena = s->call->query->arena;
    if (s->count == s->capacity) {
        size_t capacity = s->capacity == 0 ? 16 : s->capacity * 2;
        struct measured *grown = arena_calloc(arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(s->info);
        }
        if (s->count > 0) {
            memcpy(grown, s->columns, s->count * sizeof(*grown));
        }
        s->columns = grown;
        s->capacity = capacity;
    }
    struct measured *column = &s->columns[s->count];
    *column = (struct measured){.field = field};
    if (!arena_slice(arena, buf_slice(name), &column->name) ||
        !arena_slice(arena, buf_slice(sql), &column->sql)) {
        return errinfo_nomem(s->info);
    }
    s->count++;
    return ERR_OK;
}

/* All fields that have values of their own, also inside of structs. */
static enum err add_fields(struct statistics *s, const struct iceberg_type *type,
                           struct slice name_before, struct slice sql_before)
{
    for (size_t i = 0; i < type->field_count; i++) {
        const struct iceberg_field *field = &type->fields[i];
        struct buf name CLEANUP(buf_fini) = {0};
        struct buf sql CLEANUP(buf_fini) = {0};
        buf_append_slice(&name, name_before);
        buf_append_str(&name, name_before.len > 0 ? "." : "");
        buf_append_slice(&name, field->name);
        buf_append_slice(&sql, sql_before);
        buf_append_str(&sql, sql_before.len > 0 ? "." : "");
        sql_quote_name(&sql, field->name);
        if (buf_failed(&name) || buf_failed(&sql)) {
            return errinfo_nomem(s->info);
        }
        if (field->type.id == ICEBERG_STRUCT) {
            TRY(add_fields(s, &field->type, buf_slice(&name), buf_slice(&sql)));
        } else if (lake_sketch_takes(&field->type)) {
            TRY(add_column(s, field, &name, &sql));
        }
    }
    return ERR_OK;
}

/* The next of "a, b.c"; false at the end. */
static bool next_name(struct slice *list, struct slice *ret_name)
{
    size_t end = 0;
    while (end < list->len && list->ptr[end] != ',') {
        end++;
    }
    bool is_there = list->len > 0;
    *ret_name = slice_trim((struct slice){list->ptr, end});
    size_t taken = end < list->len ? end + 1 : end;
    *list = (struct slice){list->ptr + taken, list->len - taken};
    return is_there;
}

static enum err keep_named(struct statistics *s, struct slice list)
{
    size_t kept = 0;
    struct slice name;
    while (next_name(&list, &name)) {
        size_t at = kept;
        while (at < s->count && !slice_equal_fold(s->columns[at].name, name)) {
            at++;
        }
        if (at == s->count) {
            (void)errinfo_set(s->info, ERR_NOT_FOUND, "42703",
                              "table \"%.*s\" has no column \"%.*s\" that can be counted",
                              SLICE_ARGS(s->call->ddl.name), SLICE_ARGS(name));
            errinfo_hint(s->info, "Columns are named with commas between them, once each, a field "
                                  "of a struct as a.b; lists and maps cannot be counted.");
            return ERR_NOT_FOUND;
        }
        struct measured found = s->columns[at];
        s->columns[at] = s->columns[kept];
        s->columns[kept++] = found;
    }
    s->count = kept;
    return ERR_OK;
}

static enum err choose(struct statistics *s)
{
    const struct iceberg_metadata *metadata = s->call->ddl.metadata;
    const struct maintain_value *values = s->call->values;
    int64_t id =
        values[SNAPSHOT].is_given ? values[SNAPSHOT].number : metadata->current_snapshot_id;
    if (id == ICEBERG_NO_ID) {
        return ERR_OK;
    }
    TRY(iceberg_travel_to_id(metadata, id, &s->snapshot, s->info));
    const struct iceberg_schema *schema = iceberg_metadata_schema(metadata, s->snapshot->schema_id);
    schema = schema == NULL ? iceberg_metadata_current_schema(metadata) : schema;
    TRY(add_fields(s, &schema->root, (struct slice){"", 0}, (struct slice){"", 0}));
    return values[COLUMNS].is_given ? keep_named(s, values[COLUMNS].text) : ERR_OK;
}

/* ---- counting ---- */

static enum err add_batch(struct statistics *s, size_t first, size_t count,
                          const struct ArrowSchema *schema, const struct ArrowArray *batch,
                          struct arena *scratch)
{
    for (size_t i = 0; i < count; i++) {
        const struct measured *column = &s->columns[first + i];
        TRY(lake_sketch_add(&column->field->type, schema->children[i], batch->children[i], scratch,
                            column->sketch, s->info));
    }
    return ERR_OK;
}

static enum err pull(struct statistics *s, size_t first, size_t count)
{
    struct query *query = s->call->query;
    struct arena *scratch CLEANUP(arena_cleanup) = arena_new(query->arena, "values", 0);
    struct ArrowSchema schema = {0};
    if (scratch == NULL) {
        return errinfo_nomem(s->info);
    }
    TRY(engine_query_schema(query->engine, &schema, s->info));
    enum err err = (size_t)schema.n_children == count
                       ? ERR_OK
                       : errinfo_set(s->info, ERR_INTERNAL, NULL,
                                     "the engine gives other columns than it was asked for");
    for (bool is_done = false; err == ERR_OK && !is_done;) {
        struct ArrowArray batch = {0};
        err = query_check_cancelled(query, s->info);
        if (err == ERR_OK) {
            err = engine_query_next(query->engine, &batch, s->info);
        }
        is_done = batch.release == NULL;
        if (!is_done) {
            err = err == ERR_OK ? add_batch(s, first, count, &schema, &batch, scratch) : err;
            batch.release(&batch);
        }
    }
    schema.release(&schema);
    return err;
}

static enum err print_query(const struct statistics *s, size_t first, size_t count, struct buf *out)
{
    const struct ddl *ddl = &s->call->ddl;
    const struct sql_name name = {ddl->catalog.name, ddl->ns, ddl->name};
    for (size_t i = 0; i < count; i++) {
        buf_append_str(out, i == 0 ? "SELECT " : ", ");
        buf_append_slice(out, s->columns[first + i].sql);
    }
    buf_append_str(out, " FROM ");
    sql_print_name(out, &name);
    buf_printf(out, " AT (VERSION => %lld)", (long long)s->snapshot->id);
    return buf_failed(out) ? errinfo_nomem(s->info) : ERR_OK;
}

static enum err count_some(struct statistics *s, size_t first, size_t count)
{
    struct session *session = s->call->query->session;
    struct plan *plan CLEANUP(plan_cleanup) = NULL; /* outlives its access */
    struct access *access CLEANUP(access_cleanup) = NULL;
    struct buf text CLEANUP(buf_fini) = {0};
    struct buf bound CLEANUP(buf_fini) = {0};
    struct dml dml = {.query = s->call->query};
    TRY(print_query(s, first, count, &text));
    TRY(plan_build_new(session, NULL, buf_slice(&text), &plan, s->info));
    TRY(access_open(session->warehouse, session->who, plan, NULL, &access, s->info));
    if (access_bind(access, plan->physical_sql, &bound) != ERR_OK) {
        return errinfo_nomem(s->info);
    }
    for (size_t i = 0; i < count; i++) {
        TRY(iceberg_sketch_open(&s->columns[first + i].sketch, s->info));
    }
    TRY(query_engine_open(dml.query, buf_slice(&bound), s->info));
    enum err err = pull(s, first, count);
    query_engine_close(dml.query);
    return err;
}

/* ---- the file ---- */

static enum err write_some(struct statistics *s, struct puffin_writer *writer, size_t first,
                           size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct measured *column = &s->columns[first + i];
        struct puffin_sketch of = {column->field->id, s->snapshot->id,
                                   s->snapshot->sequence_number};
        struct maintain *call = s->call;
        TRY(puffin_writer_add_sketch(writer, &of, column->sketch, &s->puffin, &s->entries,
                                     s->info));
        maintain_text(call, "column_name", column->name);
        maintain_number(call, "distinct_values", (int64_t)iceberg_sketch_estimate(column->sketch));
        maintain_text(call, "statistics_file", s->location);
        maintain_end_line(call);
    }
    return ERR_OK;
}

static void close_some(struct statistics *s, size_t first, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        iceberg_sketch_close(TAKE(s->columns[first + i].sketch));
    }
}

static enum err measure(struct statistics *s, struct puffin_writer *writer)
{
    for (size_t first = 0; first < s->count; first += COLUMNS_AT_ONCE) {
        size_t rest = s->count - first;
        size_t count = rest < COLUMNS_AT_ONCE ? rest : COLUMNS_AT_ONCE;
        enum err err = count_some(s, first, count);
        if (err == ERR_OK) {
            err = write_some(s, writer, first, count);
        }
        close_some(s, first, count);
        TRY(err);
    }
    s->puffin_bytes = s->puffin.len; /* without the footer */
    return puffin_writer_finish(writer, &s->puffin, s->info);
}

static enum err name_file(struct statistics *s)
{
    struct arena *arena = s->call->query->arena;
    struct slice folder;
    TRY(iceberg_metadata_folder(s->call->ddl.metadata, arena, &folder, s->info));
    char *location = arena_printf(arena, "%.*s/%lld-%s.stats", SLICE_ARGS(folder),
                                  (long long)s->snapshot->id, s->call->query->id);
    if (location == NULL) {
        return errinfo_nomem(s->info);
    }
    s->location = slice_of(location);
    return ERR_OK;
}

/* ---- the commit ---- */

static void undo(void *context, struct ddl *ddl)
{
    struct statistics *s = context;
    struct errinfo ignored;
    if (s->is_created) {
        enum err err = ddl->output.remove(ddl->output.context, s->location, &ignored);
        (void)err; /* an orphan: nothing names it */
        s->is_created = false;
    }
}

static enum err build(void *context, struct ddl *ddl, struct arena *arena,
                      struct slice *ret_requirements, struct slice *ret_updates,
                      struct errinfo *info)
{
    struct statistics *s = context;
    const struct iceberg_snapshot *snapshot;
    struct buf requirements CLEANUP(buf_fini) = {0};
    struct buf updates CLEANUP(buf_fini) = {0};
    long long id = (long long)s->snapshot->id;
    TRY(iceberg_travel_to_id(ddl->metadata, s->snapshot->id, &snapshot, info));
    ddl_print_uuid(ddl, &requirements);
    buf_append_char(&requirements, ']');
    buf_printf(&updates,
               "[{\"action\":\"set-statistics\",\"snapshot-id\":%lld,\"statistics\":{"
               "\"snapshot-id\":%lld,\"statistics-path\":",
               id, id);
    json_write_string(&updates, s->location);
    buf_printf(&updates,
               ",\"file-size-in-bytes\":%zu,\"file-footer-size-in-bytes\":%zu,\"blob-metadata\":[",
               s->puffin.len, s->puffin.len - s->puffin_bytes);
    buf_append_slice(&updates, buf_slice(&s->entries));
    buf_append_str(&updates, "]}}]");
    if (buf_failed(&requirements) || buf_failed(&updates) ||
        !arena_slice(arena, buf_slice(&requirements), ret_requirements) ||
        !arena_slice(arena, buf_slice(&updates), ret_updates)) {
        return errinfo_nomem(info);
    }
    s->is_created = true; /* perhaps, after an error */
    enum err err =
        ddl->output.create(ddl->output.context, s->location, buf_slice(&s->puffin), info);
    if (err != ERR_OK) {
        undo(s, ddl);
    }
    return err;
}

static enum err run(struct statistics *s)
{
    struct puffin_writer writer CLEANUP(puffin_writer_fini) = {0};
    struct ddl_change change = {
        .operation = "compute-statistics", .build = build, .undo = undo, .context = s};
    TRY(choose(s));
    if (s->snapshot == NULL || s->count == 0) {
        return ERR_OK;
    }
    /* What is counted lives in the metadata of now, which a commit may load again. */
    struct iceberg_snapshot counted = *s->snapshot;
    s->snapshot = &counted;
    TRY(name_file(s));
    TRY(measure(s, &writer));
    return maintain_commit(s->call, &change, s->info);
}

enum err maintain_compute_statistics(struct maintain *call, struct errinfo *info)
{
    struct statistics s = {.call = call, .info = info};
    enum err err = run(&s);
    buf_fini(&s.puffin);
    buf_fini(&s.entries);
    return err;
}
