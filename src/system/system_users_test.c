#include "system/system_fixture_int.h"

#define VERIFIER                                                                                   \
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"    \
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

static enum err create_user(struct fixture *f, const struct identity *who, const char *name)
{
    return system_user_create(f->system, who, slice_of(name), SLICE(""), false, &f->info);
}

static enum err drop_user(struct fixture *f, const struct identity *who, const char *name)
{
    return system_user_drop(f->system, who, slice_of(name), false, &f->info);
}

static enum err grant_role(struct fixture *f, const struct identity *who, const char *role,
                           const char *member)
{
    return system_role_grant(f->system, who, slice_of(role), slice_of(member), &f->info);
}

static enum err set(struct fixture *f, const struct identity *who, const char *user,
                    const char *attribute, const char *value)
{
    struct slice text = slice_of(value);
    return system_user_set_attribute(f->system, who, slice_of(user), slice_of(attribute),
                                     value == NULL ? NULL : &text, &f->info);
}

static enum err set_verifier(struct fixture *f, const struct identity *who, const char *user)
{
    return system_user_set_verifier(f->system, who, slice_of(user), SLICE(VERIFIER), &f->info);
}

static size_t user_count(struct fixture *f, const struct identity *who,
                         struct system_user **ret_users)
{
    size_t count = 0;
    CHECK_OK(system_users(f->system, who, f->arena, ret_users, &count, &f->info));
    return count;
}

TEST(system_login, resolves_nested_roles_attributes_and_public)
{
    struct fixture f;
    fixture_open(&f);
    fixture_user(&f, "Bob");
    fixture_role(&f, "analyst");
    fixture_role(&f, "reader");
    fixture_role(&f, "base");
    fixture_role(&f, "unrelated");
    fixture_member(&f, "base", "reader");
    fixture_member(&f, "reader", "analyst");
    fixture_member(&f, "analyst", "bob");
    fixture_member(&f, "base", "bob");
    CHECK_OK(set(&f, f.owner, "bob", "region", "EU"));
    CHECK_OK(set(&f, f.owner, "bob", "Region", "US"));
    CHECK_OK(set(&f, f.owner, "bob", "team", "x"));
    CHECK_OK(set(&f, f.owner, "bob", "TEAM", NULL));
    struct identity *bob CLEANUP(identity_cleanup) = fixture_login(&f, "BOB");
    CHECK_SLICE("Bob", identity_subject(bob));
    assert_int_equal(identity_role_count(bob), 4);
    CHECK(identity_has_role(bob, SLICE("analyst")) && identity_has_role(bob, SLICE("reader")) &&
          identity_has_role(bob, SLICE("base")) && identity_has_role(bob, SLICE("public")));
    struct slice value;
    assert_int_equal(identity_attribute_count(bob), 1);
    CHECK(identity_attribute(bob, SLICE("region"), &value));
    CHECK_SLICE("US", value);
    CHECK(!identity_is_owner(bob));
    assert_int_equal(identity_actor(bob).len, 0);
    fixture_close(&f);
}

TEST(system_login, only_the_owner_acts_as_others_and_is_then_not_the_owner)
{
    struct fixture f;
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    struct identity *none = NULL;
    fixture_open(&f);
    fixture_user(&f, "bob");
    fixture_user(&f, "eve");
    fixture_member(&f, SYSTEM_ROLE_ADMIN, "eve");
    CHECK_OK(system_login(f.system, SLICE("bob"), SLICE("olga"), SLICE("local"), SLICE("t"), &who,
                          &f.info));
    CHECK_SLICE("bob", identity_subject(who));
    CHECK_SLICE("olga", identity_actor(who));
    CHECK(!identity_is_owner(who));
    CHECK_ERR(ERR_DENIED, system_login(f.system, SLICE("bob"), SLICE("eve"), SLICE("local"),
                                       SLICE("t"), &none, &f.info));
    CHECK_ERR(ERR_DENIED, system_login(f.system, SLICE("eve"), SLICE("eve"), SLICE("local"),
                                       SLICE("t"), &none, &f.info));
    CHECK(none == NULL);
    /* What bob may not do, the owner as bob may not do either. */
    CHECK_ERR(ERR_DENIED, create_user(&f, who, "x"));
    fixture_close(&f);
}

TEST(system_login, roles_and_strangers_cannot_log_in)
{
    struct fixture f;
    fixture_open(&f);
    const char *const names[] = {"nobody", "public", "moat_admin", "", "olga'--"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct identity *who = NULL;
        CHECK_ERR(ERR_NOT_FOUND, system_login(f.system, slice_of(names[i]), SLICE(""),
                                              SLICE("local"), SLICE("t"), &who, &f.info));
        CHECK(who == NULL);
    }
    fixture_close(&f);
}

TEST(system_users, people_without_rights_change_nothing)
{
    struct fixture f;
    fixture_open(&f);
    fixture_user(&f, "bob");
    fixture_user(&f, "carol");
    fixture_role(&f, "analyst");
    struct identity *bob CLEANUP(identity_cleanup) = fixture_login(&f, "bob");
    uint64_t before, after;
    CHECK_OK(system_version(f.system, &before, &f.info));
    CHECK_ERR(ERR_DENIED, create_user(&f, bob, "x"));
    CHECK_ERR(ERR_DENIED, drop_user(&f, bob, "carol"));
    CHECK_ERR(ERR_DENIED, drop_user(&f, bob, "bob"));
    CHECK_ERR(ERR_DENIED, set(&f, bob, "carol", "region", "EU"));
    CHECK_ERR(ERR_DENIED, set(&f, bob, "bob", "region", "EU"));
    CHECK_ERR(ERR_DENIED, set_verifier(&f, bob, "carol"));
    CHECK_ERR(ERR_DENIED, set_verifier(&f, bob, "olga"));
    CHECK_ERR(ERR_DENIED, system_role_create(f.system, bob, SLICE("r"), false, &f.info));
    CHECK_ERR(ERR_DENIED, system_role_drop(f.system, bob, SLICE("analyst"), false, &f.info));
    CHECK_ERR(ERR_DENIED, grant_role(&f, bob, "analyst", "bob"));
    CHECK_ERR(ERR_DENIED, grant_role(&f, bob, SYSTEM_ROLE_ADMIN, "bob"));
    CHECK_ERR(ERR_DENIED, system_schema_create(f.system, bob, SLICE("s"), false, &f.info));
    CHECK_ERR(ERR_DENIED, system_grants_replace(f.system, bob, NULL, 0, &f.info));
    CHECK_OK(system_version(f.system, &after, &f.info));
    assert_int_equal(before, after);
    /* Whether somebody else exists is not told to them either: */
    CHECK_ERR(ERR_DENIED, set(&f, bob, "no such user", "a", "b"));
    CHECK_OK(set_verifier(&f, bob, "BOB"));
    fixture_close(&f);
}

TEST(system_users, a_forged_or_outdated_identity_gives_no_rights)
{
    struct fixture f;
    fixture_open(&f);
    fixture_user(&f, "bob");
    fixture_user(&f, "gone");
    fixture_member(&f, SYSTEM_ROLE_ADMIN, "bob");
    struct identity *bob CLEANUP(identity_cleanup) = fixture_login(&f, "bob");
    struct identity *gone CLEANUP(identity_cleanup) = fixture_login(&f, "gone");
    CHECK_OK(create_user(&f, bob, "made_by_bob"));
    CHECK_OK(
        system_role_revoke(f.system, f.owner, SLICE(SYSTEM_ROLE_ADMIN), SLICE("bob"), &f.info));
    CHECK(identity_has_role(bob, SLICE(SYSTEM_ROLE_ADMIN))); /* his session still says so */
    CHECK_ERR(ERR_DENIED, create_user(&f, bob, "x"));
    struct system_user *users;
    assert_int_equal(user_count(&f, bob, &users), 1);
    CHECK_OK(drop_user(&f, f.owner, "gone"));
    CHECK_ERR(ERR_DENIED, set_verifier(&f, gone, "gone"));
    /* Says that they own the warehouse, but do not; or has expired. */
    struct identity_spec liar = {.subject = SLICE("bob"), .provider = SLICE("x"), .is_owner = true};
    struct identity_spec late = {
        .subject = SLICE("olga"), .provider = SLICE("x"), .is_owner = true, .expires_wall_us = 1};
    struct identity *forged CLEANUP(identity_cleanup) = NULL;
    struct identity *expired CLEANUP(identity_cleanup) = NULL;
    CHECK_OK(identity_new(&liar, &forged, NULL));
    CHECK_OK(identity_new(&late, &expired, NULL));
    CHECK_ERR(ERR_DENIED, create_user(&f, forged, "x"));
    CHECK_ERR(ERR_DENIED, create_user(&f, expired, "x"));
    fixture_close(&f);
}

TEST(system_users, admins_do_not_reach_the_owner_or_each_other)
{
    struct fixture f;
    fixture_open(&f);
    fixture_user(&f, "adam");
    fixture_user(&f, "ada");
    fixture_user(&f, "bob");
    fixture_role(&f, "ops");
    fixture_role(&f, "plain");
    fixture_member(&f, SYSTEM_ROLE_ADMIN, "ops");
    fixture_member(&f, "ops", "adam");
    fixture_member(&f, SYSTEM_ROLE_ADMIN, "ada");
    struct identity *adam CLEANUP(identity_cleanup) = fixture_login(&f, "adam");
    /* What they may: */
    CHECK_OK(create_user(&f, adam, "new"));
    CHECK_OK(grant_role(&f, adam, "plain", "new"));
    CHECK_OK(set(&f, adam, "new", "region", "EU"));
    CHECK_OK(set_verifier(&f, adam, "new"));
    CHECK_OK(set_verifier(&f, adam, "adam"));
    CHECK_OK(drop_user(&f, adam, "new"));
    /* The owner: */
    CHECK_ERR(ERR_DENIED, drop_user(&f, adam, "olga"));
    CHECK_ERR(ERR_DENIED, set_verifier(&f, adam, "olga"));
    CHECK_ERR(ERR_DENIED, set(&f, adam, "OLGA", "region", "EU"));
    CHECK_ERR(ERR_DENIED, drop_user(&f, f.owner, "olga"));
    CHECK_OK(set(&f, f.owner, "olga", "region", "EU"));
    CHECK_OK(set_verifier(&f, f.owner, "olga"));
    /* Another admin, and making or unmaking one: */
    CHECK_ERR(ERR_DENIED, set_verifier(&f, adam, "ada"));
    CHECK_ERR(ERR_DENIED, set(&f, adam, "ada", "region", "EU"));
    CHECK_ERR(ERR_DENIED, drop_user(&f, adam, "ada"));
    CHECK_ERR(ERR_DENIED, grant_role(&f, adam, SYSTEM_ROLE_ADMIN, "bob"));
    CHECK_ERR(ERR_DENIED, grant_role(&f, adam, "ops", "bob"));
    CHECK_ERR(ERR_DENIED, grant_role(&f, adam, SYSTEM_ROLE_ADMIN, "plain"));
    CHECK_ERR(ERR_DENIED,
              system_role_revoke(f.system, adam, SLICE(SYSTEM_ROLE_ADMIN), SLICE("ada"), &f.info));
    CHECK_ERR(ERR_DENIED, system_role_drop(f.system, adam, SLICE("ops"), false, &f.info));
    CHECK_OK(drop_user(&f, f.owner, "ada"));
    fixture_close(&f);
}

TEST(system_users, names_are_one_space_folded_and_checked)
{
    struct fixture f;
    fixture_open(&f);
    fixture_user(&f, "bob");
    fixture_role(&f, "analyst");
    CHECK_ERR(ERR_EXISTS, create_user(&f, f.owner, "BOB"));
    CHECK_ERR(ERR_EXISTS, create_user(&f, f.owner, "Analyst"));
    CHECK_ERR(ERR_EXISTS, system_role_create(f.system, f.owner, SLICE("bob"), true, &f.info));
    CHECK_OK(system_user_create(f.system, f.owner, SLICE("bob"), SLICE(""), true, &f.info));
    CHECK_ERR(ERR_INVALID, create_user(&f, f.owner, "Public"));
    CHECK_STR("42939", f.info.sqlstate);
    CHECK_ERR(ERR_INVALID, create_user(&f, f.owner, "MOAT_ADMIN"));
    CHECK_ERR(ERR_INVALID, create_user(&f, f.owner, ""));
    CHECK_ERR(ERR_INVALID, create_user(&f, f.owner, "a\nb"));
    CHECK_ERR(ERR_INVALID, create_user(&f, f.owner, "\xFF"));
    CHECK_OK(create_user(&f, f.owner, "'; DROP TABLE principal; --"));
    CHECK_OK(drop_user(&f, f.owner, "'; DROP TABLE principal; --"));
    CHECK_ERR(ERR_NOT_FOUND, drop_user(&f, f.owner, "bbo"));
    CHECK_STR("Did you mean \"bob\"?", f.info.hint);
    CHECK_STR("42704", f.info.sqlstate);
    CHECK_ERR(ERR_NOT_FOUND, drop_user(&f, f.owner, "analyst"));
    CHECK(strstr(f.info.hint, "is a role") != NULL);
    CHECK_OK(system_user_drop(f.system, f.owner, SLICE("nobody"), true, &f.info));
    CHECK_ERR(ERR_INVALID, system_role_drop(f.system, f.owner, SLICE("public"), false, &f.info));
    CHECK_ERR(ERR_INVALID,
              system_role_drop(f.system, f.owner, SLICE(SYSTEM_ROLE_ADMIN), false, &f.info));
    fixture_close(&f);
}

TEST(system_users, verifiers_are_checked_and_shown_to_admins_only)
{
    struct fixture f;
    struct system_user *users;
    fixture_open(&f);
    CHECK_OK(system_user_create(f.system, f.owner, SLICE("bob"), SLICE(VERIFIER), false, &f.info));
    CHECK_ERR(ERR_INVALID,
              system_user_create(f.system, f.owner, SLICE("x"), SLICE("secret"), false, &f.info));
    CHECK_ERR(ERR_INVALID,
              system_user_set_verifier(f.system, f.owner, SLICE("bob"), SLICE("secret"), &f.info));
    CHECK(strstr(f.info.message, "secret") == NULL);
    CHECK_OK(set(&f, f.owner, "bob", "region", "EU"));
    assert_int_equal(user_count(&f, f.owner, &users), 2);
    CHECK_SLICE("bob", users[0].name);
    CHECK_SLICE(VERIFIER, users[0].verifier);
    CHECK(!users[0].is_owner && users[1].is_owner);
    assert_int_equal(users[0].attribute_count, 1);
    CHECK_SLICE("EU", users[0].attributes[0].value);
    struct identity *bob CLEANUP(identity_cleanup) = fixture_login(&f, "bob");
    assert_int_equal(user_count(&f, bob, &users), 1);
    CHECK_SLICE("bob", users[0].name);
    CHECK_SLICE("", users[0].verifier);
    CHECK_OK(system_user_set_verifier(f.system, bob, SLICE("bob"), SLICE(""), &f.info));
    assert_int_equal(user_count(&f, f.owner, &users), 2);
    CHECK_SLICE("", users[0].verifier);
    fixture_close(&f);
}

static int refuse_row(UNUSED void *context, UNUSED int columns, UNUSED char **values,
                      UNUSED char **names)
{
    return 1;
}

TEST(system_users, dropping_takes_grants_and_memberships_along_but_not_relations)
{
    struct fixture f;
    fixture_open(&f);
    fixture_user(&f, "bob");
    fixture_role(&f, "analyst");
    fixture_member(&f, "analyst", "bob");
    struct slice uuid = fixture_table(&f, f.owner, "t");
    (void)fixture_grant(&f, uuid, "bob", false, NULL, 0);
    (void)fixture_grant(&f, uuid, "analyst", true, (const uint32_t[]){1}, 1);
    struct grant *grants;
    struct system_member *members;
    size_t count;
    CHECK_OK(drop_user(&f, f.owner, "bob"));
    CHECK(sqlite3_exec(f.system->db, "PRAGMA foreign_key_check", refuse_row, NULL, NULL) ==
          SQLITE_OK); /* nothing is left that only looks gone */
    CHECK_OK(system_grants(f.system, f.owner, uuid, f.arena, &grants, &count, &f.info));
    assert_int_equal(count, 1);
    CHECK_SLICE("analyst", grants[0].grantee);
    CHECK_OK(system_members(f.system, f.owner, f.arena, &members, &count, &f.info));
    assert_int_equal(count, 0);
    CHECK_OK(system_role_drop(f.system, f.owner, SLICE("analyst"), false, &f.info));
    CHECK_OK(system_grants(f.system, f.owner, SLICE(""), f.arena, &grants, &count, &f.info));
    assert_int_equal(count, 0);
    /* Somebody of the same name later gets nothing of what the first had. */
    fixture_user(&f, "bob");
    struct identity *bob CLEANUP(identity_cleanup) = fixture_login(&f, "bob");
    assert_int_equal(identity_role_count(bob), 1);
    /* Owners stay. */
    fixture_member(&f, SYSTEM_ROLE_ADMIN, "bob");
    struct identity *admin CLEANUP(identity_cleanup) = fixture_login(&f, "bob");
    (void)fixture_table(&f, admin, "bobs");
    CHECK_ERR(ERR_INVALID, drop_user(&f, f.owner, "bob"));
    CHECK_STR("2BP01", f.info.sqlstate);
    CHECK_STR("It owns \"main.bobs\".", f.info.detail);
    CHECK(strlen(f.info.hint) > 0);
    fixture_close(&f);
}

TEST(system_roles, a_role_is_never_in_itself)
{
    struct fixture f;
    fixture_open(&f);
    fixture_role(&f, "a");
    fixture_role(&f, "b");
    fixture_role(&f, "c");
    fixture_role(&f, "d");
    fixture_member(&f, "b", "a"); /* a in b in c; d beside */
    fixture_member(&f, "c", "b");
    fixture_member(&f, "d", "a");
    fixture_member(&f, "c", "d");
    fixture_member(&f, "c", "a");
    CHECK_ERR(ERR_INVALID, grant_role(&f, f.owner, "a", "A"));
    CHECK_ERR(ERR_INVALID, grant_role(&f, f.owner, "a", "b"));
    CHECK(strstr(f.info.message, "(\"a\" in \"b\")") != NULL);
    CHECK_ERR(ERR_INVALID, grant_role(&f, f.owner, "b", "c"));
    CHECK(strstr(f.info.message, "(\"b\" in \"c\")") != NULL);
    CHECK_OK(system_role_revoke(f.system, f.owner, SLICE("c"), SLICE("a"), &f.info));
    CHECK_OK(system_role_revoke(f.system, f.owner, SLICE("c"), SLICE("d"), &f.info));
    CHECK_ERR(ERR_INVALID, grant_role(&f, f.owner, "a", "c"));
    CHECK(strstr(f.info.message, "(\"a\" in \"b\" in \"c\")") != NULL);
    CHECK_STR("0LP01", f.info.sqlstate);
    CHECK_ERR(ERR_INVALID, grant_role(&f, f.owner, "a", "d"));
    CHECK_OK(system_role_revoke(f.system, f.owner, SLICE("b"), SLICE("a"), &f.info));
    CHECK_OK(grant_role(&f, f.owner, "a", "c"));
    fixture_close(&f);
}

TEST(system_roles, deep_and_wide_nesting_is_resolved_quickly)
{
    /* Goal: a ladder of diamonds has 2^40 ways through it. Method: log in at its foot, and close
     * it to a ring. */
    struct fixture f;
    fixture_open(&f);
    fixture_user(&f, "bob");
    char name[3][16] = {"bob", "", ""};
    for (int i = 0; i < 40; i++) {
        (void)snprintf(name[1], sizeof(name[1]), "l%d", i);
        (void)snprintf(name[2], sizeof(name[2]), "r%d", i);
        fixture_role(&f, name[1]);
        fixture_role(&f, name[2]);
        for (int from = 0; from < (i == 0 ? 1 : 2); from++) {
            char below[16];
            (void)snprintf(below, sizeof(below), i == 0 ? "bob" : from ? "r%d" : "l%d", i - 1);
            fixture_member(&f, name[1], below);
            fixture_member(&f, name[2], below);
        }
    }
    struct identity *bob CLEANUP(identity_cleanup) = fixture_login(&f, "bob");
    assert_int_equal(identity_role_count(bob), 81);
    CHECK_ERR(ERR_INVALID, grant_role(&f, f.owner, "l0", "r39"));
    CHECK(strstr(f.info.message, "in \"r39\")") != NULL);
    fixture_close(&f);
}

TEST(system_roles, everybody_sees_only_their_own)
{
    struct fixture f;
    struct slice *roles;
    struct system_member *members;
    size_t count;
    fixture_open(&f);
    fixture_user(&f, "bob");
    fixture_user(&f, "carol");
    fixture_role(&f, "analyst");
    fixture_role(&f, "reader");
    fixture_role(&f, "secret_project");
    fixture_member(&f, "reader", "analyst");
    fixture_member(&f, "analyst", "bob");
    fixture_member(&f, "secret_project", "carol");
    struct identity *bob CLEANUP(identity_cleanup) = fixture_login(&f, "bob");
    CHECK_OK(system_roles(f.system, bob, f.arena, &roles, &count, &f.info));
    assert_int_equal(count, 3);
    CHECK_SLICE("analyst", roles[0]);
    CHECK_SLICE("public", roles[1]);
    CHECK_SLICE("reader", roles[2]);
    CHECK_OK(system_members(f.system, bob, f.arena, &members, &count, &f.info));
    assert_int_equal(count, 2);
    CHECK_SLICE("analyst", members[0].role);
    CHECK_SLICE("bob", members[0].member);
    CHECK(!members[0].member_is_role && members[1].member_is_role);
    CHECK_OK(system_roles(f.system, f.owner, f.arena, &roles, &count, &f.info));
    assert_int_equal(count, 5);
    CHECK_OK(system_members(f.system, f.owner, f.arena, &members, &count, &f.info));
    assert_int_equal(count, 3);
    fixture_close(&f);
}

TEST(system_roles, public_and_wrong_names_are_refused)
{
    struct fixture f;
    fixture_open(&f);
    fixture_user(&f, "bob");
    fixture_role(&f, "analyst");
    CHECK_ERR(ERR_INVALID, grant_role(&f, f.owner, "public", "bob"));
    CHECK_ERR(ERR_INVALID, grant_role(&f, f.owner, "analyst", "PUBLIC"));
    CHECK_ERR(ERR_NOT_FOUND, grant_role(&f, f.owner, "analyts", "bob"));
    CHECK_STR("Did you mean \"analyst\"?", f.info.hint);
    CHECK_ERR(ERR_NOT_FOUND, grant_role(&f, f.owner, "bob", "analyst"));
    CHECK_OK(grant_role(&f, f.owner, "analyst", "bob"));
    CHECK_OK(grant_role(&f, f.owner, "analyst", "bob"));
    CHECK_OK(system_role_revoke(f.system, f.owner, SLICE("analyst"), SLICE("bob"), &f.info));
    CHECK_ERR(ERR_NOT_FOUND,
              system_role_revoke(f.system, f.owner, SLICE("analyst"), SLICE("bob"), &f.info));
    fixture_close(&f);
}
