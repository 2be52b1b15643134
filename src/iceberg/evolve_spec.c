/* Partition specs and sort orders. A field of a spec keeps its id as long as what it is stays the
 * same: one that comes back gets the id that it had. */
#include "iceberg/evolve_int.h"

static bool transform_equal(const struct iceberg_transform *a, const struct iceberg_transform *b)
{
    return a->kind == b->kind && a->width == b->width && a->kind != TRANSFORM_OTHER;
}

static bool is_the_field(const struct iceberg_partition_field *field, int32_t source,
                         const struct iceberg_transform *transform)
{
    return field->source_count == 1 && field->source_ids[0] == source &&
           transform_equal(&field->transform, transform);
}

/* The column and the transform, which takes it. */
static enum err find_source(const struct iceberg_evolution *e, struct iceberg_path path,
                            struct slice text, int32_t *ret_source,
                            struct iceberg_transform *ret_transform, struct errinfo *info)
{
    struct evolve_place place = {0};
    struct iceberg_type type;
    TRY(evolve__need(e, path, &place, info));
    if (place.is_repeated) {
        return errinfo_set(info, ERR_INVALID, "22023",
                           "\"%.*s\" has many values in a row, and no partition or order",
                           SLICE_ARGS(place.field->name));
    }
    TRY(iceberg_transform_parse(text, ret_transform, info));
    TRY(iceberg_transform_result(ret_transform, &place.field->type, &type, info));
    *ret_source = place.field->id;
    return ERR_OK;
}

/* As the reference implementation names them. */
static const char *name_for(const struct iceberg_evolution *e, struct iceberg_path path,
                            const struct iceberg_transform *transform)
{
    const char *suffix = iceberg_transform_suffix(transform);
    const char *column = evolve__text(e, path);
    if (column == NULL) {
        return NULL;
    }
    return transform->width > 0
               ? arena_printf(e->arena, "%s%s_%u", column, suffix, transform->width)
               : arena_printf(e->arena, "%s%s", column, suffix);
}

/* The id that such a field had in any spec; 0 = it never was. */
static int32_t find_old(const struct iceberg_metadata *metadata, int32_t source,
                        const struct iceberg_transform *transform)
{
    for (size_t i = 0; i < metadata->spec_count; i++) {
        for (size_t f = 0; f < metadata->specs[i].field_count; f++) {
            if (is_the_field(&metadata->specs[i].fields[f], source, transform)) {
                return metadata->specs[i].fields[f].field_id;
            }
        }
    }
    return 0;
}

/* What is void and holds the name gives it up: format version 1 keeps dropped fields so. */
static enum err free_name(struct iceberg_evolution *e, struct slice name, struct errinfo *info)
{
    for (size_t i = 0; i < e->field_count; i++) {
        struct iceberg_partition_field *field = &e->fields[i];
        if (!slice_equal_fold(field->name, name)) {
            continue;
        }
        if (field->transform.kind != TRANSFORM_VOID) {
            return errinfo_set(info, ERR_EXISTS, "42701",
                               "the table has a partition field \"%.*s\" already",
                               SLICE_ARGS(name));
        }
        char *other = arena_printf(e->arena, "%.*s_%d", SLICE_ARGS(name), field->field_id);
        if (other == NULL) {
            return errinfo_nomem(info);
        }
        field->name = slice_of(other);
    }
    return ERR_OK;
}

static enum err check_column_name(const struct iceberg_evolution *e, struct slice name,
                                  int32_t source, const struct iceberg_transform *transform,
                                  struct errinfo *info)
{
    const struct iceberg_type *root = &e->schema.root;
    for (size_t i = 0; i < root->field_count; i++) {
        bool is_own = transform->kind == TRANSFORM_IDENTITY && root->fields[i].id == source;
        if (!is_own && slice_equal_fold(root->fields[i].name, name)) {
            return errinfo_set(info, ERR_EXISTS, "42701",
                               "a partition field cannot be called \"%.*s\" as a column is",
                               SLICE_ARGS(name));
        }
    }
    return ERR_OK;
}

enum err iceberg_evolve_partition_add(struct iceberg_evolution *e, struct iceberg_path path,
                                      struct slice transform, struct slice name,
                                      struct errinfo *info)
{
    struct iceberg_partition_field field = {.source_count = 1, .name = name};
    int32_t *source = arena_calloc(e->arena, 1, sizeof(*source));
    if (source == NULL) {
        return errinfo_nomem(info);
    }
    TRY(find_source(e, path, transform, source, &field.transform, info));
    for (size_t i = 0; i < e->field_count; i++) {
        if (is_the_field(&e->fields[i], *source, &field.transform)) {
            return errinfo_set(info, ERR_EXISTS, "42701",
                               "the table is partitioned by that already, as \"%.*s\"",
                               SLICE_ARGS(e->fields[i].name));
        }
    }
    const char *made = name_for(e, path, &field.transform);
    if (made == NULL) {
        return errinfo_nomem(info);
    }
    field.name = name.len > 0 ? name : slice_of(made);
    field.source_ids = source;
    TRY(free_name(e, field.name, info));
    TRY(check_column_name(e, field.name, *source, &field.transform, info));
    /* Version 1 has its fields by their order, and those that were stay in it. */
    int32_t old = e->version > 1 ? find_old(e->metadata, *source, &field.transform) : 0;
    field.field_id = old != 0 ? old : ++e->last_partition_id;
    struct iceberg_partition_field *fields =
        arena_calloc(e->arena, e->field_count + 1, sizeof(*fields));
    if (fields == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < e->field_count; i++) {
        fields[i] = e->fields[i];
    }
    fields[e->field_count++] = field;
    e->fields = fields;
    e->changes_spec = true;
    return ERR_OK;
}

static void drop_field(struct iceberg_evolution *e, size_t index)
{
    if (e->version == 1) {
        e->fields[index].transform =
            (struct iceberg_transform){.kind = TRANSFORM_VOID, .text = SLICE("void")};
    } else {
        for (size_t i = index; i + 1 < e->field_count; i++) {
            e->fields[i] = e->fields[i + 1];
        }
        e->field_count--;
    }
    e->changes_spec = true;
}

enum err iceberg_evolve_partition_drop(struct iceberg_evolution *e, struct iceberg_path path,
                                       struct slice transform, struct errinfo *info)
{
    struct iceberg_transform wanted;
    int32_t source = 0;
    TRY(find_source(e, path, transform, &source, &wanted, info));
    for (size_t i = 0; i < e->field_count; i++) {
        if (is_the_field(&e->fields[i], source, &wanted) && wanted.kind != TRANSFORM_VOID) {
            drop_field(e, i);
            return ERR_OK;
        }
    }
    const char *text = evolve__text(e, path);
    return text == NULL ? errinfo_nomem(info)
                        : errinfo_set(info, ERR_NOT_FOUND, "42704",
                                      "the table is not partitioned by %.*s of \"%s\"",
                                      SLICE_ARGS(transform), text);
}

enum err iceberg_evolve_partition_drop_named(struct iceberg_evolution *e, struct slice name,
                                             struct errinfo *info)
{
    for (size_t i = 0; i < e->field_count; i++) {
        if (slice_equal_fold(e->fields[i].name, name) &&
            e->fields[i].transform.kind != TRANSFORM_VOID) {
            drop_field(e, i);
            return ERR_OK;
        }
    }
    return errinfo_set(info, ERR_NOT_FOUND, "42704", "the table has no partition field \"%.*s\"",
                       SLICE_ARGS(name));
}

enum err iceberg_evolve_order(struct iceberg_evolution *e, const struct iceberg_sort_want *wants,
                              size_t count, struct errinfo *info)
{
    struct iceberg_sort_field *sorts = arena_calloc(e->arena, count + 1, sizeof(*sorts));
    int32_t *sources = arena_calloc(e->arena, count + 1, sizeof(*sources));
    if (sorts == NULL || sources == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        TRY(find_source(e, wants[i].path, wants[i].transform, &sources[i], &sorts[i].transform,
                        info));
        sorts[i].source_ids = &sources[i];
        sorts[i].source_count = 1;
        sorts[i].is_descending = wants[i].is_descending;
        sorts[i].is_nulls_last = wants[i].is_nulls_last;
    }
    e->sorts = sorts;
    e->sort_count = count;
    e->changes_order = true;
    return ERR_OK;
}

void iceberg_evolve_sorts(const struct iceberg_evolution *e,
                          const struct iceberg_sort_field **ret_fields, size_t *ret_count)
{
    *ret_fields = e->sorts;
    *ret_count = e->sort_count;
}
