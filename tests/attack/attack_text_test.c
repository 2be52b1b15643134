/* Goal: text that no person would write ends in a clear error, quickly, with nothing lost.
 * Method: NUL, invalid UTF-8, nesting and lists beyond limits; then the session still works. */
#include "doors.h"

#include "base/clock.h"
#include "base/mem.h"

static void attack_text(struct fixture *fixture, struct slice sql, const char *sqlstate)
{
    int64_t start_us = clock_mono_us();
    struct outcome outcome = fixture_run(fixture->eve, sql);
    int64_t took_us = clock_mono_us() - start_us;
    CHECK(!fixture_leaks(buf_cstr(&outcome.text)));
    bool is_exact = sqlstate != NULL && !doors_translate(fixture->doors);
    if (outcome.err == ERR_OK || outcome.err == ERR_INTERNAL ||
        (is_exact && strcmp(outcome.sqlstate, sqlstate) != 0)) {
        fail_msg("%.60s...: %s %s", sql.ptr, outcome.sqlstate, buf_cstr(&outcome.text));
    }
    if (took_us > 5000000) {
        fail_msg("%.60s...: took %lld us", sql.ptr, (long long)took_us);
    }
    outcome_fini(&outcome);
    fixture_attack(fixture, "SELECT count(*) FROM people", NULL, 1);
}

static void attack_repeated(struct fixture *fixture, const char *head, const char *part,
                            size_t count, const char *tail, const char *sqlstate)
{
    struct buf sql CLEANUP(buf_fini) = {0};
    buf_append_str(&sql, head);
    for (size_t i = 0; i < count; i++) {
        buf_append_str(&sql, part);
    }
    buf_append_str(&sql, tail);
    attack_text(fixture, buf_slice(&sql), sqlstate);
}

TEST(attack, text_that_is_no_text)
{
    struct fixture f;
    fixture_open(&f);
    attack_text(&f, (struct slice){"SELECT 'a\0b'", 12}, "22021");
    attack_text(&f, (struct slice){"SELECT '\xff\xfe'", 11}, "22021");
    attack_text(&f, (struct slice){"SELECT '\xed\xa0\x80'", 12}, "22021");
    attack_text(&f, SLICE("SELECT 'open"), "42601");
    attack_text(&f, SLICE("SELECT /* open"), "42601");
    if (!doors_take_scripts(f.doors)) { /* of none or several statements */
        attack_text(&f, SLICE("SELECT 1; SELECT 2"), NULL);
        attack_text(&f, SLICE(""), NULL);
        attack_text(&f, SLICE(";"), NULL);
    }
    fixture_close(&f);
}

TEST(attack, text_beyond_every_limit)
{
    struct fixture f;
    fixture_open(&f);
    attack_repeated(&f, "SELECT ", "(", (size_t)10 << 20, "", "54000");
    attack_repeated(&f, "SELECT ", "(", 400000, "1", NULL);
    attack_repeated(&f, "SELECT ", "((((((((((", 50, "1", "42601");
    attack_repeated(&f, "SELECT 1", "+1", 100000, "", NULL);
    attack_repeated(&f, "SELECT 1", " OR 1", 100000, "", NULL);
    attack_repeated(&f, "SELECT 1", " UNION ALL SELECT 1", 30000, "", NULL);
    attack_repeated(&f, "SELECT 1 IN (0", ",1", 200000, ")", NULL);
    attack_repeated(&f, "SELECT ", "NOT ", 100000, "true", NULL);
    attack_repeated(&f, "SELECT ", "CASE WHEN true THEN ", 20000, "1", NULL);
    attack_repeated(&f, "SELECT ?", ",?", 100000, "", NULL);
    attack_repeated(&f, "SELECT * FROM people", ", people", 3000, "", NULL);
    attack_repeated(&f, "SELECT '", "x", (size_t)2 << 20, "'", "54000");
    attack_repeated(&f, "WITH a AS (", "SELECT * FROM (", 2000, "", NULL);
    attack_repeated(&f, "GRANT SELECT (a", ",a", 200000, ") ON people TO x", NULL);
    fixture_close(&f);
}

TEST(attack, a_hundred_thousand_parameters)
{
    struct fixture f;
    fixture_open(&f);
    struct buf numbered CLEANUP(buf_fini) = {0};
    struct buf execute CLEANUP(buf_fini) = {0};
    buf_append_str(&numbered, "PREPARE p AS SELECT count(*) FROM people WHERE id IN ($1");
    buf_append_str(&execute, "EXECUTE p(1");
    for (int i = 2; i <= 100000; i++) {
        buf_printf(&numbered, ",$%d", i);
        buf_append_str(&execute, ",1");
    }
    buf_append_str(&numbered, ")");
    buf_append_str(&execute, ")");
    attack_text(&f, buf_slice(&numbered), "54000");
    attack_text(&f, buf_slice(&execute), NULL);
    attack_text(&f, SLICE("SELECT $100000"), "54000");
    attack_text(&f, SLICE("SELECT $18446744073709551616"), NULL);
    attack_text(&f, SLICE("SELECT $0"), NULL);
    attack_text(&f, SLICE("SELECT 1e400"), NULL);
    attack_text(&f, SLICE("SELECT -1e400 FROM people"), NULL);
    fixture_close(&f);
}

TEST(attack, results_that_would_not_fit_are_stopped)
{
    struct fixture f;
    fixture_open(&f);
    attack_text(&f, SLICE("SELECT repeat('x', 100000000000)"), NULL);
    attack_text(&f, SLICE("SELECT len(range(100000000000))"), NULL);
    attack_text(&f, SLICE("SELECT lpad('x', 2000000000, 'y')"), NULL);
    attack_text(&f, SLICE("SELECT list_resize([1], 1000000000000)"), NULL);
    fixture_close(&f);
}
