/* Casts that nobody wrote: where the engine has to make two types one.
 *
 * A comparison of a DATE with a TIMESTAMP casts the date, one of a time with a number casts the
 * number, and both throw where BoundCastExpression::CanThrow says no: for a date beyond the year
 * 294246, or as soon as there is a row at all. Beside a policy's filter such a condition may run
 * over hidden rows, so a statement that has one needs the barrier. Texts and numbers are not looked
 * at here: the casts between them are reported (ast_types.c), and literal texts take the type that
 * they meet before any row is read.
 *
 * Types of columns come from the caller, by name; names that a statement makes itself are looked
 * up in what it says they are. Whatever stays unknown is taken for the worst. */
#include <stdlib.h>

#include "sql/ast_int.h"

#define KIND_DEPTH_MAX 64

enum kind {
    KIND_ADAPTS, /* takes the type of what it meets: NULL, a literal text, a parameter */
    KIND_PLAIN,  /* no time */
    KIND_DATE,
    KIND_TIMESTAMP,
    KIND_UNKNOWN, /* another time, or anything */
};

struct named {
    struct slice name;
    enum kind kind;
    const struct json *node; /* an alias: the expression it stands for, not yet looked at */
    bool is_open;            /* being looked at */
};

struct kinds {
    struct arena *arena;
    struct named *names; /* sorted */
    size_t count;
    size_t capacity;
    bool has_times; /* among the columns of relations */
    bool is_open;   /* there may be names that are not listed */
    bool failed;
};

static enum kind kind_of(struct kinds *k, const struct json *node, unsigned depth);

static enum kind merge(enum kind a, enum kind b)
{
    if (a == KIND_ADAPTS || a == b) {
        return b;
    }
    return b == KIND_ADAPTS ? a : KIND_UNKNOWN;
}

/* Would the engine cast one to the other where nothing reports it? */
static bool clash(enum kind a, enum kind b)
{
    return merge(a, b) == KIND_UNKNOWN && a != KIND_ADAPTS && b != KIND_ADAPTS;
}

static bool is_time(enum kind kind)
{
    return kind == KIND_DATE || kind == KIND_TIMESTAMP || kind == KIND_UNKNOWN;
}

static bool is_one_of(const char *const *words, size_t count, struct slice text)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal_fold(slice_of(words[i]), text)) {
            return true;
        }
    }
    return false;
}

static enum kind kind_of_type(struct slice type)
{
    static const char *const plain[] = {"BOOLEAN", "TINYINT",  "SMALLINT",  "INTEGER",  "BIGINT",
                                        "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
                                        "FLOAT",   "DOUBLE",   "VARCHAR"};
    if (slice_equal(type, SLICE("DATE"))) {
        return KIND_DATE;
    }
    if (slice_equal(type, SLICE("TIMESTAMP"))) {
        return KIND_TIMESTAMP;
    }
    bool is_decimal =
        slice_starts_with(type, SLICE("DECIMAL")) && !slice_ends_with(type, SLICE("]"));
    return is_decimal || is_one_of(plain, ARRAY_COUNT(plain), type) ? KIND_PLAIN : KIND_UNKNOWN;
}

/* ---- names ---- */

static void add_name(struct kinds *k, struct slice name, enum kind kind, const struct json *node)
{
    if (k->count == k->capacity) {
        size_t capacity = k->capacity == 0 ? 64 : k->capacity * 2;
        struct named *grown = arena_calloc(k->arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            k->failed = true;
            return;
        }
        if (k->count > 0) {
            memcpy(grown, k->names, k->count * sizeof(*grown));
        }
        k->names = grown;
        k->capacity = capacity;
    }
    k->names[k->count++] = (struct named){.name = name, .kind = kind, .node = node};
}

static struct slice last_name(const struct json *column)
{
    const struct json *names = json_get(column, "column_names");
    return names == NULL || names->last == NULL ? SLICE("") : names->last->text;
}

/* `AS name`, unless it only repeats the column's own. */
static void add_alias(struct kinds *k, const struct json *item)
{
    struct slice alias = json_get_text(item, "alias");
    bool is_same = ast__is(item, "class", "COLUMN_REF") && slice_equal_fold(last_name(item), alias);
    if (alias.len > 0 && !is_same) {
        add_name(k, alias, KIND_ADAPTS, item);
    }
}

/* Names given from outside, t(a, b): those of a plain select list in its order. */
static void add_listed(struct kinds *k, const struct json *names, const struct json *query)
{
    const struct json *items = json_get(query, "select_list");
    const struct json *item = items == NULL ? NULL : items->first;
    bool is_known = item != NULL;
    for (const struct json *i = item; i != NULL; i = i->next) {
        is_known = is_known && !ast__is(i, "class", "STAR");
    }
    for (const struct json *name = names == NULL ? NULL : names->first; name != NULL;
         name = name->next) {
        if (is_known && item != NULL) {
            add_name(k, name->text, KIND_ADAPTS, item);
            item = item->next;
        } else {
            add_name(k, name->text, KIND_UNKNOWN, NULL);
        }
    }
}

/* Names that a star gives: REPLACE (expression AS name), RENAME (column AS name). */
static void add_star(struct kinds *k, const struct json *star)
{
    const struct json *replaced = json_get(star, "replace_list");
    const struct json *renamed = json_get(star, "rename_list");
    for (const struct json *r = replaced == NULL ? NULL : replaced->first; r != NULL; r = r->next) {
        add_name(k, json_get_text(r, "key"), KIND_UNKNOWN, NULL);
    }
    for (const struct json *r = renamed == NULL ? NULL : renamed->first; r != NULL; r = r->next) {
        add_name(k, json_get_text(r, "value"), KIND_UNKNOWN, NULL);
    }
    k->is_open = k->is_open || json_get_text(star, "alias").len > 0; /* COLUMNS() AS a pattern */
}

/* Names that a FROM item gives. */
static void add_relation(struct kinds *k, const struct json *node)
{
    struct slice type = json_get_text(node, "type");
    const struct json *given = json_get(node, "column_name_alias");
    const struct json *rows = json_get(node, "values");
    const struct json *row = rows == NULL ? NULL : rows->first;
    if (slice_equal(type, SLICE("PIVOT"))) {
        k->is_open = true; /* its names come from values */
    } else if (slice_equal(type, SLICE("TABLE_FUNCTION"))) {
        add_name(k, json_get_text(json_get(node, "function"), "function_name"), KIND_UNKNOWN, NULL);
        add_name(k, json_get_text(node, "alias"), KIND_UNKNOWN, NULL);
    } else if (slice_equal(type, SLICE("EXPRESSION_LIST")) && row != NULL) {
        for (uint32_t i = 0; i < row->count; i++) {
            char *name = arena_printf(k->arena, "col%u", i);
            k->failed = k->failed || name == NULL;
            add_name(k, slice_of(name), KIND_UNKNOWN, NULL);
        }
    }
    if (given != NULL && given->type == JSON_ARRAY) {
        add_listed(k, given, json_get(json_get(node, "subquery"), "node"));
    }
}

/* All names that the statement makes itself. */
static void collect(struct kinds *k, const struct json *node)
{
    const struct json *aliases = json_get(node, "aliases"); /* of a CTE */
    if (json_get_text(node, "class").len > 0) {
        add_alias(k, node);
    } else if (json_get(node, "sample") != NULL) {
        add_relation(k, node);
    }
    if (ast__is(node, "class", "STAR")) {
        add_star(k, node);
    }
    if (aliases != NULL && aliases->type == JSON_ARRAY) {
        add_listed(k, aliases, json_get(json_get(node, "query"), "node"));
    }
    for (const struct json *child = node->first; child != NULL && !k->failed; child = child->next) {
        if (child->first != NULL) {
            collect(k, child);
        }
    }
}

static int compare_names(const void *a, const void *b)
{
    return slice_compare_fold(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static size_t first_of(const struct kinds *k, struct slice name)
{
    size_t low = 0;
    size_t high = k->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (slice_compare_fold(k->names[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* All that the name may mean anywhere in the statement, as one kind. */
static enum kind kind_of_name(struct kinds *k, struct slice name, unsigned depth)
{
    enum kind kind = KIND_ADAPTS;
    bool is_found = false;
    for (size_t i = first_of(k, name); i < k->count; i++) {
        struct named *named = &k->names[i];
        if (slice_compare_fold(named->name, name) != 0) {
            break;
        }
        is_found = true;
        if (named->node != NULL && (named->is_open || depth == 0)) {
            return KIND_UNKNOWN;
        }
        if (named->node != NULL) {
            named->is_open = true;
            named->kind = kind_of(k, named->node, depth - 1);
            named->is_open = false;
            named->node = NULL;
        }
        kind = merge(kind, named->kind);
    }
    return is_found ? kind : KIND_UNKNOWN;
}

static enum kind kind_of_column(struct kinds *k, const struct json *node, unsigned depth)
{
    /* a.b is column b of a, or field b of a column a: what has fields is never plain. */
    return kind_of_name(k, last_name(node), depth);
}

/* ---- calls ---- */

/* DATE with whole days added or taken away stays at midnight, which the engine compares as a date:
 * only where all of it is constant. */
static bool is_day_arithmetic(const struct json *node)
{
    static const char *const days[] = {"to_days", "to_weeks", "to_months", "to_quarters",
                                       "to_years"};
    const struct json *first = json_at(json_get(node, "children"), 0);
    const struct json *second = json_at(json_get(node, "children"), 1);
    bool is_date = ast__is(first, "class", "CAST") &&
                   ast__is(json_get(first, "cast_type"), "id", "DATE") && ast__is_constant(first);
    if (!is_date || second == NULL || !ast__is_constant(second)) {
        return false;
    }
    if (is_one_of(days, ARRAY_COUNT(days), json_get_text(second, "function_name"))) {
        return true;
    }
    const struct json *value = json_get(json_get(second, "child"), "value");
    struct slice text = json_get_text(value, "value");
    bool is_days = ast__is(json_get(second, "cast_type"), "id", "INTERVAL") && text.len > 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        is_days =
            is_days && (c == ' ' || c == '-' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z'));
    }
    return is_days &&
           (slice_ends_with(text, SLICE("day")) || slice_ends_with(text, SLICE("days")) ||
            slice_ends_with(text, SLICE("month")) || slice_ends_with(text, SLICE("months")) ||
            slice_ends_with(text, SLICE("year")) || slice_ends_with(text, SLICE("years")));
}

static bool is_nested_function(struct slice name)
{
    static const char *const heads[] = {"list_", "array_", "map_",      "struct_",
                                        "row",   "map",    "aggregate", "range"};
    for (size_t i = 0; i < ARRAY_COUNT(heads); i++) {
        if (slice_starts_with_fold(name, slice_of(heads[i]))) {
            return true;
        }
    }
    return false;
}

static enum kind kind_of_call(struct kinds *k, const struct json *node, unsigned depth)
{
    static const char *const first_kind[] = {"min",  "max",       "any_value",   "first",
                                             "last", "arbitrary", "mode",        "lag",
                                             "lead", "nth_value", "first_value", "last_value"};
    static const char *const merged[] = {"greatest", "least", "nullif"};
    static const char *const makers[] = {
        "now",       "current_localtimestamp", "get_current_timestamp", "transaction_timestamp",
        "make_time", "get_current_time",       "make_timestamptz",      "current_localtime",
        "strptime",  "make_timestamp",         "time_bucket",           "fill"};
    static const char *const dates[] = {"current_date", "today", "make_date"};
    static const char *const counted[] = {"count",
                                          "count_star",
                                          "row_number",
                                          "rank",
                                          "dense_rank",
                                          "ntile",
                                          "date_part",
                                          "datepart",
                                          "year",
                                          "month",
                                          "day",
                                          "dayofmonth",
                                          "dayofweek",
                                          "dayofyear",
                                          "decade",
                                          "century",
                                          "millennium",
                                          "isodow",
                                          "isoyear",
                                          "quarter",
                                          "week",
                                          "weekday",
                                          "weekofyear",
                                          "yearweek",
                                          "era",
                                          "hash",
                                          "typeof",
                                          "pg_typeof",
                                          "approx_count_distinct"};
    struct slice name = json_get_text(node, "function_name");
    const struct json *children = json_get(node, "children");
    const struct json *first = children == NULL ? NULL : children->first;
    if (is_one_of(counted, ARRAY_COUNT(counted), name)) {
        return KIND_PLAIN;
    }
    if (is_one_of(dates, ARRAY_COUNT(dates), name)) {
        return KIND_DATE;
    }
    if (is_one_of(first_kind, ARRAY_COUNT(first_kind), name)) {
        return first == NULL ? KIND_UNKNOWN : kind_of(k, first, depth);
    }
    if (is_one_of(makers, ARRAY_COUNT(makers), name) || is_nested_function(name)) {
        return KIND_UNKNOWN;
    }
    if ((slice_equal(name, SLICE("+")) || slice_equal(name, SLICE("-"))) &&
        is_day_arithmetic(node)) {
        return KIND_DATE;
    }
    bool is_merged = is_one_of(merged, ARRAY_COUNT(merged), name);
    enum kind kind = is_merged ? KIND_ADAPTS : KIND_PLAIN;
    for (const struct json *child = first; child != NULL; child = child->next) {
        enum kind next = kind_of(k, child, depth);
        kind = is_merged ? merge(kind, next) : is_time(next) ? KIND_UNKNOWN : kind;
    }
    return kind;
}

static enum kind kind_of_query(struct kinds *k, const struct json *query, unsigned depth)
{
    const struct json *items = json_get(query, "select_list");
    return items != NULL && items->count == 1 ? kind_of(k, items->first, depth) : KIND_UNKNOWN;
}

static enum kind kind_of_case(struct kinds *k, const struct json *node, unsigned depth)
{
    const struct json *otherwise = json_get(node, "else_expr");
    const struct json *checks = json_get(node, "case_checks");
    enum kind kind = json_is_null(otherwise) ? KIND_ADAPTS : kind_of(k, otherwise, depth);
    for (const struct json *c = checks == NULL ? NULL : checks->first; c != NULL; c = c->next) {
        kind = merge(kind, kind_of(k, json_get(c, "then_expr"), depth));
    }
    return kind;
}

static enum kind kind_of_children(struct kinds *k, const struct json *node, unsigned depth)
{
    const struct json *children = json_get(node, "children");
    enum kind kind = KIND_ADAPTS;
    for (const struct json *c = children == NULL ? NULL : children->first; c != NULL; c = c->next) {
        kind = merge(kind, kind_of(k, c, depth));
    }
    return kind;
}

static enum kind kind_of_constant(const struct json *node)
{
    const struct json *value = json_get(node, "value");
    struct slice id = json_get_text(json_get(value, "type"), "id");
    bool adapts = slice_equal(id, SLICE("VARCHAR")) || slice_equal(id, SLICE("NULL")) ||
                  json_get_bool(value, "is_null", false);
    return adapts ? KIND_ADAPTS : kind_of_type(id);
}

/* Yes-or-no operators and what else is no time whatever it is made of. */
static bool is_plain_class(const struct json *node)
{
    static const char *const types[] = {
        "OPERATOR_NOT",      "OPERATOR_IS_NULL",   "OPERATOR_IS_NOT_NULL", "COMPARE_IN",
        "COMPARE_NOT_IN",    "CONJUNCTION_AND",    "CONJUNCTION_OR",       "COMPARE_BETWEEN",
        "GROUPING_FUNCTION", "COMPARE_NOT_BETWEEN"};
    return ast__is(node, "class", "COMPARISON") ||
           is_one_of(types, ARRAY_COUNT(types), json_get_text(node, "type"));
}

static enum kind kind_of(struct kinds *k, const struct json *node, unsigned depth)
{
    if (depth == 0) {
        return KIND_UNKNOWN;
    }
    depth--;
    if (is_plain_class(node)) {
        return KIND_PLAIN;
    }
    struct slice class = json_get_text(node, "class");
    if (slice_equal(class, SLICE("COLUMN_REF"))) {
        return kind_of_column(k, node, depth);
    }
    if (slice_equal(class, SLICE("CONSTANT"))) {
        return kind_of_constant(node);
    }
    if (slice_equal(class, SLICE("PARAMETER"))) {
        return KIND_ADAPTS;
    }
    if (slice_equal(class, SLICE("CAST"))) {
        return kind_of_type(json_get_text(json_get(node, "cast_type"), "id"));
    }
    if (slice_equal(class, SLICE("FUNCTION")) || slice_equal(class, SLICE("WINDOW"))) {
        return kind_of_call(k, node, depth);
    }
    if (slice_equal(class, SLICE("CASE"))) {
        return kind_of_case(k, node, depth);
    }
    if (slice_equal(class, SLICE("COLLATE"))) {
        return KIND_PLAIN;
    }
    if (slice_equal(json_get_text(node, "type"), SLICE("OPERATOR_COALESCE"))) {
        return kind_of_children(k, node, depth);
    }
    if (slice_equal(class, SLICE("SUBQUERY"))) {
        return ast__is(node, "subquery_type", "SCALAR")
                   ? kind_of_query(k, json_get(json_get(node, "subquery"), "node"), depth)
                   : KIND_PLAIN;
    }
    return KIND_UNKNOWN;
}

/* ---- where types meet ---- */

/* In a comparison all meet all; among the arguments of a call only times do. */
static bool list_clashes(struct kinds *k, enum kind kind, const struct json *list, bool is_call)
{
    for (const struct json *c = list == NULL ? NULL : list->first; c != NULL; c = c->next) {
        enum kind next = kind_of(k, c, KIND_DEPTH_MAX);
        if (is_call && !is_time(next)) {
            continue;
        }
        if (clash(kind, next)) {
            return true;
        }
        kind = merge(kind, next);
    }
    return false;
}

/* date_trunc('hour', date) gives a TIMESTAMP, and does so to the statistics of a whole file while
 * it plans: a hidden date that is none then fails the statement. */
static bool is_date_cut(struct kinds *k, const struct json *node, struct slice name)
{
    static const char *const units[] = {"day",     "week",   "month",   "quarter",   "year",
                                        "isoyear", "decade", "century", "millennium"};
    const struct json *unit = json_at(json_get(node, "children"), 0);
    const struct json *date = json_at(json_get(node, "children"), 1);
    bool is_cut =
        slice_equal_fold(name, SLICE("date_trunc")) || slice_equal_fold(name, SLICE("datetrunc"));
    return is_cut && date != NULL && kind_of(k, date, KIND_DEPTH_MAX) != KIND_TIMESTAMP &&
           !is_one_of(units, ARRAY_COUNT(units), json_get_text(json_get(unit, "value"), "value"));
}

static bool call_clashes(struct kinds *k, const struct json *node)
{
    static const char *const merged[] = {"greatest", "least", "nullif"};
    struct slice name = json_get_text(node, "function_name");
    if (is_date_cut(k, node, name)) {
        return true;
    }
    const struct sql_function *function = sql_function_find(name);
    bool is_row_wise = function == NULL || function->class == FUNCTION_SCALAR;
    return is_row_wise && list_clashes(k, KIND_ADAPTS, json_get(node, "children"),
                                       !is_one_of(merged, ARRAY_COUNT(merged), name));
}

static bool case_clashes(struct kinds *k, const struct json *node)
{
    const struct json *otherwise = json_get(node, "else_expr");
    const struct json *checks = json_get(node, "case_checks");
    enum kind kind = json_is_null(otherwise) ? KIND_ADAPTS : kind_of(k, otherwise, KIND_DEPTH_MAX);
    for (const struct json *c = checks == NULL ? NULL : checks->first; c != NULL; c = c->next) {
        enum kind next = kind_of(k, json_get(c, "then_expr"), KIND_DEPTH_MAX);
        if (clash(kind, next) || is_time(kind_of(k, json_get(c, "when_expr"), KIND_DEPTH_MAX))) {
            return true;
        }
        kind = merge(kind, next);
    }
    return false;
}

static bool pair_clashes(struct kinds *k, const struct json *a, const struct json *b)
{
    return clash(kind_of(k, a, KIND_DEPTH_MAX), kind_of(k, b, KIND_DEPTH_MAX));
}

static bool expression_clashes(struct kinds *k, const struct json *node)
{
    struct slice class = json_get_text(node, "class");
    struct slice type = json_get_text(node, "type");
    if (slice_equal(class, SLICE("COMPARISON"))) {
        return pair_clashes(k, json_get(node, "left"), json_get(node, "right"));
    }
    if (slice_equal(class, SLICE("BETWEEN"))) {
        return pair_clashes(k, json_get(node, "input"), json_get(node, "lower")) ||
               pair_clashes(k, json_get(node, "input"), json_get(node, "upper"));
    }
    if (slice_equal(class, SLICE("CASE"))) {
        return case_clashes(k, node);
    }
    if (slice_equal(class, SLICE("CONJUNCTION")) || slice_equal(type, SLICE("OPERATOR_NOT"))) {
        return list_clashes(k, KIND_PLAIN, json_get(node, "children"), false);
    }
    if (slice_equal(class, SLICE("OPERATOR")) && !slice_ends_with(type, SLICE("_NULL"))) {
        return list_clashes(k, KIND_ADAPTS, json_get(node, "children"), false);
    }
    if (slice_equal(class, SLICE("FUNCTION"))) {
        return call_clashes(k, node);
    }
    if (slice_equal(class, SLICE("SUBQUERY")) && ast__is(node, "subquery_type", "ANY")) {
        return clash(
            kind_of(k, json_get(node, "child"), KIND_DEPTH_MAX),
            kind_of_query(k, json_get(json_get(node, "subquery"), "node"), KIND_DEPTH_MAX));
    }
    return false;
}

static const struct json *items_of(const struct json *query)
{
    while (query != NULL && ast__is(query, "type", "SET_OPERATION_NODE")) {
        query = json_get(query, "left");
    }
    return json_get(query, "select_list");
}

static bool has_star(const struct json *items)
{
    for (const struct json *i = items == NULL ? NULL : items->first; i != NULL; i = i->next) {
        if (ast__is(i, "class", "STAR")) {
            return true;
        }
    }
    return items == NULL;
}

/* The arms of a set operation or of a recursive query, column by column. */
static bool arms_clash(struct kinds *k, const struct json *node)
{
    const struct json *left = items_of(json_get(node, "left"));
    const struct json *right = items_of(json_get(node, "right"));
    if (has_star(left) || has_star(right)) {
        return k->has_times;
    }
    const struct json *b = right->first;
    for (const struct json *a = left->first; a != NULL && b != NULL; a = a->next, b = b->next) {
        if (pair_clashes(k, a, b)) {
            return true;
        }
    }
    return ast__is(node, "setop_type", "UNION_BY_NAME") && k->has_times;
}

static bool join_clashes(struct kinds *k, const struct json *node)
{
    const struct json *names = json_get(node, "using_columns");
    for (const struct json *n = names == NULL ? NULL : names->first; n != NULL; n = n->next) {
        if (kind_of_name(k, n->text, KIND_DEPTH_MAX) == KIND_UNKNOWN) {
            return true;
        }
    }
    return ast__is(node, "ref_type", "NATURAL") && k->has_times;
}

static bool condition_clashes(struct kinds *k, const struct json *node)
{
    static const char *const members[] = {"where_clause", "having", "qualify",
                                          "condition",    "filter", "filter_expr"};
    for (size_t i = 0; i < ARRAY_COUNT(members); i++) {
        const struct json *condition = json_get(node, members[i]);
        if (condition != NULL && condition->type == JSON_OBJECT &&
            is_time(kind_of(k, condition, KIND_DEPTH_MAX))) {
            return true;
        }
    }
    return false;
}

static bool clashes(struct kinds *k, const struct json *node)
{
    if (node->type == JSON_OBJECT) {
        struct slice type = json_get_text(node, "type");
        bool has_arms = slice_equal(type, SLICE("SET_OPERATION_NODE")) ||
                        slice_equal(type, SLICE("RECURSIVE_CTE_NODE"));
        if (expression_clashes(k, node) || condition_clashes(k, node) ||
            (has_arms && arms_clash(k, node)) ||
            (slice_equal(type, SLICE("JOIN")) && join_clashes(k, node))) {
            return true;
        }
    }
    for (const struct json *child = node->first; child != NULL; child = child->next) {
        if (child->first != NULL && clashes(k, child)) {
            return true;
        }
    }
    return false;
}

enum err sql_ast_mixes_types(const struct sql_ast *ast, const struct sql_typed_name *columns,
                             size_t column_count, struct arena *arena, bool *ret_mixes,
                             struct errinfo *info)
{
    struct kinds k = {.arena = arena};
    for (size_t i = 0; i < column_count; i++) {
        enum kind kind = kind_of_type(columns[i].type);
        k.has_times = k.has_times || is_time(kind);
        add_name(&k, columns[i].name, kind, NULL);
    }
    collect(&k, ast->root);
    if (k.failed) {
        return errinfo_nomem(info);
    }
    if (k.count > 0) {
        qsort(k.names, k.count, sizeof(*k.names), compare_names);
    }
    *ret_mixes = (k.is_open && k.has_times) || clashes(&k, ast->root);
    return ERR_OK;
}
