/* What one person may know of, with the numbers that PostgreSQL gives to everything.
 *
 * A number is the hash of what a thing is for its whole life (a relation's uuid, a name otherwise),
 * so that it stays the same from one session and machine to the next, and nothing can be counted by
 * it. Where two hashes are one, the later takes the next free number: among what this person may
 * see only, so that a gap tells nothing. Numbers below 16384 are PostgreSQL's own. */
#include "base/hash.h"
#include "catalog/pg_int.h"
#include "sql/scan.h"
#include "system/transaction.h"

#define OID_FIRST 16384u
#define OID_LAST 0x7fffffffu /* many clients read them as signed */

/* PostgreSQL's own schemas. */
#define OID_SCHEMA_PG 11
#define OID_SCHEMA_INFORMATION 13183
/* Its first superuser, who owns all that is built in. */
#define OID_OWNER 10

struct numbers {
    uint32_t *slots; /* 0 = free */
    size_t slot_count;
};

static uint32_t give_number(struct numbers *numbers, const char *kind, struct slice what)
{
    uint64_t hash = hash_xx64(what, hash_xx64(slice_of(kind), 0));
    uint32_t oid = OID_FIRST + (uint32_t)(hash % (OID_LAST - OID_FIRST));
    for (;;) {
        size_t at = oid % numbers->slot_count;
        while (numbers->slots[at] != 0 && numbers->slots[at] != oid) {
            at = (at + 1) % numbers->slot_count;
        }
        if (numbers->slots[at] == 0) {
            numbers->slots[at] = oid;
            return oid;
        }
        oid = oid == OID_LAST ? OID_FIRST : oid + 1;
    }
}

/* ---- schemas ---- */

static bool is_shared(struct slice schema)
{
    return slice_equal(schema, SLICE(SQL_SCHEMA_PG)) ||
           slice_equal(schema, SLICE(SQL_SCHEMA_INFORMATION)) ||
           slice_equal(schema, SLICE(SQL_SCHEMA_SYSTEM));
}

static enum err add_schemas(struct pg_model *model, struct numbers *numbers, struct arena *arena,
                            struct errinfo *info)
{
    const struct catalog_system_input *input = model->input;
    struct catalog_namespace *known;
    size_t known_count;
    TRY(catalog__known_schemas(input, arena, &known, &known_count, info));
    model->schema_count = known_count + (input->temp_count > 0);
    model->schemas = arena_calloc(arena, model->schema_count + 1, sizeof(*model->schemas));
    if (model->schemas == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < model->schema_count; i++) {
        struct pg_schema *schema = &model->schemas[i];
        bool is_temp = i == known_count;
        struct catalog_namespace own =
            is_temp ? (struct catalog_namespace){input->temps[0].name, identity_subject(input->who)}
                    : known[i];
        *schema =
            (struct pg_schema){.name = own.name, .shown = own.name.schema, .owner = own.owner};
        bool is_here = is_temp || is_shared(schema->shown) ||
                       slice_equal_fold(schema->name.catalog, input->default_catalog);
        schema->is_on_path =
            is_temp || (is_here && (slice_equal(schema->shown, SLICE(SQL_SCHEMA_PG)) ||
                                    slice_equal_fold(schema->shown, input->default_schema)));
        char *full = arena_printf(arena, "%.*s.%.*s", SLICE_ARGS(schema->name.catalog),
                                  SLICE_ARGS(schema->name.schema));
        if (full == NULL) {
            return errinfo_nomem(info);
        }
        schema->shown = is_here ? schema->shown : slice_of(full);
        for (size_t before = 0; before < i && schema->catalog_oid == 0; before++) {
            bool is_same = slice_equal(model->schemas[before].name.catalog, schema->name.catalog);
            schema->catalog_oid = is_same ? model->schemas[before].catalog_oid : 0;
        }
        schema->is_first = schema->catalog_oid == 0;
        if (schema->is_first) {
            schema->catalog_oid = give_number(numbers, "catalog", schema->name.catalog);
        }
        schema->oid = slice_equal(schema->shown, SLICE(SQL_SCHEMA_PG)) ? OID_SCHEMA_PG
                      : slice_equal(schema->shown, SLICE(SQL_SCHEMA_INFORMATION))
                          ? OID_SCHEMA_INFORMATION
                          : give_number(numbers, "schema", slice_of(full));
    }
    return ERR_OK;
}

static const struct pg_schema *find_schema(const struct pg_model *model,
                                           const struct sql_name *name)
{
    for (size_t i = 0; i < model->schema_count; i++) {
        const struct sql_name *own = &model->schemas[i].name;
        if (slice_equal_fold(own->schema, name->schema) &&
            slice_equal_fold(own->catalog, name->catalog)) {
            return &model->schemas[i];
        }
    }
    return NULL;
}

/* ---- people ---- */

uint32_t catalog__pg_person_find(const struct pg_model *model, struct slice name, bool is_user)
{
    for (size_t i = 0; i < model->person_count; i++) {
        if (model->people[i].is_user == is_user && slice_equal_fold(model->people[i].name, name)) {
            return model->people[i].oid;
        }
    }
    return 0;
}

static void add_person(struct pg_model *model, struct numbers *numbers, struct slice name,
                       bool is_user, bool is_owner, bool is_own)
{
    if (name.len == 0 || catalog__pg_person_find(model, name, is_user) != 0 ||
        (!is_user && slice_equal_fold(name, SLICE("public")))) {
        return; /* PostgreSQL has no row for PUBLIC either */
    }
    model->people[model->person_count++] = (struct pg_person){
        .oid = is_owner ? OID_OWNER : give_number(numbers, is_user ? "user" : "role", name),
        .name = name,
        .is_user = is_user,
        .is_owner = is_owner,
        .is_admin = !is_user && slice_equal(name, SLICE(SYSTEM_ROLE_ADMIN)),
        .is_own = is_own};
}

static void add_member(struct pg_model *model, struct slice role, struct slice member,
                       bool member_is_user)
{
    struct pg_membership membership = {catalog__pg_person_find(model, role, false),
                                       catalog__pg_person_find(model, member, member_is_user)};
    if (membership.role != 0 && membership.member != 0) {
        model->members[model->member_count++] = membership;
    }
}

/* Everybody for those who administer people; for others themself and their roles, and who owns what
 * they see. */
static enum err add_people(struct pg_model *model, struct numbers *numbers, struct arena *arena,
                           struct errinfo *info)
{
    const struct catalog_system_input *input = model->input;
    const struct identity *who = input->who;
    bool is_admin = catalog__is_admin(who);
    struct system_user *users = NULL;
    struct slice *roles = NULL;
    struct system_member *members = NULL;
    size_t user_count = 0;
    size_t role_count = 0;
    size_t member_count = 0;
    if (is_admin) {
        TRY(system_users(input->system, who, arena, &users, &user_count, info));
        TRY(system_roles(input->system, who, arena, &roles, &role_count, info));
        TRY(system_members(input->system, who, arena, &members, &member_count, info));
    }
    size_t own_count = identity_role_count(who);
    model->people = arena_calloc(
        arena, user_count + role_count + own_count + input->visible_count + model->schema_count + 2,
        sizeof(*model->people));
    model->members = arena_calloc(arena, member_count + own_count + 1, sizeof(*model->members));
    if (model->people == NULL || model->members == NULL) {
        return errinfo_nomem(info);
    }
    struct slice owner = system_owner(input->system);
    add_person(model, numbers, owner, true, true, identity_is_owner(who));
    add_person(model, numbers, identity_subject(who), true, identity_is_owner(who), true);
    for (size_t i = 0; i < own_count; i++) {
        add_person(model, numbers, identity_role(who, i), false, false, true);
        if (!is_admin) {
            add_member(model, identity_role(who, i), identity_subject(who), true);
        }
    }
    for (size_t i = 0; i < user_count; i++) {
        add_person(model, numbers, users[i].name, true, users[i].is_owner, false);
    }
    for (size_t i = 0; i < role_count; i++) {
        add_person(model, numbers, roles[i], false, false, false);
    }
    for (size_t i = 0; i < member_count; i++) {
        add_member(model, members[i].role, members[i].member, !members[i].member_is_role);
    }
    for (size_t i = 0; i < input->visible_count; i++) {
        add_person(model, numbers, input->visible[i].relation->owner, true, false, false);
    }
    for (size_t i = 0; i < model->schema_count; i++) {
        add_person(model, numbers, model->schemas[i].owner, true, false, false);
    }
    model->owner = catalog__pg_person_find(model, owner, true);
    return ERR_OK;
}

/* ---- relations ---- */

static int compare_uuid(const void *a, const void *b)
{
    const struct catalog_visible *const *left = a;
    const struct catalog_visible *const *right = b;
    return slice_compare((*left)->relation->uuid, (*right)->relation->uuid);
}

/* Whose session it is may do all with it. */
static enum err see_temp(const struct relation *table, struct arena *arena,
                         struct catalog_visible *ret_visible, struct errinfo *info)
{
    const struct relation_column **columns =
        arena_calloc(arena, table->column_count + 1, sizeof(*columns));
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < table->column_count; i++) {
        columns[i] = &table->columns[i];
    }
    *ret_visible = (struct catalog_visible){.relation = table,
                                            .columns = columns,
                                            .column_count = table->column_count,
                                            .writes = PRIVILEGE_WRITE};
    return ERR_OK;
}

static enum err add_visible(struct pg_model *model, struct numbers *numbers, struct arena *arena,
                            struct errinfo *info)
{
    const struct catalog_system_input *input = model->input;
    size_t count = input->visible_count + input->temp_count;
    const struct catalog_visible **sorted = arena_calloc(arena, count + 1, sizeof(*sorted));
    struct catalog_visible *temps = arena_calloc(arena, input->temp_count + 1, sizeof(*temps));
    if (sorted == NULL || temps == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < input->visible_count; i++) {
        sorted[i] = &input->visible[i];
    }
    for (size_t i = 0; i < input->temp_count; i++) {
        TRY(see_temp(&input->temps[i], arena, &temps[i], info));
        sorted[input->visible_count + i] = &temps[i];
    }
    qsort(sorted, count, sizeof(*sorted), compare_uuid);
    for (size_t i = 0; i < count; i++) {
        const struct relation *relation = sorted[i]->relation;
        const struct pg_schema *schema = find_schema(model, &relation->name);
        if (schema == NULL) {
            continue; /* its catalog could not be asked for its namespaces */
        }
        bool is_view = relation->kind == RELATION_VIEW;
        struct slice owner = relation->kind == RELATION_TEMP ? schema->owner : relation->owner;
        model->relations[model->relation_count++] =
            (struct pg_listed){.oid = give_number(numbers, "relation", relation->uuid),
                               .schema = schema,
                               .name = relation->name.name,
                               .owner = catalog__pg_person_find(model, owner, true),
                               .owner_name = owner,
                               .visible = sorted[i],
                               .is_view = is_view,
                               .rule = is_view ? give_number(numbers, "rule", relation->uuid) : 0,
                               .column_count = sorted[i]->column_count};
    }
    return ERR_OK;
}

/* Those of visible relations stand first, by uuid. */
static struct pg_listed *find_listed(const struct pg_model *model, struct slice uuid)
{
    size_t low = 0;
    size_t high = 0;
    while (high < model->relation_count && model->relations[high].visible != NULL) {
        high++;
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct pg_listed *listed = &model->relations[middle];
        int order = slice_compare(listed->visible->relation->uuid, uuid);
        if (order == 0) {
            return listed;
        }
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return NULL;
}

const struct pg_listed *catalog__pg_listed_find(const struct pg_model *model, struct slice uuid)
{
    return find_listed(model, uuid);
}

static enum err add_column_comments(struct pg_model *model, struct arena *arena,
                                    struct errinfo *info)
{
    struct system_comment *comments;
    size_t count;
    TRY(system_column_comments(model->input->system, model->input->who, arena, &comments, &count,
                               info));
    for (size_t i = 0, next; i < count; i = next) { /* those of one relation together */
        next = i + 1;
        while (next < count && slice_equal(comments[next].uuid, comments[i].uuid)) {
            next++;
        }
        struct pg_listed *listed = find_listed(model, comments[i].uuid);
        if (listed != NULL) {
            listed->comments = &comments[i];
            listed->comment_count = next - i;
        }
    }
    return ERR_OK;
}

static enum err add_comments(struct pg_model *model, struct arena *arena, struct errinfo *info)
{
    struct system_relation *registered;
    size_t count;
    TRY(system_relations(model->input->system, model->input->who, arena, &registered, &count,
                         info));
    for (size_t i = 0; i < count; i++) {
        struct pg_listed *listed = find_listed(model, registered[i].relation.uuid);
        if (listed != NULL) {
            listed->comment = registered[i].comment;
        }
    }
    return add_column_comments(model, arena, info);
}

static struct pg_listed listed_of(const struct pg_model *model, const char *schema,
                                  const char *name)
{
    struct sql_name at = {.catalog = SLICE(SQL_CATALOG_DEFAULT), .schema = slice_of(schema)};
    return (struct pg_listed){.schema = find_schema(model, &at),
                              .name = slice_of(name),
                              .owner = model->owner,
                              .owner_name = system_owner(model->input->system)};
}

static enum err add_own(struct pg_model *model, struct numbers *numbers, struct arena *arena,
                        struct errinfo *info)
{
    for (size_t i = 0; i < catalog__shape_count; i++) {
        const struct system_shape *shape = &catalog__shapes[i];
        bool knows;
        TRY(catalog__knows_system(model->input, shape, arena, &knows, info));
        if (knows) {
            struct pg_listed *listed = &model->relations[model->relation_count++];
            *listed = listed_of(model, shape->schema, shape->name);
            listed->oid = give_number(numbers, "relation", slice_of(shape->uuid));
            listed->shape = shape;
            listed->is_view = true;
            listed->column_count = shape->column_count;
        }
    }
    const struct pg_relation *relation;
    for (size_t i = 0; (relation = catalog__pg_relation_at(i)) != NULL; i++) {
        struct pg_listed *listed = &model->relations[model->relation_count++];
        *listed = listed_of(model, relation->schema, relation->name);
        listed->oid = relation->oid;
        listed->relation = relation;
        listed->is_view = relation->kind == 'v';
        listed->column_count = relation->column_count;
    }
    return ERR_OK;
}

static enum err build(const struct catalog_system_input *input, struct arena *arena,
                      struct pg_model *model, struct errinfo *info)
{
    *model = (struct pg_model){.input = input};
    size_t own_count = catalog__shape_count;
    while (catalog__pg_relation_at(own_count - catalog__shape_count) != NULL) {
        own_count++;
    }
    model->relations = arena_calloc(arena, input->visible_count + input->temp_count + own_count,
                                    sizeof(*model->relations));
    struct system_user *users;
    size_t user_count = 0;
    struct slice *roles;
    size_t role_count = 0;
    TRY(system_users(input->system, input->who, arena, &users, &user_count, info));
    TRY(system_roles(input->system, input->who, arena, &roles, &role_count, info));
    struct numbers numbers = {.slot_count =
                                  1024 + 4 * (3 * (input->visible_count + input->temp_count) +
                                              own_count + input->namespace_count + user_count +
                                              role_count + identity_role_count(input->who))};
    numbers.slots = arena_calloc(arena, numbers.slot_count, sizeof(*numbers.slots));
    if (model->relations == NULL || numbers.slots == NULL) {
        return errinfo_nomem(info);
    }
    TRY(add_schemas(model, &numbers, arena, info));
    TRY(add_people(model, &numbers, arena, info));
    TRY(add_visible(model, &numbers, arena, info));
    TRY(add_comments(model, arena, info));
    return add_own(model, &numbers, arena, info);
}

enum err catalog__pg_model_get(const struct catalog_system_input *input, struct arena *arena,
                               const struct pg_model **ret_model, struct errinfo *info)
{
    if (input->model != NULL && *input->model != NULL) {
        *ret_model = *input->model;
        return ERR_OK;
    }
    struct pg_model *model = arena_calloc(arena, 1, sizeof(*model));
    if (model == NULL) {
        return errinfo_nomem(info);
    }
    TRY(build(input, arena, model, info));
    if (input->model != NULL) {
        *input->model = model;
    }
    *ret_model = model;
    return ERR_OK;
}

struct pg_field catalog__pg_field_of(const struct pg_listed *listed, size_t index)
{
    if (listed->visible != NULL) {
        const struct relation_column *column = listed->visible->columns[index];
        return (struct pg_field){.name = column->name,
                                 .typed = catalog__pg_type_of(column->type),
                                 .engine_type = column->type};
    }
    if (listed->shape != NULL) {
        const struct system_column *column = &listed->shape->columns[index];
        return (struct pg_field){.name = slice_of(column->name),
                                 .typed = catalog__pg_type_of(slice_of(column->type)),
                                 .engine_type = slice_of(column->type)};
    }
    const struct pg_column *column = catalog__pg_column_of(listed->relation, index);
    const struct pg_type *type = catalog__pg_type_named(column->type);
    type = type == NULL ? catalog__pg_type_find(PG_TYPE_TEXT) : type; /* an array of rows */
    return (struct pg_field){.name = slice_of(column->name),
                             .typed = {type, -1, type->element != 0 && type->len == -1},
                             .is_required = column->is_required};
}

/* ---- names ---- */

void catalog__pg_print_word(struct buf *out, struct slice word)
{
    struct sql_name name = {.name = word};
    sql_print_name(out, &name);
}

void catalog__pg_print_name(struct buf *out, const struct pg_listed *listed, bool is_full)
{
    if (is_full || !listed->schema->is_on_path) {
        catalog__pg_print_word(out, listed->schema->shown);
        buf_append_char(out, '.');
    }
    catalog__pg_print_word(out, listed->name);
}

static void print_folded(struct buf *out, struct slice part)
{
    buf_append_str(out, out->len == 0 ? "" : ".");
    for (size_t i = 0; i < part.len; i++) {
        char ch = part.ptr[i];
        buf_append_char(out, ch >= 'A' && ch <= 'Z' ? (char)(ch + 32) : ch);
    }
}

bool catalog__pg_print_key(const struct pg_listed *listed, unsigned form, struct buf *out)
{
    const struct pg_schema *schema = listed->schema;
    bool is_full = !slice_equal(schema->shown, schema->name.schema); /* has its catalog already */
    unsigned first = schema->is_on_path ? 0 : 1;
    buf_reset(out);
    switch (form + first) {
    case 0:
        break;
    case 1:
        print_folded(out, schema->shown);
        break;
    case 2:
        if (is_full) {
            return false;
        }
        print_folded(out, schema->name.catalog);
        print_folded(out, schema->name.schema);
        break;
    default:
        return false;
    }
    print_folded(out, listed->name);
    return true;
}
