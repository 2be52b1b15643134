/* Tables that Spark wrote (tests/data/iceberg), read through the engine as a statement would: the
 * rows are Spark's, or there is an error, whatever fails on the way. */
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "arrow/arrow.h"
#include "base/io.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/sweep.h"
#include "base/test.h"
#include "lake/lake_int.h"

#define DATA "tests/data/iceberg"

/* A table of the sample, and everything that one reading of it needs. */
struct house {
    struct arena *arena;
    struct engine *engine;
    struct identity *who;
    struct slice prefix; /* where the tables were written */
    struct slice folder; /* where they are */
    struct iceberg_io local;
    const char *swapped[2]; /* a file whose path has the first is read where the second lies */
    const char *denied;     /* nor may one with this in its path be read */
};

/* ---- places ---- */

static struct slice place(const struct house *house, struct slice location, struct buf *path)
{
    size_t skip = slice_starts_with(location, SLICE("file:")) ? 5 : 0;
    location = (struct slice){location.ptr + skip, location.len - skip};
    CHECK(slice_starts_with(location, house->prefix));
    buf_append_slice(path, house->folder);
    buf_append(path, location.ptr + house->prefix.len, location.len - house->prefix.len);
    if (house->swapped[0] != NULL && strstr(buf_cstr(path), house->swapped[0]) != NULL) {
        buf_reset(path);
        buf_append_str(path, house->swapped[1]);
    }
    return buf_slice(path);
}

static bool is_denied(const struct house *house, struct slice location)
{
    return house->denied != NULL && slice_find(location, slice_of(house->denied)) != SIZE_MAX;
}

static enum err read_all(void *context, struct slice location, uint64_t size_hint,
                         uint64_t bytes_max, struct buf *ret_bytes, struct errinfo *info)
{
    struct house *house = context;
    struct buf path CLEANUP(buf_fini) = {0};
    if (is_denied(house, location)) {
        return errinfo_set(info, ERR_DENIED, NULL, "not here");
    }
    struct slice mapped = place(house, location, &path);
    if (buf_failed(&path)) {
        return errinfo_nomem(info);
    }
    return house->local.read_all(house->local.context, mapped, size_hint, bytes_max, ret_bytes,
                                 info);
}

static enum err read_range(void *context, struct slice location, uint64_t offset, size_t len,
                           void *ret_bytes, struct errinfo *info)
{
    struct house *house = context;
    struct buf path CLEANUP(buf_fini) = {0};
    struct slice mapped = place(house, location, &path);
    if (buf_failed(&path)) {
        return errinfo_nomem(info);
    }
    return house->local.read_range(house->local.context, mapped, offset, len, ret_bytes, info);
}

/* The view must live on: kept by the house, outside of the sweeps' books. */
static enum err locate(void *context, struct slice location, struct slice *ret_path,
                       struct errinfo *info)
{
    struct house *house = context;
    struct buf path CLEANUP(buf_fini) = {0};
    if (is_denied(house, location)) {
        return errinfo_set(info, ERR_DENIED, NULL, "not here");
    }
    struct slice mapped = place(house, location, &path);
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* threads open files side by side */
    pthread_mutex_lock(&lock);
    bool is_kept = !buf_failed(&path) && arena_slice(house->arena, mapped, ret_path);
    pthread_mutex_unlock(&lock);
    return is_kept ? ERR_OK : errinfo_nomem(info);
}

static void house_open(struct house *house, unsigned thread_count)
{
    char here[PATH_MAX];
    struct errinfo info;
    struct engine_options options = {.thread_count = thread_count};
    struct identity_spec spec = {.subject = SLICE("ada"), .provider = SLICE("local")};
    *house = (struct house){.arena = arena_new(NULL, "test", 0), .local = iceberg_io_local()};
    CHECK(realpath(DATA, here) != NULL);
    CHECK(arena_slice(house->arena, slice_of(here), &house->folder));
    CHECK_OK(io_read_file(house->arena, DATA "/prefix", 4096, &house->prefix, NULL));
    house->prefix = slice_trim(house->prefix);
    CHECK_OK(engine_open(&options, &house->engine, &info));
    CHECK_OK(identity_new(&spec, &house->who, &info));
}

static void house_close(struct house *house)
{
    identity_unref(house->who);
    engine_close(house->engine);
    arena_free(house->arena);
}

/* ---- tables ---- */

/* Lines of the index that read a table as it is now. */
typedef void (*table_fn)(struct house *house, const struct json *line);

static void for_each_table(struct house *house, const char *part, table_fn fn)
{
    struct slice index;
    size_t count = 0;
    CHECK_OK(io_read_file(house->arena, DATA "/index.jsonl", 64 << 20, &index, NULL));
    while (index.len > 0) {
        struct json *line;
        size_t len = slice_find(index, SLICE("\n"));
        len = len == SIZE_MAX ? index.len : len;
        CHECK_OK(json_parse(house->arena, (struct slice){index.ptr, len}, NULL, &line, NULL));
        if (slice_equal(json_get_text(line, "case"), SLICE("current")) &&
            slice_find(json_get_text(line, "table"), slice_of(part)) != SIZE_MAX) {
            fn(house, line);
            count++;
        }
        size_t skip = len < index.len ? len + 1 : len;
        index = (struct slice){index.ptr + skip, index.len - skip};
    }
    CHECK(count > 0);
}

static void load(struct house *house, struct slice file, struct iceberg_metadata *metadata,
                 struct lake_origin *origin)
{
    struct iceberg_io io = {.context = house, .read_all = read_all, .read_range = read_range};
    CHECK_OK(iceberg_metadata_load(&io, file, house->arena, metadata, NULL));
    *origin = (struct lake_origin){
        .who = house->who,
        .name = SLICE("t"),
        .metadata = metadata,
        .snapshot = metadata->current_snapshot_id == ICEBERG_NO_ID
                        ? NULL
                        : iceberg_metadata_snapshot(metadata, metadata->current_snapshot_id),
        .schema = iceberg_metadata_current_schema(metadata),
        .io = io,
        .locate = locate,
        .context = house,
    };
}

/* ---- reading ---- */

static enum err take(const struct ArrowArray *batch, struct buf *out)
{
    const struct ArrowArray *column = batch->children[0];
    const int32_t *offsets = (const int32_t *)column->buffers[1] + column->offset;
    const char *bytes = column->buffers[2];
    for (int64_t i = 0; i < column->length; i++) {
        buf_append(out, bytes + offsets[i], (size_t)(offsets[i + 1] - offsets[i]));
        buf_append_char(out, '\n');
    }
    return buf_failed(out) ? ERR_NOMEM : ERR_OK;
}

static enum err run(struct house *house, struct slice sql, struct buf *out, struct errinfo *info)
{
    struct engine_session *session CLEANUP(engine_session_cleanup) = NULL;
    struct engine_query *query CLEANUP(engine_query_cleanup) = NULL;
    TRY(engine_session_open(house->engine, house->who, &session, info));
    TRY(engine_query_open(session, house->who, sql, NULL, 0, &query, info));
    for (;;) {
        struct ArrowArray batch = {0};
        TRY(engine_query_next(query, &batch, info));
        if (batch.release == NULL) {
            return ERR_OK;
        }
        enum err err = take(&batch, out);
        batch.release(&batch);
        TRY(err);
    }
}

struct uris {
    const struct engine_grant *grant;
};

static void write_uri(void *context, size_t index, struct buf *out)
{
    const struct uris *uris = context;
    engine_grant_uri_scan(uris->grant, index, out);
}

/* `select` FROM the table AS t `rest`; one column, VARCHAR. */
static enum err read_table(struct house *house, const struct lake_origin *origin,
                           const char *select, const char *rest, bool has_hidden, struct buf *out,
                           struct lake_scan_counts *ret_work, struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "statement", 0);
    struct lake_source *source;
    struct lake_scan *scan CLEANUP(lake_scan_cleanup) = NULL;
    struct engine_grant *grant CLEANUP(engine_grant_cleanup) = NULL;
    struct buf sql CLEANUP(buf_fini) = {0};
    const struct engine_scan_spec *specs[66];
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(lake_source_open(origin, arena, &source, info));
    TRY(lake_scan_open(house->engine, source, NULL, has_hidden, &scan, info));
    for (size_t i = 0; i < lake_scan_count(source); i++) {
        specs[i] = lake_scan_spec(scan, i);
    }
    struct engine_grant_spec spec = {.scans = specs, .scan_count = lake_scan_count(source)};
    TRY(engine_grant_open(house->engine, house->who, &spec, &grant, info));
    struct uris uris = {grant};
    buf_printf(&sql, "SELECT %s FROM ", select);
    TRY(lake_scan_sql(source, write_uri, &uris, &sql, info));
    buf_printf(&sql, " AS t %s", rest);
    enum err err = buf_failed(&sql) ? ERR_NOMEM : run(house, buf_slice(&sql), out, info);
    if (ret_work != NULL) {
        *ret_work = lake_scan_work(scan);
    }
    return err;
}

#define ALL_ROWS "CAST(t AS VARCHAR)", "ORDER BY ALL"

/* ---- what is read ---- */

static void count_rows(struct house *house, const struct json *line)
{
    struct iceberg_metadata metadata;
    struct lake_origin origin;
    struct buf out CLEANUP(buf_fini) = {0};
    struct errinfo info;
    int64_t rows = -1;
    errinfo_init(&info);
    load(house, json_get_text(line, "metadata_file"), &metadata, &origin);
    enum err err = read_table(house, &origin, "replace(CAST(t AS VARCHAR), chr(10), ' ')", "",
                              false, &out, NULL, &info);
    if (slice_equal(json_get_text(line, "table"), SLICE("files.v2_data_avro"))) {
        CHECK_ERR(ERR_UNSUPPORTED, err);
        CHECK(strstr(info.message, "has Avro files") != NULL);
        return;
    }
    if (err != ERR_OK) {
        fail_msg("%.*s: %s", SLICE_ARGS(json_get_text(line, "table")), info.message);
    }
    CHECK(json_to_i64(json_get(line, "row_count"), &rows));
    struct slice table = json_get_text(line, "table");
    for (size_t i = 0; i < out.len; i++) {
        rows -= out.ptr[i] == '\n';
    }
    if (rows != 0) {
        fail_msg("%.*s: %lld rows are missing", SLICE_ARGS(table), (long long)rows);
    }
}

TEST(lake_scan, every_table_of_the_sample_has_its_rows)
{
    /* Goal: through source, scan, text and engine come as many rows as Spark saw; what is there is
     * compared cell by cell in tests/interop. */
    struct house house;
    house_open(&house, 2);
    for_each_table(&house, "", count_rows);
    house_close(&house);
}

static struct lake_scan_counts work;
static const char *rest;

static void read_work(struct house *house, const struct json *line)
{
    struct iceberg_metadata metadata;
    struct lake_origin origin;
    struct buf out CLEANUP(buf_fini) = {0};
    struct errinfo info;
    errinfo_init(&info);
    load(house, json_get_text(line, "metadata_file"), &metadata, &origin);
    if (read_table(house, &origin, "CAST(id AS VARCHAR)", rest, false, &out, &work, &info) !=
        ERR_OK) {
        fail_msg("%s", info.message);
    }
}

TEST(lake_scan, what_was_asked_for_chooses_the_files)
{
    /* Goal: a condition of the statement reaches the planning of files, one that no file can meet
     * leaves none to open, and the counts tell of it. */
    struct house house;
    house_open(&house, 2);
    rest = "";
    for_each_table(&house, "core.v2_bucket_id_pos_file", read_work);
    CHECK(work.plan.files_matched > 1 && work.plan.files_matched == work.plan.files_total);
    CHECK(work.plan.delete_files_matched > 0 && work.plan.rows_matched > 0);
    CHECK(work.files_opened >= work.plan.files_matched && work.bytes_read > 0);
    uint64_t all = work.plan.files_matched;
    rest = "WHERE id = 17";
    for_each_table(&house, "core.v2_bucket_id_pos_file", read_work);
    CHECK(work.plan.files_matched > 0 && work.plan.files_matched < all);
    rest = "WHERE id = -5";
    for_each_table(&house, "core.v2_bucket_id_pos_file", read_work);
    CHECK(work.plan.files_matched == 0 && work.files_opened == 0 && work.bytes_read == 0);
    house_close(&house);
}

/* What is said of `id` beside what the engine finds, where no delete takes a row away. */
static void compare_range(struct house *house, const struct json *line)
{
    struct iceberg_metadata metadata;
    struct lake_origin origin;
    struct lake_source *source;
    struct lake_scan *scan CLEANUP(lake_scan_cleanup) = NULL;
    const struct engine_scan_range *ranges = NULL;
    struct buf found CLEANUP(buf_fini) = {0};
    struct buf said CLEANUP(buf_fini) = {0};
    load(house, json_get_text(line, "metadata_file"), &metadata, &origin);
    CHECK_OK(read_table(house, &origin, "concat_ws(' ', min(id), max(id), count(*) > count(id))",
                        "", false, &found, &work, NULL));
    CHECK_OK(lake_source_open(&origin, house->arena, &source, NULL));
    CHECK_OK(lake_scan_open(house->engine, source, NULL, false, &scan, NULL));
    const struct engine_scan_spec *spec = lake_scan_spec(scan, 0);
    CHECK(slice_equal(spec->columns[0].name, SLICE("id")));
    CHECK_OK(spec->ranges(spec->context, NULL, 0, &ranges, NULL));
    CHECK(ranges[0].has_bounds);
    buf_printf(&said, "%lld %lld %s\n", (long long)ranges[0].lower, (long long)ranges[0].upper,
               ranges[0].has_nulls ? "true" : "false");
    if (work.plan.delete_files_matched == 0) {
        CHECK_STR(buf_cstr(&found), buf_cstr(&said));
    }
}

TEST(lake_scan, what_manifests_say_of_values_is_what_rows_have)
{
    struct house house;
    house_open(&house, 2);
    for_each_table(&house, "core.v2_", compare_range);
    for_each_table(&house, "core.v1_", compare_range);
    house_close(&house);
}

static void join_ids(struct house *house, const struct json *line)
{
    struct iceberg_metadata metadata;
    struct lake_origin origin;
    struct buf plain CLEANUP(buf_fini) = {0};
    struct buf joined CLEANUP(buf_fini) = {0};
    struct errinfo info;
    errinfo_init(&info);
    load(house, json_get_text(line, "metadata_file"), &metadata, &origin);
    CHECK_OK(read_table(house, &origin, "CAST(id AS VARCHAR)",
                        "WHERE id BETWEEN 3 AND 30 ORDER BY 1", false, &plain, NULL, &info));
    CHECK_OK(read_table(house, &origin, "CAST(id AS VARCHAR)",
                        "JOIN range(3, 31) AS r(x) ON t.id = r.x ORDER BY 1", false, &joined, NULL,
                        &info));
    CHECK(plain.len > 0);
    CHECK_STR(buf_cstr(&plain), buf_cstr(&joined));
    buf_reset(&joined);
    CHECK_OK(read_table(house, &origin, "CAST(id AS VARCHAR)",
                        "WHERE id IN (SELECT x FROM range(3, 31) AS r(x)) ORDER BY 1", false,
                        &joined, NULL, &info));
    CHECK_STR(buf_cstr(&plain), buf_cstr(&joined));
}

TEST(lake_scan, a_join_loses_no_file)
{
    /* Goal: what a join has learnt chooses files also where nobody asked for any before, since the
     * snapshot's summary says how many rows there are. */
    struct house house;
    house_open(&house, 2);
    for_each_table(&house, "core.", join_ids);
    house_close(&house);
}

/* ---- what is refused ---- */

static enum err refused;
static const char *refusal;

static void refuse(struct house *house, const struct json *line)
{
    struct iceberg_metadata metadata;
    struct lake_origin origin;
    struct buf out CLEANUP(buf_fini) = {0};
    struct errinfo info;
    errinfo_init(&info);
    load(house, json_get_text(line, "metadata_file"), &metadata, &origin);
    enum err err = read_table(house, &origin, ALL_ROWS, false, &out, NULL, &info);
    if (err != refused || strstr(info.message, refusal) == NULL) {
        fail_msg("%s: %s", err_name(err), info.message);
    }
    CHECK(out.len == 0);
    CHECK(slice_find(slice_of(info.message), house->folder) == SIZE_MAX);
}

TEST(lake_scan, a_file_of_another_size_is_refused)
{
    /* Goal: another Parquet file in the place of a data file or of a delete file, which by itself
     * reads well, is no answer. Method: put one of another size there. */
    struct house house;
    house_open(&house, 2);
    char *other = arena_printf(house.arena, "%.*s/prefix", SLICE_ARGS(house.folder));
    refused = ERR_CORRUPT;
    refusal = "its manifest says";
    house.swapped[0] = "-deletes.parquet";
    house.swapped[1] = other;
    for_each_table(&house, "core.v2_none_pos_partition", refuse);
    house.swapped[0] = "0001.parquet";
    for_each_table(&house, "core.v2_none_pos_partition", refuse);
    house_close(&house);
}

TEST(lake_scan, a_file_elsewhere_is_refused)
{
    /* Goal: every location passes the fence, of data and of delete files alike. */
    struct house house;
    house_open(&house, 2);
    refused = ERR_DENIED;
    refusal = "not here";
    house.denied = "-deletes.parquet";
    for_each_table(&house, "core.v2_none_pos_partition", refuse);
    house.denied = "0001.parquet";
    for_each_table(&house, "core.v2_none_pos_partition", refuse);
    house_close(&house);
}

static void fail_once(struct house *house, const struct json *line)
{
    struct iceberg_metadata metadata;
    struct lake_origin origin;
    struct lake_source *source;
    struct lake_scan *scan CLEANUP(lake_scan_cleanup) = NULL;
    const struct engine_scan_file *files = NULL;
    struct errinfo info;
    size_t count = 0;
    load(house, json_get_text(line, "metadata_file"), &metadata, &origin);
    CHECK_OK(lake_source_open(&origin, house->arena, &source, &info));
    CHECK_OK(lake_scan_open(house->engine, source, NULL, false, &scan, &info));
    const struct engine_scan_spec *spec = lake_scan_spec(scan, 0);
    house->denied = "-m0.avro";
    CHECK_ERR(ERR_DENIED, spec->files(spec->context, NULL, 0, false, &files, &count, &info));
    house->denied = NULL;
    errinfo_init(&info);
    CHECK_ERR(ERR_DENIED, spec->files(spec->context, NULL, 0, false, &files, &count, &info));
    CHECK(files == NULL && count == 0 && strstr(info.message, "not here") != NULL);
}

TEST(lake_scan, a_plan_that_failed_stays_failed)
{
    /* Goal: whoever asks again after an error gets the error: half of what a plan makes, a file
     * whose deletes were not noted, must not be taken for all of it. */
    struct house house;
    house_open(&house, 1);
    for_each_table(&house, "core.v2_none_pos_partition", fail_once);
    house_close(&house);
}

/* ---- what fails on the way ---- */

struct sweep {
    enum fault_kind kind;
    unsigned failures;
    unsigned weaker; /* runs that succeeded although something failed */
};

static struct sweep sweep;

/* A body of its own: what a sweep leaves behind would be told by the leak sanitizer. */
static void sweep_table(struct house *house, const struct json *line)
{
    struct iceberg_metadata metadata;
    struct lake_origin origin;
    struct buf expected CLEANUP(buf_fini) = {0};
    struct errinfo info;
    errinfo_init(&info);
    load(house, json_get_text(line, "metadata_file"), &metadata, &origin);
    CHECK_OK(read_table(house, &origin, ALL_ROWS, false, &expected, NULL, &info));
    CHECK(expected.len > 0);
    SWEEP_FAULT_(sweep.kind, fault)
    {
        struct buf out CLEANUP(buf_fini) = {0};
        errinfo_init(&info);
        enum err err = read_table(house, &origin, ALL_ROWS, false, &out, NULL, &info);
        fault_disarm();
        if (err == ERR_OK) {
            CHECK_STR(buf_cstr(&expected), buf_cstr(&out));
            sweep.weaker += fault.fired;
            continue;
        }
        CHECK(fault.fired);
        if (err != (sweep.kind == FAULT_ALLOC ? ERR_NOMEM : ERR_IO)) {
            fail_msg("step %llu: %s: %s", (unsigned long long)fault.step, err_name(err),
                     info.message);
        }
        sweep.failures++;
    }
}

/* Position and equality deletes; vectors; files named by a mapping. */
static const char *const swept[] = {"core.v2_bucket_id_pos_eq", "core.v3_none_dv",
                                    "files.v2_add_files_renamed"};

static void sweep_all(enum fault_kind kind, unsigned failures_min)
{
    struct house house;
    house_open(&house, 1);
    for (size_t i = 0; i < ARRAY_COUNT(swept); i++) {
        sweep = (struct sweep){.kind = kind};
        for_each_table(&house, swept[i], sweep_table);
        CHECK(sweep.failures >= failures_min);
        CHECK(sweep.weaker * 4 <= sweep.failures);
    }
    house_close(&house);
}

TEST(lake_scan, without_memory_there_is_an_error_or_the_same_rows)
{
    /* Goal: whichever allocation of ours fails, from opening the table to the last row, the
     * statement fails as ERR_NOMEM or has all its rows. Method: sweep all of a reading. */
    sweep_all(FAULT_ALLOC, 100);
}

TEST(lake_scan, a_failed_read_is_an_error)
{
    /* Goal: the same for each step of I/O: manifests, data files, deletes, vectors. */
    sweep_all(FAULT_IO, 5);
}
