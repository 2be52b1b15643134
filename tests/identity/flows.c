/* Signing in by a real issuer, whichever the suite has started: what it is called is in the
 * environment (see suite.py). One warehouse, its sessions, and the issuer's tokens as they come. */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/test.h"
#include "identity/provider.h"
#include "query/login.h"
#include "query/query.h"

struct house {
    struct arena *arena;
    struct config *config;
    struct warehouse *warehouse;
    struct errinfo info;
};

static const char *given(const char *name)
{
    const char *value = getenv(name);
    if (value == NULL) {
        fail_msg("%s is not set: run suite.py", name);
    }
    return value;
}

static const char *set(struct house *house, const char *key, const char *value)
{
    const char *text = arena_printf(house->arena, "%s=%s", key, value);
    CHECK(text != NULL);
    return text;
}

static void house_open(struct house *house, const char *extra)
{
    *house = (struct house){.arena = arena_new(NULL, "house", 0)};
    const char *folder = arena_printf(house->arena, "%s/warehouse", test_folder());
    const char *sets[] = {set(house, "warehouse.path", folder),
                          "engine.threads=1",
                          "login.providers=password, apikey, oidc",
                          "login.refusal_time=10ms",
                          "login.account_tries=1000",
                          "oidc.insecure_loopback=true",
                          "oidc.password_grant=true",
                          "oidc.client_credentials=true",
                          "oidc.client_id=moat",
                          "oidc.audience=moat",
                          "oidc.name_claim=preferred_username",
                          "oidc.subject_claim=preferred_username",
                          "oidc.roles_claim=realm_access.roles",
                          "oidc.role_prefix=moat-",
                          "oidc.skew=0",
                          "oidc.keys_pause=1s",
                          "oidc.refresh_before=2s",
                          set(house, "oidc.issuer", given("MOAT_OIDC_ISSUER")),
                          set(house, "oidc.scope", given("MOAT_OIDC_SCOPE")),
                          set(house, "oidc.attributes", given("MOAT_OIDC_ATTRIBUTES")),
                          set(house, "oidc.client_secret_file", given("MOAT_OIDC_SECRET_FILE")),
                          extra};
    struct config_sources sources = {.sets = sets,
                                     .set_count = ARRAY_COUNT(sets) - (extra == NULL)};
    CHECK_OK(config_load(&sources, &house->config, &house->info));
    struct warehouse_options options = {.config = house->config, .create_if_missing = true};
    CHECK_OK(warehouse_open(&options, &house->warehouse, &house->info));
    CHECK_OK(warehouse_open_login(house->warehouse, &house->info));
}

static void house_close(struct house *house)
{
    warehouse_close(house->warehouse);
    config_free(house->config);
    arena_free(house->arena);
}

static enum err login(struct house *house, enum credential_kind kind, const char *user,
                      const char *secret, struct identity **ret_identity)
{
    struct credential credential = {.kind = kind,
                                    .user = slice_of(user),
                                    .secret = slice_of(secret),
                                    .address = SLICE("192.0.2.1")};
    enum err err = warehouse_login_credential(house->warehouse, &credential, SLICE("flows"),
                                              ret_identity, &house->info);
    if (err != ERR_OK && err != ERR_DENIED) {
        print_message("%s\n", house->info.message);
    }
    return err;
}

/* The token in the header that an identity mints. */
static char *token_of(struct house *house, const struct identity *who)
{
    struct secret header CLEANUP(secret_fini) = {0};
    CHECK_OK(identity_authorization(who, &header, &house->info));
    CHECK(slice_starts_with(secret_slice(&header), SLICE("Bearer ")));
    char *token = mem_strdup(header.ptr + strlen("Bearer "));
    CHECK(token != NULL);
    return token;
}

static enum err ask(struct house *house, struct session *session)
{
    struct query *query CLEANUP(query_cleanup) = NULL;
    return query_open(session, SLICE("SELECT current_user"), NULL, 0, &query, &house->info);
}

TEST(flows, a_password_is_the_issuers_to_judge)
{
    struct house house;
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    struct identity *none = NULL;
    struct slice region;
    house_open(&house, NULL);
    CHECK_OK(login(&house, CREDENTIAL_PASSWORD, "bob", "bob-password", &who));
    CHECK_SLICE("bob", identity_subject(who));
    CHECK_SLICE("oidc", identity_provider(who));
    CHECK(identity_has_role(who, SLICE("analyst")) && identity_has_role(who, SLICE("public")));
    assert_int_equal(2, (int)identity_role_count(who));
    CHECK(identity_attribute(who, SLICE("region"), &region));
    CHECK_SLICE("EU", region);
    CHECK_ERR(ERR_DENIED, login(&house, CREDENTIAL_PASSWORD, "bob", "wrong", &none));
    CHECK_STR("28P01", house.info.sqlstate);
    CHECK_ERR(ERR_DENIED, login(&house, CREDENTIAL_PASSWORD, "nobody", "wrong", &none));
    CHECK_STR("authentication failed", house.info.message);
    house_close(&house);
}

TEST(flows, a_token_opens_in_every_form_and_changed_in_none)
{
    struct house house;
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    house_open(&house, NULL);
    CHECK_OK(login(&house, CREDENTIAL_PASSWORD, "anna", "anna-password", &who));
    CHECK(identity_has_role(who, SLICE("steward")) && !identity_has_role(who, SLICE("moat_admin")));
    char *token CLEANUP(mem_free_cleanup) = token_of(&house, who);
    struct identity *again = NULL;
    CHECK_OK(login(&house, CREDENTIAL_TOKEN, "", token, &again));
    identity_unref(again);
    CHECK_OK(login(&house, CREDENTIAL_PASSWORD, "anna", token, &again));
    identity_unref(again);
    struct buf message CLEANUP(buf_fini) = {0};
    buf_printf(&message, "n,a=anna,\001auth=Bearer %s\001\001", token);
    CHECK_OK(login(&house, CREDENTIAL_OAUTHBEARER, "", message.ptr, &again));
    identity_unref(again);
    CHECK_ERR(ERR_DENIED, login(&house, CREDENTIAL_PASSWORD, "bob", token, &again));
    uint64_t seed = test_seed();
    for (int i = 0; i < 50; i++) {
        size_t at = test_random_below(&seed, strlen(token));
        char kept = token[at];
        token[at] = kept == 'A' ? 'B' : 'A';
        CHECK_ERR(ERR_DENIED, login(&house, CREDENTIAL_TOKEN, "", token, &again));
        token[at] = kept;
    }
    house_close(&house);
}

TEST(flows, a_client_signs_in_as_itself)
{
    struct house house;
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    struct identity *none = NULL;
    house_open(&house, NULL);
    CHECK_OK(login(&house, CREDENTIAL_PASSWORD, "client:etl", "etl-secret", &who));
    CHECK_SLICE("oidc", identity_provider(who));
    CHECK_ERR(ERR_DENIED, login(&house, CREDENTIAL_PASSWORD, "client:etl", "wrong", &none));
    CHECK_ERR(ERR_DENIED, login(&house, CREDENTIAL_PASSWORD, "client:nobody", "x", &none));
    house_close(&house);
}

TEST(flows, what_is_passed_on_is_exchanged)
{
    struct house house;
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    struct identity *plain CLEANUP(identity_cleanup) = NULL;
    struct identity *none = NULL;
    house_open(&house, NULL);
    CHECK_OK(login(&house, CREDENTIAL_PASSWORD, "bob", "bob-password", &plain));
    char *token CLEANUP(mem_free_cleanup) = token_of(&house, plain);
    house_close(&house);
    house_open(&house, "oidc.exchange_audience=catalog");
    CHECK_OK(login(&house, CREDENTIAL_TOKEN, "", token, &who));
    char *exchanged CLEANUP(mem_free_cleanup) = token_of(&house, who);
    CHECK(strcmp(token, exchanged) != 0);
    /* It is for the catalog, and so not for us. */
    CHECK_ERR(ERR_DENIED, login(&house, CREDENTIAL_TOKEN, "", exchanged, &none));
    house_close(&house);
}

/* Past the life of its first token: with a refresh token it goes on, without one it ends. */
TEST(flows, a_session_is_renewed_or_ends_with_its_token)
{
    struct house house;
    struct identity *who = NULL;
    struct session *renewable, *bearer;
    house_open(&house, NULL);
    CHECK_OK(login(&house, CREDENTIAL_PASSWORD, "bob", "bob-password", &who));
    char *token CLEANUP(mem_free_cleanup) = token_of(&house, who);
    int64_t expiry = identity_expiry(who);
    CHECK_OK(session_open(house.warehouse, who, &renewable, &house.info));
    identity_unref(who);
    CHECK_OK(login(&house, CREDENTIAL_TOKEN, "", token, &who));
    CHECK_OK(session_open(house.warehouse, who, &bearer, &house.info));
    identity_unref(who);
    CHECK_OK(ask(&house, bearer));
    while (clock_wall_us() < expiry + 1000000) {
        struct timespec pause = {0, 200000000};
        (void)nanosleep(&pause, NULL);
        CHECK_OK(ask(&house, renewable));
    }
    CHECK_SLICE("bob", identity_subject(session_identity(renewable)));
    CHECK(identity_has_role(session_identity(renewable), SLICE("analyst")));
    CHECK(identity_expiry(session_identity(renewable)) > expiry);
    char *renewed CLEANUP(mem_free_cleanup) = token_of(&house, session_identity(renewable));
    CHECK(strcmp(token, renewed) != 0);
    CHECK_ERR(ERR_DENIED, ask(&house, bearer));
    CHECK_STR("28000", house.info.sqlstate);
    CHECK_STR("the session's sign-in has expired", house.info.message);
    struct identity *none = NULL;
    CHECK_ERR(ERR_DENIED, login(&house, CREDENTIAL_TOKEN, "", token, &none));
    CHECK_STR("the token has expired", house.info.message);
    session_close(bearer);
    session_close(renewable);
    house_close(&house);
}

/* The suite, which started the issuer, replaces its key when it reads a line, and says when. */
static void rotate(void)
{
    char answer[16] = "";
    int out = (int)strtol(given("MOAT_OIDC_ASK_FD"), NULL, 10);
    int in = (int)strtol(given("MOAT_OIDC_ANSWER_FD"), NULL, 10);
    CHECK(write(out, "rotate\n", 7) == 7);
    CHECK(read(in, answer, sizeof(answer) - 1) > 0);
    CHECK_STR("rotated\n", answer);
}

TEST(flows, keys_that_the_issuer_replaces_are_followed)
{
    struct house house;
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    struct identity *next CLEANUP(identity_cleanup) = NULL;
    house_open(&house, NULL);
    CHECK_OK(login(&house, CREDENTIAL_PASSWORD, "bob", "bob-password", &who));
    char *token CLEANUP(mem_free_cleanup) = token_of(&house, who);
    struct identity *none = NULL;
    sleep(2); /* keys_pause */
    rotate();
    CHECK_OK(login(&house, CREDENTIAL_PASSWORD, "bob", "bob-password", &next));
    if (strcmp(given("MOAT_OIDC_ROTATION"), "replace") == 0) {
        CHECK_ERR(ERR_DENIED, login(&house, CREDENTIAL_TOKEN, "", token, &none));
    }
    house_close(&house);
}
