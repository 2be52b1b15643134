/* CREATE TABLE of an attached catalog, empty or AS a query: the table and its first snapshot are
 * one commit, so nobody meets it half made. */
#include "query/dml_int.h"

#include "base/clock.h"
#include "base/hash.h"
#include "lake/schema.h"
#include "query/policy_int.h"
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
    c->creation.format_version = FORMAT_VERSION_DEFAULT;
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
    TRY(run_declared_types(c->query, c->statement, &found, &count, c->info));
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
        if (is_named && statement->types[i].len > 0) {
            return errinfo_set(c->info, ERR_SYNTAX, NULL,
                               "the columns of CREATE TABLE AS have the types of its query");
        }
        c->from[i] = i;
        TRY(set_column(c, i, is_named ? statement->columns[i] : found[i].name, found[i].type));
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

/* The words of Spark, Trino and the specification. */
static const struct {
    const char *word;
    const char *transform; /* printed with the width where it has one */
    const char *suffix;    /* of the field's name */
    bool has_width;
} transforms[] = {
    {"", "identity", "", false},           {"identity", "identity", "", false},
    {"bucket", "bucket", "_bucket", true}, {"truncate", "truncate", "_trunc", true},
    {"year", "year", "_year", false},      {"years", "year", "_year", false},
    {"month", "month", "_month", false},   {"months", "month", "_month", false},
    {"day", "day", "_day", false},         {"days", "day", "_day", false},
    {"date", "day", "_day", false},        {"hour", "hour", "_hour", false},
    {"hours", "hour", "_hour", false},     {"void", "void", "_null", false},
};

static enum err find_transform(struct creator *c, const struct statement_transform *item,
                               size_t *ret_index)
{
    for (size_t i = 0; i < ARRAY_COUNT(transforms); i++) {
        if (slice_equal_fold(item->function, slice_of(transforms[i].word)) &&
            transforms[i].has_width == (item->width > 0)) {
            *ret_index = i;
            return ERR_OK;
        }
    }
    (void)errinfo_set(c->info, ERR_INVALID, "22023", "\"%.*s\" is no partition transform",
                      SLICE_ARGS(item->function));
    errinfo_hint(c->info, "There are bucket(n, column), truncate(n, column), year(column), "
                          "month(column), day(column), hour(column), void(column), and the column "
                          "itself.");
    return ERR_INVALID;
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

static enum err set_partition(struct creator *c, const struct statement_transform *item,
                              struct iceberg_partition_field *out)
{
    size_t index;
    struct iceberg_type type;
    TRY(find_transform(c, item, &index));
    const struct iceberg_field *source = find_source(c, item->column);
    if (source == NULL) {
        return errinfo_set(c->info, ERR_NOT_FOUND, "42703", "column \"%.*s\" does not exist",
                           SLICE_ARGS(item->column));
    }
    int32_t *ids = arena_calloc(c->query->arena, 1, sizeof(*ids));
    char *name = arena_printf(c->query->arena, "%.*s%s", (int)item->column.len, item->column.ptr,
                              transforms[index].suffix);
    char *text = item->width > 0 ? arena_printf(c->query->arena, "%s[%u]",
                                                transforms[index].transform, item->width)
                                 : arena_strdup(c->query->arena, transforms[index].transform);
    if (ids == NULL || name == NULL || text == NULL) {
        return errinfo_nomem(c->info);
    }
    ids[0] = source->id;
    out->source_ids = ids;
    out->source_count = 1;
    out->name = slice_of(name);
    TRY(iceberg_transform_parse(slice_of(text), &out->transform, c->info));
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

static enum err define(struct creator *c)
{
    TRY(read_properties(c));
    TRY(c->statement->query.len > 0 ? of_query(c) : declared(c));
    number_columns(c);
    TRY(read_partitions(c));
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
    (void)errinfo_set(
        info, ERR_UNSUPPORTED, NULL,
        "CREATE TABLE without EXTERNAL needs a catalog of tables that you administer");
    errinfo_hint(
        info, "Name a table of an attached iceberg_rest, iceberg_local or iceberg_hadoop catalog "
              "(catalog.namespace.table), or use CREATE VIEW ... AS, CREATE EXTERNAL TABLE "
              "... LOCATION 'files', or CREATE TEMP TABLE. In dbt: +materialized: view.");
    errinfo_position(info, statement_position(query->statement, statement->name.name));
    return ERR_UNSUPPORTED;
}

static bool is_there(struct query *query, const struct attached *attached, const struct dml *dml)
{
    struct catalog_iceberg_table table;
    struct errinfo ignored;
    return catalog_iceberg_load(&attached->catalog, query->session->who, dml->ns, dml->name,
                                query->arena, &table, &ignored) == ERR_OK;
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
    if (statement->or_replace) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                           "CREATE OR REPLACE TABLE is not there for tables of a lake");
    }
    enum err err = dml_open_new(query, attached, &statement->name, dml, info);
    if (err == ERR_OK && is_there(query, attached, dml)) {
        err = errinfo_set(info, ERR_EXISTS, "42P07", "\"%.*s\" already exists",
                          SLICE_ARGS(statement->name.name));
    }
    if (err == ERR_OK) {
        err = create(&c);
    }
    dml_close(dml);
    if (err == ERR_EXISTS && statement->if_not_exists) {
        (void)snprintf(query->notice, sizeof(query->notice), "it exists already");
        return ERR_OK;
    }
    return err;
}
