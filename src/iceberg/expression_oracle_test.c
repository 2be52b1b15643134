/* What predicates mean, row by row. */
#include "iceberg/expression_oracle_int.h"

struct oracle_number oracle_number(const struct iceberg_value *value)
{
    iceberg_int128 unit = 1;
    struct oracle_number number = {.whole = value->integer};
    if (value->type == ICEBERG_DECIMAL) {
        for (uint32_t i = 0; i < value->scale; i++) {
            unit *= 10;
        }
        number.whole = value->decimal / unit;
        number.parts = value->decimal % unit;
        if (number.parts < 0) {
            number.parts += unit;
            number.whole--;
        }
        for (uint32_t i = value->scale; i < 20; i++) {
            number.parts *= 10;
        }
    } else if (value->type == ICEBERG_FLOAT || value->type == ICEBERG_DOUBLE) {
        if (isnan(value->real)) {
            number.kind = 2;
        } else if (fabs(value->real) > 1e36) {
            number.kind = value->real < 0 ? -1 : 1;
        } else {
            number.whole = (iceberg_int128)floor(value->real);
            /* Tests use halves and quarters. */
            number.parts = (iceberg_int128)((value->real - floor(value->real)) * 0x1p20);
        }
    } else if (value->type == ICEBERG_BOOLEAN) {
        number.whole = value->boolean;
    } else if (value->type == ICEBERG_DATE) {
        number.whole = (iceberg_int128)value->integer * 86400 * 1000000000;
    } else if (value->type == ICEBERG_TIMESTAMP || value->type == ICEBERG_TIMESTAMPTZ) {
        number.whole = (iceberg_int128)value->integer * 1000;
    }
    return number;
}

int oracle_order(const struct iceberg_value *a, const struct iceberg_value *b)
{
    if (a->type >= ICEBERG_STRING) {
        return slice_compare(a->bytes, b->bytes);
    }
    struct oracle_number left = oracle_number(a);
    struct oracle_number right = oracle_number(b);
    if (left.kind != right.kind || left.kind != 0) {
        bool is_far = left.kind == right.kind && (left.kind == 1 || left.kind == -1);
        return is_far ? (a->real > b->real) - (a->real < b->real)
                      : (left.kind > right.kind) - (left.kind < right.kind);
    }
    if (left.whole != right.whole) {
        return left.whole > right.whole ? 1 : -1;
    }
    return (left.parts > right.parts) - (left.parts < right.parts);
}

const struct iceberg_value *oracle_value(const struct oracle_row *row, int32_t id)
{
    for (size_t i = 0; i < row->count; i++) {
        if (row->ids[i] == id) {
            return &row->values[i];
        }
    }
    assert_non_null(NULL);
    return NULL;
}

enum truth oracle_truth(bool value)
{
    return value ? TRUTH_TRUE : TRUTH_FALSE;
}

enum truth oracle_in(const struct iceberg_expression *leaf, const struct iceberg_value *value)
{
    enum truth truth = TRUTH_FALSE;
    if (leaf->value_count == 0) {
        return TRUTH_FALSE;
    }
    if (value->is_null) {
        return TRUTH_UNKNOWN;
    }
    for (size_t i = 0; i < leaf->value_count; i++) {
        if (leaf->values[i].is_null) {
            truth = truth == TRUTH_TRUE ? TRUTH_TRUE : TRUTH_UNKNOWN;
        } else if (oracle_order(value, &leaf->values[i]) == 0) {
            truth = TRUTH_TRUE;
        }
    }
    return truth;
}

enum truth oracle_compare(const struct iceberg_expression *leaf, const struct iceberg_value *value)
{
    const struct iceberg_value *literal = &leaf->values[0];
    if (value->is_null || literal->is_null) {
        return TRUTH_UNKNOWN;
    }
    bool starts =
        leaf->op >= ICEBERG_STARTS_WITH && slice_starts_with(value->bytes, literal->bytes);
    int order = leaf->op >= ICEBERG_STARTS_WITH ? 0 : oracle_order(value, literal);
    switch ((int)leaf->op) {
    case ICEBERG_EQUAL:
        return oracle_truth(order == 0);
    case ICEBERG_NOT_EQUAL:
        return oracle_truth(order != 0);
    case ICEBERG_LESS:
        return oracle_truth(order < 0);
    case ICEBERG_LESS_EQUAL:
        return oracle_truth(order <= 0);
    case ICEBERG_GREATER:
        return oracle_truth(order > 0);
    case ICEBERG_GREATER_EQUAL:
        return oracle_truth(order >= 0);
    case ICEBERG_STARTS_WITH:
        return oracle_truth(starts);
    default:
        return oracle_truth(!starts);
    }
}

enum truth oracle_eval(const struct iceberg_expression *node, const struct oracle_row *row)
{
    enum truth left;
    enum truth right;
    switch ((int)node->op) {
    case ICEBERG_TRUE:
    case ICEBERG_FALSE:
        return oracle_truth(node->op == ICEBERG_TRUE);
    case ICEBERG_AND:
    case ICEBERG_OR:
        left = oracle_eval(node->left, row);
        right = oracle_eval(node->right, row);
        return (node->op == ICEBERG_AND) == (left < right) ? left : right;
    case ICEBERG_NOT:
        return (enum truth)(TRUTH_TRUE - oracle_eval(node->left, row));
    default:
        break;
    }
    const struct iceberg_value *value = oracle_value(row, node->field_id);
    bool is_nan = !value->is_null &&
                  (value->type == ICEBERG_FLOAT || value->type == ICEBERG_DOUBLE) &&
                  isnan(value->real);
    switch ((int)node->op) {
    case ICEBERG_IS_NULL:
        return oracle_truth(value->is_null);
    case ICEBERG_NOT_NULL:
        return oracle_truth(!value->is_null);
    case ICEBERG_IS_NAN:
        return value->is_null ? TRUTH_UNKNOWN : oracle_truth(is_nan);
    case ICEBERG_NOT_NAN:
        return value->is_null ? TRUTH_UNKNOWN : oracle_truth(!is_nan);
    case ICEBERG_IN:
        return oracle_in(node, value);
    case ICEBERG_NOT_IN:
        return (enum truth)(TRUTH_TRUE - oracle_in(node, value));
    default:
        return oracle_compare(node, value);
    }
}

/* Prints what a failing test is about. */
void oracle_explain(const char *what, const struct iceberg_expression *expression,
                    const struct oracle_row *row)
{
    struct buf text CLEANUP(buf_fini) = {0};
    iceberg_expression_print(expression, NULL, &text);
    for (size_t i = 0; row != NULL && i < row->count; i++) {
        buf_printf(&text, "\n  #%d (type %d): ", row->ids[i], (int)row->values[i].type);
        if (row->values[i].is_null) {
            buf_append_str(&text, "null");
        } else {
            iceberg_value_print(&row->values[i], &text);
        }
    }
    print_message("%s: %s\n", what, buf_cstr(&text));
}

/* Mostly few and small, so that values meet; sometimes at an end of the type. */
int64_t oracle_integer(uint64_t *seed, int64_t least, int64_t most, int64_t step)
{
    uint64_t dice = test_random_below(seed, 16);
    int64_t small = (int64_t)test_random_below(seed, 25) - 12;
    if (dice == 0) {
        return most - (int64_t)test_random_below(seed, 40);
    }
    if (dice == 1) {
        return least + (int64_t)test_random_below(seed, 40);
    }
    if (dice == 2) {
        return (int64_t)(test_random(seed) % ((uint64_t)most - (uint64_t)least) + (uint64_t)least);
    }
    int64_t near = (int64_t)test_random_below(seed, 3) - 1;
    return dice < 8 ? small * step + near : small;
}

int64_t oracle_step(uint64_t *seed, int64_t per_second)
{
    static const int64_t seconds[] = {3600, 86400, 31 * 86400, 365 * 86400};
    return seconds[test_random_below(seed, ARRAY_COUNT(seconds))] * per_second;
}

double oracle_real(uint64_t *seed)
{
    static const double odd[] = {0.0,      -0.0, NAN,     INFINITY,           -INFINITY,
                                 0x1.8p20, 1e38, -0x1p24, 9007199254740992.0, 1e300};
    uint64_t dice = test_random_below(seed, 4);
    if (dice == 0) {
        return odd[test_random_below(seed, ARRAY_COUNT(odd) - 1)];
    }
    return ((double)test_random_below(seed, 41) - 20) / 4;
}

struct slice oracle_text(uint64_t *seed, struct arena *arena, size_t len_max)
{
    static const char *const letters[] = {
        "a", "b", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x99\x82", "\x7f"};
    char text[64];
    size_t len = 0;
    size_t count = test_random_below(seed, len_max + 1);
    for (size_t i = 0; i < count; i++) {
        bool is_same = test_random_below(seed, 2) == 0; /* so that texts share beginnings */
        const char *letter = letters[is_same ? 0 : test_random_below(seed, ARRAY_COUNT(letters))];
        memcpy(text + len, letter, strlen(letter));
        len += strlen(letter);
    }
    struct slice copy;
    CHECK(arena_slice(arena, (struct slice){text, len}, &copy));
    return copy;
}

struct slice oracle_bytes(uint64_t *seed, struct arena *arena, size_t len)
{
    static const char bytes[] = {0, 1, 0x7f, (char)0x80, (char)0xff};
    char text[16];
    for (size_t i = 0; i < len; i++) {
        text[i] = bytes[test_random_below(seed, len == 16 && i != 0 && i != 8 ? 1 : sizeof(bytes))];
    }
    struct slice copy;
    CHECK(arena_slice(arena, (struct slice){text, len}, &copy));
    return copy;
}

struct iceberg_value oracle_random_value(uint64_t *seed, struct arena *arena,
                                         const struct iceberg_type *type, unsigned null_percent)
{
    struct iceberg_value value = {
        .type = type->id, .precision = type->precision, .scale = type->scale};
    if (test_random_below(seed, 100) < null_percent) {
        value.is_null = true;
        return value;
    }
    switch ((int)type->id) {
    case ICEBERG_BOOLEAN:
        value.boolean = test_random_below(seed, 2) == 1;
        break;
    case ICEBERG_INT:
        value.integer = oracle_integer(seed, INT32_MIN, INT32_MAX, 10);
        break;
    case ICEBERG_DATE:
        value.integer = oracle_integer(seed, INT32_MIN / 64, INT32_MAX / 64, 31);
        break;
    case ICEBERG_LONG:
        value.integer = oracle_integer(seed, INT64_MIN, INT64_MAX, 10);
        break;
    case ICEBERG_TIME:
        value.integer = (int64_t)test_random_below(seed, 20);
        break;
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
        value.integer = oracle_integer(seed, INT64_MIN, INT64_MAX, oracle_step(seed, 1000000));
        break;
    case ICEBERG_TIMESTAMP_NS:
    case ICEBERG_TIMESTAMPTZ_NS:
        value.integer = oracle_integer(seed, INT64_MIN, INT64_MAX, oracle_step(seed, 1000000000));
        break;
    case ICEBERG_FLOAT:
        value.real = (double)(float)oracle_real(seed);
        break;
    case ICEBERG_DOUBLE:
        value.real = oracle_real(seed);
        break;
    case ICEBERG_DECIMAL:
        value.decimal = (iceberg_int128)oracle_integer(seed, -999999999, 999999999, 10);
        if (type->precision == 38 && test_random_below(seed, 8) == 0) {
            value.decimal *= 1000000000000000000;
            value.decimal *= 10000000000;
        }
        break;
    case ICEBERG_STRING:
        value.bytes = oracle_text(seed, arena, 6);
        break;
    case ICEBERG_UUID:
        value.bytes = oracle_bytes(seed, arena, 16);
        break;
    case ICEBERG_FIXED:
        value.bytes = oracle_bytes(seed, arena, 3);
        break;
    default:
        value.bytes = oracle_bytes(seed, arena, test_random_below(seed, 6));
        break;
    }
    return value;
}

/* A literal for a field: of its type, or of one that compares with it. */
struct iceberg_value oracle_literal(uint64_t *seed, struct arena *arena,
                                    const struct iceberg_type *type)
{
    static const struct iceberg_type decimal = {.id = ICEBERG_DECIMAL, .precision = 38, .scale = 3};
    struct iceberg_type other = *type;
    if (test_random_below(seed, 3) == 0) {
        if (type->id == ICEBERG_INT || type->id == ICEBERG_LONG || type->id == ICEBERG_DECIMAL) {
            other = test_random_below(seed, 2) == 0 ? decimal
                                                    : (struct iceberg_type){.id = ICEBERG_LONG};
        } else if (type->id == ICEBERG_FLOAT) {
            other.id = ICEBERG_DOUBLE;
        } else if (type->id == ICEBERG_DATE) {
            other.id = ICEBERG_TIMESTAMP;
        } else if (type->id == ICEBERG_TIMESTAMP) {
            other.id = ICEBERG_DATE;
        }
    }
    return oracle_random_value(seed, arena, &other, 3);
}

const struct iceberg_expression *oracle_leaf(uint64_t *seed, struct arena *arena,
                                             const struct iceberg_field *field)
{
    struct iceberg_expression *leaf = arena_calloc(arena, 1, sizeof(*leaf));
    CHECK(leaf != NULL);
    unsigned last = field->type.id == ICEBERG_STRING ? ICEBERG_NOT_STARTS_WITH : ICEBERG_NOT_IN;
    leaf->op = (enum iceberg_operator)(ICEBERG_IS_NULL +
                                       test_random_below(seed, last - ICEBERG_IS_NULL + 1));
    leaf->field_id = field->id;
    if (leaf->op <= ICEBERG_NOT_NAN) {
        return leaf;
    }
    bool is_list = leaf->op == ICEBERG_IN || leaf->op == ICEBERG_NOT_IN;
    leaf->value_count = is_list ? test_random_below(seed, 5) : 1;
    struct iceberg_value *values = arena_calloc(arena, leaf->value_count + 1, sizeof(*values));
    CHECK(values != NULL);
    for (size_t i = 0; i < leaf->value_count; i++) {
        values[i] = oracle_literal(seed, arena, &field->type);
    }
    leaf->values = values;
    return leaf;
}

const struct iceberg_expression *oracle_tree(uint64_t *seed, struct arena *arena,
                                             const struct iceberg_schema *schema, unsigned depth)
{
    uint64_t dice = test_random_below(seed, 10);
    if (depth == 0 || dice < 4) {
        const struct iceberg_type *root = &schema->root;
        return oracle_leaf(seed, arena, &root->fields[test_random_below(seed, root->field_count)]);
    }
    struct iceberg_expression *node = arena_calloc(arena, 1, sizeof(*node));
    CHECK(node != NULL);
    node->op = dice < 6                          ? ICEBERG_AND
               : dice < 8                        ? ICEBERG_OR
               : dice < 9                        ? ICEBERG_NOT
               : test_random_below(seed, 2) == 0 ? ICEBERG_TRUE
                                                 : ICEBERG_FALSE;
    if (node->op == ICEBERG_AND || node->op == ICEBERG_OR || node->op == ICEBERG_NOT) {
        node->left = oracle_tree(seed, arena, schema, depth - 1);
        node->right = oracle_tree(seed, arena, schema, depth - 1);
    }
    return node;
}
