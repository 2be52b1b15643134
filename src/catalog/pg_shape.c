/* The relations of pg_catalog and information_schema: columns as PostgreSQL 15 has them, in its
 * order. Rows hold what differs from row to row; what is the same in all is a constant of the
 * query that reads them, so that a large catalog costs what its names cost. */
#include "catalog/pg_int.h"

static const struct pg_column columns[] = {
#define PG_COLUMN(name_, type_, required_) {(name_), (type_), (required_)},
#include "catalog/pg_columns.def"
};

static const struct pg_relation relations[] = {
#define PG_RELATION(schema_, name_, uuid_, oid_, kind_, first_, count_)                            \
    {(schema_), (name_), (uuid_), (oid_), (kind_), (first_), (count_)},
#include "catalog/pg_relations.def"
};

/* Read by what functions are rewritten to; nobody can write their names. */
static const struct pg_column helper_columns[] = {
    {"__moat_oid", "oid", true},       {"__moat_name", "text", true},
    {"__moat_full", "text", true},     {"__moat_is_visible", "bool", true},
    {"__moat_comment", "text", false}, {"__moat_definition", "text", false},
    {"__moat_writes", "text", true},   {"__moat_oid", "oid", true},
    {"__moat_key", "text", true},      {"__moat_oid", "oid", true},
    {"__moat_number", "int4", true},   {"__moat_comment", "text", false},
    {"__moat_name", "text", true},     {"__moat_oid", "oid", true},
    {"__moat_name", "text", true},     {"__moat_key", "text", true},
    {"__moat_name", "text", true},     {"__moat_value", "text", true},
    {"__moat_pid", "int4", true},
};
static const struct pg_relation helpers[] = {
    {SQL_SCHEMA_PG, "__moat_relation", "6d6f6174-0002-8000-8000-000000000001", 0, 'r', 0, 7},
    {SQL_SCHEMA_PG, "__moat_relation_key", "6d6f6174-0002-8000-8000-000000000002", 0, 'r', 7, 2},
    {SQL_SCHEMA_PG, "__moat_column", "6d6f6174-0002-8000-8000-000000000003", 0, 'r', 9, 4},
    {SQL_SCHEMA_PG, "__moat_role", "6d6f6174-0002-8000-8000-000000000004", 0, 'r', 13, 3},
    {SQL_SCHEMA_PG, "__moat_type", "6d6f6174-0002-8000-8000-000000000005", 0, 'r', 13, 3},
    {SQL_SCHEMA_PG, "__moat_schema", "6d6f6174-0002-8000-8000-000000000006", 0, 'r', 13, 3},
    {SQL_SCHEMA_PG, "__moat_proc", "6d6f6174-0002-8000-8000-000000000007", 0, 'r', 13, 3},
    {SQL_SCHEMA_PG, "__moat_setting", "6d6f6174-0002-8000-8000-000000000008", 0, 'r', 16, 2},
    {SQL_SCHEMA_PG, "__moat_self", "6d6f6174-0002-8000-8000-000000000009", 0, 'r', 18, 1},
};

const struct pg_relation *catalog__pg_relation_at(size_t index)
{
    return index < ARRAY_COUNT(relations) ? &relations[index] : NULL;
}

const struct pg_column *catalog__pg_column_of(const struct pg_relation *relation, size_t index)
{
    bool is_helper = relation >= helpers && relation < helpers + ARRAY_COUNT(helpers);
    return &(is_helper ? helper_columns : columns)[relation->column_first + index];
}

static const struct pg_relation *find(const struct pg_relation *among, size_t count,
                                      const struct sql_name *name)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal_fold(slice_of(among[i].name), name->name) &&
            slice_equal_fold(slice_of(among[i].schema), name->schema)) {
            return &among[i];
        }
    }
    return NULL;
}

const struct pg_relation *catalog__pg_relation_find(const struct sql_name *name)
{
    if (name->catalog.len > 0 && !slice_equal_fold(name->catalog, SLICE(SQL_CATALOG_DEFAULT))) {
        return NULL;
    }
    const struct pg_relation *found = find(relations, ARRAY_COUNT(relations), name);
    return found != NULL ? found : find(helpers, ARRAY_COUNT(helpers), name);
}

/* Rows of them come from one of these lists, or there are none. */
static const struct pg_source *find_source(const struct pg_relation *relation)
{
    const struct {
        const struct pg_source *sources;
        size_t count;
    } lists[] = {{catalog__pg_sources, catalog__pg_source_count},
                 {catalog__pg_information_sources, catalog__pg_information_source_count},
                 {catalog__pg_helper_sources, catalog__pg_helper_source_count}};
    for (size_t l = 0; l < ARRAY_COUNT(lists); l++) {
        for (size_t i = 0; i < lists[l].count; i++) {
            const struct pg_source *source = &lists[l].sources[i];
            if (strcmp(source->name, relation->name) == 0 &&
                strcmp(source->schema, relation->schema) == 0) {
                return source;
            }
        }
    }
    return NULL;
}

bool catalog_system_is_empty(const struct sql_name *name)
{
    const struct pg_relation *relation = catalog__pg_relation_find(name);
    return relation != NULL && find_source(relation) == NULL;
}

/* The engine's type for one of PostgreSQL's that a catalog has. */
static const char *engine_type(const char *type)
{
    static const char *const pairs[][2] = {{"oid", "UINTEGER"},
                                           {"xid", "BIGINT"},
                                           {"regproc", "BIGINT"},
                                           {"regtype", "BIGINT"},
                                           {"int8", "BIGINT"},
                                           {"int4", "INTEGER"},
                                           {"int2", "SMALLINT"},
                                           {"bool", "BOOLEAN"},
                                           {"float4", "FLOAT"},
                                           {"float8", "DOUBLE"},
                                           {"bytea", "BLOB"},
                                           {"interval", "INTERVAL"},
                                           {"numeric", "DECIMAL(38,9)"},
                                           {"timestamptz", "TIMESTAMP WITH TIME ZONE"},
                                           {"int2vector", "SMALLINT[]"},
                                           {"oidvector", "UINTEGER[]"},
                                           {"_int2", "SMALLINT[]"},
                                           {"_oid", "UINTEGER[]"},
                                           {"_regtype", "BIGINT[]"},
                                           {"_bool", "BOOLEAN[]"},
                                           {"_float4", "FLOAT[]"},
                                           {"_float8", "DOUBLE[]"},
                                           {"_text", "VARCHAR[]"},
                                           {"_name", "VARCHAR[]"},
                                           {"_char", "VARCHAR[]"},
                                           {"_aclitem", "VARCHAR[]"},
                                           {"anyarray", "VARCHAR[]"},
                                           {"_pg_statistic", "VARCHAR[]"}};
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        if (strcmp(pairs[i][0], type) == 0) {
            return pairs[i][1];
        }
    }
    return "VARCHAR"; /* text, name, "char", inet and what is printed as text */
}

/* What a column has that no row says: nothing, or what stands for it where it cannot be NULL. */
static const char *constant_of(const struct pg_source *source, const struct pg_column *column,
                               const char *type)
{
    for (const char *const *pair = source == NULL ? NULL : source->constants;
         pair != NULL && *pair != NULL; pair += 2) {
        if (strcmp(pair[0], column->name) == 0) {
            return pair[1];
        }
    }
    if (!column->is_required) {
        return "NULL";
    }
    return strcmp(type, "VARCHAR") == 0                   ? "''"
           : strcmp(type, "BOOLEAN") == 0                 ? "false"
           : slice_ends_with(slice_of(type), SLICE("[]")) ? "[]"
           : strcmp(type, "BLOB") == 0                    ? "''"
                                                          : "0";
}

static bool has_column(const struct pg_source *source, const char *name)
{
    size_t len = strlen(name);
    const char *at = source == NULL ? NULL : strstr(source->columns, name);
    while (at != NULL && (at[len] != ' ' || (at != source->columns && at[-1] != ' '))) {
        at = strstr(at + 1, name);
    }
    return at != NULL;
}

static enum err fill_columns(const struct pg_relation *shape, const struct pg_source *source,
                             struct arena *arena, struct relation *relation, struct errinfo *info)
{
    struct relation_column *made = arena_calloc(arena, shape->column_count, sizeof(*made));
    if (made == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < shape->column_count; i++) {
        const struct pg_column *column = catalog__pg_column_of(shape, i);
        const char *type = engine_type(column->type);
        struct slice name = slice_of(column->name);
        made[i] = (struct relation_column){(uint32_t)i + 1, name, name, slice_of(type)};
        if (has_column(source, column->name)) {
            continue;
        }
        char *text =
            arena_printf(arena, "=CAST(%s AS %s)", constant_of(source, column, type), type);
        if (text == NULL) {
            return errinfo_nomem(info);
        }
        made[i].source = slice_of(text);
    }
    relation->columns = made;
    relation->column_count = shape->column_count;
    return ERR_OK;
}

static enum err fill_rows(const struct pg_source *source, const struct catalog_system_input *input,
                          struct arena *arena, struct relation *relation, struct errinfo *info)
{
    struct buf rows CLEANUP(buf_fini) = {0};
    TRY(source->rows(input, arena, &rows, info));
    struct relation_object *object = arena_calloc(arena, 1, sizeof(*object));
    if (buf_failed(&rows) || object == NULL ||
        !arena_slice(arena, buf_slice(&rows), &object->bytes)) {
        return errinfo_nomem(info);
    }
    object->is_bytes = true;
    object->size_bytes = object->bytes.len;
    relation->objects = object;
    relation->object_count = rows.len > 0 ? 1 : 0;
    return ERR_OK;
}

enum err catalog__pg_relation_load(const struct pg_relation *shape,
                                   const struct catalog_system_input *input, struct arena *arena,
                                   struct relation *ret_relation, struct errinfo *info)
{
    static const struct relation_option line_options[] = {
        {{"format", 6}, {"'newline_delimited'", 19}}};
    const struct pg_source *source = find_source(shape);
    struct relation relation = {
        .kind = RELATION_SYSTEM,
        .name = {SLICE(SQL_CATALOG_DEFAULT), slice_of(shape->schema), slice_of(shape->name)},
        .uuid = slice_of(shape->uuid),
        .version = 1,
        .format = FORMAT_JSON,
        .options = line_options,
        .option_count = ARRAY_COUNT(line_options)};
    TRY(fill_columns(shape, source, arena, &relation, info));
    if (input != NULL) {
        ASSERT(source == NULL || (input->who != NULL && input->system != NULL));
        relation.owner = source == NULL ? SLICE("") : system_owner(input->system);
        TRY(source == NULL ? ERR_OK : fill_rows(source, input, arena, &relation, info));
    }
    *ret_relation = relation;
    return ERR_OK;
}
