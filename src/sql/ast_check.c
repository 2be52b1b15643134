/* The walk over a tree that somebody else wrote: shapes first, then what each node may mean.
 *
 * Invariant: no function here goes deeper than limits.depth_max nodes, and it looks before it
 * goes. Everything that decides is in the files beside: types, calls, scopes, folding. */
#include "sql/ast_int.h"

bool ast__is(const struct json *node, const char *key, const char *text)
{
    return slice_equal(json_get_text(node, key), slice_of(text));
}

size_t ast__text_position(const struct ast_check *c, const struct json *node)
{
    uint64_t location;
    if (!json_to_u64(json_get(node, "query_location"), &location) || location < c->prefix ||
        location - c->prefix >= c->statement.len) {
        return 0;
    }
    return (size_t)(location - c->prefix) + 1;
}

size_t ast__position(const struct ast_check *c, const struct json *node)
{
    return c->whole->origin == SQL_FROM_VIEW ? 0 : ast__text_position(c, node);
}

void ast__worsen(struct ast_check *c, enum leak_class leak, struct slice what)
{
    if (leak > c->whole->ast.leak) {
        c->whole->ast.leak = leak;
        c->whole->ast.leak_function = what;
    }
}

bool ast__is_own_name(struct slice name)
{
    return slice_starts_with_fold(name, SLICE("__moat_"));
}

enum err ast__name(const struct ast_check *c, struct slice name)
{
    if (c->whole->origin != SQL_FROM_POLICY && c->macro == NULL && ast__is_own_name(name)) {
        (void)errinfo_set(c->info, ERR_DENIED, "42501", "the name \"%.*s\" is reserved",
                          SLICE_ARGS(name));
        errinfo_hint(c->info, "Names that start with \"__moat_\" are Moat's own; use another.");
        return ERR_DENIED;
    }
    return ERR_OK;
}

static enum err unknown(struct errinfo *info, const char *what, struct slice name)
{
    return errinfo_set(info, ERR_UNSUPPORTED, NULL, "%s \"%.*s\" is not supported", what,
                       SLICE_ARGS(name));
}

enum err ast__order(const struct shape *shape, const struct json *node, struct errinfo *info)
{
    if (node->type != JSON_OBJECT) {
        return unknown(info, "the syntax tree's", slice_of(shape->tag));
    }
    const struct json *child = node->first;
    for (size_t i = 0; i < shape->member_count; i++, child = child->next) {
        if (child == NULL || !slice_equal(child->key, slice_of(shape->members[i].name))) {
            return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                               "a \"%s\" node without \"%s\" in its place is not supported",
                               shape->tag, shape->members[i].name);
        }
    }
    if (child != NULL) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                           "\"%.*s\" of a \"%s\" node is not supported", SLICE_ARGS(child->key),
                           shape->tag);
    }
    return ERR_OK;
}

static enum err enter(struct ast_check *c)
{
    const struct sql_limits *limits = &c->whole->limits;
    if (c->depth >= limits->depth_max) {
        (void)errinfo_set(c->info, ERR_LIMIT, "54001", "the statement is nested more than %u deep",
                          limits->depth_max);
        errinfo_hint(c->info, "Split it, or raise the limit on depth.");
        return ERR_LIMIT;
    }
    if (c->whole->ast.node_count >= limits->nodes_max) {
        (void)errinfo_set(c->info, ERR_LIMIT, "54000", "the statement has more than %u parts",
                          limits->nodes_max);
        errinfo_hint(c->info, "Put long lists into a table and join it.");
        return ERR_LIMIT;
    }
    c->depth++;
    c->whole->ast.node_count++;
    return ERR_OK;
}

static enum err check_list(struct ast_check *c, const struct member *member,
                           const struct json *value)
{
    if (value->type != JSON_ARRAY) {
        return unknown(c->info, "the member", slice_of(member->name));
    }
    if (value->count > c->whole->limits.list_max) {
        (void)errinfo_set(c->info, ERR_LIMIT, "54000", "a list has more than %u entries",
                          c->whole->limits.list_max);
        errinfo_hint(c->info, "Put long lists into a table and join it.");
        return ERR_LIMIT;
    }
    return ERR_OK;
}

static enum err check_object(struct ast_check *c, const struct shape *shape, struct json *node)
{
    TRY(enter(c));
    TRY(ast__order(shape, node, c->info));
    TRY(ast__members(c, shape, node));
    c->depth--;
    return ERR_OK;
}

static enum err check_modifier(struct ast_check *c, struct json *node)
{
    const struct shape *shape = shape_of_modifier(json_get_text(node, "type"));
    if (shape == NULL) {
        return unknown(c->info, "the modifier", json_get_text(node, "type"));
    }
    return check_object(c, shape, node);
}

static enum err check_scalar(struct ast_check *c, const struct member *member,
                             const struct json *value)
{
    bool ok = false;
    uint64_t number;
    switch (value->type) {
    case JSON_STRING:
        if (member->kind == MEMBER_NAME) {
            return ast__name(c, value->text);
        }
        ok = member->kind == MEMBER_STRING ||
             (member->kind == MEMBER_EMPTY_TEXT && value->text.len == 0);
        for (size_t i = 0; member->kind == MEMBER_WORD && member->words[i] != NULL; i++) {
            ok = ok || slice_equal(slice_of(member->words[i]), value->text);
        }
        break;
    case JSON_BOOL:
        ok = member->kind == MEMBER_BOOL || (member->kind == MEMBER_FALSE && !value->boolean);
        break;
    case JSON_NUMBER: {
        int64_t negative;
        ok = member->kind == MEMBER_INTEGER &&
             (json_to_u64(value, &number) || json_to_i64(value, &negative));
        break;
    }
    case JSON_NULL:
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    if (ok) {
        return ERR_OK;
    }
    if (value->type == JSON_STRING && value->text.len > 0) {
        return errinfo_set(c->info, ERR_UNSUPPORTED, NULL, "%s \"%.*s\" is not supported",
                           member->name, SLICE_ARGS(value->text));
    }
    return unknown(c->info, "the value of", slice_of(member->name));
}

static bool may_be_null(enum member_kind kind)
{
    return kind == MEMBER_EXPRESSION_OR_NULL || kind == MEMBER_RELATION_OR_NULL ||
           kind == MEMBER_OBJECT_OR_NULL;
}

/* One element of a list, or the member itself. */
static enum err check_element(struct ast_check *c, const struct member *member, struct json *value)
{
    if (value->type == JSON_NULL && may_be_null(member->kind)) {
        return ERR_OK;
    }
    switch (member->kind) {
    case MEMBER_EXPRESSION_OR_NULL:
    case MEMBER_EXPRESSION:
    case MEMBER_EXPRESSIONS:
    case MEMBER_ROWS:
        return ast__expression(c, value);
    case MEMBER_QUERY:
        return ast__query(c, value);
    case MEMBER_STATEMENT:
        return check_object(c, &shape_statement, value);
    case MEMBER_RELATION_OR_NULL:
    case MEMBER_RELATION:
        return ast__relation(c, value);
    case MEMBER_TYPE:
    case MEMBER_TYPES:
        TRY(enter(c));
        TRY(ast__type(c, value));
        c->depth--;
        return ERR_OK;
    case MEMBER_VALUE:
    case MEMBER_VALUES:
        TRY(enter(c));
        TRY(ast__value(c, value));
        c->depth--;
        return ERR_OK;
    case MEMBER_OBJECT_OR_NULL:
    case MEMBER_OBJECT:
    case MEMBER_OBJECTS:
        if (member->shape == NULL) {
            return unknown(c->info, "the member", slice_of(member->name));
        }
        return check_object(c, member->shape, value);
    case MEMBER_MODIFIERS:
    case MEMBER_ORDER:
        return check_modifier(c, value);
    case MEMBER_NAMES:
        if (value->type != JSON_STRING) {
            return unknown(c->info, "the list", slice_of(member->name));
        }
        return ast__name(c, value->text);
    case MEMBER_NUMBERS: {
        uint64_t number;
        return json_to_u64(value, &number) ? ERR_OK
                                           : unknown(c->info, "the list", slice_of(member->name));
    }
    case MEMBER_STRING:
    case MEMBER_NAME:
    case MEMBER_BOOL:
    case MEMBER_FALSE:
    case MEMBER_INTEGER:
    case MEMBER_EMPTY_TEXT:
    case MEMBER_WORD:
        return check_scalar(c, member, value);
    case MEMBER_EMPTY_LIST:
        if (value->type == JSON_ARRAY && value->count == 0) {
            return ERR_OK;
        }
        return unknown(c->info, "the member", slice_of(member->name));
    }
    return unknown(c->info, "the member", slice_of(member->name));
}

static bool is_list(enum member_kind kind)
{
    return kind == MEMBER_NAMES || kind == MEMBER_EXPRESSIONS || kind == MEMBER_ROWS ||
           kind == MEMBER_NUMBERS || kind == MEMBER_TYPES || kind == MEMBER_VALUES ||
           kind == MEMBER_OBJECTS || kind == MEMBER_MODIFIERS;
}

static enum err check_member(struct ast_check *c, const struct member *member, struct json *value)
{
    if (!is_list(member->kind)) {
        return check_element(c, member, value);
    }
    TRY(check_list(c, member, value));
    for (struct json *element = value->first; element != NULL; element = element->next) {
        if (member->kind != MEMBER_ROWS && member->kind != MEMBER_NUMBERS) {
            TRY(check_element(c, member, element));
            continue;
        }
        TRY(check_list(c, member, element));
        for (struct json *inner = element->first; inner != NULL; inner = inner->next) {
            TRY(check_element(c, member, inner));
        }
    }
    return ERR_OK;
}

enum err ast__members(struct ast_check *c, const struct shape *shape, struct json *node)
{
    struct json *child = node->first;
    for (size_t i = 0; i < shape->member_count; i++) {
        /* Folding may put another node here: go on from the one that stood first. */
        struct json *next = child->next;
        TRY(check_member(c, &shape->members[i], child));
        child = next;
    }
    return ERR_OK;
}

/* ---- expressions ---- */

static enum err check_operator(struct ast_check *c, const struct shape *shape, struct json *node)
{
    struct slice type = json_get_text(node, "type");
    if (!c->is_verify) {
        ast__macro_operator(c, node);
    }
    /* Subscripts resolve by type, which is not known here: for lists they are total, for VARIANT
     * they call an unflagged function that throws. */
    if (slice_equal(type, SLICE("ARRAY_EXTRACT")) || slice_equal(type, SLICE("ARRAY_SLICE")) ||
        slice_equal(type, SLICE("STRUCT_EXTRACT"))) {
        ast__worsen(c, LEAK_UNSAFE, type);
    }
    return ast__members(c, shape, node);
}

static enum err check_lambda(struct ast_check *c, const struct shape *shape, struct json *node)
{
    /* `a -> b` outside of a list function is JSON extraction. */
    ast__worsen(c, LEAK_UNSAFE, SLICE("->"));
    struct json *left = json_get(node, "lhs");
    struct ast_lambda lambda = {left, c->lambdas};
    c->lambdas = &lambda;
    enum err err = ast__members(c, shape, node);
    c->lambdas = lambda.outer;
    return err;
}

static enum err check_collate(struct ast_check *c, const struct shape *shape, struct json *node)
{
    struct slice collation = json_get_text(node, "collation");
    if (slice_starts_with_fold(collation, SLICE("pg_catalog."))) {
        collation = (struct slice){collation.ptr + 11, collation.len - 11};
        json_get(node, "collation")->text = collation;
    }
    if (slice_equal_fold(collation, SLICE("default"))) {
        json_replace(node, json_get(node, "child"));
        return ast__expression(c, node);
    }
    static const char *const total[] = {"nocase", "noaccent", "nfc", "binary", "c", "posix"};
    bool is_total = false;
    for (size_t i = 0; i < ARRAY_COUNT(total); i++) {
        is_total = is_total || slice_equal_fold(collation, slice_of(total[i]));
    }
    ast__worsen(c, is_total ? LEAK_NONE : LEAK_UNSAFE, SLICE("COLLATE"));
    return ast__members(c, shape, node);
}

static enum err refuse_in_policy(const struct ast_check *c, const struct json *node,
                                 const char *what)
{
    (void)errinfo_set(c->info, ERR_UNSUPPORTED, NULL, "%s cannot stand in a policy expression",
                      what);
    errinfo_position(c->info, ast__position(c, node));
    errinfo_hint(c->info, "A policy expression is a scalar over the columns of one row.");
    return ERR_UNSUPPORTED;
}

static enum err check_parameter(struct ast_check *c, const struct shape *shape, struct json *node)
{
    if (!c->is_verify && (c->binding != NULL || c->whole->origin != SQL_FROM_USER)) {
        return c->binding != NULL ? refuse_in_policy(c, node, "a parameter")
                                  : errinfo_set(c->info, ERR_UNSUPPORTED, NULL,
                                                "a stored query cannot have parameters");
    }
    uint64_t number;
    if (slice_to_u64(json_get_text(node, "identifier"), &number)) {
        if (number == 0 || number > c->whole->limits.list_max) {
            return errinfo_set(c->info, ERR_LIMIT, "54000", "parameter $%.*s is out of range",
                               SLICE_ARGS(json_get_text(node, "identifier")));
        }
        if (number > c->whole->ast.parameter_count) {
            c->whole->ast.parameter_count = (uint32_t)number;
        }
    }
    return ast__members(c, shape, node);
}

static enum err check_column(struct ast_check *c, const struct shape *shape, struct json *node)
{
    bool is_done = false;
    TRY(ast__members(c, shape, node));
    if (!c->is_verify) {
        TRY(ast__macro_system_column(c, node, &is_done));
    }
    return is_done ? ERR_OK : ast__column(c, node);
}

static enum err check_cast(struct ast_check *c, const struct shape *shape, struct json *node)
{
    bool is_done;
    TRY(ast__macro_cast(c, node, &is_done));
    if (is_done) {
        return ERR_OK;
    }
    bool is_item = c->is_item;
    c->is_item = false;
    ast__worsen(c, ast__cast_leak(node), SLICE("CAST"));
    TRY(ast__members(c, shape, node));
    return ast__cast_as_written(c, node, is_item);
}

static enum err check_expression(struct ast_check *c, const struct shape *shape, struct json *node)
{
    switch (shape->id) {
    case SHAPE_COLUMN:
        return check_column(c, shape, node);
    case SHAPE_CONSTANT:
        ast__worsen(c, ast__constant_leak(node), SLICE("DECIMAL"));
        return ast__members(c, shape, node);
    case SHAPE_CAST:
        return check_cast(c, shape, node);
    case SHAPE_FUNCTION:
        return ast__function(c, node);
    case SHAPE_WINDOW:
        return c->binding != NULL ? refuse_in_policy(c, node, "a window function")
                                  : ast__window(c, node);
    case SHAPE_STAR:
        return c->binding != NULL && !ast__bind_takes_star(c->binding, node)
                   ? refuse_in_policy(c, node, "a star")
                   : ast__members(c, shape, node);
    case SHAPE_SUBQUERY:
        if (c->binding != NULL) {
            return c->binding->definer == NULL ? refuse_in_policy(c, node, "a subquery")
                                               : ast__bind_subquery(c, shape, node);
        }
        return ast__members(c, shape, node);
    case SHAPE_OPERATOR:
        return check_operator(c, shape, node);
    case SHAPE_LAMBDA:
        return check_lambda(c, shape, node);
    case SHAPE_COLLATE:
        return check_collate(c, shape, node);
    case SHAPE_PARAMETER:
        return check_parameter(c, shape, node);
    case SHAPE_PLAIN:
    case SHAPE_COMPARISON:
    case SHAPE_BASE_TABLE:
    case SHAPE_TABLE_FUNCTION:
    case SHAPE_SHOW:
    case SHAPE_SELECT:
    case SHAPE_SET_OPERATION:
    case SHAPE_RECURSIVE:
        break;
    }
    if (c->binding != NULL && ast__is(node, "class", "POSITIONAL_REFERENCE")) {
        return refuse_in_policy(c, node, "a positional reference");
    }
    return ast__members(c, shape, node);
}

enum err ast__expression(struct ast_check *c, struct json *node)
{
    TRY(enter(c));
    const struct shape *shape = shape_of_expression(json_get_text(node, "class"));
    if (shape == NULL) {
        return unknown(c->info, "the expression", json_get_text(node, "class"));
    }
    TRY(ast__order(shape, node, c->info));
    struct slice type = json_get_text(node, "type");
    bool is_known = false;
    for (size_t i = 0; shape->types[i] != NULL; i++) {
        is_known = is_known || slice_equal(slice_of(shape->types[i]), type);
    }
    if (!is_known) {
        return unknown(c->info, "the expression", type);
    }
    if (shape->id != SHAPE_COLUMN && shape->id != SHAPE_FUNCTION && shape->id != SHAPE_CAST) {
        c->is_item = false;
    }
    const struct ast_macro *macro = c->macro;
    (void)ast__macro_leave(c, node);
    enum err err = check_expression(c, shape, node);
    c->macro = macro;
    TRY(err);
    c->depth--;
    return ERR_OK;
}

/* ---- relations ---- */

/* The engine prints a CROSS join as a comma, which binds less than any other join, so that
 * `(a CROSS JOIN b) LEFT JOIN c` would be read again as `a, (b LEFT JOIN c)`. */
static enum err join_on_true(struct ast_check *c, struct json *join)
{
    static const char text[] =
        "{\"class\":\"CAST\",\"type\":\"OPERATOR_CAST\",\"alias\":\"\",\"query_location\":"
        "18446744073709551615,\"child\":{\"class\":\"CONSTANT\",\"type\":\"VALUE_CONSTANT\","
        "\"alias\":\"\",\"query_location\":18446744073709551615,\"value\":{\"type\":{\"id\":"
        "\"VARCHAR\",\"type_info\":null},\"is_null\":false,\"value\":\"t\"}},\"cast_type\":{\"id\":"
        "\"BOOLEAN\",\"type_info\":null},\"try_cast\":false}";
    struct json *condition = json_get(join, "condition");
    struct json *is_true;
    if (!ast__is(join, "type", "JOIN") || !ast__is(join, "ref_type", "CROSS") ||
        !json_is_null(condition)) {
        return ERR_OK;
    }
    TRY(json_parse(c->whole->ast.arena, slice_of(text), NULL, &is_true, c->info));
    json_replace(condition, is_true);
    json_get(join, "ref_type")->text = SLICE("REGULAR");
    return ERR_OK;
}

/* Joins as they are meant once the engine has printed them without parentheses. */
static enum err check_join(struct ast_check *c, struct json *join)
{
    struct json *right = json_get(join, "right");
    if (c->is_verify || ast__is(join, "ref_type", "CROSS")) {
        return ERR_OK;
    }
    bool has_condition = ast__is(join, "ref_type", "REGULAR") || ast__is(join, "ref_type", "ASOF");
    if (!has_condition && ast__is(right, "type", "JOIN")) {
        (void)errinfo_set(c->info, ERR_UNSUPPORTED, NULL,
                          "a join on the right of a NATURAL or POSITIONAL join is not supported");
        errinfo_hint(c->info, "Put it into a subquery: NATURAL JOIN (SELECT * FROM a JOIN b ...).");
        errinfo_position(c->info, ast__position(c, join));
        return ERR_UNSUPPORTED;
    }
    TRY(join_on_true(c, json_get(join, "left")));
    return join_on_true(c, right);
}

static enum err check_relation(struct ast_check *c, const struct shape *shape, struct json *node)
{
    bool keeps_rows = c->keeps_rows;
    if (json_get(node, "sample")->type != JSON_NULL || ast__is(node, "type", "PIVOT") ||
        ast__is(node, "ref_type", "ASOF") || ast__is(node, "ref_type", "POSITIONAL") ||
        ast__is(node, "join_type", "SEMI") || ast__is(node, "join_type", "ANTI")) {
        c->keeps_rows = false;
    }
    enum err err;
    TRY(ast__is(node, "type", "JOIN") ? check_join(c, node) : ERR_OK);
    if (shape->id == SHAPE_BASE_TABLE) {
        TRY(ast__members(c, shape, node));
        err = ast__base_table(c, node);
    } else if (shape->id == SHAPE_TABLE_FUNCTION) {
        err = ast__table_function(c, node);
    } else {
        if (shape->id == SHAPE_SHOW) {
            /* SUMMARIZE is aggregates and casts that the engine chooses by type. */
            bool is_summary = ast__is(node, "show_type", "SUMMARY");
            ast__worsen(c, is_summary ? LEAK_UNSAFE : LEAK_NONE, SLICE("SUMMARIZE"));
            c->keeps_rows = false;
        }
        err = ast__members(c, shape, node);
    }
    c->keeps_rows = keeps_rows;
    return err;
}

enum err ast__relation(struct ast_check *c, struct json *node)
{
    TRY(enter(c));
    const struct shape *shape = shape_of_relation(json_get_text(node, "type"));
    if (shape == NULL) {
        return unknown(c->info, "the FROM item", json_get_text(node, "type"));
    }
    if (shape->id == SHAPE_SHOW && json_is_null(json_get(node, "query"))) {
        (void)errinfo_set(c->info, ERR_UNSUPPORTED, NULL, "this form of SHOW is not supported");
        errinfo_hint(c->info, "SHOW TABLES and DESCRIBE stand alone; in FROM, read "
                              "information_schema.tables.");
        return ERR_UNSUPPORTED;
    }
    TRY(ast__order(shape, node, c->info));
    TRY(check_relation(c, shape, node));
    c->depth--;
    return ERR_OK;
}

/* ---- queries ---- */

static bool has_subquery(const struct json *node)
{
    if (ast__is(node, "class", "SUBQUERY")) {
        return true;
    }
    for (const struct json *child = node->first; child != NULL; child = child->next) {
        if (child->first != NULL && has_subquery(child)) {
            return true;
        }
    }
    return false;
}

/* A cap put around an argument (ast_call.c), a number without digits (ast_cast.c). */
static bool has_own_call(const struct json *node)
{
    if (ast__is(node, "class", "FUNCTION") &&
        ast__is_own_name(json_get_text(node, "function_name"))) {
        return true;
    }
    for (const struct json *child = node->first; child != NULL; child = child->next) {
        if (child->first != NULL && has_own_call(child)) {
            return true;
        }
    }
    return false;
}

/* The engine calls a nameless item by its text. That of a subquery will hold the policy of what it
 * reads, that of a call of Moat's own its name. */
static void name_item(struct json *item)
{
    struct json *alias = json_get(item, "alias");
    if (alias == NULL || alias->text.len > 0) {
        return;
    }
    if (has_subquery(item)) {
        bool is_exists = ast__is(item, "subquery_type", "EXISTS");
        alias->text = is_exists ? SLICE("exists") : SLICE("subquery");
    } else if (has_own_call(item)) {
        struct slice name = json_get_text(item, "function_name");
        bool is_word = name.len > 0 && name.ptr[0] >= 'a' && name.ptr[0] <= 'z';
        alias->text = is_word ? name : SLICE("value");
    }
}

/* Members in their order, but with what decides about scopes already done. */
static enum err check_query_members(struct ast_check *c, const struct shape *shape,
                                    struct json *node)
{
    struct json *child = node->first;
    for (size_t i = 0; i < shape->member_count; i++, child = child->next) {
        if (slice_equal(child->key, SLICE("cte_map"))) {
            continue;
        }
        if (slice_equal(child->key, SLICE("select_list")) && child->type == JSON_ARRAY) {
            TRY(check_list(c, &shape->members[i], child));
            for (struct json *item = child->first; item != NULL; item = item->next) {
                c->is_item = true;
                TRY(ast__expression(c, item));
                c->is_item = false;
                if (c->binding == NULL) {
                    name_item(item);
                }
            }
            continue;
        }
        TRY(check_member(c, &shape->members[i], child));
    }
    return ERR_OK;
}

static enum err check_select(struct ast_check *c, const struct shape *shape, struct json *node)
{
    struct ast_select *select = arena_calloc(c->whole->ast.arena, 1, sizeof(*select));
    if (select == NULL) {
        return errinfo_nomem(c->info);
    }
    *select = (struct ast_select){node, c->whole->ast.reference_count, c->select};
    bool keeps_rows = c->keeps_rows;
    if (!c->is_verify && c->binding == NULL) {
        TRY(ast__macro_groups(c, node));
        TRY(ast__series(c, node));
    }
    c->select = select;
    c->keeps_rows = json_is_null(json_get(node, "sample"));
    TRY(check_query_members(c, shape, node));
    c->keeps_rows = keeps_rows;
    c->select = select->outer;
    return ast__conjuncts(c, select);
}

enum err ast__query(struct ast_check *c, struct json *node)
{
    TRY(enter(c));
    const struct shape *shape = shape_of_query(json_get_text(node, "type"));
    if (shape == NULL) {
        return unknown(c->info, "the query", json_get_text(node, "type"));
    }
    TRY(ast__order(shape, node, c->info));
    /* What a query sees in its parts is not the FROM, the lambda or the item it stands in. */
    const struct ast_cte *outer = c->ctes;
    bool is_item = c->is_item;
    c->is_item = false;
    if (c->binding != NULL) {
        TRY(ast__bind_enter(c, shape, node));
    }
    TRY(ast__ctes(c, json_get(node, "cte_map"), &c->ctes));
    if (shape->id == SHAPE_SELECT) {
        TRY(check_select(c, shape, node));
    } else if (shape->id == SHAPE_RECURSIVE) {
        TRY(ast__recursive(c, node));
    } else {
        TRY(check_query_members(c, shape, node));
    }
    if (c->binding != NULL) {
        TRY(ast__bind_leave(c));
    }
    c->ctes = outer;
    c->is_item = is_item;
    c->depth--;
    return ERR_OK;
}
