/* Goal: a policy holds while the store fails, while it changes, and against those who may not read
 * or write it. Method: eve asks through every door that is not a SELECT over her table. */
#include "fixture.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"

static void check_silent(struct fixture *fixture, const char *sql)
{
    static const char *const words[] = {"sales", "redact", "salary", "claim", "3000",
                                        "vault", "__moat", "moat:",  "board", "people.parquet"};
    struct outcome outcome = fixture_run(fixture->eve, slice_of(sql));
    const char *text = buf_cstr(&outcome.text);
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (strstr(text, words[i]) != NULL && strstr(sql, words[i]) == NULL) {
            fail_msg("%s tells of %s:\n%.2000s", sql, words[i], text);
        }
    }
    if (fixture_leaks(text)) {
        fail_msg("LEAK: %s\n%.2000s", sql, text);
    }
    outcome_fini(&outcome);
}

TEST(attack, explain_of_any_form_tells_nothing)
{
    struct fixture f;
    fixture_open(&f);
    fixture_attack(&f, "PREPARE p AS SELECT * FROM people WHERE id < $1", NULL, -1);
    static const char *const forms[] = {
        "EXPLAIN EXECUTE p(5)",
        "EXPLAIN ANALYZE EXECUTE p(5)",
        "EXPLAIN PREPARE q AS SELECT * FROM people",
        "EXPLAIN EXPLAIN SELECT * FROM people",
        "EXPLAIN ANALYZE SELECT * FROM people",
        "EXPLAIN (ANALYZE, FORMAT json) SELECT * FROM people",
        "EXPLAIN (FORMAT graphviz) SELECT * FROM people",
        "EXPLAIN (PHYSICAL) SELECT * FROM people",
        "EXPLAIN (ANALYZE) SELECT * FROM people",
        "EXPLAIN ANALYZE SELECT count(*) FROM people a, people b WHERE a.id = b.id",
        "EXPLAIN SUMMARIZE people",
        "EXPLAIN DESCRIBE people",
        "EXPLAIN SHOW GRANTS ON people",
        "EXPLAIN SELECT sale FROM people",
        "EXPLAIN WITH q AS (SELECT * FROM people) SELECT * FROM q",
        "EXPLAIN COPY people TO 'x'",
        "SELECT * FROM (EXPLAIN SELECT * FROM people)",
        "PRAGMA enable_profiling",
        "PRAGMA explain_output = 'all'",
        "SET explain_output = 'all'",
        "CALL enable_logging()",
        "SELECT * FROM duckdb_optimizers()"};
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        check_silent(&f, forms[i]);
    }
    fixture_close(&f);
}

TEST(attack, a_definers_view_does_not_show_its_text)
{
    struct fixture f;
    fixture_open(&f);
    fixture_must(f.owner,
                 "CREATE VIEW shown SECURITY DEFINER AS SELECT id, CAST(salary AS INT) + 1 "
                 "AS n, dept AS d FROM vault WHERE dept = 'board' AND name <> 'zz'");
    fixture_must(f.owner, "GRANT SELECT (id) ON shown TO eve");
    static const char *const forms[] = {"SELECT * FROM shown LIMIT 1",
                                        "SELECT n FROM shown",
                                        "SELECT salary FROM shown",
                                        "SELECT id + 'x' FROM shown",
                                        "SELECT CAST(id AS DATE) FROM shown",
                                        "EXPLAIN SELECT * FROM shown",
                                        "EXPLAIN ANALYZE SELECT * FROM shown",
                                        "DESCRIBE shown",
                                        "SHOW CREATE VIEW shown",
                                        "SELECT * FROM information_schema.views",
                                        "SELECT * FROM moat_system.tables WHERE name = 'shown'",
                                        "SHOW EFFECTIVE POLICY ON shown",
                                        "SELECT (SELECT max(id) FROM shown)"};
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        check_silent(&f, forms[i]);
    }
    fixture_must(f.owner, "ALTER TABLE vault RENAME COLUMN salary TO pay");
    check_silent(&f, "SELECT * FROM shown");
    fixture_must(f.owner, "ALTER TABLE vault RENAME TO cellar");
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        check_silent(&f, forms[i]);
    }
    fixture_close(&f);
}

TEST(attack, the_engines_hash_is_no_mask)
{
    // A hash without a key is undone by hashing all names there are.
    static const char *const masks[] = {"\"sha256\"(name)",
                                        "(sha256(name))",
                                        "name.sha256()",
                                        "system.main.sha256(name)",
                                        "lower(sha256(name))",
                                        "SHA256(name || '')",
                                        "CASE WHEN id >= 0 THEN sha256(name) END",
                                        "list_transform([name], x -> sha256(x))[1]",
                                        "coalesce(sha256(name), 'x')"};
    struct fixture f;
    fixture_open(&f);
    for (size_t i = 0; i < ARRAY_COUNT(masks); i++) {
        struct buf sql CLEANUP(buf_fini) = {0};
        fixture_must(f.owner, "REVOKE SELECT ON people FROM staff");
        buf_printf(&sql, "GRANT SELECT (id, name) ON people TO staff MASKED WITH (name = %s)",
                   masks[i]);
        fixture_must(f.owner, buf_cstr(&sql));
        fixture_attack(&f, "SELECT 1 FROM people WHERE name = sha256('person 0')", NULL, 0);
        fixture_attack(&f, "SELECT 1 FROM people WHERE length(name) <> 64", NULL, 0);
        fixture_attack(&f, "SELECT DISTINCT name FROM people WHERE id % 150 = 0", NULL, 1);
    }
    fixture_attack(&f, "SELECT __moat_hash('person 0')", "42501", -1);
    fixture_close(&f);
}

TEST(attack, broken_files_quote_no_hidden_line)
{
    // The engine quotes the whole line, or the value, of a text file that it cannot read.
    static const char *const lines[] = {"abc,HIDDEN,board,98765,RAW-1\n",
                                        "5,HIDDEN,board,98765,RAW-1,RAW-2,RAW-3\n",
                                        "5,HIDDEN\n",
                                        "5,\"HIDDEN,board,98765,RAW-1\n",
                                        "5,HIDDEN\xff\xfe,board,98765,RAW-1\n",
                                        "5,HIDDEN,board,98765x,RAW-1\n",
                                        "5,\"HIDDEN\"RAW,board,98765,RAW-1\n",
                                        "\r5,HIDDEN,board,98765,RAW\r\r\n"};
    static const char *const objects[] = {
        "{\"id\":\"HIDDEN\",\"name\":\"RAW\",\"dept\":\"board\",\"salary\":98765}\n",
        "{\"id\":1,\"name\":\"HIDDEN\",\"dept\":\"board\",\"salary\":\"98765x\"}\n",
        "{\"id\":1,\"name\":\"HIDDEN\n", "HIDDEN RAW 98765\n", "[\"HIDDEN\", 98765]\n"};
    static const char *const grants[] = {
        "GRANT SELECT (id, dept) ON broken TO eve",
        "GRANT SELECT ON broken TO eve ROWS WHERE dept = 'sales'",
        "GRANT SELECT (id, dept) ON broken TO eve ROWS WHERE dept = 'sales'",
        "GRANT SELECT (id, name, dept) ON broken TO eve MASKED WITH (name = null)"};
    static const char *const questions[] = {
        "SELECT * FROM broken", "SELECT count(*) FROM broken WHERE id = 5",
        "SELECT max(id) FROM broken", "SUMMARIZE broken", "SELECT dept FROM broken ORDER BY id"};
    struct fixture f;
    fixture_open(&f);
    for (size_t i = 0; i < ARRAY_COUNT(lines) + ARRAY_COUNT(objects); i++) {
        bool is_csv = i < ARRAY_COUNT(lines);
        char path[256];
        char sql[512];
        (void)snprintf(path, sizeof(path), "%s/broken.%s", f.folder, is_csv ? "csv" : "json");
        const char *good = is_csv ? "id,name,dept,salary,ssn\n1,me,sales,1,x\n2,me,sales,2,y\n"
                                  : "{\"id\":1,\"name\":\"me\",\"dept\":\"sales\",\"salary\":1}\n";
        CHECK_OK(io_write_file_atomic(path, slice_of(good), 0600, NULL));
        (void)snprintf(sql, sizeof(sql), "CREATE OR REPLACE EXTERNAL TABLE broken LOCATION '%s'",
                       path);
        fixture_must(f.owner, sql);
        struct buf text CLEANUP(buf_fini) = {0};
        buf_append_str(&text, good);
        buf_append_str(&text, is_csv ? lines[i] : objects[i - ARRAY_COUNT(lines)]);
        buf_append_str(&text, is_csv ? "3,me,sales,1,z\n" : "");
        CHECK_OK(io_write_file_atomic(path, buf_slice(&text), 0600, NULL));
        for (size_t g = 0; g < ARRAY_COUNT(grants); g++) {
            fixture_must(f.owner, grants[g]);
            for (size_t q = 0; q < ARRAY_COUNT(questions); q++) {
                fixture_attack(&f, questions[q], "*", -1);
            }
            fixture_must(f.owner, "REVOKE SELECT ON broken FROM eve");
        }
    }
    fixture_close(&f);
}

TEST(attack, deny_through_nested_roles_wins)
{
    struct fixture f;
    fixture_open(&f);
    static const char *const roles[] = {"r1", "r2", "r3", "r4"};
    for (size_t i = 0; i < ARRAY_COUNT(roles); i++) {
        struct buf sql CLEANUP(buf_fini) = {0};
        buf_printf(&sql, "CREATE ROLE %s", roles[i]);
        fixture_must(f.owner, buf_cstr(&sql));
    }
    fixture_must(f.owner, "GRANT ROLE r1 TO r2");
    fixture_must(f.owner, "GRANT ROLE r2 TO r3");
    fixture_must(f.owner, "GRANT ROLE r3 TO r4");
    fixture_must(f.owner, "GRANT ROLE r4 TO eve");
    CHECK(fixture_fails(f.owner, SLICE("GRANT ROLE r4 TO r1")));
    CHECK(fixture_fails(f.owner, SLICE("GRANT ROLE r1 TO r1")));
    fixture_attack(&f, "SELECT ssn FROM people", NULL, FIXTURE_SALES);
    fixture_must(f.owner, "DENY SELECT (ssn) ON people TO ROLE r1");
    fixture_attack(&f, "SELECT ssn FROM people", "42703", -1);
    fixture_must(f.owner, "GRANT SELECT ON people TO USER eve ROWS WHERE dept = 'sales'");
    fixture_attack(&f, "SELECT ssn FROM people", "42703", -1);
    fixture_must(f.owner, "DENY SELECT ON people TO ROLE r2 ROWS WHERE id > 30");
    fixture_attack(&f, "SELECT id FROM people", NULL, 11);
    fixture_must(f.owner, "DENY SELECT ON people TO ROLE public ROWS WHERE id > 3");
    fixture_attack(&f, "SELECT id FROM people", NULL, 2);
    fixture_must(f.owner, "DENY SELECT ON people TO ROLE r1");
    fixture_attack(&f, "SELECT id FROM people", "42P01", -1);
    fixture_close(&f);
}

/* The store's file, spoilt in place while its sessions are open. */
static void spoil(const struct fixture *fixture, const char *how)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/wh/system.db", fixture->folder);
    if (strcmp(how, "unreadable") == 0) {
        CHECK(truncate(path, 0) == 0);
        return;
    }
    struct stat stat_now;
    CHECK(stat(path, &stat_now) == 0);
    FILE *file = fopen(path, "r+b");
    CHECK(file != NULL);
    for (off_t i = 0; i < stat_now.st_size; i++) {
        CHECK(fputc('x', file) == 'x');
    }
    CHECK(fclose(file) == 0);
}

TEST(attack, a_store_that_fails_in_a_session_opens_nothing)
{
    static const char *const ways[] = {"unreadable", "garbage"};
    static const char *const questions[] = {
        "SELECT * FROM people", "SELECT * FROM people_csv", "SELECT name FROM people WHERE id > 0",
        "SELECT * FROM vault",  "SHOW GRANTS ON people",    "SELECT * FROM moat_system.audit"};
    for (size_t w = 0; w < ARRAY_COUNT(ways); w++) {
        struct fixture f;
        fixture_open(&f);
        fixture_attack(&f, questions[0], NULL, FIXTURE_SALES);
        spoil(&f, ways[w]);
        for (size_t i = 0; i < ARRAY_COUNT(questions); i++) {
            struct outcome outcome = fixture_run(f.eve, slice_of(questions[i]));
            /* What was read before may still be known; then it is the policy, not less. */
            bool is_safe =
                outcome.err != ERR_OK ? outcome.rows == 0 : outcome.rows <= FIXTURE_SALES;
            if (!is_safe || fixture_leaks(buf_cstr(&outcome.text))) {
                fail_msg("%s: %s\n%.1000s", ways[w], questions[i], buf_cstr(&outcome.text));
            }
            outcome_fini(&outcome);
        }
        fixture_close(&f);
    }
}

TEST(attack, completion_offers_only_what_may_be_read)
{
    struct fixture f;
    fixture_open(&f);
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct completion *items;
    size_t count;
    bool has_people = false;
    CHECK_OK(session_complete(f.eve, SLICE(""), arena, &items, &count, NULL));
    for (size_t i = 0; i < count; i++) {
        CHECK(!slice_equal_fold(items[i].text, SLICE("vault")));
        CHECK(!slice_equal_fold(items[i].text, SLICE("salary")));
        CHECK(!slice_starts_with_fold(items[i].text, SLICE("__moat")));
        CHECK(!slice_equal_fold(items[i].text, SLICE("read_parquet")) ||
              items[i].kind == COMPLETE_FUNCTION);
        has_people = has_people || slice_equal_fold(items[i].text, SLICE("people"));
    }
    CHECK(has_people);
    fixture_must(f.owner, "REVOKE ROLE staff FROM eve");
    CHECK_OK(session_complete(f.eve, SLICE("peo"), arena, &items, &count, NULL));
    CHECK(count == 0);
    fixture_close(&f);
}

TEST(attack, policy_files_are_for_the_owner)
{
    struct fixture f;
    fixture_open(&f);
    static const char *const paths[] = {"/etc/passwd", "/nowhere/grants.yaml"};
    for (size_t i = 0; i < ARRAY_COUNT(paths); i++) {
        for (int action = POLICY_VALIDATE; action <= POLICY_APPLY; action++) {
            struct buf report CLEANUP(buf_fini) = {0};
            struct errinfo info;
            size_t changes = 0;
            CHECK_ERR(ERR_DENIED, session_policy_file(f.eve, paths[i], (enum policy_action)action,
                                                      &report, &changes, &info));
            CHECK(report.len == 0 && changes == 0);
            CHECK(strstr(info.message, paths[i]) == NULL);
        }
    }
    fixture_close(&f);
}

TEST(attack, the_trail_is_read_only_when_granted)
{
    struct fixture f;
    fixture_open(&f);
    fixture_must(f.bob, "SELECT count(*) FROM people");
    static const char *const doors[] = {
        "SELECT * FROM moat_system.audit", "SELECT * FROM moat_system.queries",
        "SELECT * FROM main.audit", "SELECT * FROM moat_system.audit AS OF now()",
        "DESCRIBE moat_system.audit"};
    for (size_t i = 0; i < ARRAY_COUNT(doors); i++) {
        CHECK(fixture_fails(f.eve, slice_of(doors[i])));
    }
    fixture_must(f.owner, "GRANT SELECT ON moat_system.audit TO eve ROWS WHERE \"user\" = "
                          "current_user MASKED WITH (statement = null)");
    fixture_attack(&f, "SELECT 1 FROM moat_system.audit WHERE \"user\" <> 'eve'", NULL, 0);
    fixture_attack(&f, "SELECT 1 FROM moat_system.audit WHERE statement IS NOT NULL", NULL, 0);
    fixture_attack(&f, "SELECT 1 FROM moat_system.queries", "42P01", -1);
    fixture_must(f.owner, "REVOKE SELECT ON moat_system.audit FROM eve");
    fixture_attack(&f, "SELECT 1 FROM moat_system.audit", "42P01", -1);
    fixture_close(&f);
}
