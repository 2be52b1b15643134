/* moat_scan beside the engine's own read_parquet on TPC-H: the same files, the same statements, in
 * turns, so that a busy machine is busy for all.
 *
 *   engine_tpch_probe FOLDER STATEMENTS [ROUNDS]
 *
 * FOLDER holds <table>.parquet; STATEMENTS has one statement a line (tests/data/ast/tpch.sql).
 * Prints the fastest round of each statement and way, the totals and their ratios. The third way
 * deletes 1 % of all rows. The first two ways must give as many rows. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/host/testing.h"
#include "engine/scan.h"

#define WHO test_who()

enum {
    TABLES = 8,
    WAYS = 3,
};

static const char *const table_names[TABLES] = {"customer", "lineitem", "nation", "orders",
                                                "part",     "partsupp", "region", "supplier"};
static const char *const way_names[WAYS] = {"read_parquet", "moat_scan", "1 % deleted"};

struct table {
    int fd;
    uint64_t size_bytes;
    int64_t rows;
    uint64_t *dead; /* bits by position */
    struct engine_scan_file file;
    struct engine_scan_spec spec;
};

struct bench {
    struct engine *engine;
    struct engine_session *session;
    struct table tables[TABLES];
    struct arena *arena;
};

static void must(enum err err, const struct errinfo *info)
{
    if (err != ERR_OK) {
        fprintf(stderr, "%s\n", info->message);
        exit(1);
    }
}

static enum err read_exactly(int fd, uint64_t offset, void *ret_bytes, size_t len,
                             struct errinfo *info)
{
    while (len > 0) {
        ssize_t got = pread(fd, ret_bytes, len, (off_t)offset);
        if (got <= 0) {
            return errinfo_set(info, ERR_IO, NULL, "the file cannot be read");
        }
        ret_bytes = (char *)ret_bytes + got;
        offset += (uint64_t)got;
        len -= (size_t)got;
    }
    return ERR_OK;
}

static enum err grant_read(void *context, size_t index, uint64_t offset, void *ret_bytes,
                           size_t len, struct errinfo *info)
{
    const struct bench *bench = context;
    return read_exactly(bench->tables[index].fd, offset, ret_bytes, len, info);
}

static enum err scan_read(void *context, UNUSED size_t object, uint64_t offset, void *ret_bytes,
                          size_t len, struct errinfo *info)
{
    const struct table *table = context;
    return read_exactly(table->fd, offset, ret_bytes, len, info);
}

static enum err scan_files(void *context, UNUSED const struct engine_predicate *const *all,
                           UNUSED size_t predicate_count, UNUSED bool is_dynamic,
                           const struct engine_scan_file **ret_files, size_t *ret_count,
                           UNUSED struct errinfo *info)
{
    const struct table *table = context;
    *ret_files = &table->file;
    *ret_count = 1;
    return ERR_OK;
}

static enum err scan_dead(void *context, UNUSED const struct engine_scan_file *file, int64_t first,
                          size_t count, uint32_t *ret_offsets, size_t *ret_dead_count,
                          UNUSED struct errinfo *info)
{
    const struct table *table = context;
    size_t dead_count = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t row = (uint64_t)first + i;
        if (((table->dead[row / 64] >> (row % 64)) & 1) != 0) {
            ret_offsets[dead_count++] = (uint32_t)i;
        }
    }
    *ret_dead_count = dead_count;
    return ERR_OK;
}

struct run {
    double ms;
    uint64_t rows;
};

static struct run run_query(struct bench *bench, struct slice sql)
{
    struct run run = {0};
    struct errinfo info;
    struct engine_query *query = NULL;
    int64_t start = clock_mono_us();
    must(engine_query_open(bench->session, WHO, sql, NULL, 0, &query, &info), &info);
    while (true) {
        struct ArrowArray batch;
        must(engine_query_next(query, &batch, &info), &info);
        if (batch.release == NULL) {
            break;
        }
        run.rows += (uint64_t)batch.length;
        batch.release(&batch);
    }
    engine_query_close(query);
    run.ms = (double)(clock_mono_us() - start) / 1000;
    return run;
}

/* Columns and their types as the file has them, with ids by place; the mapping is by name. */
static void describe(struct bench *bench, struct table *table, struct slice sql)
{
    struct engine_column *columns = NULL;
    size_t count = 0;
    struct errinfo info;
    must(engine_describe(bench->session, WHO, sql, bench->arena, &columns, &count, &info), &info);
    struct engine_scan_column *scan = arena_calloc(bench->arena, count, sizeof(*scan));
    struct engine_scan_name *names = arena_calloc(bench->arena, count, sizeof(*names));
    ASSERT(scan != NULL && names != NULL);
    for (size_t i = 0; i < count; i++) {
        scan[i].field_id = names[i].field_id = (int32_t)i + 1;
        scan[i].name = names[i].name = columns[i].name;
        scan[i].type = columns[i].type;
    }
    table->spec = (struct engine_scan_spec){.columns = scan,
                                            .column_count = count,
                                            .names = names,
                                            .name_count = count,
                                            .row_count_estimate = table->rows,
                                            .files = scan_files,
                                            .read = scan_read,
                                            .dead = scan_dead,
                                            .context = table};
}

static void mark_dead(struct table *table)
{
    uint64_t seed = (uint64_t)table->rows;
    table->dead = mem_calloc((size_t)table->rows / 64 + 1, sizeof(uint64_t));
    ASSERT(table->dead != NULL);
    for (int64_t i = 0; i < table->rows / 100; i++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t row = (seed >> 20) % (uint64_t)table->rows;
        table->dead[row / 64] |= UINT64_C(1) << (row % 64);
    }
}

static void open_tables(struct bench *bench, const char *folder)
{
    for (size_t i = 0; i < TABLES; i++) {
        struct table *table = &bench->tables[i];
        char path[4096];
        struct stat status;
        (void)snprintf(path, sizeof(path), "%s/%s.parquet", folder, table_names[i]);
        table->fd = open(path, O_RDONLY | O_CLOEXEC);
        if (table->fd < 0 || fstat(table->fd, &status) != 0) {
            perror(path);
            exit(1);
        }
        table->size_bytes = (uint64_t)status.st_size;
    }
}

static struct engine_grant *open_grant(struct bench *bench, size_t scan_count)
{
    struct engine_object objects[TABLES];
    const struct engine_scan_spec *scans[TABLES];
    for (size_t i = 0; i < TABLES; i++) {
        objects[i] = (struct engine_object){.size_bytes = bench->tables[i].size_bytes,
                                            .extension = SLICE(".parquet")};
        scans[i] = &bench->tables[i].spec;
    }
    struct engine_grant_spec spec = {.objects = objects,
                                     .object_count = TABLES,
                                     .read = grant_read,
                                     .context = bench,
                                     .scans = scans,
                                     .scan_count = scan_count};
    struct engine_grant *grant = NULL;
    struct errinfo info;
    must(engine_grant_open(bench->engine, WHO, &spec, &grant, &info), &info);
    return grant;
}

static void open_specs(struct bench *bench)
{
    struct engine_grant *grant = open_grant(bench, 0);
    for (size_t i = 0; i < TABLES; i++) {
        struct table *table = &bench->tables[i];
        struct buf sql = {0};
        buf_append_str(&sql, "SELECT * FROM '");
        engine_grant_uri(grant, i, &sql);
        buf_append_str(&sql, "'");
        table->rows = (int64_t)run_query(bench, buf_slice(&sql)).rows;
        describe(bench, table, buf_slice(&sql));
        mark_dead(table);
        table->file = (struct engine_scan_file){
            .size_bytes = table->size_bytes, .record_count = table->rows, .first_row_id = -1};
        buf_fini(&sql);
    }
    engine_grant_close(grant);
}

/* The statement with a CTE for each table that it names: the engine puts them in place. A statement
 * that begins with WITH continues the list. */
static void with_tables(const struct engine_grant *grant, bool is_scan, struct slice statement,
                        struct buf *sql)
{
    bool is_list = slice_starts_with(statement, SLICE("WITH "));
    bool is_first = true;
    buf_append_str(sql, "WITH ");
    for (size_t i = 0; i < TABLES; i++) {
        if (slice_find(statement, slice_of(table_names[i])) == SIZE_MAX) {
            continue;
        }
        buf_printf(sql, "%s%s AS NOT MATERIALIZED (SELECT * FROM %s('", is_first ? "" : ", ",
                   table_names[i], is_scan ? "moat_scan" : "read_parquet");
        is_first = false;
        if (is_scan) {
            engine_grant_uri_scan(grant, i, sql);
        } else {
            engine_grant_uri(grant, i, sql);
        }
        buf_append_str(sql, "'))");
    }
    buf_append_str(sql, is_list ? ", " : " ");
    size_t skip = is_list ? strlen("WITH ") : 0;
    buf_append(sql, statement.ptr + skip, statement.len - skip);
}

static void measure(struct bench *bench, size_t number, struct slice statement, unsigned rounds,
                    double totals[WAYS])
{
    double best[WAYS] = {0};
    uint64_t rows[WAYS] = {0};
    for (unsigned round = 0; round < rounds; round++) {
        for (size_t way = 0; way < WAYS; way++) {
            for (size_t i = 0; i < TABLES; i++) {
                bench->tables[i].file.has_deletes = way == 2;
            }
            struct engine_grant *grant = open_grant(bench, TABLES);
            struct buf sql = {0};
            with_tables(grant, way > 0, statement, &sql);
            struct run run = run_query(bench, buf_slice(&sql));
            best[way] = round == 0 || run.ms < best[way] ? run.ms : best[way];
            rows[way] = run.rows;
            buf_fini(&sql);
            engine_grant_close(grant);
        }
    }
    printf("%2zu", number);
    for (size_t way = 0; way < WAYS; way++) {
        totals[way] += best[way];
        printf("  %9.1f ms", best[way]);
    }
    printf("  %5.2fx %5.2fx%s\n", best[1] / best[0], best[2] / best[0],
           rows[0] == rows[1] ? "" : "  OTHER ROWS");
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: engine_tpch_probe FOLDER STATEMENTS [ROUNDS]\n");
        return 2;
    }
    struct bench bench = {.arena = arena_new(NULL, "bench", 64u << 20)};
    struct engine_hosts *hosts = NULL;
    struct engine_options options = {.thread_count = 2};
    struct errinfo info;
    must(test_engine_open(&options, &bench.engine, &hosts, &info), &info);
    must(engine_session_open(bench.engine, WHO, &bench.session, &info), &info);
    open_tables(&bench, argv[1]);
    open_specs(&bench);
    FILE *file = fopen(argv[2], "r");
    if (file == NULL) {
        perror(argv[2]);
        return 1;
    }
    double totals[WAYS] = {0};
    char *line = NULL;
    size_t capacity = 0;
    size_t number = 0;
    ssize_t len;
    printf("      %s     %s   %s\n", way_names[0], way_names[1], way_names[2]);
    while ((len = getline(&line, &capacity, file)) > 1) {
        unsigned rounds = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 5;
        measure(&bench, ++number, (struct slice){line, (size_t)len - 1}, rounds, totals);
    }
    printf("all");
    for (size_t way = 0; way < WAYS; way++) {
        printf(" %9.1f ms ", totals[way]);
    }
    printf("  %5.3fx %5.3fx\n", totals[1] / totals[0], totals[2] / totals[0]);
    (void)fclose(file);
    engine_session_close(bench.session);
    engine_close(bench.engine);
    engine_hosts_close(hosts);
    for (size_t i = 0; i < TABLES; i++) {
        mem_free(bench.tables[i].dead);
    }
    arena_free(bench.arena);
    return 0;
}
