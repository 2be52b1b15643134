/* Time travel of other engines, as the parser knows it. */
#include "base/sweep.h"
#include "base/test.h"
#include "sql/travel.h"

static struct arena *arena;

static struct sql_travel rewritten(const char *text)
{
    struct sql_travel travel = {0};
    struct errinfo info;
    CHECK_OK(sql_travel_rewrite(slice_of(text), arena, &travel, &info));
    return travel;
}

static void check_becomes(const char *before, const char *after)
{
    struct sql_travel travel = rewritten(before);
    char text[512];
    (void)snprintf(text, sizeof(text), "%.*s", SLICE_ARGS(travel.text));
    CHECK_STR(after, text);
}

TEST(travel, every_form_becomes_at)
{
    arena = arena_new(NULL, "test", 0);
    check_becomes("FROM t FOR VERSION AS OF 12 x", "FROM t x AT (VERSION => 12)");
    check_becomes("FROM t for system_version\nas  of 12", "FROM t AT (VERSION => 12)");
    check_becomes("FROM t FOR TIMESTAMP AS OF TIMESTAMP '2024-01-01' AS x",
                  "FROM t AS x AT (TIMESTAMP => TIMESTAMP '2024-01-01')");
    check_becomes("FROM t FOR SYSTEM_TIME AS OF (now() - (INTERVAL 1 DAY)), u",
                  "FROM t AT (TIMESTAMP => (now() - (INTERVAL 1 DAY))), u");
    check_becomes("FROM t FOR SYSTEM_TIME AS OF date_trunc('day', now()) JOIN u",
                  "FROM t AT (TIMESTAMP => date_trunc('day', now())) JOIN u");
    check_becomes("FROM t FOR TIMESTAMP AS OF current_timestamp WHERE a",
                  "FROM t AT (TIMESTAMP => current_timestamp) WHERE a");
    check_becomes("FROM t FOR VERSION AS OF -1", "FROM t AT (VERSION => -1)");
    check_becomes("FROM t FOR VERSION AS OF $1", "FROM t AT (VERSION => $1)");
    check_becomes("FROM t FOR VERSION AS OF 'it''s'", "FROM t AT (VERSION => 'it''s')");
    check_becomes("FROM a.\"b\"@main, c@\"x'y\" z",
                  "FROM a.\"b\" AT (VERSION => 'main'), c z AT (VERSION => 'x''y')");
    check_becomes("FROM t@x AS a (i, \"j\") WHERE i",
                  "FROM t AS a (i, \"j\") AT (VERSION => 'x') WHERE i");
    arena_free(arena);
}

TEST(travel, what_only_looks_like_it_stays)
{
    static const char *const texts[] = {
        "SELECT substring(x FOR version)",
        "SELECT timestamp AS of FROM t",
        "SELECT @x, a @ b, a@ b, a @b, 'FOR VERSION AS OF 1', \"t@main\"",
        "SELECT 1 -- FOR VERSION AS OF 2",
        "SELECT /* t@main */ 1 FOR UPDATE",
        "",
    };
    arena = arena_new(NULL, "test", 0);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        check_becomes(texts[i], texts[i]);
        CHECK(rewritten(texts[i]).edit_count == 0);
    }
    arena_free(arena);
}

/* Each byte that both texts share must be found again where it was. */
TEST(travel, positions_lead_back)
{
    static const char text[] = "a FOR VERSION AS OF 123456 b t@main c FOR TIMESTAMP AS OF 'x' d";
    arena = arena_new(NULL, "test", 0);
    struct sql_travel travel = rewritten(text);
    static const char *const marks[] = {"a ", "123456", "b ", "c ", "'x'", "d"};
    for (size_t i = 0; i < ARRAY_COUNT(marks); i++) {
        size_t now = slice_find(travel.text, slice_of(marks[i])) + 1;
        size_t then = slice_find(slice_of(text), slice_of(marks[i])) + 1;
        assert_int_equal((int)then, (int)sql_travel_position(&travel, now));
    }
    assert_int_equal(
        (int)slice_find(slice_of(text), SLICE("FOR")) + 1,
        (int)sql_travel_position(&travel, slice_find(travel.text, SLICE("VERSION")) + 1));
    assert_int_equal(0, (int)sql_travel_position(&travel, 0));
    for (size_t p = 1; p <= travel.text.len; p++) {
        CHECK(sql_travel_position(&travel, p) <= sizeof(text));
    }
    arena_free(arena);
}

TEST(travel, as_of_nothing_is_an_error)
{
    static const char *const texts[] = {"FROM t FOR VERSION AS OF", "FROM t FOR VERSION AS OF )",
                                        "FROM t FOR VERSION AS OF (1",
                                        "FROM t FOR VERSION AS OF -"};
    arena = arena_new(NULL, "test", 0);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct sql_travel travel;
        struct errinfo info;
        CHECK_ERR(ERR_SYNTAX, sql_travel_rewrite(slice_of(texts[i]), arena, &travel, &info));
        CHECK(info.position > 0);
    }
    arena_free(arena);
}

TEST(travel, survives_every_failed_allocation)
{
    SWEEP_ALLOC(fault)
    {
        struct arena *request CLEANUP(arena_cleanup) = arena_new(NULL, "request", 0);
        struct sql_travel travel = {.edit_count = 7};
        enum err err = request == NULL ? ERR_NOMEM
                                       : sql_travel_rewrite(SLICE("t@x FOR VERSION AS OF 1"),
                                                            request, &travel, NULL);
        CHECK(err == ERR_OK ? travel.edit_count == 8 : err == ERR_NOMEM && travel.edit_count == 7);
    }
}

TEST(travel, schemas_before_types_and_operators_are_left_out)
{
    arena = arena_new(NULL, "test", 0);
    check_becomes("SELECT a::pg_catalog.text, 'x'::pg_catalog.\"char\"[]",
                  "SELECT a::text, 'x'::\"char\"[]");
    check_becomes("CAST(a AS PG_CATALOG . name)", "CAST(a AS  name)");
    check_becomes("CAST(a AS \"pg_catalog\".name)", "CAST(a AS name)");
    check_becomes("a OPERATOR(pg_catalog.~) '^b$' COLLATE pg_catalog.default",
                  "a OPERATOR(~) '^b$' COLLATE pg_catalog.default");
    check_becomes("a operator ( pg_catalog.!~* ) b", "a operator ( !~* ) b");
    /* Nothing else is touched. */
    static const char *const kept[] = {
        "SELECT pg_catalog.lower(a) AS pg_catalog FROM pg_catalog.pg_class AS pg_catalog",
        "SELECT 'x::pg_catalog.text', \"a::pg_catalog.b\", $$OPERATOR(pg_catalog.~)$$",
        "SELECT a -- ::pg_catalog.text\n, b /* AS pg_catalog.text */",
        "SELECT a::information_schema.sql_identifier, operator(a.b), a::pg_catalogs.text",
        "WITH pg_catalog AS (SELECT 1) SELECT a AS pg_catalog, pg_catalog.x, operator FROM u",
        "SELECT a :: x.text, b::pg_catalog"};
    for (size_t i = 0; i < ARRAY_COUNT(kept); i++) {
        check_becomes(kept[i], kept[i]);
    }
    struct sql_travel travel = rewritten("SELECT a::pg_catalog.text, b");
    CHECK(sql_travel_position(&travel, 11) == 22); /* text */
    CHECK(sql_travel_position(&travel, 17) == 28); /* b */
    arena_free(arena);
}
