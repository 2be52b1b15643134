/* One execution of a statement: its queries, one after the other, and its rows as a stream. */
#include <errno.h>

#include "base/arena.h"
#include "base/mem.h"
#include "embed/embed_int.h"
#include "sql/scan.h"

/* ---- the session it runs in ---- */

/* What SET, RESET and USE change is the main session's. */
static bool changes_session(const char *sql)
{
    struct scanner scanner;
    struct token token;
    scanner_init(&scanner, slice_of(sql));
    return scanner_next(&scanner, &token, NULL) == ERR_OK &&
           (token_is(&token, "set") || token_is(&token, "reset") || token_is(&token, "use"));
}

/* The main session, or one beside it while a result of that is open. */
static enum err take_session(struct embed_run *run, struct errinfo *info)
{
    struct moat_session *session = run->session;
    if (!session->is_main_busy) {
        session->is_main_busy = true;
        run->on = session->main;
        return ERR_OK;
    }
    if (changes_session(run->sql)) {
        (void)errinfo_set(info, ERR_BUSY, "55006",
                          "the session cannot be changed while a result of it is open");
        errinfo_hint(info, "Read it to its end, or release it, first.");
        return ERR_BUSY;
    }
    return session_fork(session->main, &run->on, info);
}

/* Seen by those who cancel, from here on. */
static void enlist(struct embed_run *run)
{
    struct moat_session *session = run->session;
    (void)pthread_mutex_lock(&session->lock);
    run->next = session->runs;
    if (run->next != NULL) {
        run->next->previous = run;
    }
    session->runs = run;
    if (run->statement->run != NULL) { /* goes on, and the statement forgets it */
        run->statement->run->statement = NULL;
    }
    run->statement->run = run;
    pthread_mutex_unlock(&session->lock);
}

/* The session is free for the next. */
static void give_session(struct embed_run *run)
{
    struct moat_session *session = run->session;
    (void)pthread_mutex_lock(&session->lock);
    *(run->previous == NULL ? &session->runs : &run->previous->next) = run->next;
    if (run->next != NULL) {
        run->next->previous = run->previous;
    }
    if (run->statement != NULL) {
        run->statement->run = NULL;
    }
    pthread_mutex_unlock(&session->lock);
    if (run->on == session->main) {
        session->is_main_busy = false;
    } else {
        session_close(run->on);
    }
    run->on = NULL;
}

/* ---- one query ---- */

/* "INSERT 0 5": what it wrote is the last number. */
static int64_t affected_of(const char *tag)
{
    uint64_t count;
    const char *space = strrchr(tag, ' ');
    bool is_number = space != NULL && slice_to_u64(slice_of(space + 1), &count);
    return is_number && count <= INT64_MAX ? (int64_t)count : -1;
}

void embed__run_end(struct embed_run *run)
{
    int64_t affected = query_has_rows(run->query) ? -1 : affected_of(query_tag(run->query));
    if (affected >= 0) {
        run->affected = run->affected < 0 ? affected : run->affected + affected;
    }
    (void)snprintf(run->tag, sizeof(run->tag), "%s", query_tag(run->query));
    query_close(run->query);
    run->query = NULL;
}

static enum err keep_schema(struct embed_run *run, struct errinfo *info)
{
    struct ArrowSchema schema;
    TRY(query_schema(run->query, &schema, info));
    enum err err = ERR_OK;
    if (run->schema.release == NULL) {
        err = embed__schema_copy(&schema, &run->schema, info);
    } else if (!embed__schema_equal(&schema, &run->schema)) {
        err = errinfo_set(info, ERR_INVALID, "42804",
                          "two rows of parameters give results of two types");
        errinfo_hint(info, "Cast the parameters, as in CAST($1 AS VARCHAR).");
    }
    schema.release(&schema);
    return err;
}

static enum err start_query(struct embed_run *run, bool takes_rows, struct errinfo *info)
{
    arena_reset(run->arena);
    struct query_parameter *parameters = run->parameters;
    size_t count = run->parameter_count;
    if (run->rows != NULL) {
        TRY(embed__rows_cells(run->rows, run->arena, &parameters, &count, info));
    }
    TRY(query_open(run->on, slice_of(run->sql), parameters, count, &run->query, info));
    if (query_takes_rows(run->query) != takes_rows) {
        return errinfo_set(info, ERR_INVALID, "42601",
                           takes_rows ? "rows are for COPY table FROM STDIN, and for nothing else"
                                      : "COPY FROM STDIN takes rows: call moat_copy_in");
    }
    return query_has_rows(run->query) ? keep_schema(run, info) : ERR_OK;
}

/* The next query that has rows; none: run->query is NULL, and all is done. */
static enum err advance(struct embed_run *run, struct errinfo *info)
{
    for (;;) {
        bool has = false;
        if (run->query != NULL) {
            embed__run_end(run);
        }
        if (run->rows == NULL) {
            return ERR_OK;
        }
        TRY(embed__rows_next(run->rows, &has, info));
        if (!has) {
            return ERR_OK;
        }
        TRY(start_query(run, false, info));
        if (query_has_rows(run->query)) {
            return ERR_OK;
        }
    }
}

static enum err begin(struct embed_run *run, bool takes_rows, struct errinfo *info)
{
    if (run->rows != NULL) {
        TRY(advance(run, info));
    } else {
        TRY(start_query(run, takes_rows, info));
        if (!query_has_rows(run->query) && !takes_rows) {
            embed__run_end(run);
        }
    }
    return run->schema.release != NULL ? ERR_OK /* no rows: no columns */
                                       : embed__schema_new("+s", SLICE(""), 0, &run->schema, info);
}

/* ---- the run ---- */

static enum err copy_parameters(struct embed_run *run, const struct moat_statement *statement,
                                struct errinfo *info)
{
    for (size_t i = 0; i < statement->parameter_count; i++) {
        if (!statement->is_bound[i]) {
            return errinfo_set(info, ERR_INVALID, "08P01", "parameter $%zu is not bound", i + 1);
        }
    }
    /* The statement's own: it is not touched before query_open has returned. */
    run->parameters = statement->parameters;
    run->parameter_count = statement->parameter_count;
    return ERR_OK;
}

enum err embed__run_open(struct moat_statement *statement, struct embed_run **ret_run,
                         struct errinfo *info)
{
    struct moat_session *session = statement->session;
    TRY(embed__session_check(session, info));
    struct embed_run *made = mem_calloc(1, sizeof(*made));
    if (made == NULL) {
        return errinfo_nomem(info);
    }
    made->session = session;
    embed__session_ref(session);
    struct embed_run *run CLEANUP(embed__run_cleanup) = made;
    run->affected = -1;
    run->rows = TAKE(statement->rows);
    run->arena = arena_new(NULL, "parameters", 0);
    run->sql = mem_strdup(statement->sql);
    if (run->arena == NULL || run->sql == NULL) {
        return errinfo_nomem(info);
    }
    TRY(copy_parameters(run, statement, info));
    TRY(take_session(run, info));
    run->statement = statement;
    enlist(run);
    enum err err = begin(run, statement->takes_rows, info);
    (void)snprintf(statement->tag, sizeof(statement->tag), "%s",
                   run->query == NULL ? run->tag : query_tag(run->query));
    TRY(err);
    *ret_run = TAKE(run);
    return ERR_OK;
}

enum err embed__run_next(struct embed_run *run, struct ArrowArray *ret_batch, struct errinfo *info)
{
    while (run->query != NULL) {
        TRY(query_next(run->query, ret_batch, info));
        if (ret_batch->release != NULL) {
            return ERR_OK;
        }
        TRY(advance(run, info));
    }
    if (run->on != NULL) {
        give_session(run);
    }
    ret_batch->release = NULL;
    return ERR_OK;
}

static void close_run(struct embed_run *run)
{
    if (run->query != NULL) {
        query_close(run->query);
    }
    if (run->on != NULL) {
        give_session(run);
    }
    if (run->schema.release != NULL) {
        run->schema.release(&run->schema);
    }
    embed__rows_fini(run->rows);
    mem_free(run->rows);
    arena_free(run->arena);
    adbc__stream_error_free(run->adbc_error);
    mem_free(run->sql);
}

void embed__run_close(struct embed_run *run)
{
    struct moat_session *session = run->session;
    {
        TURN(session);
        close_run(run);
    }
    embed__session_unref(session);
    mem_free(run);
}

enum err embed__run_text(struct moat_session *session, const char *sql, struct errinfo *info)
{
    struct moat_statement statement = {.session = session, .sql = mem_strdup(sql)};
    struct embed_run *run;
    if (statement.sql == NULL) {
        return errinfo_nomem(info);
    }
    enum err err = embed__run_open(&statement, &run, info);
    if (err == ERR_OK) {
        embed__run_close(run);
    }
    mem_free(statement.sql);
    return err;
}

/* ---- as a stream ---- */

static int errno_of(enum err err)
{
    return err == ERR_NOMEM ? ENOMEM : err == ERR_CANCELLED ? ECANCELED : EIO;
}

static int keep_error(struct embed_run *run, enum err err, const struct errinfo *info)
{
    run->err = err;
    run->info = *info;
    return err == ERR_OK ? 0 : errno_of(err);
}

static int get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    struct embed_run *run = stream->private_data;
    struct errinfo info;
    errinfo_init(&info);
    TURN(run->session);
    return keep_error(run, embed__schema_copy(&run->schema, out, &info), &info);
}

/* An error is the stream's end, and is told again. */
static int get_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    struct embed_run *run = stream->private_data;
    struct errinfo info;
    errinfo_init(&info);
    TURN(run->session);
    if (run->err != ERR_OK) {
        return errno_of(run->err);
    }
    return keep_error(run, embed__run_next(run, out, &info), &info);
}

static const char *get_last_error(struct ArrowArrayStream *stream)
{
    const struct embed_run *run = stream->private_data;
    return run->err == ERR_OK ? NULL : run->info.message;
}

static void release(struct ArrowArrayStream *stream)
{
    struct embed_run *run = stream->private_data;
    stream->release = NULL;
    embed__run_close(run);
}

void embed__run_stream(struct embed_run *run, struct ArrowArrayStream *ret_stream)
{
    *ret_stream = (struct ArrowArrayStream){.get_schema = get_schema,
                                            .get_next = get_next,
                                            .get_last_error = get_last_error,
                                            .release = release,
                                            .private_data = run};
}

const struct embed_run *embed__run_of(const struct ArrowArrayStream *stream)
{
    return stream->release == release ? stream->private_data : NULL;
}

struct AdbcError **embed__run_error(struct ArrowArrayStream *stream)
{
    struct embed_run *run = stream->private_data;
    return &run->adbc_error;
}
