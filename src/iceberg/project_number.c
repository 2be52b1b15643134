/* Projection through transforms that are monotone functions of whole numbers: truncate of int, long
 * and decimal; year, month, day and hour.
 *
 * Two things make them less than monotone as stored, and both are in real tables:
 * 1. The reference implementation computes in 32 or 64 bits, so that the results for the least (or
 *    greatest) sources wrap around: truncate[10] of -2147483648 is 2147483646.
 * 2. Its release 0.10.0 and earlier gave time transforms of values before 1970 one too many, unless
 *    they lay on a boundary (ProjectionUtil.fixInclusiveTimeProjection there). Such files are still
 *    read, so a negative result may be stored as itself or as one more. */
#include "iceberg/transform_int.h"

#include "iceberg/expression_int.h"

/* 10^38, which no decimal reaches, and what truncation adds. Sums of one such number with a small
 * one do not overflow; of two such numbers they would. */
#define TEN_TO_19 10000000000000000000u
#define DECIMAL_LIMIT ((iceberg_int128)TEN_TO_19 * TEN_TO_19 + UINT32_MAX)

struct number_projection {
    const struct iceberg_partition_field *field;
    struct arena *arena;
    struct iceberg_value like; /* type of the stored value */
    iceberg_int128 least;      /* of the source type */
    iceberg_int128 most;
    iceberg_int128 stored_least; /* of the stored type */
    iceberg_int128 stored_most;
    bool wraps_low;  /* the least sources are stored as alias_low and up */
    bool wraps_high; /* the greatest sources are stored as alias_high and down */
    iceberg_int128 alias_low;
    iceberg_int128 alias_high;
    bool has_old_writers; /* 2. above */
};

static iceberg_int128 number_of(const struct iceberg_value *value)
{
    return value->type == ICEBERG_DECIMAL ? value->decimal : value->integer;
}

static iceberg_int128 apply(const struct number_projection *projection,
                            const struct iceberg_value *like, iceberg_int128 number)
{
    return iceberg__transform_number(&projection->field->transform, like->type, number);
}

static struct number_projection projection_of(const struct iceberg_partition_field *field,
                                              const struct iceberg_value *value,
                                              struct arena *arena)
{
    bool is_time = field->transform.kind != TRANSFORM_TRUNCATE;
    bool is_narrow = value->type == ICEBERG_INT || value->type == ICEBERG_DATE;
    struct number_projection projection = {
        .field = field,
        .arena = arena,
        .like = {.type = value->type, .precision = value->precision, .scale = value->scale},
        .least = is_narrow ? INT32_MIN : INT64_MIN,
        .most = is_narrow ? INT32_MAX : INT64_MAX,
        .stored_least = is_narrow || is_time ? INT32_MIN : INT64_MIN,
        .stored_most = is_narrow || is_time ? INT32_MAX : INT64_MAX,
        .has_old_writers =
            is_time && !(field->transform.kind == TRANSFORM_DAY && value->type == ICEBERG_DATE),
    };
    if (is_time) {
        projection.like.type = field->transform.kind == TRANSFORM_DAY ? ICEBERG_DATE : ICEBERG_INT;
    }
    if (value->type == ICEBERG_DECIMAL) {
        projection.least = projection.stored_least = -DECIMAL_LIMIT;
        projection.most = projection.stored_most = DECIMAL_LIMIT;
        return projection;
    }
    iceberg_int128 span = projection.stored_most - projection.stored_least + 1;
    iceberg_int128 low = apply(&projection, value, projection.least);
    iceberg_int128 high = apply(&projection, value, projection.most);
    projection.wraps_low = low < projection.stored_least;
    projection.wraps_high = high > projection.stored_most;
    projection.alias_low = low + span;
    projection.alias_high = high - span;
    return projection;
}

static bool is_stored(const struct number_projection *projection, iceberg_int128 number)
{
    return number >= projection->stored_least && number <= projection->stored_most;
}

static iceberg_int128 stored(const struct number_projection *projection, iceberg_int128 number)
{
    if (is_stored(projection, number) || projection->like.type == ICEBERG_DECIMAL) {
        return number;
    }
    iceberg_int128 span = projection->stored_most - projection->stored_least + 1;
    return number < projection->stored_least ? number + span : number - span;
}

static void set_number(const struct number_projection *projection, struct iceberg_value *value,
                       iceberg_int128 number)
{
    *value = projection->like;
    if (value->type == ICEBERG_DECIMAL) {
        value->decimal = number;
    } else {
        value->integer = (int64_t)number;
    }
}

static const struct iceberg_expression *leaf_of(const struct number_projection *projection,
                                                enum iceberg_operator op, iceberg_int128 number)
{
    struct iceberg_value *value = arena_alloc(projection->arena, sizeof(*value));
    if (value == NULL) {
        return NULL;
    }
    set_number(projection, value, number);
    return iceberg__leaf(projection->arena, op, projection->field->field_id, value, 1);
}

static const struct iceberg_expression *not_null(const struct number_projection *projection)
{
    return iceberg__leaf(projection->arena, ICEBERG_NOT_NULL, projection->field->field_id, NULL, 0);
}

/* ---- inclusive ---- */

/* Sources up to `most`, which is in the range of sources. */
static const struct iceberg_expression *at_most(const struct number_projection *projection,
                                                iceberg_int128 number)
{
    if (number >= projection->stored_most) {
        return not_null(projection);
    }
    if (projection->has_old_writers && number < 0) {
        number++;
    }
    const struct iceberg_expression *result = number < projection->stored_least
                                                  ? &iceberg__false
                                                  : leaf_of(projection, ICEBERG_LESS_EQUAL, number);
    if (projection->wraps_low && result != NULL) {
        const struct iceberg_expression *alias =
            leaf_of(projection, ICEBERG_GREATER_EQUAL, projection->alias_low);
        result = alias == NULL ? NULL : iceberg__or(projection->arena, result, alias);
    }
    return result;
}

static const struct iceberg_expression *at_least(const struct number_projection *projection,
                                                 iceberg_int128 number)
{
    if (number <= projection->stored_least) {
        return not_null(projection);
    }
    const struct iceberg_expression *result =
        number > projection->stored_most ? &iceberg__false
                                         : leaf_of(projection, ICEBERG_GREATER_EQUAL, number);
    if (projection->wraps_high && result != NULL) {
        const struct iceberg_expression *alias =
            leaf_of(projection, ICEBERG_LESS_EQUAL, projection->alias_high);
        result = alias == NULL ? NULL : iceberg__or(projection->arena, result, alias);
    }
    return result;
}

/* Stored values of a list's values: each, and one more where an old writer may have written. */
static const struct iceberg_expression *any_of(const struct number_projection *projection,
                                               const struct iceberg_expression *leaf,
                                               enum iceberg_operator op)
{
    size_t count = 0;
    struct iceberg_value *values =
        arena_calloc(projection->arena, leaf->value_count * 2, sizeof(*values));
    if (values == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < leaf->value_count; i++) {
        const struct iceberg_value *value = &leaf->values[i];
        iceberg_int128 number = apply(projection, value, number_of(value));
        set_number(projection, &values[count++], stored(projection, number));
        if (projection->has_old_writers && number < 0) {
            set_number(projection, &values[count++], stored(projection, number + 1));
        }
    }
    count = iceberg__sort_values(values, count);
    return iceberg__leaf(projection->arena, op, projection->field->field_id, values, count);
}

static const struct iceberg_expression *
project_inclusive(const struct number_projection *projection, const struct iceberg_expression *leaf)
{
    const struct iceberg_value *value = &leaf->values[0];
    iceberg_int128 number = number_of(value);
    bool is_open = leaf->op == ICEBERG_LESS || leaf->op == ICEBERG_GREATER;
    switch (leaf->op) {
    case ICEBERG_LESS:
    case ICEBERG_LESS_EQUAL:
        number -= is_open;
        return number < projection->least ? &iceberg__false
                                          : at_most(projection, apply(projection, value, number));
    case ICEBERG_GREATER:
    case ICEBERG_GREATER_EQUAL:
        number += is_open;
        return number > projection->most ? &iceberg__false
                                         : at_least(projection, apply(projection, value, number));
    case ICEBERG_EQUAL:
    case ICEBERG_IN:
        return any_of(projection, leaf, ICEBERG_IN);
    case ICEBERG_TRUE:
    case ICEBERG_FALSE:
    case ICEBERG_AND:
    case ICEBERG_OR:
    case ICEBERG_NOT:
    case ICEBERG_IS_NULL:
    case ICEBERG_NOT_NULL:
    case ICEBERG_IS_NAN:
    case ICEBERG_NOT_NAN:
    case ICEBERG_NOT_EQUAL:
    case ICEBERG_NOT_IN:
    case ICEBERG_STARTS_WITH:
    case ICEBERG_NOT_STARTS_WITH:
        break;
    }
    return not_null(projection);
}

/* ---- strict ---- */

/* Stored values below `number` are of sources whose result is below it. */
static const struct iceberg_expression *below(const struct number_projection *projection,
                                              iceberg_int128 number)
{
    if (!is_stored(projection, number)) {
        return &iceberg__false;
    }
    const struct iceberg_expression *result = leaf_of(projection, ICEBERG_LESS, number);
    if (projection->wraps_high && result != NULL) {
        const struct iceberg_expression *rest =
            leaf_of(projection, ICEBERG_GREATER, projection->alias_high);
        result = rest == NULL ? NULL : iceberg__and(projection->arena, result, rest);
    }
    return result;
}

static const struct iceberg_expression *above(const struct number_projection *projection,
                                              iceberg_int128 number)
{
    if (!is_stored(projection, number)) {
        return &iceberg__false;
    }
    if (projection->has_old_writers && number < 0) {
        number++;
    }
    const struct iceberg_expression *result = leaf_of(projection, ICEBERG_GREATER, number);
    if (projection->wraps_low && result != NULL) {
        const struct iceberg_expression *rest =
            leaf_of(projection, ICEBERG_LESS, projection->alias_low);
        result = rest == NULL ? NULL : iceberg__and(projection->arena, result, rest);
    }
    return result;
}

static const struct iceberg_expression *project_strict(const struct number_projection *projection,
                                                       const struct iceberg_expression *leaf)
{
    const struct iceberg_value *value = &leaf->values[0];
    iceberg_int128 number = number_of(value);
    bool is_closed = leaf->op == ICEBERG_LESS_EQUAL || leaf->op == ICEBERG_GREATER_EQUAL;
    switch (leaf->op) {
    case ICEBERG_LESS:
    case ICEBERG_LESS_EQUAL:
        number += is_closed;
        return number > projection->most ? not_null(projection)
                                         : below(projection, apply(projection, value, number));
    case ICEBERG_GREATER:
    case ICEBERG_GREATER_EQUAL:
        number -= is_closed;
        return number < projection->least ? not_null(projection)
                                          : above(projection, apply(projection, value, number));
    case ICEBERG_NOT_EQUAL:
    case ICEBERG_NOT_IN:
        return any_of(projection, leaf, ICEBERG_NOT_IN);
    case ICEBERG_TRUE:
    case ICEBERG_FALSE:
    case ICEBERG_AND:
    case ICEBERG_OR:
    case ICEBERG_NOT:
    case ICEBERG_IS_NULL:
    case ICEBERG_NOT_NULL:
    case ICEBERG_IS_NAN:
    case ICEBERG_NOT_NAN:
    case ICEBERG_EQUAL:
    case ICEBERG_IN:
    case ICEBERG_STARTS_WITH:
    case ICEBERG_NOT_STARTS_WITH:
        break;
    }
    return &iceberg__false;
}

/* Bytes that were read as a decimal may be more than one. */
static bool is_number(const struct iceberg_expression *leaf)
{
    for (size_t i = 0; i < leaf->value_count; i++) {
        const struct iceberg_value *value = &leaf->values[i];
        if (value->type == ICEBERG_DECIMAL &&
            (value->decimal < -DECIMAL_LIMIT || value->decimal > DECIMAL_LIMIT)) {
            return false;
        }
    }
    return true;
}

const struct iceberg_expression *
iceberg__project_number(const struct iceberg_expression *leaf,
                        const struct iceberg_partition_field *field, bool is_strict,
                        struct arena *arena)
{
    struct number_projection projection = projection_of(field, &leaf->values[0], arena);
    if (!is_number(leaf)) {
        return is_strict ? &iceberg__false : not_null(&projection);
    }
    return is_strict ? project_strict(&projection, leaf) : project_inclusive(&projection, leaf);
}
