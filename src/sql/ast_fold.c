/* Who asks, as constants: nothing about the person is left for the engine to look up.
 *
 * The parser gives `current_user` without parentheses as a column reference, and the engine
 * prefers a column of that name (ExpressionBinder::QualifyColumnName). current_user and
 * session_user are reserved words in SQL and always folded. `user` is a common column name: it is
 * folded only once all relations in scope are known and none has such a column. */
#include "sql/ast_int.h"

static const char text_constant[] =
    "{\"class\":\"CONSTANT\",\"type\":\"VALUE_CONSTANT\",\"alias\":\"\","
    "\"query_location\":18446744073709551615,\"value\":{\"type\":{\"id\":\"VARCHAR\","
    "\"type_info\":null},\"is_null\":false,\"value\":\"\"}}";
static const char null_text[] =
    "{\"class\":\"CAST\",\"type\":\"OPERATOR_CAST\",\"alias\":\"\","
    "\"query_location\":18446744073709551615,\"child\":{\"class\":\"CONSTANT\",\"type\":"
    "\"VALUE_CONSTANT\",\"alias\":\"\",\"query_location\":18446744073709551615,\"value\":{\"type\":"
    "{\"id\":\"NULL\",\"type_info\":null},\"is_null\":true}},\"cast_type\":{\"id\":"
    "\"VARCHAR\",\"type_info\":null},\"try_cast\":false}";
static const char bool_cast[] =
    "{\"class\":\"CAST\",\"type\":\"OPERATOR_CAST\",\"alias\":\"\","
    "\"query_location\":18446744073709551615,\"child\":null,\"cast_type\":{\"id\":\"BOOLEAN\","
    "\"type_info\":null},\"try_cast\":false}";
static const char list_cast[] =
    "{\"class\":\"CAST\",\"type\":\"OPERATOR_CAST\",\"alias\":\"\","
    "\"query_location\":18446744073709551615,\"child\":{\"class\":\"FUNCTION\",\"type\":"
    "\"FUNCTION\",\"alias\":\"\",\"query_location\":18446744073709551615,\"function_name\":"
    "\"list_value\",\"schema\":\"main\",\"children\":[],\"filter\":null,\"order_bys\":{\"type\":"
    "\"ORDER_MODIFIER\",\"orders\":[]},\"distinct\":false,\"is_operator\":false,\"export_state\":"
    "false,\"catalog\":\"\"},\"cast_type\":{\"id\":\"LIST\",\"type_info\":{\"type\":"
    "\"LIST_TYPE_INFO\",\"alias\":\"\",\"extension_info\":null,\"child_type\":{\"id\":\"VARCHAR\","
    "\"type_info\":null}}},\"try_cast\":false}";

static struct json *from_text(struct arena *arena, const char *text)
{
    struct json *node = NULL;
    return json_parse(arena, slice_of(text), NULL, &node, NULL) == ERR_OK ? node : NULL;
}

struct json *ast__new_text(struct arena *arena, struct slice text)
{
    struct json *node = from_text(arena, text_constant);
    struct slice copy;
    if (node == NULL || !arena_slice(arena, text, &copy)) {
        return NULL;
    }
    json_get(json_get(node, "value"), "value")->text = copy;
    return node;
}

static struct json *new_bool(struct arena *arena, bool value)
{
    struct json *cast = from_text(arena, bool_cast);
    struct json *text = ast__new_text(arena, value ? SLICE("t") : SLICE("f"));
    if (cast == NULL || text == NULL) {
        return NULL;
    }
    json_replace(json_get(cast, "child"), text);
    return cast;
}

static struct json *new_roles(struct arena *arena, const struct identity *who)
{
    struct json *cast = from_text(arena, list_cast);
    if (cast == NULL) {
        return NULL;
    }
    struct json *children = json_get(json_get(cast, "child"), "children");
    for (size_t i = 0; i < identity_role_count(who); i++) {
        struct json *role = ast__new_text(arena, identity_role(who, i));
        if (role == NULL) {
            return NULL;
        }
        json_append(children, role);
    }
    return cast;
}

/* Puts `folded` in the place of `node`, keeping its alias. */
static enum err put(struct json *node, struct json *folded, struct errinfo *info)
{
    if (folded == NULL) {
        return errinfo_nomem(info);
    }
    json_get(folded, "alias")->text = json_get_text(node, "alias");
    json_replace(node, folded);
    return ERR_OK;
}

/* What the words say that SQL has for the session; current_role is the person, as in PostgreSQL. */
static struct slice session_text(const struct ast_whole *whole, struct slice name)
{
    if (slice_equal_fold(name, SLICE("current_catalog")) ||
        slice_equal_fold(name, SLICE("current_database"))) {
        const struct sql_session *session = whole->limits.session;
        return session != NULL && session->catalog.len > 0 ? session->catalog
                                                           : SLICE(SQL_CATALOG_DEFAULT);
    }
    if (slice_equal_fold(name, SLICE("current_schema"))) {
        struct slice schema = whole->limits.default_schema;
        return schema.len > 0 ? schema : SLICE(SQL_SCHEMA_DEFAULT);
    }
    return identity_subject(whole->who);
}

/* Where a policy is written, only who asks may decide, not what they did in their session. */
static bool is_of_session(struct slice name)
{
    return slice_equal_fold(name, SLICE("current_catalog")) ||
           slice_equal_fold(name, SLICE("current_database")) ||
           slice_equal_fold(name, SLICE("current_schema")) ||
           slice_equal_fold(name, SLICE("current_role"));
}

enum err ast__fold_call(struct ast_check *c, struct json *node)
{
    struct slice name = json_get_text(node, "function_name");
    struct arena *arena = c->whole->ast.arena;
    const struct identity *who = c->whole->who;
    const struct json *children = json_get(node, "children");
    bool takes_text =
        slice_equal_fold(name, SLICE("has_role")) || slice_equal_fold(name, SLICE("claim"));
    const struct json *value = json_get(json_get(children->first, "value"), "value");
    if (children->count != (takes_text ? 1u : 0u) ||
        (takes_text && (!ast__is(children->first, "class", "CONSTANT") || value == NULL ||
                        value->type != JSON_STRING))) {
        (void)errinfo_set(c->info, ERR_INVALID, "42883", "\"%.*s\" takes %s", SLICE_ARGS(name),
                          takes_text ? "one constant text" : "no argument");
        errinfo_position(c->info, ast__position(c, node));
        return ERR_INVALID;
    }
    if (c->binding != NULL && is_of_session(name)) {
        (void)errinfo_set(c->info, ERR_UNSUPPORTED, NULL,
                          "function \"%.*s\" cannot stand in a policy expression",
                          SLICE_ARGS(name));
        errinfo_position(c->info, ast__position(c, node));
        errinfo_hint(c->info, "Who asks is current_user, has_role('...') and claim('...').");
        return ERR_UNSUPPORTED;
    }
    if (c->binding != NULL) {
        return ERR_OK; /* folded when a statement uses the policy */
    }
    if (slice_equal_fold(name, SLICE("has_role"))) {
        return put(node, new_bool(arena, identity_has_role(who, value->text)), c->info);
    }
    if (slice_equal_fold(name, SLICE("claim"))) {
        struct slice claim;
        return put(node,
                   identity_attribute(who, value->text, &claim) ? ast__new_text(arena, claim)
                                                                : from_text(arena, null_text),
                   c->info);
    }
    if (slice_equal_fold(name, SLICE("current_roles"))) {
        return put(node, new_roles(arena, who), c->info);
    }
    return put(node, ast__new_text(arena, session_text(c->whole, name)), c->info);
}

/* ---- column references ---- */

static bool is_lambda_parameter(const struct ast_check *c, struct slice name)
{
    for (const struct ast_lambda *l = c->lambdas; l != NULL; l = l->outer) {
        const struct json *names = json_get(l->parameters, "column_names");
        if (names != NULL &&
            slice_equal_fold(names->first == NULL ? SLICE("") : names->first->text, name)) {
            return true;
        }
        const struct json *children = json_get(l->parameters, "children");
        for (const struct json *p = children == NULL ? NULL : children->first; p != NULL;
             p = p->next) {
            const struct json *own = json_get(p, "column_names");
            if (own != NULL && own->first != NULL && slice_equal_fold(own->first->text, name)) {
                return true;
            }
        }
    }
    return false;
}

static enum err pend(struct ast_check *c, struct json *node, bool is_item)
{
    struct ast_whole *whole = c->whole;
    if (whole->pending_count == whole->pending_capacity) {
        size_t capacity = whole->pending_capacity == 0 ? 8 : whole->pending_capacity * 2;
        struct ast_pending *grown = arena_calloc(whole->ast.arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(c->info);
        }
        if (whole->pending_count > 0) {
            memcpy(grown, whole->pending, whole->pending_count * sizeof(*grown));
        }
        whole->pending = grown;
        whole->pending_capacity = capacity;
    }
    whole->pending[whole->pending_count++] = (struct ast_pending){node, c->select, is_item};
    return ERR_OK;
}

/* The stored form of `current_user` and its like is a call, which nothing else looks like. */
static enum err to_call(struct ast_check *c, struct json *node)
{
    struct json *cast = from_text(c->whole->ast.arena, list_cast);
    struct json *call = json_get(cast, "child");
    if (call == NULL) {
        return errinfo_nomem(c->info);
    }
    json_get(call, "function_name")->text = SLICE("current_user");
    json_get(call, "schema")->text = SLICE("");
    return put(node, call, c->info);
}

enum err ast__column(struct ast_check *c, struct json *node)
{
    bool is_item = c->is_item;
    c->is_item = false;
    if (c->is_verify) {
        return ERR_OK;
    }
    const struct json *names = json_get(node, "column_names");
    if (names->count == 0) {
        return errinfo_set(c->info, ERR_UNSUPPORTED, NULL, "a column without a name");
    }
    struct slice name = names->first->text;
    if (names->count == 1 && is_lambda_parameter(c, name)) {
        return ERR_OK;
    }
    bool is_reserved = slice_equal_fold(name, SLICE("current_user")) ||
                       slice_equal_fold(name, SLICE("session_user"));
    bool is_user = slice_equal_fold(name, SLICE("user"));
    if (c->binding != NULL) {
        bool is_context =
            names->count == 1 && (is_reserved || is_user) && !ast__bind_knows(c->binding, name);
        if (is_context) {
            return to_call(c, node);
        }
        bool is_first = is_lambda_parameter(c, name); /* x.field of a lambda parameter */
        return is_first ? ERR_OK : ast__bind_column(c, node, names);
    }
    bool is_session = is_of_session(name) && !slice_equal_fold(name, SLICE("current_database"));
    if (names->count > 1 || !(is_reserved || is_user || is_session)) {
        return ERR_OK;
    }
    if (is_user) {
        return pend(c, node, is_item);
    }
    if (is_item && json_get_text(node, "alias").len == 0) {
        json_get(node, "alias")->text = name;
    }
    return put(node, ast__new_text(c->whole->ast.arena, session_text(c->whole, name)), c->info);
}

/* ---- is there a column called so? ---- */

static bool relation_has(const struct json *relation, struct slice name, unsigned depth);

static bool query_has(const struct json *query, struct slice name, unsigned depth)
{
    if (depth == 0 || !ast__is(query, "type", "SELECT_NODE")) {
        return true; /* not known: leave the reference to the engine */
    }
    const struct json *items = json_get(query, "select_list");
    for (const struct json *item = items == NULL ? NULL : items->first; item != NULL;
         item = item->next) {
        struct slice alias = json_get_text(item, "alias");
        const struct json *names = json_get(item, "column_names");
        if (ast__is(item, "class", "STAR")) {
            if (relation_has(json_get(query, "from_table"), name, depth - 1)) {
                return true;
            }
        } else if (alias.len > 0 ? slice_equal_fold(alias, name)
                                 : names != NULL && names->last != NULL &&
                                       slice_equal_fold(names->last->text, name)) {
            return true;
        }
    }
    return false;
}

static bool relation_has(const struct json *relation, struct slice name, unsigned depth)
{
    if (depth == 0) {
        return true;
    }
    struct slice type = json_get_text(relation, "type");
    if (slice_equal(type, SLICE("EMPTY"))) {
        return false;
    }
    if (slice_equal(type, SLICE("JOIN"))) {
        return relation_has(json_get(relation, "left"), name, depth - 1) ||
               relation_has(json_get(relation, "right"), name, depth - 1);
    }
    const struct json *aliases = json_get(relation, "column_name_alias");
    if (slice_equal(type, SLICE("SUBQUERY")) && aliases != NULL && aliases->count == 0) {
        return query_has(json_get(json_get(relation, "subquery"), "node"), name, depth - 1);
    }
    return true;
}

enum err ast__fold_pending(struct ast_whole *whole, struct errinfo *info)
{
    for (size_t i = 0; whole->open_references == 0 && i < whole->pending_count; i++) {
        struct ast_pending *pending = &whole->pending[i];
        struct json *node = pending->node;
        struct slice name = json_get(node, "column_names")->first->text;
        bool is_column = false;
        for (const struct ast_select *s = pending->select; s != NULL; s = s->outer) {
            is_column = is_column || relation_has(json_get(s->node, "from_table"), name, 64);
        }
        if (is_column) {
            continue;
        }
        if (pending->is_item && json_get_text(node, "alias").len == 0) {
            json_get(node, "alias")->text = name;
        }
        TRY(put(node, ast__new_text(whole->ast.arena, identity_subject(whole->who)), info));
    }
    if (whole->open_references == 0) {
        whole->pending_count = 0;
    }
    return ERR_OK;
}
