/* The dialect, the types and the fields; what clients make of it all: tests/trino. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/test.h"
#include "sql/scan.h"
#include "wire/trino/trino_int.h"

struct fixture {
    struct arena *arena;
    struct trino_request request;
    struct trino_plan plan;
    struct errinfo info;
};

static void fixture_fini(struct fixture *fixture)
{
    arena_free(fixture->arena);
}

static enum err plan(struct fixture *fixture, const char *text)
{
    if (fixture->arena == NULL) {
        fixture->arena = arena_new(NULL, "test", 0);
    }
    errinfo_init(&fixture->info);
    return trino_plan(&fixture->request, slice_of(text), fixture->arena, &fixture->plan,
                      &fixture->info);
}

static void check_text(const char *from, const char *to)
{
    struct fixture fixture CLEANUP(fixture_fini) = {0};
    CHECK_OK(plan(&fixture, from));
    assert_string_equal(to, fixture.plan.text.ptr);
}

TEST(trino, what_it_does_not_know_goes_through)
{
    check_text("SELECT a.\"b\" , 'it''s' FROM t -- end\n WHERE x>=1;",
               "SELECT a.\"b\" , 'it''s' AS _col1 FROM t WHERE x>=1");
    check_text("SELECT \"if\"(a), t.concat(b), concat FROM t",
               "SELECT \"if\"(a) AS _col0, t.concat(b) AS _col1, concat FROM t");
    check_text("SELECT ARRAY[1, 2], ARRAY(SELECT 1)",
               "SELECT ARRAY[1, 2] AS _col0, ARRAY(SELECT 1 AS _col0) AS _col1");
}

TEST(trino, functions_are_told_in_ours)
{
    check_text("SELECT approx_distinct(a)", "SELECT approx_count_distinct(a) AS _col0");
    check_text("GRANT SELECT ON lens TO bob", "GRANT SELECT ON lens TO bob"); /* no query */
    check_text("DENY SELECT, UPDATE ON lens TO bob", "DENY SELECT, UPDATE ON lens TO bob");
    check_text("SELECT if(a > 1, concat(b, 'x'), c)",
               "SELECT CASE WHEN (a > 1) THEN ((b || 'x')) ELSE c END AS _col0");
    check_text("SELECT date_add('day', 2 + 1, t)",
               "SELECT trino_as(t + (2 + 1) * INTERVAL 1 day, t) AS _col0");
    check_text("SELECT date_format(t, '%H:%i')", "SELECT strftime(t, '%H:%M') AS _col0");
    check_text("SELECT length(a || b), trim_array(a, 1 + 1)",
               "SELECT trino_length(a || b) AS _col0, list_slice(a, 1, len(a) - "
               "trino_checked(1 + 1, 0, len(a))) AS _col1");
    struct fixture fixture CLEANUP(fixture_fini) = {0};
    CHECK_ERR(ERR_UNSUPPORTED, plan(&fixture, "SELECT date_format(t, f)"));
    CHECK_ERR(ERR_INVALID, plan(&fixture, "SELECT date_add('fortnight', 1, t)"));
}

TEST(trino, literals_and_types_are_told_in_ours)
{
    check_text("SELECT X'00ff', DECIMAL '1.50', TIMESTAMP '2024-01-01 00:00:00 +01:00'",
               "SELECT unhex('00ff') AS _col0, (1.50) AS _col1, "
               "TIMESTAMPTZ '2024-01-01 00:00:00+01:00' AS _col2");
    check_text("SELECT CAST(a AS timestamp(3)), CAST(b AS array(timestamp(6) with time zone))",
               "SELECT CAST(a AS TIMESTAMP_MS) AS _col0, CAST(b AS TIMESTAMPTZ[]) AS _col1");
    check_text("SELECT CAST(a AS timestamp(9) with time zone)",
               "SELECT CAST(a AS TIMESTAMPTZ_NS) AS _col0");
    check_text("VALUES 1, (2), (3, 4)", "VALUES (1), (2), (3, 4)");
    check_text("SELECT 1 OFFSET 2 ROWS FETCH NEXT 3 ROWS ONLY",
               "SELECT 1 AS _col0 LIMIT 3 OFFSET 2");
}

/* WITH (...) of Trino's connector for Iceberg; what it says goes into clauses as a text only if it
 * cannot end one. */
TEST(trino, properties_of_tables_are_clauses)
{
    check_text("CREATE TABLE l.s.t (a bigint, d date) WITH (format = 'PARQUET', partitioning = "
               "ARRAY['month(d)', 'bucket(a, 4)'], sorted_by = ARRAY['a DESC NULLS LAST'], "
               "compression_codec = 'ZSTD', format_version = 2)",
               "CREATE TABLE l.s.t (a bigint, d date) PARTITIONED BY (month(d), bucket(a, 4)) "
               "SORTED BY (a DESC NULLS LAST) WITH (\"write.parquet.compression-codec\" = 'zstd', "
               "\"format_version\" = 2)");
    check_text(
        "create or replace table t comment 'c' with (parquet_bloom_filter_columns = "
        "ARRAY['a'], extra_properties = MAP(ARRAY['x.y'], ARRAY['z'])) as with q as (select "
        "1 AS a) select * from q",
        "create or replace table t comment 'c' WITH "
        "(\"write.parquet.bloom-filter-enabled.column.a\" = 'true', \"x.y\" = 'z') as with q "
        "as (select 1 AS a) select * from q");
    check_text("CREATE TABLE t WITH (\"commit.retry.num-retries\" = '3') AS SELECT 1 AS a",
               "CREATE TABLE t WITH (\"commit.retry.num-retries\" = '3') AS SELECT 1 AS a");
    check_text("CREATE TABLE t (a bigint) WITH (format = 'parquet')", "CREATE TABLE t (a bigint)");
    check_text("CREATE TABLE t (a bigint) WITH ()", "CREATE TABLE t (a bigint)");
    static const struct {
        const char *properties;
        const char *at; /* where the error is; NULL: it says none */
    } wrong[] = {
        {"nope = 1", "nope"},
        {"format = 'ORC'", NULL},
        {"format = 1", "1"},
        {"partitioning = 'a'", "'a'"},
        {"partitioning = ARRAY['a) AS SELECT (1']", "ARRAY"},
        {"partitioning = ARRAY['a', 'b' 'c']", "ARRAY"},
        {"partitioning = ARRAY['a, b']", "ARRAY"},
        {"partitioning = ARRAY['']", "ARRAY"},
        {"partitioning = ARRAY['a(']", "ARRAY"},
        {"partitioning = ARRAY['''']", "ARRAY"},
        {"sorted_by = ARRAY[a]", "ARRAY"},
        {"compression_codec = 'a''b'", "'a"},
        {"extra_properties = MAP(ARRAY['a'], ARRAY[])", "MAP"},
        {"extra_properties = MAP(ARRAY['a'])", "MAP"},
        {"format", "format"},
        {"format =", "format"},
        {"= 1", "= 1"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct fixture fixture CLEANUP(fixture_fini) = {0};
        char text[256];
        (void)snprintf(text, sizeof(text), "CREATE TABLE t(a) WITH (%s)", wrong[i].properties);
        assert_int_not_equal(ERR_OK, plan(&fixture, text));
        const char *at = wrong[i].at == NULL ? NULL : strstr(text, wrong[i].at);
        assert_int_equal(at == NULL ? 0 : at - text + 1, fixture.info.position);
    }
}

TEST(trino, division_is_a_call_of_its_chain_so_far)
{
    check_text("SELECT a / b AS x", "SELECT trino_divide(a, b) AS x");
    check_text("SELECT a * b / c % 2 + d / -e AS x",
               "SELECT trino_modulo(trino_divide(a * b, c), 2) + trino_divide(d, -e) AS x");
    check_text("SELECT (a + b) / (c - d) x", "SELECT trino_divide((a + b), (c - d)) x");
    check_text("SELECT sum(a) OVER (ORDER BY b) / count(*) OVER w AS x FROM t",
               "SELECT trino_divide(sum(a) OVER (ORDER BY b), count(*) OVER w) AS x FROM t");
    check_text("SELECT x FROM t WHERE a / 2 > 1 AND t.b / t.c[1] = CASE WHEN d / 2 = 1 THEN 1 END",
               "SELECT x FROM t WHERE trino_divide(a, 2) > 1 AND trino_divide(t.b, t.c[1]) = CASE "
               "WHEN trino_divide(d, 2) = 1 THEN 1 END");
    check_text("SELECT count(*), a / b FROM t",
               "SELECT count(*) AS _col0, trino_divide(a, b) AS _col1 FROM t");
    check_text("SELECT transform(a, x -> x / 2) b, reduce(a, 0, (s, x) -> s + x / 2, s -> s / 2) c",
               "SELECT list_transform(a, lambda x: trino_divide(x, 2)) b, "
               "list_transform([list_reduce(a, lambda s, x: s + trino_divide(x, 2), 0)], "
               "lambda s: trino_divide(s, 2))[1] c");
    check_text("SELECT (a * extract(dow FROM d) / 2) b",
               "SELECT (trino_divide(a * extract(isodow FROM d), 2)) b");
    check_text("SELECT (a * extract(year FROM d / 2) / 2) % CAST(b / 2 AS decimal(5, 2)) c",
               "SELECT trino_modulo((trino_divide(a * extract(year FROM trino_divide(d, 2)), 2)), "
               "CAST(trino_divide(b, 2) AS decimal(5, 2))) c");
    check_text("SELECT a / DOUBLE '2' c", "SELECT trino_divide(a, DOUBLE '2') c");
    struct fixture fixture CLEANUP(fixture_fini) = {0};
    const char *text = "SELECT a / nope FROM t";
    CHECK_OK(plan(&fixture, text));
    size_t ran = slice_find(fixture.plan.text, SLICE("nope"));
    assert_int_equal(strstr(text, "nope") - text + 1, trino_plan_position(&fixture.plan, ran + 1));
    ran = slice_find(fixture.plan.text, SLICE("a, nope"));
    assert_int_equal(8, trino_plan_position(&fixture.plan, ran + 1));
}

TEST(trino, sums_with_an_interval_are_calls)
{
    check_text("SELECT a + INTERVAL '1' DAY x", "SELECT trino_add(a, INTERVAL '1' DAY) x");
    check_text("SELECT t.a - 1 - 2 * INTERVAL '1' DAY + b x, a + b AS y, -a - b z",
               "SELECT trino_add(trino_subtract(t.a - 1, 2 * INTERVAL '1' DAY), b) x, a + b AS y, "
               "-a - b z");
    check_text("SELECT INTERVAL '1' DAY + f(a) x, (a) - INTERVAL '1' DAY, -INTERVAL '1' DAY y",
               "SELECT trino_add(INTERVAL '1' DAY, f(a)) x, trino_subtract((a), INTERVAL '1' DAY) "
               "AS _col1, -INTERVAL '1' DAY y");
    check_text("SELECT 1 AS x FROM t WHERE d BETWEEN a - INTERVAL '1' DAY AND b AND c = "
               "CASE WHEN e + INTERVAL '1' MONTH > f THEN g END",
               "SELECT 1 AS x FROM t WHERE d BETWEEN trino_subtract(a, INTERVAL '1' DAY) AND b AND "
               "c = CASE WHEN trino_add(e, INTERVAL '1' MONTH) > f THEN g END");
    check_text("SELECT transform(a, x -> x + INTERVAL '1' DAY / 2) b",
               "SELECT list_transform(a, lambda x: trino_add(x, trino_divide(INTERVAL '1' DAY, "
               "2))) b");
    check_text("SELECT a AT TIME ZONE 'UTC' b, at.time FROM at",
               "SELECT a::TIMESTAMPTZ AT TIME ZONE 'UTC' b, \"at\".time FROM \"at\"");
}

TEST(trino, names_that_are_the_engines_words_are_quoted)
{
    check_text("SELECT at, map + 1 AS n, o.desc, limit FROM o WHERE at > 1 AND NOT show ORDER BY "
               "desc DESC, at LIMIT 1",
               "SELECT \"at\", \"map\" + 1 AS n, o.desc, \"limit\" FROM o WHERE \"at\" > 1 AND NOT "
               "\"show\" ORDER BY \"desc\" DESC, \"at\" LIMIT 1");
    check_text("SELECT CAST(at AS date) AS at, count(DISTINCT window) n FROM o GROUP BY at, "
               "columns HAVING max(lambda) > 1",
               "SELECT CAST(\"at\" AS date) AS at, count(DISTINCT \"window\") n FROM o GROUP BY "
               "\"at\", \"columns\" HAVING max(\"lambda\") > 1");
    /* as words */
    check_text(
        "SELECT a AT TIME ZONE 'UTC' b, ARRAY[1] c, x = ANY (SELECT 1 AS y) d FROM o, LATERAL "
        "(SELECT 1 AS z) l, UNNEST(m) ORDER BY a ASC, b DESC OFFSET 1 LIMIT ALL",
        "SELECT a::TIMESTAMPTZ AT TIME ZONE 'UTC' b, ARRAY[1] c, x = ANY (SELECT 1 AS y) d "
        "FROM o, LATERAL (SELECT 1 AS z) l, UNNEST(m) ORDER BY a ASC, b DESC LIMIT ALL "
        "OFFSET 1");
    check_text("SELECT map(a, b) c, trim(BOTH FROM d) e, a::binary f, CAST(a AS binary) g",
               "SELECT map(a, b) c, trim(BOTH FROM d) e, a::binary f, CAST(a AS binary) g");
    check_text("SELECT offset, a / b FROM o", "SELECT \"offset\", trino_divide(a, b) AS _col1 FROM "
                                              "o");
}

TEST(trino, partitions_of_a_table_are_as_trinos_connector_has_them)
{
    struct fixture fixture CLEANUP(fixture_fini) = {0};
    CHECK_OK(plan(&fixture, "SELECT * FROM l.s.\"t$partitions\" WHERE record_count > 1"));
    const char *text = fixture.plan.text.ptr;
    CHECK(strstr(text, "SELECT * FROM (SELECT \"partition\", record_count, ") == text);
    CHECK(strstr(text, " AS data FROM l.s.\"t$partitions\") AS \"t$partitions\" WHERE "
                       "record_count > 1") != NULL);
    CHECK_OK(plan(&fixture, "SELECT p.data FROM \"t$partitions\" p"));
    CHECK(strstr(fixture.plan.text.ptr, " AS data FROM \"t$partitions\") p") != NULL);
    check_text("SELECT a FROM \"t$files\"", "SELECT a FROM \"t$files\"");
}

TEST(trino, explain_has_one_form)
{
    struct fixture fixture CLEANUP(fixture_fini) = {0};
    check_text("EXPLAIN (TYPE DISTRIBUTED, FORMAT TEXT) SELECT a FROM t",
               "EXPLAIN SELECT a FROM t");
    check_text("EXPLAIN (TYPE VALIDATE) SELECT a FROM t",
               "SELECT count(*) = 0 AS \"Valid\" FROM (SELECT 1 FROM (SELECT a FROM t\n) LIMIT 0)");
    CHECK_ERR(ERR_UNSUPPORTED, plan(&fixture, "EXPLAIN (TYPE IO, FORMAT JSON) SELECT a FROM t"));
    CHECK_STR("EXPLAIN (TYPE IO)", fixture.info.message);
    CHECK_ERR(ERR_UNSUPPORTED, plan(&fixture, "EXPLAIN (FORMAT JSON) SELECT a FROM t"));
    CHECK_ERR(ERR_UNSUPPORTED, plan(&fixture, "EXPLAIN (TYPE VALIDATE) DELETE FROM t"));
    CHECK_ERR(ERR_SYNTAX, plan(&fixture, "EXPLAIN (TYPE NOPE) SELECT a FROM t"));
    CHECK_ERR(ERR_SYNTAX, plan(&fixture, "EXPLAIN (TYPE"));
}

TEST(trino, an_error_is_one_text)
{
    static const struct {
        const char *detail, *hint, *text;
    } all[] = {{"", "", "\"no such thing\""},
               {"", "Look.", "\"no such thing. Hint: Look.\""},
               {"It went.", "Look.", "\"no such thing. It went. Hint: Look.\""}};
    for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
        struct buf head CLEANUP(buf_fini) = {0};
        struct buf tail CLEANUP(buf_fini) = {0};
        struct errinfo info;
        errinfo_init(&info);
        (void)errinfo_set(&info, ERR_NOT_FOUND, NULL, "no such thing");
        errinfo_detail(&info, "%s", all[i].detail);
        errinfo_hint(&info, "%s", all[i].hint);
        struct trino_answer answer = {
            .id = "1", .state = "FAILED", .update_count = -1, .error = &info};
        (void)trino_answer_print(&answer, &head, &tail);
        CHECK(strstr(buf_cstr(&head), all[i].text) != NULL ||
              strstr(buf_cstr(&tail), all[i].text) != NULL);
    }
}

TEST(trino, aggregates_take_what_follows_them_along)
{
    check_text(
        "SELECT avg(a), avg(DISTINCT a + 1) FILTER (WHERE b) OVER (ORDER BY c) / 2 x FROM t",
        "SELECT trino_average(sum(a), count(a), max(a)) AS _col0, "
        "trino_divide(trino_average(sum(DISTINCT (a + 1)) FILTER (WHERE b) OVER (ORDER BY c), "
        "count(DISTINCT (a + 1)) FILTER (WHERE b) OVER (ORDER BY c), max(a + 1) FILTER (WHERE "
        "b) OVER (ORDER BY c)), 2) x FROM t");
    check_text("SELECT avg(a) OVER w, checksum(b) FROM t WINDOW w AS (ORDER BY a)",
               "SELECT trino_average(sum(a) OVER w, count(a) OVER w, max(a) OVER w) AS _col0, "
               "trino_checksum(sum(trino_hash(b))) AS _col1 FROM t WINDOW w AS (ORDER BY a)");
}

TEST(trino, lambdas_of_several_names_are_nested)
{
    check_text("SELECT map_filter(m, (k, \"v 1\") -> k > 1 OR \"v 1\" / 2 = 1) a",
               "SELECT map_from_entries(list_filter(map_entries(m), lambda __trino_e: "
               "list_transform([struct_extract(__trino_e, 'key')], lambda k: "
               "list_transform([struct_extract(__trino_e, 'value')], lambda \"v 1\": (k > 1 OR "
               "trino_divide(\"v 1\", 2) = 1))[1])[1])) a");
    check_text("SELECT normalize(a), normalize(a, nfkd)",
               "SELECT trino_normalize(a, 'NFC') AS _col0, trino_normalize(a, 'NFKD') AS _col1");
    static const struct {
        const char *text, *sqlstate;
    } wrong[] = {{"SELECT map_filter(m, k -> true)", "07001"},
                 {"SELECT map_filter(m, (k, v, w) -> true)", "07001"},
                 {"SELECT map_filter(m, () -> true)", "07001"},
                 {"SELECT transform_values(m, 1)", "42883"},
                 {"SELECT map_zip_with(a, b, (k, v) -> v)", "07001"},
                 {"SELECT normalize(a, 'NFC')", "42601"},
                 {"SELECT json_value(a, ' lax $.b')", "42883"},
                 {"SELECT json_exists(a, 'STRICT $')", "42883"}};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        struct fixture fixture CLEANUP(fixture_fini) = {0};
        assert_int_not_equal(ERR_OK, plan(&fixture, wrong[i].text));
        assert_string_equal(wrong[i].sqlstate, fixture.info.sqlstate);
    }
    check_text("SELECT json_exists(a, '$.b') c", "SELECT json_exists(a, '$.b') c");
}

/* Statements of the greatest length that would cost the square of it: refused, or done at once. */
TEST(trino, what_is_repeated_costs_no_more_than_its_length)
{
    static const struct {
        const char *first, *part;
        size_t count;
    } texts[] = {{"SELECT 1", "/1", 99000},
                 {"SELECT ", "(SELECT ", 60000},
                 {"CREATE TABLE x (a) AS SELECT 1 AS a", " UNION SELECT 1", 60000},
                 {"SELECT ", "avg(", 190},
                 {"SELECT ", "map_union(", 190},
                 {"SELECT a", " + INTERVAL '1' DAY", 24000},
                 {"SELECT 1", ", CASE WHEN a / 2 THEN 1 END", 20000},
                 {"SELECT ", "[", 100000}};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct fixture fixture CLEANUP(fixture_fini) = {0};
        struct buf text CLEANUP(buf_fini) = {0};
        buf_append_str(&text, texts[i].first);
        for (size_t n = 0; n < texts[i].count; n++) {
            buf_append_str(&text, texts[i].part);
        }
        int64_t begun_us = clock_mono_us();
        (void)plan(&fixture, buf_cstr(&text));
        CHECK(clock_mono_us() - begun_us < 10000000);
    }
}

TEST(trino, what_has_no_name_is_numbered)
{
    check_text("SELECT 1, b, c d, e AS f, true, INTERVAL '1' DAY, t.g FROM t",
               "SELECT 1 AS _col0, b, c d, e AS f, true AS _col4, INTERVAL '1' DAY AS _col5, t.g "
               "FROM t");
    check_text("SELECT a IS DISTINCT FROM b FROM t", "SELECT a IS DISTINCT FROM b AS _col0 FROM t");
    check_text("SELECT listagg(a, ',') WITHIN GROUP (ORDER BY b) FROM t",
               "SELECT string_agg(a, ',' ORDER BY b) AS _col0 FROM t");
    check_text("SELECT 0x1F, CASE WHEN a THEN b END FROM t",
               "SELECT 31 AS _col0, CASE WHEN a THEN b END AS _col1 FROM t");
    check_text("CREATE TABLE x AS SELECT 1 AS a, b FROM t",
               "CREATE TABLE x AS SELECT 1 AS a, b FROM t");
    struct fixture fixture CLEANUP(fixture_fini) = {0};
    CHECK_ERR(ERR_INVALID, plan(&fixture, "CREATE TABLE x AS SELECT 1 AS a, 2"));
    CHECK(trino_is_column(SLICE("_col12")));
    CHECK(!trino_is_column(SLICE("_col")));
    CHECK(!trino_is_column(SLICE("_cola")));
}

TEST(trino, forms_are_told_in_ours)
{
    check_text("SELECT lag(a) IGNORE NULLS OVER (ORDER BY b) x",
               "SELECT lag(a IGNORE NULLS) OVER (ORDER BY b) x");
    check_text("SELECT filter(a, (x, y) -> x > y) z",
               "SELECT list_filter(a, lambda x, y: x > y) z");
    check_text("SELECT CAST(a AS json) b, JSON '[1]' c", "SELECT to_json(a) b, json('[1]') c");
    check_text("SELECT 1e3 a, 0.50 b, -1.5 c", "SELECT CAST(1e3 AS DOUBLE) a, .50 b, -1.5 c");
    check_text("SELECT INTERVAL -'2' DAY a, INTERVAL '1-2' YEAR TO MONTH b",
               "SELECT (- INTERVAL '2' DAY) a, (INTERVAL '14' MONTH) b");
    check_text("SELECT a FROM UNNEST(b, c) WITH ORDINALITY AS t(a, d, e)",
               "SELECT a FROM (SELECT unnest(b), unnest(c), unnest(range(1, 1 + "
               "greatest(coalesce(len(b), 0), coalesce(len(c), 0))))) AS t(a, d, e)");
    check_text("CREATE TABLE x AS SELECT a FROM t WITH NO DATA",
               "CREATE TABLE x AS SELECT a FROM t LIMIT 0");
    check_text("ALTER TABLE a.b RENAME TO a.c", "ALTER TABLE a.b RENAME TO c");
    check_text("SELECT DATE '2024-01-31' + INTERVAL '1' MONTH - INTERVAL '2' DAY a",
               "SELECT DATE '2024-02-27' a");
    check_text(
        "SELECT DATE '2000-03-01' - INTERVAL '1' DAY a, DATE '2023-02-29' + INTERVAL '1' DAY b",
        "SELECT DATE '2000-02-29' a, trino_add(DATE '2023-02-29', INTERVAL '1' DAY) b");
    check_text(
        "SELECT DATE '1999-12-31' + INTERVAL '1' WEEK a, c - DATE '2024-01-01' + INTERVAL '1' DAY",
        "SELECT DATE '2000-01-07' a, trino_add(c - DATE '2024-01-01', INTERVAL '1' DAY) AS _col1");
    check_text("SELECT CAST(a AS bigint) b, CAST(c + 1 AS varchar(9)) d, CAST(e AS date) f",
               "SELECT CAST(trino_round(a) AS bigint) b, CAST(trino_text(c + 1) AS varchar(9)) d, "
               "CAST(e AS date) f");
    check_text("SELECT CAST(a AS int)", "SELECT CAST(trino_round(a) AS int) AS _col0");
    check_text("SELECT DECIMAL '-00.50' a, DECIMAL '12' b",
               "SELECT (-.50) a, CAST('12' AS DECIMAL(2, 0)) b");
    struct fixture fixture CLEANUP(fixture_fini) = {0};
    CHECK_ERR(ERR_UNSUPPORTED, plan(&fixture, "ALTER TABLE a.b RENAME TO x.c"));
    CHECK_ERR(ERR_SYNTAX, plan(&fixture, "SELECT X'0'"));
}

TEST(trino, values_stand_for_parameters_whatever_their_order)
{
    check_text("EXECUTE IMMEDIATE 'SELECT date_add(''day'', ?, ?), ?' USING 1, t, 'x''y'",
               "SELECT trino_as((t) + ((1)) * INTERVAL 1 day, (t)) AS _col0, ('x''y') AS _col1");
    struct fixture fixture CLEANUP(fixture_fini) = {0};
    CHECK_ERR(ERR_INVALID, plan(&fixture, "EXECUTE IMMEDIATE 'SELECT ?' USING 1, 2"));
    CHECK_ERR(ERR_INVALID, plan(&fixture, "SELECT ?"));
    CHECK_ERR(ERR_SYNTAX, plan(&fixture, "EXECUTE IMMEDIATE 'SELECT ?' USING 1) FROM t; --"));
    CHECK_ERR(ERR_SYNTAX, plan(&fixture, "EXECUTE IMMEDIATE 'SELECT ?' USING"));
    CHECK_ERR(ERR_NOT_FOUND, plan(&fixture, "EXECUTE p"));
}

TEST(trino, positions_are_of_what_was_sent)
{
    struct fixture fixture CLEANUP(fixture_fini) = {0};
    const char *text = "SELECT approx_distinct(a), nope FROM t";
    CHECK_OK(plan(&fixture, text));
    size_t ran = slice_find(fixture.plan.text, SLICE("nope"));
    assert_int_equal(strstr(text, "nope") - text + 1, trino_plan_position(&fixture.plan, ran + 1));
    assert_int_equal(0, trino_plan_position(&fixture.plan, 0));
}

/* What is wrong with what ran is said of what was sent: where it is, and its word. */
static void check_error(const char *sent, const char *ours, const char *word, size_t position)
{
    struct fixture fixture CLEANUP(fixture_fini) = {0};
    CHECK_OK(plan(&fixture, sent));
    struct errinfo info;
    char message[160];
    errinfo_init(&info);
    size_t at = slice_find(fixture.plan.text, slice_of(ours));
    assert_int_not_equal(SIZE_MAX, at);
    (void)errinfo_set(&info, ERR_SYNTAX, "42601", "syntax error at or near \"%s\"", ours);
    errinfo_position(&info, at + 1);
    trino_plan_error(&fixture.plan, &info);
    (void)snprintf(message, sizeof(message), "syntax error at or near \"%s\"", word);
    assert_string_equal(word[0] == '\0' ? "syntax error at end of input" : message, info.message);
    assert_int_equal(position, info.position);
}

TEST(trino, errors_name_words_that_were_sent)
{
    check_error("SELECT 7/", "AS", "", 10);
    check_error("SELECT 7/ -- ?", "AS", "", 10);
    check_error("SELECT 7/ FROM t", "AS", "FROM", 11);
    check_error("SELECT a + 1 1 FROM t", "AS", "FROM", 16);
    check_error("EXPLAIN  SELECT 7/ FROM t", "AS", "FROM", 20);
    check_error("EXPLAIN ANALYZE SELECT 7/", "AS", "", 26);
    check_error("SELECT a / b FROM t", "trino_divide", "a", 8);
    check_error("SELECT approx_distinct(a, b) FROM t", "approx_count", "approx_distinct", 8);
    check_error("SELECT 1 FROM system.runtime.queries LIMIT", "moat_system", "system", 15);
    check_error("SELECT \"\xC3\xBC x\" \"y z\" FROM t", "y z", "\"y z\"", 16);
    struct fixture fixture CLEANUP(fixture_fini) = {0};
    struct errinfo info;
    CHECK_OK(plan(&fixture, "SELECT a FROM t"));
    errinfo_init(&info);
    (void)errinfo_set(&info, ERR_NOT_FOUND, "42703", "column \"a\" does not exist");
    errinfo_position(&info, 8);
    trino_plan_error(&fixture.plan, &info);
    assert_string_equal("column \"a\" does not exist", info.message);
    assert_int_equal(8, info.position);
    (void)errinfo_set(&info, ERR_SYNTAX, "42601", "syntax error at or near \"x\"");
    errinfo_position(&info, 0);
    trino_plan_error(&fixture.plan, &info);
    assert_string_equal("syntax error at or near \"x\"", info.message);
    assert_int_equal(0, info.position);
}

TEST(trino, what_clients_keep_is_said_in_fields)
{
    struct fixture fixture CLEANUP(fixture_fini) = {0};
    CHECK_OK(plan(&fixture, "PREPARE p FROM SELECT ? , 'a=b'"));
    assert_int_equal(1, fixture.plan.header_count);
    CHECK_SLICE("p=SELECT%20%3F%20%2C%20%27a%3Db%27", fixture.plan.headers[0].value);
    CHECK(fixture.plan.text.len == 0);
    struct trino_pair pairs[4];
    size_t count = 0;
    CHECK_OK(trino_pairs_read(SLICE("p=SELECT%20%3F%20%2C%20%27a%3Db%27, q=a+b ,"), fixture.arena,
                              pairs, 4, &count, NULL));
    assert_int_equal(2, count);
    CHECK_SLICE("SELECT ? , 'a=b'", pairs[0].value);
    CHECK_SLICE("a b", pairs[1].value);
    count = 0;
    CHECK_ERR(ERR_INVALID, trino_pairs_read(SLICE("a=%4"), fixture.arena, pairs, 4, &count, NULL));
    CHECK_ERR(ERR_INVALID, trino_pairs_read(SLICE("a=%00"), fixture.arena, pairs, 4, &count, NULL));
    CHECK_ERR(ERR_INVALID, trino_pairs_read(SLICE("a=1,b=2,c=3,d=4,e=5"), fixture.arena, pairs, 4,
                                            &count, NULL));
}

TEST(trino, a_transaction_only_reads)
{
    struct fixture fixture CLEANUP(fixture_fini) = {.request = {.transaction = SLICE("t")}};
    CHECK_OK(plan(&fixture, "SELECT 1"));
    CHECK_ERR(ERR_UNSUPPORTED, plan(&fixture, "INSERT INTO t SELECT 1"));
    CHECK_ERR(ERR_UNSUPPORTED, plan(&fixture, "EXECUTE IMMEDIATE 'DROP TABLE t'"));
}

static void check_type(const char *engine, const char *want)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct buf text CLEANUP(buf_fini) = {0};
    struct trino_type type;
    CHECK_OK(trino_type_parse(slice_of(engine), true, arena, &type, NULL));
    trino_type_print(&type, &text);
    assert_string_equal(want, buf_cstr(&text));
}

/* ---- rows ---- */

#define CELLS 64

struct column_case {
    const char *format;
    const char *engine;
    size_t width; /* of a value in bytes; 0: texts; 1 with "b": bits */
};

/* A column of random values, small and large ones, beside each format's ends; a fifth is NULL. */
struct random_column {
    struct ArrowSchema schema;
    struct ArrowArray array;
    const void *buffers[3];
    uint8_t validity[CELLS / 8 + 1];
    uint64_t values[2 * CELLS + 2];
    int64_t large_offsets[CELLS + 2];
    int32_t offsets[CELLS + 2];
    char text[CELLS * 32];
    char *exact; /* of it what is used: sanitizers see what is read beyond */
};

static void fill_texts(struct random_column *c, uint64_t *random)
{
    static const char *const pieces[] = {"plain", "/",        " ",       "longer than eight bytes",
                                         "",      "12345678", /* as they are */
                                         "\"",    "\\",       "\x7F",    "\x1F",
                                         "\xFF",  "\n",       "\xC3\xBC"};
    size_t kinds = test_random_below(random, 2) == 0 ? 6 : ARRAY_COUNT(pieces);
    size_t len = 0;
    for (size_t i = 0; i <= CELLS; i++) {
        c->offsets[i] = (int32_t)len;
        c->large_offsets[i] = (int64_t)len;
        for (uint64_t n = test_random_below(random, 5); n > 0; n--) {
            const char *piece = pieces[test_random_below(random, kinds)];
            size_t more = strlen(piece);
            if (len + more < sizeof(c->text)) {
                memcpy(c->text + len, piece, more);
                len += more;
            }
        }
    }
    c->offsets[CELLS + 1] = (int32_t)len;
    c->large_offsets[CELLS + 1] = (int64_t)len;
    c->exact = mem_alloc(len);
    assert_non_null(c->exact);
    memcpy(c->exact, c->text, len);
}

static void fill_values(struct random_column *c, size_t width, uint64_t *random)
{
    for (size_t i = 0; i <= CELLS; i++) {
        uint64_t words[2] = {test_random(random), 0};
        words[0] >>= test_random_below(random, 64);
        words[0] = test_random_below(random, 2) == 0 ? words[0] : 0 - words[0];
        words[1] = (int64_t)words[0] < 0 ? UINT64_MAX : 0;
        if (width == 16 && test_random_below(random, 4) == 0) { /* of more than 64 bits */
            words[1] = (uint64_t)test_random_below(random, 1000);
        }
        memcpy((char *)c->values + i * width, words, width);
    }
}

static void make_column(struct random_column *c, const struct column_case *is, uint64_t *random)
{
    bool is_large = strcmp(is->format, "U") == 0;
    *c = (struct random_column){.schema = {.format = is->format, .name = ""}};
    for (size_t i = 0; i < sizeof(c->validity); i++) {
        c->validity[i] = (uint8_t)(test_random(random) | test_random(random));
    }
    if (is->width == 0) {
        fill_texts(c, random);
    } else {
        fill_values(c, is->width, random);
    }
    c->buffers[0] = c->validity;
    c->buffers[1] = is->width > 0 ? (const void *)c->values
                    : is_large    ? (const void *)c->large_offsets
                                  : (const void *)c->offsets;
    c->buffers[2] = c->exact;
    c->array = (struct ArrowArray){.length = CELLS,
                                   .null_count = -1,
                                   .offset = 1,
                                   .n_buffers = is->width == 0 ? 3 : 2,
                                   .buffers = c->buffers};
}

/* The quick ways write what trino_cell_print writes, whatever the values. */
TEST(trino, rows_are_what_cells_say)
{
    static const struct column_case cases[] = {
        {"b", "BOOLEAN", 1},
        {"c", "TINYINT", 1},
        {"s", "SMALLINT", 2},
        {"i", "INTEGER", 4},
        {"l", "BIGINT", 8},
        {"L", "UBIGINT", 8},
        {"C", "UTINYINT", 1},
        {"tdD", "DATE", 4},
        {"tsu:", "TIMESTAMP", 8},
        {"tsm:", "TIMESTAMP_MS", 8},
        {"tsu:UTC", "TIMESTAMP WITH TIME ZONE", 8},
        {"tsn:UTC", "TIMESTAMPTZ_NS", 8},
        {"d:38,0", "HUGEINT", 16},
        {"d:38,3", "DECIMAL(38,3)", 16},
        {"d:38,30", "DECIMAL(38,30)", 16},
        {"d:18,18,64", "DECIMAL(18,18)", 8},
        {"d:9,2,32", "DECIMAL(9,2)", 4},
        {"d:9,0,32", "DECIMAL(9,0)", 4},
        {"g", "DOUBLE", 8},
        {"u", "VARCHAR", 0},
        {"U", "VARCHAR", 0},
    };
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    uint64_t random = test_seed();
    struct buf scratch CLEANUP(buf_fini) = {0};
    for (size_t round = 0; round < 200 * ARRAY_COUNT(cases); round++) {
        const struct column_case *is = &cases[round % ARRAY_COUNT(cases)];
        struct random_column c;
        struct trino_type type;
        struct trino_column column;
        make_column(&c, is, &random);
        struct ArrowSchema *children[] = {&c.schema};
        struct ArrowArray *arrays[] = {&c.array};
        struct ArrowSchema schema = {.format = "+s", .n_children = 1, .children = children};
        struct ArrowArray batch = {.length = CELLS, .n_children = 1, .children = arrays};
        bool is_parametric = test_random_below(&random, 2) == 0;
        CHECK_OK(trino_type_parse(slice_of(is->engine), is_parametric, arena, &type, NULL));
        trino_columns_begin(&column, &type, &schema);
        trino_columns_take(&column, &batch);
        struct buf whole CLEANUP(buf_fini) = {0}; /* of all rows, as it grows */
        for (int64_t row = 0; row < CELLS; row++) {
            size_t begun = whole.len;
            struct buf cell CLEANUP(buf_fini) = {0};
            enum err err = trino_cell_print(&type, &c.schema, &c.array, row, &scratch, &cell, NULL);
            enum err other = trino_row_print(&column, 1, row, &scratch, &whole, NULL);
            assert_int_equal(err, other);
            if (err == ERR_OK) {
                assert_int_equal(cell.len + 2, whole.len - begun);
                assert_memory_equal(cell.ptr, whole.ptr + begun + 1, cell.len);
            }
        }
        mem_free(c.exact);
    }
}

TEST(trino, types_have_their_names)
{
    check_type("DECIMAL(9,2)", "decimal(9,2)");
    check_type("TIMESTAMP WITH TIME ZONE", "timestamp(6) with time zone");
    check_type("TIMESTAMPTZ_NS", "timestamp(9) with time zone");
    check_type("INTEGER[][3]", "array(array(integer))");
    check_type("STRUCT(a INTEGER, \"b \"\"c\" VARCHAR[])",
               "row(a integer, \"b \"\"c\" array(varchar))");
    check_type("STRUCT(INTEGER, TIME WITH TIME ZONE)", "row(integer, time(6))");
    check_type("MAP(VARCHAR, STRUCT(x DECIMAL(4,1)))", "map(varchar, row(x decimal(4,1)))");
    check_type("ENUM('a)', 'b(')", "varchar");
    check_type("HUGEINT", "bigint");
    check_type("UHUGEINT", "decimal(38,0)");
    check_type("", "varchar");
    check_type("STRUCT(", "varchar");
    check_type("DECIMAL(x)", "varchar");
}
