/* Plans that were made before: for the same text, person, place and store, over the same files. */
#include "query/lake/lake_int.h"
#include "query/plan/plan_int.h"
#include "query/lake/stores_int.h"

/* The objects of each table, listed now as the person, are those the plan was made with. */
static bool are_current(struct session *session, const struct plan *plan)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "plan check", 0);
    bool is_same = arena != NULL;
    for (size_t i = 0; is_same && i < plan->table_count; i++) {
        const struct plan_table *table = &plan->tables[i];
        struct relation now;
        struct errinfo ignored;
        if (table->relation->kind != RELATION_TABLE) {
            continue; /* views change only with the store's version */
        }
        if (table->relation->lake != NULL) {
            is_same = lake_is_current(session, table->relation);
            continue;
        }
        is_same = catalog_load(session_store(session), table->who, &table->relation->name, true,
                               arena, &now, &ignored) == ERR_OK &&
                  now.object_count == table->object_count &&
                  now.version == table->relation->version;
        for (size_t o = 0; is_same && o < now.object_count; o++) {
            const struct relation_object *then = plan->objects[table->object_first + o];
            is_same = slice_equal(now.objects[o].location, then->location) &&
                      slice_equal(now.objects[o].etag, then->etag) &&
                      now.objects[o].size_bytes == then->size_bytes;
        }
    }
    return is_same;
}

/* Catalogs elsewhere are asked about all tables at once. */
static bool is_current(struct session *session, const struct plan *plan)
{
    struct rest *rest = plan->lake_count < 2 ? NULL : warehouse_rest_in_use(session->warehouse);
    struct rest_ahead *ahead = NULL;
    if (plan->table_count == 0) {
        return true;
    }
    if (rest != NULL && rest_ahead_new(rest, &ahead, NULL) == ERR_OK) {
        session->ahead = ahead;
        for (size_t i = 0; i < plan->table_count; i++) {
            if (plan->tables[i].relation->lake != NULL) {
                lake_check_ahead(session, plan->tables[i].relation);
            }
        }
    }
    bool is_same = are_current(session, plan);
    session->ahead = NULL;
    rest_ahead_free(ahead);
    return is_same;
}

static uint64_t key_of(const struct session *session, struct slice text, uint64_t version)
{
    uint64_t seed = identity_fingerprint(session->who) ^
                    hash_xx64(slice_of(session->default_schema),
                              hash_xx64(slice_of(session->default_catalog), version));
    return hash_xx64(text, seed);
}

/* Nobody else may get a plan with what is this session's, nor it one without. */
static bool has_own(struct session *session)
{
    return session_has_changes(session) || session_temp_set(session) != NULL;
}

struct plan *plan_find(struct session *session, struct slice text, uint64_t version)
{
    if (has_own(session)) {
        return NULL;
    }
    struct plan *plan = plan_cache_get(session->warehouse->cache, key_of(session, text, version),
                                       text, version, session->who);
    if (plan != NULL && !is_current(session, plan)) {
        plan_unref(plan);
        plan = NULL;
    }
    return plan;
}

enum err plan_take(struct query *query, struct plan *plan, struct errinfo *info)
{
    plan_unref(query->plan);
    atomic_fetch_add(&plan->references, 1);
    query->plan = plan;
    query->is_answered = query->takes_constant && atomic_load(&plan->constant) != NULL;
    TRY(query_move(query, QUERY_SECURED, info));
    return query_move(query, QUERY_PLANNED, info);
}

/* What else follows from the text, so that who finds the plan need not look at the text. */
static enum err keep_words(struct plan *plan, struct slice text, struct errinfo *info)
{
    struct statement statement;
    struct slice redacted; /* perhaps a view of the text, which is the client's */
    TRY(statement_redact(text, plan->arena, &redacted, info));
    if (!arena_slice(plan->arena, redacted, &plan->audit_statement)) {
        return errinfo_nomem(info);
    }
    TRY(statement_fingerprint(text, &plan->fingerprint, info));
    TRY(statement_parse(text, plan->arena, &statement, info));
    plan->tag = statement.kind == STATEMENT_QUERY ? statement.tag : NULL;
    return ERR_OK;
}

enum err plan_build(struct session *session, struct query *query, struct slice text,
                    struct plan **ret_plan, struct errinfo *info)
{
    struct warehouse *warehouse = session->warehouse;
    uint64_t version;
    if (has_own(session)) {
        return plan_build_new(session, query, text, ret_plan, info);
    }
    TRY(system_version(warehouse->system, &version, info));
    struct plan *plan CLEANUP(plan_cleanup) = plan_find(session, text, version);
    if (plan != NULL) {
        TRY(query == NULL ? ERR_OK : plan_take(query, plan, info));
        *ret_plan = TAKE(plan);
        return ERR_OK;
    }
    TRY(plan_build_new(session, query, text, &plan, info));
    plan->key = key_of(session, text, version);
    plan->system_version = version;
    if (plan->is_cacheable && query != NULL && keep_words(plan, text, NULL) == ERR_OK) {
        plan_cache_put(warehouse->cache, plan, text);
    }
    *ret_plan = TAKE(plan);
    return ERR_OK;
}
