/* INSERT INTO and TRUNCATE of tables of attached catalogs. */
#include "query/dml/dml_change_int.h"

#include <stdlib.h>

#include "query/temp/change_int.h"
#include "iceberg/scan.h"
#include "query/plan/policy_int.h"
#include "sql/scan.h"

enum err dml_describe(struct query *query, struct slice text, struct engine_column **ret_columns,
                      size_t *ret_count, struct errinfo *info)
{
    enum err err = change_query_columns(query, text, ret_columns, ret_count, info);
    if (err != ERR_OK && info != NULL && info->position > 0) {
        size_t begin = statement_position(query->statement, text);
        info->position = begin == 0 ? 0 : info->position + begin - 1;
    }
    return err;
}

/* ---- the rows ---- */

static enum err print_value(const struct iceberg_field *field, size_t from, bool is_named,
                            struct buf *out, struct errinfo *info)
{
    buf_append_str(out, "CAST(");
    if (from != SIZE_MAX) {
        buf_append_str(out, "v.");
        sql_quote_name(out, field->name);
    } else {
        lake_write_default(field, out);
    }
    buf_append_str(out, " AS ");
    TRY(lake_type_print(&field->type, field->name, out, info));
    buf_append_str(out, is_named ? ") AS " : ")");
    if (is_named) {
        sql_quote_name(out, field->name);
    }
    return ERR_OK;
}

/* Values have the names of the columns that they are for: the engine names them where a cast fails.
 */
static void print_given(const struct iceberg_type *root, const size_t *from, size_t index,
                        struct buf *out)
{
    for (size_t i = 0; i < root->field_count; i++) {
        if (from[i] == index && lake_write_keeps(&root->fields[i])) {
            sql_quote_name(out, root->fields[i].name);
            return;
        }
    }
    buf_printf(out, "m_unused_%zu", index);
}

enum err dml_print_select(const struct dml *dml, struct slice text, size_t given,
                          const size_t *from, struct buf *out, struct errinfo *info)
{
    const struct iceberg_type *root = &dml->write.schema->root;
    bool is_first = true;
    buf_append_str(out, "SELECT ");
    for (size_t i = 0; i < root->field_count; i++) {
        if (lake_write_keeps(&root->fields[i])) {
            buf_append_str(out, is_first ? "" : ", ");
            TRY(print_value(&root->fields[i], from[i], true, out, info));
            is_first = false;
        }
    }
    buf_append_str(out, " FROM (");
    buf_append_slice(out, text);
    buf_append_str(out, "\n) AS v ("); /* the query may end in a comment */
    for (size_t i = 0; i < given; i++) {
        buf_append_str(out, i == 0 ? "" : ", ");
        print_given(root, from, i, out);
    }
    buf_append_char(out, ')');
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

static enum err find_column(const struct dml *dml, struct slice name, const size_t *from,
                            size_t *ret_at, struct errinfo *info)
{
    const struct iceberg_type *root = &dml->write.schema->root;
    size_t at = 0;
    while (at < root->field_count &&
           (dml_is_hidden(dml, at) || !slice_equal_fold(root->fields[at].name, name))) {
        at++;
    }
    if (at == root->field_count) {
        return errinfo_set(info, ERR_NOT_FOUND, "42703",
                           "column \"%.*s\" of relation \"%.*s\" does not exist", SLICE_ARGS(name),
                           SLICE_ARGS(dml->name));
    }
    if (from[at] != SIZE_MAX) {
        return errinfo_set(info, ERR_EXISTS, "42701", "column \"%.*s\" specified more than once",
                           SLICE_ARGS(name));
    }
    *ret_at = at;
    return ERR_OK;
}

/* Which column of the query each column of the table gets. */
static enum err match_names(const struct dml *dml, const struct engine_column *found, size_t given,
                            size_t **ret_from, struct errinfo *info)
{
    size_t count = dml->write.schema->root.field_count;
    size_t *from = arena_calloc(dml->query->arena, count + 1, sizeof(*from));
    if (from == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        from[i] = SIZE_MAX;
    }
    for (size_t i = 0; i < given; i++) {
        size_t at;
        TRY(find_column(dml, found[i].name, from, &at, info));
        from[at] = i;
    }
    *ret_from = from;
    return ERR_OK;
}

static size_t shown_count(const struct dml *dml)
{
    size_t count = 0;
    for (size_t i = 0; i < dml->write.schema->root.field_count; i++) {
        count += !dml_is_hidden(dml, i);
    }
    return count;
}

/* The field that is given a value at place `index` of a list without names. */
static size_t shown_at(const struct dml *dml, size_t index)
{
    size_t at = 0;
    for (; at < dml->write.schema->root.field_count; at++) {
        if (!dml_is_hidden(dml, at) && index-- == 0) {
            break;
        }
    }
    return at;
}

static enum err match_columns(const struct dml *dml, const struct statement *statement,
                              size_t given, size_t **ret_from, struct errinfo *info)
{
    size_t count = dml->write.schema->root.field_count;
    size_t wanted = statement->column_count == 0 ? shown_count(dml) : statement->column_count;
    size_t *from = arena_calloc(dml->query->arena, count + 1, sizeof(*from));
    if (from == NULL) {
        return errinfo_nomem(info);
    }
    if (given > wanted || (given < wanted && statement->column_count > 0)) {
        return errinfo_set(info, ERR_SYNTAX, NULL, "INSERT has %zu values for %zu columns", given,
                           wanted);
    }
    bool is_in_order = statement->column_count == 0 && !statement->has_default_values;
    for (size_t i = 0, next = 0; i < count; i++) {
        bool is_given = is_in_order && next < given && !dml_is_hidden(dml, i);
        from[i] = is_given ? next++ : SIZE_MAX;
    }
    for (size_t i = 0; i < statement->column_count; i++) {
        size_t at;
        enum err err = find_column(dml, statement->columns[i], from, &at, info);
        if (err != ERR_OK) {
            errinfo_position(info,
                             statement_position(dml->query->statement, statement->columns[i]));
            return err;
        }
        from[at] = i;
    }
    *ret_from = from;
    return ERR_OK;
}

struct defaults {
    const struct dml *dml;
    const struct statement *statement;
};

static bool expand_default(void *context, size_t index, struct buf *out)
{
    const struct defaults *defaults = context;
    const struct statement *statement = defaults->statement;
    const struct iceberg_type *root = &defaults->dml->write.schema->root;
    size_t at = statement->column_count == 0 ? shown_at(defaults->dml, index) : root->field_count;
    for (size_t i = 0; index < statement->column_count && i < root->field_count; i++) {
        bool is_it = !dml_is_hidden(defaults->dml, i) &&
                     slice_equal_fold(root->fields[i].name, statement->columns[index]);
        at = is_it ? i : at;
    }
    struct errinfo ignored;
    return at < root->field_count && lake_write_keeps(&root->fields[at]) &&
           print_value(&root->fields[at], SIZE_MAX, false, out, &ignored) == ERR_OK;
}

/* ---- with RETURNING, or to be looked at ---- */

static enum err insert_seen(struct dml *dml, const struct statement *statement, struct slice select,
                            struct errinfo *info)
{
    const struct iceberg_type *root = &dml->write.schema->root;
    struct dml_text text CLEANUP(dml_text_fini) = {0};
    struct temp_table *rows CLEANUP(temp_table_cleanup) = NULL;
    buf_printf(&text.sql,
               "SELECT CAST(NULL AS VARCHAR) AS m_file, CAST(NULL AS BIGINT) AS m_pos, "
               "%d AS m_kind, CAST(NULL AS BIGINT) AS m_row",
               (int)DML_INSERTED);
    for (size_t i = 0; i < root->field_count; i++) {
        if (lake_write_keeps(&root->fields[i])) {
            buf_append_str(&text.sql, ", n.");
            sql_quote_name(&text.sql, root->fields[i].name);
            buf_printf(&text.sql, " AS c%zu", i);
        }
    }
    buf_append_str(&text.sql, " FROM (");
    buf_append_slice(&text.sql, select);
    buf_append_str(&text.sql, ") AS n");
    TRY(dml_stage(dml, &text, &rows, info));
    TRY(dml_check_rows(dml, rows, info));
    TRY(dml_apply(dml, statement, rows, rows, info));
    return dml_tag(dml, temp_table_rows(rows), info);
}

/* ---- OVERWRITE ---- */

static bool is_partitioned(const struct iceberg_spec *spec)
{
    for (size_t i = 0; i < spec->field_count; i++) {
        if (spec->fields[i].transform.kind != TRANSFORM_VOID) {
            return true;
        }
    }
    return false;
}

/* A partition as bytes that are equal where it is. */
static enum err partition_key(const struct iceberg_file *file, struct arena *arena,
                              struct slice *ret_key, struct errinfo *info)
{
    struct buf key CLEANUP(buf_fini) = {0};
    for (size_t i = 0; i < file->partition_count; i++) {
        struct buf value CLEANUP(buf_fini) = {0};
        if (!file->partition[i].is_null) {
            iceberg_value_encode(&file->partition[i], &value);
        }
        buf_printf(&key, "%d %zu ", (int)file->partition[i].is_null, value.len);
        buf_append_slice(&key, buf_slice(&value));
        key.failed = key.failed || buf_failed(&value);
    }
    return !buf_failed(&key) && arena_slice(arena, buf_slice(&key), ret_key) ? ERR_OK
                                                                             : errinfo_nomem(info);
}

static int compare_keys(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

/* Files of another spec may hold rows of the same partitions, and others: nobody knows. */
static enum err check_spec(const struct dml *dml, const struct iceberg_file *file,
                           struct errinfo *info)
{
    if (file->spec_id == dml->write.spec->id) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                      "partitions of \"%.*s\" cannot be overwritten: it has files that are "
                      "partitioned otherwise",
                      SLICE_ARGS(dml->name));
    errinfo_hint(info, "DELETE and INSERT do the same; UPDATE rewrites old files.");
    return ERR_UNSUPPORTED;
}

/* The files of the partitions that have new rows now. */
static enum err find_replaced(struct dml *dml, struct errinfo *info)
{
    struct arena *arena = dml->query->arena;
    struct iceberg_scan_plan plan;
    TRY(dml_plan_files(dml, NULL, &plan, info));
    struct slice *keys = arena_calloc(arena, dml->added_count + 1, sizeof(*keys));
    struct slice *removed = arena_calloc(arena, plan.file_count + 1, sizeof(*removed));
    if (keys == NULL || removed == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < dml->added_count; i++) {
        TRY(partition_key(&dml->added[i], arena, &keys[i], info));
    }
    qsort(keys, dml->added_count, sizeof(*keys), compare_keys);
    for (size_t i = 0; i < plan.file_count; i++) {
        struct slice key;
        TRY(check_spec(dml, &plan.files[i].file, info));
        TRY(partition_key(&plan.files[i].file, arena, &key, info));
        if (bsearch(&key, keys, dml->added_count, sizeof(*keys), compare_keys) != NULL) {
            removed[dml->removed_count++] = plan.files[i].file.path;
        }
    }
    dml->removed = removed;
    return ERR_OK;
}

/* Without partitions all rows go, also where there are no new ones; with them, those of the
 * partitions that get new ones. */
static enum err overwrite(struct dml *dml, const struct statement *statement, struct slice select,
                          struct errinfo *info)
{
    if (statement->returning.len > 0) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL, "INSERT OVERWRITE has no RETURNING");
    }
    dml->reads_rows = "delete";
    TRY(dml_write(dml, select, info));
    if (!is_partitioned(dml->write.spec)) {
        bool has_any = dml->head_id != ICEBERG_NO_ID;
        TRY(dml->added_count > 0 || has_any ? dml_commit(dml, "overwrite", has_any, info) : ERR_OK);
        return dml_tag(dml, dml->rows, info);
    }
    if (dml->added_count > 0) {
        TRY(find_replaced(dml, info));
        TRY(dml_commit(dml, "overwrite", false, info));
    }
    return dml_tag(dml, dml->rows, info);
}

static enum err run_dml(struct dml *dml, const struct statement *statement, struct errinfo *info)
{
    struct query *query = dml->query;
    struct engine_column *found;
    struct buf text CLEANUP(buf_fini) = {0};
    struct defaults defaults = {dml, statement};
    struct slice rows = SLICE("SELECT NULL"); /* DEFAULT VALUES */
    size_t count;
    size_t *from;
    TRY(dml_check_insertable(dml, info));
    if (!statement->has_default_values) {
        TRY(change_expand_defaults(statement->query, expand_default, &defaults,
                                   query->session->warehouse->limits.statement_bytes_max,
                                   query->arena, &rows, info));
    }
    TRY(dml_describe(query, rows, &found, &count, info));
    TRY(statement->is_by_name ? match_names(dml, found, count, &from, info)
                              : match_columns(dml, statement, count, &from, info));
    TRY(dml_print_select(dml, rows, count, from, &text, info));
    if (statement->is_overwrite) {
        return overwrite(dml, statement, buf_slice(&text), info);
    }
    if (statement->returning.len > 0 || dml->is_partial) {
        return insert_seen(dml, statement, buf_slice(&text), info);
    }
    TRY(dml_write(dml, buf_slice(&text), info));
    TRY(dml_commit_rows(dml, info)); /* no rows make no snapshot */
    return dml_tag(dml, dml->rows, info);
}

/* Errors of finding the table point at its name. */
enum err dml_open_at(struct query *query, const struct statement *statement, struct dml *dml,
                     struct errinfo *info)
{
    bool replaces_all = statement->is_overwrite || statement->kind == STATEMENT_TRUNCATE;
    enum err err =
        dml_open(query, &statement->name, dml_rights(statement), replaces_all, dml, info);
    if (err != ERR_OK && err != ERR_NOMEM && info != NULL && info->position == 0) {
        errinfo_position(info, statement_position(query->statement, statement->name.name));
    }
    return err;
}

enum err dml_insert(struct query *query, const struct statement *statement, struct errinfo *info)
{
    return dml_run_change(query, statement, run_dml, info);
}

enum err dml_truncate(struct query *query, const struct statement *statement, struct errinfo *info)
{
    struct dml *dml = arena_calloc(query->arena, 1, sizeof(*dml));
    if (dml == NULL) {
        return errinfo_nomem(info);
    }
    enum err err = dml_open_at(query, statement, dml, info);
    if (err == ERR_OK) {
        err = query_move(query, QUERY_SECURED, info);
    }
    if (err == ERR_OK && dml->head_id != ICEBERG_NO_ID) {
        err = dml_commit(dml, "delete", true, info);
    }
    dml_close(dml);
    return err;
}
