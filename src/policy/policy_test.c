#include "policy/policy_fixture.h"
#include "base/sweep.h"

struct bench {
    struct arena *arena;
    struct identity *who;
    struct policy_effective effective;
    struct errinfo info;
};

static void bench_open(struct bench *b, const char *subject)
{
    *b = (struct bench){.arena = arena_new(NULL, "test", 0)};
    b->who = fixture_person(subject, false);
    errinfo_init(&b->info);
}

static void bench_close(struct bench *b)
{
    identity_unref(b->who);
    arena_free(b->arena);
}

static const struct policy_effective *effective_of(struct bench *b, const struct grant *grants,
                                                   size_t count)
{
    CHECK_OK(policy_effective(b->who, &fixture_relation, grants, count, b->arena, &b->effective,
                              &b->info));
    return &b->effective;
}

static void check_cell(const struct bench *b, size_t index, const char *expected)
{
    CHECK(index < b->effective.column_count);
    CHECK_SLICE(expected, b->effective.columns[index].expression);
}

/* ---- who ---- */

TEST(policy, without_a_grant_nothing_is_visible)
{
    /* Goal: no grant, a grant to others, or one without SELECT leave no trace of the relation. */
    struct bench b;
    bench_open(&b, "ann");
    struct grant grants[] = {fixture_grant(1), fixture_grant(2), fixture_grant(3)};
    grants[0].grantee = SLICE("auditor");
    grants[1].grantee_kind = GRANTEE_USER; /* the user called like the role */
    grants[2].privileges = PRIVILEGE_CREATE;
    CHECK(!effective_of(&b, NULL, 0)->is_visible);
    CHECK(!effective_of(&b, grants, ARRAY_COUNT(grants))->is_visible);
    CHECK(b.effective.column_count == 0 && b.effective.grant_count == 0 && !b.effective.is_bound);
    bench_close(&b);
}

TEST(policy, user_role_and_public_grants_apply_folding_case)
{
    struct bench b;
    bench_open(&b, "ann");
    struct grant grants[] = {fixture_grant(4), fixture_grant(5), fixture_grant(9)};
    grants[0].grantee_kind = GRANTEE_USER;
    grants[0].grantee = SLICE("ANN");
    grants[1].grantee = SLICE("Analyst");
    grants[2].grantee = SLICE("PUBLIC");
    for (size_t i = 0; i < ARRAY_COUNT(grants); i++) {
        CHECK(effective_of(&b, &grants[i], 1)->is_visible);
        CHECK(b.effective.column_count == fixture_relation.column_count);
        CHECK(!b.effective.is_bound && b.effective.columns[0].is_raw);
    }
    CHECK(effective_of(&b, grants, 3)->grant_count == 3);
    CHECK(b.effective.grant_ids[0] == 4 && b.effective.grant_ids[2] == 9);
    bench_close(&b);
}

TEST(policy, owners_see_all_but_deny_binds_the_owner_of_a_relation)
{
    /* Goal: the warehouse's owner is above DENY, the relation's owner is not; who acts as somebody
     * else (is_owner false) is bound like them. */
    struct bench b;
    bench_open(&b, "OLGA");
    struct grant grants[] = {fixture_grant(1), fixture_grant(2), fixture_grant(3)};
    static const uint32_t email[] = {4};
    grants[0].rows = SLICE("__moat_c99 = 1"); /* dangling, but an owner needs no grant */
    grants[1].effect = GRANT_DENY;
    grants[1].all_columns = false;
    grants[1].column_ids = email;
    grants[1].column_count = 1;
    grants[2].effect = GRANT_DENY;
    CHECK(effective_of(&b, grants, 1)->column_count == 6);
    CHECK(!b.effective.is_bound && !b.effective.is_refused && b.effective.grant_count == 0);
    CHECK(effective_of(&b, grants, 2)->column_count == 5);
    CHECK(!effective_of(&b, grants, 3)->is_visible);
    identity_unref(b.who);
    b.who = fixture_person("root", true);
    CHECK(effective_of(&b, grants, 3)->column_count == 6);
    CHECK(!b.effective.is_bound);
    identity_unref(b.who);
    b.who = fixture_person("root", false);
    CHECK(!effective_of(&b, grants, 3)->is_visible);
    bench_close(&b);
}

/* ---- what ---- */

TEST(policy, one_filter_and_one_mask_cost_no_case)
{
    struct bench b;
    bench_open(&b, "ann");
    struct grant grant = fixture_grant(1);
    struct grant_mask masks[] = {{4, SLICE("__moat_hash(CAST(__moat_c4 AS VARCHAR))")},
                                 {7, SLICE("NULL")}};
    grant.rows = SLICE("(__moat_c2 = claim('region'))");
    grant.masks = masks;
    grant.mask_count = 2;
    CHECK(effective_of(&b, &grant, 1)->is_bound);
    CHECK_SLICE("((__moat_c2 = 'EU'))", b.effective.filter);
    check_cell(&b, 0, "__moat_c1");
    check_cell(&b, 2, "(__moat_hash(CAST(__moat_c4 AS VARCHAR)))");
    check_cell(&b, 4, "CAST(NULL AS DECIMAL(15,2))");
    CHECK(b.effective.columns[0].is_raw && !b.effective.columns[0].is_masked);
    CHECK(!b.effective.columns[2].is_raw && b.effective.columns[2].is_masked);
    bench_close(&b);
}

TEST(policy, a_cell_is_raw_where_a_raw_grant_shows_the_row_else_the_first_mask)
{
    struct bench b;
    bench_open(&b, "ann");
    static const uint32_t only_id[] = {1};
    struct grant_mask first[] = {{4, SLICE("'first'")}};
    struct grant_mask second[] = {{4, SLICE("'second'")}};
    struct grant grants[] = {fixture_grant(1), fixture_grant(2), fixture_grant(3),
                             fixture_grant(4)};
    grants[0].rows = SLICE("__moat_c1 = 1");
    grants[0].masks = first;
    grants[0].mask_count = 1;
    grants[1].rows = SLICE("__moat_c1 = 2");
    grants[1].masks = second;
    grants[1].mask_count = 1;
    grants[2].rows = SLICE("__moat_c1 = 3");
    grants[3].rows = SLICE("__moat_c1 = 4");
    grants[3].all_columns = false;
    grants[3].column_ids = only_id;
    grants[3].column_count = 1;
    effective_of(&b, grants, 4);
    CHECK_SLICE("(__moat_c1 = 1) OR (__moat_c1 = 2) OR (__moat_c1 = 3) OR (__moat_c1 = 4)",
                b.effective.filter);
    check_cell(&b, 0, "__moat_c1");
    check_cell(&b, 1,
               "CASE WHEN (__moat_c1 = 1) OR (__moat_c1 = 2) OR (__moat_c1 = 3) THEN "
               "__moat_c2 ELSE CAST(NULL AS VARCHAR) END");
    check_cell(&b, 2,
               "CASE WHEN (__moat_c1 = 3) THEN __moat_c4 WHEN (__moat_c1 = 1) THEN "
               "('first') WHEN (__moat_c1 = 2) THEN ('second') ELSE CAST(NULL AS VARCHAR) "
               "END");
    bench_close(&b);
}

TEST(policy, deny_hides_what_is_true_or_unknown)
{
    struct bench b;
    bench_open(&b, "ann");
    static const uint32_t email[] = {4};
    struct grant grants[] = {fixture_grant(1), fixture_grant(2), fixture_grant(3)};
    grants[1].effect = GRANT_DENY;
    grants[1].rows = SLICE("(__moat_c2 = 'US')");
    grants[2].effect = GRANT_DENY;
    grants[2].rows = SLICE("(__moat_c1 > 9)");
    grants[2].all_columns = false;
    grants[2].column_ids = email;
    grants[2].column_count = 1;
    effective_of(&b, grants, 3);
    CHECK_SLICE("(NOT COALESCE(((__moat_c2 = 'US')), TRUE))", b.effective.filter);
    check_cell(&b, 2,
               "CASE WHEN COALESCE(((__moat_c1 > 9)), TRUE) THEN CAST(NULL AS VARCHAR) ELSE "
               "__moat_c4 END");
    CHECK(b.effective.columns[2].is_masked);
    grants[0].rows = SLICE("__moat_c1 = 1");
    struct grant other[] = {grants[0], fixture_grant(5), grants[1]};
    other[1].rows = SLICE("__moat_c1 = 2");
    effective_of(&b, other, 3);
    CHECK_SLICE("((__moat_c1 = 1) OR (__moat_c1 = 2)) AND (NOT COALESCE(((__moat_c2 = 'US')), "
                "TRUE))",
                b.effective.filter);
    bench_close(&b);
}

TEST(policy, denying_every_column_denies_the_table)
{
    struct bench b;
    bench_open(&b, "ann");
    static const uint32_t email[] = {4};
    struct grant grants[] = {fixture_grant(1), fixture_grant(2)};
    grants[0].all_columns = false;
    grants[0].column_ids = email;
    grants[0].column_count = 1;
    grants[1] = grants[0];
    grants[1].id = 2;
    CHECK(effective_of(&b, grants, 1)->column_count == 1);
    grants[1].effect = GRANT_DENY;
    CHECK(!effective_of(&b, grants, 2)->is_visible);
    bench_close(&b);
}

TEST(policy, what_cannot_be_applied_refuses_the_relation)
{
    /* Goal: no dangling name, broken call or mask of a dropped column is ever skipped. */
    struct bench b;
    bench_open(&b, "ann");
    static const uint32_t dropped[] = {3};
    struct grant_mask bad_mask[] = {{4, SLICE("__moat_c3")}};
    struct grant_mask mask_of_dropped[] = {{3, SLICE("NULL")}};
    struct grant_mask empty_mask[] = {{4, SLICE(" ")}};
    struct {
        struct grant extra;
        const char *refusal;
    } cases[] = {
        {fixture_grant(7), "grant 7 names a column that no longer exists"},
        {fixture_grant(8), "grant 8 names a column that no longer exists"},
        {fixture_grant(9), "grant 9 names a column that no longer exists"},
        {fixture_grant(10), "grant 10 has an expression that cannot be resolved"},
        {fixture_grant(11), "deny 11 names a column that no longer exists"},
        {fixture_grant(12), "deny 12 names a column that no longer exists"},
        {fixture_grant(13), "grant 13 has an expression that cannot be resolved"},
    };
    cases[0].extra.rows = SLICE("(__moat_c3 = 1)");
    cases[1].extra.masks = bad_mask;
    cases[2].extra.masks = mask_of_dropped;
    cases[3].extra.rows = SLICE("claim(__moat_c1)");
    cases[4].extra.effect = GRANT_DENY;
    cases[4].extra.rows = SLICE("(__moat_c3 = 1)");
    cases[5].extra.effect = GRANT_DENY;
    cases[5].extra.all_columns = false;
    cases[5].extra.column_ids = dropped;
    cases[5].extra.column_count = 1;
    cases[6].extra.masks = empty_mask;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct grant grants[] = {fixture_grant(1), cases[i].extra};
        grants[1].mask_count = grants[1].masks == NULL ? 0 : 1;
        effective_of(&b, grants, 2);
        CHECK(b.effective.is_visible && b.effective.is_refused && b.effective.is_bound);
        CHECK(b.effective.column_count == 0 && b.effective.filter.len == 0);
        CHECK_SLICE(cases[i].refusal, b.effective.refusal);
    }
    /* A column list cannot pick up a column that comes back under a new id. */
    struct grant listed = cases[5].extra;
    listed.effect = GRANT_ALLOW;
    static const uint32_t id_and_dropped[] = {1, 3};
    listed.column_ids = id_and_dropped;
    listed.column_count = 2;
    CHECK(effective_of(&b, &listed, 1)->column_count == 1);
    /* Whom no grant concerns learns nothing, not even that the policy is broken. */
    cases[4].extra.id = 4;
    CHECK(!effective_of(&b, &cases[4].extra, 1)->is_visible);
    bench_close(&b);
}

TEST(policy, running_out_of_memory_is_an_error_and_never_an_opening)
{
    struct identity *who = fixture_person("ann", false);
    struct grant grants[] = {fixture_grant(1), fixture_grant(2)};
    struct grant_mask masks[] = {{4, SLICE("__moat_redact(__moat_c4, 4)")}};
    grants[0].rows = SLICE("(__moat_c2 = claim('region'))");
    grants[0].masks = masks;
    grants[0].mask_count = 1;
    grants[1].effect = GRANT_DENY;
    grants[1].rows = SLICE("has_role('public')");
    SWEEP_ALLOC(fault)
    {
        struct policy_effective effective = {.column_count = 77};
        struct errinfo info;
        struct arena *arena = arena_new(NULL, "test", 0);
        struct buf sql = {0};
        enum err err = arena == NULL ? ERR_NOMEM
                                     : policy_effective(who, &fixture_relation, grants, 2, arena,
                                                        &effective, &info);
        CHECK(err == ERR_OK || (err == ERR_NOMEM && effective.column_count == 77));
        if (err == ERR_OK) {
            CHECK(!effective.is_refused && effective.filter.len > 0);
            err = policy_secure(&effective, SLICE("t"), false, &sql, &info);
            CHECK(err == ERR_OK || err == ERR_NOMEM);
        }
        buf_fini(&sql);
        arena_free(arena);
    }
    identity_unref(who);
}

/* ---- the secured relation ---- */

TEST(policy, secured_relation_is_one_select_with_quoted_names)
{
    struct bench b;
    bench_open(&b, "ann");
    static const uint32_t ids[] = {1, 7};
    struct grant grant = fixture_grant(1);
    struct buf sql = {0};
    grant.all_columns = false;
    grant.column_ids = ids;
    grant.column_count = 2;
    grant.rows = SLICE("(__moat_c2 = 'it''s')");
    effective_of(&b, &grant, 1);
    CHECK_OK(policy_secure(&b.effective, SLICE("(SELECT 1) AS s"), false, &sql, &b.info));
    CHECK_STR("SELECT __moat_c1 AS \"id\", __moat_c7 AS \"Odd \"\"name\"\"\" FROM (SELECT 1) AS s "
              "WHERE ((__moat_c2 = 'it''s'))",
              buf_cstr(&sql));
    buf_reset(&sql);
    CHECK_OK(policy_secure(&b.effective, SLICE("s"), true, &sql, &b.info));
    CHECK_STR("SELECT __moat_barrier(__moat_c1) AS \"id\", __moat_barrier(__moat_c7) AS "
              "\"Odd \"\"name\"\"\" FROM s WHERE ((__moat_c2 = 'it''s')) OFFSET 0",
              buf_cstr(&sql));
    buf_fini(&sql);
    bench_close(&b);
}

TEST(policy, source_holds_what_filter_and_masks_read_and_no_more)
{
    struct bench b;
    bench_open(&b, "ann");
    static const uint32_t ids[] = {1, 4};
    struct grant grant = fixture_grant(1);
    struct grant_mask masks[] = {{1, SLICE("0")}, {4, SLICE("concat(__moat_c5, '__moat_c8')")}};
    const struct relation_column **columns;
    size_t count;
    grant.all_columns = false;
    grant.column_ids = ids;
    grant.column_count = 2;
    grant.masks = masks;
    grant.mask_count = 2;
    grant.rows = SLICE("\"__moat_c2\" = '__moat_c'");
    effective_of(&b, &grant, 1);
    CHECK_OK(
        policy_source_columns(&b.effective, &fixture_relation, b.arena, &columns, &count, &b.info));
    CHECK(count == 3); /* region, born, and one too many for the text that looks like a name */
    CHECK(columns[0]->id == 2 && columns[1]->id == 5 && columns[2]->id == 8);
    grant.rows = SLICE("");
    grant.column_count = 1;
    effective_of(&b, &grant, 1); /* one constant: still a FROM that can be written */
    CHECK_OK(
        policy_source_columns(&b.effective, &fixture_relation, b.arena, &columns, &count, &b.info));
    CHECK(count == 1 && columns[0]->id == 1);
    bench_close(&b);
}

/* ---- masks ---- */

static const struct relation_column *column_called(const char *name)
{
    for (size_t i = 0; i < fixture_relation.column_count; i++) {
        if (slice_equal(fixture_columns[i].name, slice_of(name))) {
            return &fixture_columns[i];
        }
    }
    return NULL;
}

TEST(policy, built_in_masks_expand_and_everything_else_stays)
{
    static const struct {
        const char *column, *mask, *expected; /* NULL: unchanged */
    } cases[] = {
        {"email", "NULL", "CAST(NULL AS VARCHAR)"},
        {"id", " null ", "CAST(NULL AS BIGINT)"},
        {"email", "sha256(email)", "__moat_hash(CAST(\"email\" AS VARCHAR))"},
        {"email", "SHA256( \"Odd \"\"name\"\"\" )",
         "__moat_hash(CAST(\"Odd \"\"name\"\"\" AS VARCHAR))"},
        {"email", "sha256(lower(email) || ',')",
         "__moat_hash(CAST((lower(email) || ',') AS VARCHAR))"},
        {"email", "redact(email)", "__moat_redact(\"email\", 4)"},
        {"email", "redact(email, 0)", "__moat_redact(\"email\", 0)"},
        {"email", "redact(substr(email, 1, 3), 2)", "__moat_redact((substr(email, 1, 3)), 2)"},
        {"email", "show_first(Email, 2)", "__moat_show_first(\"Email\", 2)"},
        {"email", "show_last(email, 12)", "__moat_show_last(\"email\", 12)"},
        {"born", "year(born)", "CAST(date_trunc('year', \"born\") AS DATE)"},
        {"seen", "day(seen)",
         "CAST(timezone('UTC', date_trunc('day', timezone('UTC', \"seen\"))) AS TIMESTAMP WITH "
         "TIME ZONE)"},
        {"id", "year(born)", NULL}, /* of another column: the engine's own year() */
        {"id", "0", NULL},
        {"email", "'x'", NULL},
        {"email", "concat(left(email, 1), '...')", NULL},
        {"email", "redact(email) || redact(email)", NULL},
        {"email", "sha256(email) || (email)", NULL},
        {"email", "(null)", NULL},
    };
    struct arena *arena = arena_new(NULL, "test", 0);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct slice mask = slice_of(cases[i].mask);
        struct slice expanded;
        struct errinfo info;
        CHECK_OK(policy_mask_expand(mask, column_called(cases[i].column), arena, &expanded, &info));
        if (cases[i].expected == NULL) {
            CHECK(expanded.ptr == mask.ptr && expanded.len == mask.len);
        } else {
            CHECK_SLICE(cases[i].expected, expanded);
        }
    }
    arena_free(arena);
}

TEST(policy, a_mask_that_cannot_have_the_columns_type_is_refused)
{
    static const struct {
        const char *column, *mask, *message, *hint;
    } cases[] = {
        {"id", "redact(id)", "mask \"redact\" gives VARCHAR, column \"id\" is BIGINT",
         "Use null, a constant, or an expression that gives BIGINT."},
        {"id", "sha256(id)", "mask \"sha256\" gives VARCHAR, column \"id\" is BIGINT", ""},
        {"id", "year(id)", "mask \"year\" truncates dates and timestamps, column \"id\" is BIGINT",
         ""},
        {"email", "day(email)",
         "mask \"day\" truncates dates and timestamps, column \"email\" is VARCHAR", ""},
        {"email", "redact(email, 'x')", "mask \"redact\" has wrong arguments",
         "Write redact(column) or redact(column, 4)."},
        {"email", "redact(email, -1)", "mask \"redact\" has wrong arguments", ""},
        {"email", "redact(email, 99999999999)", "mask \"redact\" has wrong arguments", ""},
        {"email", "redact()", "mask \"redact\" has wrong arguments", ""},
        {"email", "redact(, 4)", "mask \"redact\" has wrong arguments", ""},
        {"email", "show_first(email)", "mask \"show_first\" has wrong arguments",
         "Write show_first(column, 3)."},
        {"email", "sha256(email, 3)", "mask \"sha256\" has wrong arguments", ""},
    };
    struct arena *arena = arena_new(NULL, "test", 0);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct slice expanded = SLICE("untouched");
        struct errinfo info;
        CHECK_ERR(ERR_INVALID,
                  policy_mask_expand(slice_of(cases[i].mask), column_called(cases[i].column), arena,
                                     &expanded, &info));
        CHECK_STR("22023", info.sqlstate);
        CHECK_STR(cases[i].message, info.message);
        CHECK(strstr(info.hint, cases[i].hint) != NULL);
        CHECK_SLICE("untouched", expanded);
    }
    arena_free(arena);
}

/* ---- what people read ---- */

TEST(policy, a_grant_prints_as_it_may_be_written)
{
    struct arena *arena = arena_new(NULL, "test", 0);
    static const uint32_t ids[] = {8, 4, 3, 1, 7, 5};
    struct grant_mask masks[] = {
        {8, SLICE("CAST(timezone('UTC', date_trunc('day', timezone('UTC', __moat_c8))) AS "
                  "TIMESTAMP WITH TIME ZONE)")},
        {7, SLICE("CAST(NULL AS DECIMAL(15,2))")},
        {5, SLICE("CAST(date_trunc('month', __moat_c5) AS DATE)")},
        {4, SLICE("__moat_hash(CAST((lower(__moat_c4) || 'x') AS VARCHAR))")},
    };
    struct grant grant = fixture_grant(1);
    struct slice text;
    struct errinfo info;
    CHECK_OK(policy_print_grant(&grant, &fixture_relation, NULL, arena, &text, &info));
    CHECK_SLICE("SELECT ON main.customer TO ROLE analyst", text);
    grant.all_columns = false;
    grant.column_ids = ids;
    grant.column_count = ARRAY_COUNT(ids);
    grant.rows = SLICE("((__moat_c2 = claim('region')) AND (__moat_c3 > 0))");
    grant.masks = masks;
    grant.mask_count = ARRAY_COUNT(masks);
    grant.grantee_kind = GRANTEE_USER;
    grant.grantee = SLICE("ann@example.com");
    CHECK_OK(policy_print_grant(&grant, &fixture_relation, NULL, arena, &text, &info));
    CHECK_SLICE("SELECT (id, email, born, \"Odd \"\"name\"\"\", seen, ?) ON main.customer TO USER "
                "\"ann@example.com\" ROWS WHERE ((region = claim('region')) AND (? > 0)) MASKED "
                "WITH (email = sha256((lower(email) || 'x')), born = month(born), \"Odd "
                "\"\"name\"\"\" = null, seen = day(seen))",
                text);
    struct grant_mask redacted[] = {{4, SLICE("__moat_redact(__moat_c4, 4)")},
                                    {2, SLICE("concat(__moat_show_first(__moat_c2, 1), '-', "
                                              "'__moat_hash(CAST(x AS VARCHAR))')")}};
    grant = fixture_grant(2);
    grant.masks = redacted;
    grant.mask_count = 2;
    CHECK_OK(policy_print_grant(&grant, &fixture_relation, NULL, arena, &text, &info));
    CHECK_SLICE("SELECT ON main.customer TO ROLE analyst MASKED WITH (region = "
                "concat(show_first(region, 1), '-', '__moat_hash(CAST(x AS VARCHAR))'), email = "
                "redact(email, 4))",
                text);
    arena_free(arena);
}

TEST(policy, a_hash_without_the_key_never_prints_as_the_keyed_one)
{
    /* Goal: the engine's own sha256 reaches the store as (sha256(c)) or c.sha256(). It must print
     * so that it can be told apart, and so that GRANT reads what was printed as the same mask. */
    static const struct {
        const char *stored, *printed;
    } cases[] = {
        {"__moat_hash(CAST(__moat_c4 AS VARCHAR))", "sha256(email)"},
        {"sha256(__moat_c4)", "\"sha256\"(email)"},
        {"sha256(lower(__moat_c4))", "\"sha256\"(lower(email))"},
        {"upper(sha256(__moat_c4))", "upper(\"sha256\"(email))"},
        {"(sha256(__moat_c4) || sha256(__moat_c2))", "(\"sha256\"(email) || \"sha256\"(region))"},
    };
    struct arena *arena = arena_new(NULL, "test", 0);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct grant_mask masks[] = {{4, slice_of(cases[i].stored)}};
        struct grant grant = fixture_grant(1);
        struct slice text;
        struct slice expanded;
        struct errinfo info;
        grant.masks = masks;
        grant.mask_count = 1;
        CHECK_OK(policy_print_grant(&grant, &fixture_relation, NULL, arena, &text, &info));
        char *expected =
            arena_printf(arena, "SELECT ON main.customer TO ROLE analyst MASKED WITH (email = %s)",
                         cases[i].printed);
        CHECK_STR(expected, arena_printf(arena, "%.*s", SLICE_ARGS(text)));
        struct slice printed = slice_of(cases[i].printed);
        CHECK_OK(policy_mask_expand(printed, column_called("email"), arena, &expanded, &info));
        CHECK((expanded.ptr != printed.ptr) == (i == 0));
    }
    struct slice shown;
    struct errinfo info;
    CHECK_OK(policy_print_expression(SLICE("CASE WHEN (__moat_c1 = 1) THEN (sha256(__moat_c4)) "
                                           "ELSE (__moat_hash(CAST(__moat_c4 AS VARCHAR))) END"),
                                     &fixture_relation, NULL, arena, &shown, &info));
    CHECK_SLICE("CASE WHEN (id = 1) THEN (\"sha256\"(email)) ELSE (sha256(email)) END", shown);
    CHECK_OK(policy_print_expression(SLICE("(sha256(__moat_c4))"), &fixture_relation, NULL, arena,
                                     &shown, &info));
    CHECK_SLICE("\"sha256\"(email)", shown);
    arena_free(arena);
}

TEST(policy, rights_to_write_are_given_and_denied_by_bits_and_show_nothing)
{
    /* Goal: each right is had if a grant gives it and no DENY takes it; who has rights but no
     * SELECT is shown nothing, and has none. */
    struct bench b;
    bench_open(&b, "ann");
    struct grant grants[] = {fixture_grant(1), fixture_grant(2), fixture_grant(3),
                             fixture_grant(4)};
    grants[1].privileges = PRIVILEGE_INSERT | PRIVILEGE_UPDATE;
    grants[2].privileges = PRIVILEGE_DELETE;
    grants[3].privileges = PRIVILEGE_UPDATE;
    grants[3].effect = GRANT_DENY;
    CHECK(effective_of(&b, grants, 4)->is_visible && !b.effective.is_bound);
    assert_int_equal(b.effective.writes, PRIVILEGE_INSERT | PRIVILEGE_DELETE);
    assert_int_equal(b.effective.denied_writes, PRIVILEGE_UPDATE);
    assert_int_equal(b.effective.grant_count, 1);
    CHECK(!effective_of(&b, grants + 1, 3)->is_visible);
    assert_int_equal(b.effective.writes, 0);
    bench_close(&b);
    bench_open(&b, "olga");
    CHECK(effective_of(&b, NULL, 0)->writes == PRIVILEGE_WRITE);
    CHECK(effective_of(&b, grants + 3, 1)->writes == (PRIVILEGE_INSERT | PRIVILEGE_DELETE));
    bench_close(&b);
}
