/* For tests: what predicates mean, row by row, told without the code under test; and random
 * schemas' values and predicates. Bodies are in expression_oracle_test.c. */
#pragma once

#include <math.h>

#include "base/test.h"
#include "iceberg/expression_int.h"

enum truth {
    TRUTH_FALSE,
    TRUTH_UNKNOWN,
    TRUTH_TRUE,
};

/* A number as whole part and parts of 10^-20: exact for every value that tests make. */
struct oracle_number {
    int kind; /* -1: below all, 1: above all (infinities), 2: NaN, 0: the parts count */
    iceberg_int128 whole;
    iceberg_int128 parts;
};

struct oracle_number oracle_number(const struct iceberg_value *value);

int oracle_order(const struct iceberg_value *a, const struct iceberg_value *b);

/* A row: values by field id, `ids` as long as `values`. */
struct oracle_row {
    const int32_t *ids;
    const struct iceberg_value *values;
    size_t count;
};

const struct iceberg_value *oracle_value(const struct oracle_row *row, int32_t id);

enum truth oracle_truth(bool value);

enum truth oracle_in(const struct iceberg_expression *leaf, const struct iceberg_value *value);

enum truth oracle_compare(const struct iceberg_expression *leaf, const struct iceberg_value *value);

enum truth oracle_eval(const struct iceberg_expression *node, const struct oracle_row *row);

/* Prints what a failing test is about. */
void oracle_explain(const char *what, const struct iceberg_expression *expression,
                    const struct oracle_row *row);

/* ---- random ---- */

static const struct iceberg_type oracle_types[] = {
    {.id = ICEBERG_BOOLEAN},
    {.id = ICEBERG_INT},
    {.id = ICEBERG_LONG},
    {.id = ICEBERG_FLOAT},
    {.id = ICEBERG_DOUBLE},
    {.id = ICEBERG_DECIMAL, .precision = 9, .scale = 2},
    {.id = ICEBERG_DECIMAL, .precision = 38, .scale = 10},
    {.id = ICEBERG_DATE},
    {.id = ICEBERG_TIME},
    {.id = ICEBERG_TIMESTAMP},
    {.id = ICEBERG_TIMESTAMPTZ},
    {.id = ICEBERG_TIMESTAMP_NS},
    {.id = ICEBERG_TIMESTAMPTZ_NS},
    {.id = ICEBERG_STRING},
    {.id = ICEBERG_STRING}, /* more often: it has the most cases */
    {.id = ICEBERG_STRING},
    {.id = ICEBERG_STRING},
    {.id = ICEBERG_UUID},
    {.id = ICEBERG_FIXED, .length = 3},
    {.id = ICEBERG_BINARY},
};

/* Mostly few and small, so that values meet; sometimes at an end of the type. */
int64_t oracle_integer(uint64_t *seed, int64_t least, int64_t most, int64_t step);

int64_t oracle_step(uint64_t *seed, int64_t per_second);

double oracle_real(uint64_t *seed);

struct slice oracle_text(uint64_t *seed, struct arena *arena, size_t len_max);

struct slice oracle_bytes(uint64_t *seed, struct arena *arena, size_t len);

struct iceberg_value oracle_random_value(uint64_t *seed, struct arena *arena,
                                         const struct iceberg_type *type, unsigned null_percent);

/* A literal for a field: of its type, or of one that compares with it. */
struct iceberg_value oracle_literal(uint64_t *seed, struct arena *arena,
                                    const struct iceberg_type *type);

const struct iceberg_expression *oracle_leaf(uint64_t *seed, struct arena *arena,
                                             const struct iceberg_field *field);

const struct iceberg_expression *oracle_tree(uint64_t *seed, struct arena *arena,
                                             const struct iceberg_schema *schema, unsigned depth);
