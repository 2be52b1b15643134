/* CREATE, DROP and ALTER of schemas, tables and views; users and roles. */
#include "base/mem.h"
#include "query/plan/policy_int.h"
#include "query/ddl/ddl_int.h"
#include "sql/scan.h"

#define TABLE_COLUMNS_MAX 10000

/* What only Moat's own catalog holds. */
static enum err check_own(struct query *query, const struct sql_name *written, struct errinfo *info)
{
    const struct attached *attached;
    TRY(run_lake_target(query, written, &attached, info));
    if (attached == NULL) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_UNSUPPORTED, NULL, "catalog \"%.*s\" takes no new views",
                      SLICE_ARGS(attached->catalog.name));
    errinfo_hint(info, "Views and registered files live in catalog \"" SQL_CATALOG_DEFAULT "\": "
                       "name it, or USE " SQL_CATALOG_DEFAULT ".");
    errinfo_position(info, statement_position(query->statement, written->name));
    return ERR_UNSUPPORTED;
}

/* Completes the object's name for the store: catalog and schema given. */
enum err run_object_name(struct query *query, const struct sql_name *written,
                         struct sql_name *ret_name, struct errinfo *info)
{
    TRY(session_refuse_temp(query->session, written, query->tag, info));
    TRY(check_own(query, written, info));
    enum err err = catalog_qualify(written, slice_of(query->session->default_schema), query->arena,
                                   ret_name, info);
    bool needs_grant;
    if (err == ERR_OK && (catalog_system_find(ret_name, &needs_grant) ||
                          slice_equal_fold(ret_name->schema, SLICE(SQL_SCHEMA_SYSTEM)) ||
                          slice_equal_fold(ret_name->schema, SLICE(SQL_SCHEMA_INFORMATION)))) {
        err = errinfo_set(info, ERR_DENIED, NULL, "schema \"%.*s\" belongs to Moat",
                          SLICE_ARGS(ret_name->schema));
    }
    if (err != ERR_OK) {
        errinfo_position(info, statement_position(query->statement, written->name));
    }
    return err;
}

/* Columns of the files of a loaded path, by binding a read of them; then each file is held against
 * them, so that a table is refused now and not at its first query. */
static enum err sniff(struct query *query, const struct relation *path,
                      struct relation_column **ret_columns, size_t *ret_count, struct errinfo *info)
{
    struct session *session = query->session;
    TRY(files_check_sizes(path, info));
    const struct relation_object **objects =
        arena_calloc(query->arena, path->object_count + 1, sizeof(*objects));
    if (objects == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < path->object_count; i++) {
        objects[i] = &path->objects[i];
    }
    struct access *access CLEANUP(access_cleanup) = NULL;
    TRY(access_open_objects(session->warehouse, session->who, objects, path->object_count, &access,
                            info));
    struct buf text CLEANUP(buf_fini) = {0};
    struct buf bound CLEANUP(buf_fini) = {0};
    struct access_uri_context uri = {session->warehouse, path, 0};
    buf_append_str(&text, "SELECT * FROM ");
    TRY(catalog_source_sql(path, access_placeholder_uri, &uri, &text, info));
    if (buf_failed(&text) || access_bind(access, buf_slice(&text), &bound) != ERR_OK) {
        return errinfo_nomem(info);
    }
    struct engine_column *found;
    size_t count;
    enum err err = engine_describe(session->engine, session->who, buf_slice(&bound), query->arena,
                                   &found, &count, info);
    if (err != ERR_OK) {
        return files_explain_sniff(query, path, info) ? ERR_INVALID : err;
    }
    if (count == 0 || count > TABLE_COLUMNS_MAX) {
        return errinfo_set(info, ERR_LIMIT, NULL,
                           "the files have %zu columns; 1 to %d are possible", count,
                           TABLE_COLUMNS_MAX);
    }
    struct relation_column *columns = arena_calloc(query->arena, count, sizeof(*columns));
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        columns[i] = (struct relation_column){.id = (uint32_t)i + 1,
                                              .name = found[i].name,
                                              .source = found[i].name,
                                              .type = found[i].type};
    }
    if (path->object_count > 1) {
        struct relation pinned = *path;
        pinned.columns = columns;
        pinned.column_count = count;
        TRY(files_check(query, &pinned, info));
    }
    *ret_columns = columns;
    *ret_count = count;
    return ERR_OK;
}

static enum err load_location(struct query *query, const struct statement *statement,
                              struct relation *path, struct errinfo *info)
{
    enum err err =
        catalog_load_path(query->session->who, statement->location,
                          statement->format_given ? &statement->format : NULL, statement->options,
                          statement->option_count, query->arena, path, info);
    if (err != ERR_OK && err != ERR_NOMEM && info != NULL && info->position == 0) {
        errinfo_position(info, statement_position(query->statement, statement->location));
    }
    return err;
}

/* Tools name their catalogs without a schema: what is found first must be the catalog. */
static enum err check_new_name(struct slice name, struct errinfo *info)
{
    if (!resolve_is_pg(name)) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_INVALID, "42939", "the name \"%.*s\" is reserved",
                      SLICE_ARGS(name));
    errinfo_hint(info, "A relation of pg_catalog is called so; use another.");
    return ERR_INVALID;
}

enum err run_create_relation(struct query *query, const struct statement *statement,
                             const struct system_relation *relation, bool *ret_created,
                             struct errinfo *info)
{
    enum system_create_mode mode = statement->or_replace      ? SYSTEM_CREATE_OR_REPLACE
                                   : statement->if_not_exists ? SYSTEM_CREATE_IF_NOT_EXISTS
                                                              : SYSTEM_CREATE;
    TRY(check_new_name(relation->relation.name.name, info));
    struct system *store;
    TRY(session_store_to_change(query->session, &store, info));
    return system_relation_create(store, query->session->who, relation, mode, ret_created, info);
}

enum err run_create_table(struct query *query, const struct statement *statement,
                          struct errinfo *info)
{
    struct session *session = query->session;
    struct system_relation table = {.location = statement->location};
    const struct attached *attached;
    TRY(run_lake_target(query, &statement->name, &attached, info));
    if (attached != NULL) {
        return run_lake_register(query, statement, attached, info);
    }
    if (statement->is_iceberg) {
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                          "Iceberg tables belong to an attached catalog");
        errinfo_hint(info, "ATTACH 'folder of the table' AS name (TYPE static), or name a table of "
                           "an iceberg_local catalog.");
        return ERR_UNSUPPORTED;
    }
    TRY(run_object_name(query, &statement->name, &table.relation.name, info));
    struct relation path = {0};
    struct relation_column *columns;
    TRY(load_location(query, statement, &path, info));
    /* Kept absolute: the same files whatever folder a later session starts in. */
    TRY(storage_qualify(session->who, statement->location, query->arena, &table.location, info));
    TRY(catalog_check_options(path.format, statement->options, statement->option_count, info));
    TRY(sniff(query, &path, &columns, &table.relation.column_count, info));
    table.relation.kind = RELATION_TABLE;
    table.relation.columns = columns;
    table.relation.format = path.format;
    table.relation.options = statement->options;
    table.relation.option_count = statement->option_count;
    bool is_created;
    TRY(run_create_relation(query, statement, &table, &is_created, info));
    if (is_created) {
        (void)snprintf(query->notice, sizeof(query->notice), "%zu column%s, %zu file%s",
                       table.relation.column_count, table.relation.column_count == 1 ? "" : "s",
                       path.object_count, path.object_count == 1 ? "" : "s");
    } else {
        (void)snprintf(query->notice, sizeof(query->notice), "it exists already");
    }
    return ERR_OK;
}

/* A schema of Moat's own catalog: nothing but a name. */
static enum err check_schema(struct query *query, const struct statement *statement,
                             struct errinfo *info)
{
    const struct sql_name *name = &statement->name;
    if (name->catalog.len > 0 && !slice_equal_fold(name->catalog, SLICE(SQL_CATALOG_DEFAULT))) {
        enum err err = resolve_no_catalog(query->session, query->session->who, name->catalog, info);
        errinfo_position(info, statement_position(query->statement, name->catalog));
        return err;
    }
    return statement->option_count == 0
               ? ERR_OK
               : errinfo_set(info, ERR_UNSUPPORTED, NULL,
                             "only namespaces of attached catalogs have properties");
}

enum err run_create_schema(struct query *query, const struct statement *statement,
                           struct errinfo *info)
{
    const struct attached *attached;
    TRY(run_lake_target(query, &statement->name, &attached, info));
    if (attached != NULL) {
        return run_lake_create_schema(query, statement, attached, info);
    }
    struct system *store;
    TRY(check_schema(query, statement, info));
    TRY(session_store_to_change(query->session, &store, info));
    return system_schema_create(store, query->session->who, statement->name.name,
                                statement->if_not_exists, info);
}

enum err run_drop(struct query *query, const struct statement *statement, struct errinfo *info)
{
    struct system *system;
    const struct identity *who = query->session->who;
    struct sql_name name;
    const struct attached *attached = NULL;
    bool is_temp = false;
    if (statement->object_kind == OBJECT_TABLE) {
        TRY(run_drop_temp(query, statement, &is_temp, info));
    }
    if (is_temp) {
        return ERR_OK;
    }
    if (statement->object_kind != OBJECT_USER && statement->object_kind != OBJECT_ROLE) {
        TRY(run_lake_target(query, &statement->name, &attached, info));
    }
    if (attached != NULL) {
        return run_lake_drop(query, statement, attached, info);
    }
    TRY(session_store_to_change(query->session, &system, info));
    if (statement->is_purge) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                           "PURGE is for tables of a lake: files that were registered are not "
                           "removed");
    }
    switch (statement->object_kind) {
    case OBJECT_TABLE:
    case OBJECT_VIEW:
        TRY(run_object_name(query, &statement->name, &name, info));
        return system_relation_drop(system, who, &name,
                                    statement->object_kind == OBJECT_VIEW ? RELATION_VIEW
                                                                          : RELATION_TABLE,
                                    statement->if_exists, statement->cascade, info);
    case OBJECT_SCHEMA:
        TRY(check_schema(query, statement, info));
        return system_schema_drop(system, who, statement->name.name, statement->if_exists,
                                  statement->cascade, info);
    case OBJECT_USER:
        return system_user_drop(system, who, statement->name.name, statement->if_exists, info);
    case OBJECT_ROLE:
        return system_role_drop(system, who, statement->name.name, statement->if_exists, info);
    }
    return errinfo_set(info, ERR_INTERNAL, NULL, "unknown kind of object");
}

static enum err refresh(struct query *query, const struct sql_name *name, struct errinfo *info)
{
    struct session *session = query->session;
    struct system_relation table;
    struct relation path = {0};
    struct relation_column *columns;
    size_t count;
    struct system *store;
    TRY(session_store_to_change(session, &store, info));
    TRY(system_relation_load(store, session->who, name, query->arena, &table, info));
    if (table.relation.kind != RELATION_TABLE) {
        return errinfo_set(info, ERR_INVALID, "42809", "\"%.*s\" is not a table",
                           SLICE_ARGS(name->name));
    }
    TRY(catalog_load_path(session->who, table.location, &table.relation.format,
                          table.relation.options, table.relation.option_count, query->arena, &path,
                          info));
    TRY(sniff(query, &path, &columns, &count, info));
    TRY(system_relation_refresh(store, session->who, name, columns, count, info));
    (void)snprintf(query->notice, sizeof(query->notice), "%zu column%s, %zu file%s", count,
                   count == 1 ? "" : "s", path.object_count, path.object_count == 1 ? "" : "s");
    return ERR_OK;
}

static enum err alter_own(struct query *query, const struct statement *statement,
                          struct errinfo *info)
{
    struct system *system;
    const struct identity *who = query->session->who;
    struct sql_name name;
    struct relation seen;
    TRY(session_store_to_change(query->session, &system, info));
    TRY(run_object_name(query, &statement->name, &name, info));
    TRY(resolve_for_admin(query->session, &statement->name, query->arena, &seen, info));
    switch (statement->alter) {
    case ALTER_RENAME:
        TRY(check_new_name(statement->new_name, info));
        return system_relation_rename(system, who, &name, statement->new_name, info);
    case ALTER_RENAME_COLUMN:
        return system_column_rename(system, who, &name, statement->column, statement->new_name,
                                    info);
    case ALTER_SET_SCHEMA:
        return system_relation_move(system, who, &name, statement->new_name, info);
    case ALTER_REFRESH:
        return refresh(query, &name, info);
    case ALTER_LAKE:
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                          "\"%.*s\" is no table of a lake, which alone is altered so",
                          SLICE_ARGS(name.name));
        errinfo_hint(info, "What was registered takes RENAME TO, RENAME COLUMN, SET SCHEMA and "
                           "REFRESH.");
        return ERR_UNSUPPORTED;
    }
    return errinfo_set(info, ERR_INTERNAL, NULL, "unknown form of ALTER TABLE");
}

enum err run_alter_table(struct query *query, const struct statement *statement,
                         struct errinfo *info)
{
    const struct attached *attached;
    bool is_shape = statement->alter == ALTER_LAKE || statement->alter == ALTER_RENAME_COLUMN;
    TRY(is_shape ? ddl_target(query, &statement->name, &attached, info)
                 : run_lake_target(query, &statement->name, &attached, info));
    enum err err = attached == NULL ? alter_own(query, statement, info)
                   : is_shape       ? ddl_alter(query, statement, info)
                                    : run_lake_rename(query, statement, attached, info);
    bool is_absent = err == ERR_NOT_FOUND && info != NULL && strcmp(info->sqlstate, "42P01") == 0;
    if (is_absent && statement->if_exists) {
        (void)snprintf(query->notice, sizeof(query->notice), "it does not exist");
        return ERR_OK;
    }
    return err;
}

/* ---- users and roles ---- */

static enum err make_verifier(const struct statement *statement, char *ret_verifier,
                              struct errinfo *info)
{
    if (statement->password.len == 0) {
        return errinfo_set(info, ERR_INVALID, "28P01", "a password may not be empty");
    }
    return scram_verifier_new(statement->password, SCRAM_ITERATIONS_DEFAULT, ret_verifier, info);
}

enum err run_create_principal(struct query *query, const struct statement *statement,
                              struct errinfo *info)
{
    struct system *system = query->session->warehouse->system;
    const struct identity *who = query->session->who;
    if (statement->object_kind == OBJECT_ROLE) {
        return system_role_create(system, who, statement->name.name, statement->if_not_exists,
                                  info);
    }
    char verifier[SCRAM_VERIFIER_BYTES] = "";
    if (statement->password_given) {
        TRY(make_verifier(statement, verifier, info));
    }
    enum err err = system_user_create(system, who, statement->name.name, slice_of(verifier),
                                      statement->if_not_exists, info);
    mem_wipe(verifier, sizeof(verifier));
    return err;
}

enum err run_alter_user(struct query *query, const struct statement *statement,
                        struct errinfo *info)
{
    struct system *system = query->session->warehouse->system;
    const struct identity *who = query->session->who;
    if (statement->password_given) {
        char verifier[SCRAM_VERIFIER_BYTES] = "";
        TRY(make_verifier(statement, verifier, info));
        enum err err =
            system_user_set_verifier(system, who, statement->name.name, slice_of(verifier), info);
        mem_wipe(verifier, sizeof(verifier));
        return err;
    }
    return system_user_set_attribute(system, who, statement->name.name, statement->attribute,
                                     statement->set_attribute ? &statement->attribute_value : NULL,
                                     info);
}
