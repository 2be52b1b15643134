/* Which table names are common table expressions, and which are references to be replaced.
 *
 * The engine's rules (Binder::GetCTEBinding, CTEBindState::Bind, Binder::BindNode of a recursive
 * CTE): an entry of WITH sees the entries before it and whatever is outside, never itself: its own
 * name looks further out. A recursive entry is seen by its right arm only, also as
 * `recurring.name`. Names fold case. A qualified name is never a CTE but for that `recurring`. The
 * catalog of the engine is empty, so that a mistake here names nothing. */
#include "sql/ast_int.h"

bool ast__is_cte(const struct ast_cte *ctes, const struct json *table)
{
    struct slice schema = json_get_text(table, "schema_name");
    struct slice name = json_get_text(table, "table_name");
    bool is_recurring = slice_equal_fold(schema, SLICE("recurring"));
    if (json_get_text(table, "catalog_name").len > 0 || (schema.len > 0 && !is_recurring)) {
        return false;
    }
    for (const struct ast_cte *cte = ctes; cte != NULL; cte = cte->outer) {
        if (cte->is_recurring == is_recurring && slice_equal_fold(cte->name, name)) {
            return true;
        }
    }
    return false;
}

static const struct ast_cte *add_cte(struct ast_check *c, struct slice name, bool is_recurring,
                                     const struct ast_cte *outer)
{
    struct ast_cte *cte = arena_alloc(c->whole->ast.arena, sizeof(*cte));
    if (cte != NULL) {
        *cte = (struct ast_cte){name, is_recurring, outer};
    }
    return cte;
}

enum err ast__ctes(struct ast_check *c, struct json *cte_map, const struct ast_cte **ret_scope)
{
    TRY(ast__order(&shape_cte_map, cte_map, c->info));
    struct json *map = json_get(cte_map, "map");
    const struct ast_cte *scope = c->ctes;
    if (map->type == JSON_ARRAY && map->count > c->whole->limits.list_max) {
        return errinfo_set(c->info, ERR_LIMIT, "54000", "WITH has more than %u entries",
                           c->whole->limits.list_max);
    }
    const struct shape *entry_shape = shape_cte_map.members[0].shape;
    for (struct json *entry = map->first; entry != NULL; entry = entry->next) {
        c->ctes = scope; /* those before it */
        TRY(ast__order(entry_shape, entry, c->info));
        TRY(ast__members(c, entry_shape, entry));
        scope = add_cte(c, json_get_text(entry, "key"), false, scope);
        if (scope == NULL) {
            return errinfo_nomem(c->info);
        }
    }
    if (map->type != JSON_ARRAY) {
        return errinfo_set(c->info, ERR_UNSUPPORTED, NULL, "WITH of this form is not supported");
    }
    *ret_scope = scope;
    return ERR_OK;
}

enum err ast__recursive(struct ast_check *c, struct json *node)
{
    static const char *const first[] = {"modifiers", "cte_name", "union_all",
                                        "left",      "aliases",  "key_targets"};
    const struct shape *shape = shape_of_query(SLICE("RECURSIVE_CTE_NODE"));
    const struct ast_cte *outer = c->ctes;
    for (size_t i = 0; i < shape->member_count; i++) {
        const struct member *member = &shape->members[i];
        struct json *value = json_get(node, member->name);
        bool is_right = strcmp(member->name, "right") == 0;
        bool is_wanted = is_right;
        for (size_t f = 0; f < ARRAY_COUNT(first); f++) {
            is_wanted = is_wanted || strcmp(member->name, first[f]) == 0;
        }
        if (!is_wanted) {
            continue;
        }
        if (is_right) {
            struct slice name = json_get_text(node, "cte_name");
            c->ctes = add_cte(c, name, false, outer);
            c->ctes = c->ctes == NULL ? NULL : add_cte(c, name, true, c->ctes);
            if (c->ctes == NULL) {
                return errinfo_nomem(c->info);
            }
        }
        struct shape one = {SHAPE_PLAIN, shape->tag, NULL, member, 1};
        struct json holder = {.type = JSON_OBJECT, .first = value};
        TRY(ast__members(c, &one, &holder));
        c->ctes = outer;
    }
    return ERR_OK;
}

/* ---- references ---- */

static enum err add_reference(struct ast_check *c, struct json *node,
                              struct sql_reference **ret_reference)
{
    struct ast_whole *whole = c->whole;
    struct sql_ast *ast = &whole->ast;
    if (ast->reference_count == whole->reference_capacity) {
        size_t capacity = whole->reference_capacity == 0 ? 8 : whole->reference_capacity * 2;
        struct sql_reference *references = arena_calloc(ast->arena, capacity, sizeof(*references));
        struct ast_place *places = arena_calloc(ast->arena, capacity, sizeof(*places));
        if (references == NULL || places == NULL) {
            return errinfo_nomem(c->info);
        }
        if (ast->reference_count > 0) {
            memcpy(references, ast->references, ast->reference_count * sizeof(*references));
            memcpy(places, whole->places, ast->reference_count * sizeof(*places));
        }
        ast->references = references;
        whole->places = places;
        whole->reference_capacity = capacity;
    }
    whole->places[ast->reference_count] = (struct ast_place){
        .select = c->select == NULL ? NULL : c->select->node, .keeps_rows = c->keeps_rows};
    struct sql_reference *reference = &ast->references[ast->reference_count++];
    reference->node = node;
    reference->position = ast__position(c, node);
    whole->open_references++;
    *ret_reference = reference;
    return ERR_OK;
}

enum err ast__base_table(struct ast_check *c, struct json *node)
{
    if (ast__is_cte(c->ctes, node) || c->binding != NULL) {
        return ERR_OK; /* a policy's tables: ast_bind.c */
    }
    if (c->is_verify) {
        return errinfo_set(c->info, ERR_INTERNAL, NULL, "table \"%.*s\" was left in the plan",
                           SLICE_ARGS(json_get_text(node, "table_name")));
    }
    struct sql_reference *reference;
    TRY(add_reference(c, node, &reference));
    reference->name =
        (struct sql_name){json_get_text(node, "catalog_name"), json_get_text(node, "schema_name"),
                          json_get_text(node, "table_name")};
    const struct json *at = json_get(node, "at_clause");
    reference->has_version = ast__is(at, "unit", "VERSION");
    reference->has_timestamp = ast__is(at, "unit", "TIMESTAMP");
    reference->at = at == NULL ? NULL : json_get(at, "expr");
    return ERR_OK;
}

/* Text of a constant as a SQL literal; false for anything else. */
static bool literal_of(struct arena *arena, const struct json *node, struct slice *ret_literal)
{
    const struct json *constant =
        ast__is(node, "class", "CAST") && ast__is(json_get(node, "cast_type"), "id", "BOOLEAN")
            ? json_get(node, "child")
            : node;
    const struct json *value = json_get(json_get(constant, "value"), "value");
    if (!ast__is(constant, "class", "CONSTANT") || value == NULL) {
        return false;
    }
    int64_t number;
    if (constant != node) {
        bool is_true = slice_equal(value->text, SLICE("t"));
        *ret_literal = is_true ? SLICE("true") : SLICE("false");
        return is_true || slice_equal(value->text, SLICE("f"));
    }
    if (json_to_i64(value, &number) &&
        !ast__is(json_get(json_get(constant, "value"), "type"), "id", "DECIMAL")) {
        *ret_literal = value->text;
        return true;
    }
    if (value->type != JSON_STRING) {
        return false;
    }
    char *quoted = arena_alloc(arena, value->text.len * 2 + 3);
    if (quoted == NULL) {
        return false;
    }
    size_t len = 0;
    quoted[len++] = '\'';
    for (size_t i = 0; i < value->text.len; i++) {
        if (value->text.ptr[i] == '\'') {
            quoted[len++] = '\'';
        }
        quoted[len++] = value->text.ptr[i];
    }
    quoted[len++] = '\'';
    *ret_literal = (struct slice){quoted, len};
    return true;
}

static enum err read_arguments(struct ast_check *c, struct json *function,
                               struct sql_reference *reference)
{
    struct json *children = json_get(function, "children");
    struct relation_option *options =
        arena_calloc(c->whole->ast.arena, children->count + 1, sizeof(*options));
    if (options == NULL) {
        return errinfo_nomem(c->info);
    }
    for (struct json *child = children->first; child != NULL; child = child->next) {
        struct slice name = json_get_text(child, "alias");
        const struct json *value = child;
        if (ast__is(child, "type", "COMPARE_EQUAL") &&
            ast__is(json_get(child, "left"), "class", "COLUMN_REF") &&
            json_get(json_get(child, "left"), "column_names")->count == 1) {
            name = json_get(json_get(child, "left"), "column_names")->first->text;
            value = json_get(child, "right");
        }
        struct slice literal;
        bool is_path = child == children->first && name.len == 0;
        if ((name.len == 0 && !is_path) || !literal_of(c->whole->ast.arena, value, &literal) ||
            (is_path && json_get(json_get(value, "value"), "value")->type != JSON_STRING)) {
            (void)errinfo_set(c->info, ERR_UNSUPPORTED, NULL,
                              "\"%.*s\" takes one constant path here, and its options as constants",
                              SLICE_ARGS(reference->name.name));
            errinfo_position(c->info, reference->position);
            return ERR_UNSUPPORTED;
        }
        if (is_path) {
            reference->path = json_get_text(json_get(value, "value"), "value");
        } else {
            options[reference->option_count++] = (struct relation_option){name, literal};
        }
    }
    reference->options = options;
    return ERR_OK;
}

/* A reader in a finished tree: its first argument is one `moat://` constant or a list of them. */
static enum err check_injected(const struct ast_check *c, const struct json *call)
{
    const struct json *first = json_get(call, "children")->first;
    bool is_list = ast__is(first, "function_name", "list_value");
    const struct json *uri = is_list ? json_get(first, "children")->first : first;
    bool ok = uri != NULL;
    for (; uri != NULL; uri = is_list ? uri->next : NULL) {
        ok = ok && ast__is(uri, "class", "CONSTANT") &&
             slice_starts_with(json_get_text(json_get(uri, "value"), "value"), SLICE("moat://"));
    }
    return ok ? ERR_OK
              : errinfo_set(c->info, ERR_INTERNAL, NULL,
                            "a reader of something else than an object was left in the plan");
}

/* `FROM pg_catalog.unnest(x) y`: with its schema it is PostgreSQL's, where y also names the
 * one column. generate_series is so without it, too. */
static enum err take_schema(struct ast_check *c, struct json *node, struct json *call)
{
    struct json *aliases = json_get(node, "column_name_alias");
    struct slice alias = json_get_text(node, "alias");
    struct json *schema = json_get(call, "schema");
    bool is_pg = slice_equal_fold(json_get_text(call, "schema"), SLICE(SQL_SCHEMA_PG));
    bool is_series =
        schema != NULL && schema->type == JSON_STRING && schema->text.len == 0 &&
        slice_equal_fold(json_get_text(call, "function_name"), SLICE("generate_series"));
    if ((!is_pg && !is_series) || aliases == NULL || aliases->type != JSON_ARRAY) {
        return ERR_OK;
    }
    schema->text = SLICE("");
    if (alias.len > 0 && aliases->count == 0) {
        struct json *name = json_new_text(c->whole->ast.arena, alias);
        if (name == NULL) {
            return errinfo_nomem(c->info);
        }
        json_append(aliases, name);
    }
    return ERR_OK;
}

enum err ast__table_function(struct ast_check *c, struct json *node)
{
    const struct shape *shape = shape_of_relation(SLICE("TABLE_FUNCTION"));
    struct json *call = json_get(node, "function");
    const struct shape *call_shape = shape_of_expression(SLICE("FUNCTION"));
    if (!ast__is(call, "class", "FUNCTION")) {
        return errinfo_set(c->info, ERR_UNSUPPORTED, NULL,
                           "a table function of this form is not supported");
    }
    TRY(ast__order(call_shape, call, c->info));
    if (c->is_verify && ast__is(call, "function_name", "moat_scan")) {
        return check_injected(c, call); /* refused to people: sql/functions.def */
    }
    const struct sql_function *function;
    if (!c->is_verify) {
        bool is_done;
        TRY(take_schema(c, node, call));
        TRY(ast__macro_list(c, call));
        TRY(ast__series_words(c, call));
        TRY(ast__macro_rows(c, node, &is_done));
        if (is_done) {
            return ERR_OK;
        }
    }
    TRY(ast__call_find(c, call, true, &function));
    ast__worsen(c, function->leak, slice_of(function->name));
    TRY(ast__name(c, json_get_text(node, "alias")));
    TRY(ast__members(c, call_shape, call));
    /* The members beside the call, in their order. */
    struct shape rest = *shape;
    for (size_t i = 0; i < shape->member_count; i++) {
        struct json holder = {.type = JSON_OBJECT, .first = json_get(node, shape->members[i].name)};
        rest.members = &shape->members[i];
        rest.member_count = 1;
        if (strcmp(shape->members[i].name, "function") != 0) {
            TRY(ast__members(c, &rest, &holder));
        }
    }
    if (function->class != FUNCTION_READER) {
        return ERR_OK;
    }
    if (c->is_verify) {
        return check_injected(c, call);
    }
    if (ast__is(node, "with_ordinality", "WITH_ORDINALITY")) {
        return errinfo_set(c->info, ERR_UNSUPPORTED, NULL,
                           "WITH ORDINALITY of \"%s\" is not supported", function->name);
    }
    struct sql_reference *reference;
    TRY(add_reference(c, node, &reference));
    reference->is_function = true;
    reference->name.name = json_get_text(call, "function_name");
    return read_arguments(c, call, reference);
}
