/* Fuzzes binding, projection, evaluation and residuals: the bytes say a schema, a spec, a
 * predicate, a partition, and a file's statistics, which need not make sense together. Checked:
 * nothing crashes, a partition that the strict projection proves is one that the inclusive one
 * allows, and statistics that prove a predicate allow it. */
#include "base/fuzz.h"
#include "iceberg/expression_int.h"

#define FIELDS_MAX 6
#define PARTITION_FIELDS_MAX 5
#define DEPTH_MAX 12

struct input {
    const uint8_t *at;
    const uint8_t *end;
    struct arena *arena;
};

static uint8_t take(struct input *input)
{
    return input->at < input->end ? *input->at++ : 0;
}

static struct slice take_bytes(struct input *input, size_t len)
{
    size_t left = (size_t)(input->end - input->at);
    struct slice bytes = {(const char *)input->at, len < left ? len : left};
    input->at += bytes.len;
    return bytes;
}

static int64_t take_integer(struct input *input)
{
    uint8_t kind = take(input);
    if (kind < 0x40) {
        return (int64_t)kind - 0x20;
    }
    if (kind < 0x50) {
        return (kind & 1) != 0 ? INT64_MAX - (kind >> 1 & 7) : INT64_MIN + (kind >> 1 & 7);
    }
    if (kind < 0x60) {
        return (kind & 1) != 0 ? INT32_MAX - (kind >> 1 & 7) : INT32_MIN + (kind >> 1 & 7);
    }
    struct slice bytes = take_bytes(input, 8);
    int64_t value = 0;
    memcpy(&value, bytes.ptr, bytes.len);
    return value;
}

static struct iceberg_type take_type(struct input *input)
{
    struct iceberg_type type = {.id = (enum iceberg_type_id)(take(input) % ICEBERG_STRUCT)};
    if (type.id == ICEBERG_DECIMAL) {
        type.precision = take(input) % 38 + 1u;
        type.scale = take(input) % (type.precision + 1);
    }
    type.length = type.id == ICEBERG_FIXED ? take(input) % 20 : 0;
    return type;
}

/* A value as parsers give it: whole numbers within their type, decimals within 38 digits. */
static struct iceberg_value take_value(struct input *input, const struct iceberg_type *type)
{
    struct iceberg_value value = {
        .type = type->id, .precision = type->precision, .scale = type->scale};
    value.is_null = take(input) % 16 == 0 || type->id == ICEBERG_UNKNOWN;
    if (value.is_null) {
        return value;
    }
    if (type->id == ICEBERG_UUID) {
        static const char zeros[16];
        value.bytes = take_bytes(input, 16);
        value.bytes = value.bytes.len == 16 ? value.bytes : (struct slice){zeros, 16};
    } else if (type->id >= ICEBERG_STRING) {
        value.bytes = take_bytes(input, take(input) % 24);
    } else if (type->id == ICEBERG_FLOAT || type->id == ICEBERG_DOUBLE) {
        int64_t bits = take_integer(input);
        memcpy(&value.real, &bits, sizeof(bits));
        value.real = type->id == ICEBERG_FLOAT ? (double)(float)value.real : value.real;
    } else if (type->id == ICEBERG_DECIMAL) {
        value.decimal =
            (iceberg_int128)take_integer(input) * (take(input) % 2 == 0 ? 1 : INT64_MAX);
        value.decimal %= (iceberg_int128)INT64_C(1000000000000000000) * 1000000000000000000 * 100;
    } else {
        value.integer = take_integer(input);
        bool is_narrow = type->id == ICEBERG_INT || type->id == ICEBERG_DATE;
        value.integer = is_narrow ? (int32_t)value.integer : value.integer;
        value.boolean = (value.integer & 1) != 0;
    }
    return value;
}

static const struct iceberg_expression *take_tree(struct input *input,
                                                  const struct iceberg_field *fields,
                                                  size_t field_count, unsigned depth)
{
    struct iceberg_expression *node = arena_calloc(input->arena, 1, sizeof(*node));
    if (node == NULL || (depth == 0 && take(input) % 8 == 0)) {
        return NULL;
    }
    node->op = (enum iceberg_operator)(take(input) % (ICEBERG_NOT_STARTS_WITH + 1));
    if (node->op >= ICEBERG_AND && node->op <= ICEBERG_NOT) {
        node->left = depth == 0 ? &iceberg__true : take_tree(input, fields, field_count, depth - 1);
        node->right = depth == 0 ? NULL : take_tree(input, fields, field_count, depth - 1);
        return node;
    }
    uint8_t at = take(input);
    const struct iceberg_field *field = &fields[at % field_count];
    node->field_id = at == 0xff ? 77 : field->id;
    node->value_count = node->op >= ICEBERG_EQUAL ? take(input) % 4 : 0;
    struct iceberg_value *values =
        arena_calloc(input->arena, node->value_count + 1, sizeof(*values));
    for (size_t i = 0; values != NULL && i < node->value_count; i++) {
        struct iceberg_type other = take(input) % 4 == 0 ? take_type(input) : field->type;
        values[i] = take_value(input, &other);
    }
    node->values = values;
    return node;
}

static void check_partition(struct input *input, const struct iceberg_expression *bound,
                            const struct iceberg_spec *spec, const struct iceberg_schema *schema)
{
    struct iceberg_value partition[PARTITION_FIELDS_MAX];
    const struct iceberg_expression *inclusive;
    const struct iceberg_expression *strict;
    const struct iceberg_expression *residual;
    for (size_t i = 0; i < spec->field_count; i++) {
        const struct iceberg_partition_field *field = &spec->fields[i];
        struct iceberg_type result;
        const struct iceberg_field *source =
            iceberg_schema_find_id(schema, field->source_ids[0], NULL);
        if (iceberg_transform_result(&field->transform, &source->type, &result, NULL) != ERR_OK) {
            result = (struct iceberg_type){.id = ICEBERG_INT};
        }
        partition[i] = take_value(input, &result);
    }
    if (iceberg_project_inclusive(bound, spec, input->arena, &inclusive, NULL) != ERR_OK ||
        iceberg_project_strict(bound, spec, input->arena, &strict, NULL) != ERR_OK ||
        iceberg_residual(bound, spec, partition, spec->field_count, input->arena, &residual,
                         NULL) != ERR_OK) {
        return;
    }
    ASSERT(!iceberg__partition_must_match(inclusive, spec, partition, spec->field_count) ||
           iceberg_partition_matches(inclusive, spec, partition, spec->field_count));
    struct iceberg_partition_summary summaries[PARTITION_FIELDS_MAX] = {{0}};
    for (size_t i = 0; i < spec->field_count; i++) {
        summaries[i].contains_null = take(input) % 2 == 0;
        summaries[i].has_nan_flag = take(input) % 2 == 0;
        summaries[i].lower = take_bytes(input, take(input) % 17);
        summaries[i].upper = take_bytes(input, take(input) % 17);
    }
    struct iceberg_manifest manifest = {.partitions = summaries,
                                        .partition_count = spec->field_count};
    (void)iceberg_manifest_might_match(inclusive, spec, &manifest);
}

static void check_metrics(struct input *input, const struct iceberg_expression *bound,
                          const struct iceberg_schema *schema)
{
    struct iceberg_metrics metrics[FIELDS_MAX] = {{0}};
    struct iceberg_file file = {.record_count = take(input) % 8, .metrics = metrics};
    for (size_t i = 0; i < schema->root.field_count; i++) {
        metrics[i] = (struct iceberg_metrics){.field_id = schema->root.fields[i].id,
                                              .value_count = take(input) % 8 - 1,
                                              .null_count = take(input) % 8 - 1,
                                              .nan_count = take(input) % 8 - 1};
        metrics[i].lower = take_bytes(input, take(input) % 17);
        metrics[i].upper = take_bytes(input, take(input) % 17);
        file.metrics_count++;
    }
    bool must = iceberg_metrics_must_match(bound, &file);
    bool might = iceberg_metrics_might_match(bound, &file);
    ASSERT(!must || might || file.record_count == 0);
}

static void run(struct input *input)
{
    static const struct slice texts[] = {
        SLICE("identity"), SLICE("bucket[7]"), SLICE("truncate[3]"), SLICE("truncate[2147483647]"),
        SLICE("year"),     SLICE("month"),     SLICE("day"),         SLICE("hour"),
        SLICE("void"),     SLICE("zorder")};
    struct iceberg_field fields[FIELDS_MAX];
    struct iceberg_partition_field partition[PARTITION_FIELDS_MAX];
    int32_t ids[FIELDS_MAX];
    size_t field_count = take(input) % FIELDS_MAX + 1u;
    for (size_t i = 0; i < field_count; i++) {
        ids[i] = (int32_t)i + 1;
        fields[i] =
            (struct iceberg_field){.id = ids[i], .name = SLICE("c"), .type = take_type(input)};
    }
    struct iceberg_schema schema = {
        .root = {.id = ICEBERG_STRUCT, .fields = fields, .field_count = field_count}};
    struct iceberg_spec spec = {.fields = partition,
                                .field_count = take(input) % (PARTITION_FIELDS_MAX + 1)};
    for (size_t i = 0; i < spec.field_count; i++) {
        partition[i] =
            (struct iceberg_partition_field){.source_ids = &ids[take(input) % field_count],
                                             .source_count = 1,
                                             .field_id = 1000 + (int32_t)i};
        enum err err = iceberg_transform_parse(texts[take(input) % ARRAY_COUNT(texts)],
                                               &partition[i].transform, NULL);
        ASSERT(err == ERR_OK);
    }
    const struct iceberg_expression *tree = take_tree(input, fields, field_count, DEPTH_MAX);
    const struct iceberg_expression *bound;
    struct buf text CLEANUP(buf_fini) = {0};
    if (iceberg_expression_bind(tree, &schema, input->arena, &bound, NULL) != ERR_OK) {
        return;
    }
    iceberg_expression_print(bound, &schema, &text);
    check_partition(input, bound, &spec, &schema);
    check_metrics(input, bound, &schema);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "fuzz", (size_t)64 << 20);
    struct input input = {.at = data, .end = data + size, .arena = arena};
    if (arena != NULL) {
        run(&input);
    }
    return 0;
}
