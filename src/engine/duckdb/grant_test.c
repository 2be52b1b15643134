#include "engine/duckdb/fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "base/clock.h"

TEST(engine_grant, parquet_written_through_a_sink_reads_back)
{
    struct fixture fixture = fixture_open(NULL);
    struct memory_store store = {0};
    store_fill(&fixture, &store, "SELECT i, 'name ' || i AS name FROM range(300000) t(i)");
    CHECK(store.objects[0].len > 10000);

    struct engine_grant *grant = store_grant(&fixture, &store, 0);
    char *sql =
        fixture_sql(grant, 0, "SELECT count(*) || ' ' || sum(i) || ' ' || max(name) FROM '%s'");
    fixture_expect(&fixture, sql, "300000 44999850000 name 99999");
    struct engine_grant_counters count = engine_grant_count(grant);
    CHECK(count.files_opened >= 1);
    CHECK(count.bytes_read > store.objects[0].len / 2);
    CHECK(count.bytes_written == 0);
    mem_free(sql);
    engine_grant_close(grant);
    store_fini(&store);
    fixture_close(&fixture);
}

TEST(engine_grant, csv_and_json_written_through_a_sink_read_back)
{
    struct fixture fixture = fixture_open(NULL);
    static const char *const formats[][3] = {
        {"csv", ".csv", "SELECT CAST(sum(i) AS VARCHAR) FROM read_csv('%s')"},
        {"csv, COMPRESSION gzip", ".csv.gz", "SELECT CAST(sum(i) AS VARCHAR) FROM read_csv('%s')"},
        {"json", ".json", "SELECT CAST(sum(i) AS VARCHAR) FROM read_json('%s')"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
        struct memory_store store = {0};
        struct engine_grant *out = store_grant(&fixture, &store, 1);
        struct buf sql CLEANUP(buf_fini) = {0};
        buf_append_str(&sql, "COPY (SELECT i FROM range(50000) t(i)) TO '");
        engine_grant_uri_out(out, 0, &sql);
        buf_printf(&sql, "%s' (FORMAT %s)", formats[i][1], formats[i][0]);
        struct errinfo info;
        if (fixture_run(&fixture, buf_cstr(&sql), NULL, &info) != ERR_OK) {
            fail_msg("%s: %s", formats[i][0], info.message);
        }
        CHECK(engine_grant_count(out).bytes_written == store.objects[0].len);
        engine_grant_close(out);

        store.object_count = 1;
        store.extensions[0] = formats[i][1];
        struct engine_grant *in = store_grant(&fixture, &store, 0);
        char *query = fixture_sql(in, 0, formats[i][2]);
        fixture_expect(&fixture, query, "1249975000");
        mem_free(query);
        engine_grant_close(in);
        store_fini(&store);
    }
    fixture_close(&fixture);
}

TEST(engine_grant, a_sink_is_written_once_and_never_read)
{
    struct fixture fixture = fixture_open(NULL);
    struct memory_store store = {0};
    struct engine_grant *grant = store_grant(&fixture, &store, 1);
    struct buf uri CLEANUP(buf_fini) = {0};
    engine_grant_uri_out(grant, 0, &uri);
    struct buf sql CLEANUP(buf_fini) = {0};
    buf_printf(&sql, "COPY (SELECT 1 AS x) TO '%s.csv' (FORMAT csv)", buf_cstr(&uri));
    struct errinfo info;
    CHECK_OK(fixture_run(&fixture, buf_cstr(&sql), NULL, &info));
    size_t len = store.objects[0].len;
    CHECK(fixture_run(&fixture, buf_cstr(&sql), NULL, &info) == ERR_EXISTS);
    CHECK(store.objects[0].len == len);
    buf_reset(&sql);
    buf_printf(&sql, "SELECT * FROM read_csv('%s.csv')", buf_cstr(&uri));
    CHECK(fixture_run(&fixture, buf_cstr(&sql), NULL, &info) != ERR_OK);
    engine_grant_close(grant);

    /* A grant without sinks has none, and its objects cannot be written. */
    store.object_count = 1;
    grant = store_grant(&fixture, &store, 0);
    char *copy = fixture_sql(grant, 0, "COPY (SELECT 1) TO '%s' (FORMAT csv)");
    CHECK_ERR(ERR_DENIED, fixture_run(&fixture, copy, NULL, &info));
    mem_free(copy);
    CHECK(store.objects[0].len == len);
    engine_grant_close(grant);
    store_fini(&store);
    fixture_close(&fixture);
}

TEST(engine_grant, an_address_dies_with_its_grant_and_is_not_shown)
{
    struct fixture fixture = fixture_open(NULL);
    struct memory_store store = {0};
    store_fill(&fixture, &store, "SELECT 1 AS x");
    struct engine_grant *grant = store_grant(&fixture, &store, 0);
    char *sql = fixture_sql(grant, 0, "SELECT CAST(x AS VARCHAR) FROM '%s'");
    fixture_expect(&fixture, sql, "1");
    engine_grant_close(grant);
    struct errinfo info;
    CHECK_ERR(ERR_DENIED, fixture_run(&fixture, sql, NULL, &info));
    CHECK(strstr(info.message, "no grant for object") != NULL);
    CHECK(strstr(info.message, "moat:") == NULL && strstr(info.detail, "moat:") == NULL);
    CHECK_STR("42501", info.sqlstate);
    mem_free(sql);
    store_fini(&store);
    fixture_close(&fixture);
}

TEST(engine_grant, an_expired_grant_reads_nothing)
{
    struct fixture fixture = fixture_open(NULL);
    struct memory_store store = {0};
    store_fill(&fixture, &store, "SELECT 1 AS x");
    struct engine_object object = {.size_bytes = store.objects[0].len,
                                   .extension = SLICE(".parquet")};
    struct engine_grant_spec spec = {.objects = &object,
                                     .object_count = 1,
                                     .read = store_read,
                                     .context = &store,
                                     .expires_wall_us = clock_wall_us() - 1};
    struct engine_grant *grant = NULL;
    struct errinfo info;
    CHECK_OK(engine_grant_open(fixture.engine, WHO, &spec, &grant, &info));
    char *sql = fixture_sql(grant, 0, "SELECT * FROM '%s'");
    CHECK_ERR(ERR_DENIED, fixture_run(&fixture, sql, NULL, &info));
    CHECK(store.reads == 0);
    mem_free(sql);
    engine_grant_close(grant);
    store_fini(&store);
    fixture_close(&fixture);
}

TEST(engine_grant, an_extension_that_would_alter_an_address_is_refused)
{
    struct fixture fixture = fixture_open(NULL);
    static const char *const bad[] = {"parquet", ".par quet", ".x'",      "./../x",   ".x?y",
                                      ".x*",     "/../f",     "/a=1",     "/a=b c/f", "/=1/f",
                                      "/a=1/g",  "/a=1/../f", "/a=1/f/x", "/a=1/f?"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct engine_object object = {.extension = slice_of(bad[i])};
        struct engine_grant_spec spec = {.objects = &object, .object_count = 1, .read = store_read};
        struct engine_grant *grant = NULL;
        struct errinfo info;
        CHECK_ERR(ERR_INVALID, engine_grant_open(fixture.engine, WHO, &spec, &grant, &info));
        CHECK(grant == NULL);
    }
    fixture_close(&fixture);
}

TEST(engine_grant, a_failing_read_gives_its_own_error_and_leaves_the_session_usable)
{
    struct fixture fixture = fixture_open(NULL);
    struct memory_store store = {0};
    store_fill(&fixture, &store, "SELECT i FROM range(1000000) t(i)");
    struct engine_grant *grant = store_grant(&fixture, &store, 0);
    char *sql = fixture_sql(grant, 0, "SELECT CAST(sum(i) AS VARCHAR) FROM '%s'");
    static const enum err failures[] = {ERR_IO,        ERR_DENIED, ERR_INTERNAL,
                                        ERR_NOT_FOUND, ERR_NOMEM,  ERR_TIMEOUT};
    for (size_t i = 0; i < ARRAY_COUNT(failures); i++) {
        struct errinfo info;
        store.fail_read = failures[i];
        CHECK_ERR(failures[i], fixture_run(&fixture, sql, NULL, &info));
        CHECK_STR("object \"0\" is gone", info.message);
        CHECK_STR("Ask its owner.", info.hint);
        CHECK_STR(err_sqlstate(failures[i]), info.sqlstate);
        store.fail_read = ERR_OK;
        fixture_expect(&fixture, sql, "499999500000");
    }
    mem_free(sql);
    engine_grant_close(grant);
    store_fini(&store);
    fixture_close(&fixture);
}

TEST(engine_grant, a_file_shorter_or_other_than_promised_is_a_clean_error)
{
    struct fixture fixture = fixture_open(NULL);
    struct memory_store store = {0};
    store_fill(&fixture, &store, "SELECT i, md5(CAST(i AS VARCHAR)) h FROM range(20000) t(i)");
    size_t whole = store.objects[0].len;
    uint64_t seed = test_seed();
    for (unsigned round = 0; round < 60; round++) {
        struct memory_store damaged = {.object_count = 1};
        buf_append(&damaged.objects[0], store.objects[0].ptr, whole);
        if (round % 2 == 0) {
            damaged.objects[0].len = test_random_below(&seed, whole);
        } else {
            damaged.objects[0].ptr[whole - 1 - test_random_below(&seed, 400)] ^= 0x5A;
        }
        struct engine_grant *grant = store_grant(&fixture, &damaged, 0);
        char *sql = fixture_sql(grant, 0, "SELECT max(h || i) FROM '%s'");
        struct errinfo info;
        enum err err = fixture_run(&fixture, sql, NULL, &info);
        CHECK(round % 2 == 1 || err != ERR_OK);
        CHECK(err == ERR_OK || (info.message[0] != '\0' && strstr(info.message, "moat:") == NULL));
        mem_free(sql);
        engine_grant_close(grant);
        store_fini(&damaged);
        if (err == ERR_INTERNAL) { /* a broken engine is replaced for the next session */
            engine_session_close(fixture.session);
            CHECK_OK(engine_session_open(fixture.engine, WHO, &fixture.session, &info));
        }
    }
    fixture_expect(&fixture, "SELECT 'alive'", "alive");
    store_fini(&store);
    fixture_close(&fixture);
}

struct closing {
    struct engine_grant *grant;
    struct memory_store *store;
};

static void *close_after_some_reads(void *context)
{
    struct closing *closing = context;
    while (closing->store->reads < 4) {
        usleep(200);
    }
    engine_grant_close(closing->grant);
    closing->grant = NULL;
    return NULL;
}

TEST(engine_grant, closing_in_the_middle_of_a_query_stops_it)
{
    struct fixture fixture = fixture_open(NULL);
    struct memory_store store = {0};
    store_fill(&fixture, &store, "SELECT i, md5(CAST(i AS VARCHAR)) h FROM range(1000000) t(i)");
    store.read_delay_us =
        30000; /* so that the other thread is in time, busy as the machine may be */
    struct engine_grant *grant = store_grant(&fixture, &store, 0);
    char *sql = fixture_sql(grant, 0, "SELECT max(h || i) FROM '%s'");
    struct closing closing = {.grant = grant, .store = &store};
    store.reads = 0;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, close_after_some_reads, &closing) == 0);
    struct errinfo info;
    CHECK_ERR(ERR_DENIED, fixture_run(&fixture, sql, NULL, &info));
    CHECK_STR("no grant for object", info.message);
    (void)pthread_join(thread, NULL);
    uint64_t reads = store.reads;
    usleep(20000);
    CHECK(store.reads == reads); /* nothing reads once the grant is closed */
    mem_free(sql);
    store_fini(&store);
    fixture_close(&fixture);
}

static void write_victim(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && write(fd, "a,b\n1,2\n", 8) == 8);
    (void)close(fd);
}

TEST(engine_grant, every_other_path_is_refused)
{
    /* Goal: not one way to a file that no grant names. Method: a file that is there and readable,
     * asked for through every function that opens files, and everything else that could. */
    struct fixture fixture = fixture_open(NULL);
    const char *folder = test_folder();
    char victim[256];
    (void)snprintf(victim, sizeof(victim), "%s/victim.csv", folder);
    write_victim(victim);
    static const char *const forms[] = {
        "SELECT * FROM '%s'",
        "SELECT * FROM read_csv('%s')",
        "SELECT * FROM read_csv_auto('%s')",
        "SELECT * FROM sniff_csv('%s')",
        "SELECT * FROM read_text('%s')",
        "SELECT * FROM read_blob('%s')",
        "SELECT * FROM read_json('%s')",
        "SELECT * FROM read_ndjson_objects('%s')",
        "SELECT * FROM read_parquet('%s')",
        "SELECT * FROM parquet_metadata('%s')",
        "SELECT * FROM parquet_schema('%s')",
        "SELECT * FROM parquet_file_metadata('%s')",
        "SELECT * FROM parquet_kv_metadata('%s')",
        "SELECT * FROM glob('%s')",
        "SELECT * FROM read_csv(['moat://x', '%s'])",
        "SELECT * FROM read_text('file://%s')",
        "SELECT * FROM read_text('moat://../../../../..%s')",
        "SELECT * FROM read_text('moat:/%s')",
        "SELECT * FROM query('SELECT * FROM read_text(''%s'')')",
        "SELECT * FROM query_table('%s')",
        "COPY (SELECT 1) TO '%s'",
        "COPY (SELECT 1) TO '%s.new' (FORMAT csv)",
        "COPY (SELECT 1 AS p) TO '%s.d' (FORMAT parquet, PARTITION_BY (p))",
        "COPY t FROM '%s'",
        "ATTACH '%s' AS other",
        "CREATE TABLE t AS FROM read_csv('%s')",
        "INSERT INTO t SELECT * FROM '%s'",
        "IMPORT DATABASE '%s'",
        "EXPORT DATABASE '%s'",
        "LOAD '%s'",
        "INSTALL '%s'",
        "SET temp_directory = '%s'",
        "SET allowed_directories = ['%s']",
        "SET GLOBAL allowed_paths = ['%s']",
        "SET enable_external_access = true -- %s",
        "RESET lock_configuration -- %s",
        "PRAGMA database_list -- %s",
        "CALL enable_logging(storage_path = '%s')",
        "SELECT 1; SELECT * FROM '%s'",
        "EXPLAIN ANALYZE SELECT * FROM '%s'",
        "PREPARE p AS SELECT * FROM '%s'",
        "CREATE MACRO f() AS TABLE FROM '%s'",
        "CREATE VIEW v AS FROM '%s'",
    };
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        struct buf sql CLEANUP(buf_fini) = {0};
        const char *mark = strstr(forms[i], "%s");
        buf_append(&sql, forms[i], (size_t)(mark - forms[i]));
        buf_append_str(&sql, victim);
        buf_append_str(&sql, mark + 2);
        struct errinfo info;
        if (fixture_run(&fixture, buf_cstr(&sql), NULL, &info) == ERR_OK) {
            fail_msg("allowed: %s", buf_cstr(&sql));
        }
    }
    fixture_expect(&fixture, "SELECT 'alive'", "alive");
    char made[300];
    (void)snprintf(made, sizeof(made), "%s.new", victim);
    CHECK(access(made, F_OK) != 0);
    fixture_close(&fixture);
}

TEST(engine_grant, network_addresses_are_refused)
{
    struct fixture fixture = fixture_open(NULL);
    static const char *const addresses[] = {
        "http://127.0.0.1:1/x.csv",
        "https://127.0.0.1:1/x.csv",
        "s3://bucket/x.csv",
        "gcs://bucket/x.csv",
        "hf://datasets/x.csv",
        "az://c/x.csv",
        "/dev/stdin",
        "/proc/self/environ",
        "../../etc/passwd",
    };
    for (size_t i = 0; i < ARRAY_COUNT(addresses); i++) {
        char sql[256];
        (void)snprintf(sql, sizeof(sql), "SELECT * FROM read_csv('%s')", addresses[i]);
        struct errinfo info;
        CHECK(fixture_run(&fixture, sql, NULL, &info) != ERR_OK);
    }
    fixture_close(&fixture);
}

static void steal(struct fixture *thief, struct buf *name)
{
    char sql[512];
    struct errinfo info;
    CHECK(strstr(buf_cstr(name), "moat://") == buf_cstr(name));
    char *line = strchr(name->ptr, '\n');
    if (line != NULL) {
        *line = '\0';
    }
    (void)snprintf(sql, sizeof(sql), "SELECT hex(content) FROM read_blob('%s')", buf_cstr(name));
    CHECK_ERR(ERR_DENIED, fixture_run(thief, sql, NULL, &info));
    (void)snprintf(sql, sizeof(sql), "COPY (SELECT 1) TO '%s'", buf_cstr(name));
    CHECK(fixture_run(thief, sql, NULL, &info) != ERR_OK);
}

TEST(engine_grant, what_one_session_spills_no_session_can_read)
{
    /* Goal: spilling works, and its files are out of reach even for one who knows the name.
     * Method: sort more than memory holds, find the folder's name, ask for it by SQL. */
    const char *folder = test_folder();
    struct engine_options options = {
        .memory_bytes_max = 100u << 20, .thread_count = 2, .temp_folder = folder};
    struct fixture fixture = fixture_open(&options);
    struct engine_query *query = NULL;
    struct errinfo info;
    CHECK_OK(engine_query_open(
        fixture.session, WHO,
        SLICE("SELECT md5(CAST(i AS VARCHAR)) || i AS x FROM range(4000000) t(i) ORDER BY x"), NULL,
        0, &query, &info));
    struct ArrowArray batch;
    enum err err = engine_query_next(query, &batch, &info);
    if (err != ERR_OK) {
        fail_msg("%s", info.message);
    }
    batch.release(&batch);

    struct engine_session *other = NULL;
    CHECK_OK(engine_session_open(fixture.engine, WHO, &other, &info));
    struct fixture thief = {.engine = fixture.engine, .session = other};
    struct buf name CLEANUP(buf_fini) = {0};
    CHECK_OK(fixture_run(&thief, "SELECT path FROM duckdb_temporary_files()", &name, &info));
    if (fixture.hosts != NULL) { /* in another process, it does not even learn the name */
        CHECK_STR("", buf_cstr(&name));
        CHECK(rmdir(folder) != 0);
    } else {
        steal(&thief, &name);
    }
    engine_session_close(other);
    engine_query_close(query);
    fixture_close(&fixture);
    CHECK(rmdir(folder) == 0); /* nothing is left behind */
}

/* The first column of the first row. */
static void check_stats(struct fixture *fixture, struct memory_store *store, const char *format,
                        bool shows_bounds)
{
    struct engine_grant *grant = store_grant(fixture, store, 0);
    char *sql = fixture_sql(grant, 0, format);
    struct buf text CLEANUP(buf_fini) = {0};
    struct errinfo info;
    CHECK_OK(fixture_run(fixture, sql, &text, &info));
    if ((strstr(buf_cstr(&text), "777") != NULL) != shows_bounds) {
        fail_msg("%s: %s", format, buf_cstr(&text));
    }
    mem_free(sql);
    engine_grant_close(grant);
}

TEST(engine_grant, bounds_of_a_file_reach_plans_only_where_nothing_is_hidden)
{
    /* Goal: what a function may learn while the engine plans. Method: stats() prints what the
     * engine knows of a column's values at that point: over open objects the bounds of the file,
     * behind a barrier nothing, and nothing anywhere over objects with hidden rows, whichever way
     * the plan is built or copied. */
    struct fixture fixture = fixture_open(NULL);
    struct memory_store store = {0};
    store_fill(&fixture, &store,
               "SELECT 10 AS n, 'EU' AS region, DATE '2020-01-01' AS d UNION ALL "
               "SELECT 777, 'US', DATE '5000000-01-01'");
    static const char copied[] =
        "WITH c AS NOT MATERIALIZED (SELECT n FROM '%s') SELECT stats(a.n) "
        "FROM c a JOIN c b ON a.n = b.n";
    static const char *const forms[] = {
        "SELECT stats(n) FROM '%s' WHERE region = 'EU'",
        "SELECT stats(c + 1 - 1) FROM (SELECT n AS c FROM '%s' WHERE region = 'EU') t",
        copied,
        "SELECT len(CAST(bitstring_agg(n) AS VARCHAR)) * 0 || '777' FROM '%s'",
    };
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        store.has_hidden = false;
        check_stats(&fixture, &store, forms[i], true);
    }
    static const char barrier[] = "SELECT stats(c) FROM (SELECT __moat_barrier(n) AS c FROM '%s' "
                                  "WHERE region = 'EU' OFFSET 0) t";
    check_stats(&fixture, &store, barrier, false);
    store.has_hidden = true;
    check_stats(&fixture, &store, barrier, false);
    for (size_t i = 0; i + 1 < ARRAY_COUNT(forms); i++) {
        check_stats(&fixture, &store, forms[i], false);
    }
    struct engine_grant *grant = store_grant(&fixture, &store, 0);
    char *sql = fixture_sql(grant, 0, forms[ARRAY_COUNT(forms) - 1]);
    struct errinfo info;
    CHECK_ERR(ERR_ENGINE, fixture_run(&fixture, sql, NULL, &info));
    CHECK(strstr(info.hint, "bitstring_agg(column, smallest, largest)") != NULL);
    mem_free(sql);
    /* Run on the hidden date, date_trunc fails. */
    sql = fixture_sql(
        grant, 0, "SELECT CAST(date_trunc('year', d) AS VARCHAR) FROM '%s' WHERE region = 'EU'");
    fixture_expect(&fixture, sql, "2020-01-01 00:00:00");
    mem_free(sql);
    engine_grant_close(grant);
    store_fini(&store);
    fixture_close(&fixture);
}
