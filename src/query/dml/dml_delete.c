/* DELETE: a secured SELECT says where the rows are; their files are written again without them, in
 * the name of the table and not of the person's rights: what a person may not see must not be lost
 * because they delete something else. */
#include "query/dml/dml_change_int.h"

#include "query/plan/policy_int.h"
#include "sql/scan.h"

/* Without one, columns may be written with all of the table's name before them. */
static void print_alias(const struct statement *statement, struct buf *out)
{
    if (statement->alias.len > 0) {
        buf_append_str(out, " AS ");
        sql_quote_name(out, statement->alias);
    }
}

void dml_print_from(const struct statement *statement, struct buf *out)
{
    buf_append_str(out, " FROM ");
    dml_print_name(statement, out);
    print_alias(statement, out);
    if (statement->using_list.len > 0) {
        buf_append_str(out, ", ");
        buf_append_slice(out, statement->using_list);
        buf_append_char(out, '\n'); /* it may end in a comment */
    }
}

/* FROM t AS a, ... WHERE ... */
static void print_where(const struct dml *dml, const struct statement *statement,
                        struct dml_text *out)
{
    buf_append_str(&out->sql, " FROM ");
    dml_print_target(dml, statement, &out->sql);
    if (statement->using_list.len > 0) {
        buf_append_str(&out->sql, ", ");
        dml_text_part(out, statement->using_list);
    }
    if (statement->where.len > 0) {
        buf_append_str(&out->sql, " WHERE (");
        dml_text_part(out, statement->where);
        buf_append_char(&out->sql, ')');
    }
}

/* SELECT a._file, a._pos FROM t AS a, ... WHERE ... */
static enum err print_victims(const struct dml *dml, const struct statement *statement,
                              struct dml_text *out, struct errinfo *info)
{
    struct buf name CLEANUP(buf_fini) = {0};
    sql_quote_name(&name, dml_alias(statement));
    buf_printf(&out->sql, "SELECT %s.", buf_cstr(&name));
    sql_quote_name(&out->sql, dml->target.file);
    buf_printf(&out->sql, ", %s.", buf_cstr(&name));
    sql_quote_name(&out->sql, dml->target.pos);
    print_where(dml, statement, out);
    return buf_failed(&name) || dml_text_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

static enum err run_victims(struct dml *dml, struct plan *plan, struct lake_rows *rows,
                            struct errinfo *info)
{
    struct query *query = dml->query;
    struct session *session = query->session;
    struct buf bound CLEANUP(buf_fini) = {0};
    TRY(dml_check_plan(dml, plan, info));
    TRY(query_move(query, QUERY_ADMITTED, info));
    TRY(access_open(session->warehouse, session->who, plan, NULL, &query->access, info));
    TRY(query_move(query, QUERY_RUNNING, info));
    if (access_bind(query->access, plan->physical_sql, &bound) != ERR_OK) {
        return errinfo_nomem(info);
    }
    TRY(query_engine_open(dml->query, buf_slice(&bound), info));
    enum err err = dml_pull_victims(dml, rows, info);
    if (err == ERR_OK) {
        err = dml_note_reads(dml, query->access, plan, info);
    }
    query_engine_close(dml->query);
    if (err != ERR_OK) {
        query_clean_error(query, false, info);
    }
    return err;
}

static enum err find_victims(struct dml *dml, const struct statement *statement,
                             struct lake_rows *rows, struct errinfo *info)
{
    struct query *query = dml->query;
    struct dml_text text CLEANUP(dml_text_fini) = {0};
    struct plan *plan CLEANUP(plan_cleanup) = NULL;
    TRY(print_victims(dml, statement, &text, info));
    enum err err = dml_plan_rows(dml, buf_slice(&text.sql), &plan, info);
    if (err == ERR_OK) {
        err = run_victims(dml, plan, rows, info);
    }
    if (err != ERR_OK) {
        dml_text_position(query, &text, info);
    }
    return err;
}

/* ---- the rows that stay ---- */

enum err dml_print_survivors(const struct dml *dml, struct buf *out, struct errinfo *info)
{
    const struct iceberg_type *root = &dml->write.schema->root;
    bool is_first = true;
    buf_append_str(out, "SELECT ");
    for (size_t i = 0; i < root->field_count; i++) {
        if (lake_write_keeps(&root->fields[i])) {
            buf_append_str(out, is_first ? "" : ", ");
            sql_quote_name(out, root->fields[i].name);
            is_first = false;
        }
    }
    buf_append_str(out, dml->write.keeps_lineage ? ", _row_id, _last_updated_sequence_number" : "");
    buf_append_str(out, " FROM ");
    dml_print_stored(dml, out);
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

static enum err remove_rows(struct dml *dml, struct lake_rows *rows, struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    TRY(dml_remove(dml, rows, info));
    if (dml->subset == NULL) {
        return ERR_OK;
    }
    dml->write.keeps_lineage = dml->metadata->format_version > 2;
    TRY(dml_print_survivors(dml, &text, info));
    return dml_rewrite(dml, buf_slice(&text), info);
}

static enum err delete_unseen(struct dml *dml, const struct statement *statement,
                              struct errinfo *info)
{
    struct lake_rows *rows CLEANUP(lake_rows_cleanup) = NULL;
    bool is_done = false;
    /* Who does not see all of a file does not delete all of it. */
    TRY(dml->is_partial ? ERR_OK : dml_remove_whole(dml, statement, &is_done, info));
    if (is_done) { /* nobody reads a row of it */
        TRY(query_move(dml->query, QUERY_SECURED, info));
        TRY(dml_commit_rows(dml, info));
        return dml_tag(dml, dml->rows, info);
    }
    TRY(lake_rows_open(&rows, info));
    TRY(find_victims(dml, statement, rows, info));
    uint64_t count = lake_rows_count(rows);
    if (count > 0) {
        TRY(remove_rows(dml, rows, info));
        dml->rows = count;
        TRY(dml_commit_rows(dml, info));
    }
    return dml_tag(dml, count, info);
}

/* ---- with RETURNING ---- */

static enum err print_staged(const struct dml *dml, const struct statement *statement,
                             struct dml_text *out, struct errinfo *info)
{
    const struct iceberg_type *root = &dml->write.schema->root;
    struct buf name CLEANUP(buf_fini) = {0};
    sql_quote_name(&name, dml_alias(statement));
    const char *alias = buf_cstr(&name);
    buf_append_str(&out->sql, "SELECT ");
    if (statement->using_list.len > 0) { /* a row that several of them meet goes once */
        dml_print_distinct(dml, alias, &out->sql);
    }
    dml_print_place(dml, alias, DML_DELETED, &out->sql);
    for (size_t i = 0; i < root->field_count; i++) {
        if (lake_write_keeps(&root->fields[i])) {
            buf_append_str(&out->sql, ", ");
            TRY(dml_print_seen(dml, dml_alias(statement), i, &out->sql, info));
            buf_printf(&out->sql, " AS c%zu", i);
        }
    }
    print_where(dml, statement, out);
    return buf_failed(&name) || dml_text_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

static enum err delete_seen(struct dml *dml, const struct statement *statement,
                            struct errinfo *info)
{
    struct temp_table *rows CLEANUP(temp_table_cleanup) = NULL;
    struct dml_text text CLEANUP(dml_text_fini) = {0};
    TRY(print_staged(dml, statement, &text, info));
    TRY(dml_stage(dml, &text, &rows, info));
    TRY(dml_apply(dml, statement, rows, rows, info));
    return dml_tag(dml, temp_table_rows(rows), info);
}

static enum err delete_rows(struct dml *dml, const struct statement *statement,
                            struct errinfo *info)
{
    dml->reads_rows = "delete";
    TRY(dml_check_names(dml, info));
    TRY(dml_name_rows(dml, statement, info));
    return statement->returning.len > 0 ? delete_seen(dml, statement, info)
                                        : delete_unseen(dml, statement, info);
}

enum err dml_delete(struct query *query, const struct statement *statement, struct errinfo *info)
{
    return dml_run_change(query, statement, delete_rows, info);
}
