/* INSERT, UPDATE and DELETE of temporary tables.
 *
 * What a statement puts in is a SELECT like any other, planned as the person, audited with what it
 * reads, and written through a grant to one new file: masked values are kept masked, and stay as
 * they were when the rights change later. The catalog's tables are not written.
 *
 * Files do not change: UPDATE and DELETE write a table anew. Whether a row is meant is asked once:
 * a condition may say something else the second time (random(), now(), a table elsewhere), and the
 * row would be there twice, or not at all. What RETURNING gives is read from a file of rows that
 * were changed. A statement that fails, be it in RETURNING, leaves the tables as they were. */
#include "base/io.h"
#include "query/temp/change_rules_int.h"
#include "query/dml/dml_int.h"
#include "query/plan/plan_int.h"
#include "sql/scan.h"

#define FILES_MERGED 64 /* a table of so many is written anew, as one */

static enum err move_position(struct query *query, struct slice part, enum err err,
                              struct errinfo *info)
{
    if (err != ERR_OK && info != NULL && info->position > 0) {
        size_t begin = statement_position(query->statement, part);
        info->position = begin == 0 ? 0 : info->position + begin - 1;
    }
    return err;
}

enum err change_not_temp(const struct statement *statement, struct errinfo *info)
{
    (void)errinfo_set(info, ERR_UNSUPPORTED, NULL, "%s works on temporary tables only",
                      statement->tag);
    errinfo_hint(info,
                 "CREATE TEMP TABLE makes a table of this session. Tables of attached "
                 "Iceberg catalogs are written with INSERT, UPDATE, DELETE, MERGE and TRUNCATE.");
    return ERR_UNSUPPORTED;
}

enum err change_query_columns(struct query *query, struct slice text,
                              struct engine_column **ret_columns, size_t *ret_count,
                              struct errinfo *info)
{
    struct plan *plan CLEANUP(plan_cleanup) = NULL;
    TRY(plan_build(query->session, NULL, text, &plan, info));
    if (plan->ast->parameter_count > 0) {
        return errinfo_set(info, ERR_INVALID, "42P02", "the statement takes no parameters");
    }
    enum err err = run_describe_plan(query, plan, ret_columns, ret_count, info);
    if (err != ERR_OK) {
        struct query bound = {.session = query->session, .plan = plan};
        query_clean_error(&bound, true, info);
    }
    return err;
}

/* ---- texts ---- */

static bool has_keys(const struct temp_table *table)
{
    for (size_t i = 0; i < table->rule_count; i++) {
        if (table->rules[i].kind == RULE_UNIQUE || table->rules[i].kind == RULE_PRIMARY_KEY) {
            return true;
        }
    }
    return false;
}

void change_write_table(const struct temp_table *table, struct slice alias, struct buf *out)
{
    buf_append_str(out, " FROM " TEMP_SCHEMA ".");
    sql_quote_name(out, table->name);
    buf_append_str(out, " AS ");
    sql_quote_name(out, alias.len > 0 ? alias : table->name);
}

/* The columns as files have them, of rows that are called `alias`. */
static void write_kept(const struct temp_table *table, struct slice alias, struct buf *out)
{
    for (size_t i = 0; i < table->column_count; i++) {
        bool as_text = false;
        ASSERT(temp_keeps_type(table->columns[i].type, &as_text));
        buf_append_str(out, i == 0 ? "" : ", ");
        buf_append_str(out, as_text ? "CAST(" : "");
        sql_quote_name(out, alias);
        buf_append_char(out, '.');
        sql_quote_name(out, table->columns[i].name);
        buf_append_str(out, as_text ? " AS VARCHAR) AS " : " AS ");
        sql_quote_name(out, table->columns[i].name);
    }
}

static void write_cast(struct slice expression, struct slice type, struct buf *out)
{
    buf_append_str(out, "CAST((");
    buf_append_slice(out, expression);
    buf_append_str(out, "\n) AS "); /* it may end in a comment */
    buf_append_slice(out, type);
    buf_append_char(out, ')');
}

static void write_default(const struct temp_table *table, const struct relation_column *column,
                          struct buf *out)
{
    const struct temp_rule *given = change_rule(table, RULE_DEFAULT, column->name);
    const struct temp_rule *serial = change_rule(table, RULE_SERIAL, column->name);
    struct buf number CLEANUP(buf_fini) = {0};
    if (serial != NULL) {
        buf_printf(&number, "%lld + row_number() OVER ()", (long long)serial->next - 1);
    }
    write_cast(serial != NULL  ? buf_slice(&number)
               : given != NULL ? given->expression
                               : SLICE("NULL"),
               column->type, out);
    out->failed = out->failed || buf_failed(&number);
}

static void write_value(const struct temp_table *table, const struct change_source *source,
                        size_t index, struct buf *out)
{
    const struct relation_column *column = &table->columns[index];
    size_t from = source->from[index];
    bool is_numbered = source->is_numbered != NULL && source->is_numbered[index];
    if (from == SIZE_MAX) {
        write_default(table, column, out);
    } else {
        bool is_cast = !slice_equal(source->found[from].type, column->type);
        buf_append_str(out, is_numbered ? "coalesce(" : "");
        buf_append_str(out, is_cast ? "CAST(" : "");
        buf_append_str(out, "v.");
        sql_quote_name(out, column->name);
        if (is_cast) {
            buf_printf(out, " AS %.*s)", SLICE_ARGS(column->type));
        }
        if (is_numbered) {
            buf_append_str(out, ", ");
            write_default(table, column, out);
            buf_append_char(out, ')');
        }
    }
    buf_append_str(out, " AS ");
    sql_quote_name(out, column->name);
}

/* SELECT the columns, and what breaks a rule, of the rows that `inner` gives. */
static enum err write_rows(const struct temp_table *table, const struct change_checks *checks,
                           struct slice inner, struct buf *out, struct errinfo *info)
{
    buf_append_str(out, "SELECT ");
    write_kept(table, table->name, out);
    change_write_checks(table, checks, out);
    buf_append_str(out, " FROM (");
    buf_append_slice(out, inner);
    buf_append_str(out, "\n) AS ");
    sql_quote_name(out, table->name);
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

/* Values have the names of the columns that they are for: the engine names them where a cast fails.
 */
static void write_given(const struct temp_table *table, const struct change_source *source,
                        size_t index, struct buf *out)
{
    for (size_t i = 0; i < table->column_count; i++) {
        if (source->from[i] == index) {
            sql_quote_name(out, table->columns[i].name);
            return;
        }
    }
    buf_printf(out, "m_unused_%zu", index);
}

static enum err write_source(const struct temp_table *table, const struct change_source *source,
                             bool is_ordered, struct buf *out, struct errinfo *info)
{
    buf_append_str(out, "SELECT ");
    for (size_t i = 0; i < table->column_count; i++) {
        buf_append_str(out, i == 0 ? "" : ", ");
        write_value(table, source, i, out);
    }
    buf_append_str(out, is_ordered ? ", row_number() OVER () AS " CHANGE_ORDER : "");
    buf_append_str(out, " FROM (");
    buf_append_slice(out, source->query);
    buf_append_str(out, "\n) AS v (");
    for (size_t i = 0; i < source->found_count; i++) {
        buf_append_str(out, i == 0 ? "" : ", ");
        write_given(table, source, i, out);
    }
    buf_append_char(out, ')');
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

/* ---- running ---- */

enum err run_temp_file(struct query *query, struct temp_file **ret_file, uint64_t *ret_bytes_max,
                       struct errinfo *info)
{
    struct session *session = query->session;
    struct temp_quota *quota = session_temp_quota(session);
    uint64_t bytes_max = config_bytes(session->warehouse->config, CONFIG_SESSION_TEMP_DISK);
    uint64_t used = atomic_load(&quota->disk_bytes);
    const char *folder = io_join(query->arena, session->warehouse->folder, "tmp");
    if (folder == NULL) {
        return errinfo_nomem(info);
    }
    TRY(io_make_folders(folder, 0700, info));
    *ret_bytes_max = bytes_max > used ? bytes_max - used : 0;
    return temp_file_new(folder, quota, ret_file, info);
}

static enum err write_copy(const struct temp_table *table, const struct change_checks *checks,
                           const struct access *access, const struct plan *plan, struct buf *sql,
                           struct errinfo *info)
{
    struct buf bound CLEANUP(buf_fini) = {0};
    struct buf uri CLEANUP(buf_fini) = {0};
    access_sink_uri(access, &uri);
    if (access_bind(access, plan->physical_sql, &bound) != ERR_OK) {
        return errinfo_nomem(info);
    }
    buf_append_str(sql, "COPY (");
    if (checks->count == 0) {
        buf_append_slice(sql, buf_slice(&bound));
    } else {
        change_write_guard(table, checks, buf_slice(&bound), sql);
    }
    buf_append_str(sql, ") TO ");
    sql_quote_string(sql, buf_slice(&uri));
    buf_append_str(sql, " (FORMAT parquet, COMPRESSION lz4_raw)");
    return buf_failed(sql) || buf_failed(&uri) ? errinfo_nomem(info) : ERR_OK;
}

/* Runs `text` into a new file; NULL if it had no rows. The first of a statement takes its query
 * through its states, and is in the trail: it reads all that the statement reads. */
static enum err run_text(struct query *query, const struct temp_table *table,
                         const struct change_checks *checks, struct slice text, bool is_first,
                         struct temp_file **ret_file, struct errinfo *info)
{
    struct session *session = query->session;
    struct plan *plan CLEANUP(plan_cleanup) = NULL;
    struct temp_file *file CLEANUP(temp_file_cleanup) = NULL;
    struct access *access CLEANUP(access_cleanup) = NULL;
    struct buf sql CLEANUP(buf_fini) = {0};
    uint64_t bytes_max;
    enum err err = plan_build(session, is_first ? query : NULL, text, &plan, info);
    if (err != ERR_OK && info != NULL) {
        info->position = 0; /* it would point into a text of our own */
    }
    TRY(err);
    TRY(run_temp_file(query, &file, &bytes_max, info));
    TRY(is_first ? query_move(query, QUERY_ADMITTED, info) : ERR_OK);
    TRY(access_open_temp(session->warehouse, session->who, plan, file, bytes_max, NULL,
                         is_first ? &query->access : &access, info));
    TRY(is_first ? query_move(query, QUERY_RUNNING, info) : ERR_OK);
    TRY(write_copy(table, checks, is_first ? query->access : access, plan, &sql, info));
    query->rows_out = 0;
    query->marker = checks->count == 0 ? NULL : checks->marker;
    err = run_copy_to_end(query, buf_slice(&sql), info);
    query->marker = NULL;
    query_engine_close(query);
    TRY(err == ERR_OK ? ERR_OK : change_explain(table, checks, err, info));
    file->row_count = query->rows_out;
    *ret_file = query->rows_out == 0 ? NULL : TAKE(file);
    return ERR_OK;
}

static enum err fill(struct query *query, const struct temp_table *table,
                     const struct change_source *source, bool is_first, struct temp_file **ret_file,
                     struct errinfo *info)
{
    struct change_checks checks;
    struct buf inner CLEANUP(buf_fini) = {0};
    struct buf text CLEANUP(buf_fini) = {0};
    TRY(change_checks_of(table, CHANGE_NEW, query->arena, &checks, info));
    checks.is_ordered = has_keys(table);
    TRY(write_source(table, source, checks.is_ordered, &inner, info));
    TRY(write_rows(table, &checks, buf_slice(&inner), &text, info));
    return run_text(query, table, &checks, buf_slice(&text), is_first, ret_file, info);
}

enum err change_fill(struct query *query, const struct temp_table *table,
                     const struct change_source *source, struct temp_file **ret_file,
                     struct errinfo *info)
{
    return fill(query, table, source, true, ret_file, info);
}

enum err change_fill_again(struct query *query, const struct temp_table *table,
                           const struct change_source *source, struct temp_file **ret_file,
                           struct errinfo *info)
{
    query_engine_close(query);
    return fill(query, table, source, false, ret_file, info);
}

enum err change_tag(struct query *query, const char *format, uint64_t rows, struct errinfo *info)
{
    char *tag = arena_printf(query->arena, "%s %llu", format, (unsigned long long)rows);
    query->tag = tag == NULL ? query->tag : tag;
    query->rows_out = 0; /* none were given out */
    return tag == NULL ? errinfo_nomem(info) : ERR_OK;
}

/* The table of the session as one file that has all of its rows. */
static enum err merge(struct query *query, const struct temp_table *table,
                      struct temp_table **ret_merged, struct errinfo *info)
{
    const struct change_checks none = {0};
    struct temp_file *file CLEANUP(temp_file_cleanup) = NULL;
    struct buf text CLEANUP(buf_fini) = {0};
    buf_append_str(&text, "SELECT ");
    write_kept(table, table->name, &text);
    change_write_table(table, SLICE(""), &text);
    TRY(buf_failed(&text) ? errinfo_nomem(info) : ERR_OK);
    TRY(run_text(query, table, &none, buf_slice(&text), false, &file, info));
    return temp_table_new(table, false, file, ret_merged, info);
}

enum err change_add(struct query *query, const struct temp_table *table, struct temp_file *file,
                    struct errinfo *info)
{
    struct temp_table *fuller CLEANUP(temp_table_cleanup) = NULL;
    struct temp_table *merged CLEANUP(temp_table_cleanup) = NULL;
    uint64_t rows = query->rows_out;
    if (file == NULL) {
        return ERR_OK;
    }
    TRY(temp_table_new(table, true, file, &fuller, info));
    for (size_t i = 0; i < fuller->rule_count; i++) {
        fuller->rules[i].next += (int64_t)rows;
    }
    TRY(session_set_temp(query->session, table->name, fuller, info));
    if (fuller->file_count >= FILES_MERGED && merge(query, fuller, &merged, info) == ERR_OK) {
        TRY(session_set_temp(query->session, table->name, merged, info));
    }
    query->rows_out = rows;
    return ERR_OK;
}

/* ---- RETURNING ---- */

/* It gives what is in `rows`, and reads nothing else: that would be in no trail. */
static enum err plan_returning(struct query *query, const struct statement *statement,
                               struct temp_table *rows, struct plan **ret_plan,
                               struct errinfo *info)
{
    struct session *session = query->session;
    struct plan *plan CLEANUP(plan_cleanup) = NULL;
    struct temp_table *now = temp_table_ref(session_temp(session, &statement->name));
    struct buf text CLEANUP(buf_fini) = {0};
    buf_append_str(&text, "SELECT ");
    buf_append_slice(&text, statement->returning);
    buf_append_str(&text, "\n");
    change_write_table(rows, statement->alias, &text);
    enum err err =
        buf_failed(&text) ? errinfo_nomem(info) : session_set_temp(session, rows->name, rows, info);
    if (err == ERR_OK) {
        err = plan_build(session, NULL, buf_slice(&text), &plan, info);
        enum err back = session_set_temp(session, rows->name, now, info);
        err = err == ERR_OK ? back : err;
    }
    temp_table_unref(now);
    TRY(err);
    if (plan->table_count != 1 || plan->tables[0].relation->kind != RELATION_TEMP) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                           "RETURNING reads the rows that were changed, and no other tables");
    }
    *ret_plan = TAKE(plan);
    return ERR_OK;
}

/* Opens the rows that a statement gives, as those of a SELECT; its own are in the trail already. */
static enum err give_rows(struct query *query, const struct statement *statement,
                          struct temp_table *rows, struct errinfo *info)
{
    struct session *session = query->session;
    struct buf sql CLEANUP(buf_fini) = {0};
    TRY(plan_returning(query, statement, rows, &query->returning, info));
    TRY(access_open(session->warehouse, session->who, query->returning, NULL,
                    &query->returning_access, info));
    if (access_bind(query->returning_access, query->returning->physical_sql, &sql) != ERR_OK) {
        return errinfo_nomem(info);
    }
    TRY(query_engine_open(query, buf_slice(&sql), info));
    query->has_rows = true;
    return ERR_OK;
}

/* What is wrong with RETURNING is known before anything is changed. */
static enum err check_returning(struct query *query, const struct statement *statement,
                                struct temp_table *table, struct errinfo *info)
{
    struct plan *plan CLEANUP(plan_cleanup) = NULL;
    struct engine_column *columns;
    size_t count;
    if (statement->returning.len == 0) {
        return ERR_OK;
    }
    TRY(plan_returning(query, statement, table, &plan, info));
    enum err err = run_describe_plan(query, plan, &columns, &count, info);
    if (err != ERR_OK && info != NULL) {
        info->position = 0;
    }
    return err;
}

/* The table of the statement, held; if the statement fails, all are again as they are now. */
static enum err begin(struct query *query, const struct statement *statement,
                      struct temp_table **ret_table, struct errinfo *info)
{
    struct temp_table *table = session_temp(query->session, &statement->name);
    if (table == NULL) {
        return change_not_temp(statement, info);
    }
    change_begin(query);
    *ret_table = temp_table_ref(table);
    return ERR_OK;
}

void change_begin(struct query *query)
{
    ASSERT(!query->may_change_temps);
    query->may_change_temps = true;
    query->temps_before = temp_set_ref(session_temp_set(query->session));
}

static enum err finish(struct query *query, const struct statement *statement, const char *tag,
                       const struct temp_table *table, struct temp_file *file, uint64_t rows,
                       struct errinfo *info)
{
    struct temp_table *changed CLEANUP(temp_table_cleanup) = NULL;
    TRY(change_tag(query, tag, rows, info));
    if (statement->returning.len == 0) {
        return ERR_OK;
    }
    TRY(temp_table_new(table, false, file, &changed, info));
    return give_rows(query, statement, changed, info);
}

/* ---- INSERT ---- */

enum err change_targets(struct query *query, const struct temp_table *table,
                        const struct slice *names, size_t name_count, size_t given,
                        size_t **ret_from, struct errinfo *info)
{
    size_t *from = arena_calloc(query->arena, table->column_count + 1, sizeof(*from));
    size_t wanted = name_count == 0 ? table->column_count : name_count;
    if (from == NULL) {
        return errinfo_nomem(info);
    }
    if (given > wanted || (given < wanted && name_count > 0)) {
        return errinfo_set(info, ERR_SYNTAX, NULL, "INSERT has %zu values for %zu columns", given,
                           wanted);
    }
    for (size_t i = 0; i < table->column_count; i++) {
        from[i] = name_count == 0 && i < given ? i : SIZE_MAX;
    }
    for (size_t i = 0; i < name_count; i++) {
        const struct relation_column *column = change_column(table, names[i]);
        if (column == NULL) {
            return errinfo_set(info, ERR_NOT_FOUND, "42703",
                               "column \"%.*s\" of relation \"%.*s\" does not exist",
                               SLICE_ARGS(names[i]), SLICE_ARGS(table->name));
        }
        size_t at = (size_t)(column - table->columns);
        if (from[at] != SIZE_MAX) {
            return errinfo_set(info, ERR_EXISTS, "42701", "column \"%.*s\" is there twice",
                               SLICE_ARGS(names[i]));
        }
        from[at] = i;
    }
    *ret_from = from;
    return ERR_OK;
}

/* The column that the `index`th value of a row is for; NULL: there is none. */
static const struct relation_column *target_of(const struct statement *statement,
                                               const struct temp_table *table, size_t index)
{
    if (statement->column_count > 0) {
        return index < statement->column_count ? change_column(table, statement->columns[index])
                                               : NULL;
    }
    return index < table->column_count ? &table->columns[index] : NULL;
}

struct defaults {
    const struct statement *statement;
    const struct temp_table *table;
    bool *is_numbered;
};

static bool expand_default(void *context, size_t index, struct buf *out)
{
    const struct defaults *defaults = context;
    const struct temp_table *table = defaults->table;
    const struct relation_column *column = target_of(defaults->statement, table, index);
    if (column != NULL && change_rule(table, RULE_SERIAL, column->name) != NULL) {
        defaults->is_numbered[column - table->columns] = true;
        buf_append_str(out, "NULL");
    } else if (column != NULL) {
        write_default(table, column, out);
    }
    return column != NULL;
}

enum err change_expand_defaults(struct slice text, change_default_fn write, void *context,
                                size_t bytes_max, struct arena *arena, struct slice *ret_text,
                                struct errinfo *info)
{
    struct buf out CLEANUP(buf_fini) = {0};
    struct buf value CLEANUP(buf_fini) = {0};
    struct scanner scanner;
    struct token token;
    size_t depth = 0;
    size_t index = 0;
    size_t copied = 0;
    scanner_init(&scanner, text);
    TRY(scanner_next(&scanner, &token, info));
    *ret_text = text;
    if (!token_is(&token, "values")) {
        return ERR_OK;
    }
    while (token.kind != TOKEN_END) {
        TRY(scanner_next(&scanner, &token, info));
        bool opens = token_is_operator(&token, "(");
        index = opens && depth == 0 ? 0 : index;
        depth += opens;
        depth -= token_is_operator(&token, ")") && depth > 0;
        index += depth == 1 && token_is_operator(&token, ",");
        buf_reset(&value);
        if (depth == 1 && token_is(&token, "default") && write(context, index, &value)) {
            buf_append(&out, text.ptr + copied, token.offset - copied);
            buf_append_slice(&out, buf_slice(&value));
            TRY(sql_check_length(out.len, bytes_max, info));
            copied = token.offset + token.text.len;
        }
        out.failed = out.failed || buf_failed(&value);
    }
    buf_append(&out, text.ptr + copied, text.len - copied);
    if (copied > 0 && (buf_failed(&out) || !arena_slice(arena, buf_slice(&out), ret_text))) {
        return errinfo_nomem(info);
    }
    return ERR_OK;
}

enum err run_insert(struct query *query, const struct statement *statement, struct errinfo *info)
{
    struct temp_table *table CLEANUP(temp_table_cleanup) = NULL;
    struct temp_file *file CLEANUP(temp_file_cleanup) = NULL;
    struct change_source source = {.query = SLICE("SELECT NULL")};
    struct engine_column *found;
    size_t *from;
    if (session_temp(query->session, &statement->name) == NULL) {
        return dml_insert(query, statement, info);
    }
    if (statement->is_overwrite || statement->is_by_name) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL, "%s is not there for temporary tables",
                           statement->is_overwrite ? "INSERT OVERWRITE" : "INSERT ... BY NAME");
    }
    TRY(begin(query, statement, &table, info));
    bool *is_numbered = arena_calloc(query->arena, table->column_count + 1, sizeof(bool));
    if (is_numbered == NULL) {
        return errinfo_nomem(info);
    }
    source.is_numbered = is_numbered;
    if (!statement->has_default_values) {
        struct defaults defaults = {statement, table, is_numbered};
        TRY(change_expand_defaults(statement->query, expand_default, &defaults,
                                   query->session->warehouse->limits.statement_bytes_max,
                                   query->arena, &source.query, info));
    }
    enum err err = change_query_columns(query, source.query, &found, &source.found_count, info);
    TRY(move_position(query, source.query, err, info));
    TRY(check_returning(query, statement, table, info));
    TRY(change_targets(query, table, statement->columns, statement->column_count,
                       statement->has_default_values ? 0 : source.found_count, &from, info));
    source.found = found;
    source.from = from;
    TRY(change_fill(query, table, &source, &file, info));
    TRY(change_add(query, table, file, info));
    return finish(query, statement, "INSERT 0", table, file, query->rows_out, info);
}

/* ---- UPDATE, DELETE ---- */

static void write_new_values(const struct statement *statement, const struct temp_table *table,
                             struct slice alias, struct buf *out)
{
    for (size_t i = 0; i < table->column_count; i++) {
        const struct relation_column *column = &table->columns[i];
        size_t at = 0;
        while (at < statement->column_count &&
               !slice_equal_fold(statement->columns[at], column->name)) {
            at++;
        }
        buf_append_str(out, i == 0 ? "" : ", ");
        if (at == statement->column_count) {
            sql_quote_name(out, alias);
            buf_append_char(out, '.');
            sql_quote_name(out, column->name);
        } else if (slice_equal_fold(statement->types[at], SLICE("default"))) {
            write_default(table, column, out);
        } else {
            write_cast(statement->types[at], column->type, out);
        }
        buf_append_str(out, " AS ");
        sql_quote_name(out, column->name);
    }
}

static enum err check_assigned(const struct statement *statement, const struct temp_table *table,
                               struct errinfo *info)
{
    for (size_t i = 0; statement->kind == STATEMENT_UPDATE && i < statement->column_count; i++) {
        if (change_column(table, statement->columns[i]) == NULL) {
            return errinfo_set(info, ERR_NOT_FOUND, "42703",
                               "column \"%.*s\" of relation \"%.*s\" does not exist",
                               SLICE_ARGS(statement->columns[i]), SLICE_ARGS(table->name));
        }
        for (size_t k = 0; k < i; k++) {
            if (slice_equal_fold(statement->columns[k], statement->columns[i])) {
                return errinfo_set(info, ERR_SYNTAX, NULL,
                                   "multiple assignments to same column \"%.*s\"",
                                   SLICE_ARGS(statement->columns[i]));
            }
        }
    }
    return ERR_OK;
}

/* The columns as the engine has them, of rows that are called `alias`. */
static void write_columns(const struct temp_table *table, struct slice alias, struct buf *out)
{
    for (size_t i = 0; i < table->column_count; i++) {
        buf_append_str(out, i == 0 ? "" : ", ");
        sql_quote_name(out, alias);
        buf_append_char(out, '.');
        sql_quote_name(out, table->columns[i].name);
    }
}

/* `table` with a column behind the others: whether the row is one that the statement is about. */
static enum err mark_shape(struct query *query, const struct temp_table *table,
                           struct temp_table *ret_marked, struct errinfo *info)
{
    size_t count = table->column_count;
    struct relation_column *columns = arena_calloc(query->arena, count + 1, sizeof(*columns));
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    memcpy(columns, table->columns, count * sizeof(*columns));
    columns[count] = (struct relation_column){.id = (uint32_t)count + 1,
                                              .name = SLICE(CHANGE_HIT_NAME),
                                              .source = SLICE(CHANGE_HIT_NAME),
                                              .type = SLICE("BOOLEAN")};
    *ret_marked = *table;
    ret_marked->columns = columns;
    ret_marked->column_count = count + 1;
    return ERR_OK;
}

/* All rows, marked. */
static void write_marks(const struct statement *statement, const struct temp_table *table,
                        struct slice alias, struct buf *out)
{
    buf_append_str(out, "SELECT ");
    write_columns(table, alias, out);
    buf_append_str(out, ", coalesce((");
    buf_append_slice(out, statement->where.len > 0 ? statement->where : SLICE("true"));
    buf_append_str(out, "\n), false) AS " CHANGE_HIT);
    change_write_table(table, alias, out);
}

/* All rows, marked, those that are meant as they will be. Only of them is anything computed; the
 * mark stands beside it by itself, so that no aggregate makes one row of all. */
static enum err write_updated(const struct statement *statement, const struct temp_table *table,
                              struct slice alias, bool is_ordered, struct buf *out,
                              struct errinfo *info)
{
    buf_append_str(out, "WITH \"moat rows\" AS MATERIALIZED (");
    write_marks(statement, table, alias, out);
    buf_append_str(out, ") SELECT *");
    buf_append_str(out, is_ordered ? ", row_number() OVER () AS " CHANGE_ORDER : "");
    buf_append_str(out,
                   " FROM (SELECT * FROM \"moat rows\" WHERE NOT " CHANGE_HIT " UNION ALL SELECT ");
    write_new_values(statement, table, alias, out);
    buf_append_str(out, ", ");
    sql_quote_name(out, alias);
    buf_append_str(out,
                   "." CHANGE_HIT " FROM (SELECT * FROM \"moat rows\" WHERE " CHANGE_HIT ") AS ");
    sql_quote_name(out, alias);
    buf_append_str(out, ") AS u");
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

/* Out of marked rows, which need no rules any more: those that are meant, or the others. */
static enum err select_marked(struct query *query, const struct temp_table *table,
                              struct temp_file *rows, bool is_hit, struct temp_file **ret_file,
                              struct errinfo *info)
{
    const struct change_checks none = {0};
    struct temp_table shape;
    struct temp_table *marked CLEANUP(temp_table_cleanup) = NULL;
    struct buf text CLEANUP(buf_fini) = {0};
    TRY(mark_shape(query, table, &shape, info));
    TRY(temp_table_new(&shape, false, rows, &marked, info));
    TRY(session_set_temp(query->session, table->name, marked, info));
    buf_append_str(&text, "SELECT ");
    write_kept(table, table->name, &text);
    change_write_table(table, SLICE(""), &text);
    buf_append_str(&text, is_hit ? " WHERE " CHANGE_HIT : " WHERE NOT " CHANGE_HIT);
    TRY(buf_failed(&text) ? errinfo_nomem(info) : ERR_OK);
    return run_text(query, table, &none, buf_slice(&text), false, ret_file, info);
}

/* `numbers` of columns that number themselves were used. */
static enum err put(struct query *query, const struct temp_table *shape, struct temp_file *file,
                    uint64_t numbers, struct errinfo *info)
{
    struct temp_table *table CLEANUP(temp_table_cleanup) = NULL;
    TRY(temp_table_new(shape, false, file, &table, info));
    for (size_t i = 0; i < table->rule_count; i++) {
        table->rules[i].next += (int64_t)numbers;
    }
    return session_set_temp(query->session, shape->name, table, info);
}

static uint64_t hits_count(const struct temp_file *hits)
{
    return hits == NULL ? 0 : hits->row_count;
}

static bool sets_default(const struct statement *statement)
{
    for (size_t i = 0; i < statement->column_count; i++) {
        if (slice_equal_fold(statement->types[i], SLICE("default"))) {
            return true;
        }
    }
    return false;
}

static enum err not_one_value(const struct statement *statement, struct errinfo *info)
{
    (void)errinfo_set(info, ERR_INVALID, "42803",
                      "aggregate and set-returning functions are not allowed in %s",
                      statement->tag);
    errinfo_hint(info, "Put them into a subquery: SET a = (SELECT max(b) FROM t).");
    return ERR_INVALID;
}

/* As many rows as the table has come out, or an expression has made more or fewer of them. */
static enum err run_marked(struct query *query, const struct statement *statement,
                           const struct temp_table *table, const struct change_checks *checks,
                           struct slice text, struct temp_file **ret_file, struct errinfo *info)
{
    struct temp_table shape;
    TRY(mark_shape(query, table, &shape, info));
    enum err err = run_text(query, &shape, checks, text, true, ret_file, info);
    if (err != ERR_OK && info != NULL && strcmp(info->sqlstate, "42803") == 0) {
        return not_one_value(statement, info);
    }
    TRY(err);
    return query->rows_out == temp_table_rows(table) ? ERR_OK : not_one_value(statement, info);
}

static enum err check_simple(const struct statement *statement, struct errinfo *info)
{
    bool has_path = false;
    for (size_t i = 0; i < statement->column_count; i++) {
        has_path = has_path || statement->paths[i].len > 0;
    }
    if (statement->using_list.len == 0 && !has_path) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_UNSUPPORTED, NULL, "%s is not there for temporary tables",
                      has_path ? "UPDATE ... SET a.b = ..." : "UPDATE ... FROM");
    errinfo_hint(info, has_path ? "Set the whole column." : "Say SET a = (SELECT ...).");
    return ERR_UNSUPPORTED;
}

enum err run_update(struct query *query, const struct statement *statement, struct errinfo *info)
{
    struct temp_table *table CLEANUP(temp_table_cleanup) = NULL;
    struct temp_file *rows CLEANUP(temp_file_cleanup) = NULL;
    struct temp_file *hits CLEANUP(temp_file_cleanup) = NULL;
    struct temp_table shape;
    struct change_checks checks;
    struct buf inner CLEANUP(buf_fini) = {0};
    struct buf text CLEANUP(buf_fini) = {0};
    if (session_temp(query->session, &statement->name) == NULL) {
        return dml_update(query, statement, info);
    }
    TRY(check_simple(statement, info));
    TRY(begin(query, statement, &table, info));
    struct slice alias = statement->alias.len > 0 ? statement->alias : table->name;
    TRY(check_assigned(statement, table, info));
    TRY(check_returning(query, statement, table, info));
    TRY(change_checks_of(table, CHANGE_MARKED, query->arena, &checks, info));
    checks.is_ordered = has_keys(table);
    TRY(mark_shape(query, table, &shape, info));
    TRY(write_updated(statement, table, alias, checks.is_ordered, &inner, info));
    TRY(write_rows(&shape, &checks, buf_slice(&inner), &text, info));
    TRY(run_marked(query, statement, table, &checks, buf_slice(&text), &rows, info));
    if (rows != NULL) {
        TRY(select_marked(query, table, rows, true, &hits, info));
        TRY(put(query, table, rows, sets_default(statement) ? hits_count(hits) : 0, info));
    }
    return finish(query, statement, statement->tag, table, hits, hits_count(hits), info);
}

/* Nobody wants to see the rows that go: only the others are written. */
static enum err delete_unseen(struct query *query, const struct statement *statement,
                              const struct temp_table *table, struct slice alias,
                              struct errinfo *info)
{
    const struct change_checks none = {0};
    struct temp_file *rest CLEANUP(temp_file_cleanup) = NULL;
    struct buf text CLEANUP(buf_fini) = {0};
    buf_append_str(&text, "SELECT ");
    write_kept(table, alias, &text);
    change_write_table(table, alias, &text);
    buf_append_str(&text, " WHERE NOT coalesce((");
    buf_append_slice(&text, statement->where.len > 0 ? statement->where : SLICE("true"));
    buf_append_str(&text, "\n), false)");
    TRY(buf_failed(&text) ? errinfo_nomem(info) : ERR_OK);
    TRY(run_text(query, table, &none, buf_slice(&text), true, &rest, info));
    uint64_t before = temp_table_rows(table);
    uint64_t left = query->rows_out;
    if (left > before) {
        return not_one_value(statement, info);
    }
    TRY(left == before ? ERR_OK : put(query, table, rest, 0, info));
    return change_tag(query, statement->tag, before - left, info);
}

enum err run_delete(struct query *query, const struct statement *statement, struct errinfo *info)
{
    const struct change_checks none = {0};
    struct temp_table *table CLEANUP(temp_table_cleanup) = NULL;
    struct temp_file *rows CLEANUP(temp_file_cleanup) = NULL;
    struct temp_file *hits CLEANUP(temp_file_cleanup) = NULL;
    struct temp_file *rest CLEANUP(temp_file_cleanup) = NULL;
    struct temp_table shape;
    struct buf inner CLEANUP(buf_fini) = {0};
    struct buf text CLEANUP(buf_fini) = {0};
    if (session_temp(query->session, &statement->name) == NULL) {
        return dml_delete(query, statement, info);
    }
    if (statement->using_list.len > 0) {
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                          "DELETE ... USING is not there for temporary tables");
        errinfo_hint(info, "Say WHERE EXISTS (SELECT ...).");
        return ERR_UNSUPPORTED;
    }
    TRY(begin(query, statement, &table, info));
    struct slice alias = statement->alias.len > 0 ? statement->alias : table->name;
    if (statement->returning.len == 0) {
        return delete_unseen(query, statement, table, alias, info);
    }
    TRY(check_returning(query, statement, table, info));
    TRY(mark_shape(query, table, &shape, info));
    write_marks(statement, table, alias, &inner);
    TRY(buf_failed(&inner) ? errinfo_nomem(info) : ERR_OK);
    TRY(write_rows(&shape, &none, buf_slice(&inner), &text, info));
    TRY(run_marked(query, statement, table, &none, buf_slice(&text), &rows, info));
    if (rows != NULL) {
        TRY(select_marked(query, table, rows, true, &hits, info));
        TRY(select_marked(query, table, rows, false, &rest, info));
        TRY(put(query, table, rest, 0, info));
    }
    return finish(query, statement, statement->tag, table, hits, hits_count(hits), info);
}

/* ---- rules of a new table ---- */

/* Of expressions in a WHERE, where no aggregate, window or set can stand. They read no tables: what
 * fills the table would read them again, and not all of it is in the trail. */
static enum err check_expressions(struct query *query, const struct buf *text, const char *what,
                                  struct errinfo *info)
{
    struct plan *plan CLEANUP(plan_cleanup) = NULL;
    struct engine_column *found;
    size_t count;
    TRY(buf_failed(text) ? errinfo_nomem(info) : ERR_OK);
    enum err err = plan_build(query->session, NULL, buf_slice(text), &plan, info);
    if (err == ERR_OK && plan->table_count > 0) {
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL, "%s of a temporary table cannot read tables",
                          what);
        errinfo_hint(info, "Read them in the statement that fills it.");
        return ERR_UNSUPPORTED;
    }
    if (err == ERR_OK) {
        err = run_describe_plan(query, plan, &found, &count, info);
    }
    if (err != ERR_OK && info != NULL) {
        info->position = 0; /* it would point into a text of our own */
    }
    return err;
}

enum err change_check_rules(struct query *query, const struct temp_table *table,
                            struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    for (size_t i = 0; i < table->rule_count; i++) {
        const struct temp_rule *rule = &table->rules[i];
        for (size_t c = 0; c < rule->column_count; c++) {
            if (change_column(table, rule->columns[c]) == NULL) {
                return errinfo_set(info, ERR_NOT_FOUND, "42703",
                                   "column \"%.*s\" named in key does not exist",
                                   SLICE_ARGS(rule->columns[c]));
            }
        }
    }
    buf_append_str(&text, "SELECT 1 FROM (SELECT ");
    for (size_t i = 0; i < table->column_count; i++) {
        buf_append_str(&text, i == 0 ? "" : ", ");
        write_cast(SLICE("NULL"), table->columns[i].type, &text);
        buf_append_str(&text, " AS ");
        sql_quote_name(&text, table->columns[i].name);
    }
    buf_append_str(&text, ") AS ");
    sql_quote_name(&text, table->name);
    buf_append_str(&text, " WHERE true");
    for (size_t i = 0; i < table->rule_count; i++) {
        const struct temp_rule *rule = &table->rules[i];
        if (rule->kind == RULE_CHECK) {
            buf_printf(&text, " AND coalesce((%.*s\n), true)", SLICE_ARGS(rule->expression));
        }
    }
    TRY(check_expressions(query, &text, "CHECK", info));
    buf_reset(&text);
    buf_append_str(&text, "SELECT 1 WHERE true");
    for (size_t i = 0; i < table->column_count; i++) {
        if (change_rule(table, RULE_DEFAULT, table->columns[i].name) != NULL) {
            buf_append_str(&text, " AND ");
            write_default(table, &table->columns[i], &text);
            buf_append_str(&text, " IS NULL");
        }
    }
    return check_expressions(query, &text, "DEFAULT", info);
}
