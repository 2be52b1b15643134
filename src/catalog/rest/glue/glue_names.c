/* What there is in Glue: databases, which are namespaces of one level, and their Iceberg tables,
 * page by page. */
#include "catalog/rest/glue/glue_int.h"

#define PAGE_SIZE "100" /* at most */

/* ---- pages ---- */

/* Takes what a page lists; `*ret_is_enough`: no other page is asked for. */
typedef enum err (*page_cb)(const struct rest_call *call, const struct json *list, void *context,
                            bool *ret_is_enough);

struct listing {
    const char *action;
    const char *list; /* the member of the answer */
    struct slice database;
    page_cb page;
    void *context;
};

/* `token` is of the page before, and then of this one. */
static enum err ask_page(const struct rest_call *call, const struct listing *listing,
                         struct arena *arena, struct slice *token, bool *ret_is_enough)
{
    struct glue_call glue CLEANUP(glue_call__fini) = {0};
    struct glue_reply reply CLEANUP(glue_reply__fini) = {0};
    bool has_database = listing->database.len > 0;
    glue_call__begin(&glue, call, listing->action, false, has_database ? "namespace" : "catalog",
                     has_database ? listing->database : call->catalog->name);
    buf_append_str(&glue.body, "\"MaxResults\":" PAGE_SIZE);
    if (has_database) {
        glue__write_text(&glue.body, false, "DatabaseName", listing->database);
    }
    if (token->len > 0) {
        glue__write_text(&glue.body, false, "NextToken", *token);
    }
    TRY(glue_call__do(&glue, &reply));
    const struct json *list = json_get(reply.root, listing->list);
    if (list == NULL || list->type != JSON_ARRAY) {
        return rest_answer__wrong(call, "no list");
    }
    TRY(listing->page(call, list, listing->context, ret_is_enough));
    struct slice next = json_get_text(reply.root, "NextToken");
    if (next.len > 0 && slice_equal(next, *token)) {
        return rest_answer__wrong(call, "the same page token again");
    }
    return arena_slice(arena, next, token) ? ERR_OK : errinfo_nomem(call->info);
}

static enum err list_all(const struct rest_call *call, const struct listing *listing)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "pages", 0);
    struct slice token = {0};
    bool is_enough = false;
    if (arena == NULL) {
        return errinfo_nomem(call->info);
    }
    for (size_t page = 0; page < REST_PAGES_MAX; page++) {
        TRY(ask_page(call, listing, arena, &token, &is_enough));
        if (token.len == 0 || is_enough) {
            return ERR_OK;
        }
    }
    return errinfo_set(call->info, ERR_LIMIT, "54000", "catalog \"%.*s\" lists too many pages",
                       SLICE_ARGS(call->catalog->name));
}

/* ---- names of a list ---- */

struct names {
    struct arena *arena;
    struct rest_name *items;
    size_t count;
    size_t capacity;
    bool is_of_tables;
};

static enum err add(const struct rest_call *call, struct names *names, struct slice name)
{
    if (names->count == REST_NAMES_MAX) {
        return errinfo_set(call->info, ERR_LIMIT, "54000", "catalog \"%.*s\" lists too many names",
                           SLICE_ARGS(call->catalog->name));
    }
    if (names->count == names->capacity) {
        size_t capacity = names->capacity == 0 ? 32 : names->capacity * 2;
        struct rest_name *grown = arena_calloc(names->arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(call->info);
        }
        if (names->count > 0) {
            memcpy(grown, names->items, names->count * sizeof(*grown));
        }
        names->items = grown;
        names->capacity = capacity;
    }
    return arena_slice(names->arena, name, &names->items[names->count++].name)
               ? ERR_OK
               : errinfo_nomem(call->info);
}

static enum err add_page(const struct rest_call *call, const struct json *list, void *context,
                         bool *ret_is_enough)
{
    struct names *names = context;
    (void)ret_is_enough;
    for (const struct json *item = list->first; item != NULL; item = item->next) {
        struct glue_found found;
        if (!glue_table__read(item, &found)) { /* what has a name, a database too */
            return rest_answer__wrong(call, "what has no name");
        }
        if (found.is_iceberg || !names->is_of_tables) {
            TRY(add(call, names, found.name));
        }
    }
    return ERR_OK;
}

static enum err stop_at_once(const struct rest_call *call, const struct json *list, void *context,
                             bool *ret_is_enough)
{
    (void)call;
    (void)list;
    (void)context;
    *ret_is_enough = true;
    return ERR_OK;
}

enum err glue__check(const struct rest_call *call)
{
    const struct listing listing = {
        .action = "GetDatabases", .list = "DatabaseList", .page = stop_at_once};
    return list_all(call, &listing);
}

enum err glue__namespaces(const struct rest_call *call, struct arena *arena,
                          struct rest_namespace **ret_namespaces, size_t *ret_count)
{
    struct names names = {.arena = arena};
    const struct listing listing = {
        .action = "GetDatabases", .list = "DatabaseList", .page = add_page, .context = &names};
    TRY(list_all(call, &listing));
    struct rest_namespace *namespaces = arena_calloc(arena, names.count + 1, sizeof(*namespaces));
    if (namespaces == NULL) {
        return errinfo_nomem(call->info);
    }
    for (size_t i = 0; i < names.count; i++) {
        namespaces[i] = (struct rest_namespace){&names.items[i].name, 1};
    }
    *ret_namespaces = namespaces;
    *ret_count = names.count;
    return ERR_OK;
}

enum err glue__names(const struct rest_call *call, const struct rest_namespace *ns,
                     struct arena *arena, struct rest_name **ret_names, size_t *ret_count)
{
    struct names names = {.arena = arena, .is_of_tables = true};
    struct listing listing = {
        .action = "GetTables", .list = "TableList", .page = add_page, .context = &names};
    if (!metastore_name__of(ns, &listing.database)) {
        return metastore__no_namespace(call, ns);
    }
    TRY(list_all(call, &listing));
    *ret_names = names.items;
    *ret_count = names.count;
    return ERR_OK;
}

/* ---- one database ---- */

/* `reply` holds it. */
static enum err ask_database(const struct rest_call *call, const struct rest_namespace *ns,
                             struct glue_reply *reply, const struct json **ret_database)
{
    struct glue_call glue CLEANUP(glue_call__fini) = {0};
    struct slice name;
    if (!metastore_name__of(ns, &name)) {
        return metastore__no_namespace(call, ns);
    }
    glue_call__begin(&glue, call, "GetDatabase", false, "namespace", name);
    glue__write_text(&glue.body, true, "Name", name);
    TRY(glue_call__do(&glue, reply));
    const struct json *database = json_get(reply->root, "Database");
    if (database == NULL || database->type != JSON_OBJECT) {
        return rest_answer__wrong(call, "no database");
    }
    *ret_database = database;
    return ERR_OK;
}

static enum err add_property(const struct rest_call *call, struct arena *arena, struct slice key,
                             struct slice value, struct rest_property *out)
{
    return arena_slice(arena, key, &out->key) && arena_slice(arena, value, &out->value)
               ? ERR_OK
               : errinfo_nomem(call->info);
}

enum err glue__properties(const struct rest_call *call, const struct rest_namespace *ns,
                          struct arena *arena, struct rest_property **ret_properties,
                          size_t *ret_count)
{
    static const char *const fields[][2] = {{"LocationUri", METASTORE_LOCATION},
                                            {"Description", METASTORE_COMMENT}};
    struct glue_reply reply CLEANUP(glue_reply__fini) = {0};
    const struct json *database;
    TRY(ask_database(call, ns, &reply, &database));
    const struct json *parameters = json_get(database, "Parameters");
    bool is_object = parameters != NULL && parameters->type == JSON_OBJECT;
    size_t capacity = ARRAY_COUNT(fields) + (is_object ? parameters->count : 0);
    struct rest_property *out = arena_calloc(arena, capacity, sizeof(*out));
    size_t count = 0;
    if (out == NULL) {
        return errinfo_nomem(call->info);
    }
    for (size_t i = 0; i < ARRAY_COUNT(fields); i++) {
        struct slice value = json_get_text(database, fields[i][0]);
        if (value.len > 0) {
            TRY(add_property(call, arena, slice_of(fields[i][1]), value, &out[count++]));
        }
    }
    for (const struct json *item = is_object ? parameters->first : NULL; item != NULL;
         item = item->next) {
        if (item->type == JSON_STRING) {
            TRY(add_property(call, arena, item->key, item->text, &out[count++]));
        }
    }
    *ret_properties = out;
    *ret_count = count;
    return ERR_OK;
}

enum err glue__create_namespace(const struct rest_call *call, const struct rest_namespace *ns,
                                const struct rest_property *properties, size_t property_count)
{
    struct glue_call glue CLEANUP(glue_call__fini) = {0};
    struct glue_reply reply CLEANUP(glue_reply__fini) = {0};
    struct slice name;
    if (!metastore_name__of(ns, &name)) {
        (void)errinfo_set(call->info, ERR_INVALID, "42602",
                          "a namespace of catalog \"%.*s\" is one name in small letters",
                          SLICE_ARGS(call->catalog->name));
        errinfo_hint(call->info, "AWS Glue has databases, and none in them.");
        return ERR_INVALID;
    }
    glue_call__begin(&glue, call, "CreateDatabase", true, "namespace", name);
    buf_append_str(&glue.body, "\"DatabaseInput\":");
    glue_database__write(NULL, name, properties, property_count, &glue.body);
    return glue_call__do(&glue, &reply);
}

static enum err see_any(const struct rest_call *call, const struct json *list, void *context,
                        bool *ret_is_enough)
{
    (void)call;
    *(bool *)context = *ret_is_enough = list->count > 0;
    return ERR_OK;
}

/* Glue would delete the tables of a database with it, whatever they are. */
enum err glue__drop_namespace(const struct rest_call *call, const struct rest_namespace *ns)
{
    struct glue_call glue CLEANUP(glue_call__fini) = {0};
    struct glue_reply reply CLEANUP(glue_reply__fini) = {0};
    bool has_tables = false;
    struct listing listing = {
        .action = "GetTables", .list = "TableList", .page = see_any, .context = &has_tables};
    if (!metastore_name__of(ns, &listing.database)) {
        return metastore__no_namespace(call, ns);
    }
    TRY(list_all(call, &listing));
    if (has_tables) {
        return errinfo_set(call->info, ERR_INVALID, "2BP01", "namespace \"%.*s\" is not empty",
                           SLICE_ARGS(listing.database));
    }
    glue_call__begin(&glue, call, "DeleteDatabase", true, "namespace", listing.database);
    glue__write_text(&glue.body, true, "Name", listing.database);
    return glue_call__do(&glue, &reply);
}

enum err glue__set_properties(const struct rest_call *call, const struct rest_namespace *ns,
                              const struct rest_property *properties, size_t property_count)
{
    struct glue_call glue CLEANUP(glue_call__fini) = {0};
    struct glue_reply before CLEANUP(glue_reply__fini) = {0};
    struct glue_reply reply CLEANUP(glue_reply__fini) = {0};
    const struct json *database;
    TRY(ask_database(call, ns, &before, &database));
    struct slice name = ns->levels[0];
    glue_call__begin(&glue, call, "UpdateDatabase", true, "namespace", name);
    glue__write_text(&glue.body, true, "Name", name);
    buf_append_str(&glue.body, ",\"DatabaseInput\":");
    glue_database__write(database, name, properties, property_count, &glue.body);
    return glue_call__do(&glue, &reply);
}
