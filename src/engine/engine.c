/* The loader: finds and opens the engine module once, checks its version, and hands every call of
 * engine.h to its table.
 *
 * The module is looked for beside the program and in ../lib/moat, never along a search path that
 * an environment variable could change: whoever chooses the module chooses what reads the data.
 * It is never unloaded, since Arrow batches carry release functions that live in it. */
#include "engine/engine.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <unistd.h>

#include "engine/engine_module.h"

static pthread_mutex_t load_lock = PTHREAD_MUTEX_INITIALIZER;
static const struct engine_module_ops *_Atomic loaded_ops; /* NULL until the first engine_open */
static char loaded_path[PATH_MAX];

static const struct engine_module_ops *ops(void)
{
    const struct engine_module_ops *table = loaded_ops;
    ASSERT(table != NULL); /* a handle exists only after engine_open */
    return table;
}

/* Folder of the running program, without the last slash. */
static bool program_folder(char folder[PATH_MAX])
{
    ssize_t len = readlink("/proc/self/exe", folder, PATH_MAX - 1);
    if (len <= 0 || len >= PATH_MAX - 1) {
        return false;
    }
    folder[len] = '\0';
    char *slash = strrchr(folder, '/');
    if (slash == NULL) {
        return false;
    }
    *slash = '\0';
    return true;
}

/* Where an installed program, then a test program (a folder below it) has its module. */
static bool find_module(char path[PATH_MAX])
{
    static const char *const places[] = {"", "/../lib/moat", "/.."};
    char folder[PATH_MAX];
    if (!program_folder(folder)) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_COUNT(places); i++) {
        int len = snprintf(path, PATH_MAX, "%s%s/" ENGINE_MODULE_FILE, folder, places[i]);
        if (len > 0 && len < PATH_MAX && access(path, R_OK) == 0) {
            return true;
        }
    }
    return false;
}

static enum err check_table(const struct engine_module_ops *table, struct errinfo *info)
{
    if (table == NULL || table->version != ENGINE_MODULE_VERSION ||
        table->table_bytes != sizeof(*table)) {
        enum err err =
            errinfo_set(info, ERR_UNSUPPORTED, NULL, "the engine module \"%s\" has version %u",
                        ENGINE_MODULE_FILE, table == NULL ? 0u : table->version);
        errinfo_hint(info, "This program needs version %u: install both from the same release.",
                     ENGINE_MODULE_VERSION);
        return err;
    }
    return ERR_OK;
}

static enum err load_module(const char *path, struct errinfo *info)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library == NULL) {
        const char *reason = dlerror();
        enum err err = errinfo_set(info, ERR_UNSUPPORTED, NULL,
                                   "the engine module \"%s\" cannot be loaded", ENGINE_MODULE_FILE);
        errinfo_detail(info, "%s", reason == NULL ? "unknown reason" : reason);
        errinfo_hint(info, "Install it with its library (libduckdb.so) in one folder.");
        return err;
    }
    /* POSIX gives functions through void *; a union says so without a warning. */
    union {
        void *object;
        engine_module_fn function;
    } entry = {.object = dlsym(library, ENGINE_MODULE_ENTRY)};
    const struct engine_module_ops *table = entry.object == NULL ? NULL : entry.function();
    enum err err = check_table(table, info);
    if (err != ERR_OK) {
        (void)dlclose(library);
        return err;
    }
    (void)snprintf(loaded_path, sizeof(loaded_path), "%s", path);
    loaded_ops = table;
    return ERR_OK;
}

/* Under load_lock. */
static enum err ensure_loaded(const char *wanted_path, struct errinfo *info)
{
    if (loaded_ops != NULL) {
        if (wanted_path != NULL && strcmp(wanted_path, loaded_path) != 0) {
            return errinfo_set(info, ERR_INVALID, NULL,
                               "another engine module than \"%s\" is already loaded", wanted_path);
        }
        return ERR_OK;
    }
    char path[PATH_MAX];
    if (wanted_path == NULL) {
        if (!find_module(path)) {
            enum err err =
                errinfo_set(info, ERR_UNSUPPORTED, NULL,
                            "the engine module \"%s\" is not installed", ENGINE_MODULE_FILE);
            errinfo_hint(info, "Put it beside the program or into ../lib/moat.");
            return err;
        }
        wanted_path = path;
    }
    return load_module(wanted_path, info);
}

enum err engine_open(const struct engine_options *options, struct engine **ret_engine,
                     struct errinfo *info)
{
    ASSERT(options != NULL && ret_engine != NULL);
    pthread_mutex_lock(&load_lock);
    enum err err = ensure_loaded(options->module_path, info);
    pthread_mutex_unlock(&load_lock);
    return err != ERR_OK ? err : ops()->open(options, ret_engine, info);
}

void engine_close(struct engine *engine)
{
    if (engine != NULL) {
        ops()->close(engine);
    }
}

const char *engine_version(const struct engine *engine)
{
    return ops()->version_text(engine);
}

uint64_t engine_memory_bytes(struct engine *engine)
{
    return ops()->memory_bytes(engine);
}

enum err engine_session_open(struct engine *engine, struct engine_session **ret_session,
                             struct errinfo *info)
{
    return ops()->session_open(engine, ret_session, info);
}

void engine_session_close(struct engine_session *session)
{
    if (session != NULL) {
        ops()->session_close(session);
    }
}

void engine_session_cancel(struct engine_session *session)
{
    ops()->session_cancel(session);
}

void engine_session_ready(struct engine_session *session)
{
    ops()->session_ready(session);
}

enum err engine_parse(struct engine_session *session, struct slice sql, struct buf *ret_json,
                      struct errinfo *info)
{
    return ops()->parse(session, sql, ret_json, info);
}

enum err engine_deparse(struct engine_session *session, struct slice json, struct buf *ret_sql,
                        struct errinfo *info)
{
    return ops()->deparse(session, json, ret_sql, info);
}

enum err engine_functions(struct engine_session *session, struct buf *ret_lines,
                          struct errinfo *info)
{
    return ops()->functions(session, ret_lines, info);
}

enum err engine_describe(struct engine_session *session, const struct identity *who,
                         struct slice physical_sql, struct arena *arena,
                         struct engine_column **ret_columns, size_t *ret_count,
                         struct errinfo *info)
{
    ASSERT(who != NULL);
    return ops()->describe(session, physical_sql, arena, ret_columns, ret_count, info);
}

enum err engine_describe_parameters(struct engine_session *session, const struct identity *who,
                                    struct slice physical_sql, struct arena *arena,
                                    struct slice **ret_types, size_t *ret_count,
                                    struct errinfo *info)
{
    ASSERT(who != NULL);
    return ops()->describe_parameters(session, physical_sql, arena, ret_types, ret_count, info);
}

enum err engine_explain(struct engine_session *session, const struct identity *who,
                        struct slice physical_sql, bool is_analyze, struct buf *ret_json,
                        struct errinfo *info)
{
    ASSERT(who != NULL);
    return ops()->explain(session, physical_sql, is_analyze, ret_json, info);
}

enum err engine_grant_open(struct engine *engine, const struct identity *who,
                           const struct engine_grant_spec *spec, struct engine_grant **ret_grant,
                           struct errinfo *info)
{
    ASSERT(who != NULL && spec != NULL);
    return ops()->grant_open(engine, spec, ret_grant, info);
}

void engine_grant_close(struct engine_grant *grant)
{
    if (grant != NULL) {
        ops()->grant_close(grant);
    }
}

void engine_grant_uri(const struct engine_grant *grant, size_t index, struct buf *ret_uri)
{
    ops()->grant_uri(grant, index, ret_uri);
}

void engine_grant_uri_out(const struct engine_grant *grant, size_t index, struct buf *ret_uri)
{
    ops()->grant_uri_out(grant, index, ret_uri);
}

void engine_grant_uri_scan(const struct engine_grant *grant, size_t index, struct buf *ret_uri)
{
    ops()->grant_uri_scan(grant, index, ret_uri);
}

struct engine_grant_counters engine_grant_count(const struct engine_grant *grant)
{
    return ops()->grant_count(grant);
}

enum err engine_query_open(struct engine_session *session, const struct identity *who,
                           struct slice physical_sql, const struct engine_parameter *parameters,
                           size_t parameter_count, struct engine_query **ret_query,
                           struct errinfo *info)
{
    ASSERT(who != NULL);
    return ops()->query_open(session, physical_sql, parameters, parameter_count, ret_query, info);
}

size_t engine_query_column_count(const struct engine_query *query)
{
    return ops()->query_column_count(query);
}

struct engine_column engine_query_column(const struct engine_query *query, size_t index)
{
    return ops()->query_column(query, index);
}

enum err engine_query_schema(struct engine_query *query, struct ArrowSchema *ret_schema,
                             struct errinfo *info)
{
    return ops()->query_schema(query, ret_schema, info);
}

enum err engine_query_next(struct engine_query *query, struct ArrowArray *ret_batch,
                           struct errinfo *info)
{
    return ops()->query_next(query, ret_batch, info);
}

void engine_query_cancel(struct engine_query *query)
{
    ops()->query_cancel(query);
}

double engine_query_progress(struct engine_query *query)
{
    return ops()->query_progress(query);
}

void engine_query_close(struct engine_query *query)
{
    if (query != NULL) {
        ops()->query_close(query);
    }
}
