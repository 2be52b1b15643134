#include "observe/metrics.h"

#include <pthread.h>

#include "base/test.h"

static bool has(const struct buf *text, const char *line)
{
    return slice_find(buf_slice(text), slice_of(line)) != SIZE_MAX;
}

TEST(metrics, series_go_through_the_values_of_the_labels)
{
    struct metrics *metrics CLEANUP(metrics_cleanup) = NULL;
    struct buf text CLEANUP(buf_fini) = {0};
    CHECK_OK(metrics_new(&metrics, NULL));
    metrics_add(metrics, METRIC_QUERIES, 0 * METRIC_PROTOCOLS + METRIC_EMBEDDED, 3);
    metrics_add(metrics, METRIC_QUERIES, 2 * METRIC_PROTOCOLS + METRIC_HTTP, 5);
    metrics_set(metrics, METRIC_SESSIONS, 0, 7);
    metrics_print(metrics, &text);
    CHECK(has(&text, "\nmoat_queries_total{state=\"done\",protocol=\"embedded\"} 3\n"));
    CHECK(has(&text, "\nmoat_queries_total{state=\"cancelled\",protocol=\"http\"} 5\n"));
    CHECK(has(&text, "\nmoat_queries_total{state=\"failed\",protocol=\"postgres\"} 0\n"));
    CHECK(has(&text, "\n# TYPE moat_queries_total counter\n"));
    CHECK(has(&text, "# HELP moat_sessions Sessions that are open.\n# TYPE moat_sessions gauge\n"
                     "moat_sessions 7\n"));
}

TEST(metrics, buckets_of_a_histogram_are_cumulative)
{
    struct metrics *metrics CLEANUP(metrics_cleanup) = NULL;
    struct buf text CLEANUP(buf_fini) = {0};
    CHECK_OK(metrics_new(&metrics, NULL));
    metrics_observe(metrics, METRIC_QUERY_RUN, 1000); /* on a bound: in that bucket */
    metrics_observe(metrics, METRIC_QUERY_RUN, 1001);
    metrics_observe(metrics, METRIC_QUERY_RUN, 301000000);
    metrics_observe(metrics, METRIC_QUERY_RUN, -5);
    metrics_print(metrics, &text);
    CHECK(has(&text, "moat_query_run_seconds_bucket{le=\"0.0005\"} 1\n"));
    CHECK(has(&text, "moat_query_run_seconds_bucket{le=\"0.001\"} 2\n"));
    CHECK(has(&text, "moat_query_run_seconds_bucket{le=\"0.0025\"} 3\n"));
    CHECK(has(&text, "moat_query_run_seconds_bucket{le=\"300\"} 3\n"));
    CHECK(has(&text, "moat_query_run_seconds_bucket{le=\"+Inf\"} 4\n"
                     "moat_query_run_seconds_sum 301.002001\nmoat_query_run_seconds_count 4\n"));
    CHECK(metrics_observations(metrics, METRIC_QUERY_RUN) == 4);
}

static void *count_up(void *context)
{
    for (int i = 0; i < 100000; i++) {
        metrics_add(context, METRIC_ROWS_OUT, 0, 1);
        metrics_observe(context, METRIC_QUERY_PLAN, i);
    }
    return NULL;
}

TEST(metrics, counts_of_many_threads_add_up)
{
    struct metrics *metrics CLEANUP(metrics_cleanup) = NULL;
    pthread_t threads[4];
    CHECK_OK(metrics_new(&metrics, NULL));
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        CHECK(pthread_create(&threads[i], NULL, count_up, metrics) == 0);
    }
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        (void)pthread_join(threads[i], NULL);
    }
    CHECK(metrics_value(metrics, METRIC_ROWS_OUT, 0) == 400000);
    CHECK(metrics_observations(metrics, METRIC_QUERY_PLAN) == 400000);
}
