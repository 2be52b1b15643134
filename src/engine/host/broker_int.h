/* The broker's side: hosts as it sees them, and the engine that they make up together.
 *
 *   pool.c          hosts by state; who gets which
 *   keeper.c        the thread that starts, watches, stops and buries them
 *   spawn.c         one process: descriptors, memory, executing
 *   lane.c          what hosts ask for, and whether they may have it
 *   broker.c        engine.h: engines, sessions, what is asked on the control channel
 *   broker_grant.c  engine.h: grants
 *   broker_query.c  engine.h: queries */
#pragma once

#include "engine/host/pool_int.h"

/* ---- grants ---- */

struct offered_file {
    size_t object;
    const struct engine_scan_file *file;
};

/* Files that a scan has named, by number: sorted. */
struct offers {
    struct offered_file *files;
    size_t count;
    size_t capacity;
};

struct engine_grant {
    const struct engine_module_ops *ops; /* first */
    struct engine *engine;
    struct engine_grant *next; /* under the engine's lock */
    _Atomic unsigned refs;
    struct person person;
    char address[33];
    struct arena *arena;
    struct engine_grant_spec spec; /* its lists are copies, in the arena */
    struct offers *offers;         /* one for each scan; under lock */
    pthread_mutex_t lock;
    pthread_cond_t idle;
    pthread_mutex_t *files_locks; /* one call of files() at a time */
    pthread_mutex_t rows_lock;    /* likewise of next() */
    uint64_t *writers; /* of each sink: the request that writes it, by attachment; under lock */
    unsigned in_flight;
    bool is_closed;
    _Atomic uint64_t files_opened;
    _Atomic uint64_t bytes_read;
    _Atomic uint64_t bytes_written;
};

/* Between these the grant's callbacks may be called. ERR_DENIED if it is closed or expired. */
MUST_USE enum err grant__use(struct engine_grant *grant, struct errinfo *info);
void grant__done(struct engine_grant *grant);
void grant__unref(struct engine_grant *grant);
MUST_USE bool grant__offer(struct engine_grant *grant, size_t scan,
                           const struct engine_scan_file *files, size_t count);
/* NULL if files() has not named it. */
const struct engine_scan_file *grant__offered(struct engine_grant *grant, size_t scan,
                                              size_t object);

/* A sink is written by one request of one host. ERR_EXISTS. */
MUST_USE enum err grant__take_sink(struct engine_grant *grant, size_t index, uint64_t writer,
                                   struct errinfo *info);

/* Attaches the grants whose addresses are in the statement, if they are of this person, and writes
 * them. `ret_numbers` (first and behind last) detach them. */
struct attached {
    uint64_t first;
    uint64_t end;
};
MUST_USE enum err grant__attach(struct engine *engine, struct host *host,
                                const struct person *person, struct slice sql, struct buf *out,
                                struct attached *ret_attached, struct errinfo *info);
void grant__detach(struct host *host, struct attached attached);
void grant__count_opened(struct host *host, struct attached attached, uint64_t files_opened);
/* With a reference, or NULL. */
struct engine_grant *grant__find(struct host *host, uint64_t number);

enum err grant__open(struct engine *engine, const struct identity *who,
                     const struct engine_grant_spec *spec, struct engine_grant **ret_grant,
                     struct errinfo *info);
void grant__close(struct engine_grant *grant);
void grant__uri(const struct engine_grant *grant, size_t index, struct buf *ret_uri);
void grant__uri_out(const struct engine_grant *grant, size_t index, struct buf *ret_uri);
void grant__uri_scan(const struct engine_grant *grant, size_t index, struct buf *ret_uri);
void grant__uri_rows(const struct engine_grant *grant, struct buf *ret_uri);
struct engine_grant_counters grant__count(const struct engine_grant *grant);

/* ---- engine, sessions, queries ---- */

struct mask;

struct engine {
    const struct engine_module_ops *ops; /* first */
    struct engine_hosts *hosts;
    struct mask *mask; /* who has the key */
    unsigned thread_count;
    uint64_t memory_bytes_max;
    uint64_t process_bytes_max;
    char *temp_folder;
    uint64_t temp_bytes_max;
    pthread_mutex_t lock;
    struct engine_grant *grants;
    char version[64];
};

MUST_USE enum err mask__new(struct slice key, struct mask **ret_mask, struct errinfo *info);
void mask__free(struct mask *mask);
void mask__hash(const struct mask *mask, struct slice value, char ret_hex[64]);

struct engine_session {
    const struct engine_module_ops *ops; /* first */
    struct engine *engine;
    struct identity *who; /* the last that asked */
    struct person person;
    pthread_mutex_t lock;  /* for those that cancel */
    bool is_cancelled;     /* under lock */
    bool is_calling;       /* under lock: a host works on a request */
    struct host *host;     /* under lock; NULL between statements */
    uint64_t memory_bytes; /* of the next query; 0 = all that a host may have */
    struct engine_query *query;
    struct buf body; /* of the last answer */
};

struct engine_query {
    const struct engine_module_ops *ops; /* first */
    struct engine_session *session;
    struct arena *arena;
    struct engine_column *columns;
    size_t column_count;
    struct wire_schema *schema;
    uint64_t number;
    uint64_t pulled; /* batches taken */
    struct attached attached;
    bool is_cancelled; /* under the session's lock */
    bool has_ended;    /* the host said END or FAILED, or is gone */
    bool failed;
    enum err failure;
    bool is_broken; /* the host is gone or mad */
};

/* The session's host, leased now if it has none. */
MUST_USE enum err session__host(struct engine_session *session, const struct identity *who,
                                struct errinfo *info);
/* Gives it back unless a query is open on it. */
void session__give(struct engine_session *session, bool is_broken);
/* Before and after a request is out. `ret_epoch` goes with it. ERR_CANCELLED. */
MUST_USE enum err session__begin(struct engine_session *session, uint64_t *ret_epoch,
                                 struct errinfo *info);
void session__end(struct engine_session *session);
/* What to say of a host that did not answer, or not as a host does. */
enum err session__lost(struct engine_session *session, enum err channel_err, struct errinfo *info);

enum err query__open(struct engine_session *session, const struct identity *who, struct slice sql,
                     const struct engine_parameter *parameters, size_t parameter_count,
                     struct engine_query **ret_query, struct errinfo *info);
size_t query__column_count(const struct engine_query *query);
struct engine_column query__column(const struct engine_query *query, size_t index);
enum err query__schema(struct engine_query *query, struct ArrowSchema *ret_schema,
                       struct errinfo *info);
enum err query__next(struct engine_query *query, struct ArrowArray *ret_batch,
                     struct errinfo *info);
void query__cancel(struct engine_query *query);
double query__progress(struct engine_query *query);
void query__close(struct engine_query *query);
/* The session was cancelled with this query open: under the session's lock. */
bool query__was_cancelled(const struct engine_query *query);

/* Urgent, never waits; a host that does not listen is killed. */
void host__urge(struct host *host, uint32_t kind, uint64_t number);

extern const struct engine_module_ops broker__ops;
