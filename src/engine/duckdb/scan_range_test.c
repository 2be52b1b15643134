/* What the program says of values: planned by, held against each file, and never a reason for other
 * rows. */
#include "engine/duckdb/scan_fixture.h"

#define RANGE(low, high)                                                                           \
    {                                                                                              \
        .has_bounds = true, .lower = (low), .upper = (high)                                        \
    }

/* The values of one type: in the file, and the numbers for the least and the greatest. */
static const struct {
    const char *type;
    const char *values[3]; /* the second is between the others */
    int64_t lower;
    int64_t upper;
} typed[] = {
    {"INTEGER", {"-7", "1", "2147483647"}, -7, 2147483647},
    {"BIGINT", {"-9223372036854775808", "0", "5"}, INT64_MIN, 5},
    {"DATE", {"1969-12-31", "2000-01-01", "2024-02-29"}, -1, 19782},
    {"TIME", {"00:00:00", "12:30:00.000001", "23:59:59.999999"}, 0, INT64_C(86399999999)},
    {"TIMESTAMP",
     {"1969-12-31 23:59:59.999999", "1999-01-01 00:00:00", "2024-01-01 00:00:00"},
     -1,
     INT64_C(1704067200000000)},
    {"TIMESTAMPTZ",
     {"1970-01-01 00:00:00+00", "1999-01-01 00:00:00+00", "2024-01-01 00:00:00+00"},
     0,
     INT64_C(1704067200000000)},
    {"TIMESTAMP_NS",
     {"1970-01-01 00:00:00.000000001", "1999-01-01 00:00:00", "2024-01-01 00:00:00"},
     1,
     INT64_C(1704067200000000000)},
    {"DECIMAL(4,1)", {"-99.9", "0.1", "999.9"}, -999, 9999},
    {"DECIMAL(9,2)", {"-1.00", "0.01", "1234567.89"}, -100, 123456789},
    {"DECIMAL(18,3)", {"-0.001", "0", "99.999"}, -1, 99999},
    {"DECIMAL(38,4)", {"-0.0001", "0", "922337203685477.5807"}, -1, INT64_MAX},
};

static void add_typed(struct fixture *fixture, struct table *table, size_t i, bool with_null)
{
    struct buf select CLEANUP(buf_fini) = {0};
    for (size_t v = 0; v < 3; v++) {
        buf_printf(&select, "%s '%s'::%s AS v", v == 0 ? "SELECT" : " UNION ALL SELECT",
                   typed[i].values[v], typed[i].type);
    }
    buf_append_str(&select, with_null ? " UNION ALL SELECT NULL" : "");
    table_add(fixture, table, buf_cstr(&select), "FIELD_IDS {v: 1}");
}

TEST(engine_scan, ranges_are_planned_by_and_change_no_row)
{
    struct fixture fixture = fixture_open(NULL);
    for (size_t i = 0; i < ARRAY_COUNT(typed); i++) {
        const struct engine_scan_column columns[] = {
            {.field_id = 1, .name = SLICE("v"), .type = slice_of(typed[i].type)}};
        struct engine_scan_range range = RANGE(typed[i].lower, typed[i].upper);
        struct table told = {.ranges = &range};
        struct table untold = {0};
        COLUMNS(&told, columns);
        COLUMNS(&untold, columns);
        for (unsigned with_null = 0; with_null < 2; with_null++) {
            static const char *const queries[] = {
                "SELECT string_agg(v::VARCHAR, ',' ORDER BY v) FROM %s",
                "SELECT string_agg(v || ' ' || n, ',' ORDER BY v) FROM (SELECT v, count(*) AS n "
                "FROM %s GROUP BY v)",
                "SELECT count(*)::VARCHAR FROM (FROM %s ORDER BY v DESC LIMIT 2) WHERE v IS NULL",
                "SELECT min(v) || ' ' || max(v) || ' ' || count(v) FROM %s",
                "SELECT count(*)::VARCHAR FROM %s AS t WHERE v IN (SELECT max(v) FROM (VALUES "
                "(NULL)) AS x(y), (SELECT t.v))",
            };
            range.has_nulls = with_null != 0;
            add_typed(&fixture, &told, i, with_null != 0);
            add_typed(&fixture, &untold, i, with_null != 0);
            for (size_t q = 0; q < ARRAY_COUNT(queries); q++) {
                struct buf expected CLEANUP(buf_fini) = {0};
                table_answer(&fixture, &untold, queries[q], &expected);
                table_expect(&fixture, &told, queries[q], buf_cstr(&expected));
            }
        }
        CHECK(told.asked_ranges > 0 && untold.asked_ranges == 0);
        table_fini(&told);
        table_fini(&untold);
    }
    fixture_close(&fixture);
}

TEST(engine_scan, a_value_outside_of_its_range_is_an_error)
{
    /* Goal: whichever bound lies, and whether the file's statistics are of the scan's type. */
    struct fixture fixture = fixture_open(NULL);
    for (size_t i = 0; i < ARRAY_COUNT(typed); i++) {
        const struct engine_scan_column columns[] = {
            {.field_id = 1, .name = SLICE("v"), .type = slice_of(typed[i].type)}};
        const struct engine_scan_range lies[] = {
            RANGE(typed[i].lower + 1, typed[i].upper),
            RANGE(typed[i].lower, typed[i].upper - 1),
            RANGE(typed[i].upper, typed[i].upper),
        };
        for (size_t l = 0; l < ARRAY_COUNT(lies); l++) {
            struct table table = {.ranges = &lies[l]};
            COLUMNS(&table, columns);
            add_typed(&fixture, &table, i, false);
            table_refuse(&fixture, &table, "SELECT v, count(*) FROM %s GROUP BY v ORDER BY v",
                         ERR_CORRUPT, "column \"v\" has a value outside");
            table_fini(&table);
        }
        struct engine_scan_range no_null = RANGE(typed[i].lower, typed[i].upper);
        struct table table = {.ranges = &no_null};
        COLUMNS(&table, columns);
        add_typed(&fixture, &table, i, true);
        table_refuse(&fixture, &table, "SELECT v FROM %s ORDER BY v", ERR_CORRUPT, "column \"v\"");
        table_fini(&table);
    }
    fixture_close(&fixture);
}

TEST(engine_scan, widened_and_missing_columns_are_held_against_their_range)
{
    struct fixture fixture = fixture_open(NULL);
    static const struct engine_scan_column columns[] = {
        COLUMN(1, "a", "BIGINT"),
        COLUMN(2, "b", "INTEGER", VALUE("7")),
    };
    struct engine_scan_range ranges[] = {RANGE(0, 99), RANGE(3, 7)};
    struct table table = {.ranges = ranges};
    COLUMNS(&table, columns);
    table_add(&fixture, &table, "SELECT range::INT AS a FROM range(100)", "FIELD_IDS {a: 1}");
    static const char *const query = "SELECT sum(a) || ' ' || sum(b) || ' ' || count(DISTINCT a) "
                                     "FROM (SELECT a, b FROM %s GROUP BY ALL)";
    table_expect(&fixture, &table, query, "4950 700 100");
    ranges[0].upper = 98;
    table_refuse(&fixture, &table, query, ERR_CORRUPT, "column \"a\" has a value outside");
    ranges[0].upper = 99;
    ranges[1].upper = 6;
    table_refuse(&fixture, &table, query, ERR_CORRUPT, "has no column \"b\"");
    table_fini(&table);
    fixture_close(&fixture);
}

TEST(engine_scan, ranges_that_make_no_sense_are_not_planned_by)
{
    /* Goal: nothing known, upside down, more than the type holds, of a type without numbers. */
    struct fixture fixture = fixture_open(NULL);
    static const struct engine_scan_column columns[] = {COLUMN(1, "a", "INTEGER"),
                                                        COLUMN(2, "b", "VARCHAR")};
    static const struct engine_scan_range lists[][2] = {
        {{0}, {0}},
        {RANGE(9, 0), RANGE(1, 2)},
        {RANGE(0, INT64_C(1) << 40), RANGE(1, 2)},
    };
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++) {
        struct table table = {.ranges = lists[i]};
        COLUMNS(&table, columns);
        table_add(&fixture, &table, "SELECT 5::INT AS a, 'x' AS b", "FIELD_IDS {a: 1, b: 2}");
        table_expect(&fixture, &table, "SELECT a || b FROM (FROM %s GROUP BY ALL)", "5x");
        table_fini(&table);
    }
    fixture_close(&fixture);
}

TEST(engine_scan, nothing_is_asked_of_hidden_rows_and_failures_are_clean)
{
    struct fixture fixture = fixture_open(NULL);
    static const struct engine_scan_column columns[] = {COLUMN(1, "a", "INTEGER")};
    static const struct engine_scan_range range = RANGE(0, 99);
    struct table table = {.ranges = &range, .spec.has_hidden = true};
    COLUMNS(&table, columns);
    table_add(&fixture, &table, "SELECT range::INT AS a FROM range(100)", "FIELD_IDS {a: 1}");
    table_expect(&fixture, &table, "SELECT count(*)::VARCHAR FROM (FROM %s GROUP BY ALL)", "100");
    CHECK(table.asked_ranges == 0);
    table.spec.has_hidden = false;
    table_expect(&fixture, &table, "SELECT count(*)::VARCHAR FROM (FROM %s GROUP BY ALL)", "100");
    CHECK(table.asked_ranges > 0);
    table.fail_ranges = ERR_IO;
    table_refuse(&fixture, &table, "SELECT a FROM %s GROUP BY a", ERR_IO, "the manifests are gone");
    table_fini(&table);
    fixture_close(&fixture);
}
