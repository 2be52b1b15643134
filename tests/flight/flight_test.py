#!/usr/bin/env python3
"""Arrow Flight SQL from outside: what it answers, to whom, and what a client may not do to it.

flight_test.py MOAT [CASE...]    ends with "N passed, N failed"; exits 1 if any failed.
"""

import datetime
import decimal
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../wire"))
import authority
from protocol import PASSWORD, eventually, run

try:
    import adbc_driver_flightsql.dbapi
    import pyarrow
    from pyarrow import flight
except ImportError as missing:
    print(f"skipped: {missing}\n0 passed, 0 failed")
    sys.exit(0)
from door import Door, FlightServer, basic, bearer, command, field, fields

MOAT = sys.argv[1]
LONG = "SELECT count(*) FROM range(100000000000) a, range(100000000000) b"
CLEAR = "login.insecure_loopback=true"
EVE = f"CREATE USER eve PASSWORD '{PASSWORD}'"
RUNNING = "SELECT count(*) FROM moat_system.running_queries WHERE statement LIKE '%100000000000%' AND statement NOT LIKE '%running_queries%'"


def served(*settings, **options):
    return FlightServer(MOAT, CLEAR, *settings, **options)


def refused(kind, words, function, *arguments, **options):
    """The error must be of this class of pyarrow's, and say this."""
    try:
        function(*arguments, **options)
    except kind as error:
        assert words in str(error), f"expected {words!r}, got {error}"
        return str(error)
    raise AssertionError(f"nothing was refused: {words}")


# Each type of the engine: an expression, what Python has of it.
TYPES = [
    ("true", True), ("42::TINYINT", 42), ("(-32768)::SMALLINT", -32768), ("2147483647", 2147483647), ("9007199254740993", 9007199254740993),
    ("255::UTINYINT", 255), ("65535::USMALLINT", 65535), ("4294967295::UINTEGER", 4294967295), ("18446744073709551615::UBIGINT", 18446744073709551615),
    ("170141183460469231731687303715884105::HUGEINT", decimal.Decimal("170141183460469231731687303715884105")),
    ("1.5::FLOAT", 1.5), ("1e300", 1e300), ("'-inf'::DOUBLE", float("-inf")), ("1.10::DECIMAL(9,2)", decimal.Decimal("1.10")),
    ("(-99999999999999999999999999999999999999)::DECIMAL(38,0)", decimal.Decimal("-99999999999999999999999999999999999999")), ("1.2::DECIMAL(4,1)", decimal.Decimal("1.2")),
    ("'é\"\n'", 'é"\n'), ("''", ""), ("'\\x00\\xff'::BLOB", b"\0\xff"), ("DATE '2024-02-29'", datetime.date(2024, 2, 29)),
    ("TIME '23:59:59.5'", datetime.time(23, 59, 59, 500000)), ("TIMESTAMP '2024-01-01 00:00:00.000001'", datetime.datetime(2024, 1, 1, 0, 0, 0, 1)),
    ("TIMESTAMP_S '2024-01-01 00:00:00'", datetime.datetime(2024, 1, 1)), ("TIMESTAMP_MS '2024-01-01 00:00:00.5'", datetime.datetime(2024, 1, 1, 0, 0, 0, 500000)),
    ("TIMESTAMPTZ_NS '2024-01-01 01:00:00.000001+01'", datetime.datetime(2024, 1, 1, 0, 0, 0, 1, tzinfo=datetime.timezone.utc)),
    ("TIMESTAMPTZ '2024-01-01 01:00:00+01'", datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)),
    ("INTERVAL '1 year 2 days 3 seconds'", pyarrow.MonthDayNano([12, 2, 3000000000])), ("[1, NULL, 3]", [1, None, 3]), ("[['a'], []]", [["a"], []]),
    ("[1, 2]::INTEGER[2]", [1, 2]), ("{'a': 1, 'b c': 'x'}", {"a": 1, "b c": "x"}), ("MAP {'k': 1, 'l': NULL}", [("k", 1), ("l", None)]),
    ("'b'::ENUM('a', 'b')", "b"), ("[{'a': [1]}, NULL]", [{"a": [1]}, None]),
]


def every_type():
    with served() as server, server.door() as door:
        text = "SELECT " + ", ".join(f"{sql} AS c{i}" for i, (sql, _) in enumerate(TYPES))
        info = door.info("CommandStatementQuery", field(1, text))
        table = door.get(info).read_all()
        for (sql, wanted), column in zip(TYPES, table.columns):
            assert column.to_pylist() == [wanted], (sql, column.to_pylist(), wanted)
        # What is told before rows are there is what comes, for each way to ask.
        assert info.schema == table.schema
        described = door.schema("CommandStatementQuery", field(1, text))
        for (sql, _), told, came in zip(TYPES, described, table.schema):
            assert told.type == came.type or isinstance(came.type, pyarrow.ListType), (sql, told.type, came.type)
            assert told.type == came.type, (sql, told.type, came.type)
        some = [(sql, wanted) for sql, wanted in TYPES if not sql.endswith("[2]")]  # the engine's CASE has no arrays
        nulls = door.query("SELECT " + ", ".join(f"CASE WHEN i = 1 THEN {sql} END AS c{i}" for i, (sql, _) in enumerate(some)) + " FROM range(3) r(i)")
        for (sql, wanted), column in zip(some, nulls.columns):
            assert column.to_pylist() == [None, wanted, None], (sql, column.to_pylist())
        text_of = door.rows("SELECT " + ", ".join(f"({sql})::VARCHAR" for sql, _ in TYPES[19:24]))[0]
        assert text_of == ("2024-02-29", "23:59:59.5", "2024-01-01 00:00:00.000001", "2024-01-01 00:00:00", "2024-01-01 00:00:00.5"), text_of


def empty_and_huge():
    with served() as server, server.door() as door:
        empty = door.query("SELECT 1 AS x, 'a' AS t WHERE false")
        assert empty.num_rows == 0 and empty.schema.names == ["x", "t"]
        table = door.query("SELECT i, 'row ' || i AS t FROM range(3000000) r(i)")
        assert table.num_rows == 3000000 and table.column("t")[2999999].as_py() == "row 2999999"
        assert pyarrow.compute.sum(table.column("i")).as_py() == 2999999 * 1500000
        wide = door.query("SELECT repeat('x', 3000000) AS t FROM range(20)")  # each batch is over what one message may be
        assert [len(value.as_py()) for value in wide.column("t")] == [3000000] * 20


def errors_say_what():
    with served("query.rows_max=5", setup="CREATE VIEW w AS SELECT 1 AS x; " + EVE) as server, server.door() as door:
        refused(pyarrow.ArrowInvalid, 'column "nope" does not exist [42703] at byte 8', door.query, "SELECT nope")
        refused(pyarrow.ArrowKeyError, "[42P01]", door.query, "SELECT * FROM w")
        refused(flight.FlightUnauthorizedError, "[42501]", door.query, "CREATE USER mallory")
        refused(pyarrow.ArrowInvalid, "[42601]", door.query, "SELECT 1; SELECT 2")
        refused(pyarrow.ArrowInvalid, "[42601]", door.query, "")
        refused(pyarrow.ArrowException, "[54000]", door.query, "SELECT * FROM range(10)")
        refused(pyarrow.ArrowNotImplementedError, "BeginTransaction", door.query, "BEGIN")
        refused(pyarrow.ArrowNotImplementedError, '"CommandNothing"', door.info, "CommandNothing")
        refused(pyarrow.ArrowInvalid, "must be a command", door.client.get_flight_info, flight.FlightDescriptor.for_path("a"), door.options)
        refused(pyarrow.ArrowInvalid, "none of Flight SQL", door.client.get_flight_info, flight.FlightDescriptor.for_command(b"SELECT 1"), door.options)
        for wrong in (b"\x0a", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x0b", b"\x00"):
            refused(pyarrow.ArrowInvalid, "[08P01]", door.info, "CommandStatementQuery", wrong)
        late = "SELECT CAST(CASE WHEN i < 600000 THEN '1' ELSE 'late' END AS INTEGER) AS x FROM range(600001) r(i)"
        assert door.rows("SELECT current_user") == [("amelia",)]
    with served() as server, server.door() as door:
        reader = door.get(door.info("CommandStatementQuery", field(1, late)))
        refused(pyarrow.ArrowInvalid, "[22P02]", reader.read_all)


def who_asks():
    with served("login.account_tries=4", setup=EVE) as server:
        key = [part for line in server.sql("CREATE API KEY script FOR USER amelia").splitlines() for part in line.split(",")
               if part.startswith("moat_") and len(part) > 40][0]
        client = flight.FlightClient(f"grpc://127.0.0.1:{server.flight_port}")
        describe = flight.FlightDescriptor.for_command(command("CommandStatementQuery", field(1, "SELECT 1")))
        refused(flight.FlightUnauthenticatedError, "needs a sign-in", client.get_flight_info, describe)
        for token in ("x", "moat_session_" + "0" * 64, "moat_0_0"):
            refused(flight.FlightUnauthenticatedError, "[28000]", client.get_flight_info, describe, bearer(token))
        for header in (b"Basic !!!!", b"Basic YQ==", b"Bearer ", b"Digest x", b"Basic " + b"A" * 60000):
            options = flight.FlightCallOptions(headers=[(b"authorization", header)])
            try:
                client.get_flight_info(describe, options)
                raise AssertionError(header)
            except (flight.FlightUnauthenticatedError, pyarrow.ArrowException):
                pass
        # One connection, three sign-ins: each answer is of who asked.
        for options, name in ((bearer(key), "amelia"), (basic("eve", PASSWORD), "eve"), (bearer(key), "amelia")):
            with Door(server.flight_port, options=options) as door:
                door.client = client
                assert door.rows("SELECT current_user") == [(name,)]
                door.client = flight.FlightClient(f"grpc://127.0.0.1:{server.flight_port}")
        wrong = [refused(flight.FlightUnauthenticatedError, "", server.door, user, "x") for user in ("eve", "nobody")]
        assert wrong[0] == wrong[1], wrong
        for _ in range(4):
            try:
                server.door("eve", "x")
            except flight.FlightUnauthenticatedError:
                pass
            except pyarrow.ArrowException as error:
                assert "53300" in str(error), error
                break
        else:
            raise AssertionError("wrong passwords are not limited")
        assert "flight" in server.sql("SELECT client FROM moat_system.audit WHERE client LIKE '% flight %'")


def a_payload_signs_in_too():
    class Basic(flight.ClientAuthHandler):
        def authenticate(self, outgoing, incoming):
            outgoing.write(field(2, "amelia") + field(3, PASSWORD))
            self.token = incoming.read()

        def get_token(self):
            return self.token
    with served() as server:
        client = flight.FlightClient(f"grpc://127.0.0.1:{server.flight_port}")
        handler = Basic()
        client.authenticate(handler)
        with Door(server.flight_port, options=bearer(handler.token.decode())) as door:
            assert door.rows("SELECT current_user") == [("amelia",)]
        with Door(server.flight_port, options=flight.FlightCallOptions()) as door:
            door.client = client  # the token goes with each call as auth-token-bin
            assert door.rows("SELECT current_user") == [("amelia",)]


def in_the_clear_nothing_secret_is_taken():
    with FlightServer(MOAT) as server:
        refused(flight.FlightUnauthenticatedError, "in the clear", server.door)
        with Door(server.flight_port, options=basic("amelia", PASSWORD)) as door:
            refused(flight.FlightUnauthenticatedError, "in the clear", door.query, "SELECT 1")


def over_tls():
    folder = tempfile.mkdtemp(prefix="moat-flight-")
    pem, key = authority.certificate(folder, "server")
    with FlightServer(MOAT, *authority.tls_settings(pem, key), "server.tls=required") as server:
        with server.door(tls=True) as door:
            assert door.rows("SELECT 42") == [(42,)]
            assert door.query("SELECT i FROM range(500000) r(i)").num_rows == 500000
        try:
            server.door()
            raise AssertionError("served in the clear")
        except pyarrow.ArrowException as error:
            assert "TLS" in str(error) or "unavailable" in str(error).lower(), error
    shutil.rmtree(folder)


def tickets_are_of_one_person_and_once():
    with served(setup=EVE) as server, server.door() as door, server.door("eve") as eve:
        info = door.info("CommandStatementQuery", field(1, "SELECT 42 AS x"))
        ticket = info.endpoints[0].ticket
        refused(pyarrow.ArrowKeyError, "no such ticket", eve.client.do_get, ticket, eve.options)
        raw = bytearray(ticket.ticket)
        for at in (0, 1, len(raw) - 1):
            other = bytearray(raw)
            other[at] ^= 1
            refused(pyarrow.ArrowKeyError, "no such ticket", door.client.do_get, flight.Ticket(bytes(other)), door.options)
        for other in (b"", b"\x01", raw[:20], command("CommandGetTables")):
            refused(pyarrow.ArrowKeyError, "no such ticket", door.client.do_get, flight.Ticket(bytes(other)), door.options)
        # Another session of the same person is not the statement's either.
        with server.door() as second:
            refused(pyarrow.ArrowKeyError, "not there", second.client.do_get, ticket, second.options)
        assert door.get(info).read_all().to_pylist() == [{"x": 42}]
        refused(pyarrow.ArrowKeyError, "not there", door.get, info)
        catalog = door.info("CommandGetCatalogs")
        refused(pyarrow.ArrowKeyError, "no such ticket", eve.get, catalog)
        # A prepared statement and a transaction are the session's.
        handle = door.action("CreatePreparedStatement", field(1, "SELECT 1"))[1][0]
        refused(pyarrow.ArrowKeyError, "26000", eve.info, "CommandPreparedStatementQuery", field(1, handle))
        transaction = door.action("BeginTransaction")[1][0]
        refused(pyarrow.ArrowKeyError, "25P01", eve.update, "CREATE TEMP TABLE t (a INTEGER)", transaction)
        refused(pyarrow.ArrowKeyError, "25P01", eve.action, "EndTransaction", field(1, transaction) + field(2, 1))


def policies_hold():
    folder = tempfile.mkdtemp(prefix="moat-flight-")
    with open(os.path.join(folder, "t.csv"), "w") as file:
        file.write("id,region,email\n1,EU,a@x\n2,US,b@x\n3,EU,c@x\n")
    setup = (f"{EVE}; CREATE EXTERNAL TABLE people LOCATION '{folder}/t.csv'; "
             "GRANT SELECT ON people TO USER eve ROWS WHERE region = 'EU' MASKED WITH (email = 'hidden'); GRANT SELECT (id) ON people TO USER amelia")
    with served(setup=setup) as server, server.door() as door, server.door("eve") as eve:
        assert eve.rows("SELECT * FROM people ORDER BY id") == [(1, "EU", "hidden"), (3, "EU", "hidden")]
        assert door.rows("SELECT * FROM people ORDER BY id") == [(1,), (2,), (3,)]
        refused(pyarrow.ArrowInvalid, "42703", door.query, "SELECT email FROM people")
        names = lambda who: [(row["table_name"], pyarrow.ipc.read_schema(pyarrow.py_buffer(row["table_schema"])).names) for row in who.table(
            "CommandGetTables", field(2, "main") + field(3, "peo%") + field(4, "TABLE") + field(5, 1)).to_pylist()]
        assert names(eve) == [("people", ["id", "region", "email"])], names(eve)
        assert names(door) == [("people", ["id"])], names(door)
    with served(setup=EVE + "; CREATE VIEW mine AS SELECT 1 AS x; GRANT SELECT ON mine TO USER amelia") as server, server.door("eve") as eve:
        assert eve.table("CommandGetTables", field(2, "main")).num_rows == 0
    shutil.rmtree(folder)


def the_catalog():
    setup = "CREATE VIEW v AS SELECT 1 AS a, 'x' AS b; GRANT SELECT ON v TO USER amelia"
    with served(setup=setup) as server, server.door() as door:
        assert door.table("CommandGetCatalogs").to_pylist() == [{"catalog_name": "moat"}]
        assert {"catalog_name": "moat", "db_schema_name": "main"} in door.table("CommandGetDbSchemas").to_pylist()
        assert door.table("CommandGetDbSchemas", field(2, "mai_")).num_rows == 1 and door.table("CommandGetDbSchemas", field(1, "")).num_rows == 0
        assert door.table("CommandGetTables", field(2, "main")).to_pylist() == [{"catalog_name": "moat", "db_schema_name": "main", "table_name": "v", "table_type": "VIEW"}]
        assert door.table("CommandGetTables", field(2, "main") + field(4, "TABLE")).num_rows == 0
        assert door.table("CommandGetTables", field(3, "' OR true --")).num_rows == 0
        for name in ("CommandGetPrimaryKeys", "CommandGetExportedKeys", "CommandGetImportedKeys", "CommandGetCrossReference"):
            table = door.table(name, field(3, "v"))
            assert table.num_rows == 0 and table.schema == door.schema(name), name
        for name in ("CommandGetCatalogs", "CommandGetDbSchemas", "CommandGetTables", "CommandGetTableTypes", "CommandGetXdbcTypeInfo", "CommandGetSqlInfo"):
            info = door.info(name)
            table = door.get(info).read_all()
            assert table.num_rows > 0 and [f.type for f in info.schema] == [f.type for f in table.schema], name
        assert [row["type_name"] for row in door.table("CommandGetXdbcTypeInfo", field(1, 93)).to_pylist()] == ["TIMESTAMP", "TIMESTAMP WITH TIME ZONE"]
        said = {row["info_name"]: row["value"] for row in door.table("CommandGetSqlInfo", field(1, 0) + field(1, b"\x08\x88\x04\xfc\x03")).to_pylist()}
        assert said[0] == "Moat" and said[8] == 2 and "qualify" in said[508] and set(said) == {0, 8, 508, 520}, said


def prepared_statements():
    with served() as server, server.door() as door:
        got = door.action("CreatePreparedStatement", field(1, "SELECT $1::INTEGER + 1 AS x, $2 AS t"))
        handle = field(1, got[1][0])
        assert pyarrow.ipc.read_schema(pyarrow.py_buffer(got[2][0])).field("x").type == pyarrow.int32()
        assert [f.type for f in pyarrow.ipc.read_schema(pyarrow.py_buffer(got[3][0]))] == [pyarrow.int32(), pyarrow.string()]
        bound = pyarrow.table({"a": pyarrow.array([41], pyarrow.int64()), "b": ["x'y"]})
        assert door.put("CommandPreparedStatementQuery", handle, bound)[1][0] == got[1][0]
        assert door.table("CommandPreparedStatementQuery", handle).to_pylist() == [{"x": 42, "t": "x'y"}]
        door.put("CommandPreparedStatementQuery", handle, pyarrow.table({"a": [1, 2], "b": ["x", "y"]}))
        refused(pyarrow.ArrowNotImplementedError, "2 are bound", door.table, "CommandPreparedStatementQuery", handle)
        door.action("ClosePreparedStatement", handle)
        refused(pyarrow.ArrowKeyError, "26000", door.table, "CommandPreparedStatementQuery", handle)
        refused(pyarrow.ArrowKeyError, "26000", door.action, "ClosePreparedStatement", handle)
        refused(pyarrow.ArrowInvalid, "42703", door.action, "CreatePreparedStatement", field(1, "SELECT nope"))
        # Each type comes back as it went.
        values = [value for _, value in TYPES[:-8] if not isinstance(value, float) and not (isinstance(value, int) and value >> 63)] + ["a\\b", b"a\\x41"]
        for value in values:
            one = pyarrow.table({"p": [value]})
            kind = {bytes: "BLOB", datetime.date: "DATE", datetime.time: "TIME"}.get(type(value))
            if isinstance(value, datetime.datetime):
                kind = "TIMESTAMPTZ" if value.tzinfo else "TIMESTAMP"
            elif isinstance(value, decimal.Decimal):
                kind = f"DECIMAL(38,{max(0, -value.as_tuple().exponent)})"
            cast = f"$1::{kind}" if kind else "$1"
            handle = field(1, door.action("CreatePreparedStatement", field(1, f"SELECT {cast} AS p"))[1][0])
            door.put("CommandPreparedStatementQuery", handle, one)
            back = door.table("CommandPreparedStatementQuery", handle).column("p")[0].as_py()
            assert back == value, (value, back)


def what_is_put_is_checked():
    """Bytes of a batch, changed one by one: an answer or an error, never the end of the server."""
    with served() as server, server.door() as door:
        handle = field(1, door.action("CreatePreparedStatement", field(1, "SELECT $1, $2, $3"))[1][0])
        dictionary = pyarrow.array(["a", "b"]).dictionary_encode()
        door.put("CommandPreparedStatementQuery", handle, pyarrow.table({"a": dictionary.slice(0, 1), "b": [[1, 2]], "c": [{"x": 1}]}))
        assert door.rows("SELECT 1") == [(1,)]
        options = pyarrow.ipc.IpcWriteOptions(compression="zstd")
        descriptor = flight.FlightDescriptor.for_command(command("CommandPreparedStatementQuery", handle))
        compressed = flight.FlightCallOptions(headers=door.options.headers if hasattr(door.options, "headers") else [(b"authorization", b"Bearer " + door.token.encode())], write_options=options)
        table = pyarrow.table({"a": list(range(10000))})

        def put():
            writer, reader = door.client.do_put(descriptor, table.schema, compressed)
            writer.write_table(table)
            writer.done_writing()
            reader.read()
            writer.close()
        refused(pyarrow.ArrowException, "compressed", put)
        big = pyarrow.table({"a": ["x" * 20000000]})
        refused(pyarrow.ArrowException, "54000", door.put, "CommandPreparedStatementQuery", handle, big)
        assert door.rows("SELECT 1") == [(1,)]


def changes_and_transactions():
    with served() as server, server.door() as door:
        assert door.update("CREATE TEMP TABLE t (a INTEGER, b VARCHAR)") in (-1, 0)
        assert door.update("INSERT INTO t VALUES (1, 'x'), (2, NULL)") == 2
        assert door.rows("SELECT * FROM t ORDER BY a") == [(1, "x"), (2, None)]
        handle = field(1, door.action("CreatePreparedStatement", field(1, "INSERT INTO t VALUES ($1, $2)"))[1][0])
        got = door.put("CommandPreparedStatementUpdate", handle, pyarrow.table({"a": [3, 4, 5], "b": ["p", "q", None]}))
        assert got[1][0] == 3, got
        with server.door() as other:
            refused(pyarrow.ArrowKeyError, "42P01", other.query, "SELECT * FROM t")
        transaction = door.action("BeginTransaction")[1][0]
        refused(pyarrow.ArrowInvalid, "25001", door.action, "BeginTransaction")
        assert door.update("DELETE FROM t", transaction) == 5
        refused(pyarrow.ArrowInvalid, "does not name it", door.update, "DELETE FROM t")
        assert door.rows("SELECT count(*) FROM t", transaction) == [(0,)]
        door.action("EndTransaction", field(1, transaction) + field(2, 2))
        assert door.rows("SELECT count(*) FROM t") == [(5,)]
        transaction = door.action("BeginTransaction")[1][0]
        door.update("INSERT INTO t VALUES (6, 's')", transaction)
        savepoint = door.action("BeginSavepoint", field(1, transaction) + field(2, "one"))[1][0]
        door.update("DELETE FROM t", transaction)
        door.action("EndSavepoint", field(1, savepoint) + field(2, 2))
        door.action("EndTransaction", field(1, transaction) + field(2, 1))
        assert door.rows("SELECT count(*) FROM t") == [(6,)]
        # What an error leaves is rolled back, and says so.
        transaction = door.action("BeginTransaction")[1][0]
        door.update("DELETE FROM t", transaction)
        refused(pyarrow.ArrowInvalid, "42703", door.update, "DELETE FROM t WHERE nope = 1", transaction)
        refused(pyarrow.ArrowException, "40001", door.action, "EndTransaction", field(1, transaction) + field(2, 1))
        assert door.rows("SELECT count(*) FROM t") == [(6,)]


def bulk_ingest():
    with served() as server, server.adbc(autocommit=True) as connection, connection.cursor() as cursor:
        data = pyarrow.table({"i": pyarrow.array(range(100000), pyarrow.int32()), "t": ["row, \"%d\"" % i if i % 3 else None for i in range(100000)],
                              "d": [decimal.Decimal("1.25")] * 100000, "b": [b"\0\xff"] * 100000, "l": [[1, None]] * 100000,
                              "w": [datetime.datetime(2024, 1, 1, 0, 0, 0, 5)] * 100000, "y": pyarrow.array(["a", "b"] * 50000).dictionary_encode()})
        ingest = lambda mode, table=data: cursor.adbc_ingest("t", table, mode=mode, temporary=True)
        assert ingest("create") == 100000
        cursor.execute("SELECT * FROM t ORDER BY i")
        back = cursor.fetch_arrow_table()
        assert back.drop_columns(["y"]).to_pylist() == data.drop_columns(["y"]).to_pylist() and back.column("y").to_pylist() == data.column("y").to_pylist()
        for mode, code in (("create", "42P07"),):
            try:
                ingest(mode)
                raise AssertionError(mode)
            except adbc_driver_flightsql.dbapi.Error as error:
                assert code in str(error), error
        assert ingest("append", data.slice(0, 10)) == 10 and ingest("replace", data.slice(0, 7)) == 7
        cursor.execute("SELECT count(*) FROM t")
        assert cursor.fetchall() == [(7,)]
        try:
            ingest("append", pyarrow.table({"i": ["no number"]}))
            raise AssertionError
        except adbc_driver_flightsql.dbapi.Error as error:
            assert "22P02" in str(error) or "22018" in str(error), error
        cursor.execute("SELECT count(*) FROM t")
        assert cursor.fetchall() == [(7,)]


def sessions():
    with served() as server:
        door = server.door()
        text = lambda name, value: field(1, field(1, name) + field(2, field(1, value)))
        assert door.action("SetSessionOptions", text("schema", "moat_system") + text("query.rows_max", "5"), raw=True) in (None, {})
        assert door.rows("SELECT current_schema") == [("moat_system",)]
        refused(pyarrow.ArrowException, "54000", door.query, "SELECT * FROM range(10)")
        said = {fields(entry)[1][0]: fields(fields(entry)[2][0])[1][0] for entry in door.action("GetSessionOptions", raw=True)[1]}
        assert said[b"schema"] == b"moat_system" and said[b"query.rows_max"] == b"5", said
        wrong = door.action("SetSessionOptions", text("nope", "1") + text("query.rows_max", "x") + text("a = 1; DROP", "x"), raw=True)
        assert len(wrong[1]) == 3, wrong
        door.update("RESET query.rows_max")
        assert door.query("SELECT * FROM range(10)").num_rows == 10
        assert {action.type for action in door.client.list_actions(door.options)} >= {"CreatePreparedStatement", "CancelFlightInfo", "CloseSession"}
        door.action("CloseSession", raw=True)
        refused(flight.FlightUnauthenticatedError, "session is over", door.query, "SELECT 1")
    with served("server.flight_session_timeout=2s") as server:
        door = server.door()
        time.sleep(4.5)
        refused(flight.FlightUnauthenticatedError, "session is over", door.query, "SELECT 1")
        # Somebody who is dropped asks nothing more.
        server.stop()


def count_running(server):
    with server.door() as door:
        return door.rows(RUNNING)[0][0]


def cancelling_ends_a_query():
    with served() as server, server.door() as door, server.door() as watcher:
        running = lambda: watcher.rows(RUNNING)[0][0]
        # By a deadline.
        options = flight.FlightCallOptions(timeout=0.5, headers=[(b"authorization", b"Bearer " + door.token.encode())])
        info = door.info("CommandStatementQuery", field(1, LONG))
        refused(flight.FlightTimedOutError, "", lambda: door.get(info, options).read_all())
        eventually(lambda: running() == 0)
        # By CancelFlightInfo, before anybody reads.
        info = door.info("CommandStatementQuery", field(1, "SELECT i, repeat('x', 1000) FROM range(100000000) r(i) WHERE i < 100000000000"))
        assert running() == 1
        status = door.action("CancelFlightInfo", field(1, info.serialize()), raw=True)
        assert status[1][0] == 1
        eventually(lambda: running() == 0)
        refused(pyarrow.ArrowKeyError, "not there", door.get, info)
        # A reader that goes away in the middle, and one that says so.
        reader = door.get(door.info("CommandStatementQuery", field(1, "SELECT i, repeat('x', 1000) FROM range(100000000) r(i) WHERE i < 100000000000")))
        reader.read_chunk()
        assert running() == 1
        reader.cancel()
        eventually(lambda: running() == 0)
        assert door.rows("SELECT 1") == [(1,)]


def start(server, text):
    """A process of its own that asks this and waits."""
    code = ("import sys; sys.path.insert(0, %r); from door import *; d = Door(%d); i = d.info('CommandStatementQuery', field(1, %r)); print('in', flush=True); d.get(i).read_all()"
            % (os.path.dirname(os.path.abspath(__file__)), server.flight_port, text))
    client = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    client.stdout.readline()
    time.sleep(0.3)
    return client


class Relay:
    """Bytes on their way from the server, counted."""

    def __init__(self, port):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port, self.target, self.count = self.listener.getsockname()[1], port, 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client = self.listener.accept()[0]
            server = socket.create_connection(("127.0.0.1", self.target))
            for pair, is_counted in (((client, server), False), ((server, client), True)):
                threading.Thread(target=self.pass_on, args=(*pair, is_counted), daemon=True).start()

    def pass_on(self, source, sink, is_counted):
        while part := source.recv(65536):
            self.count += len(part) * is_counted
            sink.sendall(part)


def bodies_may_be_compressed():
    with served() as server:
        relay = Relay(server.flight_port)
        with Door(relay.port) as door:
            pairs = [(b"authorization", b"Bearer " + door.token.encode())]

            def ask(text, how):
                options = flight.FlightCallOptions(headers=pairs + ([(b"x-moat-compression", how)] if how else []))
                info = door.info("CommandStatementQuery", field(1, text), options)
                before = relay.count
                return door.get(info, options).read_all(), relay.count - before
            long = "SELECT i, 'text ' || i % 7 AS t, i % 2 = 0 AS b, [i, i] AS l, CASE WHEN i % 3 = 0 THEN i END AS n FROM range(200000) r(i) ORDER BY i"
            plain, plain_bytes = ask(long, None)
            for how in (b"lz4", b"zstd"):
                packed, packed_bytes = ask(long, how)
                assert packed.equals(plain) and packed_bytes * 2 < plain_bytes, (how, packed_bytes, plain_bytes)
                for text in ("SELECT 1 AS x WHERE false", "SELECT NULL AS n", "SELECT 'x' AS t, '' AS e", "SELECT uuid()::VARCHAR IS NOT NULL FROM range(10)"):
                    assert ask(text, how)[0].equals(ask(text, None)[0]), (how, text)
            assert ask(long, b"none")[0].equals(plain)
            refused(pyarrow.ArrowInvalid, "no compression", ask, "SELECT 1", b"gzip")


def who_vanishes_frees_the_engine():
    """Connections that are cut in the middle of a statement: their queries end, by themselves long before they would have."""
    with served() as server, server.door() as watcher:
        clients = [start(server, LONG) for _ in range(2)]
        eventually(lambda: watcher.rows(RUNNING)[0][0] == 2)
        for client in clients:
            client.kill()
            client.wait()
        eventually(lambda: watcher.rows(RUNNING)[0][0] == 0)
        # Their sessions still stand with their tokens; nothing else does.
        assert watcher.rows("SELECT count(*) FROM moat_system.running_queries WHERE statement NOT LIKE '%running_queries%'") == [(0,)]


def many_at_once():
    with served(setup="".join(f"CREATE USER p{i} PASSWORD '{PASSWORD}'; " for i in range(8))) as server:
        wrong = []

        def ask(i):
            try:
                with server.door(f"p{i % 8}") as door:
                    for _ in range(10):
                        assert door.rows(f"SELECT current_user, {i}") == [(f"p{i % 8}", i)]
            except Exception as error:
                wrong.append(error)
        threads = [threading.Thread(target=ask, args=(i,)) for i in range(24)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert not wrong, wrong[:3]
        with server.door("p0") as door:  # one token, many threads
            def count(i):
                try:
                    assert door.query(f"SELECT * FROM range({1000 * i})").num_rows == 1000 * i
                except Exception as error:
                    wrong.append(error)
            threads = [threading.Thread(target=count, args=(i,)) for i in range(20)]
            [thread.start() for thread in threads]
            [thread.join() for thread in threads]
            assert not wrong, wrong[:3]


def who_takes_nothing_is_given_up():
    """A client that reads no rows, and one that sends none, hold their threads for server.message_timeout at most."""
    with served("server.message_timeout=6s") as server, server.door() as door, server.door() as watcher:
        reader = door.get(door.info("CommandStatementQuery", field(1, "SELECT i, repeat('x', 1000) FROM range(10000000) r(i) WHERE i < 100000000000")))
        reader.read_chunk()
        assert watcher.rows(RUNNING)[0][0] == 1
        eventually(lambda: watcher.rows(RUNNING)[0][0] == 0)
        refused(pyarrow.ArrowException, "", reader.read_all)
        handle = field(1, watcher.action("CreatePreparedStatement", field(1, "SELECT $1"))[1][0])
        descriptor = flight.FlightDescriptor.for_command(command("CommandPreparedStatementQuery", handle))
        writer, answer = watcher.client.do_put(descriptor, pyarrow.schema([("a", pyarrow.int32())]), watcher.options)
        answer.read()  # until the server has had enough
        refused((pyarrow.ArrowException, OSError), "moved for too long", writer.close)
        assert watcher.rows("SELECT 1") == [(1,)]


def who_waits_for_a_place_keeps_it():
    """A ticket lives for a minute from when it is given out: a statement that waits longer for its place is not ended by that."""
    with served("query.concurrent_max=1", "query.queue_timeout=10m", "query.idle_timeout=0", "server.message_timeout=10m") as server, server.door() as door, server.door() as other:
        reader = door.get(door.info("CommandStatementQuery", field(1, "SELECT i, repeat('x', 1000) FROM range(10000000) r(i) WHERE i < 100000000000")))
        reader.read_chunk()
        got = []
        waiting = threading.Thread(target=lambda: got.append(other.rows("SELECT count(*) FROM range(3)")))
        waiting.start()
        waiting.join(65)
        assert waiting.is_alive() and not got
        reader.cancel()
        waiting.join(120)
        assert got == [[(3,)]], got


def bytes_that_are_no_grpc():
    with served() as server:
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        for data in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\0" * 1000, preface, preface + b"\0\0\0\x04\0\0\0\0\0" + b"\xff" * 500, preface + b"\0" * 500):
            with socket.create_connection(("127.0.0.1", server.flight_port), 60) as client:
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
                client.settimeout(60)
                try:
                    while client.recv(65536):
                        pass
                except ConnectionError:
                    pass
        # Streams opened to be reset: the connection ends, the server does not.
        settings = preface + b"\0\0\0\x04\0\0\0\0\0"
        headers = b"\x83\x86\x44\x01/"
        with socket.create_connection(("127.0.0.1", server.flight_port), 60) as client:
            client.sendall(settings)
            client.settimeout(60)
            ended = False
            try:
                for i in range(5000):
                    stream = (2 * i + 1).to_bytes(4, "big")
                    client.sendall(len(headers).to_bytes(3, "big") + b"\x01\x04" + stream + headers + b"\0\0\x04\x03\0" + stream + b"\0\0\0\x08")
                while client.recv(65536):
                    pass
                ended = True
            except ConnectionError:
                ended = True
            assert ended
        with server.door() as door:
            assert door.rows("SELECT 1") == [(1,)]


def adbc():
    with served(setup="CREATE VIEW v AS SELECT 1 AS a, 'x' AS b; GRANT SELECT ON v TO USER amelia") as server:
        with server.adbc() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT ?::INTEGER AS x, $2 AS t", (41, "a"))
            assert cursor.fetchall() == [(41, "a")]
            cursor.execute("CREATE TEMP TABLE t (a INTEGER, b VARCHAR)")
            cursor.executemany("INSERT INTO t VALUES (?, ?)", [(1, "x"), (2, None)])
            assert cursor.rowcount == 2
            connection.commit()
            cursor.execute("DELETE FROM t")
            connection.rollback()
            cursor.execute("SELECT * FROM t ORDER BY a")
            assert cursor.fetch_arrow_table().to_pylist() == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
            connection.commit()
            assert connection.adbc_get_info()["vendor_name"] == "Moat" and connection.adbc_get_table_types() == ["TABLE", "VIEW"]
            objects = connection.adbc_get_objects(depth="all", db_schema_filter="main").read_all().to_pylist()
            tables = {table["table_name"]: table for table in objects[0]["catalog_db_schemas"][0]["db_schema_tables"]}
            assert [column["column_name"] for column in tables["v"]["table_columns"]] == ["a", "b"], tables["v"]
            schema = connection.adbc_get_table_schema("v", db_schema_filter="main")
            assert schema.names == ["a", "b"] and schema.types == [pyarrow.int32(), pyarrow.string()], schema
            try:
                cursor.execute("SELECT nope")
                raise AssertionError
            except adbc_driver_flightsql.dbapi.Error as error:
                assert "42703" in str(error), error
        with server.adbc(autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT i FROM range(1000000) r(i)")
            assert cursor.fetch_arrow_table().num_rows == 1000000


def a_stop_ends_what_runs():
    with served("server.drain_timeout=1s") as server:
        client = start(server, LONG)
        begun = time.time()
        assert server.stop() == 0 and time.time() - begun < 30
        client.wait(60)


if __name__ == "__main__":
    sys.exit(run([every_type, empty_and_huge, errors_say_what, who_asks, a_payload_signs_in_too, in_the_clear_nothing_secret_is_taken, over_tls,
                  tickets_are_of_one_person_and_once, policies_hold, the_catalog, prepared_statements, what_is_put_is_checked,
                  changes_and_transactions, bulk_ingest, sessions, cancelling_ends_a_query, who_vanishes_frees_the_engine, bodies_may_be_compressed, many_at_once, who_takes_nothing_is_given_up, who_waits_for_a_place_keeps_it,
                  bytes_that_are_no_grpc, adbc, a_stop_ends_what_runs], sys.argv[2:]))
