/* Projections of predicates on rows to predicates on partition values (spec "Scan Planning").
 *
 * Inclusive: true of a partition whenever any of its rows may match. Strict: true only where all
 * rows match. Of a null every comparison is false, and all transforms but void keep null apart, so
 * the weakest inclusive projection of a comparison is "not null". */
#include "iceberg/expression_int.h"
#include "iceberg/transform_int.h"

static const struct iceberg_expression *same_leaf(const struct iceberg_expression *leaf,
                                                  const struct iceberg_partition_field *field,
                                                  struct arena *arena)
{
    return iceberg__leaf(arena, leaf->op, field->field_id, leaf->values, leaf->value_count);
}

static const struct iceberg_expression *weakest(const struct iceberg_partition_field *field,
                                                bool is_strict, struct arena *arena)
{
    return is_strict ? &iceberg__false
                     : iceberg__leaf(arena, ICEBERG_NOT_NULL, field->field_id, NULL, 0);
}

/* ---- bucket ---- */

static const struct iceberg_expression *project_bucket(const struct iceberg_expression *leaf,
                                                       const struct iceberg_partition_field *field,
                                                       bool is_strict, struct arena *arena)
{
    enum iceberg_operator op = is_strict ? ICEBERG_NOT_IN : ICEBERG_IN;
    bool is_projected = is_strict ? leaf->op == ICEBERG_NOT_EQUAL || leaf->op == ICEBERG_NOT_IN
                                  : leaf->op == ICEBERG_EQUAL || leaf->op == ICEBERG_IN;
    if (!is_projected) {
        return weakest(field, is_strict, arena);
    }
    struct iceberg_value *values = arena_calloc(arena, leaf->value_count, sizeof(*values));
    if (values == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < leaf->value_count; i++) {
        int32_t hash = iceberg_bucket_hash(&leaf->values[i]) & INT32_MAX;
        values[i].type = ICEBERG_INT;
        values[i].integer = hash % (int64_t)field->transform.width;
    }
    size_t count = iceberg__sort_values(values, leaf->value_count);
    return iceberg__leaf(arena, op, field->field_id, values, count);
}

/* ---- truncate of texts and bytes ---- */

enum cut {
    CUT_SHORTER, /* shorter than the width: the partition value is the value itself, and only its */
    CUT_EQUAL,   /* as long as the width */
    CUT_LONGER,
};

static enum cut cut_value(const struct iceberg_value *value, uint32_t width,
                          struct iceberg_value *ret_cut)
{
    size_t len = value->bytes.len < width ? value->bytes.len : width;
    size_t units = len;
    *ret_cut = *value;
    if (value->type == ICEBERG_STRING) {
        units = iceberg__code_points(value->bytes, width, &len);
    }
    ret_cut->bytes.len = len;
    if (len < value->bytes.len) {
        return CUT_LONGER;
    }
    return units < width ? CUT_SHORTER : CUT_EQUAL;
}

/* A list's values cut to the width; `only_short`: those alone that are shorter. */
static const struct iceberg_expression *project_list(const struct iceberg_expression *leaf,
                                                     const struct iceberg_partition_field *field,
                                                     enum iceberg_operator op, bool only_short,
                                                     struct arena *arena)
{
    size_t count = 0;
    struct iceberg_value *values = arena_calloc(arena, leaf->value_count, sizeof(*values));
    if (values == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < leaf->value_count; i++) {
        enum cut cut = cut_value(&leaf->values[i], field->transform.width, &values[count]);
        count += cut == CUT_SHORTER || !only_short;
    }
    count = iceberg__sort_values(values, count);
    return iceberg__leaf(arena, op, field->field_id, values, count);
}

static enum iceberg_operator order_operator(enum iceberg_operator op, enum cut cut, bool is_strict)
{
    bool is_whole = cut != CUT_LONGER;
    if (!is_strict) { /* x < v: the cut of x is < v if v is cut to itself, else <= */
        if (op == ICEBERG_LESS && is_whole) {
            return ICEBERG_LESS;
        }
        if (op == ICEBERG_GREATER && cut == CUT_SHORTER) {
            return ICEBERG_GREATER;
        }
        return op == ICEBERG_LESS || op == ICEBERG_LESS_EQUAL ? ICEBERG_LESS_EQUAL
                                                              : ICEBERG_GREATER_EQUAL;
    }
    if (op == ICEBERG_LESS || op == ICEBERG_LESS_EQUAL) {
        return op == ICEBERG_LESS_EQUAL && cut == CUT_SHORTER ? ICEBERG_LESS_EQUAL : ICEBERG_LESS;
    }
    return op == ICEBERG_GREATER_EQUAL && is_whole ? ICEBERG_GREATER_EQUAL : ICEBERG_GREATER;
}

static const struct iceberg_expression *project_text(const struct iceberg_expression *leaf,
                                                     const struct iceberg_partition_field *field,
                                                     bool is_strict, struct arena *arena)
{
    struct iceberg_value *cut_to = arena_alloc(arena, sizeof(*cut_to));
    if (cut_to == NULL) {
        return NULL;
    }
    enum cut cut = cut_value(&leaf->values[0], field->transform.width, cut_to);
    enum iceberg_operator op = leaf->op;
    if (op == ICEBERG_STARTS_WITH && cut == CUT_LONGER) {
        if (is_strict) {
            return &iceberg__false;
        }
        op = ICEBERG_EQUAL;
    } else if (op == ICEBERG_NOT_STARTS_WITH && cut == CUT_LONGER) {
        if (!is_strict) {
            return weakest(field, is_strict, arena);
        }
        op = ICEBERG_NOT_EQUAL;
    } else if (op == ICEBERG_EQUAL || op == ICEBERG_IN) {
        return project_list(leaf, field, ICEBERG_IN, is_strict, arena);
    } else if (op == ICEBERG_NOT_EQUAL || op == ICEBERG_NOT_IN) {
        return project_list(leaf, field, ICEBERG_NOT_IN, !is_strict, arena);
    } else if (op != ICEBERG_STARTS_WITH && op != ICEBERG_NOT_STARTS_WITH) {
        op = order_operator(op, cut, is_strict);
    }
    return iceberg__leaf(arena, op, field->field_id, cut_to, 1);
}

/* ---- one leaf, all fields ---- */

/* True if the leaf's values are of a type that the transform takes; a schema and a spec that
 * disagree (the column's type changed in a way the spec forbids) project to nothing. */
static bool takes(const struct iceberg_expression *leaf,
                  const struct iceberg_partition_field *field)
{
    struct iceberg_type result;
    for (size_t i = 0; i < leaf->value_count; i++) {
        struct iceberg_type type = {.id = leaf->values[i].type,
                                    .precision = leaf->values[i].precision,
                                    .scale = leaf->values[i].scale};
        if (iceberg_transform_result(&field->transform, &type, &result, NULL) != ERR_OK) {
            return false;
        }
    }
    return true;
}

const struct iceberg_expression *iceberg__project_leaf(const struct iceberg_expression *leaf,
                                                       const struct iceberg_partition_field *field,
                                                       bool is_strict, struct arena *arena)
{
    enum iceberg_transform_kind kind = field->transform.kind;
    if (field->source_count != 1 || kind == TRANSFORM_VOID || kind == TRANSFORM_OTHER ||
        !takes(leaf, field)) {
        return iceberg__constant(!is_strict);
    }
    if (leaf->op == ICEBERG_IS_NULL || leaf->op == ICEBERG_NOT_NULL || kind == TRANSFORM_IDENTITY) {
        return same_leaf(leaf, field, arena);
    }
    if (leaf->value_count == 0) { /* NaN: no other transform takes reals */
        return iceberg__constant(!is_strict);
    }
    if (kind == TRANSFORM_BUCKET) {
        return project_bucket(leaf, field, is_strict, arena);
    }
    enum iceberg_type_id type = leaf->values[0].type;
    if (type == ICEBERG_STRING || type == ICEBERG_BINARY) {
        return project_text(leaf, field, is_strict, arena);
    }
    return iceberg__project_number(leaf, field, is_strict, arena);
}

/* Several fields of one source (day and hour of a timestamp): an inclusive projection must hold in
 * all of them, a strict one in any. */
static const struct iceberg_expression *project_fields(const struct iceberg_expression *leaf,
                                                       const struct iceberg_spec *spec,
                                                       bool is_strict, struct arena *arena)
{
    const struct iceberg_expression *result = iceberg__constant(!is_strict);
    for (size_t i = 0; i < spec->field_count && result != NULL; i++) {
        const struct iceberg_partition_field *field = &spec->fields[i];
        if (field->source_count != 1 || field->source_ids[0] != leaf->field_id) {
            continue;
        }
        const struct iceberg_expression *part =
            iceberg__project_leaf(leaf, field, is_strict, arena);
        result = part == NULL ? NULL
                 : is_strict  ? iceberg__or(arena, result, part)
                              : iceberg__and(arena, result, part);
    }
    return result;
}

static const struct iceberg_expression *project(const struct iceberg_expression *node,
                                                const struct iceberg_spec *spec, bool is_strict,
                                                struct arena *arena)
{
    ASSERT(node->op != ICEBERG_NOT);
    if (node->op == ICEBERG_TRUE || node->op == ICEBERG_FALSE) {
        return node;
    }
    if (node->op != ICEBERG_AND && node->op != ICEBERG_OR) {
        return project_fields(node, spec, is_strict, arena);
    }
    const struct iceberg_expression *left = project(node->left, spec, is_strict, arena);
    const struct iceberg_expression *right = project(node->right, spec, is_strict, arena);
    if (left == NULL || right == NULL) {
        return NULL;
    }
    return node->op == ICEBERG_AND ? iceberg__and(arena, left, right)
                                   : iceberg__or(arena, left, right);
}

static enum err project_to(const struct iceberg_expression *bound, const struct iceberg_spec *spec,
                           bool is_strict, struct arena *arena,
                           const struct iceberg_expression **ret_projected, struct errinfo *info)
{
    const struct iceberg_expression *projected = project(bound, spec, is_strict, arena);
    if (projected == NULL) {
        return errinfo_nomem(info);
    }
    *ret_projected = projected;
    return ERR_OK;
}

enum err iceberg_project_inclusive(const struct iceberg_expression *bound,
                                   const struct iceberg_spec *spec, struct arena *arena,
                                   const struct iceberg_expression **ret_projected,
                                   struct errinfo *info)
{
    return project_to(bound, spec, false, arena, ret_projected, info);
}

enum err iceberg_project_strict(const struct iceberg_expression *bound,
                                const struct iceberg_spec *spec, struct arena *arena,
                                const struct iceberg_expression **ret_projected,
                                struct errinfo *info)
{
    return project_to(bound, spec, true, arena, ret_projected, info);
}
