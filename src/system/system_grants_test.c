#include "system/system_fixture_int.h"

static struct grant *load(struct fixture *f, struct slice uuid, size_t *ret_count)
{
    struct grant *grants = NULL;
    CHECK_OK(system_grants(f->system, f->owner, uuid, f->arena, &grants, ret_count, &f->info));
    return grants;
}

static size_t revoke(struct fixture *f, struct slice uuid, enum grant_effect effect,
                     const char *role, const uint32_t *columns, size_t column_count)
{
    size_t count = SIZE_MAX;
    CHECK_OK(system_grant_revoke(f->system, f->owner, effect, PRIVILEGE_SELECT, GRANTEE_ROLE,
                                 slice_of(role), uuid, column_count == 0, columns, column_count,
                                 &count, &f->info));
    return count;
}

static enum err add(struct fixture *f, const struct identity *who, const struct grant *grant)
{
    uint64_t id;
    return system_grant_add(f->system, who, grant, &id, &f->info);
}

static struct grant to_public(struct slice uuid)
{
    return (struct grant){.effect = GRANT_ALLOW,
                          .privileges = PRIVILEGE_SELECT,
                          .grantee_kind = GRANTEE_ROLE,
                          .grantee = SLICE("public"),
                          .object_uuid = uuid,
                          .all_columns = true};
}

#define COLUMNS(...)                                                                               \
    ((const uint32_t[]){__VA_ARGS__}), (sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

TEST(system_grants, keep_all_they_are_given_in_order)
{
    struct fixture f;
    fixture_open(&f);
    fixture_role(&f, "Analyst");
    fixture_user(&f, "bob");
    struct slice uuid = fixture_table(&f, f.owner, "t");
    struct slice other = fixture_table(&f, f.owner, "u");
    const uint32_t columns[] = {3, 1, 2, 1};
    const struct grant_mask masks[] = {{2, SLICE("NULL")}, {1, SLICE("sha256(__moat_c1)")}};
    struct grant grant = {.effect = GRANT_ALLOW,
                          .privileges = PRIVILEGE_ALL,
                          .grantee_kind = GRANTEE_ROLE,
                          .grantee = SLICE("analyst"),
                          .object_uuid = uuid,
                          .column_ids = columns,
                          .column_count = 4,
                          .rows = SLICE("__moat_c3 = 'EU'"),
                          .masks = masks,
                          .mask_count = 2};
    uint64_t first, second;
    CHECK_OK(system_grant_add(f.system, f.owner, &grant, &first, &f.info));
    (void)fixture_grant(&f, other, "public", true, NULL, 0);
    struct grant deny = {.effect = GRANT_DENY,
                         .privileges = PRIVILEGE_SELECT,
                         .grantee_kind = GRANTEE_USER,
                         .grantee = SLICE("BOB"),
                         .object_uuid = uuid,
                         .all_columns = true};
    CHECK_OK(system_grant_add(f.system, f.owner, &deny, &second, &f.info));
    size_t count;
    struct grant *grants = load(&f, uuid, &count);
    assert_int_equal(count, 2);
    CHECK(grants[0].id == first && grants[1].id == second && first < second);
    CHECK(grants[0].effect == GRANT_ALLOW && grants[1].effect == GRANT_DENY);
    assert_int_equal(grants[0].privileges, PRIVILEGE_SELECT);
    CHECK(grants[0].grantee_kind == GRANTEE_ROLE && grants[1].grantee_kind == GRANTEE_USER);
    CHECK_SLICE("Analyst", grants[0].grantee);
    CHECK_SLICE("bob", grants[1].grantee);
    CHECK(slice_equal(uuid, grants[0].object_uuid));
    CHECK(!grants[0].all_columns && grants[1].all_columns);
    assert_int_equal(grants[0].column_count, 3);
    CHECK(grants[0].column_ids[0] == 1 && grants[0].column_ids[1] == 2 &&
          grants[0].column_ids[2] == 3);
    CHECK_SLICE("__moat_c3 = 'EU'", grants[0].rows);
    assert_int_equal(grants[0].mask_count, 2);
    CHECK(grants[0].masks[0].column_id == 1 && grants[0].masks[1].column_id == 2);
    CHECK_SLICE("NULL", grants[0].masks[1].expression);
    CHECK_SLICE("olga", grants[0].grantor);
    CHECK(grants[0].created_wall_us > 0);
    CHECK(grants[1].column_count == 0 && grants[1].mask_count == 0);
    (void)load(&f, SLICE(""), &count);
    assert_int_equal(count, 3);
    (void)load(&f, SLICE("no such"), &count);
    assert_int_equal(count, 0);
    fixture_close(&f);
}

TEST(system_grants, malformed_ones_are_refused_and_leave_nothing)
{
    struct fixture f;
    fixture_open(&f);
    fixture_role(&f, "r");
    fixture_user(&f, "bob");
    struct slice uuid = fixture_table(&f, f.owner, "t");
    const uint32_t one[] = {1}, absent[] = {1, 9};
    const struct grant_mask twice[] = {{1, SLICE("1")}, {1, SLICE("2")}};
    const struct grant_mask empty[] = {{1, SLICE("")}}, foreign[] = {{2, SLICE("1")}};
    const struct grant_mask unknown[] = {{9, SLICE("1")}};
    struct grant base = to_public(uuid);
    struct grant cases[15];
    enum err expected[ARRAY_COUNT(cases)];
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        cases[i] = base;
        expected[i] = ERR_INVALID;
    }
    cases[0].all_columns = false;
    cases[1].masks = twice, cases[1].mask_count = 2;
    cases[2].masks = empty, cases[2].mask_count = 1;
    cases[3].masks = foreign, cases[3].mask_count = 1;
    cases[3].all_columns = false, cases[3].column_ids = one, cases[3].column_count = 1;
    cases[4].effect = GRANT_DENY, cases[4].masks = foreign, cases[4].mask_count = 1;
    cases[5].privileges = PRIVILEGE_CREATE;
    cases[6].object_uuid = SLICE("main");
    cases[7].object_uuid = SLICE("main"), cases[7].privileges = PRIVILEGE_CREATE;
    cases[7].rows = SLICE("true");
    cases[8].privileges = 0;
    cases[9].all_columns = false, cases[9].column_ids = absent, cases[9].column_count = 2;
    cases[10].masks = unknown, cases[10].mask_count = 1;
    cases[11].grantee = SLICE("nobody");
    cases[12].grantee = SLICE("bob");
    cases[13].object_uuid = SLICE("01890000-0000-7000-8000-00000000000g");
    cases[14].object_uuid = SLICE("mian"); /* no schema, no uuid */
    for (size_t i = 9; i < ARRAY_COUNT(cases); i++) {
        expected[i] = ERR_NOT_FOUND;
    }
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        size_t count;
        CHECK_ERR(expected[i], add(&f, f.owner, &cases[i]));
        (void)load(&f, SLICE(""), &count);
        assert_int_equal(count, 0);
    }
    CHECK_ERR(ERR_NOT_FOUND, add(&f, f.owner, &cases[12]));
    CHECK(strstr(f.info.hint, "is a user") != NULL);
    CHECK_STR("42704", f.info.sqlstate);
    fixture_close(&f);
}

TEST(system_grants, belong_to_the_objects_owner_and_admins)
{
    struct fixture f;
    uint64_t id;
    size_t count;
    fixture_open(&f);
    fixture_user(&f, "bob");
    fixture_user(&f, "carol");
    struct grant grant = to_public(SLICE("main"));
    grant.privileges = PRIVILEGE_CREATE;
    CHECK_OK(add(&f, f.owner, &grant));
    struct identity *bob CLEANUP(identity_cleanup) = fixture_login(&f, "bob");
    struct identity *carol CLEANUP(identity_cleanup) = fixture_login(&f, "carol");
    struct slice bobs = fixture_table(&f, bob, "bobs");
    struct slice olgas = fixture_table(&f, f.owner, "olgas");
    grant = to_public(bobs);
    CHECK_ERR(ERR_NOT_FOUND, add(&f, carol, &grant)); /* she does not know of it */
    CHECK_OK(system_grant_add(f.system, bob, &grant, &id, &f.info));
    CHECK_ERR(ERR_DENIED, add(&f, carol, &grant)); /* now she does */
    CHECK_ERR(ERR_DENIED, system_grant_drop(f.system, carol, id, &f.info));
    CHECK_ERR(ERR_DENIED,
              system_grant_revoke(f.system, carol, GRANT_ALLOW, PRIVILEGE_SELECT, GRANTEE_ROLE,
                                  SLICE("public"), bobs, true, NULL, 0, &count, &f.info));
    CHECK_OK(system_grant_drop(f.system, bob, id, &f.info));
    CHECK_ERR(ERR_NOT_FOUND, system_grant_drop(f.system, bob, id, &f.info));
    CHECK_ERR(ERR_NOT_FOUND, system_grant_drop(f.system, f.owner, UINT64_MAX, &f.info));
    grant = to_public(olgas);
    CHECK_ERR(ERR_NOT_FOUND, add(&f, bob, &grant));
    id = fixture_grant(&f, olgas, "carol", false, NULL, 0);
    CHECK_ERR(ERR_NOT_FOUND, system_grant_drop(f.system, bob, id, &f.info));
    /* Relations that Moat makes are the admins'. */
    grant = to_public(SLICE("00000000-0000-8000-8000-000000000007"));
    CHECK_ERR(ERR_NOT_FOUND, add(&f, bob, &grant));
    CHECK_OK(add(&f, f.owner, &grant));
    /* CREATE on a schema is its owner's. */
    grant = to_public(SLICE("main"));
    grant.privileges = PRIVILEGE_CREATE;
    CHECK_ERR(ERR_DENIED, add(&f, bob, &grant));
    fixture_close(&f);
}

TEST(system_revoke, takes_columns_out_of_wider_grants)
{
    struct fixture f;
    size_t count;
    fixture_open(&f);
    fixture_role(&f, "r");
    struct slice uuid = fixture_table(&f, f.owner, "t");
    const struct grant_mask masks[] = {{1, SLICE("0")}, {2, SLICE("NULL")}};
    struct grant wide = to_public(uuid);
    wide.grantee = SLICE("r"), wide.masks = masks, wide.mask_count = 2;
    wide.rows = SLICE("true");
    CHECK_OK(add(&f, f.owner, &wide));
    (void)fixture_grant(&f, uuid, "r", true, COLUMNS(2));
    (void)fixture_grant(&f, uuid, "r", true, COLUMNS(1, 3));
    (void)fixture_grant(&f, uuid, "public", true, NULL, 0);
    uint64_t version;
    CHECK_OK(system_version(f.system, &version, &f.info));
    assert_int_equal(revoke(&f, uuid, GRANT_ALLOW, "r", COLUMNS(2)), 2);
    struct grant *grants = load(&f, uuid, &count);
    assert_int_equal(count, 3);
    CHECK(!grants[0].all_columns && grants[0].column_count == 2);
    CHECK(grants[0].column_ids[0] == 1 && grants[0].column_ids[1] == 3);
    CHECK(grants[0].mask_count == 1 && grants[0].masks[0].column_id == 1);
    CHECK_SLICE("true", grants[0].rows);
    assert_int_equal(grants[1].column_count, 2);
    CHECK(grants[2].all_columns); /* another grantee's */
    uint64_t after;
    CHECK_OK(system_version(f.system, &after, &f.info));
    CHECK(after != version);
    assert_int_equal(revoke(&f, uuid, GRANT_ALLOW, "r", COLUMNS(2)), 0);
    assert_int_equal(revoke(&f, uuid, GRANT_ALLOW, "r", COLUMNS(1, 3)), 2);
    (void)load(&f, uuid, &count);
    assert_int_equal(count, 1);
    assert_int_equal(revoke(&f, uuid, GRANT_ALLOW, "public", NULL, 0), 1);
    assert_int_equal(revoke(&f, uuid, GRANT_ALLOW, "public", NULL, 0), 0);
    fixture_close(&f);
}

TEST(system_revoke, columns_that_come_later_are_not_given_by_what_was_narrowed)
{
    struct fixture f;
    size_t count;
    fixture_open(&f);
    fixture_role(&f, "r");
    struct slice uuid = fixture_table(&f, f.owner, "t");
    (void)fixture_grant(&f, uuid, "r", true, NULL, 0);
    assert_int_equal(revoke(&f, uuid, GRANT_ALLOW, "r", COLUMNS(2)), 1);
    struct relation_column columns[4];
    memcpy(columns, fixture_columns, sizeof(fixture_columns));
    columns[3] = (struct relation_column){0, SLICE("late"), SLICE("late"), SLICE("VARCHAR")};
    struct sql_name name = fixture_name("t");
    CHECK_OK(system_relation_refresh(f.system, f.owner, &name, columns, 4, &f.info));
    struct grant *grants = load(&f, uuid, &count);
    assert_int_equal(grants[0].column_count, 2);
    /* Taking out what a grant of all never gave leaves it a grant of all. */
    (void)fixture_grant(&f, uuid, "public", true, NULL, 0);
    assert_int_equal(revoke(&f, uuid, GRANT_ALLOW, "public", COLUMNS(77)), 0);
    grants = load(&f, uuid, &count);
    CHECK(grants[1].all_columns);
    fixture_close(&f);
}

TEST(system_revoke, a_deny_of_all_is_not_opened_column_by_column)
{
    struct fixture f;
    size_t count;
    fixture_open(&f);
    struct slice uuid = fixture_table(&f, f.owner, "t");
    struct grant deny = to_public(uuid);
    deny.effect = GRANT_DENY;
    CHECK_OK(add(&f, f.owner, &deny));
    CHECK_ERR(ERR_INVALID,
              system_grant_revoke(f.system, f.owner, GRANT_DENY, PRIVILEGE_SELECT, GRANTEE_ROLE,
                                  SLICE("public"), uuid, false, COLUMNS(1), &count, &f.info));
    CHECK(strlen(f.info.hint) > 0);
    CHECK(load(&f, uuid, &count)[0].all_columns);
    assert_int_equal(revoke(&f, uuid, GRANT_ALLOW, "public", NULL, 0), 0); /* not the DENY */
    assert_int_equal(revoke(&f, uuid, GRANT_DENY, "public", NULL, 0), 1);
    const uint32_t two[] = {1, 2};
    deny.all_columns = false, deny.column_ids = two, deny.column_count = 2;
    CHECK_OK(add(&f, f.owner, &deny));
    assert_int_equal(revoke(&f, uuid, GRANT_DENY, "public", COLUMNS(1)), 1);
    struct grant *grants = load(&f, uuid, &count);
    CHECK(count == 1 && grants[0].column_count == 1 && grants[0].column_ids[0] == 2);
    /* Columns of a relation that is not registered are not known here. */
    deny = to_public(SLICE("00000000-0000-8000-8000-000000000007"));
    CHECK_OK(add(&f, f.owner, &deny));
    CHECK_ERR(ERR_UNSUPPORTED, system_grant_revoke(f.system, f.owner, GRANT_ALLOW, PRIVILEGE_SELECT,
                                                   GRANTEE_ROLE, SLICE("public"), deny.object_uuid,
                                                   false, COLUMNS(1), &count, &f.info));
    fixture_close(&f);
}

/* What a role is given of three columns, as a bit set per grant, kept by the test itself. */
struct model {
    unsigned given[64];
    size_t count;
};

static void model_revoke(struct model *model, unsigned columns)
{
    size_t kept = 0;
    for (size_t i = 0; i < model->count; i++) {
        unsigned left = model->given[i] & ~columns;
        if (left != 0) {
            model->given[kept++] = left;
        }
    }
    model->count = kept;
}

TEST(system_revoke, agrees_with_sets_of_columns)
{
    /* Method: grants and revokes at random, beside a model of bit sets. */
    struct fixture f;
    fixture_open(&f);
    struct slice uuid = fixture_table(&f, f.owner, "t");
    struct model model = {0};
    uint64_t seed = test_seed();
    for (int step = 0; step < 150; step++) {
        uint32_t ids[3];
        size_t id_count = 0;
        unsigned bits = (unsigned)test_random_below(&seed, 8);
        for (uint32_t i = 0; i < 3; i++) {
            if ((bits & 1u << i) != 0) {
                ids[id_count++] = i + 1;
            }
        }
        if (test_random_below(&seed, 2) == 0 && model.count < ARRAY_COUNT(model.given)) {
            (void)fixture_grant(&f, uuid, "public", true, ids, id_count); /* none: all */
            model.given[model.count++] = bits == 0 ? 7 : bits;
        } else if (bits != 0) {
            (void)revoke(&f, uuid, GRANT_ALLOW, "public", ids, id_count);
            model_revoke(&model, bits);
        }
        size_t count;
        struct grant *grants = load(&f, uuid, &count);
        assert_int_equal(count, model.count);
        for (size_t i = 0; i < count; i++) {
            unsigned given = grants[i].all_columns ? 7 : 0;
            for (size_t c = 0; c < grants[i].column_count; c++) {
                given |= 1u << (grants[i].column_ids[c] - 1);
            }
            assert_int_equal(given, model.given[i]);
        }
    }
    fixture_close(&f);
}

TEST(system_grants, replace_is_all_or_nothing_and_nothing_if_the_same)
{
    struct fixture f;
    size_t count;
    uint64_t before, after;
    fixture_open(&f);
    fixture_role(&f, "r");
    struct slice uuid = fixture_table(&f, f.owner, "t");
    uint64_t old_id = fixture_grant(&f, uuid, "r", true, NULL, 0);
    const uint32_t ids[] = {3, 1};
    const struct grant_mask masks[] = {{1, SLICE("NULL")}};
    struct grant wanted[] = {to_public(uuid), to_public(uuid), to_public(SLICE("MAIN"))};
    wanted[1].grantee = SLICE("R");
    wanted[1].all_columns = false, wanted[1].column_ids = ids, wanted[1].column_count = 2;
    wanted[1].masks = masks, wanted[1].mask_count = 1;
    wanted[2].privileges = PRIVILEGE_CREATE;
    CHECK_OK(system_grants_replace(f.system, f.owner, wanted, 3, &f.info));
    struct grant *grants = load(&f, SLICE(""), &count);
    assert_int_equal(count, 3);
    CHECK(grants[0].id > old_id);
    CHECK_SLICE("main", grants[2].object_uuid);
    CHECK_OK(system_version(f.system, &before, &f.info));
    CHECK_OK(system_grants_replace(f.system, f.owner, wanted, 3, &f.info));
    struct grant *again = load(&f, SLICE(""), &count);
    CHECK(count == 3 && again[0].id == grants[0].id && again[2].id == grants[2].id);
    CHECK_OK(system_version(f.system, &after, &f.info));
    assert_int_equal(before, after);
    wanted[2].grantee = SLICE("nobody");
    CHECK_ERR(ERR_NOT_FOUND, system_grants_replace(f.system, f.owner, wanted, 3, &f.info));
    CHECK_STR("It is grant 3 of 3.", f.info.detail);
    again = load(&f, SLICE(""), &count);
    CHECK(count == 3 && again[0].id == grants[0].id);
    CHECK_OK(system_grants_replace(f.system, f.owner, NULL, 0, &f.info));
    (void)load(&f, SLICE(""), &count);
    assert_int_equal(count, 0);
    fixture_close(&f);
}

TEST(system_grants, ids_and_objects_are_never_used_again)
{
    struct fixture f;
    size_t count;
    fixture_open(&f);
    struct slice uuid = fixture_table(&f, f.owner, "t");
    uint64_t id = fixture_grant(&f, uuid, "public", true, NULL, 0);
    struct sql_name name = fixture_name("t");
    CHECK_OK(system_relation_drop(f.system, f.owner, &name, RELATION_TABLE, false, false, &f.info));
    (void)load(&f, SLICE(""), &count);
    assert_int_equal(count, 0);
    struct slice again = fixture_table(&f, f.owner, "t");
    CHECK(!slice_equal(uuid, again));
    CHECK(fixture_grant(&f, again, "public", true, NULL, 0) > id);
    fixture_close(&f);
}
