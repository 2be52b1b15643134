/* Types, values and casts: what may be written, and what may throw over hidden rows.
 *
 * The argument for casts, from the engine's source. BoundCastExpression::CanThrow reports a cast
 * as throwing only if the two type ids differ and LogicalType::ForceMaxLogicalType(target, source)
 * is the source (a narrowing one), or the target is JSON. What it reports stays above a policy's
 * projection (FilterPushdown::PushdownProjection), is not reordered (ExpressionHeuristics::
 * ReorderExpressions, AdaptiveFilter) and is not run over a whole dictionary
 * (ExecuteFunctionState): LEAK_GUARDED. Not reported though they throw, hence LEAK_UNSAFE:
 *   DECIMAL to a DECIMAL with fewer integer digits (same id), any integer to DECIMAL (the maximum
 * is DECIMAL), signed to unsigned and back (the maximum is a wider third type), DATE to TIMESTAMP
 * and between TIMESTAMP units (the target is the maximum), nested types by their children. */
#include "sql/ast_int.h"

static bool one_of(const char *const *words, size_t count, struct slice text)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(slice_of(words[i]), text)) {
            return true;
        }
    }
    return false;
}

/* PostgreSQL's types of names and of its catalogs, in the engine's words. */
static void rename_type(struct json *type_info)
{
    static const char *const pairs[][2] = {{"name", "varchar"},
                                           {"regclass", "bigint"},
                                           {"regtype", "bigint"},
                                           {"regproc", "bigint"},
                                           {"regrole", "bigint"},
                                           {"regnamespace", "bigint"},
                                           {"regprocedure", "bigint"},
                                           {"xid", "bigint"},
                                           {"xid8", "bigint"},
                                           {"aclitem", "varchar"},
                                           {"pg_node_tree", "varchar"},
                                           {"sql_identifier", "varchar"},
                                           {"character_data", "varchar"},
                                           {"yes_or_no", "varchar"},
                                           {"cardinal_number", "integer"},
                                           {"jsonb", "json"},
                                           {"varbit", "bit"},
                                           {"citext", "varchar"},
                                           {"inet", "varchar"},
                                           {"pg_lsn", "varchar"},
                                           {"cstring", "varchar"},
                                           {"unknown", "varchar"}};
    struct json *name = json_get(type_info, "name");
    struct json *schema = json_get(type_info, "schema");
    if (!ast__is(type_info, "type", "UNBOUND_TYPE_INFO")) {
        return;
    }
    if (slice_equal_fold(schema->text, SLICE(SQL_SCHEMA_PG)) ||
        slice_equal_fold(schema->text, SLICE(SQL_SCHEMA_INFORMATION))) {
        schema->text = SLICE("");
    }
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        if (slice_equal_fold(slice_of(pairs[i][0]), name->text)) {
            name->text = slice_of(pairs[i][1]);
        }
    }
}

enum err ast__type(struct ast_check *c, const struct json *node)
{
    TRY(ast__order(&shape_type, node, c->info));
    struct slice id = json_get_text(node, "id");
    if (!shape_is_type_id(id)) {
        return errinfo_set(c->info, ERR_UNSUPPORTED, NULL, "type \"%.*s\" is not supported",
                           SLICE_ARGS(id));
    }
    struct json *type_info = json_get(node, "type_info");
    if (type_info->type == JSON_NULL) {
        return ERR_OK;
    }
    struct slice tag = json_get_text(type_info, "type");
    const struct shape *shape = shape_of_type_info(tag);
    if (shape == NULL) {
        return errinfo_set(c->info, ERR_UNSUPPORTED, NULL,
                           "type \"%.*s\" (\"%.*s\") is not supported", SLICE_ARGS(id),
                           SLICE_ARGS(json_get_text(type_info, "alias")));
    }
    TRY(ast__order(shape, type_info, c->info));
    rename_type(type_info);
    struct slice name = json_get_text(type_info, "name");
    if (slice_equal(tag, SLICE("UNBOUND_TYPE_INFO")) && !shape_is_type_name(name)) {
        (void)errinfo_set(c->info, ERR_NOT_FOUND, "42704", "type \"%.*s\" does not exist",
                          SLICE_ARGS(name));
        return ERR_NOT_FOUND;
    }
    return ast__members(c, shape, type_info);
}

enum err ast__value(struct ast_check *c, const struct json *node)
{
    struct json *type = json_get(node, "type");
    struct json *is_null = json_get(node, "is_null");
    struct json *value = json_get(node, "value");
    if (node->type != JSON_OBJECT || type == NULL || node->first != type || is_null == NULL ||
        type->next != is_null || is_null->type != JSON_BOOL ||
        (value != NULL && is_null->next != value) || node->count != (value == NULL ? 2u : 3u)) {
        return errinfo_set(c->info, ERR_UNSUPPORTED, NULL,
                           "a constant of this form is not supported");
    }
    TRY(ast__type(c, type));
    if (value == NULL || value->type == JSON_NULL) {
        return is_null->boolean ? ERR_OK
                                : errinfo_set(c->info, ERR_UNSUPPORTED, NULL,
                                              "a constant without its value is not supported");
    }
    if (value->type != JSON_OBJECT && value->type != JSON_ARRAY) {
        return ERR_OK;
    }
    /* A 128-bit integer, or the empty list (others are calls of list_value). */
    uint64_t lower;
    int64_t upper;
    const struct json *children = json_get(value, "children");
    if (value->count == 2 && json_to_u64(json_get(value, "lower"), &lower) &&
        (json_to_i64(json_get(value, "upper"), &upper) ||
         json_to_u64(json_get(value, "upper"), &lower))) {
        return ERR_OK;
    }
    if (value->type == JSON_OBJECT && value->count == 1 && children != NULL &&
        children->type == JSON_ARRAY && children->count == 0) {
        return ERR_OK;
    }
    return errinfo_set(c->info, ERR_UNSUPPORTED, NULL,
                       "a constant of type \"%.*s\" in this form is not supported",
                       SLICE_ARGS(json_get_text(type, "id")));
}

enum leak_class ast__constant_leak(const struct json *constant)
{
    const struct json *type = json_get(json_get(constant, "value"), "type");
    static const char *const wide[] = {"HUGEINT", "UHUGEINT", "BIGNUM"};
    struct slice id = json_get_text(type, "id");
    int64_t scale;
    if (slice_equal(id, SLICE("DECIMAL"))) {
        return json_to_i64(json_get(json_get(type, "type_info"), "scale"), &scale) &&
                       scale <= AST_SCALE_SAFE
                   ? LEAK_NONE
                   : LEAK_UNSAFE;
    }
    return one_of(wide, ARRAY_COUNT(wide), id) ? LEAK_UNSAFE : LEAK_NONE;
}

static bool is_constant_within(const struct json *expression, unsigned depth)
{
    static const char *const functions[] = {"trunc",    "to_days",    "to_months",
                                            "to_years", "to_hours",   "to_minutes",
                                            "to_weeks", "to_seconds", "to_quarters"};
    if (depth == 0) {
        return false;
    }
    struct slice class = json_get_text(expression, "class");
    if (slice_equal(class, SLICE("CONSTANT"))) {
        return true;
    }
    if (slice_equal(class, SLICE("CAST"))) {
        return is_constant_within(json_get(expression, "child"), depth - 1);
    }
    const struct json *children = json_get(expression, "children");
    return slice_equal(class, SLICE("FUNCTION")) && children != NULL && children->count == 1 &&
           one_of(functions, ARRAY_COUNT(functions), json_get_text(expression, "function_name")) &&
           is_constant_within(children->first, depth - 1);
}

bool ast__is_constant(const struct json *expression)
{
    return is_constant_within(expression, 8);
}

enum leak_class ast__cast_leak(const struct json *cast)
{
    static const char *const guarded[] = {"BOOLEAN", "FLOAT", "DOUBLE", "DATE", "INTERVAL"};
    static const char *const integers[] = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"};
    if (json_get_bool(cast, "try_cast", false)) {
        return LEAK_NONE;
    }
    const struct json *child = json_get(cast, "child");
    struct slice id = json_get_text(json_get(cast, "cast_type"), "id");
    bool is_text = ast__is(child, "class", "CONSTANT") &&
                   ast__is(json_get(json_get(child, "value"), "type"), "id", "VARCHAR");
    if (slice_equal(id, SLICE("VARCHAR")) || (is_text && slice_equal(id, SLICE("BOOLEAN")))) {
        return LEAK_NONE;
    }
    /* Of a column, also a cast that is not implemented throws, which is never reported. */
    if ((one_of(guarded, ARRAY_COUNT(guarded), id) ||
         one_of(integers, ARRAY_COUNT(integers), id)) &&
        ast__is_constant(child)) {
        return LEAK_GUARDED;
    }
    /* A literal text to a time is reported; to DECIMAL it sets a scale, and to a time with zone or
     * nanoseconds it sets a cast that is not reported, for what it meets. */
    return is_text &&
                   (slice_equal(id, SLICE("TIMESTAMP")) || slice_equal(id, SLICE("TIMESTAMP_S")) ||
                    slice_equal(id, SLICE("TIMESTAMP_MS")))
               ? LEAK_GUARDED
               : LEAK_UNSAFE;
}
