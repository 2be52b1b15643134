/* Each kind of update, and each requirement. */
#include "iceberg/update_int.h"

typedef enum err (*update_fn)(struct updater *u, const struct json *node);

static enum err need_number(const struct updater *u, const struct json *node, const char *key,
                            int64_t *ret_value)
{
    return json_to_i64(json_get(node, key), ret_value) ? ERR_OK : update__bad(u, key);
}

static enum err need_text(const struct updater *u, const struct json *node, const char *key,
                          struct slice *ret_text)
{
    const struct json *member = json_get(node, key);
    if (member == NULL || member->type != JSON_STRING) {
        return update__bad(u, key);
    }
    *ret_text = member->text;
    return ERR_OK;
}

static enum err need(const struct updater *u, const struct json *node, const char *key,
                     enum json_type type, const struct json **ret_member)
{
    const struct json *member = json_get(node, key);
    if (member == NULL || member->type != type) {
        return update__bad(u, key);
    }
    *ret_member = member;
    return ERR_OK;
}

/* ---- the table ---- */

static enum err assign_uuid(struct updater *u, const struct json *node)
{
    struct slice uuid = {0};
    struct slice own = json_get_text(u->root, "table-uuid");
    TRY(need_text(u, node, "uuid", &uuid));
    if (own.len > 0 && !slice_equal_fold(own, uuid)) {
        return update__bad(u, "the table's uuid never changes");
    }
    return update__set(u, u->root, "table-uuid", json_new_text(u->arena, uuid));
}

/* Snapshots of version 1 have sequence number 0; row ids start where version 3 does. */
static enum err upgrade(struct updater *u, const struct json *node)
{
    int64_t version = 0;
    int64_t now = update__number(u->root, "format-version", 0);
    TRY(need_number(u, node, "format-version", &version));
    if ((version < now && !u->is_new) || version < 1 || version > ICEBERG_FORMAT_VERSION_MAX) {
        return update__bad(u, "format-version");
    }
    TRY(update__set_number(u, u->root, "format-version", version));
    if (version > 1 && json_get(u->root, "last-sequence-number") == NULL) {
        TRY(update__set_number(u, u->root, "last-sequence-number", 0));
    }
    if (version > 2 && json_get(u->root, "next-row-id") == NULL) {
        TRY(update__set_number(u, u->root, "next-row-id", 0));
    }
    return ERR_OK;
}

static enum err set_location(struct updater *u, const struct json *node)
{
    struct slice location = {0};
    TRY(need_text(u, node, "location", &location));
    return update__set(u, u->root, "location", json_new_text(u->arena, location));
}

static enum err set_properties(struct updater *u, const struct json *node)
{
    struct json *properties;
    const struct json *updates = NULL;
    TRY(update__object(u, "properties", &properties));
    TRY(need(u, node, "updates", JSON_OBJECT, &updates));
    for (const struct json *item = updates->first; item != NULL; item = item->next) {
        struct json *value = json_new_text(u->arena, item->text);
        if (item->type != JSON_STRING) {
            return update__bad(u, "a property's value is a text");
        }
        if (value == NULL) {
            return errinfo_nomem(u->info);
        }
        update__remove_key(properties, item->key);
        value->key = item->key;
        json_append(properties, value);
    }
    return ERR_OK;
}

static enum err remove_properties(struct updater *u, const struct json *node)
{
    struct json *properties;
    const struct json *removals = NULL;
    TRY(update__object(u, "properties", &properties));
    TRY(need(u, node, "removals", JSON_ARRAY, &removals));
    for (const struct json *item = removals->first; item != NULL; item = item->next) {
        update__remove_key(properties, item->text);
    }
    return ERR_OK;
}

/* ---- schemas, specs, sort orders ---- */

/* Appends a copy of the object `key` of an update, whose id is new in `list`. */
static enum err add_numbered(struct updater *u, const struct json *node, const char *key,
                             const char *list, const char *id_key, int64_t *ret_id,
                             const struct json **ret_object)
{
    struct json *array;
    const struct json *object = NULL;
    TRY(need(u, node, key, JSON_OBJECT, &object));
    TRY(update__list(u, list, &array));
    TRY(need_number(u, object, id_key, ret_id));
    if (update__find(array, id_key, *ret_id) != NULL || *ret_id < 0) {
        return update__bad(u, id_key);
    }
    *ret_object = object;
    return update__append_copy(u, array, object);
}

static enum err add_schema(struct updater *u, const struct json *node)
{
    const struct json *object = NULL;
    struct iceberg_schema schema;
    TRY(add_numbered(u, node, "schema", "schemas", "schema-id", &u->last_schema_id, &object));
    uint32_t version = (uint32_t)update__number(u->root, "format-version", 2);
    TRY(iceberg_schema_parse(object, version, "$.schema", u->arena, &schema, u->info));
    int64_t last = update__number(u->root, "last-column-id", 0);
    int64_t most = iceberg_schema_id_max(&schema);
    return update__set_number(u, u->root, "last-column-id", most > last ? most : last);
}

static enum err add_spec(struct updater *u, const struct json *node)
{
    const struct json *object = NULL;
    const struct json *fields = NULL;
    int64_t last = update__number(u->root, "last-partition-id", 999);
    TRY(add_numbered(u, node, "spec", "partition-specs", "spec-id", &u->last_spec_id, &object));
    TRY(need(u, object, "fields", JSON_ARRAY, &fields));
    for (const struct json *field = fields->first; field != NULL; field = field->next) {
        int64_t id = 0;
        TRY(need_number(u, field, "field-id", &id));
        last = id > last ? id : last;
    }
    return update__set_number(u, u->root, "last-partition-id", last);
}

static enum err add_sort_order(struct updater *u, const struct json *node)
{
    const struct json *object = NULL;
    return add_numbered(u, node, "sort-order", "sort-orders", "order-id", &u->last_order_id,
                        &object);
}

/* -1 is the one that this change has added last. */
static enum err choose(struct updater *u, const struct json *node, const char *key,
                       const char *list, const char *id_key, int64_t last, const char *root_key)
{
    struct json *array;
    int64_t id = 0;
    TRY(need_number(u, node, key, &id));
    TRY(update__list(u, list, &array));
    id = id == -1 ? last : id;
    if (update__find(array, id_key, id) == NULL) {
        return update__bad(u, key);
    }
    return update__set_number(u, u->root, root_key, id);
}

static enum err set_current_schema(struct updater *u, const struct json *node)
{
    return choose(u, node, "schema-id", "schemas", "schema-id", u->last_schema_id,
                  "current-schema-id");
}

static enum err set_default_spec(struct updater *u, const struct json *node)
{
    return choose(u, node, "spec-id", "partition-specs", "spec-id", u->last_spec_id,
                  "default-spec-id");
}

static enum err set_default_sort_order(struct updater *u, const struct json *node)
{
    return choose(u, node, "sort-order-id", "sort-orders", "order-id", u->last_order_id,
                  "default-sort-order-id");
}

static enum err remove_ids(struct updater *u, const struct json *node, const char *key,
                           const char *list, const char *id_key, const char *root_key)
{
    struct json *array;
    const struct json *ids = NULL;
    TRY(need(u, node, key, JSON_ARRAY, &ids));
    TRY(update__list(u, list, &array));
    for (const struct json *item = ids->first; item != NULL; item = item->next) {
        int64_t id;
        if (!json_to_i64(item, &id) || id == update__number(u->root, root_key, -1)) {
            return update__bad(u, key);
        }
        update__remove_number(array, id_key, id);
    }
    return ERR_OK;
}

static enum err remove_schemas(struct updater *u, const struct json *node)
{
    return remove_ids(u, node, "schema-ids", "schemas", "schema-id", "current-schema-id");
}

static enum err remove_specs(struct updater *u, const struct json *node)
{
    return remove_ids(u, node, "spec-ids", "partition-specs", "spec-id", "default-spec-id");
}

/* ---- snapshots ---- */

static enum err add_snapshot(struct updater *u, const struct json *node)
{
    const struct json *snapshot = NULL;
    int64_t id = 0;
    int64_t version = update__number(u->root, "format-version", 2);
    TRY(add_numbered(u, node, "snapshot", "snapshots", "snapshot-id", &id, &snapshot));
    int64_t sequence = update__number(snapshot, "sequence-number", 0);
    if (version > 1 && sequence < 1) {
        return update__bad(u, "sequence-number");
    }
    if (version > 1 && sequence <= update__number(u->root, "last-sequence-number", 0)) {
        /* Somebody has taken it, on another branch than the one that must be as it was. */
        return errinfo_set(u->info, ERR_BUSY, "40001",
                           "another snapshot of the table has this sequence number already");
    }
    if (version > 1) {
        TRY(update__set_number(u, u->root, "last-sequence-number", sequence));
    }
    if (version > 2) {
        int64_t next = update__number(u->root, "next-row-id", 0);
        int64_t rows = update__number(snapshot, "added-rows", -1);
        if (update__number(snapshot, "first-row-id", -1) != next || rows < 0) {
            return update__bad(u, "first-row-id");
        }
        TRY(update__set_number(u, u->root, "next-row-id", next + rows));
    }
    u->last_snapshot_id = id;
    u->has_snapshot = true;
    int64_t time = update__number(snapshot, "timestamp-ms", u->now_ms);
    int64_t last = update__number(u->root, "last-updated-ms", 0);
    return update__set_number(u, u->root, "last-updated-ms", time > last ? time : last);
}

static enum err log_head(struct updater *u, int64_t snapshot_id)
{
    struct json *log;
    struct json *snapshots;
    struct json *entry = json_new(u->arena, JSON_OBJECT);
    if (entry == NULL) {
        return errinfo_nomem(u->info);
    }
    TRY(update__list(u, "snapshot-log", &log));
    TRY(update__list(u, "snapshots", &snapshots));
    bool is_new = u->has_snapshot && u->last_snapshot_id == snapshot_id;
    int64_t time = is_new ? update__number(update__find(snapshots, "snapshot-id", snapshot_id),
                                           "timestamp-ms", u->now_ms)
                          : u->now_ms;
    TRY(update__set_number(u, entry, "timestamp-ms", time));
    TRY(update__set_number(u, entry, "snapshot-id", snapshot_id));
    json_append(log, entry);
    return update__set_number(u, u->root, "current-snapshot-id", snapshot_id);
}

/* The reference is the update but for its action and name. */
static enum err set_ref(struct updater *u, const struct json *node)
{
    struct json *refs;
    struct json *snapshots;
    struct slice name = {0};
    int64_t id = 0;
    TRY(need_text(u, node, "ref-name", &name));
    TRY(need_number(u, node, "snapshot-id", &id));
    TRY(update__object(u, "refs", &refs));
    TRY(update__list(u, "snapshots", &snapshots));
    if (update__find(snapshots, "snapshot-id", id) == NULL) {
        return update__bad(u, "snapshot-id");
    }
    struct json *ref = json_copy(u->arena, node);
    if (ref == NULL) {
        return errinfo_nomem(u->info);
    }
    update__remove_key(ref, SLICE("action"));
    update__remove_key(ref, SLICE("ref-name"));
    update__remove_key(refs, name);
    ref->key = name;
    json_append(refs, ref);
    bool is_main = slice_equal(name, SLICE("main"));
    bool is_head = is_main && update__number(u->root, "current-snapshot-id", -1) == id;
    return is_main && !is_head ? log_head(u, id) : ERR_OK;
}

static enum err remove_ref(struct updater *u, const struct json *node)
{
    struct json *refs;
    struct slice name = {0};
    TRY(need_text(u, node, "ref-name", &name));
    TRY(update__object(u, "refs", &refs));
    update__remove_key(refs, name);
    return slice_equal(name, SLICE("main"))
               ? update__set_number(u, u->root, "current-snapshot-id", -1)
               : ERR_OK;
}

static bool names_snapshot(const struct json *refs, int64_t id)
{
    for (const struct json *ref = refs->first; ref != NULL; ref = ref->next) {
        if (update__number(ref, "snapshot-id", -1) == id) {
            return true;
        }
    }
    return false;
}

static enum err remove_snapshots(struct updater *u, const struct json *node)
{
    static const char *const lists[] = {"snapshots", "snapshot-log", "statistics",
                                        "partition-statistics"};
    struct json *refs;
    const struct json *ids = NULL;
    TRY(need(u, node, "snapshot-ids", JSON_ARRAY, &ids));
    TRY(update__object(u, "refs", &refs));
    for (const struct json *item = ids->first; item != NULL; item = item->next) {
        int64_t id;
        if (!json_to_i64(item, &id) || names_snapshot(refs, id)) {
            return update__bad(u, "snapshot-ids");
        }
        for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
            struct json *list = json_get(u->root, lists[i]);
            if (list != NULL && list->type == JSON_ARRAY) {
                update__remove_number(list, "snapshot-id", id);
            }
        }
    }
    return ERR_OK;
}

static enum err set_file(struct updater *u, const struct json *node, const char *key,
                         const char *list)
{
    struct json *array;
    const struct json *object = NULL;
    int64_t id = 0;
    TRY(need(u, node, key, JSON_OBJECT, &object));
    TRY(need_number(u, object, "snapshot-id", &id));
    TRY(update__list(u, list, &array));
    update__remove_number(array, "snapshot-id", id);
    return update__append_copy(u, array, object);
}

static enum err remove_file(struct updater *u, const struct json *node, const char *list)
{
    struct json *array;
    int64_t id = 0;
    TRY(need_number(u, node, "snapshot-id", &id));
    TRY(update__list(u, list, &array));
    update__remove_number(array, "snapshot-id", id);
    return ERR_OK;
}

static enum err set_statistics(struct updater *u, const struct json *node)
{
    return set_file(u, node, "statistics", "statistics");
}

static enum err remove_statistics(struct updater *u, const struct json *node)
{
    return remove_file(u, node, "statistics");
}

static enum err set_partition_statistics(struct updater *u, const struct json *node)
{
    return set_file(u, node, "partition-statistics", "partition-statistics");
}

static enum err remove_partition_statistics(struct updater *u, const struct json *node)
{
    return remove_file(u, node, "partition-statistics");
}

static const struct {
    const char *action;
    update_fn apply;
} actions[] = {
    {"assign-uuid", assign_uuid},
    {"upgrade-format-version", upgrade},
    {"set-location", set_location},
    {"set-properties", set_properties},
    {"remove-properties", remove_properties},
    {"add-schema", add_schema},
    {"set-current-schema", set_current_schema},
    {"remove-schemas", remove_schemas},
    {"add-spec", add_spec},
    {"set-default-spec", set_default_spec},
    {"remove-partition-specs", remove_specs},
    {"add-sort-order", add_sort_order},
    {"set-default-sort-order", set_default_sort_order},
    {"add-snapshot", add_snapshot},
    {"set-snapshot-ref", set_ref},
    {"remove-snapshot-ref", remove_ref},
    {"remove-snapshots", remove_snapshots},
    {"set-statistics", set_statistics},
    {"remove-statistics", remove_statistics},
    {"set-partition-statistics", set_partition_statistics},
    {"remove-partition-statistics", remove_partition_statistics},
};

enum err update__apply(struct updater *u, const struct json *node)
{
    struct slice action = json_get_text(node, "action");
    for (size_t i = 0; i < ARRAY_COUNT(actions); i++) {
        if (slice_equal(action, slice_of(actions[i].action))) {
            return actions[i].apply(u, node);
        }
    }
    return errinfo_set(u->info, ERR_UNSUPPORTED, NULL, "update \"%.*s\" of a table is not known",
                       SLICE_ARGS(action));
}

/* ---- requirements ---- */

static enum err changed(struct slice requirement, struct errinfo *info)
{
    return errinfo_set(info, ERR_BUSY, "40001",
                       "somebody else has changed the table since it was read (%.*s)",
                       SLICE_ARGS(requirement));
}

static bool has_ref(const struct json *document, const struct json *requirement)
{
    struct slice name = json_get_text(requirement, "ref");
    const struct json *refs = json_get(document, "refs");
    const struct json *wanted = json_get(requirement, "snapshot-id");
    const struct json *ref = NULL;
    for (const struct json *item = refs == NULL ? NULL : refs->first; item != NULL;
         item = item->next) {
        ref = slice_equal(item->key, name) ? item : ref;
    }
    int64_t now = update__number(ref, "snapshot-id", ICEBERG_NO_ID);
    if (ref == NULL && slice_equal(name, SLICE("main"))) { /* old tables write no refs */
        now = update__number(document, "current-snapshot-id", ICEBERG_NO_ID);
    }
    int64_t id = ICEBERG_NO_ID;
    return json_is_null(wanted) ? now == ICEBERG_NO_ID : json_to_i64(wanted, &id) && id == now;
}

static bool has_number(const struct json *document, const struct json *requirement, const char *key,
                       const char *document_key, int64_t otherwise)
{
    int64_t wanted;
    return json_to_i64(json_get(requirement, key), &wanted) &&
           wanted == update__number(document, document_key, otherwise);
}

static enum err check_one(const struct json *document, const struct json *requirement,
                          struct errinfo *info)
{
    static const struct {
        const char *type;
        const char *key;
        const char *document_key;
        int64_t otherwise;
    } numbers[] = {
        {"assert-last-assigned-field-id", "last-assigned-field-id", "last-column-id", 0},
        {"assert-current-schema-id", "current-schema-id", "current-schema-id", 0},
        {"assert-last-assigned-partition-id", "last-assigned-partition-id", "last-partition-id",
         999},
        {"assert-default-spec-id", "default-spec-id", "default-spec-id", 0},
        {"assert-default-sort-order-id", "default-sort-order-id", "default-sort-order-id", 0},
    };
    struct slice type = json_get_text(requirement, "type");
    if (slice_equal(type, SLICE("assert-create"))) {
        return document == NULL
                   ? ERR_OK
                   : errinfo_set(info, ERR_EXISTS, "42P07", "the table exists already");
    }
    if (document == NULL) {
        return errinfo_set(info, ERR_NOT_FOUND, "42P01", "the table does not exist any more");
    }
    if (slice_equal(type, SLICE("assert-table-uuid"))) {
        return slice_equal_fold(json_get_text(document, "table-uuid"),
                                json_get_text(requirement, "uuid"))
                   ? ERR_OK
                   : changed(type, info);
    }
    if (slice_equal(type, SLICE("assert-ref-snapshot-id"))) {
        return has_ref(document, requirement) ? ERR_OK : changed(type, info);
    }
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        if (slice_equal(type, slice_of(numbers[i].type))) {
            return has_number(document, requirement, numbers[i].key, numbers[i].document_key,
                              numbers[i].otherwise)
                       ? ERR_OK
                       : changed(type, info);
        }
    }
    return errinfo_set(info, ERR_UNSUPPORTED, NULL, "requirement \"%.*s\" of a table is not known",
                       SLICE_ARGS(type));
}

enum err iceberg_requirements_check(const struct json *document, const struct json *requirements,
                                    struct errinfo *info)
{
    if (requirements == NULL || requirements->type != JSON_ARRAY) {
        return errinfo_set(info, ERR_INVALID, NULL, "requirements of a change are no list");
    }
    for (const struct json *item = requirements->first; item != NULL; item = item->next) {
        TRY(check_one(document, item, info));
    }
    return ERR_OK;
}
