/* Binding: a predicate as somebody wrote it becomes one whose leaves hold values of their field's
 * type. NOT goes to the leaves first, so that a leaf may fold "unknown" to "false": nothing above
 * it can turn that into "true". */
#include "iceberg/expression_int.h"

#include <math.h>

#include "base/checked.h"
#include "iceberg/value_int.h"

struct binder {
    const struct iceberg_schema *schema;
    struct arena *arena;
    struct errinfo *info;
};

/* Where a value lies among those of a type. */
enum fit_kind {
    FIT_EXACT,
    FIT_BETWEEN, /* `value` is the greatest one below */
    FIT_LOW,     /* below all */
    FIT_HIGH,    /* above all, NaN excepted */
    FIT_NAN,
    FIT_NONE, /* the types do not compare */
};

struct fit {
    enum fit_kind kind;
    struct iceberg_value value;
};

/* ---- values ---- */

static bool is_real(enum iceberg_type_id type)
{
    return type == ICEBERG_FLOAT || type == ICEBERG_DOUBLE;
}

static bool is_whole(enum iceberg_type_id type)
{
    return type == ICEBERG_INT || type == ICEBERG_LONG;
}

static iceberg_int128 floor_div(iceberg_int128 value, iceberg_int128 divisor)
{
    return value / divisor - (value % divisor < 0);
}

/* An exact number as the greatest multiple of 10^-scale that is not above it. */
static enum fit_kind floor_number(const struct iceberg_value *value, uint32_t scale,
                                  iceberg_int128 *ret_floor)
{
    iceberg_int128 number = value->integer;
    uint32_t from = 0;
    bool is_cut = false;
    if (value->type == ICEBERG_DECIMAL) {
        number = value->decimal;
        from = value->scale;
    } else if (!is_whole(value->type)) {
        return FIT_NONE;
    }
    iceberg_int128 power = iceberg__power_of_ten(from > scale ? from - scale : scale - from);
    if (from > scale) {
        is_cut = number % power != 0;
        number = floor_div(number, power);
    } else if (!checked_mul(number, power, &number)) {
        return (value->type == ICEBERG_DECIMAL ? value->decimal : value->integer) < 0 ? FIT_LOW
                                                                                      : FIT_HIGH;
    }
    *ret_floor = number;
    return is_cut ? FIT_BETWEEN : FIT_EXACT;
}

/* An engine compares a whole number with a real by casting it to one; where that rounds, two
 * numbers may be equal that are not, so only reals below that are taken. */
static enum fit_kind floor_real(const struct iceberg_value *value, iceberg_int128 *ret_floor)
{
    double limit = value->type == ICEBERG_FLOAT ? 0x1p24 : 0x1p53;
    if (!(fabs(value->real) < limit)) {
        return !isinf(value->real) ? FIT_NONE : value->real < 0 ? FIT_LOW : FIT_HIGH;
    }
    *ret_floor = (iceberg_int128)floor(value->real);
    return floor(value->real) < value->real ? FIT_BETWEEN : FIT_EXACT;
}

static struct fit fit_whole(const struct iceberg_value *value, const struct iceberg_type *type)
{
    iceberg_int128 number = 0;
    struct fit fit = {.value = {.type = type->id}};
    int64_t least = type->id == ICEBERG_INT ? INT32_MIN : INT64_MIN;
    int64_t most = type->id == ICEBERG_INT ? INT32_MAX : INT64_MAX;
    fit.kind = is_real(value->type) ? floor_real(value, &number) : floor_number(value, 0, &number);
    if (fit.kind == FIT_EXACT || fit.kind == FIT_BETWEEN) {
        if (number < least || number > most) {
            fit.kind = number < least ? FIT_LOW : FIT_HIGH;
        } else {
            fit.value.integer = (int64_t)number;
        }
    }
    return fit;
}

/* Digits beyond the precision still compare. */
static struct fit fit_decimal(const struct iceberg_value *value, const struct iceberg_type *type)
{
    struct fit fit = {
        .value = {.type = type->id, .precision = type->precision, .scale = type->scale}};
    if (is_real(value->type)) {
        fit.kind = iceberg_value_convert(value, type, &fit.value) ? FIT_EXACT : FIT_NONE;
        return fit;
    }
    fit.kind = floor_number(value, type->scale, &fit.value.decimal);
    return fit;
}

static struct fit fit_float(double real)
{
    float single = (float)real;
    if ((double)single > real) { /* the float below: of a positive one the bits less one */
        int32_t bits;
        memcpy(&bits, &single, sizeof(bits));
        bits = single > 0 ? bits - 1 : single < 0 ? bits + 1 : INT32_MIN + 1;
        memcpy(&single, &bits, sizeof(bits));
    }
    return (struct fit){.kind = (double)single < real ? FIT_BETWEEN : FIT_EXACT,
                        .value = {.type = ICEBERG_FLOAT, .real = (double)single}};
}

/* Nanoseconds in a unit of a type; 0 for what is no point in time. */
static int64_t unit_ns(enum iceberg_type_id type, bool *ret_has_zone)
{
    *ret_has_zone = type == ICEBERG_TIMESTAMPTZ || type == ICEBERG_TIMESTAMPTZ_NS;
    if (type == ICEBERG_DATE) {
        return INT64_C(86400000000000);
    }
    if (type == ICEBERG_TIMESTAMP || type == ICEBERG_TIMESTAMPTZ) {
        return 1000;
    }
    return type == ICEBERG_TIMESTAMP_NS || type == ICEBERG_TIMESTAMPTZ_NS ? 1 : 0;
}

static struct fit fit_time(const struct iceberg_value *value, const struct iceberg_type *type)
{
    bool from_zone;
    bool to_zone;
    int64_t from = unit_ns(value->type, &from_zone);
    int64_t to = unit_ns(type->id, &to_zone);
    if (from == 0 || to == 0 || from_zone != to_zone) {
        return (struct fit){.kind = FIT_NONE};
    }
    iceberg_int128 ns = (iceberg_int128)value->integer * from;
    iceberg_int128 number = floor_div(ns, to);
    struct fit fit = {.kind = ns % to != 0 ? FIT_BETWEEN : FIT_EXACT, .value = {.type = type->id}};
    if (fit.kind == FIT_BETWEEN && type->id != ICEBERG_DATE) {
        fit.kind = FIT_NONE; /* engines differ in whether they cut the nanoseconds */
        return fit;
    }
    int64_t least = type->id == ICEBERG_DATE ? INT32_MIN : INT64_MIN;
    int64_t most = type->id == ICEBERG_DATE ? INT32_MAX : INT64_MAX;
    if (number < least || number > most) {
        fit.kind = number < least ? FIT_LOW : FIT_HIGH;
    } else {
        fit.value.integer = (int64_t)number;
    }
    return fit;
}

/* Binary and fixed compare byte by byte, whatever their lengths. */
static struct fit fit_bytes(const struct iceberg_value *value, const struct iceberg_type *type)
{
    bool is_raw = value->type == ICEBERG_FIXED || value->type == ICEBERG_BINARY;
    bool to_raw = type->id == ICEBERG_FIXED || type->id == ICEBERG_BINARY;
    if (value->type != type->id && !(is_raw && to_raw)) {
        return (struct fit){.kind = FIT_NONE};
    }
    return (struct fit){.kind = FIT_EXACT, .value = {.type = type->id, .bytes = value->bytes}};
}

static struct fit fit_value(const struct iceberg_value *value, const struct iceberg_type *type)
{
    struct fit fit = {.kind = FIT_NONE};
    bool is_number = is_real(type->id) || is_whole(type->id) || type->id == ICEBERG_DECIMAL;
    if (iceberg__is_nan(value)) {
        fit.kind = is_real(type->id) ? FIT_NAN : is_number ? FIT_HIGH : FIT_NONE;
        return fit;
    }
    if (is_whole(type->id)) {
        return fit_whole(value, type);
    }
    if (type->id == ICEBERG_DECIMAL) {
        return fit_decimal(value, type);
    }
    if (type->id == ICEBERG_FLOAT && is_real(value->type)) {
        return fit_float(value->real);
    }
    bool has_zone;
    if (unit_ns(type->id, &has_zone) != 0) {
        return fit_time(value, type);
    }
    if (type->id >= ICEBERG_STRING && type->id <= ICEBERG_BINARY) {
        return fit_bytes(value, type);
    }
    if (iceberg_value_convert(value, type, &fit.value)) {
        fit.kind = FIT_EXACT;
    }
    return fit;
}

/* ---- leaves ---- */

static enum iceberg_operator negate(enum iceberg_operator op)
{
    switch (op) {
    case ICEBERG_TRUE:
        return ICEBERG_FALSE;
    case ICEBERG_FALSE:
        return ICEBERG_TRUE;
    case ICEBERG_AND:
        return ICEBERG_OR;
    case ICEBERG_OR:
        return ICEBERG_AND;
    case ICEBERG_NOT:
        return ICEBERG_NOT;
    case ICEBERG_IS_NULL:
        return ICEBERG_NOT_NULL;
    case ICEBERG_NOT_NULL:
        return ICEBERG_IS_NULL;
    case ICEBERG_IS_NAN:
        return ICEBERG_NOT_NAN;
    case ICEBERG_NOT_NAN:
        return ICEBERG_IS_NAN;
    case ICEBERG_EQUAL:
        return ICEBERG_NOT_EQUAL;
    case ICEBERG_NOT_EQUAL:
        return ICEBERG_EQUAL;
    case ICEBERG_LESS:
        return ICEBERG_GREATER_EQUAL;
    case ICEBERG_LESS_EQUAL:
        return ICEBERG_GREATER;
    case ICEBERG_GREATER:
        return ICEBERG_LESS_EQUAL;
    case ICEBERG_GREATER_EQUAL:
        return ICEBERG_LESS;
    case ICEBERG_IN:
        return ICEBERG_NOT_IN;
    case ICEBERG_NOT_IN:
        return ICEBERG_IN;
    case ICEBERG_STARTS_WITH:
        return ICEBERG_NOT_STARTS_WITH;
    case ICEBERG_NOT_STARTS_WITH:
        return ICEBERG_STARTS_WITH;
    }
    return op;
}

static const struct iceberg_expression *unary(struct binder *binder, enum iceberg_operator op,
                                              int32_t id)
{
    return iceberg__leaf(binder->arena, op, id, NULL, 0);
}

/* What a comparison means when its value is no value of the field. */
static const struct iceberg_expression *
compare_folded(struct binder *binder, enum iceberg_operator op, int32_t id, enum fit_kind kind)
{
    if (kind == FIT_NAN) {
        /* NaN is the greatest value. */
        if (op == ICEBERG_EQUAL || op == ICEBERG_GREATER_EQUAL) {
            return unary(binder, ICEBERG_IS_NAN, id);
        }
        if (op == ICEBERG_NOT_EQUAL || op == ICEBERG_LESS) {
            return unary(binder, ICEBERG_NOT_NAN, id);
        }
        return op == ICEBERG_LESS_EQUAL ? unary(binder, ICEBERG_NOT_NULL, id) : &iceberg__false;
    }
    bool is_less = op == ICEBERG_LESS || op == ICEBERG_LESS_EQUAL;
    bool is_true =
        op == ICEBERG_NOT_EQUAL || (op != ICEBERG_EQUAL && is_less == (kind == FIT_HIGH));
    return is_true ? unary(binder, ICEBERG_NOT_NULL, id) : &iceberg__false;
}

static enum err bind_comparison(struct binder *binder, enum iceberg_operator op,
                                const struct iceberg_field *field,
                                const struct iceberg_value *value,
                                const struct iceberg_expression **ret_bound)
{
    struct fit fit = fit_value(value, &field->type);
    if (fit.kind == FIT_NONE) {
        return errinfo_set(binder->info, ERR_INVALID, NULL,
                           "column \"%.*s\" does not compare with a value of that type",
                           SLICE_ARGS(field->name));
    }
    if (fit.kind == FIT_BETWEEN && op != ICEBERG_EQUAL && op != ICEBERG_NOT_EQUAL) {
        bool is_less = op == ICEBERG_LESS || op == ICEBERG_LESS_EQUAL;
        op = is_less ? ICEBERG_LESS_EQUAL : ICEBERG_GREATER;
        fit.kind = FIT_EXACT;
    }
    if (fit.kind != FIT_EXACT) {
        *ret_bound = compare_folded(binder, op, field->id, fit.kind);
        return *ret_bound == NULL ? errinfo_nomem(binder->info) : ERR_OK;
    }
    struct iceberg_value *copy = arena_alloc(binder->arena, sizeof(*copy));
    if (copy == NULL || !iceberg_value_copy(&fit.value, binder->arena, copy)) {
        return errinfo_nomem(binder->info);
    }
    *ret_bound = iceberg__leaf(binder->arena, op, field->id, copy, 1);
    return *ret_bound == NULL ? errinfo_nomem(binder->info) : ERR_OK;
}

/* x IN (1, NaN, NULL, 2.5) on a double: x in (1, 2.5) or x is NaN; NOT IN with a null is never
 * true. */
static enum err bind_list(struct binder *binder, enum iceberg_operator op,
                          const struct iceberg_field *field,
                          const struct iceberg_expression *source,
                          const struct iceberg_expression **ret_bound)
{
    bool has_nan = false;
    bool has_null = false;
    size_t count = 0;
    struct iceberg_value *values =
        arena_calloc(binder->arena, source->value_count + 1, sizeof(*values));
    if (values == NULL) {
        return errinfo_nomem(binder->info);
    }
    for (size_t i = 0; i < source->value_count; i++) {
        if (source->values[i].is_null) {
            has_null = true;
            continue;
        }
        struct fit fit = fit_value(&source->values[i], &field->type);
        if (fit.kind == FIT_NONE) {
            return errinfo_set(binder->info, ERR_INVALID, NULL,
                               "column \"%.*s\" does not compare with a value of that type",
                               SLICE_ARGS(field->name));
        }
        has_nan |= fit.kind == FIT_NAN;
        if (fit.kind == FIT_EXACT &&
            !iceberg_value_copy(&fit.value, binder->arena, &values[count++])) {
            return errinfo_nomem(binder->info);
        }
    }
    if (op == ICEBERG_NOT_IN && (has_null || source->value_count == 0)) {
        *ret_bound = iceberg__constant(!has_null); /* of an empty list true even for nulls */
        return ERR_OK;
    }
    count = iceberg__sort_values(values, count);
    const struct iceberg_expression *list =
        iceberg__leaf(binder->arena, op, field->id, values, count);
    if (list != NULL && has_nan) {
        bool is_in = op == ICEBERG_IN;
        const struct iceberg_expression *nan =
            unary(binder, is_in ? ICEBERG_IS_NAN : ICEBERG_NOT_NAN, field->id);
        list = nan == NULL ? NULL
               : is_in     ? iceberg__or(binder->arena, list, nan)
                           : iceberg__and(binder->arena, list, nan);
    }
    *ret_bound = list;
    return list == NULL ? errinfo_nomem(binder->info) : ERR_OK;
}

static enum err bind_prefix(struct binder *binder, enum iceberg_operator op,
                            const struct iceberg_field *field, const struct iceberg_value *value,
                            const struct iceberg_expression **ret_bound)
{
    if (field->type.id != ICEBERG_STRING || value->type != ICEBERG_STRING) {
        return errinfo_set(binder->info, ERR_INVALID, NULL,
                           "column \"%.*s\" is not a string, so it starts with nothing",
                           SLICE_ARGS(field->name));
    }
    if (value->bytes.len > 0) {
        return bind_comparison(binder, op, field, value, ret_bound);
    }
    *ret_bound =
        op == ICEBERG_STARTS_WITH ? unary(binder, ICEBERG_NOT_NULL, field->id) : &iceberg__false;
    return *ret_bound == NULL ? errinfo_nomem(binder->info) : ERR_OK;
}

static enum err find_field(struct binder *binder, int32_t id,
                           const struct iceberg_field **ret_field)
{
    const struct iceberg_field *parent = NULL;
    const struct iceberg_field *field = iceberg_schema_find_id(binder->schema, id, &parent);
    if (field == NULL) {
        return errinfo_set(binder->info, ERR_INVALID, NULL, "there is no column with id %d", id);
    }
    if (field->type.id >= ICEBERG_VARIANT) {
        return errinfo_set(binder->info, ERR_INVALID, NULL,
                           "column \"%.*s\" has no statistics to compare with",
                           SLICE_ARGS(field->name));
    }
    while (parent != NULL) {
        if (parent->type.id != ICEBERG_STRUCT) {
            return errinfo_set(binder->info, ERR_INVALID, NULL,
                               "field \"%.*s\" lies inside of a list or map",
                               SLICE_ARGS(field->name));
        }
        (void)iceberg_schema_find_id(binder->schema, parent->id, &parent);
    }
    *ret_field = field;
    return ERR_OK;
}

static enum err bind_unary(struct binder *binder, enum iceberg_operator op,
                           const struct iceberg_field *field,
                           const struct iceberg_expression **ret_bound)
{
    if (field->type.id == ICEBERG_UNKNOWN) { /* always null */
        *ret_bound = iceberg__constant(op == ICEBERG_IS_NULL);
        return ERR_OK;
    }
    if (!is_real(field->type.id) && op == ICEBERG_IS_NAN) {
        *ret_bound = &iceberg__false;
        return ERR_OK;
    }
    if (!is_real(field->type.id) && op == ICEBERG_NOT_NAN) {
        op = ICEBERG_NOT_NULL;
    }
    *ret_bound = unary(binder, op, field->id);
    return *ret_bound == NULL ? errinfo_nomem(binder->info) : ERR_OK;
}

static enum err bind_leaf(struct binder *binder, const struct iceberg_expression *leaf,
                          bool is_negated, const struct iceberg_expression **ret_bound)
{
    const struct iceberg_field *field;
    enum iceberg_operator op = is_negated ? negate(leaf->op) : leaf->op;
    TRY(find_field(binder, leaf->field_id, &field));
    if (op <= ICEBERG_NOT_NAN) {
        return bind_unary(binder, op, field, ret_bound);
    }
    bool is_list = op == ICEBERG_IN || op == ICEBERG_NOT_IN;
    if ((!is_list && leaf->value_count != 1) || (leaf->value_count > 0 && leaf->values == NULL)) {
        return errinfo_set(binder->info, ERR_INVALID, NULL,
                           "a comparison of column \"%.*s\" has %zu values",
                           SLICE_ARGS(field->name), leaf->value_count);
    }
    if (field->type.id == ICEBERG_UNKNOWN) {
        *ret_bound = iceberg__constant(op == ICEBERG_NOT_IN && leaf->value_count == 0);
        return ERR_OK;
    }
    if (is_list) {
        return bind_list(binder, op, field, leaf, ret_bound);
    }
    if (leaf->values[0].is_null) {
        *ret_bound = &iceberg__false;
        return ERR_OK;
    }
    if (op == ICEBERG_STARTS_WITH || op == ICEBERG_NOT_STARTS_WITH) {
        return bind_prefix(binder, op, field, &leaf->values[0], ret_bound);
    }
    return bind_comparison(binder, op, field, &leaf->values[0], ret_bound);
}

/* ---- trees ---- */

static enum err bind_node(struct binder *binder, const struct iceberg_expression *node,
                          bool is_negated, unsigned depth,
                          const struct iceberg_expression **ret_bound)
{
    if (node == NULL) {
        return errinfo_set(binder->info, ERR_INVALID, NULL, "a predicate lacks an operand");
    }
    if (depth > ICEBERG_EXPRESSION_DEPTH_MAX) {
        return errinfo_set(binder->info, ERR_LIMIT, NULL,
                           "a predicate is nested deeper than %d levels",
                           ICEBERG_EXPRESSION_DEPTH_MAX);
    }
    if (node->op == ICEBERG_TRUE || node->op == ICEBERG_FALSE) {
        *ret_bound = iceberg__constant((node->op == ICEBERG_TRUE) != is_negated);
        return ERR_OK;
    }
    if (node->op == ICEBERG_NOT) {
        return bind_node(binder, node->left, !is_negated, depth + 1, ret_bound);
    }
    if (node->op != ICEBERG_AND && node->op != ICEBERG_OR) {
        return bind_leaf(binder, node, is_negated, ret_bound);
    }
    const struct iceberg_expression *left;
    const struct iceberg_expression *right;
    TRY(bind_node(binder, node->left, is_negated, depth + 1, &left));
    TRY(bind_node(binder, node->right, is_negated, depth + 1, &right));
    bool is_and = (node->op == ICEBERG_AND) != is_negated;
    *ret_bound =
        is_and ? iceberg__and(binder->arena, left, right) : iceberg__or(binder->arena, left, right);
    return *ret_bound == NULL ? errinfo_nomem(binder->info) : ERR_OK;
}

enum err iceberg_expression_bind(const struct iceberg_expression *expression,
                                 const struct iceberg_schema *schema, struct arena *arena,
                                 const struct iceberg_expression **ret_bound, struct errinfo *info)
{
    struct binder binder = {.schema = schema, .arena = arena, .info = info};
    const struct iceberg_expression *bound;
    TRY(bind_node(&binder, expression, false, 0, &bound));
    *ret_bound = bound;
    return ERR_OK;
}
