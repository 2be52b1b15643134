/* Lists and the configuration, out of JSON that a catalog wrote. */
#include "base/clock.h"
#include "base/mem.h"
#include "catalog/rest/rest_plan_int.h"

/* Of a catalog that lists none. The specification has the commit of several tables among them;
 * here it must be listed, since it is not found out before the work is done. */
#define ENDPOINTS_DEFAULT                                                                          \
    (REST_LIST_NAMESPACES | REST_LOAD_NAMESPACE | REST_CREATE_NAMESPACE | REST_UPDATE_NAMESPACE |  \
     REST_DROP_NAMESPACE | REST_LIST_TABLES | REST_LOAD_TABLE | REST_CREATE_TABLE |                \
     REST_REGISTER_TABLE | REST_UPDATE_TABLE | REST_DROP_TABLE | REST_RENAME_TABLE)

#define ENDPOINTS_OF_VIEWS                                                                         \
    (REST_LIST_VIEWS | REST_LOAD_VIEW | REST_CREATE_VIEW | REST_UPDATE_VIEW | REST_DROP_VIEW |     \
     REST_RENAME_VIEW)

static const struct {
    const char *text;
    unsigned bit;
} endpoints[] = {
    {"GET /v1/{prefix}/namespaces", REST_LIST_NAMESPACES},
    {"GET /v1/{prefix}/namespaces/{namespace}", REST_LOAD_NAMESPACE},
    {"GET /v1/{prefix}/namespaces/{namespace}/tables", REST_LIST_TABLES},
    {"GET /v1/{prefix}/namespaces/{namespace}/tables/{table}", REST_LOAD_TABLE},
    {"GET /v1/{prefix}/namespaces/{namespace}/views", REST_LIST_VIEWS},
    {"GET /v1/{prefix}/namespaces/{namespace}/views/{view}", REST_LOAD_VIEW},
    {"GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials", REST_LOAD_CREDENTIALS},
    {"POST /v1/{prefix}/namespaces/{namespace}/tables/{table}/sign", REST_SIGN},
    {"POST /v1/{prefix}/namespaces", REST_CREATE_NAMESPACE},
    {"DELETE /v1/{prefix}/namespaces/{namespace}", REST_DROP_NAMESPACE},
    {"POST /v1/{prefix}/namespaces/{namespace}/properties", REST_UPDATE_NAMESPACE},
    {"POST /v1/{prefix}/namespaces/{namespace}/views", REST_CREATE_VIEW},
    {"POST /v1/{prefix}/namespaces/{namespace}/views/{view}", REST_UPDATE_VIEW},
    {"DELETE /v1/{prefix}/namespaces/{namespace}/views/{view}", REST_DROP_VIEW},
    {"POST /v1/{prefix}/views/rename", REST_RENAME_VIEW},
    {"POST /v1/{prefix}/transactions/commit", REST_COMMIT_ALL},
    {"POST /v1/{prefix}/namespaces/{namespace}/tables", REST_CREATE_TABLE},
    {"POST /v1/{prefix}/namespaces/{namespace}/register", REST_REGISTER_TABLE},
    {"POST /v1/{prefix}/namespaces/{namespace}/tables/{table}", REST_UPDATE_TABLE},
    {"DELETE /v1/{prefix}/namespaces/{namespace}/tables/{table}", REST_DROP_TABLE},
    {"POST /v1/{prefix}/tables/rename", REST_RENAME_TABLE},
    {"POST /v1/{prefix}/namespaces/{namespace}/tables/{table}/plan", REST_PLAN_SCAN},
    {"GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/plan/{plan-id}", REST_FETCH_PLAN},
    {"DELETE /v1/{prefix}/namespaces/{namespace}/tables/{table}/plan/{plan-id}", REST_CANCEL_PLAN},
    {"POST /v1/{prefix}/namespaces/{namespace}/tables/{table}/tasks", REST_FETCH_TASKS},
    {"POST /v1/{prefix}/namespaces/{namespace}/tables/{table}/metrics", REST_REPORT},
};

/* ---- lists ---- */

static enum err read_next(const struct rest_call *call, const struct json *root,
                          struct arena *arena, struct slice *ret_token)
{
    const struct json *token = json_get(root, "next-page-token");
    *ret_token = (struct slice){0};
    if (json_is_null(token)) {
        return ERR_OK;
    }
    if (token->type != JSON_STRING) {
        return rest_answer__wrong(call, "a page token that is no text");
    }
    return arena_slice(arena, token->text, ret_token) ? ERR_OK : errinfo_nomem(call->info);
}

static const struct json *list_of(const struct json *root, const char *key)
{
    const struct json *list = json_get(root, key);
    return list != NULL && list->type == JSON_ARRAY ? list : NULL;
}

enum err rest_parse__names(const struct rest_call *call, struct slice text, bool is_view,
                           struct arena *arena, struct rest_names_page *ret_page)
{
    struct arena *tree CLEANUP(arena_cleanup) = arena_new(NULL, "names", 0);
    struct json *root;
    struct rest_names_page page = {0};
    if (tree == NULL) {
        return errinfo_nomem(call->info);
    }
    TRY(rest_answer__json(call, text, tree, &root));
    const struct json *list = list_of(root, "identifiers");
    if (list == NULL) {
        return rest_answer__wrong(call, "a list of tables without \"identifiers\"");
    }
    page.names = arena_calloc(arena, (size_t)list->count + 1, sizeof(*page.names));
    if (page.names == NULL) {
        return errinfo_nomem(call->info);
    }
    for (const struct json *item = list->first; item != NULL; item = item->next) {
        const struct json *name = json_get(item, "name");
        if (name == NULL || name->type != JSON_STRING) {
            return rest_answer__wrong(call, "a table without a name");
        }
        struct rest_name *out = &page.names[page.count++];
        out->is_view = is_view;
        if (!arena_slice(arena, name->text, &out->name)) {
            return errinfo_nomem(call->info);
        }
    }
    TRY(read_next(call, root, arena, &page.next_token));
    *ret_page = page;
    return ERR_OK;
}

static enum err read_levels(const struct rest_call *call, const struct json *item,
                            struct arena *arena, struct rest_namespace *out)
{
    if (item->type != JSON_ARRAY || item->count == 0 || item->count > REST_NAMESPACE_DEPTH_MAX) {
        return rest_answer__wrong(call, "a namespace that is no list of levels");
    }
    struct slice *levels = arena_calloc(arena, item->count, sizeof(*levels));
    if (levels == NULL) {
        return errinfo_nomem(call->info);
    }
    for (const struct json *level = item->first; level != NULL; level = level->next) {
        if (level->type != JSON_STRING) {
            return rest_answer__wrong(call, "a namespace whose level is no text");
        }
        if (!arena_slice(arena, level->text, &levels[out->level_count++])) {
            return errinfo_nomem(call->info);
        }
    }
    out->levels = levels;
    return ERR_OK;
}

enum err rest_parse__namespaces(const struct rest_call *call, struct slice text,
                                struct arena *arena, struct rest_namespaces_page *ret_page)
{
    struct arena *tree CLEANUP(arena_cleanup) = arena_new(NULL, "namespaces", 0);
    struct json *root;
    struct rest_namespaces_page page = {0};
    if (tree == NULL) {
        return errinfo_nomem(call->info);
    }
    TRY(rest_answer__json(call, text, tree, &root));
    const struct json *list = list_of(root, "namespaces");
    if (list == NULL) {
        return rest_answer__wrong(call, "a list without \"namespaces\"");
    }
    page.namespaces = arena_calloc(arena, (size_t)list->count + 1, sizeof(*page.namespaces));
    if (page.namespaces == NULL) {
        return errinfo_nomem(call->info);
    }
    for (const struct json *item = list->first; item != NULL; item = item->next) {
        TRY(read_levels(call, item, arena, &page.namespaces[page.count++]));
    }
    TRY(read_next(call, root, arena, &page.next_token));
    *ret_page = page;
    return ERR_OK;
}

/* ---- configuration ---- */

static void config_fini(struct rest_item *item)
{
    struct rest_config *config = (struct rest_config *)item;
    mem_free(config->prefix);
    mem_free(config->separator);
}

/* Overrides come last; what ATTACH says stands between, and says none of these. */
static struct slice property(const struct json *root, const char *key)
{
    const struct json *override = json_get(json_get(root, "overrides"), key);
    const struct json *value =
        override != NULL ? override : json_get(json_get(root, "defaults"), key);
    return value != NULL && value->type == JSON_STRING ? value->text : (struct slice){0};
}

static unsigned read_endpoints(const struct json *root)
{
    const struct json *list = list_of(root, "endpoints");
    unsigned bits = 0;
    if (list == NULL) {
        bool has_views =
            slice_equal_fold(property(root, "view-endpoints-supported"), SLICE("true"));
        return ENDPOINTS_DEFAULT | (has_views ? ENDPOINTS_OF_VIEWS : 0);
    }
    for (const struct json *item = list->first; item != NULL; item = item->next) {
        for (size_t i = 0; i < ARRAY_COUNT(endpoints); i++) {
            bool is_it =
                item->type == JSON_STRING && slice_equal(item->text, slice_of(endpoints[i].text));
            bits |= is_it ? endpoints[i].bit : 0;
        }
    }
    return bits;
}

static struct slice without_slash(struct slice uri)
{
    while (uri.len > 0 && uri.ptr[uri.len - 1] == '/') {
        uri.len--;
    }
    return uri;
}

/* People's tokens go where ATTACH says, and nowhere that an answer names. */
static enum err check_uri(const struct rest_call *call, const struct json *root)
{
    struct slice uri = without_slash(property(root, "uri"));
    if (uri.len == 0 || slice_equal(uri, call->catalog->uri)) {
        return ERR_OK;
    }
    (void)errinfo_set(call->info, ERR_DENIED, "08P01",
                      "catalog \"%.*s\" sends its clients to another address",
                      SLICE_ARGS(call->catalog->name));
    errinfo_hint(call->info, "Tokens are sent to the address of ATTACH only: attach the other one "
                             "if it is meant.");
    return ERR_DENIED;
}

enum rest_planning rest_planning_of(struct slice mode)
{
    return mode.len == 0                             ? REST_PLANNING_UNSAID
           : slice_equal_fold(mode, SLICE("client")) ? REST_PLANNING_CLIENT
           : slice_equal_fold(mode, SLICE("server")) ? REST_PLANNING_SERVER
                                                     : REST_PLANNING_UNKNOWN;
}

static enum rest_reports reports_of(struct slice word)
{
    return slice_equal_fold(word, SLICE("true"))    ? REST_REPORTS_WANTED
           : slice_equal_fold(word, SLICE("false")) ? REST_REPORTS_UNWANTED
                                                    : REST_REPORTS_UNSAID;
}

enum err rest_parse__config(const struct rest_call *call, struct slice text,
                            struct rest_config **ret_config)
{
    struct arena *tree CLEANUP(arena_cleanup) = arena_new(NULL, "config", 0);
    struct buf prefix CLEANUP(buf_fini) = {0};
    struct json *root;
    if (tree == NULL) {
        return errinfo_nomem(call->info);
    }
    TRY(rest_answer__json(call, text, tree, &root));
    TRY(check_uri(call, root));
    struct slice separator = property(root, "namespace-separator");
    separator = separator.len == 0 ? SLICE("%1F") : separator;
    if (!rest_url__is_separator(separator)) {
        return rest_answer__wrong(call, "a namespace separator that is none");
    }
    if (!rest_url__prefix(property(root, "prefix"), &prefix)) {
        return rest_answer__wrong(call, "a prefix that is no path");
    }
    struct rest_config *config = mem_calloc(1, sizeof(*config));
    if (config == NULL) {
        return errinfo_nomem(call->info);
    }
    atomic_init(&config->item.references, 1);
    config->item.fini = config_fini;
    config->item.bytes = sizeof(*config) + prefix.len + separator.len;
    config->separator = mem_slicedup(separator);
    config->prefix = mem_slicedup(buf_slice(&prefix));
    config->endpoints = read_endpoints(root);
    config->takes_keys = json_get_text(root, "idempotency-key-lifetime").len > 0;
    config->planning = rest_planning_of(property(root, "scan-planning-mode"));
    config->reports = reports_of(property(root, "rest-metrics-reporting-enabled"));
    config->fetched_us = clock_mono_us();
    if (buf_failed(&prefix) || config->separator == NULL || config->prefix == NULL) {
        rest_item__unref(&config->item);
        return errinfo_nomem(call->info);
    }
    *ret_config = config;
    return ERR_OK;
}
