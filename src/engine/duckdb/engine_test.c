#include "engine/duckdb/fixture.h"

#include "base/hash.h"

static struct buf parse_text(struct fixture *fixture, const char *sql)
{
    struct buf json = {0};
    struct errinfo info;
    if (engine_parse(fixture->session, slice_of(sql), &json, &info) != ERR_OK) {
        fail_msg("%s: %s", sql, info.message);
    }
    return json;
}

static const char *const round_trips[] = {
    "SELECT 1",
    "SELECT a.x, b.y AS z FROM a JOIN b ON a.i = b.i WHERE a.x > 3 AND b.y IS NOT NULL",
    "SELECT * FROM t",
    "SELECT t.* EXCLUDE (a) REPLACE (b + 1 AS b) FROM t",
    "SELECT COLUMNS('a.*') FROM t",
    "SELECT count(*), sum(x) FILTER (WHERE y) FROM t GROUP BY ALL HAVING count(*) > 1",
    "SELECT x, count(*) FROM t GROUP BY GROUPING SETS ((x), ())",
    "SELECT x, y, sum(z) FROM t GROUP BY ROLLUP (x, y)",
    "SELECT x, y, sum(z) FROM t GROUP BY CUBE (x, y)",
    "SELECT DISTINCT ON (x) x, y FROM t ORDER BY x, y DESC NULLS FIRST LIMIT 10 OFFSET 5",
    "SELECT row_number() OVER (PARTITION BY a ORDER BY b) FROM t QUALIFY row_number() OVER "
    "(ORDER BY b) = 1",
    "SELECT sum(x) OVER (ORDER BY y ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) FROM t",
    "SELECT lag(x, 2, 0 IGNORE NULLS) OVER w FROM t WINDOW w AS (ORDER BY y)",
    "WITH c AS (SELECT 1 AS x) SELECT * FROM c",
    "WITH c AS MATERIALIZED (SELECT 1 AS x) SELECT * FROM c",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 9) SELECT * FROM r",
    "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) v(x, y)",
    "VALUES (1), (2)",
    "SELECT * FROM a, LATERAL (SELECT a.x + 1) l",
    "SELECT * FROM a LEFT JOIN b USING (i)",
    "SELECT * FROM a NATURAL JOIN b",
    "SELECT * FROM a SEMI JOIN b ON a.i = b.i",
    "SELECT * FROM a ANTI JOIN b ON a.i = b.i",
    "SELECT * FROM a ASOF JOIN b ON a.t >= b.t",
    "SELECT * FROM a POSITIONAL JOIN b",
    "SELECT * FROM a CROSS JOIN b",
    "SELECT * FROM a FULL OUTER JOIN b ON a.i = b.i",
    "SELECT x FROM a UNION SELECT x FROM b",
    "SELECT x FROM a UNION ALL BY NAME SELECT x FROM b",
    "SELECT x FROM a INTERSECT SELECT x FROM b EXCEPT SELECT x FROM c",
    "SELECT (SELECT max(x) FROM b WHERE b.i = a.i) FROM a",
    "SELECT x IN (SELECT y FROM b), EXISTS (SELECT 1 FROM c), x = ANY (SELECT y FROM b) FROM a",
    "SELECT CASE WHEN x > 1 THEN 'a' WHEN x > 0 THEN 'b' ELSE 'c' END FROM t",
    "SELECT CASE x WHEN 1 THEN 2 END FROM t",
    "SELECT CAST(x AS DECIMAL(10, 2)), TRY_CAST(y AS INTEGER), z::DATE FROM t",
    "SELECT x BETWEEN 1 AND 2, x NOT IN (1, 2), x IS DISTINCT FROM y FROM t",
    "SELECT a LIKE 'x%', a ILIKE '%y', a SIMILAR TO 'z+', a NOT LIKE 'q' ESCAPE '!' FROM t",
    "SELECT DATE '2020-01-01' + INTERVAL 3 DAY, TIMESTAMP '2020-01-01 00:00:00'",
    "SELECT extract(year FROM d), date_trunc('month', d) FROM t",
    "SELECT [1, 2, 3], {'a': 1, 'b': 'x'}, MAP {'k': 1}",
    "SELECT l[1], l[1:2], s.a, s['b'] FROM t",
    "SELECT list_transform([1, 2], lambda x: x + 1)",
    "SELECT [x * 2 FOR x IN l IF x > 1] FROM t",
    "SELECT unnest([1, 2]), unnest(s, recursive := true) FROM t",
    "SELECT \"select\", \"Weird \"\"name\"\"\" FROM \"my schema\".\"my table\"",
    "SELECT 'it''s', E'a\\nb', '\\x41'::BLOB",
    "SELECT 1e10, 1.5, -3, 170141183460469231731687303715884105727, 0.1::DOUBLE",
    "SELECT $1, $2 + 1",
    "SELECT ?",
    "SELECT $name",
    "SELECT x FROM t AT (VERSION => 3)",
    "SELECT x FROM t AT (TIMESTAMP => TIMESTAMP '2020-01-01 00:00:00')",
    "SELECT * FROM read_parquet(['moat://a/0.parquet', 'moat://a/1.parquet'], "
    "union_by_name := true)",
    "SELECT * FROM t TABLESAMPLE 10 PERCENT (bernoulli)",
    "SELECT x FROM t USING SAMPLE reservoir(50 ROWS) REPEATABLE (1)",
    "PIVOT t ON y IN ('a', 'b') USING sum(z) GROUP BY x",
    "UNPIVOT t ON a, b INTO NAME n VALUE v",
    "FROM t SELECT x WHERE x > 1",
    "FROM t",
    "SELECT a.b.c.d FROM a.b.c",
    "SELECT string_agg(x, ',' ORDER BY y DESC) FROM t",
    "SELECT count(DISTINCT x) FROM t LIMIT 10 PERCENT",
    "SELECT x COLLATE NOCASE FROM t ORDER BY ALL",
    "SELECT 'd' || chr(233) || 'é日本語'",
    "DESCRIBE SELECT 1 AS x",
    "SUMMARIZE t",
};

TEST(engine, syntax_trees_survive_printing)
{
    /* Goal: text -> tree -> text -> tree is stable, so that a rewritten tree means what it says. */
    struct fixture fixture = fixture_open(NULL);
    for (size_t i = 0; i < ARRAY_COUNT(round_trips); i++) {
        struct errinfo info;
        struct buf first CLEANUP(buf_fini) = parse_text(&fixture, round_trips[i]);
        struct buf sql CLEANUP(buf_fini) = {0};
        if (engine_deparse(fixture.session, buf_slice(&first), &sql, &info) != ERR_OK) {
            fail_msg("%s: %s", round_trips[i], info.message);
        }
        struct buf second CLEANUP(buf_fini) = parse_text(&fixture, buf_cstr(&sql));
        struct buf again CLEANUP(buf_fini) = {0};
        CHECK_OK(engine_deparse(fixture.session, buf_slice(&second), &again, &info));
        /* The engine wraps VALUES in one more subquery each time, which means the same. */
        bool is_stable = slice_equal(buf_slice(&sql), buf_slice(&again));
        if (!is_stable && strstr(round_trips[i], "VALUES") == NULL) {
            fail_msg("%s: \"%s\" became \"%s\"", round_trips[i], buf_cstr(&sql), buf_cstr(&again));
        }
    }
    fixture_close(&fixture);
}

TEST(engine, several_statements_parse_into_one_document)
{
    struct fixture fixture = fixture_open(NULL);
    struct buf json CLEANUP(buf_fini) = parse_text(&fixture, "SELECT 1; SELECT 2 -- x\n;SELECT 3");
    size_t count = 0;
    for (const char *at = buf_cstr(&json); (at = strstr(at, "\"SELECT_NODE\"")) != NULL; at++) {
        count++;
    }
    CHECK(count == 3);
    fixture_close(&fixture);
}

TEST(engine, parse_errors_have_a_position_and_others_are_unsupported)
{
    struct fixture fixture = fixture_open(NULL);
    static const struct {
        const char *sql;
        enum err err;
        size_t position;
    } cases[] = {
        {"SELEC 1", ERR_SYNTAX, 1},
        {"SELECT 1 +", ERR_SYNTAX, 11},
        {"SELECT * FROM t WHERE", ERR_SYNTAX, 22},
        {"SELECT 'é日', ) FROM t", ERR_SYNTAX, 17},
        {"SELECT 1; SELEC 2", ERR_SYNTAX, 11},
        {"DROP TABLE t", ERR_UNSUPPORTED, 0},
        {"INSERT INTO t VALUES (1)", ERR_UNSUPPORTED, 0},
        {"SET threads = 1", ERR_UNSUPPORTED, 0},
        {"SELECT 1; DROP TABLE t", ERR_UNSUPPORTED, 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf json CLEANUP(buf_fini) = {0};
        struct errinfo info;
        enum err err = engine_parse(fixture.session, slice_of(cases[i].sql), &json, &info);
        if (err != cases[i].err || info.position != cases[i].position || json.len != 0) {
            fail_msg("%s: %s at %zu: %s", cases[i].sql, err_name(err), info.position, info.message);
        }
    }
    fixture_close(&fixture);
}

TEST(engine, text_with_nul_or_broken_utf8_is_refused_everywhere)
{
    struct fixture fixture = fixture_open(NULL);
    static const struct {
        struct slice sql;
        const char *sqlstate;
    } cases[] = {
        {{"SELECT 1\0, 2", 12}, "42601"},
        {{"SELECT '\xC3'", 10}, "22021"},
        {{"SELECT '\xED\xA0\x80'", 12}, "22021"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf out CLEANUP(buf_fini) = {0};
        struct engine_query *query = NULL;
        struct errinfo info;
        CHECK_ERR(ERR_SYNTAX, engine_parse(fixture.session, cases[i].sql, &out, &info));
        CHECK_STR(cases[i].sqlstate, info.sqlstate);
        CHECK_ERR(ERR_SYNTAX, engine_deparse(fixture.session, cases[i].sql, &out, &info));
        CHECK_ERR(ERR_SYNTAX,
                  engine_query_open(fixture.session, WHO, cases[i].sql, NULL, 0, &query, &info));
        CHECK_ERR(ERR_SYNTAX,
                  engine_explain(fixture.session, WHO, cases[i].sql, false, &out, &info));
    }
    fixture_close(&fixture);
}

TEST(engine, a_damaged_tree_does_not_print)
{
    struct fixture fixture = fixture_open(NULL);
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "{}",
        "null",
        "{\"error\":false,\"statements\":[]}",
        "{\"error\":false,\"statements\":[{\"node\":{\"type\":\"NO_SUCH_NODE\"}}]}",
        "{\"error\":false,\"statements\":[{\"node\":5}]}",
    };
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct buf sql CLEANUP(buf_fini) = {0};
        struct errinfo info;
        if (engine_deparse(fixture.session, slice_of(bad[i]), &sql, &info) == ERR_OK) {
            fail_msg("\"%s\" printed as \"%s\"", bad[i], buf_cstr(&sql));
        }
    }
    fixture_expect(&fixture, "SELECT 'alive'", "alive");
    fixture_close(&fixture);
}

TEST(engine, errors_carry_sqlstate_and_hint)
{
    struct fixture fixture = fixture_open(NULL);
    static const struct {
        const char *sql;
        enum err err;
        const char *sqlstate;
        const char *message; /* part of it */
        const char *hint;    /* part of it; "" = must be none; NULL = any */
    } cases[] = {
        {"SELECT nam FROM (SELECT 1 AS name)", ERR_ENGINE, "42703", "\"nam\"", "name"},
        {"SELECT nothing", ERR_ENGINE, "42703", "\"nothing\"", NULL},
        {"SELECT t.nam FROM (SELECT 1 AS name) t", ERR_ENGINE, "42703", "nam", NULL},
        {"SELECT * FROM missing_table", ERR_ENGINE, "42P01", "missing_table", NULL},
        {"SELECT * FROM no_such.t", ERR_ENGINE, "42P01", "t", NULL},
        {"SELECT lowr('a')", ERR_ENGINE, "42883", "lowr", ""},
        {"SELECT sum('a')", ERR_ENGINE, "42883", "no form of \"sum\" takes (VARCHAR)",
         "and others"},
        {"SELECT lower(1, 2)", ERR_ENGINE, "42883", "no form of \"lower\" takes (INTEGER, INTEGER)",
         "It takes (VARCHAR); CAST"},
        {"SELECT 'a' + DATE '2020-01-01'", ERR_ENGINE, "42725",
         "more than one form of \"+\" takes (VARCHAR, DATE)", "(INTERVAL, DATE)"},
        {"SELECT __moat_cap([1], 5)", ERR_ENGINE, "42883", "must be a whole number", ""},
        {"SELECT 1 AS a ORDER BY 'a'", ERR_ENGINE, "42601", "constant", "number of a column"},
        {"SELECT st_point(1, 2)", ERR_ENGINE, "42883", "st_point", ""},
        {"SELECT CAST('x. Use SET threads=1' AS INTEGER)", ERR_ENGINE, "22P02", "SET threads", ""},
        {"SELECT x FROM (SELECT 1 AS x) a, (SELECT 2 AS x) b", ERR_ENGINE, "42702", "a.x", NULL},
        {"SELECT FROM WHERE", ERR_SYNTAX, "42601", "syntax error", NULL},
        {"SELECT CAST('abc' AS INTEGER)", ERR_ENGINE, "22P02", "abc", NULL},
        {"SELECT CAST('2020-99-01' AS DATE)", ERR_ENGINE, "22008", "2020-99-01", NULL},
        {"SELECT CAST('nope' AS DATE)", ERR_ENGINE, "22007", "nope", NULL},
        {"SELECT CAST(300 AS TINYINT)", ERR_ENGINE, "22003", "out of range", NULL},
        {"SELECT 9223372036854775807 + 1::BIGINT", ERR_ENGINE, "22003", "verflow", NULL},
        {"SELECT x, count(*) FROM (SELECT 1 AS x)", ERR_ENGINE, "42803", "GROUP BY", NULL},
        {"SELECT DATE '2020-01-01' = 1", ERR_ENGINE, "42846", "INTEGER -> DATE", NULL},
        {"SELECT (SELECT * FROM range(2))", ERR_ENGINE, "21000", "subquery", "LIMIT 1"},
        {"SELECT error('boom')", ERR_ENGINE, "22023", "boom", NULL},
        {"SELECT __moat_cap(i, 5) FROM range(10) t(i)", ERR_LIMIT, "54000", "more than 5", "less"},
        {"SELECT $1", ERR_INVALID, "08P01", "1 parameters", NULL},
        {"SELECT 1; SELECT 2", ERR_UNSUPPORTED, "0A000", "one statement", NULL},
        {"SELECT * FROM 'nothing.parquet'", ERR_DENIED, "42501", "disabled", NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct errinfo info;
        errinfo_init(&info);
        enum err err = fixture_run(&fixture, cases[i].sql, NULL, &info);
        bool is_right =
            err == cases[i].err && strcmp(info.sqlstate, cases[i].sqlstate) == 0 &&
            strstr(info.message, cases[i].message) != NULL &&
            (cases[i].hint == NULL || strstr(info.hint, cases[i].hint) != NULL) &&
            (cases[i].hint == NULL || cases[i].hint[0] != '\0' || !info.hint[0]) &&
            strstr(info.hint, "SET ") == NULL && strstr(info.hint, "LOAD") == NULL &&
            strstr(info.hint, "__moat_") == NULL && strstr(info.message, "INSTALL") == NULL &&
            strstr(info.message, "LINE ") == NULL && strstr(info.message, " Error:") == NULL &&
            info.position == 0 && info.code == err;
        if (!is_right) {
            fail_msg("%s: %s %s \"%s\" hint \"%s\"", cases[i].sql, err_name(err), info.sqlstate,
                     info.message, info.hint);
        }
    }
    fixture_close(&fixture);
}

TEST(engine, memory_over_the_limit_is_a_clean_error)
{
    struct engine_options options = {.memory_bytes_max = 64u << 20, .thread_count = 2};
    struct fixture fixture = fixture_open(&options);
    struct errinfo info;
    CHECK_ERR(ERR_NOMEM,
              fixture_run(&fixture,
                          "SELECT max(l) FROM (SELECT list(md5(CAST(i AS VARCHAR))) AS l "
                          "FROM range(3000000) t(i) GROUP BY i % 7)",
                          NULL, &info));
    CHECK_STR("53200", info.sqlstate);
    fixture_expect(&fixture, "SELECT 'alive'", "alive");
    fixture_close(&fixture);
}

TEST(engine, parameters_keep_type_and_value)
{
    struct fixture fixture = fixture_open(NULL);
    struct engine_parameter parameters[] = {
        {.type = PARAMETER_NULL},
        {.type = PARAMETER_BOOL, .boolean = true},
        {.type = PARAMETER_I64, .integer = INT64_MIN},
        {.type = PARAMETER_DOUBLE, .real = 0.1},
        {.type = PARAMETER_TEXT, .text = SLICE("it's é")},
        {.type = PARAMETER_TEXT, .text = SLICE("2020-02-29")},
        {.type = PARAMETER_TEXT, .text = SLICE("12345678901234567890.12")},
    };
    struct engine_query *query CLEANUP(engine_query_cleanup) = NULL;
    struct errinfo info;
    errinfo_init(&info);
    if (engine_query_open(fixture.session, WHO,
                          SLICE("SELECT concat_ws('|', coalesce($1, 'null'), $2, $3, $4, $5, "
                                "DATE '2020-02-28' < $6, $7::DECIMAL(30, 2) + 1) AS t, $3 AS n"),
                          parameters, ARRAY_COUNT(parameters), &query, &info) != ERR_OK) {
        fail_msg("%s", info.message);
    }
    CHECK_SLICE("t", engine_query_column(query, 0).name);
    CHECK_SLICE("BIGINT", engine_query_column(query, 1).type);
    struct ArrowArray batch;
    if (engine_query_next(query, &batch, &info) != ERR_OK) {
        fail_msg("%s", info.message);
    }
    const int32_t *offsets = batch.children[0]->buffers[1];
    struct slice text = {batch.children[0]->buffers[2], (size_t)offsets[1]};
    CHECK_SLICE("null|true|-9223372036854775808|0.1|it's é|true|12345678901234567891.12", text);
    CHECK(((const int64_t *)batch.children[1]->buffers[1])[0] == INT64_MIN);
    batch.release(&batch);
    engine_query_close(TAKE(query));

    CHECK_ERR(ERR_INVALID, engine_query_open(fixture.session, WHO, SLICE("SELECT $1, $2"),
                                             parameters, 1, &query, &info));
    /* A rewritten function may have dropped the one that used it: who bound them has counted. */
    CHECK_OK(
        engine_query_open(fixture.session, WHO, SLICE("SELECT $1"), parameters, 2, &query, &info));
    engine_query_close(TAKE(query));
    struct engine_parameter number = {.type = PARAMETER_I64, .integer = 2};
    CHECK_OK(engine_query_open(fixture.session, WHO,
                               SLICE("WITH c AS (SELECT $1 AS x) SELECT c.x, (SELECT $1) FROM c "
                                     "ORDER BY $1 LIMIT $1"),
                               &number, 1, &query, &info));
    CHECK_SLICE("BIGINT", engine_query_column(query, 0).type);
    CHECK_SLICE("BIGINT", engine_query_column(query, 1).type);
    CHECK_OK(engine_query_next(query, &batch, &info));
    CHECK(batch.length == 1);
    batch.release(&batch);
    engine_query_close(TAKE(query));
    fixture_close(&fixture);
}

TEST(engine, every_type_has_its_arrow_format)
{
    static const struct {
        const char *sql;
        const char *format;
    } cases[] = {
        {"true", "b"},
        {"1::TINYINT", "c"},
        {"1::UTINYINT", "C"},
        {"1::SMALLINT", "s"},
        {"1::USMALLINT", "S"},
        {"1::INTEGER", "i"},
        {"1::UINTEGER", "I"},
        {"1::BIGINT", "l"},
        {"1::UBIGINT", "L"},
        {"1::FLOAT", "f"},
        {"1::DOUBLE", "g"},
        {"1::DECIMAL(4, 1)", "d:4,1,128"},
        {"1::DECIMAL(38, 10)", "d:38,10,128"},
        {"1::HUGEINT", "d:38,0"},
        {"'x'", "u"},
        {"'x'::BLOB", "z"},
        {"DATE '2020-01-01'", "tdD"},
        {"TIME '01:02:03'", "ttu"},
        {"TIMESTAMP '2020-01-01 00:00:00'", "tsu:"},
        {"TIMESTAMP_S '2020-01-01 00:00:00'", "tss:"},
        {"TIMESTAMP_MS '2020-01-01 00:00:00'", "tsm:"},
        {"TIMESTAMP_NS '2020-01-01 00:00:00'", "tsn:"},
        {"TIMESTAMPTZ '2020-01-01 00:00:00+00'", "tsu:UTC"},
        {"INTERVAL 1 DAY", "tin"},
        {"'00000000-0000-0000-0000-000000000001'::UUID", "u"},
        {"[1, 2]::BIGINT[]", "+l"},
        {"[1, 2]::BIGINT[2]", "+w:2"},
        {"{'a': 1, 'b': 'x'}", "+s"},
        {"MAP {'k': 1}", "+m"},
        {"NULL", "i"},
        {"'a'::ENUM ('a', 'b')", "C"},
        {"'{}'::JSON", "u"},
        {"'101'::BIT", "z"},
        {"union_value(k := 1)", "+us:0"},
    };
    struct fixture fixture = fixture_open(NULL);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char sql[200];
        (void)snprintf(sql, sizeof(sql), "SELECT %s AS x UNION ALL SELECT NULL", cases[i].sql);
        struct engine_query *query = NULL;
        struct errinfo info;
        if (engine_query_open(fixture.session, WHO, slice_of(sql), NULL, 0, &query, &info) !=
            ERR_OK) {
            fail_msg("%s: %s", sql, info.message);
        }
        struct ArrowSchema schema;
        CHECK_OK(engine_query_schema(query, &schema, &info));
        CHECK_STR("+s", schema.format);
        CHECK(schema.n_children == 1);
        CHECK_STR("x", schema.children[0]->name);
        if (strcmp(schema.children[0]->format, cases[i].format) != 0) {
            fail_msg("%s: %s", cases[i].sql, schema.children[0]->format);
        }
        struct ArrowArray batch;
        if (engine_query_next(query, &batch, &info) != ERR_OK) {
            fail_msg("%s: %s", sql, info.message);
        }
        CHECK(batch.length == 2 && batch.n_children == 1);
        CHECK(batch.children[0]->length == 2);
        schema.release(&schema);
        batch.release(&batch);
        engine_query_close(query);
    }
    fixture_close(&fixture);
}

TEST(engine, masks_work_on_characters_and_keep_null)
{
    struct fixture fixture = fixture_open(NULL);
    static const struct {
        const char *expression;
        const char *expected;
    } cases[] = {
        {"__moat_redact('4111-1111', 4)", "*****1111"},
        {"__moat_redact('日本語', 1)", "**語"},
        {"__moat_redact('abc', 0)", "***"},
        {"__moat_redact('abc', -5)", "***"},
        {"__moat_redact('abc', 9)", "***"},
        {"__moat_redact('abc', 3)", "***"},
        {"__moat_show_first('abc', 3)", "***"},
        {"CAST(__moat_barrier(7) AS VARCHAR)", "7"},
        {"CAST(__moat_barrier([1, NULL]) AS VARCHAR)", "[1, NULL]"},
        {"__moat_redact('', 3)", ""},
        {"__moat_redact(NULL, 3)", "NULL"},
        {"__moat_redact('abc', NULL)", "NULL"},
        {"__moat_show_first('日本語', 2)", "日本*"},
        {"__moat_show_first('abc', 9223372036854775807)", "***"},
        {"__moat_show_last('a much longer text than twelve bytes', 5)",
         "*******************************bytes"},
        {"__moat_hash(NULL)", "NULL"},
        {"__moat_barrier(NULL)", "NULL"},
        {"CAST(__moat_numeric(' -1.50e1 ') AS VARCHAR)", "-15.0"},
        {"CAST(__moat_numeric('0.00012') AS VARCHAR)", "0.00012"},
        {"CAST(__moat_numeric(1.5e-3::DOUBLE) AS VARCHAR)", "0.001500000"},
        {"CAST(__moat_numeric(2.5e-10::DOUBLE) AS VARCHAR)", "0.000000000"},
        {"CAST(__moat_numeric(7e-10::DOUBLE) AS VARCHAR)", "0.000000001"},
        {"typeof(__moat_numeric(1.25))", "DECIMAL(3,2)"},
        {"typeof(__moat_numeric(NULL))", "DECIMAL(38,9)"},
        {"__moat_barrier('a value that is not inlined')", "a value that is not inlined"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char sql[256];
        (void)snprintf(sql, sizeof(sql), "SELECT %s", cases[i].expression);
        fixture_expect(&fixture, sql, cases[i].expected);
    }
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES];
    CHECK_OK(hash_hmac_sha256(SLICE("key of the tests"), SLICE("ann@example.com"), digest));
    hash_hex(digest, sizeof(digest), hex);
    fixture_expect(&fixture, "SELECT __moat_hash('ann@example.com')", hex);
    /* Over columns: flat, dictionary, constant, per-row counts, all NULL. */
    fixture_expect(&fixture,
                   "SELECT string_agg(__moat_redact(s, n), ',' ORDER BY n) FROM (VALUES ('abcd', "
                   "1), ('abcd', 2), (NULL, 3), ('xyz', 4)) t(s, n)",
                   "***d,**cd,***");
    fixture_expect(&fixture,
                   "SELECT CAST(count(DISTINCT __moat_hash('k' || (i % 10))) AS VARCHAR) "
                   "FROM range(100000) t(i)",
                   "10");
    fixture_expect(&fixture, "SELECT CAST(sum(__moat_cap(i, 10)) AS VARCHAR) FROM range(11) t(i)",
                   "55");
    fixture_close(&fixture);
}

TEST(engine, a_barrier_keeps_errors_of_hidden_values_away)
{
    /* Goal: a function that throws never sees a value of a row that the policy hides. Method: the
     * dictionary holds the poison, the filter removes its rows, regexp_replace throws on it. */
    struct fixture fixture = fixture_open(NULL);
    struct memory_store store = {0};
    store_fill(&fixture, &store,
               "SELECT CASE WHEN i = 77 THEN 'TOP[(SECRET' ELSE 'v' || (i % 9) END AS txt, "
               "CASE WHEN i = 77 THEN 'you' ELSE 'me' END AS owner FROM range(100000) t(i)");
    struct engine_grant *grant = store_grant(&fixture, &store, 0);
    char *sql = fixture_sql(
        grant, 0,
        "SELECT CAST(count(*) AS VARCHAR) FROM (SELECT __moat_barrier(txt) AS txt FROM '%s' WHERE "
        "owner IN ('me', 'them') OFFSET 0) WHERE regexp_replace('zz', txt, '') <> 'q'");
    fixture_expect(&fixture, sql, "99999");
    mem_free(sql);
    engine_grant_close(grant);
    store_fini(&store);
    fixture_close(&fixture);
}

TEST(engine, describe_binds_and_reads_no_rows)
{
    struct fixture fixture = fixture_open(NULL);
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct engine_column *columns;
    size_t count;
    struct errinfo info;
    CHECK_OK(engine_describe(fixture.session, WHO,
                             SLICE("SELECT 1::BIGINT AS a, [DATE '2020-01-01'] AS b, error('x') c"),
                             arena, &columns, &count, &info));
    CHECK(count == 3);
    CHECK_SLICE("a", columns[0].name);
    CHECK_SLICE("BIGINT", columns[0].type);
    CHECK_SLICE("DATE[]", columns[1].type);
    CHECK_ERR(ERR_ENGINE, engine_describe(fixture.session, WHO, SLICE("SELECT nope"), arena,
                                          &columns, &count, &info));
    fixture_close(&fixture);
}

TEST(engine, explain_is_json_and_runs_only_what_reads)
{
    struct fixture fixture = fixture_open(NULL);
    struct memory_store store = {0};
    store_fill(&fixture, &store, "SELECT 1 AS x");
    struct engine_grant *grant = store_grant(&fixture, &store, 1);
    char *sql = fixture_sql(grant, 0, "SELECT x FROM '%s' WHERE x > 0");
    struct buf plan CLEANUP(buf_fini) = {0};
    struct errinfo info;
    CHECK_OK(engine_explain(fixture.session, WHO, slice_of(sql), false, &plan, &info));
    CHECK(strchr(buf_cstr(&plan), '[') != NULL && strstr(buf_cstr(&plan), "moat:") == NULL);
    buf_reset(&plan);
    CHECK_OK(engine_explain(fixture.session, WHO, slice_of(sql), true, &plan, &info));
    CHECK(strstr(buf_cstr(&plan), "operator_") != NULL && strstr(buf_cstr(&plan), "moat:") == NULL);
    mem_free(sql);
    struct buf copy CLEANUP(buf_fini) = {0};
    buf_append_str(&copy, "COPY (SELECT 1) TO '");
    engine_grant_uri_out(grant, 0, &copy);
    buf_append_str(&copy, "'");
    size_t len = store.objects[0].len;
    CHECK_ERR(ERR_UNSUPPORTED,
              engine_explain(fixture.session, WHO, buf_slice(&copy), true, &plan, &info));
    CHECK(store.objects[0].len == len);
    engine_grant_close(grant);
    store_fini(&store);
    fixture_close(&fixture);
}

TEST(engine, functions_are_listed_with_their_error_flag)
{
    struct fixture fixture = fixture_open(NULL);
    struct buf lines CLEANUP(buf_fini) = {0};
    struct errinfo info;
    CHECK_OK(engine_functions(fixture.session, &lines, &info));
    static const char *const wanted[] = {
        "{\"name\":\"__moat_cap\",\"type\":\"scalar\",\"can_throw\":true,"
        "\"arguments\":[\"BIGINT\",\"BIGINT\"]}\n",
        "{\"name\":\"__moat_hash\",\"type\":\"scalar\",\"can_throw\":false,"
        "\"arguments\":[\"VARCHAR\"]}\n",
        "\"name\":\"read_parquet\",\"type\":\"table\"",
        "\"name\":\"sum\",\"type\":\"aggregate\"",
        "{\"name\":\"disable_profile\",\"type\":\"pragma\"",
        "\"name\":\"row_number\",\"type\":\"window\"",
        "\"type\":\"macro\"",
        "\"type\":\"table_macro\"",
        "\"name\":\"json_execute_serialized_sql\",\"type\":\"table\"",
    };
    for (size_t i = 0; i < ARRAY_COUNT(wanted); i++) {
        if (strstr(buf_cstr(&lines), wanted[i]) == NULL) {
            fail_msg("not listed: %s", wanted[i]);
        }
    }
    /* As many as the engine counts itself. */
    size_t count = 0;
    for (size_t i = 0; i < lines.len; i++) {
        count += lines.ptr[i] == '\n' ? 1 : 0;
    }
    struct buf text CLEANUP(buf_fini) = {0};
    CHECK_OK(fixture_run(&fixture, "SELECT CAST(count(*) AS VARCHAR) FROM duckdb_functions()",
                         &text, &info));
    char counted[32];
    (void)snprintf(counted, sizeof(counted), "%zu", count);
    CHECK_STR(buf_cstr(&text), counted);
    fixture_close(&fixture);
}

TEST(engine, the_fence_is_up)
{
    struct fixture fixture = fixture_open(NULL);
    static const char *const settings[][2] = {
        {"enable_external_access", "false"},
        {"lock_configuration", "true"},
        {"autoinstall_known_extensions", "false"},
        {"autoload_known_extensions", "false"},
        {"allow_community_extensions", "false"},
        {"enable_external_file_cache", "false"},
        {"allowed_directories", "['moat://']"},
        {"allowed_paths", "[]"},
        {"TimeZone", "UTC"},
        {"preserve_insertion_order", "true"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(settings); i++) {
        char sql[128];
        (void)snprintf(sql, sizeof(sql), "SELECT CAST(current_setting('%s') AS VARCHAR)",
                       settings[i][0]);
        fixture_expect(&fixture, sql, settings[i][1]);
    }
    CHECK_STR("v1.5.6", engine_version(fixture.engine));
    CHECK(engine_memory_bytes(fixture.engine) < (1u << 30));
    fixture_close(&fixture);
}
