/* Expressions of policies: bound once when written, printed for people, folded for each statement.
 *
 * The stored form is the engine's own printing of the bound tree: columns are `__moat_c<id>` (so a
 * rename loosens nothing), context functions are calls. So folding and display need tokens
 * only. */
#include "base/buf.h"
#include "sql/ast_int.h"
#include "sql/scan.h"

static enum err not_an_expression(struct errinfo *info)
{
    (void)errinfo_set(info, ERR_SYNTAX, "42601", "expected one expression");
    errinfo_hint(info, "A policy expression is a scalar over the columns of one row.");
    return ERR_SYNTAX;
}

/* SELECT <expr> and nothing else. */
static bool is_bare(const struct json *node)
{
    static const char *const nulls[] = {"where_clause", "having", "sample", "qualify"};
    static const char *const lists[] = {"modifiers", "group_expressions", "group_sets"};
    if (!ast__is(node, "type", "SELECT_NODE") ||
        !ast__is(json_get(node, "from_table"), "type", "EMPTY") ||
        !ast__is(node, "aggregate_handling", "STANDARD_HANDLING")) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_COUNT(nulls); i++) {
        if (!json_is_null(json_get(node, nulls[i]))) {
            return false;
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        const struct json *list = json_get(node, lists[i]);
        if (list == NULL || list->type != JSON_ARRAY || list->count != 0) {
            return false;
        }
    }
    const struct json *ctes = json_get(json_get(node, "cte_map"), "map");
    const struct json *items = json_get(node, "select_list");
    return ctes != NULL && ctes->type == JSON_ARRAY && ctes->count == 0 && items != NULL &&
           items->type == JSON_ARRAY && items->count == 1 &&
           json_get_text(items->first, "alias").len == 0;
}

enum err sql_expression_bind(struct slice ast_json, struct slice expression,
                             const struct relation *relation, const struct sql_definer *definer,
                             const struct sql_limits *limits, struct arena *arena,
                             struct json **ret_document, uint32_t **ret_column_ids,
                             size_t *ret_column_count, struct errinfo *info)
{
    struct ast_whole *whole = ast__whole_new(arena, limits, expression, NULL, SQL_FROM_USER);
    uint32_t *ids = arena_calloc(arena, relation->column_count + 1, sizeof(*ids));
    if (whole == NULL || ids == NULL) {
        return errinfo_nomem(info);
    }
    struct ast_binding binding = {
        .relation = relation, .ids = ids, .capacity = relation->column_count, .definer = definer};
    struct ast_check c = {.whole = whole,
                          .statement = expression,
                          .prefix = sizeof("SELECT ") - 1,
                          .info = info,
                          .binding = &binding};
    enum err err = ast__document(whole, ast_json, info);
    if (err != ERR_OK) {
        if (info != NULL && info->position > c.prefix) {
            info->position -= c.prefix;
        }
        return err;
    }
    struct json *statement = json_get(whole->ast.root, "statements")->first;
    TRY(ast__order(&shape_statement, statement, info));
    if (!is_bare(json_get(statement, "node"))) {
        return not_an_expression(info);
    }
    TRY(ast__members(&c, &shape_statement, statement));
    *ret_document = whole->ast.root;
    *ret_column_ids = ids;
    *ret_column_count = binding.count;
    return ERR_OK;
}

enum err sql_expression_key_hashes(struct json *document, struct arena *arena, struct errinfo *info)
{
    static const char text[] =
        "{\"class\":\"CAST\",\"type\":\"OPERATOR_CAST\",\"alias\":\"\","
        "\"query_location\":18446744073709551615,\"child\":null,\"cast_type\":"
        "{\"id\":\"VARCHAR\",\"type_info\":null},\"try_cast\":false}";
    for (struct json *child = document->first; child != NULL; child = child->next) {
        if (child->first != NULL) {
            TRY(sql_expression_key_hashes(child, arena, info));
        }
    }
    struct json *hashed = json_at(json_get(document, "children"), 0);
    if (!ast__is(document, "class", "FUNCTION") || hashed == NULL ||
        !slice_equal_fold(json_get_text(document, "function_name"), SLICE("sha256"))) {
        return ERR_OK;
    }
    struct json *cast;
    struct json *copy = json_copy(arena, hashed);
    TRY(json_parse(arena, slice_of(text), NULL, &cast, info));
    if (copy == NULL) {
        return errinfo_nomem(info);
    }
    json_replace(json_get(cast, "child"), copy);
    json_replace(hashed, cast);
    json_get(document, "function_name")->text = SLICE("__moat_hash");
    json_get(document, "schema")->text = SLICE("");
    json_get(document, "catalog")->text = SLICE("");
    return ERR_OK;
}

struct slice sql_expression_of_select(struct slice select_sql)
{
    struct slice text = slice_trim(select_sql);
    if (slice_starts_with_fold(text, SLICE("SELECT"))) {
        text.ptr += 6;
        text.len -= 6;
    }
    while (slice_ends_with(text, SLICE(";"))) {
        text.len--;
    }
    return slice_trim(text);
}

/* ---- stored form to text ---- */

struct printer {
    struct scanner scanner;
    struct token token; /* looked at, not yet taken */
    struct slice stored;
    const struct relation *relation;
    const struct identity *who;    /* fold; NULL: display, or shape */
    const struct sql_namer *namer; /* of the tables of subqueries; may be NULL */
    bool is_shape;
    struct arena *arena;
    struct buf out;
    unsigned depth;        /* of parentheses */
    unsigned select_depth; /* of the outermost that holds a SELECT, 0 = none */
    bool is_dangling;
    struct errinfo *info;
};

static enum err advance(struct printer *p)
{
    return scanner_next(&p->scanner, &p->token, p->info);
}

/* The column that `__moat_c<id>` stands for: true if it is such a name. */
static bool own_column(const struct printer *p, struct slice name,
                       const struct relation_column **ret_column)
{
    uint64_t id;
    if (!slice_starts_with_fold(name, SLICE("__moat_c")) ||
        !slice_to_u64((struct slice){name.ptr + 8, name.len - 8}, &id)) {
        return false;
    }
    *ret_column = NULL;
    for (size_t i = 0; i < p->relation->column_count; i++) {
        if (p->relation->columns[i].id == id) {
            *ret_column = &p->relation->columns[i];
        }
    }
    return true;
}

static bool needs_quotes(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char ch = name.ptr[i];
        bool is_letter = (ch >= 'a' && ch <= 'z') || ch == '_';
        if (!is_letter && !(i > 0 && ch >= '0' && ch <= '9')) {
            return true;
        }
    }
    for (size_t i = 0; i < sql_keyword_count; i++) {
        if (slice_equal_fold(slice_of(sql_keywords[i]), name)) {
            return true;
        }
    }
    return name.len == 0;
}

static void print_name(struct printer *p, struct slice name)
{
    if (needs_quotes(name)) {
        sql_quote_name(&p->out, name);
    } else {
        buf_append_slice(&p->out, name);
    }
}

static void print_column(struct printer *p, struct slice as_stored,
                         const struct relation_column *column)
{
    if (column == NULL) {
        p->is_dangling = true;
    }
    if (p->who != NULL || p->is_shape) {
        buf_append_slice(&p->out, as_stored);
        return;
    }
    if (p->select_depth > 0) { /* the subquery's own columns come first */
        print_name(p, p->relation->name.name);
        buf_append_char(&p->out, '.');
    }
    if (column == NULL) {
        buf_append_char(&p->out, '?');
    } else {
        print_name(p, column->name);
    }
}

/* ---- tables of subqueries ---- */

static const struct relation *find_table(const struct printer *p, struct slice uuid)
{
    return p->namer == NULL ? NULL : p->namer->find(p->namer->context, uuid);
}

static enum err print_shape(struct printer *p, struct slice uuid)
{
    const struct relation *table = find_table(p, uuid);
    if (table == NULL) {
        return errinfo_set(p->info, ERR_NOT_FOUND, "42P01", "a subquery's table does not exist");
    }
    buf_append_str(&p->out, "(SELECT ");
    for (size_t i = 0; i < table->column_count; i++) {
        buf_printf(&p->out, "%sCAST(NULL AS ", i == 0 ? "" : ", ");
        buf_append_slice(&p->out, relation_column_sql_type(&table->columns[i]));
        buf_printf(&p->out, ") AS \"__moat_d%.*s_%u\"", SLICE_ARGS(uuid), table->columns[i].id);
    }
    buf_append_char(&p->out, ')');
    return ERR_OK;
}

static enum err take_part(struct printer *p, struct slice *ret_part)
{
    if (!token_is_operator(&p->token, ".")) {
        return errinfo_set(p->info, ERR_CORRUPT, NULL, "a stored policy has a wrong table");
    }
    TRY(advance(p));
    if ((p->token.kind != TOKEN_WORD && p->token.kind != TOKEN_QUOTED) ||
        !token_identifier(&p->token, p->arena, ret_part)) {
        return errinfo_set(p->info, ERR_CORRUPT, NULL, "a stored policy has a wrong table");
    }
    return ERR_OK;
}

/* `__moat_definer` was taken: `.<subject>.<uuid>`, and behind it ` AS <alias>`, which people need
 * not read where it is the table's name. */
static enum err print_table(struct printer *p, size_t *ret_end)
{
    struct slice subject;
    struct slice uuid;
    struct slice alias;
    TRY(take_part(p, &subject));
    TRY(advance(p));
    TRY(take_part(p, &uuid));
    *ret_end = p->token.offset + p->token.text.len;
    TRY(advance(p));
    if (p->is_shape) {
        return print_shape(p, uuid);
    }
    const struct relation *table = find_table(p, uuid);
    if (table == NULL) {
        buf_append_char(&p->out, '?');
        return ERR_OK;
    }
    struct sql_name shown = {.schema = table->name.schema, .name = table->name.name};
    sql_print_name(&p->out, &shown);
    if (token_is(&p->token, "as")) {
        size_t before = *ret_end;
        TRY(advance(p));
        if (!token_identifier(&p->token, p->arena, &alias)) {
            return errinfo_nomem(p->info);
        }
        size_t end = p->token.offset + p->token.text.len;
        *ret_end = slice_equal_fold(alias, table->name.name) ? end : before;
        TRY(advance(p));
    }
    return ERR_OK;
}

bool sql_expression_column(struct slice name, struct slice *ret_uuid, uint64_t *ret_id)
{
    static const char prefix[] = "__moat_d";
    size_t bar = name.len;
    while (bar > 0 && name.ptr[bar - 1] != '_') {
        bar--;
    }
    if (!slice_starts_with_fold(name, slice_of(prefix)) || bar < sizeof(prefix) ||
        !slice_to_u64((struct slice){name.ptr + bar, name.len - bar}, ret_id)) {
        return false;
    }
    size_t first = sizeof(prefix) - 1;
    *ret_uuid = (struct slice){name.ptr + first, bar - 1 - first};
    return true;
}

static void print_inner_column(struct printer *p, struct slice uuid, uint64_t id)
{
    const struct relation *table = find_table(p, uuid);
    for (size_t i = 0; table != NULL && i < table->column_count; i++) {
        if (table->columns[i].id == id) {
            print_name(p, table->columns[i].name);
            return;
        }
    }
    buf_append_char(&p->out, '?');
}

enum context_kind {
    CONTEXT_NONE,
    CONTEXT_USER,
    CONTEXT_ROLES,
    CONTEXT_HAS_ROLE,
    CONTEXT_CLAIM
};

static enum context_kind context_of(struct slice name)
{
    static const struct {
        const char *name;
        enum context_kind kind;
    } names[] = {{"current_user", CONTEXT_USER}, {"session_user", CONTEXT_USER},
                 {"user", CONTEXT_USER},         {"current_roles", CONTEXT_ROLES},
                 {"has_role", CONTEXT_HAS_ROLE}, {"claim", CONTEXT_CLAIM}};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (slice_equal_fold(slice_of(names[i].name), name)) {
            return names[i].kind;
        }
    }
    return CONTEXT_NONE;
}

static void print_context(struct printer *p, enum context_kind kind, struct slice argument)
{
    struct slice value;
    switch (kind) {
    case CONTEXT_USER:
        sql_quote_string(&p->out, identity_subject(p->who));
        break;
    case CONTEXT_ROLES:
        buf_append_str(&p->out, "CAST([");
        for (size_t i = 0; i < identity_role_count(p->who); i++) {
            buf_append_str(&p->out, i == 0 ? "" : ", ");
            sql_quote_string(&p->out, identity_role(p->who, i));
        }
        buf_append_str(&p->out, "] AS VARCHAR[])");
        break;
    case CONTEXT_HAS_ROLE:
        buf_append_str(&p->out, identity_has_role(p->who, argument) ? "true" : "false");
        break;
    case CONTEXT_CLAIM:
        if (identity_attribute(p->who, argument, &value)) {
            sql_quote_string(&p->out, value);
        } else {
            buf_append_str(&p->out, "CAST(NULL AS VARCHAR)");
        }
        break;
    case CONTEXT_NONE:
        break;
    }
}

/* `name` was taken and "(" is next: takes the call, prints its value and says where it ended. */
static enum err fold_context(struct printer *p, enum context_kind kind, size_t *ret_end)
{
    struct slice argument = {"", 0};
    TRY(advance(p));
    if (kind == CONTEXT_HAS_ROLE || kind == CONTEXT_CLAIM) {
        if (p->token.kind != TOKEN_STRING) {
            return errinfo_set(p->info, ERR_CORRUPT, NULL, "a stored policy has a wrong argument");
        }
        TRY(token_string(&p->token, p->arena, &argument, p->info));
        TRY(advance(p));
    }
    if (!token_is_operator(&p->token, ")")) {
        return errinfo_set(p->info, ERR_CORRUPT, NULL, "a stored policy has a wrong argument");
    }
    print_context(p, kind, argument);
    *ret_end = p->token.offset + p->token.text.len;
    return advance(p);
}

static void count_parentheses(struct printer *p, const struct token *token)
{
    if (token_is_operator(token, "(")) {
        p->depth++;
        bool is_select = p->select_depth == 0 && token_is(&p->token, "select");
        p->select_depth = is_select ? p->depth : p->select_depth;
    } else if (token_is_operator(token, ")") && p->depth > 0) {
        p->select_depth = p->select_depth == p->depth ? 0 : p->select_depth;
        p->depth--;
    }
}

/* `token` was taken: prints what stands for it, if something else does. */
static enum err print_token(struct printer *p, const struct token *token, size_t *written)
{
    struct slice name;
    const struct relation_column *column = NULL;
    if (!token_identifier(token, p->arena, &name)) {
        return errinfo_nomem(p->info);
    }
    enum context_kind kind = context_of(name);
    bool is_call = p->who != NULL && kind != CONTEXT_NONE && token_is_operator(&p->token, "(");
    bool is_table = p->who == NULL && slice_equal_fold(name, SLICE(SQL_DEFINER));
    bool is_column = own_column(p, name, &column);
    struct slice uuid;
    uint64_t id;
    bool is_inner = p->who == NULL && !p->is_shape && sql_expression_column(name, &uuid, &id);
    if (!is_call && !is_table && !is_column && !is_inner) {
        return ERR_OK; /* copied with what follows */
    }
    buf_append(&p->out, p->stored.ptr + *written, token->offset - *written);
    if (is_call) {
        return fold_context(p, kind, written);
    }
    if (is_table) {
        return print_table(p, written);
    }
    if (is_column) {
        print_column(p, token->text, column);
    } else {
        print_inner_column(p, uuid, id);
    }
    *written = token->offset + token->text.len;
    return ERR_OK;
}

static enum err print_stored(struct printer *p)
{
    size_t written = 0; /* of the stored text */
    TRY(advance(p));
    while (p->token.kind != TOKEN_END) {
        struct token token = p->token;
        TRY(advance(p));
        count_parentheses(p, &token);
        if (token.kind == TOKEN_WORD || token.kind == TOKEN_QUOTED) {
            TRY(print_token(p, &token, &written));
        }
    }
    buf_append(&p->out, p->stored.ptr + written, p->stored.len - written);
    return buf_failed(&p->out) ? errinfo_nomem(p->info) : ERR_OK;
}

static enum err print_all(struct printer *p, struct slice *ret_text)
{
    scanner_init(&p->scanner, p->stored);
    enum err err = print_stored(p);
    if (err == ERR_OK && !arena_slice(p->arena, buf_slice(&p->out), ret_text)) {
        err = errinfo_nomem(p->info);
    }
    buf_fini(&p->out);
    return err;
}

enum err sql_expression_display(struct slice stored, const struct relation *relation,
                                const struct sql_namer *namer, struct arena *arena,
                                struct slice *ret_text, struct errinfo *info)
{
    struct printer p = {
        .stored = stored, .relation = relation, .namer = namer, .arena = arena, .info = info};
    return print_all(&p, ret_text);
}

bool sql_expression_reads_tables(struct slice stored)
{
    return slice_find(stored, SLICE(SQL_DEFINER)) != SIZE_MAX;
}

enum err sql_expression_shape(struct slice stored, const struct sql_namer *namer,
                              struct arena *arena, struct slice *ret_text, struct errinfo *info)
{
    static const struct relation none = {0};
    struct printer p = {.stored = stored,
                        .relation = &none,
                        .namer = namer,
                        .is_shape = true,
                        .arena = arena,
                        .info = info};
    return print_all(&p, ret_text);
}

enum err sql_expression_fold(struct slice stored, const struct relation *relation,
                             const struct identity *who, struct arena *arena,
                             struct slice *ret_text, bool *ret_is_dangling, struct errinfo *info)
{
    ASSERT(who != NULL);
    struct printer p = {
        .stored = stored, .relation = relation, .who = who, .arena = arena, .info = info};
    TRY(print_all(&p, ret_text));
    *ret_is_dangling = p.is_dangling;
    return ERR_OK;
}
