/* Policies that look into other tables: neither the rows they hide, nor the table they look into,
 * nor that there is one, may show. */
#include "fixture.h"

#include "base/io.h"

/* Eve's rows are those of the mapping; its other rows, its name and its columns are no business of
 * hers ("HIDDEN" and "RAW" are secrets of the fixture). */
static void open_mapped(struct fixture *f)
{
    static const char csv[] = "RAW_PERSON,RAW_DEPT\neve,sales\nHIDDEN,board\n";
    char path[256];
    char sql[512];
    fixture_open(f);
    (void)snprintf(path, sizeof(path), "%s/map.csv", f->folder);
    CHECK_OK(io_write_file_atomic(path, slice_of(csv), 0600, NULL));
    (void)snprintf(sql, sizeof(sql), "CREATE EXTERNAL TABLE RAW_map LOCATION '%s'", path);
    fixture_must(f->owner, sql);
    fixture_must(f->owner, "REVOKE SELECT ON people FROM ROLE staff");
    fixture_must(f->owner, "GRANT SELECT (id, name, dept, ssn) ON people TO eve ROWS WHERE dept IN "
                           "(SELECT RAW_DEPT FROM RAW_map WHERE RAW_PERSON = current_user) "
                           "MASKED WITH (ssn = CASE WHEN EXISTS (SELECT * FROM RAW_map WHERE "
                           "RAW_DEPT = 'none') THEN ssn ELSE concat('***', right(ssn, 2)) END)");
}

TEST(attack, a_policys_subquery_hides_as_a_plain_one_does)
{
    static const struct attack attacks[] = {
        {"SELECT * FROM people", NULL, FIXTURE_SALES},
        {"SELECT ssn FROM people WHERE ssn LIKE '%11'", NULL, FIXTURE_SALES},
        {"SELECT id FROM people WHERE regexp_matches('x', name)", NULL, 0},
        {"SELECT CAST(name AS INTEGER) FROM people", "*", -1},
        {"SELECT error(name) FROM people WHERE dept = 'board'", "*", -1},
        {"SELECT id FROM people WHERE 1 / (CASE WHEN dept = 'board' THEN 0 ELSE 1 END) = 1", NULL,
         FIXTURE_SALES},
        {"SELECT count(*) FROM people WHERE regexp_replace('a', name, 'b') = 'c'", NULL, 1},
        {"SELECT max(regexp_replace('a', name, '')) FROM people", NULL, 1},
        {"SELECT (SELECT max(name) FROM people), (SELECT count(*) FROM people)", NULL, 1},
        {"SELECT EXISTS (FROM people WHERE dept = 'board')", NULL, 1},
        {"SELECT p.* FROM people p, LATERAL (SELECT p.id AS i) q WHERE i = 1", NULL, 0},
        {"SELECT a.name FROM people a JOIN people b ON a.dept <> b.dept", NULL, 0},
        {"SELECT * FROM people ORDER BY ssn LIMIT 3", NULL, 3},
        {"SUMMARIZE SELECT name, dept FROM people", "*", -1},
        {"DESCRIBE people", NULL, 4},
        {"SHOW GRANTS ON people", NULL, 1},
        {"SHOW EFFECTIVE POLICY ON people", NULL, -1},
        {"EXPLAIN SELECT * FROM people", NULL, -1},
        {"EXPLAIN ANALYZE SELECT * FROM people", NULL, -1},
        {"EXPLAIN (PHYSICAL) SELECT * FROM people", "*", -1},
        {"SELECT * FROM RAW_ma", "*", -1},
        {"SELECT RAW_DEPT FROM people", "42703", -1},
        {"SELECT __moat_d1 FROM people", "42501", -1},
        {"SELECT * FROM __moat_definer.x.y", "42501", -1},
        {"SELECT * FROM information_schema.columns", NULL, -1},
        {"SELECT * FROM moat_system.settings", NULL, -1},
        {"WITH people AS (SELECT * FROM main.people) SELECT * FROM people", NULL, FIXTURE_SALES},
    };
    struct fixture f;
    open_mapped(&f);
    for (size_t i = 0; i < ARRAY_COUNT(attacks); i++) {
        bool names_it = strstr(attacks[i].sql, "RAW_") != NULL; /* an error may repeat her words */
        if (!names_it) {
            fixture_attack(&f, attacks[i].sql, attacks[i].sqlstate, attacks[i].rows);
            continue;
        }
        struct outcome outcome = fixture_run(f.eve, slice_of(attacks[i].sql));
        CHECK(outcome.err != ERR_OK && strstr(buf_cstr(&outcome.text), "RAW_map") == NULL);
        CHECK(strstr(buf_cstr(&outcome.text), "Did you mean") == NULL);
        outcome_fini(&outcome);
    }
    fixture_close(&f);
}

/* A subquery that finds two rows where one must be fails, and says nothing. */
TEST(attack, a_policy_that_fails_says_nothing)
{
    struct fixture f;
    open_mapped(&f);
    fixture_must(f.owner, "REVOKE SELECT ON people FROM eve");
    fixture_must(f.owner, "GRANT SELECT (id, name) ON people TO eve ROWS WHERE dept = "
                          "(SELECT RAW_DEPT FROM RAW_map)");
    fixture_attack(&f, "SELECT * FROM people", "*", 0);
    fixture_must(f.owner, "REVOKE SELECT ON people FROM eve");
    fixture_must(f.owner, "GRANT SELECT (id, name) ON people TO eve ROWS WHERE id = (SELECT "
                          "CAST(RAW_DEPT AS INTEGER) FROM RAW_map WHERE RAW_PERSON <> name)");
    fixture_attack(&f, "SELECT * FROM people", "*", 0);
    fixture_must(f.owner, "DROP TABLE RAW_map");
    fixture_attack(&f, "SELECT * FROM people", "42501", 0);
    fixture_close(&f);
}
