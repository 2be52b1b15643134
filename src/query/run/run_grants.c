/* GRANT, DENY, REVOKE, and membership of roles. */
#include "query/plan/policy_int.h"
#include "query/run/run_int.h"
#include "sql/scan.h"

/* The object's uuid; for tables also the relation. */
static enum err find_object(struct query *query, const struct statement *statement,
                            struct relation *ret_relation, struct slice *ret_uuid,
                            struct errinfo *info)
{
    struct session *session = query->session;
    const struct statement_grant *grant = &statement->grant;
    size_t position = statement_position(query->statement, grant->object.name);
    if (grant->object_kind == OBJECT_SCHEMA) {
        struct system_schema *schemas;
        size_t count;
        TRY(system_schemas(session_store(session), session->who, query->arena, &schemas, &count,
                           info));
        for (size_t i = 0; i < count; i++) {
            if (slice_equal_fold(schemas[i].name, grant->object.name)) {
                *ret_uuid = schemas[i].name;
                return ERR_OK;
            }
        }
        (void)errinfo_set(info, ERR_NOT_FOUND, "3F000", "schema \"%.*s\" does not exist",
                          SLICE_ARGS(grant->object.name));
        errinfo_position(info, position);
        return ERR_NOT_FOUND;
    }
    TRY(session_refuse_temp(session, &grant->object, query->tag, info));
    enum err err = resolve_for_admin(session, &grant->object, query->arena, ret_relation, info);
    if (err == ERR_OK && !resolve_may_administer(session->who, ret_relation)) {
        (void)errinfo_set(info, ERR_DENIED, NULL, "only the owner of \"%.*s\" may grant on it",
                          SLICE_ARGS(ret_relation->name.name));
        err = ERR_DENIED;
    }
    if (err != ERR_OK) {
        errinfo_position(info, position);
        return err;
    }
    *ret_uuid = ret_relation->uuid;
    return ERR_OK;
}

enum err grant_check_object(const struct relation *relation, unsigned privileges,
                            struct errinfo *info)
{
    bool is_written = relation->kind == RELATION_TABLE && relation->lake != NULL;
    if (is_written || (privileges & PRIVILEGE_WRITE) == 0) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_INVALID, "0LP01",
                      "\"%.*s\" takes no rows: it can be granted SELECT",
                      SLICE_ARGS(relation->name.name));
    errinfo_hint(info, "INSERT, UPDATE and DELETE are granted on tables of attached catalogs.");
    return ERR_INVALID;
}

/* What ALL is of the object. */
static enum err pick_privileges(const struct statement_grant *grant,
                                const struct relation *relation, unsigned *ret_privileges,
                                struct errinfo *info)
{
    bool is_schema = grant->object_kind == OBJECT_SCHEMA;
    *ret_privileges = grant->privileges;
    if (grant->privileges != PRIVILEGE_ALL) {
        return is_schema ? ERR_OK : grant_check_object(relation, grant->privileges, info);
    }
    *ret_privileges = is_schema ? (unsigned)PRIVILEGE_CREATE
                      : grant_check_object(relation, PRIVILEGE_WRITE, NULL) == ERR_OK
                          ? (unsigned)PRIVILEGE_SELECT | PRIVILEGE_WRITE
                          : (unsigned)PRIVILEGE_SELECT;
    return ERR_OK;
}

static enum err bind_columns(struct query *query, const struct statement_grant *from,
                             const struct relation *relation, const uint32_t **ret_ids,
                             struct errinfo *info)
{
    uint32_t *ids = arena_calloc(query->arena, from->column_count + 1, sizeof(*ids));
    if (ids == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < from->column_count; i++) {
        const struct relation_column *column;
        TRY(bind_column(relation, from->columns[i],
                        statement_position(query->statement, from->columns[i]), &column, info));
        ids[i] = column->id;
    }
    *ret_ids = ids;
    return ERR_OK;
}

static bool grants_column(const struct grant *grant, uint32_t id)
{
    bool found = grant->all_columns;
    for (size_t i = 0; i < grant->column_count; i++) {
        found = found || grant->column_ids[i] == id;
    }
    return found;
}

static enum err bind_masks(struct query *query, const struct statement_grant *from,
                           const struct relation *relation, struct grant *grant,
                           struct errinfo *info)
{
    struct grant_mask *masks = arena_calloc(query->arena, from->mask_count + 1, sizeof(*masks));
    if (masks == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < from->mask_count; i++) {
        size_t position = statement_position(query->statement, from->masks[i].column);
        const struct relation_column *column;
        TRY(bind_column(relation, from->masks[i].column, position, &column, info));
        if (!grants_column(grant, column->id)) {
            (void)errinfo_set(info, ERR_INVALID, NULL, "column \"%.*s\" is masked but not granted",
                              SLICE_ARGS(column->name));
            errinfo_hint(info, "Add it to the column list.");
            errinfo_position(info, position);
            return ERR_INVALID;
        }
        masks[i].column_id = column->id;
        TRY(bind_expression(query->session, relation, column, from->masks[i].expression,
                            statement_position(query->statement, from->masks[i].expression),
                            query->arena, &masks[i].expression, info));
    }
    grant->masks = masks;
    grant->mask_count = from->mask_count;
    return ERR_OK;
}

enum err run_grant(struct query *query, const struct statement *statement, struct errinfo *info)
{
    const struct statement_grant *from = &statement->grant;
    struct relation relation = {0};
    struct grant grant = {
        .effect = from->is_deny ? GRANT_DENY : GRANT_ALLOW,
        .grantee = from->grantee,
        .all_columns = from->column_count == 0,
        .column_count = from->column_count,
    };
    TRY(find_object(query, statement, &relation, &grant.object_uuid, info));
    TRY(pick_privileges(from, &relation, &grant.privileges, info));
    if (from->object_kind == OBJECT_SCHEMA &&
        (from->column_count > 0 || from->rows.len > 0 || from->mask_count > 0)) {
        return errinfo_set(info, ERR_INVALID, NULL,
                           "columns, rows and masks belong to SELECT on a table or view");
    }
    TRY(find_grantee(query->session, from->grantee, from->grantee_kind_given, from->grantee_is_role,
                     query->arena, &grant.grantee_kind, info));
    TRY(bind_columns(query, from, &relation, &grant.column_ids, info));
    TRY(bind_masks(query, from, &relation, &grant, info));
    if (from->rows.len > 0) {
        TRY(bind_expression(query->session, &relation, NULL, from->rows,
                            statement_position(query->statement, from->rows), query->arena,
                            &grant.rows, info));
    }
    uint64_t id;
    struct system *store;
    TRY(session_store_to_change(query->session, &store, info));
    enum err err = system_grant_add(store, query->session->who, &grant, &id, info);
    if (err != ERR_OK) {
        if (err == ERR_NOT_FOUND) {
            errinfo_position(info, statement_position(query->statement, from->grantee));
        }
        return err;
    }
    if (system_is_overlay(store)) { /* its number is given at the commit */
        (void)snprintf(query->notice, sizeof(query->notice), "in force when it is committed");
    } else {
        (void)snprintf(query->notice, sizeof(query->notice), "grant %llu", (unsigned long long)id);
    }
    return ERR_OK;
}

enum err run_revoke(struct query *query, const struct statement *statement, struct errinfo *info)
{
    const struct statement_grant *from = &statement->grant;
    struct relation relation = {0};
    struct slice uuid;
    unsigned privileges;
    enum grantee_kind kind;
    const uint32_t *ids;
    size_t count;
    TRY(find_object(query, statement, &relation, &uuid, info));
    TRY(pick_privileges(from, &relation, &privileges, info));
    TRY(find_grantee(query->session, from->grantee, from->grantee_kind_given, from->grantee_is_role,
                     query->arena, &kind, info));
    TRY(bind_columns(query, from, &relation, &ids, info));
    struct system *store;
    TRY(session_store_to_change(query->session, &store, info));
    TRY(system_grant_revoke(store, query->session->who, from->is_deny ? GRANT_DENY : GRANT_ALLOW,
                            privileges, kind, from->grantee, uuid, from->column_count == 0, ids,
                            from->column_count, &count, info));
    (void)snprintf(query->notice, sizeof(query->notice), "%zu grant%s changed", count,
                   count == 1 ? "" : "s");
    return ERR_OK;
}

enum err run_grant_role(struct query *query, const struct statement *statement,
                        struct errinfo *info)
{
    struct system *system = query->session->warehouse->system;
    const struct identity *who = query->session->who;
    struct slice member = statement->grant.grantee;
    return statement->is_revoke ? system_role_revoke(system, who, statement->role, member, info)
                                : system_role_grant(system, who, statement->role, member, info);
}
