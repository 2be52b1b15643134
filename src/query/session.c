/* Sessions: one person, one engine connection, their settings and prepared statements. */
#include "base/mem.h"
#include "query/admission/admission_int.h"
#include "query/run/run_int.h"
#include "sql/functions.h"
#include "sql/scan.h"

enum err session_open(struct warehouse *warehouse, struct identity *who,
                      struct session **ret_session, struct errinfo *info)
{
    struct session *session CLEANUP(session_cleanup) = mem_calloc(1, sizeof(*session));
    if (session == NULL) {
        return errinfo_nomem(info);
    }
    pthread_mutex_init(&session->lock, NULL);
    session->warehouse = warehouse;
    atomic_fetch_add(&warehouse->session_count, 1);
    session->who = identity_ref(who);
    session->default_catalog = mem_strdup(SQL_CATALOG_DEFAULT);
    session->default_schema = mem_strdup(SQL_SCHEMA_DEFAULT);
    if (session->default_catalog == NULL || session->default_schema == NULL) {
        return errinfo_nomem(info);
    }
    TRY(config_copy(warehouse->config, &session->config, info));
    TRY(workspace_new(&session->workspace, info));
    TRY(engine_session_open(warehouse->engine, who, &session->engine, info));
    *ret_session = TAKE(session);
    return ERR_OK;
}

enum err session_fork_apart(const struct session *session, struct session **ret_session,
                            struct errinfo *info)
{
    struct session *fork CLEANUP(session_cleanup) = NULL;
    struct config *config;
    TRY(session_open(session->warehouse, session->who, &fork, info));
    TRY(config_copy(session->config, &config, info));
    config_free(fork->config);
    fork->config = config;
    mem_free(fork->default_catalog);
    mem_free(fork->default_schema);
    fork->default_catalog = mem_strdup(session->default_catalog);
    fork->default_schema = mem_strdup(session->default_schema);
    if (fork->default_catalog == NULL || fork->default_schema == NULL) {
        return errinfo_nomem(info);
    }
    fork->protocol = session->protocol;
    fork->client = session->client;
    *ret_session = TAKE(fork);
    return ERR_OK;
}

enum err session_fork(const struct session *session, struct session **ret_session,
                      struct errinfo *info)
{
    struct session *fork;
    TRY(session_fork_apart(session, &fork, info));
    fork->system_version = session->system_version;
    workspace_unref(fork->workspace);
    fork->workspace = workspace_ref(session->workspace);
    *ret_session = fork;
    return ERR_OK;
}

/* So that the trail says what became of the changes in it. Whoever may ask nothing any more has
 * them rolled back without a word. */
static void roll_back(struct session *session)
{
    struct query *query = NULL;
    bool is_last = session->workspace != NULL && workspace_is_last(session->workspace);
    if (is_last && session->engine != NULL && session_has_changes(session)) {
        enum err err = query_open(session, SLICE("ROLLBACK"), NULL, 0, &query, NULL);
        if (err == ERR_OK) {
            query_close(query);
        }
    }
}

void session_close(struct session *session)
{
    if (session == NULL) {
        return;
    }
    ASSERT(session->query == NULL);
    if (session->engine != NULL) {
        session_resume(session); /* its last statement is ours */
    }
    roll_back(session);
    session_drop_prepared(session, (struct slice){"", 0});
    engine_session_close(session->engine);
    workspace_unref(session->workspace);
    config_free(session->config);
    session_limits_free(session->limits);
    identity_unref(session->who);
    identity_unref(session->printed);
    buf_fini(&session->audit_who);
    mem_free(session->default_catalog);
    mem_free(session->default_schema);
    atomic_fetch_sub(&session->warehouse->session_count, 1);
    pthread_mutex_destroy(&session->lock);
    mem_free(session);
}

const struct identity *session_identity(const struct session *session)
{
    return session->who;
}

void session_set_protocol(struct session *session, enum session_protocol protocol)
{
    session->protocol = protocol;
}

const struct config *session_config(const struct session *session)
{
    return session->config;
}

struct slice session_catalog(const struct session *session)
{
    return slice_of(session->default_catalog);
}

struct slice session_schema(const struct session *session)
{
    return slice_of(session->default_schema);
}

void session_cancel(struct session *session)
{
    pthread_mutex_lock(&session->lock);
    if (session->query != NULL) {
        query_cancel_locked(session->query);
    }
    pthread_mutex_unlock(&session->lock);
}

void session_stop(struct session *session)
{
    pthread_mutex_lock(&session->lock);
    atomic_store(&session->is_stopped, true);
    if (session->query != NULL) {
        query_cancel_locked(session->query);
    } else {
        engine_session_cancel(session->engine); /* of what is asked beside queries */
    }
    pthread_mutex_unlock(&session->lock);
}

void session_resume(struct session *session)
{
    pthread_mutex_lock(&session->lock);
    if (atomic_exchange(&session->is_stopped, false) && session->query == NULL) {
        engine_session_ready(session->engine);
    }
    pthread_mutex_unlock(&session->lock);
}

double session_progress(struct session *session)
{
    pthread_mutex_lock(&session->lock);
    struct query *query = session->query;
    double progress = query == NULL ? -1 : query_percent(query);
    pthread_mutex_unlock(&session->lock);
    return progress;
}

/* An empty name drops all. */
void session_drop_prepared(struct session *session, struct slice name)
{
    struct prepared **link = &session->prepared;
    while (*link != NULL) {
        struct prepared *prepared = *link;
        if (name.len == 0 || slice_equal_fold(slice_of(prepared->name), name)) {
            *link = prepared->next;
            mem_free(prepared->name);
            mem_free(prepared->text);
            mem_free(prepared);
        } else {
            link = &prepared->next;
        }
    }
}

/* ---- completion ---- */

struct collector {
    struct arena *arena;
    struct slice prefix;
    struct completion *items;
    size_t count;
    size_t capacity;
    bool failed;
};

static void collect(struct collector *c, enum completion_kind kind, struct slice text)
{
    if (c->failed || !slice_starts_with_fold(text, c->prefix)) {
        return;
    }
    if (c->count == c->capacity) {
        size_t capacity = c->capacity == 0 ? 64 : c->capacity * 2;
        struct completion *grown = arena_calloc(c->arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            c->failed = true;
            return;
        }
        if (c->count > 0) {
            memcpy(grown, c->items, c->count * sizeof(*grown));
        }
        c->items = grown;
        c->capacity = capacity;
    }
    c->items[c->count++] = (struct completion){kind, text};
}

static int compare_completions(const void *a, const void *b)
{
    const struct completion *left = a;
    const struct completion *right = b;
    return slice_compare_fold(left->text, right->text);
}

enum err session_complete(struct session *session, struct slice prefix, struct arena *arena,
                          struct completion **ret_items, size_t *ret_count, struct errinfo *info)
{
    struct collector c = {.arena = arena, .prefix = prefix};
    struct catalog_visible *visible;
    size_t visible_count;
    if (session->query == NULL) {
        TRY(session_check(session, info));
    }
    TRY(resolve_visible(session, session->who, arena, &visible, &visible_count, info));
    for (size_t i = 0; i < visible_count; i++) {
        collect(&c, COMPLETE_RELATION, visible[i].relation->name.name);
        collect(&c, COMPLETE_SCHEMA, visible[i].relation->name.schema);
        collect(&c, COMPLETE_SCHEMA, visible[i].relation->name.catalog);
        for (size_t j = 0; j < visible[i].column_count; j++) {
            collect(&c, COMPLETE_COLUMN, visible[i].columns[j]->name);
        }
    }
    collect(&c, COMPLETE_SCHEMA, SLICE(SQL_SCHEMA_SYSTEM));
    collect(&c, COMPLETE_SCHEMA, SLICE(SQL_SCHEMA_INFORMATION));
    const struct sql_function *function;
    for (size_t i = 0; (function = sql_function_at(i)) != NULL; i++) {
        char first = function->name[0];
        if (function->class != FUNCTION_REFUSED && function->class != FUNCTION_MASK &&
            first >= 'a' && first <= 'z') {
            collect(&c, COMPLETE_FUNCTION, slice_of(function->name));
        }
    }
    for (size_t i = 0; i < sql_keyword_count; i++) {
        collect(&c, COMPLETE_KEYWORD, slice_of(sql_keywords[i]));
    }
    if (c.failed) {
        return errinfo_nomem(info);
    }
    if (c.count > 0) {
        qsort(c.items, c.count, sizeof(*c.items), compare_completions);
    }
    size_t kept = 0;
    for (size_t i = 0; i < c.count; i++) {
        if (kept == 0 || !slice_equal_fold(c.items[kept - 1].text, c.items[i].text)) {
            c.items[kept++] = c.items[i];
        }
    }
    *ret_items = c.items;
    *ret_count = kept;
    return ERR_OK;
}
