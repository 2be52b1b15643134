/* Names to readable relations: the only file that loads a relation for a query, and the only one
 * that decides whether a person may know of it. */
#include "base/hash.h"
#include "query/lake/lake_int.h"
#include "sql/scan.h"

bool resolve_is_admin(const struct identity *who)
{
    return identity_is_owner(who) || identity_has_role(who, SLICE(SYSTEM_ROLE_ADMIN));
}

bool resolve_may_administer(const struct identity *who, const struct relation *relation)
{
    return resolve_is_admin(who) || slice_equal_fold(relation->owner, identity_subject(who));
}

unsigned resolve_writes(const struct identity *who, const struct relation *relation,
                        const struct policy_effective *effective)
{
    bool is_written = relation->kind == RELATION_TABLE && relation->lake != NULL;
    if (!is_written || !effective->is_visible || effective->is_refused) {
        return 0;
    }
    return resolve_may_administer(who, relation) ? PRIVILEGE_WRITE & ~effective->denied_writes
                                                 : effective->writes;
}

bool resolve_is_own_schema(struct slice schema)
{
    return slice_equal_fold(schema, SLICE(SQL_SCHEMA_SYSTEM)) ||
           slice_equal_fold(schema, SLICE(SQL_SCHEMA_INFORMATION)) ||
           slice_equal_fold(schema, SLICE(SQL_SCHEMA_PG));
}

bool resolve_is_pg(struct slice name)
{
    const struct sql_name full = {SLICE(SQL_CATALOG_DEFAULT), SLICE(SQL_SCHEMA_PG), name};
    bool needs_grant;
    return catalog_system_find(&full, &needs_grant);
}

static enum err effective_of(struct session *session, const struct identity *who,
                             const struct relation *relation, struct arena *arena,
                             struct policy_effective *ret_effective, struct errinfo *info)
{
    struct grant *grants;
    size_t grant_count;
    if (session->raw_uuid.len > 0 && relation->lake != NULL &&
        slice_equal(session->raw_uuid, relation->uuid)) { /* our own text, of nobody's words */
        return resolve_give_all(relation, arena, ret_effective, info);
    }
    TRY(system_grants(session_store(session), who, relation->uuid, arena, &grants, &grant_count,
                      info));
    TRY(policy_effective(who, relation, grants, grant_count, arena, ret_effective, info));
    return lake_restrict(relation, arena, ret_effective, info);
}

/* ---- lists of what a person may see ---- */

struct visible_list {
    struct session *session;
    const struct identity *who;
    struct arena *arena;
    const struct resolve_wanted *wanted; /* NULL: all */
    struct grant *grants;                /* of all objects, one object's together, in their order */
    size_t grant_count;
    struct catalog_visible *items;
    size_t count;
    size_t capacity;
};

static int compare_grants(const void *a, const void *b)
{
    const struct grant *left = a;
    const struct grant *right = b;
    int order = slice_compare(left->object_uuid, right->object_uuid);
    return order != 0 ? order : (left->id > right->id) - (left->id < right->id);
}

/* Asked once for all: one question a relation is most of what a list of thousands would cost. */
static enum err load_grants(struct visible_list *list, struct errinfo *info)
{
    TRY(system_grants(session_store(list->session), list->who, SLICE(""), list->arena,
                      &list->grants, &list->grant_count, info));
    if (list->grant_count > 0) {
        qsort(list->grants, list->grant_count, sizeof(*list->grants), compare_grants);
    }
    return ERR_OK;
}

static size_t first_grant(const struct visible_list *list, struct slice uuid)
{
    size_t low = 0;
    size_t high = list->grant_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        bool is_before = slice_compare(list->grants[middle].object_uuid, uuid) < 0;
        low = is_before ? middle + 1 : low;
        high = is_before ? high : middle;
    }
    return low;
}

static enum err add_visible(struct visible_list *list, const struct relation *relation,
                            struct errinfo *info)
{
    struct policy_effective effective;
    size_t first = first_grant(list, relation->uuid);
    size_t count = 0;
    while (first + count < list->grant_count &&
           slice_equal(list->grants[first + count].object_uuid, relation->uuid)) {
        count++;
    }
    const struct grant *grants = count == 0 ? NULL : list->grants + first;
    TRY(policy_effective(list->who, relation, grants, count, list->arena, &effective, info));
    TRY(lake_restrict(relation, list->arena, &effective, info));
    if (!effective.is_visible) {
        return ERR_OK;
    }
    const struct relation_column **columns =
        arena_calloc(list->arena, effective.column_count + 1, sizeof(*columns));
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t c = 0; c < effective.column_count; c++) {
        columns[c] = effective.columns[c].column;
    }
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 64 : list->capacity * 2;
        struct catalog_visible *grown = arena_calloc(list->arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(info);
        }
        if (list->count > 0) {
            memcpy(grown, list->items, list->count * sizeof(*grown));
        }
        list->items = grown;
        list->capacity = capacity;
    }
    list->items[list->count++] =
        (struct catalog_visible){relation, columns, effective.column_count, effective.is_bound,
                                 resolve_writes(list->who, relation, &effective)};
    return ERR_OK;
}

/* A table that cannot be loaded is known to those who could mend it, by its name alone. */
static enum err add_attached_name(struct visible_list *list, const struct attached *attached,
                                  const struct catalog_iceberg_name *name, struct errinfo *info)
{
    struct lake_open open;
    struct relation *relation = arena_calloc(list->arena, 1, sizeof(*relation));
    struct errinfo ignored;
    if (relation == NULL) {
        return errinfo_nomem(info);
    }
    enum err err =
        lake_open(attached, list->who, name->ns, name->name, NULL, list->arena, &open, &ignored);
    if (err == ERR_OK) {
        err = lake_now(&open, list->arena, relation, &ignored);
    }
    if (err == ERR_NOMEM) {
        return errinfo_nomem(info);
    }
    if (err == ERR_OK) {
        return add_visible(list, relation, info);
    }
    if (!resolve_is_admin(list->who)) {
        return ERR_OK;
    }
    *relation = (struct relation){.kind = name->is_view ? RELATION_VIEW : RELATION_TABLE,
                                  .name = {attached->catalog.name, name->ns, name->name},
                                  .uuid = SLICE(LAKE_NO_IDENTITY),
                                  .owner = attached->owner};
    return add_visible(list, relation, info);
}

static bool is_wanted(const struct visible_list *list, const struct catalog_iceberg_name *name)
{
    const struct resolve_wanted *wanted = list->wanted;
    return wanted == NULL || ((wanted->schema.len == 0 || slice_equal(wanted->schema, name->ns)) &&
                              (wanted->name.len == 0 || slice_equal(wanted->name, name->name)));
}

/* A catalog elsewhere is asked for as many tables at once as the configuration says. */
static void begin_loads(struct visible_list *list, const struct attached *attached,
                        const struct catalog_iceberg_name *names, size_t count,
                        struct rest_ahead *ahead)
{
    static const struct lake_travel now;
    struct attached asked = *attached;
    asked.catalog.remote.ahead = ahead;
    for (size_t i = 0; i < count; i++) {
        lake_open_ahead(&asked, list->who, names[i].ns, names[i].name, &now);
    }
}

static enum err add_some(struct visible_list *list, const struct attached *attached,
                         const struct catalog_iceberg_name *names, size_t count,
                         struct errinfo *info)
{
    struct rest_ahead *ahead = NULL;
    struct attached asked = *attached;
    enum err err = ERR_OK;
    bool is_remote = catalog_iceberg_is_remote(&attached->catalog);
    if (is_remote && count > 1 && rest_ahead_new(attached->catalog.rest, &ahead, NULL) == ERR_OK) {
        begin_loads(list, attached, names, count, ahead);
    }
    asked.catalog.remote.ahead = ahead;
    for (size_t i = 0; err == ERR_OK && i < count; i++) {
        err = add_attached_name(list, is_remote ? &asked : attached, &names[i], info);
    }
    rest_ahead_free(ahead);
    return err;
}

/* A catalog that cannot be read hides what is in it, not what others hold. */
static enum err add_attached(struct visible_list *list, const struct attached *attached,
                             struct errinfo *info)
{
    struct catalog_iceberg_name *names;
    size_t count;
    size_t kept = 0;
    struct errinfo ignored;
    const struct resolve_wanted *wanted = list->wanted;
    if (wanted != NULL && wanted->catalog.len > 0 &&
        !slice_equal(wanted->catalog, attached->catalog.name)) {
        return ERR_OK;
    }
    enum err err = catalog_iceberg_names(&attached->catalog, list->who,
                                         wanted == NULL ? (struct slice){0} : wanted->schema,
                                         list->arena, &names, &count, &ignored);
    if (err == ERR_NOMEM) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; err == ERR_OK && i < count; i++) {
        if (is_wanted(list, &names[i])) {
            names[kept++] = names[i];
        }
    }
    bool is_remote = catalog_iceberg_is_remote(&attached->catalog);
    size_t room = is_remote ? rest_ahead_room(attached->catalog.rest) : 0;
    room = room == 0 ? 1 : room;
    for (size_t i = 0; err == ERR_OK && i < kept; i += room) {
        TRY(add_some(list, attached, names + i, kept - i < room ? kept - i : room, info));
    }
    return ERR_OK;
}

/* That the catalog does not answer, or takes no token of this session, is nothing of a table: who
 * has a grant is told which catalog it is. */
static bool is_of_catalog(const struct errinfo *info)
{
    return info != NULL &&
           (strncmp(info->sqlstate, "08", 2) == 0 || strcmp(info->sqlstate, "28000") == 0 ||
            strcmp(info->sqlstate, "53400") == 0 || info->code == ERR_CANCELLED);
}

/* Nobody but those who administer sees anything of a lake without some grant. */
static enum err has_grants(struct session *session, const struct identity *who, struct arena *arena,
                           bool *ret_has, struct errinfo *info)
{
    struct grant *grants;
    size_t count;
    *ret_has = resolve_is_admin(who);
    TRY(system_grants(session_store(session), who, SLICE(""), arena, &grants, &count, info));
    for (size_t i = 0; i < count && !*ret_has; i++) {
        *ret_has = grants[i].effect == GRANT_ALLOW &&
                   (grants[i].grantee_kind == GRANTEE_ROLE
                        ? identity_has_role(who, grants[i].grantee)
                        : slice_equal_fold(grants[i].grantee, identity_subject(who)));
    }
    return ERR_OK;
}

static enum err list_visible(struct session *session, const struct identity *who, bool asks_remote,
                             struct arena *arena, struct catalog_visible **ret_visible,
                             size_t *ret_count, struct errinfo *info)
{
    struct visible_list list = {
        .session = session, .who = who, .arena = arena, .wanted = session->wanted};
    struct system_relation *relations;
    size_t relation_count;
    TRY(load_grants(&list, info));
    TRY(system_relations(session_store(session), who, arena, &relations, &relation_count, info));
    for (size_t i = 0; i < relation_count; i++) {
        TRY(add_visible(&list, &relations[i].relation, info));
    }
    struct attached *attached;
    size_t attached_count;
    bool looks;
    TRY(attached_all(session, who, arena, &attached, &attached_count, info));
    TRY(has_grants(session, who, arena, &looks, info));
    for (size_t i = 0; looks && i < attached_count; i++) {
        if (asks_remote || !catalog_iceberg_is_remote(&attached[i].catalog)) {
            TRY(add_attached(&list, &attached[i], info));
        }
    }
    *ret_visible = list.items;
    *ret_count = list.count;
    return ERR_OK;
}

enum err resolve_visible(struct session *session, const struct identity *who, struct arena *arena,
                         struct catalog_visible **ret_visible, size_t *ret_count,
                         struct errinfo *info)
{
    return list_visible(session, who, true, arena, ret_visible, ret_count, info);
}

enum err resolve_catalogs(struct session *session, const struct identity *who, struct arena *arena,
                          struct slice **ret_names, size_t *ret_count, struct errinfo *info)
{
    struct attached *attached;
    struct catalog_visible *visible;
    size_t attached_count;
    size_t visible_count;
    size_t count = 0;
    bool has_some;
    TRY(attached_all(session, who, arena, &attached, &attached_count, info));
    TRY(list_visible(session, who, false, arena, &visible, &visible_count, info));
    TRY(has_grants(session, who, arena, &has_some, info));
    struct slice *names = arena_calloc(arena, attached_count + 1, sizeof(*names));
    if (names == NULL) {
        return errinfo_nomem(info);
    }
    names[count++] = SLICE(SQL_CATALOG_DEFAULT);
    for (size_t i = 0; i < attached_count; i++) {
        bool is_remote = catalog_iceberg_is_remote(&attached[i].catalog);
        bool knows = resolve_is_admin(who) || (is_remote && has_some);
        for (size_t v = 0; !knows && v < visible_count; v++) {
            knows = slice_equal(visible[v].relation->name.catalog, attached[i].catalog.name);
        }
        if (knows) {
            names[count++] = attached[i].catalog.name;
        }
    }
    *ret_names = names;
    *ret_count = count;
    return ERR_OK;
}

static bool knows_namespace(const struct catalog_visible *visible, size_t visible_count,
                            const struct sql_name *name)
{
    for (size_t i = 0; i < visible_count; i++) {
        const struct sql_name *of = &visible[i].relation->name;
        if (slice_equal(of->catalog, name->catalog) && slice_equal(of->schema, name->schema)) {
            return true;
        }
    }
    return false;
}

enum err resolve_namespaces(struct session *session, const struct identity *who,
                            const struct catalog_visible *visible, size_t visible_count,
                            struct arena *arena, struct catalog_namespace **ret_namespaces,
                            size_t *ret_count, struct errinfo *info)
{
    struct attached *attached;
    size_t attached_count;
    size_t count = 0;
    TRY(attached_all(session, who, arena, &attached, &attached_count, info));
    bool may_ask;
    TRY(has_grants(session, who, arena, &may_ask, info));
    struct slice **lists = arena_calloc(arena, attached_count + 1, sizeof(*lists));
    size_t *counts = arena_calloc(arena, attached_count + 1, sizeof(*counts));
    if (lists == NULL || counts == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < attached_count; i++) {
        struct errinfo ignored;
        if (!may_ask && catalog_iceberg_is_remote(&attached[i].catalog)) {
            continue;
        }
        enum err err = catalog_iceberg_namespaces(&attached[i].catalog, who, arena, &lists[i],
                                                  &counts[i], &ignored);
        if (err == ERR_NOMEM) {
            return errinfo_nomem(info);
        }
        counts[i] = err == ERR_OK ? counts[i] : 0;
        count += counts[i];
    }
    struct catalog_namespace *all = arena_calloc(arena, count + 1, sizeof(*all));
    if (all == NULL) {
        return errinfo_nomem(info);
    }
    count = 0;
    for (size_t i = 0; i < attached_count; i++) {
        for (size_t n = 0; n < counts[i]; n++) {
            struct sql_name name = {.catalog = attached[i].catalog.name, .schema = lists[i][n]};
            if (resolve_is_admin(who) || knows_namespace(visible, visible_count, &name)) {
                all[count++] = (struct catalog_namespace){name, attached[i].owner};
            }
        }
    }
    *ret_namespaces = all;
    *ret_count = count;
    return ERR_OK;
}

/* ---- names that lead nowhere ---- */

static bool is_moat(struct slice catalog)
{
    return catalog.len == 0 || slice_equal_fold(catalog, SLICE(SQL_CATALOG_DEFAULT));
}

/* As in a message, which has quotes of its own. */
static void print_plain(struct buf *out, const struct sql_name *name)
{
    if (!is_moat(name->catalog)) {
        buf_append_slice(out, name->catalog);
        buf_append_char(out, '.');
    }
    buf_append_slice(out, name->schema);
    buf_append_str(out, name->schema.len > 0 ? "." : "");
    buf_append_slice(out, name->name);
}

enum err(resolve_no_catalog)(struct session *session, const struct identity *who, struct slice name,
                             struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "suggestion", 0);
    struct attached *attached = NULL;
    size_t count = 0;
    const struct attached *nearest = NULL;
    unsigned best = 3;
    struct errinfo ignored;
    (void)errinfo_set(info, ERR_NOT_FOUND, "3D000", "catalog \"%.*s\" does not exist",
                      SLICE_ARGS(name));
    if (resolve_is_admin(who) && arena != NULL &&
        attached_all(session, who, arena, &attached, &count, &ignored) == ERR_OK) {
        for (size_t i = 0; i < count; i++) {
            unsigned distance = slice_edit_distance(attached[i].catalog.name, name, best);
            if (distance < best) {
                best = distance;
                nearest = &attached[i];
            }
        }
    }
    if (nearest != NULL) {
        errinfo_hint(info, "Did you mean \"%.*s\"?", SLICE_ARGS(nearest->catalog.name));
    } else {
        errinfo_hint(info, "SHOW CATALOGS lists those that you may know of.");
    }
    return ERR_NOT_FOUND;
}

/* Who has some grant may know what catalogs there are elsewhere: which of their tables it is for
 * is not known without asking all of them. */
static bool knows_remote(struct session *session, const struct identity *who, struct slice name,
                         struct arena *arena)
{
    const struct attached *attached = NULL;
    struct errinfo ignored;
    bool has_some = false;
    return attached_find(session, who, name, arena, &attached, &ignored) == ERR_OK &&
           attached != NULL && catalog_iceberg_is_remote(&attached->catalog) &&
           has_grants(session, who, arena, &has_some, &ignored) == ERR_OK && has_some;
}

/* The one wording for "absent or not yours", with the nearest name the person may see.
 * PostgreSQL's word: programs look for it. */
static enum err not_found(struct session *session, const struct identity *who,
                          const struct sql_name *written, struct errinfo *info)
{
    struct buf name CLEANUP(buf_fini) = {0};
    print_plain(&name, written);
    (void)errinfo_set(info, ERR_NOT_FOUND, "42P01", "relation \"%s\" does not exist",
                      buf_cstr(&name));
    if (resolve_is_pg(written->name)) {
        return ERR_NOT_FOUND; /* the caller looks there next */
    }
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "suggestion", 0);
    struct catalog_visible *visible;
    size_t count;
    struct errinfo ignored;
    /* Catalogs elsewhere are not listed for a word of advice. */
    if (arena == NULL ||
        list_visible(session, who, false, arena, &visible, &count, &ignored) != ERR_OK) {
        return ERR_NOT_FOUND;
    }
    unsigned best = 3;
    const struct relation *nearest = NULL;
    bool knows_catalog = is_moat(written->catalog) || resolve_is_admin(who) ||
                         knows_remote(session, who, written->catalog, arena);
    for (size_t i = 0; i < count; i++) {
        knows_catalog =
            knows_catalog || slice_equal_fold(visible[i].relation->name.catalog, written->catalog);
        unsigned distance =
            slice_edit_distance(visible[i].relation->name.name, written->name, best);
        if (distance < best || (nearest == NULL && distance <= best)) {
            best = distance;
            nearest = visible[i].relation;
        }
    }
    if (!knows_catalog) { /* as one that is not there */
        return resolve_no_catalog(session, who, written->catalog, info);
    }
    if (nearest != NULL) {
        buf_reset(&name);
        print_plain(&name, &nearest->name);
        errinfo_hint(info, "Did you mean \"%s\"?", buf_cstr(&name));
    } else {
        errinfo_hint(info, "SHOW TABLES lists what you may read.");
    }
    return ERR_NOT_FOUND;
}

/* What system relations are made of, for one person. */
struct resolve_memo {
    const struct identity *who;
    struct catalog_system_input input;
    struct slice settings;
    struct pg_model *model;
    const struct resolve_wanted *wanted; /* what it has of attached catalogs */
    struct resolve_memo *next;
};

static enum err list_activity(void *context, const struct identity *who, struct arena *arena,
                              struct catalog_activity *ret_activity, struct errinfo *info)
{
    struct session *session = context;
    return clients_list(&session->warehouse->clients, who, session->client, arena, ret_activity,
                        info);
}

static enum err list_cursors(void *context, struct arena *arena,
                             struct catalog_cursor **ret_cursors, size_t *ret_count,
                             struct errinfo *info)
{
    const struct session *session = context;
    struct client_cursor *found = NULL;
    size_t count;
    TRY(client_list_cursors(session->client, arena, &found, &count, info));
    struct catalog_cursor *cursors = arena_calloc(arena, count + 1, sizeof(*cursors));
    if (cursors == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        cursors[i] = (struct catalog_cursor){.name = found[i].name,
                                             .statement = found[i].statement,
                                             .is_holdable = found[i].is_holdable,
                                             .is_binary = found[i].is_binary,
                                             .created_wall_us = found[i].created_wall_us};
    }
    *ret_cursors = cursors;
    *ret_count = count;
    return ERR_OK;
}

static void print_settings(void *context, struct buf *out)
{
    const struct session *session = context;
    client_print_settings(session->client, out);
}

/* Whoever a view reads as has none. */
static enum err list_temps(struct session *session, struct arena *arena,
                           struct catalog_system_input *input, struct errinfo *info)
{
    const struct temp_set *set = input->who == session->who ? session_temp_set(session) : NULL;
    size_t count = set == NULL ? 0 : set->count;
    struct relation *temps = arena_calloc(arena, count + 1, sizeof(*temps));
    if (temps == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        temps[i] = (struct relation){.kind = RELATION_TEMP,
                                     .name = {.catalog = input->default_catalog,
                                              .schema = SLICE(TEMP_SCHEMA),
                                              .name = set->tables[i]->name},
                                     .uuid = set->tables[i]->uuid,
                                     .columns = set->tables[i]->columns,
                                     .column_count = set->tables[i]->column_count};
    }
    input->temps = temps;
    input->temp_count = count;
    return ERR_OK;
}

static enum err make_input(struct session *session, const struct identity *who, struct arena *arena,
                           struct resolve_memo *memo, struct errinfo *info)
{
    struct slice *paths;
    size_t path_count;
    TRY(audit_files(session->warehouse->audit, who, arena, &paths, &path_count, info));
    struct buf lines CLEANUP(buf_fini) = {0};
    session_print_settings(session, NULL, &lines);
    if (buf_failed(&lines) || !arena_slice(arena, buf_slice(&lines), &memo->settings)) {
        return errinfo_nomem(info);
    }
    struct catalog_visible *visible;
    size_t visible_count;
    TRY(resolve_visible(session, who, arena, &visible, &visible_count, info));
    struct catalog_namespace *namespaces;
    size_t namespace_count;
    TRY(resolve_namespaces(session, who, visible, visible_count, arena, &namespaces,
                           &namespace_count, info));
    memo->who = who;
    memo->wanted = session->wanted;
    memo->input = (struct catalog_system_input){
        .system = session_store(session),
        .who = who,
        .visible = visible,
        .visible_count = visible_count,
        .namespaces = namespaces,
        .namespace_count = namespace_count,
        .audit_paths = paths,
        .audit_path_count = path_count,
        .settings_json = &memo->settings,
        .list_activity = list_activity,
        .list_cursors = list_cursors,
        .print_settings = print_settings,
        .activity_context = session,
        .model = &memo->model,
    };
    if (!arena_slice(arena, slice_of(session->default_catalog), &memo->input.default_catalog) ||
        !arena_slice(arena, slice_of(session->default_schema), &memo->input.default_schema)) {
        return errinfo_nomem(info);
    }
    return list_temps(session, arena, &memo->input, info);
}

/* A statement that joins many system relations asks for all that is visible once. */
static enum err find_memo(struct session *session, const struct identity *who, struct arena *arena,
                          struct resolve_memo **ret_memo, struct errinfo *info)
{
    bool is_kept = session->memo_arena == arena;
    struct resolve_memo *memo = is_kept ? session->memo : NULL;
    while (memo != NULL && (memo->who != who || memo->wanted != session->wanted)) {
        memo = memo->next;
    }
    if (memo == NULL) {
        memo = arena_calloc(arena, 1, sizeof(*memo));
        if (memo == NULL) {
            return errinfo_nomem(info);
        }
        TRY(make_input(session, who, arena, memo, info));
        if (is_kept) {
            memo->next = session->memo;
            session->memo = memo;
        }
    }
    *ret_memo = memo;
    return ERR_OK;
}

/* Everybody's rows of a system relation, as far as `who` may see them. */
static enum err load_system(struct session *session, const struct identity *who,
                            const struct sql_name *name, struct slice only, struct arena *arena,
                            struct relation *ret_relation, struct errinfo *info)
{
    struct resolve_memo *memo;
    struct catalog_system_input input;
    if (catalog_system_is_empty(name)) { /* whoever asks */
        static const struct catalog_system_input nobody = {0};
        return catalog_system_load(name, &nobody, arena, ret_relation, info);
    }
    TRY(find_memo(session, who, arena, &memo, info));
    input = memo->input;
    input.only_catalog = only;
    TRY(catalog_system_load(name, &input, arena, ret_relation, info));
    ret_relation->version ^= only.len == 0 ? 0 : hash_xx64(only, 1);
    return ERR_OK;
}

enum err resolve_number(struct session *session, const struct identity *who, const char *kind,
                        struct slice text, uint32_t *ret_oid, struct errinfo *info)
{
    struct resolve_memo *memo;
    struct arena *arena = session->memo_arena;
    ASSERT(arena != NULL);
    enum err err = catalog_pg_number(kind, text, NULL, arena, ret_oid, info);
    if (err != ERR_NOT_FOUND) {
        return err;
    }
    const struct resolve_wanted *wanted = session->wanted;
    session->wanted = NULL; /* numbers are of all */
    err = find_memo(session, who, arena, &memo, info);
    session->wanted = wanted;
    TRY(err);
    return catalog_pg_number(kind, text, &memo->input, arena, ret_oid, info);
}

/* Every column raw and every row: for rows that Moat makes. */
enum err resolve_give_all(const struct relation *relation, struct arena *arena,
                          struct policy_effective *ret_effective, struct errinfo *info)
{
    struct policy_column *columns =
        arena_calloc(arena, relation->column_count + 1, sizeof(*columns));
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < relation->column_count; i++) {
        char *expression = arena_printf(arena, "__moat_c%u", relation->columns[i].id);
        if (expression == NULL) {
            return errinfo_nomem(info);
        }
        columns[i] = (struct policy_column){
            .column = &relation->columns[i], .is_raw = true, .expression = slice_of(expression)};
    }
    *ret_effective = (struct policy_effective){
        .is_visible = true, .columns = columns, .column_count = relation->column_count};
    return ERR_OK;
}

static enum err resolve_system(struct session *session, const struct identity *who,
                               const struct sql_name *name, struct slice only, bool needs_grant,
                               struct arena *arena, struct resolved *out, struct errinfo *info)
{
    TRY(catalog_system_load(name, NULL, arena, out->relation, info));
    if (needs_grant && !resolve_is_admin(who)) {
        TRY(effective_of(session, who, out->relation, arena, &out->effective, info));
        if (!out->effective.is_visible) {
            return ERR_OK;
        }
        return load_system(session, who, name, only, arena, out->relation, info);
    }
    TRY(load_system(session, who, name, only, arena, out->relation, info));
    return resolve_give_all(out->relation, arena, &out->effective, info);
}

/* ---- one name ---- */

/* Where a name leads: an attached catalog, or NULL and a name of Moat's own. */
struct place {
    const struct attached *attached;
    struct sql_name name;
    struct slice only; /* of information_schema: the catalog that it was asked of by name */
};

/* To who may know nothing of a catalog it is not there. */
static enum err check_known(struct session *session, const struct identity *who,
                            struct slice catalog, struct arena *arena, struct errinfo *info)
{
    struct slice *names;
    size_t count;
    TRY(resolve_catalogs(session, who, arena, &names, &count, info));
    for (size_t i = 0; i < count; i++) {
        if (slice_equal_fold(names[i], catalog)) {
            return ERR_OK;
        }
    }
    return resolve_no_catalog(session, who, catalog, info);
}

static enum err find_place(struct session *session, const struct identity *who,
                           const struct sql_name *written, struct arena *arena,
                           struct place *ret_place, struct errinfo *info)
{
    struct place place = {.name = *written};
    bool is_own = resolve_is_own_schema(written->schema);
    if (written->catalog.len == 0 && !is_own) {
        place.name.catalog = slice_of(session->default_catalog);
    }
    /* Each database has information_schema and pg_catalog, which tell of the one asked in. */
    if (is_own && !is_moat(slice_of(session->default_catalog)) &&
        slice_equal_fold(written->catalog, slice_of(session->default_catalog))) {
        place.name.catalog = (struct slice){0};
        place.only = slice_equal_fold(written->schema, SLICE(SQL_SCHEMA_INFORMATION))
                         ? slice_of(session->default_catalog)
                         : (struct slice){0};
    }
    if (!is_moat(place.name.catalog)) {
        TRY(attached_find(session, who, place.name.catalog, arena, &place.attached, info));
        if (place.attached == NULL) {
            return resolve_no_catalog(session, who, place.name.catalog, info);
        }
        if (slice_equal_fold(written->schema, SLICE(SQL_SCHEMA_INFORMATION))) {
            TRY(check_known(session, who, place.attached->catalog.name, arena, info));
            *ret_place = (struct place){.name = {.schema = written->schema, .name = written->name},
                                        .only = place.attached->catalog.name};
            return ERR_OK;
        }
        if (place.name.schema.len == 0) {
            place.name.schema = slice_of(session->default_schema);
        }
        *ret_place = place;
        return ERR_OK;
    }
    bool is_session = is_moat(slice_of(session->default_catalog));
    TRY(catalog_qualify(&place.name, is_session ? slice_of(session->default_schema) : SLICE(""),
                        arena, &place.name, info));
    *ret_place = place;
    return ERR_OK;
}

/* Of the table as it is now first: until policy says that the person may know of it, nothing of
 * what loading found may show, an error neither. */
static enum err resolve_attached(struct session *session, const struct identity *who,
                                 const struct place *place, const struct lake_travel *travel,
                                 struct arena *arena, struct resolved *out, struct errinfo *info)
{
    struct lake_open open;
    struct policy_effective now;
    bool is_remote = catalog_iceberg_is_remote(&place->attached->catalog);
    bool may_ask = true;
    if (is_remote) { /* no catalog hears of what somebody without any grant asks */
        TRY(has_grants(session, who, arena, &may_ask, info));
    }
    if (!may_ask) {
        return ERR_NOT_FOUND;
    }
    struct attached asked = *place->attached;
    asked.catalog.remote.ahead = session->ahead;
    enum err err = lake_open(is_remote ? &asked : place->attached, who, place->name.schema,
                             place->name.name, travel, arena, &open, info);
    if (err == ERR_OK) {
        err = lake_now(&open, arena, out->relation, info);
    }
    if (err != ERR_OK) {
        bool is_told =
            err == ERR_NOMEM || resolve_is_admin(who) || (is_remote && is_of_catalog(info));
        return is_told ? err : ERR_NOT_FOUND;
    }
    TRY(effective_of(session, who, out->relation, arena, &now, info));
    if (!now.is_visible || now.is_refused) {
        out->effective = now;
        return ERR_OK;
    }
    if (open.is_metadata) {
        if (now.is_bound || now.column_count != out->relation->column_count) {
            return ERR_OK; /* it tells of what is hidden */
        }
        TRY(lake_metadata_load(&open, out->relation, arena, out->relation, info));
        return resolve_give_all(out->relation, arena, &out->effective, info);
    }
    if (open.travel.kind == TRAVEL_NOW) {
        out->effective = now;
        return ERR_OK;
    }
    TRY(lake_version(&open, arena, out->relation, info));
    return effective_of(session, who, out->relation, arena, &out->effective, info);
}

void resolve_ahead(struct session *session, const struct identity *who,
                   const struct resolve_name *names, size_t count, struct arena *arena)
{
    bool may_ask = false;
    struct place *places = arena_calloc(arena, count + 1, sizeof(*places));
    size_t remote_count = 0;
    for (size_t i = 0; places != NULL && i < count; i++) {
        if (find_place(session, who, &names[i].name, arena, &places[i], NULL) != ERR_OK ||
            places[i].attached == NULL ||
            !catalog_iceberg_is_remote(&places[i].attached->catalog)) {
            places[i].attached = NULL;
        }
        remote_count += places[i].attached != NULL;
    }
    if (remote_count < 2 || has_grants(session, who, arena, &may_ask, NULL) != ERR_OK || !may_ask) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (places[i].attached != NULL) {
            struct attached asked = *places[i].attached;
            asked.catalog.remote.ahead = session->ahead;
            lake_open_ahead(&asked, who, places[i].name.schema, places[i].name.name,
                            &names[i].travel);
        }
    }
}

static enum err resolve_own(struct session *session, const struct identity *who,
                            const struct place *place, const struct lake_travel *travel,
                            struct arena *arena, struct resolved *out, struct errinfo *info)
{
    bool needs_grant;
    const struct sql_name *name = &place->name;
    struct system *system = session_store(session);
    if (catalog_system_find(name, &needs_grant)) {
        TRY(resolve_system(session, who, name, place->only, needs_grant, arena, out, info));
    } else {
        /* Policy before listing: a location is looked at only for those who may know the table. */
        TRY(catalog_load(system, who, name, false, arena, out->relation, info));
        TRY(effective_of(session, who, out->relation, arena, &out->effective, info));
    }
    if (travel != NULL && travel->kind != TRAVEL_NOW && out->effective.is_visible) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                           "time travel on \"%.*s\": only tables of an attached catalog have "
                           "versions",
                           SLICE_ARGS(name->name));
    }
    if (out->effective.is_visible && !out->effective.is_refused &&
        out->relation->kind == RELATION_TABLE) {
        return catalog_load(system, who, name, true, arena, out->relation, info);
    }
    return ERR_OK;
}

static enum err resolve_one(struct session *session, const struct identity *who,
                            const struct sql_name *written, const struct lake_travel *travel,
                            struct arena *arena, struct resolved *ret_resolved,
                            struct errinfo *info)
{
    struct resolved out = {.relation = arena_calloc(arena, 1, sizeof(*out.relation))};
    struct place place;
    if (out.relation == NULL) {
        return errinfo_nomem(info);
    }
    TRY(find_place(session, who, written, arena, &place, info));
    enum err err = place.attached != NULL
                       ? resolve_attached(session, who, &place, travel, arena, &out, info)
                       : resolve_own(session, who, &place, travel, arena, &out, info);
    if (err == ERR_NOT_FOUND && !out.effective.is_visible) {
        bool is_told = place.attached != NULL && out.relation->name.name.len > 0;
        return is_told ? err : not_found(session, who, written, info);
    }
    TRY(err);
    if (!out.effective.is_visible) {
        return not_found(session, who, written, info);
    }
    if (out.effective.is_refused) {
        (void)errinfo_set(info, ERR_DENIED, NULL, "the policy of \"%.*s\" cannot be applied",
                          SLICE_ARGS(place.name.name));
        if (resolve_may_administer(who, out.relation)) {
            errinfo_detail(info, "%.*s", SLICE_ARGS(out.effective.refusal));
        }
        errinfo_hint(info, "Ask the table's owner: SHOW GRANTS ON it names the grant to mend.");
        return ERR_DENIED;
    }
    *ret_resolved = out;
    return ERR_OK;
}

/* `ns.t.files` and `t.files`, where no table is called so, are metadata tables of t. */
static bool shift(const struct sql_name *written, struct arena *arena, struct sql_name *ret_name)
{
    enum lake_metadata_kind kind;
    if (written->schema.len == 0 || !lake_metadata_find(written->name, &kind)) {
        return false;
    }
    char *name = arena_printf(arena, "%.*s$%.*s", (int)written->schema.len, written->schema.ptr,
                              (int)written->name.len, written->name.ptr);
    if (name == NULL) {
        return false;
    }
    *ret_name = (struct sql_name){.schema = written->catalog, .name = slice_of(name)};
    return true;
}

/* `"lake.sales".t`: what pg_catalog calls the namespace of another catalog. */
static bool split_schema(const struct sql_name *written, struct sql_name *ret_name)
{
    if (written->catalog.len > 0 || written->schema.len == 0) {
        return false;
    }
    const char *dot = memchr(written->schema.ptr, '.', written->schema.len);
    if (dot == NULL) {
        return false;
    }
    size_t len = (size_t)(dot - written->schema.ptr);
    *ret_name = (struct sql_name){
        {written->schema.ptr, len}, {dot + 1, written->schema.len - len - 1}, written->name};
    return len > 0 && ret_name->schema.len > 0;
}

/* The one table of a static catalog answers to the catalog's name: `orders`, `orders.files`. */
static enum err find_static(struct session *session, const struct identity *who,
                            const struct sql_name *written, struct arena *arena,
                            struct sql_name *ret_name, bool *ret_is_static, struct errinfo *info)
{
    const struct attached *attached = NULL;
    const char *dollar = memchr(written->name.ptr, '$', written->name.len);
    size_t len = dollar == NULL ? written->name.len : (size_t)(dollar - written->name.ptr);
    *ret_is_static = false;
    if (written->catalog.len > 0 || written->schema.len > 0 || len == 0) {
        return ERR_OK;
    }
    TRY(attached_find(session, who, (struct slice){written->name.ptr, len}, arena, &attached,
                      info));
    if (attached != NULL && attached->catalog.kind == CATALOG_ICEBERG_STATIC) {
        *ret_name =
            (struct sql_name){attached->catalog.name, SLICE(SQL_SCHEMA_DEFAULT), written->name};
        *ret_is_static = true;
    }
    return ERR_OK;
}

static enum err resolve_or_static(struct session *session, const struct identity *who,
                                  const struct sql_name *written, const struct lake_travel *travel,
                                  struct arena *arena, struct resolved *ret_resolved,
                                  struct errinfo *info)
{
    struct sql_name own;
    struct errinfo second;
    bool is_static = false;
    enum err err = resolve_one(session, who, written, travel, arena, ret_resolved, info);
    if (err != ERR_NOT_FOUND) {
        return err;
    }
    enum err found = find_static(session, who, written, arena, &own, &is_static, &second);
    if (found != ERR_OK || !is_static) {
        return err;
    }
    found = resolve_one(session, who, &own, travel, arena, ret_resolved, &second);
    if (found == ERR_NOT_FOUND && strcmp(second.sqlstate, "3D000") == 0) {
        return err; /* as if the catalog were not there */
    }
    if (found != ERR_OK && info != NULL) {
        *info = second;
    }
    return found;
}

enum err resolve_version(struct session *session, const struct identity *who,
                         const struct sql_name *written, const struct lake_travel *travel,
                         struct arena *arena, struct resolved *ret_resolved, struct errinfo *info)
{
    struct sql_name other;
    struct errinfo second;
    enum err err = resolve_or_static(session, who, written, travel, arena, ret_resolved, info);
    if (err != ERR_NOT_FOUND ||
        (!split_schema(written, &other) && !shift(written, arena, &other))) {
        return err;
    }
    enum err other_err =
        resolve_or_static(session, who, &other, travel, arena, ret_resolved, &second);
    if (other_err != ERR_OK && other_err != ERR_NOT_FOUND && info != NULL) {
        *info = second;
    }
    return other_err == ERR_NOT_FOUND ? err : other_err;
}

enum err resolve_relation(struct session *session, const struct identity *who,
                          const struct sql_name *written, struct arena *arena,
                          struct resolved *ret_resolved, struct errinfo *info)
{
    return resolve_version(session, who, written, NULL, arena, ret_resolved, info);
}

static enum err admin_attached(struct session *session, const struct place *place,
                               struct arena *arena, struct relation *ret_relation,
                               struct errinfo *info)
{
    const struct identity *who = session->who;
    struct lake_open open;
    struct policy_effective effective;
    enum err err = lake_open(place->attached, who, place->name.schema, place->name.name, NULL,
                             arena, &open, info);
    if (err == ERR_OK) {
        err = lake_now(&open, arena, ret_relation, info);
    }
    if (err != ERR_OK) {
        return err == ERR_NOMEM || resolve_is_admin(who) ? err : ERR_NOT_FOUND;
    }
    if (!resolve_may_administer(who, ret_relation)) {
        TRY(effective_of(session, who, ret_relation, arena, &effective, info));
        return effective.is_visible && !open.is_metadata ? ERR_OK : ERR_NOT_FOUND;
    }
    if (open.is_metadata || open.travel.kind != TRAVEL_NOW) {
        (void)errinfo_set(info, ERR_INVALID, "42809", "\"%.*s\" has no policy of its own",
                          SLICE_ARGS(place->name.name));
        errinfo_hint(info,
                     "Name the table \"%.*s\": its policy holds for all of its versions, and "
                     "its metadata tables are for those who see all of it.",
                     SLICE_ARGS(ret_relation->name.name));
        return ERR_INVALID;
    }
    return ERR_OK;
}

enum err resolve_for_admin(struct session *session, const struct sql_name *written,
                           struct arena *arena, struct relation *ret_relation, struct errinfo *info)
{
    const struct identity *who = session->who;
    struct place place;
    struct relation relation;
    struct policy_effective effective = {0};
    bool needs_grant;
    enum err err;
    TRY(find_place(session, who, written, arena, &place, info));
    if (place.attached != NULL) {
        err = admin_attached(session, &place, arena, &relation, info);
    } else if (catalog_system_find(&place.name, &needs_grant)) {
        if (!resolve_is_admin(who)) {
            return not_found(session, who, written, info);
        }
        return catalog_system_load(&place.name, NULL, arena, ret_relation, info);
    } else {
        err = catalog_load(session_store(session), who, &place.name, false, arena, &relation, info);
        if (err == ERR_OK && !resolve_may_administer(who, &relation)) {
            TRY(effective_of(session, who, &relation, arena, &effective, info));
            err = effective.is_visible ? ERR_OK : ERR_NOT_FOUND;
        }
    }
    if (err == ERR_NOT_FOUND) {
        return not_found(session, who, written, info);
    }
    TRY(err);
    *ret_relation = relation;
    return ERR_OK;
}

enum err resolve_by_uuid(struct session *session, const struct identity *who, struct slice uuid,
                         struct arena *arena, struct relation *ret_relation, struct errinfo *info)
{
    struct catalog_visible *visible;
    struct system_relation *relations;
    size_t count;
    TRY(system_relations(session_store(session), who, arena, &relations, &count, info));
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(relations[i].relation.uuid, uuid)) {
            *ret_relation = relations[i].relation;
            return ERR_OK;
        }
    }
    TRY(resolve_visible(session, who, arena, &visible, &count, info));
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(visible[i].relation->uuid, uuid)) {
            *ret_relation = *visible[i].relation;
            return ERR_OK;
        }
    }
    return errinfo_set(info, ERR_NOT_FOUND, "42P01", "the table was dropped");
}
