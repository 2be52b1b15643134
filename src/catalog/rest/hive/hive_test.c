/* Goal: calls are written and answers read as Thrift has them, whatever is in them; a table is
 * turned only from what it was; nothing leaks where memory runs out. Method: bytes by hand, and a
 * peer on the loopback that keeps one table. A real metastore: tests/lake/hive_test.py. */
#include "base/mem.h"
#include "base/sweep.h"
#include "base/test.h"
#include "catalog/rest/hive/hive_int.h"
#include "fetch/testing.h"
#include "identity/identity.h"
#include "base/io.h"

/* ---- bytes ---- */

static void put_table(struct buf *out)
{
    static const struct metastore_column columns[] = {
        {.name = {"id", 2}, .type = {"bigint", 6}},
        {.name = {"name", 4}, .type = {"string", 6}, .doc = {"whose", 5}}};
    const struct metastore_table table = {.location = SLICE("file:/t"),
                                          .metadata_location = SLICE("file:/t/1.json"),
                                          .uuid = SLICE("u"),
                                          .columns = columns,
                                          .column_count = 2};
    hive_table__write(SLICE("sales"), SLICE("orders"), SLICE("anna"), &table, out);
}

TEST(hive, numbers_and_texts_are_those_of_the_protocol)
{
    struct buf out CLEANUP(buf_fini) = {0};
    thrift_call(&out, "f");
    thrift_i32_field(&out, 1, -2);
    thrift_bool_field(&out, 0x0203, true);
    thrift_string_field(&out, -1, SLICE("ab"));
    thrift_i64_field(&out, 4, INT64_C(0x0102030405060708));
    thrift_stop(&out);
    static const char expected[] = "\x80\x01\x00\x01\x00\x00\x00\x01"
                                   "f\x00\x00\x00\x01"
                                   "\x08\x00\x01\xFF\xFF\xFF\xFE"
                                   "\x02\x02\x03\x01"
                                   "\x0B\xFF\xFF\x00\x00\x00\x02"
                                   "ab"
                                   "\x0A\x00\x04\x01\x02\x03\x04\x05\x06\x07\x08";
    assert_int_equal(sizeof(expected), out.len); /* its NUL is the stop */
    assert_memory_equal(expected, out.ptr, out.len);
}

TEST(hive, a_table_keeps_what_is_not_changed)
{
    struct buf raw CLEANUP(buf_fini) = {0};
    struct buf out CLEANUP(buf_fini) = {0};
    struct hive_found found;
    put_table(&raw);
    raw.len--; /* another field, as a newer metastore has */
    thrift_field(&raw, THRIFT_MAP, 99);
    thrift_map(&raw, THRIFT_STRING, THRIFT_LIST, 1);
    thrift_string(&raw, SLICE("kept"));
    thrift_list(&raw, THRIFT_I32, 1);
    thrift_i32(&raw, 7);
    thrift_stop(&raw);
    CHECK(hive_table__read(buf_slice(&raw), &found));
    CHECK(found.is_iceberg && slice_equal(found.name, SLICE("orders")));
    CHECK(slice_equal(found.metadata_location, SLICE("file:/t/1.json")));
    const struct hive_change renamed = {.name = SLICE("sold")};
    hive_table__rewrite(found.raw, &renamed, &out);
    CHECK(slice_find(buf_slice(&out), SLICE("kept")) != SIZE_MAX);
    CHECK(hive_table__read(buf_slice(&out), &found) && slice_equal(found.name, SLICE("sold")));
    const struct metastore_table next = {.location = SLICE("file:/t"),
                                         .metadata_location = SLICE("file:/t/2.json"),
                                         .uuid = SLICE("u")};
    const struct hive_change turned = {.table = &next, .before = SLICE("file:/t/1.json")};
    buf_reset(&out);
    hive_table__rewrite(buf_slice(&raw), &turned, &out);
    CHECK(hive_table__read(buf_slice(&out), &found) && found.is_iceberg);
    CHECK(slice_equal(found.metadata_location, SLICE("file:/t/2.json")));
    CHECK(slice_find(buf_slice(&out), SLICE("previous_metadata_location")) != SIZE_MAX);
    CHECK(slice_find(buf_slice(&out), SLICE("HiveIcebergSerDe")) != SIZE_MAX);
    CHECK(slice_find(buf_slice(&out), SLICE("whose")) == SIZE_MAX); /* a column that is no more */
}

TEST(hive, what_ends_too_soon_is_bad)
{
    struct buf raw CLEANUP(buf_fini) = {0};
    struct hive_found found;
    put_table(&raw);
    for (size_t len = 0; len < raw.len; len++) {
        char *exact = mem_alloc(len + 1); /* so that a step too far is seen */
        memcpy(exact, raw.ptr, len);
        struct thrift_reader reader = {.left = {exact, len}};
        (void)thrift_read_raw(&reader, THRIFT_STRUCT);
        CHECK(reader.is_bad);
        CHECK(!hive_table__read((struct slice){exact, len}, &found));
        mem_free(exact);
    }
}

TEST(hive, depth_has_an_end)
{
    struct buf deep CLEANUP(buf_fini) = {0};
    for (int i = 0; i < 100000; i++) {
        thrift_field(&deep, THRIFT_STRUCT, 1);
    }
    struct thrift_reader reader = {.left = buf_slice(&deep)};
    (void)thrift_read_raw(&reader, THRIFT_STRUCT);
    CHECK(reader.is_bad);
}

/* ---- a peer ---- */

struct world {
    struct fetch_peer *peer;
    struct rest *rest;
    struct identity *who;
    struct rest_catalog catalog;
    struct errinfo info;
    char url[64];
    char secret[512];
    pthread_mutex_t lock; /* over what follows */
    const char *thrown;   /* by alter_table: its message */
    int thrown_at;        /* the field that it is in */
    bool is_lost;         /* its answer */
    unsigned alters;
    unsigned unlocks;
};

static bool asks(const struct fetch_peer_request *request, const char *method)
{
    struct thrift_reader reader = {.left = {request->body.ptr + 4, request->body.len - 4}};
    return slice_equal(thrift_read_string(&reader), slice_of(method));
}

static void put_lock(struct buf *out)
{
    thrift_field(out, THRIFT_STRUCT, 0);
    thrift_i64_field(out, 1, 12);
    thrift_i32_field(out, 2, 1);
    thrift_stop(out);
}

static void put_found(struct buf *out)
{
    thrift_field(out, THRIFT_STRUCT, 0);
    thrift_field(out, THRIFT_STRUCT, 1);
    put_table(out);
    thrift_stop(out);
}

static void play(struct world *w, const struct fetch_peer_request *request,
                 struct fetch_peer_reply *reply)
{
    struct buf *out = &reply->body;
    thrift_call(out, "answer");
    out->ptr[3] = THRIFT_REPLY;
    if (asks(request, "get_table_req")) {
        put_found(out);
    } else if (asks(request, "lock")) {
        put_lock(out);
    } else if (asks(request, "unlock")) {
        w->unlocks++;
    } else if (asks(request, "alter_table_with_environment_context")) {
        w->alters++;
        reply->has_no_answer = w->is_lost;
        if (w->thrown != NULL) {
            thrift_field(out, THRIFT_STRUCT, (int16_t)w->thrown_at);
            thrift_string_field(out, 1, slice_of(w->thrown));
            thrift_stop(out);
        }
    }
    thrift_stop(out);
}

static void answer(void *context, const struct fetch_peer_request *request,
                   struct fetch_peer_reply *reply)
{
    struct world *w = context;
    pthread_mutex_lock(&w->lock);
    if (slice_ends_with(request->target, SLICE("/tokens"))) {
        buf_append_str(&reply->body,
                       "{\"access_token\":\"t\",\"token_type\":\"bearer\",\"expires_in\":600}");
    } else {
        play(w, request, reply);
    }
    pthread_mutex_unlock(&w->lock);
}

static void world_open(struct world *w)
{
    struct rest_options options = {.timeout_ms = 3000,
                                   .connect_timeout_ms = 500,
                                   .breaker_failures = 100,
                                   .breaker_pause_ms = 1000,
                                   .response_bytes_max = 1 << 20,
                                   .cache_bytes_max = 1 << 20,
                                   .allow_loopback_http = true};
    struct identity_spec spec = {.subject = SLICE("anna"), .provider = SLICE("test")};
    *w = (struct world){0};
    pthread_mutex_init(&w->lock, NULL);
    w->peer = fetch_peer_open(answer, w, w->url);
    CHECK_OK(rest_open(&options, &w->rest, NULL));
    CHECK_OK(identity_new(&spec, &w->who, NULL));
    (void)snprintf(w->secret, sizeof(w->secret), "%s/secret", test_folder());
    CHECK_OK(io_write_file_atomic(w->secret, SLICE("s3cret"), 0600, NULL));
    w->catalog = (struct rest_catalog){.protocol = REST_PROTOCOL_HIVE,
                                       .name = SLICE("lake"),
                                       .uri = slice_of(w->url),
                                       .auth = REST_AUTH_CLIENT,
                                       .client_id = SLICE("moat"),
                                       .client_secret_file = slice_of(w->secret)};
}

static void world_close(struct world *w)
{
    rest_close(w->rest);
    fetch_peer_close(w->peer);
    identity_unref(w->who);
    pthread_mutex_destroy(&w->lock);
}

static enum err swap_from(struct world *w, struct slice before)
{
    static const struct slice levels[] = {{"sales", 5}};
    static const struct rest_namespace ns = {levels, 1};
    const struct metastore_table next = {.location = SLICE("file:/t"),
                                         .metadata_location = SLICE("file:/t/2.json"),
                                         .uuid = SLICE("u")};
    errinfo_init(&w->info);
    return metastore_swap_table(w->rest, &w->catalog, w->who, &ns, SLICE("orders"), &next, before,
                                &w->info);
}

TEST(hive, a_table_is_turned_from_what_it_was_only)
{
    struct world w;
    world_open(&w);
    CHECK_OK(swap_from(&w, SLICE("file:/t/1.json")));
    assert_int_equal(1, w.alters);
    assert_int_equal(1, w.unlocks);
    CHECK_ERR(ERR_BUSY, swap_from(&w, SLICE("file:/t/0.json")));
    assert_string_equal("40001", w.info.sqlstate);
    assert_int_equal(1, w.alters);
    assert_int_equal(2, w.unlocks);
    world_close(&w);
}

TEST(hive, what_it_throws_is_told_for_what_it_is)
{
    static const struct {
        int at;
        const char *message;
        enum err err;
        const char *sqlstate;
    } cases[] = {
        {2, "The table has been modified. The parameter value ...", ERR_BUSY, "40001"},
        {2, "Permission denied: user [bob] ...", ERR_DENIED, "42501"},
        {1, "No privilege 'Alter' found", ERR_DENIED, "42501"},
        {1, "The following columns have types incompatible", ERR_INVALID, "22023"},
        {2, "java.lang.NullPointerException", ERR_BUSY, "08007"}, /* it may have been done */
    };
    struct world w;
    world_open(&w);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        w.thrown = cases[i].message;
        w.thrown_at = cases[i].at;
        CHECK_ERR(cases[i].err, swap_from(&w, SLICE("file:/t/1.json")));
        assert_string_equal(cases[i].sqlstate, w.info.sqlstate);
        assert_int_equal(i + 1, w.alters);
        assert_int_equal(i + 1, w.unlocks);
    }
    world_close(&w);
}

TEST(hive, a_change_whose_answer_is_lost_is_not_sent_again)
{
    struct world w;
    world_open(&w);
    w.is_lost = true;
    CHECK_ERR(ERR_BUSY, swap_from(&w, SLICE("file:/t/1.json")));
    assert_string_equal("08007", w.info.sqlstate);
    assert_int_equal(1, w.alters);
    world_close(&w);
}

TEST(hive, every_allocation_may_fail)
{
    struct world w;
    world_open(&w);
    SWEEP_ALLOC(fault)
    {
        enum err err = swap_from(&w, SLICE("file:/t/1.json"));
        CHECK(err == ERR_OK || fault.fired);
    }
    world_close(&w);
}
