/* What moat_scan costs beside the engine's own read_parquet over the same files, what deleted rows
 * cost, and columns that were widened. `engine_scan_bench [rows of a file [query]]`; the ways take
 * turns, so that a busy machine is busy for all of them. Prints the fastest of the rounds and its
 * ratio to read_parquet's, and that of the medians. */
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine.h"
#include "engine/host/testing.h"
#include "engine/scan.h"

#define WHO test_who()

enum {
    FILES = 6,
    ROUNDS = 15,
};

enum way {
    READ_PARQUET,
    SCAN,
    SCAN_DELETES,
    SCAN_WIDENED,
    WAYS
};

static const char *const way_names[] = {"read_parquet", "moat_scan", "1 % deleted", "widened"};

static void must(enum err err, const struct errinfo *info)
{
    if (err != ERR_OK) {
        fprintf(stderr, "%s\n", info->message);
        exit(1);
    }
}

struct data {
    int fds[FILES];
    uint64_t sizes[FILES];
    struct engine_scan_file files[FILES];
    uint64_t *dead; /* bits by position; the same for each file */
    unsigned long rows;
    size_t written; /* the file that is being written */
};

static enum err data_read(void *context, size_t index, uint64_t offset, void *ret_bytes, size_t len,
                          struct errinfo *info)
{
    const struct data *data = context;
    while (len > 0) {
        ssize_t got = pread(data->fds[index], ret_bytes, len, (off_t)offset);
        if (got <= 0) {
            return errinfo_set(info, ERR_IO, NULL, "the file cannot be read");
        }
        ret_bytes = (char *)ret_bytes + got;
        offset += (uint64_t)got;
        len -= (size_t)got;
    }
    return ERR_OK;
}

static enum err data_write(void *context, UNUSED size_t index, const void *bytes, size_t len,
                           struct errinfo *info)
{
    struct data *data = context;
    if (write(data->fds[data->written], bytes, len) != (ssize_t)len) {
        return errinfo_set(info, ERR_IO, NULL, "the file cannot be written");
    }
    data->sizes[data->written] += len;
    return ERR_OK;
}

static enum err data_files(void *context, UNUSED const struct engine_predicate *const *all,
                           UNUSED size_t predicate_count, UNUSED bool is_dynamic,
                           const struct engine_scan_file **ret_files, size_t *ret_count,
                           UNUSED struct errinfo *info)
{
    const struct data *data = context;
    *ret_files = data->files;
    *ret_count = FILES;
    return ERR_OK;
}

static enum err data_dead(void *context, UNUSED const struct engine_scan_file *file,
                          int64_t first_row, size_t count, uint32_t *ret_offsets,
                          size_t *ret_dead_count, UNUSED struct errinfo *info)
{
    const struct data *data = context;
    uint64_t first = (uint64_t)first_row;
    uint64_t end = first + count;
    size_t dead_count = 0;
    for (uint64_t word = first / 64; word * 64 < end; word++) {
        for (uint64_t bits = data->dead[word]; bits != 0; bits &= bits - 1) {
            uint64_t row = word * 64 + (uint64_t)__builtin_ctzll(bits);
            if (row >= first && row < end) {
                ret_offsets[dead_count++] = (uint32_t)(row - first);
            }
        }
    }
    *ret_dead_count = dead_count;
    return ERR_OK;
}

static double run_query(struct engine_session *session, struct slice sql, uint64_t *ret_rows)
{
    struct errinfo info;
    struct engine_query *query = NULL;
    uint64_t rows = 0;
    int64_t start = clock_mono_us();
    must(engine_query_open(session, WHO, sql, NULL, 0, &query, &info), &info);
    while (true) {
        struct ArrowArray batch;
        must(engine_query_next(query, &batch, &info), &info);
        if (batch.release == NULL) {
            break;
        }
        rows += (uint64_t)batch.length;
        batch.release(&batch);
    }
    engine_query_close(query);
    *ret_rows = rows;
    return (double)(clock_mono_us() - start) / 1000;
}

static void write_file(struct engine *engine, struct engine_session *session, struct data *data,
                       size_t index)
{
    char path[] = "/tmp/engine_scan_XXXXXX";
    data->fds[index] = mkstemp(path);
    if (data->fds[index] < 0) {
        perror("data file");
        exit(1);
    }
    (void)unlink(path);
    data->written = index;
    struct engine_grant_spec spec = {.write = data_write, .writable_count = 1, .context = data};
    struct engine_grant *grant = NULL;
    struct errinfo info;
    must(engine_grant_open(engine, WHO, &spec, &grant, &info), &info);
    struct buf sql = {0};
    buf_printf(&sql,
               "COPY (SELECT i AS id, CAST(hash(i) %% 1000 AS INTEGER) AS k, "
               "CAST((hash(i) %% 100000) / 100.0 AS DECIMAL(9,2)) AS price, md5(CAST(i AS "
               "VARCHAR)) AS note, {x: CAST(i %% 77 AS INTEGER), y: 'y' || (i %% 9)} AS s FROM "
               "range(%lu, %lu) t(i)) TO '",
               index * data->rows, (index + 1) * data->rows);
    engine_grant_uri_out(grant, 0, &sql);
    buf_append_str(&sql, "' (FORMAT parquet, FIELD_IDS {id: 1, k: 2, price: 3, note: 4, "
                         "s: {__duckdb_field_id: 5, x: 6, y: 7}})");
    uint64_t rows;
    (void)run_query(session, buf_slice(&sql), &rows);
    engine_grant_close(grant);
    buf_fini(&sql);
    data->files[index] = (struct engine_scan_file){.object = index,
                                                   .size_bytes = data->sizes[index],
                                                   .record_count = (int64_t)data->rows,
                                                   .first_row_id = -1};
}

#define COLUMN(id, text, type_text, ...)                                                           \
    {                                                                                              \
        .field_id = (id), .name = SLICE(text), .type = SLICE(type_text), __VA_ARGS__               \
    }
static const struct engine_scan_column same_fields[] = {COLUMN(6, "x", "INTEGER"),
                                                        COLUMN(7, "y", "VARCHAR")};
static const struct engine_scan_column same_columns[] = {
    COLUMN(1, "id", "BIGINT"),
    COLUMN(2, "k", "INTEGER"),
    COLUMN(3, "price", "DECIMAL(9,2)"),
    COLUMN(4, "note", "VARCHAR"),
    COLUMN(5, "s", "STRUCT(x INTEGER, y VARCHAR)", .children = same_fields, .child_count = 2),
};
static const struct engine_scan_column wide_fields[] = {COLUMN(7, "y", "VARCHAR"),
                                                        COLUMN(6, "x", "BIGINT")};
static const struct engine_scan_column wide_columns[] = {
    COLUMN(4, "note", "VARCHAR"),
    COLUMN(5, "s", "STRUCT(y VARCHAR, x BIGINT)", .children = wide_fields, .child_count = 2),
    COLUMN(3, "price", "DECIMAL(18,2)"),
    COLUMN(2, "k", "BIGINT"),
    COLUMN(1, "id", "BIGINT"),
};

static struct engine_grant *open_grant(struct engine *engine, struct data *data,
                                       const struct engine_scan_spec *scan)
{
    struct engine_object objects[FILES];
    for (size_t i = 0; i < FILES; i++) {
        objects[i] =
            (struct engine_object){.size_bytes = data->sizes[i], .extension = SLICE(".parquet")};
    }
    struct engine_grant_spec spec = {.objects = objects,
                                     .object_count = FILES,
                                     .read = data_read,
                                     .context = data,
                                     .scans = &scan,
                                     .scan_count = 1};
    struct engine_grant *grant = NULL;
    struct errinfo info;
    must(engine_grant_open(engine, WHO, &spec, &grant, &info), &info);
    return grant;
}

static void print_source(enum way way, const struct engine_grant *grant, struct buf *sql)
{
    if (way != READ_PARQUET) {
        buf_append_str(sql, "moat_scan('");
        engine_grant_uri_scan(grant, 0, sql);
        buf_append_str(sql, "')");
        return;
    }
    buf_append_str(sql, "read_parquet([");
    for (size_t i = 0; i < FILES; i++) {
        buf_append_str(sql, i == 0 ? "'" : ", '");
        engine_grant_uri(grant, i, sql);
        buf_append_str(sql, "'");
    }
    buf_append_str(sql, "])");
}

/* One round of one way: the grant is new each time, as it is for each query. */
static double run_way(struct engine *engine, struct engine_session *session, struct data *data,
                      enum way way, const char *query, uint64_t *ret_rows)
{
    bool is_wide = way == SCAN_WIDENED;
    struct engine_scan_spec scan = {.columns = is_wide ? wide_columns : same_columns,
                                    .column_count = ARRAY_COUNT(same_columns),
                                    .row_count_estimate = -1,
                                    .files = data_files,
                                    .read = data_read,
                                    .dead = data_dead,
                                    .context = data};
    for (size_t i = 0; i < FILES; i++) {
        data->files[i].has_deletes = way == SCAN_DELETES;
    }
    struct engine_grant *grant = open_grant(engine, data, &scan);
    struct buf sql = {0};
    const char *mark = strstr(query, "%s");
    buf_append(&sql, query, (size_t)(mark - query));
    print_source(way, grant, &sql);
    buf_append_str(&sql, mark + 2);
    double ms = run_query(session, buf_slice(&sql), ret_rows);
    buf_fini(&sql);
    engine_grant_close(grant);
    return ms;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(struct engine *engine, struct engine_session *session, struct data *data,
                    const char *name, const char *query)
{
    double times[WAYS][ROUNDS];
    for (size_t round = 0; round < ROUNDS; round++) {
        for (enum way way = 0; way < WAYS; way++) {
            uint64_t rows;
            times[way][round] = run_way(engine, session, data, way, query, &rows);
        }
    }
    printf("%-16s", name);
    double base = 0;
    double base_median = 0;
    for (enum way way = 0; way < WAYS; way++) {
        qsort(times[way], ROUNDS, sizeof(times[way][0]), compare);
        double fastest = times[way][0];
        double median = times[way][ROUNDS / 2];
        if (way == READ_PARQUET) {
            base = fastest;
            base_median = median;
            printf(" %s %.1f ms", way_names[way], fastest);
        } else {
            printf("  %s %.1f ms (%.2fx, median %.2fx)", way_names[way], fastest, fastest / base,
                   median / base_median);
        }
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    static const char *const queries[][2] = {
        {"one column", "SELECT sum(price) FROM %s"},
        {"aggregate", "SELECT k, count(*), sum(price) FROM %s GROUP BY k"},
        {"text", "SELECT max(note) FROM %s"},
        {"filter", "SELECT sum(price), max(note) FROM %s WHERE k BETWEEN 10 AND 19"},
        {"struct", "SELECT sum(s.x), max(s.y) FROM %s"},
        {"stream", "SELECT id, k, price FROM %s"},
        {"point", "SELECT note FROM %s WHERE id = 1234567"},
    };
    struct data data = {.rows = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000};
    uint64_t seed = 1;
    data.dead = mem_calloc(data.rows / 64 + 1, sizeof(uint64_t));
    if (data.dead == NULL) {
        return 1;
    }
    for (unsigned long i = 0; i < data.rows / 100; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        uint64_t row = (seed >> 20) % data.rows;
        data.dead[row / 64] |= UINT64_C(1) << (row % 64);
    }
    struct engine *engine = NULL;
    struct engine_session *session = NULL;
    struct errinfo info;
    struct engine_hosts *hosts = NULL;
    struct engine_options options = {.thread_count = 2};
    must(test_engine_open(&options, &engine, &hosts, &info), &info);
    must(engine_session_open(engine, WHO, &session, &info), &info);
    uint64_t bytes = 0;
    for (size_t i = 0; i < FILES; i++) {
        write_file(engine, session, &data, i);
        bytes += data.sizes[i];
    }
    printf("%d files of %lu rows, %.1f MB; fastest of %d\n", FILES, data.rows, (double)bytes / 1e6,
           ROUNDS);
    for (size_t i = 0; i < ARRAY_COUNT(queries); i++) {
        if (argc <= 2 || strcmp(argv[2], queries[i][0]) == 0) {
            measure(engine, session, &data, queries[i][0], queries[i][1]);
        }
    }
    engine_session_close(session);
    engine_close(engine);
    engine_hosts_close(hosts);
    mem_free(data.dead);
    return 0;
}
