/* Policies as files: the whole set of grants of a warehouse, kept in version control.
 *
 * A file is compared by meaning: each rule is bound exactly as GRANT would bind it, and printed as
 * SHOW GRANTS prints it. Rules equal in print are the same. */
#include "base/io.h"
#include "base/mem.h"
#include "query/plan/policy_int.h"
#include "query/query_int.h"
#include "sql/scan.h"

#define POLICY_FILE_BYTES_MAX (1u << 20)

struct bound_set {
    struct grant *grants;
    struct slice *texts; /* "GRANT SELECT ON ..." of each */
    size_t count;
};

static enum err at_line(const char *path, unsigned line, enum err err, struct errinfo *info)
{
    if (info != NULL) {
        char place[256];
        const char *slash = strrchr(path, '/');
        (void)snprintf(place, sizeof(place), "In \"%s\", line %u. ",
                       slash == NULL ? path : slash + 1, line);
        char detail[ERRINFO_DETAIL_BYTES];
        (void)snprintf(detail, sizeof(detail), "%s", info->detail);
        errinfo_detail(info, "%s%s", place, detail);
        info->position = 0;
    }
    return err;
}

static enum err bind_rule_columns(const struct policy_rule *rule, const struct relation *relation,
                                  struct arena *arena, struct grant *out, struct errinfo *info)
{
    uint32_t *ids = arena_calloc(arena, rule->column_count + 1, sizeof(*ids));
    if (ids == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < rule->column_count; i++) {
        const struct relation_column *column;
        TRY(bind_column(relation, rule->columns[i], 0, &column, info));
        ids[i] = column->id;
    }
    out->column_ids = ids;
    out->column_count = rule->column_count;
    out->all_columns = rule->column_count == 0;
    return ERR_OK;
}

static enum err bind_rule_masks(struct session *session, const struct policy_rule *rule,
                                const struct relation *relation, struct arena *arena,
                                struct grant *out, struct errinfo *info)
{
    struct grant_mask *masks = arena_calloc(arena, rule->mask_count + 1, sizeof(*masks));
    if (masks == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < rule->mask_count; i++) {
        const struct relation_column *column;
        TRY(bind_column(relation, rule->masks[i].name, 0, &column, info));
        bool is_granted = out->all_columns;
        for (size_t c = 0; c < out->column_count; c++) {
            is_granted = is_granted || out->column_ids[c] == column->id;
        }
        if (!is_granted) {
            return errinfo_set(info, ERR_INVALID, NULL, "column \"%.*s\" is masked but not granted",
                               SLICE_ARGS(column->name));
        }
        masks[i].column_id = column->id;
        TRY(bind_expression(session, relation, column, rule->masks[i].value, 0, arena,
                            &masks[i].expression, info));
    }
    out->masks = masks;
    out->mask_count = rule->mask_count;
    return ERR_OK;
}

/* As the store keeps it: SELECT, and rights to write, each by itself. */
static enum err bind_part(struct session *session, const struct policy_rule *rule,
                          const struct relation *relation, unsigned privileges, struct arena *arena,
                          struct bound_set *set, struct errinfo *info)
{
    struct grant *out = &set->grants[set->count];
    *out = (struct grant){
        .effect = rule->effect,
        .privileges = privileges,
        .all_columns = true,
        .grantee_kind = rule->grantee_is_role ? GRANTEE_ROLE : GRANTEE_USER,
        .grantee = rule->grantee,
        .object_uuid = relation->uuid,
    };
    if (privileges == PRIVILEGE_SELECT) {
        TRY(bind_rule_columns(rule, relation, arena, out, info));
        TRY(bind_rule_masks(session, rule, relation, arena, out, info));
    }
    if (privileges == PRIVILEGE_SELECT && rule->rows.len > 0) {
        TRY(bind_expression(session, relation, NULL, rule->rows, 0, arena, &out->rows, info));
    }
    return print_grant(session, out, relation, arena, &set->texts[set->count++], info);
}

static enum err bind_rule(struct session *session, const struct policy_rule *rule,
                          struct arena *arena, struct bound_set *set, struct errinfo *info)
{
    struct relation *relation = arena_calloc(arena, 1, sizeof(*relation));
    unsigned writes = rule->privileges & PRIVILEGE_WRITE;
    if (relation == NULL) {
        return errinfo_nomem(info);
    }
    TRY(resolve_for_admin(session, &rule->object, arena, relation, info));
    TRY(grant_check_object(relation, rule->privileges, info));
    if ((rule->privileges & PRIVILEGE_SELECT) != 0) {
        TRY(bind_part(session, rule, relation, PRIVILEGE_SELECT, arena, set, info));
    }
    return writes == 0 ? ERR_OK : bind_part(session, rule, relation, writes, arena, set, info);
}

static enum err bind_file(struct session *session, const struct policy_file *file, const char *path,
                          struct arena *arena, struct bound_set *out, struct errinfo *info)
{
    out->grants = arena_calloc(arena, 2 * file->rule_count + 1, sizeof(*out->grants));
    out->texts = arena_calloc(arena, 2 * file->rule_count + 1, sizeof(*out->texts));
    if (out->grants == NULL || out->texts == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < file->rule_count; i++) {
        enum err err = bind_rule(session, &file->rules[i], arena, out, info);
        if (err != ERR_OK) {
            return at_line(path, file->rules[i].line, err, info);
        }
    }
    return ERR_OK;
}

/* The relation that a stored grant is on; NULL: gone, or none (a schema). */
static enum err find_granted(const struct system_relation *relations, size_t relation_count,
                             const struct catalog_visible *visible, size_t visible_count,
                             struct slice uuid, struct arena *arena,
                             const struct relation **ret_relation, struct errinfo *info)
{
    const struct relation *relation = NULL;
    for (size_t i = 0; i < relation_count; i++) {
        if (slice_equal(relations[i].relation.uuid, uuid)) {
            relation = &relations[i].relation;
        }
    }
    for (size_t i = 0; i < visible_count; i++) {
        if (slice_equal(visible[i].relation->uuid, uuid)) {
            relation = visible[i].relation;
        }
    }
    const struct sql_name *name;
    for (size_t s = 0; relation == NULL && (name = catalog_system_at(s)) != NULL; s++) {
        struct relation *made = arena_calloc(arena, 1, sizeof(*made));
        if (made == NULL) {
            return errinfo_nomem(info);
        }
        TRY(catalog_system_load(name, NULL, arena, made, info));
        relation = slice_equal(made->uuid, uuid) ? made : NULL;
    }
    *ret_relation = relation;
    return ERR_OK;
}

/* What the store has now, printed alike; grants on what is gone are printed by their object. */
static enum err load_present(struct session *session, struct arena *arena, struct bound_set *out,
                             struct errinfo *info)
{
    struct system *system = session->warehouse->system;
    struct system_relation *relations;
    struct catalog_visible *visible; /* tables of attached catalogs, which the store has not */
    size_t relation_count, visible_count;
    TRY(system_grants(system, session->who, (struct slice){"", 0}, arena, &out->grants, &out->count,
                      info));
    TRY(system_relations(system, session->who, arena, &relations, &relation_count, info));
    TRY(resolve_visible(session, session->who, arena, &visible, &visible_count, info));
    out->texts = arena_calloc(arena, out->count + 1, sizeof(*out->texts));
    if (out->texts == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < out->count; i++) {
        const struct relation *relation;
        TRY(find_granted(relations, relation_count, visible, visible_count,
                         out->grants[i].object_uuid, arena, &relation, info));
        if (relation != NULL) {
            TRY(print_grant(session, &out->grants[i], relation, arena, &out->texts[i], info));
        }
    }
    return ERR_OK;
}

static bool contains(const struct bound_set *set, struct slice text, enum grant_effect effect)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->grants[i].effect == effect && slice_equal(set->texts[i], text)) {
            return true;
        }
    }
    return false;
}

static size_t write_missing(const struct bound_set *of, const struct bound_set *in, char sign,
                            struct buf *report)
{
    size_t count = 0;
    for (size_t i = 0; i < of->count; i++) {
        if (of->texts[i].len > 0 && !contains(in, of->texts[i], of->grants[i].effect)) {
            buf_printf(report, "%c %s ", sign,
                       of->grants[i].effect == GRANT_DENY ? "DENY" : "GRANT");
            buf_append_slice(report, of->texts[i]);
            buf_append_char(report, '\n');
            count++;
        }
    }
    return count;
}

static enum err apply(struct session *session, const struct bound_set *wanted,
                      const struct bound_set *present, struct slice statement, struct arena *arena,
                      struct errinfo *info)
{
    /* Privileges that a file does not speak of (CREATE on schemas) stay. */
    struct grant *all = arena_calloc(arena, wanted->count + present->count + 1, sizeof(*all));
    if (all == NULL) {
        return errinfo_nomem(info);
    }
    size_t count = 0;
    for (size_t i = 0; i < present->count; i++) {
        if (present->texts[i].len == 0) {
            all[count++] = present->grants[i];
        }
    }
    for (size_t i = 0; i < wanted->count; i++) {
        all[count++] = wanted->grants[i];
    }
    char id[UUID_TEXT_BYTES];
    TRY(uuid_new(id));
    struct audit_record record = {.kind = AUDIT_POLICY,
                                  .query_id = slice_of(id),
                                  .who = session->who,
                                  .statement = statement,
                                  .state = SLICE("STARTED"),
                                  .sqlstate = SLICE("00000"),
                                  .command = SLICE("POLICY APPLY")};
    TRY(audit_write(session->warehouse->audit, &record, info));
    enum err err =
        system_grants_replace(session->warehouse->system, session->who, all, count, info);
    record.state = err == ERR_OK ? SLICE("DONE") : SLICE("FAILED");
    record.sqlstate = slice_of(err == ERR_OK ? "00000" : err_sqlstate(err));
    enum err audited = audit_write(session->warehouse->audit, &record, err == ERR_OK ? info : NULL);
    return err != ERR_OK ? err : audited;
}

enum err session_policy_file(struct session *session, const char *path, enum policy_action action,
                             struct buf *ret_report, size_t *ret_changes, struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "policy file", (size_t)256 << 20);
    struct slice yaml;
    struct policy_file file;
    struct bound_set wanted = {0};
    struct bound_set present = {0};
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(session_check(session, info));
    if (!resolve_is_admin(session->who)) {
        return errinfo_set(info, ERR_DENIED, NULL, "policy files are for the warehouse's owner");
    }
    TRY(io_read_file(arena, path, POLICY_FILE_BYTES_MAX, &yaml, info));
    TRY(policy_file_parse(yaml, path, arena, &file, info));
    TRY(bind_file(session, &file, path, arena, &wanted, info));
    *ret_changes = 0;
    if (action == POLICY_VALIDATE) {
        return ERR_OK;
    }
    TRY(load_present(session, arena, &present, info));
    size_t changes = write_missing(&present, &wanted, '-', ret_report);
    changes += write_missing(&wanted, &present, '+', ret_report);
    if (buf_failed(ret_report)) {
        return errinfo_nomem(info);
    }
    if (action == POLICY_APPLY && changes > 0) {
        TRY(apply(session, &wanted, &present, buf_slice(ret_report), arena, info));
    }
    *ret_changes = changes;
    return ERR_OK;
}
