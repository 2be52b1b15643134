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

/* Every handle begins with the table of the engine that it belongs to. */
static const struct engine_module_ops *ops(const void *handle)
{
    ASSERT(handle != NULL);
    return *(const struct engine_module_ops *const *)handle;
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
    if (options->hosts != NULL) {
        return ops(options->hosts)->open(options, ret_engine, info);
    }
    pthread_mutex_lock(&load_lock);
    enum err err = ensure_loaded(options->module_path, info);
    pthread_mutex_unlock(&load_lock);
    return err != ERR_OK ? err : loaded_ops->open(options, ret_engine, info);
}

void engine_close(struct engine *engine)
{
    if (engine != NULL) {
        ops(engine)->close(engine);
    }
}

const char *engine_version(const struct engine *engine)
{
    return ops(engine)->version_text(engine);
}

uint64_t engine_memory_bytes(struct engine *engine)
{
    return ops(engine)->memory_bytes(engine);
}

enum err engine_session_open(struct engine *engine, const struct identity *who,
                             struct engine_session **ret_session, struct errinfo *info)
{
    ASSERT(who != NULL);
    return ops(engine)->session_open(engine, who, ret_session, info);
}

void engine_session_close(struct engine_session *session)
{
    if (session != NULL) {
        ops(session)->session_close(session);
    }
}

void engine_session_cancel(struct engine_session *session)
{
    ops(session)->session_cancel(session);
}

void engine_session_ready(struct engine_session *session)
{
    ops(session)->session_ready(session);
}

void engine_session_set_memory(struct engine_session *session, uint64_t memory_bytes_max)
{
    ops(session)->session_set_memory(session, memory_bytes_max);
}

enum err engine_parse(struct engine_session *session, struct slice sql, struct buf *ret_json,
                      struct errinfo *info)
{
    return ops(session)->parse(session, sql, ret_json, info);
}

enum err engine_deparse(struct engine_session *session, struct slice json, struct buf *ret_sql,
                        struct errinfo *info)
{
    return ops(session)->deparse(session, json, ret_sql, info);
}

enum err engine_functions(struct engine_session *session, struct buf *ret_lines,
                          struct errinfo *info)
{
    return ops(session)->functions(session, ret_lines, info);
}

enum err engine_describe(struct engine_session *session, const struct identity *who,
                         struct slice physical_sql, struct arena *arena,
                         struct engine_column **ret_columns, size_t *ret_count,
                         struct errinfo *info)
{
    ASSERT(who != NULL);
    return ops(session)->describe(session, who, physical_sql, arena, ret_columns, ret_count, info);
}

enum err engine_describe_parameters(struct engine_session *session, const struct identity *who,
                                    struct slice physical_sql, struct arena *arena,
                                    struct slice **ret_types, size_t *ret_count,
                                    struct errinfo *info)
{
    ASSERT(who != NULL);
    return ops(session)->describe_parameters(session, who, physical_sql, arena, ret_types,
                                             ret_count, info);
}

enum err engine_explain(struct engine_session *session, const struct identity *who,
                        struct slice physical_sql, bool is_analyze, struct buf *ret_json,
                        struct errinfo *info)
{
    ASSERT(who != NULL);
    return ops(session)->explain(session, who, physical_sql, is_analyze, ret_json, info);
}

static bool holds_only(struct slice text, const char *marks)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c != '\0' && strchr(marks, c) != NULL))) {
            return false;
        }
    }
    return true;
}

static struct slice slice_from(struct slice text, size_t at)
{
    return (struct slice){text.ptr + at, text.len - at};
}

/* "/year=2024": a folder of a partition, at the start of `text`; its length, or 0. */
static size_t partition_len(struct slice text)
{
    size_t len = slice_find(slice_from(text, 1), SLICE("/"));
    struct slice folder = {text.ptr + 1, len == SIZE_MAX ? 0 : len};
    size_t equals = slice_find(folder, SLICE("="));
    bool is_one = equals != SIZE_MAX && equals > 0 &&
                  holds_only((struct slice){folder.ptr, equals}, "_") &&
                  holds_only(slice_from(folder, equals + 1), "._-~+%");
    return is_one ? len + 1 : 0;
}

/* "", ".csv.gz", or folders of partitions before one: "/year=2024/f.gz". It becomes part of an
 * address, so nothing else may be in it (addresses are cut out of messages). */
static bool is_extension(struct slice text)
{
    if (text.len > 4096) {
        return false;
    }
    while (text.len > 0 && text.ptr[0] == '/') {
        size_t len = partition_len(text);
        if (len > 0) {
            text = slice_from(text, len);
            continue;
        }
        if (text.len < 2 || text.ptr[1] != 'f') { /* the file's name */
            return false;
        }
        text = slice_from(text, 2);
        break;
    }
    return text.len <= 32 && (text.len == 0 || text.ptr[0] == '.') && holds_only(text, "._-");
}

static enum err check_extensions(const struct engine_grant_spec *spec, struct errinfo *info)
{
    for (size_t i = 0; i < spec->object_count; i++) {
        if (!is_extension(spec->objects[i].extension)) {
            return errinfo_set(info, ERR_INVALID, NULL,
                               "\"%.*s\" cannot be the extension of an object",
                               SLICE_ARGS(spec->objects[i].extension));
        }
    }
    return ERR_OK;
}

enum err engine_grant_open(struct engine *engine, const struct identity *who,
                           const struct engine_grant_spec *spec, struct engine_grant **ret_grant,
                           struct errinfo *info)
{
    ASSERT(who != NULL && spec != NULL);
    ASSERT(spec->object_count == 0 || spec->read != NULL);
    TRY(check_extensions(spec, info));
    return ops(engine)->grant_open(engine, who, spec, ret_grant, info);
}

void engine_grant_close(struct engine_grant *grant)
{
    if (grant != NULL) {
        ops(grant)->grant_close(grant);
    }
}

void engine_grant_uri(const struct engine_grant *grant, size_t index, struct buf *ret_uri)
{
    ops(grant)->grant_uri(grant, index, ret_uri);
}

void engine_grant_uri_out(const struct engine_grant *grant, size_t index, struct buf *ret_uri)
{
    ops(grant)->grant_uri_out(grant, index, ret_uri);
}

void engine_grant_uri_folder(const struct engine_grant *grant, struct buf *ret_uri)
{
    size_t before = ret_uri->len;
    ops(grant)->grant_uri_out(grant, 0, ret_uri);
    while (ret_uri->len > before && ret_uri->ptr[ret_uri->len - 1] != 't') {
        ret_uri->ptr[--ret_uri->len] = '\0'; /* the number behind "out" */
    }
}

void engine_grant_uri_scan(const struct engine_grant *grant, size_t index, struct buf *ret_uri)
{
    ops(grant)->grant_uri_scan(grant, index, ret_uri);
}

void engine_grant_uri_rows(const struct engine_grant *grant, struct buf *ret_uri)
{
    ops(grant)->grant_uri_rows(grant, ret_uri);
}

struct engine_grant_counters engine_grant_count(const struct engine_grant *grant)
{
    return ops(grant)->grant_count(grant);
}

enum err engine_query_open(struct engine_session *session, const struct identity *who,
                           struct slice physical_sql, const struct engine_parameter *parameters,
                           size_t parameter_count, struct engine_query **ret_query,
                           struct errinfo *info)
{
    ASSERT(who != NULL);
    return ops(session)->query_open(session, who, physical_sql, parameters, parameter_count,
                                    ret_query, info);
}

size_t engine_query_column_count(const struct engine_query *query)
{
    return ops(query)->query_column_count(query);
}

struct engine_column engine_query_column(const struct engine_query *query, size_t index)
{
    return ops(query)->query_column(query, index);
}

enum err engine_query_schema(struct engine_query *query, struct ArrowSchema *ret_schema,
                             struct errinfo *info)
{
    return ops(query)->query_schema(query, ret_schema, info);
}

enum err engine_query_next(struct engine_query *query, struct ArrowArray *ret_batch,
                           struct errinfo *info)
{
    return ops(query)->query_next(query, ret_batch, info);
}

void engine_query_cancel(struct engine_query *query)
{
    ops(query)->query_cancel(query);
}

double engine_query_progress(struct engine_query *query)
{
    return ops(query)->query_progress(query);
}

void engine_query_close(struct engine_query *query)
{
    if (query != NULL) {
        ops(query)->query_close(query);
    }
}
