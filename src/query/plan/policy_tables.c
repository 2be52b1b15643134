/* Tables that policies read in subqueries: at the grant, for its definer; later, for people who
 * are shown the policy; and for each statement that the policy binds.
 *
 * Such a table is read with the definer's rights as they are when the statement runs, as the body
 * of a definer's view is, and found by uuid: a rename changes nothing, and if the definer, the
 * table or a column is gone, the policy cannot be applied. */
#include "query/plan/plan_int.h"
#include "sql/scan.h"

/* ---- at the grant ---- */

static enum err load_table(void *context, const struct sql_name *written,
                           const struct relation **ret_relation, struct errinfo *info)
{
    struct policy_tables *tables = context;
    struct resolved resolved;
    TRY(resolve_relation(tables->session, tables->session->who, written, tables->arena, &resolved,
                         info));
    if (resolved.relation->kind != RELATION_TABLE && resolved.relation->kind != RELATION_VIEW) {
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL, "a policy cannot read \"%.*s\"",
                          SLICE_ARGS(written->name));
        errinfo_hint(info, "Its subqueries read registered tables and views; who asks is told by "
                           "current_user, has_role() and claim().");
        return ERR_UNSUPPORTED;
    }
    struct policy_table *table = arena_calloc(tables->arena, 1, sizeof(*table));
    struct relation_column *columns =
        arena_calloc(tables->arena, resolved.effective.column_count + 1, sizeof(*columns));
    if (table == NULL || columns == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < resolved.effective.column_count; i++) {
        columns[i] = *resolved.effective.columns[i].column;
    }
    table->relation = *resolved.relation;
    table->relation.columns = columns;
    table->relation.column_count = resolved.effective.column_count;
    table->next = tables->first;
    tables->first = table;
    *ret_relation = &table->relation;
    return ERR_OK;
}

static const struct relation *find_loaded(void *context, struct slice uuid)
{
    const struct policy_tables *tables = context;
    for (const struct policy_table *t = tables->first; t != NULL; t = t->next) {
        if (slice_equal(t->relation.uuid, uuid)) {
            return &t->relation;
        }
    }
    return NULL;
}

void policy_tables_init(struct policy_tables *tables, struct session *session, struct arena *arena)
{
    *tables = (struct policy_tables){.session = session, .arena = arena};
    tables->definer = (struct sql_definer){
        .subject = identity_subject(session->who), .load = load_table, .context = tables};
    tables->namer = (struct sql_namer){.find = find_loaded, .context = tables};
}

/* ---- for people ---- */

static enum err remember(struct policy_tables *tables, const struct relation *relation,
                         struct errinfo *info)
{
    struct policy_table *table = arena_calloc(tables->arena, 1, sizeof(*table));
    if (table == NULL) {
        return errinfo_nomem(info);
    }
    table->relation = *relation;
    table->next = tables->first;
    tables->first = table;
    return ERR_OK;
}

static enum err name_all(struct policy_tables *tables, struct errinfo *info)
{
    struct session *session = tables->session;
    struct system_relation *relations = NULL;
    struct catalog_visible *visible = NULL;
    size_t count;
    bool is_admin = resolve_is_admin(session->who);
    if (is_admin) {
        TRY(system_relations(session_store(session), session->who, tables->arena, &relations,
                             &count, info));
    } else {
        count = 0;
    }
    for (size_t i = 0; i < count; i++) {
        TRY(remember(tables, &relations[i].relation, info));
    }
    /* Tables of attached catalogs too, which the store does not list. */
    TRY(resolve_visible(session, session->who, tables->arena, &visible, &count, info));
    for (size_t i = 0; i < count; i++) {
        TRY(remember(tables, visible[i].relation, info));
    }
    return ERR_OK;
}

static bool grant_reads_tables(const struct grant *grant)
{
    bool reads = sql_expression_reads_tables(grant->rows);
    for (size_t i = 0; i < grant->mask_count; i++) {
        reads = reads || sql_expression_reads_tables(grant->masks[i].expression);
    }
    return reads;
}

enum err print_grant(struct session *session, const struct grant *grant,
                     const struct relation *relation, struct arena *arena, struct slice *ret_text,
                     struct errinfo *info)
{
    struct policy_tables tables;
    policy_tables_init(&tables, session, arena);
    if (grant_reads_tables(grant)) {
        TRY(name_all(&tables, info));
    }
    return policy_print_grant(grant, relation, &tables.namer, arena, ret_text, info);
}

enum err print_expression(struct session *session, struct slice expression,
                          const struct relation *relation, struct arena *arena,
                          struct slice *ret_text, struct errinfo *info)
{
    struct policy_tables tables;
    policy_tables_init(&tables, session, arena);
    if (sql_expression_reads_tables(expression)) {
        TRY(name_all(&tables, info));
    }
    return policy_print_expression(expression, relation, &tables.namer, arena, ret_text, info);
}

/* ---- for a statement ---- */

static enum err cannot_apply(const struct builder *b, const struct relation *relation,
                             struct errinfo *info)
{
    char detail[ERRINFO_MESSAGE_BYTES] = "";
    if (info != NULL) {
        (void)snprintf(detail, sizeof(detail), "%s", info->message);
    }
    (void)errinfo_set(info, ERR_DENIED, NULL, "the policy of \"%.*s\" cannot be applied",
                      SLICE_ARGS(relation->name.name));
    if (resolve_may_administer(b->session->who, relation)) {
        errinfo_detail(info, "One of its subqueries: %s", detail);
    }
    errinfo_hint(info, "Ask the table's owner: SHOW GRANTS ON it names the grant to mend.");
    return ERR_DENIED;
}

/* "SELECT <filter>, <cells>", of those that read other tables. */
static enum err write_expressions(struct builder *b, const struct policy_effective *effective,
                                  struct slice *ret_text, struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    if (sql_expression_reads_tables(effective->filter)) {
        buf_append_slice(&text, effective->filter);
    }
    for (size_t i = 0; i < effective->column_count; i++) {
        if (sql_expression_reads_tables(effective->columns[i].expression)) {
            buf_append_str(&text, text.len > 0 ? ", " : "");
            buf_append_slice(&text, effective->columns[i].expression);
        }
    }
    *ret_text = (struct slice){"", 0};
    if (text.len == 0 && !buf_failed(&text)) {
        return ERR_OK;
    }
    char *select = arena_printf(b->arena, "SELECT %s", buf_cstr(&text));
    if (buf_failed(&text) || select == NULL) {
        return errinfo_nomem(info);
    }
    *ret_text = slice_of(select);
    return ERR_OK;
}

/* Appends each column of `table` that the tree names, as it is named there. */
static enum err write_used(const struct json *node, const struct relation *table, bool *used,
                           struct buf *out, struct errinfo *info)
{
    const struct json *names = json_get(node, "column_names");
    for (const struct json *n = names == NULL ? NULL : names->first; n != NULL; n = n->next) {
        struct slice uuid;
        uint64_t id;
        if (!sql_expression_column(n->text, &uuid, &id) || !slice_equal(uuid, table->uuid)) {
            continue;
        }
        size_t at = 0;
        while (at < table->column_count && table->columns[at].id != id) {
            at++;
        }
        if (at == table->column_count) {
            return errinfo_set(info, ERR_NOT_FOUND, "42703", "a column that it reads was dropped");
        }
        if (!used[at]) {
            used[at] = true;
            buf_append_str(out, out->len > 0 ? ", " : "");
            sql_quote_name(out, table->columns[at].name);
            buf_append_str(out, " AS ");
            sql_quote_name(out, n->text);
        }
    }
    for (const struct json *child = node->first; child != NULL; child = child->next) {
        if (child->first != NULL) {
            TRY(write_used(child, table, used, out, info));
        }
    }
    return ERR_OK;
}

/* What the engine reads for one table of a subquery: its used columns, as the definer sees them. */
static enum err write_body(struct builder *b, const struct sql_ast *ast,
                           const struct relation *table, struct slice *ret_text,
                           struct errinfo *info)
{
    struct buf columns CLEANUP(buf_fini) = {0};
    struct buf text CLEANUP(buf_fini) = {0};
    bool *used = arena_calloc(b->arena, table->column_count + 1, sizeof(*used));
    if (used == NULL) {
        return errinfo_nomem(info);
    }
    TRY(write_used(ast->root, table, used, &columns, info));
    buf_append_str(&text, "SELECT ");
    if (columns.len == 0) { /* only whether there are rows */
        buf_append_str(&text, "1 AS \"__moat_d0\"");
    }
    buf_append_slice(&text, buf_slice(&columns));
    buf_append_str(&text, " FROM ");
    sql_print_name(&text, &table->name);
    if (buf_failed(&columns) || buf_failed(&text) ||
        !arena_slice(b->arena, buf_slice(&text), ret_text)) {
        return errinfo_nomem(info);
    }
    return ERR_OK;
}

static enum err resolve_read(struct builder *b, const struct sql_ast *ast,
                             const struct relation *of, struct plan_read *read,
                             struct errinfo *info)
{
    struct identity *definer;
    struct relation *table = arena_calloc(b->arena, 1, sizeof(*table));
    struct slice text;
    struct slice json;
    if (table == NULL) {
        return errinfo_nomem(info);
    }
    TRY(system_login(b->session->warehouse->system, read->subject, SLICE(""), SLICE("definer"),
                     identity_client(b->session->who), &definer, info));
    TRY(plan_hold(b->plan, definer, info));
    TRY(resolve_by_uuid(b->session, definer, read->uuid, b->arena, table, info));
    TRY(write_body(b, ast, table, &text, info));
    TRY(plan_parse(b->session, text, b->arena, &json, info));
    struct plan_node *node = arena_calloc(b->arena, 1, sizeof(*node));
    if (node == NULL) {
        return errinfo_nomem(info);
    }
    node->who = definer;
    node->via_policy = of->name.name;
    TRY(sql_ast_open(json, text, SQL_FROM_POLICY, &b->session->warehouse->limits, definer, b->arena,
                     &node->ast, info));
    TRY(plan_resolve_node(b, node, info));
    if (node->ref_count != 1 || !slice_equal(node->refs[0].resolved.relation->uuid, read->uuid)) {
        return errinfo_set(info, ERR_NOT_FOUND, "42P01", "a table that it reads was renamed");
    }
    if (node->refs[0].resolved.effective.is_bound) {
        /* The definer's own expression then stands over rows hidden from them. What made it so is
         * named only if the statement did. */
        b->plan->leak_what = b->plan->leak == LEAK_UNSAFE ? b->plan->leak_what : NULL;
        b->plan->leak = LEAK_UNSAFE;
    }
    read->node = node;
    return ERR_OK;
}

static struct plan_read *find_read(struct plan_read *reads, const struct sql_name *name)
{
    for (struct plan_read *read = reads; read != NULL; read = read->next) {
        if (slice_equal(read->subject, name->schema) && slice_equal(read->uuid, name->name)) {
            return read;
        }
    }
    return NULL;
}

static enum err resolve_reads(struct builder *b, struct plan_ref *ref, struct slice text,
                              struct errinfo *info)
{
    struct slice json;
    struct sql_ast *ast;
    if (b->depth >= PLAN_DEPTH_MAX) {
        return errinfo_set(info, ERR_LIMIT, "54001", "policies read each other's tables in a ring");
    }
    TRY(plan_parse(b->session, text, b->arena, &json, info));
    TRY(sql_ast_open(json, text, SQL_FROM_POLICY, &b->session->warehouse->limits, b->session->who,
                     b->arena, &ast, info));
    for (size_t i = 0; i < ast->reference_count; i++) {
        const struct sql_reference *reference = &ast->references[i];
        if (!slice_equal(reference->name.catalog, SLICE(SQL_DEFINER)) || reference->is_function) {
            return errinfo_set(info, ERR_CORRUPT, NULL, "a stored policy has a wrong table");
        }
        if (find_read(ref->reads, &reference->name) != NULL) {
            continue;
        }
        struct plan_read *read = arena_calloc(b->arena, 1, sizeof(*read));
        if (read == NULL) {
            return errinfo_nomem(info);
        }
        read->subject = reference->name.schema;
        read->uuid = reference->name.name;
        b->depth++;
        enum err err = resolve_read(b, ast, ref->resolved.relation, read, info);
        b->depth--;
        TRY(err);
        read->next = ref->reads;
        ref->reads = read;
    }
    return ERR_OK;
}

enum err plan_resolve_reads(struct builder *b, struct plan_ref *ref, struct errinfo *info)
{
    struct slice text;
    TRY(write_expressions(b, &ref->resolved.effective, &text, info));
    if (text.len == 0) {
        return ERR_OK;
    }
    enum err err = resolve_reads(b, ref, text, info);
    if (err != ERR_OK && err != ERR_NOMEM && err != ERR_CANCELLED && err != ERR_TIMEOUT) {
        return cannot_apply(b, ref->resolved.relation, info);
    }
    ref->filter_leak = LEAK_UNSAFE; /* a subquery may find two rows where one must be */
    return err;
}

static enum err fill(struct builder *b, const struct plan_ref *ref, struct json *node,
                     struct errinfo *info)
{
    if (node->type == JSON_OBJECT &&
        slice_equal(json_get_text(node, "type"), SLICE("BASE_TABLE")) &&
        slice_equal(json_get_text(node, "catalog_name"), SLICE(SQL_DEFINER))) {
        struct sql_name name = {.schema = json_get_text(node, "schema_name"),
                                .name = json_get_text(node, "table_name")};
        const struct plan_read *read = find_read(ref->reads, &name);
        if (read == NULL) {
            return errinfo_set(info, ERR_INTERNAL, NULL, "a policy's table was left in the plan");
        }
        return plan_graft(b, node, json_get_text(node, "alias"), read->node->ast->select, info);
    }
    for (struct json *child = node->first, *next; child != NULL; child = next) {
        next = child->next; /* the child may be replaced */
        if (child->first != NULL) {
            TRY(fill(b, ref, child, info));
        }
    }
    return ERR_OK;
}

enum err plan_secure_reads(struct builder *b, const struct plan_ref *ref, struct json *secured,
                           struct errinfo *info)
{
    if (ref->reads == NULL) {
        return ERR_OK;
    }
    for (const struct plan_read *read = ref->reads; read != NULL; read = read->next) {
        TRY(plan_secure_node(b, read->node, info));
    }
    return fill(b, ref, secured, info);
}
