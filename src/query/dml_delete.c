/* DELETE: a secured SELECT says where the rows are; their files are written again without them, in
 * the name of the table and not of the person's rights: what a person may not see must not be lost
 * because they delete something else. */
#include "query/dml_int.h"

#include "lake/rows.h"
#include "query/policy_int.h"
#include "sql/scan.h"

static struct slice alias_of(const struct statement *statement)
{
    return statement->alias.len > 0 ? statement->alias : statement->name.name;
}

void dml_print_from(const struct statement *statement, struct buf *out)
{
    buf_append_str(out, " FROM ");
    if (statement->name.catalog.len > 0) {
        sql_quote_name(out, statement->name.catalog);
        buf_append_char(out, '.');
    }
    if (statement->name.schema.len > 0) {
        sql_quote_name(out, statement->name.schema);
        buf_append_char(out, '.');
    }
    sql_quote_name(out, statement->name.name);
    buf_append_str(out, " AS ");
    sql_quote_name(out, alias_of(statement));
    if (statement->using_list.len > 0) {
        buf_append_str(out, ", ");
        buf_append_slice(out, statement->using_list);
        buf_append_char(out, '\n'); /* it may end in a comment */
    }
}

/* SELECT a._file, a._pos FROM t AS a, ... WHERE ... */
static enum err print_victims(const struct statement *statement, struct buf *out,
                              struct errinfo *info)
{
    struct buf name CLEANUP(buf_fini) = {0};
    sql_quote_name(&name, alias_of(statement));
    buf_printf(out, "SELECT %s._file, %s._pos", buf_cstr(&name), buf_cstr(&name));
    dml_print_from(statement, out);
    if (statement->where.len > 0) {
        buf_append_str(out, " WHERE (");
        buf_append_slice(out, statement->where);
        buf_append_str(out, "\n)");
    }
    return buf_failed(out) || buf_failed(&name) ? errinfo_nomem(info) : ERR_OK;
}

/* What the engine gives is read as it lies in memory. */
static enum err check_result(const struct dml *dml, struct errinfo *info)
{
    const struct engine_query *engine = dml->query->engine;
    bool is_good = engine_query_column_count(engine) == 2 &&
                   slice_equal(engine_query_column(engine, 0).type, SLICE("VARCHAR")) &&
                   slice_equal(engine_query_column(engine, 1).type, SLICE("BIGINT"));
    return is_good ? ERR_OK
                   : errinfo_set(info, ERR_INTERNAL, NULL,
                                 "the rows of \"%.*s\" do not say where they are stored",
                                 SLICE_ARGS(dml->name));
}

/* A column of the table of such a name would be read in place of what is meant. */
static enum err check_names(const struct dml *dml, struct errinfo *info)
{
    static const char *const names[] = {"_file", "_pos", "_row_id",
                                        "_last_updated_sequence_number"};
    const struct iceberg_type *root = &dml->write.schema->root;
    for (size_t i = 0; i < root->field_count; i++) {
        for (size_t k = 0; k < ARRAY_COUNT(names); k++) {
            if (slice_equal_fold(root->fields[i].name, slice_of(names[k]))) {
                return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                                   "rows of \"%.*s\" cannot be deleted: its column \"%.*s\" is "
                                   "called like one that says where rows are",
                                   SLICE_ARGS(dml->name), SLICE_ARGS(root->fields[i].name));
            }
        }
    }
    return ERR_OK;
}

static enum err pull_victims(struct dml *dml, struct lake_rows *rows, struct errinfo *info)
{
    struct query *query = dml->query;
    for (;;) {
        struct ArrowArray batch = {0};
        TRY(query_check_cancelled(query, info));
        TRY(engine_query_next(query->engine, &batch, info));
        if (batch.release == NULL) {
            return ERR_OK;
        }
        enum err err = lake_rows_add(rows, &batch, info);
        batch.release(&batch);
        TRY(err);
    }
}

static enum err find_victims(struct dml *dml, const struct statement *statement,
                             struct lake_rows *rows, struct errinfo *info)
{
    struct query *query = dml->query;
    struct session *session = query->session;
    struct buf text CLEANUP(buf_fini) = {0};
    struct buf bound CLEANUP(buf_fini) = {0};
    struct plan *plan CLEANUP(plan_cleanup) = NULL;
    TRY(print_victims(statement, &text, info));
    enum err err = plan_build(session, query, buf_slice(&text), &plan, info);
    if (err != ERR_OK && info != NULL) {
        info->position = 0; /* it would point into a text of our own */
    }
    TRY(err);
    TRY(dml_check_plan(dml, plan, info));
    TRY(query_move(query, QUERY_ADMITTED, info));
    TRY(access_open(session->warehouse, session->who, plan, NULL, &query->access, info));
    TRY(query_move(query, QUERY_RUNNING, info));
    if (access_bind(query->access, plan->physical_sql, &bound) != ERR_OK) {
        return errinfo_nomem(info);
    }
    TRY(dml_run(dml, buf_slice(&bound), info));
    err = check_result(dml, info);
    if (err == ERR_OK) {
        err = pull_victims(dml, rows, info);
    }
    dml_stop(dml);
    if (err != ERR_OK) {
        query_clean_error(query, false, info);
    }
    return err;
}

/* ---- the rows that stay ---- */

static enum err print_survivors(const struct dml *dml, struct buf *out, struct errinfo *info)
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
    sql_quote_name(out, dml->catalog.name);
    buf_append_char(out, '.');
    sql_quote_name(out, dml->ns);
    buf_append_char(out, '.');
    sql_quote_name(out, dml->name);
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

static enum err rewrite(struct dml *dml, const struct lake_subset *subset, struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    dml->write.keeps_lineage = dml->metadata->format_version > 2;
    dml->subset = subset;
    dml->removed = subset->paths;
    dml->removed_count = subset->count;
    TRY(print_survivors(dml, &text, info));
    return dml_rewrite(dml, buf_slice(&text), info);
}

static enum err set_tag(struct dml *dml, uint64_t rows, struct errinfo *info)
{
    char *tag = arena_printf(dml->query->arena, "DELETE %llu", (unsigned long long)rows);
    dml->query->tag = tag == NULL ? dml->query->tag : tag;
    return tag == NULL ? errinfo_nomem(info) : ERR_OK;
}

static enum err delete_rows(struct dml *dml, const struct statement *statement,
                            struct errinfo *info)
{
    struct lake_rows *rows CLEANUP(lake_rows_cleanup) = NULL;
    struct lake_subset *subset = arena_calloc(dml->query->arena, 1, sizeof(*subset));
    if (subset == NULL) {
        return errinfo_nomem(info);
    }
    TRY(check_names(dml, info));
    TRY(lake_rows_open(&rows, info));
    TRY(find_victims(dml, statement, rows, info));
    uint64_t count = lake_rows_count(rows);
    if (count > 0) {
        TRY(lake_rows_subset(rows, dml->query->arena, subset, info));
        TRY(rewrite(dml, subset, info));
        dml->rows = count;
        TRY(dml_commit(dml, dml->added_count == 0 ? "delete" : "overwrite", false, info));
    }
    return set_tag(dml, count, info);
}

enum err dml_delete(struct query *query, const struct statement *statement, struct errinfo *info)
{
    struct dml *dml = arena_calloc(query->arena, 1, sizeof(*dml));
    if (dml == NULL) {
        return errinfo_nomem(info);
    }
    enum err err = dml_open_at(query, statement, dml, info);
    if (err == ERR_OK) {
        err = delete_rows(dml, statement, info);
    }
    dml_close(dml);
    return err;
}
