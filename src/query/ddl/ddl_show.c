/* SHOW CREATE TABLE of a table of a lake. */
#include "query/ddl/ddl_int.h"

#include "lake/write.h"
#include "sql/scan.h"

struct shower {
    const struct iceberg_metadata *metadata;
    const struct iceberg_schema *schema;
    struct arena *arena;
    struct buf *out;
    struct errinfo *info;
};

/* GEOMETRY, or GEOGRAPHY('crs', 'algorithm'). */
static void print_geo(struct shower *s, const struct iceberg_type *type)
{
    struct slice crs = type->crs.len > 0 ? type->crs : SLICE("OGC:CRS84");
    buf_append_str(s->out, type->id == ICEBERG_GEOMETRY ? "GEOMETRY" : "GEOGRAPHY");
    if (type->crs.len == 0 && type->algorithm.len == 0) {
        return;
    }
    buf_append_char(s->out, '(');
    sql_quote_string(s->out, crs);
    if (type->algorithm.len > 0) {
        buf_append_str(s->out, ", ");
        sql_quote_string(s->out, type->algorithm);
    }
    buf_append_char(s->out, ')');
}

static enum err print_type(struct shower *s, const struct iceberg_type *type);

static enum err print_struct(struct shower *s, const struct iceberg_type *type)
{
    buf_append_str(s->out, "STRUCT(");
    for (size_t i = 0; i < type->field_count; i++) {
        buf_append_str(s->out, i == 0 ? "" : ", ");
        sql_quote_name(s->out, type->fields[i].name);
        buf_append_char(s->out, ' ');
        TRY(print_type(s, &type->fields[i].type));
    }
    buf_append_char(s->out, ')');
    return ERR_OK;
}

static enum err print_plain(struct shower *s, const struct iceberg_type *type)
{
    struct slice text;
    TRY(lake_type_name(type, s->arena, &text, s->info));
    buf_append_slice(s->out, text);
    return ERR_OK;
}

/* As lake_type_name, but for geometries and geographies, whose values are bytes there. */
static enum err print_type(struct shower *s, const struct iceberg_type *type)
{
    if (type->id == ICEBERG_GEOMETRY || type->id == ICEBERG_GEOGRAPHY) {
        print_geo(s, type);
        return ERR_OK;
    }
    if (type->field_count == 0 || !lake_type_is_readable(type)) {
        return print_plain(s, type);
    }
    if (type->id == ICEBERG_STRUCT) {
        return print_struct(s, type);
    }
    buf_append_str(s->out, type->id == ICEBERG_MAP ? "MAP(" : "");
    TRY(print_type(s, &type->fields[0].type));
    if (type->id == ICEBERG_LIST) {
        buf_append_str(s->out, "[]");
        return ERR_OK;
    }
    buf_append_str(s->out, ", ");
    TRY(print_type(s, &type->fields[1].type));
    buf_append_char(s->out, ')');
    return ERR_OK;
}

static enum err print_column(struct shower *s, const struct iceberg_field *field)
{
    sql_quote_name(s->out, field->name);
    buf_append_char(s->out, ' ');
    TRY(print_type(s, &field->type));
    buf_append_str(s->out, field->is_required ? " NOT NULL" : "");
    if (field->write_default != NULL && !field->write_default->is_null &&
        field->type.id < ICEBERG_VARIANT) {
        struct buf text CLEANUP(buf_fini) = {0};
        iceberg_value_print(field->write_default, &text);
        buf_append_str(s->out, " DEFAULT ");
        sql_quote_string(s->out, buf_slice(&text));
    }
    if (field->doc.len > 0) {
        buf_append_str(s->out, " COMMENT ");
        sql_quote_string(s->out, field->doc);
    }
    return ERR_OK;
}

/* a.b, each part quoted where it must be. */
static void print_path(struct buf *out, const struct iceberg_type *type, int32_t id)
{
    for (size_t i = 0; i < type->field_count; i++) {
        const struct iceberg_field *field = &type->fields[i];
        struct iceberg_schema inner = {.root = field->type};
        bool is_inside = iceberg_schema_find_id(&inner, id, NULL) != NULL;
        if (field->id == id || is_inside) {
            sql_quote_name(out, field->name);
        }
        if (is_inside) {
            buf_append_char(out, '.');
            print_path(out, &field->type, id);
        }
    }
}

/* One that is not known, as its text over its columns: such a table is made by nothing of ours. */
static void print_unknown(struct shower *s, const struct iceberg_transform *transform,
                          const int32_t *ids, size_t count)
{
    sql_quote_name(s->out, transform->text);
    for (size_t i = 0; i < count; i++) {
        buf_append_str(s->out, i == 0 ? "(" : ", ");
        print_path(s->out, &s->schema->root, ids[i]);
    }
    buf_append_char(s->out, ')');
}

static void print_transform(struct shower *s, const struct iceberg_transform *transform,
                            const int32_t *ids, size_t count)
{
    static const char *const words[] = {
        [TRANSFORM_IDENTITY] = "", [TRANSFORM_BUCKET] = "bucket", [TRANSFORM_TRUNCATE] = "truncate",
        [TRANSFORM_YEAR] = "year", [TRANSFORM_MONTH] = "month",   [TRANSFORM_DAY] = "day",
        [TRANSFORM_HOUR] = "hour", [TRANSFORM_VOID] = "void",
    };
    if (transform->kind == TRANSFORM_OTHER) {
        print_unknown(s, transform, ids, count);
        return;
    }
    bool is_call = transform->kind != TRANSFORM_IDENTITY;
    buf_printf(s->out, "%s%s", words[transform->kind], is_call ? "(" : "");
    if (transform->width > 0) {
        buf_printf(s->out, "%u, ", transform->width);
    }
    print_path(s->out, &s->schema->root, ids[0]);
    buf_append_str(s->out, is_call ? ")" : "");
}

static void print_partitions(struct shower *s)
{
    const struct iceberg_spec *spec =
        iceberg_metadata_spec(s->metadata, s->metadata->default_spec_id);
    for (size_t i = 0; i < spec->field_count; i++) {
        buf_append_str(s->out, i == 0 ? " PARTITIONED BY (" : ", ");
        print_transform(s, &spec->fields[i].transform, spec->fields[i].source_ids,
                        spec->fields[i].source_count);
    }
    buf_append_str(s->out, spec->field_count > 0 ? ")" : "");
}

static void print_order(struct shower *s)
{
    for (size_t i = 0; i < s->metadata->sort_order_count; i++) {
        const struct iceberg_sort_order *order = &s->metadata->sort_orders[i];
        bool is_default = order->id == s->metadata->default_sort_order_id;
        for (size_t f = 0; is_default && f < order->field_count; f++) {
            const struct iceberg_sort_field *field = &order->fields[f];
            buf_append_str(s->out, f == 0 ? " SORTED BY (" : ", ");
            print_transform(s, &field->transform, field->source_ids, field->source_count);
            buf_append_str(s->out, field->is_descending ? " DESC" : " ASC");
            buf_append_str(s->out, field->is_nulls_last ? " NULLS LAST" : " NULLS FIRST");
        }
        buf_append_str(s->out, is_default && order->field_count > 0 ? ")" : "");
    }
}

static void print_properties(struct shower *s)
{
    struct slice comment = iceberg_metadata_property(s->metadata, "comment");
    if (comment.len > 0) {
        buf_append_str(s->out, " COMMENT ");
        sql_quote_string(s->out, comment);
    }
    buf_printf(s->out, " WITH (format_version = %u", s->metadata->format_version);
    for (size_t i = 0; i < s->metadata->property_count; i++) {
        const struct iceberg_property *property = &s->metadata->properties[i];
        if (!slice_equal(property->key, SLICE("comment"))) {
            buf_append_str(s->out, ", ");
            sql_quote_string(s->out, property->key);
            buf_append_str(s->out, " = ");
            sql_quote_string(s->out, property->value);
        }
    }
    buf_append_char(s->out, ')');
}

enum err ddl_print_create(const struct relation *relation, struct arena *arena, struct buf *out,
                          struct errinfo *info)
{
    const struct iceberg_metadata *metadata = &relation->lake->loaded.metadata;
    struct shower s = {.metadata = metadata,
                       .schema = iceberg_metadata_current_schema(metadata),
                       .arena = arena,
                       .out = out,
                       .info = info};
    const struct iceberg_type *root = &s.schema->root;
    for (size_t i = 0; i < root->field_count; i++) {
        buf_append_str(out, i == 0 ? " (" : ", ");
        TRY(print_column(&s, &root->fields[i]));
    }
    buf_append_char(out, ')');
    print_partitions(&s);
    print_order(&s);
    print_properties(&s);
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}
