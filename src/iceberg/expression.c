/* Building and printing predicates; binding is expression_bind.c's. */
#include "iceberg/expression.h"

#include "iceberg/expression_int.h"

const struct iceberg_expression iceberg__true = {.op = ICEBERG_TRUE};
const struct iceberg_expression iceberg__false = {.op = ICEBERG_FALSE};

static const struct iceberg_expression *branch(struct arena *arena, enum iceberg_operator op,
                                               const struct iceberg_expression *left,
                                               const struct iceberg_expression *right)
{
    struct iceberg_expression *node = arena_calloc(arena, 1, sizeof(*node));
    if (node != NULL) {
        node->op = op;
        node->left = left;
        node->right = right;
    }
    return node;
}

const struct iceberg_expression *iceberg__and(struct arena *arena,
                                              const struct iceberg_expression *left,
                                              const struct iceberg_expression *right)
{
    if (left->op == ICEBERG_FALSE || right->op == ICEBERG_TRUE) {
        return left;
    }
    if (right->op == ICEBERG_FALSE || left->op == ICEBERG_TRUE) {
        return right;
    }
    return branch(arena, ICEBERG_AND, left, right);
}

const struct iceberg_expression *iceberg__or(struct arena *arena,
                                             const struct iceberg_expression *left,
                                             const struct iceberg_expression *right)
{
    if (left->op == ICEBERG_TRUE || right->op == ICEBERG_FALSE) {
        return left;
    }
    if (right->op == ICEBERG_TRUE || left->op == ICEBERG_FALSE) {
        return right;
    }
    return branch(arena, ICEBERG_OR, left, right);
}

const struct iceberg_expression *iceberg__leaf(struct arena *arena, enum iceberg_operator op,
                                               int32_t field_id, const struct iceberg_value *values,
                                               size_t count)
{
    if (op == ICEBERG_IN && count < 2) {
        if (count == 0) {
            return &iceberg__false;
        }
        op = ICEBERG_EQUAL;
    } else if (op == ICEBERG_NOT_IN && count < 2) {
        op = count == 0 ? ICEBERG_NOT_NULL : ICEBERG_NOT_EQUAL;
    }
    struct iceberg_expression *node = arena_calloc(arena, 1, sizeof(*node));
    if (node != NULL) {
        node->op = op;
        node->field_id = field_id;
        node->values = values;
        node->value_count = count;
    }
    return node;
}

const struct iceberg_expression *iceberg_expression_or(const struct iceberg_expression *left,
                                                       const struct iceberg_expression *right,
                                                       struct arena *arena)
{
    return iceberg__or(arena, left, right);
}

static bool copy_values(struct iceberg_expression *node, struct arena *arena)
{
    struct iceberg_value *values = arena_calloc(arena, node->value_count + 1, sizeof(*values));
    bool is_copied = values != NULL;
    for (size_t i = 0; is_copied && i < node->value_count; i++) {
        values[i] = node->values[i];
        is_copied = iceberg_value_copy(&node->values[i], arena, &values[i]);
    }
    node->values = values;
    return is_copied;
}

/* As deep as the tree, whose depth its maker bounds. */
const struct iceberg_expression *
iceberg_expression_copy(const struct iceberg_expression *expression, struct arena *arena)
{
    struct iceberg_expression *node = arena_calloc(arena, 1, sizeof(*node));
    if (node == NULL) {
        return NULL;
    }
    *node = *expression;
    if (expression->left != NULL) {
        node->left = iceberg_expression_copy(expression->left, arena);
    }
    if (expression->right != NULL) {
        node->right = iceberg_expression_copy(expression->right, arena);
    }
    bool is_whole = (node->left == NULL) == (expression->left == NULL) &&
                    (node->right == NULL) == (expression->right == NULL);
    return is_whole && copy_values(node, arena) ? node : NULL;
}

/* ---- fields ---- */

static size_t count_leaves(const struct iceberg_expression *node)
{
    if (node->op == ICEBERG_TRUE || node->op == ICEBERG_FALSE) {
        return 0;
    }
    if (node->op == ICEBERG_AND || node->op == ICEBERG_OR) {
        return count_leaves(node->left) + count_leaves(node->right);
    }
    return 1;
}

static void collect_fields(const struct iceberg_expression *node, int32_t *ids, size_t *count)
{
    if (node->op == ICEBERG_TRUE || node->op == ICEBERG_FALSE) {
        return;
    }
    if (node->op == ICEBERG_AND || node->op == ICEBERG_OR) {
        collect_fields(node->left, ids, count);
        collect_fields(node->right, ids, count);
        return;
    }
    size_t at = 0;
    while (at < *count && ids[at] < node->field_id) {
        at++;
    }
    if (at < *count && ids[at] == node->field_id) {
        return;
    }
    memmove(ids + at + 1, ids + at, (*count - at) * sizeof(ids[0]));
    ids[at] = node->field_id;
    (*count)++;
}

enum err iceberg__expression_fields(const struct iceberg_expression *expression,
                                    struct arena *arena, const int32_t **ret_ids, size_t *ret_count)
{
    int32_t *ids = arena_calloc(arena, count_leaves(expression) + 1, sizeof(*ids));
    size_t count = 0;
    if (ids == NULL) {
        return ERR_NOMEM;
    }
    collect_fields(expression, ids, &count);
    *ret_ids = ids;
    *ret_count = count;
    return ERR_OK;
}

/* ---- text ---- */

static const char *operator_text(enum iceberg_operator op)
{
    switch (op) {
    case ICEBERG_TRUE:
        return "TRUE";
    case ICEBERG_FALSE:
        return "FALSE";
    case ICEBERG_AND:
        return " AND ";
    case ICEBERG_OR:
        return " OR ";
    case ICEBERG_NOT:
        return "NOT ";
    case ICEBERG_IS_NULL:
        return " IS NULL";
    case ICEBERG_NOT_NULL:
        return " IS NOT NULL";
    case ICEBERG_IS_NAN:
        return " IS NAN";
    case ICEBERG_NOT_NAN:
        return " IS NOT NAN";
    case ICEBERG_EQUAL:
        return " = ";
    case ICEBERG_NOT_EQUAL:
        return " <> ";
    case ICEBERG_LESS:
        return " < ";
    case ICEBERG_LESS_EQUAL:
        return " <= ";
    case ICEBERG_GREATER:
        return " > ";
    case ICEBERG_GREATER_EQUAL:
        return " >= ";
    case ICEBERG_IN:
        return " IN ";
    case ICEBERG_NOT_IN:
        return " NOT IN ";
    case ICEBERG_STARTS_WITH:
        return " STARTS WITH ";
    case ICEBERG_NOT_STARTS_WITH:
        return " NOT STARTS WITH ";
    }
    return "?";
}

static void print_value(const struct iceberg_value *value, struct buf *out)
{
    if (value->is_null) {
        buf_append_str(out, "NULL");
        return;
    }
    switch (value->type) {
    case ICEBERG_STRING:
        buf_append_char(out, '\'');
        for (size_t i = 0; i < value->bytes.len; i++) {
            if (value->bytes.ptr[i] == '\'') {
                buf_append_char(out, '\'');
            }
            buf_append_char(out, value->bytes.ptr[i]);
        }
        buf_append_char(out, '\'');
        return;
    case ICEBERG_DATE:
    case ICEBERG_TIME:
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
    case ICEBERG_TIMESTAMP_NS:
    case ICEBERG_TIMESTAMPTZ_NS:
    case ICEBERG_UUID:
        buf_append_char(out, '\'');
        iceberg_value_print(value, out);
        buf_append_char(out, '\'');
        return;
    case ICEBERG_BOOLEAN:
    case ICEBERG_INT:
    case ICEBERG_LONG:
    case ICEBERG_FLOAT:
    case ICEBERG_DOUBLE:
    case ICEBERG_DECIMAL:
    case ICEBERG_FIXED:
    case ICEBERG_BINARY:
    case ICEBERG_UNKNOWN:
    case ICEBERG_VARIANT:
    case ICEBERG_GEOMETRY:
    case ICEBERG_GEOGRAPHY:
    case ICEBERG_STRUCT:
    case ICEBERG_LIST:
    case ICEBERG_MAP:
        iceberg_value_print(value, out);
        return;
    }
}

/* Dotted, from the top. */
static void print_name(const struct iceberg_schema *schema, int32_t id, struct buf *out)
{
    const struct iceberg_field *parent = NULL;
    const struct iceberg_field *field =
        schema == NULL ? NULL : iceberg_schema_find_id(schema, id, &parent);
    if (field == NULL) {
        buf_printf(out, "#%d", id);
        return;
    }
    if (parent != NULL) {
        print_name(schema, parent->id, out);
        buf_append_char(out, '.');
    }
    buf_append_slice(out, field->name);
}

#define PRINTED_VALUES_MAX 20

static void print_leaf(const struct iceberg_expression *leaf, const struct iceberg_schema *schema,
                       struct buf *out)
{
    bool is_list = leaf->op == ICEBERG_IN || leaf->op == ICEBERG_NOT_IN;
    print_name(schema, leaf->field_id, out);
    buf_append_str(out, operator_text(leaf->op));
    if (is_list) {
        buf_append_char(out, '(');
    }
    for (size_t i = 0; i < leaf->value_count && i < PRINTED_VALUES_MAX; i++) {
        if (i > 0) {
            buf_append_str(out, ", ");
        }
        print_value(&leaf->values[i], out);
    }
    if (leaf->value_count > PRINTED_VALUES_MAX) {
        buf_printf(out, ", ... %zu in all", leaf->value_count);
    }
    if (is_list) {
        buf_append_char(out, ')');
    }
}

void iceberg_expression_print(const struct iceberg_expression *expression,
                              const struct iceberg_schema *schema, struct buf *out)
{
    switch (expression->op) {
    case ICEBERG_TRUE:
    case ICEBERG_FALSE:
        buf_append_str(out, operator_text(expression->op));
        return;
    case ICEBERG_NOT:
        buf_append_str(out, "NOT (");
        iceberg_expression_print(expression->left, schema, out);
        buf_append_char(out, ')');
        return;
    case ICEBERG_AND:
    case ICEBERG_OR:
        buf_append_char(out, '(');
        iceberg_expression_print(expression->left, schema, out);
        buf_append_str(out, operator_text(expression->op));
        iceberg_expression_print(expression->right, schema, out);
        buf_append_char(out, ')');
        return;
    case ICEBERG_IS_NULL:
    case ICEBERG_NOT_NULL:
    case ICEBERG_IS_NAN:
    case ICEBERG_NOT_NAN:
    case ICEBERG_EQUAL:
    case ICEBERG_NOT_EQUAL:
    case ICEBERG_LESS:
    case ICEBERG_LESS_EQUAL:
    case ICEBERG_GREATER:
    case ICEBERG_GREATER_EQUAL:
    case ICEBERG_IN:
    case ICEBERG_NOT_IN:
    case ICEBERG_STARTS_WITH:
    case ICEBERG_NOT_STARTS_WITH:
        print_leaf(expression, schema, out);
        return;
    }
}
