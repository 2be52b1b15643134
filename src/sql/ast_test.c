/* Over the engine's own trees, kept in tests/data/ast: statements.sql and tpch.sql hold the
 * statements, one a line, and the .jsonl beside each holds what the engine makes of the same line
 * (tools/ast_corpus.py). */
#include "sql/ast.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/sweep.h"
#include "base/test.h"
#include "identity/identity.h"
#include "sql/ast_int.h"
#include "sql/functions.h"

struct bench {
    struct arena *arena;
    struct identity *who;
    struct errinfo info;
    struct sql_ast *ast;
    struct slice json;
};

static struct slice read_all(struct arena *arena, const char *path)
{
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    struct buf text CLEANUP(buf_fini) = {0};
    char block[65536];
    size_t got;
    while ((got = fread(block, 1, sizeof(block), file)) > 0) {
        buf_append(&text, block, got);
    }
    (void)fclose(file);
    struct slice copy;
    CHECK(arena_slice(arena, buf_slice(&text), &copy));
    return copy;
}

static bool next_line(struct slice *rest, struct slice *ret_line)
{
    if (rest->len == 0) {
        return false;
    }
    size_t end = slice_find(*rest, SLICE("\n"));
    CHECK(end != SIZE_MAX);
    *ret_line = (struct slice){rest->ptr, end};
    rest->ptr += end + 1;
    rest->len -= end + 1;
    return true;
}

static void bench_init(struct bench *b)
{
    static const struct slice roles[] = {{"analyst", 7}, {"o'role", 6}};
    static const struct identity_attribute attributes[] = {{{"region", 6}, {"EU", 2}}};
    struct identity_spec spec = {.subject = SLICE("alice"),
                                 .provider = SLICE("local"),
                                 .client = SLICE("embedded"),
                                 .roles = roles,
                                 .role_count = 2,
                                 .attributes = attributes,
                                 .attribute_count = 1};
    *b = (struct bench){.arena = arena_new(NULL, "test", 0)};
    errinfo_init(&b->info);
    CHECK_OK(identity_new(&spec, &b->who, &b->info));
}

static void bench_fini(struct bench *b)
{
    identity_unref(b->who);
    arena_free(b->arena);
}

static void find_tree(struct bench *b, const char *statement)
{
    struct slice sql = read_all(b->arena, "tests/data/ast/statements.sql");
    struct slice trees = read_all(b->arena, "tests/data/ast/statements.jsonl");
    struct slice line;
    while (next_line(&sql, &line) && next_line(&trees, &b->json)) {
        if (slice_equal(line, slice_of(statement))) {
            return;
        }
    }
    fail_msg("not in statements.sql: %s", statement);
}

static enum err open_as(struct bench *b, const char *statement, enum sql_origin origin)
{
    find_tree(b, statement);
    errinfo_init(&b->info);
    return sql_ast_open(b->json, slice_of(statement), origin, &sql_limits_default, b->who, b->arena,
                        &b->ast, &b->info);
}

static void open_ok(struct bench *b, const char *statement)
{
    if (open_as(b, statement, SQL_FROM_USER) != ERR_OK) {
        fail_msg("%s: %s", statement, b->info.message);
    }
}

static const char *written(struct bench *b)
{
    struct buf text CLEANUP(buf_fini) = {0};
    json_write(&text, b->ast->root);
    char *copy = arena_strdup(b->arena, buf_cstr(&text));
    CHECK(copy != NULL);
    return copy;
}

/* SELECT <column> over nothing: what a secured relation looks like from outside. */
static struct json *some_query(struct bench *b, const char *column)
{
    char *text = arena_printf(
        b->arena,
        "{\"type\":\"SELECT_NODE\",\"modifiers\":[],\"cte_map\":{\"map\":[]},\"select_list\":[{"
        "\"class\":\"COLUMN_REF\",\"type\":\"COLUMN_REF\",\"alias\":\"%s\",\"query_location\":0,"
        "\"column_names\":[\"__moat_c1\"]}],\"from_table\":{\"type\":\"EMPTY\",\"alias\":\"\","
        "\"sample\":null,\"query_location\":0},\"where_clause\":null,\"group_expressions\":[],"
        "\"group_sets\":[],\"aggregate_handling\":\"STANDARD_HANDLING\",\"having\":null,"
        "\"sample\":null,\"qualify\":null}",
        column);
    struct json *query;
    CHECK_OK(json_parse(b->arena, slice_of(text), NULL, &query, &b->info));
    return query;
}

static void graft_all(struct bench *b, const char *column)
{
    for (size_t i = 0; i < b->ast->reference_count; i++) {
        CHECK_OK(sql_ast_graft(b->ast, i, some_query(b, column), &b->info));
    }
    CHECK_OK(sql_ast_finish(b->ast, &b->info));
}

TEST(ast, refuses_what_is_not_allowed)
{
    // Goal: file, meta, state, catalog and Moat's own names never pass.  Method: one by one.
    static const struct {
        const char *statement;
        const char *state;
        const char *part;
    } cases[] = {
        {"select read_text('x')", "42501", "\"read_text\""},
        {"select * from read_text('x')", "42501", "\"read_text\""},
        {"select * from glob('*')", "42501", "\"glob\""},
        {"select * from query('select 1')", "42501", "\"query\""},
        {"select * from query_table('t')", "42501", "\"query_table\""},
        {"select * from json_execute_serialized_sql('x')", "42501", "json_execute"},
        {"select getvariable('x'), 1", "42501", "\"getvariable\""},
        {"select current_setting('x')", "0A000", "\"current_setting\""},
        {"select nextval('s')", "42501", "\"nextval\""},
        {"select stats(a) from t", "42501", "\"stats\""},
        {"select finalize(x) from t", "42501", "\"finalize\""},
        {"select * from duckdb_tables()", "42501", "\"duckdb_tables\""},
        {"select * from histogram_values('t', 'a')", "42501", "\"histogram_values\""},
        {"select sum(a) export_state from t", "0A000", "export_state"},
        {"select __moat_hash(a) from t", "42501", "reserved"},
        {"select a as __moat_c1 from t", "42501", "reserved"},
        {"select \"__MOAT_c1\" from t", "42501", "reserved"},
        {"with __moat_x as (select 1) select * from __moat_x", "42501", "reserved"},
        {"select a::geometry from t", "0A000", "GEOMETRY"},
        {"select * from (show tables)", "0A000", "SHOW"},
        {"select * from repeat(1, 3), repeat_row(1, 2, num_rows=3)", "0A000", "\"repeat\""},
        {"select * from t, read_parquet(t.path)", "0A000", "constant path"},
        {"select row_number() from t", "0A000", "\"row_number\""},
        {"select range(1) over () from t", "0A000", "OVER"},
        {"select format('{:>99999999}', a)", "0A000", "pattern"},
        {"select printf('%*d', 100, 1)", "0A000", "pattern"},
        {"select format(a, b) from t", "0A000", "pattern"},
        {"select list_aggregate(a, b) from t", "0A000", "aggregate"},
        {"select default", "0A000", "DEFAULT"},
        {"select 1; select 2", "42601", "one statement"},
        {"select from from", "42601", "syntax error"},
        {"insert into t values (1)", "0A000", "SELECT"},
        {"select lwoer('x')", "42883", "\"lwoer\""},
    };
    struct bench b;
    bench_init(&b);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CHECK(open_as(&b, cases[i].statement, SQL_FROM_USER) != ERR_OK);
        CHECK_STR(cases[i].state, b.info.sqlstate);
        CHECK(strstr(b.info.message, cases[i].part) != NULL);
    }
    CHECK_STR("Did you mean \"lower\"?", b.info.hint);
    CHECK(b.info.position == 8);
    bench_fini(&b);
}

TEST(ast, finds_references_by_the_engines_rules_of_scope)
{
    // Goal: exactly the names that are no CTE in scope are references, in any nesting.
    static const struct {
        const char *statement;
        const char *names;
    } cases[] = {
        {"with t as (select * from t) select * from t", "t"},
        {"with t as (select * from t), u as (with t as (select 1) select * from t) select * from "
         "u, t",
         "t"},
        {"with a as (select * from b), b as (select * from a) select * from a, b", "b"},
        {"with a as (select 1) (with a as (select 2) select * from a) union all select * from a",
         ""},
        {"select * from t where a in (with c as (select 1) select * from c) and b in (select * "
         "from c)",
         "t c"},
        {"with c as (select 1) select * from main.c", "c"},
        {"with t as (select 1) select * from c.main.t", "t"},
        {"with recursive r as (select * from r) select * from r", "r"},
        {"with recursive r as (select 1 as x union all select x + 1 from R where x < 5) select * "
         "from r",
         ""},
        {"with recursive r as (select 1 from r union all select 2) select * from r", "r"},
        {"with recursive r(a,b) using key (a) as (select 1,2 union select a,b+1 from recurring.r "
         "where "
         "b<3) select * from r",
         ""},
        {"select * from recurring.r", "r"},
        {"with r as (select 1) select * from recurring.r", "r"},
        {"select (select * from t where x = 1), (with t as (select 1) select * from t)", "t"},
        {"select * from t, lateral (select t.a + u.b from u where u.k = t.k) l", "t u"},
        {"select * from a, (select * from b, (select * from c where c.x = a.x)) z", "a b c"},
        {"summarize t", "t"},
        {"unpivot t on jan, feb into name month value sales", "t"},
        {"select * from t limit (select max(a) from u)", "u t"},
        {"select exists(from t), array(select a from t), not exists (select 1)", "t t"},
    };
    struct bench b;
    bench_init(&b);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        open_ok(&b, cases[i].statement);
        struct buf names CLEANUP(buf_fini) = {0};
        for (size_t r = 0; r < b.ast->reference_count; r++) {
            buf_append_str(&names, r == 0 ? "" : " ");
            buf_append_slice(&names, b.ast->references[r].name.name);
        }
        CHECK_STR(cases[i].names, buf_cstr(&names));
        if (b.ast->reference_count > 0) {
            CHECK_ERR(ERR_INTERNAL, sql_ast_finish(b.ast, &b.info));
        }
        graft_all(&b, "a");
    }
    bench_fini(&b);
}

TEST(ast, classes_what_may_tell_of_hidden_rows)
{
    // Goal: the barrier rule gets the class that the engine's source justifies.
    static const struct {
        const char *statement;
        enum leak_class leak;
    } cases[] = {
        {"select lower(a) || upper(b) from t where length(a) > 3 and a like 'x%'", LEAK_NONE},
        {"select 1/a from t", LEAK_GUARDED},
        {"select regexp_extract(a, 'x+') from t", LEAK_NONE},
        {"select regexp_extract(a, b) from t", LEAK_UNSAFE},
        {"select a::uinteger from t", LEAK_UNSAFE},
        {"select a::decimal(15,2) from t", LEAK_UNSAFE},
        {"select a::varchar, try_cast(a as integer) from t", LEAK_NONE},
        {"select a = 1.25 from t", LEAK_NONE},
        {"select a = 1.0000000000000000000000000000000000000 from t", LEAK_UNSAFE},
        {"select a + interval 1 year from t", LEAK_UNSAFE},
        {"select date '1998-12-01' - interval '90' day", LEAK_GUARDED},
        {"select a[1] from t", LEAK_UNSAFE},
        {"select substring(a, b) from t", LEAK_UNSAFE},
        {"select case when a = 1 then substring('x', 99999999999) end from t", LEAK_UNSAFE},
        {"summarize t", LEAK_UNSAFE},
        {"describe t", LEAK_NONE},
        {"select sum(l_extendedprice * (1 - l_discount)) from lineitem", LEAK_GUARDED},
    };
    struct bench b;
    bench_init(&b);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        open_ok(&b, cases[i].statement);
        CHECK(b.ast->leak == cases[i].leak);
    }
    bench_fini(&b);
}

TEST(ast, tpch_needs_no_barrier)
{
    // Goal: none of the 22 queries is worse than guarded; all of them finish once grafted.
    struct bench b;
    bench_init(&b);
    struct slice sql = read_all(b.arena, "tests/data/ast/tpch.sql");
    struct slice trees = read_all(b.arena, "tests/data/ast/tpch.jsonl");
    struct slice line;
    size_t count = 0;
    while (next_line(&sql, &line) && next_line(&trees, &b.json)) {
        CHECK_OK(sql_ast_open(b.json, line, SQL_FROM_USER, &sql_limits_default, b.who, b.arena,
                              &b.ast, &b.info));
        CHECK(b.ast->leak <= LEAK_GUARDED);
        CHECK(b.ast->reference_count > 0);
        graft_all(&b, "a");
        count++;
    }
    CHECK(count == 22);
    bench_fini(&b);
}

TEST(ast, folds_who_asks)
{
    struct bench b;
    bench_init(&b);
    open_ok(&b, "select claim('region'), claim('none'), has_role('analyst'), has_role('boss'), "
                "current_roles(), session_user()");
    const char *text = written(&b);
    CHECK(strstr(text, "\"value\":\"EU\"") != NULL && strstr(text, "\"id\":\"NULL\"") != NULL);
    CHECK(strstr(text, "\"value\":\"t\"") != NULL && strstr(text, "\"value\":\"f\"") != NULL);
    CHECK(strstr(text, "o'role") != NULL && strstr(text, "alice") != NULL);
    CHECK(strstr(text, "has_role\",\"schema") == NULL);
    bench_fini(&b);
}

TEST(ast, user_is_a_column_where_there_is_one)
{
    // Goal: `user` is the person only if no relation in scope has such a column.
    struct bench b;
    bench_init(&b);
    open_ok(&b, "select user from (select 1 as user) x");
    CHECK(strstr(written(&b), "alice") == NULL);
    open_ok(&b, "select user");
    CHECK(strstr(written(&b), "alice") != NULL);
    open_ok(&b, "select user, current_user from t");
    graft_all(&b, "User");
    CHECK(strstr(written(&b), "\"column_names\":[\"user\"]") != NULL);
    open_ok(&b, "select user, current_user from t");
    graft_all(&b, "a");
    CHECK(strstr(written(&b), "\"column_names\":[\"user\"]") == NULL);
    open_ok(&b, "select list_transform([1], lambda user: user + 1)");
    CHECK(strstr(written(&b), "alice") == NULL);
    bench_fini(&b);
}

TEST(ast, graft_renames_qualified_columns_everywhere)
{
    struct bench b;
    bench_init(&b);
    open_ok(&b, "select s.t.a, c.s.t.b, t.c from c.s.t where s.t.a = 3 and exists (select 1 from u "
                "where u.x = s.t.a)");
    graft_all(&b, "a");
    const char *text = written(&b);
    CHECK(strstr(text, "[\"t\",\"a\"]") != NULL && strstr(text, "[\"t\",\"b\"]") != NULL);
    CHECK(strstr(text, "[\"s\",\"t\"") == NULL && strstr(text, "[\"c\",\"s\"") == NULL);
    open_ok(&b, "select s.t.a from s.t, v.t");
    graft_all(&b, "a");
    CHECK(strstr(written(&b), "[\"__moat_t0\",\"a\"]") != NULL);
    open_ok(&b, "select * from 'dir/file.parquet' where file.a = 1");
    graft_all(&b, "a");
    CHECK(strstr(written(&b), "\"alias\":\"file\"") != NULL);
    open_ok(&b, "select s.t.a from s.t where exists (select 1 from v as t where t.x = s.t.a)");
    CHECK_ERR(ERR_UNSUPPORTED, sql_ast_graft(b.ast, 0, some_query(&b, "a"), &b.info));
    bench_fini(&b);
}

TEST(ast, graft_keeps_alias_sample_and_column_names)
{
    struct bench b;
    bench_init(&b);
    open_ok(&b, "select * from t x tablesample 10%");
    graft_all(&b, "a");
    const struct json *from = json_get(b.ast->select, "from_table");
    CHECK_SLICE("SUBQUERY", json_get_text(from, "type"));
    CHECK_SLICE("x", json_get_text(from, "alias"));
    CHECK(json_get(from, "sample")->type == JSON_OBJECT);
    open_ok(&b, "select * from t as x(a, b, c)");
    graft_all(&b, "a");
    CHECK(json_get(json_get(b.ast->select, "from_table"), "column_name_alias")->count == 3);
    CHECK_ERR(ERR_INTERNAL, sql_ast_graft(b.ast, 0, some_query(&b, "a"), &b.info));
    bench_fini(&b);
}

TEST(ast, finish_trusts_nothing)
{
    // Goal: a table, a refused function or a foreign reader in what was grafted is found.
    struct bench b;
    bench_init(&b);
    open_ok(&b, "from t");
    struct sql_ast *outer = b.ast;
    open_ok(&b, "select * from t where x = current_user");
    CHECK_OK(sql_ast_graft(outer, 0, b.ast->select, &b.info));
    CHECK_ERR(ERR_INTERNAL, sql_ast_finish(outer, &b.info));
    open_ok(&b, "from t");
    outer = b.ast;
    open_ok(&b, "select * from read_csv('a.csv', header := true, delim := ';', skip := 2)");
    CHECK_OK(sql_ast_graft(outer, 0, b.ast->select, &b.info));
    CHECK_ERR(ERR_INTERNAL, sql_ast_finish(outer, &b.info));
    bench_fini(&b);
}

TEST(ast, readers_give_their_path_and_options)
{
    struct bench b;
    bench_init(&b);
    open_ok(&b, "select * from read_csv('a.csv', header := true, delim := ';', skip := 2)");
    const struct sql_reference *reference = &b.ast->references[0];
    CHECK(reference->is_function && reference->option_count == 3);
    CHECK_SLICE("a.csv", reference->path);
    CHECK_SLICE("true", reference->options[0].value);
    CHECK_SLICE("';'", reference->options[1].value);
    CHECK_SLICE("2", reference->options[2].value);
    bench_fini(&b);
}

TEST(ast, conjuncts_only_where_a_copy_changes_nothing)
{
    static const struct {
        const char *statement;
        size_t first, last; /* counts of the first and the last reference */
    } cases[] = {
        {"select * from t where a = 1 and b > 'x' and 3 <= c and d between date '2020-01-01' and "
         "date "
         "'2020-02-01' and e in (1, 2) and f = g and lower(h) = 'x' and t.i = true and u.j = 2",
         6, 6},
        {"select * from t left join u on t.a = u.a where t.b = 1 and c = 2", 2, 1},
        {"select * from t asof join u on t.k = u.k and t.ts >= u.ts where u.a = 1", 0, 0},
        {"select * from t anti join u on t.k = u.k where a = 1", 0, 0},
        {"select * from t tablesample 10% where a = 1", 0, 0},
        {"select * from t as x(p, q) where p = 1", 0, 0},
        {"select * from (select * from t) x where a = 1", 0, 0},
    };
    struct bench b;
    bench_init(&b);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        open_ok(&b, cases[i].statement);
        CHECK(b.ast->references[0].conjunct_count == cases[i].first);
        CHECK(b.ast->references[b.ast->reference_count - 1].conjunct_count == cases[i].last);
    }
    open_ok(&b, "select * from t left join u on t.a = u.a where t.b = 1 and c = 2");
    struct json *query = some_query(&b, "a");
    const struct sql_reference *t = &b.ast->references[0];
    CHECK_OK(sql_ast_push_conjunct(b.ast, query, &t->conjuncts[0], SLICE("src"), &b.info));
    CHECK_OK(sql_ast_push_conjunct(b.ast, query, &t->conjuncts[1], SLICE("src2"), &b.info));
    CHECK_SLICE("CONJUNCTION_AND", json_get_text(json_get(query, "where_clause"), "type"));
    CHECK(strstr(written(&b), "src") == NULL); /* the original stays */
    bench_fini(&b);
}

TEST(ast, growth_is_capped)
{
    struct bench b;
    bench_init(&b);
    open_ok(&b, "select range(5), range(1000000000), range(a, b), range(1, a, 2), repeat('x', a), "
                "repeat('xy', 100000000), lpad(a, 5, 'x'), list_resize(l, n) from t");
    const char *text = written(&b);
    size_t capped = 0;
    for (const char *at = text; (at = strstr(at, "__moat_cap")) != NULL; at++) {
        capped++;
    }
    CHECK(capped == 6); /* all but range(5) and lpad(a, 5) */
    bench_fini(&b);
}

TEST(ast, limits_hold)
{
    struct bench b;
    bench_init(&b);
    find_tree(&b,
              "select a is null, a is not null, a is distinct from b, a is not distinct from b, "
              "not a, a and b or c, a between 1 and 2, a not between 1 and 2, -a, +a, ~a, a || b, "
              "a % b, a ** b, a ^ b, a // b, a / b, a << 1, a >> 1, a & 1, a | 1, a <> b, a != b, "
              "a == b from t");
    struct sql_limits limits = sql_limits_default;
    limits.nodes_max = 40;
    CHECK_ERR(ERR_LIMIT, sql_ast_open(b.json, SLICE("x"), SQL_FROM_USER, &limits, b.who, b.arena,
                                      &b.ast, &b.info));
    limits = sql_limits_default;
    limits.list_max = 10;
    CHECK_ERR(ERR_LIMIT, sql_ast_open(b.json, SLICE("x"), SQL_FROM_USER, &limits, b.who, b.arena,
                                      &b.ast, &b.info));
    limits = sql_limits_default;
    limits.depth_max = 3;
    CHECK_ERR(ERR_LIMIT, sql_ast_open(b.json, SLICE("x"), SQL_FROM_USER, &limits, b.who, b.arena,
                                      &b.ast, &b.info));
    CHECK_STR("54001", b.info.sqlstate);
    bench_fini(&b);
}

/* Every member of every object, one at a time: renamed or doubled. */
static size_t spoil(struct bench *b, struct json *root, struct json *node, unsigned how)
{
    size_t spoilt = 0;
    for (struct json *child = node->first; child != NULL; child = child->next) {
        if (node->type == JSON_OBJECT && !slice_equal(child->key, SLICE("value"))) {
            struct slice key = child->key;
            struct json extra = {.type = JSON_NULL, .key = key, .next = child->next};
            child->key = how == 0 ? SLICE("unknown") : key;
            child->next = how == 1 ? &extra : child->next;
            struct buf text CLEANUP(buf_fini) = {0};
            json_write(&text, root);
            child->key = key;
            child->next = extra.next;
            struct arena *arena = arena_new(NULL, "spoilt", 0);
            struct sql_ast *ast;
            CHECK(sql_ast_open(buf_slice(&text), SLICE("x"), SQL_FROM_USER, &sql_limits_default,
                               b->who, arena, &ast, &b->info) != ERR_OK);
            arena_free(arena);
            spoilt++;
        }
        spoilt += spoil(b, root, child, how);
    }
    return spoilt;
}

TEST(ast, unknown_or_doubled_members_are_refused)
{
    struct bench b;
    bench_init(&b);
    find_tree(&b,
              "with recursive r(n) as (select 1 union all select n+1 from r where n < 10) select * "
              "from r");
    struct json *root;
    CHECK_OK(json_parse(b.arena, b.json, NULL, &root, &b.info));
    CHECK(spoil(&b, root, root, 0) > 100);
    CHECK(spoil(&b, root, root, 1) > 100);
    bench_fini(&b);
}

TEST(ast, every_failed_allocation_is_a_clean_error)
{
    struct bench b;
    bench_init(&b);
    const char *statement = "select user, current_user from t";
    find_tree(&b, statement);
    struct json *query = some_query(&b, "a");
    SWEEP_ALLOC(fault)
    {
        struct arena *arena = arena_new(NULL, "swept", 0);
        struct sql_ast *ast;
        enum err err = arena == NULL
                           ? ERR_NOMEM
                           : sql_ast_open(b.json, slice_of(statement), SQL_FROM_USER,
                                          &sql_limits_default, b.who, arena, &ast, &b.info);
        err = err != ERR_OK ? err : sql_ast_graft(ast, 0, query, &b.info);
        err = err != ERR_OK ? err : sql_ast_finish(ast, &b.info);
        CHECK(err == ERR_OK || err == ERR_NOMEM);
        arena_free(arena);
    }
    fault_disarm(); /* the sweep's last look arms again */
    bench_fini(&b);
}

TEST(ast, locate_finds_the_users_own_text)
{
    struct bench b;
    bench_init(&b);
    open_ok(&b, "select sum(l_extendedprice * (1 - l_discount)) from lineitem");
    graft_all(&b, "l_discount");
    CHECK(sql_ast_locate(b.ast, SLICE("L_DISCOUNT")) == 35);
    CHECK(sql_ast_locate(b.ast, SLICE("sum")) == 8);
    CHECK(sql_ast_locate(b.ast, SLICE("nothing")) == 0);
    bench_fini(&b);
}

TEST(functions, list_is_sorted_and_found)
{
    const struct sql_function *before = NULL;
    const struct sql_function *function;
    size_t count = 0;
    for (; (function = sql_function_at(count)) != NULL; count++, before = function) {
        CHECK(before == NULL || strcmp(before->name, function->name) < 0);
        CHECK(sql_function_find(slice_of(function->name)) == function);
        CHECK((function->class == FUNCTION_REFUSED) == (function->reason != NULL));
    }
    CHECK(count > 900);
    CHECK(sql_function_find(SLICE("LOWER")) == sql_function_find(SLICE("lower")));
    CHECK(sql_function_find(SLICE("no_such")) == NULL);
    CHECK_STR("lower", sql_function_suggest(SLICE("lwoer")));
    CHECK(sql_function_suggest(SLICE("read_texx")) == NULL);
}

TEST(ast, policy_expressions_bind_to_column_ids)
{
    static const struct relation_column columns[] = {{.id = 7, .name = {"region", 6}},
                                                     {.id = 9, .name = {"owner", 5}},
                                                     {.id = 3, .name = {"a", 1}}};
    struct relation relation = {
        .name = {.name = SLICE("t")}, .columns = columns, .column_count = ARRAY_COUNT(columns)};
    static const char *const refused[] = {"select sum(a)",
                                          "select (select 1)",
                                          "select a, b",
                                          "select a from t",
                                          "select *",
                                          "select $1",
                                          "select row_number() over ()",
                                          "select unnest([1])",
                                          "select nope",
                                          "select a as x",
                                          "select t.a || t2.b"};
    struct bench b;
    bench_init(&b);
    struct json *document;
    uint32_t *ids;
    size_t count;
    find_tree(&b,
              "select region = claim('region') and has_role('analyst') and owner = current_user");
    CHECK_OK(sql_expression_bind(b.json, SLICE("region = ..."), &relation, NULL,
                                 &sql_limits_default, b.arena, &document, &ids, &count, &b.info));
    CHECK(count == 2 && ids[0] == 7 && ids[1] == 9);
    struct buf text CLEANUP(buf_fini) = {0};
    json_write(&text, document);
    CHECK(strstr(buf_cstr(&text), "[\"__moat_c7\"]") != NULL);
    CHECK(strstr(buf_cstr(&text), "\"function_name\":\"has_role\"") != NULL);
    CHECK(strstr(buf_cstr(&text), "\"function_name\":\"current_user\"") != NULL);
    find_tree(&b, "select __moat_redact(a, 4)");
    CHECK_OK(sql_expression_bind(b.json, SLICE("x"), &relation, NULL, &sql_limits_default, b.arena,
                                 &document, &ids, &count, &b.info));
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
        find_tree(&b, refused[i]);
        CHECK(sql_expression_bind(b.json, slice_of(refused[i] + 7), &relation, NULL,
                                  &sql_limits_default, b.arena, &document, &ids, &count,
                                  &b.info) != ERR_OK);
    }
    CHECK_SLICE("(a = 1)", sql_expression_of_select(SLICE("SELECT (a = 1);")));
    bench_fini(&b);
}

static const struct relation *find_map(void *context, struct slice uuid)
{
    return slice_equal(uuid, SLICE("u-1")) ? context : NULL;
}

/* Goal: what people read of a policy's subquery says the same, whatever was renamed since; what
 * the engine gets has no table of anybody's. Method: stored texts, a table with other names. */
TEST(ast, stored_subqueries_are_shown_with_present_names)
{
    static const struct relation_column columns[] = {
        {.id = 7, .name = {"region", 6}, .type = {"VARCHAR", 7}},
        {.id = 9, .name = {"select", 6}, .type = {"BIGINT", 6}}};
    static const struct relation_column own[] = {{.id = 3, .name = {"Area", 4}}};
    struct relation map = {.name = {.schema = SLICE("s"), .name = SLICE("codes")},
                           .columns = columns,
                           .column_count = ARRAY_COUNT(columns)};
    struct relation relation = {.name = {.name = SLICE("t")}, .columns = own, .column_count = 1};
    const struct sql_namer namer = {find_map, &map};
    static const struct {
        const char *stored, *shown;
    } cases[] = {
        {"(__moat_c3 = ANY(SELECT m.\"__moat_du-1_7\" FROM __moat_definer.ann.\"u-1\" AS m "
         "WHERE (m.\"__moat_du-1_9\" = __moat_c3))) AND (__moat_c3 > 'a')",
         "(\"Area\" = ANY(SELECT m.region FROM s.codes AS m WHERE (m.\"select\" = t.\"Area\"))) "
         "AND "
         "(\"Area\" > 'a')"},
        {"EXISTS(SELECT 1 FROM __moat_definer.\"a.b\".\"u-1\" AS codes)",
         "EXISTS(SELECT 1 FROM s.codes)"},
        {"EXISTS(SELECT x.\"__moat_du-2_7\" FROM __moat_definer.ann.\"u-2\" AS x)",
         "EXISTS(SELECT x.? FROM ? AS x)"},
        {"EXISTS(SELECT m.\"__moat_du-1_8\" FROM __moat_definer.ann.\"u-1\" AS m)",
         "EXISTS(SELECT m.? FROM s.codes AS m)"},
    };
    SWEEP_ALLOC(fault)
    {
        struct arena *arena = arena_new(NULL, "test", 0);
        struct errinfo info;
        struct slice text;
        for (size_t i = 0; arena != NULL && i < ARRAY_COUNT(cases); i++) {
            enum err err = sql_expression_display(slice_of(cases[i].stored), &relation, &namer,
                                                  arena, &text, &info);
            CHECK(err == ERR_OK || err == ERR_NOMEM);
            if (err == ERR_OK) {
                CHECK_SLICE(cases[i].shown, text);
            }
        }
        enum err err = arena == NULL ? ERR_NOMEM
                                     : sql_expression_shape(slice_of(cases[0].stored), &namer,
                                                            arena, &text, &info);
        CHECK(err == ERR_OK || err == ERR_NOMEM);
        if (err == ERR_OK) {
            CHECK(slice_find(text, SLICE("FROM (SELECT CAST(NULL AS VARCHAR) AS \"__moat_du-1_7\", "
                                         "CAST(NULL AS BIGINT) AS \"__moat_du-1_9\") AS m")) !=
                  SIZE_MAX);
            CHECK(!sql_expression_reads_tables(text));
        }
        arena_free(arena);
    }
    struct arena *arena = arena_new(NULL, "test", 0);
    struct slice text;
    CHECK_ERR(ERR_NOT_FOUND,
              sql_expression_shape(slice_of(cases[2].stored), &namer, arena, &text, NULL));
    CHECK_ERR(ERR_CORRUPT, sql_expression_display(SLICE("SELECT 1 FROM __moat_definer.x"),
                                                  &relation, &namer, arena, &text, NULL));
    arena_free(arena);
}
