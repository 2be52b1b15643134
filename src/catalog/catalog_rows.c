/* The rows of the system relations, one generator each. Nothing is shown but what `input->who` may
 * know: relations come only from `input->visible`, which policy made. */
#include "base/clock.h"
#include "base/json.h"
#include "catalog/catalog_int.h"
#include "sql/functions.h"
#include "system/transaction.h"

static enum err finish(const struct buf *out, struct errinfo *info)
{
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

bool catalog__may_administer(const struct identity *who, const struct relation *relation)
{
    return catalog__is_admin(who) || slice_equal_fold(relation->owner, identity_subject(who));
}

/* ---- which schemas and system relations a person knows of ---- */

static bool knows_schema(const struct catalog_system_input *input,
                         const struct system_schema *schema)
{
    if (catalog__is_admin(input->who) || slice_equal(schema->name, SLICE(SQL_SCHEMA_DEFAULT)) ||
        slice_equal_fold(schema->owner, identity_subject(input->who))) {
        return true;
    }
    for (size_t i = 0; i < input->visible_count; i++) {
        const struct sql_name *name = &input->visible[i].relation->name;
        if (slice_equal(name->catalog, SLICE(SQL_CATALOG_DEFAULT)) &&
            slice_equal_fold(name->schema, schema->name)) {
            return true;
        }
    }
    return false;
}

static struct sql_name own_schema(struct slice name)
{
    return (struct sql_name){.catalog = SLICE(SQL_CATALOG_DEFAULT), .schema = name};
}

enum err catalog__known_schemas(const struct catalog_system_input *input, struct arena *arena,
                                struct catalog_namespace **ret_schemas, size_t *ret_count,
                                struct errinfo *info)
{
    struct system_schema *schemas;
    size_t count;
    size_t known = 0;
    struct slice owner = system_owner(input->system);
    TRY(system_schemas(input->system, input->who, arena, &schemas, &count, info));
    struct catalog_namespace *all =
        arena_calloc(arena, count + input->namespace_count + 3, sizeof(*all));
    if (all == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        if (knows_schema(input, &schemas[i])) {
            all[known++] =
                (struct catalog_namespace){own_schema(schemas[i].name), schemas[i].owner};
        }
    }
    all[known++] = (struct catalog_namespace){own_schema(SLICE(SQL_SCHEMA_INFORMATION)), owner};
    all[known++] = (struct catalog_namespace){own_schema(SLICE(SQL_SCHEMA_SYSTEM)), owner};
    all[known++] = (struct catalog_namespace){own_schema(SLICE(SQL_SCHEMA_PG)), owner};
    for (size_t i = 0; i < input->namespace_count; i++) {
        all[known++] = input->namespaces[i];
    }
    *ret_schemas = all;
    *ret_count = known;
    return ERR_OK;
}

bool catalog__is_grantee(const struct identity *who, const struct grant *grant)
{
    return grant->grantee_kind == GRANTEE_ROLE
               ? identity_has_role(who, grant->grantee)
               : slice_equal_fold(identity_subject(who), grant->grantee);
}

enum err catalog__knows_system(const struct catalog_system_input *input,
                               const struct system_shape *shape, struct arena *arena,
                               bool *ret_knows, struct errinfo *info)
{
    bool knows = !shape->needs_grant || catalog__is_admin(input->who);
    if (!knows) {
        struct grant *grants;
        size_t count;
        TRY(system_grants(input->system, input->who, slice_of(shape->uuid), arena, &grants, &count,
                          info));
        for (size_t i = 0; i < count; i++) {
            knows = knows || (grants[i].effect == GRANT_ALLOW &&
                              catalog__is_grantee(input->who, &grants[i]));
        }
    }
    *ret_knows = knows;
    return ERR_OK;
}

/* ---- moat_system, what everybody may read of their own ---- */

static struct slice kind_name(const struct relation *relation)
{
    switch (relation->kind) {
    case RELATION_TABLE:
    case RELATION_TEMP:
        return SLICE("table");
    case RELATION_VIEW:
        return SLICE("view");
    case RELATION_SYSTEM:
        return SLICE("system");
    case RELATION_PATH:
        return SLICE("path");
    }
    return SLICE("");
}

static struct slice format_name(const struct relation *relation)
{
    static const char *const names[] = {
        [FORMAT_PARQUET] = "parquet", [FORMAT_CSV] = "csv", [FORMAT_JSON] = "json"};
    if (relation->lake != NULL && relation->kind == RELATION_TABLE) {
        return SLICE("iceberg");
    }
    return relation->kind == RELATION_TABLE ? slice_of(names[relation->format]) : SLICE("");
}

static const struct system_relation *find_relation(const struct system_relation *relations,
                                                   size_t count, struct slice uuid)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(relations[i].relation.uuid, uuid)) {
            return &relations[i];
        }
    }
    return NULL;
}

enum err catalog__rows_tables(const struct catalog_system_input *input, struct arena *arena,
                              struct buf *out, struct errinfo *info)
{
    struct system_relation *relations;
    size_t count;
    TRY(system_relations(input->system, input->who, arena, &relations, &count, info));
    for (size_t i = 0; i < input->visible_count; i++) {
        const struct relation *relation = input->visible[i].relation;
        const struct system_relation *registered = find_relation(relations, count, relation->uuid);
        catalog__row_begin(out);
        catalog__row_text(out, "schema", relation->name.schema);
        catalog__row_text(out, "name", relation->name.name);
        catalog__row_text(out, "kind", kind_name(relation));
        catalog__row_text_or_null(out, "format", format_name(relation));
        catalog__row_text(out, "owner", relation->owner);
        catalog__row_text_or_null(out, "comment",
                                  registered != NULL ? registered->comment : relation->comment);
        catalog__row_text(out, "uuid", relation->uuid);
        catalog__row_text(out, "catalog", relation->name.catalog);
        catalog__row_end(out);
    }
    return finish(out, info);
}

struct slice catalog__column_comment(const struct relation *relation, uint32_t id)
{
    for (size_t i = 0; relation->column_comments != NULL && i < relation->column_count; i++) {
        if (relation->columns[i].id == id) {
            return relation->column_comments[i];
        }
    }
    return (struct slice){0};
}

/* Those of one relation stand together. */
static size_t first_comment(const struct system_comment *comments, size_t count, struct slice uuid)
{
    size_t i = 0;
    while (i < count && !slice_equal(comments[i].uuid, uuid)) {
        i++;
    }
    return i;
}

enum err catalog__rows_columns(const struct catalog_system_input *input, struct arena *arena,
                               struct buf *out, struct errinfo *info)
{
    struct system_comment *comments;
    size_t comment_count;
    TRY(system_column_comments(input->system, input->who, arena, &comments, &comment_count, info));
    for (size_t i = 0; i < input->visible_count; i++) {
        const struct catalog_visible *visible = &input->visible[i];
        size_t first = first_comment(comments, comment_count, visible->relation->uuid);
        for (size_t c = 0; c < visible->column_count; c++) {
            catalog__row_begin(out);
            catalog__row_text(out, "schema", visible->relation->name.schema);
            catalog__row_text(out, "table_name", visible->relation->name.name);
            catalog__row_number(out, "position", c + 1);
            catalog__row_text(out, "name", visible->columns[c]->name);
            catalog__row_text(out, "type", visible->columns[c]->type);
            catalog__row_text(out, "catalog", visible->relation->name.catalog);
            struct slice comment =
                catalog__column_comment(visible->relation, visible->columns[c]->id);
            for (size_t k = first;
                 k < comment_count && slice_equal(comments[k].uuid, visible->relation->uuid); k++) {
                bool is_of = comments[k].column_id == visible->columns[c]->id;
                comment = is_of ? comments[k].comment : comment;
            }
            catalog__row_text_or_null(out, "comment", comment);
            catalog__row_end(out);
        }
    }
    return finish(out, info);
}

enum err catalog__rows_schemas(const struct catalog_system_input *input, struct arena *arena,
                               struct buf *out, struct errinfo *info)
{
    struct catalog_namespace *schemas;
    size_t count;
    TRY(catalog__known_schemas(input, arena, &schemas, &count, info));
    for (size_t i = 0; i < count; i++) {
        catalog__row_begin(out);
        catalog__row_text(out, "name", schemas[i].name.schema);
        catalog__row_text(out, "owner", schemas[i].owner);
        catalog__row_text(out, "catalog", schemas[i].name.catalog);
        catalog__row_end(out);
    }
    return finish(out, info);
}

enum err catalog__rows_catalogs(const struct catalog_system_input *input, struct arena *arena,
                                struct buf *out, struct errinfo *info)
{
    struct system_catalog *catalogs;
    size_t count;
    TRY(system_catalogs(input->system, input->who, arena, &catalogs, &count, info));
    for (size_t i = 0; i < count; i++) {
        catalog__row_begin(out);
        catalog__row_text(out, "name", catalogs[i].name);
        catalog__row_text(out, "type", catalogs[i].type);
        catalog__row_text(out, "location", catalogs[i].location);
        catalog__row_key(out, "options");
        for (size_t o = 0; o < catalogs[i].option_count; o++) {
            buf_append_char(out, o == 0 ? '{' : ',');
            json_write_string(out, catalogs[i].options[o].name);
            buf_append_char(out, ':');
            json_write_string(out, catalogs[i].options[o].value);
        }
        buf_append_str(out, catalogs[i].option_count == 0 ? "{}" : "}");
        catalog__row_text(out, "owner", catalogs[i].owner);
        catalog__row_end(out);
    }
    return finish(out, info);
}

enum err catalog__rows_settings(const struct catalog_system_input *input,
                                UNUSED struct arena *arena, struct buf *out, struct errinfo *info)
{
    if (input->settings_json != NULL) {
        buf_append_slice(out, *input->settings_json);
    }
    return finish(out, info);
}

enum err catalog__rows_functions(UNUSED const struct catalog_system_input *input,
                                 UNUSED struct arena *arena, struct buf *out, struct errinfo *info)
{
    static const char *const classes[] = {
        [FUNCTION_SCALAR] = "scalar",   [FUNCTION_AGGREGATE] = "aggregate",
        [FUNCTION_WINDOW] = "window",   [FUNCTION_TABLE] = "table",
        [FUNCTION_CONTEXT] = "context", [FUNCTION_READER] = "reader",
        [FUNCTION_MASK] = "mask",       [FUNCTION_MACRO] = "catalog",
        [FUNCTION_REFUSED] = NULL,
    };
    const struct sql_function *function;
    for (size_t i = 0; (function = sql_function_at(i)) != NULL; i++) {
        if (classes[function->class] != NULL) {
            catalog__row_begin(out);
            catalog__row_text(out, "name", slice_of(function->name));
            catalog__row_text(out, "class", slice_of(classes[function->class]));
            catalog__row_end(out);
        }
    }
    return finish(out, info);
}

/* Every role for those who administer them; one's own for others. */
enum err catalog__rows_roles(const struct catalog_system_input *input, struct arena *arena,
                             struct buf *out, struct errinfo *info)
{
    bool is_admin =
        identity_is_owner(input->who) || identity_has_role(input->who, SLICE(SYSTEM_ROLE_ADMIN));
    struct slice *roles = NULL;
    size_t count = identity_role_count(input->who);
    if (is_admin) {
        TRY(system_roles(input->system, input->who, arena, &roles, &count, info));
    }
    for (size_t i = 0; i < count; i++) {
        catalog__row_begin(out);
        catalog__row_text(out, "name", roles != NULL ? roles[i] : identity_role(input->who, i));
        catalog__row_end(out);
    }
    return finish(out, info);
}

enum err catalog__rows_attributes(const struct catalog_system_input *input,
                                  UNUSED struct arena *arena, struct buf *out, struct errinfo *info)
{
    for (size_t i = 0; i < identity_attribute_count(input->who); i++) {
        struct identity_attribute attribute = identity_attribute_at(input->who, i);
        catalog__row_begin(out);
        catalog__row_text(out, "name", attribute.name);
        catalog__row_text(out, "value", attribute.value);
        catalog__row_end(out);
    }
    return finish(out, info);
}

/* ---- moat_system, what needs a grant ---- */

/* The store shows its people only to administrators. Who was granted one of these relations reads
 * it with the owner's rights, as in a definer's view: policy has decided by now, and filters
 * above. */
static enum err reader_of_people(const struct catalog_system_input *input,
                                 struct identity **ret_reader, struct errinfo *info)
{
    if (catalog__is_admin(input->who)) {
        *ret_reader = identity_ref((struct identity *)(uintptr_t)input->who);
        return ERR_OK;
    }
    return system_login(input->system, system_owner(input->system), SLICE(""), SLICE("definer"),
                        identity_client(input->who), ret_reader, info);
}

enum err catalog__rows_users(const struct catalog_system_input *input, struct arena *arena,
                             struct buf *out, struct errinfo *info)
{
    struct identity *reader CLEANUP(identity_cleanup) = NULL;
    struct system_user *users;
    size_t count;
    TRY(reader_of_people(input, &reader, info));
    TRY(system_users(input->system, reader, arena, &users, &count, info));
    for (size_t i = 0; i < count; i++) {
        catalog__row_begin(out);
        catalog__row_text(out, "name", users[i].name);
        catalog__row_bool(out, "is_owner", users[i].is_owner);
        catalog__row_bool(out, "has_password", users[i].verifier.len > 0);
        catalog__row_key(out, "attributes");
        for (size_t a = 0; a < users[i].attribute_count; a++) {
            buf_append_char(out, a == 0 ? '{' : ',');
            json_write_string(out, users[i].attributes[a].name);
            buf_append_char(out, ':');
            json_write_string(out, users[i].attributes[a].value);
        }
        buf_append_str(out, users[i].attribute_count == 0 ? "{}" : "}");
        catalog__row_end(out);
    }
    return finish(out, info);
}

enum err catalog__rows_members(const struct catalog_system_input *input, struct arena *arena,
                               struct buf *out, struct errinfo *info)
{
    struct identity *reader CLEANUP(identity_cleanup) = NULL;
    struct system_member *members;
    size_t count;
    TRY(reader_of_people(input, &reader, info));
    TRY(system_members(input->system, reader, arena, &members, &count, info));
    for (size_t i = 0; i < count; i++) {
        catalog__row_begin(out);
        catalog__row_text(out, "role", members[i].role);
        catalog__row_text(out, "member", members[i].member);
        catalog__row_bool(out, "member_is_role", members[i].member_is_role);
        catalog__row_end(out);
    }
    return finish(out, info);
}

static struct slice column_name(const struct relation *relation, uint32_t id)
{
    for (size_t i = 0; relation != NULL && i < relation->column_count; i++) {
        if (relation->columns[i].id == id) {
            return relation->columns[i].name;
        }
    }
    return SLICE("(dropped)");
}

static void print_grant_columns(struct buf *out, const struct grant *grant,
                                const struct relation *relation)
{
    if (!grant->all_columns) {
        catalog__row_key(out, "columns");
        buf_append_char(out, '[');
        for (size_t i = 0; i < grant->column_count; i++) {
            buf_append_str(out, i == 0 ? "" : ",");
            json_write_string(out, column_name(relation, grant->column_ids[i]));
        }
        buf_append_char(out, ']');
    }
    catalog__row_bool(out, "has_rows", grant->rows.len > 0);
    catalog__row_key(out, "masked");
    buf_append_char(out, '[');
    for (size_t i = 0; i < grant->mask_count; i++) {
        buf_append_str(out, i == 0 ? "" : ",");
        json_write_string(out, column_name(relation, grant->masks[i].column_id));
    }
    buf_append_char(out, ']');
}

const char *catalog__privilege(unsigned bit)
{
    switch ((enum privilege)bit) {
    case PRIVILEGE_SELECT:
        return "SELECT";
    case PRIVILEGE_CREATE:
        return "CREATE";
    case PRIVILEGE_INSERT:
        return "INSERT";
    case PRIVILEGE_UPDATE:
        return "UPDATE";
    case PRIVILEGE_DELETE:
        return "DELETE";
    case PRIVILEGE_WRITE:
    case PRIVILEGE_ALL:
        break;
    }
    ASSERT(false);
}

static void print_grant(struct buf *out, const struct grant *grant, const struct relation *relation)
{
    char time[CLOCK_TEXT_BYTES];
    catalog__row_begin(out);
    catalog__row_number(out, "id", grant->id);
    catalog__row_text(out, "effect", grant->effect == GRANT_ALLOW ? SLICE("ALLOW") : SLICE("DENY"));
    catalog__row_key(out, "privileges");
    const char *before = "[";
    for (unsigned bit = 1; bit <= PRIVILEGE_ALL; bit <<= 1) {
        if ((grant->privileges & bit) != 0) {
            buf_printf(out, "%s\"%s\"", before, catalog__privilege(bit));
            before = ",";
        }
    }
    buf_append_char(out, ']');
    catalog__row_text(out, "grantee_kind",
                      grant->grantee_kind == GRANTEE_ROLE ? SLICE("ROLE") : SLICE("USER"));
    catalog__row_text(out, "grantee", grant->grantee);
    if (relation != NULL) {
        catalog__row_key(out, "object");
        struct buf name CLEANUP(buf_fini) = {0};
        buf_append_slice(&name, relation->name.schema);
        buf_append_char(&name, '.');
        buf_append_slice(&name, relation->name.name);
        json_write_string(out, buf_slice(&name));
        out->failed = out->failed || buf_failed(&name);
    }
    catalog__row_text(out, "object_uuid", grant->object_uuid);
    print_grant_columns(out, grant, relation);
    catalog__row_text(out, "grantor", grant->grantor);
    catalog__row_text(out, "created_at", slice_of(clock_format_utc(grant->created_wall_us, time)));
    catalog__row_end(out);
}

enum err catalog__rows_grants(const struct catalog_system_input *input, struct arena *arena,
                              struct buf *out, struct errinfo *info)
{
    struct grant *grants;
    size_t grant_count;
    struct system_relation *relations;
    size_t relation_count;
    TRY(system_grants(input->system, input->who, SLICE(""), arena, &grants, &grant_count, info));
    TRY(system_relations(input->system, input->who, arena, &relations, &relation_count, info));
    for (size_t i = 0; i < grant_count; i++) {
        const struct system_relation *found =
            find_relation(relations, relation_count, grants[i].object_uuid);
        struct relation system_one = {0};
        for (size_t s = 0; found == NULL && s < catalog__shape_count; s++) {
            if (slice_equal(slice_of(catalog__shapes[s].uuid), grants[i].object_uuid)) {
                TRY(catalog_system_load(catalog_system_at(s), NULL, arena, &system_one, info));
            }
        }
        print_grant(out, &grants[i],
                    found != NULL                 ? &found->relation
                    : system_one.column_count > 0 ? &system_one
                                                  : NULL);
    }
    return finish(out, info);
}
