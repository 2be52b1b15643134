/* Statements whose rows follow from their text: SELECT of constants, arithmetic and comparisons of
 * them, and casts that look at nothing else.
 *
 * A short list of what may stand there, not a list of what may not: a function may read a clock, a
 * random number or a setting, and so may a cast from text to a time ('now'). */
#include "sql/ast_int.h"

static bool is_one_of(struct slice text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(text, slice_of(words[i]))) {
            return true;
        }
    }
    return false;
}

/* Types whose values mean the same whatever the session's settings are. */
static bool is_plain_type(const struct json *type)
{
    static const char *const plain[] = {
        "BOOLEAN",  "TINYINT",   "SMALLINT", "INTEGER",         "BIGINT",         "HUGEINT",
        "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",         "UHUGEINT",       "FLOAT",
        "DOUBLE",   "DECIMAL",   "VARCHAR",  "INTEGER_LITERAL", "STRING_LITERAL", "NULL"};
    return is_one_of(json_get_text(type, "id"), plain, ARRAY_COUNT(plain));
}

static bool is_constant(const struct json *node);

static bool are_constant(const struct json *list)
{
    bool are = list != NULL && list->count > 0;
    for (const struct json *node = are ? list->first : NULL; are && node != NULL;
         node = node->next) {
        are = is_constant(node);
    }
    return are;
}

static bool is_empty(const struct json *list)
{
    return list != NULL && list->count == 0;
}

static bool is_arithmetic(const struct json *node)
{
    static const char *const operators[] = {"+", "-", "*", "/", "//", "%", "||"};
    return json_get_bool(node, "is_operator", false) &&
           is_one_of(json_get_text(node, "function_name"), operators, ARRAY_COUNT(operators)) &&
           json_is_null(json_get(node, "filter")) &&
           is_empty(json_get(json_get(node, "order_bys"), "orders")) &&
           !json_get_bool(node, "distinct", true) && are_constant(json_get(node, "children"));
}

/* No deeper than sql_ast_open has let the tree be. */
static bool is_constant(const struct json *node)
{
    struct slice class = json_get_text(node, "class");
    if (slice_equal(class, SLICE("CONSTANT"))) {
        return is_plain_type(json_get(json_get(node, "value"), "type"));
    }
    if (slice_equal(class, SLICE("CAST"))) {
        return is_plain_type(json_get(node, "cast_type")) && is_constant(json_get(node, "child"));
    }
    if (slice_equal(class, SLICE("COMPARISON"))) {
        return is_constant(json_get(node, "left")) && is_constant(json_get(node, "right"));
    }
    return slice_equal(class, SLICE("FUNCTION")) && is_arithmetic(node);
}

bool sql_ast_is_constant(const struct sql_ast *ast)
{
    const struct json *select = ast->select;
    const struct json *from = json_get(select, "from_table");
    return ast->reference_count == 0 && ast->parameter_count == 0 &&
           slice_equal(json_get_text(select, "type"), SLICE("SELECT_NODE")) &&
           is_empty(json_get(select, "modifiers")) &&
           is_empty(json_get(json_get(select, "cte_map"), "map")) &&
           slice_equal(json_get_text(from, "type"), SLICE("EMPTY")) &&
           json_is_null(json_get(from, "sample")) &&
           json_is_null(json_get(select, "where_clause")) &&
           is_empty(json_get(select, "group_expressions")) &&
           is_empty(json_get(select, "group_sets")) && json_is_null(json_get(select, "having")) &&
           json_is_null(json_get(select, "sample")) && json_is_null(json_get(select, "qualify")) &&
           are_constant(json_get(select, "select_list"));
}
