/* COPY t FROM STDIN into a temporary table.
 *
 * The rows come from outside, whenever they come, and the engine asks for them, whenever it wants
 * them: so the engine's side has a thread of its own, and between the two are a few batches, which
 * is all of the input that is in memory. Who pushes waits for room, the engine for batches; a
 * cancel, an error and the end wake both. The table gets the file when all of it is written. */
#include "base/hash.h"
#include "base/mem.h"
#include "query/plan/plan_int.h"
#include "query/temp/change_int.h"
#include "sql/scan.h"

#define BATCHES_MAX 2
#define BAD_VALUE_BYTES 400 /* 100 characters of UTF-8 */

struct copy_in {
    struct query *query;
    struct temp_table *table; /* held */
    size_t *targets;          /* columns of the table, in the order of the values */
    size_t target_count;
    struct temp_file *file;
    struct ArrowSchema schema;
    struct engine_rows rows;
    struct buf sql;
    char marker[UUID_TEXT_BYTES]; /* how the engine's words about a bad value begin */
    pthread_t thread;
    bool has_thread;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct ArrowArray batches[BATCHES_MAX];
    size_t first, count;
    bool is_whole;   /* no more batches will come */
    bool is_stopped; /* no more are wanted */
    bool is_done;    /* the engine's side has ended */
    /* the thread's, until it was joined */
    enum err err;
    struct errinfo info;
    bool has_bad_value;
    uint64_t bad_line;
    size_t bad_target;
    char bad_value[BAD_VALUE_BYTES + 1];
};

/* ---- the statement ---- */

static enum err not_writable(const struct query *query, const struct statement *statement,
                             struct errinfo *info)
{
    (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                      "\"%.*s\" cannot be written with COPY FROM: it is no temporary table",
                      SLICE_ARGS(statement->name.name));
    errinfo_hint(info, "Registered files are changed by what wrote them; CREATE TEMP TABLE makes a "
                       "table of this session, CREATE EXTERNAL TABLE registers new files.");
    errinfo_position(info, statement_position(query->statement, statement->name.name));
    return ERR_UNSUPPORTED;
}

static enum err find_target(const struct copy_in *copy, struct slice name, size_t *ret_at,
                            struct errinfo *info)
{
    const struct temp_table *table = copy->table;
    size_t at = 0;
    while (at < table->column_count && !slice_equal_fold(table->columns[at].name, name)) {
        at++;
    }
    if (at == table->column_count) {
        return errinfo_set(info, ERR_NOT_FOUND, "42703",
                           "column \"%.*s\" of relation \"%.*s\" does not exist", SLICE_ARGS(name),
                           SLICE_ARGS(table->name));
    }
    for (size_t i = 0; i < copy->target_count; i++) {
        if (copy->targets[i] == at) {
            return errinfo_set(info, ERR_EXISTS, "42701",
                               "column \"%.*s\" specified more than once", SLICE_ARGS(name));
        }
    }
    *ret_at = at;
    return ERR_OK;
}

static enum err find_targets(struct copy_in *copy, const struct statement *statement,
                             struct errinfo *info)
{
    bool is_all = statement->column_count == 0;
    size_t count = is_all ? copy->table->column_count : statement->column_count;
    copy->targets = arena_calloc(copy->query->arena, count + 1, sizeof(*copy->targets));
    if (copy->targets == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        size_t at = i;
        TRY(is_all ? ERR_OK : find_target(copy, statement->columns[i], &at, info));
        copy->targets[i] = at;
        copy->target_count = i + 1;
    }
    return ERR_OK;
}

static struct copy_in *copy_in_new(struct query *query)
{
    struct copy_in *copy = mem_calloc(1, sizeof(*copy));
    if (copy != NULL) {
        copy->query = query;
        pthread_mutex_init(&copy->lock, NULL);
        pthread_cond_init(&copy->changed, NULL);
        pthread_mutex_lock(&query->session->lock);
        query->copy_in = copy;
        pthread_mutex_unlock(&query->session->lock);
    }
    return copy;
}

/* Reads nothing but what it is given: what is planned and audited is a SELECT without a table. */
enum err run_copy_in(struct query *query, const struct statement *statement, struct errinfo *info)
{
    struct plan *plan CLEANUP(plan_cleanup) = NULL;
    struct session *session = query->session;
    struct temp_table *table = session_temp(session, &statement->name);
    bool is_pushed = session->protocol == SESSION_POSTGRES || session->protocol == SESSION_FLIGHT ||
                     session->protocol == SESSION_LIBRARY;
    if (!is_pushed) {
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                          "COPY FROM STDIN needs a client of the PostgreSQL protocol");
        errinfo_hint(info, "Register the file with CREATE EXTERNAL TABLE, and read that.");
        return ERR_UNSUPPORTED;
    }
    if (table == NULL) {
        return not_writable(query, statement, info);
    }
    struct copy_in *copy = copy_in_new(query);
    if (copy == NULL || uuid_new(copy->marker) != ERR_OK) {
        return errinfo_nomem(info);
    }
    copy->table = temp_table_ref(table);
    TRY(find_targets(copy, statement, info));
    TRY(plan_build(session, query, SLICE("SELECT 1"), &plan, info));
    return query_move(query, QUERY_ADMITTED, info);
}

size_t query_target_count(const struct query *query)
{
    return query->copy_in->target_count;
}

struct query_column query_target(const struct query *query, size_t index)
{
    const struct copy_in *copy = query->copy_in;
    ASSERT(index < copy->target_count);
    const struct relation_column *column = &copy->table->columns[copy->targets[index]];
    return (struct query_column){column->name, column->type};
}

/* ---- what the engine runs ---- */

/* A text that is no value of the type is an error that says where it stood: only the engine knows
 * its texts, only who sent them knows the lines. (TRY_CAST of a list makes a NULL of each bad
 * element.) */
static void write_conversion(const struct copy_in *copy, size_t target, struct slice type,
                             struct buf *out)
{
    bool is_list = slice_ends_with(type, SLICE("[]"));
    buf_printf(out, "COALESCE(%s(c%zu AS %.*s)%s, CASE WHEN c%zu IS NOT NULL THEN error('%s ' ",
               is_list ? "TRY(CAST" : "TRY_CAST", target, SLICE_ARGS(type), is_list ? ")" : "",
               target, copy->marker);
    buf_printf(out, "|| line || ' %zu ' || left(c%zu, 100)) END)", target, target);
}

static void write_value(const struct copy_in *copy, size_t column, struct buf *out)
{
    const struct relation_column *own = &copy->table->columns[column];
    bool as_text = false;
    size_t target = 0;
    ASSERT(temp_keeps_type(own->type, &as_text));
    while (target < copy->target_count && copy->targets[target] != column) {
        target++;
    }
    bool is_given = target < copy->target_count;
    bool is_text = is_given && strcmp(copy->schema.children[target + 1]->format, "u") == 0;
    buf_append_str(out, as_text ? "CAST(" : "");
    if (is_text && !slice_equal(own->type, SLICE("VARCHAR"))) {
        write_conversion(copy, target, own->type, out);
    } else if (is_given) {
        buf_printf(out, "CAST(c%zu AS %.*s)", target, SLICE_ARGS(own->type));
    } else {
        buf_printf(out, "CAST(NULL AS %.*s)", SLICE_ARGS(own->type));
    }
    buf_append_str(out, as_text ? " AS VARCHAR) AS " : " AS ");
    sql_quote_name(out, own->name);
}

static enum err write_sql(struct copy_in *copy, struct errinfo *info)
{
    const struct access *access = copy->query->access;
    struct buf *out = &copy->sql;
    struct buf uri CLEANUP(buf_fini) = {0};
    buf_append_str(out, "COPY (SELECT ");
    for (size_t i = 0; i < copy->table->column_count; i++) {
        buf_append_str(out, i == 0 ? "" : ", ");
        write_value(copy, i, out);
    }
    buf_append_str(out, " FROM moat_rows(");
    access_rows_uri(access, &uri);
    sql_quote_string(out, buf_slice(&uri));
    buf_append_str(out, ") AS r(line");
    for (size_t i = 0; i < copy->target_count; i++) {
        buf_printf(out, ", c%zu", i);
    }
    buf_append_str(out, ")) TO ");
    buf_reset(&uri);
    access_sink_uri(access, &uri);
    sql_quote_string(out, buf_slice(&uri));
    buf_append_str(out, " (FORMAT parquet, COMPRESSION lz4_raw)");
    return buf_failed(out) || buf_failed(&uri) ? errinfo_nomem(info) : ERR_OK;
}

/* "<marker> <line> <target> <value>" */
static void take_bad_value(struct copy_in *copy)
{
    const char *at = strstr(copy->info.message, copy->marker);
    char *end;
    if (at == NULL) {
        return;
    }
    copy->bad_line = strtoull(at + strlen(copy->marker), &end, 10);
    copy->bad_target = strtoull(end, &end, 10);
    copy->has_bad_value = *end == ' ' && copy->bad_target < copy->target_count;
    (void)snprintf(copy->bad_value, sizeof(copy->bad_value), "%s", *end == ' ' ? end + 1 : "");
    (void)errinfo_set(&copy->info, ERR_INVALID, "22P02", "a value of COPY cannot be converted");
}

static void *run_engine(void *context)
{
    struct copy_in *copy = context;
    copy->err = run_copy_to_end(copy->query, buf_slice(&copy->sql), &copy->info);
    if (copy->err != ERR_OK) {
        take_bad_value(copy);
    }
    pthread_mutex_lock(&copy->lock);
    copy->is_stopped = copy->is_done = true;
    pthread_cond_broadcast(&copy->changed);
    pthread_mutex_unlock(&copy->lock);
    return NULL;
}

/* ---- from one side to the other ---- */

static enum err next_batch(void *context, struct ArrowArray *ret_batch, struct errinfo *info)
{
    struct copy_in *copy = context;
    struct ArrowArray batch = {0};
    pthread_mutex_lock(&copy->lock);
    while (copy->count == 0 && !copy->is_whole && !copy->is_stopped) {
        pthread_cond_wait(&copy->changed, &copy->lock);
    }
    bool is_stopped = copy->is_stopped;
    if (!is_stopped && copy->count > 0) {
        batch = copy->batches[copy->first];
        copy->first = (copy->first + 1) % BATCHES_MAX;
        copy->count--;
        pthread_cond_broadcast(&copy->changed);
    }
    pthread_mutex_unlock(&copy->lock);
    if (is_stopped) {
        return errinfo_set(info, ERR_CANCELLED, NULL, "the statement was cancelled");
    }
    *ret_batch = batch;
    return ERR_OK;
}

enum err copy_in_begin(struct query *query, struct ArrowSchema *schema, struct errinfo *info)
{
    struct copy_in *copy = query->copy_in;
    struct session *session = query->session;
    uint64_t bytes_max;
    copy->schema = *schema;
    schema->release = NULL;
    ASSERT(copy->schema.n_children == (int64_t)copy->target_count + 1);
    copy->rows = (struct engine_rows){&copy->schema, next_batch, copy};
    TRY(run_temp_file(query, &copy->file, &bytes_max, info));
    TRY(access_open_temp(session->warehouse, session->who, query->plan, copy->file, bytes_max,
                         &copy->rows, &query->access, info));
    TRY(write_sql(copy, info));
    TRY(query_move(query, QUERY_RUNNING, info));
    copy->has_thread = pthread_create(&copy->thread, NULL, run_engine, copy) == 0;
    return copy->has_thread ? ERR_OK : errinfo_nomem(info);
}

/* Why the engine has stopped before its end; the thread was joined. */
static enum err engine_error(const struct copy_in *copy, struct errinfo *info)
{
    if (copy->err == ERR_OK) {
        return errinfo_set(info, ERR_CANCELLED, NULL, "the statement was cancelled");
    }
    *info = copy->info;
    return copy->err;
}

enum err copy_in_push(struct query *query, struct ArrowArray *batch, struct errinfo *info)
{
    struct copy_in *copy = query->copy_in;
    pthread_mutex_lock(&copy->lock);
    while (batch != NULL && copy->count == BATCHES_MAX && !copy->is_stopped) {
        pthread_cond_wait(&copy->changed, &copy->lock);
    }
    bool is_stopped = copy->is_stopped;
    if (!is_stopped && batch != NULL) {
        copy->batches[(copy->first + copy->count++) % BATCHES_MAX] = *batch;
        batch->release = NULL;
        pthread_cond_broadcast(&copy->changed);
    }
    pthread_mutex_unlock(&copy->lock);
    if (batch != NULL && batch->release != NULL) {
        batch->release(batch);
        batch->release = NULL;
    }
    if (is_stopped) {
        copy_in_end(copy);
        return engine_error(copy, info);
    }
    return ERR_OK;
}

/* A table with rules gets the rows as from an INSERT, out of what they were copied to. */
static enum err fill_from_copy(struct copy_in *copy, struct errinfo *info)
{
    struct query *query = copy->query;
    const struct temp_table *table = copy->table;
    struct temp_table *copied CLEANUP(temp_table_cleanup) = NULL;
    struct temp_file *file CLEANUP(temp_file_cleanup) = NULL;
    struct temp_table shape = *table;
    struct buf text CLEANUP(buf_fini) = {0};
    struct errinfo ignored;
    size_t count = copy->target_count;
    struct slice *names = arena_calloc(query->arena, count + 1, sizeof(*names));
    struct engine_column *found = arena_calloc(query->arena, count + 1, sizeof(*found));
    size_t *from;
    if (names == NULL || found == NULL) {
        return errinfo_nomem(info);
    }
    buf_append_str(&text, "SELECT ");
    for (size_t i = 0; i < count; i++) {
        const struct relation_column *column = &table->columns[copy->targets[i]];
        names[i] = column->name;
        found[i] = (struct engine_column){column->name, column->type};
        buf_append_str(&text, i == 0 ? "" : ", ");
        sql_quote_name(&text, column->name);
    }
    shape.name = slice_of(copy->marker); /* which nobody has */
    shape.rule_count = 0;
    change_write_table(&shape, SLICE(""), &text);
    TRY(buf_failed(&text) ? errinfo_nomem(info) : ERR_OK);
    TRY(change_targets(query, table, names, count, count, &from, info));
    TRY(temp_table_new(&shape, false, copy->file, &copied, info));
    TRY(session_set_temp(query->session, shape.name, copied, info));
    const struct change_source source = {
        .query = buf_slice(&text), .found = found, .found_count = count, .from = from};
    uint64_t rows = query->rows_out;
    enum err err = change_fill_again(query, table, &source, &file, info);
    enum err gone = session_set_temp(query->session, shape.name, NULL, &ignored);
    TRY(err);
    TRY(gone == ERR_OK ? change_add(query, table, file, info) : errinfo_nomem(info));
    query->rows_out = rows;
    return ERR_OK;
}

static enum err keep(struct copy_in *copy, struct errinfo *info)
{
    struct temp_table *fuller CLEANUP(temp_table_cleanup) = NULL;
    struct query *query = copy->query;
    const struct temp_table *table = copy->table;
    char *tag = arena_printf(query->arena, "COPY %llu", (unsigned long long)query->rows_out);
    if (tag == NULL) {
        return errinfo_nomem(info);
    }
    if (query->rows_out > 0 && table->rule_count > 0) {
        TRY(fill_from_copy(copy, info));
    } else if (query->rows_out > 0) {
        TRY(temp_table_new(table, true, copy->file, &fuller, info));
        TRY(session_set_temp(query->session, table->name, fuller, info));
    }
    query->tag = tag;
    query->rows_out = 0; /* none were given out */
    return ERR_OK;
}

enum err copy_in_finish(struct query *query, struct errinfo *info)
{
    struct copy_in *copy = query->copy_in;
    pthread_mutex_lock(&copy->lock);
    copy->is_whole = true;
    pthread_cond_broadcast(&copy->changed);
    pthread_mutex_unlock(&copy->lock);
    (void)pthread_join(copy->thread, NULL);
    copy->has_thread = false;
    TRY(copy->err == ERR_OK ? ERR_OK : engine_error(copy, info));
    TRY(query_check_cancelled(query, info));
    copy->file->row_count = query->rows_out;
    change_begin(query);
    return keep(copy, info);
}

/* ---- stopping ---- */

void copy_in_stop(struct copy_in *copy)
{
    if (copy != NULL) {
        pthread_mutex_lock(&copy->lock);
        copy->is_stopped = true;
        pthread_cond_broadcast(&copy->changed);
        pthread_mutex_unlock(&copy->lock);
    }
}

/* It may wait for an engine host, and not for rows: so the engine is cancelled too. What that says
 * is nobody's to hear, for who ends has the error already. */
static void cancel_engine(struct copy_in *copy)
{
    struct session *session = copy->query->session;
    pthread_mutex_lock(&copy->lock);
    bool is_done = copy->is_done;
    pthread_mutex_unlock(&copy->lock);
    if (!is_done) {
        pthread_mutex_lock(&session->lock);
        engine_session_cancel(session->engine);
        pthread_mutex_unlock(&session->lock);
    }
}

void copy_in_end(struct copy_in *copy)
{
    copy_in_stop(copy);
    if (copy != NULL && copy->has_thread) {
        cancel_engine(copy);
        (void)pthread_join(copy->thread, NULL);
        copy->has_thread = false;
    }
}

void copy_in_free(struct copy_in *copy)
{
    if (copy == NULL) {
        return;
    }
    copy_in_end(copy);
    for (size_t i = 0; i < copy->count; i++) {
        struct ArrowArray *batch = &copy->batches[(copy->first + i) % BATCHES_MAX];
        batch->release(batch);
    }
    if (copy->schema.release != NULL) {
        copy->schema.release(&copy->schema);
    }
    buf_fini(&copy->sql);
    temp_file_unref(copy->file);
    temp_table_unref(copy->table);
    pthread_cond_destroy(&copy->changed);
    pthread_mutex_destroy(&copy->lock);
    mem_free(copy);
}

bool query_bad_value(const struct query *query, uint64_t *ret_line, size_t *ret_target,
                     struct slice *ret_value)
{
    const struct copy_in *copy = query->copy_in;
    if (!copy->has_bad_value) {
        return false;
    }
    *ret_line = copy->bad_line;
    *ret_target = copy->bad_target;
    *ret_value = slice_of(copy->bad_value);
    return true;
}
