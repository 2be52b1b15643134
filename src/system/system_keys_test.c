/* API keys in the store, and the identities of people whom a provider vouches for. */
#include "base/clock.h"
#include "system/credentials.h"
#include "system/system_fixture_int.h"

static enum err create(struct fixture *f, const struct identity *who, const char *user,
                       const char *name, int64_t expires_wall_us, struct api_key *ret_key)
{
    CHECK_OK(api_key_new(ret_key, NULL));
    return system_api_key_create(f->system, who, slice_of(user), slice_of(name), ret_key,
                                 expires_wall_us, &f->info);
}

static enum err revoke(struct fixture *f, const struct identity *who, const char *user,
                       const char *name)
{
    return system_api_key_revoke(f->system, who, slice_of(user), slice_of(name), &f->info);
}

static size_t count_keys(struct fixture *f, const struct identity *who)
{
    struct system_api_key *keys;
    size_t count;
    CHECK_OK(system_api_keys(f->system, who, f->arena, &keys, &count, &f->info));
    return count;
}

static bool find(struct fixture *f, const char *prefix, struct stored_key *ret_key)
{
    bool is_found;
    CHECK_OK(
        system_api_key_find(f->system, slice_of(prefix), f->arena, &is_found, ret_key, &f->info));
    return is_found;
}

TEST(system_keys, keep_a_hash_and_give_it_back_by_prefix)
{
    struct fixture f;
    struct api_key key;
    struct stored_key stored;
    fixture_open(&f);
    fixture_user(&f, "Bob");
    struct identity *bob CLEANUP(identity_cleanup) = fixture_login(&f, "bob");
    CHECK_OK(create(&f, bob, "bob", "laptop", 0, &key));
    CHECK(find(&f, key.prefix, &stored));
    assert_memory_equal(key.hash, stored.hash, sizeof(key.hash));
    CHECK_SLICE("Bob", stored.user);
    CHECK(!stored.is_revoked && stored.principal == identity_principal(bob));
    CHECK(!find(&f, "moat_aaaaaaaaaa", &stored));
    CHECK_ERR(ERR_EXISTS, create(&f, bob, "bob", "LAPTOP", 0, &key));
    CHECK_ERR(ERR_INVALID, create(&f, bob, "bob", "moat_x", 0, &key));
    CHECK_OK(revoke(&f, bob, "bob", "laptop"));
    CHECK_ERR(ERR_NOT_FOUND, revoke(&f, bob, "bob", "laptop"));
    CHECK_OK(create(&f, bob, "bob", "laptop", 0, &key)); /* the name is free again */
    CHECK_OK(revoke(&f, bob, "bob", key.prefix));
    CHECK(find(&f, key.prefix, &stored) && stored.is_revoked);
    /* One that has expired makes room too. */
    CHECK_OK(create(&f, bob, "bob", "short", clock_wall_us() - 1, &key));
    CHECK_OK(create(&f, bob, "bob", "short", 0, &key));
    assert_int_equal(4, (int)count_keys(&f, bob));
    CHECK_OK(system_user_drop(f.system, f.owner, SLICE("bob"), false, &f.info));
    CHECK(!find(&f, key.prefix, &stored));
    fixture_close(&f);
}

TEST(system_keys, are_made_by_who_may_set_the_password_and_never_by_a_key)
{
    struct fixture f;
    struct api_key key;
    fixture_open(&f);
    fixture_user(&f, "bob");
    fixture_user(&f, "anna");
    fixture_user(&f, "adam");
    fixture_user(&f, "ada");
    fixture_member(&f, SYSTEM_ROLE_ADMIN, "adam");
    fixture_member(&f, SYSTEM_ROLE_ADMIN, "ada");
    struct identity *bob CLEANUP(identity_cleanup) = fixture_login(&f, "bob");
    struct identity *adam CLEANUP(identity_cleanup) = fixture_login(&f, "adam");
    CHECK_ERR(ERR_DENIED, create(&f, bob, "anna", "k", 0, &key));
    CHECK_OK(create(&f, adam, "anna", "k", 0, &key));
    CHECK_ERR(ERR_DENIED, create(&f, adam, "ada", "k", 0, &key));
    CHECK_ERR(ERR_DENIED, create(&f, adam, "olga", "k", 0, &key));
    CHECK_OK(create(&f, f.owner, "ada", "k", 0, &key));
    CHECK_ERR(ERR_NOT_FOUND, create(&f, adam, "nobody", "k", 0, &key));
    CHECK_OK(create(&f, bob, "bob", "own", 0, &key));
    CHECK_ERR(ERR_DENIED, revoke(&f, bob, "anna", "k"));
    CHECK_OK(revoke(&f, adam, "ada", "k")); /* an incident: any admin may */
    assert_int_equal(1, (int)count_keys(&f, bob));
    assert_int_equal(3, (int)count_keys(&f, adam));
    /* A session of the key. */
    struct login login = {.provider = SLICE("apikey"),
                          .subject = SLICE("bob"),
                          .principal = identity_principal(bob),
                          .may_be_owner = true,
                          .api_key = slice_of(key.prefix)};
    struct identity *by_key CLEANUP(identity_cleanup) = NULL;
    struct identity *renewed CLEANUP(identity_cleanup) = NULL;
    CHECK_OK(system_sign_in(f.system, &login, SLICE("test"), SLICE(""), &by_key, &f.info));
    struct api_key other;
    CHECK_ERR(ERR_DENIED, create(&f, by_key, "bob", "more", 0, &other));
    CHECK_OK(system_renew(f.system, by_key, &renewed, &f.info));
    CHECK_SLICE(key.prefix, identity_sign_in(renewed)->api_key);
    CHECK_OK(revoke(&f, by_key, "bob", "own")); /* it may end itself */
    CHECK_ERR(ERR_DENIED, system_renew(f.system, renewed, &by_key, &f.info));
    CHECK_STR("the session's API key was taken back", f.info.message);
    fixture_close(&f);
}

TEST(system_keys, are_not_without_number)
{
    struct fixture f;
    struct api_key key;
    char name[16];
    fixture_open(&f);
    for (int i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof(name), "k%d", i);
        CHECK_OK(create(&f, f.owner, "olga", name, 0, &key));
    }
    CHECK_ERR(ERR_LIMIT, create(&f, f.owner, "olga", "more", 0, &key));
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 50; i++) {
            (void)snprintf(name, sizeof(name), "k%d", i);
            CHECK_OK(revoke(&f, f.owner, "olga", name));
            CHECK_OK(create(&f, f.owner, "olga", name, 0, &key));
        }
    }
    CHECK(count_keys(&f, f.owner) <= 201);
    fixture_close(&f);
}

/* ---- people of a provider ---- */

static enum err sign_in(struct fixture *f, const char *name, enum login_account account,
                        struct identity **ret_identity)
{
    static const struct slice roles[] = {{"analyst", 7}};
    static const struct identity_attribute attributes[] = {{{"region", 6}, {"EU", 2}},
                                                           {{"team", 4}, {"claims", 6}}};
    struct login login = {.provider = SLICE("oidc"),
                          .subject = slice_of(name),
                          .roles = roles,
                          .role_count = 1,
                          .attributes = attributes,
                          .attribute_count = 2,
                          .account = account};
    return system_sign_in(f->system, &login, SLICE("test"), SLICE(""), ret_identity, &f->info);
}

TEST(system_sign_in, makes_strangers_nobody_else)
{
    struct fixture f;
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    struct identity *ignored = NULL;
    struct slice value;
    fixture_open(&f);
    fixture_user(&f, "bob");
    CHECK_OK(sign_in(&f, "carl", LOGIN_ACCOUNT_SEPARATE, &who));
    CHECK(identity_principal(who) == 0 && !identity_is_owner(who));
    CHECK(identity_has_role(who, SLICE("analyst")) && identity_has_role(who, SLICE("public")));
    CHECK(identity_attribute(who, SLICE("region"), &value));
    CHECK_SLICE("EU", value);
    CHECK_ERR(ERR_DENIED, sign_in(&f, "BOB", LOGIN_ACCOUNT_SEPARATE, &ignored));
    CHECK_ERR(ERR_DENIED, sign_in(&f, "olga", LOGIN_ACCOUNT_SEPARATE, &ignored));
    CHECK_ERR(ERR_DENIED, sign_in(&f, "carl", LOGIN_ACCOUNT_REQUIRED, &ignored));
    CHECK_ERR(ERR_DENIED, system_user_create(f.system, who, SLICE("x"), SLICE(""), false, NULL));
    struct identity *renewed CLEANUP(identity_cleanup) = NULL;
    CHECK_OK(system_renew(f.system, who, &renewed, &f.info));
    /* A user of that name comes to be: the stranger is not them, in any way. */
    fixture_user(&f, "carl");
    CHECK_ERR(ERR_DENIED, system_renew(f.system, who, &ignored, &f.info));
    CHECK_ERR(ERR_DENIED, system_user_set_verifier(f.system, who, SLICE("carl"), SLICE(""), NULL));
    fixture_close(&f);
}

TEST(system_sign_in, links_accounts_only_where_told_and_never_the_owners_by_chance)
{
    struct fixture f;
    struct identity *bob CLEANUP(identity_cleanup) = NULL;
    struct identity *renewed CLEANUP(identity_cleanup) = NULL;
    struct identity *ignored = NULL;
    struct slice value;
    fixture_open(&f);
    fixture_user(&f, "bob");
    fixture_role(&f, "steward");
    fixture_member(&f, "steward", "bob");
    struct slice team = SLICE("local");
    CHECK_OK(
        system_user_set_attribute(f.system, f.owner, SLICE("bob"), SLICE("TEAM"), &team, NULL));
    CHECK_OK(sign_in(&f, "Bob", LOGIN_ACCOUNT_LINKED, &bob));
    CHECK_SLICE("bob", identity_subject(bob));
    CHECK(identity_has_role(bob, SLICE("steward")) && identity_has_role(bob, SLICE("analyst")));
    CHECK(identity_attribute(bob, SLICE("team"), &value));
    CHECK_SLICE("local", value); /* the store's word */
    CHECK_ERR(ERR_DENIED, sign_in(&f, "olga", LOGIN_ACCOUNT_LINKED, &ignored));
    CHECK_ERR(ERR_DENIED, sign_in(&f, "olga", LOGIN_ACCOUNT_REQUIRED, &ignored));
    CHECK_ERR(ERR_DENIED, sign_in(&f, "steward", LOGIN_ACCOUNT_REQUIRED, &ignored));
    /* What the token gave stays when the store is asked again; what the store gave may go. */
    CHECK_OK(system_role_revoke(f.system, f.owner, SLICE("steward"), SLICE("bob"), &f.info));
    CHECK_OK(system_renew(f.system, bob, &renewed, &f.info));
    CHECK(!identity_has_role(renewed, SLICE("steward")));
    CHECK(identity_has_role(renewed, SLICE("analyst")));
    /* A user made anew under the same name is another. */
    CHECK_OK(system_user_drop(f.system, f.owner, SLICE("bob"), false, &f.info));
    fixture_user(&f, "bob");
    CHECK_ERR(ERR_DENIED, system_renew(f.system, bob, &ignored, &f.info));
    fixture_close(&f);
}
