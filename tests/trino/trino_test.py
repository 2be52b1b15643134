#!/usr/bin/env python3
"""Trino's protocol: its documents byte by byte, and its own Python client with the dialect for SQLAlchemy.

trino_test.py MOAT [CASE...]    ends with "N passed, N failed"; exits 1 if any failed. Without the client (tools/deps check) the
cases that need it are skipped by name.
"""

import datetime
import decimal
import json
import math
import os
import socket
import ssl
import sys
import tempfile
import threading
import time
import urllib.parse
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../http"))
from door import WebServer, basic
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../wire"))
import authority
from protocol import PASSWORD, eventually, run

try:
    import trino
    from trino.auth import BasicAuthentication, JWTAuthentication
except ImportError:
    trino = None

MOAT = sys.argv[1]
for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # requests would heed them more than what it is told
    os.environ.pop(name, None)
LONG = "SELECT count(*) AS n FROM range(100000000000) a, range(100000000000) b"
SETUP = "CREATE VIEW v AS SELECT 1 AS x, 'a' AS y; GRANT SELECT ON v TO USER amelia"
FOLDER = tempfile.mkdtemp(prefix="moat-trino-")
CERTIFICATE = authority.certificate(FOLDER, "server")


def served(*settings, setup=SETUP):
    return WebServer(MOAT, *authority.tls_settings(*CERTIFICATE), *settings, setup=setup)


def connect(server, user="amelia", auth=None, **options):
    return trino.dbapi.connect(host="127.0.0.1", port=server.web_port, user=user, http_scheme="https", verify=CERTIFICATE[0],
                               auth=auth or BasicAuthentication(user, PASSWORD), **{"catalog": "moat", "schema": "main", **options})


def query(connection, sql, params=None):
    cursor = connection.cursor()
    cursor.execute(sql, params)
    return [list(row) if isinstance(row, (list, tuple)) else row for row in cursor.fetchall()]


def refused(name, connection, sql, params=None):
    try:
        query(connection, sql, params)
    except trino.exceptions.TrinoQueryError as error:
        assert error.error_name == name, (error.error_name, error.message)
        return error
    raise AssertionError(f"{sql} was answered")


def post(server, sql, user="amelia", connection=None, **headers):
    fields = {"X-Trino-" + name.replace("_", "-"): value for name, value in headers.items()}
    fields["User-Agent"] = "StatementClientV1/476"  # reads the first answer
    return server.ask("POST", "/v1/statement", sql.encode(), user=user, connection=connection, headers=fields)


def read(server, document, user="amelia"):
    """All that there is behind a first answer: columns, rows, the last document."""
    columns, rows = document.get("columns"), list(document.get("data") or [])
    while "nextUri" in document:
        path = urllib.parse.urlparse(document["nextUri"]).path
        status, document, _ = server.ask("GET", path, user=user)
        assert status == 200, (status, document)
        columns = document.get("columns") or columns
        rows += document.get("data") or []
    return columns, rows, document


def documents():
    with served() as server:
        status, document, answer = post(server, "SELECT 1 AS a, 'x' AS b, 1.50 AS c, [1] AS d", Client_Capabilities="PARAMETRIC_DATETIME")
        assert status == 200 and answer.getheader("Content-Type") == "application/json"
        columns, rows, last = read(server, document)
        assert rows == [[1, "x", "1.50", [1]]] and last["stats"]["state"] == "FINISHED" and last["warnings"] == []
        assert columns[0] == {"name": "a", "type": "integer", "typeSignature": {"rawType": "integer", "arguments": []}}
        assert columns[1]["typeSignature"]["arguments"] == [{"kind": "LONG", "value": 2147483647}]
        assert columns[2]["type"] == "decimal(3, 2)" and [a["value"] for a in columns[2]["typeSignature"]["arguments"]] == [3, 2]
        assert columns[3]["typeSignature"] == {"rawType": "array", "arguments": [{"kind": "TYPE", "value": columns[0]["typeSignature"]}]}
        for name in ("state", "queued", "scheduled", "nodes", "totalSplits", "queuedSplits", "runningSplits", "completedSplits", "cpuTimeMillis",
                     "wallTimeMillis", "queuedTimeMillis", "elapsedTimeMillis", "processedRows", "processedBytes", "peakMemoryBytes"):
            assert name in document["stats"], name
        # Rows in the first answer: for clients alone that are known to read it.
        for agent, has_rows in (("StatementClientV1/476", True), ("Trino Python Client/0.340.0", True), ("trino-go/1.1.0", False)):
            _, document, _ = server.ask("POST", "/v1/statement", b"SELECT 1", headers={"User-Agent": agent})
            assert ("data" in document) == has_rows and ("columns" in document) == has_rows and ("nextUri" in document) != has_rows, (agent, document)
            assert read(server, document)[1] == [[1]]
        # Times without the capability: three digits, and no parameter.
        _, document, _ = post(server, "SELECT TIMESTAMP '2024-01-02 03:04:05.678901' AS t")
        columns, rows, _ = read(server, document)
        assert columns[0]["type"] == "timestamp" and rows == [["2024-01-02 03:04:05.678"]], (columns, rows)
        # Errors, with where in the text they are, also behind what was put in another way.
        _, document, _ = post(server, "SELECT approx_distinct(x),\n  nope FROM v", Catalog="moat", Schema="main")
        error = read(server, document)[2]["error"]
        assert (error["errorCode"], error["errorName"], error["errorType"]) == (47, "COLUMN_NOT_FOUND", "USER_ERROR"), error
        assert error["errorLocation"] == {"lineNumber": 2, "columnNumber": 3} and error["failureInfo"]["type"], error
        assert post(server, "SELECT 1", user=None)[0] == 401
        assert post(server, "SELECT 1", User="eve")[0] == 403
        assert server.ask("GET", "/v1/info", user=None)[1]["coordinator"] is True
        assert server.ask("GET", "/v1/statement/executing/x/y/0")[0] == 404


# Statements that are wrong, the word that is, and where; what they become for the engine is nothing that their writer has seen.
WRONG = [("SELECT 7/", None, 1, 10), ("SELECT 7/ FROM v", "FROM", 1, 11), ("SELECT 7 %\nFROM v", "FROM", 2, 1), ("SELECT x,, y FROM v", ",", 1, 10),
         ("SELECT (1", None, 1, 10), ("SELECT 1 + FROM v", "FROM", 1, 12), ("SELECT 'é', x / 2 2 FROM v", "2", 1, 19), ("EXPLAIN SELECT 7/", None, 1, 18),
         ("SELECT if(x > 0, 1 2) FROM v", "2", 1, 20), ("SELECT x FROM v WHERE x / = 1", "=", 1, 27), ("SELECT date_add('day', 1, ) FROM v", None, None, None),
         ("SELECT * FROM (VALUES 1, 2 3) AS t(a)", "3", 1, 28), ("SELECT CAST(x AS array(bigint) FROM v", "FROM", 1, 32), ("SELECT x FROM v LIMIT 1 2", "2", 1, 25),
         ("SELECT x FROM v OFFSET 1 ROWS FETCH FIRST 2 ROWS ONLY 3", "3", 1, 55), ("SELECT transform(ARRAY[1], e -> e /) FROM v", ")", 1, 36),
         ("CREATE TABLE t (a bigint,) WITH (format = 'PARQUET')", ")", 1, 26), ("SELECT TIMESTAMP '2024-01-01 00:00:00' 5 FROM v", "5", 1, 40)]
OURS = ("_col", "trino_", "list_", "lambda", " AS", "unnest", "strftime", "moat.")


def errors_are_of_what_was_sent():
    with served() as server:
        wrong = []
        for sql, word, line, column in WRONG:
            _, document, _ = post(server, sql, Catalog="moat", Schema="main")
            error = read(server, document)[2]["error"]
            where = error.get("errorLocation", {})
            want = "end of input" if word is None else f'"{word}"'
            is_right = line is None or (want in error["message"] and (where.get("lineNumber"), where.get("columnNumber")) == (line, column))
            if not is_right or any(ours in error["message"] for ours in OURS):
                wrong.append((sql, error["message"], where))
        assert not wrong, "\n".join(map(str, wrong))
        _, document, headers = post(server, "PREPARE p FROM SELECT ? / 2 2 FROM v")
        prepared = headers.getheader("X-Trino-Added-Prepare")
        for sql in ("EXECUTE p USING 1", "DESCRIBE INPUT p", "DESCRIBE OUTPUT p"):
            error = read(server, post(server, sql, Prepared_Statement=prepared)[1])[2]["error"]
            assert 'near "2"' in error["message"] and error["errorLocation"] == {"lineNumber": 1, "columnNumber": 14}, (sql, error)


def pages_belong_to_their_person():
    with served(setup=SETUP + f"; CREATE USER eve PASSWORD '{PASSWORD}'") as server:
        _, document, _ = post(server, "SELECT i, repeat('x', 100) AS t FROM range(100000) r(i)")
        path = urllib.parse.urlparse(document["nextUri"]).path
        assert document["nextUri"].startswith(f"https://127.0.0.1:{server.web_port}/")
        assert server.ask("GET", path, user="eve")[0] == 404 and server.ask("GET", path, user=None)[0] == 401
        other = path.split("/")
        other[-2] = "0" * 32
        assert server.ask("GET", "/".join(other))[0] == 404
        query = "/v1/query/" + document["id"]  # its person may see that it runs; others do not find it, nor end it
        assert server.ask("GET", query)[1]["state"] == "RUNNING" and server.ask("GET", query, user="eve")[0] == 410
        assert server.ask("DELETE", query, user="eve")[0] == 204 and server.ask("GET", query)[0] == 200 and server.ask("GET", query, user=None)[0] == 401
        assert server.ask("HEAD", path)[0] == 200  # it is alive, and nothing was taken
        first = server.ask("GET", path)[1]
        assert server.ask("GET", path)[1]["data"] == first["data"]  # an answer that was lost
        rows = document.get("data", []) + first["data"] + read(server, first)[1]
        rows = [row[0] for row in rows]
        assert rows[:len(document.get("data", []))] == list(range(len(document.get("data", [])))) and sorted(set(rows)) == list(range(100000))
        assert server.ask("GET", path)[0] == 410


def a_page_that_is_being_sent_stays_as_it_is():
    """While a client takes its time, the same person asks for the next ones, whose rows are printed in the room of pages that are over."""
    with served() as server:
        _, document, _ = post(server, "SELECT i, rpad('', 12000000, CAST(i AS VARCHAR)) AS t FROM range(6) r(i)")
        while not document.get("data"):
            path = urllib.parse.urlparse(document["nextUri"]).path
            document = server.ask("GET", path)[1]
        path = urllib.parse.urlparse(document["nextUri"]).path
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # so that most of it is still the server's
        slow.connect(("127.0.0.1", server.web_port))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(slow) as client:
            client.settimeout(120)
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {basic('amelia', PASSWORD)}\r\nConnection: close\r\n\r\n".encode())
            answer = client.recv(4096)
            while b'"nextUri":"' not in answer or b'","columns"' not in answer:
                part = client.recv(4096)
                assert part, answer
                answer += part
            path = urllib.parse.urlparse(answer.split(b'"nextUri":"')[1].split(b'"')[0].decode()).path
            for _ in range(3):
                _, document, _ = server.ask("GET", path)
                path = urllib.parse.urlparse(document["nextUri"]).path
            while part := client.recv(1 << 20):
                answer += part
        (number, text), = json.loads(answer.split(b"\r\n\r\n", 1)[1])["data"]
        assert number in range(6) and text == str(number) * 12000000, (number, text[:20], set(text))


def session_is_the_clients():
    with served() as server:
        _, document, headers = post(server, "SET SESSION query_max_run_time = '300ms'")
        assert document["columns"] == [] and document["updateType"] == "SET SESSION" and "data" not in document, document
        assert headers.getheader("X-Trino-Set-Session") == "query_max_run_time=300ms"
        _, document, _ = post(server, LONG, Session="query_max_run_time=300ms")
        assert read(server, document)[2]["error"]["errorName"] == "EXCEEDED_TIME_LIMIT"
        headers = post(server, "PREPARE p FROM SELECT ? + 1, 'ü, = %'")[2]
        added = headers.getheader("X-Trino-Added-Prepare")
        assert urllib.parse.unquote_plus(added) == "p=SELECT ? + 1, 'ü, = %'", added
        _, document, _ = post(server, "EXECUTE p USING 41", Prepared_Statement=added)
        assert read(server, document)[1] == [[42, "ü, = %"]]
        assert post(server, "DEALLOCATE PREPARE p", Prepared_Statement=added)[2].getheader("X-Trino-Deallocated-Prepare") == "p"
        _, document, answer = post(server, "USE moat.moat_system")
        assert "error" not in read(server, document)[2] and answer.getheader("X-Trino-Set-Schema") == "moat_system"
        _, document, answer = post(server, "USE moat.nope")
        assert read(server, document)[2]["error"]["errorName"] == "SCHEMA_NOT_FOUND" and answer.getheader("X-Trino-Set-Schema") is None
        _, document, _ = post(server, "SELECT current_schema", Catalog="moat", Schema="moat_system")
        assert read(server, document)[1] == [["moat_system"]]
        assert post(server, "START TRANSACTION")[2].getheader("X-Trino-Started-Transaction-Id")
        _, document, _ = post(server, "CREATE TEMP TABLE t (a INTEGER)", Transaction_Id="read-only")
        assert document["error"]["errorName"] == "NOT_SUPPORTED"
        assert post(server, "COMMIT", Transaction_Id="read-only")[2].getheader("X-Trino-Clear-Transaction-Id") == "true"
        for field in ("a", "=%", "a=%zz", "a=%00", "a=%ff"):
            _, document, _ = post(server, "SELECT 1", Session=field)
            assert "error" in document, field


# What each means in Trino, as SQL and as its client has it. More, and measured: tests/interop/trino/corpus.
DIALECT = [
    ("approx_distinct(x)", 1), ("if(true, 'a', 'b')", "a"), ("if(false, 'a')", None), ("concat('a', NULL)", None), ("concat('a', 'b', 'c')", "abc"),
    ("cardinality(ARRAY[1, 2, 3])", 3), ("element_at(ARRAY[1, 2], 3)", None), ("element_at(ARRAY[1, 2], -1)", 2),
    ("element_at(MAP(ARRAY['a'], ARRAY[1]), 'a')", 1), ("array_join(ARRAY[1, 2], '-')", "1-2"), ("array_position(ARRAY['a', 'b'], 'b')", 2),
    ("array_position(ARRAY['a'], 'z')", 0), ("array_sort(ARRAY[3, NULL, 1])", [1, 3, None]), ("array_max(ARRAY[1, 5])", 5),
    ("filter(ARRAY[1, 2, 3], e -> e > 1)", [2, 3]), ("transform(ARRAY[1, 2], e -> e * 2)", [2, 4]), ("any_match(ARRAY[1, 2], e -> e = 2)", True),
    ("sequence(1, 4)", [1, 2, 3, 4]), ("sequence(5, 1, -2)", [5, 3, 1]), ("slice(ARRAY[1, 2, 3, 4], 2, 2)", [2, 3]), ("split('a,b', ',')", ["a", "b"]),
    ("regexp_like('1a 2b', '\\d+b')", True), ("regexp_extract('1a 2b', '\\d+[xyz]')", None), ("regexp_extract('1a 2b', '(\\d+)b', 1)", "2"),
    ("regexp_replace('1a 2b', '\\d')", "a b"), ("strpos('abc', 'c')", 3), ("replace('abcb', 'b')", "ac"), ("codepoint('A')", 65),
    ("levenshtein_distance('apple', 'epplea')", 2), ("to_hex(X'00ff')", "00FF"), ("from_hex('00ff')", b"\0\xff"), ("to_utf8('ü')", "ü".encode()),
    ("from_utf8(X'c3bc')", "ü"), ("to_base64(X'00ff')", "AP8="), ("greatest(1, NULL)", None), ("least(3, 2, 1)", 1), ("truncate(-1.7e0)", -1.0),
    ("bitwise_and(6, 3)", 2), ("bitwise_xor(6, 3)", 5), ("day_of_week(DATE '2024-01-01')", 1), ("day_of_year(DATE '2024-02-01')", 32),
    ("date_diff('day', DATE '2024-01-01', DATE '2024-03-01')", 60), ("date_add('hour', 25, TIMESTAMP '2024-01-01 00:00:00')", datetime.datetime(2024, 1, 2, 1)),
    ("date_format(TIMESTAMP '2024-01-02 03:04:05', '%Y-%m-%d %H:%i:%s')", "2024-01-02 03:04:05"),
    ("date_parse('2024/01/02', '%Y/%m/%d')", datetime.datetime(2024, 1, 2)), ("to_unixtime(TIMESTAMP '1970-01-01 00:01:00')", 60.0),
    ("from_unixtime(0) = TIMESTAMP '1970-01-01 00:00:00 UTC'", True), ("json_extract_scalar('{\"a\": \"b\"}', '$.a')", "b"),
    ("json_format(JSON '[1]')", "[1]"), ("is_nan(nan())", True), ("is_infinite(infinity())", True), ("TRY(CAST('a' AS integer))", None),
    ("CAST(ARRAY[1] AS array(varchar))", ["1"]), ("CAST(ROW(1, 'a') AS row(i bigint, s varchar)).s", "a"), ("DECIMAL '1.50'", decimal.Decimal("1.50")),
    ("CAST('2024-01-02 03:04:05.678' AS timestamp(3))", datetime.datetime(2024, 1, 2, 3, 4, 5, 678000)), ("DOUBLE '1.5'", 1.5),
    ("(SELECT sum(a) FROM (VALUES 1, 2, 3) AS t(a))", 6), ("(SELECT max(a) FROM UNNEST(ARRAY[4, 7]) WITH ORDINALITY AS t(a, n))", 7),
    ("(SELECT a FROM (VALUES 1, 2, 3) AS t(a) ORDER BY a OFFSET 1 ROWS FETCH FIRST 1 ROWS ONLY)", 2),
    ("array_agg(x)", [1]), ("map_agg(y, x)", {"a": 1}), ("count_if(x = 1)", 1),
]


def dialect():
    with served() as server:
        connection = connect(server)
        wrong = []
        for sql, want in DIALECT:
            try:
                got = query(connection, f"SELECT {sql} AS r FROM v")[0][0]
            except Exception as error:
                got = f"{type(error).__name__}: {error}"
            if got != want:
                wrong.append((sql, got, want))
        assert not wrong, wrong


def values():
    pairs = [("true", True), ("CAST(1 AS tinyint)", 1), ("BIGINT '9007199254740993'", 9007199254740993), ("REAL '1.25'", 1.25), ("1e300", 1e300),
             ("CAST('12.50' AS decimal(38, 2))", decimal.Decimal("12.50")), ("'é\"\\'", 'é"\\'), ("X''", b""), ("DATE '0001-01-01'", datetime.date(1, 1, 1)),
             ("TIME '01:02:03.5'", datetime.time(1, 2, 3, 500000)), ("TIMESTAMP '2024-02-29 23:59:59.999999'", datetime.datetime(2024, 2, 29, 23, 59, 59, 999999)),
             ("UUID '7d444840-9dc0-11d1-b245-5ffdce74fad2'", uuid.UUID("7d444840-9dc0-11d1-b245-5ffdce74fad2")), ("NULL", None),
             ("ARRAY[ARRAY[1], ARRAY[], NULL]", [[1], [], None]), ("MAP(ARRAY[1, 2], ARRAY['a', NULL])", {1: "a", 2: None}),
             ("ARRAY[ROW(1, DATE '2024-01-01')]", [(1, datetime.date(2024, 1, 1))]), ("JSON '{\"a\":[1]}'", '{"a":[1]}'), ("-infinity()", -math.inf)]
    with served() as server:
        connection = connect(server)
        for sql, want in pairs:
            got = query(connection, f"SELECT {sql}")[0][0]
            assert got == want and type(got) in (type(want), tuple) or got == want, (sql, got, want)
        zone = query(connection, "SELECT TIMESTAMP '2024-01-02 03:04:05.6 +02:00'")[0][0]
        assert zone == datetime.datetime(2024, 1, 2, 1, 4, 5, 600000, datetime.timezone.utc), zone
        for value in (True, 10, 2**40, 2.5, "it's é", b"\x01\xff", datetime.date(2024, 1, 2), datetime.datetime(2024, 1, 2, 3, 4, 5, 678900),
                      datetime.time(1, 2, 3), decimal.Decimal("12.340"), uuid.UUID(int=5), [1, 2], {"a": 1}, None, math.inf):
            got = query(connection, "SELECT ?, ? IS NULL", [value, value])[0]
            assert got == [value, value is None], (value, got)
        connection = connect(server, legacy_prepared_statements=True)
        assert query(connection, "SELECT ? + x FROM v WHERE y = ?", [41, "a"]) == [[42]]


def rows_in_segments():
    """The spooling protocol, each encoding, against the same rows without it; few rows are not compressed, and no rows have no segment."""
    many = "SELECT i, repeat('é', i % 50) AS t, [i, NULL] AS l FROM range(60000) r(i)"
    with served() as server:
        want = {sql: query(connect(server, encoding=None), sql) for sql in (many, "SELECT 1, 'a'", "SELECT x FROM v WHERE false")}
        for encoding in ("json", "json+lz4", "json+zstd", ["json+zstd", "json"]):
            connection = connect(server, encoding=encoding)
            for sql, rows in want.items():
                assert query(connection, sql) == rows, (encoding, sql)
            refused("COLUMN_NOT_FOUND", connection, "SELECT nope FROM v")
            query(connection, "SET SESSION query_max_run_time = '10m'")
        _, document, answer = post(server, many, Query_Data_Encoding="json+snappy, json+zstd")
        assert answer.getheader("Content-Encoding") is None
        segments, count = [], 0
        while True:
            data = document.get("data") or []
            if isinstance(data, list):  # the first answer, where clients look for no segments
                count += len(data)
            else:
                assert data["encoding"] == "json+zstd" and len(data["segments"]) == 1
                metadata = data["segments"][0]["metadata"]
                assert metadata["rowOffset"] == count and metadata["uncompressedSize"] > metadata["segmentSize"], metadata
                count += metadata["rowsCount"]
                segments.append(metadata)
            if "nextUri" not in document:
                break
            document = server.ask("GET", urllib.parse.urlparse(document["nextUri"]).path)[1]
        assert count == 60000 and len(segments) > 1, (count, len(segments))
        # What is not known is done without.
        _, document, _ = post(server, "SELECT 1", Query_Data_Encoding="json+snappy")
        assert read(server, document)[1] == [[1]]


def names_are_shown():
    with served() as server:
        connection = connect(server)
        assert query(connection, "SHOW CATALOGS") == [["moat"]] and ["main"] in query(connection, "SHOW SCHEMAS FROM moat")
        assert query(connection, "SHOW TABLES") == [["v"]] and query(connection, "SHOW TABLES FROM moat.main LIKE 'n%'") == []
        want = [["x", "integer", "", ""], ["y", "varchar", "", ""]]
        assert query(connection, "DESCRIBE v") == want and query(connection, "SHOW COLUMNS FROM moat.main.v") == want
        refused("TABLE_NOT_FOUND", connection, "DESCRIBE nope")
        assert query(connection, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'main'") == [["v"]]
        assert query(connection, "SELECT c.data_type FROM moat.information_schema.columns c WHERE c.table_name = 'v' ORDER BY c.ordinal_position") == [["integer"], ["varchar"]]
        assert query(connection, "SELECT table_cat, table_schem, table_name, table_type FROM system.jdbc.tables WHERE table_schem = 'main'") == [["moat", "main", "v", "VIEW"]]
        for table in ("attributes", "catalogs", "columns", "procedure_columns", "procedures", "pseudo_columns", "schemas", "super_tables", "super_types",
                      "table_types", "tables", "types", "udts"):
            query(connection, f"SELECT * FROM system.jdbc.{table}")
        for table in ("metadata.catalogs", "metadata.table_comments", "metadata.materialized_views", "runtime.nodes", "runtime.queries"):
            query(connection, f"SELECT * FROM system.{table}")
        for table in ("columns", "schemata", "tables", "views", "enabled_roles", "applicable_roles"):
            query(connection, f"SELECT * FROM information_schema.{table}")
        described = connection.cursor().describe("SELECT x, y FROM v")
        assert [(d.name, d.type) for d in described] == [("x", "integer"), ("y", "varchar")], described
        for name, sql in (("SYNTAX_ERROR", "SELEC 1"), ("COLUMN_NOT_FOUND", "SELECT nope FROM v"), ("TABLE_NOT_FOUND", "SELECT * FROM nope"),
                          ("FUNCTION_NOT_FOUND", "SELECT nope(1)"), ("INVALID_SESSION_PROPERTY", "SET SESSION nope = 1"), ("NOT_SUPPORTED", "SET ROLE admin"),
                          ("PERMISSION_DENIED", "CREATE USER eve"), ("INVALID_CAST_ARGUMENT", "SELECT CAST('a' AS integer)")):
            refused(name, connection, sql)


def sqlalchemy_reflects():
    import sqlalchemy
    from sqlalchemy import text
    with served() as server:
        password = urllib.parse.quote(PASSWORD)
        url = f"trino://amelia:{password}@127.0.0.1:{server.web_port}/moat/main"
        engine = sqlalchemy.create_engine(url, connect_args={"http_scheme": "https", "verify": CERTIFICATE[0]})
        inspector = sqlalchemy.inspect(engine)
        assert "main" in inspector.get_schema_names() and inspector.get_view_names() == ["v"] and inspector.get_table_names() == []
        columns = inspector.get_columns("v")
        assert [(c["name"], str(c["type"])) for c in columns] == [("x", "INTEGER"), ("y", "VARCHAR")], columns
        assert inspector.has_table("v") and not inspector.has_table("nope")
        with engine.connect() as connection:
            assert connection.execute(text("SELECT x, y FROM v WHERE y = :y"), {"y": "a"}).fetchall() == [(1, "a")]
            table = sqlalchemy.Table("v", sqlalchemy.MetaData(), autoload_with=engine)
            select = sqlalchemy.select(table.c.y, sqlalchemy.func.count()).group_by(table.c.y).limit(5)
            assert connection.execute(select).fetchall() == [("a", 1)]
        engine.dispose()


def keys_and_other_peoples_names():
    with served(setup=SETUP + f"; CREATE USER eve PASSWORD '{PASSWORD}'") as server:
        line = [line for line in server.sql("CREATE API KEY script FOR USER amelia").splitlines() if "moat_" in line][0]
        key = [part for part in line.split(",") if part.startswith("moat_") and len(part) > 40][0]
        assert query(connect(server, auth=JWTAuthentication(key)), "SELECT current_user") == [["amelia"]]
        for options in ({"auth": BasicAuthentication("amelia", "wrong")}, {"user": "eve", "auth": BasicAuthentication("amelia", PASSWORD)}):
            try:
                query(connect(server, **options), "SELECT 1")
                raise AssertionError(options)
            except trino.exceptions.HttpError:
                pass


def a_cancel_frees_the_engine():
    with served() as server:
        cursor = connect(server, source="dashboard").cursor()
        thread = threading.Thread(target=lambda: swallow(cursor, LONG))
        thread.start()
        listing = """SELECT "user", protocol, application_name FROM moat_system.running_queries WHERE statement = $1"""
        eventually(lambda: server.sql_over(listing, LONG)["rows"] == [["amelia", "trino", "dashboard"]])
        eventually(lambda: getattr(cursor, "_query", None) is not None and cursor._query._request.next_uri is not None)
        cursor.cancel()
        eventually(lambda: server.sql_over(listing, LONG)["rows"] == [])
        thread.join(120)
        assert not thread.is_alive()
        # From another door.
        thread = threading.Thread(target=lambda: swallow(cursor, LONG))
        thread.start()
        eventually(lambda: server.sql_over(listing, LONG)["rows"] != [])
        with server.connect(tls="asked") as client:
            pid = client.query("SELECT pid FROM moat_system.sessions WHERE protocol = 'trino'")[0][0]
            assert client.query(f"SELECT pg_cancel_backend({pid})") == [["t"]]
        thread.join(120)
        assert not thread.is_alive() and "USER_CANCELED" in failures[-1], failures


failures = []


def swallow(cursor, sql):
    try:
        cursor.execute(sql)
        cursor.fetchall()
    except Exception as error:
        failures.append(repr(error))


def half_read_results_hold_back_the_scan():
    with served() as server:
        read_some = []
        before = server.resident()
        for _ in range(6):
            cursor = connect(server).cursor()
            cursor.execute("SELECT repeat('x', 1000) AS t, i FROM range(5000000) r(i)")
            assert cursor.fetchone()[1] == 0
            read_some.append(cursor)
        eventually(server.is_quiet)
        grown = server.resident() - before
        time.sleep(2)
        more = server.resident() - before - grown
        assert grown < 256 << 20 and more < 8 << 20, f"{grown >> 20} MiB, then {more >> 20} more"
        for cursor in read_some:
            cursor.close()
        eventually(lambda: server.sql_over("SELECT count(*) FROM moat_system.sessions WHERE protocol = 'trino'")["rows"] == [[0]])


def fifty_people_with_different_rights():
    people, wrong = 50, []
    setup = "CREATE VIEW base AS SELECT i, i % 50 AS person, 'secret ' || i AS s FROM range(1000) r(i); "
    for i in range(people):
        setup += f"CREATE USER p{i} PASSWORD '{PASSWORD}'; GRANT SELECT ON base TO USER p{i} ROWS WHERE person = {i}"
        setup += " MASKED WITH (s = 'hidden'); " if i % 2 else "; "

    def ask(server, i):
        try:
            connection = connect(server, user=f"p{i}", request_timeout=120)
            for _ in range(3):
                got = query(connection, "SELECT i, person, s FROM base ORDER BY i")
                assert got == [[n, i, "hidden" if i % 2 else f"secret {n}"] for n in range(i, 1000, 50)], got[:2]
        except Exception as error:
            wrong.append((i, repr(error)[:300]))

    with served("query.queue_timeout=120s", setup=setup) as server:
        threads = [threading.Thread(target=ask, args=(server, i)) for i in range(people)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong, wrong[:3]


PLAIN = [documents, errors_are_of_what_was_sent, pages_belong_to_their_person, a_page_that_is_being_sent_stays_as_it_is,
         session_is_the_clients]
WITH_CLIENT = [dialect, values, rows_in_segments, names_are_shown, sqlalchemy_reflects, keys_and_other_peoples_names, a_cancel_frees_the_engine,
               half_read_results_hold_back_the_scan, fifty_people_with_different_rights]
if trino is None:
    for case in WITH_CLIENT:
        print(f"skipped {case.__name__}: Trino's client is not here")
sys.exit(run(PLAIN + (WITH_CLIENT if trino else []), sys.argv[2:]))
