/* Where scans meet the rest: names that collide, constants of files, empty files, several scans of
 * one grant, plans that use a scan twice, many threads. */
#include "engine/duckdb/scan_fixture.h"

TEST(engine_scan, a_declared_column_wins_over_a_virtual_one)
{
    struct fixture fixture = fixture_open(NULL);
    struct table table = {0};
    table_add(&fixture, &table,
              "SELECT 'mine' AS a, 40 + i AS b, 'r' || i AS c, 5::INT AS d FROM range(2) t(i)",
              "FIELD_IDS {a: 1, b: 2, c: 3, d: 4}")
        ->first_row_id = 100;
    static const struct engine_scan_column columns[] = {
        COLUMN(1, "_file", "VARCHAR"), COLUMN(2, "_POS", "BIGINT"), COLUMN(3, "_row_id", "VARCHAR"),
        COLUMN(4, "__moat_file", "INTEGER")};
    COLUMNS(&table, columns);
    table_expect(&fixture, &table,
                 "SELECT concat_ws('|', _file, _pos, _row_id, __moat_file, _spec_id) FROM %s ORDER "
                 "BY _pos",
                 "mine|40|r0|5|0\nmine|41|r1|5|0");
    table_expect(&fixture, &table, "SELECT _file FROM %s WHERE _pos = 41", "mine");
    CHECK_STR("=(2 41)", buf_cstr(&table.predicates));
    table_expect(&fixture, &table,
                 "SELECT string_agg(column_name, ',') FROM (DESCRIBE SELECT * FROM %s)",
                 "_file,_POS,_row_id,__moat_file");
    table_fini(&table);
    fixture_close(&fixture);
}

TEST(engine_scan, constants_of_a_file_stand_for_what_it_does_not_store)
{
    struct fixture fixture = fixture_open(NULL);
    struct table table = {0};
    static const int32_t ids[] = {2, 3, 1};
    static const struct slice values[] = {SLICE("CAST('north' AS VARCHAR)"), SLICE("NULL"),
                                          SLICE("CAST(99 AS INTEGER)")};
    struct engine_scan_file *file =
        table_add(&fixture, &table, "SELECT i::INT AS i FROM range(3) t(i)", "FIELD_IDS {i: 1}");
    file->constant_ids = ids;
    file->constant_values = values;
    file->constant_count = ARRAY_COUNT(ids);
    table_add(&fixture, &table, "SELECT 9::INT AS i, 'south' AS region, DATE '2024-01-31' AS d",
              "FIELD_IDS {i: 1, region: 2, d: 3}");
    static const struct engine_scan_column columns[] = {
        COLUMN(1, "i", "INTEGER"), COLUMN(2, "region", "VARCHAR", VALUE("CAST('x' AS VARCHAR)")),
        COLUMN(3, "d", "DATE", VALUE("CAST('2000-01-01' AS DATE)"))};
    COLUMNS(&table, columns);
    table_expect(&fixture, &table, "SELECT concat(i, '|', region, '|', d) FROM %s ORDER BY i",
                 "0|north|\n1|north|\n2|north|\n9|south|2024-01-31");
    static const char *const cases[][2] = {
        {"region = 'north'", "3"},
        {"region IN ('south', 'x')", "1"},
        {"region = 'x'", "0"},
        {"region > 'north'", "1"},
        {"d IS NULL", "3"},
        {"d = '2000-01-01'", "0"},
        {"starts_with(region, 'n')", "3"},
        {"region = 'north' AND i = 1", "1"},
        {"region = 'north' OR i = 9", "4"},
        {"d IS DISTINCT FROM '2024-01-31'", "3"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf sql CLEANUP(buf_fini) = {0};
        buf_printf(&sql, "SELECT count(*)::VARCHAR FROM %%s WHERE %s", cases[i][0]);
        table_expect(&fixture, &table, buf_cstr(&sql), cases[i][1]);
    }
    table_expect(&fixture, &table,
                 "SELECT string_agg(region, ',' ORDER BY region) FROM "
                 "(SELECT DISTINCT region FROM %s)",
                 "north,south");
    table_fini(&table);
    fixture_close(&fixture);
}

/* Text with the addresses of the grant's scans 0 and 1 in place of "%0" and "%1". */
static char *two_scans_sql(const struct engine_grant *grant, const char *format)
{
    struct buf sql = {0};
    for (const char *at = format; *at != '\0'; at++) {
        if (*at == '%') {
            at++;
            buf_append_str(&sql, "moat_scan('");
            engine_grant_uri_scan(grant, *at == '0' ? 0 : 1, &sql);
            buf_append_str(&sql, "')");
        } else {
            buf_append(&sql, at, 1);
        }
    }
    char *text = buf_take(&sql);
    ASSERT(text != NULL);
    return text;
}

TEST(engine_scan, scans_of_one_grant_keep_their_files_apart)
{
    /* Goal: both number their files from 0, one plan reads both, one of them twice. */
    struct fixture fixture = fixture_open(NULL);
    struct table left = {.deleted_modulus = 2};
    struct table right = {.deleted_modulus = 3};
    table_add(&fixture, &left, "SELECT i::INT AS i FROM range(100) t(i)", "FIELD_IDS {i: 1}")
        ->has_deletes = true;
    table_add(&fixture, &right, "SELECT (i * 10)::INT AS k, 'v' || i AS v FROM range(5) t(i)",
              "FIELD_IDS {k: 7, v: 8}");
    table_add(&fixture, &right, "SELECT (i * 10 + 1)::INT AS k, 'w' || i AS v FROM range(4) t(i)",
              "FIELD_IDS {k: 7, v: 8}")
        ->has_deletes = true;
    static const struct engine_scan_column left_columns[] = {COLUMN(1, "i", "BIGINT")};
    static const struct engine_scan_column right_columns[] = {COLUMN(8, "v", "VARCHAR"),
                                                              COLUMN(7, "k", "INTEGER")};
    COLUMNS(&left, left_columns);
    COLUMNS(&right, right_columns);
    engine_grant_close(table_grant(&fixture, &left));
    engine_grant_close(table_grant(&fixture, &right));
    const struct engine_scan_spec *scans[] = {&left.spec, &right.spec};
    struct engine_grant_spec spec = {.scans = scans, .scan_count = 2};
    struct engine_grant *grant = NULL;
    struct errinfo info;
    CHECK_OK(engine_grant_open(fixture.engine, WHO, &spec, &grant, &info));
    static const char *const cases[][2] = {
        {"SELECT string_agg(v, ',' ORDER BY v) FROM %0 a JOIN %1 b ON a.i = b.k", "w1,w2"},
        {"SELECT count(*)::VARCHAR FROM %1 a, %1 b WHERE a.k < b.k", "21"},
        {"WITH c AS MATERIALIZED (FROM %1) SELECT count(*)::VARCHAR FROM c a JOIN c b USING (k)",
         "7"},
        {"SELECT count(*)::VARCHAR FROM (SELECT i FROM %0 UNION ALL SELECT k FROM %1)", "57"},
        {"SELECT sum(i)::VARCHAR FROM %0 WHERE i IN (SELECT k FROM %1)", "32"},
        {"SELECT v FROM %1 WHERE k = (SELECT max(i) FROM %0 WHERE i < 30)", ""},
        {"SELECT string_agg(i::VARCHAR, ',') FROM (SELECT i FROM %0 ORDER BY i DESC LIMIT 2)",
         "99,97"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char *sql = two_scans_sql(grant, cases[i][0]);
        fixture_expect(&fixture, sql, cases[i][1]);
        mem_free(sql);
    }
    engine_grant_close(grant);
    table_fini(&left);
    table_fini(&right);
    fixture_close(&fixture);
}

TEST(engine_scan, empty_files_and_files_of_dead_rows_give_nothing)
{
    struct fixture fixture = fixture_open(NULL);
    struct table table = {.deleted_modulus = 1};
    table_add(&fixture, &table, "SELECT 1::INT AS i WHERE false", "FIELD_IDS {i: 1}");
    table_add(&fixture, &table, "SELECT i::INT AS i FROM range(5000) t(i)", "FIELD_IDS {i: 1}")
        ->has_deletes = true;
    table_add(&fixture, &table, "SELECT 5::INT AS i", "FIELD_IDS {i: 1}");
    static const struct engine_scan_column columns[] = {COLUMN(1, "i", "INTEGER")};
    COLUMNS(&table, columns);
    table_expect(&fixture, &table, "SELECT count(*)::VARCHAR || '|' || sum(i) FROM %s", "1|5");
    table_expect(&fixture, &table, "SELECT i::VARCHAR FROM %s WHERE i < 6", "5");
    table_expect(&fixture, &table, "SELECT i::VARCHAR FROM %s WHERE _pos = 0", "5");
    table_expect(&fixture, &table, "SELECT i::VARCHAR FROM %s ORDER BY i LIMIT 3", "5");
    table_fini(&table);
    fixture_close(&fixture);
}

TEST(engine_scan, parameters_filter_as_constants_do)
{
    struct fixture fixture = fixture_open(NULL);
    struct table table = {0};
    table_add(&fixture, &table, "SELECT i::INT AS i FROM range(50) t(i)", "FIELD_IDS {i: 1}");
    static const struct engine_scan_column columns[] = {COLUMN(1, "i", "BIGINT")};
    COLUMNS(&table, columns);
    struct engine_grant *grant = table_grant(&fixture, &table);
    char *sql = scan_sql(grant, "SELECT count(*) FROM %s WHERE i > $1 AND i < $2");
    struct engine_parameter parameters[] = {{.type = PARAMETER_I64, .integer = 10},
                                            {.type = PARAMETER_TEXT, .text = SLICE("4294967296")}};
    struct engine_query *query = NULL;
    struct errinfo info;
    CHECK_OK(engine_query_open(fixture.session, WHO, slice_of(sql), parameters, 2, &query, &info));
    struct ArrowArray batch;
    CHECK_OK(engine_query_next(query, &batch, &info));
    CHECK(batch.release != NULL && batch.length == 1);
    CHECK(((const int64_t *)batch.children[0]->buffers[1])[0] == 39);
    batch.release(&batch);
    engine_query_close(query);
    mem_free(sql);
    engine_grant_close(grant);
    table_fini(&table);
    fixture_close(&fixture);
}

TEST(engine_scan, many_threads_over_many_row_groups_agree)
{
    struct engine_options options = {.thread_count = 8};
    struct fixture fixture = fixture_open(&options);
    struct table table = {.deleted_modulus = 13};
    for (int i = 0; i < 6; i++) {
        struct buf sql CLEANUP(buf_fini) = {0};
        buf_printf(&sql,
                   "SELECT (i + %d)::INT AS i, {x: i::INT, y: 'y' || (i %% 5)} AS s, [i::INT] AS l "
                   "FROM range(20000) t(i)",
                   i * 20000);
        table_add(&fixture, &table, buf_cstr(&sql),
                  "ROW_GROUP_SIZE 2048, FIELD_IDS {i: 1, s: {__duckdb_field_id: 2, x: 3, y: 4}, "
                  "l: {__duckdb_field_id: 5, element: 6}}")
            ->has_deletes = i % 2 == 0;
    }
    static const struct engine_scan_column fields[] = {COLUMN(4, "y", "VARCHAR"),
                                                       COLUMN(3, "x", "BIGINT")};
    static const struct engine_scan_column element[] = {COLUMN(6, "element", "BIGINT")};
    static const struct engine_scan_column columns[] = {
        COLUMN(5, "l", "BIGINT[]", CHILDREN(element)),
        COLUMN(2, "s", "STRUCT(y VARCHAR, x BIGINT)", CHILDREN(fields)), COLUMN(1, "i", "BIGINT")};
    COLUMNS(&table, columns);
    for (int round = 0; round < 10; round++) {
        /* 3 x 20000 rows, and 3 x (20000 - 1539) whose position 13 does not divide */
        table_expect(&fixture, &table,
                     "SELECT concat_ws('|', count(*), count(DISTINCT i), sum(s.x - l[1]), "
                     "count(*) FILTER (_pos % 13 = 0), count(*) FILTER (i % 20000 <> _pos), "
                     "count(*) FILTER (s.y <> 'y' || (s.x % 5))) FROM %s",
                     "115383|115383|0|4617|0|0");
    }
    table_fini(&table);
    fixture_close(&fixture);
}
