#include <pthread.h>
#include <unistd.h>

#include "base/sweep.h"
#include "base/test.h"
#include "identity/identity.h"

static struct identity *make(const struct identity_spec *spec)
{
    struct identity *who = NULL;
    CHECK_OK(identity_new(spec, &who, NULL));
    return who;
}

static const struct identity_attribute attributes[] = {
    {{"region", 6}, {"EU", 2}}, {{"Level", 5}, {"3", 1}}, {{"empty", 5}, {"", 0}}};

static struct identity_spec full_spec(const struct slice *roles, size_t role_count)
{
    return (struct identity_spec){.subject = SLICE("alice"),
                                  .display_name = SLICE("Alice A."),
                                  .provider = SLICE("local"),
                                  .actor = SLICE("bob"),
                                  .client = SLICE("embedded"),
                                  .roles = roles,
                                  .role_count = role_count,
                                  .attributes = attributes,
                                  .attribute_count = ARRAY_COUNT(attributes),
                                  .expires_wall_us = 1000};
}

TEST(identity, roles_are_sorted_without_duplicates_and_found_in_any_case)
{
    const struct slice roles[] = {SLICE("sales"), SLICE("public"), SLICE("Analyst"), SLICE("SALES"),
                                  SLICE("b")};
    struct identity_spec spec = full_spec(roles, ARRAY_COUNT(roles));
    struct identity *who CLEANUP(identity_cleanup) = make(&spec);
    assert_int_equal(identity_role_count(who), 4);
    CHECK_SLICE("Analyst", identity_role(who, 0));
    CHECK_SLICE("b", identity_role(who, 1));
    CHECK_SLICE("public", identity_role(who, 2));
    CHECK(slice_equal_fold(identity_role(who, 3), SLICE("sales")));
    CHECK(identity_has_role(who, SLICE("ANALYST")));
    CHECK(identity_has_role(who, SLICE("sales")));
    CHECK(!identity_has_role(who, SLICE("sale")));
    CHECK(!identity_has_role(who, SLICE("")));
}

TEST(identity, keeps_copies_of_all_it_is_given)
{
    char subject[] = "alice";
    struct slice roles[] = {SLICE("r")};
    struct identity_spec spec = full_spec(roles, 1);
    spec.subject = slice_of(subject);
    struct identity *who CLEANUP(identity_cleanup) = make(&spec);
    subject[0] = 'X';
    roles[0] = SLICE("other");
    CHECK_SLICE("alice", identity_subject(who));
    CHECK_SLICE("Alice A.", identity_display_name(who));
    CHECK_SLICE("local", identity_provider(who));
    CHECK_SLICE("bob", identity_actor(who));
    CHECK_SLICE("embedded", identity_client(who));
    CHECK_SLICE("r", identity_role(who, 0));
    CHECK(!identity_is_owner(who));
    assert_int_equal(identity_session_id(who).len, 36);
    struct slice value = SLICE("untouched");
    CHECK(identity_attribute(who, SLICE("REGION"), &value));
    CHECK_SLICE("EU", value);
    CHECK(!identity_attribute(who, SLICE("regio"), &value));
    CHECK_SLICE("EU", value);
    assert_int_equal(identity_attribute_count(who), 3);
    CHECK_SLICE("empty", identity_attribute_at(who, 0).name);
    CHECK(!identity_is_expired(who, 999));
    CHECK(identity_is_expired(who, 1000));
}

TEST(identity, nobody_expires_without_an_expiry)
{
    struct identity_spec spec = {.subject = SLICE("a"), .provider = SLICE("local")};
    struct identity *who CLEANUP(identity_cleanup) = make(&spec);
    CHECK(!identity_is_expired(who, INT64_MAX));
    assert_int_equal(identity_role_count(who), 0);
    CHECK(!identity_has_role(who, SLICE("public")));
}

TEST(identity, each_session_has_its_own_id)
{
    struct identity_spec spec = {.subject = SLICE("a"), .provider = SLICE("local")};
    struct identity *one CLEANUP(identity_cleanup) = make(&spec);
    struct identity *two CLEANUP(identity_cleanup) = make(&spec);
    CHECK(!slice_equal(identity_session_id(one), identity_session_id(two)));
    CHECK(identity_fingerprint(one) == identity_fingerprint(two));
}

TEST(identity, refuses_names_that_a_reader_could_not_see)
{
    static char long_name[IDENTITY_NAME_BYTES_MAX + 1];
    memset(long_name, 'a', sizeof(long_name));
    const struct slice bad[] = {SLICE(""),
                                SLICE("a\nb"),
                                SLICE("a\0b"),
                                SLICE("\x7F"),
                                SLICE("\xC2\x85"),
                                SLICE("a\xE2\x80\xAE"),
                                SLICE("\xE2\x80\xA8"),
                                SLICE("\xFF"),
                                SLICE("\xC0\x80"),
                                SLICE("\xEF\xBB\xBF"
                                      "a"),
                                SLICE("\xE2\x80\x8B"),
                                {long_name, sizeof(long_name)}};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct errinfo info;
        struct identity *who = NULL;
        const struct identity_attribute attribute = {bad[i], SLICE("v")};
        struct identity_spec as_subject = {.subject = bad[i], .provider = SLICE("local")};
        struct identity_spec as_role = {
            .subject = SLICE("a"), .provider = SLICE("local"), .roles = &bad[i], .role_count = 1};
        struct identity_spec as_attribute = {.subject = SLICE("a"),
                                             .provider = SLICE("local"),
                                             .attributes = &attribute,
                                             .attribute_count = 1};
        CHECK(!identity_name_is_valid(bad[i]));
        CHECK_ERR(ERR_INVALID, identity_new(&as_subject, &who, &info));
        CHECK_ERR(ERR_INVALID, identity_new(&as_role, &who, &info));
        CHECK_ERR(ERR_INVALID, identity_new(&as_attribute, &who, &info));
        CHECK(who == NULL);
        CHECK(strlen(info.hint) > 0);
    }
    CHECK(identity_name_is_valid(SLICE("Jos\xC3\xA9 \xE6\xB0\xB4 \xF0\x9F\x90\x9F")));
    CHECK(identity_name_is_valid((struct slice){long_name, IDENTITY_NAME_BYTES_MAX}));
}

TEST(identity, refuses_attributes_that_are_double_or_no_text)
{
    const struct identity_attribute cases[][2] = {
        {{SLICE("a"), SLICE("1")}, {SLICE("A"), SLICE("2")}},
        {{SLICE("a"), SLICE("1")}, {SLICE("b"), SLICE("x\0y")}},
        {{SLICE("a"), SLICE("1")}, {SLICE("b"), SLICE("\xED\xA0\x80")}}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct identity *who = NULL;
        struct identity_spec spec = {.subject = SLICE("a"),
                                     .provider = SLICE("local"),
                                     .attributes = cases[i],
                                     .attribute_count = 2};
        CHECK_ERR(ERR_INVALID, identity_new(&spec, &who, NULL));
        CHECK(who == NULL);
    }
}

static uint64_t print_of(bool is_owner, struct slice subject, const struct slice *roles,
                         size_t role_count, const struct identity_attribute *list, size_t count)
{
    struct identity_spec spec = {.subject = subject,
                                 .provider = SLICE("local"),
                                 .is_owner = is_owner,
                                 .roles = roles,
                                 .role_count = role_count,
                                 .attributes = list,
                                 .attribute_count = count};
    struct identity *who CLEANUP(identity_cleanup) = make(&spec);
    return identity_fingerprint(who);
}

TEST(identity, fingerprint_tells_apart_what_policy_can_tell_apart)
{
    /* Method: shapes whose texts are the same when simply put together. */
    const struct slice ab_c[] = {SLICE("ab"), SLICE("c")};
    const struct slice a_bc[] = {SLICE("a"), SLICE("bc")};
    const struct slice c_ab[] = {SLICE("c"), SLICE("ab")};
    const struct slice upper[] = {SLICE("AB"), SLICE("C")};
    const struct identity_attribute x_yz[] = {{SLICE("x"), SLICE("yz")}};
    const struct identity_attribute xy_z[] = {{SLICE("xy"), SLICE("z")}};
    const struct identity_attribute value_case[] = {{SLICE("x"), SLICE("YZ")}};
    struct slice s = SLICE("s");
    uint64_t prints[] = {print_of(false, s, NULL, 0, NULL, 0),
                         print_of(true, s, NULL, 0, NULL, 0),
                         print_of(false, SLICE("sab"), NULL, 0, NULL, 0),
                         print_of(false, s, ab_c, 2, NULL, 0),
                         print_of(false, s, a_bc, 2, NULL, 0),
                         print_of(false, s, a_bc, 1, NULL, 0),
                         print_of(false, s, NULL, 0, x_yz, 1),
                         print_of(false, s, NULL, 0, xy_z, 1),
                         print_of(false, s, NULL, 0, value_case, 1),
                         print_of(false, s, ab_c, 2, x_yz, 1)};
    for (size_t i = 0; i < ARRAY_COUNT(prints); i++) {
        for (size_t k = 0; k < i; k++) {
            CHECK(prints[i] != prints[k]);
        }
    }
    CHECK(print_of(false, s, c_ab, 2, NULL, 0) == prints[3]);
    CHECK(print_of(false, s, upper, 2, NULL, 0) == prints[3]);
}

TEST(identity, every_failing_allocation_is_a_clean_error)
{
    const struct slice roles[] = {SLICE("x"), SLICE("y")};
    struct identity_spec spec = full_spec(roles, 2);
    unsigned failures = 0;
    SWEEP_ALLOC(fault)
    {
        struct identity *who = NULL;
        enum err err = identity_new(&spec, &who, NULL);
        CHECK(err == (fault.fired ? ERR_NOMEM : ERR_OK));
        CHECK((who == NULL) == fault.fired);
        failures += fault.fired;
        identity_unref(who);
    }
    CHECK(failures >= 4);
}

static void *ref_and_unref(void *context)
{
    for (int i = 0; i < 20000; i++) {
        struct identity *who = identity_ref(context);
        ASSERT(identity_has_role(who, SLICE("x")));
        identity_unref(who);
    }
    return NULL;
}

TEST(identity, may_be_shared_by_threads)
{
    const struct slice roles[] = {SLICE("x"), SLICE("y")};
    struct identity_spec spec = full_spec(roles, 2);
    struct identity *who = make(&spec);
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ref_and_unref, who), 0);
    }
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    identity_unref(who);
}

TEST(identity, os_user_is_not_taken_from_the_environment)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct slice before = {0};
    struct slice after = {0};
    CHECK_OK(identity_os_user(arena, &before, NULL));
    CHECK(before.len > 0);
    CHECK(setenv("USER", "mallory", 1) == 0 && setenv("LOGNAME", "mallory", 1) == 0);
    CHECK_OK(identity_os_user(arena, &after, NULL));
    CHECK(slice_equal(before, after));
}
