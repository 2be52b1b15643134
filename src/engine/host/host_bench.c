/* What the hop to a host costs: the same through an engine in this process, through hosts, and
 * through hosts that send batches by the socket instead of shared memory. The three take turns, so
 * that what else the machine does meets all alike; the best of all rounds counts.
 *
 *     host_bench FOLDER_OF_TPCH STATEMENTS [ROUNDS] */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/bench.h"
#include "base/clock.h"
#include "base/mem.h"
#include "engine/host/testing.h"

enum {
    TABLES = 8,
    INSIDE = 0,
    HOSTS = 1,
    SOCKETS = 2,
    WAYS = 3,
    ROUNDS_MAX = 10000
};

static const char *const table_names[TABLES] = {"customer", "lineitem", "nation", "orders",
                                                "part",     "partsupp", "region", "supplier"};
static const char *const way_names[WAYS] = {"inside", "hosts", "sockets"};

struct bench {
    int fds[TABLES];
    struct engine_object objects[TABLES];
    struct engine_hosts *hosts[WAYS];
    struct engine *engines[WAYS];
    struct engine_session *sessions[WAYS];
};

static void must(enum err err, const struct errinfo *info)
{
    if (err != ERR_OK) {
        fprintf(stderr, "%s\n", info->message);
        exit(1);
    }
}

static enum err read_table(void *context, size_t index, uint64_t offset, void *ret_bytes,
                           size_t len, struct errinfo *info)
{
    const struct bench *bench = context;
    ssize_t got = pread(bench->fds[index], ret_bytes, len, (off_t)offset);
    return got == (ssize_t)len ? ERR_OK : errinfo_set(info, ERR_IO, NULL, "cannot read");
}

static void open_all(struct bench *bench, const char *folder)
{
    struct errinfo info;
    for (size_t i = 0; i < TABLES; i++) {
        char path[4096];
        struct stat status;
        (void)snprintf(path, sizeof(path), "%s/%s.parquet", folder, table_names[i]);
        bench->fds[i] = open(path, O_RDONLY | O_CLOEXEC);
        if (bench->fds[i] < 0 || fstat(bench->fds[i], &status) != 0) {
            perror(path);
            exit(1);
        }
        bench->objects[i] = (struct engine_object){.size_bytes = (uint64_t)status.st_size,
                                                   .extension = SLICE(".parquet")};
    }
    (void)setenv("MOAT_TEST_HOSTS", "1", 1);
    for (size_t way = 0; way < WAYS; way++) {
        struct engine_options options = {.thread_count = 2};
        struct engine_hosts_options hosts = {
            .program = test_host_program(), .user_id = -1, .is_slotless = way == SOCKETS};
        if (way != INSIDE) {
            must(engine_hosts_open(&hosts, &bench->hosts[way], &info), &info);
            options.hosts = bench->hosts[way];
        }
        must(engine_open(&options, &bench->engines[way], &info), &info);
        must(engine_session_open(bench->engines[way], test_who(), &bench->sessions[way], &info),
             &info);
    }
}

static void close_all(struct bench *bench)
{
    for (size_t way = 0; way < WAYS; way++) {
        engine_session_close(bench->sessions[way]);
        engine_close(bench->engines[way]);
        engine_hosts_close(bench->hosts[way]);
    }
}

/* A CTE for each table that the statement names; one that begins with WITH continues the list. */
static void with_tables(const struct engine_grant *grant, struct slice statement, struct buf *sql)
{
    bool is_list = slice_starts_with(statement, SLICE("WITH "));
    const char *comma = "WITH ";
    for (size_t i = 0; i < TABLES; i++) {
        if (slice_find(statement, slice_of(table_names[i])) != SIZE_MAX) {
            buf_printf(sql, "%s%s AS NOT MATERIALIZED (SELECT * FROM read_parquet('", comma,
                       table_names[i]);
            engine_grant_uri(grant, i, sql);
            buf_append_str(sql, "'))");
            comma = ", ";
        }
    }
    if (sql->len > 0) {
        buf_append_str(sql, is_list ? ", " : " ");
        statement.ptr += is_list ? strlen("WITH ") : 0;
        statement.len -= is_list ? strlen("WITH ") : 0;
    }
    buf_append_slice(sql, statement);
}

/* Milliseconds for all of a statement, from its grant to its end. */
static double run(struct bench *bench, size_t way, struct slice statement, uint64_t *ret_rows)
{
    struct errinfo info;
    struct engine_query *query = NULL;
    struct engine_grant *grant = NULL;
    struct buf sql CLEANUP(buf_fini) = {0};
    struct engine_grant_spec spec = {
        .objects = bench->objects, .object_count = TABLES, .read = read_table, .context = bench};
    int64_t start = clock_mono_us();
    must(engine_grant_open(bench->engines[way], test_who(), &spec, &grant, &info), &info);
    with_tables(grant, statement, &sql);
    must(engine_query_open(bench->sessions[way], test_who(), buf_slice(&sql), NULL, 0, &query,
                           &info),
         &info);
    *ret_rows = 0;
    for (;;) {
        struct ArrowArray batch;
        must(engine_query_next(query, &batch, &info), &info);
        if (batch.release == NULL) {
            break;
        }
        *ret_rows += (uint64_t)batch.length;
        batch.release(&batch);
    }
    engine_query_close(query);
    engine_grant_close(grant);
    return (double)(clock_mono_us() - start) / 1000;
}

static int compare_times(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

/* Medians of short statements. */
static void measure_latency(struct bench *bench, const char *name, struct slice statement,
                            unsigned rounds)
{
    static double times[WAYS][ROUNDS_MAX];
    uint64_t rows;
    for (unsigned round = 0; round < rounds; round++) {
        for (size_t way = 0; way < WAYS; way++) {
            times[way][round] = run(bench, way, statement, &rows);
        }
    }
    for (size_t way = 0; way < WAYS; way++) {
        char text[64];
        qsort(times[way], rounds, sizeof(double), compare_times);
        (void)snprintf(text, sizeof(text), "%s %s p50", name, way_names[way]);
        bench_print(text, times[way][rounds / 2] * 1000, "us");
    }
}

static void measure_parse(struct bench *bench, unsigned rounds)
{
    static double times[WAYS][ROUNDS_MAX];
    struct slice sql = SLICE("SELECT a, sum(b) FROM t JOIN u USING (k) WHERE c > 5 GROUP BY a");
    for (unsigned round = 0; round < rounds; round++) {
        for (size_t way = 0; way < WAYS; way++) {
            struct buf json CLEANUP(buf_fini) = {0};
            struct errinfo info;
            int64_t start = clock_mono_us();
            must(engine_parse(bench->sessions[way], sql, &json, &info), &info);
            times[way][round] = (double)(clock_mono_us() - start);
        }
    }
    for (size_t way = 0; way < WAYS; way++) {
        char text[64];
        qsort(times[way], rounds, sizeof(double), compare_times);
        (void)snprintf(text, sizeof(text), "parse %s p50", way_names[way]);
        bench_print(text, times[way][rounds / 2], "us");
    }
}

static void measure_best(struct bench *bench, const char *name, struct slice statement,
                         unsigned rounds, double totals[WAYS])
{
    double best[WAYS] = {0};
    uint64_t rows[WAYS] = {0};
    for (unsigned round = 0; round < rounds; round++) {
        for (size_t way = 0; way < WAYS; way++) {
            double ms = run(bench, way, statement, &rows[way]);
            best[way] = round == 0 || ms < best[way] ? ms : best[way];
        }
    }
    (void)printf("# %s %8.1f %8.1f %8.1f ms  %5.2fx %5.2fx%s\n", name, best[0], best[1], best[2],
                 best[1] / best[0], best[2] / best[0], rows[0] == rows[1] ? "" : "  OTHER ROWS");
    (void)fflush(stdout);
    for (size_t way = 0; way < WAYS; way++) {
        totals[way] += best[way];
    }
}

static void measure_statements(struct bench *bench, const char *path, unsigned rounds)
{
    double totals[WAYS] = {0};
    char *line = NULL;
    size_t capacity = 0;
    ssize_t len;
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    for (unsigned number = 1; (len = getline(&line, &capacity, file)) > 1; number++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "q%02u", number);
        struct slice statement = slice_trim((struct slice){line, (size_t)len});
        if (slice_ends_with(statement, SLICE(";"))) {
            statement.len--;
        }
        measure_best(bench, name, statement, rounds, totals);
    }
    (void)fclose(file);
    for (size_t way = 0; way < WAYS; way++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "tpch sf1 %s", way_names[way]);
        bench_print(text, totals[way], "ms");
    }
    bench_print_limit("tpch sf1 hosts to inside", totals[HOSTS] / totals[INSIDE], "x", 1.10);
}

int main(int argc, char **argv)
{
    struct bench bench = {0};
    unsigned rounds = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 5;
    if (argc < 3) {
        fprintf(stderr, "usage: host_bench FOLDER STATEMENTS [ROUNDS]\n");
        return 2;
    }
    open_all(&bench, argv[1]);
    measure_latency(&bench, "select 1", SLICE("SELECT 1"), 2000);
    measure_parse(&bench, 2000);
    measure_latency(&bench, "one row", SLICE("SELECT * FROM supplier WHERE s_suppkey = 777"), 300);
    double totals[WAYS] = {0};
    measure_best(&bench, "wide rows", SLICE("SELECT * FROM lineitem LIMIT 2000000"), rounds,
                 totals);
    measure_best(&bench, "keys only", SLICE("SELECT l_orderkey FROM lineitem"), rounds, totals);
    measure_statements(&bench, argv[2], rounds);
    close_all(&bench);
    return 0;
}
