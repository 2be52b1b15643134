/* What a statement would need and give, without running it. Nothing is read: no audit record, no
 * place; but names are resolved as the person, and errors cleaned, as if it ran. */
#include "base/mem.h"
#include "query/run_int.h"
#include "sql/scan.h"

static enum err copy_columns(const struct engine_column *columns, size_t count, struct arena *arena,
                             struct query_column **ret_columns, struct errinfo *info)
{
    struct query_column *copies = arena_calloc(arena, count + 1, sizeof(*copies));
    if (copies == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        copies[i] = (struct query_column){columns[i].name, columns[i].type};
    }
    *ret_columns = copies;
    return ERR_OK;
}

/* A function that was rewritten may have had no use for the last ones: any value will do. */
static enum err add_unused(struct slice **types, size_t *count, size_t wanted, struct arena *arena,
                           struct errinfo *info)
{
    if (wanted <= *count) {
        return ERR_OK;
    }
    struct slice *grown = arena_calloc(arena, wanted + 1, sizeof(*grown));
    if (grown == NULL) {
        return errinfo_nomem(info);
    }
    if (*count > 0) {
        memcpy(grown, *types, *count * sizeof(*grown));
    }
    *types = grown;
    *count = wanted;
    return ERR_OK;
}

static enum err ask_engine(struct session *session, struct slice sql, struct arena *arena,
                           struct query_column **ret_columns, size_t *ret_column_count,
                           struct slice **ret_types, size_t *ret_type_count, struct errinfo *info)
{
    struct engine_column *columns;
    size_t count;
    TRY(engine_describe(session->engine, session->who, sql, arena, &columns, &count, info));
    TRY(engine_describe_parameters(session->engine, session->who, sql, arena, ret_types,
                                   ret_type_count, info));
    TRY(copy_columns(columns, count, arena, ret_columns, info));
    *ret_column_count = count;
    return ERR_OK;
}

enum err session_describe(struct session *session, struct slice statement, struct arena *arena,
                          struct query_column **ret_columns, size_t *ret_column_count,
                          struct slice **ret_parameter_types, size_t *ret_parameter_count,
                          struct errinfo *info)
{
    struct plan *plan CLEANUP(plan_cleanup) = NULL;
    struct access *access CLEANUP(access_cleanup) = NULL;
    struct buf sql CLEANUP(buf_fini) = {0};
    struct slice numbers, name;
    bool is_signal;
    struct errinfo local;
    info = info != NULL ? info : &local;
    errinfo_init(info);
    TRY(session_check(session, info));
    TRY(sql_check_text(statement, session->warehouse->limits.statement_bytes_max, info));
    TRY(signal_describe(statement, arena, &numbers, &name, &is_signal, info));
    TRY(plan_build(session, NULL, is_signal ? numbers : statement, &plan, info));
    TRY(access_open(session->warehouse, session->who, plan, NULL, &access, info));
    if (access_bind(access, plan->physical_sql, &sql) != ERR_OK) {
        return errinfo_nomem(info);
    }
    enum err err = ask_engine(session, buf_slice(&sql), arena, ret_columns, ret_column_count,
                              ret_parameter_types, ret_parameter_count, info);
    if (err != ERR_OK) {
        struct query described = {.session = session, .plan = plan};
        query_clean_error(&described, true, info);
        return err;
    }
    if (is_signal && *ret_column_count == 1) {
        (*ret_columns)[0] = (struct query_column){name, SLICE("BOOLEAN")};
    }
    return add_unused(ret_parameter_types, ret_parameter_count, plan->ast->parameter_count, arena,
                      info);
}
