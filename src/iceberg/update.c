/* Changes of a table's metadata as the REST protocol says them ("TableUpdate"), applied to the
 * document's own tree: what is not named stays as it was, unknown members too. What comes out is
 * parsed before anybody gets it. */
#include "iceberg/update_int.h"

#include "iceberg/json_int.h"

#define FIELD_ID_FIRST 1000      /* of partition fields */
#define VERSIONS_MAX_DEFAULT 100 /* write.metadata.previous-versions-max */

enum err iceberg_document_text(struct slice bytes, struct arena *arena, struct slice *ret_text,
                               struct errinfo *info)
{
    return iceberg__document_text(bytes, arena, ret_text, info);
}

/* ---- the tree ---- */

enum err update__bad(const struct updater *u, const char *what)
{
    return errinfo_set(u->info, ERR_INVALID, NULL,
                       "an update of the table's metadata is not "
                       "valid: %s",
                       what);
}

enum err update__set(struct updater *u, struct json *object, const char *key, struct json *value)
{
    if (value == NULL) {
        return errinfo_nomem(u->info);
    }
    json_set(object, key, value);
    return ERR_OK;
}

enum err update__set_number(struct updater *u, struct json *object, const char *key, int64_t value)
{
    return update__set(u, object, key, json_new_i64(u->arena, value));
}

int64_t update__number(const struct json *object, const char *key, int64_t otherwise)
{
    int64_t value;
    return json_to_i64(json_get(object, key), &value) ? value : otherwise;
}

enum err update__list(struct updater *u, const char *key, struct json **ret_array)
{
    struct json *array = json_get(u->root, key);
    if (array == NULL || array->type != JSON_ARRAY) {
        array = json_new(u->arena, JSON_ARRAY);
        TRY(update__set(u, u->root, key, array));
    }
    *ret_array = array;
    return ERR_OK;
}

enum err update__object(struct updater *u, const char *key, struct json **ret_object)
{
    struct json *object = json_get(u->root, key);
    if (object == NULL || object->type != JSON_OBJECT) {
        object = json_new(u->arena, JSON_OBJECT);
        TRY(update__set(u, u->root, key, object));
    }
    *ret_object = object;
    return ERR_OK;
}

enum err update__append_copy(struct updater *u, struct json *array, const struct json *item)
{
    struct json *copy = json_copy(u->arena, item);
    if (copy == NULL) {
        return errinfo_nomem(u->info);
    }
    copy->key = (struct slice){NULL, 0};
    json_append(array, copy);
    return ERR_OK;
}

struct json *update__find(const struct json *array, const char *key, int64_t id)
{
    int64_t value;
    for (struct json *item = array->first; item != NULL; item = item->next) {
        if (json_to_i64(json_get(item, key), &value) && value == id) {
            return item;
        }
    }
    return NULL;
}

/* Children for which `keeps` is true, in their order. */
static void filter(struct json *parent, bool (*keeps)(const struct json *item, const void *context),
                   const void *context)
{
    struct json *item = parent->first;
    parent->first = parent->last = NULL;
    parent->count = 0;
    while (item != NULL) {
        struct json *next = item->next;
        item->next = NULL;
        if (keeps(item, context)) {
            json_append(parent, item);
        }
        item = next;
    }
}

struct number_filter {
    const char *key;
    int64_t id;
};

static bool is_another_number(const struct json *item, const void *context)
{
    const struct number_filter *wanted = context;
    int64_t value;
    return !json_to_i64(json_get(item, wanted->key), &value) || value != wanted->id;
}

void update__remove_number(struct json *array, const char *key, int64_t id)
{
    struct number_filter wanted = {key, id};
    filter(array, is_another_number, &wanted);
}

static bool is_another_key(const struct json *item, const void *context)
{
    return !slice_equal(item->key, *(const struct slice *)context);
}

void update__remove_key(struct json *object, struct slice key)
{
    filter(object, is_another_key, &key);
}

/* ---- the whole ---- */

static enum err new_root(struct updater *u)
{
    static const char *const lists[] = {"schemas",   "partition-specs", "sort-orders",
                                        "snapshots", "snapshot-log",    "metadata-log"};
    u->is_new = true;
    u->root = json_new(u->arena, JSON_OBJECT);
    if (u->root == NULL) {
        return errinfo_nomem(u->info);
    }
    TRY(update__set_number(u, u->root, "format-version", 2));
    TRY(update__set(u, u->root, "table-uuid", json_new_text(u->arena, SLICE(""))));
    TRY(update__set(u, u->root, "location", json_new_text(u->arena, SLICE(""))));
    TRY(update__set_number(u, u->root, "last-sequence-number", 0));
    TRY(update__set_number(u, u->root, "last-updated-ms", 0));
    TRY(update__set_number(u, u->root, "last-column-id", 0));
    TRY(update__set_number(u, u->root, "current-schema-id", -1));
    TRY(update__set_number(u, u->root, "default-spec-id", -1));
    TRY(update__set_number(u, u->root, "last-partition-id", 999));
    TRY(update__set_number(u, u->root, "default-sort-order-id", -1));
    struct json *properties = NULL;
    TRY(update__object(u, "properties", &properties));
    struct json *refs = NULL;
    TRY(update__object(u, "refs", &refs));
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        struct json *list;
        TRY(update__list(u, lists[i], &list));
    }
    return ERR_OK;
}

static enum err parse(struct updater *u, struct slice text, struct json **ret_node)
{
    enum err err = json_parse(u->arena, text, NULL, ret_node, u->info);
    return err == ERR_INVALID
               ? errinfo_set(u->info, ERR_CORRUPT, NULL, "table metadata is no JSON document")
               : err;
}

static bool keeps_last(const struct json *item, const void *context)
{
    (void)item;
    int64_t *skip = (int64_t *)(uintptr_t)context;
    return (*skip)-- <= 0;
}

/* Where the document was until now, of the last so many. */
static enum err log_document(struct updater *u, struct slice location)
{
    struct json *log;
    struct json *entry = json_new(u->arena, JSON_OBJECT);
    int64_t most = VERSIONS_MAX_DEFAULT;
    if (location.len == 0 || u->is_new) {
        return ERR_OK;
    }
    if (entry == NULL) {
        return errinfo_nomem(u->info);
    }
    TRY(update__list(u, "metadata-log", &log));
    TRY(update__set_number(u, entry, "timestamp-ms",
                           update__number(u->root, "last-updated-ms", u->now_ms)));
    TRY(update__set(u, entry, "metadata-file", json_new_text(u->arena, location)));
    json_append(log, entry);
    (void)slice_to_i64(
        json_get_text(json_get(u->root, "properties"), "write.metadata.previous-versions-max"),
        &most);
    int64_t skip = (int64_t)log->count - (most < 1 ? 1 : most);
    filter(log, keeps_last, &skip);
    return ERR_OK;
}

/* `node` as the only item of the list `key`, with the id 0 if it has none; `current` names it. */
static enum err make_list(struct updater *u, const char *key, struct json *node, const char *id_key,
                          const char *current)
{
    struct json *list;
    int64_t id;
    if (node == NULL) {
        return errinfo_nomem(u->info);
    }
    if (!json_to_i64(json_get(node, id_key), &id)) {
        id = 0;
        TRY(update__set_number(u, node, id_key, id));
    }
    TRY(update__list(u, key, &list));
    node->key = (struct slice){NULL, 0};
    json_append(list, node);
    return update__set_number(u, u->root, current, id);
}

/* A spec or an order of version 1: fields that stand by themselves. */
static enum err make_fields_list(struct updater *u, const char *key, const struct json *fields,
                                 const char *id_key, const char *current, int64_t *ret_most)
{
    struct json *node = json_new(u->arena, JSON_OBJECT);
    struct json *copy =
        fields == NULL ? json_new(u->arena, JSON_ARRAY) : json_copy(u->arena, fields);
    if (node == NULL || copy == NULL) {
        return errinfo_nomem(u->info);
    }
    int64_t following = FIELD_ID_FIRST;
    for (struct json *field = copy->first; field != NULL; field = field->next, following++) {
        int64_t id = update__number(field, "field-id", following);
        TRY(update__set_number(u, field, "field-id", id));
        *ret_most = id > *ret_most ? id : *ret_most;
    }
    TRY(update__set_number(u, node, id_key, 0));
    TRY(update__set(u, node, "fields", copy));
    return make_list(u, key, node, id_key, current);
}

/* Documents of version 1 may have one schema, one spec and no order where others have lists of
 * them. The lists are made before anything is added to them. */
static enum err complete_old(struct updater *u)
{
    int64_t most = FIELD_ID_FIRST - 1;
    if (update__number(u->root, "format-version", 2) != 1) {
        return ERR_OK;
    }
    if (json_is_null(json_get(u->root, "schemas")) && json_get(u->root, "schema") != NULL) {
        TRY(make_list(u, "schemas", json_copy(u->arena, json_get(u->root, "schema")), "schema-id",
                      "current-schema-id"));
    }
    if (json_is_null(json_get(u->root, "partition-specs"))) {
        TRY(make_fields_list(u, "partition-specs", json_get(u->root, "partition-spec"), "spec-id",
                             "default-spec-id", &most));
        if (json_is_null(json_get(u->root, "last-partition-id"))) {
            TRY(update__set_number(u, u->root, "last-partition-id", most));
        }
    }
    return json_is_null(json_get(u->root, "sort-orders"))
               ? make_fields_list(u, "sort-orders", NULL, "order-id", "default-sort-order-id",
                                  &most)
               : ERR_OK;
}

/* Readers of version 1 look for the current schema and spec by their old names. */
static enum err keep_old_names(struct updater *u)
{
    if (update__number(u->root, "format-version", 2) != 1) {
        return ERR_OK;
    }
    struct json *schemas;
    struct json *specs;
    TRY(update__list(u, "schemas", &schemas));
    TRY(update__list(u, "partition-specs", &specs));
    const struct json *schema =
        update__find(schemas, "schema-id", update__number(u->root, "current-schema-id", 0));
    const struct json *spec =
        update__find(specs, "spec-id", update__number(u->root, "default-spec-id", 0));
    if (schema != NULL) {
        TRY(update__set(u, u->root, "schema", json_copy(u->arena, schema)));
    }
    if (spec != NULL && json_get(spec, "fields") != NULL) {
        TRY(update__set(u, u->root, "partition-spec",
                        json_copy(u->arena, json_get(spec, "fields"))));
    }
    return ERR_OK;
}

static enum err check_result(const struct updater *u, struct slice text)
{
    struct iceberg_metadata metadata;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "new metadata", 0);
    if (arena == NULL) {
        return errinfo_nomem(u->info);
    }
    enum err err = iceberg_metadata_parse(text, arena, &metadata, u->info);
    if (err == ERR_CORRUPT) {
        char words[ERRINFO_MESSAGE_BYTES];
        (void)snprintf(words, sizeof(words), "%s", u->info == NULL ? "" : u->info->message);
        return update__bad(u, words);
    }
    return err;
}

static enum err apply_all(struct updater *u, const struct iceberg_update *update)
{
    struct json *requirements = NULL;
    struct json *updates = NULL;
    TRY(parse(u, update->requirements, &requirements));
    TRY(parse(u, update->updates, &updates));
    TRY(iceberg_requirements_check(u->root, requirements, u->info));
    if (u->root == NULL) {
        TRY(new_root(u));
    }
    if (updates->type != JSON_ARRAY) {
        return update__bad(u, "updates are no list");
    }
    TRY(complete_old(u));
    TRY(log_document(u, update->location));
    for (const struct json *node = updates->first; node != NULL; node = node->next) {
        TRY(update__apply(u, node));
    }
    int64_t last = update__number(u->root, "last-updated-ms", 0);
    TRY(update__set_number(u, u->root, "last-updated-ms", last > u->now_ms ? last : u->now_ms));
    return keep_old_names(u);
}

enum err iceberg_update_apply(const struct iceberg_update *update, struct buf *ret_document,
                              struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "metadata update", 0);
    struct updater u = {.arena = arena,
                        .now_ms = update->now_ms,
                        .last_schema_id = -1,
                        .last_spec_id = -1,
                        .last_order_id = -1,
                        .info = info};
    struct buf out CLEANUP(buf_fini) = {0};
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    if (update->document.len > 0) {
        TRY(parse(&u, update->document, &u.root));
    }
    TRY(apply_all(&u, update));
    json_write(&out, u.root);
    if (buf_failed(&out)) {
        return errinfo_nomem(info);
    }
    TRY(check_result(&u, buf_slice(&out)));
    buf_append_slice(ret_document, buf_slice(&out));
    return buf_failed(ret_document) ? errinfo_nomem(info) : ERR_OK;
}
