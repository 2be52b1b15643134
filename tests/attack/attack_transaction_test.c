/* Goal: views, transactions and temporary tables give nobody more than they have, not for a moment.
 * Method: eve and the owner take turns, each in a session of their own, with transactions open. */
#include "doors.h"

static void refused(struct session *session, const char *sql, const char *sqlstate)
{
    struct outcome outcome = fixture_run(session, slice_of(sql));
    if (strcmp(outcome.sqlstate, sqlstate) != 0) {
        fail_msg("%s\nexpected %s, got %s: %.1000s", sql, sqlstate, outcome.sqlstate,
                 buf_cstr(&outcome.text));
    }
    outcome_fini(&outcome);
}

static void creator(struct fixture *f)
{
    fixture_must(f->owner, "GRANT CREATE ON SCHEMA main TO eve");
}

/* ---- views ---- */

TEST(attack, a_view_reads_nothing_that_its_reader_may_not)
{
    struct fixture f;
    fixture_open(&f);
    creator(&f);
    static const struct attack attacks[] = {
        {"CREATE VIEW spy AS SELECT * FROM vault", "42P01", -1},
        {"CREATE VIEW spy AS SELECT salary FROM people", "42703", -1},
        {"CREATE VIEW spy SECURITY DEFINER AS SELECT * FROM vault", "42P01", -1},
        {"CREATE VIEW spy AS SELECT * FROM moat_system.audit", "42P01", -1},
        {"CREATE VIEW spy AS SELECT * FROM people", NULL, -1},
        {"SELECT * FROM spy", NULL, FIXTURE_SALES},
        {"SELECT max(regexp_replace('a', name, 'b')) FROM spy", "*", -1},
        {"CREATE OR REPLACE VIEW spy SECURITY DEFINER AS SELECT * FROM people", NULL, -1},
        {"SELECT * FROM spy", NULL, FIXTURE_SALES},
    };
    fixture_attack_all(&f, attacks, ARRAY_COUNT(attacks));
    /* What it means when another reads it is theirs: bob's rows, not eve's. */
    fixture_must(f.eve, "CREATE OR REPLACE VIEW lens AS SELECT * FROM people");
    fixture_must(f.eve, "GRANT SELECT ON lens TO bob");
    struct outcome outcome = fixture_run(f.bob, SLICE("SELECT * FROM lens"));
    CHECK(outcome.err == ERR_OK && outcome.rows == FIXTURE_ROWS - FIXTURE_SALES);
    outcome_fini(&outcome);
    /* The owner's view over what eve may not read gives her nothing, and its text neither. */
    fixture_must(f.owner, "CREATE VIEW over_vault AS SELECT * FROM vault");
    fixture_must(f.owner, "CREATE VIEW over_audit AS SELECT * FROM moat_system.audit");
    fixture_must(f.owner, "GRANT SELECT ON over_vault TO eve");
    fixture_must(f.owner, "GRANT SELECT ON over_audit TO eve");
    fixture_attack(&f, "SELECT * FROM over_vault", "42P01", -1);
    fixture_attack(&f, "SELECT * FROM over_audit", "42P01", -1);
    fixture_attack(&f, "SHOW CREATE VIEW over_vault", "42501", -1);
    outcome = fixture_run(f.eve, SLICE("SELECT * FROM pg_depend d JOIN pg_class c ON c.oid = "
                                       "d.refobjid WHERE c.relname LIKE '%vault%'"));
    CHECK(outcome.err == ERR_OK && outcome.rows == 0);
    outcome_fini(&outcome);
    outcome = fixture_run(f.eve, SLICE("SELECT definition FROM pg_views WHERE viewname = "
                                       "'over_vault' AND definition IS NOT NULL"));
    CHECK(outcome.err == ERR_OK && outcome.rows == 0);
    outcome_fini(&outcome);
    fixture_close(&f);
}

TEST(attack, a_view_is_not_led_to_another_table_by_its_name)
{
    struct fixture f;
    fixture_open(&f);
    creator(&f);
    fixture_must(f.owner,
                 "CREATE VIEW totals SECURITY DEFINER AS SELECT count(*) AS n FROM people");
    fixture_must(f.owner, "GRANT SELECT ON totals TO eve");
    fixture_must(f.owner, "ALTER TABLE people RENAME TO people_old");
    /* Eve takes the name; the definer's view must not run what she put there with its rights. */
    fixture_must(f.eve, "CREATE VIEW people AS SELECT 1 AS id, 'mine' AS name");
    struct outcome outcome = fixture_run(f.eve, SLICE("SELECT n FROM totals"));
    CHECK(outcome.err == ERR_OK && strstr(buf_cstr(&outcome.text), "3000") != NULL);
    outcome_fini(&outcome);
    /* Columns that swap names show no salary under the name of one that eve may see. */
    fixture_must(f.owner, "CREATE VIEW names AS SELECT id, name FROM people_old");
    fixture_must(f.owner, "GRANT SELECT ON names TO eve");
    fixture_must(f.owner, "ALTER TABLE people_old RENAME COLUMN name TO swap");
    fixture_must(f.owner, "ALTER TABLE people_old RENAME COLUMN salary TO name");
    fixture_attack(&f, "SELECT * FROM names", NULL, FIXTURE_SALES);
    /* What is gone is gone. */
    fixture_must(f.owner, "DROP VIEW names");
    refused(f.owner, "DROP TABLE people_old", "2BP01");
    fixture_must(f.owner, "DROP TABLE people_old CASCADE");
    fixture_attack(&f, "SELECT n FROM totals", "42P01", -1);
    fixture_close(&f);
}

TEST(attack, views_in_views_end)
{
    struct fixture f;
    char sql[128];
    fixture_open(&f);
    fixture_must(f.owner, "CREATE VIEW v0 AS SELECT 1 AS a");
    for (int i = 1; i <= 16; i++) {
        (void)snprintf(sql, sizeof(sql), "CREATE VIEW v%d AS SELECT * FROM v%d", i, i - 1);
        fixture_must(f.owner, sql);
    }
    refused(f.owner, "CREATE VIEW v17 AS SELECT * FROM v16", "54001");
    refused(f.owner, "CREATE OR REPLACE VIEW v0 AS SELECT * FROM v15", "42P17");
    fixture_must(f.owner, "SELECT * FROM v15");
    fixture_close(&f);
}

/* ---- transactions ---- */

TEST(attack, a_grant_that_is_not_committed_gives_nothing)
{
    struct fixture f;
    fixture_open(&f);
    fixture_must(f.owner, "BEGIN");
    fixture_must(f.owner, "GRANT SELECT ON vault TO eve");
    fixture_must(f.owner, "GRANT SELECT ON people TO eve");
    fixture_attack(&f, "SELECT * FROM vault", "42P01", -1);
    fixture_attack(&f, "SELECT * FROM people", NULL, FIXTURE_SALES);
    fixture_attack(&f, "SHOW EFFECTIVE POLICY ON people", NULL, -1);
    fixture_must(f.owner, "ROLLBACK");
    fixture_attack(&f, "SELECT * FROM vault", "42P01", -1);
    fixture_attack(&f, "SELECT * FROM people", NULL, FIXTURE_SALES);
    /* Nor does one whose transaction fails half way. */
    fixture_must(f.owner, "BEGIN");
    fixture_must(f.owner, "GRANT SELECT ON vault TO eve");
    refused(f.owner, "DROP VIEW nowhere", "42P01");
    fixture_must(f.owner, "COMMIT"); /* rolls back */
    fixture_attack(&f, "SELECT * FROM vault", "42P01", -1);
    fixture_close(&f);
}

TEST(attack, an_open_transaction_keeps_no_right_that_is_taken_away)
{
    struct fixture f;
    fixture_open(&f);
    DOORS_NEED_SESSION(&f);
    creator(&f);
    fixture_must(f.owner, "CREATE VIEW extra AS SELECT 'RAW-9999' AS ssn");
    fixture_must(f.owner, "GRANT SELECT ON extra TO eve");
    fixture_must(f.eve, "BEGIN");
    fixture_must(f.eve, "CREATE VIEW held AS SELECT * FROM extra");
    fixture_must(f.eve, "SELECT * FROM held");
    fixture_must(f.owner, "REVOKE SELECT ON extra FROM eve");
    fixture_attack(&f, "SELECT * FROM held", "42P01", -1);
    fixture_must(f.eve, "ROLLBACK");
    /* The right to create goes while she holds what she made with it. */
    fixture_must(f.eve, "BEGIN");
    fixture_must(f.eve, "CREATE VIEW late AS SELECT 1 AS a");
    fixture_must(f.owner, "REVOKE CREATE ON SCHEMA main FROM eve");
    refused(f.eve, "COMMIT", "42501");
    refused(f.eve, "SELECT * FROM late", "42P01");
    /* A role that goes, goes at once. */
    fixture_must(f.owner, "CREATE ROLE readers");
    fixture_must(f.owner, "GRANT ROLE readers TO eve");
    fixture_must(f.owner, "GRANT SELECT ON extra TO readers");
    fixture_must(f.owner, "GRANT CREATE ON SCHEMA main TO eve");
    fixture_must(f.eve, "BEGIN");
    fixture_must(f.eve, "CREATE VIEW held AS SELECT * FROM extra");
    fixture_must(f.owner, "REVOKE ROLE readers FROM eve");
    fixture_attack(&f, "SELECT * FROM held", "42P01", -1);
    fixture_must(f.eve, "ROLLBACK");
    fixture_close(&f);
}

TEST(attack, two_transactions_do_not_overwrite_each_other)
{
    struct fixture f;
    fixture_open(&f);
    DOORS_NEED_SESSION(&f);
    fixture_must(f.owner, "CREATE VIEW shared AS SELECT 1 AS a");
    fixture_must(f.owner, "GRANT ROLE moat_admin TO bob");
    fixture_must(f.bob, "BEGIN");
    fixture_must(f.bob, "ALTER VIEW shared RENAME TO bobs");
    fixture_must(f.owner, "ALTER VIEW shared RENAME TO owners");
    refused(f.bob, "SELECT 1", "40001"); /* told at the next statement already */
    refused(f.bob, "SELECT 1", "25P02");
    (void)fixture_fails(f.bob, SLICE("COMMIT")); /* which is a rollback, and told as one */
    fixture_must(f.owner, "SELECT * FROM owners");
    refused(f.owner, "SELECT * FROM bobs", "42P01");
    /* While one is open, others sign in, read, write and are audited. */
    fixture_must(f.bob, "BEGIN");
    fixture_must(f.bob, "CREATE VIEW mine AS SELECT 1 AS a");
    fixture_must(f.owner, "CREATE USER somebody");
    fixture_attack(&f, "SELECT count(*) FROM people", NULL, 1);
    fixture_must(f.owner, "DROP USER somebody");
    fixture_must(f.bob, "COMMIT");
    fixture_must(f.owner, "SELECT * FROM mine");
    fixture_close(&f);
}

TEST(attack, a_transaction_is_no_way_to_change_people)
{
    struct fixture f;
    fixture_open(&f);
    static const char *const statements[] = {"CREATE USER mallory",
                                             "GRANT ROLE moat_admin TO eve",
                                             "ALTER USER eve SET ATTRIBUTE dept = 'board'",
                                             "CREATE API KEY k",
                                             "DROP USER bob",
                                             "CREATE ROLE r"};
    for (size_t i = 0; i < ARRAY_COUNT(statements); i++) {
        fixture_must(f.owner, "BEGIN");
        refused(f.owner, statements[i], "25001");
        fixture_must(f.owner, "ROLLBACK");
    }
    fixture_close(&f);
}

/* ---- temporary tables ---- */

TEST(attack, a_temporary_table_diverts_nobody_elses_names)
{
    struct fixture f;
    fixture_open(&f);
    DOORS_NEED_SESSION(&f);
    creator(&f);
    fixture_must(f.owner,
                 "CREATE VIEW totals SECURITY DEFINER AS SELECT count(*) AS n FROM people");
    fixture_must(f.owner, "GRANT SELECT ON totals TO eve");
    fixture_must(f.eve,
                 "CREATE TEMP TABLE people AS SELECT 1 AS id, 'board' AS dept, 'x' AS salary");
    fixture_attack(&f, "SELECT salary FROM people", NULL, 1); /* her own */
    fixture_attack(&f, "SELECT * FROM main.people", NULL, FIXTURE_SALES);
    fixture_attack(&f, "SELECT salary FROM main.people", "42703", -1);
    struct outcome outcome = fixture_run(f.eve, SLICE("SELECT n FROM totals"));
    CHECK(outcome.err == ERR_OK && strstr(buf_cstr(&outcome.text), "3000") != NULL);
    outcome_fini(&outcome);
    outcome = fixture_run(f.bob, SLICE("SELECT * FROM people"));
    CHECK(outcome.err == ERR_OK && outcome.rows == FIXTURE_ROWS - FIXTURE_SALES);
    outcome_fini(&outcome);
    refused(f.bob, "SELECT * FROM pg_temp.people", "42P01");
    refused(f.owner, "SELECT * FROM pg_temp.people", "42P01");
    /* Nor does it get into what outlives it, or take what is meant for the real one. */
    fixture_attack(&f, "CREATE VIEW trap AS SELECT * FROM people", "42P16", -1);
    fixture_attack(&f, "GRANT SELECT ON people TO bob", "0A000", -1);
    fixture_attack(&f, "ALTER TABLE people RENAME TO others", "0A000", -1);
    fixture_attack(&f, "COMMENT ON TABLE people IS 'x'", "0A000", -1);
    fixture_attack(&f, "DROP TABLE people", NULL, -1);
    fixture_attack(&f, "SELECT * FROM people", NULL, FIXTURE_SALES);
    fixture_attack(&f, "DROP TABLE people", "42501", -1);
    fixture_attack(&f, "CREATE TEMP TABLE pg_class AS SELECT 1 AS a", "42939", -1);
    fixture_close(&f);
}

TEST(attack, a_policy_reads_no_temporary_table)
{
    struct fixture f;
    fixture_open(&f);
    fixture_must(f.owner, "CREATE VIEW allowed AS SELECT 'sales' AS dept");
    fixture_must(f.owner, "REVOKE SELECT ON people FROM ROLE staff");
    fixture_must(f.owner, "GRANT SELECT (id, name, dept) ON people TO eve "
                          "ROWS WHERE dept IN (SELECT dept FROM allowed)");
    fixture_attack(&f, "SELECT * FROM people", NULL, FIXTURE_SALES);
    fixture_must(f.eve, "CREATE TEMP TABLE allowed AS SELECT 'board' AS dept");
    fixture_attack(&f, "SELECT * FROM people", NULL, FIXTURE_SALES);
    /* A grant of the owner's does not name a temporary table either. */
    fixture_must(f.owner, "CREATE TEMP TABLE scratch AS SELECT 'board' AS dept");
    refused(f.owner, "GRANT SELECT ON people TO eve ROWS WHERE dept IN (SELECT dept FROM scratch)",
            "42P01");
    fixture_close(&f);
}

TEST(attack, a_temporary_table_holds_what_its_maker_saw)
{
    struct fixture f;
    fixture_open(&f);
    DOORS_NEED_SESSION(&f);
    static const struct attack attacks[] = {
        {"CREATE TEMP TABLE mine AS SELECT * FROM people", NULL, -1},
        {"SELECT * FROM mine", NULL, FIXTURE_SALES},
        {"SELECT salary FROM mine", "42703", -1},
        {"INSERT INTO mine SELECT * FROM people WHERE dept = 'board'", NULL, -1},
        {"SELECT * FROM mine", NULL, FIXTURE_SALES},
        {"INSERT INTO mine SELECT * FROM vault", "42P01", -1},
        {"CREATE TEMP TABLE other AS SELECT salary FROM people", "42703", -1},
        {"CREATE TEMP TABLE other AS SELECT CAST(name AS INTEGER) AS n FROM people", "*", -1},
        {"INSERT INTO mine (id) SELECT name FROM people", "*", -1},
        {"SELECT max(regexp_replace('a', ssn, 'b')) FROM mine", "*", -1},
        {"CREATE TEMP TABLE other AS SELECT * FROM people) TO 'x' --", "42601", -1},
        {"INSERT INTO mine SELECT 1) AS v; SELECT * FROM vault --", "42601", -1},
        {"CREATE TEMP TABLE o (a INTEGER) AS SELECT 1 AS a", "42601", -1},
        {"CREATE TEMP TABLE o (a nosuchtype)", "*", -1},
    };
    fixture_attack_all(&f, attacks, ARRAY_COUNT(attacks));
    if (!doors_take_scripts(f.doors)) {
        fixture_attack(&f, "CREATE TEMP TABLE o (a INTEGER); SELECT 1", "42601", -1);
    }
    /* A plan of somebody's real table is not given to a session with a temporary one, or back. */
    fixture_attack(&f, "SELECT count(*) AS n FROM people WHERE id >= 0", NULL, 1);
    fixture_must(f.eve, "CREATE TEMP TABLE people AS SELECT 1 AS id");
    struct outcome outcome =
        fixture_run(f.eve, SLICE("SELECT count(*) AS n FROM people WHERE id >= 0"));
    CHECK_STR("n|\n1|\n", buf_cstr(&outcome.text));
    outcome_fini(&outcome);
    fixture_must(f.eve, "DROP TABLE people");
    outcome = fixture_run(f.eve, SLICE("SELECT count(*) AS n FROM people WHERE id >= 0"));
    CHECK_STR("n|\n1000|\n", buf_cstr(&outcome.text));
    outcome_fini(&outcome);
    /* Rights that go later do not reach it (docs/policy.md says so); it goes with the session. */
    fixture_must(f.owner, "REVOKE SELECT ON people FROM ROLE staff");
    fixture_attack(&f, "SELECT * FROM people", "42P01", -1);
    fixture_attack(&f, "SELECT * FROM mine", NULL, FIXTURE_SALES);
    fixture_attack(&f, "INSERT INTO mine SELECT * FROM people", "42P01", -1);
    fixture_close(&f);
}

/* ---- what a temporary table demands, and how it changes ---- */

TEST(attack, rules_of_a_temporary_table_read_nothing)
{
    struct fixture f;
    fixture_open(&f);
    static const struct attack attacks[] = {
        /* They would be read whenever rows come, and not all of that is in the trail. */
        {"CREATE TEMP TABLE t (a INTEGER, b TEXT DEFAULT (SELECT max(name) FROM people))", "0A000",
         -1},
        {"CREATE TEMP TABLE t (a INTEGER, b TEXT DEFAULT (SELECT max(ssn) FROM main.people))",
         "0A000", -1},
        {"CREATE TEMP TABLE t (a INTEGER CHECK (a < (SELECT count(*) FROM people)))", "0A000", -1},
        {"CREATE TEMP TABLE t (a INTEGER CHECK (a < (SELECT count(*) FROM pg_class)))", "0A000",
         -1},
        {"CREATE TEMP TABLE t (a TEXT DEFAULT (SELECT max(a) FROM vault))", "42P01", -1},
        {"CREATE TEMP TABLE t (a TEXT CHECK (a IN (SELECT name FROM vault)))", "42P01", -1},
        {"CREATE TEMP TABLE t (a TEXT DEFAULT (SELECT string_agg(subject) FROM moat_system.audit))",
         "*", -1},
        {"CREATE TEMP TABLE t (a TEXT DEFAULT (SELECT content FROM read_text('/etc/passwd')))", "*",
         -1},
        {"CREATE TEMP TABLE t (a TEXT DEFAULT getenv('HOME'))", "42883", -1},
        {"CREATE TEMP TABLE t (a TEXT CHECK (getenv(a) IS NULL))", "42883", -1},
        {"CREATE TEMP TABLE t (a TEXT DEFAULT current_setting('s3_secret_access_key'))", "*", -1},
        {"CREATE TEMP TABLE t (a INTEGER CHECK (a > 0) CHECK (max(a) > 0))", "*", -1},
        {"CREATE TEMP TABLE t (a INTEGER DEFAULT unnest([1, 2]))", "*", -1},
        {"CREATE TEMP TABLE t (a INTEGER DEFAULT 1) AS n, (SELECT 1)", "*", -1},
        {"CREATE TEMP TABLE t (a INTEGER CHECK (a > 0\n)) FROM vault --))", "*", -1},
        {"CREATE TEMP TABLE t (a INTEGER, \"moat hit\" BOOLEAN)", "42939", -1},
        {"SELECT * FROM t", "42P01", -1},
    };
    fixture_attack_all(&f, attacks, ARRAY_COUNT(attacks));
    fixture_close(&f);
}

TEST(attack, what_changes_a_temporary_table_is_secured)
{
    struct fixture f;
    fixture_open(&f);
    DOORS_NEED_SESSION(&f);
    static const struct attack attacks[] = {
        {"CREATE TEMP TABLE mine (id INTEGER, note TEXT)", NULL, -1},
        {"INSERT INTO mine SELECT id, name FROM people", NULL, -1},
        {"UPDATE mine SET note = (SELECT max(name) FROM people WHERE dept = 'board')", NULL, -1},
        {"SELECT * FROM mine WHERE note IS NOT NULL", NULL, 0},
        {"UPDATE mine SET note = (SELECT max(ssn) FROM people)", NULL, -1},
        {"SELECT DISTINCT note FROM mine", NULL, 1},
        {"UPDATE mine SET note = (SELECT max(salary) FROM people)", "42703", -1},
        {"UPDATE mine SET note = (SELECT max(a) FROM vault)", "42P01", -1},
        {"UPDATE mine SET id = CAST((SELECT max(ssn) FROM people) AS INTEGER)", "*", -1},
        {"UPDATE mine SET note = getenv('HOME')", "42883", -1},
        {"UPDATE mine SET note = 'x' WHERE EXISTS (SELECT 1 FROM vault)", "42P01", -1},
        {"UPDATE mine SET note = 'x' WHERE id IN (SELECT id FROM people WHERE salary > 0)", "42703",
         -1},
        {"UPDATE mine SET note = 'x' WHERE true) FROM vault WHERE (true", "42601", -1},
        {"UPDATE mine SET note = 'x'), (SELECT name FROM vault", "42601", -1},
        {"UPDATE mine SET note = 'x' RETURNING (SELECT max(name) FROM people)", "0A000", -1},
        {"UPDATE mine SET note = 'x' RETURNING 1 FROM vault UNION ALL SELECT id", "42P01", -1},
        {"UPDATE mine SET note = 'x' RETURNING id FROM people UNION ALL SELECT id", "0A000", -1},
        {"UPDATE main.people SET name = 'x'", "*", -1},
        {"DELETE FROM main.people", "*", -1},
        {"DELETE FROM mine WHERE id IN (SELECT id FROM vault)", "42P01", -1},
        {"DELETE FROM mine WHERE id < (SELECT max(salary) FROM people)", "42703", -1},
        {"DELETE FROM mine WHERE true RETURNING (SELECT max(ssn) FROM people)", "0A000", -1},
        {"DELETE FROM mine WHERE regexp_matches((SELECT max(name) FROM people), note)", "*", -1},
        {"DELETE FROM mine USING vault WHERE true", "0A000", -1},
        {"SELECT * FROM mine WHERE note = 'x'", NULL, 0},
        {"SELECT * FROM mine", NULL, FIXTURE_SALES},
    };
    fixture_attack_all(&f, attacks, ARRAY_COUNT(attacks));
    fixture_close(&f);
}

TEST(attack, a_broken_rule_tells_no_value)
{
    struct fixture f;
    fixture_open(&f);
    DOORS_NEED_SESSION(&f);
    static const struct attack attacks[] = {
        {"CREATE TEMP TABLE u (dept TEXT UNIQUE)", NULL, -1},
        {"INSERT INTO u SELECT dept FROM people", "23505", -1},
        {"CREATE TEMP TABLE c (ssn TEXT CONSTRAINT raw CHECK (ssn LIKE 'RAW-%'), "
         "CONSTRAINT none CHECK (false))",
         NULL, -1},
        {"INSERT INTO c SELECT ssn FROM people", "23514", -1},
        {"CREATE TEMP TABLE n (ssn TEXT, must TEXT NOT NULL)", NULL, -1},
        {"INSERT INTO n (ssn) SELECT ssn FROM people", "23502", -1},
        {"CREATE TEMP TABLE x (ssn TEXT CHECK (CAST(ssn AS INTEGER) > 0))", NULL, -1},
        {"INSERT INTO x SELECT ssn FROM people", "*", -1},
        {"CREATE TEMP TABLE e (ssn TEXT CHECK (error(ssn) IS NULL))", "*", -1},
    };
    fixture_attack_all(&f, attacks, ARRAY_COUNT(attacks));
    static const char *const told[] = {"INSERT INTO u SELECT dept FROM people",
                                       "INSERT INTO c SELECT ssn FROM people"};
    for (size_t i = 0; i < ARRAY_COUNT(told); i++) {
        struct outcome outcome = fixture_run(f.eve, slice_of(told[i]));
        CHECK(strstr(buf_cstr(&outcome.text), "constraint") != NULL);
        CHECK(strstr(buf_cstr(&outcome.text), "sales") == NULL);
        CHECK(strstr(buf_cstr(&outcome.text), "**") == NULL);
        outcome_fini(&outcome);
    }
    fixture_close(&f);
}

/* A condition that says something else each time neither loses a row nor doubles one. */
TEST(attack, chance_changes_no_row_that_it_does_not_name)
{
    struct fixture f;
    struct outcome outcome;
    fixture_open(&f);
    DOORS_NEED_SESSION(&f);
    fixture_must(f.eve, "CREATE TEMP TABLE dice AS SELECT i AS id, 0 AS n FROM range(2000) r(i)");
    for (int i = 0; i < 4; i++) {
        fixture_must(f.eve, "UPDATE dice SET n = n + 1 WHERE random() < 0.5");
        fixture_must(f.eve, "UPDATE dice SET n = n WHERE random() < 0.5 RETURNING id");
        outcome = fixture_run(f.eve, SLICE("SELECT count(*), count(DISTINCT id) FROM dice"));
        CHECK(strstr(buf_cstr(&outcome.text), "2000|2000|") != NULL);
        outcome_fini(&outcome);
    }
    fixture_must(f.eve, "DELETE FROM dice WHERE random() < 0.5 RETURNING id");
    fixture_must(f.eve, "DELETE FROM dice WHERE random() < 0.5");
    outcome = fixture_run(f.eve, SLICE("SELECT count(*) = count(DISTINCT id) FROM dice"));
    CHECK(strstr(buf_cstr(&outcome.text), "true|") != NULL);
    outcome_fini(&outcome);
    /* Nor does what makes one row of all, or two of one; nor a statement that fails at its end. */
    fixture_must(f.eve, "CREATE TEMP TABLE kept AS SELECT i AS id FROM range(3) r(i)");
    refused(f.eve, "UPDATE kept SET id = max(id)", "42803");
    refused(f.eve, "UPDATE kept SET id = unnest([1, 2])", "42803");
    refused(f.eve, "DELETE FROM kept WHERE unnest([true, true]) RETURNING id", "42803");
    refused(f.eve, "DELETE FROM kept RETURNING CAST('x' || id AS INTEGER)", "22P02");
    refused(f.eve, "INSERT INTO kept VALUES (9) RETURNING CAST('x' || id AS INTEGER)", "22P02");
    refused(f.eve, "UPDATE kept SET id = 9 RETURNING CAST('x' || id AS INTEGER)", "22P02");
    outcome = fixture_run(f.eve, SLICE("SELECT count(*), sum(id) FROM kept"));
    CHECK(strstr(buf_cstr(&outcome.text), "3|3|") != NULL);
    outcome_fini(&outcome);
    fixture_close(&f);
}
