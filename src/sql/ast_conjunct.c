/* Conjuncts of a WHERE that only compare one column with constants.
 *
 * A copy of one below a barrier drops rows early; the original stays where it is. That is right only
 * for comparisons that are never true of NULL (so that an outer join's other side changes nothing),
 * and where no ASOF or POSITIONAL join, sample or pivot stands between: those look at the rows that a
 * copy would drop. An unqualified column goes to every reference of the FROM: the caller knows the
 * columns, and one that two tables have is either ambiguous or equal in both (USING). */
#include "sql/ast_int.h"

static bool constant_kind(const struct json *node, int *ret_kind)
{
    static const char *const numbers[] = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "DOUBLE",
                                          "DECIMAL"};
    if (ast__is(node, "class", "CAST") && !json_get_bool(node, "try_cast", false)) {
        struct slice id = json_get_text(json_get(node, "cast_type"), "id");
        int inner;
        bool is_date = slice_equal(id, SLICE("DATE"));
        *ret_kind = is_date ? CONSTANT_DATE : CONSTANT_BOOL;
        return (is_date || slice_equal(id, SLICE("BOOLEAN"))) &&
               ast__is(json_get(node, "child"), "class", "CONSTANT") &&
               constant_kind(json_get(node, "child"), &inner) && inner == CONSTANT_STRING;
    }
    const struct json *value = json_get(node, "value");
    if (!ast__is(node, "class", "CONSTANT") || json_get_bool(value, "is_null", true) ||
        ast__constant_leak(node) != LEAK_NONE) {
        return false;
    }
    struct slice id = json_get_text(json_get(value, "type"), "id");
    for (size_t i = 0; i < ARRAY_COUNT(numbers); i++) {
        if (slice_equal(id, slice_of(numbers[i]))) {
            *ret_kind = CONSTANT_NUMBER;
            return true;
        }
    }
    *ret_kind = CONSTANT_STRING;
    return slice_equal(id, SLICE("VARCHAR"));
}

static bool same_kind(const struct json *first, const struct json *rest, int *ret_kind)
{
    int kind;
    if (!constant_kind(first, ret_kind)) {
        return false;
    }
    for (; rest != NULL; rest = rest->next) {
        if (!constant_kind(rest, &kind) || kind != *ret_kind) {
            return false;
        }
    }
    return true;
}

/* The column of `column op constant`, BETWEEN constants or IN (constants), else NULL. */
static struct json *compared_column(struct json *node, int *ret_kind)
{
    static const char *const types[] = {"COMPARE_EQUAL",
                                        "COMPARE_NOTEQUAL",
                                        "COMPARE_LESSTHAN",
                                        "COMPARE_GREATERTHAN",
                                        "COMPARE_LESSTHANOREQUALTO",
                                        "COMPARE_GREATERTHANOREQUALTO"};
    struct slice type = json_get_text(node, "type");
    struct json *column = NULL;
    bool ok = false;
    if (slice_equal(type, SLICE("COMPARE_BETWEEN"))) {
        int upper;
        column = json_get(node, "input");
        ok = constant_kind(json_get(node, "lower"), ret_kind) &&
             constant_kind(json_get(node, "upper"), &upper) && upper == *ret_kind;
    } else if (slice_equal(type, SLICE("COMPARE_IN"))) {
        column = json_get(node, "children")->first;
        ok = column != NULL && column->next != NULL &&
             same_kind(column->next, column->next->next, ret_kind);
    }
    for (size_t i = 0; column == NULL && i < ARRAY_COUNT(types); i++) {
        if (slice_equal(type, slice_of(types[i]))) {
            struct json *left = json_get(node, "left");
            struct json *right = json_get(node, "right");
            bool swapped = ast__is(right, "class", "COLUMN_REF");
            column = swapped ? right : left;
            ok = constant_kind(swapped ? left : right, ret_kind);
        }
    }
    return ok && ast__is(column, "class", "COLUMN_REF") ? column : NULL;
}

static bool names_table(const struct json *names, const struct sql_reference *reference)
{
    if (names->count == 1) {
        return true;
    }
    if (names->count != 2) {
        return false;
    }
    struct slice alias = json_get_text(reference->node, "alias");
    struct slice own = alias.len > 0 ? alias : reference->name.name;
    return slice_equal_fold(names->first->text, own);
}

static enum err add_conjunct(struct ast_check *c, const struct ast_select *select,
                             struct json *node)
{
    int kind;
    struct json *column = compared_column(node, &kind);
    struct sql_ast *ast = &c->whole->ast;
    for (size_t i = select->reference_first; column != NULL && i < ast->reference_count; i++) {
        struct sql_reference *reference = &ast->references[i];
        const struct ast_place *place = &c->whole->places[i];
        const struct json *names = json_get(column, "column_names");
        const struct json *aliases = json_get(reference->node, "column_name_alias");
        if (place->select != select->node || !place->keeps_rows || aliases->count > 0 ||
            !names_table(names, reference)) {
            continue;
        }
        struct sql_conjunct *grown =
            arena_calloc(ast->arena, reference->conjunct_count + 1, sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(c->info);
        }
        if (reference->conjunct_count > 0) {
            memcpy(grown, reference->conjuncts, reference->conjunct_count * sizeof(*grown));
        }
        struct sql_conjunct *conjunct = &grown[reference->conjunct_count++];
        conjunct->column = names->last->text;
        conjunct->node = node;
        conjunct->column_node = column;
        conjunct->constant = (__typeof__(conjunct->constant))kind;
        reference->conjuncts = grown;
    }
    return ERR_OK;
}

/* More than a handful help no pruning; a bound keeps hostile statements linear. */
#define CONJUNCTS_MAX 64

enum err ast__conjuncts(struct ast_check *c, const struct ast_select *select)
{
    struct json *where = json_get(select->node, "where_clause");
    if (select->reference_first == c->whole->ast.reference_count || where->type == JSON_NULL) {
        return ERR_OK;
    }
    if (!ast__is(where, "type", "CONJUNCTION_AND")) {
        return add_conjunct(c, select, where);
    }
    unsigned count = 0;
    struct json *children = json_get(where, "children");
    for (struct json *child = children->first; child != NULL && count < CONJUNCTS_MAX;
         child = child->next, count++) {
        TRY(add_conjunct(c, select, child));
    }
    return ERR_OK;
}
