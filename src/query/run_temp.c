/* CREATE TEMP TABLE, INSERT, TRUNCATE, DROP of temporary tables.
 *
 * What a statement puts in is a SELECT like any other, planned as the person, audited with what it
 * reads, and written through a grant to one new file: masked values are kept masked, and stay as
 * they were when the rights change later. The catalog's tables are not written. */
#include "base/hash.h"
#include "base/io.h"
#include "query/dml_int.h"
#include "query/plan_int.h"
#include "query/run_int.h"
#include "sql/scan.h"

#define COLUMNS_MAX 1600 /* PostgreSQL's */

static enum err move_position(struct query *query, struct slice part, enum err err,
                              struct errinfo *info)
{
    if (err != ERR_OK && info != NULL && info->position > 0) {
        info->position += statement_position(query->statement, part) - 1;
    }
    return err;
}

/* ---- columns ---- */

static enum err check_columns(struct relation_column *columns, size_t count, struct errinfo *info)
{
    bool as_text;
    if (count == 0 || count > COLUMNS_MAX) {
        return errinfo_set(info, ERR_LIMIT, "54011", "a temporary table has 1 to %d columns",
                           COLUMNS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        columns[i].id = (uint32_t)i + 1;
        columns[i].source = columns[i].name;
        for (size_t k = 0; k < i; k++) {
            if (slice_equal_fold(columns[k].name, columns[i].name)) {
                return errinfo_set(info, ERR_EXISTS, "42701", "column \"%.*s\" is there twice",
                                   SLICE_ARGS(columns[i].name));
            }
        }
        if (!temp_keeps_type(columns[i].type, &as_text)) {
            (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                              "a temporary table cannot keep column \"%.*s\" of type %.*s",
                              SLICE_ARGS(columns[i].name), SLICE_ARGS(columns[i].type));
            errinfo_hint(info, "Cast it to VARCHAR, or select its parts.");
            return ERR_UNSUPPORTED;
        }
    }
    return ERR_OK;
}

/* By binding SELECT CAST(NULL AS type) AS "a", ... */
enum err run_declared_types(struct query *query, const struct statement *statement,
                            struct engine_column **ret_columns, size_t *ret_count,
                            struct errinfo *info)
{
    struct plan *plan CLEANUP(plan_cleanup) = NULL;
    struct buf text CLEANUP(buf_fini) = {0};
    size_t column_count = statement->column_count;
    for (size_t i = 0; i < column_count; i++) {
        if (statement->types[i].len == 0) {
            return errinfo_set(info, ERR_SYNTAX, NULL, "column \"%.*s\" has no type",
                               SLICE_ARGS(statement->columns[i]));
        }
        buf_append_str(&text, i == 0 ? "SELECT CAST(NULL AS " : ", CAST(NULL AS ");
        buf_append_slice(&text, statement->types[i]);
        buf_append_str(&text, ") AS ");
        sql_quote_name(&text, statement->columns[i]);
    }
    if (buf_failed(&text)) {
        return errinfo_nomem(info);
    }
    enum err err = plan_build(query->session, NULL, buf_slice(&text), &plan, info);
    if (err == ERR_OK) {
        err = run_describe_plan(query, plan, ret_columns, ret_count, info);
    }
    if (err != ERR_OK && info != NULL) {
        info->position = 0; /* it would point into a text of our own */
    }
    return err;
}

static enum err declared_columns(struct query *query, const struct statement *statement,
                                 struct relation_column **ret_columns, struct errinfo *info)
{
    struct engine_column *found;
    size_t count;
    TRY(run_declared_types(query, statement, &found, &count, info));
    ASSERT(count == statement->column_count);
    struct relation_column *columns = arena_calloc(query->arena, count + 1, sizeof(*columns));
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        columns[i].name = statement->columns[i];
        columns[i].type = found[i].type;
    }
    *ret_columns = columns;
    return check_columns(columns, count, info);
}

/* What a query gives, by binding it: nothing is read. */
enum err run_query_columns(struct query *query, struct slice text,
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

/* ---- filling ---- */

/* Which column of the query each column of the table gets; SIZE_MAX: NULL. */
struct filling {
    const struct relation_column *columns;
    size_t column_count;
    const size_t *from;
    const struct engine_column *found;
    size_t found_count;
    struct slice query;
};

static void write_value(const struct filling *filling, size_t index, struct buf *out)
{
    const struct relation_column *column = &filling->columns[index];
    size_t from = filling->from[index];
    bool as_text = false;
    ASSERT(temp_keeps_type(column->type, &as_text));
    bool is_cast = from == SIZE_MAX || !slice_equal(filling->found[from].type, column->type);
    buf_append_str(out, as_text ? "CAST(" : "");
    buf_append_str(out, is_cast ? "CAST(" : "");
    if (from == SIZE_MAX) {
        buf_append_str(out, "NULL");
    } else {
        buf_printf(out, "v.c%zu", from + 1);
    }
    if (is_cast) {
        buf_append_str(out, " AS ");
        buf_append_slice(out, column->type);
        buf_append_char(out, ')');
    }
    buf_append_str(out, as_text ? " AS VARCHAR)" : "");
    buf_append_str(out, " AS ");
    sql_quote_name(out, column->name);
}

static enum err write_filling(const struct filling *filling, struct buf *out, struct errinfo *info)
{
    buf_append_str(out, "SELECT ");
    for (size_t i = 0; i < filling->column_count; i++) {
        buf_append_str(out, i == 0 ? "" : ", ");
        write_value(filling, i, out);
    }
    buf_append_str(out, " FROM (");
    buf_append_slice(out, filling->query);
    buf_append_str(out, "\n) AS v ("); /* the query may end in a comment */
    for (size_t i = 0; i < filling->found_count; i++) {
        buf_printf(out, "%sc%zu", i == 0 ? "" : ", ", i + 1);
    }
    buf_append_char(out, ')');
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

static enum err write_file(struct query *query, struct plan *plan, struct temp_file *file,
                           uint64_t bytes_max, struct errinfo *info)
{
    struct session *session = query->session;
    struct buf bound CLEANUP(buf_fini) = {0};
    struct buf sql CLEANUP(buf_fini) = {0};
    struct buf uri CLEANUP(buf_fini) = {0};
    TRY(query_move(query, QUERY_ADMITTED, info));
    TRY(access_open_temp(session->warehouse, session->who, plan, file, bytes_max, NULL,
                         &query->access, info));
    TRY(query_move(query, QUERY_RUNNING, info));
    access_sink_uri(query->access, &uri);
    if (access_bind(query->access, plan->physical_sql, &bound) != ERR_OK) {
        return errinfo_nomem(info);
    }
    buf_append_str(&sql, "COPY (");
    buf_append_slice(&sql, buf_slice(&bound));
    buf_append_str(&sql, ") TO ");
    sql_quote_string(&sql, buf_slice(&uri));
    buf_append_str(&sql, " (FORMAT parquet, COMPRESSION lz4_raw)");
    return buf_failed(&sql) || buf_failed(&uri) ? errinfo_nomem(info)
                                                : run_copy_to_end(query, buf_slice(&sql), info);
}

enum err run_temp_file(struct query *query, struct temp_file **ret_file, uint64_t *ret_bytes_max,
                       struct errinfo *info)
{
    struct session *session = query->session;
    uint64_t bytes_max = config_bytes(session->warehouse->config, CONFIG_SESSION_TEMP_DISK);
    uint64_t used = session_temp_bytes(session);
    const char *folder = io_join(query->arena, session->warehouse->folder, "tmp");
    if (folder == NULL) {
        return errinfo_nomem(info);
    }
    TRY(io_make_folders(folder, 0700, info));
    *ret_bytes_max = bytes_max > used ? bytes_max - used : 0;
    return temp_file_new(folder, ret_file, info);
}

/* Runs the query into a new file; NULL if it had no rows. */
static enum err fill(struct query *query, const struct filling *filling,
                     struct temp_file **ret_file, struct errinfo *info)
{
    struct session *session = query->session;
    struct plan *plan CLEANUP(plan_cleanup) = NULL;
    struct temp_file *file CLEANUP(temp_file_cleanup) = NULL;
    struct buf text CLEANUP(buf_fini) = {0};
    uint64_t bytes_max;
    TRY(write_filling(filling, &text, info));
    enum err err = plan_build(session, query, buf_slice(&text), &plan, info);
    if (err != ERR_OK && info != NULL) {
        info->position = 0; /* the query alone was planned before: this is about the whole */
    }
    TRY(err);
    TRY(run_temp_file(query, &file, &bytes_max, info));
    TRY(write_file(query, plan, file, bytes_max, info));
    *ret_file = query->rows_out == 0 ? NULL : TAKE(file);
    return ERR_OK;
}

static enum err make_filling(struct query *query, struct slice text,
                             const struct relation_column *columns, size_t column_count,
                             const size_t *from, struct filling *ret_filling, struct errinfo *info)
{
    struct engine_column *found;
    size_t count;
    TRY(run_query_columns(query, text, &found, &count, info));
    *ret_filling = (struct filling){columns, column_count, from, found, count, text};
    return ERR_OK;
}

static enum err set_tag(struct query *query, const char *format, struct errinfo *info)
{
    char *tag = arena_printf(query->arena, "%s %llu", format, (unsigned long long)query->rows_out);
    query->tag = tag == NULL ? query->tag : tag;
    query->rows_out = 0; /* none were given out */
    return tag == NULL ? errinfo_nomem(info) : ERR_OK;
}

/* ---- CREATE TEMP TABLE ---- */

static enum err check_temp_name(struct query *query, const struct sql_name *name,
                                struct errinfo *info)
{
    bool is_temp = name->catalog.len == 0 &&
                   (name->schema.len == 0 || slice_equal_fold(name->schema, SLICE(TEMP_SCHEMA)));
    if (!is_temp) {
        (void)errinfo_set(info, ERR_INVALID, "42P16", "a temporary table has no schema");
        errinfo_position(info, statement_position(query->statement, name->name));
        return ERR_INVALID;
    }
    if (!identity_name_is_valid(name->name)) {
        return errinfo_set(info, ERR_INVALID, "42602", "the name of a table is not valid");
    }
    if (resolve_is_pg(name->name)) {
        return errinfo_set(info, ERR_INVALID, "42939", "the name \"%.*s\" is reserved",
                           SLICE_ARGS(name->name));
    }
    return config_bytes(query->session->warehouse->config, CONFIG_SESSION_TEMP_DISK) > 0
               ? ERR_OK
               : errinfo_set(info, ERR_LIMIT, "53400",
                             "session.temp_disk of the configuration allows no temporary tables");
}

/* Columns of CREATE TEMP TABLE t [(a, ...)] AS query: all of them, each from its own. */
static enum err columns_of_query(struct query *query, const struct statement *statement,
                                 const struct engine_column *found, size_t count,
                                 struct relation_column **ret_columns, size_t **ret_from,
                                 struct errinfo *info)
{
    struct relation_column *columns = arena_calloc(query->arena, count + 1, sizeof(*columns));
    size_t *from = arena_calloc(query->arena, count + 1, sizeof(*from));
    if (columns == NULL || from == NULL) {
        return errinfo_nomem(info);
    }
    if (statement->column_count > count) {
        return errinfo_set(info, ERR_SYNTAX, NULL,
                           "CREATE TABLE AS names %zu columns, its query has %zu",
                           statement->column_count, count);
    }
    for (size_t i = 0; i < count; i++) {
        bool is_named = i < statement->column_count;
        columns[i].name = is_named ? statement->columns[i] : found[i].name;
        columns[i].type = slice_equal(found[i].type, SLICE("\"NULL\"")) ||
                                  slice_equal(found[i].type, SLICE("NULL"))
                              ? SLICE("VARCHAR")
                              : found[i].type;
        from[i] = i;
        if (is_named && statement->types[i].len > 0) {
            return errinfo_set(info, ERR_SYNTAX, NULL,
                               "the columns of CREATE TABLE AS have the types of its query");
        }
    }
    *ret_columns = columns;
    *ret_from = from;
    return check_columns(columns, count, info);
}

static enum err keep(struct query *query, const struct statement *statement,
                     const struct relation_column *columns, size_t count, struct temp_file *file,
                     struct errinfo *info)
{
    struct temp_table *table CLEANUP(temp_table_cleanup) = NULL;
    char uuid[UUID_TEXT_BYTES];
    if (uuid_new(uuid) != ERR_OK) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "there are no random numbers");
    }
    TRY(temp_table_new(statement->name.name, slice_of(uuid), columns, count, NULL, file, &table,
                       info));
    return session_set_temp(query->session, statement->name.name, table, info);
}

enum err run_create_temp(struct query *query, const struct statement *statement,
                         struct errinfo *info)
{
    struct temp_file *file CLEANUP(temp_file_cleanup) = NULL;
    struct relation_column *columns;
    size_t *from;
    struct filling filling;
    TRY(check_temp_name(query, &statement->name, info));
    if (session_temp(query->session, &statement->name) != NULL) {
        if (statement->if_not_exists) {
            (void)snprintf(query->notice, sizeof(query->notice), "it exists already");
            return ERR_OK;
        }
        return errinfo_set(info, ERR_EXISTS, "42P07", "\"%.*s\" already exists",
                           SLICE_ARGS(statement->name.name));
    }
    if (statement->query.len == 0) {
        TRY(declared_columns(query, statement, &columns, info));
        return keep(query, statement, columns, statement->column_count, NULL, info);
    }
    enum err err = make_filling(query, statement->query, NULL, 0, NULL, &filling, info);
    TRY(move_position(query, statement->query, err, info));
    TRY(columns_of_query(query, statement, filling.found, filling.found_count, &columns, &from,
                         info));
    filling.columns = columns;
    filling.column_count = filling.found_count;
    filling.from = from;
    TRY(fill(query, &filling, &file, info));
    TRY(keep(query, statement, columns, filling.column_count, file, info));
    return set_tag(query, "SELECT", info);
}

/* ---- INSERT ---- */

static enum err find_targets(struct query *query, const struct statement *statement,
                             const struct temp_table *table, size_t given, size_t **ret_from,
                             struct errinfo *info)
{
    size_t *from = arena_calloc(query->arena, table->column_count + 1, sizeof(*from));
    size_t wanted = statement->column_count == 0 ? table->column_count : statement->column_count;
    if (from == NULL) {
        return errinfo_nomem(info);
    }
    if (given > wanted || (given < wanted && statement->column_count > 0)) {
        return errinfo_set(info, ERR_SYNTAX, NULL, "INSERT has %zu values for %zu columns", given,
                           wanted);
    }
    for (size_t i = 0; i < table->column_count; i++) {
        from[i] = statement->column_count == 0 && i < given ? i : SIZE_MAX;
    }
    for (size_t i = 0; i < statement->column_count; i++) {
        struct slice name = statement->columns[i];
        size_t at = 0;
        while (at < table->column_count && !slice_equal_fold(table->columns[at].name, name)) {
            at++;
        }
        if (at == table->column_count || from[at] != SIZE_MAX) {
            bool is_twice = at < table->column_count;
            (void)errinfo_set(
                info, is_twice ? ERR_EXISTS : ERR_NOT_FOUND, is_twice ? "42701" : "42703",
                is_twice ? "column \"%.*s\" is there twice" : "column \"%.*s\" does not exist",
                SLICE_ARGS(name));
            return is_twice ? ERR_EXISTS : ERR_NOT_FOUND;
        }
        from[at] = i;
    }
    *ret_from = from;
    return ERR_OK;
}

enum err run_insert(struct query *query, const struct statement *statement, struct errinfo *info)
{
    struct temp_table *table CLEANUP(temp_table_cleanup) = NULL;
    struct temp_table *fuller CLEANUP(temp_table_cleanup) = NULL;
    struct temp_file *file CLEANUP(temp_file_cleanup) = NULL;
    struct filling filling;
    size_t *from;
    struct temp_table *found = session_temp(query->session, &statement->name);
    if (found == NULL) {
        return dml_insert(query, statement, info);
    }
    table = temp_table_ref(found);
    enum err err = make_filling(query, statement->query, table->columns, table->column_count, NULL,
                                &filling, info);
    TRY(move_position(query, statement->query, err, info));
    TRY(find_targets(query, statement, table, filling.found_count, &from, info));
    filling.from = from;
    TRY(fill(query, &filling, &file, info));
    if (file != NULL) {
        TRY(temp_table_new(table->name, table->uuid, table->columns, table->column_count, table,
                           file, &fuller, info));
        TRY(session_set_temp(query->session, table->name, fuller, info));
    }
    return set_tag(query, "INSERT 0", info);
}

/* ---- TRUNCATE, DROP ---- */

enum err run_truncate(struct query *query, const struct statement *statement, struct errinfo *info)
{
    struct temp_table *empty CLEANUP(temp_table_cleanup) = NULL;
    const struct temp_table *table = session_temp(query->session, &statement->name);
    if (table == NULL) {
        return dml_truncate(query, statement, info);
    }
    TRY(temp_table_new(table->name, table->uuid, table->columns, table->column_count, NULL, NULL,
                       &empty, info));
    return session_set_temp(query->session, statement->name.name, empty, info);
}

enum err run_drop_temp(struct query *query, const struct statement *statement, bool *ret_is_done,
                       struct errinfo *info)
{
    *ret_is_done = session_temp(query->session, &statement->name) != NULL;
    return *ret_is_done ? session_set_temp(query->session, statement->name.name, NULL, info)
                        : ERR_OK;
}
