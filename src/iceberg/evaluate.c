/* What statistics say about predicates: one evaluator over "facts", which come from a file's
 * metrics, a manifest's partition summaries or a partition value. Exact facts (a value) make
 * "might match" and "must match" the same, so a partition tuple needs no evaluator of its own. */
#include "iceberg/expression_int.h"

#include <math.h>

/* ---- order ---- */

enum number_kind {
    KIND_NONE,
    KIND_BOOLEAN,
    KIND_INTEGER, /* int, long and date: a day partition is an int or a date */
    KIND_TIME,
    KIND_US,
    KIND_US_ZONE,
    KIND_NS,
    KIND_NS_ZONE,
    KIND_REAL,
    KIND_DECIMAL,
    KIND_BYTES,
};

static enum number_kind kind_of(enum iceberg_type_id type)
{
    switch (type) {
    case ICEBERG_BOOLEAN:
        return KIND_BOOLEAN;
    case ICEBERG_INT:
    case ICEBERG_LONG:
    case ICEBERG_DATE:
        return KIND_INTEGER;
    case ICEBERG_TIME:
        return KIND_TIME;
    case ICEBERG_TIMESTAMP:
        return KIND_US;
    case ICEBERG_TIMESTAMPTZ:
        return KIND_US_ZONE;
    case ICEBERG_TIMESTAMP_NS:
        return KIND_NS;
    case ICEBERG_TIMESTAMPTZ_NS:
        return KIND_NS_ZONE;
    case ICEBERG_FLOAT:
    case ICEBERG_DOUBLE:
        return KIND_REAL;
    case ICEBERG_DECIMAL:
        return KIND_DECIMAL;
    case ICEBERG_STRING:
    case ICEBERG_UUID:
    case ICEBERG_FIXED:
    case ICEBERG_BINARY:
        return KIND_BYTES;
    case ICEBERG_UNKNOWN:
    case ICEBERG_VARIANT:
    case ICEBERG_GEOMETRY:
    case ICEBERG_GEOGRAPHY:
    case ICEBERG_STRUCT:
    case ICEBERG_LIST:
    case ICEBERG_MAP:
        return KIND_NONE;
    }
    return KIND_NONE;
}

bool iceberg__is_nan(const struct iceberg_value *value)
{
    return !value->is_null && kind_of(value->type) == KIND_REAL && isnan(value->real);
}

static int compare_real(double a, double b)
{
    if (isnan(a) || isnan(b)) {
        return (isnan(a) != 0) - (isnan(b) != 0);
    }
    return (a > b) - (a < b);
}

bool iceberg__compare(const struct iceberg_value *a, const struct iceberg_value *b, int *ret_order)
{
    enum number_kind kind = kind_of(a->type);
    ASSERT(!a->is_null && !b->is_null);
    if (kind != kind_of(b->type)) {
        return false;
    }
    switch (kind) {
    case KIND_NONE:
        return false;
    case KIND_BOOLEAN:
        *ret_order = (int)a->boolean - (int)b->boolean;
        return true;
    case KIND_INTEGER:
    case KIND_TIME:
    case KIND_US:
    case KIND_US_ZONE:
    case KIND_NS:
    case KIND_NS_ZONE:
        *ret_order = (a->integer > b->integer) - (a->integer < b->integer);
        return true;
    case KIND_REAL:
        *ret_order = compare_real(a->real, b->real);
        return true;
    case KIND_DECIMAL:
        *ret_order = (a->decimal > b->decimal) - (a->decimal < b->decimal);
        return a->scale == b->scale;
    case KIND_BYTES:
        *ret_order = slice_compare(a->bytes, b->bytes);
        *ret_order = (*ret_order > 0) - (*ret_order < 0);
        return true;
    }
    return false;
}

static int compare_known(const struct iceberg_value *a, const struct iceberg_value *b)
{
    int order = 0;
    bool is_known = iceberg__compare(a, b, &order);
    ASSERT(is_known);
    return order;
}

static int compare_for_sort(const void *a, const void *b)
{
    return compare_known(a, b);
}

size_t iceberg__sort_values(struct iceberg_value *values, size_t count)
{
    if (count == 0) {
        return 0;
    }
    qsort(values, count, sizeof(values[0]), compare_for_sort);
    size_t kept = 1;
    for (size_t i = 1; i < count; i++) {
        if (compare_known(&values[kept - 1], &values[i]) != 0) {
            values[kept++] = values[i];
        }
    }
    return kept;
}

/* ---- facts ---- */

void iceberg__facts_of_value(const struct iceberg_value *value, struct iceberg__facts *ret_facts)
{
    memset(ret_facts, 0, offsetof(struct iceberg__facts, lower));
    ret_facts->may_be_null = value->is_null;
    ret_facts->may_be_nan = iceberg__is_nan(value);
    ret_facts->may_be_value = !value->is_null && !ret_facts->may_be_nan;
    if (ret_facts->may_be_value) {
        ret_facts->has_lower = ret_facts->has_upper = true;
        ret_facts->lower = ret_facts->upper = *value;
    }
}

/* Texts are compared as bytes, so bounds cut inside of a character, or longer than a fixed, are as
 * good as others. */
static bool decode_bound(const struct iceberg_value *like, struct slice bytes,
                         struct iceberg_value *ret_value)
{
    struct iceberg_type type = {
        .id = like->type, .precision = 38, .scale = like->scale, .length = 0};
    if (bytes.ptr == NULL) {
        return false;
    }
    if (like->type == ICEBERG_STRING || like->type == ICEBERG_FIXED) {
        type.id = ICEBERG_BINARY;
    } else if (like->type == ICEBERG_FLOAT) {
        type.id = ICEBERG_DOUBLE; /* takes both widths: data of an old schema */
    } else if (like->type == ICEBERG_INT || like->type == ICEBERG_DATE) {
        type.id = bytes.len == 4 ? ICEBERG_INT : ICEBERG_LONG;
    }
    return iceberg_value_decode(&type, bytes, ret_value, NULL) == ERR_OK &&
           !iceberg__is_nan(ret_value);
}

/* Older writers order UUIDs as two signed longs. Values with one sign bit in front have one order
 * of first halves either way; the rest of a bound is given up unless both bounds are one value. */
static bool loosen_uuids(struct iceberg__facts *facts)
{
    if (slice_equal(facts->lower.bytes, facts->upper.bytes)) {
        return true;
    }
    if (((facts->lower.bytes.ptr[0] ^ facts->upper.bytes.ptr[0]) & 0x80) != 0) {
        return false;
    }
    memset(facts->uuid_bounds[0], 0, 16);
    memset(facts->uuid_bounds[1], 0xff, 16);
    memcpy(facts->uuid_bounds[0], facts->lower.bytes.ptr, 8);
    memcpy(facts->uuid_bounds[1], facts->upper.bytes.ptr, 8);
    facts->lower.bytes.ptr = facts->uuid_bounds[0];
    facts->upper.bytes.ptr = facts->uuid_bounds[1];
    return true;
}

void iceberg__facts_bounds(struct iceberg__facts *facts, const struct iceberg_expression *leaf,
                           struct slice lower, struct slice upper)
{
    facts->has_lower = facts->has_upper = false;
    if (leaf->value_count == 0 || !facts->may_be_value) {
        return;
    }
    facts->has_lower = decode_bound(&leaf->values[0], lower, &facts->lower);
    facts->has_upper = decode_bound(&leaf->values[0], upper, &facts->upper);
    if (leaf->values[0].type == ICEBERG_UUID) {
        bool is_usable = facts->has_lower && facts->has_upper && loosen_uuids(facts);
        facts->has_lower = facts->has_upper = is_usable;
    }
    int order;
    bool is_real = kind_of(leaf->values[0].type) == KIND_REAL;
    if ((is_real && (facts->has_lower != facts->has_upper)) ||
        (facts->has_lower && facts->has_upper &&
         (!iceberg__compare(&facts->lower, &facts->upper, &order) || order > 0))) {
        /* Inverted, or half of a pair was NaN, as some writers give when the first value is. */
        facts->has_lower = facts->has_upper = false;
    }
}

/* ---- leaves ---- */

/* Order of a bound against a value: 2 when they do not compare, or there is no bound. */
#define ORDER_UNKNOWN 2

static int bound_order(bool has_bound, const struct iceberg_value *bound,
                       const struct iceberg_value *value)
{
    int order;
    return has_bound && iceberg__compare(bound, value, &order) ? order : ORDER_UNKNOWN;
}

/* The values of an IN list that lie within the bounds: none, some, or the only one there is. */
enum in_range {
    IN_NONE,
    IN_SOME,
    IN_ALL, /* lower = upper = a value of the list */
};

static enum in_range range_of(const struct iceberg_expression *leaf,
                              const struct iceberg__facts *facts)
{
    size_t from = 0;
    size_t to = leaf->value_count;
    while (from < to) { /* the first value >= lower */
        size_t middle = from + (to - from) / 2;
        int order = bound_order(facts->has_lower, &facts->lower, &leaf->values[middle]);
        if (order == 1) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    if (from == leaf->value_count) {
        return IN_NONE;
    }
    int upper = bound_order(facts->has_upper, &facts->upper, &leaf->values[from]);
    int lower = bound_order(facts->has_lower, &facts->lower, &leaf->values[from]);
    if (upper == 0 && lower == 0) {
        return IN_ALL;
    }
    return upper < 0 ? IN_NONE : IN_SOME;
}

/* Order of the first bytes of a bound against a prefix; ORDER_UNKNOWN without a bound. */
static int prefix_order(bool has_bound, const struct iceberg_value *bound, struct slice prefix)
{
    if (!has_bound || kind_of(bound->type) != KIND_BYTES) {
        return ORDER_UNKNOWN;
    }
    struct slice head = bound->bytes;
    head.len = head.len < prefix.len ? head.len : prefix.len;
    int order = slice_compare(head, prefix);
    return (order > 0) - (order < 0);
}

/* Whether all values start with the prefix, none do, or it is not known. */
static enum in_range prefix_range(const struct iceberg_expression *leaf,
                                  const struct iceberg__facts *facts)
{
    struct slice prefix = leaf->values[0].bytes;
    int lower = prefix_order(facts->has_lower, &facts->lower, prefix);
    int upper = prefix_order(facts->has_upper, &facts->upper, prefix);
    if (lower == 1 || upper == -1) {
        return IN_NONE;
    }
    return lower == 0 && upper == 0 ? IN_ALL : IN_SOME;
}

/* Whether some (`is_all` false) or all of the values that are neither null nor NaN match. */
static bool values_match(const struct iceberg_expression *leaf, const struct iceberg__facts *facts,
                         bool is_all)
{
    const struct iceberg_value *value = leaf->values;
    int lower = 0;
    int upper = 0;
    if (leaf->op >= ICEBERG_EQUAL && leaf->op <= ICEBERG_GREATER_EQUAL) {
        lower = bound_order(facts->has_lower, &facts->lower, value);
        upper = bound_order(facts->has_upper, &facts->upper, value);
    }
    switch (leaf->op) {
    case ICEBERG_EQUAL:
        return is_all ? lower == 0 && upper == 0 : lower != 1 && upper != -1;
    case ICEBERG_NOT_EQUAL:
        return is_all ? lower == 1 || upper == -1 : lower != 0 || upper != 0;
    case ICEBERG_LESS:
        return is_all ? upper == -1 : lower == -1 || lower == ORDER_UNKNOWN;
    case ICEBERG_LESS_EQUAL:
        return is_all ? upper == -1 || upper == 0 : lower != 1;
    case ICEBERG_GREATER:
        return is_all ? lower == 1 : upper == 1 || upper == ORDER_UNKNOWN;
    case ICEBERG_GREATER_EQUAL:
        return is_all ? lower == 1 || lower == 0 : upper != -1;
    case ICEBERG_IN:
        return is_all ? range_of(leaf, facts) == IN_ALL : range_of(leaf, facts) != IN_NONE;
    case ICEBERG_NOT_IN:
        return is_all ? range_of(leaf, facts) == IN_NONE : range_of(leaf, facts) != IN_ALL;
    case ICEBERG_STARTS_WITH:
        return is_all ? prefix_range(leaf, facts) == IN_ALL : prefix_range(leaf, facts) != IN_NONE;
    case ICEBERG_NOT_STARTS_WITH:
        return is_all ? prefix_range(leaf, facts) == IN_NONE : prefix_range(leaf, facts) != IN_ALL;
    case ICEBERG_NOT_NULL:
    case ICEBERG_NOT_NAN:
        return true;
    case ICEBERG_IS_NULL:
    case ICEBERG_IS_NAN:
    case ICEBERG_TRUE:
    case ICEBERG_FALSE:
    case ICEBERG_AND:
    case ICEBERG_OR:
    case ICEBERG_NOT:
        return false;
    }
    return false;
}

/* NaN is above all values and no literal is NaN (binding folds those). */
static bool nan_matches(enum iceberg_operator op)
{
    return op == ICEBERG_IS_NAN || op == ICEBERG_NOT_NULL || op == ICEBERG_NOT_EQUAL ||
           op == ICEBERG_NOT_IN || op == ICEBERG_GREATER || op == ICEBERG_GREATER_EQUAL;
}

static bool leaf_matches(const struct iceberg_expression *leaf, iceberg__facts_cb callback,
                         void *context, bool is_all)
{
    struct iceberg__facts facts;
    if (!callback(context, leaf, &facts)) {
        return !is_all;
    }
    bool null_matches = leaf->op == ICEBERG_IS_NULL;
    if (is_all) {
        return (!facts.may_be_null || null_matches) &&
               (!facts.may_be_nan || nan_matches(leaf->op)) &&
               (!facts.may_be_value || values_match(leaf, &facts, true));
    }
    return (facts.may_be_null && null_matches) || (facts.may_be_nan && nan_matches(leaf->op)) ||
           (facts.may_be_value && values_match(leaf, &facts, false));
}

static bool tree_matches(const struct iceberg_expression *node, iceberg__facts_cb callback,
                         void *context, bool is_all)
{
    switch (node->op) {
    case ICEBERG_TRUE:
        return true;
    case ICEBERG_FALSE:
        return false;
    case ICEBERG_AND:
        return tree_matches(node->left, callback, context, is_all) &&
               tree_matches(node->right, callback, context, is_all);
    case ICEBERG_OR:
        return tree_matches(node->left, callback, context, is_all) ||
               tree_matches(node->right, callback, context, is_all);
    case ICEBERG_NOT: /* not in bound expressions */
        assert_failed("a bound expression", __FILE__, __LINE__);
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
        return leaf_matches(node, callback, context, is_all);
    }
    return !is_all;
}

bool iceberg__might_match(const struct iceberg_expression *expression, iceberg__facts_cb facts,
                          void *context)
{
    return tree_matches(expression, facts, context, false);
}

bool iceberg__must_match(const struct iceberg_expression *expression, iceberg__facts_cb facts,
                         void *context)
{
    return tree_matches(expression, facts, context, true);
}

/* ---- where facts come from ---- */

static bool has_bounds(const struct iceberg_expression *leaf)
{
    return leaf->value_count > 0;
}

static const struct iceberg_metrics *find_metrics(const struct iceberg_file *file, int32_t field_id)
{
    size_t from = 0;
    size_t to = file->metrics_count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (file->metrics[middle].field_id < field_id) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    bool is_found = from < file->metrics_count && file->metrics[from].field_id == field_id;
    return is_found ? &file->metrics[from] : NULL;
}

/* A column without metrics may be absent from the file (and read as null or its default), or not
 * measured: nothing is known. Counts that contradict each other are not believed. */
bool iceberg__facts_of_metrics(void *file, const struct iceberg_expression *leaf,
                               struct iceberg__facts *ret_facts)
{
    const struct iceberg_metrics *metrics = find_metrics(file, leaf->field_id);
    if (metrics == NULL) {
        return false;
    }
    int64_t values = metrics->value_count;
    int64_t nulls = metrics->null_count;
    bool has_nans = !has_bounds(leaf) || kind_of(leaf->values[0].type) == KIND_REAL;
    int64_t nans = !has_nans || metrics->nan_count < 0 ? 0 : metrics->nan_count;
    memset(ret_facts, 0, offsetof(struct iceberg__facts, lower));
    ret_facts->may_be_null = nulls != 0;
    ret_facts->may_be_nan = has_nans && metrics->nan_count != 0;
    ret_facts->may_be_value = true;
    if (values > 0 && nulls >= 0 && nulls <= values && nans <= values - nulls) {
        ret_facts->may_be_nan &= nulls < values;
        ret_facts->may_be_value = nans < values - nulls;
    } else if (values >= 0 && nulls >= 0) {
        ret_facts->may_be_null = true;
        ret_facts->may_be_nan = has_nans;
    }
    iceberg__facts_bounds(ret_facts, leaf, metrics->lower, metrics->upper);
    return true;
}

bool iceberg_metrics_might_match(const struct iceberg_expression *bound,
                                 const struct iceberg_file *file)
{
    if (file->record_count == 0) {
        return false;
    }
    return iceberg__might_match(bound, iceberg__facts_of_metrics, (void *)(uintptr_t)file);
}

bool iceberg_metrics_must_match(const struct iceberg_expression *bound,
                                const struct iceberg_file *file)
{
    if (file->record_count == 0) {
        return true;
    }
    return iceberg__must_match(bound, iceberg__facts_of_metrics, (void *)(uintptr_t)file);
}

struct partition_context {
    const struct iceberg_spec *spec;
    const struct iceberg_value *partition;
    const struct iceberg_partition_summary *summaries;
    size_t count;
};

static size_t find_partition_field(const struct partition_context *context, int32_t field_id)
{
    for (size_t i = 0; i < context->spec->field_count && i < context->count; i++) {
        if (context->spec->fields[i].field_id == field_id) {
            return i;
        }
    }
    return SIZE_MAX;
}

static bool facts_of_partition(void *context, const struct iceberg_expression *leaf,
                               struct iceberg__facts *ret_facts)
{
    const struct partition_context *partition = context;
    size_t at = find_partition_field(partition, leaf->field_id);
    if (at == SIZE_MAX) {
        return false;
    }
    iceberg__facts_of_value(&partition->partition[at], ret_facts);
    return true;
}

bool iceberg_partition_matches(const struct iceberg_expression *projected,
                               const struct iceberg_spec *spec,
                               const struct iceberg_value *partition, size_t partition_count)
{
    struct partition_context context = {
        .spec = spec, .partition = partition, .count = partition_count};
    return iceberg__might_match(projected, facts_of_partition, &context);
}

bool iceberg__partition_must_match(const struct iceberg_expression *projected,
                                   const struct iceberg_spec *spec,
                                   const struct iceberg_value *partition, size_t partition_count)
{
    struct partition_context context = {
        .spec = spec, .partition = partition, .count = partition_count};
    return iceberg__must_match(projected, facts_of_partition, &context);
}

/* No bound means that all values are null or NaN, if the summary says that there are such. */
static bool facts_of_summary(void *context, const struct iceberg_expression *leaf,
                             struct iceberg__facts *ret_facts)
{
    const struct partition_context *partition = context;
    size_t at = find_partition_field(partition, leaf->field_id);
    if (at == SIZE_MAX) {
        return false;
    }
    const struct iceberg_partition_summary *summary = &partition->summaries[at];
    bool has_nan = summary->has_nan_flag && summary->contains_nan;
    memset(ret_facts, 0, offsetof(struct iceberg__facts, lower));
    ret_facts->may_be_null = summary->contains_null;
    ret_facts->may_be_nan = !summary->has_nan_flag || summary->contains_nan;
    ret_facts->may_be_value = summary->lower.ptr != NULL || summary->upper.ptr != NULL ||
                              !(summary->contains_null || has_nan);
    if (has_bounds(leaf)) {
        ret_facts->may_be_nan &= kind_of(leaf->values[0].type) == KIND_REAL;
    }
    iceberg__facts_bounds(ret_facts, leaf, summary->lower, summary->upper);
    return true;
}

bool iceberg_manifest_might_match(const struct iceberg_expression *projected,
                                  const struct iceberg_spec *spec,
                                  const struct iceberg_manifest *manifest)
{
    if (projected->op != ICEBERG_FALSE && manifest->partition_count != spec->field_count) {
        return true;
    }
    struct partition_context context = {
        .spec = spec, .summaries = manifest->partitions, .count = manifest->partition_count};
    return iceberg__might_match(projected, facts_of_summary, &context);
}
