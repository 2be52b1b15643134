/* What an administrator changes in an attached catalog: its namespaces and which names it has. No
 * file is touched, and what was granted stays with the table's UUID, whatever it is called. */
#include "query/run/run_lake_int.h"

#include "query/maintain/maintain_int.h"
#include "query/plan/policy_int.h"
#include "sql/scan.h"

enum err run_lake_target(struct query *query, const struct sql_name *written,
                         const struct attached **ret_attached, struct errinfo *info)
{
    struct session *session = query->session;
    struct slice catalog =
        written->catalog.len > 0 ? written->catalog : slice_of(session->default_catalog);
    *ret_attached = NULL;
    if (!resolve_is_admin(session->who)) {
        return ERR_OK; /* to others it does not exist */
    }
    TRY(attached_find(session, session->who, catalog, query->arena, ret_attached, info));
    if (*ret_attached == NULL) {
        return ERR_OK;
    }
    struct attached *asked = arena_alloc(query->arena, sizeof(*asked));
    if (asked == NULL) {
        return errinfo_nomem(info);
    }
    *asked = **ret_attached;
    asked->catalog.remote.request_id = slice_of(query->id);
    *ret_attached = asked;
    return ERR_OK;
}

enum err run_lake_to_change(struct query *query, const struct attached *attached,
                            const struct attached **ret_attached, struct errinfo *info)
{
    struct attached *changed = arena_alloc(query->arena, sizeof(*changed));
    if (changed == NULL) {
        return errinfo_nomem(info);
    }
    *changed = *attached;
    TRY(session_lake_to_change(query->session, &changed->catalog, &changed->catalog.block, info));
    *ret_attached = changed;
    return ERR_OK;
}

/* Errors point at the name. */
static enum err at_name(struct query *query, const struct statement *statement, enum err err,
                        struct errinfo *info)
{
    if (err != ERR_OK && err != ERR_NOMEM && info != NULL && info->position == 0) {
        errinfo_position(info, statement_position(query->statement, statement->name.name));
    }
    return err;
}

static enum err say(struct query *query, const char *notice)
{
    (void)snprintf(query->notice, sizeof(query->notice), "%s", notice);
    return ERR_OK;
}

static struct slice namespace_of(const struct query *query, const struct sql_name *name)
{
    return name->schema.len > 0 ? name->schema : slice_of(query->session->default_schema);
}

/* ---- schemas ---- */

/* The literals of WITH and SET as texts; what UNSET names has none. */
static enum err read_properties(struct query *query, const struct statement *statement,
                                struct iceberg_property **ret_properties, struct errinfo *info)
{
    struct iceberg_property *properties =
        arena_calloc(query->arena, statement->option_count + 1, sizeof(*properties));
    if (properties == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < statement->option_count; i++) {
        const struct relation_option *option = &statement->options[i];
        properties[i].key = option->name;
        if (option->value.len > 0) {
            TRY(attached_text(option, query->arena, &properties[i].value, info));
        }
    }
    *ret_properties = properties;
    return ERR_OK;
}

enum err run_lake_create_schema(struct query *query, const struct statement *statement,
                                const struct attached *attached, struct errinfo *info)
{
    struct iceberg_property *properties;
    struct iceberg_property *ignored;
    size_t count;
    bool is_at_once = false;
    if (statement->if_not_exists &&
        catalog_iceberg_properties(&attached->catalog, query->session->who, statement->name.name,
                                   query->arena, &ignored, &count, NULL) == ERR_OK) {
        return say(query, "it exists already");
    }
    if (session_refuse_in_block(query->session, info) != ERR_OK) {
        const char *commit = config_text(query->session->config, CONFIG_LAKE_COMMIT);
        is_at_once = strcmp(commit, "steps") == 0;
        if (!is_at_once) {
            return at_name(query, statement, ERR_INVALID, info);
        }
    }
    TRY(read_properties(query, statement, &properties, info));
    enum err err = catalog_iceberg_create_namespace(&attached->catalog, query->session->who,
                                                    statement->name.name, properties,
                                                    statement->option_count, info);
    if (err == ERR_OK && is_at_once) {
        return say(query, "the namespace is there now, whatever becomes of the transaction");
    }
    return err == ERR_EXISTS && statement->if_not_exists ? say(query, "it exists already")
                                                         : at_name(query, statement, err, info);
}

enum err run_alter_schema(struct query *query, const struct statement *statement,
                          struct errinfo *info)
{
    const struct attached *attached;
    struct iceberg_property *properties;
    TRY(run_lake_target(query, &statement->name, &attached, info));
    if (attached == NULL) {
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                          "only namespaces of attached catalogs have properties");
        errinfo_hint(info, "Write ALTER SCHEMA catalog.namespace SET (property = 'value').");
        return at_name(query, statement, ERR_UNSUPPORTED, info);
    }
    TRY(session_refuse_in_block(query->session, info));
    TRY(read_properties(query, statement, &properties, info));
    return at_name(query, statement,
                   catalog_iceberg_set_properties(&attached->catalog, query->session->who,
                                                  statement->name.name, properties,
                                                  statement->option_count, info),
                   info);
}

enum err run_lake_show_schema(struct query *query, const struct statement *statement,
                              struct buf *ret_text, struct errinfo *info)
{
    const struct attached *attached;
    struct iceberg_property *properties;
    size_t count;
    TRY(run_lake_target(query, &statement->name, &attached, info));
    if (attached == NULL) {
        (void)errinfo_set(info, ERR_NOT_FOUND, "3F000",
                          "\"%.*s\" is no namespace of an attached catalog that you administer",
                          SLICE_ARGS(statement->name.name));
        errinfo_hint(info, "Write SHOW CREATE SCHEMA catalog.namespace.");
        return at_name(query, statement, ERR_NOT_FOUND, info);
    }
    enum err err =
        catalog_iceberg_properties(&attached->catalog, query->session->who, statement->name.name,
                                   query->arena, &properties, &count, info);
    if (err != ERR_OK) {
        return at_name(query, statement, err, info);
    }
    buf_append_str(ret_text, "CREATE SCHEMA ");
    sql_quote_name(ret_text, attached->catalog.name);
    buf_append_char(ret_text, '.');
    sql_quote_name(ret_text, statement->name.name);
    for (size_t i = 0; i < count; i++) {
        buf_append_str(ret_text, i == 0 ? " WITH (" : ", ");
        sql_quote_name(ret_text, properties[i].key);
        buf_append_str(ret_text, " = ");
        sql_quote_string(ret_text, properties[i].value);
    }
    buf_append_str(ret_text, count > 0 ? ")" : "");
    return ERR_OK;
}

static enum err drop_schema(struct query *query, const struct statement *statement,
                            const struct attached *attached, struct errinfo *info)
{
    if (statement->cascade) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                           "CASCADE is not for namespaces of attached catalogs: drop what is in "
                           "\"%.*s\" by name",
                           SLICE_ARGS(statement->name.name));
    }
    return catalog_iceberg_drop_namespace(&attached->catalog, query->session->who,
                                          statement->name.name, info);
}

/* ---- tables and views ---- */

enum err run_lake_register(struct query *query, const struct statement *statement,
                           const struct attached *attached, struct errinfo *info)
{
    struct slice location;
    const struct sql_name *name = &statement->name;
    TRY(session_refuse_in_block(query->session, info));
    if (!statement->is_iceberg || statement->option_count > 0 || statement->or_replace) {
        (void)errinfo_set(info, ERR_INVALID, "22023",
                          "catalog \"%.*s\" takes Iceberg tables only, by their metadata file",
                          SLICE_ARGS(attached->catalog.name));
        errinfo_hint(info,
                     "Write CREATE EXTERNAL TABLE name LOCATION '...metadata.json' STORED AS "
                     "ICEBERG. Other files are registered in catalog \"" SQL_CATALOG_DEFAULT "\".");
        return at_name(query, statement, ERR_INVALID, info);
    }
    if (catalog_iceberg_is_remote(&attached->catalog)) {
        location = statement->location; /* the catalog reads it, not this machine */
    } else {
        TRY(catalog_iceberg_locate(query->session->who, statement->location, query->arena,
                                   &location, info));
    }
    enum err err =
        catalog_iceberg_register(&attached->catalog, query->session->who, namespace_of(query, name),
                                 name->name, false, location, info);
    return err == ERR_EXISTS && statement->if_not_exists ? say(query, "it exists already")
                                                         : at_name(query, statement, err, info);
}

enum err run_lake_drop(struct query *query, const struct statement *statement,
                       const struct attached *attached, struct errinfo *info)
{
    const struct sql_name *name = &statement->name;
    if (statement->object_kind == OBJECT_SCHEMA || statement->is_purge) {
        TRY(session_refuse_in_block(query->session, info));
    }
    if (statement->object_kind == OBJECT_SCHEMA) {
        enum err err = drop_schema(query, statement, attached, info);
        return err == ERR_NOT_FOUND && statement->if_exists ? say(query, "it does not exist")
                                                            : at_name(query, statement, err, info);
    }
    struct slice ns = namespace_of(query, name);
    bool purges_itself = attached->catalog.kind == CATALOG_ICEBERG_REST;
    if (statement->is_purge && !purges_itself) {
        enum err err = maintain_purge(query, statement, info);
        bool is_absent = err == ERR_NOT_FOUND && statement->if_exists;
        return is_absent ? say(query, "it does not exist") : at_name(query, statement, err, info);
    }
    TRY(run_lake_to_change(query, attached, &attached, info));
    enum err err =
        statement->is_purge
            ? catalog_iceberg_purge(&attached->catalog, query->session->who, ns, name->name, info)
            : catalog_iceberg_unregister(&attached->catalog, query->session->who, ns, name->name,
                                         statement->object_kind == OBJECT_VIEW, info);
    if (err == ERR_NOT_FOUND && statement->if_exists) {
        return say(query, "it does not exist");
    }
    if (err == ERR_OK && purges_itself) {
        return say(query, statement->is_purge ? "the catalog was asked to delete the files"
                                              : "the catalog has dropped it");
    }
    return err == ERR_OK
               ? say(query, "the catalog has forgotten the name; the files are where they were")
               : at_name(query, statement, err, info);
}

enum err run_lake_rename(struct query *query, const struct statement *statement,
                         const struct attached *attached, struct errinfo *info)
{
    const struct sql_name *name = &statement->name;
    struct slice ns = namespace_of(query, name);
    if (statement->alter != ALTER_RENAME) {
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                          "the tables of catalog \"%.*s\" are changed by who writes them",
                          SLICE_ARGS(attached->catalog.name));
        return at_name(query, statement, ERR_UNSUPPORTED, info);
    }
    TRY(run_lake_to_change(query, attached, &attached, info));
    enum err err = catalog_iceberg_rename(&attached->catalog, query->session->who, ns, name->name,
                                          false, statement->new_name, info);
    if (err == ERR_NOT_FOUND) { /* ALTER TABLE also renames views */
        err = catalog_iceberg_rename(&attached->catalog, query->session->who, ns, name->name, true,
                                     statement->new_name, info);
        if (err == ERR_UNSUPPORTED && attached->catalog.block == NULL) {
            err = ERR_NOT_FOUND; /* a catalog that has no views; a block says what is too much */
        }
    }
    if (err == ERR_NOT_FOUND) {
        (void)errinfo_set(info, err, "42P01", "there is no table or view \"%.*s\" in \"%.*s\"",
                          SLICE_ARGS(name->name), SLICE_ARGS(ns));
    }
    return at_name(query, statement, err, info);
}
