/* Who is meant by which grant, and what follows for the whole relation.
 *
 * Fail closed: whatever of an applicable grant cannot be read refuses the relation. A dropped
 * column refuses too where a column of the same name that comes back under a new id would slip
 * past a mask or a DENY that meant it. */
#include "policy/policy_int.h"
#include "sql/ast.h"

struct gatherer {
    const struct identity *who;
    const struct relation *relation;
    struct arena *arena;
    struct slice *conditions;
    size_t condition_count;
    struct slice refusal;
    struct errinfo *info;
};

/* What an owner of a relation has without any grant. */
static const struct grant owner_grant = {
    .effect = GRANT_ALLOW, .privileges = PRIVILEGE_SELECT, .all_columns = true};

const struct relation_column *policy__column(const struct relation *relation, uint32_t id)
{
    for (size_t i = 0; i < relation->column_count; i++) {
        if (relation->columns[i].id == id) {
            return &relation->columns[i];
        }
    }
    return NULL;
}

static bool is_meant(const struct grant *grant, const struct identity *who)
{
    switch (grant->grantee_kind) {
    case GRANTEE_USER:
        return slice_equal_fold(grant->grantee, identity_subject(who));
    case GRANTEE_ROLE:
        return identity_has_role(who, grant->grantee);
    }
    return false;
}

static bool applies(const struct grant *grant, const struct identity *who)
{
    return (grant->privileges & PRIVILEGE_SELECT) != 0 && is_meant(grant, who);
}

static enum err refuse(struct gatherer *g, const struct grant *grant, const char *why)
{
    const char *kind = grant->effect == GRANT_ALLOW ? "grant" : "deny";
    char *text = arena_printf(g->arena, "%s %llu %s", kind, (unsigned long long)grant->id, why);
    if (text == NULL) {
        return errinfo_nomem(g->info);
    }
    g->refusal = slice_of(text);
    return ERR_OK;
}

/* Sets g->refusal instead of `ret_text` if the expression cannot be applied. */
static enum err fold(struct gatherer *g, const struct grant *grant, struct slice stored,
                     struct slice *ret_text)
{
    struct errinfo why;
    struct slice text = {"", 0};
    bool is_dangling = false;
    errinfo_init(&why);
    enum err err =
        sql_expression_fold(stored, g->relation, g->who, g->arena, &text, &is_dangling, &why);
    if (err == ERR_NOMEM) {
        return errinfo_nomem(g->info);
    }
    text = slice_trim(text);
    if (err == ERR_OK && is_dangling) {
        return refuse(g, grant, "names a column that no longer exists");
    }
    if (err != ERR_OK || text.len == 0) {
        return refuse(g, grant, "has an expression that cannot be resolved");
    }
    *ret_text = text;
    return ERR_OK;
}

/* How the engine prints TRUE and FALSE, and how people do. */
static bool is_constant(struct slice text, bool value)
{
    return slice_equal_fold(text, value ? SLICE("true") : SLICE("false")) ||
           slice_equal(text, value ? SLICE("CAST('t' AS BOOLEAN)") : SLICE("CAST('f' AS BOOLEAN)"));
}

/* Equal texts are one condition: two grants with the same filter need no second test. */
static uint32_t number_of(struct gatherer *g, struct slice text)
{
    for (size_t i = 0; i < g->condition_count; i++) {
        if (slice_equal(g->conditions[i], text)) {
            return (uint32_t)i;
        }
    }
    g->conditions[g->condition_count] = text;
    return (uint32_t)g->condition_count++;
}

/* A column that another version of the relation has was not dropped. */
static bool is_dropped(const struct relation *relation, uint32_t id)
{
    for (size_t i = 0; i < relation->other_id_count; i++) {
        if (relation->other_ids[i] == id) {
            return false;
        }
    }
    return policy__column(relation, id) == NULL;
}

static bool names_dropped_column(const struct relation *relation, const struct grant *grant)
{
    bool is_deny = grant->effect != GRANT_ALLOW;
    for (size_t i = 0; is_deny && i < grant->column_count; i++) {
        if (is_dropped(relation, grant->column_ids[i])) {
            return true;
        }
    }
    for (size_t i = 0; !is_deny && grant->all_columns && i < grant->mask_count; i++) {
        if (is_dropped(relation, grant->masks[i].column_id)) {
            return true;
        }
    }
    return false;
}

static enum err fold_masks(struct gatherer *g, const struct grant *grant,
                           struct policy_applied *out)
{
    struct slice *masks = arena_calloc(g->arena, grant->mask_count + 1, sizeof(*masks));
    if (masks == NULL) {
        return errinfo_nomem(g->info);
    }
    for (size_t i = 0; g->refusal.len == 0 && i < grant->mask_count; i++) {
        if (policy__column(g->relation, grant->masks[i].column_id) != NULL) {
            TRY(fold(g, grant, grant->masks[i].expression, &masks[i]));
        }
    }
    out->masks = masks;
    return ERR_OK;
}

/* Adds one rule that applies; `ret_is_void` for a DENY that hides nothing. */
static enum err apply(struct gatherer *g, const struct grant *grant, struct policy_applied *out,
                      bool *ret_is_void)
{
    bool is_allow = grant->effect == GRANT_ALLOW;
    struct slice text = {"", 0};
    *ret_is_void = false;
    *out = (struct policy_applied){.grant = grant, .condition = POLICY_ALWAYS};
    if (grant->rows.len > 0) {
        TRY(fold(g, grant, grant->rows, &text));
    }
    if (g->refusal.len == 0 && is_allow) {
        TRY(fold_masks(g, grant, out));
    }
    if (g->refusal.len == 0 && grant->rows.len > 0) {
        *ret_is_void = !is_allow && is_constant(text, false);
        if (!*ret_is_void && !(is_allow && is_constant(text, true))) {
            out->condition = number_of(g, text);
        }
    }
    return ERR_OK;
}

/* Splits what applies into allows and denies; false when the relation does not exist for `who`. */
static bool select_grants(const struct gatherer *g, const struct grant *grants, size_t count,
                          const struct grant **allows, size_t *ret_allow_count,
                          const struct grant **denies, size_t *ret_deny_count)
{
    bool is_owner = g->relation->owner.len > 0 &&
                    slice_equal_fold(g->relation->owner, identity_subject(g->who));
    size_t allow_count = 0;
    size_t deny_count = 0;
    if (is_owner) {
        allows[allow_count++] = &owner_grant;
    }
    for (size_t i = 0; i < count; i++) {
        const struct grant *grant = &grants[i];
        ASSERT(slice_equal(grant->object_uuid, g->relation->uuid));
        if (!applies(grant, g->who)) {
            continue;
        }
        if (grant->effect == GRANT_ALLOW) {
            if (!is_owner) {
                allows[allow_count++] = grant;
            }
        } else if (grant->all_columns && grant->rows.len == 0) {
            return false;
        } else {
            denies[deny_count++] = grant;
        }
    }
    *ret_allow_count = allow_count;
    *ret_deny_count = deny_count;
    return allow_count > 0;
}

static enum err apply_all(struct gatherer *g, const struct grant *const *grants, size_t count,
                          bool check_dropped, const struct policy_applied **ret_applied,
                          size_t *ret_count)
{
    struct policy_applied *applied = arena_calloc(g->arena, count + 1, sizeof(*applied));
    size_t applied_count = 0;
    if (applied == NULL) {
        return errinfo_nomem(g->info);
    }
    for (size_t i = 0; g->refusal.len == 0 && i < count; i++) {
        bool is_void;
        if (check_dropped && names_dropped_column(g->relation, grants[i])) {
            return refuse(g, grants[i], "names a column that no longer exists");
        }
        TRY(apply(g, grants[i], &applied[applied_count], &is_void));
        applied_count += !is_void;
    }
    *ret_applied = applied;
    *ret_count = applied_count;
    return ERR_OK;
}

enum err policy__gather(const struct identity *who, const struct relation *relation,
                        const struct grant *grants, size_t grant_count, struct arena *arena,
                        struct policy_gathered *ret_gathered, struct errinfo *info)
{
    struct gatherer g = {.who = who, .relation = relation, .arena = arena, .info = info};
    const struct grant **allows = arena_calloc(arena, grant_count + 1, sizeof(*allows));
    const struct grant **denies = arena_calloc(arena, grant_count + 1, sizeof(*denies));
    g.conditions = arena_calloc(arena, grant_count + 1, sizeof(*g.conditions));
    if (allows == NULL || denies == NULL || g.conditions == NULL) {
        return errinfo_nomem(info);
    }
    struct policy_gathered gathered = {0};
    size_t allow_count;
    size_t deny_count;
    if (!select_grants(&g, grants, grant_count, allows, &allow_count, denies, &deny_count)) {
        *ret_gathered = gathered;
        return ERR_OK;
    }
    bool gives_all = false;
    for (size_t i = 0; i < allow_count; i++) {
        gives_all = gives_all || allows[i]->all_columns;
    }
    gathered.is_visible = true;
    TRY(apply_all(&g, allows, allow_count, true, &gathered.allows, &gathered.allow_count));
    if (g.refusal.len == 0) {
        TRY(apply_all(&g, denies, deny_count, gives_all, &gathered.denies, &gathered.deny_count));
    }
    gathered.refusal = g.refusal;
    gathered.conditions = g.conditions;
    gathered.condition_count = g.condition_count;
    *ret_gathered = gathered;
    return ERR_OK;
}

/* ---- the public face ---- */

static enum err keep(struct buf *text, struct arena *arena, struct slice *ret_kept,
                     struct errinfo *info)
{
    if (buf_failed(text) || !arena_slice(arena, buf_slice(text), ret_kept)) {
        return errinfo_nomem(info);
    }
    buf_reset(text);
    return ERR_OK;
}

static enum err all_raw(const struct relation *relation, struct arena *arena,
                        struct policy_effective *ret_effective, struct errinfo *info)
{
    struct policy_column *columns =
        arena_calloc(arena, relation->column_count + 1, sizeof(*columns));
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < relation->column_count; i++) {
        const struct relation_column *column = &relation->columns[i];
        char *expression = arena_printf(arena, "__moat_c%u", column->id);
        if (expression == NULL) {
            return errinfo_nomem(info);
        }
        columns[i] = (struct policy_column){
            .column = column, .is_raw = true, .expression = slice_of(expression)};
    }
    *ret_effective = (struct policy_effective){.is_visible = true,
                                               .columns = columns,
                                               .column_count = relation->column_count,
                                               .writes = PRIVILEGE_WRITE};
    return ERR_OK;
}

static enum err list_grants(const struct policy_gathered *gathered, struct arena *arena,
                            struct policy_effective *effective, struct errinfo *info)
{
    uint64_t *ids = arena_calloc(arena, gathered->allow_count + 1, sizeof(*ids));
    if (ids == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < gathered->allow_count; i++) {
        if (gathered->allows[i].grant != &owner_grant) {
            ids[effective->grant_count++] = gathered->allows[i].grant->id;
        }
    }
    effective->grant_ids = ids;
    return ERR_OK;
}

static void list_writes(const struct identity *who, const struct relation *relation,
                        const struct grant *grants, size_t count,
                        struct policy_effective *effective)
{
    bool is_owner =
        relation->owner.len > 0 && slice_equal_fold(relation->owner, identity_subject(who));
    unsigned given = is_owner ? PRIVILEGE_WRITE : 0;
    unsigned denied = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_meant(&grants[i], who)) {
            bool is_allow = grants[i].effect == GRANT_ALLOW;
            given |= is_allow ? grants[i].privileges : 0;
            denied |= is_allow ? 0 : grants[i].privileges;
        }
    }
    effective->denied_writes = denied & PRIVILEGE_WRITE;
    effective->writes = given & ~denied & PRIVILEGE_WRITE;
}

static enum err print_form(const struct policy_form *form, const struct policy_gathered *gathered,
                           struct arena *arena, struct policy_effective *effective,
                           struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    struct policy_column *columns = arena_calloc(arena, form->cell_count + 1, sizeof(*columns));
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    policy__print_filter(form, gathered->conditions, &text);
    TRY(keep(&text, arena, &effective->filter, info));
    effective->is_bound = effective->filter.len > 0;
    for (size_t i = 0; i < form->cell_count; i++) {
        const struct policy_cell *cell = &form->cells[i];
        policy__print_cell(cell, gathered->conditions, &text);
        columns[i].column = cell->column;
        columns[i].is_raw = policy__cell_is_raw(cell);
        columns[i].is_masked = !columns[i].is_raw;
        TRY(keep(&text, arena, &columns[i].expression, info));
        effective->is_bound = effective->is_bound || columns[i].is_masked;
    }
    effective->columns = columns;
    effective->column_count = form->cell_count;
    return ERR_OK;
}

enum err policy_effective(const struct identity *who, const struct relation *relation,
                          const struct grant *grants, size_t grant_count, struct arena *arena,
                          struct policy_effective *ret_effective, struct errinfo *info)
{
    ASSERT(who != NULL);
    if (identity_is_owner(who)) {
        return all_raw(relation, arena, ret_effective, info);
    }
    struct policy_effective effective = {0};
    struct policy_gathered gathered;
    struct policy_form form;
    TRY(policy__gather(who, relation, grants, grant_count, arena, &gathered, info));
    if (gathered.refusal.len > 0) {
        effective.is_visible = true;
        effective.is_refused = true;
        effective.is_bound = true;
        effective.refusal = gathered.refusal;
    } else if (gathered.is_visible) {
        TRY(policy__form(relation, &gathered, arena, &form, info));
        TRY(print_form(&form, &gathered, arena, &effective, info));
        TRY(list_grants(&gathered, arena, &effective, info));
        list_writes(who, relation, grants, grant_count, &effective);
        effective.is_visible = form.cell_count > 0;
    }
    if (!effective.is_visible) {
        effective = (struct policy_effective){0};
    }
    *ret_effective = effective;
    return ERR_OK;
}
