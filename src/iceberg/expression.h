/* Predicates over columns, bound to a schema, and what statistics say about them.
 *
 * Three-valued as in SQL: a row is kept only where the predicate is true, so of a null only "is
 * null" is true (not "not NaN", "not equal", "not in" or "does not start with"). Evaluators are
 * conservative: "might match" when a statistic is absent or not understood. NaN follows the
 * engine's order (greater than all, equal to itself), which differs from IEEE: bounds exclude NaN,
 * so a file with an unknown or positive NaN count might match `> x`. -0.0 equals 0.0. */
#pragma once

#include "iceberg/manifest.h"

enum iceberg_operator {
    ICEBERG_TRUE,
    ICEBERG_FALSE,
    ICEBERG_AND,
    ICEBERG_OR,
    ICEBERG_NOT,
    ICEBERG_IS_NULL,
    ICEBERG_NOT_NULL,
    ICEBERG_IS_NAN,
    ICEBERG_NOT_NAN,
    ICEBERG_EQUAL,
    ICEBERG_NOT_EQUAL,
    ICEBERG_LESS,
    ICEBERG_LESS_EQUAL,
    ICEBERG_GREATER,
    ICEBERG_GREATER_EQUAL,
    ICEBERG_IN,
    ICEBERG_NOT_IN,
    ICEBERG_STARTS_WITH,
    ICEBERG_NOT_STARTS_WITH,
};

/* A tree in an arena. Leaves name a field by id and hold values of that field's type. */
struct iceberg_expression {
    enum iceberg_operator op;
    int32_t field_id; /* leaves */
    const struct iceberg_value *values;
    size_t value_count; /* 1; IN, NOT_IN: any number, bound: sorted, no doubles */
    const struct iceberg_expression *left; /* AND, OR, NOT (left only) */
    const struct iceberg_expression *right;
};

#define ICEBERG_EXPRESSION_DEPTH_MAX 256

/* Checks and simplifies against a schema: values converted to the field's type (a value outside
 * its range, or between two of its values, folds to what it means: x < 2^40 on an int is "not
 * null", x < 2.5 is x <= 2), NOT pushed to the leaves, constants folded. The result owns its values
 * in `arena`. ERR_INVALID for an id that the schema has not, a field inside of a list or map, or a
 * type that cannot compare: callers then scan without the conjunct. ERR_LIMIT for a tree deeper
 * than the limit. Only what this made may be given to the functions below. */
MUST_USE enum err iceberg_expression_bind(const struct iceberg_expression *expression,
                                          const struct iceberg_schema *schema, struct arena *arena,
                                          const struct iceberg_expression **ret_bound,
                                          struct errinfo *info);
/* A copy that owns all of it in `arena`, bound or not; NULL without memory. */
const struct iceberg_expression *
iceberg_expression_copy(const struct iceberg_expression *expression, struct arena *arena);
/* Either; NULL without memory. */
const struct iceberg_expression *iceberg_expression_or(const struct iceberg_expression *left,
                                                       const struct iceberg_expression *right,
                                                       struct arena *arena);
/* As SQL, for people; `schema` NULL or without the field prints "#id". */
void iceberg_expression_print(const struct iceberg_expression *expression,
                              const struct iceberg_schema *schema, struct buf *out);

/* Inclusive projection to a partition spec: true of a file's partition whenever any of its rows
 * may match; leaves refer to partition field ids. Strict: true only where all rows match. */
MUST_USE enum err iceberg_project_inclusive(const struct iceberg_expression *bound,
                                            const struct iceberg_spec *spec, struct arena *arena,
                                            const struct iceberg_expression **ret_projected,
                                            struct errinfo *info);
MUST_USE enum err iceberg_project_strict(const struct iceberg_expression *bound,
                                         const struct iceberg_spec *spec, struct arena *arena,
                                         const struct iceberg_expression **ret_projected,
                                         struct errinfo *info);

/* Whether any file of a manifest may match a projected predicate, by its partition summaries. */
bool iceberg_manifest_might_match(const struct iceberg_expression *projected,
                                  const struct iceberg_spec *spec,
                                  const struct iceberg_manifest *manifest);
/* Whether a file's partition tuple matches a projected predicate: exact. */
bool iceberg_partition_matches(const struct iceberg_expression *projected,
                               const struct iceberg_spec *spec,
                               const struct iceberg_value *partition, size_t partition_count);
/* Whether any row may match (inclusive) or all rows do (strict), by column metrics. */
bool iceberg_metrics_might_match(const struct iceberg_expression *bound,
                                 const struct iceberg_file *file);
bool iceberg_metrics_must_match(const struct iceberg_expression *bound,
                                const struct iceberg_file *file);

/* What is left to check on the rows of a file in `partition`: TRUE when the partition alone proves
 * the predicate. */
MUST_USE enum err
iceberg_residual(const struct iceberg_expression *bound, const struct iceberg_spec *spec,
                 const struct iceberg_value *partition, size_t partition_count, struct arena *arena,
                 const struct iceberg_expression **ret_residual, struct errinfo *info);
