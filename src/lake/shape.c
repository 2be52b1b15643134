/* What a scan looks like to the engine: columns, names, partitions. */
#include <stdlib.h>

#include "lake/lake_int.h"
#include "sql/scan.h"

static enum err write_column(const struct iceberg_field *field, struct slice top,
                             struct arena *arena, struct engine_scan_column *out,
                             struct errinfo *info);

static enum err write_children(const struct iceberg_type *type, struct slice top,
                               struct arena *arena, struct engine_scan_column *out,
                               struct errinfo *info)
{
    if (type->field_count == 0) {
        return ERR_OK;
    }
    struct engine_scan_column *children = arena_calloc(arena, type->field_count, sizeof(*children));
    if (children == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < type->field_count; i++) {
        TRY(write_column(&type->fields[i], top, arena, &children[i], info));
    }
    out->children = children;
    out->child_count = type->field_count;
    return ERR_OK;
}

static enum err write_column(const struct iceberg_field *field, struct slice top,
                             struct arena *arena, struct engine_scan_column *out,
                             struct errinfo *info)
{
    struct buf type CLEANUP(buf_fini) = {0};
    struct buf value CLEANUP(buf_fini) = {0};
    TRY(lake_type_print(&field->type, top, &type, info));
    const struct iceberg_value *initial = field->initial_default;
    if (initial != NULL && !initial->is_null) {
        if (field->type.id == ICEBERG_STRUCT || field->type.id == ICEBERG_LIST ||
            field->type.id == ICEBERG_MAP) {
            return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                               "column \"%.*s\" has a default of a nested type, which cannot be "
                               "read",
                               SLICE_ARGS(top));
        }
        lake__value_print(&field->type, initial, &value);
    }
    out->field_id = field->id;
    out->name = field->name;
    if (buf_failed(&type) || buf_failed(&value) ||
        !arena_slice(arena, buf_slice(&type), &out->type) ||
        !arena_slice(arena, buf_slice(&value), &out->value)) {
        return errinfo_nomem(info);
    }
    return write_children(&field->type, top, arena, out, info);
}

enum err lake__columns(const struct lake_source *table, bool with_schema, const int32_t *ids,
                       size_t id_count, struct arena *arena, struct engine_scan_spec *spec,
                       struct errinfo *info)
{
    const struct iceberg_type *root = &table->from.schema->root;
    size_t count = 0;
    struct engine_scan_column *columns =
        arena_calloc(arena, root->field_count + id_count + 1, sizeof(*columns));
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; with_schema && i < root->field_count; i++) {
        if (!lake_type_is_readable(&root->fields[i].type)) {
            continue; /* whoever asks for it gets an error before (source.h) */
        }
        TRY(write_column(&root->fields[i], root->fields[i].name, arena, &columns[count++], info));
    }
    for (size_t i = 0; i < id_count; i++) {
        const struct iceberg_field *field =
            iceberg_schema_find_id(table->from.schema, ids[i], NULL);
        field = field != NULL ? field : iceberg_metadata_field(table->from.metadata, ids[i]);
        ASSERT(field != NULL); /* looked at when the table was opened */
        TRY(write_column(field, field->name, arena, &columns[count], info));
        char *name = arena_printf(arena, "__moat_e%d", ids[i]);
        if (name == NULL) {
            return errinfo_nomem(info);
        }
        columns[count++].name = slice_of(name);
    }
    spec->columns = columns;
    spec->column_count = count;
    return ERR_OK;
}

/* One entry for each name: a field may have several. */
enum err lake__names(const struct iceberg_name_mapping *mapping, struct arena *arena,
                     const struct engine_scan_name **ret_names, size_t *ret_count,
                     struct errinfo *info)
{
    size_t capacity = 0;
    for (size_t i = 0; i < mapping->field_count; i++) {
        capacity += mapping->fields[i].name_count;
    }
    struct engine_scan_name *names = arena_calloc(arena, capacity + 1, sizeof(*names));
    size_t count = 0;
    if (names == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < mapping->field_count; i++) {
        const struct iceberg_mapped_field *field = &mapping->fields[i];
        const struct engine_scan_name *children;
        size_t child_count;
        TRY(lake__names(&field->children, arena, &children, &child_count, info));
        for (size_t n = 0; n < field->name_count; n++) {
            names[count++] = (struct engine_scan_name){.name = field->names[n],
                                                       .field_id = field->field_id,
                                                       .children = children,
                                                       .child_count = child_count};
        }
    }
    *ret_names = names;
    *ret_count = count;
    return ERR_OK;
}

/* ---- partitions ---- */

static bool has_field(const struct lake_partition *partition, int32_t field_id)
{
    for (size_t i = 0; i < partition->field_count; i++) {
        if (partition->fields[i]->field_id == field_id) {
            return true;
        }
    }
    return false;
}

bool lake__partition_type(const struct lake_source *table,
                          const struct iceberg_partition_field *field,
                          struct iceberg_type *ret_type)
{
    const struct iceberg_field *source =
        field->source_count == 0
            ? NULL
            : iceberg_metadata_field(table->from.metadata, field->source_ids[0]);
    return source != NULL && field->transform.kind != TRANSFORM_OTHER &&
           iceberg_transform_result(&field->transform, &source->type, ret_type, NULL) == ERR_OK;
}

enum err lake__partition(const struct lake_source *table, struct arena *arena,
                         struct lake_partition *ret_partition, struct errinfo *info)
{
    struct lake_partition partition = {0};
    size_t capacity = 0;
    for (size_t s = 0; s < table->from.metadata->spec_count; s++) {
        capacity += table->from.metadata->specs[s].field_count;
    }
    const struct iceberg_partition_field **fields =
        arena_calloc(arena, capacity + 1, sizeof(*fields));
    struct iceberg_type *types = arena_calloc(arena, capacity + 1, sizeof(*types));
    struct buf text CLEANUP(buf_fini) = {0};
    if (fields == NULL || types == NULL) {
        return errinfo_nomem(info);
    }
    partition.fields = fields;
    partition.types = types;
    for (size_t s = 0; s < table->from.metadata->spec_count; s++) {
        const struct iceberg_spec *spec = &table->from.metadata->specs[s];
        for (size_t f = 0; f < spec->field_count; f++) {
            struct iceberg_type type;
            struct buf one CLEANUP(buf_fini) = {0};
            if (has_field(&partition, spec->fields[f].field_id) ||
                !lake__partition_type(table, &spec->fields[f], &type) ||
                lake_type_print(&type, spec->fields[f].name, &one, NULL) != ERR_OK) {
                continue;
            }
            buf_append_str(&text, partition.field_count == 0 ? "STRUCT(" : ", ");
            sql_quote_name(&text, spec->fields[f].name);
            buf_printf(&text, " %s", buf_cstr(&one));
            text.failed = text.failed || buf_failed(&one);
            fields[partition.field_count] = &spec->fields[f];
            types[partition.field_count++] = type;
        }
    }
    if (partition.field_count > 0) {
        buf_append_char(&text, ')');
    }
    if (buf_failed(&text) || !arena_slice(arena, buf_slice(&text), &partition.type)) {
        return errinfo_nomem(info);
    }
    *ret_partition = partition;
    return ERR_OK;
}

/* ---- equality deletes ---- */

static int compare_ids(const void *a, const void *b)
{
    int32_t left = *(const int32_t *)a;
    int32_t right = *(const int32_t *)b;
    return (left > right) - (left < right);
}

enum err lake__equality_ids(const struct lake_source *table, struct arena *arena, int32_t **ret_ids,
                            size_t *ret_count, struct errinfo *info)
{
    size_t capacity = 0;
    for (size_t i = 0; i < table->equality_count; i++) {
        capacity += table->equality[i].field_count;
    }
    int32_t *ids = arena_calloc(arena, capacity + 1, sizeof(*ids));
    if (ids == NULL) {
        return errinfo_nomem(info);
    }
    size_t count = 0;
    for (size_t i = 0; i < table->equality_count; i++) {
        for (size_t f = 0; f < table->equality[i].field_count; f++) {
            ids[count++] = table->equality[i].field_ids[f];
        }
    }
    qsort(ids, count, sizeof(*ids), compare_ids);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || ids[i] != ids[kept - 1]) {
            ids[kept++] = ids[i];
        }
    }
    *ret_ids = ids;
    *ret_count = kept;
    return ERR_OK;
}
