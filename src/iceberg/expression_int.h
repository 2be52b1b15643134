/* What expressions, projections, evaluators and planning share. */
#pragma once

#include "iceberg/expression.h"

extern const struct iceberg_expression iceberg__true;
extern const struct iceberg_expression iceberg__false;

static inline const struct iceberg_expression *iceberg__constant(bool value)
{
    return value ? &iceberg__true : &iceberg__false;
}

/* Order of predicates: as iceberg_value_compare, but -0.0 equals 0.0 as in SQL, and values of types
 * that hold the same kind of number (int and long, int and date) compare. False = they do not, and
 * nothing is known. Both not null; the order is -1, 0 or 1. */
MUST_USE bool iceberg__compare(const struct iceberg_value *a, const struct iceberg_value *b,
                               int *ret_order);
bool iceberg__is_nan(const struct iceberg_value *value);

/* Sorts and removes doubles, of values that all compare: the new count. */
size_t iceberg__sort_values(struct iceberg_value *values, size_t count);

/* ---- building; NULL = out of memory ---- */

MUST_USE const struct iceberg_expression *iceberg__and(struct arena *arena,
                                                       const struct iceberg_expression *left,
                                                       const struct iceberg_expression *right);
MUST_USE const struct iceberg_expression *iceberg__or(struct arena *arena,
                                                      const struct iceberg_expression *left,
                                                      const struct iceberg_expression *right);
/* A leaf that views `values`. IN and NOT_IN: sorted, no doubles; none and one are folded. */
MUST_USE const struct iceberg_expression *iceberg__leaf(struct arena *arena,
                                                        enum iceberg_operator op, int32_t field_id,
                                                        const struct iceberg_value *values,
                                                        size_t count);

/* ---- what is known of a set of values ---- */

struct iceberg__facts {
    bool may_be_null;
    bool may_be_nan;
    bool may_be_value; /* not null and not NaN */
    bool has_lower;    /* <= all values, in the order of predicates */
    bool has_upper;
    struct iceberg_value lower;
    struct iceberg_value upper;
    char uuid_bounds[2][16]; /* what loosened bounds of UUIDs view */
};

/* Fills facts about a leaf's field; false = nothing is known. */
typedef bool (*iceberg__facts_cb)(void *context, const struct iceberg_expression *leaf,
                                  struct iceberg__facts *ret_facts);

/* Bounds into facts of the leaf's type; what does not decode, is NaN or inverted is left out. */
void iceberg__facts_bounds(struct iceberg__facts *facts, const struct iceberg_expression *leaf,
                           struct slice lower, struct slice upper);
/* An iceberg__facts_cb; `file` is a struct iceberg_file, which it does not change. */
bool iceberg__facts_of_metrics(void *file, const struct iceberg_expression *leaf,
                               struct iceberg__facts *ret_facts);
void iceberg__facts_of_value(const struct iceberg_value *value, struct iceberg__facts *ret_facts);

/* Whether any value may match / all values do. Only bound or projected expressions. */
bool iceberg__might_match(const struct iceberg_expression *expression, iceberg__facts_cb facts,
                          void *context);
bool iceberg__must_match(const struct iceberg_expression *expression, iceberg__facts_cb facts,
                         void *context);

/* True only if the projected predicate is surely true of the partition. */
bool iceberg__partition_must_match(const struct iceberg_expression *projected,
                                   const struct iceberg_spec *spec,
                                   const struct iceberg_value *partition, size_t partition_count);

/* Ids of the fields that leaves name, ascending, no doubles. */
MUST_USE enum err iceberg__expression_fields(const struct iceberg_expression *expression,
                                             struct arena *arena, const int32_t **ret_ids,
                                             size_t *ret_count);

/* ---- projections of one leaf onto one partition field; NULL = out of memory ---- */

MUST_USE const struct iceberg_expression *
iceberg__project_leaf(const struct iceberg_expression *leaf,
                      const struct iceberg_partition_field *field, bool is_strict,
                      struct arena *arena);
/* The same for transforms that are monotone functions of whole numbers. */
MUST_USE const struct iceberg_expression *
iceberg__project_number(const struct iceberg_expression *leaf,
                        const struct iceberg_partition_field *field, bool is_strict,
                        struct arena *arena);

/* ---- residuals ---- */

/* A bound expression with its leaves' projections onto one spec, made once for many partitions. */
struct iceberg__residuals {
    const struct iceberg_expression *bound;
    const struct iceberg_expression *inclusive; /* leaves that project; else NULL */
    const struct iceberg_expression *strict;
    const struct iceberg__residuals *left; /* AND, OR below which some leaf projects; else NULL */
    const struct iceberg__residuals *right;
};

MUST_USE enum err iceberg__residuals_prepare(const struct iceberg_expression *bound,
                                             const struct iceberg_spec *spec, struct arena *arena,
                                             const struct iceberg__residuals **ret_residuals);
MUST_USE enum err iceberg__residuals_apply(const struct iceberg__residuals *residuals,
                                           const struct iceberg_spec *spec,
                                           const struct iceberg_value *partition,
                                           size_t partition_count, struct arena *arena,
                                           const struct iceberg_expression **ret_residual);
