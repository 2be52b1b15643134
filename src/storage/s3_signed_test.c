/* Goal: requests that somebody else signs go out as signed, and as asked for. Method: a signer in
 * the test that signs with a word, and the store of the tests, which lets that word in. Real
 * signatures and real stores: tests/rest/signing_test.py. */
#include <stdio.h>

#include "base/mem.h"
#include "base/sweep.h"
#include "storage/s3_fixture_int.h"

struct world {
    struct store store;
    struct lender lender;
    struct storage_grant *grant;
    struct storage_object *object;
    struct errinfo info;
    unsigned asked;
    int64_t keep_ms;
    const char *word;
    const char *more;    /* behind the address */
    const char *instead; /* of the address */
    struct fetch_header extra;
    char seen[256]; /* method and headers that were shown */
};

static enum err sign(void *context, const struct storage_to_sign *request,
                     struct storage_signed *ret_signed, struct errinfo *info)
{
    struct world *w = context;
    struct buf url CLEANUP(buf_fini) = {0};
    struct buf seen CLEANUP(buf_fini) = {0};
    w->asked++;
    buf_printf(&seen, "%.*s %.*s", SLICE_ARGS(request->method), SLICE_ARGS(request->region));
    for (size_t i = 0; i < request->header_count; i++) {
        buf_printf(&seen, " %.*s", SLICE_ARGS(request->headers[i].name));
    }
    (void)snprintf(w->seen, sizeof(w->seen), "%s", buf_cstr(&seen));
    buf_append_slice(&url, w->instead != NULL ? slice_of(w->instead) : request->url);
    buf_append_str(&url, w->more == NULL ? "" : w->more);
    const struct fetch_header headers[] = {{SLICE("Authorization"), slice_of(w->word)},
                                           {SLICE("Host"), SLICE("elsewhere")},
                                           {SLICE("Range"), SLICE("bytes=0-0")},
                                           {SLICE("X-Amz-Date"), SLICE("20260101T000000Z")},
                                           w->extra};
    if (buf_failed(&url) || buf_failed(&seen)) {
        return errinfo_nomem(info);
    }
    return storage_signed_fill(ret_signed, buf_slice(&url), headers,
                               ARRAY_COUNT(headers) - (w->extra.name.len == 0 ? 1 : 0), w->keep_ms,
                               info);
}

static void world_open(struct world *w)
{
    struct storage_remote_options options = {.patience_ms = 2000, .timeout_ms = 1000};
    *w = (struct world){.word = "SIGNED", .keep_ms = 60000};
    store_open(&w->store);
    store_put(&w->store, "/bucket/t/data", "0123456789", 10);
    w->store.accepted = "SIGNED";
    lender_open(&w->lender, &options);
    struct storage_credential credential = {.prefix = SLICE("s3://bucket/t/"),
                                            .region = SLICE("eu-central-1"),
                                            .endpoint = slice_of(w->store.url),
                                            .is_signed = true};
    struct storage_grant_spec spec = {.who = person(0),
                                      .remote = w->lender.remote,
                                      .pool = w->lender.pool,
                                      .credentials = &credential,
                                      .credential_count = 1,
                                      .sign = sign,
                                      .context = w};
    CHECK_OK(storage_grant_new(&spec, &w->grant, &w->info));
}

static void world_close(struct world *w)
{
    storage_close(w->object);
    storage_grant_unref(w->grant);
    lender_close(&w->lender);
    store_close(&w->store);
}

static enum err read_again(struct world *w)
{
    char bytes[4];
    storage_close(w->object);
    w->object = NULL;
    TRY(storage_grant_open(w->grant, person(0), SLICE("s3://bucket/t/data"),
                           (struct slice){NULL, 0}, &w->object, &w->info));
    for (uint64_t at = 0; at < 8; at += 4) {
        TRY(storage_read(w->object, at, bytes, sizeof(bytes), &w->info));
        CHECK(memcmp(bytes, &"0123456789"[at], sizeof(bytes)) == 0);
    }
    return ERR_OK;
}

TEST(s3_signed, one_signature_serves_all_ranges)
{
    struct world w;
    world_open(&w);
    CHECK_OK(read_again(&w));
    CHECK_OK(read_again(&w));
    assert_int_equal(2, w.asked); /* HEAD, GET */
    CHECK_STR("GET eu-central-1 host x-amz-content-sha256", w.seen);
    CHECK_STR("SIGNED", w.store.last_authorization);
    w.keep_ms = 0; /* what was kept goes on; nothing new is */
    CHECK_OK(read_again(&w));
    assert_int_equal(2, w.asked);
    world_close(&w);
    world_open(&w);
    w.keep_ms = 0;
    CHECK_OK(read_again(&w));
    assert_int_equal(3, w.asked);
    world_close(&w);
}

TEST(s3_signed, a_kept_signature_that_is_refused_is_asked_for_anew_once)
{
    struct world w;
    world_open(&w);
    CHECK_OK(read_again(&w));
    w.word = "LATER, SIGNED";
    w.store.accepted = "LATER";
    CHECK_OK(read_again(&w));
    assert_int_equal(4, w.asked);
    w.store.accepted = "NEVER";
    CHECK_ERR(ERR_DENIED, read_again(&w));
    assert_int_equal(5, w.asked);
    w.store.accepted = "SIGNED";
    CHECK_ERR(ERR_DENIED, storage_grant_open(w.grant, person(1), SLICE("s3://bucket/t/data"),
                                             (struct slice){NULL, 0}, &w.object, &w.info));
    assert_int_equal(5, w.asked);
    world_close(&w);
}

TEST(s3_signed, what_goes_out_is_what_was_asked_for)
{
    static const struct {
        const char *instead;
        const char *more;
        const char *name, *value;
        enum err err;
    } cases[] = {
        {NULL, "?X-Amz-Signature=1", NULL, NULL, ERR_NOT_FOUND}, /* it reaches the store so */
        {NULL, "x", NULL, NULL, ERR_CORRUPT},
        {NULL, "/../other", NULL, NULL, ERR_CORRUPT},
        {"http://127.0.0.1:1/bucket/t/data", NULL, NULL, NULL, ERR_CORRUPT},
        {"https://bucket/t/data", NULL, NULL, NULL, ERR_CORRUPT},
        {"", NULL, NULL, NULL, ERR_CORRUPT},
        {NULL, NULL, "a b", "c", ERR_CORRUPT},
        {NULL, NULL, "", "c", ERR_OK}, /* none */
        {NULL, NULL, "x-a", "b\r\nc: d", ERR_INVALID},
        {NULL, NULL, "content-length", "7", ERR_OK},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct world w;
        world_open(&w);
        w.instead = cases[i].instead;
        w.more = cases[i].more;
        if (cases[i].name != NULL) {
            w.extra = (struct fetch_header){slice_of(cases[i].name), slice_of(cases[i].value)};
        }
        CHECK_ERR(cases[i].err, read_again(&w));
        CHECK(cases[i].err != ERR_NOT_FOUND ||
              strcmp(w.store.last_target, "/bucket/t/data?X-Amz-Signature=1") == 0);
        world_close(&w);
    }
}

TEST(s3_signed, catalogs_say_that_they_sign)
{
    struct storage_credential credential;
    const struct storage_property keys[] = {{SLICE("s3.remote-signing-enabled"), SLICE("TRUE")},
                                            {SLICE("s3.access-key-id"), SLICE("k")},
                                            {SLICE("s3.secret-access-key"), SLICE("s")}};
    CHECK(storage_credential_of(SLICE("s3://b/"), keys, 1, &credential) && credential.is_signed);
    CHECK(storage_credential_of(SLICE("s3://b/"), keys, 3, &credential) && !credential.is_signed);
    const struct storage_property off[] = {{SLICE("s3.remote-signing-enabled"), SLICE("false")}};
    CHECK(!storage_credential_of(SLICE("s3://b/"), off, 1, &credential));
}

TEST(s3_signed, survives_every_failure_of_memory)
{
    struct world w;
    world_open(&w);
    w.keep_ms = 0;
    SWEEP_ALLOC(fault)
    {
        enum err err = read_again(&w);
        fault_disarm();
        CHECK(err == ERR_OK || (fault.fired && err != ERR_DENIED && err != ERR_CORRUPT));
    }
    world_close(&w);
}
