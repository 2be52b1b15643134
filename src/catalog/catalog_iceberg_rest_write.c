/* Changes of REST catalogs, in the words of the others. A table that is to be made is staged first:
 * the catalog says where it lies, which uuid it has and how its columns are numbered, and lends
 * what its files are written with; a commit with assert-create then makes it with all its files. */
#include "base/json.h"
#include "catalog/catalog_iceberg_int.h"
#include "catalog/iceberg_commit.h"
#include "catalog/rest/write.h"
#include "storage/remote.h"

static enum err split(const struct catalog_iceberg *catalog, struct slice ns, struct slice *levels,
                      struct rest_namespace *ret_ns, struct errinfo *info)
{
    return iceberg_rest__split(ns, levels, ret_ns)
               ? ERR_OK
               : iceberg_catalog__no_namespace(catalog, ns, info);
}

/* ---- what is lent ---- */

void iceberg_rest__take(struct catalog_iceberg *catalog, const struct rest_lent *lent)
{
    catalog_iceberg_return(catalog);
    catalog->lent = lent->grant;
    catalog->lent_to = lent->who;
}

enum err catalog_iceberg_borrow(struct catalog_iceberg *catalog, const struct identity *who,
                                struct slice ns, struct slice name, struct errinfo *info)
{
    struct slice levels[ICEBERG_LEVELS_MAX];
    struct rest_namespace asked;
    struct rest_lent lent = {0};
    TRY(iceberg_block__admit(catalog, ns, name, info));
    if (!catalog_iceberg_is_remote(catalog)) {
        return ERR_OK;
    }
    struct rest_lent made = {0};
    if (iceberg_block__lent(catalog, ns, name, &made.grant, &made.who)) {
        iceberg_rest__take(catalog, &made);
        return ERR_OK;
    }
    TRY(split(catalog, ns, levels, &asked, info));
    TRY(rest_borrow(catalog->rest, &catalog->remote, who, &asked, name, &lent, info));
    iceberg_rest__take(catalog, &lent);
    return ERR_OK;
}

void catalog_iceberg_return(struct catalog_iceberg *catalog)
{
    storage_grant_unref(catalog->lent);
    catalog->lent = NULL;
    catalog->lent_to = NULL;
}

/* ---- a table that is to be made ---- */

/* What a request for a table has, by the update that says so. */
static const struct {
    const char *action;
    const char *from;
    const char *to;
} parts[] = {
    {"set-location", "location", "location"},    {"add-schema", "schema", "schema"},
    {"add-spec", "spec", "partition-spec"},      {"add-sort-order", "sort-order", "write-order"},
    {"set-properties", "updates", "properties"},
};

static bool is_empty_text(const struct json *node)
{
    return node->type == JSON_STRING && node->text.len == 0;
}

static enum err set_version(struct json *request, const struct json *updates, struct arena *arena,
                            struct errinfo *info)
{
    struct json *properties = json_get(request, "properties");
    int64_t version = 0;
    for (const struct json *update = updates->first; update != NULL; update = update->next) {
        if (slice_equal(json_get_text(update, "action"), SLICE("upgrade-format-version"))) {
            (void)json_to_i64(json_get(update, "format-version"), &version);
        }
    }
    if (properties == NULL) {
        properties = json_new(arena, JSON_OBJECT);
        if (properties == NULL) {
            return errinfo_nomem(info);
        }
        json_set(request, "properties", properties);
    }
    char *text = arena_printf(arena, "%lld", (long long)version);
    struct json *value = text == NULL ? NULL : json_new_text(arena, slice_of(text));
    if (value == NULL) {
        return errinfo_nomem(info);
    }
    json_set(properties, "format-version", value);
    return ERR_OK;
}

/* A CreateTableRequest that stages what the updates would make. */
static enum err print_request(const struct json *updates, struct slice name, struct arena *arena,
                              struct buf *out, struct errinfo *info)
{
    struct json *request = json_new(arena, JSON_OBJECT);
    struct json *name_text = json_new_text(arena, name);
    struct json *is_staged = json_new_bool(arena, true);
    if (request == NULL || name_text == NULL || is_staged == NULL) {
        return errinfo_nomem(info);
    }
    json_set(request, "name", name_text);
    json_set(request, "stage-create", is_staged);
    for (const struct json *update = updates->first; update != NULL; update = update->next) {
        struct slice action = json_get_text(update, "action");
        for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
            const struct json *part = json_get(update, parts[i].from);
            bool is_it = slice_equal(action, slice_of(parts[i].action)) && part != NULL &&
                         !is_empty_text(part);
            struct json *copy = is_it ? json_copy(arena, part) : NULL;
            if (is_it && copy == NULL) {
                return errinfo_nomem(info);
            }
            if (is_it) {
                json_set(request, parts[i].to, copy);
            }
        }
    }
    TRY(set_version(request, updates, arena, info));
    json_write(out, request);
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

/* The one of a list of the metadata that is the current one; NULL: none. */
static const struct json *current(const struct json *metadata, const char *list, const char *which,
                                  const char *id)
{
    int64_t wanted;
    const struct json *all = json_get(metadata, list);
    if (all == NULL || all->type != JSON_ARRAY ||
        !json_to_i64(json_get(metadata, which), &wanted)) {
        return NULL;
    }
    for (const struct json *one = all->first; one != NULL; one = one->next) {
        int64_t number;
        if (json_to_i64(json_get(one, id), &number) && number == wanted) {
            return one;
        }
    }
    return NULL;
}

static void print_part(const char *action, const char *key, const struct json *value,
                       struct buf *out)
{
    buf_printf(out, ",{\"action\":\"%s\",\"%s\":", action, key);
    json_write(out, value);
    buf_append_char(out, '}');
}

/* The updates that make the table as the catalog has staged it. */
static enum err print_updates(const struct catalog_iceberg *catalog, const struct json *metadata,
                              struct buf *out, struct errinfo *info)
{
    const struct json *uuid = json_get(metadata, "table-uuid");
    const struct json *version = json_get(metadata, "format-version");
    const struct json *location = json_get(metadata, "location");
    const struct json *last_id = json_get(metadata, "last-column-id");
    const struct json *properties = json_get(metadata, "properties");
    const struct json *schema = current(metadata, "schemas", "current-schema-id", "schema-id");
    const struct json *spec = current(metadata, "partition-specs", "default-spec-id", "spec-id");
    const struct json *order =
        current(metadata, "sort-orders", "default-sort-order-id", "order-id");
    bool is_whole = uuid != NULL && version != NULL && location != NULL && last_id != NULL &&
                    schema != NULL && spec != NULL;
    if (!is_whole) {
        return errinfo_set(info, ERR_CORRUPT, "08P01",
                           "catalog \"%.*s\" stages a table without all of its metadata",
                           SLICE_ARGS(catalog->name));
    }
    buf_append_str(out, "[{\"action\":\"assign-uuid\",\"uuid\":");
    json_write(out, uuid);
    buf_append_char(out, '}');
    print_part("upgrade-format-version", "format-version", version, out);
    buf_append_str(out, ",{\"action\":\"add-schema\",\"schema\":");
    json_write(out, schema);
    buf_append_str(out, ",\"last-column-id\":"); /* deprecated; Nessie 0.99 wants it */
    json_write(out, last_id);
    buf_append_char(out, '}');
    buf_append_str(out, ",{\"action\":\"set-current-schema\",\"schema-id\":-1}");
    print_part("add-spec", "spec", spec, out);
    buf_append_str(out, ",{\"action\":\"set-default-spec\",\"spec-id\":-1}");
    if (order != NULL) {
        print_part("add-sort-order", "sort-order", order, out);
    } else {
        buf_append_str(out, ",{\"action\":\"add-sort-order\",\"sort-order\":{\"order-id\":0,"
                            "\"fields\":[]}}");
    }
    buf_append_str(out, ",{\"action\":\"set-default-sort-order\",\"sort-order-id\":-1}");
    print_part("set-location", "location", location, out);
    if (properties != NULL && properties->type == JSON_OBJECT) {
        print_part("set-properties", "updates", properties, out);
    }
    buf_append_char(out, ']');
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

static enum err stage(struct catalog_iceberg *catalog, const struct identity *who,
                      const struct rest_namespace *ns, struct slice name, struct slice request,
                      struct arena *arena, struct buf *out, struct errinfo *info)
{
    struct rest_loaded loaded;
    struct rest_lent lent = {0};
    struct json *metadata;
    TRY(rest_create_table(catalog->rest, &catalog->remote, who, ns, name, request, arena, &loaded,
                          &lent, info));
    iceberg_rest__take(catalog, &lent);
    TRY(json_parse(arena, loaded.metadata, NULL, &metadata, info));
    return print_updates(catalog, metadata, out, info);
}

enum err catalog_iceberg_stage(struct catalog_iceberg *catalog, const struct identity *who,
                               struct slice ns, struct slice name, struct slice updates,
                               struct arena *arena, struct slice *ret_updates, struct errinfo *info)
{
    struct slice levels[ICEBERG_LEVELS_MAX];
    struct rest_namespace asked;
    struct buf request CLEANUP(buf_fini) = {0};
    struct buf out CLEANUP(buf_fini) = {0};
    struct json *root;
    if (catalog->kind != CATALOG_ICEBERG_REST) {
        *ret_updates = updates;
        return catalog_iceberg_is_metastore(catalog)
                   ? iceberg_metastore__stage(catalog, who, ns, name, updates, info)
                   : ERR_OK;
    }
    TRY(split(catalog, ns, levels, &asked, info));
    TRY(json_parse(arena, updates, NULL, &root, info));
    TRY(print_request(root, name, arena, &request, info));
    TRY(stage(catalog, who, &asked, name, buf_slice(&request), arena, &out, info));
    return arena_slice(arena, buf_slice(&out), ret_updates) ? ERR_OK : errinfo_nomem(info);
}

/* ---- commits ---- */

enum err iceberg_rest__commit(const struct catalog_iceberg *catalog, const struct identity *who,
                              const struct catalog_iceberg_change *change, struct arena *arena,
                              struct slice *ret_metadata_location, bool *ret_is_unknown,
                              struct errinfo *info)
{
    struct slice levels[ICEBERG_LEVELS_MAX];
    struct rest_namespace asked;
    struct rest_loaded loaded;
    struct errinfo told = {0};
    TRY(split(catalog, change->ns, levels, &asked, info));
    enum err err = rest_commit(catalog->rest, &catalog->remote, who, &asked, change->name,
                               change->requirements, change->updates, arena, &loaded, &told);
    bool is_conflict = err == ERR_BUSY && strcmp(told.sqlstate, "40001") == 0;
    if (is_conflict && change->creates) {
        err =
            errinfo_set(&told, ERR_EXISTS, "42P07", "\"%.*s\" exists already in namespace \"%.*s\"",
                        SLICE_ARGS(change->name), SLICE_ARGS(change->ns));
    }
    /* An answer that could not be kept for want of memory was one all the same. */
    bool is_unknown = err == ERR_NOMEM || (err != ERR_OK && rest_is_unknown(&told));
    *ret_is_unknown = *ret_is_unknown || is_unknown;
    if (err == ERR_OK) {
        *ret_metadata_location = loaded.metadata_location;
    } else if (info != NULL) {
        *info = told;
    }
    return err;
}

enum err iceberg_rest__document(const struct catalog_iceberg *catalog, const struct identity *who,
                                struct slice ns, struct slice name, struct arena *arena,
                                struct slice *ret_location, struct slice *ret_document,
                                struct errinfo *info)
{
    struct slice levels[ICEBERG_LEVELS_MAX];
    struct rest_namespace asked;
    struct rest_loaded loaded;
    TRY(split(catalog, ns, levels, &asked, info));
    TRY(rest_load(catalog->rest, &catalog->remote, who, &asked, name, false, arena, &loaded, info));
    if (catalog_iceberg_is_metastore(catalog)) {
        TRY(iceberg_catalog__read(catalog, who, ns, name, loaded.metadata_location, arena,
                                  &loaded.metadata, info));
    }
    *ret_location = loaded.metadata_location;
    *ret_document = loaded.metadata;
    return ERR_OK;
}

enum err iceberg_rest__commits_all(const struct catalog_iceberg *catalog,
                                   const struct identity *who, bool *ret_can, struct errinfo *info)
{
    return rest_commits_all(catalog->rest, &catalog->remote, who, ret_can, info);
}

enum err iceberg_rest__commit_all(const struct catalog_iceberg *catalog, const struct identity *who,
                                  const struct catalog_iceberg_change *changes, size_t change_count,
                                  bool *ret_is_unknown, struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "transaction", 0);
    struct errinfo told = {0};
    struct rest_change *asked =
        arena == NULL ? NULL : arena_calloc(arena, change_count, sizeof(*asked));
    if (asked == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < change_count; i++) {
        struct slice *levels = arena_calloc(arena, ICEBERG_LEVELS_MAX, sizeof(*levels));
        if (levels == NULL) {
            return errinfo_nomem(info);
        }
        TRY(split(catalog, changes[i].ns, levels, &asked[i].ns, info));
        asked[i].name = changes[i].name;
        asked[i].requirements = changes[i].requirements;
        asked[i].updates = changes[i].updates;
    }
    enum err err =
        rest_commit_all(catalog->rest, &catalog->remote, who, asked, change_count, &told);
    *ret_is_unknown = *ret_is_unknown || (err != ERR_OK && rest_is_unknown(&told));
    if (err != ERR_OK && info != NULL) {
        *info = told;
    }
    return err;
}

/* ---- names ---- */

/* Both are a key and a value. */
static enum err properties_of(const struct iceberg_property *properties, size_t count,
                              struct arena *arena, struct rest_property **ret_properties,
                              struct errinfo *info)
{
    struct rest_property *out = arena_calloc(arena, count + 1, sizeof(*out));
    if (out == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        out[i] = (struct rest_property){properties[i].key, properties[i].value};
    }
    *ret_properties = out;
    return ERR_OK;
}

enum err iceberg_rest__create_namespace(const struct catalog_iceberg *catalog,
                                        const struct identity *who, struct slice ns,
                                        const struct iceberg_property *properties,
                                        size_t property_count, struct errinfo *info)
{
    struct slice levels[ICEBERG_LEVELS_MAX];
    struct rest_namespace made;
    struct rest_property *given;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "properties", 0);
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(iceberg_catalog__check_name(ns, true, info));
    TRY(split(catalog, ns, levels, &made, info));
    TRY(properties_of(properties, property_count, arena, &given, info));
    return rest_create_namespace(catalog->rest, &catalog->remote, who, &made, given, property_count,
                                 info);
}

enum err iceberg_rest__drop_namespace(const struct catalog_iceberg *catalog,
                                      const struct identity *who, struct slice ns,
                                      struct errinfo *info)
{
    struct slice levels[ICEBERG_LEVELS_MAX];
    struct rest_namespace asked;
    TRY(split(catalog, ns, levels, &asked, info));
    return rest_drop_namespace(catalog->rest, &catalog->remote, who, &asked, info);
}

enum err iceberg_rest__set_properties(const struct catalog_iceberg *catalog,
                                      const struct identity *who, struct slice ns,
                                      const struct iceberg_property *properties,
                                      size_t property_count, struct errinfo *info)
{
    struct slice levels[ICEBERG_LEVELS_MAX];
    struct rest_namespace asked;
    struct rest_property *given;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "properties", 0);
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(split(catalog, ns, levels, &asked, info));
    TRY(properties_of(properties, property_count, arena, &given, info));
    return rest_set_properties(catalog->rest, &catalog->remote, who, &asked, given, property_count,
                               info);
}

/* The catalog reads the metadata itself: whether it may is between it and its store. */
enum err iceberg_rest__register(const struct catalog_iceberg *catalog, const struct identity *who,
                                struct slice ns, struct slice name, bool is_view,
                                struct slice metadata_location, struct errinfo *info)
{
    struct slice levels[ICEBERG_LEVELS_MAX];
    struct rest_namespace asked;
    if (is_view) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                           "catalog \"%.*s\" registers no views by their metadata",
                           SLICE_ARGS(catalog->name));
    }
    TRY(iceberg_catalog__check_name(name, false, info));
    if (catalog_iceberg_is_metastore(catalog)) {
        return iceberg_metastore__register(catalog, who, ns, name, metadata_location, info);
    }
    TRY(split(catalog, ns, levels, &asked, info));
    return rest_register_table(catalog->rest, &catalog->remote, who, &asked, name,
                               metadata_location, info);
}

enum err iceberg_rest__drop(const struct catalog_iceberg *catalog, const struct identity *who,
                            struct slice ns, struct slice name, bool is_view, bool purges,
                            struct errinfo *info)
{
    struct slice levels[ICEBERG_LEVELS_MAX];
    struct rest_namespace asked;
    TRY(split(catalog, ns, levels, &asked, info));
    return is_view
               ? rest_drop_view(catalog->rest, &catalog->remote, who, &asked, name, info)
               : rest_drop_table(catalog->rest, &catalog->remote, who, &asked, name, purges, info);
}

enum err iceberg_rest__rename(const struct catalog_iceberg *catalog, const struct identity *who,
                              struct slice ns, struct slice name, bool is_view,
                              struct slice new_name, struct errinfo *info)
{
    struct slice levels[ICEBERG_LEVELS_MAX];
    struct rest_namespace asked;
    TRY(iceberg_catalog__check_name(new_name, false, info));
    TRY(split(catalog, ns, levels, &asked, info));
    return is_view ? rest_rename_view(catalog->rest, &catalog->remote, who, &asked, name, &asked,
                                      new_name, info)
                   : rest_rename_table(catalog->rest, &catalog->remote, who, &asked, name, &asked,
                                       new_name, info);
}
