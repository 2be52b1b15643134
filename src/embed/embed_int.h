/* What the files of this module share. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "arrow/arrow.h"
#include "base/base.h"
#include "base/err.h"
#include "config/config.h"
#include "embed/moat.h"
#include "identity/identity.h"
#include "query/query.h"

struct arena;
struct buf;
struct client;
struct AdbcError;

/* One for each folder that this process has open: who opens it again gets the same. */
struct moat_database {
    struct moat_database *next; /* under the registry's lock, as references are */
    unsigned references;        /* handles and sessions */
    dev_t device;
    ino_t inode;
    char *settings; /* as given, a line each: what else is opened must have the same */
    struct config *config;
    struct warehouse *warehouse;
};

void embed__database_ref(struct moat_database *database);

/* A person's. `turn` is held by whoever calls; `lock` guards what a cancel looks at, and is held
 * for moments. Order: turn, lock. */
struct moat_session {
    atomic_uint references; /* the handle, statements, runs */
    struct moat_database *database;
    struct identity *who;
    struct client *client;
    char *user;
    struct session *main;
    bool is_main_busy;    /* under turn: a run has it */
    pthread_mutex_t turn; /* recursive: rows bound may be another result of the same session */
    pthread_mutex_t lock;
    struct embed_run *runs; /* under lock, like the two below */
    bool is_closed;
    bool is_terminated;
};

MUST_USE enum err embed__session_open(struct moat_database *database, struct identity *who,
                                      struct moat_session **ret_session, struct errinfo *info);
void embed__session_ref(struct moat_session *session);
void embed__session_unref(struct moat_session *session);
/* With turn: that it may run something. */
MUST_USE enum err embed__session_check(struct moat_session *session, struct errinfo *info);

static inline void embed__turn_end(struct moat_session **session)
{
    pthread_mutex_unlock(&(*session)->turn);
}
/* Holds the session's turn to the end of the scope. */
#define TURN(session)                                                                              \
    struct moat_session *turn_ CLEANUP(embed__turn_end) = (session);                               \
    (void)pthread_mutex_lock(&turn_->turn)

/* ---- errors ---- */

void embed__error(const struct errinfo *info, struct moat_error *error);
/* The status for what a call came to, with `error` filled from `info` unless it is OK. */
enum moat_status embed__status(enum err err, const struct errinfo *info, struct moat_error *error);

/* ---- rows of parameters ---- */

struct embed_rows {
    struct ArrowSchema schema;
    struct ArrowArray batch;
    struct ArrowArrayStream stream; /* release NULL: `batch` is all there is */
    int64_t row;                    /* the one to use next */
    bool is_begun;
};

void embed__rows_fini(struct embed_rows *rows);
MUST_USE enum err embed__rows_of_array(struct embed_rows *rows, struct ArrowSchema *schema,
                                       struct ArrowArray *array, struct errinfo *info);
MUST_USE enum err embed__rows_of_stream(struct embed_rows *rows, struct ArrowArrayStream *stream,
                                        struct errinfo *info);
/* False in `ret_has`: there are no more. */
MUST_USE enum err embed__rows_next(struct embed_rows *rows, bool *ret_has, struct errinfo *info);
/* The cells of that row, in `arena`. */
MUST_USE enum err embed__rows_cells(const struct embed_rows *rows, struct arena *arena,
                                    struct query_parameter **ret_parameters, size_t *ret_count,
                                    struct errinfo *info);
MUST_USE enum err embed__stream_batch(struct ArrowArrayStream *stream, struct ArrowArray *ret_batch,
                                      struct errinfo *info);

/* ---- statements and runs ---- */

struct moat_statement {
    struct moat_session *session;
    char *sql;
    struct query_parameter *parameters; /* texts on the heap */
    bool *is_bound;
    size_t parameter_count; /* the highest that was bound */
    bool takes_rows;        /* COPY FROM STDIN */
    struct embed_rows *rows;
    struct embed_run *run; /* under the session's lock; NULL: nothing is open */
    char tag[64];
};

/* One execution: as many queries, one after the other, as there are rows of parameters. */
struct embed_run {
    struct embed_run *next, *previous; /* under the session's lock */
    struct moat_session *session;
    struct moat_statement *statement; /* under the session's lock; NULL: it was closed */
    struct session *on;               /* the main one, or a fork */
    char *sql;
    struct arena *arena; /* parameters of the query that runs */
    struct query_parameter *parameters;
    size_t parameter_count;
    struct embed_rows *rows; /* NULL: one query */
    struct query *query;     /* NULL: over */
    struct ArrowSchema schema;
    int64_t affected; /* -1 = nothing said so */
    char tag[64];
    enum err err;
    struct errinfo info;
    struct AdbcError *adbc_error; /* the same, as ADBC asked for it; NULL: it did not */
};

/* Of the statement as it is bound, up to where rows can be pulled; one without rows is done. Takes
 * rows of parameters along. With turn. */
MUST_USE enum err embed__run_open(struct moat_statement *statement, struct embed_run **ret_run,
                                  struct errinfo *info);
/* At the end ret_batch->release is NULL. */
MUST_USE enum err embed__run_next(struct embed_run *run, struct ArrowArray *ret_batch,
                                  struct errinfo *info);
/* The query that runs is over; what it did is counted. */
void embed__run_end(struct embed_run *run);
void embed__run_close(struct embed_run *run); /* takes the turn */
DEFINE_CLEANUP(struct embed_run, embed__run_cleanup, embed__run_close)
/* The run is the stream's. */
void embed__run_stream(struct embed_run *run, struct ArrowArrayStream *ret_stream);
/* NULL: the stream is none of ours. */
const struct embed_run *embed__run_of(const struct ArrowArrayStream *stream);

/* Where ADBC keeps its form of the error of a stream of ours. */
struct AdbcError **embed__run_error(struct ArrowArrayStream *stream);
void adbc__stream_error_free(struct AdbcError *error);

/* Text for the engine: a statement of the module's own making, to its end. With turn. */
MUST_USE enum err embed__run_text(struct moat_session *session, const char *sql,
                                  struct errinfo *info);

/* ---- schemas ---- */

/* On the heap; children are zeroed, for the caller to fill. */
MUST_USE enum err embed__schema_new(const char *format, struct slice name, size_t child_count,
                                    struct ArrowSchema *ret_schema, struct errinfo *info);
MUST_USE enum err embed__schema_copy(const struct ArrowSchema *schema,
                                     struct ArrowSchema *ret_schema, struct errinfo *info);
bool embed__schema_equal(const struct ArrowSchema *one, const struct ArrowSchema *other);
/* Of the engine's name of a type; "" and "UNKNOWN" are Arrow's null type. */
MUST_USE enum err embed__schema_of_type(struct slice type, struct slice name,
                                        struct ArrowSchema *ret_schema, struct errinfo *info);
/* The engine's name of the type that values of a column have. */
MUST_USE enum err embed__print_type(const struct ArrowSchema *schema, struct buf *out,
                                    struct errinfo *info);
