/* Opening a tree, closing it, and finding a place in it. */
#include "sql/ast.h"

#include "sql/ast_int.h"

const struct sql_limits sql_limits_default = {
    .statement_bytes_max = 1u << 20, .nodes_max = 100000, .depth_max = 400, .list_max = 20000};

/* Of the engine's JSON: objects and arrays per node, and members per node, measured over the
 * statements in tests/data/ast (at most 4 and 30). */
#define JSON_DEPTH_PER_NODE 4
#define JSON_NODES_PER_NODE 40

static enum err engine_error(const struct json *root, enum sql_origin origin, struct errinfo *info)
{
    struct slice message = json_get_text(root, "error_message");
    if (!ast__is(root, "error_type", "parser")) {
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL, "%.*s", SLICE_ARGS(message));
        return ERR_UNSUPPORTED;
    }
    (void)errinfo_set(info, ERR_SYNTAX, "42601", "%.*s", SLICE_ARGS(message));
    uint64_t position;
    if (origin != SQL_FROM_VIEW && slice_to_u64(json_get_text(root, "position"), &position)) {
        errinfo_position(info, (size_t)position + 1);
    }
    return ERR_SYNTAX;
}

struct ast_whole *ast__whole_new(struct arena *arena, const struct sql_limits *limits,
                                 struct slice statement, const struct identity *who,
                                 enum sql_origin origin)
{
    struct ast_whole *whole = arena_calloc(arena, 1, sizeof(*whole));
    if (whole != NULL) {
        whole->limits = *limits;
        whole->statement = statement;
        whole->who = who;
        whole->origin = origin;
        whole->ast.arena = arena;
    }
    return whole;
}

enum err ast__document(struct ast_whole *whole, struct slice ast_json, struct errinfo *info)
{
    const struct sql_limits *limits = &whole->limits;
    if (whole->statement.len > limits->statement_bytes_max) {
        return errinfo_set(info, ERR_LIMIT, "54000", "the statement is longer than %zu bytes",
                           limits->statement_bytes_max);
    }
    const struct json_limits json_limits = {limits->depth_max * JSON_DEPTH_PER_NODE + 64,
                                            limits->nodes_max * JSON_NODES_PER_NODE};
    struct json *root;
    enum err err = json_parse(whole->ast.arena, ast_json, &json_limits, &root, info);
    if (err == ERR_LIMIT) {
        (void)errinfo_set(info, ERR_LIMIT, "54001",
                          "the statement is too large or nested too deep");
        errinfo_hint(info, "Split it, or put long lists into a table and join it.");
    } else if (err != ERR_OK && err != ERR_NOMEM) { /* the engine writes infinity into its JSON */
        (void)errinfo_set(info, err, "22003", "a number in the statement is out of range");
        errinfo_hint(info, "Write CAST('infinity' AS DOUBLE) if it is meant.");
    }
    TRY(err);
    struct json *statements = json_get(root, "statements");
    if (json_get_bool(root, "error", true)) {
        return engine_error(root, whole->origin, info);
    }
    if (root->count != 2 || root->first->type != JSON_BOOL || statements == NULL ||
        statements->type != JSON_ARRAY || statements != root->last) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL, "the syntax tree has an unknown form");
    }
    if (statements->count != 1) {
        return errinfo_set(info, ERR_SYNTAX, "42601", "expected one statement, not %u",
                           statements->count);
    }
    whole->ast.root = root;
    return ERR_OK;
}

static enum err check_statement(struct ast_check *c, struct json *statement)
{
    struct ast_whole *whole = c->whole;
    const struct json *names = json_get(statement, "named_param_map");
    TRY(ast__order(&shape_statement, statement, c->info));
    /* Before the walk, so that 100,000 parameters are refused as a list, not as nodes. */
    if (names->type == JSON_ARRAY && names->count > whole->limits.list_max) {
        return errinfo_set(c->info, ERR_LIMIT, "54000", "more than %u parameters",
                           whole->limits.list_max);
    }
    TRY(ast__members(c, &shape_statement, statement));
    for (const struct json *name = names->first; name != NULL; name = name->next) {
        uint64_t number;
        if (!json_to_u64(json_get(name, "value"), &number) || number > whole->limits.list_max) {
            return errinfo_set(c->info, ERR_LIMIT, "54000", "a parameter number is out of range");
        }
        if (number > whole->ast.parameter_count) {
            whole->ast.parameter_count = (uint32_t)number;
        }
    }
    whole->ast.select = json_get(statement, "node");
    const struct json *modifiers = json_get(whole->ast.select, "modifiers");
    for (const struct json *m = modifiers->first; m != NULL; m = m->next) {
        whole->ast.is_ordered = whole->ast.is_ordered || ast__is(m, "type", "ORDER_MODIFIER");
    }
    return ERR_OK;
}

enum err sql_ast_open(struct slice ast_json, struct slice statement, enum sql_origin origin,
                      const struct sql_limits *limits, const struct identity *who,
                      struct arena *arena, struct sql_ast **ret_ast, struct errinfo *info)
{
    ASSERT(who != NULL);
    struct ast_whole *whole = ast__whole_new(arena, limits, statement, who, origin);
    if (whole == NULL) {
        return errinfo_nomem(info);
    }
    TRY(ast__document(whole, ast_json, info));
    struct ast_check c = {.whole = whole, .statement = statement, .info = info};
    TRY(check_statement(&c, json_get(whole->ast.root, "statements")->first));
    whole->limits.session = NULL; /* the caller's, for this call */
    TRY(ast__fold_pending(whole, info));
    *ret_ast = &whole->ast;
    return ERR_OK;
}

/* ---- finish ---- */

enum err sql_ast_finish(const struct sql_ast *ast, struct errinfo *info)
{
    const struct ast_whole *opened = (const struct ast_whole *)ast;
    /* Grafted views and secured relations add to what the statement may hold. A file list may be
     * as long as the table has files. */
    struct ast_whole whole = {.limits = {.nodes_max = UINT32_MAX,
                                         .depth_max = opened->limits.depth_max * 3,
                                         .list_max = UINT32_MAX},
                              .origin = SQL_FROM_POLICY,
                              .ast = {.arena = ast->arena}};
    struct ast_check c = {.whole = &whole, .info = info, .is_verify = true};
    struct json *statements = json_get(ast->root, "statements");
    if (statements == NULL || statements->count != 1 ||
        json_get(statements->first, "node") != ast->select) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "the syntax tree lost its root");
    }
    TRY(ast__order(&shape_statement, statements->first, info));
    enum err err = ast__members(&c, &shape_statement, statements->first);
    if (err == ERR_OK || err == ERR_LIMIT || err == ERR_NOMEM) {
        return err;
    }
    if (info != NULL) {
        info->code = ERR_INTERNAL;
    }
    return ERR_INTERNAL;
}

/* ---- locate ---- */

struct locator {
    const struct ast_whole *whole;
    struct slice name;
    size_t position;
};

static bool is_named(const struct json *node, struct slice name)
{
    struct slice class = json_get_text(node, "class");
    if (slice_equal(class, SLICE("FUNCTION")) || slice_equal(class, SLICE("WINDOW"))) {
        return slice_equal_fold(json_get_text(node, "function_name"), name);
    }
    if (!slice_equal(class, SLICE("COLUMN_REF"))) {
        return false;
    }
    const struct json *names = json_get(node, "column_names");
    for (const struct json *n = names == NULL ? NULL : names->first; n != NULL; n = n->next) {
        if (slice_equal_fold(n->text, name)) {
            return true;
        }
    }
    return false;
}

/* Grafted trees came from other texts: their positions mean nothing here. */
static bool is_grafted(const struct ast_whole *whole, const struct json *node)
{
    for (size_t i = 0; i < whole->ast.reference_count; i++) {
        if (whole->ast.references[i].node == node) {
            return ast__is(node, "type", "SUBQUERY");
        }
    }
    return false;
}

static void locate(struct locator *l, const struct json *node)
{
    uint64_t location;
    if (node->type == JSON_OBJECT) {
        if (is_grafted(l->whole, node)) {
            return;
        }
        if (is_named(node, l->name) && json_to_u64(json_get(node, "query_location"), &location) &&
            location < l->whole->statement.len &&
            (l->position == 0 || location + 1 < l->position)) {
            l->position = (size_t)location + 1;
        }
    }
    for (const struct json *child = node->first; child != NULL; child = child->next) {
        if (child->first != NULL) {
            locate(l, child);
        }
    }
}

size_t sql_ast_locate(const struct sql_ast *ast, struct slice name)
{
    const struct ast_whole *whole = (const struct ast_whole *)ast;
    struct locator l = {whole, name, 0};
    if (whole->origin != SQL_FROM_VIEW && name.len > 0) {
        locate(&l, ast->root);
    }
    return l.position;
}

static void sample_rows(struct json *node)
{
    struct json *method = json_get(json_get(node, "sample"), "method");
    if (method != NULL && slice_equal(method->text, SLICE("System"))) {
        method->text = SLICE("Bernoulli");
    }
    for (struct json *child = node->first; child != NULL; child = child->next) {
        if (child->first != NULL) {
            sample_rows(child);
        }
    }
}

void sql_ast_sample_rows(struct sql_ast *ast)
{
    sample_rows(ast->root);
}
