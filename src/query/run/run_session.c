/* Statements that change only the session: SET, USE, PREPARE, EXECUTE, DEALLOCATE. */
#include "base/json.h"
#include "base/mem.h"
#include "query/lake/lake_int.h"
#include "query/plan/policy_int.h"
#include "query/run/run_int.h"
#include "sql/scan.h"

#define PREPARED_MAX 1000

/* Where the warehouse lies is for its owner only; where keys and policies lie, and which rule makes
 * whom of whom, for who administers it. */
static bool is_hidden_setting(const struct identity *who, enum config_key key)
{
    static const enum config_key administrators[] = {
        CONFIG_SERVER_TLS_CERTIFICATE,  CONFIG_SERVER_TLS_KEY, CONFIG_SERVER_TLS_CLIENT_CA,
        CONFIG_OIDC_CLIENT_SECRET_FILE, CONFIG_OIDC_CA_FILE,   CONFIG_OIDC_SUBJECT_RULE,
        CONFIG_OIDC_REQUIRED_CLAIMS,    CONFIG_OIDC_ROLE_MAP,  CONFIG_OIDC_ROLES_ALLOWED,
        CONFIG_CERTIFICATE_RULES,       CONFIG_LOGIN_ASK,      CONFIG_POLICY_FILE};
    if (key == CONFIG_WAREHOUSE_PATH) {
        return !identity_is_owner(who);
    }
    for (size_t i = 0; i < ARRAY_COUNT(administrators); i++) {
        if (key == administrators[i]) {
            return !resolve_is_admin(who);
        }
    }
    return false;
}

static void print_setting(const struct session *session, enum config_key key, struct buf *lines)
{
    struct buf value CLEANUP(buf_fini) = {0};
    config_print(session->config, key, &value);
    bool is_hidden = is_hidden_setting(session->who, key);
    const char *const names[] = {"{\"name\":", ",\"value\":", ",\"source\":"};
    struct slice values[] = {slice_of(config_name(key)),
                             is_hidden ? SLICE("(hidden)") : buf_slice(&value),
                             slice_of(config_source(session->config, key))};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        buf_append_str(lines, names[i]);
        json_write_string(lines, values[i]);
    }
    buf_append_str(lines, "}\n");
    lines->failed = lines->failed || buf_failed(&value);
}

void session_print_settings(const struct session *session, const enum config_key *only,
                            struct buf *lines)
{
    for (int key = 0; key < CONFIG_KEY_COUNT; key++) {
        if (only == NULL || key == (int)*only) {
            print_setting(session, (enum config_key)key, lines);
        }
    }
}

enum err run_set(struct query *query, const struct statement *statement, struct errinfo *info)
{
    struct session *session = query->session;
    if (statement->is_reset && statement->setting.len == 0) { /* RESET ALL */
        struct config *fresh;
        TRY(config_copy(session->warehouse->config, &fresh, info));
        config_free(session->config);
        session->config = fresh;
        return ERR_OK;
    }
    enum config_key key;
    size_t position = statement_position(query->statement, statement->setting);
    enum err err = config_find(statement->setting, &key, info);
    if (err == ERR_OK && !config_is_session(key)) {
        err = errinfo_set(info, ERR_DENIED, "55P02", "\"%s\" cannot be changed in a session",
                          config_name(key));
        errinfo_hint(info, "Set it in the configuration and start again.");
    }
    if (err != ERR_OK) {
        errinfo_position(info, position);
        return err;
    }
    struct buf value CLEANUP(buf_fini) = {0};
    if (statement->is_reset) {
        config_print(session->warehouse->config, key, &value);
    } else {
        buf_append_slice(&value, statement->value);
    }
    if (buf_failed(&value)) {
        return errinfo_nomem(info);
    }
    err = config_set(session->config, key, buf_slice(&value), "SET", info);
    if (err != ERR_OK) {
        errinfo_position(info, position);
    }
    return err;
}

static enum err set_place(struct session *session, struct slice catalog, struct slice schema,
                          struct errinfo *info)
{
    char *new_catalog = mem_slicedup(catalog);
    char *new_schema = mem_slicedup(schema);
    if (new_catalog == NULL || new_schema == NULL) {
        mem_free(new_catalog);
        mem_free(new_schema);
        return errinfo_nomem(info);
    }
    mem_free(session->default_catalog);
    mem_free(session->default_schema);
    session->default_catalog = new_catalog;
    session->default_schema = new_schema;
    return ERR_OK;
}

/* A namespace of an attached catalog that the person may know of; without a name, the only one. */
static enum err find_namespace(struct query *query, struct slice catalog, struct slice wanted,
                               struct slice *ret_catalog, struct slice *ret_schema,
                               bool *ret_knows_catalog, struct errinfo *info)
{
    struct session *session = query->session;
    struct catalog_visible *visible;
    struct catalog_namespace *namespaces;
    size_t visible_count;
    size_t count;
    size_t fitting = 0;
    *ret_knows_catalog = false;
    *ret_schema = (struct slice){0};
    TRY(resolve_visible(session, session->who, query->arena, &visible, &visible_count, info));
    TRY(resolve_namespaces(session, session->who, visible, visible_count, query->arena, &namespaces,
                           &count, info));
    for (size_t i = 0; i < count; i++) {
        if (slice_equal_fold(namespaces[i].name.catalog, catalog)) {
            *ret_knows_catalog = true;
            *ret_catalog = namespaces[i].name.catalog;
            if (wanted.len == 0 || slice_equal_fold(namespaces[i].name.schema, wanted)) {
                *ret_schema = namespaces[i].name.schema;
                fitting++;
            }
        }
    }
    if (fitting != 1) {
        *ret_schema = (struct slice){0};
    }
    const struct attached *empty;
    if (!*ret_knows_catalog && resolve_is_admin(session->who)) {
        TRY(attached_find(session, session->who, catalog, query->arena, &empty, info));
        *ret_knows_catalog = empty != NULL;
        *ret_catalog = catalog;
    }
    return ERR_OK;
}

static enum err no_schema(struct query *query, struct slice wanted, struct errinfo *info)
{
    (void)errinfo_set(info, ERR_NOT_FOUND, "3F000", "schema \"%.*s\" does not exist",
                      SLICE_ARGS(wanted));
    errinfo_hint(info, "SHOW SCHEMAS lists them.");
    errinfo_position(info, statement_position(query->statement, wanted));
    return ERR_NOT_FOUND;
}

/* A catalog of no schemas or several: names in it want one. What a path of search says in
 * PostgreSQL stands in its place, and need not be there either. */
static enum err use_whole(struct query *query, struct slice catalog, struct errinfo *info)
{
    (void)snprintf(query->notice, sizeof(query->notice),
                   "names want a schema: the catalog has none, or several");
    return set_place(query->session, catalog, SLICE("public"), info);
}

static enum err use_attached(struct query *query, struct slice catalog, struct slice wanted,
                             struct errinfo *info)
{
    struct slice found = {0};
    struct slice schema = {0};
    bool knows;
    TRY(find_namespace(query, catalog, wanted, &found, &schema, &knows, info));
    if (!knows) {
        enum err err = resolve_no_catalog(query->session, query->session->who, catalog, info);
        errinfo_position(info, statement_position(query->statement, catalog));
        return err;
    }
    if (schema.len == 0) {
        return wanted.len == 0 ? use_whole(query, found, info) : no_schema(query, wanted, info);
    }
    return set_place(query->session, found, schema, info);
}

static enum err use_own(struct query *query, struct slice wanted, bool *ret_found,
                        struct errinfo *info)
{
    struct session *session = query->session;
    struct system_schema *schemas;
    size_t count;
    TRY(system_schemas(session_store(session), session->who, query->arena, &schemas, &count, info));
    struct slice found = {NULL, 0};
    for (size_t i = 0; i < count; i++) {
        found = slice_equal_fold(schemas[i].name, wanted) ? schemas[i].name : found;
    }
    if (slice_equal_fold(wanted, SLICE(SQL_SCHEMA_SYSTEM)) ||
        slice_equal_fold(wanted, SLICE(SQL_SCHEMA_INFORMATION))) {
        found = wanted;
    }
    *ret_found = found.ptr != NULL;
    return *ret_found ? set_place(session, SLICE(SQL_CATALOG_DEFAULT), found, info) : ERR_OK;
}

/* USE schema | catalog | catalog.schema. One name is a schema of the present catalog first, then
 * one of Moat's own, then a catalog. */
enum err run_use(struct query *query, const struct statement *statement, struct errinfo *info)
{
    struct session *session = query->session;
    struct slice catalog = statement->name.schema;
    struct slice wanted = statement->name.name;
    struct slice own = slice_of(session->default_catalog);
    bool is_found = false;
    bool knows = false;
    if (catalog.len > 0 && !slice_equal_fold(catalog, SLICE(SQL_CATALOG_DEFAULT))) {
        return use_attached(query, catalog, wanted, info);
    }
    if (catalog.len == 0 && !slice_equal(own, SLICE(SQL_CATALOG_DEFAULT))) {
        struct slice schema = {0};
        TRY(find_namespace(query, own, wanted, &own, &schema, &knows, info));
        if (schema.len > 0) {
            return set_place(session, own, schema, info);
        }
    }
    TRY(use_own(query, wanted, &is_found, info));
    if (is_found) {
        return ERR_OK;
    }
    if (catalog.len == 0 && slice_equal_fold(wanted, SLICE(SQL_CATALOG_DEFAULT))) {
        return set_place(session, SLICE(SQL_CATALOG_DEFAULT), SLICE(SQL_SCHEMA_DEFAULT), info);
    }
    if (catalog.len == 0) {
        struct slice ignored;
        TRY(find_namespace(query, wanted, SLICE(""), &ignored, &ignored, &knows, info));
    }
    return knows ? use_attached(query, wanted, SLICE(""), info) : no_schema(query, wanted, info);
}

static struct prepared *find_prepared(struct session *session, struct slice name, size_t *ret_count)
{
    struct prepared *found = NULL;
    *ret_count = 0;
    for (struct prepared *p = session->prepared; p != NULL; p = p->next) {
        (*ret_count)++;
        found = slice_equal_fold(slice_of(p->name), name) ? p : found;
    }
    return found;
}

enum err run_prepare(struct query *query, const struct statement *statement, struct errinfo *info)
{
    struct session *session = query->session;
    size_t count;
    if (find_prepared(session, statement->prepared, &count) != NULL) {
        return errinfo_set(info, ERR_EXISTS, "42P05", "prepared statement \"%.*s\" exists already",
                           SLICE_ARGS(statement->prepared));
    }
    if (count >= PREPARED_MAX) {
        return errinfo_set(info, ERR_LIMIT, NULL, "the session has %d prepared statements",
                           PREPARED_MAX);
    }
    struct plan *plan CLEANUP(plan_cleanup) = NULL; /* so that mistakes show now */
    enum err err = plan_build(session, NULL, statement->query, &plan, info);
    if (err != ERR_OK) {
        if (info != NULL && info->position > 0) {
            info->position += statement_position(query->statement, statement->query) - 1;
        }
        return err;
    }
    struct prepared *prepared = mem_calloc(1, sizeof(*prepared));
    if (prepared == NULL) {
        return errinfo_nomem(info);
    }
    prepared->name = mem_slicedup(statement->prepared);
    prepared->text = mem_slicedup(statement->query);
    if (prepared->name == NULL || prepared->text == NULL) {
        mem_free(prepared->name);
        mem_free(prepared->text);
        mem_free(prepared);
        return errinfo_nomem(info);
    }
    prepared->next = session->prepared;
    session->prepared = prepared;
    return ERR_OK;
}

static enum err unknown_prepared(struct slice name, struct errinfo *info)
{
    return errinfo_set(info, ERR_NOT_FOUND, "26000", "prepared statement \"%.*s\" does not exist",
                       SLICE_ARGS(name));
}

/* A literal as EXECUTE gives it. */
static enum err literal_value(struct query *query, struct slice literal,
                              struct engine_parameter *out, struct errinfo *info)
{
    struct scanner scanner;
    struct token token;
    scanner_init(&scanner, literal);
    TRY(scanner_next(&scanner, &token, info));
    if (token.kind == TOKEN_STRING) {
        out->type = PARAMETER_TEXT;
        return token_string(&token, query->arena, &out->text, info);
    }
    if (token_is(&token, "null")) {
        out->type = PARAMETER_NULL;
    } else if (token_is(&token, "true") || token_is(&token, "false")) {
        out->type = PARAMETER_BOOL;
        out->boolean = token_is(&token, "true");
    } else if (slice_to_i64(literal, &out->integer)) {
        out->type = PARAMETER_I64;
    } else {
        out->type = PARAMETER_TEXT;
        out->text = literal;
    }
    return ERR_OK;
}

enum err run_execute(struct query *query, const struct statement *statement, struct errinfo *info)
{
    size_t count;
    const struct prepared *prepared = find_prepared(query->session, statement->prepared, &count);
    if (prepared == NULL) {
        return unknown_prepared(statement->prepared, info);
    }
    struct engine_parameter *values =
        arena_calloc(query->arena, statement->argument_count + 1, sizeof(*values));
    if (values == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < statement->argument_count; i++) {
        TRY(literal_value(query, statement->arguments[i], &values[i], info));
    }
    struct plan *plan CLEANUP(plan_cleanup) = NULL;
    enum err err = plan_build(query->session, query, slice_of(prepared->text), &plan, info);
    if (err == ERR_OK && plan->ast->parameter_count != statement->argument_count) {
        err = errinfo_set(info, ERR_INVALID, "08P01",
                          "prepared statement \"%s\" takes %u value%s, %zu were given",
                          prepared->name, plan->ast->parameter_count,
                          plan->ast->parameter_count == 1 ? "" : "s", statement->argument_count);
    }
    if (err == ERR_OK) {
        err = query_run(query, plan, values, statement->argument_count, info);
    }
    if (err != ERR_OK && info != NULL) {
        info->position = 0; /* it would point into the prepared text */
    }
    return err;
}

enum err run_deallocate(struct query *query, const struct statement *statement,
                        struct errinfo *info)
{
    size_t count;
    if (statement->prepared.len > 0 &&
        find_prepared(query->session, statement->prepared, &count) == NULL) {
        return unknown_prepared(statement->prepared, info);
    }
    session_drop_prepared(query->session, statement->prepared);
    return ERR_OK;
}
