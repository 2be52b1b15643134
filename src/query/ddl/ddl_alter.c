/* ALTER TABLE of a lake: all actions of a statement are one change and one commit, made anew
 * against what the table is then when somebody else was first. */
#include "query/ddl/ddl_int.h"

#include "lake/schema.h"
#include "lake/write.h"
#include "query/dml/dml_int.h"
#include "query/plan/policy_int.h"
#include "query/plan/resolve_int.h"
#include "sql/scan.h"

struct alterer {
    const struct statement *statement;
    struct slice *types; /* the engine's name of each action's type */
    struct ddl *ddl;
    struct iceberg_evolution *evolution;
    struct arena *arena;
    struct buf requirements, updates; /* of references */
    bool has_refs;
    struct errinfo *info;
};

/* ---- columns ---- */

static struct iceberg_path path_of(const struct statement_alter *action)
{
    return (struct iceberg_path){action->path, action->path_count};
}

static struct iceberg_position position_of(const struct statement_alter *action)
{
    switch (action->at) {
    case ALTER_AT_END:
        break;
    case ALTER_FIRST:
        return (struct iceberg_position){.at = ICEBERG_FIRST};
    case ALTER_AFTER:
        return (struct iceberg_position){.at = ICEBERG_AFTER, .after = action->after};
    }
    return (struct iceberg_position){.at = ICEBERG_AT_END};
}

static struct slice last_of(const struct statement_alter *action)
{
    return action->path[action->path_count - 1];
}

static enum err parse_default(struct alterer *a, const struct statement_alter *action,
                              const struct iceberg_type *type, const struct iceberg_value **ret,
                              struct errinfo *info)
{
    struct slice text;
    struct iceberg_value *value = arena_calloc(a->arena, 1, sizeof(*value));
    if (value == NULL) {
        return errinfo_nomem(info);
    }
    TRY(ddl_literal(action->default_value, a->arena, &text, info));
    if (!lake_value_parse(type, text, a->arena, value)) {
        return errinfo_set(info, ERR_INVALID, "22023",
                           "the default of column \"%.*s\" is no constant of its type",
                           SLICE_ARGS(last_of(action)));
    }
    *ret = value;
    return ERR_OK;
}

static enum err add_column(struct alterer *a, const struct statement_alter *action, size_t index)
{
    struct iceberg_field field = {.is_required = action->is_required, .doc = action->comment};
    uint32_t version = iceberg_evolve_version(a->evolution);
    if (action->if_not_exists && iceberg_evolve_find(a->evolution, path_of(action)) != NULL) {
        return ERR_OK;
    }
    TRY(lake_type_parse(a->types[index], last_of(action), version, a->arena, &field.type, a->info));
    if (action->default_value.len > 0) {
        if (version < 3) {
            (void)errinfo_set(a->info, ERR_UNSUPPORTED, NULL,
                              "column \"%.*s\" cannot have a default: tables of format version %u "
                              "have none",
                              SLICE_ARGS(last_of(action)), version);
            errinfo_hint(a->info, "ALTER TABLE ... SET ('format-version' = '3') first.");
            return ERR_UNSUPPORTED;
        }
        TRY(parse_default(a, action, &field.type, &field.initial_default, a->info));
        field.write_default = field.initial_default;
    }
    return iceberg_evolve_add(a->evolution, path_of(action), &field, position_of(action), a->info);
}

static enum err drop_column(struct alterer *a, const struct statement_alter *action)
{
    if (action->if_exists && iceberg_evolve_find(a->evolution, path_of(action)) == NULL) {
        return ERR_OK;
    }
    return iceberg_evolve_drop(a->evolution, path_of(action), a->info);
}

static enum err set_type(struct alterer *a, const struct statement_alter *action, size_t index)
{
    struct iceberg_type type = {0};
    TRY(lake_type_parse(a->types[index], last_of(action), iceberg_evolve_version(a->evolution),
                        a->arena, &type, a->info));
    return iceberg_evolve_type(a->evolution, path_of(action), &type, a->info);
}

static enum err set_required(struct alterer *a, const struct statement_alter *action)
{
    const struct iceberg_field *field = iceberg_evolve_find(a->evolution, path_of(action));
    bool is_proven = a->ddl->metadata->snapshot_count == 0;
    if (field != NULL && !is_proven && action->path_count == 1) {
        TRY(ddl_has_no_nulls(a->ddl, field->id, &is_proven, a->info));
    }
    return iceberg_evolve_required(a->evolution, path_of(action), true, is_proven, a->info);
}

static enum err set_default(struct alterer *a, const struct statement_alter *action)
{
    const struct iceberg_field *field = iceberg_evolve_find(a->evolution, path_of(action));
    const struct iceberg_value *value = NULL;
    if (field != NULL && action->kind == ALTER_SET_DEFAULT && action->default_value.len > 0) {
        TRY(parse_default(a, action, &field->type, &value, a->info));
    }
    return iceberg_evolve_default(a->evolution, path_of(action), value, a->info);
}

/* ---- the identifier ---- */

static bool is_named(const struct alterer *a, const struct statement_alter *action, int32_t id)
{
    for (size_t i = 0; i < action->field_count; i++) {
        struct iceberg_path path = {action->fields[i], action->field_lens[i]};
        const struct iceberg_field *field = iceberg_evolve_find(a->evolution, path);
        if (field != NULL && field->id == id) {
            return true;
        }
    }
    return false;
}

/* Its fields but for those that are named, by the names they have. */
static enum err unidentify(struct alterer *a, const struct statement_alter *action)
{
    const struct iceberg_schema *schema = iceberg_evolve_schema(a->evolution);
    struct iceberg_path *paths =
        arena_calloc(a->arena, schema->identifier_count + 1, sizeof(*paths));
    size_t count = 0;
    size_t dropped = 0;
    if (paths == NULL) {
        return errinfo_nomem(a->info);
    }
    for (size_t i = 0; i < schema->identifier_count; i++) {
        if (is_named(a, action, schema->identifier_ids[i])) {
            dropped++;
            continue;
        }
        const struct iceberg_field *field =
            iceberg_schema_find_id(schema, schema->identifier_ids[i], NULL);
        struct slice *part = arena_calloc(a->arena, 1, sizeof(*part));
        if (part == NULL) {
            return errinfo_nomem(a->info);
        }
        *part = field->name;
        paths[count++] = (struct iceberg_path){part, 1};
    }
    if (dropped != action->field_count) {
        return errinfo_set(a->info, ERR_NOT_FOUND, "42703",
                           "not all of these are identifier fields of table \"%.*s\"",
                           SLICE_ARGS(a->ddl->name));
    }
    return iceberg_evolve_identify(a->evolution, paths, count, a->info);
}

static enum err identify(struct alterer *a, const struct statement_alter *action)
{
    struct iceberg_path *paths = arena_calloc(a->arena, action->field_count + 1, sizeof(*paths));
    if (paths == NULL) {
        return errinfo_nomem(a->info);
    }
    for (size_t i = 0; i < action->field_count; i++) {
        paths[i] = (struct iceberg_path){action->fields[i], action->field_lens[i]};
    }
    return iceberg_evolve_identify(a->evolution, paths, action->field_count, a->info);
}

/* ---- partitions, order ---- */

static enum err add_partition(struct alterer *a, const struct statement_transform *item,
                              struct slice name)
{
    struct iceberg_path path;
    struct slice text;
    TRY(ddl_transform(item, a->arena, &text, a->info));
    TRY(ddl_path(iceberg_evolve_schema(a->evolution), item->column, a->arena, &path, a->info));
    return iceberg_evolve_partition_add(a->evolution, path, text, name, a->info);
}

/* A name alone is that of a field, or of a column whose value is one. */
static enum err drop_partition(struct alterer *a, const struct statement_transform *item)
{
    struct iceberg_path path;
    struct slice text;
    if (item->function.len == 0) {
        enum err err = iceberg_evolve_partition_drop_named(a->evolution, item->column, a->info);
        if (err != ERR_NOT_FOUND) {
            return err;
        }
    }
    TRY(ddl_transform(item, a->arena, &text, a->info));
    TRY(ddl_path(iceberg_evolve_schema(a->evolution), item->column, a->arena, &path, a->info));
    return iceberg_evolve_partition_drop(a->evolution, path, text, a->info);
}

static enum err sort(struct alterer *a, const struct statement_alter *action)
{
    struct iceberg_sort_want *wants;
    TRY(ddl_sorts(iceberg_evolve_schema(a->evolution), action->sorts, action->sort_count, a->arena,
                  &wants, a->info));
    return iceberg_evolve_order(a->evolution, wants, action->sort_count, a->info);
}

/* ---- properties ---- */

static enum err set_property(struct alterer *a, const struct statement_argument *item)
{
    uint64_t version;
    bool is_version = slice_equal_fold(item->name, SLICE("format-version")) ||
                      slice_equal_fold(item->name, SLICE("format_version"));
    if (!is_version || item->value.ptr == NULL) {
        return iceberg_evolve_property(a->evolution, item->name, item->value, a->info);
    }
    if (!slice_to_u64(item->value, &version) || version > ICEBERG_FORMAT_VERSION_MAX) {
        return errinfo_set(a->info, ERR_INVALID, "22023", "format_version is 1, 2 or 3");
    }
    return iceberg_evolve_upgrade(a->evolution, (uint32_t)version, a->info);
}

static enum err set_properties(struct alterer *a, const struct statement_alter *action)
{
    for (size_t i = 0; i < action->property_count; i++) {
        TRY(set_property(a, &action->properties[i]));
    }
    return ERR_OK;
}

/* ---- all ---- */

static enum err apply(struct alterer *a, const struct statement_alter *action, size_t index)
{
    switch (action->kind) {
    case ALTER_ADD_COLUMN:
        return add_column(a, action, index);
    case ALTER_DROP_COLUMN:
        return drop_column(a, action);
    case ALTER_NAME_COLUMN:
        return iceberg_evolve_rename(a->evolution, path_of(action), action->new_name, a->info);
    case ALTER_TYPE:
        return set_type(a, action, index);
    case ALTER_SET_REQUIRED:
        return set_required(a, action);
    case ALTER_DROP_REQUIRED:
        return iceberg_evolve_required(a->evolution, path_of(action), false, false, a->info);
    case ALTER_SET_DEFAULT:
    case ALTER_DROP_DEFAULT:
        return set_default(a, action);
    case ALTER_COLUMN_COMMENT:
        return iceberg_evolve_doc(a->evolution, path_of(action), action->comment, a->info);
    case ALTER_MOVE:
        return iceberg_evolve_move(a->evolution, path_of(action), position_of(action), a->info);
    case ALTER_ADD_PARTITION:
        return add_partition(a, &action->transform, action->field_name);
    case ALTER_DROP_PARTITION:
        return drop_partition(a, &action->transform);
    case ALTER_REPLACE_PARTITION:
        TRY(drop_partition(a, &action->transform));
        return add_partition(a, &action->with, action->field_name);
    case ALTER_SORT:
        return sort(a, action);
    case ALTER_SET_PROPERTIES:
    case ALTER_UNSET_PROPERTIES:
        return set_properties(a, action);
    case ALTER_IDENTIFY:
        return identify(a, action);
    case ALTER_UNIDENTIFY:
        return unidentify(a, action);
    case ALTER_SET_REF:
    case ALTER_DROP_REF:
        a->has_refs = true;
        return ddl_print_ref(a->ddl, action, &a->requirements, &a->updates, a->info);
    }
    return errinfo_set(a->info, ERR_INTERNAL, NULL, "unknown form of ALTER TABLE");
}

static bool has_column(const struct alterer *a, struct slice dotted)
{
    struct iceberg_path path;
    struct errinfo info;
    return ddl_path(iceberg_evolve_schema(a->evolution), dotted, a->arena, &path, &info) ==
               ERR_OK &&
           iceberg_evolve_find(a->evolution, path) != NULL;
}

/* The words of the statement that an action failed by: a column that is not there, or what it does
 * with one. */
static struct slice failed_part(const struct alterer *a, const struct statement_alter *action,
                                enum err err)
{
    for (size_t i = 0; i < action->sort_count; i++) {
        if (!has_column(a, action->sorts[i].by.column)) {
            return action->sorts[i].by.column;
        }
    }
    for (size_t i = 0; i < action->field_count; i++) {
        struct iceberg_path path = {action->fields[i], action->field_lens[i]};
        if (iceberg_evolve_find(a->evolution, path) == NULL) {
            return action->fields[i][0];
        }
    }
    if (action->path_count > 0) {
        return action->path[0];
    }
    return err == ERR_INVALID && action->transform.function.len > 0 ? action->transform.function
                                                                    : action->transform.column;
}

/* Two arrays as one; what references require begins with a comma. */
static enum err join(struct alterer *a, struct slice *requirements, struct slice *updates)
{
    struct buf both CLEANUP(buf_fini) = {0};
    buf_append(&both, requirements->ptr, requirements->len - 1);
    buf_append_slice(&both, buf_slice(&a->requirements));
    buf_append_char(&both, ']');
    if (buf_failed(&both) || buf_failed(&a->requirements) || buf_failed(&a->updates) ||
        !arena_slice(a->arena, buf_slice(&both), requirements)) {
        return errinfo_nomem(a->info);
    }
    if (a->updates.len == 0) {
        return ERR_OK;
    }
    buf_reset(&both);
    if (updates->len > 0) {
        buf_append(&both, updates->ptr, updates->len - 1);
        buf_append_char(&both, ',');
        buf_append(&both, a->updates.ptr + 1, a->updates.len - 1);
    } else {
        buf_append_slice(&both, buf_slice(&a->updates));
    }
    buf_append_char(&both, ']');
    return !buf_failed(&both) && arena_slice(a->arena, buf_slice(&both), updates)
               ? ERR_OK
               : errinfo_nomem(a->info);
}

static enum err build(void *context, struct ddl *ddl, struct arena *arena,
                      struct slice *ret_requirements, struct slice *ret_updates,
                      struct errinfo *info)
{
    struct alterer *a = context;
    a->ddl = ddl;
    a->arena = arena;
    a->info = info;
    a->has_refs = false;
    buf_reset(&a->requirements);
    buf_reset(&a->updates);
    TRY(iceberg_evolve_open(ddl->metadata, arena, &a->evolution, info));
    for (size_t i = 0; i < a->statement->alter_count; i++) {
        const struct statement_alter *action = &a->statement->alters[i];
        enum err err = apply(a, action, i);
        if ((err == ERR_NOT_FOUND || err == ERR_INVALID) && info->position == 0) {
            errinfo_position(
                info, statement_position(ddl->query->statement, failed_part(a, action, err)));
        }
        TRY(err);
    }
    TRY(iceberg_evolve_print(a->evolution, ret_requirements, ret_updates, info));
    return a->has_refs ? join(a, ret_requirements, ret_updates) : ERR_OK;
}

/* The types of all actions, as the engine calls them; others are empty. */
static enum err find_types(struct query *query, const struct statement *statement,
                           struct slice **ret_types, struct errinfo *info)
{
    struct slice *types = arena_calloc(query->arena, statement->alter_count + 1, sizeof(*types));
    if (types == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < statement->alter_count; i++) {
        struct engine_column *found;
        size_t count;
        const struct slice name = SLICE("c");
        const struct statement one = {
            .columns = &name, .types = &statement->alters[i].type, .column_count = 1};
        if (statement->alters[i].type.len > 0) {
            TRY(dml_declared_types(query, &one, &found, &count, info));
            types[i] = found[0].type;
        }
    }
    *ret_types = types;
    return ERR_OK;
}

static enum err alter(struct query *query, const struct statement *statement, struct ddl *ddl,
                      struct errinfo *info)
{
    struct alterer a = {.statement = statement};
    struct ddl_change change = {.operation = "alter", .build = build, .context = &a};
    bool is_changed = false;
    TRY(find_types(query, statement, &a.types, info));
    enum err err = ddl_commit(ddl, &change, &is_changed, info);
    buf_fini(&a.requirements);
    buf_fini(&a.updates);
    if (err == ERR_OK && !is_changed) {
        (void)snprintf(query->notice, sizeof(query->notice), "there was nothing to change");
    }
    return err;
}

enum err ddl_alter(struct query *query, const struct statement *statement, struct errinfo *info)
{
    struct ddl ddl;
    enum err err = ddl_open(query, &statement->name, &ddl, info);
    if (err != ERR_OK) {
        errinfo_position(info, statement_position(query->statement, statement->name.name));
    } else {
        err = alter(query, statement, &ddl, info);
    }
    ddl_close(&ddl);
    return err;
}

/* COMMENT ON TABLE is the property that other engines show too. */
enum err ddl_comment(struct query *query, const struct statement *statement, struct errinfo *info)
{
    struct statement_argument property = {.name = SLICE("comment"), .value = statement->comment};
    struct statement_alter action = {
        .kind = ALTER_SET_PROPERTIES, .properties = &property, .property_count = 1};
    struct statement as_alter = *statement;
    if (statement->comment.len == 0) {
        property.value = (struct slice){NULL, 0};
    }
    if (statement->column.len > 0) {
        action = (struct statement_alter){.kind = ALTER_COLUMN_COMMENT,
                                          .path = &statement->column,
                                          .path_count = 1,
                                          .comment = statement->comment};
    }
    as_alter.alters = &action;
    as_alter.alter_count = 1;
    return ddl_alter(query, &as_alter, info);
}

/* ---- NOT NULL ---- */

static bool shows_no_null(const struct iceberg_file *file, int32_t field_id)
{
    for (size_t i = 0; i < file->metrics_count; i++) {
        if (file->metrics[i].field_id == field_id) {
            return file->metrics[i].null_count == 0;
        }
    }
    return file->record_count == 0;
}

static enum err look_at_manifest(const struct ddl *ddl, const struct iceberg_manifest *manifest,
                                 int32_t field_id, bool *is_proven, struct errinfo *info)
{
    const struct iceberg_manifest_want want = {.metric_ids = &field_id, .metric_count = 1};
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct iceberg_manifest_reader *reader CLEANUP(iceberg_manifest_cleanup) = NULL;
    const struct iceberg_file *file = NULL;
    TRY(ddl->io.read_all(ddl->io.context, manifest->path, (uint64_t)manifest->length_bytes, 0,
                         &bytes, info));
    TRY(iceberg_manifest_open(buf_slice(&bytes), manifest, ddl->metadata, &want, &reader, info));
    do {
        TRY(iceberg_manifest_next(reader, &file, info));
        *is_proven = *is_proven && (file == NULL || shows_no_null(file, field_id));
    } while (file != NULL && *is_proven);
    return ERR_OK;
}

enum err ddl_has_no_nulls(const struct ddl *ddl, int32_t field_id, bool *ret_is_proven,
                          struct errinfo *info)
{
    bool is_proven = true;
    for (size_t r = 0; r < ddl->metadata->ref_count && is_proven; r++) {
        const struct iceberg_ref *ref = &ddl->metadata->refs[r];
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(ddl->query->arena, "proof", 0);
        struct iceberg_manifest *manifests = NULL;
        size_t count = 0;
        if (arena == NULL) {
            return errinfo_nomem(info);
        }
        TRY(ref->is_tag
                ? ERR_OK
                : iceberg_manifests_load(&ddl->io, ddl->metadata,
                                         iceberg_metadata_snapshot(ddl->metadata, ref->snapshot_id),
                                         arena, &manifests, &count, info));
        for (size_t i = 0; i < count && is_proven; i++) {
            if (!manifests[i].is_deletes) {
                TRY(look_at_manifest(ddl, &manifests[i], field_id, &is_proven, info));
            }
        }
    }
    *ret_is_proven = is_proven;
    return ERR_OK;
}
