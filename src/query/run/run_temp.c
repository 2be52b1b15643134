/* CREATE TEMP TABLE, TRUNCATE, DROP of temporary tables; what fills them is in run_change.c. */
#include "base/hash.h"
#include "query/temp/change_rules_int.h"
#include "query/dml/dml_int.h"
#include "query/plan/plan_int.h"
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
        if (slice_equal_fold(columns[i].name, SLICE(CHANGE_ORDER_NAME)) ||
            slice_equal_fold(columns[i].name, SLICE(CHANGE_HIT_NAME))) {
            return errinfo_set(info, ERR_INVALID, "42939", "the name \"%.*s\" is reserved",
                               SLICE_ARGS(columns[i].name));
        }
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

static enum err keep(struct query *query, const struct temp_table *shape, struct temp_file *file,
                     struct errinfo *info)
{
    struct temp_table *table CLEANUP(temp_table_cleanup) = NULL;
    TRY(temp_table_new(shape, false, file, &table, info));
    return session_set_temp(query->session, shape->name, table, info);
}

static enum err create_as(struct query *query, const struct statement *statement,
                          struct temp_table *shape, struct errinfo *info)
{
    struct temp_file *file CLEANUP(temp_file_cleanup) = NULL;
    struct change_source source = {.query = statement->query};
    struct engine_column *found;
    struct relation_column *columns;
    size_t *from;
    enum err err = change_query_columns(query, statement->query, &found, &source.found_count, info);
    TRY(move_position(query, statement->query, err, info));
    TRY(columns_of_query(query, statement, found, source.found_count, &columns, &from, info));
    source.found = found;
    source.from = from;
    shape->columns = columns;
    shape->column_count = source.found_count;
    TRY(change_fill(query, shape, &source, &file, info));
    uint64_t rows = query->rows_out;
    TRY(keep(query, shape, file, info));
    return change_tag(query, "SELECT", rows, info);
}

enum err run_create_temp(struct query *query, const struct statement *statement,
                         struct errinfo *info)
{
    struct relation_column *columns;
    char uuid[UUID_TEXT_BYTES];
    TRY(check_temp_name(query, &statement->name, info));
    if (session_temp(query->session, &statement->name) != NULL) {
        if (statement->if_not_exists) {
            (void)snprintf(query->notice, sizeof(query->notice), "it exists already");
            return ERR_OK;
        }
        return errinfo_set(info, ERR_EXISTS, "42P07", "\"%.*s\" already exists",
                           SLICE_ARGS(statement->name.name));
    }
    struct temp_table *shape = arena_calloc(query->arena, 1, sizeof(*shape));
    struct temp_rule *rules =
        shape == NULL ? NULL
                      : arena_calloc(query->arena, statement->rule_count + 1, sizeof(*rules));
    if (rules == NULL || uuid_new(uuid) != ERR_OK) {
        return errinfo_nomem(info);
    }
    if (statement->rule_count > 0) {
        memcpy(rules, statement->rules, statement->rule_count * sizeof(*rules));
    }
    shape->name = statement->name.name;
    shape->uuid = slice_of(uuid);
    shape->quota = session_temp_quota(query->session);
    shape->rules = rules;
    shape->rule_count = statement->rule_count;
    shape->is_dropped_on_commit = statement->is_dropped_on_commit;
    if (statement->query.len > 0) {
        return create_as(query, statement, shape, info);
    }
    TRY(declared_columns(query, statement, &columns, info));
    shape->columns = columns;
    shape->column_count = statement->column_count;
    TRY(change_check_rules(query, shape, info));
    return keep(query, shape, NULL, info);
}

/* ---- TRUNCATE, DROP ---- */

enum err run_truncate(struct query *query, const struct statement *statement, struct errinfo *info)
{
    struct temp_table *empty CLEANUP(temp_table_cleanup) = NULL;
    const struct temp_table *table = session_temp(query->session, &statement->name);
    if (table == NULL) {
        return dml_truncate(query, statement, info);
    }
    TRY(temp_table_new(table, false, NULL, &empty, info));
    return session_set_temp(query->session, statement->name.name, empty, info);
}

enum err run_drop_temp(struct query *query, const struct statement *statement, bool *ret_is_done,
                       struct errinfo *info)
{
    *ret_is_done = session_temp(query->session, &statement->name) != NULL;
    return *ret_is_done ? session_set_temp(query->session, statement->name.name, NULL, info)
                        : ERR_OK;
}
