/* Goal: who may change the rows of a table that they see changes and learns nothing else.
 * Method: eve has SELECT with a filter and a mask on a table of a lake, and rights to write it,
 * once with files written again and once with delete files. After all she tries, the rows of others
 * are what they were, and so is each value that she is not shown. */
#include "doors.h"

static void open_lake(struct fixture *f, const char *mode)
{
    char sql[512];
    fixture_open(f);
    (void)snprintf(sql, sizeof(sql),
                   "ATTACH '%s/cat.sqlite' AS lake (TYPE iceberg_local, CREATE true)", f->folder);
    fixture_must(f->owner, sql);
    fixture_must(f->owner, "CREATE SCHEMA lake.s");
    (void)snprintf(sql, sizeof(sql),
                   "CREATE TABLE lake.s.t TBLPROPERTIES ('write.delete.mode' = '%s', "
                   "'write.update.mode' = '%s', 'write.merge.mode' = '%s') AS SELECT * FROM people",
                   mode, mode, mode);
    fixture_must(f->owner, sql);
    fixture_must(f->owner, "GRANT SELECT (id, name, dept, ssn), MODIFY ON lake.s.t TO eve "
                           "ROWS WHERE dept = claim('dept') MASKED WITH (ssn = redact(ssn, 2))");
}

static void expect_none(struct fixture *f, const char *sql)
{
    struct outcome outcome = fixture_run(f->owner, slice_of(sql));
    if (outcome.err != ERR_OK || outcome.rows != 0) {
        fail_msg("%s: %llu rows: %.500s", sql, (unsigned long long)outcome.rows,
                 buf_cstr(&outcome.text));
    }
    outcome_fini(&outcome);
}

/* What eve does not see is as it was. */
static void check_untouched(struct fixture *f)
{
    expect_none(f, "(SELECT * FROM people WHERE dept <> 'sales') EXCEPT ALL "
                   "(SELECT * FROM lake.s.t WHERE dept <> 'sales')");
    expect_none(f, "(SELECT * FROM lake.s.t WHERE dept IS DISTINCT FROM 'sales') EXCEPT ALL "
                   "(SELECT * FROM people WHERE dept <> 'sales')");
    expect_none(f, "SELECT t.id FROM lake.s.t AS t JOIN people AS p ON t.id = p.id "
                   "WHERE t.ssn IS DISTINCT FROM p.ssn OR t.salary IS DISTINCT FROM p.salary");
}

static const struct attack row_attacks[] = {
    /* outside of what she sees */
    {"INSERT INTO lake.s.t (id, name, dept) VALUES (9001, 'x', 'board')", "44000", -1},
    {"INSERT INTO lake.s.t (id, name, dept) VALUES (9001, 'x', 'sales'), (9002, 'y', NULL)",
     "44000", -1},
    {"UPDATE lake.s.t SET dept = 'board'", "44000", -1},
    {"UPDATE lake.s.t SET dept = NULL WHERE id % 2 = 0", "44000", -1},
    {"MERGE INTO lake.s.t USING (SELECT 9003 AS i) AS n ON t.id = n.i "
     "WHEN NOT MATCHED THEN INSERT (id, dept) VALUES (i, 'board')",
     "44000", -1},
    /* columns that are not hers */
    {"INSERT INTO lake.s.t (id, dept, salary) VALUES (9001, 'sales', 1)", "42703", -1},
    {"INSERT INTO lake.s.t (id, dept, ssn) VALUES (9001, 'sales', '1')", "42501", -1},
    {"UPDATE lake.s.t SET salary = 0", "42703", -1},
    {"UPDATE lake.s.t SET ssn = ssn", "42501", -1},
    {"UPDATE lake.s.t SET ssn = DEFAULT", "42501", -1},
    {"UPDATE lake.s.t SET (name, ssn) = ('a', 'b')", "42501", -1},
    {"DELETE FROM lake.s.t WHERE salary > 0", "42703", -1},
    {"UPDATE lake.s.t SET name = 'a' RETURNING salary", "42703", -1},
    {"SELECT * FROM pg_temp.\"moat change\"", "42P01", -1},
    {"UPDATE lake.s.t SET name = name RETURNING (SELECT max(m_file) FROM "
     "pg_temp.\"moat change\")",
     "*", -1},
    {"UPDATE lake.s.t SET name = name || (SELECT max(m_file) FROM pg_temp.\"moat change\")",
     "42P01", -1},
    /* all of it */
    {"TRUNCATE lake.s.t", "42501", -1},
    {"INSERT OVERWRITE lake.s.t SELECT id, name, dept, NULL FROM lake.s.t", "42501", -1},
    {"ALTER TABLE lake.s.t DROP COLUMN salary", "*", -1},
    {"DROP TABLE lake.s.t", "*", -1},
    {"GRANT MODIFY ON lake.s.t TO bob", "42501", -1},
    {"CALL moat.rollback_to_snapshot('lake.s.t', 1)", "*", -1},
    /* where rows are */
    {"UPDATE lake.s.t SET name = CAST(_pos AS VARCHAR)", "42703", -1},
    {"UPDATE lake.s.t SET name = _file", "42703", -1},
    {"UPDATE lake.s.t AS x SET name = CAST(x AS VARCHAR) RETURNING *", "0A000", -1},
    {"UPDATE lake.s.t AS x SET name = to_json(x) RETURNING *", "0A000", -1},
    {"UPDATE lake.s.t AS x SET name = CAST(#6 AS VARCHAR) RETURNING *", "0A000", -1},
    {"DELETE FROM lake.s.t AS x WHERE COLUMNS(*) IS NULL", "0A000", -1},
    {"DELETE FROM lake.s.t AS x WHERE EXISTS (SELECT x.*)", "0A000", -1},
    {"UPDATE lake.s.t SET name = m_pos RETURNING *", "42703", -1},
    {"UPDATE lake.s.t SET name = 'x' FROM lake.s.t AS other WHERE other._pos = 1", "42703", -1},
    /* throwing on rows of others */
    {"DELETE FROM lake.s.t WHERE regexp_replace('a', name, 'b') = 'never'", "*", -1},
    {"UPDATE lake.s.t SET name = error(name) WHERE dept = 'board'", "*", -1},
    {"DELETE FROM lake.s.t WHERE CAST(name AS INTEGER) = 1", "*", -1},
    /* to nobody: hidden rows are no matches, hidden values are no condition */
    {"DELETE FROM lake.s.t WHERE dept = 'board' RETURNING *", NULL, 0},
    {"UPDATE lake.s.t SET name = 'x' WHERE dept <> 'sales' RETURNING *", NULL, 0},
    {"MERGE INTO lake.s.t USING (SELECT DISTINCT id FROM range(9000) r(id)) AS n "
     "ON t.id = n.id AND t.dept = 'board' WHEN MATCHED THEN DELETE RETURNING *",
     NULL, 0},
    {"MERGE INTO lake.s.t USING (SELECT 1 AS one) ON dept <> 'sales' "
     "WHEN MATCHED THEN UPDATE SET name = 'x' RETURNING *",
     NULL, 0},
    /* what she may */
    {"UPDATE lake.s.t SET name = 'n' || id RETURNING id, name, ssn", NULL, FIXTURE_SALES},
    {"DELETE FROM lake.s.t WHERE id % 7 = 0", NULL, -1},
    {"MERGE INTO lake.s.t USING (SELECT id FROM range(9000) r(id)) AS n ON t.id = n.id "
     "WHEN MATCHED AND n.id % 5 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET name = 'm' "
     "RETURNING *",
     NULL, -1},
    {"DELETE FROM lake.s.t RETURNING *", NULL, -1},
    {"SELECT * FROM lake.s.t", NULL, 0},
};

static void attack_rows(const char *mode)
{
    struct fixture f;
    open_lake(&f, mode);
    for (size_t i = 0; i < ARRAY_COUNT(row_attacks); i++) {
        fixture_attack(&f, row_attacks[i].sql, row_attacks[i].sqlstate, row_attacks[i].rows);
        if (i % 8 == 7) {
            check_untouched(&f);
        }
    }
    check_untouched(&f);
    fixture_close(&f);
}

TEST(attack, a_filtered_writer_touches_no_row_out_of_sight_in_files_written_again)
{
    attack_rows("copy-on-write");
}

TEST(attack, a_filtered_writer_touches_no_row_out_of_sight_with_delete_files)
{
    attack_rows("merge-on-read");
}

/* The mask is what a condition sees: asking for the raw value finds nothing. */
TEST(attack, a_condition_over_a_masked_column_is_over_the_mask)
{
    struct fixture f;
    open_lake(&f, "merge-on-read");
    fixture_attack(&f,
                   "DELETE FROM lake.s.t WHERE ssn IN (SELECT ssn FROM lake.s.t) AND "
                   "ssn NOT LIKE '%*%' RETURNING *",
                   NULL, 0);
    struct outcome outcome = fixture_run(
        f.owner, SLICE("SELECT 1 FROM lake.s.t WHERE dept = 'sales' AND ssn LIKE '%*%'"));
    CHECK(outcome.err == ERR_OK && outcome.rows == 0); /* no mask was written back */
    outcome_fini(&outcome);
    check_untouched(&f);
    fixture_close(&f);
}

/* A renamed table is the table; one that comes under its old name is another. */
TEST(attack, rights_to_write_follow_the_table_and_not_its_name)
{
    struct fixture f;
    open_lake(&f, "copy-on-write");
    fixture_must(f.owner, "ALTER TABLE lake.s.t RENAME TO u");
    fixture_must(f.owner, "CREATE TABLE lake.s.t AS SELECT * FROM people");
    fixture_attack(&f, "INSERT INTO lake.s.t (id, dept) VALUES (9001, 'sales')", "42P01", -1);
    fixture_attack(&f, "DELETE FROM lake.s.t", "42P01", -1);
    fixture_attack(&f, "INSERT INTO lake.s.u (id, dept) VALUES (9001, 'sales')", NULL, -1);
    fixture_attack(&f, "INSERT INTO lake.s.u (id, dept) VALUES (9001, 'board')", "44000", -1);
    check_untouched(&f);
    fixture_close(&f);
}

TEST(attack, nobody_writes_through_a_view)
{
    struct fixture f;
    open_lake(&f, "copy-on-write");
    fixture_must(f.owner, "CREATE VIEW lens SECURITY DEFINER AS SELECT * FROM lake.s.t");
    fixture_must(f.owner, "GRANT SELECT (id, dept) ON lens TO eve");
    static const struct attack attacks[] = {
        {"INSERT INTO lens VALUES (9001, 'board')", "0A000", -1},
        {"UPDATE lens SET dept = 'x'", "0A000", -1},
        {"DELETE FROM lens", "0A000", -1},
        {"TRUNCATE lens", "0A000", -1},
        {"MERGE INTO lens USING (SELECT 1 AS i) AS n ON lens.id = n.i WHEN MATCHED THEN DELETE",
         "0A000", -1},
    };
    fixture_attack_all(&f, attacks, ARRAY_COUNT(attacks));
    check_untouched(&f);
    fixture_close(&f);
}

/* Rights are looked up by each statement, in a transaction too. */
TEST(attack, a_right_that_is_taken_away_is_gone_at_once)
{
    struct fixture f;
    open_lake(&f, "copy-on-write");
    DOORS_NEED_SESSION(&f);
    fixture_attack(&f, "BEGIN", NULL, -1);
    fixture_attack(&f, "INSERT INTO lake.s.t (id, dept) VALUES (9001, 'sales')", NULL, -1);
    fixture_must(f.owner, "REVOKE INSERT ON lake.s.t FROM eve");
    fixture_attack(&f, "INSERT INTO lake.s.t (id, dept) VALUES (9002, 'sales')", "42501", -1);
    fixture_attack(&f, "ROLLBACK", NULL, -1);
    fixture_attack(&f, "UPDATE lake.s.t SET name = 'x' WHERE id < 0", NULL, -1);
    fixture_must(f.owner, "DENY UPDATE ON lake.s.t TO eve");
    fixture_attack(&f, "UPDATE lake.s.t SET name = 'x' WHERE id < 0", "42501", -1);
    fixture_must(f.owner, "DENY SELECT ON lake.s.t TO eve");
    fixture_attack(&f, "DELETE FROM lake.s.t WHERE id < 0", "*", -1);
    fixture_must(f.owner, "REVOKE DENY SELECT ON lake.s.t FROM eve");
    fixture_must(f.owner, "REVOKE SELECT ON lake.s.t FROM eve");
    /* What nobody shows her is not there, whatever she may do to it. */
    struct outcome outcome = fixture_run(f.eve, SLICE("DELETE FROM lake.s.t"));
    CHECK_STR("3D000", outcome.sqlstate);
    outcome_fini(&outcome);
    check_untouched(&f);
    fixture_close(&f);
}
