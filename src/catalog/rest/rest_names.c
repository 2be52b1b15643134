/* What there is: namespaces, tables and views, page by page. */
#include "catalog/rest/rest_metastore_int.h"

#define PAGE_SIZE "1000"

static void add_page(struct buf *path, bool is_first, struct slice token)
{
    buf_append_str(path, is_first ? "?" : "&");
    buf_append_str(path, "pageToken=");
    rest_url__encode(path, token);
    buf_append_str(path, "&pageSize=" PAGE_SIZE);
}

static enum err too_many(const struct rest_call *call, const char *what)
{
    return errinfo_set(call->info, ERR_LIMIT, "54000", "catalog \"%.*s\" lists too many %s",
                       SLICE_ARGS(call->catalog->name), what);
}

static enum err ask(const struct rest_call *call, const struct buf *path, const char *what,
                    struct slice name, struct rest_answer *ret_answer)
{
    const struct rest_question question = {.path = buf_slice(path), .what = what, .name = name};
    return buf_failed(path) ? errinfo_nomem(call->info)
                            : rest_call__ask(call, &question, ret_answer);
}

/* A server that ignores pages answers all at once, with no token; one that repeats itself would be
 * asked for ever. */
static enum err check_token(const struct rest_call *call, struct slice last, struct slice next,
                            size_t page)
{
    if (next.len > 0 && slice_equal(last, next)) {
        return rest_answer__wrong(call, "the same page token again");
    }
    return page >= REST_PAGES_MAX ? too_many(call, "pages") : ERR_OK;
}

/* ---- namespaces ---- */

struct namespaces {
    struct rest_namespace *items;
    size_t count;
    size_t capacity;
};

static enum err add_namespace(const struct rest_call *call, struct arena *arena,
                              struct namespaces *list, const struct rest_namespace *ns)
{
    if (list->count == REST_NAMES_MAX) {
        return too_many(call, "namespaces");
    }
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 32 : list->capacity * 2;
        struct rest_namespace *grown = arena_calloc(arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(call->info);
        }
        if (list->count > 0) {
            memcpy(grown, list->items, list->count * sizeof(*grown));
        }
        list->items = grown;
        list->capacity = capacity;
    }
    list->items[list->count++] = *ns;
    return ERR_OK;
}

/* One level below, as the specification has it: what is not just that would be listed twice. */
static bool is_child(const struct rest_namespace *ns, const struct rest_namespace *parent)
{
    bool is_child = ns->level_count == parent->level_count + 1;
    for (size_t i = 0; is_child && i < parent->level_count; i++) {
        is_child = slice_equal(ns->levels[i], parent->levels[i]);
    }
    return is_child;
}

static enum err list_children(const struct rest_call *call, const struct rest_namespace *parent,
                              struct arena *arena, struct namespaces *list)
{
    struct slice token = {0};
    size_t page = 0;
    do {
        struct buf path CLEANUP(buf_fini) = {0};
        struct rest_answer answer CLEANUP(rest_answer__fini) = {0};
        struct rest_namespaces_page found;
        buf_printf(&path, "v1/%snamespaces", call->config->prefix);
        if (parent->level_count > 0) {
            buf_append_str(&path, "?parent=");
            rest_url__levels(&path, call->config, parent);
        }
        add_page(&path, parent->level_count == 0, token);
        TRY(ask(call, &path, "namespace", SLICE(""), &answer));
        TRY(rest_parse__namespaces(call, secret_slice(&answer.body), arena, &found));
        for (size_t i = 0; i < found.count; i++) {
            if (is_child(&found.namespaces[i], parent)) {
                TRY(add_namespace(call, arena, list, &found.namespaces[i]));
            }
        }
        TRY(check_token(call, token, found.next_token, ++page));
        token = found.next_token;
    } while (token.len > 0);
    return ERR_OK;
}

static enum err list_namespaces(const struct rest_call *call, struct arena *arena,
                                struct namespaces *list)
{
    const struct rest_namespace root = {0};
    if ((call->config->endpoints & REST_LIST_NAMESPACES) == 0) {
        return ERR_OK;
    }
    TRY(list_children(call, &root, arena, list));
    for (size_t i = 0; i < list->count; i++) {
        struct rest_namespace parent = list->items[i]; /* the list may move */
        if (parent.level_count >= REST_NAMESPACE_DEPTH_MAX) {
            continue;
        }
        enum err err = list_children(call, &parent, arena, list);
        if (err != ERR_OK && err != ERR_NOT_FOUND && err != ERR_DENIED) {
            return err; /* one that may not be looked into, or is gone by now, hides itself only */
        }
    }
    return ERR_OK;
}

enum err rest_namespaces(struct rest *rest, const struct rest_catalog *catalog,
                         const struct identity *who, struct arena *arena,
                         struct rest_namespace **ret_namespaces, size_t *ret_count,
                         struct errinfo *info)
{
    struct rest_call call CLEANUP(rest_call__close) = {0};
    struct namespaces list = {0};
    TRY(rest_call__open(rest, catalog, who, &call, info));
    if (metastore_is(catalog->protocol)) {
        return rest_metastore__of(catalog)->namespaces(&call, arena, ret_namespaces, ret_count);
    }
    TRY(list_namespaces(&call, arena, &list));
    *ret_namespaces = list.items;
    *ret_count = list.count;
    return ERR_OK;
}

enum err rest_namespace_properties(struct rest *rest, const struct rest_catalog *catalog,
                                   const struct identity *who, const struct rest_namespace *ns,
                                   struct arena *arena, struct rest_property **ret_properties,
                                   size_t *ret_count, struct errinfo *info)
{
    struct rest_call call CLEANUP(rest_call__close) = {0};
    struct rest_answer answer CLEANUP(rest_answer__fini) = {0};
    struct buf path CLEANUP(buf_fini) = {0};
    struct json *root;
    TRY(rest_call__open(rest, catalog, who, &call, info));
    if (metastore_is(catalog->protocol)) {
        return rest_metastore__of(catalog)->properties(&call, ns, arena, ret_properties, ret_count);
    }
    rest_url__namespace(&path, call.config, ns);
    TRY(ask(&call, &path, "namespace", ns->levels[ns->level_count - 1], &answer));
    struct arena *tree CLEANUP(arena_cleanup) = arena_new(NULL, "properties", 0);
    if (tree == NULL) {
        return errinfo_nomem(info);
    }
    TRY(rest_answer__json(&call, secret_slice(&answer.body), tree, &root));
    const struct json *object = json_get(root, "properties");
    size_t capacity = object == NULL ? 0 : object->count;
    struct rest_property *properties = arena_calloc(arena, capacity + 1, sizeof(*properties));
    size_t count = 0;
    if (properties == NULL) {
        return errinfo_nomem(info);
    }
    for (const struct json *item = object == NULL || object->type != JSON_OBJECT ? NULL
                                                                                 : object->first;
         item != NULL; item = item->next) {
        if (item->type != JSON_STRING) {
            return rest_answer__wrong(&call, "a property that is no text");
        }
        struct rest_property *out = &properties[count++];
        if (!arena_slice(arena, item->key, &out->key) ||
            !arena_slice(arena, item->text, &out->value)) {
            return errinfo_nomem(info);
        }
    }
    *ret_properties = properties;
    *ret_count = count;
    return ERR_OK;
}

/* ---- tables and views ---- */

struct names {
    struct rest_name *items;
    size_t count;
};

static enum err add_names(const struct rest_call *call, struct arena *arena, struct names *list,
                          const struct rest_names_page *page)
{
    if (list->count + page->count > REST_NAMES_MAX) {
        return too_many(call, "tables");
    }
    if (list->count == 0) {
        *list = (struct names){page->names, page->count};
        return ERR_OK;
    }
    struct rest_name *grown = arena_calloc(arena, list->count + page->count + 1, sizeof(*grown));
    if (grown == NULL) {
        return errinfo_nomem(call->info);
    }
    memcpy(grown, list->items, list->count * sizeof(*grown));
    if (page->count > 0) {
        memcpy(grown + list->count, page->names, page->count * sizeof(*grown));
    }
    *list = (struct names){grown, list->count + page->count};
    return ERR_OK;
}

static enum err list_names(const struct rest_call *call, const struct rest_namespace *ns,
                           bool is_view, struct arena *arena, struct names *list)
{
    struct slice token = {0};
    size_t page = 0;
    do {
        struct buf path CLEANUP(buf_fini) = {0};
        struct rest_answer answer CLEANUP(rest_answer__fini) = {0};
        struct rest_names_page found;
        rest_url__namespace(&path, call->config, ns);
        buf_append_str(&path, is_view ? "/views" : "/tables");
        add_page(&path, true, token);
        TRY(ask(call, &path, "namespace", ns->levels[ns->level_count - 1], &answer));
        TRY(rest_parse__names(call, secret_slice(&answer.body), is_view, arena, &found));
        TRY(add_names(call, arena, list, &found));
        TRY(check_token(call, token, found.next_token, ++page));
        token = found.next_token;
    } while (token.len > 0);
    return ERR_OK;
}

enum err rest_names(struct rest *rest, const struct rest_catalog *catalog,
                    const struct identity *who, const struct rest_namespace *ns,
                    struct arena *arena, struct rest_name **ret_names, size_t *ret_count,
                    struct errinfo *info)
{
    struct rest_call call CLEANUP(rest_call__close) = {0};
    struct names list = {0};
    ASSERT(ns->level_count > 0);
    TRY(rest_call__open(rest, catalog, who, &call, info));
    if (metastore_is(catalog->protocol)) {
        return rest_metastore__of(catalog)->names(&call, ns, arena, ret_names, ret_count);
    }
    if ((call.config->endpoints & REST_LIST_TABLES) != 0) {
        TRY(list_names(&call, ns, false, arena, &list));
    }
    if ((call.config->endpoints & REST_LIST_VIEWS) != 0) {
        TRY(list_names(&call, ns, true, arena, &list));
    }
    *ret_names = list.items;
    *ret_count = list.count;
    return ERR_OK;
}
