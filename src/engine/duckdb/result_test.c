#include "engine/duckdb/fixture.h"

#include <unistd.h>

/* ---- memory ---- */

/* Held after one pull by a client that then does nothing, over what the session held before. */
static uint64_t held_bytes(struct fixture *fixture, const char *sql)
{
    uint64_t before = resident_bytes();
    struct engine_query *query = NULL;
    struct errinfo info;
    struct ArrowArray batch;
    CHECK_OK(engine_query_open(fixture->session, WHO, slice_of(sql), NULL, 0, &query, &info));
    CHECK_OK(engine_query_next(query, &batch, &info));
    CHECK(batch.length > 0);
    uint64_t held = 0;
    for (unsigned still = 0; still < 5;) { /* until nothing is made any more */
        usleep(50000);
        uint64_t now = resident_bytes();
        now = now > before ? now - before : 0;
        still = now > held + (1u << 20) ? 0 : still + 1;
        held = now > held ? now : held;
    }
    batch.release(&batch);
    engine_query_close(query);
    return held;
}

TEST(engine_result, what_is_held_ready_is_counted_by_what_it_takes)
{
    /* Goal: long texts and lists, which the engine counts as 16 bytes each, are made ahead no
     * further than numbers are. Method: each way of a result with values of 5 KB, gigabytes in
     * all, and a client that pulls once. */
    struct fixture fixture = fixture_open(NULL);
    struct memory_store store = {0};
    store_fill(&fixture, &store, "SELECT i FROM range(1500000) t(i)");
    struct engine_grant *grant = store_grant(&fixture, &store, 0);
    static const char *const values[] = {
        "repeat('x', 5000 + CAST(i % 10 AS INTEGER))",
        "range(625 + i % 10)",
        "{'a': [{'b': repeat('x', 5000 + CAST(i % 10 AS INTEGER))}]}",
    };
    static const char *const sources[] = {
        "FROM '%s'",                /* in batches of the scan's */
        "FROM range(1500000) t(i)", /* by one thread */
        "FROM (SELECT i, count(*) FROM range(1500000) t(i) GROUP BY i)", /* in no order */
    };
    fixture_expect(&fixture, "SELECT CAST(count(DISTINCT i) AS VARCHAR) FROM range(1500000) t(i)",
                   "1500000"); /* so that the groups' own memory is there before */
    for (size_t i = 0; i < ARRAY_COUNT(values) * ARRAY_COUNT(sources); i++) {
        struct buf sql CLEANUP(buf_fini) = {0};
        const char *source = sources[i % ARRAY_COUNT(sources)];
        bool is_file = strchr(source, '%') != NULL;
        char *from = is_file ? fixture_sql(grant, 0, source) : NULL;
        buf_printf(&sql, "SELECT %s AS v %s", values[i / ARRAY_COUNT(sources)],
                   is_file ? from : source);
        mem_free(from);
        uint64_t held = held_bytes(&fixture, buf_cstr(&sql));
        printf("value %zu, source %zu: %.0f MB\n", i / 3, i % 3, (double)held / 1e6);
        /* What may be held of the first batch and of others, and what two threads have in hand: a
         * chunk of 2,048 values each. */
        CHECK(held < (160u << 20) * TEST_SLOWNESS);
    }
    engine_grant_close(grant);
    store_fini(&store);
    fixture_close(&fixture);
}

/* ---- rows ---- */

struct seen {
    uint64_t rows;
    uint64_t sum;
    int64_t last;
    bool is_ordered;
};

/* Checks rows (i, 'x' i % width times), and adds them. */
static void look(const struct ArrowArray *batch, int64_t width, struct seen *seen)
{
    CHECK(batch->n_children == 2);
    const int64_t *keys = batch->children[0]->buffers[1];
    const int32_t *offsets = batch->children[1]->buffers[1];
    for (int64_t row = 0; row < batch->length; row++) {
        if (offsets[row + 1] - offsets[row] != keys[row] % width) {
            fail_msg("row %lld has %d letters", (long long)keys[row],
                     offsets[row + 1] - offsets[row]);
        }
        if (seen->is_ordered && keys[row] <= seen->last) {
            fail_msg("row %lld after %lld", (long long)keys[row], (long long)seen->last);
        }
        seen->last = keys[row];
        seen->rows++;
        seen->sum += (uint64_t)keys[row];
    }
}

static struct seen pull_all(struct fixture *fixture, const char *sql, bool is_ordered,
                            int64_t width, uint64_t *seed)
{
    struct seen seen = {.last = -1, .is_ordered = is_ordered};
    struct engine_query *query = NULL;
    struct errinfo info;
    CHECK_OK(engine_query_open(fixture->session, WHO, slice_of(sql), NULL, 0, &query, &info));
    while (true) {
        struct ArrowArray batch;
        CHECK_OK(engine_query_next(query, &batch, &info));
        if (batch.release == NULL) {
            break;
        }
        look(&batch, width, &seen);
        batch.release(&batch);
        if (test_random_below(seed, 8) == 0) { /* so that threads run into the bounds */
            usleep((useconds_t)test_random_below(seed, 4000));
        }
    }
    engine_query_close(query);
    return seen;
}

TEST(engine_result, every_row_comes_once_and_in_its_place_whatever_way_it_takes)
{
    /* Goal: rows of any width, behind filters of any strength, pulled at any pace, arrive once, and
     * in order where they have one. Oracle: the rows are counted up in a loop of C. */
    enum {
        ROWS = 1200000
    };
    struct fixture fixture = fixture_open(NULL);
    struct memory_store store = {0};
    store_fill(&fixture, &store, "SELECT i FROM range(1200000) t(i)");
    struct engine_grant *grant = store_grant(&fixture, &store, 0);
    static const char *const sources[] = {"'%s'", "range(1200000) t(i)",
                                          "(SELECT DISTINCT i FROM range(1200000) t(i))"};
    uint64_t seed = test_seed();
    for (unsigned round = 0; round < 24; round++) {
        const char *source = sources[round % 3];
        int64_t width = 1 + (int64_t)test_random_below(&seed, round % 4 == 0 ? 1000 : 20);
        static const uint64_t keeps[] = {1, 3, 50, 2000, 300000, 2000000};
        uint64_t keep = keeps[test_random_below(&seed, ARRAY_COUNT(keeps))];
        uint64_t rest = test_random_below(&seed, keep);
        struct buf format CLEANUP(buf_fini) = {0};
        buf_printf(
            &format,
            "SELECT i, repeat('x', CAST(i %% %lld AS INTEGER)) FROM %s WHERE i %% %llu = %llu",
            (long long)width, source, (unsigned long long)keep, (unsigned long long)rest);
        char *sql = strstr(source, "%s") != NULL ? fixture_sql(grant, 0, buf_cstr(&format)) : NULL;
        struct seen seen =
            pull_all(&fixture, sql != NULL ? sql : buf_cstr(&format), round % 3 != 2, width, &seed);
        mem_free(sql);
        uint64_t rows = 0;
        uint64_t sum = 0;
        for (uint64_t i = rest; i < ROWS; i += keep) {
            rows++;
            sum += i;
        }
        if (seen.rows != rows || seen.sum != sum) {
            fail_msg("%s: %llu rows of %llu", buf_cstr(&format), (unsigned long long)seen.rows,
                     (unsigned long long)rows);
        }
    }
    engine_grant_close(grant);
    store_fini(&store);
    fixture_close(&fixture);
}

TEST(engine_result, few_rows_of_many_row_groups_are_gathered)
{
    /* One row in 10,000: a batch for each chunk of the scan would be 600 of them. */
    struct fixture fixture = fixture_open(NULL);
    struct memory_store store = {0};
    store_fill(&fixture, &store, "SELECT i FROM range(1200000) t(i)");
    struct engine_grant *grant = store_grant(&fixture, &store, 0);
    char *sql = fixture_sql(grant, 0, "SELECT i FROM '%s' WHERE i % 10000 = 5");
    struct engine_query *query = NULL;
    struct errinfo info;
    CHECK_OK(engine_query_open(fixture.session, WHO, slice_of(sql), NULL, 0, &query, &info));
    unsigned batches = 0;
    uint64_t rows = 0;
    while (true) {
        struct ArrowArray batch;
        CHECK_OK(engine_query_next(query, &batch, &info));
        if (batch.release == NULL) {
            break;
        }
        batches++;
        rows += (uint64_t)batch.length;
        batch.release(&batch);
    }
    printf("%u batches\n", batches);
    CHECK(rows == 120 && batches <= 20 * TEST_SLOWNESS);
    engine_query_close(query);
    mem_free(sql);
    engine_grant_close(grant);
    store_fini(&store);
    fixture_close(&fixture);
}

/* Row i has NULL where i is a multiple of 7, else "value number <i % 50>". */
static void look_at_texts(const struct ArrowArray *batch, uint64_t *rows)
{
    const int64_t *keys = batch->children[0]->buffers[1];
    const uint8_t *valid = batch->children[1]->buffers[0];
    const int32_t *offsets = batch->children[1]->buffers[1];
    const char *texts = batch->children[1]->buffers[2];
    for (int64_t row = 0; row < batch->length; row++) {
        bool is_null = valid != NULL && (valid[row / 8] >> (row % 8) & 1) == 0;
        struct slice found = {texts + offsets[row], (size_t)(offsets[row + 1] - offsets[row])};
        char expected[32];
        (void)snprintf(expected, sizeof(expected), "value number %lld",
                       (long long)(keys[row] % 50));
        if (is_null != (keys[row] % 7 == 0) ||
            (!is_null && !slice_equal(found, slice_of(expected)))) {
            fail_msg("row %lld is \"%.*s\"", (long long)keys[row], SLICE_ARGS(found));
        }
        (*rows)++;
    }
}

TEST(engine_result, texts_of_a_dictionary_are_those_of_their_rows)
{
    /* Goal: what a file keeps once for many rows, and a filter or a join passes on by places, comes
     * out as each row has it, NULLs too. Method: 50 texts, more rows than are gathered by hand. */
    struct fixture fixture = fixture_open(NULL);
    struct memory_store store = {0};
    store_fill(&fixture, &store,
               "SELECT i, CASE WHEN i % 7 <> 0 THEN 'value number ' || i % 50 END AS s "
               "FROM range(300000) t(i)");
    struct engine_grant *grant = store_grant(&fixture, &store, 0);
    static const struct {
        const char *sql;
        uint64_t rows;
    } cases[] = {
        {"SELECT i, s FROM '%s'", 300000},
        {"SELECT i, s FROM '%s' WHERE i % 3 <> 1", 200000},
        {"SELECT f.i, f.s FROM '%s' f JOIN range(0, 300000, 2) r(i) ON f.i = r.i", 150000},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char *sql = fixture_sql(grant, 0, cases[i].sql);
        struct engine_query *query = NULL;
        struct errinfo info;
        uint64_t rows = 0;
        CHECK_OK(engine_query_open(fixture.session, WHO, slice_of(sql), NULL, 0, &query, &info));
        while (true) {
            struct ArrowArray batch;
            CHECK_OK(engine_query_next(query, &batch, &info));
            if (batch.release == NULL) {
                break;
            }
            look_at_texts(&batch, &rows);
            batch.release(&batch);
        }
        CHECK(rows == cases[i].rows);
        engine_query_close(query);
        mem_free(sql);
    }
    engine_grant_close(grant);
    store_fini(&store);
    fixture_close(&fixture);
}
