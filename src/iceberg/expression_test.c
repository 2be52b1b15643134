/* Binding and metrics against rows (expression_oracle_int.h). */
#include "iceberg/expression_oracle_int.h"

#include "base/sweep.h"

#define FIELDS_MAX 3
#define ROWS_MAX 6

struct world {
    uint64_t seed;
    struct arena *arena;
    struct iceberg_field fields[FIELDS_MAX];
    int32_t ids[FIELDS_MAX];
    struct iceberg_schema schema;
    struct iceberg_value rows[ROWS_MAX][FIELDS_MAX];
    size_t row_count;
    struct iceberg_metrics metrics[FIELDS_MAX];
    struct iceberg_file file;
};

static void make_schema(struct world *world)
{
    size_t field_count = 1 + test_random_below(&world->seed, FIELDS_MAX);
    for (size_t i = 0; i < field_count; i++) {
        world->ids[i] = 3 * (int32_t)i + 1;
        world->fields[i] = (struct iceberg_field){
            .id = world->ids[i],
            .name = SLICE("c"),
            .type = oracle_types[test_random_below(&world->seed, ARRAY_COUNT(oracle_types))]};
    }
    world->schema.root = (struct iceberg_type){
        .id = ICEBERG_STRUCT, .fields = world->fields, .field_count = field_count};
}

static struct oracle_row row_of(const struct world *world, size_t row)
{
    return (struct oracle_row){
        .ids = world->ids, .values = world->rows[row], .count = world->schema.root.field_count};
}

static bool has_order(const struct iceberg_value *value)
{
    return !value->is_null && !iceberg__is_nan(value);
}

static struct slice encode(struct world *world, const struct iceberg_value *value)
{
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct slice copy;
    iceberg_value_encode(value, &bytes);
    CHECK(arena_slice(world->arena, buf_slice(&bytes), &copy));
    return copy;
}

/* A text bound as writers cut it: a shorter lower one, an upper one whose last byte is raised. */
static void cut_bounds(struct world *world, struct iceberg_value *lower,
                       struct iceberg_value *upper)
{
    char *raised;
    if ((lower->type != ICEBERG_STRING && lower->type != ICEBERG_BINARY) ||
        test_random_below(&world->seed, 2) == 0) {
        return;
    }
    if (lower->bytes.len > 1) {
        lower->bytes.len--;
    }
    if (upper->bytes.len > 1 && (uint8_t)upper->bytes.ptr[0] < 0x7f) {
        CHECK((raised = arena_slicedup(world->arena, upper->bytes)) != NULL);
        raised[0]++;
        upper->bytes = (struct slice){raised, 1};
    }
}

/* UUIDs as two signed longs, the order of older writers. */
static int order_uuid_signed(const struct iceberg_value *a, const struct iceberg_value *b)
{
    char left[16];
    char right[16];
    memcpy(left, a->bytes.ptr, 16);
    memcpy(right, b->bytes.ptr, 16);
    left[0] = (char)(left[0] ^ (char)0x80);
    left[8] = (char)(left[8] ^ (char)0x80);
    right[0] = (char)(right[0] ^ (char)0x80);
    right[8] = (char)(right[8] ^ (char)0x80);
    return memcmp(left, right, 16);
}

static void make_metrics(struct world *world, size_t at)
{
    struct iceberg_metrics *metrics = &world->metrics[at];
    const struct iceberg_value *least = NULL;
    const struct iceberg_value *most = NULL;
    bool is_signed =
        world->fields[at].type.id == ICEBERG_UUID && test_random_below(&world->seed, 2) == 0;
    *metrics = (struct iceberg_metrics){.field_id = world->ids[at], .size_bytes = ICEBERG_NO_ID};
    for (size_t i = 0; i < world->row_count; i++) {
        const struct iceberg_value *value = &world->rows[i][at];
        metrics->value_count++;
        metrics->null_count += value->is_null;
        metrics->nan_count += iceberg__is_nan(value);
        if (has_order(value)) {
            bool is_less = least != NULL && (is_signed ? order_uuid_signed(value, least)
                                                       : iceberg_value_compare(value, least)) < 0;
            bool is_more = most != NULL && (is_signed ? order_uuid_signed(value, most)
                                                      : iceberg_value_compare(value, most)) > 0;
            least = least == NULL || is_less ? value : least;
            most = most == NULL || is_more ? value : most;
        }
    }
    if (least != NULL) {
        struct iceberg_value lower = *least;
        struct iceberg_value upper = *most;
        cut_bounds(world, &lower, &upper);
        metrics->lower = encode(world, &lower);
        metrics->upper = encode(world, &upper);
    }
    /* Writers leave out what they do not measure. */
    uint64_t missing = test_random_below(&world->seed, 4) == 0 ? test_random(&world->seed) : 0;
    metrics->value_count = (missing & 1) != 0 ? ICEBERG_NO_ID : metrics->value_count;
    metrics->null_count = (missing & 2) != 0 ? ICEBERG_NO_ID : metrics->null_count;
    metrics->nan_count = (missing & 4) != 0 ? ICEBERG_NO_ID : metrics->nan_count;
    metrics->lower = (missing & 8) != 0 ? (struct slice){0} : metrics->lower;
    metrics->upper = (missing & 16) != 0 ? (struct slice){0} : metrics->upper;
}

static void make_file(struct world *world)
{
    size_t count = 0;
    unsigned null_percent = (unsigned)test_random_below(&world->seed, 4) * 30;
    world->row_count = test_random_below(&world->seed, ROWS_MAX + 1);
    for (size_t i = 0; i < world->row_count; i++) {
        for (size_t j = 0; j < world->schema.root.field_count; j++) {
            world->rows[i][j] = oracle_random_value(&world->seed, world->arena,
                                                    &world->fields[j].type, null_percent);
        }
    }
    for (size_t j = 0; j < world->schema.root.field_count; j++) {
        make_metrics(world, j);
        if (test_random_below(&world->seed, 8) != 0) {
            world->metrics[count++] = world->metrics[j];
        }
    }
    world->file = (struct iceberg_file){.record_count = (int64_t)world->row_count,
                                        .metrics = world->metrics,
                                        .metrics_count = count};
}

TEST(expression, metrics_never_hide_a_matching_row)
{
    /* Goal: a file with a matching row might match, a file that must match has matching rows only;
     * binding changes no answer. Method: random schemas, trees and files of a few rows with the
     * metrics that real writers give, whole, cut or missing. */
    struct world world = {.seed = test_seed()};
    uint64_t files = 0;
    uint64_t skipped = 0;
    uint64_t proven = 0;
    for (unsigned round = 0; round < 5000; round++) {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
        const struct iceberg_expression *bound;
        world.arena = arena;
        make_schema(&world);
        const struct iceberg_expression *tree =
            oracle_tree(&world.seed, arena, &world.schema, round % 4);
        if (iceberg_expression_bind(tree, &world.schema, arena, &bound, NULL) != ERR_OK) {
            continue;
        }
        for (unsigned i = 0; i < 10; i++) {
            bool any = false;
            bool all = true;
            make_file(&world);
            for (size_t r = 0; r < world.row_count; r++) {
                struct oracle_row row = row_of(&world, r);
                bool is_match = oracle_eval(tree, &row) == TRUTH_TRUE;
                assert_int_equal(oracle_eval(bound, &row) == TRUTH_TRUE, is_match);
                any |= is_match;
                all &= is_match;
            }
            bool might = iceberg_metrics_might_match(bound, &world.file);
            bool must = iceberg_metrics_must_match(bound, &world.file);
            for (size_t r = 0; ((any && !might) || (must && !all)) && r < world.row_count; r++) {
                struct oracle_row row = row_of(&world, r);
                oracle_explain("predicate", bound, &row);
            }
            CHECK(might || !any);
            CHECK(all || !must);
            files += world.row_count > 0;
            skipped += world.row_count > 0 && !might;
            proven += world.row_count > 0 && must;
        }
    }
    print_message("%llu files: %llu skipped, %llu proven\n", (unsigned long long)files,
                  (unsigned long long)skipped, (unsigned long long)proven);
    CHECK(files > 20000 && skipped > files / 10 && proven > files / 20);
}

/* Of the rows' values in one column; counts that a writer left out are made up. */
static struct iceberg_partition_summary make_summary(struct world *world, size_t at)
{
    struct iceberg_metrics *metrics = &world->metrics[at];
    do {
        make_metrics(world, at);
    } while (metrics->null_count < 0 || metrics->nan_count < 0 || metrics->value_count < 0 ||
             ((metrics->lower.ptr == NULL || metrics->upper.ptr == NULL) &&
              metrics->null_count + metrics->nan_count < metrics->value_count));
    return (struct iceberg_partition_summary){.contains_null = metrics->null_count > 0,
                                              .contains_nan = metrics->nan_count > 0,
                                              .has_nan_flag = test_random(&world->seed) % 2 == 0,
                                              .lower = metrics->lower,
                                              .upper = metrics->upper};
}

TEST(expression, summaries_never_hide_a_matching_partition)
{
    /* Goal: a manifest whose summaries say no has no matching partition. Method: as above, the rows
     * being partition tuples of identity fields. */
    struct world world = {.seed = test_seed()};
    uint64_t skipped = 0;
    for (unsigned round = 0; round < 3000; round++) {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
        struct iceberg_partition_field fields[FIELDS_MAX];
        struct iceberg_partition_summary summaries[FIELDS_MAX];
        const struct iceberg_expression *bound;
        const struct iceberg_expression *projected;
        world.arena = arena;
        make_schema(&world);
        size_t count = world.schema.root.field_count;
        for (size_t i = 0; i < count; i++) {
            fields[i] = (struct iceberg_partition_field){.source_ids = &world.ids[i],
                                                         .source_count = 1,
                                                         .field_id = 1000 + (int32_t)i,
                                                         .transform.kind = TRANSFORM_IDENTITY};
        }
        struct iceberg_spec spec = {.fields = fields, .field_count = count};
        const struct iceberg_expression *tree =
            oracle_tree(&world.seed, arena, &world.schema, round % 4);
        if (iceberg_expression_bind(tree, &world.schema, arena, &bound, NULL) != ERR_OK) {
            continue;
        }
        CHECK_OK(iceberg_project_inclusive(bound, &spec, arena, &projected, NULL));
        make_file(&world);
        bool any = false;
        for (size_t i = 0; i < count; i++) {
            summaries[i] = make_summary(&world, i);
        }
        for (size_t r = 0; r < world.row_count; r++) {
            struct oracle_row row = row_of(&world, r);
            any |= oracle_eval(bound, &row) == TRUTH_TRUE;
        }
        struct iceberg_manifest manifest = {.partitions = summaries, .partition_count = count};
        bool might = iceberg_manifest_might_match(projected, &spec, &manifest);
        for (size_t r = 0; any && !might && r < world.row_count; r++) {
            struct oracle_row row = row_of(&world, r);
            oracle_explain("predicate", bound, &row);
        }
        CHECK(might || !any);
        skipped += !might;
    }
    CHECK(skipped > 300);
}

/* ---- examples ---- */

static void check_bind(struct iceberg_type type, enum iceberg_operator op,
                       struct iceberg_value value, const char *expected)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct buf text CLEANUP(buf_fini) = {0};
    struct errinfo info;
    struct iceberg_field field = {.id = 1, .name = SLICE("c"), .type = type};
    struct iceberg_schema schema = {
        .root = {.id = ICEBERG_STRUCT, .fields = &field, .field_count = 1}};
    struct iceberg_expression leaf = {.op = op, .field_id = 1, .values = &value, .value_count = 1};
    const struct iceberg_expression *bound;
    if (iceberg_expression_bind(&leaf, &schema, arena, &bound, &info) != ERR_OK) {
        assert_int_equal(info.code, ERR_INVALID);
        CHECK_STR(expected, info.message);
        return;
    }
    iceberg_expression_print(bound, &schema, &text);
    CHECK_STR(expected, buf_cstr(&text));
}

TEST(expression, literals_outside_of_a_type_fold_to_what_they_mean)
{
    struct iceberg_type integer = {.id = ICEBERG_INT};
    struct iceberg_type real = {.id = ICEBERG_DOUBLE};
    struct iceberg_type single = {.id = ICEBERG_FLOAT};
    struct iceberg_type date = {.id = ICEBERG_DATE};
    struct iceberg_value big = {.type = ICEBERG_LONG, .integer = INT64_C(1) << 40};
    struct iceberg_value half = {.type = ICEBERG_DECIMAL, .scale = 1, .decimal = 25};
    struct iceberg_value minus = {.type = ICEBERG_DECIMAL, .scale = 1, .decimal = -25};
    struct iceberg_value nan = {.type = ICEBERG_DOUBLE, .real = NAN};
    struct iceberg_value tenth = {.type = ICEBERG_DOUBLE, .real = 0.1};
    struct iceberg_value null = {.type = ICEBERG_INT, .is_null = true};
    struct iceberg_value text = {.type = ICEBERG_STRING, .bytes = SLICE("it's")};
    struct iceberg_value noon = {.type = ICEBERG_TIMESTAMP, .integer = INT64_C(43200000000)};
    check_bind(integer, ICEBERG_LESS, big, "c IS NOT NULL");
    check_bind(integer, ICEBERG_GREATER, big, "FALSE");
    check_bind(integer, ICEBERG_EQUAL, big, "FALSE");
    check_bind(integer, ICEBERG_LESS, half, "c <= 2");
    check_bind(integer, ICEBERG_GREATER_EQUAL, minus, "c > -3");
    check_bind(integer, ICEBERG_EQUAL, half, "FALSE");
    check_bind(integer, ICEBERG_NOT_IN, half, "c IS NOT NULL");
    check_bind(integer, ICEBERG_EQUAL, null, "FALSE");
    check_bind(integer, ICEBERG_NOT_IN, null, "FALSE");
    check_bind(integer, ICEBERG_IS_NAN, null, "FALSE");
    check_bind(real, ICEBERG_GREATER_EQUAL, nan, "c IS NAN");
    check_bind(real, ICEBERG_LESS, nan, "c IS NOT NAN");
    check_bind(real, ICEBERG_GREATER, nan, "FALSE");
    check_bind(single, ICEBERG_EQUAL, tenth, "FALSE");
    check_bind(date, ICEBERG_LESS, noon, "c <= '1970-01-01'");
    check_bind((struct iceberg_type){.id = ICEBERG_STRING}, ICEBERG_IN, text, "c = 'it''s'");
    check_bind(integer, ICEBERG_EQUAL, text,
               "column \"c\" does not compare with a value of that type");
    check_bind((struct iceberg_type){.id = ICEBERG_UNKNOWN}, ICEBERG_EQUAL, half, "FALSE");
    check_bind((struct iceberg_type){.id = ICEBERG_VARIANT}, ICEBERG_IS_NULL, half,
               "column \"c\" has no statistics to compare with");
}

static bool might(enum iceberg_operator op, double value, struct iceberg_metrics metrics)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct iceberg_field field = {.id = 1, .name = SLICE("c"), .type = {.id = ICEBERG_DOUBLE}};
    struct iceberg_schema schema = {
        .root = {.id = ICEBERG_STRUCT, .fields = &field, .field_count = 1}};
    struct iceberg_value literal = {.type = ICEBERG_DOUBLE, .real = value};
    struct iceberg_expression leaf = {
        .op = op, .field_id = 1, .values = &literal, .value_count = 1};
    const struct iceberg_expression *bound;
    metrics.field_id = 1;
    struct iceberg_file file = {.record_count = 10, .metrics = &metrics, .metrics_count = 1};
    CHECK_OK(iceberg_expression_bind(&leaf, &schema, arena, &bound, NULL));
    return iceberg_metrics_might_match(bound, &file);
}

TEST(expression, nan_and_zeros_are_pruned_by_the_order_of_the_engine)
{
    /* Goal: NaN is above all values and not within bounds; -0.0 is 0.0. */
    static const double bounds[] = {-0.0, 5.0, NAN};
    struct slice zero = {(const char *)&bounds[0], 8};
    struct slice five = {(const char *)&bounds[1], 8};
    struct slice nan = {(const char *)&bounds[2], 8};
    struct iceberg_metrics known = {
        .value_count = 10, .null_count = 0, .nan_count = 0, .lower = zero, .upper = five};
    struct iceberg_metrics unknown = known;
    struct iceberg_metrics broken = known;
    struct iceberg_metrics minus = known;
    unknown.nan_count = ICEBERG_NO_ID;
    broken.lower = nan;
    minus.upper = zero;
    CHECK(!might(ICEBERG_GREATER, 5, known));
    CHECK(might(ICEBERG_GREATER, 5, unknown));
    CHECK(!might(ICEBERG_EQUAL, 6, unknown));
    CHECK(might(ICEBERG_EQUAL, NAN, unknown));
    CHECK(!might(ICEBERG_EQUAL, NAN, known));
    CHECK(!might(ICEBERG_LESS, 0, known));
    CHECK(might(ICEBERG_LESS, 0, broken));
    CHECK(might(ICEBERG_EQUAL, 0.0, minus));
    CHECK(!might(ICEBERG_GREATER, -0.0, minus));
}

TEST(expression, bounds_of_uuids_hold_in_either_order)
{
    /* Goal: older writers order UUIDs as two signed longs; a value between such bounds that is not
     * between them byte by byte is found. */
    static const char ids[][16] = {
        {1, 0, 0, 0, 0, 0, 0, 0, (char)0x80}, {1}, {2, 0, 0, 0, 0, 0, 0, 0, (char)0xff}, {3}};
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct iceberg_field field = {.id = 1, .name = SLICE("c"), .type = {.id = ICEBERG_UUID}};
    struct iceberg_schema schema = {
        .root = {.id = ICEBERG_STRUCT, .fields = &field, .field_count = 1}};
    struct iceberg_metrics metrics = {
        .field_id = 1, .value_count = 3, .lower = {ids[0], 16}, .upper = {ids[2], 16}};
    struct iceberg_file file = {.record_count = 3, .metrics = &metrics, .metrics_count = 1};
    for (size_t i = 0; i < ARRAY_COUNT(ids); i++) {
        struct iceberg_value literal = {.type = ICEBERG_UUID, .bytes = {ids[i], 16}};
        struct iceberg_expression leaf = {
            .op = ICEBERG_EQUAL, .field_id = 1, .values = &literal, .value_count = 1};
        const struct iceberg_expression *bound;
        CHECK_OK(iceberg_expression_bind(&leaf, &schema, arena, &bound, NULL));
        assert_int_equal(iceberg_metrics_might_match(bound, &file), i < 3);
    }
}

TEST(expression, fields_inside_of_lists_and_deep_trees_are_refused)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct errinfo info;
    struct iceberg_field leaf_field = {.id = 3, .name = SLICE("x"), .type = {.id = ICEBERG_INT}};
    struct iceberg_field inner[] = {
        {.id = 2,
         .name = SLICE("element"),
         .type = {.id = ICEBERG_STRUCT, .fields = &leaf_field, .field_count = 1}}};
    struct iceberg_field outer[] = {
        {.id = 1,
         .name = SLICE("l"),
         .type = {.id = ICEBERG_LIST, .fields = inner, .field_count = 1}},
        {.id = 4,
         .name = SLICE("s"),
         .type = {.id = ICEBERG_STRUCT,
                  .fields =
                      (struct iceberg_field[]){
                          {.id = 5, .name = SLICE("y"), .type = {.id = ICEBERG_INT}}},
                  .field_count = 1}}};
    struct iceberg_schema schema = {
        .root = {.id = ICEBERG_STRUCT, .fields = outer, .field_count = 2}};
    struct iceberg_expression leaf = {.op = ICEBERG_IS_NULL, .field_id = 3};
    struct iceberg_expression chain[ICEBERG_EXPRESSION_DEPTH_MAX + 2] = {{0}};
    const struct iceberg_expression *bound;
    CHECK_ERR(ERR_INVALID, iceberg_expression_bind(&leaf, &schema, arena, &bound, &info));
    CHECK_STR("field \"x\" lies inside of a list or map", info.message);
    leaf.field_id = 5;
    CHECK_OK(iceberg_expression_bind(&leaf, &schema, arena, &bound, &info));
    for (size_t i = 0; i < ARRAY_COUNT(chain); i++) {
        chain[i].op = ICEBERG_NOT;
        chain[i].left = i + 1 < ARRAY_COUNT(chain) ? &chain[i + 1] : &leaf;
    }
    CHECK_ERR(ERR_LIMIT, iceberg_expression_bind(chain, &schema, arena, &bound, &info));
    CHECK_OK(iceberg_expression_bind(chain + 2, &schema, arena, &bound, &info));
}

TEST(expression, a_copy_says_the_same_when_the_original_is_gone)
{
    struct world world = {.seed = test_seed()};
    struct arena *kept CLEANUP(arena_cleanup) = arena_new(NULL, "kept", 0);
    for (unsigned round = 0; round < 300; round++) {
        struct arena *arena = arena_new(NULL, "gone", 0);
        struct buf before CLEANUP(buf_fini) = {0};
        struct buf after CLEANUP(buf_fini) = {0};
        world.arena = arena;
        make_schema(&world);
        const struct iceberg_expression *tree =
            oracle_tree(&world.seed, arena, &world.schema, round % 5);
        iceberg_expression_print(tree, NULL, &before);
        const struct iceberg_expression *copy = iceberg_expression_copy(tree, kept);
        CHECK(copy != NULL);
        arena_free(arena);
        iceberg_expression_print(copy, NULL, &after);
        CHECK_STR(buf_cstr(&before), buf_cstr(&after));
    }
}

TEST(expression, every_failed_allocation_is_a_clean_error)
{
    struct world world = {.seed = 7};
    struct arena *keep CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    world.arena = keep;
    struct iceberg_field fields[] = {
        {.id = 1, .name = SLICE("a"), .type = {.id = ICEBERG_LONG}},
        {.id = 2, .name = SLICE("b"), .type = {.id = ICEBERG_TIMESTAMP}},
        {.id = 3, .name = SLICE("c"), .type = {.id = ICEBERG_STRING}}};
    struct iceberg_schema schema = {
        .root = {.id = ICEBERG_STRUCT, .fields = fields, .field_count = 3}};
    int32_t ids[] = {1, 2, 3};
    struct iceberg_partition_field partition[] = {
        {.source_ids = &ids[0], .source_count = 1, .field_id = 1000},
        {.source_ids = &ids[1], .source_count = 1, .field_id = 1001},
        {.source_ids = &ids[2], .source_count = 1, .field_id = 1002}};
    struct iceberg_spec spec = {.fields = partition, .field_count = 3};
    CHECK_OK(iceberg_transform_parse(SLICE("bucket[4]"), &partition[0].transform, NULL));
    CHECK_OK(iceberg_transform_parse(SLICE("day"), &partition[1].transform, NULL));
    CHECK_OK(iceberg_transform_parse(SLICE("truncate[2]"), &partition[2].transform, NULL));
    for (unsigned round = 0; round < 20; round++) {
        const struct iceberg_expression *tree = oracle_tree(&world.seed, keep, &schema, 3);
        SWEEP_ALLOC(fault)
        {
            struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "sweep", 0);
            const struct iceberg_expression *bound;
            const struct iceberg_expression *projected;
            struct errinfo info;
            enum err err = arena == NULL
                               ? ERR_NOMEM
                               : iceberg_expression_bind(tree, &schema, arena, &bound, &info);
            if (err == ERR_OK) {
                err = iceberg_expression_copy(bound, arena) == NULL ? ERR_NOMEM : ERR_OK;
            }
            if (err == ERR_OK) {
                err = iceberg_project_inclusive(bound, &spec, arena, &projected, &info);
            }
            if (err == ERR_OK) {
                err = iceberg_project_strict(bound, &spec, arena, &projected, &info);
            }
            CHECK(err == ERR_NOMEM || (err == ERR_OK && !fault.fired));
        }
    }
}
