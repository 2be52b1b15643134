/* Residuals: what of a predicate is still to be checked on rows whose partition is known. A leaf
 * that the strict projection proves becomes true, one that the inclusive projection refutes becomes
 * false; the rest stays. */
#include "iceberg/expression_int.h"

static struct iceberg__residuals *prepare(const struct iceberg_expression *bound,
                                          const struct iceberg_spec *spec, struct arena *arena);

static bool is_projected(const struct iceberg__residuals *node)
{
    return node->inclusive != NULL || node->left != NULL;
}

static bool prepare_leaf(struct iceberg__residuals *node, const struct iceberg_spec *spec,
                         struct arena *arena)
{
    const struct iceberg_expression *inclusive;
    const struct iceberg_expression *strict;
    if (iceberg_project_inclusive(node->bound, spec, arena, &inclusive, NULL) != ERR_OK ||
        iceberg_project_strict(node->bound, spec, arena, &strict, NULL) != ERR_OK) {
        return false;
    }
    if (inclusive->op != ICEBERG_TRUE || strict->op != ICEBERG_FALSE) {
        node->inclusive = inclusive;
        node->strict = strict;
    }
    return true;
}

static bool prepare_branch(struct iceberg__residuals *node, const struct iceberg_spec *spec,
                           struct arena *arena)
{
    const struct iceberg__residuals *left = prepare(node->bound->left, spec, arena);
    const struct iceberg__residuals *right = prepare(node->bound->right, spec, arena);
    if (left == NULL || right == NULL) {
        return false;
    }
    if (is_projected(left) || is_projected(right)) {
        node->left = left;
        node->right = right;
    }
    return true;
}

static struct iceberg__residuals *prepare(const struct iceberg_expression *bound,
                                          const struct iceberg_spec *spec, struct arena *arena)
{
    struct iceberg__residuals *node = arena_calloc(arena, 1, sizeof(*node));
    if (node == NULL) {
        return NULL;
    }
    ASSERT(bound->op != ICEBERG_NOT);
    node->bound = bound;
    if (bound->op == ICEBERG_AND || bound->op == ICEBERG_OR) {
        return prepare_branch(node, spec, arena) ? node : NULL;
    }
    return prepare_leaf(node, spec, arena) ? node : NULL;
}

enum err iceberg__residuals_prepare(const struct iceberg_expression *bound,
                                    const struct iceberg_spec *spec, struct arena *arena,
                                    const struct iceberg__residuals **ret_residuals)
{
    const struct iceberg__residuals *residuals = prepare(bound, spec, arena);
    if (residuals == NULL) {
        return ERR_NOMEM;
    }
    *ret_residuals = residuals;
    return ERR_OK;
}

static const struct iceberg_expression *reduce(const struct iceberg__residuals *node,
                                               const struct iceberg_spec *spec,
                                               const struct iceberg_value *partition, size_t count,
                                               struct arena *arena)
{
    if (node->inclusive != NULL) {
        if (iceberg__partition_must_match(node->strict, spec, partition, count)) {
            return &iceberg__true;
        }
        bool might_match = iceberg_partition_matches(node->inclusive, spec, partition, count);
        return might_match ? node->bound : &iceberg__false;
    }
    if (node->left == NULL) {
        return node->bound;
    }
    const struct iceberg_expression *left = reduce(node->left, spec, partition, count, arena);
    const struct iceberg_expression *right = reduce(node->right, spec, partition, count, arena);
    if (left == NULL || right == NULL) {
        return NULL;
    }
    if (left == node->bound->left && right == node->bound->right) {
        return node->bound;
    }
    return node->bound->op == ICEBERG_AND ? iceberg__and(arena, left, right)
                                          : iceberg__or(arena, left, right);
}

enum err iceberg__residuals_apply(const struct iceberg__residuals *residuals,
                                  const struct iceberg_spec *spec,
                                  const struct iceberg_value *partition, size_t partition_count,
                                  struct arena *arena,
                                  const struct iceberg_expression **ret_residual)
{
    const struct iceberg_expression *residual =
        reduce(residuals, spec, partition, partition_count, arena);
    if (residual == NULL) {
        return ERR_NOMEM;
    }
    *ret_residual = residual;
    return ERR_OK;
}

enum err iceberg_residual(const struct iceberg_expression *bound, const struct iceberg_spec *spec,
                          const struct iceberg_value *partition, size_t partition_count,
                          struct arena *arena, const struct iceberg_expression **ret_residual,
                          struct errinfo *info)
{
    const struct iceberg__residuals *residuals;
    if (iceberg__residuals_prepare(bound, spec, arena, &residuals) != ERR_OK ||
        iceberg__residuals_apply(residuals, spec, partition, partition_count, arena,
                                 ret_residual) != ERR_OK) {
        return errinfo_nomem(info);
    }
    return ERR_OK;
}
