/* Signing in from outside with what the store knows: passwords, API keys; what the trail says. */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "arrow/value.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/test.h"
#include "identity/provider.h"
#include "query/login.h"
#include "query/query_int.h"
#include "system/credentials.h"

struct house {
    struct arena *arena;
    struct config *config;
    struct warehouse *warehouse;
    struct session *owner;
    struct errinfo info;
};

static void house_open_with(struct house *house, const char *extra, const char *more)
{
    const char *sets[4];
    *house = (struct house){.arena = arena_new(NULL, "house", 0)};
    sets[0] = arena_printf(house->arena, "warehouse.path=%s/warehouse", test_folder());
    sets[1] = "engine.threads=1";
    sets[2] = extra;
    sets[3] = more;
    size_t set_count = extra == NULL ? 2 : more == NULL ? 3 : 4;
    struct config_sources sources = {.sets = sets, .set_count = set_count};
    CHECK_OK(config_load(&sources, &house->config, &house->info));
    struct warehouse_options options = {.config = house->config, .create_if_missing = true};
    CHECK_OK(warehouse_open(&options, &house->warehouse, &house->info));
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    CHECK_OK(warehouse_login_local(house->warehouse, SLICE(""), &who, &house->info));
    CHECK_OK(session_open(house->warehouse, who, &house->owner, &house->info));
}

static void house_open(struct house *house, const char *extra)
{
    house_open_with(house, extra, NULL);
}

static void house_close(struct house *house)
{
    session_close(house->owner);
    warehouse_close(house->warehouse);
    config_free(house->config);
    arena_free(house->arena);
}

/* Runs a statement; the cells of its last row, one a line, go to `out` (may be NULL). */
static enum err ask(struct house *house, struct session *session, const char *text, struct buf *out)
{
    struct query *query CLEANUP(query_cleanup) = NULL;
    struct ArrowSchema schema = {0};
    TRY(query_open(session, slice_of(text), NULL, 0, &query, &house->info));
    if (!query_has_rows(query)) {
        return ERR_OK;
    }
    TRY(query_schema(query, &schema, &house->info));
    for (;;) {
        struct ArrowArray batch = {0};
        TRY(query_next(query, &batch, &house->info));
        if (batch.release == NULL) {
            break;
        }
        for (int64_t i = 0; out != NULL && i < schema.n_children; i++) {
            CHECK_OK(arrow_print(schema.children[i], batch.children[i], batch.length - 1, out,
                                 &house->info));
            buf_append_char(out, '\n');
        }
        batch.release(&batch);
    }
    schema.release(&schema);
    return ERR_OK;
}

static enum err login(struct house *house, enum credential_kind kind, const char *user,
                      const char *secret, struct identity **ret_identity)
{
    struct credential credential = {.kind = kind,
                                    .user = slice_of(user),
                                    .secret = slice_of(secret),
                                    .address = SLICE("192.0.2.1")};
    return warehouse_login_credential(house->warehouse, &credential, SLICE("192.0.2.1 test"),
                                      ret_identity, &house->info);
}

/* What the trail says of refused logins, one a line: user, provider, reason. */
static const char *trail(struct house *house)
{
    static struct buf out;
    buf_reset(&out);
    CHECK_OK(ask(house, house->owner,
                 "SELECT string_agg(concat_ws('|', \"user\", provider, sqlstate, reason), ';' "
                 "ORDER BY seq) FROM moat_system.audit WHERE kind = 'login' AND state = 'FAILED'",
                 &out));
    return buf_cstr(&out);
}

TEST(login, with_a_password_says_one_thing_of_whatever_is_wrong)
{
    struct house house;
    struct identity *who = NULL;
    house_open(&house, NULL);
    CHECK_OK(ask(&house, house.owner, "CREATE USER bob PASSWORD 'right'", NULL));
    CHECK_OK(ask(&house, house.owner, "CREATE USER nopass", NULL));
    CHECK_OK(login(&house, CREDENTIAL_PASSWORD, "Bob", "right", &who));
    CHECK_SLICE("bob", identity_subject(who));
    CHECK_SLICE("password", identity_provider(who));
    identity_unref(who);
    static const char *const users[] = {"bob", "nobody", "nopass", ""};
    for (size_t i = 0; i < ARRAY_COUNT(users); i++) {
        CHECK_ERR(ERR_DENIED, login(&house, CREDENTIAL_PASSWORD, users[i], "wrong", &who));
        CHECK_STR("28P01", house.info.sqlstate);
        CHECK_STR("authentication failed", house.info.message);
        CHECK_STR("", house.info.detail);
        CHECK_STR("", house.info.hint);
    }
    CHECK_STR("bob|password|28P01|the password is wrong;"
              "nobody|28P01|no provider knows the credential;"
              "nopass|28P01|no provider knows the credential;"
              "28P01|no provider knows the credential\n",
              trail(&house));
    house_close(&house);
}

static int compare_times(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

/* Of this thread: what else the machine does is not in it. */
static int64_t processor_us(void)
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0);
    return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* As much work for nobody as for somebody: medians of many tries in turns, far apart only if one of
 * them hashes nothing. */
TEST(login, takes_as_long_for_nobody_as_for_somebody)
{
    static const char *const users[] = {"bob", "nobody", "nopass"};
    int64_t times[ARRAY_COUNT(users)][41];
    struct house house;
    struct identity *who;
    house_open_with(&house, "login.account_tries=100000", "login.address_tries=1000000");
    CHECK_OK(ask(&house, house.owner, "CREATE USER bob PASSWORD 'right'", NULL));
    CHECK_OK(ask(&house, house.owner, "CREATE USER nopass", NULL));
    for (size_t i = 0; i < ARRAY_COUNT(times[0]); i++) {
        for (size_t u = 0; u < ARRAY_COUNT(users); u++) {
            int64_t start = processor_us();
            CHECK_ERR(ERR_DENIED, login(&house, CREDENTIAL_PASSWORD, users[u], "wrong", &who));
            times[u][i] = processor_us() - start;
        }
    }
    for (size_t u = 0; u < ARRAY_COUNT(users); u++) {
        qsort(times[u], ARRAY_COUNT(times[u]), sizeof(times[u][0]), compare_times);
    }
    int64_t known = times[0][20], unknown = times[1][20], without = times[2][20];
    CHECK(unknown > known / 2 && unknown < known * 2);
    CHECK(without > known / 2 && without < known * 2);
    house_close(&house);
}

TEST(login, with_an_api_key_lasts_until_it_is_taken_back)
{
    struct house house;
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    struct identity *none = NULL;
    struct session *session;
    struct buf out CLEANUP(buf_fini) = {0};
    char text[256];
    house_open(&house, NULL);
    CHECK_OK(ask(&house, house.owner, "CREATE USER bob", NULL));
    CHECK_OK(ask(&house, house.owner, "CREATE API KEY etl FOR USER bob EXPIRES IN 2 DAYS", &out));
    struct slice cells = buf_slice(&out);
    size_t at = slice_find(cells, SLICE(API_KEY_MARK));
    CHECK(slice_starts_with(cells, SLICE("etl\nbob\n")) && at != SIZE_MAX);
    char key[API_KEY_BYTES] = "";
    (void)snprintf(key, sizeof(key), "%.*s", (int)strcspn(cells.ptr + at, "\n"), cells.ptr + at);
    CHECK_OK(login(&house, CREDENTIAL_PASSWORD, "bob", key, &who));
    CHECK_SLICE("apikey", identity_provider(who));
    CHECK(identity_expiry(who) > clock_wall_us());
    CHECK_ERR(ERR_DENIED, login(&house, CREDENTIAL_PASSWORD, "anna", key, &none));
    CHECK_OK(session_open(house.warehouse, who, &session, &house.info));
    CHECK_OK(ask(&house, session, "SELECT 1", NULL));
    CHECK_ERR(ERR_DENIED, ask(&house, session, "CREATE API KEY more", NULL));
    /* Shown once: neither the list nor the trail has it. */
    buf_reset(&out);
    CHECK_OK(ask(&house, house.owner, "SHOW API KEYS FOR USER bob", &out));
    CHECK(strstr(buf_cstr(&out), "live") != NULL && strstr(buf_cstr(&out), key) == NULL);
    (void)snprintf(text, sizeof(text), "REVOKE API KEY '%s' FOR USER bob", key);
    CHECK_ERR(ERR_NOT_FOUND, ask(&house, house.owner, text, NULL)); /* not by its secret */
    buf_reset(&out);
    CHECK_OK(ask(&house, house.owner,
                 "SELECT count(*) FILTER (statement LIKE '%moat\\_%\\_***%' ESCAPE '\\'), "
                 "count(*) FILTER (api_key LIKE 'moat_%') FROM moat_system.audit",
                 &out));
    /* its start and its end; the login, and start and end of two statements */
    CHECK_STR("2\n5\n", buf_cstr(&out));
    CHECK_OK(ask(&house, house.owner, "REVOKE API KEY etl FOR USER bob", NULL));
    CHECK_ERR(ERR_DENIED, ask(&house, session, "SELECT 1", NULL));
    CHECK_STR("28000", house.info.sqlstate);
    CHECK_STR("the session's API key was taken back", house.info.message);
    CHECK_ERR(ERR_DENIED, login(&house, CREDENTIAL_TOKEN, "", key, &none));
    CHECK(strstr(trail(&house), "is revoked") != NULL);
    session_close(session);
    house_close(&house);
}

TEST(login, bounds_the_life_of_keys)
{
    struct house house;
    house_open(&house, "apikey.lifetime_max=30d");
    CHECK_OK(ask(&house, house.owner, "CREATE API KEY a", NULL)); /* the shorter of the two */
    CHECK_OK(ask(&house, house.owner, "CREATE API KEY b EXPIRES IN 30 DAYS", NULL));
    CHECK_ERR(ERR_INVALID, ask(&house, house.owner, "CREATE API KEY c EXPIRES IN 31 DAYS", NULL));
    CHECK_ERR(ERR_INVALID, ask(&house, house.owner, "CREATE API KEY c EXPIRES NEVER", NULL));
    CHECK_ERR(ERR_INVALID,
              ask(&house, house.owner, "CREATE API KEY c EXPIRES AT '2020-01-01'", NULL));
    CHECK_ERR(ERR_INVALID,
              ask(&house, house.owner, "CREATE API KEY c EXPIRES AT '2027-02-29'", NULL));
    CHECK_ERR(ERR_INVALID, ask(&house, house.owner, "CREATE API KEY c EXPIRES AT 'soon'", NULL));
    house_close(&house);
}

TEST(login, of_who_tries_too_often_waits)
{
    struct house house;
    struct identity *who = NULL;
    house_open(&house, "login.account_tries=3");
    CHECK_OK(ask(&house, house.owner, "CREATE USER bob PASSWORD 'right'", NULL));
    for (int i = 0; i < 3; i++) {
        CHECK_ERR(ERR_DENIED, login(&house, CREDENTIAL_PASSWORD, "bob", "wrong", &who));
        CHECK_ERR(ERR_DENIED, login(&house, CREDENTIAL_PASSWORD, "nobody", "wrong", &who));
    }
    CHECK_ERR(ERR_BUSY, login(&house, CREDENTIAL_PASSWORD, "bob", "right", &who));
    CHECK_STR("53300", house.info.sqlstate);
    CHECK_ERR(ERR_BUSY, login(&house, CREDENTIAL_PASSWORD, "nobody", "right", &who));
    CHECK(strstr(trail(&house), "bob|53300|too many tries") != NULL);
    house_close(&house);
}

/* ---- many at once ---- */

#define SIDE_BY_SIDE 200

struct crowd {
    struct house *house;
    const char *secret;
    atomic_uint right;
    atomic_uint wrong; /* looked at, and refused for what they are */
    atomic_uint refused;
};

static void *one_of_crowd(void *context)
{
    struct crowd *crowd = context;
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    struct errinfo info;
    struct credential credential = {.kind = CREDENTIAL_PASSWORD,
                                    .user = SLICE("bob"),
                                    .secret = slice_of(crowd->secret),
                                    .address = SLICE("192.0.2.1")};
    enum err err = warehouse_login_credential(crowd->house->warehouse, &credential,
                                              SLICE("192.0.2.1 test"), &who, &info);
    atomic_fetch_add(err == ERR_OK       ? &crowd->right
                     : err == ERR_DENIED ? &crowd->wrong
                                         : &crowd->refused,
                     1);
    return NULL;
}

static void run_crowd(struct crowd *crowd)
{
    pthread_t threads[SIDE_BY_SIDE];
    for (size_t i = 0; i < SIDE_BY_SIDE; i++) {
        CHECK(pthread_create(&threads[i], NULL, one_of_crowd, crowd) == 0);
    }
    for (size_t i = 0; i < SIDE_BY_SIDE; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
}

/* Goal: neither is a right login refused because others are under way, nor does an attacker get
 * more wrong ones looked at by trying them side by side. Far more at once than the limits. */
TEST(login, counts_only_wrong_ones_however_many_are_under_way)
{
    struct house house;
    house_open_with(&house, "login.account_tries=7", "login.window=1h");
    CHECK_OK(ask(&house, house.owner, "CREATE USER bob PASSWORD 'right'", NULL));
    struct crowd right = {.house = &house, .secret = "right"};
    run_crowd(&right);
    CHECK(atomic_load(&right.right) == SIDE_BY_SIDE);
    struct crowd wrong = {.house = &house, .secret = "wrong"};
    run_crowd(&wrong);
    CHECK(atomic_load(&wrong.wrong) == 7);
    CHECK(atomic_load(&wrong.refused) == SIDE_BY_SIDE - 7);
    run_crowd(&right);
    CHECK(atomic_load(&right.right) == SIDE_BY_SIDE); /* the account is full of wrong ones */
    house_close(&house);
}

/* A sign-in that has ended ends the session's next statement. */
TEST(login, that_has_expired_asks_nothing_more)
{
    struct house house;
    struct session *session;
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    house_open(&house, NULL);
    struct login stranger = {.provider = SLICE("oidc"),
                             .subject = SLICE("carl"),
                             .account = LOGIN_ACCOUNT_SEPARATE,
                             .expires_wall_us = clock_wall_us() + 2000000};
    CHECK_OK(system_sign_in(house.warehouse->system, &stranger, SLICE("test"), SLICE(""), &who,
                            &house.info));
    CHECK_OK(session_open(house.warehouse, who, &session, &house.info));
    CHECK_OK(ask(&house, session, "SELECT 1", NULL));
    while (clock_wall_us() < stranger.expires_wall_us) {
        (void)usleep(10000);
    }
    CHECK_ERR(ERR_DENIED, ask(&house, session, "SELECT 1", NULL));
    CHECK_STR("28000", house.info.sqlstate);
    CHECK_STR("the session's sign-in has expired", house.info.message);
    session_close(session);
    house_close(&house);
}

TEST(login, stops_on_a_configuration_that_would_not_hold)
{
    struct house house;
    house_open(&house, "login.providers=password, oidc");
    CHECK_ERR(ERR_INVALID, warehouse_open_login(house.warehouse, &house.info));
    CHECK(strstr(house.info.message, "oidc.issuer") != NULL);
    house_close(&house);
    house_open(&house, "oidc.client_secret_file=/etc/passwd");
    CHECK_ERR(ERR_DENIED, warehouse_open_login(house.warehouse, &house.info));
    house_close(&house);
}
