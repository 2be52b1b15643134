/* Projections and residuals against rows: what a predicate means is told by expression_oracle_int.h
 * alone, what a partition is by iceberg_transform_apply alone. */
#include "iceberg/expression_oracle_int.h"
#include "iceberg/transform_int.h"

#define FIELDS_MAX 3
#define PARTITION_FIELDS_MAX 4

struct world {
    uint64_t seed;
    struct arena *arena;
    struct iceberg_field fields[FIELDS_MAX];
    int32_t ids[FIELDS_MAX];
    struct iceberg_schema schema;
    struct iceberg_partition_field partition_fields[PARTITION_FIELDS_MAX];
    struct iceberg_spec spec;
};

static const char *const transforms[] = {"identity",    "bucket[1]",   "bucket[4]", "truncate[1]",
                                         "truncate[3]", "truncate[7]", "year",      "month",
                                         "day",         "hour",        "void",      "zorder"};

static bool make_partition_field(struct world *world, size_t at)
{
    struct iceberg_partition_field *field = &world->partition_fields[at];
    size_t source = test_random_below(&world->seed, world->schema.root.field_count);
    struct iceberg_type result;
    *field = (struct iceberg_partition_field){.source_ids = &world->ids[source],
                                              .source_count = 1,
                                              .field_id = 1000 + (int32_t)at,
                                              .name = SLICE("p")};
    const char *text = transforms[test_random_below(&world->seed, ARRAY_COUNT(transforms))];
    CHECK_OK(iceberg_transform_parse(slice_of(text), &field->transform, NULL));
    return iceberg_transform_result(&field->transform, &world->fields[source].type, &result,
                                    NULL) == ERR_OK;
}

static void make_world(struct world *world)
{
    size_t field_count = 1 + test_random_below(&world->seed, FIELDS_MAX);
    for (size_t i = 0; i < field_count; i++) {
        world->ids[i] = (int32_t)i + 1;
        world->fields[i] = (struct iceberg_field){
            .id = world->ids[i],
            .name = SLICE("c"),
            .type = oracle_types[test_random_below(&world->seed, ARRAY_COUNT(oracle_types))]};
    }
    world->schema.root = (struct iceberg_type){
        .id = ICEBERG_STRUCT, .fields = world->fields, .field_count = field_count};
    size_t count = 0;
    size_t wanted = 1 + test_random_below(&world->seed, PARTITION_FIELDS_MAX);
    for (unsigned attempt = 0; attempt < 40 && count < wanted; attempt++) {
        count += make_partition_field(world, count);
    }
    world->spec = (struct iceberg_spec){.fields = world->partition_fields, .field_count = count};
}

/* What a file of the row's partition would hold; now and then as release 0.10 of the reference
 * implementation computed it for times before 1970. */
static void make_partition(struct world *world, const struct iceberg_value *row,
                           struct iceberg_value *partition)
{
    for (size_t i = 0; i < world->spec.field_count; i++) {
        const struct iceberg_partition_field *field = &world->spec.fields[i];
        size_t source = (size_t)field->source_ids[0] - 1;
        CHECK_OK(iceberg_transform_apply(&field->transform, &world->fields[source].type,
                                         &row[source], world->arena, &partition[i]));
        enum iceberg_transform_kind kind = field->transform.kind;
        bool is_time = kind == TRANSFORM_YEAR || kind == TRANSFORM_MONTH ||
                       kind == TRANSFORM_HOUR ||
                       (kind == TRANSFORM_DAY && row[source].type != ICEBERG_DATE);
        if (is_time && row[source].integer < 0 && test_random_below(&world->seed, 3) == 0) {
            partition[i].integer = (int32_t)((uint32_t)partition[i].integer + 1);
        }
    }
}

struct counts {
    uint64_t rows;
    uint64_t skipped;  /* the inclusive projection said no */
    uint64_t proven;   /* the strict one said yes */
    uint64_t residual; /* the residual is shorter than the predicate */
};

static void check_row(struct world *world, const struct iceberg_expression *bound,
                      const struct iceberg_expression *inclusive,
                      const struct iceberg_expression *strict, struct counts *counts)
{
    struct iceberg_value values[FIELDS_MAX];
    struct iceberg_value partition[PARTITION_FIELDS_MAX];
    const struct iceberg_expression *residual;
    for (size_t i = 0; i < world->schema.root.field_count; i++) {
        values[i] = oracle_random_value(&world->seed, world->arena, &world->fields[i].type, 10);
    }
    make_partition(world, values, partition);
    struct oracle_row row = {
        .ids = world->ids, .values = values, .count = world->schema.root.field_count};
    bool is_match = oracle_eval(bound, &row) == TRUTH_TRUE;
    bool might =
        iceberg_partition_matches(inclusive, &world->spec, partition, world->spec.field_count);
    bool must =
        iceberg__partition_must_match(strict, &world->spec, partition, world->spec.field_count);
    if ((is_match && !might) || (must && !is_match)) {
        oracle_explain("predicate", bound, &row);
        oracle_explain(might ? "strict" : "inclusive", might ? strict : inclusive, NULL);
    }
    CHECK(!is_match || might);
    CHECK(!must || is_match);
    CHECK_OK(iceberg_residual(bound, &world->spec, partition, world->spec.field_count, world->arena,
                              &residual, NULL));
    assert_int_equal(oracle_eval(residual, &row) == TRUTH_TRUE, is_match);
    CHECK(!must || residual->op == ICEBERG_TRUE);
    CHECK(might || residual->op == ICEBERG_FALSE);
    counts->rows++;
    counts->skipped += !might;
    counts->proven += must;
    counts->residual += residual != bound;
}

TEST(project, inclusive_strict_and_residual_hold_for_every_row)
{
    /* Goal: (1) a matching row's partition matches the inclusive projection, (2) a partition that
     * matches the strict one holds matching rows only, (3) a row matches if and only if it matches
     * the residual of its partition. Method: random schemas, specs, trees and rows. */
    struct world world = {.seed = test_seed()};
    struct counts counts = {0};
    for (unsigned round = 0; round < 6000; round++) {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
        world.arena = arena;
        make_world(&world);
        const struct iceberg_expression *tree =
            oracle_tree(&world.seed, arena, &world.schema, round % 4);
        const struct iceberg_expression *bound;
        const struct iceberg_expression *inclusive;
        const struct iceberg_expression *strict;
        if (iceberg_expression_bind(tree, &world.schema, arena, &bound, NULL) != ERR_OK) {
            continue;
        }
        CHECK_OK(iceberg_project_inclusive(bound, &world.spec, arena, &inclusive, NULL));
        CHECK_OK(iceberg_project_strict(bound, &world.spec, arena, &strict, NULL));
        for (unsigned i = 0; i < 25; i++) {
            check_row(&world, bound, inclusive, strict, &counts);
        }
    }
    print_message("%llu rows: %llu skipped, %llu proven, %llu with a shorter residual\n",
                  (unsigned long long)counts.rows, (unsigned long long)counts.skipped,
                  (unsigned long long)counts.proven, (unsigned long long)counts.residual);
    CHECK(counts.rows > 50000 && counts.skipped > counts.rows / 10 &&
          counts.proven > counts.rows / 20 && counts.residual > counts.rows / 10);
}

/* One column of `type`, one field with `transform`, `op` and a value: the projection as text. */
static void check_projection(const char *transform, struct iceberg_type type,
                             enum iceberg_operator op, struct iceberg_value value, bool is_strict,
                             const char *expected)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct buf text CLEANUP(buf_fini) = {0};
    int32_t id = 1;
    struct iceberg_field field = {.id = 1, .name = SLICE("c"), .type = type};
    struct iceberg_schema schema = {
        .root = {.id = ICEBERG_STRUCT, .fields = &field, .field_count = 1}};
    struct iceberg_partition_field partition = {
        .source_ids = &id, .source_count = 1, .field_id = 1000};
    struct iceberg_spec spec = {.fields = &partition, .field_count = 1};
    struct iceberg_expression leaf = {.op = op, .field_id = 1, .values = &value, .value_count = 1};
    const struct iceberg_expression *bound;
    const struct iceberg_expression *projected;
    CHECK_OK(iceberg_transform_parse(slice_of(transform), &partition.transform, NULL));
    CHECK_OK(iceberg_expression_bind(&leaf, &schema, arena, &bound, NULL));
    CHECK_OK((is_strict ? iceberg_project_strict : iceberg_project_inclusive)(bound, &spec, arena,
                                                                              &projected, NULL));
    iceberg_expression_print(projected, NULL, &text);
    CHECK_STR(expected, buf_cstr(&text));
}

TEST(project, examples_read_as_they_should)
{
    /* Goal: projections are as tight as they can be, not only safe. */
    struct iceberg_type integer = {.id = ICEBERG_LONG};
    struct iceberg_type date = {.id = ICEBERG_DATE};
    struct iceberg_type timestamp = {.id = ICEBERG_TIMESTAMP};
    struct iceberg_type string = {.id = ICEBERG_STRING};
    struct iceberg_value ten = {.type = ICEBERG_LONG, .integer = 10};
    struct iceberg_value day = {.type = ICEBERG_DATE, .integer = 19753};
    struct iceberg_value old = {.type = ICEBERG_TIMESTAMP, .integer = -INT64_C(86400000000) * 40};
    struct iceberg_value text = {.type = ICEBERG_STRING, .bytes = SLICE("iceberg")};
    struct iceberg_value ice = {.type = ICEBERG_STRING, .bytes = SLICE("ic")};
    check_projection("bucket[16]", integer, ICEBERG_EQUAL, ten, false, "#1000 = 12");
    check_projection("bucket[16]", integer, ICEBERG_LESS, ten, false, "#1000 IS NOT NULL");
    check_projection("bucket[16]", integer, ICEBERG_NOT_EQUAL, ten, true, "#1000 <> 12");
    check_projection("bucket[16]", integer, ICEBERG_EQUAL, ten, true, "FALSE");
    check_projection("identity", integer, ICEBERG_LESS, ten, true, "#1000 < 10");
    check_projection("void", integer, ICEBERG_EQUAL, ten, false, "TRUE");
    check_projection("month", date, ICEBERG_EQUAL, day, false, "#1000 = 648");
    check_projection("month", date, ICEBERG_GREATER_EQUAL, day, true, "#1000 > 648");
    check_projection("day", date, ICEBERG_EQUAL, day, false, "#1000 = '2024-01-31'");
    check_projection("day", timestamp, ICEBERG_EQUAL, old, false,
                     "#1000 IN ('1969-11-22', '1969-11-23')");
    check_projection("day", timestamp, ICEBERG_LESS_EQUAL, old, false, "#1000 <= '1969-11-23'");
    check_projection("day", timestamp, ICEBERG_GREATER, old, false, "#1000 >= '1969-11-22'");
    check_projection("day", timestamp, ICEBERG_GREATER, old, true, "#1000 > '1969-11-23'");
    check_projection("truncate[3]", string, ICEBERG_EQUAL, text, false, "#1000 = 'ice'");
    check_projection("truncate[3]", string, ICEBERG_STARTS_WITH, text, false, "#1000 = 'ice'");
    check_projection("truncate[3]", string, ICEBERG_STARTS_WITH, ice, true,
                     "#1000 STARTS WITH 'ic'");
    check_projection("truncate[3]", string, ICEBERG_EQUAL, ice, true, "#1000 = 'ic'");
    check_projection("truncate[3]", string, ICEBERG_LESS, text, false, "#1000 <= 'ice'");
    check_projection("truncate[2]", string, ICEBERG_GREATER, ice, false, "#1000 >= 'ic'");
    check_projection("truncate[3]", string, ICEBERG_GREATER, ice, false, "#1000 > 'ic'");
}

TEST(project, the_greatest_decimals_are_numbers_too)
{
    /* Goal: what lies between 2^126 and 10^38 is neither dropped nor proved. */
    const iceberg_int128 ten_to_19 = (iceberg_int128)10000000000000000000u;
    struct iceberg_type type = {.id = ICEBERG_DECIMAL, .precision = 38};
    struct iceberg_value least = {
        .type = ICEBERG_DECIMAL, .precision = 38, .decimal = -(ten_to_19 * ten_to_19 - 1)};
    struct iceberg_value greatest = {
        .type = ICEBERG_DECIMAL, .precision = 38, .decimal = ten_to_19 * ten_to_19 - 1};
    check_projection("truncate[10]", type, ICEBERG_LESS_EQUAL, least, false,
                     "#1000 <= -100000000000000000000000000000000000000");
    check_projection("truncate[10]", type, ICEBERG_EQUAL, greatest, false,
                     "#1000 = 99999999999999999999999999999999999990");
    check_projection("truncate[10]", type, ICEBERG_GREATER_EQUAL, greatest, false,
                     "#1000 >= 99999999999999999999999999999999999990");
    check_projection("truncate[10]", type, ICEBERG_GREATER, least, true,
                     "#1000 > -100000000000000000000000000000000000000");
}
