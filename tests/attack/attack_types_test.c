/* Goal: what the engine does with types and samples by itself tells nothing of hidden rows.
 * Method: a table whose hidden rows hold dates that are no timestamp, behind policies of three
 * forms; each statement would fail on one of those rows, and over eve's own rows none does. */
#include "doors.h"

static const char *const policies[][2] = {
    {"GRANT SELECT ON times TO eve ROWS WHERE dept = claim('dept')", NULL},
    {"GRANT SELECT ON times TO eve", "DENY SELECT ON times TO eve ROWS WHERE dept <> 'sales'"},
    {"GRANT SELECT ON times TO eve ROWS WHERE dept = 'sales' OR amount + 1 < 0", NULL}};

static void make_times(struct fixture *fixture)
{
    struct buf sql CLEANUP(buf_fini) = {0};
    buf_printf(&sql,
               "COPY (SELECT id, dept, CASE WHEN dept = 'sales' THEN DATE '2020-01-01' ELSE DATE "
               "'5881580-07-10' END AS d, CASE WHEN dept = 'sales' THEN TIMESTAMP '2020-01-01' "
               "ELSE TIMESTAMP '294247-01-10 04:00:54.775806' END AS ts, CASE WHEN dept = 'sales' "
               "THEN 1.5 ELSE 98765.25 END::DECIMAL(18,3) AS amount FROM people) TO "
               "'%s/times.parquet'",
               fixture->folder);
    fixture_must(fixture->owner, buf_cstr(&sql));
    buf_reset(&sql);
    buf_printf(&sql, "CREATE EXTERNAL TABLE times LOCATION '%s/times.parquet'", fixture->folder);
    fixture_must(fixture->owner, buf_cstr(&sql));
}

/* "@" stands for a condition on a hidden row: each must give the count 0. */
static const char *const hidden[] = {"d > ts",
                                     "ts = d",
                                     "d > TIMESTAMP '2020-01-01 00:00:01'",
                                     "d > now()",
                                     "d > current_timestamp",
                                     "d IN (ts, ts)",
                                     "d BETWEEN ts AND ts",
                                     "d IS DISTINCT FROM ts",
                                     "coalesce(d, ts) > ts",
                                     "greatest(d, ts) = ts",
                                     "CASE WHEN id > 0 THEN d ELSE ts END = ts",
                                     "d = (SELECT max(ts) FROM times)",
                                     "d IN (SELECT ts FROM times)",
                                     "[d] = [ts]",
                                     "(d, id) = (ts, id)",
                                     "ts = 1.0",
                                     "ts = 1",
                                     "d = 1",
                                     "d = amount",
                                     "nullif(ts, 1.0) IS NULL",
                                     "CASE ts WHEN 1.0 THEN true ELSE false END",
                                     "date_trunc('hour', d) IS NOT NULL",
                                     "date_trunc('hour', d) = ts",
                                     "CAST(date_trunc('minute', d) AS VARCHAR) <> ''",
                                     "date_diff('hour', d, ts) > 1",
                                     "ts - d > INTERVAL 1 DAY",
                                     "d + INTERVAL 1 HOUR > ts",
                                     "hour(d) = 1",
                                     "epoch_ns(d) = 1",
                                     "CAST(d AS TIMESTAMP) = ts",
                                     "CAST(amount AS TINYINT) = 1",
                                     "amount * 99999999999 > 1",
                                     "1 / (amount - 98765.25) > 1",
                                     "list_contains([ts], d)"};

TEST(attack, casts_that_nobody_wrote_tell_nothing)
{
    struct fixture f;
    fixture_open(&f);
    make_times(&f);
    for (size_t p = 0; p < ARRAY_COUNT(policies); p++) {
        for (size_t g = 0; g < 2 && policies[p][g] != NULL; g++) {
            fixture_must(f.owner, policies[p][g]);
        }
        for (size_t i = 0; i < ARRAY_COUNT(hidden); i++) {
            char sql[256];
            (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM times WHERE id = 1 AND %s",
                           hidden[i]);
            struct outcome outcome = fixture_run(f.eve, slice_of(sql));
            if (outcome.err != ERR_OK || strstr(buf_cstr(&outcome.text), "\n0|") == NULL) {
                fail_msg("%s\n%s: %s %s", policies[p][0], sql, outcome.sqlstate,
                         buf_cstr(&outcome.text));
            }
            outcome_fini(&outcome);
        }
        fixture_must(f.owner, "REVOKE SELECT ON times FROM eve");
    }
    fixture_close(&f);
}

TEST(attack, types_that_meet_in_joins_and_unions_tell_nothing)
{
    struct fixture f;
    fixture_open(&f);
    make_times(&f);
    fixture_must(f.owner, policies[1][0]);
    fixture_must(f.owner, policies[1][1]);
    static const struct attack attacks[] = {
        {"SELECT count(*) FROM times t JOIN (SELECT ts AS d FROM times) u USING (d) WHERE t.id = 1",
         NULL, 1},
        {"SELECT count(*) FROM times t NATURAL JOIN (SELECT ts AS d FROM times) u WHERE t.id = 1",
         NULL, 1},
        {"SELECT x FROM (SELECT id, d AS x FROM times UNION ALL SELECT id, ts FROM times) WHERE id "
         "= 1 AND x > TIMESTAMP '2020-01-01 00:00:01'",
         NULL, 0},
        {"SELECT x FROM (SELECT id, d AS x FROM times EXCEPT SELECT id, ts FROM times WHERE id = "
         "1) WHERE id = 1",
         NULL, 0},
        {"SELECT q FROM (SELECT id, d AS q FROM times) WHERE id = 1 AND q > now()", NULL, 0},
        {"WITH r (k, q) AS (SELECT id, d FROM times) SELECT q FROM r WHERE k = 1 AND q > now()",
         NULL, 0},
        {"SELECT b FROM times AS p(a, x, b) WHERE a = 1 AND b > now()", NULL, 0},
        {"SELECT * FROM (SELECT * RENAME (d AS z) FROM times) WHERE id = 1 AND z > now()", NULL, 0},
        {"SELECT * FROM (SELECT * REPLACE (d AS dept) FROM times) WHERE id = 1 AND dept > now()",
         NULL, 0},
        {"SELECT * FROM (SELECT COLUMNS('(d)') AS \"id\", dept FROM times) WHERE id > now()", "*",
         0},
        {"SELECT * FROM (SELECT unnest(struct_pack(id := d)), id AS k FROM times) WHERE k = 1 AND "
         "id > now()",
         NULL, 0},
        {"SELECT count(*) FROM times a JOIN times b ON a.d > b.ts WHERE a.id = 1 AND b.id = 1",
         NULL, 1}};
    fixture_attack_all(&f, attacks, ARRAY_COUNT(attacks));
    fixture_close(&f);
}

TEST(attack, samples_are_of_own_rows_only)
{
    // A sample of vectors would be all of a person's rows of some vectors and none of others: a
    // sum over the ids of what came tells which, and how many hidden rows lie between.
    struct fixture f;
    fixture_open(&f);
    static const char *const forms[] = {
        "SELECT min(id), max(id), count(*) FROM people TABLESAMPLE SYSTEM (50 PERCENT)",
        "SELECT min(id), max(id), count(*) FROM people TABLESAMPLE 50 PERCENT (system, 7)",
        "SELECT min(id), max(id), count(*) FROM people USING SAMPLE 50%",
        "SELECT min(id), max(id), count(*) FROM (SELECT * FROM people USING SAMPLE 50% (system))"};
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        for (int round = 0; round < 8; round++) {
            struct outcome outcome = fixture_run(f.eve, slice_of(forms[i]));
            const char *row = strchr(buf_cstr(&outcome.text), '\n');
            long low;
            long high;
            long count;
            if (doors_translate(f.doors) && outcome.err != ERR_OK) {
                outcome_fini(&outcome); /* not in its grammar */
                continue;
            }
            CHECK(outcome.err == ERR_OK && row != NULL);
            CHECK(sscanf(row + 1, "%ld|%ld|%ld|", &low, &high, &count) == 3);
            CHECK(low < 100 && high > 2900); /* of 1,000 rows, each second one */
            assert_in_range(count, 400, 600);
            outcome_fini(&outcome);
        }
    }
    fixture_attack(&f, "SELECT 1 FROM people TABLESAMPLE 2500 ROWS", NULL, FIXTURE_SALES);
    fixture_attack(&f, "SELECT 1 FROM people TABLESAMPLE RESERVOIR (2500 ROWS)", NULL,
                   FIXTURE_SALES);
    fixture_attack(&f, "SELECT 1 FROM people TABLESAMPLE BERNOULLI (100 PERCENT)", NULL,
                   FIXTURE_SALES);
    fixture_close(&f);
}
