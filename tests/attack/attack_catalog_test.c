/* Goal: PostgreSQL's catalogs tell nobody of what they may not see; the engine's own stay out of
 * reach. Method: eve asks every relation and function for what is hidden, by name and by number;
 * the answers are searched, and compared with those for what never was. */
#include "fixture.h"

#include "base/json.h"
#include "sql/functions.h"

/* Names that eve may not learn: of the hidden table, its columns, the hidden column of hers, of
 * people and roles beside her own. */
static const char *const hidden_names[] = {"vault", "salary", "bob", "__moat_"};

static void check_silent(const char *sql, const struct outcome *outcome)
{
    for (size_t i = 0; i < ARRAY_COUNT(hidden_names); i++) {
        if (strstr(buf_cstr(&outcome->text), hidden_names[i]) != NULL) {
            fail_msg("%s tells of %s:\n%s", sql, hidden_names[i], buf_cstr(&outcome->text));
        }
    }
    if (fixture_leaks(buf_cstr(&outcome->text))) {
        fail_msg("%s leaks:\n%s", sql, buf_cstr(&outcome->text));
    }
}

/* First cell of the answer. */
static uint64_t ask_number(struct session *session, const char *sql)
{
    struct outcome outcome = fixture_run(session, slice_of(sql));
    CHECK(outcome.err == ERR_OK && outcome.rows == 1);
    const char *line = strchr(buf_cstr(&outcome.text), '\n');
    CHECK(line != NULL);
    unsigned long long number = strtoull(line + 1, NULL, 10);
    outcome_fini(&outcome);
    return number;
}

TEST(attack, no_catalog_relation_names_what_is_hidden)
{
    struct fixture f;
    struct outcome names;
    unsigned tried = 0;
    fixture_open(&f);
    names = fixture_run(f.eve, SLICE("SELECT table_schema || '.' || table_name FROM "
                                     "information_schema.tables WHERE table_schema IN "
                                     "('pg_catalog', 'information_schema')"));
    CHECK(names.err == ERR_OK && names.rows > 200);
    char *rest = names.text.ptr;
    for (char *name; (name = strsep(&rest, "|\n")) != NULL;) {
        char sql[256];
        name += strspn(name, " ");
        if (strncmp(name, "pg_catalog.", 11) != 0 &&
            strncmp(name, "information_schema.", 19) != 0) {
            continue;
        }
        (void)snprintf(sql, sizeof(sql), "SELECT * FROM %.200s", name);
        struct outcome outcome = fixture_run(f.eve, slice_of(sql));
        if (outcome.err != ERR_OK) {
            fail_msg("%s: %s %s", sql, outcome.sqlstate, buf_cstr(&outcome.text));
        }
        check_silent(sql, &outcome);
        outcome_fini(&outcome);
        tried++;
    }
    CHECK(tried > 200);
    outcome_fini(&names);
    fixture_close(&f);
}

/* What eve gets for the hidden table is what she gets for one that never was. */
TEST(attack, no_catalog_function_tells_hidden_from_absent)
{
    static const char *const forms[] = {
        "SELECT '%s'::regclass",
        "SELECT '%s'::regclass::oid",
        "SELECT 'main.%s'::regclass",
        "SELECT CAST('moat.main.%s' AS regclass)",
        "SELECT to_regclass('%s')",
        "SELECT ('%s' || '')::regclass::oid",
        "SELECT x::regclass::text FROM (SELECT '%s' AS x)",
        "SELECT has_table_privilege('%s', 'SELECT')",
        "SELECT has_table_privilege('eve', '%s', 'SELECT')",
        "SELECT has_table_privilege(x, 'SELECT') FROM (SELECT '%s' AS x)",
        "SELECT has_any_column_privilege('%s', 'SELECT')",
        "SELECT has_column_privilege('%s', 'id', 'SELECT')",
        "SELECT pg_relation_size('%s')",
        "SELECT pg_total_relation_size('%s')",
        "SELECT pg_get_viewdef('%s')",
        "SELECT obj_description(to_regclass('%s'), 'pg_class')",
        "SELECT count(*) FROM pg_class WHERE relname = '%s'",
        "SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass('%s')",
        "SELECT pg_table_is_visible(to_regclass('%s'))",
        "SELECT count(*) FROM information_schema.columns WHERE table_name = '%s'",
        "SELECT '%s'::regtype",
        "SELECT '%s'::regproc",
        "SELECT 1 FROM pg_class LEFT JOIN pg_namespace n ON n.oid = '%s'::regclass",
    };
    struct fixture f;
    fixture_open(&f);
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        struct outcome outcomes[2];
        static const char *const names[] = {"vault", "vaulx"};
        for (size_t n = 0; n < ARRAY_COUNT(names); n++) {
            char sql[256];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            (void)snprintf(sql, sizeof(sql), forms[i], names[n]);
#pragma GCC diagnostic pop
            outcomes[n] = fixture_run(f.eve, slice_of(sql));
            for (char *x = outcomes[n].text.ptr; x != NULL && (x = strstr(x, names[n])) != NULL;) {
                memcpy(x, "-----", 5);
            }
        }
        CHECK(strcmp(outcomes[0].sqlstate, outcomes[1].sqlstate) == 0);
        CHECK_STR(buf_cstr(&outcomes[1].text), buf_cstr(&outcomes[0].text));
        outcome_fini(&outcomes[0]);
        outcome_fini(&outcomes[1]);
    }
    fixture_close(&f);
}

/* Eve was told the number of a table that she may not see. */
TEST(attack, the_number_of_a_hidden_table_opens_nothing)
{
    static const char *const forms[] = {
        "SELECT relname FROM pg_class WHERE oid = %llu",
        "SELECT attname FROM pg_attribute WHERE attrelid = %llu",
        "SELECT obj_description(%llu)",
        "SELECT obj_description(%llu, 'pg_class')",
        "SELECT col_description(%llu, 1)",
        "SELECT has_table_privilege(%llu, 'SELECT')",
        "SELECT has_column_privilege(%llu, 1, 'SELECT')",
        "SELECT pg_relation_size(%llu)",
        "SELECT pg_table_is_visible(%llu)",
        "SELECT pg_get_viewdef(%llu)",
        "SELECT relid, relname FROM pg_stat_user_tables WHERE relid = %llu",
        "SELECT description FROM pg_description WHERE objoid = %llu",
        "SELECT x::regclass::text || '!' FROM (SELECT %llu AS x)",
        "SELECT %llu::regclass",
    };
    struct fixture f;
    fixture_open(&f);
    uint64_t hidden = ask_number(f.owner, "SELECT oid FROM pg_class WHERE relname = 'vault'");
    CHECK(hidden >= 16384);
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        struct outcome outcomes[2];
        for (size_t n = 0; n < 2; n++) {
            char sql[256];
            char digits[32];
            char *at;
            uint64_t number = hidden ^ n; /* the second is nobody's */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            (void)snprintf(sql, sizeof(sql), forms[i], (unsigned long long)number);
#pragma GCC diagnostic pop
            (void)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number);
            outcomes[n] = fixture_run(f.eve, slice_of(sql));
            check_silent(sql, &outcomes[n]);
            while ((at = strstr(outcomes[n].text.ptr, digits)) != NULL) {
                memset(at, '#', strlen(digits));
            }
        }
        CHECK(strcmp(outcomes[0].sqlstate, outcomes[1].sqlstate) == 0);
        CHECK_STR(buf_cstr(&outcomes[1].text), buf_cstr(&outcomes[0].text));
        outcome_fini(&outcomes[0]);
        outcome_fini(&outcomes[1]);
    }
    fixture_close(&f);
}

TEST(attack, positions_of_columns_do_not_count_hidden_ones)
{
    struct fixture f;
    fixture_open(&f);
    uint64_t columns =
        ask_number(f.eve, "SELECT max(attnum) FROM pg_attribute a JOIN pg_class c ON "
                          "c.oid = a.attrelid WHERE relname = 'people'");
    uint64_t count = ask_number(f.eve, "SELECT count(*) FROM pg_attribute a JOIN pg_class c ON "
                                       "c.oid = a.attrelid WHERE relname = 'people'");
    uint64_t told = ask_number(f.eve, "SELECT relnatts FROM pg_class WHERE relname = 'people'");
    CHECK(columns == 4 && count == 4 && told == 4);
    fixture_close(&f);
}

/* The engine has a pg_catalog of its own, full of its own names. */
TEST(attack, the_engines_own_catalog_is_out_of_reach)
{
    static const struct attack attacks[] = {
        {"SELECT * FROM system.pg_catalog.pg_class", "3D000", -1},
        {"SELECT * FROM temp.pg_catalog.pg_class", "3D000", -1},
        {"SELECT * FROM memory.information_schema.tables", "3D000", -1},
        {"SELECT * FROM moat.pg_catalog.pg_class WHERE relname LIKE 'duckdb%'", NULL, 0},
        {"SELECT * FROM pg_catalog.sqlite_master", "42P01", -1},
        {"SELECT * FROM sqlite_master", "42P01", -1},
        {"SELECT * FROM __moat_relation", "42501", -1},
        {"SELECT * FROM pg_catalog.__moat_relation", "42501", -1},
        {"SELECT __moat_oid_class('people')", "42501", -1},
        {"SELECT relname FROM pg_class c, (SELECT 1 AS __moat_oid) x", "42501", -1},
        {"SELECT pg_catalog.duckdb_tables()", "42501", -1},
        {"SELECT * FROM pg_catalog.duckdb_tables()", "42501", -1},
        {"SELECT * FROM pg_catalog.read_text('/etc/passwd')", "42501", -1},
        {"SELECT pg_catalog.current_setting('memory_limit')", NULL, 1},
    };
    struct fixture f;
    fixture_open(&f);
    fixture_attack_all(&f, attacks, ARRAY_COUNT(attacks));
    fixture_close(&f);
}

/* A name in an argument must stay the person's own: what a function is rewritten to has columns
 * called oid and tables of its own around it. */
TEST(attack, rewritten_functions_keep_the_meaning_of_their_arguments)
{
    static const struct attack attacks[] = {
        {"SELECT c.relname FROM pg_class c WHERE c.relname = 'people' AND NOT "
         "has_table_privilege(oid, 'SELECT')",
         NULL, 0},
        {"WITH pg_class AS (SELECT 1 AS oid) SELECT * FROM pg_class WHERE pg_table_is_visible(oid)",
         NULL, 0},
        {"WITH __moat_relation AS (SELECT 1) SELECT 1", "42501", -1},
        {"SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'people' AND "
         "pg_get_userbyid(relowner) <> current_user",
         NULL, 1},
        {"SELECT format_type((SELECT id FROM vault), 1)", "42P01", -1},
        {"SELECT obj_description((SELECT min(salary) FROM people), 'pg_class')", "42703", -1},
        {"SELECT has_table_privilege('people', (SELECT name FROM people LIMIT 1))", NULL, 1},
    };
    struct fixture f;
    fixture_open(&f);
    fixture_attack_all(&f, attacks, ARRAY_COUNT(attacks));
    fixture_close(&f);
}

/* An argument that is used twice doubles with each call around it. */
TEST(attack, functions_in_each_other_do_not_grow_without_end)
{
    struct fixture f;
    struct buf sql CLEANUP(buf_fini) = {0};
    fixture_open(&f);
    buf_append_str(&sql, "SELECT ");
    for (int i = 0; i < 60; i++) {
        buf_append_str(&sql, "quote_ident(");
    }
    buf_append_str(&sql, "'x'");
    for (int i = 0; i < 60; i++) {
        buf_append_char(&sql, ')');
    }
    fixture_attack(&f, buf_cstr(&sql), "54000", -1);
    fixture_close(&f);
}
