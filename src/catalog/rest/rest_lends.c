/* Whether a catalog lends anything for the files of its tables: only a table can tell, so the first
 * few that the person may load are asked for, and the first that comes decides. */
#include "catalog/rest/metastore.h"
#include "catalog/rest/rest_int.h"

#define NAMESPACES_MAX 16u
#define TABLES_MAX 4u /* of a namespace */
#define LOADS_MAX 8u

struct probe {
    const struct rest_call *call;
    struct arena *arena;
    unsigned loads;
    enum rest_lends lends;
};

static enum err ask(const struct rest_call *call, const struct buf *path,
                    struct rest_answer *ret_answer)
{
    const struct rest_question question = {.path = buf_slice(path), .what = "namespace"};
    return buf_failed(path) ? errinfo_nomem(call->info)
                            : rest_call__ask(call, &question, ret_answer);
}

static enum err load(struct probe *probe, const struct rest_namespace *ns, struct slice name)
{
    struct rest_table *table = NULL;
    probe->loads++;
    TRY(rest_load__table(probe->call, ns, name, &table));
    probe->lends = table->grant != NULL ? REST_LENDS : REST_LENDS_NOTHING;
    rest_item__unref(&table->item);
    return ERR_OK;
}

static enum err look_into(struct probe *probe, const struct rest_namespace *ns)
{
    const struct rest_call *call = probe->call;
    struct rest_answer answer CLEANUP(rest_answer__fini) = {0};
    struct buf path CLEANUP(buf_fini) = {0};
    struct rest_names_page page;
    rest_url__namespace(&path, call->config, ns);
    buf_append_str(&path, "/tables?pageToken=&pageSize=4");
    TRY(ask(call, &path, &answer));
    TRY(rest_parse__names(call, secret_slice(&answer.body), false, probe->arena, &page));
    for (size_t i = 0; i < page.count && i < TABLES_MAX && probe->loads < LOADS_MAX &&
                       probe->lends == REST_LENDS_UNKNOWN;
         i++) {
        enum err err = load(probe, ns, page.names[i].name);
        if (err == ERR_NOMEM || err == ERR_CANCELLED) {
            return err; /* of others, another table may tell */
        }
    }
    return ERR_OK;
}

static enum err look(struct probe *probe)
{
    const struct rest_call *call = probe->call;
    struct rest_answer answer CLEANUP(rest_answer__fini) = {0};
    struct buf path CLEANUP(buf_fini) = {0};
    struct rest_namespaces_page page;
    buf_printf(&path, "v1/%snamespaces?pageToken=&pageSize=16", call->config->prefix);
    TRY(ask(call, &path, &answer));
    TRY(rest_parse__namespaces(call, secret_slice(&answer.body), probe->arena, &page));
    for (size_t i = 0; i < page.count && i < NAMESPACES_MAX && probe->loads < LOADS_MAX &&
                       probe->lends == REST_LENDS_UNKNOWN;
         i++) {
        enum err err = look_into(probe, &page.namespaces[i]);
        if (err == ERR_NOMEM || err == ERR_CANCELLED) {
            return err;
        }
    }
    return ERR_OK;
}

enum err rest_probe(struct rest *rest, const struct rest_catalog *catalog,
                    const struct identity *who, enum rest_lends *ret_lends, struct errinfo *info)
{
    static const unsigned needed = REST_LIST_NAMESPACES | REST_LIST_TABLES | REST_LOAD_TABLE;
    struct rest_call call CLEANUP(rest_call__close) = {0};
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "probe", 0);
    struct probe probe = {.call = &call, .arena = arena, .lends = REST_LENDS_UNKNOWN};
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    if (metastore_is(catalog->protocol)) {
        *ret_lends = catalog->sts_uri.len > 0 ? REST_LENDS : REST_LENDS_NOTHING;
        return ERR_OK;
    }
    TRY(rest_call__open(rest, catalog, who, &call, info));
    if ((call.config->endpoints & needed) == needed) {
        enum err err = look(&probe);
        if (err == ERR_NOMEM || err == ERR_CANCELLED) {
            return err;
        }
    }
    *ret_lends = probe.lends;
    return ERR_OK;
}
