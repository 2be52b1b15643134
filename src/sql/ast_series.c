/* generate_series in a select list: rows, as PostgreSQL has it. The engine's is one list there.
 *
 * Alone over constants, without a FROM, it goes there: rows are streamed, and it may count in days.
 * Else it is the list, unnested, with the list's cap. Only where it is an item by itself, or below
 * casts and operators, which no list could be: what takes lists (list_sum and its like) still gets
 * one. range, which PostgreSQL has not, stays a list. */
#include "sql/ast_int.h"
#include "sql/functions.h"

#define SERIES "generate_series"

#define CAST_OF(type)                                                                              \
    "{\"class\":\"CAST\",\"type\":\"OPERATOR_CAST\",\"alias\":\"\","                               \
    "\"query_location\":18446744073709551615,\"child\":null,\"cast_type\":{\"id\":\"" type         \
    "\",\"type_info\":null},\"try_cast\":false}"

/* The tree's form has not been looked at yet: whatever may be missing. */
static struct json *first_of(const struct json *node, const char *key)
{
    const struct json *list = node == NULL ? NULL : json_get(node, key);
    return list == NULL || list->type != JSON_ARRAY ? NULL : list->first;
}

static bool is_call(const struct json *node)
{
    const struct json *children = json_get(node, "children");
    const struct json *alias = json_get(node, "alias");
    const struct json *schema = json_get(node, "schema");
    return ast__is(node, "class", "FUNCTION") && children != NULL && children->type == JSON_ARRAY &&
           alias != NULL && alias->type == JSON_STRING && schema != NULL &&
           schema->type == JSON_STRING;
}

static bool is_operator(const struct json *node)
{
    const struct json *flag = json_get(node, "is_operator");
    return is_call(node) && flag != NULL && flag->type == JSON_BOOL && flag->boolean;
}

static struct json *cast_child(const struct json *node)
{
    struct json *child = ast__is(node, "class", "CAST") ? json_get(node, "child") : NULL;
    return child != NULL && child->type == JSON_OBJECT ? child : NULL;
}

/* The next one in an item, after those that were wrapped; NULL: there is none. */
static struct json *find(struct json *node)
{
    struct slice schema = json_get_text(node, "schema");
    if (is_call(node) && slice_equal_fold(json_get_text(node, "function_name"), SLICE(SERIES)) &&
        (schema.len == 0 || slice_equal_fold(schema, SLICE("pg_catalog")))) {
        return node;
    }
    if (cast_child(node) != NULL) {
        return find(cast_child(node));
    }
    struct json *found = NULL;
    for (struct json *child = is_operator(node) ? first_of(node, "children") : NULL;
         child != NULL && found == NULL; child = child->next) {
        found = child->type == JSON_OBJECT ? find(child) : NULL;
    }
    return found;
}

static bool is_text(const struct json *node)
{
    const struct json *value = ast__is(node, "class", "CONSTANT") ? json_get(node, "value") : NULL;
    const struct json *type = value == NULL ? NULL : json_get(value, "type");
    const struct json *is_null = value == NULL ? NULL : json_get(value, "is_null");
    return type != NULL && ast__is(type, "id", "VARCHAR") && is_null != NULL && !is_null->boolean;
}

enum err ast__series_words(struct ast_check *c, struct json *call)
{
    static const char *const casts[] = {CAST_OF("TIMESTAMP"), CAST_OF("TIMESTAMP"),
                                        CAST_OF("INTERVAL")};
    struct arena *arena = c->whole->ast.arena;
    size_t i = 0;
    bool is_of_times = is_call(call) && json_get(call, "children")->count == ARRAY_COUNT(casts) &&
                       slice_equal_fold(json_get_text(call, "function_name"), SLICE(SERIES));
    for (struct json *argument = is_of_times ? first_of(call, "children") : NULL; argument != NULL;
         argument = argument->next, i++) {
        if (argument->type != JSON_OBJECT || !is_text(argument)) {
            continue;
        }
        struct json *cast;
        struct json *copy = json_copy(arena, argument);
        TRY(json_parse(arena, slice_of(casts[i]), NULL, &cast, c->info));
        if (copy == NULL) {
            return errinfo_nomem(c->info);
        }
        json_replace(json_get(cast, "child"), copy);
        json_replace(argument, cast);
    }
    return ERR_OK;
}

/* ---- in FROM ---- */

static bool is_constant(const struct json *node)
{
    if (cast_child(node) != NULL) {
        return is_constant(cast_child(node));
    }
    bool is = ast__is(node, "class", "CONSTANT") || is_operator(node);
    for (const struct json *child = is_operator(node) ? first_of(node, "children") : NULL;
         child != NULL && is; child = child->next) {
        is = child->type == JSON_OBJECT && is_constant(child);
    }
    return is;
}

/* Whether it is the same for one row as for many, but for how often it is there. */
static bool is_per_row(const struct json *node)
{
    bool is = !ast__is(node, "class", "WINDOW") && !ast__is(node, "class", "STAR");
    if (ast__is(node, "class", "FUNCTION")) {
        const struct sql_function *function =
            sql_function_find(json_get_text(node, "function_name"));
        is = function == NULL ||
             (function->class != FUNCTION_AGGREGATE && function->class != FUNCTION_TABLE);
    }
    if (ast__is(node, "class", "FUNCTION") &&
        slice_equal_fold(json_get_text(node, "function_name"), SLICE(SERIES))) {
        is = true; /* counted by who asks */
    }
    for (const struct json *child = node->first; child != NULL && is; child = child->next) {
        is = (child->type != JSON_OBJECT && child->type != JSON_ARRAY) || is_per_row(child);
    }
    return is;
}

/* The only one of a select without a FROM, or NULL. */
static struct json *find_alone(const struct json *select)
{
    struct json *alone = NULL;
    const struct json *from = json_get(select, "from_table");
    if (from == NULL || !ast__is(from, "type", "EMPTY") ||
        first_of(select, "group_expressions") != NULL) {
        return NULL;
    }
    for (struct json *item = first_of(select, "select_list"); item != NULL; item = item->next) {
        struct json *found = item->type == JSON_OBJECT ? find(item) : NULL;
        if ((found != NULL && alone != NULL) || !is_per_row(item)) {
            return NULL;
        }
        alone = found != NULL ? found : alone;
    }
    bool is = alone != NULL;
    for (const struct json *argument = is ? first_of(alone, "children") : NULL;
         argument != NULL && is; argument = argument->next) {
        is = argument->type == JSON_OBJECT && is_constant(argument);
    }
    return is ? alone : NULL;
}

static enum err move_to_from(struct ast_check *c, struct json *select, struct json *call)
{
    static const char from[] =
        "{\"type\":\"TABLE_FUNCTION\",\"alias\":\"\",\"sample\":null,"
        "\"query_location\":18446744073709551615,\"function\":null,"
        "\"column_name_alias\":[],\"with_ordinality\":\"WITHOUT_ORDINALITY\"}";
    static const char column[] =
        "{\"class\":\"COLUMN_REF\",\"type\":\"COLUMN_REF\",\"alias\":\"\","
        "\"query_location\":18446744073709551615,\"column_names\":[\"" SERIES "\",\"" SERIES "\"]}";
    struct arena *arena = c->whole->ast.arena;
    struct json *function;
    struct json *name;
    struct json *copy = json_copy(arena, call);
    TRY(json_parse(arena, slice_of(from), NULL, &function, c->info));
    TRY(json_parse(arena, slice_of(column), NULL, &name, c->info));
    if (copy == NULL) {
        return errinfo_nomem(c->info);
    }
    json_get(name, "alias")->text = json_get_text(call, "alias");
    json_get(copy, "alias")->text = SLICE("");
    json_get(copy, "schema")->text = SLICE("");
    json_replace(json_get(function, "function"), copy);
    json_replace(json_get(select, "from_table"), function);
    json_replace(call, name);
    return ERR_OK;
}

/* ---- in its place ---- */

static enum err unnest(struct ast_check *c, struct json *call)
{
    struct arena *arena = c->whole->ast.arena;
    struct json *outer = json_copy(arena, call);
    struct json *inner = json_copy(arena, call);
    struct json *none;
    TRY(json_parse(arena, SLICE("[]"), NULL, &none, c->info));
    if (outer == NULL || inner == NULL) {
        return errinfo_nomem(c->info);
    }
    json_get(outer, "function_name")->text = SLICE("unnest");
    json_get(outer, "schema")->text = SLICE("");
    json_replace(json_get(outer, "children"), none);
    json_get(inner, "alias")->text = SLICE("");
    inner->key = (struct slice){"", 0};
    inner->next = NULL;
    json_append(json_get(outer, "children"), inner);
    json_replace(call, outer);
    return ERR_OK;
}

static void name_item(struct json *item)
{
    const struct json *node = item;
    while (cast_child(node) != NULL) {
        node = cast_child(node);
    }
    struct json *alias = json_get(item, "alias");
    if (!is_operator(node) && alias != NULL && alias->text.len == 0) {
        alias->text = SLICE(SERIES);
    }
}

enum err ast__series(struct ast_check *c, struct json *select)
{
    struct json *alone = find_alone(select);
    for (struct json *item = first_of(select, "select_list"); item != NULL; item = item->next) {
        struct json *call = item->type == JSON_OBJECT ? find(item) : NULL;
        if (call != NULL) {
            name_item(item);
        }
        if (call != NULL && call == alone) {
            return move_to_from(c, select, call);
        }
        for (; call != NULL; call = find(item)) {
            TRY(unnest(c, call));
        }
    }
    return ERR_OK;
}
