/* Whether a change of a table is in its metadata: for who was not told what became of a commit. It
 * is asked of what each update makes true, as far as it can be seen later; an update that is not
 * known here counts as not done. */
#include "iceberg/json_int.h"
#include "iceberg/metadata.h"
#include "iceberg/write.h"

struct checker {
    const struct iceberg_metadata *now;
    struct slice updates; /* their text */
    struct arena *arena;
    const struct json *schema; /* added last; NULL: none */
    bool adds_spec, adds_order;
};

typedef bool (*done_fn)(struct checker *c, const struct json *node);

static int64_t number(const struct json *node, const char *key, int64_t otherwise)
{
    int64_t value;
    return json_to_i64(json_get(node, key), &value) ? value : otherwise;
}

/* ---- schemas, specs, orders ---- */

static bool add_schema(struct checker *c, const struct json *node)
{
    c->schema = json_get(node, "schema");
    return c->schema != NULL;
}

static bool is_current(const struct checker *c, const struct json *node)
{
    struct buf left CLEANUP(buf_fini) = {0};
    struct buf right CLEANUP(buf_fini) = {0};
    struct iceberg_schema schema;
    struct iceberg_schema current = *iceberg_metadata_current_schema(c->now);
    if (iceberg_schema_parse(node, c->now->format_version, "$", c->arena, &schema, NULL) !=
        ERR_OK) {
        return false;
    }
    schema.id = current.id = 0; /* the catalog numbers them */
    iceberg_schema_write(&schema, &left);
    iceberg_schema_write(&current, &right);
    return !buf_failed(&left) && !buf_failed(&right) &&
           slice_equal(buf_slice(&left), buf_slice(&right));
}

static bool set_current_schema(struct checker *c, const struct json *node)
{
    int64_t id = number(node, "schema-id", -1);
    return id >= 0 ? id == c->now->current_schema_id
                   : c->schema != NULL && is_current(c, c->schema);
}

static bool add_spec(struct checker *c, UNUSED const struct json *node)
{
    return c->adds_spec = true;
}

static bool add_order(struct checker *c, UNUSED const struct json *node)
{
    return c->adds_order = true;
}

/* The updates were printed by what prints this. */
static bool says(const struct checker *c, const struct buf *fields)
{
    return !buf_failed(fields) && slice_find(c->updates, buf_slice(fields)) != SIZE_MAX;
}

static bool set_default_spec(struct checker *c, const struct json *node)
{
    struct buf fields CLEANUP(buf_fini) = {0};
    int64_t id = number(node, "spec-id", -1);
    const struct iceberg_spec *spec = iceberg_metadata_spec(c->now, c->now->default_spec_id);
    if (id >= 0 || spec == NULL) {
        return id == c->now->default_spec_id;
    }
    buf_append_str(&fields, "\"fields\":");
    iceberg_spec_write_fields(spec, &fields);
    return c->adds_spec && says(c, &fields);
}

static bool set_default_order(struct checker *c, const struct json *node)
{
    struct buf fields CLEANUP(buf_fini) = {0};
    int64_t id = number(node, "sort-order-id", -1);
    if (id >= 0) {
        return id == c->now->default_sort_order_id;
    }
    for (size_t i = 0; i < c->now->sort_order_count; i++) {
        const struct iceberg_sort_order *order = &c->now->sort_orders[i];
        if (order->id == c->now->default_sort_order_id) {
            buf_append_str(&fields, "\"fields\":");
            iceberg_sort_write_fields(order->fields, order->field_count, &fields);
        }
    }
    return c->adds_order && fields.len > 0 && says(c, &fields);
}

/* ---- snapshots ---- */

static bool add_snapshot(struct checker *c, const struct json *node)
{
    int64_t id = number(json_get(node, "snapshot"), "snapshot-id", ICEBERG_NO_ID);
    return iceberg_metadata_snapshot(c->now, id) != NULL;
}

static bool set_ref(struct checker *c, const struct json *node)
{
    const struct iceberg_ref *ref = iceberg_metadata_ref(c->now, json_get_text(node, "ref-name"));
    return ref != NULL && ref->snapshot_id == number(node, "snapshot-id", ICEBERG_NO_ID);
}

static bool remove_ref(struct checker *c, const struct json *node)
{
    return iceberg_metadata_ref(c->now, json_get_text(node, "ref-name")) == NULL;
}

static bool remove_snapshots(struct checker *c, const struct json *node)
{
    const struct json *ids = json_get(node, "snapshot-ids");
    for (const struct json *item = ids == NULL ? NULL : ids->first; item != NULL;
         item = item->next) {
        int64_t id;
        if (!json_to_i64(item, &id) || iceberg_metadata_snapshot(c->now, id) != NULL) {
            return false;
        }
    }
    return ids != NULL;
}

static bool has_statistics(const struct checker *c, int64_t snapshot_id, struct slice path)
{
    for (size_t i = 0; i < c->now->statistics_count; i++) {
        const struct iceberg_statistics *one = &c->now->statistics[i];
        if (one->snapshot_id == snapshot_id && (path.ptr == NULL || slice_equal(one->path, path))) {
            return true;
        }
    }
    return false;
}

static bool set_statistics(struct checker *c, const struct json *node)
{
    const struct json *said = json_get(node, "statistics");
    return has_statistics(c, number(said, "snapshot-id", ICEBERG_NO_ID),
                          json_get_text(said, "statistics-path"));
}

static bool remove_statistics(struct checker *c, const struct json *node)
{
    return !has_statistics(c, number(node, "snapshot-id", ICEBERG_NO_ID), (struct slice){NULL, 0});
}

/* ---- the table ---- */

static bool upgrade(struct checker *c, const struct json *node)
{
    return c->now->format_version == number(node, "format-version", 0);
}

static bool set_location(struct checker *c, const struct json *node)
{
    return slice_equal(c->now->location, json_get_text(node, "location"));
}

static const struct iceberg_property *find_property(const struct checker *c, struct slice key)
{
    for (size_t i = 0; i < c->now->property_count; i++) {
        if (slice_equal(c->now->properties[i].key, key)) {
            return &c->now->properties[i];
        }
    }
    return NULL;
}

static bool set_properties(struct checker *c, const struct json *node)
{
    const struct json *updates = json_get(node, "updates");
    for (const struct json *item = updates == NULL ? NULL : updates->first; item != NULL;
         item = item->next) {
        const struct iceberg_property *own = find_property(c, item->key);
        if (own == NULL || !slice_equal(own->value, item->text)) {
            return false;
        }
    }
    return updates != NULL;
}

static bool remove_properties(struct checker *c, const struct json *node)
{
    const struct json *removals = json_get(node, "removals");
    for (const struct json *item = removals == NULL ? NULL : removals->first; item != NULL;
         item = item->next) {
        if (find_property(c, item->text) != NULL) {
            return false;
        }
    }
    return removals != NULL;
}

bool iceberg_update_is_done(const struct iceberg_metadata *now, struct slice updates,
                            struct arena *arena)
{
    static const struct {
        const char *action;
        done_fn is_done;
    } actions[] = {
        {"upgrade-format-version", upgrade},
        {"set-location", set_location},
        {"set-properties", set_properties},
        {"remove-properties", remove_properties},
        {"add-schema", add_schema},
        {"set-current-schema", set_current_schema},
        {"add-spec", add_spec},
        {"set-default-spec", set_default_spec},
        {"add-sort-order", add_order},
        {"set-default-sort-order", set_default_order},
        {"add-snapshot", add_snapshot},
        {"set-snapshot-ref", set_ref},
        {"remove-snapshot-ref", remove_ref},
        {"remove-snapshots", remove_snapshots},
        {"set-statistics", set_statistics},
        {"remove-statistics", remove_statistics},
    };
    struct checker c = {.now = now, .updates = updates, .arena = arena};
    struct json *root;
    if (json_parse(arena, updates, NULL, &root, NULL) != ERR_OK || root->type != JSON_ARRAY) {
        return false;
    }
    for (const struct json *node = root->first; node != NULL; node = node->next) {
        bool is_done = false;
        for (size_t i = 0; i < ARRAY_COUNT(actions); i++) {
            if (slice_equal(json_get_text(node, "action"), slice_of(actions[i].action))) {
                is_done = actions[i].is_done(&c, node);
            }
        }
        if (!is_done) {
            return false;
        }
    }
    return root->first != NULL;
}
