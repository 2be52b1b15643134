/* What a scan says it will read soon, over files that the engine wrote. */
#include "base/test.h"
#include "engine/duckdb/scan_fixture.h"
#include "engine/parquet_layout.h"

static const struct engine_scan_column COLUMNS_ABC[] = {
    COLUMN(1, "a", "BIGINT"), COLUMN(2, "b", "VARCHAR"), COLUMN(3, "c", "BIGINT")};

#define ROWS 40960
#define GROUPS 20

static void add_file(struct fixture *fixture, struct table *table, const char *from)
{
    struct buf select CLEANUP(buf_fini) = {0};
    buf_printf(&select,
               "SELECT i AS a, md5(i::VARCHAR) AS b, (hash(i) %% 1000000)::BIGINT AS c "
               "FROM range(%s, %s + 40960) t(i)",
               from, from);
    (void)table_add(fixture, table, buf_cstr(&select),
                    "ROW_GROUP_SIZE 2048, FIELD_IDS {a: 1, b: 2, c: 3}");
}

static void layout_of(const struct table *table, size_t object, struct arena *arena,
                      struct parquet_layout *ret_layout)
{
    struct slice all = {table->store.objects[object].ptr, table->store.objects[object].len};
    uint64_t len = parquet_footer_len(all);
    CHECK(len > 0 && len + 8 < all.len);
    struct slice footer = {all.ptr + all.len - 8 - len, (size_t)len};
    CHECK_OK(parquet_layout_read(footer, all.len, arena, ret_layout));
}

static bool was_told(const struct table *table, size_t object, const struct parquet_chunk *chunk)
{
    for (size_t i = 0; i < table->told_count; i++) {
        if (table->told_objects[i] == object && table->told[i].offset <= chunk->offset &&
            chunk->offset + chunk->len <= table->told[i].offset + table->told[i].len) {
            return true;
        }
    }
    return false;
}

TEST(readahead, tells_of_the_columns_of_the_next_groups)
{
    /* Goal: after the first group all that a scan reads has been told before, in the second file
     * from its start; and of a column that nobody reads nothing. */
    struct fixture fixture = fixture_open(&(struct engine_options){.thread_count = 2});
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    static struct table table;
    COLUMNS(&table, COLUMNS_ABC);
    add_file(&fixture, &table, "0");
    add_file(&fixture, &table, "100000");
    table.takes_advice = true;
    pthread_mutex_init(&table.advice_lock, NULL);
    table_expect(&fixture, &table,
                 "SELECT (count(a) + min(c) - min(c))::VARCHAR FROM %s WHERE a >= 0", "81920");
    size_t told = 0;
    for (size_t object = 0; object < 2; object++) {
        struct parquet_layout layout;
        layout_of(&table, object, arena, &layout);
        assert_int_equal(GROUPS, layout.group_count);
        assert_int_equal(3, layout.column_count);
        for (size_t g = 0; g < GROUPS; g++) {
            const struct parquet_chunk *chunks = &layout.chunks[g * 3];
            told += was_told(&table, object, &chunks[0]) ? 1 : 0;
            told += was_told(&table, object, &chunks[2]) ? 1 : 0;
            CHECK(!was_told(&table, object, &chunks[1]));
        }
    }
    CHECK(told >= 2 * 2 * GROUPS - 8); /* two groups at first, with two threads */
    CHECK(table.told_bytes * 10 >= table.read_bytes * 7);
    table_fini(&table);
    fixture_close(&fixture);
}

TEST(readahead, stops_where_guesses_do_not_come_true)
{
    /* Goal: a scan that passes over most groups is not followed for long. */
    struct fixture fixture = fixture_open(&(struct engine_options){.thread_count = 1});
    static struct table table;
    COLUMNS(&table, COLUMNS_ABC);
    add_file(&fixture, &table, "0");
    table.takes_advice = true;
    pthread_mutex_init(&table.advice_lock, NULL);
    table_expect(&fixture, &table,
                 "SELECT count(b)::VARCHAR FROM %s WHERE a IN (5, 10005, 20005, 30005, 40005)",
                 "5");
    CHECK(table.told_count > 0 && table.told_count < GROUPS);
    table_fini(&table);
    fixture_close(&fixture);
}

TEST(readahead, a_file_without_a_footer_that_it_knows_is_read_all_the_same)
{
    /* Goal: what cannot be told is no error; one group, and nothing to be ahead of. */
    struct fixture fixture = fixture_open(&(struct engine_options){.thread_count = 2});
    static struct table table;
    COLUMNS(&table, COLUMNS_ABC);
    (void)table_add(&fixture, &table, "SELECT 1::BIGINT AS a, 'x' AS b, 2::BIGINT AS c",
                    "FIELD_IDS {a: 1, b: 2, c: 3}");
    table.takes_advice = true;
    pthread_mutex_init(&table.advice_lock, NULL);
    table_expect(&fixture, &table, "SELECT b FROM %s", "x");
    table_fini(&table);
    fixture_close(&fixture);
}
