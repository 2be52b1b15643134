/* Calls: which function, may it be called here, what it may tell, how much it may make. */
#include "sql/ast_int.h"

/* "<before> "<name>" <after>", with the SQLSTATE, the place and a hint. */
static enum err refuse_call(const struct ast_check *c, const struct json *node, const char *state,
                            struct slice name, const char *what, const char *hint)
{
    enum err code = strcmp(state, "42501") == 0 ? ERR_DENIED : ERR_UNSUPPORTED;
    (void)errinfo_set(c->info, code, state, "function \"%.*s\" %s", SLICE_ARGS(name), what);
    errinfo_position(c->info, ast__position(c, node));
    if (hint != NULL) {
        errinfo_hint(c->info, "%s", hint);
    }
    return code;
}

static enum err unknown_function(const struct ast_check *c, const struct json *node,
                                 struct slice name)
{
    (void)errinfo_set(c->info, ERR_NOT_FOUND, "42883", "function \"%.*s\" does not exist",
                      SLICE_ARGS(name));
    errinfo_position(c->info, ast__position(c, node));
    static const char *const masks[] = {"redact", "show_first", "show_last"};
    for (size_t i = 0; c->binding != NULL && i < ARRAY_COUNT(masks); i++) {
        if (slice_equal_fold(name, slice_of(masks[i]))) {
            errinfo_hint(c->info,
                         "It is a mask only when it is the whole mask, not a part of one.");
            return ERR_NOT_FOUND;
        }
    }
    const char *near = sql_function_suggest(name);
    if (near != NULL) {
        errinfo_hint(c->info, "Did you mean \"%s\"?", near);
    }
    return ERR_NOT_FOUND;
}

static bool is_policy(const struct ast_check *c)
{
    return c->binding != NULL || c->whole->origin == SQL_FROM_POLICY;
}

enum err ast__call_find(struct ast_check *c, const struct json *node, bool is_relation,
                        const struct sql_function **ret_function)
{
    struct slice name = json_get_text(node, "function_name");
    const struct sql_function *function = sql_function_find(name);
    if (function != NULL && function->class == FUNCTION_MASK && !is_policy(c)) {
        function = NULL;
    }
    if (function != NULL && c->macro == NULL && function->class == FUNCTION_MACRO &&
        ast__is_own_name(name)) {
        function = NULL;
    }
    if (ast__is_own_name(name) && function == NULL) {
        return refuse_call(c, node, "42501", name, "is reserved",
                           "Names that start with \"__moat_\" are Moat's own.");
    }
    if (function == NULL) {
        return unknown_function(c, node, name);
    }
    bool fits = is_relation
                    ? function->class == FUNCTION_TABLE || function->class == FUNCTION_READER
                    : function->class != FUNCTION_READER && function->class != FUNCTION_WINDOW;
    if (function->class == FUNCTION_REFUSED) {
        return refuse_call(c, node, "42501", name, "is not allowed", function->reason);
    }
    if (!fits) {
        return refuse_call(c, node, "0A000", name, "cannot stand here",
                           is_relation ? "In FROM: unnest, range, generate_series and the readers "
                                         "of files."
                                       : "A reader stands in FROM; a window function needs OVER.");
    }
    *ret_function = function;
    return ERR_OK;
}

static bool is_pg_schema(struct slice schema)
{
    return slice_equal_fold(schema, SLICE(SQL_SCHEMA_PG)) ||
           slice_equal_fold(schema, SLICE(SQL_SCHEMA_INFORMATION));
}

static bool is_engine_schema(struct slice catalog, struct slice schema)
{
    return (catalog.len == 0 || slice_equal_fold(catalog, SLICE("system"))) &&
           (schema.len == 0 || slice_equal_fold(schema, SLICE("main")) || is_pg_schema(schema));
}

/* `x.lower()` is lower(x): the parser gives x as a schema, the binder turns it round when it finds
 * no such schema. Done here, so that arguments are where the list says they are. */
static enum err unfold_method(struct ast_check *c, struct json *node)
{
    struct slice catalog = json_get_text(node, "catalog");
    struct slice schema = json_get_text(node, "schema");
    if (is_pg_schema(schema)) { /* where the engine has none of its own built-in functions */
        json_get(node, "schema")->text = SLICE("");
    }
    if (is_engine_schema(catalog, schema)) {
        return ERR_OK;
    }
    struct arena *arena = c->whole->ast.arena;
    static const char text[] = "{\"class\":\"COLUMN_REF\",\"type\":\"COLUMN_REF\",\"alias\":\"\","
                               "\"query_location\":0,\"column_names\":[]}";
    struct json *column;
    TRY(json_parse(arena, slice_of(text), NULL, &column, c->info));
    json_replace(json_get(column, "query_location"), json_get(node, "query_location"));
    struct slice parts[] = {catalog, schema};
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        struct json *part = parts[i].len == 0 ? NULL : json_new_text(arena, parts[i]);
        if (parts[i].len > 0 && part == NULL) {
            return errinfo_nomem(c->info);
        }
        if (part != NULL) {
            json_append(json_get(column, "column_names"), part);
        }
    }
    struct json *children = json_get(node, "children");
    column->next = children->first;
    children->first = column;
    children->last = children->last == NULL ? column : children->last;
    children->count++;
    json_get(node, "schema")->text = (struct slice){"", 0};
    json_get(node, "catalog")->text = (struct slice){"", 0};
    return ERR_OK;
}

static const struct json *argument(const struct json *node, unsigned one_based)
{
    return one_based == 0 ? NULL : json_at(json_get(node, "children"), one_based - 1);
}

static bool is_text_constant(const struct json *node)
{
    return node != NULL && ast__is(node, "class", "CONSTANT") &&
           ast__is(json_get(json_get(node, "value"), "type"), "id", "VARCHAR");
}

static bool is_interval(const struct json *node)
{
    static const char *const makers[] = {
        "to_years",     "to_months",       "to_days",        "to_hours",   "to_weeks",
        "to_minutes",   "to_seconds",      "to_quarters",    "to_decades", "to_centuries",
        "to_millennia", "to_milliseconds", "to_microseconds"};
    if (ast__is(node, "class", "CAST")) {
        return ast__is(json_get(node, "cast_type"), "id", "INTERVAL");
    }
    for (size_t i = 0; i < ARRAY_COUNT(makers); i++) {
        if (ast__is(node, "function_name", makers[i])) {
            return true;
        }
    }
    return false;
}

static bool is_integer_constant(const struct json *node, int64_t *ret_value)
{
    return ast__is(node, "class", "CONSTANT") &&
           json_to_i64(json_get(json_get(node, "value"), "value"), ret_value) &&
           !ast__is(json_get(json_get(node, "value"), "type"), "id", "DECIMAL");
}

/* substring and its like throw, unflagged, for offsets beyond 32 bits. */
static bool is_cut_beyond_reach(const struct json *node, const char *name)
{
    static const char *const cutters[] = {"substring", "substr", "left", "right"};
    bool is_cutter = false;
    for (size_t i = 0; i < ARRAY_COUNT(cutters); i++) {
        is_cutter = is_cutter || strcmp(cutters[i], name) == 0;
    }
    for (unsigned i = 2; is_cutter && argument(node, i) != NULL; i++) {
        int64_t value;
        if (!is_integer_constant(argument(node, i), &value) || value > INT32_MAX ||
            value < INT32_MIN) {
            return true;
        }
    }
    return false;
}

/* Worse than the list's class in cases that the list cannot tell. */
static enum leak_class call_leak(const struct json *node, const struct sql_function *function)
{
    struct slice name = slice_of(function->name);
    const struct json *first = argument(node, 1);
    const struct json *second = argument(node, 2);
    if (is_cut_beyond_reach(node, function->name) ||
        (slice_equal(name, SLICE("trunc")) && second != NULL)) {
        return LEAK_UNSAFE;
    }
    if (function->constant_argument > 0) {
        /* A constant pattern is compiled once, before any row; one that does not compile throws
         * whatever the rows are. */
        bool is_constant = is_text_constant(argument(node, (unsigned)function->constant_argument));
        return is_constant ? function->leak : LEAK_UNSAFE;
    }
    if ((slice_equal(name, SLICE("+")) || slice_equal(name, SLICE("-"))) && second != NULL &&
        (is_interval(first) || is_interval(second)) &&
        !(ast__is_constant(first) && ast__is_constant(second))) {
        /* TIMESTAMP WITH TIME ZONE with an interval overflows without being flagged; a column's
         * type is not known here. A small constant interval on a date is flagged, but so cannot be
         * told from it. */
        return LEAK_UNSAFE;
    }
    return function->leak;
}

/* format('{:>99999999}', x) and printf('%99999999d', x) make as much as they say. */
static enum err check_format(struct ast_check *c, const struct json *node,
                             const struct sql_function *function)
{
    if (strcmp(function->name, "format") != 0 && strcmp(function->name, "printf") != 0) {
        return ERR_OK;
    }
    const struct json *pattern = argument(node, 1);
    bool ok = is_text_constant(pattern);
    struct slice text = ok ? json_get_text(json_get(pattern, "value"), "value") : SLICE("");
    size_t digits = 0;
    size_t open = 0;
    for (size_t i = 0; i < text.len; i++) {
        char ch = text.ptr[i];
        digits = ch >= '0' && ch <= '9' ? digits + 1 : 0;
        open += ch == '{';
        open -= open > 0 && ch == '}';
        ok = ok && digits <= 4 && ch != '*' && open <= 1;
    }
    if (ok) {
        return ERR_OK;
    }
    return refuse_call(c, node, "0A000", slice_of(function->name), "does not support this pattern",
                       "It must be a constant with widths of at most four digits.");
}

static enum err check_lambda_name(struct ast_check *c, const struct json *node,
                                  const struct sql_function *function)
{
    if (strncmp(function->name, "list_aggr", 9) != 0 &&
        strncmp(function->name, "array_aggr", 10) != 0 &&
        strcmp(function->name, "aggregate") != 0) {
        return ERR_OK;
    }
    const struct json *which = argument(node, 2);
    const struct sql_function *called =
        is_text_constant(which)
            ? sql_function_find(json_get_text(json_get(which, "value"), "value"))
            : NULL;
    if (called != NULL && called->class == FUNCTION_AGGREGATE) {
        return ERR_OK;
    }
    return refuse_call(c, node, "0A000", slice_of(function->name),
                       "needs the name of an aggregate as a constant", NULL);
}

static enum err check_class(struct ast_check *c, const struct json *node,
                            const struct sql_function *function)
{
    bool is_scalar = function->class == FUNCTION_SCALAR || function->class == FUNCTION_CONTEXT ||
                     function->class == FUNCTION_MASK ||
                     (function->class == FUNCTION_TABLE && strcmp(function->name, "unnest") != 0);
    bool is_aggregate =
        function->class == FUNCTION_AGGREGATE && c->binding != NULL && c->binding->scope != NULL;
    if (c->binding != NULL && !is_scalar && !is_aggregate) {
        return refuse_call(c, node, "0A000", slice_of(function->name),
                           "cannot stand in a policy expression",
                           "A policy expression is a scalar over the columns of one row.");
    }
    return ERR_OK;
}

static enum err check_call(struct ast_check *c, struct json *node, const struct shape *shape)
{
    bool is_item = c->is_item;
    c->is_item = false;
    struct slice alias = json_get_text(node, "alias");
    const struct sql_function *function;
    if (!c->is_verify) {
        ast__macro_operator(c, node);
        TRY(ast__macro_list(c, node));
    }
    TRY(ast__call_find(c, node, false, &function));
    if (c->is_verify) {
        return function->class != FUNCTION_CONTEXT && function->class != FUNCTION_MACRO
                   ? ast__members(c, shape, node)
                   : errinfo_set(c->info, ERR_INTERNAL, NULL, "\"%s\" was left in the plan",
                                 function->name);
    }
    TRY(unfold_method(c, node));
    if (function->class == FUNCTION_MACRO) {
        c->is_item = is_item;
        return ast__macro_call(c, node);
    }
    TRY(check_class(c, node, function));
    TRY(check_format(c, node, function));
    TRY(check_lambda_name(c, node, function));
    ast__worsen(c, call_leak(node, function), slice_of(function->name));
    TRY(ast__members(c, shape, node));
    if (function->class == FUNCTION_CONTEXT) {
        json_get(node, "schema")->text = SLICE("");
        json_get(node, "catalog")->text = SLICE("");
        TRY(ast__fold_call(c, node));
    } else if (function->growth_argument > 0) {
        TRY(ast__cap(c, node, function));
    } else {
        return ERR_OK;
    }
    if (is_item && alias.len == 0 && c->binding == NULL) {
        json_get(node, "alias")->text = slice_of(function->name); /* the result's column name */
    }
    return ERR_OK;
}

enum err ast__function(struct ast_check *c, struct json *node)
{
    return check_call(c, node, shape_of_expression(SLICE("FUNCTION")));
}

enum err ast__window(struct ast_check *c, struct json *node)
{
    c->is_item = false;
    struct slice name = json_get_text(node, "function_name");
    const struct sql_function *function = sql_function_find(name);
    if (function == NULL) {
        return unknown_function(c, node, name);
    }
    if ((function->class != FUNCTION_WINDOW && function->class != FUNCTION_AGGREGATE) ||
        !is_engine_schema(json_get_text(node, "catalog"), json_get_text(node, "schema"))) {
        return refuse_call(c, node, function->class == FUNCTION_REFUSED ? "42501" : "0A000", name,
                           "cannot be used with OVER", function->reason);
    }
    ast__worsen(c, function->leak, slice_of(function->name));
    return ast__members(c, shape_of_expression(SLICE("WINDOW")), node);
}

/* ---- growth ---- */

static struct json *call_json(struct ast_check *c, const char *name, struct json *a, struct json *b)
{
    static const char text[] =
        "{\"class\":\"FUNCTION\",\"type\":\"FUNCTION\",\"alias\":\"\","
        "\"query_location\":18446744073709551615,\"function_name\":\"\",\"schema\":\"\","
        "\"children\":[],\"filter\":null,\"order_bys\":{\"type\":\"ORDER_MODIFIER\",\"orders\":[]},"
        "\"distinct\":false,\"is_operator\":false,\"export_state\":false,\"catalog\":\"\"}";
    struct json *call;
    if (a == NULL || b == NULL ||
        json_parse(c->whole->ast.arena, slice_of(text), NULL, &call, c->info) != ERR_OK) {
        return NULL;
    }
    json_get(call, "function_name")->text = slice_of(name);
    json_get(call, "is_operator")->boolean = name[1] == '\0';
    a->key = b->key = (struct slice){"", 0};
    a->next = b->next = NULL;
    json_append(json_get(call, "children"), a);
    json_append(json_get(call, "children"), b);
    return call;
}

static struct json *integer_json(struct ast_check *c, int64_t value)
{
    static const char text[] =
        "{\"class\":\"CONSTANT\",\"type\":\"VALUE_CONSTANT\",\"alias\":\"\","
        "\"query_location\":18446744073709551615,\"value\":{\"type\":{\"id\":"
        "\"BIGINT\",\"type_info\":null},\"is_null\":false,\"value\":0}}";
    struct json *constant;
    char *digits = arena_printf(c->whole->ast.arena, "%lld", (long long)value);
    if (digits == NULL ||
        json_parse(c->whole->ast.arena, slice_of(text), NULL, &constant, c->info) != ERR_OK) {
        return NULL;
    }
    json_get(json_get(constant, "value"), "value")->text = slice_of(digits);
    return constant;
}

/* range(a, b): b becomes a + __moat_cap(b - a, cap), so that it is the count that is capped. */
static enum err cap_series(struct ast_check *c, struct json *node, int64_t cap)
{
    struct json *from = json_at(json_get(node, "children"), 0);
    struct json *to = from->next;
    const struct json *step = to->next;
    int64_t a;
    int64_t b;
    int64_t n;
    if (is_integer_constant(from, &a) && is_integer_constant(to, &b) &&
        !__builtin_sub_overflow(b, a, &n) && n <= cap && n >= -cap) {
        return ERR_OK;
    }
    if (!ast__is(from, "class", "CONSTANT") && !ast__is(from, "class", "COLUMN_REF")) {
        return refuse_call(c, node, "0A000", json_get_text(node, "function_name"),
                           "from a computed start is not supported as a list",
                           "Use it in FROM, where rows are streamed.");
    }
    if (step != NULL && is_interval(step)) {
        return refuse_call(c, node, "0A000", json_get_text(node, "function_name"),
                           "over times is not supported as a list",
                           "Use it in FROM, where rows are streamed.");
    }
    struct arena *arena = c->whole->ast.arena;
    struct json *width = call_json(c, "-", json_copy(arena, to), json_copy(arena, from));
    struct json *capped = call_json(c, "__moat_cap", width, integer_json(c, cap));
    struct json *end = call_json(c, "+", json_copy(arena, from), capped);
    if (end == NULL) {
        return errinfo_nomem(c->info);
    }
    json_replace(to, end);
    return ERR_OK;
}

static enum err narrow(struct ast_check *c, struct json *node)
{
    static const char text[] =
        "{\"class\":\"CAST\",\"type\":\"OPERATOR_CAST\",\"alias\":\"\","
        "\"query_location\":18446744073709551615,\"child\":null,\"cast_type\":"
        "{\"id\":\"INTEGER\",\"type_info\":null},\"try_cast\":false}";
    struct json *cast;
    struct json *child = json_copy(c->whole->ast.arena, node);
    TRY(json_parse(c->whole->ast.arena, slice_of(text), NULL, &cast, c->info));
    if (child == NULL) {
        return errinfo_nomem(c->info);
    }
    json_replace(json_get(cast, "child"), child);
    json_replace(node, cast);
    return ERR_OK;
}

enum err ast__cap(struct ast_check *c, struct json *node, const struct sql_function *function)
{
    int64_t cap = function->makes_text ? AST_CAP_TEXT : AST_CAP_LIST;
    struct json *children = json_get(node, "children");
    bool is_series =
        strcmp(function->name, "range") == 0 || strcmp(function->name, "generate_series") == 0;
    if (is_series && children->count >= 2) {
        return cap_series(c, node, cap);
    }
    if (strcmp(function->name, "repeat") == 0) {
        /* The cap is on the result: times the length of the text, a moderate one if not known. */
        struct slice text = is_text_constant(children->first)
                                ? json_get_text(json_get(children->first, "value"), "value")
                                : (struct slice){NULL, AST_CAP_TEXT / AST_CAP_REPEAT};
        cap = AST_CAP_TEXT / (int64_t)(text.len == 0 ? 1 : text.len);
    }
    struct json *argument_node = json_at(children, (uint32_t)function->growth_argument - 1);
    int64_t value;
    if (argument_node == NULL || (is_integer_constant(argument_node, &value) && value <= cap)) {
        return ERR_OK;
    }
    struct json *inner = json_copy(c->whole->ast.arena, argument_node);
    struct json *capped = call_json(c, "__moat_cap", inner, integer_json(c, cap));
    if (capped == NULL) {
        return errinfo_nomem(c->info);
    }
    /* repeat and the list functions take BIGINT, the others INTEGER. */
    bool is_narrow = function->makes_text && strcmp(function->name, "repeat") != 0;
    json_replace(argument_node, capped);
    return is_narrow ? narrow(c, argument_node) : ERR_OK;
}
