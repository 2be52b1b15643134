/* Every form of statement.h, what is wrong with each and where, and what is kept of it. */
#include "sql/statement.h"

#include "base/buf.h"
#include "base/sweep.h"
#include "base/test.h"

static struct arena *arena;

static struct statement parsed(const char *text)
{
    struct statement statement = {0};
    struct errinfo info;
    errinfo_init(&info);
    arena_free(arena);
    arena = arena_new(NULL, "test", 0);
    if (statement_parse(slice_of(text), arena, &statement, &info) != ERR_OK) {
        fail_msg("%s: %s", text, info.message);
    }
    return statement;
}

static void release(void)
{
    arena_free(arena);
    arena = NULL;
}

TEST(statement, the_first_word_gives_kind_and_tag)
{
    static const struct {
        const char *text;
        enum statement_kind kind;
        const char *tag;
    } cases[] = {
        {"select 1", STATEMENT_QUERY, "SELECT"},
        {"WITH x AS (SELECT 1) FROM x", STATEMENT_QUERY, "SELECT"},
        {"values (1)", STATEMENT_QUERY, "SELECT"},
        {"from t", STATEMENT_QUERY, "SELECT"},
        {"table t", STATEMENT_QUERY, "SELECT"},
        {"pivot t on a", STATEMENT_QUERY, "SELECT"},
        {"unpivot t on a", STATEMENT_QUERY, "SELECT"},
        {"summarize t", STATEMENT_QUERY, "SELECT"},
        {"(select 1)", STATEMENT_QUERY, "SELECT"},
        {"explain select 1", STATEMENT_EXPLAIN, "EXPLAIN"},
        {"describe t", STATEMENT_DESCRIBE, "DESCRIBE"},
        {"create external table t location 'x'", STATEMENT_CREATE_TABLE, "CREATE TABLE"},
        {"create view v as select 1", STATEMENT_CREATE_VIEW, "CREATE VIEW"},
        {"create schema s", STATEMENT_CREATE_SCHEMA, "CREATE SCHEMA"},
        {"create schema lake.\"a.b\" with (owner = 'x')", STATEMENT_CREATE_SCHEMA, "CREATE SCHEMA"},
        {"alter schema lake.s set (owner = 'x')", STATEMENT_ALTER_SCHEMA, "ALTER SCHEMA"},
        {"alter schema lake.s unset (owner)", STATEMENT_ALTER_SCHEMA, "ALTER SCHEMA"},
        {"attach 'x' as lake (type hadoop)", STATEMENT_ATTACH, "ATTACH"},
        {"detach database if exists lake", STATEMENT_DETACH, "DETACH"},
        {"create user u", STATEMENT_CREATE_PRINCIPAL, "CREATE USER"},
        {"create role r", STATEMENT_CREATE_PRINCIPAL, "CREATE ROLE"},
        {"drop external table t", STATEMENT_DROP, "DROP TABLE"},
        {"drop view if exists v", STATEMENT_DROP, "DROP VIEW"},
        {"drop schema s cascade", STATEMENT_DROP, "DROP SCHEMA"},
        {"drop user u", STATEMENT_DROP, "DROP USER"},
        {"drop role r", STATEMENT_DROP, "DROP ROLE"},
        {"alter table t refresh", STATEMENT_ALTER_TABLE, "ALTER TABLE"},
        {"alter user u password 'x'", STATEMENT_ALTER_USER, "ALTER USER"},
        {"alter user u set (memory = '1GiB', rate = 60)", STATEMENT_ALTER_LIMITS, "ALTER USER"},
        {"alter user u unset (memory)", STATEMENT_ALTER_LIMITS, "ALTER USER"},
        {"alter role r set (concurrent_max = 4)", STATEMENT_ALTER_LIMITS, "ALTER ROLE"},
        {"show limits", STATEMENT_SHOW, "SHOW"},
        {"grant select on t to u", STATEMENT_GRANT, "GRANT"},
        {"deny select on t to u", STATEMENT_GRANT, "DENY"},
        {"revoke select on t from u", STATEMENT_REVOKE, "REVOKE"},
        {"grant r to u", STATEMENT_GRANT_ROLE, "GRANT ROLE"},
        {"revoke role r from u", STATEMENT_GRANT_ROLE, "REVOKE ROLE"},
        {"create api key k", STATEMENT_CREATE_API_KEY, "CREATE API KEY"},
        {"revoke api key k", STATEMENT_REVOKE_API_KEY, "REVOKE API KEY"},
        {"revoke api from u", STATEMENT_GRANT_ROLE, "REVOKE ROLE"},
        {"show api keys", STATEMENT_SHOW, "SHOW"},
        {"show tables", STATEMENT_SHOW, "SHOW"},
        {"check access on t", STATEMENT_CHECK_ACCESS, "CHECK ACCESS"},
        {"set a = 1", STATEMENT_SET, "SET"},
        {"reset all", STATEMENT_SET, "RESET"},
        {"use s", STATEMENT_USE, "USE"},
        {"prepare p as select 1", STATEMENT_PREPARE, "PREPARE"},
        {"execute p", STATEMENT_EXECUTE, "EXECUTE"},
        {"deallocate p", STATEMENT_DEALLOCATE, "DEALLOCATE"},
        {"copy (select 1) to 'x'", STATEMENT_COPY, "COPY"},
        {"copy s.t (a, b) from stdin with (format csv, header)", STATEMENT_COPY_IN, "COPY"},
        {"copy t from stdin with csv header delimiter ';'", STATEMENT_COPY_IN, "COPY"},
        {"copy t from 'x'", STATEMENT_REFUSED, "COPY"},
        {"begin transaction", STATEMENT_TRANSACTION, "BEGIN"},
        {"rollback", STATEMENT_TRANSACTION, "ROLLBACK"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct statement s = parsed(cases[i].text);
        CHECK(s.kind == cases[i].kind);
        CHECK_STR(cases[i].tag, s.tag);
        CHECK(slice_equal(s.text, slice_of(cases[i].text)));
    }
    release();
}

TEST(statement, what_the_engine_could_do_and_moat_never_does_is_refused_by_name)
{
    static const char *const texts[] = {
        "install x from y",
        "install httpfs",
        "load httpfs",
        "pragma version",
        "call f()",
        "export database 'x'",
        "import database 'x'",
        "vacuum",
        "checkpoint",
        "create temp view t as select 1",
        "create secret s (type s3)",
        "create macro m() as 1",
        "create or replace function f() as 1",
        "create sequence s",
        "alter database d set a = 1",
        "copy t from 'x'",
        "force checkpoint",
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct statement s = parsed(texts[i]);
        CHECK(s.kind == STATEMENT_REFUSED && s.refused_word != NULL && s.tag != NULL);
    }
    CHECK_STR("INSTALL", parsed("install 'x'").refused_word);
    release();
}

TEST(statement, queries_stay_slices_of_the_text)
{
    struct statement s = parsed("explain analyze (physical) select 1 -- c");
    CHECK(s.is_analyze && s.is_physical);
    CHECK_SLICE("select 1", s.query);
    CHECK(s.query.ptr == s.text.ptr + 27);
    s = parsed("explain (select 1)");
    CHECK(!s.is_analyze && !s.is_physical);
    CHECK_SLICE("(select 1)", s.query);
    CHECK_SLICE("select 1", parsed("explain (analyze) select 1").query);
    CHECK_SLICE("table t", parsed("describe table t").query);
    CHECK_SLICE("select ?", parsed("prepare p as select ?").query);
    CHECK_SLICE("select 1", parsed("create view v as select 1").query);
    release();
}

TEST(statement, create_external_table)
{
    struct statement s =
        parsed("create or replace external table if not exists c.\"S\".t stored as csv "
               "options (header = true, delim '|', skip -1, null null) location 'a''b'");
    CHECK(s.or_replace && s.if_not_exists && s.format_given && s.format == FORMAT_CSV);
    CHECK_SLICE("c", s.name.catalog);
    CHECK_SLICE("S", s.name.schema);
    CHECK_SLICE("t", s.name.name);
    CHECK_SLICE("a'b", s.location);
    CHECK(s.option_count == 4);
    CHECK_SLICE("header", s.options[0].name);
    CHECK_SLICE("true", s.options[0].value);
    CHECK_SLICE("'|'", s.options[1].value);
    CHECK_SLICE("-1", s.options[2].value);
    CHECK_SLICE("null", s.options[3].value);
    s = parsed("create external table t location $$x$$");
    CHECK(!s.format_given && !s.if_not_exists && s.option_count == 0);
    CHECK_SLICE("x", s.location);
    release();
}

TEST(statement, views_schemas_and_drops)
{
    struct statement s = parsed("create or replace view a.v security definer as select 1");
    CHECK(s.or_replace && s.is_definer);
    CHECK(!parsed("create view v security invoker as select 1").is_definer);
    s = parsed("drop table if exists a.b cascade");
    CHECK(s.if_exists && s.cascade && s.object_kind == OBJECT_TABLE);
    CHECK_SLICE("a", s.name.schema);
    CHECK(!parsed("drop schema s restrict").cascade);
    CHECK(parsed("drop table a.b purge").is_purge && !parsed("drop table a.b").is_purge);
    s = parsed("alter table t rename column \"a b\" to c");
    CHECK(s.alter == ALTER_RENAME_COLUMN);
    CHECK_SLICE("a b", s.column);
    CHECK_SLICE("c", s.new_name);
    s = parsed("alter view v rename to w");
    CHECK(s.alter == ALTER_RENAME);
    CHECK_SLICE("w", s.new_name);
    CHECK(parsed("alter external table t refresh").alter == ALTER_REFRESH);
    release();
}

TEST(statement, users)
{
    struct statement s = parsed("create user if not exists \"B b\" with password E'it\\'s'");
    CHECK(s.if_not_exists && s.password_given && s.object_kind == OBJECT_USER);
    CHECK_SLICE("B b", s.name.name);
    CHECK_SLICE("it's", s.password);
    CHECK(!parsed("create user u").password_given);
    s = parsed("alter user u set attribute region = 'EU'");
    CHECK(s.set_attribute);
    CHECK_SLICE("region", s.attribute);
    CHECK_SLICE("EU", s.attribute_value);
    s = parsed("alter user u unset attribute region");
    CHECK(!s.set_attribute);
    CHECK_SLICE("region", s.attribute);
    release();
}

TEST(statement, grants)
{
    struct statement s = parsed(
        "grant select (a, \"b c\") on table lake.sales.orders to role analyst rows where region in "
        "('a', (select max(x) from t)) masked with (email = sha256(email, 'x,y'), card=-1)");
    const struct statement_grant *g = &s.grant;
    CHECK(!g->is_deny && g->privileges == 1 && g->column_count == 2 &&
          g->object_kind == OBJECT_TABLE);
    CHECK_SLICE("b c", g->columns[1]);
    CHECK_SLICE("sales", g->object.schema);
    CHECK(g->grantee_kind_given && g->grantee_is_role);
    CHECK_SLICE("analyst", g->grantee);
    CHECK_SLICE("region in ('a', (select max(x) from t))", g->rows);
    CHECK(g->mask_count == 2);
    CHECK_SLICE("email", g->masks[0].column);
    CHECK_SLICE("sha256(email, 'x,y')", g->masks[0].expression);
    CHECK_SLICE("-1", g->masks[1].expression);
    s = parsed("grant all on t to u masked with (a = 1) rows where b");
    CHECK(s.grant.privileges == 31 && !s.grant.grantee_kind_given && s.grant.mask_count == 1);
    CHECK_SLICE("b", s.grant.rows);
    CHECK(parsed("grant all privileges on schema s to user u").grant.privileges == 31);
    s = parsed("grant select (a), modify on t to u rows where b");
    CHECK(s.grant.privileges == 29 && s.grant.column_count == 1);
    CHECK(parsed("deny insert, delete on table t to u").grant.privileges == 20);
    CHECK(parsed("revoke update on t from u").grant.privileges == 8);
    CHECK(parsed("grant create on schema s to role r").grant.object_kind == OBJECT_SCHEMA);
    s = parsed("deny select (a) on v to u rows where x = 1");
    CHECK(s.grant.is_deny && s.grant.column_count == 1);
    CHECK_SLICE("x = 1", s.grant.rows);
    s = parsed("revoke deny select on t from user u");
    CHECK(s.grant.is_deny && s.grant.grantee_kind_given && !s.grant.grantee_is_role);
    s = parsed("grant role a to role b");
    CHECK(!s.is_revoke && s.grant.grantee_is_role);
    CHECK_SLICE("a", s.role);
    CHECK(parsed("revoke a from b").is_revoke);
    release();
}

TEST(statement, show_check_and_describe)
{
    static const struct {
        const char *text;
        enum show_kind show;
        const char *name;
    } cases[] = {
        {"show tables", SHOW_TABLES, NULL},
        {"show tables in s like 'a%'", SHOW_TABLES, "s"},
        {"show tables from s", SHOW_TABLES, "s"},
        {"show schemas", SHOW_SCHEMAS, NULL},
        {"show catalogs", SHOW_CATALOGS, NULL},
        {"show columns in t", SHOW_COLUMNS, "t"},
        {"show views", SHOW_VIEWS, NULL},
        {"show users", SHOW_USERS, NULL},
        {"show roles like 'x'", SHOW_ROLES, NULL},
        {"show grants", SHOW_GRANTS, NULL},
        {"show grants on table t", SHOW_GRANTS, "t"},
        {"show effective policy on t", SHOW_EFFECTIVE_POLICY, "t"},
        {"show functions", SHOW_FUNCTIONS, NULL},
        {"show create view v", SHOW_CREATE, "v"},
        {"show all", SHOW_ALL_SETTINGS, NULL},
        {"show query.timeout", SHOW_SETTING, NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct statement s = parsed(cases[i].text);
        CHECK(s.show == cases[i].show && s.has_name == (cases[i].name != NULL));
        if (s.has_name) {
            CHECK_SLICE(cases[i].name, s.name.name);
        }
    }
    struct statement s = parsed("show tables in s like 'a%'");
    CHECK(s.has_like);
    CHECK_SLICE("a%", s.like);
    CHECK_SLICE("query.timeout", parsed("show query.timeout").setting);
    CHECK_SLICE("bob", parsed("show effective policy on t for user bob").for_user);
    CHECK_SLICE("bob", parsed("check access select on t for user bob").for_user);
    s = parsed("desc a.b");
    CHECK(s.has_name && s.query.len == 0);
    release();
}

TEST(statement, settings_prepared_statements_and_copy)
{
    struct statement s = parsed("set session a.b to 'it''s'");
    CHECK_SLICE("a.b", s.setting);
    CHECK_SLICE("it's", s.value);
    CHECK_SLICE("-1", parsed("set x=-1").value);
    s = parsed("reset x");
    CHECK(s.is_reset);
    CHECK_SLICE("x", s.setting);
    CHECK(parsed("reset all").setting.len == 0);
    s = parsed("execute p (1, -2.5, 'a''b', null, TRUE)");
    CHECK(s.argument_count == 5);
    CHECK_SLICE("-2.5", s.arguments[1]);
    CHECK_SLICE("'a''b'", s.arguments[2]);
    CHECK_SLICE("TRUE", s.arguments[4]);
    CHECK(parsed("execute p()").argument_count == 0);
    CHECK(parsed("deallocate prepare all").prepared.len == 0);
    CHECK_SLICE("p", parsed("deallocate p").prepared);
    s = parsed("copy (select (1), ')') to 'a''b' with (format csv, header true)");
    CHECK_SLICE("select (1), ')'", s.query);
    CHECK_SLICE("a'b", s.copy_target);
    CHECK(s.option_count == 2);
    CHECK_SLICE("'csv'", s.options[0].value);
    s = parsed("use a.b");
    CHECK_SLICE("a", s.name.schema);
    release();
}

TEST(statement, errors_say_where_and_what)
{
    static const struct {
        const char *text;
        size_t position;
        const char *message; /* part of it */
        const char *hint;    /* part of it; "" = none asked for */
    } cases[] = {
        {"", 1, "expected a statement", ""},
        {"selct 1", 1, "\"selct\"", "Did you mean SELECT?"},
        {"grnat select on t to u", 1, "\"grnat\"", "Did you mean GRANT?"},
        {"select 'a", 8, "unterminated string", "single quote"},
        {"select 1; select 2", 9, "the end", ""},
        {"explain", 8, "expected a query", ""},
        {"create thing x", 8, "EXTERNAL TABLE, VIEW", ""},
        {"create external table t", 24, "LOCATION", ""},
        {"create external table t location 1", 34, "single quotes", ""},
        {"create external table t location 'a' location 'b'", 47, "each once", ""},
        {"create external table t stored as orc", 35, "PARQUET, CSV, JSON or ICEBERG", ""},
        {"create external table a.b.c.d location 'x'", 29, "three parts", ""},
        {"create external table \"\" location 'x'", 23, "a name", ""},
        {"create external table U&\"a\" location 'x'", 23, "Unicode", "double quotes"},
        {"create or replace schema s", 19, "EXTERNAL TABLE or VIEW", ""},
        {"create view v security x as select 1", 24, "INVOKER", ""},
        {"create view v as", 17, "a query", ""},
        {"create role r password 'x'", 15, "the end", ""},
        {"drop external user u", 15, "TABLE", ""},
        {"drop table t, u", 13, "the end", ""},
        {"alter external user u password 'x'", 16, "TABLE", ""},
        {"alter table t add column a", 27, "a type", ""},
        {"alter table t frob", 15, "RENAME, SET SCHEMA, REFRESH, ADD", ""},
        {"alter user u set region = 'EU'", 18, "ATTRIBUTE", ""},
        {"grant select on schema s to u", 24, "CREATE on a schema", "GRANT SELECT ON table"},
        {"grant usage on t to u", 7, "SELECT, INSERT, UPDATE, DELETE, MODIFY, CREATE, ALL", ""},
        {"grant insert (a) on t to u", 14, "only SELECT is granted on columns", "raw"},
        {"grant insert on schema s to u", 24, "INSERT, UPDATE and DELETE on a table", ""},
        {"grant a, b to u", 8, "one role", ""},
        {"grant select on t to u rows where", 34, "an expression", ""},
        {"grant select on t to u rows where (a = 1", 41, "closing bracket", ""},
        {"grant select on t to u rows where a) or (b", 36, "ROWS WHERE or MASKED", ""},
        {"grant select on t to u rows where a; b", 36, "ROWS WHERE or MASKED", ""},
        {"grant select on t to u masked with (a = )", 41, "an expression", ""},
        {"deny select on t to u masked with (a = 1)", 23, "no masks", ""},
        {"revoke select on t to u", 20, "FROM", ""},
        {"show columns", 13, "IN table", ""},
        {"show effective policy", 22, "ON", ""},
        {"check access", 13, "ON", ""},
        {"set x", 6, "=", ""},
        {"prepare p select 1", 11, "AS", ""},
        {"execute p (a)", 12, "a constant", ""},
        {"copy t to 'x'", 8, "parentheses", "COPY (SELECT * FROM t)"},
        {"copy (select 1 to 'x'", 22, "expected )", ""},
        {"copy (select 1) to x", 20, "single quotes", ""},
    };
    arena = arena_new(NULL, "test", 0);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct statement statement = {.tag = "untouched"};
        struct errinfo info;
        errinfo_init(&info);
        enum err err = statement_parse(slice_of(cases[i].text), arena, &statement, &info);
        if ((err != ERR_SYNTAX && err != ERR_UNSUPPORTED) || info.position != cases[i].position ||
            strstr(info.message, cases[i].message) == NULL ||
            strstr(info.hint, cases[i].hint) == NULL) {
            fail_msg("%s: %s at %zu (%s)", cases[i].text, info.message, info.position, info.hint);
        }
        CHECK_STR("untouched", statement.tag);
    }
    release();
}

TEST(statement, errors_never_show_a_password)
{
    static const char *const texts[] = {
        "create user u 'swordfish'",
        "create user u password swordfish",
        "create user u password \"swordfish\"",
        "alter user u password 'it's swordfish'",
        "alter user u password 'x' swordfish",
        "alter user u password = 'swordfish'",
        "alter user u pasword 'swordfish'",
    };
    arena = arena_new(NULL, "test", 0);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct statement statement;
        struct errinfo info;
        errinfo_init(&info);
        CHECK(statement_parse(slice_of(texts[i]), arena, &statement, &info) != ERR_OK);
        CHECK(strstr(info.message, "swordfish") == NULL && strstr(info.hint, "swordfish") == NULL);
        CHECK(info.position > 0);
    }
    release();
}

TEST(statement, redaction_takes_passwords_out_of_any_form)
{
    static const char *const texts[] = {
        "create user u password 'swordfish'",
        "CREATE USER u WITH PASSWORD E'sword\\x66ish swordfish'",
        "alter user u password $$swordfish$$",
        "alter user u pasword 'swordfish'",
        "altr usr u passwrd 'swordfish'",
        "alter user u password swordfish",
        "alter user u password \"swordfish\"",
        "alter user u pwd swordfish",
        "alter user u password 'it's swordfish",
        "alter user u password = 'swordfish'",
        "create user u /* password 'swordfish' */ pass 'x'",
        "create user u -- swordfish\n password 'x'",
        "create user u password 'a' \n 'swordfish'",
        "explain alter user u password 'swordfish'",
        "prepare p as alter user u password \"swordfish\"",
        "select 'alter user u password ''swordfish'''",
        "select $$create user u password 'swordfish'$$",
        "user u password swordfish",
        "create role r password 'swordfish'",
        "create user u password U&'swordfish'",
    };
    arena = arena_new(NULL, "test", 0);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        struct slice redacted = {"", 0};
        CHECK_OK(statement_redact(slice_of(texts[i]), arena, &redacted, NULL));
        if (slice_find(redacted, SLICE("swordfish")) != SIZE_MAX || redacted.len == 0) {
            fail_msg("%s: %.*s", texts[i], SLICE_ARGS(redacted));
        }
    }
    release();
}

TEST(statement, api_keys)
{
    struct statement s = parsed("create api key \"my key\" for user bob expires in 36 hours");
    CHECK_SLICE("my key", s.name.name);
    CHECK_SLICE("bob", s.for_user);
    CHECK(s.expiry == KEY_EXPIRES_IN && s.expires_in_s == 36 * 3600);
    s = parsed("create api key k expires at '2027-01-31'");
    CHECK(s.expiry == KEY_EXPIRES_AT && s.for_user.len == 0);
    CHECK_SLICE("2027-01-31", s.expires_at);
    CHECK(parsed("create api key k expires never").expiry == KEY_EXPIRES_NEVER);
    CHECK(parsed("create api key k for bob").expiry == KEY_EXPIRES_BY_DEFAULT);
    s = parsed("revoke api key 'moat_abcdefghij' for user bob");
    CHECK_SLICE("moat_abcdefghij", s.name.name);
    CHECK_SLICE("bob", parsed("show api keys for user bob").for_user);
    static const char *const bad[] = {"create api key",
                                      "create api key k for user",
                                      "create api key k expires",
                                      "create api key k expires in",
                                      "create api key k expires in 0 days",
                                      "create api key k expires in -1 days",
                                      "create api key k expires in 3 weeks",
                                      "create api key k expires in 99999999 days",
                                      "create api key k expires at 5",
                                      "create api key k x",
                                      "create or replace api key k",
                                      "revoke api key",
                                      "show api keys x"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        CHECK_ERR(ERR_SYNTAX, statement_parse(slice_of(bad[i]), arena, &s, NULL));
    }
    release();
}

TEST(statement, redaction_takes_api_keys_out_of_any_text)
{
    static const struct {
        const char *text, *redacted;
    } cases[] = {
        {"select 'moat_abcdefghij_klmnopqrstuvwxyz'", "select 'moat_abcdefghij_***'"},
        {"select 1 -- moat_abcdefghij_klmnopqrstuvwxyz234567 x",
         "select 1 -- moat_abcdefghij_*** x"},
        {"MOAT_ABCDEFGHIJ_KLMNOPQR moat_abcdefghij_klmnopqr",
         "MOAT_ABCDEFGHIJ_*** moat_abcdefghij_***"},
        {"revoke api key moat_abcdefghij", "revoke api key moat_abcdefghij"},
        {"select * from moat_system.audit", "select * from moat_system.audit"},
        {"select moat_abcdefghij_x", "select moat_abcdefghij_x"},
    };
    (void)parsed("select 1"); /* makes the arena */
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct slice redacted;
        CHECK_OK(statement_redact(slice_of(cases[i].text), arena, &redacted, NULL));
        CHECK_SLICE(cases[i].redacted, redacted);
    }
    release();
}

TEST(statement, redaction_keeps_what_holds_no_password)
{
    static const struct {
        const char *text;
        const char *redacted;
    } cases[] = {
        {"select 'a' from t where b = 'c' -- d", "select 'a' from t where b = 'c' -- d"},
        {"grant select on t to role r rows where a = 'b'",
         "grant select on t to role r rows where a = 'b'"},
        {"create user u password 'x'", "create user u password '***'"},
        {"alter user u set attribute a = 'x'", "alter user u set attribute a = '***'"},
        {"select a from t where password = 'x' and b = 2",
         "select a from t where password = 'x' and b = 2"},
        {"with q as (select password from users) select 'a' from q where password like 'b%' -- c",
         "with q as (select password from users) select 'a' from q where password like 'b%' -- c"},
        {"explain select a from t where \"password\" = 'x'",
         "explain select a from t where \"password\" = 'x'"},
        {"prepare p as select a from t where passwd = 'x'",
         "prepare p as select a from t where passwd = 'x'"},
        {"grant select on t to role r rows where password <> 'x'",
         "grant select on t to role r rows where password <> 'x'"},
        {"select 'a', 'alter user u password ''x''' /* password is x */, password",
         "select 'a', '***' , password"},
        {"create external table t location 'x' options (password 'y')",
         "create external table t location '***' options (password '***')"},
        {"create secret s (type s3, secret 'y')", "create secret s (type s3, secret '***')"},
        {"attach 'postgres://u:y@h/d' as d", "attach '***' as d"},
        {"drop user u", "drop user u"},
    };
    arena = arena_new(NULL, "test", 0);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct slice redacted;
        CHECK_OK(statement_redact(slice_of(cases[i].text), arena, &redacted, NULL));
        CHECK_SLICE(cases[i].redacted, redacted);
    }
    release();
}

static uint64_t fingerprint(const char *text)
{
    uint64_t value = 0;
    CHECK_OK(statement_fingerprint(slice_of(text), &value, NULL));
    return value;
}

TEST(statement, fingerprints_forget_constants_case_and_layout)
{
    uint64_t one = fingerprint("select a from t where b = 1");
    CHECK(one == fingerprint("SELECT a\n FROM T -- x\n WHERE b=/**/'x'"));
    CHECK(one == fingerprint("select a from t where b = $$1$$"));
    CHECK(one != fingerprint("select a from t where c = 1"));
    CHECK(one != fingerprint("select a from t where b = \"1\""));
    CHECK(fingerprint("select \"a\"") != fingerprint("select \"A\""));
    CHECK(fingerprint("a b") != fingerprint("ab"));
    char upper[301];
    char lower[301];
    memset(upper, 'A', 300);
    memset(lower, 'a', 300);
    upper[300] = lower[300] = '\0';
    CHECK(fingerprint(upper) == fingerprint(lower));
    lower[299] = 'b';
    CHECK(fingerprint(upper) != fingerprint(lower));
    uint64_t value = 7;
    CHECK_ERR(ERR_SYNTAX, statement_fingerprint(SLICE("'x"), &value, NULL));
    CHECK(value == 7);
}

TEST(statement, survives_every_failed_allocation)
{
    static const char *const texts[] = {
        "create external table \"a\"\"b\" location 'a''b' options (a 'b''c', format csv)",
        "grant select (a, b) on t to u rows where x masked with (a = 1, b = 2)",
        "execute p (1, 'x')",
        "create user u password 'a''b'",
        "merge into t using s on a when matched then update set b.c = 1, d = 2",
        "merge into t using s on a when not matched then insert (a, b) values (1, 2)",
    };
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        SWEEP_ALLOC(fault)
        {
            struct arena *memory CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
            struct statement statement = {.tag = "untouched"};
            struct slice redacted;
            enum err err = memory == NULL
                               ? ERR_NOMEM
                               : statement_parse(slice_of(texts[i]), memory, &statement, NULL);
            CHECK(err == ERR_OK || (err == ERR_NOMEM && strcmp(statement.tag, "untouched") == 0));
            err = memory == NULL ? ERR_NOMEM
                                 : statement_redact(slice_of(texts[i]), memory, &redacted, NULL);
            CHECK(err == ERR_OK || err == ERR_NOMEM);
        }
    }
}

TEST(statement, what_is_written_has_its_kind_and_tag)
{
    static const struct {
        const char *text;
        enum statement_kind kind;
        const char *tag;
    } cases[] = {
        {"start transaction isolation level read committed, read only", STATEMENT_TRANSACTION,
         "START TRANSACTION"},
        {"end", STATEMENT_TRANSACTION, "COMMIT"},
        {"abort work", STATEMENT_TRANSACTION, "ROLLBACK"},
        {"savepoint a", STATEMENT_TRANSACTION, "SAVEPOINT"},
        {"release a", STATEMENT_TRANSACTION, "RELEASE"},
        {"rollback to savepoint a", STATEMENT_TRANSACTION, "ROLLBACK"},
        {"create temp table t as select 1", STATEMENT_CREATE_TEMP, "CREATE TABLE"},
        {"create temporary table if not exists t (a int)", STATEMENT_CREATE_TEMP, "CREATE TABLE"},
        {"insert into t values (1)", STATEMENT_INSERT, "INSERT"},
        {"update t set a = 1", STATEMENT_UPDATE, "UPDATE"},
        {"delete from t", STATEMENT_DELETE, "DELETE"},
        {"truncate table t", STATEMENT_TRUNCATE, "TRUNCATE TABLE"},
        {"comment on table t is 'x'", STATEMENT_COMMENT, "COMMENT"},
        {"alter view v rename to w", STATEMENT_ALTER_TABLE, "ALTER VIEW"},
        {"alter view if exists v set schema s", STATEMENT_ALTER_TABLE, "ALTER VIEW"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct statement s = parsed(cases[i].text);
        CHECK(s.kind == cases[i].kind);
        CHECK_STR(cases[i].tag, s.tag);
    }
    release();
}

TEST(statement, what_is_written_keeps_its_parts)
{
    struct statement s = parsed("create temp table \"T\" (a decimal(9, 2), \"b c\" text[]) "
                                "on commit preserve rows");
    CHECK_SLICE("T", s.name.name);
    assert_int_equal(2, (int)s.column_count);
    CHECK_SLICE("b c", s.columns[1]);
    CHECK_SLICE("decimal(9, 2)", s.types[0]);
    CHECK_SLICE("text[]", s.types[1]);
    CHECK(s.query.len == 0);
    s = parsed("create temp table t (a, b) as (select 1, 2)");
    assert_int_equal(2, (int)s.column_count);
    CHECK(s.types[0].len == 0);
    CHECK_SLICE("(select 1, 2)", s.query);
    s = parsed("insert into s.t (a, b) (select 1, 2)");
    CHECK_SLICE("s", s.name.schema);
    assert_int_equal(2, (int)s.column_count);
    CHECK_SLICE("(select 1, 2)", s.query);
    s = parsed("insert into t (select 1)");
    assert_int_equal(0, (int)s.column_count);
    CHECK_SLICE("(select 1)", s.query);
    s = parsed("insert into t default values returning *");
    CHECK(s.has_default_values && s.query.len == 0);
    CHECK_SLICE("*", s.returning);
    s = parsed("insert into t select 1 from a join b on (returning) returning a, b");
    CHECK_SLICE("select 1 from a join b on (returning)", s.query);
    s = parsed("update t as u set a = f(1, 2), \"B\" = default where u.a = 1 returning u.a");
    CHECK_SLICE("u", s.alias);
    CHECK_SLICE("f(1, 2)", s.types[0]);
    CHECK_SLICE("B", s.columns[1]);
    CHECK_SLICE("u.a = 1", s.where);
    CHECK_SLICE("u.a", s.returning);
    s = parsed("delete from s.t where a = 1");
    CHECK(s.alias.len == 0 && s.returning.len == 0);
    CHECK_SLICE("a = 1", s.where);
    s = parsed(
        "create temp table t (a serial primary key, b int not null default 1 + 2 check (b > 0), "
        "constraint c unique (a, b)) on commit drop");
    assert_int_equal(2, (int)s.column_count);
    assert_int_equal(6, (int)s.rule_count);
    CHECK_SLICE("INTEGER", s.types[0]);
    CHECK(s.rules[0].kind == RULE_SERIAL && s.rules[1].kind == RULE_PRIMARY_KEY);
    CHECK_SLICE("1 + 2", s.rules[3].expression);
    CHECK_SLICE("b > 0", s.rules[4].expression);
    CHECK_SLICE("c", s.rules[5].name);
    CHECK(s.rules[5].column_count == 2 && s.is_dropped_on_commit);
    s = parsed("comment on column \"m\".s.t.c is $x$it's$x$");
    CHECK_SLICE("m", s.name.catalog);
    CHECK_SLICE("t", s.name.name);
    CHECK_SLICE("c", s.column);
    CHECK_SLICE("it's", s.comment);
    s = parsed("comment on view v is null");
    CHECK(s.object_kind == OBJECT_VIEW && s.comment.len == 0);
    s = parsed("create view v (a, b) with (security_invoker = false) as select 1, 2");
    CHECK(s.is_definer && s.column_count == 2);
    s = parsed("create view v with (security = invoker) as select 1");
    CHECK(!s.is_definer);
    s = parsed("rollback to a");
    CHECK(s.transaction == TRANSACTION_ROLLBACK_TO);
    CHECK_SLICE("a", s.savepoint);
    release();
}

TEST(statement, create_table_of_a_lake)
{
    struct statement s =
        parsed("create table if not exists c.n.t (a integer not null comment 'x', "
               "\"B\" struct(x integer, y varchar[]) default null, d decimal(9, 2) "
               "default -1.5) partitioned by (bucket(16, a), truncate(\"B\".y, 4), "
               "day(d), a) comment 'c' with (k = 'v', n = 2)");
    CHECK(s.kind == STATEMENT_CREATE_MANAGED && s.if_not_exists && s.column_count == 3);
    CHECK_SLICE("t", s.name.name);
    CHECK_SLICE("B", s.columns[1]);
    CHECK_SLICE("struct(x integer, y varchar[])", s.types[1]);
    CHECK(s.details[0].is_required && !s.details[1].is_required);
    CHECK_SLICE("x", s.details[0].comment);
    CHECK_SLICE("-1.5", s.details[2].default_value);
    CHECK(s.partition_count == 4 && s.option_count == 2);
    CHECK(s.partitions[0].width == 16 && s.partitions[1].width == 4 && s.partitions[2].width == 0);
    CHECK_SLICE("B.y", s.partitions[1].column);
    CHECK_SLICE("day", s.partitions[2].function);
    CHECK(s.partitions[3].function.len == 0);
    CHECK_SLICE("c", s.comment);
    s = parsed("create table t (a, b) as select 1, 2");
    CHECK(s.kind == STATEMENT_CREATE_MANAGED && s.column_count == 2 && s.types[0].len == 0);
    CHECK_SLICE("select 1, 2", s.query);
    s = parsed("create table t partition by (a) as (select 1 as a)");
    CHECK(s.column_count == 0 && s.partition_count == 1);
    CHECK_SLICE("(select 1 as a)", s.query);
    release();
}

TEST(statement, delete_from)
{
    struct statement s = parsed("delete from c.n.t where a in (select b from u where c)");
    CHECK(s.kind == STATEMENT_DELETE && s.alias.len == 0 && s.using_list.len == 0);
    CHECK_SLICE("a in (select b from u where c)", s.where);
    s = parsed("delete from t as x using u, (select 1 where true) v where x.a = u.a");
    CHECK_SLICE("x", s.alias);
    CHECK_SLICE("u, (select 1 where true) v", s.using_list);
    CHECK_SLICE("x.a = u.a", s.where);
    s = parsed("delete from t x");
    CHECK_SLICE("x", s.alias);
    CHECK(s.where.len == 0);
    release();
}

static void refused(const char *text, enum err expected)
{
    struct arena *memory CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct statement statement;
    CHECK_ERR(expected, statement_parse(slice_of(text), memory, &statement, NULL));
}

TEST(statement, update_sets_columns_and_fields)
{
    struct statement s =
        parsed("update a.t x set s.\"Q\".y = x.b IS DISTINCT FROM 2, (c, d) = row (1, f(2, 3)) "
               "from u, (select 1) v where true returning *");
    assert_int_equal(3, (int)s.column_count);
    CHECK_SLICE("s", s.columns[0]);
    CHECK_SLICE(".\"Q\".y", s.paths[0]);
    CHECK_SLICE("x.b IS DISTINCT FROM 2", s.types[0]);
    CHECK_SLICE("d", s.columns[2]);
    CHECK(s.paths[2].len == 0);
    CHECK_SLICE("f(2, 3)", s.types[2]);
    CHECK_SLICE("u, (select 1) v", s.using_list);
    CHECK_SLICE("true", s.where);
    CHECK_SLICE("*", s.returning);
    refused("update t set (a, b) = (1)", ERR_SYNTAX);
    refused("update t set (a, b) = (select 1, 2)", ERR_SYNTAX);
    refused("update t set a = 1 from u union select 1", ERR_SYNTAX);
    release();
}

TEST(statement, merge_has_its_clauses)
{
    struct statement s = parsed(
        "merge into l.s.t as d using (select 1) as s (a, b) on d.a = case when true then s.a end "
        "when matched and case when d.b then true end then update set x.y = case when 1 then 2 "
        "end, "
        "b = 3 when not matched by source then delete when not matched by target and s.a > 1 then "
        "insert (a, b) values (s.a, default) when matched then do nothing returning d.a");
    CHECK(s.kind == STATEMENT_MERGE && s.merge_count == 4);
    CHECK_SLICE("d", s.alias);
    CHECK_SLICE("(select 1) as s (a, b)", s.using_list);
    CHECK_SLICE("s", s.source_alias);
    CHECK_SLICE("d.a = case when true then s.a end", s.where);
    CHECK(s.merges[0].when == MERGE_MATCHED && s.merges[0].action == MERGE_UPDATE);
    CHECK_SLICE("case when d.b then true end", s.merges[0].condition);
    CHECK_SLICE(".y", s.merges[0].set.paths[0]);
    CHECK_SLICE("case when 1 then 2 end", s.merges[0].set.values[0]);
    CHECK(s.merges[1].when == MERGE_NOT_MATCHED_BY_SOURCE && s.merges[1].action == MERGE_DELETE);
    CHECK(s.merges[2].when == MERGE_NOT_MATCHED && s.merges[2].set.value_count == 2);
    CHECK(s.merges[3].action == MERGE_NOTHING);
    CHECK_SLICE("d.a", s.returning);
    s = parsed("merge into t using s on true when matched then update set * when not matched then "
               "insert *");
    CHECK_SLICE("s", s.source_alias);
    CHECK(s.merges[0].is_star && s.merges[1].is_star);
    refused("merge into t using s on true", ERR_SYNTAX);
    refused("merge into t using s when matched then delete", ERR_SYNTAX);
    refused("merge into t using s on true when matched then insert values (1)", ERR_SYNTAX);
    refused("merge into t using s on true when not matched then update set a = 1", ERR_SYNTAX);
    refused("merge into t using s on true when not matched then insert (a, b) values (1)",
            ERR_SYNTAX);
    refused("merge into t using s on true when not matched by source then update set *",
            ERR_SYNTAX);
    release();
}

TEST(statement, insert_overwrite_and_by_name)
{
    struct statement s = parsed("insert overwrite table t by name select 1 as a");
    CHECK(s.kind == STATEMENT_INSERT && s.is_overwrite && s.is_by_name);
    CHECK_SLICE("select 1 as a", s.query);
    s = parsed("insert into t by name (select 1 as a) returning a");
    CHECK(!s.is_overwrite && s.is_by_name);
    CHECK_SLICE("a", s.returning);
    refused("insert into t (a) by name select 1 as a", ERR_SYNTAX);
    release();
}
