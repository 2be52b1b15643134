/* One statement from text to rows: dispatch, running, limits, cancellation, and what may be told
 * when it fails. */
#include "query/query.h"

#include "base/clock.h"
#include "base/mem.h"
#include "query/admission/admission_int.h"
#include "query/temp/change_int.h"
#include "query/dml/dml_int.h"
#include "query/plan/files_int.h"
#include "query/admission/watchdog_int.h"
#include "sql/scan.h"

#define QUERY_ARENA_BYTES_MAX ((size_t)1 << 30)

enum err query_check_cancelled(struct query *query, struct errinfo *info)
{
    bool is_late = query->deadline_us != 0 && clock_mono_us() > query->deadline_us;
    if (is_late || atomic_load(&query->is_timed_out)) {
        (void)errinfo_set(info, ERR_TIMEOUT, NULL, "the statement was cancelled by its time limit");
        errinfo_hint(info, "SET query.timeout changes the limit for this session.");
        return ERR_TIMEOUT;
    }
    if (atomic_load(&query->is_cancelled) || atomic_load(&query->session->is_stopped)) {
        return errinfo_set(info, ERR_CANCELLED, NULL, "the statement was cancelled");
    }
    return ERR_OK;
}

void query_cancel_locked(struct query *query)
{
    struct session *session = query->session;
    atomic_store(&query->is_cancelled, true);
    engine_session_cancel(session->engine);
    copy_in_stop(query->copy_in);
    admission_drop(session->warehouse->admission, query);
}

void query_cancel(struct query *query)
{
    pthread_mutex_lock(&query->session->lock);
    query_cancel_locked(query);
    pthread_mutex_unlock(&query->session->lock);
}

void query_note_step(struct query *query, uint64_t step, uint64_t count)
{
    atomic_store(&query->step, step);
    atomic_store(&query->step_count, count);
}

double query_percent(struct query *query)
{
    uint64_t count = atomic_load(&query->step_count);
    if (query->engine != NULL) {
        return engine_query_progress(query->engine);
    }
    return count == 0 ? -1 : 100 * (double)atomic_load(&query->step) / (double)count;
}

double query_progress(struct query *query)
{
    struct session *session = query->session;
    pthread_mutex_lock(&session->lock);
    double progress = query_percent(query);
    pthread_mutex_unlock(&session->lock);
    return progress;
}

/* ---- errors ---- */

/* First "quoted" word of a message. */
static struct slice quoted_name(const char *message)
{
    const char *open = strchr(message, '"');
    const char *close = open == NULL ? NULL : strchr(open + 1, '"');
    return close == NULL ? (struct slice){"", 0}
                         : (struct slice){open + 1, (size_t)(close - open - 1)};
}

/* A name that the engine could not bind: where it stands in the statement, and for a column our
 * own wording with the nearest of the engine's candidates. */
static void explain_name(const struct plan *plan, struct errinfo *info)
{
    struct slice quoted = quoted_name(info->message);
    if (quoted.len == 0) {
        return;
    }
    char text[ERRINFO_MESSAGE_BYTES];
    struct slice name = {text, quoted.len};
    memcpy(text, quoted.ptr, quoted.len);
    size_t position = plan->ast == NULL ? 0 : sql_ast_locate(plan->ast, name);
    if (strcmp(info->sqlstate, "42703") == 0) {
        char candidates[ERRINFO_HINT_BYTES];
        (void)snprintf(candidates, sizeof(candidates), "%s", info->hint);
        char nearest[128] = "";
        unsigned best = 4;
        const char *rest = candidates;
        for (struct slice next; (next = quoted_name(rest)).len > 0;
             rest = next.ptr + next.len + 1) {
            unsigned distance = slice_edit_distance(name, next, best - 1);
            if (distance < best && next.len < sizeof(nearest)) {
                best = distance;
                (void)snprintf(nearest, sizeof(nearest), "%.*s", SLICE_ARGS(next));
            }
        }
        enum err code = info->code;
        (void)errinfo_set(info, code, "42703", "column \"%.*s\" does not exist", SLICE_ARGS(name));
        if (nearest[0] != '\0') {
            errinfo_hint(info, "Did you mean \"%s\"?", nearest);
        } else if (candidates[0] != '\0') {
            errinfo_hint(info, "DESCRIBE shows the columns of a table.");
        }
    }
    errinfo_position(info, sql_travel_position(&plan->travel, position));
}

/* What the body of a definer's view names is not the person's to know: a name that they did not
 * write is not repeated, and no column of such a view's tables is suggested. */
static void hide_definer(const struct plan *plan, struct errinfo *info)
{
    struct slice quoted = quoted_name(info->message);
    bool is_theirs = quoted.len > 0 && plan->ast != NULL && sql_ast_locate(plan->ast, quoted) > 0;
    if (!is_theirs) {
        char sqlstate[sizeof(info->sqlstate)];
        memcpy(sqlstate, info->sqlstate, sizeof(sqlstate));
        enum err code = info->code;
        (void)errinfo_set(info, code, sqlstate,
                          "the statement does not fit the view that it reads");
        errinfo_hint(info, "DESCRIBE shows the view's columns; if they are as they should be, what "
                           "the view reads has changed: ask its owner.");
    }
    errinfo_detail(info, "%s", "");
    if (is_theirs) {
        errinfo_hint(info, "%s", "");
    }
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Where hidden values are at stake, a message about a value could carry one: only what concerns
 * names (class 42), resources (53, 54, 57) and ourselves passes. */
void query_clean_error(const struct query *query, bool is_bind_error, struct errinfo *info)
{
    const struct plan *plan = query->plan;
    if (info == NULL || plan == NULL ||
        (query->marker != NULL && strstr(info->message, query->marker) != NULL)) {
        return;
    }
    static const char *const open_classes[] = {"42", "53", "54", "57", "58", "0A", "26"};
    bool is_open = false;
    for (size_t i = 0; i < ARRAY_COUNT(open_classes); i++) {
        is_open = is_open || starts_with(info->sqlstate, open_classes[i]);
    }
    if ((plan->is_bound || plan->is_partial) && !is_open) {
        char sqlstate[6];
        memcpy(sqlstate, info->sqlstate, sizeof(sqlstate));
        enum err code = info->code;
        (void)errinfo_set(info, code, sqlstate, "the statement failed on a value");
        errinfo_detail(info, "Details are withheld because a policy applies to what it reads.");
        return;
    }
    if (strstr(info->message, "__moat_") != NULL || strstr(info->detail, "__moat_") != NULL ||
        strstr(info->hint, "__moat_") != NULL) {
        (void)errinfo_set(info, ERR_INTERNAL, NULL,
                          "the statement does not fit the relation it reads");
        errinfo_hint(info, "If files of a table changed their columns, ALTER TABLE ... REFRESH "
                           "reads them again.");
        return;
    }
    if (is_bind_error && plan->identity_count > 1 && !resolve_is_admin(plan->identities[0])) {
        hide_definer(plan, info);
    }
    if (is_bind_error && info->position == 0) {
        explain_name(plan, info);
    }
}

/* ---- running ---- */

static enum err open_engine(struct query *query, struct slice sql,
                            const struct engine_parameter *parameters, size_t parameter_count,
                            struct errinfo *info)
{
    struct session *session = query->session;
    struct engine_query *engine;
    TRY(engine_query_open(session->engine, session->who, sql, parameters, parameter_count, &engine,
                          info));
    pthread_mutex_lock(&session->lock);
    query->engine = engine;
    pthread_mutex_unlock(&session->lock);
    return ERR_OK;
}

enum err query_engine_open(struct query *query, struct slice sql, struct errinfo *info)
{
    TRY(query_check_cancelled(query, info));
    enum err err = open_engine(query, sql, NULL, 0, info);
    if (err != ERR_OK) {
        query_clean_error(query, true, info);
    }
    return err;
}

void query_engine_close(struct query *query)
{
    struct session *session = query->session;
    pthread_mutex_lock(&session->lock);
    struct engine_query *engine = TAKE(query->engine);
    pthread_mutex_unlock(&session->lock);
    engine_query_close(engine);
}

static enum err start_engine(struct query *query, const struct engine_parameter *parameters,
                             size_t parameter_count, struct errinfo *info)
{
    struct session *session = query->session;
    TRY(query_check_cancelled(query, info));
    TRY(access_open(session->warehouse, session->who, query->plan, NULL, &query->access, info));
    struct buf sql CLEANUP(buf_fini) = {0};
    if (access_bind(query->access, query->plan->physical_sql, &sql) != ERR_OK) {
        return errinfo_nomem(info);
    }
    enum err err = open_engine(query, buf_slice(&sql), parameters, parameter_count, info);
    if (err != ERR_OK && files_explain(query, info)) {
        return ERR_INVALID;
    }
    if (err != ERR_OK) {
        query_clean_error(query, true, info);
        files_polish(query, info);
    }
    return err;
}

enum err query_run(struct query *query, struct plan *plan,
                   const struct engine_parameter *parameters, size_t parameter_count,
                   struct errinfo *info)
{
    if (query->plan != plan) {
        plan_unref(query->plan);
        atomic_fetch_add(&plan->references, 1);
        query->plan = plan;
    }
    if (query->state < QUERY_SECURED) {
        TRY(query_move(query, QUERY_SECURED, info));
    }
    if (query->state < QUERY_PLANNED) {
        TRY(query_move(query, QUERY_PLANNED, info));
    }
    if (query->state < QUERY_ADMITTED) {
        TRY(query_move(query, QUERY_ADMITTED, info));
    }
    TRY(start_engine(query, parameters, parameter_count, info));
    query->has_rows = true;
    return query_move(query, QUERY_RUNNING, info);
}

enum err query_run_text(struct query *query, struct slice text, struct errinfo *info)
{
    struct plan *plan CLEANUP(plan_cleanup) = NULL;
    TRY(plan_build(query->session, query, text, &plan, info));
    return query_run(query, plan, NULL, 0, info);
}

enum err query_run_rows(struct query *query, const struct relation_column *columns,
                        size_t column_count, struct slice json_lines, struct errinfo *info)
{
    struct plan *plan CLEANUP(plan_cleanup) = NULL;
    TRY(plan_rows(query->session, columns, column_count, json_lines, &plan, info));
    return query_run(query, plan, NULL, 0, info);
}

/* A text that is not what its kind says goes to the engine as it is, which then says so. */
static struct engine_parameter engine_value(const struct query_parameter *parameter)
{
    struct engine_parameter value = {.type = PARAMETER_TEXT, .text = parameter->text};
    char text[64];
    char *end = text;
    if (parameter->is_null) {
        value.type = PARAMETER_NULL;
    } else if (parameter->kind == QUERY_PARAMETER_INTEGER &&
               slice_to_i64(parameter->text, &value.integer)) {
        value.type = PARAMETER_I64;
    } else if (parameter->kind == QUERY_PARAMETER_REAL && parameter->text.len > 0 &&
               parameter->text.len < sizeof(text)) {
        memcpy(text, parameter->text.ptr, parameter->text.len);
        text[parameter->text.len] = '\0';
        value.real = strtod(text, &end);
        value.type = *end == '\0' ? PARAMETER_DOUBLE : PARAMETER_TEXT;
    } else if (parameter->kind == QUERY_PARAMETER_BOOLEAN &&
               (slice_equal(parameter->text, SLICE("true")) ||
                slice_equal(parameter->text, SLICE("false")))) {
        value.type = PARAMETER_BOOL;
        value.boolean = parameter->text.ptr[0] == 't';
    }
    return value;
}

/* Bytes of the values of a batch, near enough for a limit: 8 a cell, and the bytes of texts. */
static uint64_t batch_bytes(const struct ArrowArray *batch)
{
    uint64_t bytes = (uint64_t)batch->length * 8;
    if (batch->n_buffers == 3 && batch->length > 0 && batch->buffers[1] != NULL) {
        const int32_t *offsets = batch->buffers[1];
        bytes += (uint64_t)(offsets[batch->offset + batch->length] - offsets[batch->offset]);
    }
    for (int64_t i = 0; i < batch->n_children; i++) {
        bytes += batch_bytes(batch->children[i]);
    }
    return bytes;
}

static enum err check_limits(struct query *query, struct errinfo *info)
{
    if (query->rows_max != 0 && query->rows_out > query->rows_max) {
        (void)errinfo_set(info, ERR_LIMIT, "54000", "the result has more than %llu rows",
                          (unsigned long long)query->rows_max);
        errinfo_hint(info, "Add LIMIT, or raise query.rows_max.");
        return ERR_LIMIT;
    }
    if (query->bytes_max != 0 && query->bytes_out > query->bytes_max) {
        (void)errinfo_set(info, ERR_LIMIT, "54000", "the result is larger than %llu bytes",
                          (unsigned long long)query->bytes_max);
        errinfo_hint(info, "Select fewer rows or columns, or raise query.bytes_max.");
        return ERR_LIMIT;
    }
    return ERR_OK;
}

/* Releases the batch when it is too much. */
static enum err count_batch(struct query *query, struct ArrowArray *batch, struct errinfo *info)
{
    query->rows_out += (uint64_t)batch->length;
    atomic_store_explicit(&query->running.rows_out, query->rows_out, memory_order_relaxed);
    query->bytes_out += batch_bytes(batch);
    enum err err = check_limits(query, info);
    if (err != ERR_OK) {
        batch->release(batch);
        batch->release = NULL;
    }
    return err;
}

/* All of a life without the engine. What fails leaves no row: the record comes first. */
static enum err answer(struct query *query, struct errinfo *info)
{
    struct ArrowArray batch;
    query->has_rows = true;
    TRY(query_check_cancelled(query, info));
    TRY(query_move(query, QUERY_ADMITTED, info));
    TRY(query_move(query, QUERY_RUNNING, info));
    constant_batch(query->plan, &batch);
    enum err err = count_batch(query, &batch, info);
    if (err == ERR_OK) {
        batch.release(&batch);
        err = query_move(query, QUERY_DONE, info);
    }
    return err;
}

static enum err run_plan(struct query *query, struct plan *plan,
                         const struct query_parameter *parameters, size_t parameter_count,
                         struct errinfo *info)
{
    uint32_t wanted = plan->ast == NULL ? 0 : plan->ast->parameter_count;
    if (wanted != parameter_count) {
        (void)errinfo_set(info, ERR_INVALID, "08P01",
                          "the statement has %u parameter%s, %zu value%s given", wanted,
                          wanted == 1 ? "" : "s", parameter_count,
                          parameter_count == 1 ? " was" : "s were");
        errinfo_hint(info, "In SQL: PREPARE name AS the statement, then EXECUTE name (values).");
        return ERR_INVALID;
    }
    struct engine_parameter *values =
        arena_calloc(query->arena, parameter_count + 1, sizeof(*values));
    if (values == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < parameter_count; i++) {
        values[i] = engine_value(&parameters[i]);
    }
    if (query->is_answered) {
        return answer(query, info);
    }
    TRY(query_run(query, plan, values, parameter_count, info));
    return plan->is_constant ? constant_keep(query, info) : ERR_OK;
}

static enum err run_select(struct query *query, const struct query_parameter *parameters,
                           size_t parameter_count, struct errinfo *info)
{
    struct plan *plan CLEANUP(plan_cleanup) = NULL;
    bool is_signal;
    TRY(run_signal(query, parameters, parameter_count, &is_signal, info));
    if (is_signal) {
        return ERR_OK;
    }
    query->takes_constant = true;
    TRY(plan_build(query->session, query, query->statement, &plan, info));
    return run_plan(query, plan, parameters, parameter_count, info);
}

/* A text that was planned before was looked at before, and the store is as it was when the session
 * was renewed for this statement. */
static struct plan *find_plan(const struct query *query)
{
    struct session *session = query->session;
    struct plan *plan = NULL;
    if (query->statement.len <= config_bytes(session->config, CONFIG_SQL_STATEMENT_BYTES_MAX)) {
        plan = plan_find(session, query->statement, session->system_version);
    }
    if (plan != NULL && plan->tag == NULL) {
        plan_unref(TAKE(plan));
    }
    return plan;
}

static enum err run_found(struct query *query, struct plan *plan,
                          const struct query_parameter *parameters, size_t parameter_count,
                          struct errinfo *info)
{
    query->audit_statement = plan->audit_statement;
    query->fingerprint = plan->fingerprint;
    query->tag = plan->tag;
    query->takes_constant = true;
    TRY(plan_take(query, plan, info));
    clients_tell(&query->session->warehouse->clients, query);
    return run_plan(query, plan, parameters, parameter_count, info);
}

static enum err run_transaction(struct query *query, const struct statement *statement,
                                struct errinfo *info)
{
    const char *notice;
    query->is_ending = statement->transaction == TRANSACTION_COMMIT ||
                       statement->transaction == TRANSACTION_ROLLBACK;
    TRY(session_transaction(query->session, statement, &notice, &query->tag, info));
    if (notice != NULL) {
        (void)snprintf(query->notice, sizeof(query->notice), "%s", notice);
    }
    return ERR_OK;
}

static enum err run_refused(UNUSED struct query *query, const struct statement *statement,
                            struct errinfo *info)
{
    enum err err = statement->refused_hint == NULL ? ERR_DENIED : ERR_UNSUPPORTED;
    (void)errinfo_set(info, err, NULL, "%s is not a statement that Moat runs",
                      statement->refused_word);
    errinfo_hint(
        info, "%s",
        statement->refused_hint != NULL
            ? statement->refused_hint
            : "Files of registered tables are changed by what wrote them; tables of "
              "attached Iceberg catalogs are written with INSERT, UPDATE, DELETE and MERGE.");
    return err;
}

static const struct {
    statement_fn run; /* NULL: QUERY, which takes parameters */
    bool is_admin;
    bool is_final; /* no transaction block can take it back */
} dispatch[] = {
    [STATEMENT_QUERY] = {NULL, false, false},
    [STATEMENT_EXPLAIN] = {run_explain, false, false},
    [STATEMENT_DESCRIBE] = {run_describe, false, false},
    [STATEMENT_CREATE_TABLE] = {run_create_table, true, false},
    [STATEMENT_CREATE_VIEW] = {run_create_view, true, false},
    [STATEMENT_CREATE_TEMP] = {run_create_temp, false, false},
    [STATEMENT_CREATE_MANAGED] = {dml_create, false, false},
    [STATEMENT_INSERT] = {run_insert, false, false},
    [STATEMENT_UPDATE] = {run_update, false, false},
    [STATEMENT_DELETE] = {run_delete, false, false},
    [STATEMENT_MERGE] = {dml_merge, false, false},
    [STATEMENT_TRUNCATE] = {run_truncate, false, false},
    [STATEMENT_COMMENT] = {run_comment, true, false},
    [STATEMENT_CREATE_SCHEMA] = {run_create_schema, true, false},
    [STATEMENT_ALTER_SCHEMA] = {run_alter_schema, true, true},
    [STATEMENT_ATTACH] = {run_attach, true, true},
    [STATEMENT_DETACH] = {run_detach, true, true},
    [STATEMENT_DROP] = {run_drop, true, false},
    [STATEMENT_ALTER_TABLE] = {run_alter_table, true, false},
    [STATEMENT_CREATE_PRINCIPAL] = {run_create_principal, true, true},
    [STATEMENT_ALTER_USER] = {run_alter_user, true, true},
    [STATEMENT_ALTER_LIMITS] = {run_alter_limits, true, true},
    [STATEMENT_CREATE_API_KEY] = {run_create_api_key, true, true},
    [STATEMENT_REVOKE_API_KEY] = {run_revoke_api_key, true, true},
    [STATEMENT_GRANT] = {run_grant, true, false},
    [STATEMENT_REVOKE] = {run_revoke, true, false},
    [STATEMENT_GRANT_ROLE] = {run_grant_role, true, true},
    [STATEMENT_SHOW] = {run_show, false, false},
    [STATEMENT_CHECK_ACCESS] = {run_check_access, false, false},
    [STATEMENT_SET] = {run_set, false, false},
    [STATEMENT_USE] = {run_use, false, false},
    [STATEMENT_PREPARE] = {run_prepare, false, false},
    [STATEMENT_EXECUTE] = {run_execute, false, false},
    [STATEMENT_DEALLOCATE] = {run_deallocate, false, false},
    [STATEMENT_COPY] = {run_copy, false, true},
    [STATEMENT_COPY_IN] = {run_copy_in, false, false},
    [STATEMENT_CALL] = {maintain_call, true, true},
    [STATEMENT_TRANSACTION] = {run_transaction, true, false},
    [STATEMENT_REFUSED] = {run_refused, false, false},
};

static bool takes_values(enum statement_kind kind)
{
    return kind == STATEMENT_INSERT || kind == STATEMENT_UPDATE || kind == STATEMENT_DELETE ||
           kind == STATEMENT_MERGE;
}

static enum err run_statement(struct query *query, const struct query_parameter *parameters,
                              size_t parameter_count, struct errinfo *info)
{
    const struct config *config = query->session->config;
    struct plan *plan CLEANUP(plan_cleanup) = find_plan(query);
    if (plan != NULL) {
        return run_found(query, plan, parameters, parameter_count, info);
    }
    TRY(sql_check_text(query->statement, config_bytes(config, CONFIG_SQL_STATEMENT_BYTES_MAX),
                       info));
    struct statement statement;
    TRY(statement_redact(query->statement, query->arena, &query->audit_statement, info));
    TRY(statement_parse(query->statement, query->arena, &statement, info));
    TRY(statement_fingerprint(query->statement, &query->fingerprint, info));
    query->tag = statement.tag;
    query->is_admin = dispatch[statement.kind].is_admin;
    clients_tell(&query->session->warehouse->clients, query);
    TRY(session_check_block(query->session, &statement, info));
    if (statement.kind != STATEMENT_TRANSACTION) { /* which ends the block, whatever happens */
        TRY(session_refresh_block(query->session, info));
    }
    if (dispatch[statement.kind].is_final) {
        TRY(session_refuse_in_block(query->session, info));
    }
    if (dispatch[statement.kind].run == NULL) {
        return run_select(query, parameters, parameter_count, info);
    }
    bool is_bound = parameter_count != 0 && takes_values(statement.kind);
    if (parameter_count != 0 && !is_bound) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL, "%s takes no parameters", statement.tag);
    }
    if (is_bound) {
        struct slice text;
        TRY(change_bind(query->statement, parameters, parameter_count,
                        config_bytes(config, CONFIG_SQL_STATEMENT_BYTES_MAX), query->arena, &text,
                        info));
        TRY(statement_parse(text, query->arena, &statement, info));
    }
    if (query->is_admin) {
        TRY(query_move(query, QUERY_SECURED, info));
    }
    enum err err = dispatch[statement.kind].run(query, &statement, info);
    if (err == ERR_NOT_FOUND && strcmp(info->sqlstate, "42704") == 0) {
        query_explain_principal(query, info);
    }
    TRY(err);
    if (!query->has_rows && query->state < QUERY_SECURED) {
        TRY(query_move(query, QUERY_SECURED, info));
    }
    return ERR_OK;
}

/* ---- life ---- */

static bool is_query_cancelled(void *context)
{
    return query_check_cancelled(context, NULL) != ERR_OK;
}

static enum err query_new(struct session *session, struct slice statement, struct query **ret_query,
                          struct errinfo *info)
{
    const struct config *config = session->config;
    struct query *query = mem_calloc(1, sizeof(*query));
    struct arena *arena = arena_new(NULL, "query", QUERY_ARENA_BYTES_MAX);
    if (query == NULL || arena == NULL || uuid_new(query->id) != ERR_OK) {
        arena_free(arena);
        mem_free(query);
        return errinfo_nomem(info);
    }
    query->session = session;
    query->arena = arena;
    query->tag = "";
    query->cancellation = (struct cancellation){is_query_cancelled, query};
    query->statement = statement;
    query->audit_statement = SLICE("(not parsed)");
    query->rows_max = (uint64_t)config_integer(config, CONFIG_QUERY_ROWS_MAX);
    query->bytes_max = config_bytes(config, CONFIG_QUERY_BYTES_MAX);
    query->entered_us[QUERY_RECEIVED] = clock_mono_us();
    memcpy(query->sqlstate, "00000", sizeof(query->sqlstate));
    int64_t timeout_ms = config_duration_ms(config, CONFIG_QUERY_TIMEOUT);
    query->deadline_us =
        timeout_ms == 0 ? 0 : query->entered_us[QUERY_RECEIVED] + timeout_ms * 1000;
    *ret_query = query;
    return ERR_OK;
}

static void query_free(struct query *query)
{
    struct session *session = query->session;
    clients_remove(&session->warehouse->clients, query);
    pthread_mutex_lock(&session->lock);
    session->query = NULL;
    if (!atomic_load(&session->is_stopped)) {
        engine_session_ready(session->engine); /* a cancel was for this query */
    }
    pthread_mutex_unlock(&session->lock);
    if (query->pulled.release != NULL) {
        query->pulled.release(&query->pulled);
    }
    copy_in_free(query->copy_in);
    access_close(query->returning_access);
    plan_unref(query->returning);
    plan_unref(query->plan);
    temp_set_unref(query->temps_before);
    arena_free(query->arena);
    mem_free(query);
}

/* Cancelled or failed, with the SQLSTATE that the person gets. */
static void query_fail(struct query *query, enum err err, const struct errinfo *info)
{
    copy_in_end(query->copy_in);
    if (info != NULL && !query->is_ending) { /* not of one that was closed before its end */
        session_fail_block(query->session);
    }
    if (info != NULL && query->may_change_temps) {
        session_restore_temps(query->session, query->temps_before);
    }
    bool is_cancel = err == ERR_CANCELLED || err == ERR_TIMEOUT;
    const char *sqlstate =
        info != NULL && info->code != ERR_OK ? info->sqlstate : err_sqlstate(err);
    memcpy(query->sqlstate, sqlstate, sizeof(query->sqlstate));
    enum err ignored = query_move(query, is_cancel ? QUERY_CANCELLED : QUERY_FAILED, NULL);
    (void)ignored; /* the end states' side effects report their own trouble */
}

static enum err check_session(struct session *session, struct errinfo *info)
{
    if (session->query != NULL) {
        return errinfo_set(info, ERR_BUSY, "55006", "the session has a query open already");
    }
    return session_check(session, info);
}

enum err query_open(struct session *session, struct slice statement,
                    const struct query_parameter *parameters, size_t parameter_count,
                    struct query **ret_query, struct errinfo *info)
{
    struct errinfo local;
    info = info != NULL ? info : &local;
    errinfo_init(info);
    TRY(check_session(session, info));
    bool is_worth_a_record = false;
    enum err rate = admission_check_rate(session, &is_worth_a_record, info);
    if (rate != ERR_OK && !is_worth_a_record) {
        return rate;
    }
    struct query *query;
    TRY(query_new(session, statement, &query, info));
    pthread_mutex_lock(&session->lock);
    session->query = query;
    pthread_mutex_unlock(&session->lock);
    clients_add(&session->warehouse->clients, query);
    watchdog_add(session->warehouse->watchdog, query);
    const struct cancellation *before = cancellation_enter(&query->cancellation);
    enum err err = rate != ERR_OK ? rate : query_check_cancelled(query, info);
    err = err != ERR_OK ? err : run_statement(query, parameters, parameter_count, info);
    (void)cancellation_enter(before);
    if (err == ERR_OK && !query->has_rows && query->copy_in == NULL) {
        err = query_move(query, QUERY_DONE, info);
    }
    if (err != ERR_OK) {
        bool is_stopped = err == ERR_ENGINE || err == ERR_CANCELLED;
        if (is_stopped && query_check_cancelled(query, NULL) != ERR_OK) {
            err = query_check_cancelled(query, info);
        }
        query_fail(query, err, info);
        query_free(query);
        return err;
    }
    query_touch(query);
    *ret_query = query;
    return ERR_OK;
}

bool query_has_rows(const struct query *query)
{
    return query->has_rows;
}

const char *query_tag(const struct query *query)
{
    return query->tag;
}

const char *query_notice(const struct query *query)
{
    return query->notice;
}

struct slice query_id(const struct query *query)
{
    return slice_of(query->id);
}

uint64_t query_rows(const struct query *query)
{
    return query->rows_out;
}

static const struct constant *constant_of(const struct query *query)
{
    bool has_one = query->takes_constant && query->plan != NULL;
    return has_one ? atomic_load(&query->plan->constant) : NULL;
}

size_t query_column_count(const struct query *query)
{
    if (query->is_answered) {
        return constant_column_count(constant_of(query));
    }
    return query->engine == NULL ? 0 : engine_query_column_count(query->engine);
}

struct query_column query_column(const struct query *query, size_t index)
{
    if (query->is_answered) {
        return constant_column(constant_of(query), index);
    }
    struct engine_column column = engine_query_column(query->engine, index);
    return (struct query_column){column.name, column.type};
}

enum err query_schema(struct query *query, struct ArrowSchema *ret_schema, struct errinfo *info)
{
    ASSERT(query->has_rows && (query->is_answered || !query_state_is_final(query->state)));
    if (query->is_answered) {
        constant_schema(query->plan, ret_schema);
        return ERR_OK;
    }
    return engine_query_schema(query->engine, ret_schema, info);
}

enum err query_pull(struct query *query, struct ArrowArray *out, struct errinfo *info)
{
    TRY(query_check_cancelled(query, info));
    enum err err = engine_query_next(query->engine, out, info);
    if (err == ERR_CANCELLED || (err != ERR_OK && query_check_cancelled(query, NULL) != ERR_OK)) {
        enum err why = query_check_cancelled(query, info);
        return why != ERR_OK ? why : err;
    }
    if (err != ERR_OK && files_explain(query, info)) {
        return ERR_INVALID;
    }
    if (err != ERR_OK) {
        query_clean_error(query, false, info);
        files_polish(query, info);
        return err;
    }
    return out->release == NULL ? ERR_OK : count_batch(query, out, info);
}

/* What is there without asking the engine: rows of a constant, once; what was pulled to look. */
static bool take_pulled(struct query *query, struct ArrowArray *ret_batch)
{
    if (query->pulled.release != NULL) {
        *ret_batch = query->pulled;
        query->pulled.release = NULL;
        return true;
    }
    if (constant_of(query) == NULL || query->is_given) {
        return constant_of(query) != NULL;
    }
    query->is_given = true;
    constant_batch(query->plan, ret_batch);
    return true;
}

void query_touch(struct query *query)
{
    atomic_store(&query->running.idle_since_us, clock_mono_coarse_us());
}

/* Moves on, and pulls. */
static enum err next_batch(struct query *query, struct ArrowArray *ret_batch, struct errinfo *info)
{
    ASSERT(query->has_rows && !query_state_is_final(query->state));
    if (query->state == QUERY_RUNNING) {
        TRY(query_move(query, QUERY_STREAMING, info));
    }
    struct ArrowArray batch = {0};
    enum err err = take_pulled(query, &batch) ? ERR_OK : query_pull(query, &batch, info);
    if (err != ERR_OK) {
        query_fail(query, err, info);
        return err;
    }
    if (batch.release == NULL) {
        TRY(query_move(query, QUERY_DONE, info));
    }
    *ret_batch = batch;
    return ERR_OK;
}

enum err query_next(struct query *query, struct ArrowArray *ret_batch, struct errinfo *info)
{
    struct errinfo local;
    if (query->is_answered) { /* all but its rows is done */
        *ret_batch = (struct ArrowArray){0};
        (void)take_pulled(query, ret_batch);
        return ERR_OK;
    }
    atomic_store(&query->running.idle_since_us, 0);
    const struct cancellation *before = cancellation_enter(&query->cancellation);
    enum err err = next_batch(query, ret_batch, info != NULL ? info : &local);
    (void)cancellation_enter(before);
    query_touch(query);
    return err;
}

/* ---- rows in ---- */

bool query_takes_rows(const struct query *query)
{
    return query->copy_in != NULL;
}

/* What fails ends the query; a cancel is told as such, whatever broke first. */
static enum err end_push(struct query *query, enum err err, struct errinfo *info)
{
    if (err == ERR_OK) {
        return ERR_OK;
    }
    copy_in_end(query->copy_in);
    if (query_check_cancelled(query, NULL) != ERR_OK) {
        err = query_check_cancelled(query, info);
    }
    query_fail(query, err, info);
    return err;
}

enum err query_push_begin(struct query *query, struct ArrowSchema *schema, struct errinfo *info)
{
    struct errinfo local;
    info = info != NULL ? info : &local;
    enum err err = copy_in_begin(query, schema, info);
    query_touch(query);
    return end_push(query, err, info);
}

enum err query_push(struct query *query, struct ArrowArray *batch, struct errinfo *info)
{
    struct errinfo local;
    info = info != NULL ? info : &local;
    atomic_store(&query->running.idle_since_us, 0);
    enum err err = copy_in_push(query, batch, info);
    query_touch(query);
    return end_push(query, err, info);
}

enum err query_push_end(struct query *query, struct errinfo *info)
{
    struct errinfo local;
    info = info != NULL ? info : &local;
    atomic_store(&query->running.idle_since_us, 0);
    enum err err = session_check(query->session, info);
    if (err == ERR_OK) {
        err = copy_in_finish(query, info);
    }
    if (err == ERR_OK) {
        err = query_move(query, QUERY_DONE, info);
    }
    return end_push(query, err, info);
}

void query_push_fail(struct query *query, const struct errinfo *why)
{
    if (!query_state_is_final(query->state)) {
        query_fail(query, why->code, why);
    }
}

void query_close(struct query *query)
{
    if (query == NULL) {
        return;
    }
    if (!query_state_is_final(query->state)) {
        query_fail(query, ERR_CANCELLED, NULL);
    }
    query_free(query);
}
