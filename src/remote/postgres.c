/* PostgreSQL's protocol, by libpq, which is loaded when it is first needed: what it needs itself is
 * not to be loaded with each engine host. Rows come one by one, as texts, and become batches. */
#include <dlfcn.h>

#include "base/clock.h"
#include "base/mem.h"
#include "remote/remote_int.h"

#define BATCH_ROWS 1024
#define BATCH_BYTES (4u << 20)
#define CONNECT_SECONDS "15"
#define CANCEL_AGAIN_US 500000
#define SYSTEM_CA_FILE "/etc/ssl/certs/ca-certificates.crt"
#define NO_FILE "/dev/null/none"

/* libpq-fe.h, what is used of it. Its interface has been the same since version 9.2. */
typedef struct pg_conn PGconn;
typedef struct pg_result PGresult;
typedef struct pg_cancel PGcancel;
enum {
    CONNECTION_OK = 0,
};
enum {
    PGRES_COMMAND_OK = 1,
    PGRES_TUPLES_OK = 2,
    PGRES_COPY_OUT = 3,
    PGRES_COPY_IN = 4,
    PGRES_SINGLE_TUPLE = 9,
    PGRES_EMPTY_QUERY = 0,
};

#define LIBPQ(X)                                                                                   \
    X(PGconn *, connectdbParams, (const char *const *, const char *const *, int))                  \
    X(int, status, (const PGconn *))                                                               \
    X(void, finish, (PGconn *))                                                                    \
    X(char *, errorMessage, (const PGconn *))                                                      \
    X(int, sendQuery, (PGconn *, const char *))                                                    \
    X(int, setSingleRowMode, (PGconn *))                                                           \
    X(PGresult *, getResult, (PGconn *))                                                           \
    X(int, resultStatus, (const PGresult *))                                                       \
    X(char *, resultErrorField, (const PGresult *, int))                                           \
    X(void, clear, (PGresult *))                                                                   \
    X(int, nfields, (const PGresult *))                                                            \
    X(char *, fname, (const PGresult *, int))                                                      \
    X(unsigned, ftype, (const PGresult *, int))                                                    \
    X(int, fmod, (const PGresult *, int))                                                          \
    X(int, ntuples, (const PGresult *))                                                            \
    X(int, getisnull, (const PGresult *, int, int))                                                \
    X(char *, getvalue, (const PGresult *, int, int))                                              \
    X(int, getlength, (const PGresult *, int, int))                                                \
    X(char *, cmdStatus, (PGresult *))                                                             \
    X(int, backendPID, (const PGconn *))                                                           \
    X(PGcancel *, getCancel, (PGconn *))                                                           \
    X(void, freeCancel, (PGcancel *))                                                              \
    X(int, cancel, (PGcancel *, char *, int))                                                      \
    X(int, putCopyEnd, (PGconn *, const char *))                                                   \
    X(void *, setNoticeProcessor, (PGconn *, void (*)(void *, const char *), void *))

struct libpq {
    void *library;
#define FIELD(type, name, parameters) type(*name) parameters;
    LIBPQ(FIELD)
#undef FIELD
};

struct postgres {
    struct libpq pq;
    PGconn *connection;
    PGcancel *cancel;
    struct remote_answer *answer; /* that notices are for */
};

struct rows {
    struct remote_columns *columns;
    PGresult *result; /* the next, not yet taken */
};

/* ---- the library ---- */

static enum err load(struct libpq *pq, struct errinfo *info)
{
    pq->library = dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL);
    bool has_all = pq->library != NULL;
#define FIND(type, name, parameters)                                                               \
    has_all = has_all && (*(void **)(&pq->name) = dlsym(pq->library, "PQ" #name)) != NULL;
    LIBPQ(FIND)
#undef FIND
    if (!has_all) {
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                          "PostgreSQL's client library (libpq.so.5) is not on this machine");
        errinfo_hint(info, "Install it (Debian: libpq5), or ask https://.");
        return ERR_UNSUPPORTED;
    }
    return ERR_OK;
}

/* ---- errors ---- */

static enum err lost(const struct postgres *pg, struct errinfo *info)
{
    struct slice text = slice_trim(slice_of(pg->pq.errorMessage(pg->connection)));
    bool is_refused = slice_find(text, SLICE("FATAL")) != SIZE_MAX;
    return is_refused ? errinfo_set(info, ERR_DENIED, "28000", "%.*s", SLICE_ARGS(text))
                      : errinfo_set(info, ERR_IO, "08006", "%.*s", SLICE_ARGS(text));
}

static const char *field(const struct postgres *pg, const PGresult *result, int code)
{
    const char *text = pg->pq.resultErrorField(result, code);
    return text == NULL ? "" : text;
}

static enum err report(const struct postgres *pg, const PGresult *result,
                       const struct remote_answer *answer, struct errinfo *info)
{
    uint64_t character;
    const char *sqlstate = field(pg, result, 'C');
    if (sqlstate[0] == '\0') { /* libpq's own */
        return lost(pg, info);
    }
    enum err code = remote__code(sqlstate);
    (void)errinfo_set(info, code, sqlstate, "%s", field(pg, result, 'M'));
    if (field(pg, result, 'D')[0] != '\0') {
        errinfo_detail(info, "%s", field(pg, result, 'D'));
    }
    if (field(pg, result, 'H')[0] != '\0') {
        errinfo_hint(info, "%s", field(pg, result, 'H'));
    }
    if (slice_to_u64(slice_of(field(pg, result, 'P')), &character)) {
        struct slice statement = {answer->statement, answer->statement_len};
        errinfo_position(info, remote__position(statement, (size_t)character));
    }
    return code;
}

static void on_notice(void *context, const char *text)
{
    struct postgres *pg = context;
    if (pg->answer != NULL) {
        size_t len = strlen(pg->answer->notice);
        (void)snprintf(pg->answer->notice + len, sizeof(pg->answer->notice) - len, "%s%.*s",
                       len == 0 ? "" : "\n", SLICE_ARGS(slice_trim(slice_of(text))));
    }
}

/* ---- the connection ---- */

static void postgres_close(struct remote *remote)
{
    struct postgres *pg = remote->state;
    if (pg->cancel != NULL) {
        pg->pq.freeCancel(pg->cancel);
    }
    if (pg->connection != NULL) {
        pg->pq.finish(pg->connection);
    }
    if (pg->pq.library != NULL) {
        (void)dlclose(pg->pq.library);
    }
    mem_free(pg);
}

static enum err connect_(struct postgres *pg, const struct remote_options *options,
                         struct errinfo *info)
{
    const struct remote_address *address = options->address;
    char port[8];
    struct secret secret CLEANUP(secret_fini) = {0};
    char *user CLEANUP(mem_free_cleanup) = mem_slicedup(options->user);
    if (user == NULL || !secret_copy(options->secret, &secret)) {
        return errinfo_nomem(info);
    }
    (void)snprintf(port, sizeof(port), "%u", address->port);
    /* All that libpq would look for elsewhere is said, so that it looks nowhere. */
    const char *const settings[][2] = {
        {"host", address->host},
        {"port", port},
        {"user", user},
        {"password", secret.ptr},
        {"dbname", address->catalog == NULL ? "moat" : address->catalog},
        {"sslmode", address->is_tls ? "verify-full" : "prefer"},
        {"sslrootcert", !address->is_tls           ? NO_FILE
                        : address->ca_file == NULL ? SYSTEM_CA_FILE
                                                   : address->ca_file},
        {"sslcert", NO_FILE},
        {"sslkey", NO_FILE},
        {"passfile", "/dev/null"},
        {"service", ""},
        {"options", options->is_token ? "-c moat.login=token" : ""},
        {"target_session_attrs", "any"},
        {"gssencmode", "disable"},
        {"application_name", "moat"},
        {"client_encoding", "UTF8"},
        {"connect_timeout", CONNECT_SECONDS},
    };
    const char *keys[ARRAY_COUNT(settings) + 1] = {0};
    const char *values[ARRAY_COUNT(settings) + 1] = {0};
    for (size_t i = 0; i < ARRAY_COUNT(settings); i++) {
        keys[i] = settings[i][0];
        values[i] = settings[i][1];
    }
    pg->connection = pg->pq.connectdbParams(keys, values, 0);
    if (pg->connection == NULL) {
        return errinfo_nomem(info);
    }
    if (pg->pq.status(pg->connection) != CONNECTION_OK) {
        return lost(pg, info);
    }
    (void)pg->pq.setNoticeProcessor(pg->connection, on_notice, pg);
    pg->cancel = pg->pq.getCancel(pg->connection);
    return pg->cancel == NULL ? errinfo_nomem(info) : ERR_OK;
}

static enum err postgres_open(struct remote *remote, const struct remote_options *options,
                              struct errinfo *info)
{
    struct postgres *pg = mem_calloc(1, sizeof(*pg));
    if (pg == NULL) {
        return errinfo_nomem(info);
    }
    remote->state = pg;
    TRY(load(&pg->pq, info));
    return connect_(pg, options, info);
}

static void cancel(struct postgres *pg)
{
    char problem[256];
    (void)pg->pq.cancel(pg->cancel, problem, sizeof(problem)); /* if not, it goes on to its end */
}

static void postgres_cancel(struct remote *remote)
{
    cancel(remote->state);
}

/* ---- a statement ---- */

static enum err describe(const struct postgres *pg, struct remote_answer *answer,
                         const PGresult *result, struct errinfo *info)
{
    struct rows *rows = answer->state;
    int count = pg->pq.nfields(result);
    TRY(remote__columns_new((size_t)count, &rows->columns, info));
    for (int i = 0; i < count; i++) {
        TRY(remote__column_set(rows->columns, (size_t)i, slice_of(pg->pq.fname(result, i)),
                               pg->pq.ftype(result, i), pg->pq.fmod(result, i), info));
    }
    return remote__columns_schema(rows->columns, &answer->schema, info);
}

static void take_tag(const struct postgres *pg, struct remote_answer *answer, PGresult *result)
{
    (void)snprintf(answer->tag, sizeof(answer->tag), "%s", pg->pq.cmdStatus(result));
}

/* Whatever is left, so that the next statement can be sent. What is not wanted any more is
 * cancelled until it is heard: the server may have been between two things. */
static void drain(struct postgres *pg, bool is_unwanted)
{
    PGresult *result;
    int64_t cancelled_us = 0;
    for (;;) {
        int64_t now_us = clock_mono_us();
        if (is_unwanted && now_us - cancelled_us > CANCEL_AGAIN_US) {
            cancel(pg);
            cancelled_us = now_us;
        }
        result = pg->pq.getResult(pg->connection);
        if (result == NULL) {
            return;
        }
        int status = pg->pq.resultStatus(result);
        pg->pq.clear(result);
        if (status == PGRES_COPY_IN) {
            (void)pg->pq.putCopyEnd(pg->connection, "this program sends no data");
        } else if (status == PGRES_COPY_OUT) {
            return; /* the connection is not used again */
        }
    }
}

static enum err refuse_copy(struct errinfo *info)
{
    (void)errinfo_set(info, ERR_UNSUPPORTED, NULL, "COPY from and to here is not done by moat");
    errinfo_hint(info, "Use --format csv with a SELECT, or psql's \\copy.");
    return ERR_UNSUPPORTED;
}

/* What the next result says: rows->result is set while there are rows. */
static enum err advance(struct postgres *pg, struct remote_answer *answer, struct errinfo *info)
{
    struct rows *rows = answer->state;
    PGresult *result = pg->pq.getResult(pg->connection);
    if (result == NULL) {
        answer->is_over = true;
        return ERR_OK;
    }
    int status = pg->pq.resultStatus(result);
    enum err err = ERR_OK;
    switch (status) {
    case PGRES_SINGLE_TUPLE:
    case PGRES_TUPLES_OK: /* the end of rows, with the tag; or none at all */
        err = answer->schema == NULL ? describe(pg, answer, result, info) : ERR_OK;
        if (err == ERR_OK && status == PGRES_SINGLE_TUPLE) {
            rows->result = result;
            return ERR_OK;
        }
        take_tag(pg, answer, result);
        break;
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
        take_tag(pg, answer, result);
        break;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
        err = refuse_copy(info);
        if (status == PGRES_COPY_IN) {
            (void)pg->pq.putCopyEnd(pg->connection, "this program sends no data");
        }
        break;
    default:
        err = report(pg, result, answer, info);
        break;
    }
    pg->pq.clear(result);
    answer->is_over = true;
    drain(pg, false);
    return err;
}

static enum err postgres_run(struct remote *remote, struct remote_answer *answer,
                             struct errinfo *info)
{
    struct postgres *pg = remote->state;
    struct rows *rows = mem_calloc(1, sizeof(*rows));
    if (rows == NULL) {
        return errinfo_nomem(info);
    }
    answer->state = rows;
    pg->answer = answer;
    if (pg->pq.sendQuery(pg->connection, answer->statement) != 1) {
        return lost(pg, info);
    }
    (void)pg->pq.setSingleRowMode(pg->connection); /* if not, all rows come at once */
    return advance(pg, answer, info);
}

static enum err add_row(const struct postgres *pg, struct rows *rows, int row, struct errinfo *info)
{
    int count = pg->pq.nfields(rows->result);
    for (int i = 0; i < count; i++) {
        struct slice text = {NULL, 0};
        if (pg->pq.getisnull(rows->result, row, i) == 0) {
            text = (struct slice){pg->pq.getvalue(rows->result, row, i),
                                  (size_t)pg->pq.getlength(rows->result, row, i)};
        }
        TRY(remote__cell(rows->columns, (size_t)i, text, info));
    }
    return ERR_OK;
}

/* An error behind rows takes with it those of its batch. */
static enum err postgres_next(struct remote *remote, struct remote_answer *answer,
                              struct ArrowArray *ret_batch, struct errinfo *info)
{
    struct postgres *pg = remote->state;
    struct rows *rows = answer->state;
    int64_t count = 0;
    while (rows->result != NULL && count < BATCH_ROWS &&
           remote__columns_bytes(rows->columns) < BATCH_BYTES) {
        TRY(add_row(pg, rows, 0, info));
        pg->pq.clear(TAKE(rows->result));
        count++;
        TRY(advance(pg, answer, info));
    }
    return count == 0 ? ERR_OK : remote__columns_take(rows->columns, count, ret_batch, info);
}

static void postgres_end(struct remote *remote, struct remote_answer *answer)
{
    struct postgres *pg = remote->state;
    struct rows *rows = answer->state;
    if (rows == NULL) {
        return;
    }
    if (rows->result != NULL) {
        pg->pq.clear(rows->result);
    }
    if (!answer->is_over) {
        drain(pg, true);
    }
    pg->answer = NULL;
    remote__columns_free(rows->columns);
    mem_free(rows);
}

static void postgres_print_own(const struct remote *remote, struct buf *out)
{
    const struct postgres *pg = remote->state;
    buf_printf(out, "pid = %d", pg->pq.backendPID(pg->connection));
}

const struct remote_ops remote_postgres = {
    .open = postgres_open,
    .close = postgres_close,
    .run = postgres_run,
    .next = postgres_next,
    .end = postgres_end,
    .cancel = postgres_cancel,
    .print_own = postgres_print_own,
};
