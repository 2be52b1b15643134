/* The engine behind one C interface: physical SQL and grants in, an Arrow stream out.
 *
 * The engine is DuckDB in libmoat_engine.so, loaded on first use. It may open nothing but
 * `moat://<grant>/<n>[.ext]`, which its file system adapter reads through the callbacks of an open
 * grant: it never sees a user's table name, a path or a secret. External access is off, settings
 * are locked, extension loading is off. Parsing and printing of syntax trees touch no data and take
 * no identity; everything else does.
 * Thread rule: an engine may be used by many threads; a session (one connection) by one at a time,
 * except engine_session_cancel, engine_query_cancel and engine_query_progress, which any thread may
 * call. */
#pragma once

#include "arrow/arrow.h"
#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"
#include "identity/identity.h"

struct engine;
struct engine_session;
struct engine_grant;
struct engine_query;
struct engine_scan_spec; /* engine/scan.h */
struct engine_hosts;     /* engine/host/host.h */

/* Where the engine spills, if not by path: files that somebody else opens for it, so that it needs
 * no file system. Both from any thread; names are of letters, digits, '.', '_' and '-'. */
struct engine_spill {
    enum err (*open)(void *context, const char *name, bool may_create, int *ret_fd,
                     struct errinfo *info); /* ERR_NOT_FOUND; the caller closes */
    enum err (*remove)(void *context, const char *name, struct errinfo *info);
    void *context;
};

/* The sha256 mask of values that somebody else computes, who has the key: hex texts of 64 bytes.
 * From any thread. */
struct engine_mask {
    enum err (*hash)(void *context, const struct slice *values, size_t count, char (*ret_hex)[65],
                     struct errinfo *info);
    void *context;
};

struct engine_options {
    uint64_t memory_bytes_max; /* 0 = the engine's default (80 % of RAM); the warehouse
                                * always gives one (60 %) */
    unsigned thread_count;     /* 0 = processors */
    const char *temp_folder;   /* NULL = no spilling */
    uint64_t temp_bytes_max;   /* 0 = unlimited */
    struct slice mask_key;     /* keys the sha256 mask; copied, wiped on close */
    const char *module_path;   /* NULL = libmoat_engine.so beside the program or in lib/moat */
    /* NULL = the engine runs in this process; else in these hosts, and only `mask_key` and the
     * limits above are looked at. Outlives the engine. */
    struct engine_hosts *hosts;
    const struct engine_spill *spill; /* NULL = by temp_folder; copied */
    const struct engine_mask *mask;   /* NULL = by mask_key; copied */
};

/* ERR_UNSUPPORTED if the module or its library cannot be loaded or has the wrong version. */
MUST_USE enum err engine_open(const struct engine_options *options, struct engine **ret_engine,
                              struct errinfo *info);
void engine_close(struct engine *engine); /* after all sessions, queries and grants are closed */
DEFINE_CLEANUP(struct engine, engine_cleanup, engine_close)
const char *engine_version(const struct engine *engine);

/* `who` is whose statements the session will parse: those of another must not reach the same
 * host. What touches data names its person again. */
MUST_USE enum err engine_session_open(struct engine *engine, const struct identity *who,
                                      struct engine_session **ret_session, struct errinfo *info);
void engine_session_close(struct engine_session *session);
DEFINE_CLEANUP(struct engine_session, engine_session_cleanup, engine_session_close)

/* Stops whatever the session does, be it a query, EXPLAIN, a binding or a read in them. From any
 * thread; sticky: until engine_session_ready, all that the session is asked to do is ERR_CANCELLED,
 * also what was asked before and starts only now. */
void engine_session_cancel(struct engine_session *session);
void engine_session_ready(struct engine_session *session); /* from any thread */

/* What the session's next query or EXPLAIN may take; 0 = what the engine may. For sessions that
 * have their engine to themselves, as those in hosts do while they ask: it is its limit. */
void engine_session_set_memory(struct engine_session *session, uint64_t memory_bytes_max);

/* SQL text (one or more SELECT-shaped statements) to the engine's JSON syntax tree, appended.
 * ERR_SYNTAX (42601) with position in `sql`; ERR_UNSUPPORTED for other statements. */
MUST_USE enum err engine_parse(struct engine_session *session, struct slice sql,
                               struct buf *ret_json, struct errinfo *info);

/* A JSON syntax tree (document of one statement) to SQL text, appended. */
MUST_USE enum err engine_deparse(struct engine_session *session, struct slice json,
                                 struct buf *ret_sql, struct errinfo *info);

/* ---- grants: what one query may read, and count ---- */

struct engine_object {
    uint64_t size_bytes;
    int64_t modified_us;
    struct slice etag;
    struct slice extension; /* "", ".csv.gz", "/year=2024/f.gz": the engine looks at it */
    bool has_hidden; /* the file's bounds are of rows too that are hidden: not for planning */
};

/* Reads exactly `len` bytes of object `index` at `offset`; may be called from several engine
 * threads at once. A failure's message reaches the user. */
typedef enum err (*engine_read_fn)(void *context, size_t index, uint64_t offset, void *ret_bytes,
                                   size_t len, struct errinfo *info);

/* Optional sink of written bytes (COPY TO): object `index`, appended in order. `len` 0: it is
 * whole, and nothing follows; one that is never told so was given up. */
typedef enum err (*engine_write_fn)(void *context, size_t index, const void *bytes, size_t len,
                                    struct errinfo *info);

/* Rows that the program hands in, as one relation: moat_rows('moat://<grant>/rows'), read once. */
struct engine_rows {
    const struct ArrowSchema *schema; /* a struct of columns */
    /* The next batch, which is the engine's from then on; at the end ret_batch->release is NULL.
     * May wait, also for long: whoever cancels the query wakes it. Calls follow each other, but not
     * from one thread. */
    enum err (*next)(void *context, struct ArrowArray *ret_batch, struct errinfo *info);
    void *context;
};

struct engine_grant_spec {
    const struct engine_object *objects; /* copied */
    size_t object_count;
    engine_read_fn read;
    engine_write_fn write; /* NULL: nothing may be written; then object_count is the number of
                              readable objects; writable ones are engine_grant_uri_out */
    size_t writable_count;
    void *context;           /* outlives the grant */
    int64_t expires_wall_us; /* 0 = with the grant */
    /* Relations of many files, which are no objects of the grant. The list is copied; what it
     * points to, and what that points to, outlives the grant. */
    const struct engine_scan_spec *const *scans;
    size_t scan_count;
    const struct engine_rows *rows; /* NULL: none; it and its schema outlive the grant */
};

MUST_USE enum err engine_grant_open(struct engine *engine, const struct identity *who,
                                    const struct engine_grant_spec *spec,
                                    struct engine_grant **ret_grant, struct errinfo *info);
/* After this no read through it succeeds; waits for reads in flight. */
void engine_grant_close(struct engine_grant *grant);
DEFINE_CLEANUP(struct engine_grant, engine_grant_cleanup, engine_grant_close)

/* Appends "moat://<grant>/<index><extension>", unguessable. */
void engine_grant_uri(const struct engine_grant *grant, size_t index, struct buf *ret_uri);
void engine_grant_uri_out(const struct engine_grant *grant, size_t index, struct buf *ret_uri);
/* Appends "moat://<grant>/out": the folder of all sinks. A COPY into it with FILENAME_PATTERN
 * 'f{i}' writes its file i to sink i; several at once, each from front to back. */
void engine_grant_uri_folder(const struct engine_grant *grant, struct buf *ret_uri);
/* Appends "moat://<grant>/s<index>", which moat_scan('...') reads. */
void engine_grant_uri_scan(const struct engine_grant *grant, size_t index, struct buf *ret_uri);
/* Appends "moat://<grant>/rows", which moat_rows('...') reads. */
void engine_grant_uri_rows(const struct engine_grant *grant, struct buf *ret_uri);

struct engine_grant_counters {
    uint64_t files_opened;
    uint64_t bytes_read;
    uint64_t bytes_written;
};
struct engine_grant_counters engine_grant_count(const struct engine_grant *grant);

/* ---- queries ---- */

enum engine_parameter_type {
    PARAMETER_NULL,
    PARAMETER_BOOL,
    PARAMETER_I64,
    PARAMETER_DOUBLE,
    PARAMETER_TEXT
};

struct engine_parameter {
    enum engine_parameter_type type;
    bool boolean;
    int64_t integer;
    double real;
    struct slice text; /* also dates and decimals: the engine converts */
};

struct engine_column {
    struct slice name;
    struct slice type; /* the engine's type text */
};

/* Binds without running and gives the result's columns, in `arena`. */
MUST_USE enum err engine_describe(struct engine_session *session, const struct identity *who,
                                  struct slice physical_sql, struct arena *arena,
                                  struct engine_column **ret_columns, size_t *ret_count,
                                  struct errinfo *info);

/* Binds without running and gives the type that each parameter is converted to, in `arena`: an
 * empty slice where the statement does not say. */
MUST_USE enum err engine_describe_parameters(struct engine_session *session,
                                             const struct identity *who, struct slice physical_sql,
                                             struct arena *arena, struct slice **ret_types,
                                             size_t *ret_count, struct errinfo *info);

/* Starts a query. Rows are made as the stream is pulled; at most one query a session at a time.
 * Nothing of the result is produced before the first pull. Parameters are 1-based $1.. in order.
 * Errors carry the SQLSTATE mapped from the engine's exception type, the engine's message without
 * its "LINE 1:" excerpt, its suggestions as hint, and no position. */
MUST_USE enum err engine_query_open(struct engine_session *session, const struct identity *who,
                                    struct slice physical_sql,
                                    const struct engine_parameter *parameters,
                                    size_t parameter_count, struct engine_query **ret_query,
                                    struct errinfo *info);
size_t engine_query_column_count(const struct engine_query *query);
struct engine_column engine_query_column(const struct engine_query *query, size_t index);

MUST_USE enum err engine_query_schema(struct engine_query *query, struct ArrowSchema *ret_schema,
                                      struct errinfo *info);
/* The next batch; at the end ret_batch->release is NULL. After an error or the end, only close.
 * ERR_CANCELLED after engine_query_cancel. */
MUST_USE enum err engine_query_next(struct engine_query *query, struct ArrowArray *ret_batch,
                                    struct errinfo *info);
/* From any thread; sticky: a query cancelled before it starts never runs. */
void engine_query_cancel(struct engine_query *query);
/* Percent done, or -1 when unknown. From any thread. */
double engine_query_progress(struct engine_query *query);
void engine_query_close(struct engine_query *query);
DEFINE_CLEANUP(struct engine_query, engine_query_cleanup, engine_query_close)

/* EXPLAIN [ANALYZE] as JSON text of the engine, appended. Stopped by engine_session_cancel. */
MUST_USE enum err engine_explain(struct engine_session *session, const struct identity *who,
                                 struct slice physical_sql, bool is_analyze, struct buf *ret_json,
                                 struct errinfo *info);

/* Every function of the engine (for the allow list's test): one JSON object per line with name,
 * type, can_throw, arguments. */
MUST_USE enum err engine_functions(struct engine_session *session, struct buf *ret_lines,
                                   struct errinfo *info);

uint64_t engine_memory_bytes(struct engine *engine);
