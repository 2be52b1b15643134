/* Columns. The schema is copied once, and the copy changed in place. */
#include "iceberg/evolve.h"

#include "iceberg/evolve_int.h"

/* Properties with a column's dotted name behind them. */
static const char *const column_properties[] = {
    "write.metadata.metrics.column.",
    "write.parquet.bloom-filter-enabled.column.",
    "write.parquet.bloom-filter-fpp.column.",
    "write.parquet.stats-enabled.column.",
};

/* ---- the copy ---- */

static struct iceberg_field *fields_of(const struct iceberg_type *type)
{
    return (struct iceberg_field *)(uintptr_t)type->fields; /* of the change's own copy */
}

/* Fields with room for one more. */
static bool copy_type(struct arena *arena, const struct iceberg_type *from, struct iceberg_type *to)
{
    *to = *from;
    if (from->field_count == 0) {
        return true;
    }
    struct iceberg_field *fields = arena_calloc(arena, from->field_count + 1, sizeof(*fields));
    for (size_t i = 0; fields != NULL && i < from->field_count; i++) {
        fields[i] = from->fields[i];
        if (!copy_type(arena, &from->fields[i].type, &fields[i].type)) {
            return false;
        }
    }
    to->fields = fields;
    return fields != NULL;
}

enum err iceberg_evolve_open(const struct iceberg_metadata *metadata, struct arena *arena,
                             struct iceberg_evolution **ret_evolution, struct errinfo *info)
{
    const struct iceberg_schema *schema = iceberg_metadata_current_schema(metadata);
    const struct iceberg_spec *spec = iceberg_metadata_spec(metadata, metadata->default_spec_id);
    struct iceberg_evolution *e = arena_calloc(arena, 1, sizeof(*e));
    if (e == NULL || !copy_type(arena, &schema->root, &e->schema.root)) {
        return errinfo_nomem(info);
    }
    e->metadata = metadata;
    e->arena = arena;
    e->version = metadata->format_version;
    e->schema.id = schema->id;
    e->schema.identifier_ids = schema->identifier_ids;
    e->schema.identifier_count = schema->identifier_count;
    e->last_column_id = metadata->last_column_id;
    e->last_partition_id = metadata->last_partition_id;
    e->fields = arena_calloc(arena, spec->field_count + 1, sizeof(*e->fields));
    if (e->fields == NULL) {
        return errinfo_nomem(info);
    }
    e->field_count = spec->field_count;
    for (size_t i = 0; i < spec->field_count; i++) {
        e->fields[i] = spec->fields[i];
    }
    for (size_t i = 0; i < metadata->sort_order_count; i++) {
        if (metadata->sort_orders[i].id == metadata->default_sort_order_id) {
            e->sorts = metadata->sort_orders[i].fields;
            e->sort_count = metadata->sort_orders[i].field_count;
        }
    }
    *ret_evolution = e;
    return ERR_OK;
}

const struct iceberg_schema *iceberg_evolve_schema(const struct iceberg_evolution *e)
{
    return &e->schema;
}

uint32_t iceberg_evolve_version(const struct iceberg_evolution *e)
{
    return e->version;
}

/* ---- finding ---- */

const char *evolve__text(const struct iceberg_evolution *e, struct iceberg_path path)
{
    const char *text = "";
    for (size_t i = 0; i < path.count && text != NULL; i++) {
        text =
            arena_printf(e->arena, "%s%s%.*s", text, i == 0 ? "" : ".", SLICE_ARGS(path.parts[i]));
    }
    return text;
}

static size_t find_in(const struct iceberg_type *type, struct slice name)
{
    size_t folded = SIZE_MAX;
    size_t count = 0;
    for (size_t i = 0; i < type->field_count; i++) {
        if (slice_equal(type->fields[i].name, name)) {
            return i;
        }
        if (slice_equal_fold(type->fields[i].name, name)) {
            folded = i;
            count++;
        }
    }
    return count == 1 ? folded : SIZE_MAX;
}

/* The one that is not there when nothing is said of it: a list's element, a map's value. */
static bool pass_through(struct evolve_place *place, struct slice name)
{
    while (place->parent->id != ICEBERG_STRUCT) {
        size_t named = find_in(place->parent, name);
        size_t index = named != SIZE_MAX ? named : place->parent->field_count - 1;
        if (place->parent->field_count == 0) {
            return false;
        }
        place->is_repeated = true;
        place->is_in_map_key =
            place->is_in_map_key || (place->parent->id == ICEBERG_MAP && index == 0);
        place->field = &fields_of(place->parent)[index];
        place->index = index;
        if (named != SIZE_MAX) {
            return true;
        }
        place->parent = &place->field->type;
    }
    size_t index = find_in(place->parent, name);
    if (index == SIZE_MAX) {
        return false;
    }
    place->field = &fields_of(place->parent)[index];
    place->index = index;
    return true;
}

bool evolve__find(const struct iceberg_evolution *e, struct iceberg_path path,
                  struct evolve_place *ret_place)
{
    struct evolve_place place = {.parent = (struct iceberg_type *)(uintptr_t)&e->schema.root};
    for (size_t i = 0; i < path.count; i++) {
        if (i > 0) {
            place.has_optional_above = place.has_optional_above || !place.field->is_required;
            place.parent = &place.field->type;
        }
        if (!pass_through(&place, path.parts[i])) {
            return false;
        }
    }
    *ret_place = place;
    return path.count > 0;
}

/* Of the fields beside the first part of the path that is not there. */
static void hint_nearest(const struct iceberg_evolution *e, struct iceberg_path path,
                         struct errinfo *info)
{
    const struct iceberg_type *parent = &e->schema.root;
    struct evolve_place place;
    size_t known = 0;
    while (known + 1 < path.count &&
           evolve__find(e, (struct iceberg_path){path.parts, known + 1}, &place)) {
        parent = &place.field->type;
        known++;
    }
    const struct iceberg_field *nearest = NULL;
    unsigned best = path.parts[known].len < 3 ? (unsigned)path.parts[known].len : 3;
    for (size_t i = 0; i < parent->field_count; i++) {
        unsigned distance =
            slice_edit_distance(parent->fields[i].name, path.parts[known], best - 1);
        if (distance < best) {
            best = distance;
            nearest = &parent->fields[i];
        }
    }
    if (nearest != NULL) {
        errinfo_hint(info, "Did you mean \"%.*s\"?", SLICE_ARGS(nearest->name));
    }
}

enum err evolve__need(const struct iceberg_evolution *e, struct iceberg_path path,
                      struct evolve_place *ret_place, struct errinfo *info)
{
    const char *text = evolve__text(e, path);
    if (text == NULL) {
        return errinfo_nomem(info);
    }
    if (evolve__find(e, path, ret_place)) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_NOT_FOUND, "42703", "column \"%s\" does not exist", text);
    if (path.count > 0) {
        hint_nearest(e, path, info);
    }
    return ERR_NOT_FOUND;
}

const struct iceberg_field *iceberg_evolve_find(const struct iceberg_evolution *e,
                                                struct iceberg_path path)
{
    struct evolve_place place;
    return evolve__find(e, path, &place) ? place.field : NULL;
}

bool evolve__holds(const struct iceberg_field *field, int32_t id)
{
    if (field->id == id) {
        return true;
    }
    for (size_t i = 0; i < field->type.field_count; i++) {
        if (evolve__holds(&field->type.fields[i], id)) {
            return true;
        }
    }
    return false;
}

/* ---- places ---- */

static enum err check_key(const struct evolve_place *place, struct errinfo *info)
{
    return place->is_in_map_key
               ? errinfo_set(info, ERR_INVALID, "42P16",
                             "\"%.*s\" is part of a map's key, which cannot be changed",
                             SLICE_ARGS(place->field->name))
               : ERR_OK;
}

static enum err check_struct_field(const struct evolve_place *place, struct errinfo *info)
{
    return place->parent->id == ICEBERG_STRUCT
               ? check_key(place, info)
               : errinfo_set(info, ERR_INVALID, "42P16",
                             "\"%.*s\" is the %.*s of a %s and no column",
                             SLICE_ARGS(place->field->name), SLICE_ARGS(place->field->name),
                             place->parent->id == ICEBERG_MAP ? "map" : "list");
}

static enum err find_index(const struct iceberg_type *parent, struct iceberg_position position,
                           size_t *ret_index, struct errinfo *info)
{
    switch (position.at) {
    case ICEBERG_AT_END:
        *ret_index = parent->field_count;
        return ERR_OK;
    case ICEBERG_FIRST:
        *ret_index = 0;
        return ERR_OK;
    case ICEBERG_AFTER:
        break;
    }
    size_t after = find_in(parent, position.after);
    if (after == SIZE_MAX) {
        return errinfo_set(info, ERR_NOT_FOUND, "42703", "column \"%.*s\" does not exist beside it",
                           SLICE_ARGS(position.after));
    }
    *ret_index = after + 1;
    return ERR_OK;
}

/* In place of `parent`'s fields: the same with `field` at `index`. */
static enum err insert_field(struct iceberg_evolution *e, struct iceberg_type *parent, size_t index,
                             const struct iceberg_field *field, struct errinfo *info)
{
    size_t count = parent->field_count;
    struct iceberg_field *fields = arena_calloc(e->arena, count + 1, sizeof(*fields));
    if (fields == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        fields[i < index ? i : i + 1] = parent->fields[i];
    }
    fields[index] = *field;
    parent->fields = fields;
    parent->field_count = count + 1;
    return ERR_OK;
}

static void remove_field(struct iceberg_type *parent, size_t index)
{
    struct iceberg_field *fields = fields_of(parent);
    for (size_t i = index; i + 1 < parent->field_count; i++) {
        fields[i] = fields[i + 1];
    }
    parent->field_count--;
}

static enum err name_is_taken(struct slice name, struct errinfo *info)
{
    return errinfo_set(info, ERR_EXISTS, "42701", "column \"%.*s\" already exists",
                       SLICE_ARGS(name));
}

static bool has_folded(const struct iceberg_type *parent, struct slice name, size_t but)
{
    for (size_t i = 0; i < parent->field_count; i++) {
        if (i != but && slice_equal_fold(parent->fields[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* A partition field of the default spec that is called so, unless it is this column's own value. */
static enum err check_partition_name(const struct iceberg_evolution *e, struct slice name,
                                     int32_t id, struct errinfo *info)
{
    for (size_t i = 0; i < e->field_count; i++) {
        const struct iceberg_partition_field *field = &e->fields[i];
        bool is_own = field->transform.kind == TRANSFORM_IDENTITY && field->source_ids[0] == id;
        if (!is_own && slice_equal_fold(field->name, name)) {
            return errinfo_set(info, ERR_EXISTS, "42701",
                               "\"%.*s\" is the name of a partition field", SLICE_ARGS(name));
        }
    }
    return ERR_OK;
}

/* ---- add, drop ---- */

static void number_fields(struct iceberg_type *type, int32_t *last)
{
    struct iceberg_field *fields = fields_of(type);
    for (size_t i = 0; i < type->field_count; i++) {
        fields[i].id = ++*last;
    }
    for (size_t i = 0; i < type->field_count; i++) {
        number_fields(&fields[i].type, last);
    }
}

static enum err find_parent(const struct iceberg_evolution *e, struct iceberg_path path,
                            struct iceberg_type **ret_parent, struct errinfo *info)
{
    struct evolve_place place = {0};
    *ret_parent = (struct iceberg_type *)(uintptr_t)&e->schema.root;
    if (path.count == 1) {
        return ERR_OK;
    }
    TRY(evolve__need(e, (struct iceberg_path){path.parts, path.count - 1}, &place, info));
    struct iceberg_type *type = &place.field->type;
    while (type->id == ICEBERG_LIST || type->id == ICEBERG_MAP) {
        type = &fields_of(type)[type->field_count - 1].type;
    }
    *ret_parent = type;
    if (type->id != ICEBERG_STRUCT) {
        return errinfo_set(info, ERR_INVALID, "42809", "column \"%.*s\" is no struct",
                           SLICE_ARGS(place.field->name));
    }
    return check_key(&place, info);
}

enum err iceberg_evolve_add(struct iceberg_evolution *e, struct iceberg_path path,
                            const struct iceberg_field *field, struct iceberg_position position,
                            struct errinfo *info)
{
    struct iceberg_type *parent;
    struct iceberg_field own = *field;
    size_t index = 0;
    ASSERT(path.count > 0);
    own.name = path.parts[path.count - 1];
    TRY(find_parent(e, path, &parent, info));
    if (has_folded(parent, own.name, SIZE_MAX)) {
        return name_is_taken(own.name, info);
    }
    if (own.is_required && own.initial_default == NULL && e->metadata->snapshot_count > 0) {
        (void)errinfo_set(info, ERR_INVALID, "23502",
                          "column \"%.*s\" cannot be added as NOT NULL: rows that are there have "
                          "no value of it",
                          SLICE_ARGS(own.name));
        errinfo_hint(info, "Give it a DEFAULT (format version 3), or let it be null.");
        return ERR_INVALID;
    }
    TRY(path.count > 1 ? ERR_OK : check_partition_name(e, own.name, 0, info));
    TRY(find_index(parent, position, &index, info));
    if (!copy_type(e->arena, &field->type, &own.type)) {
        return errinfo_nomem(info);
    }
    own.id = ++e->last_column_id;
    number_fields(&own.type, &e->last_column_id);
    e->pins_refs = e->pins_refs || (own.is_required && own.initial_default == NULL);
    e->changes_schema = true;
    return insert_field(e, parent, index, &own, info);
}

static enum err is_needed(const struct iceberg_field *field, const char *by, const char *hint,
                          struct errinfo *info)
{
    (void)errinfo_set(info, ERR_INVALID, "2BP01", "column \"%.*s\" cannot be dropped: %s",
                      SLICE_ARGS(field->name), by);
    errinfo_hint(info, "%s", hint);
    return ERR_INVALID;
}

static enum err check_unused(const struct iceberg_evolution *e, const struct iceberg_field *field,
                             struct errinfo *info)
{
    for (size_t i = 0; i < e->schema.identifier_count; i++) {
        if (evolve__holds(field, e->schema.identifier_ids[i])) {
            return is_needed(field, "it is an identifier field of the table",
                             "ALTER TABLE ... SET IDENTIFIER FIELDS without it first.", info);
        }
    }
    for (size_t i = 0; i < e->field_count; i++) {
        for (size_t s = 0; s < e->fields[i].source_count; s++) {
            if (evolve__holds(field, e->fields[i].source_ids[s])) {
                return is_needed(field, "the table is partitioned by it",
                                 e->version == 1
                                     ? "Partition fields of format version 1 stay for good."
                                     : "ALTER TABLE ... DROP PARTITION FIELD first.",
                                 info);
            }
        }
    }
    for (size_t i = 0; i < e->sort_count; i++) {
        for (size_t s = 0; s < e->sorts[i].source_count; s++) {
            if (evolve__holds(field, e->sorts[i].source_ids[s])) {
                return is_needed(field, "the table is sorted by it",
                                 "ALTER TABLE ... SET SORTED BY without it, or SET UNORDERED "
                                 "first.",
                                 info);
            }
        }
    }
    return ERR_OK;
}

/* Properties of a column that goes, or has another name from now on (`to` not NULL). */
static enum err follow_properties(struct iceberg_evolution *e, struct slice from, const char *to,
                                  struct errinfo *info)
{
    for (size_t i = 0; i < e->metadata->property_count; i++) {
        const struct iceberg_property *property = &e->metadata->properties[i];
        for (size_t k = 0; k < ARRAY_COUNT(column_properties); k++) {
            struct slice prefix = slice_of(column_properties[k]);
            size_t end = prefix.len + from.len;
            bool is_one = property->key.len >= end &&
                          memcmp(property->key.ptr, prefix.ptr, prefix.len) == 0 &&
                          memcmp(property->key.ptr + prefix.len, from.ptr, from.len) == 0 &&
                          (property->key.len == end || property->key.ptr[end] == '.');
            if (!is_one) {
                continue;
            }
            TRY(evolve__put(e, property->key, (struct slice){NULL, 0}, info));
            char *key = to == NULL
                            ? NULL
                            : arena_printf(e->arena, "%s%s%.*s", column_properties[k], to,
                                           (int)(property->key.len - end), property->key.ptr + end);
            if (to != NULL && key == NULL) {
                return errinfo_nomem(info);
            }
            TRY(to == NULL ? ERR_OK : evolve__put(e, slice_of(key), property->value, info));
        }
    }
    return ERR_OK;
}

/* The dotted name that metadata has, whatever the case in the statement. */
static const char *true_name(const struct iceberg_evolution *e, const struct iceberg_type *type,
                             const struct iceberg_field *wanted, const char *prefix)
{
    for (size_t i = 0; i < type->field_count; i++) {
        const struct iceberg_field *field = &type->fields[i];
        if (evolve__holds(field, wanted->id)) {
            const char *name = arena_printf(e->arena, "%s%s%.*s", prefix,
                                            prefix[0] == '\0' ? "" : ".", SLICE_ARGS(field->name));
            return field->id == wanted->id || name == NULL
                       ? name
                       : true_name(e, &field->type, wanted, name);
        }
    }
    return prefix;
}

enum err iceberg_evolve_drop(struct iceberg_evolution *e, struct iceberg_path path,
                             struct errinfo *info)
{
    struct evolve_place place = {0};
    TRY(evolve__need(e, path, &place, info));
    TRY(check_struct_field(&place, info));
    TRY(check_unused(e, place.field, info));
    if (place.parent->field_count == 1) {
        return errinfo_set(info, ERR_INVALID, "42P16",
                           "column \"%.*s\" cannot be dropped: it is the only one",
                           SLICE_ARGS(place.field->name));
    }
    const char *name = true_name(e, &e->schema.root, place.field, "");
    if (name == NULL) {
        return errinfo_nomem(info);
    }
    TRY(follow_properties(e, slice_of(name), NULL, info));
    remove_field(place.parent, place.index);
    e->changes_schema = true;
    return ERR_OK;
}

/* ---- changing one ---- */

enum err iceberg_evolve_rename(struct iceberg_evolution *e, struct iceberg_path path,
                               struct slice name, struct errinfo *info)
{
    struct evolve_place place = {0};
    TRY(evolve__need(e, path, &place, info));
    TRY(check_struct_field(&place, info));
    if (has_folded(place.parent, name, place.index)) {
        return name_is_taken(name, info);
    }
    TRY(place.parent == &e->schema.root ? check_partition_name(e, name, place.field->id, info)
                                        : ERR_OK);
    const char *from = true_name(e, &e->schema.root, place.field, "");
    place.field->name = name;
    const char *to = true_name(e, &e->schema.root, place.field, "");
    if (from == NULL || to == NULL) {
        return errinfo_nomem(info);
    }
    e->changes_schema = true;
    return strcmp(from, to) == 0 ? ERR_OK : follow_properties(e, slice_of(from), to, info);
}

static enum err cannot_become(const struct iceberg_field *field, const struct iceberg_type *type,
                              struct errinfo *info)
{
    struct buf from CLEANUP(buf_fini) = {0};
    struct buf to CLEANUP(buf_fini) = {0};
    iceberg_type_print(&field->type, &from);
    iceberg_type_print(type, &to);
    (void)errinfo_set(info, ERR_INVALID, "42804", "column \"%.*s\" of type %s cannot become %s",
                      SLICE_ARGS(field->name), buf_cstr(&from), buf_cstr(&to));
    errinfo_hint(info, "A type can be widened: int to long, float to double, decimal(P, S) to more "
                       "digits; in format version 3 also date to timestamp.");
    return ERR_INVALID;
}

/* Partition values that files have were computed of the old type; those of a date are others of a
 * timestamp. */
static bool is_source(const struct iceberg_metadata *metadata, int32_t id)
{
    for (size_t i = 0; i < metadata->spec_count; i++) {
        for (size_t f = 0; f < metadata->specs[i].field_count; f++) {
            const struct iceberg_partition_field *field = &metadata->specs[i].fields[f];
            for (size_t s = 0; s < field->source_count; s++) {
                if (field->source_ids[s] == id && field->transform.kind != TRANSFORM_VOID) {
                    return true;
                }
            }
        }
    }
    return false;
}

static enum err widen_default(struct iceberg_evolution *e, const struct iceberg_value **value,
                              const struct iceberg_type *type, bool *ret_fits, struct errinfo *info)
{
    *ret_fits = true;
    if (*value == NULL || (*value)->is_null) {
        return ERR_OK;
    }
    struct iceberg_value *own = arena_calloc(e->arena, 1, sizeof(*own));
    if (own == NULL) {
        return errinfo_nomem(info);
    }
    *ret_fits = iceberg_value_convert(*value, type, own);
    *value = own;
    return ERR_OK;
}

enum err iceberg_evolve_type(struct iceberg_evolution *e, struct iceberg_path path,
                             const struct iceberg_type *type, struct errinfo *info)
{
    struct evolve_place place = {0};
    bool fits = true;
    TRY(evolve__need(e, path, &place, info));
    TRY(check_key(&place, info));
    struct iceberg_field *field = place.field;
    if (iceberg_type_equal(&field->type, type)) {
        return ERR_OK;
    }
    bool is_plain = field->type.id < ICEBERG_STRUCT && type->id < ICEBERG_STRUCT;
    bool is_date = field->type.id == ICEBERG_DATE && is_source(e->metadata, field->id);
    if (!is_plain || is_date || !iceberg_type_can_promote(&field->type, type, e->version)) {
        return cannot_become(field, type, info);
    }
    TRY(widen_default(e, &field->initial_default, type, &fits, info));
    TRY(fits ? widen_default(e, &field->write_default, type, &fits, info) : ERR_OK);
    if (!fits) {
        return cannot_become(field, type, info);
    }
    field->type = *type;
    e->changes_schema = true;
    return ERR_OK;
}

static bool is_identifier(const struct iceberg_evolution *e, const struct iceberg_field *field)
{
    for (size_t i = 0; i < e->schema.identifier_count; i++) {
        if (evolve__holds(field, e->schema.identifier_ids[i])) {
            return true;
        }
    }
    return false;
}

enum err iceberg_evolve_required(struct iceberg_evolution *e, struct iceberg_path path,
                                 bool is_required, bool is_proven, struct errinfo *info)
{
    struct evolve_place place = {0};
    TRY(evolve__need(e, path, &place, info));
    TRY(check_key(&place, info));
    struct iceberg_field *field = place.field;
    if (field->is_required == is_required) {
        return ERR_OK;
    }
    if (!is_required && is_identifier(e, field)) {
        return errinfo_set(info, ERR_INVALID, "42P16",
                           "column \"%.*s\" is an identifier field, which is never null",
                           SLICE_ARGS(field->name));
    }
    if (is_required && !is_proven) {
        (void)errinfo_set(info, ERR_INVALID, "23502",
                          "column \"%.*s\" cannot become NOT NULL: it is not sure that no row has "
                          "a null in it",
                          SLICE_ARGS(field->name));
        errinfo_hint(info, "Fill the nulls first. What counts is what the files' statistics say, "
                           "on every branch.");
        return ERR_INVALID;
    }
    field->is_required = is_required;
    e->pins_refs = e->pins_refs || is_required;
    e->changes_schema = true;
    return ERR_OK;
}

enum err iceberg_evolve_doc(struct iceberg_evolution *e, struct iceberg_path path, struct slice doc,
                            struct errinfo *info)
{
    struct evolve_place place = {0};
    TRY(evolve__need(e, path, &place, info));
    TRY(check_struct_field(&place, info));
    e->changes_schema = e->changes_schema || !slice_equal(place.field->doc, doc);
    place.field->doc = doc;
    return ERR_OK;
}

enum err iceberg_evolve_default(struct iceberg_evolution *e, struct iceberg_path path,
                                const struct iceberg_value *value, struct errinfo *info)
{
    struct evolve_place place = {0};
    TRY(evolve__need(e, path, &place, info));
    TRY(check_struct_field(&place, info));
    if (e->version < 3) {
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                          "column \"%.*s\" cannot have a default: tables of format version %u have "
                          "none",
                          SLICE_ARGS(place.field->name), e->version);
        errinfo_hint(info, "ALTER TABLE ... SET ('format-version' = '3') first.");
        return ERR_UNSUPPORTED;
    }
    place.field->write_default = value;
    e->changes_schema = true;
    return ERR_OK;
}

enum err iceberg_evolve_move(struct iceberg_evolution *e, struct iceberg_path path,
                             struct iceberg_position position, struct errinfo *info)
{
    struct evolve_place place = {0};
    size_t index = 0;
    TRY(evolve__need(e, path, &place, info));
    TRY(check_struct_field(&place, info));
    if (position.at == ICEBERG_AFTER && find_in(place.parent, position.after) == place.index) {
        return errinfo_set(info, ERR_INVALID, "42P16", "column \"%.*s\" cannot come after itself",
                           SLICE_ARGS(place.field->name));
    }
    struct iceberg_field moved = *place.field;
    TRY(find_index(place.parent, position, &index, info));
    remove_field(place.parent, place.index);
    index = index > place.index ? index - 1 : index;
    e->changes_schema = e->changes_schema || index != place.index;
    return insert_field(e, place.parent, index, &moved, info);
}

/* ---- identifier ---- */

enum err iceberg_evolve_identify(struct iceberg_evolution *e, const struct iceberg_path *paths,
                                 size_t count, struct errinfo *info)
{
    int32_t *ids = arena_calloc(e->arena, count + 1, sizeof(*ids));
    if (ids == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        struct evolve_place place = {0};
        TRY(evolve__need(e, paths[i], &place, info));
        enum iceberg_type_id type = place.field->type.id;
        bool is_plain = type < ICEBERG_VARIANT && type != ICEBERG_FLOAT && type != ICEBERG_DOUBLE &&
                        type != ICEBERG_UNKNOWN;
        bool is_one = is_plain && !place.is_repeated;
        if (!is_one || !place.field->is_required || place.has_optional_above) {
            return errinfo_set(info, ERR_INVALID, "42P16",
                               "column \"%.*s\" cannot identify rows: %s",
                               SLICE_ARGS(place.field->name),
                               is_one ? "it may be null" : "its type has no exact value");
        }
        ids[i] = place.field->id;
        for (size_t k = 0; k < i; k++) {
            if (ids[k] == ids[i]) {
                return name_is_taken(place.field->name, info);
            }
        }
    }
    e->schema.identifier_ids = ids;
    e->schema.identifier_count = count;
    e->changes_schema = true;
    return ERR_OK;
}

/* ---- another schema ---- */

static void take_ids(struct iceberg_type *type, const struct iceberg_type *old, int32_t *last)
{
    struct iceberg_field *fields = fields_of(type);
    for (size_t i = 0; i < type->field_count; i++) {
        size_t at = old == NULL || old->id != type->id ? SIZE_MAX : find_in(old, fields[i].name);
        const struct iceberg_field *was = at == SIZE_MAX ? NULL : &old->fields[at];
        fields[i].id = was != NULL ? was->id : ++*last;
        take_ids(&fields[i].type, was == NULL ? NULL : &was->type, last);
    }
}

enum err iceberg_evolve_replace(struct iceberg_evolution *e, struct iceberg_type *root,
                                struct errinfo *info)
{
    const struct iceberg_type old = e->schema.root;
    if (!copy_type(e->arena, root, &e->schema.root)) {
        return errinfo_nomem(info);
    }
    take_ids(&e->schema.root, &old, &e->last_column_id);
    *root = e->schema.root;
    e->schema.identifier_count = 0;
    e->field_count = 0;
    e->sort_count = 0;
    e->changes_schema = e->changes_spec = e->changes_order = true;
    e->pins_refs = true;
    return ERR_OK;
}
