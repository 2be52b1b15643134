/* The system relations: their names, shapes and identities in one table. */
#include "catalog/pg_int.h"

#define COLUMNS(array) array, ARRAY_COUNT(array)

static const struct system_column tables_columns[] = {
    {"schema", "VARCHAR"}, {"name", "VARCHAR"},    {"kind", "VARCHAR"}, {"format", "VARCHAR"},
    {"owner", "VARCHAR"},  {"comment", "VARCHAR"}, {"uuid", "VARCHAR"}, {"catalog", "VARCHAR"}};

static const struct system_column columns_columns[] = {
    {"schema", "VARCHAR"}, {"table_name", "VARCHAR"}, {"position", "INTEGER"}, {"name", "VARCHAR"},
    {"type", "VARCHAR"},   {"catalog", "VARCHAR"},    {"comment", "VARCHAR"}};

static const struct system_column schemas_columns[] = {
    {"name", "VARCHAR"}, {"owner", "VARCHAR"}, {"catalog", "VARCHAR"}};

static const struct system_column catalogs_columns[] = {{"name", "VARCHAR"},
                                                        {"type", "VARCHAR"},
                                                        {"location", "VARCHAR"},
                                                        {"options", "MAP(VARCHAR, VARCHAR)"},
                                                        {"owner", "VARCHAR"}};

static const struct system_column settings_columns[] = {
    {"name", "VARCHAR"}, {"value", "VARCHAR"}, {"source", "VARCHAR"}};

static const struct system_column functions_columns[] = {{"name", "VARCHAR"}, {"class", "VARCHAR"}};

static const struct system_column roles_columns[] = {{"name", "VARCHAR"}};

static const struct system_column attributes_columns[] = {{"name", "VARCHAR"},
                                                          {"value", "VARCHAR"}};

static const struct system_column users_columns[] = {{"name", "VARCHAR"},
                                                     {"is_owner", "BOOLEAN"},
                                                     {"has_password", "BOOLEAN"},
                                                     {"attributes", "MAP(VARCHAR, VARCHAR)"}};

static const struct system_column members_columns[] = {
    {"role", "VARCHAR"}, {"member", "VARCHAR"}, {"member_is_role", "BOOLEAN"}};

static const struct system_column grants_columns[] = {
    {"id", "UBIGINT"},           {"effect", "VARCHAR"},
    {"privileges", "VARCHAR[]"}, {"grantee_kind", "VARCHAR"},
    {"grantee", "VARCHAR"},      {"object", "VARCHAR"},
    {"object_uuid", "VARCHAR"},  {"columns", "VARCHAR[]"},
    {"has_rows", "BOOLEAN"},     {"masked", "VARCHAR[]"},
    {"grantor", "VARCHAR"},      {"created_at", "TIMESTAMP WITH TIME ZONE"}};

static const struct system_column sessions_columns[] = {
    {"pid", "INTEGER"},
    {"user", "VARCHAR"},
    {"provider", "VARCHAR"},
    {"client", "VARCHAR"},
    {"application_name", "VARCHAR"},
    {"protocol", "VARCHAR"},
    {"connected_at", "TIMESTAMP WITH TIME ZONE"},
    {"state", "VARCHAR"},
    {"state_since", "TIMESTAMP WITH TIME ZONE"},
    {"query_id", "VARCHAR"},
    {"statement", "VARCHAR"},
    {"started_at", "TIMESTAMP WITH TIME ZONE"},
    {"rows_out", "UBIGINT"},
    {"is_self", "BOOLEAN"},
};

static const struct system_column running_columns[] = {
    {"query_id", "VARCHAR"}, {"user", "VARCHAR"},      {"state", "VARCHAR"},
    {"command", "VARCHAR"},  {"statement", "VARCHAR"}, {"started_at", "TIMESTAMP WITH TIME ZONE"},
    {"rows_out", "UBIGINT"}, {"progress", "DOUBLE"},   {"pid", "INTEGER"},
    {"provider", "VARCHAR"}, {"client", "VARCHAR"},    {"application_name", "VARCHAR"},
    {"protocol", "VARCHAR"},
};

#define TABLES_TYPE                                                                                \
    "STRUCT(\"name\" VARCHAR, uuid VARCHAR, \"columns\" VARCHAR[], grants UBIGINT[], "             \
    "files UBIGINT, bytes_read UBIGINT, via_view VARCHAR, as_definer VARCHAR, "                    \
    "via_policy VARCHAR, snapshot_id BIGINT, version VARCHAR)[]"

static const struct system_column audit_columns[] = {
    {"seq", "UBIGINT"},
    {"time", "TIMESTAMP WITH TIME ZONE"},
    {"kind", "VARCHAR"},
    {"query_id", "VARCHAR"},
    {"user", "VARCHAR"},
    {"actor", "VARCHAR"},
    {"provider", "VARCHAR"},
    {"client", "VARCHAR"},
    {"session", "VARCHAR"},
    {"api_key", "VARCHAR"},
    {"reason", "VARCHAR"},
    {"command", "VARCHAR"},
    {"statement", "VARCHAR"},
    {"statement_bytes", "UBIGINT"},
    {"fingerprint", "VARCHAR"},
    {"tables", TABLES_TYPE},
    {"state", "VARCHAR"},
    {"sqlstate", "VARCHAR"},
    {"rows_out", "UBIGINT"},
    {"bytes_out", "UBIGINT"},
    {"durations_us", "MAP(VARCHAR, BIGINT)"},
    {"duration_us", "BIGINT"},
    {"prev", "VARCHAR"},
    {"hash", "VARCHAR"},
};

static const struct system_column queries_columns[] = {
    {"query_id", "VARCHAR"},    {"finished_at", "TIMESTAMP WITH TIME ZONE"},
    {"user", "VARCHAR"},        {"actor", "VARCHAR"},
    {"client", "VARCHAR"},      {"session", "VARCHAR"},
    {"command", "VARCHAR"},     {"statement", "VARCHAR"},
    {"fingerprint", "VARCHAR"}, {"tables", TABLES_TYPE},
    {"state", "VARCHAR"},       {"sqlstate", "VARCHAR"},
    {"rows_out", "UBIGINT"},    {"bytes_out", "UBIGINT"},
    {"duration_us", "BIGINT"},  {"durations_us", "MAP(VARCHAR, BIGINT)"},
};

/* One row a finished statement. It runs with the owner's rights, so that moat_system.queries can be
 * granted without the whole trail. */
#define QUERIES_SQL                                                                                \
    "SELECT query_id, \"time\" AS finished_at, \"user\", actor, client, session, command, "        \
    "statement, fingerprint, \"tables\", state, sqlstate, rows_out, bytes_out, duration_us, "      \
    "durations_us FROM moat.moat_system.audit WHERE kind IN ('query_end', 'denied')"

/* RFC 9562 version 8 (our own meaning): never equal to a uuid that the store makes (version 7). */
#define ID(n) "6d6f6174-0000-8000-8000-0000000000" n

/* Sorted by nothing but age: SHOW sorts. */
const struct system_shape catalog__shapes[] = {
    {SQL_SCHEMA_SYSTEM, "tables", ID("11"), false, COLUMNS(tables_columns), catalog__rows_tables,
     NULL},
    {SQL_SCHEMA_SYSTEM, "columns", ID("12"), false, COLUMNS(columns_columns), catalog__rows_columns,
     NULL},
    {SQL_SCHEMA_SYSTEM, "schemas", ID("13"), false, COLUMNS(schemas_columns), catalog__rows_schemas,
     NULL},
    {SQL_SCHEMA_SYSTEM, "settings", ID("14"), false, COLUMNS(settings_columns),
     catalog__rows_settings, NULL},
    {SQL_SCHEMA_SYSTEM, "functions", ID("15"), false, COLUMNS(functions_columns),
     catalog__rows_functions, NULL},
    {SQL_SCHEMA_SYSTEM, "roles", ID("16"), false, COLUMNS(roles_columns), catalog__rows_roles,
     NULL},
    {SQL_SCHEMA_SYSTEM, "attributes", ID("17"), false, COLUMNS(attributes_columns),
     catalog__rows_attributes, NULL},
    {SQL_SCHEMA_SYSTEM, "sessions", ID("18"), false, COLUMNS(sessions_columns),
     catalog__rows_sessions, NULL},
    {SQL_SCHEMA_SYSTEM, "running_queries", ID("19"), false, COLUMNS(running_columns),
     catalog__rows_running, NULL},
    {SQL_SCHEMA_SYSTEM, "users", ID("21"), true, COLUMNS(users_columns), catalog__rows_users, NULL},
    {SQL_SCHEMA_SYSTEM, "members", ID("22"), true, COLUMNS(members_columns), catalog__rows_members,
     NULL},
    {SQL_SCHEMA_SYSTEM, "grants", ID("23"), true, COLUMNS(grants_columns), catalog__rows_grants,
     NULL},
    {SQL_SCHEMA_SYSTEM, "audit", ID("24"), true, COLUMNS(audit_columns), NULL, NULL},
    {SQL_SCHEMA_SYSTEM, "catalogs", ID("26"), true, COLUMNS(catalogs_columns),
     catalog__rows_catalogs, NULL},
    {SQL_SCHEMA_SYSTEM, "queries", ID("25"), true, COLUMNS(queries_columns), NULL, QUERIES_SQL},
};
const size_t catalog__shape_count = ARRAY_COUNT(catalog__shapes);

static struct sql_name shape_names[ARRAY_COUNT(catalog__shapes)];

/* Once, before any thread: names are then read only. */
__attribute__((constructor)) static void fill_names(void)
{
    for (size_t i = 0; i < ARRAY_COUNT(catalog__shapes); i++) {
        shape_names[i] =
            (struct sql_name){SLICE(SQL_CATALOG_DEFAULT), slice_of(catalog__shapes[i].schema),
                              slice_of(catalog__shapes[i].name)};
    }
}

static const struct system_shape *find_shape(const struct sql_name *name)
{
    for (size_t i = 0; i < ARRAY_COUNT(catalog__shapes); i++) {
        if (slice_equal_fold(name->schema, shape_names[i].schema) &&
            slice_equal_fold(name->name, shape_names[i].name) &&
            (name->catalog.len == 0 ||
             slice_equal_fold(name->catalog, SLICE(SQL_CATALOG_DEFAULT)))) {
            return &catalog__shapes[i];
        }
    }
    return NULL;
}

bool catalog_system_find(const struct sql_name *name, bool *ret_needs_grant)
{
    const struct system_shape *shape = find_shape(name);
    if (shape == NULL) {
        *ret_needs_grant = false;
        return catalog__pg_relation_find(name) != NULL;
    }
    *ret_needs_grant = shape->needs_grant;
    return true;
}

const struct sql_name *catalog_system_at(size_t index)
{
    return index < ARRAY_COUNT(shape_names) ? &shape_names[index] : NULL;
}

static enum err fill_columns(const struct system_shape *shape, struct arena *arena,
                             struct relation *relation, struct errinfo *info)
{
    struct relation_column *columns = arena_calloc(arena, shape->column_count, sizeof(*columns));
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < shape->column_count; i++) {
        struct slice name = slice_of(shape->columns[i].name);
        columns[i] =
            (struct relation_column){(uint32_t)i + 1, name, name, slice_of(shape->columns[i].type)};
    }
    relation->columns = columns;
    relation->column_count = shape->column_count;
    return ERR_OK;
}

/* How much of the newest file is whole lines: another process may be in the middle of one. */
static enum err whole_lines(const struct identity *who, struct storage_entry *entry,
                            struct arena *arena, struct errinfo *info)
{
    enum {
        CHUNK_BYTES = 64 << 10
    };
    struct storage_object *object CLEANUP(storage_cleanup) = NULL;
    char *chunk = arena_alloc(arena, CHUNK_BYTES);
    if (chunk == NULL) {
        return errinfo_nomem(info);
    }
    TRY(storage_open(who, entry, &object, info));
    while (entry->size_bytes > 0) {
        size_t len = entry->size_bytes < CHUNK_BYTES ? (size_t)entry->size_bytes : CHUNK_BYTES;
        TRY(storage_read(object, entry->size_bytes - len, chunk, len, info));
        const char *newline = memrchr(chunk, '\n', len);
        if (newline != NULL) {
            entry->size_bytes -= len - (size_t)(newline - chunk) - 1;
            break;
        }
        entry->size_bytes -= len;
    }
    return ERR_OK;
}

/* The trail's own files. The newest grows, also by the query that reads it: its present whole lines
 * are read (an object without etag, see storage.h). */
static enum err audit_objects(const struct catalog_system_input *input, struct arena *arena,
                              struct relation *relation, struct errinfo *info)
{
    struct relation_object *objects =
        arena_calloc(arena, input->audit_path_count + 1, sizeof(*objects));
    size_t count = 0;
    if (objects == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < input->audit_path_count; i++) {
        struct storage_entry entry;
        TRY(storage_stat(input->who, input->audit_paths[i], arena, &entry, info));
        if (i + 1 == input->audit_path_count) {
            entry.etag = (struct slice){0};
            TRY(whole_lines(input->who, &entry, arena, info));
        }
        if (entry.size_bytes > 0) {
            objects[count++] = (struct relation_object){
                .location = entry.location, .size_bytes = entry.size_bytes, .etag = entry.etag};
        }
    }
    if (count == 0) {
        objects[count++] = (struct relation_object){.bytes = SLICE(""), .is_bytes = true};
    }
    relation->objects = objects;
    relation->object_count = count;
    return ERR_OK;
}

static enum err made_object(const struct system_shape *shape,
                            const struct catalog_system_input *input, struct arena *arena,
                            struct relation *relation, struct errinfo *info)
{
    struct buf rows CLEANUP(buf_fini) = {0};
    TRY(shape->rows(input, arena, &rows, info));
    struct relation_object *object = arena_calloc(arena, 1, sizeof(*object));
    if (buf_failed(&rows) || object == NULL ||
        !arena_slice(arena, buf_slice(&rows), &object->bytes)) {
        return errinfo_nomem(info);
    }
    object->is_bytes = true;
    object->size_bytes = object->bytes.len;
    relation->objects = object;
    relation->object_count = 1;
    return ERR_OK;
}

static const struct relation_option line_options[] = {{{"format", 6}, {"'newline_delimited'", 19}}};

enum err catalog_system_load(const struct sql_name *name, const struct catalog_system_input *input,
                             struct arena *arena, struct relation *ret_relation,
                             struct errinfo *info)
{
    const struct system_shape *shape = find_shape(name);
    const struct pg_relation *pg = shape == NULL ? catalog__pg_relation_find(name) : NULL;
    if (pg != NULL) {
        return catalog__pg_relation_load(pg, input, arena, ret_relation, info);
    }
    if (shape == NULL) {
        return errinfo_set(info, ERR_NOT_FOUND, "42P01", "table \"%.*s.%.*s\" does not exist",
                           SLICE_ARGS(name->schema), SLICE_ARGS(name->name));
    }
    struct relation relation = {.kind = shape->view_sql != NULL ? RELATION_VIEW : RELATION_SYSTEM,
                                .name = shape_names[shape - catalog__shapes],
                                .uuid = slice_of(shape->uuid),
                                .version = 1,
                                .format = FORMAT_JSON};
    TRY(fill_columns(shape, arena, &relation, info));
    if (input != NULL) {
        ASSERT(input->who != NULL && input->system != NULL);
        relation.owner = system_owner(input->system);
    }
    if (shape->view_sql != NULL) {
        relation.view_sql = slice_of(shape->view_sql);
        relation.is_definer = true;
    } else {
        relation.options = line_options;
        relation.option_count = ARRAY_COUNT(line_options);
    }
    if (input != NULL && shape->rows != NULL) {
        TRY(made_object(shape, input, arena, &relation, info));
    } else if (input != NULL && shape->view_sql == NULL) {
        TRY(audit_objects(input, arena, &relation, info));
    }
    *ret_relation = relation;
    return ERR_OK;
}
