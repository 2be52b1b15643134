/* SHOW and CHECK ACCESS. Lists are SELECTs over the system tables, run as the person, so that they
 * can never show more than those do; policy itself is shown from here. */
#include "base/json.h"
#include "query/lake/lake_int.h"
#include "query/plan/policy_int.h"
#include "query/ddl/ddl_int.h"
#include "sql/functions.h"
#include "sql/scan.h"

static const struct relation_column text_columns[] = {
    {1, {"name", 4}, {"name", 4}, {"VARCHAR", 7}},
};

static enum err run_lines(struct query *query, const struct relation_column *columns, size_t count,
                          const struct buf *lines, struct errinfo *info)
{
    return buf_failed(lines) ? errinfo_nomem(info)
                             : query_run_rows(query, columns, count, buf_slice(lines), info);
}

/* ---- lists from the system tables ---- */

struct list {
    const char *select;         /* up to and with its WHERE */
    const char *catalog_column; /* NULL: takes no IN */
    const char *schema_column;  /* NULL: IN takes a catalog */
    const char *name_column;    /* for LIKE */
    const char *order;
};

static const struct list lists[] = {
    [SHOW_TABLES] = {"SELECT table_schema AS \"schema\", table_name AS \"name\", table_type AS "
                     "\"kind\" FROM information_schema.tables WHERE table_schema NOT IN "
                     "('information_schema', 'moat_system', 'pg_catalog')",
                     "table_catalog", "table_schema", "table_name", "1, 2"},
    [SHOW_VIEWS] = {"SELECT table_schema AS \"schema\", table_name AS \"name\" FROM "
                    "information_schema.tables WHERE table_type = 'VIEW' AND table_schema NOT IN "
                    "('information_schema', 'moat_system', 'pg_catalog')",
                    "table_catalog", "table_schema", "table_name", "1, 2"},
    [SHOW_SCHEMAS] = {"SELECT schema_name AS \"schema\" FROM information_schema.schemata WHERE "
                      "true",
                      "catalog_name", NULL, "schema_name", "1"},
    [SHOW_CATALOGS] = {NULL, NULL, NULL, "\"catalog\"", "1"}, /* write_catalogs */
    [SHOW_USERS] = {"SELECT * FROM moat_system.users WHERE true", NULL, NULL, "name", "1"},
    [SHOW_ROLES] = {"SELECT name AS \"role\" FROM moat_system.roles WHERE true", NULL, NULL, "name",
                    "1"},
    [SHOW_FUNCTIONS] = {"SELECT * FROM moat_system.functions WHERE true", NULL, NULL, "name", "1"},
};

static void write_equal(struct buf *text, const char *column, struct slice value)
{
    buf_printf(text, "lower(%s) = lower(", column);
    sql_quote_string(text, value);
    buf_append_char(text, ')');
}

/* IN schema | catalog | catalog.schema; without it, of the catalog that the session uses. */
static void write_in(const struct list *list, const struct statement *statement,
                     struct slice session_catalog, struct buf *text)
{
    const struct sql_name *name = &statement->name;
    bool is_pair = statement->has_name && name->schema.len > 0;
    buf_append_str(text, " AND (");
    if (!statement->has_name || (list->schema_column != NULL && !is_pair)) {
        write_equal(text, list->catalog_column, session_catalog);
    } else {
        write_equal(text, list->catalog_column, is_pair ? name->schema : name->name);
    }
    if (statement->has_name && list->schema_column != NULL) {
        buf_append_str(text, " AND ");
        write_equal(text, list->schema_column, name->name);
        if (!is_pair) {
            buf_append_str(text, " OR ");
            write_equal(text, list->catalog_column, name->name);
        }
    }
    buf_append_char(text, ')');
}

/* Their names alone, for which no catalog elsewhere is asked. */
static enum err write_catalogs(struct query *query, struct buf *text, struct errinfo *info)
{
    struct slice *names;
    size_t count;
    TRY(resolve_catalogs(query->session, query->session->who, query->arena, &names, &count, info));
    buf_append_str(text, "SELECT \"catalog\" FROM (VALUES ");
    for (size_t i = 0; i < count; i++) {
        buf_append_str(text, i == 0 ? "(" : ", (");
        sql_quote_string(text, names[i]);
        buf_append_char(text, ')');
    }
    buf_append_str(text, ") AS c(\"catalog\") WHERE true");
    return ERR_OK;
}

static enum err show_list(struct query *query, const struct statement *statement,
                          struct errinfo *info)
{
    const struct session *session = query->session;
    const struct list *list = &lists[statement->show];
    struct buf text CLEANUP(buf_fini) = {0};
    if (statement->show == SHOW_CATALOGS) {
        TRY(write_catalogs(query, &text, info));
    } else {
        buf_append_str(&text, list->select);
    }
    if (list->catalog_column != NULL) {
        write_in(list, statement, slice_of(session->default_catalog), &text);
    }
    if (statement->has_like) {
        buf_printf(&text, " AND %s LIKE ", list->name_column);
        sql_quote_string(&text, statement->like);
    }
    buf_printf(&text, " ORDER BY %s", list->order);
    struct slice kept;
    if (buf_failed(&text) || !arena_slice(query->arena, buf_slice(&text), &kept)) {
        return errinfo_nomem(info);
    }
    return query_run_text(query, kept, info);
}

static enum err show_columns(struct query *query, const struct sql_name *written,
                             struct errinfo *info)
{
    struct resolved resolved;
    enum err err = resolve_relation(query->session, query->session->who, written, query->arena,
                                    &resolved, info);
    if (err != ERR_OK) {
        errinfo_position(info, statement_position(query->statement, written->name));
        return err;
    }
    struct buf lines CLEANUP(buf_fini) = {0};
    for (size_t i = 0; i < resolved.effective.column_count; i++) {
        const struct policy_column *column = &resolved.effective.columns[i];
        buf_append_str(&lines, "{\"column\":");
        json_write_string(&lines, column->column->name);
        buf_append_str(&lines, ",\"type\":");
        json_write_string(&lines, column->column->type);
        buf_printf(&lines, ",\"access\":\"%s\"}\n", column->is_masked ? "masked" : "raw");
    }
    static const struct relation_column columns[] = {
        {1, {"column", 6}, {"column", 6}, {"VARCHAR", 7}},
        {2, {"type", 4}, {"type", 4}, {"VARCHAR", 7}},
        {3, {"access", 6}, {"access", 6}, {"VARCHAR", 7}},
    };
    return run_lines(query, columns, ARRAY_COUNT(columns), &lines, info);
}

enum err run_describe(struct query *query, const struct statement *statement, struct errinfo *info)
{
    bool is_temp = statement->query.len == 0 && session_temp(query->session, &statement->name);
    if (statement->query.len == 0 && !is_temp) {
        return show_columns(query, &statement->name, info);
    }
    struct buf text CLEANUP(buf_fini) = {0};
    buf_append_str(&text, is_temp ? "DESCRIBE SELECT * FROM " : "DESCRIBE ");
    if (is_temp) {
        sql_print_name(&text, &statement->name);
    } else {
        buf_append_slice(&text, statement->query);
    }
    struct slice kept;
    if (buf_failed(&text) || !arena_slice(query->arena, buf_slice(&text), &kept)) {
        return errinfo_nomem(info);
    }
    enum err err = query_run_text(query, kept, info);
    if (err != ERR_OK && info != NULL && info->position > strlen("DESCRIBE ")) {
        info->position +=
            statement_position(query->statement, statement->query) - 1 - strlen("DESCRIBE ");
    }
    return err;
}

static enum err show_settings(struct query *query, const struct statement *statement, bool is_all,
                              struct errinfo *info)
{
    struct buf lines CLEANUP(buf_fini) = {0};
    enum config_key only = 0;
    if (!is_all) {
        enum err err = config_find(statement->setting, &only, info);
        const char *near = err == ERR_OK ? NULL : statement_suggest_show(statement->setting);
        if (near != NULL) {
            (void)errinfo_set(info, err, "42601", "there is no SHOW %.*s",
                              SLICE_ARGS(statement->setting));
            errinfo_hint(info, "Did you mean SHOW %s?", near);
        }
        if (err != ERR_OK) {
            errinfo_position(info, statement_position(query->statement, statement->setting));
            return err;
        }
    }
    session_print_settings(query->session, is_all ? NULL : &only, &lines);
    static const struct relation_column columns[] = {
        {1, {"name", 4}, {"name", 4}, {"VARCHAR", 7}},
        {2, {"value", 5}, {"value", 5}, {"VARCHAR", 7}},
        {3, {"source", 6}, {"source", 6}, {"VARCHAR", 7}},
    };
    return run_lines(query, columns, ARRAY_COUNT(columns), &lines, info);
}

/* ---- grants ---- */

static bool applies_to(const struct grant *grant, const struct identity *who)
{
    return grant->grantee_kind == GRANTEE_USER
               ? slice_equal_fold(grant->grantee, identity_subject(who))
               : identity_has_role(who, grant->grantee);
}

/* To those whom it binds, that there are conditions, never which. */
static void hide_conditions(struct grant *grant)
{
    grant->rows = grant->rows.len == 0 ? grant->rows : SLICE("'(hidden)'");
    struct grant_mask *masks = (struct grant_mask *)(uintptr_t)grant->masks;
    for (size_t i = 0; i < grant->mask_count; i++) {
        masks[i].expression = SLICE("'(hidden)'");
    }
}

static enum err write_grant(struct query *query, const struct relation *relation,
                            struct grant *grant, struct buf *lines, struct errinfo *info)
{
    const struct identity *who = query->session->who;
    bool may_see_all = resolve_may_administer(who, relation);
    if (!may_see_all && !applies_to(grant, who)) {
        return ERR_OK;
    }
    if (!may_see_all) {
        hide_conditions(grant);
    }
    struct slice text;
    TRY(print_grant(query->session, grant, relation, query->arena, &text, info));
    buf_printf(lines, "{\"id\":%llu,\"effect\":\"%s\",\"grantee\":", (unsigned long long)grant->id,
               grant->effect == GRANT_DENY ? "DENY" : "GRANT");
    json_write_string(lines, grant->grantee);
    buf_printf(lines, ",\"kind\":\"%s\",\"grant\":",
               grant->grantee_kind == GRANTEE_ROLE ? "role" : "user");
    json_write_string(lines, text);
    buf_append_str(lines, ",\"grantor\":");
    json_write_string(lines, grant->grantor);
    buf_append_str(lines, "}\n");
    return ERR_OK;
}

static enum err write_grants_of(struct query *query, const struct relation *relation,
                                struct buf *lines, struct errinfo *info)
{
    struct grant *grants;
    size_t count;
    TRY(system_grants(session_store(query->session), query->session->who, relation->uuid,
                      query->arena, &grants, &count, info));
    for (size_t i = 0; i < count; i++) {
        TRY(write_grant(query, relation, &grants[i], lines, info));
    }
    return ERR_OK;
}

static enum err show_grants(struct query *query, const struct statement *statement,
                            struct errinfo *info)
{
    struct buf lines CLEANUP(buf_fini) = {0};
    if (statement->has_name) {
        struct relation relation;
        enum err err =
            resolve_for_admin(query->session, &statement->name, query->arena, &relation, info);
        if (err != ERR_OK) {
            errinfo_position(info, statement_position(query->statement, statement->name.name));
            return err;
        }
        TRY(write_grants_of(query, &relation, &lines, info));
    } else {
        struct system_relation *relations;
        size_t count;
        TRY(system_relations(session_store(query->session), query->session->who, query->arena,
                             &relations, &count, info));
        for (size_t i = 0; i < count; i++) {
            TRY(write_grants_of(query, &relations[i].relation, &lines, info));
        }
        struct catalog_visible *visible;
        TRY(resolve_visible(query->session, query->session->who, query->arena, &visible, &count,
                            info));
        for (size_t i = 0; i < count; i++) {
            if (visible[i].relation->lake != NULL) {
                TRY(write_grants_of(query, visible[i].relation, &lines, info));
            }
        }
        const struct sql_name *name;
        for (size_t i = 0; (name = catalog_system_at(i)) != NULL; i++) {
            struct relation relation;
            TRY(catalog_system_load(name, NULL, query->arena, &relation, info));
            TRY(write_grants_of(query, &relation, &lines, info));
        }
    }
    static const struct relation_column columns[] = {
        {1, {"id", 2}, {"id", 2}, {"BIGINT", 6}},
        {2, {"effect", 6}, {"effect", 6}, {"VARCHAR", 7}},
        {3, {"grantee", 7}, {"grantee", 7}, {"VARCHAR", 7}},
        {4, {"kind", 4}, {"kind", 4}, {"VARCHAR", 7}},
        {5, {"grant", 5}, {"grant", 5}, {"VARCHAR", 7}},
        {6, {"grantor", 7}, {"grantor", 7}, {"VARCHAR", 7}},
    };
    return run_lines(query, columns, ARRAY_COUNT(columns), &lines, info);
}

/* ---- effective policy ---- */

/* The person asked about: oneself, or with the right to know, anybody. */
static enum err subject_of(struct query *query, const struct statement *statement,
                           const struct relation *relation, struct identity **ret_who,
                           struct errinfo *info)
{
    struct session *session = query->session;
    bool is_self = statement->for_user.len == 0 ||
                   slice_equal_fold(statement->for_user, identity_subject(session->who));
    if (is_self) {
        *ret_who = identity_ref(session->who);
        return ERR_OK;
    }
    size_t position = statement_position(query->statement, statement->for_user);
    if (!resolve_may_administer(session->who, relation)) {
        (void)errinfo_set(info, ERR_DENIED, NULL,
                          "only the owner of \"%.*s\" may ask what others see of it",
                          SLICE_ARGS(relation->name.name));
        errinfo_position(info, position);
        return ERR_DENIED;
    }
    enum err err = system_login(session->warehouse->system, statement->for_user, SLICE(""),
                                SLICE("question"), SLICE("embedded"), ret_who, info);
    if (err == ERR_NOT_FOUND) {
        err = errinfo_set(info, ERR_NOT_FOUND, NULL, "user \"%.*s\" does not exist",
                          SLICE_ARGS(statement->for_user));
        errinfo_hint(info, "SHOW USERS lists them.");
    }
    if (err != ERR_OK) {
        errinfo_position(info, position);
    }
    return err;
}

static enum err effective_for(struct query *query, const struct statement *statement,
                              struct relation *ret_relation, struct policy_effective *ret_effective,
                              struct slice *ret_subject, struct errinfo *info)
{
    struct session *session = query->session;
    enum err err = resolve_for_admin(session, &statement->name, query->arena, ret_relation, info);
    if (err != ERR_OK) {
        errinfo_position(info, statement_position(query->statement, statement->name.name));
        return err;
    }
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    struct grant *grants;
    size_t count;
    TRY(subject_of(query, statement, ret_relation, &who, info));
    TRY(system_grants(session_store(session), session->who, ret_relation->uuid, query->arena,
                      &grants, &count, info));
    if (!arena_slice(query->arena, identity_subject(who), ret_subject)) {
        return errinfo_nomem(info);
    }
    TRY(policy_effective(who, ret_relation, grants, count, query->arena, ret_effective, info));
    ret_effective->writes = resolve_writes(who, ret_relation, ret_effective);
    /* What a catalog restricts, it restricts for who asked it. */
    bool is_own = slice_equal(identity_subject(who), identity_subject(session->who));
    return is_own ? lake_restrict(ret_relation, query->arena, ret_effective, info) : ERR_OK;
}

static enum err write_policy_row(struct buf *lines, const char *subject, struct slice name,
                                 const char *access, struct slice expression)
{
    buf_printf(lines, "{\"part\":\"%s\",\"name\":", subject);
    json_write_string(lines, name);
    buf_printf(lines, ",\"access\":\"%s\",\"expression\":", access);
    if (expression.len == 0) {
        buf_append_str(lines, "null");
    } else {
        json_write_string(lines, expression);
    }
    buf_append_str(lines, "}\n");
    return buf_failed(lines) ? ERR_NOMEM : ERR_OK;
}

static enum err write_policy(struct query *query, const struct relation *relation,
                             const struct policy_effective *effective, struct buf *lines,
                             struct errinfo *info)
{
    bool may_see_all = resolve_may_administer(query->session->who, relation);
    struct slice shown = {"", 0};
    if (effective->is_refused) {
        TRY(write_policy_row(lines, "table", relation->name.name, "refused",
                             may_see_all ? effective->refusal : shown));
        return ERR_OK;
    }
    if (effective->filter.len > 0 && may_see_all) {
        TRY(print_expression(query->session, effective->filter, relation, query->arena, &shown,
                             info));
    }
    TRY(write_policy_row(lines, "rows", relation->name.name,
                         !effective->is_visible      ? "none"
                         : effective->filter.len > 0 ? "filtered"
                                                     : "all",
                         shown));
    size_t next = 0;
    for (size_t i = 0; i < relation->column_count; i++) {
        const struct relation_column *column = &relation->columns[i];
        bool is_visible = effective->is_visible && next < effective->column_count &&
                          effective->columns[next].column->id == column->id;
        if (!is_visible) {
            if (may_see_all) { /* others may not know that it is there */
                TRY(write_policy_row(lines, "column", column->name, "absent", SLICE("")));
            }
            continue;
        }
        const struct policy_column *cell = &effective->columns[next++];
        shown = (struct slice){"", 0};
        if (cell->is_masked && may_see_all) {
            TRY(print_expression(query->session, cell->expression, relation, query->arena, &shown,
                                 info));
        }
        TRY(write_policy_row(lines, "column", column->name, cell->is_masked ? "masked" : "raw",
                             shown));
    }
    return ERR_OK;
}

static enum err show_effective(struct query *query, const struct statement *statement,
                               struct errinfo *info)
{
    struct relation relation;
    struct policy_effective effective;
    struct slice subject;
    struct buf lines CLEANUP(buf_fini) = {0};
    TRY(effective_for(query, statement, &relation, &effective, &subject, info));
    TRY(write_policy(query, &relation, &effective, &lines, info));
    if (effective.writes != 0) {
        struct buf writes CLEANUP(buf_fini) = {0};
        buf_append_str(&writes, "{\"part\":\"writes\",\"name\":");
        json_write_string(&writes, relation.name.name);
        buf_append_str(&writes, ",\"access\":\"");
        policy_print_privileges(effective.writes, &writes);
        buf_append_str(&writes, "\",\"expression\":null}\n");
        buf_append_slice(&lines, buf_slice(&writes));
        lines.failed = lines.failed || buf_failed(&writes);
    }
    static const struct relation_column columns[] = {
        {1, {"part", 4}, {"part", 4}, {"VARCHAR", 7}},
        {2, {"name", 4}, {"name", 4}, {"VARCHAR", 7}},
        {3, {"access", 6}, {"access", 6}, {"VARCHAR", 7}},
        {4, {"expression", 10}, {"expression", 10}, {"VARCHAR", 7}},
    };
    return run_lines(query, columns, ARRAY_COUNT(columns), &lines, info);
}

enum err run_check_access(struct query *query, const struct statement *statement,
                          struct errinfo *info)
{
    struct relation relation;
    struct policy_effective effective;
    struct slice subject;
    struct buf lines CLEANUP(buf_fini) = {0};
    TRY(effective_for(query, statement, &relation, &effective, &subject, info));
    bool is_allowed = effective.is_visible && !effective.is_refused;
    struct buf writes CLEANUP(buf_fini) = {0};
    policy_print_privileges(effective.writes, &writes);
    size_t masked = 0;
    for (size_t i = 0; i < effective.column_count; i++) {
        masked += effective.columns[i].is_masked;
    }
    buf_append_str(&lines, "{\"user\":");
    json_write_string(&lines, subject);
    buf_printf(
        &lines,
        ",\"allowed\":%s,\"rows\":\"%s\",\"columns\":%zu,\"masked\":%zu,\"writes\":\"%s\"}\n",
        is_allowed ? "true" : "false",
        !is_allowed                ? "none"
        : effective.filter.len > 0 ? "filtered"
                                   : "all",
        is_allowed ? effective.column_count : 0, is_allowed ? masked : 0,
        writes.len > 0 ? buf_cstr(&writes) : "none");
    static const struct relation_column columns[] = {
        {1, {"user", 4}, {"user", 4}, {"VARCHAR", 7}},
        {2, {"allowed", 7}, {"allowed", 7}, {"BOOLEAN", 7}},
        {3, {"rows", 4}, {"rows", 4}, {"VARCHAR", 7}},
        {4, {"columns", 7}, {"columns", 7}, {"BIGINT", 6}},
        {5, {"masked", 6}, {"masked", 6}, {"BIGINT", 6}},
        {6, {"writes", 6}, {"writes", 6}, {"VARCHAR", 7}},
    };
    return run_lines(query, columns, ARRAY_COUNT(columns), &lines, info);
}

/* ---- SHOW CREATE ---- */

static void write_create(const struct system_relation *found, struct buf *text)
{
    static const char *const formats[] = {
        [FORMAT_PARQUET] = "PARQUET", [FORMAT_CSV] = "CSV", [FORMAT_JSON] = "JSON"};
    const struct relation *relation = &found->relation;
    struct sql_name name = {.schema = relation->name.schema, .name = relation->name.name};
    if (relation->kind == RELATION_VIEW) {
        buf_append_str(text, "CREATE VIEW ");
        sql_print_name(text, &name);
        buf_append_str(text, relation->is_definer ? " SECURITY DEFINER AS " : " AS ");
        buf_append_slice(text, relation->view_sql);
        return;
    }
    buf_append_str(text, "CREATE EXTERNAL TABLE ");
    sql_print_name(text, &name);
    buf_append_str(text, " LOCATION ");
    sql_quote_string(text, found->location);
    buf_printf(text, " STORED AS %s", formats[relation->format]);
    for (size_t i = 0; i < relation->option_count; i++) {
        buf_append_str(text, i == 0 ? " OPTIONS (" : ", ");
        buf_append_slice(text, relation->options[i].name);
        buf_append_str(text, " = ");
        buf_append_slice(text, relation->options[i].value);
    }
    buf_append_str(text, relation->option_count > 0 ? ")" : "");
}

static enum err show_text(struct query *query, const struct buf *text, struct errinfo *info)
{
    struct buf lines CLEANUP(buf_fini) = {0};
    buf_append_str(&lines, "{\"name\":");
    json_write_string(&lines, buf_slice(text));
    buf_append_str(&lines, "}\n");
    if (buf_failed(text)) {
        return errinfo_nomem(info);
    }
    return run_lines(query, text_columns, ARRAY_COUNT(text_columns), &lines, info);
}

/* As other engines would make it. */
static enum err show_create_attached(struct query *query, const struct relation *relation,
                                     struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    bool is_view = relation->kind == RELATION_VIEW;
    buf_append_str(&text, is_view ? "CREATE VIEW " : "CREATE TABLE ");
    sql_print_name(&text, &relation->name);
    if (is_view) {
        buf_append_str(&text, " AS ");
        buf_append_slice(&text, relation->view_sql);
        return show_text(query, &text, info);
    }
    TRY(ddl_print_create(relation, query->arena, &text, info));
    return show_text(query, &text, info);
}

static enum err show_create(struct query *query, const struct statement *statement,
                            struct errinfo *info)
{
    struct relation relation;
    struct system_relation found;
    enum err err =
        resolve_for_admin(query->session, &statement->name, query->arena, &relation, info);
    if (err == ERR_OK && !resolve_may_administer(query->session->who, &relation)) {
        err = errinfo_set(info, ERR_DENIED, NULL,
                          "only the owner of \"%.*s\" may see how it was made",
                          SLICE_ARGS(relation.name.name));
    }
    if (err != ERR_OK) {
        errinfo_position(info, statement_position(query->statement, statement->name.name));
        return err;
    }
    if (relation.kind == RELATION_SYSTEM) {
        return errinfo_set(info, ERR_INVALID, "42809", "\"%.*s\" is made by Moat",
                           SLICE_ARGS(relation.name.name));
    }
    if (relation.lake != NULL || !slice_equal(relation.name.catalog, SLICE(SQL_CATALOG_DEFAULT))) {
        return show_create_attached(query, &relation, info);
    }
    TRY(system_relation_load(session_store(query->session), query->session->who, &relation.name,
                             query->arena, &found, info));
    struct buf text CLEANUP(buf_fini) = {0};
    write_create(&found, &text);
    return show_text(query, &text, info);
}

static enum err show_create_schema(struct query *query, const struct statement *statement,
                                   struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    TRY(run_lake_show_schema(query, statement, &text, info));
    return show_text(query, &text, info);
}

enum err run_show(struct query *query, const struct statement *statement, struct errinfo *info)
{
    switch (statement->show) {
    case SHOW_TABLES:
    case SHOW_SCHEMAS:
    case SHOW_CATALOGS:
    case SHOW_VIEWS:
    case SHOW_USERS:
    case SHOW_ROLES:
    case SHOW_FUNCTIONS:
        return show_list(query, statement, info);
    case SHOW_COLUMNS:
        return show_columns(query, &statement->name, info);
    case SHOW_GRANTS:
        return show_grants(query, statement, info);
    case SHOW_EFFECTIVE_POLICY:
        return show_effective(query, statement, info);
    case SHOW_LIMITS:
        return run_show_limits(query, statement, info);
    case SHOW_API_KEYS:
        return run_show_api_keys(query, statement, info);
    case SHOW_SETTING:
        return show_settings(query, statement, false, info);
    case SHOW_ALL_SETTINGS:
        return show_settings(query, statement, true, info);
    case SHOW_CREATE:
        return show_create(query, statement, info);
    case SHOW_CREATE_SCHEMA:
        return show_create_schema(query, statement, info);
    }
    return errinfo_set(info, ERR_INTERNAL, NULL, "unknown form of SHOW");
}
