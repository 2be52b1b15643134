/* Putting a query in the place of a table reference.
 *
 * A subquery has no schema: where the statement names the table as s.t.c or c.s.t.c, the reference
 * becomes t.c in every scope that sees it. The engine tries a qualifier as schema and table before
 * it tries table, column and field (ExpressionBinder::QualifyColumnNameWithManyDots), so a match
 * here is a match there. */
#include "sql/ast_int.h"

struct renamer {
    struct ast_whole *whole;
    size_t index;         /* of the reference being grafted */
    struct slice catalog; /* as written, or the default */
    struct slice schema;
    struct slice table;
    struct slice qualifier; /* the subquery's alias */
    bool is_hidden;         /* an inner FROM has something else of that alias */
    struct errinfo *info;
};

static bool fits(struct slice given, struct slice name)
{
    return slice_equal_fold(given, name);
}

/* Number of leading names that say the table with its schema: 2, 3, or 0. */
static uint32_t qualified_by(const struct renamer *r, const struct json *names)
{
    const struct json *first = names->first;
    if (names->count >= 4 && fits(first->text, r->catalog) && fits(first->next->text, r->schema) &&
        fits(first->next->next->text, r->table)) {
        return 3;
    }
    return names->count >= 3 && fits(first->text, r->schema) && fits(first->next->text, r->table)
               ? 2
               : 0;
}

static enum err hidden(const struct renamer *r)
{
    (void)errinfo_set(r->info, ERR_UNSUPPORTED, NULL,
                      "\"%.*s.%.*s\" is named inside a subquery that has another \"%.*s\"",
                      SLICE_ARGS(r->schema), SLICE_ARGS(r->table), SLICE_ARGS(r->table));
    errinfo_hint(r->info, "Give the outer table an alias and use it.");
    return ERR_UNSUPPORTED;
}

static enum err rename_column(struct renamer *r, struct json *node)
{
    struct json *names = json_get(node, "column_names");
    uint32_t count = qualified_by(r, names);
    if (count == 0) {
        return ERR_OK;
    }
    if (r->is_hidden) {
        return hidden(r);
    }
    for (uint32_t i = 1; i < count; i++) {
        names->first = names->first->next;
        names->count--;
    }
    names->first->text = r->qualifier;
    return ERR_OK;
}

static void rename_star(const struct renamer *r, struct json *node)
{
    const struct json *excluded = json_get(node, "qualified_exclude_list");
    const struct json *renamed = json_get(node, "rename_list");
    const struct json *lists[] = {excluded == NULL ? NULL : excluded->first,
                                  renamed == NULL ? NULL : renamed->first};
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        for (const struct json *entry = lists[i]; entry != NULL; entry = entry->next) {
            const struct json *name = i == 0 ? entry : json_get(entry, "key");
            struct json *catalog = json_get(name, "catalog");
            struct json *schema = json_get(name, "schema");
            struct json *table = json_get(name, "table");
            if (table != NULL && schema != NULL && catalog != NULL && schema->text.len > 0 &&
                fits(schema->text, r->schema) && fits(table->text, r->table) &&
                (catalog->text.len == 0 || fits(catalog->text, r->catalog))) {
                catalog->text = schema->text = (struct slice){"", 0};
                table->text = r->qualifier;
            }
        }
    }
    struct json *relation = json_get(node, "relation_name");
    if (relation != NULL && fits(relation->text, r->table)) {
        relation->text = r->qualifier;
    }
}

/* Is something in this FROM called like the qualifier? */
static bool from_has(const struct json *from, struct slice name)
{
    if (from == NULL || from->type != JSON_OBJECT) {
        return false;
    }
    if (ast__is(from, "type", "JOIN")) {
        return from_has(json_get(from, "left"), name) || from_has(json_get(from, "right"), name);
    }
    struct slice alias = json_get_text(from, "alias");
    return slice_equal_fold(alias.len > 0 ? alias : json_get_text(from, "table_name"), name);
}

/* Does a SELECT hold another reference of the same written name? Its own graft renames there. */
static bool has_own(const struct renamer *r, const struct json *select)
{
    const struct sql_ast *ast = &r->whole->ast;
    const struct sql_name *name = &ast->references[r->index].name;
    for (size_t i = 0; i < ast->reference_count; i++) {
        const struct sql_name *other = &ast->references[i].name;
        if (i != r->index && r->whole->places[i].select == select &&
            slice_equal_fold(other->name, name->name) &&
            slice_equal_fold(other->schema, name->schema) &&
            slice_equal_fold(other->catalog, name->catalog)) {
            return true;
        }
    }
    return false;
}

static enum err rename_in(struct renamer *r, struct json *node, bool is_top)
{
    bool was_hidden = r->is_hidden;
    if (node->type == JSON_OBJECT) {
        struct slice class = json_get_text(node, "class");
        if (slice_equal(class, SLICE("COLUMN_REF"))) {
            return rename_column(r, node);
        }
        if (slice_equal(class, SLICE("STAR"))) {
            rename_star(r, node);
        }
        if (!is_top && ast__is(node, "type", "SELECT_NODE")) {
            if (has_own(r, node)) {
                return ERR_OK;
            }
            r->is_hidden = r->is_hidden || from_has(json_get(node, "from_table"), r->qualifier);
        }
    }
    for (struct json *child = node->first; child != NULL; child = child->next) {
        if (child->first != NULL) {
            TRY(rename_in(r, child, false));
        }
    }
    r->is_hidden = was_hidden;
    return ERR_OK;
}

/* Without its folders and ending, as the engine names a file in FROM; other names as they are. */
static struct slice file_stem(struct slice name)
{
    static const char *const endings[] = {".parquet", ".csv",    ".tsv", ".json",
                                          ".jsonl",   ".ndjson", ".gz",  ".zst"};
    for (size_t i = 0; i < ARRAY_COUNT(endings); i++) {
        if (!slice_ends_with(name, slice_of(endings[i]))) {
            continue;
        }
        for (size_t at = name.len; at > 0; at--) {
            if (name.ptr[at - 1] == '/') {
                name = (struct slice){name.ptr + at, name.len - at};
                break;
            }
        }
        size_t dot = slice_find(name, SLICE("."));
        return dot == SIZE_MAX || dot == 0 ? name : (struct slice){name.ptr, dot};
    }
    return name;
}

/* Two tables of one name in one FROM, told apart by their schemas, need aliases of their own. */
static bool has_twin(const struct ast_whole *whole, size_t index)
{
    const struct sql_reference *own = &whole->ast.references[index];
    for (size_t i = 0; i < whole->ast.reference_count; i++) {
        const struct sql_reference *other = &whole->ast.references[i];
        if (i != index && whole->places[i].select == whole->places[index].select &&
            slice_equal_fold(other->name.name, own->name.name) && !other->is_function &&
            !slice_equal_fold(other->name.schema, own->name.schema)) {
            return true;
        }
    }
    return false;
}

static enum err choose_alias(struct ast_whole *whole, size_t index, struct slice *ret_alias,
                             struct errinfo *info)
{
    const struct sql_reference *reference = &whole->ast.references[index];
    struct slice alias = json_get_text(reference->node, "alias");
    if (alias.len > 0 || reference->is_function) {
        *ret_alias = alias.len > 0 ? alias : reference->name.name;
        return ERR_OK;
    }
    *ret_alias = file_stem(reference->name.name);
    if (has_twin(whole, index)) {
        char *own = arena_printf(whole->ast.arena, "__moat_t%zu", index);
        if (own == NULL) {
            return errinfo_nomem(info);
        }
        *ret_alias = slice_of(own);
    }
    struct renamer r = {.whole = whole,
                        .index = index,
                        .catalog = reference->name.catalog,
                        .schema = reference->name.schema,
                        .table = reference->name.name,
                        .qualifier = *ret_alias,
                        .info = info};
    if (r.schema.len == 0) {
        r.schema = SLICE(SQL_SCHEMA_DEFAULT);
    }
    if (r.catalog.len == 0) {
        r.catalog = SLICE(SQL_CATALOG_DEFAULT);
    }
    return whole->places[index].select == NULL ? ERR_OK
                                               : rename_in(&r, whole->places[index].select, true);
}

enum err sql_ast_graft(struct sql_ast *ast, size_t index, const struct json *query_node,
                       struct errinfo *info)
{
    static const char text[] =
        "{\"type\":\"SUBQUERY\",\"alias\":\"\",\"sample\":null,"
        "\"query_location\":18446744073709551615,\"subquery\":{\"node\":null,"
        "\"named_param_map\":[]},\"column_name_alias\":[]}";
    struct ast_whole *whole = (struct ast_whole *)ast;
    ASSERT(index < ast->reference_count);
    struct json *node = ast->references[index].node;
    if (!ast__is(node, "type", "BASE_TABLE") && !ast__is(node, "type", "TABLE_FUNCTION")) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "a table reference was replaced twice");
    }
    struct slice alias;
    TRY(choose_alias(whole, index, &alias, info));
    struct json *subquery;
    TRY(json_parse(ast->arena, slice_of(text), NULL, &subquery, info));
    struct json *query = json_copy(ast->arena, query_node);
    if (query == NULL) {
        return errinfo_nomem(info);
    }
    json_replace(json_get(json_get(subquery, "subquery"), "node"), query);
    json_get(subquery, "alias")->text = alias;
    json_replace(json_get(subquery, "sample"), json_get(node, "sample"));
    json_replace(json_get(subquery, "query_location"), json_get(node, "query_location"));
    json_replace(json_get(subquery, "column_name_alias"), json_get(node, "column_name_alias"));
    json_replace(node, subquery);
    whole->open_references--;
    return ast__fold_pending(whole, info);
}

/* ---- stars ---- */

static bool has_star(const struct json *node)
{
    if (ast__is(node, "class", "STAR")) {
        return true;
    }
    for (const struct json *child = node->first; child != NULL; child = child->next) {
        if (child->first != NULL && has_star(child)) {
            return true;
        }
    }
    return false;
}

static bool has_natural_join(const struct json *node)
{
    if (ast__is(node, "ref_type", "NATURAL")) {
        return true;
    }
    for (const struct json *child = node->first; child != NULL; child = child->next) {
        if (child->first != NULL && has_natural_join(child)) {
            return true;
        }
    }
    return false;
}

static enum err exclude(struct json *node, struct arena *arena, const struct slice *names,
                        size_t name_count, struct errinfo *info)
{
    struct json *list = ast__is(node, "class", "STAR") ? json_get(node, "exclude_list") : NULL;
    for (size_t i = 0; list != NULL && i < name_count; i++) {
        struct json *name = json_new_text(arena, names[i]);
        if (name == NULL) {
            return errinfo_nomem(info);
        }
        json_append(list, name);
    }
    for (struct json *child = node->first; child != NULL; child = child->next) {
        if (child->first != NULL) {
            TRY(exclude(child, arena, names, name_count, info));
        }
    }
    return ERR_OK;
}

enum err sql_ast_hide_from_stars(struct sql_ast *ast, size_t index, const struct slice *names,
                                 size_t name_count, bool *ret_is_done, struct errinfo *info)
{
    const struct ast_whole *whole = (const struct ast_whole *)ast;
    ASSERT(index < ast->reference_count);
    struct json *select = whole->places[index].select;
    struct json *list = select == NULL ? NULL : json_get(select, "select_list");
    const struct json *from = select == NULL ? NULL : json_get(select, "from_table");
    *ret_is_done = false;
    if (list == NULL || from == NULL || has_natural_join(from)) {
        return ERR_OK;
    }
    if (has_star(list)) {
        if (from != ast->references[index].node) {
            return ERR_OK;
        }
        TRY(exclude(list, ast->arena, names, name_count, info));
    }
    *ret_is_done = true;
    return ERR_OK;
}

/* ---- conjuncts ---- */

/* The node of `copy` that stands where `wanted` stands in `original`. */
static struct json *twin_of(const struct json *original, struct json *copy,
                            const struct json *wanted)
{
    if (original == wanted) {
        return copy;
    }
    const struct json *a = original->first;
    for (struct json *b = copy->first; a != NULL && b != NULL; a = a->next, b = b->next) {
        struct json *found = twin_of(a, b, wanted);
        if (found != NULL) {
            return found;
        }
    }
    return NULL;
}

enum err sql_ast_push_conjunct(struct sql_ast *ast, struct json *query_node,
                               const struct sql_conjunct *conjunct, struct slice column,
                               struct errinfo *info)
{
    static const char text[] =
        "{\"class\":\"CONJUNCTION\",\"type\":\"CONJUNCTION_AND\",\"alias\":\"\","
        "\"query_location\":18446744073709551615,\"children\":[]}";
    struct json *where = json_get(query_node, "where_clause");
    if (where == NULL) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "a condition for something that is no SELECT");
    }
    struct json *copy = json_copy(ast->arena, conjunct->node);
    struct json *name = json_new_text(ast->arena, column);
    struct json *names = json_new(ast->arena, JSON_ARRAY);
    if (copy == NULL || name == NULL || names == NULL) {
        return errinfo_nomem(info);
    }
    struct json *column_node = twin_of(conjunct->node, copy, conjunct->column_node);
    ASSERT(column_node != NULL);
    json_append(names, name);
    json_replace(json_get(column_node, "column_names"), names);
    if (where->type == JSON_NULL) {
        json_replace(where, copy);
        return ERR_OK;
    }
    struct json *both;
    TRY(json_parse(ast->arena, slice_of(text), NULL, &both, info));
    struct json *before = json_new(ast->arena, JSON_NULL);
    if (before == NULL) {
        return errinfo_nomem(info);
    }
    json_replace(before, where);
    copy->key = (struct slice){"", 0};
    json_append(json_get(both, "children"), before);
    json_append(json_get(both, "children"), copy);
    json_replace(where, both);
    return ERR_OK;
}
