/* What a change of shape is to a catalog. A schema, spec or order that the table has had before is
 * chosen again rather than added. */
#include "iceberg/evolve_int.h"

#include "base/json.h"

/* ---- properties ---- */

enum err evolve__put(struct iceberg_evolution *e, struct slice key, struct slice value,
                     struct errinfo *info)
{
    for (size_t i = 0; i < e->property_count; i++) {
        if (slice_equal(e->properties[i].key, key)) {
            e->properties[i].value = value;
            return ERR_OK;
        }
    }
    if (e->property_count == e->property_capacity) {
        size_t capacity = e->property_capacity == 0 ? 8 : e->property_capacity * 2;
        struct evolve_property *grown = arena_calloc(e->arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(info);
        }
        if (e->property_count > 0) {
            memcpy(grown, e->properties, e->property_count * sizeof(*grown));
        }
        e->properties = grown;
        e->property_capacity = capacity;
    }
    e->properties[e->property_count++] = (struct evolve_property){key, value};
    return ERR_OK;
}

enum err iceberg_evolve_property(struct iceberg_evolution *e, struct slice key, struct slice value,
                                 struct errinfo *info)
{
    static const char *const reserved[] = {"format-version",
                                           "uuid",
                                           "location",
                                           "snapshot-count",
                                           "current-snapshot-id",
                                           "current-schema",
                                           "current-snapshot-summary",
                                           "current-snapshot-timestamp-ms",
                                           "default-partition-spec",
                                           "default-sort-order"};
    if (key.len == 0) {
        return errinfo_set(info, ERR_INVALID, "22023", "a property has a name");
    }
    for (size_t i = 0; i < ARRAY_COUNT(reserved); i++) {
        if (slice_equal_fold(key, slice_of(reserved[i]))) {
            return errinfo_set(info, ERR_INVALID, "22023",
                               "\"%.*s\" is no property but what the table is", SLICE_ARGS(key));
        }
    }
    return evolve__put(e, key, value, info);
}

enum err iceberg_evolve_upgrade(struct iceberg_evolution *e, uint32_t version, struct errinfo *info)
{
    if (version < e->version || version > ICEBERG_FORMAT_VERSION_MAX) {
        return errinfo_set(info, ERR_INVALID, "22023",
                           "a table of format version %u cannot become one of version %u",
                           e->version, version);
    }
    e->version = version;
    return ERR_OK;
}

/* ---- what is there already ---- */

static enum err print_schema(const struct iceberg_schema *schema, struct buf *out,
                             struct errinfo *info)
{
    struct iceberg_schema numbered = *schema;
    numbered.id = 0;
    buf_reset(out);
    iceberg_schema_write(&numbered, out);
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

/* The id of such a schema, or one above all. */
static enum err choose_schema(const struct iceberg_evolution *e, int32_t *ret_id, bool *ret_is_new,
                              struct errinfo *info)
{
    struct buf own CLEANUP(buf_fini) = {0};
    struct buf other CLEANUP(buf_fini) = {0};
    int32_t most = -1;
    TRY(print_schema(&e->schema, &own, info));
    for (size_t i = 0; i < e->metadata->schema_count; i++) {
        const struct iceberg_schema *schema = &e->metadata->schemas[i];
        TRY(print_schema(schema, &other, info));
        if (slice_equal(buf_slice(&own), buf_slice(&other))) {
            *ret_id = schema->id;
            *ret_is_new = false;
            return ERR_OK;
        }
        most = schema->id > most ? schema->id : most;
    }
    *ret_id = most + 1;
    *ret_is_new = true;
    return ERR_OK;
}

static enum err print_spec(const struct iceberg_spec *spec, struct buf *out, struct errinfo *info)
{
    buf_reset(out);
    iceberg_spec_write_fields(spec, out);
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

static enum err choose_spec(const struct iceberg_evolution *e, const struct iceberg_spec *spec,
                            int32_t *ret_id, bool *ret_is_new, struct errinfo *info)
{
    struct buf own CLEANUP(buf_fini) = {0};
    struct buf other CLEANUP(buf_fini) = {0};
    int32_t most = -1;
    TRY(print_spec(spec, &own, info));
    for (size_t i = 0; i < e->metadata->spec_count; i++) {
        TRY(print_spec(&e->metadata->specs[i], &other, info));
        if (slice_equal(buf_slice(&own), buf_slice(&other))) {
            *ret_id = e->metadata->specs[i].id;
            *ret_is_new = false;
            return ERR_OK;
        }
        most = e->metadata->specs[i].id > most ? e->metadata->specs[i].id : most;
    }
    *ret_id = most + 1;
    *ret_is_new = true;
    return ERR_OK;
}

static bool order_equal(const struct iceberg_sort_order *order, const struct iceberg_evolution *e)
{
    bool is_equal = order->field_count == e->sort_count;
    for (size_t i = 0; is_equal && i < e->sort_count; i++) {
        const struct iceberg_sort_field *a = &order->fields[i];
        const struct iceberg_sort_field *b = &e->sorts[i];
        is_equal = a->source_count == 1 && a->source_ids[0] == b->source_ids[0] &&
                   a->transform.kind == b->transform.kind &&
                   a->transform.width == b->transform.width &&
                   a->transform.kind != TRANSFORM_OTHER && a->is_descending == b->is_descending &&
                   a->is_nulls_last == b->is_nulls_last;
    }
    return is_equal;
}

/* Order 0 is the one without fields, and no other is. */
static void choose_order(const struct iceberg_evolution *e, int32_t *ret_id, bool *ret_is_new)
{
    int32_t most = 0;
    *ret_is_new = true;
    for (size_t i = 0; i < e->metadata->sort_order_count && *ret_is_new; i++) {
        const struct iceberg_sort_order *order = &e->metadata->sort_orders[i];
        if (order_equal(order, e)) {
            *ret_id = order->id;
            *ret_is_new = false;
        }
        most = order->id > most ? order->id : most;
    }
    if (*ret_is_new) {
        *ret_id = e->sort_count == 0 ? 0 : most + 1;
    }
}

/* ---- updates ---- */

static void begin(struct buf *out, const char *action)
{
    buf_printf(out, "%s{\"action\":\"%s\"", out->len == 0 ? "[" : ",", action);
}

static enum err print_schema_updates(struct iceberg_evolution *e, struct buf *out,
                                     struct errinfo *info)
{
    bool is_new = false;
    TRY(choose_schema(e, &e->schema.id, &is_new, info));
    if (is_new) {
        begin(out, "add-schema");
        buf_append_str(out, ",\"schema\":");
        iceberg_schema_write(&e->schema, out);
        buf_printf(out, ",\"last-column-id\":%d}", e->last_column_id);
    } else if (e->schema.id == e->metadata->current_schema_id) {
        e->changes_schema = false;
        return ERR_OK;
    }
    begin(out, "set-current-schema");
    buf_printf(out, ",\"schema-id\":%d}", is_new ? -1 : e->schema.id);
    return ERR_OK;
}

static enum err print_spec_updates(struct iceberg_evolution *e, struct buf *out,
                                   struct errinfo *info)
{
    struct iceberg_spec spec = {.fields = e->fields, .field_count = e->field_count};
    bool is_new = false;
    TRY(choose_spec(e, &spec, &spec.id, &is_new, info));
    if (is_new) {
        begin(out, "add-spec");
        buf_printf(out, ",\"spec\":{\"spec-id\":%d,\"fields\":", spec.id);
        iceberg_spec_write_fields(&spec, out);
        buf_append_str(out, "}}");
    } else if (spec.id == e->metadata->default_spec_id) {
        e->changes_spec = false;
        return ERR_OK;
    }
    begin(out, "set-default-spec");
    buf_printf(out, ",\"spec-id\":%d}", is_new ? -1 : spec.id);
    return ERR_OK;
}

void iceberg_sort_write_fields(const struct iceberg_sort_field *fields, size_t count,
                               struct buf *out)
{
    buf_append_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        const struct iceberg_sort_field *field = &fields[i];
        buf_append_str(out, i == 0 ? "{\"transform\":\"" : ",{\"transform\":\"");
        iceberg_transform_print(&field->transform, out);
        buf_append_char(out, '"');
        iceberg_sources_write(field->source_ids, field->source_count, out);
        buf_printf(out, ",\"direction\":\"%s\",\"null-order\":\"nulls-%s\"}",
                   field->is_descending ? "desc" : "asc", field->is_nulls_last ? "last" : "first");
    }
    buf_append_char(out, ']');
}

static void print_order_updates(struct iceberg_evolution *e, struct buf *out)
{
    int32_t id = 0;
    bool is_new = false;
    choose_order(e, &id, &is_new);
    if (is_new) {
        begin(out, "add-sort-order");
        buf_printf(out, ",\"sort-order\":{\"order-id\":%d,\"fields\":", id);
        iceberg_sort_write_fields(e->sorts, e->sort_count, out);
        buf_append_str(out, "}}");
    } else if (id == e->metadata->default_sort_order_id) {
        e->changes_order = false;
        return;
    }
    begin(out, "set-default-sort-order");
    buf_printf(out, ",\"sort-order-id\":%d}", is_new ? -1 : id);
}

static void print_property_updates(const struct iceberg_evolution *e, struct buf *out)
{
    size_t set = 0;
    for (size_t i = 0; i < e->property_count; i++) {
        if (e->properties[i].value.ptr != NULL) {
            if (set++ == 0) {
                begin(out, "set-properties");
                buf_append_str(out, ",\"updates\":{");
            } else {
                buf_append_char(out, ',');
            }
            json_write_string(out, e->properties[i].key);
            buf_append_char(out, ':');
            json_write_string(out, e->properties[i].value);
        }
    }
    buf_append_str(out, set > 0 ? "}}" : "");
    if (set == e->property_count) {
        return;
    }
    size_t removed = 0;
    begin(out, "remove-properties");
    buf_append_str(out, ",\"removals\":[");
    for (size_t i = 0; i < e->property_count; i++) {
        if (e->properties[i].value.ptr == NULL) {
            buf_append_str(out, removed++ == 0 ? "" : ",");
            json_write_string(out, e->properties[i].key);
        }
    }
    buf_append_str(out, "]}");
}

/* ---- requirements ---- */

static void print_refs(const struct iceberg_metadata *metadata, struct buf *out)
{
    bool has_main = false;
    for (size_t i = 0; i < metadata->ref_count; i++) {
        const struct iceberg_ref *ref = &metadata->refs[i];
        has_main = has_main || slice_equal(ref->name, SLICE("main"));
        buf_append_str(out, ",{\"type\":\"assert-ref-snapshot-id\",\"ref\":");
        json_write_string(out, ref->name);
        buf_printf(out, ",\"snapshot-id\":%lld}", (long long)ref->snapshot_id);
    }
    if (!has_main) {
        buf_append_str(out, ",{\"type\":\"assert-ref-snapshot-id\",\"ref\":\"main\","
                            "\"snapshot-id\":null}");
    }
}

static void print_requirements(const struct iceberg_evolution *e, struct buf *out)
{
    const struct iceberg_metadata *metadata = e->metadata;
    if (metadata->uuid.len == 0) { /* an old table, which is known by its schema only */
        buf_printf(out, "[{\"type\":\"assert-current-schema-id\",\"current-schema-id\":%d}",
                   metadata->current_schema_id);
    } else {
        buf_append_str(out, "[{\"type\":\"assert-table-uuid\",\"uuid\":");
        json_write_string(out, metadata->uuid);
        buf_append_char(out, '}');
    }
    if (e->changes_schema || e->changes_spec || e->changes_order) {
        buf_printf(out, ",{\"type\":\"assert-current-schema-id\",\"current-schema-id\":%d}",
                   metadata->current_schema_id);
    }
    if (e->changes_schema) {
        buf_printf(out,
                   ",{\"type\":\"assert-last-assigned-field-id\",\"last-assigned-field-id\":%d}",
                   metadata->last_column_id);
    }
    if (e->changes_schema || e->changes_spec) { /* a dropped column is no source of either */
        buf_printf(out, ",{\"type\":\"assert-default-spec-id\",\"default-spec-id\":%d}",
                   metadata->default_spec_id);
    }
    if (e->changes_spec) {
        buf_printf(out,
                   ",{\"type\":\"assert-last-assigned-partition-id\","
                   "\"last-assigned-partition-id\":%d}",
                   metadata->last_partition_id);
    }
    if (e->changes_schema || e->changes_order) {
        buf_printf(out, ",{\"type\":\"assert-default-sort-order-id\",\"default-sort-order-id\":%d}",
                   metadata->default_sort_order_id);
    }
    if (e->pins_refs) {
        print_refs(metadata, out);
    }
    buf_append_char(out, ']');
}

enum err iceberg_evolve_print(struct iceberg_evolution *e, struct slice *ret_requirements,
                              struct slice *ret_updates, struct errinfo *info)
{
    struct buf requirements CLEANUP(buf_fini) = {0};
    struct buf updates CLEANUP(buf_fini) = {0};
    if (e->version != e->metadata->format_version) {
        begin(&updates, "upgrade-format-version");
        buf_printf(&updates, ",\"format-version\":%u}", e->version);
    }
    TRY(e->changes_schema ? print_schema_updates(e, &updates, info) : ERR_OK);
    TRY(e->changes_spec ? print_spec_updates(e, &updates, info) : ERR_OK);
    if (e->changes_order) {
        print_order_updates(e, &updates);
    }
    print_property_updates(e, &updates);
    buf_append_str(&updates, updates.len > 0 ? "]" : "");
    print_requirements(e, &requirements);
    return !buf_failed(&updates) && !buf_failed(&requirements) &&
                   arena_slice(e->arena, buf_slice(&requirements), ret_requirements) &&
                   arena_slice(e->arena, buf_slice(&updates), ret_updates)
               ? ERR_OK
               : errinfo_nomem(info);
}
