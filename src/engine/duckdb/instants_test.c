/* Instants of nanoseconds in files: as other writers have them, and what a scan makes of them. */
#include "base/test.h"
#include "engine/duckdb/scan_fixture.h"
#include "engine/parquet_instants.h"
#include "engine/parquet_layout.h"

static const struct engine_scan_column FIELDS[] = {COLUMN(3, "a", "TIMESTAMPTZ_NS")};
static const struct engine_scan_column COLUMNS_OF_IT[] = {
    COLUMN(1, "id", "BIGINT"),
    COLUMN(2, "s", "STRUCT(a TIMESTAMPTZ_NS)", CHILDREN(FIELDS)),
    COLUMN(4, "c", "TIMESTAMPTZ_NS"),
    COLUMN(5, "n", "TIMESTAMP_NS"),
    COLUMN(6, "z", "TIMESTAMP WITH TIME ZONE"),
    COLUMN(7, "d", "TIMESTAMPTZ_NS",
           VALUE("CAST('2017-11-16T22:31:08.000001001+00:00' AS TIMESTAMPTZ_NS)"))};

/* Columns by these field ids are said to be of UTC, as no writer of the engine can. */
static void turn(struct table *table, size_t object, const int32_t *ids, size_t count)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct parquet_instants found;
    char *file = (char *)(uintptr_t)table->store.objects[object].ptr;
    size_t size = table->store.objects[object].len;
    uint64_t len = parquet_footer_len((struct slice){file, size});
    char *footer = file + size - 8 - len;
    CHECK_OK(parquet_instants_find((struct slice){footer, len}, false, ids, count, arena, &found));
    for (size_t i = 0; i < found.count; i++) {
        char *byte = footer + found.offsets[i];
        *byte = (char)parquet_instant_byte((uint8_t)*byte, true);
    }
}

static void fill(struct fixture *fixture, struct table *table)
{
    static const int32_t ids[] = {3, 4, 6};
    COLUMNS(table, COLUMNS_OF_IT);
    (void)table_add(fixture, table,
                    "SELECT i AS id, {'a': make_timestamp_ns(i - 500)} AS s, "
                    "make_timestamp_ns(1510871468000001000 + i) AS c, "
                    "make_timestamp_ns(1510871468000001000 + i) AS n, "
                    "make_timestamp_ns(i * 1500) AS z FROM range(10000) t(i)",
                    "ROW_GROUP_SIZE 2048, FIELD_IDS {id: 1, s: {__duckdb_field_id: 2, a: 3}, "
                    "c: 4, n: 5, z: 6}");
    turn(table, 0, ids, ARRAY_COUNT(ids));
}

TEST(engine_instants, of_files_are_read_with_all_digits)
{
    /* Goal: instants at any depth, beside a local time of nanoseconds; an instant of nanoseconds
     * in a column of microseconds is rounded down; a column that the file lacks has its value. */
    struct fixture fixture = fixture_open(&(struct engine_options){.thread_count = 2});
    static struct table table;
    fill(&fixture, &table);
    table_expect(&fixture, &table,
                 "SELECT concat_ws(' ', typeof(c), c::VARCHAR, s.a::VARCHAR, typeof(n), n::VARCHAR,"
                 " z::VARCHAR, d::VARCHAR) FROM %s WHERE id = 1",
                 "TIMESTAMPTZ_NS 2017-11-16 22:31:08.000001001+00 "
                 "1969-12-31 23:59:59.999999501+00 TIMESTAMP_NS 2017-11-16 22:31:08.000001001 "
                 "1970-01-01 00:00:00.000001+00 2017-11-16 22:31:08.000001001+00");
    table_expect(&fixture, &table, "SELECT sum(epoch_ns(c) - epoch_ns(n))::VARCHAR FROM %s", "0");
    table_fini(&table);
    fixture_close(&fixture);
}

TEST(engine_instants, conditions_reach_the_file_and_lose_no_row)
{
    /* Goal: what is compared, and with what, leaves the rows of the same condition on the
     * number. */
    static const struct {
        const char *condition;
        const char *expected;
    } cases[] = {
        {"c = '2017-11-16 22:31:08.000002001'", "1"},
        {"c = TIMESTAMPTZ '2017-11-16 22:31:08.000002'", "1"},
        {"c > TIMESTAMPTZ '2017-11-16 22:31:08.000002'", "8999"},
        {"c >= TIMESTAMPTZ_NS '2017-11-16 22:31:08.000010999'", "1"},
        {"c IN ('2017-11-16 22:31:08.000001000', '2017-11-16 22:31:08.000001001', '2020-01-01')",
         "2"},
        {"c BETWEEN '2017-11-16 22:31:08.000001' AND TIMESTAMP '2017-11-16 22:31:08.000002'",
         "1001"},
        {"c < DATE '2017-11-17'", "10000"},
        {"c::DATE = DATE '2017-11-16'", "10000"},
        {"c::TIMESTAMP_NS < TIMESTAMP_NS '2017-11-16 22:31:08.000001002'", "2"},
        {"s.a < '1970-01-01'", "500"},
        {"s.a::DATE = DATE '1969-12-31'", "500"},
        {"c <> n AT TIME ZONE 'UTC'", "9990"},
        {"d = c", "1"},
        {"c IS NULL", "0"},
    };
    struct fixture fixture = fixture_open(&(struct engine_options){.thread_count = 2});
    static struct table table;
    fill(&fixture, &table);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf sql CLEANUP(buf_fini) = {0};
        buf_printf(&sql, "SELECT count(*)::VARCHAR FROM %%s WHERE %s", cases[i].condition);
        table_expect(&fixture, &table, buf_cstr(&sql), cases[i].expected);
    }
    table_fini(&table);
    fixture_close(&fixture);
}

static const struct engine_scan_column ONE[] = {COLUMN(4, "c", "TIMESTAMPTZ_NS")};

static void add_one(struct fixture *fixture, struct table *table, const char *select)
{
    COLUMNS(table, ONE);
    (void)table_add(fixture, table, select, "FIELD_IDS {c: 4}");
}

TEST(engine_instants, of_microseconds_are_read_and_other_types_refused)
{
    struct fixture fixture = fixture_open(&(struct engine_options){.thread_count = 2});
    static struct table exact, local, far;
    add_one(&fixture, &exact, "SELECT TIMESTAMPTZ '2020-01-01 00:00:00.000001' AS c");
    table_expect(&fixture, &exact, "SELECT c::VARCHAR FROM %s WHERE c > '2020-01-01 00:00:00'",
                 "2020-01-01 00:00:00.000001+00");
    add_one(&fixture, &local, "SELECT DATE '2020-01-01' AS c");
    table_refuse(&fixture, &local, "SELECT c::VARCHAR FROM %s", ERR_CORRUPT,
                 "cannot be read as TIMESTAMPTZ_NS");
    add_one(&fixture, &far, "SELECT TIMESTAMPTZ '9999-12-31' AS c");
    table_refuse(&fixture, &far, "SELECT c::VARCHAR FROM %s", ERR_ENGINE, "Could not convert");
    table_fini(&exact);
    table_fini(&local);
    table_fini(&far);
    fixture_close(&fixture);
}

TEST(engine_instants, a_footer_that_is_not_understood_is_no_file)
{
    /* Goal: never the engine's reading of such a column, which has fewer digits. */
    struct fixture fixture = fixture_open(&(struct engine_options){.thread_count = 2});
    static struct table table;
    fill(&fixture, &table);
    char *file = (char *)(uintptr_t)table.store.objects[0].ptr;
    size_t size = table.store.objects[0].len;
    memset(file + size - 40, 0xff, 32);
    table_refuse(&fixture, &table, "SELECT c::VARCHAR FROM %s WHERE id = 1", ERR_CORRUPT,
                 "not to be understood");
    table_fini(&table);
    fixture_close(&fixture);
}

/* ---- written ---- */

/* COPY of columns id, c and s into the sink. */
static enum err copy(struct fixture *fixture, const char *fields, struct file_sink *sink,
                     struct errinfo *info)
{
    struct buf options CLEANUP(buf_fini) = {0};
    buf_printf(&options,
               "FIELD_IDS {id: 1, c: 2, s: {__duckdb_field_id: 3, l: {__duckdb_field_id: 4, "
               "element: 5}, n: 6}}%s",
               fields);
    return fixture_write(fixture,
                         "SELECT i AS id, TIMESTAMPTZ_NS '2017-11-16 22:31:08.000001001' AS c,"
                         " {'l': [TIMESTAMPTZ_NS '1969-12-31 23:59:59.999999999'], 'n': "
                         "TIMESTAMP_NS '2020-01-01 00:00:00.000000001'} AS s "
                         "FROM range(100000) t(i)",
                         buf_cstr(&options), sink, info);
}

TEST(engine_instants, a_file_says_which_columns_are_of_utc)
{
    struct fixture fixture = fixture_open(NULL);
    struct memory_store store = {.object_count = 1};
    struct file_sink sink = {0};
    struct errinfo info;
    CHECK_OK(copy(&fixture, ", INSTANT_FIELDS (2, 5)", &sink, &info));
    CHECK(sink.is_closed);
    store.objects[0] = sink.bytes;
    struct engine_grant *grant = store_grant(&fixture, &store, 0);
    char *sql = fixture_sql(grant, 0,
                            "SELECT name || ' ' || regexp_extract(logical_type, 'UTC=[a-z0-9]*') "
                            "FROM parquet_schema('%s') WHERE logical_type LIKE 'Timestamp%%' "
                            "ORDER BY name");
    fixture_expect(&fixture, sql, "c UTC=1\nelement UTC=1\nn UTC=0");
    mem_free(sql);
    engine_grant_close(grant);
    store_fini(&store);
    fixture_close(&fixture);
}

TEST(engine_instants, what_was_not_meant_leaves_no_file)
{
    static const char *const rows[] = {"", ", INSTANT_FIELDS (2)", ", INSTANT_FIELDS (2, 6, 5)",
                                       ", INSTANT_FIELDS (2, 7)", ", INSTANT_FIELDS (1, 2)"};
    struct fixture fixture = fixture_open(NULL);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct file_sink sink = {0};
        struct errinfo info;
        CHECK(copy(&fixture, rows[i], &sink, &info) != ERR_OK);
        CHECK(!sink.is_closed);
        buf_fini(&sink.bytes);
    }
    fixture_close(&fixture);
}

TEST(engine_instants, a_write_that_fails_leaves_no_file)
{
    /* Goal: whichever write fails, that of the changed end among them, it is told, and the file is
     * not closed as if it were whole. */
    struct fixture fixture = fixture_open(NULL);
    bool is_written = false;
    for (size_t call = 1; !is_written; call++) {
        struct file_sink sink = {.failing_call = call};
        struct errinfo info;
        enum err err = copy(&fixture, ", INSTANT_FIELDS (2, 5)", &sink, &info);
        is_written = sink.call_count < call;
        CHECK(err == (is_written ? ERR_OK : ERR_IO) && sink.is_closed == is_written);
        CHECK(is_written || strstr(info.message, "the store is full") != NULL);
        CHECK(call < 1000);
        buf_fini(&sink.bytes);
    }
    fixture_close(&fixture);
}
