/* The life of a query, seen from outside: what the trail holds when, cancelling, deadlines,
 * places, limits, many sessions. What statements mean is in tests/sql. */
#include <dirent.h>
#include <pthread.h>
#include <unistd.h>

#include "arrow/value.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/test.h"
#include "engine/host/testing.h"
#include "query/admission/admission_int.h"
#include "query/query_int.h"

/* How much more time a sanitizer may take. */
#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                               \
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLOWNESS 10
#else
#define SLOWNESS 1
#endif

/* Runs for minutes, cannot be answered from statistics, and can be interrupted. */
#define ENDLESS                                                                                    \
    "SELECT count(*) FROM range(1000000) AS a(x), range(1000000) AS b(y) WHERE hash(x, y) = 1"

struct house {
    struct arena *arena;
    const char *folder;
    struct config *config;
    struct warehouse *warehouse;
};

static void house_open(struct house *house, const char *const *extra, size_t extra_count)
{
    const char *sets[8];
    struct errinfo info;
    *house = (struct house){.arena = arena_new(NULL, "house", 0), .folder = test_folder()};
    sets[0] = arena_printf(house->arena, "warehouse.path=%s/warehouse", house->folder);
    sets[1] = "engine.threads=2";
    for (size_t i = 0; i < extra_count; i++) {
        sets[2 + i] = extra[i];
    }
    struct config_sources sources = {.sets = sets, .set_count = 2 + extra_count};
    CHECK_OK(config_load(&sources, &house->config, &info));
    struct warehouse_options options = {
        .config = house->config, .create_if_missing = true, .engine_host = test_host_program()};
    CHECK_OK(warehouse_open(&options, &house->warehouse, &info));
}

static void house_close(struct house *house)
{
    warehouse_close(house->warehouse);
    config_free(house->config);
    arena_free(house->arena);
}

static struct session *sign_in(struct house *house, const char *name)
{
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    struct session *session;
    struct errinfo info;
    CHECK_OK(warehouse_login_local(house->warehouse, slice_of(name), &who, &info));
    CHECK_OK(session_open(house->warehouse, who, &session, &info));
    return session;
}

/* Runs to the end; rows as lines of cells with '|' between, appended to `out` (may be NULL). */
static enum err ask(struct session *session, const char *text, struct buf *out,
                    struct errinfo *info)
{
    struct query *query CLEANUP(query_cleanup) = NULL;
    struct ArrowSchema schema = {0};
    TRY(query_open(session, slice_of(text), NULL, 0, &query, info));
    if (!query_has_rows(query)) {
        return ERR_OK;
    }
    TRY(query_schema(query, &schema, info));
    enum err err;
    for (;;) {
        struct ArrowArray batch = {0};
        err = query_next(query, &batch, info);
        if (err != ERR_OK || batch.release == NULL) {
            break;
        }
        for (int64_t row = 0; out != NULL && row < batch.length; row++) {
            for (int64_t c = 0; c < schema.n_children; c++) {
                buf_append_str(out, c == 0 ? "" : "|");
                CHECK_OK(arrow_print(schema.children[c], batch.children[c], batch.offset + row, out,
                                     info));
            }
            buf_append_char(out, '\n');
        }
        batch.release(&batch);
    }
    schema.release(&schema);
    return err;
}

static void must(struct session *session, const char *text)
{
    struct errinfo info;
    enum err err = ask(session, text, NULL, &info);
    if (err != ERR_OK) {
        print_error("%s: %s\n", text, info.message);
    }
    CHECK_OK(err);
}

static void must_give(struct session *session, const char *text, const char *expected)
{
    struct errinfo info;
    struct buf rows CLEANUP(buf_fini) = {0};
    enum err err = ask(session, text, &rows, &info);
    if (err != ERR_OK) {
        print_error("%s: %s\n", text, info.message);
    }
    CHECK_OK(err);
    CHECK_STR(expected, buf_cstr(&rows));
}

static void write_data(struct house *house, const char *name, const char *text)
{
    struct errinfo info;
    const char *path = io_join(house->arena, house->folder, name);
    CHECK_OK(io_write_file_atomic(path, slice_of(text), 0600, &info));
}

/* ---- the trail, as bytes on disk ---- */

static struct slice read_disk(struct house *house)
{
    const char *folder = arena_printf(house->arena, "%s/warehouse/audit", house->folder);
    struct buf all CLEANUP(buf_fini) = {0};
    struct errinfo info;
    DIR *open_folder = opendir(folder);
    CHECK(open_folder != NULL);
    for (struct dirent *entry; (entry = readdir(open_folder)) != NULL;) {
        struct slice bytes;
        if (slice_ends_with(slice_of(entry->d_name), SLICE(".jsonl"))) {
            CHECK_OK(io_read_file(house->arena, io_join(house->arena, folder, entry->d_name),
                                  64u << 20, &bytes, &info));
            buf_append_slice(&all, bytes);
        }
    }
    closedir(open_folder);
    struct slice kept;
    CHECK(arena_slice(house->arena, buf_slice(&all), &kept));
    return kept;
}

/* With the records that need not be written yet. */
static struct slice read_trail(struct house *house)
{
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    struct identity_spec spec = {.subject = SLICE("auditor"), .provider = SLICE("local")};
    struct slice *paths;
    size_t count;
    CHECK_OK(identity_new(&spec, &who, NULL));
    CHECK_OK(audit_files(house->warehouse->audit, who, house->arena, &paths, &count, NULL));
    return read_disk(house);
}

/* The record of this kind of this query; empty if the trail has none. */
static struct slice find_record(struct house *house, struct slice query_id, const char *kind)
{
    struct slice rest = read_trail(house);
    struct slice mark = slice_of(arena_printf(house->arena, "\"kind\":\"%s\"", kind));
    while (rest.len > 0) {
        const char *newline = memchr(rest.ptr, '\n', rest.len);
        CHECK(newline != NULL);
        struct slice line = {rest.ptr, (size_t)(newline - rest.ptr)};
        if (slice_find(line, mark) != SIZE_MAX && slice_find(line, query_id) != SIZE_MAX) {
            return line;
        }
        rest = (struct slice){newline + 1, rest.len - line.len - 1};
    }
    return (struct slice){"", 0};
}

static bool has(struct slice text, const char *part)
{
    return slice_find(text, slice_of(part)) != SIZE_MAX;
}

static size_t count_of(struct slice text, const char *part)
{
    size_t count = 0;
    for (size_t at; (at = slice_find(text, slice_of(part))) != SIZE_MAX; count++) {
        text = (struct slice){text.ptr + at + 1, text.len - at - 1};
    }
    return count;
}

TEST(query, start_is_on_disk_before_first_row_and_end_says_what_happened)
{
    // Goal: the start record is in the file when query_open returns, before any row could leave;
    // the end record has rows, state and the durations of the states. Method: read the file between
    // the calls.
    struct house house;
    struct errinfo info;
    struct query *query;
    house_open(&house, NULL, 0);
    write_data(&house, "t.csv", "id,name\n1,ann\n2,bob\n3,cid\n");
    struct session *session = sign_in(&house, "");
    must(session,
         arena_printf(house.arena, "CREATE EXTERNAL TABLE t LOCATION '%s/t.csv'", house.folder));
    CHECK_OK(
        query_open(session, SLICE("SELECT id FROM t WHERE name <> 'bob'"), NULL, 0, &query, &info));
    struct slice id;
    CHECK(arena_slice(house.arena, query_id(query), &id));
    CHECK(has(read_disk(&house), arena_printf(house.arena, "%.*s", SLICE_ARGS(id))));
    struct slice start = find_record(&house, id, "query_start");
    CHECK(has(start, "main.t") && has(start, "\"id\"") && has(start, "\"name\""));
    CHECK(has(start, "SELECT id FROM t WHERE name <> 'bob'"));
    CHECK(find_record(&house, id, "query_end").len == 0);
    struct ArrowArray batch = {0};
    uint64_t rows = 0;
    for (;;) {
        CHECK_OK(query_next(query, &batch, &info));
        if (batch.release == NULL) {
            break;
        }
        rows += (uint64_t)batch.length;
        batch.release(&batch);
    }
    assert_int_equal(rows, 2);
    struct slice end = find_record(&house, id, "query_end");
    CHECK(has(end, "\"state\":\"DONE\"") && has(end, "\"sqlstate\":\"00000\""));
    CHECK(has(end, "\"rows_out\":2,") && has(end, "\"files\":1,"));
    CHECK(!has(end, "\"bytes_read\":0,"));
    static const char *const states[] = {"RECEIVED", "PARSED",   "RESOLVED", "SECURED",
                                         "PLANNED",  "ADMITTED", "RUNNING",  "STREAMING"};
    for (size_t i = 0; i < ARRAY_COUNT(states); i++) {
        CHECK(has(end, arena_printf(house.arena, "\"%s\":", states[i])));
    }
    query_close(query);
    assert_int_equal(
        count_of(read_trail(&house), arena_printf(house.arena, "%.*s", SLICE_ARGS(id))), 2);
    session_close(session);
    house_close(&house);
}

TEST(query, refusals_are_on_the_trail)
{
    // Goal: what never got as far as reading is recorded with its SQLSTATE. Method: mistakes of
    // each kind.
    struct house house;
    struct errinfo info;
    house_open(&house, NULL, 0);
    struct session *session = sign_in(&house, "");
    CHECK_ERR(ERR_NOT_FOUND, ask(session, "SELECT * FROM missing_table", NULL, &info));
    CHECK_ERR(ERR_SYNTAX, ask(session, "SELECT FROM WHERE", NULL, &info));
    CHECK_ERR(ERR_DENIED, ask(session, "INSTALL httpfs", NULL, &info));
    CHECK_ERR(ERR_INVALID, ask(session, "CREATE USER u PASSWORD ''", NULL, &info));
    struct slice trail = read_trail(&house);
    CHECK(has(trail, "missing_table") && has(trail, "\"sqlstate\":\"42P01\""));
    CHECK(has(trail, "\"sqlstate\":\"42601\"") && has(trail, "\"sqlstate\":\"42501\""));
    CHECK(has(trail, "\"sqlstate\":\"28P01\""));
    assert_int_equal(count_of(trail, "\"kind\":\"denied\""), 3);
    must(session, "CREATE USER u PASSWORD 'open sesame'");
    must(session, "ALTER USER u PASSWORD 'barbarossa'");
    trail = read_trail(&house);
    CHECK(!has(trail, "sesame") && !has(trail, "barbarossa"));
    session_close(session);
    house_close(&house);
}

TEST(query, closing_unread_is_a_cancellation)
{
    // Goal: a query that is dropped ends, frees its place and its session. Method: place for one
    // only.
    static const char *const sets[] = {"query.concurrent_max=1", "query.queue_timeout=100ms"};
    struct house house;
    struct errinfo info;
    struct query *query;
    house_open(&house, sets, ARRAY_COUNT(sets));
    struct session *session = sign_in(&house, "");
    for (int i = 0; i < 20; i++) {
        CHECK_OK(query_open(session, SLICE(ENDLESS), NULL, 0, &query, &info));
        CHECK_ERR(ERR_BUSY, ask(session, "SELECT 1", NULL, &info));
        CHECK_STR("55006", info.sqlstate);
        struct slice id;
        CHECK(arena_slice(house.arena, query_id(query), &id));
        query_close(query);
        CHECK(has(find_record(&house, id, "query_end"), "\"state\":\"CANCELLED\""));
    }
    must_give(session, "SELECT 42", "42\n");
    session_close(session);
    house_close(&house);
}

/* ---- cancelling ---- */

struct canceller {
    struct query *query;     /* or */
    struct session *session; /* whatever it does */
    int64_t at_us;
};

static void *cancel_soon(void *context)
{
    struct canceller *canceller = context;
    usleep(150000);
    canceller->at_us = clock_mono_us();
    if (canceller->query != NULL) {
        query_cancel(canceller->query);
    } else {
        session_cancel(canceller->session);
    }
    return NULL;
}

/* Milliseconds from the cancellation to the error. */
static int64_t cancel_once(struct session *session)
{
    struct errinfo info;
    struct canceller canceller = {0};
    struct ArrowArray batch = {0};
    pthread_t thread;
    CHECK_OK(query_open(session, SLICE(ENDLESS), NULL, 0, &canceller.query, &info));
    CHECK(pthread_create(&thread, NULL, cancel_soon, &canceller) == 0);
    CHECK_ERR(ERR_CANCELLED, query_next(canceller.query, &batch, &info));
    int64_t back_us = clock_mono_us();
    CHECK_STR("57014", info.sqlstate);
    pthread_join(thread, NULL);
    query_close(canceller.query);
    return (back_us - canceller.at_us) / 1000;
}

TEST(query, cancel_from_another_thread_within_100_ms)
{
    // Goal: a running query stops within 100 ms of query_cancel. Method: best of five, since the
    // machine may be busy; the session goes on.
    struct house house;
    house_open(&house, NULL, 0);
    struct session *session = sign_in(&house, "");
    int64_t best_ms = INT64_MAX;
    for (int i = 0; i < 5 && best_ms > 100; i++) {
        int64_t ms = cancel_once(session);
        best_ms = ms < best_ms ? ms : best_ms;
    }
    print_message("cancelled in %lld ms\n", (long long)best_ms);
    assert_in_range(best_ms, 0, 100 * SLOWNESS * test_slowness());
    must_give(session, "SELECT 42", "42\n");
    session_close(session);
    house_close(&house);
}

#define ENDLESS_COPY "COPY (" ENDLESS ") TO"

/* What may run long, each in its own way. */
static const char *const endless_statements[] = {
    ENDLESS,
    "EXPLAIN ANALYZE " ENDLESS,
    ENDLESS_COPY,
    "SUMMARIZE " ENDLESS,
    "EXECUTE endless",
    "CREATE VIEW v AS " ENDLESS, /* only bound: these three end by themselves */
    "DESCRIBE " ENDLESS,
    "EXPLAIN " ENDLESS,
};
#define ENDLESS_BOUND_ONLY 3

/* The file of COPY lies in the test's folder. */
static const char *endless_text(struct house *house, size_t index)
{
    const char *text = endless_statements[index];
    if (strcmp(text, ENDLESS_COPY) != 0) {
        return text;
    }
    return arena_printf(house->arena, "COPY (" ENDLESS ") TO '%s/out.csv'", house->folder);
}

TEST(query, session_cancel_reaches_every_kind_of_statement)
{
    // Goal: Ctrl-C stops whatever a session does within 100 ms, also before query_open returns.
    // Method: each kind of statement that may run for long, best of five.
    struct house house;
    house_open(&house, NULL, 0);
    struct session *session = sign_in(&house, "");
    must(session, "PREPARE endless AS " ENDLESS);
    size_t count = ARRAY_COUNT(endless_statements) - ENDLESS_BOUND_ONLY;
    for (size_t i = 0; i < count; i++) {
        const char *text = endless_text(&house, i);
        int64_t best_us = INT64_MAX;
        for (int round = 0; round < 5 && best_us > 100000; round++) {
            struct canceller canceller = {.session = session};
            struct errinfo info;
            pthread_t thread;
            CHECK(pthread_create(&thread, NULL, cancel_soon, &canceller) == 0);
            CHECK_ERR(ERR_CANCELLED, ask(session, text, NULL, &info));
            int64_t took_us = clock_mono_us() - canceller.at_us;
            pthread_join(thread, NULL);
            CHECK_STR("57014", info.sqlstate);
            best_us = took_us < best_us ? took_us : best_us;
        }
        print_message("%.16s...: cancelled in %lld us\n", text, (long long)best_us);
        assert_in_range(best_us, 0, 100000 * SLOWNESS * test_slowness());
        must_give(session, "SELECT 42", "42\n");
    }
    session_close(session);
    house_close(&house);
}

TEST(query, a_stopped_session_runs_nothing_until_it_goes_on)
{
    // Goal: a stop counts for what runs and for what comes after it, until session_resume; and the
    // session is as before then. Method: a stop while a query runs, and one between two.
    struct house house;
    struct errinfo info;
    struct query *query;
    struct ArrowArray batch = {0};
    house_open(&house, NULL, 0);
    struct session *session = sign_in(&house, "");
    CHECK_OK(query_open(session, SLICE(ENDLESS), NULL, 0, &query, &info));
    session_stop(session);
    CHECK_ERR(ERR_CANCELLED, query_next(query, &batch, &info));
    query_close(query);
    for (int i = 0; i < 2; i++) { /* also those that need no engine, and what is planned already */
        CHECK_ERR(ERR_CANCELLED, ask(session, "SELECT 42", NULL, &info));
        CHECK_STR("57014", info.sqlstate);
        CHECK_ERR(ERR_CANCELLED, ask(session, "SHOW TABLES", NULL, &info));
        session_resume(session);
        must_give(session, "SELECT 42", "42\n");
        session_stop(session);
    }
    session_close(session);
    house_close(&house);
}

struct striker {
    struct session *session;
    atomic_bool is_over;
};

static void *strike(void *context)
{
    struct striker *striker = context;
    uint64_t seed = test_seed();
    while (!atomic_load(&striker->is_over)) {
        usleep((useconds_t)test_random_below(&seed, 1500));
        session_cancel(striker->session);
    }
    return NULL;
}

TEST(query, a_cancel_at_any_moment_is_not_lost)
{
    // Goal: a cancel counts wherever a statement is, between its steps too, and never for the next
    // one. Method: cancels rain down at random while statements that would take minutes are asked.
    struct house house;
    house_open(&house, NULL, 0);
    struct session *session = sign_in(&house, "");
    must(session, "PREPARE endless AS " ENDLESS);
    struct striker striker = {.session = session};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, strike, &striker) == 0);
    for (size_t i = 0; i < 40 * ARRAY_COUNT(endless_statements); i++) {
        size_t kind = i % ARRAY_COUNT(endless_statements);
        bool may_end = kind >= ARRAY_COUNT(endless_statements) - ENDLESS_BOUND_ONLY;
        struct errinfo info = {0};
        enum err err = ask(session, endless_text(&house, kind), NULL, &info);
        if (err != ERR_CANCELLED && !may_end) {
            fail_msg("%s: %s", endless_statements[kind], info.message);
        }
    }
    atomic_store(&striker.is_over, true);
    pthread_join(thread, NULL);
    must_give(session, "SELECT 42", "42\n");
    session_close(session);
    house_close(&house);
}

TEST(query, timeout_ends_every_kind_of_statement)
{
    // Goal: query.timeout ends any statement, with its own words. Method: SET, then what would take
    // minutes.
    struct house house;
    struct errinfo info;
    house_open(&house, NULL, 0);
    struct session *session = sign_in(&house, "");
    must(session, "PREPARE endless AS " ENDLESS);
    must(session, "SET query.timeout = '200ms'");
    size_t count = ARRAY_COUNT(endless_statements) - ENDLESS_BOUND_ONLY;
    for (size_t i = 0; i < count; i++) {
        int64_t start_us = clock_mono_us();
        CHECK_ERR(ERR_TIMEOUT, ask(session, endless_text(&house, i), NULL, &info));
        int64_t took_ms = (clock_mono_us() - start_us) / 1000;
        CHECK_STR("57014", info.sqlstate);
        CHECK(has(slice_of(info.message), "time limit") &&
              has(slice_of(info.hint), "query.timeout"));
        assert_in_range(took_ms, 200, 1000 * SLOWNESS * test_slowness());
        CHECK(has(read_trail(&house), "\"state\":\"CANCELLED\",\"sqlstate\":\"57014\""));
        must_give(session, "SELECT 42", "42\n");
    }
    must(session, "RESET query.timeout");
    usleep(250000);
    must_give(session, "SELECT 43", "43\n");
    session_close(session);
    house_close(&house);
}

TEST(query, error_in_the_stream_fails_the_query)
{
    // Goal: an error that comes while rows are pulled ends the query as failed, in the trail as
    // well, and the session goes on. Method: a cast that fails late.
    static const char *const sets[] = {"engine.threads=1"};
    struct house house;
    struct errinfo info;
    struct query *query;
    house_open(&house, sets, ARRAY_COUNT(sets));
    struct session *session = sign_in(&house, "");
    CHECK_OK(query_open(session,
                        SLICE("SELECT CAST(replace(CAST(i AS VARCHAR), '5000000', 'x') AS "
                              "INTEGER) AS n FROM range(6000000) AS r(i)"),
                        NULL, 0, &query, &info));
    struct slice id;
    CHECK(arena_slice(house.arena, query_id(query), &id));
    int64_t rows = 0;
    enum err err;
    for (;;) {
        struct ArrowArray batch = {0};
        err = query_next(query, &batch, &info);
        if (err != ERR_OK) {
            break;
        }
        CHECK(batch.release != NULL);
        rows += batch.length;
        batch.release(&batch);
    }
    CHECK_STR("22P02", info.sqlstate);
    CHECK(rows > 4000000 && rows < 5000000);
    struct slice end = find_record(&house, id, "query_end");
    CHECK(has(end, "\"state\":\"FAILED\",\"sqlstate\":\"22P02\""));
    CHECK(has(end, arena_printf(house.arena, "\"rows_out\":%lld,", (long long)rows)));
    query_close(query);
    must_give(session, "SELECT 42", "42\n");
    session_close(session);
    house_close(&house);
}

/* ---- places ---- */

struct waiter {
    struct session *session;
    struct errinfo info;
    enum err err;
};

static void *ask_one(void *context)
{
    struct waiter *waiter = context;
    waiter->err = ask(waiter->session, "SELECT count(*) FROM range(3)", NULL, &waiter->info);
    return NULL;
}

static void wait_until_queued(struct waiter *waiter)
{
    while (admission_count(waiter->session->warehouse->admission, SLICE("")).queued != 1) {
        usleep(1000);
    }
}

TEST(query, places_and_queue_of_one_person)
{
    // Goal: past person_concurrent_max a query waits, past person_queued_max it is refused (53300),
    // past queue_timeout it gives up (53400); a place that comes free is taken; another person is
    // not held up, nor is what the engine need not be asked for.
    static const char *const sets[] = {"query.person_concurrent_max=1", "query.person_queued_max=1",
                                       "query.queue_timeout=3s"};
    struct house house;
    struct errinfo info;
    struct query *query;
    pthread_t thread;
    house_open(&house, sets, ARRAY_COUNT(sets));
    struct session *holder = sign_in(&house, "");
    must(holder, "CREATE USER ann");
    must_give(holder, "SELECT 1", "1\n");
    struct waiter waiter = {.session = sign_in(&house, "")};
    struct session *third = sign_in(&house, "");
    struct session *ann = sign_in(&house, "ann");
    CHECK_OK(query_open(holder, SLICE(ENDLESS), NULL, 0, &query, &info));
    CHECK(pthread_create(&thread, NULL, ask_one, &waiter) == 0);
    wait_until_queued(&waiter);
    CHECK_ERR(ERR_BUSY, ask(third, "SELECT count(*) FROM range(3)", NULL, &info));
    CHECK_STR("53300", info.sqlstate);
    must_give(third, "SELECT 1", "1\n");
    must_give(ann, "SELECT count(*) FROM range(3)", "3\n");
    pthread_join(thread, NULL);
    CHECK_ERR(ERR_BUSY, waiter.err);
    CHECK_STR("53400", waiter.info.sqlstate);

    CHECK(pthread_create(&thread, NULL, ask_one, &waiter) == 0);
    wait_until_queued(&waiter);
    query_close(query);
    pthread_join(thread, NULL);
    CHECK_OK(waiter.err);

    /* A waiter that is cancelled goes at once. */
    CHECK_OK(query_open(holder, SLICE(ENDLESS), NULL, 0, &query, &info));
    CHECK(pthread_create(&thread, NULL, ask_one, &waiter) == 0);
    struct admission *admission = waiter.session->warehouse->admission;
    wait_until_queued(&waiter);
    int64_t start_us = clock_mono_us();
    session_cancel(waiter.session);
    assert_int_equal(0, admission_count(admission, SLICE("")).queued); /* its thread still sleeps */
    pthread_join(thread, NULL);
    CHECK_ERR(ERR_CANCELLED, waiter.err);
    assert_in_range((clock_mono_us() - start_us) / 1000, 0, 2000); /* of the 3 s that it may wait */
    query_close(query);
    session_close(ann);
    session_close(third);
    session_close(waiter.session);
    session_close(holder);
    house_close(&house);
}

/* ---- many ---- */

static uint64_t resident_bytes(void)
{
    unsigned long long pages = 0;
    unsigned long long resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL);
    CHECK(fscanf(file, "%llu %llu", &pages, &resident) == 2);
    (void)fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* One round of everything that a session may live through. */
static void live_through(struct house *house, struct session *owner, struct session *ann, int i)
{
    struct errinfo info;
    char text[160];
    (void)snprintf(text, sizeof(text), "SELECT count(*) FROM t WHERE id < %d", i % 3 == 0 ? 7 : i);
    must(owner, text);
    (void)snprintf(text, sizeof(text), "SELECT regexp_replace(name, 'a', '') FROM t WHERE id <> %d",
                   i % 3 == 0 ? 7 : i);
    must(ann, text);
    switch (i % 16) {
    case 0:
        CHECK(ask(owner, "SELECT nothing FROM t", NULL, &info) != ERR_OK);
        CHECK_STR("42703", info.sqlstate);
        break;
    case 4:
        CHECK(ask(ann, "SELECT CAST(name AS INTEGER) FROM t", NULL, &info) != ERR_OK);
        break;
    case 8: {
        struct query *query;
        struct ArrowArray batch = {0};
        CHECK_OK(query_open(ann, SLICE("SELECT * FROM t, range(1000000)"), NULL, 0, &query, &info));
        CHECK_OK(query_next(query, &batch, &info));
        batch.release(&batch);
        query_cancel(query);
        CHECK_ERR(ERR_CANCELLED, query_next(query, &batch, &info));
        query_close(query);
        break;
    }
    case 12:
        must(owner, "SHOW TABLES");
        must(owner, "EXPLAIN ANALYZE SELECT * FROM t");
        must(owner,
             arena_printf(house->arena, "COPY (SELECT * FROM t) TO '%s/o.csv'", house->folder));
        break;
    default:
        break;
    }
}

TEST(query, thousands_of_queries_do_not_grow)
{
    // Goal: nothing of a query outlives it but what the caches hold. Method: resident memory after
    // the caches are full, and after twice as many again; statements new and repeated, right, wrong
    // and cancelled, with a policy and without. MOAT_TEST_QUERIES makes it more than 2,000.
    struct house house;
    const char *wanted = getenv("MOAT_TEST_QUERIES");
    uint64_t count = 2000;
    uint64_t settled = 0;
    CHECK(wanted == NULL || slice_to_u64(slice_of(wanted), &count));
    house_open(&house, NULL, 0);
    write_data(&house, "t.csv", "id,name\n1,ann\n2,bob\n3,cid\n");
    struct session *owner = sign_in(&house, "");
    must(owner,
         arena_printf(house.arena, "CREATE EXTERNAL TABLE t LOCATION '%s/t.csv'", house.folder));
    must(owner, "CREATE USER ann");
    must(owner, "GRANT SELECT ON t TO ann ROWS WHERE id < 3 MASKED WITH (name = left(name, 2))");
    struct session *ann = sign_in(&house, "ann");
    for (uint64_t i = 0; i < count / 2; i++) { /* two queries a round, at least */
        live_through(&house, owner, ann, (int)i);
        settled = i == 400 ? resident_bytes() : settled;
    }
    uint64_t now = resident_bytes();
    uint64_t grown = now > settled ? now - settled : 0;
    print_message("grown by %llu KiB\n", (unsigned long long)grown / 1024);
    /* Sanitizers keep what is freed. The engine notes each buffer that may be evicted and looks
     * through its notes when there are tens of thousands: 300 bytes a query up to then. */
    if (SLOWNESS == 1) {
        assert_in_range(grown, 0, count <= 2000 ? 6u << 20 : 32u << 20);
    }
    session_close(ann);
    session_close(owner);
    house_close(&house);
}

TEST(query, a_full_plan_cache_hands_out_the_right_plans)
{
    // Goal: plans that make room for others leave none behind and none out of reach. Method: more
    // texts than the cache holds (256), of two people with different rights, asked in an order that
    // evicts, repeats and comes back; each answer is counted out here.
    struct house house;
    uint64_t seed = test_seed();
    char text[80];
    char expected[16];
    house_open(&house, NULL, 0);
    write_data(&house, "t.csv", "id,name\n1,ann\n2,bob\n3,cid\n");
    struct session *owner = sign_in(&house, "");
    must(owner,
         arena_printf(house.arena, "CREATE EXTERNAL TABLE t LOCATION '%s/t.csv'", house.folder));
    must(owner, "CREATE USER ann");
    must(owner, "GRANT SELECT ON t TO ann ROWS WHERE id < 3");
    struct session *ann = sign_in(&house, "ann");
    for (int i = 0; i < 1500 / SLOWNESS; i++) {
        unsigned n = (unsigned)test_random_below(&seed, i % 3 == 0 ? 20 : 400);
        bool is_ann = test_random_below(&seed, 2) == 0;
        (void)snprintf(text, sizeof(text), "SELECT count(*) + %u FROM t", n);
        (void)snprintf(expected, sizeof(expected), "%u\n", n + (is_ann ? 2 : 3));
        must_give(is_ann ? ann : owner, text, expected);
    }
    session_close(ann);
    session_close(owner);
    house_close(&house);
}

struct asker {
    struct session *session;
    const char *expected;
    unsigned wrong;
};

static void *ask_many(void *context)
{
    struct asker *asker = context;
    struct errinfo info;
    for (int i = 0; i < 200; i++) {
        struct buf rows CLEANUP(buf_fini) = {0};
        char text[128];
        (void)snprintf(text, sizeof(text),
                       "SELECT person, secret FROM t WHERE id <> %d ORDER BY id", -(i % 10) - 1);
        enum err err = ask(asker->session, text, &rows, &info);
        asker->wrong += err != ERR_OK || strcmp(buf_cstr(&rows), asker->expected) != 0;
    }
    return NULL;
}

TEST(query, concurrent_people_see_only_their_own)
{
    // Goal: no cache, plan or stream mixes people up. Method: two people, two sessions each, the
    // same texts at once, in four threads.
    struct house house;
    struct asker askers[4];
    pthread_t threads[4];
    house_open(&house, NULL, 0);
    write_data(&house, "t.csv", "id,person,secret\n1,ann,a1\n2,bob,b1\n3,ann,a2\n4,bob,b2\n");
    struct session *owner = sign_in(&house, "");
    must(owner,
         arena_printf(house.arena, "CREATE EXTERNAL TABLE t LOCATION '%s/t.csv'", house.folder));
    must(owner, "CREATE USER ann");
    must(owner, "CREATE USER bob");
    must(owner, "GRANT SELECT ON t TO ROLE public ROWS WHERE person = current_user");
    for (size_t i = 0; i < ARRAY_COUNT(askers); i++) {
        askers[i] = (struct asker){sign_in(&house, i % 2 == 0 ? "ann" : "bob"),
                                   i % 2 == 0 ? "ann|a1\nann|a2\n" : "bob|b1\nbob|b2\n", 0};
    }
    for (size_t i = 0; i < ARRAY_COUNT(askers); i++) {
        CHECK(pthread_create(&threads[i], NULL, ask_many, &askers[i]) == 0);
    }
    for (size_t i = 0; i < ARRAY_COUNT(askers); i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(askers[i].wrong, 0);
        session_close(askers[i].session);
    }
    struct audit_report report;
    struct errinfo info;
    CHECK_OK(audit_verify(arena_printf(house.arena, "%s/warehouse/audit", house.folder), NULL,
                          &report, &info));
    CHECK(report.is_intact && report.records > 1600);
    session_close(owner);
    house_close(&house);
}
