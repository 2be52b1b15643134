/* Goal: credentials come out of an answer whole or not at all, a policy names one folder and
 * nothing else, and what a service says is told for what it means. Real services: tests/lake. */
#include "base/mem.h"
#include "base/sweep.h"
#include "base/test.h"
#include "fetch/fetch.h"
#include "fetch/testing.h"
#include "storage/remote.h"
#include "storage/sts.h"

static const char good[] =
    "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
    "<AccessKeyId>AK</AccessKeyId><SecretAccessKey>se/cr+et=</SecretAccessKey>"
    "<Expiration>2026-11-22T10:00:00Z</Expiration><SessionToken>to.ken</SessionToken>"
    "</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";

TEST(sts, an_answer_is_read_whole_or_not_at_all)
{
    struct storage_sts_answer answer;
    struct slice text = slice_of(good);
    CHECK_OK(storage_sts_parse(text, &answer, NULL));
    assert_string_equal("AK", answer.access_key.ptr);
    assert_string_equal("se/cr+et=", answer.secret_key.ptr);
    assert_string_equal("to.ken", answer.session_token.ptr);
    CHECK(answer.expires_wall_us == INT64_C(1795341600000000));
    storage_sts_fini(&answer);
    size_t end = slice_find(text, SLICE("</SessionToken>")) + strlen("</SessionToken>");
    for (size_t len = 0; len < end; len++) {
        char *exact = mem_alloc(len + 1); /* so that a step too far is seen */
        memcpy(exact, good, len);
        CHECK_ERR(ERR_CORRUPT, storage_sts_parse((struct slice){exact, len}, &answer, NULL));
        mem_free(exact);
    }
}

TEST(sts, values_that_are_no_keys_are_refused)
{
    static const char *const wrong[] = {"",        "a b",  "a\nb", "a\"b",
                                        "a&amp;b", "a\\b", "\x01", "\xC3\xA9"};
    struct storage_sts_answer answer;
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        char text[256];
        (void)snprintf(text, sizeof(text),
                       "<AccessKeyId>A</AccessKeyId><SecretAccessKey>%s</SecretAccessKey>"
                       "<SessionToken>t</SessionToken>",
                       wrong[i]);
        CHECK_ERR(ERR_CORRUPT, storage_sts_parse(slice_of(text), &answer, NULL));
    }
    CHECK_ERR(ERR_CORRUPT,
              storage_sts_parse(SLICE("<AccessKeyId>A</AccessKeyId><AccessKeyId>B</AccessKeyId>"
                                      "<SecretAccessKey>s</SecretAccessKey>"
                                      "<SessionToken>t</SessionToken>"),
                                &answer, NULL));
}

TEST(sts, a_policy_names_one_folder)
{
    static const char *const wrong[] = {"s3://b", "s3://b/",     "s3://b/*",      "s3://b/a?",
                                        "/a/b",   "s3://b/a\"b", "s3://b/${aws}", "s3://b/a\nb"};
    struct buf out CLEANUP(buf_fini) = {0};
    CHECK_OK(storage_sts_policy(SLICE("s3://lake/away/orders/"), &out, NULL));
    CHECK(slice_find(buf_slice(&out), SLICE("\"arn:aws:s3:::lake/away/orders/*\"")) != SIZE_MAX);
    CHECK(slice_find(buf_slice(&out), SLICE("s3:*")) == SIZE_MAX);
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        CHECK(storage_sts_policy(slice_of(wrong[i]), &out, NULL) != ERR_OK);
    }
}

/* ---- a service ---- */

struct service {
    unsigned status;
    const char *body;
    char seen[1024];
};

static void answer(void *context, const struct fetch_peer_request *request,
                   struct fetch_peer_reply *reply)
{
    struct service *service = context;
    (void)snprintf(service->seen, sizeof(service->seen), "%.*s", SLICE_ARGS(request->body));
    reply->status = service->status;
    reply->has_no_answer = service->status == 0;
    buf_append_str(&reply->body, service->body);
}

static enum err ask(struct fetch_pool *pool, const char *url, struct storage_sts_answer *ret_answer,
                    struct errinfo *info)
{
    const struct storage_sts_request request = {.url = slice_of(url),
                                                .role = SLICE("arn:x"),
                                                .session_name = SLICE("anna b"),
                                                .token = SLICE("a.b-c"),
                                                .policy = SLICE("{}"),
                                                .timeout_ms = 3000};
    *ret_answer = (struct storage_sts_answer){0};
    errinfo_init(info);
    return storage_sts_ask(pool, &request, ret_answer, info);
}

TEST(sts, what_a_service_says_is_told_for_what_it_means)
{
    static const struct {
        unsigned status;
        const char *body;
        enum err err;
        const char *sqlstate;
    } cases[] = {
        {400, "<Error>secret words</Error>", ERR_DENIED, "42501"},
        {403, "", ERR_DENIED, "42501"},
        {500, "", ERR_BUSY, "08006"},
        {429, "", ERR_BUSY, "08006"},
        {0, "", ERR_BUSY, "08006"},
        {200, "<html>", ERR_CORRUPT, "08P01"},
    };
    struct service service = {.status = 200, .body = good};
    struct storage_sts_answer got;
    struct errinfo info;
    char url[64];
    struct fetch_peer *peer = fetch_peer_open(answer, &service, url);
    struct fetch_pool *pool;
    const struct fetch_options options = {.peer = SLICE("store"), .plain = FETCH_PLAIN_LOOPBACK};
    CHECK_OK(fetch_pool_new(&options, &pool, NULL));
    CHECK_OK(ask(pool, url, &got, &info));
    storage_sts_fini(&got);
    CHECK(strstr(service.seen, "Action=AssumeRoleWithWebIdentity") != NULL);
    CHECK(strstr(service.seen, "WebIdentityToken=a.b-c") != NULL);
    CHECK(strstr(service.seen, "RoleSessionName=anna-b") != NULL);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        service.status = cases[i].status;
        service.body = cases[i].body;
        CHECK_ERR(cases[i].err, ask(pool, url, &got, &info));
        assert_string_equal(cases[i].sqlstate, info.sqlstate);
        CHECK(strstr(info.message, "secret") == NULL && strstr(info.detail, "secret") == NULL);
    }
    service = (struct service){.status = 200, .body = good};
    SWEEP_ALLOC(fault)
    {
        enum err err = ask(pool, url, &got, &info);
        CHECK(err == ERR_OK || fault.fired);
        storage_sts_fini(&got);
    }
    fetch_pool_unref(pool);
    fetch_peer_close(peer);
}
