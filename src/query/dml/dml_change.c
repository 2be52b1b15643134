/* UPDATE of tables of attached catalogs, and what it shares with MERGE: rows that are staged become
 * new files, and what they were goes. */
#include "query/dml/dml_change_int.h"

#include "query/plan/plan_int.h"
#include "query/plan/policy_int.h"
#include "sql/scan.h"

struct slice dml_alias(const struct statement *statement)
{
    return statement->alias.len > 0 ? statement->alias : statement->name.name;
}

void dml_print_name(const struct statement *statement, struct buf *out)
{
    if (statement->name.catalog.len > 0) {
        sql_quote_name(out, statement->name.catalog);
        buf_append_char(out, '.');
    }
    if (statement->name.schema.len > 0) {
        sql_quote_name(out, statement->name.schema);
        buf_append_char(out, '.');
    }
    sql_quote_name(out, statement->name.name);
}

/* A column of the table of such a name would be read in place of what is meant. */
enum err dml_check_names(const struct dml *dml, struct errinfo *info)
{
    static const char *const names[] = {"_file", "_pos", "_row_id",
                                        "_last_updated_sequence_number"};
    const struct iceberg_type *root = &dml->write.schema->root;
    for (size_t i = 0; i < root->field_count; i++) {
        for (size_t k = 0; k < ARRAY_COUNT(names); k++) {
            if (slice_equal_fold(root->fields[i].name, slice_of(names[k]))) {
                return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                                   "rows of \"%.*s\" cannot be changed: its column \"%.*s\" is "
                                   "called like one that says where rows are",
                                   SLICE_ARGS(dml->name), SLICE_ARGS(root->fields[i].name));
            }
        }
    }
    return ERR_OK;
}

/* ---- from staged rows to files ---- */

static void print_new_rows(const struct dml *dml, struct buf *out)
{
    const struct iceberg_type *root = &dml->write.schema->root;
    bool is_first = true;
    buf_append_str(out, "SELECT ");
    for (size_t i = 0; i < root->field_count; i++) {
        if (lake_write_keeps(&root->fields[i])) {
            buf_printf(out, "%sc%zu AS ", is_first ? "" : ", ", i);
            sql_quote_name(out, root->fields[i].name);
            is_first = false;
        }
    }
    buf_append_str(out, dml->write.keeps_lineage ? ", m_row AS _row_id, CAST(NULL AS BIGINT) AS "
                                                   "_last_updated_sequence_number"
                                                 : "");
    buf_printf(out, " FROM " DML_STAGE " WHERE m_kind <> %d", (int)DML_DELETED);
}

/* A changed row keeps its id, and inherits the number of the snapshot that changed it. */
static enum err write_rows(struct dml *dml, struct temp_table *rows, struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    struct plan *plan CLEANUP(plan_cleanup) = NULL;
    if (dml->subset != NULL) {
        TRY(dml_print_survivors(dml, &text, info));
        buf_append_str(&text, " UNION ALL ");
    }
    print_new_rows(dml, &text);
    TRY(buf_failed(&text) ? errinfo_nomem(info) : ERR_OK);
    struct session *session = dml->query->session;
    session->raw_uuid = dml->uuid; /* whatever is granted or denied meanwhile: no row is lost */
    enum err err = dml_plan_staged(session, rows, buf_slice(&text), &plan, info);
    session->raw_uuid = (struct slice){"", 0};
    TRY(err);
    return dml_rewrite_plan(dml, plan, info);
}

enum err dml_apply(struct dml *dml, const struct statement *statement, struct temp_table *seen,
                   struct temp_table *rows, struct errinfo *info)
{
    struct lake_rows *victims CLEANUP(lake_rows_cleanup) = NULL;
    if (temp_table_rows(rows) == 0) {
        return dml_return(dml, statement, seen, info);
    }
    TRY(lake_rows_open(&victims, info));
    TRY(dml_staged_victims(dml, rows, victims, info));
    TRY(dml_remove(dml, victims, info));
    dml->write.keeps_lineage = dml->metadata->format_version > 2 && lake_rows_count(victims) > 0;
    TRY(write_rows(dml, rows, info));
    TRY(dml_return(dml, statement, seen, info));
    dml->rows = temp_table_rows(rows);
    return dml_commit_rows(dml, info);
}

/* ---- UPDATE ---- */

void dml_print_distinct(const struct dml *dml, const char *alias, struct buf *out)
{
    buf_printf(out, "DISTINCT ON (%s.", alias);
    sql_quote_name(out, dml->target.file);
    buf_printf(out, ", %s.", alias);
    sql_quote_name(out, dml->target.pos);
    buf_append_str(out, ") ");
}

static void print_as(const char *alias, struct slice name, struct slice kept, struct buf *out)
{
    if (alias == NULL) {
        buf_append_str(out, "CAST(NULL AS BIGINT)");
    } else {
        buf_printf(out, "%s.", alias);
        sql_quote_name(out, name);
    }
    buf_append_str(out, " AS ");
    sql_quote_name(out, kept);
}

void dml_print_place(const struct dml *dml, const char *alias, int kind, struct buf *out)
{
    bool has_row = dml->metadata->format_version > 2 && kind != DML_DELETED;
    print_as(alias, dml->target.file, dml->kept_file, out);
    buf_append_str(out, ", ");
    print_as(alias, dml->target.pos, dml->kept_pos, out);
    buf_printf(out, ", %d AS m_kind, ", kind);
    print_as(has_row ? alias : NULL, dml->target.row, dml->kept_row, out);
}

static enum err print_update(const struct dml *dml, const struct statement *statement,
                             const struct dml_values *values, struct dml_text *out,
                             struct errinfo *info)
{
    const struct iceberg_type *root = &dml->write.schema->root;
    struct buf name CLEANUP(buf_fini) = {0};
    sql_quote_name(&name, dml_alias(statement));
    const char *alias = buf_cstr(&name);
    /* A row that several of FROM meet is changed once, by any of them. */
    buf_append_str(&out->sql, "SELECT ");
    if (statement->using_list.len > 0) {
        dml_print_distinct(dml, alias, &out->sql);
    }
    dml_print_place(dml, alias, dml->is_partial ? DML_UPDATED_BY : DML_UPDATED, &out->sql);
    for (size_t i = 0; i < root->field_count; i++) {
        if (lake_write_keeps(&root->fields[i])) {
            buf_append_str(&out->sql, ", ");
            TRY(dml_values_print(values, i, out, info));
            buf_printf(&out->sql, " AS c%zu", i);
        }
    }
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
    return buf_failed(&name) || dml_text_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

static enum err update_rows(struct dml *dml, const struct statement *statement,
                            struct errinfo *info)
{
    const struct statement_assignments set = {statement->columns, statement->paths,
                                              statement->column_count, statement->types,
                                              statement->column_count};
    struct dml_values values = {.dml = dml, .set = &set, .alias = dml_alias(statement)};
    struct temp_table *seen CLEANUP(temp_table_cleanup) = NULL;
    struct temp_table *rows CLEANUP(temp_table_cleanup) = NULL;
    struct dml_text text CLEANUP(dml_text_fini) = {0};
    const bool *is_assigned;
    dml->reads_rows = "update";
    TRY(dml_check_names(dml, info));
    TRY(dml_name_rows(dml, statement, info));
    TRY(dml_values_open(&values, info));
    TRY(dml_values_assigned(&values, &is_assigned, info));
    TRY(dml_check_assigned(dml, is_assigned, info));
    TRY(print_update(dml, statement, &values, &text, info));
    TRY(dml_stage(dml, &text, &seen, info));
    TRY(dml_complete(dml, seen, &is_assigned, 1, &rows, info));
    TRY(dml_check_rows(dml, rows, info));
    TRY(dml_apply(dml, statement, seen, rows, info));
    return dml_tag(dml, temp_table_rows(rows), info);
}

enum err dml_run_change(struct query *query, const struct statement *statement, dml_change_fn run,
                        struct errinfo *info)
{
    struct dml *dml = arena_calloc(query->arena, 1, sizeof(*dml));
    if (dml == NULL) {
        return errinfo_nomem(info);
    }
    enum err err = dml_open_at(query, statement, dml, info);
    if (err == ERR_OK) {
        err = run(dml, statement, info);
    }
    dml_close(dml);
    return err == ERR_OK ? dml_give(query, info) : err;
}

enum err dml_update(struct query *query, const struct statement *statement, struct errinfo *info)
{
    return dml_run_change(query, statement, update_rows, info);
}
