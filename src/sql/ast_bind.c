/* Names in a policy's expression, bound once when it is written: columns of its own table and, in
 * subqueries, of the tables that these read.
 *
 * Every name is decided here and stored by identity, so that no rename and no new column changes
 * what a policy means. A table of a subquery becomes `__moat_definer.<subject>.<uuid>`, its columns
 * `<alias>.__moat_d<uuid>_<id>`. What cannot be stored so (stars, USING, tables made on the spot)
 * is refused: it would follow the table's next shape. */
#include "sql/ast_int.h"

static enum err refuse(const struct ast_check *c, const struct json *node, const char *what)
{
    (void)errinfo_set(c->info, ERR_UNSUPPORTED, NULL, "%s cannot stand in a subquery of a policy",
                      what);
    errinfo_position(c->info, ast__position(c, node));
    errinfo_hint(c->info, "It is one SELECT over tables or joins of them (ON ...); put anything "
                          "else into a view.");
    return ERR_UNSUPPORTED;
}

static const struct relation_column *find_column(const struct relation *relation, struct slice name)
{
    for (size_t i = 0; i < relation->column_count; i++) {
        if (slice_equal_fold(relation->columns[i].name, name)) {
            return &relation->columns[i];
        }
    }
    return NULL;
}

/* ---- columns ---- */

struct found {
    const struct ast_bound_table *table;
    const struct relation_column *column;
    uint32_t name_count; /* leading names that say it; the rest are fields */
    bool is_ambiguous;
};

/* The innermost scope that knows the name decides, as in SQL: table.column before column.field. */
static bool find_inner(const struct ast_binding *binding, const struct json *names,
                       struct found *ret_found)
{
    for (const struct ast_bound_scope *s = binding->scope; s != NULL; s = s->outer) {
        struct found found = {0};
        struct slice first = names->first->text;
        for (const struct ast_bound_table *t = s->tables; t != NULL; t = t->next) {
            if (names->count >= 2 && slice_equal_fold(t->alias, first)) {
                found.table = t;
                found.column = find_column(t->relation, names->first->next->text);
                found.name_count = 2;
            }
        }
        const struct ast_bound_table *t = found.table == NULL ? s->tables : NULL;
        for (; t != NULL; t = t->next) {
            const struct relation_column *column = find_column(t->relation, first);
            if (column != NULL) {
                found.is_ambiguous = found.column != NULL;
                found.table = t;
                found.column = column;
                found.name_count = 1;
            }
        }
        if (found.table != NULL) {
            *ret_found = found;
            return true;
        }
    }
    return false;
}

static enum err unknown_column(const struct ast_check *c, const struct json *node,
                               const char *state, struct slice name, const char *what)
{
    (void)errinfo_set(c->info, ERR_NOT_FOUND, state, "column \"%.*s\" %s", SLICE_ARGS(name), what);
    errinfo_position(c->info, ast__position(c, node));
    const struct relation *relation = c->binding->relation;
    const struct relation_column *nearest = NULL;
    unsigned best = 3;
    for (size_t i = 0; relation != NULL && i < relation->column_count; i++) {
        unsigned distance = slice_edit_distance(relation->columns[i].name, name, best - 1);
        if (distance < best) {
            best = distance;
            nearest = &relation->columns[i];
        }
    }
    if (nearest != NULL && c->binding->scope == NULL) {
        errinfo_hint(c->info, "Did you mean \"%.*s\"?", SLICE_ARGS(nearest->name));
        return ERR_NOT_FOUND;
    }
    errinfo_hint(c->info, c->binding->scope == NULL
                              ? "A policy expression names columns of its own table."
                              : "A subquery of a policy names columns of its tables and of the "
                                "policy's own.");
    return ERR_NOT_FOUND;
}

static enum err set_names(const struct ast_check *c, struct json *node, struct slice qualifier,
                          const char *own, const struct json *fields)
{
    struct arena *arena = c->whole->ast.arena;
    struct json *list = json_new(arena, JSON_ARRAY);
    struct json *first = qualifier.len == 0 ? NULL : json_new_text(arena, qualifier);
    struct json *text = own == NULL ? NULL : json_new_text(arena, slice_of(own));
    if (list == NULL || text == NULL || (qualifier.len > 0 && first == NULL)) {
        return errinfo_nomem(c->info);
    }
    if (first != NULL) {
        json_append(list, first);
    }
    json_append(list, text);
    for (const struct json *field = fields; field != NULL; field = field->next) {
        struct json *copy = json_new_text(arena, field->text);
        if (copy == NULL) {
            return errinfo_nomem(c->info);
        }
        json_append(list, copy);
    }
    json_replace(json_get(node, "column_names"), list);
    return ERR_OK;
}

static enum err bind_inner(struct ast_check *c, struct json *node, const struct json *names,
                           const struct found *found)
{
    if (found->column == NULL || found->is_ambiguous) {
        return found->is_ambiguous
                   ? unknown_column(c, node, "42702", names->first->text,
                                    "is in more than one table of the subquery")
                   : unknown_column(c, node, "42703", names->first->next->text, "does not exist");
    }
    const struct json *fields = names->first->next;
    fields = found->name_count == 2 ? fields->next : fields;
    return set_names(c, node, found->table->alias,
                     arena_printf(c->whole->ast.arena, "__moat_d%.*s_%u",
                                  SLICE_ARGS(found->table->relation->uuid), found->column->id),
                     fields);
}

bool ast__bind_knows(const struct ast_binding *binding, struct slice name)
{
    struct json text = {.type = JSON_STRING, .text = name};
    struct json names = {.type = JSON_ARRAY, .first = &text, .count = 1};
    struct found found;
    return find_inner(binding, &names, &found) || find_column(binding->relation, name) != NULL;
}

enum err ast__bind_column(struct ast_check *c, struct json *node, const struct json *names)
{
    struct ast_binding *binding = c->binding;
    struct found inner;
    if (find_inner(binding, names, &inner)) {
        return bind_inner(c, node, names, &inner);
    }
    struct slice name = names->last->text;
    const struct relation_column *found = find_column(binding->relation, name);
    struct slice qualifier = names->count == 2 ? names->first->text : binding->relation->name.name;
    if (found == NULL || names->count > 2 ||
        !slice_equal_fold(qualifier, binding->relation->name.name)) {
        return unknown_column(c, node, "42703", name, "does not exist");
    }
    TRY(set_names(c, node, SLICE(""), arena_printf(c->whole->ast.arena, "__moat_c%u", found->id),
                  NULL));
    for (size_t i = 0; i < binding->count; i++) {
        if (binding->ids[i] == found->id) {
            return ERR_OK;
        }
    }
    ASSERT(binding->count < binding->capacity);
    binding->ids[binding->count++] = found->id;
    return ERR_OK;
}

/* ---- tables ---- */

static enum err bind_table(struct ast_check *c, struct json *node, struct ast_bound_scope *scope)
{
    const struct sql_definer *definer = c->binding->definer;
    struct sql_name name = {json_get_text(node, "catalog_name"), json_get_text(node, "schema_name"),
                            json_get_text(node, "table_name")};
    const struct json *aliases = json_get(node, "column_name_alias");
    if (!json_is_null(json_get(node, "at_clause")) || aliases == NULL || aliases->count != 0) {
        return refuse(c, node, "AT (...) or a list of column aliases");
    }
    TRY(ast__name(c, name.catalog));
    TRY(ast__name(c, name.schema));
    TRY(ast__name(c, name.name));
    struct ast_bound_table *table = arena_calloc(c->whole->ast.arena, 1, sizeof(*table));
    if (table == NULL) {
        return errinfo_nomem(c->info);
    }
    enum err err = definer->load(definer->context, &name, &table->relation, c->info);
    if (err != ERR_OK) {
        errinfo_position(c->info, ast__position(c, node));
        return err;
    }
    struct slice alias = json_get_text(node, "alias");
    table->alias = alias.len > 0 ? alias : name.name;
    table->node = node;
    table->next = scope->tables;
    scope->tables = table;
    return ERR_OK;
}

static enum err bind_from(struct ast_check *c, struct json *from, struct ast_bound_scope *scope)
{
    const struct json *using = json_get(from, "using_columns");
    if (++c->binding->from_count > c->whole->limits.depth_max) {
        return refuse(c, from, "a join of so many tables");
    }
    if (!json_is_null(json_get(from, "sample"))) {
        return refuse(c, from, "a sample");
    }
    if (ast__is(from, "type", "EMPTY")) {
        return ERR_OK;
    }
    if (ast__is(from, "type", "BASE_TABLE")) {
        TRY(ast__order(shape_of_relation(SLICE("BASE_TABLE")), from, c->info));
        return bind_table(c, from, scope);
    }
    if (!ast__is(from, "type", "JOIN")) {
        return refuse(c, from, "a FROM item that is no table");
    }
    TRY(ast__order(shape_of_relation(SLICE("JOIN")), from, c->info));
    if ((!ast__is(from, "ref_type", "REGULAR") && !ast__is(from, "ref_type", "CROSS")) ||
        using->type != JSON_ARRAY || using->count != 0) {
        return refuse(c, from, "USING, NATURAL, ASOF or POSITIONAL");
    }
    TRY(bind_from(c, json_get(from, "left"), scope));
    return bind_from(c, json_get(from, "right"), scope);
}

enum err ast__bind_enter(struct ast_check *c, const struct shape *shape, struct json *node)
{
    struct ast_binding *binding = c->binding;
    if (!binding->is_inside) {
        return ERR_OK; /* the SELECT that stands around the expression */
    }
    const struct json *ctes = json_get(json_get(node, "cte_map"), "map");
    if (shape->id != SHAPE_SELECT || ctes == NULL || ctes->count != 0 ||
        !json_is_null(json_get(node, "sample"))) {
        return refuse(c, node, "WITH, a set operation or a sample");
    }
    struct ast_bound_scope *scope = arena_calloc(c->whole->ast.arena, 1, sizeof(*scope));
    if (scope == NULL) {
        return errinfo_nomem(c->info);
    }
    scope->outer = binding->scope;
    scope->is_exists = binding->is_exists;
    binding->is_exists = false;
    TRY(bind_from(c, json_get(node, "from_table"), scope));
    binding->scope = scope;
    return ERR_OK;
}

/* Only now: the walk has checked the names that people wrote. */
enum err ast__bind_leave(struct ast_check *c)
{
    struct ast_binding *binding = c->binding;
    const struct ast_bound_scope *scope = binding->scope;
    if (!binding->is_inside) {
        return ERR_OK;
    }
    for (const struct ast_bound_table *t = scope->tables; t != NULL; t = t->next) {
        json_get(t->node, "catalog_name")->text = SLICE(SQL_DEFINER);
        json_get(t->node, "schema_name")->text = binding->definer->subject;
        json_get(t->node, "table_name")->text = t->relation->uuid;
        json_get(t->node, "alias")->text = t->alias;
    }
    binding->scope = scope->outer;
    return ERR_OK;
}

enum err ast__bind_subquery(struct ast_check *c, const struct shape *shape, struct json *node)
{
    struct ast_binding *binding = c->binding;
    bool was_inside = binding->is_inside;
    binding->is_inside = true;
    binding->is_exists =
        ast__is(node, "subquery_type", "EXISTS") || ast__is(node, "subquery_type", "NOT_EXISTS");
    TRY(ast__members(c, shape, node));
    binding->is_inside = was_inside;
    return ERR_OK;
}

/* `SELECT *` of EXISTS only counts rows; any other star would follow the table's next shape. */
bool ast__bind_takes_star(const struct ast_binding *binding, const struct json *star)
{
    const struct json *replaced = json_get(star, "replace_list");
    const struct json *columns = json_get(star, "columns");
    return binding->scope != NULL && binding->scope->is_exists && replaced != NULL &&
           replaced->count == 0 && columns != NULL && columns->type == JSON_BOOL &&
           !columns->boolean && json_is_null(json_get(star, "expr"));
}
