/* What the engine filters by, as the Iceberg library understands it.
 *
 * The engine's predicates are necessary conditions without negation, so whatever cannot be told
 * exactly is left out: of a conjunction that part, of a disjunction all of it. */
#include "lake/lake_int.h"

#define PREDICATE_DEPTH_MAX 64

struct converter {
    const struct iceberg_schema *schema;
    struct arena *arena;
    bool is_out_of_memory;
};

static const struct iceberg_expression always = {.op = ICEBERG_TRUE};

static struct iceberg_expression *new_node(struct converter *c, enum iceberg_operator op)
{
    struct iceberg_expression *node = arena_calloc(c->arena, 1, sizeof(*node));
    if (node == NULL) {
        c->is_out_of_memory = true;
        return NULL;
    }
    node->op = op;
    return node;
}

static bool operator_of(enum engine_predicate_kind kind, enum iceberg_operator *ret_op)
{
    switch (kind) {
    case PREDICATE_IS_NULL:
        *ret_op = ICEBERG_IS_NULL;
        return true;
    case PREDICATE_NOT_NULL:
        *ret_op = ICEBERG_NOT_NULL;
        return true;
    case PREDICATE_EQUAL:
        *ret_op = ICEBERG_EQUAL;
        return true;
    case PREDICATE_NOT_EQUAL:
        *ret_op = ICEBERG_NOT_EQUAL;
        return true;
    case PREDICATE_LESS:
        *ret_op = ICEBERG_LESS;
        return true;
    case PREDICATE_LESS_EQUAL:
        *ret_op = ICEBERG_LESS_EQUAL;
        return true;
    case PREDICATE_GREATER:
        *ret_op = ICEBERG_GREATER;
        return true;
    case PREDICATE_GREATER_EQUAL:
        *ret_op = ICEBERG_GREATER_EQUAL;
        return true;
    case PREDICATE_IN:
        *ret_op = ICEBERG_IN;
        return true;
    case PREDICATE_STARTS_WITH:
        *ret_op = ICEBERG_STARTS_WITH;
        return true;
    case PREDICATE_AND:
    case PREDICATE_OR:
        break;
    }
    return false;
}

/* NULL = nothing can be said. */
static const struct iceberg_expression *convert_leaf(struct converter *c,
                                                     const struct engine_predicate *predicate)
{
    enum iceberg_operator op;
    const struct iceberg_field *field =
        iceberg_schema_find_id(c->schema, predicate->field_id, NULL);
    if (field == NULL || !operator_of(predicate->kind, &op)) {
        return NULL;
    }
    struct iceberg_expression *leaf = new_node(c, op);
    struct iceberg_value *values =
        arena_calloc(c->arena, predicate->value_count + 1, sizeof(*values));
    if (leaf == NULL || values == NULL) {
        c->is_out_of_memory = true;
        return NULL;
    }
    for (size_t i = 0; i < predicate->value_count; i++) {
        if (!lake__value_parse(&field->type, predicate->values[i], c->arena, &values[i])) {
            return NULL;
        }
    }
    leaf->field_id = predicate->field_id;
    leaf->values = values;
    leaf->value_count = predicate->value_count;
    const struct iceberg_expression *bound;
    /* Bound only to see that it can be: planning binds the whole again. */
    return iceberg_expression_bind(leaf, c->schema, c->arena, &bound, NULL) == ERR_OK ? leaf : NULL;
}

static const struct iceberg_expression *
convert(struct converter *c, const struct engine_predicate *predicate, unsigned depth);

static const struct iceberg_expression *join(struct converter *c, enum iceberg_operator op,
                                             const struct iceberg_expression *left,
                                             const struct iceberg_expression *right)
{
    if (left == NULL) {
        return right;
    }
    struct iceberg_expression *node = new_node(c, op);
    if (node != NULL) {
        node->left = left;
        node->right = right;
    }
    return node;
}

static const struct iceberg_expression *convert_list(struct converter *c,
                                                     const struct engine_predicate *const *all,
                                                     size_t count, bool is_or, unsigned depth)
{
    const struct iceberg_expression *sum = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct iceberg_expression *one = convert(c, all[i], depth);
        if (one == NULL && is_or) {
            return NULL;
        }
        if (one != NULL) {
            sum = join(c, is_or ? ICEBERG_OR : ICEBERG_AND, sum, one);
        }
    }
    return sum;
}

static const struct iceberg_expression *
convert(struct converter *c, const struct engine_predicate *predicate, unsigned depth)
{
    if (depth == PREDICATE_DEPTH_MAX || c->is_out_of_memory) {
        return NULL;
    }
    bool is_or = predicate->kind == PREDICATE_OR;
    return is_or || predicate->kind == PREDICATE_AND
               ? convert_list(c, predicate->children, predicate->child_count, is_or, depth + 1)
               : convert_leaf(c, predicate);
}

enum err lake__predicates(const struct engine_predicate *const *all, size_t count,
                          const struct iceberg_schema *schema, struct arena *arena,
                          const struct iceberg_expression **ret_filter, struct errinfo *info)
{
    struct converter c = {.schema = schema, .arena = arena};
    const struct iceberg_expression *filter = convert_list(&c, all, count, false, 0);
    if (c.is_out_of_memory) {
        return errinfo_nomem(info);
    }
    *ret_filter = filter == NULL ? &always : filter;
    return ERR_OK;
}
