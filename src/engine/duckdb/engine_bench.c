/* What the engine costs: opening, parsing and printing, streaming rows, reading through a grant.
 * `engine_bench [rows]`; prints one line a measurement. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/host/testing.h"

#define WHO test_who()
#define REPEAT 7

static void must(enum err err, const struct errinfo *info)
{
    if (err != ERR_OK) {
        fprintf(stderr, "%s\n", info->message);
        exit(1);
    }
}

struct file {
    int fd;
    uint64_t size_bytes;
};

static enum err file_read(void *context, UNUSED size_t index, uint64_t offset, void *ret_bytes,
                          size_t len, struct errinfo *info)
{
    struct file *file = context;
    while (len > 0) {
        ssize_t got = pread(file->fd, ret_bytes, len, (off_t)offset);
        if (got <= 0) {
            return errinfo_set(info, ERR_IO, NULL, "the file cannot be read");
        }
        ret_bytes = (char *)ret_bytes + got;
        offset += (uint64_t)got;
        len -= (size_t)got;
    }
    return ERR_OK;
}

static enum err file_write(void *context, UNUSED size_t index, const void *bytes, size_t len,
                           struct errinfo *info)
{
    struct file *file = context;
    if (write(file->fd, bytes, len) != (ssize_t)len) {
        return errinfo_set(info, ERR_IO, NULL, "the file cannot be written");
    }
    file->size_bytes += len;
    return ERR_OK;
}

struct run {
    uint64_t rows;
    uint64_t batches;
    double ms;
    double first_ms;
};

static struct run run_query(struct engine_session *session, struct slice sql)
{
    struct run run = {0};
    struct errinfo info;
    struct engine_query *query = NULL;
    int64_t start = clock_mono_us();
    must(engine_query_open(session, WHO, sql, NULL, 0, &query, &info), &info);
    while (true) {
        struct ArrowArray batch;
        must(engine_query_next(query, &batch, &info), &info);
        if (run.first_ms == 0) {
            run.first_ms = (double)(clock_mono_us() - start) / 1000;
        }
        if (batch.release == NULL) {
            break;
        }
        run.rows += (uint64_t)batch.length;
        run.batches++;
        batch.release(&batch);
    }
    engine_query_close(query);
    run.ms = (double)(clock_mono_us() - start) / 1000;
    return run;
}

static int compare_runs(const void *a, const void *b)
{
    double x = ((const struct run *)a)->ms;
    double y = ((const struct run *)b)->ms;
    return (x > y) - (x < y);
}

static void measure(const char *name, struct engine_session *session, struct slice sql)
{
    struct run runs[REPEAT];
    for (unsigned i = 0; i < REPEAT; i++) {
        runs[i] = run_query(session, sql);
    }
    qsort(runs, REPEAT, sizeof(runs[0]), compare_runs);
    struct run median = runs[REPEAT / 2];
    printf("%-28s %9.2f ms  first %8.2f ms  %10llu rows %6llu batches %8.2f Mrows/s\n", name,
           median.ms, median.first_ms, (unsigned long long)median.rows,
           (unsigned long long)median.batches, (double)median.rows / median.ms / 1000);
}

static void bench_syntax(struct engine_session *session)
{
    static const char sql[] =
        "SELECT o.region, count(*) AS n, sum(l.price * (1 - l.discount)) AS revenue FROM orders o "
        "JOIN lineitem l ON o.id = l.order_id JOIN customer c ON c.id = o.customer_id WHERE "
        "o.day BETWEEN DATE '2024-01-01' AND DATE '2024-12-31' AND c.segment IN ('A', 'B') GROUP "
        "BY o.region HAVING count(*) > 10 ORDER BY revenue DESC LIMIT 20";
    struct errinfo info;
    struct buf json = {0};
    struct buf text = {0};
    int64_t parse_us = 0;
    int64_t deparse_us = 0;
    enum {
        ROUNDS = 2000
    };
    for (unsigned i = 0; i < ROUNDS; i++) {
        buf_reset(&json);
        buf_reset(&text);
        int64_t start = clock_mono_us();
        must(engine_parse(session, slice_of(sql), &json, &info), &info);
        int64_t middle = clock_mono_us();
        must(engine_deparse(session, buf_slice(&json), &text, &info), &info);
        parse_us += middle - start;
        deparse_us += clock_mono_us() - middle;
    }
    printf("parse %.1f us, print %.1f us (%zu bytes of SQL, %zu of tree)\n",
           (double)parse_us / ROUNDS, (double)deparse_us / ROUNDS, sizeof(sql) - 1, json.len);
    buf_fini(&json);
    buf_fini(&text);
}

static void write_data(struct engine *engine, struct engine_session *session, struct file *file,
                       unsigned long rows)
{
    struct engine_grant_spec spec = {.write = file_write, .writable_count = 1, .context = file};
    struct engine_grant *grant = NULL;
    struct errinfo info;
    must(engine_grant_open(engine, WHO, &spec, &grant, &info), &info);
    struct buf sql = {0};
    buf_printf(
        &sql,
        "COPY (SELECT i AS id, CAST(hash(i) %% 1000 AS INTEGER) AS k, "
        "(hash(i) %% 100000) / 100.0 AS price, DATE '2020-01-01' + CAST(i / 3000 AS INTEGER) "
        "AS day, md5(CAST(i AS VARCHAR)) AS note, 'status ' || (i %% 7) AS status FROM "
        "range(%lu) t(i)) TO '",
        rows);
    engine_grant_uri_out(grant, 0, &sql);
    buf_append_str(&sql, "' (FORMAT parquet)");
    (void)run_query(session, buf_slice(&sql));
    engine_grant_close(grant);
    buf_fini(&sql);
}

static void bench_scans(struct engine *engine, struct engine_session *session, struct file *file)
{
    static const char *const queries[][2] = {
        {"stream 6 columns", "SELECT * FROM '%s'"},
        {"stream 3 numbers", "SELECT id, k, day FROM '%s'"},
        {"stream groups", "SELECT id, count(*), sum(price) FROM '%s' GROUP BY id"},
        {"stream no batches", "SELECT i, hash(i) FROM range(20000000) t(i) -- '%s'"},
        {"aggregate", "SELECT k, count(*), sum(price), avg(price) FROM '%s' GROUP BY k"},
        {"one column", "SELECT sum(price) FROM '%s'"},
        {"text", "SELECT max(note), count(DISTINCT status) FROM '%s'"},
        {"point", "SELECT * FROM '%s' WHERE id = 1234567"},
        {"barrier", "SELECT max(__moat_barrier(note)) FROM '%s'"},
        {"hash mask", "SELECT max(__moat_hash(note)) FROM '%s'"},
        {"hash mask, 7 values", "SELECT max(__moat_hash(status)) FROM '%s'"},
        {"redact mask", "SELECT max(__moat_redact(note, 4)) FROM '%s'"},
    };
    struct engine_object object = {.size_bytes = file->size_bytes, .extension = SLICE(".parquet")};
    struct engine_grant_spec spec = {
        .objects = &object, .object_count = 1, .read = file_read, .context = file};
    struct engine_grant *grant = NULL;
    struct errinfo info;
    must(engine_grant_open(engine, WHO, &spec, &grant, &info), &info);
    for (size_t i = 0; i < ARRAY_COUNT(queries); i++) {
        struct buf sql = {0};
        const char *mark = strstr(queries[i][1], "%s");
        buf_append(&sql, queries[i][1], (size_t)(mark - queries[i][1]));
        engine_grant_uri(grant, 0, &sql);
        buf_append_str(&sql, mark + 2);
        measure(queries[i][0], session, buf_slice(&sql));
        buf_fini(&sql);
    }
    engine_grant_close(grant);
}

int main(int argc, char **argv)
{
    unsigned long rows = argc > 1 ? strtoul(argv[1], NULL, 10) : 3000000;
    struct engine *engine = NULL;
    struct engine_session *session = NULL;
    struct errinfo info;
    int64_t start = clock_mono_us();
    struct engine_hosts *hosts = NULL;
    struct engine_options options = {.mask_key = SLICE("key of the benchmark")};
    must(test_engine_open(&options, &engine, &hosts, &info), &info);
    int64_t opened = clock_mono_us();
    must(engine_session_open(engine, WHO, &session, &info), &info);
    (void)run_query(session, SLICE("SELECT 1"));
    int64_t first = clock_mono_us();
    printf("open %.2f ms, session and first query %.2f ms\n", (double)(opened - start) / 1000,
           (double)(first - opened) / 1000);
    struct engine *second = NULL;
    start = clock_mono_us();
    struct engine_hosts *second_hosts = NULL;
    must(test_engine_open(&options, &second, &second_hosts, &info), &info);
    printf("open again %.2f ms\n", (double)(clock_mono_us() - start) / 1000);
    engine_close(second);
    engine_hosts_close(second_hosts);
    bench_syntax(session);

    const char *path = argc > 2 ? argv[2] : NULL; /* keeps the data if named */
    char temporary[] = "/tmp/engine_bench_XXXXXX";
    struct file file = {0};
    file.fd = path != NULL ? open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)
                           : mkstemp(temporary);
    if (file.fd < 0) {
        perror("data file");
        return 1;
    }
    if (path == NULL) {
        (void)unlink(temporary);
    }
    write_data(engine, session, &file, rows);
    printf("data: %lu rows, %.1f MB\n", rows, (double)file.size_bytes / 1e6);
    bench_scans(engine, session, &file);
    engine_session_close(session);
    engine_close(engine);
    engine_hosts_close(hosts);
    return 0;
}
