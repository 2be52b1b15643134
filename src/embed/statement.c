/* Statements, what is bound to them, and moat_query and moat_copy_in, which need none. */
#include "base/arena.h"
#include "base/mem.h"
#include "embed/embed_int.h"

#define PARAMETERS_MAX 10000u

/* ---- life ---- */

static void statement_free(struct moat_statement *statement)
{
    struct moat_session *session = statement->session;
    for (size_t i = 0; i < statement->parameter_count; i++) {
        mem_free((void *)(uintptr_t)statement->parameters[i].text.ptr);
    }
    mem_free(statement->parameters);
    mem_free(statement->is_bound);
    embed__rows_fini(statement->rows);
    mem_free(statement->rows);
    mem_free(statement->sql);
    mem_free(statement);
    embed__session_unref(session);
}
DEFINE_CLEANUP(struct moat_statement, statement_cleanup, statement_free)

static enum err prepare(struct moat_session *session, const char *sql,
                        struct moat_statement **ret_statement, struct errinfo *info)
{
    struct moat_statement *made = mem_calloc(1, sizeof(*made));
    if (made == NULL) {
        return errinfo_nomem(info);
    }
    embed__session_ref(session);
    made->session = session;
    struct moat_statement *statement CLEANUP(statement_cleanup) = made;
    statement->sql = mem_strdup(sql == NULL ? "" : sql);
    if (statement->sql == NULL) {
        return errinfo_nomem(info);
    }
    *ret_statement = TAKE(statement);
    return ERR_OK;
}

enum moat_status moat_prepare(struct moat_session *session, const char *sql,
                              struct moat_statement **ret_statement, struct moat_error *error)
{
    struct errinfo info;
    struct moat_statement *statement;
    errinfo_init(&info);
    enum err err = embed__session_check(session, &info);
    err = err != ERR_OK ? err : prepare(session, sql, &statement, &info);
    if (err == ERR_OK) {
        *ret_statement = statement;
    }
    return embed__status(err, &info, error);
}

void moat_statement_close(struct moat_statement *statement)
{
    if (statement == NULL) {
        return;
    }
    struct moat_session *session = statement->session;
    embed__session_ref(session); /* whose turn it is */
    {
        TURN(session);
        (void)pthread_mutex_lock(&session->lock);
        if (statement->run != NULL) {
            statement->run->statement = NULL;
        }
        pthread_mutex_unlock(&session->lock);
        statement_free(statement);
    }
    embed__session_unref(session);
}

void moat_statement_cancel(struct moat_statement *statement)
{
    struct moat_session *session = statement->session;
    (void)pthread_mutex_lock(&session->lock);
    if (statement->run != NULL) {
        session_cancel(statement->run->on);
    }
    pthread_mutex_unlock(&session->lock);
}

const char *moat_statement_tag(const struct moat_statement *statement)
{
    return statement->tag;
}

/* ---- what it would give and need ---- */

static enum err make_schema(const struct query_column *columns, const struct slice *types,
                            size_t count, struct ArrowSchema *ret_schema, struct errinfo *info)
{
    struct ArrowSchema schema;
    TRY(embed__schema_new("+s", SLICE(""), count, &schema, info));
    for (size_t i = 0; i < count; i++) {
        char number[24];
        (void)snprintf(number, sizeof(number), "%zu", i + 1);
        struct slice name = columns != NULL ? columns[i].name : slice_of(number);
        struct slice type = columns != NULL ? columns[i].type : types[i];
        enum err err = embed__schema_of_type(type, name, schema.children[i], info);
        if (err != ERR_OK) {
            schema.release(&schema);
            return err;
        }
    }
    *ret_schema = schema;
    return ERR_OK;
}

static enum err describe(struct moat_statement *statement, bool is_columns,
                         struct ArrowSchema *ret_schema, struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "describe", 0);
    struct moat_session *session = statement->session;
    struct session *fork CLEANUP(session_cleanup) = NULL;
    struct query_column *columns = NULL;
    struct slice *types = NULL;
    size_t column_count = 0;
    size_t type_count = 0;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(embed__session_check(session, info));
    if (session->is_main_busy) {
        TRY(session_fork(session->main, &fork, info));
    }
    TRY(session_describe(fork != NULL ? fork : session->main, slice_of(statement->sql), arena,
                         &columns, &column_count, &types, &type_count, info));
    return is_columns ? make_schema(columns, NULL, column_count, ret_schema, info)
                      : make_schema(NULL, types, type_count, ret_schema, info);
}

static enum moat_status describe_as(struct moat_statement *statement, bool is_columns,
                                    struct ArrowSchema *ret_schema, struct moat_error *error)
{
    struct errinfo info;
    errinfo_init(&info);
    TURN(statement->session);
    return embed__status(describe(statement, is_columns, ret_schema, &info), &info, error);
}

enum moat_status moat_statement_columns(struct moat_statement *statement,
                                        struct ArrowSchema *ret_schema, struct moat_error *error)
{
    return describe_as(statement, true, ret_schema, error);
}

enum moat_status moat_statement_parameters(struct moat_statement *statement,
                                           struct ArrowSchema *ret_schema, struct moat_error *error)
{
    return describe_as(statement, false, ret_schema, error);
}

/* ---- binding ---- */

static enum err grow(struct moat_statement *statement, size_t count, struct errinfo *info)
{
    if (count > PARAMETERS_MAX) {
        return errinfo_set(info, ERR_LIMIT, NULL, "a statement has at most %u parameters",
                           PARAMETERS_MAX);
    }
    if (count <= statement->parameter_count) {
        return ERR_OK;
    }
    void *parameters = mem_realloc(statement->parameters, count * sizeof(*statement->parameters));
    if (parameters == NULL) {
        return errinfo_nomem(info);
    }
    statement->parameters = parameters;
    bool *is_bound = mem_realloc(statement->is_bound, count * sizeof(*is_bound));
    if (is_bound == NULL) {
        return errinfo_nomem(info);
    }
    statement->is_bound = is_bound;
    for (size_t i = statement->parameter_count; i < count; i++) {
        statement->parameters[i] = (struct query_parameter){0};
        is_bound[i] = false;
    }
    statement->parameter_count = count;
    return ERR_OK;
}

static enum err bind(struct moat_statement *statement, size_t index,
                     const struct query_parameter *value, struct errinfo *info)
{
    if (index == 0) {
        return errinfo_set(info, ERR_INVALID, "22023", "parameters are counted from 1");
    }
    TRY(grow(statement, index, info));
    char *text = mem_slicedup(value->text);
    if (text == NULL) {
        return errinfo_nomem(info);
    }
    struct query_parameter *to = &statement->parameters[index - 1];
    mem_free((void *)(uintptr_t)to->text.ptr);
    *to = *value;
    to->text.ptr = text;
    statement->is_bound[index - 1] = true;
    return ERR_OK;
}

static enum moat_status bind_as(struct moat_statement *statement, size_t index,
                                const struct query_parameter *value, struct moat_error *error)
{
    struct errinfo info;
    errinfo_init(&info);
    TURN(statement->session);
    return embed__status(bind(statement, index, value, &info), &info, error);
}

enum moat_status moat_bind_null(struct moat_statement *statement, size_t index,
                                struct moat_error *error)
{
    return bind_as(statement, index, &(struct query_parameter){.is_null = true}, error);
}

enum moat_status moat_bind_bool(struct moat_statement *statement, size_t index, bool value,
                                struct moat_error *error)
{
    const struct query_parameter parameter = {.text = value ? SLICE("true") : SLICE("false"),
                                              .kind = QUERY_PARAMETER_BOOLEAN};
    return bind_as(statement, index, &parameter, error);
}

enum moat_status moat_bind_int64(struct moat_statement *statement, size_t index, int64_t value,
                                 struct moat_error *error)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%lld", (long long)value);
    const struct query_parameter parameter = {.text = slice_of(text),
                                              .kind = QUERY_PARAMETER_INTEGER};
    return bind_as(statement, index, &parameter, error);
}

enum moat_status moat_bind_double(struct moat_statement *statement, size_t index, double value,
                                  struct moat_error *error)
{
    char text[40];
    (void)snprintf(text, sizeof(text), "%.17g", value);
    const struct query_parameter parameter = {.text = slice_of(text), .kind = QUERY_PARAMETER_REAL};
    return bind_as(statement, index, &parameter, error);
}

enum moat_status moat_bind_text(struct moat_statement *statement, size_t index, const char *text,
                                size_t len, struct moat_error *error)
{
    const struct query_parameter parameter = {.text = len == SIZE_MAX ? slice_of(text)
                                                                      : (struct slice){text, len}};
    return bind_as(statement, index, &parameter, error);
}

enum moat_status moat_bind_bytes(struct moat_statement *statement, size_t index, const void *bytes,
                                 size_t len, struct moat_error *error)
{
    struct errinfo info;
    struct buf text CLEANUP(buf_fini) = {0};
    for (size_t i = 0; i < len; i++) {
        buf_printf(&text, "\\x%02x", ((const unsigned char *)bytes)[i]);
    }
    if (buf_failed(&text)) {
        return embed__status(errinfo_nomem(&info), &info, error);
    }
    return bind_as(statement, index, &(struct query_parameter){.text = buf_slice(&text)}, error);
}

static void clear_rows(struct moat_statement *statement)
{
    embed__rows_fini(statement->rows);
    mem_free(statement->rows);
    statement->rows = NULL;
}

/* One of `array` (with its schema) and `stream` is given. */
static enum err bind_rows(struct moat_statement *statement, struct ArrowSchema *schema,
                          struct ArrowArray *array, struct ArrowArrayStream *stream,
                          struct errinfo *info)
{
    struct embed_rows *rows = mem_calloc(1, sizeof(*rows));
    if (rows == NULL) {
        struct embed_rows unused = {.stream =
                                        stream != NULL ? *stream : (struct ArrowArrayStream){0}};
        if (stream == NULL) {
            unused.schema = *schema;
            unused.batch = *array;
        }
        embed__rows_fini(&unused);
        return errinfo_nomem(info);
    }
    clear_rows(statement);
    statement->rows = rows;
    enum err err = stream != NULL ? embed__rows_of_stream(rows, stream, info)
                                  : embed__rows_of_array(rows, schema, array, info);
    if (err != ERR_OK) {
        clear_rows(statement);
    }
    return err;
}

enum moat_status moat_bind_arrow(struct moat_statement *statement, struct ArrowSchema *schema,
                                 struct ArrowArray *rows, struct moat_error *error)
{
    struct errinfo info;
    errinfo_init(&info);
    TURN(statement->session);
    return embed__status(bind_rows(statement, schema, rows, NULL, &info), &info, error);
}

enum moat_status moat_bind_stream(struct moat_statement *statement, struct ArrowArrayStream *rows,
                                  struct moat_error *error)
{
    struct errinfo info;
    errinfo_init(&info);
    TURN(statement->session);
    return embed__status(bind_rows(statement, NULL, NULL, rows, &info), &info, error);
}

void moat_clear_bindings(struct moat_statement *statement)
{
    TURN(statement->session);
    for (size_t i = 0; i < statement->parameter_count; i++) {
        mem_free((void *)(uintptr_t)statement->parameters[i].text.ptr);
    }
    statement->parameter_count = 0;
    clear_rows(statement);
}

/* ---- executing ---- */

static enum err execute(struct moat_statement *statement, struct ArrowArrayStream *ret_rows,
                        int64_t *ret_affected, struct errinfo *info)
{
    struct embed_run *run CLEANUP(embed__run_cleanup) = NULL;
    TRY(embed__run_open(statement, &run, info));
    while (ret_rows == NULL && run->query != NULL) {
        struct ArrowArray batch = {0};
        TRY(embed__run_next(run, &batch, info));
        if (batch.release != NULL) {
            batch.release(&batch);
        }
    }
    if (ret_affected != NULL) {
        *ret_affected = run->affected;
    }
    if (ret_rows != NULL) {
        embed__run_stream(TAKE(run), ret_rows);
    }
    return ERR_OK;
}

enum moat_status moat_execute(struct moat_statement *statement, struct ArrowArrayStream *ret_rows,
                              int64_t *ret_rows_affected, struct moat_error *error)
{
    struct errinfo info;
    errinfo_init(&info);
    TURN(statement->session);
    return embed__status(execute(statement, ret_rows, ret_rows_affected, &info), &info, error);
}

enum moat_status moat_query(struct moat_session *session, const char *sql,
                            struct ArrowArrayStream *ret_rows, int64_t *ret_rows_affected,
                            struct moat_error *error)
{
    struct moat_statement *statement;
    enum moat_status status = moat_prepare(session, sql, &statement, error);
    if (status == MOAT_OK) {
        status = moat_execute(statement, ret_rows, ret_rows_affected, error);
        moat_statement_close(statement);
    }
    return status;
}

bool moat_stream_error(const struct ArrowArrayStream *rows, struct moat_error *ret_error)
{
    const struct embed_run *run = embed__run_of(rows);
    if (run == NULL || run->err == ERR_OK) {
        return false;
    }
    embed__error(&run->info, ret_error);
    return true;
}
