/* Goal: addresses, grants and requests as their headers say. Method: a store of the tests that
 * misbehaves on demand. */
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/sweep.h"
#include "base/cancellation.h"
#include "storage/s3_fixture_int.h"
#include "storage/storage_int.h"

/* ---- addresses ---- */

TEST(s3, finds_where_requests_go)
{
    static const struct {
        const char *endpoint, *region;
        bool is_path_style;
        const char *location, *base, *path;
    } cases[] = {
        {"", "eu-west-1", false, "s3://bucket/a/b c", "https://bucket.s3.eu-west-1.amazonaws.com",
         "/a/b%20c"},
        {"", "cn-north-1", false, "s3a://bucket/x", "https://bucket.s3.cn-north-1.amazonaws.com.cn",
         "/x"},
        {"", "us-east-1", true, "s3n://bucket/x", "https://s3.us-east-1.amazonaws.com",
         "/bucket/x"},
        {"", "us-east-1", false, "s3://my.bucket/x", "https://s3.us-east-1.amazonaws.com",
         "/my.bucket/x"},
        {"http://127.0.0.1:9000", "x", false, "s3://bucket/x", "http://127.0.0.1:9000",
         "/bucket/x"},
        {"http://localhost:9000/", "x", false, "s3://bucket/", "http://localhost:9000", "/bucket"},
        {"https://s3.example.com:443", "x", false, "s3://bucket/%2F+?#",
         "https://bucket.s3.example.com", "/%252F%2B%3F%23"},
        {"https://s3.example.com/base/", "x", true, "s3://bucket/a//../b", "https://s3.example.com",
         "/base/bucket/a//../b"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct s3_place place;
        struct s3_address address CLEANUP(s3__address_fini) = {0};
        struct s3_target target = {slice_of(cases[i].endpoint), slice_of(cases[i].region),
                                   cases[i].is_path_style};
        CHECK_OK(s3__place_of(slice_of(cases[i].location), &place, NULL));
        CHECK_OK(s3__address_of(&target, &place, &address, NULL));
        CHECK_STR(cases[i].base, buf_cstr(&address.base));
        CHECK_STR(cases[i].path, buf_cstr(&address.path));
        CHECK_STR(strstr(cases[i].base, "://") + 3, buf_cstr(&address.host));
    }
}

TEST(s3, refuses_what_is_no_location_of_its_own)
{
    static const struct {
        const char *location;
        enum err err;
        const char *words;
    } cases[] = {
        {"s3://b/x", ERR_INVALID, "none of S3"},
        {"s3://bu?cket/x", ERR_INVALID, "none of S3"},
        {"s3://user@bucket/x", ERR_INVALID, "none of S3"},
        {"s3://-bucket/x", ERR_INVALID, "none of S3"},
        {"abfss://c@a.dfs.core.windows.net/x", ERR_UNSUPPORTED, "\"abfss\" (Azure Data Lake)"},
        {"gs://bucket/x", ERR_UNSUPPORTED, "\"gs\" (Google Cloud Storage)"},
        {"ftp://bucket/x", ERR_UNSUPPORTED, "\"ftp\" is not"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct s3_place place;
        struct errinfo info;
        CHECK_ERR(cases[i].err, s3__place_of(slice_of(cases[i].location), &place, &info));
        CHECK(strstr(info.message, cases[i].words) != NULL);
    }
    CHECK(storage_is_remote(SLICE("s3://bucket/x")) && storage_is_remote(SLICE("gs://b/x")));
    CHECK(!storage_is_remote(SLICE("/s3://bucket")) && !storage_is_remote(SLICE("file:///x")));
}

/* ---- reading ---- */

static char *make_bytes(size_t len)
{
    char *bytes = mem_alloc(len);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (char)(i * 31 + i / 251);
    }
    return bytes;
}

struct world {
    struct store store;
    struct lender lender;
    struct storage_grant *grant;
    struct storage_object *object;
    char *bytes;
    size_t len;
    struct errinfo info;
};

static void world_open(struct world *w, struct storage_remote_options options, size_t len)
{
    *w = (struct world){.len = len, .bytes = make_bytes(len)};
    store_open(&w->store);
    store_put(&w->store, "/bucket/t/data", w->bytes, len);
    lender_open(&w->lender, &options);
    w->grant = lend(&w->lender, &w->store, 0, "KEY0");
}

static void world_close(struct world *w)
{
    storage_close(w->object);
    storage_grant_unref(w->grant);
    lender_close(&w->lender);
    store_close(&w->store);
    mem_free(w->bytes);
}

static enum err open_data(struct world *w)
{
    storage_close(w->object);
    w->object = NULL;
    return storage_grant_open(w->grant, person(0), SLICE("s3://bucket/t/data"), (struct slice){0},
                              &w->object, &w->info);
}

static enum err read_part(struct world *w, uint64_t offset, size_t len)
{
    char *out CLEANUP(mem_free_cleanup) = mem_alloc(len);
    memset(out, 'x', len);
    enum err err = storage_read(w->object, offset, out, len, &w->info);
    CHECK(err != ERR_OK || memcmp(out, w->bytes + offset, len) == 0); /* never wrong ones */
    return err;
}

static const struct storage_remote_options quick = {.patience_ms = 1500, .timeout_ms = 400};
/* For many bytes, which a busy machine may take its time for. */
static const struct storage_remote_options slow = {.patience_ms = 60000, .timeout_ms = 30000};

TEST(s3, reads_ranges_of_one_version)
{
    struct world w;
    world_open(&w, slow, 20u * 1024 * 1024);
    CHECK_OK(open_data(&w));
    assert_int_equal(w.len, storage_size(w.object));
    assert_int_equal(784111777000000, storage_modified_us(w.object));
    CHECK_OK(read_part(&w, 0, 10));
    CHECK_OK(read_part(&w, 5, 17u * 1024 * 1024)); /* in three requests */
    CHECK_OK(read_part(&w, w.len - 1, 1));
    CHECK_OK(read_part(&w, w.len, 0));
    CHECK_ERR(ERR_INVALID, read_part(&w, w.len - 1, 2));
    assert_int_equal(5, w.store.gets);
    CHECK(strstr(w.store.last_authorization, "Credential=KEY0/") != NULL);
    CHECK(strstr(w.store.last_authorization,
                 "SignedHeaders=host;if-match;range;x-amz-content-sha256;x-amz-date;"
                 "x-amz-security-token") != NULL);
    store_put(&w.store, "/bucket/t/data", w.bytes, w.len); /* another version of the same size */
    CHECK_ERR(ERR_CORRUPT, read_part(&w, 0, 10));
    CHECK_STR("\"data\" changed while it was being read", w.info.message);
    CHECK_OK(open_data(&w));
    CHECK_OK(read_part(&w, 0, 10));
    CHECK_ERR(ERR_CORRUPT, storage_grant_open(w.grant, person(0), SLICE("s3://bucket/t/data"),
                                              SLICE("v1"), &w.object, &w.info));
    world_close(&w);
}

TEST(s3, gives_nothing_without_a_living_grant)
{
    struct world w;
    struct storage_object *object = NULL;
    struct slice data = SLICE("s3://bucket/t/data");
    struct slice none = {NULL, 0};
    world_open(&w, quick, 1000);
    CHECK_ERR(ERR_DENIED, storage_grant_open(w.grant, person(1), data, none, &object, &w.info));
    CHECK_STR("the storage's credentials are another person's", w.info.message);
    static const char *const outside[] = {"s3://bucket/tt/data", "s3://bucket/t",
                                          "s3://bucket2/t/data"};
    for (size_t i = 0; i < ARRAY_COUNT(outside); i++) {
        CHECK_ERR(ERR_DENIED, storage_grant_open(w.grant, person(0), slice_of(outside[i]), none,
                                                 &object, &w.info));
    }
    struct storage_entry entry = {data, 1000, SLICE("v1")};
    CHECK_ERR(ERR_DENIED, storage_open(person(0), &entry, &object, &w.info));
    assert_int_equal(0, w.store.heads);
    CHECK_OK(open_data(&w));
    storage_grant_revoke(w.grant);
    CHECK_ERR(ERR_DENIED, read_part(&w, 0, 10));
    CHECK_ERR(ERR_DENIED, open_data(&w));
    assert_int_equal(0, w.store.gets);
    world_close(&w);
}

TEST(s3, goes_on_after_what_passes)
{
    // Each fault once or twice, then the store is well: the read must be right, and not sooner.
    static const struct store_fault faults[] = {
        {.times = 2, .reply = {.status = 503}, .body = "<Error><Code>SlowDown</Code></Error>"},
        {.times = 1, .reply = {.status = 500}},
        {.times = 1, .reply = {.status = 429}},
        {.times = 1, .reply = {.has_no_answer = true}},
        {.times = 1, .reply = {.is_hanging = true}},
        {.times = 1, .reply = {.is_garbage = true}, .body = "\x16\x03\x01nothing"},
        {.times = 1, .is_late = true, .reply = {.cut_bytes = 5}},
        {.times = 1, .is_late = true, .ignores_range = true},
        {.times = 1, .reply = {.status = 206}, .body = "0123456789"},
    };
    struct world w;
    world_open(&w, quick, 100);
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++) {
        bool is_final = faults[i].ignores_range; /* a longer answer than asked for is no accident */
        CHECK_OK(open_data(&w));
        store_fault(&w.store, faults[i]);
        w.store.faults[0].method = "GET";
        CHECK_ERR(is_final ? ERR_LIMIT : ERR_OK, read_part(&w, 10, 50));
        assert_int_equal(0, w.store.faults[0].times);
    }
    world_close(&w);
}

TEST(s3, ends_in_time_when_it_does_not_pass)
{
    static const struct {
        struct store_fault fault;
        enum err err;
        const char *message;
    } cases[] = {
        {{.times = 999, .reply = {.status = 503}},
         ERR_IO,
         "the storage cannot serve \"data\": status 503"},
        {{.times = 999, .reply = {.is_hanging = true}},
         ERR_IO,
         "the storage does not answer for \"data\": no answer in time"},
        {{.times = 999, .reply = {.has_no_answer = true}}, ERR_IO, "the storage does not answer"},
        {{.times = 999, .reply = {.status = 503}, .headers = "Retry-After: 3600\r\n"},
         ERR_IO,
         "status 503"},
        {{.times = 1, .reply = {.status = 403}, .body = "<Error><Code>AccessDenied</Code></Error>"},
         ERR_DENIED,
         "the storage refuses access to \"data\""},
        {{.times = 1, .reply = {.status = 404}}, ERR_NOT_FOUND, "\"data\" does not exist"},
        {{.times = 1, .reply = {.status = 302}, .headers = "Location: http://evil/\r\n"},
         ERR_IO,
         "status 302"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct world w;
        world_open(&w, quick, 100);
        CHECK_OK(open_data(&w));
        store_fault(&w.store, cases[i].fault);
        int64_t start_us = clock_mono_us();
        CHECK_ERR(cases[i].err, read_part(&w, 10, 50));
        CHECK(clock_mono_us() - start_us < 4000000);
        CHECK(strstr(w.info.message, cases[i].message) != NULL);
        CHECK(strstr(w.info.message, "127.0.0.1") == NULL && strstr(w.info.detail, "KEY0") == NULL);
        world_close(&w);
    }
}

static bool is_time_over(void *context)
{
    const int64_t *end_us = context;
    return clock_mono_us() >= *end_us;
}

TEST(s3, stops_as_soon_as_it_is_cancelled)
{
    // Behind a store that says nothing, and between two tries of one that is busy.
    static const struct storage_remote_options patient = {.patience_ms = 60000,
                                                          .timeout_ms = 60000};
    static const struct store_fault faults[] = {
        {.times = 999, .reply = {.is_hanging = true}},
        {.times = 999, .reply = {.status = 503}, .headers = "Retry-After: 30\r\n"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(faults); i++) {
        struct world w;
        world_open(&w, patient, 100);
        CHECK_OK(open_data(&w));
        store_fault(&w.store, faults[i]);
        int64_t start_us = clock_mono_us();
        int64_t end_us = start_us + 200000;
        struct cancellation cancellation = {is_time_over, &end_us};
        CHECK(cancellation_enter(&cancellation) == NULL);
        CHECK_ERR(ERR_CANCELLED, read_part(&w, 10, 50));
        CHECK_ERR(ERR_CANCELLED, open_data(&w));
        CHECK(clock_mono_us() - start_us < 5000000);
        w.store.fault_count = 0;
        CHECK_ERR(ERR_CANCELLED, open_data(&w)); /* nothing is begun */
        /* What would be left behind is removed all the same. */
        CHECK_OK(storage_grant_delete(w.grant, person(0), SLICE("s3://bucket/t/data"), &w.info));
        CHECK(cancellation_enter(NULL) == &cancellation);
        CHECK_OK(open_data(&w));
        CHECK_OK(read_part(&w, 10, 50));
        world_close(&w);
    }
}

TEST(s3, a_prefix_ends_where_a_name_does)
{
    // Without a slash at its end; and of two that fit, the longer one decides.
    struct world w;
    struct storage_object *object = NULL;
    struct slice none = {NULL, 0};
    world_open(&w, quick, 100);
    store_put(&w.store, "/bucket/t/u/data", w.bytes, 100);
    struct storage_credential credentials[] = {credential_of(&w.store, "SHORT"),
                                               credential_of(&w.store, "LONG")};
    credentials[0].prefix = SLICE("s3a://bucket/t");
    credentials[1].prefix = SLICE("s3://bucket/t/u");
    CHECK_OK(storage_grant_renew(w.grant, credentials, 2, &w.info));
    CHECK_OK(open_data(&w));
    CHECK(strstr(w.store.last_authorization, "Credential=SHORT/") != NULL);
    CHECK_OK(storage_grant_open(w.grant, person(0), SLICE("s3://bucket/t/u/data"), none, &object,
                                &w.info));
    CHECK(strstr(w.store.last_authorization, "Credential=LONG/") != NULL);
    storage_close(object);
    CHECK_ERR(ERR_DENIED, storage_grant_open(w.grant, person(0), SLICE("s3://bucket/tt/data"), none,
                                             &object, &w.info));
    CHECK_STR("the catalog lent no credentials for \"data\"", w.info.message);
    world_close(&w);
}

TEST(s3, takes_no_bytes_of_another_version)
{
    // A store that does not know If-Match.
    struct world w;
    world_open(&w, quick, 100);
    CHECK_OK(open_data(&w));
    store_fault(&w.store,
                (struct store_fault){.times = 999, .is_late = true, .is_other_version = true});
    w.store.ignores_match = true;
    CHECK_ERR(ERR_IO, read_part(&w, 10, 50));
    CHECK_STR("the storage's answer for \"data\" is not what was asked for", w.info.message);
    world_close(&w);
}

TEST(s3, learns_the_region_of_a_bucket)
{
    struct world w;
    world_open(&w, quick, 100);
    store_fault(&w.store, (struct store_fault){.times = 1,
                                               .reply = {.status = 400},
                                               .headers = "x-amz-bucket-region: ap-south-1\r\n"});
    CHECK_OK(open_data(&w));
    CHECK(strstr(w.store.last_authorization, "/ap-south-1/s3/") != NULL);
    CHECK_OK(read_part(&w, 0, 10));
    CHECK(strstr(w.store.last_authorization, "/ap-south-1/s3/") != NULL);
    store_fault(&w.store,
                (struct store_fault){.times = 2,
                                     .reply = {.status = 400},
                                     .body = "<Error><Code>AuthorizationHeaderMalformed</Code>"
                                             "<Region>eu-north-1</Region></Error>"});
    CHECK_ERR(ERR_IO, read_part(&w, 0, 10)); /* once is enough */
    CHECK_OK(read_part(&w, 0, 10));
    CHECK(strstr(w.store.last_authorization, "/eu-north-1/s3/") != NULL);
    world_close(&w);
}

/* ---- renewal ---- */

static _Atomic int64_t now_us;

static int64_t test_wall_us(void)
{
    return atomic_load(&now_us);
}

struct renewer {
    struct store *store;
    _Atomic unsigned asked;
    int64_t life_us;
    enum err err;
    bool gives_the_same;
};

static enum err renew(void *context, struct storage_grant *grant, struct errinfo *info)
{
    struct renewer *renewer = context;
    char key[32];
    unsigned number = atomic_fetch_add(&renewer->asked, 1) + 1;
    (void)usleep(20000);
    if (renewer->err != ERR_OK) {
        return errinfo_set(info, renewer->err, NULL, "the catalog says no");
    }
    (void)snprintf(key, sizeof(key), "KEY%u", renewer->gives_the_same ? 0 : number);
    struct storage_credential credential = credential_of(renewer->store, key);
    credential.expires_wall_us = test_wall_us() + renewer->life_us;
    return storage_grant_renew(grant, &credential, 1, info);
}

static void lend_briefly(struct world *w, struct renewer *renewer)
{
    storage_grant_unref(w->grant);
    w->grant = NULL;
    atomic_store(&now_us, 1800000000000000);
    w->lender.remote->wall_us = test_wall_us;
    *renewer = (struct renewer){.store = &w->store, .life_us = 60000000};
    struct storage_credential credential = credential_of(&w->store, "KEY0");
    credential.expires_wall_us = test_wall_us() + 60000000;
    struct storage_grant_spec spec = {.who = person(0),
                                      .remote = w->lender.remote,
                                      .pool = w->lender.pool,
                                      .credentials = &credential,
                                      .credential_count = 1,
                                      .renew = renew,
                                      .context = renewer};
    CHECK_OK(storage_grant_new(&spec, &w->grant, &w->info));
}

TEST(s3, renews_before_credentials_die)
{
    // Five minutes of reading with credentials of one minute, by a clock of the test.
    struct world w;
    struct renewer renewer;
    world_open(&w, quick, 1000);
    lend_briefly(&w, &renewer);
    CHECK_OK(open_data(&w));
    for (int second = 0; second < 300; second++) {
        CHECK_OK(read_part(&w, (uint64_t)second, 100));
        atomic_fetch_add(&now_us, 1000000);
    }
    assert_int_equal(6, atomic_load(&renewer.asked)); /* every 45 s */
    /* A catalog that does not answer: the old ones serve until they die. */
    renewer.err = ERR_IO;
    atomic_fetch_add(&now_us, 20000000);
    CHECK_OK(read_part(&w, 0, 10));
    atomic_fetch_add(&now_us, 31000000);
    CHECK_ERR(ERR_IO, read_part(&w, 0, 10));
    CHECK_STR("the catalog says no", w.info.message);
    world_close(&w);
}

static void *read_once(void *context)
{
    struct world *w = context;
    char out[10];
    struct errinfo info;
    CHECK_OK(storage_read(w->object, 0, out, sizeof(out), &info));
    CHECK(memcmp(out, w->bytes, sizeof(out)) == 0);
    return NULL;
}

TEST(s3, one_thread_renews_for_all)
{
    struct world w;
    struct renewer renewer;
    pthread_t threads[8];
    world_open(&w, quick, 1000);
    lend_briefly(&w, &renewer);
    CHECK_OK(open_data(&w));
    atomic_fetch_add(&now_us, 3600000000); /* dead: all must wait */
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        CHECK(pthread_create(&threads[i], NULL, read_once, &w) == 0);
    }
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    assert_int_equal(1, atomic_load(&renewer.asked));
    world_close(&w);
}

TEST(s3, renews_when_the_store_says_expired)
{
    struct world w;
    struct renewer renewer;
    world_open(&w, quick, 1000);
    lend_briefly(&w, &renewer);
    CHECK_OK(open_data(&w));
    w.store.accepted = "Credential=KEY1/";
    CHECK_OK(read_part(&w, 0, 10));
    assert_int_equal(1, atomic_load(&renewer.asked));
    assert_int_equal(1, w.store.refused);
    w.store.accepted = "Credential=KEY9/"; /* also the renewed ones are refused: once is enough */
    CHECK_ERR(ERR_DENIED, read_part(&w, 0, 10));
    assert_int_equal(2, atomic_load(&renewer.asked));
    CHECK(strstr(w.info.detail, "ExpiredToken") != NULL);
    world_close(&w);
}

/* ---- listing, writing ---- */

TEST(s3, lists_page_by_page)
{
    struct world w;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct storage_entry *entries;
    size_t count;
    world_open(&w, quick, 10);
    store_fault(&w.store, (struct store_fault){
                              .times = 1,
                              .path = "continuation-token=a%2Bb",
                              .body = "<ListBucketResult><IsTruncated>false</IsTruncated><Contents>"
                                      "<Key>t/a%20%26</Key><Size>7</Size><ETag>&quot;e&quot;</ETag>"
                                      "</Contents></ListBucketResult>"});
    store_fault(&w.store,
                (struct store_fault){
                    .times = 1,
                    .path = "/bucket?encoding-type=url&list-type=2&prefix=t%2F",
                    .body = "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://x/\">"
                            "<IsTruncated>true</IsTruncated><NextContinuationToken>a+b"
                            "</NextContinuationToken><Contents><Key>t/b</Key><Size>5</Size>"
                            "<ETag>\"f\"</ETag></Contents></ListBucketResult>"});
    CHECK_OK(storage_grant_list(w.grant, person(0), SLICE("s3://bucket/t/"), 10, arena, &entries,
                                &count, &w.info));
    assert_int_equal(2, count);
    CHECK_SLICE("s3://bucket/t/a &", entries[0].location);
    CHECK_SLICE("e", entries[0].etag);
    assert_int_equal(7, entries[0].size_bytes);
    CHECK_SLICE("s3://bucket/t/b", entries[1].location);
    static const char *const bad[] = {
        "",
        "<ListBucketResult>",
        "<a/><b/>",
        "<ListBucketResult><Contents><Size>x</Size>",
        "<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>",
        "<!DOCTYPE a [<!ENTITY x \"y\">]><ListBucketResult/>"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        store_fault(&w.store, (struct store_fault){.times = 1, .body = bad[i]});
        CHECK_ERR(ERR_CORRUPT, storage_grant_list(w.grant, person(0), SLICE("s3://bucket/t/"), 10,
                                                  arena, &entries, &count, &w.info));
    }
    world_close(&w);
}

TEST(s3, writes_whole_and_in_parts)
{
    struct world w;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct storage_entry entry;
    struct slice location = SLICE("s3://bucket/t/new");
    world_open(&w, slow, 40u * 1024 * 1024);
    CHECK_OK(storage_grant_put(w.grant, person(0), location, SLICE("abc"), true, arena, &entry,
                               &w.info));
    CHECK_SLICE("put", entry.etag);
    store_fault(&w.store, (struct store_fault){.times = 1, .reply = {.status = 412}});
    CHECK_ERR(ERR_EXISTS, storage_grant_put(w.grant, person(0), location, SLICE("abc"), true, arena,
                                            &entry, &w.info));
    w.store.puts = 0;
    store_fault(&w.store, (struct store_fault){.times = 1, .reply = {.has_no_answer = true}});
    CHECK_ERR(ERR_IO, storage_grant_put(w.grant, person(0), location, SLICE("abc"), true, arena,
                                        &entry, &w.info));
    assert_int_equal(1, w.store.puts); /* it may have been written: not again */
    for (int is_completed = 0; is_completed < 2; is_completed++) {
        struct storage_upload *upload = NULL;
        w.store.puts = 0;
        w.store.others = 0;
        store_fault(&w.store, (struct store_fault){
                                  .times = 1,
                                  .path = "?uploads=",
                                  .body = "<InitiateMultipartUploadResult><UploadId>u/1</UploadId>"
                                          "</InitiateMultipartUploadResult>"});
        CHECK_OK(storage_upload_open(w.grant, person(0), location, &upload, &w.info));
        CHECK_OK(storage_upload_append(upload, (struct slice){w.bytes, w.len}, &w.info));
        assert_int_equal(2, w.store.puts);
        CHECK(strstr(w.store.last_target, "/bucket/t/new?partNumber=2&uploadId=u%2F1") != NULL);
        if (is_completed != 0) {
            store_fault(&w.store, (struct store_fault){
                                      .times = 1,
                                      .method = "POST",
                                      .body = "<CompleteMultipartUploadResult><ETag>\"w-3\"</ETag>"
                                              "</CompleteMultipartUploadResult>"});
            CHECK_OK(storage_upload_finish(upload, arena, &entry, &w.info));
            CHECK_SLICE("w-3", entry.etag);
            assert_int_equal(w.len, entry.size_bytes);
        }
        storage_upload_close(upload);
        assert_int_equal(2, w.store.others); /* begun, and completed or forgotten */
    }
    world_close(&w);
}

TEST(s3, takes_credentials_as_catalogs_write_them)
{
    const struct storage_property properties[] = {
        {SLICE("s3.access-key-id"), SLICE("A")},
        {SLICE("s3.secret-access-key"), SLICE("S")},
        {SLICE("s3.session-token"), SLICE("T")},
        {SLICE("s3.session-token-expires-at-ms"), SLICE("1700000000000")},
        {SLICE("s3.endpoint"), SLICE("https://s3.example.com")},
        {SLICE("s3.path-style-access"), SLICE("true")},
        {SLICE("client.region"), SLICE("eu-west-1")},
        {SLICE("something.else"), SLICE("x")},
    };
    struct storage_credential credential;
    CHECK(
        storage_credential_of(SLICE("s3://b/"), properties, ARRAY_COUNT(properties), &credential));
    CHECK_SLICE("A", credential.access_key);
    CHECK_SLICE("T", credential.session_token);
    CHECK_SLICE("eu-west-1", credential.region);
    CHECK(credential.is_path_style && credential.expires_wall_us == 1700000000000000);
    CHECK(!storage_credential_of(SLICE(""), properties + 1, ARRAY_COUNT(properties) - 1,
                                 &credential));
}

TEST(s3, survives_every_failure_of_memory_and_network)
{
    struct world w;
    world_open(&w, quick, 1000);
    SWEEP_ALLOC(fault)
    {
        char out[100];
        struct storage_object *object = NULL;
        enum err err = storage_grant_open(w.grant, person(0), SLICE("s3://bucket/t/data"),
                                          (struct slice){0}, &object, &w.info);
        err = err == ERR_OK ? storage_read(object, 10, out, sizeof(out), &w.info) : err;
        CHECK(err == ERR_OK ? memcmp(out, w.bytes + 10, sizeof(out)) == 0
                            : err == ERR_NOMEM && fault.fired);
        storage_close(object);
    }
    SWEEP_IO(fault)
    {
        CHECK_OK(open_data(&w)); /* each is made good by another try */
        CHECK_OK(read_part(&w, 0, 100));
    }
    world_close(&w);
}
