/* From statement text to physical SQL.
 *
 * Two passes over a tree of syntax trees (the statement, and the body of each view in it): the
 * first resolves every reference as the person (or a view's definer), the second puts one secured
 * relation in the place of each. Two, because whether a barrier is needed depends on all
 * expressions of all trees. What comes out is checked again by sql_ast_finish, trusting nothing
 * recorded on the way. */
#include "base/mem.h"
#include "query/lake/lake_int.h"
#include "query/plan/plan_int.h"
#include "query/lake/stores_int.h"
#include "sql/scan.h"

#define PLAN_TABLES_MAX 2000

void plan_unref(struct plan *plan)
{
    if (plan != NULL && atomic_fetch_sub(&plan->references, 1) == 1) {
        for (size_t i = 0; i < plan->identity_count; i++) {
            identity_unref(plan->identities[i]);
        }
        mem_free(plan->identities);
        constant_free(atomic_load(&plan->constant));
        temp_set_unref(plan->temps);
        arena_free(plan->arena);
        mem_free(plan);
    }
}

static enum err plan_new(struct session *session, struct plan **ret_plan, struct errinfo *info)
{
    struct plan *plan CLEANUP(plan_cleanup) = mem_calloc(1, sizeof(*plan));
    if (plan == NULL) {
        return errinfo_nomem(info);
    }
    atomic_init(&plan->references, 1);
    plan->is_cacheable = true;
    plan->arena = arena_new(NULL, "plan", (size_t)1 << 30);
    plan->identities = mem_calloc(1, sizeof(*plan->identities));
    if (plan->arena == NULL || plan->identities == NULL) {
        return errinfo_nomem(info);
    }
    plan->identities[plan->identity_count++] = identity_ref(session->who);
    *ret_plan = TAKE(plan);
    return ERR_OK;
}

enum err plan_hold(struct plan *plan, struct identity *who, struct errinfo *info)
{
    struct identity **grown =
        mem_realloc(plan->identities, (plan->identity_count + 1) * sizeof(struct identity *));
    if (grown == NULL) {
        identity_unref(who);
        return errinfo_nomem(info);
    }
    plan->identities = grown;
    plan->identities[plan->identity_count++] = who;
    return ERR_OK;
}

/* ---- parsing ---- */

enum err plan_parse(struct session *session, struct slice text, struct arena *arena,
                    struct slice *ret_json, struct errinfo *info)
{
    struct buf json CLEANUP(buf_fini) = {0};
    enum err err = engine_parse(session->engine, text, &json, info);
    if (err == ERR_UNSUPPORTED) { /* the engine speaks of its JSON */
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL, "only a query can stand here");
        errinfo_hint(info, "A query starts with SELECT, WITH, VALUES, FROM or TABLE.");
        errinfo_position(info, 1);
    }
    if (err == ERR_SYNTAX && info != NULL && strstr(info->message, "NameListToString") != NULL) {
        (void)errinfo_set(info, ERR_SYNTAX, NULL, "a name has more than three parts");
        errinfo_hint(info, "A metadata table is named catalog.schema.\"table$snapshots\", a "
                           "namespace of several levels catalog.\"a.b\".table.");
    }
    TRY(err);
    if (buf_failed(&json) || !arena_slice(arena, buf_slice(&json), ret_json)) {
        return errinfo_nomem(info);
    }
    return ERR_OK;
}

/* Text of Moat's own making to its query node. */
static enum err parse_own(struct builder *b, const struct buf *text, struct json **ret_node,
                          struct errinfo *info)
{
    if (buf_failed(text)) {
        return errinfo_nomem(info);
    }
    struct slice json;
    TRY(plan_parse(b->session, buf_slice(text), b->arena, &json, info));
    struct json *root;
    TRY(json_parse(b->arena, json, NULL, &root, info));
    struct json *node = json_get(json_at(json_get(root, "statements"), 0), "node");
    if (node == NULL) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "a secured relation cannot be parsed");
    }
    *ret_node = node;
    return ERR_OK;
}

/* ---- what the syntax tree asks of the session ---- */

struct asker {
    struct session *session;
    const struct identity *who;
    struct sql_session functions;
};

static enum err parse_function(void *context, struct slice text, struct arena *arena,
                               struct slice *ret_json, struct errinfo *info)
{
    const struct asker *asker = context;
    return plan_parse(asker->session, text, arena, ret_json, info);
}

static enum err find_number(void *context, const char *kind, struct slice text, uint32_t *ret_oid,
                            struct errinfo *info)
{
    const struct asker *asker = context;
    return resolve_number(asker->session, asker->who, kind, text, ret_oid, info);
}

/* Limits of a text whose names are in `schema`, with catalog functions answered for `who`. */
static struct sql_limits limits_of(struct session *session, const struct identity *who,
                                   struct slice schema, struct asker *asker)
{
    struct sql_limits limits = session->warehouse->limits;
    asker->session = session;
    asker->who = who;
    asker->functions = (struct sql_session){.catalog = slice_of(session->default_catalog),
                                            .parse = parse_function,
                                            .number = find_number,
                                            .context = asker};
    limits.default_schema = schema;
    limits.session = &asker->functions;
    return limits;
}

/* ---- first pass: resolve ---- */

static enum err open_view(struct builder *b, const struct plan_node *parent,
                          const struct relation *relation, struct plan_node **ret_node,
                          struct errinfo *info)
{
    if (b->depth >= PLAN_DEPTH_MAX) {
        (void)errinfo_set(info, ERR_LIMIT, "54001", "views are nested deeper than %d",
                          PLAN_DEPTH_MAX);
        errinfo_detail(info, "The deepest is \"%.*s\".", SLICE_ARGS(relation->name.name));
        return ERR_LIMIT;
    }
    struct plan_node *node = arena_calloc(b->arena, 1, sizeof(*node));
    if (node == NULL) {
        return errinfo_nomem(info);
    }
    node->who = parent->who;
    node->via_view = relation->name.name;
    node->view = relation;
    node->catalog =
        relation->view_catalog.len > 0 ? relation->view_catalog : relation->name.catalog;
    node->schema = relation->view_schema.len > 0 ? relation->view_schema : relation->name.schema;
    if (relation->is_definer) {
        struct identity *definer;
        TRY(system_login(b->session->warehouse->system, relation->owner, SLICE(""),
                         SLICE("definer"), identity_client(b->session->who), &definer, info));
        TRY(plan_hold(b->plan, definer, info));
        node->who = definer;
    }
    struct slice json;
    TRY(plan_parse(b->session, relation->view_sql, b->arena, &json, info));
    struct asker asker;
    struct sql_limits limits = limits_of(b->session, node->who, node->schema, &asker);
    TRY(sql_ast_open(json, relation->view_sql, SQL_FROM_VIEW, &limits, node->who, b->arena,
                     &node->ast, info));
    b->depth++;
    enum err err = plan_resolve_node(b, node, info);
    b->depth--;
    if (err != ERR_OK && info != NULL) {
        info->position = 0; /* it would point into the view, not into the statement */
    }
    if (err != ERR_OK && err != ERR_NOMEM && info != NULL && relation->is_definer &&
        !resolve_may_administer(b->session->who, relation)) {
        char sqlstate[sizeof(info->sqlstate)];
        memcpy(sqlstate, info->sqlstate, sizeof(sqlstate));
        (void)errinfo_set(info, err, sqlstate, "the view \"%.*s\" cannot be read any more",
                          SLICE_ARGS(relation->name.name));
        errinfo_hint(info, "Ask its owner: what it reads has changed.");
    }
    *ret_node = node;
    return err;
}

static bool may_name_paths(const struct identity *who)
{
    return identity_is_owner(who) && identity_actor(who).len == 0;
}

static enum err load_path(struct builder *b, const struct plan_node *node,
                          const struct sql_reference *reference, struct resolved *out,
                          struct errinfo *info)
{
    static const struct {
        const char *function;
        enum relation_format format;
    } readers[] = {{"read_parquet", FORMAT_PARQUET}, {"parquet_scan", FORMAT_PARQUET},
                   {"read_csv", FORMAT_CSV},         {"read_csv_auto", FORMAT_CSV},
                   {"read_json", FORMAT_JSON},       {"read_json_auto", FORMAT_JSON},
                   {"read_ndjson", FORMAT_JSON},     {"read_ndjson_auto", FORMAT_JSON}};
    const enum relation_format *format = NULL;
    for (size_t i = 0; reference->is_function && i < ARRAY_COUNT(readers); i++) {
        if (slice_equal_fold(reference->name.name, slice_of(readers[i].function))) {
            format = &readers[i].format;
        }
    }
    if (reference->is_function && (format == NULL || reference->path.len == 0)) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                           "\"%.*s\" takes one constant path here, and its options as constants",
                           SLICE_ARGS(reference->name.name));
    }
    out->relation = arena_calloc(b->arena, 1, sizeof(*out->relation));
    if (out->relation == NULL) {
        return errinfo_nomem(info);
    }
    TRY(catalog_load_path(
        node->who, reference->is_function ? reference->path : reference->name.name, format,
        reference->options, reference->option_count, b->arena, out->relation, info));
    out->effective = (struct policy_effective){.is_visible = true};
    b->plan->is_cacheable = false;
    return ERR_OK;
}

static bool looks_like_path(const struct sql_reference *reference)
{
    struct slice name = reference->name.name;
    return reference->name.schema.len == 0 &&
           (memchr(name.ptr, '/', name.len) != NULL || memchr(name.ptr, '.', name.len) != NULL);
}

/* Temporary tables are the session's: the statement can name them, no view and no policy. */
static const struct temp_table *find_temp(const struct builder *b, const struct plan_node *node,
                                          const struct sql_reference *reference)
{
    bool is_statement = node->view == NULL && node->via_policy.len == 0 &&
                        node->who == b->session->who && b->depth == 0;
    return is_statement ? session_temp(b->session, &reference->name) : NULL;
}

static enum err load_temp(struct builder *b, const struct temp_table *temp, struct resolved *out,
                          struct errinfo *info)
{
    out->relation = arena_calloc(b->arena, 1, sizeof(*out->relation));
    if (out->relation == NULL) {
        return errinfo_nomem(info);
    }
    if (b->plan->temps == NULL) {
        b->plan->temps = temp_set_ref(session_temp_set(b->session));
    }
    b->plan->is_cacheable = false;
    TRY(temp_table_relation(temp, b->arena, out->relation, info));
    return b->session->staged == NULL
               ? resolve_give_all(out->relation, b->arena, &out->effective, info)
               : plan_bind_staged(b, out, info);
}

/* A view means the same in whatever schema who asks is: they could have put a table of their own
 * there, and it would be read with a definer's rights. */
static struct sql_name name_of(const struct plan_node *node, const struct sql_reference *reference)
{
    struct sql_name name = reference->name;
    bool is_own = resolve_is_own_schema(name.schema);
    name.catalog = name.catalog.len > 0 || is_own ? name.catalog : node->catalog;
    name.schema = name.schema.len > 0 ? name.schema : node->schema;
    return name;
}

/* Catalogs elsewhere are asked for all tables of the node at once. NULL: there is nothing to gain,
 * or no memory, which is said where it is missed. */
static struct rest_ahead *begin_ahead(struct builder *b, const struct plan_node *node)
{
    const struct sql_ast *ast = node->ast;
    struct rest *rest = warehouse_rest_in_use(b->session->warehouse);
    struct rest_ahead *ahead = NULL;
    size_t count = 0;
    b->session->ahead = NULL;
    struct resolve_name *names = ast->reference_count < 2 || rest == NULL
                                     ? NULL
                                     : arena_calloc(b->arena, ast->reference_count, sizeof(*names));
    if (names == NULL || rest_ahead_new(rest, &ahead, NULL) != ERR_OK) {
        return NULL;
    }
    for (size_t i = 0; i < ast->reference_count; i++) {
        const struct sql_reference *reference = &ast->references[i];
        if (!reference->is_function && find_temp(b, node, reference) == NULL &&
            plan_read_travel(b, reference, &names[count].travel, NULL) == ERR_OK) {
            names[count++].name = name_of(node, reference);
        }
    }
    b->session->ahead = ahead; /* until the node is resolved */
    resolve_ahead(b->session, node->who, names, count, b->arena);
    return ahead;
}

static enum err resolve_reference(struct builder *b, const struct plan_node *node,
                                  const struct sql_reference *reference, struct resolved *out,
                                  struct errinfo *info)
{
    if (reference->is_function) {
        if (!may_name_paths(node->who)) {
            (void)errinfo_set(info, ERR_DENIED, NULL, "permission denied for function \"%.*s\"",
                              SLICE_ARGS(reference->name.name));
            errinfo_hint(info,
                         "Files are read through registered tables; SHOW TABLES lists yours.");
            return ERR_DENIED;
        }
        return load_path(b, node, reference, out, info);
    }
    if (plan_is_target(b, node, reference)) {
        const struct sql_name *name = &b->session->target->name;
        TRY(resolve_version(b->session, node->who, name, NULL, b->arena, out, info));
        return plan_add_target(b, node, out, info);
    }
    struct lake_travel travel;
    TRY(plan_read_travel(b, reference, &travel, info));
    const struct temp_table *temp = find_temp(b, node, reference);
    if (temp != NULL) {
        return load_temp(b, temp, out, info);
    }
    struct sql_name name = name_of(node, reference);
    const struct relation_source *source;
    TRY(plan_find_source(b, node, &name, &source, info));
    enum err err = resolve_version(b->session, node->who, &name, &travel, b->arena, out, info);
    if (err == ERR_OK) {
        return plan_use_source(b, node, source, out, info);
    }
    if (err == ERR_NOT_FOUND && reference->name.schema.len == 0 &&
        resolve_is_pg(reference->name.name)) {
        const struct sql_name pg = {SLICE(SQL_CATALOG_DEFAULT), SLICE(SQL_SCHEMA_PG),
                                    reference->name.name};
        return resolve_version(b->session, node->who, &pg, &travel, b->arena, out, info);
    }
    if (err == ERR_NOT_FOUND && looks_like_path(reference) && may_name_paths(node->who)) {
        err = load_path(b, node, reference, out, info);
    }
    return err;
}

/* An earlier mention of the same table by the same person, with the same files: they share their
 * objects, so that the engine sees one relation twice and can compute what is common once. */
static const struct plan_table *
find_mention(const struct plan *plan, const struct relation *relation, const struct identity *who)
{
    for (size_t i = 0; relation->kind == RELATION_TABLE && i < plan->table_count; i++) {
        const struct plan_table *table = &plan->tables[i];
        bool is_same = table->who == who && table->relation->kind == RELATION_TABLE &&
                       slice_equal(table->relation->uuid, relation->uuid) &&
                       table->relation->version == relation->version &&
                       table->object_count == relation->object_count;
        for (size_t o = 0; is_same && o < relation->object_count; o++) {
            const struct relation_object *then = plan->objects[table->object_first + o];
            is_same = slice_equal(relation->objects[o].location, then->location) &&
                      slice_equal(relation->objects[o].etag, then->etag) &&
                      relation->objects[o].size_bytes == then->size_bytes;
        }
        if (is_same) {
            return table;
        }
    }
    return NULL;
}

static enum err add_objects(struct builder *b, const struct relation *relation,
                            struct errinfo *info)
{
    struct plan *plan = b->plan;
    size_t need = plan->object_count + relation->object_count;
    if (need > b->object_capacity) {
        size_t capacity = need * 2;
        const struct relation_object **grown = arena_calloc(b->arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(info);
        }
        if (plan->object_count > 0) {
            memcpy(grown, plan->objects, plan->object_count * sizeof(*grown));
        }
        plan->objects = grown;
        b->object_capacity = capacity;
    }
    for (size_t i = 0; i < relation->object_count; i++) {
        plan->objects[plan->object_count + i] = &relation->objects[i];
    }
    plan->object_count = need;
    return ERR_OK;
}

static enum err add_lake(struct builder *b, const struct lake_table *table, struct errinfo *info)
{
    struct plan *plan = b->plan;
    struct plan_lake *grown = arena_calloc(b->arena, plan->lake_count + 1, sizeof(*grown));
    if (grown == NULL) {
        return errinfo_nomem(info);
    }
    if (plan->lake_count > 0) {
        memcpy(grown, plan->lakes, plan->lake_count * sizeof(*grown));
    }
    struct plan_lake *lake = &grown[plan->lake_count];
    TRY(lake_table_source(table, b->arena, &lake->source, info));
    lake->scan_first = plan->scan_count;
    plan->scan_count += lake_scan_count(lake->source);
    plan->lake_count++;
    plan->lakes = grown;
    return ERR_OK;
}

static bool is_scanned(const struct relation *relation)
{
    return relation->kind == RELATION_TABLE && relation->lake != NULL;
}

static enum err add_table(struct builder *b, const struct plan_node *node,
                          const struct resolved *resolved, size_t *ret_index, struct errinfo *info)
{
    struct plan *plan = b->plan;
    if (plan->table_count == PLAN_TABLES_MAX) {
        return errinfo_set(info, ERR_LIMIT, NULL, "the statement reads more than %d tables",
                           PLAN_TABLES_MAX);
    }
    if (plan->table_count == b->table_capacity) {
        size_t capacity = b->table_capacity == 0 ? 8 : b->table_capacity * 2;
        struct plan_table *grown = arena_calloc(b->arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(info);
        }
        if (plan->table_count > 0) {
            memcpy(grown, plan->tables, plan->table_count * sizeof(*grown));
        }
        plan->tables = grown;
        b->table_capacity = capacity;
    }
    const struct relation *relation = resolved->relation;
    size_t files_max = (size_t)config_integer(b->session->config, CONFIG_FILES_MAX);
    if (relation->object_count > files_max) {
        (void)errinfo_set(info, ERR_LIMIT, NULL, "\"%.*s\" has %zu files, %zu are allowed",
                          SLICE_ARGS(relation->name.name), relation->object_count, files_max);
        errinfo_hint(info, "files.count_max in the configuration is the limit.");
        return ERR_LIMIT;
    }
    const struct plan_table *mention = find_mention(plan, relation, node->who);
    size_t object_first = mention != NULL ? mention->object_first : plan->object_count;
    size_t scan = mention != NULL ? mention->scan : plan->lake_count;
    if (mention == NULL) {
        TRY(add_objects(b, relation, info));
        TRY(is_scanned(relation) ? add_lake(b, relation->lake, info) : ERR_OK);
    }
    plan->tables[plan->table_count] = (struct plan_table){
        .relation = resolved->relation,
        .who = node->who,
        .object_first = object_first,
        .object_count = relation->object_count,
        .scan = scan,
        .is_mentioned_before = mention != NULL,
        .is_bound = resolved->effective.is_bound,
        .is_narrowed = resolved->effective.column_count != relation->column_count,
    };
    /* Whether a view of another catalog is as it was, and still for them, is asked each time. */
    bool is_elsewhere = relation->kind == RELATION_VIEW && relation->name.catalog.len > 0 &&
                        !slice_equal_fold(relation->name.catalog, SLICE(SQL_CATALOG_DEFAULT));
    plan->is_cacheable = plan->is_cacheable && relation->kind != RELATION_SYSTEM && !is_elsewhere;
    *ret_index = plan->table_count++;
    return ERR_OK;
}

/* Names in column references of a tree, and whether a star makes it all of them. */
struct used_columns {
    struct slice *names;
    size_t count;
    size_t capacity;
    bool is_all;
};

static bool collect_names(struct arena *arena, const struct json *node, struct used_columns *used)
{
    struct slice class = json_get_text(node, "class");
    if (slice_equal(class, SLICE("STAR"))) {
        used->is_all = true;
    }
    if (slice_equal(class, SLICE("COLUMN_REF"))) {
        const struct json *names = json_get(node, "column_names");
        for (const struct json *n = names == NULL ? NULL : names->first; n != NULL; n = n->next) {
            if (used->count == used->capacity) {
                size_t capacity = used->capacity == 0 ? 32 : used->capacity * 2;
                struct slice *grown = arena_calloc(arena, capacity, sizeof(*grown));
                if (grown == NULL) {
                    return false;
                }
                if (used->count > 0) {
                    memcpy(grown, used->names, used->count * sizeof(*grown));
                }
                used->names = grown;
                used->capacity = capacity;
            }
            used->names[used->count++] = n->text;
        }
    }
    for (const struct json *child = node->first; child != NULL; child = child->next) {
        if (child->first != NULL && !collect_names(arena, child, used)) {
            return false;
        }
    }
    return true;
}

static bool uses(const struct used_columns *used, struct slice column, struct slice table)
{
    for (size_t i = 0; i < used->count; i++) {
        /* A reference to the table itself (SELECT t FROM t) is all of its columns. */
        if (slice_equal_fold(used->names[i], column) || slice_equal_fold(used->names[i], table)) {
            return true;
        }
    }
    return used->is_all;
}

/* By name alone, whatever stars there are. */
static bool names_column(const void *context, struct slice name)
{
    const struct used_columns *used = context;
    for (size_t i = 0; i < used->count; i++) {
        if (slice_equal_fold(used->names[i], name)) {
            return true;
        }
    }
    return false;
}

static enum err fill_audit(struct builder *b, const struct plan_node *node,
                           const struct resolved *resolved, const struct used_columns *used,
                           struct audit_table *out, struct errinfo *info)
{
    const struct policy_effective *effective = &resolved->effective;
    struct buf name CLEANUP(buf_fini) = {0};
    sql_print_name(&name, &resolved->relation->name);
    struct slice *columns = arena_calloc(b->arena, effective->column_count + 1, sizeof(*columns));
    if (columns == NULL || buf_failed(&name) ||
        !arena_slice(b->arena, buf_slice(&name), &out->name)) {
        return errinfo_nomem(info);
    }
    size_t count = 0;
    for (size_t i = 0; i < effective->column_count; i++) {
        struct slice column = effective->columns[i].column->name;
        if (uses(used, column, resolved->relation->name.name)) {
            columns[count++] = column;
        }
    }
    if (resolved->relation->kind == RELATION_PATH) {
        columns[count++] = SLICE("*");
    }
    out->uuid = resolved->relation->uuid;
    out->columns = columns;
    out->column_count = count;
    out->grant_ids = effective->grant_ids;
    out->grant_count = effective->grant_count;
    out->via_view = node->via_view;
    out->via_policy = node->via_policy;
    out->as_definer =
        node->who == b->session->who ? (struct slice){"", 0} : identity_subject(node->who);
    return lake_fill_audit(resolved->relation, b->arena, out, info);
}

struct operands {
    bool has_text;    /* a VARCHAR column */
    bool has_other;   /* a column or constant of another type */
    bool has_unknown; /* whatever has to be computed */
};

static void add_operand(const struct relation *relation, const struct json *node,
                        struct operands *out)
{
    struct slice class = json_get_text(node, "class");
    const struct json *names = json_get(node, "column_names");
    struct slice name = names == NULL || names->first == NULL ? SLICE("") : names->first->text;
    if (slice_equal(class, SLICE("CONSTANT"))) {
        struct slice id = json_get_text(json_get(json_get(node, "value"), "type"), "id");
        /* A text adapts to what it meets, once and for all rows. */
        out->has_other = out->has_other ||
                         !(slice_equal(id, SLICE("VARCHAR")) || slice_equal(id, SLICE("NULL")));
        return;
    }
    for (size_t i = 0; slice_equal(class, SLICE("COLUMN_REF")) && i < relation->column_count; i++) {
        char own[32];
        (void)snprintf(own, sizeof(own), "__moat_c%u", relation->columns[i].id);
        if (slice_equal(name, slice_of(own))) {
            bool is_text = slice_equal(relation->columns[i].type, SLICE("VARCHAR"));
            out->has_text = out->has_text || is_text;
            out->has_other = out->has_other || !is_text;
            return;
        }
    }
    out->has_unknown = true;
}

/* Does a comparison cast a text to what it is compared with? */
static bool hides_cast(const struct relation *relation, const struct json *node)
{
    struct slice class = json_get_text(node, "class");
    struct slice type = json_get_text(node, "type");
    bool is_compare =
        slice_equal(class, SLICE("COMPARISON")) || slice_equal(class, SLICE("BETWEEN")) ||
        slice_equal(type, SLICE("COMPARE_IN")) || slice_equal(type, SLICE("COMPARE_NOT_IN"));
    struct operands operands = {0};
    for (const struct json *child = node->first; child != NULL; child = child->next) {
        if (is_compare && child->type == JSON_OBJECT) {
            add_operand(relation, child, &operands);
        }
        const struct json *item = child->type == JSON_ARRAY ? child->first : NULL;
        for (; is_compare && item != NULL; item = item->next) {
            add_operand(relation, item, &operands);
        }
        if (child->first != NULL && hides_cast(relation, child)) {
            return true;
        }
    }
    return (operands.has_other && (operands.has_text || operands.has_unknown)) ||
           (operands.has_text && operands.has_unknown);
}

/* A filter that can throw may run beside the person's conditions in any order: its class counts. */
static enum err classify_filter(struct builder *b, struct plan_ref *ref, struct errinfo *info)
{
    struct slice filter = ref->resolved.effective.filter;
    if (filter.len == 0) {
        return ERR_OK;
    }
    struct buf text CLEANUP(buf_fini) = {0};
    struct slice json;
    struct sql_ast *ast;
    buf_append_str(&text, "SELECT ");
    buf_append_slice(&text, filter);
    struct slice kept;
    if (buf_failed(&text) || !arena_slice(b->arena, buf_slice(&text), &kept)) {
        return errinfo_nomem(info);
    }
    TRY(plan_parse(b->session, kept, b->arena, &json, info));
    TRY(sql_ast_open(json, kept, SQL_FROM_POLICY, &b->session->warehouse->limits, b->session->who,
                     b->arena, &ast, info));
    ref->filter_leak = ast->leak;
    if (ast->leak == LEAK_NONE && hides_cast(ref->resolved.relation, ast->root)) {
        ref->filter_leak = LEAK_GUARDED;
    }
    return ERR_OK;
}

/* What a definer's view calls is not the person's to know, and a policy that looks into tables is
 * not to be known of at all: only the person's own words name a culprit. */
static void worsen(struct builder *b, const struct plan_node *node, enum leak_class leak,
                   const char *what, struct slice name)
{
    struct plan *plan = b->plan;
    bool is_own = node->who == b->session->who && node->via_policy.len == 0;
    bool is_named_first =
        leak == LEAK_UNSAFE && plan->leak == LEAK_UNSAFE && plan->leak_what == NULL && is_own;
    if (leak <= plan->leak && !is_named_first) {
        return;
    }
    plan->leak = leak;
    plan->leak_what = is_own ? what : node->via_policy.len == 0 ? "an expression of a view" : NULL;
    plan->leak_name = is_own ? name : SLICE("");
}

static bool is_worst(const struct plan *plan)
{
    return plan->leak == LEAK_UNSAFE && plan->leak_what != NULL;
}

/* Hidden values are at stake behind a policy, and behind a view that reads with rights which the
 * person does not have: its body hides rows as a policy does. */
static bool is_bound_reference(const struct plan_node *node, const struct plan_ref *ref)
{
    bool is_definer = ref->view != NULL && ref->view->who != node->who;
    return ref->resolved.effective.is_bound || (is_definer && !identity_is_owner(node->who));
}

static bool is_partial_reference(const struct plan_ref *ref)
{
    const struct relation *relation = ref->resolved.relation;
    return relation->kind == RELATION_TABLE && relation->format != FORMAT_PARQUET &&
           ref->resolved.effective.column_count < relation->column_count;
}

/* Types between which the engine reports every cast that can throw. */
static bool is_plain_type(struct slice type)
{
    static const char *const plain[] = {"BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT",
                                        "FLOAT",   "DOUBLE",  "VARCHAR",  "DATE",    "TIMESTAMP"};
    for (size_t i = 0; i < ARRAY_COUNT(plain); i++) {
        if (slice_equal(type, slice_of(plain[i]))) {
            return true;
        }
    }
    return slice_starts_with(type, SLICE("DECIMAL(")) && !slice_ends_with(type, SLICE("]"));
}

/* Comparing a list with a number, or subtracting times with a zone, throws where the engine does
 * not say so; the text does not tell types, so the column decides. */
static void worsen_types(struct builder *b, const struct plan_node *node,
                         const struct plan_ref *ref, const struct used_columns *used)
{
    const struct policy_effective *effective = &ref->resolved.effective;
    for (size_t i = 0; i < effective->column_count && !is_worst(b->plan); i++) {
        const struct relation_column *column = effective->columns[i].column;
        if (!is_plain_type(column->type) &&
            uses(used, column->name, ref->resolved.relation->name.name)) {
            worsen(b, node, LEAK_UNSAFE, "a column of type", column->type);
        }
    }
}

/* Casts that the engine makes where unlike types meet, by what the columns are. */
static enum err worsen_mixed(struct builder *b, const struct plan_node *node, struct errinfo *info)
{
    const struct plan *plan = b->plan;
    if (!plan->is_bound || is_worst(plan)) {
        return ERR_OK;
    }
    size_t capacity = 1;
    for (size_t i = 0; i < node->ref_count; i++) {
        capacity += node->refs[i].resolved.relation->column_count;
    }
    struct arena *scratch CLEANUP(arena_cleanup) = arena_new(b->arena, "types", 0);
    struct sql_typed_name *columns =
        scratch == NULL ? NULL : arena_calloc(scratch, capacity, sizeof(*columns));
    size_t count = 0;
    bool mixes;
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < node->ref_count; i++) {
        const struct relation *relation = node->refs[i].resolved.relation;
        for (size_t c = 0; c < relation->column_count; c++) {
            columns[count++] =
                (struct sql_typed_name){relation->columns[c].name, relation->columns[c].type};
        }
    }
    TRY(sql_ast_mixes_types(node->ast, columns, count, scratch, &mixes, info));
    if (mixes) {
        worsen(b, node, LEAK_UNSAFE, "a comparison of unlike types", SLICE(""));
    }
    return ERR_OK;
}

static enum err resolve_references(struct builder *b, struct plan_node *node, struct errinfo *info)
{
    struct sql_ast *ast = node->ast;
    struct used_columns used = {0};
    if (!collect_names(b->arena, ast->root, &used)) {
        return errinfo_nomem(info);
    }
    worsen(b, node, ast->leak, "", ast->leak_function);
    node->ref_count = ast->reference_count;
    node->refs = arena_calloc(b->arena, node->ref_count + 1, sizeof(*node->refs));
    if (node->refs == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < node->ref_count; i++) {
        struct plan_ref *ref = &node->refs[i];
        const struct sql_reference *reference = &ast->references[i];
        enum err err = resolve_reference(b, node, reference, &ref->resolved, info);
        if (err != ERR_OK) {
            errinfo_position(info, reference->position);
            return err;
        }
        TRY(plan_add_virtual(b, node, i, names_column, &used, &ref->resolved, info));
        TRY(add_table(b, node, &ref->resolved, &ref->table, info));
        TRY(fill_audit(b, node, &ref->resolved, &used, &b->plan->tables[ref->table].audit, info));
        TRY(classify_filter(b, ref, info));
        TRY(plan_resolve_reads(b, ref, info));
        if (ref->resolved.relation->kind == RELATION_VIEW) {
            TRY(open_view(b, node, ref->resolved.relation, &ref->view, info));
        }
        worsen_types(b, node, ref, &used);
        b->plan->is_bound = b->plan->is_bound || is_bound_reference(node, ref);
        b->plan->is_partial = b->plan->is_partial || is_partial_reference(ref);
        b->plan->tables[ref->table].is_bound = is_bound_reference(node, ref);
    }
    return worsen_mixed(b, node, info);
}

enum err plan_resolve_node(struct builder *b, struct plan_node *node, struct errinfo *info)
{
    struct rest_ahead *outer = b->session->ahead; /* of the node that mentions this view */
    struct rest_ahead *ahead = begin_ahead(b, node);
    enum err err = resolve_references(b, node, info);
    b->session->ahead = outer;
    rest_ahead_free(ahead);
    return err;
}

/* ---- second pass: secure ---- */

/* A relation without rows now: nothing has to be opened to say so. */
static bool has_no_rows(const struct relation *relation)
{
    return (relation->kind == RELATION_SYSTEM || relation->kind == RELATION_TEMP) &&
           relation->object_count == 0;
}

static void write_source_column(const struct relation *relation,
                                const struct relation_column *column, struct buf *out)
{
    bool is_text = lake_metadata_is_text(relation, column);
    bool as_text = false;
    if (relation->kind == RELATION_TEMP) {
        /* A file of the engine's own says of instants inside of others that they are local times,
         * which a session's are: of UTC. */
        is_text = (temp_keeps_type(column->type, &as_text) && as_text) ||
                  slice_find(column->type, SLICE("TIMESTAMPTZ_NS")) != SIZE_MAX;
    }
    if (relation->kind == RELATION_SYSTEM && slice_starts_with(column->source, SLICE("="))) {
        buf_append(out, column->source.ptr + 1, column->source.len - 1);
        return;
    }
    if (has_no_rows(relation)) {
        buf_printf(out, "CAST(NULL AS %.*s)", SLICE_ARGS(column->type));
        return;
    }
    if (relation_column_is_unreadable(column)) {
        struct buf text CLEANUP(buf_fini) = {0};
        buf_printf(&text, "column \"%.*s\" has the Iceberg type %.*s, which cannot be read",
                   SLICE_ARGS(column->name), SLICE_ARGS(column->type));
        buf_append_str(out, "__moat_unreadable(");
        sql_quote_string(out, buf_slice(&text));
        buf_append_char(out, ')');
        out->failed = out->failed || buf_failed(&text);
        return;
    }
    buf_append_str(out, is_text ? "CAST(" : "");
    sql_quote_name(out, column->source);
    if (is_text) {
        buf_append_str(out, " AS ");
        buf_append_slice(out, column->type);
        buf_append_char(out, ')');
    }
}

struct lake_uri {
    const struct warehouse *warehouse;
    size_t first;
};

static void write_lake_uri(void *context, size_t index, struct buf *out)
{
    const struct lake_uri *uri = context;
    buf_printf(out, "%s/s%zu", uri->warehouse->uri_prefix, uri->first + index);
}

/* FROM item that yields the needed columns as __moat_c<id>. */
static enum err write_source(struct builder *b, const struct plan_ref *ref, struct buf *out,
                             struct errinfo *info)
{
    const struct relation *relation = ref->resolved.relation;
    const struct relation_column **columns;
    size_t count;
    TRY(policy_source_columns(&ref->resolved.effective, relation, b->arena, &columns, &count,
                              info));
    buf_append_str(out, "(SELECT ");
    for (size_t i = 0; i < count; i++) {
        buf_append_str(out, i == 0 ? "" : ", ");
        write_source_column(relation, columns[i], out);
        buf_printf(out, " AS \"__moat_c%u\"", columns[i]->id);
    }
    buf_append_str(out, " FROM ");
    if (has_no_rows(relation)) {
        buf_append_str(out, "(SELECT 1) AS \"__moat_none\" WHERE false) AS \"__moat_source\"");
        return ERR_OK;
    }
    if (relation->kind == RELATION_VIEW) {
        buf_append_str(out, "\"__moat_view\"");
    } else if (is_scanned(relation)) {
        const struct plan_lake *lake = &b->plan->lakes[b->plan->tables[ref->table].scan];
        struct lake_uri uri = {b->session->warehouse, lake->scan_first};
        TRY(lake_scan_sql(lake->source, write_lake_uri, &uri, out, info));
    } else {
        struct relation read;
        struct access_uri_context uri = {b->session->warehouse, relation,
                                         b->plan->tables[ref->table].object_first};
        TRY(lake_metadata_source(relation, b->arena, &read, info));
        TRY(catalog_source_sql(&read, access_placeholder_uri, &uri, out, info));
    }
    buf_append_str(out, ") AS \"__moat_source\"");
    return ERR_OK;
}

/* The table reference called `name` in a tree of Moat's own making. */
static struct json *find_own_table(struct json *node, struct slice name)
{
    if (node->type == JSON_OBJECT &&
        slice_equal(json_get_text(node, "type"), SLICE("BASE_TABLE")) &&
        slice_equal(json_get_text(node, "table_name"), name)) {
        return node;
    }
    for (struct json *child = node->first; child != NULL; child = child->next) {
        struct json *found = child->first == NULL ? NULL : find_own_table(child, name);
        if (found != NULL) {
            return found;
        }
    }
    return NULL;
}

/* The innermost SELECT, which reads the files. */
static struct json *find_reader(struct json *node)
{
    const struct json *from = json_get(node, "from_table");
    if (from != NULL && slice_equal(json_get_text(from, "type"), SLICE("TABLE_FUNCTION"))) {
        return node;
    }
    for (struct json *child = node->first; child != NULL; child = child->next) {
        struct json *found = child->first == NULL ? NULL : find_reader(child);
        if (found != NULL) {
            return found;
        }
    }
    return NULL;
}

enum err plan_graft(struct builder *b, struct json *hole, struct slice alias,
                    const struct json *select, struct errinfo *info)
{
    /* Members in the order that the engine writes them (sql/ast.h checks it). */
    static const char text[] = "{\"type\":\"SUBQUERY\",\"alias\":\"\",\"sample\":null,"
                               "\"query_location\":18446744073709551615,"
                               "\"subquery\":{\"node\":null,\"named_param_map\":[]},"
                               "\"column_name_alias\":[]}";
    struct json *body = json_copy(b->arena, select);
    struct json *subquery;
    if (body == NULL) {
        return errinfo_nomem(info);
    }
    TRY(json_parse(b->arena, slice_of(text), NULL, &subquery, info));
    json_get(subquery, "alias")->text = alias;
    json_replace(json_get(json_get(subquery, "subquery"), "node"), body);
    json_replace(hole, subquery);
    return ERR_OK;
}

static bool type_takes(struct slice type, int constant)
{
    static const char *const numbers[] = {"TINYINT", "SMALLINT", "INTEGER",   "BIGINT",
                                          "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER",
                                          "UBIGINT", "FLOAT",    "DOUBLE",    "DECIMAL"};
    switch (constant) {
    case CONSTANT_NUMBER:
        for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
            if (slice_starts_with(type, slice_of(numbers[i]))) {
                return !slice_ends_with(type, SLICE("]"));
            }
        }
        return false;
    case CONSTANT_STRING:
        return slice_equal(type, SLICE("VARCHAR"));
    case CONSTANT_BOOL:
        return slice_equal(type, SLICE("BOOLEAN"));
    case CONSTANT_DATE:
        return slice_equal(type, SLICE("DATE"));
    }
    return false;
}

/* Below a barrier user conditions lose pruning; copies of those that cannot fail or tell anything
 * (one raw column against a constant of its own type) are put where the files are read. */
static enum err push_conjuncts(struct plan_node *node, size_t index, struct json *secured,
                               struct errinfo *info)
{
    const struct sql_reference *reference = &node->ast->references[index];
    const struct policy_effective *effective = &node->refs[index].resolved.effective;
    struct json *reader = find_reader(secured);
    for (size_t c = 0; reader != NULL && c < reference->conjunct_count; c++) {
        const struct sql_conjunct *conjunct = &reference->conjuncts[c];
        for (size_t i = 0; i < effective->column_count; i++) {
            const struct policy_column *column = &effective->columns[i];
            if (column->is_raw && slice_equal_fold(column->column->name, conjunct->column) &&
                type_takes(column->column->type, (int)conjunct->constant)) {
                TRY(sql_ast_push_conjunct(node->ast, reader, conjunct, column->column->source,
                                          info));
            }
        }
    }
    return ERR_OK;
}

static enum err secure_path(struct builder *b, struct plan_node *node, size_t index,
                            struct errinfo *info)
{
    const struct plan_ref *ref = &node->refs[index];
    struct buf text CLEANUP(buf_fini) = {0};
    struct access_uri_context uri = {b->session->warehouse, ref->resolved.relation,
                                     b->plan->tables[ref->table].object_first};
    buf_append_str(&text, "SELECT * FROM ");
    TRY(catalog_source_sql(ref->resolved.relation, access_placeholder_uri, &uri, &text, info));
    struct json *own;
    TRY(parse_own(b, &text, &own, info));
    return sql_ast_graft(node->ast, index, own, info);
}

/* A view's columns are called as its body calls them, until one is renamed. */
static bool has_body_names(const struct relation *view)
{
    for (size_t i = 0; i < view->column_count; i++) {
        if (!slice_equal(view->columns[i].name, view->columns[i].source)) {
            return false;
        }
    }
    return true;
}

static enum err secure_reference(struct builder *b, struct plan_node *node, size_t index,
                                 struct errinfo *info)
{
    struct plan_ref *ref = &node->refs[index];
    const struct relation *relation = ref->resolved.relation;
    bool is_bound = is_bound_reference(node, ref);
    bool is_definer = is_bound && ref->view != NULL && ref->view->who != node->who;
    if (ref->view != NULL) {
        TRY(plan_secure_node(b, ref->view, info));
        if (!is_bound && has_body_names(relation) &&
            (identity_is_owner(node->who) ||
             ref->resolved.effective.column_count == relation->column_count)) {
            return sql_ast_graft(node->ast, index, ref->view->ast->select, info);
        }
    }
    if (relation->kind == RELATION_PATH) {
        return secure_path(b, node, index, info);
    }
    struct buf source CLEANUP(buf_fini) = {0};
    struct buf text CLEANUP(buf_fini) = {0};
    TRY(write_source(b, ref, &source, info));
    if (buf_failed(&source)) {
        return errinfo_nomem(info);
    }
    bool can_throw = ref->filter_leak != LEAK_NONE || is_definer;
    /* LEAK_NONE is no comfort beside a filter that can throw: a comparison may hide a cast. */
    bool barrier = is_bound && (b->plan->leak == LEAK_UNSAFE || can_throw);
    TRY(policy_secure(&ref->resolved.effective, buf_slice(&source), barrier, &text, info));
    struct json *secured;
    TRY(parse_own(b, &text, &secured, info));
    if (barrier) {
        b->plan->has_barrier = true;
        TRY(push_conjuncts(node, index, secured, info));
    }
    if (ref->view != NULL) {
        struct json *hole = find_own_table(secured, SLICE("__moat_view"));
        ASSERT(hole != NULL);
        TRY(plan_graft(b, hole, SLICE("__moat_view"), ref->view->ast->select, info));
    }
    TRY(plan_secure_reads(b, ref, secured, info));
    return sql_ast_graft(node->ast, index, secured, info);
}

enum err plan_secure_node(struct builder *b, struct plan_node *node, struct errinfo *info)
{
    if (b->plan->is_bound) {
        sql_ast_sample_rows(node->ast);
    }
    for (size_t i = 0; i < node->ref_count; i++) {
        TRY(secure_reference(b, node, i, info));
    }
    return sql_ast_finish(node->ast, info);
}

static enum err print_physical(struct builder *b, const struct sql_ast *ast, struct errinfo *info)
{
    struct buf json CLEANUP(buf_fini) = {0};
    struct buf sql CLEANUP(buf_fini) = {0};
    json_write(&json, ast->root);
    if (buf_failed(&json)) {
        return errinfo_nomem(info);
    }
    TRY(engine_deparse(b->session->engine, buf_slice(&json), &sql, info));
    if (buf_failed(&sql) || !arena_slice(b->arena, buf_slice(&sql), &b->plan->physical_sql)) {
        return errinfo_nomem(info);
    }
    return ERR_OK;
}

/* ---- the whole ---- */

static enum err enter(struct query *query, enum query_state state, struct errinfo *info)
{
    return query == NULL ? ERR_OK : query_move(query, state, info);
}

static enum err build_text(struct session *session, struct query *query, struct slice kept,
                           struct plan *plan, struct errinfo *info)
{
    struct builder b = {.session = session, .arena = plan->arena, .plan = plan};
    struct plan_node *root = arena_calloc(plan->arena, 1, sizeof(*root));
    struct slice json;
    if (root == NULL) {
        return errinfo_nomem(info);
    }
    *root = (struct plan_node){.who = session->who, .via_view = {"", 0}};
    TRY(plan_parse(session, kept, b.arena, &json, info));
    struct asker asker;
    struct sql_limits limits =
        limits_of(session, session->who, slice_of(session->default_schema), &asker);
    TRY(sql_ast_open(json, kept, SQL_FROM_USER, &limits, session->who, b.arena, &root->ast, info));
    plan->ast = root->ast;
    session->wanted = plan_wanted(root->ast, b.arena);
    plan->reads_nothing = root->ast->reference_count == 0;
    plan->is_constant = sql_ast_is_constant(root->ast);
    plan->root = root;
    TRY(enter(query, QUERY_PARSED, info));
    TRY(plan_resolve_node(&b, root, info));
    if (query != NULL) { /* from here the trail can say which tables */
        plan_unref(query->plan);
        atomic_fetch_add(&plan->references, 1);
        query->plan = plan;
    }
    TRY(enter(query, QUERY_RESOLVED, info));
    TRY(plan_secure_node(&b, root, info));
    TRY(enter(query, QUERY_SECURED, info));
    TRY(print_physical(&b, root->ast, info));
    return enter(query, QUERY_PLANNED, info);
}

/* Time travel in other engines' words becomes the engine's before it parses; what is wrong is shown
 * where it stands in the person's text. */
enum err plan_build_new(struct session *session, struct query *query, struct slice text,
                        struct plan **ret_plan, struct errinfo *info)
{
    struct plan *plan CLEANUP(plan_cleanup) = NULL;
    struct slice kept;
    TRY(plan_new(session, &plan, info));
    if (!arena_slice(plan->arena, text, &kept)) {
        return errinfo_nomem(info);
    }
    TRY(sql_ast_check_text(kept, &session->warehouse->limits, info));
    TRY(sql_travel_rewrite(kept, plan->arena, &plan->travel, info));
    session->memo = NULL;
    session->memo_arena = plan->arena; /* all that the statement reads of catalogs is read once */
    enum err err = build_text(session, query, plan->travel.text, plan, info);
    session->memo_arena = NULL;
    session->wanted = NULL;
    if (err != ERR_OK && info != NULL) {
        info->position = sql_travel_position(&plan->travel, info->position);
    }
    TRY(err);
    *ret_plan = TAKE(plan);
    return ERR_OK;
}

enum err plan_rows(struct session *session, const struct relation_column *columns,
                   size_t column_count, struct slice json_lines, struct plan **ret_plan,
                   struct errinfo *info)
{
    struct plan *plan CLEANUP(plan_cleanup) = NULL;
    TRY(plan_new(session, &plan, info));
    struct builder b = {.session = session, .arena = plan->arena, .plan = plan};
    struct relation_object *object = arena_calloc(b.arena, 1, sizeof(*object));
    struct relation *relation = arena_calloc(b.arena, 1, sizeof(*relation));
    if (object == NULL || relation == NULL || !arena_slice(b.arena, json_lines, &object->bytes)) {
        return errinfo_nomem(info);
    }
    object->is_bytes = true;
    object->size_bytes = object->bytes.len;
    *relation = (struct relation){.kind = RELATION_SYSTEM,
                                  .format = FORMAT_JSON,
                                  .columns = columns,
                                  .column_count = column_count,
                                  .objects = object,
                                  .object_count = 1};
    struct resolved resolved = {.relation = relation};
    struct plan_node root = {.who = session->who, .via_view = {"", 0}};
    size_t table;
    TRY(add_table(&b, &root, &resolved, &table, info));
    struct buf sql CLEANUP(buf_fini) = {0};
    struct access_uri_context uri = {session->warehouse, relation, 0};
    buf_append_str(&sql, "SELECT * FROM ");
    TRY(catalog_source_sql(relation, access_placeholder_uri, &uri, &sql, info));
    if (buf_failed(&sql) || !arena_slice(b.arena, buf_slice(&sql), &plan->physical_sql)) {
        return errinfo_nomem(info);
    }
    plan->table_count = 0; /* nothing of anybody's was read */
    *ret_plan = TAKE(plan);
    return ERR_OK;
}
