/* Goal: requests are signed for who asks and said as Glue has them, answers and errors are told for
 * what they are; a table is turned only from what it was; nothing leaks where memory runs out.
 * Method: forms by hand, and a peer on the loopback that lends keys and keeps one table. As others
 * see it: tests/lake/glue_test.py. */
#include <stdio.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/sweep.h"
#include "base/test.h"
#include "catalog/rest/glue/glue_int.h"
#include "fetch/sigv4.h"
#include "fetch/testing.h"
#include "identity/identity.h"

/* ---- forms ---- */

static const char table_text[] =
    "{\"Name\":\"orders\",\"DatabaseName\":\"sales\",\"VersionId\":\"7\",\"CreatedBy\":\"x\","
    "\"Owner\":\"anna\",\"Retention\":3,\"LastAccessTime\":1.7E9,\"Description\":null,"
    "\"StorageDescriptor\":{\"Columns\":[{\"Name\":\"id\",\"Type\":\"int\",\"Comment\":\"theirs\"}]"
    ","
    "\"Location\":\"s3://lake/old\",\"Compressed\":false,\"InputFormat\":null},"
    "\"Parameters\":{\"table_type\":\"iceberg\",\"kept\":\"k\\u00e9pt\",\"metadata_location\":"
    "\"s3://lake/t/1.json\",\"previous_metadata_location\":\"s3://lake/t/0.json\"}}";

static const struct json *parse_text(struct arena *arena, struct slice text)
{
    struct json *root = NULL;
    CHECK_OK(json_parse(arena, text, NULL, &root, NULL));
    return root;
}

static void check_text(const struct json *object, const char *key, const char *expected)
{
    CHECK(slice_equal(json_get_text(object, key), slice_of(expected)));
}

TEST(glue, a_table_keeps_what_is_not_changed)
{
    static const struct metastore_column columns[] = {
        {.name = {"id", 2}, .type = {"bigint", 6}, .field_id = 4, .is_optional = true},
        {.name = {"gone", 4}, .type = {"string", 6}, .doc = {"whose", 5}, .is_past = true}};
    const struct metastore_table table = {.location = SLICE("s3://lake/t"),
                                          .metadata_location = SLICE("s3://lake/t/2.json"),
                                          .columns = columns,
                                          .column_count = 2};
    const struct glue_change change = {.table = &table, .before = SLICE("s3://lake/t/1.json")};
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct buf out CLEANUP(buf_fini) = {0};
    struct glue_found found;
    CHECK(glue_table__read(parse_text(arena, slice_of(table_text)), &found));
    CHECK(found.is_iceberg && slice_equal(found.version, SLICE("7")));
    CHECK(slice_equal(found.metadata_location, SLICE("s3://lake/t/1.json")));
    glue_table__write(found.table, &change, &out);
    const struct json *input = parse_text(arena, buf_slice(&out));
    const struct json *parameters = json_get(input, "Parameters");
    const struct json *storage = json_get(input, "StorageDescriptor");
    const struct json *list = json_get(storage, "Columns");
    check_text(input, "Owner", "anna");
    check_text(input, "TableType", "EXTERNAL_TABLE");
    check_text(json_get(input, "Retention"), "", "");
    CHECK(slice_equal(json_get(input, "Retention")->text, SLICE("3")));
    CHECK(slice_equal(json_get(input, "LastAccessTime")->text, SLICE("1.7E9")));
    check_text(parameters, "kept", "k\xC3\xA9pt");
    check_text(parameters, "table_type", "iceberg");
    check_text(parameters, "metadata_location", "s3://lake/t/2.json");
    check_text(parameters, "previous_metadata_location", "s3://lake/t/1.json");
    check_text(storage, "Location", "s3://lake/t");
    CHECK(!json_get_bool(storage, "Compressed", true));
    check_text(json_at(list, 0), "Comment", "theirs");
    check_text(json_get(json_at(list, 0), "Parameters"), "iceberg.field.id", "4");
    check_text(json_get(json_at(list, 0), "Parameters"), "iceberg.field.optional", "true");
    check_text(json_get(json_at(list, 1), "Parameters"), "iceberg.field.current", "false");
    check_text(json_at(list, 1), "Comment", "whose");
    static const char *const not_ours[] = {"DatabaseName", "VersionId", "CreatedBy", "Description"};
    for (size_t i = 0; i < ARRAY_COUNT(not_ours); i++) { /* which an input may not have */
        CHECK(json_get(input, not_ours[i]) == NULL);
    }
    CHECK(json_get(storage, "InputFormat") == NULL);
}

TEST(glue, what_has_moved_is_no_iceberg_table)
{
    const struct glue_change moved = {.moved = SLICE("sold")};
    const struct glue_change named = {.name = SLICE("sold")};
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct buf out CLEANUP(buf_fini) = {0};
    struct glue_found found;
    const struct json *table = parse_text(arena, slice_of(table_text));
    glue_table__write(table, &moved, &out);
    CHECK(glue_table__read(parse_text(arena, buf_slice(&out)), &found));
    CHECK(!found.is_iceberg && found.metadata_location.len == 0);
    CHECK(slice_find(buf_slice(&out), SLICE("\"moat.renamed-to\":\"sold\"")) != SIZE_MAX);
    struct buf other CLEANUP(buf_fini) = {0};
    glue_table__write(table, &named, &other);
    CHECK(glue_table__read(parse_text(arena, buf_slice(&other)), &found));
    CHECK(found.is_iceberg && slice_equal(found.name, SLICE("sold")));
    CHECK(slice_equal(found.metadata_location, SLICE("s3://lake/t/1.json")));
    CHECK(slice_equal(found.location, SLICE("s3://lake/old")));
}

TEST(glue, comments_are_as_long_as_it_takes_them)
{
    char text[1024];
    const struct metastore_column column = {
        .name = SLICE("c"), .type = SLICE("int"), .doc = {text, sizeof(text)}};
    const struct metastore_table table = {.columns = &column, .column_count = 1};
    const struct glue_change change = {.name = SLICE("t"), .table = &table};
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct buf out CLEANUP(buf_fini) = {0};
    for (size_t i = 0; i < sizeof(text); i += 2) {
        memcpy(text + i, "\xC3\xA9", 2);
    }
    glue_table__write(NULL, &change, &out);
    const struct json *input = parse_text(arena, buf_slice(&out));
    const struct json *list = json_get(json_get(input, "StorageDescriptor"), "Columns");
    assert_int_equal(2 * 255, json_get_text(json_at(list, 0), "Comment").len);
    check_text(json_get(input, "Parameters"), "table_type", "ICEBERG");
}

TEST(glue, a_database_keeps_what_is_not_changed)
{
    static const char before[] =
        "{\"Name\":\"d\",\"Description\":\"old\",\"LocationUri\":\"s3://b/d\","
        "\"CatalogId\":\"1\",\"CreateTableDefaultPermissions\":[{}],"
        "\"Parameters\":{\"a\":\"1\",\"b\":\"2\"}}";
    const struct rest_property properties[] = {{SLICE("comment"), {NULL, 0}},
                                               {SLICE("b"), {NULL, 0}},
                                               {SLICE("c"), SLICE("3")},
                                               {SLICE("c"), SLICE("4")}};
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct buf out CLEANUP(buf_fini) = {0};
    glue_database__write(parse_text(arena, slice_of(before)), SLICE("d"), properties,
                         ARRAY_COUNT(properties), &out);
    CHECK_STR("{\"Name\":\"d\",\"LocationUri\":\"s3://b/d\",\"CreateTableDefaultPermissions\":[{}],"
              "\"Parameters\":{\"a\":\"1\",\"c\":\"4\"}}",
              buf_cstr(&out));
}

TEST(glue, errors_have_the_statuses_of_the_rest_specification)
{
    static const struct {
        long status;
        const char *body;
        long expected;
    } cases[] = {
        {400, "{\"__type\":\"EntityNotFoundException\",\"Message\":\"x\"}", 404},
        {400, "{\"__type\":\"com.amazonaws.glue#AlreadyExistsException\"}", 409},
        {400, "{\"__type\":\"ConcurrentModificationException:http://x/\"}", 409},
        {400, "{\"__type\":\"AccessDeniedException\"}", 403},
        {400, "{\"__type\":\"ExpiredTokenException\"}", 401},
        {403, "{\"__type\":\"InvalidSignatureException\"}", 401},
        {400, "{\"__type\":\"ThrottlingException\"}", 429},
        {400, "{\"__type\":\"OperationTimeoutException\"}", 504},
        {500, "{\"__type\":\"InternalServiceException\"}", 503},
        {400, "{\"__type\":\"InvalidInputException\"}", 400},
        {400, "{\"__type\":7}", 400},
        {502, "<html>", 502},
        {200, "{\"__type\":\"EntityNotFoundException\"}", 200},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        assert_int_equal(cases[i].expected, glue__status(cases[i].status, slice_of(cases[i].body)));
    }
}

/* ---- a peer ---- */

struct world {
    struct fetch_peer *peer;
    struct storage_remote *storage;
    struct rest *rest;
    struct identity *who;
    struct rest_catalog catalog;
    struct errinfo info;
    char url[64];
    char secret[512];
    pthread_mutex_t lock; /* over what follows */
    const char *thrown;   /* by UpdateTable: its body, with status 400 */
    const char *table;    /* what GetTable answers */
    bool is_lost;         /* the answer of UpdateTable */
    bool has_expired;     /* the keys that were lent first are refused */
    bool has_no_tokens;   /* any more, for the next who asks */
    int token_life_s;
    unsigned lent;
    unsigned updates;
    unsigned unsigned_count; /* requests whose signature is not what it must be */
    char update[4096];
    char target[64]; /* of the last */
};

static void put_keys(struct world *w, struct fetch_peer_reply *reply)
{
    w->lent++;
    buf_printf(&reply->body,
               "<AssumeRoleWithWebIdentityResponse><Credentials><AccessKeyId>AKID%u</AccessKeyId>"
               "<SecretAccessKey>secret%u</SecretAccessKey><SessionToken>token%u</SessionToken>"
               "<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
               "</AssumeRoleWithWebIdentityResponse>",
               w->lent, w->lent, w->lent);
}

/* The signature made again from what came, with the keys that were lent last. */
static bool is_signed(const struct world *w, const struct fetch_peer_request *request)
{
    char key[16];
    char secret_key[16];
    char payload[SHA256_HEX_BYTES];
    char time[SIGV4_TIME_BYTES] = "";
    uint8_t digest[SHA256_BYTES];
    struct secret expected CLEANUP(secret_fini) = {0};
    struct slice date = fetch_peer_header(request, "X-Amz-Date");
    (void)snprintf(key, sizeof(key), "AKID%u", w->lent);
    (void)snprintf(secret_key, sizeof(secret_key), "secret%u", w->lent);
    if (date.len != SIGV4_TIME_BYTES - 1 || hash_sha256(request->body, digest) != ERR_OK) {
        return false;
    }
    memcpy(time, date.ptr, date.len);
    hash_hex(digest, sizeof(digest), payload);
    const struct fetch_header headers[] = {
        {SLICE("content-type"), fetch_peer_header(request, "Content-Type")},
        {SLICE("host"), fetch_peer_header(request, "Host")},
        {SLICE("x-amz-date"), date},
        {SLICE("x-amz-security-token"), fetch_peer_header(request, "X-Amz-Security-Token")},
        {SLICE("x-amz-target"), fetch_peer_header(request, "X-Amz-Target")}};
    const struct sigv4_request made = {.method = request->method,
                                       .path = request->target,
                                       .headers = headers,
                                       .header_count = ARRAY_COUNT(headers),
                                       .payload_hash = payload,
                                       .time = time,
                                       .region = SLICE("eu-west-1"),
                                       .service = SLICE("glue"),
                                       .access_key = slice_of(key),
                                       .secret_key = slice_of(secret_key)};
    return sigv4_sign(&made, &expected, NULL) == ERR_OK &&
           slice_equal(secret_slice(&expected), fetch_peer_header(request, "Authorization"));
}

static void put_error(struct fetch_peer_reply *reply, const char *body)
{
    reply->status = 400;
    buf_append_str(&reply->body, body);
}

/* Pages of one table each; what is changed is as it was. */
static void put_rest(struct slice target, struct slice body, struct fetch_peer_reply *reply)
{
    static const char *const fixed[][2] = {
        {"AWSGlue.GetDatabases", "{\"DatabaseList\":[{\"Name\":\"sales\"},{\"Name\":\"hr\"}]}"},
        {"AWSGlue.GetDatabase", "{\"Database\":{\"Name\":\"sales\",\"LocationUri\":\"s3://lake/s\","
                                "\"Parameters\":{\"a\":\"1\"}}}"},
        {"AWSGlue.CreateTable", "{}"},
        {"AWSGlue.DeleteTable", ""},
        {"AWSGlue.UpdateDatabase", "{}"},
    };
    if (slice_equal(target, SLICE("AWSGlue.GetTables"))) {
        bool is_last = slice_find(body, SLICE("\"NextToken\":\"2\"")) != SIZE_MAX;
        buf_printf(&reply->body, "{\"TableList\":[%s]%s}", table_text,
                   is_last ? "" : ",\"NextToken\":\"2\"");
        return;
    }
    for (size_t i = 0; i < ARRAY_COUNT(fixed); i++) {
        if (slice_equal(target, slice_of(fixed[i][0]))) {
            buf_append_str(&reply->body, fixed[i][1]);
            return;
        }
    }
    put_error(reply, "{\"__type\":\"UnknownOperationException\"}");
}

static void play(struct world *w, const struct fetch_peer_request *request,
                 struct fetch_peer_reply *reply)
{
    struct slice target = fetch_peer_header(request, "X-Amz-Target");
    (void)snprintf(w->target, sizeof(w->target), "%.*s", SLICE_ARGS(target));
    if (w->has_expired && w->lent == 1) {
        put_error(reply, "{\"__type\":\"ExpiredTokenException\",\"message\":\"over\"}");
        return;
    }
    w->unsigned_count += is_signed(w, request) ? 0 : 1;
    if (slice_equal(target, SLICE("AWSGlue.GetTable"))) {
        buf_printf(&reply->body, "{\"Table\":%s}", w->table);
    } else if (slice_equal(target, SLICE("AWSGlue.UpdateTable"))) {
        w->updates++;
        (void)snprintf(w->update, sizeof(w->update), "%.*s", SLICE_ARGS(request->body));
        reply->has_no_answer = w->is_lost;
        if (w->thrown != NULL) {
            put_error(reply, w->thrown);
        }
    } else {
        put_rest(target, request->body, reply);
    }
}

static void answer(void *context, const struct fetch_peer_request *request,
                   struct fetch_peer_reply *reply)
{
    struct world *w = context;
    pthread_mutex_lock(&w->lock);
    if (slice_ends_with(request->target, SLICE("/tokens"))) {
        reply->status = w->has_no_tokens ? 401 : 200;
        buf_printf(&reply->body,
                   "{\"access_token\":\"t\",\"token_type\":\"bearer\",\"expires_in\":%d}",
                   w->token_life_s);
    } else if (slice_ends_with(request->target, SLICE("/sts"))) {
        put_keys(w, reply);
    } else {
        play(w, request, reply);
    }
    pthread_mutex_unlock(&w->lock);
}

static void world_open(struct world *w, char sts[80])
{
    const struct storage_remote_options store = {.timeout_ms = 3000};
    struct identity_spec spec = {.subject = SLICE("anna"), .provider = SLICE("test")};
    *w = (struct world){.table = table_text, .token_life_s = 600};
    pthread_mutex_init(&w->lock, NULL);
    w->peer = fetch_peer_open(answer, w, w->url);
    CHECK_OK(storage_remote_open(&store, &w->storage, NULL));
    struct rest_options options = {.timeout_ms = 3000,
                                   .connect_timeout_ms = 500,
                                   .breaker_failures = 100,
                                   .breaker_pause_ms = 1000,
                                   .response_bytes_max = 1 << 20,
                                   .cache_bytes_max = 1 << 20,
                                   .allow_loopback_http = true,
                                   .storage = w->storage};
    CHECK_OK(rest_open(&options, &w->rest, NULL));
    CHECK_OK(identity_new(&spec, &w->who, NULL));
    (void)snprintf(w->secret, sizeof(w->secret), "%s/secret", test_folder());
    CHECK_OK(io_write_file_atomic(w->secret, SLICE("s3cret"), 0600, NULL));
    (void)snprintf(sts, 80, "%s/sts", w->url);
    w->catalog = (struct rest_catalog){.protocol = REST_PROTOCOL_GLUE,
                                       .name = SLICE("lake"),
                                       .uri = slice_of(w->url),
                                       .sts_uri = slice_of(sts),
                                       .region = SLICE("eu-west-1"),
                                       .auth = REST_AUTH_CLIENT,
                                       .client_id = SLICE("moat"),
                                       .client_secret_file = slice_of(w->secret)};
}

static void world_close(struct world *w)
{
    rest_close(w->rest);
    storage_remote_close(w->storage);
    fetch_peer_close(w->peer);
    identity_unref(w->who);
    pthread_mutex_destroy(&w->lock);
}

static const struct slice levels[] = {{"sales", 5}};
static const struct rest_namespace ns = {levels, 1};

static enum err swap_from(struct world *w, struct slice before)
{
    const struct metastore_table next = {.location = SLICE("s3://lake/t"),
                                         .metadata_location = SLICE("s3://lake/t/2.json")};
    errinfo_init(&w->info);
    return metastore_swap_table(w->rest, &w->catalog, w->who, &ns, SLICE("orders"), &next, before,
                                &w->info);
}

TEST(glue, a_table_is_turned_from_what_it_was_only)
{
    struct world w;
    char sts[80];
    world_open(&w, sts);
    CHECK_OK(swap_from(&w, SLICE("s3://lake/t/1.json")));
    assert_int_equal(1, w.updates);
    CHECK(strstr(w.update, "\"VersionId\":\"7\",\"SkipArchive\":true") != NULL);
    CHECK(strstr(w.update, "\"DatabaseName\":\"sales\"") != NULL);
    CHECK_ERR(ERR_BUSY, swap_from(&w, SLICE("s3://lake/t/0.json")));
    assert_string_equal("40001", w.info.sqlstate);
    assert_int_equal(1, w.updates);
    assert_int_equal(0, w.unsigned_count);
    assert_int_equal(1, w.lent); /* keys are kept for the sign-in */
    w.table =
        "{\"Name\":\"orders\",\"Parameters\":{\"table_type\":\"ICEBERG\",\"metadata_location\":"
        "\"s3://lake/t/1.json\"}}";
    CHECK_ERR(ERR_CORRUPT, swap_from(&w, SLICE("s3://lake/t/1.json"))); /* nothing would compare */
    assert_int_equal(1, w.updates);
    world_close(&w);
}

TEST(glue, what_it_throws_is_told_for_what_it_is)
{
    static const struct {
        const char *body;
        enum err err;
        const char *sqlstate;
        unsigned updates;
    } cases[] = {
        {"{\"__type\":\"ConcurrentModificationException\"}", ERR_BUSY, "40001", 1},
        {"{\"__type\":\"EntityNotFoundException\"}", ERR_NOT_FOUND, "42P01", 1},
        {"{\"__type\":\"AccessDeniedException\",\"Message\":\"no\"}", ERR_DENIED, "42501", 1},
        {"{\"__type\":\"InvalidInputException\"}", ERR_INVALID, "22023", 1},
        {"{\"__type\":\"OperationTimeoutException\"}", ERR_BUSY, "08007", 1},
        {"{\"__type\":\"InternalServiceException\"}", ERR_BUSY, "08007", 1},
        {"{\"__type\":\"UnrecognizedClientException\"}", ERR_DENIED, "28000", 2}, /* other keys */
        {"{\"__type\":\"ThrottlingException\"}", ERR_BUSY, "53400", 3}, /* certainly not done */
    };
    struct world w;
    char sts[80];
    world_open(&w, sts);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        w.thrown = cases[i].body;
        w.updates = 0;
        CHECK_ERR(cases[i].err, swap_from(&w, SLICE("s3://lake/t/1.json")));
        assert_string_equal(cases[i].sqlstate, w.info.sqlstate);
        assert_int_equal(cases[i].updates, w.updates);
    }
    world_close(&w);
}

TEST(glue, a_change_whose_answer_is_lost_is_not_sent_again)
{
    struct world w;
    char sts[80];
    world_open(&w, sts);
    w.is_lost = true;
    CHECK_ERR(ERR_BUSY, swap_from(&w, SLICE("s3://lake/t/1.json")));
    assert_string_equal("08007", w.info.sqlstate);
    assert_int_equal(1, w.updates);
    world_close(&w);
}

TEST(glue, keys_that_are_over_are_asked_for_once_more)
{
    struct world w;
    char sts[80];
    world_open(&w, sts);
    w.has_expired = true;
    CHECK_OK(swap_from(&w, SLICE("s3://lake/t/1.json")));
    assert_int_equal(2, w.lent);
    assert_int_equal(1, w.updates);
    assert_int_equal(0, w.unsigned_count);
    world_close(&w);
}

TEST(glue, nobody_signs_with_the_keys_of_another)
{
    struct world w;
    char sts[80];
    struct identity *bob;
    const struct identity_spec spec = {.subject = SLICE("bob"), .provider = SLICE("test")};
    world_open(&w, sts);
    CHECK_OK(identity_new(&spec, &bob, NULL));
    struct identity *anna = w.who;
    CHECK_OK(swap_from(&w, SLICE("s3://lake/t/1.json")));
    w.who = bob;
    CHECK_OK(
        swap_from(&w, SLICE("s3://lake/t/1.json"))); /* signed with the newest, as is checked */
    assert_int_equal(2, w.lent);
    assert_int_equal(0, w.unsigned_count);
    w.catalog.auth = REST_AUTH_SESSION; /* of which there is no token: nothing is signed */
    unsigned updates = w.updates;
    CHECK_ERR(ERR_DENIED, swap_from(&w, SLICE("s3://lake/t/1.json")));
    assert_string_equal("28000", w.info.sqlstate);
    assert_int_equal(updates, w.updates);
    w.who = anna;
    identity_unref(bob);
    world_close(&w);
}

TEST(glue, who_has_no_token_any_more_signs_nothing)
{
    struct world w;
    char sts[80];
    world_open(&w, sts);
    w.token_life_s = 1; /* so that one is asked for each time */
    CHECK_OK(swap_from(&w, SLICE("s3://lake/t/1.json")));
    w.has_no_tokens = true; /* while the keys that were lent are good for long */
    CHECK(swap_from(&w, SLICE("s3://lake/t/1.json")) != ERR_OK);
    assert_int_equal(1, w.updates);
    assert_int_equal(1, w.lent);
    world_close(&w);
}

TEST(glue, every_allocation_may_fail)
{
    struct world w;
    char sts[80];
    world_open(&w, sts);
    SWEEP_ALLOC(fault)
    {
        enum err err = swap_from(&w, SLICE("s3://lake/t/1.json"));
        CHECK(err == ERR_OK || fault.fired);
    }
    assert_int_equal(0, w.unsigned_count);
    world_close(&w);
}

/* What is asked of a catalog: names, properties, tables, and other names for them. */
static enum err ask_all(struct world *w, struct arena *arena)
{
    const struct rest_property set = {SLICE("b"), SLICE("2")};
    struct rest_namespace *namespaces;
    struct rest_property *properties;
    struct rest_name *names;
    struct rest_loaded loaded;
    size_t count = 0;
    errinfo_init(&w->info);
    TRY(rest_check(w->rest, &w->catalog, w->who, &w->info));
    TRY(rest_namespaces(w->rest, &w->catalog, w->who, arena, &namespaces, &count, &w->info));
    assert_int_equal(2, count);
    TRY(rest_namespace_properties(w->rest, &w->catalog, w->who, &ns, arena, &properties, &count,
                                  &w->info));
    assert_int_equal(2, count);
    TRY(rest_set_properties(w->rest, &w->catalog, w->who, &ns, &set, 1, &w->info));
    TRY(rest_names(w->rest, &w->catalog, w->who, &ns, arena, &names, &count, &w->info));
    assert_int_equal(2, count);
    TRY(rest_load(w->rest, &w->catalog, w->who, &ns, SLICE("orders"), false, arena, &loaded,
                  &w->info));
    CHECK(slice_equal(loaded.metadata_location, SLICE("s3://lake/t/1.json")));
    CHECK(slice_equal(loaded.folder, SLICE("s3://lake/old")));
    return rest_rename_table(w->rest, &w->catalog, w->who, &ns, SLICE("orders"), &ns, SLICE("sold"),
                             &w->info);
}

TEST(glue, every_allocation_of_what_is_asked_may_fail)
{
    struct world w;
    char sts[80];
    world_open(&w, sts);
    SWEEP_ALLOC(fault)
    {
        struct arena *arena = arena_new(NULL, "test", 0);
        enum err err = arena == NULL ? ERR_NOMEM : ask_all(&w, arena);
        arena_free(arena);
        CHECK(err == ERR_OK || fault.fired);
    }
    assert_int_equal(0, w.unsigned_count);
    world_close(&w);
}
