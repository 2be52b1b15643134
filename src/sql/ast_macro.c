/* PostgreSQL's catalog functions, casts and operators in terms of what Moat has.
 *
 * A call is replaced by the expression of macros.def and then looked at as if it had been written
 * by the person, but that its own names may begin with `__moat_`. What stands for $n is the
 * argument as the parser gave it, looked at as text of the person where it stands: each copy on its
 * own, so that its tables become references of the statement. */
#include "sql/ast_int.h"

static const struct macro {
    const char *name;
    uint32_t fewest;
    uint32_t most;
    const char *text;
    bool is_rows; /* a query for FROM */
} macros[] = {
#define MACRO(name_, fewest_, most_, text_) {(name_), (fewest_), (most_), (text_), false},
#define ROWS(name_, fewest_, most_, text_) {(name_), (fewest_), (most_), (text_), true},
#include "sql/macros.def"
};

/* What an expanded call stands in for: nodes of the text it was called in. */
struct ast_macro {
    const struct json *arguments[AST_MACRO_NODES_MAX];
    size_t count;
    const struct ast_macro *outer;
};

static const struct macro *find_macro(struct slice name, uint32_t argument_count,
                                      bool *ret_is_known)
{
    *ret_is_known = false;
    for (size_t i = 0; i < ARRAY_COUNT(macros); i++) {
        if (slice_equal_fold(slice_of(macros[i].name), name)) {
            *ret_is_known = true;
            if (argument_count >= macros[i].fewest && argument_count <= macros[i].most) {
                return &macros[i];
            }
        }
    }
    return NULL;
}

/* Positions in the macro's own text mean nothing to the person. */
static void forget_positions(struct json *node)
{
    for (struct json *child = node->first; child != NULL; child = child->next) {
        if (slice_equal(child->key, SLICE("query_location"))) {
            child->text = SLICE("18446744073709551615");
        }
        if (child->first != NULL) {
            forget_positions(child);
        }
    }
}

/* The expression, or of rows the query. */
static enum err parse_macro(struct ast_check *c, const struct macro *macro,
                            struct json **ret_expression)
{
    const struct sql_session *session = c->whole->limits.session;
    struct arena *arena = c->whole->ast.arena;
    struct slice json;
    struct json *root;
    char *text = arena_printf(arena, "%s%s", macro->is_rows ? "" : "SELECT ", macro->text);
    if (text == NULL) {
        return errinfo_nomem(c->info);
    }
    TRY(session->parse(session->context, slice_of(text), arena, &json, c->info));
    TRY(json_parse(arena, json, NULL, &root, c->info));
    struct json *select = json_get(json_at(json_get(root, "statements"), 0), "node");
    struct json *expression = macro->is_rows ? select : json_at(json_get(select, "select_list"), 0);
    if (expression == NULL) {
        return errinfo_set(c->info, ERR_INTERNAL, NULL, "\"%s\" cannot be rewritten", macro->name);
    }
    forget_positions(expression);
    *ret_expression = expression;
    return ERR_OK;
}

static uint32_t count_nodes(const struct json *node)
{
    uint32_t count = 1;
    for (const struct json *child = node->first; child != NULL; child = child->next) {
        count += count_nodes(child);
    }
    return count;
}

/* Copies count as written: f(f(f(...))) would otherwise double at each step. */
static enum err charge(struct ast_check *c, const struct json *node)
{
    uint32_t count = count_nodes(node);
    uint32_t *sum = &c->whole->copied_nodes;
    uint32_t most = c->whole->limits.nodes_max * 4;
    if (count > most || *sum > most - count) {
        (void)errinfo_set(c->info, ERR_LIMIT, "54000", "the statement has too many parts");
        errinfo_hint(c->info, "Calls of catalog functions are nested too deep.");
        return ERR_LIMIT;
    }
    *sum += count;
    return ERR_OK;
}

static struct json *null_node(struct ast_check *c)
{
    static const char text[] =
        "{\"class\":\"CONSTANT\",\"type\":\"VALUE_CONSTANT\",\"alias\":\"\","
        "\"query_location\":18446744073709551615,\"value\":{\"type\":{\"id\":\"NULL\","
        "\"type_info\":null},\"is_null\":true}}";
    struct json *node = NULL;
    return json_parse(c->whole->ast.arena, slice_of(text), NULL, &node, c->info) == ERR_OK ? node
                                                                                           : NULL;
}

static enum err substitute(struct ast_check *c, struct json *node, const struct json *arguments,
                           struct ast_macro *macro)
{
    uint64_t number;
    if (node->type == JSON_OBJECT && ast__is(node, "class", "PARAMETER")) {
        if (!slice_to_u64(json_get_text(node, "identifier"), &number) || number == 0 ||
            macro->count == ARRAY_COUNT(macro->arguments)) {
            return errinfo_set(c->info, ERR_INTERNAL, NULL, "a function cannot be rewritten");
        }
        const struct json *argument = json_at(arguments, (uint32_t)number - 1);
        TRY(argument == NULL ? ERR_OK : charge(c, argument));
        struct json *copy =
            argument == NULL ? null_node(c) : json_copy(c->whole->ast.arena, argument);
        if (copy == NULL) {
            return errinfo_nomem(c->info);
        }
        json_replace(node, copy);
        macro->arguments[macro->count++] = node;
        return ERR_OK;
    }
    for (struct json *child = node->first; child != NULL; child = child->next) {
        if (child->first != NULL) {
            TRY(substitute(c, child, arguments, macro));
        }
    }
    return ERR_OK;
}

static bool is_word(const char *text)
{
    return strspn(text, "abcdefghijklmnopqrstuvwxyz_") == strlen(text) &&
           strcmp(text, "true") != 0 && strcmp(text, "false") != 0;
}

/* `node`, whatever it is, becomes the macro over `arguments` (an array of expressions). */
static enum err expand(struct ast_check *c, struct json *node, const struct macro *macro,
                       const struct json *arguments, const char *label)
{
    struct ast_macro *frame = arena_calloc(c->whole->ast.arena, 1, sizeof(*frame));
    if (frame == NULL) {
        return errinfo_nomem(c->info);
    }
    if (c->whole->limits.session == NULL) {
        return errinfo_set(c->info, ERR_UNSUPPORTED, NULL, "function \"%s\" cannot stand here",
                           macro->name);
    }
    bool is_item = c->is_item;
    struct slice alias = json_get_text(node, "alias");
    struct json *expression;
    frame->outer = c->macro;
    TRY(parse_macro(c, macro, &expression));
    TRY(substitute(c, expression, arguments, frame));
    json_replace(node, expression);
    json_get(node, "alias")->text = alias.len == 0 && is_item ? slice_of(label) : alias;
    c->is_item = false;
    c->macro = frame;
    enum err err = ast__expression(c, node);
    c->macro = frame->outer;
    return err;
}

bool ast__macro_leave(struct ast_check *c, const struct json *node)
{
    for (size_t i = 0; c->macro != NULL && i < c->macro->count; i++) {
        if (c->macro->arguments[i] == node) {
            c->macro = c->macro->outer;
            return true;
        }
    }
    return false;
}

enum err ast__macro_call(struct ast_check *c, struct json *node)
{
    const struct json *children = json_get(node, "children");
    struct slice name = json_get_text(node, "function_name");
    bool is_known;
    const struct macro *macro = find_macro(name, children->count, &is_known);
    if (c->binding != NULL || !is_known || (macro != NULL && macro->is_rows)) {
        return errinfo_set(c->info, ERR_UNSUPPORTED, NULL, "function \"%.*s\" cannot stand here",
                           SLICE_ARGS(name));
    }
    if (macro == NULL) {
        (void)errinfo_set(c->info, ERR_NOT_FOUND, "42883",
                          "function \"%.*s\" does not take %u arguments", SLICE_ARGS(name),
                          children->count);
        errinfo_position(c->info, ast__position(c, node));
        return ERR_NOT_FOUND;
    }
    if (is_word(macro->text)) {
        bool is_item = c->is_item && json_get_text(node, "alias").len == 0;
        json_get(node, "function_name")->text = slice_of(macro->text);
        json_get(node, "alias")->text =
            is_item ? slice_of(macro->name) : json_get_text(node, "alias");
        return ast__function(c, node);
    }
    return expand(c, node, macro, children, macro->name);
}

enum err ast__macro_rows(struct ast_check *c, struct json *node, bool *ret_is_done)
{
    static const char text[] = "{\"type\":\"SUBQUERY\",\"alias\":\"\",\"sample\":null,"
                               "\"query_location\":18446744073709551615,"
                               "\"subquery\":{\"node\":null,\"named_param_map\":[]},"
                               "\"column_name_alias\":[]}";
    struct json *call = json_get(node, "function");
    struct slice name = json_get_text(call, "function_name");
    const struct json *arguments = json_get(call, "children");
    bool is_known;
    const struct macro *macro = find_macro(name, arguments->count, &is_known);
    *ret_is_done =
        macro != NULL && macro->is_rows && c->binding == NULL && c->whole->limits.session != NULL;
    if (!*ret_is_done) {
        return ERR_OK;
    }
    struct ast_macro *frame = arena_calloc(c->whole->ast.arena, 1, sizeof(*frame));
    struct json *query;
    struct json *subquery;
    if (frame == NULL) {
        return errinfo_nomem(c->info);
    }
    frame->outer = c->macro;
    TRY(parse_macro(c, macro, &query));
    TRY(substitute(c, query, arguments, frame));
    TRY(json_parse(c->whole->ast.arena, slice_of(text), NULL, &subquery, c->info));
    struct slice alias = json_get_text(node, "alias");
    json_get(subquery, "alias")->text = alias.len > 0 ? alias : slice_of(macro->name);
    json_replace(json_get(json_get(subquery, "subquery"), "node"), query);
    json_replace(json_get(subquery, "column_name_alias"), json_get(node, "column_name_alias"));
    json_replace(node, subquery);
    TRY(ast__name(c, alias));
    c->macro = frame;
    enum err err = ast__relation(c, node);
    c->macro = frame->outer;
    return err;
}

/* ---- casts ---- */

static const struct reg {
    const char *type;
    const char *oid;
    const char *text;
} regs[] = {{"regclass", "__moat_oid_class", "__moat_text_class"},
            {"regtype", "__moat_oid_type", "__moat_text_type"},
            {"regproc", "__moat_oid_proc", "__moat_text_proc"},
            {"regprocedure", "__moat_oid_proc", "__moat_text_proc"},
            {"regrole", "__moat_oid_role", "__moat_text_role"},
            {"regnamespace", "__moat_oid_namespace", "__moat_text_namespace"}};

static const struct reg *reg_of(const struct json *cast)
{
    const struct json *type_info = json_get(json_get(cast, "cast_type"), "type_info");
    struct slice name = json_get_text(type_info, "name");
    for (size_t i = 0; ast__is(cast, "class", "CAST") && i < ARRAY_COUNT(regs); i++) {
        if (slice_equal_fold(slice_of(regs[i].type), name)) {
            return &regs[i];
        }
    }
    return NULL;
}

static bool is_text(const struct json *node, struct slice *ret_text)
{
    const struct json *value = json_get(node, "value");
    bool is =
        ast__is(node, "class", "CONSTANT") && ast__is(json_get(value, "type"), "id", "VARCHAR");
    *ret_text = is ? json_get_text(value, "value") : SLICE("");
    return is;
}

/* A constant name becomes its number now: one that is not there is an error, and outer joins take
 * no subqueries. */
static enum err fold_name(struct ast_check *c, struct json *node, const struct reg *reg,
                          struct slice name)
{
    const struct sql_session *session = c->whole->limits.session;
    uint32_t oid;
    enum err err = session->number(session->context, reg->type, name, &oid, c->info);
    if (err != ERR_OK) {
        errinfo_position(c->info, ast__position(c, node));
        return err;
    }
    char *digits = arena_printf(c->whole->ast.arena, "%u", oid);
    static const char text[] =
        "{\"class\":\"CAST\",\"type\":\"OPERATOR_CAST\",\"alias\":\"\",\"query_location\":"
        "18446744073709551615,\"child\":{\"class\":\"CONSTANT\",\"type\":\"VALUE_CONSTANT\","
        "\"alias\":\"\",\"query_location\":18446744073709551615,\"value\":{\"type\":{\"id\":"
        "\"BIGINT\",\"type_info\":null},\"is_null\":false,\"value\":0}},\"cast_type\":{\"id\":"
        "\"BIGINT\",\"type_info\":null},\"try_cast\":false}";
    struct json *number;
    if (digits == NULL) {
        return errinfo_nomem(c->info);
    }
    TRY(json_parse(c->whole->ast.arena, slice_of(text), NULL, &number, c->info));
    json_get(json_get(json_get(number, "child"), "value"), "value")->text = slice_of(digits);
    json_get(number, "alias")->text = json_get_text(node, "alias");
    json_replace(node, number);
    return ERR_OK;
}

static enum err expand_reg(struct ast_check *c, struct json *node, const struct reg *reg,
                           struct json *operand, bool is_name)
{
    bool is_known;
    struct slice name;
    if (c->whole->limits.session != NULL && is_text(operand, &name)) {
        TRY(fold_name(c, operand, reg, name));
        if (!is_name) {
            struct slice alias = json_get_text(node, "alias");
            struct json *copy = json_copy(c->whole->ast.arena, operand);
            if (copy == NULL) {
                return errinfo_nomem(c->info);
            }
            json_replace(node, copy);
            json_get(node, "alias")->text = alias;
            return ast__expression(c, node);
        }
    }
    struct json *arguments = json_new(c->whole->ast.arena, JSON_ARRAY);
    struct json *argument = json_copy(c->whole->ast.arena, operand);
    if (arguments == NULL || argument == NULL) {
        return errinfo_nomem(c->info);
    }
    json_append(arguments, argument);
    const struct macro *macro = find_macro(slice_of(is_name ? reg->text : reg->oid), 1, &is_known);
    ASSERT(macro != NULL);
    return expand(c, node, macro, arguments, reg->type);
}

/* "{a,b}" to [a,b], as the engine writes lists. False for what is nested or quoted. */
static bool to_list(struct arena *arena, struct slice text, struct slice *ret_list)
{
    char *out = arena_alloc(arena, text.len + 1);
    if (out == NULL || text.len < 2 || text.ptr[0] != '{' || text.ptr[text.len - 1] != '}') {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        char ch = text.ptr[i];
        if (i > 0 && i + 1 < text.len && strchr("{}'\\[]", text.ptr[i]) != NULL) {
            return false;
        }
        out[i] = ch;
    }
    out[0] = '[';
    out[text.len - 1] = ']';
    *ret_list = (struct slice){out, text.len};
    return true;
}

enum err ast__macro_cast(struct ast_check *c, struct json *node, bool *ret_is_done)
{
    struct json *child = json_get(node, "child");
    struct json *type = json_get(node, "cast_type");
    const struct reg *reg = reg_of(node);
    const struct reg *inner = reg_of(child);
    struct slice text;
    *ret_is_done = true;
    if (c->binding != NULL || c->is_verify) {
        *ret_is_done = false;
        return ERR_OK;
    }
    if (inner != NULL && ast__is(type, "id", "VARCHAR")) {
        return expand_reg(c, node, inner, json_get(child, "child"), true);
    }
    if (reg != NULL) {
        /* What the person reads is the name, what is compared the number. */
        bool is_read = c->is_item && c->macro == NULL &&
                       (c->select == NULL || c->select->outer == NULL ||
                        !(is_text(child, &text) || ast__is(child, "class", "PARAMETER")));
        return expand_reg(c, node, reg, child, is_read);
    }
    if (ast__is(type, "id", "LIST") && is_text(child, &text) &&
        to_list(c->whole->ast.arena, text, &text)) {
        json_get(json_get(child, "value"), "value")->text = text;
    }
    *ret_is_done = false;
    return ERR_OK;
}

/* `x = ANY('{a,b}')` is parsed as unnest('{a,b}'), which is nothing in the engine. */
enum err ast__macro_list(struct ast_check *c, struct json *call)
{
    struct json *argument = json_at(json_get(call, "children"), 0);
    struct slice text;
    if (!slice_equal_fold(json_get_text(call, "function_name"), SLICE("unnest")) ||
        argument == NULL || !is_text(argument, &text) ||
        !to_list(c->whole->ast.arena, text, &text)) {
        return ERR_OK;
    }
    bool is_number = text.len > 2;
    for (size_t i = 1; i + 1 < text.len; i++) {
        is_number = is_number && strchr("0123456789,- ", text.ptr[i]) != NULL;
    }
    char *json = arena_printf(
        c->whole->ast.arena,
        "{\"class\":\"CAST\",\"type\":\"OPERATOR_CAST\",\"alias\":\"\",\"query_location\":"
        "18446744073709551615,\"child\":null,\"cast_type\":{\"id\":\"LIST\",\"type_info\":"
        "{\"type\":\"LIST_TYPE_INFO\",\"alias\":\"\",\"extension_info\":null,\"child_type\":"
        "{\"id\":\"%s\",\"type_info\":null}}},\"try_cast\":false}",
        is_number ? "BIGINT" : "VARCHAR");
    struct json *cast;
    struct json *copy = json_copy(c->whole->ast.arena, argument);
    if (json == NULL || copy == NULL) {
        return errinfo_nomem(c->info);
    }
    TRY(json_parse(c->whole->ast.arena, slice_of(json), NULL, &cast, c->info));
    json_get(json_get(copy, "value"), "value")->text = text;
    json_replace(json_get(cast, "child"), copy);
    json_replace(argument, cast);
    return ERR_OK;
}

/* ---- system columns ---- */

static const struct json *find_from(const struct json *from, struct slice alias)
{
    if (ast__is(from, "type", "JOIN")) {
        const struct json *found = find_from(json_get(from, "left"), alias);
        return found != NULL ? found : find_from(json_get(from, "right"), alias);
    }
    struct slice own = json_get_text(from, "alias");
    own = own.len > 0 ? own : json_get_text(from, "table_name");
    return ast__is(from, "type", "BASE_TABLE") && slice_equal_fold(own, alias) ? from : NULL;
}

/* `t.tableoid` and `t.xmin`, where t is one of pg_catalog in the FROM of this SELECT or one around
 * it: the number of that relation, and one that never changes. */
enum err ast__macro_system_column(struct ast_check *c, struct json *node, bool *ret_is_done)
{
    const struct json *names = json_get(node, "column_names");
    const struct json *table = NULL;
    struct slice name = names->last == NULL ? SLICE("") : names->last->text;
    bool is_xmin = slice_equal_fold(name, SLICE("xmin"));
    *ret_is_done = false;
    if (names->count != 2 || !(is_xmin || slice_equal_fold(name, SLICE("tableoid"))) ||
        c->whole->limits.session == NULL || c->binding != NULL) {
        return ERR_OK;
    }
    for (const struct ast_select *s = c->select; s != NULL && table == NULL; s = s->outer) {
        table = find_from(json_get(s->node, "from_table"), names->first->text);
    }
    if (table == NULL ||
        !slice_equal_fold(json_get_text(table, "schema_name"), SLICE(SQL_SCHEMA_PG))) {
        return ERR_OK;
    }
    struct slice alias = json_get_text(node, "alias");
    *ret_is_done = true;
    TRY(fold_name(c, node, &regs[0], is_xmin ? SLICE("1") : json_get_text(table, "table_name")));
    json_get(node, "alias")->text = alias.len > 0 ? alias : name;
    return ERR_OK;
}

/* ---- groups ---- */

static bool from_has(const struct json *from, struct slice name)
{
    if (ast__is(from, "type", "JOIN")) {
        return from_has(json_get(from, "left"), name) || from_has(json_get(from, "right"), name);
    }
    struct slice own = json_get_text(from, "alias");
    own = own.len > 0 ? own : json_get_text(from, "table_name");
    return slice_equal_fold(own, name);
}

/* The engine takes such a name for the whole row of the table (dbt groups by a schema so). */
enum err ast__macro_groups(struct ast_check *c, const struct json *select)
{
    struct json *groups = json_get(select, "group_expressions");
    const struct json *items = json_get(select, "select_list");
    for (struct json *group = groups->first; group != NULL; group = group->next) {
        const struct json *names = json_get(group, "column_names");
        struct slice name = names == NULL || names->count != 1 ? SLICE("") : names->first->text;
        const struct json *item = items->first;
        if (name.len == 0 || !from_has(json_get(select, "from_table"), name)) {
            continue;
        }
        while (item != NULL && !slice_equal_fold(json_get_text(item, "alias"), name)) {
            item = item->next;
        }
        TRY(item == NULL ? ERR_OK : charge(c, item));
        struct json *copy = item == NULL ? NULL : json_copy(c->whole->ast.arena, item);
        if (item != NULL && copy == NULL) {
            return errinfo_nomem(c->info);
        }
        if (copy != NULL) {
            json_get(copy, "alias")->text = SLICE("");
            json_replace(group, copy);
        }
    }
    return ERR_OK;
}

/* ---- operators ---- */

/* Does the text at the node's place begin with an operator? */
static bool is_written_as_operator(const struct ast_check *c, const struct json *node)
{
    size_t position = ast__text_position(c, node);
    if (position == 0) {
        return false;
    }
    struct slice at = {c->statement.ptr + position - 1, c->statement.len - (position - 1)};
    return slice_starts_with(at, SLICE("~")) || slice_starts_with(at, SLICE("!")) ||
           slice_starts_with_fold(at, SLICE("operator"));
}

/* `a ~ b` and `a !~ b` search, as in PostgreSQL; regexp_full_match(a, b), which the engine's parser
 * makes of them, stays what it is. Their places in the text tell them apart: the parser gives that
 * of `!~` to the NOT around the call. */
void ast__macro_operator(const struct ast_check *c, struct json *node)
{
    bool is_not = ast__is(node, "type", "OPERATOR_NOT");
    struct json *call = is_not ? json_at(json_get(node, "children"), 0) : node;
    if (call != NULL && ast__is(call, "function_name", "regexp_full_match") &&
        (!is_not || ast__text_position(c, call) == 0) && is_written_as_operator(c, node)) {
        json_get(call, "function_name")->text = SLICE("regexp_matches");
    }
}
