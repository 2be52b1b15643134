/* Goal: nothing that policy hides can be had through SQL. Method: eve tries; whatever comes back
 * (rows, names, messages, hints) is searched for what she may not see, and the outcome is fixed. */
#include "doors.h"

#define RUN(...)                                                                                   \
    do {                                                                                           \
        static const struct attack attacks_[] = {__VA_ARGS__};                                     \
        struct fixture fixture_;                                                                   \
        fixture_open(&fixture_);                                                                   \
        fixture_attack_all(&fixture_, attacks_, ARRAY_COUNT(attacks_));                            \
        fixture_close(&fixture_);                                                                  \
    } while (0)

TEST(attack, plain_reads_show_own_rows_and_masks)
{
    RUN({"SELECT * FROM people", NULL, FIXTURE_SALES},
        {"SELECT * FROM people_csv", NULL, FIXTURE_SALES},
        {"SELECT count(*) FROM people HAVING count(*) = 1000", NULL, 1},
        {"SELECT 1 FROM people WHERE dept <> 'sales'", NULL, 0},
        {"SELECT 1 FROM people WHERE ssn LIKE '%RAW%'", NULL, 0},
        {"SELECT DISTINCT right(ssn, 2) FROM people", NULL, 1},
        {"SELECT salary FROM people", "42703", -1}, {"SELECT * FROM vault", "42P01", -1});
}

TEST(attack, cast_and_division_errors_tell_nothing)
{
    /* Every one would fail on a hidden row only; over her own rows none does. */
    RUN({"SELECT count(*) FROM people WHERE regexp_replace('zz', name, '') <> 'q'", NULL, 1},
        {"SELECT regexp_replace('zz', name, '') FROM people", NULL, FIXTURE_SALES},
        {"SELECT count(*) FROM people WHERE 1 / (CASE WHEN dept = 'board' THEN 0 ELSE 1 END) > 0",
         NULL, 1},
        {"SELECT count(*) FROM people WHERE CASE WHEN name LIKE 'HIDDEN%' THEN CAST(name AS INT) "
         "ELSE 1 END = 1",
         NULL, 1},
        {"SELECT count(*) FROM people WHERE CAST(CASE WHEN dept = 'board' THEN 'x' ELSE '1' END "
         "AS INT) = 1",
         NULL, 1},
        {"SELECT sum(CAST(CASE WHEN dept = 'board' THEN name ELSE '1' END AS INT)) FROM people",
         NULL, 1},
        {"SELECT count(*) FROM people ORDER BY max(CAST(CASE WHEN dept = 'board' THEN name ELSE "
         "'1' END AS INT))",
         NULL, 1},
        {"SELECT count(*) FROM people a JOIN people b ON a.id = b.id AND CAST(CASE WHEN b.dept = "
         "'board' THEN b.name ELSE '1' END AS INT) = 1",
         NULL, 1},
        {"SELECT strptime(CASE WHEN dept = 'board' THEN name ELSE '2020' END, '%Y') FROM people "
         "LIMIT 1",
         NULL, 1},
        {"SELECT count(*) FROM people_csv WHERE regexp_replace('zz', name, '') <> 'q'", NULL, 1});
}

TEST(attack, messages_about_values_are_withheld)
{
    RUN({"SELECT CAST(ssn AS INT) FROM people", "*", -1},
        {"SELECT CAST(name AS INT) FROM people", "*", -1},
        {"SELECT CAST(name AS DATE) FROM people_csv", "*", -1},
        {"SELECT strptime(name, '%Y') FROM people", "*", -1},
        {"SELECT date_part(name, DATE '2020-01-01') FROM people", "*", -1});
}

TEST(attack, explain_tells_no_predicate)
{
    struct fixture f;
    fixture_open(&f);
    static const char *const forms[] = {
        "EXPLAIN SELECT * FROM people", "EXPLAIN ANALYZE SELECT * FROM people",
        "EXPLAIN SELECT * FROM people WHERE id > 5",
        "EXPLAIN ANALYZE SELECT count(*) FROM people WHERE regexp_matches(name, 'x')"};
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        struct outcome outcome = fixture_run(f.eve, slice_of(forms[i]));
        CHECK(outcome.err == ERR_OK);
        CHECK(strstr(buf_cstr(&outcome.text), "sales") == NULL);
        CHECK(strstr(buf_cstr(&outcome.text), "redact") == NULL);
        CHECK(strstr(buf_cstr(&outcome.text), "salary") == NULL);
        CHECK(strstr(buf_cstr(&outcome.text), "3000") == NULL);
        CHECK(!fixture_leaks(buf_cstr(&outcome.text)));
        outcome_fini(&outcome);
    }
    fixture_attack(&f, "EXPLAIN (PHYSICAL) SELECT * FROM people", "42501", -1);
    fixture_attack(&f, "EXPLAIN SELECT * FROM vault", "42P01", -1);
    fixture_close(&f);
}

TEST(attack, summaries_and_statistics_are_of_own_rows)
{
    RUN({"SUMMARIZE people", NULL, 4}, {"SUMMARIZE SELECT * FROM people", NULL, 4},
        {"SUMMARIZE vault", "42P01", -1}, {"SELECT stats(name) FROM people", "42501", -1},
        {"SELECT min(name), max(name), min(ssn), max(ssn) FROM people", NULL, 1},
        {"SELECT approx_count_distinct(name), histogram(name) FROM people", NULL, 1},
        {"SELECT list(ssn), string_agg(name, ',') FROM people", NULL, 1},
        {"SELECT * FROM people USING SAMPLE 50 ROWS", NULL, 50}, {"DESCRIBE people", NULL, 4},
        {"DESCRIBE SELECT * FROM people", NULL, 4});
}

TEST(attack, bounds_of_hidden_rows_reach_no_function)
{
    // Goal: what a file says of its smallest and largest values is not used where rows are hidden.
    // Method: a hidden row with values far away, and functions that the engine runs on bounds.
    struct fixture f;
    fixture_open(&f);
    char sql[512];
    (void)snprintf(sql, sizeof(sql),
                   "COPY (SELECT 'sales' AS dept, 10 AS n, DATE '2020-01-01' AS d UNION ALL SELECT "
                   "'board', 777, DATE '5000000-01-01') TO '%s/far.parquet'",
                   f.folder);
    fixture_must(f.owner, sql);
    (void)snprintf(sql, sizeof(sql), "CREATE EXTERNAL TABLE far LOCATION '%s/far.parquet'",
                   f.folder);
    fixture_must(f.owner, sql);
    fixture_must(f.owner, "GRANT SELECT ON far TO staff ROWS WHERE dept = claim('dept')");
    static const struct attack attacks[] = {
        {"SELECT date_trunc('year', d) FROM far", NULL, 1},
        {"SELECT bitstring_agg(n) FROM far", "42000", -1},
        {"WITH c AS (SELECT * FROM far) SELECT bitstring_agg(n) FROM c UNION ALL SELECT "
         "bitstring_agg(n + 1) FROM c",
         "42000", -1},
        {"SELECT bitstring_agg(n, 0, 20) FROM far", NULL, 1},
    };
    fixture_attack_all(&f, attacks, ARRAY_COUNT(attacks));
    fixture_close(&f);
}

TEST(attack, statements_that_reach_out_are_refused)
{
    RUN({"ATTACH 'x.db'", "42601", -1}, {"ATTACH ':memory:' AS m", "42601", -1},
        {"ATTACH '/etc' AS m (TYPE hadoop)", "42501", -1},
        {"ATTACH IF NOT EXISTS 'x.db' AS m (TYPE sqlite)", "42501", -1},
        {"DETACH main", "42501", -1}, {"COPY (SELECT 1) TO '/tmp/attack.csv'", "42501", -1},
        {"COPY people TO '/tmp/attack.csv'", "42601", -1},
        {"COPY people FROM '/etc/passwd'", "42501", -1}, {"INSTALL httpfs", "42501", -1},
        {"LOAD httpfs", "42501", -1}, {"PRAGMA database_list", "42501", -1},
        {"SET enable_external_access = true", "*", -1}, {"SET memory_limit = '1TB'", "*", -1},
        {"SET warehouse.path = '/'", "55P02", -1}, {"EXPORT DATABASE '/tmp/x'", "42501", -1},
        {"IMPORT DATABASE '/tmp/x'", "42501", -1}, {"CALL pragma_version()", "42501", -1},
        {"CREATE TABLE t AS SELECT * FROM people", "0A000", -1},
        {"CREATE MACRO lower(x) AS x", "42501", -1},
        {"CREATE EXTERNAL TABLE t LOCATION '/etc/passwd'", "42501", -1},
        {"CREATE SECRET s (TYPE s3)", "42501", -1}, {"INSERT INTO people VALUES (1)", "0A000", -1},
        {"WITH x AS (SELECT 1) DELETE FROM people", "*", -1}, {"CHECKPOINT", "42501", -1},
        {"VACUUM", "42501", -1}, {"ALTER TABLE people RENAME TO mine", "*", -1},
        {"DROP TABLE people", "*", -1}, {"GRANT SELECT ON vault TO eve", "42P01", -1},
        {"GRANT SELECT ON people TO eve", "42501", -1}, {"GRANT ROLE moat_admin TO eve", "*", -1},
        {"REVOKE SELECT ON people FROM staff", "42501", -1}, {"CREATE USER mallory", "42501", -1},
        {"ALTER USER eve SET ATTRIBUTE dept = 'board'", "42501", -1},
        {"SHOW EFFECTIVE POLICY ON people FOR USER bob", "42501", -1},
        {"SHOW CREATE TABLE people", "42501", -1});
}

TEST(attack, files_and_grants_cannot_be_named)
{
    RUN({"SELECT * FROM '/etc/passwd'", "42P01", -1},
        {"SELECT * FROM 'people.parquet'", "42P01", -1},
        {"SELECT * FROM read_parquet('moat://0/0')", "42501", -1},
        {"SELECT * FROM 'moat://0/0'", "42P01", -1},
        {"SELECT * FROM \"moat://0/0.parquet\"", "42P01", -1},
        {"SELECT * FROM read_text('/etc/passwd')", "42501", -1},
        {"SELECT * FROM glob('/*')", "42501", -1},
        {"SELECT * FROM sniff_csv('/etc/passwd')", "42501", -1},
        {"SELECT * FROM parquet_metadata('x')", "42501", -1},
        {"SELECT * FROM parquet_schema('x')", "42501", -1}, {"SELECT getenv('HOME')", "*", -1},
        {"SELECT * FROM query('SELECT * FROM people')", "42501", -1},
        {"SELECT * FROM query_table('people')", "42501", -1},
        {"SELECT * FROM query_table(['people'])", "42501", -1},
        {"SELECT * FROM json_execute_serialized_sql('{}')", "42501", -1},
        {"SELECT current_setting('temp_directory')", NULL, 1}, /* Moat's own settings: NULL */
        {"SELECT * FROM duckdb_tables()", "42501", -1}, {"SELECT * FROM duckdb_logs", "*", -1},
        {"SELECT * FROM sqlite_master", "*", -1}, {"SELECT * FROM pg_catalog.pg_class", "*", -1});
}

TEST(attack, query_forms_do_not_go_around)
{
    RUN({"SELECT p.* FROM people p, LATERAL (SELECT * FROM people q WHERE q.id = p.id + 1) r", NULL,
         0},
        {"SELECT (SELECT max(name) FROM people q WHERE q.id > p.id) FROM people p LIMIT 5", NULL,
         5},
        {"WITH RECURSIVE r AS (SELECT id, name FROM people WHERE id = 0 UNION ALL SELECT p.id, "
         "p.name FROM people p JOIN r ON p.id = r.id + 1) SELECT * FROM r",
         NULL, 1},
        {"WITH people AS (SELECT * FROM people) SELECT * FROM people", NULL, FIXTURE_SALES},
        {"WITH people AS (SELECT 1 AS x) SELECT * FROM main.people", NULL, FIXTURE_SALES},
        {"WITH vault AS (SELECT 1 AS x) SELECT * FROM main.vault", "42P01", -1},
        {"SELECT #3, #4 FROM people LIMIT 1", "*", -1},
        {"SELECT * EXCLUDE (ssn) FROM people", NULL, FIXTURE_SALES},
        {"SELECT * EXCLUDE (salary) FROM people", "*", -1},
        {"SELECT * REPLACE (salary AS id) FROM people", "*", -1},
        {"SELECT * REPLACE (upper(name) AS name) FROM people", NULL, FIXTURE_SALES},
        {"SELECT COLUMNS('.*') FROM people", NULL, FIXTURE_SALES},
        {"SELECT COLUMNS('sal.*') FROM people", "*", -1},
        {"SELECT people FROM people", NULL, FIXTURE_SALES},
        {"SELECT to_json(people) FROM people", NULL, FIXTURE_SALES},
        {"SELECT people.salary FROM people", "42703", -1},
        {"SELECT main.people.salary FROM main.people", "*", -1},
        {"SELECT __moat_c4 FROM people", "*", -1}, {"SELECT * FROM __moat_source", "*", -1},
        {"SELECT * FROM people AS p(salary, a, b, c)", NULL, FIXTURE_SALES},
        {"FROM people", NULL, FIXTURE_SALES}, {"TABLE people", NULL, FIXTURE_SALES},
        {"SELECT * FROM (VALUES (1)) t(id) JOIN people USING (id)", NULL, 0},
        {"SELECT * FROM people a JOIN people b USING (salary)", "*", -1},
        {"SELECT * FROM people a NATURAL JOIN people b", NULL, FIXTURE_SALES},
        {"SELECT id FROM people ORDER BY salary", "42703", -1},
        {"SELECT count(*) FROM people GROUP BY salary", "42703", -1},
        {"SELECT ssn, count(*) FROM people GROUP BY ssn ORDER BY ssn", NULL, -1},
        {"SELECT count(*) FILTER (WHERE dept = 'board') FROM people", NULL, 1},
        {"SELECT count(*) FILTER (WHERE salary > 1) FROM people", "42703", -1},
        {"SELECT row_number() OVER (ORDER BY salary) FROM people", "42703", -1},
        {"SELECT * FROM people WHERE dept = 'board' OR true", NULL, FIXTURE_SALES},
        {"SELECT * FROM people UNION ALL SELECT * FROM people", NULL, 2 * FIXTURE_SALES},
        {"PIVOT people ON dept IN ('sales', 'board') USING count(*)", "*", -1},
        {"SELECT * FROM people TABLESAMPLE 100 PERCENT", NULL, FIXTURE_SALES});
}

TEST(attack, aggregates_never_count_hidden_rows)
{
    struct fixture f;
    fixture_open(&f);
    struct outcome outcome =
        fixture_run(f.eve, SLICE("SELECT count(*) FILTER (WHERE dept = 'board'), count(*), "
                                 "count(DISTINCT dept) FROM people"));
    CHECK(strstr(buf_cstr(&outcome.text), "0|1000|1|") != NULL);
    outcome_fini(&outcome);
    fixture_close(&f);
}

TEST(attack, prepared_parameters_are_values_only)
{
    static const struct attack attacks[] = {
        {"PREPARE p AS SELECT count(*) FROM people WHERE dept = $1", NULL, -1},
        {"EXECUTE p('board'' OR ''1''=''1')", NULL, 1},
        {"EXECUTE p", "08P01", -1},
        {"EXECUTE p('a', 'b')", "08P01", -1},
        {"DEALLOCATE p", NULL, -1},
        {"PREPARE q AS SELECT * FROM vault", "42P01", -1},
        {"PREPARE r AS SELECT * FROM read_parquet($1)", "*", -1},
        {"SELECT $1", "08P01", -1},
    };
    struct fixture f;
    fixture_open(&f);
    DOORS_NEED_SESSION(&f);
    fixture_attack_all(&f, attacks, ARRAY_COUNT(attacks));
    fixture_close(&f);
}

TEST(attack, a_parameter_in_any_clause_is_a_value_only)
{
    static const char *const statements[] = {
        "SELECT $1 FROM people LIMIT 1",
        "SELECT id FROM people ORDER BY $1 LIMIT 1",
        "SELECT count(*) FROM people GROUP BY $1",
        "SELECT count(*) FROM people HAVING count(*) > length($1)",
        "SELECT count(*) FROM people WHERE name > $1",
        "SELECT count(*) FROM people WHERE CAST($1 AS INTEGER) = 1 AND dept = 'board'",
        "SELECT count(*) FROM people WHERE id = 1 AND regexp_replace('zz', name, $1) = 'q'",
        "SELECT id FROM people LIMIT $1",
        "SELECT id FROM people LIMIT 1 OFFSET $1",
        "SELECT count(*) FILTER (WHERE dept = $1) FROM people",
        "SELECT lag(id, $1) OVER (ORDER BY id) FROM people LIMIT 1",
        "SELECT id FROM people QUALIFY row_number() OVER (ORDER BY id) = $1",
        "SELECT COLUMNS($1) FROM people LIMIT 1",
        "SELECT struct_extract(people, $1) FROM people LIMIT 1",
        "SELECT people[$1] FROM people LIMIT 1",
        "SELECT count(*) FROM people a JOIN people b ON a.id = b.id AND a.name = $1",
        "SELECT * FROM (VALUES ($1)) v(x), people LIMIT 1",
        "WITH q AS (SELECT $1 AS x) SELECT x, id FROM q, people LIMIT 1",
        "SELECT CASE WHEN name = $1 THEN 1 ELSE 2 END FROM people LIMIT 1",
        "SELECT date_part($1, DATE '2020-01-01') FROM people LIMIT 1",
        "SELECT repeat($1, 100) FROM people LIMIT 1",
        "SELECT * FROM unnest([$1]) LIMIT 1",
        "SELECT strptime($1, name) FROM people LIMIT 1",
        "SELECT concat('x', $1) FROM people LIMIT 1",
        "SELECT * FROM query_table($1)",
        "SELECT * FROM read_csv($1)",
        "SELECT * FROM $1",
        "SELECT claim($1)",
        "SELECT has_role($1)",
        "SELECT * FROM people TABLESAMPLE $1 PERCENT"};
    static const char *const values[] = {
        "'salary'", "'vault'", "'1 OR 1=1'",        "'/etc/passwd'", "'moat://0/0'",
        "1",        "-1",      "99999999999999999", "NULL"};
    struct fixture f;
    fixture_open(&f);
    DOORS_NEED_SESSION(&f);
    for (size_t i = 0; i < ARRAY_COUNT(statements); i++) {
        char sql[512];
        (void)snprintf(sql, sizeof(sql), "PREPARE p AS %s", statements[i]);
        fixture_attack(&f, sql, "*", -1);
        for (size_t v = 0; v < ARRAY_COUNT(values); v++) {
            (void)snprintf(sql, sizeof(sql), "EXECUTE p(%s)", values[v]);
            fixture_attack(&f, sql, "*", -1);
        }
        fixture_attack(&f, "DEALLOCATE ALL", NULL, -1);
    }
    fixture_close(&f);
}

TEST(attack, rights_changed_between_prepare_and_execute_count)
{
    struct fixture f;
    fixture_open(&f);
    DOORS_NEED_SESSION(&f);
    fixture_attack(&f, "PREPARE p AS SELECT id, name FROM people", NULL, -1);
    fixture_attack(&f, "EXECUTE p", NULL, FIXTURE_SALES);
    fixture_must(f.owner, "DENY SELECT (name) ON people TO staff");
    fixture_attack(&f, "EXECUTE p", "42703", 0);
    fixture_must(f.owner, "REVOKE DENY SELECT (name) ON people FROM staff");
    fixture_attack(&f, "EXECUTE p", NULL, FIXTURE_SALES);
    fixture_must(f.owner, "DENY SELECT ON people TO eve ROWS WHERE id > 30");
    fixture_attack(&f, "EXECUTE p", NULL, 11);
    fixture_must(f.owner, "REVOKE SELECT ON people FROM staff");
    fixture_attack(&f, "EXECUTE p", "42P01", 0);
    fixture_close(&f);
}

TEST(attack, claims_cannot_be_forged)
{
    RUN({"SELECT claim('dept')", NULL, 1}, {"SET dept = 'board'", "*", -1},
        {"WITH claim AS (SELECT 'board' AS dept) SELECT * FROM people", NULL, FIXTURE_SALES},
        {"SELECT claim(dept) FROM people", "*", -1}, {"SELECT has_role('moat_admin')", NULL, 1},
        {"SELECT current_user", NULL, 1});
}
