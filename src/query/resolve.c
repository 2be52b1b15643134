/* Names to readable relations: the only file that loads a relation for a query, and the only one
 * that decides whether a person may know of it. */
#include "query/query_int.h"
#include "sql/scan.h"

bool resolve_is_admin(const struct identity *who)
{
    return identity_is_owner(who) || identity_has_role(who, SLICE(SYSTEM_ROLE_ADMIN));
}

bool resolve_may_administer(const struct identity *who, const struct relation *relation)
{
    return resolve_is_admin(who) || slice_equal_fold(relation->owner, identity_subject(who));
}

static enum err effective_of(struct session *session, const struct identity *who,
                             const struct relation *relation, struct arena *arena,
                             struct policy_effective *ret_effective, struct errinfo *info)
{
    struct grant *grants;
    size_t grant_count;
    TRY(system_grants(session->warehouse->system, who, relation->uuid, arena, &grants, &grant_count,
                      info));
    return policy_effective(who, relation, grants, grant_count, arena, ret_effective, info);
}

enum err resolve_visible(struct session *session, const struct identity *who, struct arena *arena,
                         struct catalog_visible **ret_visible, size_t *ret_count,
                         struct errinfo *info)
{
    struct system_relation *relations;
    size_t relation_count;
    TRY(system_relations(session->warehouse->system, who, arena, &relations, &relation_count,
                         info));
    struct catalog_visible *visible = arena_calloc(arena, relation_count + 1, sizeof(*visible));
    if (visible == NULL) {
        return errinfo_nomem(info);
    }
    size_t count = 0;
    for (size_t i = 0; i < relation_count; i++) {
        struct policy_effective effective;
        TRY(effective_of(session, who, &relations[i].relation, arena, &effective, info));
        if (!effective.is_visible) {
            continue;
        }
        const struct relation_column **columns =
            arena_calloc(arena, effective.column_count + 1, sizeof(*columns));
        if (columns == NULL) {
            return errinfo_nomem(info);
        }
        for (size_t c = 0; c < effective.column_count; c++) {
            columns[c] = effective.columns[c].column;
        }
        visible[count++] = (struct catalog_visible){&relations[i].relation, columns,
                                                    effective.column_count, effective.is_bound};
    }
    *ret_visible = visible;
    *ret_count = count;
    return ERR_OK;
}

/* As in a message, which has quotes of its own. */
static void print_plain(struct buf *out, struct slice schema, struct slice name)
{
    buf_append_slice(out, schema);
    buf_append_str(out, schema.len > 0 ? "." : "");
    buf_append_slice(out, name);
}

/* The one wording for "absent or not yours", with the nearest name the person may see. */
static enum err not_found(struct session *session, const struct identity *who,
                          const struct sql_name *written, struct errinfo *info)
{
    struct buf name CLEANUP(buf_fini) = {0};
    print_plain(&name, written->schema, written->name);
    (void)errinfo_set(info, ERR_NOT_FOUND, "42P01", "table \"%s\" does not exist", buf_cstr(&name));
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "suggestion", 0);
    struct catalog_visible *visible;
    size_t count;
    struct errinfo ignored;
    if (arena == NULL ||
        resolve_visible(session, who, arena, &visible, &count, &ignored) != ERR_OK) {
        return ERR_NOT_FOUND;
    }
    unsigned best = 3;
    const struct relation *nearest = NULL;
    for (size_t i = 0; i < count; i++) {
        unsigned distance =
            slice_edit_distance(visible[i].relation->name.name, written->name, best);
        if (distance < best || (nearest == NULL && distance <= best)) {
            best = distance;
            nearest = visible[i].relation;
        }
    }
    if (nearest != NULL) {
        buf_reset(&name);
        print_plain(&name, nearest->name.schema, nearest->name.name);
        errinfo_hint(info, "Did you mean \"%s\"?", buf_cstr(&name));
    } else {
        errinfo_hint(info, "SHOW TABLES lists what you may read.");
    }
    return ERR_NOT_FOUND;
}

/* Everybody's rows of a system relation, as far as `who` may see them. */
static enum err load_system(struct session *session, const struct identity *who,
                            const struct sql_name *name, struct arena *arena,
                            struct relation *ret_relation, struct errinfo *info)
{
    struct slice *paths;
    size_t path_count;
    TRY(audit_files(session->warehouse->audit, who, arena, &paths, &path_count, info));
    struct buf lines CLEANUP(buf_fini) = {0};
    struct slice settings;
    session_print_settings(session, NULL, &lines);
    if (buf_failed(&lines) || !arena_slice(arena, buf_slice(&lines), &settings)) {
        return errinfo_nomem(info);
    }
    struct catalog_visible *visible;
    size_t visible_count;
    TRY(resolve_visible(session, who, arena, &visible, &visible_count, info));
    struct catalog_system_input input = {
        .system = session->warehouse->system,
        .who = who,
        .visible = visible,
        .visible_count = visible_count,
        .audit_paths = paths,
        .audit_path_count = path_count,
        .settings_json = &settings,
    };
    return catalog_system_load(name, &input, arena, ret_relation, info);
}

static enum err resolve_system(struct session *session, const struct identity *who,
                               const struct sql_name *name, bool needs_grant, struct arena *arena,
                               struct resolved *out, struct errinfo *info)
{
    TRY(catalog_system_load(name, NULL, arena, out->relation, info));
    if (needs_grant && !resolve_is_admin(who)) {
        TRY(effective_of(session, who, out->relation, arena, &out->effective, info));
        if (!out->effective.is_visible) {
            return ERR_OK;
        }
        return load_system(session, who, name, arena, out->relation, info);
    }
    TRY(load_system(session, who, name, arena, out->relation, info));
    struct policy_column *columns =
        arena_calloc(arena, out->relation->column_count + 1, sizeof(*columns));
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < out->relation->column_count; i++) {
        char *expression = arena_printf(arena, "__moat_c%u", out->relation->columns[i].id);
        if (expression == NULL) {
            return errinfo_nomem(info);
        }
        columns[i] = (struct policy_column){.column = &out->relation->columns[i],
                                            .is_raw = true,
                                            .expression = slice_of(expression)};
    }
    out->effective = (struct policy_effective){
        .is_visible = true, .columns = columns, .column_count = out->relation->column_count};
    return ERR_OK;
}

enum err resolve_relation(struct session *session, const struct identity *who,
                          const struct sql_name *written, struct arena *arena,
                          struct resolved *ret_resolved, struct errinfo *info)
{
    struct resolved out = {.relation = arena_calloc(arena, 1, sizeof(*out.relation))};
    struct sql_name name;
    if (out.relation == NULL) {
        return errinfo_nomem(info);
    }
    TRY(catalog_qualify(written, slice_of(session->default_schema), arena, &name, info));
    bool needs_grant;
    enum err err;
    if (catalog_system_find(&name, &needs_grant)) {
        err = resolve_system(session, who, &name, needs_grant, arena, &out, info);
    } else {
        /* Policy before listing: a location is looked at only for those who may know the table. */
        err =
            catalog_load(session->warehouse->system, who, &name, false, arena, out.relation, info);
        if (err == ERR_OK) {
            err = effective_of(session, who, out.relation, arena, &out.effective, info);
        }
        if (err == ERR_OK && out.effective.is_visible && !out.effective.is_refused &&
            out.relation->kind == RELATION_TABLE) {
            err = catalog_load(session->warehouse->system, who, &name, true, arena, out.relation,
                               info);
        }
    }
    if (err == ERR_NOT_FOUND && !out.effective.is_visible) {
        return not_found(session, who, written, info);
    }
    TRY(err);
    if (!out.effective.is_visible) {
        return not_found(session, who, written, info);
    }
    if (out.effective.is_refused) {
        (void)errinfo_set(info, ERR_DENIED, NULL, "the policy of \"%.*s\" cannot be applied",
                          SLICE_ARGS(name.name));
        if (resolve_may_administer(who, out.relation)) {
            errinfo_detail(info, "%.*s", SLICE_ARGS(out.effective.refusal));
        }
        errinfo_hint(info, "Ask the table's owner: SHOW GRANTS ON it names the grant to mend.");
        return ERR_DENIED;
    }
    *ret_resolved = out;
    return ERR_OK;
}

enum err resolve_for_admin(struct session *session, const struct sql_name *written,
                           struct arena *arena, struct relation *ret_relation, struct errinfo *info)
{
    const struct identity *who = session->who;
    struct sql_name name;
    bool needs_grant;
    TRY(catalog_qualify(written, slice_of(session->default_schema), arena, &name, info));
    if (catalog_system_find(&name, &needs_grant)) {
        if (!resolve_is_admin(who)) {
            return not_found(session, who, written, info);
        }
        return catalog_system_load(&name, NULL, arena, ret_relation, info);
    }
    struct relation relation;
    struct policy_effective effective = {0};
    enum err err =
        catalog_load(session->warehouse->system, who, &name, false, arena, &relation, info);
    if (err == ERR_OK && !resolve_may_administer(who, &relation)) {
        TRY(effective_of(session, who, &relation, arena, &effective, info));
        err = effective.is_visible ? ERR_OK : ERR_NOT_FOUND;
    }
    if (err == ERR_NOT_FOUND) {
        return not_found(session, who, written, info);
    }
    TRY(err);
    *ret_relation = relation;
    return ERR_OK;
}
