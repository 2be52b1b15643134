/* Moat's own work on a query, from text to physical SQL: medians over a join of three tables, for
 * the owner and for a person with a row filter and two masks; new texts (nothing is cached), and
 * one text again and again (the plan is cached, but still checked against the files). */
#include <limits.h>
#include <unistd.h>

#include "base/bench.h"
#include "base/clock.h"
#include "query/query_int.h"

#define NEW_ROUNDS 1000
#define AGAIN_ROUNDS 5000
#define NEW_MS_MAX 1.0
#define AGAIN_MS_MAX 0.2

static const char statement_text[] =
    "SELECT n.nation, count(*) AS orders, sum(o.price * (1 - o.discount)) AS revenue FROM orders o "
    "JOIN customer c ON c.id = o.customer JOIN nation n ON n.id = c.nation WHERE o.day BETWEEN "
    "DATE '2024-01-01' AND DATE '2024-12-31' AND c.segment IN ('A', 'B') AND o.id <> %u GROUP BY "
    "n.nation HAVING count(*) > 10 ORDER BY revenue DESC LIMIT 20";

static bool run(struct session *session, const char *sql, struct errinfo *info)
{
    struct query *query CLEANUP(query_cleanup) = NULL;
    if (query_open(session, slice_of(sql), NULL, 0, &query, info) != ERR_OK) {
        return false;
    }
    while (query_has_rows(query)) {
        struct ArrowArray batch;
        if (query_next(query, &batch, info) != ERR_OK) {
            return false;
        }
        if (batch.release == NULL) {
            break;
        }
        batch.release(&batch);
    }
    return true;
}

static bool make_tables(struct session *session, const char *folder, struct errinfo *info)
{
    static const char *const tables[][2] = {
        {"orders", "SELECT i AS id, i % 90 AS customer, DATE '2024-01-01' + CAST(i % 300 AS "
                   "INTEGER) AS day, CAST(i AS DECIMAL(15, 2)) AS price, CAST(0.05 AS DECIMAL(15, "
                   "2)) AS discount, 'note ' || i AS note, i % 7 AS priority, 'FOB' AS mode "
                   "FROM range(1000) t(i)"},
        {"customer", "SELECT i AS id, i % 25 AS nation, 'A' AS segment, 'c' || i AS name, "
                     "'555-' || i AS phone FROM range(100) t(i)"},
        {"nation", "SELECT i AS id, 'nation ' || i AS nation FROM range(25) t(i)"},
    };
    char sql[PATH_MAX + 1024];
    for (size_t i = 0; i < ARRAY_COUNT(tables); i++) {
        (void)snprintf(sql, sizeof(sql), "COPY (%s) TO '%s/%s.parquet' (FORMAT parquet)",
                       tables[i][1], folder, tables[i][0]);
        if (!run(session, sql, info)) {
            return false;
        }
        (void)snprintf(sql, sizeof(sql), "CREATE EXTERNAL TABLE %s LOCATION '%s/%s.parquet'",
                       tables[i][0], folder, tables[i][0]);
        if (!run(session, sql, info)) {
            return false;
        }
    }
    return run(session, "CREATE USER reader", info) &&
           run(session,
               "GRANT SELECT ON orders TO USER reader ROWS WHERE mode <> 'AIR' MASKED WITH "
               "(note = null, price = price)",
               info) &&
           run(session, "GRANT SELECT ON customer TO USER reader MASKED WITH (phone = null)",
               info) &&
           run(session, "GRANT SELECT ON nation TO USER reader", info);
}

static int compare(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* Microseconds at the median; -1 on failure. */
static int64_t median_us(struct session *session, bool is_new, struct errinfo *info)
{
    static int64_t took_us[AGAIN_ROUNDS];
    size_t rounds = is_new ? NEW_ROUNDS : AGAIN_ROUNDS;
    char sql[1024];
    for (size_t i = 0; i < rounds; i++) {
        (void)snprintf(sql, sizeof(sql), statement_text, is_new ? (unsigned)i + 1 : 0);
        struct plan *plan CLEANUP(plan_cleanup) = NULL;
        int64_t begun_us = clock_mono_us();
        if (plan_build(session, NULL, slice_of(sql), &plan, info) != ERR_OK) {
            return -1;
        }
        took_us[i] = clock_mono_us() - begun_us;
    }
    qsort(took_us, rounds, sizeof(took_us[0]), compare);
    return took_us[rounds / 2];
}

static bool measure(struct warehouse *warehouse, const char *as, struct errinfo *info)
{
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    struct session *session CLEANUP(session_cleanup) = NULL;
    if (warehouse_login_local(warehouse, slice_of(as), &who, info) != ERR_OK ||
        session_open(warehouse, who, &session, info) != ERR_OK) {
        return false;
    }
    int64_t new_us = median_us(session, true, info);
    char sql[1024];
    (void)snprintf(sql, sizeof(sql), statement_text, 0u);
    if (new_us < 0 || !run(session, sql, info)) {
        return false;
    }
    int64_t again_us = median_us(session, false, info);
    const char *name = as[0] == '\0' ? "owner" : "person with policies";
    (void)printf("text to plan, %s, new statement\t%.3f\tms\t%g\n", name, (double)new_us / 1e3,
                 NEW_MS_MAX);
    (void)printf("text to plan, %s, repeated\t%.3f\tms\t%g\n", name, (double)again_us / 1e3,
                 AGAIN_MS_MAX);
    return again_us >= 0;
}

static bool measure_all(const char *folder, struct errinfo *info)
{
    char set[PATH_MAX + 32];
    (void)snprintf(set, sizeof(set), "warehouse.path=%s/warehouse", folder);
    const char *sets[] = {set};
    struct config_sources sources = {.sets = sets, .set_count = 1};
    struct config *config CLEANUP(config_cleanup) = NULL;
    struct warehouse *warehouse CLEANUP(warehouse_cleanup) = NULL;
    if (config_load(&sources, &config, info) != ERR_OK) {
        return false;
    }
    struct warehouse_options options = {.config = config, .create_if_missing = true};
    if (warehouse_open(&options, &warehouse, info) != ERR_OK) {
        return false;
    }
    {
        struct identity *owner CLEANUP(identity_cleanup) = NULL;
        struct session *session CLEANUP(session_cleanup) = NULL;
        if (warehouse_login_local(warehouse, SLICE(""), &owner, info) != ERR_OK ||
            session_open(warehouse, owner, &session, info) != ERR_OK ||
            !make_tables(session, folder, info)) {
            return false;
        }
    }
    return measure(warehouse, "", info) && measure(warehouse, "reader", info);
}

int main(void)
{
    struct errinfo info;
    errinfo_init(&info);
    const char *folder = bench_folder();
    char path[PATH_MAX];
    if (folder == NULL || realpath(folder, path) == NULL) {
        return 1;
    }
    if (!measure_all(path, &info)) {
        (void)fprintf(stderr, "plan_bench: %s\n", info.message);
        return 1;
    }
    return 0;
}
