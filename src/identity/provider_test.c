/* The small parts: API keys, OAUTHBEARER, name rules, claims, limits on tries. */
#include "base/hash.h"
#include "base/sweep.h"
#include "identity/claims_int.h"
#include "identity/guard.h"
#include "identity/identity_fixture_int.h"

/* ---- API keys ---- */

TEST(api_key, is_known_by_its_text_alone)
{
    struct api_key key, parsed, other;
    CHECK_OK(api_key_new(&key, NULL));
    CHECK_OK(api_key_new(&other, NULL));
    CHECK(strcmp(key.text, other.text) != 0 && strcmp(key.prefix, other.prefix) != 0);
    CHECK(api_key_parse(slice_of(key.text), &parsed));
    CHECK_STR(key.prefix, parsed.prefix);
    CHECK(hash_equal(key.hash, parsed.hash, sizeof(key.hash)));
    CHECK(slice_starts_with(slice_of(key.text), slice_of(key.prefix)));
    for (size_t i = 0; key.text[i] != '\0'; i++) {
        char kept = key.text[i];
        key.text[i] = kept == 'a' ? 'b' : 'a';
        CHECK(!api_key_parse(slice_of(key.text), &parsed));
        key.text[i] = kept;
    }
    CHECK(!api_key_parse((struct slice){key.text, strlen(key.text) - 1}, &parsed));
    CHECK(!api_key_parse(SLICE(""), &parsed) && !api_key_parse(SLICE("moat_"), &parsed));
}

/* ---- OAUTHBEARER ---- */

TEST(oauthbearer, reads_the_messages_of_the_rfc)
{
    static const struct {
        const char *message, *user, *token;
    } good[] = {
        {"n,a=user@example.com,\001host=server.example.com\001port=143\001auth=Bearer "
         "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\001\001",
         "user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="},
        {"n,,\001auth=bearer abc\001\001", "", "abc"},
        {"y,a=a=2Cb=3Dc,\001auth=Bearer   x.y-z\001\001", "a,b=c", "x.y-z"},
        {"n,,\001auth=\001\001", "", ""}, /* asks what it would need */
    };
    static const char *const bad[] = {
        "",
        "n",
        "n,,",
        "n,,\001",
        "n,,\001\001",
        "p=tls-unique,,\001auth=Bearer x\001\001",
        "n,x=1,\001auth=Bearer x\001\001",
        "n,a=,\001auth=Bearer x\001\001",
        "n,a=a=2cb,\001auth=Bearer x\001\001",
        "n,a=a=,\001auth=Bearer x\001\001",
        "n,,\001auth=Bearer x\001",
        "n,,\001auth=Bearer x\001\001x",
        "n,,\001auth=Bearer x\001auth=Bearer y\001\001",
        "n,,\001auth=Basic x\001\001",
        "n,,\001auth=Bearerx\001\001",
        "n,,\001auth=Bearer x y\001\001",
        "n,,\001auth=Bearer \001\001",
        "n,,\001host\001auth=Bearer x\001\001",
        "n,,\0011=2\001auth=Bearer x\001\001",
        "n,,x\001auth=Bearer x\001\001",
    };
    struct arena *arena = arena_new(NULL, "test", 0);
    struct oauthbearer response;
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        CHECK_OK(oauthbearer_parse(slice_of(good[i].message), arena, &response, NULL));
        CHECK_SLICE(good[i].user, response.user);
        CHECK_SLICE(good[i].token, response.token);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        CHECK_ERR(ERR_INVALID, oauthbearer_parse(slice_of(bad[i]), arena, &response, NULL));
    }
    struct buf out CLEANUP(buf_fini) = {0};
    oauthbearer_failure(SLICE("https://id.example.com/realms/x"), SLICE("moat"), &out);
    CHECK_STR("{\"status\":\"invalid_token\",\"scope\":\"moat\",\"openid-configuration\":"
              "\"https://id.example.com/realms/x/.well-known/openid-configuration\"}",
              buf_cstr(&out));
    arena_free(arena);
}

/* ---- rules ---- */

TEST(name_rule, takes_parts_of_names_between_their_separators)
{
    static const struct {
        const char *rule, *text, *name; /* NULL: does not fit */
    } cases[] = {
        {"*@example.com => {1}", "bob@example.com", "bob"},
        {"*@example.com => {1}", "bob@evil.com@example.com", NULL},
        {"*@example.com => {1}", "bob@example.com.evil.org", NULL},
        {"*@example.com => {1}", "@example.com", NULL},
        {"*@example.com => {1}", "bob@Example.com", NULL},
        {"spiffe://corp/ns/*/sa/* => {1}-{2}", "spiffe://corp/ns/moat/sa/etl", "moat-etl"},
        {"spiffe://corp/ns/*/sa/* => {2}", "spiffe://corp/ns/moat/x/sa/etl", NULL},
        {"CN=etl,O=Acme => etl", "CN=etl,O=Acme", "etl"},
        {"CN=*,O=Acme => {1}", "CN=x,CN=root,O=Acme", NULL},
        {"*.*.example => {1}", "a.b.c.example", "a"},
    };
    static const char *const bad[] = {
        "", "a", "=> b", "a =>", "a => {1}", "* => {2}", "* => {x}", "* => {", "*a*b*c*d*e => {1}"};
    struct arena *arena = arena_new(NULL, "test", 0);
    struct name_rule rule;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        bool applies;
        struct slice name;
        CHECK_OK(name_rule_parse(slice_of(cases[i].rule), &rule, NULL));
        CHECK_OK(name_rule_apply(&rule, slice_of(cases[i].text), arena, &applies, &name, NULL));
        CHECK(applies == (cases[i].name != NULL));
        if (applies) {
            CHECK_SLICE(cases[i].name, name);
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        CHECK_ERR(ERR_INVALID, name_rule_parse(slice_of(bad[i]), &rule, NULL));
    }
    arena_free(arena);
}

/* ---- claims ---- */

static const char keycloak[] =
    "{\"sub\":\"0c1d\",\"preferred_username\":\"bob\",\"email\":\"bob@example.com\","
    "\"email_verified\":true,\"realm_access\":{\"roles\":[\"moat-analyst\",\"offline_access\","
    "\"moat-moat_admin\",\"moat-public\",7,\"reporting\"]},"
    "\"resource_access\":{\"moat\":{\"roles\":[\"moat-steward\"]}},"
    "\"scope\":\"openid moat-reader\",\"https://x.org/level\":3,"
    "\"org\":{\"department\":\"risk\",\"sites\":[\"A\",\"B\"],\"deep\":[{}]},\"region\":\"EU\"}";

static struct oidc_options claim_options(void)
{
    return (struct oidc_options){.subject_claim = SLICE("sub"),
                                 .name_claim = SLICE("preferred_username"),
                                 .roles_allowed = SLICE("*")};
}

static bool has_role(const struct login *login, const char *role)
{
    for (size_t i = 0; i < login->role_count; i++) {
        if (slice_equal(login->roles[i], slice_of(role))) {
            return true;
        }
    }
    return false;
}

static const char *attribute(const struct login *login, const char *name)
{
    static char text[128];
    for (size_t i = 0; i < login->attribute_count; i++) {
        if (slice_equal(login->attributes[i].name, slice_of(name))) {
            (void)snprintf(text, sizeof(text), "%.*s", SLICE_ARGS(login->attributes[i].value));
            return text;
        }
    }
    return "(none)";
}

TEST(claims, give_roles_and_attributes_by_rules_only)
{
    struct arena *arena = arena_new(NULL, "test", 0);
    struct oidc_options options = claim_options();
    struct json *claims;
    struct login login = {0};
    CHECK_OK(jose_object(arena, slice_of(keycloak), &claims, NULL));
    CHECK_OK(claims_apply(&options, claims, arena, &login, NULL));
    CHECK_SLICE("0c1d", login.subject);
    CHECK_SLICE("bob", login.display_name);
    assert_int_equal(0, (int)login.role_count);
    assert_int_equal(0, (int)login.attribute_count);

    options.roles_claims = SLICE("realm_access.roles, resource_access.moat.roles, scope, absent.x");
    options.role_prefix = SLICE("moat-");
    options.role_map = SLICE("reporting=reporter, nobody=x");
    options.attributes =
        SLICE("region=region, department=org.department, level=https://x\\.org/level,"
              "sites=org.sites, deep=org.deep, none=org.none");
    CHECK_OK(claims_check_options(&options, NULL));
    CHECK_OK(claims_apply(&options, claims, arena, &login, NULL));
    CHECK(has_role(&login, "analyst") && has_role(&login, "steward") &&
          has_role(&login, "reader") && has_role(&login, "reporter"));
    assert_int_equal(4, (int)login.role_count); /* and not Moat's own */
    CHECK_STR("EU", attribute(&login, "region"));
    CHECK_STR("risk", attribute(&login, "department"));
    CHECK_STR("3", attribute(&login, "level"));
    CHECK_STR("[\"A\",\"B\"]", attribute(&login, "sites"));
    CHECK_STR("(none)", attribute(&login, "deep"));

    options.roles_allowed = SLICE("stew*");
    CHECK_OK(claims_apply(&options, claims, arena, &login, NULL));
    assert_int_equal(2, (int)login.role_count); /* what the map names is allowed by it */
    CHECK(has_role(&login, "steward") && has_role(&login, "reporter"));
    arena_free(arena);
}

TEST(claims, name_somebody_or_refuse)
{
    struct arena *arena = arena_new(NULL, "test", 0);
    struct oidc_options options = claim_options();
    struct json *claims, *unverified;
    struct login login = {0};
    CHECK_OK(jose_object(arena, slice_of(keycloak), &claims, NULL));
    CHECK_OK(jose_object(arena,
                         SLICE("{\"email\":\"bob@example.com\",\"email_verified\":false,"
                               "\"sub\":\"a\\u202eb\"}"),
                         &unverified, NULL));
    options.subject_claim = SLICE("email");
    options.subject_rule = SLICE("*@example.com => {1}");
    CHECK_OK(claims_apply(&options, claims, arena, &login, NULL));
    CHECK_SLICE("bob", login.subject);
    CHECK(!login.may_be_owner);
    CHECK_ERR(ERR_DENIED, claims_apply(&options, unverified, arena, &login, NULL));
    options.subject_rule = SLICE("*@other.com => {1}");
    CHECK_ERR(ERR_DENIED, claims_apply(&options, claims, arena, &login, NULL));
    options.subject_rule = SLICE("bob@example.com => olga");
    CHECK_OK(claims_apply(&options, claims, arena, &login, NULL));
    CHECK(login.may_be_owner);
    options = claim_options();
    CHECK_ERR(ERR_DENIED, claims_apply(&options, unverified, arena, &login, NULL));
    options.subject_claim = SLICE("realm_access");
    CHECK_ERR(ERR_DENIED, claims_apply(&options, claims, arena, &login, NULL));

    CHECK_OK(claims_require(SLICE("region=EU, realm_access.roles=reporting"), claims, NULL));
    CHECK_ERR(ERR_DENIED, claims_require(SLICE("region=eu"), claims, NULL));
    CHECK_ERR(ERR_DENIED, claims_require(SLICE("absent=1"), claims, NULL));
    static const char *const bad_maps[] = {"a", "a=", "=b", "a=moat_admin", "a=Public"};
    for (size_t i = 0; i < ARRAY_COUNT(bad_maps); i++) {
        options.role_map = slice_of(bad_maps[i]);
        CHECK_ERR(ERR_INVALID, claims_check_options(&options, NULL));
    }
    options = claim_options();
    options.attributes = SLICE("a=x, A=y");
    CHECK_ERR(ERR_INVALID, claims_check_options(&options, NULL));
    arena_free(arena);
}

/* ---- limits on tries, in a time of their own ---- */

#define SECOND 1000000

/* A wrong try. */
static bool enter(struct login_guard *guard, const char *address, const char *account, int64_t now)
{
    struct login_guard_refusal refused;
    if (login_guard_try(guard, slice_of(address), slice_of(account), now, &refused) !=
        LOGIN_GUARD_MAY) {
        return false;
    }
    login_guard_leave(guard, slice_of(address), slice_of(account), false, now);
    return true;
}

static enum login_guard_answer begin(struct login_guard *guard, const char *address,
                                     const char *account, int64_t now)
{
    struct login_guard_refusal refused;
    return login_guard_try(guard, slice_of(address), slice_of(account), now, &refused);
}

static void end(struct login_guard *guard, const char *address, const char *account, bool is_right,
                int64_t now)
{
    login_guard_leave(guard, slice_of(address), slice_of(account), is_right, now);
}

static struct login_guard *new_guard(unsigned account_max, unsigned address_max)
{
    struct login_guard_options options = {account_max, address_max, 60 * (int64_t)SECOND};
    struct login_guard *guard;
    CHECK_OK(login_guard_new(&options, &guard, NULL));
    return guard;
}

TEST(login_guard, lets_few_wrong_tries_through_and_slowly_more)
{
    struct login_guard *guard CLEANUP(login_guard_cleanup) = new_guard(5, 1000);
    int64_t now = 1000 * (int64_t)SECOND;
    struct login_guard_refusal refused = {0};
    struct slice elsewhere = SLICE("10.9.9.9"), bob = SLICE("bob");
    for (int i = 0; i < 5; i++) {
        CHECK(enter(guard, "10.0.0.1", i % 2 == 0 ? "bob" : "BOB", now));
    }
    CHECK(!login_guard_look(guard, elsewhere, bob, now, &refused));
    CHECK(refused.is_news); /* and a flood of them is not */
    for (int i = 0; i < 100; i++) {
        CHECK(login_guard_try(guard, elsewhere, bob, now + i, &refused) == LOGIN_GUARD_FULL);
        CHECK(!refused.is_news);
    }
    CHECK(login_guard_try(guard, elsewhere, bob, now + SECOND, &refused) == LOGIN_GUARD_FULL);
    CHECK(refused.is_news);
    CHECK(refused.wait_us > 0 && refused.wait_us <= 12 * (int64_t)SECOND);
    CHECK(enter(guard, "10.0.0.1", "anna", now)); /* nobody else is locked out */
    CHECK(!enter(guard, "10.0.0.1", "bob", now + 11 * (int64_t)SECOND));
    CHECK(begin(guard, "10.0.0.1", "bob", now + 12 * (int64_t)SECOND) == LOGIN_GUARD_MAY);
    CHECK(begin(guard, "10.0.0.1", "bob", now + 12 * (int64_t)SECOND) == LOGIN_GUARD_LINE);
    end(guard, "10.0.0.1", "bob", true, now + 12 * (int64_t)SECOND);
    for (int i = 0; i < 5; i++) {
        CHECK(enter(guard, "10.0.0.1", "bob", now + 12 * (int64_t)SECOND));
    }
}

/* What is under way is neither right nor wrong: it takes a place, and refuses nobody. */
TEST(login_guard, makes_others_wait_for_tries_under_way)
{
    struct login_guard *guard CLEANUP(login_guard_cleanup) = new_guard(3, 1000);
    struct login_guard_refusal refused;
    int64_t now = 1000 * (int64_t)SECOND;
    for (int i = 0; i < 3; i++) {
        CHECK(begin(guard, "10.0.0.1", "bob", now) == LOGIN_GUARD_MAY);
    }
    CHECK(begin(guard, "10.0.0.2", "bob", now) == LOGIN_GUARD_LINE);
    CHECK(login_guard_look(guard, SLICE("10.0.0.2"), SLICE("bob"), now, &refused));
    end(guard, "10.0.0.1", "bob", false, now);
    CHECK(begin(guard, "10.0.0.2", "bob", now) == LOGIN_GUARD_LINE);
    end(guard, "10.0.0.1", "bob", false, now);
    end(guard, "10.0.0.1", "bob", false, now);
    CHECK(begin(guard, "10.0.0.2", "bob", now) == LOGIN_GUARD_FULL);
    CHECK(!login_guard_look(guard, SLICE("10.0.0.2"), SLICE("bob"), now, &refused));
    /* A right one forgives what was wrong, and not what may yet be. */
    now += 20 * (int64_t)SECOND;
    CHECK(begin(guard, "10.0.0.1", "bob", now) == LOGIN_GUARD_MAY);
    end(guard, "10.0.0.1", "bob", true, now);
    CHECK(begin(guard, "10.0.0.1", "bob", now) == LOGIN_GUARD_MAY);
    CHECK(begin(guard, "10.0.0.1", "bob", now) == LOGIN_GUARD_MAY);
    CHECK(begin(guard, "10.0.0.9", "bob", now) == LOGIN_GUARD_MAY);
    end(guard, "10.0.0.9", "bob", true, now);
    end(guard, "10.0.0.1", "bob", false, now);
    end(guard, "10.0.0.1", "bob", false, now);
    CHECK(enter(guard, "10.0.0.1", "bob", now));
    CHECK(!enter(guard, "10.0.0.1", "bob", now));
}

/* Goal: who gives up an exchange is no better off than who was wrong, and locks nobody out for
 * longer than that. */
TEST(login_guard, counts_what_was_no_try)
{
    struct login_guard *guard CLEANUP(login_guard_cleanup) = new_guard(3, 1000);
    int64_t now = 1000 * (int64_t)SECOND;
    for (int i = 0; i < 300; i++) {
        login_guard_blame(guard, SLICE("10.0.0.1"), SLICE("bob"), now);
    }
    CHECK(!enter(guard, "10.0.0.2", "bob", now + 19 * (int64_t)SECOND));
    CHECK(enter(guard, "10.0.0.2", "bob", now + 20 * (int64_t)SECOND));
}

TEST(login_guard, counts_an_address_and_a_network_of_ipv6)
{
    struct login_guard *guard CLEANUP(login_guard_cleanup) = new_guard(1000, 3);
    char account[32];
    int64_t now = 1000 * (int64_t)SECOND;
    for (int i = 0; i < 4; i++) {
        char address[64];
        (void)snprintf(account, sizeof(account), "user%d", i);
        (void)snprintf(address, sizeof(address), "2001:db8:1:2:%d::1", i);
        CHECK(enter(guard, address, account, now) == (i < 3));
        CHECK(enter(guard, "192.0.2.7", account, now) == (i < 3));
        (void)snprintf(address, sizeof(address), "::ffff:192.0.2.%d", i);
        CHECK(enter(guard, address, account, now)); /* of IPv4 each is its own */
    }
}

/* A right try is no try: a thousand programs of one account behind one address go on. */
TEST(login_guard, takes_right_tries_back)
{
    struct login_guard *guard CLEANUP(login_guard_cleanup) = new_guard(3, 3);
    for (int i = 0; i < 1000; i++) {
        CHECK(begin(guard, "192.0.2.7", "etl", 5 * (int64_t)SECOND) == LOGIN_GUARD_MAY);
        end(guard, "192.0.2.7", "etl", true, 5 * (int64_t)SECOND);
    }
}

/* However many names somebody makes up, the table stays as large as it is, and does not forget the
 * one who tried most. */
TEST(login_guard, keeps_the_worst_in_a_table_of_fixed_size)
{
    struct login_guard *guard CLEANUP(login_guard_cleanup) = new_guard(20, 1000000);
    char name[32];
    int64_t now = 1000 * (int64_t)SECOND;
    for (int i = 0; i < 20; i++) {
        CHECK(enter(guard, "192.0.2.7", "victim", now));
    }
    for (int i = 0; i < 50000; i++) {
        (void)snprintf(name, sizeof(name), "made-up-%d", i);
        CHECK(enter(guard, "192.0.2.8", name, now));
    }
    CHECK(!enter(guard, "192.0.2.9", "victim", now));
}
