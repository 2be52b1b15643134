/* CREATE TABLE of an attached catalog, empty or AS a query: the table and its first snapshot are
 * one commit, so nobody meets it half made. */
#include "query/dml/dml_int.h"

#include "base/clock.h"
#include "base/hash.h"
#include "lake/schema.h"
#include "query/ddl/ddl_int.h"
#include "query/plan/policy_int.h"
#include "query/plan/resolve_int.h"
#include "sql/scan.h"

#define FORMAT_VERSION_DEFAULT 2

struct creator {
    struct query *query;
    const struct statement *statement;
    struct dml *dml;
    struct lake_creation creation;
    struct iceberg_schema schema;
    struct iceberg_spec spec;
    struct iceberg_field *fields;
    size_t *from; /* CTAS: every column from its own */
    size_t column_count;
    struct ddl *replaced; /* the table that is there; NULL: none */
    struct iceberg_evolution *evolution;
    bool has_version;
    struct errinfo *info;
};

/* ---- properties ---- */

static enum err set_version(struct creator *c, struct slice value)
{
    uint64_t version;
    if (!slice_to_u64(value, &version) || version < 1 || version > ICEBERG_FORMAT_VERSION_MAX) {
        return errinfo_set(c->info, ERR_INVALID, "22023", "format_version is 1, 2 or 3");
    }
    c->creation.format_version = (uint32_t)version;
    c->has_version = true;
    return ERR_OK;
}

static enum err text_of(struct creator *c, const struct relation_option *option,
                        struct slice *ret_text)
{
    bool is_text =
        option->value.len > 0 && (option->value.ptr[0] == '\'' || option->value.ptr[0] == '$' ||
                                  ((option->value.ptr[0] | 0x20) == 'e' && option->value.len > 1 &&
                                   option->value.ptr[1] == '\''));
    if (!is_text) { /* a number, true or false: as written */
        *ret_text = option->value;
        return ERR_OK;
    }
    return attached_text(option, c->query->arena, ret_text, c->info);
}

static enum err read_properties(struct creator *c)
{
    const struct statement *statement = c->statement;
    struct iceberg_property *properties =
        arena_calloc(c->query->arena, statement->option_count + 2, sizeof(*properties));
    size_t count = 0;
    if (properties == NULL) {
        return errinfo_nomem(c->info);
    }
    c->creation.format_version =
        c->replaced != NULL ? c->replaced->metadata->format_version : FORMAT_VERSION_DEFAULT;
    for (size_t i = 0; i < statement->option_count; i++) {
        const struct relation_option *option = &statement->options[i];
        struct slice value;
        TRY(text_of(c, option, &value));
        if (slice_equal_fold(option->name, SLICE("format_version")) ||
            slice_equal_fold(option->name, SLICE("format-version"))) {
            TRY(set_version(c, value));
        } else if (slice_equal_fold(option->name, SLICE("location"))) {
            c->creation.location = value;
        } else {
            properties[count++] = (struct iceberg_property){option->name, value};
        }
    }
    if (statement->comment.len > 0) {
        properties[count++] = (struct iceberg_property){SLICE("comment"), statement->comment};
    }
    c->creation.properties = properties;
    c->creation.property_count = count;
    return ERR_OK;
}

/* ---- columns ---- */

static enum err set_default(struct creator *c, struct iceberg_field *field,
                            const struct statement_column *detail)
{
    if (detail->default_value.len == 0 || slice_equal_fold(detail->default_value, SLICE("null"))) {
        return ERR_OK;
    }
    struct relation_option literal = {.name = field->name, .value = detail->default_value};
    struct slice text;
    struct iceberg_value *value = arena_calloc(c->query->arena, 1, sizeof(*value));
    if (value == NULL) {
        return errinfo_nomem(c->info);
    }
    if (c->creation.format_version < 3) {
        (void)errinfo_set(c->info, ERR_UNSUPPORTED, NULL,
                          "column \"%.*s\" cannot have a default: tables of format version %u have "
                          "none",
                          SLICE_ARGS(field->name), c->creation.format_version);
        errinfo_hint(c->info, "Add WITH (format_version = 3).");
        return ERR_UNSUPPORTED;
    }
    TRY(text_of(c, &literal, &text));
    if (!lake_value_parse(&field->type, text, c->query->arena, value)) {
        return errinfo_set(c->info, ERR_INVALID, "22023",
                           "the default of column \"%.*s\" is no constant of its type",
                           SLICE_ARGS(field->name));
    }
    field->initial_default = field->write_default = value;
    return ERR_OK;
}

static enum err set_column(struct creator *c, size_t index, struct slice name, struct slice type)
{
    struct iceberg_field *field = &c->fields[index];
    for (size_t k = 0; k < index; k++) {
        if (slice_equal_fold(c->fields[k].name, name)) {
            return errinfo_set(c->info, ERR_EXISTS, "42701", "column \"%.*s\" is there twice",
                               SLICE_ARGS(name));
        }
    }
    field->name = name;
    TRY(lake_type_parse(type, name, c->creation.format_version, c->query->arena, &field->type,
                        c->info));
    if (index < c->statement->column_count && c->statement->details != NULL) {
        const struct statement_column *detail = &c->statement->details[index];
        field->is_required = detail->is_required;
        field->doc = detail->comment;
        return set_default(c, field, detail);
    }
    return ERR_OK;
}

static enum err declared(struct creator *c)
{
    struct engine_column *found;
    size_t count;
    TRY(dml_declared_types(c->query, c->statement, &found, &count, c->info));
    c->column_count = count;
    c->fields = arena_calloc(c->query->arena, count + 1, sizeof(*c->fields));
    if (c->fields == NULL) {
        return errinfo_nomem(c->info);
    }
    for (size_t i = 0; i < count; i++) {
        TRY(set_column(c, i, c->statement->columns[i], found[i].type));
    }
    return ERR_OK;
}

/* How the engine has values of a type. */
static enum err print_held(struct creator *c, size_t index, struct slice type, struct buf *out)
{
    struct iceberg_type parsed;
    struct slice name = c->statement->columns[index];
    TRY(lake_type_parse(type, name, c->creation.format_version, c->query->arena, &parsed, c->info));
    return lake_type_print(&parsed, name, out, c->info);
}

/* Shapes are bytes to a query: that they are to be a geometry or a geography is all that a column
 * of CREATE TABLE AS can say itself. */
static enum err declared_shape(struct creator *c, size_t index, struct slice found,
                               struct slice *ret_type)
{
    struct buf of_query CLEANUP(buf_fini) = {0};
    struct buf of_column CLEANUP(buf_fini) = {0};
    struct engine_column *declared;
    size_t count;
    const struct statement one = {.columns = &c->statement->columns[index],
                                  .types = &c->statement->types[index],
                                  .column_count = 1};
    TRY(dml_declared_types(c->query, &one, &declared, &count, c->info));
    TRY(print_held(c, index, declared[0].type, &of_column));
    TRY(print_held(c, index, found, &of_query));
    if (buf_failed(&of_query) || buf_failed(&of_column)) {
        return errinfo_nomem(c->info);
    }
    if (!slice_equal(buf_slice(&of_query), buf_slice(&of_column))) {
        return errinfo_set(
            c->info, ERR_SYNTAX, NULL,
            "the columns of CREATE TABLE AS have the types of its query: \"%.*s\" is "
            "%.*s",
            SLICE_ARGS(one.columns[0]), SLICE_ARGS(found));
    }
    *ret_type = declared[0].type;
    return ERR_OK;
}

static enum err of_query(struct creator *c)
{
    const struct statement *statement = c->statement;
    struct engine_column *found;
    size_t count;
    TRY(dml_describe(c->query, statement->query, &found, &count, c->info));
    if (statement->column_count > count) {
        return errinfo_set(c->info, ERR_SYNTAX, NULL,
                           "CREATE TABLE AS names %zu columns, its query has %zu",
                           statement->column_count, count);
    }
    c->column_count = count;
    c->fields = arena_calloc(c->query->arena, count + 1, sizeof(*c->fields));
    c->from = arena_calloc(c->query->arena, count + 1, sizeof(*c->from));
    if (c->fields == NULL || c->from == NULL) {
        return errinfo_nomem(c->info);
    }
    for (size_t i = 0; i < count; i++) {
        bool is_named = i < statement->column_count;
        struct slice type = found[i].type;
        if (is_named && statement->types[i].len > 0) {
            TRY(declared_shape(c, i, found[i].type, &type));
        }
        c->from[i] = i;
        TRY(set_column(c, i, is_named ? statement->columns[i] : found[i].name, type));
    }
    return ERR_OK;
}

static void number_columns(struct creator *c)
{
    int32_t last = 0;
    c->schema.root = (struct iceberg_type){
        .id = ICEBERG_STRUCT, .fields = c->fields, .field_count = c->column_count};
    lake_schema_number(&c->schema.root, &last);
    c->creation.schema = &c->schema;
}

/* ---- partitions ---- */

static enum err read_transform(const struct creator *c, const struct statement_transform *item,
                               struct iceberg_transform *ret_transform)
{
    struct slice text;
    enum err err = ddl_transform(item, c->query->arena, &text, c->info);
    if (err == ERR_INVALID) {
        errinfo_position(c->info, statement_position(c->query->statement, item->function));
    }
    TRY(err);
    return iceberg_transform_parse(text, ret_transform, c->info);
}

static const struct iceberg_field *find_source(const struct creator *c, struct slice path)
{
    for (size_t i = 0; i < c->column_count; i++) {
        if (slice_equal_fold(c->fields[i].name, path)) {
            return &c->fields[i];
        }
    }
    return iceberg_schema_find_name(&c->schema, path);
}

static enum err no_source(const struct creator *c, struct slice path)
{
    const struct iceberg_field *nearest = NULL;
    unsigned best = path.len < 3 ? (unsigned)path.len : 3;
    for (size_t i = 0; i < c->column_count; i++) {
        unsigned distance = slice_edit_distance(c->fields[i].name, path, best - 1);
        if (distance < best) {
            best = distance;
            nearest = &c->fields[i];
        }
    }
    (void)errinfo_set(c->info, ERR_NOT_FOUND, "42703", "column \"%.*s\" does not exist",
                      SLICE_ARGS(path));
    if (nearest != NULL) {
        errinfo_hint(c->info, "Did you mean \"%.*s\"?", SLICE_ARGS(nearest->name));
    }
    errinfo_position(c->info, statement_position(c->query->statement, path));
    return ERR_NOT_FOUND;
}

static enum err set_partition(struct creator *c, const struct statement_transform *item,
                              struct iceberg_partition_field *out)
{
    struct iceberg_type type;
    TRY(read_transform(c, item, &out->transform));
    const struct iceberg_field *source = find_source(c, item->column);
    if (source == NULL) {
        return no_source(c, item->column);
    }
    int32_t *ids = arena_calloc(c->query->arena, 1, sizeof(*ids));
    char *name = arena_printf(c->query->arena, "%.*s%s", SLICE_ARGS(item->column),
                              iceberg_transform_suffix(&out->transform));
    if (ids == NULL || name == NULL) {
        return errinfo_nomem(c->info);
    }
    ids[0] = source->id;
    out->source_ids = ids;
    out->source_count = 1;
    out->name = slice_of(name);
    return iceberg_transform_result(&out->transform, &source->type, &type, c->info);
}

static enum err read_partitions(struct creator *c)
{
    size_t count = c->statement->partition_count;
    struct iceberg_partition_field *fields =
        arena_calloc(c->query->arena, count + 1, sizeof(*fields));
    if (fields == NULL) {
        return errinfo_nomem(c->info);
    }
    for (size_t i = 0; i < count; i++) {
        TRY(set_partition(c, &c->statement->partitions[i], &fields[i]));
        fields[i].field_id = 1000 + (int32_t)i;
        for (size_t k = 0; k < i; k++) {
            if (slice_equal(fields[k].name, fields[i].name)) {
                return errinfo_set(c->info, ERR_EXISTS, "42701",
                                   "the table is partitioned by \"%.*s\" twice",
                                   SLICE_ARGS(fields[i].name));
            }
        }
    }
    c->spec = (struct iceberg_spec){.fields = fields, .field_count = count};
    c->creation.spec = &c->spec;
    return ERR_OK;
}

static enum err read_sorts(struct creator *c)
{
    struct arena *arena = c->query->arena;
    const struct statement *statement = c->statement;
    struct iceberg_sort_field *fields =
        arena_calloc(arena, statement->sort_count + 1, sizeof(*fields));
    int32_t *ids = arena_calloc(arena, statement->sort_count + 1, sizeof(*ids));
    if (fields == NULL || ids == NULL) {
        return errinfo_nomem(c->info);
    }
    for (size_t i = 0; i < statement->sort_count; i++) {
        const struct statement_sort *item = &statement->sorts[i];
        struct iceberg_type type;
        const struct iceberg_field *source = find_source(c, item->by.column);
        if (source == NULL) {
            return no_source(c, item->by.column);
        }
        TRY(read_transform(c, &item->by, &fields[i].transform));
        TRY(iceberg_transform_result(&fields[i].transform, &source->type, &type, c->info));
        ids[i] = source->id;
        fields[i].source_ids = &ids[i];
        fields[i].source_count = 1;
        fields[i].is_descending = item->is_descending;
        fields[i].is_nulls_last = item->is_nulls_last;
    }
    c->creation.sorts = fields;
    c->creation.sort_count = statement->sort_count;
    return ERR_OK;
}

/* ---- LIKE ---- */

/* Not where the files of the other lie. */
static bool is_inherited(struct slice key)
{
    static const char *const own[] = {"write.data.path", "write.metadata.path",
                                      "write.object-storage.path", "write.folder-storage.path"};
    for (size_t i = 0; i < ARRAY_COUNT(own); i++) {
        if (slice_equal(key, slice_of(own[i]))) {
            return false;
        }
    }
    return true;
}

static enum err inherit_properties(struct creator *c, const struct iceberg_metadata *metadata)
{
    size_t count = 0;
    struct iceberg_property *properties =
        arena_calloc(c->query->arena, metadata->property_count + c->creation.property_count + 1,
                     sizeof(*properties));
    if (properties == NULL) {
        return errinfo_nomem(c->info);
    }
    for (size_t i = 0; i < metadata->property_count; i++) {
        bool is_said = !is_inherited(metadata->properties[i].key);
        for (size_t k = 0; k < c->creation.property_count; k++) {
            is_said =
                is_said || slice_equal(c->creation.properties[k].key, metadata->properties[i].key);
        }
        if (!is_said) {
            properties[count++] = metadata->properties[i];
        }
    }
    for (size_t k = 0; k < c->creation.property_count; k++) {
        properties[count++] = c->creation.properties[k];
    }
    c->creation.properties = properties;
    c->creation.property_count = count;
    return ERR_OK;
}

/* Who sees a part of a table only must not see the rest by making one like it. */
static enum err find_like(struct creator *c, const struct iceberg_metadata **ret_metadata)
{
    struct resolved resolved;
    struct session *session = c->query->session;
    TRY(resolve_relation(session, session->who, &c->statement->source, c->query->arena, &resolved,
                         c->info));
    const struct relation *relation = resolved.relation;
    if (relation->lake == NULL || relation->kind != RELATION_TABLE ||
        relation->lake->travel.kind != TRAVEL_NOW || relation->lake->loaded.name.is_view) {
        return errinfo_set(c->info, ERR_UNSUPPORTED, NULL,
                           "\"%.*s\" is no table of a lake, which LIKE takes",
                           SLICE_ARGS(relation->name.name));
    }
    if (resolved.effective.is_bound || resolved.effective.column_count != relation->column_count) {
        return errinfo_set(c->info, ERR_DENIED, NULL,
                           "table \"%.*s\" cannot be copied by somebody from whom some of it is "
                           "hidden",
                           SLICE_ARGS(relation->name.name));
    }
    *ret_metadata = &relation->lake->loaded.metadata;
    return ERR_OK;
}

/* Ids and all: they are of another table. */
static enum err like(struct creator *c)
{
    const struct iceberg_metadata *metadata;
    TRY(find_like(c, &metadata));
    if (!c->has_version) {
        c->creation.format_version = metadata->format_version;
    }
    if (c->creation.format_version < metadata->format_version) {
        return errinfo_set(c->info, ERR_INVALID, "22023",
                           "a table of format version %u cannot be like one of version %u",
                           c->creation.format_version, metadata->format_version);
    }
    c->schema = *iceberg_metadata_current_schema(metadata);
    c->schema.id = 0;
    c->creation.schema = &c->schema;
    c->spec = *iceberg_metadata_spec(metadata, metadata->default_spec_id);
    c->spec.id = 0;
    c->creation.spec = &c->spec;
    for (size_t i = 0; i < metadata->sort_order_count; i++) {
        if (metadata->sort_orders[i].id == metadata->default_sort_order_id) {
            c->creation.sorts = metadata->sort_orders[i].fields;
            c->creation.sort_count = metadata->sort_orders[i].field_count;
        }
    }
    TRY(inherit_properties(c, metadata));
    return c->statement->sort_count > 0 ? read_sorts(c) : ERR_OK;
}

/* ---- the table ---- */

static enum err choose_place(struct creator *c)
{
    struct arena *arena = c->query->arena;
    char *uuid = arena_alloc(arena, UUID_TEXT_BYTES);
    if (uuid == NULL || uuid_new(uuid) != ERR_OK) {
        return errinfo_nomem(c->info);
    }
    c->creation.uuid = slice_of(uuid);
    if (c->creation.location.len > 0) {
        return ERR_OK;
    }
    return catalog_iceberg_new_location(&c->dml->catalog, c->query->session->who, c->dml->ns,
                                        c->dml->name, arena, &c->creation.location, c->info);
}

/* The metadata that the updates make: what data files are written by. */
static enum err make_metadata(struct creator *c)
{
    struct arena *arena = c->query->arena;
    struct buf updates CLEANUP(buf_fini) = {0};
    struct buf document CLEANUP(buf_fini) = {0};
    struct iceberg_metadata *metadata = arena_calloc(arena, 1, sizeof(*metadata));
    lake_creation_print(&c->creation, &updates);
    if (metadata == NULL || buf_failed(&updates) ||
        !arena_slice(arena, buf_slice(&updates), &c->dml->creation)) {
        return errinfo_nomem(c->info);
    }
    TRY(catalog_iceberg_stage(&c->dml->catalog, c->query->session->who, c->dml->ns, c->dml->name,
                              c->dml->creation, arena, &c->dml->creation, c->info));
    struct iceberg_update update = {.requirements = SLICE("[{\"type\":\"assert-create\"}]"),
                                    .updates = c->dml->creation,
                                    .now_ms = clock_wall_us() / 1000};
    TRY(iceberg_update_apply(&update, &document, c->info));
    TRY(iceberg_metadata_parse(buf_slice(&document), arena, metadata, c->info));
    return dml_use(c->dml, metadata, c->info);
}

/* ---- OR REPLACE ---- */

/* The table stays what it is, with its history: policy by its uuid, and by the ids of columns that
 * keep their names, holds for what takes its place. */
static enum err evolve(struct creator *c)
{
    struct arena *arena = c->query->arena;
    struct iceberg_sort_want *wants;
    TRY(iceberg_evolve_open(c->replaced->metadata, arena, &c->evolution, c->info));
    TRY(iceberg_evolve_upgrade(c->evolution, c->creation.format_version, c->info));
    TRY(iceberg_evolve_replace(c->evolution, &c->schema.root, c->info));
    for (size_t i = 0; i < c->statement->partition_count; i++) {
        const struct statement_transform *item = &c->statement->partitions[i];
        struct iceberg_path path;
        struct slice text;
        TRY(ddl_transform(item, arena, &text, c->info));
        TRY(ddl_path(&c->schema, item->column, arena, &path, c->info));
        TRY(iceberg_evolve_partition_add(c->evolution, path, text, (struct slice){"", 0}, c->info));
    }
    TRY(ddl_sorts(&c->schema, c->statement->sorts, c->statement->sort_count, arena, &wants,
                  c->info));
    TRY(iceberg_evolve_order(c->evolution, wants, c->statement->sort_count, c->info));
    for (size_t i = 0; i < c->creation.property_count; i++) {
        TRY(iceberg_evolve_property(c->evolution, c->creation.properties[i].key,
                                    c->creation.properties[i].value, c->info));
    }
    return ERR_OK;
}

static enum err read_document(struct creator *c, struct slice *ret_text)
{
    const struct iceberg_io *io = &c->replaced->io;
    struct buf bytes CLEANUP(buf_fini) = {0};
    TRY(io->read_all(io->context, c->replaced->location, 0, 0, &bytes, c->info));
    return iceberg_document_text(buf_slice(&bytes), c->query->arena, ret_text, c->info);
}

/* The branch of what was there goes; its snapshots stay until they expire. */
static enum err print_replacement(struct creator *c)
{
    struct slice updates = {0};
    struct buf all CLEANUP(buf_fini) = {0};
    TRY(iceberg_evolve_print(c->evolution, &c->dml->required, &updates, c->info));
    bool has_head = c->replaced->metadata->current_snapshot_id != ICEBERG_NO_ID;
    buf_append(&all, updates.ptr, updates.len == 0 ? 0 : updates.len - 1);
    if (has_head) {
        buf_append_str(&all, all.len == 0 ? "[" : ",");
        buf_append_str(&all, "{\"action\":\"remove-snapshot-ref\",\"ref-name\":\"main\"}");
    }
    buf_append_str(&all, all.len == 0 ? "[" : "");
    if (all.len == 1) { /* it is as it was */
        buf_append_str(&all, "{\"action\":\"set-properties\",\"updates\":{}}");
    }
    buf_append_char(&all, ']');
    return !buf_failed(&all) && arena_slice(c->query->arena, buf_slice(&all), &c->dml->creation)
               ? ERR_OK
               : errinfo_nomem(c->info);
}

static enum err make_replacement(struct creator *c)
{
    struct buf document CLEANUP(buf_fini) = {0};
    struct iceberg_metadata *metadata = arena_calloc(c->query->arena, 1, sizeof(*metadata));
    struct iceberg_update update = {.location = c->replaced->location,
                                    .now_ms = clock_wall_us() / 1000};
    if (metadata == NULL) {
        return errinfo_nomem(c->info);
    }
    TRY(evolve(c));
    TRY(print_replacement(c));
    TRY(read_document(c, &update.document));
    update.requirements = c->dml->required;
    update.updates = c->dml->creation;
    TRY(iceberg_update_apply(&update, &document, c->info));
    TRY(iceberg_metadata_parse(buf_slice(&document), c->query->arena, metadata, c->info));
    return dml_use(c->dml, metadata, c->info);
}

static enum err define(struct creator *c)
{
    TRY(read_properties(c));
    if (c->statement->has_source) {
        TRY(like(c));
        TRY(choose_place(c));
        return make_metadata(c);
    }
    TRY(c->statement->query.len > 0 ? of_query(c) : declared(c));
    number_columns(c);
    if (c->replaced != NULL) {
        return make_replacement(c);
    }
    TRY(read_partitions(c));
    TRY(read_sorts(c));
    TRY(choose_place(c));
    return make_metadata(c);
}

static enum err create(struct creator *c)
{
    struct dml *dml = c->dml;
    struct query *query = c->query;
    TRY(define(c));
    if (c->statement->query.len == 0) {
        TRY(query_move(query, QUERY_SECURED, c->info));
        return dml_commit_creation(dml, c->info);
    }
    struct buf text CLEANUP(buf_fini) = {0};
    TRY(dml_print_select(dml, c->statement->query, c->column_count, c->from, &text, c->info));
    TRY(dml_write(dml, buf_slice(&text), c->info));
    TRY(dml->added_count > 0 ? dml_commit(dml, "append", false, c->info)
                             : dml_commit_creation(dml, c->info));
    char *tag = arena_printf(query->arena, "SELECT %llu", (unsigned long long)dml->rows);
    query->tag = tag == NULL ? query->tag : tag;
    return tag == NULL ? errinfo_nomem(c->info) : ERR_OK;
}

static enum err no_place(struct query *query, const struct statement *statement,
                         struct errinfo *info)
{
    struct slice catalog = statement->name.catalog;
    if (catalog.len > 0 && !slice_equal_fold(catalog, SLICE(SQL_CATALOG_DEFAULT)) &&
        resolve_is_admin(query->session->who)) { /* who would know of it */
        enum err err = resolve_no_catalog(query->session, query->session->who, catalog, info);
        errinfo_position(info, statement_position(query->statement, catalog));
        return err;
    }
    (void)errinfo_set(
        info, ERR_UNSUPPORTED, NULL,
        "CREATE TABLE without EXTERNAL needs a catalog of tables that you administer");
    errinfo_hint(
        info,
        "Name a table of an attached iceberg_rest, iceberg_hive, iceberg_glue, iceberg_local or "
        "iceberg_hadoop catalog (catalog.namespace.table), or use CREATE VIEW ... AS, CREATE "
        "EXTERNAL TABLE ... LOCATION 'files', or CREATE TEMP TABLE. In dbt: +materialized: "
        "view.");
    errinfo_position(info, statement_position(query->statement, statement->name.name));
    return ERR_UNSUPPORTED;
}

static enum err refuse_constraint(struct query *query, const struct statement *statement,
                                  struct errinfo *info)
{
    (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                      "columns of a lake's table take NOT NULL, DEFAULT and COMMENT only");
    errinfo_hint(info, "Iceberg keeps no keys or checks; ALTER TABLE ... SET IDENTIFIER FIELDS "
                       "says which columns tell rows apart.");
    errinfo_position(info, statement_position(query->statement, statement->constraint));
    return ERR_UNSUPPORTED;
}

static bool is_there(struct query *query, const struct attached *attached, const struct dml *dml)
{
    struct catalog_iceberg_table table;
    struct errinfo ignored;
    return catalog_iceberg_load(&attached->catalog, query->session->who, dml->ns, dml->name,
                                query->arena, &table, &ignored) == ERR_OK;
}

/* For who may write the table that is there. */
static enum err open_replaced(struct creator *c)
{
    struct ddl *ddl = arena_calloc(c->query->arena, 1, sizeof(*ddl));
    if (ddl == NULL) {
        return errinfo_nomem(c->info);
    }
    if (c->statement->has_source) {
        return errinfo_set(c->info, ERR_UNSUPPORTED, NULL,
                           "CREATE OR REPLACE TABLE ... LIKE is not there; name the columns");
    }
    c->replaced = ddl;
    TRY(ddl_open(c->query, &c->statement->name, ddl, c->info));
    c->dml->ns = ddl->ns;
    c->dml->name = ddl->name;
    return ERR_OK;
}

enum err dml_create(struct query *query, const struct statement *statement, struct errinfo *info)
{
    const struct attached *attached;
    struct dml *dml = arena_calloc(query->arena, 1, sizeof(*dml));
    struct creator c = {.query = query, .statement = statement, .dml = dml, .info = info};
    if (dml == NULL) {
        return errinfo_nomem(info);
    }
    TRY(run_lake_target(query, &statement->name, &attached, info));
    if (attached == NULL) {
        return no_place(query, statement, info);
    }
    if (statement->constraint.len > 0) {
        return refuse_constraint(query, statement, info);
    }
    enum err err = dml_open_new(query, attached, &statement->name, dml, info);
    bool is_old = err == ERR_OK && is_there(query, attached, dml);
    if (is_old && statement->or_replace) {
        err = open_replaced(&c);
    } else if (is_old) {
        err = errinfo_set(info, ERR_EXISTS, "42P07", "\"%.*s\" already exists",
                          SLICE_ARGS(statement->name.name));
    }
    if (err == ERR_OK) {
        err = create(&c);
    }
    dml_close(dml);
    if (c.replaced != NULL) {
        ddl_close(c.replaced);
    }
    if (err == ERR_EXISTS && statement->if_not_exists) {
        (void)snprintf(query->notice, sizeof(query->notice), "it exists already");
        return ERR_OK;
    }
    return err;
}
