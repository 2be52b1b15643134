/* What the loader (engine.c) and the engine module (duckdb/) agree on: one versioned table of
 * functions, one for each of engine.h.
 *
 * The program links nothing of the engine; it opens the module on first use, so that a program
 * that never runs SQL never pays for it, and a broker can do without it altogether. */
#pragma once

#include "engine/engine.h"

/* Raised with every change of this table or of a struct in engine.h. */
#define ENGINE_MODULE_VERSION 7u
#define ENGINE_MODULE_FILE "libmoat_engine.so"
#define ENGINE_MODULE_ENTRY "moat_engine_module"

/* Every handle (engine, session, grant, query) has a pointer to this table as its first member:
 * engines of both kinds, in this process and in hosts (host/), can live side by side. */
struct engine_module_ops {
    uint32_t version;     /* ENGINE_MODULE_VERSION; stays the first member for ever */
    uint32_t table_bytes; /* sizeof(struct engine_module_ops) */

    enum err (*open)(const struct engine_options *, struct engine **, struct errinfo *);
    void (*close)(struct engine *);
    const char *(*version_text)(const struct engine *);
    uint64_t (*memory_bytes)(struct engine *);

    enum err (*session_open)(struct engine *, const struct identity *, struct engine_session **,
                             struct errinfo *);
    void (*session_close)(struct engine_session *);
    void (*session_cancel)(struct engine_session *);
    void (*session_ready)(struct engine_session *);
    void (*session_set_memory)(struct engine_session *, uint64_t);
    enum err (*parse)(struct engine_session *, struct slice, struct buf *, struct errinfo *);
    enum err (*deparse)(struct engine_session *, struct slice, struct buf *, struct errinfo *);
    enum err (*functions)(struct engine_session *, struct buf *, struct errinfo *);
    enum err (*describe)(struct engine_session *, const struct identity *, struct slice,
                         struct arena *, struct engine_column **, size_t *, struct errinfo *);
    enum err (*describe_parameters)(struct engine_session *, const struct identity *, struct slice,
                                    struct arena *, struct slice **, size_t *, struct errinfo *);
    enum err (*explain)(struct engine_session *, const struct identity *, struct slice, bool,
                        struct buf *, struct errinfo *);

    enum err (*grant_open)(struct engine *, const struct identity *,
                           const struct engine_grant_spec *, struct engine_grant **,
                           struct errinfo *);
    void (*grant_close)(struct engine_grant *);
    void (*grant_uri)(const struct engine_grant *, size_t, struct buf *);
    void (*grant_uri_out)(const struct engine_grant *, size_t, struct buf *);
    void (*grant_uri_scan)(const struct engine_grant *, size_t, struct buf *);
    void (*grant_uri_rows)(const struct engine_grant *, struct buf *);
    struct engine_grant_counters (*grant_count)(const struct engine_grant *);

    enum err (*query_open)(struct engine_session *, const struct identity *, struct slice,
                           const struct engine_parameter *, size_t, struct engine_query **,
                           struct errinfo *);
    size_t (*query_column_count)(const struct engine_query *);
    struct engine_column (*query_column)(const struct engine_query *, size_t);
    enum err (*query_schema)(struct engine_query *, struct ArrowSchema *, struct errinfo *);
    enum err (*query_next)(struct engine_query *, struct ArrowArray *, struct errinfo *);
    void (*query_cancel)(struct engine_query *);
    double (*query_progress)(struct engine_query *);
    void (*query_close)(struct engine_query *);
};

typedef const struct engine_module_ops *(*engine_module_fn)(void);

/* What a pool of hosts begins with: the loader knows no more of it. */
struct engine_hosts_base {
    const struct engine_module_ops *ops;
};
