/* CREATE VIEW and COMMENT. */
#include "base/mem.h"
#include "query/plan/plan_int.h"
#include "query/ddl/ddl_int.h"
#include "sql/scan.h"

/* Columns that the body gives its creator, found by binding its physical SQL. */
enum err run_describe_plan(struct query *query, struct plan *plan,
                           struct engine_column **ret_columns, size_t *ret_count,
                           struct errinfo *info)
{
    struct session *session = query->session;
    struct access *access CLEANUP(access_cleanup) = NULL;
    struct buf bound CLEANUP(buf_fini) = {0};
    TRY(access_open(session->warehouse, session->who, plan, NULL, &access, info));
    if (access_bind(access, plan->physical_sql, &bound) != ERR_OK) {
        return errinfo_nomem(info);
    }
    return engine_describe(session->engine, session->who, buf_slice(&bound), query->arena,
                           ret_columns, ret_count, info);
}

enum err run_plan_body(struct query *query, struct slice body, struct slice catalog,
                       struct slice schema, struct plan **ret_plan, struct errinfo *info)
{
    struct session *session = query->session;
    char *kept = session->default_schema;
    char *kept_catalog = session->default_catalog;
    char *own_catalog = mem_slicedup(catalog);
    char *own = mem_slicedup(schema);
    if (own == NULL || own_catalog == NULL) {
        mem_free(own);
        mem_free(own_catalog);
        return errinfo_nomem(info);
    }
    session->default_schema = own;
    session->default_catalog = own_catalog;
    enum err err = plan_build(session, NULL, body, ret_plan, info);
    session->default_schema = kept;
    session->default_catalog = kept_catalog;
    mem_free(own);
    mem_free(own_catalog);
    if (err == ERR_NOT_FOUND && !slice_equal_fold(slice_of(kept), schema)) {
        errinfo_detail(info, "Names in the body of a view are looked up in its schema, \"%.*s\".",
                       SLICE_ARGS(schema));
    }
    return err;
}

enum err run_name_body(struct query *query, const struct statement *statement, size_t count,
                       struct slice *ret_body, struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    *ret_body = statement->query;
    if (statement->column_count == 0) {
        return ERR_OK;
    }
    if (statement->column_count > count) {
        return errinfo_set(info, ERR_SYNTAX, NULL,
                           "CREATE VIEW names %zu columns, its query has %zu",
                           statement->column_count, count);
    }
    buf_append_str(&text, "SELECT * FROM (");
    buf_append_slice(&text, statement->query);
    buf_append_str(&text, "\n) AS v ("); /* the query may end in a comment */
    for (size_t i = 0; i < statement->column_count; i++) {
        buf_append_str(&text, i == 0 ? "" : ", ");
        sql_quote_name(&text, statement->columns[i]);
    }
    buf_append_char(&text, ')');
    return !buf_failed(&text) && arena_slice(query->arena, buf_slice(&text), ret_body)
               ? ERR_OK
               : errinfo_nomem(info);
}

/* A view that is replaced keeps its identity, so its new body could read it. */
static enum err check_not_own(struct query *query, const struct sql_name *name,
                              const struct plan *plan, struct errinfo *info)
{
    struct system_relation old;
    struct errinfo ignored;
    if (system_relation_load(session_store(query->session), query->session->who, name, query->arena,
                             &old, &ignored) != ERR_OK) {
        return ERR_OK;
    }
    for (size_t i = 0; i < plan->table_count; i++) {
        if (slice_equal(plan->tables[i].relation->uuid, old.relation.uuid)) {
            return errinfo_set(info, ERR_INVALID, "42P17", "the view \"%.*s\" would read itself",
                               SLICE_ARGS(name->name));
        }
    }
    return ERR_OK;
}

static enum err fill_columns(struct query *query, const struct statement *statement,
                             const struct engine_column *found, size_t count, struct relation *view,
                             struct errinfo *info)
{
    struct relation_column *columns = arena_calloc(query->arena, count + 1, sizeof(*columns));
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        struct slice name = i < statement->column_count ? statement->columns[i] : found[i].name;
        columns[i] = (struct relation_column){(uint32_t)i + 1, name, name, found[i].type};
    }
    view->columns = columns;
    view->column_count = count;
    return run_name_body(query, statement, count, &view->view_sql, info);
}

enum err run_create_view(struct query *query, const struct statement *statement,
                         struct errinfo *info)
{
    struct system_relation view = {0};
    struct plan *plan CLEANUP(plan_cleanup) = NULL;
    struct engine_column *found;
    size_t count;
    struct sql_name *name = &view.relation.name;
    const struct attached *attached;
    TRY(run_lake_target(query, &statement->name, &attached, info));
    if (attached != NULL) {
        return ddl_create_view(query, statement, attached, info);
    }
    TRY(run_object_name(query, &statement->name, name, info));
    enum err err = run_plan_body(query, statement->query, SLICE(SQL_CATALOG_DEFAULT), name->schema,
                                 &plan, info);
    if (err == ERR_OK) {
        err = run_describe_plan(query, plan, &found, &count, info);
    }
    if (err != ERR_OK) {
        if (info != NULL && info->position > 0) {
            info->position += statement_position(query->statement, statement->query) - 1;
        }
        return err;
    }
    if (plan->ast->parameter_count > 0) {
        return errinfo_set(info, ERR_INVALID, "42P02", "a view has no parameters");
    }
    TRY(check_not_own(query, name, plan, info));
    view.relation.kind = RELATION_VIEW;
    view.relation.is_definer = statement->is_definer;
    TRY(fill_columns(query, statement, found, count, &view.relation, info));
    TRY(plan_sources(plan, SLICE(SQL_CATALOG_DEFAULT), name->schema, query->arena, &view.relation,
                     info));
    bool is_created;
    TRY(run_create_relation(query, statement, &view, &is_created, info));
    if (!is_created) {
        (void)snprintf(query->notice, sizeof(query->notice), "it exists already");
    }
    return ERR_OK;
}

/* ---- comments ---- */

enum err run_comment(struct query *query, const struct statement *statement, struct errinfo *info)
{
    struct system *store;
    struct sql_name name;
    struct relation seen;
    const struct attached *attached;
    TRY(run_lake_target(query, &statement->name, &attached, info));
    if (attached != NULL) {
        bool is_view;
        TRY(ddl_comment_view(query, statement, attached, &is_view, info));
        return is_view ? ERR_OK : ddl_comment(query, statement, info);
    }
    TRY(ddl_target(query, &statement->name, &attached, info));
    if (attached != NULL && statement->object_kind != OBJECT_VIEW) {
        return ddl_comment(query, statement, info);
    }
    TRY(session_store_to_change(query->session, &store, info));
    TRY(run_object_name(query, &statement->name, &name, info));
    TRY(resolve_for_admin(query->session, &statement->name, query->arena, &seen, info));
    enum relation_kind kind =
        statement->object_kind == OBJECT_VIEW ? RELATION_VIEW : RELATION_TABLE;
    return system_comment_set(store, query->session->who, &name, kind, statement->column,
                              statement->comment, info);
}
