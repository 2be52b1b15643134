#!/usr/bin/env python3
"""The ADBC driver of libmoat from Python: what it answers, to whom, and what a program may do to it.

adbc_test.py MOAT LIBRARY [CASE...]    ends with "N passed, N failed"; exits 1 if any failed.
"""

import os
import re
import subprocess
import sys
import tempfile
import threading
import time

try:
    import adbc_driver_manager
    import adbc_driver_manager.dbapi as dbapi
    import pyarrow as pa
except ImportError as missing:
    print(f"skipped: {missing.name} is not here\n0 passed, 0 failed")
    sys.exit(0)

MOAT, LIBRARY = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
LONG = "SELECT count(*) FROM range(100000000000) a, range(100000000000) b"
PASSWORD = "correct horse"
SETUP = f"""
CREATE USER amelia PASSWORD '{PASSWORD}'; CREATE USER boris PASSWORD '{PASSWORD}';
CREATE VIEW sales AS SELECT i AS id, CASE WHEN i % 2 = 0 THEN 'amelia' ELSE 'boris' END AS who, 'card ' || i AS card FROM range(100000) r(i);
CREATE VIEW secret AS SELECT 1 AS x;
GRANT SELECT ON sales TO USER amelia ROWS WHERE who = current_user MASKED WITH (card = NULL);
GRANT SELECT ON sales TO USER boris ROWS WHERE who = current_user;
"""


class Warehouse:
    def __init__(self, setup=SETUP):
        self.folder = tempfile.TemporaryDirectory(prefix="moat-embed-")
        self.path = self.folder.name + "/warehouse"
        subprocess.run([MOAT, "--warehouse", self.path, "-q", "init"], check=True)
        self.sql(setup)

    def sql(self, text):
        return subprocess.run([MOAT, "--warehouse", self.path, "--format", "csv", "-c", text], check=True, capture_output=True,
                              text=True).stdout

    def connect(self, user=None, autocommit=True, settings=None, **options):
        arguments = {"path": self.path, **options}
        if user:
            arguments = {"username": user, "password": PASSWORD, **arguments}
        for key, value in (settings or {}).items():
            arguments["adbc.moat.set." + key] = value
        return dbapi.connect(driver=LIBRARY, db_kwargs=arguments, autocommit=autocommit)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()


def rows(connection, sql, parameters=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


def refused(kind, sqlstate, run, *arguments):
    try:
        run(*arguments)
    except kind as error:
        assert error.sqlstate == sqlstate, (error.sqlstate, sqlstate, str(error))
        return error
    raise AssertionError(f"{arguments} was not refused")


TYPES = """true AS b, 1::TINYINT AS i8, 2::SMALLINT AS i16, 3 AS i32, 4::BIGINT AS i64, 5::HUGEINT AS i128, 1::UTINYINT AS u8,
 2::USMALLINT AS u16, 3::UINTEGER AS u32, 18446744073709551615::UBIGINT AS u64, 1.5::FLOAT AS f, 2.5::DOUBLE AS d, 1.10::DECIMAL(4,2) AS d4,
 1.10::DECIMAL(9,2) AS d9, 1.10::DECIMAL(18,2) AS d18, 1.10::DECIMAL(38,2) AS d38, 'é' AS t, '\\xff'::BLOB AS x, DATE '2024-02-29' AS day,
 TIME '12:34:56.789' AS clock, TIMESTAMP '2024-02-29 12:00:00' AS ts, TIMESTAMP_S '2024-02-29 12:00:00' AS ts_s,
 TIMESTAMP_MS '2024-02-29 12:00:00' AS ts_ms, TIMESTAMP_NS '2024-02-29 12:00:00' AS ts_ns, TIMESTAMPTZ '2024-02-29 12:00:00+00' AS tz,
 TIMESTAMPTZ_NS '2024-02-29 12:00:00+00' AS tz_ns, [TIMESTAMPTZ_NS '2024-02-29 12:00:00+00'] AS tz_list,
 INTERVAL '3 days' AS span, '5f0c5b0e-1111-4222-8333-123456789abc'::UUID AS u, [1, NULL] AS l, {'a': 1, 'b c': 'x'} AS s,
 MAP {'k': 1} AS m, [[1], []] AS ll, {'x': [{'y': 1}]} AS deep, NULL AS n"""


def all_types_and_nulls():
    with Warehouse("SELECT 1") as warehouse, warehouse.connect() as connection:
        sql = f"SELECT {TYPES}"
        with connection.cursor() as cursor:
            described = cursor.adbc_execute_schema(sql)
            cursor.execute(sql)
            table = cursor.fetch_arrow_table()
        wrong = [(a, b) for a, b in zip(described, table.schema) if a.name != b.name or a.type != b.type]
        assert not wrong, wrong
        row = table.to_pylist()[0]
        assert row["u64"] == 2**64 - 1 and str(row["d38"]) == "1.10" and row["x"] == b"\xff" and row["l"] == [1, None] and row["n"] is None
        assert row["s"] == {"a": 1, "b c": "x"} and row["m"] == [("k", 1)] and row["deep"] == {"x": [{"y": 1}]} and row["t"] == "é"
        names = [field.name for field in table.schema]
        nulls = f"SELECT {', '.join(f'CASE WHEN i = 1 THEN NULL ELSE {n} END AS {n}' for n in names)} FROM ({sql}) CROSS JOIN range(3) r(i)"
        with connection.cursor() as cursor:
            cursor.execute(nulls)
            got = cursor.fetch_arrow_table()
        assert got.num_rows == 3
        for name in names:
            values = got.column(name).to_pylist()
            assert sum(value is None for value in values) == (3 if name == "n" else 1), name


def parameters_are_of_all_types():
    with Warehouse("SELECT 1") as warehouse, warehouse.connect() as connection:
        values = pa.table({"a": pa.array([7], pa.int64()), "b": pa.array(["it's"]), "c": pa.array([None], pa.string()),
                           "d": pa.array([1.5]), "e": pa.array([True]), "f": pa.array([b"\x00\xff"]), "g": pa.array([19782], pa.int32()).cast(pa.date32()),
                           "h": pa.array(["1.10"]).cast(pa.decimal128(9, 2)), "l": pa.array([[1, None, 3]]),
                           "s": pa.array([{"k": 1}]), "u": pa.array([2**64 - 1], pa.uint64())})
        sql = ("SELECT $1 + 1, $2, $3, $4, $5, $6::BLOB, $7::DATE, $8::DECIMAL(9,2), $9::INTEGER[], $10::STRUCT(k INTEGER), $11::UBIGINT")
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            got = cursor.fetchone()
        assert got[:6] == (8, "it's", None, 1.5, True, b"\x00\xff"), got
        assert str(got[6]) == "2024-02-29" and str(got[7]) == "1.10" and got[8] == [1, None, 3] and got[9] == {"k": 1}, got
        assert got[10] == 2**64 - 1, got
        assert rows(connection, "SELECT ? || 'b', ? + 1", ("a", 41)) == [("ab", 42)]
        # Several rows: the statement runs once for each, and the results come one after the other.
        with connection.cursor() as cursor:
            cursor.executemany("SELECT $1 * 2 AS x", [(1,), (2,), (3,)])
        with adbc_driver_manager.AdbcStatement(connection.adbc_connection) as statement:
            statement.set_sql_query("SELECT $1::BIGINT * 2 AS x")
            statement.bind_stream(pa.RecordBatchReader.from_batches(pa.schema([("x", pa.int64())]),
                                                                    [pa.record_batch({"x": [1, 2]}), pa.record_batch({"x": [3]})]))
            handle, _ = statement.execute_query()
            with pa.RecordBatchReader._import_from_c(handle.address) as reader:
                assert reader.read_all().column(0).to_pylist() == [2, 4, 6]
        with connection.cursor() as cursor:
            schema = cursor.adbc_prepare("SELECT $1::INTEGER, $2::VARCHAR, $3")
            assert [field.type for field in schema] == [pa.int32(), pa.string(), pa.null()], schema
        refused(adbc_driver_manager.Error, "08P01", rows, connection, "SELECT $1, $2", (1,))
        refused(adbc_driver_manager.Error, "22P02", rows, connection, "SELECT $1::INTEGER", ("x",))


def errors_say_what_and_where():
    with Warehouse() as warehouse, warehouse.connect() as connection:
        error = refused(adbc_driver_manager.Error, "42703", rows, connection, "SELECT nope FROM sales")
        details = dict(error.details)
        position = details.get("moat.position", details.get(b"moat.position"))  # the managers differ in the type of a key
        assert "nope" in str(error) and position == b"8", details
        refused(adbc_driver_manager.Error, "42601", rows, connection, "SELEC 1")
        refused(adbc_driver_manager.Error, "42601", rows, connection, "SELECT 1; SELECT 2")
        refused(adbc_driver_manager.Error, "42P01", rows, connection, "SELECT * FROM nothing")
        # An error behind rows that were given: it has its own SQLSTATE too.
        late = "SELECT CAST(CASE WHEN i < 600000 THEN '1' ELSE 'late' END AS INTEGER) AS x FROM range(601000) r(i)"
        error = refused(adbc_driver_manager.Error, "22P02", rows, connection, late)
        assert "late" in str(error)
        assert rows(connection, "SELECT 1") == [(1,)]
        for options, words in (({"path": "/nowhere/at/all"}, "moat init"), ({"adbc.moat.nope": "1"}, "no option")):
            try:
                dbapi.connect(driver=LIBRARY, db_kwargs={"path": warehouse.path, **options})
                raise AssertionError(options)
            except adbc_driver_manager.Error as error:
                assert words in str(error), error


def two_people_in_one_process():
    """Never each other's rows: side by side, in turn, by password and by key, temporary tables too."""
    with Warehouse() as warehouse:
        warehouse.connect().close()
        key = re.search(r"moat_[0-9a-zA-Z]+_[0-9a-zA-Z]+", warehouse.sql("CREATE API KEY k FOR USER boris")).group(0)
        with warehouse.connect("amelia") as amelia, warehouse.connect(**{"adbc.moat.token": key}) as boris, warehouse.connect() as owner:
            assert rows(amelia, "SELECT current_user") == [("amelia",)] and rows(boris, "SELECT current_user") == [("boris",)]
            failures = []

            def watch(connection, name):
                for _ in range(15):
                    got = rows(connection, "SELECT who, card IS NULL, count(*) FROM sales GROUP BY ALL")
                    if got != [(name, name == "amelia", 50000)]:
                        failures.append((name, got))

            threads = [threading.Thread(target=watch, args=pair) for pair in ((amelia, "amelia"), (boris, "boris"))]
            [thread.start() for thread in threads]
            [thread.join() for thread in threads]
            assert not failures, failures[:3]
            with amelia.cursor() as first, boris.cursor() as second:
                first.execute("SELECT who FROM sales")
                second.execute("SELECT who FROM sales")
                left, right = first.fetch_record_batch(), second.fetch_record_batch()
                for a, b in zip(left, right):
                    assert set(a.column(0).to_pylist()) == {"amelia"} and set(b.column(0).to_pylist()) == {"boris"}
            rows(amelia, "CREATE TEMP TABLE mine AS SELECT 1 AS x")
            refused(adbc_driver_manager.Error, "42P01", rows, boris, "SELECT * FROM mine")
            refused(adbc_driver_manager.Error, "42P01", rows, amelia, "SELECT * FROM secret")
            assert rows(owner, "SELECT count(*) FROM sales") == [(100000,)] and rows(owner, "SELECT x FROM secret") == [(1,)]

            def tables(connection):
                found = connection.adbc_get_objects(depth="tables", db_schema_filter="main").read_all().to_pylist()
                return [t["table_name"] for c in found for s in c["catalog_db_schemas"] for t in s["db_schema_tables"]]

            assert "secret" in tables(owner) and "secret" not in tables(amelia) and "sales" in tables(amelia), (tables(owner), tables(amelia))
            refused(adbc_driver_manager.Error, "42P01", lambda: amelia.adbc_get_table_schema("secret"))
        refused(adbc_driver_manager.Error, "28P01", lambda: warehouse.connect("amelia", password="wrong"))
        refused(adbc_driver_manager.Error, "28P01", lambda: warehouse.connect("nobody"))
        refused(adbc_driver_manager.Error, "28000", lambda: warehouse.connect(**{"adbc.moat.token": key[:-1] + "x"}))
        trail = warehouse.sql("SELECT count(*) FROM moat_system.audit WHERE \"user\" = 'amelia'")
        assert int(trail.split()[-1]) > 10, trail


def a_cancel_ends_it():
    with Warehouse("SELECT 1") as warehouse, warehouse.connect() as connection:
        with connection.cursor() as cursor:
            is_over = threading.Event()

            def stop():
                while not is_over.wait(0.5):  # a busy machine may not have begun it
                    cursor.adbc_cancel()

            thread = threading.Thread(target=stop)
            thread.start()
            refused(adbc_driver_manager.Error, "57014", lambda: (cursor.execute(LONG), cursor.fetchall()))
            is_over.set()
            thread.join()
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM range(100000000000)")
            reader = cursor.fetch_record_batch()
            reader.read_next_batch()
            connection.adbc_cancel()
            try:
                while reader.read_next_batch():
                    pass
            except (adbc_driver_manager.Error, pa.ArrowException, OSError) as error:
                assert "cancel" in str(error).lower(), error
        assert rows(connection, "SELECT 1") == [(1,)]


def transactions():
    with Warehouse() as warehouse, warehouse.connect(autocommit=False) as connection:
        rows(connection, "GRANT SELECT ON secret TO USER amelia")
        rows(connection, "CREATE TEMP TABLE t AS SELECT 1 AS x")
        connection.rollback()
        refused(adbc_driver_manager.Error, "42P01", rows, connection, "SELECT * FROM t")
        connection.rollback()
        with warehouse.connect("amelia") as amelia:
            refused(adbc_driver_manager.Error, "42P01", rows, amelia, "SELECT x FROM secret")
            rows(connection, "GRANT SELECT ON secret TO USER amelia")
            refused(adbc_driver_manager.Error, "42P01", rows, amelia, "SELECT x FROM secret")
            connection.commit()
            assert rows(amelia, "SELECT x FROM secret") == [(1,)]
        refused(adbc_driver_manager.Error, "42601", rows, connection, "SELEC 1")
        connection.rollback()
        assert rows(connection, "SELECT 1") == [(1,)]
        assert connection.adbc_current_catalog == "moat" and connection.adbc_current_db_schema == "main"
        connection.adbc_current_db_schema = "moat_system"
        assert rows(connection, "SELECT count(*) > 0 FROM users") == [(True,)]


def rows_come_in():
    with Warehouse("SELECT 1") as warehouse, warehouse.connect() as connection:
        table = pa.table({"i": pa.array([1, None, 3], pa.int64()), "s": ["x", "y'\"", None], "d": pa.array([1, 2, None], pa.int32()).cast(pa.date32()),
                          "l": [[1], None, []], "t": pa.array([1, 2, 3], pa.timestamp("us", "UTC")), "b": [b"\x00", None, b""],
                          "e": pa.array(["a", "b", "a"]).dictionary_encode()})
        with connection.cursor() as cursor:
            assert cursor.adbc_ingest("landing", table, temporary=True) == 3
            cursor.execute("SELECT * FROM landing")
            got = cursor.fetch_arrow_table()
            assert got.to_pylist() == table.to_pylist(), got.to_pylist()
            assert cursor.adbc_ingest("landing", table, mode="append", temporary=True) == 3
            big = pa.RecordBatchReader.from_batches(pa.schema([("i", pa.int64())]),
                                                    (pa.record_batch({"i": list(range(n * 1000, n * 1000 + 1000))}) for n in range(300)))
            assert cursor.adbc_ingest("big", big, temporary=True) == 300000
        assert rows(connection, "SELECT count(*) FROM landing") == [(6,)]
        assert rows(connection, "SELECT count(*), sum(i) FROM big") == [(300000, 300000 * 299999 // 2)]
        assert rows(connection, "SELECT sum(i) FROM big WHERE i < $1", (10,)) == [(45,)]
        with connection.cursor() as cursor:
            refused(adbc_driver_manager.Error, "42P07", lambda: cursor.adbc_ingest("landing", table, temporary=True))
            cursor.executemany("INSERT INTO landing (i, s) VALUES ($1, $2)", [(7, "seven"), (8, None)])
            assert cursor.rowcount == 2, cursor.rowcount
        assert rows(connection, "SELECT s FROM landing WHERE i >= 7 ORDER BY i") == [("seven",), (None,)]


def rows_go_to_a_lake():
    with Warehouse("SELECT 1") as warehouse:
        lake = warehouse.folder.name + "/lake"
        os.mkdir(lake)
        warehouse.sql(f"ATTACH '{lake}/catalog.sqlite' AS lake (TYPE iceberg_local, CREATE true)")
        with warehouse.connect() as connection, connection.cursor() as cursor:
            table = pa.table({"i": pa.array([1, 2, 3], pa.int64()), "s": ["x", None, "z"]})
            where = {"catalog_name": "lake", "db_schema_name": "shop"}
            rows(connection, "CREATE SCHEMA lake.shop")
            assert cursor.adbc_ingest("orders", table, **where) == 3
            assert cursor.adbc_ingest("orders", table, mode="append", **where) == 3
            assert rows(connection, "SELECT count(*), sum(i) FROM lake.shop.orders") == [(6, 12)]
            cursor.execute("DELETE FROM lake.shop.orders WHERE i = 2")
            assert cursor.rowcount == 2, cursor.rowcount
            assert connection.adbc_get_table_schema("orders", catalog_filter="lake", db_schema_filter="shop").names == ["i", "s"]


def instants_keep_their_nanoseconds():
    """On their way out, also inside of others. Rows that are handed in have microseconds, as what Arrow calls a timestamp with a zone always
    was."""
    with Warehouse("SELECT 1") as warehouse:
        lake = warehouse.folder.name + "/lake"
        os.mkdir(lake)
        warehouse.sql(f"ATTACH '{lake}/catalog.sqlite' AS lake (TYPE iceberg_local, CREATE true)")
        with warehouse.connect() as connection, connection.cursor() as cursor:
            rows(connection, "CREATE SCHEMA lake.s")
            rows(connection, "CREATE TABLE lake.s.t (c TIMESTAMPTZ_NS, l TIMESTAMPTZ_NS[], s STRUCT(a TIMESTAMPTZ_NS)) WITH (format_version = 3)")
            rows(connection, "INSERT INTO lake.s.t SELECT c, [c, NULL], {'a': c} FROM (SELECT TIMESTAMPTZ_NS '2017-11-16 22:31:08.000001001' AS c)")
            cursor.execute("SELECT c, l, s FROM lake.s.t WHERE c = '2017-11-16 22:31:08.000001001'")
            out = cursor.fetch_arrow_table()
            utc = pa.timestamp("ns", "UTC")
            assert [field.type for field in out.schema] == [utc, pa.list_(pa.field("l", utc)), pa.struct([("a", utc)])], out.schema
            assert out.column("c").cast(pa.int64()).to_pylist() == [1510871468000001001]
            assert out.column("s").combine_chunks().field("a").cast(pa.int64()).to_pylist() == [1510871468000001001]
            given = pa.table({"c": pa.array([1510871468000001001, None], pa.timestamp("ns", "Europe/Berlin"))})
            assert cursor.adbc_ingest("u", given, catalog_name="lake", db_schema_name="s") == 2
            got = rows(connection, "SELECT typeof(c), epoch_us(c) FROM lake.s.u ORDER BY c")
            assert got == [
                ("TIMESTAMP WITH TIME ZONE", 1510871468000001), ("TIMESTAMP WITH TIME ZONE", None)], got


def results_live_side_by_side():
    with Warehouse() as warehouse, warehouse.connect("amelia") as connection:
        with connection.cursor() as one, connection.cursor() as two:
            one.execute("SELECT id FROM sales ORDER BY id")
            left = one.fetch_record_batch()
            count = left.read_next_batch().num_rows
            two.execute("SELECT count(*) FROM sales")
            assert two.fetchall() == [(50000,)]
            refused(adbc_driver_manager.Error, "55006", two.execute, "SET query.timeout = '5s'")
            assert count + left.read_all().num_rows == 50000
            two.execute("SET query.timeout = '5s'")


def threads_of_one_connection_wait_for_each_other():
    with Warehouse() as warehouse, warehouse.connect("boris") as connection:
        failures = []

        def ask(number):
            for i in range(20):
                got = rows(connection, "SELECT $1, count(*) FROM sales", (number * 100 + i,))
                if got != [(number * 100 + i, 50000)]:
                    failures.append(got)

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert not failures, failures[:3]


def an_open_warehouse_is_shared():
    with Warehouse() as warehouse, warehouse.connect() as one:
        refused(adbc_driver_manager.Error, "55006", lambda: warehouse.connect(settings={"query.rows_max": "5"}))
        with warehouse.connect("amelia") as two:
            assert rows(one, "SELECT count(*) FROM moat_system.sessions") == [(2,)], rows(one, "SELECT * FROM moat_system.sessions")
            assert rows(two, "SELECT 1") == [(1,)]
        assert rows(one, "SELECT 1") == [(1,)]
    with Warehouse() as warehouse, warehouse.connect(settings={"query.rows_max": "5"}) as strict:
        refused(adbc_driver_manager.Error, "54000", rows, strict, "SELECT * FROM range(10)")


def the_engine_can_be_elsewhere():
    """In processes of its own, which this one cannot be: the program beside the library is."""
    with Warehouse() as warehouse, warehouse.connect("amelia", settings={"engine.isolation": "hosts"}) as connection:
        assert rows(connection, "SELECT DISTINCT who, card FROM sales") == [("amelia", None)]
        with connection.cursor() as cursor:
            threading.Timer(0.5, cursor.adbc_cancel).start()
            refused(adbc_driver_manager.Error, "57014", lambda: (cursor.execute(LONG), cursor.fetchall()))
            assert cursor.adbc_ingest("t", pa.table({"i": [1, 2]}), temporary=True) == 2
        assert rows(connection, "SELECT sum(i) FROM t") == [(3,)]


def an_owner_acts_for_another():
    with Warehouse() as warehouse, warehouse.connect(**{"adbc.moat.as": "amelia"}) as connection:
        assert rows(connection, "SELECT current_user, min(who), max(who) FROM sales") == [("amelia", "amelia", "amelia")]
        refused(adbc_driver_manager.Error, "42P01", rows, connection, "SELECT * FROM secret")
        refused(adbc_driver_manager.Error, "42501", rows, connection, "CREATE USER eve")


def cancels_rain_down():
    """Whenever they come, again and again: what they meet ends soon, and the next statement is not touched."""
    with Warehouse() as warehouse, warehouse.connect("boris") as connection:
        slowest = 0
        for number in range(60):
            with connection.cursor() as cursor:
                is_over, said = threading.Event(), []

                def stop():
                    time.sleep(number / 1000)
                    while not is_over.wait(0.01):
                        said.append(time.monotonic())
                        cursor.adbc_cancel()

                thread = threading.Thread(target=stop)
                thread.start()
                refused(adbc_driver_manager.Error, "57014", lambda: (cursor.execute(LONG), cursor.fetchall()))
                slowest = max(slowest, time.monotonic() - said[0])
                is_over.set()
                thread.join()
            assert rows(connection, "SELECT 1") == [(1,)]
        print(f"slowest of 60: {slowest * 1000:.0f} ms")
        assert slowest < 30, slowest


def neighbours_read_it():
    """DuckDB's own library in the same process, of whatever version, and its rows through ours."""
    try:
        import duckdb
    except ImportError:
        print("skipped: duckdb is not here")
        return
    with Warehouse() as warehouse, warehouse.connect("amelia") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id, who FROM sales")
        reader = cursor.fetch_record_batch()
        assert duckdb.sql("SELECT count(*), min(who), max(who) FROM reader").fetchall() == [(50000, "amelia", "amelia")]


Q1 = """SELECT l_returnflag, l_linestatus, sum(l_quantity) AS sum_qty, sum(l_extendedprice * (1 - l_discount)) AS sum_disc_price,
 avg(l_discount) AS avg_disc, count(*) AS count_order FROM lineitem WHERE l_shipdate <= DATE '1998-09-02' GROUP BY ALL ORDER BY ALL"""
Q6 = """SELECT sum(l_extendedprice * l_discount) AS revenue FROM lineitem WHERE l_shipdate >= $1::DATE AND l_shipdate < $2::DATE AND
 l_discount BETWEEN 0.05 AND 0.07 AND l_quantity < 24"""


def tpch():
    generator = os.path.join(os.path.dirname(sys.executable), "tpchgen-cli")
    try:
        import duckdb
    except ImportError:
        duckdb = None
    if duckdb is None or not os.path.exists(generator):
        print("skipped: duckdb and tpchgen-cli are not here")
        return
    with Warehouse("SELECT 1") as warehouse:
        data = warehouse.folder.name + "/tpch"
        subprocess.run([generator, "parquet", "-s", "0.05", "--tables=lineitem", "-o", data], check=True, capture_output=True)
        warehouse.sql(f"CREATE EXTERNAL TABLE lineitem LOCATION '{data}/lineitem.parquet'")
        oracle = duckdb.connect()
        oracle.execute(f"CREATE VIEW lineitem AS SELECT * FROM '{data}/lineitem.parquet'")
        with warehouse.connect() as connection:
            days = ("1994-01-01", "1995-01-01")
            assert rows(connection, Q1) == oracle.execute(Q1).fetchall()
            assert rows(connection, Q6, days) == oracle.execute(Q6, days).fetchall()
            with connection.cursor() as cursor:
                cursor.execute("SELECT * FROM lineitem")
                assert cursor.fetch_arrow_table().num_rows == oracle.execute("SELECT count(*) FROM lineitem").fetchone()[0]


CASES = [all_types_and_nulls, parameters_are_of_all_types, errors_say_what_and_where, two_people_in_one_process, a_cancel_ends_it,
         transactions, rows_come_in, rows_go_to_a_lake, instants_keep_their_nanoseconds, results_live_side_by_side, threads_of_one_connection_wait_for_each_other,
         an_open_warehouse_is_shared, the_engine_can_be_elsewhere, an_owner_acts_for_another, cancels_rain_down, neighbours_read_it, tpch]


def main():
    failed = 0
    chosen = [case for case in CASES if len(sys.argv) < 4 or case.__name__ in sys.argv[3:]]
    for case in chosen:
        started = time.monotonic()
        try:
            case()
            print(f"ok {case.__name__} ({time.monotonic() - started:.1f} s)", flush=True)
        except Exception:
            import traceback
            traceback.print_exc()
            print(f"FAILED {case.__name__}", flush=True)
            failed += 1
    print(f"{len(chosen) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
