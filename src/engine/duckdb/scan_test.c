/* Scans over Parquet that the engine writes itself, with field ids of our choosing. What is
 * expected is written down by hand from the Iceberg spec, never taken from the engine. */
#include "engine/duckdb/scan_fixture.h"

#include <pthread.h>

/* ---- evolution ---- */

TEST(engine_scan, columns_are_matched_by_id_and_by_nothing_else)
{
    /* Goal: rename, reorder, add with a value, drop and add again under the old name, each in files
     * of their time. */
    struct fixture fixture = fixture_open(NULL);
    struct table table = {0};
    table_add(&fixture, &table, "SELECT 1::INT AS a, 'one' AS b, 10::INT AS c",
              "FIELD_IDS {a: 1, b: 2, c: 3}");
    table_add(&fixture, &table, "SELECT 'two' AS a, 2::INT AS b", "FIELD_IDS {a: 2, b: 1}");
    table_add(&fixture, &table, "SELECT 3::INT AS x, 'three' AS a, 30.5::DOUBLE AS c",
              "FIELD_IDS {x: 1, a: 2, c: 4}");
    static const struct engine_scan_column columns[] = {
        COLUMN(4, "c", "DOUBLE"),
        COLUMN(2, "a", "VARCHAR"),
        COLUMN(5, "added", "DECIMAL(9,2)", VALUE("1.50")),
        COLUMN(1, "id", "INTEGER"),
    };
    COLUMNS(&table, columns);
    table_expect(
        &fixture, &table,
        "SELECT concat_ws('|', id, a, coalesce(c::VARCHAR, '-'), added) FROM %s ORDER BY id",
        "1|one|-|1.50\n2|two|-|1.50\n3|three|30.5|1.50");
    table_expect(&fixture, &table,
                 "SELECT string_agg(id::VARCHAR, ',' ORDER BY id) FROM %s WHERE c IS NULL", "1,2");
    table_expect(&fixture, &table, "SELECT count(*)::VARCHAR FROM %s WHERE added = 1.5", "3");
    table_expect(&fixture, &table, "SELECT count(*)::VARCHAR FROM %s WHERE added > 1.5", "0");
    table_expect(&fixture, &table, "SELECT count(*)::VARCHAR FROM %s WHERE c = 30.5 OR a = 'one'",
                 "2");
    table_expect(&fixture, &table, "SELECT count(*)::VARCHAR FROM %s", "3");
    table_fini(&table);
    fixture_close(&fixture);
}

TEST(engine_scan, nested_fields_are_matched_by_id_at_every_depth)
{
    struct fixture fixture = fixture_open(NULL);
    struct table table = {0};
    table_add(&fixture, &table,
              "SELECT * FROM (VALUES "
              "(1::INT, {a: 11::INT, b: 'x'}, [{p: 1::INT, q: 'e'}, NULL], MAP {{k: 1::INT}: {v: "
              "2::INT}}),"
              "(2, NULL, NULL, NULL), (3, {a: NULL, b: NULL}, [], MAP {})) t(id, s, l, m)",
              "FIELD_IDS {id: 1, s: {__duckdb_field_id: 2, a: 3, b: 4}, "
              "l: {__duckdb_field_id: 5, element: {__duckdb_field_id: 6, p: 7, q: 8}}, "
              "m: {__duckdb_field_id: 9, key: {__duckdb_field_id: 10, k: 11}, "
              "value: {__duckdb_field_id: 12, v: 13}}}");
    static const struct engine_scan_column s[] = {COLUMN(4, "a", "VARCHAR"),
                                                  COLUMN(14, "n", "INTEGER", VALUE("7")),
                                                  COLUMN(3, "c", "BIGINT")};
    static const struct engine_scan_column e[] = {COLUMN(8, "p", "VARCHAR"),
                                                  COLUMN(15, "n", "VARCHAR", VALUE("'d'")),
                                                  COLUMN(7, "q2", "BIGINT")};
    static const struct engine_scan_column element[] = {
        COLUMN(6, "element", "STRUCT(p VARCHAR, n VARCHAR, q2 BIGINT)", CHILDREN(e))};
    static const struct engine_scan_column key[] = {COLUMN(11, "kk", "BIGINT")};
    static const struct engine_scan_column value[] = {COLUMN(13, "vv", "INTEGER"),
                                                      COLUMN(16, "w", "DATE")};
    static const struct engine_scan_column pair[] = {
        COLUMN(10, "key", "STRUCT(kk BIGINT)", CHILDREN(key)),
        COLUMN(12, "value", "STRUCT(vv INTEGER, w DATE)", CHILDREN(value))};
    static const struct engine_scan_column columns[] = {
        COLUMN(1, "id", "INTEGER"),
        COLUMN(2, "s", "STRUCT(a VARCHAR, n INTEGER, c BIGINT)", CHILDREN(s)),
        COLUMN(5, "l", "STRUCT(p VARCHAR, n VARCHAR, q2 BIGINT)[]", CHILDREN(element)),
        COLUMN(9, "m", "MAP(STRUCT(kk BIGINT), STRUCT(vv INTEGER, w DATE))", CHILDREN(pair)),
    };
    COLUMNS(&table, columns);
    table_expect(&fixture, &table, "SELECT coalesce(s::VARCHAR, '-') FROM %s ORDER BY id",
                 "{'a': x, 'n': 7, 'c': 11}\n-\n{'a': NULL, 'n': 7, 'c': NULL}");
    table_expect(&fixture, &table, "SELECT coalesce(l::VARCHAR, '-') FROM %s ORDER BY id",
                 "[{'p': e, 'n': d, 'q2': 1}, NULL]\n-\n[]");
    table_expect(&fixture, &table, "SELECT coalesce(m::VARCHAR, '-') FROM %s ORDER BY id",
                 "{{'kk': 1}={'vv': 2, 'w': NULL}}\n-\n{}");
    table_expect(&fixture, &table, "SELECT coalesce(s.n::VARCHAR, '-') FROM %s ORDER BY id",
                 "7\n-\n7");
    table_expect(&fixture, &table,
                 "SELECT coalesce(s.c::VARCHAR, '-') || coalesce(s.a, '+') FROM %s ORDER BY id",
                 "11x\n-+\n-+");
    table_expect(&fixture, &table, "SELECT id::VARCHAR FROM %s WHERE s.n = 7 ORDER BY id", "1\n3");
    table_expect(&fixture, &table, "SELECT id::VARCHAR FROM %s WHERE s.n IS NULL", "2");
    table_expect(&fixture, &table, "SELECT id::VARCHAR FROM %s WHERE s.c = 11", "1");
    table_expect(&fixture, &table, "SELECT id::VARCHAR FROM %s WHERE s IS NULL", "2");
    table_expect(&fixture, &table, "SELECT id::VARCHAR FROM %s WHERE l[1].n = 'd'", "1");
    table_fini(&table);
    fixture_close(&fixture);
}

TEST(engine_scan, widened_columns_filter_as_their_new_type)
{
    /* Goal: a condition that the old type cannot hold is not rounded into it. Method: constants on
     * both sides of what the file holds, against arithmetic that is done by hand. */
    struct fixture fixture = fixture_open(NULL);
    struct table table = {0};
    table_add(&fixture, &table,
              "SELECT i::INT AS i, (i / 10)::FLOAT AS f, (i / 100)::DECIMAL(5,2) AS d, (i / "
              "100)::DECIMAL(5,2) AS e, "
              "DATE '2024-01-01' + i::INT AS t, [i::INT] AS l, {i: i::INT} AS s FROM range(5) r(i)",
              "FIELD_IDS {i: 1, f: 2, d: 3, e: 9, t: 4, l: {__duckdb_field_id: 5, element: 6}, "
              "s: {__duckdb_field_id: 7, i: 8}}");
    static const struct engine_scan_column element[] = {COLUMN(6, "element", "BIGINT")};
    static const struct engine_scan_column field[] = {COLUMN(8, "i", "BIGINT")};
    static const struct engine_scan_column columns[] = {
        COLUMN(1, "i", "BIGINT"),
        COLUMN(2, "f", "DOUBLE"),
        COLUMN(3, "d", "DECIMAL(18,2)"),
        COLUMN(9, "e", "DECIMAL(9,2)"),
        COLUMN(4, "t", "TIMESTAMP"),
        COLUMN(5, "l", "BIGINT[]", CHILDREN(element)),
        COLUMN(7, "s", "STRUCT(i BIGINT)", CHILDREN(field)),
    };
    COLUMNS(&table, columns);
    static const char *const cases[][2] = {
        {"i = 3", "1"},
        {"i < 4294967296", "5"},
        {"i = 4294967297", "0"},
        {"i IN (1, 4294967297)", "1"},
        {"i >= -9000000000", "5"},
        {"f > 0.1", "4"}, /* 0.1 as float is above 0.1 as double */
        {"f = 0.1", "0"},
        {"f = 0.1::FLOAT::DOUBLE", "1"},
        {"f = 'nan'", "0"},
        {"f < 'inf'", "5"},
        {"d = 0.03", "1"},
        {"d < 100000000.00", "5"},
        {"e = 0.03", "1"},
        {"e <= 99.99", "5"},
        {"e > 0.015", "3"},
        {"t = '2024-01-02'", "1"},
        {"t < '2024-01-02 00:00:01'", "2"},
        {"t >= '2024-01-02 00:00:00.000001'", "3"},
        {"l[1] = 4", "1"},
        {"s.i = 4", "1"},
        {"s.i > 4294967296", "0"},
        {"i IS NULL", "0"},
        {"i IS NOT NULL", "5"},
        {"i % 2 = 0 AND f < 0.3", "2"},
        {"NOT (i = 3 OR f > 0.35)", "3"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct buf sql CLEANUP(buf_fini) = {0};
        buf_printf(&sql, "SELECT count(*)::VARCHAR FROM %%s WHERE %s", cases[i][0]);
        table_expect(&fixture, &table, buf_cstr(&sql), cases[i][1]);
    }
    table_expect(&fixture, &table, "SELECT concat_ws('|', i, f, d, t, l, s) FROM %s WHERE i = 1",
                 "1|0.10000000149011612|0.01|2024-01-02 00:00:00|[1]|{'i': 1}");
    table_fini(&table);
    fixture_close(&fixture);
}

TEST(engine_scan, a_type_that_cannot_be_read_as_the_columns_is_refused_by_name)
{
    struct fixture fixture = fixture_open(NULL);
    static const char *const selects[] = {"SELECT 1::BIGINT AS a", "SELECT '1' AS a",
                                          "SELECT 1.5::DOUBLE AS a", "SELECT [1::INT] AS a",
                                          "SELECT {x: 1::INT} AS a"};
    static const struct engine_scan_column columns[] = {COLUMN(1, "a", "INTEGER")};
    for (size_t i = 0; i < ARRAY_COUNT(selects); i++) {
        struct table table = {0};
        table_add(&fixture, &table, selects[i], "FIELD_IDS {a: 1}");
        COLUMNS(&table, columns);
        table_refuse(&fixture, &table, "SELECT a::VARCHAR FROM %s", ERR_CORRUPT, "column \"a\"");
        table_expect(&fixture, &table, "SELECT count(*)::VARCHAR FROM %s", "1");
        table_fini(&table);
    }
    fixture_close(&fixture);
}

TEST(engine_scan, files_without_ids_go_by_the_name_mapping_or_not_at_all)
{
    struct fixture fixture = fixture_open(NULL);
    struct table table = {0};
    table_add(&fixture, &table,
              "SELECT 1::INT AS old, {x: 2::INT, y: 3::INT} AS s, [{e: 4::INT}] AS l, "
              "MAP {'k': 5::INT} AS m, 9::INT AS unmapped",
              "ROW_GROUP_SIZE 1000");
    static const struct engine_scan_column s[] = {COLUMN(3, "x", "INTEGER"),
                                                  COLUMN(4, "z", "INTEGER", VALUE("8"))};
    static const struct engine_scan_column e[] = {COLUMN(7, "ee", "INTEGER")};
    static const struct engine_scan_column element[] = {
        COLUMN(6, "element", "STRUCT(ee INTEGER)", CHILDREN(e))};
    static const struct engine_scan_column pair[] = {COLUMN(9, "key", "VARCHAR"),
                                                     COLUMN(10, "value", "INTEGER")};
    static const struct engine_scan_column columns[] = {
        COLUMN(1, "new", "INTEGER"),
        COLUMN(2, "s", "STRUCT(x INTEGER, z INTEGER)", CHILDREN(s)),
        COLUMN(5, "l", "STRUCT(ee INTEGER)[]", CHILDREN(element)),
        COLUMN(8, "m", "MAP(VARCHAR, INTEGER)", CHILDREN(pair)),
        COLUMN(11, "unmapped", "INTEGER", VALUE("77")),
    };
    COLUMNS(&table, columns);
    table_refuse(&fixture, &table, "SELECT new::VARCHAR FROM %s", ERR_UNSUPPORTED,
                 "file 0 of the table has no field ids");

    static const struct engine_scan_name in_s[] = {{.name = SLICE("x"), .field_id = 3},
                                                   {.name = SLICE("y"), .field_id = -1}};
    static const struct engine_scan_name in_e[] = {{.name = SLICE("e"), .field_id = 7}};
    static const struct engine_scan_name in_l[] = {
        {.name = SLICE("element"), .field_id = 6, CHILDREN(in_e)}};
    static const struct engine_scan_name in_m[] = {{.name = SLICE("key"), .field_id = 9},
                                                   {.name = SLICE("value"), .field_id = 10}};
    static const struct engine_scan_name names[] = {
        {.name = SLICE("new"), .field_id = 1},
        {.name = SLICE("old"), .field_id = 1},
        {.name = SLICE("s"), .field_id = 2, CHILDREN(in_s)},
        {.name = SLICE("l"), .field_id = 5, CHILDREN(in_l)},
        {.name = SLICE("m"), .field_id = 8, CHILDREN(in_m)},
    };
    table.spec.names = names;
    table.spec.name_count = ARRAY_COUNT(names);
    table_expect(&fixture, &table, "SELECT concat_ws('|', new, s, l, m, unmapped) FROM %s",
                 "1|{'x': 2, 'z': 8}|[{'ee': 4}]|{k=5}|77");
    table_fini(&table);
    fixture_close(&fixture);
}

TEST(engine_scan, names_and_ids_that_are_not_one_to_one_are_refused)
{
    struct fixture fixture = fixture_open(NULL);
    struct table twice = {0};
    table_add(&fixture, &twice, "SELECT 1::INT AS a, 2::INT AS b", "ROW_GROUP_SIZE 1000");
    static const struct engine_scan_column columns[] = {COLUMN(1, "a", "INTEGER")};
    static const struct engine_scan_name both[] = {{.name = SLICE("a"), .field_id = 1},
                                                   {.name = SLICE("b"), .field_id = 1}};
    COLUMNS(&twice, columns);
    twice.spec.names = both;
    twice.spec.name_count = 2;
    table_refuse(&fixture, &twice, "SELECT a::VARCHAR FROM %s", ERR_CORRUPT, "one field id");
    table_fini(&twice);

    struct table folded = {0};
    table_add(&fixture, &folded, "SELECT 1::INT AS \"A\", 2::INT AS \"A_1\"",
              "ROW_GROUP_SIZE 1000");
    static const struct engine_scan_name names[] = {{.name = SLICE("a"), .field_id = 1}};
    COLUMNS(&folded, columns);
    folded.spec.names = names;
    folded.spec.name_count = 1;
    table_refuse(&fixture, &folded, "SELECT a::VARCHAR FROM %s", ERR_UNSUPPORTED, "case only");
    table_fini(&folded);
    fixture_close(&fixture);
}

/* ---- virtual columns ---- */

TEST(engine_scan, a_field_that_is_missing_beside_one_of_no_table_is_damage)
{
    /* Goal: a field id that was changed in a footer is noticed, and files that are whole are not
     * refused: a column that came later, one that was dropped, ids that the specification keeps. */
    struct fixture fixture = fixture_open(NULL);
    static const struct engine_scan_column inner[] = {COLUMN(4, "x", "INTEGER"),
                                                      COLUMN(5, "y", "INTEGER")};
    static const struct engine_scan_column element[] = {
        COLUMN(7, "element", "STRUCT(x INTEGER, y INTEGER)", CHILDREN(inner))};
    static const struct engine_scan_column columns[] = {
        COLUMN(1, "id", "INTEGER"),
        COLUMN(2, "later", "VARCHAR", VALUE("'d'")),
        COLUMN(6, "l", "STRUCT(x INTEGER, y INTEGER)[]", CHILDREN(element)),
    };
    static const struct {
        const char *ids;
        const char *refused; /* what the message speaks of; NULL = read */
    } cases[] = {
        {"{id: 1, was: 3, l: {__duckdb_field_id: 6, element: {__duckdb_field_id: 7, x: 4, y: 5}}}",
         NULL},
        {"{id: 1, was: 2147483540, l: {__duckdb_field_id: 6, element: {__duckdb_field_id: 7, x: "
         "4}}}",
         "\"y\""},
        {"{id: 1, was: 12, l: {__duckdb_field_id: 6, element: {__duckdb_field_id: 7, x: 4, y: 5}}}",
         "\"later\""},
        {"{id: 1, l: {__duckdb_field_id: 6, element: {__duckdb_field_id: 7, x: 4, y: 5}}}",
         "\"later\""},
        {"{id: 1, was: 3, l: {__duckdb_field_id: 6, element: {__duckdb_field_id: 7, x: 4, y: 9}}}",
         "\"y\""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct table table = {.spec.field_id_max = 8};
        struct buf options CLEANUP(buf_fini) = {0};
        COLUMNS(&table, columns);
        buf_printf(&options, "FIELD_IDS %s", cases[i].ids);
        table_add(&fixture, &table,
                  "SELECT 1::INT AS id, 2::INT AS was, [{x: 3::INT, y: 4::INT}] AS l",
                  buf_cstr(&options));
        static const char *const all = "SELECT concat_ws(' ', id, later, l) FROM %s";
        if (cases[i].refused == NULL) {
            table_expect(&fixture, &table, all, "1 d [{'x': 3, 'y': 4}]");
        } else {
            table_refuse(&fixture, &table, all, ERR_CORRUPT, cases[i].refused);
        }
        table_expect(&fixture, &table, "SELECT id::VARCHAR FROM %s", "1");
        table_fini(&table);
    }
    fixture_close(&fixture);
}

TEST(engine_scan, virtual_columns_are_told_from_columns_of_those_names)
{
    struct fixture fixture = fixture_open(NULL);
    struct table table = {0};
    struct engine_scan_file *file =
        table_add(&fixture, &table,
                  "SELECT 'mine' || i AS filename, (100 + i)::BIGINT AS file_row_number, i::INT AS "
                  "file_index "
                  "FROM range(3) r(i)",
                  "FIELD_IDS {filename: 1, file_row_number: 2, file_index: 3}");
    file->spec_id = 4;
    file->sequence_number = 17;
    file->group = 2;
    file->path = SLICE("s3://lake/data/a=1/00.parquet");
    file->partition = SLICE("{'a': 1, 'd': DATE '2024-01-31'}");
    table.spec.partition_type = SLICE("STRUCT(a INTEGER, d DATE)");
    static const struct engine_scan_column columns[] = {COLUMN(1, "filename", "VARCHAR"),
                                                        COLUMN(2, "file_row_number", "BIGINT"),
                                                        COLUMN(3, "file_index", "INTEGER")};
    COLUMNS(&table, columns);
    table_expect(
        &fixture, &table,
        "SELECT concat_ws('|', _file, _pos, _spec_id, _partition, __moat_sequence, __moat_group, "
        "filename, file_row_number, file_index) FROM %s WHERE _pos > 0 AND file_index < 2",
        "s3://lake/data/a=1/00.parquet|1|4|{'a': 1, 'd': 2024-01-31}|17|2|mine1|101|1");
    table_expect(&fixture, &table, "SELECT count(*)::VARCHAR FROM (DESCRIBE SELECT * FROM %s)",
                 "3");
    table_expect(&fixture, &table,
                 "SELECT count(*)::VARCHAR FROM %s WHERE _partition.a = 1 AND __moat_group = 2",
                 "3");
    table_expect(&fixture, &table, "SELECT count(*)::VARCHAR FROM %s WHERE __moat_group = 3", "0");
    table_expect(&fixture, &table,
                 "SELECT count(*)::VARCHAR FROM %s WHERE _file LIKE '%%/00.parquet'", "3");
    table_fini(&table);
    fixture_close(&fixture);
}

TEST(engine_scan, row_lineage_is_what_is_stored_or_inherited)
{
    struct fixture fixture = fixture_open(NULL);
    struct table table = {0};
    static const char select[] =
        "SELECT i::INT AS i, CASE WHEN i = 1 THEN 900 + i END::BIGINT AS r, "
        "CASE WHEN i = 2 THEN 3 END::BIGINT AS u FROM range(3) t(i)";
    struct engine_scan_file *stored =
        table_add(&fixture, &table, select, "FIELD_IDS {i: 1, r: 2147483540, u: 2147483539}");
    stored->first_row_id = 50;
    stored->sequence_number = 8;
    struct engine_scan_file *plain = table_add(
        &fixture, &table, "SELECT (10 + i)::INT AS i FROM range(2) t(i)", "FIELD_IDS {i: 1}");
    plain->first_row_id = 70;
    plain->sequence_number = 9;
    struct engine_scan_file *old =
        table_add(&fixture, &table, "SELECT 20::INT AS i", "FIELD_IDS {i: 1}");
    old->sequence_number = 2;
    static const struct engine_scan_column columns[] = {COLUMN(1, "i", "INTEGER")};
    COLUMNS(&table, columns);
    table_expect(&fixture, &table,
                 "SELECT concat(i, '|', _row_id, '|', _last_updated_sequence_number, '|', _pos) "
                 "FROM %s ORDER BY i",
                 "0|50|8|0\n1|901|8|1\n2|52|3|2\n10|70|9|0\n11|71|9|1\n20|||0");
    table_expect(
        &fixture, &table,
        "SELECT string_agg(i::VARCHAR, ',' ORDER BY i) FROM %s WHERE _row_id IN (901, 52, 71)",
        "1,2,11");
    table_expect(&fixture, &table,
                 "SELECT string_agg(i::VARCHAR, ',' ORDER BY i) FROM %s "
                 "WHERE _last_updated_sequence_number < 9 AND _row_id > 50",
                 "1,2");
    table_expect(&fixture, &table, "SELECT i::VARCHAR FROM %s WHERE _row_id IS NULL", "20");
    table_fini(&table);
    fixture_close(&fixture);
}

/* ---- deletes ---- */

TEST(engine_scan, deleted_rows_are_gone_from_whatever_is_asked)
{
    struct fixture fixture = fixture_open(NULL);
    struct table table = {.deleted_modulus = 7};
    struct engine_scan_file *file = table_add(
        &fixture, &table,
        "SELECT i::INT AS i, md5(i::VARCHAR) AS h, {x: i::INT} AS s FROM range(20000) t(i)",
        "FIELD_IDS {i: 1, h: 2, s: {__duckdb_field_id: 3, x: 4}}, ROW_GROUP_SIZE 5000");
    file->has_deletes = true;
    file->record_count = 20000;
    file =
        table_add(&fixture, &table, "SELECT (100000 + i)::INT AS i, 'h' AS h FROM range(7000) t(i)",
                  "FIELD_IDS {i: 1, h: 2}");
    file->record_count = 7000;
    static const struct engine_scan_column field[] = {COLUMN(4, "x", "BIGINT")};
    static const struct engine_scan_column columns[] = {
        COLUMN(1, "i", "INTEGER"), COLUMN(2, "h", "VARCHAR"),
        COLUMN(3, "s", "STRUCT(x BIGINT)", CHILDREN(field))};
    COLUMNS(&table, columns);
    table_expect(&fixture, &table, "SELECT count(*)::VARCHAR FROM %s", "24142");
    table_expect(&fixture, &table,
                 "SELECT count(*)::VARCHAR FROM %s WHERE i % 7 = 0 AND i < 100000", "0");
    table_expect(&fixture, &table, "SELECT count(h)::VARCHAR FROM %s WHERE i BETWEEN 700 AND 706",
                 "6");
    table_expect(&fixture, &table, "SELECT count(*)::VARCHAR FROM %s WHERE s.x BETWEEN 700 AND 706",
                 "6");
    table_expect(&fixture, &table,
                 "SELECT count(*)::VARCHAR FROM %s WHERE _pos % 7 = 0 AND __moat_file = 0", "0");
    table_expect(&fixture, &table,
                 "SELECT string_agg(i::VARCHAR || left(h, 2), ',') FROM "
                 "(SELECT i, h FROM %s WHERE i >= 14 ORDER BY i LIMIT 3)",
                 "159b,16c7,1770");
    CHECK(table.dead_calls > 0);
    table.dead_calls = 0;
    table_expect(&fixture, &table, "SELECT count(*)::VARCHAR FROM %s WHERE i >= 100000", "7000");
    CHECK(table.dead_calls == 0); /* row groups that are pruned, and files without, ask nothing */
    table.fail_dead = ERR_IO;
    table_refuse(&fixture, &table, "SELECT sum(i)::VARCHAR FROM %s", ERR_IO,
                 "the deletes are gone");
    table_fini(&table);
    fixture_close(&fixture);
}

TEST(engine_scan, a_file_has_as_many_rows_as_was_said)
{
    struct fixture fixture = fixture_open(NULL);
    struct table table = {0};
    struct engine_scan_file *file = table_add(
        &fixture, &table, "SELECT i::INT AS i, -i::INT AS file_row_number FROM range(9000) t(i)",
        "FIELD_IDS {i: 1, file_row_number: 2}, ROW_GROUP_SIZE 4000");
    static const struct engine_scan_column columns[] = {COLUMN(1, "i", "INTEGER")};
    COLUMNS(&table, columns);
    file->record_count = 9000;
    table_expect(&fixture, &table, "SELECT sum(i)::VARCHAR FROM %s", "40495500");
    table_expect(&fixture, &table, "SELECT sum(_pos)::VARCHAR FROM %s WHERE i > 8997", "17997");
    static const int64_t wrong[] = {0, 1, 8999, 9001, INT64_MAX};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        file->record_count = wrong[i];
        table_refuse(&fixture, &table, "SELECT sum(i)::VARCHAR FROM %s", ERR_CORRUPT,
                     "file 0 of the table has another number of rows");
    }
    file->record_count = 9000;
    file = table_add(&fixture, &table, "SELECT i::INT AS i FROM range(0) t(i)", "FIELD_IDS {i: 1}");
    file->record_count = 0;
    table_expect(&fixture, &table, "SELECT sum(i)::VARCHAR FROM %s", "40495500");
    file->record_count = 1;
    table_refuse(&fixture, &table, "SELECT sum(i)::VARCHAR FROM %s", ERR_CORRUPT,
                 "file 1 of the table has another number of rows");
    table_fini(&table);
    fixture_close(&fixture);
}

TEST(engine_scan, positions_are_no_stray_column_where_another_is_missing)
{
    struct fixture fixture = fixture_open(NULL);
    struct table table = {0};
    (void)table_add(&fixture, &table, "SELECT i::INT AS i FROM range(3) t(i)", "FIELD_IDS {i: 1}");
    static const struct engine_scan_column columns[] = {COLUMN(1, "i", "INTEGER"),
                                                        COLUMN(2, "added", "INTEGER")};
    COLUMNS(&table, columns);
    table.spec.field_id_max = 2;
    table_expect(&fixture, &table,
                 "SELECT string_agg(concat(_pos, i, added), ',') FROM "
                 "(SELECT _pos, added, i FROM %s WHERE _pos >= 1)",
                 "11,22");
    table_fini(&table);
    fixture_close(&fixture);
}

TEST(engine_scan, counting_opens_no_file_where_the_counts_are_exact)
{
    struct fixture fixture = fixture_open(NULL);
    struct table table = {.deleted_modulus = 2};
    struct engine_scan_file *a =
        table_add(&fixture, &table, "SELECT i::INT AS i FROM range(10) t(i)", "FIELD_IDS {i: 1}");
    struct engine_scan_file *b =
        table_add(&fixture, &table, "SELECT i::INT AS i FROM range(5) t(i)", "FIELD_IDS {i: 1}");
    a->record_count = 10;
    b->record_count = 5;
    static const struct engine_scan_column columns[] = {COLUMN(1, "i", "INTEGER")};
    COLUMNS(&table, columns);
    table.store.reads = 0;
    table_expect(&fixture, &table, "SELECT count(*)::VARCHAR FROM %s", "15");
    CHECK(table.store.reads == 0);
    table_expect(&fixture, &table, "SELECT count(*)::VARCHAR FROM %s WHERE i < 5", "10");
    table_expect(&fixture, &table, "SELECT min(i)::VARCHAR || max(i) FROM %s", "09");
    CHECK(table.store.reads > 0);
    b->has_deletes = true;
    table_expect(&fixture, &table, "SELECT count(*)::VARCHAR FROM %s", "12");
    b->has_deletes = false;
    b->record_count = -1;
    table_expect(&fixture, &table, "SELECT count(*)::VARCHAR FROM %s", "15");
    table.store.object_count = 0;
    table_expect(&fixture, &table, "SELECT count(*)::VARCHAR || coalesce(max(i), -1) FROM %s",
                 "0-1");
    table_expect(&fixture, &table, "SELECT 'row' FROM %s", "");
    table.store.object_count = 2;
    table_fini(&table);
    fixture_close(&fixture);
}

/* ---- which files ---- */

/* What is written, and what files() is asked with. */
static const char *const conditions[][2] = {
    {"i = 5", "=(1 5)"},
    {"5 < i", ">(1 5)"},
    {"i IN (3, 1, NULL)", "in(1 3 1)"},
    {"i BETWEEN 2 AND 9", ">=(1 2) <=(1 9)"},
    {"i = 1 OR i > 7", "or(=(1 1) >(1 7))"},
    {"i = 1 OR hash(i) = 7", ""},
    {"i = 1 AND hash(i) = 7", "=(1 1)"},
    {"i IS NULL", "null(1)"},
    {"v IS NOT NULL", "notnull(4)"},
    {"i <> 4", "<>(1 4)"},
    {"d = 0.0", "in(2 -0 0)"},
    {"d >= 0.0", ">=(2 -0)"},
    {"d <= -0.0", "<=(2 0)"},
    {"d > 0.1", ">(2 0.10000000000000001)"},
    {"d = 'nan'", "=(2 nan)"},
    {"f = 1.5", "=(9 1.5)"},
    {"t >= TIMESTAMPTZ '2024-01-31 05:00:00.000001+02'", ">=(3 2024-01-31 03:00:00.000001)"},
    {"v LIKE 'ab%'", "prefix(4 ab) >=(4 ab) <(4 ac)"},
    {"starts_with(v, 'a b')", "prefix(4 a b)"},
    {"v = 'it''s'", "=(4 it's)"},
    {"n < 12345678901234567.891", "<(5 12345678901234567.891)"},
    {"b = '\\x01z'::BLOB", "=(6 \001z)"},
    {"u = '00000000-0000-0000-0000-00000000000a'", "=(7 00000000-0000-0000-0000-00000000000a)"},
    {"day > '2024-01-31'", ">(8 2024-01-31)"},
    {"day > '12024-01-31'", ""},
    {"ns = '2024-01-31 01:02:03.000000004'::TIMESTAMP_NS", "=(13 2024-01-31 01:02:03.000000004)"},
    {"tm = '01:02:03.5'", "=(14 01:02:03.5)"},
    {"s.x = 3", "=(11 3)"},
    {"s.y = 'q' AND i = 1", "=(12 q) =(1 1)"},
    {"length(v) = 3", ""},
    {"_pos = 3", ""},
    {"i + 1 = 3", "=(1 2)"},
    {"CAST(i AS BIGINT) = 3", "=(1 3)"},
};

TEST(engine_scan, conditions_reach_the_program_exactly)
{
    struct fixture fixture = fixture_open(NULL);
    struct table table = {0};
    table_add(&fixture, &table, "SELECT 1::INT AS i", "FIELD_IDS {i: 1}");
    static const struct engine_scan_column field[] = {COLUMN(11, "x", "INTEGER"),
                                                      COLUMN(12, "y", "VARCHAR")};
    static const struct engine_scan_column columns[] = {
        COLUMN(1, "i", "INTEGER"),
        COLUMN(2, "d", "DOUBLE"),
        COLUMN(3, "t", "TIMESTAMP WITH TIME ZONE"),
        COLUMN(4, "v", "VARCHAR"),
        COLUMN(5, "n", "DECIMAL(20,3)"),
        COLUMN(6, "b", "BLOB"),
        COLUMN(7, "u", "UUID"),
        COLUMN(8, "day", "DATE"),
        COLUMN(9, "f", "FLOAT"),
        COLUMN(13, "ns", "TIMESTAMP_NS"),
        COLUMN(14, "tm", "TIME"),
        COLUMN(15, "yes", "BOOLEAN"),
        COLUMN(10, "s", "STRUCT(x INTEGER, y VARCHAR)", CHILDREN(field)),
    };
    COLUMNS(&table, columns);
    for (size_t i = 0; i < ARRAY_COUNT(conditions); i++) {
        struct buf sql CLEANUP(buf_fini) = {0};
        buf_printf(&sql, "SELECT i::VARCHAR FROM %%s WHERE false OR (%s) LIMIT 0",
                   conditions[i][0]);
        struct engine_grant *grant = table_grant(&fixture, &table);
        char *text = scan_sql(grant, buf_cstr(&sql));
        buf_reset(&sql);
        buf_printf(&sql, "SELECT count(*)::VARCHAR FROM (%.*s)", (int)strlen(text) - 8, text);
        struct errinfo info;
        if (fixture_run(&fixture, buf_cstr(&sql), NULL, &info) != ERR_OK) {
            fail_msg("%s: %s", conditions[i][0], info.message);
        }
        if (strcmp(buf_cstr(&table.predicates), conditions[i][1]) != 0) {
            fail_msg("%s: %s", conditions[i][0], buf_cstr(&table.predicates));
        }
        mem_free(text);
        engine_grant_close(grant);
    }
    table_fini(&table);
    fixture_close(&fixture);
}

TEST(engine_scan, conditions_above_a_barrier_stay_above_it)
{
    struct fixture fixture = fixture_open(NULL);
    struct table table = {0};
    table_add(&fixture, &table, "SELECT i::INT AS i, 'v' || i AS v FROM range(10) t(i)",
              "FIELD_IDS {i: 1, v: 2}");
    static const struct engine_scan_column columns[] = {COLUMN(1, "i", "INTEGER"),
                                                        COLUMN(2, "v", "VARCHAR")};
    COLUMNS(&table, columns);
    table_expect(&fixture, &table,
                 "SELECT v FROM (SELECT __moat_barrier(i) AS i, __moat_barrier(v) AS v FROM %s "
                 "WHERE i < 5 OFFSET 0) t WHERE v = 'v3' AND i > 2",
                 "v3");
    CHECK_STR("<(1 5)", buf_cstr(&table.predicates));
    CHECK(table.asked == 1);
    table_fini(&table);
    fixture_close(&fixture);
}

TEST(engine_scan, what_a_join_learns_leaves_out_files)
{
    struct fixture fixture = fixture_open(NULL);
    struct table table = {.skip_if_asked = 1};
    for (int i = 0; i < 3; i++) {
        struct buf sql CLEANUP(buf_fini) = {0};
        buf_printf(&sql, "SELECT (%d + i)::INT AS i, 'v' AS v FROM range(1000) t(i)", i * 1000);
        table_add(&fixture, &table, buf_cstr(&sql), "FIELD_IDS {i: 1, v: 2}")->record_count = 1000;
    }
    static const struct engine_scan_column columns[] = {COLUMN(1, "i", "INTEGER"),
                                                        COLUMN(2, "v", "VARCHAR")};
    COLUMNS(&table, columns);
    struct engine_grant *grant = table_grant(&fixture, &table);
    char *sql = scan_sql(grant, "SELECT count(v)::VARCHAR FROM %s a JOIN (SELECT (hash(i) * 0 + 7)"
                                "::INT AS k FROM range(3) t(i)) b ON a.i = b.k");
    fixture_expect(&fixture, sql, "3");
    CHECK(table.asked_dynamic == 1);
    CHECK(strstr(buf_cstr(&table.predicates), "(1 7)") != NULL);
    CHECK(engine_grant_count(grant).files_opened <= 3); /* one file: its footer, and two threads */
    mem_free(sql);
    engine_grant_close(grant);
    table_fini(&table);
    fixture_close(&fixture);
}

TEST(engine_scan, the_first_rows_in_order_are_right_over_many_files_and_deletes)
{
    /* Goal: top-n reads only the sort key at first and fetches the rest by file and position; the
     * files that it then leaves out must not shift those numbers. */
    struct fixture fixture = fixture_open(NULL);
    struct table table = {.deleted_modulus = 3};
    for (int i = 0; i < 4; i++) {
        struct buf sql CLEANUP(buf_fini) = {0};
        buf_printf(&sql,
                   "SELECT (i * 7919 %% 100003 + %d)::INT AS i, md5((i + %d)::VARCHAR) AS v, "
                   "i::BIGINT AS p, repeat('x', 50) AS w FROM range(30000) t(i)",
                   i, i);
        struct engine_scan_file *file =
            table_add(&fixture, &table, buf_cstr(&sql),
                      "FIELD_IDS {i: 1, v: 2, p: 3, w: 4}, ROW_GROUP_SIZE 4096");
        file->has_deletes = i % 2 == 1;
        file->record_count = 30000;
    }
    static const struct engine_scan_column columns[] = {
        COLUMN(1, "i", "BIGINT"), COLUMN(2, "v", "VARCHAR"), COLUMN(3, "p", "BIGINT"),
        COLUMN(4, "w", "VARCHAR")};
    COLUMNS(&table, columns);
    struct engine_grant *grant = table_grant(&fixture, &table);
    char *fast =
        scan_sql(grant, "SELECT string_agg(i || v || p, ',') FROM (SELECT i, v, p, w FROM %s "
                        "WHERE i > 500 ORDER BY i DESC, v LIMIT 5)");
    char *slow = scan_sql(
        grant, "SELECT string_agg(i || v || p, ',') FROM (SELECT * FROM (SELECT i, v, p, w, "
               "row_number() OVER (ORDER BY i DESC, v) AS n FROM %s "
               "WHERE i > 500) WHERE n <= 5 ORDER BY n)");
    struct buf expected CLEANUP(buf_fini) = {0};
    struct errinfo info;
    CHECK_OK(fixture_run(&fixture, slow, &expected, &info));
    fixture_expect(&fixture, fast, buf_cstr(&expected));
    mem_free(fast);
    mem_free(slow);
    engine_grant_close(grant);
    table_fini(&table);
    fixture_close(&fixture);
}

/* ---- failures ---- */

TEST(engine_scan, what_is_no_scan_of_an_open_grant_is_refused)
{
    struct fixture fixture = fixture_open(NULL);
    struct table table = {0};
    table_add(&fixture, &table, "SELECT 1::INT AS i", "FIELD_IDS {i: 1}");
    static const struct engine_scan_column columns[] = {COLUMN(1, "i", "INTEGER")};
    COLUMNS(&table, columns);
    struct engine_grant *grant = table_grant(&fixture, &table);
    struct buf uri CLEANUP(buf_fini) = {0};
    engine_grant_uri_scan(grant, 0, &uri);
    static const char *const forms[] = {
        "SELECT i::VARCHAR FROM moat_scan('%s1')",
        "SELECT i::VARCHAR FROM moat_scan('%s/0')",
        "SELECT i::VARCHAR FROM moat_scan('%s/')",
        "SELECT i::VARCHAR FROM moat_scan('x%s')",
        "SELECT i::VARCHAR FROM moat_scan('%s', 1)",
        "SELECT i::VARCHAR FROM moat_scan(['%s'])",
        "SELECT 'x' FROM read_text('%s')",
        "SELECT 'x' FROM read_parquet('%s')",
        "SELECT i::VARCHAR FROM read_parquet('%s/0')",
        "SELECT 'x' FROM read_blob('%s/0')",
    };
    struct errinfo info;
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) { /* files() was not asked: no file is there */
        struct buf sql CLEANUP(buf_fini) = {0};
        const char *mark = strstr(forms[i], "%s");
        buf_append(&sql, forms[i], (size_t)(mark - forms[i]));
        buf_append_slice(&sql, buf_slice(&uri));
        buf_append_str(&sql, mark + 2);
        if (fixture_run(&fixture, buf_cstr(&sql), NULL, &info) == ERR_OK ||
            strstr(info.message, "moat:") != NULL) {
            fail_msg("%s: %s", forms[i], info.message);
        }
    }
    char *sql = scan_sql(grant, "SELECT i::VARCHAR FROM %s");
    fixture_expect(&fixture, sql, "1");
    engine_grant_close(grant);
    CHECK_ERR(ERR_DENIED, fixture_run(&fixture, sql, NULL, &info));
    CHECK_STR("no grant for object", info.message);
    mem_free(sql);
    table_fini(&table);
    fixture_close(&fixture);
}

TEST(engine_scan, failures_of_the_program_and_of_files_are_clean)
{
    struct fixture fixture = fixture_open(NULL);
    struct table cut = {0};
    table_add(&fixture, &cut, "SELECT 1::INT AS i", "FIELD_IDS {i: 1}")->size_bytes = 7;
    table_add(&fixture, &cut, "SELECT 1::INT AS i", "FIELD_IDS {i: 1}");
    static const struct engine_scan_column one[] = {COLUMN(1, "i", "BIGINT")};
    COLUMNS(&cut, one);
    table_refuse(&fixture, &cut, "SELECT i::VARCHAR FROM %s", ERR_ENGINE, "file 0 of the table");
    table_fini(&cut);
    struct table table = {.fail_files = ERR_IO};
    table_add(&fixture, &table, "SELECT i::INT AS i, md5(i::VARCHAR) AS v FROM range(20000) t(i)",
              "FIELD_IDS {i: 1, v: 2}");
    static const struct engine_scan_column columns[] = {COLUMN(1, "i", "BIGINT"),
                                                        COLUMN(2, "v", "VARCHAR")};
    COLUMNS(&table, columns);
    table_refuse(&fixture, &table, "SELECT max(v) FROM %s", ERR_IO, "the manifests are gone");
    table_refuse(&fixture, &table, "SELECT max(v) FROM %s WHERE i = 1", ERR_IO, "the manifests");
    table.fail_files = ERR_OK;
    table.store.fail_read = ERR_DENIED;
    table_refuse(&fixture, &table, "SELECT max(v) FROM %s", ERR_DENIED, "object \"0\" is gone");
    table.store.fail_read = ERR_OK;

    uint64_t seed = test_seed();
    for (unsigned round = 0; round < 40; round++) {
        struct table damaged = {.spec = table.spec};
        damaged.store.object_count = 1;
        damaged.files[0] = table.files[0];
        buf_append(&damaged.store.objects[0], table.store.objects[0].ptr,
                   table.store.objects[0].len);
        struct buf *bytes = &damaged.store.objects[0];
        if (round % 2 == 0) {
            bytes->len = test_random_below(&seed, bytes->len);
            damaged.files[0].size_bytes = bytes->len;
        } else {
            bytes->ptr[bytes->len - 1 - test_random_below(&seed, 600)] ^= 0x5A;
        }
        struct engine_grant *grant = table_grant(&fixture, &damaged);
        char *sql = scan_sql(grant, "SELECT max(v || i) FROM %s");
        struct errinfo info;
        enum err err = fixture_run(&fixture, sql, NULL, &info);
        CHECK(round % 2 == 1 || err != ERR_OK);
        CHECK(err == ERR_OK || (info.message[0] != '\0' && strstr(info.message, "moat:") == NULL));
        mem_free(sql);
        engine_grant_close(grant);
        table_fini(&damaged);
        if (err == ERR_INTERNAL) { /* a broken engine is replaced for the next session */
            engine_session_close(fixture.session);
            CHECK_OK(engine_session_open(fixture.engine, WHO, &fixture.session, &info));
        }
    }
    table_expect(&fixture, &table, "SELECT count(DISTINCT v)::VARCHAR FROM %s", "20000");
    table_fini(&table);
    fixture_close(&fixture);
}

struct stopping {
    struct fixture *fixture;
    struct table *table;
};

static void *cancel_after_some_reads(void *context)
{
    struct stopping *stopping = context;
    while (stopping->table->store.reads < 6) {
        sched_yield();
    }
    engine_session_cancel(stopping->fixture->session);
    return NULL;
}

TEST(engine_scan, a_cancel_stops_reading)
{
    struct fixture fixture = fixture_open(NULL);
    struct table table = {.deleted_modulus = 2};
    for (int i = 0; i < 6; i++) {
        table_add(&fixture, &table,
                  "SELECT i::INT AS i, md5(i::VARCHAR) AS v FROM range(60000) t(i)",
                  "FIELD_IDS {i: 1, v: 2}, ROW_GROUP_SIZE 8192")
            ->has_deletes = true;
    }
    static const struct engine_scan_column columns[] = {COLUMN(1, "i", "BIGINT"),
                                                        COLUMN(2, "v", "VARCHAR")};
    COLUMNS(&table, columns);
    struct engine_grant *grant = table_grant(&fixture, &table);
    char *sql = scan_sql(grant, "SELECT max(v || i) FROM %s");
    table.store.read_delay_us = 2000;
    table.store.reads = 0;
    struct stopping stopping = {&fixture, &table};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, cancel_after_some_reads, &stopping) == 0);
    struct errinfo info;
    CHECK_ERR(ERR_CANCELLED, fixture_run(&fixture, sql, NULL, &info));
    (void)pthread_join(thread, NULL);
    CHECK(table.store.reads < 40);
    engine_session_ready(fixture.session);
    table.store.read_delay_us = 0;
    char *count = scan_sql(grant, "SELECT count(v)::VARCHAR FROM %s");
    fixture_expect(&fixture, count, "180000");
    mem_free(sql);
    mem_free(count);
    engine_grant_close(grant);
    table_fini(&table);
    fixture_close(&fixture);
}

/* ---- against an oracle ---- */

static struct engine_grant *table_grant_both(struct fixture *fixture, struct table *table)
{
    engine_grant_close(table_grant(fixture, table)); /* fills in the spec */
    struct engine_object objects[FILES_MAX] = {0};
    for (size_t i = 0; i < table->store.object_count; i++) {
        objects[i] = (struct engine_object){.size_bytes = table->store.objects[i].len,
                                            .extension = SLICE(".parquet")};
    }
    const struct engine_scan_spec *scan = &table->spec;
    struct engine_grant_spec spec = {.objects = objects,
                                     .object_count = table->store.object_count,
                                     .read = store_read,
                                     .context = &table->store,
                                     .scans = &scan,
                                     .scan_count = 1};
    struct engine_grant *grant = NULL;
    struct errinfo info;
    CHECK_OK(engine_grant_open(fixture->engine, WHO, &spec, &grant, &info));
    return grant;
}

/* Fails unless both give the same rows, as often; NULL equals NULL. */
static void expect_same(struct fixture *fixture, const char *ours, const char *oracle,
                        const char *condition)
{
    struct buf sql CLEANUP(buf_fini) = {0};
    buf_printf(
        &sql,
        "WITH ours AS (SELECT * FROM (%s) WHERE %s), oracle AS (SELECT * FROM (%s) WHERE %s) "
        "SELECT (SELECT count(*) FROM (FROM ours EXCEPT ALL FROM oracle)) || ' ' || "
        "(SELECT count(*) FROM (FROM oracle EXCEPT ALL FROM ours)) || ' ' || "
        "((SELECT count(*) FROM oracle) > 0)",
        ours, condition, oracle, condition);
    fixture_expect(fixture, buf_cstr(&sql), "0 0 true");
}

/* Nested values over many vectors, with NULL at every level, empty lists and lists longer than a
 * vector; as the scan shows them, and as SQL makes them of the file. */
static const char deep_select[] =
    "SELECT i::INT AS id, "
    "CASE WHEN i % 5 <> 0 THEN {a: CASE WHEN i % 3 <> 0 THEN i::INT END, "
    "t: CASE WHEN i % 7 <> 0 THEN {x: i::INT, y: 'y' || i} END} END AS s, "
    "CASE WHEN i % 4 <> 0 THEN list_transform(range(CASE WHEN i = 777 THEN 5000 ELSE i % 6 "
    "END), "
    "lambda j: CASE WHEN j % 4 <> 3 THEN {p: (i + j)::INT, q: 'q' || j} END) END AS l, "
    "CASE WHEN i % 6 <> 0 THEN MAP {'k' || (i % 50): i::INT, 'z': NULL} END AS m, "
    "(i / 8)::FLOAT AS f FROM range(30000) r(i)";
static const char deep_options[] =
    "FIELD_IDS {id: 1, s: {__duckdb_field_id: 2, a: 3, t: {__duckdb_field_id: 4, x: 5, y: 6}}, "
    "l: {__duckdb_field_id: 7, element: {__duckdb_field_id: 8, p: 9, q: 10}}, "
    "m: {__duckdb_field_id: 11, key: 12, value: 13}, f: 14}, ROW_GROUP_SIZE 6144";
static const struct engine_scan_column deep_t[] = {
    COLUMN(6, "yy", "VARCHAR"), COLUMN(20, "n", "DATE", VALUE("DATE '2020-02-02'")),
    COLUMN(5, "xx", "BIGINT")};
static const struct engine_scan_column deep_s[] = {
    COLUMN(4, "t", "STRUCT(yy VARCHAR, n DATE, xx BIGINT)", CHILDREN(deep_t)),
    COLUMN(3, "a", "BIGINT"), COLUMN(21, "d", "INTEGER")};
static const struct engine_scan_column deep_e[] = {
    COLUMN(10, "q", "VARCHAR"), COLUMN(9, "p", "BIGINT"), COLUMN(22, "v", "INTEGER", VALUE("5"))};
static const struct engine_scan_column deep_element[] = {
    COLUMN(8, "element", "STRUCT(q VARCHAR, p BIGINT, v INTEGER)", CHILDREN(deep_e))};
static const struct engine_scan_column deep_pair[] = {COLUMN(12, "key", "VARCHAR"),
                                                      COLUMN(13, "value", "BIGINT")};
static const struct engine_scan_column deep_columns[] = {
    COLUMN(14, "f", "DOUBLE"),
    COLUMN(11, "m", "MAP(VARCHAR, BIGINT)", CHILDREN(deep_pair)),
    COLUMN(7, "l", "STRUCT(q VARCHAR, p BIGINT, v INTEGER)[]", CHILDREN(deep_element)),
    COLUMN(2, "s", "STRUCT(t STRUCT(yy VARCHAR, n DATE, xx BIGINT), a BIGINT, d INTEGER)",
           CHILDREN(deep_s)),
    COLUMN(1, "id", "BIGINT"),
};
static const char deep_oracle[] =
    "SELECT f::DOUBLE AS f, m::MAP(VARCHAR, BIGINT) AS m, "
    "list_transform(l, lambda x: CASE WHEN x IS NULL THEN NULL ELSE "
    "{q: x.q, p: x.p::BIGINT, v: 5} END) AS l, "
    "CASE WHEN s IS NULL THEN NULL ELSE {t: CASE WHEN s.t IS NULL THEN NULL ELSE "
    "{yy: s.t.y, n: DATE '2020-02-02', xx: s.t.x::BIGINT} END, a: s.a::BIGINT, d: NULL::INT} "
    "END "
    "AS s, id::BIGINT AS id FROM '%s'";
static const char *const deep_filters[] = {
    "true",
    "id % 11 = 3",
    "f > 0.1 AND f < 1000.3",
    "s.t.xx > 25000",
    "s.a IS NULL",
    "s.t IS NULL",
    "s.t.n = DATE '2020-02-02'",
    "s IS NULL OR s.d IS NULL",
    "len(l) > 4",
    "l[2].v = 5",
    "m['z'] IS NULL AND id > 100",
    "id IN (5, 777, 29999)",
    "s.t.yy LIKE 'y77%'",
    "s.a = 1000 OR l IS NULL",
    "id BETWEEN 6000 AND 6200 AND s.t.xx % 2 = 0",
};

static void expect_filters(struct fixture *fixture, const char *ours, const char *oracle)
{
    for (size_t i = 0; i < ARRAY_COUNT(deep_filters); i++) {
        expect_same(fixture, ours, oracle, deep_filters[i]);
    }
}

TEST(engine_scan, many_nested_rows_are_what_sql_makes_of_the_file)
{
    /* Method: the same file through read_parquet, evolved by SQL functions. */
    struct fixture fixture = fixture_open(NULL);
    struct table table = {.deleted_modulus = 11};
    table_add(&fixture, &table, deep_select, deep_options);
    COLUMNS(&table, deep_columns);
    struct engine_grant *grant = table_grant_both(&fixture, &table);
    char *ours = scan_sql(grant, "SELECT * FROM %s");
    char *oracle = fixture_sql(grant, 0, deep_oracle);
    expect_filters(&fixture, ours, oracle);

    char *part = scan_sql(grant, "SELECT id, s.t.n AS n, s.t.xx AS x, s.d AS d FROM %s");
    struct buf narrow CLEANUP(buf_fini) = {0};
    buf_printf(&narrow, "SELECT id, s.t.n AS n, s.t.xx AS x, s.d AS d FROM (%s)", oracle);
    expect_same(&fixture, part, buf_cstr(&narrow), "id >= 0");
    expect_same(&fixture, part, buf_cstr(&narrow), "x > 100 OR n IS NULL");

    table.files[0].has_deletes = true;
    struct buf alive CLEANUP(buf_fini) = {0};
    buf_printf(&alive, "SELECT * FROM (%s) WHERE id %% 11 <> 0", oracle);
    expect_filters(&fixture, ours, buf_cstr(&alive));
    mem_free(ours);
    mem_free(oracle);
    mem_free(part);
    engine_grant_close(grant);
    table_fini(&table);
    fixture_close(&fixture);
}

/* ---- files of other writers ---- */

static void table_load(struct table *table, const char *path)
{
    FILE *file = fopen(path, "rb");
    char bytes[4096];
    CHECK(file != NULL);
    size_t len = fread(bytes, 1, sizeof(bytes), file);
    CHECK(len > 0 && len < sizeof(bytes));
    (void)fclose(file);
    buf_append(&table->store.objects[0], bytes, len);
    table->store.object_count = 1;
    table->files[0] =
        (struct engine_scan_file){.size_bytes = len, .record_count = -1, .first_row_id = -1};
}

TEST(engine_scan, what_other_writers_leave_unsaid_changes_no_row)
{
    /* Goal: bounds that leave NaN out prune no NaN, which is above all numbers; UUIDs and texts
     * that the file calls bytes are what the table calls them. */
    struct fixture fixture = fixture_open(NULL);
    struct table table = {0};
    table_load(&table, "tests/data/parquet/foreign.parquet");
    static const struct engine_scan_column columns[] = {
        COLUMN(1, "d", "DOUBLE"), COLUMN(2, "u", "UUID"), COLUMN(3, "b", "VARCHAR")};
    COLUMNS(&table, columns);
    table_expect(&fixture, &table, "SELECT d::VARCHAR FROM %s WHERE d > 5", "nan");
    table_expect(&fixture, &table, "SELECT d::VARCHAR FROM %s WHERE d = 'nan'", "nan");
    table_expect(&fixture, &table, "SELECT d::VARCHAR FROM %s WHERE d >= 2 ORDER BY d", "2.0\nnan");
    table_expect(
        &fixture, &table, "SELECT u::VARCHAR FROM %s ORDER BY _pos",
        "00010203-0405-0607-0809-0a0b0c0d0e0f\n80000000-0000-0000-0000-000000000000\nNULL");
    table_expect(&fixture, &table,
                 "SELECT _pos::VARCHAR FROM %s WHERE u > '7fffffff-ffff-ffff-ffff-ffffffffffff'",
                 "1");
    table_expect(&fixture, &table, "SELECT b FROM %s WHERE b < 'b' AND _pos = 0", "abc");
    table_refuse(&fixture, &table, "SELECT b FROM %s", ERR_CORRUPT,
                 "file 0 of the table: a text in the file is not valid UTF-8");
    table_fini(&table);

    struct table times = {0};
    table_add(&fixture, &times,
              "SELECT TIMETZ '01:02:03.000004+00' AS t, TIMESTAMP '2024-01-31 05:00' "
              "AS z, TIMESTAMPTZ '2024-01-31 05:00:00+00' AS n",
              "FIELD_IDS {t: 1, z: 2, n: 3}");
    static const struct engine_scan_column moments[] = {COLUMN(1, "t", "TIME"),
                                                        COLUMN(2, "z", "TIMESTAMP WITH TIME ZONE"),
                                                        COLUMN(3, "n", "TIMESTAMP")};
    COLUMNS(&times, moments);
    table_expect(&fixture, &times,
                 "SELECT concat_ws('|', t, z, n) FROM %s WHERE t = '01:02:03.000004' "
                 "AND z = TIMESTAMPTZ '2024-01-31 05:00:00+00' AND n = '2024-01-31 05:00'",
                 "01:02:03.000004|2024-01-31 05:00:00+00|2024-01-31 05:00:00");
    table_fini(&times);
    fixture_close(&fixture);
}
