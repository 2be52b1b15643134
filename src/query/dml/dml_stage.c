/* Rows that a statement changes, as they will be, in a file of the session.
 *
 * What a statement says is asked once: a condition may say something else the second time
 * (random(), a table elsewhere), and a row would be there twice, or not at all. So one query, the
 * person's, secured and in the trail like any other, gives each row that is changed: where it is,
 * what becomes of it, and its new values. All that follows reads that file: which rows go, what is
 * written, what RETURNING gives. */
#include "query/dml/dml_change_int.h"

#include "query/temp/change_int.h"
#include "query/plan/plan_int.h"
#include "sql/scan.h"

/* ---- texts ---- */

void dml_text_fini(struct dml_text *text)
{
    buf_fini(&text->sql);
    buf_fini(&text->parts);
}

void dml_text_part(struct dml_text *text, struct slice part)
{
    struct dml_part kept = {text->sql.len, part};
    buf_append(&text->parts, &kept, sizeof(kept));
    buf_append_slice(&text->sql, part);
    buf_append_char(&text->sql, '\n'); /* it may end in a comment */
}

bool dml_text_failed(const struct dml_text *text)
{
    return buf_failed(&text->sql) || buf_failed(&text->parts);
}

/* From a place in the text to the one in the statement that it was written from, or to none. */
void dml_text_position(const struct query *query, const struct dml_text *text, struct errinfo *info)
{
    size_t at = info == NULL ? 0 : info->position;
    const struct dml_part *parts = (const void *)text->parts.ptr;
    if (at == 0) {
        return;
    }
    info->position = 0;
    for (size_t i = 0; i < text->parts.len / sizeof(*parts); i++) {
        size_t first = parts[i].at + 1;
        size_t begin = statement_position(query->statement, parts[i].text);
        if (begin > 0 && at >= first && at <= first + parts[i].text.len) {
            info->position = begin + (at - first);
        }
    }
}

/* ---- the file ---- */

static void add_column(struct relation_column *columns, size_t *count, struct slice name,
                       struct slice type)
{
    columns[*count] = (struct relation_column){
        .id = (uint32_t)*count + 1, .name = name, .source = name, .type = type};
    *count += 1;
}

static enum err value_column(const struct dml *dml, size_t index, struct relation_column *columns,
                             size_t *count, struct errinfo *info)
{
    const struct iceberg_field *field = &dml->write.schema->root.fields[index];
    struct arena *arena = dml->query->arena;
    struct buf type CLEANUP(buf_fini) = {0};
    struct slice kept;
    char *name = arena_printf(arena, "c%zu", index);
    TRY(lake_type_print(&field->type, field->name, &type, info));
    if (name == NULL || buf_failed(&type) || !arena_slice(arena, buf_slice(&type), &kept)) {
        return errinfo_nomem(info);
    }
    add_column(columns, count, slice_of(name), kept);
    return ERR_OK;
}

/* m_file, m_pos, m_kind, m_row, and c<i> of each field that is kept. */
static enum err shape_of(const struct dml *dml, struct temp_table *ret_shape, struct errinfo *info)
{
    const struct iceberg_type *root = &dml->write.schema->root;
    struct relation_column *columns =
        arena_calloc(dml->query->arena, root->field_count + 5, sizeof(*columns));
    size_t count = 0;
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    add_column(columns, &count, SLICE("m_file"), SLICE("VARCHAR"));
    add_column(columns, &count, SLICE("m_pos"), SLICE("BIGINT"));
    add_column(columns, &count, SLICE("m_kind"), SLICE("INTEGER"));
    add_column(columns, &count, SLICE("m_row"), SLICE("BIGINT"));
    for (size_t i = 0; i < root->field_count; i++) {
        TRY(lake_write_keeps(&root->fields[i]) ? value_column(dml, i, columns, &count, info)
                                               : ERR_OK);
    }
    *ret_shape = (struct temp_table){.name = SLICE(DML_STAGE_NAME),
                                     .uuid = slice_of(dml->query->id),
                                     .columns = columns,
                                     .column_count = count,
                                     .quota = session_temp_quota(dml->query->session)};
    return ERR_OK;
}

/* As files have the values: some types as their text. */
static void print_kept(const struct temp_table *shape, struct buf *out)
{
    for (size_t i = 0; i < shape->column_count; i++) {
        bool as_text = false;
        as_text = temp_keeps_type(shape->columns[i].type, &as_text) && as_text;
        buf_append_str(out, i == 0 ? "SELECT " : ", ");
        buf_append_str(out, as_text ? "CAST(" : "");
        sql_quote_name(out, shape->columns[i].name);
        buf_append_str(out, as_text ? " AS VARCHAR) AS " : " AS ");
        sql_quote_name(out, shape->columns[i].name);
    }
}

/* Runs a plan's rows into a new file of the session; they are of the shape's columns. */
static enum err fill(struct query *query, const struct plan *plan, struct access **access,
                     struct temp_file *file, uint64_t bytes_max, struct errinfo *info)
{
    struct session *session = query->session;
    struct buf bound CLEANUP(buf_fini) = {0};
    struct buf uri CLEANUP(buf_fini) = {0};
    struct buf sql CLEANUP(buf_fini) = {0};
    TRY(access_open_temp(session->warehouse, session->who, plan, file, bytes_max, NULL, access,
                         info));
    if (query->state < QUERY_RUNNING) {
        TRY(query_move(query, QUERY_RUNNING, info));
    }
    access_sink_uri(*access, &uri);
    if (access_bind(*access, plan->physical_sql, &bound) != ERR_OK) {
        return errinfo_nomem(info);
    }
    buf_append_str(&sql, "COPY (");
    buf_append_slice(&sql, buf_slice(&bound));
    buf_append_str(&sql, ") TO ");
    sql_quote_string(&sql, buf_slice(&uri));
    buf_append_str(&sql, " (FORMAT parquet, COMPRESSION lz4_raw)");
    if (buf_failed(&sql) || buf_failed(&uri)) {
        return errinfo_nomem(info);
    }
    query->rows_out = 0;
    TRY(run_copy_to_end(query, buf_slice(&sql), info));
    file->row_count = query->rows_out;
    query->rows_out = 0;
    return ERR_OK;
}

static enum err keep_rows(struct dml *dml, const struct temp_table *shape, const struct plan *plan,
                          struct access **access, struct temp_table **ret_rows,
                          struct errinfo *info)
{
    struct temp_file *file CLEANUP(temp_file_cleanup) = NULL;
    uint64_t bytes_max;
    TRY(run_temp_file(dml->query, &file, &bytes_max, info));
    enum err err = fill(dml->query, plan, access, file, bytes_max, info);
    if (err == ERR_OK) {
        err = dml_note_reads(dml, *access, plan, info);
    }
    query_engine_close(dml->query);
    TRY(err);
    return temp_table_new(shape, false, file->row_count == 0 ? NULL : file, ret_rows, info);
}

enum err dml_stage_plan(struct dml *dml, const struct plan *plan, struct temp_table **ret_rows,
                        struct errinfo *info)
{
    struct access *access CLEANUP(access_cleanup) = NULL;
    struct temp_table shape;
    TRY(shape_of(dml, &shape, info));
    return keep_rows(dml, &shape, plan, &access, ret_rows, info);
}

/* From names that nobody could say to those of the shape. */
static void print_renamed(const struct dml *dml, const struct temp_table *shape, struct buf *out)
{
    const struct slice names[] = {dml->kept_file, dml->kept_pos, SLICE("m_kind"), dml->kept_row};
    for (size_t i = 0; i < shape->column_count; i++) {
        buf_append_str(out, i == 0 ? "SELECT " : ", ");
        sql_quote_name(out, i < ARRAY_COUNT(names) ? names[i] : shape->columns[i].name);
        buf_append_str(out, " AS ");
        sql_quote_name(out, shape->columns[i].name);
    }
    buf_append_str(out, " FROM (");
}

enum err dml_stage(struct dml *dml, const struct dml_text *text, struct temp_table **ret_rows,
                   struct errinfo *info)
{
    struct query *query = dml->query;
    struct temp_table shape;
    struct plan *plan CLEANUP(plan_cleanup) = NULL;
    struct dml_text whole CLEANUP(dml_text_fini) = {0};
    TRY(dml_text_failed(text) ? errinfo_nomem(info) : shape_of(dml, &shape, info));
    print_kept(&shape, &whole.sql);
    buf_append_str(&whole.sql, " FROM (");
    if (dml->is_partial && dml->target.table.len > 0) {
        print_renamed(dml, &shape, &whole.sql);
    }
    size_t shift = whole.sql.len;
    buf_append_slice(&whole.sql, buf_slice(&text->sql));
    buf_append_str(&whole.sql, "\n) AS \"moat rows\"");
    buf_append_str(&whole.sql,
                   dml->is_partial && dml->target.table.len > 0 ? ") AS \"moat named\"" : "");
    buf_append_slice(&whole.parts, buf_slice(&text->parts));
    TRY(dml_text_failed(&whole) ? errinfo_nomem(info) : ERR_OK);
    struct dml_part *parts = (void *)whole.parts.ptr;
    for (size_t i = 0; i < whole.parts.len / sizeof(*parts); i++) {
        parts[i].at += shift;
    }
    enum err err = dml_plan_rows(dml, buf_slice(&whole.sql), &plan, info);
    if (err == ERR_OK && dml->reads_rows != NULL) {
        err = dml_check_plan(dml, plan, info);
    }
    if (err == ERR_OK) {
        err = query_move(query, QUERY_ADMITTED, info);
    }
    if (err == ERR_OK) {
        err = keep_rows(dml, &shape, plan, &query->access, ret_rows, info);
    }
    if (err != ERR_OK) {
        dml_text_position(query, &whole, info);
    }
    return err;
}

/* ---- what reads it ---- */

/* Errors point into the text. */
static enum err plan_over(struct session *session, struct temp_table *rows, struct slice text,
                          struct plan **ret_plan, struct errinfo *info)
{
    struct temp_set *before = temp_set_ref(session_temp_set(session));
    enum err err = session_set_temp(session, rows->name, rows, info);
    if (err == ERR_OK) {
        err = plan_build_new(session, NULL, text, ret_plan, info);
    }
    /* Whatever came of it: no statement of the person's may find these rows. */
    session_restore_temps(session, before);
    temp_set_unref(before);
    return err;
}

enum err dml_plan_staged(struct session *session, struct temp_table *rows, struct slice text,
                         struct plan **ret_plan, struct errinfo *info)
{
    enum err err = plan_over(session, rows, text, ret_plan, info);
    if (err != ERR_OK && info != NULL) {
        info->position = 0;
    }
    return err;
}

static enum err pull(struct dml *dml, struct lake_rows *victims, struct errinfo *info)
{
    struct query *query = dml->query;
    for (;;) {
        struct ArrowArray batch = {0};
        TRY(query_check_cancelled(query, info));
        TRY(engine_query_next(query->engine, &batch, info));
        if (batch.release == NULL) {
            return ERR_OK;
        }
        enum err err = lake_rows_add(victims, &batch, info);
        batch.release(&batch);
        TRY(err);
    }
}

enum err dml_pull_victims(struct dml *dml, struct lake_rows *victims, struct errinfo *info)
{
    const struct engine_query *engine = dml->query->engine;
    bool is_good = engine_query_column_count(engine) == 2 &&
                   slice_equal(engine_query_column(engine, 0).type, SLICE("VARCHAR")) &&
                   slice_equal(engine_query_column(engine, 1).type, SLICE("BIGINT"));
    return is_good ? pull(dml, victims, info)
                   : errinfo_set(info, ERR_INTERNAL, NULL,
                                 "the rows of \"%.*s\" do not say where they are stored",
                                 SLICE_ARGS(dml->name));
}

static enum err read_victims(struct dml *dml, struct temp_table *rows, struct lake_rows *victims,
                             struct errinfo *info)
{
    struct session *session = dml->query->session;
    struct plan *plan CLEANUP(plan_cleanup) = NULL; /* outlives its access */
    struct access *access CLEANUP(access_cleanup) = NULL;
    struct buf bound CLEANUP(buf_fini) = {0};
    TRY(dml_plan_staged(session, rows,
                        SLICE("SELECT m_file, m_pos FROM " DML_STAGE " WHERE m_file IS NOT NULL"),
                        &plan, info));
    TRY(access_open(session->warehouse, session->who, plan, NULL, &access, info));
    if (access_bind(access, plan->physical_sql, &bound) != ERR_OK) {
        return errinfo_nomem(info);
    }
    TRY(query_engine_open(dml->query, buf_slice(&bound), info));
    enum err err = dml_pull_victims(dml, victims, info);
    query_engine_close(dml->query);
    return err;
}

enum err dml_staged_victims(struct dml *dml, struct temp_table *rows, struct lake_rows *victims,
                            struct errinfo *info)
{
    TRY(read_victims(dml, rows, victims, info));
    uint64_t distinct = lake_rows_count(victims);
    if (lake_rows_added(victims) != distinct) {
        (void)errinfo_set(info, ERR_INVALID, "21000",
                          "%s would change a row of \"%.*s\" a second time", dml->query->tag,
                          SLICE_ARGS(dml->name));
        errinfo_hint(info, "Ensure that not more than one row of the source matches any row of "
                           "the table.");
        return ERR_INVALID;
    }
    return ERR_OK;
}

/* ---- RETURNING ---- */

/* The rows as the statement calls them. */
static void print_named(const struct dml *dml, struct slice alias, struct buf *out)
{
    const struct iceberg_type *root = &dml->write.schema->root;
    const char *before = " FROM (SELECT ";
    for (size_t i = 0; i < root->field_count; i++) {
        if (dml_is_hidden(dml, i)) {
            continue;
        }
        buf_append_str(out, before);
        before = ", ";
        if (lake_write_keeps(&root->fields[i]) && dml_is_masked(dml, i)) {
            buf_printf(out, "CASE WHEN m_kind <> %d THEN c%zu END AS ", (int)DML_INSERTED, i);
        } else if (lake_write_keeps(&root->fields[i])) {
            buf_printf(out, "c%zu AS ", i);
        } else {
            buf_append_str(out, "NULL AS ");
        }
        sql_quote_name(out, root->fields[i].name);
    }
    buf_append_str(out, " FROM " DML_STAGE ") AS ");
    sql_quote_name(out, alias);
}

/* Columns r<i> of what a plan gives, and a text that reads them under their names. */
static enum err returned_shape(struct query *query, struct plan *plan, struct temp_table *ret_shape,
                               struct buf *names, struct errinfo *info)
{
    struct engine_column *found;
    size_t count;
    size_t at = 0;
    enum err err = run_describe_plan(query, plan, &found, &count, info);
    if (err != ERR_OK) {
        struct query bound = {.session = query->session, .plan = plan};
        query_clean_error(&bound, true, info);
        return err;
    }
    struct relation_column *columns = arena_calloc(query->arena, count + 1, sizeof(*columns));
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        char *name = arena_printf(query->arena, "r%zu", i);
        if (name == NULL) {
            return errinfo_nomem(info);
        }
        add_column(columns, &at, slice_of(name), found[i].type);
        buf_printf(names, i == 0 ? "SELECT r%zu AS " : ", r%zu AS ", i);
        sql_quote_name(names, found[i].name);
    }
    buf_append_str(names, " FROM " DML_STAGE);
    *ret_shape = (struct temp_table){.name = SLICE(DML_STAGE_NAME),
                                     .uuid = slice_of(query->id),
                                     .columns = columns,
                                     .column_count = count,
                                     .quota = session_temp_quota(query->session)};
    return buf_failed(names) ? errinfo_nomem(info) : ERR_OK;
}

/* What is wrong with it points into the statement. */
static enum err plan_returning(struct dml *dml, const struct statement *statement,
                               struct temp_table *rows, struct temp_table *ret_shape,
                               struct buf *names, struct errinfo *info)
{
    struct query *query = dml->query;
    struct plan *plan CLEANUP(plan_cleanup) = NULL;
    struct dml_text text CLEANUP(dml_text_fini) = {0};
    struct slice alias = statement->alias.len > 0 ? statement->alias : statement->name.name;
    buf_append_str(&text.sql, "SELECT ");
    dml_text_part(&text, statement->returning);
    print_named(dml, alias, &text.sql);
    TRY(dml_text_failed(&text) ? errinfo_nomem(info) : ERR_OK);
    enum err err = plan_over(query->session, rows, buf_slice(&text.sql), &plan, info);
    if (err == ERR_OK) {
        err = returned_shape(query, plan, ret_shape, names, info);
    }
    if (err != ERR_OK) {
        dml_text_position(query, &text, info);
        return err;
    }
    if (plan->table_count != 1 || plan->tables[0].relation->kind != RELATION_TEMP) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                           "RETURNING reads the rows that were changed, and no other tables");
    }
    return ERR_OK;
}

/* SELECT r0 AS "a", ... of the rows that RETURNING computes. */
static enum err print_returned(struct dml *dml, const struct statement *statement,
                               const struct temp_table *shape, struct buf *out,
                               struct errinfo *info)
{
    struct slice alias = statement->alias.len > 0 ? statement->alias : statement->name.name;
    print_kept(shape, out);
    buf_append_str(out, " FROM (SELECT ");
    buf_append_slice(out, statement->returning);
    buf_append_char(out, '\n');
    print_named(dml, alias, out);
    buf_append_str(out, ") AS \"moat returned\" (");
    for (size_t i = 0; i < shape->column_count; i++) {
        buf_printf(out, i == 0 ? "r%zu" : ", r%zu", i);
    }
    buf_append_char(out, ')');
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

enum err dml_return(struct dml *dml, const struct statement *statement, struct temp_table *rows,
                    struct errinfo *info)
{
    struct query *query = dml->query;
    struct temp_table shape;
    struct temp_table *given CLEANUP(temp_table_cleanup) = NULL;
    struct plan *kept CLEANUP(plan_cleanup) = NULL;
    struct access *access CLEANUP(access_cleanup) = NULL;
    struct buf text CLEANUP(buf_fini) = {0};
    struct buf names CLEANUP(buf_fini) = {0};
    if (statement->returning.len == 0) {
        return ERR_OK;
    }
    TRY(plan_returning(dml, statement, rows, &shape, &names, info));
    TRY(print_returned(dml, statement, &shape, &text, info));
    TRY(dml_plan_staged(query->session, rows, buf_slice(&text), &kept, info));
    TRY(keep_rows(dml, &shape, kept, &access, &given, info));
    TRY(dml_plan_staged(query->session, given, buf_slice(&names), &query->returning, info));
    return access_open(query->session->warehouse, query->session->who, query->returning, NULL,
                       &query->returning_access, info);
}

enum err dml_give(struct query *query, struct errinfo *info)
{
    struct buf sql CLEANUP(buf_fini) = {0};
    if (query->returning == NULL) {
        return ERR_OK;
    }
    if (access_bind(query->returning_access, query->returning->physical_sql, &sql) != ERR_OK) {
        return errinfo_nomem(info);
    }
    TRY(query_engine_open(query, buf_slice(&sql), info));
    query->has_rows = true;
    return ERR_OK;
}
