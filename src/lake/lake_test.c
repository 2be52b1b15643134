/* The parts that need neither files nor an engine: types, predicates, shapes, the FROM item, names
 * to numbers. Values are in lake_value_test.c. */
#include "base/mem.h"
#include "base/sweep.h"
#include "base/test.h"
#include "lake/lake_int.h"

/* Columns of every type, nested three deep, with defaults, and what has no counterpart. */
static const char table_text[] =
    "{'format-version':3,'table-uuid':'1b82e7f7-5e1c-40cc-bbfc-c6c3fb3c1fe1','location':'/t',"
    "'last-sequence-number':1,'last-updated-ms':1,'last-column-id':60,'next-row-id':0,"
    "'current-schema-id':1,'schemas':[{'type':'struct','schema-id':0,'fields':["
    "{'id':1,'name':'l','required':false,'type':'long'},"
    "{'id':50,'name':'gone','required':false,'type':'string'}]},"
    "{'type':'struct','schema-id':1,'fields':["
    "{'id':1,'name':'l','required':false,'type':'long'},"
    "{'id':2,'name':'i','required':false,'type':'int','initial-default':-7},"
    "{'id':3,'name':'odd \\\"name','required':false,'type':'string',"
    "'initial-default':'it\\u0027s'},"
    "{'id':4,'name':'s','required':false,'type':{'type':'struct','fields':["
    "{'id':5,'name':'a','required':false,'type':'double'},"
    "{'id':6,'name':'deep','required':false,'type':{'type':'struct','fields':["
    "{'id':7,'name':'x','required':false,'type':'decimal(9,2)','initial-default':'-12.30'}]}}]}},"
    "{'id':8,'name':'list','required':false,'type':{'type':'list','element-id':9,"
    "'element-required':false,'element':{'type':'struct','fields':["
    "{'id':10,'name':'e','required':false,'type':'date','initial-default':'2024-02-29'}]}}},"
    "{'id':11,'name':'m','required':false,'type':{'type':'map','key-id':12,'key':'string',"
    "'value-id':13,'value-required':false,'value':{'type':'list','element-id':14,"
    "'element-required':false,'element':'timestamptz'}}}]}],"
    "'default-spec-id':1,'last-partition-id':1005,'partition-specs':[{'spec-id':0,'fields':["
    "{'name':'l','transform':'identity','source-id':1,'field-id':1000},"
    "{'name':'v','transform':'void','source-id':50,'field-id':1003}]},"
    "{'spec-id':1,'fields':["
    "{'name':'l','transform':'identity','source-id':1,'field-id':1000},"
    "{'name':'l_bucket','transform':'bucket[4]','source-id':1,'field-id':1001},"
    "{'name':'never','transform':'twisted[3]','source-id':1,'field-id':1002}]}],"
    "'default-sort-order-id':0,'sort-orders':[{'order-id':0,'fields':[]}]}";

struct fixture {
    struct arena *arena;
    struct iceberg_metadata metadata;
    struct lake_source source;
};

/* `text` is JSON with ' for ". */
static struct slice quoted(struct arena *arena, const char *text)
{
    char *copy = arena_strdup(arena, text);
    CHECK(copy != NULL);
    for (char *at = copy; *at != '\0'; at++) {
        *at = *at == '\'' ? '"' : *at;
    }
    return slice_of(copy);
}

static void fixture_open(struct fixture *fixture)
{
    struct errinfo info;
    *fixture = (struct fixture){.arena = arena_new(NULL, "test", 0)};
    errinfo_init(&info);
    if (iceberg_metadata_parse(quoted(fixture->arena, table_text), fixture->arena,
                               &fixture->metadata, &info) != ERR_OK) {
        fail_msg("%s", info.message);
    }
    fixture->source.from.metadata = &fixture->metadata;
    fixture->source.from.schema = iceberg_metadata_current_schema(&fixture->metadata);
    fixture->source.from.name = SLICE("t");
}

static void fixture_close(struct fixture *fixture)
{
    arena_free(fixture->arena);
}

static struct iceberg_type type_of(const char *text)
{
    struct iceberg_type type;
    CHECK_OK(iceberg_type_parse_text(slice_of(text), &type, NULL));
    return type;
}

/* ---- types ---- */

TEST(lake, types_have_the_engines_names)
{
    /* Goal: each primitive maps to the engine's type of the same values; nested ones quote names.
     * Method: compare texts. */
    static const char *const pairs[][2] = {
        {"boolean", "BOOLEAN"},
        {"int", "INTEGER"},
        {"long", "BIGINT"},
        {"float", "FLOAT"},
        {"double", "DOUBLE"},
        {"decimal(38,10)", "DECIMAL(38,10)"},
        {"date", "DATE"},
        {"time", "TIME"},
        {"timestamp", "TIMESTAMP"},
        {"timestamptz", "TIMESTAMP WITH TIME ZONE"},
        {"timestamp_ns", "TIMESTAMP_NS"},
        {"timestamptz_ns", "TIMESTAMPTZ_NS"},
        {"string", "VARCHAR"},
        {"uuid", "UUID"},
        {"fixed[3]", "BLOB"},
        {"binary", "BLOB"},
        {"variant", "VARIANT"},
        {"geometry(srid:3857)", "BLOB"},
        {"geography(OGC:CRS84, karney)", "BLOB"},
        {"unknown", "INTEGER"},
    };
    struct fixture fixture;
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        struct buf out CLEANUP(buf_fini) = {0};
        struct iceberg_type type = type_of(pairs[i][0]);
        CHECK_OK(lake_type_print(&type, SLICE("c"), &out, NULL));
        CHECK_STR(pairs[i][1], buf_cstr(&out));
    }
    fixture_open(&fixture);
    struct buf out CLEANUP(buf_fini) = {0};
    CHECK_OK(lake_type_print(&fixture.source.from.schema->root, SLICE("c"), &out, NULL));
    CHECK_STR("STRUCT(\"l\" BIGINT, \"i\" INTEGER, \"odd \"\"name\" VARCHAR, \"s\" STRUCT(\"a\" "
              "DOUBLE, \"deep\" STRUCT(\"x\" DECIMAL(9,2))), \"list\" STRUCT(\"e\" DATE)[], \"m\" "
              "MAP(VARCHAR, TIMESTAMP WITH TIME ZONE[]))",
              buf_cstr(&out));
    fixture_close(&fixture);
}

TEST(lake, types_without_a_counterpart_are_named)
{
    /* Goal: at any depth the error names the column and the type. */
    struct errinfo info;
    struct iceberg_field element = {.id = 2, .type = {.id = ICEBERG_STRUCT}};
    struct iceberg_type list = {.id = ICEBERG_LIST, .fields = &element, .field_count = 1};
    struct iceberg_type empty = {.id = ICEBERG_STRUCT};
    struct buf out CLEANUP(buf_fini) = {0};
    errinfo_init(&info);
    CHECK_ERR(ERR_UNSUPPORTED, lake_type_print(&list, SLICE("where"), &out, &info));
    CHECK(strstr(info.message, "\"where\"") != NULL);
    CHECK(strstr(info.message, "struct") != NULL);
    CHECK_ERR(ERR_UNSUPPORTED, lake_type_print(&empty, SLICE("c"), &out, NULL));
}

/* ---- predicates ---- */

static struct engine_predicate leaf(enum engine_predicate_kind kind, int32_t id,
                                    const struct slice *values, size_t count)
{
    return (struct engine_predicate){
        .kind = kind, .field_id = id, .values = values, .value_count = count};
}

static void expect_filter(struct fixture *fixture, const struct engine_predicate *const *all,
                          size_t count, const char *expected)
{
    const struct iceberg_expression *filter;
    struct buf out CLEANUP(buf_fini) = {0};
    CHECK_OK(
        lake__predicates(all, count, fixture->source.from.schema, fixture->arena, &filter, NULL));
    iceberg_expression_print(filter, fixture->source.from.schema, &out);
    CHECK_STR(expected, buf_cstr(&out));
}

static void expect_leaf(struct fixture *fixture, enum engine_predicate_kind kind, int32_t id,
                        const char *value, const char *expected)
{
    struct slice values[] = {slice_of(value), SLICE("6")};
    struct engine_predicate one = leaf(kind, id, values,
                                       kind == PREDICATE_IN         ? 2
                                       : kind <= PREDICATE_NOT_NULL ? 0
                                                                    : 1);
    const struct engine_predicate *all[] = {&one};
    expect_filter(fixture, all, 1, expected);
}

TEST(lake, predicates_are_told_or_left_out)
{
    /* Goal: every kind becomes its like; of what cannot be told a conjunction loses that part and a
     * disjunction all, so that the filter stays a necessary condition. */
    struct fixture fixture;
    fixture_open(&fixture);
    expect_leaf(&fixture, PREDICATE_EQUAL, 1, "5", "l = 5");
    expect_leaf(&fixture, PREDICATE_NOT_EQUAL, 1, "5", "l <> 5");
    expect_leaf(&fixture, PREDICATE_LESS, 1, "5", "l < 5");
    expect_leaf(&fixture, PREDICATE_LESS_EQUAL, 1, "5", "l <= 5");
    expect_leaf(&fixture, PREDICATE_GREATER, 1, "5", "l > 5");
    expect_leaf(&fixture, PREDICATE_GREATER_EQUAL, 1, "-5", "l >= -5");
    expect_leaf(&fixture, PREDICATE_IN, 1, "5", "l IN (5, 6)");
    expect_leaf(&fixture, PREDICATE_IS_NULL, 1, "", "l IS NULL");
    expect_leaf(&fixture, PREDICATE_NOT_NULL, 1, "", "l IS NOT NULL");
    expect_leaf(&fixture, PREDICATE_STARTS_WITH, 3, "it's",
                "odd \"name STARTS WITH 'it''s'"); /* as messages name it */
    expect_leaf(&fixture, PREDICATE_EQUAL, 7, "1.5", "s.deep.x = 1.5");
    expect_leaf(&fixture, PREDICATE_STARTS_WITH, 1, "5", "TRUE");     /* no text */
    expect_leaf(&fixture, PREDICATE_EQUAL, 99, "5", "TRUE");          /* no such field */
    expect_leaf(&fixture, PREDICATE_EQUAL, 50, "5", "TRUE");          /* dropped */
    expect_leaf(&fixture, PREDICATE_EQUAL, 10, "2024-01-01", "TRUE"); /* inside of a list */
    expect_leaf(&fixture, PREDICATE_EQUAL, 8, "[]", "TRUE");
    expect_leaf(&fixture, PREDICATE_EQUAL, 1, "five", "TRUE");

    struct slice five = SLICE("5");
    struct slice what = SLICE("?");
    struct engine_predicate good = leaf(PREDICATE_EQUAL, 1, &five, 1);
    struct engine_predicate bad = leaf(PREDICATE_EQUAL, 1, &what, 1);
    const struct engine_predicate *pair[] = {&good, &bad};
    struct engine_predicate both = {.kind = PREDICATE_AND, .children = pair, .child_count = 2};
    struct engine_predicate either = {.kind = PREDICATE_OR, .children = pair, .child_count = 2};
    const struct engine_predicate *goods[] = {&good, &good};
    struct engine_predicate fine = {.kind = PREDICATE_OR, .children = goods, .child_count = 2};
    expect_filter(&fixture, (const struct engine_predicate *[]){&both}, 1, "l = 5");
    expect_filter(&fixture, (const struct engine_predicate *[]){&either}, 1, "TRUE");
    expect_filter(&fixture, (const struct engine_predicate *[]){&fine}, 1, "(l = 5 OR l = 5)");
    expect_filter(&fixture, (const struct engine_predicate *[]){&either, &good}, 2, "l = 5");
    expect_filter(&fixture, NULL, 0, "TRUE");
    fixture_close(&fixture);
}

TEST(lake, predicates_of_endless_depth_are_left_out)
{
    /* Goal: a tree deeper than the limit ends as "nothing can be said", not on the stack. */
    struct fixture fixture;
    fixture_open(&fixture);
    struct slice five = SLICE("5");
    struct engine_predicate nodes[200];
    const struct engine_predicate *links[200];
    nodes[0] = leaf(PREDICATE_EQUAL, 1, &five, 1);
    for (size_t i = 1; i < ARRAY_COUNT(nodes); i++) {
        links[i] = &nodes[i - 1];
        nodes[i] = (struct engine_predicate){
            .kind = PREDICATE_OR, .children = &links[i], .child_count = 1};
    }
    expect_filter(&fixture, (const struct engine_predicate *[]){&nodes[10]}, 1, "l = 5");
    expect_filter(&fixture, (const struct engine_predicate *[]){&nodes[199]}, 1, "TRUE");
    fixture_close(&fixture);
}

TEST(lake, predicates_without_memory_say_so_or_less)
{
    /* Goal: a failing allocation gives ERR_NOMEM or a filter that is weaker, never another one. */
    struct fixture fixture;
    fixture_open(&fixture);
    struct slice values[] = {SLICE("5"), SLICE("1b82e7f7-5e1c-40cc-bbfc-c6c3fb3c1fe1")};
    struct engine_predicate first = leaf(PREDICATE_GREATER, 1, values, 1);
    struct engine_predicate second = leaf(PREDICATE_EQUAL, 3, values, 1);
    const struct engine_predicate *all[] = {&first, &second};
    SWEEP_ALLOC(fault)
    {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "sweep", 0);
        const struct iceberg_expression *filter = NULL;
        enum err err = arena == NULL ? ERR_NOMEM
                                     : lake__predicates(all, 2, fixture.source.from.schema, arena,
                                                        &filter, NULL);
        fault_disarm();
        if (err == ERR_OK) {
            struct buf out CLEANUP(buf_fini) = {0};
            iceberg_expression_print(filter, fixture.source.from.schema, &out);
            CHECK(fault.fired || strstr(buf_cstr(&out), " AND ") != NULL);
            CHECK(strstr(buf_cstr(&out), " OR ") == NULL);
        } else {
            CHECK_ERR(ERR_NOMEM, err);
            CHECK(fault.fired && filter == NULL);
        }
    }
    fixture_close(&fixture);
}

/* ---- shapes ---- */

static void print_column(const struct engine_scan_column *column, struct buf *out)
{
    buf_printf(out, "%d %.*s %.*s", column->field_id, SLICE_ARGS(column->name),
               SLICE_ARGS(column->type));
    if (column->value.len > 0) {
        buf_printf(out, " = %.*s", SLICE_ARGS(column->value));
    }
    for (size_t i = 0; i < column->child_count; i++) {
        buf_append_str(out, i == 0 ? " [" : "; ");
        print_column(&column->children[i], out);
    }
    buf_append_str(out, column->child_count == 0 ? "" : "]");
}

static void expect_column(const struct engine_scan_column *column, const char *expected)
{
    struct buf out CLEANUP(buf_fini) = {0};
    print_column(column, &out);
    CHECK_STR(expected, buf_cstr(&out));
}

TEST(lake, columns_carry_ids_and_defaults_at_every_depth)
{
    /* Goal: fields of structs, elements, keys and values keep their ids, and defaults theirs; what
     * equality deletes compare is there under a name by id, dropped columns too. */
    struct fixture fixture;
    fixture_open(&fixture);
    static const int32_t ids[] = {1, 50};
    struct engine_scan_spec spec = {0};
    CHECK_OK(lake__columns(&fixture.source, true, ids, 2, fixture.arena, &spec, NULL));
    CHECK(spec.column_count == 8);
    expect_column(&spec.columns[0], "1 l BIGINT");
    expect_column(&spec.columns[1], "2 i INTEGER = CAST('-7' AS INTEGER)");
    expect_column(&spec.columns[2], "3 odd \"name VARCHAR = CAST('it''s' AS VARCHAR)");
    expect_column(
        &spec.columns[3],
        "4 s STRUCT(\"a\" DOUBLE, \"deep\" STRUCT(\"x\" DECIMAL(9,2))) [5 a DOUBLE; 6 deep "
        "STRUCT(\"x\" DECIMAL(9,2)) [7 x DECIMAL(9,2) = CAST('-12.30' AS DECIMAL(9,2))]]");
    expect_column(&spec.columns[4],
                  "8 list STRUCT(\"e\" DATE)[] [9 element STRUCT(\"e\" DATE) [10 e DATE = "
                  "CAST('2024-02-29' AS DATE)]]");
    expect_column(
        &spec.columns[5],
        "11 m MAP(VARCHAR, TIMESTAMP WITH TIME ZONE[]) [12 key VARCHAR; 13 value TIMESTAMP "
        "WITH TIME ZONE[] [14 element TIMESTAMP WITH TIME ZONE]]");
    expect_column(&spec.columns[6], "1 __moat_e1 BIGINT");
    expect_column(&spec.columns[7], "50 __moat_e50 VARCHAR");
    CHECK_OK(lake__columns(&fixture.source, false, ids, 1, fixture.arena, &spec, NULL));
    CHECK(spec.column_count == 1);
    fixture_close(&fixture);
}

TEST(lake, every_name_of_a_mapping_leads_to_its_id)
{
    /* Goal: a field with several names has an entry for each, with its children under all; names
     * without an id stay, as -1. */
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct iceberg_name_mapping mapping;
    const struct engine_scan_name *names;
    size_t count;
    CHECK_OK(iceberg_name_mapping_parse(
        quoted(arena, "[{'field-id':4,'names':['s','t'],'fields':[{'field-id':5,'names':['a']}]},"
                      "{'names':['nobody']}]"),
        arena, &mapping, NULL));
    CHECK_OK(lake__names(&mapping, arena, &names, &count, NULL));
    CHECK(count == 3);
    CHECK_SLICE("s", names[0].name);
    CHECK_SLICE("t", names[1].name);
    for (size_t i = 0; i < 2; i++) {
        CHECK(names[i].field_id == 4 && names[i].child_count == 1);
        CHECK_SLICE("a", names[i].children[0].name);
        CHECK(names[i].children[0].field_id == 5 && names[i].children[0].child_count == 0);
    }
    CHECK(names[2].field_id == -1 && names[2].child_count == 0);
}

TEST(lake, partitions_are_the_union_of_all_specs)
{
    /* Goal: a field of several specs comes once, by its id; one whose transform or source is not
     * known is left out. */
    struct fixture fixture;
    struct lake_partition partition;
    fixture_open(&fixture);
    CHECK_OK(lake__partition(&fixture.source, fixture.arena, &partition, NULL));
    CHECK_SLICE("STRUCT(\"l\" BIGINT, \"v\" VARCHAR, \"l_bucket\" INTEGER)", partition.type);
    CHECK(partition.field_count == 3);
    CHECK(partition.fields[0]->field_id == 1000 && partition.types[0].id == ICEBERG_LONG);
    CHECK(partition.fields[1]->field_id == 1003 && partition.types[1].id == ICEBERG_STRING);
    CHECK(partition.fields[2]->field_id == 1001 && partition.types[2].id == ICEBERG_INT);
    fixture_close(&fixture);
}

TEST(lake, shapes_without_memory_say_so)
{
    /* Goal: a failing allocation is ERR_NOMEM, never a shape that lacks something. Method: sweep,
     * and compare the texts of what succeeds. */
    struct fixture fixture;
    static const int32_t ids[] = {1, 50};
    fixture_open(&fixture);
    size_t len = 0;
    for (int round = 0; round < 2; round++) {
        SWEEP_ALLOC(fault)
        {
            struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "sweep", 0);
            struct engine_scan_spec spec = {0};
            struct lake_partition partition = {0};
            enum err err = arena == NULL ? ERR_NOMEM : ERR_OK;
            if (err == ERR_OK) {
                err = lake__columns(&fixture.source, true, ids, 2, arena, &spec, NULL);
            }
            if (err == ERR_OK) {
                err = lake__partition(&fixture.source, arena, &partition, NULL);
            }
            fault_disarm();
            CHECK_ERR(fault.fired ? ERR_NOMEM : ERR_OK, err);
            struct buf text CLEANUP(buf_fini) = {0};
            for (size_t i = 0; i < spec.column_count; i++) {
                print_column(&spec.columns[i], &text);
            }
            CHECK(err != ERR_OK || len == 0 || len == text.len);
            len = err == ERR_OK ? text.len : len;
        }
    }
    CHECK(len > 0);
    fixture_close(&fixture);
}

/* ---- the FROM item ---- */

static void print_uri(void *context, size_t index, struct buf *out)
{
    buf_printf(out, "moat://%s/s%zu", (const char *)context, index);
}

static void expect_sql(const struct lake_source *source, const char *expected)
{
    struct buf out CLEANUP(buf_fini) = {0};
    static char grant[] = "it's";
    CHECK_OK(lake_scan_sql(source, print_uri, grant, &out, NULL));
    CHECK_STR(expected, buf_cstr(&out));
}

TEST(lake, a_table_without_equality_deletes_is_one_scan)
{
    struct fixture fixture;
    fixture_open(&fixture);
    CHECK(lake_scan_count(&fixture.source) == 1);
    expect_sql(&fixture.source, "moat_scan('moat://it''s/s0')");
    fixture_close(&fixture);
}

/* Two sets: one by partition on two columns, of which one is gone; one for all of the table. */
static const struct lake_equality *two_sets(void)
{
    static const int32_t pair[] = {1, 50};
    static const int32_t one[] = {2};
    static const struct lake_equality sets[] = {
        {.field_ids = pair, .field_count = 2},
        {.field_ids = one, .field_count = 1, .is_global = true},
    };
    return sets;
}

TEST(lake, equality_deletes_are_joined_by_id)
{
    /* Goal: files with deletes are joined with each set, on NULL-safe equality, the newest sequence
     * number of a key, and the partition's group unless the set is of an unpartitioned spec. */
    struct fixture fixture;
    fixture_open(&fixture);
    fixture.source.equality = two_sets();
    fixture.source.equality_count = 2;
    CHECK(lake_scan_count(&fixture.source) == 4);
#define COLUMNS_                                                                                   \
    "t.\"l\", t.\"i\", t.\"odd \"\"name\", t.\"s\", t.\"list\", t.\"m\", t.\"_file\", "            \
    "t.\"_pos\", "                                                                                 \
    "t.\"_spec_id\", t.\"_partition\", t.\"_row_id\", t.\"_last_updated_sequence_number\""
    expect_sql(
        &fixture.source,
        "(SELECT " COLUMNS_ " FROM moat_scan('moat://it''s/s0') AS t UNION ALL SELECT " COLUMNS_
        " FROM moat_scan('moat://it''s/s1') AS t LEFT JOIN (SELECT max(d.\"__moat_sequence\") AS "
        "s, "
        "d.\"__moat_e1\", d.\"__moat_e50\", d.\"__moat_group\" AS g FROM "
        "moat_scan('moat://it''s/s2') AS d GROUP BY ALL) AS e0 ON e0.\"__moat_e1\" IS NOT DISTINCT "
        "FROM t.\"__moat_e1\" AND e0.\"__moat_e50\" IS NOT DISTINCT FROM t.\"__moat_e50\" AND e0.g "
        "= "
        "t.\"__moat_group\" LEFT JOIN (SELECT max(d.\"__moat_sequence\") AS s, d.\"__moat_e2\" "
        "FROM "
        "moat_scan('moat://it''s/s3') AS d GROUP BY ALL) AS e1 ON e1.\"__moat_e2\" IS NOT DISTINCT "
        "FROM t.\"__moat_e2\" WHERE (e0.s IS NULL OR e0.s <= t.\"__moat_sequence\") AND (e1.s IS "
        "NULL "
        "OR e1.s <= t.\"__moat_sequence\"))");
    int32_t *ids;
    size_t count;
    CHECK_OK(lake__equality_ids(&fixture.source, fixture.arena, &ids, &count, NULL));
    CHECK(count == 3 && ids[0] == 1 && ids[1] == 2 && ids[2] == 50);
    fixture_close(&fixture);
}

TEST(lake, a_tables_own_column_hides_the_virtual_one)
{
    /* Goal: a column called _pos (folding case) is the table's; a table without partitions has a
     * NULL _partition. */
    struct fixture fixture;
    fixture_open(&fixture);
    struct iceberg_field field = {.id = 1, .name = SLICE("_POS"), .type = type_of("long")};
    struct iceberg_schema schema = {
        .root = {.id = ICEBERG_STRUCT, .fields = &field, .field_count = 1}};
    fixture.metadata.spec_count = 0;
    fixture.source.from.schema = &schema;
    fixture.source.equality = &two_sets()[1];
    fixture.source.equality_count = 1;
    struct buf out CLEANUP(buf_fini) = {0};
    CHECK_OK(lake_scan_sql(&fixture.source, print_uri, "g", &out, NULL));
    CHECK(slice_starts_with(buf_slice(&out),
                            SLICE("(SELECT t.\"_POS\", t.\"_file\", t.\"_spec_id\", CAST(NULL AS "
                                  "INTEGER) AS \"_partition\", t.\"_row_id\", ")));
    CHECK(strstr(buf_cstr(&out), "\"_pos\"") == NULL);
    fixture_close(&fixture);
}

TEST(lake, text_without_memory_says_so)
{
    struct fixture fixture;
    fixture_open(&fixture);
    fixture.source.equality = two_sets();
    fixture.source.equality_count = 2;
    SWEEP_ALLOC(fault)
    {
        struct buf out CLEANUP(buf_fini) = {0};
        enum err err = lake_scan_sql(&fixture.source, print_uri, "g", &out, NULL);
        CHECK_ERR(fault.fired ? ERR_NOMEM : ERR_OK, err);
    }
    fixture_close(&fixture);
}

/* ---- names to numbers ---- */

TEST(lake, map_numbers_texts_in_order_of_arrival)
{
    /* Goal: each text keeps its number through every growth; what was not added is not found. */
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct lake_map map = {0};
    size_t number;
    bool is_new;
    CHECK(!lake__map_find(&map, SLICE("0"), &number));
    for (size_t i = 0; i < 5000; i++) {
        char *key = arena_printf(arena, "%zu", i);
        CHECK_OK(lake__map_add(&map, slice_of(key), &number, &is_new));
        CHECK(number == i && is_new);
        key = arena_printf(arena, "%zu", i / 2);
        CHECK_OK(lake__map_add(&map, slice_of(key), &number, &is_new));
        CHECK(number == i / 2 && !is_new);
    }
    for (size_t i = 0; i < 5000; i++) {
        CHECK(lake__map_find(&map, slice_of(arena_printf(arena, "%zu", i)), &number));
        CHECK(number == i);
    }
    CHECK(!lake__map_find(&map, SLICE("5000"), &number));
    CHECK_OK(lake__map_add(&map, SLICE(""), &number, NULL));
    CHECK(number == 5000 && map.count == 5001);
    lake__map_fini(&map);
}

TEST(lake, map_without_memory_keeps_what_it_has)
{
    SWEEP_ALLOC(fault)
    {
        static const char *const keys[] = {"a", "b", "c"};
        struct lake_map map = {0};
        size_t added = 0;
        for (size_t i = 0; i < 40; i++) {
            static char names[40][4];
            size_t number;
            (void)snprintf(names[i], sizeof(names[i]), "%zu", i);
            added += lake__map_add(&map, slice_of(names[i]), &number, NULL) == ERR_OK;
        }
        CHECK(added == map.count && added == (fault.fired ? 39 : 40));
        for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
            size_t number;
            CHECK(!lake__map_find(&map, slice_of(keys[i]), &number));
        }
        lake__map_fini(&map);
    }
}
